"""Candidates: squares of the mining map that touch no warning."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from curupira.store import geopackage
from curupira.store.columns import Json, Number, UtcDateTime, Whole, text
from curupira.store.geometry import Geom

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ID, _NAME, _CODE = 160, 255, 32
_SIRGAS_2000 = 4674


def upgrade() -> None:
    """Create ``candidate``."""
    op.create_table(
        "candidate",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("geom", Geom("MULTIPOLYGON", _SIRGAS_2000), nullable=False),
        sa.Column("candidate_id", text(_ID), nullable=False),
        sa.Column("probability", Number(), nullable=False),
        sa.Column("n_windows", Whole(), nullable=False),
        sa.Column("threshold", Number(), nullable=False),
        sa.Column("model", text(_NAME), nullable=False),
        sa.Column("acquisition_id", text(_ID), nullable=False),
        sa.Column("first_seen", sa.Date(), nullable=False),
        sa.Column("last_seen", sa.Date(), nullable=False),
        sa.Column("area_ha", Number(), nullable=False),
        sa.Column("verdict", text(_CODE), nullable=True),
        sa.Column("verdict_by", text(_NAME), nullable=True),
        sa.Column("verdict_at", UtcDateTime(), nullable=True),
        sa.Column("votes", Json(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_candidate"),
        sa.UniqueConstraint("candidate_id", name="uq_candidate_candidate_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_candidate_last_seen", "candidate", ["last_seen"])
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        geopackage.register_features(
            connection, "candidate", "geom", "MULTIPOLYGON", _SIRGAS_2000, "Mining candidates"
        )
    else:
        op.create_index("ix_candidate_geom", "candidate", ["geom"], postgresql_using="gist")
