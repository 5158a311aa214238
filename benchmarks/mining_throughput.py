"""Speed of the mining classification against the plain PyTorch loop, in one run.

Run: python benchmarks/mining_throughput.py [--threads 1] [--size-px 1092] [--repeats 5]

The network is the preset's, trained for a moment on patches of the same simulated land (so that its
probabilities spread), and slides over one scene held in memory. "plain" is what a user would write:
PyTorch, one patch a call. "chain" is the shipped classification, reading, filter and the check of
windows near the threshold included; it shares what windows overlap. "onnx" and "torch" are its
engines patch by patch, on patches in memory as the plain loop. Every decision of every engine
is compared with the plain loop's at the paper's two thresholds.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.ndimage as ndi
import torch
from affine import Affine
from odc.geo.geobox import GeoBox

from curupira import presets
from curupira.blocks import Window
from curupira.mining.classify import classify_scene, onnx_engine, plain_engine, torch_engine
from curupira.mining.dataset import PatchSet
from curupira.mining.model import MiningModel, Normalisation, load_model, save_model
from curupira.mining.params import MiningParams
from curupira.mining.scene import RadarScene, read_bands
from curupira.mining.train import fit

RESULT = Path(__file__).parent / "results" / "mining_throughput.json"
THRESHOLDS = (0.8, 0.9)
TRAINING = 96
Array = npt.NDArray[Any]


def simulated(size: int, seed: int) -> tuple[RadarScene, Array]:
    """A scene of forest with irregular bare land and water, and where these are."""
    rng = np.random.default_rng(seed)
    field = ndi.gaussian_filter(rng.standard_normal((size, size)), 12)
    mine = field > np.quantile(field, 0.93)
    level = np.where(mine, [[[-11.0]], [[-18.0]]], [[[-6.5]], [[-13.0]]])
    speckle = rng.gamma(4.4, 1 / 4.4, level.shape)
    bands = (level + 10 * np.log10(speckle)).astype(np.float32)
    grid = GeoBox((size, size), Affine(10, 0, 5e5, 0, -10, 9.3e6), "EPSG:32721")

    def read(window: Window) -> tuple[Array, Array]:
        return bands[0][window.slices], bands[1][window.slices]

    return RadarScene("simulated", None, grid, read), mine


def trained(folder: Path, size: int) -> MiningModel:
    """A model trained for a moment on another scene of the same kind."""
    preset = presets.load("unesp_2025", "mining").replace(epochs=3, norm_momentum=0.2)
    params = MiningParams.from_preset(preset)
    scene, mine = simulated(size, seed=1)
    rng = np.random.default_rng(1)
    corners = rng.integers(0, size - 104, (TRAINING, 2))
    windows = [Window(y, y + 104, x, x + 104) for y, x in corners]
    share = np.array([mine[w.slices].mean() for w in windows])
    labels = (share > np.median(share)).astype(np.int64)
    data = PatchSet(
        np.stack([read_bands(scene, w, params.bands) for w in windows]),
        pd.DataFrame({"point": np.arange(TRAINING), "label": labels}),
        "simulated",
    )
    validate = np.arange(TRAINING) % 5 == 0
    found = fit(data, ~validate, validate, params, seed=0)
    scaling = Normalisation(kind="training", mean=found.mean, sd=found.sd)
    save_model(
        folder,
        found.network,
        scaling,
        preset,
        {
            "data_hash": data.hash,
            "seed": 0,
            "epoch": found.epoch,
            **{key: {} for key in ("patches", "metrics", "history", "software")},
        },
    )
    return load_model(folder)


def main() -> None:
    """Print the table and write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size-px", type=int, default=1092)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        model = trained(Path(folder), options.size_px)
        rows = measure(model, options.size_px, options.repeats)
    for row in rows:
        print(
            f"{row['name']:<10}{row['value']:>9.0f} {row['unit']}  x{row['ratio']:.2f}  "
            f"decisions changed: {row['changed']} of {row['windows']}"
        )
    machine = {
        "machine": platform.processor() or platform.machine(),
        "threads": options.threads,
        **{name: version(name) for name in ("torch", "onnxruntime", "numpy")},
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")


def measure(model: MiningModel, size: int, repeats: int) -> list[dict[str, Any]]:
    """Patches a second of every way, the plain loop first."""
    scene, _ = simulated(size, seed=2)
    image = read_bands(scene, scene.window, model.params.bands)
    views = np.lib.stride_tricks.sliding_window_view(image, (104, 104), axis=(1, 2))
    views = views[:, ::52, ::52]
    shape = views.shape[1:3]
    patches = np.ascontiguousarray(np.moveaxis(views.reshape(3, -1, 104, 104), 0, 1))
    engines = {
        "plain": plain_engine(model),
        "torch": torch_engine(model, torch.device("cpu")),
        "onnx": onnx_engine(model),
    }
    ways: dict[str, Callable[[], Array]] = {
        name: (lambda engine=engine: engine(patches).reshape(shape))  # type: ignore[misc]
        for name, engine in engines.items()
    }
    for threshold in THRESHOLDS:
        ways[f"chain {threshold}"] = lambda threshold=threshold: (
            classify_scene(  # type: ignore[misc]
                scene, model, stride_px=52, threshold=threshold
            ).probability
        )
    results = {name: way() for name, way in ways.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    # In turns: what else the machine does slows all of them alike.
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    rows: list[dict[str, Any]] = []
    expected = results["plain"]
    for name, found in results.items():
        seconds = min(times[name])
        changed = sum(int(((found > t) != (expected > t)).sum()) for t in THRESHOLDS)
        value = patches.shape[0] / seconds
        base = rows[0]["value"] if rows else value
        rows.append(
            {
                "name": name,
                "value": value,
                "unit": "patches/s",
                "baseline": base,
                "ratio": value / base,
                "limit_fraction": None,
                "windows": patches.shape[0],
                "changed": changed,
                "above": [int((found > t).sum()) for t in THRESHOLDS],
                "worst_difference": float(np.abs(found - expected).max()),
            }
        )
    return rows


if __name__ == "__main__":
    main()
