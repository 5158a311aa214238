"""The web application in a real browser: Chromium against a served workspace, as people use it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pystac
import pytest
import rasterio
import uvicorn
from mined import candidate_row
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from rasterio.transform import from_bounds
from shapely import clip_by_rect
from shapely.affinity import translate
from shapely.geometry import box, mapping

from curupira.codes import Role
from curupira.config import Workspace
from curupira.serve.app import create_app
from curupira.serve.sessions import hash_password
from curupira.store import CandidateRow, account
from curupira.store import candidate as candidates
from curupira.store import warning as warnings
from curupira.store.session import Store

CHROMIUM = "/usr/bin/chromium"
#: Patience with a machine that does other work as well, milliseconds.
PATIENCE = 30_000
expect.set_options(timeout=PATIENCE)
FLAGS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]
PASSWORD = "a long password 42"
PEOPLE = {"ana": Role.INTERPRETER, "bia": Role.INTERPRETER, "olga": Role.OPERATOR}
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
INJECTED = '<img src=x onerror="document.title=1"> <b>bold</b>'
SERIES = ".series-chart canvas"


@pytest.fixture(scope="module")
def served(district: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server over a copy of the district, where every sample has a second vote."""
    folder = tmp_path_factory.mktemp("served") / "w"
    shutil.copytree(district, folder)
    monitor = folder / "monitor.toml"
    text = monitor.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^blind_share = .*$", "blind_share = 1.0", text)
    text = re.sub(r"(?m)^optical_alerts = .*$", 'optical_alerts = "optical.geojson"', text)
    text = re.sub(r"(?m)^optical_stac = .*$", 'optical_stac = "optical/catalog.json"', text)
    text = re.sub(r"(?m)^optical_collections = .*$", "optical_collections = []", text)
    monitor.write_text(text)
    workspace = Workspace.open(folder)
    store = Store.open(workspace.monitor.store.url, base=folder, create=True)
    with store.transaction() as session:
        one = warnings.query(session)[0]
        day = one.issued_at.date() + timedelta(days=8)
        alerts = {"view_date": [str(day), str(day)]}
        # A third of the warning: they meet, but it is not validated by the alert alone.
        west, south, east, north = one.geom.bounds
        part = clip_by_rect(one.geom, west, south, west + (east - west) / 3, north)
        shapes = [part, translate(one.geom, 0.02)]
        gpd.GeoDataFrame(alerts, geometry=shapes, crs=4674).to_file(folder / "optical.geojson")
        write_optical(folder / "optical", workspace.area.bounds)
        candidates.put(session, candidate_in_the_middle(workspace.area.bounds))
        for name, role in PEOPLE.items():
            account.add(
                session,
                name=name,
                role=role,
                password_hash=hash_password(PASSWORD),
                created_at=datetime.now(UTC),
            )
    store.close()
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(workspace), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    for _ in range(200):
        if server.started:
            break
        time.sleep(0.05)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listener.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def screens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the screenshots; CURUPIRA_SCREENSHOTS keeps them elsewhere."""
    kept = os.environ.get("CURUPIRA_SCREENSHOTS")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("screens")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def candidate_in_the_middle(bounds: tuple[float, float, float, float]) -> CandidateRow:
    """A square of the mining map in the middle of the area."""
    west, south, east, north = bounds
    x, y = (west + east) / 2, (south + north) / 2
    return candidate_row(
        "6d0b2a2c-middle", x - 0.002, y - 0.002, 0.004,
        probability=0.9, first_seen=date(2022, 11, 1), last_seen=date(2022, 12, 1),
    )  # fmt: skip


def write_optical(folder: Path, bounds: tuple[float, float, float, float]) -> None:
    """A catalogue of clear images, one a month: green, from July 2022 on with a brown field."""
    folder.mkdir()
    catalog = pystac.Catalog("optical", "of this test")
    y, x = np.mgrid[:200, :200]
    for month in range(1, 13):
        pixels = np.stack([50 + x % 9, 95 + y % 7, 45 + x % 5]).astype(np.uint8)
        if month >= 7:
            pixels[:, 60:140, 60:140] += np.array([90, 20, 10], np.uint8)[:, None, None]
        path = folder / f"{month}.tif"
        size = {"width": 200, "height": 200, "count": 3, "dtype": "uint8", "crs": 4326}
        place = from_bounds(*bounds, 200, 200)
        with rasterio.open(path, "w", driver="GTiff", transform=place, **size) as file:
            file.write(pixels)
        said = {"platform": "Sentinel-2A", "eo:cloud_cover": 2.0}
        moment = datetime(2022, month, 15, tzinfo=UTC)
        item = pystac.Item(f"s2-{month}", mapping(box(*bounds)), list(bounds), moment, said)
        item.add_asset("visual", pystac.Asset(str(path)))
        catalog.add_item(item)
    catalog.normalize_and_save(str(folder), pystac.CatalogType.SELF_CONTAINED)


class Visits:
    """Browser contexts that note every fault and every request to another host."""

    def __init__(self, browser: Browser, base: str, screens: Path) -> None:
        self.browser, self.base, self.screens = browser, base, screens
        self.faults: list[str] = []
        self.contexts: list[BrowserContext] = []

    def open(self, path: str = "/", size: dict[str, int] = DESK, *, user: str = "") -> Page:
        context = self.browser.new_context(viewport=size, locale="en-GB", base_url=self.base)
        context.set_default_timeout(PATIENCE)
        context.route("**/*", self._guard)
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.faults.append(f"page: {error}"))
        if user:
            page.goto(f"/login?next={path}")
            page.get_by_label("Name").fill(user)
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Log in").click()
            page.wait_for_url(f"**{path}*")
        else:
            page.goto(path)
        return page

    def _guard(self, route: Any) -> None:
        if route.request.url.startswith((self.base, "data:", "blob:")):
            route.continue_()
        else:
            self.faults.append(f"outside: {route.request.url}")
            route.abort()

    def _heard(self, message: Any) -> None:
        if message.type in {"error", "warning"} and "GPU stall" not in message.text:
            self.faults.append(f"{message.type}: {message.text} {message.location}")

    def shot(self, page: Page, name: str) -> None:
        """A screenshot once the maps are drawn."""
        page.wait_for_load_state("networkidle")
        expect(page.locator(".maplibregl-map[aria-busy=true]")).to_have_count(0)
        page.screenshot(path=self.screens / f"{name}.png")


@pytest.fixture
def visits(browser: Browser, served: str, screens: Path) -> Iterator[Visits]:
    made = Visits(browser, served, screens)
    yield made
    for context in made.contexts:
        context.close()
    assert made.faults == []


def evidence_ready(page: Page) -> None:
    """Wait until a warning's facts, pictures and series are on the screen."""
    page.wait_for_selector(SERIES)
    page.wait_for_selector(".pane-after canvas")


def test_anybody_filters_opens_and_sends_on_a_warning(visits: Visits) -> None:
    page = visits.open()
    areas = sorted(w["area_ha"] for w in page.request.get("/api/warnings").json()["items"])
    items = page.locator(".warnings li")
    expect(items).to_have_count(len(areas))
    expect(page.locator(".map-canvas[aria-busy=false]")).to_be_visible()
    asked = page.evaluate("performance.getEntriesByType('resource').map((r) => r.name)")
    # What the map shows is known before it is made: nothing is asked for twice, or of the page.
    for part, times in (("/api/warnings?", 1), ("/api/warnings.geojson?", 1), ("/api/config", 0)):
        assert sum(part in name for name in asked) == times, asked
    expect(page.locator("footer, .fresh, .stale").first).to_contain_text("2022-12-2")
    visits.shot(page, "map")

    least = f"{sum(areas[-2:]) / 2:.2f}"
    page.get_by_label("Least area (ha)").fill(least)
    expect(items).to_have_count(1)
    expect(page).to_have_url(re.compile(f"min_area_ha={least}"))
    page.reload()
    expect(items).to_have_count(1)
    expect(page.get_by_label("Least area (ha)")).to_have_value(least)

    feed = page.get_by_role("link", name="Atom (GeoRSS)").get_attribute("href") or ""
    assert "bbox=" in feed, "a subscription to what the map shows"
    assert page.request.get(feed).text().count("<entry>") == 1

    with page.expect_download() as download:
        page.get_by_role("link", name="Download what is shown").click()
    saved = Path(download.value.path()).read_text(encoding="utf-8")
    assert saved.count('"warning_id"') == 1

    items.first.get_by_role("link").click()
    expect(page).to_have_url(re.compile("/w/[0-9a-f-]{36}"))
    evidence_ready(page)
    expect(page.locator(".facts")).to_contain_text("Area")
    visits.shot(page, "warning")
    # A phone's own map program opens the place.
    spot = page.locator(".coords").inner_text().split(" Copy")[0].replace(" ", "")
    assert page.locator("a.in-field").get_attribute("href") == f"geo:{spot}"
    address = page.url.split("?")[0]
    again = visits.open(address.removeprefix(visits.base))
    expect(again.locator("h1 code")).to_have_text(address.split("/w/")[1][:8])
    again.go_back()


def test_warnings_are_seen_while_the_map_is_still_being_made(visits: Visits) -> None:
    page = visits.open("/login")
    held: list[Any] = []
    page.route("**/maplibre-gl.js", lambda route: held.insert(0, route))
    page.goto("/")
    drawn = page.locator("canvas.map-preview")
    expect(drawn).to_be_visible()
    ink = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v > 0)"
    assert drawn.evaluate(ink)
    held[0].continue_()
    expect(page.locator(".map-canvas[aria-busy=false]")).to_be_visible()
    expect(drawn).to_have_count(0)


def test_pictures_swipe_blink_and_the_series_of_a_clicked_pixel(visits: Visits) -> None:
    page = visits.open()
    page.locator(".warnings a").first.click()
    evidence_ready(page)
    # Of the day that confirmed the warning, at its strongest pixel: there are flags to see.
    head = page.locator(".series-head")
    expect(head).to_contain_text(re.compile(r"Flagged: [1-9]\d* of"))
    on = head.get_by_label("Evaluated on")
    with page.expect_response(re.compile(r"/api/series\?(?!.*&on=)")):
        on.select_option(label="newest image")
    expect(on).to_have_value("")
    place = head.locator("strong")
    before = place.inner_text()

    page.get_by_role("button", name="Swipe").click()
    handle = page.get_by_role("slider", name="Position of the swipe")
    expect(handle).to_have_attribute("aria-valuenow", "50")
    at = handle.bounding_box()
    assert at
    page.mouse.move(at["x"] + 14, at["y"] + 60)
    page.mouse.down()
    page.mouse.move(at["x"] + 214, at["y"] + 60)
    page.mouse.up()
    moved = int(handle.get_attribute("aria-valuenow") or 0)
    assert moved > 60
    handle.press("ArrowLeft")
    expect(handle).to_have_attribute("aria-valuenow", str(moved - 5))
    assert "inset" in page.evaluate("document.querySelector('.pane-after').style.clipPath")
    visits.shot(page, "swipe")

    page.get_by_role("button", name="Blink").click()
    page.wait_for_selector(".stage.hide-after")
    page.get_by_role("button", name="Side by side").click()

    stage = page.locator(".pane-before").bounding_box()
    assert stage
    with page.expect_response(re.compile("/api/series")):
        page.mouse.click(stage["x"] + 60, stage["y"] + 60)
    expect(place).not_to_have_text(before)
    page.get_by_text("Numbers").click()
    assert page.locator(".series-table tbody tr").count() > 10

    dates = page.get_by_label("Image before")
    assert dates.locator("option").count() > 2
    with page.expect_response(re.compile("/api/tiles/sar/")):
        dates.select_option(index=1)

    for side in ("before", "after"):
        chooser = page.get_by_label(f"Image {side}")
        optical = chooser.locator("option", has_text="Sentinel-2A · 2% cloud").first
        with page.expect_response(re.compile("/api/tiles/optical/s2-")) as answer:
            chooser.select_option(optical.get_attribute("value"))
        assert answer.value.status == 200
    visits.shot(page, "optical")

    page.get_by_text("Layers").click()
    page.get_by_label("Image before").select_option(index=0)
    with page.expect_response(re.compile("/api/tiles/sar/.*dark=-24&bright=-10.5")):
        page.get_by_label("Dark", exact=True).fill("-24")
        page.get_by_label("Dark", exact=True).press("Enter")
    page.get_by_role("button", name="Usual").click()


def test_languages_and_dossier(visits: Visits) -> None:
    page = visits.open("/?lang=pt")
    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    expect(page.get_by_role("link", name="Painel")).to_be_visible()
    page.get_by_label("Idioma").select_option("es")
    expect(page.get_by_role("link", name="Tablero")).to_be_visible()
    page.locator(".warnings a").first.click()
    link = page.get_by_role("link", name="Informe para imprimir")
    assert "lang=es" in (link.get_attribute("href") or "")
    with page.expect_popup() as popup:
        link.click()
    popup.value.wait_for_load_state("networkidle")
    identity = page.url.split("/w/")[1][:8]
    expect(popup.value.locator("body")).to_contain_text(identity)
    expect(popup.value.locator(".frame svg path")).to_have_count(8)
    popup.value.emulate_media(media="print")
    visits.shot(popup.value, "dossier")
    printed = popup.value.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page[^s]", printed)) == 1


def draw_samples(page: Page, days: list[str]) -> None:
    """The operator draws every day's sample with the form beside the queue."""
    page.get_by_text("Draw a day's sample").click()
    form = page.locator("form", has=page.get_by_role("button", name="Draw", exact=True))
    for day in days:
        form.get_by_label("Day").fill(day)
        with page.expect_response(lambda answer: answer.request.method == "POST") as answer:
            form.get_by_role("button", name="Draw", exact=True).click()
        assert answer.value.status == 201, answer.value.text()


def press_when_seen(page: Page, key: str) -> None:
    """Press a key once the evidence is there: before, a vote is not taken."""
    page.wait_for_selector(".queue-facts .facts", state="attached")
    evidence_ready(page)
    page.keyboard.press(key)


def test_a_queue_by_keyboard_then_disagreement_and_adjudication(
    visits: Visits, served: str
) -> None:
    olga = visits.open("/queue", user="olga")
    found = olga.request.get(f"{served}/api/warnings").json()["items"]
    draw_samples(olga, sorted({item["issued_at"][:10] for item in found}))
    olga.context.close()
    n = len(found)

    ana = visits.open("/queue", user="ana")
    progress = ana.locator(".progress-line")
    expect(progress).to_contain_text(f"0 of {n}")
    evidence_ready(ana)
    ana.keyboard.press("?")
    expect(ana.get_by_role("dialog")).to_contain_text("Swipe")
    ana.keyboard.press("Escape")
    ana.keyboard.press("s")
    expect(ana.get_by_role("button", name="Swipe")).to_have_attribute("aria-pressed", "true")
    ana.keyboard.press("b")
    expect(ana.get_by_role("button", name="Blink")).to_have_attribute("aria-pressed", "true")
    ana.keyboard.press("b")
    visits.shot(ana, "queue")

    ana.keyboard.press("c")
    ana.keyboard.type(INJECTED)
    ana.keyboard.press("Escape")
    press_when_seen(ana, "2")
    expect(progress).to_contain_text(f"1 of {n}")
    press_when_seen(ana, "r")
    expect(ana.get_by_role("dialog")).to_contain_text("Why reject?")
    visits.shot(ana, "reject")
    ana.keyboard.press("4")
    expect(progress).to_contain_text(f"2 of {n}")
    ana.keyboard.press("Control+z")
    expect(progress).to_contain_text(f"1 of {n}")
    press_when_seen(ana, "u")
    expect(progress).to_contain_text(f"2 of {n}")
    ana.context.close()

    bia = visits.open("/queue", user="bia")
    expect(bia.locator(".votes .note")).to_be_visible()
    expect(bia.locator(".votes li")).to_have_count(0)
    press_when_seen(bia, "4")
    expect(bia.locator(".progress-line")).to_contain_text(f"1 of {n}")
    bia.context.close()

    olga = visits.open("/queue", user="olga")
    olga.get_by_role("button", name="Disputes").click()
    expect(olga.locator(".queue-list li")).to_have_count(1)
    votes = olga.locator(".votes")
    expect(votes).to_contain_text("<b>bold</b>")
    assert votes.locator("img, b").count() == 0
    visits.shot(olga, "dispute")
    disputed = olga.request.get(f"{served}/api/disputes").json()[0]["warning_id"]
    press_when_seen(olga, "3")
    expect(olga.locator(".progress-line")).to_contain_text("1 of 1")
    review = olga.request.get(f"{served}/api/warnings/{disputed}").json()["review"]
    assert (review["state"], review["verdict"]) == ("adjudicated", "recent_degradation")


def test_a_mining_candidate_is_judged_on_the_map(visits: Visits) -> None:
    nobody = visits.open()
    nobody.get_by_text("Layers").click()
    expect(nobody.get_by_label("Mining candidates")).to_have_count(0)
    ana = visits.open("/", user="ana")
    expect(ana.locator(".map-canvas[aria-busy=false]")).to_be_visible()
    ana.get_by_text("Layers").click()
    with ana.expect_response(re.compile("/api/candidates")):
        ana.get_by_label("Mining candidates").check()
    expect(ana.locator(".map-canvas[aria-busy=false]")).to_be_visible()
    canvas = ana.locator(".map-canvas").bounding_box()
    assert canvas
    ana.mouse.click(canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2)
    dialog = ana.get_by_role("dialog")
    expect(dialog).to_contain_text("90%")
    dialog.get_by_label("Class").select_option("water_flooded")
    visits.shot(ana, "candidate")
    dialog.get_by_role("button", name="Save verdict").click()
    expect(dialog).to_have_count(0)
    (found,) = ana.request.get("/api/candidates").json()["features"]
    assert found["properties"]["verdict"] == "water_flooded"


def test_wrong_password_is_refused_and_the_queue_needs_a_login(visits: Visits) -> None:
    page = visits.open("/queue")
    page.get_by_label("Name").fill("ana")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    fault = page.locator(".login .error")
    expect(fault).to_have_text("Name or password is wrong.")
    # In the reader's language, whatever the server's is.
    page.goto("/login?lang=pt")
    page.locator("input[name=name]").fill("ana")
    page.locator("input[name=password]").fill("wrong")
    page.get_by_role("button", name="Entrar").click()
    expect(fault).to_have_text("Nome ou senha incorretos.")
    # The browser itself notes the refusal on its console.
    visits.faults = [fault for fault in visits.faults if "401" not in fault]


def test_dashboard_has_tables_and_figures(visits: Visits) -> None:
    ana = visits.open("/dashboard", user="ana")
    expect(ana.locator(".who-name")).to_have_text("ana")
    token = ana.request.get("/api/session").json()["csrf"]
    item = ana.request.get("/api/warnings").json()["items"][0]
    form = {"verdict": "residue", "visited_on": "2023-06-01", "method": "overflown"}
    answer = ana.request.post(
        f"/api/warnings/{item['warning_id']}/field",
        multipart=form | {"finding": "old stumps"},
        headers={"X-CSRF-Token": token},
    )
    assert answer.status == 201, answer.text()

    page = visits.open("/dashboard")
    expect(page.locator(".card-timeline_issued svg rect").first).to_be_attached()
    for figure in ("timeline_flagged", "delay", "cadence", "optical"):
        expect(page.locator(f".card-{figure} svg").first).to_be_visible()
    for table in ("counts", "agreement", "accuracy", "field", "years", "optical", "season"):
        expect(page.locator(f".card-{table} table:visible").first).to_be_visible()
    for drawn in ("heat", "field"):
        expect(page.locator(f".card-{drawn} canvas")).to_be_visible()
    legend = page.locator(".card-heat .muted", has_text="maximum").inner_text()
    assert float(legend.split("maximum ")[1].split()[0].replace(",", "")) > 0
    lead = page.locator(".card-optical tbody tr", has_text="all months").locator("td")
    by_name = ana.request.get("/api/dashboard/optical").json()["lead"]
    names = ("warnings", "first", "same_day", "later", "only")
    assert lead.all_inner_texts()[:5] == [str(by_name[name]) for name in names]
    (year, *_) = ana.request.get("/api/dashboard").json()["years"]
    row = page.locator(".card-years tbody tr", has_text=str(year["prodes_year"]))
    expect(row).to_contain_text(f"{100 * year['share_n']:.0f}%")
    visits.shot(page, "dashboard")
    page.set_viewport_size({"width": 1280, "height": 3200})
    visits.shot(page, "dashboard-all")


@pytest.mark.parametrize("path", ["/", "/dashboard", "/login", "/queue"])
def test_a_phone_shows_all_without_scrolling_sideways(visits: Visits, path: str) -> None:
    page = visits.open(path, PHONE, user="ana" if path == "/queue" else "")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    visits.shot(page, f"phone{path.replace('/', '-')}")
    if path == "/":
        page.locator(".warnings a").first.click()
        evidence_ready(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        visits.shot(page, "phone-warning")
