"""Presets on the labelled sites of OPERA RTC-S1: VV and VH, both passes, never tuned on.

    python benchmarks/rtc_sites.py --data DIR [--peers] [--json OUT]

What it is not: forest. Most vegetation losses of the set are crop cycles, some sites are far from
the tropics, and a 3 x 3 mean of 30 m pixels stands for the filters. History: before 30 days ahead
of the change, or before October 2021 (no change). Each burst has its own baseline; season off.
``--peers`` needs distmetrics 1.0.8 (docs/accuracy.md says how it was installed).
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logit
from scipy.stats import beta

from curupira.detect.evidence import (
    accumulate,
    evidence_confidence,
    history_images,
    log_ratio,
    spread_db,
)
from curupira.detect.exceedance import exceedance
from curupira.detect.params import DetectParams
from curupira.detect.periods import days_since_2020, periods
from curupira.detect.reference import reference_level
from curupira.detect.threshold import threshold_db
from curupira.presets import load

FloatArray = npt.NDArray[np.float32]
NO_CHANGE_SPLIT = np.datetime64("2021-10-01")
LEAD = np.timedelta64(30, "D")
#: DIST-S1: an image alerts, a site is confirmed, alerts belong together.
ALERT, CONFIRMED, GAP = 2.5, 22.5, np.timedelta64(30, "D")


@dataclass(frozen=True)
class Site:
    """One site: its label, where its history ends, and the images of each burst, linear.

    ``bursts``: times, mean VH and mean VV; ``windows``: the same with 3 x 3 pixels, NaN missing.
    """

    label: str
    kind: str
    split: np.datetime64
    bursts: list[tuple[npt.NDArray[np.datetime64], FloatArray, FloatArray]]
    windows: list[tuple[npt.NDArray[np.datetime64], FloatArray, FloatArray]]


def read(folder: Path) -> Iterator[Site]:
    """Read the sites with a usable history: ten images of a burst or more before the split."""
    table = pd.read_parquet(folder / "rtc_3x3_timeseries.parquet").sort_values("datetime")
    labels = gpd.read_file(folder / "sites.geojson").drop_duplicates("site_id").set_index("site_id")
    for site, rows in table.groupby("site_id"):
        label = labels.loc[site]
        change = pd.to_datetime(label.change_time)
        split = NO_CHANGE_SPLIT if pd.isna(change) else change.to_datetime64() - LEAD
        bursts, windows = [], []
        for _, part in rows.groupby("burst_id"):
            times = pd.to_datetime(part.datetime).dt.tz_localize(None).to_numpy()
            pixels = [_pixels(part, band) for band in ("vv", "vh")]
            vv, vh = (_mean(p) for p in pixels)
            kept = ~np.isnan(vh)
            if (times[kept] < split).sum() >= 10:
                bursts.append((times[kept], vh[kept], vv[kept]))
                windows.append((times[kept], pixels[1][kept], pixels[0][kept]))
        if bursts:
            yield Site(label.change_label, label.change_type, split, bursts, windows)


def _pixels(rows: pd.DataFrame, band: str) -> FloatArray:
    values = rows[[f"{band}_{k}" for k in range(9)]].to_numpy(np.float64)
    known = np.isfinite(values) & (values > 0)
    return np.where(known, values, np.nan).astype(np.float32).reshape(-1, 3, 3)


def _mean(pixels: FloatArray) -> FloatArray:
    known = ~np.isnan(pixels)
    count = known.sum(axis=(1, 2))
    mean = np.where(known, pixels, 0).sum(axis=(1, 2), dtype=np.float64) / np.maximum(count, 1)
    return np.where(count >= 5, mean, np.nan).astype(np.float32)


def confirmed_on(site: Site, params: DetectParams, *, with_vv: bool) -> np.datetime64 | None:
    """Day on which a site is confirmed, all bursts together, day by day."""
    times, said, flags = [], [], []
    for t, vh, vv in site.bursts:
        learned = np.flatnonzero(t < site.split)
        watched = t >= site.split
        if params.evidence.evidence != "none":
            learned = learned[history_images(t[learned], params.evidence)]
        db, level, ratio = _judge(vh, learned, watched, params)
        if with_vv:
            weight = np.float32(params.evidence.evidence_vv_weight)
            ratio = ratio + weight * np.nan_to_num(_judge(vv, learned, watched, params)[2])
        times.append(t[watched])
        said.append(ratio)
        drop = threshold_db(None, params.threshold)
        flags.append([exceedance(image[np.newaxis], level, drop, np.zeros(1, np.int32)).n_alerts
                      for image in db])  # fmt: skip
    when = np.concatenate(times)
    order = np.argsort(when)
    when, ratio = when[order], np.concatenate(said)[order]
    flag = np.concatenate([np.ravel(f) for f in flags])[order] == 1
    days = days_since_2020(when)
    for k, day in enumerate(days):
        on = date(2020, 1, 1) + timedelta(days=int(day))
        start = np.datetime64(periods(on, params.period).detection[0])
        part = slice(int(np.searchsorted(when, start)), k + 1)
        if params.evidence.evidence == "none":
            sure = flag[part].sum() > params.confirm.confirm_n_alerts
        else:
            peak = accumulate(ratio[part], days[part], params.evidence).peak
            score = evidence_confidence(peak, params.evidence)[0, 0]
            sure = score >= params.evidence.confirm_confidence
        if sure:
            return when[k]
    return None


def distmetrics_on(site: Site) -> np.datetime64 | None:
    """Day on which DIST-S1 would confirm a site, by distmetrics' Mahalanobis distance of VV and VH.

    Its rule (method.md section 3): an image alerts from 2.5; confirmed where mean distance times
    the squared number of alerts is 22.5 or more; a gap of more than 30 days begins anew.
    """
    from distmetrics import compute_mahalonobis_dist_2d

    times, distances = [], []
    for t, *powers in site.windows:
        # Its own logit turns a list of images into one array, which its distance then refuses.
        vh, vv = (logit(np.clip(a, 1e-4, 1 - 1e-4)) for a in powers)
        past, now = np.flatnonzero(t < site.split), np.flatnonzero(t >= site.split)
        if not now.size:
            continue
        found = compute_mahalonobis_dist_2d(
            list(vv[past]), list(vh[past]), list(vv[now]), list(vh[now])
        )
        times.append(t[now])
        distances.append([float(d[1, 1]) for d in found.dist])
    when, distance = np.concatenate(times), np.concatenate(distances)
    alerts: list[float] = []
    last = site.split
    for k in np.argsort(when, kind="stable"):
        if not distance[k] >= ALERT:
            continue
        alerts = [*alerts, distance[k]] if when[k] - last <= GAP else [distance[k]]
        last = when[k]
        if np.mean(alerts) * len(alerts) ** 2 >= CONFIRMED:
            return when[k]
    return None


def _judge(
    power: FloatArray,
    learned: npt.NDArray[np.intp],
    watched: npt.NDArray[np.bool_],
    params: DetectParams,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    stack = power[:, np.newaxis, np.newaxis]
    level = reference_level(stack[learned], 5)
    db = 10 * np.log10(stack[watched])
    spread = spread_db(stack[learned], level, params.evidence)
    return db, level, log_ratio(db, level, spread, params.evidence)


def main() -> None:
    """Judge the sites, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peers", action="store_true", help="distmetrics as well")
    options = parser.parse_args()
    sites = list(read(options.data))
    groups = {
        "vegetation loss": [s for s in sites if s.label.startswith("VL")],
        "of these fire or clear cut": [
            s for s in sites if s.label.startswith("VL") and ("ut" in s.kind or "ire" in s.kind)
        ],
        "no change": [s for s in sites if s.label == "noChange"],
    }
    results = {}
    print("| rule | " + " | ".join(f"{k}, confirmed of {len(g)}" for k, g in groups.items()) + " |")
    print("|---|---|---|---|")
    rules: dict[str, Callable[[Site], np.datetime64 | None]] = {}
    for name, preset, vv in (("deter_r", "deter_r", False), ("curupira, VH", "curupira", False),
                             ("curupira, VH + VV", "curupira", True)):  # fmt: skip
        params = DetectParams.from_preset(load(preset))
        rules[name] = functools.partial(confirmed_on, params=params, with_vv=vv)
    if options.peers:
        rules["distmetrics 1.0.8, Mahalanobis"] = distmetrics_on
    for name, rule in rules.items():
        row = {}
        for group, members in groups.items():
            hits = sum(rule(s) is not None for s in members)
            n = len(members)
            low = float(beta.ppf(0.025, hits, n - hits + 1)) if hits else 0.0
            high = float(beta.ppf(0.975, hits + 1, n - hits)) if hits < n else 1.0
            row[group] = {"value": hits / n, "low": low, "high": high, "n": n}
        results[name] = row
        cells = (
            f"{e['value'] * e['n']:.0f} ({e['low']:.2f} to {e['high']:.2f})" for e in row.values()
        )
        print(f"| {name} | " + " | ".join(cells) + " |")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
