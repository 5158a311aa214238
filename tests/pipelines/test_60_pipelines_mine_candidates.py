"""Squares of the mining map that touch no warning: kept, judged, handed out by themselves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from curupira import presets
from curupira.cli.main import app
from curupira.codes import Status
from curupira.cog import write_cog
from curupira.config import Monitor, Workspace, parse, render
from curupira.errors import ConfigError, InputError, SourceError
from curupira.mining.card import Normalisation
from curupira.mining.model import save_model
from curupira.mining.network import MiningNetwork
from curupira.mining.params import MiningParams
from curupira.pipelines.mine_candidates import find_candidates
from curupira.pipelines.retract import retract
from curupira.records import Asset
from curupira.store import Store, candidate

NOW = datetime(2024, 7, 1, tzinfo=UTC)
FOREST_RATIO, MINE_RATIO, LEVEL = 6.5, 12.0, 9.0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network set by hand: the logistic of twice the mean of (VV - VH - 9 dB)."""
    preset = presets.load("unesp_2025", "mining").replace(
        bands=["vv", "vh"], lee="none", size_px=16, pixel_m=20.0, stride_px=8,
        filters=[2, 2, 2], dense=2,
    )  # fmt: skip
    network = MiningNetwork(2, MiningParams.from_preset(preset).network)
    with torch.no_grad():
        for parameter in (*network.convolutions.parameters(), *network.output.parameters()):
            parameter.zero_()
        # One feature above the level and one below it, handed on to the end.
        network.convolutions[0].weight[0, :, 1, 1] = torch.tensor([1.0, -1.0])
        network.convolutions[0].weight[1, :, 1, 1] = torch.tensor([-1.0, 1.0])
        network.convolutions[0].bias.copy_(torch.tensor([-LEVEL, LEVEL]))
        for convolve in (network.convolutions[1], network.convolutions[2]):
            convolve.weight[:, :, 1, 1] = torch.eye(2)
        network.dense.weight.copy_(torch.eye(2))
        network.output.weight[1] = torch.tensor([2.0, -2.0])
    record: dict[str, Any] = {"data_hash": "none", "seed": 0, "epoch": 0}
    record |= {name: {} for name in ("patches", "metrics", "history", "software")}
    folder = tmp_path_factory.mktemp("model")
    scaling = Normalisation(kind="training", mean=[0.0, 0.0], sd=[1.0, 1.0])
    save_model(folder, network, scaling, preset, record)
    return folder


def make(
    b: ModuleType, folder: Path, model: str, others: Sequence[Any] = ()
) -> tuple[Workspace, Any, Any]:
    """A workspace with a new mine, and mined land that was there before."""
    mine, old = b.Square(8, 8, b.day(8)), b.Square(40, 40, b.day(0), size=20, drop_db=0.0)

    class World(b.World):  # type: ignore[misc, name-defined]
        def scene(self, shot: Any) -> Any:
            scene = super().scene(shot)
            vh = b.image(shot, self.squares)
            ratio = np.full(vh.shape, FOREST_RATIO, dtype=np.float32)
            for square in (mine, old):
                if square.shows(shot):
                    rows = slice(square.row, square.row + square.size)
                    ratio[rows, square.col : square.col + square.size] = MINE_RATIO
            path = self.folder / f"{shot.scene_id}_{shot.version}_vv.tif"
            if not path.exists():
                seen = slice(*shot.rows)
                vv = (vh * 10 ** (ratio / 10))[None, seen]
                write_cog(path, vv, b.GRID[seen, :], nodata=float("nan"))
            return b.replace(scene, assets={**scene.assets, "vv": Asset(str(path))})

    world = World(folder / "images", [mine])
    workspace = world.workspace(
        folder / "ws",
        [*b.series(12), *others],
        source={"catalogue": "catalog/catalog.json"},
        mining={"model": model, "neighbourhood_m": 0.0, "threshold": 0.6},
    )
    return workspace, mine, old


def test_candidates_of_a_workspace(builder: ModuleType, tmp_path: Path, model: Path) -> None:
    workspace, mine, old = make(builder, tmp_path, str(model))
    # Nothing is known yet.
    builder.play(workspace, until=builder.day(-30))
    with pytest.raises(InputError, match="knows no scene"):
        find_candidates(workspace, now=NOW)
    builder.play(workspace)
    found = find_candidates(workspace, now=NOW)
    # The new mine is a warning's; only the old one is news.
    assert found.at_warnings > 0
    assert found.new > 0
    assert (found.known, found.acquisitions) == (0, 1)
    again = find_candidates(workspace, now=NOW)
    assert (again.new, again.known) == (0, found.new)
    ws = ["-w", str(workspace.folder)]
    runner = CliRunner()
    out = tmp_path / "candidates.geojson"
    done = runner.invoke(app, ["export", "--candidates", "-o", str(out), *ws])
    assert done.exit_code == 0, done.output
    table = gpd.read_file(out)
    assert len(table) == found.new
    assert (table["probability"] > 0.6).all()
    assert table["verdict"].isna().all()
    (warning,) = builder.at(workspace, mine)
    assert not table.intersects(warning.geom).any()
    assert table.to_crs(str(workspace.grid.crs)).intersects(old.geometry).all()
    name = table["candidate_id"].iloc[0]
    words = ["--verdict", "false_positive", "--interpreter", "ana", "--comment", "a sandbar"]
    done = runner.invoke(app, ["review", "candidate", name, *words, *ws])
    assert done.exit_code == 0, done.output
    find_candidates(workspace, now=NOW)
    layer = tmp_path / "candidates.gpkg"
    assert runner.invoke(app, ["export", "--candidates", "-o", str(layer), *ws]).exit_code == 0
    judged = gpd.read_file(layer).set_index("candidate_id").loc[name]
    assert (judged.verdict, judged.verdict_by) == ("false_positive", "ana")
    with (
        Store.open(workspace.monitor.store.url, base=workspace.folder, create=False) as store,
        store.reading() as session,
    ):
        row = candidate.get(session, name)
        assert row is not None
        assert row.votes["votes"][0]["comment"] == "a sandbar"
        assert row.threshold == 0.6
    # Where the workspace names no threshold, the model's own is the level.
    own = workspace.monitor.mining.model_copy(update={"threshold": None})
    silent = Workspace(workspace.folder, workspace.monitor.model_copy(update={"mining": own}))
    find_candidates(silent, now=NOW)
    call = ["export", "--candidates", "-o", str(out), *ws]
    assert runner.invoke(app, call).exit_code == 0
    table = gpd.read_file(out)
    assert (table["probability"] > 0.8).any()
    assert ((table["probability"] > 0.8) == (table["threshold"] == 0.8)).all()
    # A higher threshold leaves the store as it is.
    done = runner.invoke(app, ["mining", "classify", "--threshold", "0.9999", *ws])
    assert done.exit_code == 0, done.output
    assert "0 squares" in done.output


def test_a_closed_warning_hides_no_mine(builder: ModuleType, tmp_path: Path, model: Path) -> None:
    workspace, mine, _ = make(builder, tmp_path, str(model))
    run = builder.play(workspace)
    before = find_candidates(workspace, now=NOW)
    assert before.at_warnings > 0
    retract(workspace, run.run_id, "a test")
    assert [row.status for row in builder.at(workspace, mine)] == [Status.CLOSED]
    after = find_candidates(workspace, now=NOW)
    assert (after.at_warnings, after.new, after.known) == (0, before.at_warnings, before.new)


def test_an_orbit_that_cannot_be_used_costs_its_own_squares_only(
    builder: ModuleType, tmp_path: Path, model: Path
) -> None:
    # The second orbit clips the area: no window of it has enough pixels.
    clips = builder.Shot(builder.day(10), orbit=10, rows=(0, 6))
    workspace, _, _ = make(builder, tmp_path, str(model), [clips])
    builder.play(workspace)
    ws = ["-w", str(workspace.folder)]
    done = CliRunner().invoke(app, ["mining", "classify", *ws])
    assert done.exit_code == 0, done.output
    assert "1 images (1 more could not be used" in done.output
    found = find_candidates(workspace, now=NOW)
    assert (found.acquisitions, found.unusable, found.new) == (1, 1, 0)
    assert found.known > 0
    # The newest image of the other orbit goes too: nothing is left to look at.
    for path in (tmp_path / "images").glob(f"*{builder.day(11):%Y%m%d}*"):
        path.unlink()
    with pytest.raises((InputError, SourceError)):
        find_candidates(workspace, now=NOW)


def test_a_model_of_sigma0_does_not_look_at_a_workspace(
    builder: ModuleType, tmp_path: Path, model: Path
) -> None:
    other = Path(shutil.copytree(model, tmp_path / "sigma"))
    card = json.loads((other / "model.json").read_text())
    (other / "model.json").write_text(json.dumps(card | {"radiometry": "sigma0"}))
    workspace, _, _ = make(builder, tmp_path, str(other))
    with pytest.raises(ConfigError, match="trained on sigma0, a workspace reads gamma0"):
        find_candidates(workspace, now=NOW)


def test_what_cannot_be_asked(builder: ModuleType, tmp_path: Path) -> None:
    workspace, _, _ = make(builder, tmp_path, "")
    with pytest.raises(ConfigError, match="no mining model is named"):
        find_candidates(workspace, now=NOW)
    ws = ["-w", str(workspace.folder)]
    for words, message in (
        (["mining", "classify", "--model", "m", *ws], "the workspace says this"),
        (["mining", "classify", "--model", "m"], "belong together"),
        (["export", "--candidates", "-o", "c.csv", *ws], "GeoJSON or GeoPackage"),
        (["export", "--candidates", "--status", "closed", "-o", "c.gpkg", *ws], "exported whole"),
    ):
        done = CliRunner().invoke(app, words)
        assert isinstance(done.exception, ConfigError | SystemExit)
        assert message in (done.output + str(done.exception))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images", "ws"]


def test_the_monitor_file_may_leave_the_threshold_out() -> None:
    text = render(Monitor())
    assert "# threshold = 0.82" in text
    assert parse(text) == Monitor()
    given = text.replace("# threshold = 0.82", "threshold = 0.6")
    assert parse(given).mining.threshold == 0.6
    assert parse(render(parse(given))) == parse(given)
    with pytest.raises(ConfigError, match=r"\[mining\] threshold = 1.5 is refused"):
        parse(given.replace("0.6", "1.5"))
