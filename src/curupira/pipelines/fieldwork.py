"""Verdicts from the field: files of them, and photos."""

from __future__ import annotations

import csv
import io
import re
import struct
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from xml.etree import ElementTree as Xml
from xml.parsers import expat

import shapely
from PIL import Image as Pillow
from PIL import UnidentifiedImageError
from sqlalchemy.orm import Session

from curupira.codes import Verdict, VerdictSource
from curupira.errors import CurupiraError, InputError
from curupira.pipelines import review
from curupira.pipelines.review import Ballot
from curupira.store.search import Search, ids
from curupira.store.session import Store

#: Longest side of a photo that is kept, pixels; pixels of one that is opened at all.
_PHOTO_PX, _MOST_PIXELS = 2048, 60_000_000
_PHOTO_NAME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.jpg")
#: Tag of how the camera was held, and what brings the picture upright (EXIF 2.3, 4.6.4).
_ORIENTATION = 0x0112
_TURNS = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
_NAMESPACE = re.compile(r"\{[^}]*\}")
#: Rows of one file.
_MOST_ROWS = 10_000


@dataclass
class TakenIn:
    """What became of a file's rows."""

    accepted: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)


def take_in(
    store: Store, content: bytes, name: str, by: str, now: datetime, *, field: bool = True
) -> TakenIn:
    """Record the verdicts of a CSV or GPX file; ``field``: they were made in the field.

    A row has ``verdict``, ``visited_on`` (or ``time``), ``method`` (visited or overflown),
    ``finding``, and ``warning_id`` or a place (``lon``, ``lat``) inside a warning. In GPX these
    are: ``type`` the verdict, ``time``, ``cmt`` the method, ``desc`` the finding, ``name`` the id.
    A row that cannot be used is refused with its reason; the others are kept.

    Raises
    ------
    InputError
        If the file is neither.
    """
    rows = _read_gpx(content) if name.lower().endswith(".gpx") else _read_csv(content)
    found = TakenIn()
    for number, row in enumerate(rows, start=1):
        try:
            with store.reading() as session:
                key = _warning_of(session, row)
            review.cast(store, key, by, _ballot(row) if field else _desk_ballot(row), now)
            found.accepted += 1
        except CurupiraError as error:
            found.refused.append({"row": number, "why": str(error)})
    return found


def _read_csv(content: bytes) -> list[dict[str, str]]:
    try:
        text = content.decode("utf-8-sig")
        rows = [
            {str(k).strip(): str(v or "").strip() for k, v in row.items() if k is not None}
            for row in csv.DictReader(io.StringIO(text))
        ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError("no CSV in UTF-8", where="file", remedy="save it as CSV") from error
    return _checked(rows)


def _read_gpx(content: bytes) -> list[dict[str, str]]:
    try:
        _refuse_document_type(content)
        root = Xml.fromstring(content)  # noqa: S314 (no entities, see above)
    except (Xml.ParseError, expat.ExpatError, ValueError, LookupError) as error:
        raise InputError(f"no GPX ({error})", where="file", remedy="export it again") from error
    names = {"type": "verdict", "time": "visited_on", "cmt": "method", "desc": "finding"}
    rows = []
    for point in root.iter():
        if _NAMESPACE.sub("", point.tag) != "wpt":
            continue
        row = {"lon": point.get("lon", ""), "lat": point.get("lat", "")}
        for child in point:
            tag = _NAMESPACE.sub("", child.tag)
            row[names.get(tag, "warning_id" if tag == "name" else tag)] = (child.text or "").strip()
        rows.append(row)
    return _checked(rows)


def _refuse_document_type(content: bytes) -> None:
    """Refuse a GPX with a document type: none needs it, and an entity could expand without end."""

    def declared(*_: object) -> None:
        raise InputError("the GPX declares entities", where="file", remedy="export it again")

    # The parser says it, not the bytes: the file may be in UTF-16.
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = declared
    parser.Parse(content, True)


def _checked(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    if not rows or len(rows) > _MOST_ROWS:
        raise InputError(
            f"holds {len(rows) or 'no'} rows of verdicts", where="file",
            remedy=f"give 1 to {_MOST_ROWS}, below a line with the names of columns",
        )  # fmt: skip
    return rows


def _ballot(row: dict[str, str]) -> Ballot:
    try:
        verdict = Verdict(row.get("verdict", "").strip().lower())
        visited = date.fromisoformat((row.get("visited_on") or row.get("time", ""))[:10])
    except ValueError as error:
        raise InputError(
            f"verdict {row.get('verdict')!r}, visited_on {row.get('visited_on')!r}",
            where="row",
            remedy="give one of the ten classes and a day YYYY-MM-DD",
        ) from error
    method = row.get("method") or "visited"
    if method not in ("visited", "overflown"):
        raise InputError(f"method {method!r}", where="row", remedy="visited or overflown")
    finding = row.get("finding", "")[:4000]
    return Ballot(
        verdict,
        comment=finding or None,
        reason=finding or "field visit",
        context={"visited_on": visited.isoformat(), "method": method, "finding": finding},
        source=VerdictSource.FIELD,
    )


def _desk_ballot(row: dict[str, str]) -> Ballot:
    try:
        verdict = Verdict(row.get("verdict", "").strip().lower())
        seconds = float(row["seconds_spent"]) if row.get("seconds_spent") else None
    except ValueError as error:
        raise InputError(
            f"verdict {row.get('verdict')!r}", where="row", remedy="give one of the ten classes"
        ) from error
    return Ballot(
        verdict,
        comment=row.get("comment", "")[:4000] or None,
        reason=row.get("reason", "")[:4000] or None,
        seconds_spent=seconds,
        supersedes=row.get("supersedes") or None,
    )


def _warning_of(session: Session, row: dict[str, str]) -> str:
    """Warning that a row names, or in which its place lies."""
    key = row.get("warning_id", "")
    if key and not ("lon" in row and not _is_known(session, key)):
        return review.known(session, key).warning_id
    try:
        lon, lat = float(row.get("lon", "")), float(row.get("lat", ""))
    except ValueError as error:
        raise InputError(
            "neither warning_id nor place", where="row", remedy="give one of them"
        ) from error
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise InputError(f"no place {lon}, {lat}", where="row", remedy="give degrees")
    hits = ids(session, Search(bbox=shapely.Point(lon, lat).bounds))
    if not hits:
        raise InputError(f"no warning at {lon}, {lat}", where="row", remedy="name its warning_id")
    return hits[0]


def _is_known(session: Session, key: str) -> bool:
    try:
        review.known(session, key)
    except review.MissingError:
        return False
    return True


def clean_photo(content: bytes) -> bytes:
    """A photo as JPEG, upright, without metadata or comments, at most 2048 pixels a side.

    Raises
    ------
    InputError
        If it is no JPEG or PNG, or absurdly large.
    """
    try:
        with Pillow.open(io.BytesIO(content), formats=("JPEG", "PNG")) as photo:
            if photo.width * photo.height > _MOST_PIXELS:
                raise InputError("the photo has too many pixels", where="photo", remedy="shrink it")
            image = _upright(photo)
    except (UnidentifiedImageError, OSError, ValueError, Pillow.DecompressionBombError) as error:
        raise InputError("no JPEG or PNG", where="photo", remedy="send another") from error
    image.info.clear()
    image.thumbnail((_PHOTO_PX, _PHOTO_PX))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _upright(photo: Pillow.Image) -> Pillow.Image:
    """A photo as it was seen: how the camera was held is told by the metadata, which goes."""
    image = photo.convert("RGB")
    try:
        turn = _TURNS.get(photo.getexif().get(_ORIENTATION, 1))
    except (OSError, ValueError, SyntaxError, TypeError, struct.error):
        # Damaged metadata is no reason to refuse a picture.
        return image
    return image if turn is None else image.transpose(turn)


def is_photo(name: object) -> bool:
    """Whether a name is one that we give to photos."""
    return isinstance(name, str) and _PHOTO_NAME.fullmatch(name) is not None
