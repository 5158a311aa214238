"""Scores in bins of size and of distance to deforestation. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from curupira.validate.scores import Estimate, share

#: Edges in hectares (method.md 5) and metres.
SIZES_HA = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 25.0, float("inf"))
DISTANCES_M = (0.0, 100.0, 255.0, 500.0, 1000.0, 2000.0, float("inf"))

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BinScore:
    """One half-open bin ``[low, high)``: events and confirmed warnings in it, and their scores."""

    low: float
    high: float
    events: int
    warnings: int
    ua_count: Estimate
    pa_all_count: Estimate
    pa_count: Estimate

    def document(self, unit: str) -> dict[str, Any]:
        """Plain values; an open upper edge is null."""
        return {
            f"low_{unit}": self.low,
            f"high_{unit}": self.high if np.isfinite(self.high) else None,
            "events": self.events,
            "warnings": self.warnings,
            "ua_count": self.ua_count.document(),
            "pa_all_count": self.pa_all_count.document(),
            "pa_count": self.pa_count.document(),
        }


def size_bins(
    events: Mapping[str, npt.NDArray[Any]], area_ha: Floats, true: Bools, blocks: Any
) -> list[BinScore]:
    """Scores by the area of the events, and of the confirmed warnings ``(warnings,)``."""
    return _bins(SIZES_HA, events["area"], events, area_ha, true, blocks)


def distance_bins(
    events: Mapping[str, npt.NDArray[Any]], distance_m: Floats, true: Bools, blocks: Any
) -> list[BinScore]:
    """Scores by distance to deforestation; where it is unknown (NaN) the item is left out."""
    return _bins(DISTANCES_M, events["distance"], events, distance_m, true, blocks)


def _bins(
    edges: Sequence[float],
    of_event: Floats,
    events: Mapping[str, npt.NDArray[Any]],
    of_warning: Floats,
    true: Bools,
    blocks: npt.NDArray[np.int64],
) -> list[BinScore]:
    found = []
    for low, high in pairwise(edges):
        e = (of_event >= low) & (of_event < high)
        w = (of_warning >= low) & (of_warning < high)
        seen = e & events["visible"]
        found.append(
            BinScore(
                low,
                high,
                int(e.sum()),
                int(w.sum()),
                share(true[w], blocks[w]),
                share(events["in_time"][e], events["blocks"][e]),
                share(events["seen_in_time"][seen], events["blocks"][seen]),
            )
        )
    return found
