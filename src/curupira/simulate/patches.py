"""Events on the grid: which surface reaches a pixel, and on which day. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from curupira.simulate.events import Event
from curupira.simulate.fields import Field32, gaussian_field
from curupira.simulate.landscape import Landscape, burn
from curupira.simulate.params import District

Ints = npt.NDArray[np.int32]
Indices = npt.NDArray[np.signedinteger[Any]]
Days16 = npt.NDArray[np.int16]

#: Onset of a pixel that no event ever reaches.
NEVER = 32767
#: Surfaces within one event (ponds, spoil) are some pixels wide.
_PART_SIGMA_PX = 1.5


@dataclass(frozen=True)
class Patches:
    """Surfaces of events on the grid.

    ``patch`` int32 (y, x): number of the surface, 0 none; ``onset_days`` int16 (y, x): day since
    the world's first on which it appears; ``event_of`` (patch,): event of a surface, 0 for none;
    ``vh_drop_db`` and ``vv_drop_db`` (patch, pass): 0 before it begins.
    """

    patch: Ints
    onset_days: Days16
    event_of: Ints
    vh_drop_db: Field32
    vv_drop_db: Field32

    @property
    def event(self) -> Ints:
        """Number of the event at each pixel ``(y, x)``, 0 for none."""
        return np.asarray(self.event_of[self.patch])


def burn_patches(
    landscape: Landscape, events: list[Event], district: District, dates: int
) -> Patches:
    """Paint the events on the grid; each grows as a front across it, or along its stream."""
    patch = np.zeros(landscape.shape, dtype=np.int32)
    onset = np.full(landscape.shape, NEVER, dtype=np.int16)
    owners, parts = [0], []
    for event in events:
        if event.place is None:
            continue
        window, mask = burn(event.place.geometry, landscape.grid)
        rows, columns = np.nonzero(mask)
        rank = _rank(event, rows + window.y0, columns + window.x0, landscape, district)
        days = np.ceil(event.start_days + rank * event.growth_days)
        numbers = _split(event, mask, district)[rows, columns]
        painted = numbers >= 0
        rows, columns = rows[painted], columns[painted]
        patch[window.slices][rows, columns] = numbers[painted] + len(owners)
        onset[window.slices][rows, columns] = np.minimum(days[painted], NEVER - 1).astype(np.int16)
        owners += [event.event_id] * len(event.parts)
        parts += list(event.parts)
    return Patches(
        patch=patch,
        onset_days=onset,
        event_of=np.array(owners, dtype=np.int32),
        vh_drop_db=_table([p.vh_drop_db for p in parts], dates),
        vv_drop_db=_table([p.vv_drop_db for p in parts], dates),
    )


def _rank(
    event: Event, rows: Indices, columns: Indices, landscape: Landscape, district: District
) -> npt.NDArray[np.float64]:
    if event.course is None:
        heading = district.rng("front", event.event_id).uniform(0, 2 * np.pi)
        along = rows * np.sin(heading) + columns * np.cos(heading)
    else:
        affine = landscape.grid.affine
        x, y = affine.c + (columns + 0.5) * affine.a, affine.f + (rows + 0.5) * affine.e
        at = shapely.line_locate_point(event.course, shapely.points(x, y))
        along = np.abs(at - event.course.length / 2)
    order = np.argsort(np.argsort(along, kind="stable"), kind="stable")
    return np.asarray(order / max(along.size, 1), dtype=np.float64)


def _split(event: Event, mask: npt.NDArray[np.bool_], district: District) -> Ints:
    # Index of the part at each pixel, -1 where the trees stay.
    if len(event.parts) == 1 and event.parts[0].share >= 1:
        return np.zeros(mask.shape, dtype=np.int32)
    field = gaussian_field(mask.shape, _PART_SIGMA_PX, district.rng("parts", event.event_id))
    ranks = np.argsort(np.argsort(field[mask], kind="stable"), kind="stable") / mask.sum()
    ends = np.cumsum([part.share for part in event.parts])
    index = np.searchsorted(ends, ranks, side="right")
    out = np.full(mask.shape, -1, dtype=np.int32)
    out[mask] = np.where(index < len(event.parts), index, -1)
    return out


def _table(series: list[Field32], dates: int) -> Field32:
    table = np.zeros((len(series) + 1, dates), dtype=np.float32)
    for number, values in enumerate(series, start=1):
        table[number] = np.nan_to_num(values)
    return table
