"""The archive of gamma0 images on the monitoring grid (Icechunk on Zarr 3)."""

from curupira.cube.archive import Cube, Expired, Snapshot
from curupira.cube.reader import CubeReader
from curupira.cube.writer import SceneWriter

__all__ = ["Cube", "CubeReader", "Expired", "SceneWriter", "Snapshot"]
