"""The report's sections of verdicts, days and places: words, tables and figures of one document."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from shapely.geometry import box

from curupira.report import ReportData, render
from curupira.report.summary import summary_sections

AREA = box(-55.6, -6.2, -55.0, -5.6)


def estimate(value: float | None, n: int = 12) -> dict[str, Any]:
    spread = None if value is None else 0.05
    return {
        "value": value,
        "low": None if spread is None or value is None else value - spread,
        "high": None if spread is None or value is None else value + spread,
        "n": n,
    }


def judged(n: int, verdict: str, category: str) -> dict[str, Any]:
    row = {"n": n, "share_n": 1.0, "area_ha": 2.5 * n, "share_area": 1.0}
    kind = {"category": category, "intensity_class": "high_intensity", "verdict": verdict}
    none = row | {"n": 0, "share_n": 0.0, "area_ha": 0.0, "share_area": 0.0}
    return {
        "n": n,
        "area_ha": 2.5 * n,
        "rows": [row | kind, none | kind | {"verdict": "burnt"}],
    }


def accuracy(value: float | None) -> dict[str, Any]:
    ways = ("excluded", "counted_false", "counted_true", "without_automatic")
    return {name: {way: estimate(value) for way in ways} for name in ("ua_count", "ua_area")}


@pytest.fixture
def document() -> dict[str, Any]:
    points = [
        {"warning_id": "a", "lon": -55.2, "lat": -5.9, "verdict": "residue", "category": "minor"},
        {"warning_id": "b", "lon": -55.4, "lat": -6.0, "verdict": "burnt", "category": "major"},
    ]
    day = {"day": "2023-11-20", "n": 3, "area_ha": 7.5}
    residue = {"residue_n": 1, "residue_ha": 2.5, "share_n": 0.25, "share_area": 0.2}
    return {
        "timeline_flagged": [day, day | {"day": "2024-06-02"}],
        "delay": {"median": 12.0, "p90": 24.0, "density": [{"days": 12, "n": 4}]},
        "season": {
            "november_march": {"n": 3, "area_ha": 7.5},
            "rest": {"n": 3, "area_ha": 1234.5},
        },
        "heat": {
            "radius_km": 50.0,
            "side_km": 10.0,
            "cells": [{"lon": -55.3, "lat": -5.9, "m2_per_ha": 4.0}],
        },
        "agreement": judged(4, "recent_deforestation", "agreement"),
        "accuracy": accuracy(0.9)
        | {"drawn": 12, "judged": 8, "assessed": 7, "silent": ["deter_r random"]},
        "years": [{"prodes_year": 2024, "n": 4, "area_ha": 10.0} | residue],
        "field": judged(2, "residue", "minor") | {"accuracy": accuracy(None), "points": points},
    }


@pytest.fixture
def beside() -> dict[str, Any]:
    lead = {"warnings": 6, "first": 3, "same_day": 1, "later": 1, "only": 1}
    shares = {"first_or_only": estimate(0.667), "first_or_only_area": estimate(0.7)}
    one = lead | shares | {"lead_days": estimate(8.0)}
    month = {"month": "2024-01", "ours": 6, "only_ours": 1, "theirs": 7, "only_theirs": 2}
    return {
        "since": "2024-01-01",
        "until": "2024-02-01",
        "window_days": 365,
        "lead": one,
        "lead_november_march": one | {"warnings": 0, "first_or_only": estimate(None, 0)},
        "months": [month],
    }


def cells(sections: list[Any]) -> str:
    tables = [t for s in sections for t in s.tables]
    return "\n".join(" | ".join(row) for t in tables for row in t.rows)


def test_numbers_of_the_document_are_those_of_the_tables(
    document: dict[str, Any], beside: dict[str, Any]
) -> None:
    sections = summary_sections(document, AREA, beside)
    found = cells(sections)
    assert "agreement | High intensity (clear cut) | recent deforestation | 4 | 100.0" in found
    assert "burnt" not in found
    assert "unassessed left out | 90.0 [85.0, 95.0] | 90.0 [85.0, 95.0]" in found
    assert "2024 | 4 | 1 | 25.0 | 10.0 | 2.5 | 20.0" in found
    assert "all months | 6 | 3 | 1 | 1 | 1 | 66.7 [61.7, 71.7] | 70.0 [65.0, 75.0] | 8.0" in found
    assert "November to March | 0 | 3 | 1 | 1 | 1 | – | " in found
    words = " ".join(word for s in sections for word in s.words)
    assert "Rest of the year: 3 warnings, 1,234.5 ha" in words
    assert "median 12 days, 90 % within 24" in words
    assert sum(len(s.figures) for s in sections) == 5


def test_a_store_without_warnings_and_verdicts_says_so(document: dict[str, Any]) -> None:
    nothing = {"n": 0, "area_ha": 0.0, "rows": []}
    empty = document | {
        "timeline_flagged": [],
        "heat": document["heat"] | {"cells": []},
        "agreement": nothing,
        "years": [],
        "field": nothing | {"accuracy": accuracy(None), "points": []},
    }
    sections = summary_sections(empty, AREA, "the file has no dates")
    assert all(len(s.words) == 1 and not s.tables and not s.figures for s in sections)
    assert sections[-1].words == ("Not compared: the file has no dates.",)
    assert len(summary_sections(empty, AREA, None)) == len(sections) - 1


def test_the_page_holds_the_sections(empty: ReportData, document: dict[str, Any]) -> None:
    without = render(empty)
    with_them = render(dataclasses.replace(empty, summary=document))
    for heading in ("When the forest fell", "How they were judged", "Where most was disturbed"):
        assert heading not in without
        assert with_them.count(f">{heading}</h2>") == 1
    assert with_them.count("<img") == without.count("<img") + 4
    assert render(dataclasses.replace(empty, summary=document)) == with_them
