"""Orbits: the fit, orbit files, and which one is taken."""

import zipfile

import numpy as np
import pytest
from grd_samples import EOF, S1A, S1B

from curupira.errors import ConfigError, InputError, SourceError
from curupira.grd.annotation import SPEED_OF_LIGHT_M_S, StateVectors
from curupira.grd.locate import locate
from curupira.grd.orbit import Orbit, read_eof, resolve
from curupira.grd.product import open_product

SECOND = np.timedelta64(1, "s")
LISTING = "https://orbits.example/{kind}/{platform}/{year}/{month}/"


@pytest.fixture(scope="module", params=[S1A, S1B], ids=["S1A", "S1B"])
def annotation(request):
    return open_product(request.param, polarisations=["VV"], pixels=False).first


@pytest.fixture(scope="module")
def s1a():
    return open_product(S1A, polarisations=["VV"], pixels=False).first


def eof(
    annotation, kind, created="20210120T120000", start="20210118T225942", stop="20210120T005942"
):
    """Name and bytes of an orbit file that holds the annotation's own state vectors."""
    name = f"{annotation.platform}_OPER_AUX_{kind}_OPOD_{created}_V{start}_{stop}.EOF"
    vectors = annotation.state_vectors
    rows = "".join(
        f"<OSV><UTC>UTC={t}</UTC><X>{p[0]}</X><Y>{p[1]}</Y><Z>{p[2]}</Z>"
        f"<VX>{v[0]}</VX><VY>{v[1]}</VY><VZ>{v[2]}</VZ></OSV>"
        for t, p, v in zip(
            vectors.times.astype("datetime64[us]"),
            vectors.position_m,
            vectors.velocity_m_s,
            strict=True,
        )
    )
    text = (
        "<Earth_Explorer_File><Earth_Explorer_Header><Fixed_Header>"
        f"<File_Name>{name[:-4]}</File_Name><Mission>Sentinel-1{annotation.platform[-1]}</Mission>"
        f"<File_Type>AUX_{kind}</File_Type></Fixed_Header><Variable_Header>"
        "<Ref_Frame>EARTH_FIXED</Ref_Frame><Time_Reference>UTC</Time_Reference></Variable_Header>"
        f"</Earth_Explorer_Header><Data_Block><List_of_OSVs>{rows}</List_of_OSVs></Data_Block>"
        "</Earth_Explorer_File>"
    )
    return name, text.encode()


def test_the_fit_against_the_annotated_vectors(annotation):
    orbit = resolve(annotation)
    vectors = annotation.state_vectors
    near = (vectors.times >= orbit.start) & (vectors.times <= orbit.stop)
    seconds = orbit.seconds(vectors.times[near])
    apart = np.linalg.norm(orbit.position(seconds) - vectors.position_m[near], axis=1)
    slip = np.linalg.norm(orbit.velocity(seconds) - vectors.velocity_m_s[near], axis=1)
    assert orbit.source == "annotation"
    assert apart.max() == pytest.approx(orbit.residual_m)
    assert slip.max() == pytest.approx(orbit.velocity_residual_m_s)
    # Restituted vectors of the S1A product scatter by millimetres themselves.
    assert apart.max() < 0.01
    assert slip.max() < 0.002
    inside = np.abs(seconds) < 20
    assert slip[inside].max() < 2e-4


def test_velocity_is_the_derivative(annotation):
    orbit = resolve(annotation)
    t = np.linspace(-12, 12, 7)
    slope = (orbit.position(t + 0.01) - orbit.position(t - 0.01)) / 0.02
    np.testing.assert_allclose(orbit.velocity(t), slope, atol=1e-5)
    assert orbit.position(0.0).shape == (3,)


def test_doppler(annotation):
    """What a pixel shows has no Doppler shift; a hundred metres on, the known rate's worth."""
    orbit = resolve(annotation)
    lines = np.array([[0.0], [8000.0], [16000.0]])
    place = locate(annotation, orbit, lines, np.array([[0.0, 13000.0, 25000.0]]), bistatic=False)
    t = orbit.seconds(annotation.start) + lines * annotation.line_interval_s
    lat, lon = np.radians(place.latitude), np.radians(place.longitude)
    n = 6_378_137 / np.sqrt(1 - 0.00669437999014 * np.sin(lat) ** 2)
    p = np.stack(
        [
            n * np.cos(lat) * np.cos(lon),
            n * np.cos(lat) * np.sin(lon),
            n * (1 - 0.00669437999014) * np.sin(lat),
        ],
        axis=-1,
    )
    wavelength = SPEED_OF_LIGHT_M_S / annotation.radar_frequency_hz

    def doppler(seconds):
        look = p - orbit.position(seconds)
        return (
            2
            / wavelength
            * (orbit.velocity(seconds) * look).sum(-1)
            / np.linalg.norm(look, axis=-1)
        )

    still = doppler(t + 0 * place.latitude)
    assert np.abs(still).max() < 1e-3
    rate = (doppler(t + 0.1 + 0 * lat) - still) / 0.1
    # The annotated azimuth FM rate of these products is -2330 to -1900 Hz/s.
    assert ((rate > -2400) & (rate < -1800)).all()


def test_a_true_restituted_file():
    file = read_eof(EOF)
    assert (file.platform, file.source, len(file.vectors.times)) == ("S1A", "RESORB", 30)
    middle = file.vectors.times[15]
    orbit = Orbit.fit(file.vectors, middle - 12 * SECOND, middle + 12 * SECOND)
    assert orbit.residual_m < 1e-3
    assert orbit.velocity_residual_m_s < 1e-3
    # Left out of the fit, a vector in between is still met: the curve interpolates.
    keep = np.arange(30) != 15
    some = StateVectors(*(getattr(file.vectors, n)[keep] for n in file.vectors.__slots__))
    without = Orbit.fit(some, middle - 12 * SECOND, middle + 12 * SECOND)
    there = without.position(without.seconds(middle))
    assert np.linalg.norm(there - file.vectors.position_m[15]) < 2e-3


def test_zipped_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "orbit.EOF.zip", "w") as archive:
        archive.write(EOF, EOF.name)
    np.testing.assert_array_equal(
        read_eof(tmp_path / "orbit.EOF.zip").vectors.position_m, read_eof(EOF).vectors.position_m
    )
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.EOF", "x")
        archive.writestr("b.EOF", "x")
    with pytest.raises(InputError, match="2 orbit files"):
        read_eof(tmp_path / "two.zip")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("EARTH_FIXED", "TRUE_OF_DATE", "TRUE_OF_DATE"),
        ("AUX_RESORB", "AUX_PREORB", "PREORB"),
        ("<OSV>", "<OTHER>", "no readable XML"),
    ],
)
def test_other_files(tmp_path, old, new, message):
    path = tmp_path / "a.EOF"
    path.write_text(EOF.read_text().replace(f"{old}", new))
    with pytest.raises(InputError, match=message):
        read_eof(path)
    with pytest.raises(InputError, match="cannot read"):
        read_eof(tmp_path / "absent.EOF")


def test_an_explicit_file_has_to_fit(s1a, tmp_path):
    with pytest.raises(InputError, match=r"do not cover the scene of 2021-01-19T03:16:53"):
        resolve(s1a, explicit=EOF)
    s1b = open_product(S1B, polarisations=["VV"], pixels=False).first
    name, content = eof(s1b, "POEORB")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="S1B for a scene of S1A"):
        resolve(s1a, explicit=tmp_path / name)
    name, content = eof(s1a, "POEORB")
    (tmp_path / name).write_bytes(content)
    assert resolve(s1a, explicit=tmp_path / name).source == "POEORB"


def test_no_smooth_orbit(s1a):
    v = s1a.state_vectors
    jump = v.position_m.copy()
    jump[8] += 50.0
    with pytest.raises(InputError, match="no smooth orbit"):
        Orbit.fit(StateVectors(v.times, jump, v.velocity_m_s), s1a.start, s1a.stop)
    few = StateVectors(v.times[::5], v.position_m[::5], v.velocity_m_s[::5])
    with pytest.raises(InputError, match="only 3 state vectors"):
        Orbit.fit(few, s1a.start, s1a.stop)


def test_the_better_file_of_the_cache(s1a, tmp_path):
    for kind, created in (
        ("RESORB", "20210119T060000"),
        ("POEORB", "20210208T120000"),
        ("POEORB", "20210301T120000"),
    ):
        name, content = eof(s1a, kind, created)
        (tmp_path / name).write_bytes(content)
    # Of the next day: covers nothing here.
    (
        tmp_path / eof(s1a, "POEORB", "20220101T000000", "20210119T225942", "20210121T005942")[0]
    ).touch()
    orbit = resolve(s1a, cache=tmp_path)
    assert orbit.source == "POEORB"
    assert "20210301T120000" in orbit.name
    for path in tmp_path.glob("*POEORB*"):
        path.unlink()
    assert resolve(s1a, cache=tmp_path).source == "RESORB"
    assert resolve(s1a, cache=tmp_path / "none").source == "annotation"


class Server:
    """Orbit files by address, and what was asked for."""

    def __init__(self, pages):
        self.pages, self.asked = pages, []

    def __call__(self, url):
        self.asked.append(url)
        if url not in self.pages:
            raise SourceError("404", where=url)
        return self.pages[url]


def test_download(s1a, tmp_path):
    name, content = eof(s1a, "RESORB")
    folder = "https://orbits.example/RESORB/S1A/2021/01/"
    listing = f'<a href="{name}">{name}</a> <a href="S1B{name[3:]}">other</a>'.encode()
    server = Server({folder: listing, folder + name: content})
    first = resolve(s1a, cache=tmp_path, url=LISTING, fetch=server)
    assert (first.source, first.name) == ("RESORB", name[:-4])
    assert server.asked == [folder.replace("RESORB", "POEORB"), folder, folder + name]
    server.asked.clear()
    again = resolve(s1a, cache=tmp_path, url=LISTING, fetch=server)
    np.testing.assert_array_equal(again.coefficients, first.coefficients)
    # The precise file may have come out since; the restituted one is not fetched twice.
    assert server.asked == [folder.replace("RESORB", "POEORB")]


def test_download_of_the_month_before(s1a, tmp_path):
    from dataclasses import replace

    shift = np.datetime64("2021-02-01T00:10", "ns") - s1a.start
    vectors = s1a.state_vectors
    later = replace(
        s1a,
        start=s1a.start + shift,
        stop=s1a.stop + shift,
        state_vectors=StateVectors(vectors.times + shift, vectors.position_m, vectors.velocity_m_s),
    )
    name, content = eof(later, "POEORB", "20210220T120000", "20210131T225942", "20210202T005942")
    stored = f"{name}.zip"
    with zipfile.ZipFile(tmp_path / stored, "w") as archive:
        archive.writestr(name, content)
    folder = "https://orbits.example/POEORB/S1A/2021/01/"
    pages = {folder: stored.encode(), folder + stored: (tmp_path / stored).read_bytes()}
    cache = tmp_path / "cache"
    assert resolve(later, cache=cache, url=LISTING, fetch=Server(pages)).source == "POEORB"
    assert [path.name for path in cache.iterdir()] == [stored]
    assert resolve(later, cache=cache).source == "POEORB"


def test_a_login_page_is_not_kept(s1a, tmp_path):
    name, _ = eof(s1a, "POEORB")
    folder = "https://orbits.example/POEORB/S1A/2021/01/"
    server = Server({folder: name.encode(), folder + name: b"<html>log in</html>"})
    assert resolve(s1a, cache=tmp_path, url=LISTING, fetch=server).source == "annotation"
    assert list(tmp_path.iterdir()) == []


def test_downloads_want_a_cache(s1a):
    with pytest.raises(ConfigError, match="cache"):
        resolve(s1a, url=LISTING)
