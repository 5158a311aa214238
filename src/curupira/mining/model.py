"""A model on disk: ``model.pt``, ``model.onnx`` and ``model.json``."""

from __future__ import annotations

import hashlib
import io
import logging
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from curupira.cog import write_atomic
from curupira.errors import ConfigError, InputError
from curupira.mining.card import (
    AGAIN,
    CARD,
    EXPORT,
    FORMAT,
    WEIGHTS,
    ModelCard,
    Normalisation,
    read_card,
)
from curupira.mining.network import Folded, MiningNetwork, Scorer, count_parameters
from curupira.mining.params import MiningParams
from curupira.presets import Preset

__all__ = ["ModelCard", "Normalisation", "load_model", "save_model"]

#: The export must agree with PyTorch to this, as probability.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class MiningModel:
    """A loaded model: the card, its parameters, and the network in ``eval`` mode."""

    card: ModelCard
    params: MiningParams
    network: MiningNetwork
    folder: Path

    @property
    def scorer(self) -> Scorer:
        """From bands in dB to probabilities, by the network as trained."""
        return Scorer(self.network, self.card.normalisation.mean, self.card.normalisation.sd).eval()

    @property
    def fast_scorer(self) -> Scorer:
        """The same function with less arithmetic."""
        return Scorer(
            Folded(self.network), self.card.normalisation.mean, self.card.normalisation.sd
        ).eval()


def band_units(params: MiningParams) -> dict[str, str]:
    """Unit of every band."""
    pa = "dB" if params.bands.pa in ("half_difference", "half_sum") else "1"
    return {name: pa if name == "pa" else "dB" for name in params.bands.bands}


def save_model(
    folder: Path,
    network: MiningNetwork,
    normalisation: Normalisation,
    preset: Preset,
    record: Mapping[str, Any],
) -> ModelCard:
    """Write the three files into a folder.

    Parameters
    ----------
    folder
        Exists; the caller moves it into place when all is written.
    record
        The card's ``data_hash``, ``seed``, ``epoch``, ``patches``, ``metrics``, ``history`` and
        ``software``.

    Raises
    ------
    InputError
        If the exported network does not agree with PyTorch's.
    """
    params = MiningParams.from_preset(preset)
    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer)
    weights = buffer.getvalue()
    trainable, running = count_parameters(network)
    card = ModelCard(
        format=FORMAT,
        bands=list(params.bands.bands),
        units=band_units(params),
        size_px=params.patches.size_px,
        pixel_m=params.patches.pixel_m,
        parameters={"trainable": trainable, "running": running},
        normalisation=normalisation,
        preset=preset.name,
        preset_hash=preset.hash,
        preset_sections={name: dict(values) for name, values in preset.sections.items()},
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        **record,
    )
    model = MiningModel(card, params, network.eval(), folder)
    write_atomic(folder / WEIGHTS, weights)
    write_atomic(folder / EXPORT, export_onnx(model))
    _check_export(model)
    write_atomic(folder / CARD, (card.model_dump_json(indent=2) + "\n").encode())
    return card


def export_onnx(model: MiningModel) -> bytes:
    """The network from bands in dB to the probability of a mine, as ONNX.

    Input ``bands`` ``(patch, band, y, x)`` float32, output ``probability`` ``(patch,)``.
    """
    size = model.params.patches.size_px
    example = torch.zeros(2, len(model.card.bands), size, size)
    example[1] = 1.0
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # The exporter trips over deprecations of its own helpers.
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                model.fast_scorer,
                (example,),
                input_names=["bands"],
                output_names=["probability"],
                dynamic_shapes={"patches": {0: torch.export.Dim("patch")}},
                dynamo=True,
                verbose=False,
            )
    finally:
        logger.setLevel(level)
    if program is None:
        raise InputError("the ONNX exporter gave nothing", where=EXPORT)
    return bytes(program.model_proto.SerializeToString())


def _check_export(model: MiningModel) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(model.folder / EXPORT), providers=["CPUExecutionProvider"]
    )
    size = model.params.patches.size_px
    rng = np.random.default_rng(0)
    levels = rng.uniform(-25, -5, (5, len(model.card.bands), 1, 1))
    patches = (levels + rng.normal(0, 2, (5, len(model.card.bands), size, size))).astype(np.float32)
    with torch.no_grad():
        expected = model.scorer(torch.from_numpy(patches)).numpy()
    found = session.run(None, {"bands": patches})[0]
    worst = float(np.abs(found - expected).max())
    if not worst <= TOLERANCE:
        raise InputError(
            f"the exported network differs from PyTorch's by {worst:g}",
            where=model.folder / EXPORT,
            remedy="report this with the versions of torch and onnxruntime",
        )


def load_model(folder: Path) -> MiningModel:
    """Read a model folder.

    Raises
    ------
    ConfigError
        If there is no such folder.
    InputError
        If a file is missing or damaged, of another version, or not of the others.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ConfigError("no such model folder", where=folder, remedy="run curupira mining train")
    card = read_card(folder / CARD)
    preset = Preset(card.preset, card.preset_sections)
    params = MiningParams.from_preset(preset)
    network = MiningNetwork(len(card.bands), params.network)
    try:
        weights = (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise InputError("cannot be read", where=folder / WEIGHTS, remedy=AGAIN) from error
    if hashlib.sha256(weights).hexdigest() != card.weights_sha256:
        raise InputError(
            "these are not the weights that model.json describes",
            where=folder / WEIGHTS,
            remedy="copy the model folder as a whole",
        )
    try:
        network.load_state_dict(torch.load(io.BytesIO(weights), weights_only=True))
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise InputError(
            "the weights do not fit the network", where=folder / WEIGHTS, remedy=AGAIN
        ) from error
    return MiningModel(card, params, network.eval(), folder)
