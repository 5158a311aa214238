"""Deliveries to real servers, with cuts in the middle: nothing lost, nothing doubled."""

from __future__ import annotations

import email
import hashlib
import hmac
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import policy
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from delivering import (
    NOW,
    PATIENCE,
    add,
    cutter,
    make_workspace,
    open_store,
    receiver,
    sshd,
    vsftpd,
    warning_row,
)
from postgis import free_port

from curupira.deliver.package import sha256
from curupira.errors import ConfigError, DeliveryError
from curupira.pipelines.delivery import Options, deliver
from curupira.store import DeliveryRow

#: Enough corners that a package is some hundred kilobytes.
LARGE = 2000


def options(environment: dict[str, str] | None = None) -> Options:
    return Options(now=lambda: NOW, sleep=lambda _: None, environment=environment or {})


def complete(root: Path) -> set[str]:
    """Warnings that arrived whole in folders with manifests; every hash is checked."""
    found: list[str] = []
    for manifest in root.glob("*/manifest.json"):
        document = json.loads(manifest.read_text())
        for entry in document["files"]:
            assert sha256(manifest.parent / entry["name"]) == entry["sha256"]
            if entry["name"].endswith(".geojson"):
                text = (manifest.parent / entry["name"]).read_text()
                found += [feature["id"] for feature in json.loads(text)["features"]]
    assert len(found) == len(set(found)), "a warning came twice"
    assert not list(root.rglob("*.part"))
    return set(found)


def sent_once(workspace, target: str) -> set[str]:
    with open_store(workspace) as store, store.reading() as session:
        rows = [r for r in session.query(DeliveryRow) if r.target == target]
    assert {r.state for r in rows} == {"sent"}
    assert len({r.warning_id for r in rows}) == len(rows)
    return {r.warning_id for r in rows}


def sftp_section(server, port: int, host_key: str | None = None) -> str:
    return f"""
[delivery.agency]
kind = "sftp"
url = "sftp://{server.user}@127.0.0.1:{port}{server.root}"
host_key = "{host_key or server.host_key}"
key_file_env = "AGENCY_KEY"
attempts = 2
timeout_s = 20
"""


def test_sftp_goes_on_after_cuts(tmp_path):
    with sshd(tmp_path / "ssh") as server:
        with cutter(server.port, 30_000, 90_000, 60_000) as wire:
            workspace = make_workspace(tmp_path / "w", sftp_section(server, wire.port))
            ids = add(workspace, *(warning_row(n, corners=LARGE) for n in range(6)))
            world = options({"AGENCY_KEY": str(server.key_file)})
            (first,) = deliver(workspace, None, world)
            assert isinstance(first.error, DeliveryError)
            assert first.error.exit_code == 6
            assert first.left
            # The server may still be writing what arrived before the cuts.
            deadline = time.monotonic() + PATIENCE
            while not any(p.stat().st_size for p in server.root.rglob("*.part")):
                assert time.monotonic() < deadline, "nothing arrived before the cuts"
                time.sleep(0.02)
            assert not complete_or_empty(server.root)
            (second,) = deliver(workspace, None, world)
            assert second.error is None
            assert second.chosen == {}
            assert wire.limits == []
            assert wire.cuts >= 2
        assert complete(server.root) == set(ids) == sent_once(workspace, "agency")


def complete_or_empty(root: Path) -> bool:
    return bool(list(root.glob("*/manifest.json")))


def test_an_unfinished_file_is_continued_not_repeated(tmp_path):
    """The bytes that come in after a cut are those that were missing."""
    with sshd(tmp_path / "ssh") as server:
        workspace = make_workspace(tmp_path / "w", sftp_section(server, server.port))
        add(workspace, *(warning_row(n, corners=LARGE) for n in range(6)))
        world = options({"AGENCY_KEY": str(server.key_file)})
        broken = Options(now=lambda: NOW, sleep=lambda _: None, environment={})
        (outcome,) = deliver(workspace, None, broken)
        assert isinstance(outcome.error, ConfigError)  # the variable is not set: packed, not sent
        (package,) = [p for p in (workspace.folder / "deliveries/agency").iterdir() if p.is_dir()]
        (file,) = package.glob("*.gpkg")
        there = server.root / package.name
        there.mkdir()
        part = there / f"{file.name}.part"
        # Marked bytes stand for what had arrived; they must be left alone.
        part.write_bytes(b"#" * 50_000)
        (outcome,) = deliver(workspace, None, world)
        assert outcome.error is None
        arrived = (there / file.name).read_bytes()
        assert arrived[:50_000] == b"#" * 50_000
        assert arrived[50_000:] == file.read_bytes()[50_000:]


def test_sftp_refuses_another_host_key(tmp_path):
    with sshd(tmp_path / "ssh") as server, sshd(tmp_path / "other") as other:
        section = sftp_section(server, server.port, host_key=other.host_key)
        workspace = make_workspace(tmp_path / "w", section)
        add(workspace, warning_row())
        (outcome,) = deliver(workspace, None, options({"AGENCY_KEY": str(server.key_file)}))
        assert "another key" in str(outcome.error)
        assert not list(server.root.iterdir())


def test_sftp_wrong_password_is_no_secret_in_any_file(tmp_path, capfd):
    secret = "correct-horse-battery"
    with sshd(tmp_path / "ssh") as server:
        section = sftp_section(server, server.port).replace("key_file_env", "password_env")
        workspace = make_workspace(tmp_path / "w", section)
        add(workspace, warning_row())
        (outcome,) = deliver(workspace, None, options({"AGENCY_KEY": secret}))
    assert "refuses the login" in str(outcome.error)
    assert secret not in str(outcome.error) + repr(outcome) + "".join(capfd.readouterr())
    for path in workspace.folder.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes()


def ftp_section(server, scheme: str) -> str:
    return f"""
[delivery.agency]
kind = "{scheme}"
url = "{scheme}://127.0.0.1:{server.port}/incoming"
password_env = "AGENCY_PASSWORD"
ca_file = "{server.certificate if server.tls else ""}"
attempts = 1
timeout_s = 20
"""


@pytest.mark.parametrize("scheme", ["ftp", "ftps"])
def test_ftp_goes_on_after_the_server_was_killed(tmp_path, scheme):
    world = options({"AGENCY_PASSWORD": "me@example.org"})
    with vsftpd(tmp_path / "ftp", tls=scheme == "ftps", rate=100_000) as server:
        workspace = make_workspace(tmp_path / "w", ftp_section(server, scheme))
        ids = add(workspace, *(warning_row(n, corners=LARGE) for n in range(4)))

        def kill_in_the_middle() -> None:
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                if any(p.stat().st_size > 40_000 for p in server.root.rglob("*.part")):
                    break
                time.sleep(0.01)
            server.kill()

        killer = threading.Thread(target=kill_in_the_middle)
        killer.start()
        (first,) = deliver(workspace, None, world)
        killer.join()
        assert isinstance(first.error, DeliveryError)
        assert list(server.root.rglob("*.part"))
        assert not complete_or_empty(server.root)
        (down,) = deliver(workspace, None, world)  # nobody answers
        assert isinstance(down.error, DeliveryError)
        server.rate = 0
        server.start()
        (second,) = deliver(workspace, None, world)
        assert second.error is None
        assert complete(server.root) == set(ids) == sent_once(workspace, "agency")


def test_ftps_refuses_an_unknown_certificate(tmp_path):
    with vsftpd(tmp_path / "ftp", tls=True) as server:
        section = ftp_section(server, "ftps").replace(str(server.certificate), "")
        workspace = make_workspace(tmp_path / "w", section)
        add(workspace, warning_row())
        (outcome,) = deliver(workspace, None, options({"AGENCY_PASSWORD": "x"}))
        assert "certificate is not trusted" in str(outcome.error)
        assert not list(server.root.iterdir())


def test_webhook_is_signed_repeated_with_the_same_id_and_drops_nothing(tmp_path):
    secret = "webhook-signing-secret"
    with receiver() as other:
        section = f"""
[delivery.app]
kind = "webhook"
url = "http://127.0.0.1:{other.port}/hook"
secret_env = "APP_SECRET"
attempts = 2
"""
        workspace = make_workspace(tmp_path / "w", section)
        ids = add(workspace, *(warning_row(n) for n in range(450)))
        # Received, but the answer is lost; then busy; then all well.
        other.answers = [204, None, 503]
        (first,) = deliver(workspace, None, options({"APP_SECRET": secret}))
        assert isinstance(first.error, DeliveryError)
        (second,) = deliver(workspace, None, options({"APP_SECRET": secret}))
        assert second.error is None
        assert sent_once(workspace, "app") == set(ids)
    taken: dict[str, bytes] = {}
    for headers, body in other.came:
        signed = headers["X-Curupira-Timestamp"].encode() + b"." + body
        expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        assert headers["X-Curupira-Signature"] == f"sha256={expected}"
        assert taken.setdefault(headers["X-Curupira-Delivery"], body) == body
    got = [f["id"] for body in taken.values() for f in json.loads(body)["features"]]
    assert sorted(got) == sorted(ids)
    assert len(other.came) == 5  # three messages, the second three times
    assert all(json.loads(body)["delivery"] == name for name, body in taken.items())
    for path in workspace.folder.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes()


def test_webhook_follows_no_redirection(tmp_path):
    with receiver() as other:
        section = f"""
[delivery.app]
kind = "webhook"
url = "http://127.0.0.1:{other.port}/hook"
secret_env = "APP_SECRET"
"""
        workspace = make_workspace(tmp_path / "w", section)
        add(workspace, warning_row())
        other.answers = [302]
        (outcome,) = deliver(workspace, None, options({"APP_SECRET": "s"}))
        assert "302" in str(outcome.error)
        assert len(other.came) == 1


class Sink:
    """A mail server's end: keeps messages; says no as often as it is told to."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.busy = 0
        self.unknown: set[str] = set()
        self.closing = ""
        self.got: list[str] = []

    async def handle_RCPT(self, server, session, envelope, address, options) -> str:  # noqa: N802
        if address in self.unknown:
            return "550 no such mailbox"
        if address == self.closing:
            return "421 closing"
        envelope.rcpt_tos.append(address)
        return "250 known"

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802 (as aiosmtpd calls)
        if self.busy:
            self.busy -= 1
            return "451 try again later"
        self.mails.append(envelope.content)
        self.got += envelope.rcpt_tos
        return "250 taken"


@contextmanager
def mail_server(sink: Sink) -> Iterator[int]:
    """A mail server with a sink behind it; yields its port."""
    server = Controller(sink, hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


def test_daily_digest_is_small_plain_and_sent_once_an_area(tmp_path):
    sink = Sink()
    with mail_server(sink) as port:
        section = f"""
[delivery.mail]
kind = "email"
url = "smtp://127.0.0.1:{port}"
sender = "curupira@example.org"
recipients = ["ibama@example.org", "funai@example.org"]
split = "uf"
attempts = 1
"""
        workspace = make_workspace(tmp_path / "w", section)
        add(
            workspace,
            *(warning_row(n, corners=400, uf="PA") for n in range(300)),
            warning_row(300, uf="AM", municipality="Lábrea", priority=None),
        )
        sink.busy = 1
        (first,) = deliver(workspace, None, options())
        assert isinstance(first.error, DeliveryError)
        (second,) = deliver(workspace, None, options())
        assert second.error is None
        (third,) = deliver(workspace, None, options())
        assert third.chosen == {}
    assert len(sink.mails) == 2
    mails = [email.message_from_bytes(m, policy=policy.default) for m in sink.mails]
    by_area = {mail["Subject"].split(":")[0]: mail for mail in mails}
    assert set(by_area) == {"AM", "PA"}
    assert len({mail["Message-ID"] for mail in mails}) == 2
    assert all(len(raw) < 200_000 for raw in sink.mails)
    text = by_area["PA"].get_body(("plain",)).get_content()
    assert text.count("ha, high intensity") == 10
    assert "290 more" in text
    # The ten of the highest rank, in its order.
    assert [line for line in text.splitlines() if "warning 12345678" in line]
    assert "10. NEW: 11.5 ha" in text
    page = by_area["PA"].get_body(("html",)).get_content()
    assert "http" not in page.replace("http-equiv", "")  # nothing to be loaded
    assert page.count("geo:-6.9") == 10
    (points,) = by_area["PA"].iter_attachments()
    assert points.get_content_type() == "application/gpx+xml"
    assert "Lábrea" in by_area["AM"].get_body(("plain",)).get_content()


def test_a_refused_recipient_is_told_of_and_costs_the_others_nothing(tmp_path):
    sink = Sink()
    one, gone = "ibama@example.org", "gone@example.org"
    sink.unknown = {gone}
    with mail_server(sink) as port:
        section = f"""
[delivery.mail]
kind = "email"
url = "smtp://127.0.0.1:{port}"
sender = "curupira@example.org"
recipients = ["{one}", "{gone}"]
"""
        workspace = make_workspace(tmp_path / "w", section)
        for n in range(2):
            add(workspace, warning_row(n))
            (outcome,) = deliver(workspace, None, options())
            assert isinstance(outcome.error, DeliveryError)
            assert gone in str(outcome.error)
            assert one not in str(outcome.error)
            assert len(outcome.left) == n + 1
        assert sink.got == [one, one]
        sink.unknown = set()
        (last,) = deliver(workspace, None, options())
        assert (last.error, last.left) == (None, [])
        assert sink.got == [one, one, gone, gone]


def test_a_server_that_hangs_up_between_recipients_has_given_it_to_nobody(tmp_path):
    sink = Sink()
    to = ["ibama@example.org", "funai@example.org", "icmbio@example.org"]
    sink.closing = to[1]
    with mail_server(sink) as port:
        section = f"""
[delivery.mail]
kind = "email"
url = "smtp://127.0.0.1:{port}"
sender = "curupira@example.org"
recipients = {to}
attempts = 1
"""
        workspace = make_workspace(tmp_path / "w", section)
        add(workspace, warning_row(0))
        (outcome,) = deliver(workspace, None, options())
        assert isinstance(outcome.error, DeliveryError)
        assert sink.got == []
        sink.closing = ""
        (last,) = deliver(workspace, None, options())
        assert (last.error, last.left) == (None, [])
        assert sink.got == to


def test_one_target_down_does_not_stop_another(tmp_path):
    sections = (
        '[delivery.down]\nkind = "ftp"\nurl = "ftp://127.0.0.1:9/x"\nattempts = 1\n',
        '[delivery.local]\nkind = "folder"\nurl = "outbox"\n',
    )
    workspace = make_workspace(tmp_path / "w", *sections)
    ids = add(workspace, warning_row(0), warning_row(1))
    down, local = deliver(workspace, None, options())
    assert isinstance(down.error, DeliveryError)
    assert local.error is None
    assert complete(workspace.folder / "outbox") == set(ids)


def test_two_deliveries_to_one_target_at_once(tmp_path):
    """Processes that deliver at the same moment do not double anything."""
    workspace = make_workspace(tmp_path / "w", '[delivery.local]\nkind = "folder"\n')
    ids = add(workspace, *(warning_row(n) for n in range(20)))
    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                outcome = deliver(workspace, None, options())[0]
                code = 0 if outcome.error is None else 6
            finally:
                os._exit(code)
        children.append(pid)
    codes = sorted(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children)
    assert codes[0] == 0
    assert set(codes) <= {0, 6}
    assert complete(workspace.folder / "outbox") == set(ids) == sent_once(workspace, "local")
