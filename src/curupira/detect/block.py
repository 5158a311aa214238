"""One block of a stack: season, filters, reference level, threshold, exceedance. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date
from typing import Literal

import numpy as np
import numpy.typing as npt

from curupira.blocks import Window
from curupira.codes import NOT_OBSERVED
from curupira.detect.confirm import confidence
from curupira.detect.exceedance import MAX_ALERTS, NO_FLAG, Exceedance, exceedance
from curupira.detect.geometry import lia_mask
from curupira.detect.params import DetectParams, SpeckleParams
from curupira.detect.periods import days_since_2020, periods
from curupira.detect.quegan_yu import quegan_yu
from curupira.detect.reference import reference_level
from curupira.detect.refined_lee import refined_lee
from curupira.detect.season import check_season, stabilise
from curupira.detect.threshold import threshold_db
from curupira.units import to_db, years_since_2016

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class StackBlock:
    """Images of one block in time order.

    ``vh`` and ``vv``: ``(time, y, x)`` linear gamma0, NaN or <= 0 missing. ``times``: ``(time,)``
    naive UTC. ``lia_deg``: ``(time, y, x)`` or None (no LIA mask). ``orbit``: ``(time,)`` relative
    orbits or None (all images are of one). ``vv`` is not used by the presets of DETER-R.
    """

    vh: FloatArray
    times: npt.NDArray[np.datetime64]
    vv: FloatArray | None = None
    lia_deg: FloatArray | None = None
    orbit: npt.NDArray[np.integer] | None = None


@dataclass(frozen=True, slots=True)
class Layers:
    """Warning layers ``(y, x)``.

    ``n_alerts``: flagged images, 255 not observed. ``first_flag_days``, ``last_flag_days``: days
    since 2020-01-01, ``NO_FLAG`` none. ``excess_db``: largest of reference - threshold - image,
    NaN not observed. ``reference_db``: NaN without enough learning images. ``threshold_db``:
    positive drop. ``confidence``: 0 to 1.
    """

    n_alerts: npt.NDArray[np.uint8]
    first_flag_days: npt.NDArray[np.int32]
    last_flag_days: npt.NDArray[np.int32]
    excess_db: FloatArray
    reference_db: FloatArray
    threshold_db: FloatArray
    confidence: FloatArray

    def crop(self, window: Window) -> Layers:
        """Return the part within a window given in this block's own pixels."""
        return Layers(*(getattr(self, f.name)[window.slices] for f in fields(self)))


def block_layers(
    block: StackBlock,
    on: date,
    params: DetectParams,
    *,
    distance_m: npt.NDArray[np.floating] | None = None,
    forest: BoolArray | None = None,
) -> Layers:
    """Warning layers of a block for one detection date.

    Parameters
    ----------
    block
        Images, with a halo of ``params.halo`` pixels where there are neighbours. Images after
        ``on`` and before the learning period are ignored.
    on
        UTC day of the detection, itself included.
    params
        The preset.
    distance_m
        ``(y, x)`` distance to known deforestation, metres, NaN unknown; None: Tmin everywhere.
    forest
        ``(y, x)``; elsewhere nothing is observed. None: everywhere. Filters look beyond it.

    Raises
    ------
    InputError
        If the dates cannot carry the seasonal fit.

    Notes
    -----
    method.md 1A. With ``orbits = "all"`` every orbit has its own season, filters and reference
    level; per pixel the counts add up, the earliest and latest flag and the largest excess are
    kept, and ``reference_db`` is that of the orbit with the largest excess. An orbit without
    enough learning images adds nothing. With ``season_order = "after"`` the detection images are
    filtered first (the Quegan-Yu factor still over all images); the season is then fitted to, and
    taken out of, the unfiltered learning and the filtered detection images together.
    """
    shape = block.vh.shape[1:]
    drop = np.broadcast_to(threshold_db(distance_m, params.threshold), shape)
    reference = np.full(shape, np.nan, dtype=np.float32)
    found = Exceedance(
        n_alerts=np.full(shape, NOT_OBSERVED, dtype=np.uint8),
        first_flag_days=np.full(shape, NO_FLAG, dtype=np.int32),
        last_flag_days=np.full(shape, NO_FLAG, dtype=np.int32),
        excess_db=np.full(shape, np.nan, dtype=np.float32),
    )
    for images, learning in baselines(block.times, block.orbit, on, params):
        lia = None if block.lia_deg is None else block.lia_deg[images]
        db, level = _one_baseline(block.vh[images], block.times[images], learning, lia, params)
        days = days_since_2020(block.times[images][~learning])
        reference, found = _merge(reference, found, level, exceedance(db, level, drop, days))
    if forest is not None:
        found = _outside(found, ~forest)
    return Layers(
        n_alerts=found.n_alerts,
        first_flag_days=found.first_flag_days,
        last_flag_days=found.last_flag_days,
        excess_db=found.excess_db,
        reference_db=reference,
        threshold_db=np.array(drop),
        confidence=confidence(found.n_alerts),
    )


def baselines(
    times: npt.NDArray[np.datetime64],
    orbit: npt.NDArray[np.integer] | None,
    on: date,
    params: DetectParams,
) -> Iterator[tuple[npt.NDArray[np.intp], BoolArray]]:
    """Images that share a baseline: their indices, and which of them are of the learning period.

    One set an orbit, in the order of the orbit numbers; with ``orbits = "same"`` only that of the
    newest image within the periods. Sets without enough learning images, or without a detection
    image, are left out.

    Raises
    ------
    InputError
        If a set's dates cannot carry the seasonal fit.
    """
    in_learning, in_detection = periods(on, params.period).masks(times)
    used = np.flatnonzero(in_learning | in_detection)
    tracks = np.zeros(times.size, dtype=np.int64) if orbit is None else orbit
    if used.size and params.period.orbits == "same":
        used = used[tracks[used] == tracks[used[np.argmax(times[used])]]]
    for track in np.unique(tracks[used]):
        images = used[tracks[used] == track]
        learning = in_learning[images]
        n = int(learning.sum())
        if n < params.period.minimum_learning_images or n == learning.size:
            continue
        if params.season.season == "harmonic":
            check_season(times[images][fit_images(learning, params)])
        yield images, learning


def fit_images(learning: BoolArray, params: DetectParams) -> BoolArray:
    """Which images of a set the harmonic is fitted on."""
    return learning if params.season.season_fit_on == "learning" else np.ones_like(learning)


def deseasonalise(
    power: FloatArray, times: npt.NDArray[np.datetime64], learning: BoolArray, params: DetectParams
) -> FloatArray:
    """Stabilise ``(time, y, x)`` linear power by the preset; zero and less becomes missing."""
    if params.season.season == "none":
        return np.where(power > 0, power, np.float32(np.nan))
    fit = fit_images(learning, params)
    return stabilise(power, years_since_2016(times), fit, recentre=params.season.season_recentre)


def _one_baseline(
    vh: FloatArray,
    times: npt.NDArray[np.datetime64],
    learning: BoolArray,
    lia_deg: FloatArray | None,
    params: DetectParams,
) -> tuple[FloatArray, FloatArray]:
    """Filtered detection images in dB ``(time, y, x)``, and the reference level ``(y, x)``."""
    if params.season.season_order == "before":
        stable = deseasonalise(vh, times, learning, params)
        filtered = despeckle(stable, ~learning, params.speckle)
    else:
        # The season is fitted to what is compared: unfiltered learning, filtered detection images.
        mixed = np.where(vh > 0, vh, np.float32(np.nan))
        mixed[~learning] = despeckle(mixed, ~learning, params.speckle)
        stable = deseasonalise(mixed, times, learning, params)
        filtered = stable[~learning]
    db = to_db(filtered)
    if lia_deg is not None:
        db[~lia_mask(lia_deg[~learning], params.geometry)] = np.nan
    return db, reference_level(stable[learning], params.period.minimum_learning_images)


def despeckle(power: FloatArray, keep: BoolArray, params: SpeckleParams) -> FloatArray:
    """Filter the kept images ``(kept, y, x)``; the Quegan-Yu factor is over all of ``power``."""
    if params.quegan_yu:
        kind: Literal["median", "box"] = params.expectation
        kept = quegan_yu(power, window=params.expectation_window, kind=kind, keep=keep)
    else:
        kept = power[keep]
    if params.refined_lee == "none":
        return kept
    side: Literal["scripts", "nearest"] = params.refined_lee
    return np.stack([refined_lee(image, side=side, clamp=params.lee_clamp) for image in kept])


def _merge(
    level: FloatArray, found: Exceedance, other_level: FloatArray, other: Exceedance
) -> tuple[FloatArray, Exceedance]:
    """Join two orbits per pixel; of equals the earlier one in orbit order stays."""
    unseen, other_unseen = found.n_alerts == NOT_OBSERVED, other.n_alerts == NOT_OBSERVED
    count = np.where(unseen, 0, found.n_alerts).astype(np.int32)
    count += np.where(other_unseen, 0, other.n_alerts)
    alerts = np.where(unseen & other_unseen, NOT_OBSERVED, np.minimum(count, MAX_ALERTS))
    # NO_FLAG is the smallest number: it loses a maximum by itself, and a minimum after a swap.
    never = np.int32(np.iinfo(np.int32).max)
    first = np.minimum(
        np.where(found.first_flag_days == NO_FLAG, never, found.first_flag_days),
        np.where(other.first_flag_days == NO_FLAG, never, other.first_flag_days),
    )
    stronger = (other.excess_db > found.excess_db) | (unseen & ~other_unseen)
    stronger |= np.isnan(level) & unseen
    merged = Exceedance(
        n_alerts=alerts.astype(np.uint8),
        first_flag_days=np.where(first == never, np.int32(NO_FLAG), first),
        last_flag_days=np.maximum(found.last_flag_days, other.last_flag_days),
        excess_db=np.fmax(found.excess_db, other.excess_db),
    )
    return np.where(stronger, other_level, level), merged


def _outside(found: Exceedance, mask: BoolArray) -> Exceedance:
    """Not observed where the mask is set."""
    return Exceedance(
        n_alerts=np.where(mask, np.uint8(NOT_OBSERVED), found.n_alerts),
        first_flag_days=np.where(mask, np.int32(NO_FLAG), found.first_flag_days),
        last_flag_days=np.where(mask, np.int32(NO_FLAG), found.last_flag_days),
        excess_db=np.where(mask, np.float32(np.nan), found.excess_db),
    )
