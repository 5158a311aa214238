"""Presets on simulated districts, by the shipped stages, without cube and database.

    python benchmarks/districts.py run DIR --preset curupira deter_r --seeds 51 52 --jobs 2
        [--scenario rain] [--set OPTION=VALUE ...] [--tag NAME] [--keep]

Each district is simulated in memory: what is left of it are its small masks and its truth. Pixels
are those that the cube would hold (20 m, its steps of 0.01 dB). Then every acquisition of the
monitored year is detected with ``pipelines.warn.detect_acquisition``, the polygons are folded into
warnings, and scored by product.md section 8. What only the store adds is left out (late scenes are
folded in the order of acquisition).
A district that has its result in DIR is not run again. ``--keep`` keeps the images, so that further
runs on the same seeds, with other options, need not simulate anew.
"""

from __future__ import annotations

import argparse
import json
import pickle
import tomllib
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from curupira import presets
from curupira.blocks import Window, executor
from curupira.codes import ClosedReason, IntensityClass
from curupira.cog import write_atomic
from curupira.config import Monitor, Workspace
from curupira.cube.codec import Codes, decode, decode_degrees, encode, encode_degrees
from curupira.cube.reader import CubeReader
from curupira.detect.periods import periods
from curupira.pipelines import masks
from curupira.pipelines import workspace as workspaces
from curupira.pipelines.accuracy import Judged, false_causes, read_truth
from curupira.pipelines.backlog import backlog
from curupira.pipelines.images import Detector, bounding_window, footprint, select_images
from curupira.pipelines.sar_mask import masking, news_after
from curupira.pipelines.simulate import AREA, slice_scene, slices
from curupira.pipelines.simulate_truth import TRUTH, write_area, write_masks, write_truth
from curupira.pipelines.warn import detect_acquisition
from curupira.records import Acquisition, Asset, Observation, Scene, group_acquisitions
from curupira.simulate.district import SimulatedDistrict, simulate_district
from curupira.sources.truth_rasters import CauseRasters
from curupira.validate.accuracy import Accuracy, assess
from curupira.validate.found import Watch
from curupira.validate.matching import Alert, Event, Sighting, meets
from curupira.validate.pool import Case, pool
from curupira.vectorise.attributes import area_ha
from curupira.vectorise.match import Book, Entry

FloatArray = npt.NDArray[np.float32]
MIN_AREA_HA = 0.4
BANDS = ("vh", "vv")
#: Holds the scenes of a district whose images were kept.
KEPT = "scenes.pickle"


@dataclass(frozen=True)
class Images:
    """The images of a district in memory, read as the cube's reader does.

    ``stacks``: band to codes ``(pass, y, x)``; ``lia``: orbit to ``(y, x)``; ``inside``: scenes
    that end within the district, and where they are.
    """

    stacks: dict[str, Codes]
    lia: dict[int, FloatArray]
    inside: dict[str, npt.NDArray[np.bool_]]
    position: dict[str, int]

    def read(self, orbit: int, scene_id: str, band: str, window: Window) -> FloatArray:
        """One band of one scene in a window."""
        if band == "lia":
            return np.array(self.lia[orbit][window.slices])
        return decode(self.read_codes(orbit, scene_id, band, window))

    def read_codes(self, orbit: int, scene_id: str, band: str, window: Window) -> Codes:
        """The same as the cube's codes, but no angles."""
        codes = np.array(self.stacks[band][self.position[scene_id]][window.slices])
        if scene_id in self.inside:
            codes[~self.inside[scene_id][window.slices]] = 0
        return codes

    def holding(self, wanted: Mapping[Any, Window], **_: int) -> Images:
        """These images: they need no decoding."""
        return self


@dataclass(frozen=True)
class District:
    """A simulated district: a workspace's folder with masks and truth, and images in memory."""

    opened: Workspace
    scenes: list[Scene]
    images: Images

    @classmethod
    def simulate(
        cls, folder: Path, *, seed: int, scenario: str, monitored_years: int = 1, **asked: Any
    ) -> District:
        """Simulate one; ``folder`` gets masks, truth and ``monitor.toml``."""
        district = simulate_district(
            years=3 + monitored_years,
            monitored_months=12 * monitored_years,
            seed=seed,
            scenario=scenario,
            **asked,
        )
        folder.mkdir(parents=True, exist_ok=True)
        write_area(folder / AREA, district)
        roles = write_masks(folder, district)
        write_truth(folder, district)
        monitor = Monitor.model_validate(
            {
                "area": {"name": f"simulated {scenario} {seed}", "file": str(AREA)},
                "grid": {"crs": str(district.landscape.grid.crs)},
                "source": {"catalogue": "catalog/catalog.json"},
                "masks": {role: [str(path)] for role, path in roles.items()},
                "algorithm": {"preset": "deter_r", "monitor_since": district.since},
            }
        )
        opened = workspaces.write(folder, monitor)
        masks.build(opened, datetime.now(UTC))
        return cls(opened, *render(district))

    @classmethod
    def of(cls, folder: Path, *, keep: bool, **asked: Any) -> District:
        """Open a district whose images were kept, or simulate it."""
        kept = folder / KEPT
        if kept.is_file():
            scenes, lia, inside, position = pickle.loads(kept.read_bytes())
            stacks = {b: np.load(folder / f"{b}_codes.npy", mmap_mode="r") for b in BANDS}
            return cls(Workspace.open(folder), scenes, Images(stacks, lia, inside, position))
        district = cls.simulate(folder, **asked)
        if keep:
            images = district.images
            for band in BANDS:
                np.save(folder / f"{band}_codes.npy", images.stacks[band])
            parts = (district.scenes, images.lia, images.inside, images.position)
            kept.write_bytes(pickle.dumps(parts))
        return district

    def detector(self, preset: presets.Preset) -> Detector:
        """The pipeline's detector, on the images in memory."""
        return Detector(
            grid=self.opened.grid,
            preset=preset,
            reader=cast(CubeReader, self.images),
            masks=masks.load(self.opened, datetime.now(UTC)),
            config_hash="",
            tile_px=1024,
            memory=4 * 10**9,
            threads=1,
        )


def render(district: SimulatedDistrict) -> tuple[list[Scene], Images]:
    """All images of a district as the cube would hold them, and their scenes."""
    shape = (len(district.passes), *(n // 2 for n in district.landscape.shape))
    stacks = {band: np.empty(shape, dtype=np.uint16) for band in BANDS}
    lia = {o: decode_degrees(encode_degrees(coarse(v.lia_deg))) for o, v in district.views.items()}
    images = Images(stacks, lia, {}, {})
    scenes = []
    for position, one in enumerate(district.passes):
        for band, image in zip(BANDS, district.renderer.image(position), strict=True):
            stacks[band][position] = encode(coarse(image))
        for number, piece in enumerate(slices(district, one)):
            name = one.slice_name(number)
            images.position[name] = position
            if not np.all(piece.inside):
                whole = np.broadcast_to(piece.inside, district.landscape.shape)
                images.inside[name] = coarse(whole.astype(np.float32)) == 1
            assets = {b: Asset(str(position)) for b in (*BANDS, "lia")}
            scenes.append(slice_scene(one, number, piece, assets))
    return scenes, images


def coarse(image: FloatArray) -> FloatArray:
    """Mean of 2 x 2 pixels."""
    total = image[::2, ::2] + image[::2, 1::2] + image[1::2, ::2] + image[1::2, 1::2]
    return np.asarray(total / np.float32(4))


class Shipped:
    """Detection as ``curupira run`` does it: everything anew for every image."""

    def __init__(self, district: District, preset: presets.Preset) -> None:
        self.district, self.detector = district, district.detector(preset)
        self.known = group_acquisitions(district.scenes)

    def backlog(self) -> list[BaseGeometry]:
        """As the pipeline finds it."""
        opened = self.district.opened
        since = opened.monitor.algorithm.monitor_since
        with executor(workers=1) as run:
            return backlog(
                self.detector, self.known, since, run, opened.folder, lambda *_: {}, keep=False
            )

    def look(self, acquisition: Acquisition, sar_mask: Sequence[BaseGeometry]) -> list[Observation]:
        """One acquisition against its own past."""
        _, images = select_images(acquisition, self.known, self.detector.params)
        with executor(workers=1) as run:
            return detect_acquisition(
                self.detector, acquisition, images, sar_mask, run, lambda w, x, s: None
            ).observations


def detect(
    district: District, preset: presets.Preset, eyes: Any = None
) -> tuple[Case, pd.DataFrame]:
    """Run a preset over the monitored year; the case to score, and all observations.

    ``eyes``: another way to look than ``Shipped``, with its members.
    """
    eyes = eyes or Shipped(district, preset)
    detector = eyes.detector
    known = group_acquisitions(district.scenes)
    since = district.opened.monitor.algorithm.monitor_since
    crs = CRS(str(detector.grid.crs))
    rule = str(preset.section("polygon")["area_crs"])
    book = Book(
        float(detector.grid.resolution.x) ** 2,
        lambda g: float(area_ha(np.array([g], dtype=object), crs, rule)[0]),
        news_after(preset, known, since),
    )
    events = read_truth(district.opened, district.opened.folder / TRUTH)
    sightings: dict[int, list[Sighting]] = {}
    rows: list[dict[str, Any]] = []
    due = [a for a in known if a.day >= since]
    old = eyes.backlog()
    for a in due:
        start = periods(a.day, detector.params.period).detection[0]
        window = bounding_window(footprint(a, detector.grid), detector.grid)
        seen = eyes.look(a, masking(book, a.day, window, detector) + old)
        _, homes = book.apply(start, seen, a.created)
        for o in seen:
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
        Judged(alerts, first, watch), events, CauseRasters(district.opened.folder / "truth")
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


def _run(job: tuple[Path, dict[str, presets.Preset], bool, dict[str, Any]]) -> list[str]:
    """Run the presets that a district has no result of; the headline of each."""
    folder, wanted, keep, asked = job
    due = {t: p for t, p in wanted.items() if not (folder / f"case_{t}.pickle").is_file()}
    if not due:
        return []
    lines = []
    district = District.of(folder, keep=keep, **asked)
    for tag, preset in due.items():
        case, rows = detect(district, preset)
        rows.assign(district=folder.name).to_parquet(folder / f"observations_{tag}.parquet")
        # Last, and whole: where it is, the district is done.
        write_atomic(folder / f"case_{tag}.pickle", pickle.dumps(case))
        lines.append(f"{folder.name} {headline(score(case))}")
    return lines


def main() -> None:
    """Run the districts asked for."""
    top = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    top.add_argument("command", choices=["run"])
    top.add_argument("folder", type=Path)
    top.add_argument("--seeds", type=int, nargs="+", required=True)
    top.add_argument("--scenario", default="default")
    top.add_argument("--size-km", type=float, default=10.0)
    top.add_argument("--revisit", type=int, default=12)
    top.add_argument("--preset", nargs="+", default=["curupira"])
    top.add_argument("--set", nargs="+", default=[], metavar="OPTION=VALUE")
    top.add_argument("--tag", default="", help="name of this variant, instead of the preset's")
    top.add_argument("--jobs", type=int, default=1, help="processes")
    top.add_argument("--keep", action="store_true", help="keep the images")
    a = top.parse_args()
    if a.tag and len(a.preset) > 1:
        top.error("--tag names one preset")
    changes = tomllib.loads("\n".join(a.set))
    wanted = {
        a.tag or name: presets.load(name).replace(**changes) if changes else presets.load(name)
        for name in a.preset
    }
    asked = {"scenario": a.scenario, "size_km": a.size_km, "revisit_days": a.revisit}
    folders = {s: a.folder / f"{a.scenario}-{a.revisit:02d}d-{s}" for s in a.seeds}
    jobs = [(f, wanted, a.keep, {"seed": s, **asked}) for s, f in folders.items()]
    with ProcessPoolExecutor(a.jobs, mp_context=get_context("spawn")) as pool_of:
        for lines in pool_of.map(_run, jobs):
            print("\n".join(lines), flush=True)
    for tag in wanted:
        cases = [pickle.loads((f / f"case_{tag}.pickle").read_bytes()) for f in folders.values()]
        found = score(pool(cases))
        print("pooled", headline(found))
        text = json.dumps(found.document(), indent=2)
        (a.folder / f"{tag}-{a.scenario}.json").write_text(text)


def score(case: Case) -> Accuracy:
    """The case by product.md section 8, from the smallest area on."""
    return assess(
        case.alerts,
        case.events,
        case.watch,
        min_area_ha=MIN_AREA_HA,
        false_causes=case.false_causes,
    )


if __name__ == "__main__":
    main()
