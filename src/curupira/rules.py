"""The confirmation and class rules, where detection and polygons must agree. Pure."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from curupira.codes import IntensityClass

ConfirmStatistic = Literal["median", "mean"]


class ConfirmParams(BaseModel):
    """Section ``[confirm]`` of a preset: when a polygon is confirmed, and its class."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    confirm_statistic: ConfirmStatistic = Field(
        description="Statistic of the flagged images per pixel over a polygon; the scripts take "
        "the median since 2021-04-06, the paper the mean (method.md 1B row 10)."
    )
    confirm_n_alerts: float = Field(
        ge=0,
        le=100,
        description="Confirmed above this number of flagged images, strict (method.md 1A step 15).",
    )
    high_intensity: float = Field(
        ge=0,
        le=200,
        description="High intensity above this excess, tenths of dB, strict "
        "(method.md 1A step 15 and 1B row 11).",
    )


def is_confirmed(
    n_alerts_median: float, n_alerts_mean: float, statistic: ConfirmStatistic, limit: float
) -> bool:
    """Whether a polygon is confirmed (CR2) rather than preliminary (CR1).

    Strictly more than ``limit`` flagged images by the chosen statistic; NaN is not confirmed.
    Source: method.md 1A step 15, 1B row 10.
    """
    return bool((n_alerts_median if statistic == "median" else n_alerts_mean) > limit)


def intensity_class(intensity: float, limit: float) -> IntensityClass:
    """Class of an intensity in tenths of dB: high if strictly above ``limit``, else (and NaN) low.

    Source: method.md 1A step 15 (DEGRADATION if intensity <= 7, else CLEAR_CUT).
    """
    return IntensityClass.HIGH if intensity > limit else IntensityClass.LOW
