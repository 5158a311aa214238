"""Fault campaign: short runs that are killed, starved and lied to, at random moments.

A place of a few warnings is monitored by many workspaces. The images come in three batches; each
batch meets a few runs with a fault before an undisturbed one ends the workspace's life. Then its
warnings must be those of a workspace that was never disturbed: none lost, none doubled; every
delivery must have arrived once; nothing half-written may be seen at any time.

    python benchmarks/faults.py --runs 200 [--postgis] [--json FILE]

As root the workspaces lie on a small file system of their own that is really filled; otherwise the
size of a file is limited. Warnings go to a folder and to an OpenSSH server, whose line is cut.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import rasterio

from curupira.blocks import Window
from curupira.config import Workspace
from curupira.cube.archive import Cube
from curupira.deliver.package import sha256
from curupira.errors import CurupiraError
from curupira.pipelines import daily
from curupira.pipelines.delivery import deliver
from curupira.sources.files import check_complete
from curupira.store import session as store_session

ROOT = Path(__file__).resolve().parents[1]
FAULTS = ("kill", "full disk", "database down", "source", "catalogue", "cut delivery")
DELIVERY = {"local": {"kind": "folder", "url": "outbox", "formats": ("geojson",)}}
#: Size of the file system that the workspaces share, when it can be made.
DISK_MB = 96
#: Exit codes that say what happened; 1 would be an error nobody foresaw.
FORESEEN = {0, 2, 3, 4, 5, 6, 7, -signal.SIGKILL}
#: A server that has the libraries loaded forks the runs: a start costs milliseconds.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["curupira.pipelines.daily", "curupira.pipelines.delivery", "rasterio", "scipy.ndimage"]
)


def builder() -> ModuleType:
    """The hand-made world of the tests."""
    name = "curupira_fault_builder"
    if name not in sys.modules:
        path = ROOT / "tests" / "pipelines" / "builder.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def invoke(folder: Path, limit: int | None, patient: bool, run: bool) -> None:
    """One night in a process of its own: run, then deliver. Exits as the command line does."""
    if limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if not patient:
        store_session.BUSY_TIMEOUT_MS = 100
    try:
        workspace = Workspace.open(folder)
        code = daily.run(workspace, daily.RunOptions()).exit_code if run else 0
        failed = [o for o in deliver(workspace) if o.error is not None]
        code = 6 if failed else code
    except CurupiraError as error:
        code = error.exit_code
    except BaseException:  # noqa: BLE001 (what nobody foresaw is counted)
        code = 1
        os.write(2, f"{folder}\n{traceback.format_exc()}".encode())
    os._exit(code)


@dataclass
class Tally:
    """What happened, over the campaign."""

    runs: Counter[str] = field(default_factory=Counter)
    codes: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    wrong: Counter[str] = field(default_factory=Counter)
    workspaces: int = 0
    #: Workspaces that needed ``run --force`` at the end, because a scene was quarantined.
    insisted: int = 0
    warnings: int = 0
    deliveries: int = 0
    seconds: float = 0.0


class Remote:
    """An OpenSSH server that takes deliveries, behind a line that can be cut."""

    def __init__(self, server: Any, wire: Any) -> None:
        self.server, self.wire = server, wire

    def section(self, name: str) -> dict[str, Any]:
        """A target for one workspace."""
        root = self.server.root / name
        root.mkdir()
        return {
            "kind": "sftp",
            "url": f"sftp://{self.server.user}@127.0.0.1:{self.wire.port}{root}",
            "host_key": self.server.host_key,
            "key_file_env": "FAULTS_KEY",
            "formats": ("geojson", "gpkg"),
            "attempts": 1,
        }


class Campaign:
    """Workspaces that live through faults, compared with one that does not.

    ``url`` makes a database for a workspace; ``remote`` is a second target; ``small`` says that
    the folder is a file system of its own, which may be filled.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        url: Callable[[], Any] = nullcontext,
        remote: Remote | None = None,
        *,
        small: bool = False,
    ) -> None:
        self.b = builder()
        self.folder, self.rng, self.url = folder, random.Random(seed), url
        self.remote, self.small = remote, small
        self.tally = Tally()
        b = self.b
        squares = [
            b.Square(4, 4, b.day(7)),
            b.Square(4, 40, b.day(8)),
            b.Square(40, 4, b.day(9)),
            b.Square(44, 44, b.day(7), b.day(8)),
        ]
        self.world = b.World(folder / "images", squares)
        # The eighth image comes late, so that repeated folds are among what is disturbed.
        self.batches = [b.series(8), b.series(11, start=9), [b.Shot(b.day(8), late_days=50)]]
        for shots in self.batches:
            for shot in shots:
                self.world.scene(shot)

    def calm(self) -> None:
        """The undisturbed workspace; how long its night lasts bounds the moments of the faults."""
        workspace = self.world.workspace(
            self.folder / "calm", chain.from_iterable(self.batches), delivery=DELIVERY
        )
        started = time.monotonic()
        code = self._night(workspace)
        self.lasts = time.monotonic() - started
        if code or not (expected := self.b.state(workspace)):
            raise RuntimeError(f"the calm run ends with {code} and no warnings")
        self.expected = expected
        shutil.rmtree(workspace.folder)

    def play(self, runs: int, faults: tuple[str, ...] = FAULTS) -> Tally:
        """Disturb so many runs."""
        started = time.monotonic()
        while sum(self.tally.runs.values()) < runs:
            with self.url() as url:
                self._life(faults, url)
        self.tally.seconds = time.monotonic() - started
        return self.tally

    def _life(self, faults: tuple[str, ...], url: str | None) -> None:
        self.tally.workspaces += 1
        name = f"ws{self.tally.workspaces}"
        sections: dict[str, Any] = {"delivery": dict(DELIVERY)}
        if url is not None:
            sections["store"] = {"url": url}
        if self.remote is not None:
            sections["delivery"]["remote"] = self.remote.section(name)
        workspace = self.world.workspace(self.folder / name, **sections)
        for batch in self.batches:
            self.world.publish(workspace, batch)
            for _ in range(self.rng.choice((1, 2, 3))):
                fault = self.rng.choice(faults)
                code = self._disturbed(workspace, fault, batch)
                self.tally.runs[fault] += 1
                self.tally.codes[fault][code] += 1
                if code not in FORESEEN:
                    self.tally.wrong["unforeseen error"] += 1
                self._check_whole(workspace)
        if (code := self._night(workspace)) != 0:
            self.tally.wrong["calm night fails"] += 1
        if self.b.quarantined(workspace):
            # What was quarantined waits for a newer version, or for somebody who insists.
            self.tally.insisted += 1
            self.b.play(workspace, force=True)
            self._night(workspace)
        self._check_end(workspace)
        shutil.rmtree(workspace.folder)

    def _night(self, workspace: Workspace, **how: Any) -> int:
        process = self._start(workspace, **how)
        process.join()
        return int(process.exitcode or 0)

    def _start(
        self,
        workspace: Workspace,
        limit: int | None = None,
        patient: bool = True,
        run: bool = True,
    ) -> Any:
        arguments = (workspace.folder, limit, patient, run)
        process = PROCESSES.Process(target=invoke, args=arguments)
        process.start()
        return process

    def _moment(self) -> float:
        """Seconds into a run: early ones as often as late ones."""
        return float(10 ** self.rng.uniform(-2, 0)) * self.lasts

    def _killed(self, workspace: Workspace, run: bool = True) -> int:
        process = self._start(workspace, run=run)
        process.join(self._moment())
        process.kill()
        process.join()
        return int(process.exitcode or 0)

    def _disturbed(self, workspace: Workspace, fault: str, batch: list[Any]) -> int:
        if fault == "kill":
            return self._killed(workspace)
        if fault == "cut delivery":
            return self._cut(workspace)
        if fault == "full disk":
            if self.small:
                return self._filled(workspace)
            return self._night(workspace, limit=int(10 ** self.rng.uniform(3, 6)))
        if fault == "database down":
            return self._with_lock(workspace)
        if fault == "catalogue":
            with spoilt(workspace.folder / "catalog" / "catalog.json", self.rng):
                return self._night(workspace)
        shot = self.rng.choice(batch)
        with spoilt(Path(self.world.scene(shot).assets["vh"].href), self.rng):
            return self._night(workspace)

    def _cut(self, workspace: Workspace) -> int:
        """The line breaks after so many bytes; without a line, the sender is killed."""
        if self.remote is None:
            self._night(workspace)
            return self._killed(workspace, run=False)
        limits = self.remote.wire.limits
        limits[:] = [int(10 ** self.rng.uniform(3, 5.3)) for _ in range(2)]
        code = self._night(workspace)
        limits.clear()
        return code

    def _filled(self, workspace: Workspace) -> int:
        """Somebody else fills the file system, up to some kilobytes, in the middle of the run."""
        process = self._start(workspace)
        process.join(self._moment())
        ballast = self.folder / "ballast"
        left = int(10 ** self.rng.uniform(0, 5.5))
        try:
            fill(ballast, left)
            process.join()
        finally:
            ballast.unlink()
        return int(process.exitcode or 0)

    def _with_lock(self, workspace: Workspace) -> int:
        """Somebody holds, or takes away, the database for a while, in the middle of the run."""
        process = self._start(workspace, patient=False)
        process.join(self._moment())
        path = workspace.folder / "warnings.gpkg"
        url = workspace.monitor.store.url
        if url.startswith("postgresql"):
            with downtime(url):
                time.sleep(self.rng.uniform(0.1, 1.0))
        elif path.exists() and path.stat().st_size:
            with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as other:
                try:
                    other.execute("BEGIN IMMEDIATE")
                    time.sleep(self.rng.uniform(0.1, 1.0))
                    other.execute("ROLLBACK")
                except sqlite3.OperationalError:
                    pass
        process.join()
        return int(process.exitcode or 0)

    def _check_whole(self, workspace: Workspace) -> None:
        """Whatever stands under its own name is whole, at any time."""
        database = workspace.folder / "warnings.gpkg"
        if database.exists():
            with closing(sqlite3.connect(database)) as connection:
                if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                    self.tally.wrong["damaged database"] += 1
        for path in (workspace.folder / "products").glob("[!.]*.tif"):
            if ".raw." in path.name or ".part." in path.name:
                continue
            try:
                with rasterio.open(path) as source:
                    check_complete(source, 1)
            except (CurupiraError, rasterio.errors.RasterioError):
                self.tally.wrong["half-written file"] += 1
        folders = [workspace.folder / f for f in ("products", "masks")]
        for path in (p for f in folders + self._boxes(workspace) for p in f.rglob("[!.]*.*json")):
            if path.parent.name.startswith(".") or ".part" in str(path):
                continue
            try:
                json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                self.tally.wrong["half-written file"] += 1
        for manifest in (p for f in self._boxes(workspace) for p in f.glob("*/manifest.json")):
            for entry in json.loads(manifest.read_text(encoding="utf-8"))["files"]:
                if sha256(manifest.parent / entry["name"]) != entry["sha256"]:
                    self.tally.wrong["half-written file"] += 1
        if (workspace.folder / "cube").exists():
            try:
                reader = Cube.open(workspace.cube_path, workspace.grid, create=True).reader()
                for orbit in reader.orbits():
                    for scene_id in reader.scene_ids(orbit):
                        reader.read(orbit, scene_id, "vh", Window(0, 8, 0, 8))
            except CurupiraError:
                self.tally.wrong["damaged cube"] += 1

    def _check_end(self, workspace: Workspace) -> None:
        found = self.b.state(workspace)
        key = Counter(json.dumps(w, default=str, sort_keys=True) for w in found)
        wanted = Counter(json.dumps(w, default=str, sort_keys=True) for w in self.expected)
        self.tally.warnings += len(found)
        self.tally.wrong["warning lost"] += sum((wanted - key).values())
        self.tally.wrong["warning doubled or wrong"] += sum((key - wanted).values())
        rows = self.b.warning_rows(workspace)
        for box in self._boxes(workspace):
            self._check_told(box, rows)
        halves = [
            p
            for p in workspace.folder.rglob("*")
            if "cube" not in p.relative_to(workspace.folder).parts
            and (".part" in p.name or ".raw" in p.name)
        ]
        halves += [p for box in self._boxes(workspace) for p in box.rglob("*.part")]
        self.tally.wrong["leftover"] += len(halves)

    def _boxes(self, workspace: Workspace) -> list[Path]:
        """Where deliveries of a workspace arrive."""
        local = workspace.folder / "outbox"
        if self.remote is None:
            return [local]
        return [local, self.remote.server.root / workspace.folder.name]

    def _check_told(self, box: Path, rows: list[Any]) -> None:
        """Each warning once, those withdrawn since taken back."""
        told: defaultdict[str, list[str]] = defaultdict(list)
        for path in sorted(box.glob("*/*.geojson")):
            for feature in json.loads(path.read_text(encoding="utf-8"))["features"]:
                told[feature["id"]].append(feature["properties"]["delivery"])
        high = [r for r in rows if str(r.intensity_class) == "high_intensity"]
        owed = {r.warning_id for r in high if str(r.status) == "confirmed"}
        false = {r.warning_id for r in rows if str(r.closed_reason) == "withdrawn"} & set(told)
        self.tally.deliveries += sum(len(kinds) for kinds in told.values())
        self.tally.wrong["delivery lost"] += sum(told[i][:1] != ["new"] for i in owed)
        self.tally.wrong["delivery lost"] += sum(told[i][-1] != "correction" for i in false)
        self.tally.wrong["delivered twice"] += sum(k.count("new") > 1 for k in told.values())


def fill(path: Path, left: int) -> None:
    """Write a file until so many bytes are left, while others write and remove theirs."""
    with path.open("wb") as stream:
        size = 0
        for _ in range(100):
            room = shutil.disk_usage(path.parent).free - left
            if room <= 0:
                return
            with suppress(OSError):  # somebody was quicker: look again
                os.posix_fallocate(stream.fileno(), 0, size + room)
                size += room


@contextmanager
def spoilt(path: Path, rng: random.Random) -> Iterator[None]:
    """A file that is cut, scrambled, a web page or gone, for a while."""
    good = path.read_bytes()
    kind = rng.choice(("cut", "noise", "page", "gone"))
    beside = path.with_name(f"{path.name}.good")
    beside.write_bytes(good)
    if kind == "gone":
        path.unlink()
    elif kind == "cut":
        path.write_bytes(good[: rng.randrange(len(good))])
    elif kind == "noise":
        path.write_bytes(rng.randbytes(len(good)))
    else:
        path.write_bytes(b"<!DOCTYPE html><html><body>Please log in</body></html>")
    try:
        yield
    finally:
        beside.replace(path)


@contextmanager
def downtime(url: str) -> Iterator[None]:
    """A PostgreSQL database that drops its clients and takes no new ones."""
    import psycopg

    address, name = url.replace("+psycopg", "").rsplit("/", 1)
    with psycopg.connect(f"{address}/postgres", autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        try:
            yield
        finally:
            admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def table(tally: Tally) -> str:
    """The campaign in words."""
    lines = [f"{'fault':<14}{'runs':>6}  exit codes"]
    for fault, n in sorted(tally.runs.items()):
        codes = ", ".join(f"{code}: {k}" for code, k in sorted(tally.codes[fault].items()))
        lines.append(f"{fault:<14}{n:>6}  {codes}")
    lines.append(
        f"{sum(tally.runs.values())} disturbed runs of {tally.workspaces} workspaces, "
        f"{tally.warnings} warnings, {tally.deliveries} deliveries, {tally.seconds:.0f} s; "
        f"{tally.insisted} workspaces needed `run --force` for a quarantined scene"
    )
    lines += [f"{what}: {n}" for what, n in sorted(tally.wrong.items())]
    return "\n".join(lines)


def main() -> int:
    """Run a campaign; exit 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgis", action="store_true", help="store in a PostGIS of its own")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/results/faults.json")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="curupira-faults-"))
    try:
        with (
            databases() if arguments.postgis else nullcontext(nullcontext) as url,
            small_disk(folder / "disk") as small,
            remote(folder / "ssh") as other,
        ):
            campaign = Campaign(folder / "disk", arguments.seed, url, other, small=small)
            campaign.calm()
            tally = campaign.play(arguments.runs)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(table(tally))
    rows = [
        {"name": f"faults/{what}", "value": n, "unit": "count"} for what, n in tally.runs.items()
    ]
    rows += [
        {"name": f"wrong/{what}", "value": n, "unit": "count"} for what, n in tally.wrong.items()
    ]
    document = {
        "store": "postgis" if arguments.postgis else "geopackage",
        "runs": sum(tally.runs.values()),
        "seed": arguments.seed,
        "codes": {fault: dict(codes) for fault, codes in tally.codes.items()},
        "rows": rows,
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return int(any(tally.wrong.values()))


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A file system in memory, where that is allowed."""
    folder.mkdir()
    options = ("-t", "tmpfs", "-o", f"size={DISK_MB}m", "none", str(folder))
    mounted = subprocess.run(["mount", *options], check=False, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def remote(folder: Path) -> Iterator[Remote]:
    """The SFTP server of the campaign; its key is in the environment of the runs."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from delivering import cutter, sshd

    with sshd(folder) as server, cutter(server.port) as wire:
        os.environ["FAULTS_KEY"] = str(server.key_file)
        yield Remote(server, wire)


@contextmanager
def databases() -> Iterator[Callable[[], Any]]:
    """A PostGIS server for the campaign; each call makes a database for a workspace."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from postgis import running

    folder = Path(tempfile.mkdtemp(prefix="curupira-pg-"))
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")

    with running(folder) as server:

        @contextmanager
        def url() -> Iterator[str]:
            with server.database() as name:
                yield server.url(name)

        yield url
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
