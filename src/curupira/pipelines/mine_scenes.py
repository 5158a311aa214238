"""Images for mining: one file of two bands, two files, a folder, or a STAC item."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pystac
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterWindow

from curupira.blocks import Window
from curupira.errors import ConfigError, InputError
from curupira.mining.composite import at_random, coarsen, composite, evenly
from curupira.mining.params import MiningParams
from curupira.mining.scene import (
    FloatArray,
    RadarScene,
    Radiometry,
    Scale,
    check_grid,
    check_scale,
    decibels,
    remembering,
)
from curupira.pipelines.mine_land import add_land
from curupira.sources.files import open_raster, raster_grid
from curupira.stac import RADIOMETRY_FIELD, SCALE_FIELD, resolve_href
from curupira.stac_read import BAND_FIELD

#: Pixels a side of the sample whose values tell the scale.
_SAMPLE = 512
_DATE = re.compile(r"(?<!\d)(20\d{2})-?(\d{2})-?(\d{2})(?!\d)")
_FORMS = "give a GeoTIFF of two bands, VV.tif,VH.tif, a folder of both, or a STAC item"


@dataclass(frozen=True)
class _Band:
    href: str
    number: int


@dataclass(frozen=True)
class _Files:
    name: str
    vv: _Band
    vh: _Band
    scale: Scale
    radiometry: Radiometry
    day: date | None = None


def open_images(
    texts: Sequence[str],
    scale: Scale,
    params: MiningParams,
    *,
    composites: int = 1,
    radiometry: Radiometry = "gamma0",
    streams: Path | None = None,
    dem: Path | None = None,
) -> list[RadarScene]:
    """What a model looks at: every image by itself, or composites of its number of dates.

    The first composite is of dates evenly over all, the newest among them; the others, up to
    ``composites``, of one date at random out of each part of the time. Pixels that go a whole
    number of times into the model's are averaged (linear power). Streams and heights, where given,
    become bands of every image.

    Raises
    ------
    ConfigError
        If a file does not exist, or two images have one name.
    InputError
        If an image is unusable or has other pixels; if one is sigma0 and another gamma0; if a
        composite is wanted and there are too few dates, or they do not share a grid.
    """
    opened: list[RadarScene] = []
    for text in texts:
        scene = _at_pixel(open_scene(text, scale, radiometry), params.patches.pixel_m)
        check_grid(scene.grid, params.patches.pixel_m, where=text)
        if any(other.name == scene.name for other in opened):
            raise ConfigError(
                f"two scenes are called {scene.name}", where=text, remedy="rename the files"
            )
        if opened and scene.radiometry != opened[0].radiometry:
            raise InputError(
                f"is {scene.radiometry}, {opened[0].name} is {opened[0].radiometry}",
                where=text,
                remedy="give images of one kind",
            )
        opened.append(scene)
    if params.bands.dates > 1:
        opened = _composites(opened, params.bands.dates, composites)
    return [add_land(scene, streams, dem) for scene in opened]


def _composites(scenes: Sequence[RadarScene], dates: int, number: int) -> list[RadarScene]:
    if len(scenes) < dates:
        raise InputError(
            f"{len(scenes)} dates, but the model looks at {dates}",
            where=scenes[0].name if scenes else "scenes",
            remedy="give --scene once for each date of a year, as many as the preset's dates",
        )
    ordered = sorted(scenes, key=lambda scene: scene.day or date.min)
    if number > 1:
        # Every point is cut out of many composites, which share their dates.
        ordered = [remembering(scene) for scene in ordered]
    made = [composite(evenly(ordered, dates))]
    if len(ordered) == dates:
        return made
    rng = np.random.default_rng(0)
    for n in range(2, number + 1):
        drawn = composite(at_random(ordered, dates, rng))
        made.append(replace(drawn, name=f"{drawn.name}_{n}"))
    return made


def _at_pixel(scene: RadarScene, pixel_m: float) -> RadarScene:
    times = pixel_m / abs(scene.grid.affine.a)
    factor = round(times)
    return coarsen(scene, factor) if factor > 1 and abs(times - factor) < 1e-6 else scene


def open_scene(text: str, scale: Scale, radiometry: Radiometry = "gamma0") -> RadarScene:
    """Open an image.

    Parameters
    ----------
    text
        A GeoTIFF whose bands are described VV and VH (or are VV and VH in this order);
        ``VV.tif,VH.tif``; a folder with one ``*vv*.tif`` and one ``*vh*.tif``; or a STAC item with
        the assets vv and vh.
    scale, radiometry
        Of the values. A STAC item says them itself.

    Raises
    ------
    ConfigError
        If there is no such file.
    InputError
        If the image is unusable, its two bands do not share a grid, or its values cannot be on
        that scale.
    """
    found = _bands(text, scale, radiometry)
    name, vv, vh, scale = found.name, found.vv, found.vh, found.scale
    with open_raster(vv.href) as one, open_raster(vh.href) as two:
        grid = raster_grid(one)
        if raster_grid(two) != grid:
            raise InputError("VV and VH do not share a grid", where=name, remedy="warp both alike")
        check_scale(_sample(one, vv.number), _sample(two, vh.number), scale, where=name)
        day = found.day or _tagged_day(one) or _named_day(name)
    read = _reader(vv, vh, scale)
    return RadarScene(name, day, grid, read, radiometry=found.radiometry)


def _bands(text: str, scale: Scale, radiometry: Radiometry) -> _Files:
    if "," in text:
        files = [Path(part.strip()) for part in text.split(",")]
        if len(files) != 2:
            raise ConfigError(f"{len(files)} files for one scene", where=text, remedy=_FORMS)
        return _pair(_present(files[0]), _present(files[1]), scale, radiometry)
    path = _present(Path(text))
    if path.is_dir():
        return _pair(_one_of(path, "vv"), _one_of(path, "vh"), scale, radiometry)
    if path.suffix.lower() in (".json", ".geojson"):
        return _item(path, scale, radiometry)
    vv, vh = _numbers(path)
    return _Files(path.stem, _Band(str(path), vv), _Band(str(path), vh), scale, radiometry)


def _present(path: Path) -> Path:
    if not path.exists():
        raise ConfigError("no such file", where=path, remedy=_FORMS)
    return path


def _pair(vv: Path, vh: Path, scale: Scale, radiometry: Radiometry) -> _Files:
    name = re.sub(r"[-_.]?vv[-_.]?", "_", vv.stem, flags=re.IGNORECASE).strip("_") or vv.parent.name
    return _Files(name, _Band(str(vv), 1), _Band(str(vh), 1), scale, radiometry)


def _one_of(folder: Path, band: str) -> Path:
    found = [
        p
        for p in sorted(folder.iterdir())
        if p.suffix.lower() in (".tif", ".tiff") and band in p.stem.lower()
    ]
    if len(found) != 1:
        raise InputError(
            f"{len(found)} files *{band}*.tif, one is needed", where=folder, remedy=_FORMS
        )
    return found[0]


def _numbers(path: Path) -> tuple[int, int]:
    with open_raster(str(path)) as dataset:
        if dataset.count < 2:
            raise InputError("has one band, VV and VH are needed", where=path, remedy=_FORMS)
        words = [(text or "").lower() for text in dataset.descriptions]
    numbers = [next((n for n, w in enumerate(words, 1) if b in w), None) for b in ("vv", "vh")]
    if numbers == [None, None]:
        return 1, 2
    if numbers[0] is None or numbers[1] is None or numbers[0] == numbers[1]:
        raise InputError(
            f"its bands are described {words}: VV and VH cannot be told", where=path, remedy=_FORMS
        )
    return numbers[0], numbers[1]


def _item(path: Path, scale: Scale, radiometry: Radiometry) -> _Files:
    try:
        item = pystac.Item.from_file(str(path))
    except (ValueError, KeyError, TypeError, pystac.STACError) as error:
        raise InputError(f"is no STAC item ({error})", where=path, remedy=_FORMS) from error
    found = []
    for key in ("vv", "vh"):
        asset = item.assets.get(key) or item.assets.get(key.upper())
        if asset is None:
            raise InputError(f"the item has no asset {key}", where=path, remedy=_FORMS)
        href = resolve_href(asset.href, str(path))
        found.append(_Band(href, int(asset.extra_fields.get(BAND_FIELD, 1))))
    said = item.properties.get(SCALE_FIELD, scale)
    known: Scale = "linear" if said == "linear" else "db"
    holds = check_radiometry(item.properties.get(RADIOMETRY_FIELD, radiometry), where=str(path))
    day = item.datetime.date() if item.datetime else None
    return _Files(item.id, found[0], found[1], known, holds, day)


def check_radiometry(said: object, *, where: str) -> Radiometry:
    """What a document says that its images hold, if it is known.

    Raises
    ------
    InputError
        If it is neither gamma0 nor sigma0.
    """
    if said == "gamma0":
        return "gamma0"
    if said == "sigma0":
        return "sigma0"
    raise InputError(f"holds {said!r}", where=where, remedy="give gamma0 or sigma0")


def _tagged_day(dataset: DatasetReader) -> date | None:
    text = dataset.tags().get("acquired") or dataset.tags().get("TIFFTAG_DATETIME", "")
    return _named_day(text.replace(":", "-"))


def _named_day(text: str) -> date | None:
    for year, month, day in _DATE.findall(text):
        try:
            return date(int(year), int(month), int(day))
        except ValueError:
            continue
    return None


def _sample(dataset: DatasetReader, number: int) -> FloatArray:
    shape = (min(dataset.height, _SAMPLE), min(dataset.width, _SAMPLE))
    # Nearest: a mean over dB and border zeros would be neither.
    raw = dataset.read(number, out_shape=shape, resampling=Resampling.nearest, masked=True)
    return _missing(np.ma.filled(raw.astype(np.float32), np.nan))


def _missing(values: FloatArray) -> FloatArray:
    # Exact zeros are the border of GRD images and the filling of many programs.
    return np.where(values == 0, np.nan, values).astype(np.float32)


def _reader(
    vv: _Band, vh: _Band, scale: Scale
) -> Callable[[Window], tuple[FloatArray, FloatArray]]:
    def read(window: Window) -> tuple[FloatArray, FloatArray]:
        rows, columns = window.shape
        place = RasterWindow(window.x0, window.y0, columns, rows)
        found = []
        for band in (vv, vh):
            with open_raster(band.href) as dataset:
                raw = dataset.read(band.number, window=place, masked=True)
            values = _missing(np.ma.filled(raw.astype(np.float32), np.nan))
            found.append(decibels(values, scale))
        return found[0], found[1]

    return read
