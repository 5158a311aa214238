"""Logging in and out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, Field

from curupira.serve.sessions import COOKIE, verify_password
from curupira.serve.site import Asking, Person, SiteHere
from curupira.store import account as accounts

router = APIRouter(prefix="/api", tags=["session"])


class Credentials(BaseModel):
    """Who wants in."""

    name: Annotated[str, Field(min_length=1, max_length=160, pattern=r"^[^\x00]+$")]
    password: Annotated[str, Field(min_length=1, max_length=1000)]


@router.get("/session")
def session(site: SiteHere, person: Asking) -> dict[str, Any]:
    """Who is asking."""
    return told(person, site.params.public)


@router.post("/login")
def login(
    credentials: Credentials, request: Request, response: Response, site: SiteHere
) -> dict[str, Any]:
    """Start a session; failures of a name or an address are limited."""
    address = request.client.host if request.client else "unknown"
    keys = (f"name:{credentials.name}", f"address:{address}")
    with site.limiter.turns:
        # Counted before the password is looked at, or many at once would all still be let through.
        wait = site.limiter.admit(*keys)
        if wait:
            raise HTTPException(429, "too many failed logins", headers={"Retry-After": str(wait)})
        with site.store.reading() as reading:
            row = accounts.find(reading, credentials.name)
            stored = None if row is None or row.disabled else row.password_hash
        if not verify_password(stored, credentials.password) or row is None:
            raise HTTPException(401, "name or password is wrong")
        site.limiter.succeeded(*keys)
    cookie = site.sessions.issue(row.name, row.password_hash)
    ticket = site.sessions.read(cookie)
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=site.sessions.seconds,
        httponly=True,
        samesite="strict",
        secure=site.params.secure_cookie or request.url.scheme == "https",
    )
    csrf = None if ticket is None else site.sessions.csrf(ticket)
    return told(Person(row.name, row.role, csrf), site.params.public)


@router.post("/logout")
def logout(response: Response, site: SiteHere) -> dict[str, Any]:
    """End the session in this browser."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return told(Person(), site.params.public)


def told(person: Person, public: bool) -> dict[str, Any]:
    """A session as the pages read it."""
    role = None if person.role is None else person.role.value
    return {"name": person.name, "role": role, "csrf": person.csrf, "public": public}
