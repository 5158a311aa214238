"""Polygons and their attributes."""

import dataclasses

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from scipy import ndimage

from curupira.blocks import Window, split
from curupira.codes import NOT_OBSERVED
from curupira.errors import ConfigError, InputError
from curupira.presets import Preset
from curupira.vectorise.attributes import area_ha, group_mode
from curupira.vectorise.params import VectoriseParams
from curupira.vectorise.polygons import COLUMNS, AlertPixels, extract

PRESET = Preset(
    "test",
    {
        "confirm": {
            "confirm_statistic": "median",
            "confirm_n_alerts": 1.11,
            "high_intensity": 7.0,
        },
        "confidence": {
            "polygon_confidence": "median",
            "confidence_base": -3.0,
            "confidence_pixel_weight": 2.0,
            "confidence_size_weight": 1.0,
            "confidence_images_weight": 0.0,
            "confidence_issue": 0.0,
            "confidence_confirm": 0.95,
        },
        "morphology": {"opening_radius": 1, "closing_radius": 1},
        "polygon": {
            "connectivity": 4,
            "pre_removal_ha": 1.0,
            "minimum_area_ha": 1.0,
            "area_crs": "EPSG:5880",
            "flag_day": "mode",
        },
    },
)
PARAMS = VectoriseParams.from_preset(PRESET)


def options(**values):
    return VectoriseParams.from_preset(PRESET.replace(**values))


def utm_grid(lon=-57.0, lat=-5.0, shape=(60, 70), resolution=20):
    zone = int((lon + 180) // 6) + 1
    crs = f"EPSG:{32700 + zone}"
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    x, y = x // resolution * resolution, y // resolution * resolution
    bbox = (x, y - shape[0] * resolution, x + shape[1] * resolution, y)
    return GeoBox.from_bbox(bbox, crs=crs, resolution=resolution)


def dense_layers(mask, seed=0):
    rng = np.random.default_rng(seed)
    shape = mask.shape
    n_alerts = np.where(mask, rng.integers(1, 5, shape), 0).astype(np.uint8)
    n_alerts[~mask & (rng.random(shape) < 0.1)] = NOT_OBSERVED
    first = rng.integers(1600, 1604, shape).astype(np.int32)
    distance = rng.uniform(0, 900, shape).astype(np.float32)
    distance[rng.random(shape) < 0.3] = np.nan
    return {
        "n_alerts": n_alerts,
        "first_flag_days": first,
        "last_flag_days": first + rng.integers(0, 30, shape).astype(np.int32),
        "excess_db": rng.gamma(2, 0.4, shape).astype(np.float32),
        "threshold_db": rng.uniform(2.185, 2.689, shape).astype(np.float32),
        "confidence": rng.random(shape).astype(np.float32),
        "distance_m": distance,
    }


def pixels_of(layers, window=None):
    rows, columns = layers["n_alerts"].shape
    window = window or Window(0, rows, 0, columns)
    return AlertPixels.from_block(window, **{k: v[window.slices] for k, v in layers.items()})


def blobs(seed, shape=(60, 70), level=0.05):
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2.5)
    return field > level


def block(*rectangles, shape=(60, 70)):
    mask = np.zeros(shape, bool)
    for y0, y1, x0, x1 in rectangles:
        mask[y0:y1, x0:x1] = True
    return mask


def slow_reference(layers, params):
    """Dense arrays, scipy, and one polygon at a time."""
    flagged = (layers["n_alerts"] > 0) & (layers["n_alerts"] != NOT_OBSERVED)
    wide = np.pad(flagged, 8)
    wide = ndimage.binary_opening(wide, np.ones((3, 3)))
    wide = ndimage.binary_closing(wide, ndimage.generate_binary_structure(2, 1))
    labels, count = ndimage.label(wide[8:-8, 8:-8])
    rows = []
    for number in range(1, count + 1):
        inside = labels == number
        if inside.sum() <= 25:
            continue
        at = inside & flagged
        days, times = np.unique(layers["first_flag_days"][at], return_counts=True)
        rows.append(
            {
                "n_pixels": inside.sum(),
                "n_alert_pixels": at.sum(),
                "n_alerts": np.median(layers["n_alerts"][at]),
                "n_alerts_mean": np.mean(layers["n_alerts"][at]),
                "intensity": np.median(10 * layers["excess_db"][at].astype(float)),
                "first_flag_days": days[np.argmax(times)],
                "last_flag_days": layers["last_flag_days"][at].max(),
                "threshold_db": np.median(layers["threshold_db"][at].astype(float)),
                "distance_to_deforestation_m": np.nanmedian(layers["distance_m"][at].astype(float)),
                "confidence": np.median(layers["confidence"][at].astype(float)),
            }
        )
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_attributes_equal_slow_reference(seed):
    layers = dense_layers(blobs(seed), seed)
    found = extract(pixels_of(layers), utm_grid(), options(minimum_area_ha=0.0))
    expected = slow_reference(layers, PARAMS)
    assert len(found) == len(expected) > 2
    for (_, row), wanted in zip(found.iterrows(), expected, strict=True):
        for name, value in wanted.items():
            np.testing.assert_allclose(row[name], value, rtol=1e-12, err_msg=name)
        assert row["excess_db"] == pytest.approx(row["intensity"] / 10)
        assert row["status"] == ("confirmed" if row["n_alerts"] > 1.11 else "preliminary")
        assert row.geometry.area == 400 * row["n_pixels"]


def same(a, b):
    assert list(a.columns) == list(b.columns)
    assert a.crs == b.crs
    assert [g.wkb for g in a.geometry] == [g.wkb for g in b.geometry]
    for name in COLUMNS:
        assert a[name].tolist() == b[name].tolist() or np.array_equal(
            a[name], b[name], equal_nan=True
        )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 80))
def test_nothing_depends_on_tiles_or_their_order(seed, size):
    layers = dense_layers(blobs(seed), seed)
    tiles = list(split(Window(0, 60, 0, 70), size))
    np.random.default_rng(seed).shuffle(tiles)
    parts = [pixels_of(layers, tile) for tile in tiles]
    same(
        extract(AlertPixels.concatenate(parts), utm_grid(), PARAMS),
        extract(pixels_of(layers), utm_grid(), PARAMS),
    )


def test_shuffled_pixels_give_the_same():
    pixels = pixels_of(dense_layers(blobs(3), 3))
    order = np.random.default_rng(1).permutation(len(pixels))
    same(extract(pixels.take(order), utm_grid(), PARAMS), extract(pixels, utm_grid(), PARAMS))


def test_polygon_across_tile_borders_is_one():
    layers = dense_layers(block((25, 40, 20, 50)))
    parts = [pixels_of(layers, tile) for tile in split(Window(0, 60, 0, 70), 16)]
    assert sum(len(part) > 0 for part in parts) > 4
    found = extract(AlertPixels.concatenate(parts), utm_grid(), PARAMS)
    assert found["n_pixels"].tolist() == [450]
    assert found.geometry[0].equals(shapely.box(*found.total_bounds))


@pytest.mark.parametrize("extra", [False, True])
def test_25_pixels_are_dropped_and_26_kept(extra):
    mask = block((10, 15, 10, 15))
    mask[15, 12] = extra
    # Without morphology, which would take the 26th pixel off again.
    params = options(opening_radius=0, closing_radius=0, minimum_area_ha=0.0)
    found = extract(pixels_of(dense_layers(mask)), utm_grid(), params)
    assert found["n_pixels"].tolist() == ([26] if extra else [])


def test_minimum_area_is_strict():
    pixels = pixels_of(dense_layers(block((10, 15, 10, 15))))
    grid = utm_grid()
    area = extract(pixels, grid, options(pre_removal_ha=0.0, minimum_area_ha=0.0))["area_ha"][0]
    exact = options(pre_removal_ha=0.0, minimum_area_ha=float(area))
    assert len(extract(pixels, grid, exact)) == 0
    below = options(pre_removal_ha=0.0, minimum_area_ha=float(np.nextafter(area, 0)))
    assert len(extract(pixels, grid, below)) == 1


def test_exactly_one_hectare_is_not_kept():
    # On the equator and its own meridian EPSG:5880 is true to scale: 1 ha of 25 pixels is 1.00 ha.
    bbox = (5_000_000, 10_000_000, 5_000_400, 10_000_400)
    grid = GeoBox.from_bbox(bbox, crs="EPSG:5880", resolution=20)
    pixels = pixels_of(dense_layers(block((3, 8, 3, 8), shape=(20, 20))))
    assert len(extract(pixels, grid, options(pre_removal_ha=0.0))) == 0
    found = extract(pixels, grid, options(pre_removal_ha=0.0, minimum_area_ha=0.999))
    assert found["area_ha"].tolist() == [1.0]


# method.md 1B row 15.
@pytest.mark.parametrize(("lon", "bias"), [(-60, 0.5), (-66, 2.2), (-70, 3.9), (-74, 6.1)])
def test_polyconic_area_is_too_large_in_the_west(lon, bias):
    pixels = pixels_of(dense_layers(block((10, 20, 10, 20))))
    grid = utm_grid(lon=lon + 0.01)
    row = extract(pixels, grid, PARAMS).iloc[0]
    assert 100 * (row["area_ha"] / row["area_geodesic_ha"] - 1) == pytest.approx(bias, abs=0.1)
    geodesic = extract(pixels, grid, options(area_crs="geodesic")).iloc[0]
    assert geodesic["area_ha"] == geodesic["area_geodesic_ha"] == row["area_geodesic_ha"]


def test_geodesic_area_has_the_utm_scale_and_counts_holes():
    mask = block((5, 35, 5, 35))
    mask[15:25, 15:25] = False
    found = extract(pixels_of(dense_layers(mask)), utm_grid(lon=-56.99), PARAMS)
    assert len(found.geometry[0].interiors) == 1
    # The closing rounds the four corners of the hole off.
    assert found.geometry[0].area == 804 * 400
    # On the central meridian of UTM lengths are 0.9996 of the true ones.
    assert found["area_geodesic_ha"][0] == pytest.approx(32.16 / 0.9996**2, rel=1e-5)


def test_areas_need_no_densification():
    square = np.array([shapely.box(300_000, 9_400_000, 305_000, 9_405_000)], object)
    dense = shapely.segmentize(square, 20)
    for area_crs in ("EPSG:5880", "geodesic"):
        coarse, fine = (area_ha(g, "EPSG:32721", area_crs) for g in (square, dense))
        np.testing.assert_allclose(coarse, fine, rtol=1e-5)


@pytest.mark.parametrize(("rule", "day"), [("mode", 1610), ("earliest", 1600), ("median", 1605)])
def test_flag_day_rules(rule, day):
    layers = dense_layers(block((10, 16, 10, 16)))
    layers["first_flag_days"][10:16, 10:16] = np.repeat([1600, 1601, 1602, 1609, 1610, 1610], 6)[
        :, None
    ].reshape(6, 6)
    found = extract(pixels_of(layers), utm_grid(), options(flag_day=rule))
    assert found["first_flag_days"].tolist() == [day]


def test_mode_takes_the_earliest_at_a_tie():
    days = np.array([9, 5, 9, 5, 7, 3, 8])
    groups = np.array([0, 0, 0, 0, 0, 1, 1])
    assert group_mode(days, groups, 2).tolist() == [5, 3]


@pytest.mark.parametrize(
    ("n_alerts", "statistic", "limit", "status"),
    [
        ([1, 1], "median", 1.11, "preliminary"),
        ([1, 2], "median", 1.11, "confirmed"),
        ([1, 1, 1, 2], "median", 1.11, "preliminary"),
        ([1, 1, 1, 2], "mean", 1.11, "confirmed"),
        ([1, 1], "mean", 1.0, "preliminary"),
    ],
)
def test_confirmation(n_alerts, statistic, limit, status):
    layers = dense_layers(block((10, 16, 10, 16)))
    layers["n_alerts"][10:16, 10:16] = np.resize(n_alerts, 36).reshape(6, 6)
    params = options(confirm_statistic=statistic, confirm_n_alerts=limit)
    assert extract(pixels_of(layers), utm_grid(), params)["status"].tolist() == [status]


@pytest.mark.parametrize(("intensity", "name"), [(7.0, "low_intensity"), (7.01, "high_intensity")])
def test_intensity_class(intensity, name):
    layers = dense_layers(block((10, 16, 10, 16)))
    layers["excess_db"][:] = intensity / 10
    found = extract(pixels_of(layers), utm_grid(), PARAMS)
    assert found["intensity_class"].tolist() == [name]
    assert found["intensity"][0] == pytest.approx(intensity, abs=1e-5)


def test_closed_gap_belongs_to_the_polygon_but_not_to_its_statistics():
    mask = block((10, 17, 10, 17))
    mask[13, 13] = False
    layers = dense_layers(mask)
    row = extract(pixels_of(layers), utm_grid(), options(opening_radius=0)).iloc[0]
    assert (row["n_pixels"], row["n_alert_pixels"]) == (49, 48)
    assert row["n_alerts_mean"] == layers["n_alerts"][mask].mean()


def test_distance_is_nan_where_no_pixel_knows_it():
    layers = dense_layers(block((10, 16, 10, 16)))
    layers["distance_m"][:] = np.nan
    assert np.isnan(
        extract(pixels_of(layers), utm_grid(), PARAMS)["distance_to_deforestation_m"][0]
    )


def test_8_connected_parts_are_one_warning():
    layers = dense_layers(block((10, 20, 10, 20), (20, 30, 20, 30)))
    plain = {"opening_radius": 0, "closing_radius": 0}
    found = extract(pixels_of(layers), utm_grid(), options(connectivity=8, **plain))
    assert found.geometry.geom_type.tolist() == ["MultiPolygon"]
    assert found["n_pixels"].tolist() == [200]
    assert len(extract(pixels_of(layers), utm_grid(), options(**plain))) == 2


def test_no_pixels_give_an_empty_frame_with_all_columns():
    full = extract(pixels_of(dense_layers(blobs(1))), utm_grid(), PARAMS)
    sources = {
        "none": AlertPixels.concatenate([]),
        "opened away": pixels_of(dense_layers(block((4, 6, 4, 6)))),
    }
    for pixels in sources.values():
        empty = extract(pixels, utm_grid(), PARAMS)
        assert isinstance(empty, gpd.GeoDataFrame)
        assert len(empty) == 0
        assert empty.crs == full.crs
        assert empty.dtypes.to_dict() == full.dtypes.to_dict()
        assert list(empty.columns) == [*COLUMNS, "geometry"]


def test_thousands_of_polygons_at_once():
    shape = (1000, 1000)
    mask = np.zeros(shape, bool)
    inside = np.indices(shape) % 14 < 6
    mask[inside.all(axis=0)] = True
    pixels = pixels_of(dense_layers(mask))
    found = extract(pixels, utm_grid(shape=shape), PARAMS)
    assert len(found) > 5000
    assert found["n_pixels"].min() == 36


def test_a_large_grid_costs_nothing():
    # 2.5e11 pixels: any dense array of the grid would fail.
    grid = GeoBox.from_bbox((0, 0, 10_000_000, 10_000_000), crs="EPSG:5880", resolution=20)
    pixels = pixels_of(dense_layers(block((10, 20, 10, 20))))
    far = dataclasses.replace(pixels, row=pixels.row + 250_000, col=pixels.col + 250_000)
    found = extract(far, grid, PARAMS)
    assert found["n_pixels"].tolist() == [100]
    assert found.total_bounds.tolist() == [5_000_200, 4_999_600, 5_000_400, 4_999_800]


def test_bad_pixels_are_refused():
    pixels = pixels_of(dense_layers(blobs(1)))
    with pytest.raises(InputError, match="given twice"):
        extract(AlertPixels.concatenate([pixels, pixels]), utm_grid(), PARAMS)
    with pytest.raises(InputError, match="outside the grid"):
        extract(dataclasses.replace(pixels, col=pixels.col + 1000), utm_grid(), PARAMS)
    with pytest.raises(InputError, match="shape"):
        dataclasses.replace(pixels, excess_db=pixels.excess_db[:-1])
    lonlat = GeoBox.from_bbox((-60, -5, -59, -4), crs="EPSG:4326", shape=(60, 70))
    with pytest.raises(InputError, match="not in metres"):
        extract(pixels, lonlat, PARAMS)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("connectivity", 6),
        ("area_crs", "EPSG:4674"),
        ("area_crs", "EPSG:99999999"),
        ("minimum_area_ha", -1.0),
        ("minimum_area_ha", "1"),
        ("flag_day", "latest"),
        ("opening_radius", 1.5),
        ("confirm_statistic", "max"),
    ],
)
def test_bad_options_are_named(option, value):
    with pytest.raises(ConfigError, match=option):
        options(**{option: value})


def test_missing_section_and_unknown_option():
    sections = {name: dict(values) for name, values in PRESET.sections.items()}
    with pytest.raises(ConfigError, match=r"\[morphology\] is missing"):
        VectoriseParams.from_preset(Preset("p", {"polygon": {}}))
    sections["polygon"]["simplify"] = 3
    with pytest.raises(ConfigError, match="simplify"):
        VectoriseParams.from_preset(Preset("p", sections))
