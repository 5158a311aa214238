"""The ``[source]`` section of ``monitor.toml``: where images come from and what they hold."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from curupira.errors import ConfigError
from curupira.stac import platform_name

Polarisation = Literal["vh", "vv"]


class SourceParams(BaseModel):
    """Catalogue, meaning of its images, and which of them are used."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: Literal["static"] = Field(
        "static", description="Kind of source. static: a STAC catalogue of files."
    )
    catalogue: str = Field(
        "catalogue/catalog.json",
        min_length=1,
        description="STAC catalogue: a path relative to this file, or a URL. "
        "'curupira source index DIR' makes one from a folder of GeoTIFFs.",
    )
    radiometry: Literal["gamma0", "sigma0"] = Field(
        "gamma0",
        description="What the images hold. sigma0 needs asset_lia: gamma0 = sigma0 / cos(LIA).",
    )
    scale: Literal["linear", "db"] = Field(
        "linear", description="Scale of the images: linear power, or db = 10 log10 of it."
    )
    asset_vh: str = Field("vh", description="Asset key of VH; empty: absent.")
    asset_vv: str = Field("vv", description="Asset key of VV; empty: absent.")
    asset_lia: str = Field(
        "", description="Asset key of the local incidence angle (degrees); empty: absent."
    )
    asset_angle: str = Field(
        "", description="Asset key of the ellipsoid incidence angle (degrees); empty: absent."
    )
    select_by: Literal["acquisition", "ingestion"] = Field(
        "acquisition",
        description="Date that selects images: acquired, or published by the provider "
        "(method.md 1A step 1).",
    )
    late_months: int = Field(
        2,
        ge=0,
        le=120,
        description="With select_by ingestion: images acquired more than this many months "
        "(0 to 120) before the first day asked for are dropped (method.md 1A step 1).",
    )
    orbit_state: Literal["any", "descending", "ascending"] = Field(
        "any", description="Passes to use. DETER-R used descending ones only."
    )
    platforms: tuple[str, ...] = Field(
        (), description='Satellites to use, such as ["sentinel-1a"]; empty: all.'
    )
    polarisations: tuple[Polarisation, ...] = Field(
        ("vh",), min_length=1, description="Polarisations that a scene must have."
    )

    @field_validator("platforms")
    @classmethod
    def _canonical(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(platform_name(name) for name in names)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for band in self.required:
            if band not in self.assets:
                raise ConfigError(
                    f"asset_{band} is empty but band {band} is needed"
                    + (" for gamma0 = sigma0 / cos(LIA)" if band == "lia" else ""),
                    where=f"[source] asset_{band}",
                    remedy="name the asset that holds it"
                    + (', or write radiometry = "gamma0" if it is' if band == "lia" else ""),
                )
        return self

    @property
    def assets(self) -> dict[str, str]:
        """Band to asset key, without the absent ones."""
        keys = {
            "vh": self.asset_vh,
            "vv": self.asset_vv,
            "lia": self.asset_lia,
            "angle": self.asset_angle,
        }
        return {band: key for band, key in keys.items() if key}

    @property
    def required(self) -> tuple[str, ...]:
        """Bands that a scene must have."""
        lia = ("lia",) if self.radiometry == "sigma0" else ()
        return (*self.polarisations, *lia)
