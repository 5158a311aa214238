"""Warnings learn whether they look like a mine; squares without a warning are candidates."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from curupira import presets
from curupira.cog import write_cog
from curupira.config import Workspace
from curupira.deliver.agency import MINING, classname
from curupira.errors import ConfigError
from curupira.mining.card import ModelCard, Normalisation
from curupira.records import Asset

SIZE, STRIDE, PIXEL = 16, 8, 20.0
#: VV over VH, dB: usual of forest; much less where the builder's ``mined`` place is.
FOREST_RATIO, MINE_RATIO = 6.5, 12.0


def write_model(folder: Path, **options: Any) -> Path:
    """A model by hand: the logistic of (VV - VH - 9 dB), mean over the window."""
    names = ("bands", "weight", "bias", "dense")
    weight = np.array([[[[1.0]], [[-1.0]]]], dtype=np.float32)
    nodes = [
        helper.make_node("Conv", [names[0], "weight", "bias"], ["difference"]),
        helper.make_node("ReduceMean", ["difference"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Sigmoid", ["mean"], ["probability"]),
    ]
    shape = [None, 2, SIZE, SIZE]
    graph = helper.make_graph(
        nodes,
        "hand-made",
        [helper.make_tensor_value_info("bands", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None])],
        [
            onnx.numpy_helper.from_array(weight, "weight"),
            onnx.numpy_helper.from_array(np.array([-9.0], dtype=np.float32), "bias"),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=10)
    preset = presets.load("unesp_2025", "mining").replace(
        bands=["vv", "vh"], lee="none", size_px=SIZE, pixel_m=PIXEL, stride_px=STRIDE, **options
    )
    card = ModelCard(
        bands=["vv", "vh"],
        units={"vv": "dB", "vh": "dB"},
        size_px=SIZE,
        pixel_m=PIXEL,
        parameters={"trainable": 3, "running": 0},
        normalisation=Normalisation(kind="training", mean=[-7.5, -14.0], sd=[1.0, 1.0]),
        preset="hand-made",
        preset_hash=preset.hash,
        preset_sections=json.loads(json.dumps({k: dict(v) for k, v in preset.sections.items()})),
        data_hash="none",
        weights_sha256=hashlib.sha256(made.SerializeToString()).hexdigest(),
        seed=0,
        epoch=0,
        patches={},
        metrics={},
        history={},
        software={},
    )
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(made.SerializeToString())
    (folder / "model.json").write_text(card.model_dump_json(), encoding="utf-8")
    return folder


def make(b: ModuleType, folder: Path, model: str, **mining: Any) -> tuple[Workspace, Any, Any]:
    """A workspace with a mine, another clearing, and mined land that is no change."""
    mine, field = b.Square(8, 8, b.day(8)), b.Square(50, 50, b.day(8))
    old = b.Square(8, 52, b.day(0), size=20, drop_db=0.0)

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
                write_cog(path, (vh * 10 ** (ratio / 10))[None], b.GRID, nodata=float("nan"))
            assets = {**scene.assets, "vv": Asset(str(path))}
            return b.replace(scene, assets=assets)

    world = World(folder / "images", [mine, field])
    workspace = world.workspace(
        folder / "ws",
        b.series(12),
        source={"catalogue": "catalog/catalog.json"},
        mining={"model": model, "neighbourhood_m": 0.0, **mining},
    )
    return workspace, mine, field


def test_a_warning_gets_the_highest_probability_around_it(
    builder: ModuleType, tmp_path: Path
) -> None:
    write_model(tmp_path / "ws_model")
    workspace, mine, field = make(builder, tmp_path, "../ws_model")
    builder.play(workspace)
    (mined,) = builder.at(workspace, mine)
    (cleared,) = builder.at(workspace, field)
    # A window of 16 x 16 that holds 12 x 12 mined pixels, or at worst a part of them.
    best = 1 / (1 + np.exp(-(FOREST_RATIO + 5.5 * (12 * 12) / 256 - 9)))
    assert 0.5 < mined.mining_score <= best + 1e-3
    assert cleared.mining_score == pytest.approx(1 / (1 + np.exp(2.5)), abs=0.01)
    assert classname("high_intensity", 0.81) == MINING
    again = builder.state(workspace)
    builder.play(workspace, force=True)
    assert builder.state(workspace) == again


def test_scores_do_not_depend_on_the_number_of_runs(builder: ModuleType, tmp_path: Path) -> None:
    write_model(tmp_path / "ws_model")
    whole, _, _ = make(builder, tmp_path, "../ws_model")
    builder.play(whole)
    parts, _, _ = make(builder, tmp_path / "b", "../../ws_model")
    for n in range(6, 12):
        builder.play(parts, until=builder.day(n))
    scores = [sorted(r.mining_score for r in builder.warning_rows(w)) for w in (whole, parts)]
    assert scores[0] == scores[1]


def test_a_missing_model_stops_the_run_before_it_begins(
    builder: ModuleType, tmp_path: Path
) -> None:
    workspace, _, _ = make(builder, tmp_path, "nowhere")
    with pytest.raises(ConfigError, match="no such model folder"):
        builder.play(workspace)
