"""Backscatter of a district at every pass: what an image holds, row by row. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from curupira.codes import OrbitState
from curupira.simulate.events import Days, Event
from curupira.simulate.fields import Field32, gaussian_field
from curupira.simulate.landscape import FOREST, CoverTable, Landscape, burn
from curupira.simulate.params import District, RainWorld, SequenceWorld, World
from curupira.simulate.scenes import Pass
from curupira.simulate.speckle import SpeckleBank

Ints = npt.NDArray[np.int32]

_OPEN_WATER = ("river",)
#: Onset of a pixel that no event ever reaches.
NEVER = np.int16(32767)
_FOREST_ANGLE_DB_PER_DEG = -0.02
_REFERENCE_DEG = 38.0


@dataclass(frozen=True)
class EventRaster:
    """Which event (its number, 0 none) reaches a pixel, and on which day. ``(y, x)``."""

    event: Ints
    onset_days: npt.NDArray[np.int16]


def burn_events(landscape: Landscape, events: list[Event], seed: District) -> EventRaster:
    """Paint the events on the grid; each grows as a front across its outline."""
    event = np.zeros(landscape.shape, dtype=np.int32)
    onset = np.full(landscape.shape, NEVER, dtype=np.int16)
    for item in events:
        if item.place is None:
            continue
        window, mask = burn(item.place.geometry, landscape.grid)
        rows, columns = np.nonzero(mask)
        heading = seed.rng("front", item.event_id).uniform(0, 2 * np.pi)
        along = rows * np.sin(heading) + columns * np.cos(heading)
        rank = np.argsort(np.argsort(along, kind="stable"), kind="stable") / max(along.size, 1)
        days = np.ceil(item.start_days + rank * item.growth_days)
        event[window.slices][rows, columns] = item.event_id
        onset[window.slices][rows, columns] = np.minimum(days, NEVER - 1).astype(np.int16)
    return EventRaster(event, onset)


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
    season = np.cos(2 * np.pi * (day - peak) / 365.25)
    base_vh = district.draw("forest vh", p.vh_db)
    base_vv = base_vh + district.draw("forest vv - vh", p.vv_minus_vh_db)
    swing = district.draw("forest season", p.season_db)
    sd = abs(district.draw("forest date sd", p.date_sd_db))
    shared = np.array([district.rng("date", q.index).normal(0, sd) for q in passes])
    tilt = _angles(world, district, passes) - _REFERENCE_DEG
    vh = np.empty((count, dates), dtype=np.float32)
    vv = np.empty((count, dates), dtype=np.float32)
    vh[FOREST] = base_vh + swing * season + shared + _FOREST_ANGLE_DB_PER_DEG * tilt
    vv[FOREST] = base_vv + swing * season + shared + _FOREST_ANGLE_DB_PER_DEG * tilt
    for number in range(1, count):
        own = getattr(world.covers, covers.kind[number])
        rng = district.rng("cover dates", number)
        noise = own.date_sd_db * rng.standard_normal(dates)
        change = own.season_db * season + noise + shared + own.angle_db_per_deg * tilt
        vh[number] = covers.vh_db[number] + change
        vv[number] = (
            covers.vv_db[number] + change + 0.3 * own.date_sd_db * rng.standard_normal(dates)
        )
    moist = np.array([kind not in _OPEN_WATER for kind in covers.kind], dtype=np.float32)
    return CoverLevels(vh, vv, moist)


def _angles(world: World, district: District, passes: list[Pass]) -> Days:
    spread = world.acquisition.incidence_deg
    return np.array(
        [district.draw(f"incidence {q.relative_orbit}", spread) for q in passes], dtype=np.float64
    )


def rain_share(p: RainWorld, sequence: SequenceWorld, scene: Pass) -> float:
    """Chance that an image of the district holds rain cells, by season and pass."""
    rainy = scene.acquired.month in sequence.rainy_months
    share = p.image_share_rainy if rainy else p.image_share_dry
    if scene.orbit_state is OrbitState.ASCENDING:
        share *= p.ascending_factor
    return min(1.0, share)


class Renderer:
    """Computes the images of a district.

    Every number depends on the district's seed, the image and the pixel alone, so that any cut
    into rows gives the same image.

    Parameters
    ----------
    world, district
        The scenario and its draws.
    landscape, events, passes
        What there is, what happens, and when it is seen.
    """

    def __init__(
        self,
        world: World,
        district: District,
        landscape: Landscape,
        events: list[Event],
        passes: list[Pass],
    ) -> None:
        self._world = world
        self._district = district
        self._passes = passes
        self._shape = landscape.shape
        self._cover = landscape.cover
        self._texture = landscape.texture_db
        self._levels = cover_levels(world, district, landscape.covers, passes)
        self.raster = burn_events(landscape, events, district)
        self._drop_vh = _drops([e.vh_drop_db for e in events], len(passes))
        self._drop_vv = _drops([e.vv_drop_db for e in events], len(passes))
        self._speckle = SpeckleBank(world.speckle, district.seed)
        self._step = max(1, round(world.place.coarse_m / world.place.resolution_m))
        self._coarse = tuple(n // self._step + 2 for n in self._shape)
        p = world.forest
        spread = gaussian_field(
            (self._coarse[0], self._coarse[1]),
            p.local_scale_m / world.place.coarse_m,
            district.rng("local sd"),
        )
        self._local_sd = np.exp(np.float32(p.local_sd_ln) * spread)
        self._moisture_sd = abs(district.draw("moisture sd", p.moisture_sd_db))
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
        scene, p = self._passes[position], self._world.rain
        rng = self._district.rng("rain", scene.index)
        loss = np.zeros(self._coarse, dtype=np.float32)
        if rng.random() >= rain_share(p, self._world.sequence, scene):
            return loss
        coarse_m = self._world.place.coarse_m
        y, x = np.ogrid[: self._coarse[0], : self._coarse[1]]
        for _ in range(int(rng.integers(p.cells[0], p.cells[1] + 1))):
            radius = rng.uniform(*p.radius_m) / coarse_m
            # Cells that only touch the district count as well.
            centre_y, centre_x = (
                rng.uniform(-0.7 * radius, n + 0.7 * radius) for n in self._coarse
            )
            peak = float(np.exp(rng.uniform(*np.log(p.peak_db))))
            far = ((y - centre_y) ** 2 + (x - centre_x) ** 2) / radius**2
            # Flat within, an edge of about a third of the radius.
            loss += (peak / (1 + np.exp(np.minimum((np.sqrt(far) - 1) * 9, 50)))).astype(np.float32)
        return loss

    def moisture_db(self, position: int) -> Field32:
        """Patches of moisture in the image at a position of ``passes``: dB, coarse ``(y, x)``."""
        scene, p = self._passes[position], self._world.forest
        total = np.zeros(self._coarse, dtype=np.float32)
        for number, scale in enumerate(p.moisture_scales_m):
            total += gaussian_field(
                (self._coarse[0], self._coarse[1]),
                scale / self._world.place.coarse_m,
                self._district.rng("moisture", scene.index, number),
            )
        total *= np.float32(self._moisture_sd / np.sqrt(len(p.moisture_scales_m)))
        return np.asarray(total * self._local_sd, dtype=np.float32)

    def image(self, position: int, rows: int = 512) -> tuple[Field32, Field32]:
        """VH and VV of the image at a position of ``passes``: gamma0, linear, ``(y, x)``.

        Parameters
        ----------
        position
            Index into the passes.
        rows
            Rows computed at a time; the result does not depend on it.
        """
        rain, moisture = self.rain_db(position), self.moisture_db(position)
        scene = self._passes[position]
        day = np.float32((scene.day - self._world.place.first_day).days)
        bands = []
        for band, (levels, drops) in enumerate(
            ((self._levels.vh_db, self._drop_vh), (self._levels.vv_db, self._drop_vv))
        ):
            out = np.empty(self._shape, dtype=np.float32)
            for y0 in range(0, self._shape[0], rows):
                y1 = min(y0 + rows, self._shape[0])
                block = self._speckle.rows(scene.index, band, self._shape, y0, y1)
                _paint(
                    block,
                    y0,
                    np.float32(1 / self._step),
                    self._cover[y0:y1],
                    self._texture[y0:y1],
                    self.raster.event[y0:y1],
                    self.raster.onset_days[y0:y1],
                    np.ascontiguousarray(levels[:, position]),
                    self._levels.moist,
                    np.ascontiguousarray(drops[:, position]),
                    moisture,
                    rain,
                    day,
                    self._floor[band],
                )
                out[y0:y1] = block
            bands.append(rounded(out))
        return bands[0], bands[1]


def _drops(series: list[Field32], dates: int) -> Field32:
    table = np.zeros((len(series) + 1, dates), dtype=np.float32)
    for number, values in enumerate(series, start=1):
        table[number] = np.nan_to_num(values)
    return table


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
    texture: Field32,
    event: Ints,
    onset: npt.NDArray[np.int16],
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
            db = level[number] + texture[y, x] + moist[number] * wet - loss
            if event[y, x] > 0 and onset[y, x] <= day:
                db -= drop[event[y, x]]
            image[y, x] *= np.exp(db * to_nepers) + floor
