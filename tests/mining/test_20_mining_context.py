"""Bands of the land around: streams, slope, height; computed block by block as for the whole."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
from odc.geo.geobox import GeoBox
from shapely.geometry import LineString, Point

from curupira import presets
from curupira.blocks import Window
from curupira.errors import InputError
from curupira.mining.card import Normalisation
from curupira.mining.classify import classify_scene
from curupira.mining.context import above_valley, slope_deg, stream_km, with_land
from curupira.mining.model import load_model, save_model
from curupira.mining.network import MiningNetwork
from curupira.mining.params import MiningParams
from curupira.mining.patches import Dropped, extract
from curupira.mining.scene import RadarScene, read_bands
from curupira.mining.score import WindowScorer

GRID = GeoBox.from_bbox((500_000, 9_000_000, 504_000, 9_003_000), "EPSG:32721", resolution=10)
PARAMS = MiningParams.from_preset(presets.load("unesp_2025", "mining"))


def _scene() -> RadarScene:
    rng = np.random.default_rng(1)
    vv, vh = (rng.normal(m, 1, GRID.shape).astype(np.float32) for m in (-7, -13))
    return RadarScene("s", None, GRID, lambda w: (vv[w.slices], vh[w.slices]))


def _hills(box: GeoBox) -> np.ndarray:
    # Known everywhere, so that blocks see the ground around them.
    x = box.affine.c + box.affine.a * (np.arange(box.shape[1]) + 0.5)
    y = box.affine.f + box.affine.e * (np.arange(box.shape[0]) + 0.5)
    return (100 + 0.1 * (x[None] - 500_000) + 20 * np.sin(y[:, None] / 200)).astype(np.float32)


def test_distance_to_a_straight_stream():
    # The line runs in the middle of the column of pixels 100.
    stream = LineString([(501_005, 8_990_000), (501_005, 9_010_000)])
    away = stream_km([stream], GRID)
    columns = np.abs(np.arange(400) - 100) * 0.01
    np.testing.assert_allclose(away[150], np.minimum(columns, 2.0), atol=1e-6)
    assert (stream_km([], GRID) == 2.0).all()


def test_a_stream_outside_the_image_counts():
    stream = LineString([(499_495, 8_990_000), (499_495, 9_010_000)])
    assert stream_km([stream], GRID)[0, 0] == pytest.approx(0.51, abs=0.011)


def test_slope_and_height_of_a_plane():
    rows, columns = np.mgrid[:200, :240].astype(np.float32)
    plane = 3 * rows + 4 * columns  # a rise of 5 m on 10 m
    assert slope_deg(plane, 10)[50:60, 50:60] == pytest.approx(np.degrees(np.arctan(0.5)), abs=0.01)
    # The lowest corner of the square is 50 pixels down both slopes.
    assert above_valley(plane, 10)[100, 100] == pytest.approx(50 * 3 + 50 * 4)
    gap = plane.copy()
    gap[100, 100] = np.nan
    assert np.isnan(above_valley(gap, 10)[100, 100])
    assert np.isfinite(above_valley(gap, 10)[101, 101])


def test_blocks_fit_together():
    stream = LineString([(500_300, 9_000_100), (503_000, 9_002_900)])
    scene = with_land(_scene(), streams=[stream], heights=_hills)
    part = Window(120, 200, 40, 150)
    for name in ("stream", "slope", "height"):
        whole = scene.extra[name](scene.window)
        assert whole.shape == GRID.shape
        np.testing.assert_allclose(scene.extra[name](part), whole[part.slices], atol=1e-4)


def test_bands_stand_in_the_order_of_the_preset():
    bands = PARAMS.bands.model_copy(update={"bands": ["slope", "vh", "stream"], "lee": "none"})
    scene = with_land(_scene(), streams=[LineString([(0, 0), (1, 1)])], heights=_hills)
    part = Window(10, 30, 10, 40)
    found = read_bands(scene, part, bands)
    np.testing.assert_array_equal(found[1], _scene().read(part)[1])
    np.testing.assert_array_equal(found[0], scene.extra["slope"](part))
    assert (found[2] == 2.0).all()


@pytest.mark.parametrize(("band", "remedy"), [("stream", "--streams"), ("height", "--dem")])
def test_a_model_of_the_land_without_its_file_is_told_what_to_give(band, remedy):
    bands = PARAMS.bands.model_copy(update={"bands": ["vv", "vh", band]})
    with pytest.raises(InputError, match=band) as caught:
        read_bands(_scene(), Window(0, 20, 0, 20), bands)
    assert remedy in str(caught.value)


def _east_unknown(box: GeoBox) -> np.ndarray:
    x = box.affine.c + box.affine.a * (np.arange(box.shape[1]) + 0.5)
    return np.where(x[None] < 502_000, _hills(box), np.nan).astype(np.float32)


def test_ground_without_heights_is_missing_as_ground_without_radar_is(tmp_path):
    preset = presets.load("unesp_2025", "mining").replace(
        bands=["vv", "vh", "slope"], lee="none", size_px=16, stride_px=8, filters=[2, 2, 2], dense=2
    )
    params = MiningParams.from_preset(preset)
    scene = with_land(_scene(), streams=None, heights=_east_unknown)
    places = [Point(501_000, 9_001_000), Point(503_000, 9_001_000)]
    points = gpd.GeoDataFrame({"point": [0, 1], "label": [1, 0]}, geometry=places, crs=GRID.crs)
    dropped = Dropped()
    cut = list(extract(scene, points, params.bands, params.patches, dropped))
    assert ([p.point for p in cut], dropped.missing) == ([0], 1)
    network = MiningNetwork(3, params.network)
    record = {"data_hash": "none", "seed": 0, "epoch": 0}
    record |= {name: {} for name in ("patches", "metrics", "history", "software")}
    scaling = Normalisation(kind="training", mean=[-7.0, -13.0, 5.0], sd=[1.0, 1.0, 1.0])
    save_model(tmp_path, network, scaling, preset, record)
    model, scorer = load_model(tmp_path), WindowScorer(tmp_path)
    found = classify_scene(scene, model, stride_px=8, threshold=0.5).probability
    # Windows of 16 pixels in steps of 8: the last whole one before pixel 200 is number 23.
    assert np.isfinite(found[:, :23]).all()
    assert np.isnan(found[:, 24:]).all()
    assert np.isfinite(scorer.probability(scene, 80, 80))
    assert np.isnan(scorer.probability(scene, 80, 240))
    nowhere = with_land(_scene(), streams=None, heights=lambda b: np.full(b.shape, np.nan, "f4"))
    with pytest.raises(InputError, match="no window has enough valid pixels") as caught:
        classify_scene(nowhere, model, stride_px=8, threshold=0.5)
    assert "heights" in str(caught.value)
