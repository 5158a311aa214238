"""Frozen mode: season, common factor and reference level of an earlier day, kept as a state. Pure.

The method fits all of them anew with every image. Frozen, they are found on one day, as the method
does, and later images are compared with them: only images of the detection period are read. A
deviation (docs/performance.md says what it changes), off unless a workspace asks for it.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from curupira.detect.baseline import Baseline, deseasonalise, filter_speckle, fit_images
from curupira.detect.geometry import lia_mask
from curupira.detect.params import DetectParams
from curupira.detect.periods import in_place
from curupira.detect.quegan_yu import common_factor, local_expectation
from curupira.detect.reference import reference_level
from curupira.detect.season import stabilise_by, stabilise_keeping
from curupira.errors import ConfigError
from curupira.units import to_db, years_since_2016

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

#: Planes of a state: level, cosine and sine of the season, common factor, reference level in dB.
PLANES = 5


def check_frozen(params: DetectParams) -> None:
    """Refuse a preset whose detection needs more than a state holds.

    Raises
    ------
    ConfigError
        Unless each image is compared with one level, of its own orbit, and judged by itself.
    """
    # Noise along a seam is known by the seam's own past, which is not read.
    wanted: dict[str, tuple[object, tuple[object, ...]]] = {
        "orbits": (params.period.orbits, ("same",)),
        "border": (params.geometry.border, ("slice", "pass", "none")),
        "season_order": (params.season.season_order, ("before",)),
        "screen": (params.screen.screen, ("none",)),
        "evidence": (params.evidence.evidence, ("none",)),
        "quegan_yu": (params.speckle.quegan_yu, (True,)),
    }
    for name, (value, good) in wanted.items():
        if value not in good:
            raise ConfigError(
                f"frozen_days needs {name} = {' or '.join(map(repr, good))}, "
                f"the preset has {value!r}",
                where="[algorithm] frozen_days",
                remedy="set it to 0, or choose another preset",
            )


def freeze(
    power: FloatArray,
    times: npt.NDArray[np.datetime64],
    learning: BoolArray,
    params: DetectParams,
) -> FloatArray:
    """State ``(PLANES, y, x)`` of one orbit's images ``(time, y, x)``; NaN where there is none.

    Parameters
    ----------
    power
        Linear gamma0 of both periods of the day, NaN or <= 0 missing, with a halo.
    times, learning
        ``(time,)`` naive UTC, and which images are of the learning period.
    """
    if params.season.season == "none":
        stable = deseasonalise(power, times, learning, params)
        season = np.zeros((3, *power.shape[1:]), dtype=np.float32)
    else:
        fit = fit_images(learning, params)
        recentre = params.season.season_recentre
        stable, season = stabilise_keeping(power, years_since_2016(times), fit, recentre=recentre)
    kind: Literal["median", "box"] = params.speckle.expectation
    factor = common_factor(stable, window=params.speckle.expectation_window, kind=kind)
    level = reference_level(
        stable[in_place(np.flatnonzero(learning))], params.period.minimum_learning_images
    )
    return np.concatenate([season, factor[np.newaxis], level[np.newaxis]])


def frozen_baseline(
    power: FloatArray,
    times: npt.NDArray[np.datetime64],
    lia_deg: FloatArray | None,
    state: FloatArray,
    params: DetectParams,
) -> Baseline:
    """Detection images ``(time, y, x)`` against a state, as ``one_baseline`` does with its own."""
    if params.season.season == "none":
        none = np.zeros(len(times), dtype=np.bool_)
        # Filtered in place below: the images stay as they are.
        stable = deseasonalise(power, times, none, params).copy()
    else:
        stable = stabilise_by(power, years_since_2016(times), state[:3])
    kind: Literal["median", "box"] = params.speckle.expectation
    for image in stable:
        image[:] = local_expectation(image, params.speckle.expectation_window, kind)
        np.multiply(image, state[3], out=image)
    db = to_db(filter_speckle(stable, params.speckle))
    if lia_deg is not None:
        db[~lia_mask(lia_deg, params.geometry)] = np.nan
    return Baseline(db, state[4], None)
