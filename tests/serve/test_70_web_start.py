"""The start of the server: there at once, and what a first visitor waits for is read beside it."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from curupira.cli.serve import serve
from curupira.config import Workspace
from curupira.errors import ConfigError
from curupira.serve.app import create_app


def test_the_cube_is_open_and_a_tile_drawn_when_the_start_is_over(serving: Any) -> None:
    served = serving()
    viewer = served.app.state.site.viewer
    assert viewer._kept is None
    # Leaving waits for what the start does beside the requests.
    with TestClient(served.app) as client:
        assert client.get("/health").status_code == 200
    tiles = viewer._kept[2]
    assert tiles.cache_info().currsize == 1
    viewer.warm()
    assert tiles.cache_info().hits == 1


def test_a_workspace_without_images_starts_as_well(district: Path, tmp_path: Path) -> None:
    folder = tmp_path / "w"
    shutil.copytree(district, folder)
    shutil.rmtree(folder / "cube")
    with TestClient(create_app(Workspace.open(folder))) as client:
        assert client.get("/").status_code == 200
    assert client.get("/health").status_code == 200


def test_an_address_that_is_taken_is_told_before_anything_starts(
    district: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}: cannot listen there"):
            serve(district, host="127.0.0.1", port=port)
    assert "serving" not in capsys.readouterr().out


def test_every_address_of_a_name_must_be_free(
    district: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, (f"127.0.0.{n}", port)) for n in (1, 2)]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"two.example:{port}: cannot listen there"):
            serve(district, host="two.example", port=port)


def test_what_is_no_name_of_a_host_is_refused(district: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.\.b:8765: cannot listen there"):
        serve(district, host="a..b", port=8765)
