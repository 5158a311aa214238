"""Reference grid and scores on cases made by hand."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from shapely.geometry import LineString, Polygon, box

from curupira.errors import ConfigError, InputError
from curupira.grid import project
from curupira.mining.estimates import bootstrap, f1, precision, recall
from curupira.mining.evaluate import above, evaluate, match, table
from curupira.mining.params import GridParams, ScoreParams
from curupira.mining.reference_grid import reference_grid

CRS = "EPSG:32721"
X0, Y0 = 520 * 1000, 520 * 17_900


def cell(column, row, side=520):
    return box(X0 + column * side, Y0 + row * side, X0 + (column + 1) * side, Y0 + (row + 1) * side)


def frame(shapes, crs=CRS, **columns):
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs)


# Reference: a row of four cells. Detections: one on the first, one that touches its left edge, one
# that touches only the far corner, one 1 m away, one far off.
REFERENCE = [cell(0, 0), cell(1, 0), cell(2, 0), cell(3, 0)]
DETECTIONS = [
    cell(0, 0),
    cell(-1, 0),
    cell(4, 1),
    shapely.affinity.translate(cell(4, 0), 1, -600),
    cell(40, 40),
]


def test_the_paper_s_rule_by_hand():
    found = evaluate(frame(DETECTIONS), frame(REFERENCE), ScoreParams(rule="paper"), threshold=0.8)
    # The first detection touches its neighbour cell too: found are the cells 0, 1 and 3.
    assert (found.tp, found.fp, found.fn, found.tp_reference) == (3, 2, 1, 3)
    assert found.precision.value == 3 / 5
    assert found.recall.value == 3 / 4
    assert found.f1.value == pytest.approx(2 * 0.6 * 0.75 / 1.35)
    assert (found.precision.n, found.recall.n, found.threshold) == (5, 4, 0.8)
    assert found.labelled["outcome"].tolist() == ["TP", "TP", "TP", "FP", "FP", "FN"]
    assert found.labelled["kind"].tolist() == ["detection"] * 5 + ["reference"]
    assert found.labelled.geometry.iloc[5].equals(cell(2, 0))


def test_symmetric_rule_does_not_mix_units():
    # Ten detections on one cell of two: the paper's recall is 10/11, the share found is 1/2.
    many = [shapely.affinity.translate(cell(0, 0, 100), 10 * n + 20, 20) for n in range(10)]
    cells = [cell(0, 0), cell(7, 0)]
    paper = evaluate(frame(many), frame(cells), ScoreParams(rule="paper"), threshold=None)
    ours = evaluate(frame(many), frame(cells), ScoreParams(rule="symmetric"), threshold=None)
    assert paper.recall.value == pytest.approx(10 / 11)
    assert ours.recall.value == 0.5
    assert ours.precision.value == 1
    assert ours.f1.value == pytest.approx(2 / 3)
    assert (ours.tp, ours.fp, ours.fn, ours.tp_reference) == (10, 0, 1, 1)


def test_overlap_instead_of_touch():
    half = shapely.affinity.translate(cell(0, 0), 0, 260)
    shapes = np.array([half, cell(5, 1)]), np.array([cell(0, 0), cell(5, 0)])
    assert [m.tolist() for m in match(*shapes, 0.0)] == [[True, True], [True, True]]
    assert [m.tolist() for m in match(*shapes, 0.5)] == [[True, False], [True, False]]
    assert [m.tolist() for m in match(*shapes, 0.51)] == [[False, False], [False, False]]


def test_no_detection_at_all():
    for rule in ("paper", "symmetric"):
        found = evaluate(frame([]), frame(REFERENCE), ScoreParams(rule=rule), threshold=None)
        assert (found.tp, found.fp, found.fn) == (0, 0, 4)
        assert found.as_dict()["precision"] == {"value": None, "low": None, "high": None, "n": 0}
        assert (found.recall.value, found.f1.value) == (0, 0)


def test_no_reference_is_an_error():
    with pytest.raises(InputError, match="reference is empty"):
        evaluate(frame(DETECTIONS), frame([]), ScoreParams(), threshold=None)


def test_the_area_counts_by_centre_and_still_matches_across():
    # The cell that the detection touches lies outside: the detection stays right.
    area = cell(-1, 0).union(cell(3, 0))
    found = evaluate(frame(DETECTIONS), frame(REFERENCE), ScoreParams(), threshold=None, area=area)
    assert (found.tp, found.fp, found.fn, found.tp_reference) == (1, 0, 0, 1)


def test_intervals_hold_the_value_and_shrink_with_blocks():
    def interval(blocks):
        rng = np.random.default_rng(1)
        counts = np.stack(
            [rng.poisson(6, blocks), rng.poisson(2, blocks), rng.poisson(3, blocks)], 1
        )
        found = bootstrap(counts, f1, 1, resamples=1000, seed=0)
        assert found.low < found.value < found.high
        return found.high - found.low

    assert interval(400) < 0.5 * interval(20)


def test_interval_covers_the_binomial():
    # 200 blocks of one object each: the bootstrap is the binomial's, sd = sqrt(p q / n).
    counts = np.zeros((200, 3), dtype=int)
    counts[:150, 0], counts[150:, 1] = 1, 1
    found = bootstrap(counts, precision, 200, resamples=4000, seed=0)
    assert found.value == 0.75
    sd = (0.75 * 0.25 / 200) ** 0.5
    assert found.high - found.low == pytest.approx(2 * 1.96 * sd, rel=0.08)
    lone = bootstrap(counts[:1], recall, 1, resamples=100, seed=0)
    assert (lone.value, lone.low, lone.high) == (1.0, None, None)


def test_thresholds_and_table():
    squares = frame(DETECTIONS[:2], probability=[0.8, 0.95])
    assert len(above(squares, 0.8)) == 1
    with pytest.raises(InputError, match="no column probability"):
        above(frame(DETECTIONS), 0.8)
    for odd in (["0.9", "high"], [0.9, None]):
        with pytest.raises(InputError, match="1 of 2 detections have no number"):
            above(frame(DETECTIONS[:2], probability=odd), 0.8)
    assert len(above(frame(DETECTIONS[:2], probability=["0.7", "0.9"]), 0.8)) == 1
    assert above(frame([]), 0.8).empty
    rows = [
        ("a", evaluate(above(squares, t), frame(REFERENCE), ScoreParams(), threshold=t))
        for t in (0.7, 0.9)
    ]
    found = table(rows)
    assert found[["region", "threshold", "tp", "fn"]].to_numpy().tolist() == [
        ["a", 0.7, 2, 2],
        ["a", 0.9, 1, 3],
    ]


def test_grid_by_hand():
    # A whole cell, 20 % of the next by side and 100 % by height, and a corner below the limit.
    shape = box(X0, Y0, X0 + 624, Y0 + 520).union(box(X0, Y0, X0 + 100, Y0 + 620))
    overlapping = box(X0 + 10, Y0 + 10, X0 + 200, Y0 + 200)
    found = reference_grid(frame([shape, overlapping]), GridParams())
    assert str(found.crs) == CRS
    areas = dict(zip(found["cell"], found["area_m2"], strict=True))
    assert areas == {
        "1000_17900": pytest.approx(270_400), "1001_17900": pytest.approx(54_080)
    }  # fmt: skip
    strict = reference_grid(frame([shape]), GridParams(min_fragment_m2=54_081))
    assert strict["cell"].tolist() == ["1000_17900"]
    equal = reference_grid(frame([cell(0, 0, 104)]), GridParams())
    assert equal["area_m2"].tolist() == [pytest.approx(10_816)]


def test_grid_from_degrees_parts_and_invalid_polygons():
    bow = Polygon([(X0, Y0), (X0 + 500, Y0 + 500), (X0 + 500, Y0), (X0, Y0 + 500)])
    there = frame([bow, cell(3, 3)]).to_crs("EPSG:4326")
    found = reference_grid(there, GridParams(crs=CRS))
    assert found["area_m2"].sum() == pytest.approx(125_000 + 270_400, rel=1e-4)
    utm = reference_grid(there, GridParams())
    assert utm.crs == "EPSG:32721"


def test_grid_is_clipped_to_the_area():
    area = project(box(X0 - 10, Y0 - 10, X0 + 260, Y0 + 530), CRS, "EPSG:4326")
    found = reference_grid(frame([cell(0, 0)]), GridParams(), area=area)
    assert found["area_m2"].iloc[0] == pytest.approx(135_200, rel=1e-3)


@pytest.mark.parametrize(
    ("shapes", "params", "error", "message"),
    [
        ([], {}, InputError, "reference is empty"),
        ([Polygon()], {}, InputError, "reference is empty"),
        ([LineString([(0, 0), (1, 1)])], {}, InputError, "a LineString, not a polygon"),
        ([cell(0, 0, 50)], {}, InputError, "no fragment reaches"),
        ([cell(0, 0)], {"crs": "EPSG:4326"}, ConfigError, "not in metres"),
        ([cell(0, 0)], {"crs": "EPSG:1"}, ConfigError, "unknown system"),
    ],
)
def test_references_that_cannot_be_used(shapes, params, error, message):
    with pytest.raises(error, match=message):
        reference_grid(frame(shapes), GridParams(**params))
