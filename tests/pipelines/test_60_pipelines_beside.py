"""A workspace beside another one finds every file that the other one names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from curupira.config import Monitor, Workspace
from curupira.pipelines.workspace import PATHS, beside

#: Keys with a place that is the other's own, remote, or none.
OTHERS = {
    *("store.url", "compute.scheduler", "alarm.command", "algorithm.preset"),
    *("source.orbit_url", "source.access", "source.token_url", "source.token_hosts"),
    *("source.s3_endpoint", "source.s3_region", "source.requester_pays", "source.read"),
    *("source.fallback", "source.requests_per_second", "source.timeout_s", "source.attempts"),
    *("source.lookback_days", "serve.optical_token_url", "serve.optical_token_hosts"),
    "serve.layers",
}


def paths(monitor: Monitor) -> dict[str, list[str]]:
    """The paths that a monitor file names, by key."""
    found: dict[str, list[str]] = {}
    for section, keys in PATHS.items():
        for key in keys:
            value = getattr(getattr(monitor, section), key)
            several = list(value.values() if isinstance(value, dict) else value)
            found[f"{section}.{key}"] = [value] if isinstance(value, str) else several
    return found


def test_every_path_leads_to_the_same_file(district: Path, tmp_path: Path) -> None:
    old = Workspace.open(district)
    document: dict[str, Any] = old.monitor.model_dump()
    for section, keys in PATHS.items():
        for key in keys:
            kind, path = type(document[section][key]), f"../{section}/{key}.gpkg|layer"
            document[section][key] = {dict: {"roads": path}, tuple: (path,)}.get(kind, path)
    document["mining"]["dem"] = ""
    document["serve"]["optical_stac"] = "https://stac.example.org/v1"
    full = Workspace(old.folder, Monitor.model_validate(document))
    made = beside(full, tmp_path / "deep" / "second", "deter_r")
    was, now = paths(full.monitor), paths(made.monitor)
    for key in ("mining.dem", "serve.optical_stac"):
        assert now.pop(key) == was.pop(key)
    for key, places in was.items():
        assert len(places) == 1, key
        for here, there in zip(places, now[key], strict=True):
            assert made.path(there).resolve() == full.path(here).resolve(), key


def test_every_key_with_a_place_is_among_them_or_known_not_to_be() -> None:
    monitor, places = Monitor(), set()
    for section in Monitor.model_fields:
        for key, field in getattr(type(getattr(monitor, section)), "model_fields", {}).items():
            if isinstance(field.json_schema_extra, dict) and "place" in field.json_schema_extra:
                places.add(f"{section}.{key}")
    assert places - {f"{s}.{key}" for s, keys in PATHS.items() for key in keys} == OTHERS
