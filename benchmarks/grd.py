"""A GRD product to geocoded backscatter: `curupira grd` beside sarsen, and a whole product alone.

Run: python benchmarks/grd.py compare [--size 2240]     needs sarsen and xarray-sentinel
     python benchmarks/grd.py full [--work DIR]         needs both, and 4 GB of disk

``compare``: one polarisation of a part of the Rome product (true metadata, synthetic pixels) on a
10 m grid with hills, by both, each in a process of its own on the same cores; then their outputs
against one another. sarsen takes no thermal noise off, knows no bistatic shift and writes beta0:
ours is told to do the same. ``full``: a whole product, all polarisations, to 20 m gamma0_rtc and to
20 m gamma0, with angles and mask; sarsen on 5 M pixels in the middle of the same product, with and
without terrain flattening, one polarisation. DIR keeps the synthetic product for another time.

CPU time stands beside wall time: on a machine that others use, only the former means something.
Rates count pixels of the grid that lie in the image; "values" are pixels times polarisations, of
which sarsen makes one a pixel.
Results go to benchmarks/results/grd.json, by step.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from curupira.grd import fields
from curupira.grd.locate import locate
from curupira.grd.orbit import resolve
from curupira.grd.product import open_product
from curupira.grd.synthesise import SynthesisParams, synthesise
from curupira.grid import make_grid
from curupira.pipelines.grd import outline

RESULT = Path(__file__).parent / "results" / "grd.json"
SAMPLES = Path(__file__).parents[1] / "samples" / "grd"
CRS = {"S1A": "EPSG:32736", "S1B": "EPSG:32633"}
#: First line and sample of the part, in the middle of the swath.
CORNER = (7000, 11_000)
#: Side of the part on which sarsen's terrain flattening is timed and compared, pixels.
RTC = 600
#: Squares over which radiometry is compared, pixels.
SQUARE = 16


def hills(x: Any, y: Any) -> Any:
    """Ellipsoidal height (m): waves of 3 to 4 km, slopes up to 14 degrees."""
    return 300 + 90 * np.sin(2 * np.pi * x / 3100) * np.cos(2 * np.pi * y / 4100)


def dem_file(path: Path, grid: GeoBox) -> Path:
    """The hills on a grid."""
    rows, columns = grid.shape
    profile = {"driver": "GTiff", "height": rows, "width": columns, "count": 1, "dtype": "float32"}
    with rasterio.open(path, "w", crs=str(grid.crs), transform=grid.affine, **profile) as target:
        a, _, c, _, e, f = tuple(grid.affine)[:6]
        x = c + a * (np.arange(columns) + 0.5)
        y = f + e * (np.arange(rows) + 0.5)
        target.write(hills(x[None, :], y[:, None]).astype(np.float32), 1)
    return path


def step_sarsen(given: dict[str, Any]) -> dict[str, Any]:
    """Sarsen's terrain correction."""
    from sarsen import apps, sentinel1

    started = time.perf_counter(), _cpu()
    product = sentinel1.Sentinel1SarProduct(given["safe"], "IW/VV")
    apps.terrain_correction(product, given["dem"], output_urlpath=given["out"], **given["options"])
    return _spent(started)


def step_ours(given: dict[str, Any]) -> dict[str, Any]:
    """Ours, from the SAFE folder to COGs, angles, mask and the item."""
    from curupira.pipelines.grd import GrdInput, process_grd
    from curupira.pipelines.grd_run import GrdParams

    grid = None
    if given["on_dem"]:
        with rasterio.open(given["dem"]) as source:
            grid = GeoBox(source.shape, source.transform, str(source.crs))
    started = time.perf_counter(), _cpu()
    result = process_grd(
        GrdInput(given["safe"]),
        given["dem"],
        Path(given["out"]),
        GrdParams.model_validate({"geoid": "none", **given["params"]}),
        now=datetime.now(UTC),
        grid=grid,
        threads=2,
    )
    stages = {name: round(value, 1) for name, value in result.seconds.items()}
    shape = [int(n) for n in result.grid.shape]
    return _spent(started) | {
        "stages_s": stages,
        "shape": shape,
        "folder": str(result.folder),
        "tie_error_px": round(result.tie_error_px, 5),
    }


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _spent(started: tuple[float, float]) -> dict[str, Any]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "wall_s": round(time.perf_counter() - started[0], 2),
        "cpu_s": round(_cpu() - started[1], 2),
        "peak_gb": round(peak / 1e6, 2),
    }


def apart(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """A step in a process of its own."""
    command = [sys.executable, __file__, "step", name, json.dumps(given)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(name, found, flush=True)
    return found


def compare(size: int, work: Path) -> dict[str, Any]:
    """Both on one part of a product."""
    margin = size // 4
    rows = CORNER[0], CORNER[0] + size + 2 * margin
    cols = CORNER[1], CORNER[1] + size + 2 * margin
    height, width = rows[1] - rows[0], cols[1] - cols[0]
    steps = np.linspace(0.35, 0.65, 6)
    points = [(height * v + 0.3, width * u + 0.7) for v in steps for u in steps]
    ground = fields.with_points(
        fields.ramp(-14, -6, width), [fields.PointTarget(v, u, 80.0) for v, u in points]
    )
    (template,) = SAMPLES.glob("S1B_IW_*.zip")
    safe = synthesise(
        template,
        work / f"{template.stem}.SAFE",
        {"VV": ground},
        SynthesisParams(looks=None, rows=rows, cols=cols),
        workers=2,
    )
    annotation = open_product(safe).first
    to_map = Transformer.from_crs("EPSG:4326", CRS["S1B"], always_xy=True)

    def terrain(lon: Any, lat: Any) -> Any:
        return hills(*to_map.transform(lon, lat))

    at = np.array([(height / 2, width / 2), *points]).T
    place = locate(annotation, resolve(annotation), *at, terrain, bistatic=False)
    x, y = to_map.transform(place.longitude, place.latitude)
    affine = Affine(
        10, 0, round(x[0] / 10) * 10 - 5 * size, 0, -10, round(y[0] / 10) * 10 + 5 * size
    )
    grid = GeoBox((size, size), affine, CRS["S1B"])
    dem = dem_file(work / "dem.tif", grid)
    small = (size - RTC) // 2
    middle = grid[small : small + RTC, small : small + RTC]
    dem_small = dem_file(work / "dem_small.tif", middle)
    like = {"denoise": False, "border": False, "bistatic": False, "resolution_m": 10}
    ours = {"safe": str(safe), "dem": str(dem), "on_dem": True, "out": str(work / "ours")}
    theirs = {"safe": str(safe), "dem": str(dem), "out": str(work / "gtc.tif")}
    linear = {"interp_method": "linear"}
    flat = like | {"radiometry": "sigma0"}
    apart("ours", ours | {"params": flat, "dem": str(dem_small)})  # compiles
    report: dict[str, Any] = {
        "pixels": size * size,
        "ours": apart("ours", ours | {"params": flat}),
        "sarsen": apart("sarsen", theirs | {"options": linear}),
        "ours_rtc": apart(
            "ours", ours | {"params": like | {"radiometry": "gamma0_rtc"}, "out": str(work / "rtc")}
        ),
    }
    rtc = linear | {"correct_radiometry": "gamma_bilinear"}
    report["sarsen_rtc"] = apart(
        "sarsen", theirs | {"options": rtc, "dem": str(dem_small), "out": str(work / "srtc.tif")}
    )
    for kind in ("cpu_s", "wall_s"):
        report[f"times_sarsen_{kind}"] = round(report["sarsen"][kind] / report["ours"][kind], 1)
        ratio = (report["sarsen_rtc"][kind] / RTC**2) / (report["ours_rtc"][kind] / size**2)
        report[f"times_sarsen_rtc_{kind}"] = round(ratio, 1)
    columns, lines = ~affine * (x[1:], y[1:])
    report |= agreement(Path(report["ours"]["folder"]), work / "gtc.tif", lines, columns)
    mine = read(Path(report["ours_rtc"]["folder"]) / "vv.tif")[small:-small, small:-small]
    report["rtc_difference_db"] = spread(squares(mine, read(work / "srtc.tif")))
    for name in ("ours", "ours_rtc"):
        del report[name]["folder"]
    return report


def read(path: Path) -> Any:
    """First band, north up (sarsen writes south up)."""
    with rasterio.open(path) as source:
        values = source.read(1)
        return values[::-1] if source.transform.e > 0 else values


def agreement(folder: Path, gtc: Path, lines: Any, columns: Any) -> dict[str, Any]:
    """Positions of the bright points and backscatter, ours and sarsen's."""
    angle = np.radians(read(folder / "angle.tif"))
    mine, theirs = read(folder / "vv.tif") / np.sin(angle), read(gtc)
    truth = np.array([lines - 0.5, columns - 0.5]).T
    found = np.array([[centroid(image, *p) for p in truth] for image in (mine, theirs)])
    off = {
        "ours_truth": found[0] - truth,
        "sarsen_truth": found[1] - truth,
        "ours_sarsen": found[0] - found[1],
    }
    return {
        "position_px": {
            name: {"median": round(float(np.median(d)), 4), "worst": round(float(d.max()), 4)}
            for name, d in ((n, np.hypot(*v.T)) for n, v in off.items())
        },
        "beta0_difference_db": spread(squares(mine, theirs)),
    }


def centroid(image: Any, line: float, column: float) -> tuple[float, float]:
    """Centre of the power above its surroundings within four pixels."""
    i, j = round(line), round(column)
    part = image[i - 4 : i + 5, j - 4 : j + 5].astype(float)
    part = part - np.median(part)
    part[part < 0.02 * part.max()] = 0
    v, u = np.mgrid[i - 4 : i + 5, j - 4 : j + 5]
    return float((v * part).sum() / part.sum()), float((u * part).sum() / part.sum())


def squares(mine: Any, theirs: Any) -> Any:
    """Differences (dB) of mean powers over squares, without the outermost."""
    rows, columns = (n // SQUARE for n in mine.shape)
    means = [
        v[: rows * SQUARE, : columns * SQUARE].reshape(rows, SQUARE, columns, SQUARE).mean((1, 3))
        for v in (mine, theirs)
    ]
    return (10 * np.log10(means[0] / means[1]))[3:-3, 3:-3]


def spread(apart_db: Any) -> dict[str, float]:
    """Median, and what 95 % of the differences are below."""
    known = apart_db[np.isfinite(apart_db)]
    return {
        "median": round(float(np.median(known)), 4),
        "p95": round(float(np.percentile(np.abs(known), 95)), 4),
    }


def whole_product(template_name: str, work: Path) -> tuple[Path, Path]:
    """A whole product with speckle and a DEM of 60 m around it, made if they are not there."""
    (template,) = SAMPLES.glob(f"{template_name}_IW_*.zip")
    first = open_product(template, pixels=False)
    safe, dem = work / f"{template.stem}.SAFE", work / "dem.tif"
    if not safe.exists():
        field = fields.ramp(-14, -6, first.first.samples)
        sigma0 = dict.fromkeys(first.polarisations, field)
        synthesise(template, safe, sigma0, SynthesisParams(), workers=2)
        cover = make_grid(outline(first.first).buffer(0.05), 60.0, CRS[template_name])
        dem_file(dem, cover)
    return safe, dem


def full(template_name: str, size: int, work: Path) -> dict[str, Any]:
    """A whole product, all of its polarisations, beside sarsen on a part of it."""
    safe, dem = whole_product(template_name, work)
    with rasterio.open(dem) as source:
        x, y = (
            round(v / 20) * 20 for v in source.transform * (source.width / 2, source.height / 2)
        )
    corner = Affine(20, 0, x - 10 * size, 0, -20, y + 10 * size)
    middle = GeoBox((size, size), corner, CRS[template_name])
    part = dem_file(work / "dem_part.tif", middle)
    tiny = dem_file(work / "dem_tiny.tif", middle[:200, :200])
    ours = {"safe": str(safe), "dem": str(dem), "on_dem": False, "out": str(work / "out")}
    theirs = {"safe": str(safe), "dem": str(part), "out": str(work / "theirs.tif")}
    linear = {"interp_method": "linear"}
    flattened = linear | {"correct_radiometry": "gamma_bilinear"}
    for name in ("gamma0_rtc", "gamma0"):  # compiles
        small = {"dem": str(tiny), "on_dem": True, "params": {"radiometry": name}}
        apart("ours", ours | small)
    product = open_product(safe)
    report: dict[str, Any] = {
        "polarisations": list(product.polarisations),
        "counts": [product.first.lines, product.first.samples],
        "sarsen_pixels": size * size,
    }
    for name, options in (("gamma0_rtc", flattened), ("gamma0", linear)):
        mine = apart("ours", ours | {"params": {"radiometry": name}})
        other = apart("sarsen", theirs | {"options": options})
        with rasterio.open(Path(mine.pop("folder")) / "mask.tif") as source:
            mine["pixels_in_image"] = int((source.read(1) != 255).sum())
        found: dict[str, Any] = {"ours": mine, "sarsen": other}
        for kind in ("wall_s", "cpu_s"):
            rate = mine["pixels_in_image"] / mine[kind], size * size / other[kind]
            found[f"mpx_per_{kind}"] = [round(v / 1e6, 3) for v in rate]
            found[f"times_sarsen_{kind}"] = {
                "pixels": round(rate[0] / rate[1], 1),
                "values": round(len(product.polarisations) * rate[0] / rate[1], 1),
            }
        report[name] = found
    return report


def main() -> None:
    """Run what is asked for."""
    if sys.argv[1:2] == ["step"]:
        steps = {"sarsen": step_sarsen, "ours": step_ours}
        print(json.dumps(steps[sys.argv[2]](json.loads(sys.argv[3]))))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["compare", "full"])
    parser.add_argument("--size", type=int, default=2240)
    parser.add_argument("--template", choices=sorted(CRS), default="S1A")
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = given.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        if given.what == "compare":
            found = compare(given.size, work)
        else:
            found = full(given.template, given.size, work)
    results = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    results[given.what] = found
    RESULT.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
