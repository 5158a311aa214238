"""The one error tree. Every class knows its exit code and its HTTP status."""

from __future__ import annotations

from typing import ClassVar


class CurupiraError(Exception):
    """Something went wrong that a user can understand and act on.

    Parameters
    ----------
    what
        What happened, in one sentence without a full stop.
    where
        The file, scene, key or table concerned.
    remedy
        What to do about it.
    """

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, what: str, *, where: object = None, remedy: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.remedy = remedy
        parts = [what if self.where is None else f"{self.where}: {what}"]
        if remedy:
            parts.append(remedy)
        super().__init__(". ".join(part.rstrip(".") for part in parts) + ".")

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders (Dask workers); keyword arguments must survive pickling.
        return (_rebuild, (type(self), self.what, self.where, self.remedy))


def _rebuild(
    cls: type[CurupiraError], what: str, where: str | None, remedy: str | None
) -> CurupiraError:
    return cls(what, where=where, remedy=remedy)


class ConfigError(CurupiraError):
    """Wrong usage or configuration: an unknown key, a bad value, a path that does not exist."""

    exit_code = 2
    http_status = 400


class SourceError(CurupiraError):
    """An image source cannot be reached or does not answer as it should."""

    exit_code = 3
    http_status = 502


class StoreError(CurupiraError):
    """The database or the cube is unreachable, refuses, or is of another version."""

    exit_code = 5
    http_status = 503


class BusyError(StoreError):
    """Another run holds the workspace."""

    http_status = 409


class DeliveryError(CurupiraError):
    """A delivery did not reach its target."""

    exit_code = 6
    http_status = 502


class InputError(CurupiraError):
    """Input data cannot be used: a broken file, a wrong unit, an empty layer."""

    exit_code = 7
    http_status = 422
