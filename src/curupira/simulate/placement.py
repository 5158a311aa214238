"""Where disturbances lie: sizes, distances to deforestation, outlines that do not touch. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from scipy.stats import norm
from shapely import affinity
from shapely.geometry import Polygon

from curupira.simulate.landscape import Landscape, burn
from curupira.simulate.params import EventsWorld
from curupira.simulate.shapes import SQUARE_M_PER_HA, outline

Floats = npt.NDArray[np.float64]

#: Tries in a widening band of distances before a disturbance is given up.
_TRIES = 240


@dataclass(frozen=True, slots=True)
class Place:
    """Outline of a disturbance (grid CRS) and the median distance of its pixels."""

    geometry: Polygon
    distance_m: float


def even_ranks(count: int, rng: np.random.Generator) -> Floats:
    """Ranks in (0, 1), one in each of ``count`` equal steps, in random order."""
    ranks = (np.arange(count) + rng.uniform(0.02, 0.98, count)) / max(count, 1)
    return np.asarray(rng.permutation(ranks))


def area_quantile(ranks: Floats, p: EventsWorld) -> Floats:
    """Areas (ha) at the given ranks of the two-part lognormal mixture."""
    grid_ln = np.linspace(np.log(p.area_range_ha[0]), np.log(p.area_range_ha[1]), 2000)
    share = p.small_share * norm.cdf((grid_ln - np.log(p.small_median_ha)) / p.area_sd_ln)
    share += (1 - p.small_share) * norm.cdf((grid_ln - np.log(p.large_median_ha)) / p.area_sd_ln)
    return np.asarray(np.exp(np.interp(ranks, share, grid_ln)))


def distance_quantile(ranks: Floats, p: EventsWorld, maximum_m: float) -> Floats:
    """Distances (m) at the given ranks of the logistic law, cut to what the district has."""
    low, high = (
        1 / (1 + np.exp(-(np.log10(d) - p.distance_mu) / p.distance_s))
        for d in (p.distance_min_m, max(maximum_m, 2 * p.distance_min_m))
    )
    inner = low + ranks * (high - low)
    return np.asarray(10 ** (p.distance_mu + p.distance_s * np.log(inner / (1 - inner))))


def pair_distances(areas: Floats, distances: Floats, rng: np.random.Generator) -> Floats:
    """Give every disturbance a distance, large ones none that they would not fit in.

    The set of distances stays as it is, so the distance law holds whatever the sizes are.
    """
    pool = list(np.sort(distances))
    paired = np.empty(areas.size)
    for i in np.argsort(-areas, kind="stable"):
        need = 0.45 * np.sqrt(areas[i] * SQUARE_M_PER_HA)
        first = int(np.searchsorted(pool, need))
        pick = int(rng.integers(first, len(pool))) if first < len(pool) else len(pool) - 1
        paired[i] = pool.pop(pick)
    return paired


class Placer:
    """Puts outlines on free forest at asked distances, and remembers what is taken.

    Parameters
    ----------
    landscape
        The district.
    p
        Numbers of the disturbances.
    allowed
        ``(y, x)`` where disturbances may lie.
    rng
        Source of the places.
    """

    def __init__(
        self,
        landscape: Landscape,
        p: EventsWorld,
        allowed: npt.NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> None:
        self._landscape = landscape
        self._p = p
        self._rng = rng
        self.taken = ~allowed
        places = np.flatnonzero(allowed)
        if places.size > 500_000:
            places = np.sort(rng.choice(places, 500_000, replace=False))
        distances = landscape.distance_m.ravel()[places]
        order = np.argsort(distances, kind="stable")
        self._places, self._distances = places[order], distances[order]

    @property
    def maximum_m(self) -> float:
        """Largest distance on offer, but for a few pixels."""
        if self._distances.size == 0:
            return 0.0
        return float(self._distances[int(0.995 * (self._distances.size - 1))])

    def place(self, kind: str, area_ha: float, distance_m: float) -> Place | None:
        """Put an outline of a kind (``shapes.outline``); None where there is no room at all."""
        shape = outline(kind, area_ha, self._landscape.direction_deg, self._rng)
        for attempt in range(_TRIES):
            # From a tenth around the distance to anything at all.
            slack = 1.1 * 1.03 ** max(0, attempt - 40)
            low = int(np.searchsorted(self._distances, distance_m / slack))
            high = int(np.searchsorted(self._distances, distance_m * slack))
            if high <= low:
                continue
            pixel = int(self._places[int(self._rng.integers(low, high))])
            found = self._try(shape, pixel)
            if found is not None:
                return found
            if attempt % 20 == 19:
                shape = outline(kind, area_ha, self._landscape.direction_deg, self._rng)
        return None

    def _try(self, shape: Polygon, pixel: int) -> Place | None:
        grid = self._landscape.grid
        row, column = divmod(pixel, self._landscape.shape[1])
        step = grid.affine.a
        x = grid.affine.c + (column + 0.5) * step
        y = grid.affine.f - (row + 0.5) * step
        placed = affinity.translate(shape, x, y)
        if not shapely.contains_properly(grid.extent.geom, placed):
            return None
        window, mask = burn(placed, grid)
        if not mask.any() or self.taken[window.slices][mask].any():
            return None
        around, wide = burn(placed.buffer(self._p.gap_m), grid)
        distance = float(np.median(self._landscape.distance_m[window.slices][mask]))
        self.taken[around.slices] |= wide
        return Place(placed, distance)
