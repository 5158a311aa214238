"""The quality gate: is a scene where, and as bright as, its predecessors say? Pure.

A scene is compared with the temporal median of earlier scenes of its relative orbit, on blocks of
stable forest and its surroundings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from curupira.preprocess.shift import Float32, block_shift, scene_shift

BoolArray = npt.NDArray[np.bool_]

#: Pixels of a block that enter the scene's statistics; more would not change a median.
_SAMPLE = 2000
#: Least forest pixels of a block and of a scene that a level is believed of: on less, one clearing
#: or one wet slope would pass for the satellite's error.
_BLOCK_FOREST, _FOREST = 100, 1000
#: So many standard deviations are no accident.
_SURE = {"bias": 3.0, "offset": 2.0}
#: Spread in dB of single-look speckle divided by a level: 10 / ln 10 over the square root of ENL.
_DB_SPREAD = 4.343


class QualityParams(BaseModel):
    """Section ``[quality]``: when a scene is used, put right, or quarantined."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    retry_days: int = Field(
        14,
        ge=0,
        le=365,
        description="Days during which each run tries again a scene that its source failed to "
        "give; one whose data is bad waits for a newer version, or --force",
    )
    gate: bool = Field(
        True, description="Compare every scene with its predecessors, correct or quarantine it"
    )
    reference_images: int = Field(
        6, ge=3, le=30, description="Earlier passes of the orbit that make the reference"
    )
    max_shift_m: float = Field(
        15.0,
        ge=1,
        le=200,
        description="Displacement against the reference that is tolerated, metres; "
        "Sentinel-1's own is below 5 m, a neighbouring pixel is another tree",
    )
    correct_shift_m: float = Field(
        100.0,
        ge=0,
        le=200,
        description="Displacements up to this are put right by whole pixels, which keeps the "
        "speckle as it is; larger ones are quarantined; metres; 0 = never put right",
    )
    max_bias_db: float = Field(
        2.0,
        gt=0,
        le=20,
        description="Median difference to the reference over stable forest that is tolerated, dB; "
        "of a brighter image, what exceeds three times its variation from block to block: rain "
        "brightens unevenly, an error of the satellite does not",
    )
    platform_offset: bool = Field(
        True,
        description="Estimate a satellite's offset against the orbit's first one over stable "
        "forest, and take it off",
    )
    offset_images: int = Field(
        5, ge=1, le=30, description="First passes of a satellite that its offset is estimated from"
    )
    min_offset_db: float = Field(
        0.1, ge=0, le=5, description="Offsets smaller than this are left alone, dB"
    )
    weather_db: float = Field(
        0.5,
        ge=0,
        le=5,
        description="Standard deviation from pass to pass that weather makes over forest, dB; an "
        "offset below twice its standard error (weather_db over the root of the passes, or their "
        "own spread if that is larger) is left alone",
    )
    max_offset_db: float = Field(
        3.0, gt=0, le=20, description="Largest offset of a satellite that is believed, dB"
    )
    min_coverage: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Least share of the scene's part of the area that holds values",
    )
    min_enl: float = Field(
        1.0,
        ge=0,
        le=100,
        description="Least equivalent number of looks over stable forest: below it is noise",
    )


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a scene beside its reference; ``(y, x)`` dB, NaN missing.

    ``reference_db`` is None where too few earlier images are there; ``forest`` is stable forest.
    """

    image_db: Float32
    reference_db: Float32 | None
    forest: BoolArray
    inside: BoolArray


@dataclass(frozen=True, slots=True)
class Measure:
    """What was measured of a scene; None where it could not be.

    ``coverage``: valid share of the pixels that its footprint and the area share. ``shift_y_px``,
    ``shift_x_px``: displacement, down and right. ``bias_db``: median difference to the reference
    over forest, ``spread_db`` its standard deviation from block to block.
    ``enl``: equivalent number of looks, from the spread of that difference.
    """

    coverage: float
    shift_y_px: float | None = None
    shift_x_px: float | None = None
    shift_blocks: int = 0
    bias_db: float | None = None
    spread_db: float | None = None
    enl: float | None = None
    forest_pixels: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain values, rounded to what they are worth."""
        return {
            "coverage": round(self.coverage, 4),
            "shift_y_px": _rounded(self.shift_y_px),
            "shift_x_px": _rounded(self.shift_x_px),
            "shift_blocks": self.shift_blocks,
            "bias_db": _rounded(self.bias_db),
            "spread_db": _rounded(self.spread_db),
            "enl": _rounded(self.enl),
            "forest_pixels": self.forest_pixels,
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a scene: ``reason`` of its quarantine, or how many pixels it is moved by."""

    reason: str | None = None
    move_y: int = 0
    move_x: int = 0


def measure(blocks: Sequence[Block]) -> Measure:
    """Measure a scene on blocks of itself and of its reference.

    The result does not depend on the order of the blocks.
    """
    inside = sum(int(b.inside.sum()) for b in blocks)
    valid = sum(int((np.isfinite(b.image_db) & b.inside).sum()) for b in blocks)
    coverage = valid / inside if inside else 1.0
    compared = [(b, b.reference_db) for b in blocks if b.reference_db is not None]
    shift = scene_shift([block_shift(b.image_db, level) for b, level in compared])
    forest = [_valid((b.image_db - level)[b.forest]) for b, level in compared]
    pixels = sum(d.size for d in forest)
    bias = spread = enl = None
    if pixels >= _FOREST:
        pooled = np.concatenate([_sample(d) for d in forest])
        bias = float(np.median(pooled))
        deviation = 1.4826 * float(np.median(np.abs(pooled - bias)))
        enl = (_DB_SPREAD / max(deviation, 1e-3)) ** 2
        levels = [float(np.median(d)) for d in forest if d.size >= _BLOCK_FOREST]
        spread = float(np.std(levels)) if len(levels) > 1 else None
    return Measure(
        coverage=coverage,
        shift_y_px=None if shift is None else shift.y_px,
        shift_x_px=None if shift is None else shift.x_px,
        shift_blocks=0 if shift is None else shift.blocks,
        bias_db=bias,
        spread_db=spread,
        enl=enl,
        forest_pixels=pixels,
    )


def _valid(values: Float32) -> Float32:
    good: Float32 = values[np.isfinite(values)]
    return good


def _sample(values: Float32) -> Float32:
    return values[:: max(1, values.size // _SAMPLE)]


def excess_db(found: Measure) -> float:
    """How far a scene's level is off in dB, either way, of what cannot be rain; 0 if unknown.

    Rain and wet ground brighten unevenly and cannot pass for a clearing: three standard deviations
    of a brighter scene's blocks are allowed for. A darker scene is taken at its word.
    """
    if found.bias_db is None:
        return 0.0
    if found.bias_db <= 0:
        return -found.bias_db
    return max(0.0, found.bias_db - _SURE["bias"] * (found.spread_db or 0.0))


def judge(
    found: Measure, params: QualityParams, resolution_m: float, *, own: bool = True
) -> Verdict:
    """Decide about a scene.

    Parameters
    ----------
    found
        What was measured.
    params, resolution_m
        Thresholds, and the grid's pixel.
    own
        Whether the reference is of the scene's own satellite; ``max_offset_db`` holds instead of
        ``max_bias_db`` where it is another's.
    """
    if found.coverage < params.min_coverage:
        return Verdict(
            f"quality: {found.coverage:.1%} of its part of the area holds values, "
            f"min_coverage is {params.min_coverage:.1%}"
        )
    if found.enl is not None and found.enl < params.min_enl:
        return Verdict(
            f"quality: {found.enl:.1f} looks over forest, min_enl is {params.min_enl:g}: noise"
        )
    limit = params.max_bias_db if own else params.max_offset_db
    if found.bias_db is not None and excess_db(found) > limit:
        name = "max_bias_db" if own else "max_offset_db"
        return Verdict(
            f"quality: forest is {found.bias_db:+.2f} dB from its earlier images, {name} is "
            f"{limit:g}"
        )
    return _place(found, params, resolution_m)


def _place(found: Measure, params: QualityParams, resolution_m: float) -> Verdict:
    if found.shift_y_px is None or found.shift_x_px is None:
        return Verdict()
    metres = float(np.hypot(found.shift_y_px, found.shift_x_px)) * resolution_m
    if metres <= params.max_shift_m:
        return Verdict()
    if metres <= params.correct_shift_m:
        return Verdict(move_y=round(found.shift_y_px), move_x=round(found.shift_x_px))
    return Verdict(
        f"quality: displaced by {metres:.0f} m against its earlier images, correct_shift_m is "
        f"{params.correct_shift_m:g}"
    )


def platform_offset(biases_db: Sequence[float], params: QualityParams) -> float:
    """Offset in dB of a satellite, from its first images' biases against another's, in time order.

    The median, so that rain in one of them does not decide; 0 without images, or if it is small,
    or no more than weather makes in so few.
    """
    first = list(biases_db)[: params.offset_images]
    if not first or not params.platform_offset:
        return 0.0
    middle = float(np.median(first))
    spread = 1.4826 * float(np.median(np.abs(np.array(first) - middle)))
    error = max(spread, params.weather_db) / np.sqrt(len(first))
    least = max(params.min_offset_db, _SURE["offset"] * float(error))
    offset = round(middle, 2)
    return offset if abs(offset) >= least else 0.0


def median_db(images: Sequence[Float32], minimum: int) -> Float32 | None:
    """Median over images ``(y, x)`` of linear power, in dB; NaN with fewer than ``minimum`` valid.

    None where fewer than ``minimum`` images are given.
    """
    if len(images) < minimum:
        return None
    stack = np.stack(images)
    valid = np.isfinite(stack).sum(axis=0)
    # Missing values sort last: the median of the valid ones stands at half their number.
    ordered = np.sort(stack, axis=0)
    low = np.maximum(valid - 1, 0) // 2
    high = valid // 2
    high = np.minimum(high, np.maximum(valid - 1, 0))
    lower = np.take_along_axis(ordered, low[None], axis=0)[0]
    upper = np.take_along_axis(ordered, high[None], axis=0)[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        level = 10 * np.log10((lower + upper) / 2)
    return np.where(valid >= minimum, level, np.nan).astype(np.float32)
