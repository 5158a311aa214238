"""A true product's metadata, cut to a part of the image. Bytes to bytes; for synthetic scenes.

What this package does not read (antenna patterns, Doppler estimates, processing records) stays as
it was.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from curupira.errors import InputError
from curupira.grd.annotation import SPEED_OF_LIGHT_M_S, Annotation
from curupira.grd.locate import slant_range_m
from curupira.grd.xml import parse


def crop_annotation(xml: bytes, annotation: Annotation, rows: slice, cols: slice) -> bytes:
    """The annotation of lines ``rows`` and samples ``cols``; both half-open.

    Nodes of the geolocation grid around the part are kept: their lines and samples may be negative,
    or beyond the last.
    """
    root = parse(xml, "template").element
    near_m = float(slant_range_m(annotation, [rows.start], [cols.start])[0])
    start, stop = (_time(annotation.line_time(n)) for n in (rows.start, rows.stop - 1))
    for path, value in (
        ("numberOfLines", str(rows.stop - rows.start)),
        ("numberOfSamples", str(cols.stop - cols.start)),
        ("productFirstLineUtcTime", start),
        ("productLastLineUtcTime", stop),
        ("slantRangeTime", f"{2 * near_m / SPEED_OF_LIGHT_M_S:.15e}"),
    ):
        at(root, f"imageAnnotation/imageInformation/{path}").text = value
    at(root, "adsHeader/startTime").text, at(root, "adsHeader/stopTime").text = start, stop
    shift_m = cols.start * annotation.range_spacing_m
    for item in root.iterfind("coordinateConversion/coordinateConversionList/coordinateConversion"):
        forth = numbers(at(item, "srgrCoefficients"))
        forth[0] -= shift_m
        at(item, "srgrCoefficients").text = text(forth)
        at(item, "gr0").text = repr(float(numbers(at(item, "gr0"))[0]) - shift_m)
    points = at(root, "geolocationGrid/geolocationGridPointList")
    lines, pixels = (
        _around(annotation.geolocation.line, rows),
        _around(annotation.geolocation.pixel, cols),
    )
    for point in list(points):
        line, pixel = _int(at(point, "line")), _int(at(point, "pixel"))
        if line not in lines or pixel not in pixels:
            points.remove(point)
            continue
        at(point, "line").text = str(line - rows.start)
        at(point, "pixel").text = str(pixel - cols.start)
    points.set("count", str(len(points)))
    return to_bytes(root)


def crop_tables(xml: bytes, rows: slice, cols: slice) -> bytes:
    """Calibration or noise tables of a part of the image."""
    root = parse(xml, "template").element
    for name in ("calibrationVectorList", "noiseVectorList", "noiseRangeVectorList"):
        vectors = root.find(name)
        if vectors is not None:
            _crop_vectors(vectors, rows, cols)
    blocks = root.find("noiseAzimuthVectorList")
    if blocks is not None:
        for block in list(blocks):
            if not _crop_block(block, rows, cols):
                blocks.remove(block)
    return to_bytes(root)


def _crop_vectors(vectors: ET.Element, rows: slice, cols: slice) -> None:
    lines = _around([_int(at(v, "line")) for v in vectors], rows)
    for vector in list(vectors):
        line = _int(at(vector, "line"))
        if line not in lines:
            vectors.remove(vector)
            continue
        at(vector, "line").text = str(line - rows.start)
        pixel = numbers(at(vector, "pixel")).astype(int)
        keep = np.isin(pixel, list(_around(pixel, cols)))
        for table in vector:
            values = (table.text or "").split()
            if table.tag == "pixel":
                table.text = " ".join(str(p - cols.start) for p in pixel[keep])
            elif len(values) == len(pixel):
                # The annotation's own digits stay.
                table.text = " ".join(np.array(values)[keep])
    vectors.set("count", str(len(vectors)))


def _crop_block(block: ET.Element, rows: slice, cols: slice) -> bool:
    for axis, part in (("AzimuthLine", rows), ("RangeSample", cols)):
        first, last = at(block, f"first{axis}"), at(block, f"last{axis}")
        if _int(first) >= part.stop or _int(last) < part.start:
            return False
        for end in (first, last):
            end.text = str(min(max(_int(end), part.start), part.stop - 1) - part.start)
    line = at(block, "line")
    line.text = " ".join(str(int(n) - rows.start) for n in numbers(line))
    return True


def _around(nodes: Sequence[int] | npt.NDArray[np.int64], part: slice) -> set[int]:
    """The nodes within a part, and those next to it on either side."""
    distinct = np.unique(np.asarray(nodes))
    first = max(int(np.searchsorted(distinct, part.start, side="right")) - 1, 0)
    last = min(int(np.searchsorted(distinct, part.stop - 1)), len(distinct) - 1)
    first = min(first, max(last - 1, 0))
    return {int(n) for n in distinct[first : last + 1]}


def at(parent: ET.Element, path: str) -> ET.Element:
    """The element at a path.

    Raises
    ------
    InputError
        If there is none.
    """
    found = parent.find(path)
    if found is None:
        raise InputError(f"<{path}> is missing in the template's metadata")
    return found


def numbers(element: ET.Element) -> npt.NDArray[np.float64]:
    """The numbers in an element's text."""
    return np.array((element.text or "").split(), dtype=np.float64)


def text(values: npt.NDArray[np.float64]) -> str:
    """Numbers, every digit of them."""
    return " ".join(f"{value:.15e}" for value in values)


def to_bytes(root: ET.Element) -> bytes:
    """The document."""
    return bytes(ET.tostring(root, encoding="UTF-8", xml_declaration=True))


def _int(element: ET.Element) -> int:
    return int(element.text or "")


def _time(moment: np.datetime64) -> str:
    return str(np.datetime_as_string(moment, unit="us"))
