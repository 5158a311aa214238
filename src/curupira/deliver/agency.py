"""Formats of the agency's own chains: DETER's Shapefile, and what DETER-R and DETER-RT import.

Sources: INPE's GeoNetwork description of ``deter_amz``, and the importers described in inpe.md.
"""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyogrio
from shapely.geometry import mapping

from curupira.codes import IntensityClass, Status
from curupira.deliver.frame import lonlat, notice, records
from curupira.grid import SIRGAS_2000
from curupira.units import flag_days, geodesic_area_ha

#: Words of DETER's table by our class; a mine is told by the mining map.
CLASSNAME = {IntensityClass.HIGH: "DESMATAMENTO_CR", IntensityClass.LOW: "DEGRADACAO"}
MINING = "MINERACAO"
#: Mining probability from which a warning is called a mine: the threshold of the mining paper.
MINING_SCORE = 0.8
#: Words of the authors' scripts, which the importer of DETER-R maps itself.
SCRIPT_CLASS = {IntensityClass.HIGH: "CLEAR_CUT", IntensityClass.LOW: "DEGRADATION"}
#: CR1 and CR2: a level of confidence, not a class.
LEVEL = {Status.PRELIMINARY: "CR1", Status.CONFIRMED: "CR2", Status.CLOSED: "closed"}
DETER_R_COLUMNS = ("area_ha", "n_alerts", "intensity", "label", "daydetec", "class")
_DATE = pd.ArrowDtype(pa.date32())
_TEXT = pd.ArrowDtype(pa.string())

_DETER_FIELDS = """\
CLASSNAME   DESMATAMENTO_CR (high intensity), DEGRADACAO (low), MINERACAO (mining score >= 0.8)
QUADRANT    unused
PATH_ROW    relative orbit of Sentinel-1, three digits
VIEW_DATE   day of the first flagged image (mode over the polygon), UTC
SENSOR      C-SAR
SATELLITE   SENTINEL-1A, -1B, -1C, -1D
AREATOTKM   area of the polygon on the ellipsoid, km2
AREAUCKM    empty: the part within the protected area is not computed
UC          protected area with the largest share of the polygon
AREAMUNKM   km2: the same as AREATOTKM, because polygons are not cut at municipal borders
MUNICIPALI  municipality with the largest share of the polygon
GEOCODIBGE  its IBGE code
UF          its state
CR          CR1 = preliminary, CR2 = confirmed, closed
WARNING_ID  stable id of the warning
"""


def classname(intensity_class: str, mining_score: float | None) -> str:
    """DETER's class of a warning."""
    if mining_score is not None and mining_score >= MINING_SCORE:
        return MINING
    return CLASSNAME[IntensityClass(intensity_class)]


def label(warning_id: str) -> int:
    """A number for a warning, the same for life: the first 31 bits of its id's digits."""
    digits = "".join(c for c in warning_id.lower() if c in "0123456789abcdef")
    return int((digits + "0" * 8)[:8], 16) >> 1


def tile(longitude: float, latitude: float) -> str:
    """Name of the one-degree cell of a point, by its south-west corner: ``S08W053``."""
    west, south = int(np.floor(longitude)), int(np.floor(latitude))
    return f"{'N' if south >= 0 else 'S'}{abs(south):02d}{'E' if west >= 0 else 'W'}{abs(west):03d}"


def write_deter(table: gpd.GeoDataFrame, path: Path) -> None:
    """DETER-style zipped Shapefile, EPSG:4674, Latin-1, whole polygons; ``fields.txt`` explains."""
    there = table.to_crs(SIRGAS_2000)
    rows = list(records(table))
    areas = [geodesic_area_ha(g) / 100 for g in there.geometry]
    columns: dict[str, Any] = {
        "CLASSNAME": _texts(classname(r["intensity_class"], _score(r)) for r in rows),
        "QUADRANT": _texts(None for _ in rows),
        "PATH_ROW": _texts(_orbit(r) for r in rows),
        "VIEW_DATE": _days(r["first_flag_date"] for r in rows),
        "SENSOR": _texts("C-SAR" for _ in rows),
        "SATELLITE": _texts((r.get("platform") or "sentinel-1").upper() for r in rows),
        "AREATOTKM": pd.Series(areas, dtype="float64"),
        "AREAUCKM": pd.Series([np.nan] * len(rows), dtype="float64"),
        "UC": _texts(r.get("protected_area") for r in rows),
        "AREAMUNKM": pd.Series(areas, dtype="float64"),
        "MUNICIPALI": _texts(r.get("municipality") for r in rows),
        "GEOCODIBGE": _texts(r.get("geocode") for r in rows),
        "UF": _texts(r.get("uf") for r in rows),
        "CR": _texts(LEVEL[Status(r["status"])] for r in rows),
        "WARNING_ID": _texts(r["warning_id"] for r in rows),
    }
    frame = gpd.GeoDataFrame(columns, geometry=list(there.geometry), crs=SIRGAS_2000)
    told = f"{notice(table)}\n\n{_DETER_FIELDS}"
    _zip_shapefiles({path.stem: frame}, path, {"fields.txt": told})


def write_deter_r(table: gpd.GeoDataFrame, path: Path) -> None:
    """GeoJSON as the importer of DETER-R reads it: EPSG:4326 and six columns, no others.

    ``daydetec``: days from 2020-01-01 to the first flagged image. ``intensity``: tenths of dB.
    ``label``: see ``label``.
    """
    features = []
    for fields, geometry in zip(records(table), lonlat(table), strict=True):
        values = {
            "area_ha": fields["area_ha"],
            "n_alerts": fields.get("n_alerts"),
            "intensity": fields.get("intensity"),
            "label": label(fields["warning_id"]),
            "daydetec": flag_days(date.fromisoformat(fields["first_flag_date"][:10])),
            "class": SCRIPT_CLASS[IntensityClass(fields["intensity_class"])],
        }
        features.append({"type": "Feature", "properties": values, "geometry": mapping(geometry)})
    document = {
        "type": "FeatureCollection",
        "name": "warning",
        # Without it GDAL 3 would assume the same; older importers look for it.
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}},
        "attribution": notice(table),
        "features": features,
    }
    path.write_text(json.dumps(document, allow_nan=False), encoding="utf-8")


def write_deter_rt(table: gpd.GeoDataFrame, path: Path) -> None:
    """One .zip with a Shapefile a day and tile, as ``deter_rt_frames`` parts them."""
    frames = deter_rt_frames(table)
    _zip_shapefiles(frames or {"warning_00000000_none": _rt_frame([], [])}, path, {})


def write_deter_rt_tile(frame: gpd.GeoDataFrame, path: Path) -> None:
    """One tile of ``deter_rt_frames`` as a zipped Shapefile of the file's own name."""
    _zip_shapefiles({path.stem: frame}, path, {})


def deter_rt_frames(
    table: gpd.GeoDataFrame, prefix: str = "warning"
) -> dict[str, gpd.GeoDataFrame]:
    """Part warnings as the loader of DETER-RT reads them, by ``<prefix>_<YYYYMMDD>_<tile>``.

    The day is that of the confirmation, or of issue while there is none (view date); the column
    ``Date_dt`` the first flagged day (detection date). A warning is in one tile only: that of a
    point within it.
    """
    parts: dict[str, tuple[list[dict[str, Any]], list[Any]]] = {}
    there = table.to_crs(SIRGAS_2000).geometry
    for fields, geometry in zip(records(table), there, strict=True):
        point = geometry.representative_point()
        day = (fields.get("confirmed_at") or fields["issued_at"])[:10].replace("-", "")
        rows, shapes = parts.setdefault(f"{prefix}_{day}_{tile(point.x, point.y)}", ([], []))
        rows.append(fields)
        shapes.append(geometry)
    return {name: _rt_frame(*parts[name]) for name in sorted(parts)}


def _rt_frame(rows: list[dict[str, Any]], shapes: list[Any]) -> gpd.GeoDataFrame:
    columns = {
        "Date_dt": _days(r["first_flag_date"] for r in rows),
        "area_ha": pd.Series([r["area_ha"] for r in rows], dtype="float64"),
        "class": _texts(classname(r["intensity_class"], _score(r)) for r in rows),
        "level": _texts(LEVEL[Status(r["status"])] for r in rows),
        "warning_id": _texts(r["warning_id"] for r in rows),
    }
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=SIRGAS_2000)


def write_changes(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """CSV of what the importers cannot take in: updates and corrections of warnings sent before."""
    names = ("warning_id", "label", "kind", "status", "closed_reason", "intensity_class", "area_ha")
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names, extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            writer.writerow({**row, "label": label(row["warning_id"])})


def _score(fields: Mapping[str, Any]) -> float | None:
    value = fields.get("mining_score")
    return None if value is None else float(value)


def _orbit(fields: Mapping[str, Any]) -> str | None:
    orbit = fields.get("relative_orbit")
    return None if orbit is None else f"{int(float(orbit)):03d}"


def _texts(values: Iterable[str | None]) -> pd.Series[Any]:
    plain = [
        None if v is None else v.encode("latin-1", "replace").decode("latin-1") for v in values
    ]
    return pd.Series(plain, dtype=_TEXT)


def _days(values: Iterable[str]) -> pd.Series[Any]:
    return pd.Series([date.fromisoformat(v[:10]) for v in values], dtype=_DATE)


def _zip_shapefiles(
    frames: Mapping[str, gpd.GeoDataFrame], path: Path, texts: Mapping[str, str]
) -> None:
    folder = path.parent / f"{path.stem}.files"
    folder.mkdir()
    for name, frame in frames.items():
        pyogrio.write_dataframe(
            frame,
            folder / f"{name}.shp",
            driver="ESRI Shapefile",
            geometry_type="Polygon",
            use_arrow=True,
            layer_options={"ENCODING": "ISO-8859-1"},
        )
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in sorted(folder.iterdir()):
            archive.write(part, part.name)
            part.unlink()
    folder.rmdir()
