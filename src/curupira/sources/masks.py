"""Forest mask and past deforestation on the grid, from documented layers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from odc.geo.geobox import GeoBox
from pydantic import BaseModel, ConfigDict, Field
from rasterio.features import rasterize
from scipy.ndimage import distance_transform_edt
from shapely.geometry.base import BaseGeometry

from curupira.errors import InputError
from curupira.grid import LONLAT, project
from curupira.sources.layers import LayerRecord, Mask, rasterise_layers

_EDGE_DEG = 0.02


class MaskParams(BaseModel):
    """The ``[masks]`` section of ``monitor.toml``: layers that say where forest is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    forest: tuple[str, ...] = Field(
        (),
        description="Layers of forest: vector or raster files relative to this file, "
        '"file.gpkg|layer" for one layer of a file; raster: non-zero is forest. '
        "Empty: forest everywhere but for the other layers.",
    )
    non_forest: tuple[str, ...] = Field(
        (),
        description="Layers of what is not forest: INPE forest/non-forest, TanDEM-X, varzea, "
        "IBGE (method.md 1A step 10).",
    )
    deforestation: tuple[str, ...] = Field(
        (),
        description="Layers of past deforestation (PRODES with residues); masked, and the "
        "distance to them sets the threshold (method.md 1A steps 9, 10).",
    )
    water: tuple[str, ...] = Field(
        (), description="Layers of water, such as JRC Global Surface Water max_extent."
    )
    water_dilation_m: float = Field(
        60.0,
        ge=0,
        le=5000,
        description="Water is widened by a disc of this radius, m (0 to 5000; method.md 1A "
        "step 10: 60).",
    )
    deforestation_date_field: str = Field(
        "",
        description="Column with date or year of the deforestation polygons; empty: none. Its "
        "newest date is stored with each run.",
    )
    output: str = Field(
        "masks",
        min_length=1,
        description="Folder of the masks that 'curupira masks build' makes, relative to this file.",
    )


@dataclass(frozen=True, slots=True)
class Masks:
    """What ``build_masks`` makes, all ``(y, x)`` on the grid.

    ``forest`` is where warnings may be; ``deforestation`` and ``water`` (widened) are parts of
    what it excludes; ``distance_m`` (float32) is the distance to deforestation, NaN everywhere
    where there is none.
    """

    forest: Mask
    deforestation: Mask
    water: Mask
    distance_m: npt.NDArray[np.float32]
    records: tuple[LayerRecord, ...]


def build_masks(params: MaskParams, grid: GeoBox, *, base: Path, max_distance_m: float) -> Masks:
    """Read all layers and compose the masks.

    Parameters
    ----------
    params
        The layers; paths are relative to ``base``.
    grid
        The monitoring grid, or a part of it: layers are also read around it, so that water and
        deforestation outside count and the result does not depend on how the grid is cut.
    base
        Folder of ``monitor.toml``.
    max_distance_m
        How far around the grid deforestation is looked for: distances up to this are exact,
        larger ones may be too large (the threshold laws clamp there, method.md 1B point 3).

    Raises
    ------
    ConfigError, InputError
        See ``rasterise_layers``; InputError also if no forest is left.
    """
    pixel_m = float(grid.resolution.x)
    margin = int(np.ceil(max(max_distance_m, params.water_dilation_m) / pixel_m))
    inner = slice(margin, -margin or None), slice(margin, -margin or None)
    cleared, cleared_from = rasterise_layers(
        params.deforestation,
        "deforestation",
        grid,
        base=base,
        date_field=params.deforestation_date_field,
        margin=margin,
    )
    water, water_from = rasterise_layers(params.water, "water", grid, base=base, margin=margin)
    wood, wood_from = rasterise_layers(params.forest, "forest", grid, base=base)
    other, other_from = rasterise_layers(params.non_forest, "non_forest", grid, base=base)
    distance = distance_m(cleared, pixel_m)[inner].copy()
    cleared = cleared[inner].copy()
    water = dilate(water, params.water_dilation_m, pixel_m)[inner].copy()
    forest = compose_forest(
        wood if params.forest else None, non_forest=other, deforestation=cleared, water=water
    )
    if not forest.any():
        raise InputError(
            "the forest mask is empty: nothing would be monitored",
            where="[masks]",
            remedy="check which layers are forest and which are not, and that they cover the area",
        )
    return Masks(
        forest, cleared, water, distance, wood_from + other_from + cleared_from + water_from
    )


def compose_forest(
    forest: Mask | None, *, non_forest: Mask, deforestation: Mask, water: Mask
) -> Mask:
    """Forest less all that excludes it (method.md 1A step 10, without the SAR mask).

    Parameters
    ----------
    forest
        Where forest is, ``(y, x)``; None: everywhere.
    non_forest, deforestation, water
        Where it is not; water is widened already.
    """
    excluded = non_forest | deforestation | water
    return ~excluded if forest is None else forest & ~excluded


def dilate(mask: Mask, radius_m: float, pixel_m: float) -> Mask:
    """Widen a mask ``(y, x)`` by a disc: pixels whose centre is within the radius of one in it."""
    if radius_m <= 0 or not mask.any():
        return mask.copy()
    return np.asarray(distance_m(mask, pixel_m) <= radius_m * (1 + 1e-6))


def distance_m(mask: Mask, pixel_m: float) -> npt.NDArray[np.float32]:
    """Exact Euclidean distance from each pixel centre to the nearest one in the mask, m.

    float32 ``(y, x)``; 0 within the mask; NaN everywhere if the mask is empty (method.md 1A
    step 9).
    """
    if not mask.any():
        return np.full(mask.shape, np.nan, dtype=np.float32)
    return np.asarray(distance_transform_edt(~mask, sampling=pixel_m), dtype=np.float32)


def area_mask(area: BaseGeometry, grid: GeoBox) -> Mask:
    """Pixels of the grid whose centre lies in the lon/lat area, ``(y, x)``."""
    shape = project(shapely.segmentize(area, _EDGE_DEG), LONLAT, str(grid.crs))
    return np.asarray(
        rasterize(
            [(shape, 1)], out_shape=tuple(grid.shape), transform=grid.affine, dtype="uint8"
        ).astype(np.bool_)
    )


def areas_km2(masks: Masks, inside: Mask, pixel_m: float) -> dict[str, float]:
    """Account for the area, in km2 of the grid's system.

    Parameters
    ----------
    masks, inside
        The masks and the pixels of the monitored area, ``(y, x)``.
    pixel_m
        Side of a pixel.

    Returns
    -------
    dict
        ``area`` = ``monitored`` + ``masked``; of the latter, ``deforestation`` and ``water``
        (widened) may overlap. What images did not show is for the run to say.
    """
    unit = pixel_m**2 / 1e6
    parts = {
        "area": inside,
        "monitored": inside & masks.forest,
        "masked": inside & ~masks.forest,
        "deforestation": inside & masks.deforestation,
        "water": inside & masks.water,
    }
    return {name: float(np.count_nonzero(part)) * unit for name, part in parts.items()}
