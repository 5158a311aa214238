"""Accounts, validation samples, edited polygons; what an entry of the vote log is."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from curupira.store import geopackage
from curupira.store.columns import Json, Number, UtcDateTime, Whole, text
from curupira.store.geometry import Geom

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ID, _NAME, _MESSAGE, _CODE = 160, 255, 4000, 32
_SIRGAS_2000 = 4674


def _columns(columns: dict[str, Any]) -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        *(
            sa.Column(name.rstrip("?"), kind, nullable=name.endswith("?"))
            for name, kind in columns.items()
        ),
    ]


def _of_warning(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["warning_id"],
        ["warning.warning_id"],
        name=f"fk_{table}_warning_id",
        deferrable=True,
        initially="DEFERRED",
    )


def upgrade() -> None:
    """Create ``account``, ``sample`` and ``edit``; add ``review.kind``."""
    _accounts()
    _samples()
    _edits()
    op.add_column("review", sa.Column("kind", text(_CODE), nullable=True))
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        geopackage.register_attributes(connection, "account", "People who may log in")
        geopackage.register_attributes(connection, "sample", "Validation samples")
        geopackage.register_features(
            connection, "edit", "geom", "MULTIPOLYGON", _SIRGAS_2000, "Polygons as people drew them"
        )
    else:
        op.create_index("ix_edit_geom", "edit", ["geom"], postgresql_using="gist")


def _accounts() -> None:
    op.create_table(
        "account",
        *_columns(
            {
                "name": text(_ID),
                "role": text(_CODE),
                "password_hash": text(_NAME),
                "disabled": sa.Boolean(),
                "created_at": UtcDateTime(),
            }
        ),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.UniqueConstraint("name", name="uq_account_name"),
        sqlite_autoincrement=True,
    )


def _samples() -> None:
    op.create_table(
        "sample",
        *_columns(
            {
                "day": sa.Date(),
                "warning_id": text(_ID),
                "plan": text(_CODE),
                "seed": Whole(),
                "stratum": text(_CODE),
                "inclusion_probability?": Number(),
                "area_ha": Number(),
                "drawn": sa.Boolean(),
                "blind": sa.Boolean(),
                "drawn_at": UtcDateTime(),
                "drawn_by": text(_NAME),
            }
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sample"),
        sa.UniqueConstraint("warning_id", name="uq_sample_warning_id"),
        _of_warning("sample"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sample_day", "sample", ["day"])


def _edits() -> None:
    op.create_table(
        "edit",
        *_columns(
            {
                "geom": Geom("MULTIPOLYGON", _SIRGAS_2000),
                "edit_id": text(_ID),
                "warning_id": text(_ID),
                "editor": text(_NAME),
                "reason": text(_MESSAGE),
                "area_ha": Number(),
                "original": Json(),
                "edited_at": UtcDateTime(),
            }
        ),
        sa.PrimaryKeyConstraint("id", name="pk_edit"),
        sa.UniqueConstraint("edit_id", name="uq_edit_edit_id"),
        _of_warning("edit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_edit_warning_id", "edit", ["warning_id"])
