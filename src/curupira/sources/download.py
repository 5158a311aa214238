"""Whole files over HTTP: resumed after a cut, checked before they get their name."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import requests

from curupira.errors import InputError, SourceError, StoreError
from curupira.sources.access import Access
from curupira.sources.http import PASSING_ERRORS, Http, redact

#: First bytes of a TIFF or BigTIFF file, little or big endian.
TIFF_MAGIC = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_PAGE = (b"<!doctype", b"<html", b"<head", b"<?xml", b"{")
_DENIED = (401, 403)
_GONE = (404, 410)
_CHUNK = 1 << 20
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
#: Multihash codes (file extension of STAC): name of the function, length in bytes.
_HASHES = {"11": "sha1", "12": "sha256", "13": "sha512", "d501": "md5"}
LOGIN = "check the credentials (see [source] access) and the provider's terms for this collection"


class Denied(Exception):  # noqa: N818 (an answer, not a fault; it never leaves the package)
    """The provider refuses the credentials, or answers with a login page."""


class Cut(Exception):  # noqa: N818 (see above)
    """The transfer broke off; it may go on."""


def is_tiff(head: bytes) -> bool:
    """Whether a file that starts so is a TIFF."""
    return head[:4] in TIFF_MAGIC


def is_page(head: bytes) -> bool:
    """Whether it is a web page or an error document."""
    return head.lstrip(b"\xef\xbb\xbf \r\n\t").lower().startswith(_PAGE)


def checksum_matches(path: Path, checksum: str) -> bool:
    """Compare a file with a multihash (``file:checksum``); of an unknown kind: True."""
    text = checksum.lower()
    code = next((c for c in _HASHES if text.startswith(c)), None)
    if code is None:
        return True
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, _HASHES[code])
    return text == f"{code}{digest.digest_size:02x}{digest.hexdigest()}"


def check_answer(response: requests.Response, http: Http, where: str) -> None:
    """Refuse an answer that is no part of a file.

    Raises
    ------
    Denied
        HTTP 401 or 403.
    InputError
        HTTP 404 or 410: the catalogue names a file that is not there.
    SourceError
        Any other refusal.
    """
    status = response.status_code
    if status in (200, 206):
        return
    place = redact(response.url or "")
    response.close()
    if status in _DENIED:
        raise Denied(f"HTTP {status}")
    if status in _GONE:
        raise InputError(
            f"the catalogue names it, but the provider does not have it (HTTP {status})",
            where=f"{http.provider}, {where}, {place}",
            remedy="nothing: it is tried again when the provider publishes it anew",
        )
    raise http.error(f"refuses the request (HTTP {status})", f"{where}, {place}", LOGIN)


def check_head(head: bytes, http: Http, where: str) -> None:
    """Refuse what does not start as an image does.

    Raises
    ------
    Denied
        If it is a web page.
    InputError
        If it is anything else.
    """
    if is_tiff(head):
        return
    if is_page(head):
        raise Denied("a web page instead of the image")
    raise InputError(
        "is no GeoTIFF: its first bytes are others",
        where=f"{http.provider}, {where}",
        remedy="correct [source] asset_*, or leave the scene out",
    )


@dataclass
class Download:
    """One file on its way.

    Parameters
    ----------
    href
        Link of the catalogue, without credentials.
    target
        The file appears under this name when it is complete and checked.
    where
        Scene and band, for messages.
    checksum
        Multihash, or empty.
    """

    http: Http
    access: Access
    href: str
    target: Path
    where: str
    checksum: str = ""

    def fetch(self) -> Path:
        """Bring the file here, going on where an earlier attempt ended.

        Raises
        ------
        SourceError
            If the credentials are refused twice, or no byte arrives in all attempts.
        InputError
            If the file is not there, is no GeoTIFF, or twice differs from its checksum.
        StoreError
            If the disk refuses.
        """
        failures, renewed, wrong = 0, False, False
        while not self.target.exists():
            before = self._size()
            try:
                self._transfer()
            except Denied as refusal:
                if renewed:
                    raise self._denied(refusal) from None
                renewed = True
                self.access.refresh()
                continue
            except Cut as cut:
                failures = 0 if self._size() > before else failures + 1
                if failures >= self.http.attempts:
                    raise self._cut(cut) from None
                self.http.sleep(self.http.pause(failures))
                continue
            except OSError as error:
                raise StoreError(
                    f"cannot be written ({error.strerror})",
                    where=self.target.parent,
                    remedy="free some space; what arrived is kept",
                ) from error
            if self.checksum and not checksum_matches(self._part, self.checksum):
                self._part.unlink()
                if wrong:
                    raise self._wrong()
                wrong = True
                continue
            os.replace(self._part, self.target)
            self._mark.unlink(missing_ok=True)
        return self.target

    @property
    def _part(self) -> Path:
        return self.target.with_name(self.target.name + ".part")

    @property
    def _mark(self) -> Path:
        """Says which version of the file the part is of."""
        return self.target.with_name(self.target.name + ".part.json")

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _transfer(self) -> None:
        have, version = self._size(), self._version()
        headers = {"Range": f"bytes={have}-", "If-Range": version} if have and version else {}
        response = self.http.request(
            "GET",
            self.access.url(self.href),
            auth=self.access.auth(self.href),
            headers=headers,
            stream=True,
            where=self.where,
        )
        with response:
            if response.status_code == 416:
                # The part is as long as the file or longer: begin again.
                self._part.unlink(missing_ok=True)
                raise Cut("its end lies before the part's")
            check_answer(response, self.http, self.where)
            start, total = _extent(response)
            if start != have:
                start, have = 0, 0
                if response.status_code == 206:
                    self._part.unlink(missing_ok=True)
                    raise Cut("another range than asked for")
            self._note(response.headers)
            self._receive(response, start)
        if total is not None and self._size() < total:
            raise Cut(f"{self._size()} of {total} bytes")

    def _receive(self, response: requests.Response, start: int) -> None:
        chunks = response.iter_content(_CHUNK)
        try:
            first = next(chunks, b"")
            if start == 0:
                check_head(first, self.http, self.where)
            with self._part.open("ab" if start else "wb") as stream:
                stream.write(first)
                for chunk in chunks:
                    stream.write(chunk)
        except PASSING_ERRORS as error:
            raise Cut(type(error).__name__) from None

    def _version(self) -> str:
        try:
            return str(json.loads(self._mark.read_text(encoding="utf-8"))["version"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def _note(self, headers: Mapping[str, str]) -> None:
        etag = headers.get("ETag", "")
        # A weak tag does not promise the same bytes (RFC 9110 section 13.1.5).
        version = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self._mark.write_text(json.dumps({"version": version}), encoding="utf-8")

    def _denied(self, refusal: Denied) -> SourceError:
        return self.http.error(f"refuses the credentials ({refusal})", self.where, LOGIN)

    def _cut(self, cut: Cut) -> SourceError:
        return self.http.error(
            f"breaks off the transfer {self.http.attempts} times ({cut})",
            self.where,
            "start again later; what arrived is kept",
        )

    def _wrong(self) -> InputError:
        return InputError(
            "twice differed from the checksum that the catalogue states",
            where=f"{self.http.provider}, {self.where}",
            remedy="nothing: it is tried again when the provider publishes it anew",
        )


def _extent(response: requests.Response) -> tuple[int, int | None]:
    """First byte of an answer, and the size of the whole file where it is stated."""
    if response.status_code == 206:
        match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if match:
            return int(match[1]), None if match[2] == "*" else int(match[2])
        return -1, None
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None
