"""Typed reading of a product's XML: what is missing or no number is named with its place."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curupira.errors import InputError

_REMEDY = "get the product again; its metadata is damaged"


def parse(xml: bytes, where: object) -> Node:
    """Root of an XML document.

    Raises
    ------
    InputError
        If it is no complete XML document, or defines entities (no Sentinel-1 file does).
    """
    if b"<!DOCTYPE" in xml or b"<!ENTITY" in xml:
        raise InputError("the XML defines entities", where=where, remedy="do not use it")
    try:
        return Node(ET.fromstring(xml), str(where))  # noqa: S314
    except ET.ParseError as error:
        raise InputError(f"no readable XML ({error})", where=where, remedy=_REMEDY) from error


@dataclass(frozen=True, slots=True)
class Node:
    """An element and the file it is from."""

    element: ET.Element
    where: str

    def find(self, path: str) -> Node:
        """First element at a path.

        Raises
        ------
        InputError
            If there is none.
        """
        found = self.element.find(path)
        if found is None:
            raise InputError(f"<{path}> is missing", where=self.where, remedy=_REMEDY)
        return Node(found, self.where)

    def has(self, path: str) -> bool:
        """Whether there is an element at the path."""
        return self.element.find(path) is not None

    def all(self, path: str) -> list[Node]:
        """All elements at a path, at least one.

        Raises
        ------
        InputError
            If there is none.
        """
        found = [Node(element, self.where) for element in self.element.iterfind(path)]
        if not found:
            raise InputError(f"<{path}> is missing", where=self.where, remedy=_REMEDY)
        return found

    def text(self, path: str) -> str:
        """Stripped text of the element at a path."""
        return (self.find(path).element.text or "").strip()

    def floats(self, path: str) -> npt.NDArray[np.float64]:
        """Numbers of a list, ``(n,)``; not empty and all finite."""
        text = self.text(path)
        try:
            values = np.array(text.split(), dtype=np.float64)
        except ValueError as error:
            raise self._bad(path, text) from error
        if values.size == 0 or not np.isfinite(values).all():
            raise self._bad(path, text)
        return values

    def float(self, path: str) -> float:
        """One finite number."""
        values = self.floats(path)
        if values.size != 1:
            raise self._bad(path, self.text(path))
        return float(values[0])

    def int(self, path: str) -> int:
        """One whole number."""
        text = self.text(path)
        try:
            return int(text)
        except ValueError as error:
            raise self._bad(path, text) from error

    def time(self, path: str) -> np.datetime64:
        """A moment in UTC, as datetime64[ns]."""
        text = self.text(path).removeprefix("UTC=").removesuffix("Z")
        try:
            moment = np.datetime64(text, "ns")
        except ValueError as error:
            raise self._bad(path, text) from error
        if np.isnat(moment):
            raise self._bad(path, text)
        return moment

    def _bad(self, path: str, text: str) -> InputError:
        return InputError(f"<{path}> reads {text[:60]!r}", where=self.where, remedy=_REMEDY)
