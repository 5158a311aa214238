"""A store on each database, and rows to put into it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import shapely
from postgis import PostGis

from curupira.codes import IntensityClass, OrbitState, Status
from curupira.records import Asset, Scene
from curupira.store import ObservationRow, Store, WarningRow


@pytest.fixture(params=("sqlite", "postgis"))
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of an empty database."""
    if request.param == "sqlite":
        yield "sqlite:///warnings.gpkg"
        return
    server: PostGis = request.getfixturevalue("postgis")
    with server.database() as name:
        yield server.url(name)


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    """Empty store on each database."""
    with Store.open(url, base=tmp_path, create=True) as opened:
        yield opened


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Store]:
    """Empty GeoPackage store."""
    with Store.open("sqlite:///warnings.gpkg", base=tmp_path, create=True) as opened:
        yield opened


@pytest.fixture(scope="session")
def make_warning() -> Callable[..., WarningRow]:
    def make(
        west: float = -52.0, south: float = -7.0, size: float = 0.01, **given: Any
    ) -> WarningRow:
        values: dict[str, Any] = {
            "geom": shapely.box(west, south, west + size, south + size),
            "warning_id": str(uuid.uuid4()),
            "status": Status.PRELIMINARY,
            "intensity_class": IntensityClass.HIGH,
            "first_flag_date": date(2024, 5, 20),
            "first_flag_days": 1601,
            "issued_at": datetime(2024, 6, 1, 9, 45, 12, 345_000, UTC),
            "recorded_at": datetime(2024, 6, 2, tzinfo=UTC),
            "updated_at": datetime(2024, 6, 2, tzinfo=UTC),
            "area_ha": 1.25,
            "area_geodesic_ha": 1.24,
            "preset": "deter_r",
            "preset_hash": "abc",
            "run_id": "run-1",
        }
        return WarningRow(**(values | given))

    return make


@pytest.fixture(scope="session")
def make_observation() -> Callable[..., ObservationRow]:
    def make(west: float = -52.0, **given: Any) -> ObservationRow:
        values: dict[str, Any] = {
            "geom": shapely.box(west, -7.0, west + 0.01, -6.99),
            "confirmed": True,
            "intensity_class": IntensityClass.LOW,
            "first_flag_date": date(2024, 5, 20),
            "area_ha": 1.0,
            "area_geodesic_ha": 1.0,
            "n_pixels": 30,
        }
        return ObservationRow(**(values | given))

    return make


@pytest.fixture(scope="session")
def make_scene() -> Callable[..., Scene]:
    def make(
        minute: float = 0, *, platform: str = "sentinel-1a", orbit: int = 39, **given: Any
    ) -> Scene:
        acquired = datetime(2024, 6, 1, 9, 45, tzinfo=UTC) + timedelta(minutes=minute)
        values: dict[str, Any] = {
            "scene_id": f"{platform}-{orbit}-{minute}",
            "platform": platform,
            "acquired": acquired,
            "created": acquired + timedelta(days=1),
            "relative_orbit": orbit,
            "orbit_state": OrbitState.DESCENDING,
            "footprint": shapely.box(-53.0, -8.0, -51.0, -6.0),
            "assets": {"vh": Asset("/data/vh.tif"), "vv": Asset("/data/both.tif", 2)},
            "slice_number": 3,
        }
        return Scene(**(values | given))

    return make
