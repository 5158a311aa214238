"""A Sentinel-1 scene, or a strip of one, from its images to its warnings by ``curupira run``.

Run: python benchmarks/full_scene.py [--rows 1024] [--columns 12500] [--images 90] [--preset NAME]

Makes the images of two years (20 m, on the grid, one orbit; VH, and VV if the preset reads it),
lets ``curupira run`` take all but the last one, then times what a night costs: the run that takes
and evaluates the last. A strip has the scene's width. What is said of the whole scene of 12,500 x
8,500 pixels is the strip's figure times the ratio of the areas; with ``--rows 8500`` nothing is
extrapolated (some 15 GB of disk).

CPU time stands beside wall time: on a machine that others use, only the former means something.
The bar of the issue, 2.5 times what the kernels alone would take at the rates of the prototypes, is
therefore one of CPU time, scaled by OpenCV's median as timed in this run, the faster of before and
after the night. With ``--keep FOLDER`` the archive stays, and a second call times the night alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
import shapely
from odc.geo.geobox import GeoBox

from curupira import presets
from curupira.codes import OrbitState
from curupira.config import Monitor, Workspace
from curupira.detect.params import DetectParams
from curupira.grid import LONLAT, project
from curupira.pipelines.workspace import write
from curupira.records import Asset, Scene
from curupira.stac import scene_item, write_catalogue
from curupira.store import run as runs
from curupira.store.session import Store
from detect_core import machine, seconds

RESULT = Path(__file__).parent / "results" / "full_scene.json"
CRS, PIXEL_M = "EPSG:32721", 20
SCENE = 12_500 * 8_500
FIRST = datetime(2022, 1, 3, 9, 30, tzinfo=UTC)
#: 90 images in the 26 months that a detection looks at.
STEP = timedelta(hours=211)
#: Images made, taken in and deleted at a time.
BATCH = 10
ROWS = 512
#: Prototypes on one thread (performance.md): M pixels/s of median, core and Lee; OpenCV's median.
MEDIAN, CORE, LEE, OPENCV = 204.0, 782.0, 215.0, 600.0
#: The same of the NaN-aware median.
MEDIAN_GAPS = 154.0


@dataclass(frozen=True)
class Cost:
    """What a process took."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    read_bytes: int


class Place:
    """The ground and its images: forest in dB, a season, clearings, and a stock of speckle."""

    def __init__(
        self, folder: Path, rows: int, columns: int, images: int, preset: str = "deter_r"
    ) -> None:
        self.folder, self.rows, self.columns, self.images = folder, rows, columns, images
        self.preset = preset
        needs_vv = DetectParams.from_preset(presets.load(preset)).needs_vv
        self.bands = ("vh", "vv") if needs_vv else ("vh",)
        west, north = 300_000, 9_500_000
        bounds = (west, north - rows * PIXEL_M, west + columns * PIXEL_M, north)
        self.grid = GeoBox.from_bbox(bounds, crs=CRS, resolution=PIXEL_M)
        rng = np.random.default_rng(1)
        self.speckle = rng.standard_gamma(4.4, (4 * ROWS, columns), dtype=np.float32) / 4.4
        self.level = 10 ** (rng.normal(-13.5, 0.3, (rows, columns)).astype(np.float32) / 10)
        self.cleared = np.full((rows, columns), images, dtype=np.uint8)
        for _ in range(rows * columns // 50_000):
            y, x, side = rng.integers(0, rows), rng.integers(0, columns), rng.integers(8, 40)
            when = rng.integers(max(images - 8, 0), images)
            self.cleared[y : y + side, x : x + side] = when

    def acquired(self, n: int) -> datetime:
        """Time of the n-th image."""
        return FIRST + n * STEP

    def path(self, n: int, band: str) -> Path:
        """File of a band of the n-th image."""
        return self.folder / f"{n:03d}_{band}.tif"

    def band(self, n: int, band: str) -> None:
        """Take a band, by pieces: speckle is drawn from the stock, moved and mirrored."""
        rng = np.random.default_rng([2, n, self.bands.index(band)])
        season = 10 ** (0.04 * np.cos(2 * np.pi * n * STEP.days / 365.25))
        profile = {
            "driver": "GTiff",
            "width": self.columns,
            "height": self.rows,
            "count": 1,
            "dtype": "float32",
            "nodata": float("nan"),
            "crs": CRS,
            "transform": self.grid.affine,
            "tiled": True,
            "blockxsize": 512,
            "blockysize": 512,
        }
        with rasterio.open(self.path(n, band), "w", **profile) as target:
            for y in range(0, self.rows, ROWS):
                rows = slice(y, min(y + ROWS, self.rows))
                height = rows.stop - rows.start
                start = rng.integers(0, 4 * ROWS - height + 1)
                speckle = self.speckle[start : start + height, :: rng.choice((1, -1))]
                power = self.level[rows] * np.roll(speckle, rng.integers(self.columns), axis=1)
                power *= np.where(self.cleared[rows] <= n, np.float32(0.4), np.float32(season))
                target.write(power, 1, window=rasterio.windows.Window(0, y, self.columns, height))

    def scene(self, n: int) -> Scene:
        """Take the n-th image."""
        for band in self.bands:
            self.band(n, band)
        # The scene reaches beyond a strip of it: its edges along the track lie elsewhere.
        beyond = max(0, SCENE // 12_500 - self.rows) * PIXEL_M / 2
        west, south, east, north = self.grid.boundingbox
        whole = shapely.box(west, south - beyond, east, north + beyond)
        outline = shapely.segmentize(whole, 5_000)
        return Scene(
            scene_id=f"image_{n:03d}",
            platform="sentinel-1a",
            acquired=self.acquired(n),
            created=self.acquired(n) + timedelta(hours=6),
            relative_orbit=83,
            orbit_state=OrbitState.DESCENDING,
            footprint=project(outline, CRS, LONLAT),
            assets={band: Asset(str(self.path(n, band))) for band in self.bands},
            slice_number=1,
        )

    def workspace(self, folder: Path, memory: str) -> Workspace:
        """A workspace that monitors from the last image on."""
        inside = self.grid.extent.geom.buffer(-1, join_style="mitre")
        outline = project(shapely.segmentize(inside, 5_000), CRS, LONLAT)
        feature = {
            "type": "Feature",
            "properties": {},
            "geometry": shapely.geometry.mapping(outline),
        }
        folder.mkdir(parents=True)
        area = {"type": "FeatureCollection", "features": [feature]}
        (folder / "area.geojson").write_text(json.dumps(area), encoding="utf-8")
        monitor = Monitor.model_validate(
            {
                "grid": {"crs": CRS},
                "source": {"catalogue": "catalog/catalog.json"}
                | ({} if "vv" in self.bands else {"asset_vv": ""}),
                "algorithm": {
                    "preset": self.preset,
                    "monitor_since": self.acquired(self.images - 1).date(),
                },
                "compute": {"memory": memory},
            }
        )
        return write(folder, monitor)

    def fill(self, workspace: Workspace) -> Cost:
        """Take in all images but the last, a batch at a time; what the runs cost together."""
        costs = []
        for first in range(0, self.images - 1, BATCH):
            batch = range(first, min(first + BATCH, self.images - 1))
            self.publish(workspace, batch)
            costs.append(curupira_run(workspace))
            for n in batch:
                for band in self.bands:
                    self.path(n, band).unlink()
            print(f"   {batch.stop} images", flush=True)
        return Cost(
            sum(c.wall_s for c in costs),
            sum(c.cpu_s for c in costs),
            max(c.peak_bytes for c in costs),
            sum(c.read_bytes for c in costs),
        )

    def publish(self, workspace: Workspace, numbers: range) -> None:
        """Let the catalogue show these images."""
        items = [scene_item(self.scene(n), self.grid) for n in numbers]
        write_catalogue(
            workspace.folder / "catalog", items, catalogue_id="bench", description="benchmark"
        )


def curupira_run(workspace: Workspace, *more: str) -> Cost:
    """``curupira run`` in a process of its own.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    program = Path(sys.executable).with_name("curupira")
    command = [str(program), "run", "--quiet", "-w", str(workspace.folder), *more]
    started = time.monotonic()
    process = subprocess.Popen(command)
    read = 0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        read = max(read, bytes_read(process.pid))
        time.sleep(0.05)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    wall = time.monotonic() - started
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, read)


def bytes_read(pid: int) -> int:
    """Bytes that a process has read so far, from the disk or its cache."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return int(next(line.split()[1] for line in lines if line.startswith("rchar")))


def kernels_alone(pixels: int, images: int, detected: int) -> dict[str, float]:
    """CPU seconds of median, core and Lee at the prototypes' rates, on this machine, now."""
    image = np.random.default_rng(3).random((1024, 1024), dtype=np.float32)
    cv2.setNumThreads(1)
    rate = image.size / seconds(lambda: cv2.medianBlur(image, 5), 25) / 1e6
    slower = OPENCV / rate
    work = pixels * images / 1e6
    lee = pixels * detected / LEE / 1e6
    return {
        "slower_than_the_prototypes_machine": slower,
        "without_gaps_s": slower * (work / MEDIAN + work / CORE + lee),
        "with_gaps_s": slower * (work / MEDIAN_GAPS + work / CORE + lee),
    }


def ledger(workspace: Workspace) -> dict[str, Any]:
    """What the last run wrote down: counts and wall seconds of its steps."""
    store = Store.open(workspace.monitor.store.url, base=workspace.folder, create=False)
    with store, store.reading() as session:
        row = runs.latest(session)
        if row is None:
            raise RuntimeError("the run left no trace")
        return {"counts": row.counts, "wall_s": row.timings}


def folder_bytes(folder: Path) -> int:
    """Size of all files."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Fill the archive, time the last night, and extrapolate."""
    if (folder / "ws").exists():
        workspace = Workspace.open(folder / "ws")
        history = None
        before = kernels_alone(options.rows * options.columns, options.images, 7)
        # Also if an earlier call was stopped: its night may be done, or half done.
        night = curupira_run(workspace, "--force")
    else:
        place = Place(folder, options.rows, options.columns, options.images, options.preset)
        workspace = place.workspace(folder / "ws", options.memory)
        history = place.fill(workspace)
        place.publish(workspace, range(options.images - 1, options.images))
        before = kernels_alone(options.rows * options.columns, options.images, 7)
        night = curupira_run(workspace)
    steps = ledger(workspace)
    after = kernels_alone(options.rows * options.columns, options.images, 7)
    ideal = min(before, after, key=lambda k: k["without_gaps_s"])
    share = options.rows * options.columns / SCENE
    km2 = options.rows * options.columns * PIXEL_M**2 / 1e6
    return {
        "machine": machine(),
        "date": date.today().isoformat(),
        "pixels": [options.rows, options.columns],
        "images": options.images,
        "memory": options.memory,
        "preset": workspace.preset.name,
        "archive_bytes": folder_bytes(workspace.folder / "cube"),
        "history": None if history is None else asdict(history),
        "night": asdict(night),
        "night_steps": steps,
        "kernels_alone": ideal,
        "cpu_ratio": night.cpu_s / ideal["without_gaps_s"],
        "cpu_s_per_1000_km2": night.cpu_s / km2 * 1000,
        "scene_extrapolated": {"factor": 1 / share, "cpu_s": night.cpu_s / share},
        "rows": table(night, ideal["without_gaps_s"], km2),
    }


def table(night: Cost, kernels_s: float, km2: float) -> list[dict[str, Any]]:
    """What a night costs, against what its kernels alone would: rows as of all benchmarks."""
    rows: list[tuple[str, float, str, float | None]] = [
        ("night", night.cpu_s, "CPU s", kernels_s),
        ("night, clock", night.wall_s, "s", None),
        ("night, peak memory", night.peak_bytes, "bytes", None),
        ("night, read", night.read_bytes, "bytes", None),
        ("night, per 1000 km2", night.cpu_s / km2 * 1000, "CPU s", None),
    ]
    return [
        {
            "name": name,
            "value": value,
            "unit": unit,
            "baseline": baseline,
            "ratio": None if baseline is None else value / baseline,
            "limit_fraction": None if baseline is None else baseline / value,
        }
        for name, value, unit, baseline in rows
    ]


def main() -> None:
    """Measure, print, write the JSON, and leave nothing else behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--columns", type=int, default=12_500)
    parser.add_argument("--images", type=int, default=90)
    parser.add_argument("--memory", default="3GB")
    parser.add_argument("--preset", default="deter_r")
    parser.add_argument(
        "--keep", type=Path, help="folder to work in, and to leave; again: the night anew"
    )
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="curupira_scene_"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        result = measure(options, folder)
    finally:
        if options.keep is None:
            shutil.rmtree(folder)
    print(json.dumps(result, indent=1))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
