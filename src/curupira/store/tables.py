"""The tables, as typed rows. Columns follow product.md section 5; ``id`` is the database's own key.

The schema itself is made by the migrations; a test keeps both the same.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from shapely.geometry.base import BaseGeometry
from sqlalchemy import BigInteger, Boolean, Date, ForeignKey, Integer, MetaData, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from curupira.codes import (
    ClosedReason,
    IntensityClass,
    OrbitState,
    Role,
    RunState,
    SceneState,
    Status,
    Verdict,
    VerdictSource,
    VoteKind,
)
from curupira.store.columns import Code, Json, Number, UtcDateTime, Whole, text
from curupira.store.geometry import Geom

#: Identifiers: UUIDs, scene and acquisition names, hashes, snapshot ids.
IDENTIFIER = 160
NAME = 255
#: SIRGAS 2000 for warnings, WGS 84 for footprints.
WARNING_SRID, FOOTPRINT_SRID = 4674, 4326


def reference(target: str) -> ForeignKey:
    """Foreign key that is checked at commit, so that rows may be written in any order."""
    return ForeignKey(target, deferrable=True, initially="DEFERRED")


class Base(DeclarativeBase):
    """Root of the mapping. Ids are never used twice (``AUTOINCREMENT``, as GeoPackage asks)."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    __table_args__: Any = {"sqlite_autoincrement": True}  # noqa: RUF012 (as SQLAlchemy declares)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: text(NAME),
        int: Whole(),
        float: Number(),
        bool: Boolean(),
        date: Date(),
        datetime: UtcDateTime(),
        dict[str, Any]: Json(),
        **{
            words: Code(words)
            for words in (
                ClosedReason,
                IntensityClass,
                OrbitState,
                Role,
                RunState,
                SceneState,
                Status,
                Verdict,
                VerdictSource,
                VoteKind,
            )
        },
    }

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, sort_order=-1
    )


def _identifier(**options: Any) -> Any:
    return mapped_column(text(IDENTIFIER), **options)


def _message() -> Any:
    return mapped_column(text(4000))


class MetaRow(Base):
    """A fact about the whole store: workspace format, grid hash."""

    __tablename__ = "meta"

    key: Mapped[str] = _identifier(unique=True)
    value: Mapped[str] = _message()


class RunRow(Base):
    """One invocation that changed the workspace."""

    __tablename__ = "run"

    run_id: Mapped[str] = _identifier(unique=True)
    state: Mapped[RunState]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    command: Mapped[str] = _message()
    since: Mapped[date | None]
    until: Mapped[date | None]
    version: Mapped[str]
    versions: Mapped[dict[str, Any] | None]
    preset: Mapped[str | None]
    preset_hash: Mapped[str | None] = _identifier()
    masks: Mapped[dict[str, Any] | None]
    cube_snapshot: Mapped[str | None] = _identifier()
    counts: Mapped[dict[str, Any] | None]
    timings: Mapped[dict[str, Any] | None]
    message: Mapped[str | None] = _message()


class AcquisitionRow(Base):
    """The scenes of one platform, relative orbit and pass. ``dirty``: to be (re-)evaluated."""

    __tablename__ = "acquisition"

    acquisition_id: Mapped[str] = _identifier(unique=True)
    platform: Mapped[str]
    relative_orbit: Mapped[int] = mapped_column(index=True)
    acquired: Mapped[datetime] = mapped_column(index=True)
    day: Mapped[date]
    created: Mapped[datetime]
    dirty: Mapped[bool]
    n_scenes: Mapped[int]
    input_hash: Mapped[str | None] = _identifier()
    evaluated_at: Mapped[datetime | None]
    run_id: Mapped[str | None] = _identifier()
    observed_km2: Mapped[float | None]
    masked_km2: Mapped[float | None]
    unobserved_km2: Mapped[float | None]
    n_observations: Mapped[int | None]


class SceneRow(Base):
    """One product of the catalogue and what became of it.

    Of an item that could not be read there is only its id, and the reason.
    """

    __tablename__ = "scene"

    scene_id: Mapped[str] = _identifier(unique=True)
    platform: Mapped[str | None]
    acquired: Mapped[datetime | None] = mapped_column(index=True)
    created: Mapped[datetime | None]
    relative_orbit: Mapped[int | None] = mapped_column(index=True)
    orbit_state: Mapped[OrbitState | None]
    slice_number: Mapped[int | None]
    footprint: Mapped[BaseGeometry | None] = mapped_column(Geom("MULTIPOLYGON", FOOTPRINT_SRID))
    assets: Mapped[dict[str, Any] | None]
    acquisition_id: Mapped[str | None] = mapped_column(
        text(IDENTIFIER), reference("acquisition.acquisition_id"), index=True
    )
    state: Mapped[SceneState]
    reason: Mapped[str | None] = _message()
    cube_snapshot: Mapped[str | None] = _identifier()
    recorded_at: Mapped[datetime]
    run_id: Mapped[str | None] = _identifier()
    quality: Mapped[dict[str, Any] | None]
    retry_until: Mapped[datetime | None]


class WarningRow(Base):
    """A warning: product.md section 5, in its order; then what the store needs besides."""

    __tablename__ = "warning"

    geom: Mapped[BaseGeometry] = mapped_column(Geom("MULTIPOLYGON", WARNING_SRID))
    warning_id: Mapped[str] = _identifier(unique=True)
    status: Mapped[Status] = mapped_column(index=True)
    closed_reason: Mapped[ClosedReason | None]
    merged_into: Mapped[str | None] = _identifier()
    confidence: Mapped[float | None]
    intensity_class: Mapped[IntensityClass]
    n_alerts: Mapped[float | None]
    n_alerts_mean: Mapped[float | None]
    intensity: Mapped[float | None]
    excess_db: Mapped[float | None]
    first_flag_date: Mapped[date]
    first_flag_days: Mapped[int]
    first_scene: Mapped[str | None] = _identifier()
    confirming_scene: Mapped[str | None] = _identifier()
    relative_orbit: Mapped[int | None]
    platform: Mapped[str | None]
    issued_at: Mapped[datetime] = mapped_column(index=True)
    confirmed_at: Mapped[datetime | None] = mapped_column(index=True)
    recorded_at: Mapped[datetime]
    delay_from_flag_days: Mapped[int | None]
    area_ha: Mapped[float]
    area_geodesic_ha: Mapped[float]
    growth_30d_ha: Mapped[float | None]
    distance_to_deforestation_m: Mapped[float | None]
    threshold_db: Mapped[float | None]
    uf: Mapped[str | None]
    municipality: Mapped[str | None]
    geocode: Mapped[str | None]
    protected_area: Mapped[str | None]
    indigenous_territory: Mapped[str | None]
    overlays: Mapped[dict[str, Any] | None]
    mining_score: Mapped[float | None]
    priority: Mapped[int | None]
    verdict: Mapped[Verdict | None]
    verdict_by: Mapped[str | None]
    verdict_at: Mapped[datetime | None]
    verdict_source: Mapped[VerdictSource | None]
    preset: Mapped[str]
    preset_hash: Mapped[str] = _identifier()
    run_id: Mapped[str] = _identifier(index=True)
    last_flag_date: Mapped[date | None]
    first_acquisition: Mapped[str | None] = _identifier()
    last_seen: Mapped[date | None] = mapped_column(index=True)
    history: Mapped[dict[str, Any]] = mapped_column(default=dict)
    updated_at: Mapped[datetime]


class ObservationRow(Base):
    """A polygon as one acquisition showed it; ``seq`` is its order within the acquisition."""

    __tablename__ = "observation"
    __table_args__: Any = (
        UniqueConstraint("acquisition_id", "seq"),
        {"sqlite_autoincrement": True},
    )

    geom: Mapped[BaseGeometry] = mapped_column(Geom("MULTIPOLYGON", WARNING_SRID))
    acquisition_id: Mapped[str] = mapped_column(
        text(IDENTIFIER), reference("acquisition.acquisition_id")
    )
    seq: Mapped[int]
    warning_id: Mapped[str | None] = mapped_column(
        text(IDENTIFIER), reference("warning.warning_id"), index=True
    )
    confirmed: Mapped[bool]
    intensity_class: Mapped[IntensityClass]
    n_alerts: Mapped[float | None]
    n_alerts_mean: Mapped[float | None]
    intensity: Mapped[float | None]
    excess_db: Mapped[float | None]
    confidence: Mapped[float | None]
    first_flag_date: Mapped[date]
    last_flag_date: Mapped[date | None]
    area_ha: Mapped[float]
    area_geodesic_ha: Mapped[float]
    threshold_db: Mapped[float | None]
    distance_to_deforestation_m: Mapped[float | None]
    first_scene: Mapped[str | None] = _identifier()
    n_pixels: Mapped[int]


class ReviewRow(Base):
    """One vote. Never changed or deleted (the database refuses); a later one supersedes it."""

    __tablename__ = "review"

    vote_id: Mapped[str] = _identifier(unique=True)
    warning_id: Mapped[str] = mapped_column(
        text(IDENTIFIER), reference("warning.warning_id"), index=True
    )
    interpreter: Mapped[str]
    source: Mapped[VerdictSource]
    verdict: Mapped[Verdict]
    confidence: Mapped[float | None]
    comment: Mapped[str | None] = _message()
    reason: Mapped[str | None] = _message()
    seconds_spent: Mapped[float | None]
    context: Mapped[dict[str, Any] | None]
    voted_at: Mapped[datetime]
    supersedes: Mapped[str | None] = _identifier()
    kind: Mapped[VoteKind | None]


class AccountRow(Base):
    """Somebody who may log in. ``password_hash`` is argon2id's."""

    __tablename__ = "account"

    name: Mapped[str] = _identifier(unique=True)
    role: Mapped[Role]
    password_hash: Mapped[str]
    disabled: Mapped[bool]
    created_at: Mapped[datetime]


class SampleRow(Base):
    """A warning of a day's draw, drawn or not: one that was passed over is not drawn later.

    ``inclusion_probability`` is None where it is not known.
    """

    __tablename__ = "sample"

    day: Mapped[date] = mapped_column(index=True)
    warning_id: Mapped[str] = mapped_column(
        text(IDENTIFIER), reference("warning.warning_id"), unique=True
    )
    plan: Mapped[str] = mapped_column(text(32))
    seed: Mapped[int]
    stratum: Mapped[str] = mapped_column(text(32))
    inclusion_probability: Mapped[float | None]
    area_ha: Mapped[float]
    drawn: Mapped[bool]
    blind: Mapped[bool]
    drawn_at: Mapped[datetime]
    drawn_by: Mapped[str]


class EditRow(Base):
    """A warning's polygon as a person drew it, and what it was before (GeoJSON)."""

    __tablename__ = "edit"

    geom: Mapped[BaseGeometry] = mapped_column(Geom("MULTIPOLYGON", WARNING_SRID))
    edit_id: Mapped[str] = _identifier(unique=True)
    warning_id: Mapped[str] = mapped_column(
        text(IDENTIFIER), reference("warning.warning_id"), index=True
    )
    editor: Mapped[str]
    reason: Mapped[str] = _message()
    area_ha: Mapped[float]
    original: Mapped[dict[str, Any]]
    edited_at: Mapped[datetime]


class CandidateRow(Base):
    """A square of the mining map that touches no warning; ``votes`` keeps every verdict on it."""

    __tablename__ = "candidate"

    geom: Mapped[BaseGeometry] = mapped_column(Geom("MULTIPOLYGON", WARNING_SRID))
    candidate_id: Mapped[str] = _identifier(unique=True)
    probability: Mapped[float]
    n_windows: Mapped[int]
    threshold: Mapped[float]
    model: Mapped[str]
    acquisition_id: Mapped[str] = _identifier()
    first_seen: Mapped[date]
    last_seen: Mapped[date] = mapped_column(index=True)
    area_ha: Mapped[float]
    verdict: Mapped[Verdict | None]
    verdict_by: Mapped[str | None]
    verdict_at: Mapped[datetime | None]
    votes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    recorded_at: Mapped[datetime]


class DeliveryRow(Base):
    """One warning on its way to one target."""

    __tablename__ = "delivery"

    target: Mapped[str] = _identifier(index=True)
    warning_id: Mapped[str] = mapped_column(
        text(IDENTIFIER), reference("warning.warning_id"), index=True
    )
    kind: Mapped[str] = _identifier()
    state: Mapped[str] = _identifier()
    package: Mapped[str | None]
    sha256: Mapped[str | None] = _identifier()
    attempts: Mapped[int]
    sent_at: Mapped[datetime | None]
    run_id: Mapped[str | None] = _identifier()
