"""No vote is lost when the server is killed while interpreters vote."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import httpx

from curupira.store import review as reviews
from curupira.store.session import Store

PASSWORD = "correct horse battery"


def test_every_vote_that_was_answered_survives_a_kill(serving: Any) -> None:
    served = serving()
    keys = served.ids
    served.app.state.site.store.close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from curupira.cli.main import run; run()"]
    command += ["serve", "-w", str(served.folder), "--port", str(port), "-q"]
    server = subprocess.Popen(command, start_new_session=True)
    try:
        base = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{base}/health", trust_env=False).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        answered = []
        with httpx.Client(base_url=base, trust_env=False) as client:
            login = client.post("/api/login", json={"name": "ana", "password": PASSWORD}).json()
            client.headers["X-CSRF-Token"] = login["csrf"]
            last: dict[str, str] = {}
            for n in range(40):
                key = keys[n % len(keys)]
                body = {"verdict": ("burnt", "residue")[n % 2], "supersedes": last.get(key)}
                vote = client.post(f"/api/warnings/{key}/review", json=body).json()
                last[key] = vote["vote_id"]
                answered.append(vote["vote_id"])
            os.killpg(server.pid, signal.SIGKILL)
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(20)
    with (
        Store.open("sqlite:///warnings.gpkg", base=served.folder, create=False) as store,
        store.reading() as session,
    ):
        kept = [v.vote_id for log in reviews.by_warning(session).values() for v in log]
    assert len(answered) == 40
    assert set(answered) <= set(kept)
