"""Sections of a monitor file: [serve], how the web application is shown and to whom; [mining]."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_PLACE: dict[str, Any] = {"place": True}


class ServeParams(BaseModel):
    """How ``curupira serve`` works."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    public: bool = Field(
        True, description="Anyone may read features, tiles and map; writing always needs a login"
    )
    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8000, ge=1, le=65535, description="Port to listen on")
    language: Literal["pt", "en", "es"] = Field(
        "pt", description="Language of a first visit that asks for none"
    )
    plan: Literal["deter_r", "deter_rt", "stratified"] = Field(
        "deter_r", description="Sampling plan of the daily validation"
    )
    blind_share: float = Field(
        0.1, ge=0, le=1, description="Share of the sample with a blind second vote"
    )
    optical_alerts: str = Field(
        "",
        description='Vector file of optical alerts for the automatic validation; "" = none',
        json_schema_extra=_PLACE,
    )
    optical_stac: str = Field(
        "",
        description="STAC API, or catalogue file, of optical images that are offered beside the "
        'radar, with {NAME} for a key in the environment variable NAME; "" = none',
        json_schema_extra=_PLACE,
    )
    optical_collections: tuple[str, ...] = Field(
        ("sentinel-2-l2a",), description="Collections of optical_stac; none = all"
    )
    optical_asset: str = Field(
        "visual", description="Asset with the true colours in 8 bits, as a COG"
    )
    optical_cloud: float = Field(
        40.0, ge=0, le=100, description="Most cloud over an optical image, percent"
    )
    optical_token_url: str = Field(
        "",
        description="Service that signs the addresses of optical images (Planetary Computer: "
        'https://planetarycomputer.microsoft.com/api/sas/v1/token); "" = none',
        json_schema_extra=_PLACE,
    )
    optical_token_hosts: tuple[str, ...] = Field(
        (".blob.core.windows.net",),
        description="Hosts whose images are signed; a leading dot means every host below",
        json_schema_extra=_PLACE,
    )
    layers: dict[str, str] = Field(
        {},
        description="Map layers by title: XYZ templates with {z}, {x}, {y}, and {NAME} for a key "
        "in the environment variable NAME; fetched by the server, so that keys stay there",
        json_schema_extra=_PLACE,
    )
    sensitive_layers: tuple[str, ...] = Field(
        (), description="Layers of [area] that are shown only to people who are logged in"
    )
    sensitive_places: tuple[str, ...] = Field(
        (), description="Territories of which the warnings are shown only to people logged in"
    )
    stale_days: int = Field(
        14, ge=1, description="Days without a new scene after which the map says so"
    )
    session_hours: int = Field(12, ge=1, le=720, description="Hours that a login lasts")
    login_tries: int = Field(
        5, ge=1, le=100, description="Failed logins of a name or address in 15 minutes, then a wait"
    )
    secure_cookie: bool = Field(
        False, description="Send the session cookie over https only: set it behind a proxy"
    )


class MiningParams(BaseModel):
    """Which warnings look like mines."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(
        "",
        description='Model folder of "curupira mining train"; "" = warnings get no mining_score',
        json_schema_extra=_PLACE,
    )
    streams: str = Field(
        "",
        description='Lines of streams, for a model that looks at their distance; "" = none',
        json_schema_extra=_PLACE,
    )
    dem: str = Field(
        "",
        description='Raster of heights, for a model that looks at slope or height; "" = none',
        json_schema_extra=_PLACE,
    )
    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Probability above which `mining classify -w` makes a square a candidate; left "
        "out: the model's own",
        examples=[0.82],
    )
    neighbourhood_m: float = Field(
        260.0,
        ge=0,
        le=10_000,
        description="A warning's mining_score is the highest probability so near to it, metres",
    )
