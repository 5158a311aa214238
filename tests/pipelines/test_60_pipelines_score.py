"""amazonia-sim-v1: warnings as GeoJSON score like the same warnings in the store."""

import json
import sys
from datetime import UTC, datetime

import geopandas as gpd
import pytest
from benchmark_scripts import benchmark
from shapely.geometry import box

from curupira.config import Workspace
from curupira.errors import ConfigError, InputError
from curupira.pipelines.accuracy import measure, read_store
from curupira.pipelines.score import district_case, read_warnings
from curupira.validate.accuracy import assess

NOW = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def script():
    return benchmark("amazonia_sim")


@pytest.fixture(scope="module")
def exported(district, tmp_path_factory):
    """All warnings of the store but the merged ones, as somebody else would hand them over."""
    workspace = Workspace.open(district)
    alerts = [a for a in read_store(workspace, str(workspace.grid.crs)).alerts if a.judged]
    frame = gpd.GeoDataFrame(
        {
            "district": "default-24d-6",
            "confirmed_at": [a.confirmed and f"{a.confirmed}T09:45:00Z" for a in alerts],
            "issued_at": [f"{a.issued}T09:45:00Z" for a in alerts],
            "last_flag_date": [str(a.last_flag) for a in alerts],
            "confidence": [a.confidence for a in alerts],
            "intensity_class": ["low_intensity" if a.low else "high_intensity" for a in alerts],
        },
        geometry=[a.geometry for a in alerts],
        crs=str(workspace.grid.crs),
    )
    path = tmp_path_factory.mktemp("score") / "ours.geojson"
    frame.to_crs("EPSG:4326").to_file(path, driver="GeoJSON")
    return path


def scored(district, path, name="default-24d-6"):
    case = district_case(
        Workspace.open(district), read_warnings(path, name=name), system="ours",
        revisit_days=24.0, now=NOW,
    )  # fmt: skip
    return assess(case.alerts, case.events, case.watch, false_causes=case.false_causes)


def test_scores_equal_those_of_the_store(district, exported):
    ours = measure(Workspace.open(district), district / "truth.gpkg").document()
    theirs = scored(district, exported).document()
    assert theirs["warnings"] > 0
    for key in ("ua_count", "pa_all_count", "pa_count", "pa_at_ua98", "delay_days", "events",
                "false_per_1000km2_month", "missed_by_cause", "class_confusion"):  # fmt: skip
        assert theirs[key] == ours[key], key


def test_warnings_of_other_districts_are_left_out(district, exported):
    assert scored(district, exported, name="default-24d-4").warnings == 0


def test_only_the_confirmation_is_needed(tmp_path, district):
    workspace = Workspace.open(district)
    crs = str(workspace.grid.crs)
    alert = next(a for a in read_store(workspace, crs).alerts if a.confirmed)
    gpd.GeoDataFrame(
        {"confirmed_at": [f"{alert.confirmed}"]}, geometry=[alert.geometry], crs=crs
    ).to_crs("EPSG:4326").to_file(tmp_path / "w.geojson")
    assert scored(district, tmp_path / "w.geojson").warnings == 1


def write(path, **columns):
    gpd.GeoDataFrame(columns, geometry=[box(-54, -6, -53.9, -5.9)], crs="EPSG:4326").to_file(path)
    return path


def test_bad_warnings(tmp_path, district):
    with pytest.raises(InputError, match="confirmed_at"):
        read_warnings(write(tmp_path / "a.geojson", date=["2022-01-01"]), name="x")
    with pytest.raises(InputError, match="soon"):
        scored(district, write(tmp_path / "b.geojson", confirmed_at=["soon"]))
    with pytest.raises(InputError, match="neither"):
        scored(district, write(tmp_path / "c.geojson", confirmed_at=[None], issued_at=[None]))


def test_districts_are_fixed(script):
    names = [d.name for d in script.DISTRICTS]
    assert len(names) == len(set(names)) == 20
    assert len({d.seed for d in script.DISTRICTS}) == 20
    assert names[0] == "default-12d-1001"
    with pytest.raises(ConfigError):
        script.chosen(["nowhere"], [])
    assert [d.seed for d in script.chosen([], [9001])] == [9001]


def test_script_scores_a_folder(script, district, exported, tmp_path, monkeypatch, capsys):
    one = script.District(6, revisit_days=24)
    monkeypatch.setattr(script, "DISTRICTS", (one,))
    (tmp_path / one.name).symlink_to(district)
    out = tmp_path / "o.json"
    monkeypatch.setattr(
        sys, "argv",
        ["x", "score", str(tmp_path), "--warnings", str(exported), "--json", str(out),
         "--min-area-ha", "0"],
    )  # fmt: skip
    script.main()
    assert "default-24d" in capsys.readouterr().out
    document = json.loads(out.read_text())
    assert document["benchmark"] == "amazonia-sim-v1"
    assert document["groups"]["default-24d"]["warnings"] == scored(district, exported).warnings
