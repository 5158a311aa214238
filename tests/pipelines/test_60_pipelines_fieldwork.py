"""Files and photos from the field: nothing hidden comes in with them."""

from __future__ import annotations

import io
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from typer.testing import CliRunner

from curupira.cli.main import app
from curupira.errors import InputError
from curupira.pipelines.fieldwork import clean_photo, take_in
from curupira.store.session import Store

SECRET = b"Joana at 7.1S 52.3W"
NOW = datetime(2024, 6, 1, tzinfo=UTC)


def _jpeg() -> bytes:
    picture = Image.new("RGB", (40, 30), "red")
    picture.paste("blue", (0, 0, 40, 15))
    exif = picture.getexif()
    exif[0x010E] = SECRET.decode()
    exif[0x0112] = 6  # the camera was turned: shown, the upper half is the right one
    exif.get_ifd(0x8825)[1] = "S"
    file = io.BytesIO()
    hidden = {"comment": SECRET, "xmp": b"<x>" + SECRET + b"</x>", "icc_profile": SECRET * 9}
    picture.save(file, "JPEG", exif=exif, quality=95, **hidden)
    return file.getvalue()


def _png() -> bytes:
    words = PngImagePlugin.PngInfo()
    words.add_text("comment", SECRET.decode())
    words.add_itxt("Author", SECRET.decode())
    file = io.BytesIO()
    Image.new("RGBA", (40, 30), "red").save(file, "PNG", pnginfo=words)
    return file.getvalue()


@pytest.mark.parametrize("content", [_jpeg(), _png()], ids=["jpeg", "png"])
def test_a_photo_keeps_nothing_of_its_metadata(content: bytes) -> None:
    assert SECRET in content
    kept = clean_photo(content)
    for word in (SECRET, b"Exif", b"ICC_PROFILE", b"http://ns.adobe.com", b"\xff\xfe"):
        assert word not in kept[: kept.index(b"\xff\xda")]
    assert SECRET not in kept


def test_a_photo_is_kept_upright() -> None:
    with Image.open(io.BytesIO(clean_photo(_jpeg()))) as kept:
        assert kept.size == (30, 40)
        left, right = kept.getpixel((5, 20)), kept.getpixel((25, 20))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    assert left[0] > 200 > right[0]
    assert right[2] > 200 > left[2]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_metadata_is_no_reason_to_fail() -> None:
    whole = _jpeg()
    start, kept = whole.index(b"Exif") + 6, 0
    rng = np.random.default_rng(1)
    for _ in range(300):
        damaged = bytearray(whole)
        for place, byte in zip(rng.integers(8, 100, 5), rng.integers(0, 256, 5), strict=True):
            damaged[start + place] = byte
        try:
            kept += clean_photo(bytes(damaged)).startswith(b"\xff\xd8")
        except InputError:
            continue
    assert kept > 200


def _gpx(said: str, entity: str = "") -> str:
    return (
        f'<?xml version="1.0" encoding="{said}"?>{entity}<gpx><wpt lat="0" lon="0">'
        "<type>burnt</type><time>2024-01-01</time></wpt></gpx>"
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_gpx_with_entities_is_refused_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    said = encoding[:6].rstrip("-")
    harmless = _gpx(said).encode(encoding)
    bomb = _gpx(said, '<!DOCTYPE g [<!ENTITY a "aaaa">]>').encode(encoding)
    with Store.open("sqlite:///w.gpkg", base=tmp_path, create=True) as store:
        found = take_in(store, harmless, "a.gpx", "ana", NOW)
        assert [row["row"] for row in found.refused] == [1], "read, and no warning is there"
        with pytest.raises(InputError, match="declares entities"):
            take_in(store, bomb, "a.gpx", "ana", NOW)
        for unknown in ("utf-32", "shift_jis", "no-such"):
            with pytest.raises(InputError, match="no GPX"):
                take_in(store, _gpx(unknown).encode("ascii"), "a.gpx", "ana", NOW)


def test_the_command_names_the_file_that_it_cannot_use(tmp_path: Path, district: Path) -> None:
    shutil.copytree(district, tmp_path / "w", ignore=shutil.ignore_patterns("cube", "catalog"))
    for name, content, words in (
        ("votes.csv", b"hello", "holds no rows of verdicts"),
        ("votos.csv", b"verdict\n\xff", "no CSV in UTF-8"),
        ("track.gpx", b"<gpx", "no GPX"),
    ):
        file = tmp_path / name
        file.write_bytes(content)
        call = ["review", "import", str(file), "--interpreter", "ana", "-w", str(tmp_path / "w")]
        done = CliRunner().invoke(app, call)
        assert isinstance(done.exception, InputError)
        assert str(done.exception).startswith(f"{file}: {words}")
        assert done.exception.remedy
