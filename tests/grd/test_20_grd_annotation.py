"""Annotation of two true products: what it says, and that its geometry holds together."""

import numpy as np
import pytest
from grd_samples import S1A, S1B

from curupira.errors import InputError
from curupira.grd.annotation import SPEED_OF_LIGHT_M_S, StateVectors, read_annotation
from curupira.grd.files import open_files
from curupira.grd.locate import bistatic_shift, locate, locate_range, slant_range_m
from curupira.grd.orbit import Orbit
from curupira.grd.product import open_product


@pytest.fixture(scope="module", params=[S1A, S1B], ids=["S1A", "S1B"])
def annotation(request):
    return open_product(request.param, polarisations=["VV"], pixels=False).first


@pytest.fixture(scope="module")
def orbit(annotation):
    return Orbit.fit(annotation.state_vectors, annotation.start, annotation.stop)


@pytest.fixture(scope="module")
def xml():
    product = open_product(S1A, polarisations=["VV"], pixels=False)
    return open_files(S1A).read(product.manifest.files["VV"]["annotation"])


def test_what_the_files_say():
    a = open_product(S1A, pixels=False).annotation["VH"]
    assert (a.platform, a.mode, a.product_type, a.polarisation) == ("S1A", "IW", "GRD", "VH")
    assert (a.lines, a.samples, a.pass_direction) == (16854, 25931, "descending")
    assert (a.absolute_orbit, a.relative_orbit, a.ipf_version) == (36201, 79, "003.31")
    assert a.start == np.datetime64("2021-01-19T03:16:53.799379", "ns")
    assert (a.slice_number, len(a.slices)) == (5, 10)
    assert a.slices[4].start < a.start < a.stop < a.slices[4].stop
    assert (a.range_spacing_m, a.azimuth_spacing_m, a.noise_removed) == (10.0, 10.0, False)
    assert a.geolocation.shape == (10, 21)


def test_magnitudes(annotation):
    a, grid = annotation, annotation.geolocation
    assert abs(a.line_time(a.lines - 1) - a.stop) < np.timedelta64(1, "us")
    assert 24 < (a.stop - a.start) / np.timedelta64(1, "s") < 26
    assert a.near_range_time_s * SPEED_OF_LIGHT_M_S / 2 == pytest.approx(800e3, rel=0.01)
    assert SPEED_OF_LIGHT_M_S / a.radar_frequency_hz == pytest.approx(0.0555, abs=1e-4)
    assert 29 < grid.incidence_deg.min() < 32
    assert 45 < grid.incidence_deg.max() < 47
    assert (np.diff(grid.incidence_deg.reshape(grid.shape), axis=1) > 0).all()
    assert (grid.elevation_deg < grid.incidence_deg).all()
    speed = np.linalg.norm(a.state_vectors.velocity_m_s, axis=1)
    height = np.linalg.norm(a.state_vectors.position_m, axis=1) - 6_371e3
    assert ((speed > 7400) & (speed < 7700)).all()
    assert ((height > 680e3) & (height < 720e3)).all()
    # A line is as long as the ground track moves in its time.
    ground = speed.mean() * 6_371 / (6_371 + 700) * a.line_interval_s
    assert ground == pytest.approx(a.azimuth_spacing_m, rel=0.04)


def test_ground_range_polynomials_are_each_others_inverse(annotation):
    table = annotation.ground_range
    for k in range(0, len(table.times), 9):
        ground = np.linspace(0, (annotation.samples - 1) * annotation.range_spacing_m, 200)
        slant = np.polyval(table.grsr_coefficients[k][::-1], ground - table.grsr_origin_m[k])
        back = np.polyval(table.coefficients[k][::-1], slant - table.origin_m[k])
        # The annotated polynomials are two fits, not one; they differ by centimetres.
        assert np.abs(back - ground).max() < 0.2


def test_annotated_slant_ranges(annotation):
    """The grid's ranges are those of the polynomial nearest in time, to the last digit."""
    grid, table = annotation.geolocation, annotation.ground_range
    times = np.array([annotation.line_time(line) for line in grid.line])
    nearest = np.abs(table.times[:, None] - times).argmin(axis=0)
    x = grid.pixel * annotation.range_spacing_m - table.grsr_origin_m[nearest]
    slant = sum(c * x**n for n, c in enumerate(table.grsr_coefficients[nearest].T))
    truth = grid.slant_range_time * SPEED_OF_LIGHT_M_S / 2
    assert np.abs(slant - truth).max() < 1e-6
    # Blended between the times, as the image is taken here, they differ by a third of a pixel.
    blended = slant_range_m(annotation, grid.line, grid.pixel)
    assert 0.1 < np.abs(blended - truth).max() < 5


def test_blending_is_held_at_the_ends(annotation):
    table, day = annotation.ground_range, np.timedelta64(1, "D")
    np.testing.assert_array_equal(table.at(table.times[0] - day)[1], table.coefficients[0])
    np.testing.assert_array_equal(
        table.back_at(table.times[-1] + day)[1], table.grsr_coefficients[-1]
    )
    middle = table.times[3] + (table.times[4] - table.times[3]) // 2
    np.testing.assert_allclose(table.at(middle)[1], table.coefficients[3:5].mean(axis=0), rtol=1e-9)


def test_annotated_places_and_angles(annotation, orbit):
    """Positions within 2 cm and angles within 1e-6 degrees of the processor's own."""
    grid = annotation.geolocation
    place = locate_range(
        orbit,
        orbit.seconds(grid.azimuth_time),
        grid.slant_range_time * SPEED_OF_LIGHT_M_S / 2,
        grid.height,
    )
    metres = 111_320 * np.cos(np.radians(grid.latitude))
    assert np.abs((place.longitude - grid.longitude) * metres).max() < 0.02
    assert np.abs(place.latitude - grid.latitude).max() * 111_320 < 0.02
    assert np.abs(place.radial_incidence_deg - grid.incidence_deg).max() < 1e-6
    assert np.abs(place.elevation_deg - grid.elevation_deg).max() < 1e-6
    # The true incidence angle, to the ellipsoid's normal, is another by hundredths of a degree.
    assert 0.01 < np.abs(place.incidence_deg - grid.incidence_deg).max() < 0.2


def test_annotated_places_by_line_and_sample(annotation, orbit):
    grid = annotation.geolocation
    place = locate(annotation, orbit, grid.line, grid.pixel, grid.height)
    late = locate(annotation, orbit, grid.line, grid.pixel, grid.height, bistatic=False)
    away = {
        name: np.abs(p.latitude - grid.latitude).max() * 111_320
        for name, p in (("bistatic", place), ("plain", late))
    }
    assert away["bistatic"] < 1.5 < away["plain"] < 4
    constant, factor = bistatic_shift(annotation)
    assert factor == pytest.approx(0.5, abs=1e-3)
    middle = grid.slant_range_time.mean()
    assert abs(constant + factor * middle) < 3e-5


def test_terrain_by_a_function(annotation, orbit):
    lines, samples = np.array([[100.0], [9000.0]]), np.array([[50.0, 12000.0, 25000.0]])
    hills = locate(annotation, orbit, lines, samples, lambda lon, lat: 300 + 200 * np.sin(lon * 50))
    np.testing.assert_allclose(hills.height_m, 300 + 200 * np.sin(hills.longitude * 50), atol=0.01)
    again = locate(annotation, orbit, lines, samples, hills.height_m)
    np.testing.assert_allclose(again.longitude, hills.longitude, atol=1e-7)


def test_an_unreachable_range(orbit):
    with pytest.raises(InputError, match="does not reach"):
        locate_range(orbit, np.zeros(1), np.array([1e5]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[: len(x) // 2], "no readable XML"),
        (lambda x: b'<!DOCTYPE a [<!ENTITY b "c">]>' + x, "defines entities"),
        (lambda x: x.replace(b"<numberOfLines>16854", b"<numberOfLines>many"), "'many'"),
        (lambda x: x.replace(b"<numberOfLines>16854", b"<numberOfLines>1"), "1 lines"),
        (lambda x: x.replace(b"<slantRangeTime>5.34", b"<slantRangeTime>nan 5.34"), "reads 'nan"),
        (lambda x: x.replace(b"orbitList", b"otherList"), "orbitList/orbit> is missing"),
        (lambda x: x.replace(b"Earth Fixed", b"GM2000"), "not Earth Fixed"),
        (lambda x: x.replace(b"<line>0</line>", b"<line>7</line>", 1), "grid has holes"),
        (lambda x: x.replace(b"2021-01-19T03:15:45.964807", b"yesterday"), "'yesterday'"),
        (lambda x: x.replace(b"2021-01-19T03:15:45.964807", b"2022-01-19T00:00:00"), "time order"),
    ],
)
def test_damaged_files(xml, change, message):
    changed = change(xml)
    assert changed != xml
    with pytest.raises(InputError, match=message):
        read_annotation(changed, "a.xml")


def test_noise_that_is_gone_is_known(xml):
    name = b"thermalNoiseCorrectionPerformed"
    changed = xml.replace(b"<" + name + b">false", b"<" + name + b">true")
    assert read_annotation(changed, "a.xml").noise_removed


def test_state_vectors_need_order():
    times = np.array(["2021-01-01T00:00:10", "2021-01-01T00:00:00"], dtype="datetime64[ns]")
    with pytest.raises(InputError, match="time order"):
        StateVectors(times, np.zeros((2, 3)), np.zeros((2, 3)))
