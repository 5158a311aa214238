"""Opening GRD products from folders, archives and servers; everything that can be wrong."""

import pickle
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from grd_samples import S1A, S1B, scene

from curupira.errors import ConfigError, InputError, SourceError
from curupira.grd import fields
from curupira.grd.product import open_product

ALL = slice(0, 400), slice(0, 500)


@pytest.fixture(scope="module")
def safe(tmp_path_factory):
    name = "S1A_IW_GRDH_1SDV_20210119T031653_20210119T031718_036201_043ED0_8255.SAFE"
    folder = tmp_path_factory.mktemp("grd") / name
    return scene(folder, sigma0={"VV": fields.edges(0.02, 0.5, 20), "VH": fields.flat(0.02)})


@pytest.fixture
def copy(safe, tmp_path):
    return shutil.copytree(safe, tmp_path / safe.name)


def packed(folder, path, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"{folder.name}/{file.relative_to(folder)}")
    return path


def measurement(folder, polarisation="vv"):
    (path,) = folder.glob(f"measurement/*-{polarisation}-*.tiff")
    return path


def rewrite(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_folder_zip_and_manifest(safe, tmp_path):
    folder = open_product(safe)
    assert folder.polarisations == ("VV", "VH")
    assert folder.manifest.relative_orbit == folder.first.relative_orbit == 79
    assert folder.manifest.ipf_version == "003.31"
    assert (folder.manifest.slice_number, folder.manifest.total_slices) == (5, 10)
    assert folder.name == safe.stem
    archive = open_product(packed(safe, tmp_path / "scene {1}.zip"))
    by_manifest = open_product(safe / "manifest.safe", polarisations=["VH"])
    assert by_manifest.polarisations == ("VH",)
    for polarisation in folder.polarisations:
        counts = folder.read(polarisation, *ALL)
        assert counts.dtype == np.uint16
        np.testing.assert_array_equal(archive.read(polarisation, *ALL), counts)
    np.testing.assert_array_equal(by_manifest.read("VH", *ALL), counts)


def test_blocks_and_threads(safe):
    product = pickle.loads(pickle.dumps(open_product(safe)))
    whole = product.read("VV", *ALL)
    assert whole.std() > 0
    blocks = [
        (slice(y, y + 50), slice(x, x + 100)) for y in range(0, 400, 50) for x in range(0, 500, 100)
    ]
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda block: product.read("VV", *block), blocks * 3))
    for block, part in zip(blocks * 3, parts, strict=True):
        np.testing.assert_array_equal(part, whole[block])


def test_staged(safe, tmp_path):
    folder = open_product(safe)
    assert folder.staged(tmp_path) is folder
    archive = open_product(packed(safe, tmp_path / "a.zip"))
    staged = archive.staged(tmp_path / "plain")
    assert not staged.packed
    assert sorted(p.suffix for p in (tmp_path / "plain").iterdir()) == [".tiff", ".tiff"]
    np.testing.assert_array_equal(staged.read("VH", *ALL), folder.read("VH", *ALL))


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("measurement/*-vh-*.tiff", "measurement/s1a-iw-grd-vh-"),
        ("annotation/s1a-*-vv-*.xml", "annotation/s1a-iw-grd-vv-"),
        ("annotation/calibration/noise-*-vh-*.xml", "calibration/noise-s1a-iw-grd-vh-"),
    ],
)
def test_missing_files_are_named(copy, pattern, named):
    (path,) = copy.glob(pattern)
    path.unlink()
    with pytest.raises(InputError, match=f"not complete, missing: [^,]*{named}"):
        open_product(copy)
    other = "VV" if "vh" in pattern else "VH"
    assert open_product(copy, polarisations=[other]).polarisations == (other,)


def test_metadata_alone():
    assert open_product(S1A, pixels=False).polarisations == ("VV", "VH")
    with pytest.raises(InputError, match=r"measurement/s1a-iw-grd-vv.*measurement/s1a-iw-grd-vh"):
        open_product(S1A)
    with pytest.raises(InputError, match=r"s1b-iw-grd-vh.*or process VV alone"):
        open_product(S1B, pixels=False)
    product = open_product(S1B, polarisations=["VV"], pixels=False)
    assert product.manifest.relative_orbit == 22
    with pytest.raises(InputError, match="no VV pixels"):
        product.read("VV", slice(0, 1), slice(0, 1))


def test_wrong_polarisation(safe):
    with pytest.raises(InputError, match=r"no polarisation HH.*it has VV, VH"):
        open_product(safe, polarisations=["HH"])
    product = open_product(safe, polarisations=["VV"])
    with pytest.raises(InputError, match="no VH pixels"):
        product.read("VH", *ALL)


@pytest.mark.parametrize(
    ("rows", "cols"),
    [(slice(0, 401), slice(0, 5)), (slice(-1, 3), slice(0, 5)), (slice(5, 5), slice(0, 5))],
)
def test_blocks_outside(safe, rows, cols):
    with pytest.raises(InputError, match="not in an image of 400 x 500"):
        open_product(safe).read("VV", rows, cols)


@pytest.mark.parametrize(
    ("tag", "old", "new", "message"),
    [
        ("s1sarl1:mode", "IW", "EW", "S1A EW GRD; only IW GRD"),
        ("s1sarl1:productType", "GRD", "SLC", "S1A IW SLC; only IW GRD"),
        ("safe:number", "A", "Z", "unknown product: S1Z"),
    ],
)
def test_other_products(copy, tag, old, new, message):
    rewrite(copy / "manifest.safe", f"<{tag}>{old}</{tag}>", f"<{tag}>{new}</{tag}>")
    # Before completeness: an SLC has other files, which are not missing.
    measurement(copy).unlink()
    with pytest.raises(InputError, match=message):
        open_product(copy)


def test_medium_resolution(copy):
    for path in copy.glob("annotation/*.xml"):
        rewrite(path, "<rangePixelSpacing>1.0", "<rangePixelSpacing>4.0")
    with pytest.raises(InputError, match="only GRDH"):
        open_product(copy)


def test_truncated_archive(safe, tmp_path):
    path = packed(safe, tmp_path / "a.zip")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match="not a readable zip archive"):
        open_product(path)


def test_damaged_archive(safe, tmp_path):
    path = packed(safe, tmp_path / "a.zip")
    with zipfile.ZipFile(path) as archive:
        inside = next(i for i in archive.infolist() if i.filename.endswith(".tiff"))
        at = inside.header_offset + inside.compress_size // 2
    content = bytearray(path.read_bytes())
    content[at : at + 64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"measurement/s1a.* cannot be unpacked"):
        open_product(path).staged(tmp_path / "plain")
    left = {path.name for path in (tmp_path / "plain").iterdir()}
    assert Path(inside.filename).name not in left
    assert not any(name.endswith(".part") for name in left)


def test_truncated_measurement(copy):
    path = measurement(copy, "vh")
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(InputError, match="VH measurement cannot be read"):
        open_product(copy)
    path.write_bytes(b"<html>please log in</html>")
    with pytest.raises(InputError, match="VH measurement cannot be read"):
        open_product(copy)


def test_measurement_of_another_size(copy, tmp_path):
    other = scene(tmp_path / "other", rows=(0, 300))
    shutil.copy(measurement(other), measurement(copy))
    with pytest.raises(InputError, match=r"VV measurement is 300 x 500.*annotated are 400 x 500"):
        open_product(copy)


def test_archive_that_points_outside(safe, tmp_path):
    path = packed(safe, tmp_path / "a.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../evil.txt", "x")
    with pytest.raises(InputError, match="points outside itself"):
        open_product(path)


@pytest.mark.parametrize(
    "href", ["../../etc/passwd-vv-1", "/etc/passwd-vv-1", "file:///etc/a-vv-1"]
)
def test_manifest_that_points_outside(copy, href):
    path = f"./measurement/{measurement(copy).name}"
    rewrite(copy / "manifest.safe", path, href)
    with pytest.raises(InputError, match="manifest points outside the product"):
        open_product(copy)


def test_mixed_files(copy, tmp_path):
    other = scene(tmp_path / "other", sigma0={"VH": fields.flat(0.1)}, rows=(4000, 4400))
    (path,) = copy.glob("annotation/s1a-*-vh-*.xml")
    shutil.copy(other / "annotation" / path.name, path)
    with pytest.raises(InputError, match=r"files of different products are mixed \(VH"):
        open_product(copy)


def test_no_product(tmp_path):
    with pytest.raises(InputError, match="no such product"):
        open_product(tmp_path / "absent")
    with pytest.raises(InputError, match=r"no manifest\.safe in the folder"):
        open_product(tmp_path)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "x")
    with pytest.raises(InputError, match=r"no manifest\.safe in the archive"):
        open_product(tmp_path / "a.zip")


@pytest.fixture
def server(copy):
    command = [sys.executable, str(Path(__file__).parents[1] / "support" / "range_server.py"), copy]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.terminate()


def fetch(url):
    import requests

    answer = requests.get(url, timeout=5)
    if answer.status_code != 200:
        raise SourceError(f"the server answers {answer.status_code}", where=url)
    return answer.content


def test_from_a_server(server, copy):
    local = open_product(copy)
    remote = open_product(server, fetch=fetch, sign=lambda url: f"{url}?key=1")
    np.testing.assert_array_equal(remote.read("VV", *ALL), local.read("VV", *ALL))
    part = slice(100, 130), slice(7, 450)
    np.testing.assert_array_equal(remote.read("VH", *part), local.read("VH", *part))
    with pytest.raises(ConfigError, match="fetch"):
        open_product(server)


def test_short_names_of_public_copies(server, copy):
    """AWS and Azure rename the files, but not in the manifest."""
    for path in copy.rglob("*-grd-*"):
        kind = path.name.split("-")[0]
        polarisation = "vv" if "-vv-" in path.name else "vh"
        prefix = f"{kind}-" if kind in ("noise", "calibration") else ""
        path.rename(path.with_name(f"{prefix}iw-{polarisation}{path.suffix}"))
    remote = open_product(server, fetch=fetch)
    np.testing.assert_array_equal(remote.read("VV", *ALL), open_product(copy).read("VV", *ALL))


def test_a_server_that_lacks_files(server, copy):
    (noise,) = copy.glob("annotation/calibration/noise-*-vv-*.xml")
    noise.unlink()
    with pytest.raises(InputError, match="missing: annotation/calibration/noise-s1a-iw-grd-vv"):
        open_product(server, fetch=fetch)
    measurement(copy, "vh").unlink()
    with pytest.raises(SourceError, match="VH measurement cannot be read"):
        open_product(server, polarisations=["VH"], fetch=fetch)
    with pytest.raises(ConfigError, match="nothing to read a remote archive with"):
        open_product(f"{server}/a.zip", fetch=fetch)


def test_an_archive_on_a_server(server, copy, tmp_path):
    """Read by ranges: metadata alone when it is opened, the pixels when they are wanted."""
    safe = copy.rename(tmp_path / "outside.SAFE")
    copy.mkdir()
    # Without compression: these pixels are so even that they would be smaller than a read-ahead.
    archive = packed(safe, copy / "scene.zip", zipfile.ZIP_STORED)
    asked = []

    def span(url, start, stop):
        import requests

        answer = requests.get(url, headers={"Range": f"bytes={start}-{stop - 1}"}, timeout=5)
        asked.append(len(answer.content))
        return answer.content, int(answer.headers["Content-Range"].rpartition("/")[2])

    remote = open_product(f"{server}/scene.zip", polarisations=["VV"], fetch=fetch, span=span)
    (vv,) = safe.glob("measurement/*-vv-*.tiff")
    assert remote.packed
    assert remote.remote
    assert sum(asked) < archive.stat().st_size - 1.2 * vv.stat().st_size
    (tmp_path / "work").mkdir()
    staged = remote.staged(tmp_path / "work")
    assert sum(asked) < 1.5 * archive.stat().st_size
    local = open_product(safe, polarisations=["VV"])
    np.testing.assert_array_equal(staged.read("VV", *ALL), local.read("VV", *ALL))
    # A cut archive has no directory; a damaged member is found by its checksum.
    content = bytearray(archive.read_bytes())
    (copy / "cut.zip").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="not a readable zip archive"):
        open_product(f"{server}/cut.zip", fetch=fetch, span=span)
    with zipfile.ZipFile(archive) as opened:
        name = next(n for n in opened.namelist() if n.endswith(vv.name))
        middle = opened.getinfo(name).header_offset + opened.getinfo(name).compress_size // 2
    content[middle : middle + 64] = bytes(64)
    (copy / "bad.zip").write_bytes(content)
    bad = open_product(f"{server}/bad.zip", polarisations=["VV"], fetch=fetch, span=span)
    with pytest.raises(InputError, match="cannot be unpacked"):
        bad.staged(tmp_path / "work")


@pytest.mark.parametrize("letter", "BCD")
def test_every_platform(copy, letter):
    """The same product as another satellite's: only its name differs."""
    rewrite(copy / "manifest.safe", "<safe:number>A<", f"<safe:number>{letter}<")
    for path in copy.glob("annotation/*.xml"):
        rewrite(path, "<missionId>S1A<", f"<missionId>S1{letter}<")
    product = open_product(copy)
    assert product.first.platform == f"S1{letter}"
    assert product.manifest.relative_orbit == 79
    assert product.read("VH", slice(0, 10), slice(0, 10)).shape == (10, 10)
