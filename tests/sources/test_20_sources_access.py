"""Credentials: from the environment, to the hosts named, renewed once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from stac_api import FileServer, Handler

from curupira.errors import ConfigError, SourceError
from curupira.sources.access import Access, S3Signature, access_for
from curupira.sources.download import Download
from curupira.sources.http import Http
from curupira.sources.profiles import SourceParams

CONTENT = b"II*\x00" + bytes(range(256)) * 50
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
SECRETS = (
    "CURUPIRA_SOURCE_TOKEN",
    "CURUPIRA_SOURCE_TOKEN_FILE",
    "CURUPIRA_SOURCE_USER",
    "CURUPIRA_SOURCE_PASSWORD",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "PC_SDK_SUBSCRIPTION_KEY",
)


@pytest.fixture(autouse=True)
def _no_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def make(files: FileServer) -> Callable[..., tuple[Access, Callable[[], Path]]]:
    (files.folder / "rtc").mkdir()
    (files.folder / "rtc" / "vh.tif").write_bytes(CONTENT)

    def _make(**settings: object) -> tuple[Access, Callable[[], Path]]:
        params = SourceParams.model_validate(
            {
                "profile": "pc-rtc",
                "catalogue": files.url,
                "token_url": f"{files.url}/token",
                "token_hosts": ("127.0.0.1",),
                "attempts": 2,
                "requests_per_second": 1000,
                **settings,
            }
        )
        http = Http(params, sleep=lambda _: None)
        access = access_for(params, http, lambda: NOW)
        target = files.folder.parent / "down" / "vh.tif"

        def fetch() -> Path:
            target.unlink(missing_ok=True)
            href = f"{files.url}/rtc/vh.tif"
            return Download(http, access, href, target, "scene S, vh").fetch()

        return access, fetch

    return _make


class SasService:
    """Gives tokens; its images open to the newest only."""

    def __init__(self, files: FileServer, lasts: timedelta) -> None:
        self.given = 0
        self.lasts = lasts
        files.faults.append(self)

    def __call__(self, handler: Handler) -> bool:
        place = urlsplit(handler.path)
        if place.path.startswith("/token"):
            assert place.path == "/token/127/rtc"
            self.given += 1
            until = (NOW + self.lasts).strftime("%Y-%m-%dT%H:%M:%SZ")
            body = json.dumps({"token": f"sig=SECRET{self.given}", "msft:expiry": until})
            handler.answer(200, body.encode(), "application/json")
            return True
        if parse_qs(place.query).get("sig") != [f"SECRET{self.given}"]:
            handler.answer(403, b"<Error>AuthenticationFailed</Error>", "application/xml")
            return True
        return False


def test_a_sas_token_is_kept_until_it_ends(files: FileServer, make: Callable) -> None:
    service = SasService(files, timedelta(hours=1))
    _, fetch = make()
    for _ in range(3):
        assert fetch().read_bytes() == CONTENT
    assert service.given == 1


def test_a_sas_token_near_its_end_is_not_used(files: FileServer, make: Callable) -> None:
    service = SasService(files, timedelta(minutes=1))
    _, fetch = make()
    fetch()
    fetch()
    assert service.given == 2


def test_a_token_that_is_refused_is_renewed_once(files: FileServer, make: Callable) -> None:
    service = SasService(files, timedelta(hours=1))
    _, fetch = make()
    fetch()
    # The provider has revoked it before its time.
    service.given = 7
    assert fetch().read_bytes() == CONTENT
    assert service.given == 8
    files.times(99, "/rtc/", lambda h: h.answer(403, b"no"))
    files.faults.insert(0, files.faults.pop())
    before = len(files.seen)
    with pytest.raises(SourceError, match="refuses the credentials") as caught:
        fetch()
    assert "SECRET" not in str(caught.value)
    assert len([p for p, _ in files.seen[before:] if "/rtc/" in p]) == 2


def test_a_signer_without_a_signature(files: FileServer, make: Callable) -> None:
    files.times(9, "/token", lambda h: h.answer(200, b"<html>sorry</html>", "text/html"))
    with pytest.raises(SourceError, match="gives no signature"):
        make()[1]()


def test_credentials_go_to_named_hosts_only(
    files: FileServer, make: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURUPIRA_SOURCE_TOKEN", "SECRET")
    access, _ = make(access="bearer", token_hosts=("data.x.org", ".y.org", "127.0.0.1"))
    trusted = ["https://data.x.org/a", "https://a.b.y.org/a", "https://y.org/a", files.url]
    strange = [
        "https://x.org/a",
        "https://evil-y.org/a",
        "https://data.x.org.evil.com/a",
        "http://data.x.org/a",
    ]
    assert all(access.auth(href) is not None for href in trusted)
    assert all(access.auth(href) is None for href in strange)
    assert all(access.gdal(href) == {} for href in strange)
    sas, _ = make(token_hosts=("elsewhere.org",))
    assert sas.url(f"{files.url}/rtc/vh.tif") == f"{files.url}/rtc/vh.tif"


def test_a_bearer_token_file_is_read_again_when_refused(
    files: FileServer, make: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")
    monkeypatch.setenv("CURUPIRA_SOURCE_TOKEN_FILE", str(token))

    def guard(handler: Handler) -> bool:
        if handler.headers.get("Authorization") == "Bearer new":
            return False
        # As Earthdata does: success, with a login page. The user renews the file meanwhile.
        token.write_text("new\n")
        handler.answer(200, b"<html>login</html>", "text/html")
        return True

    files.faults.append(guard)
    assert make(access="bearer")[1]().read_bytes() == CONTENT
    assert len(files.seen) == 2


def test_no_token_and_no_netrc_is_told(make: Callable) -> None:
    with pytest.raises(SourceError, match="no token and no netrc") as caught:
        make(access="bearer")[1]()
    assert "CURUPIRA_SOURCE_TOKEN" in str(caught.value)


def test_a_token_file_that_is_not_there(
    make: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CURUPIRA_SOURCE_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="cannot be read"):
        make(access="bearer")[1]()


def test_netrc_speaks_where_there_is_no_token(
    files: FileServer, make: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login maria password SECRET\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    make(access="bearer")[1]()
    assert files.seen[-1][1]["authorization"].startswith("Basic ")


def test_user_and_password_become_a_token(
    files: FileServer, make: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"count": 0}

    def login(handler: Handler) -> bool:
        if handler.command == "POST":
            form = parse_qs(handler.body.decode())
            assert form["username"] == ["maria"]
            assert form["password"] == ["SECRET"]
            given["count"] += 1
            body = json.dumps({"access_token": f"t{given['count']}", "expires_in": 600})
            handler.answer(200, body.encode(), "application/json")
            return True
        if handler.headers.get("Authorization") != f"Bearer t{max(2, given['count'])}":
            handler.answer(401, b"expired")
            return True
        return False

    files.faults.append(login)
    with pytest.raises(SourceError, match="no user or no password"):
        make(access="oidc")[1]()
    monkeypatch.setenv("CURUPIRA_SOURCE_USER", "maria")
    monkeypatch.setenv("CURUPIRA_SOURCE_PASSWORD", "SECRET")
    _, fetch = make(access="oidc")
    assert fetch().read_bytes() == CONTENT
    fetch()
    assert given["count"] == 2


def test_the_s3_signature_is_amazons() -> None:
    # The GET example of "Authenticating Requests: Using the Authorization Header (AWS Signature
    # Version 4)", Amazon S3 API reference.
    request = requests.Request(
        "GET",
        "https://examplebucket.s3.amazonaws.com/test.txt",
        headers={"Range": "bytes=0-9"},
        auth=S3Signature(
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "us-east-1",
            now=lambda: datetime(2013, 5, 24, tzinfo=UTC),
        ),
    ).prepare()
    assert request.headers["Authorization"].endswith(
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_s3_links_become_requests_of_the_service(
    files: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (files.folder / "eodata").mkdir()
    (files.folder / "eodata" / "vh.tif").write_bytes(CONTENT)
    params = SourceParams(
        profile="cdse-grd",
        s3_endpoint=files.url,
        token_hosts=("127.0.0.1",),
        requester_pays=True,
    )
    http = Http(params, sleep=lambda _: None)
    access = access_for(params, http)
    target = files.folder.parent / "vh.tif"
    fetch = Download(http, access, "s3://eodata/vh.tif", target, "scene S, vh").fetch
    with pytest.raises(SourceError, match="AWS_ACCESS_KEY_ID"):
        fetch()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
    assert fetch().read_bytes() == CONTENT
    headers = files.seen[-1][1]
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=KEY/")
    assert headers["x-amz-request-payer"] == "requester"
    assert "SECRET" not in str(headers)
    assert access.gdal("s3://eodata/vh.tif")["AWS_VIRTUAL_HOSTING"] == "FALSE"
