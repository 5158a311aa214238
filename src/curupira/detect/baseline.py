"""One baseline: the images of one orbit through season and filters, with their level. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import numpy.typing as npt

from curupira.detect.core import Stack, stable_images
from curupira.detect.evidence import history_images, log_ratio, rough_spread_db, spread_db
from curupira.detect.geometry import lia_mask
from curupira.detect.params import DetectParams, SpeckleParams
from curupira.detect.periods import in_place, periods
from curupira.detect.quegan_yu import quegan_yu, quegan_yu_by_rows
from curupira.detect.reference import reference_level
from curupira.detect.refined_lee import refined_lee
from curupira.detect.screened import Screened
from curupira.detect.season import check_season, stabilise
from curupira.units import positive, to_db, years_since_2016

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


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
    """Stabilise ``(time, y, x)`` linear power by the preset; zero and less becomes missing.

    Without a season, and nothing to make missing, the result is ``power`` itself.
    """
    if params.season.season == "none":
        return positive(power)
    fit = fit_images(learning, params)
    return stabilise(power, years_since_2016(times), fit, recentre=params.season.season_recentre)


@dataclass(frozen=True, slots=True)
class Baseline:
    """Filtered detection images in dB and what each says, reference level and spread ``(y, x)``.

    Without evidence there is neither ratio nor spread.
    """

    db: FloatArray
    reference_db: FloatArray
    ratio: FloatArray | None = None
    spread_db: FloatArray | None = None


def one_baseline(
    power: Stack | Screened,
    times: npt.NDArray[np.datetime64],
    learning: BoolArray,
    lia_deg: FloatArray | None,
    params: DetectParams,
) -> Baseline:
    """Season and filters of one polarisation of one orbit, then level and log ratios.

    With evidence, the newest learning images are filtered like the detection images: level and
    spread of a pixel must be those of what they are compared with.
    """
    roughness_db = power.roughness_db if isinstance(power, Screened) else None
    minimum = params.period.minimum_learning_images
    with_evidence = params.evidence.evidence == "accumulated"
    keep, levelled = ~learning, learning
    if with_evidence:
        learned = np.flatnonzero(learning)
        history = learned[history_images(times[learned], params.evidence)]
        keep[history] = True
        minimum = min(minimum, history.size)
        levelled = np.zeros_like(learning)
    if isinstance(power, Screened) and not by_rows(params):
        power = power.power
    if isinstance(power, Screened):
        filtered = filter_speckle(_quegan_yu(power, keep, params.speckle), params.speckle)
        unfiltered = np.full(power.shape[1:], np.nan, np.float32)
    elif one_pass(params):
        kept, unfiltered = stable_images(
            power,
            years_since_2016(times),
            fit_images(learning, params),
            keep,
            levelled,
            minimum=minimum,
            quegan_yu=params.speckle.quegan_yu,
        )
        filtered = filter_speckle(kept, params.speckle)
    else:
        filtered, unfiltered = _step_by_step(
            power, times, learning, keep, levelled, minimum, params
        )
    detected = ~learning[keep]
    db = to_db(filtered[in_place(np.flatnonzero(detected))])
    if lia_deg is not None:
        db[~lia_mask(lia_deg[~learning], params.geometry)] = np.nan
    if not with_evidence:
        return Baseline(db, unfiltered)
    own = filtered[in_place(np.flatnonzero(~detected))]
    level = reference_level(own, minimum)
    spread = spread_db(own, level, params.evidence)
    if roughness_db is not None:
        spread = rough_spread_db(spread, roughness_db, params.evidence)
    return Baseline(db, level, log_ratio(db, level, spread, params.evidence), spread)


def takes_codes(params: DetectParams) -> bool:
    """Whether a preset's stacks may be of the cube's codes: none is needed in float32."""
    return one_pass(params) or by_rows(params)


def by_rows(params: DetectParams) -> bool:
    """Whether images are screened and filtered some rows at a time.

    Nothing then asks for all of a screened stack at once: no season, and no level of it.
    """
    return (
        params.screen.screen == "local"
        and params.season.season == "none"
        and params.speckle.quegan_yu
        and params.evidence.evidence == "accumulated"
    )


def one_pass(params: DetectParams) -> bool:
    """Whether `stable_images` does what a preset asks for."""
    season, speckle = params.season, params.speckle
    median5 = (speckle.expectation, speckle.expectation_window) == ("median", 5)
    return (
        (season.season, season.season_recentre) == ("harmonic", "intercept")
        and season.season_order == "before"
        and params.screen.screen == "none"
        and (median5 or not speckle.quegan_yu)
    )


def _step_by_step(
    power: FloatArray,
    times: npt.NDArray[np.datetime64],
    learning: BoolArray,
    keep: BoolArray,
    levelled: BoolArray,
    minimum: int,
    params: DetectParams,
) -> tuple[FloatArray, FloatArray]:
    """Kept images filtered, and the level of some unfiltered ones, none for no level (NaN)."""
    if params.season.season_order == "before":
        stable = deseasonalise(power, times, learning, params)
        filtered = despeckle(stable, keep, params.speckle)
    else:
        # The season is fitted to what is compared: unfiltered learning, filtered detection images.
        stable = np.where(power > 0, power, np.float32(np.nan))
        stable[keep] = despeckle(stable, keep, params.speckle)
        stable = deseasonalise(stable, times, learning, params)
        filtered = stable[keep]
    if not levelled.any():
        return filtered, np.full(power.shape[1:], np.nan, np.float32)
    return filtered, reference_level(stable[in_place(np.flatnonzero(levelled))], minimum)


def despeckle(power: FloatArray, keep: BoolArray, params: SpeckleParams) -> FloatArray:
    """Filter the kept images ``(kept, y, x)``; the Quegan-Yu factor is over all of ``power``."""
    kept = _quegan_yu(power, keep, params) if params.quegan_yu else power[keep]
    return filter_speckle(kept, params)


def _quegan_yu(power: FloatArray | Screened, keep: BoolArray, params: SpeckleParams) -> FloatArray:
    kind: Literal["median", "box"] = params.expectation
    window = params.expectation_window
    if isinstance(power, Screened):
        return quegan_yu_by_rows(power.rows, power.shape, window=window, kind=kind, keep=keep)
    return quegan_yu(power, window=window, kind=kind, keep=keep)


def filter_speckle(kept: FloatArray, params: SpeckleParams) -> FloatArray:
    """Refined Lee on each image, in place, where the preset asks for it."""
    if params.refined_lee == "none":
        return kept
    side: Literal["scripts", "nearest"] = params.refined_lee
    for image in kept:
        image[:] = refined_lee(image, side=side, clamp=params.lee_clamp)
    return kept
