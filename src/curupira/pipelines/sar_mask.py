"""The SAR mask: earlier warnings that are not issued again (method.md 1A step 16)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Literal

import shapely
from pydantic import BaseModel, ConfigDict, Field
from shapely.geometry.base import BaseGeometry

from curupira.blocks import Window
from curupira.codes import ClosedReason, IntensityClass
from curupira.pipelines.images import Detector
from curupira.presets import Preset
from curupira.records import Acquisition
from curupira.vectorise.match import Book


class SarMaskParams(BaseModel):
    """Section [sar_mask] of a preset."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sar_mask: Literal["confirmed", "high_intensity", "none"] = Field(
        description="Confirmed warnings that mask later days. Source: authors' scripts."
    )
    sar_mask_clears: bool = Field(
        description="Whether rejected warnings and those on the deforestation map leave the mask."
    )
    sar_mask_rim_px: int = Field(
        ge=0, le=10, description="Pixels around what is masked that are masked as well. Own."
    )
    backlog: Literal["warned", "masked"] = Field(
        description="What was disturbed before monitoring began: warned of, or left out. Own."
    )

    @classmethod
    def from_preset(cls, preset: Preset) -> SarMaskParams:
        """Validate a preset's section."""
        return cls.model_validate(dict(preset.section("sar_mask")))


def news_after(preset: Preset, known: Sequence[Acquisition], since: date) -> date | None:
    """Day up to which a flag is no news where the preset masks the backlog; else None.

    It is the first acquisition since monitoring began: what is flagged there may have happened
    before. Only what an image of the watch has seen undisturbed is known to be a change since.
    """
    if SarMaskParams.from_preset(preset).backlog == "warned":
        return None
    return min((a.day for a in known if a.day >= since), default=None)


def masking(book: Book, day: date, window: Window, detector: Detector) -> list[BaseGeometry]:
    """Geometries of earlier warnings within a window that are not warned again.

    All confirmed by acquisitions of earlier days, and of the same day those of high intensity
    (method.md 1A step 16, product.md 3 point 3); which of them by the preset's ``sar_mask``.
    With ``sar_mask_clears`` a low-intensity warning stays watched, and a warning leaves the mask
    when the deforestation map is newer than it. All are wider by ``sar_mask_rim_px``: the filters
    show a clearing's rim as half dark, and in time the rim would be warned of by itself.
    """
    options = SarMaskParams.from_preset(detector.preset)
    if options.sar_mask == "none":
        return []
    box = shapely.box(*detector.grid[window.slices].boundingbox)
    mapped = detector.masks.deforestation_date
    found = []
    for e in book.entries.values():
        if e.confirming is None or e.closed_reason not in (None, ClosedReason.REJECTED):
            continue
        high = e.intensity_class is IntensityClass.HIGH
        earlier = e.confirming.day < day or (e.confirming.day == day and high)
        if not earlier or (options.sar_mask == "high_intensity" and not high):
            continue
        gone = e.closed_reason is ClosedReason.REJECTED or (
            mapped is not None and e.confirming.day <= mapped <= day
        )
        if options.sar_mask_clears and (gone or not high):
            continue
        wide = wider(e.geometry, options, detector)
        if wide.intersects(box):
            found.append(wide)
    return found


def wider(geometry: BaseGeometry, options: SarMaskParams, detector: Detector) -> BaseGeometry:
    """A geometry in the grid's CRS with the rim that is masked with it."""
    rim_m = options.sar_mask_rim_px * float(detector.grid.resolution.x)
    return shapely.buffer(geometry, rim_m, join_style="mitre") if rim_m else geometry
