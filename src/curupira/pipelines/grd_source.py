"""GRD products of an image source, processed onto the monitoring grid when they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import rasterio.env
from odc.geo.geobox import GeoBox

from curupira.errors import ConfigError, InputError
from curupira.grd.dem import open_dem
from curupira.pipelines.grd import GrdInput, process_grd
from curupira.pipelines.grd_run import GrdParams
from curupira.records import Asset, Scene
from curupira.sources.images import Provider, scene_folder
from curupira.sources.profiles import SourceParams
from curupira.stac import is_remote

_MEASUREMENT = "/measurement/"


@dataclass(frozen=True)
class GrdImages:
    """Makes backscatter and local incidence of a provider's GRD scenes.

    Parameters
    ----------
    grid
        The monitoring grid.
    dem
        Height model: a raster or a folder of them.
    geoid, radiometry
        As ``GrdParams``.
    orbit_folder, orbit_url
        As ``GrdInput.orbit_cache`` and ``orbit_url``.
    threads
        0: one a core.
    """

    grid: GeoBox
    dem: str
    geoid: str
    radiometry: str
    orbit_folder: Path
    orbit_url: str | None
    threads: int

    @contextmanager
    def __call__(
        self, provider: Provider, scene: Scene, folder: Path, read: str
    ) -> Iterator[Scene]:
        """Yield the scene with images on the grid, in its folder of ``folder``.

        A scene's assets are the measurements of a SAFE folder, or its archive.

        Raises
        ------
        InputError, SourceError, StoreError
            As ``process_grd``; InputError if the product is of another orbit than the item says.
        """
        params = GrdParams.model_validate(
            {
                "radiometry": self.radiometry,
                "geoid": self.geoid,
                "polarisations": tuple(band.upper() for band in scene.assets),
            }
        )
        with self._input(provider, scene, folder, read) as source:
            result = process_grd(
                source,
                self.dem,
                scene_folder(scene, folder) / "grd",
                params,
                now=scene.created,
                grid=self.grid,
                threads=self.threads,
            )
        if result.scene.relative_orbit != scene.relative_orbit:
            raise InputError(
                f"the product is of relative orbit {result.scene.relative_orbit}, the catalogue "
                f"says {scene.relative_orbit}",
                where=f"scene {scene.scene_id}",
                remedy="correct the catalogue, or leave the scene out",
            )
        bands = (*scene.assets, "lia")
        yield replace(scene, assets={b: Asset(str(result.folder / f"{b}.tif")) for b in bands})

    @contextmanager
    def _input(
        self, provider: Provider, scene: Scene, folder: Path, read: str
    ) -> Iterator[GrdInput]:
        href = next(iter(scene.assets.values())).href
        source = GrdInput(
            product_href(href),
            orbit_cache=self.orbit_folder,
            orbit_url=self.orbit_url,
            fetch=provider.fetch,
            span=provider.span,
            sign=provider.access.url,
        )
        if _MEASUREMENT not in href or not is_remote(href):
            yield source
            return
        with provider.opened(scene, folder, read) as ready:
            pixels = {band.upper(): asset.href for band, asset in ready.assets.items()}
            # The environment is the thread's; blocks are read in many.
            options = rasterio.env.getenv() if rasterio.env.hasenv() else {}
            yield replace(source, measurement=pixels, gdal=options)


def product_href(href: str) -> str:
    """Address of the SAFE folder that a measurement lies in; anything else is the product."""
    return href.rpartition(_MEASUREMENT)[0] if _MEASUREMENT in href else href


def check_dem(params: SourceParams, dem: str) -> None:
    """Refuse a source of GRD products without a height model.

    Raises
    ------
    ConfigError
        If there is none, or it cannot be opened.
    """
    where, remedy = "[source] dem", "name a raster of heights, or a folder of them (docs/grd.md)"
    if not params.dem:
        raise ConfigError(
            f"{params.provider} offers GRD products, whose terrain correction needs a height model",
            where=where,
            remedy=remedy,
        )
    try:
        open_dem(dem, geoid=params.geoid)
    except InputError as error:
        raise ConfigError(f"{error.where}: {error.what}", where=where, remedy=remedy) from error
