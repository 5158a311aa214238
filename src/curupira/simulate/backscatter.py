"""Backscatter of a district at every pass: what an image holds, row by row. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from curupira.simulate.fields import Field32
from curupira.simulate.landscape import FOREST, CoverTable, Landscape
from curupira.simulate.params import District, World
from curupira.simulate.patches import Patches
from curupira.simulate.scenes import Pass
from curupira.simulate.sequences import correlated
from curupira.simulate.speckle import SpeckleBank
from curupira.simulate.views import View, incidence_deg
from curupira.simulate.weather import (
    border_noise,
    local_season,
    local_spread,
    moisture_db,
    rain_db,
    season_db,
)

Ints = npt.NDArray[np.int32]

_OPEN_WATER = ("river", "pond")
_FOREST_ANGLE_DB_PER_DEG = -0.02
_REFERENCE_DEG = 38.0


@dataclass(frozen=True)
class CoverLevels:
    """Level of every cover at every pass, dB ``(cover, pass)``; forest without its texture."""

    vh_db: Field32
    vv_db: Field32
    moist: Field32


def cover_levels(
    world: World, district: District, covers: CoverTable, passes: list[Pass]
) -> CoverLevels:
    """Means, seasons, and each patch's own deviations from date to date."""
    p = world.forest
    count, dates = len(covers.kind), len(passes)
    day = np.array([q.acquired.timetuple().tm_yday for q in passes], dtype=np.float64)
    peak = district.draw("season peak", p.season_peak_day)
    season = _season(day - peak)
    base_vh = district.draw("forest vh", p.vh_db)
    base_vv = base_vh + district.draw("forest vv - vh", p.vv_minus_vh_db)
    swing = district.draw("forest season", p.season_db)
    sd = abs(district.draw("forest date sd", p.date_sd_db))
    days = np.array([(q.day - passes[0].day).days for q in passes], dtype=np.float64)
    shared = sd * correlated(days, p.date_correlation_days, district.rng("dates"))
    tilt = np.array([incidence_deg(world, district, q.relative_orbit) for q in passes])
    tilt -= _REFERENCE_DEG
    vh = np.empty((count, dates), dtype=np.float32)
    vv = np.empty((count, dates), dtype=np.float32)
    vh[FOREST] = base_vh + swing * season + shared + _FOREST_ANGLE_DB_PER_DEG * tilt
    vv[FOREST] = base_vv + swing * season + shared + _FOREST_ANGLE_DB_PER_DEG * tilt
    for number in range(1, count):
        own = getattr(world.covers, covers.kind[number])
        rng = district.rng("cover dates", number)
        noise = own.date_sd_db * rng.standard_normal(dates)
        change = (
            own.season_db * _season(day - peak - own.season_lag_days)
            + noise
            + shared
            + own.angle_db_per_deg * tilt
        )
        vh[number] = covers.vh_db[number] + change
        vv[number] = (
            covers.vv_db[number] + change + 0.3 * own.date_sd_db * rng.standard_normal(dates)
        )
    moist = np.array([kind not in _OPEN_WATER for kind in covers.kind], dtype=np.float32)
    return CoverLevels(vh, vv, moist)


def _season(days: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.cos(2 * np.pi * days / 365.25)


class Renderer:
    """Computes the images of a district.

    Every number depends on the district's seed, the image and the pixel alone, so that any cut
    into rows gives the same image.

    Parameters
    ----------
    world, district
        The scenario and its draws.
    landscape, patches
        What there is, and what happens.
    views, passes
        How and when it is seen.
    """

    def __init__(
        self,
        world: World,
        district: District,
        landscape: Landscape,
        patches: Patches,
        views: dict[int, View],
        passes: list[Pass],
    ) -> None:
        self._world = world
        self._district = district
        self._passes = passes
        self._shape = landscape.shape
        self._cover = landscape.cover
        self._patches = patches
        self._views = views
        self._levels = cover_levels(world, district, landscape.covers, passes)
        self._speckle = SpeckleBank(world.speckle, district.seed)
        self._step = max(1, round(world.place.coarse_m / world.place.resolution_m))
        self._coarse = (self._shape[0] // self._step + 2, self._shape[1] // self._step + 2)
        self._spread = local_spread(world, district, self._coarse)
        self._season = local_season(world, district, self._coarse)
        floors = (world.speckle.noise_floor_vh_db, world.speckle.noise_floor_vv_db)
        self._floor = [
            np.float32(10 ** (district.draw(f"floor {name}", spread) / 10))
            for name, spread in zip(("vh", "vv"), floors, strict=True)
        ]

    @property
    def coarse_step(self) -> int:
        """Pixels in one pixel of the rain and moisture fields."""
        return self._step

    def rain_db(self, position: int) -> Field32:
        """Two-way loss by rain in the image at a position of ``passes``: dB, coarse ``(y, x)``."""
        return rain_db(self._world, self._district, self._passes[position], self._coarse)

    def image(self, position: int, rows: int = 512) -> tuple[Field32, Field32]:
        """VH and VV of the image at a position of ``passes``: gamma0, linear, ``(y, x)``.

        Parameters
        ----------
        position
            Index into the passes.
        rows
            Rows computed at a time; the result does not depend on it.
        """
        fields = self._fields(position)
        return self._band(0, position, rows, *fields), self._band(1, position, rows, *fields)

    def vh(self, position: int) -> Field32:
        """VH alone, at half the cost: gamma0, linear, ``(y, x)``."""
        return self._band(0, position, 512, *self._fields(position))

    def _fields(self, position: int) -> tuple[Field32, Field32]:
        scene = self._passes[position]
        moisture = moisture_db(self._world, self._district, scene, self._spread)
        moisture += season_db(self._season, scene)
        return moisture, self.rain_db(position)

    def _band(
        self, band: int, position: int, rows: int, moisture: Field32, rain: Field32
    ) -> Field32:
        scene, patches = self._passes[position], self._patches
        view = self._views[scene.relative_orbit]
        levels = (self._levels.vh_db, self._levels.vv_db)[band]
        drops = (patches.vh_drop_db, patches.vv_drop_db)[band]
        out = np.empty(self._shape, dtype=np.float32)
        for y0 in range(0, self._shape[0], rows):
            y1 = min(y0 + rows, self._shape[0])
            block = self._speckle.rows(scene.index, band, self._shape, y0, y1)
            _paint(
                block,
                y0,
                np.float32(1 / self._step),
                self._cover[y0:y1],
                view.static_db[y0:y1],
                patches.patch[y0:y1],
                patches.onset_days[y0:y1],
                view.edge_db[y0:y1],
                np.ascontiguousarray(levels[:, position]),
                self._levels.moist,
                np.ascontiguousarray(drops[:, position]),
                moisture,
                rain,
                np.float32((scene.day - self._world.place.first_day).days),
                self._floor[band],
            )
            out[y0:y1] = block
        if view.seam is not None:
            out = border_noise(out, view.seam, self._world, self._district, scene)
        return rounded(out)


def rounded(power: Field32) -> Field32:
    """Keep 12 significant bits (0.001 dB): speckle has no more to say, and files halve."""
    bits = np.ascontiguousarray(power).view(np.uint32)
    return ((bits + np.uint32(0x800)) & np.uint32(0xFFFFF000)).view(np.float32)


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def _paint(
    image: Field32,
    y0: int,
    scale: np.float32,
    cover: Ints,
    static: Field32,
    patch: Ints,
    onset: npt.NDArray[np.int16],
    edge: Field32,
    level: Field32,
    moist: Field32,
    drop: Field32,
    moisture: Field32,
    rain: Field32,
    day: np.float32,
    floor: np.float32,
) -> None:
    # ``image`` comes in as speckle and leaves as gamma0.
    to_nepers = np.float32(np.log(10.0) / 10.0)
    one = np.float32(1.0)
    for y in range(image.shape[0]):
        fy = np.float32(y + y0) * scale
        cy = min(int(fy), moisture.shape[0] - 2)
        wy = fy - np.float32(cy)
        for x in range(image.shape[1]):
            fx = np.float32(x) * scale
            cx = min(int(fx), moisture.shape[1] - 2)
            wx = fx - np.float32(cx)
            a, b = (one - wy) * (one - wx), (one - wy) * wx
            c, d = wy * (one - wx), wy * wx
            wet = (
                a * moisture[cy, cx]
                + b * moisture[cy, cx + 1]
                + c * moisture[cy + 1, cx]
                + d * moisture[cy + 1, cx + 1]
            )
            loss = (
                a * rain[cy, cx]
                + b * rain[cy, cx + 1]
                + c * rain[cy + 1, cx]
                + d * rain[cy + 1, cx + 1]
            )
            number = cover[y, x]
            db = level[number] + static[y, x] + moist[number] * wet - loss
            if patch[y, x] > 0 and onset[y, x] <= day:
                db += edge[y, x] - drop[patch[y, x]]
            image[y, x] *= np.exp(db * to_nepers) + floor
