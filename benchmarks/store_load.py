"""The store under load: 100,000 warnings on a GeoPackage and on PostGIS.

Times what the daily routine and the map do with a store of that size: filling it, asking for a box,
exporting, loading what an acquisition is matched with, and writing the day's changes.

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
from curupira.deliver.export import export
from curupira.store import Store, WarningRow
from curupira.store import warning as warnings

ROOT = Path(__file__).resolve().parents[1]
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
#: A rectangle of the Brazilian Amazon, degrees.
WEST, SOUTH, EAST, NORTH = -66.0, -12.0, -48.0, 0.0
#: Share of warnings that are open, and warnings that a night issues and updates.
OPEN, ISSUED, UPDATED = 0.3, 300, 700


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


def timed(work: Callable[[], Any], repeat: int = 1) -> tuple[float, Any]:
    """Median seconds of some repetitions, and the last result."""
    seconds = []
    result = None
    for _ in range(repeat):
        started = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - started)
    return median(seconds), result


def measure(store: Store, total: int, folder: Path, seed: int = 1) -> dict[str, float]:
    """All times of one store, seconds."""
    rng = random.Random(seed)
    found: dict[str, float] = {}

    def fill() -> None:
        for start in range(0, total, 5000):
            with store.transaction() as session:
                session.add_all(warning(rng, "fill") for _ in range(min(5000, total - start)))

    found["insert all"], _ = timed(fill)

    def box(side: float) -> int:
        x, y = rng.uniform(WEST, EAST - side), rng.uniform(SOUTH, NORTH - side)
        with store.reading() as session:
            return len(warnings.query(session, bbox=(x, y, x + side, y + side)))

    found["box of 0.5 degrees"], _ = timed(lambda: box(0.5), 51)
    found["box of 5 degrees"], _ = timed(lambda: box(5.0), 5)

    def matching() -> list[WarningRow]:
        with store.reading() as session:
            return warnings.for_matching(session)

    found["load what is matched"], _ = timed(matching)

    def night() -> None:
        with store.transaction() as session:
            session.add_all(warning(rng, "night") for _ in range(ISSUED))
            known = warnings.open_ones(session)
            for row in rng.sample(known, min(UPDATED, len(known))):
                row.geom = outline(rng)
                row.last_seen, row.updated_at = NOW.date(), NOW

    found["daily merge"], _ = timed(night)
    with store.reading() as session:
        rows, table_seconds = None, time.perf_counter()
        rows = warnings.query(session)
        table = warnings.to_geodataframe(rows)
        found["read all as a table"] = time.perf_counter() - table_seconds
    for suffix in ("gpkg", "geojson"):
        target = folder / f"out.{suffix}"
        found[f"write {suffix}"], _ = timed(lambda target=target: export(table, target))
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
    results: dict[str, dict[str, float]] = {}
    try:
        with Store.open("sqlite:///warnings.gpkg", base=folder, create=True) as store:
            results["geopackage"] = measure(store, arguments.warnings, folder)
        size = (folder / "warnings.gpkg").stat().st_size
        with postgis_store(folder) as store:
            results["postgis"] = measure(store, arguments.warnings, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{arguments.warnings} warnings, load average {os.getloadavg()[0]:.1f}")
    print(f"{'':<24}{'GeoPackage':>12}{'PostGIS':>12}  s")
    for name in results["geopackage"]:
        both = (results["geopackage"][name], results["postgis"][name])
        print(f"{name:<24}{both[0]:>12.4f}{both[1]:>12.4f}")
    print(f"GeoPackage file: {size / 1e6:.0f} MB")
    rows = [
        {
            "name": f"{kind}/{name}",
            "value": round(seconds, 5),
            "unit": "s",
            "baseline": None,
            "ratio": None,
            "limit_fraction": None,
        }
        for kind, times in results.items()
        for name, seconds in times.items()
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
