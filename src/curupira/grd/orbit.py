"""The platform's path as one short polynomial, and where it comes from.

Precise orbits (POEORB, about 5 cm, three weeks after the acquisition), restituted ones (RESORB,
about 10 cm, three hours after) and the product's own state vectors. File format: Sentinel-1 IPF
auxiliary products, GMES-S1OP-EOPG-TN-15-0010; name rules: Earth Explorer file format.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from numpy.polynomial import chebyshev

from curupira import logs
from curupira.archives import check_zip
from curupira.cog import write_atomic
from curupira.errors import ConfigError, InputError, SourceError
from curupira.grd.annotation import Annotation, StateVectors
from curupira.grd.xml import Node, parse

_LOG = logs.get(__name__)

Fetch = Callable[[str], bytes]

#: Degree 5 over the scene and a minute on either side leaves 0.1 mm on a smooth orbit
#: (docs/grd.md, Orbits); a higher degree follows the millimetre noise of restituted vectors.
DEGREE: Final = 5
MARGIN: Final = np.timedelta64(60, "s")
#: A file has to cover the scene and this much around it, or the ends of the fit hang free.
COVER: Final = np.timedelta64(10, "s")
KINDS: Final = ("POEORB", "RESORB")
_SECOND: Final = np.timedelta64(1, "s")
_NAME: Final = re.compile(
    r"(S1[A-D])_OPER_AUX_(POEORB|RESORB)_OPOD_(\d{8}T\d{6})_V(\d{8}T\d{6})_(\d{8}T\d{6})\.EOF"
)


@dataclass(frozen=True)
class Orbit:
    """ECEF position as a power series in ``u = (t - epoch) / scale_s``.

    ``position[axis] = sum_k coefficients[axis, k] * u**k`` in metres, ascending powers, so that a
    kernel evaluates it and its derivatives by Horner. Valid from ``start`` to ``stop``.
    ``residual_m`` is the largest distance of a fitted state vector from the curve;
    ``velocity_residual_m_s`` that of the curve's derivative from the annotated velocities, which
    the fit does not use.
    """

    epoch: np.datetime64
    scale_s: float
    coefficients: npt.NDArray[np.float64]
    start: np.datetime64
    stop: np.datetime64
    residual_m: float
    velocity_residual_m_s: float
    source: str = "annotation"
    name: str = ""

    @classmethod
    def fit(
        cls,
        vectors: StateVectors,
        start: np.datetime64,
        stop: np.datetime64,
        *,
        source: str = "annotation",
        name: str = "",
    ) -> Orbit:
        """Least squares through the state vectors around a scene.

        Parameters
        ----------
        vectors
            Earth-fixed state vectors in time order.
        start, stop
            First and last zero-Doppler time of the scene.
        source, name
            What they are from, for the record.

        Raises
        ------
        InputError
            If they do not cover the scene, are fewer than seven, or are no smooth orbit.
        """
        if vectors.times[0] > start or vectors.times[-1] < stop:
            raise InputError(
                f"state vectors of {vectors.times[0]} to {vectors.times[-1]} do not cover the "
                f"scene of {start} to {stop}",
                where=name or source,
                remedy="give the orbit file of the scene's day and platform",
            )
        near = (vectors.times >= start - MARGIN) & (vectors.times <= stop + MARGIN)
        if near.sum() < DEGREE + 2:
            raise InputError(
                f"only {near.sum()} state vectors around the scene", where=name or source
            )
        times, position = vectors.times[near], vectors.position_m[near]
        epoch = start + (stop - start) // 2
        seconds = (times - epoch) / _SECOND
        scale = float(np.abs(seconds).max())
        # Fitted as Chebyshev polynomials, which are well conditioned on [-1, 1].
        series = chebyshev.chebfit(seconds / scale, position, DEGREE)
        power = np.stack([chebyshev.cheb2poly(series[:, axis]) for axis in range(3)]).astype(float)
        orbit = cls(epoch, scale, power, times[0], times[-1], 0.0, 0.0, source, name)
        apart = np.linalg.norm(orbit.position(seconds) - position, axis=-1).max()
        slip = np.linalg.norm(orbit.velocity(seconds) - vectors.velocity_m_s[near], axis=-1).max()
        # A wrong frame, unit or minute shows as metres; the worst true vectors as centimetres.
        if apart > 1.0 or slip > 0.5:
            raise InputError(
                f"the state vectors are no smooth orbit ({apart:.2f} m, {slip:.2f} m/s off)",
                where=name or source,
            )
        return cls(
            epoch, scale, power, times[0], times[-1], float(apart), float(slip), source, name
        )

    def seconds(self, times: npt.NDArray[np.datetime64] | np.datetime64) -> npt.NDArray[np.float64]:
        """Seconds after ``epoch`` of UTC times."""
        return np.asarray((times - self.epoch) / _SECOND, dtype=np.float64)

    def position(self, t_seconds: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """ECEF position (m), ``(..., 3)``, at seconds after ``epoch``."""
        return self._evaluate(self.coefficients, t_seconds)

    def velocity(self, t_seconds: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """ECEF velocity (m/s), ``(..., 3)``, at seconds after ``epoch``."""
        powers = np.arange(1, self.coefficients.shape[1])
        return self._evaluate(self.coefficients[:, 1:] * powers / self.scale_s, t_seconds)

    def _evaluate(
        self, coefficients: npt.NDArray[np.float64], t_seconds: npt.ArrayLike
    ) -> npt.NDArray[np.float64]:
        u = np.asarray(t_seconds, dtype=np.float64) / self.scale_s
        total = np.zeros((*u.shape, 3))
        for column in coefficients.T[::-1]:
            total = total * u[..., None] + column
        return total


@dataclass(frozen=True)
class OrbitFile:
    """One orbit file: what its name promises and what it holds."""

    name: str
    platform: str
    source: str
    vectors: StateVectors


def read_eof(path: Path) -> OrbitFile:
    """Read a POEORB or RESORB file, plain or zipped.

    Raises
    ------
    InputError
        If it is missing, unreadable, no such file, or in another frame or time than Earth-fixed
        UTC.
    """
    try:
        content = _unzipped(path) if path.suffix.lower() == ".zip" else path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the orbit file ({error.strerror})", where=path) from error
    root = parse(content, path)
    header = root.find("Earth_Explorer_Header")
    kind = header.text("Fixed_Header/File_Type").removeprefix("AUX_")
    frame = header.text("Variable_Header/Ref_Frame")
    clock = header.text("Variable_Header/Time_Reference")
    if kind not in KINDS or (frame, clock) != ("EARTH_FIXED", "UTC"):
        raise InputError(
            f"a {kind or 'nameless'} file in {frame}, {clock}",
            where=path,
            remedy="give a POEORB or RESORB file, Earth-fixed and UTC",
        )
    return OrbitFile(
        name=header.text("Fixed_Header/File_Name"),
        platform="S1" + header.text("Fixed_Header/Mission")[-1:],
        source=kind,
        vectors=_vectors(root),
    )


def _unzipped(path: Path) -> bytes:
    names = [name for name in check_zip(path) if name.endswith(".EOF")]
    if len(names) != 1:
        raise InputError(f"{len(names)} orbit files in the archive", where=path)
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(names[0])
    except zipfile.BadZipFile as error:
        raise InputError(f"damaged archive ({error})", where=path) from error


def _vectors(root: Node) -> StateVectors:
    osvs = root.all("Data_Block/List_of_OSVs/OSV")
    return StateVectors(
        times=np.array([o.time("UTC") for o in osvs]),
        position_m=np.array([[o.float(axis) for axis in ("X", "Y", "Z")] for o in osvs]),
        velocity_m_s=np.array([[o.float(axis) for axis in ("VX", "VY", "VZ")] for o in osvs]),
    )


def _covering(names: str, annotation: Annotation, kind: str) -> list[str]:
    # Newest last: a later file of the same hours replaces an earlier one.
    first, last = annotation.start - COVER, annotation.stop + COVER
    found = {
        (match[3], match[0])
        for match in _NAME.finditer(names)
        if match[1] == annotation.platform
        and match[2] == kind
        and _stamp(match[4]) <= first
        and _stamp(match[5]) >= last
    }
    return [name for _, name in sorted(found)]


def _stamp(text: str) -> np.datetime64:
    d, t = text.split("T")
    return np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}T{t[:2]}:{t[2:4]}:{t[4:]}", "ns")


def resolve(
    annotation: Annotation,
    explicit: Path | None = None,
    cache: Path | None = None,
    url: str | None = None,
    *,
    fetch: Fetch | None = None,
) -> Orbit:
    """The best orbit there is for a scene: POEORB, then RESORB, then the annotation.

    Parameters
    ----------
    annotation
        Of the scene; its platform and times choose the file.
    explicit
        This file and no other.
    cache
        Folder of orbit files, looked into first; downloads are kept there.
    url
        Address of a folder listing, with ``{kind}`` (POEORB, RESORB), ``{platform}`` (S1A),
        ``{year}`` and ``{month}``, such as ESA's
        ``https://step.esa.int/auxdata/orbits/Sentinel-1/{kind}/{platform}/{year}/{month}/``.
        The file's name, or name and ``.zip`` as listed, is appended to it.
    fetch
        Bytes at an address; raises SourceError where there are none. Needed with ``url``.

    Returns
    -------
    Orbit
        ``source`` and ``name`` say which one was used.

    Raises
    ------
    InputError
        If the explicit file is of another platform or does not cover the scene, or the annotation's
        own vectors do not.
    ConfigError
        If there is a ``url`` without ``cache`` or ``fetch``.

    Notes
    -----
    A server that fails is no reason to stop: what remains is used, and ``source`` tells.
    """
    if url is not None and (cache is None or fetch is None):
        raise ConfigError("downloads of orbits need a cache folder", where="orbit url")
    if explicit is not None:
        return _from_file(explicit, annotation)
    for kind in KINDS:
        path = _cached(cache, annotation, kind)
        if path is None and url is not None and cache is not None and fetch is not None:
            path = _download(annotation, kind, cache, url, fetch)
        if path is not None:
            return _from_file(path, annotation)
    return Orbit.fit(annotation.state_vectors, annotation.start, annotation.stop)


def _from_file(path: Path, annotation: Annotation) -> Orbit:
    eof = read_eof(path)
    if eof.platform != annotation.platform:
        raise InputError(
            f"orbit file of {eof.platform} for a scene of {annotation.platform}", where=path
        )
    return Orbit.fit(
        eof.vectors, annotation.start, annotation.stop, source=eof.source, name=eof.name
    )


def _cached(cache: Path | None, annotation: Annotation, kind: str) -> Path | None:
    if cache is None or not cache.is_dir():
        return None
    names = {path.name for path in cache.iterdir()}
    for name in reversed(_covering("\n".join(sorted(names)), annotation, kind)):
        return cache / (name if name in names else f"{name}.zip")
    return None


def _folders(annotation: Annotation, kind: str, url: str) -> Iterator[str]:
    # A precise file starts the evening before, which may lie in the month before.
    days = {annotation.start.astype("datetime64[D]") - shift for shift in (0, 1)}
    for month in sorted({str(day.astype("datetime64[M]")) for day in days}, reverse=True):
        year, number = month.split("-")
        yield (
            url.replace("{kind}", kind)
            .replace("{platform}", annotation.platform)
            .replace("{year}", year)
            .replace("{month}", number)
        )


def _download(
    annotation: Annotation, kind: str, cache: Path, url: str, fetch: Fetch
) -> Path | None:
    for folder in _folders(annotation, kind, url):
        try:
            listing = fetch(folder).decode("utf-8", "replace")
            for name in reversed(_covering(listing, annotation, kind)):
                stored = f"{name}.zip" if f"{name}.zip" in listing else name
                write_atomic(cache / stored, fetch(folder + stored))
                if _readable(cache / stored):
                    return cache / stored
        except SourceError as error:
            _LOG.warning("orbit server", error=str(error))
    return None


def _readable(path: Path) -> bool:
    # A login page saved as an orbit must not stay in the cache.
    try:
        read_eof(path)
    except InputError as error:
        path.unlink(missing_ok=True)
        _LOG.warning("orbit download", error=str(error))
        return False
    return True
