"""Presets on simulated districts, by the shipped stages, without cube and database.

    python benchmarks/districts.py make DIR --seeds 51 52 [--scenario default]
    python benchmarks/districts.py run DIR --preset curupira --seeds 51 52 [--set OPTION=VALUE ...]

``make`` writes each district's masks, truth and its images on the 20 m grid, once. ``run`` detects
every acquisition of the monitored year with ``pipelines.warn.detect_acquisition``, folds the
polygons into warnings, and scores them by product.md section 8. It leaves out what only the store
adds (late scenes are folded in the order of acquisition). Observations are kept beside the images.
"""

from __future__ import annotations

import argparse
import json
import pickle
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from pyproj import CRS

from curupira import presets
from curupira.blocks import Window, executor
from curupira.codes import ClosedReason, IntensityClass
from curupira.config import Monitor, Workspace
from curupira.cube.reader import CubeReader
from curupira.pipelines import masks
from curupira.pipelines import simulate as writer
from curupira.pipelines import workspace as workspaces
from curupira.pipelines.accuracy import Judged, false_causes, read_truth
from curupira.pipelines.backlog import backlog
from curupira.pipelines.images import Detector, bounding_window, footprint, select_images
from curupira.pipelines.sar_mask import masking, news_after
from curupira.pipelines.warn import detect_acquisition
from curupira.records import Acquisition, Asset, Scene, group_acquisitions
from curupira.simulate.district import SimulatedDistrict, simulate_district
from curupira.sources.truth_rasters import CauseRasters
from curupira.validate.accuracy import Accuracy, Watch, assess
from curupira.validate.matching import Alert, Event, Sighting, meets
from curupira.validate.pool import Case, pool
from curupira.vectorise.attributes import area_ha
from curupira.vectorise.match import Book, Entry

FloatArray = npt.NDArray[np.float32]
MIN_AREA_HA = 0.4


def make(folder: Path, *, seed: int, scenario: str, size_km: float, revisit_days: int) -> None:
    """Simulate one district, unless it is there."""
    if (folder / "scenes.pickle").is_file():
        return
    district = simulate_district(
        size_km=size_km, years=4, revisit_days=revisit_days, seed=seed, scenario=scenario
    )
    folder.mkdir(parents=True, exist_ok=True)
    writer._write_area(folder / writer.AREA, district)
    roles = writer._write_masks(folder, district)
    writer._write_truth(folder, district)
    monitor = Monitor.model_validate(
        {
            "area": {"name": f"simulated {scenario} {seed}", "file": str(writer.AREA)},
            "grid": {"crs": str(district.landscape.grid.crs)},
            "source": {"catalogue": "catalog/catalog.json"},
            "masks": {role: [str(path)] for role, path in roles.items()},
            "algorithm": {"preset": "deter_r", "monitor_since": district.since},
        }
    )
    opened = workspaces.write(folder, monitor)
    masks.build(opened, datetime.now(UTC))
    scenes = _store(folder, district)
    for orbit, view in district.views.items():
        np.save(folder / f"lia_{orbit}.npy", _coarse(view.lia_deg))
    (folder / "scenes.pickle").write_bytes(pickle.dumps(scenes))
    print(f"made {folder}", flush=True)


def _store(folder: Path, district: SimulatedDistrict) -> list[Scene]:
    shape = (len(district.passes), *(n // 2 for n in district.landscape.grid.shape))
    stacks = {
        band: np.lib.format.open_memmap(folder / f"{band}.npy", "w+", np.float32, shape)
        for band in ("vh", "vv")
    }
    scenes = []
    for position, one in enumerate(district.passes):
        for band, image in zip(("vh", "vv"), district.renderer.image(position), strict=True):
            stacks[band][position] = _coarse(np.where(image > 0, image, np.nan))
        for number, piece in enumerate(writer._slices(district, one)):
            inside = np.broadcast_to(piece.inside, district.landscape.grid.shape)
            name = one.slice_name(number)
            if not inside.all():
                np.save(folder / f"inside_{name}.npy", _coarse(inside.astype(np.float32)) == 1)
            scenes.append(
                Scene(
                    scene_id=name,
                    platform=one.platform,
                    acquired=one.slice_time(number),
                    created=one.created + (one.slice_time(number) - one.acquired),
                    relative_orbit=one.relative_orbit,
                    orbit_state=one.orbit_state,
                    footprint=piece.footprint,
                    assets={b: Asset(str(position)) for b in ("vh", "vv", "lia")},
                    slice_number=piece.number,
                )
            )
    return scenes


def _coarse(image: npt.NDArray[Any]) -> FloatArray:
    """Mean of 2 x 2 pixels."""
    rows, columns = image.shape
    parts = image.reshape(rows // 2, 2, columns // 2, 2)
    return np.asarray(parts.mean(axis=(1, 3)), dtype=np.float32)


class Images:
    """The images of a district, read as the cube's reader does."""

    def __init__(self, folder: Path, scenes: Sequence[Scene]) -> None:
        self.folder = folder
        self.stacks = {b: np.load(folder / f"{b}.npy", mmap_mode="r") for b in ("vh", "vv")}
        self.lia = {p.stem[4:]: np.load(p) for p in folder.glob("lia_*.npy")}
        self.inside = {p.stem[7:]: np.load(p) for p in folder.glob("inside_*.npy")}
        self.position = {s.scene_id: int(s.assets["vh"].href) for s in scenes}

    def read(self, orbit: int, scene_id: str, band: str, window: Window) -> FloatArray:
        """One band of one scene in a window."""
        if band == "lia":
            return np.array(self.lia[str(orbit)][window.slices])
        values = np.array(self.stacks[band][self.position[scene_id]][window.slices])
        if scene_id in self.inside:
            values[~self.inside[scene_id][window.slices]] = np.nan
        return values

    def holding(self, wanted: Mapping[Any, Window]) -> Images:
        """These images: mapped into memory, they need no decoding."""
        return self


@dataclass(frozen=True)
class District:
    """A district on disk, opened."""

    folder: Path
    opened: Workspace
    scenes: list[Scene]

    @classmethod
    def open(cls, folder: Path) -> District:
        """Open what ``make`` wrote."""
        scenes = pickle.loads((folder / "scenes.pickle").read_bytes())
        return cls(folder, Workspace.open(folder), scenes)

    def detector(self, preset: presets.Preset) -> Detector:
        """The pipeline's detector, on the images in memory."""
        return Detector(
            grid=self.opened.grid,
            preset=preset,
            reader=cast(CubeReader, Images(self.folder, self.scenes)),
            masks=masks.load(self.opened, datetime.now(UTC)),
            config_hash="",
            tile_px=1024,
            memory=4 * 10**9,
            threads=1,
        )


def detect(district: District, preset: presets.Preset) -> tuple[Case, pd.DataFrame]:
    """Run a preset over the monitored year; the case to score, and all observations."""
    detector = district.detector(preset)
    known = group_acquisitions(district.scenes)
    since = district.opened.monitor.algorithm.monitor_since
    crs = CRS(str(detector.grid.crs))
    rule = str(preset.section("polygon")["area_crs"])
    book = Book(
        float(detector.grid.resolution.x) ** 2,
        lambda g: float(area_ha(np.array([g], dtype=object), crs, rule)[0]),
        news_after(preset, known, since),
    )
    events = read_truth(district.opened, district.folder / "truth.gpkg")
    sightings: dict[int, list[Sighting]] = {}
    rows: list[dict[str, Any]] = []
    due = [a for a in known if a.day >= since]
    with executor(workers=1) as run:
        old = backlog(detector, known, since, run, district.folder / "masks", lambda *_: {})
        for a in due:
            span, images = select_images(a, known, detector.params)
            window = bounding_window(footprint(a, detector.grid), detector.grid)
            mask = masking(book, a.day, window, detector) + old
            found = detect_acquisition(detector, a, images, mask, run, lambda w, x, s: None)
            _, homes = book.apply(span.detection[0], found.observations, a.created)
            for o in found.observations:
                if o.confirmed:
                    one = Sighting(a.created.date(), o.geometry)
                    sightings.setdefault(homes[o.seq].key, []).append(one)
                rows.append(_row(o, a, homes[o.seq], events, since))
    watch = Watch(
        preset=preset.name,
        since=since,
        end=max(a.day for a in due),
        known=max(a.created.date() for a in due),
        revisit_days=float(np.median(np.diff([a.day.toordinal() for a in due]))),
        monitored_km2=float(detector.masks.record["km2"]["monitored"]),
    )
    alerts = [_alert(e, tuple(sightings.get(e.key, ()))) for e in book.entries.values()]
    first = {str(e.key): e.first_flag for e in book.entries.values()}
    causes = false_causes(
        Judged(alerts, first, watch), events, CauseRasters(district.folder / "truth")
    )
    return Case(alerts, events, watch, causes), pd.DataFrame(rows)


def _alert(e: Entry, seen: tuple[Sighting, ...]) -> Alert:
    return Alert(
        warning_id=str(e.key),
        geometry=e.geometry,
        area_ha=e.geometry.area / 10_000,
        issued=e.issued_at.date(),
        confirmed=None if e.confirmed_at is None else e.confirmed_at.date(),
        last_flag=e.last_flag,
        confidence=e.confidence,
        low=e.intensity_class is IntensityClass.LOW,
        judged=e.closed_reason is not ClosedReason.MERGED,
        distance_m=e.distance_m,
        sightings=seen,
    )


def _row(
    o: Any, a: Acquisition, home: Entry, events: Sequence[Event], since: date
) -> dict[str, Any]:
    near = [
        e
        for e in events
        if e.start <= o.last_flag
        and e.geometry.intersects(o.geometry)
        and meets(o.geometry.intersection(e.geometry).area, o.geometry.area, e.geometry.area)
    ]
    names = ("n_alerts", "n_alerts_mean", "intensity", "confidence", "distance_m", "n_pixels")
    return {
        "day": a.day,
        "warning": home.key,
        "true": any(e.start > since for e in near),
        "old": bool(near) and all(e.start <= since for e in near),
        "confirmed": home.confirmed_at is not None,
        **{name: getattr(o, name) for name in names},
        "perimeter_m": o.geometry.length,
        "since_first_flag": (a.day - o.first_flag).days,
        "since_last_flag": (a.day - o.last_flag).days,
        "first_flag": o.first_flag,
        "x": o.geometry.centroid.x,
        "y": o.geometry.centroid.y,
    }


def headline(found: Accuracy) -> str:
    """The bars of issue B in one line."""
    d = found.document()
    false = d["false_per_1000km2_month"]
    parts = [f"{k} {_cell(d[k])}" for k in ("ua_count", "pa_all_count", "pa_count", "pa_at_ua98")]
    half = {days: round(e["value"] or 0, 2) for days, e in d["warned_by_days"].items()}
    return (
        f"{found.watch.preset}: {found.events} events, {found.warnings} warnings; "
        + "; ".join(parts)
        + f"; false confirmed {false['confirmed']['value']:.2f} preliminary "
        f"{false['preliminary']['value']:.2f}; median {d['delay_days']['median']['value']} / "
        f"{d['delay_from_event_days']['median']['value']} d; by {half}"
    )


def _cell(e: dict[str, Any]) -> str:
    return "-" if e["value"] is None else "{value:.3f} ({low:.3f}-{high:.3f})".format(**e)


def main() -> None:
    """Do what the arguments say."""
    top = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    top.add_argument("command", choices=["make", "run"])
    top.add_argument("folder", type=Path)
    top.add_argument("--seeds", type=int, nargs="+", required=True)
    top.add_argument("--scenario", default="default")
    top.add_argument("--size-km", type=float, default=10.0)
    top.add_argument("--revisit", type=int, default=12)
    top.add_argument("--preset", default="curupira")
    top.add_argument("--set", nargs="+", default=[], metavar="OPTION=VALUE")
    top.add_argument("--tag", default="", help="name of this variant in the files written")
    top.add_argument("--min-area-ha", type=float, default=MIN_AREA_HA)
    a = top.parse_args()
    folders = {s: a.folder / f"{a.scenario}-{a.revisit:02d}d-{s}" for s in a.seeds}
    if a.command == "make":
        for seed, folder in folders.items():
            make(
                folder,
                seed=seed,
                scenario=a.scenario,
                size_km=a.size_km,
                revisit_days=a.revisit,
            )
        return
    changes = tomllib.loads("\n".join(a.set))
    preset = presets.load(a.preset)
    preset = preset.replace(**changes) if changes else preset
    name = a.tag or a.preset
    cases = []
    for folder in folders.values():
        district = District.open(folder)
        case, rows = detect(district, preset)
        rows.assign(district=folder.name).to_parquet(folder / f"observations_{name}.parquet")
        (folder / f"case_{name}.pickle").write_bytes(pickle.dumps(case))
        cases.append(case)
        print(folder.name, headline(_assess(case, a.min_area_ha)), flush=True)
    found = _assess(pool(cases), a.min_area_ha)
    print("pooled", headline(found))
    (a.folder / f"{name}-{a.scenario}.json").write_text(json.dumps(found.document(), indent=2))


def _assess(case: Case, min_area_ha: float) -> Accuracy:
    causes = case.false_causes
    return assess(
        case.alerts, case.events, case.watch, min_area_ha=min_area_ha, false_causes=causes
    )


if __name__ == "__main__":
    main()
