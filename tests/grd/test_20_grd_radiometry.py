"""Tables at their nodes, noise in both formats, calibration against a slow reference, border."""

import re
from functools import partial
from xml.etree import ElementTree

import numpy as np
import pytest
from grd_samples import S1A, S1B, scene

from curupira.blocks import Window
from curupira.errors import InputError
from curupira.grd import fields
from curupira.grd.border import find_border
from curupira.grd.files import open_files
from curupira.grd.image import read_image
from curupira.grd.lut import azimuth_factor, gain, noise_power
from curupira.grd.product import open_product
from curupira.grd.radiometry import calibrated, to_power
from curupira.grd.tables import read_calibration, read_noise


@pytest.fixture(scope="module", params=[S1A, S1B], ids=["S1A", "S1B"])
def product(request):
    return open_product(request.param, polarisations=["VV"], pixels=False)


@pytest.fixture(scope="module")
def noise_xml():
    product = open_product(S1A, polarisations=["VV"], pixels=False)
    return open_files(S1A).read(product.manifest.files["VV"]["noise"])


def old_format(xml):
    """As before IPF 2.9: one list of range vectors, no azimuth vectors."""
    start, stop = xml.index(b"<noiseAzimuthVectorList"), xml.index(b"</noiseAzimuthVectorList>")
    xml = xml[:start] + xml[stop + len(b"</noiseAzimuthVectorList>") :]
    xml = xml.replace(b"noiseRangeVector", b"noiseVector")
    return xml.replace(b"noiseRangeLut", b"noiseLut")


@pytest.mark.parametrize("kind", ["sigma0", "beta0", "gamma0"])
def test_calibration_at_its_nodes(product, kind):
    table, a = product.calibration["VV"], product.first
    values = getattr(table, kind)
    for k in (0, 7, 20):
        line = int(table.line[k])
        row = gain(table, slice(line, line + 1), slice(0, a.samples), kind)[0]
        np.testing.assert_array_equal(row[table.pixel], values[k].astype(np.float32))


def test_noise_at_its_nodes(product):
    table, a = product.noise["VV"], product.first
    k = 5
    line = int(table.line[k])
    row = noise_power(table, slice(line, line + 1), slice(0, a.samples))[0]
    factor = np.ones(a.samples)
    for block in table.blocks:
        there = np.interp(line, block.line, block.factor)
        factor[block.first_sample : block.last_sample + 1] = there
    expected = table.power[k] * factor[table.pixel]
    np.testing.assert_allclose(row[table.pixel], expected, rtol=3e-7)
    block = table.blocks[1]
    found, _ = azimuth_factor(table, block.line, block.first_sample, 1)
    np.testing.assert_array_equal(found[:, 0], block.factor.astype(np.float32))


def test_noise_before_ipf_29(noise_xml):
    new, old = read_noise(noise_xml, "new"), read_noise(old_format(noise_xml), "old")
    assert (len(new.blocks), len(old.blocks)) == (3, 0)
    np.testing.assert_array_equal(old.power, new.power)
    rows, cols = slice(1000, 1010), slice(8700, 8800)
    segment = noise_power(new, rows, cols) / noise_power(old, rows, cols)
    assert 0.9 < segment.min() < segment.max() < 1.2
    assert np.ptp(noise_power(old, slice(674, 675), slice(0, 40))) > 0


def test_vectors_with_different_pixels(noise_xml):
    whole = read_noise(noise_xml, "a")
    first = noise_xml.index(b">0 40 80 ") + 1
    thinner = noise_xml[:first] + noise_xml[first:].replace(b"0 40 80 ", b"0 41 80 ", 1)
    union = read_noise(thinner, "b")
    assert 41 in union.pixel
    assert 40 in union.pixel
    np.testing.assert_array_equal(
        union.power[1:][:, np.isin(union.pixel, whole.pixel)], whole.power[1:]
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"<noiseRangeLut", b"<other", "no readable XML"),
        (b"2.359446e+03 ", b"", "does not fit its pixels"),
        (b"2.359446e+03", b"-2.359446e+03", "negative"),
        (b">0 40 80 ", b">0 80 40 ", "do not increase"),
    ],
)
def test_damaged_noise(noise_xml, old, new, message):
    assert old in noise_xml
    with pytest.raises(InputError, match=message):
        read_noise(noise_xml.replace(old, new, 1), "a.xml")


def test_damaged_calibration():
    product = open_product(S1A, polarisations=["VV"], pixels=False)
    xml = open_files(S1A).read(product.manifest.files["VV"]["calibration"])
    with pytest.raises(InputError, match="not positive"):
        read_calibration(xml.replace(b"6.657139e+02", b"0.0", 1), "a.xml")


def test_against_a_slow_reference(product):
    calibration, noise = product.calibration["VV"], product.noise["VV"]
    rng = np.random.default_rng(3)
    y0, x0 = 2990, 8850
    counts = rng.integers(0, 400, (30, 80)).astype(np.uint16)
    found = to_power(counts, y0, x0, calibration, noise)
    for r, c in rng.integers(0, [30, 80], (40, 2)):
        line, sample = y0 + r, x0 + c

        def bilinear(lines, pixels, table, line=line, sample=sample):
            rows = [np.interp(sample, pixels, row) for row in table]
            return np.interp(line, lines, rows)

        power = bilinear(noise.line, noise.pixel, noise.power)
        for block in noise.blocks:
            if block.first_sample <= sample <= block.last_sample:
                power *= np.interp(line, block.line, block.factor)
        a = bilinear(calibration.line, calibration.pixel, calibration.sigma0)
        if counts[r, c] == 0:
            assert np.isnan(found[r, c])
        else:
            expected = (float(counts[r, c]) ** 2 - power) / a**2
            assert found[r, c] == pytest.approx(expected, rel=2e-5, abs=1e-7)
    tiled = to_power(counts[10:20, 30:50], y0 + 10, x0 + 30, calibration, noise)
    np.testing.assert_array_equal(tiled, found[10:20, 30:50])


@pytest.mark.parametrize("template", [S1A, S1B], ids=["S1A", "S1B"])
def test_round_trip(tmp_path, template):
    safe = scene(tmp_path / "a.SAFE", template, {"VV": fields.flat(0.05)}, looks=4.4)
    product = open_product(safe, polarisations=["VV"])
    block = (slice(0, 400), slice(0, 500))
    sigma0 = calibrated(product, "VV", *block)
    assert abs(10 * np.log10(sigma0.mean() / 0.05)) < 0.05
    noisy = calibrated(product, "VV", *block, denoise=False)
    assert 10 * np.log10(noisy.mean() / 0.05) > 0.15
    beta0, gamma0 = (calibrated(product, "VV", *block, kind=k) for k in ("beta0", "gamma0"))
    sine = sigma0 / beta0
    np.testing.assert_allclose(np.degrees(np.arcsin(np.sqrt(sine[0, 0] ** 2))), 36, atol=2)
    np.testing.assert_allclose(sigma0 / gamma0, np.sqrt(1 - sine**2), rtol=2e-3)


def test_border_noise_is_cut_and_dark_water_kept(tmp_path):
    border = {"samples": 70, "lines": 40, "noise_ratio": 0.05}
    safe = scene(tmp_path / "a.SAFE", S1A, {"VV": fields.flat(1e-5)}, looks=4.4, border=border)
    product = open_product(safe, polarisations=["VV"])
    found = find_border(partial(product.opened, "VV"), 400, 500, product.noise["VV"])
    valid = found.valid(slice(0, 400), slice(0, 500))
    truth = np.zeros((400, 500), bool)
    truth[40:360, 70:430] = True
    assert not (valid & ~truth).any()
    # What is lost with it: at most two bands of lines, three cells of samples.
    assert valid[40 + 64 : 360 - 64, 70 + 48 : 430 - 48].all()
    power = calibrated(product, "VV", slice(0, 400), slice(0, 500), border=found)
    np.testing.assert_array_equal(np.isfinite(power), valid)


def test_clean_and_zero_borders_lose_nothing(tmp_path):
    border = {"samples": 30, "lines": 20, "noise_ratio": 0}
    safe = scene(tmp_path / "a.SAFE", S1A, {"VV": fields.flat(1e-5)}, looks=4.4, border=border)
    product = open_product(safe, polarisations=["VV"])
    found = find_border(partial(product.opened, "VV"), 400, 500, product.noise["VV"])
    assert found.valid(slice(0, 400), slice(0, 500)).all()
    power = calibrated(product, "VV", slice(0, 400), slice(0, 500), border=found)
    assert np.isfinite(power).sum() == 360 * 440


@pytest.mark.parametrize(
    ("ipf", "scale"),
    [("002.36", 75_088.7 * 474**2), ("002.31", 75_088.7 * 474), ("002.50", 1), ("003.31", 1)],
)
def test_noise_before_ipf_250_is_on_another_scale(copy_of, ipf, scale):
    """What stood in the tables of 2014 is what now stands there, divided by ESA's factor."""
    safe = copy_of(ipf, scale)
    noise = open_product(safe).noise["VV"]
    np.testing.assert_allclose(
        noise.power, open_product(copy_of(None, 1)).noise["VV"].power, rtol=1e-4
    )
    image = read_image(open_product(safe), "VV", Window(0, 200, 0, 250), 2, kind="sigma0")
    assert 10 * np.log10(np.nanmedian(image.power) / 0.1) == pytest.approx(0, abs=0.05)


def test_noise_on_an_unknown_scale_is_not_taken_off(copy_of):
    product = open_product(copy_of("002.60", 1e10))
    part = Window(0, 20, 0, 25)
    with pytest.raises(InputError, match=r"no scale that is known \(IPF 002.60\).*--keep-noise"):
        read_image(product, "VV", part, 2, kind="sigma0")
    kept = read_image(product, "VV", part, 2, kind="sigma0", denoise=False)
    # With the noise, some per cent of this ground.
    assert 1 < np.nanmedian(kept.power) / 0.1 < 1.1


@pytest.fixture
def copy_of(tmp_path):
    """Makes a small scene of an IPF version, its noise tables divided by a number."""

    def make(ipf, scale):
        safe = scene(tmp_path / f"{ipf}-{scale:g}.SAFE")
        (path,) = safe.glob("annotation/calibration/noise-*.xml")
        root = ElementTree.fromstring(path.read_bytes())
        for lut in root.iter("noiseRangeLut"):
            lut.text = " ".join(f"{float(v) / scale:.8e}" for v in lut.text.split())
        path.write_bytes(ElementTree.tostring(root))
        if ipf is not None:
            manifest = safe / "manifest.safe"
            text = manifest.read_text()
            changed = re.sub(r'(software[^>]*version=")[^"]*', rf"\g<1>{ipf}", text)
            assert changed != text
            manifest.write_text(changed)
        return safe

    return make
