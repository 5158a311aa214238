"""A Sentinel-1 GRD product to geocoded backscatter: `curupira grd`."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from pyproj.exceptions import CRSError
from scipy.interpolate import RegularGridInterpolator
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from curupira import logs
from curupira.blocks import Window
from curupira.codes import OrbitState
from curupira.errors import InputError, StoreError
from curupira.grd import orbit as orbits
from curupira.grd.annotation import Annotation
from curupira.grd.dem import Dem, open_dem
from curupira.grd.files import Fetch, Span
from curupira.grd.product import Product, open_product
from curupira.grd.zero_doppler import RadarGeometry
from curupira.grid import LONLAT, make_grid, project
from curupira.pipelines.grd_output import publish
from curupira.pipelines.grd_run import DEGREE_M, Clock, GrdParams, Run
from curupira.progress import Report, silent
from curupira.records import Scene
from curupira.sources.http import Web
from curupira.stac import check_catalogue, platform_name

log = logs.get(__name__)

#: Grid pixels around the outline by the geolocation grid, which is at the scene's mean height.
_MARGIN_PX: Final = 64
#: A work folder this old is of a run that was killed.
_STALE_S: Final = 86_400.0


@dataclass(frozen=True)
class GrdInput:
    """Where a product lies and how to get at it, and at its orbit.

    Parameters
    ----------
    href
        SAFE folder, zip or address (``grd.product.open_product``).
    orbit, orbit_cache, orbit_url
        See ``grd.orbit.resolve``.
    fetch, span
        Bytes at an address, and a part of a file there (``grd.files``), of remote products; None:
        without credentials.
    sign, gdal, measurement
        See ``grd.product.open_product``.
    """

    href: str | Path
    orbit: Path | None = None
    orbit_cache: Path | None = None
    orbit_url: str | None = None
    fetch: Fetch | None = None
    span: Span | None = None
    sign: Callable[[str], str] | None = None
    gdal: Mapping[str, object] | None = None
    measurement: Mapping[str, str] | None = None

    def open(self, polarisations: Sequence[str], web: Web) -> Product:
        """The product, checked."""
        return open_product(
            self.href,
            polarisations=polarisations or None,
            fetch=self.fetch or web.fetch,
            span=self.span or web.span,
            sign=self.sign,
            gdal=self.gdal,
            measurement=self.measurement,
        )


@dataclass(frozen=True)
class GrdResult:
    """What was written, and how long each stage took (seconds)."""

    folder: Path
    item: Path
    scene: Scene
    grid: GeoBox
    orbit_source: str
    tie_error_px: float
    seconds: dict[str, float]


def process_grd(
    source: GrdInput,
    dem: str | Path,
    out: Path,
    params: GrdParams,
    *,
    now: datetime,
    grid: GeoBox | None = None,
    threads: int = 0,
    report: Report = silent,
) -> GrdResult:
    """Process one product to COGs and a STAC item in a catalogue.

    Parameters
    ----------
    source
        The product.
    dem
        Height model: a raster or a folder of them.
    out
        Gets ``<product>/*.tif``, ``items/`` and ``catalog.json``; an earlier result of the same
        product is replaced when the new one is complete.
    params, now
        How; and the time of creation, UTC.
    grid
        Target, of which the part that the scene covers is written; None: the smallest grid over
        the scene.
    threads, report
        0: one a core; gets blocks done and in all.

    Raises
    ------
    InputError, SourceError, StoreError
        From the catalogue, the product (checked before the DEM), the orbit, the DEM, writing.
    """
    check_catalogue(out)
    clock, web = Clock(), Web()
    with clock.time("open"):
        product = source.open(params.polarisations, web)
        # Orbits are another server's: the product's credentials are none of its business.
        path = orbits.resolve(
            product.first, source.orbit, source.orbit_cache, source.orbit_url, fetch=web.fetch
        )
        heights = open_dem(dem, geoid=params.geoid, on_gap=params.on_gap)
    footprint = outline(product.first)
    target = grid or _new_grid(footprint, params)
    seen = _seen(footprint, target, product.name)
    target = _covered(target, seen)
    with _work_folder(out) as work:
        with clock.time("open"):
            product = product.staged(work)
        geometry = RadarGeometry.of(product.first, path, bistatic=params.bistatic)
        run = Run(product, geometry, target, heights, params, threads, clock, report)
        error_px = run.write(work)
        scene = _scene(product, seen, now)
        provenance = _provenance(product, path, heights, params, error_px, run.side)
        with clock.time("publish"):
            folder, item = publish(work, out, scene, target, params.radiometry, provenance)
    log.info("grd", scene=scene.scene_id, orbit=path.source, **clock.seconds)
    return GrdResult(folder, item, scene, target, path.source, error_px, clock.seconds)


@contextmanager
def _work_folder(out: Path) -> Iterator[Path]:
    """A folder within ``out`` that is gone afterwards."""
    work = out / f".{uuid.uuid4().hex[:12]}.part"
    try:
        work.mkdir(parents=True)
        for left in out.glob(".*.part"):
            if left.is_dir() and time.time() - left.stat().st_mtime > _STALE_S:
                shutil.rmtree(left, ignore_errors=True)
    except OSError as error:
        raise StoreError(f"cannot write ({error.strerror})", where=out) from error
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def outline(annotation: Annotation) -> BaseGeometry:
    """Outline of the image in longitude and latitude, by the geolocation grid.

    The grid of a whole product ends where the image does; that of a part reaches beyond it.
    """
    grid = annotation.geolocation
    axes = grid.line.reshape(grid.shape)[:, 0], grid.pixel.reshape(grid.shape)[0]
    places = np.stack([grid.longitude, grid.latitude], axis=-1).reshape(*grid.shape, 2)
    there = RegularGridInterpolator(axes, places, bounds_error=False, fill_value=None)
    bottom, right = annotation.lines - 1, annotation.samples - 1
    corners = np.array([(0, 0), (0, right), (bottom, right), (bottom, 0), (0, 0)], dtype=float)
    share = np.linspace(0, 1, 21)[:-1, None]
    edge = np.concatenate([a + share * (b - a) for a, b in pairwise(corners)])
    return Polygon(there(edge))


def _new_grid(footprint: BaseGeometry, params: GrdParams) -> GeoBox:
    """The smallest grid over the scene; of a system in degrees as many as the metres are north."""
    try:
        geographic = bool(params.crs) and CRS(params.crs).geographic
    except CRSError:
        geographic = False
    if not geographic:
        return make_grid(footprint, params.resolution_m, params.crs or None)
    step = params.resolution_m / DEGREE_M
    box = np.array(project(footprint, LONLAT, params.crs).bounds) / step
    edges = np.concatenate([np.floor(box[:2]), np.ceil(box[2:])]) * step
    return GeoBox.from_bbox(tuple(edges), crs=params.crs, resolution=step, tight=True)


def _seen(footprint: BaseGeometry, grid: GeoBox, name: str) -> BaseGeometry:
    extent = project(grid.extent.geom.segmentize(10 * abs(grid.affine.a)), str(grid.crs), LONLAT)
    both = footprint.intersection(extent)
    if both.is_empty or both.area == 0:
        raise InputError("the scene does not reach the target grid", where=name)
    return both


def _covered(grid: GeoBox, seen: BaseGeometry) -> GeoBox:
    """The part of a grid that holds the scene."""
    west, south, east, north = project(seen, LONLAT, str(grid.crs)).bounds
    columns, rows = zip(*(~grid.affine * at for at in ((west, north), (east, south))), strict=True)
    found = Window(
        int(np.floor(min(rows))) - _MARGIN_PX,
        int(np.ceil(max(rows))) + _MARGIN_PX,
        int(np.floor(min(columns))) - _MARGIN_PX,
        int(np.ceil(max(columns))) + _MARGIN_PX,
    ).intersect(Window(0, grid.shape[0], 0, grid.shape[1]))
    return grid[found.slices]


def _scene(product: Product, footprint: BaseGeometry, now: datetime) -> Scene:
    first = product.first
    start = first.start.astype("datetime64[us]").item().replace(tzinfo=UTC)
    return Scene(
        scene_id=product.name,
        platform=platform_name(first.platform),
        acquired=start,
        created=now,
        relative_orbit=product.manifest.relative_orbit,
        orbit_state=OrbitState(first.pass_direction),
        footprint=footprint,
        assets={},
        slice_number=first.slice_number or None,
    )


def _provenance(
    product: Product,
    orbit: orbits.Orbit,
    dem: Dem,
    params: GrdParams,
    error_px: float,
    side: int,
) -> dict[str, str]:
    return {
        "product": product.name,
        "ipf_version": product.manifest.ipf_version,
        "orbit": f"{orbit.source} {orbit.name}".strip(),
        "dem": ", ".join(Path(name).name for name in dem.files[:20]),
        "geoid": dem.geoid_name,
        "dem_gaps": dem.on_gap,
        "radiometry": params.radiometry,
        "thermal_noise": "removed" if params.denoise else "kept",
        "border_noise": "left out" if params.border else "kept",
        "speckle_filter": params.speckle,
        "looks": f"{side} x {side} pixels, mean power",
        "bistatic": "corrected" if params.bistatic else "none",
        "tie_grid_error_px": f"{error_px:.4f}",
    }
