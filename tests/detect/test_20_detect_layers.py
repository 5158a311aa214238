"""Warning layers: the chain, its inputs, the statuses of a pixel over the dates."""

from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr

import curupira as cp
from curupira import presets
from curupira.blocks import Window
from curupira.codes import NOT_OBSERVED
from curupira.detect.layers import StackBlock, block_layers, warning_layers
from curupira.detect.params import DetectParams
from curupira.detect.quegan_yu import quegan_yu
from curupira.detect.refined_lee import refined_lee
from curupira.errors import ConfigError, InputError

START = np.datetime64("2021-01-03T09:45", "ns")
ON = "2023-06-28"
#: No spatial step, so that every pixel stands for itself.
PIXELWISE = presets.load("deter_r").replace(quegan_yu=False, refined_lee="none", season="none")


def _times(n: int, step: int = 12) -> npt.NDArray[np.datetime64]:
    return START + np.arange(n) * np.timedelta64(step, "D")


def _speckled(shape: tuple[int, int, int], seed: int = 0, enl: float = 9.5) -> npt.NDArray[Any]:
    rng = np.random.default_rng(seed)
    return (10**-1.3 * rng.gamma(enl, 1 / enl, shape)).astype(np.float32)


def _stack(power: npt.NDArray[Any], times: npt.NDArray[np.datetime64] | None = None) -> Any:
    n, ny, nx = power.shape
    return xr.DataArray(
        power,
        dims=("time", "y", "x"),
        coords={
            "time": _times(n) if times is None else times,
            "y": 9_000_000 - 20.0 * np.arange(ny),
            "x": 500_000 + 20.0 * np.arange(nx),
        },
        name="vh",
    )


def _noisy(seed: int = 0, size: tuple[int, int] = (30, 37)) -> Any:
    """Speckle, season, a clearing, scattered and wedge-shaped gaps; 76 images to ON."""
    power = _speckled((76, *size), seed)
    years = (_times(76) - START) / np.timedelta64(1, "D") / 365.25
    power *= 10 ** (0.04 * np.cos(2 * np.pi * years))[:, None, None].astype(np.float32)
    power[73:, 8:22, 10:24] *= 10**-0.4
    power[np.random.default_rng(seed + 1).random(power.shape) < 0.01] = np.nan
    power[::9, :6, :] = 0
    return _stack(power)


def _assert_same(one: xr.Dataset, other: xr.Dataset) -> None:
    assert set(one) == set(other)
    for name in one:
        np.testing.assert_array_equal(one[name].to_numpy(), other[name].to_numpy(), str(name))


# --- the chain ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["deter_r", "deter_r_paper", "sensitive"])
def test_against_a_chain_written_out(name: str) -> None:
    stack = _noisy()
    distance = np.geomspace(10, 20_000, 30 * 37).reshape(30, 37)
    distance[3, 4] = np.nan
    found = warning_layers(stack, ON, name, distance_m=distance)
    options = {k: v for section in presets.load(name).sections.values() for k, v in section.items()}
    expected = _slow_chain(stack, distance, options)
    np.testing.assert_allclose(found["reference_db"], expected["reference_db"], atol=2e-4)
    np.testing.assert_allclose(found["threshold_db"], expected["threshold_db"], atol=1e-6)
    np.testing.assert_allclose(found["excess_db"], expected["excess_db"], atol=2e-2)
    close = np.isclose(expected["margin"], 0, atol=2e-3)
    assert close.mean() < 0.05
    for layer in ("n_alerts", "first_flag"):
        np.testing.assert_array_equal(
            found[layer].to_numpy()[~close], expected[layer][~close], layer
        )
    assert (found["n_alerts"] > 0).sum() > 50


def _slow_chain(stack: Any, distance: npt.NDArray[Any], o: dict[str, Any]) -> dict[str, Any]:
    """Formulas of method.md section 0 by least squares, medians and loops over images."""
    times = stack["time"].to_numpy()
    # ON = 2023-06-28: detection from 2023-04-29; learning two years before, or all there is.
    learning = times < np.datetime64("2023-04-29")
    if o["learning_months"] == 24:
        keep = times >= np.datetime64("2021-04-29")
        stack, times, learning = stack[keep], times[keep], learning[keep]
    power = np.where(stack.to_numpy() > 0, stack.to_numpy(), np.nan)

    def smooth(p: npt.NDArray[Any]) -> npt.NDArray[Any]:
        kept = quegan_yu(
            p.astype(np.float32),
            window=o["expectation_window"],
            kind=o["expectation"],
            keep=~learning,
        )
        if o["refined_lee"] == "none":
            return kept
        return np.stack([refined_lee(i, side=o["refined_lee"], clamp=o["lee_clamp"]) for i in kept])

    if o["season_order"] == "before":
        power = _slow_season(power, times, learning, o)
        detected = smooth(power)
        learned = power[learning]
    else:
        mixed = power.copy()
        mixed[~learning] = smooth(power)
        steady = _slow_season(mixed, times, learning, o)
        detected, learned = steady[~learning], steady[learning]
    reference = 10 * np.log10(np.nanmedian(learned, axis=0))
    d = np.minimum(distance, o["max_distance_m"])
    z = (np.log10(d) - o["distance_mu"]) / (2 * o["distance_s"])
    low, high = o["threshold_min"], o["threshold_max"]
    if o["threshold_law"] == "cdf":
        t = low + (high - low) * (0.5 + 0.5 * np.tanh(z))
    else:
        t = np.where(z < 0, low, high - (high - low) / np.cosh(z) ** 2)
    drop = 1.31 + 0.35 * np.where(np.isnan(distance), low, t)
    margins = reference - drop - 10 * np.log10(detected)
    flags = margins > 0
    days = times[~learning].astype("datetime64[D]")
    first = np.full(reference.shape, np.datetime64("NaT"), dtype="datetime64[s]")
    for y, x in np.argwhere(flags.any(axis=0)):
        first[y, x] = days[flags[:, y, x]].min()
    return {
        "reference_db": reference,
        "threshold_db": drop,
        "excess_db": np.nanmax(margins, axis=0),
        "n_alerts": flags.sum(axis=0),
        "first_flag": first,
        "margin": np.nanmin(np.abs(margins), axis=0),
    }


def _slow_season(
    power: npt.NDArray[Any], times: npt.NDArray[Any], learning: npt.NDArray[Any], o: dict[str, Any]
) -> npt.NDArray[Any]:
    t = (times - np.datetime64("2016-01-01")) / np.timedelta64(1, "D") / 365.25
    wave = np.stack([np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)], axis=1)
    design = np.column_stack([np.ones_like(t), wave])
    fit = learning if o["season_fit_on"] == "learning" else np.ones_like(learning)
    out = np.full(power.shape, np.nan)
    for y in range(power.shape[1]):
        for x in range(power.shape[2]):
            db = 10 * np.log10(power[:, y, x])
            ok = fit & ~np.isnan(db)
            a, *bc = np.linalg.lstsq(design[ok], db[ok], rcond=None)[0]
            steady = db - wave @ np.array(bc)
            if o["season_recentre"] == "median":
                steady += np.median(db[ok]) - a
            out[:, y, x] = 10 ** (steady / 10)
    return out


@pytest.mark.parametrize("name", presets.names("detect"))
def test_the_result_does_not_depend_on_the_blocks(name: str) -> None:
    stack = _noisy(3)
    forest = np.random.default_rng(5).random((30, 37)) < 0.9
    whole = warning_layers(stack, ON, name, forest=forest)
    for size in (7, 16, 33):
        blocks = warning_layers(stack, ON, name, forest=forest, block_px=size)
        _assert_same(whole, blocks)


def test_brighter_images_shift_the_reference_only() -> None:
    stack = _noisy()
    one, other = (warning_layers(s, ON) for s in (stack, stack * np.float32(4)))
    np.testing.assert_allclose(other["reference_db"] - one["reference_db"], 6.0206, atol=1e-3)
    np.testing.assert_allclose(other["excess_db"], one["excess_db"], atol=1e-2)
    assert (one["n_alerts"] != other["n_alerts"]).mean() < 0.005


def test_a_clearing_of_2_ha_is_found_and_forest_is_not() -> None:
    power = _speckled((76, 60, 60), 11)
    power[73:, 20:34, 20:34] *= 10**-0.4
    found = warning_layers(_stack(power), ON)
    inside = np.zeros((60, 60), dtype=bool)
    inside[23:31, 23:31] = True
    near = np.zeros((60, 60), dtype=bool)
    near[16:38, 16:38] = True
    alerts = found["n_alerts"].to_numpy()
    assert (alerts[inside] >= 2).mean() > 0.9
    assert (alerts[~near] > 0).mean() < 0.1
    assert np.median(found["excess_db"].to_numpy()[inside]) == pytest.approx(1.5, abs=0.6)
    first = found["first_flag"].to_numpy()[inside]
    assert np.median(first.astype("datetime64[D]").astype(int)) == np.datetime64(
        _times(76)[73], "D"
    ).astype(int)


# --- statuses over the dates -------------------------------------------------------------------

FOREST, CLEARED, RAIN, FEW, GONE, WATER, FAR = range(7)


def _scenario() -> tuple[Any, npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    db = np.full((90, 1, 7), -13.0)
    db[70:, 0, CLEARED] = -17.0
    db[70, 0, RAIN] = -16.0
    db[9:70, 0, FEW] = np.nan  # nine learning images
    db[70:, 0, GONE] = np.nan  # no detection image
    db[70:, 0, WATER] = -25.0
    db[70:, 0, FAR] = -15.4  # a drop of 2.4 dB: below 2.185 near, above 2.664 far away
    forest = np.ones((1, 7), dtype=bool)
    forest[0, WATER] = False
    distance = np.zeros((1, 7), dtype=np.float32)
    distance[0, FAR] = 9000
    return _stack((10 ** (db / 10)).astype(np.float32)), forest, distance


def _alerts(image: int, **extra: Any) -> list[int]:
    stack, forest, distance = _scenario()
    on = str(stack["time"].to_numpy()[image].astype("datetime64[D]"))
    layers = warning_layers(
        stack, on, PIXELWISE, **{"forest": forest, "distance_m": distance} | extra
    )
    return [int(n) for n in layers["n_alerts"].to_numpy()[0]]


def test_one_pixel_per_status_over_the_dates() -> None:
    no = NOT_OBSERVED
    #                    forest cleared rain few gone water far
    assert _alerts(69) == [0, 0, 0, no, 0, no, 0]
    assert _alerts(70) == [0, 1, 1, no, 0, no, 0]  # preliminary
    assert _alerts(71) == [0, 2, 1, no, 0, no, 0]  # confirmed; the rain stays preliminary
    assert _alerts(75) == [0, 6, 1, no, no, no, 0]  # the last image before the gap left
    assert _alerts(76) == [0, 6, 0, no, no, no, 0]  # the rain left the detection period


def test_distance_and_forest_decide() -> None:
    assert _alerts(71, distance_m=None)[FAR] == 2
    assert _alerts(71, forest=None)[WATER] == 2


def test_flag_dates_are_exact_days() -> None:
    stack, forest, distance = _scenario()
    on = str(stack["time"].to_numpy()[73].astype("datetime64[D]"))
    layers = warning_layers(stack, on, PIXELWISE, distance_m=distance, forest=forest)
    day = stack["time"].to_numpy().astype("datetime64[D]")
    assert layers["first_flag"].to_numpy()[0, CLEARED] == day[70]
    assert layers["last_flag"].to_numpy()[0, CLEARED] == day[73]
    assert layers["first_flag"].to_numpy()[0, RAIN] == layers["last_flag"].to_numpy()[0, RAIN]
    for status in (FOREST, FEW, WATER, FAR):
        assert np.isnat(layers["first_flag"].to_numpy()[0, status])
    assert layers["first_flag"].dtype == np.dtype("datetime64[s]")
    excess = layers["excess_db"].to_numpy()[0]
    assert excess[CLEARED] == pytest.approx(4 - 2.185, abs=1e-3)
    assert excess[FOREST] == pytest.approx(-2.185, abs=1e-3)
    assert excess[FAR] == pytest.approx(2.4 - 2.6635, abs=1e-3)
    assert np.isnan(excess[[FEW, WATER]]).all()
    np.testing.assert_allclose(
        layers["confidence"].to_numpy()[0], [0, 1 - 0.3**4, 0.7, 0, 0, 0, 0], atol=1e-6
    )


def test_the_permutation_of_learning_images_does_not_matter() -> None:
    power = _speckled((76, 6, 7), 8)
    order = np.random.default_rng(1).permutation(70)
    shuffled = power.copy()
    # The last 64 of the first 70 images lie in the learning period.
    inside = np.flatnonzero(_times(76) >= np.datetime64("2021-04-29"))[:55]
    shuffled[inside] = power[inside][np.argsort(order[:55])]
    _assert_same(
        warning_layers(_stack(power), ON, PIXELWISE),
        warning_layers(_stack(shuffled), ON, PIXELWISE),
    )


def test_images_in_any_order() -> None:
    stack = _noisy()
    order = np.random.default_rng(2).permutation(76)
    _assert_same(warning_layers(stack, ON), warning_layers(stack[order], ON))


def test_images_after_the_date_and_before_learning_are_ignored() -> None:
    stack = _noisy()
    early = _stack(
        np.full((2, 30, 37), 9.0, np.float32), START - np.arange(300, 302) * np.timedelta64(1, "D")
    )
    late = _stack(np.full((1, 30, 37), 9.0, np.float32), np.array(["2023-06-29"], "datetime64[ns]"))
    _assert_same(
        warning_layers(stack, ON), warning_layers(xr.concat([early, stack, late], "time"), ON)
    )


def test_images_of_the_day_itself_count() -> None:
    stack, *_ = _scenario()
    day = stack["time"].to_numpy()[70].astype("datetime64[D]")
    before = warning_layers(stack, str(day - 1), PIXELWISE)
    assert before["n_alerts"].to_numpy()[0, CLEARED] == 0
    assert warning_layers(stack, str(day), PIXELWISE)["n_alerts"].to_numpy()[0, CLEARED] == 1


def test_no_image_in_the_periods_means_not_observed() -> None:
    found = warning_layers(_noisy(), "2030-01-01")
    assert (found["n_alerts"] == NOT_OBSERVED).all()
    assert np.isnat(found["first_flag"]).all()
    assert (found["confidence"] == 0).all()


# --- orbits, LIA, angle ------------------------------------------------------------------------


def _two_orbits() -> Any:
    """Orbit 39 at -13 dB and orbit 141, five days later, at -11 dB; a clearing in both."""
    first, second = _times(76), _times(76) + np.timedelta64(5, "D")
    db = np.full((152, 1, 2), -13.0)
    db[76:] = -11.0
    db[73:76, 0, 1] = -16.0
    db[149:, 0, 1] = -15.0
    stack = _stack((10 ** (db / 10)).astype(np.float32), np.concatenate([first, second]))
    return stack.assign_coords(relative_orbit=("time", [39] * 76 + [141] * 76))


def test_same_uses_the_orbit_of_the_newest_image_only() -> None:
    stack = _two_orbits()
    on = str(stack["time"].to_numpy()[75].astype("datetime64[D]"))
    found = warning_layers(stack, on, PIXELWISE)
    assert found["n_alerts"].to_numpy().tolist() == [[0, 3]]
    np.testing.assert_allclose(found["reference_db"], -13, atol=1e-3)
    later = warning_layers(stack, "2023-07-10", PIXELWISE)
    np.testing.assert_allclose(later["reference_db"], -11, atol=1e-3)


def test_all_gives_each_orbit_its_own_reference_and_adds_up() -> None:
    stack = _two_orbits()
    found = warning_layers(stack, "2023-07-01", PIXELWISE.replace(orbits="all"))
    times = stack["time"].to_numpy().astype("datetime64[D]")
    in_time = times <= np.datetime64("2023-07-01")
    cleared = np.zeros(152, bool)
    cleared[[73, 74, 75, 149, 150, 151]] = True
    flagged = times[in_time & cleared]
    assert found["n_alerts"].to_numpy().tolist() == [[0, len(flagged)]]
    assert found["first_flag"].to_numpy()[0, 1] == flagged.min()
    assert found["last_flag"].to_numpy()[0, 1] == flagged.max()
    # Orbit 141 drops by 4 dB, orbit 39 by 3: the reference is that of the larger excess.
    assert found["reference_db"].to_numpy()[0, 1] == pytest.approx(-11, abs=1e-3)
    assert found["excess_db"].to_numpy()[0, 1] == pytest.approx(4 - 2.185, abs=1e-3)


def test_the_numbers_of_the_orbits_do_not_matter() -> None:
    rng = np.random.default_rng(6)
    stack = _two_orbits() * rng.gamma(6, 1 / 6, (152, 1, 2)).astype(np.float32)
    stack = stack.where(rng.random(stack.shape) > 0.1)
    swapped = stack.assign_coords(relative_orbit=180 - stack["relative_orbit"])
    recipe = PIXELWISE.replace(orbits="all")
    _assert_same(
        warning_layers(stack, "2023-07-01", recipe), warning_layers(swapped, "2023-07-01", recipe)
    )


def test_a_new_orbit_without_history_adds_nothing() -> None:
    stack = _two_orbits()
    young = xr.concat([stack[:76], stack[148:]], "time")
    found = warning_layers(young, "2023-07-01", PIXELWISE.replace(orbits="all"))
    assert found["n_alerts"].to_numpy().tolist() == [[0, 3]]
    np.testing.assert_allclose(found["reference_db"], -13, atol=1e-3)
    alone = warning_layers(young, "2023-07-01", PIXELWISE)
    assert (alone["n_alerts"] == NOT_OBSERVED).all()


def test_lia_limits_hold_for_detection_images_only() -> None:
    stack, *_ = _scenario()
    cube = stack.to_dataset()
    lia = np.full(stack.shape, 39.0, np.float32)
    lia[:70, 0, CLEARED] = 10  # the learning period is not masked
    lia[70:, 0, RAIN] = 28
    lia[70:, 0, WATER] = 49.99
    lia[70:, 0, FAR] = 50
    on = str(stack["time"].to_numpy()[75].astype("datetime64[D]"))
    found = warning_layers(cube.assign(lia=(stack.dims, lia)), on, PIXELWISE)
    n = found["n_alerts"].to_numpy()[0]
    assert n[CLEARED] == n[WATER] == 6
    assert n[RAIN] == n[FAR] == NOT_OBSERVED
    flat = cube.assign(lia=(("y", "x"), np.full((1, 7), 28.0)))
    assert (warning_layers(flat, on, PIXELWISE)["n_alerts"] == NOT_OBSERVED).all()


def test_angle_limits_hold_for_all_images() -> None:
    stack, *_ = _scenario()
    angle = np.full((1, 7), 38.0)
    angle[0, CLEARED] = 30.6
    on = str(stack["time"].to_numpy()[71].astype("datetime64[D]"))
    found = warning_layers(stack.to_dataset().assign(angle=(("y", "x"), angle)), on, PIXELWISE)
    assert found["n_alerts"].to_numpy()[0, CLEARED] == NOT_OBSERVED
    assert np.isnan(found["reference_db"].to_numpy()[0, CLEARED])


# --- the notebook's contract -------------------------------------------------------------------


def test_types_coordinates_and_provenance() -> None:
    stack = _noisy().assign_coords(spatial_ref=((), 0, {"crs_wkt": "PROJCS..."}))
    stack.attrs = {"crs": "EPSG:32721", "other": 1}
    stack.encoding["grid_mapping"] = "spatial_ref"
    found = cp.detect.warning_layers(stack, on=ON, preset="deter_r")
    kinds = {name: str(found[name].dtype) for name in found}
    assert kinds == {
        "n_alerts": "uint8",
        "first_flag": "datetime64[s]",
        "last_flag": "datetime64[s]",
        "excess_db": "float32",
        "reference_db": "float32",
        "threshold_db": "float32",
        "confidence": "float32",
    }
    assert all(found[name].dims == ("y", "x") for name in found)
    assert found["spatial_ref"].attrs == {"crs_wkt": "PROJCS..."}
    assert found["n_alerts"].encoding["grid_mapping"] == "spatial_ref"
    np.testing.assert_array_equal(found["y"], stack["y"])
    assert "time" not in found.coords
    assert found.attrs["crs"] == "EPSG:32721"
    assert found.attrs["preset_hash"] == presets.load("deter_r").hash
    assert found.attrs["detection_period"] == "2023-04-29/2023-06-29"
    assert found.attrs["learning_period"] == "2021-04-29/2023-04-29"


def test_every_form_of_a_stack_gives_the_same() -> None:
    stack = _noisy()
    plain = warning_layers(stack, ON)
    _assert_same(plain, warning_layers(stack.to_dataset(), date(2023, 6, 28)))
    _assert_same(plain, warning_layers(stack.chunk({"time": 20, "y": 11}), ON))
    _assert_same(plain, warning_layers(stack.transpose("y", "x", "time"), ON))
    _assert_same(plain, warning_layers(stack.astype(np.float64), ON, presets.load("deter_r")))
    both = xr.Dataset({"vh": stack, "vv": stack * 3})
    _assert_same(plain, warning_layers(both, ON))


def test_layers_may_be_arrays_or_dataarrays() -> None:
    stack = _noisy()
    like = stack[0].drop_vars("time")
    forest = xr.where(like["x"] > 500_200, 1.0, np.nan) * xr.ones_like(like)
    distance = xr.full_like(like, 900)
    one = warning_layers(stack, ON, distance_m=distance, forest=forest)
    other = warning_layers(
        stack,
        ON,
        distance_m=distance.to_numpy(),
        forest=np.nan_to_num(forest.transpose("y", "x").to_numpy()).astype(bool),
    )
    _assert_same(one, other)
    assert (one["n_alerts"].to_numpy()[:, :11] == NOT_OBSERVED).all()
    assert (one["n_alerts"].to_numpy()[:, 11:] != NOT_OBSERVED).all()


def test_the_input_is_not_changed() -> None:
    stack = _noisy()
    before = stack.copy(deep=True)
    for name in ("deter_r", "deter_r_paper"):
        warning_layers(stack, ON, name)
    xr.testing.assert_identical(stack, before)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: s.rename(time="date"), r"dimensions are \(date, y, x\)"),
        (lambda s: s[:, 0], r"dimensions are \(time, x\)"),
        (lambda s: s.expand_dims("band"), "squeeze"),
        (lambda s: s[:0], "empty"),
        (lambda s: s.to_numpy(), "ndarray is no stack"),
        (lambda s: s.to_dataset(name="VH"), "no variable vh.*VH"),
        (lambda s: s.drop_vars("time"), "time is missing"),
        (lambda s: s.assign_coords(time=np.arange(76)), "no datetime64"),
        (lambda s: xr.concat([s, s[:1]], "time"), "occurs more than once"),
        (lambda s: s.assign_coords(time=np.append(_times(75), np.datetime64("NaT"))), "NaT"),
        (lambda s: 10 * np.log10(s.where(s > 0)), "looks like dB"),
        (lambda s: s * 1e5, "looks like digital numbers"),
        (lambda s: (s.fillna(0) * 1000).astype("uint16"), "uint16, not linear"),
        (lambda s: s * np.nan, "every value of the stack is missing"),
        (lambda s: s.assign_coords(orbit=("time", ["a"] * 76)), "no whole numbers"),
    ],
)
def test_an_unusable_stack_is_refused_with_its_reason(spoil: Any, message: str) -> None:
    stack = spoil(_noisy())
    with pytest.raises(InputError, match=message):
        warning_layers(stack, ON)


@pytest.mark.parametrize("name", ["distance_m", "forest"])
def test_a_layer_on_another_grid_is_refused(name: str) -> None:
    stack = _noisy()
    with pytest.raises(InputError, match=rf"{name}: shape \(37, 30\)"):
        warning_layers(stack, ON, **{name: np.ones((37, 30))})
    moved = xr.ones_like(stack[0].drop_vars("time")).assign_coords(x=stack["x"] + 20)
    with pytest.raises(InputError, match=f"{name}: its x coordinates"):
        warning_layers(stack, ON, **{name: moved})


def test_a_negative_distance_is_refused() -> None:
    with pytest.raises(InputError, match="distance is negative"):
        warning_layers(_noisy(), ON, distance_m=np.full((30, 37), -9999.0))


@pytest.mark.parametrize(
    ("on", "preset", "extra"),
    [
        ("June", "deter_r", {}),
        (ON, "deter_q", {}),
        ("2023-06-28T10:00:00", "deter_r", {}),
        (ON, "deter_r", {"block_px": 0}),
    ],
)
def test_wrong_usage_is_a_configuration_error(on: str, preset: str, extra: Any) -> None:
    with pytest.raises(ConfigError):
        warning_layers(_noisy(), on, preset, **extra)


def test_few_learning_images_are_no_error() -> None:
    # Nine images from January on: the pixels are not observed, and no season is asked for.
    stack = _noisy()[62:]
    assert (warning_layers(stack, ON)["n_alerts"] == NOT_OBSERVED).all()


def test_half_a_year_of_images_cannot_carry_a_season() -> None:
    stack = _noisy()[:45].assign_coords(time=_times(45, 4))
    with pytest.raises(InputError, match="season"):
        warning_layers(stack, "2021-06-28")
    found = warning_layers(stack, "2021-06-28", presets.load("deter_r").replace(season="none"))
    assert (found["n_alerts"] != NOT_OBSERVED).any()


def test_a_block_can_be_cropped() -> None:
    stack = _noisy()
    params = DetectParams.from_preset(presets.load("deter_r"))
    block = StackBlock(vh=stack.to_numpy(), times=stack["time"].to_numpy())
    whole = block_layers(block, date(2023, 6, 28), params)
    part = whole.crop(Window(2, 6, 3, 10))
    np.testing.assert_array_equal(part.n_alerts, whole.n_alerts[2:6, 3:10])
    np.testing.assert_array_equal(part.reference_db, whole.reference_db[2:6, 3:10])
    assert part.threshold_db.shape == (4, 7)
