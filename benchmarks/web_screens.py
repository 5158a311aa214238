"""Screenshots of the web application for docs/web.md, from a simulated workspace.

    python benchmarks/web_screens.py WS

Where there is no folder WS, it is made: a district of 10 x 10 km with two municipalities, a
protected area, an indigenous territory, a river and a road, and a run over it (some minutes). The
workspace is copied then, not changed. Chromium: /usr/bin/chromium, headless, software rendering.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import geopandas as gpd
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from shapely.geometry import LineString, box

from curupira.codes import Role
from curupira.config import FILE_NAME, Workspace, render
from curupira.pipelines import daily, workspace
from curupira.serve.sessions import hash_password
from curupira.store import account
from curupira.store.session import Store
from web_load import FLAGS, NOW, PASSWORD, ROOT, Server, served

DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
#: Colours of a kept picture, and its longest side.
COLOURS, MOST_PX = 256, 840


def district(folder: Path) -> None:
    """Simulate a district, draw layers over it that warnings are told with, and run."""
    made = workspace.simulate(
        folder,
        size_km=10,
        years=4,
        revisit_days=12,
        seed=1,
        scenario="default",
        preset="curupira",
    )
    layers = _layers(*made.area.bounds)
    for name, layer in layers.items():
        layer.to_file(folder / f"{name}.geojson")
    files: dict[str, Any] = {name: f"{name}.geojson" for name in layers}
    files["overlays"] = {name: files.pop(name) for name in ("rivers", "roads")}
    area = made.monitor.area.model_copy(update=files)
    monitor = made.monitor.model_copy(update={"area": area})
    (folder / FILE_NAME).write_text(render(monitor), encoding="utf-8")
    daily.run(Workspace.open(folder), daily.RunOptions())


def _layers(west: float, south: float, east: float, north: float) -> dict[str, gpd.GeoDataFrame]:
    x, y = (west + east) / 2, (south + north) / 2
    halves = [
        box(west - 0.1, south - 0.1, x, north + 0.1),
        box(x, south - 0.1, east + 0.1, north + 1),
    ]
    towns = {
        "uf": ["PA", "PA"],
        "municipality": ["Altamira", "São Félix do Xingu"],
        "geocode": ["1500602", "1507300"],
    }
    named = {
        "protected_areas": (
            "Floresta Nacional de Exemplo", box(west - 0.1, y + 0.02, x + 0.01, north + 0.1)
        ),
        "indigenous_territories": (
            "Terra Indígena Exemplo", box(x + 0.015, south - 0.1, east + 0.1, y - 0.005)
        ),
        "rivers": (
            "Rio", LineString([(west - 0.1, y + 0.01), (x, y - 0.01), (east + 0.1, y + 0.03)])
        ),
        "roads": ("BR-999", LineString([(x - 0.02, south - 0.1), (x + 0.01, north + 0.1)])),
    }  # fmt: skip
    found = {"municipalities": gpd.GeoDataFrame(towns, geometry=halves, crs=4674)}
    for layer, (name, shape) in named.items():
        found[layer] = gpd.GeoDataFrame({"name": [name]}, geometry=[shape], crs=4674)
    return found


def operator(folder: Path) -> None:
    """An account that may draw samples."""
    url = Workspace.open(folder).monitor.store.url
    with Store.open(url, base=folder, create=False) as store, store.transaction() as session:
        account.add(
            session,
            name="olga",
            role=Role.OPERATOR,
            password_hash=hash_password(PASSWORD),
            created_at=NOW,
        )


def opened(browser: Browser, server: Server, language: str, size: dict[str, int]) -> Page:
    """A page of somebody whose browser speaks a language."""
    phone: dict[str, Any] = {"is_mobile": True, "has_touch": True} if size is PHONE else {}
    context = browser.new_context(viewport=size, locale=language, base_url=server.base, **phone)
    return context.new_page()


def keep(page: Page, path: Path) -> None:
    """The page as it is once its maps are drawn, in few colours."""
    page.wait_for_load_state("networkidle")
    expect(page.locator("[aria-busy=true]")).to_have_count(0, timeout=60_000)
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    shot.thumbnail((MOST_PX, MOST_PX))
    # The usual method gives rare colours away: outlines, flags.
    few = shot.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def queue(page: Page) -> None:
    """Draw the largest day's sample and open it."""
    page.goto("/login")
    page.locator("input[name=name]").fill("olga")
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("form.login button").click()
    page.wait_for_selector(".who")
    days = [w["issued_at"][:10] for w in page.request.get("/api/warnings").json()["items"]]
    token = page.request.get("/api/session").json()["csrf"]
    body = {"day": max(days, key=days.count), "plan": "deter_r"}
    page.request.post("/api/samples", data=body, headers={"X-CSRF-Token": token})
    page.goto("/queue")
    page.wait_for_selector(".queue-facts .facts", state="attached")
    page.wait_for_selector(".series-chart canvas")


def largest(page: Page) -> str:
    """Path of the largest confirmed warning."""
    asked = "/api/warnings?sort=-area_ha&limit=1&status=confirmed&intensity_class=high_intensity"
    return f"/w/{page.request.get(asked).json()['items'][0]['warning_id']}"


def main() -> None:
    """Make all pictures anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path, help="Made where it is not there.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/figures")
    arguments = parser.parse_args()
    out: Path = arguments.out
    if not arguments.workspace.exists():
        district(arguments.workspace)
    with served(arguments.workspace, 0, 0) as (server, _), sync_playwright() as playwright:
        operator(server.folder)
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = opened(browser, server, "pt-BR", DESK)
        page.goto("/")
        page.wait_for_selector("ul.warnings li")
        keep(page, out / "web_map_pt.png")
        page.goto(f"{largest(page)}/dossier?lang=pt")
        page.set_viewport_size({"width": 860, "height": 820})
        keep(page, out / "web_dossier_pt.png")

        page = opened(browser, server, "en-GB", DESK)
        queue(page)
        keep(page, out / "web_queue_en.png")

        page = opened(browser, server, "es", DESK)
        page.goto("/dashboard")
        page.wait_for_selector(".card-counts table")
        keep(page, out / "web_dashboard_es.png")

        page = opened(browser, server, "en-GB", PHONE)
        page.goto(largest(page))
        page.wait_for_selector(".series-chart canvas")
        keep(page, out / "web_phone_en.png")
        browser.close()


if __name__ == "__main__":
    main()
