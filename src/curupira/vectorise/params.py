"""Parameters of the preset sections that turn flagged pixels into polygons."""

from __future__ import annotations

from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pyproj import CRS
from pyproj.exceptions import CRSError

from curupira.errors import ConfigError
from curupira.presets import Preset
from curupira.rules import ConfirmParams
from curupira.vectorise.confidence import ConfidenceParams

FlagDay = Literal["mode", "earliest", "median"]
#: Value of ``area_crs`` that asks for the area on the ellipsoid.
GEODESIC = "geodesic"
# Strict: a number in quotes is a mistake, not a number.
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
_M = TypeVar("_M", bound=BaseModel)


class MorphologyParams(BaseModel):
    """Section ``[morphology]``."""

    model_config = _STRICT

    opening_radius: int = Field(
        ge=0,
        le=10,
        description="Radius of the opening's square (1: 3x3), pixels; 0: none. "
        "The scripts use 1 (method.md 1A step 12).",
    )
    closing_radius: int = Field(
        ge=0,
        le=10,
        description="Radius of the closing's circle (1: 4 neighbours), pixels; 0: none. "
        "The scripts use 1, their config says 3 (method.md 1B row 13).",
    )


class PolygonParams(BaseModel):
    """Section ``[polygon]``."""

    model_config = _STRICT

    connectivity: Literal[4, 8] = Field(
        description="Neighbours that join pixels to a polygon; the scripts use 4 since 2021-04-30 "
        "(method.md 1B row 14)."
    )
    pre_removal_ha: float = Field(
        ge=0,
        le=100,
        description="Components of int(this / pixel area) pixels or fewer are dropped before "
        "vectorising, ha (method.md 1A step 13).",
    )
    minimum_area_ha: float = Field(
        ge=0,
        le=100,
        description="Polygons must be larger than this by area_crs, ha, strict "
        "(method.md 1A step 14).",
    )
    area_crs: str = Field(
        description='Projected CRS in metres in which area_ha is measured, or "geodesic"; the '
        "scripts use EPSG:5880, which is not equal-area (method.md 1B row 15)."
    )
    flag_day: FlagDay = Field(
        description="A polygon's first flagged day from its pixels' (method.md 1B row 12)."
    )

    @field_validator("area_crs")
    @classmethod
    def _measurable(cls, value: str) -> str:
        if value == GEODESIC:
            return value
        try:
            crs = CRS.from_user_input(value)
        except CRSError as error:
            raise ValueError(f'unknown CRS {value!r}; use "EPSG:5880" or "{GEODESIC}"') from error
        if not crs.is_projected or crs.axis_info[0].unit_conversion_factor != 1:
            raise ValueError(f'{value!r} is not in metres; use "EPSG:5880" or "{GEODESIC}"')
        return value


class VectoriseParams(BaseModel):
    """Everything of a preset that decides which polygons there are, and what they are called."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    morphology: MorphologyParams
    polygon: PolygonParams
    confirm: ConfirmParams
    confidence: ConfidenceParams

    @classmethod
    def from_preset(cls, preset: Preset) -> VectoriseParams:
        """Read and check the sections morphology, polygon, confirm and confidence.

        Raises
        ------
        ConfigError
            If a section or key is missing, unknown, or out of bounds.
        """
        return cls(
            morphology=_read(MorphologyParams, preset, "morphology"),
            polygon=_read(PolygonParams, preset, "polygon"),
            confirm=_read(ConfirmParams, preset, "confirm"),
            confidence=_read(ConfidenceParams, preset, "confidence"),
        )


def _read(model: type[_M], preset: Preset, section: str) -> _M:
    try:
        return model.model_validate(dict(preset.section(section)))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        found = "" if first["type"] == "missing" else f" (got {first['input']!r})"
        field = model.model_fields.get(key)
        known = f"[{section}] has {', '.join(model.model_fields)}"
        raise ConfigError(
            f"[{section}] {key}: {first['msg']}{found}",
            where=f"preset {preset.name}",
            remedy=field.description if field else known,
        ) from error
