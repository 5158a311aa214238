"""The cube: round trips, order of arrival, snapshots, errors."""

import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import permutations
from textwrap import dedent

import icechunk
import numpy as np
import pytest
import zarr
from odc.geo.geobox import GeoBox

from curupira.blocks import Window
from curupira.cube import Cube, chunks, codec, layout
from curupira.cube.storage import storage
from curupira.errors import BusyError, ConfigError, InputError, StoreError

GRID = GeoBox.from_bbox((600_000, 9_500_000, 620_000, 9_512_000), crs="EPSG:32721", resolution=20)
WHOLE = Window(0, 600, 0, 1000)
T0 = datetime(2024, 3, 1, 9, 30, tzinfo=UTC)
ORBIT = 22


def image(seed, window=WHOLE, missing=0.1):
    rng = np.random.default_rng(seed)
    power = rng.gamma(4.4, 0.045 / 4.4, window.shape).astype(np.float32)
    power[rng.random(window.shape) < missing] = np.nan
    return power


def stored(power):
    return codec.decode(codec.encode(power))


def put(cube, name, minutes=0.0, *, band="vh", window=WHOLE, values=None, seed=0, when=T0):
    values = image(seed, window) if values is None else values
    with cube.scene_writer(ORBIT, name, when + timedelta(minutes=minutes)) as writer:
        writer.write(band, window, values)
    return writer.snapshot


@pytest.fixture
def cube(tmp_path):
    return Cube.open(tmp_path / "cube", GRID, create=True)


def test_round_trip(cube):
    power = image(1)
    put(cube, "a", values=power)
    np.testing.assert_array_equal(cube.reader().read(ORBIT, "a", "vh", WHOLE), stored(power))
    part = Window(400, 590, 500, 777)
    np.testing.assert_array_equal(
        cube.reader().read(ORBIT, "a", "vh", part), stored(power)[part.slices]
    )


def test_a_scene_written_in_pieces_equals_one_written_at_once(cube):
    power, angle = image(2), np.linspace(20, 60, 600_000, dtype=np.float32).reshape(600, 1000)
    with cube.scene_writer(ORBIT, "a", T0) as writer:
        for rows in (Window(0, 137, 0, 1000), Window(137, 600, 0, 1000)):
            writer.write("vh", rows, power[rows.slices])
            writer.write("lia", rows, angle[rows.slices])
    reader = cube.reader()
    np.testing.assert_array_equal(reader.read(ORBIT, "a", "vh", WHOLE), stored(power))
    np.testing.assert_allclose(reader.read(ORBIT, "a", "lia", WHOLE), angle, atol=0.00501)
    assert reader.bands(ORBIT) == ["lia", "vh"]


def test_outside_the_written_window_is_missing_and_takes_no_chunk(cube):
    put(cube, "a", window=Window(0, 100, 0, 100))
    read = cube.reader().read(ORBIT, "a", "vh", WHOLE)
    assert np.isnan(read[100:]).all()
    assert np.isnan(read[:, 100:]).all()
    assert len(os.listdir(cube.path / "chunks")) == 1


def test_a_later_slice_fills_the_missing_of_an_earlier(cube):
    first, second = image(3, missing=0.5), image(4, missing=0.5)
    put(cube, "first", 0, values=first)
    put(cube, "other day", 17_280, seed=5)
    put(cube, "second", 1, values=second)
    stack = cube.reader().read_stack(ORBIT, [["first", "second"], [], ["other day"]], "vh", WHOLE)
    assert stack.shape == (3, 600, 1000)
    merged = np.where(np.isnan(first), stored(second), stored(first))
    np.testing.assert_array_equal(stack[0], merged)
    assert np.isnan(stack[1]).all()
    np.testing.assert_array_equal(stack[2], stored(image(5)))


def test_the_order_of_arrival_leaves_no_trace(tmp_path):
    window = Window(480, 560, 490, 540)
    scenes = {
        "s0": (0, image(0, window)),
        "s1": (1, image(1, window)),
        "s2": (30, image(2, window)),
    }
    results = []
    for n, order in enumerate(permutations(scenes)):
        cube = Cube.open(tmp_path / str(n), GRID, create=True)
        for name in order:
            put(cube, name, scenes[name][0], values=scenes[name][1], window=window)
        reader = cube.reader()
        assert reader.scene_ids(ORBIT) == ["s0", "s1", "s2"]
        results.append(reader.read_stack(ORBIT, [["s0", "s1"], ["s2"]], "vh", window))
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_long_stacks_read_in_runs_equal_single_reads(cube, monkeypatch):
    window = Window(500, 530, 0, 40)
    for n in range(7):
        put(cube, f"s{n}", n * 60, seed=n, window=window)
    wanted = [["s0"], ["s1", "s2"], ["s6"], ["s4", "s5"], ["s3"]]
    reader = cube.reader()
    expected = reader.read_stack(ORBIT, wanted, "vh", window)
    singles = [[reader.read(ORBIT, s, "vh", window) for s in scenes] for scenes in wanted]
    for got, layers in zip(expected, singles, strict=True):
        merged = layers[0] if len(layers) == 1 else np.where(np.isnan(layers[0]), *layers[::-1])
        np.testing.assert_array_equal(got, merged)
    monkeypatch.setattr("curupira.cube.chunks._TOGETHER", 3)
    np.testing.assert_array_equal(reader.read_stack(ORBIT, wanted, "vh", window), expected)


def test_a_reprocessed_scene_replaces_the_old_one_wholly(cube):
    put(cube, "a", seed=1)
    put(cube, "b", 60, seed=2)
    small = Window(10, 20, 10, 20)
    put(cube, "a", 2, seed=3, window=small)
    reader = cube.reader()
    read = reader.read(ORBIT, "a", "vh", WHOLE)
    assert np.isfinite(read).sum() == np.isfinite(image(3, small)).sum()
    np.testing.assert_array_equal(read[small.slices], stored(image(3, small)))
    np.testing.assert_array_equal(reader.read(ORBIT, "b", "vh", WHOLE), stored(image(2)))
    assert reader.acquired(ORBIT) == {
        "a": T0 + timedelta(minutes=2),
        "b": T0 + timedelta(minutes=60),
    }


def test_writing_the_same_again_is_allowed(cube):
    put(cube, "a", values=np.full((600, 1000), np.nan, np.float32))
    put(cube, "a", values=np.full((600, 1000), np.nan, np.float32))
    with cube.scene_writer(ORBIT, "a", T0):
        pass
    assert np.isnan(cube.reader().read(ORBIT, "a", "vh", WHOLE)).all()


def test_a_band_written_by_some_scenes_is_missing_in_the_others(cube):
    put(cube, "a", seed=1)
    put(cube, "b", 60, band="vv", seed=2)
    put(cube, "c", 120, seed=3)
    stack = cube.reader().read_stack(ORBIT, [["a"], ["b"], ["c"]], "vv", WHOLE)
    assert np.isnan(stack[[0, 2]]).all()
    np.testing.assert_array_equal(stack[1], stored(image(2)))


def test_orbits_are_apart(cube):
    put(cube, "a")
    with cube.scene_writer(112, "b", T0) as writer:
        writer.write("vh", WHOLE, image(9))
    reader = cube.reader()
    assert reader.orbits() == [22, 112]
    assert reader.scene_ids(22) == ["a"]
    assert reader.scene_ids(112) == ["b"]
    assert reader.scene_ids(1) == []
    assert reader.bands(1) == []


def test_other_programs_can_decode_it(cube):
    put(cube, "a", values=np.full((600, 1000), 0.05, np.float32))
    session = icechunk.Repository.open(storage(cube.path)).readonly_session("main")
    array = zarr.open_group(session.store, mode="r")["orbit_022/vh"]
    db = array[0, 0, 0] * array.attrs["scale_factor"] + array.attrs["add_offset"]
    assert db == pytest.approx(10 * np.log10(0.05), abs=0.005)
    assert array.chunks == (1, 512, 512)
    assert array.metadata.dimension_names == ("scene", "y", "x")


# Crashes


def test_an_error_before_the_commit_leaves_the_cube_as_it_was(cube):
    before = put(cube, "a", seed=1)

    def fail(name):
        with cube.scene_writer(ORBIT, name, T0) as writer:
            writer.write("vh", WHOLE, image(2))
            raise RuntimeError("killed")

    for name in ("a", "b"):
        with pytest.raises(RuntimeError, match="killed"):
            fail(name)
    reader = cube.reader()
    assert reader.snapshot == before
    assert reader.scene_ids(ORBIT) == ["a"]
    np.testing.assert_array_equal(reader.read(ORBIT, "a", "vh", WHOLE), stored(image(1)))


WRITE_UNTIL_KILLED = """
    import sys
    from datetime import UTC, datetime
    import numpy as np
    from odc.geo.geobox import GeoBox
    from curupira.blocks import Window
    from curupira.cube import Cube
    grid = GeoBox.from_bbox((600_000, 9_500_000, 620_000, 9_512_000), crs="EPSG:32721",
                            resolution=20)
    power = np.full((600, 1000), 0.05, np.float32)
    cube = Cube.open(sys.argv[1], grid, create=True)
    print("ready", flush=True)
    n = len(cube.reader().scene_ids(22))
    while True:
        with cube.scene_writer(22, f"s{n}", datetime(2024, 1, 1, tzinfo=UTC)) as writer:
            writer.write("vh", Window(0, 600, 0, 1000), power)
        n += 1
"""


def test_killed_in_the_middle_of_a_write(tmp_path):
    path = tmp_path / "cube"
    count = 0
    for delay in (0.0, 0.031, 0.12):
        command = [sys.executable, "-c", dedent(WRITE_UNTIL_KILLED), str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        cube = Cube.open(path, GRID)
        reader = cube.reader()
        ids = reader.scene_ids(ORBIT)
        assert len(ids) >= count
        assert sorted(ids) == sorted(f"s{n}" for n in range(len(ids)))
        for name in ids:
            read = reader.read(ORBIT, name, "vh", WHOLE)
            assert (read == stored(np.float32([0.05]))[0]).all()
        put(cube, f"s{len(ids)}", values=np.full((600, 1000), 0.05, np.float32))
        count = len(ids) + 1


def test_killed_while_the_cube_was_made(tmp_path):
    # The two states in which a kill can leave a repository before its first commit of ours.
    for name in ("no branch", "no root"):
        path = tmp_path / name
        icechunk.Repository.create(storage(path))
        if name == "no branch":
            (path / "refs" / "branch.main" / "ref.json").unlink()
        with pytest.raises(StoreError, match="no cube"):
            Cube.open(path, GRID)
        cube = Cube.open(path, GRID, create=True)
        put(cube, "a")
        assert Cube.open(path, GRID, create=True).reader().scene_ids(ORBIT) == ["a"]


def test_two_writers_at_once(cube):
    other = Cube.open(cube.path, GRID)

    def both():
        with cube.scene_writer(ORBIT, "a", T0) as writer:
            writer.write("vh", WHOLE, image(1))
            put(other, "b", 60)

    with pytest.raises(BusyError, match="another process"):
        both()
    assert cube.reader().scene_ids(ORBIT) == ["b"]


# Snapshots


def test_a_snapshot_does_not_change(cube):
    first = put(cube, "a", seed=1)
    reader = cube.reader()
    assert reader.snapshot == first
    put(cube, "a", seed=2)
    put(cube, "b", 60, seed=3)
    np.testing.assert_array_equal(reader.read(ORBIT, "a", "vh", WHOLE), stored(image(1)))
    assert reader.scene_ids(ORBIT) == ["a"]
    again = Cube.open(cube.path, GRID).reader(first)
    np.testing.assert_array_equal(again.read(ORBIT, "a", "vh", WHOLE), stored(image(1)))
    np.testing.assert_array_equal(cube.reader().read(ORBIT, "a", "vh", WHOLE), stored(image(2)))


def test_expiry_keeps_the_named_and_the_newest(cube):
    ids = [put(cube, "a", seed=n) for n in range(5)]
    listed = [s.snapshot_id for s in cube.snapshots()]
    assert listed[:5] == ids[::-1]
    assert cube.snapshots()[0].scene_id == "a"
    assert cube.snapshots()[0].written_at.tzinfo is not None
    chunks = len(os.listdir(cube.path / "chunks"))

    gone = cube.expire(datetime.now(UTC), keep=[ids[1], "1CECHNKREP0F1RSTCMTG"])
    assert gone.removed.issuperset({ids[0], ids[2], ids[3]})
    assert gone.absent == {"1CECHNKREP0F1RSTCMTG"}
    assert len(os.listdir(cube.path / "chunks")) == chunks * 2 // 5
    left = {s.snapshot_id for s in cube.snapshots()}
    assert left.issuperset({ids[1], ids[4]})
    assert left.isdisjoint(gone.removed)
    for n in (1, 4):
        read = cube.reader(ids[n]).read(ORBIT, "a", "vh", WHOLE)
        np.testing.assert_array_equal(read, stored(image(n)))
    with pytest.raises(StoreError, match="no snapshot"):
        cube.reader(ids[2])

    # Life goes on: another commit, an expiry to which all is young, one that keeps others.
    ids.append(put(cube, "b", 60, seed=7))
    assert not cube.expire(datetime.now(UTC) - timedelta(days=1), keep=[ids[4]]).removed
    assert cube.expire(datetime.now(UTC), keep=[ids[4]]).removed == {ids[1]}
    read = cube.reader(ids[4]).read(ORBIT, "a", "vh", WHOLE)
    np.testing.assert_array_equal(read, stored(image(4)))
    np.testing.assert_array_equal(cube.reader().read(ORBIT, "b", "vh", WHOLE), stored(image(7)))


def test_nothing_young_expires(cube):
    ids = [put(cube, f"s{n}", n, seed=n) for n in range(3)]
    assert cube.expire(datetime.now(UTC) - timedelta(days=1), keep=[]).removed == frozenset()
    assert {s.snapshot_id for s in cube.snapshots()}.issuperset(ids)


def test_kept_let_go_and_kept_again(cube):
    first = put(cube, "a", seed=1)
    for keep in ([first], [], [first]):
        cube.expire(datetime.now(UTC), keep=keep)
    put(cube, "a", seed=2)
    cube.expire(datetime.now(UTC), keep=[first])
    np.testing.assert_array_equal(
        cube.reader(first).read(ORBIT, "a", "vh", WHOLE), stored(image(1))
    )


def test_expiry_frees_writes_that_never_ended(cube):
    put(cube, "a", seed=1)
    chunks = set(os.listdir(cube.path / "chunks"))
    with pytest.raises(RuntimeError), cube.scene_writer(ORBIT, "b", T0) as writer:  # noqa: PT012
        writer.write("vh", WHOLE, image(2))
        raise RuntimeError
    assert set(os.listdir(cube.path / "chunks")) > chunks
    cube.expire(datetime.now(UTC), keep=[])
    assert set(os.listdir(cube.path / "chunks")) == chunks


# Readers in other hands


def test_a_reader_travels_and_stays_with_its_snapshot(cube):
    put(cube, "a", seed=1)
    reader = cube.reader()
    reader.read(ORBIT, "a", "vh", WHOLE)
    put(cube, "a", seed=2)
    copy = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(copy.read(ORBIT, "a", "vh", WHOLE), stored(image(1)))
    assert len(pickle.dumps(reader)) < 1000


def test_many_threads_share_a_reader(cube):
    for n in range(4):
        put(cube, f"s{n}", n * 60, seed=n)
    windows = [
        Window(y, y + 150, x, x + 250) for y in range(0, 600, 150) for x in range(0, 1000, 250)
    ]
    acquisitions = [[f"s{n}"] for n in range(4)]
    expected = np.stack([stored(image(n)) for n in range(4)])
    reader = cube.reader()
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda w: reader.read_stack(ORBIT, acquisitions, "vh", w), windows)
        for window, stack in zip(windows, found, strict=True):
            np.testing.assert_array_equal(stack, expected[(slice(None), *window.slices)])


# Bad input


def test_another_grid_is_refused(cube):
    for other in (
        GRID.translate_pix(1, 0),
        GRID.zoom_out(2),
        GRID.pad(1),
        GeoBox(GRID.shape, GRID.transform, "EPSG:32722"),
    ):
        with pytest.raises(StoreError, match="grid") as caught:
            Cube.open(cube.path, other)
        assert caught.value.exit_code == 5
        assert caught.value.remedy
        with pytest.raises(StoreError, match="grid"):
            Cube.open(cube.path, other, create=True)


def test_a_grid_in_a_system_without_a_code(tmp_path):
    text = "+proj=aea +lat_1=-5 +lat_2=-42 +lat_0=-32 +lon_0=-60 +ellps=GRS80 +units=m"
    grid = GeoBox.from_bbox((0, 0, 1000, 1000), crs=text, resolution=20)
    Cube.open(tmp_path / "cube", grid, create=True)
    Cube.open(tmp_path / "cube", grid)


def test_a_newer_format_is_refused(cube):
    session = icechunk.Repository.open(storage(cube.path)).writable_session("main")
    zarr.open_group(session.store).attrs["format_version"] = 99
    session.commit("from the future")
    with pytest.raises(StoreError, match="format version 99") as caught:
        Cube.open(cube.path, GRID)
    assert "newer" in caught.value.remedy


def test_what_is_no_cube_is_refused_and_left_alone(tmp_path):
    with pytest.raises(StoreError, match="does not exist"):
        Cube.open(tmp_path / "none", GRID)
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    foreign = icechunk.Repository.create(storage(tmp_path / "foreign")).writable_session("main")
    zarr.create_group(foreign.store)
    foreign.commit("of someone else")
    for name in ("file", "folder", "foreign"):
        for create in (False, True):
            with pytest.raises(StoreError) as caught:
                Cube.open(tmp_path / name, GRID, create=create)
            assert caught.value.exit_code == 5
    with pytest.raises(StoreError, match="no cube"):
        Cube.open(tmp_path / "empty", GRID)
    assert os.listdir(tmp_path / "folder") == ["notes.txt"]
    with pytest.raises(StoreError):
        Cube.open(tmp_path / "file" / "cube", GRID, create=True)


def test_a_cube_may_be_made_through_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "cube").symlink_to(tmp_path / "disk")
    put(Cube.open(tmp_path / "cube", GRID, create=True), "a")
    assert Cube.open(tmp_path / "disk", GRID).reader().scene_ids(ORBIT) == ["a"]


def test_a_disk_that_takes_no_more(cube):
    before = put(cube, "a", seed=1)
    # A limit on file size fails in the kernel as a full disk does, for root as well.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(StoreError, match="cannot be read or written") as caught:
            put(cube, "b", 60, seed=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.exit_code == 5
    assert cube.reader().snapshot == before
    put(cube, "b", 60, seed=2)


def test_a_folder_that_cannot_be_written(cube):
    put(cube, "a", seed=1)
    (cube.path / "chunks").rename(cube.path / "away")
    (cube.path / "chunks").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot be read or written"):
        put(cube, "b", 60, seed=2)
    with pytest.raises(StoreError, match="cannot be read or written"):
        cube.reader().read(ORBIT, "a", "vh", WHOLE)
    (cube.path / "chunks").unlink()
    (cube.path / "away").rename(cube.path / "chunks")
    assert cube.reader().scene_ids(ORBIT) == ["a"]


@pytest.mark.parametrize("kept", [0, 16])
@pytest.mark.parametrize("old", [False, True])
def test_a_damaged_chunk_is_told(cube, monkeypatch, kept, old):
    if old:
        monkeypatch.setattr(layout, "COMPRESSORS", (layout.COMPRESSOR,))
    put(cube, "a")
    for chunk in (cube.path / "chunks").iterdir():
        stored = chunk.read_bytes()
        chunk.write_bytes(stored[:kept].ljust(len(stored), b"\xff" if kept else b"\x00"))
    with pytest.raises(StoreError, match="damaged") as caught:
        cube.reader().read(ORBIT, "a", "vh", WHOLE)
    assert "orbit_022/vh/c/0/0/0" in str(caught.value.where)
    assert "back-up" in caught.value.remedy


def test_three_damaged_bytes_are_told_wherever_they_lie(cube):
    put(cube, "a", window=Window(0, 512, 0, 512))
    (chunk,) = (cube.path / "chunks").iterdir()
    whole, rng = chunk.read_bytes(), np.random.default_rng(5)
    for _ in range(40):
        harmed = np.frombuffer(whole, np.uint8).copy()
        harmed[rng.choice(len(whole), 3, replace=False)] ^= 0x55
        chunk.write_bytes(harmed.tobytes())
        with pytest.raises(StoreError, match="damaged"):
            cube.reader().read(ORBIT, "a", "vh", WHOLE)
    chunk.write_bytes(whole)
    assert np.isfinite(cube.reader().read(ORBIT, "a", "vh", WHOLE)).any()


def test_arrays_without_checksums_are_read_and_grow(cube, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr(layout, "COMPRESSORS", (layout.COMPRESSOR,))
        put(cube, "a", seed=1)
    put(cube, "b", 60, seed=2)
    put(cube, "c", 120, band="vv", seed=3)
    reader = cube.reader()
    for scene_id, band, seed in (("a", "vh", 1), ("b", "vh", 2), ("c", "vv", 3)):
        np.testing.assert_array_equal(
            reader.read(ORBIT, scene_id, band, WHOLE), stored(image(seed))
        )


def test_other_programs_read_the_checksummed_chunks(cube):
    put(cube, "a", values=image(4))
    session = icechunk.Repository.open(storage(cube.path)).readonly_session("main")
    array = zarr.open_group(session.store, mode="r")["orbit_022/vh"]
    assert [step.to_dict()["name"] for step in array.compressors] == ["blosc", "crc32c"]
    np.testing.assert_array_equal(codec.decode(array[0]), stored(image(4)))


def test_a_cube_that_vanished_under_a_reader(cube, tmp_path):
    put(cube, "a")
    reader = cube.reader()
    cube.path.rename(tmp_path / "moved")
    with pytest.raises(StoreError, match="does not exist"):
        reader.read(ORBIT, "a", "vh", WHOLE)


def test_unknown_scene_band_orbit_and_snapshot(cube):
    put(cube, "a")
    reader = cube.reader()
    with pytest.raises(StoreError, match="no scene b"):
        reader.read(ORBIT, "b", "vh", WHOLE)
    with pytest.raises(StoreError, match="no band 'vv'") as caught:
        reader.read(ORBIT, "a", "vv", WHOLE)
    assert "vh" in caught.value.remedy
    with pytest.raises(StoreError, match="relative orbit 1"):
        reader.read(1, "a", "vh", WHOLE)
    for snapshot in ("nonsense", "1CECHNKREP0F1RSTCMTG"):
        with pytest.raises(StoreError, match="no snapshot"):
            cube.reader(snapshot)


def test_bad_windows_shapes_and_times(cube):
    with cube.scene_writer(ORBIT, "a", T0) as writer:
        writer.write("vh", WHOLE, image(1))
        with pytest.raises(InputError, match="do not fit"):
            writer.write("vh", Window(0, 10, 0, 10), image(1))
        with pytest.raises(InputError, match="not within"):
            writer.write("vh", Window(0, 601, 0, 10), np.ones((601, 10), np.float32))
    for window in (Window(-1, 5, 0, 5), Window(5, 5, 0, 5), Window(0, 5, 990, 1001)):
        with pytest.raises(InputError, match="not within"):
            cube.reader().read(ORBIT, "a", "vh", window)
    with pytest.raises(InputError, match="no time zone"):
        put(cube, "b", when=datetime(2024, 1, 1))
    with pytest.raises(InputError, match="no time zone"):
        cube.expire(datetime(2024, 1, 1), keep=[])


def test_object_stores(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    monkeypatch.setenv("AWS_REGION", "sa-east-1")
    text = str(storage("s3://bucket/some/prefix"))
    for part in ("bucket=bucket", "prefix=some/prefix", "sa-east-1", "http://127.0.0.1:9000"):
        assert part in text
    for bad in ("ftp://host/x", "s3:///prefix"):
        with pytest.raises(ConfigError, match="object store"):
            Cube.open(bad, GRID)


def test_a_stack_takes_little_more_memory_than_itself(tmp_path):
    script = """
        import resource, sys
        from datetime import UTC, datetime, timedelta
        import numpy as np
        from odc.geo.geobox import GeoBox
        from curupira.blocks import Window
        from curupira.cube import Cube
        grid = GeoBox.from_bbox((0, 0, 20_480, 20_480), crs="EPSG:32721", resolution=20)
        whole, t0 = Window(0, 1024, 0, 1024), datetime(2024, 1, 1, tzinfo=UTC)
        cube = Cube.open(sys.argv[1], grid, create=True)
        power = np.random.default_rng(0).gamma(4.4, 0.01, whole.shape).astype(np.float32)
        names = [f"s{n:02}" for n in range(24)]
        for n, name in enumerate(names):
            with cube.scene_writer(22, name, t0 + timedelta(days=n)) as writer:
                writer.write("vh", whole, power)
        reader = cube.reader()
        reader.read_stack(22, [names[:1]], "vh", whole)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        stack = reader.read_stack(22, [[name] for name in names], "vh", whole)
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 - stack.nbytes)
    """
    command = [sys.executable, "-c", dedent(script), str(tmp_path / "cube")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    # One batch of codes (16 MiB), its compressed form, Zarr's buffers; the stack is 101 MB.
    assert int(done.stdout) < 80e6


def test_what_is_held_is_read_from_memory(cube, tmp_path):
    """Within the held windows the cube's files are not asked; beyond them they are."""
    powers = [image(n, WHOLE) for n in range(3)]
    for n, power in enumerate(powers):
        put(cube, f"scene_{n}", 60 * n, values=power)
    region = Window(90, 560, 480, 990)
    windows = [region, Window(0, 0, 0, 0), region.intersect(Window(100, 600, 0, 700))]
    reader = cube.reader().holding(
        {(ORBIT, f"scene_{n}", "vh"): window for n, window in enumerate(windows)}
    )
    np.testing.assert_array_equal(
        reader.read(ORBIT, "scene_1", "vh", region), stored(powers[1])[region.slices]
    )
    (tmp_path / "cube" / "chunks").rename(tmp_path / "elsewhere")
    for n in (0, 2):
        for part in (windows[n], Window(200, 300, 500, 600)):
            np.testing.assert_array_equal(
                reader.read(ORBIT, f"scene_{n}", "vh", part), stored(powers[n])[part.slices]
            )
    with pytest.raises(StoreError):
        reader.read(ORBIT, "scene_2", "vh", region)
    (tmp_path / "elsewhere").rename(tmp_path / "cube" / "chunks")
    copied = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(
        copied.read(ORBIT, "scene_2", "vh", region), stored(powers[2])[region.slices]
    )


@pytest.mark.parametrize(("rim", "most", "decoded"), [(6, 10**6, 12), (6, 0, 30), (0, 0, 30)])
def test_neighbouring_windows_decode_each_chunk_once(tmp_path, monkeypatch, rim, most, decoded):
    """They begin with what is kept of their neighbours' chunks, if it is kept: the same codes."""
    whole = Window(0, 2 * 512, 0, 3 * 512)
    grid = GeoBox.from_bbox((0, 0, 20 * 3 * 512, 20 * 2 * 512), crs="EPSG:32721", resolution=20)
    cube = Cube.open(tmp_path / "cube", grid, create=True)
    powers = {f"s{n}": image(n, whole) for n in range(2)}
    for n, (name, power) in enumerate(powers.items()):
        with cube.scene_writer(ORBIT, name, T0 + timedelta(days=n)) as writer:
            writer.write("vh", whole, power)
    calls = []
    decode = chunks._decoded
    monkeypatch.setattr(chunks, "_decoded", lambda *chunk: calls.append(1) or decode(*chunk))
    for y, x in np.ndindex(2, 3):
        window = Window(max(512 * y - 6, 0), 512 * y + 512, max(512 * x - 6, 0), 512 * x + 512)
        reader = pickle.loads(pickle.dumps(cube.reader()))
        held = reader.holding({(ORBIT, s, "vh"): window for s in powers}, rim=rim, most=most)
        for name, power in powers.items():
            found = held.read(ORBIT, name, "vh", window)
            np.testing.assert_array_equal(found, stored(power)[window.slices])
    assert len(calls) == decoded
