"""What the quality gate found of a scene, and how long a passing failure is tried again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from curupira.store.columns import Json, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; scenes known already are judged by the next run."""
    op.add_column("scene", sa.Column("quality", Json(), nullable=True))
    op.add_column("scene", sa.Column("retry_until", UtcDateTime(), nullable=True))
