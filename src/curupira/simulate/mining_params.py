"""Numbers of the simulated land around real mines, as ``mining_region.toml`` says them."""

from __future__ import annotations

import tomllib
from datetime import date
from importlib import resources
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

Pair = tuple[float, float]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ForestLand(_Section):
    """Levels and spreads of forest (dB)."""

    level_db: Pair
    type_db: float = Field(ge=0)
    texture_db: float = Field(ge=0)
    date_sd_db: float = Field(ge=0)
    incidence_deg: float = Field(gt=10, lt=60)


class MineLand(_Section):
    """What a mine is made of and how it lies."""

    parts: dict[str, float]
    bare_db: Pair
    pond_db: Pair
    spoil_db: Pair
    between_db: float = Field(ge=0)
    share_sd_ln: float = Field(ge=0)
    patch_sd_ln: float = Field(ge=0)
    patch_px: int = Field(ge=8)
    fresh: Pair
    old: Pair
    dry_ponds: float = Field(ge=0, le=1)
    flooded_bare: float = Field(ge=0, le=1)
    reach_m: float = Field(gt=0)
    stream_sigma_px: float = Field(gt=3)


class CoverLand(_Section):
    """Levels of what can be taken for a mine, and their change over the year."""

    stream_db: Pair
    river_db: Pair
    sandbar_db: Pair
    pasture_db: Pair
    burnt_db: Pair
    fish_pond_db: Pair
    secondary_db: Pair
    open_db: Pair
    meadow_db: Pair
    flooded_db: Pair
    between_db: float = Field(ge=0)
    season_db: float = Field(ge=0)
    wet_soil_db: Pair
    wet_chance: Pair
    wind_sd_db: float = Field(ge=0)
    burnt_days: int = Field(ge=0)


class Region(_Section):
    """How much of what a region has."""

    mined_share: float = Field(gt=0, lt=1)
    new_share: float = Field(ge=0, le=1)
    relief_m: float = Field(ge=0)
    rivers: float = Field(ge=0)
    sandbar_share: float = Field(ge=0, le=1)
    pasture_share: float = Field(ge=0, le=0.5)
    burnt_share: float = Field(ge=0, le=1)
    ponds: float = Field(ge=0)
    secondary_share: float = Field(ge=0, le=0.5)
    open_share: float = Field(ge=0, le=0.5)
    meadow_share: float = Field(ge=0, le=0.5)
    driest_day: int = Field(ge=1, le=366)


class MiningLand(_Section):
    """All numbers of ``mining_region.toml``."""

    dates: list[date]
    test_date: date
    pixel_m: float = Field(gt=0)
    forest: ForestLand
    mine: MineLand
    cover: CoverLand
    region: dict[str, Region]


def load_mining_land(**changes: dict[str, Any]) -> MiningLand:
    """The numbers of the package; a variant changes options of a section, e.g. ``mine={...}``."""
    source = resources.files("curupira") / "simulate" / "mining_region.toml"
    document = tomllib.loads(source.read_text(encoding="utf-8"))
    for name, section in changes.items():
        document[name] = {**document[name], **section}
    return MiningLand.model_validate(document)
