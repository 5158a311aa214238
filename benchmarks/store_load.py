"""The store under load: 100,000 warnings on a GeoPackage and on PostGIS.

Times what the daily routine and the map do with a store of that size: filling it, asking for a box,
exporting, choosing what to deliver, loading what an acquisition is matched with, and writing the
day's changes. Beside each time stands the client's CPU time, which a busy machine does not stretch.

    python benchmarks/store_load.py [--warnings 100000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import shapely

from curupira.codes import ClosedReason, IntensityClass, Status
from curupira.deliver.choose import choose
from curupira.deliver.export import export
from curupira.deliver.params import DeliveryParams
from curupira.pipelines.delivery_target import facts_of
from curupira.store import Store, WarningRow
from curupira.store import warning as warnings

ROOT = Path(__file__).resolve().parents[1]
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
#: A rectangle of the Brazilian Amazon, degrees.
WEST, SOUTH, EAST, NORTH = -66.0, -12.0, -48.0, 0.0
#: Share of warnings that are open, and warnings that a night issues and updates.
OPEN, ISSUED, UPDATED = 0.3, 300, 700
#: A target that gets every open warning.
TARGET = DeliveryParams(
    kind="folder",
    url="out",
    statuses=("preliminary", "confirmed"),
    unvalidated_classes=tuple(IntensityClass),
)


def outline(rng: random.Random, corners: int = 48) -> shapely.MultiPolygon:
    """A ragged polygon of some hectares."""
    x, y = rng.uniform(WEST, EAST), rng.uniform(SOUTH, NORTH)
    radius = rng.uniform(0.0008, 0.003)
    disc = shapely.Point(x, y).buffer(radius, quad_segs=corners // 4)
    return shapely.MultiPolygon([disc])


def warning(rng: random.Random, run: str) -> WarningRow:
    """A warning as a run would write it."""
    issued = NOW - timedelta(hours=rng.uniform(0, 4 * 365 * 24))
    is_open = rng.random() < OPEN
    flag = issued.date() - timedelta(days=6)
    status = rng.choice((Status.PRELIMINARY, Status.CONFIRMED)) if is_open else Status.CLOSED
    return WarningRow(
        geom=outline(rng),
        warning_id=str(uuid.UUID(int=rng.getrandbits(128))),
        status=status,
        closed_reason=None if is_open else ClosedReason.EXPIRED,
        intensity_class=rng.choice(list(IntensityClass)),
        confidence=rng.random(),
        n_alerts=2.0,
        first_flag_date=flag,
        first_flag_days=(flag - date(2020, 1, 1)).days,
        issued_at=issued,
        recorded_at=issued,
        updated_at=issued,
        area_ha=5.0,
        area_geodesic_ha=5.0,
        last_seen=issued.date(),
        history={"area_ha": [[flag.isoformat(), 5.0]]},
        preset="deter_r",
        preset_hash="0" * 16,
        run_id=run,
    )


Times = dict[str, tuple[float, float]]


def timed(work: Callable[[], Any], repeat: int = 1) -> tuple[float, float]:
    """Median seconds of some repetitions, of the clock and of this process's CPU."""
    wall, cpu = [], []
    for _ in range(repeat):
        started, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
    return median(wall), median(cpu)


def measure(store: Store, total: int, folder: Path, seed: int = 1) -> Times:
    """All times of one store, seconds."""
    rng = random.Random(seed)
    found: Times = {}

    def fill() -> None:
        for start in range(0, total, 5000):
            with store.transaction() as session:
                session.add_all(warning(rng, "fill") for _ in range(min(5000, total - start)))

    found["insert all"] = timed(fill)

    def box(side: float) -> int:
        x, y = rng.uniform(WEST, EAST - side), rng.uniform(SOUTH, NORTH - side)
        with store.reading() as session:
            return len(warnings.query(session, bbox=(x, y, x + side, y + side)))

    found["box of 0.5 degrees"] = timed(lambda: box(0.5), 51)
    found["box of 5 degrees"] = timed(lambda: box(5.0), 5)

    def matching() -> list[WarningRow]:
        with store.reading() as session:
            return warnings.for_matching(session)

    found["load what is matched"] = timed(matching)

    def night() -> None:
        with store.transaction() as session:
            session.add_all(warning(rng, "night") for _ in range(ISSUED))
            known = warnings.open_ones(session)
            for row in rng.sample(known, min(UPDATED, len(known))):
                row.geom = outline(rng)
                row.last_seen, row.updated_at = NOW.date(), NOW

    found["daily merge"] = timed(night)
    told: dict[str, str] = {}

    def deliverable() -> None:
        with store.reading() as session:
            rows = warnings.query(session)
        for row in rows:
            choice = choose(facts_of(row), told.get(row.warning_id), TARGET, None)
            if choice is not None:
                told[row.warning_id] = choice.digest

    found["choose, first time"] = timed(deliverable)
    found["choose, nothing new"] = timed(deliverable)
    tables = []

    def read() -> None:
        with store.reading() as session:
            tables.append(warnings.to_geodataframe(warnings.query(session)))

    found["read all as a table"] = timed(read)
    for suffix in ("gpkg", "geojson"):
        target = folder / f"out.{suffix}"
        found[f"write {suffix}"] = timed(lambda target=target: export(tables[0], target))
    return found


@contextmanager
def postgis_store(folder: Path) -> Iterator[Store]:
    """A store in a PostGIS server of its own."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from postgis import running

    place = Path(tempfile.mkdtemp(prefix="curupira-pg-"))
    if os.getuid() == 0:
        shutil.chown(place, "postgres")
    try:
        with (
            running(place) as server,
            server.database() as name,
            Store.open(server.url(name), base=folder, create=True) as store,
        ):
            yield store
    finally:
        shutil.rmtree(place, ignore_errors=True)


def main() -> None:
    """Measure both stores, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--warnings", type=int, default=100_000)
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/results/store_load.json")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="curupira-load-"))
    results: dict[str, Times] = {}
    try:
        with Store.open("sqlite:///warnings.gpkg", base=folder, create=True) as store:
            results["geopackage"] = measure(store, arguments.warnings, folder)
        size = (folder / "warnings.gpkg").stat().st_size
        with postgis_store(folder) as store:
            results["postgis"] = measure(store, arguments.warnings, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{arguments.warnings} warnings, load average {os.getloadavg()[0]:.1f}")
    print(f"{'':<24}{'GeoPackage':>12}{'(CPU)':>10}{'PostGIS':>12}{'(CPU)':>10}  s")
    for name, (wall, cpu) in results["geopackage"].items():
        other = results["postgis"][name]
        print(f"{name:<24}{wall:>12.4f}{cpu:>10.4f}{other[0]:>12.4f}{other[1]:>10.4f}")
    print(f"GeoPackage file: {size / 1e6:.0f} MB")
    rows = [
        {
            "name": f"{kind}/{name}{suffix}",
            "value": round(seconds, 5),
            "unit": "s",
            "baseline": None,
            "ratio": None,
            "limit_fraction": None,
        }
        for kind, times in results.items()
        for name, both in times.items()
        for suffix, seconds in zip(("", " (client CPU)"), both, strict=True)
    ]
    document = {
        "warnings": arguments.warnings,
        "geopackage_bytes": size,
        "machine": {
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "load_average": round(os.getloadavg()[0], 1),
            "postgis": "fsync off",
        },
        "rows": rows,
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
