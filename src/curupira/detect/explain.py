"""Explain one pixel: every step of the detection along time, for a plot."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from curupira.detect.params import DetectParams
from curupira.detect.periods import as_day, periods
from curupira.errors import InputError
from curupira.presets import Preset, load

if TYPE_CHECKING:
    import xarray as xr


def explain(
    stack_1px: xr.DataArray | xr.Dataset,
    on: date | str,
    preset: str | Path | Preset = "deter_r",
    distance_m: float | None = None,
) -> xr.Dataset:
    """Every step of one pixel; the spatial filters are skipped.

    Parameters
    ----------
    stack_1px
        ``(time,)`` or ``(time, 1, 1)`` linear gamma0 VH, as in `warning_layers`.
    on, preset
        As in `warning_layers`.
    distance_m
        Distance to known deforestation, metres; NaN or None takes Tmin.

    Returns
    -------
    Along ``time``, the images of both periods (and of the orbits that the preset uses):
    ``gamma0_db``, ``season_db`` (what the stabilisation took away), ``stabilised_db``, ``period``
    (``"learning"`` or ``"detection"``), ``reference_db``, ``threshold_db`` (positive drop),
    ``limit_db`` (reference - threshold), ``flag`` (detection images only), ``excess_db`` (limit -
    stabilised, positive below the limit; NaN in the learning period). With evidence also
    ``log_ratio`` (what each image says for a clearing, VH alone, nats), and ``flag`` marks the
    images that support the excursion. Empty without enough learning images. Not skipped but
    impossible here: LIA and angle masks.

    Raises
    ------
    ConfigError
        If the preset or the date is wrong.
    InputError
        If the series cannot be used, or holds more than one pixel.
    """
    # Loaded here: this module is imported with the package, xarray and the kernels are heavy.
    import xarray as xr

    from curupira.detect.threshold import threshold_db
    from curupira.units import to_db

    params = DetectParams.from_preset(load(preset))
    day = as_day(on)
    power, times, orbit = _one_pixel(stack_1px)
    db = to_db(power)
    stable, reference, said, used = _against_past(power, times, orbit, day, params)
    distance = None if distance_m is None else np.array(distance_m, dtype=np.float64)
    drop = threshold_db(distance, params.threshold)
    detected = periods(day, params.period).masks(times)[1]
    limit = reference - drop
    with_evidence = params.evidence.evidence == "accumulated"
    excess = np.where(detected, limit - stable[:, 0, 0], np.float32(np.nan))
    along = {
        "gamma0_db": db[:, 0, 0],
        "season_db": (db - stable)[:, 0, 0],
        "stabilised_db": stable[:, 0, 0],
        "period": np.where(detected, "detection", "learning"),
        "reference_db": reference,
        "threshold_db": np.full(times.size, drop, dtype=np.float32),
        "limit_db": limit,
        "flag": _supports(said, times, distance, params) if with_evidence else excess > 0,
        "excess_db": excess,
    }
    if with_evidence:
        along["log_ratio"] = said
    return xr.Dataset(
        {name: (("time",), values[used]) for name, values in along.items()},
        coords={"time": times[used]},
    )


def _against_past(
    power: npt.NDArray[np.float32],
    times: npt.NDArray[np.datetime64],
    orbit: npt.NDArray[np.integer] | None,
    day: date,
    params: DetectParams,
) -> tuple[
    npt.NDArray[np.float32],
    npt.NDArray[np.float32],
    npt.NDArray[np.float32],
    npt.NDArray[np.bool_],
]:
    """Each image beside the past of its own orbit.

    ``(time, 1, 1)`` without season, dB; and along time the reference level, the log-ratio, and
    whether the image is used. NaN where it is not.
    """
    from curupira.detect import baseline
    from curupira.units import to_db

    reference = np.full(times.size, np.nan, dtype=np.float32)
    stable = np.full(power.shape, np.nan, dtype=np.float32)
    used = np.zeros(times.size, dtype=np.bool_)
    said = np.full(times.size, np.nan, dtype=np.float32)
    unfiltered = params.unfiltered
    for images, learning in baseline.baselines(times, orbit, day, params):
        stable[images] = to_db(
            baseline.deseasonalise(power[images], times[images], learning, params)
        )
        part = baseline.one_baseline(power[images], times[images], learning, None, unfiltered)
        reference[images] = part.reference_db[0, 0]
        used[images] = True
        if part.ratio is not None:
            said[images[~learning]] = part.ratio[:, 0, 0]
    return stable, reference, said, used


def _supports(
    said: npt.NDArray[np.float32],
    times: npt.NDArray[np.datetime64],
    distance_m: npt.NDArray[np.float64] | None,
    params: DetectParams,
) -> npt.NDArray[np.bool_]:
    """Images that support the excursion in which the issue level was reached."""
    from curupira.detect.evidence import accumulate, distance_prior
    from curupira.detect.periods import days_since_2020

    days = days_since_2020(times)
    prior = distance_prior(distance_m, params.evidence, params.threshold)
    sums = accumulate(said[:, np.newaxis, np.newaxis], days, params.evidence, prior)
    begun = (sums.n_alerts[0, 0] > 0) & (days >= sums.first_flag_days[0, 0])
    return np.asarray(begun & (said > 0))


def _one_pixel(
    series: xr.DataArray | xr.Dataset,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.datetime64], npt.NDArray[np.integer] | None]:
    """Checked power ``(time, 1, 1)``, times and orbits, in time order."""
    from curupira.detect import inputs

    for axis in ("y", "x"):
        if hasattr(series, "expand_dims") and axis not in series.dims:
            # A pixel selected by isel keeps its place as a scalar coordinate of that name.
            series = series.expand_dims(axis)
    vh = inputs.vh_of(series)
    if vh.shape[1:] != (1, 1):
        raise InputError(
            f"the stack has {vh.shape[1]} x {vh.shape[2]} pixels, not one",
            where="stack_1px",
            remedy="select one: stack.isel(y=10, x=20)",
        )
    times, order = inputs.sorted_times(vh)
    power = vh.isel(time=order).to_numpy().astype(np.float32)
    inputs.check_power(power)
    return power, times, inputs.orbits_of(series, order)
