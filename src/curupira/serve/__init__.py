"""The web application: map, validation, dashboards, OGC API - Features (docs/web.md)."""
