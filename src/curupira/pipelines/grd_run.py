"""The work of `curupira grd`: images into memory, then block by block onto the grid."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from odc.geo.geobox import GeoBox
from pydantic import BaseModel, ConfigDict, Field

from curupira.blocks import Window, executor, split
from curupira.errors import InputError
from curupira.grd.block import Radiometry, Target, kind_of, process
from curupira.grd.dem import Dem, OnGap
from curupira.grd.geocode import looks
from curupira.grd.image import Filter, RadarImage, radar_window, read_image
from curupira.grd.product import Product
from curupira.grd.zero_doppler import RadarGeometry
from curupira.pipelines.grd_output import Layers
from curupira.progress import Report

#: Metres of a degree of latitude.
DEGREE_M: Final = 111_320.0
#: Side of a block of the grid, pixels.
_BLOCK: Final = 1024
#: Bytes of radar image held at once; beyond, one polarisation a pass over the grid.
_IMAGES_BYTES: Final = 1_200_000_000
#: Ground of any height: what part of the image a grid may need.
_GROUND_M: Final = (-500.0, 7000.0)


class GrdParams(BaseModel):
    """How a product is processed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    radiometry: Radiometry = Field(
        "gamma0_rtc",
        description="sigma0 (ellipsoid); gamma0 = sigma0 / cos(LIA) (DETER-R); gamma0_rtc: "
        "flattened by area integration (Small 2011); gamma0_volume, gamma0_surface: angular "
        "models (Vollrath 2020). Linear power.",
    )
    speckle: Filter = Field(
        "none", description="Filter of the image: none, lee3 (Lee 3x3 of power), lee3db (of dB)."
    )
    resolution_m: float = Field(
        20.0, gt=0, le=1000, description="Pixel of a new grid, metres; also decides the looks."
    )
    crs: str = Field("", description="System of a new grid; empty: UTM zone of its middle.")
    polarisations: tuple[Literal["VV", "VH", "HH", "HV"], ...] = Field(
        (), description="Which; empty: all of the product."
    )
    geoid: str = Field(
        "auto", description="What the DEM's heights are above: auto, egm96, none (ellipsoid), FILE."
    )
    on_gap: OnGap = Field("fill", description="Where the DEM has no height: fill and flag, refuse.")
    denoise: bool = Field(True, description="Take thermal noise off.")
    border: bool = Field(True, description="Leave border noise out.")
    bistatic: bool = Field(
        True, description="Correct lines for the echo's travel, as the product's own grid does."
    )


@dataclass
class Clock:
    """Seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        started = time.perf_counter()
        yield
        passed = time.perf_counter() - started
        self.seconds[stage] = self.seconds.get(stage, 0.0) + passed


class Run:
    """One product on one grid: images in, layers out, block by block."""

    def __init__(
        self,
        product: Product,
        geometry: RadarGeometry,
        grid: GeoBox,
        dem: Dem,
        params: GrdParams,
        threads: int,
        clock: Clock,
        report: Report,
    ) -> None:
        self.product, self.geometry, self.grid, self.dem = product, geometry, grid, dem
        self.params, self.threads, self.clock, self.report = params, threads, clock, report
        self.side = looks(_pixel_m(grid), product.first.range_spacing_m)
        self.window = radar_window(geometry, grid, _GROUND_M, self.side)
        if self.window.empty:
            raise InputError("the scene does not reach the target grid", where=product.name)

    def write(self, work: Path) -> float:
        """Write every layer into a folder; return the largest error of the fast positions."""
        names = [name.lower() for name in self.product.polarisations]
        layers = Layers(work, self.grid, names)
        worst, groups = 0.0, self._groups()
        with layers:
            for number, group in enumerate(groups):
                images = self._read(group)
                target = Target(self.geometry, self.grid, self.dem, images, self.params.radiometry)
                with self.clock.time("geocode"):
                    worst = max(worst, self._pass(target, layers, number, len(groups)))
            with self.clock.time("write"):
                layers.finish(self.threads)
        return worst

    def _groups(self) -> list[tuple[str, ...]]:
        names = self.product.polarisations
        size = 4 * self.window.shape[0] * self.window.shape[1] * len(names)
        return [names] if size <= _IMAGES_BYTES else [(name,) for name in names]

    def _read(self, group: Sequence[str]) -> dict[str, RadarImage]:
        params = self.params
        with self.clock.time("calibrate"):
            return {
                name: read_image(
                    self.product,
                    name,
                    self.window,
                    self.side,
                    kind=kind_of(params.radiometry),
                    denoise=params.denoise,
                    border=params.border,
                    speckle=params.speckle,
                    threads=self.threads,
                )
                for name in group
            }

    def _pass(self, target: Target, layers: Layers, number: int, passes: int) -> float:
        windows = list(split(Window(0, self.grid.shape[0], 0, self.grid.shape[1]), _BLOCK))
        done, worst = number * len(windows), 0.0

        def one(window: Window) -> float:
            block = process(target, window)
            if block is None:
                return 0.0
            layers.put(block, angles=number == 0)
            return block.error_px

        with executor(workers=self.threads) as run:
            for error_px in run(one, windows):
                done, worst = done + 1, max(worst, error_px)
                self.report(done, passes * len(windows), "blocks")
        return worst


def _pixel_m(grid: GeoBox) -> float:
    geographic = grid.crs is not None and grid.crs.geographic
    return float(abs(grid.affine.e) * (DEGREE_M if geographic else 1.0))
