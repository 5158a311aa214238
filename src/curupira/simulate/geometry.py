"""What the side-looking radar makes of relief and of the forest's edges. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from curupira.codes import OrbitState
from curupira.simulate.fields import Field32, gaussian_field
from curupira.simulate.params import District, EdgesWorld

Mask = npt.NDArray[np.bool_]


def near_range_step(state: OrbitState) -> int:
    """Step in columns towards the radar: it looks to the right, east of a descending pass."""
    return 1 if state is OrbitState.DESCENDING else -1


def slope_to_radar_deg(height_m: Field32, resolution_m: float, state: OrbitState) -> Field32:
    """Slope of the ground towards the radar, degrees ``(y, x)``: positive faces it."""
    rise = np.gradient(height_m, resolution_m, axis=1)
    # Ground that sinks towards the radar faces it.
    slope = np.degrees(np.arctan(-rise * near_range_step(state)))
    return np.asarray(slope, dtype=np.float32)


def local_incidence_deg(incidence_deg: float, slope_deg: Field32) -> Field32:
    """Local incidence angle in the range plane, degrees ``(y, x)``."""
    return np.asarray(np.abs(np.float32(incidence_deg) - slope_deg), dtype=np.float32)


def edge_db(
    clearing: Mask,
    forest: Mask,
    *,
    incidence_deg: float,
    state: OrbitState,
    resolution_m: float,
    p: EdgesWorld,
    district: District,
) -> Field32:
    """Shadow and layover of the forest's wall within clearings, dB ``(y, x)``, 0 elsewhere.

    A wall of height h throws a shadow of ``h tan(theta)`` onto the clearing's side that is nearer
    to the radar, and is laid over the last ``h / tan(theta)`` of the far side (method.md section
    4). The heights vary along the wall, so that it is ragged.

    Parameters
    ----------
    clearing, forest
        ``(y, x)`` bool, apart from each other.
    incidence_deg
        Incidence angle.
    state
        Direction of the pass, which says where the radar is.
    resolution_m
        Pixel size.
    p, district
        Heights and strengths, and the district's draws.
    """
    height = district.draw("wall height", p.height_m)
    ragged = gaussian_field(clearing.shape, 1.5, district.rng("wall"))
    heights = np.maximum(0, height * (1 + np.float32(p.ragged_share) * ragged)).astype(np.float32)
    tangent = np.tan(np.radians(incidence_deg))
    out = np.zeros(clearing.shape, dtype=np.float32)
    step = near_range_step(state)
    _wall(clearing, forest, heights, step, np.float32(tangent / resolution_m), p.shadow_db, out)
    far = np.float32(1 / tangent / resolution_m)
    _wall(clearing, forest, heights, -step, far, p.layover_db, out)
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _wall(
    clearing: Mask,
    forest: Mask,
    heights: Field32,
    step: int,
    pixels_per_metre: np.float32,
    strength_db: float,
    out: Field32,
) -> None:
    columns = clearing.shape[1]
    for y in range(clearing.shape[0]):
        for x in range(columns):
            if not clearing[y, x]:
                continue
            for k in range(1, 9):
                at = x + k * step
                if at < 0 or at >= columns:
                    break
                if forest[y, at]:
                    covered = heights[y, at] * pixels_per_metre - (k - 1)
                    out[y, x] += strength_db * min(max(covered, 0.0), 1.0)
                    break
                if not clearing[y, at]:
                    break
