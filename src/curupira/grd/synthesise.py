"""Synthetic GRD scenes: the inverse of the chain, on a true product's metadata.

``DN = round(sqrt((sigma0 A**2 + noise) speckle))``, A and noise from the product's own tables, so
that reading, denoising and calibrating gives sigma0 back. Speckle is a gamma variate of mean 1.
"""

from __future__ import annotations

import re
import shutil
import uuid
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from pydantic import BaseModel, ConfigDict, Field
from rasterio.control import GroundControlPoint
from rasterio.errors import NotGeoreferencedWarning

from curupira.blocks import executor
from curupira.errors import InputError, StoreError
from curupira.grd import fields
from curupira.grd.annotation import Annotation, read_annotation
from curupira.grd.crop import crop_annotation, crop_tables
from curupira.grd.files import MANIFEST, open_files
from curupira.grd.locate import locate
from curupira.grd.lut import gain, noise_power
from curupira.grd.manifest import read_manifest
from curupira.grd.move import move, write_annotation, write_calibration
from curupira.grd.orbit import Orbit
from curupira.grd.product import open_product
from curupira.grd.tables import Calibration, Noise, read_calibration, read_noise

_ROWS = 256


class BorderParams(BaseModel):
    """Wrong pixels around the image, as products before IPF 2.9 have them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: int = Field(0, ge=0, description="Width at the near and far range edge [samples]")
    lines: int = Field(0, ge=0, description="Width along the first and last lines [lines]")
    noise_ratio: float = Field(
        0.05, ge=0, description="Mean DN**2 there, in thermal noise; 0 writes zeros [1]"
    )


class SynthesisParams(BaseModel):
    """How a synthetic scene is drawn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    looks: float | None = Field(
        4.4,
        gt=0,
        description="Equivalent number of looks of the speckle (IW GRDH: 4.4, Sentinel-1 Product "
        "Definition S1-RS-MDA-52-7440); none: no speckle [1]",
    )
    noise: bool = Field(True, description="Add the annotated thermal noise")
    border: BorderParams = BorderParams()
    rows: tuple[int, int] | None = Field(None, description="Cut to these lines, half-open")
    cols: tuple[int, int] | None = Field(None, description="Cut to these samples, half-open")
    latitude: float | None = Field(
        None, gt=-80, lt=80, description="Move the scene's middle here, geodetic [degrees]"
    )
    longitude: float | None = Field(None, ge=-180, le=180, description="With latitude [degrees]")
    seed: int = Field(0, ge=0, description="Same seed, same pixels")


def synthesise(
    template: Path,
    target: Path,
    sigma0: Mapping[str, fields.Field],
    params: SynthesisParams | None = None,
    *,
    workers: int = 1,
) -> Path:
    """Write a SAFE folder with pixels that show a known ground.

    Parameters
    ----------
    template
        A true SAFE folder or zip; its own pixels are not needed.
    target
        The new folder; must not exist.
    sigma0
        Linear sigma0 by polarisation, in lines and samples of the new image
        (``curupira.grd.fields``); these polarisations are written and named in the manifest.
    params
        Speckle, noise, border, part and place.
    workers
        Threads.

    Returns
    -------
    The folder. It appears when it is complete.

    Raises
    ------
    InputError
        If the template lacks a polarisation, or the part or place is not to be had.
    StoreError
        If the target exists or cannot be written.
    """
    params = params or SynthesisParams()
    if target.exists():
        raise StoreError("the folder exists already", where=target, remedy="choose another")
    if (params.latitude is None) != (params.longitude is None):
        raise InputError("latitude and longitude go together")
    product = open_product(template, polarisations=list(sigma0), pixels=False)
    files = open_files(template)
    beside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        for number, (polarisation, field) in enumerate(sigma0.items()):
            names = product.manifest.files[polarisation]
            metadata = {kind: files.read(names[kind]) for kind in _METADATA}
            metadata = _metadata(metadata, product.annotation[polarisation], params)
            scene = _Scene.of(metadata, names, field, params, number)
            scene.save(beside, metadata, names, workers)
        manifest = _manifest(files.read(MANIFEST), list(sigma0), scene.annotation)
        (beside / MANIFEST).write_bytes(manifest)
        beside.replace(target)
    except OSError as error:
        raise StoreError(f"cannot write ({error.strerror})", where=target) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return target


_METADATA = ("annotation", "calibration", "noise")


def _metadata(
    metadata: dict[str, bytes], annotation: Annotation, params: SynthesisParams
) -> dict[str, bytes]:
    if params.rows or params.cols:
        rows = slice(*(params.rows or (0, annotation.lines)))
        cols = slice(*(params.cols or (0, annotation.samples)))
        if not (
            0 <= rows.start <= rows.stop - 2 < annotation.lines - 1
            and 0 <= cols.start <= cols.stop - 2 < annotation.samples - 1
        ):
            raise InputError(
                f"lines {rows.start}:{rows.stop}, samples {cols.start}:{cols.stop} are not in an "
                f"image of {annotation.lines} x {annotation.samples}"
            )
        metadata = {
            "annotation": crop_annotation(metadata["annotation"], annotation, rows, cols),
            "calibration": crop_tables(metadata["calibration"], rows, cols),
            "noise": crop_tables(metadata["noise"], rows, cols),
        }
        annotation = read_annotation(metadata["annotation"], "the part")
    if params.latitude is not None and params.longitude is not None:
        moved = move(annotation, params.latitude, params.longitude)
        metadata = {
            **metadata,
            "annotation": write_annotation(metadata["annotation"], moved),
            "calibration": write_calibration(metadata["calibration"], annotation, moved),
        }
    return metadata


class _Scene:
    """One polarisation and how to draw its pixels."""

    def __init__(
        self,
        annotation: Annotation,
        calibration: Calibration,
        noise: Noise,
        field: fields.Field,
        params: SynthesisParams,
        number: int,
    ) -> None:
        self.annotation = annotation
        self._calibration, self._noise = calibration, noise
        self._field, self._params, self._number = field, params, number

    @classmethod
    def of(
        cls,
        metadata: Mapping[str, bytes],
        names: Mapping[str, str],
        field: fields.Field,
        params: SynthesisParams,
        number: int,
    ) -> _Scene:
        """By its metadata files; ``names`` are those within the product."""
        return cls(
            read_annotation(metadata["annotation"], names["annotation"]),
            read_calibration(metadata["calibration"], names["calibration"]),
            read_noise(metadata["noise"], names["noise"]),
            field,
            params,
            number,
        )

    def save(
        self, folder: Path, metadata: Mapping[str, bytes], names: Mapping[str, str], workers: int
    ) -> None:
        """Write metadata and pixels into a product's folder."""
        for kind, content in metadata.items():
            path = folder / names[kind]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (folder / names["measurement"]).parent.mkdir(exist_ok=True)
        self.write(folder / names["measurement"], workers)

    def counts(self, rows: slice, cols: slice) -> npt.NDArray[np.uint16]:
        """DN of whole lines, uint16 ``(y, x)``."""
        params, border = self._params, self._params.border
        sigma0 = np.asarray(self._field(rows, cols), dtype=np.float32)
        noise = noise_power(self._noise, rows, cols)
        power = sigma0 * gain(self._calibration, rows, cols) ** 2
        if params.noise:
            power += noise
        line = np.arange(rows.start, rows.stop)[:, None]
        sample = np.arange(cols.start, cols.stop)
        outside = (
            (line < border.lines)
            | (line >= self.annotation.lines - border.lines)
            | (sample < border.samples)
            | (sample >= self.annotation.samples - border.samples)
        )
        power = np.where(outside, border.noise_ratio * noise, power)
        if params.looks is not None:
            # Drawn by line block: the same pixels whatever the number of threads.
            seed = np.random.SeedSequence([params.seed, self._number, rows.start])
            draws = np.random.default_rng(seed).standard_gamma(
                params.looks, power.shape, dtype=np.float32
            )
            power *= draws / np.float32(params.looks)
        missing = ~np.isfinite(power) | (outside & (border.noise_ratio == 0))
        counts = np.rint(np.sqrt(np.where(missing, 0, power)))
        return np.where(missing, 0, np.clip(counts, 1, 65535)).astype(np.uint16)

    def write(self, path: Path, workers: int) -> None:
        """Write the measurement as the processor does: uint16 GeoTIFF, a strip a line."""
        a = self.annotation
        grid = a.geolocation
        points = [
            GroundControlPoint(
                row=float(line), col=float(pixel), x=float(x), y=float(y), z=float(z)
            )
            for line, pixel, x, y, z in zip(
                grid.line, grid.pixel, grid.longitude, grid.latitude, grid.height, strict=True
            )
        ]
        blocks = [slice(n, min(n + _ROWS, a.lines)) for n in range(0, a.lines, _ROWS)]
        draw = partial(_draw, self)
        with (
            warnings.catch_warnings(),
            executor(workers=workers) as run,
        ):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(
                path,
                "w",
                driver="GTiff",
                count=1,
                width=a.samples,
                height=a.lines,
                dtype="uint16",
                blockysize=1,
                gcps=points,
                crs="EPSG:4326",
                bigtiff="IF_SAFER",
            ) as target:
                for rows, counts in run(draw, blocks):
                    target.write(
                        counts,
                        1,
                        window=rasterio.windows.Window(0, rows.start, a.samples, counts.shape[0]),
                    )


def _draw(scene: _Scene, rows: slice) -> tuple[slice, npt.NDArray[np.uint16]]:
    return rows, scene.counts(rows, slice(0, scene.annotation.samples))


def _manifest(xml: bytes, polarisations: list[str], annotation: Annotation) -> bytes:
    """The template's manifest with the new footprint, times and polarisations."""
    text = xml.decode("utf-8")
    orbit = Orbit.fit(annotation.state_vectors, annotation.start, annotation.stop)
    last, far = annotation.lines - 1, annotation.samples - 1
    height = float(annotation.geolocation.height.mean())
    place = locate(annotation, orbit, [last, last, 0, 0], [0, far, far, 0], height)
    footprint = " ".join(
        f"{lat:.6f},{lon:.6f}" for lat, lon in zip(place.latitude, place.longitude, strict=True)
    )
    start, stop = (np.datetime_as_string(t, unit="us") for t in (annotation.start, annotation.stop))
    for tag, value in (("coordinates", footprint), ("startTime", start), ("stopTime", stop)):
        text = re.sub(rf"(<\w+:{tag}>)[^<]*(</)", rf"\g<1>{value}\g<2>", text)
    for absent in set(read_manifest(xml, "manifest").polarisations) - set(polarisations):
        text = re.sub(rf"\s*<([\w:]*)transmitterReceiverPolarisation>{absent}</[^>]*>", "", text)
    return text.encode("utf-8")
