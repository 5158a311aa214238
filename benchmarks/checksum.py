"""What the checksums of the cube's chunks cost, and what they find.

    python benchmarks/checksum.py [--json FILE]

Images of speckle (ENL 4.4, a tenth missing) are written twice: as the cube does, and without
checksums as it did before. CPU seconds of reading both, in turns, the best of each; and of 300
chunks with three damaged bytes, how many are read without a word.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox

from curupira.blocks import Window
from curupira.cube import Cube, layout
from curupira.errors import StoreError

ROOT = Path(__file__).resolve().parents[1]
GRID = GeoBox.from_bbox((600_000, 9_500_000, 620_480, 9_520_480), crs="EPSG:32721", resolution=20)
WHOLE = Window(0, GRID.shape[0], 0, GRID.shape[1])
IMAGES, TURNS, DAMAGED = 6, 200, 300
T0 = datetime(2024, 3, 1, tzinfo=UTC)


def write(folder, compressors):
    """A cube of some images; its folder of chunks has one file a chunk."""
    known, layout.COMPRESSORS = layout.COMPRESSORS, compressors
    cube, rng = Cube.open(folder, GRID, create=True), np.random.default_rng(1)
    for n in range(IMAGES):
        power = rng.gamma(4.4, 0.045 / 4.4, WHOLE.shape).astype(np.float32)
        power[rng.random(WHOLE.shape) < 0.1] = np.nan
        with cube.scene_writer(22, f"s{n}", T0 + timedelta(days=n)) as writer:
            writer.write("vh", WHOLE, power)
    layout.COMPRESSORS = known
    return cube


def reading(cube):
    """CPU seconds of reading everything once."""
    reader = cube.reader()
    scenes = reader.scene_ids(22)
    start = time.process_time()
    reader.holding({(22, scene, "vh"): WHOLE for scene in scenes})
    return time.process_time() - start


def unnoticed(cube):
    """Of ``DAMAGED`` chunks with three bytes changed: how many unpack into other numbers."""
    rng, missed = np.random.default_rng(2), 0
    files = sorted((cube.path / "chunks").iterdir())
    for n in range(DAMAGED):
        file = files[n % len(files)]
        whole = file.read_bytes()
        harmed = np.frombuffer(whole, np.uint8).copy()
        harmed[rng.choice(len(whole), 3, replace=False)] ^= rng.integers(1, 256, 3, np.uint8)
        file.write_bytes(harmed.tobytes())
        reader = cube.reader()
        try:
            for scene in reader.scene_ids(22):
                reader.read_codes(22, scene, "vh", WHOLE)
            missed += 1
        except StoreError:
            pass
        file.write_bytes(whole)
    return missed


def main():
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/results/checksum.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cubes = {
            "without": write(Path(folder, "without"), (layout.COMPRESSOR,)),
            "with": write(Path(folder, "with"), layout.COMPRESSORS),
        }
        stored = sum(f.stat().st_size for f in (cubes["with"].path / "chunks").iterdir())
        turns = [{name: reading(cube) for name, cube in cubes.items()} for _ in range(TURNS)]
        best = {name: min(turn[name] for turn in turns) for name in cubes}
        missed = {name: unnoticed(cube) for name, cube in cubes.items()}
    added = (best["with"] - best["without"]) / stored * 1e9
    print(f"reading {stored / 1e6:.0f} MB stored: {best['without']:.3f} CPU s without checksums,")
    print(f"{best['with']:.3f} with them: {added:.3f} ns a stored byte")
    print(f"read unnoticed, of {DAMAGED} damaged chunks: {missed}")
    document = {
        "stored_bytes": stored,
        "read_cpu_s": best,
        "added_ns_per_byte": added,
        "damaged": DAMAGED,
        "unnoticed": missed,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
