"""Sentinel-1 GRD to gamma0: reading, orbits, radiometry, geocoding, terrain (docs/grd.md)."""
