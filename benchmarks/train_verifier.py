"""Train the verifier of single images on disturbances planted into real Sentinel-1 images.

    python benchmarks/train_verifier.py --data DIR [--out src/curupira/detect/verifier.json]

Images: ``multiearth-para`` (Para, Brazil, 10 m, four dates, MIT) and the land bursts of
``rtc-10SGD`` (30 m, 22 dates, Apache-2.0), VV and VH; nothing of the simulator. One date at a time
is the image to verify, the others its past. Planted are clearings (a share of a pixel's power is
lost), rain cells and moist patches (both polarisations alike); then come the shipped screening,
filters, level and spread, and the pixels that the shipped log ratio takes for darkened are what is
learned. The first date of every stack is kept for the test. A minute of one core.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from scipy.ndimage import gaussian_filter

from curupira.detect.baseline import despeckle
from curupira.detect.evidence import log_ratio, spread_db
from curupira.detect.params import DetectParams, EvidenceParams
from curupira.detect.reference import reference_level
from curupira.detect.screen import screen_images
from curupira.detect.verify import Deviation, neighbourhoods
from curupira.presets import load
from curupira.units import to_db

FloatArray = npt.NDArray[np.float32]
SEED = 20261121
#: Land with some vegetation; the others are sea, sand and dry grass.
BURSTS = ("319-IW2", "320-IW2", "321-IW2", "322-IW2", "325-IW1")
#: A clearing's VH drop is at least this, dB; its law is that of section [evidence] (real series).
LEAST_DB = 0.3
#: What VV loses of VH's drop: between these shares (Silva 2022: 2.0 beside 2.3 dB).
VV_SHARE = (0.5, 1.1)
#: Moisture moves VV as it does VH, or more.
VV_MOISTURE = (0.8, 1.3)
#: Median and log spread of the area of a clearing, hectares.
AREA_HA, AREA_SPREAD = 0.8, 1.0
HIDDEN = (16, 8)


@dataclass(frozen=True)
class Stack:
    """VH and VV ``(time, y, x)`` linear; how often each date is used; side of a pixel."""

    name: str
    vh: FloatArray
    vv: FloatArray
    times: int


def stacks(data: Path) -> Iterator[Stack]:
    """Read the images, multiearth's on 20 m."""
    bands = []
    for band in ("VH", "VV"):
        with rasterio.open(next((data / "multiearth-para").glob(f"s1_{band}_*.tif"))) as source:
            power = 10 ** (source.read().astype(np.float64) / 10)
        n, rows, columns = power.shape
        parts = power.reshape(n, rows // 2, 2, columns // 2, 2)
        bands.append(parts.mean(axis=(2, 4)).astype(np.float32))
    yield Stack("multiearth-para", *bands, times=60)
    for burst in BURSTS:
        bands = []
        for band in ("VH", "VV"):
            with rasterio.open(data / f"rtc-10SGD/T137-292{burst}/{band}.tif") as source:
                power = source.read().astype(np.float32)
            bands.append(np.where(power > 0, power, np.nan).astype(np.float32))
        yield Stack(f"rtc-10SGD {burst}", *bands, times=2)


def plant(
    shape: tuple[int, int], law: EvidenceParams, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Share of each pixel that is cleared, and its VH drop in dB."""
    share = np.zeros(shape)
    drop = np.zeros(shape)
    fine = 4
    v, u = np.mgrid[0 : shape[0] * fine, 0 : shape[1] * fine] / fine
    for _ in range(rng.poisson(12)):
        pixels = AREA_HA * np.exp(AREA_SPREAD * rng.standard_normal()) * 25
        length = np.sqrt(pixels * rng.uniform(1, 4))
        centre, angle = rng.uniform(0, shape, 2), rng.uniform(0, np.pi)
        along = (v - centre[0]) * np.sin(angle) + (u - centre[1]) * np.cos(angle)
        across = (v - centre[0]) * np.cos(angle) - (u - centre[1]) * np.sin(angle)
        if rng.random() < 0.6:
            inside = (abs(along) < length / 2) & (abs(across) < pixels / length / 2)
        else:
            ragged = gaussian_filter(rng.standard_normal(along.shape), 2 * fine)
            radius = 1 + 0.3 * ragged / ragged.std()
            inside = along**2 + across**2 < pixels / np.pi * radius**2
        part = inside.reshape(shape[0], fine, shape[1], fine).mean(axis=(1, 3))
        depth = law.evidence_drop_db + law.evidence_drop_sd_db * rng.standard_normal()
        depth = max(depth, LEAST_DB)
        drop = np.where(part > share, depth, drop)
        share = np.maximum(share, part)
    texture = gaussian_filter(rng.standard_normal(shape), 1)
    drop = drop * (1 + 0.25 * texture / texture.std())
    return share.astype(np.float32), np.maximum(drop, 0).astype(np.float32)


def rain_db(shape: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    """What rain takes, dB: nothing in half of the images, else cells of 0.5 to 3 km."""
    loss = np.zeros(shape)
    if rng.random() < 0.5:
        return loss.astype(np.float32)
    v, u = np.mgrid[: shape[0], : shape[1]]
    for _ in range(rng.integers(1, 4)):
        centre = rng.uniform(-0.2, 1.2, 2) * shape
        radius = rng.uniform(12, 75)
        far = np.hypot(v - centre[0], u - centre[1]) / radius
        loss += rng.uniform(0.3, 5) / (1 + np.exp((far - 1) * rng.uniform(3, 12)))
    return loss.astype(np.float32)


def moisture_db(shape: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    """Patches of a few hundred metres that are drier or wetter than usual, dB."""
    field = gaussian_filter(rng.standard_normal(shape), rng.uniform(4, 20))
    return (rng.uniform(0, 0.8) * field / field.std()).astype(np.float32)


def sample(
    stack: Stack, position: int, params: DetectParams, rng: np.random.Generator
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Neighbourhoods of one date's darkened pixels, and which are cleared."""
    shape = stack.vh.shape[1:]
    share, drop = plant(shape, params.evidence, rng)
    rain, moisture = rain_db(shape, rng), moisture_db(shape, rng)
    ratio: FloatArray | None = None
    views = []
    order = np.r_[np.delete(np.arange(len(stack.vh)), position), position]
    learning = np.arange(order.size) < order.size - 1
    flip, turn = rng.random() < 0.5, int(rng.integers(4))
    for power, part, wet, weight in (
        (stack.vh, 1.0, 1.0, 1.0),
        (
            stack.vv,
            rng.uniform(*VV_SHARE),
            rng.uniform(*VV_MOISTURE),
            params.evidence.evidence_vv_weight,
        ),
    ):
        images = power[order].copy()
        kept = 1 - share + share * 10 ** (-part * drop / 10)
        images[-1] *= (kept * 10 ** ((wet * moisture - rain) / 10)).astype(np.float32)
        images = np.rot90(images[:, ::-1] if flip else images, turn, (1, 2))
        images = screen_images(np.ascontiguousarray(images), learning, params.screen).power
        images = despeckle(images, np.ones(order.size, dtype=bool), params.speckle)
        level = reference_level(images[learning], 2)
        spread = spread_db(images[learning], level, params.evidence)
        # A level from few images is itself uncertain.
        spread *= np.float32(np.sqrt(order.size / (order.size - 1)))
        db = to_db(images[-1:])
        said = np.float32(weight) * log_ratio(db, level, spread, params.evidence)
        ratio = said if ratio is None else ratio + np.nan_to_num(said)
        views.append(Deviation(db, level, spread))
    seen = np.rot90(share[::-1] if flip else share, turn)
    sure = (seen > 0.5) | (seen < 0.02)
    at = np.nonzero((ratio > 0) & sure)
    return neighbourhoods(*views, at), seen[at[1:]] > 0.5


def train(
    x: FloatArray, y: npt.NDArray[np.bool_], rng: np.random.Generator, epochs: int
) -> dict[str, FloatArray]:
    """Adam on the log loss, both classes of equal weight."""
    sizes = (x.shape[1], *HIDDEN, 1)
    layers = {}
    for k, (n, m) in enumerate(itertools.pairwise(sizes), 1):
        layers[f"w{k}"] = (rng.standard_normal((n, m)) * np.sqrt(2 / n)).astype(np.float32)
        layers[f"b{k}"] = np.zeros(m, np.float32)
    moment = {k: (np.zeros_like(v), np.zeros_like(v)) for k, v in layers.items()}
    weight = np.where(y, 0.5 / y.mean(), 0.5 / (1 - y.mean())).astype(np.float32)
    step, total = 0, epochs * (len(x) // 512)
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for part in order[: len(x) // 512 * 512].reshape(-1, 512):
            step += 1
            rate = 2e-3 * 0.5 * (1 + np.cos(np.pi * step / total))
            for name, g in gradients(layers, x[part], y[part], weight[part]).items():
                first, second = moment[name]
                first += 0.1 * (g - first)
                second += 0.001 * (g * g - second)
                size = np.sqrt(second / (1 - 0.999**step)) + 1e-8
                layers[name] -= (rate * first / (1 - 0.9**step) / size).astype(np.float32)
    return layers


def gradients(
    layers: dict[str, FloatArray], x: FloatArray, y: npt.NDArray[np.bool_], weight: FloatArray
) -> dict[str, FloatArray]:
    """Of the mean weighted log loss, with a little decay of the weights."""
    h1 = np.maximum(x @ layers["w1"] + layers["b1"], 0)
    h2 = np.maximum(h1 @ layers["w2"] + layers["b2"], 0)
    odds = (h2 @ layers["w3"] + layers["b3"])[:, 0]
    back = (weight * (1 / (1 + np.exp(-odds)) - y) / len(x))[:, None].astype(np.float32)
    found = {"w3": h2.T @ back, "b3": back.sum(axis=0)}
    back = (back @ layers["w3"].T) * (h2 > 0)
    found |= {"w2": h1.T @ back, "b2": back.sum(axis=0)}
    back = (back @ layers["w2"].T) * (h1 > 0)
    found |= {"w1": x.T @ back, "b1": back.sum(axis=0)}
    return {k: g + (1e-5 * layers[k] if k[0] == "w" else 0) for k, g in found.items()}


def log_odds(layers: dict[str, FloatArray], x: FloatArray) -> FloatArray:
    """Forward."""
    h1 = np.maximum(x @ layers["w1"] + layers["b1"], 0)
    h2 = np.maximum(h1 @ layers["w2"] + layers["b2"], 0)
    return np.asarray((h2 @ layers["w3"] + layers["b3"])[:, 0])


def rank_area(score: FloatArray, y: npt.NDArray[np.bool_]) -> float:
    """Chance that a cleared pixel scores above another: the area under the ROC curve."""
    rank = np.empty(len(score))
    rank[np.argsort(score)] = np.arange(1, len(score) + 1)
    n = int(y.sum())
    return float((rank[y].sum() - n * (n + 1) / 2) / (n * (len(y) - n)))


def main() -> None:
    """Plant, train, test, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("src/curupira/detect/verifier.json"))
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    rng = np.random.default_rng(SEED)
    params = DetectParams.from_preset(load("curupira"))
    learned, tested = [], []
    for stack in stacks(options.data):
        for _ in range(stack.times):
            for position in range(len(stack.vh)):
                pair = sample(stack, position, params, rng)
                (tested if position == 0 else learned).append((stack.name, *pair))
    x, y = (np.concatenate([s[k] for s in learned]) for k in (1, 2))
    layers = train(x, y, rng, options.epochs)
    scores = {}
    for name in sorted({s[0] for s in tested}):
        tx, ty = (np.concatenate([s[k] for s in tested if s[0] == name]) for k in (1, 2))
        odds = log_odds(layers, tx)
        scores[name] = {
            "pixels": len(ty),
            "cleared": int(ty.sum()),
            "rank_area": round(rank_area(odds, ty), 4),
            "rank_area_of_own_vh": round(rank_area(-tx[:, tx.shape[1] // 4], ty), 4),
            "kept_of_cleared": round(float((odds[ty] > 0).mean()), 4),
            "kept_of_others": round(float((odds[~ty] > 0).mean()), 4),
        }
    print(json.dumps(scores, indent=1))
    document = {
        "trained_by": "benchmarks/train_verifier.py",
        "seed": SEED,
        "images": "multiearth-para (MIT-AI-Accelerator/multiearth-challenge, MIT) and rtc-10SGD "
        "(opera-adt/dist-s1, Apache-2.0); contain modified Copernicus Sentinel data",
        "pixels": len(y),
        "cleared": int(y.sum()),
        "test": scores,
        "layers": {k: np.round(v.astype(float), 4).tolist() for k, v in layers.items()},
    }
    options.out.write_text(json.dumps(document) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
