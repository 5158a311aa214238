"""The flagged pixels of one acquisition, sparse: a scene has many pixels and few flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from curupira.blocks import Window
from curupira.codes import NOT_OBSERVED
from curupira.errors import InputError

IntArray = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.float32]

_DTYPES: dict[str, npt.DTypeLike] = {
    "row": np.int32,
    "col": np.int32,
    "n_alerts": np.uint8,
    "first_flag_days": np.int32,
    "last_flag_days": np.int32,
    "excess_db": np.float32,
    "threshold_db": np.float32,
    "distance_m": np.float32,
    "confidence": np.float32,
}


@dataclass(frozen=True, eq=False)
class AlertPixels:
    """Pixels with at least one flag, in any order; every array has the shape (n,).

    ``row`` and ``col`` count from the grid's upper left. Flag days are since 2020-01-01.
    ``distance_m`` may be NaN (no deforestation layer). Arrays are cast to the types of the class.

    Raises
    ------
    InputError
        If the arrays differ in length.
    """

    row: IntArray
    col: IntArray
    n_alerts: npt.NDArray[np.uint8]
    first_flag_days: IntArray
    last_flag_days: IntArray
    excess_db: FloatArray
    threshold_db: FloatArray
    distance_m: FloatArray
    confidence: FloatArray

    def __post_init__(self) -> None:
        shape = np.shape(self.row)
        for name, dtype in _DTYPES.items():
            values = np.asarray(getattr(self, name)).astype(dtype, copy=False)
            if values.shape != shape or values.ndim != 1:
                raise InputError(
                    f"{name} has the shape {values.shape}, row has {shape}",
                    where="alert pixels",
                    remedy="give one value a pixel in every array",
                )
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        """Count the pixels."""
        return int(self.row.size)

    @classmethod
    def concatenate(cls, parts: Sequence[AlertPixels]) -> AlertPixels:
        """All pixels of several blocks; none for no parts."""
        return cls(
            **{
                name: np.concatenate([np.empty(0, dtype), *(getattr(p, name) for p in parts)])
                for name, dtype in _DTYPES.items()
            }
        )

    @classmethod
    def from_block(
        cls,
        window: Window,
        n_alerts: npt.NDArray[np.uint8],
        first_flag_days: IntArray,
        last_flag_days: IntArray,
        excess_db: FloatArray,
        threshold_db: FloatArray,
        confidence: FloatArray,
        *,
        distance_m: FloatArray | None = None,
    ) -> AlertPixels:
        """Pick the flagged pixels of one block of layers.

        Parameters
        ----------
        window
            Where the block lies on the grid.
        n_alerts
            Flags per pixel, shape (y, x); 0 and 255 (not observed) are left out.
        first_flag_days, last_flag_days, excess_db, threshold_db, confidence, distance_m
            Shape (y, x); without ``distance_m`` it is NaN.
        """
        flagged = (n_alerts > 0) & (n_alerts != NOT_OBSERVED)
        row, col = np.nonzero(flagged)
        count = row.size
        return cls(
            row=(row + window.y0).astype(np.int32),
            col=(col + window.x0).astype(np.int32),
            n_alerts=n_alerts[flagged],
            first_flag_days=first_flag_days[flagged],
            last_flag_days=last_flag_days[flagged],
            excess_db=excess_db[flagged],
            threshold_db=threshold_db[flagged],
            distance_m=(
                np.full(count, np.nan, np.float32) if distance_m is None else distance_m[flagged]
            ),
            confidence=confidence[flagged],
        )

    def take(self, index: npt.NDArray[np.intp]) -> AlertPixels:
        """The pixels at these positions."""
        return AlertPixels(**{f.name: getattr(self, f.name)[index] for f in fields(self)})
