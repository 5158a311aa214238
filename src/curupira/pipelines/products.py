"""The raster product of an acquisition: a COG with the warning layers, and its STAC item."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pystac
import rasterio
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError  # copy() lets GDAL's own errors through (rasterio 1.4)
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.features import geometry_window, rasterize
from rasterio.shutil import copy
from rasterio.warp import transform_bounds
from rasterio.windows import Window as RasterWindow
from shapely.geometry import box, mapping

from curupira.blocks import Window
from curupira.codes import NOT_OBSERVED
from curupira.cog import write_atomic
from curupira.detect.exceedance import NO_FLAG
from curupira.detect.layers import Layers
from curupira.errors import InputError, StoreError
from curupira.grid import LONLAT
from curupira.pipelines.seen import Seen, SeenLayers
from curupira.presets import Preset
from curupira.records import Acquisition, Observation
from curupira.sources.files import check_complete
from curupira.units import FLAG_EPOCH

#: Folder of a workspace.
PRODUCTS = "products"
#: A product while its blocks arrive, and while its COG is written.
RAW, PART = ".raw.tif", ".part.tif"
#: Side of a tile; the smallest overview is no larger.
_TILE = 512
#: Missing in every band.
NODATA = -32768
#: Bands: name, scale (value = code * scale).
BANDS = (
    ("n_alerts", 1.0),
    ("first_flag_days", 1.0),
    ("excess_db", 0.01),
    ("confidence", 0.01),
    # RADD's two bands, of the pixels that polygons were made from: 2 unconfirmed, 3 confirmed, 0
    # none; first flag as YYDOY, 0 none.
    ("alert", 1.0),
    ("alert_date", 1.0),
    ("seen", 1.0),
    ("last_seen_days", 1.0),
)
#: What alerts are written from, and their bands.
MARKED = [
    1 + [name for name, _ in BANDS].index(band)
    for band in ("n_alerts", "first_flag_days", "alert", "alert_date")
]
#: RADD's codes of an alert.
UNCONFIRMED, CONFIRMED = 2, 3


@dataclass
class ProductSink:
    """Takes the layers block by block; nothing is visible until the product is complete."""

    dataset: rasterio.io.DatasetWriter
    origin: Window

    def write(self, window: Window, layers: Layers, seen: SeenLayers) -> None:
        """Write one block, without alerts yet."""
        place = window.relative_to(self.origin)
        judged = layers.n_alerts != NOT_OBSERVED
        flagged = judged & (layers.n_alerts > 0)
        bands = (
            # In the counts' own type, uint8, the code for missing would become a zero.
            np.where(judged, layers.n_alerts.astype(np.int32), NODATA),
            np.where(flagged, layers.first_flag_days, NODATA),
            np.where(judged, np.round(np.nan_to_num(layers.excess_db) * 100), NODATA),
            np.where(judged, np.round(layers.confidence * 100), NODATA),
            np.where(judged, 0, NODATA),
            np.where(judged, 0, NODATA),
            np.where(seen.code == Seen.OUTSIDE, NODATA, seen.code.astype(np.int32)),
            np.where(seen.last_days == NO_FLAG, NODATA, seen.last_days),
        )
        rows, cols = place.slices
        target = RasterWindow.from_slices(rows, cols)
        with written(Path(self.dataset.name)):
            self.dataset.write(np.stack(bands).astype(np.int32), window=target)

    def mark(self, observations: Sequence[Observation]) -> None:
        """Write status and date of the polygons into their flagged pixels, after all blocks.

        A pixel's status is its polygon's, by the preset's rule: a pixel alone has none. Polygons
        do not overlap, and follow the pixels.
        """
        with written(Path(self.dataset.name)):
            for o in observations:
                place = geometry_window(self.dataset, [o.geometry])
                flags, days, alert, dates = self.dataset.read(MARKED, window=place)
                inside = rasterize(
                    [o.geometry],
                    out_shape=flags.shape,
                    transform=self.dataset.window_transform(place),
                    dtype="uint8",
                )
                flagged = (inside == 1) & (flags > 0)
                alert[flagged] = CONFIRMED if o.confirmed else UNCONFIRMED
                dates[flagged] = yydoy(days[flagged])
                self.dataset.write(np.stack([alert, dates]), MARKED[2:], window=place)


def yydoy(days: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """RADD's date, two digits of the year and three of the day of year, of days since 2020-01-01.

    ``NO_FLAG`` gives 0.
    """
    none = days == NO_FLAG
    dates = np.datetime64(FLAG_EPOCH, "D") + np.where(none, 0, days)
    years = dates.astype("datetime64[Y]")
    of_year = (dates - years.astype("datetime64[D]")).astype(np.int32) + 1
    short = (years.astype(np.int32) + 1970) % 100
    return np.where(none, 0, short * 1000 + of_year).astype(np.int32)


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
    except (OSError, RasterioError, CPLE_BaseError, InputError) as error:
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
            _add_overviews(raw)
            # A copy, not a warp as rio-cogeo does: where one band has a value, the warper changes
            # the no-data of the others into a neighbouring number.
            # Lightly packed: level 6 takes twice the time for a tenth of the size.
            copy(
                raw,
                part,
                driver="COG",
                compress="deflate",
                level=1,
                num_threads="all_cpus",
                overviews="force_use_existing",
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
        "w+",
        driver="GTiff",
        width=place.shape.x,
        height=place.shape.y,
        count=len(BANDS),
        dtype="int32",
        nodata=NODATA,
        crs=str(place.crs),
        transform=place.affine,
        tiled=True,
        blockxsize=_TILE,
        blockysize=_TILE,
        # Blocks are not tiles: written band by band, less is read again to be filled up.
        interleave="band",
        BIGTIFF="IF_SAFER",
    )
    dataset.descriptions = tuple(name for name, _ in BANDS)
    dataset.scales = tuple(scale for _, scale in BANDS)
    return dataset


def _add_overviews(raw: Path) -> None:
    # The COG driver makes the same ones, but packs and unpacks them on the way: half of its time.
    with rasterio.open(raw, "r+") as dataset:
        longest = max(dataset.shape)
        factors = [2**k for k in range(1, 16) if longest > _TILE * 2 ** (k - 1)]
        if factors:
            dataset.build_overviews(factors, Resampling.nearest)


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


def write_item(
    path: Path, acquisition: Acquisition, preset: Preset, version: str, notice: str
) -> None:
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
            "curupira:attribution": notice,
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
                    {"name": name, "nodata": NODATA, "data_type": "int32", "raster:scale": scale}
                    for name, scale in BANDS
                ]
            },
        ),
    )
    text = json.dumps(item.to_dict(include_self_link=False), indent=2)
    write_atomic(path.with_suffix(".json"), text.encode())
