"""What the cube's integers cost: error and size by step, and speed and size by compressor.

    python benchmarks/quantisation.py [--data DIR] [--json FILE] [--figure FILE]

Real images: the OPERA RTC-S1 stacks of nine bursts (VH, 22 dates, 30 m, Apache-2.0), or the four
of them in ``samples``. For each step the stack is stored and read back, and compared with float32:
the reference level (median of the first 16 dates in dB), and whether each later date lies a
threshold below it. The documentation's figure is ``--figure docs/figures/quantisation.png``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from math import isqrt
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import icechunk
import matplotlib.pyplot as plt
import numpy as np
import rasterio
import zarr
from numcodecs import Blosc
from zarr.codecs import BloscCodec

from curupira.cube import codec
from curupira.cube.layout import CHUNK
from curupira.cube.storage import storage

ROOT = Path(__file__).resolve().parents[1]
STEPS_DB = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
THRESHOLDS_DB = (2.5, 3.94)
LEARNING = 16
COMPRESSORS = (
    ("lz4", 1, "bitshuffle"),
    ("lz4", 5, "bitshuffle"),
    ("lz4", 5, "shuffle"),
    ("zstd", 1, "bitshuffle"),
    ("zstd", 5, "bitshuffle"),
    ("zstd", 1, "shuffle"),
)


def load(folder):
    """Linear gamma0 ``(time, y, x)``: the bursts side by side, in a square."""
    files = sorted(folder.glob("*/VH.tif"))
    side = isqrt(len(files))
    if side == 0 or side**2 != len(files):
        raise SystemExit(f"{folder}: neither nine nor four bursts with a VH.tif; give --data")
    bursts = []
    for file in files:
        with rasterio.open(file) as source:
            bursts.append(source.read())
    power = np.block([bursts[n : n + side] for n in range(0, len(files), side)])
    # Zero is no data, as in the cube; some of the ocean is.
    return np.where(power > 0, power, np.nan)


def decibels(power):
    """Linear power to dB in float64."""
    return 10 * np.log10(power.astype(np.float64))


def judge(power):
    """Reference level (y, x) in dB and decisions (threshold, time, y, x)."""
    db = decibels(power)
    reference = np.nanmedian(db[:LEARNING], axis=0)
    return reference, np.stack([db[LEARNING:] < reference - t for t in THRESHOLDS_DB])


def bits_per_pixel(codes):
    """Compressed size, each date for itself."""
    compressor = Blosc(cname="lz4", clevel=5, shuffle=Blosc.BITSHUFFLE)
    return 8 * sum(len(compressor.encode(image)) for image in codes) / codes.size


def by_step(power):
    """One record a step."""
    reference, flagged = judge(power)
    truth = decibels(power)
    kept = truth >= codec.MIN_DB
    print(
        f"{np.isfinite(truth).sum() - kept.sum()} pixels below {codec.MIN_DB:g} dB are raised to it"
    )
    records = []
    for step in STEPS_DB:
        codes = codec.encode(power, step)
        decoded = codec.decode(codes, step)
        found, decided = judge(decoded)
        records.append(
            {
                "step_db": step,
                "pixel_rms_db": float(np.sqrt(np.mean((decibels(decoded) - truth)[kept] ** 2))),
                "reference_rms_db": float(np.sqrt(np.nanmean((found - reference) ** 2))),
                "reference_max_db": float(np.nanmax(np.abs(found - reference))),
                "changed": float((decided != flagged).sum() / flagged.sum()),
                "bits": bits_per_pixel(codes),
            }
        )
    return records, int(flagged.sum())


def by_compressor(power):
    """Size, and rate of reading 512 x 512 x 22 from a cube's arrays, for each compressor."""
    codes = codec.encode(power)
    # Four dates side by side fill a chunk without repeating anything in it.
    a, b, c, d = (np.roll(codes, shift, axis=0) for shift in (0, 5, 11, 16))
    images = np.block([[a, b], [c, d]])[:, :CHUNK, :CHUNK]
    arrays, records = [], []
    with ExitStack() as stack:
        for name, level, shuffle in COMPRESSORS:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            session = icechunk.Repository.create(storage(folder)).writable_session("main")
            array = zarr.create_group(session.store).create_array(
                "vh",
                shape=images.shape,
                chunks=(1, CHUNK, CHUNK),
                dtype=np.uint16,
                compressors=BloscCodec(typesize=2, cname=name, clevel=level, shuffle=shuffle),
            )
            array[:] = images
            size = sum(f.stat().st_size for f in Path(folder, "chunks").iterdir())
            arrays.append(array)
            bits = 8 * size / images.size
            records.append({"compressor": f"{name}-{level}-{shuffle}", "bits": bits})
        # In turns, and the best of each: other work on the machine then counts for all alike.
        seconds = np.array([[_reading(array) for array in arrays] for _ in range(12)]).min(axis=0)
    for record, best in zip(records, seconds, strict=True):
        record["read_mb_s"] = images.nbytes / 1e6 / float(best)
    return records


def _reading(array):
    start = time.perf_counter()
    array[:]
    return time.perf_counter() - start


def draw(records, path):
    """Errors and size against the step, to a small PNG."""
    steps = [r["step_db"] for r in records]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    left.loglog(
        steps,
        [r["pixel_rms_db"] for r in records],
        "o-",
        c="#999999",
        label="pixel above -60 dB, rms",
    )
    left.loglog(
        steps, [r["reference_rms_db"] for r in records], "s-", c="#0072B2", label="reference, rms"
    )
    left.loglog(
        steps, [r["reference_max_db"] for r in records], "^-", c="#D55E00", label="reference, max"
    )
    left.axhline(2.2, c="black", ls=":", lw=1)
    left.text(steps[0], 1.9, "speckle (ENL 4.4): 2.2 dB", va="top", fontsize=8)
    left.set(xlabel="step (dB)", ylabel="error (dB)", title="Error against float32")
    left.legend(fontsize=8, loc="lower right")
    changed = [100 * r["changed"] for r in records]
    right.loglog(steps, changed, "s-", c="#0072B2")
    right.set(xlabel="step (dB)", title="Decisions changed, and size")
    right.set_ylabel("changed, % of flagged images", color="#0072B2")
    size = right.twinx()
    size.plot(steps, [r["bits"] for r in records], "o--", c="#D55E00")
    size.set_ylabel("bits per pixel (lz4, bitshuffle)", color="#D55E00")
    size.set_ylim(0, 16)
    for axes in (left, right):
        axes.axvline(codec.STEP_DB, c="black", lw=1, alpha=0.4)
    right.text(codec.STEP_DB * 1.1, max(changed), "the cube", va="top", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def rows(steps, compressors):
    """Rows of the results file (product.md 8)."""
    float32_bits = 32

    def row(name, value, unit, baseline=None):
        ratio = None if baseline is None else baseline / value
        return {
            "name": name,
            "value": value,
            "unit": unit,
            "baseline": baseline,
            "ratio": ratio,
            "limit_fraction": None,
        }

    for r in steps:
        name = f"step {r['step_db']:g} dB"
        yield row(f"{name}: pixel error, rms", r["pixel_rms_db"], "dB")
        yield row(f"{name}: reference level error, rms", r["reference_rms_db"], "dB")
        yield row(f"{name}: reference level error, maximum", r["reference_max_db"], "dB")
        yield row(f"{name}: decisions changed", r["changed"], "share of flagged images")
        yield row(f"{name}: size", r["bits"], "bit/pixel", float32_bits)
    for r in compressors:
        yield row(f"{r['compressor']}: size", r["bits"], "bit/pixel", float32_bits)
        yield row(f"{r['compressor']}: read, decoded", r["read_mb_s"], "MB/s")


def main():
    """Measure, print, and write the results, and the figure if asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data/rtc-10SGD")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/results/quantisation.json")
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    power = load(options.data)
    steps, flagged = by_step(power)
    compressors = by_compressor(power)

    print(f"{power.size / 1e6:.2f} million pixels, {flagged} flagged images (both thresholds)")
    print("step dB  pixel rms  reference rms  reference max  changed  bit/pixel")
    for r in steps:
        print(
            f"{r['step_db']:7.3f}  {r['pixel_rms_db']:9.5f}  {r['reference_rms_db']:13.5f}  "
            f"{r['reference_max_db']:13.5f}  {100 * r['changed']:6.3f}%  {r['bits']:9.2f}"
        )
    print("\ncompressor           bit/pixel  read MB/s (decoded, through Zarr)")
    for r in compressors:
        print(f"{r['compressor']:20} {r['bits']:9.2f}  {r['read_mb_s']:9.0f}")

    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    document = {"rows": list(rows(steps, compressors)), "machine": machine}
    options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if options.figure is not None:
        draw(steps, options.figure)


if __name__ == "__main__":
    main()
