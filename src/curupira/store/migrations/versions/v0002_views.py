"""Views for consumers of a PostGIS store: ``published_warning`` and ``deter``.

A view reads with the rights of its owner: who may read the view needs no right on the tables, and
so sees neither interpreters' names nor the vote log. Of a GeoPackage a copy without them is handed
out instead (``curupira db snapshot``, ``curupira export``).
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

#: What is open now. Names of persons, run ids and the history stay inside.
_PUBLISHED = """
CREATE VIEW published_warning AS
SELECT id, warning_id, geom, status, confidence, intensity_class, n_alerts, intensity, excess_db,
       first_flag_date, last_flag_date, issued_at, confirmed_at, updated_at, delay_from_flag_days,
       relative_orbit, platform, area_ha, area_geodesic_ha, growth_30d_ha,
       distance_to_deforestation_m, uf, municipality, geocode, protected_area,
       indigenous_territory, overlays, mining_score, priority, verdict, preset
FROM warning
WHERE status <> 'closed'
"""

#: Columns and words of the table `deter` into which the agency's own chain puts radar warnings
#: (inpe.md): view_date is the first flagged day; areas in km2 on the ellipsoid. A warning has one
#: municipality, so that both areas are one. auditar: no verdict yet.
_DETER = """
CREATE VIEW deter AS
SELECT warning_id::uuid AS uuid,
       CASE intensity_class WHEN 'high_intensity' THEN 'DESMATAMENTO_CR' ELSE 'DEGRADACAO' END
           AS classname,
       geom,
       'Sentinel-1' AS satellite,
       'C-SAR' AS sensor,
       'S' AS source,
       first_flag_date AS view_date,
       ST_Area(geom::geography) / 1e6 AS areatotalkm,
       ST_Area(geom::geography) / 1e6 AS areamunkm,
       recorded_at AS created_at,
       verdict IS NULL AS auditar,
       (verdict_at AT TIME ZONE 'UTC')::date AS date_audit
FROM warning
WHERE status = 'confirmed'
"""


def upgrade() -> None:
    """Create the views on PostgreSQL; a GeoPackage has none."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_PUBLISHED)
        op.execute(_DETER)
