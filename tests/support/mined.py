"""A candidate of the mining map, as a row of the store."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import shapely

from curupira.store import CandidateRow

RECORDED_AT = datetime(2024, 6, 3, 4, tzinfo=UTC)


def candidate_row(
    name: str, west: float = -52.0, south: float = -7.0, side: float = 0.0047, **given: Any
) -> CandidateRow:
    """A square of ``side`` degrees from its south-west corner; other columns as given."""
    square = shapely.box(west, south, west + side, south + side)
    values: dict[str, Any] = {
        "geom": shapely.MultiPolygon([square]),
        "candidate_id": name,
        "probability": 0.91,
        "n_windows": 2,
        "threshold": 0.6,
        "model": "unesp_2025 0123",
        "acquisition_id": "one",
        "first_seen": date(2024, 5, 20),
        "last_seen": date(2024, 5, 20),
        "area_ha": 27.04,
        "votes": {},
        "recorded_at": RECORDED_AT,
    }
    return CandidateRow(**values | given)
