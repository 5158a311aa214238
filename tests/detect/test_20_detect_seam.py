"""Noise along a seam: what is taken for it, and what is not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from curupira import presets
from curupira.detect.params import DetectParams
from curupira.detect.seam import SeamStrips, dark_along

PARAMS = DetectParams.from_preset(presets.load("curupira")).geometry
SHAPE = (300, 420)
Image = npt.NDArray[np.float32]


def ahead_m(tilt: float = 0.2) -> npt.NDArray[np.float64]:
    """A seam across the middle that leans by so many metres a metre."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    across = (y - SHAPE[0] / 2 + 0.5) + tilt * (x - SHAPE[1] / 2 + 0.5)
    return 20 * across / np.hypot(1, tilt)


def forest(seed: int = 1) -> Image:
    return np.random.default_rng(seed).gamma(9, 1 / 9, SHAPE).astype(np.float32)


def noise(width_m: float) -> Image:
    """As the simulator has it: to a hundredth at the seam, none from the width on."""
    return np.clip(np.abs(ahead_m()) / width_m, 0.01, 1).astype(np.float32)


def is_dark(image: Image, origin: tuple[int, int] = (0, 0)) -> bool:
    strips = SeamStrips(ahead_m(), np.ones(SHAPE, np.float32), origin, PARAMS)
    return dark_along(strips.anomaly_db(image), PARAMS)


@pytest.mark.parametrize("width_m", [300, 600, 900])
def test_noise_on_both_sides_and_on_one(width_m: float) -> None:
    factor = noise(width_m)
    assert is_dark(forest() * factor)
    assert is_dark(forest() * np.where(ahead_m() > 0, factor, np.float32(1)))


def test_seam_that_is_not_where_the_outlines_say() -> None:
    assert is_dark(np.roll(forest() * noise(300), 25, axis=0))


def test_forest_is_not_dark() -> None:
    assert not any(is_dark(forest(seed)) for seed in range(5))


def test_clearings_along_a_third_of_the_seam_are_not_cut() -> None:
    image = forest()
    cleared = np.abs(ahead_m()) < 500
    cleared[:, SHAPE[1] // 3 :] = False
    image[cleared] *= 0.2
    assert not is_dark(image)


def test_rain_over_the_seam_and_beside_it_is_not_noise() -> None:
    """A cell of rain four kilometres wide, and the rim of a wider one that ends at the seam."""
    far = np.abs(ahead_m())
    assert not is_dark(forest() * (10 ** (-0.5 / (1 + np.exp((far - 2500) / 300)))))
    assert not is_dark(forest() * (10 ** (-0.5 / (1 + np.exp(ahead_m() / 300)))))


def test_half_of_the_land_missing_on_one_side() -> None:
    seen = np.where(ahead_m() > -300, np.float32(1), np.float32(np.nan))
    assert is_dark(forest() * noise(400) * seen)
    assert not is_dark(forest() * seen)


def test_a_short_piece_of_seam_is_left_alone() -> None:
    image = forest() * noise(600)
    image[:, 90:] = np.nan
    assert not is_dark(image)


def test_anomaly_is_the_mean_of_each_cell_in_each_strip() -> None:
    origin = (45, 7)
    image = forest() * noise(600)
    image[140:150, 100:130] = np.nan
    normal = forest(2)
    normal[:, 300:310] = np.nan
    found = SeamStrips(ahead_m(), normal, origin, PARAMS).anomaly_db(image)
    strip = np.floor(ahead_m() / 100).astype(int) + 20
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    rows = []
    usable = (strip >= 0) & (strip < 40) & np.isfinite(normal)
    rows_of, columns_of = (y + 45)[usable] // 32, (x + 7)[usable] // 32
    for i, j in np.unique(np.stack([rows_of, columns_of], axis=1), axis=0):
        inside = ((y + 45) // 32 == i) & ((x + 7) // 32 == j) & usable
        row = []
        for k in range(40):
            part = (image / normal)[inside & (strip == k)]
            part = part[np.isfinite(part)]
            row.append(10 * np.log10(part.mean()) if part.size >= 32 else np.nan)
        rows.append(row)
    np.testing.assert_allclose(found, rows, atol=1e-4)


def test_only_the_default_preset_cuts_by_the_image() -> None:
    names = ("deter_r", "deter_r_paper", "deter_r_c2", "sensitive", "curupira")
    borders = [DetectParams.from_preset(presets.load(n)).geometry.border for n in names]
    assert borders == ["slice", "slice", "slice", "pass", "noisy"]
