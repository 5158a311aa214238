"""One block of a stack: season, filters, reference level, threshold, exceedance. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import date
from typing import cast

import numpy as np
import numpy.typing as npt

from curupira.blocks import Window
from curupira.codes import NOT_OBSERVED
from curupira.detect.baseline import Baseline, baselines, one_baseline
from curupira.detect.confirm import confidence
from curupira.detect.core import Stack
from curupira.detect.evidence import accumulate, distance_prior, evidence_confidence
from curupira.detect.exceedance import (
    NO_FLAG,
    Exceedance,
    exceedance,
    joined,
    nothing_observed,
)
from curupira.detect.frozen import frozen_baseline
from curupira.detect.params import DetectParams
from curupira.detect.periods import days_since_2020, in_place, periods
from curupira.detect.screen import screen_images
from curupira.detect.screened import Screened
from curupira.detect.shadow import reconstruct
from curupira.detect.threshold import threshold_db
from curupira.detect.verify import SIDE, Deviation, load_network, verified

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class StackBlock:
    """Images of one block in time order.

    ``vh`` and ``vv``: ``(time, y, x)`` linear gamma0, NaN or <= 0 missing; or both the cube's codes
    of it (uint16, ``units``), for presets of ``baseline.takes_codes``. ``times``: ``(time,)`` naive
    UTC. ``lia_deg``: ``(time, y, x)`` or None (no LIA mask). ``orbit``: ``(time,)`` relative
    orbits or None (all images are of one). ``vv`` is not used by the presets of DETER-R.
    ``looks_east``: ``(time,)`` whether the radar looked east (ascending) or west (descending); None
    unknown, then no shadow is sought. ``background``: ``(y, x)`` forest that the local anomaly is
    measured on, None all; ``origin``: row and column of the first pixel on the grid. Only
    ``screen = "local"`` looks at these two.
    """

    vh: Stack
    times: npt.NDArray[np.datetime64]
    vv: Stack | None = None
    lia_deg: FloatArray | None = None
    orbit: npt.NDArray[np.integer] | None = None
    looks_east: BoolArray | None = None
    background: BoolArray | None = None
    origin: tuple[int, int] = (0, 0)

    def valid(self, image: int) -> BoolArray:
        """Where an image holds a value of VH."""
        vh = self.vh[image]
        return np.asarray(vh > 0 if vh.dtype == np.uint16 else np.isfinite(vh))


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
    frozen: FloatArray | None = None,
    inner: Window | None = None,
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
    frozen
        State of an earlier day (``frozen.freeze``) that all images, of the detection period and
        one orbit, are compared with; None: the method.
    inner
        Window in the block's own pixels that layers are wanted of; None: the block.

    Raises
    ------
    InputError
        If the dates cannot carry the seasonal fit.

    Notes
    -----
    method.md 1A.
    """
    whole = Window(0, block.vh.shape[1], 0, block.vh.shape[2])
    inner = inner or whole
    # Only the local anomaly looks at all of the halo: what comes after it is done for less.
    near = inner.grow(params.halo - params.screen.reach, whole)
    place = (..., *near.slices)
    distance_m = None if distance_m is None else distance_m[place]
    forest = None if forest is None else forest[place]
    frozen = None if frozen is None else frozen[place]
    drop = np.broadcast_to(threshold_db(distance_m, params.threshold), near.shape)
    compared = _compared(block, on, params, near, drop, frozen)
    found, score = _judged(compared, distance_m, forest, params)
    return Layers(
        n_alerts=found.n_alerts,
        first_flag_days=found.first_flag_days,
        last_flag_days=found.last_flag_days,
        excess_db=found.excess_db,
        reference_db=compared.reference_db,
        threshold_db=np.array(drop),
        confidence=score,
    ).crop(inner.relative_to(near))


@dataclass(slots=True)
class _Compared:
    """All orbits of a window against their own past.

    ``said``: days and log ratios of each orbit's images. ``views``: what a search for shadow needs
    of each, and whether the radar looked east.
    """

    found: Exceedance
    reference_db: FloatArray
    said: list[tuple[npt.NDArray[np.int32], FloatArray]] = field(default_factory=list)
    views: list[tuple[Deviation, npt.NDArray[np.int32], bool]] = field(default_factory=list)


def _compared(
    block: StackBlock,
    on: date,
    params: DetectParams,
    near: Window,
    drop_db: FloatArray,
    frozen: FloatArray | None,
) -> _Compared:
    """Compare the images of a window, orbit by orbit.

    With ``orbits = "all"`` every orbit has its own season, filters and reference level; per pixel
    the counts add up, the earliest and latest flag and the largest excess are kept, and
    ``reference_db`` is that of the orbit with the largest excess. An orbit without enough learning
    images adds nothing. With ``season_order = "after"`` the detection images are filtered first
    (the Quegan-Yu factor still over all images); the season is then fitted to, and taken out of,
    the unfiltered learning and the filtered detection images together.
    """
    both = _Compared(nothing_observed(near.shape), np.full(near.shape, np.nan, dtype=np.float32))
    for images, learning in _sets(block, on, params, frozen is not None):
        lia = (
            None if block.lia_deg is None else block.lia_deg[in_place(images)][(..., *near.slices)]
        )
        vh = _screened(block.vh[in_place(images)], block, learning, near, params)
        times = block.times[images]
        if frozen is None:
            part = one_baseline(vh, times, learning, lia, params)
        else:
            part = frozen_baseline(cast(FloatArray, vh), times, lia, frozen, params)
        days = days_since_2020(times[~learning])
        other = exceedance(part.db, part.reference_db, drop_db, days)
        both.reference_db, both.found = joined(
            both.reference_db, both.found, part.reference_db, other
        )
        if part.ratio is not None:
            both.said.append((days, _with_vv(part, block, images, learning, lia, near, params)))
            if params.shadow.shadow == "reconstructed" and block.looks_east is not None:
                both.views.append((_deviation(part), days, bool(block.looks_east[images[0]])))
    return both


def _judged(
    compared: _Compared,
    distance_m: npt.NDArray[np.floating] | None,
    forest: BoolArray | None,
    params: DetectParams,
) -> tuple[Exceedance, FloatArray]:
    """Flags and confidence by the preset's rule; outside of the forest nothing is observed."""
    found, score = compared.found, confidence(compared.found.n_alerts)
    if params.evidence.evidence == "accumulated":
        found, score = by_evidence(found, compared.said, distance_m, params)
    for view in compared.views:
        found, score = reconstruct(found, score, *view, params.shadow)
    if forest is not None:
        found = _outside(found, ~forest)
        score = np.where(forest, score, np.float32(0))
    return found, score


def _sets(
    block: StackBlock, on: date, params: DetectParams, frozen: bool
) -> Iterator[tuple[npt.NDArray[np.intp], BoolArray]]:
    """As ``baselines``; with a frozen state there is nothing to learn from."""
    if not frozen:
        yield from baselines(block.times, block.orbit, on, params)
        return
    images = np.flatnonzero(periods(on, params.period).masks(block.times)[1])
    if images.size:
        yield images, np.zeros(images.size, dtype=np.bool_)


def _screened(
    power: Stack, block: StackBlock, learning: BoolArray, near: Window, params: DetectParams
) -> Stack | Screened:
    """Images of the window ``near``; over their local anomaly where the preset asks for it."""
    if params.screen.screen == "none":
        return power[(..., *near.slices)]
    return screen_images(
        power,
        learning,
        params.screen,
        background=block.background,
        origin=block.origin,
        inner=near,
    )


def _with_vv(
    vh: Baseline,
    block: StackBlock,
    images: npt.NDArray[np.intp],
    learning: BoolArray,
    lia_deg: FloatArray | None,
    near: Window,
    params: DetectParams,
) -> FloatArray:
    """Add what VV says, where it was measured, by its weight; verify with both."""
    ratio = cast(FloatArray, vh.ratio)
    weight = np.float32(params.evidence.evidence_vv_weight)
    if block.vv is None or not params.needs_vv:
        return ratio
    power = _screened(block.vv[in_place(images)], block, learning, near, params)
    vv = one_baseline(power, block.times[images], learning, lia_deg, params)
    ratio = ratio + weight * np.nan_to_num(cast(FloatArray, vv.ratio), nan=0.0)
    # A lone series has no neighbourhood to look at.
    if params.verify.verify == "none" or min(ratio.shape[1:]) < SIDE:
        return ratio
    return verified(ratio, _deviation(vh), _deviation(vv), load_network())


def _deviation(part: Baseline) -> Deviation:
    return Deviation(part.db, part.reference_db, cast(FloatArray, part.spread_db))


def by_evidence(
    found: Exceedance,
    said: list[tuple[npt.NDArray[np.int32], FloatArray]],
    distance_m: npt.NDArray[np.floating] | None,
    params: DetectParams,
) -> tuple[Exceedance, FloatArray]:
    """Flags and confidence by the evidence of all orbits together, in the order of their days."""
    if not said:
        return found, np.zeros(found.n_alerts.shape, dtype=np.float32)
    days = np.concatenate([part for part, _ in said])
    order = np.argsort(days, kind="stable")
    ratio = np.concatenate([part for _, part in said])
    if np.any(np.diff(order) != 1):
        ratio = ratio[order]
    prior = distance_prior(distance_m, params.evidence, params.threshold)
    sums = accumulate(ratio, days[order], params.evidence, prior)
    flags = Exceedance(
        n_alerts=sums.n_alerts,
        first_flag_days=sums.first_flag_days,
        last_flag_days=sums.last_flag_days,
        excess_db=found.excess_db,
    )
    return flags, evidence_confidence(sums.peak, params.evidence)


def _outside(found: Exceedance, mask: BoolArray) -> Exceedance:
    """Not observed where the mask is set."""
    return Exceedance(
        n_alerts=np.where(mask, np.uint8(NOT_OBSERVED), found.n_alerts),
        first_flag_days=np.where(mask, np.int32(NO_FLAG), found.first_flag_days),
        last_flag_days=np.where(mask, np.int32(NO_FLAG), found.last_flag_days),
        excess_db=np.where(mask, np.float32(np.nan), found.excess_db),
    )
