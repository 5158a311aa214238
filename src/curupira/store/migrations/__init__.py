"""Schema migrations (alembic). Additive only: ``ADD COLUMN``, new tables, new indexes.

Re-creating a table on SQLite would drop its GeoPackage triggers.
"""

from __future__ import annotations

#: Every revision, oldest first; numbers, so that a newer store is told from an older one.
REVISIONS = ("0001", "0002", "0003", "0004", "0005")
HEAD = REVISIONS[-1]
