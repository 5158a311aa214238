"""Section [algorithm] of a monitor file: how is detected, and from when on."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict, Field

from curupira import presets


class AlgorithmParams(BaseModel):
    """How disturbance is detected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str = Field(
        presets.DEFAULT,
        description="Preset name, or path of a .toml preset; deter_r is the published method",
        json_schema_extra={"place": True},
    )
    monitor_since: date = Field(
        date(2020, 1, 1), description="Acquisitions before this day are only learned from"
    )
    frozen_days: int = Field(
        0,
        ge=0,
        le=366,
        description="Frozen mode, a deviation: days that season, common speckle factor and"
        " reference level are kept before they are found anew; 0 = anew for every image",
    )
    override: dict[str, str | bool | int | float] = Field(
        {}, description='Preset options changed for this area, e.g. { season = "none" }'
    )
