"""Warnings: queries against a slow search, status changes, the outgoing table."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curupira.codes import ClosedReason, Status, Verdict
from curupira.errors import ConfigError, StoreError
from curupira.store import Store, warning

START = datetime(2024, 6, 1, tzinfo=UTC)
#: product.md section 5, in its order.
CONTRACT = """
warning_id status closed_reason merged_into confidence intensity_class n_alerts n_alerts_mean
intensity excess_db first_flag_date first_flag_days first_scene confirming_scene relative_orbit
platform issued_at confirmed_at recorded_at delay_from_flag_days area_ha area_geodesic_ha
growth_30d_ha distance_to_deforestation_m threshold_db uf municipality geocode protected_area
indigenous_territory mining_score priority verdict verdict_by verdict_at verdict_source
preset preset_hash run_id
"""


def ids(rows) -> list[str]:
    return [row.warning_id for row in rows]


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10_000))
def test_bbox_query_equals_a_search_through_all(seed: int, store: Store, make_warning) -> None:
    rng = np.random.default_rng(seed)
    triangles = [
        shapely.Polygon(rng.uniform((x, y), (x + 1, y + 1), (3, 2)))
        for x, y in rng.uniform((-60, -10), (-50, 0), (40, 2))
    ]
    west, south = rng.uniform((-60, -10), (-52, -2))
    bbox = (west, south, west + 2.0, south + 2.0)
    with store.reading() as session:  # discarded after each example
        session.add_all(
            [make_warning(geom=t, warning_id=f"{n:02d}") for n, t in enumerate(triangles)]
        )
        found = set(ids(warning.query(session, bbox=bbox)))
    box = shapely.box(*bbox)
    assert found == {f"{n:02d}" for n, t in enumerate(triangles) if t.intersects(box)}


def test_bbox_is_exact_not_by_envelope(store: Store, make_warning) -> None:
    corner = shapely.Polygon([(-52, -7), (-51, -7), (-52, -6)])
    with store.transaction() as session:
        session.add(make_warning(geom=corner))
        assert warning.query(session, bbox=(-51.2, -6.2, -51.0, -6.0)) == []
        assert len(warning.query(session, bbox=(-51.0, -7.0, -50.0, -6.9))) == 1, "touching counts"
        assert len(warning.query(session, bbox=(-52.0, -7.0, -52.0, -7.0))) == 1, "a point"


@pytest.mark.parametrize(
    "bbox",
    [(1, 2, 3), (-51, -7, -52, -6), (-52, -6, -51, -7), (math.nan, 0, 1, 1), (0, 0, 200, 1)],
)
def test_what_is_no_bbox(store: Store, bbox) -> None:
    with store.reading() as session, pytest.raises(ConfigError, match="no box"):
        warning.query(session, bbox=bbox)


def test_query_by_status_time_and_id(store: Store, make_warning) -> None:
    with store.transaction() as session:
        for day, status in enumerate([*Status, *Status]):
            issued = START + timedelta(days=5 - day)
            session.add(make_warning(warning_id=f"w{day}", status=status, issued_at=issued))
        assert ids(warning.query(session)) == ["w5", "w4", "w3", "w2", "w1", "w0"]
        assert ids(warning.query(session, status=Status.CLOSED)) == ["w5", "w2"]
        assert ids(warning.open_ones(session)) == ["w4", "w3", "w1", "w0"]
        assert ids(warning.query(session, since=date(2024, 6, 2), until=date(2024, 6, 3))) == [
            "w4",
            "w3",
        ]
        later = START + timedelta(days=4)
        assert ids(warning.query(session, since=later)) == ["w1", "w0"]
        assert ids(warning.query(session, until=START + timedelta(days=1))) == ["w5"]
        assert ids(warning.query(session, ids=["w1", "w3", "w9"])) == ["w3", "w1"]
        assert ids(warning.query(session, ids=[])) == []
        assert ids(warning.query(session, ids=[f"w{n}" for n in range(1, 40_000)]))[-1] == "w1"
        with pytest.raises(ConfigError, match="no time zone"):
            warning.query(session, since=datetime(2024, 6, 1))
        with pytest.raises(StoreError, match="no such warning"):
            warning.get(session, "w9")


def test_counts_always_have_all_three(store: Store, make_warning) -> None:
    with store.transaction() as session:
        assert warning.counts(session) == dict.fromkeys(Status, 0)
        session.add(make_warning(status=Status.CONFIRMED))
        assert list(warning.counts(session).values()) == [0, 1, 0]


def test_status_only_goes_forward(make_warning) -> None:
    row = make_warning()
    warning.confirm(row, confirmed_at=START)
    warning.confirm(row, confirmed_at=START + timedelta(days=9))
    assert row.confirmed_at == START, "the first confirmation stays"
    with pytest.raises(ValueError, match="merged_into"):
        warning.close(row, ClosedReason.MERGED)
    with pytest.raises(ValueError, match="merged_into"):
        warning.close(row, ClosedReason.EXPIRED, merged_into="x")
    warning.close(row, ClosedReason.MERGED, merged_into="x")
    assert (row.status, row.closed_reason, row.merged_into) == ("closed", "merged_into", "x")
    with pytest.raises(ValueError, match="closed to confirmed"):
        warning.confirm(row, confirmed_at=START)
    with pytest.raises(ValueError, match="closed to closed"):
        warning.close(row, ClosedReason.WITHDRAWN)


def test_table_has_the_contracts_columns(store: Store, make_warning) -> None:
    contract = CONTRACT.split()
    with store.transaction() as session:
        session.add(make_warning(verdict=Verdict.BURNT, overlays={"roads": "BR-163"}, priority=3))
        session.add(make_warning(overlays={"car": "PA-1"}))
    with store.reading() as session:
        frame = warning.to_geodataframe(warning.query(session))
        empty = warning.to_geodataframe([])
    at = contract.index("mining_score")
    expected = [*contract[:at], "car", "roads", *contract[at:], "geometry"]
    assert list(frame.columns) == expected
    assert list(empty.columns) == [*contract, "geometry"]
    assert frame.crs.to_epsg() == empty.crs.to_epsg() == 4674
    kinds = {name: kind for name, kind in frame.dtypes.items() if name not in ("car", "roads")}
    assert kinds == dict(empty.dtypes.items())
    first = frame.iloc[0]
    assert (first["status"], type(first["status"])) == ("preliminary", str)
    assert (first["verdict"], first["roads"], first["car"]) == ("burnt", "BR-163", None)
    assert first["issued_at"].isoformat() == "2024-06-01T09:45:12.345000+00:00"
    assert first["first_flag_date"].isoformat() == "2024-05-20T00:00:00"
    assert frame["priority"].isna().tolist() == [False, True]
    assert frame["confidence"].dtype == np.float64


def test_table_survives_formats(store: Store, make_warning, tmp_path: Path) -> None:
    with store.transaction() as session:
        session.add_all([make_warning(priority=1), make_warning(confirmed_at=START)])
        frame = warning.to_geodataframe(warning.query(session))
    frame.to_file(tmp_path / "w.gpkg", engine="pyogrio")
    frame.to_parquet(tmp_path / "w.parquet")
    for back in (gpd.read_file(tmp_path / "w.gpkg"), gpd.read_parquet(tmp_path / "w.parquet")):
        assert back["warning_id"].tolist() == frame["warning_id"].tolist()
        assert back["issued_at"].tolist() == frame["issued_at"].tolist()
        assert back["priority"].iloc[0] == 1
        assert back["priority"].isna().iloc[1]


def test_an_overlay_cannot_take_a_columns_name(make_warning) -> None:
    with pytest.raises(ConfigError, match="rename"):
        warning.to_geodataframe([make_warning(overlays={"status": "x"})])
