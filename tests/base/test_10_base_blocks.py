"""Windows, blocks and the executor: whole coverage, order, errors that surface."""

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curupira.blocks import (
    Window,
    check_scheduler,
    executor,
    parse_memory,
    shares,
    split,
    workers_of,
)
from curupira.errors import ConfigError, InputError

SIZES = st.integers(0, 40)


@st.composite
def windows(draw):
    y0, x0 = draw(st.integers(0, 30)), draw(st.integers(0, 30))
    return Window(y0, y0 + draw(SIZES), x0, x0 + draw(SIZES))


@given(windows(), st.integers(1, 17))
def test_blocks_cover_a_window_once(window, size):
    count = np.zeros((80, 80), int)
    for block in split(window, size):
        assert not block.empty
        assert block.y0 // size == (block.y1 - 1) // size
        assert block.x0 // size == (block.x1 - 1) // size
        count[block.slices] += 1
    expected = np.zeros((80, 80), int)
    expected[window.slices] = 1
    np.testing.assert_array_equal(count, expected)


@given(windows(), st.integers(1, 17), st.integers(1, 17))
def test_blocks_may_have_other_rows_than_columns(window, down, across):
    rows = {(b.y0, b.y1) for b in split(window, down)}
    columns = {(b.x0, b.x1) for b in split(window, across)}
    blocks = [(b.y0, b.y1, b.x0, b.x1) for b in split(window, (down, across))]
    assert blocks == [(*y, *x) for y in sorted(rows) for x in sorted(columns)]


@given(windows(), st.integers(1, 17), st.integers(-6, 6))
def test_shifted_blocks_begin_beside_a_multiple_and_are_no_slivers(window, size, offset):
    count = np.zeros((80, 80), int)
    for block in split(window, size, offset):
        for first, last, of in (
            (block.y0, block.y1, (window.y0, window.y1)),
            (block.x0, block.x1, (window.x0, window.x1)),
        ):
            assert first == of[0] or first % size == offset % size
            assert last - first > min(abs(offset), size - 1, of[1] - of[0] - 1)
            assert last - first <= size + 2 * abs(offset)
        count[block.slices] += 1
    assert count.sum() == count[window.slices].sum() == window.shape[0] * window.shape[1]
    assert count.max(initial=0) <= 1


@given(windows(), st.integers(1, 17))
def test_shares_are_of_one_size_as_far_as_pixels_allow(window, size):
    blocks = list(shares(window, size))
    sides = [[b.shape[axis] for b in blocks] for axis in (0, 1)]
    assert all(max(s) <= size and max(s) - min(s) <= 1 for s in sides)
    count = np.zeros((80, 80), int)
    for block in blocks:
        count[block.slices] += 1
    assert count.sum() == count[window.slices].sum() == window.shape[0] * window.shape[1]


def test_a_local_cluster_tells_its_workers_by_its_name():
    assert workers_of("local:3") == 3
    assert workers_of("tcp://host:8786") > 1


@given(windows(), windows())
def test_common_part(a, b):
    flags = np.zeros((2, 80, 80), bool)
    flags[0][a.slices] = flags[1][b.slices] = True
    common = a.intersect(b)
    assert common.empty == (not flags.all(axis=0).any())
    if not common.empty:
        assert flags[:, *common.slices].all()
        assert common.shape == (common.y1 - common.y0, common.x1 - common.x0)
        assert flags.all(axis=0).sum() == common.shape[0] * common.shape[1]


@given(windows(), st.integers(0, 9))
def test_halo(window, halo):
    image = np.arange(6400).reshape(80, 80)
    whole = Window(0, 80, 0, 80)
    outer = window.grow(halo, whole)
    assert outer.intersect(whole) == outer
    inner = window.relative_to(outer)
    np.testing.assert_array_equal(image[outer.slices][inner.slices], image[window.slices])


@pytest.mark.parametrize(
    ("text", "size"), [("3GB", 3e9), ("500 MiB", 500 * 2**20), ("1024", 1024), ("1.5 kB", 1500)]
)
def test_memory(text, size):
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", " ", "GB", "much", "-1GB", "0", "nan", "3 parsec"])
def test_memory_that_is_none(text):
    with pytest.raises(ConfigError) as caught:
        parse_memory(text)
    assert caught.value.where == "[compute] memory"


def square(number):
    return number * number


def refuse(number):
    if number == 3:
        raise InputError("three", where="scene")
    return number


def test_results_keep_the_order_of_the_items():
    def slow_first(number):
        time.sleep(0.02 if number % 4 == 0 else 0)
        return number

    with executor(workers=4) as run:
        assert list(run(slow_first, range(20))) == list(range(20))
        assert list(run(square, [])) == []


def test_few_are_in_flight():
    taken, done = [], []

    def items():
        for n in range(50):
            taken.append(n)
            yield n

    with executor(workers=2) as run:
        for result in run(square, items()):
            done.append(result)
            assert len(taken) - len(done) <= 4


def test_threads_work_side_by_side():
    barrier = threading.Barrier(2, timeout=10)
    with executor(workers=2) as run:
        assert len(list(run(lambda _: barrier.wait(), range(2)))) == 2


def test_an_error_of_a_worker_surfaces_and_stops():
    started = []

    def work(number):
        started.append(number)
        return refuse(number)

    with pytest.raises(InputError, match="three"), executor(workers=1) as run:
        list(run(work, range(100)))
    assert len(started) < 10


def test_dask_processes():
    with executor("local:1") as run:
        assert list(run(square, range(5))) == [0, 1, 4, 9, 16]
        with pytest.raises(InputError, match="three") as caught:
            list(run(refuse, range(5)))
        assert caught.value.where == "scene"


def test_dask_processes_keep_memory_and_one_thread_each(monkeypatch):
    names = ["MALLOC_TRIM_THRESHOLD_", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"]
    for name in names:
        monkeypatch.delenv(name, raising=False)
    with executor("local:1") as run:
        assert list(run(os.environ.get, names)) == [None, "1", "1"]


@pytest.mark.parametrize("scheduler", ["local:0", "local:", "local:x", "threads", "http://host"])
def test_schedulers_that_are_refused(scheduler):
    with pytest.raises(ConfigError, match="unknown scheduler"), executor(scheduler):
        pass


@pytest.mark.parametrize("scheduler", ["tcp://", "tcp://127.0.0.1", "tcp://h:x", "tls://h:1"])
def test_what_is_no_address_of_a_scheduler_is_refused(scheduler):
    with pytest.raises(ConfigError, match="is no address of a Dask scheduler") as caught:
        check_scheduler(scheduler)
    assert caught.value.where == f"[compute] scheduler {scheduler}"


@pytest.mark.parametrize("says", [None, b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_what_listens_and_is_no_scheduler_is_refused(says, monkeypatch):
    """It says nothing for ever, hangs up, or speaks of other things (8787 is Dask's web page)."""
    monkeypatch.setattr("curupira.blocks._ANSWER_S", 1)
    with ThreadPoolExecutor(1) as thread, socket.create_server(("127.0.0.1", 0)) as server:
        answer = thread.submit(lambda: server.accept()[0])
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        if says is not None:
            answer.add_done_callback(lambda taken: (taken.result().sendall(says), hang_up(taken)))
        with pytest.raises(ConfigError, match="no Dask scheduler answers") as caught:
            check_scheduler(address)
        hang_up(answer)
    assert caught.value.where == address


def hang_up(taken):
    taken.result().close()
