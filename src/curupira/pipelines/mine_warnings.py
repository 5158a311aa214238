"""Does a warning look like a mine? The highest mining probability around each one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from curupira import logs
from curupira.config import Workspace
from curupira.errors import InputError, SourceError
from curupira.mining.scene import RadarScene
from curupira.mining.score import WindowScorer
from curupira.pipelines.mine_images import MiningImages
from curupira.records import Acquisition

log = logs.get(__name__)

#: Probabilities kept of windows that several warnings share.
_KEPT = 4096


class MiningScores:
    """Scores warnings by the model that ``[mining]`` names.

    Windows lie on one lattice over the area, so a warning's score is a function of its outline and
    of the acquisition that confirmed it (before that, founded it), whatever else is scored.

    Raises
    ------
    ConfigError, InputError
        If the model cannot be used.
    """

    def __init__(self, workspace: Workspace) -> None:
        options = workspace.monitor.mining
        self.scorer = WindowScorer(workspace.path(options.model))
        self.images = MiningImages(workspace, self.scorer)
        self.reach_m = options.neighbourhood_m
        self._window = lru_cache(maxsize=_KEPT)(self._score)
        self._image: tuple[str, RadarScene] | None = None

    def score(
        self, geometry: BaseGeometry, acquisition: Acquisition, known: Sequence[Acquisition]
    ) -> float | None:
        """Highest probability of the windows at a warning.

        Parameters
        ----------
        geometry
            The warning's outline in the grid's CRS.
        acquisition
            Whose image is looked at.
        known
            The store's acquisitions, for models that look at several dates.

        Returns
        -------
        Probability, or None where the image has too little there, cannot be read any more, or there
        are too few dates.
        """
        try:
            image = self._image_of(acquisition, known)
            found = [self._window(image, row, column) for row, column in self._windows(geometry)]
        except (InputError, SourceError) as error:
            # A warning is worth more than its score: an image gone since then costs the score only.
            name = acquisition.acquisition_id
            log.warning("no mining score", acquisition=name, reason=str(error))
            return None
        valid = [p for p in found if not math.isnan(p)]
        return max(valid) if valid else None

    def _image_of(self, acquisition: Acquisition, known: Sequence[Acquisition]) -> RadarScene:
        key = acquisition.acquisition_id
        if self._image is None or self._image[0] != key:
            # Scenes may have come late or anew: nothing is kept from one image to the next.
            self._window.cache_clear()
            self._image = (key, self.images.image(acquisition, known))
        return self._image[1]

    def _score(self, image: RadarScene, row: int, column: int) -> float:
        return self.scorer.probability(image, row, column)

    def _windows(self, geometry: BaseGeometry) -> list[tuple[int, int]]:
        """First pixels of the windows whose middle square meets the neighbourhood."""
        grid, params = self.images.grid, self.scorer.params
        stride, size = params.classify.stride_px, params.patches.size_px
        step, half = stride * params.patches.pixel_m, stride * params.patches.pixel_m / 2
        wanted = geometry.buffer(self.reach_m)
        west, south, east, north = wanted.bounds
        box = grid.boundingbox
        # Middles of windows lie at (n * stride + size / 2) pixels from the grid's first.
        offset = size * params.patches.pixel_m / 2
        columns = _range(west - box.left - offset, east - box.left - offset, step)
        rows = _range(box.top - north - offset, box.top - south - offset, step)
        found = []
        for row in rows:
            for column in columns:
                x, y = box.left + offset + column * step, box.top - offset - row * step
                square = shapely.box(x - half, y - half, x + half, y + half)
                if square.intersects(wanted):
                    found.append((row * stride, column * stride))
        height, width = grid.shape
        return [(r, c) for r, c in found if 0 <= r <= height - size and 0 <= c <= width - size]


def _range(low: float, high: float, step: float) -> range:
    return range(int(np.floor(low / step)), int(np.ceil(high / step)) + 1)
