"""Points and the patches around them; splits without leakage."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from shapely.geometry import MultiPoint, Point, Polygon

from curupira import presets
from curupira.errors import InputError
from curupira.mining.params import MiningParams
from curupira.mining.patches import Dropped, extract, patch_window, read_points
from curupira.mining.scene import RadarScene
from curupira.mining.splits import split_patches

PRESET = presets.load("unesp_2025", "mining")
GRID = GeoBox((400, 500), Affine(10, 0, 500_000, 0, -10, 9_300_000), "EPSG:32721")


def layer(geometries, labels, crs="EPSG:32721"):
    return gpd.GeoDataFrame({"label": labels}, geometry=geometries, crs=crs)


def at(row, column):
    return Point(500_000 + 10 * column, 9_300_000 - 10 * row)


def test_multipoints_reprojection_and_repeats():
    raw = layer([MultiPoint([at(100, 100), at(100, 200)]), at(200, 200), at(200, 200)], [1, 0, 0])
    found = read_points(raw.to_crs("EPSG:4674"), where="p")
    assert found.crs == "EPSG:4326"
    assert found["point"].tolist() == [0, 1, 2]
    assert found["label"].tolist() == [1, 1, 0]


def test_labels_as_text():
    assert read_points(layer([at(1, 1), at(9, 9)], ["1", "0"]), where="p")["label"].tolist() == [
        1,
        0,
    ]


@pytest.mark.parametrize(
    ("geometries", "labels", "message"),
    [
        ([at(1, 1), at(9, 9)], [1, 2], "no label 0 or 1"),
        ([at(1, 1), at(9, 9)], [1, None], "1 of 2 points have no label.*the first: nothing"),
        ([at(1, 1), at(9, 9)], [1, 1], "two classes are needed"),
        ([at(1, 1), at(1, 1)], [1, 0], "labelled both"),
        ([at(1, 1), Polygon([(0, 0), (1, 0), (1, 1)])], [1, 0], "a Polygon, not a point"),
    ],
)
def test_points_that_cannot_be_used(geometries, labels, message):
    with pytest.raises(InputError, match=message):
        read_points(layer(geometries, labels), where="p")


def test_no_label_column():
    with pytest.raises(InputError, match="no column label"):
        read_points(gpd.GeoDataFrame(geometry=[at(1, 1)], crs="EPSG:32721"), where="p")


@given(
    x=st.floats(501_000, 504_000, allow_nan=False),
    y=st.floats(9_297_000, 9_299_000, allow_nan=False),
)
@settings(max_examples=30)
def test_the_patch_is_centred_within_half_a_pixel(x, y):
    window = patch_window(x, y, GRID, 104)
    box = GRID[window.slices].extent.boundingbox
    assert window.shape == (104, 104)
    assert abs((box.left + box.right) / 2 - x) <= 5.001
    assert abs((box.top + box.bottom) / 2 - y) <= 5.001


def test_edge_outside_and_missing_are_dropped_and_counted():
    image = np.full((400, 500), -10, np.float32)
    image[250:290, 250:290] = np.nan
    scene = RadarScene("s", None, GRID, lambda w: (image[w.slices], image[w.slices]))
    params = MiningParams.from_preset(PRESET)
    places = [at(52, 52), at(51, 60), at(200, 449), at(300, 300), at(-5, 10), at(348, 100)]
    points = read_points(layer(places, [1, 0, 1, 0, 1, 0]), where="p")
    dropped = Dropped()
    found = list(extract(scene, points, params.bands, params.patches, dropped))
    assert [p.point for p in found] == [0, 5]
    assert (dropped.outside, dropped.edge, dropped.missing) == (1, 2, 1)
    assert found[0].bands.shape == (3, 104, 104)
    assert found[0].grid.extent.boundingbox[:2] == (500_000, 9_298_960)


def index_of(seed, n, spread_m, dates=3):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, spread_m, (2, n))
    label = np.arange(n) % 2
    rows = pd.DataFrame({"point": np.arange(n), "label": label, "x_m": x, "y_m": y})
    return pd.concat([rows] * dates, ignore_index=True)


def split_params(kind, **options):
    return MiningParams.from_preset(PRESET.replace(split=kind, **options)).split


def overlaps(index, train, validate):
    # Slow and obvious: does any validation patch share ground with a training patch?
    half = 520
    boxes = shapely.box(index.x_m - half, index.y_m - half, index.x_m + half, index.y_m + half)
    return any(
        shapely.area(shapely.intersection(boxes[i], boxes[train])).max() > 0
        for i in np.flatnonzero(validate)
    )


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_places_never_leak(seed):
    index = index_of(seed, 60, 30_000)
    train, validate = split_patches(index, split_params("point"), size_m=1040, seed=seed)
    assert (train ^ validate).all()
    assert set(index.point[train]) & set(index.point[validate]) == set()
    assert not overlaps(index, train, validate)
    assert 0.1 < validate.mean() < 0.5


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_blocks_never_leak_and_keep_their_distance(seed):
    index = index_of(seed, 120, 200_000)
    params = split_params("block", block_km=40.0, block_gap_km=3.0)
    train, validate = split_patches(index, params, size_m=1040, seed=seed)
    assert not (train & validate).any()
    assert not overlaps(index, train, validate)
    apart = np.hypot(
        index.x_m.to_numpy()[train][:, None] - index.x_m.to_numpy()[validate],
        index.y_m.to_numpy()[train][:, None] - index.y_m.to_numpy()[validate],
    )
    assert apart.min() > 3000
    cells = {name: set(zip(index.x_m[s] // 4e4, index.y_m[s] // 4e4, strict=True))
             for name, s in (("t", train), ("v", validate))}  # fmt: skip
    assert cells["t"] & cells["v"] == set()


def test_the_random_split_leaks_as_the_paper_s():
    index = index_of(1, 60, 300_000, dates=7)
    train, validate = split_patches(index, split_params("random"), size_m=1040, seed=1)
    assert validate.sum() == round(0.2 * 420)
    assert index.label[validate].mean() == 0.5
    both = set(index.point[train]) & set(index.point[validate])
    assert len(both) > 30


def test_the_split_is_seeded():
    index = index_of(1, 60, 300_000)
    draws = [split_patches(index, split_params("point"), size_m=1040, seed=s)[1] for s in (1, 1, 2)]
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).any()


def test_too_little_to_split():
    index = index_of(1, 4, 500, dates=2)
    with pytest.raises(InputError, match="both classes"):
        split_patches(index, split_params("point"), size_m=1040, seed=0)
    with pytest.raises(InputError, match="both classes"):
        split_patches(index, split_params("block"), size_m=1040, seed=0)
