"""The whole GRD chain on both products' metadata and over the Amazon: what was put in comes out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from grd_dem import hills, write_dem
from grd_samples import S1A, S1B, scene
from pyproj import Transformer

from curupira.grd import fields
from curupira.grd.locate import locate
from curupira.grd.orbit import resolve
from curupira.grd.product import open_product
from curupira.pipelines.grd import GrdInput, GrdResult, outline, process_grd
from curupira.pipelines.grd_run import GrdParams

SIGMA0 = 0.1
POINTS = ((120.3, 150.7), (280.6, 340.2))
SCENES = [
    pytest.param(S1B, {}, id="s1b-italy"),
    pytest.param(S1A, {"latitude": -6, "longitude": -56}, id="s1a-amazon"),
    pytest.param(S1A, {"rows": (16_400, 16_800), "cols": (25_300, 25_800)}, id="s1a-far-corner"),
]


def processed(safe: Path, out: Path, **params: Any) -> tuple[GrdResult, Any]:
    """Result, and the function that reads its layers."""
    west, south, east, north = outline(open_product(safe, polarisations=["VV"]).first).bounds
    bounds = (west - 0.03, south - 0.03, east + 0.03, north + 0.03)
    dem = write_dem(out.with_suffix(".tif"), bounds, hills)
    given = {"geoid": "none", "resolution_m": 10, "polarisations": ["VV"], **params}
    result = process_grd(
        GrdInput(safe), dem, out, GrdParams.model_validate(given), now=datetime.now(UTC)
    )

    def layer(name: str) -> Any:
        with rasterio.open(result.folder / f"{name}.tif") as source:
            return source.read(1)

    return result, layer


def db(values: Any) -> Any:
    return 10 * np.log10(values)


@pytest.mark.parametrize(("template", "place"), SCENES)
def test_round_trip(template: Path, place: dict[str, Any], tmp_path: Path) -> None:
    targets = [fields.PointTarget(line, sample, 60.0) for line, sample in POINTS]
    ground = fields.with_points(fields.flat(SIGMA0), targets)
    safe = scene(tmp_path / "a.SAFE", template, {"VV": ground}, **place)
    result, layer = processed(safe, tmp_path / "out", radiometry="sigma0")
    power = layer("vv")
    assert abs(np.nanmedian(db(power / SIGMA0))) < 0.05
    assert result.tie_error_px <= 0.01
    annotation = open_product(safe, polarisations=["VV"]).first
    line, sample = np.array(POINTS).T
    there = locate(annotation, resolve(annotation), line, sample, hills)
    to_map = Transformer.from_crs("EPSG:4326", str(result.grid.crs), always_xy=True)
    for x, y in zip(*to_map.transform(there.longitude, there.latitude), strict=True):
        column, row = ~result.grid.affine * (x, y)
        i, j = int(row), int(column)
        part = power[i - 8 : i + 9, j - 8 : j + 9] - SIGMA0
        part = np.where(part > 0.02 * part.max(), part, 0)
        v, u = np.mgrid[i - 8 : i + 9, j - 8 : j + 9] + 0.5
        off = np.hypot((v * part).sum() / part.sum() - row, (u * part).sum() / part.sum() - column)
        assert off < 0.1


def test_speckle_is_filtered_and_the_mean_kept(tmp_path: Path) -> None:
    safe = scene(tmp_path / "a.SAFE", sigma0={"VV": fields.flat(SIGMA0)}, looks=4.4, seed=2)
    spread = {}
    for name in ("none", "lee3", "lee3db"):
        _, layer = processed(
            safe, tmp_path / name, radiometry="sigma0", speckle=name, resolution_m=20
        )
        power = layer("vv")
        power = power[np.isfinite(power)]
        spread[name] = power.std() / power.mean()
        # On dB the mean of logarithms is kept, which lies below the logarithm of the mean: by
        # half the variance, 1 / looks, and there are four times 4.4 of them.
        lost = -10 / np.log(10) / (2 * 4 * 4.4) if name == "lee3db" else 0
        assert db(power.mean() / SIGMA0) == pytest.approx(lost, abs=0.05)
    # 2 x 2 independent pixels of 4.4 looks, further averaged by bilinear sampling.
    assert 0.1 < spread["none"] < 1 / np.sqrt(4 * 4.4)
    assert spread["lee3"] < 0.6 * spread["none"]
    assert spread["lee3db"] < 0.6 * spread["none"]
