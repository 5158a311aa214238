"""Parameters of detection. Values are declared once, in ``presets/detect/deter_r.toml``."""

from __future__ import annotations

from typing import Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from curupira.errors import ConfigError
from curupira.presets import Preset
from curupira.rules import ConfirmParams

_SCRIPTS = "authors' scripts (DETER_R_AMZ)"
_PAPER = "Doblas et al. 2022"
#: Pixels around one that the network of `verify` looks at.
VERIFY_REACH = 2


class _Section(BaseModel):
    # Strict: a number in quotes is a mistake, not a number.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class PeriodParams(_Section):
    """Learning and detection period, and whose images they hold."""

    learning_months: int = Field(
        ge=6, le=120, description=f"Learning period, calendar months. Source: {_SCRIPTS}."
    )
    detection_months: int = Field(
        ge=1, le=12, description=f"Detection period, calendar months. Source: {_SCRIPTS}."
    )
    minimum_learning_images: int = Field(
        ge=1,
        le=200,
        description="A pixel with fewer valid learning images is not observed. Source: own.",
    )
    orbits: Literal["same", "all"] = Field(
        description=f"Relative orbits a detection uses. Source: {_SCRIPTS}."
    )


class GeometryParams(_Section):
    """Angle limits (exclusive) and the along-track border."""

    angle_min_deg: float = Field(
        ge=0, le=90, description=f"Smallest ellipsoid angle, degrees. Source: {_SCRIPTS}."
    )
    angle_max_deg: float = Field(
        ge=0, le=90, description=f"Largest ellipsoid angle, degrees. Source: {_SCRIPTS}."
    )
    lia_min_deg: float = Field(
        ge=0, le=90, description=f"Smallest LIA of a detection image, degrees. Source: {_SCRIPTS}."
    )
    lia_max_deg: float = Field(
        ge=0, le=90, description=f"Largest LIA of a detection image, degrees. Source: {_SCRIPTS}."
    )
    border: Literal["slice", "pass", "noisy", "none"] = Field(
        description=f"Which along-track edges are cut off. Source: {_SCRIPTS}."
    )
    border_m: float = Field(
        ge=0, le=10_000, description=f"Width cut off there, metres. Source: {_SCRIPTS}."
    )
    border_dark_db: float = Field(
        gt=0, le=20, description="An inner seam is noisy where it is darker by more, dB. Own."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.angle_min_deg >= self.angle_max_deg:
            raise ValueError("angle_min_deg must be below angle_max_deg")
        if self.lia_min_deg >= self.lia_max_deg:
            raise ValueError("lia_min_deg must be below lia_max_deg")
        return self


class ScreenParams(_Section):
    """Local anomaly of every image: rain, moisture, season over kilometres."""

    screen: Literal["none", "local"] = Field(
        description="Take the local anomaly out of every image, or nothing. Source: own."
    )
    screen_cell_px: int = Field(
        ge=2, le=64, description="Side of a cell that the anomaly is measured in, pixels. Own."
    )
    screen_window_cells: int = Field(
        ge=3, le=31, description="Side of the window of its median, cells, odd. Source: own."
    )
    screen_limit_db: float = Field(
        gt=0, le=20, description="An image is dropped where the anomaly is more, dB. Source: own."
    )

    @model_validator(mode="after")
    def _centred(self) -> Self:
        if self.screen_window_cells % 2 == 0:
            raise ValueError("screen_window_cells must be odd")
        return self

    @property
    def reach(self) -> int:
        """Pixels around a block that its cells' medians look at."""
        if self.screen == "none":
            return 0
        return (2 + self.screen_window_cells // 2) * self.screen_cell_px


class SeasonParams(_Section):
    """Seasonal stabilisation."""

    season: Literal["harmonic", "none"] = Field(
        description=f"First-order harmonic in dB, or nothing. Source: {_SCRIPTS}, {_PAPER}."
    )
    season_fit_on: Literal["all", "learning"] = Field(
        description=f"Images the harmonic is fitted on. Source: {_SCRIPTS}."
    )
    season_recentre: Literal["intercept", "median"] = Field(
        description=f"Level kept: intercept ({_SCRIPTS}) or series median ({_PAPER})."
    )
    season_order: Literal["before", "after"] = Field(
        description=f"Before ({_SCRIPTS}) or after ({_PAPER}) the speckle filter."
    )


class SpeckleParams(_Section):
    """Quegan-Yu and Refined Lee filters."""

    quegan_yu: bool = Field(
        description=f"Multi-temporal filter over both periods. Source: {_SCRIPTS}, {_PAPER}."
    )
    expectation: Literal["median", "box"] = Field(
        description=f"Local expectation: median ({_SCRIPTS}) or box mean ({_PAPER})."
    )
    expectation_window: int = Field(
        ge=3, le=11, description=f"Side of its window, pixels, odd. Source: {_SCRIPTS}, {_PAPER}."
    )
    refined_lee: Literal["scripts", "nearest", "none"] = Field(
        description=f"Side of an edge: as in the {_SCRIPTS}, nearer mean (Lee 1981), or no filter."
    )
    lee_clamp: bool = Field(description=f"Lee's weight within 0 and 1. Source: {_SCRIPTS}: no.")

    @model_validator(mode="after")
    def _odd(self) -> Self:
        if self.expectation_window % 2 == 0:
            raise ValueError("expectation_window must be odd")
        return self


class ThresholdParams(_Section):
    """Drop below the reference level that flags an image, by the distance to deforestation."""

    threshold_law: Literal["pdf_clamped", "cdf", "fixed"] = Field(
        description=f"Law of T: pdf_clamped ({_SCRIPTS}), cdf ({_PAPER}) or fixed at Tmax."
    )
    threshold_min: float = Field(
        ge=0, le=10, description=f"Tmin, in clutter_sd_db. Source: {_SCRIPTS}, {_PAPER}."
    )
    threshold_max: float = Field(
        ge=0, le=10, description=f"Tmax, in clutter_sd_db. Source: {_SCRIPTS}, {_PAPER}."
    )
    clutter_mean_db: float = Field(
        ge=0, le=10, description=f"Forest: mean of mean minus minimum, dB. Source: {_PAPER}."
    )
    clutter_sd_db: float = Field(
        ge=0.01, le=5, description=f"Forest: standard deviation of it, dB. Source: {_PAPER}."
    )
    distance_mu: float = Field(
        ge=0, le=6, description=f"Location of the distance law, log10 m. Source: {_PAPER}."
    )
    distance_s: float = Field(
        ge=0.01, le=3, description=f"Scale of the distance law, log10 m. Source: {_PAPER}."
    )
    max_distance_m: float = Field(
        ge=100, le=100_000, description=f"Farther counts as this, metres. Source: {_SCRIPTS}."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.threshold_min > self.threshold_max:
            raise ValueError("threshold_min must not exceed threshold_max")
        return self


class EvidenceParams(_Section):
    """Evidence summed over the images of a pixel. Numbers: folds 0-1 of the real Amazon series."""

    evidence: Literal["none", "accumulated"] = Field(
        description="Flags by the threshold alone, or by accumulated evidence. Source: own."
    )
    evidence_history_months: int = Field(
        ge=6, le=120, description="Last calendar months of learning that count. Source: own."
    )
    evidence_history_images: int = Field(
        ge=5, le=200, description="At most so many images of these months. Source: own."
    )
    evidence_spread_db: float = Field(
        ge=0.1, le=3, description="Spread of filtered forest over time, dB. Source: own."
    )
    evidence_own_share: float = Field(
        ge=0, le=2, description="Least share of the pixel's own spread that counts. Source: own."
    )
    evidence_patch_db: float = Field(
        ge=0.01, le=3, description="Roughness of forest that its spread is of, dB. Source: own."
    )
    evidence_patch_unknown_db: float = Field(
        ge=0.01, le=3, description="Roughness where too little forest is around, dB. Source: own."
    )
    evidence_patch_weight: float = Field(
        ge=0, le=5, description="Power of the spread's growth with more roughness. Source: own."
    )
    evidence_tail: float = Field(
        ge=1, le=100, description="Degrees of freedom of forest's Student t. Source: own."
    )
    evidence_drop_db: float = Field(
        ge=0, le=10, description="Mean drop of a clearing where it shows, dB. Source: own."
    )
    evidence_drop_sd_db: float = Field(
        ge=0.1, le=10, description="Standard deviation of that drop, dB. Source: own."
    )
    evidence_forest_share: float = Field(
        ge=0.01, le=0.9, description="Images of a clearing that look like forest. Source: own."
    )
    evidence_vv_weight: float = Field(
        ge=0, le=1, description="Weight of what VV says; VH has 1. Source: own."
    )
    evidence_distance_weight: float = Field(
        ge=0, le=3, description="Weight of the distance prior's log odds. Source: own."
    )
    evidence_floor: float = Field(
        ge=-20, le=0, description="Least value of the sum, nats. Source: own."
    )
    evidence_issue: float = Field(
        ge=0.1, le=100, description="The sum flags a pixel from here, nats. Source: own."
    )
    evidence_even: float = Field(
        ge=-20, le=100, description="Sum of which the confidence is one half, nats. Source: own."
    )
    evidence_slope: float = Field(
        gt=0, le=10, description="Log odds of the confidence a nat of the sum. Source: own."
    )
    confirm_confidence: float = Field(
        ge=0, le=1, description="Confirmed by confidence from here. Source: own."
    )


class VerifyParams(_Section):
    """Verification of single images."""

    verify: Literal["none", "network"] = Field(
        description="Scale what an image says by its neighbourhood, seen by a small network. Own."
    )


class ShadowParams(_Section):
    """New shadow at the edge of a clearing, and the patch behind it."""

    shadow: Literal["none", "reconstructed"] = Field(
        description="Flag what lies between a shadow and its layover. Source: Bouvet et al. 2018."
    )
    shadow_reach_px: int = Field(
        ge=2, le=20, description="Farthest layover from its shadow, pixels. Source: own."
    )
    shadow_layover: float = Field(
        gt=0,
        le=20,
        description="Layover is brighter by this many standard errors since then. Source: own.",
    )


class DetectParams(BaseModel):
    """The sections of a preset that detection reads."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    period: PeriodParams
    geometry: GeometryParams
    screen: ScreenParams
    season: SeasonParams
    speckle: SpeckleParams
    threshold: ThresholdParams
    confirm: ConfirmParams
    evidence: EvidenceParams
    verify: VerifyParams
    shadow: ShadowParams

    @classmethod
    def from_preset(cls, preset: Preset) -> DetectParams:
        """Validate the sections of a preset.

        Raises
        ------
        ConfigError
            If a section or an option is missing, unknown, or out of its range.
        """
        return cls(
            period=_read(PeriodParams, preset, "period"),
            geometry=_read(GeometryParams, preset, "geometry"),
            screen=_read(ScreenParams, preset, "screen"),
            season=_read(SeasonParams, preset, "season"),
            speckle=_read(SpeckleParams, preset, "speckle"),
            threshold=_read(ThresholdParams, preset, "threshold"),
            confirm=_read(ConfirmParams, preset, "confirm"),
            evidence=_read(EvidenceParams, preset, "evidence"),
            verify=_read(VerifyParams, preset, "verify"),
            shadow=_read(ShadowParams, preset, "shadow"),
        )

    @property
    def needs_vv(self) -> bool:
        """Whether VV says anything."""
        wanted = self.evidence.evidence_vv_weight > 0 or self.verify.verify == "network"
        return self.evidence.evidence == "accumulated" and wanted

    @property
    def unfiltered(self) -> DetectParams:
        """The same without spatial filters, for a pixel that has no neighbours."""
        off = self.speckle.model_copy(update={"quegan_yu": False, "refined_lee": "none"})
        blind = self.screen.model_copy(update={"screen": "none"})
        alone = VerifyParams(verify="none")
        dull = self.shadow.model_copy(update={"shadow": "none"})
        return self.model_copy(
            update={"speckle": off, "screen": blind, "verify": alone, "shadow": dull}
        )

    @property
    def halo(self) -> int:
        """Pixels around a block that its spatial filters look at (5 in ``deter_r``)."""
        expectation = self.speckle.expectation_window // 2 if self.speckle.quegan_yu else 0
        lee = 0 if self.speckle.refined_lee == "none" else 3
        verify = 0 if self.verify.verify == "none" else VERIFY_REACH
        shadow = 0 if self.shadow.shadow == "none" else self.shadow.shadow_reach_px
        return expectation + lee + self.screen.reach + verify + shadow


_M = TypeVar("_M", bound=BaseModel)


def _read(model: type[_M], preset: Preset, section: str) -> _M:
    values = dict(preset.section(section))
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        given = f" (got {values[key]!r})" if key in values else ""
        field = model.model_fields.get(key)
        raise ConfigError(
            f"{key + ': ' if key else ''}{first['msg']}{given}",
            where=f"preset {preset.name} [{section}]",
            remedy=field.description if field else "see the comments of deter_r.toml",
        ) from error
