"""A window slides over a scene, block by block; the result is one map of probabilities."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
import shapely
import torch
from shapely.geometry.base import BaseGeometry

from curupira.blocks import Window, executor, split
from curupira.errors import ConfigError, InputError
from curupira.grid import LONLAT, project
from curupira.mining.card import EXPORT
from curupira.mining.model import MiningModel
from curupira.mining.overlap import SharedWindows, can_share
from curupira.mining.scene import (
    FloatArray,
    RadarScene,
    check_grid,
    fill_missing,
    incomplete,
    read_bands,
)
from curupira.mining.windows import WindowMap
from curupira.progress import Report, silent

EngineName = Literal["auto", "onnx", "torch", "plain"]
#: Patches ``(patch, band, y, x)`` without NaN -> probabilities ``(patch,)``.
Engine = Callable[[FloatArray], FloatArray]
BoolArray = npt.NDArray[np.bool_]
#: Image ``(band, y, x)`` and which of its windows are wanted -> their probabilities.
BlockEngine = Callable[[FloatArray, BoolArray], FloatArray]

#: Windows along the side of a block: 468 x 468 pixels are read at a time with the paper's windows.
#: Twice as many where the step is a quarter of a window or less: neighbours read their rim again.
_BLOCK = 8
#: Patches a call; measured best for ONNX Runtime on CPUs (docs/mining.md).
_BATCH = 8
_GPU_BATCH = 256
#: A fast engine rounds differently; what lies so near the threshold is computed again, plainly.
MARGIN = 1e-4


def plain_engine(model: MiningModel) -> Engine:
    """PyTorch as trained, patch by patch: what the other engines must agree with."""
    scorer = model.scorer

    def score(patches: FloatArray) -> FloatArray:
        with torch.inference_mode():
            found = [scorer(torch.from_numpy(patches[n : n + 1])) for n in range(len(patches))]
        return torch.cat(found).numpy() if found else np.zeros(0, dtype=np.float32)

    return score


def torch_engine(model: MiningModel, device: torch.device) -> Engine:
    """PyTorch with folded normalisation, channels last, on CPU or GPU."""
    scorer = model.fast_scorer.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    size = _GPU_BATCH if device.type == "cuda" else _BATCH

    def score(patches: FloatArray) -> FloatArray:
        found = [np.zeros(0, dtype=np.float32)]
        with torch.inference_mode():
            for part in torch.split(torch.from_numpy(patches), size):
                batch = part.to(device).contiguous(memory_format=torch.channels_last)
                found.append(scorer(batch).cpu().numpy())
        return np.concatenate(found)

    return score


def onnx_engine(model: MiningModel) -> Engine:
    """ONNX Runtime on the CPU, as many threads as PyTorch would use."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        str(model.folder / EXPORT), options, providers=["CPUExecutionProvider"]
    )

    def score(patches: FloatArray) -> FloatArray:
        found = [np.zeros(0, dtype=np.float32)]
        for start in range(0, len(patches), _BATCH):
            part = np.ascontiguousarray(patches[start : start + _BATCH])
            found.append(session.run(None, {"bands": part})[0])
        return np.concatenate(found)

    return score


def make_engine(model: MiningModel, name: EngineName = "auto") -> Engine:
    """The engine of a name; ``auto`` is the GPU where there is one, else ONNX Runtime.

    ONNX Runtime is the fastest of the three on CPUs (``benchmarks/mining_throughput.py``).

    Raises
    ------
    ConfigError
        If there is no such engine.
    InputError
        If the model has no ONNX file.
    """
    if name == "plain":
        return plain_engine(model)
    if name == "torch" or (name == "auto" and torch.cuda.is_available()):
        return torch_engine(model, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    if name not in ("auto", "onnx"):
        raise ConfigError(f"no engine {name!r}", where="--engine", remedy="auto, onnx or torch")
    if not os.path.isfile(model.folder / EXPORT):
        raise InputError(
            "is missing", where=model.folder / EXPORT, remedy="train again, or take --engine torch"
        )
    return onnx_engine(model)


def by_patch(engine: Engine, model: MiningModel, stride_px: int) -> BlockEngine:
    """An engine that cuts the windows of a block apart."""

    def score(image: FloatArray, usable: BoolArray) -> FloatArray:
        patches = cut_windows(image, usable, model.card.size_px, stride_px)
        if not len(patches):
            return np.zeros(0, dtype=np.float32)
        return engine(fill_missing(patches, model.card.normalisation.mean))

    return score


def block_engine(model: MiningModel, name: EngineName, stride_px: int) -> BlockEngine:
    """The engine of a name for whole blocks; ``auto`` on a CPU shares what windows overlap.

    Raises
    ------
    ConfigError, InputError
        As ``make_engine``.
    """
    if name == "auto" and not torch.cuda.is_available() and can_share(model, stride_px):
        return SharedWindows(model, stride_px)
    return by_patch(make_engine(model, name), model, stride_px)


def cut_windows(image: FloatArray, usable: BoolArray, size: int, stride: int) -> FloatArray:
    """Patches ``(patch, band, y, x)`` of the usable windows of an image, row by row."""
    views = np.lib.stride_tricks.sliding_window_view(image, (size, size), axis=(1, 2))
    row, column = np.nonzero(usable)
    chosen = views[:, ::stride, ::stride][:, row, column]
    return np.ascontiguousarray(np.moveaxis(chosen, 0, 1))


def check_scene(scene: RadarScene, model: MiningModel, stride_px: int) -> None:
    """Refuse a scene that the model cannot be slid over.

    Raises
    ------
    InputError
        If its grid does not suit, it is smaller than a window, or holds what the model never saw.
    ConfigError
        If the step does not suit the windows.
    """
    check_grid(scene.grid, model.card.pixel_m, where=scene.name)
    if scene.radiometry != model.card.radiometry:
        raise InputError(
            f"is {scene.radiometry}, but the model was trained on {model.card.radiometry}",
            where=scene.name,
            remedy=f"give {model.card.radiometry}; if the file holds it, say --radiometry",
        )
    size = model.card.size_px
    if min(scene.grid.shape) < size:
        raise InputError(
            f"the scene of {tuple(scene.grid.shape)} pixels is smaller than a window of {size}",
            where=scene.name,
        )
    model.params.check_step(stride_px, where="--stride")


def classify_scene(
    scene: RadarScene,
    model: MiningModel,
    *,
    stride_px: int,
    threshold: float,
    area: BaseGeometry | None = None,
    engine: BlockEngine | None = None,
    report: Report = silent,
) -> WindowMap:
    """Probability of a mine in every window of a scene.

    Parameters
    ----------
    scene
        In metres, with the model's pixel size. Memory is bounded by blocks of windows.
    model
        Says bands, filter, size and normalisation.
    stride_px
        Step of the window; windows lie at its multiples from the scene's first pixel, whole ones
        only, so that the last pixels may stay uncovered.
    threshold
        Windows within 1e-4 of it are computed again by the plain engine: whether a window is above
        it hangs on no engine's rounding. Whether a shared square is may: several windows decide.
    area
        Lon/lat; only windows with their centre in it.
    engine
        ``block_engine(model, "auto", stride_px)`` if None.

    Raises
    ------
    InputError
        If the scene does not suit, or no window can be classified.
    """
    check_scene(scene, model, stride_px)
    size = model.card.size_px
    rows, columns = ((n - size) // stride_px + 1 for n in scene.grid.shape)
    empty = np.full((rows, columns), np.nan, dtype=np.float32)
    found = WindowMap(empty, scene.grid, size, stride_px)
    wanted = _wanted(found, area, scene.name)
    score = engine or block_engine(model, "auto", stride_px)
    _fill(found, scene, model, wanted, score, threshold, report)
    if np.isnan(found.probability).all():
        raise InputError(
            "no window has enough valid pixels",
            where=scene.name,
            remedy="check image and area, and that the heights cover it",
        )
    return found


def _fill(
    found: WindowMap,
    scene: RadarScene,
    model: MiningModel,
    wanted: BoolArray,
    score: BlockEngine,
    threshold: float,
    report: Report,
) -> None:
    """Write the probabilities of the wanted windows into the map, block by block."""
    stride = found.stride_px
    plain = by_patch(plain_engine(model), model, stride)
    whole = Window(0, wanted.shape[0], 0, wanted.shape[1])
    side = _BLOCK if 4 * stride > found.size_px else 2 * _BLOCK
    blocks = [b for b in split(whole, side) if wanted[b.slices].any()]

    def work(block: Window) -> None:
        image = _read(scene, model, block, stride)
        usable = wanted[block.slices] & _complete(image, model, stride)
        if not usable.any():
            return
        # Blocks do not overlap in the map: threads write apart.
        here = found.probability[block.slices]
        here[usable] = score(image, usable)
        near = usable & (np.abs(here - threshold) <= MARGIN)
        here[near] = plain(image, near)

    # The shared engine runs one thread a block; the others use all threads within a block.
    threads = torch.get_num_threads() if isinstance(score, SharedWindows) else 1
    with executor(workers=threads) as run:
        for number, _ in enumerate(run(work, blocks), start=1):
            report(number, len(blocks), "blocks of windows")


def _wanted(found: WindowMap, area: BaseGeometry | None, where: str) -> BoolArray:
    if area is None:
        return np.ones(found.probability.shape, dtype=bool)
    there = project(area, LONLAT, str(found.scene.crs))
    shapely.prepare(there)
    inside = np.asarray(shapely.contains_xy(there, *found.centres()), dtype=bool)
    if not inside.any():
        raise InputError("the area of interest holds no window", where=where, remedy="check --aoi")
    return inside


def _read(scene: RadarScene, model: MiningModel, block: Window, stride: int) -> FloatArray:
    """Bands of the pixels that a block of windows covers."""
    size = model.card.size_px
    pixels = Window(
        block.y0 * stride,
        (block.y1 - 1) * stride + size,
        block.x0 * stride,
        (block.x1 - 1) * stride + size,
    )
    return read_bands(scene, pixels, model.params.bands)


def _complete(image: FloatArray, model: MiningModel, stride: int) -> BoolArray:
    """Windows of which not too much is missing."""
    size = model.card.size_px
    views = np.lib.stride_tricks.sliding_window_view(incomplete(image), (size, size))
    share = views[::stride, ::stride].mean(axis=(2, 3))
    return np.asarray(share <= model.params.patches.missing_share)
