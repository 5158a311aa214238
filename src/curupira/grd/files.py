"""The files of a SAFE product, wherever it lies: a folder, a zip archive, a web or S3 folder."""

from __future__ import annotations

import shutil
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from curupira.archives import check_zip
from curupira.errors import ConfigError, InputError, SourceError, StoreError
from curupira.stac import is_remote

Fetch = Callable[[str], bytes]
MANIFEST = "manifest.safe"


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
    """A zip archive, read in place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.place = str(path)
        names = check_zip(path)
        manifests = sorted((n for n in names if PurePosixPath(n).name == MANIFEST), key=len)
        if not manifests:
            raise InputError(
                f"no {MANIFEST} in the archive", where=path, remedy="give a Sentinel-1 SAFE product"
            )
        self._prefix = manifests[0].removesuffix(MANIFEST)
        self._names = {n.removeprefix(self._prefix) for n in names if n.startswith(self._prefix)}

    def has(self, name: str) -> bool:
        """Whether the file is there."""
        return name in self._names

    def read(self, name: str) -> bytes:
        """The whole file."""
        try:
            with zipfile.ZipFile(self._path) as archive:
                return archive.read(self._prefix + name)
        except (OSError, zipfile.BadZipFile, EOFError, KeyError) as error:
            raise InputError(f"{name} cannot be unpacked ({error})", where=self._path) from error

    def gdal(self, name: str) -> str:
        """What GDAL opens it by."""
        return f"/vsizip/{{{self._path.resolve()}}}/{self._prefix}{name}"

    @property
    def packed(self) -> bool:
        """Always: deflate cannot seek."""
        return True

    def unpack(self, name: str, target: Path) -> None:
        """Unpack a file; its checksum is verified on the way."""
        beside = target.with_name(f".{target.name}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(self._path) as archive:
                member = archive.open(self._prefix + name)
                with member, beside.open("wb") as stream:
                    shutil.copyfileobj(member, stream, 1 << 22)
            beside.replace(target)
        except (zipfile.BadZipFile, EOFError, KeyError) as error:
            raise InputError(f"{name} cannot be unpacked ({error})", where=self._path) from error
        except OSError as error:
            raise StoreError(f"cannot unpack ({error.strerror})", where=target) from error
        finally:
            beside.unlink(missing_ok=True)


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
        signed = self._sign(f"{self._href}/{name}")
        if signed.startswith("s3://"):
            return "/vsis3/" + signed.removeprefix("s3://")
        return "/vsicurl/" + signed


def open_files(
    href: str | Path, fetch: Fetch | None = None, sign: Callable[[str], str] | None = None
) -> Files:
    """The files of a product: SAFE folder, its ``manifest.safe``, zip archive or remote folder.

    Raises
    ------
    InputError
        If there is nothing, or no product there.
    ConfigError
        If it is remote and there is no ``fetch``.
    """
    text = str(href)
    if is_remote(text):
        if fetch is None:
            raise ConfigError("nothing to fetch a remote product with", where=text)
        if PurePosixPath(urlsplit(text).path).suffix.lower() == ".zip":
            raise InputError(
                "a zip archive on a server is not read in place",
                where=text,
                remedy="download it first, or give the SAFE folder's address",
            )
        return Remote(text.removesuffix(MANIFEST), fetch, sign)
    path = Path(href)
    if path.name == MANIFEST:
        path = path.parent
    if path.is_file():
        return Zip(path)
    if not path.is_dir():
        raise InputError("there is no such product", where=path, remedy="check the path")
    files = Folder(path)
    if not files.has(MANIFEST):
        raise InputError(
            f"no {MANIFEST} in the folder", where=path, remedy="give the .SAFE folder itself"
        )
    return files
