"""Daily precipitation: where it rained too much on the day of an image for it to be believed."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from pydantic import BaseModel, ConfigDict, Field

from curupira.errors import ConfigError, InputError
from curupira.sources.files import open_raster
from curupira.sources.resample import FloatImage, resample

#: GPM IMERG writes 20240131, CHIRPS 2024.01.31.
_DAY = re.compile(r"(?<!\d)(\d{4})[-._]?(\d{2})[-._]?(\d{2})(?!\d)")
_SUFFIXES = (".tif", ".tiff")
#: Longer side of the area, in pixels, where only the presence of values is asked for.
_CHECK_PX = 128


class RainParams(BaseModel):
    """The ``[rain]`` section of ``monitor.toml``: screening of images by a precipitation raster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str = Field(
        "",
        description="Folder of daily precipitation as GeoTIFF, one file a UTC day with the day in "
        "its name, millimetres in band 1 (GPM IMERG, CHIRPS); pixels of detection images "
        'under more than limit_mm on their day count as missing; "" = none',
        json_schema_extra={"place": True},
    )
    limit_mm: float = Field(
        20.0, ge=0, le=1000, description="Precipitation of a day that is tolerated, millimetres"
    )


@dataclass(frozen=True)
class DailyRain:
    """A folder of daily precipitation, listed once. Picklable, for Dask workers."""

    folder: Path
    limit_mm: float

    def of(self, day: date) -> Path:
        """The file of a day.

        Raises
        ------
        ConfigError
            If there is no such folder.
        InputError
            If the folder holds no file of the day, or several.
        """
        found = self._files.get(day, [])
        if len(found) != 1:
            names = ", ".join(p.name for p in found)
            raise InputError(
                f"holds {f'several rasters of {day}: {names}' if found else f'no raster of {day}'}",
                where=self.folder,
                remedy="keep one of them"
                if found
                else 'fetch it and run again, or set [rain] folder = ""',
            )
        return found[0]

    def digest(self, days: Iterable[date], area: GeoBox) -> dict[str, Any]:
        """What decides about images of some days, their files checked against the area.

        Raises
        ------
        InputError
            Beside those of ``of``: if a file cannot be read, has no coordinate reference system,
            or no value over the area.
        """
        files = {day.isoformat(): self._checked(self.of(day), area) for day in days}
        return {"limit_mm": self.limit_mm, "files": files}

    def falls(self, day: date, target: GeoBox) -> npt.NDArray[np.bool_]:
        """Where more than the limit fell on a day, on the pixels of ``target`` ``(y, x)``.

        The raster is interpolated bilinearly, or averaged where it is finer than the target; where
        it holds no value nothing fell, in a block as in all of the area.

        Raises
        ------
        InputError
            Beside those of ``of``: if the file cannot be read, or has no coordinate reference
            system.
        """
        with open_raster(str(self.of(day))) as dataset:
            millimetres = resample(dataset, 1, target, _plain)
        return np.asarray(np.nan_to_num(millimetres) > self.limit_mm)

    @cached_property
    def _files(self) -> dict[date, list[Path]]:
        """Files by day. With thousands of them, looking anew for each block would cost."""
        if not self.folder.is_dir():
            raise ConfigError(
                "is no folder",
                where=f"[rain] folder = {self.folder}",
                remedy='name the folder of the daily rasters, or set it to "" for none',
            )
        found: defaultdict[date, list[Path]] = defaultdict(list)
        for path in sorted(self.folder.iterdir()):
            day = _day_of(path)
            if day is not None:
                found[day].append(path)
        return dict(found)

    def _checked(self, path: Path, area: GeoBox) -> str:
        """Hash of a file that has values over the area."""
        # As coarse as rain is: some thousand pixels, however large the area.
        coarse = area.zoom_to(min(_CHECK_PX, max(area.shape)))
        with open_raster(str(path)) as dataset:
            if np.isnan(resample(dataset, 1, coarse, _plain)).all():
                raise InputError(
                    "holds no value over the monitored area",
                    where=path,
                    remedy="take a raster that covers the area",
                )
        return _sha256(path)


def _plain(values: FloatImage) -> FloatImage:
    """Less than no rain is a mark for a missing value."""
    return np.where(values >= 0, values, np.float32(np.nan))


def _day_of(path: Path) -> date | None:
    named = _DAY.search(path.name) if path.suffix.lower() in _SUFFIXES else None
    try:
        return None if named is None else date(*(int(part) for part in named.groups()))
    except ValueError:
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
