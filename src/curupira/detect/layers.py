"""Warning layers of a stack: what a notebook calls."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from curupira.blocks import Window, executor, split
from curupira.detect import inputs
from curupira.detect.block import Layers, StackBlock, block_layers
from curupira.detect.exceedance import NO_FLAG
from curupira.detect.geometry import angle_mask
from curupira.detect.params import DetectParams
from curupira.detect.periods import Periods, as_day, in_place, periods
from curupira.errors import ConfigError
from curupira.presets import Preset, load
from curupira.units import FLAG_EPOCH

__all__ = ["Layers", "StackBlock", "block_layers", "warning_layers"]

_ATTRS: dict[str, dict[str, str]] = {
    "n_alerts": {"long_name": "flagged images in the detection period; 255 not observed"},
    "first_flag": {"long_name": "day of the first flag (UTC)"},
    "last_flag": {"long_name": "day of the last flag (UTC)"},
    "excess_db": {"long_name": "largest drop below the threshold", "units": "dB"},
    "reference_db": {"long_name": "reference level, gamma0 VH", "units": "dB"},
    "threshold_db": {"long_name": "drop below the reference level that flags", "units": "dB"},
    "confidence": {"long_name": "confidence of a pixel, 0 to 1", "units": "1"},
}


def warning_layers(
    stack: xr.DataArray | xr.Dataset,
    on: date | str,
    preset: str | Path | Preset = "deter_r",
    distance_m: xr.DataArray | npt.NDArray[np.floating] | None = None,
    forest: xr.DataArray | npt.NDArray[np.generic] | None = None,
    *,
    block_px: int = 256,
) -> xr.Dataset:
    """Warning layers of a stack on one date.

    Parameters
    ----------
    stack
        ``(time, y, x)`` linear gamma0 VH, NaN or <= 0 missing; or a Dataset with ``vh`` and, if it
        has them, ``lia`` and ``angle`` (degrees, ``(y, x)`` or with time): without, their masks are
        skipped. ``time`` is naive UTC, in any order. A coordinate ``relative_orbit`` (or ``orbit``)
        along time keeps the orbits apart. A dask-backed stack is computed, of the images needed.
    on
        Day of the detection (UTC), itself included; later images are ignored.
    preset
        Name, ``.toml`` file or ``Preset``.
    distance_m
        ``(y, x)`` distance to known deforestation, metres; NaN, or None, takes Tmin.
    forest
        ``(y, x)``, non-zero is forest; elsewhere nothing is observed. None: everywhere.
    block_px
        Side of the blocks worked on at a time, pixels: bounds memory, does not change the result.

    Returns
    -------
    ``(y, x)`` ``n_alerts`` (uint8, 255 not observed), ``first_flag``, ``last_flag`` (whole days as
    datetime64[s], the coarsest unit that xarray keeps; NaT none), ``excess_db``, ``reference_db``,
    ``threshold_db``, ``confidence`` (float32). Coordinates and CRS are the stack's; attributes
    name the preset, its hash and the periods.

    Raises
    ------
    ConfigError
        If the preset, the date or ``block_px`` is wrong.
    InputError
        If the stack or a layer cannot be used, or its dates cannot carry the seasonal fit.
    """
    recipe = load(preset)
    params = DetectParams.from_preset(recipe)
    day = as_day(on)
    if block_px < 1:
        raise ConfigError(f"blocks of {block_px} pixels", where="block_px", remedy="use 256")
    vh = inputs.vh_of(stack)
    distance = inputs.distance_plane(distance_m, vh)
    mask = inputs.forest_plane(forest, vh)
    block = _selected(stack, vh, periods(day, params.period), params)
    block = replace(block, background=mask)
    layers = _by_blocks(block, day, params, distance, mask, block_px)
    return _dataset(layers, vh, recipe, day, periods(day, params.period))


def _by_blocks(
    block: StackBlock,
    day: date,
    params: DetectParams,
    distance: npt.NDArray[np.float32] | None,
    forest: npt.NDArray[np.bool_] | None,
    size: int,
) -> dict[str, npt.NDArray[np.generic]]:
    """Layers by name, computed block by block with a halo, in the threads of this process."""
    whole = Window(0, block.vh.shape[1], 0, block.vh.shape[2])

    def work(window: Window) -> tuple[Window, Layers]:
        outer = window.grow(params.halo, whole)
        part = block_layers(
            _part(block, outer),
            day,
            params,
            distance_m=None if distance is None else distance[outer.slices],
            forest=None if forest is None else forest[outer.slices],
            inner=window.relative_to(outer),
        )
        return window, part

    layers: dict[str, npt.NDArray[np.generic]] = {}
    with executor() as run:
        for window, part in run(work, split(whole, size)):
            for f in fields(part):
                values = getattr(part, f.name)
                target = layers.setdefault(f.name, np.empty(whole.shape, values.dtype))
                target[window.slices] = values
    return layers


def _selected(
    stack: xr.DataArray | xr.Dataset, vh: xr.DataArray, spans: Periods, params: DetectParams
) -> StackBlock:
    """Images of both periods in time order, as arrays, checked."""
    times, order = inputs.sorted_times(vh)
    learning, detection = spans.masks(times)
    keep = learning | detection
    if not keep.any():
        keep[-1] = True  # No image matters; one is enough to check the values and answer "255".
    order = order[keep]
    power = vh.isel(time=in_place(order)).to_numpy()
    inputs.check_power(power)
    lia = _degrees(stack, "lia", vh, order)
    angle = _degrees(stack, "angle", vh, order)
    if angle is not None:
        power = np.where(angle_mask(angle, params.geometry), power, np.nan)
    return StackBlock(
        vh=power,
        times=times[keep],
        vv=_vv(stack, vh, order, params),
        lia_deg=lia,
        orbit=inputs.orbits_of(stack, order),
    )


def _vv(
    stack: xr.DataArray | xr.Dataset,
    vh: xr.DataArray,
    order: npt.NDArray[np.intp],
    params: DetectParams,
) -> npt.NDArray[np.float32] | None:
    if not params.needs_vv or not isinstance(stack, xr.Dataset) or "vv" not in stack:
        return None
    vv = inputs.in_order(stack["vv"], ("time", "y", "x"), "vv").isel(time=in_place(order))
    power = vv.to_numpy().astype(np.float32, copy=False)
    inputs.check_power(power)
    return power


def _degrees(
    stack: xr.DataArray | xr.Dataset, name: str, vh: xr.DataArray, order: npt.NDArray[np.intp]
) -> npt.NDArray[np.float32] | None:
    if not isinstance(stack, xr.Dataset) or name not in stack:
        return None
    angles = stack[name]
    if "time" not in angles.dims:
        flat = inputs.in_order(angles, ("y", "x"), name).to_numpy().astype(np.float32)
        return np.broadcast_to(flat, (order.size, *flat.shape))
    ordered = inputs.in_order(angles, ("time", "y", "x"), name)
    values = ordered.isel(time=in_place(order)).to_numpy()
    return values.astype(np.float32, copy=False)


def _part(block: StackBlock, window: Window) -> StackBlock:
    index = (slice(None), *window.slices)
    return StackBlock(
        vh=block.vh[index].astype(np.float32, copy=False),
        times=block.times,
        vv=None if block.vv is None else block.vv[index],
        lia_deg=None if block.lia_deg is None else block.lia_deg[index],
        orbit=block.orbit,
        background=None if block.background is None else block.background[window.slices],
        origin=(window.y0, window.x0),
    )


def _dataset(
    layers: dict[str, npt.NDArray[np.generic]],
    vh: xr.DataArray,
    recipe: Preset,
    day: date,
    spans: Periods,
) -> xr.Dataset:
    planes = {
        name.removesuffix("_days"): _dates(values) if name.endswith("_days") else values
        for name, values in layers.items()
    }
    coords = {name: c for name, c in vh.coords.items() if "time" not in c.dims and name != "time"}
    grid_mapping = {k: v for k, v in vh.attrs.items() if k in ("crs", "grid_mapping")}
    grid_mapping |= {k: v for k, v in vh.encoding.items() if k == "grid_mapping"}
    found = xr.Dataset(
        {name: (("y", "x"), values, _ATTRS[name]) for name, values in planes.items()}, coords=coords
    )
    if "grid_mapping" in grid_mapping:
        for name in planes:
            found[name].encoding["grid_mapping"] = grid_mapping["grid_mapping"]
    if "crs" in grid_mapping:
        found.attrs["crs"] = grid_mapping["crs"]
    found.attrs |= {
        "preset": recipe.name,
        "preset_hash": recipe.hash,
        "on": day.isoformat(),
        "learning_period": "/".join(d.isoformat() for d in spans.learning),
        "detection_period": "/".join(d.isoformat() for d in spans.detection),
    }
    return found


def _dates(days: npt.NDArray[np.generic]) -> npt.NDArray[np.datetime64]:
    whole = days.astype(np.int64)
    dates = np.datetime64(FLAG_EPOCH, "D") + np.where(whole == NO_FLAG, 0, whole)
    dates = np.where(whole == NO_FLAG, np.datetime64("NaT", "D"), dates)
    return dates.astype("datetime64[s]")
