"""One Sentinel-1 IW GRDH product, checked before anything is computed, and its pixels."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from curupira.errors import InputError, SourceError
from curupira.grd.annotation import Annotation, read_annotation
from curupira.grd.files import MANIFEST, Fetch, Files, Span, open_files
from curupira.grd.manifest import Manifest, check_supported, read_manifest
from curupira.grd.tables import Calibration, Noise, read_calibration, read_noise, rescaled

#: Pixels of this spacing are GRDH; GRDM has 40 m.
_SPACING_M: Final = 10.0
_AGAIN: Final = "get the product again"
#: Counts (DN) of lines and samples, uint16 ``(y, x)``.
Read = Callable[[slice, slice], npt.NDArray[np.uint16]]
# catch_warnings changes a setting of the whole process.
_OPENING = threading.Lock()


@dataclass(frozen=True)
class Product:
    """An IW GRDH product with its metadata by polarisation.

    Made by ``open_product``; picklable, and safe to read from many threads at once.
    """

    name: str
    manifest: Manifest
    annotation: Mapping[str, Annotation]
    calibration: Mapping[str, Calibration]
    noise: Mapping[str, Noise]
    measurement: Mapping[str, str]
    remote: bool = False
    packed: bool = False
    gdal: Mapping[str, object] = field(default_factory=dict)
    _files: Files | None = field(default=None, repr=False, compare=False)

    @property
    def polarisations(self) -> tuple[str, ...]:
        """The polarisations that were opened."""
        return tuple(self.annotation)

    @property
    def first(self) -> Annotation:
        """Annotation of the first polarisation: geometry and times are the same in all."""
        return next(iter(self.annotation.values()))

    def read(self, polarisation: str, rows: slice, cols: slice) -> npt.NDArray[np.uint16]:
        """Counts (DN) of a block, uint16 ``(y, x)``; 0 is missing.

        Raises
        ------
        InputError
            If the polarisation is not there, the block not within the image, or the file damaged.
        SourceError
            If a server fails.
        """
        with self.opened(polarisation) as read:
            return read(rows, cols)

    @contextmanager
    def opened(self, polarisation: str) -> Iterator[Read]:
        """What reads blocks as ``read`` does, from a file that stays open; of one thread."""
        path, annotation = self._at(polarisation)

        def read(rows: slice, cols: slice) -> npt.NDArray[np.uint16]:
            y0, y1, x0, x1 = rows.start, rows.stop, cols.start, cols.stop
            if not (0 <= y0 < y1 <= annotation.lines and 0 <= x0 < x1 <= annotation.samples):
                raise InputError(
                    f"lines {y0}:{y1}, samples {x0}:{x1} are not in an image of "
                    f"{annotation.lines} x {annotation.samples}",
                    where=self.name,
                )
            counts: npt.NDArray[np.uint16] = dataset.read(
                1, window=Window(x0, y0, x1 - x0, y1 - y0)
            )
            return counts

        try:
            with rasterio.Env(**self.gdal), _open(path) as dataset:
                yield read
        except RasterioError as error:
            raise self._broken(polarisation, error) from error

    def staged(self, folder: Path) -> Product:
        """The same product with its pixels unpacked into a folder, if it lies in an archive.

        Deflate cannot seek: blocks in any order want the plain file. Checksums are verified.

        Raises
        ------
        InputError, SourceError, StoreError
            If the archive is damaged, its server fails, or the folder cannot be written.
        """
        if not self.packed or self._files is None:
            return self
        paths = {}
        for polarisation in self.polarisations:
            name = self.manifest.files[polarisation]["measurement"]
            paths[polarisation] = str(folder / PurePosixPath(name).name)
            self._files.unpack(name, Path(paths[polarisation]))
        plain = replace(self, measurement=paths, packed=False, remote=False, _files=None)
        plain.check_pixels()
        return plain

    def check_pixels(self) -> None:
        """Refuse measurements of another size than annotated, or of which the end is missing.

        Raises
        ------
        InputError, SourceError
            As ``read``.
        """
        for polarisation in self.polarisations:
            path, annotation = self._at(polarisation)
            try:
                with rasterio.Env(**self.gdal), _open(path) as dataset:
                    found = (dataset.height, dataset.width, dataset.dtypes[0])
            except RasterioError as error:
                raise self._broken(polarisation, error) from error
            if found != (annotation.lines, annotation.samples, "uint16"):
                raise InputError(
                    f"the {polarisation} measurement is {found[0]} x {found[1]} {found[2]}, "
                    f"annotated are {annotation.lines} x {annotation.samples} uint16",
                    where=self.name,
                    remedy=_AGAIN,
                )
            if not self.packed:
                # The last line of a cut file is the first to go; in an archive it means
                # unpacking everything, and a cut archive has no directory.
                self.read(
                    polarisation,
                    slice(annotation.lines - 1, annotation.lines),
                    slice(0, annotation.samples),
                )

    def _at(self, polarisation: str) -> tuple[str, Annotation]:
        path = self.measurement.get(polarisation)
        if path is None:
            raise InputError(
                f"no {polarisation} pixels",
                where=self.name,
                remedy=f"it has {', '.join(self.measurement) or 'none'}",
            )
        return path, self.annotation[polarisation]

    def _broken(self, polarisation: str, error: RasterioError) -> InputError | SourceError:
        what = f"the {polarisation} measurement cannot be read ({error.__cause__ or error})"
        if self.remote:
            return SourceError(what, where=self.name, remedy="check address and access")
        return InputError(what, where=self.name, remedy=_AGAIN)


def _open(path: str) -> DatasetReader:
    with _OPENING, warnings.catch_warnings():
        # GRD files carry control points; a re-packed one may have lost them, and needs none.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path)


def open_product(
    href: str | Path,
    *,
    polarisations: Sequence[str] | None = None,
    pixels: bool = True,
    fetch: Fetch | None = None,
    sign: Callable[[str], str] | None = None,
    span: Span | None = None,
    gdal: Mapping[str, object] | None = None,
    measurement: Mapping[str, str] | None = None,
) -> Product:
    """Open a SAFE product and check that it is complete.

    Parameters
    ----------
    href
        A SAFE folder, its ``manifest.safe``, a zip archive, or an http(s) or s3 address; there the
        short file names of the AWS and Azure copies are known as well (``annotation/iw-vv.xml``).
    polarisations
        Only these; all by default.
    pixels
        Whether the measurements are needed; else a product of metadata alone will do.
    fetch
        Bytes at an address, for remote products.
    sign
        Address with access rights for GDAL, for remote pixels.
    span
        Parts of a file at an address, for remote archives.
    gdal
        GDAL's options for remote pixels.
    measurement
        Files of the pixels by polarisation, where they lie apart.

    Raises
    ------
    InputError
        If it is no IW GRDH product, a file is missing or damaged, the archive is unsafe, a
        polarisation is not in it, or its polarisations do not belong together.
    SourceError
        If a server fails.
    """
    files = open_files(href, fetch, sign, span)
    manifest = read_manifest(files.read(MANIFEST), f"{files.place}/{MANIFEST}")
    check_supported(manifest, files.place)
    chosen = tuple(polarisations) if polarisations is not None else manifest.polarisations
    absent = [p for p in chosen if p not in manifest.polarisations]
    if absent or not chosen:
        has = f"it has {', '.join(manifest.polarisations)}"
        raise InputError(f"no polarisation {', '.join(absent)}", where=files.place, remedy=has)
    names = _complete(files, manifest, chosen, pixels)
    apart = measurement or {}
    paths = {p: apart.get(p) or files.gdal(names[p]["measurement"]) for p in chosen if pixels}
    product = replace(_metadata(files, manifest, names), measurement=paths, gdal=dict(gdal or {}))
    _check_consistent(product)
    # Pixels in an archive on a server can be judged when they are here.
    if pixels and not (product.packed and product.remote):
        product.check_pixels()
    return product


def _metadata(files: Files, manifest: Manifest, names: dict[str, dict[str, str]]) -> Product:
    """The product without its pixels."""
    annotation = {
        p: read_annotation(
            files.read(own["annotation"]),
            own["annotation"],
            relative_orbit=manifest.relative_orbit,
            ipf_version=manifest.ipf_version,
        )
        for p, own in names.items()
    }
    calibration = {
        p: read_calibration(files.read(own["calibration"]), own["calibration"])
        for p, own in names.items()
    }
    noise = {p: read_noise(files.read(own["noise"]), own["noise"]) for p, own in names.items()}
    return Product(
        name=PurePosixPath(files.place.replace("\\", "/")).stem,
        manifest=replace(
            manifest, files={p: manifest.files.get(p, {}) | own for p, own in names.items()}
        ),
        annotation=annotation,
        calibration=calibration,
        noise={p: rescaled(n, calibration[p], manifest.ipf_version) for p, n in noise.items()},
        measurement={},
        remote=files.remote,
        packed=files.packed,
        _files=files if files.packed else None,
    )


def _complete(
    files: Files, manifest: Manifest, polarisations: Iterable[str], pixels: bool
) -> dict[str, dict[str, str]]:
    """Names of the files of each polarisation; all missing ones are named at once."""
    found: dict[str, dict[str, str]] = {}
    missing = []
    for p in polarisations:
        for kind in ("annotation", "calibration", "noise", "measurement"):
            if kind == "measurement" and not pixels:
                continue
            name = manifest.files.get(p, {}).get(kind, f"{kind} of {p}")
            names = [name, _short_name(kind, p)]
            if found.get(p, {}).get("annotation") == _short_name("annotation", p):
                names.reverse()
            there = next((n for n in names if files.has(n)), None)
            if there is None:
                missing.append(name)
            else:
                found.setdefault(p, {})[kind] = there
    if missing:
        whole = [p for p in found if len(found[p]) == (4 if pixels else 3)]
        raise InputError(
            f"the product is not complete, missing: {', '.join(missing)}",
            where=files.place,
            remedy=f"{_AGAIN}, or process {', '.join(whole)} alone" if whole else _AGAIN,
        )
    return found


def _short_name(kind: str, polarisation: str) -> str:
    """As the public copies on AWS and Azure name the file."""
    name = f"iw-{polarisation.lower()}"
    return {
        "annotation": f"annotation/{name}.xml",
        "calibration": f"annotation/calibration/calibration-{name}.xml",
        "noise": f"annotation/calibration/noise-{name}.xml",
        "measurement": f"measurement/{name}.tiff",
    }[kind]


def _check_consistent(product: Product) -> None:
    manifest, first = product.manifest, product.first
    if abs(first.range_spacing_m - _SPACING_M) > 1:
        raise InputError(
            f"pixels of {first.range_spacing_m:g} m; only GRDH (10 m) is processed",
            where=product.name,
        )
    for polarisation, a in product.annotation.items():
        said = (a.platform, a.mode, a.product_type, a.polarisation, a.absolute_orbit)
        meant = (
            manifest.platform,
            manifest.mode,
            manifest.product_type,
            polarisation,
            manifest.absolute_orbit,
        )
        same = (a.start, a.lines, a.samples, a.slice_number)
        if said != meant or same != (first.start, first.lines, first.samples, first.slice_number):
            raise InputError(
                f"files of different products are mixed ({polarisation} is of {a.start}, slice "
                f"{a.slice_number}, orbit {a.absolute_orbit})",
                where=product.name,
                remedy=_AGAIN,
            )
