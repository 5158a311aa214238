"""The ``[delivery.NAME]`` sections of ``monitor.toml``: to whom, what, and how."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from importlib import resources
from typing import Any, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from curupira.codes import IntensityClass, Status, Verdict
from curupira.deliver.export import FORMATS
from curupira.errors import ConfigError

Kind = Literal["folder", "sftp", "ftp", "ftps", "webhook", "feed", "email"]
Split = Literal["none", "uf", "municipality", "protected_area", "indigenous_territory"]
#: Stands among verdicts for a warning that nobody has judged.
NOT_EVALUATED = "not_evaluated"
#: Formats whose files lie in the target folder itself, as the agency's importers expect them.
HAND_OVERS = ("deter_r", "deter_rt")
#: Formats of candidates.
OF_CANDIDATES = ("gpkg", "geojson")
LOOPBACK = ("127.0.0.1", "::1", "localhost")

_SCHEMES: dict[str, tuple[str, ...]] = {
    "folder": ("",),
    "sftp": ("sftp",),
    "ftp": ("ftp",),
    "ftps": ("ftps",),
    "webhook": ("https", "http"),
    "feed": ("", "sftp", "ftp", "ftps"),
    "email": ("smtp", "smtps"),
}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACE: dict[str, Any] = {"place": True}


class DeliveryParams(BaseModel):
    """One target: where it is, which warnings it gets, in which formats.

    Names of environment variables stand here, never secrets.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str = Field(
        "", description='Shipped rule whose keys this section starts from ("deter_r"); "" = none'
    )
    kind: Kind = Field("folder", description="How the target is reached")
    url: str = Field(
        "outbox",
        description="Folder, sftp://user@host/path, ftp(s)://user@host/path, https://..., "
        "smtp(s)://user@host",
        json_schema_extra=_PLACE,
    )
    contents: Literal["warnings", "candidates"] = Field(
        "warnings", description="Warnings, or the mining candidates that touch none, whole"
    )
    formats: tuple[str, ...] = Field(
        ("gpkg", "geojson"), description=f"Files in a package: {', '.join(FORMATS)}"
    )
    statuses: tuple[Status, ...] = Field(
        (Status.CONFIRMED,), description="A warning is first sent when it has one of these"
    )
    classes: tuple[IntensityClass, ...] = Field(
        tuple(IntensityClass), description="Classes sent when a verdict lets the warning pass"
    )
    verdicts: tuple[str, ...] = Field(
        ("recent_deforestation", "recent_degradation", "residue", NOT_EVALUATED),
        description=f'Verdicts that let a warning pass; "{NOT_EVALUATED}" = none yet',
    )
    unvalidated_classes: tuple[IntensityClass, ...] = Field(
        (IntensityClass.HIGH,), description="Classes sent without a verdict, as DETER-R does"
    )
    areas: tuple[str, ...] = Field(
        (),
        description="Only warnings with one of these as uf, municipality, geocode, protected "
        "area or indigenous territory; [] = all",
    )
    area_file: str = Field(
        "",
        description='Only warnings that touch these polygons; "" = all',
        json_schema_extra=_PLACE,
    )
    min_confidence: float = Field(
        0.0, ge=0, le=1, description="Smallest confidence (candidates: probability) sent first"
    )
    min_area_ha: float = Field(0.0, ge=0, description="Smallest area sent first, ha")
    since: date = Field(
        date(2014, 1, 1), description="Warnings issued before this day are not sent first"
    )
    prefix: str = Field(
        "curupira", pattern=r"^[A-Za-z0-9-]{1,40}$", description="Start of the file names"
    )
    split: Split = Field("none", description="Feeds and e-mails: one for each of these")
    max_entries: int = Field(200, ge=1, le=5000, description="Entries of a feed")
    host_key: str = Field(
        "", description='sftp: the server\'s public key, pinned, e.g. "ssh-ed25519 AAAA..."'
    )
    ca_file: str = Field(
        "",
        description="TLS: certificates trusted instead of the system's; \"\" = the system's",
        json_schema_extra=_PLACE,
    )
    password_env: str = Field("", description="Environment variable that holds the password")
    key_file_env: str = Field(
        "", description="sftp: environment variable that holds the private key file's path"
    )
    secret_env: str = Field(
        "", description="webhook: environment variable that holds the signing secret"
    )
    lock_file: str = Field(
        "lock_%Y-%m-%d",
        pattern=r"^[A-Za-z0-9._%-]{1,80}$",
        description="Hand-overs: name of the lock file, with the UTC day (strftime)",
    )
    sender: str = Field("", description="email: From address")
    recipients: tuple[str, ...] = Field((), description="email: To addresses")
    timeout_s: float = Field(60.0, gt=0, le=3600, description="Patience with the server, seconds")
    attempts: int = Field(3, ge=1, le=10, description="Tries before the delivery stays incomplete")

    @field_validator("formats")
    @classmethod
    def _known_formats(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in FORMATS:
                raise ValueError(f"no format {name!r}; known: {', '.join(FORMATS)}")
        return names

    @field_validator("verdicts")
    @classmethod
    def _known_verdicts(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        known = (*Verdict, NOT_EVALUATED)
        for word in words:
            if word not in known:
                raise ValueError(f"no verdict {word!r}; known: {', '.join(known)}")
        return words

    @field_validator("password_env", "key_file_env", "secret_env")
    @classmethod
    def _variable(cls, name: str) -> str:
        if name and not _VARIABLE.fullmatch(name):
            # The value is not repeated: somebody may have written the secret itself here.
            raise ValueError("this is to be the name of an environment variable, not a value")
        return name

    @field_validator("sender", "recipients")
    @classmethod
    def _addresses(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for text in (value,) if isinstance(value, str) else value:
            if text and not re.fullmatch(r"[^@\s,;<>]+@[^@\s,;<>]+", text):
                raise ValueError(f"{text!r} is no e-mail address")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        parts = self.parts
        scheme = parts.scheme if "://" in self.url else ""
        if scheme not in _SCHEMES[self.kind]:
            wanted = " or ".join(f"{s}://..." if s else "a folder" for s in _SCHEMES[self.kind])
            raise ValueError(f"kind {self.kind} wants as url {wanted}")
        if parts.password is not None:
            raise ValueError("the url holds a password: name a variable with password_env instead")
        if scheme and not parts.hostname:
            raise ValueError("the url names no host")
        if scheme == "http" and parts.hostname not in LOOPBACK:
            raise ValueError("a webhook beyond this machine wants https")
        if scheme == "sftp" and not self.host_key:
            raise ValueError("sftp wants host_key (from `ssh-keyscan`, compared with the owner)")
        if self.kind == "webhook" and not self.secret_env:
            raise ValueError("a webhook wants secret_env")
        if self.kind == "email" and not (self.sender and self.recipients):
            raise ValueError("email wants sender and recipients")
        if self.kind in ("folder", "sftp", "ftp", "ftps") and not self.formats:
            raise ValueError("no format")
        if self.contents == "candidates":
            self._check_candidates()
        return self

    def _check_candidates(self) -> None:
        if self.kind not in ("folder", "sftp", "ftp", "ftps"):
            raise ValueError("candidates go as files: kind folder, sftp, ftp or ftps")
        if not set(self.formats) <= set(OF_CANDIDATES):
            raise ValueError(f"candidates go as {' and '.join(OF_CANDIDATES)}")
        if self.areas:
            raise ValueError("candidates have no names of areas: take area_file")

    @property
    def parts(self) -> SplitResult:
        """The URL in parts; a folder has neither scheme nor host."""
        return urlsplit(self.url if "://" in self.url else "")

    @property
    def is_files(self) -> bool:
        """Whether packages go as files of ``formats``."""
        return self.kind in ("folder", "sftp", "ftp", "ftps")


def check_name(name: str) -> None:
    """Raise ``ConfigError`` unless a target's name can be a folder's."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", name):
        raise ConfigError(
            f"{name!r} cannot be a target's name",
            where="[delivery]",
            remedy="take letters, digits, _ and -, at most 40",
        )


def with_rule(name: str, section: dict[str, Any]) -> dict[str, Any]:
    """A target's keys on top of those of the shipped rule that it names.

    Raises
    ------
    ConfigError
        If there is no such rule.
    """
    rule = section.get("rule")
    if not rule:
        return section
    folder = resources.files("curupira.deliver") / "rules"
    known = sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name[-5:] == ".toml")
    if rule not in known:
        raise ConfigError(
            f"no delivery rule {rule!r}",
            where=f"[delivery.{name}] rule",
            remedy=f"known: {', '.join(known)}",
        )
    base = tomllib.loads((folder / f"{rule}.toml").read_text(encoding="utf-8"))
    return {**base, **section}
