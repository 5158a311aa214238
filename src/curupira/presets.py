"""Algorithm presets: TOML documents in the package, or files of the user's.

A preset may name another with ``extends`` and then states only what differs. This module knows
documents, not meanings: every stage validates the sections that are its own.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from curupira.errors import ConfigError

#: Preset of new workspaces.
DEFAULT = "curupira"


@dataclass(frozen=True)
class Preset:
    """A complete preset: its name and its sections of plain values."""

    name: str
    sections: Mapping[str, Mapping[str, Any]]

    def section(self, name: str) -> Mapping[str, Any]:
        """One section.

        Raises
        ------
        ConfigError
            If the preset has no such section.
        """
        try:
            return self.sections[name]
        except KeyError:
            raise ConfigError(
                f"section [{name}] is missing",
                where=f"preset {self.name}",
                remedy='start the file with extends = "deter_r"',
            ) from None

    def replace(self, **values: Any) -> Preset:
        """Return a copy with other values; option names are unique over all sections.

        Raises
        ------
        ConfigError
            If no section has such an option.
        """
        merged = {section: dict(options) for section, options in self.sections.items()}
        for key, value in values.items():
            homes = [section for section, options in merged.items() if key in options]
            if not homes:
                known = ", ".join(sorted(k for options in merged.values() for k in options))
                raise ConfigError(
                    f"no option {key!r}", where=f"preset {self.name}", remedy=f"use one of {known}"
                )
            merged[homes[0]][key] = value
        return Preset(self.name, _freeze(merged))

    @property
    def hash(self) -> str:
        """SHA-256 of the values, 16 hex digits; comments and the name do not count."""
        text = json.dumps({s: dict(o) for s, o in self.sections.items()}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __reduce__(self) -> tuple[object, ...]:
        # MappingProxyType cannot be pickled; Dask workers need presets.
        return (_thaw, (self.name, {s: dict(o) for s, o in self.sections.items()}))


def _thaw(name: str, sections: dict[str, dict[str, Any]]) -> Preset:
    return Preset(name, _freeze(sections))


def _freeze(sections: dict[str, dict[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    return MappingProxyType({s: MappingProxyType(o) for s, o in sections.items()})


def names(kind: str = "detect") -> list[str]:
    """Return the shipped presets of a kind (``detect`` or ``mining``)."""
    folder = resources.files("curupira") / "presets" / kind
    return sorted(
        f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")
    )


def load(preset: str | Path | Preset, kind: str = "detect") -> Preset:
    """Read a shipped preset by name, or a file by path; a ``Preset`` is returned as it is.

    Raises
    ------
    ConfigError
        If there is no such preset, it is no TOML, or an option is unknown to what it extends.
    """
    if isinstance(preset, Preset):
        return preset
    text = str(preset)
    if text in names(kind):
        source = resources.files("curupira") / "presets" / kind / f"{text}.toml"
        document = _parse(source.read_text(encoding="utf-8"), text)
        name = text
    elif Path(text).suffix == ".toml" and Path(text).is_file():
        document = _parse(Path(text).read_text(encoding="utf-8"), text)
        name = Path(text).stem
    else:
        raise ConfigError(
            f"no preset {text!r}",
            where="preset",
            remedy=f"use one of {', '.join(names(kind))}, or the path of a .toml file",
        )
    base = document.pop("extends", None)
    if base is None:
        return _thaw(name, {s: dict(o) for s, o in document.items()})
    parent = load(base, kind)
    merged = {s: dict(o) for s, o in parent.sections.items()}
    for section, options in document.items():
        for key, value in options.items():
            if key not in merged.get(section, {}):
                raise ConfigError(
                    f"unknown option {key!r} in [{section}]",
                    where=f"preset {name}",
                    remedy=f"[{section}] has {', '.join(merged.get(section, {})) or 'no options'}",
                )
            merged[section][key] = value
    return _thaw(name, merged)


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"not valid TOML ({error})", where=f"preset {where}", remedy="mend the line named"
        ) from error
    loose = [k for k, v in document.items() if k != "extends" and not isinstance(v, dict)]
    if loose:
        raise ConfigError(
            f"option {loose[0]!r} stands outside any section",
            where=f"preset {where}",
            remedy="put it under its [section]",
        )
    return document
