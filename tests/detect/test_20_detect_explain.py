"""Explain: every step of one pixel."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import xarray as xr

import curupira as cp
from curupira import presets
from curupira.detect.layers import warning_layers
from curupira.errors import ConfigError, InputError

ON = "2023-06-28"


def _series(seed: int = 0) -> Any:
    times = np.datetime64("2021-01-03T09:45", "ns") + np.arange(90) * np.timedelta64(12, "D")
    rng = np.random.default_rng(seed)
    years = (times - np.datetime64("2016-01-01")) / np.timedelta64(1, "D") / 365.25
    db = -13 + 0.8 * np.cos(2 * np.pi * years) + rng.normal(0, 0.3, 90)
    db[73:] -= 4
    db[20] = np.nan
    return xr.DataArray((10 ** (db / 10)).astype(np.float32), dims="time", coords={"time": times})


def test_the_steps_add_up() -> None:
    found = cp.detect.explain(_series(), on=ON, preset="deter_r", distance_m=1000.0)
    assert set(found) == {
        "gamma0_db",
        "season_db",
        "stabilised_db",
        "period",
        "reference_db",
        "threshold_db",
        "limit_db",
        "flag",
        "excess_db",
    }
    np.testing.assert_allclose(
        found["stabilised_db"], found["gamma0_db"] - found["season_db"], atol=1e-4
    )
    np.testing.assert_allclose(found["threshold_db"], 2.474, atol=1e-3)
    np.testing.assert_allclose(
        found["limit_db"], found["reference_db"] - found["threshold_db"], atol=1e-5
    )
    detection = found["period"] == "detection"
    np.testing.assert_allclose(
        found["excess_db"][detection],
        (found["limit_db"] - found["stabilised_db"])[detection],
        atol=1e-5,
    )
    assert not found["flag"][~detection].any()
    assert np.isnan(found["excess_db"][~detection]).all()


def test_periods_reference_and_flags() -> None:
    found = cp.detect.explain(_series(), ON)
    times = found["time"].to_numpy()
    assert times.min() >= np.datetime64("2021-04-29")
    assert times.max() < np.datetime64("2023-06-29")
    learning = found["period"] == "learning"
    assert times[learning].max() < np.datetime64("2023-04-29") <= times[~learning].min()
    median = 10 * np.log10(np.nanmedian(10 ** (found["stabilised_db"][learning] / 10)))
    np.testing.assert_allclose(found["reference_db"], median, atol=1e-3)
    cleared = times >= _series()["time"].to_numpy()[73]
    np.testing.assert_array_equal(found["flag"], cleared)


def test_the_season_is_the_harmonic() -> None:
    season = cp.detect.explain(_series(), ON, presets.load("sensitive"))["season_db"]
    # Fitted on learning images only, so the clearing does not bend it.
    assert float(season.max()) == pytest.approx(0.8, abs=0.15)
    assert float(season.min()) == pytest.approx(-0.8, abs=0.15)
    none = cp.detect.explain(_series(), ON, presets.load("deter_r").replace(season="none"))
    np.testing.assert_allclose(none["season_db"].dropna("time"), 0, atol=1e-6)


@pytest.mark.parametrize("name", presets.names("detect"))
def test_it_agrees_with_the_layers_of_the_same_pixel(name: str) -> None:
    recipe = presets.load(name).replace(quegan_yu=False, refined_lee="none")
    series = _series(4)
    layers = warning_layers(series.expand_dims(y=1, x=1), ON, recipe)
    steps = cp.detect.explain(series, ON, recipe)
    assert int(layers["n_alerts"][0, 0]) == int(steps["flag"].sum()) > 0
    assert float(layers["reference_db"][0, 0]) == float(steps["reference_db"][0])
    assert float(layers["excess_db"][0, 0]) == float(steps["excess_db"].max())
    first = steps["time"][steps["flag"]].to_numpy().min().astype("datetime64[D]")
    assert layers["first_flag"].to_numpy()[0, 0] == first


def test_a_lone_pixel_is_judged_by_its_series_alone() -> None:
    both = xr.Dataset({"vh": _series(4), "vv": _series(5)}).expand_dims(y=1, x=1)
    recipe = presets.load("curupira")
    alone = recipe.replace(verify="none", screen="none")
    xr.testing.assert_equal(warning_layers(both, ON, recipe), warning_layers(both, ON, alone))
    assert float(warning_layers(both, ON, recipe)["confidence"][0, 0]) > 0.99


def test_every_form_of_one_pixel_gives_the_same() -> None:
    series = _series()
    plain = cp.detect.explain(series, ON)
    cube = series.expand_dims(y=[9.0], x=[5.0])
    for form in (
        cube,
        cube.transpose("time", "y", "x"),
        cube.isel(y=0, x=0),
        series.to_dataset(name="vh"),
        series[::-1],
    ):
        xr.testing.assert_identical(cp.detect.explain(form, ON), plain)


def test_each_orbit_has_its_own_reference() -> None:
    series = _series()
    other = (series * 2).assign_coords(time=series["time"] + np.timedelta64(5, "D"))
    both = xr.concat([series, other], "time").assign_coords(
        relative_orbit=("time", [39] * 90 + [141] * 90)
    )
    found = cp.detect.explain(both, ON, presets.load("deter_r").replace(orbits="all"))
    levels = np.unique(found["reference_db"].to_numpy())
    assert len(levels) == 2
    assert levels[1] - levels[0] == pytest.approx(3.01, abs=0.05)
    assert bool((np.diff(found["time"].to_numpy()) > np.timedelta64(0)).all())
    same = cp.detect.explain(both, ON)
    assert len(np.unique(same["reference_db"])) == 1


def test_too_few_images_explain_nothing() -> None:
    assert cp.detect.explain(_series()[65:], ON).sizes["time"] == 0


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: s.expand_dims(y=[0.0, 1.0], x=[0.0]), "2 x 1 pixels, not one"),
        (lambda s: s.rename(time="t"), "dimensions"),
        (lambda s: 10 * np.log10(s), "dB"),
        (lambda s: s.to_numpy(), "ndarray is no stack"),
    ],
)
def test_an_unusable_series_is_refused(spoil: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        cp.detect.explain(spoil(_series()), ON)


def test_a_wrong_date_is_refused() -> None:
    with pytest.raises(ConfigError, match="not an ISO date"):
        cp.detect.explain(_series(), "yesterday")


def test_the_package_gives_functions_not_modules_and_loads_no_kernels() -> None:
    code = (
        "import sys, curupira.detect.params, curupira.detect.explain, curupira as cp\n"
        "assert 'numba' not in sys.modules and 'xarray' not in sys.modules\n"
        "assert callable(cp.detect.explain) and callable(cp.detect.warning_layers)\n"
        "import curupira.detect.explain\n"
        "assert callable(cp.detect.explain)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
