"""A served copy of the simulated district, with one account of each role."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely
from shapely.geometry.base import BaseGeometry
from starlette.testclient import TestClient

from curupira.codes import Role
from curupira.config import FILE_NAME, Monitor, Workspace, render
from curupira.serve.app import create_app
from curupira.serve.sessions import hash_password
from curupira.store import account as accounts
from curupira.store import warning as warnings

PASSWORD = "correct horse battery"
HASH = hash_password(PASSWORD)
#: One account a role, and a second interpreter.
PEOPLE = {"vera": "viewer", "ana": "interpreter", "bia": "interpreter", "chief": "operator"}


@dataclass
class Served:
    """An application and how to ask it."""

    app: Any
    folder: Path

    def client(self, name: str | None = None) -> TestClient:
        """A browser of its own, logged in as somebody or as nobody."""
        client = TestClient(self.app, raise_server_exceptions=False)
        if name is not None:
            answer = client.post("/api/login", json={"name": name, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            client.headers["X-CSRF-Token"] = answer.json()["csrf"]
        return client

    @property
    def ids(self) -> list[str]:
        """Ids of the open warnings."""
        items = self.client("chief").get("/api/warnings").json()["items"]
        return [item["warning_id"] for item in items]

    def reopen(self, area: dict[str, Any] | None = None, **changes: Any) -> None:
        """Serve the workspace with other options in [area] and [serve]."""
        self.app.state.site.store.close()
        document = Workspace.open(self.folder).monitor.model_dump()
        document["area"] |= area or {}
        document["serve"] |= changes
        settings = Workspace(self.folder, Monitor.model_validate(document))
        self.app = create_app(settings, secret="of this test")

    def hide(self, warning_id: str, **changes: Any) -> BaseGeometry:
        """Let a sensitive place, TI Secreta, cover a corner of a warning; return the place."""
        with self.app.state.site.store.reading() as session:
            west, south, _, north = warnings.query(session, ids=[warning_id])[0].geom.bounds
        corner = shapely.box(west - 0.0005, south, west + 0.0002, north)
        frame = gpd.GeoDataFrame({"name": ["TI Secreta"]}, geometry=[corner], crs=4674)
        frame.to_file(self.folder / "secret.geojson")
        named = {"indigenous_territories": "secret.geojson"}
        self.reopen(named, sensitive_places=("TI Secreta",), **changes)
        return corner


def serve(district: Path, folder: Path, **changes: Any) -> Served:
    shutil.copytree(district, folder)
    old = Workspace.open(folder).monitor
    document = old.model_dump() | {"serve": old.serve.model_dump() | changes}
    (folder / FILE_NAME).write_text(render(Monitor.model_validate(document)), encoding="utf-8")
    app = create_app(Workspace.open(folder))
    site = app.state.site
    with site.store.transaction() as session:
        for name, role in PEOPLE.items():
            accounts.add(
                session,
                name=name,
                role=Role(role),
                password_hash=HASH,
                created_at=datetime(2024, 1, 1, tzinfo=UTC),
            )
    return Served(app, folder)


@pytest.fixture(scope="module")
def served(district: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A district of the module's own."""
    found = serve(district, tmp_path_factory.mktemp("served") / "w")
    yield found
    found.app.state.site.store.close()


@pytest.fixture
def serving(district: Path, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Serve a district with other options in [serve]."""
    made: list[Served] = []

    def make(**changes: Any) -> Served:
        made.append(serve(district, tmp_path / f"w{len(made)}", **changes))
        return made[-1]

    yield make
    for one in made:
        one.app.state.site.store.close()
