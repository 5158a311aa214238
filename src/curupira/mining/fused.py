"""ReLU, batch normalisation and max-pooling of a training step in two passes over memory, on a CPU.

One after another they pass over the largest arrays of the network a dozen times, which costs more
than its convolutions. Same function and gradient as PyTorch's own three but for rounding (tested).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numba import njit
from torch import Tensor, nn

Array = npt.NDArray[Any]


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})  # type: ignore[untyped-decorator]
def _forward(x: Array, sign: Array, pooled: Array, which: Array) -> tuple[Array, Array]:
    # x (patch, y, x, channel); the extreme of every 2 x 2 block, its place, sums of x and x * x
    patches, rows, columns, channels = x.shape
    total, squares = np.zeros(channels), np.zeros(channels)
    part, part2 = np.empty(channels, np.float32), np.empty(channels, np.float32)
    zero = np.float32(0)
    for n in range(patches):
        for i in range(rows // 2):
            part[:] = 0
            part2[:] = 0
            for j in range(columns // 2):
                for c in range(channels):
                    a = max(x[n, 2 * i, 2 * j, c], zero)
                    b = max(x[n, 2 * i, 2 * j + 1, c], zero)
                    d = max(x[n, 2 * i + 1, 2 * j, c], zero)
                    e = max(x[n, 2 * i + 1, 2 * j + 1, c], zero)
                    part[c] += (a + b) + (d + e)
                    part2[c] += (a * a + b * b) + (d * d + e * e)
                    s = sign[c]
                    first = np.uint8(0) if a * s >= b * s else np.uint8(1)
                    top = a if a * s >= b * s else b
                    second = np.uint8(2) if d * s >= e * s else np.uint8(3)
                    low = d if d * s >= e * s else e
                    which[n, i, j, c] = first if top * s >= low * s else second
                    pooled[n, i, j, c] = top if top * s >= low * s else low
            for c in range(channels):
                total[c] += part[c]
                squares[c] += part2[c]
    return total, squares


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})  # type: ignore[untyped-decorator]
def _backward(
    x: Array, which: Array, grad: Array, scale: Array, constant: Array, slope: Array, out: Array
) -> None:
    # out = scale * grad at the chosen pixel, plus constant + slope * relu(x); 0 where x <= 0
    patches, rows, columns, channels = x.shape
    zero = np.float32(0)
    for n in range(patches):
        for i in range(rows):
            k = np.uint8(2 * (i % 2))
            for j in range(columns):
                here = np.uint8(k + j % 2)
                for c in range(channels):
                    v = x[n, i, j, c]
                    g = grad[n, i // 2, j // 2, c] * scale[c]
                    g = g if which[n, i // 2, j // 2, c] == here else zero
                    found = g + constant[c] + slope[c] * v
                    out[n, i, j, c] = found if v > zero else zero


class _NormPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, norm: nn.BatchNorm2d) -> Tensor:
        values = x.detach().permute(0, 2, 3, 1).contiguous()
        patches, rows, columns, channels = values.shape
        pooled = torch.empty(patches, rows // 2, columns // 2, channels)
        which = torch.empty(pooled.shape, dtype=torch.uint8)
        sign = torch.where(weight.detach() >= 0, 1.0, -1.0).float()
        total, squares = _forward(values.numpy(), sign.numpy(), pooled.numpy(), which.numpy())
        count = patches * rows * columns
        mean = total / count
        variance = np.maximum(squares / count - mean * mean, 0)
        _follow(norm, mean, variance, count)
        inverse = torch.from_numpy(1 / np.sqrt(variance + norm.eps)).float()
        middle = torch.from_numpy(mean).float()
        scale = weight.detach() * inverse
        ctx.save_for_backward(values, which, pooled, scale, middle, inverse)
        return (pooled * scale + (bias.detach() - middle * scale)).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        values, which, pooled, scale, middle, inverse = ctx.saved_tensors
        grad = grads[0].permute(0, 2, 3, 1).contiguous()
        bias = grad.sum(dim=(0, 1, 2))
        weight = ((grad * pooled).sum(dim=(0, 1, 2)) - middle * bias) * inverse
        count = values.shape[0] * values.shape[1] * values.shape[2]
        slope = -scale * inverse * weight / count
        constant = -scale * bias / count - slope * middle
        out = torch.empty_like(values)
        arrays = (t.numpy() for t in (values, which, grad, scale, constant, slope, out))
        _backward(*arrays)
        return out.permute(0, 3, 1, 2), weight, bias, None


def _follow(norm: nn.BatchNorm2d, mean: Array, variance: Array, count: int) -> None:
    """Move the running statistics as PyTorch does (variance unbiased)."""
    if norm.running_mean is None or norm.running_var is None or norm.momentum is None:
        raise TypeError("a batch normalisation with running statistics is needed")
    with torch.no_grad():
        norm.running_mean.lerp_(torch.from_numpy(mean).float(), norm.momentum)
        unbiased = variance * (count / max(count - 1, 1))
        norm.running_var.lerp_(torch.from_numpy(unbiased).float(), norm.momentum)
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked += 1


def can_fuse(x: Tensor) -> bool:
    """Whether ``norm_pool`` takes this: on the CPU, of even size, float32."""
    even = x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0
    return x.device.type == "cpu" and x.dtype == torch.float32 and even


def norm_pool(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """Max-pooled (2 x 2) batch normalisation of the ReLU of ``x`` ``(patch, channel, y, x)``.

    With the statistics of the batch, as in training; the running ones are moved.
    """
    found: Tensor = _NormPool.apply(x, norm.weight, norm.bias, norm)  # type: ignore[no-untyped-call]
    return found
