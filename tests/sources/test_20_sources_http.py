"""Manners of a connection, and downloads that are cut, refused, or wrong."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import requests
from stac_api import FileServer, Handler

from curupira.errors import InputError, SourceError
from curupira.sources.access import access_for
from curupira.sources.download import Download
from curupira.sources.http import Http, TokenBucket, redact, retry_after
from curupira.sources.profiles import SourceParams

NOW = datetime(2024, 6, 1, tzinfo=UTC)
#: Starts as a TIFF does; long enough for several reads.
CONTENT = b"II*\x00" + os.urandom(3_000_000)
LOGIN_PAGE = b"<!DOCTYPE html><html><title>Earthdata Login</title></html>"
Fetch = Callable[..., Path]


def test_the_bucket_keeps_the_rate() -> None:
    clock = {"now": 0.0}

    def sleep(seconds: float) -> None:
        clock["now"] += seconds

    bucket = TokenBucket(4.0, lambda: clock["now"], sleep)
    for _ in range(4 + 40):
        bucket.take()
    assert clock["now"] == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (format_datetime(NOW + timedelta(seconds=90)), 90.0),
        (format_datetime(NOW - timedelta(seconds=90)), 0.0),
        ("", 0.0),
        ("soon", 0.0),
    ],
)
def test_retry_after_has_two_forms(value: str, seconds: float) -> None:
    assert retry_after(value, NOW) == seconds


def test_redaction_takes_queries_and_users_out() -> None:
    text = (
        "a https://x.org/c/f.tif?sig=SECRET&b=1, 's3://k:SECRET@y/z' (http://u:SECRET@h/p?q=SECRET)"
    )
    clear = redact(text)
    assert "SECRET" not in clear
    assert "https://x.org/c/f.tif" in clear
    assert (
        redact("f.tif?sig=SECRET%2Bx, band 1: IReadBlock failed")
        == "f.tif band 1: IReadBlock failed"
    )
    assert redact("who? me=you") == "who? me=you"
    assert redact("https://x.org/plain.tif") == "https://x.org/plain.tif"


class Bench:
    """A connection whose pauses are noted instead of waited for."""

    def __init__(self, server: FileServer, folder: Path, **settings: object) -> None:
        self.pauses: list[float] = []
        self.params = SourceParams.model_validate(
            {
                "profile": "pc-rtc",
                "catalogue": server.url,
                "access": "none",
                "attempts": 3,
                "timeout_s": 2,
                "requests_per_second": 1000,
                **settings,
            }
        )
        self.http = Http(self.params, sleep=self.pauses.append)
        self.access = access_for(self.params, self.http)
        self.server, self.folder = server, folder

    def fetch(self, checksum: str = "", name: str = "vh.tif") -> Path:
        return Download(
            self.http,
            self.access,
            f"{self.server.url}/{name}",
            self.folder / name,
            "scene S, vh",
            checksum,
        ).fetch()


@pytest.fixture
def bench(files: FileServer, tmp_path: Path) -> Callable[..., Bench]:
    (files.folder / "vh.tif").write_bytes(CONTENT)
    return lambda **settings: Bench(files, tmp_path / "down", **settings)


@pytest.fixture
def plain(bench: Callable[..., Bench]) -> Bench:
    return bench()


def hang_up(handler: Handler) -> None:
    """Close the connection without a word."""
    handler.close_connection = True


def left(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_arrives_whole_and_alone(plain: Bench) -> None:
    assert plain.fetch().read_bytes() == CONTENT
    assert left(plain.folder) == ["vh.tif"]


def test_retry_after_is_honoured(plain: Bench) -> None:
    plain.server.times(1, "vh", lambda h: h.answer(429, b"slow down", Retry_After="17"))
    assert plain.fetch().read_bytes() == CONTENT
    assert plain.pauses == [17.0]


def test_a_long_retry_after_is_told_not_slept(plain: Bench) -> None:
    plain.server.times(1, "vh", lambda h: h.answer(429, b"", Retry_After="7200"))
    with pytest.raises(SourceError, match="wait for 7200 s"):
        plain.fetch()
    assert plain.pauses == []


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_passing_failures_are_tried_again_with_growing_pauses(plain: Bench, status: int) -> None:
    plain.server.times(2, "vh", lambda h: h.answer(status, b"oops"))
    assert plain.fetch().read_bytes() == CONTENT
    assert plain.pauses == [0.5, 1.0]


def test_patience_ends_with_provider_and_scene(plain: Bench) -> None:
    plain.server.times(99, "vh", lambda h: h.answer(500, b"oops"))
    with pytest.raises(SourceError) as caught:
        plain.fetch()
    assert caught.value.exit_code == 3
    assert "pc-rtc" in str(caught.value)
    assert "scene S, vh" in str(caught.value)
    assert "HTTP 500" in str(caught.value)
    assert len(plain.server.seen) == 3


def test_other_refusals_are_not_tried_again(plain: Bench) -> None:
    plain.server.times(9, "vh", lambda h: h.answer(400, b"no"))
    with pytest.raises(SourceError, match="HTTP 400"):
        plain.fetch()
    assert len(plain.server.seen) == 1


def test_a_dropped_connection_is_resumed_where_it_broke(plain: Bench) -> None:
    plain.server.times(2, "vh", lambda h: h.send_file(CONTENT, cut=1_100_000))
    assert plain.fetch().read_bytes() == CONTENT
    ranges = [headers.get("range", "") for _, headers in plain.server.seen]
    assert ranges[0] == ""
    assert all(r.startswith("bytes=") and r != "bytes=0-" for r in ranges[1:])
    assert len(ranges) == 3


def test_a_process_that_was_killed_is_resumed_by_the_next(bench: Callable[..., Bench]) -> None:
    first = bench(attempts=1)
    first.server.times(1, "vh", lambda h: h.send_file(CONTENT, cut=1_100_000))
    first.server.times(1, "vh", hang_up)
    with pytest.raises(SourceError, match="does not answer"):
        first.fetch()
    assert (first.folder / "vh.tif").exists() is False
    have = (first.folder / "vh.tif.part").stat().st_size
    assert have > 0
    second = bench()
    assert second.fetch().read_bytes() == CONTENT
    assert second.server.seen[-1][1]["range"] == f"bytes={have}-"


def test_a_file_that_changed_meanwhile_is_fetched_from_the_start(plain: Bench) -> None:
    newer = CONTENT[:4] + b"newer" * 300_000
    old = plain.server.folder / "vh.tif"

    def cut(handler: Handler) -> None:
        handler.send_file(CONTENT, cut=1_100_000)
        old.write_bytes(newer)

    plain.server.times(1, "vh", cut)
    assert plain.fetch().read_bytes() == newer


def test_a_connection_that_says_nothing_times_out(bench: Callable[..., Bench]) -> None:
    quick = bench(timeout_s=0.2)

    def hang(handler: Handler) -> None:
        time.sleep(0.6)
        hang_up(handler)

    quick.server.times(1, "vh", hang)
    assert quick.fetch().read_bytes() == CONTENT
    assert quick.pauses == [0.5]


def test_a_truncated_body_without_a_length_is_found_by_its_checksum(plain: Bench) -> None:
    good = f"1220{hashlib.sha256(CONTENT).hexdigest()}"
    plain.server.times(1, "vh", lambda h: h.send_file(CONTENT[:100_000], length=False))
    assert plain.fetch(good).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("code", "function"),
    [("1220", "sha256"), ("1114", "sha1"), ("1340", "sha512"), ("d50110", "md5")],
)
def test_checksums_of_every_kind(plain: Bench, code: str, function: str) -> None:
    digest = hashlib.new(function, CONTENT).hexdigest()
    assert plain.fetch(f"{code}{digest}").read_bytes() == CONTENT
    (plain.folder / "vh.tif").unlink()
    wrong = ("0" if digest[0] != "0" else "1") + digest[1:]
    with pytest.raises(InputError, match="differed from the checksum") as caught:
        plain.fetch(f"{code}{wrong}")
    assert "pc-rtc, scene S, vh" in str(caught.value)
    assert left(plain.folder) == ["vh.tif.part.json"]


def test_a_login_page_with_status_200_is_no_image(plain: Bench) -> None:
    plain.server.times(9, "vh", lambda h: h.answer(200, LOGIN_PAGE, "text/html"))
    with pytest.raises(SourceError, match="web page instead of the image") as caught:
        plain.fetch()
    assert "credentials" in str(caught.value)
    assert not (plain.folder / "vh.tif").exists()
    assert len(plain.server.seen) == 2


def test_another_kind_of_file_is_the_scenes_fault(plain: Bench) -> None:
    (plain.server.folder / "vh.tif").write_bytes(b"\x89HDF\r\n\x1a\n" * 50)
    with pytest.raises(InputError, match="no GeoTIFF"):
        plain.fetch()


@pytest.mark.parametrize("status", [404, 410])
def test_a_file_that_is_gone_is_the_scenes_fault(plain: Bench, status: int) -> None:
    plain.server.times(9, "vh", lambda h: h.answer(status, b"gone"))
    with pytest.raises(InputError, match="does not have it"):
        plain.fetch()
    assert len(plain.server.seen) == 1


def test_a_server_that_is_not_there(plain: Bench) -> None:
    with pytest.raises(SourceError, match="does not answer after 3 attempts"):
        plain.http.request("GET", "http://127.0.0.1:9/x", where="scene S")


def test_a_certificate_that_is_refused_is_not_tried_again(plain: Bench) -> None:
    # A TLS client at a server that speaks plainly.
    with pytest.raises(SourceError) as caught:
        plain.http.request("GET", plain.server.url.replace("http:", "https:") + "/vh.tif")
    assert "certificate" in str(caught.value)
    assert plain.pauses == []


def test_tls_is_verified() -> None:
    assert Http(SourceParams(profile="pc-rtc")).session.verify is True
    assert requests.Session().verify is True
