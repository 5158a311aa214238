"""A warning of a day's draw, as a row of the store."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from curupira.store.tables import SampleRow


def sample_row(warning_id: str, day: date, **given: Any) -> SampleRow:
    """A drawn warning of which every other column is as given, or as of a certain draw."""
    values: dict[str, Any] = {
        "plan": "deter_r",
        "seed": 1,
        "stratum": "largest",
        "inclusion_probability": 1.0,
        "area_ha": 1.0,
        "drawn": True,
        "blind": False,
        "drawn_at": datetime(day.year, day.month, day.day, tzinfo=UTC),
        "drawn_by": "olga",
    }
    return SampleRow(day=day, warning_id=warning_id, **values | given)
