"""A hand-made workspace of a few hundred metres: forest, squares that fall, and a catalogue.

Images are 20 m COGs on the monitoring grid, with a deterministic texture that changes from image
to image. Every square is a clearing of stated place, drop and dates, so that a test knows what the
daily routine must say about it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from odc.geo.geobox import GeoBox

from curupira.codes import OrbitState
from curupira.cog import write_cog
from curupira.config import Monitor, Workspace
from curupira.grid import LONLAT, project
from curupira.pipelines import daily
from curupira.pipelines.workspace import write
from curupira.records import Asset, Scene
from curupira.stac import scene_item, write_catalogue
from curupira.store import observation as observations
from curupira.store import scene as scenes
from curupira.store import warning as warnings
from curupira.store.session import Store
from curupira.store.tables import WarningRow

CRS = "EPSG:32721"
SIDE = 80
GRID = GeoBox.from_bbox(
    (500_000, 9_500_000 - SIDE * 20, 500_000 + SIDE * 20, 9_500_000), crs=CRS, resolution=20
)
#: First image; monitored from the seventh on, with images every 12 days.
FIRST, STEP, LEARNING = date(2022, 1, 3), 12, 6
SINCE = FIRST + timedelta(days=LEARNING * STEP)
#: Forest, linear gamma0 VH.
FOREST = 0.04
#: A year without season and six learning images: enough for a world without speckle.
OVERRIDE: dict[str, Any] = {
    "season": "none",
    "minimum_learning_images": 5,
    "detection_months": 1,
    "border": "none",
}
#: The wall clock of the tests: after every image.
NOW = datetime(2024, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Square:
    """A square of ``size`` pixels at (row, column) that is ``drop_db`` darker from day to day."""

    row: int
    col: int
    since: date
    until: date = date(2099, 1, 1)
    drop_db: float = 6.0
    size: int = 12
    orbit: int | None = None
    version: int | None = None

    def shows(self, shot: Shot) -> bool:
        """Whether an image shows it."""
        return (
            self.since <= shot.day < self.until
            and self.orbit in (None, shot.orbit)
            and self.version in (None, shot.version)
        )

    @property
    def geometry(self) -> shapely.Polygon:
        """Outline in the grid's CRS."""
        x, y = 500_000 + 20 * self.col, 9_500_000 - 20 * self.row
        return shapely.box(x, y - 20 * self.size, x + 20 * self.size, y)


@dataclass(frozen=True)
class Shot:
    """One image to take. ``rows`` are those it shows (a slice of a pass)."""

    day: date
    orbit: int = 83
    platform: str = "sentinel-1a"
    at: time = time(9, 30)
    rows: tuple[int, int] = (0, SIDE)
    late_days: int = 1
    version: int = 0
    name: str = ""

    @property
    def scene_id(self) -> str:
        """Identity in the catalogue."""
        stem = f"{self.platform[-2:]}_{self.orbit}_{self.day:%Y%m%d}_{self.at:%H%M%S}"
        return self.name or stem

    @property
    def acquired(self) -> datetime:
        """Time of acquisition."""
        return datetime.combine(self.day, self.at, UTC)

    @property
    def created(self) -> datetime:
        """Time of publication."""
        return self.acquired + timedelta(days=self.late_days + self.version)


def day(n: int) -> date:
    """Day of the n-th image of the usual orbit."""
    return FIRST + timedelta(days=n * STEP)


def series(n: int, *, start: int = 0, **fields: Any) -> list[Shot]:
    """Images number ``start`` to ``n`` (exclusive) of one orbit."""
    return [Shot(day(k), **fields) for k in range(start, n)]


def image(shot: Shot, squares: Iterable[Square]) -> np.ndarray[Any, Any]:
    """Linear gamma0 VH of an image, NaN outside its rows."""
    seed = [shot.day.toordinal(), shot.orbit, shot.version]
    texture = np.random.default_rng(seed).normal(0, 0.15, (SIDE, SIDE))
    db = 10 * np.log10(FOREST) + texture
    for s in squares:
        if s.shows(shot):
            db[s.row : s.row + s.size, s.col : s.col + s.size] -= s.drop_db
    power = (10 ** (db / 10)).astype(np.float32)
    power[: shot.rows[0]] = np.nan
    power[shot.rows[1] :] = np.nan
    return power


def footprint(rows: tuple[int, int]) -> shapely.geometry.base.BaseGeometry:
    """Lon/lat outline of an image."""
    west, _, east, north = GRID.boundingbox
    outline = shapely.box(west, north - 20 * rows[1], east, north - 20 * rows[0])
    return project(shapely.segmentize(outline, 500), CRS, LONLAT)


class World:
    """A place with its squares; takes images once, and makes workspaces that show them."""

    def __init__(self, folder: Path, squares: Sequence[Square]) -> None:
        self.folder = folder
        self.squares = tuple(squares)

    def scene(self, shot: Shot) -> Scene:
        """Take an image."""
        name = f"{shot.scene_id}_{shot.version}"
        path = self.folder / f"{name}.tif"
        if not path.exists():
            rows = slice(*shot.rows)
            values = image(shot, self.squares)[None, rows]
            write_cog(path, values, GRID[rows, :], nodata=float("nan"))
        return Scene(
            scene_id=shot.scene_id,
            platform=shot.platform,
            acquired=shot.acquired,
            created=shot.created,
            relative_orbit=shot.orbit,
            orbit_state=OrbitState.DESCENDING,
            footprint=footprint(shot.rows),
            assets={"vh": Asset(str(path))},
        )

    def workspace(self, folder: Path, shots: Iterable[Shot] = (), **sections: Any) -> Workspace:
        """Make a workspace whose catalogue shows some images."""
        inside = GRID.extent.geom.buffer(-1, join_style="mitre")
        outline = project(shapely.segmentize(inside, 500), CRS, LONLAT)
        folder.mkdir(parents=True)
        feature = {
            "type": "Feature",
            "properties": {},
            "geometry": shapely.geometry.mapping(outline),
        }
        area = {"type": "FeatureCollection", "features": [feature]}
        (folder / "area.geojson").write_text(json.dumps(area), encoding="utf-8")
        algorithm = {
            "preset": "deter_r",
            "monitor_since": SINCE,
            "override": OVERRIDE | sections.pop("override", {}),
        } | sections.pop("algorithm", {})
        monitor = Monitor.model_validate(
            {
                "grid": {"crs": CRS} | sections.pop("grid", {}),
                "source": {"catalogue": "catalog/catalog.json", "asset_vv": ""},
                "algorithm": algorithm,
                "compute": {"threads": 1} | sections.pop("compute", {}),
                "quality": {"gate": True} | sections.pop("quality", {}),
            }
            | sections
        )
        workspace = write(folder, monitor)
        self.publish(workspace, shots)
        return workspace

    def publish(self, workspace: Workspace, shots: Iterable[Shot]) -> None:
        """Let a workspace's catalogue show more images."""
        items = [scene_item(self.scene(s), GRID[slice(*s.rows), :]) for s in shots]
        write_catalogue(
            workspace.folder / "catalog", items, catalogue_id="hand-made", description="hand-made"
        )


def reprocessed(shot: Shot, **changes: Any) -> Shot:
    """A newer version of an image."""
    return replace(shot, version=shot.version + 1, **changes)


def play(workspace: Workspace, **options: Any) -> daily.RunSummary:
    """``curupira run``."""
    return daily.run(workspace, daily.RunOptions(**options), now=lambda: NOW)


def warning_rows(workspace: Workspace) -> list[WarningRow]:
    """All warnings, by place and first flag."""
    store = Store.open(workspace.monitor.store.url, base=workspace.folder, create=False)
    with store, store.reading() as session:
        return sorted(warnings.query(session), key=_place)


def quarantined(workspace: Workspace) -> list[str]:
    """Scenes that are kept out."""
    store = Store.open(workspace.monitor.store.url, base=workspace.folder, create=False)
    with store, store.reading() as session:
        return [row.scene_id for row in scenes.quarantined(session)]


def observation_places(workspace: Workspace) -> list[tuple[Any, ...]]:
    """What every acquisition showed, with the place of the warning that it belongs to."""
    homes = {row.warning_id: row for row in warning_rows(workspace)}
    store = Store.open(workspace.monitor.store.url, base=workspace.folder, create=False)
    with store, store.reading() as session:
        return [
            (
                row.acquisition_id,
                row.seq,
                row.confirmed,
                row.n_pixels,
                on_grid(row.geom).wkt,
                str(homes[row.warning_id].status),
                str(homes[row.warning_id].closed_reason),
                on_grid(homes[row.warning_id].geom).wkt,
            )
            for row in observations.load(session)
        ]


def on_grid(geometry: shapely.geometry.base.BaseGeometry) -> shapely.geometry.base.BaseGeometry:
    """Geometry of the store on the pixel lattice, in a normal form."""
    back = project(geometry, "EPSG:4674", CRS)
    snapped = shapely.transform(back, lambda xy: np.round(xy / 20) * 20)
    return shapely.normalize(shapely.union_all([snapped]))


def _place(row: WarningRow) -> tuple[Any, ...]:
    return (on_grid(row.geom).wkt, row.first_flag_date, str(row.status), str(row.closed_reason))


#: Attributes that may differ between a run that was interrupted and one that was not
#: (product.md 3, point 4): identities, the product clock, wall time, and the ledger.
CLOCK = frozenset(
    {
        "id",
        "warning_id",
        "merged_into",
        "issued_at",
        "confirmed_at",
        "delay_from_flag_days",
        "recorded_at",
        "updated_at",
        "run_id",
        "geom",
        "history",
    }
)


def state(workspace: Workspace) -> list[dict[str, Any]]:
    """Warnings not withdrawn, without identities and clock, in a fixed order."""
    found = []
    for row in warning_rows(workspace):
        if str(row.closed_reason) == "withdrawn":
            continue
        plain: dict[str, Any] = {"geometry": on_grid(row.geom).wkt}
        for column in WarningRow.__table__.columns:
            value = getattr(row, column.key)
            if column.key not in CLOCK:
                plain[column.key] = round(value, 9) if isinstance(value, float) else value
        plain["merged"] = row.merged_into is not None
        plain["seen"] = [[d, round(a, 9)] for d, a in row.history["area_ha"]]
        plain["marks"] = [row.history[name] for name in ("founding", "last", "confirming")]
        found.append(plain)
    return found


def at(workspace: Workspace, square: Square) -> list[WarningRow]:
    """Warnings, withdrawn ones included, that lie on a square, in the order of their issue."""
    hits = [r for r in warning_rows(workspace) if on_grid(r.geom).intersects(square.geometry)]
    return sorted(hits, key=lambda r: (r.issued_at, r.first_flag_date))


def write_masks(path: Path, squares: Sequence[Square]) -> None:
    """A vector layer of squares."""
    frame = gpd.GeoDataFrame(geometry=[s.geometry for s in squares], crs=CRS)
    frame.to_file(path, driver="GPKG")
