"""The simulated world's numbers: read from ``world.toml``, drawn once per district. Pure."""

from __future__ import annotations

import tomllib
import zlib
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from curupira.errors import ConfigError

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Range = tuple[float, float]

#: Scenario whose drawn numbers all move by one standard deviation in the harder direction.
SHIFTED = "shifted"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Spread(_Section):
    """A number that is drawn once per district from a normal distribution."""

    mean: float
    sd: float = Field(ge=0)
    harder: Literal[-1, 1] = Field(description="direction in which detection becomes harder")


class Place(_Section):
    """Where districts lie."""

    crs: str
    origin_x_m: float
    origin_y_m: float
    jitter_m: NotNegative
    resolution_m: Positive
    coarse_m: Positive
    first_day: date


class AcquisitionWorld(_Section):
    """Satellites, passes and the product clock."""

    minimum_monitored_revisits: int = Field(ge=1)
    missing_share: Share
    outage_days: NotNegative
    created_after_days: NotNegative
    late_share: Share
    late_max_days: NotNegative
    descending_utc: str
    ascending_utc: str
    platforms: tuple[str, ...] = Field(min_length=1)
    repeat_days: int = Field(ge=1)
    ascending: bool
    descending_orbit: int = Field(ge=1, le=175)
    ascending_orbit: int = Field(ge=1, le=175)
    slice_km: Positive
    heading_deg: float
    swath_km: Positive
    incidence_deg: Spread


class ForestWorld(_Section):
    """Backscatter of terra firme forest, in space and time (dB)."""

    vh_db: Spread
    vv_minus_vh_db: Spread
    texture_db: Spread
    texture_scale_m: Positive
    type_db: Spread
    type_scale_m: Positive
    season_db: Spread
    season_peak_day: Spread
    season_between_db: Spread
    season_scale_m: Positive
    date_sd_db: Spread
    date_correlation_days: Positive
    moisture_sd_db: Spread
    moisture_scales_m: tuple[float, ...] = Field(min_length=1)
    local_sd_ln: NotNegative
    local_scale_m: Positive


class SpeckleWorld(_Section):
    """Speckle and noise floor."""

    looks: tuple[float, ...] = Field(min_length=1)
    psf_sigma_px: Positive
    bank_px: int = Field(ge=64)
    tile_px: int = Field(ge=16)
    noise_floor_vh_db: Spread
    noise_floor_vv_db: Spread


class CoverWorld(_Section):
    """Backscatter of a cover that is not terra firme forest (dB)."""

    vh_db: Spread
    vv_db: Spread
    between_db: NotNegative
    season_db: NotNegative
    season_lag_days: float
    date_sd_db: NotNegative
    angle_db_per_deg: float


class CoversWorld(_Section):
    """All covers beside terra firme forest."""

    pasture: CoverWorld
    secondary: CoverWorld
    road: CoverWorld
    savanna: CoverWorld
    river: CoverWorld
    sandbar: CoverWorld
    pond: CoverWorld
    stream: CoverWorld
    flooded_forest: CoverWorld


class TerrainWorld(_Section):
    """Relief, and what of it is left in gamma0."""

    relief_m: Spread
    scale_m: Positive
    slope_leak: Spread


class WaterWorld(_Section):
    """Rivers, streams, floodplains."""

    river_width_m: Range
    stream_width_m: Range
    rivers_per_100km2: NotNegative
    streams_per_100km2: NotNegative
    floodplain_m: NotNegative
    river_probability: Share
    sandbars_per_km: NotNegative
    sandbar_m: Range
    ponds_per_km2: NotNegative
    pond_m: Range
    mask_finds_width_m: NotNegative


class SavannaWorld(_Section):
    """Natural clearings."""

    share: Spread
    scale_m: Positive
    mask_misses_share: Share


class RoadsWorld(_Section):
    """Roads and the old clearings along them."""

    spacing_m: Range
    width_m: Positive
    deforested_share: Spread
    lot_front_m: Range
    lot_depth_m: Range
    secondary_share: Share
    age_years: Range


class EventsWorld(_Section):
    """How many disturbances, how large, where, when."""

    per_km2_year: NotNegative
    minimum_large: int = Field(ge=0)
    large_ha: Positive
    guarantee_km: Positive
    clear_of_end_revisits: int = Field(ge=0)
    small_share: Share
    small_median_ha: Positive
    large_median_ha: Positive
    area_sd_ln: Positive
    area_range_ha: Range
    distance_mu: float
    distance_s: Positive
    distance_min_m: Positive
    shapes: Mapping[Literal["lot", "blob", "strip"], Share]
    gap_m: NotNegative
    month_weights: tuple[float, ...] = Field(min_length=12, max_length=12)
    growth_ha_per_day: Range
    degradation_share: Share
    degradation_drop_db: Range
    outside_mask_share: Share
    past_per_km2_year: NotNegative
    map_update_month: int = Field(ge=1, le=12)


class SequenceWorld(_Section):
    """The life of a clearing as the radar sees it."""

    prompt_share: Share
    prompt_days: Range
    slash_days_median: Positive
    slash_days_sd_ln: NotNegative
    slash_drop_db: Spread
    slash_between_db: NotNegative
    never_dark_share: Spread
    slash_date_sd_db: NotNegative
    dark_drop_db: Spread
    dark_sd_ln: NotNegative
    burning_pace: tuple[Positive, ...] = Field(min_length=12, max_length=12)
    second_share: Range
    second_days: NotNegative
    vv_ratio: Spread
    settled_days: Positive
    regrowth_days_median: Spread
    regrowth_days_sd_ln: NotNegative
    regrowth_shape: Positive
    regrowth_floor: float = Field(ge=-0.3, le=0.8)
    regrowth_floor_sd: NotNegative
    date_sd_db: Spread
    correlation_days: Positive
    wet_vh_db: Spread
    wet_vv_db: Spread
    wet_share_dry: Share
    wet_share_rainy: Share
    rainy_months: tuple[int, ...]


class MinesWorld(_Section):
    """Garimpo along streams."""

    per_100km2_year: NotNegative
    months: Range
    width_m: Range
    advance_m_per_month: Range
    bare_vh_db: float
    bare_vv_db: float
    pond_vh_db: float
    pond_vv_db: float
    spoil_vh_db: float
    spoil_vv_db: float
    parts: Mapping[str, Share]
    between_db: NotNegative
    regrowth_days: Positive


class RainWorld(_Section):
    """Rain cells at the moment of the pass."""

    image_share_dry: Share
    image_share_rainy: Share
    ascending_factor: Positive
    cells: tuple[int, int]
    radius_m: Range
    peak_db: Range
    mask_db: Positive


class EdgesWorld(_Section):
    """Shadow and layover of the forest wall."""

    enabled: bool
    height_m: Spread
    ragged_share: Share
    shadow_db: float
    layover_db: float


class BorderWorld(_Section):
    """Noise along the edges of a slice."""

    noise_share: Share
    width_m: Range
    level_db: float


class World(_Section):
    """Every number of the simulator (``world.toml``)."""

    place: Place
    acquisition: AcquisitionWorld
    forest: ForestWorld
    speckle: SpeckleWorld
    covers: CoversWorld
    terrain: TerrainWorld
    water: WaterWorld
    savanna: SavannaWorld
    roads: RoadsWorld
    events: EventsWorld
    sequence: SequenceWorld
    mines: MinesWorld
    rain: RainWorld
    edges: EdgesWorld
    border: BorderWorld


@cache
def _document() -> dict[str, Any]:
    source = resources.files("curupira") / "simulate" / "world.toml"
    return tomllib.loads(source.read_text(encoding="utf-8"))


def scenarios() -> list[str]:
    """Names of the scenarios that ``world.toml`` defines."""
    return sorted(_document()["scenario"])


def load_world(scenario: str = "default") -> World:
    """Read the world of a scenario.

    Raises
    ------
    ConfigError
        If there is no such scenario.
    """
    document = _document()
    if scenario not in document["scenario"]:
        raise ConfigError(
            f"no scenario {scenario!r}",
            where="--scenario",
            remedy=f"use one of {', '.join(scenarios())}",
        )
    sections = {name: dict(values) for name, values in document.items() if name != "scenario"}
    for name, changes in document["scenario"][scenario].items():
        sections[name] |= changes
    return World.model_validate(sections)


def generator(seed: int, *topic: str | int) -> np.random.Generator:
    """Random numbers of one topic: independent of every other topic and of the order of calls."""
    words = [zlib.crc32(t.encode()) if isinstance(t, str) else int(t) for t in topic]
    return np.random.default_rng([seed, *words])


class District:
    """Draws the numbers that a district has for itself.

    Parameters
    ----------
    seed
        Of the district.
    scenario
        ``shifted`` adds one standard deviation in the harder direction to every draw.
    """

    def __init__(self, seed: int, scenario: str) -> None:
        self.seed = seed
        self._shift = 1.0 if scenario == SHIFTED else 0.0

    def draw(self, name: str, spread: Spread) -> float:
        """Draw one number; the same name gives the same number."""
        z = generator(self.seed, "district", name).standard_normal()
        # Two sigma at most: a district is unusual, never absurd.
        return spread.mean + spread.sd * (float(np.clip(z, -2, 2)) + self._shift * spread.harder)

    def rng(self, *topic: str | int) -> np.random.Generator:
        """Random numbers of one topic of this district."""
        return generator(self.seed, *topic)
