"""The quality gate's measures on images of known displacement, brightness and noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.ndimage import shift as moved

from curupira.preprocess.quality import (
    Block,
    Measure,
    QualityParams,
    excess_db,
    judge,
    measure,
    median_db,
    platform_offset,
)
from curupira.preprocess.shift import block_shift, scene_shift

PARAMS = QualityParams()
SIDE = 128


def ground(seed: int, side: int = SIDE) -> np.ndarray:
    """Relief, rivers and clearings: a dB image with structure of some pixels."""
    rng = np.random.default_rng(seed)
    rough = gaussian_filter(rng.normal(size=(side + 64, side + 64)), 2)
    return -13 + 1.5 * rough / rough.std()


def speckled(seed: int, db: np.ndarray, looks: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (db + 10 * np.log10(rng.gamma(looks, 1 / looks, db.shape))).astype(np.float32)


def pair(seed: int, dy: float = 0, dx: float = 0, *, bias: float = 0, looks: float = 5):
    """An image displaced and brightened, and its reference."""
    whole = ground(seed)
    inner = (slice(32, -32), slice(32, -32))
    image = moved(whole, (dy, dx), order=3)[inner] + bias
    return speckled(seed + 100, image, looks), speckled(seed + 200, whole[inner], 30)


def blocks(n: int = 5, **how: float) -> list[Block]:
    everywhere = np.ones((SIDE, SIDE), dtype=bool)
    return [Block(*pair(k, **how), forest=everywhere, inside=everywhere) for k in range(n)]


@settings(max_examples=8, deadline=None, derandomize=True)
@given(st.floats(-5, 5), st.floats(-5, 5))
def test_a_displacement_is_found_to_a_fraction_of_a_pixel(dy: float, dx: float) -> None:
    found = measure(blocks(dy=dy, dx=dx))
    assert found.shift_y_px == pytest.approx(dy, abs=0.35)
    assert found.shift_x_px == pytest.approx(dx, abs=0.35)


def test_a_whole_displacement_without_speckle_is_exact() -> None:
    whole = ground(3).astype(np.float32)
    image, reference = whole[30:158, 35:163], whole[32:160, 32:160]
    # A feature of the reference at (y, x) lies at (y + 2, x - 3) of the image.
    assert block_shift(image, reference) == pytest.approx((2, -3), abs=0.05)


def test_speckle_alone_shows_no_displacement() -> None:
    flat = np.full((SIDE, SIDE), -13.0)
    shifts = [block_shift(speckled(k, flat, 5), speckled(k + 50, flat, 30)) for k in range(30)]
    assert sum(s is not None for s in shifts) <= 1
    assert scene_shift(shifts) is None


def test_blocks_that_disagree_say_nothing() -> None:
    assert scene_shift([(0, 0), (6, 1), (-4, 3), (2, -8)]) is None
    assert scene_shift([(1, 1), (1, 1), None]) is None
    found = scene_shift([(1.0, 2.0), (1.1, 2.1), (0.9, 1.9), None, (9.0, 9.0)])
    assert found is not None
    assert (found.y_px, found.x_px, found.blocks) == (pytest.approx(1.05), pytest.approx(2.05), 4)


def test_a_block_with_much_missing_is_left_out() -> None:
    image, reference = pair(1)
    assert block_shift(image, reference) is not None
    image[:40] = np.nan
    assert block_shift(image, reference) is None


@pytest.mark.parametrize("bias", [-3.0, 0.0, 0.4])
def test_bias_over_forest(bias: float) -> None:
    calm = measure(blocks()).bias_db
    found = measure(blocks(bias=bias)).bias_db
    assert calm is not None
    assert found == pytest.approx(calm + bias, abs=0.02)


def test_a_clearing_hardly_moves_the_bias() -> None:
    # A tenth of the ground falls by 6 dB: the mean would by 0.6.
    parts = blocks()
    calm = measure(parts).bias_db
    parts[0].image_db[:, :64] -= 6
    assert measure(parts).bias_db == pytest.approx(calm, abs=0.35)


def test_looks_are_those_of_the_speckle() -> None:
    many, few = measure(blocks(looks=20)).enl, measure(blocks(looks=4)).enl
    # The reference of 30 looks counts as well: 1 / (1/20 + 1/30) = 12; 1 / (1/4 + 1/30) = 3.5.
    assert many == pytest.approx(12, rel=0.15)
    assert few == pytest.approx(3.5, rel=0.25)


def test_without_reference_only_coverage_is_known() -> None:
    part = blocks(1)[0]
    part.image_db[:32] = np.nan
    found = measure([Block(part.image_db, None, part.forest, part.inside)])
    assert found.coverage == pytest.approx(0.75)
    assert (found.bias_db, found.enl, found.shift_y_px) == (None, None, None)
    assert judge(found, PARAMS, 20).reason is None


@pytest.mark.parametrize(
    ("found", "own", "word"),
    [
        (Measure(0.01), True, "min_coverage"),
        (Measure(1, enl=0.6), True, "min_enl"),
        (Measure(1, bias_db=-2.1), True, "max_bias_db"),
        (Measure(1, bias_db=2.1), False, None),
        (Measure(1, bias_db=3.2), False, "max_offset_db"),
        (Measure(1, shift_y_px=0.5, shift_x_px=0.5), True, None),
        (Measure(1, shift_y_px=5, shift_x_px=4), True, "correct_shift_m"),
    ],
)
def test_verdicts_name_the_threshold(found: Measure, own: bool, word: str | None) -> None:
    verdict = judge(found, PARAMS, 20, own=own)
    assert (verdict.move_y, verdict.move_x) == (0, 0)
    if word is None:
        assert verdict.reason is None
    else:
        assert verdict.reason is not None
        assert word in verdict.reason


def test_a_small_displacement_is_put_right_by_whole_pixels() -> None:
    verdict = judge(Measure(1, shift_y_px=2.2, shift_x_px=-0.9), PARAMS, 20)
    assert (verdict.reason, verdict.move_y, verdict.move_x) == (None, 2, -1)
    strict = PARAMS.model_copy(update={"correct_shift_m": 0})
    assert "displaced by 48 m" in str(judge(Measure(1, 2.2, -0.9), strict, 20).reason)


def test_a_platforms_offset_is_the_median_of_its_first_images() -> None:
    assert platform_offset([], PARAMS) == 0
    # Rain in one of them, and images after the fifth, do not count.
    assert platform_offset([0.6, 1.8, 0.65, 0.55, 0.6, 9, 9], PARAMS) == 0.6
    assert platform_offset([1.2], PARAMS) == 1.2
    assert platform_offset([1.2], PARAMS.model_copy(update={"platform_offset": False})) == 0


def test_an_offset_that_weather_could_have_made_is_left_alone() -> None:
    # One wet pass says nothing, five of a kind do; passes that contradict one another do not.
    assert platform_offset([0.74], PARAMS) == 0
    assert platform_offset([0.74] * 3, PARAMS) == 0.74
    assert platform_offset([-0.4, 1.9, 0.7, 2.6, -0.9], PARAMS) == 0
    assert platform_offset([0.08] * 5, PARAMS.model_copy(update={"weather_db": 0.0})) == 0


def test_rain_brightens_unevenly_an_error_of_the_satellite_does_not() -> None:
    """Figures of real images: OPERA RTC-S1 of 1 January 2023, after a storm."""
    wet = Measure(1, bias_db=4.21, spread_db=1.02)
    assert excess_db(wet) == pytest.approx(1.15)
    assert judge(wet, PARAMS, 20).reason is None
    assert "max_bias_db" in str(judge(Measure(1, bias_db=4.21, spread_db=0.2), PARAMS, 20).reason)
    # A darker one could pass for clearings everywhere.
    assert "max_bias_db" in str(judge(Measure(1, bias_db=-4.2, spread_db=1.0), PARAMS, 20).reason)


def test_little_forest_has_no_level() -> None:
    few = [replace(part, forest=np.zeros_like(part.forest)) for part in blocks()]
    few[0].forest[:30, :30] = True
    assert measure(few).bias_db is None


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 8))
def test_median_against_numpy(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    stack = rng.gamma(4, 0.01, (n, 5, 7)).astype(np.float32)
    stack[rng.random(stack.shape) < 0.4] = np.nan
    found = median_db(list(stack), 3)
    assert found is not None
    enough = np.isfinite(stack).sum(axis=0) >= 3
    assert (np.isfinite(found) == enough).all()
    slow = [10 * np.log10(np.median(v[np.isfinite(v)])) for v in stack[:, enough].T]
    assert found[enough] == pytest.approx(slow, abs=1e-4)
    assert median_db(list(stack[:2]), 3) is None
