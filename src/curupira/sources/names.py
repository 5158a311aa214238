"""What the tags and names of a GeoTIFF tell about the image in each of its bands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

from curupira.codes import OrbitState
from curupira.errors import InputError
from curupira.stac import platform_name

_BAND = re.compile(r"(?i)(?<![a-z0-9])(vv|vh|hh|hv|lia)(?![a-z0-9])")
_TIME = re.compile(r"(?<!\d)(\d{8}T\d{6})Z?(?![\dA-Za-z])")
_DAY = re.compile(r"(?<!\d)((?:19|20)\d{2})-?(\d{2})-?(\d{2})(?!\d)")
_PLATFORM = re.compile(r"(?i)(?<![a-z0-9])(s1[a-z]|sentinel-1[a-z])(?![a-z0-9])")
_OPERA_TRACK = re.compile(r"(?<![A-Za-z0-9])T(\d{3})-\d{6}-IW\d(?![A-Za-z0-9])")
#: OPERA: acquisition time, then processing time, then the satellite.
_PROCESSED = re.compile(r"_\d{8}T\d{6}Z_(\d{8}T\d{6}Z)_S1[A-Z](?=_|$)")

_TIME_TAGS = ("datetime", "zero_doppler_start_time", "acquisition_datetime")
_CREATED_TAGS = ("created", "processing_datetime")
_BAND_TAGS = ("polarisation", "polarization")
_PLATFORM_TAGS = ("platform", "mission_id")
_ORBIT_TAGS = ("relative_orbit", "sat:relative_orbit", "track_number")
_STATE_TAGS = ("orbit_state", "sat:orbit_state", "orbit_pass_direction", "orbit_pass")
_SOURCE_TAGS = ("source", "source_file")


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the user states for files that do not say it themselves."""

    platform: str | None = None
    relative_orbit: int | None = None
    orbit_state: OrbitState | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """One band of one file: which scene it belongs to."""

    scene_id: str
    band: str
    acquired: datetime
    created: datetime
    platform: str
    relative_orbit: int
    orbit_state: OrbitState


def describe_band(
    name: PurePosixPath,
    file_tags: Mapping[str, str],
    band_tags: Mapping[str, str],
    description: str | None,
    defaults: Defaults,
) -> Image:
    """Work out the image in one band.

    Parameters
    ----------
    name
        Path of the file relative to the indexed folder.
    file_tags, band_tags, description
        Of the GeoTIFF. Band tags win over file tags, both over names, those over ``defaults``.
    defaults
        What the command's options state.

    Notes
    -----
    A date without a time counts as 00:00 UTC; times in names are UTC, as Sentinel-1 names are.
    ``created`` is the processing time where a tag or an OPERA source name holds it, otherwise the
    acquisition time.

    Raises
    ------
    InputError
        Naming the file, what is not known, and the option or tag that tells it.
    """
    # Tag names differ in case between providers.
    tags = {key.lower(): text for key, text in {**file_tags, **band_tags}.items()}
    source = PurePosixPath(_tag(tags, _SOURCE_TAGS) or "")
    # The most telling text first: the source's name, the description, then the path, file first.
    texts = [source.stem, description or "", *reversed(name.with_suffix("").parts)]
    texts.append(tags.get("burst", ""))
    acquired = _acquired(tags, texts, name)
    return Image(
        scene_id=_scene_id(source, name, acquired),
        band=_band(tags, texts, name),
        acquired=acquired,
        created=_created(tags, texts, name) or acquired,
        platform=_platform(tags, texts, name, defaults),
        relative_orbit=_relative_orbit(tags, texts, name, defaults),
        orbit_state=_orbit_state(tags, name, defaults),
    )


def _tag(tags: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((tags[name].strip() for name in names if tags.get(name, "").strip()), None)


def _search(pattern: re.Pattern[str], texts: Sequence[str]) -> re.Match[str] | None:
    return next((match for text in texts if (match := pattern.search(text))), None)


def _scene_id(source: PurePosixPath, name: PurePosixPath, acquired: datetime) -> str:
    """Name without the band; with the time where the name has none (stacks)."""
    text = source.stem or "_".join(name.with_suffix("").parts)
    text = re.sub(r"[-_. ]{2,}", "_", _BAND.sub("", text)).strip("-_. ")
    if not (_TIME.search(text) or _DAY.search(text)):
        text = f"{text}_{acquired:%Y%m%dT%H%M%S}".strip("_")
    return text


def _band(tags: Mapping[str, str], texts: Sequence[str], name: PurePosixPath) -> str:
    found = _BAND.fullmatch(_tag(tags, _BAND_TAGS) or "") or _search(_BAND, texts)
    if found is None:
        raise InputError(
            "neither a tag nor the name tells its polarisation",
            where=name,
            remedy="put VV, VH, HH, HV or LIA into the file's name, or set the tag 'polarisation'",
        )
    return found[1].lower()


def _iso_time(text: str, name: PurePosixPath) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"tag time {text!r} is not ISO 8601", where=name) from None
    if moment.tzinfo is None:
        raise InputError(f"tag time {text!r} has no time zone", where=name, remedy="add Z (UTC)")
    return moment.astimezone(UTC)


def _name_time(text: str, layout: str, name: PurePosixPath) -> datetime:
    try:
        return datetime.strptime(text, layout).replace(tzinfo=UTC)
    except ValueError:
        raise InputError(f"{text!r} is no date", where=name, remedy="correct it") from None


def _acquired(tags: Mapping[str, str], texts: Sequence[str], name: PurePosixPath) -> datetime:
    stated = _tag(tags, _TIME_TAGS)
    if stated:
        return _iso_time(stated, name)
    found = _search(_TIME, texts)
    if found:
        return _name_time(found[1], "%Y%m%dT%H%M%S", name)
    day = _search(_DAY, texts)
    if day:
        return _name_time("".join(day.groups()), "%Y%m%d", name)
    raise InputError(
        "neither a tag, a band description nor the name tells its date",
        where=name,
        remedy="put 20240601T094500 into the file's name, or set the band tag 'datetime'",
    )


def _created(tags: Mapping[str, str], texts: Sequence[str], name: PurePosixPath) -> datetime | None:
    stated = _tag(tags, _CREATED_TAGS)
    if stated:
        return _iso_time(stated, name)
    found = _search(_PROCESSED, texts)
    return _name_time(found[1], "%Y%m%dT%H%M%SZ", name) if found else None


def _platform(
    tags: Mapping[str, str], texts: Sequence[str], name: PurePosixPath, defaults: Defaults
) -> str:
    found = _search(_PLATFORM, texts)
    text = _tag(tags, _PLATFORM_TAGS) or (found[1] if found else defaults.platform)
    if not text:
        raise _unknown("platform", "--platform sentinel-1a", name)
    return platform_name(text)


def _relative_orbit(
    tags: Mapping[str, str], texts: Sequence[str], name: PurePosixPath, defaults: Defaults
) -> int:
    stated = _tag(tags, _ORBIT_TAGS)
    if stated:
        if not stated.isdecimal() or int(stated) < 1:
            raise InputError(f"tag relative orbit {stated!r} is no number from 1", where=name)
        return int(stated)
    found = _search(_OPERA_TRACK, texts)
    if found:
        return int(found[1])
    if defaults.relative_orbit is None:
        raise _unknown("relative orbit", "--relative-orbit 137", name)
    return defaults.relative_orbit


def _orbit_state(tags: Mapping[str, str], name: PurePosixPath, defaults: Defaults) -> OrbitState:
    stated = _tag(tags, _STATE_TAGS)
    if stated:
        try:
            return OrbitState(stated.lower())
        except ValueError:
            raise InputError(
                f"tag orbit state {stated!r} is neither ascending nor descending", where=name
            ) from None
    if defaults.orbit_state is None:
        raise _unknown("orbit state", "--orbit-state descending", name)
    return defaults.orbit_state


def _unknown(what: str, option: str, name: PurePosixPath) -> InputError:
    return InputError(
        f"neither a tag nor the name tells its {what}", where=name, remedy=f"give {option}"
    )
