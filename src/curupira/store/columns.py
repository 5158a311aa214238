"""Column types that mean the same on SQLite (GeoPackage) and PostgreSQL."""

from __future__ import annotations

import json
import math
import operator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, SupportsFloat, SupportsIndex

from sqlalchemy import DateTime, Dialect, Double, Integer, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

from curupira.errors import InputError


def text(length: int) -> TypeEngine[str]:
    """Text of bounded length: ``VARCHAR(n)``, and ``TEXT(n)`` on SQLite.

    GDAL drops ``VARCHAR`` columns of a GeoPackage with a warning (interfaces.md section 2).
    """
    return String(length).with_variant(Text(length), "sqlite")


def name_of(dialect: Dialect | None) -> str:
    """Name of a dialect; geoalchemy2's table listeners ask for the type of none at all."""
    return "" if dialect is None else dialect.name


def milliseconds(moment: datetime) -> datetime:
    """Cut an aware time to UTC milliseconds, the resolution of every stored time.

    Raises
    ------
    InputError
        If the time has no zone.
    """
    if moment.tzinfo is None:
        raise InputError(
            f"time {moment.isoformat()} has no time zone",
            where="store",
            remedy="give an aware time, for example datetime(2024, 6, 1, tzinfo=UTC)",
        )
    utc = moment.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


class _GeoPackageDateTime(UserDefinedType[str]):
    """``DATETIME`` that holds text as it is given."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "DATETIME"


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC time in and out, to the millisecond on both databases.

    On SQLite the text ``YYYY-MM-DDTHH:MM:SS.sssZ`` of the GeoPackage standard, which also sorts by
    time. Naive times are refused with ``InputError``.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text on SQLite, ``timestamptz`` on PostgreSQL."""
        return _GeoPackageDateTime() if name_of(dialect) == "sqlite" else DateTime(timezone=True)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Cut to milliseconds; format on SQLite."""
        if value is None:
            return None
        moment = milliseconds(value)
        if dialect.name != "sqlite":
            return moment
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Parse on SQLite; always UTC."""
        if value is None:
            return None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        # Text edited by other programs may lack the Z; a stored time is always UTC.
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """A JSON document: ``JSONB`` on PostgreSQL, text that GDAL shows on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """``JSONB`` or ``TEXT``."""
        return JSONB(none_as_null=True) if name_of(dialect) == "postgresql" else Text()

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Serialise on SQLite (keys sorted; NaN is no JSON and is refused)."""
        if value is None or dialect.name == "postgresql":
            return value
        return json.dumps(value, sort_keys=True, allow_nan=False, ensure_ascii=False)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Parse on SQLite."""
        return json.loads(value) if isinstance(value, str) and dialect.name == "sqlite" else value


class Number(TypeDecorator[float]):
    """Double; NaN is stored as NULL on both databases; numpy scalars are accepted."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: SupportsFloat | None, dialect: Dialect) -> float | None:
        """To a Python float; NaN to NULL."""
        if value is None:
            return None
        number = float(value)
        return None if math.isnan(number) else number


class Whole(TypeDecorator[int]):
    """Integer; numpy integers are accepted (sqlite3 would store them as blobs)."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: SupportsIndex | None, dialect: Dialect) -> int | None:
        """To a Python int."""
        return None if value is None else operator.index(value)


class Code(TypeDecorator[StrEnum]):
    """A fixed vocabulary, stored as its text; a word outside it is a ``ValueError``."""

    impl = String
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__(32)
        self.words = words

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text of 32 characters."""
        return Text(32) if name_of(dialect) == "sqlite" else String(32)

    def process_bind_param(self, value: StrEnum | str | None, dialect: Dialect) -> str | None:
        """To text."""
        return None if value is None else self.words(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        """To the vocabulary's member."""
        return None if value is None else self.words(value)
