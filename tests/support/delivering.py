"""A workspace with warnings to deliver, and real servers to deliver them to."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import shapely
from postgis import free_port

from curupira.codes import IntensityClass, Status
from curupira.config import Workspace
from curupira.store import Store, WarningRow

NOW = datetime(2024, 6, 3, 4, tzinfo=UTC)
#: Of the outer world, what a delivery waits for between its tries.
PATIENCE = 20.0


def make_workspace(folder: Path, *sections: str) -> Workspace:
    """A workspace with an empty store and the targets given as TOML."""
    folder.mkdir(exist_ok=True)
    text = 'format = 1\n[area]\nname = "Terra do Meio"\n' + "\n".join(sections)
    (folder / "monitor.toml").write_text(text, encoding="utf-8")
    opened = Workspace.open(folder)
    with open_store(opened):
        return opened


def open_store(workspace: Workspace) -> Store:
    """The workspace's store."""
    return Store.open(workspace.monitor.store.url, base=workspace.folder, create=True)


def warning_row(n: int = 0, *, corners: int = 4, **given: Any) -> WarningRow:
    """The n-th warning of a row of them; many corners make large files."""
    west = -52.0 + 0.05 * n
    shape = shapely.Point(west + 0.01, -6.99).buffer(0.01, quad_segs=max(corners // 4, 1))
    values: dict[str, Any] = {
        "geom": shapely.MultiPolygon([shape]),
        "warning_id": str(uuid.UUID(int=0x1234_5678 << 96 | n + 1)),
        "status": Status.CONFIRMED,
        "intensity_class": IntensityClass.HIGH,
        "intensity": 12.5,
        "n_alerts": 3.0,
        "confidence": 0.9,
        "first_flag_date": date(2024, 5, 20),
        "first_flag_days": 1601,
        "issued_at": datetime(2024, 6, 1, 9, 45, tzinfo=UTC),
        "confirmed_at": datetime(2024, 6, 2, 9, 45, tzinfo=UTC),
        "recorded_at": NOW,
        "updated_at": NOW,
        "relative_orbit": 39,
        "platform": "sentinel-1a",
        "area_ha": 2.5 + n,
        "area_geodesic_ha": 2.5 + n,
        "municipality": "São Félix do Xingu",
        "geocode": "1507300",
        "uf": "PA",
        "priority": n + 1,
        "preset": "deter_r",
        "preset_hash": "abc",
        "run_id": "run-1",
    }
    return WarningRow(**(values | given))


def add(workspace: Workspace, *rows: WarningRow) -> list[str]:
    """Put warnings into the store; returns their ids."""
    with open_store(workspace) as store, store.transaction() as session:
        session.add_all(rows)
        return [row.warning_id for row in rows]


@dataclass
class Sshd:
    """A second OpenSSH server on loopback; logs in the user who runs the tests, by key."""

    port: int
    host_key: str
    key_file: Path
    root: Path

    @property
    def user(self) -> str:
        return getpass.getuser()


@contextmanager
def sshd(folder: Path) -> Iterator[Sshd]:
    """Start sshd in the foreground with keys of its own."""
    folder.mkdir(mode=0o700)
    for name in ("host", "client"):
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
    root = folder / "incoming"
    root.mkdir()
    shutil.copy(folder / "client.pub", folder / "authorized")
    (folder / "authorized").chmod(0o600)
    port = free_port()
    lines = (
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder / 'host'}",
        f"AuthorizedKeysFile {folder / 'authorized'}",
        "PermitRootLogin yes",
        "PasswordAuthentication yes",
        "StrictModes no",
        "UsePAM no",
        f"PidFile {folder / 'pid'}",
        "Subsystem sftp internal-sftp",
    )
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config")]
    host_key = " ".join((folder / "host.pub").read_text().split()[:2])
    with _serving(command, port, folder / "log"):
        yield Sshd(port, host_key, folder / "client", root)


@dataclass
class Vsftpd:
    """A vsftpd on loopback for anonymous uploads; ``root`` is where they go."""

    folder: Path
    root: Path
    port: int
    tls: bool
    rate: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def certificate(self) -> Path:
        return self.folder / "certificate.pem"

    def start(self) -> None:
        lines = [
            "listen=YES",
            "background=NO",
            "listen_address=127.0.0.1",
            f"listen_port={self.port}",
            "anonymous_enable=YES",
            "local_enable=NO",
            "write_enable=YES",
            "anon_upload_enable=YES",
            "anon_mkdir_write_enable=YES",
            "anon_other_write_enable=YES",
            "anon_world_readable_only=NO",
            "anon_umask=022",
            f"anon_root={self.root.parent}",
            f"anon_max_rate={self.rate}",
            "seccomp_sandbox=NO",
            "isolate=NO",
            "isolate_network=NO",
            f"secure_chroot_dir={self.folder / 'empty'}",
            f"vsftpd_log_file={self.folder / 'log'}",
            "xferlog_enable=YES",
        ]
        if os.getuid() != 0:
            lines.append("run_as_launching_user=YES")
        if self.tls:
            lines += [
                "ssl_enable=YES",
                "allow_anon_ssl=YES",
                "force_anon_logins_ssl=YES",
                "force_anon_data_ssl=YES",
                "require_ssl_reuse=YES",
                f"rsa_cert_file={self.certificate}",
                f"rsa_private_key_file={self.folder / 'key.pem'}",
            ]
        config = self.folder / "vsftpd.conf"
        config.write_text("\n".join(lines) + "\n")
        # A session of its own, so that its children go with it.
        self.process = subprocess.Popen(
            ["/usr/sbin/vsftpd", str(config)], start_new_session=True, cwd=self.folder
        )
        _wait(self.port)

    def kill(self) -> None:
        """Kill the server and every process that serves a connection."""
        if self.process is not None:
            family = _family(self.process.pid)
            for pid in family:
                with suppress(ProcessLookupError):
                    os.kill(pid, 9)
            self.process.wait()
            self.process = None


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            with suppress(OSError):
                found += [int(word) for word in children.read_text().split()]
    return found


@contextmanager
def vsftpd(folder: Path, *, tls: bool = False, rate: int = 0) -> Iterator[Vsftpd]:
    """Start vsftpd with a certificate of its own."""
    folder.mkdir()
    root = folder / "pub" / "incoming"
    root.mkdir(parents=True)
    (folder / "empty").mkdir()
    root.chmod(0o777)
    # The server's user must come through; the root itself it may not write.
    for path in (folder, *folder.parents):
        if path.stat().st_uid == os.getuid() and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o011)
    _certificate(folder)
    server = Vsftpd(folder, root, free_port(), tls, rate)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _certificate(folder: Path) -> None:
    _run(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
        *("-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")),
        *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
    )


@dataclass
class Cutter:
    """Between client and server: cuts the connection after so many bytes sent by the client."""

    port: int
    limits: list[int] = field(default_factory=list)
    cuts: int = 0


@contextmanager
def cutter(target: int, *limits: int) -> Iterator[Cutter]:
    """Forward a port; the n-th connection is cut after the n-th limit, later ones never."""
    listener = socket.create_server(("127.0.0.1", 0))
    state = Cutter(listener.getsockname()[1], list(limits))
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                client, _ = listener.accept()
            except OSError:
                return
            limit = state.limits.pop(0) if state.limits else None
            server = socket.create_connection(("127.0.0.1", target))
            threading.Thread(target=pump, args=(server, client, None), daemon=True).start()
            threading.Thread(target=pump, args=(client, server, limit), daemon=True).start()

    def pump(source: socket.socket, sink: socket.socket, limit: int | None) -> None:
        passed = 0
        with suppress(OSError):
            while block := source.recv(4096):
                passed += len(block)
                if limit is not None and passed > limit:
                    state.cuts += 1
                    break
                sink.sendall(block)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        stop.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@dataclass
class Receiver:
    """A webhook's other end: what came, and what it answers (a status, or ``None`` for none)."""

    port: int
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int | None] = field(default_factory=list)


@contextmanager
def receiver() -> Iterator[Receiver]:
    """An HTTP server that keeps every request; without a planned answer it says 204."""
    state: Receiver

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.came.append((dict(self.headers), body))
            answer = state.answers.pop(0) if state.answers else 204
            if answer is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(answer)
            self.send_header("Content-Length", "0")
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Receiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def _serving(command: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stderr=stream, stdout=stream, cwd="/")
        try:
            _wait(port)
            yield
        finally:
            process.terminate()
            process.wait()


def _wait(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                pytest.fail(f"no server on port {port}", pytrace=False)
            time.sleep(0.02)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}: {done.stderr}", pytrace=False)
