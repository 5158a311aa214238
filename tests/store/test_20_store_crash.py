"""Killed writers, readers beside a writer, and the workspace lock."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from curupira.errors import BusyError
from curupira.store import Store, WarningRow
from curupira.store import warning as warnings_of

WRITER = """
import sys, uuid
from datetime import UTC, date, datetime
from pathlib import Path
import shapely
from curupira.store import Store, WarningRow
store = Store.open(sys.argv[2], base=Path(sys.argv[1]), create=False)
now = datetime(2024, 6, 1, tzinfo=UTC)
run = 0
print("ready", flush=True)
while True:
    run += 1
    name = f"{sys.argv[3]}-{run}"
    with store.transaction() as session:
        for n in range(10):
            session.add(WarningRow(
                geom=shapely.box(-52 + n, -7, -51.5 + n, -6.5), warning_id=str(uuid.uuid4()),
                status="preliminary", intensity_class="high_intensity", run_id=name,
                first_flag_date=date(2024, 5, 1), first_flag_days=1582, issued_at=now,
                recorded_at=now, updated_at=now, area_ha=1.0, area_geodesic_ha=1.0,
                preset="deter_r", preset_hash="h"))
            session.flush()
    print(name, flush=True)
"""
LOCKER = """
import sys, time
from pathlib import Path
from curupira.store import Store
store = Store.open(sys.argv[2], base=Path(sys.argv[1]), create=False)
with store.lock():
    print("held", flush=True)
    time.sleep(120)
"""


def spawn(program: str, base: Path, url: str, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, str(base), url, *more], stdout=subprocess.PIPE, text=True
    )


def test_only_whole_commits_survive_a_kill(store: Store, url: str, tmp_path: Path) -> None:
    moments = random.Random(7)
    announced: set[str] = set()
    for attempt in range(4):
        writer = spawn(WRITER, tmp_path, url, f"w{attempt}")
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        if attempt % 2:
            # However slow the machine is, half of them are killed after a commit.
            announced.add(writer.stdout.readline().strip())
        time.sleep(moments.uniform(0.02, 0.25))
        writer.send_signal(signal.SIGKILL)
        announced |= set(writer.stdout.read().split())
        writer.wait()
        writer.stdout.close()
    with store.reading() as session:
        grouped = select(WarningRow.run_id, func.count()).group_by(WarningRow.run_id)
        found = {row[0]: row[1] for row in session.execute(grouped)}
        indexed = len(warnings_of.query(session, bbox=(-180, -90, 180, 90)))
    assert announced, "the writers were killed before they wrote anything"
    assert announced <= set(found), "a commit that was announced is gone"
    assert set(found.values()) == {10}, "half a commit is there"
    assert indexed == sum(found.values())
    if store.path is not None:
        connection = sqlite3.connect(store.path)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        check = connection.execute("SELECT rtreecheck('rtree_warning_geom')").fetchone()
        assert check == ("ok",)
        connection.close()


def test_readers_see_whole_commits_and_never_wait(store: Store, url: str, tmp_path: Path) -> None:
    writer = spawn(WRITER, tmp_path, url, "w")
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    seen: list[int] = []
    try:
        # A second; longer only where the machine gave the writer nothing of it.
        began = time.monotonic()
        while (passed := time.monotonic() - began) < 1.0 or (seen[-1] == seen[0] and passed < 60.0):
            with store.reading() as session:
                first = session.scalar(select(func.count()).select_from(WarningRow))
                again = len(warnings_of.query(session, bbox=(-180, -90, 180, 90)))
            assert first is not None
            assert first % 10 == 0
            if store.path is not None:  # one consistent state; PostgreSQL reads each statement anew
                assert first == again
            seen.append(first)
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    assert seen == sorted(seen)
    assert seen[-1] > seen[0]


def test_writers_wait_for_each_other(store: Store, make_warning) -> None:
    failures: list[Exception] = []

    def write() -> None:
        try:
            for _ in range(10):
                with store.transaction() as session:
                    warnings_of.counts(session)  # reads first, then writes
                    session.add(make_warning())
        except Exception as error:  # noqa: BLE001 (reported by the assertion)
            failures.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with store.reading() as session:
        assert sum(warnings_of.counts(session).values()) == 40


def test_an_error_rolls_back(store: Store, make_warning) -> None:
    def work() -> None:
        with store.transaction() as session:
            session.add(make_warning())
            session.flush()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        work()
    with store.reading() as session:
        assert sum(warnings_of.counts(session).values()) == 0


def test_reading_discards_changes(store: Store, make_warning) -> None:
    with store.reading() as session:
        session.add(make_warning())
        session.flush()
    with store.reading() as session:
        assert sum(warnings_of.counts(session).values()) == 0


def test_lock_is_exclusive_and_dies_with_its_process(
    store: Store, url: str, tmp_path: Path
) -> None:
    holder = spawn(LOCKER, tmp_path, url)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        with (
            pytest.raises(BusyError, match="another run holds this workspace") as caught,
            store.lock(),
        ):
            pass
        assert caught.value.exit_code == 5
        if store.path is not None:
            assert f"process {holder.pid}" in str(caught.value)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    deadline = time.monotonic() + 10
    while True:
        try:
            with store.lock():
                break
        except BusyError:
            # A server notices the death of its client a moment later.
            if store.path is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_lock_can_be_taken_again_but_not_twice(store: Store) -> None:
    with store.lock(), pytest.raises(BusyError), store.lock():
        pass
    with store.lock(), store.transaction():
        pass


@pytest.mark.parametrize(("durable", "level"), [(False, 1), (True, 2)])
def test_votes_are_synchronous(embedded: Store, durable: bool, level: int) -> None:
    with embedded.transaction(durable=durable) as session:
        connection = session.connection()
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == level
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
