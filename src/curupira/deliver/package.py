"""Packages: a folder of files that never changes again, with a manifest of their SHA-256."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from curupira import __version__
from curupira.codes import Status
from curupira.deliver.agency import (
    LEVEL,
    deter_rt_frames,
    write_changes,
    write_deter_r,
    write_deter_rt_tile,
)
from curupira.deliver.choose import Told
from curupira.deliver.export import FORMATS, export
from curupira.deliver.frame import checked, notice, records
from curupira.deliver.params import HAND_OVERS, DeliveryParams
from curupira.deliver.summary import html_summary
from curupira.errors import DeliveryError, StoreError

MANIFEST = "manifest.json"
SUMMARY = "summary.html"
#: Column that tells new warnings from updates and corrections.
TOLD = "delivery"
#: Column that tells what was preliminary when it was told before and is confirmed now.
RAISED = "raised"
#: Names of persons stay in the house.
_PRIVATE = ("verdict_by",)
#: Time in a package's name, UTC.
_TIME = "%Y%m%dT%H%M%S%fZ"


@dataclass(frozen=True)
class Package:
    """A complete package on this machine."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its name, unique for its target."""
        return self.folder.name

    def files(self, role: str) -> list[Path]:
        """Its files of a role, in the order of the manifest."""
        return [self.folder / f["name"] for f in self.manifest["files"] if f["role"] == role]

    @classmethod
    def open(cls, folder: Path) -> Package:
        """Read a package and check every file against the manifest.

        Raises
        ------
        DeliveryError
            If it is incomplete or was changed.
        """
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            for entry in manifest["files"]:
                if sha256(folder / entry["name"]) != entry["sha256"]:
                    raise ValueError(f"{entry['name']} was changed")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DeliveryError(
                f"the package is damaged ({error})",
                where=folder,
                remedy="delete its folder: its warnings are packed again",
            ) from error
        return cls(folder, manifest)


@dataclass(frozen=True)
class Contents:
    """What goes into a package: warnings with the columns ``delivery`` and ``raised``."""

    target: str
    warnings: gpd.GeoDataFrame
    created: datetime
    extra: Mapping[str, bytes]


def package_name(prefix: str, created: datetime, digests: Sequence[str]) -> str:
    """``<prefix>_<UTC time to the microsecond>_<8 hex of what is told>``: sorts by time."""
    what = hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()[:8]
    return f"{prefix}_{created.strftime(_TIME)}_{what}"


def made_at(name: str) -> datetime:
    """Time in a package's name."""
    return datetime.strptime(name.split("_")[1], _TIME).replace(tzinfo=UTC)


def build(folder: Path, contents: Contents, params: DeliveryParams) -> Package:
    """Write a package beside and rename it.

    Parameters
    ----------
    folder
        Where it is to be; must not exist.
    contents
        ``extra`` are ready-made files (feeds, messages) that replace the formats.

    Raises
    ------
    StoreError
        If the disk refuses.
    """

    def write(part: Path) -> dict[str, str]:
        return _write(part, folder.name, contents, params)

    return write_package(folder, contents.target, contents.created, write, _told(contents.warnings))


def write_package(
    folder: Path,
    target: str,
    created: datetime,
    write: Callable[[Path], Mapping[str, str]],
    about: Mapping[str, Any],
) -> Package:
    """Let ``write`` fill a folder beside, seal it with a manifest, and rename it.

    Parameters
    ----------
    folder
        Where the package is to be; must not exist.
    write
        Writes files into the folder that it is given; returns their roles by name.
    about
        What the manifest says beside name, target, time and files.

    Raises
    ------
    StoreError
        If the disk refuses.
    """
    part = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        roles = write(part)
        document = {
            "package": folder.name,
            "target": target,
            "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "made_by": f"curupira {__version__}",
            **about,
            "files": _files(part, roles),
        }
        text = json.dumps(document, indent=1, ensure_ascii=False)
        (part / MANIFEST).write_text(text + "\n", encoding="utf-8")
        for file in part.iterdir():
            _sync(file)
        os.replace(part, folder)
        _sync(folder.parent)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise StoreError(
            f"cannot write the package ({error.strerror})", where=folder, remedy="free space"
        ) from error
    return Package.open(folder)


def _write(part: Path, name: str, contents: Contents, params: DeliveryParams) -> dict[str, str]:
    """Write the files; returns their roles by name."""
    table = contents.warnings.drop(columns=list(_PRIVATE), errors="ignore")
    plain = table.drop(columns=RAISED)
    roles: dict[str, str] = {}
    if contents.extra:
        for file, data in contents.extra.items():
            (part / file).write_bytes(data)
            roles[file] = "message"
        return roles
    for kind in params.formats:
        if kind in HAND_OVERS:
            roles |= _hand_over(part, name, table, kind, contents.created)
        else:
            # Several formats share a suffix.
            file = f"{name}_{kind}.zip" if kind == "deter" else f"{name}{FORMATS[kind].suffixes[0]}"
            export(plain, part / file, kind)
            roles[file] = "data"
    page = html_summary(plain, target=contents.target, name=name, created=contents.created)
    (part / SUMMARY).write_text(page, encoding="utf-8")
    roles[SUMMARY] = "data" if "data" in roles.values() else "record"
    return roles


def _hand_over(
    part: Path, name: str, table: gpd.GeoDataFrame, kind: str, created: datetime
) -> dict[str, str]:
    """Files for the agency's importers, which know no updates: those go into a list beside."""
    roles: dict[str, str] = {}
    fresh = table[(table[TOLD] == Told.NEW) | table[RAISED]]
    fresh = fresh[fresh["status"] != Status.CLOSED.value]
    rest = table.loc[table.index.difference(fresh.index)]
    prefix, stamp = name.split("_", maxsplit=1)[0], created.strftime("%Y%m%dT%H%M%SZ")
    if kind == "deter_r":
        for status, level in LEVEL.items():
            rows = fresh[fresh["status"] == status.value]
            if len(rows):
                days = pd.to_datetime(rows["first_flag_date"])
                first, last = (f"{d:%Y-%m-%d}" for d in (days.min(), days.max()))
                file = f"{prefix}_{level}_{first}_{last}_{stamp}.geojson"
                write_deter_r(checked(rows), part / file)
                roles[file] = kind
    else:
        for tile, frame in deter_rt_frames(checked(fresh), prefix).items():
            file = f"{tile}_{stamp}.zip"
            write_deter_rt_tile(frame, part / file)
            roles[file] = kind
    if len(rest):
        file = f"{prefix}_changes_{stamp}.csv"
        told = [{**r, "kind": r[TOLD]} for r in records(checked(rest))]
        write_changes(told, part / file)
        roles[file] = "changes"
    return roles


def _told(table: gpd.GeoDataFrame) -> dict[str, Any]:
    return {
        "attribution": notice(table),
        "warnings": {kind.value: int((table[TOLD] == kind).sum()) for kind in Told},
        "presets": sorted(set(table["preset_hash"].dropna().astype(str))),
        "runs": sorted(set(table["run_id"].dropna().astype(str))),
    }


def _files(part: Path, roles: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "name": file,
            "role": role,
            "bytes": (part / file).stat().st_size,
            "sha256": sha256(part / file),
        }
        for file, role in roles.items()
    ]


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
