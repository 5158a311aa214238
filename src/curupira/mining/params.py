"""Parameters of mining. A preset's values are declared once, in ``unesp_2025.toml``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from curupira.errors import ConfigError
from curupira.presets import Preset

_PAPER = "Lemes Neto et al. 2025"

RadarBand = Literal["vv", "vh", "pa"]
SeasonBand = Literal["vv_spread", "vh_spread", "vv_detail", "vh_detail"]
LandBand = Literal["stream", "slope", "height"]
BandName = RadarBand | SeasonBand | LandBand
PaKind = Literal["half_difference", "half_sum", "ratio", "rvi"]
LeeKind = Literal["linear", "db", "none"]
SplitKind = Literal["random", "point", "block"]
Rule = Literal["paper", "symmetric"]


class _Section(BaseModel):
    # Strict: a number in quotes is a mistake, not a number.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class BandParams(_Section):
    """What a patch is made of."""

    bands: list[BandName] = Field(
        min_length=1, max_length=10, description=f"Bands in order. Source: {_PAPER}."
    )
    dates: int = Field(ge=1, le=60, description=f"Dates of an image. Source: {_PAPER}.")
    pa: PaKind = Field(description=f"Formula of the third band. Source: {_PAPER}.")
    lee: LeeKind = Field(description=f"Lee on linear power, on dB, or none. Source: {_PAPER}.")
    lee_window: int = Field(ge=3, le=15, description=f"Side, pixels, odd. Source: {_PAPER}.")
    lee_looks: float = Field(ge=0.5, le=1000, description="Equivalent looks. Source: own.")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if len(set(self.bands)) != len(self.bands):
            raise ValueError("a band is named twice")
        if self.lee_window % 2 == 0:
            raise ValueError("lee_window must be odd")
        if self.dates == 1 and any(name in get_args(SeasonBand) for name in self.bands):
            raise ValueError("spread and detail need a composite of several dates")
        return self

    @property
    def others(self) -> list[BandName]:
        """Bands that one image of VV and VH does not give."""
        return [name for name in self.bands if name not in get_args(RadarBand)]

    @property
    def halo(self) -> int:
        """Pixels around a block that the Lee filter looks at."""
        return 0 if self.lee == "none" else self.lee_window // 2


class PatchParams(_Section):
    """Size of a patch and what it may lack."""

    size_px: int = Field(
        ge=16, le=512, multiple_of=4, description=f"Side, pixels. Source: {_PAPER}."
    )
    pixel_m: float = Field(ge=1, le=100, description=f"Ground size, metres. Source: {_PAPER}.")
    missing_share: float = Field(ge=0, le=0.5, description="Largest share missing. Source: own.")
    composites: int = Field(
        ge=1, le=1000, description="Composites of each point, of other dates each. Source: own."
    )
    shift_px: int = Field(
        ge=0, le=256, description="Farthest shift of a composite's patch, pixels. Source: own."
    )

    @property
    def reach_m(self) -> float:
        """Side of the ground that the patches of a point may lie on, metres."""
        return (self.size_px + 2 * self.shift_px) * self.pixel_m

    @property
    def size_m(self) -> float:
        """Side of a patch in metres."""
        return self.size_px * self.pixel_m


class NetworkParams(_Section):
    """The convolutional network."""

    filters: list[Annotated[int, Field(ge=1, le=1024)]] = Field(
        min_length=3, max_length=3, description=f"Filters of the convolutions. Source: {_PAPER}."
    )
    dense: int = Field(ge=1, le=4096, description=f"Units of the dense layer. Source: {_PAPER}.")
    dropout: float = Field(ge=0, le=0.95, description=f"Dropout before it. Source: {_PAPER}.")
    pooling: Literal["mean", "mean_max", "attention"] = Field(
        description="How features of all places become one: their mean, mean and maximum, or "
        f"weighted by a learned attention. Source: {_PAPER}."
    )
    norm_momentum: float = Field(ge=0.001, le=1, description="Weight of a batch. Source: own.")
    norm_epsilon: float = Field(ge=0, le=0.1, description="Added to the variance. Source: own.")


class TrainingParams(_Section):
    """How the network learns."""

    learning_rate: float = Field(ge=1e-6, le=1, description=f"Adam's step. Source: {_PAPER}.")
    adam_beta1: float = Field(ge=0, le=0.99999, description=f"First moment. Source: {_PAPER}.")
    adam_beta2: float = Field(ge=0, le=0.99999, description=f"Second moment. Source: {_PAPER}.")
    adam_epsilon: float = Field(ge=1e-12, le=0.1, description=f"Adam's epsilon. Source: {_PAPER}.")
    focal_gamma: float = Field(ge=0, le=10, description=f"Focal exponent. Source: {_PAPER}.")
    focal_alpha: float = Field(ge=0, le=1, description=f"Focal weight. Source: {_PAPER}.")
    focal_weight: Literal["constant", "class"] = Field(
        description=f"Alpha for all, or alpha for mines and 1 - alpha else. Source: {_PAPER}."
    )
    batch_size: int = Field(ge=2, le=4096, description=f"Patches a step. Source: {_PAPER}.")
    epochs: int = Field(ge=1, le=10_000, description=f"Passes. Source: {_PAPER}.")
    decay: Literal["none", "cosine"] = Field(
        description="Whether Adam's step falls to 0 over the epochs, as a half cosine. Source: own."
    )
    final_statistics: Literal["running", "anew"] = Field(
        description="Statistics of the normalisation in use: as the training left them, or made "
        "anew over the training patches. Source: own."
    )
    zscore: Literal["training", "patch"] = Field(
        description="Whose mean and sd the z-score takes. Source: own."
    )
    patience: int = Field(ge=0, le=1000, description="Epochs without gain; 0 = all. Source: own.")
    augment: bool = Field(description="Random flips and quarter turns. Source: own.")
    calibrate: bool = Field(
        description="Divide the logits by a temperature chosen on the validation patches. "
        "Source: own."
    )


class SplitParams(_Section):
    """What is held out for validation."""

    split: SplitKind = Field(description=f"Random patches, points or blocks. Source: {_PAPER}.")
    validation_share: float = Field(ge=0.05, le=0.5, description=f"Share. Source: {_PAPER}.")
    block_km: float = Field(ge=1, le=1000, description="Side of a block, km. Source: own.")
    block_gap_km: float = Field(
        ge=0, le=500, description="Training stays so far from validation, km. Source: own."
    )


class ClassifyParams(_Section):
    """From probabilities to squares."""

    threshold: float = Field(ge=0, le=1, description=f"A mine is above it. Source: {_PAPER}.")
    stride_px: int = Field(ge=1, le=512, description=f"Window step, pixels. Source: {_PAPER}.")
    squares: Literal["quarters", "whole", "shared"] = Field(
        description="A hit becomes four squares, the quarters of its window, or one, the window; "
        f"shared: a square is scored by all windows that hold it. Source: {_PAPER}."
    )
    merge_overlap: float = Field(
        ge=0.5, le=1, description=f"Squares sharing so much are one. Source: {_PAPER}."
    )
    lone_threshold: float = Field(
        ge=0, le=1, description="A lone square must be above this too. Source: own."
    )
    lone_neighbours: int = Field(
        ge=0, le=1000, description="Lone: fewer other squares near it. Source: own."
    )
    lone_km: float = Field(gt=0, le=100, description="How near, km. Source: own.")


class MiningParams(BaseModel):
    """A mining preset."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bands: BandParams
    patches: PatchParams
    network: NetworkParams
    training: TrainingParams
    split: SplitParams
    classify: ClassifyParams

    @classmethod
    def from_preset(cls, preset: Preset) -> MiningParams:
        """Validate a preset.

        Raises
        ------
        ConfigError
            If a section or an option is missing, unknown, or out of its range.
        """
        unknown = sorted(set(preset.sections) - set(cls.model_fields))
        if unknown:
            raise ConfigError(
                f"unknown section [{unknown[0]}]",
                where=f"preset {preset.name}",
                remedy=f"a mining preset has {', '.join(cls.model_fields)}",
            )
        return cls(
            bands=_read(BandParams, preset, "bands"),
            patches=_read(PatchParams, preset, "patches"),
            network=_read(NetworkParams, preset, "network"),
            training=_read(TrainingParams, preset, "training"),
            split=_read(SplitParams, preset, "split"),
            classify=_read(ClassifyParams, preset, "classify"),
        )

    def check_step(self, stride_px: int, *, where: str) -> None:
        """Refuse a step of the window that leaves gaps, or that shared squares cannot be made of.

        Raises
        ------
        ConfigError
            If the step is longer than a window; if squares are shared and it does not divide half.
        """
        size = self.patches.size_px
        if stride_px > size:
            raise ConfigError(
                f"a step of {stride_px} pixels leaves gaps between windows of {size}",
                where=where,
                remedy=f"take {size // 2}",
            )
        if self.classify.squares == "shared" and size % (2 * stride_px):
            raise ConfigError(
                f"a step of {stride_px} pixels does not divide half the window of {size}, which is "
                "the side of shared squares",
                where=where,
                remedy=f"take {size // 2}",
            )


class GridParams(_Section):
    """The reference grid (paper, section 2.7)."""

    cell_m: float = Field(520.0, ge=10, le=100_000, description="Side of a cell, metres")
    min_fragment_m2: float = Field(
        10_816.0,
        ge=0,
        description="Smaller fragments are dropped, m2. As printed, which is 4 % of a cell; "
        "its words, 20 % of a cell, are 54080",
    )
    crs: str = Field("", description='CRS in metres; "" = UTM zone of the reference')


class ScoreParams(_Section):
    """How detections are judged (paper, section 2.8)."""

    rule: Rule = Field(
        "paper",
        description="paper: recall mixes detections found with cells missed, as published; "
        "symmetric: recall is the share of reference cells found",
    )
    min_overlap: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the smaller polygon that must overlap; 0 = touching is enough",
    )
    bootstrap: int = Field(1000, ge=100, le=100_000, description="Resamples behind the intervals")
    block_km: float = Field(
        10.0, gt=0, le=1000, description="Side of the blocks that are resampled, km"
    )
    seed: int = Field(0, ge=0, description="Of the resampling")


_M = TypeVar("_M", bound=BaseModel)


def _read(model: type[_M], preset: Preset, section: str) -> _M:
    return validated(
        model, dict(preset.section(section)), where=f"preset {preset.name} [{section}]"
    )


def validated(model: type[_M], values: dict[str, Any], *, where: str) -> _M:
    """Build a parameter model; the first fault becomes an error that names key, value and range.

    Raises
    ------
    ConfigError
        If a value is missing, unknown, or out of its range.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        given = f" (got {values[key]!r})" if key in values else ""
        field = model.model_fields.get(key)
        raise ConfigError(
            f"{key + ': ' if key else ''}{first['msg']}{given}",
            where=where,
            remedy=field.description if field else "see the comments of unesp_2025.toml",
        ) from error
