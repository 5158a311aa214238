"""New shadow: the pair, its direction, what is no pair, and what the filled pixels are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from curupira.codes import NOT_OBSERVED
from curupira.detect.exceedance import NO_FLAG, Exceedance
from curupira.detect.params import ShadowParams
from curupira.detect.shadow import reconstruct
from curupira.detect.verify import Deviation

PARAMS = ShadowParams(shadow="reconstructed", shadow_reach_px=5, shadow_layover=3.0)
DAYS = np.array([1200, 1212, 1224, 1236], dtype=np.int32)
SINCE = 1212
SHAPE = (6, 20)
DARK, BRIGHT = 10, 6


def scene(z_layover: float, images: slice = slice(None)) -> Deviation:
    """Layover four pixels west of the shadow, in row 2, in some of the images."""
    z = np.zeros((4, *SHAPE), dtype=np.float32)
    z[images, 2, BRIGHT] = z_layover
    level = np.full(SHAPE, -13, np.float32)
    spread = np.full(SHAPE, 0.5, np.float32)
    return Deviation(level + z * spread, level, spread)


def flags() -> tuple[Exceedance, npt.NDArray[np.float32]]:
    """One shadow pixel in row 2, flagged since the second image."""
    count = np.zeros(SHAPE, np.uint8)
    first, last = (np.full(SHAPE, NO_FLAG, np.int32) for _ in range(2))
    count[2, DARK], first[2, DARK], last[2, DARK] = 3, SINCE, 1236
    score = np.zeros(SHAPE, np.float32)
    score[2, DARK] = 0.95
    return Exceedance(count, first, last, np.full(SHAPE, -1, np.float32)), score


def filled(images: Deviation, *, looks_east: bool = False) -> npt.NDArray[np.bool_]:
    found, score = flags()
    after, _ = reconstruct(found, score, images, DAYS, looks_east, PARAMS)
    return np.asarray((after.n_alerts > 0) & (found.n_alerts == 0))


def test_what_lies_between_shadow_and_layover_is_flagged_as_the_shadow_is() -> None:
    found, score = flags()
    after, trust = reconstruct(found, score, scene(2.5), DAYS, False, PARAMS)
    between = (2, slice(BRIGHT + 1, DARK))
    assert (after.n_alerts[between] == 3).all()
    assert (after.first_flag_days[between] == SINCE).all()
    assert (after.last_flag_days[between] == 1236).all()
    assert (trust[between] == np.float32(0.95)).all()
    assert (after.n_alerts > 0).sum() == DARK - BRIGHT
    np.testing.assert_array_equal(after.excess_db, found.excess_db)
    # The arguments are left as they were.
    assert (found.n_alerts > 0).sum() == 1


def test_the_layover_lies_beyond_the_shadow_as_the_radar_looks() -> None:
    assert filled(scene(2.5)).any()
    assert not filled(scene(2.5), looks_east=True).any()


@pytest.mark.parametrize(
    "images",
    [
        pytest.param(scene(0.0), id="no bright line"),
        pytest.param(scene(1.0), id="too faint: 1 spread in three images"),
        pytest.param(scene(4.0, slice(3, 4)), id="bright in one image of three only"),
        pytest.param(scene(9.0, slice(0, 1)), id="bright before the shadow only"),
    ],
)
def test_what_is_no_pair_fills_nothing(images: Deviation) -> None:
    assert not filled(images).any()


def test_not_observed_pixels_are_not_filled_and_missing_images_are_left_out() -> None:
    found, score = flags()
    found.n_alerts[2, 8] = NOT_OBSERVED
    images = scene(2.5)
    images.db[1, 2, BRIGHT] = np.nan
    after, _ = reconstruct(found, score, images, DAYS, False, PARAMS)
    assert after.n_alerts[2, 8] == NOT_OBSERVED
    assert after.first_flag_days[2, 8] == NO_FLAG
    assert (after.n_alerts[2, [7, 9]] == 3).all()


def test_layover_out_of_reach_is_none() -> None:
    near = PARAMS.model_copy(update={"shadow_reach_px": 3})
    found, score = flags()
    after, _ = reconstruct(found, score, scene(2.5), DAYS, False, near)
    np.testing.assert_array_equal(after.n_alerts, found.n_alerts)
