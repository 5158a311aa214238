"""Archives from outside are refused before anything is read from them."""

import stat
import zipfile

import pytest

from curupira.archives import check_zip
from curupira.errors import InputError


def made(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def test_an_honest_archive_passes(tmp_path):
    path = made(tmp_path / "a.zip", ("deter/a.shp", b"x" * 100), ("deter/a.dbf", b"y"))
    assert check_zip(path) == ["deter/a.shp", "deter/a.dbf"]


@pytest.mark.parametrize("name", ["../a.shp", "/etc/passwd", "x/../../a", "..\\a.shp", "C:/a.shp"])
def test_a_path_outside_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="outside"):
        check_zip(made(tmp_path / "a.zip", ("good.txt", b""), (name, b"x")))


def test_a_link_is_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(InputError, match="outside"):
        check_zip(made(tmp_path / "a.zip", (link, b"/etc/passwd")))


def test_a_bomb_is_refused(tmp_path):
    path = made(tmp_path / "a.zip", ("a.dbf", b"\0" * 20_000_000))
    assert path.stat().st_size < 30_000
    with pytest.raises(InputError, match="20 MB"):
        check_zip(path)


def test_no_archive(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"<html>login</html>")
    with pytest.raises(InputError, match="not a readable zip"):
        check_zip(path)
