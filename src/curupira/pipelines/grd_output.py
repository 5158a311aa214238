"""What `curupira grd` writes: layers block by block, then COGs and a STAC item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pystac
from odc.geo.geobox import GeoBox

from curupira import __version__
from curupira.blocks import executor
from curupira.cog_tiles import TiledCog
from curupira.errors import StoreError
from curupira.grd.block import Block
from curupira.grd.incidence import Flag
from curupira.records import Asset, Scene
from curupira.stac import scene_item, write_catalogue
from curupira.units import attribution

#: Layers beside the polarisations.
LAYERS: Final = ("lia", "angle", "mask")
_WORDS: Final = {
    "lia": "Local incidence angle: between the surface normal and the line of sight",
    "angle": "Incidence angle on the ellipsoid",
    "mask": "Sum of 1 layover, 2 shadow, 4 no height in the DEM; 255 outside the scene",
}
_EXTENSIONS: Final = (
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
)
#: Of float32's 23 bits of fraction 14 are kept: 0.0001 dB, and files a third smaller.
_DROPPED_BITS: Final = 9


class Layers:
    """COGs on the grid, made block by block; use as a context."""

    def __init__(self, folder: Path, grid: GeoBox, polarisations: Sequence[str]) -> None:
        self._folder, self._stack = folder, ExitStack()
        self._files = {
            name: TiledCog(
                folder / f"{name}.tif",
                grid,
                "uint8" if name == "mask" else "float32",
                int(Flag.OUTSIDE) if name == "mask" else np.nan,
            )
            for name in (*polarisations, *LAYERS)
        }

    def __enter__(self) -> Self:
        for file in self._files.values():
            self._stack.enter_context(file)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def put(self, block: Block, *, angles: bool) -> None:
        """Pack a block: backscatter, and with ``angles`` the other layers. Safe from many threads.

        Raises
        ------
        StoreError
            If the disk refuses.
        """
        for name, values in block.power.items():
            self._files[name.lower()].put(block.window, _rounded(values))
        if angles:
            for name, layer in (("lia", block.lia), ("angle", block.angle), ("mask", block.mask)):
                self._files[name].put(block.window, layer)

    def finish(self, threads: int) -> None:
        """Write the files.

        Raises
        ------
        StoreError
            If the disk refuses.
        """
        with executor(workers=threads) as run:
            for _ in run(TiledCog.finish, self._files.values()):
                pass


def _rounded(power: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    # NaN's bits stay NaN's: its first bit of fraction is set, and rounding does not reach it.
    half, keep = np.uint32(1 << (_DROPPED_BITS - 1)), np.uint32(-1 << _DROPPED_BITS & 0xFFFFFFFF)
    bits = np.ascontiguousarray(power).view(np.uint32)
    return ((bits + half) & keep).view(np.float32)


def write_item(
    out: Path,
    scene: Scene,
    assets: Mapping[str, Asset],
    grid: GeoBox,
    radiometry: str,
    provenance: Mapping[str, str],
) -> Path:
    """Add the scene's item to the folder's catalogue; return the item's path.

    Raises
    ------
    StoreError, InputError
        From writing the catalogue.
    """
    kind = "sigma0" if radiometry == "sigma0" else "gamma0"
    bands = {name: asset for name, asset in assets.items() if name != "mask"}
    item = scene_item(replace(scene, assets=bands), grid, radiometry=kind)
    item.properties["sar:polarizations"] = [name.upper() for name in assets if name not in LAYERS]
    item.stac_extensions.extend(_EXTENSIONS)
    item.properties |= {
        "processing:software": {"curupira": __version__},
        "processing:level": "L2",
        "processing:lineage": "; ".join(f"{k}: {v}" for k, v in provenance.items()),
        "curupira:grd": dict(provenance),
        "license": "proprietary",
        "copyright": attribution([scene.acquired.year]),
    }
    if "mask" in assets:
        item.add_asset(
            "mask",
            pystac.Asset(assets["mask"].href, media_type=pystac.MediaType.COG, roles=["data-mask"]),
        )
    for name, asset in item.assets.items():
        asset.media_type = pystac.MediaType.COG
        asset.title = _WORDS.get(name, f"{provenance['radiometry']} {name.upper()}, linear power")
        asset.extra_fields["raster:bands"] = [_band(name, grid)]
    write_catalogue(
        out,
        [item],
        catalogue_id=out.name or "grd",
        description="Sentinel-1 backscatter by `curupira grd`",
    )
    return out / "items" / f"{scene.scene_id}.json"


def _band(name: str, grid: GeoBox) -> dict[str, Any]:
    mask = name == "mask"
    return {
        "data_type": "uint8" if mask else "float32",
        "nodata": int(Flag.OUTSIDE) if mask else "nan",
        "spatial_resolution": abs(float(grid.affine.a)),
        **({} if mask else {"unit": "deg" if name in LAYERS else "1"}),
    }


def publish(
    work: Path,
    out: Path,
    scene: Scene,
    grid: GeoBox,
    radiometry: str,
    provenance: Mapping[str, str],
) -> tuple[Path, Path]:
    """Move a run's finished layers to their place, and then add the item to the catalogue.

    After any failure an earlier result stands again.

    Parameters
    ----------
    work
        Folder within ``out`` with the layers; it is empty afterwards but for an earlier result.
    out
        Gets ``<scene>/*.tif`` and the catalogue.
    scene, grid, radiometry, provenance
        See ``write_item``.

    Returns
    -------
    The scene's folder, and the item's path.

    Raises
    ------
    StoreError
        If the disk refuses.
    InputError
        If the folder has another ``catalog.json``.
    """
    folder, fresh, old = out / scene.scene_id, work / "fresh", work / "old"
    try:
        fresh.mkdir()
        for path in work.glob("*.tif"):
            path.rename(fresh / path.name)
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
        assets = {path.stem: Asset(str(path.resolve())) for path in sorted(folder.glob("*.tif"))}
        return folder, write_item(out, scene, assets, grid, radiometry, provenance)
    except BaseException as error:
        if not fresh.exists() and folder.exists():
            folder.rename(fresh)
        if old.exists():
            old.rename(folder)
        if isinstance(error, OSError):
            raise StoreError(f"cannot write ({error.strerror})", where=folder) from error
        raise
