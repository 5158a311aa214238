"""A Cloud Optimised GeoTIFF made of blocks as they come, by many threads, each pixel packed once.

GDAL's own driver wants the finished raster and packs it in a second pass, which took longer than
the work on the pixels. Here the thread that made a block packs it, with the part of the first
overview that it covers; the file is put together at the end, overviews first, as GDAL's driver
does. Layout: BigTIFF, tiles, Zstandard (compression 50000), floating-point predictor (TIFF
Technical Note 3); https://gdal.org/en/stable/drivers/raster/cog.html for order and ghost header.
"""

from __future__ import annotations

import os
import struct
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import numpy as np
import numpy.typing as npt
from numba import njit
from numcodecs.zstd import Zstd
from odc.geo.geobox import GeoBox
from rasterio.io import MemoryFile

from curupira.blocks import Window
from curupira.errors import InputError, StoreError

#: Side of a tile. Blocks begin at multiples of twice as many pixels: their halves are tiles too.
TILE: Final = 512
_CODEC: Final = Zstd(level=1)
#: Of the small GeoTIFF that GDAL writes the place from: scale, tie point, matrix, and keys.
_GEO_TAGS: Final = (33550, 33922, 34264, 34735, 34736, 34737)
_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 12: 8, 16: 8}
_GHOST: Final = (
    b"LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n"
    b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n "
)


@dataclass(frozen=True)
class _Level:
    """An overview, or the raster: its size, and where its tiles lie in the spool."""

    shape: tuple[int, int]
    tiles: npt.NDArray[np.int64]  # (rows, columns, 2): offset and bytes, 0 where all is missing


class TiledCog:
    """A raster of one band, float32 or uint8, on a grid; use as a context.

    Parameters
    ----------
    path
        The new file; a spool lies beside it until it is complete.
    grid
        Where the pixels lie.
    dtype
        float32 (overviews are means of what is known) or uint8 (the first of four pixels).
    nodata
        Value that means missing; tiles of nothing else are left out of the file.
    """

    def __init__(self, path: Path, grid: GeoBox, dtype: str, nodata: float) -> None:
        self._path, self._grid = path, grid
        self._dtype, self._nodata = np.dtype(dtype), nodata
        rows, columns = int(grid.shape[0]), int(grid.shape[1])
        self._levels: list[_Level] = []
        scale = 1
        while True:
            shape = -(-rows // scale), -(-columns // scale)
            tiles = np.zeros((-(-shape[0] // TILE), -(-shape[1] // TILE), 2), np.int64)
            self._levels.append(_Level(shape, tiles))
            if max(shape) <= TILE:
                break
            scale *= 2
        # A quarter of the side: small enough to hold, and what all further overviews are made of.
        self._quarter = np.full((-(-rows // 4), -(-columns // 4)), nodata, self._dtype)
        self._lock, self._used = threading.Lock(), 0
        self._spool: BinaryIO | None = None

    def __enter__(self) -> Self:
        try:
            self._spool = tempfile.TemporaryFile(dir=self._path.parent)
        except OSError as error:
            raise self._refused(error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    def put(self, window: Window, values: npt.NDArray[Any]) -> None:
        """Pack a block; safe from many threads at once, each block once.

        Parameters
        ----------
        window
            Begins at multiples of ``2 * TILE`` pixels, and ends at such, or where the grid ends.
        values
            ``(y, x)`` of the window.

        Raises
        ------
        InputError
            If the window does not begin so, or the array is of another shape.
        StoreError
            If the disk refuses.
        """
        if window.y0 % (2 * TILE) or window.x0 % (2 * TILE) or values.shape != window.shape:
            raise InputError(f"{values.shape} values do not fit a raster's blocks at {window}")
        values = np.ascontiguousarray(values, dtype=self._dtype)
        self._pack(0, window.y0, window.x0, values)
        if len(self._levels) == 1:
            return
        half = _halved(values)
        self._pack(1, window.y0 // 2, window.x0 // 2, half)
        if len(self._levels) > 2:
            quarter = _halved(half)
            y, x = window.y0 // 4, window.x0 // 4
            self._quarter[y : y + quarter.shape[0], x : x + quarter.shape[1]] = quarter

    def finish(self) -> None:
        """Write the file.

        Raises
        ------
        StoreError
            If the disk refuses; no file is left.
        """
        values = self._quarter
        for level in range(2, len(self._levels)):
            self._pack(level, 0, 0, values)
            values = _halved(values)
        try:
            with self._path.open("wb") as target:
                self._write(target)
        except OSError as error:
            self._path.unlink(missing_ok=True)
            raise self._refused(error) from error

    def _pack(self, level: int, y0: int, x0: int, values: npt.NDArray[Any]) -> None:
        for y in range(0, values.shape[0], TILE):
            for x in range(0, values.shape[1], TILE):
                part = values[y : y + TILE, x : x + TILE]
                if _missing(part, self._nodata):
                    continue
                if part.shape != (TILE, TILE):
                    whole = np.full((TILE, TILE), self._nodata, self._dtype)
                    whole[: part.shape[0], : part.shape[1]] = part
                    part = whole
                content = _CODEC.encode(
                    _predicted(part) if self._dtype.kind == "f" else np.ascontiguousarray(part)
                )
                at = (y0 + y) // TILE, (x0 + x) // TILE
                self._levels[level].tiles[at] = self._keep(content), len(content)

    def _keep(self, content: bytes) -> int:
        if self._spool is None:
            raise StoreError("the file is not open", where=self._path)
        with self._lock:
            offset = self._used
            self._used += len(content)
        try:
            os.pwrite(self._spool.fileno(), content, offset)
        except OSError as error:
            raise self._refused(error) from error
        return offset

    def _write(self, target: BinaryIO) -> None:
        ghost = b"GDAL_STRUCTURAL_METADATA_SIZE=%06d bytes\n" % len(_GHOST) + _GHOST
        directories = [self._directory(n) for n in range(len(self._levels))]
        places, at = [], 16 + len(ghost)
        at += -at % 8
        for directory in directories:
            places.append(at)
            at += directory.size
        # Data lie behind all directories, of the smallest overview first.
        for level, directory in zip(self._levels[::-1], directories[::-1], strict=True):
            for tile in level.tiles.reshape(-1, 2):
                directory.offsets.append(at + 4 if tile[1] else 0)
                directory.sizes.append(int(tile[1]))
                at += int(tile[1]) + 8 if tile[1] else 0
        target.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, places[0]) + ghost)
        following = [*places[1:], 0]
        for directory, place, after in zip(directories, places, following, strict=True):
            target.seek(place)
            target.write(directory.encoded(place, after))
        spool = -1 if self._spool is None else self._spool.fileno()
        for level in self._levels[::-1]:
            for offset, size in level.tiles.reshape(-1, 2).tolist():
                if size:
                    content = os.pread(spool, size, offset)
                    target.write(struct.pack("<I", size) + content + content[-4:])

    def _directory(self, number: int) -> _Directory:
        level, floating = self._levels[number], self._dtype.kind == "f"
        rows, columns = level.shape
        entries: dict[int, tuple[int, bytes]] = {
            254: (4, struct.pack("<I", 1 if number else 0)),
            256: (4, struct.pack("<I", columns)),
            257: (4, struct.pack("<I", rows)),
            258: (3, struct.pack("<H", 8 * self._dtype.itemsize)),
            259: (3, struct.pack("<H", 50000)),
            262: (3, struct.pack("<H", 1)),
            277: (3, struct.pack("<H", 1)),
            284: (3, struct.pack("<H", 1)),
            317: (3, struct.pack("<H", 3 if floating else 1)),
            322: (3, struct.pack("<H", TILE)),
            323: (3, struct.pack("<H", TILE)),
            339: (3, struct.pack("<H", 3 if floating else 1)),
            42113: (2, f"{self._nodata:g}".encode() + b"\0"),
        }
        if number == 0:
            entries |= _geo_entries(self._grid)
        return _Directory(entries, level.tiles.shape[0] * level.tiles.shape[1])

    def _refused(self, error: OSError) -> StoreError:
        return StoreError(
            f"cannot write ({error.strerror or error})",
            where=self._path,
            remedy="free space, or make the folder writable",
        )


class _Directory:
    """A BigTIFF image file directory; tile offsets and sizes are filled in when they are known."""

    def __init__(self, entries: dict[int, tuple[int, bytes]], tiles: int) -> None:
        self._entries, self._tiles = entries, tiles
        self.offsets: list[int] = []
        self.sizes: list[int] = []

    @property
    def size(self) -> int:
        """Bytes, values that do not fit their entries included; a multiple of 8."""
        contents = [len(v) for _, v in self._entries.values()] + [8 * self._tiles, 4 * self._tiles]
        return 16 + 20 * len(contents) + sum(n + -n % 8 for n in contents if n > 8)

    def encoded(self, place: int, after: int) -> bytes:
        """The directory at ``place``, followed by the one at ``after`` (0: none)."""
        entries = self._entries | {
            324: (16, struct.pack(f"<{self._tiles}Q", *self.offsets)),
            325: (4, struct.pack(f"<{self._tiles}I", *self.sizes)),
        }
        head, tail = struct.pack("<Q", len(entries)), b""
        start = place + 16 + 20 * len(entries)
        for tag, (kind, content) in sorted(entries.items()):
            head += struct.pack("<HHQ", tag, kind, len(content) // _SIZES[kind])
            if len(content) <= 8:
                head += content.ljust(8, b"\0")
            else:
                head += struct.pack("<Q", start + len(tail))
                tail += content.ljust(len(content) + -len(content) % 8, b"\0")
        return head + struct.pack("<Q", after) + tail


def _geo_entries(grid: GeoBox) -> dict[int, tuple[int, bytes]]:
    """The tags that say where a grid lies, as GDAL writes them."""
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            count=1,
            height=1,
            width=1,
            dtype="uint8",
            crs=str(grid.crs),
            transform=grid.affine,
        ) as target:
            target.write(np.zeros((1, 1, 1), np.uint8))
        content = bytes(memory.getbuffer())
    found = {}
    (place,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, place)
    for n in range(count):
        at = place + 2 + 12 * n
        tag, kind, number = struct.unpack_from("<HHI", content, at)
        if tag in _GEO_TAGS:
            size = number * _SIZES[kind]
            start = at + 8 if size <= 4 else struct.unpack_from("<I", content, at + 8)[0]
            found[tag] = kind, content[start : start + size]
    return found


def _missing(part: npt.NDArray[Any], nodata: float) -> bool:
    if np.isnan(nodata):
        # Cheap in the common case: a tile within the scene is known somewhere in its first rows.
        return bool(np.isnan(part[::64]).all() and np.isnan(part).all())
    return bool((part == nodata).all())


def _halved(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The next overview: means of known pixels of 2 x 2, or of codes the first."""
    if values.dtype.kind != "f":
        return np.ascontiguousarray(values[::2, ::2])
    found: npt.NDArray[np.float32] = _means(values)
    return found


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _means(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    rows, columns = values.shape
    out = np.empty(((rows + 1) // 2, (columns + 1) // 2), dtype=np.float32)
    zero, one = np.float32(0), np.float32(1)
    # A column and a row more, of missing pixels, where their number is odd.
    pair = np.full((2, 2 * out.shape[1]), np.nan, dtype=np.float32)
    for y in range(out.shape[0]):
        pair[0, :columns] = values[2 * y]
        if 2 * y + 1 < rows:
            pair[1, :columns] = values[2 * y + 1]
        else:
            pair[1] = np.nan
        for x in range(out.shape[1]):
            total, count = zero, zero
            for r in range(2):
                for c in range(2):
                    value = pair[r, 2 * x + c]
                    known = not np.isnan(value)
                    total += value if known else zero
                    count += one if known else zero
            # Without any: 0 / 0 is NaN.
            out[y, x] = total / count
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _predicted(tile: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Bytes of a row by their weight, the heaviest first, each less the one before it."""
    rows, columns = tile.shape
    out = np.empty((rows, 4 * columns), dtype=np.uint8)
    line = np.empty(4 * columns, dtype=np.uint8)
    for y in range(rows):
        row = tile[y].view(np.uint32)
        for x in range(columns):
            value = row[x]
            line[x] = np.uint8(value >> np.uint32(24))
            line[columns + x] = np.uint8(value >> np.uint32(16))
            line[2 * columns + x] = np.uint8(value >> np.uint32(8))
            line[3 * columns + x] = np.uint8(value)
        out[y, 0] = line[0]
        for x in range(1, 4 * columns):
            out[y, x] = line[x] - line[x - 1]
    return out
