"""How each orbit sees the district: incidence, slopes, walls of forest, slices. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from shapely import affinity
from shapely.geometry import Polygon, box

from curupira.codes import OrbitState
from curupira.simulate.events import Event
from curupira.simulate.fields import Field32
from curupira.simulate.geometry import edge_db, local_incidence_deg, slope_to_radar_deg
from curupira.simulate.landscape import Landscape
from curupira.simulate.params import District, World
from curupira.simulate.patches import Patches
from curupira.simulate.scenes import Pass

_WOODED = ("forest", "secondary", "flooded_forest", "stream")


@dataclass(frozen=True)
class Seam:
    """The border between two slices of a pass, where it crosses the district (grid CRS).

    ``behind_m`` float32 (y, x): distance along the track behind the seam (negative: ahead of it).
    """

    behind_m: Field32
    footprints: tuple[Polygon, Polygon]


@dataclass(frozen=True)
class View:
    """One orbit's view.

    ``static_db`` (y, x): lasting deviation from the covers' levels; ``edge_db`` (y, x): shadow and
    layover within events once they are cleared; ``lia_deg`` (y, x) local incidence.
    """

    relative_orbit: int
    incidence_deg: float
    static_db: Field32
    edge_db: Field32
    lia_deg: Field32
    seam: Seam | None


def build_views(
    world: World, district: District, landscape: Landscape, patches: Patches, passes: list[Pass]
) -> dict[int, View]:
    """Views of all orbits of the passes, by relative orbit."""
    orbits = {scene.relative_orbit: scene.orbit_state for scene in passes}
    leak = max(0.0, district.draw("slope leak", world.terrain.slope_leak))
    wooded = [n for n, kind in enumerate(landscape.covers.kind) if kind in _WOODED]
    clearing = patches.patch > 0
    forest = np.isin(landscape.cover, wooded) & ~clearing
    views = {}
    for orbit, state in orbits.items():
        angle = incidence_deg(world, district, orbit)
        slope = slope_to_radar_deg(landscape.height_m, world.place.resolution_m, state)
        walls = np.zeros(landscape.shape, dtype=np.float32)
        if world.edges.enabled:
            walls = edge_db(
                clearing,
                forest,
                incidence_deg=angle,
                state=state,
                resolution_m=world.place.resolution_m,
                p=world.edges,
                district=district,
            )
        views[orbit] = View(
            relative_orbit=orbit,
            incidence_deg=angle,
            static_db=landscape.texture_db + np.float32(leak) * slope,
            edge_db=walls,
            lia_deg=local_incidence_deg(angle, slope),
            seam=_seam(world, district, landscape, orbit, state),
        )
    return views


def incidence_deg(world: World, district: District, relative_orbit: int) -> float:
    """Incidence angle of an orbit at the district's centre."""
    drawn = district.draw(f"incidence {relative_orbit}", world.acquisition.incidence_deg)
    return float(np.clip(drawn, 31.0, 45.0))


def with_edges(
    events: list[Event], patches: Patches, views: dict[int, View], passes: list[Pass]
) -> list[Event]:
    """Events that know what shadow and layover add to their mean power at every pass."""
    event = patches.event.ravel()
    inside = np.flatnonzero(event)
    count = max((e.event_id for e in events), default=0) + 1
    pixels = np.maximum(np.bincount(event[inside], minlength=count), 1)
    mean_db = {}
    for orbit, view in views.items():
        power = np.power(10.0, view.edge_db.ravel()[inside] / 10)
        mean = np.bincount(event[inside], weights=power, minlength=count) / pixels
        mean_db[orbit] = 10 * np.log10(np.where(mean > 0, mean, 1))
    return [
        replace(
            item,
            edge_db=np.array(
                [mean_db[scene.relative_orbit][item.event_id] for scene in passes], dtype=np.float32
            ),
        )
        for item in events
    ]


def _seam(
    world: World, district: District, landscape: Landscape, orbit: int, state: OrbitState
) -> Seam | None:
    p = world.acquisition
    west, south, east, north = landscape.grid.extent.boundingbox
    rng = district.rng("seam", orbit)
    if rng.random() >= (north - south) / 1000 / p.slice_km:
        return None
    x, y = (west + east) / 2, rng.uniform(south, north)
    tilt = np.radians(p.heading_deg)
    # Unit vector of flight: south-south-west descending, north-north-west ascending.
    sign = -1 if state is OrbitState.DESCENDING else 1
    flight = np.array([-np.sin(tilt), sign * np.cos(tilt)])
    rows, columns = landscape.shape
    step = world.place.resolution_m
    px = west + (np.arange(columns, dtype=np.float32) + 0.5) * step - x
    py = north - (np.arange(rows, dtype=np.float32) + 0.5) * step - y
    behind: npt.NDArray[np.float64] = -(
        px[np.newaxis, :] * flight[0] + py[:, np.newaxis] * flight[1]
    )
    half, length = p.swath_km * 500, p.slice_km * 1000
    heading = float(np.degrees(np.arctan2(flight[1], flight[0])))
    footprints = []
    for begin, end in ((-length, 0.0), (0.0, length)):
        along = affinity.rotate(box(begin, -half, end, half), heading, origin=(0, 0))
        footprints.append(affinity.translate(along, x, y))
    return Seam(behind.astype(np.float32), (footprints[0], footprints[1]))
