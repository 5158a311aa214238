"""The monitor file: what, where and how, composed from the stages' parameter models."""

from __future__ import annotations

import hashlib
import json
import math
import re
import tomllib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import shapely
from annotated_types import Ge, Gt, Le, Lt
from odc.geo.geobox import GeoBox
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from shapely.geometry.base import BaseGeometry

from curupira import presets
from curupira.algorithm import AlgorithmParams
from curupira.deliver.params import DeliveryParams, check_name, with_rule
from curupira.errors import ConfigError
from curupira.grid import check_area, make_grid
from curupira.preprocess.quality import QualityParams
from curupira.settings import MiningParams, ServeParams
from curupira.sources.masks import MaskParams
from curupira.sources.profiles import SourceParams
from curupira.sources.rain import RainParams
from curupira.sources.vector import read_area
from curupira.units import NO_SATELLITE, attribution

FILE_NAME = "monitor.toml"
FORMAT = 1

#: Marks a key that holds a path or URL: it stays out of the configuration's hash.
PLACE: dict[str, Any] = {"place": True}
#: Keys that TOML takes without quotes.
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AreaParams(_Section):
    """What is watched, and the layers that describe it."""

    name: str = Field("", description="Name of the area, for reports")
    file: str = Field(
        "area.geojson", description="Vector file with the area's polygons", json_schema_extra=PLACE
    )
    municipalities: str = Field(
        "",
        description='Municipality polygons with columns uf, municipality, geocode; "" = none',
        json_schema_extra=PLACE,
    )
    protected_areas: str = Field(
        "", description='Protected areas, column name; "" = none', json_schema_extra=PLACE
    )
    indigenous_territories: str = Field(
        "", description='Indigenous territories, column name; "" = none', json_schema_extra=PLACE
    )
    overlays: dict[str, str] = Field(
        {},
        description="Further layers by name (roads, rivers, airstrips, CAR, embargoes): "
        "a warning gets the polygon's name, or the distance in metres to points and lines",
        json_schema_extra=PLACE,
    )


class GridParams(_Section):
    """The monitoring grid."""

    crs: str = Field(
        "", description='CRS in metres; "" = UTM zone of the centroid, ESRI:102033 if > 6 degrees'
    )
    resolution_m: float = Field(20.0, ge=5, le=100, description="Pixel size, metres")
    tile_px: int = Field(
        512, ge=64, le=4096, description="Side of a work tile, pixels; results do not depend on it"
    )


class StoreParams(_Section):
    """Where warnings are kept."""

    url: str = Field(
        "sqlite:///warnings.gpkg",
        description="Database: a GeoPackage (sqlite:///) or postgresql+psycopg://",
        json_schema_extra=PLACE,
    )


class CubeParams(_Section):
    """Where images are kept."""

    path: str = Field("cube", description="Folder or object-store URL", json_schema_extra=PLACE)
    keep_snapshots_days: int = Field(
        90, ge=1, description="Days that old cube snapshots are kept; delivered runs' stay"
    )


class ComputeParams(_Section):
    """How much of the machine is used."""

    scheduler: str = Field(
        "",
        description='"" (threads), "local:N" (Dask processes) or "tcp://host:8786"',
        json_schema_extra=PLACE,
    )
    memory: str = Field("3GB", description="What one worker may hold")
    threads: int = Field(0, ge=0, le=1024, description="Threads; 0 = one a core")


class AlarmParams(_Section):
    """Who is told when nothing new comes."""

    days: int = Field(
        0, ge=0, le=365, description="Days without a new image before the alarm; 0 = never"
    )
    command: tuple[str, ...] = Field(
        (),
        description="Program and arguments, started without a shell in the workspace's folder; it "
        'gets JSON on standard input, e.g. ["/usr/local/bin/tell-operators"]',
        json_schema_extra=PLACE,
    )


class Monitor(_Section):
    """One ``monitor.toml``."""

    format: Annotated[int, Field(ge=1)] = Field(FORMAT, description="Version of this file's layout")
    area: AreaParams = AreaParams()
    grid: GridParams = GridParams()
    source: SourceParams = SourceParams()
    masks: MaskParams = MaskParams()
    algorithm: AlgorithmParams = AlgorithmParams()
    quality: QualityParams = QualityParams()
    rain: RainParams = RainParams()
    store: StoreParams = StoreParams()
    cube: CubeParams = CubeParams()
    compute: ComputeParams = ComputeParams()
    serve: ServeParams = ServeParams()
    alarm: AlarmParams = AlarmParams()
    mining: MiningParams = MiningParams()
    #: ``[delivery.NAME]``, by name.
    delivery: dict[str, DeliveryParams] = {}

    @property
    def hash(self) -> str:
        """SHA-256 of what decides the result, 16 hex digits: no path, URL, secret or resources."""
        document = {
            name: {
                key: value
                for key, value in section.items()
                if not _is_place(type(getattr(self, name)).model_fields[key])
            }
            for name, section in self.model_dump(mode="json").items()
            if name in ("grid", "source", "algorithm")
        }
        # Masks count by their pixels (``MaskSet.hash``), not by where their layers came from.
        document["grid"].pop("tile_px")
        document["source"].pop("catalogue", None)
        if not document["algorithm"]["frozen_days"]:
            # Off, it is as if there were none.
            del document["algorithm"]["frozen_days"]
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def _is_place(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("place"))


class Workspace:
    """A folder with a ``monitor.toml``; every path in the file is relative to the folder."""

    def __init__(self, folder: Path, monitor: Monitor) -> None:
        self.folder = folder
        self.monitor = monitor

    @classmethod
    def open(cls, folder: Path) -> Workspace:
        """Read and check the folder's monitor file.

        Raises
        ------
        ConfigError
            If the folder or file is missing, or a key is unknown, of the wrong type or range.
        """
        path = folder / FILE_NAME
        if not path.is_file():
            raise ConfigError(
                f"no {FILE_NAME} here",
                where=folder,
                remedy="give a workspace with -w, or make one with `curupira init`",
            )
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"cannot be read ({error})", where=path, remedy="restore the file, as UTF-8 text"
            ) from error
        return cls(folder, parse(text, where=path))

    def path(self, relative: str) -> Path:
        """Absolute path of something named in the monitor file."""
        return self.folder / relative

    def href(self, relative: str) -> str:
        """Absolute path, or the URL that the monitor file names."""
        return relative if "://" in relative else str(self.path(relative))

    @property
    def name(self) -> str:
        """Name of the area; of the folder where it has none."""
        return self.monitor.area.name or self.folder.resolve().name

    @property
    def cube_path(self) -> str:
        """Where the cube is."""
        return self.href(self.monitor.cube.path)

    @property
    def area(self) -> BaseGeometry:
        """The area, lon/lat, as one geometry."""
        path = self.path(self.monitor.area.file)
        return check_area(shapely.union_all(read_area(path)), where=path)

    @property
    def grid(self) -> GeoBox:
        """The monitoring grid."""
        params = self.monitor.grid
        return make_grid(self.area, params.resolution_m, params.crs or None)

    @cached_property
    def simulated(self) -> bool:
        """Whether the images are simulated, as the simulator's catalogue of them says.

        Where it is gone, once the images are in the cube, the products still say so.
        """
        # Here: reading STAC takes a while to load, and few commands do.
        from curupira.stac import is_remote, is_simulated

        catalogue = self.href(self.monitor.source.catalogue)
        if is_remote(catalogue) or Path(catalogue).exists():
            return is_simulated(catalogue)
        item = next(self.folder.glob("products/*.json"), None)
        return item is not None and NO_SATELLITE in item.read_text(encoding="utf-8")

    def attribution(self, years: Iterable[int]) -> str:
        """Notice that whatever is made from this workspace's images of some years carries."""
        return attribution(years, simulated=self.simulated)

    @property
    def preset(self) -> presets.Preset:
        """The algorithm preset with the overrides of this workspace."""
        params = self.monitor.algorithm
        name = params.preset
        if name.endswith(".toml"):
            name = str(self.path(name))
        return presets.load(name).replace(**params.override)


def parse(text: str, *, where: object = FILE_NAME) -> Monitor:
    """Read a monitor file's text.

    Raises
    ------
    ConfigError
        Naming the key, the value and the remedy.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"not valid TOML ({error})", where=where, remedy="mend the line named"
        ) from error
    if isinstance(document.get("format"), int) and document["format"] > FORMAT:
        raise ConfigError(
            f"the workspace has format {document['format']}, this program knows {FORMAT}",
            where=where,
            remedy="update curupira",
        )
    targets = document.get("delivery")
    if isinstance(targets, dict):
        for name, section in targets.items():
            check_name(name)
            if isinstance(section, dict):
                targets[name] = with_rule(name, section)
    try:
        return Monitor.model_validate(document)
    except ValidationError as error:
        raise _explain(error, document, where) from error


def _explain(error: ValidationError, document: dict[str, Any], where: object) -> ConfigError:
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    if location[0] == "delivery" and len(location) > 1:
        return _explain_target(first["type"], first["msg"], location, where)
    key = f"[{location[0]}] {'.'.join(location[1:])}" if len(location) > 1 else location[0]
    if first["type"] == "extra_forbidden":
        section = getattr(Monitor(), location[0], None)
        known = (
            ", ".join(type(section).model_fields)
            if len(location) > 1 and isinstance(section, BaseModel)
            else ", ".join(f"[{name}]" for name in Monitor.model_fields if name != "format")
        )
        return ConfigError(f"unknown key {key}", where=where, remedy=f"known here: {known}")
    return ConfigError(
        f"{key} = {first['input']!r} is refused: {first['msg']}",
        where=where,
        remedy="see the comment above the key, or `curupira init` for a fresh file",
    )


def _explain_target(kind: str, message: str, location: list[str], where: object) -> ConfigError:
    """What is wrong with a target; values are not repeated, one may be a misplaced secret."""
    key = f"[{'.'.join(location[:2])}] {'.'.join(location[2:])}".strip()
    if kind == "extra_forbidden":
        known = ", ".join(DeliveryParams.model_fields)
        return ConfigError(f"unknown key {key}", where=where, remedy=f"known here: {known}")
    return ConfigError(f"{key} is refused: {message}", where=where, remedy="see docs/operations.md")


def render(monitor: Monitor) -> str:
    """Write a monitor file's text, each key under a comment with meaning, range and default."""
    lines = [
        "# Curupira monitor file. Paths are relative to this file. Secrets come from the",
        "# environment, never from here.",
        "",
        f"# {Monitor.model_fields['format'].description}",
        f"format = {monitor.format}",
    ]
    for name in Monitor.model_fields:
        section = getattr(monitor, name)
        if not isinstance(section, BaseModel):
            continue
        lines += _section_lines(name, section)
    for name, target in monitor.delivery.items():
        lines += _section_lines(f"delivery.{name}", target)
    return "\n".join(lines) + "\n"


def _section_lines(name: str, section: BaseModel) -> list[str]:
    lines = ["", f"[{name}]"]
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        # TOML has no word for nothing: what is left out stands as a comment, with an example.
        off, shown = ("# ", (field.examples or [""])[0]) if value is None else ("", value)
        lines += [f"# {_comment(field)}", f"{off}{key} = {_toml(shown)}"]
    return lines


def _comment(field: FieldInfo) -> str:
    text = " ".join((field.description or "").split())
    limits = [
        f"{sign} {bound}"
        for kind, attribute, sign in (
            (Ge, "ge", ">="),
            (Gt, "gt", ">"),
            (Le, "le", "<="),
            (Lt, "lt", "<"),
        )
        for m in field.metadata
        if isinstance(m, kind)
        for bound in [getattr(m, attribute)]
    ]
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    if choices:
        limits.append(" | ".join(f'"{c}"' for c in choices))
    extent = f" ({', '.join(limits)})" if limits else ""
    default = field.get_default(call_default_factory=True)
    return f"{text}{extent}; default {'left out' if default is None else _toml(default)}"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _toml(name)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + " }"
            if value
            else "{}"
        )
    return json.dumps(str(value), ensure_ascii=False)
