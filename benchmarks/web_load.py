"""The web application under load: many warnings in a browser, many interpreters at once.

``first``: Chromium's first view of the map over 10,000 and 100,000 synthetic warnings, then pans
and zooms, with the time between frames. ``voters``: 50 interpreters vote and pan for two minutes on
loopback; every vote that was answered 201 is looked for in the store afterwards.

    curupira simulate WS --size-km 10 && curupira run -w WS
    python benchmarks/web_load.py WS first|voters|all [--url postgresql+psycopg://...] [--kill]

The workspace is copied, not changed. ``--url``: an empty PostGIS database instead of the copy's
GeoPackage. ``--kill``: half-way the voters' server is killed (SIGKILL) and started again.
``--priority``: server and browser get the scheduler's highest share, for machines that do other
work (root). Chromium: /usr/bin/chromium, headless, software rendering.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import shapely
from sqlalchemy import insert, select

from curupira.codes import IntensityClass, Role, Status
from curupira.config import Workspace
from curupira.serve.sessions import hash_password
from curupira.store import account
from curupira.store.session import Store
from curupira.store.tables import ReviewRow, WarningRow

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "a long password 42"
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
#: Side of the ground over which the synthetic warnings lie, degrees, around the workspace.
EXTENT_DEG = 12.0
#: A first visitor comes so long after the server's start, seconds.
WARM_S = 3.0
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


def fill(store: Store, total: int, middle: tuple[float, float], seed: int = 1) -> list[str]:
    """Put synthetic open warnings of 24 corners around a place; half of them near each other."""
    rng = random.Random(seed)
    found = []
    for start in range(0, total, 5000):
        rows = [_row(rng, middle) for _ in range(min(5000, total - start))]
        found += [row["warning_id"] for row in rows]
        with store.transaction() as session:
            session.execute(insert(WarningRow), rows)
    return found


def _row(rng: random.Random, middle: tuple[float, float]) -> dict[str, Any]:
    spread = EXTENT_DEG if rng.random() < 0.5 else EXTENT_DEG / 10
    x, y = (m + rng.uniform(-spread, spread) / 2 for m in middle)
    issued = NOW - timedelta(hours=rng.uniform(0, 365 * 24))
    flag = issued.date() - timedelta(days=rng.randrange(6, 60))
    radius = rng.uniform(0.0005, 0.003)
    shape = shapely.Point(x, y).buffer(radius, quad_segs=6)
    confirmed = rng.random() < 0.7
    return {
        "geom": shapely.MultiPolygon([shape]),
        "warning_id": str(uuid.UUID(int=rng.getrandbits(128))),
        "status": Status.CONFIRMED if confirmed else Status.PRELIMINARY,
        "intensity_class": rng.choice(list(IntensityClass)),
        "confidence": rng.random(),
        "n_alerts": 2.0,
        "first_flag_date": flag,
        "first_flag_days": (flag - date(2020, 1, 1)).days,
        "issued_at": issued,
        "confirmed_at": issued if confirmed else None,
        "delay_from_flag_days": (issued.date() - flag).days if confirmed else None,
        "recorded_at": issued,
        "updated_at": issued,
        "area_ha": radius * radius * 3.14 * 1.23e6,
        "area_geodesic_ha": radius * radius * 3.14 * 1.23e6,
        "municipality": f"Municipality {rng.randrange(300)}",
        "uf": "PA",
        "priority": rng.randrange(1, 1000),
        "last_seen": issued.date(),
        "history": {"area_ha": []},
        "preset": "deter_r",
        "preset_hash": "0" * 16,
        "run_id": "load",
    }


class Server:
    """A server process on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        # Sessions outlive a process that is killed.
        self.environment = os.environ | {"CURUPIRA_SECRET": "of the benchmark, 32 characters long"}
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers and has read what its start reads."""
        command = [str(Path(sys.executable).parent / "curupira"), "serve", "-w", str(self.folder)]
        command += ["--port", str(self.port), "--quiet"]
        self.process = subprocess.Popen(command, env=self.environment)
        prefer()
        for _ in range(300):
            try:
                if httpx.get(f"{self.base}/api/session", timeout=2).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        time.sleep(WARM_S)

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.wait(20)


def prefer() -> None:
    """With --priority: the largest share of the scheduler for this process and its children."""
    if "--priority" not in sys.argv:
        return
    waiting = [os.getpid()]
    while waiting:
        pid = waiting.pop()
        # A process may end meanwhile.
        with suppress(OSError):
            Path(f"/proc/{pid}/autogroup").write_text("-15")
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())


@contextmanager
def served(
    workspace: Path, total: int, people: int, url: str = ""
) -> Iterator[tuple[Server, list[str]]]:
    """A server process over a filled copy of a workspace, and the ids of its warnings."""
    folder = Path(tempfile.mkdtemp(prefix="curupira-web-")) / "w"
    shutil.copytree(workspace, folder, ignore=shutil.ignore_patterns("items", "scenes", "truth*"))
    if url:
        monitor = folder / "monitor.toml"
        text = re.sub(r"(?m)^url = .*$", f'url = "{url}"', monitor.read_text(), count=1)
        monitor.write_text(text)
    opened = Workspace.open(folder)
    west, south, east, north = opened.area.bounds
    with Store.open(opened.monitor.store.url, base=folder, create=True) as store:
        keys = fill(store, total, ((west + east) / 2, (south + north) / 2))
        password = hash_password(PASSWORD)
        with store.transaction() as session:
            for k in range(people):
                account.add(
                    session,
                    name=f"i{k}",
                    role=Role.INTERPRETER,
                    password_hash=password,
                    created_at=NOW,
                )
    server = Server(folder)
    try:
        yield server, keys
    finally:
        server.process.terminate()
        server.process.wait(20)
        shutil.rmtree(folder.parent, ignore_errors=True)


#: What a page with a map of another site does.
_ELSEWHERE = "document.createElement('canvas').getContext('webgl2').clear(16384)"
#: In the page: gather the time between frames, milliseconds.
_FRAMES = """() => { window.frames_ms = []; let last = performance.now();
  const tick = (now) => {
    window.frames_ms.push(now - last); last = now; requestAnimationFrame(tick); };
  requestAnimationFrame(tick); }"""


def first_view(workspace: Path, total: int) -> dict[str, float]:
    """Seconds until warnings are on the screen, until all is drawn; frames while moving."""
    from playwright.sync_api import sync_playwright

    west, south, east, north = Workspace.open(workspace).area.bounds
    middle = ((west + east) / 2, (south + north) / 2)
    with served(workspace, total, 0) as (server, _), sync_playwright() as playwright:
        found: dict[str, float] = {}
        # All of them in sight, as cells; then the ground of the workspace, as polygons.
        views = ("", f"?view=6/{middle[1]:.3f}/{middle[0]:.3f}")
        # "cold": of a browser just started; "running": of one that has drawn another page.
        visits = (("cold", views[1]), ("area", views[0]), ("warm", views[1]), ("running", views[1]))
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        for name, view in visits:
            if name == "running":
                browser.close()
                browser = playwright.chromium.launch(
                    executable_path="/usr/bin/chromium", args=FLAGS
                )
                other = browser.new_page()
                other.evaluate(_ELSEWHERE)
                other.wait_for_timeout(500)
                other.close()
            page = browser.new_page(viewport={"width": 1280, "height": 800}, locale="en-GB")
            prefer()
            started = time.perf_counter()
            page.goto(f"{server.base}/{view}", wait_until="commit")
            prefer()
            page.wait_for_selector("ul.warnings li", timeout=60_000)
            found[f"{name}: list shown"] = time.perf_counter() - started
            page.wait_for_selector(
                ".map-preview, .map-canvas[aria-busy=false]", state="attached", timeout=60_000
            )
            found[f"{name}: warnings shown on the map"] = time.perf_counter() - started
            page.wait_for_selector(".map-canvas[aria-busy=false]", timeout=60_000)
            found[f"{name}: map drawn"] = time.perf_counter() - started
            if name == "warm":
                found |= _moves(page)
            page.close()
        browser.close()
    return found


def _moves(page: Any) -> dict[str, float]:
    """Drag and zoom the map over all its warnings; frames and what the server was asked."""
    waits: list[float] = []
    page.on("requestfinished", lambda r: waits.append(r.timing["responseEnd"]))
    page.evaluate(_FRAMES)
    for delta in (*[400] * 6, *[-400] * 8):
        page.mouse.move(800, 400)
        page.mouse.wheel(0, delta)
        page.wait_for_timeout(250)
        page.mouse.down()
        for step in range(8):
            page.mouse.move(800 - 25 * step, 400 + 10 * step)
            page.wait_for_timeout(16)
        page.mouse.up()
        page.wait_for_timeout(250)
    frames = np.array(page.evaluate("window.frames_ms"))
    return {
        "frame, median ms": float(np.median(frames)),
        "frame, p95 ms": float(np.percentile(frames, 95)),
        "frame, longest ms": float(frames.max()),
        "request while moving, p95 ms": float(np.percentile(waits, 95)) if waits else 0.0,
    }


class Voter(threading.Thread):
    """One interpreter: logs in, then votes and moves the map, with a pause between."""

    def __init__(self, base: str, k: int, keys: list[str], until: float, pause: float) -> None:
        super().__init__(daemon=True)
        self.base, self.k, self.keys, self.until, self.pause = base, k, keys, until, pause
        self.times: list[tuple[str, float]] = []
        self.errors: Counter[str] = Counter()
        self.kept: list[str] = []

    def run(self) -> None:
        """Vote and pan until time is up."""
        rng = random.Random(self.k)
        with httpx.Client(base_url=self.base, timeout=60) as client:
            answer = client.post("/api/login", json={"name": f"i{self.k}", "password": PASSWORD})
            client.headers["X-CSRF-Token"] = answer.json().get("csrf") or ""
            while time.time() < self.until:
                self._round(client, rng)
                time.sleep(rng.uniform(0.5, 1.5) * self.pause)

    def _round(self, client: httpx.Client, rng: random.Random) -> None:
        key = rng.choice(self.keys)
        self._ask(client, "warning", f"/api/warnings/{key}")
        zoom = rng.randrange(5, 14)
        side = 360 / 2**zoom * 2
        west = -55 + rng.uniform(-3, 3)
        box = f"{west:.4f},{-6:.4f},{west + side:.4f},{-6 + side / 2:.4f}"
        self._ask(client, "map", f"/api/warnings.geojson?bbox={box}&zoom={zoom}")
        self._ask(client, "list", f"/api/warnings?bbox={box}&limit=50")
        body = {"verdict": "recent_deforestation", "seconds_spent": 4.0}
        vote = self._ask(client, "vote", f"/api/warnings/{key}/review", body)
        if vote is not None and vote.status_code == 201:
            self.kept.append(vote.json()["vote_id"])

    def _ask(
        self, client: httpx.Client, kind: str, path: str, body: dict[str, Any] | None = None
    ) -> httpx.Response | None:
        started = time.perf_counter()
        try:
            answer = client.get(path) if body is None else client.post(path, json=body)
        except httpx.TransportError as error:
            self.errors[type(error).__name__] += 1
            time.sleep(0.2)
            return None
        self.times.append((kind, time.perf_counter() - started))
        # 409: the fifth interpreter, or the same one twice: an answer, not a fault.
        if answer.status_code >= 400 and answer.status_code != 409:
            self.errors[str(answer.status_code)] += 1
        return answer


def voters(
    workspace: Path, total: int, people: int, seconds: float, url: str, kill: bool
) -> dict[str, float]:
    """Times by kind of request, errors, votes lost, of people voting and panning at once."""
    with served(workspace, total, people, url) as (server, keys):
        until = time.time() + seconds
        crowd = [Voter(server.base, k, keys, until, 1.0) for k in range(people)]
        for one in crowd:
            one.start()
        if kill:
            time.sleep(seconds / 2)
            server.kill()
            server.start()
        for one in crowd:
            one.join()
        store_url = Workspace.open(server.folder).monitor.store.url
        opened = Store.open(store_url, base=server.folder, create=False)
        with opened as store, store.reading() as session:
            stored = set(session.scalars(select(ReviewRow.vote_id)))
    times = [pair for one in crowd for pair in one.times]
    kept = [vote for one in crowd for vote in one.kept]
    found: dict[str, float] = {"requests": len(times), "requests a second": len(times) / seconds}
    for kind in ("warning", "map", "list", "vote"):
        mine = [t for name, t in times if name == kind]
        found[f"{kind}, median ms"] = 1000 * float(np.median(mine))
        found[f"{kind}, p95 ms"] = 1000 * float(np.percentile(mine, 95))
    errors: Counter[str] = sum((one.errors for one in crowd), Counter())
    down = sum(n for name, n in errors.items() if not name.isdigit())
    found["refused connections"] = down
    found["errors"] = errors.total() - down
    found["votes"] = len(kept)
    found["votes lost"] = len(set(kept) - stored)
    return found


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("what", choices=("first", "voters", "all"))
    parser.add_argument("--warnings", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--url", default="")
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--priority", action="store_true")
    parser.add_argument("--note", default="", help="begins the names of the rows")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/results/web_load.json")
    arguments = parser.parse_args()
    prefer()
    load = os.getloadavg()[0]
    results: dict[str, dict[str, float]] = {}
    if arguments.what != "voters":
        for total in arguments.warnings:
            results[f"browser, {total} warnings"] = first_view(arguments.workspace, total)
    if arguments.what != "first":
        name = f"{arguments.people} interpreters, {arguments.seconds:g} s, 20000 warnings"
        name += f", {'PostGIS' if arguments.url else 'GeoPackage'}"
        name += ", killed half-way" if arguments.kill else ""
        results[name] = voters(
            arguments.workspace,
            20_000,
            arguments.people,
            arguments.seconds,
            arguments.url,
            arguments.kill,
        )
    for name, values in results.items():
        print(name)
        for key, value in values.items():
            print(f"  {key:<32}{value:>10.2f}")
    old = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
    rows = {row["name"]: row for row in old.get("rows", [])}
    for name, values in results.items():
        for key, value in values.items():
            label = f"{arguments.note}{name}: {key}"
            row = {"name": label, "value": round(value, 3), "unit": _unit(key)}
            row |= dict.fromkeys(("baseline", "ratio", "limit_fraction"))
            # The machine is shared: of each row, how busy it was, and whether we had priority.
            rows[label] = row | {"load_average": round(load, 1), "priority": arguments.priority}
    machine = {"cpus": os.cpu_count(), "python": sys.version.split()[0]}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine, "rows": list(rows.values())}
    arguments.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _unit(key: str) -> str:
    return "ms" if key.endswith("ms") else "s" if "shown" in key or "drawn" in key else "1"


if __name__ == "__main__":
    main()
