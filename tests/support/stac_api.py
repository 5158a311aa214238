"""A real STAC API (stac-fastapi-pgstac) on the session's PostGIS, and a file server with faults."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from postgis import PostGis, free_port

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass
class Api:
    """A running STAC API."""

    url: str
    dsn: str
    folder: Path
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    def collection(self, items: list[dict[str, Any]]) -> str:
        """Publish items as a new collection; return its id."""
        name = f"images-{next(self._numbers)}"
        document = {
            "type": "Collection",
            "id": name,
            "stac_version": "1.0.0",
            "description": "test",
            "license": "other",
            "links": [],
            "extent": {
                "spatial": {"bbox": [[-180, -90, 180, 90]]},
                "temporal": {"interval": [["2014-01-01T00:00:00Z", None]]},
            },
        }
        # Imported here: the other tests need not wait for it.
        from pypgstac.db import PgstacDB
        from pypgstac.load import Loader, Methods

        with PgstacDB(dsn=self.dsn) as db:
            loader = Loader(db=db)
            place = self.folder / f"{name}.json"
            place.write_text(json.dumps(document))
            loader.load_collections(str(place), Methods.insert)
        self.add(name, items)
        return name

    def add(self, collection: str, items: list[dict[str, Any]]) -> None:
        """Publish more items; one of a known id is replaced."""
        from pypgstac.db import PgstacDB
        from pypgstac.load import Loader, Methods

        place = self.folder / f"{collection}-items.ndjson"
        lines = [json.dumps({**item, "collection": collection}) for item in items]
        place.write_text("\n".join(lines))
        with PgstacDB(dsn=self.dsn) as db:
            Loader(db=db).load_items(str(place), Methods.upsert)


@pytest.fixture(scope="session")
def stac_api(postgis: PostGis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """stac-fastapi-pgstac as it runs in production, in a process of its own."""
    from pypgstac.db import PgstacDB
    from pypgstac.migrate import Migrate

    folder = tmp_path_factory.mktemp("stac-api")
    with postgis.database() as name:
        dsn = f"postgresql://postgres@127.0.0.1:{postgis.port}/{name}"
        with PgstacDB(dsn=dsn) as db:
            Migrate(db).run_migration()
        port = free_port()
        settings = {
            "PGUSER": "postgres",
            "PGPASSWORD": "none",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(postgis.port),
            "PGDATABASE": name,
        }
        command = [sys.executable, "-m", "uvicorn", "--factory"]
        command += ["stac_fastapi.pgstac.app:create_app", "--port", str(port)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command, env=os.environ | settings, cwd=folder, stdout=log, stderr=log
            )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(f"{url}/_mgmt/ping", process, folder / "log")
            yield Api(url, dsn, folder)
        finally:
            # Nothing of it is kept: it need not close its connections in order.
            process.kill()
            process.wait(20)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the STAC API does not start: {log.read_text()[-2000:]}")


Answer = Callable[["Handler"], bool]


class Handler(BaseHTTPRequestHandler):
    """Serves files with ranges; asks the server's faults first."""

    protocol_version = "HTTP/1.1"
    server: FileServer

    def do_GET(self) -> None:
        """Answer as the faults say, or with the file."""
        # Read even if unused: on a kept connection it would be taken for the next request.
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.note(self)
        for fault in list(self.server.faults):
            if fault(self):
                return
        path = self.server.folder / self.path.partition("?")[0].lstrip("/")
        if not path.is_file():
            self.answer(404, b"gone")
            return
        self.send_file(path.read_bytes())

    do_POST = do_HEAD = do_GET  # noqa: N815 (http.server's names)

    def send_file(self, content: bytes, *, cut: int | None = None, length: bool = True) -> None:
        """Send content, or the range asked for; ``cut``: only so many bytes, then hang up."""
        wanted = _RANGE.fullmatch(self.headers.get("Range", ""))
        start, end = 0, len(content)
        etag = f'"{len(content)}-{hash(content)}"'
        if wanted and self.headers.get("If-Range", etag) == etag:
            start = int(wanted[1])
            end = min(int(wanted[2]) + 1 if wanted[2] else len(content), len(content))
            if start >= len(content):
                self.answer(416, b"")
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("ETag", etag)
        self.send_header("Accept-Ranges", "bytes")
        if length:
            self.send_header("Content-Length", str(end - start))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        body = content[start:end]
        if cut is not None and len(body) > cut:
            self.wfile.write(body[:cut])
            self.close_connection = True
        elif self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = self.close_connection or not length

    def answer(self, status: int, body: bytes, kind: str = "text/plain", **headers: str) -> None:
        """Send a small answer."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


class FileServer(ThreadingHTTPServer):
    """Serves a folder on loopback. ``faults`` are asked first; ``seen`` are all requests."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.faults: list[Answer] = []
        self.seen: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        """Root."""
        return f"http://127.0.0.1:{self.server_port}"

    def note(self, handler: Handler) -> None:
        """Keep a request for the test to look at."""
        headers = {name.lower(): value for name, value in handler.headers.items()}
        headers["method"] = handler.command
        self.seen.append((handler.path, headers))

    def times(self, count: int, part: str, answer: Callable[[Handler], None]) -> None:
        """Give an answer to the next requests whose path has a part; then serve as usual."""
        left = Counter({"left": count})

        def fault(handler: Handler) -> bool:
            if part not in handler.path or left["left"] <= 0:
                return False
            left["left"] -= 1
            answer(handler)
            return True

        self.faults.append(fault)

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is no fault of a test."""


@pytest.fixture
def files(tmp_path: Path) -> Iterator[FileServer]:
    """A file server of the folder ``served``."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = FileServer(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
