"""The raster product of an acquisition: a COG with the warning layers, and its STAC item."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pystac
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds
from rasterio.windows import Window as RasterWindow
from rio_cogeo.cogeo import cog_translate
from rio_cogeo.profiles import cog_profiles
from shapely.geometry import box, mapping

from curupira.blocks import Window
from curupira.codes import NOT_OBSERVED
from curupira.cog import write_atomic
from curupira.detect.layers import Layers
from curupira.errors import InputError, StoreError
from curupira.grid import LONLAT
from curupira.presets import Preset
from curupira.records import Acquisition
from curupira.sources.files import check_complete
from curupira.units import attribution

#: Folder of a workspace.
PRODUCTS = "products"
#: A product while its blocks arrive, and while its COG is written.
RAW, PART = ".raw.tif", ".part.tif"
#: Missing in every band.
NODATA = -32768
#: Bands: name, scale (value = code * scale).
BANDS = (
    ("n_alerts", 1.0),
    ("first_flag_days", 1.0),
    ("excess_db", 0.01),
    ("confidence", 0.01),
)


@dataclass
class ProductSink:
    """Takes the layers block by block; nothing is visible until the product is complete."""

    dataset: rasterio.io.DatasetWriter
    origin: Window

    def write(self, window: Window, layers: Layers) -> None:
        """Write one block."""
        place = window.relative_to(self.origin)
        seen = layers.n_alerts != NOT_OBSERVED
        flagged = seen & (layers.n_alerts > 0)
        bands = (
            # In the counts' own type, uint8, the code for missing would become a zero.
            np.where(seen, layers.n_alerts.astype(np.int16), NODATA),
            np.where(flagged, layers.first_flag_days, NODATA),
            np.where(seen, np.round(np.nan_to_num(layers.excess_db) * 100), NODATA),
            np.where(seen, np.round(layers.confidence * 100), NODATA),
        )
        rows, cols = place.slices
        target = RasterWindow.from_slices(rows, cols)
        with written(Path(self.dataset.name)):
            self.dataset.write(np.stack(bands).astype(np.int16), window=target)


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Turn failures of the disk into an error of ours.

    Raises
    ------
    StoreError
        If the file cannot be written completely.
    """
    try:
        yield
    except (OSError, RasterioError, InputError) as error:
        reason = getattr(error, "strerror", None) or str(error.__cause__ or error)
        raise StoreError(
            f"cannot be written ({reason.splitlines()[0]})",
            where=path,
            remedy="free some space, or make the folder writable; what was finished is kept",
        ) from error


@contextmanager
def product_sink(
    path: Path, grid: GeoBox, window: Window, tags: dict[str, str]
) -> Iterator[ProductSink]:
    """Write a product beside its final name, and rename it when complete.

    Raises
    ------
    StoreError
        If the disk refuses; a product that is there already stays as it was.
    """
    raw, part = path.with_suffix(RAW), path.with_suffix(PART)
    with written(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset = _create(raw, grid[window.slices])
    try:
        with dataset:
            dataset.update_tags(**tags)
            yield ProductSink(dataset, window)
        with written(path):
            cog_translate(
                raw,
                part,
                cog_profiles.get("deflate"),  # type: ignore[no-untyped-call]
                overview_resampling="nearest",
                forward_band_tags=True,
                in_memory=False,
                quiet=True,
            )
            _check(part)
            part.replace(path)
    finally:
        for leftover in (raw, part):
            # A folder that cannot be written must not hide the reason of the failure.
            with suppress(OSError):
                leftover.unlink(missing_ok=True)


def _create(raw: Path, place: GeoBox) -> rasterio.io.DatasetWriter:
    dataset = rasterio.open(
        raw,
        "w",
        driver="GTiff",
        width=place.shape.x,
        height=place.shape.y,
        count=len(BANDS),
        dtype="int16",
        nodata=NODATA,
        crs=str(place.crs),
        transform=place.affine,
        tiled=True,
        blockxsize=512,
        blockysize=512,
        BIGTIFF="IF_SAFER",
    )
    dataset.descriptions = tuple(name for name, _ in BANDS)
    dataset.scales = tuple(scale for _, scale in BANDS)
    return dataset


def _check(part: Path) -> None:
    # GDAL reports a full disk late or not at all.
    with rasterio.open(part) as dataset:
        for band in range(1, len(BANDS) + 1):
            check_complete(dataset, band)


def product_path(folder: Path, acquisition_id: str) -> Path:
    """Where an acquisition's product lies."""
    return folder / PRODUCTS / f"{acquisition_id}.tif"


def drop_product(folder: Path, acquisition_id: str) -> None:
    """Remove the product of an acquisition that is no more."""
    path = product_path(folder, acquisition_id)
    path.unlink(missing_ok=True)
    path.with_suffix(".json").unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what a killed run left behind; the caller holds the workspace's lock."""
    products = folder / PRODUCTS
    for pattern in (f"*{RAW}", f"*{PART}", ".*.part"):
        for leftover in products.glob(pattern):
            leftover.unlink(missing_ok=True)


def write_item(path: Path, acquisition: Acquisition, preset: Preset, version: str) -> None:
    """Write the STAC item beside a product, with the scenes that it was derived from."""
    with rasterio.open(path) as source:
        outline = transform_bounds(source.crs, LONLAT, *source.bounds)
        projection = {
            "proj:code": str(source.crs),
            "proj:shape": list(source.shape),
            "proj:transform": list(source.transform)[:6],
        }
    item = pystac.Item(
        id=acquisition.acquisition_id,
        geometry=mapping(box(*outline)),
        bbox=list(outline),
        datetime=acquisition.acquired,
        properties={
            "created": acquisition.created.isoformat(),
            "platform": acquisition.platform,
            "sat:relative_orbit": acquisition.relative_orbit,
            "sat:orbit_state": str(acquisition.scenes[0].orbit_state),
            "processing:software": {"curupira": version},
            "processing:lineage": f"preset {preset.name} {preset.hash}",
            "curupira:scenes": [s.scene_id for s in acquisition.scenes],
            "curupira:attribution": attribution([acquisition.acquired.year]),
            **projection,
        },
        stac_extensions=[
            "https://stac-extensions.github.io/sat/v1.0.0/schema.json",
            "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
            "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
            "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
        ],
    )
    item.add_asset(
        "layers",
        pystac.Asset(
            href=f"./{path.name}",
            media_type=pystac.MediaType.COG,
            roles=["data"],
            extra_fields={
                "bands": [
                    {"name": name, "nodata": NODATA, "data_type": "int16", "raster:scale": scale}
                    for name, scale in BANDS
                ]
            },
        ),
    )
    text = json.dumps(item.to_dict(include_self_link=False), indent=2)
    write_atomic(path.with_suffix(".json"), text.encode())
