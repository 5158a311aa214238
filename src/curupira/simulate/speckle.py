"""Speckle of the ground-range product: correlated, of the right number of looks. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curupira.simulate.fields import Field32, gaussian_field
from curupira.simulate.params import SpeckleWorld, generator


def intensity_texture(
    side: int, looks: tuple[float, ...], psf_sigma_px: float, rng: np.random.Generator
) -> Field32:
    """Intensity speckle of mean 1, ``(side, side)``.

    Weighted sum of the squared moduli of circular complex Gaussian fields, one a look, each
    smoothed by a Gaussian point-spread function (method.md section 4). The equivalent number of
    looks is ``sum(w)**2 / sum(w**2)``: 4.35 for 1, .8, .5, .4, .4.
    """
    total = np.zeros((side, side), dtype=np.float32)
    for weight in looks:
        for _ in range(2):
            part = gaussian_field((side, side), psf_sigma_px, rng)
            total += np.float32(weight / 2) * part * part
    total /= total.mean()
    return total


class SpeckleBank:
    """One large texture from which every tile of every image draws its own patch.

    Drawing ten complex fields for each image would take most of a simulation. Instead a tile of an
    image is a patch at a random place of the bank, in one of eight orientations: within a tile the
    speckle has the exact statistics, across tile borders it is uncorrelated. The patches of two
    dates fall on each other (to 3 pixels, in the same orientation) with a chance of 6e-6.
    """

    def __init__(self, params: SpeckleWorld, seed: int) -> None:
        self._params = params
        self._seed = seed
        texture = intensity_texture(
            params.bank_px,
            params.looks,
            params.psf_sigma_px,
            generator(seed, "speckle", "bank"),
        )
        # Places stay a tile away from the end of the bank, where a patch would meet its seam.
        self._bank = texture
        self._bank.setflags(write=False)

    def rows(
        self, image: int, band: int, shape: tuple[int, int], y0: int, y1: int
    ) -> npt.NDArray[np.float32]:
        """Speckle of the rows ``y0`` to ``y1`` of an image of ``shape``.

        The same for any cut into blocks: it depends on seed, image, band and place alone.
        """
        tile = self._params.tile_px
        tiles_y, tiles_x = (-(-n // tile) for n in shape)
        rng = generator(self._seed, "speckle", image, band)
        places = rng.integers(0, self._params.bank_px - tile, size=(tiles_y, tiles_x, 2))
        turns = rng.integers(0, 8, size=(tiles_y, tiles_x))
        out = np.empty((y1 - y0, shape[1]), dtype=np.float32)
        for ty in range(y0 // tile, -(-y1 // tile)):
            top, bottom = max(ty * tile, y0), min((ty + 1) * tile, y1)
            for tx in range(tiles_x):
                left, right = tx * tile, min((tx + 1) * tile, shape[1])
                by, bx = places[ty, tx]
                patch = _turned(self._bank[by : by + tile, bx : bx + tile], int(turns[ty, tx]))
                out[top - y0 : bottom - y0, left:right] = patch[
                    top - ty * tile : bottom - ty * tile, : right - left
                ]
        return out


def _turned(patch: Field32, turn: int) -> Field32:
    if turn & 1:
        patch = patch[::-1]
    if turn & 2:
        patch = patch[:, ::-1]
    return patch.T if turn & 4 else patch
