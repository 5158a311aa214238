"""The manifest of a SAFE product: what it is and which files belong to it. Bytes in, record out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from curupira.errors import InputError
from curupira.grd.xml import Node, parse

POLARISATIONS: Final = ("VV", "VH", "HH", "HV")
_KINDS: Final = {
    "s1Level1ProductSchema": "annotation",
    "s1Level1CalibrationSchema": "calibration",
    "s1Level1NoiseSchema": "noise",
    "s1Level1MeasurementSchema": "measurement",
}
_POLARISATION: Final = re.compile(r"-(vv|vh|hh|hv)-")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the manifest says.

    ``files[polarisation][kind]`` is a file's name within the product; the kinds are annotation,
    calibration, noise and measurement. ``footprint`` holds (longitude, latitude) corners.
    """

    platform: str
    mode: str
    product_type: str
    relative_orbit: int
    absolute_orbit: int
    ipf_version: str
    slice_number: int
    total_slices: int
    polarisations: tuple[str, ...]
    footprint: tuple[tuple[float, float], ...]
    files: dict[str, dict[str, str]]


def read_manifest(xml: bytes, where: object) -> Manifest:
    """Read ``manifest.safe``.

    Raises
    ------
    InputError
        If it is no Sentinel-1 manifest, or names files outside the product.
    """
    root = parse(xml, where)

    def text(name: str, default: str | None = None) -> str:
        path = f".//{{*}}{name}"
        return default if default is not None and not root.has(path) else root.text(path)

    def number(name: str) -> int:
        return root.int(f".//{{*}}{name}") if root.has(f".//{{*}}{name}") else 0

    polarisations = [
        (node.element.text or "").strip()
        for node in root.all(".//{*}transmitterReceiverPolarisation")
    ]
    software = root.find(".//{*}software").element
    return Manifest(
        platform="S1" + text("platform/{*}number"),
        mode=text("mode"),
        product_type=text("productType"),
        relative_orbit=root.int(".//{*}relativeOrbitNumber"),
        absolute_orbit=root.int(".//{*}orbitNumber"),
        ipf_version=software.get("version", ""),
        slice_number=number("sliceNumber"),
        total_slices=number("totalSlices"),
        polarisations=tuple(polarisations),
        footprint=_footprint(text("coordinates", "")),
        files=_files(root),
    )


def _footprint(text: str) -> tuple[tuple[float, float], ...]:
    pairs = (pair.split(",") for pair in text.split())
    return tuple((float(lon), float(lat)) for lat, lon in pairs)


def _files(root: Node) -> dict[str, dict[str, str]]:
    files: dict[str, dict[str, str]] = {}
    for item in root.all(".//dataObject"):
        kind = _KINDS.get(item.element.get("repID", ""))
        if kind is None:
            continue
        href = item.find("byteStream/fileLocation").element.get("href", "")
        path = PurePosixPath(href)
        if path.is_absolute() or ".." in path.parts or ":" in href or "\\" in href:
            raise InputError(
                f"the manifest points outside the product ({href!r})",
                where=root.where,
                remedy="do not use it; ask where it comes from",
            )
        polarisation = _POLARISATION.search(path.name)
        if polarisation is not None:
            files.setdefault(polarisation[1].upper(), {})[kind] = str(path)
    return files


def check_supported(manifest: Manifest, where: object) -> None:
    """Refuse what is no IW GRD product of Sentinel-1.

    Raises
    ------
    InputError
        Names what it is instead.
    """
    what = f"{manifest.platform} {manifest.mode} {manifest.product_type}"
    if manifest.product_type != "GRD" or manifest.mode != "IW":
        raise InputError(
            f"a product {what}; only IW GRD is processed",
            where=where,
            remedy="order the IW GRDH product of the same acquisition",
        )
    unknown = [p for p in manifest.polarisations if p not in POLARISATIONS]
    if manifest.platform not in ("S1A", "S1B", "S1C", "S1D") or unknown:
        raise InputError(f"an unknown product: {what}, {unknown or manifest.platform}", where=where)
