"""Synthetic scenes: the inverse of the chain, on a part of the image and in another place."""

import numpy as np
import pytest
from affine import Affine
from grd_samples import S1A, scene
from odc.geo.geobox import GeoBox

from curupira.errors import InputError, StoreError
from curupira.grd import fields
from curupira.grd.locate import locate
from curupira.grd.move import propagate
from curupira.grd.orbit import resolve
from curupira.grd.product import open_product
from curupira.grd.radiometry import calibrated

ALL = slice(0, 400), slice(0, 500)


def test_patterns_come_back(tmp_path):
    pattern = {"VV": fields.edges(0.02, 0.5, 25), "VH": fields.ramp(-22, -8, 500)}
    product = open_product(scene(tmp_path / "a.SAFE", sigma0=pattern))
    for polarisation, field in pattern.items():
        error = 10 * np.log10(calibrated(product, polarisation, *ALL) / field(*ALL))
        assert abs(np.median(error)) < 0.05
        assert np.abs(error).max() < 0.2


def test_point_targets(tmp_path):
    points = [
        fields.PointTarget(100.3, 50.7, 400.0),
        fields.PointTarget(301.5, 420.25, 400.0),
    ]
    field = fields.with_points(fields.flat(0.01), points)
    product = open_product(scene(tmp_path / "a.SAFE", sigma0={"VV": field}), polarisations=["VV"])
    power = calibrated(product, "VV", *ALL)
    for point in points:
        y, x = round(point.line), round(point.sample)
        chip = power[y - 4 : y + 5, x - 4 : x + 5].astype(float) - 0.01
        line = (chip.sum(axis=1) * np.arange(y - 4, y + 5)).sum() / chip.sum()
        sample = (chip.sum(axis=0) * np.arange(x - 4, x + 5)).sum() / chip.sum()
        assert abs(line - point.line) < 0.05
        assert abs(sample - point.sample) < 0.05


def test_a_part_is_where_it_was(tmp_path):
    part = open_product(scene(tmp_path / "a.SAFE"), polarisations=["VV"]).first
    whole = open_product(S1A, polarisations=["VV"], pixels=False).first
    lines, samples = np.array([[0.0], [399.0]]), np.array([[0.0, 250.0, 499.0]])
    there = locate(part, resolve(part), lines, samples, 100.0)
    same = locate(whole, resolve(whole), lines + 3000, samples + 8600, 100.0)
    metres = 111_320
    assert np.abs(there.latitude - same.latitude).max() * metres < 0.05
    assert np.abs(there.longitude - same.longitude).max() * metres < 0.05


def test_over_the_amazon(tmp_path):
    safe = scene(tmp_path / "a.SAFE", latitude=-6, longitude=-56)
    product = open_product(safe, polarisations=["VV"])
    a, grid = product.first, product.first.geolocation
    orbit = resolve(a)
    middle = locate(a, orbit, [200.0], [250.0])
    assert abs(middle.latitude[0] + 6) < 0.1
    assert abs(middle.longitude[0] + 56) < 0.1
    assert orbit.residual_m < 1e-3
    assert orbit.velocity_residual_m_s < 1e-3
    place = locate(a, orbit, grid.line, grid.pixel, grid.height)
    assert np.abs(place.latitude - grid.latitude).max() * 111_320 < 3
    assert np.abs(place.radial_incidence_deg - grid.incidence_deg).max() < 1e-3
    assert a.state_vectors.velocity_m_s[0, 2] < 0
    lon, lat = np.array(product.manifest.footprint).mean(axis=0)
    assert np.hypot(lon + 56, lat + 6) < 0.1
    error = calibrated(product, "VV", *ALL) / 0.1
    assert abs(10 * np.log10(np.median(error))) < 0.05


def test_propagation_against_the_annotated_vectors():
    v = open_product(S1A, polarisations=["VV"], pixels=False).first.state_vectors
    state = np.concatenate([v.position_m[8], v.velocity_m_s[8]])
    path = propagate(state, (v.times - v.times[8]) / np.timedelta64(1, "s"))
    assert np.linalg.norm(path[:, :3] - v.position_m, axis=1).max() < 1
    assert np.linalg.norm(path[:, 3:] - v.velocity_m_s, axis=1).max() < 0.05


def test_ground_truth_on_a_map(tmp_path):
    whole = open_product(S1A, polarisations=["VV"], pixels=False).first
    orbit = resolve(whole)
    corner = locate(
        whole, orbit, [3000.0, 3400.0, 3000.0, 3400.0], [8600.0, 8600.0, 9100.0, 9100.0]
    )
    west, north = corner.longitude.min() - 0.01, corner.latitude.max() + 0.01
    grid = GeoBox((400, 400), Affine(3e-4, 0, west, 0, -3e-4, north), "EPSG:4326")
    truth = 0.1 + 0.05 * np.sin(np.arange(400) / 40)[None, :] * np.ones((400, 1))

    def place(lines, samples):
        found = locate(whole, orbit, lines + 3000, samples + 8600)
        return found.longitude, found.latitude

    field = fields.from_map(truth, grid, place)
    safe = scene(tmp_path / "a.SAFE", sigma0={"VV": field})
    power = calibrated(open_product(safe, polarisations=["VV"]), "VV", *ALL)
    at = locate(whole, orbit, [3200.0], [8850.0])
    expected = 0.1 + 0.05 * np.sin(((at.longitude[0] - west) / 3e-4 - 0.5) / 40)
    assert abs(10 * np.log10(power[200, 250] / expected)) < 0.1


def test_the_same_pixels_whatever_the_threads(tmp_path):
    from curupira.grd.synthesise import SynthesisParams, synthesise

    params = SynthesisParams(rows=(3000, 3600), cols=(8600, 8700), seed=5)
    counts = []
    for workers in (1, 3):
        target = tmp_path / f"{workers}.SAFE"
        synthesise(S1A, target, {"VV": fields.flat(0.1)}, params, workers=workers)
        product = open_product(target, polarisations=["VV"])
        counts.append(product.read("VV", slice(0, 600), slice(0, 100)))
    np.testing.assert_array_equal(*counts)


def test_what_cannot_be_made(tmp_path):
    with pytest.raises(InputError, match="not in an image"):
        scene(tmp_path / "a", rows=(16000, 17000))
    with pytest.raises(InputError, match="go together"):
        scene(tmp_path / "a", latitude=-6)
    with pytest.raises(InputError, match="no polarisation HH"):
        scene(tmp_path / "a", sigma0={"HH": fields.flat(0.1)})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "b").mkdir()
    with pytest.raises(StoreError, match="exists already"):
        scene(tmp_path / "b")
