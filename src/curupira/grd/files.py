"""The files of a SAFE product, wherever it lies: a folder, a zip archive, a web or S3 folder."""

from __future__ import annotations

import io
import shutil
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

from curupira.archives import check_members
from curupira.errors import ConfigError, InputError, SourceError, StoreError
from curupira.stac import is_remote

#: Bytes at an address; and bytes ``start`` to ``stop`` (half-open) of a file, with its size.
Fetch = Callable[[str], bytes]
Span = Callable[[str, int, int], tuple[bytes, int]]
MANIFEST = "manifest.safe"
#: Bytes read ahead: of an archive's directory and its metadata, and of its pixels.
_AHEAD_FEW: Final = 1 << 16
_AHEAD_MANY: Final = 1 << 23


class Files(ABC):
    """Files by their name within the product, such as ``annotation/x.xml``."""

    #: Where it lies, for messages.
    place: str
    remote: bool = False

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether the file is there."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The whole file."""

    @abstractmethod
    def gdal(self, name: str) -> str:
        """What GDAL opens it by."""

    def unpack(self, name: str, target: Path) -> None:
        """Copy a file out of an archive; done only where ``gdal`` cannot seek in it."""
        raise NotImplementedError(name)

    @property
    def packed(self) -> bool:
        """Whether reading blocks in any order is slow, and ``unpack`` helps."""
        return False


class Folder(Files):
    """A folder on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.place = str(path)

    def has(self, name: str) -> bool:
        """Whether the file is there."""
        return (self._path / name).is_file()

    def read(self, name: str) -> bytes:
        """The whole file."""
        try:
            return (self._path / name).read_bytes()
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", where=self.gdal(name)) from error

    def gdal(self, name: str) -> str:
        """What GDAL opens it by."""
        return str(self._path / name)


class Zip(Files):
    """A zip archive, read in place: on disk, or by ranges on a server.

    Parameters
    ----------
    place
        For messages.
    gdal
        What GDAL opens the archive by.
    opened
        A new stream of it that can seek, reading ahead so many bytes, and its size.
    """

    def __init__(
        self,
        place: str,
        gdal: str,
        opened: Callable[[int], tuple[BinaryIO, int]],
        *,
        remote: bool = False,
    ) -> None:
        self.place, self.remote = place, remote
        self._gdal = gdal
        self._opened = opened
        try:
            stream, size = opened(_AHEAD_FEW)
            with stream, zipfile.ZipFile(stream) as archive:
                members = archive.infolist()
        except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
            raise InputError(
                f"not a readable zip archive ({error})", where=place, remedy="get the file again"
            ) from error
        names = check_members(members, size, place)
        manifests = sorted((n for n in names if PurePosixPath(n).name == MANIFEST), key=len)
        if not manifests:
            raise InputError(
                f"no {MANIFEST} in the archive",
                where=place,
                remedy="give a Sentinel-1 SAFE product",
            )
        self._prefix = manifests[0].removesuffix(MANIFEST)
        self._names = {n.removeprefix(self._prefix) for n in names if n.startswith(self._prefix)}

    def has(self, name: str) -> bool:
        """Whether the file is there."""
        return name in self._names

    def read(self, name: str) -> bytes:
        """The whole file."""
        try:
            stream, _ = self._opened(_AHEAD_FEW)
            with stream, zipfile.ZipFile(stream) as archive:
                return archive.read(self._prefix + name)
        except (OSError, zipfile.BadZipFile, EOFError, KeyError) as error:
            raise InputError(f"{name} cannot be unpacked ({error})", where=self.place) from error

    def gdal(self, name: str) -> str:
        """What GDAL opens it by."""
        return f"/vsizip/{{{self._gdal}}}/{self._prefix}{name}"

    @property
    def packed(self) -> bool:
        """Always: deflate cannot seek."""
        return True

    def unpack(self, name: str, target: Path) -> None:
        """Unpack a file; its checksum is verified on the way."""
        beside = target.with_name(f".{target.name}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            stream, _ = self._opened(_AHEAD_MANY)
            with stream, zipfile.ZipFile(stream) as archive:
                member = archive.open(self._prefix + name)
                with member, beside.open("wb") as written:
                    shutil.copyfileobj(member, written, 1 << 22)
            beside.replace(target)
        except (zipfile.BadZipFile, EOFError, KeyError, zlib.error) as error:
            raise InputError(f"{name} cannot be unpacked ({error})", where=self.place) from error
        except OSError as error:
            raise StoreError(f"cannot unpack ({error.strerror})", where=target) from error
        finally:
            beside.unlink(missing_ok=True)


class _Ranged(io.RawIOBase):
    """A file on a server as a stream that can seek."""

    def __init__(self, href: str, span: Span) -> None:
        self._href, self._span = href, span
        self._at = 0
        _, self.size = span(href, 0, 1)

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Where the next byte is read."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the file goes."""
        stop = min(self._at + len(buffer), self.size)
        if stop <= self._at:
            return 0
        content, _ = self._span(self._href, self._at, stop)
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


@dataclass(frozen=True)
class _OnDisk:
    path: Path

    def __call__(self, ahead: int) -> tuple[BinaryIO, int]:
        return self.path.open("rb", buffering=ahead), self.path.stat().st_size


@dataclass(frozen=True)
class _OnServer:
    href: str
    span: Span

    def __call__(self, ahead: int) -> tuple[BinaryIO, int]:
        ranged = _Ranged(self.href, self.span)
        return io.BufferedReader(ranged, ahead), ranged.size


def _vsi(href: str) -> str:
    if href.startswith("s3://"):
        return "/vsis3/" + href.removeprefix("s3://")
    return "/vsicurl/" + href


class Remote(Files):
    """A SAFE folder on a web server or in an S3 bucket.

    Metadata comes through ``fetch``; pixels are read by GDAL, at the address that ``sign`` makes.
    """

    remote = True

    def __init__(self, href: str, fetch: Fetch, sign: Callable[[str], str] | None) -> None:
        self._href = href.rstrip("/")
        self._fetch = fetch
        self._sign = sign or str
        self._kept: dict[str, bytes] = {}
        self.place = self._href

    def has(self, name: str) -> bool:
        """Whether the file is there."""
        # A pixel file is too large to ask for; opening it will tell.
        if not name.endswith((".xml", ".safe")):
            return True
        try:
            self.read(name)
        except (InputError, SourceError):
            return False
        return True

    def read(self, name: str) -> bytes:
        """The whole file."""
        if name not in self._kept:
            self._kept[name] = self._fetch(f"{self._href}/{name}")
        return self._kept[name]

    def gdal(self, name: str) -> str:
        """What GDAL opens it by."""
        return _vsi(self._sign(f"{self._href}/{name}"))


def open_files(
    href: str | Path,
    fetch: Fetch | None = None,
    sign: Callable[[str], str] | None = None,
    span: Span | None = None,
) -> Files:
    """The files of a product: SAFE folder, its ``manifest.safe``, zip archive or remote folder.

    Raises
    ------
    InputError
        If there is nothing, or no product there.
    ConfigError
        If it is remote and there is no ``fetch``, or no ``span`` for an archive.
    """
    text = str(href)
    if is_remote(text):
        if fetch is None:
            raise ConfigError("nothing to fetch a remote product with", where=text)
        if PurePosixPath(urlsplit(text).path).suffix.lower() == ".zip":
            if span is None:
                raise ConfigError("nothing to read a remote archive with", where=text)
            return Zip(text, _vsi((sign or str)(text)), _OnServer(text, span), remote=True)
        return Remote(text.removesuffix(MANIFEST), fetch, sign)
    path = Path(href)
    if path.name == MANIFEST:
        path = path.parent
    if path.is_file():
        return Zip(str(path), str(path.resolve()), _OnDisk(path))
    if not path.is_dir():
        raise InputError("there is no such product", where=path, remedy="check the path")
    files = Folder(path)
    if not files.has(MANIFEST):
        raise InputError(
            f"no {MANIFEST} in the folder", where=path, remedy="give the .SAFE folder itself"
        )
    return files
