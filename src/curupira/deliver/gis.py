"""GeoPackage, GeoParquet and Shapefile, in the coordinate system of the table."""

from __future__ import annotations

import zipfile
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio

from curupira.deliver.frame import notice

LAYER = "warning"

#: Shapefile names of the fields: at most 10 characters. Others are cut and numbered.
SHAPEFILE_NAMES = {
    "warning_id": "warning_id",
    "status": "status",
    "closed_reason": "closed_rsn",
    "merged_into": "merged_to",
    "confidence": "confidence",
    "intensity_class": "intens_cls",
    "n_alerts": "n_alerts",
    "n_alerts_mean": "n_alert_mn",
    "intensity": "intensity",
    "excess_db": "excess_db",
    "first_flag_date": "first_date",
    "first_flag_days": "first_days",
    "first_scene": "first_scn",
    "confirming_scene": "confrm_scn",
    "relative_orbit": "rel_orbit",
    "platform": "platform",
    "issued_at": "issued_at",
    "confirmed_at": "confirm_at",
    "recorded_at": "record_at",
    "delay_from_flag_days": "delay_days",
    "area_ha": "area_ha",
    "area_geodesic_ha": "area_geod",
    "growth_30d_ha": "grow30d_ha",
    "distance_to_deforestation_m": "dist_def_m",
    "threshold_db": "thresh_db",
    "uf": "uf",
    "municipality": "municipal",
    "geocode": "geocode",
    "protected_area": "prot_area",
    "indigenous_territory": "indig_terr",
    "mining_score": "mining_scr",
    "priority": "priority",
    "verdict": "verdict",
    "verdict_by": "verdict_by",
    "verdict_at": "verdict_at",
    "verdict_source": "verdict_sr",
    "preset": "preset",
    "preset_hash": "preset_hsh",
    "run_id": "run_id",
}


def write_gpkg(table: gpd.GeoDataFrame, path: Path) -> None:
    """GeoPackage with one layer, ``warning``; the notice is its description."""
    _write(table, path, "GPKG", layer_options={"DESCRIPTION": notice(table)})


def write_parquet(table: gpd.GeoDataFrame, path: Path) -> None:
    """GeoParquet 1.1 with a covering bounding box; the notice is the key ``attribution``."""
    table.to_parquet(path, schema_version="1.1.0", write_covering_bbox=True, index=False)
    found = pq.read_table(path)
    told = {**(found.schema.metadata or {}), b"attribution": notice(table).encode()}
    pq.write_table(found.replace_schema_metadata(told), path, compression="zstd")


def write_shp(table: gpd.GeoDataFrame, path: Path) -> None:
    """Zipped Shapefile in UTF-8 with ``fields.txt``: its names in full, and the notice.

    Times are text (ISO 8601), because a Shapefile holds days only.
    """
    stem = path.stem.removesuffix(".shp") or LAYER
    names = shapefile_names([n for n in table.columns if n != table.geometry.name])
    short = table.rename(columns=names)
    for name in names.values():
        if isinstance(short[name].dtype, pd.DatetimeTZDtype):
            texts = short[name].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
            short[name] = texts.astype(pd.ArrowDtype(pa.string()))
    folder = path.parent / "shapefile"
    folder.mkdir()
    _write(short, folder / f"{stem}.shp", "ESRI Shapefile", layer_options={"ENCODING": "UTF-8"})
    lines = [f"{short_name:<12}{name}" for name, short_name in names.items()]
    readme = "\n".join([notice(table), "", "Field       Meaning", *lines, ""])
    (folder / "fields.txt").write_text(readme, encoding="utf-8")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in sorted(folder.iterdir()):
            archive.write(part, part.name)


def shapefile_names(names: list[str]) -> dict[str, str]:
    """Names of at most 10 characters, all different whatever the case, in the order given."""
    found: dict[str, str] = {}
    taken = {SHAPEFILE_NAMES[name] for name in names if name in SHAPEFILE_NAMES}
    for name in names:
        short = SHAPEFILE_NAMES.get(name)
        if short is None:
            short, n = name[:10], 1
            while short.lower() in taken:
                n += 1
                short = f"{name[: 10 - len(str(n))]}{n}"
        taken.add(short.lower())
        found[name] = short
    return found


def _write(table: gpd.GeoDataFrame, path: Path, driver: str, layer_options: dict[str, str]) -> None:
    # Arrow carries days as days; the other way knows times only.
    pyogrio.write_dataframe(
        table,
        path,
        layer=LAYER if driver == "GPKG" else None,
        driver=driver,
        geometry_type="MultiPolygon" if driver == "GPKG" else "Polygon",
        use_arrow=True,
        layer_options=layer_options,
    )
