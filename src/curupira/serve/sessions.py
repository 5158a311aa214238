"""Passwords, signed sessions, CSRF tokens, and the limit of failed logins."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, Semaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from curupira.errors import ConfigError

COOKIE = "curupira_session"
#: Holds the signing key, so that sessions outlive a restart and are shared by several processes.
SECRET_VARIABLE = "CURUPIRA_SECRET"  # noqa: S105 (a name, no secret)
#: Failed logins are counted over this time, seconds.
WINDOW_S = 900.0
MIN_PASSWORD, MAX_PASSWORD = 10, 200
#: Names counted at once; an attacker who tries more only pushes out the oldest.
_MOST_KEYS = 10_000
#: Passwords verified at once: each takes 64 MB and a core.
_AT_ONCE = 4
_hasher = PasswordHasher()
#: Verified when there is no such account, so that the answer takes as long.
_NOBODY = _hasher.hash(secrets.token_hex(16))


def hash_password(password: str) -> str:
    """Argon2id hash of a new password.

    Raises
    ------
    ConfigError
        If it is shorter than 10 or longer than 200 characters.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise ConfigError(
            f"the password has {len(password)} characters",
            where="password",
            remedy=f"take {MIN_PASSWORD} to {MAX_PASSWORD}",
        )
    return _hasher.hash(password)


def verify_password(stored: str | None, password: str) -> bool:
    """Whether a password is an account's; takes as long where there is no account."""
    try:
        return _hasher.verify(stored or _NOBODY, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def stamp(password_hash: str) -> str:
    """Mark of a password in a session: a changed password ends it."""
    return hashlib.sha256(password_hash.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Ticket:
    """What a cookie says."""

    name: str
    stamp: str
    sid: str
    expires: float


class Sessions:
    """Signs and reads session cookies. The server keeps no list of them."""

    def __init__(self, hours: int, secret: str | None = None) -> None:
        self.seconds = hours * 3600
        text = secret or os.environ.get(SECRET_VARIABLE) or secrets.token_hex(32)
        self._key = hashlib.sha256(text.encode()).digest()

    def issue(self, name: str, password_hash: str) -> str:
        """Cookie of a new session."""
        ticket = [name, stamp(password_hash), secrets.token_hex(16), time.time() + self.seconds]
        body = base64.urlsafe_b64encode(json.dumps(ticket).encode()).decode()
        return f"{body}.{self._sign('session', body)}"

    def read(self, cookie: str | None) -> Ticket | None:
        """What a cookie says, or None if it is not ours, tampered with or expired."""
        body, _, signature = (cookie or "").rpartition(".")
        if not body or not _same(signature, self._sign("session", body)):
            return None
        try:
            ticket = Ticket(*json.loads(base64.urlsafe_b64decode(body)))
        except (binascii.Error, ValueError, TypeError):
            return None
        return ticket if ticket.expires > time.time() else None

    def csrf(self, ticket: Ticket) -> str:
        """Token that writing requests of this session carry."""
        return self._sign("csrf", ticket.sid)

    def is_csrf(self, ticket: Ticket, token: str | None) -> bool:
        """Whether a token belongs to a session."""
        return _same(token or "", self.csrf(ticket))

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()


def _same(given: str, ours: str) -> bool:
    # As bytes: compare_digest refuses text that is not ASCII.
    return hmac.compare_digest(given.encode(), ours.encode())


class Limiter:
    """Counts logins that failed, or are not decided yet, by key over a quarter of an hour."""

    def __init__(self, tries: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.tries, self.clock = tries, clock
        self._failed: dict[str, deque[float]] = defaultdict(deque)
        self._lock = Lock()
        #: To be held from ``admit`` to ``succeeded``. Never more than the tries: people who log in
        #: from one address at the same moment must not be taken for failures.
        self.turns = Semaphore(min(_AT_ONCE, tries))

    def admit(self, *keys: str) -> int:
        """Count a try of the keys, as a failure until it succeeds, and return 0.

        Where any of them had too many, nothing is counted; returns the seconds to wait.
        """
        with self._lock:
            now = self.clock()
            wait = max((self._wait(key, now) for key in keys), default=0)
            if wait:
                return wait
            for key in keys:
                self._failed[key].append(now)
            while len(self._failed) > _MOST_KEYS:
                del self._failed[next(iter(self._failed))]
            return 0

    def _wait(self, key: str, now: float) -> int:
        times = self._failed.get(key)
        while times and now - times[0] > WINDOW_S:
            times.popleft()
        if not times or len(times) < self.tries:
            return 0
        return int(WINDOW_S - (now - times[-self.tries])) + 1

    def succeeded(self, name: str, address: str) -> None:
        """Forget a name's failures; of its address only the try that succeeded."""
        with self._lock:
            self._failed.pop(name, None)
            times = self._failed.get(address)
            if times:
                times.pop()
            if not times:
                self._failed.pop(address, None)
