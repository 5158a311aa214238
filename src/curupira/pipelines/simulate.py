"""Write a simulated district as the files of a workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pystac
from shapely.geometry.base import BaseGeometry

from curupira import presets
from curupira.blocks import executor
from curupira.cog import write_cog
from curupira.errors import ConfigError
from curupira.pipelines.simulate_truth import TRUTH, lonlat, write_area, write_masks, write_truth
from curupira.records import Asset, Scene
from curupira.simulate.backscatter import rounded
from curupira.simulate.district import SimulatedDistrict, simulate_district
from curupira.simulate.scenes import Pass
from curupira.stac import SIMULATED, scene_item, write_catalogue

Progress = Callable[[int, int], None]
Radiometry = Literal["gamma0", "sigma0"]

AREA, CATALOGUE = Path("area.geojson"), Path("catalog")


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
        catalogue_id=f"{SIMULATED}{scenario}-{seed}",
        description=f"Simulated Sentinel-1 {radiometry}, scenario {scenario}, seed {seed}",
    )
    write_area(folder / AREA, district)
    masks = write_masks(folder, district)
    write_truth(folder, district)
    return _record(folder, district, masks, len(items), chosen.name)


def _record(
    folder: Path, district: SimulatedDistrict, masks: dict[str, Path], scenes: int, preset: str
) -> SimulatedWorkspace:
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
        scenes=scenes,
        events=len(district.events),
        preset=preset,
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
    for number, piece in enumerate(slices(district, scene)):
        assets = dict(angles[scene.relative_orbit])
        for band, image in bands.items():
            path = images / scene.slice_name(number) / f"{band}.tif"
            inside = np.where(piece.inside, image, np.float32(np.nan))
            write_cog(path, inside[np.newaxis], grid, nodata=float("nan"))
            assets[band] = Asset(str(path))
        record = slice_scene(scene, number, piece, assets)
        yield scene_item(record, grid, radiometry=radiometry)


@dataclass(frozen=True)
class Slice:
    """One slice of a pass: its pixels ``(y, x)``, outline (longitude, latitude) and number."""

    inside: npt.NDArray[np.bool_] | np.bool_
    footprint: BaseGeometry
    number: int | None


def slices(district: SimulatedDistrict, scene: Pass) -> list[Slice]:
    """The slices of a pass that meet the district."""
    seam = district.views[scene.relative_orbit].seam
    if seam is None:
        outline = lonlat(district, district.landscape.grid.extent.geom)
        return [Slice(np.True_, outline, None)]
    first, second = (lonlat(district, footprint) for footprint in seam.footprints)
    return [Slice(seam.behind_m >= 0, first, 1), Slice(seam.behind_m < 0, second, 2)]


def slice_scene(scene: Pass, number: int, piece: Slice, assets: Mapping[str, Asset]) -> Scene:
    """The catalogue's record of the ``number``-th slice of a pass."""
    return Scene(
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
