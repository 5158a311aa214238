"""Acquisitions known to the store as mining images: read again from their scenes, unmasked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

import numpy as np
from odc.geo.geobox import GeoBox

from curupira.blocks import Window
from curupira.config import Workspace
from curupira.errors import ConfigError, InputError
from curupira.mining.card import ModelCard
from curupira.mining.composite import composite, evenly
from curupira.mining.params import MiningParams
from curupira.mining.scene import FloatArray, RadarScene
from curupira.pipelines import sourcing
from curupira.pipelines.mine_land import add_land
from curupira.records import Acquisition, Scene
from curupira.sources.raster import read_band
from curupira.units import to_db

#: A composite is of acquisitions of so many days.
_YEAR = timedelta(days=365)


class Model(Protocol):
    """What is asked of a model: its options and its card."""

    @property
    def params(self) -> MiningParams:
        """The preset's."""

    @property
    def card(self) -> ModelCard:
        """What it was trained on."""


class MiningImages:
    """The images of a workspace for one model.

    The grid is the monitoring grid with the model's pixels, a window's width wider on all sides,
    so that every place in the area has whole windows around it. Values are the source's gamma0.

    Raises
    ------
    ConfigError
        If the source is not told to read VV, or offers unprocessed products; if the model was
        trained on sigma0.
    """

    def __init__(self, workspace: Workspace, model: Model) -> None:
        self.source = workspace.monitor.source
        if not self.source.asset_vv:
            raise ConfigError(
                "mining needs VV beside VH",
                where="[source] asset_vv",
                remedy='name the asset, or set [mining] model to ""',
            )
        if self.source.product == "grd":
            raise ConfigError(
                "mining reads images window by window, and each would process a whole product",
                where="[source] product",
                remedy="process the products with `curupira grd`, and name their catalogue",
            )
        if model.card.radiometry != "gamma0":
            raise ConfigError(
                f"the model was trained on {model.card.radiometry}, a workspace reads gamma0",
                where="[mining] model",
                remedy="train it on gamma0 images, or classify files with --model and --scene",
            )
        self.providers = sourcing.images(workspace)
        self.bands = model.params.bands
        options = workspace.monitor.mining
        self.streams = workspace.path(options.streams) if options.streams else None
        self.dem = workspace.path(options.dem) if options.dem else None
        self.grid = _grid(workspace.grid, model.params)

    def image(self, acquisition: Acquisition, known: Sequence[Acquisition]) -> RadarScene:
        """What the model looks at for an acquisition: itself, or a composite of its orbit's year.

        ``known`` are the store's acquisitions; of them those not after ``acquisition`` count.

        Raises
        ------
        InputError
            If a composite is wanted and there are too few dates.
        """
        if self.bands.dates == 1:
            image = self._one(acquisition)
        else:
            chosen = year_before(acquisition, known, self.bands.dates)
            image = composite([self._one(a) for a in chosen])
        return add_land(image, self.streams, self.dem)

    def _one(self, acquisition: Acquisition) -> RadarScene:
        def read(window: Window) -> tuple[FloatArray, FloatArray]:
            power = np.full((2, *window.shape), np.nan, dtype=np.float32)
            for scene in acquisition.scenes:
                found = self.providers.use(scene, lambda ready: self._read(ready, window))
                gaps = np.isnan(power[0]) | np.isnan(power[1])
                power[:, gaps] = found[:, gaps]
            return to_db(power[0]), to_db(power[1])

        return RadarScene(acquisition.acquisition_id, acquisition.day, self.grid, read)

    def _read(self, scene: Scene, window: Window) -> FloatArray:
        pair = [read_band(scene, band, self.grid, window, self.source) for band in ("vv", "vh")]
        return np.stack(pair)


def _grid(monitoring: GeoBox, params: MiningParams) -> GeoBox:
    pixel, margin = params.patches.pixel_m, params.patches.size_m
    box = monitoring.boundingbox
    rows = int(np.ceil((box.top - box.bottom) / pixel)) + 2 * params.patches.size_px
    columns = int(np.ceil((box.right - box.left) / pixel)) + 2 * params.patches.size_px
    left, top = box.left - margin, box.top + margin
    outer = (left, top - rows * pixel, left + columns * pixel, top)
    return GeoBox.from_bbox(outer, crs=str(monitoring.crs), shape=(rows, columns))


def year_before(
    acquisition: Acquisition, known: Sequence[Acquisition], dates: int
) -> list[Acquisition]:
    """The acquisition and others of its orbit evenly over the year before it, ``dates`` in all.

    Raises
    ------
    InputError
        If there are fewer.
    """
    track = (acquisition.sensor, acquisition.relative_orbit)
    before = [
        a
        for a in known
        if (a.sensor, a.relative_orbit) == track
        and timedelta(0) < acquisition.acquired - a.acquired < _YEAR
    ]
    if len(before) + 1 < dates:
        raise InputError(
            f"{len(before) + 1} dates of its orbit in a year, but the model looks at {dates}",
            where=acquisition.acquisition_id,
            remedy="wait for more, load older scenes, or name a model of fewer dates",
        )
    ordered = sorted(before, key=lambda a: a.acquired)
    return evenly([*ordered, acquisition], dates)
