"""The daily routine and ``source check`` on a real STAC API with images over HTTP."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from stac_api import Api, FileServer, Handler
from typer.testing import CliRunner

from curupira.cli.main import app
from curupira.config import Workspace
from curupira.errors import ConfigError, SourceError
from curupira.pipelines import sourcing
from curupira.pipelines.source_check import check_source, in_words
from curupira.stac import scene_item
from curupira.store import meta
from curupira.store.session import Store

Setup = Callable[..., Workspace]


class Site:
    """A world whose images the file server serves and whose items the STAC API lists."""

    def __init__(self, builder: ModuleType, api: Api, files: FileServer, folder: Path) -> None:
        self.builder, self.api, self.files, self.folder = builder, api, files, folder
        squares = [builder.Square(10, 10, builder.day(7)), builder.Square(45, 40, builder.day(9))]
        self.world = builder.World(files.folder, squares)
        self.collection = ""

    def items(self, shots: list[Any]) -> list[dict[str, Any]]:
        found = []
        for shot in shots:
            scene = self.world.scene(shot)
            item = scene_item(scene, self.builder.GRID[slice(*shot.rows), :]).to_dict(
                include_self_link=False
            )
            name = Path(scene.assets["vh"].href).name
            item["assets"]["vh"]["href"] = f"{self.files.url}/{name}"
            item["links"] = []
            found.append(item)
        return found

    def workspace(self, name: str, shots: list[Any], **source: Any) -> Workspace:
        self.collection = self.api.collection(self.items(shots))
        return self.world.workspace(
            self.folder / name,
            source={
                "profile": "pc-rtc",
                "catalogue": self.api.url,
                "collection": self.collection,
                "access": "none",
                "asset_vv": "",
                "requests_per_second": 1000.0,
                "timeout_s": 10.0,
                **source,
            },
        )


@pytest.fixture
def site(builder: ModuleType, stac_api: Api, files: FileServer, tmp_path: Path) -> Site:
    return Site(builder, stac_api, files, tmp_path)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curupira.sources.http.FIRST_PAUSE_S", 0.01)


def mark(workspace: Workspace) -> Any:
    store = Store.open(workspace.monitor.store.url, base=workspace.folder, create=False)
    with store, store.reading() as session:
        return json.loads(meta.get(session, "source_mark") or "null")


@pytest.mark.parametrize("read", ["download", "window"])
def test_an_api_gives_the_warnings_that_a_folder_gives(
    builder: ModuleType, site: Site, read: str
) -> None:
    shots = builder.series(11)
    remote = site.workspace("remote", shots, read=read)
    local = site.world.workspace(site.folder / "local", shots)
    # One request in seven fails, in turn by every passing fault.
    draw = random.Random(1)

    def hang_up(handler: Handler) -> None:
        handler.close_connection = True

    def fault(handler: Handler) -> bool:
        if draw.random() > 1 / 7:
            return False
        content = (site.files.folder / handler.path.lstrip("/")).read_bytes()
        draw.choice(
            [
                lambda: handler.answer(500, b"oops"),
                lambda: handler.answer(429, b"", Retry_After="0"),
                lambda: handler.send_file(content, cut=5_000),
                lambda: hang_up(handler),
            ]
        )()
        return True

    site.files.faults.append(fault)
    assert builder.play(remote).quarantined == []
    builder.play(local)
    assert builder.state(remote) == builder.state(local)
    assert len(builder.warning_rows(remote)) >= 2
    assert not list((remote.folder / "downloads").glob("*"))


def test_a_new_image_is_found_by_a_look_back_and_taken_once(
    builder: ModuleType, site: Site
) -> None:
    shots = builder.series(10)
    late, newest = shots[8], shots[9]
    workspace = site.workspace("w", [s for s in shots if s not in (late, newest)])
    assert builder.play(workspace).counts["scenes"] == 8
    first = mark(workspace)
    assert first["newest"] == builder.day(7).isoformat()
    seen = sourcing.Mark(
        first["question"], workspace.monitor.algorithm.monitor_since, builder.day(7)
    )
    # The mark of another question, or of a shorter history, is none.
    start = sourcing.history_start(workspace)
    assert sourcing.search_start(workspace, seen) == start
    known = sourcing.Mark(first["question"], start, builder.day(7))
    assert sourcing.search_start(workspace, known) == max(
        start, builder.day(7) - timedelta(days=60)
    )
    other = sourcing.Mark("other", start, builder.day(7))
    assert sourcing.search_start(workspace, other) == start

    site.api.add(site.collection, site.items([newest]))
    assert builder.play(workspace).counts["scenes"] == 1
    site.api.add(site.collection, site.items([late]))
    assert builder.play(workspace).counts["scenes"] == 1
    assert builder.play(workspace).counts["scenes"] == 0
    assert mark(workspace)["newest"] == builder.day(9).isoformat()


def test_an_outage_loses_nothing(builder: ModuleType, site: Site) -> None:
    workspace = site.workspace("w", builder.series(8), attempts=2)
    served = {"n": 0}

    def outage(handler: Handler) -> bool:
        served["n"] += 1
        if served["n"] <= 9:
            return False
        handler.answer(503, b"maintenance")
        return True

    site.files.faults.append(outage)
    with pytest.raises(SourceError) as caught:
        builder.play(workspace)
    assert caught.value.exit_code == 3
    assert "pc-rtc" in str(caught.value)
    assert "scene " in str(caught.value)
    assert mark(workspace) is None
    site.files.faults.clear()
    builder.play(workspace)
    calm = site.world.workspace(site.folder / "calm", builder.series(8))
    builder.play(calm)
    assert builder.state(workspace) == builder.state(calm)


def test_a_scene_whose_file_is_gone_is_quarantined_and_the_rest_used(
    builder: ModuleType, site: Site
) -> None:
    shots = builder.series(4)
    workspace = site.workspace("w", shots)
    scene = site.world.scene(shots[1])
    Path(scene.assets["vh"].href).unlink()
    summary = builder.play(workspace)
    assert [name for name, _ in summary.quarantined] == [scene.scene_id]
    assert "pc-rtc" in summary.quarantined[0][1]
    assert summary.exit_code == 4
    assert summary.counts["scenes"] == 3


def test_no_token_is_kept_anywhere(
    builder: ModuleType, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from curupira import logs

    shots = builder.series(3)
    workspace = site.workspace(
        "w",
        shots,
        access="sas",
        token_url=f"{site.files.url}/token",
        token_hosts=("127.0.0.1",),
        attempts=2,
    )
    broken = Path(site.world.scene(shots[1]).assets["vh"].href)
    broken.write_bytes(broken.read_bytes()[:3_000])

    def sas(handler: Handler) -> bool:
        if handler.path.startswith("/token"):
            body = {"token": "sig=HUSH-HUSH", "msft:expiry": "2099-01-01T00:00:00Z"}
            handler.answer(200, json.dumps(body).encode(), "application/json")
            return True
        if "sig=HUSH-HUSH" not in handler.path:
            handler.answer(403, b"no")
            return True
        return False

    site.files.faults.append(sas)
    logs.add_json_file(tmp_path / "log.json")
    summary = builder.play(workspace)
    # Damaged at the provider: the scene's fault, found by fetching the whole file.
    ((name, reason),) = summary.quarantined
    assert name == site.world.scene(shots[1]).scene_id
    assert "pc-rtc" in reason
    assert "HUSH-HUSH" not in reason
    kept = [p for p in (*workspace.folder.rglob("*"), tmp_path / "log.json") if p.is_file()]
    assert len(kept) > 5
    assert [p for p in kept if b"HUSH-HUSH" in p.read_bytes()] == []


def test_products_are_never_mixed_in_one_baseline(builder: ModuleType, site: Site) -> None:
    shots = builder.series(2)
    workspace = site.workspace("w", shots)
    builder.play(workspace)
    source = workspace.monitor.source.model_copy(update={"product": "rtc-opera"})
    monitor = workspace.monitor.model_copy(update={"source": source})
    with pytest.raises(ConfigError, match="must not share a baseline"):
        builder.play(Workspace(workspace.folder, monitor))


def test_grd_needs_a_height_model(builder: ModuleType, site: Site) -> None:
    """What happens with one is in tests/cli/test_60_cli_grd_source.py."""
    workspace = site.workspace("w", builder.series(3), product="grd")
    with pytest.raises(ConfigError, match="needs a height model"):
        builder.play(workspace)
    report = check_source(workspace, builder.NOW)
    assert report.used == 3
    assert report.exit_code == 2
    assert any("[source] dem" in line for line in in_words(report))


@pytest.mark.parametrize("read", ["download", "window"])
def test_check_says_what_there_is_and_what_a_start_costs(
    builder: ModuleType, site: Site, read: str
) -> None:
    workspace = site.workspace("w", builder.series(6), read=read)
    report = check_source(workspace, builder.NOW)
    assert report.exit_code == 0
    assert (report.found, report.used) == (6, 6)
    assert report.by_orbit == {"083 descending": 6}
    assert report.by_platform == {"sentinel-1a": 6}
    cost = report.cost
    assert cost is not None
    assert cost.images == 6
    # 80 x 80 pixels of 20 m, one band: the file itself, or its 10 m pixels at 3.3 bytes.
    size = sum(p.stat().st_size for p in site.files.folder.glob("*.tif"))
    assert cost.download_gb * 1e9 == pytest.approx(
        size if read == "download" else 6 * 1600**2 / 100 * 3.3, rel=0.05
    )
    assert 0 < cost.disk_gb * 1e9 < 6 * 80 * 80 * 2
    assert 0 < cost.hours < 1
    lines = in_words(report)
    assert any("first warning: after about" in line for line in lines)
    assert any("days old" in line for line in lines)
    assert any(f"from before {builder.SINCE} and serve as history" in line for line in lines)
    # Nothing was kept.
    assert sorted(p.name for p in workspace.folder.iterdir() if p.name != "downloads") == [
        "area.geojson",
        "catalog",
        "monitor.toml",
    ]
    assert not list((workspace.folder / "downloads").glob("*"))


def run_check(workspace: Workspace) -> tuple[int, str]:
    result = CliRunner().invoke(
        app, ["source", "check", "-w", str(workspace.folder)], standalone_mode=False
    )
    code = result.return_value if result.exit_code == 0 else result.exit_code
    return int(code or 0), result.output


def test_check_explains_what_does_not_work(builder: ModuleType, site: Site) -> None:
    workspace = site.workspace("w", builder.series(3), attempts=2)
    assert run_check(workspace)[0] == 0
    site.files.times(99, "tif", lambda h: h.answer(200, b"<html>login</html>", "text/html"))
    code, text = run_check(workspace)
    assert code == 3
    assert "web page instead of the image" in text
    assert "credentials" in text


def test_check_finds_an_empty_or_absent_collection(builder: ModuleType, site: Site) -> None:
    empty = site.workspace("w", builder.series(1))
    away = empty.monitor.source.model_copy(update={"collection": "no-such-collection"})
    monitor = empty.monitor.model_copy(update={"source": away})
    report = check_source(Workspace(empty.folder, monitor), builder.NOW)
    assert report.exit_code == 7
    assert "offers no image" in str(report.problems[0])


def test_check_tries_the_second_provider_too(builder: ModuleType, site: Site) -> None:
    workspace = site.workspace(
        "w", builder.series(3), fallback="http://127.0.0.1:9/stac", attempts=1
    )
    report = check_source(workspace, builder.NOW)
    assert report.used == 3
    assert report.exit_code == 3
    good = workspace.monitor.source.model_copy(update={"fallback": site.api.url})
    monitor = workspace.monitor.model_copy(update={"source": good})
    report = check_source(Workspace(workspace.folder, monitor), builder.NOW)
    assert report.problems == []
    assert any(note.startswith("second provider") for note in report.notes)


def test_a_static_catalogue_is_checked_as_well(builder: ModuleType, site: Site) -> None:
    workspace = site.world.workspace(site.folder / "local", builder.series(3))
    report = check_source(workspace, builder.NOW)
    assert (report.exit_code, report.used) == (0, 3)
    assert report.cost is not None
    assert report.cost.download_gb == 0


def test_a_second_provider_is_searched_when_the_first_is_down(
    builder: ModuleType, site: Site
) -> None:
    workspace = site.workspace(
        "w", builder.series(3), catalogue="http://127.0.0.1:9/stac", attempts=1
    )
    with pytest.raises(SourceError):
        builder.play(workspace)
    second = workspace.monitor.source.model_copy(update={"fallback": site.api.url})
    monitor = workspace.monitor.model_copy(update={"source": second})
    assert builder.play(Workspace(workspace.folder, monitor)).counts["scenes"] == 3


def test_init_without_a_catalogue_takes_planetary_computer(tmp_path: Path) -> None:
    area = tmp_path / "area.geojson"
    square = {
        "type": "Polygon",
        "coordinates": [[[-55, -5], [-54.9, -5], [-54.9, -4.9], [-55, -4.9], [-55, -5]]],
    }
    area.write_text(json.dumps(square))
    made = {}
    for name, options in (("api", []), ("folder", ["--catalogue", "images/catalog.json"])):
        command = ["init", str(tmp_path / name), "--area", str(area), *options]
        assert CliRunner().invoke(app, command).exit_code == 0
        made[name] = Workspace.open(tmp_path / name).monitor.source
    assert (made["api"].profile, made["api"].is_api) == ("pc-rtc", True)
    assert (made["folder"].profile, made["folder"].catalogue) == ("static", "images/catalog.json")
