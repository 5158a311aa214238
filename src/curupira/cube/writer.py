"""Writing one scene: a layer of its orbit's arrays, seen by nobody before the commit."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import zarr

from curupira.blocks import Window
from curupira.cube import codec, layout
from curupira.cube.storage import translated
from curupira.errors import InputError


class SceneWriter:
    """Writes the bands of one scene, window by window, from one thread.

    ``snapshot`` is the id of the commit once the ``with`` block of ``Cube.scene_writer`` has ended
    without an error, and empty before.
    """

    def __init__(
        self,
        root: zarr.Group,
        grid_shape: tuple[int, int],
        path: str | Path,
        orbit: int,
        scene_id: str,
        acquired: datetime,
    ) -> None:
        self.snapshot = ""
        self._path = path
        self._grid_shape = grid_shape
        self._group = root.require_group(layout.group_name(orbit))
        self._scene_id = scene_id
        self._scenes = layout.scenes(self._group)
        self._layer = self._claim()
        self._scenes[scene_id] = acquired.astimezone(UTC).isoformat()
        self._group.attrs.update(
            {"scene_ids": list(self._scenes), "acquired": list(self._scenes.values())}
        )

    def write(self, band: str, window: Window, values: npt.NDArray[np.floating]) -> None:
        """Store a band in a window; what was there is replaced, by NaN too.

        Parameters
        ----------
        band
            ``vh``, ``vv``, ...: linear gamma0; ``lia``, ``angle``: degrees.
        window
            Where on the grid. Windows aligned to 512 pixels are written without reading.
        values
            ``(y, x)``, the window's shape; NaN is missing (see ``codec`` for what else is).

        Raises
        ------
        InputError
            If the window is not within the grid, or the values have another shape.
        StoreError
            If the cube cannot be written.
        """
        layout.check_window(window, self._grid_shape, self._scene_id)
        if values.shape != window.shape:
            raise InputError(
                f"values of shape {values.shape} do not fit {window}", where=self._scene_id
            )
        codes = codec.encode_band(band, values)
        with translated(self._path):
            self._array(band)[(self._layer, *window.slices)] = codes

    def _claim(self) -> int:
        arrays = [array for _, array in self._group.arrays()]
        if self._scene_id in self._scenes:
            layer = list(self._scenes).index(self._scene_id)
            for array in arrays:
                array[layer] = 0
        else:
            layer = len(self._scenes)
            for array in arrays:
                array.resize((layer + 1, *self._grid_shape))
        return layer

    def _array(self, band: str) -> layout.ZarrArray:
        found = self._group.get(band)
        if isinstance(found, zarr.Array):
            return found
        return self._group.create_array(
            band,
            shape=(len(self._scenes), *self._grid_shape),
            chunks=(1, layout.CHUNK, layout.CHUNK),
            dtype=np.uint16,
            fill_value=0,
            compressors=layout.COMPRESSORS,
            dimension_names=layout.DIMENSIONS,
            attributes=layout.band_attributes(band),
            config={"write_empty_chunks": False},
        )
