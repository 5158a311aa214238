"""Evidence: a slow reference, monotonicity, missing values, online decisions, the layers."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curupira import presets
from curupira.codes import NOT_OBSERVED
from curupira.detect.block import StackBlock, block_layers
from curupira.detect.evidence import (
    Evidence,
    accumulate,
    distance_prior,
    evidence_confidence,
    history_images,
    log_ratio,
    log_ratio_table,
    rough_spread_db,
    spread_db,
)
from curupira.detect.exceedance import NO_FLAG
from curupira.detect.params import DetectParams
from curupira.detect.periods import periods
from curupira.detect.reference import reference_level

PARAMS = DetectParams.from_preset(presets.load("curupira"))
EVIDENCE = PARAMS.evidence
FloatArray = npt.NDArray[np.float32]
LEVEL = -13.0


def _ratio(drops: npt.ArrayLike, spread: float = 0.45) -> FloatArray:
    """Ratios ``(time, 1, pixel)`` of drops below the level, dB, positive is darker."""
    db = LEVEL - np.asarray(drops, dtype=np.float32).reshape(len(np.asarray(drops)), 1, -1)
    shape = db.shape[1:]
    return log_ratio(
        db, np.full(shape, LEVEL, np.float32), np.full(shape, spread, np.float32), EVIDENCE
    )


def _days(n: int) -> npt.NDArray[np.int32]:
    return 12 * np.arange(n, dtype=np.int32) + 1000


def test_spread_grows_with_roughness_alone() -> None:
    changes = {"patch_db": 0.3, "patch_weight": 2.0, "patch_unknown_db": 0.45}
    law = EVIDENCE.model_copy(update={f"evidence_{name}": v for name, v in changes.items()})
    spread = np.full((1, 4), 0.5, np.float32)
    rough = np.array([[0.1, 0.3, 0.6, np.nan]], np.float32)
    np.testing.assert_allclose(rough_spread_db(spread, rough, law), [[0.5, 0.5, 2.0, 1.125]], 1e-6)
    off = law.model_copy(update={"evidence_patch_weight": 0.0})
    np.testing.assert_array_equal(rough_spread_db(spread, rough, off), spread)


def test_moist_patches_weaken_what_an_image_says() -> None:
    rng = np.random.default_rng(2)
    times = np.arange("2020-01-01", "2022-06-01", 12, dtype="datetime64[D]").astype("M8[ns]")
    power = (0.05 * rng.gamma(20, 1 / 20, (times.size, 96, 96))).astype(np.float32)
    patches = rng.normal(0, 0.6, (times.size, 6, 6))
    moist = power * 10 ** (np.kron(patches, np.ones((16, 16))) / 10).astype(np.float32)
    for stack in (power, moist):
        stack[-2:, 40:52, 40:52] *= np.float32(0.6)
    on = times[-1].astype("datetime64[D]").item()
    params = DetectParams.from_preset(presets.load("curupira").replace(verify="none"))
    rough, smooth = (
        params.model_copy(
            update={"evidence": EVIDENCE.model_copy(update={"evidence_patch_weight": weight})}
        )
        for weight in (1.0, 0.0)
    )
    inner = (slice(42, 50), slice(42, 50))

    def confidence(stack: FloatArray, law: DetectParams) -> float:
        return float(block_layers(StackBlock(stack, times), on, law).confidence[inner].mean())

    assert confidence(power, rough) == pytest.approx(confidence(power, smooth), abs=0.01)
    assert confidence(moist, rough) < confidence(moist, smooth) - 0.05


def _slow_ratio(drop: float, spread: float) -> float:
    """The mixture written out, for drops that show neither of the held ends."""
    z = -drop / spread
    nu = EVIDENCE.evidence_tail
    t = math.gamma((nu + 1) / 2) / math.gamma(nu / 2) / math.sqrt(nu * math.pi)
    forest = t * (1 + z * z / nu) ** (-(nu + 1) / 2) / EVIDENCE.evidence_spread_db
    x = z * EVIDENCE.evidence_spread_db

    def normal(mean: float, sd: float) -> float:
        return math.exp(-(((x - mean) / sd) ** 2) / 2) / sd / math.sqrt(2 * math.pi)

    below = normal(-EVIDENCE.evidence_drop_db, EVIDENCE.evidence_drop_sd_db)
    same = EVIDENCE.evidence_forest_share
    return math.log(same + (1 - same) * below / forest)


@pytest.mark.parametrize("spread", [0.4, 0.45, 0.7])
@pytest.mark.parametrize("drop", [0.1, 0.4, 0.8, 1.7, 2.6])
def test_the_ratio_is_the_mixture_written_out(drop: float, spread: float) -> None:
    assert float(_ratio([[drop]], spread)[0, 0, 0]) == pytest.approx(
        _slow_ratio(drop, spread), abs=2e-3
    )


def test_an_ordinary_image_speaks_for_forest_and_a_deep_one_for_a_clearing() -> None:
    said = _ratio([[0.0, 0.4, 1.5, 3.0]])[0, 0]
    assert said[0] < said[1] < 0 < said[2] < said[3]


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=20))
@settings(max_examples=30, deadline=None)
def test_a_deeper_drop_never_says_less(drops: list[float]) -> None:
    said = _ratio([sorted(drops)])[0, 0]
    assert (np.diff(said) >= 0).all()


def test_far_out_the_table_holds() -> None:
    table = log_ratio_table(EVIDENCE)
    assert np.isfinite(table).all()
    said = _ratio([[10.8, 60.0]])[0, 0]
    assert said[0] == pytest.approx(said[1], abs=1e-3)


def _slow(ratio: FloatArray, days: npt.NDArray[np.int32], prior: float) -> tuple[float, ...]:
    """One pixel, plain Python: count, first, last, issue, peak."""
    total, peak = 0.0, math.nan
    start, count, last, issue = NO_FLAG, 0, NO_FLAG, NO_FLAG
    for value, day in zip(ratio.tolist(), days.tolist(), strict=True):
        if math.isnan(value):
            continue
        if value > 0:
            if issue == NO_FLAG and total <= 0:
                start, count = day, 0
            count, last = count + 1, day
        total = max(total + value, EVIDENCE.evidence_floor)
        if issue == NO_FLAG and total + prior >= EVIDENCE.evidence_issue:
            issue = day
        peak = total + prior if math.isnan(peak) else max(peak, total + prior)
    if issue == NO_FLAG:
        return NOT_OBSERVED if math.isnan(peak) else 0, NO_FLAG, NO_FLAG, NO_FLAG, peak
    return count, start, last, issue, peak


@given(st.integers(0, 2**32 - 1), st.floats(-3, 0))
@settings(max_examples=25, deadline=None)
def test_sums_agree_with_a_slow_reference(seed: int, prior: float) -> None:
    random = np.random.default_rng(seed)
    # 700 pixels: more than one strip, and a last one that is not full.
    drops = random.normal(random.choice([0, 0.5, 2.0], 700), 0.8, (12, 700))
    drops[random.random(drops.shape) < 0.2] = np.nan
    drops[:, :3] = np.nan
    ratio = _ratio(drops)
    sums = accumulate(ratio, _days(12), EVIDENCE, np.array(prior, np.float32))
    for pixel in [0, *random.choice(700, 40, replace=False).tolist()]:
        count, first, last, issue, peak = _slow(ratio[:, 0, pixel], _days(12), prior)
        assert sums.n_alerts[0, pixel] == count
        assert sums.first_flag_days[0, pixel] == first
        assert sums.last_flag_days[0, pixel] == last
        assert sums.issue_days[0, pixel] == issue
        np.testing.assert_allclose(sums.peak[0, pixel], peak, atol=1e-4)


def test_missing_images_say_nothing() -> None:
    drops = np.array([[0.2], [1.6], [2.1], [1.9], [0.1]])
    gaps = np.full((9, 1), np.nan)
    gaps[::2] = drops
    whole = accumulate(_ratio(drops), _days(9)[::2], EVIDENCE)
    for field in Evidence.__slots__:
        mine = getattr(accumulate(_ratio(gaps), _days(9), EVIDENCE), field)
        np.testing.assert_array_equal(mine, getattr(whole, field))
    nothing = accumulate(_ratio(np.full((4, 1), np.nan)), _days(4), EVIDENCE)
    assert nothing.n_alerts[0, 0] == NOT_OBSERVED
    assert evidence_confidence(nothing.peak, EVIDENCE)[0, 0] == 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 11))
@settings(max_examples=25, deadline=None)
def test_later_images_never_change_an_earlier_decision(seed: int, known: int) -> None:
    random = np.random.default_rng(seed)
    ratio = _ratio(random.normal(random.choice([0, 1.5], 50), 0.9, (12, 50)))
    early = accumulate(ratio[:known], _days(known), EVIDENCE)
    late = accumulate(ratio, _days(12), EVIDENCE)
    issued = early.issue_days != NO_FLAG
    np.testing.assert_array_equal(early.issue_days[issued], late.issue_days[issued])
    np.testing.assert_array_equal(early.first_flag_days[issued], late.first_flag_days[issued])
    assert (late.issue_days[~issued] == NO_FLAG).sum() + (
        late.issue_days[~issued] > _days(12)[known - 1]
    ).sum() == (~issued).sum()
    assert (late.peak >= early.peak).all()


def test_one_strong_image_confirms_and_several_weak_ones_do() -> None:
    drops = np.zeros((6, 3))
    drops[2, 0] = 4.0
    drops[1:6, 1] = 1.5
    drops[1:4:2, 2] = 0.9
    sums = accumulate(_ratio(drops), _days(6), EVIDENCE)
    score = evidence_confidence(sums.peak, EVIDENCE)[0]
    assert (score[:2] >= EVIDENCE.confirm_confidence).all()
    assert score[2] < EVIDENCE.confirm_confidence
    assert sums.n_alerts[0].tolist() == [1, 5, 0]
    assert sums.issue_days[0, 0] == sums.first_flag_days[0, 0] == 1024
    assert sums.first_flag_days[0, 1] == 1012


def test_the_spread_is_the_populations_or_more() -> None:
    random = np.random.default_rng(5)
    db = LEVEL + random.normal(0, [0.3, 1.5], (60, 1, 2)).astype(np.float32)
    db[::7] = np.nan
    power = (10 ** (db / 10)).astype(np.float32)
    level = reference_level(power, 10)
    spread = spread_db(power, level, EVIDENCE)
    own = 1.4826 * np.nanmedian(np.abs(db - level), axis=0)
    expected = np.maximum(EVIDENCE.evidence_spread_db, EVIDENCE.evidence_own_share * own)
    np.testing.assert_allclose(spread, expected, rtol=1e-3)
    assert spread[0, 0] == np.float32(EVIDENCE.evidence_spread_db) < spread[0, 1]
    np.testing.assert_array_equal(spread_db(power[::-1], level, EVIDENCE), spread)
    assert np.isnan(spread_db(power, np.full_like(level, np.nan), EVIDENCE)).all()


def test_the_history_is_the_newest_months_spread_evenly() -> None:
    times = np.arange("2020-01-01", "2022-01-01", 4, dtype="datetime64[D]")
    chosen = history_images(times, EVIDENCE)
    assert chosen.size == EVIDENCE.evidence_history_images
    assert times[chosen[0]] >= np.datetime64("2020-11-28")
    assert chosen[-1] == times.size - 1
    assert (np.diff(chosen) > 0).all()
    few = history_images(times[:5], EVIDENCE)
    np.testing.assert_array_equal(few, np.arange(5))


def test_the_prior_falls_with_the_distance() -> None:
    distance = np.array([0.0, 20.0, 255.0, 1000.0, 5000.0, 50_000.0, np.nan])
    prior = distance_prior(distance, EVIDENCE, PARAMS.threshold)
    assert prior[[0, 1, 2]] == pytest.approx(0, abs=1e-3)
    # sech^2 of (3 - 2.40633) / (2 x 0.29973).
    assert prior[3] == pytest.approx(2 * math.log(1 / math.cosh(0.99034)), abs=1e-3)
    assert prior[3] > prior[4] > prior[5]
    assert prior[6] == 0
    assert distance_prior(None, EVIDENCE, PARAMS.threshold) == 0


def _block(seed: int = 3, *, vv: bool = False) -> StackBlock:
    """A forest of 20 x 20 pixels with a clearing of 8 x 8 from 2023-05-22 on, single look."""
    random = np.random.default_rng(seed)
    times = np.arange("2021-01-05", "2023-06-30", 12, dtype="datetime64[D]").astype(
        "datetime64[ns]"
    )
    power = np.full((times.size, 20, 20), 10 ** (LEVEL / 10))
    cleared = times >= np.datetime64("2023-05-22")
    power[np.ix_(cleared, range(6, 14), range(6, 14))] *= 10**-0.35
    speckle = random.gamma(10, 1 / 10, (2, *power.shape))
    vh, other = (power * speckle).astype(np.float32)
    return StackBlock(vh=vh, times=times, vv=4 * other if vv else None)


ON = date(2023, 6, 28)


@pytest.mark.parametrize("vv", [False, True])
def test_layers_carry_the_evidence(vv: bool) -> None:
    layers = block_layers(_block(vv=vv), ON, PARAMS)
    inner = (slice(8, 12), slice(8, 12))
    assert (layers.confidence[inner] >= EVIDENCE.confirm_confidence).all()
    assert (layers.n_alerts[inner] >= 2).all()
    first = np.datetime64("2020-01-01") + int(np.median(layers.first_flag_days[inner]))
    assert np.datetime64("2023-05-22") <= first <= np.datetime64("2023-06-05")
    outer = np.ones((20, 20), dtype=np.bool_)
    outer[4:16, 4:16] = False
    assert np.median(layers.confidence[outer]) < 0.2
    assert (layers.n_alerts[outer] > 0).mean() < 0.05
    flagged = layers.n_alerts > 0
    assert (layers.first_flag_days[flagged] <= layers.last_flag_days[flagged]).all()
    assert (layers.first_flag_days[~flagged] == NO_FLAG).all()


def test_both_polarisations_say_more_than_one() -> None:
    one = block_layers(_block(), ON, PARAMS).confidence[8:12, 8:12]
    both = block_layers(_block(vv=True), ON, PARAMS).confidence[8:12, 8:12]
    assert both.mean() > one.mean()


def test_a_far_clearing_needs_more() -> None:
    near = block_layers(_block(), ON, PARAMS, distance_m=np.full((20, 20), 100.0))
    far = block_layers(_block(), ON, PARAMS, distance_m=np.full((20, 20), 5000.0))
    assert (far.confidence <= near.confidence).all()
    assert (far.n_alerts > 0).sum() <= (near.n_alerts > 0).sum()


def test_outside_forest_nothing_is_observed() -> None:
    forest = np.ones((20, 20), dtype=np.bool_)
    forest[:, :10] = False
    layers = block_layers(_block(), ON, PARAMS, forest=forest)
    assert (layers.n_alerts[:, :10] == NOT_OBSERVED).all()
    assert (layers.confidence[:, :10] == 0).all()


def test_the_order_of_learning_images_does_not_matter() -> None:
    recipe = presets.load("curupira").replace(
        season="none", quegan_yu=False, evidence_history_months=30, evidence_history_images=200
    )
    params = DetectParams.from_preset(recipe)
    block = _block()
    learning = np.flatnonzero(periods(ON, params.period).masks(block.times)[0])
    mixed = block.vh.copy()
    mixed[learning] = mixed[np.random.default_rng(1).permutation(learning)]
    plain = block_layers(block, ON, params)
    shuffled = block_layers(StackBlock(vh=mixed, times=block.times), ON, params)
    assert (plain.n_alerts > 0).any()
    for field in type(plain).__slots__:
        np.testing.assert_array_equal(getattr(plain, field), getattr(shuffled, field))


def test_without_images_nothing_is_observed() -> None:
    empty = np.empty((0, 2, 3), dtype=np.float32)
    said = log_ratio(empty, np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32), EVIDENCE)
    sums = accumulate(said, _days(0), EVIDENCE)
    assert (sums.n_alerts == NOT_OBSERVED).all()
    assert sums.peak.shape == (2, 3)


def test_the_threshold_alone_is_as_before() -> None:
    """Evidence options do not touch a preset without evidence."""
    base = presets.load("deter_r")
    moved = base.replace(evidence_issue=1.0, evidence_spread_db=2.0, confirm_confidence=0.1)
    layers = [block_layers(_block(), ON, DetectParams.from_preset(p)) for p in (base, moved)]
    for field in type(layers[0]).__slots__:
        np.testing.assert_array_equal(getattr(layers[0], field), getattr(layers[1], field))
    flags = layers[0].n_alerts
    expected = np.where(flags == NOT_OBSERVED, 0, 1 - 0.3 ** flags.astype(np.float64))
    np.testing.assert_allclose(layers[0].confidence, expected, atol=1e-6)
