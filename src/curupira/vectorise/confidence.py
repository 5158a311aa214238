"""Confidence of a polygon from its pixels: how likely it is that something was disturbed. Pure."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

Doubles = npt.NDArray[np.float64]

#: Confidences nearer to 0 or 1 are not told apart: float32 ends there.
_NEAREST = 1e-6


class ConfidenceParams(BaseModel):
    """Section ``[confidence]`` of a preset: confidence of a polygon, and what it decides."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    polygon_confidence: Literal["median", "calibrated"] = Field(
        description="Median of its pixels' confidence (then n_alerts confirms), or a logistic law "
        "of this median, pixels and images (then it confirms itself). Source: own."
    )
    confidence_base: float = Field(
        ge=-50, le=50, description="Log odds of one pixel of confidence one half. Source: own."
    )
    confidence_pixel_weight: float = Field(
        ge=0, le=10, description="Weight of the log odds of the pixels' median. Source: own."
    )
    confidence_size_weight: float = Field(
        ge=0, le=10, description="Weight of the natural log of the flagged pixels. Source: own."
    )
    confidence_images_weight: float = Field(
        ge=-10,
        le=10,
        description="Weight of the natural log of the flagged images, their median. Source: own.",
    )
    confidence_issue: float = Field(
        ge=0, le=1, description="Polygons of less are not issued. Source: own."
    )
    confidence_confirm: float = Field(
        ge=0, le=1, description="Confirmed from here if calibrated. Source: own."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.confidence_confirm < self.confidence_issue:
            raise ValueError("confidence_confirm must not be below confidence_issue")
        return self

    @property
    def calibrated(self) -> bool:
        """Whether the confidence of a polygon decides."""
        return self.polygon_confidence == "calibrated"


def polygon_confidence(
    median: Doubles,
    n_pixels: npt.NDArray[np.integer],
    n_alerts: Doubles,
    params: ConfidenceParams,
) -> Doubles:
    """Probability that each polygon is true, from its pixels.

    One noisy pixel may reach any level by chance, many neighbours at once hardly: the log odds grow
    with the median evidence of the flagged pixels and with the logarithm of their number. What
    needed many images to get there is weaker than what one showed.

    Parameters
    ----------
    median
        Median confidence of the flagged pixels, shape (polygon,), 0 to 1; NaN gives 0.
    n_pixels
        Flagged pixels of each polygon, at least 1.
    n_alerts
        Median of their flagged images, at least 1.
    """
    inside = np.clip(median, _NEAREST, 1 - _NEAREST)
    odds = params.confidence_base + params.confidence_pixel_weight * np.log(inside / (1 - inside))
    odds = odds + params.confidence_size_weight * np.log(n_pixels)
    odds = odds + params.confidence_images_weight * np.log(np.maximum(n_alerts, 1))
    return np.where(np.isnan(median), 0.0, 1 / (1 + np.exp(-odds)))
