"""Check a user's stack and turn it into plain arrays. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from curupira.errors import InputError

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

_DIMS = ("time", "y", "x")
#: Names of the coordinate along time that holds the relative orbit; the last is odc-stac's.
_ORBIT_NAMES = ("relative_orbit", "orbit", "sat:relative_orbit")
#: Linear gamma0 of land lies between 0 and about 10. Forest in dB lies near -13.
_IMPOSSIBLE_LOW, _IMPOSSIBLE_HIGH = -1.0, 100.0
_SHARE = 0.1


def vh_of(stack: xr.DataArray | xr.Dataset) -> xr.DataArray:
    """VH of a stack, with dimensions checked and in the order (time, y, x).

    Raises
    ------
    InputError
        If it is neither, has no ``vh``, other dimensions, no images, or integers.
    """
    if isinstance(stack, xr.Dataset):
        if "vh" not in stack:
            raise InputError(
                f"the stack has no variable vh (it has {', '.join(map(str, stack)) or 'none'})",
                where="stack",
                remedy='rename it: stack.rename({"VH": "vh"})',
            )
        vh = stack["vh"]
    elif isinstance(stack, xr.DataArray):
        vh = stack
    else:
        raise InputError(
            f"a {type(stack).__name__} is no stack",
            where="stack",
            remedy="give an xarray DataArray (time, y, x), or a Dataset with vh",
        )
    vh = in_order(vh, _DIMS, "stack")
    if 0 in vh.shape:
        raise InputError("the stack is empty", where="stack", remedy="select some images")
    if not np.issubdtype(vh.dtype, np.floating):
        raise InputError(
            f"the stack holds {vh.dtype}, not linear gamma0",
            where="stack",
            remedy="convert digital numbers or coded values to linear power (float32)",
        )
    return vh


def in_order(array: xr.DataArray, dims: tuple[str, ...], name: str) -> xr.DataArray:
    """Transpose to ``dims``.

    Raises
    ------
    InputError
        If the dimensions are others.
    """
    if set(array.dims) != set(dims):
        raise InputError(
            f"dimensions are ({', '.join(map(str, array.dims))}), not ({', '.join(dims)})",
            where=name,
            remedy="rename or squeeze them",
        )
    return array.transpose(*dims)


def sorted_times(vh: xr.DataArray) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.intp]]:
    """Time coordinate in order, and the order itself.

    Raises
    ------
    InputError
        If there is none, it is no datetime64, or a time is missing or repeated.
    """
    if "time" not in vh.coords or not np.issubdtype(vh["time"].dtype, np.datetime64):
        raise InputError(
            "time is missing or no datetime64",
            where="stack",
            remedy="give naive datetime64 times, meaning UTC",
        )
    times = vh["time"].to_numpy()
    if np.isnat(times).any():
        raise InputError("a time is missing (NaT)", where="stack", remedy="drop that image")
    order = np.argsort(times, kind="stable")
    times = times[order]
    repeated = np.flatnonzero(times[1:] == times[:-1])
    if repeated.size:
        raise InputError(
            f"time {times[repeated[0]]} occurs more than once",
            where="stack",
            remedy="mosaic the slices of one pass into one image first",
        )
    return times, order


def check_power(power: npt.NDArray[np.floating]) -> None:
    """Check by the values that ``(time, y, x)`` is linear power.

    Raises
    ------
    InputError
        If every value is missing, or a tenth lies where dB or digital numbers do.
    """
    valid = low = high = 0
    for image in power:
        valid += int(np.isfinite(image).sum())
        low += int((image < _IMPOSSIBLE_LOW).sum())
        high += int((image > _IMPOSSIBLE_HIGH).sum())
    if valid == 0:
        raise InputError(
            "every value of the stack is missing",
            where="stack",
            remedy="check the area, the nodata value and the dates",
        )
    if low > _SHARE * valid:
        raise InputError(
            f"{low / valid:.0%} of the values are negative: this looks like dB",
            where="stack",
            remedy="convert to linear power first: 10 ** (stack / 10)",
        )
    if high > _SHARE * valid:
        raise InputError(
            f"{high / valid:.0%} of the values exceed 100: this looks like digital numbers",
            where="stack",
            remedy="calibrate to linear gamma0 first",
        )


def orbits_of(
    stack: xr.DataArray | xr.Dataset, order: npt.NDArray[np.intp]
) -> npt.NDArray[np.int64] | None:
    """Relative orbits along time, in order, where the stack has such a coordinate.

    Raises
    ------
    InputError
        If they are no whole numbers.
    """
    for name in _ORBIT_NAMES:
        if name in stack.coords and stack[name].dims == ("time",):
            values = stack[name].to_numpy()
            if not np.issubdtype(values.dtype, np.number) or np.any(values != np.floor(values)):
                raise InputError(
                    f"{name} holds values that are no whole numbers",
                    where="stack",
                    remedy="give relative orbit numbers (1 to 175), or drop the coordinate",
                )
            return values.astype(np.int64)[order]
    return None


def plane(
    layer: xr.DataArray | npt.NDArray[np.generic] | None, like: xr.DataArray, name: str
) -> npt.NDArray[np.generic] | None:
    """Values of a ``(y, x)`` layer on the stack's pixels.

    Raises
    ------
    InputError
        If its shape or its coordinates are not the stack's.
    """
    if layer is None:
        return None
    if isinstance(layer, xr.DataArray):
        layer = in_order(layer, ("y", "x"), name)
        for axis in ("y", "x"):
            if axis in layer.coords and axis in like.coords:
                ours, theirs = like[axis].to_numpy(), layer[axis].to_numpy()
                if ours.shape == theirs.shape and not np.allclose(ours, theirs):
                    raise InputError(
                        f"its {axis} coordinates are not the stack's",
                        where=name,
                        remedy="resample it to the grid of the stack",
                    )
    values = np.asarray(layer)
    shape = (like.sizes["y"], like.sizes["x"])
    if values.shape != shape:
        raise InputError(
            f"shape {values.shape} is not the stack's {shape}",
            where=name,
            remedy="resample it to the grid of the stack",
        )
    return values


def distance_plane(
    distance_m: xr.DataArray | npt.NDArray[np.floating] | None, like: xr.DataArray
) -> FloatArray | None:
    """Distance to known deforestation on the stack's pixels, metres, NaN unknown.

    Raises
    ------
    InputError
        If it does not fit the stack, or is negative somewhere.
    """
    values = plane(distance_m, like, "distance_m")
    if values is None:
        return None
    distance = values.astype(np.float32)
    if np.any(distance < 0):
        raise InputError(
            "a distance is negative", where="distance_m", remedy="give metres; NaN where unknown"
        )
    return distance


def forest_plane(
    forest: xr.DataArray | npt.NDArray[np.generic] | None, like: xr.DataArray
) -> BoolArray | None:
    """Forest mask on the stack's pixels: true or non-zero is forest, NaN is not.

    Raises
    ------
    InputError
        If it does not fit the stack.
    """
    values = plane(forest, like, "forest")
    if values is None:
        return None
    if values.dtype == np.bool_:
        return values.astype(np.bool_)
    return np.asarray(np.nan_to_num(values.astype(np.float32), nan=0.0) != 0)
