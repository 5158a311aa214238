"""Overlapping windows share their convolutions, exactly: half the arithmetic of patch by patch.

A window's convolutions see zeros beyond its edge, so only the features two cells (8 pixels) or more
inside are those of the image around it. Their mean comes from one pass over the whole block. The
rest is computed as each window sees it: strips along its four edges, which neighbours in a row or
column share, and four corners. Means of the parts, weighted by their cells, are the window's mean.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from curupira.mining.model import MiningModel
from curupira.mining.network import MINE, Folded
from curupira.mining.scene import FloatArray, fill_missing

#: Pixels that become one cell, and cells at a window's edge that feel it.
_CELL, _RING = 4, 2
#: Pixels that the ring's cells are made of.
_STRIP = 15
_OPSET = 18
#: Where a part feels the window's edge: before, nowhere, behind.
_SIDES = ("first", "middle", "last")


def can_share(model: MiningModel, stride_px: int) -> bool:
    """Whether windows at this step share: on the grid of cells, overlapping by half or more."""
    size = model.card.size_px
    return (
        model.card.normalisation.mean is not None
        and model.params.network.pooling == "mean"
        and stride_px % _CELL == 0
        and 2 * stride_px <= size
        and size // _CELL > 2 * _RING
    )


class SharedWindows:
    """Probabilities of all windows of a block at once, by ONNX Runtime on one thread.

    May be called from several threads.

    Parameters
    ----------
    model
        With a z-score of the training set.
    stride_px
        A step for which ``can_share`` holds.
    """

    def __init__(self, model: MiningModel, stride_px: int) -> None:
        self.size, self.stride = model.card.size_px, stride_px
        self.mean, self.sd = model.card.normalisation.mean, model.card.normalisation.sd
        self.network = Folded(model.network)
        options = onnxruntime.SessionOptions()
        # Whole blocks go in parallel; nine pools of waiting threads would only be in the way.
        options.intra_op_num_threads = 1
        self.sessions = {
            sides: onnxruntime.InferenceSession(
                self._graph(*sides), options, providers=["CPUExecutionProvider"]
            )
            for sides in product(_SIDES, _SIDES)
        }

    def __call__(self, image: FloatArray, usable: npt.NDArray[np.bool_]) -> FloatArray:
        """Probabilities of the usable windows ``(row, column)`` of an image ``(band, y, x)``.

        NaN in the image is filled with the training mean.
        """
        filled = fill_missing(image[None], self.mean)[0]
        mean = np.asarray(self.mean, dtype=np.float32)[:, None, None]
        z = (filled - mean) / np.asarray(self.sd, dtype=np.float32)[:, None, None]
        inner = self.size // _CELL - 2 * _RING
        cells = {"first": _RING, "middle": inner, "last": _RING}
        total: FloatArray | None = None
        for vertical, horizontal in product(_SIDES, _SIDES):
            part = self._part(z, usable.shape, vertical, horizontal)
            part *= cells[vertical] * cells[horizontal]
            total = part if total is None else total + part
        if total is None:
            raise ValueError("no part")
        features = total / (self.size // _CELL) ** 2
        with torch.inference_mode():
            x = torch.from_numpy(features[:, usable].T.copy())
            logits = self.network.classified(x)
            return np.asarray(torch.softmax(logits, dim=1)[:, MINE].numpy())

    def _part(
        self, z: FloatArray, shape: tuple[int, ...], vertical: str, horizontal: str
    ) -> FloatArray:
        """Mean features ``(feature, row, column)`` of one of the nine parts of every window."""
        rows = self._cuts(shape[0], vertical)
        columns = self._cuts(shape[1], horizontal)
        pieces = np.stack([z[:, r, c] for r in rows for c in columns])
        (found,) = self.sessions[vertical, horizontal].run(None, {"z": pieces})
        # (rows of pieces x columns of pieces, feature, rows within, columns within)
        parts = found.reshape(len(rows), len(columns), *found.shape[1:])
        moved = parts.transpose(2, 0, 3, 1, 4)
        return np.ascontiguousarray(moved.reshape(found.shape[1], *shape))

    def _cuts(self, windows: int, side: str) -> list[slice]:
        if side == "middle":
            # One pixel less at both ends, so that pooling stays on the windows' cells.
            return [slice(1, (windows - 1) * self.stride + self.size - 1)]
        offset = 0 if side == "first" else self.size - _STRIP
        starts = [n * self.stride + offset for n in range(windows)]
        return [slice(start, start + _STRIP) for start in starts]

    def _graph(self, vertical: str, horizontal: str) -> bytes:
        """The convolutions with zeros only beyond the named sides, then the mean of the part."""
        sides = (vertical, horizontal)
        pads = [int(s == "first") for s in sides] + [int(s == "last") for s in sides]
        weights: dict[str, npt.NDArray[np.float32]] = {}
        nodes, last = [], "z"
        convolutions = list(self.network.convolutions)
        for number, convolve in enumerate(convolutions):
            weights[f"w{number}"] = convolve.get_parameter("weight").numpy()
            weights[f"b{number}"] = convolve.get_parameter("bias").numpy()
            names = [last, f"w{number}", f"b{number}"]
            nodes.append(helper.make_node("Conv", names, [f"c{number}"], pads=pads))
            nodes.append(helper.make_node("Relu", [f"c{number}"], [f"r{number}"]))
            last = f"r{number}"
            if number < len(convolutions) - 1:
                last = self._pooled(number, nodes, weights)
        inner, step = self.size // _CELL - 2 * _RING, self.stride // _CELL
        nodes.append(
            helper.make_node(
                "AveragePool",
                [last],
                ["mean"],
                kernel_shape=[inner if s == "middle" else _RING for s in sides],
                strides=[step if s == "middle" else _RING for s in sides],
            )
        )
        bands, filters = len(self.mean or []), len(weights[f"b{len(convolutions) - 1}"])
        graph = helper.make_graph(
            nodes,
            "part",
            [helper.make_tensor_value_info("z", TensorProto.FLOAT, [None, bands, None, None])],
            [helper.make_tensor_value_info("mean", TensorProto.FLOAT, [None, filters, None, None])],
            [numpy_helper.from_array(value, name) for name, value in weights.items()],
        )
        opset = [helper.make_opsetid("", _OPSET)]
        made = helper.make_model(graph, opset_imports=opset, ir_version=10)
        onnx.checker.check_model(made)
        return bytes(made.SerializeToString())

    def _pooled(
        self, number: int, nodes: list[onnx.NodeProto], weights: dict[str, npt.NDArray[np.float32]]
    ) -> str:
        # As in ``Folded``: the largest of an increasing function, at a quarter of the pixels.
        scale = self.network.get_buffer(f"scale{number}").numpy()
        weights[f"shift{number}"] = self.network.get_buffer(f"shift{number}").numpy()
        weights[f"scale{number}"] = np.abs(scale)
        last = f"r{number}"
        if not self.network.increasing[number]:
            weights[f"sign{number}"] = np.sign(scale)
            nodes.append(helper.make_node("Mul", [last, f"sign{number}"], [f"s{number}"]))
            last = f"s{number}"
        nodes.append(
            helper.make_node("MaxPool", [last], [f"p{number}"], kernel_shape=[2, 2], strides=[2, 2])
        )
        nodes.append(helper.make_node("Mul", [f"p{number}", f"scale{number}"], [f"m{number}"]))
        nodes.append(helper.make_node("Add", [f"m{number}", f"shift{number}"], [f"x{number}"]))
        return f"x{number}"
