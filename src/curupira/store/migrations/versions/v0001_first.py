"""Everything the monitor needs, and room for reviews and deliveries."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from curupira.store import geopackage
from curupira.store.columns import Json, Number, UtcDateTime, Whole, text
from curupira.store.geometry import Geom

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID, _NAME, _MESSAGE, _CODE = 160, 255, 4000, 32
_SIRGAS_2000, _WGS_84 = 4674, 4326

Columns = dict[str, Any]

_META: Columns = {"key": text(_ID), "value": text(_MESSAGE)}
_RUN: Columns = {
    "run_id": text(_ID),
    "state": text(_CODE),
    "started_at": UtcDateTime(),
    "finished_at?": UtcDateTime(),
    "command": text(_MESSAGE),
    "since?": sa.Date(),
    "until?": sa.Date(),
    "version": text(_NAME),
    "versions?": Json(),
    "preset?": text(_NAME),
    "preset_hash?": text(_ID),
    "masks?": Json(),
    "cube_snapshot?": text(_ID),
    "counts?": Json(),
    "timings?": Json(),
    "message?": text(_MESSAGE),
}
_ACQUISITION: Columns = {
    "acquisition_id": text(_ID),
    "platform": text(_NAME),
    "relative_orbit": Whole(),
    "acquired": UtcDateTime(),
    "day": sa.Date(),
    "created": UtcDateTime(),
    "dirty": sa.Boolean(),
    "n_scenes": Whole(),
    "input_hash?": text(_ID),
    "evaluated_at?": UtcDateTime(),
    "run_id?": text(_ID),
    "observed_km2?": Number(),
    "masked_km2?": Number(),
    "unobserved_km2?": Number(),
    "n_observations?": Whole(),
}
_SCENE: Columns = {
    "scene_id": text(_ID),
    "platform?": text(_NAME),
    "acquired?": UtcDateTime(),
    "created?": UtcDateTime(),
    "relative_orbit?": Whole(),
    "orbit_state?": text(_CODE),
    "slice_number?": Whole(),
    "footprint?": Geom("MULTIPOLYGON", _WGS_84),
    "assets?": Json(),
    "acquisition_id?": text(_ID),
    "state": text(_CODE),
    "reason?": text(_MESSAGE),
    "cube_snapshot?": text(_ID),
    "recorded_at": UtcDateTime(),
    "run_id?": text(_ID),
}
_WARNING: Columns = {
    "geom": Geom("MULTIPOLYGON", _SIRGAS_2000),
    "warning_id": text(_ID),
    "status": text(_CODE),
    "closed_reason?": text(_CODE),
    "merged_into?": text(_ID),
    "confidence?": Number(),
    "intensity_class": text(_CODE),
    "n_alerts?": Number(),
    "n_alerts_mean?": Number(),
    "intensity?": Number(),
    "excess_db?": Number(),
    "first_flag_date": sa.Date(),
    "first_flag_days": Whole(),
    "first_scene?": text(_ID),
    "confirming_scene?": text(_ID),
    "relative_orbit?": Whole(),
    "platform?": text(_NAME),
    "issued_at": UtcDateTime(),
    "confirmed_at?": UtcDateTime(),
    "recorded_at": UtcDateTime(),
    "delay_from_flag_days?": Whole(),
    "area_ha": Number(),
    "area_geodesic_ha": Number(),
    "growth_30d_ha?": Number(),
    "distance_to_deforestation_m?": Number(),
    "threshold_db?": Number(),
    "uf?": text(_NAME),
    "municipality?": text(_NAME),
    "geocode?": text(_NAME),
    "protected_area?": text(_NAME),
    "indigenous_territory?": text(_NAME),
    "overlays?": Json(),
    "mining_score?": Number(),
    "priority?": Whole(),
    "verdict?": text(_CODE),
    "verdict_by?": text(_NAME),
    "verdict_at?": UtcDateTime(),
    "verdict_source?": text(_CODE),
    "preset": text(_NAME),
    "preset_hash": text(_ID),
    "run_id": text(_ID),
    "last_flag_date?": sa.Date(),
    "first_acquisition?": text(_ID),
    "last_seen?": sa.Date(),
    "history": Json(),
    "updated_at": UtcDateTime(),
}
_OBSERVATION: Columns = {
    "geom": Geom("MULTIPOLYGON", _SIRGAS_2000),
    "acquisition_id": text(_ID),
    "seq": Whole(),
    "warning_id?": text(_ID),
    "confirmed": sa.Boolean(),
    "intensity_class": text(_CODE),
    "n_alerts?": Number(),
    "n_alerts_mean?": Number(),
    "intensity?": Number(),
    "excess_db?": Number(),
    "confidence?": Number(),
    "first_flag_date": sa.Date(),
    "last_flag_date?": sa.Date(),
    "area_ha": Number(),
    "area_geodesic_ha": Number(),
    "threshold_db?": Number(),
    "distance_to_deforestation_m?": Number(),
    "first_scene?": text(_ID),
    "n_pixels": Whole(),
}
_REVIEW: Columns = {
    "vote_id": text(_ID),
    "warning_id": text(_ID),
    "interpreter": text(_NAME),
    "source": text(_CODE),
    "verdict": text(_CODE),
    "confidence?": Number(),
    "comment?": text(_MESSAGE),
    "reason?": text(_MESSAGE),
    "seconds_spent?": Number(),
    "context?": Json(),
    "voted_at": UtcDateTime(),
    "supersedes?": text(_ID),
}
_DELIVERY: Columns = {
    "target": text(_ID),
    "warning_id": text(_ID),
    "kind": text(_ID),
    "state": text(_ID),
    "package?": text(_NAME),
    "sha256?": text(_ID),
    "attempts": Whole(),
    "sent_at?": UtcDateTime(),
    "run_id?": text(_ID),
}
_TABLES: dict[str, tuple[Columns, tuple[str, ...], tuple[str, ...], str]] = {
    # table: columns ("?": may be NULL), unique key, indexed columns, description
    "meta": (_META, ("key",), (), "Facts about the store"),
    "run": (_RUN, ("run_id",), (), "Invocations that changed the workspace"),
    "acquisition": (
        _ACQUISITION,
        ("acquisition_id",),
        ("relative_orbit", "acquired"),
        "Passes evaluated",
    ),
    "scene": (
        _SCENE,
        ("scene_id",),
        ("acquired", "relative_orbit", "acquisition_id"),
        "Images and what became of them",
    ),
    "warning": (
        _WARNING,
        ("warning_id",),
        ("status", "issued_at", "confirmed_at", "run_id", "last_seen"),
        "Warnings",
    ),
    "observation": (
        _OBSERVATION,
        ("acquisition_id", "seq"),
        ("warning_id",),
        "Polygons as each acquisition showed them",
    ),
    "review": (_REVIEW, ("vote_id",), ("warning_id",), "Votes"),
    "delivery": (_DELIVERY, (), ("target", "warning_id"), "Warnings on their way to targets"),
}
_REFERENCES = {
    ("scene", "acquisition_id"): "acquisition.acquisition_id",
    ("observation", "acquisition_id"): "acquisition.acquisition_id",
    ("observation", "warning_id"): "warning.warning_id",
    ("review", "warning_id"): "warning.warning_id",
    ("delivery", "warning_id"): "warning.warning_id",
}


def upgrade() -> None:
    """Create all tables, their spatial indexes and the guard of the vote log."""
    connection = op.get_bind()
    embedded = connection.dialect.name == "sqlite"
    if embedded:
        geopackage.create_metadata(connection, (_WGS_84, _SIRGAS_2000))
    for name, (columns, unique, indexed, description) in _TABLES.items():
        _create(name, columns, unique, indexed)
        shapes = [(c.rstrip("?"), t) for c, t in columns.items() if isinstance(t, Geom)]
        if embedded and not shapes:
            geopackage.register_attributes(connection, name, description)
        for column, shape in shapes:
            if embedded:
                geopackage.register_features(
                    connection, name, column, shape.kind, shape.srid, description
                )
            else:
                op.create_index(f"ix_{name}_{column}", name, [column], postgresql_using="gist")
    for statement in _GUARD_SQLITE if embedded else _GUARD_POSTGRESQL:
        connection.exec_driver_sql(statement)


def _create(name: str, columns: Columns, unique: tuple[str, ...], indexed: tuple[str, ...]) -> None:
    parts: list[Any] = [
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{name}"),
    ]
    for key, kind in columns.items():
        column = key.rstrip("?")
        parts.append(sa.Column(column, kind, nullable=key.endswith("?")))
        if (name, column) in _REFERENCES:
            parts.append(
                sa.ForeignKeyConstraint(
                    [column],
                    [_REFERENCES[name, column]],
                    name=f"fk_{name}_{column}",
                    deferrable=True,
                    initially="DEFERRED",
                )
            )
    if unique:
        parts.append(sa.UniqueConstraint(*unique, name=f"uq_{name}_{unique[0]}"))
    op.create_table(name, *parts, sqlite_autoincrement=True)
    for column in indexed:
        op.create_index(f"ix_{name}_{column}", name, [column])


_GUARD_SQLITE = tuple(
    f"CREATE TRIGGER review_no_{event.lower()} BEFORE {event} ON review"
    " BEGIN SELECT RAISE(ABORT, 'votes are never changed'); END"
    for event in ("UPDATE", "DELETE")
)
_GUARD_POSTGRESQL = (
    "CREATE FUNCTION review_guard() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE EXCEPTION 'votes are never changed'; END $$",
    "CREATE TRIGGER review_guard BEFORE UPDATE OR DELETE ON review"
    " FOR EACH ROW EXECUTE FUNCTION review_guard()",
)
