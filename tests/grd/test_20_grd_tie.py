"""The tie grid against Newton's positions of every pixel."""

import numpy as np
import pytest
from grd_places import box_at, centres_ecef, true_scene
from grd_samples import S1A, S1B

from curupira.errors import InputError
from curupira.grd.tie import (
    AREA,
    BETA_AREA,
    COSINE,
    STEP,
    fitting_tie_grid,
    tie_error,
    tie_grid,
)

#: Grids over the near edge, the middle, and the far end, in systems that users have.
GRIDS = [
    pytest.param(S1A, 900, 700, 20.0, None, id="s1a-near-utm20"),
    pytest.param(S1A, 8300, 12_800, 10.0, None, id="s1a-middle-utm10"),
    pytest.param(S1A, 15_500, 24_600, 20.0, "EPSG:4326", id="s1a-far-degrees"),
    pytest.param(S1B, 8000, 25_000, 20.0, None, id="s1b-far-utm20"),
    pytest.param(S1B, 8000, 13_000, 30.0, "EPSG:5880", id="s1b-middle-polyconic"),
]


def relief(box, low, high, seed=3):
    """Heights of waves of several lengths between two bounds."""
    y, x = np.mgrid[: box.shape[0], : box.shape[1]]
    waves = np.sin(x / 9.0 + seed) * np.cos(y / 13.0) + np.sin((x + y) / 47.0)
    waves = (waves - waves.min()) / np.ptp(waves)
    return (low + (high - low) * waves).astype(np.float32)


def newton(geometry, box, height):
    line, sample, _ = geometry.locate(centres_ecef(box, height.astype(np.float64)))
    return line, sample


@pytest.mark.parametrize(("template", "line", "sample", "pixel_m", "crs"), GRIDS)
@pytest.mark.parametrize("bounds", [(20.0, 80.0), (100.0, 4200.0)], ids=["low", "mountains"])
def test_every_pixel_within_a_hundredth(template, line, sample, pixel_m, crs, bounds):
    _, _, geometry = true_scene(template)
    box = box_at(line, sample, 300, pixel_m, template, crs)
    height = relief(box, *bounds)
    ties, stated = fitting_tie_grid(geometry, box, height)
    fast, exact = ties.positions(height), newton(geometry, box, height)
    lines, samples = geometry.shape
    # Mountains at the near edge lie outside the image: their range comes before its first.
    inside = (exact[0] > 0) & (exact[0] < lines - 1) & (exact[1] > 0) & (exact[1] < samples - 1)
    off = np.hypot(fast[0] - exact[0], fast[1] - exact[1])[inside]
    assert off.size > 10_000
    assert off.max() <= 0.01
    assert stated <= 0.005
    # What is stated comes from a few pixels; the worst of 90,000 is not far from it.
    assert off.max() < 2 * stated + 1e-3


def test_a_coarse_grid_gets_more_tie_points():
    _, _, geometry = true_scene()
    box = box_at(8300, 12_800, 150, 400.0)
    height = relief(box, 0.0, 800.0)
    loose = tie_error(geometry, box, tie_grid(geometry, box, (0.0, 800.0)), height)
    ties, error = fitting_tie_grid(geometry, box, height)
    assert ties.step < STEP
    assert error <= 0.005 < loose
    exact = newton(geometry, box, height)
    fast = ties.positions(height)
    assert np.hypot(fast[0] - exact[0], fast[1] - exact[1]).max() <= 0.01


def test_missing_heights_have_no_place():
    _, _, geometry = true_scene()
    box = box_at(8300, 12_800, 70)
    height = relief(box, 0.0, 100.0)
    height[10:20, 30:40] = np.nan
    ties, _ = fitting_tie_grid(geometry, box, height)
    line, sample = ties.positions(height)
    np.testing.assert_array_equal(np.isnan(line), np.isnan(height))
    np.testing.assert_array_equal(np.isnan(sample), np.isnan(height))


def test_areas_of_a_pixel():
    """On level ground the area towards the sensor is cos(incidence) of the pixel's own area."""
    annotation, _, geometry = true_scene()
    box = box_at(8300, 12_800, 64)
    ties = tie_grid(geometry, box, (0.0, 100.0))
    nodes = ties.nodes.reshape(-1, ties.nodes.shape[-1])
    # 20 m pixels of UTM, whose scale is 0.9996 to 1.001.
    level = nodes[:, AREA] / nodes[:, COSINE]
    np.testing.assert_allclose(level, 400, rtol=3e-3)
    # A radar pixel covers its ground spacings; its slant area is sin(incidence) of that.
    ground = nodes[:, BETA_AREA] / np.sqrt(1 - nodes[:, COSINE] ** 2)
    assert annotation.range_spacing_m == 10
    np.testing.assert_allclose(ground, 100, rtol=0.02)


def test_refusals():
    _, _, geometry = true_scene()
    with pytest.raises(InputError, match="far outside"):
        tie_grid(geometry, box_at(8300, 12_800, 64, 2e5, crs="EPSG:3857"), (0.0, 1.0))
    wide = box_at(8300, 12_800, 20, 9000.0)
    with pytest.raises(InputError, match="pixels off"):
        fitting_tie_grid(geometry, wide, relief(wide, 0.0, 8000.0), tolerance_px=1e-7)
