"""The images of a scene, made ready for reading: fetched whole, or opened by windows."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TypeVar
from urllib.parse import urlsplit

import rasterio

from curupira import logs
from curupira.errors import CurupiraError, InputError, SourceError
from curupira.records import Asset, Scene
from curupira.sources.access import Access, access_for
from curupira.sources.download import LOGIN, Denied, Download, check_answer, check_head
from curupira.sources.http import PASSING_ERRORS, Http, redact
from curupira.sources.profiles import SourceParams
from curupira.stac import is_remote

log = logs.get(__name__)
T = TypeVar("T")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def is_archive(href: str) -> bool:
    """Whether it is a zip archive's address."""
    return PurePosixPath(urlsplit(href).path).suffix.lower() == ".zip"


class Provider:
    """One image service: its connection and credentials."""

    def __init__(self, params: SourceParams, *, http: Http | None = None) -> None:
        self.params = params
        self.http = http or Http(params)
        self.access: Access = access_for(params, self.http)

    @contextmanager
    def opened(self, scene: Scene, folder: Path, read: str) -> Iterator[Scene]:
        """Yield the scene with assets that GDAL opens; within, GDAL has what it needs.

        ``read``: ``download`` or ``window``.

        Raises
        ------
        SourceError
            If the provider does not answer or refuses.
        InputError
            If a file is not there, is no GeoTIFF, or differs from its checksum.
        """
        if read == "download":
            ready = self._fetched(scene, folder)
            yield ready
            return
        options: dict[str, str] = {}
        assets = {}
        for band, asset in scene.assets.items():
            if is_remote(asset.href):
                self.probe(asset.href, f"scene {scene.scene_id}, {band}")
                options |= self._gdal(asset.href)
                assets[band] = replace(asset, href=self._gdal_path(asset.href))
            else:
                assets[band] = asset
        with rasterio.Env(**options):
            yield replace(scene, assets=assets)

    def probe(self, href: str, where: str) -> int | None:
        """Read the first bytes of an image; return its size where the provider states it.

        Raises
        ------
        SourceError, InputError
            As ``opened``; credentials that are refused are renewed once.
        """
        return self._trusted(lambda: self._probe(href, where), where)

    def size(self, href: str, where: str) -> int | None:
        """As ``probe``, of an image or an archive."""
        if is_archive(href):
            return self.span(href, 0, 1)[1]
        return self.probe(href, where)

    def fetch(self, href: str) -> bytes:
        """All of a small file beside the images, such as their metadata.

        Raises
        ------
        SourceError, InputError
            As ``opened``.
        """
        where = redact(href)

        def ask() -> bytes:
            response = self.http.request(
                "GET", self.access.url(href), auth=self.access.auth(href), where=where
            )
            check_answer(response, self.http, where)
            return response.content

        return self._trusted(ask, where)

    def span(self, href: str, start: int, stop: int) -> tuple[bytes, int]:
        """Bytes ``start`` to ``stop`` (half-open) of a file, and the whole one's size.

        Raises
        ------
        SourceError, InputError
            As ``opened``; SourceError if the server has no ranges.
        """
        where = redact(href)
        return self._trusted(
            lambda: self.http.span(
                self.access.url(href),
                start,
                stop,
                where=where,
                auth=self.access.auth(href),
                check=lambda answer: check_answer(answer, self.http, where),
            ),
            where,
        )

    def _trusted(self, ask: Callable[[], T], where: str) -> T:
        """Ask; credentials that are refused are renewed once."""
        try:
            return ask()
        except Denied:
            self.access.refresh()
        try:
            return ask()
        except Denied as refusal:
            raise self.http.error(f"refuses the credentials ({refusal})", where, LOGIN) from None

    def _probe(self, href: str, where: str) -> int | None:
        response = self.http.request(
            "GET",
            self.access.url(href),
            auth=self.access.auth(href),
            headers={"Range": "bytes=0-15"},
            stream=True,
            where=where,
        )
        with response:
            check_answer(response, self.http, where)
            try:
                head = next(response.iter_content(16), b"")
            except PASSING_ERRORS as error:
                raise self.http.error(
                    f"breaks off ({type(error).__name__})", where, "try again later"
                ) from None
            check_head(head, self.http, where)
            total = response.headers.get("Content-Range", "").rpartition("/")[2]
            if response.status_code == 200:
                total = response.headers.get("Content-Length", "")
            return int(total) if total.isdecimal() else None

    def _fetched(self, scene: Scene, folder: Path) -> Scene:
        place = scene_folder(scene, folder)
        assets = {}
        for band, asset in scene.assets.items():
            if is_remote(asset.href):
                name = _UNSAFE.sub("_", Path(urlsplit(asset.href).path).name) or band
                where = f"scene {scene.scene_id}, {band}"
                done = Download(
                    self.http,
                    self.access,
                    asset.href,
                    place / f"{band}_{name}",
                    where,
                    asset.checksum,
                ).fetch()
                assets[band] = Asset(str(done), asset.band)
            else:
                assets[band] = asset
        return replace(scene, assets=assets)

    def _gdal_path(self, href: str) -> str:
        if href.startswith("s3://"):
            return f"/vsis3/{href.removeprefix('s3://')}"
        return f"/vsicurl/{self.access.url(href)}"

    def _gdal(self, href: str) -> dict[str, str]:
        timeout = str(max(1, round(self.params.timeout_s)))
        return {
            # No listing of the folder.
            "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
            # A failure must not be remembered, nor a file's size beyond this reading.
            "CPL_VSIL_CURL_NON_CACHED": self._gdal_path(href).partition("?")[0],
            "GDAL_HTTP_TIMEOUT": timeout,
            "GDAL_HTTP_CONNECTTIMEOUT": str(min(30, int(timeout))),
            "GDAL_HTTP_MAX_RETRY": str(self.params.attempts - 1),
            "GDAL_HTTP_RETRY_DELAY": "0.5",
            "GDAL_HTTP_RETRY_CODES": "429,500,502,503,504",
            "VSI_CACHE": "TRUE",
            **self.access.gdal(href),
        }


#: As ``Provider.opened``.
Prepare = Callable[[Provider, Scene, Path, str], AbstractContextManager[Scene]]


class Images:
    """The images of a workspace: the configured provider, and a second one where it fails.

    Parameters
    ----------
    params
        ``[source]``.
    folder
        Where files lie while they are read.
    find
        Finds a scene at another provider, for the second one.
    prepare
        Makes images of a provider's scene before they are read, within the folder; None: they are
        its assets.
    """

    def __init__(
        self,
        params: SourceParams,
        folder: Path,
        find: Callable[[Provider, Scene], Scene | None],
        prepare: Prepare | None = None,
    ) -> None:
        self.folder = folder
        self.find = find
        self.prepare = prepare
        second = params.second()
        self.first = Provider(params)
        self.second = None if second is None else Provider(second)

    def use(self, scene: Scene, work: Callable[[Scene], T]) -> T:
        """Do something with a scene's images; what was fetched for it is removed afterwards.

        Raises
        ------
        SourceError, InputError
            Of the provider, naming it and the scene; or what ``work`` raises. No message holds a
            signature.
        """
        if self.first.params.profile == "static" and self.prepare is None:
            return work(scene)
        try:
            return self._use(self.first, scene, work)
        except SourceError as error:
            if self.second is None:
                raise
            log.warning("second provider", scene=scene.scene_id, reason=str(error))
            other = self.find(self.second, scene)
            if other is None:
                raise
            return self._use(self.second, replace(scene, assets=other.assets), work)

    def _use(self, provider: Provider, scene: Scene, work: Callable[[Scene], T]) -> T:
        ways = ["download"]
        if provider.params.read == "window":
            # Where windows break off again and again, the whole file tells line from damage.
            ways = ["window"] * provider.params.attempts + ways
        for attempt, read in enumerate(ways, start=1):
            opened = False
            try:
                with self._opened(provider, scene, read) as ready:
                    opened = True
                    result = work(ready)
            except SourceError as error:
                # Opening has had its attempts; within GDAL reading may break off.
                if attempt == len(ways) or not opened:
                    raise _clear(error, provider, scene) from None
                provider.http.sleep(provider.http.pause(attempt - 1))
            except CurupiraError as error:
                if isinstance(error, InputError):
                    self.remove(scene)
                raise _clear(error, provider, scene) from None
            else:
                self.remove(scene)
                return result
        raise provider.http.error("cannot be read", f"scene {scene.scene_id}", "try again later")

    def _opened(self, provider: Provider, scene: Scene, read: str) -> AbstractContextManager[Scene]:
        if self.prepare is None:
            return provider.opened(scene, self.folder, read)
        return self.prepare(provider, scene, self.folder, read)

    def remove(self, scene: Scene) -> None:
        """Delete what was fetched for a scene."""
        shutil.rmtree(scene_folder(scene, self.folder), ignore_errors=True)


def scene_folder(scene: Scene, folder: Path) -> Path:
    """Folder of one version of a scene."""
    name = _UNSAFE.sub("_", scene.scene_id)
    return folder / f"{name}_{scene.created:%Y%m%dT%H%M%S}"


def _clear(error: CurupiraError, provider: Provider, scene: Scene) -> CurupiraError:
    """The same error without signatures, naming provider and scene."""
    where = redact(error.where or "")
    for name in (f"scene {scene.scene_id}", provider.params.provider):
        if name not in where:
            where = f"{name}, {where}" if where else name
    return type(error)(redact(error.what), where=where, remedy=error.remedy)
