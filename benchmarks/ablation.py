"""Each piece of preset `curupira` alone, on simulated districts of tuning, at little cost.

    python benchmarks/ablation.py DIR --districts default:52 default:56 wet:63 --json OUT

Cheaper than ``districts.py run --set``, and not the same: level and spread are learned once, from
the images before the watch, instead of anew for every image; confirmed warnings do not mask
later images; the backlog is masked as the variant itself sees it. So compare the rows with each
other, not with other tables. Kept images of ``districts.py run --keep`` in DIR are used.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from shapely.geometry.base import BaseGeometry

from curupira import presets
from curupira.blocks import Window
from curupira.codes import IntensityClass
from curupira.detect.baseline import Baseline, one_baseline
from curupira.detect.block import _outside, by_evidence
from curupira.detect.exceedance import exceedance
from curupira.detect.params import DetectParams
from curupira.detect.periods import days_since_2020, periods
from curupira.detect.screen import screen_images
from curupira.detect.screened import Screened
from curupira.detect.shadow import reconstruct
from curupira.detect.threshold import threshold_db
from curupira.detect.verify import Deviation, load_network, verified
from curupira.pipelines.accuracy import read_truth
from curupira.pipelines.images import looks_east, rasterise
from curupira.pipelines.masks import MONITORED
from curupira.pipelines.reading import read_block
from curupira.pipelines.sar_mask import SarMaskParams, wider
from curupira.pipelines.simulate_truth import TRUTH
from curupira.pipelines.usable import usable_images
from curupira.pipelines.warn import to_observations
from curupira.records import Acquisition, Observation, group_acquisitions
from curupira.units import add_months, naive_utc
from curupira.validate.matching import meets
from curupira.vectorise.match import Book
from curupira.vectorise.params import VectoriseParams
from curupira.vectorise.pixels import AlertPixels
from curupira.vectorise.polygons import extract
from districts import MIN_AREA_HA, District

FloatArray = npt.NDArray[np.float32]
#: One change of the frozen preset each; without the network the numbers that were tuned without it.
VARIANTS: dict[str, dict[str, Any]] = {
    "curupira": {},
    "without the network": {
        "verify": "none", "confidence_base": 0.72, "confidence_confirm": 0.9961,
    },
    "with new shadow": {"shadow": "reconstructed", "shadow_layover": 3.0},
    "without VV": {"evidence_vv_weight": 0.0},
    "without VV and network": {
        "verify": "none", "evidence_vv_weight": 0.0, "confidence_base": 0.72,
        "confidence_confirm": 0.9961,
    },
    "detection period of 2 months": {"detection_months": 2},
    "pixels from 4.5 nats alone": {"evidence_issue": 4.5},
    "without the screening": {"screen": "none"},
    "without the roughness of forest": {"evidence_patch_weight": 0.0},
    "season fitted as well": {"season": "harmonic"},
}  # fmt: skip


@dataclass(frozen=True)
class Stack:
    """The images of a district around the watch, filtered, with their level and spread."""

    acquisitions: list[Acquisition]
    days: npt.NDArray[np.int32]
    vh: Baseline
    vv: Baseline


def screened(
    district: District,
    params: DetectParams,
    band: str,
    since: date | None = None,
    background: npt.NDArray[np.bool_] | None = None,
) -> tuple[list[Acquisition], npt.NDArray[np.bool_], FloatArray | Screened]:
    """Images of a band from two years before the first detection period of a year of watch on.

    Which of them are of these two years, and all of them ``(time, y, x)``, screened if asked for.
    The year begins with ``since``; None: with the watch. ``background``: forest that tells the
    weather; None: all that is monitored.
    """
    known = group_acquisitions(district.scenes)
    since = since or district.opened.monitor.algorithm.monitor_since
    first = add_months(since, -params.period.detection_months)
    begin, end = add_months(first, -params.period.learning_months), add_months(since, 12)
    used = [a for a in known if begin <= a.day <= end]
    learning = np.array([a.day < first for a in used])
    window, forest = monitored(district)
    detector = district.detector(presets.load("curupira"))
    # The pass's ends and noisy seams are cut off as in ``curupira run``.
    block = read_block(detector, usable_images(used, detector), window)
    power = block.vh if band == "vh" else block.vv
    if params.screen.screen == "local":
        around = forest if background is None else background
        return used, learning, screen_images(power, learning, params.screen, background=around)
    return used, learning, power


def monitored(district: District) -> tuple[Window, npt.NDArray[np.bool_]]:
    """The whole grid, and where it is monitored."""
    detector = district.detector(presets.load("curupira"))
    window = Window(0, detector.grid.shape.y, 0, detector.grid.shape.x)
    return window, detector.masks.read_zones(window) == MONITORED


def stack_of(
    district: District,
    params: DetectParams,
    since: date | None = None,
    background: npt.NDArray[np.bool_] | None = None,
) -> Stack:
    """Learn from the two years before the first detection period of a year of watch."""
    parts = {}
    for band in ("vh", "vv"):
        used, learning, power = screened(district, params, band, since, background)
        orbit, scene = used[0].relative_orbit, used[0].scenes[0].scene_id
        lia = district.images.read(orbit, scene, "lia", monitored(district)[0])
        times = np.array([naive_utc(a.acquired) for a in used], dtype="datetime64[ns]")
        angles = np.broadcast_to(lia, power.shape)
        parts[band] = one_baseline(power, times, learning, angles, params)
    watched = [a for a, old in zip(used, learning, strict=True) if not old]
    return Stack(watched, days_since_2020(times[~learning]), parts["vh"], parts["vv"])


def evidence_of(stack: Stack, params: DetectParams) -> FloatArray:
    """What every image says, of both polarisations, verified if the variant does so."""
    weight = np.float32(params.evidence.evidence_vv_weight)
    ratio = stack.vh.ratio + weight * np.nan_to_num(stack.vv.ratio)
    if params.verify.verify == "none":
        return ratio
    return verified(ratio, _deviation(stack.vh), _deviation(stack.vv), load_network())


def _deviation(part: Baseline) -> Deviation:
    return Deviation(part.db, part.reference_db, part.spread_db)


class Watcher:
    """Polygons of one variant, image by image."""

    def __init__(self, district: District, stack: Stack, preset: presets.Preset) -> None:
        self.stack, self.params = stack, DetectParams.from_preset(preset)
        self.vectorise = VectoriseParams.from_preset(preset)
        self.detector = district.detector(preset)
        self.window, self.forest = monitored(district)
        self.distance = self.detector.masks.read_distance(self.window)
        self.ratio = evidence_of(stack, self.params)
        self.since = district.opened.monitor.algorithm.monitor_since

    def backlog(self) -> list[BaseGeometry]:
        """What the last image before the watch shows, a pixel wider."""
        before = [a for a in self.stack.acquisitions if a.day < self.since]
        old = self.look(before[-1], []) if before else []
        options = SarMaskParams.from_preset(self.detector.preset)
        return [wider(o.geometry, options, self.detector) for o in old]

    def look(self, acquisition: Acquisition, sar_mask: Sequence[BaseGeometry]) -> list[Observation]:
        """What an image shows, with those of its detection period, outside of a mask."""
        a, stack, params = acquisition, self.stack, self.params
        k = stack.acquisitions.index(a)
        forest = self.forest & ~rasterise(sar_mask, self.detector.grid, self.window)
        start = periods(a.day, params.period).detection[0]
        part = slice(next(i for i, b in enumerate(stack.acquisitions) if b.day >= start), k + 1)
        days, db = stack.days[part], stack.vh.db[part]
        drop = np.broadcast_to(threshold_db(self.distance, params.threshold), self.window.shape)
        found = exceedance(db, stack.vh.reference_db, drop, days)
        said = [(days, np.ascontiguousarray(self.ratio[part]))]
        found, score = by_evidence(found, said, self.distance, params)
        if params.shadow.shadow == "reconstructed":
            images = replace(_deviation(stack.vh), db=db)
            found, score = reconstruct(found, score, images, days, looks_east(a), params.shadow)
        found = _outside(found, ~forest)
        pixels = AlertPixels.from_block(
            self.window, found.n_alerts, found.first_flag_days, found.last_flag_days,
            found.excess_db, drop, np.where(forest, score, np.float32(0)),
            distance_m=self.distance,
        )  # fmt: skip
        return to_observations(
            extract(pixels, self.detector.grid, self.vectorise), a, self.detector
        )


def observe(district: District, stack: Stack, preset: presets.Preset) -> Iterator[dict[str, Any]]:
    """All polygons of the watch, with the warning each belongs to and the events it meets."""
    # Below the issue level too: the frontier needs them. None is confirmed, so none masks.
    watcher = Watcher(district, stack, preset.replace(confidence_issue=0.0, confidence_confirm=1.0))
    since = district.opened.monitor.algorithm.monitor_since
    events = read_truth(district.opened, district.opened.folder / TRUTH)
    tree = shapely.STRtree([e.geometry for e in events])
    watched = [k for k, a in enumerate(stack.acquisitions) if a.day >= since]
    old = Watcher(district, stack, preset).backlog()
    book = Book(400.0, lambda g: g.area / 10_000)
    for k in watched:
        a = stack.acquisitions[k]
        seen = watcher.look(a, old)
        start = periods(a.day, watcher.params.period).detection[0]
        _, homes = book.apply(start, seen, a.created)
        for o in seen:
            met = [
                int(j)
                for j in tree.query(o.geometry, predicate="intersects")
                if events[j].start <= o.last_flag
                and meets(
                    o.geometry.intersection(events[j].geometry).area,
                    o.geometry.area,
                    events[j].geometry.area,
                )
            ]
            yield {
                "warning": homes[o.seq].key, "day": a.day, "known": a.created.date(),
                "news": o.first_flag > stack.acquisitions[watched[0]].day, "area_ha": o.area_ha,
                "odds": np.log(o.confidence / max(1 - o.confidence, 1e-9)),
                "high": o.intensity_class is IntensityClass.HIGH,
                "events": [j for j in met if events[j].start > since],
            }  # fmt: skip


def score(rows: pd.DataFrame, events: pd.DataFrame, odds: float) -> dict[str, float]:
    """User's accuracy and share of events found, if warnings were confirmed from ``odds`` on."""
    old = rows.loc[~rows.news, "warning"].unique()
    sure = rows[(rows.odds >= odds) & ~rows.warning.isin(old)]
    by = sure.groupby("warning")
    true = by["events"].agg(lambda lists: any(len(one) > 0 for one in lists))
    true = true[by.area_ha.max() >= MIN_AREA_HA]
    told = sure.explode("events").dropna(subset="events")
    first = told.groupby("events").known.min().rename("found")
    lag = events.join(first, how="left")
    days = (pd.to_datetime(lag.found) - pd.to_datetime(lag.start)).dt.days
    return {
        "warnings": len(true), "false": int((~true).sum()), "ua": float(true.mean()),
        "found_60": float((days <= 60).mean()), "found_36": float((days <= 36).mean()),
        "found": float(days.notna().mean()),
    }  # fmt: skip


def truth(district: District, name: str, stack: Stack) -> pd.DataFrame:
    """Events of the watch from the smallest area on."""
    since, end = district.opened.monitor.algorithm.monitor_since, stack.acquisitions[-1].day
    events = enumerate(read_truth(district.opened, district.opened.folder / TRUTH))
    table = [
        {"event": f"{name}/{j}", "start": e.start}
        for j, e in events
        if since < e.start <= end and e.area_ha >= MIN_AREA_HA
    ]
    return pd.DataFrame(table).set_index("event")


def main() -> None:
    """Run the variants on all districts, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--districts", nargs="+", required=True, metavar="SCENARIO:SEED")
    parser.add_argument("--json", type=Path, required=True)
    a = parser.parse_args()
    rows: dict[str, list[pd.DataFrame]] = {name: [] for name in VARIANTS}
    events = []
    for place in a.districts:
        scenario, seed = place.split(":")
        asked = {"scenario": scenario, "seed": int(seed), "size_km": 10.0, "revisit_days": 12}
        district = District.of(a.folder / f"{scenario}-12d-{seed}", keep=True, **asked)
        stacks: dict[Any, Stack] = {}
        for name, changes in VARIANTS.items():
            preset = presets.load("curupira").replace(**changes)
            params = DetectParams.from_preset(preset)
            patch = params.evidence.evidence_patch_weight
            key = params.screen, params.season, params.period, patch
            if key not in stacks:
                stacks[key] = stack_of(district, params)
            frame = pd.DataFrame(observe(district, stacks[key], preset))
            frame["warning"] = f"{place}/" + frame.warning.astype(str)
            frame["events"] = [[f"{place}/{j}" for j in one] for one in frame["events"]]
            rows[name].append(frame)
        events.append(truth(district, place, next(iter(stacks.values()))))
        print(f"done {place}", flush=True)
        write(a.json, a.districts[: len(events)], rows, pd.concat(events))


def write(
    path: Path, done: list[str], rows: dict[str, list[pd.DataFrame]], events: pd.DataFrame
) -> None:
    """Table of what is done so far: at the shipped level, and at a user's accuracy of 99 %."""
    document: dict[str, Any] = {"districts": done, "events": len(events), "variants": {}}
    for name, frames in rows.items():
        table = pd.concat(frames, ignore_index=True)
        section = presets.load("curupira").replace(**VARIANTS[name]).section("confidence")
        level = float(section["confidence_confirm"])
        shipped = score(table, events, float(np.log(level / (1 - level))))
        points = [score(table, events, odds) for odds in np.arange(0, 8, 0.25)]
        best = max((p["found_60"] for p in points if p["ua"] >= 0.99), default=None)
        document["variants"][name] = shipped | {"found_60_at_ua99": best}
        print(name, document["variants"][name], flush=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
