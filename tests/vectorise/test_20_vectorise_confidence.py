"""Confidence of a polygon: the law, its order, and what it decides."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from curupira import presets
from curupira.blocks import Window
from curupira.codes import Status
from curupira.errors import ConfigError
from curupira.vectorise.confidence import ConfidenceParams, polygon_confidence
from curupira.vectorise.params import VectoriseParams
from curupira.vectorise.pixels import AlertPixels
from curupira.vectorise.polygons import extract

LAW = ConfidenceParams(
    polygon_confidence="calibrated",
    confidence_base=-3.0,
    confidence_pixel_weight=2.0,
    confidence_size_weight=1.0,
    confidence_images_weight=-0.5,
    confidence_issue=0.3,
    confidence_confirm=0.95,
)
GRID = GeoBox.from_bbox((500000, 9200000, 500800, 9200800), crs="EPSG:32721", resolution=20)


def one(median: float, n: int, images: float = 1) -> float:
    return float(polygon_confidence(np.array([median]), np.array([n]), np.array([images]), LAW)[0])


@pytest.mark.parametrize(
    ("median", "n", "odds"),
    [(0.5, 1, -3.0), (0.5, 20, -3 + math.log(20)), (0.9, 10, -3 + 2 * math.log(9) + math.log(10))],
)
def test_law_by_hand(median: float, n: int, odds: float) -> None:
    assert one(median, n) == pytest.approx(1 / (1 + math.exp(-odds)), rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 5000), st.integers(1, 5000))
def test_more_evidence_and_more_pixels_never_say_less(a: float, b: float, n: int, m: int) -> None:
    low, high = sorted((a, b))
    few, many = sorted((n, m))
    assert 0 <= one(low, few) <= one(high, many) <= 1


def test_equal_evidence_of_more_images_says_less() -> None:
    assert one(0.9, 10, 4) < one(0.9, 10, 1)
    assert math.log(one(0.9, 10, 4) / (1 - one(0.9, 10, 4))) == pytest.approx(
        -3 + 2 * math.log(9) + math.log(10) - 0.5 * math.log(4)
    )


def test_without_a_number_there_is_no_confidence() -> None:
    assert one(float("nan"), 100) == 0


def pixels(side: int, confidence: float) -> AlertPixels:
    shape = (side, side)
    return AlertPixels.from_block(
        Window(10, 10 + side, 10, 10 + side),
        np.ones(shape, np.uint8),
        np.full(shape, 1500, np.int32),
        np.full(shape, 1512, np.int32),
        np.ones(shape, np.float32),
        np.full(shape, 2.2, np.float32),
        np.full(shape, confidence, np.float32),
    )


def recipe(**changes: object) -> VectoriseParams:
    law = LAW.model_dump() | {"confirm_n_alerts": 50.0} | changes
    return VectoriseParams.from_preset(presets.load("sensitive").replace(**law))


@pytest.mark.parametrize(
    ("side", "confidence", "expected"),
    # One image each: log odds -3 + 2 ln(c / (1 - c)) + ln(pixels).
    [
        (5, 0.99, [Status.CONFIRMED]),
        (5, 0.75, [Status.PRELIMINARY]),
        (5, 0.3, []),
        (12, 0.75, [Status.CONFIRMED]),
    ],
)
def test_confidence_issues_and_confirms(
    side: int, confidence: float, expected: list[Status]
) -> None:
    found = extract(pixels(side, confidence), GRID, recipe())
    assert found["status"].tolist() == expected
    assert (found["confidence"] >= LAW.confidence_issue).all()


def test_median_leaves_all_as_it_was() -> None:
    params = recipe(polygon_confidence="median", confirm_n_alerts=0.5)
    found = extract(pixels(5, 0.3), GRID, params)
    assert found["status"].tolist() == [Status.CONFIRMED]
    assert found["confidence"][0] == pytest.approx(0.3)


def test_confirmation_cannot_lie_below_issue() -> None:
    with pytest.raises(ConfigError, match="must not be below"):
        recipe(confidence_confirm=0.2)
