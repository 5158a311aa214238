"""Write a simulated district as the files of a workspace."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyogrio
import pystac
import shapely
from shapely.geometry.base import BaseGeometry

from curupira import presets
from curupira.blocks import executor
from curupira.cog import write_atomic, write_cog
from curupira.errors import ConfigError
from curupira.grid import LONLAT, SIRGAS_2000, project
from curupira.records import Asset, Scene
from curupira.simulate.backscatter import rounded
from curupira.simulate.district import SimulatedDistrict, simulate_district
from curupira.simulate.scenes import Pass
from curupira.simulate.truth import acquisition_row, event_row
from curupira.stac import scene_item, write_catalogue

Progress = Callable[[int, int], None]
Radiometry = Literal["gamma0", "sigma0"]
Feature = tuple[BaseGeometry, dict[str, Any]]

AREA, CATALOGUE, TRUTH = Path("area.geojson"), Path("catalog"), Path("truth.gpkg")


@dataclass(frozen=True, slots=True)
class SimulatedWorkspace:
    """What was written; paths are relative to ``folder``.

    ``masks`` maps the role of a layer (``deforestation``, ``water``, ``non_forest``) to its file;
    roles that the district has nothing of are absent.
    """

    folder: Path
    area: Path
    catalogue: Path
    masks: dict[str, Path]
    truth: Path
    first: date
    last: date
    monitor_since: date
    crs: str
    relative_orbits: tuple[int, ...]
    scenes: int
    events: int
    preset: str


def simulate_workspace(
    folder: Path,
    *,
    size_km: float = 10,
    years: float = 4,
    revisit_days: int = 12,
    seed: int = 1,
    scenario: str = "default",
    preset: str = presets.DEFAULT,
    radiometry: Radiometry = "gamma0",
    progress: Progress | None = None,
) -> SimulatedWorkspace:
    """Simulate a district and write its images, masks and truth; not its ``monitor.toml``.

    Parameters
    ----------
    folder
        New or empty. Gets ``catalog/`` (STAC and COGs), ``masks/``, ``area.geojson``,
        ``truth.gpkg`` (layers ``event`` and ``acquisition``) and ``truth/`` (rasters).
    size_km, years, revisit_days, seed, scenario
        See ``simulate_district``.
    preset
        Checked and handed on: the preset that the workspace will run with.
    radiometry
        What the images hold; ``sigma0 = gamma0 cos(LIA)``, as before the correction of terrain.
    progress
        Called with scenes done and scenes in all.

    Raises
    ------
    ConfigError
        If an argument is out of range, or the folder is not empty.
    StoreError
        If the disk refuses.
    """
    chosen = presets.load(preset)
    _refuse_used(folder)
    district = simulate_district(
        size_km=size_km, years=years, revisit_days=revisit_days, seed=seed, scenario=scenario
    )
    items = list(_write_scenes(folder, district, radiometry, progress))
    write_catalogue(
        folder / CATALOGUE,
        items,
        catalogue_id=f"curupira-simulated-{scenario}-{seed}",
        description=f"Simulated Sentinel-1 {radiometry}, scenario {scenario}, seed {seed}",
    )
    _write_area(folder / AREA, district)
    masks = _write_masks(folder, district)
    _write_truth(folder, district)
    return SimulatedWorkspace(
        folder=folder,
        area=AREA,
        catalogue=CATALOGUE / "catalog.json",
        masks=masks,
        truth=TRUTH,
        first=district.passes[0].day,
        last=district.passes[-1].day,
        monitor_since=district.since,
        crs=str(district.landscape.grid.crs),
        relative_orbits=tuple(sorted({p.relative_orbit for p in district.passes})),
        scenes=len(items),
        events=len(district.events),
        preset=chosen.name,
    )


def _refuse_used(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(
            "exists and is not an empty folder", where=folder, remedy="give a new folder"
        )


def _write_scenes(
    folder: Path, district: SimulatedDistrict, radiometry: Radiometry, progress: Progress | None
) -> Iterable[pystac.Item]:
    images = (folder / CATALOGUE / "scenes").resolve()
    angles = {orbit: _write_angles(images, district, orbit) for orbit in district.views}

    def write(position: int) -> list[pystac.Item]:
        return list(_write_pass(images, district, position, angles, radiometry))

    total = len(district.passes)
    with executor() as run:
        for done, items in enumerate(run(write, range(total)), start=1):
            yield from items
            if progress is not None:
                progress(done, total)


def _write_angles(images: Path, district: SimulatedDistrict, orbit: int) -> dict[str, Asset]:
    """Local incidence, and incidence on the ellipsoid (one angle: districts are narrow)."""
    view = district.views[orbit]
    written = {}
    for name, degrees in (
        ("lia", view.lia_deg),
        ("angle", np.full_like(view.lia_deg, view.incidence_deg)),
    ):
        path = images / f"{name}_R{orbit:03d}.tif"
        write_cog(path, degrees[np.newaxis], district.landscape.grid, nodata=float("nan"))
        written[name] = Asset(str(path))
    return written


def _write_pass(
    images: Path,
    district: SimulatedDistrict,
    position: int,
    angles: dict[int, dict[str, Asset]],
    radiometry: Radiometry,
) -> Iterable[pystac.Item]:
    scene, grid = district.passes[position], district.landscape.grid
    bands = dict(zip(("vh", "vv"), district.renderer.image(position), strict=True))
    if radiometry == "sigma0":
        cosine = np.cos(np.deg2rad(district.views[scene.relative_orbit].lia_deg))
        bands = {name: rounded(image * cosine) for name, image in bands.items()}
    for number, piece in enumerate(_slices(district, scene)):
        assets = dict(angles[scene.relative_orbit])
        for band, image in bands.items():
            path = images / scene.slice_name(number) / f"{band}.tif"
            inside = np.where(piece.inside, image, np.float32(np.nan))
            write_cog(path, inside[np.newaxis], grid, nodata=float("nan"))
            assets[band] = Asset(str(path))
        record = Scene(
            scene_id=scene.slice_name(number),
            platform=scene.platform,
            acquired=scene.slice_time(number),
            created=scene.created + (scene.slice_time(number) - scene.acquired),
            relative_orbit=scene.relative_orbit,
            orbit_state=scene.orbit_state,
            footprint=piece.footprint,
            assets=assets,
            slice_number=piece.number,
        )
        yield scene_item(record, grid, radiometry=radiometry)


@dataclass(frozen=True)
class _Slice:
    inside: npt.NDArray[np.bool_] | np.bool_
    footprint: BaseGeometry
    number: int | None


def _slices(district: SimulatedDistrict, scene: Pass) -> list[_Slice]:
    seam = district.views[scene.relative_orbit].seam
    if seam is None:
        outline = _lonlat(district, district.landscape.grid.extent.geom)
        return [_Slice(np.True_, outline, None)]
    first, second = (_lonlat(district, footprint) for footprint in seam.footprints)
    return [_Slice(seam.behind_m >= 0, first, 1), _Slice(seam.behind_m < 0, second, 2)]


def _lonlat(district: SimulatedDistrict, geometry: BaseGeometry) -> BaseGeometry:
    # Straight edges of the grid bend in longitude and latitude.
    return project(shapely.segmentize(geometry, 1000), str(district.landscape.grid.crs), LONLAT)


def _write_area(path: Path, district: SimulatedDistrict) -> None:
    # A metre inside: the monitoring grid over it is then exactly the district.
    inside = district.landscape.grid.extent.geom.buffer(-1, join_style="mitre")
    feature = {
        "type": "Feature",
        "properties": {"name": "simulated district"},
        "geometry": shapely.geometry.mapping(_lonlat(district, inside)),
    }
    text = json.dumps({"type": "FeatureCollection", "features": [feature]})
    write_atomic(path, text.encode())


def _write_masks(folder: Path, district: SimulatedDistrict) -> dict[str, Path]:
    land = district.landscape
    old: list[Feature] = [
        (lot.geometry, {"date": lot.cleared.isoformat(), "cover": lot.cover})
        for lot in land.old_clearings
    ]
    past: list[Feature] = [
        (e.place.geometry, {"date": _day(district, e.start_days), "cover": e.kind})
        for e in district.events
        if e.in_map and e.place is not None
    ]
    layers: dict[str, list[Feature]] = {
        "deforestation": old + past,
        "water": [(geometry, {"class": "water"}) for geometry in land.water],
        "non_forest": [(geometry, {"class": "non_forest"}) for geometry in land.non_forest],
    }
    written = {}
    for role, rows in layers.items():
        if rows:
            written[role] = Path("masks") / f"{role}.gpkg"
            frame = _frame(district, [g for g, _ in rows], [a for _, a in rows])
            _write_layers(folder / written[role], {role: frame})
    return written


def _day(district: SimulatedDistrict, days: int) -> str:
    return (district.world.place.first_day + timedelta(days=days)).isoformat()


def _frame(
    district: SimulatedDistrict, geometries: list[BaseGeometry], rows: list[dict[str, Any]]
) -> gpd.GeoDataFrame:
    frame = gpd.GeoDataFrame(rows, geometry=geometries, crs=str(district.landscape.grid.crs))
    return frame.to_crs(SIRGAS_2000)


def _write_layers(path: Path, layers: dict[str, pd.DataFrame]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.stem}.part.gpkg")
    beside.unlink(missing_ok=True)
    for name, frame in layers.items():
        pyogrio.write_dataframe(frame, beside, layer=name, driver="GPKG", append=beside.exists())
    os.replace(beside, path)


def _write_truth(folder: Path, district: SimulatedDistrict) -> None:
    land, renderer = district.landscape, district.renderer
    first = district.world.place.first_day
    placed = [e for e in district.events if e.place is not None]
    events = _frame(
        district,
        [e.place.geometry for e in placed if e.place is not None],
        [event_row(e, district.timeline, first) for e in placed],
    )
    rows = []
    coarse = land.grid.zoom_out(renderer.coarse_step)
    shape = tuple(int(n) for n in coarse.shape)
    for position, scene in enumerate(district.passes):
        loss = renderer.rain_db(position)[: shape[0], : shape[1]]
        mask = loss > district.world.rain.mask_db
        rows.append(acquisition_row(scene, float(district.wetness[position]), float(mask.mean())))
        if mask.any():
            path = folder / "truth" / f"rain_{scene.name}.tif"
            write_cog(path, mask.astype(np.uint8)[np.newaxis], coarse, nodata=None)
    _write_layers(folder / TRUTH, {"event": events, "acquisition": pd.DataFrame(rows)})
    kinds = sorted(set(land.covers.kind))
    code = np.array([kinds.index(kind) for kind in land.covers.kind], dtype=np.uint8)
    write_cog(
        folder / "truth" / "cover.tif",
        code[land.cover][np.newaxis],
        land.grid,
        nodata=None,
        tags={"classes": ",".join(f"{i}={kind}" for i, kind in enumerate(kinds))},
    )
    write_cog(
        folder / "truth" / "event.tif", district.patches.event[np.newaxis], land.grid, nodata=0
    )
