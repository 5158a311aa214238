"""The notebook's way: warning layers in, warning polygons out."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import odc.geo.xr  # noqa: F401  (registers the .odc accessor)
import pandas as pd
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox

from curupira import presets
from curupira.blocks import Window
from curupira.codes import NOT_OBSERVED
from curupira.errors import InputError
from curupira.grid import SIRGAS_2000
from curupira.presets import Preset
from curupira.units import FLAG_EPOCH
from curupira.vectorise.params import VectoriseParams
from curupira.vectorise.pixels import AlertPixels, FloatArray, IntArray
from curupira.vectorise.polygons import extract

_REQUIRED = ("n_alerts", "first_flag", "excess_db", "threshold_db", "confidence")
#: Columns of ``polygons``, beside ``geometry`` (product.md section 5).
_PUBLIC = (
    "status",
    "confidence",
    "intensity_class",
    "n_alerts",
    "n_alerts_mean",
    "intensity",
    "excess_db",
    "first_flag_date",
    "first_flag_days",
    "area_ha",
    "area_geodesic_ha",
    "distance_to_deforestation_m",
    "threshold_db",
)


def polygons(layers: xr.Dataset, preset: str | Path | Preset = "deter_r") -> gpd.GeoDataFrame:
    """Warning polygons of the layers that ``detect.warning_layers`` gives.

    Parameters
    ----------
    layers
        Variables ``n_alerts`` (255: not observed), ``first_flag`` (datetime64), ``excess_db``,
        ``threshold_db``, ``confidence`` and, where known, ``distance_m``, each (y, x), on evenly
        spaced ``y`` and ``x`` in metres. The CRS stands in a coordinate written by odc-geo or
        rioxarray, or in ``attrs["crs"]``.
    preset
        Name, path or object.

    Returns
    -------
    One MultiPolygon a warning, EPSG:4674, with the fields of product.md section 5 that layers can
    tell: status (preliminary or confirmed), class, flags, intensity, first flag, areas, threshold,
    confidence, and ``distance_to_deforestation_m`` if the layers carry ``distance_m``.

    Raises
    ------
    InputError
        If a variable, the CRS or even spacing is missing, or a flagged pixel has no date.
    ConfigError
        If the preset cannot be read.
    """
    params = VectoriseParams.from_preset(presets.load(preset))
    grid = _grid(layers)
    frame = extract(_pixels(layers), grid, params).to_crs(SIRGAS_2000)
    geometry = np.array(frame.geometry.array, object)
    single = np.flatnonzero(shapely.get_type_id(geometry) == shapely.GeometryType.POLYGON)
    geometry[single] = shapely.multipolygons(geometry[single], indices=np.arange(single.size))
    names = [n for n in _PUBLIC if n != "distance_to_deforestation_m" or "distance_m" in layers]
    for name in ("status", "intensity_class"):
        frame[name] = pd.Series([str(value) for value in frame[name]], dtype=object)
    frame["first_flag_date"] = pd.Series(
        [FLAG_EPOCH + timedelta(days=int(d)) for d in frame["first_flag_days"]], dtype=object
    )
    return gpd.GeoDataFrame(frame[names], geometry=geometry, crs=SIRGAS_2000)


def _grid(layers: xr.Dataset) -> GeoBox:
    missing = [name for name in _REQUIRED if name not in layers]
    if missing:
        raise InputError(
            f"layer {missing[0]!r} is missing",
            where="layers",
            remedy="give the dataset that detect.warning_layers returns",
        )
    for name in _REQUIRED:
        if layers[name].dims != ("y", "x"):
            raise InputError(
                f"{name} has the dimensions {layers[name].dims}",
                where="layers",
                remedy="give every layer as (y, x), one date at a time",
            )
    if layers.odc.crs is None:
        raise InputError(
            "there is no coordinate reference system",
            where="layers",
            remedy='set it, for example layers.attrs["crs"] = "EPSG:32721"',
        )
    for name in ("y", "x"):
        if name not in layers.coords or not _even(layers[name].to_numpy()):
            raise InputError(
                f"coordinate {name!r} is missing or not evenly spaced",
                where="layers",
                remedy="give the coordinates of the pixel centres on a regular grid",
            )
    grid: GeoBox | None = layers.odc.geobox
    if grid is None:
        raise InputError(
            "the pixel size cannot be told",
            where="layers",
            remedy="give at least 2 x 2 pixels, or the coordinates of odc-geo",
        )
    return grid


def _even(values: np.ndarray) -> bool:
    steps = np.diff(values)
    return bool(steps.size == 0 or np.allclose(steps, steps[0], rtol=1e-3, atol=0))


def _pixels(layers: xr.Dataset) -> AlertPixels:
    n_alerts = layers["n_alerts"].to_numpy()
    first = layers["first_flag"].to_numpy().astype("datetime64[D]")
    flagged = (n_alerts > 0) & (n_alerts != NOT_OBSERVED)
    if np.isnat(first[flagged]).any():
        raise InputError(
            "a flagged pixel has no first flagged date",
            where="layers first_flag",
            remedy="give n_alerts and first_flag of the same detection",
        )
    days: IntArray = (first - np.datetime64(FLAG_EPOCH, "D")).astype(np.int64).astype(np.int32)

    def real(name: str) -> FloatArray:
        return layers[name].to_numpy().astype(np.float32, copy=False)

    return AlertPixels.from_block(
        Window(0, n_alerts.shape[0], 0, n_alerts.shape[1]),
        n_alerts,
        days,
        days,
        real("excess_db"),
        real("threshold_db"),
        real("confidence"),
        distance_m=real("distance_m") if "distance_m" in layers else None,
    )
