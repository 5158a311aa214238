"""The ``[source]`` section of ``monitor.toml``: where images come from and what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from curupira.errors import ConfigError
from curupira.stac import is_remote, platform_name

Polarisation = Literal["vh", "vv"]
Profile = Literal["static", "pc-rtc", "pc-grd", "cdse-grd", "opera-rtc", "earthsearch-grd"]
Product = Literal["own", "rtc-planetary", "rtc-opera", "grd"]
Access = Literal["none", "sas", "bearer", "oidc", "s3"]

#: Keys that do not decide what the images hold: they stay out of the configuration's hash.
_HOW: dict[str, Any] = {"place": True}
_PC = "https://planetarycomputer.microsoft.com/api"
_PC_ACCESS = {
    "catalogue": f"{_PC}/stac/v1",
    "access": "sas",
    "token_url": f"{_PC}/sas/v1/token",
    "token_hosts": (".blob.core.windows.net",),
    # Its items state no time of publication.
    "clock_delay_hours": 24.0,
}

#: Keys that are the area's choice, whoever provides.
_AREAS_OWN = (
    "orbit_state",
    "platforms",
    "polarisations",
    "select_by",
    "late_months",
    "lookback_days",
    "dem",
    "geoid",
    "grd_radiometry",
    "orbit_folder",
    "orbit_url",
    "downloads",
    "requests_per_second",
    "timeout_s",
    "attempts",
)

#: What each profile sets (interfaces.md section 5); a key written in ``[source]`` wins.
PROFILES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "static": {},
        "pc-rtc": {
            **_PC_ACCESS,
            "collection": "sentinel-1-rtc",
            "product": "rtc-planetary",
            "read": "window",
        },
        "pc-grd": {**_PC_ACCESS, "collection": "sentinel-1-grd", "product": "grd"},
        "cdse-grd": {
            "catalogue": "https://stac.dataspace.copernicus.eu/v1",
            "collection": "sentinel-1-grd",
            "product": "grd",
            "access": "s3",
            "s3_endpoint": "https://eodata.dataspace.copernicus.eu",
            "s3_region": "default",
            "token_url": "https://identity.dataspace.copernicus.eu/auth/realms/CDSE/protocol/"
            "openid-connect/token",
            "token_hosts": (".dataspace.copernicus.eu",),
        },
        "earthsearch-grd": {
            "catalogue": "https://earth-search.aws.element84.com/v1",
            "collection": "sentinel-1-grd",
            "product": "grd",
            "access": "s3",
            "s3_region": "eu-central-1",
            "requester_pays": True,
            "token_hosts": (".amazonaws.com",),
        },
        "opera-rtc": {
            "catalogue": "https://cmr.earthdata.nasa.gov/stac/ASF",
            "collection": "OPERA_L2_RTC-S1_V1",
            "product": "rtc-opera",
            "asset_vh": "*_VH.tif",
            "asset_vv": "*_VV.tif",
            "access": "bearer",
            "token_hosts": (".earthdata.nasa.gov", ".earthdatacloud.nasa.gov", ".asf.alaska.edu"),
        },
    }
)


class SourceParams(BaseModel):
    """Catalogue, meaning of its images, and which of them are used."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: Profile = Field(
        "static",
        description="Kind of source, which sets the keys below that are not written here. "
        "static: a STAC catalogue of files; the others: a provider's STAC API.",
    )
    catalogue: str = Field(
        "catalogue/catalog.json",
        min_length=1,
        description="STAC catalogue: a path relative to this file, or a URL. "
        "'curupira source index DIR' makes one from a folder of GeoTIFFs.",
        json_schema_extra=_HOW,
    )
    collection: str = Field("", description="Collection of a STAC API; empty for static.")
    product: Product = Field(
        "own",
        description="Processing chain of the images. Two are never mixed in one baseline: "
        "a workspace keeps the first. grd: GRD products, which are processed with dem.",
    )
    radiometry: Literal["gamma0", "sigma0"] = Field(
        "gamma0",
        description="What the images hold. sigma0 needs asset_lia: gamma0 = sigma0 / cos(LIA).",
    )
    scale: Literal["linear", "db"] = Field(
        "linear", description="Scale of the images: linear power, or db = 10 log10 of it."
    )
    asset_vh: str = Field(
        "vh",
        description="Asset key of VH, or a pattern of its file's name (*_VH.tif); empty: absent. "
        "Of an L-band sensor name HV here: it is the band that detects.",
    )
    asset_vv: str = Field(
        "vv", description="Asset key of VV (HH of an L-band sensor), or a pattern; empty: absent."
    )
    asset_lia: str = Field(
        "", description="Asset key of the local incidence angle (degrees); empty: absent."
    )
    asset_angle: str = Field(
        "", description="Asset key of the ellipsoid incidence angle (degrees); empty: absent."
    )
    select_by: Literal["acquisition", "ingestion"] = Field(
        "acquisition",
        description="Date that a search by day means: acquired, or published by the provider "
        "(method.md 1A step 1). Either way a run takes in whatever is new.",
    )
    late_months: int = Field(
        2,
        ge=0,
        le=120,
        description="With select_by ingestion: images acquired more than this many months "
        "(0 to 120) before the first day asked for are dropped (method.md 1A step 1).",
    )
    lookback_days: int = Field(
        60,
        ge=0,
        le=3660,
        description="A STAC API is asked again for this many days before the newest image "
        "known, for late and reprocessed ones",
        json_schema_extra=_HOW,
    )
    clock_delay_hours: float = Field(
        0.0,
        ge=0,
        le=720,
        description="For items that state no time of publication: hours from acquisition to it; "
        "0: such items are refused",
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
    dem: str = Field(
        "",
        description="Height model for product grd: a raster or a folder of them, relative to this "
        "file",
        json_schema_extra=_HOW,
    )
    geoid: Literal["auto", "egm96", "none"] = Field(
        "auto",
        description="What dem's heights are above: none is the ellipsoid; auto: what its files "
        "say, else EGM96",
    )
    grd_radiometry: Literal["gamma0", "gamma0_rtc", "gamma0_volume", "gamma0_surface"] = Field(
        "gamma0_rtc",
        description="Terrain normalisation of product grd (docs/grd.md); gamma0: sigma0 / "
        "cos(LIA), as DETER-R",
    )
    orbit_folder: str = Field(
        "orbits",
        min_length=1,
        description="Folder of orbit files for product grd, which downloads join",
        json_schema_extra=_HOW,
    )
    orbit_url: str = Field(
        "",
        description="Listing to download orbit files from (docs/grd.md); empty: those in the "
        "folder, else the product's own",
        json_schema_extra=_HOW,
    )
    access: Access = Field(
        "none",
        description="How images are opened. Secrets come from the environment: bearer "
        "CURUPIRA_SOURCE_TOKEN, CURUPIRA_SOURCE_TOKEN_FILE or netrc; oidc CURUPIRA_SOURCE_USER and "
        "CURUPIRA_SOURCE_PASSWORD; s3 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        json_schema_extra=_HOW,
    )
    token_url: str = Field(
        "", description="Where sas and oidc get their tokens", json_schema_extra=_HOW
    )
    token_hosts: tuple[str, ...] = Field(
        (),
        description='Hosts that may see the credentials; ".x.org" means every host below x.org',
        json_schema_extra=_HOW,
    )
    s3_endpoint: str = Field(
        "",
        description="URL of the S3 service; empty: Amazon's of s3_region",
        json_schema_extra=_HOW,
    )
    s3_region: str = Field(
        "us-east-1", description="Region of the S3 service", json_schema_extra=_HOW
    )
    requester_pays: bool = Field(
        False, description="Amazon bills the reader for the transfer", json_schema_extra=_HOW
    )
    read: Literal["download", "window"] = Field(
        "download",
        description="Fetch whole files, or read only the area's part of them (needs COGs)",
        json_schema_extra=_HOW,
    )
    downloads: str = Field(
        "downloads",
        min_length=1,
        description="Folder for files on their way into the cube",
        json_schema_extra=_HOW,
    )
    fallback: str = Field(
        "",
        description="Second provider of the same product: a profile's name, or the URL of a STAC "
        "API with the same keys; empty: none",
        json_schema_extra=_HOW,
    )
    requests_per_second: float = Field(
        5.0,
        gt=0,
        le=1000,
        description="Most requests a second to a provider",
        json_schema_extra=_HOW,
    )
    timeout_s: float = Field(
        60.0,
        gt=0,
        le=3600,
        description="Longest silence of a provider, seconds",
        json_schema_extra=_HOW,
    )
    attempts: int = Field(
        5,
        ge=1,
        le=50,
        description="Tries of a request that fails for a passing reason",
        json_schema_extra=_HOW,
    )

    @model_validator(mode="before")
    @classmethod
    def _from_profile(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {**PROFILES.get(str(given.get("profile", "static")), {}), **given}

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
        if self.is_api and not self.collection:
            raise ConfigError(
                "a STAC API needs a collection",
                where="[source] collection",
                remedy='name it, or write profile = "static" for a catalogue of files',
            )
        if self.fallback:
            self.second()
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

    @property
    def is_api(self) -> bool:
        """Whether the catalogue is searched; a copy on disk or a ``.json`` document is read."""
        if self.profile == "static" or self.catalogue.endswith(".json"):
            return False
        return is_remote(self.catalogue)

    @property
    def provider(self) -> str:
        """Name for messages."""
        return self.profile if self.profile != "static" else self.catalogue

    def second(self) -> SourceParams | None:
        """The fallback's parameters; the area's own choices (passes, platforms) are kept.

        Raises
        ------
        ConfigError
            If it is no profile and no URL, or of another product.
        """
        if not self.fallback:
            return None
        where = "[source] fallback"
        if is_remote(self.fallback):
            return self.model_copy(update={"catalogue": self.fallback, "fallback": ""})
        if self.fallback not in PROFILES or self.fallback in ("static", self.profile):
            raise ConfigError(
                f"{self.fallback!r} is no other provider",
                where=where,
                remedy=f"name a profile ({', '.join(p for p in PROFILES if p != 'static')}) "
                "or a URL",
            )
        kept = {name: getattr(self, name) for name in _AREAS_OWN}
        other = SourceParams.model_validate({"profile": self.fallback, **kept})
        if other.product != self.product:
            raise ConfigError(
                f"{self.fallback} offers {other.product}, {self.profile} {self.product}: they are "
                "processed differently and must not share a baseline",
                where=where,
                remedy="name a provider of the same product, or none",
            )
        return other
