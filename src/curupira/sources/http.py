"""HTTP with manners: a request rate, time-outs, Retry-After, and a limit to patience."""

from __future__ import annotations

import email.utils
import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import requests
from requests.auth import AuthBase

from curupira.errors import SourceError
from curupira.sources.profiles import SourceParams

#: Answers that may be another one in a moment.
PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})
#: Failures of a connection that a new one may not have. Not: a certificate that is refused.
PASSING_ERRORS = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)
#: First and longest pause between tries, seconds.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
#: A provider that asks for a longer pause is not waited for, seconds.
PATIENCE_S = 600.0
#: A query, also behind a bare file name: GDAL's messages have lost the rest of the URL.
_QUERY = re.compile(r"\?[A-Za-z0-9_.~%-]+=[^\s'\")]*")
_USER = re.compile(r"((?:https?|s3)://)[^\s/?#'\"@]+@")

Sleep = Callable[[float], None]


def redact(text: str) -> str:
    """Text whose URLs have lost their query, in which tokens stand, and their user names."""
    return _USER.sub(r"\1", _QUERY.sub("", text))


class TokenBucket:
    """Lets ``rate`` requests a second pass, and up to a second's worth at once."""

    def __init__(
        self, rate: float, clock: Callable[[], float] = time.monotonic, sleep: Sleep = time.sleep
    ) -> None:
        self.rate = rate
        self.size = max(1.0, rate)
        self._clock, self._sleep = clock, sleep
        self._level, self._seen = self.size, clock()
        self._lock = threading.Lock()

    def take(self) -> None:
        """Wait until a request may be made."""
        with self._lock:
            now = self._clock()
            self._level = min(self.size, self._level + (now - self._seen) * self.rate)
            self._seen = now
            self._level -= 1
            wait = max(0.0, -self._level / self.rate)
        if wait:
            self._sleep(wait)


class Http:
    """A provider's connection.

    Parameters
    ----------
    params
        Its rate, time-out and attempts; its name for messages.
    sleep
        Waits; an argument so that a test need not.
    """

    def __init__(self, params: SourceParams, *, sleep: Sleep = time.sleep) -> None:
        self.provider = params.provider
        self.attempts = params.attempts
        self.timeout_s = params.timeout_s
        self.sleep = sleep
        self.bucket = TokenBucket(params.requests_per_second)
        self.session = requests.Session()
        # Sizes, ranges and checksums are of the file as it is.
        self.session.headers.update({"Accept-Encoding": "identity", "User-Agent": "curupira"})

    def request(
        self,
        method: str,
        url: str,
        *,
        where: str = "",
        auth: AuthBase | None = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
        **body: Any,
    ) -> requests.Response:
        """Make a request until it is answered; the answer may be a refusal.

        Parameters
        ----------
        where
            Scene or step, for messages.

        Raises
        ------
        SourceError
            If there is no answer, or only passing failures, after all attempts; if the provider
            asks for a longer pause than ten minutes; if its certificate is refused.
        """
        cause = ""
        for attempt in range(self.attempts):
            self.bucket.take()
            try:
                response = self.session.request(
                    method,
                    url,
                    auth=auth,
                    headers=headers,
                    stream=stream,
                    timeout=(min(self.timeout_s, 30.0), self.timeout_s),
                    **body,
                )
            except requests.exceptions.SSLError as error:
                raise self.error(
                    f"its certificate is refused ({redact(str(error))})",
                    where,
                    "check the URL, this machine's clock, and any proxy between",
                ) from None
            except PASSING_ERRORS as error:
                cause, pause = type(error).__name__, self.pause(attempt)
            except requests.RequestException as error:
                raise self.error(
                    f"cannot be asked ({redact(str(error))})", where or redact(url), "check the URL"
                ) from None
            else:
                if response.status_code not in PASSING_STATUS:
                    return response
                cause = f"HTTP {response.status_code}"
                pause = self._asked_pause(response, where) or self.pause(attempt)
                response.close()
            if attempt + 1 < self.attempts:
                self.sleep(pause)
        raise self._silent(url, where, cause)

    def _silent(self, url: str, where: str, cause: str) -> SourceError:
        second = ", or name a second provider in [source] fallback" if self.provider else ""
        return self.error(
            f"does not answer after {self.attempts} attempts ({cause})",
            f"{where}, {redact(url)}" if where else redact(url),
            f"try again later{second}",
        )

    def span(
        self,
        url: str,
        start: int,
        stop: int,
        *,
        where: str = "",
        auth: AuthBase | None = None,
        check: Callable[[requests.Response], None] | None = None,
    ) -> tuple[bytes, int]:
        """Bytes ``start`` to ``stop`` (half-open) of a file, and the whole one's size.

        Parameters
        ----------
        check
            Raises what it has to say of an answer.

        Raises
        ------
        SourceError
            As ``request``; if the answer breaks off again and again; if the server has no ranges.
        """
        place = where or redact(url)
        for attempt in range(self.attempts):
            with self.request(
                "GET",
                url,
                where=where,
                auth=auth,
                headers={"Range": f"bytes={start}-{stop - 1}"},
                stream=True,
            ) as answer:
                if check is not None:
                    check(answer)
                total = answer.headers.get("Content-Range", "").rpartition("/")[2]
                if answer.status_code != requests.codes.partial_content or not total.isdecimal():
                    raise self.error(
                        f"sends no part of a file (HTTP {answer.status_code})",
                        place,
                        "download the file first, and give its path",
                    )
                try:
                    return answer.content, int(total)
                except PASSING_ERRORS:
                    self.sleep(self.pause(attempt))
        raise self.error("breaks off again and again", place, "try again later")

    def pause(self, attempt: int) -> float:
        """Seconds to wait after the n-th failure in a row."""
        return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**attempt)

    def error(self, what: str, where: str, remedy: str) -> SourceError:
        """Error that names the provider."""
        return SourceError(
            what, where=", ".join(filter(None, (self.provider, where))), remedy=remedy
        )

    def _asked_pause(self, response: requests.Response, where: str) -> float:
        pause = retry_after(response.headers.get("Retry-After", ""), datetime.now(UTC))
        if pause > PATIENCE_S:
            raise self.error(
                f"asks to wait for {pause:.0f} s (HTTP {response.status_code})",
                where,
                "start again later, or lower [source] requests_per_second",
            )
        return pause


def retry_after(value: str, now: datetime) -> float:
    """Seconds that a Retry-After header asks for (RFC 9110 10.2.3); 0 if it says nothing."""
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


class Web:
    """Files at addresses that need no credentials."""

    def __init__(self, attempts: int = 3) -> None:
        self._http = Http(SourceParams(attempts=attempts))
        self._http.provider = ""

    def fetch(self, url: str) -> bytes:
        """All of a file.

        Raises
        ------
        SourceError
            If there is none.
        """
        response = self._http.request("GET", url)
        if response.status_code != requests.codes.ok:
            raise SourceError(f"HTTP {response.status_code}", where=redact(url))
        return response.content

    def span(self, url: str, start: int, stop: int) -> tuple[bytes, int]:
        """Bytes ``start`` to ``stop`` of a file, and its size.

        Raises
        ------
        SourceError
            As ``Http.span``.
        """
        return self._http.span(url, start, stop)
