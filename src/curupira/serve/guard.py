"""Who may do what, in one table, decided before a request is even parsed; and security headers."""

from __future__ import annotations

import json
import re
from http.cookies import CookieError, SimpleCookie
from typing import Any

from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from curupira.codes import Role
from curupira.errors import CurupiraError
from curupira.serve.sessions import COOKIE, stamp
from curupira.serve.site import Person, Site
from curupira.store import account as accounts

READING = ("GET", "HEAD", "OPTIONS")
#: Method, path, role needed; None: anybody. The first that fits counts.
RULES: tuple[tuple[str, re.Pattern[str], Role | None], ...] = tuple(
    (method, re.compile(pattern), role)
    for method, pattern, role in (
        ("GET", r"/(health|metrics|static/.*|favicon\.ico)", None),
        # The page itself: without a login it holds nothing of a server that is not public.
        ("GET", r"/(login|queue|dashboard|w/[^/]+)?", None),
        ("GET", r"/api/session", None),
        ("POST", r"/api/(login|logout)", None),
        # Unreviewed, and where mines begin: for those who are known, also on a public server.
        ("GET", r"(/api)?/candidates", Role.VIEWER),
        ("GET", r"/api/(samples|disputes)", Role.OPERATOR),
        ("GET", r"/api/warnings/[^/]+/edits", Role.OPERATOR),
        ("GET", r"/api/(queue|photos/.*|warnings/[^/]+/votes)", Role.INTERPRETER),
        ("POST", r"/api/(field|votes/.*|warnings/[^/]+/(review|field))", Role.INTERPRETER),
        ("POST", r"/api/candidates/[^/]+/review", Role.INTERPRETER),
        ("POST", r"/.*", Role.OPERATOR),
        ("PUT", r"/.*", Role.OPERATOR),
        ("PATCH", r"/.*", Role.OPERATOR),
        ("DELETE", r"/.*", Role.OPERATOR),
    )
)
#: Request bodies, bytes: photos and field files, and everything else.
MOST_UPLOAD, MOST_BODY = 9 * 2**20, 2**20
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), payment=()",
}


def needed(method: str, path: str, *, public: bool) -> Role | None:
    """Role that a request needs; None: anybody."""
    asked = "GET" if method in READING else method
    for rule, pattern, role in RULES:
        if rule == asked and pattern.fullmatch(path):
            return role
    if asked != "GET":
        return Role.OPERATOR
    return None if public else Role.VIEWER


class Guard:
    """ASGI middleware: finds out who asks, refuses what is not theirs, adds headers."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self.app, self.site = app, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        body = Body()

        async def headed(message: Message) -> None:
            if body.answered:
                return
            if body.too_large and message["type"] == "http.response.start":
                body.answered = True
                await _answer(send, 413, "the request is too large", "send less")
                return
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith(("/api", "/ogc")):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        headers = Headers(scope=scope)
        cookie = _cookie(headers.get("cookie", ""))
        person, refusal = Person(), None
        try:
            if cookie:
                person = await to_thread.run_sync(self.who, cookie)
            refusal = self._refusal(scope, headers, person, cookie)
        except CurupiraError as error:
            refusal = (error.http_status, error.what, "try again later")
        if refusal is not None:
            await _answer(headed, *refusal)
            return
        scope.setdefault("state", {})["person"] = person
        upload = headers.get("content-type", "").startswith("multipart/")
        await self.app(scope, body.limited(receive, MOST_UPLOAD if upload else MOST_BODY), headed)

    def who(self, cookie: str) -> Person:
        """Person of a session cookie; nobody where it does not hold."""
        ticket = self.site.sessions.read(cookie)
        if ticket is None:
            return Person()
        with self.site.store.reading() as session:
            row = accounts.find(session, ticket.name)
            if row is None or row.disabled or stamp(row.password_hash) != ticket.stamp:
                return Person()
            return Person(row.name, row.role, self.site.sessions.csrf(ticket))

    def _refusal(
        self, scope: Scope, headers: Headers, person: Person, cookie: str | None
    ) -> tuple[int, str, str] | None:
        method, path = scope["method"], scope["path"]
        role = needed(method, path, public=self.site.params.public)
        if role is not None and not person.known:
            return 401, "you are not logged in", "log in at /login"
        if role is not None and not person.may(role):
            return 403, f"this needs the role {role}", "ask who operates this server"
        if method in READING:
            return None
        why = self._foreign(path, headers, person, cookie)
        if why is not None:
            return 403, why, "use this server's own pages, and read /api/session first"
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > MOST_UPLOAD:
            return 413, "the request is too large", "send less"
        return None

    def _foreign(
        self, path: str, headers: Headers, person: Person, cookie: str | None
    ) -> str | None:
        """Why a writing request does not come from our own pages; None where it does."""
        origin = headers.get("origin")
        if origin is not None and origin.split("://")[-1] != headers.get("host"):
            return "the request comes from another site"
        if person.known and path != "/api/login":
            ticket = self.site.sessions.read(cookie)
            token = headers.get("x-csrf-token")
            if ticket is None or not self.site.sessions.is_csrf(ticket, token):
                return "the request has no valid X-CSRF-Token"
        return None


def _cookie(header: str) -> str | None:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value


class Body:
    """Counts a request's body as it comes in: a chunked one announces no length."""

    def __init__(self) -> None:
        self.seen, self.too_large, self.answered = 0, False, False

    def limited(self, receive: Receive, most: int) -> Receive:
        """Receive at most so many bytes; then the sender is as if gone."""

        async def counted() -> Message:
            message = {"type": "http.disconnect"} if self.too_large else await receive()
            self.seen += len(message.get("body", b""))
            if self.seen > most:
                self.too_large = True
                return {"type": "http.request", "body": b"", "more_body": False}
            return message

        return counted


def problem(what: str, where: str | None = None, remedy: str | None = None) -> dict[str, Any]:
    """Body of every error answer."""
    return {"error": {"what": what, "where": where, "remedy": remedy}}


async def _answer(send: Send, status: int, what: str, remedy: str) -> None:
    body = json.dumps(problem(what, None, remedy)).encode()
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
