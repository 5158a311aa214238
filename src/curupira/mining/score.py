"""Windows one by one through ``model.onnx``: what a daily run needs, without PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from curupira.blocks import Window
from curupira.errors import ConfigError, InputError
from curupira.mining.card import AGAIN, CARD, EXPORT, ModelCard, read_card
from curupira.mining.params import MiningParams
from curupira.mining.scene import RadarScene, check_grid, fill_missing, missing_share, read_bands
from curupira.presets import Preset


class WindowScorer:
    """Probability of a mine in single windows.

    Parameters
    ----------
    folder
        Of ``curupira mining train``.

    Raises
    ------
    ConfigError
        If there is no such folder, or ONNX Runtime is not installed.
    InputError
        If the model is damaged or of another version.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ConfigError(
                "no such model folder", where=folder, remedy="run curupira mining train"
            )
        self.card: ModelCard = read_card(folder / CARD)
        preset = Preset(self.card.preset, self.card.preset_sections)
        self.params = MiningParams.from_preset(preset)
        try:
            import onnxruntime
        except ImportError as error:
            raise ConfigError(
                "ONNX Runtime is not installed",
                where="[mining] model",
                remedy="pip install 'curupira[mining]', or set [mining] model to \"\"",
            ) from error
        if not (folder / EXPORT).is_file():
            raise InputError("is missing", where=folder / EXPORT, remedy=AGAIN)
        options = onnxruntime.SessionOptions()
        # One window at a time: more threads cost more than they give.
        options.intra_op_num_threads = 1
        try:
            self.session = onnxruntime.InferenceSession(
                str(folder / EXPORT), options, providers=["CPUExecutionProvider"]
            )
        except onnxruntime.capi.onnxruntime_pybind11_state.InvalidProtobuf as error:
            raise InputError("is no ONNX model", where=folder / EXPORT, remedy=AGAIN) from error

    @property
    def name(self) -> str:
        """Preset and first digits of the weights' hash."""
        return f"{self.card.preset} {self.card.weights_sha256[:12]}"

    def probability(self, scene: RadarScene, row: int, column: int) -> float:
        """Probability of the window that begins at (row, column); NaN: too much is missing.

        Raises
        ------
        InputError
            If the image does not suit the model.
        """
        check_grid(scene.grid, self.card.pixel_m, where=scene.name)
        size = self.card.size_px
        window = Window(row, row + size, column, column + size)
        image = read_bands(scene, window, self.params.bands)
        if missing_share(image) > self.params.patches.missing_share:
            return float("nan")
        bands = fill_missing(image[None], self.card.normalisation.mean)
        (found,) = self.session.run(None, {"bands": np.ascontiguousarray(bands)})
        return float(found[0])
