"""What every route needs: the workspace, its store, the pictures, the clock, who is asking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request
from shapely.geometry.base import BaseGeometry

from curupira.codes import Role
from curupira.config import Workspace
from curupira.pipelines.optical import Optical
from curupira.pipelines.sensitive import SensitivePlaces
from curupira.pipelines.viewing import Viewer
from curupira.serve.sessions import Limiter, Sessions
from curupira.settings import ServeParams
from curupira.store.session import Store


@dataclass(frozen=True)
class Person:
    """Who is asking; ``name`` and ``role`` are None for anybody not logged in."""

    name: str | None = None
    role: Role | None = None
    csrf: str | None = None

    @property
    def known(self) -> bool:
        """Whether the person is logged in."""
        return self.name is not None

    def may(self, needed: Role) -> bool:
        """Whether the person's role includes another."""
        return self.role is not None and self.role.may(needed)


@dataclass(frozen=True)
class Site:
    """One running application."""

    workspace: Workspace
    store: Store
    viewer: Viewer
    optical: Optical
    sensitive: SensitivePlaces
    sessions: Sessions
    limiter: Limiter
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    @property
    def params(self) -> ServeParams:
        """Section [serve]."""
        return self.workspace.monitor.serve

    def hidden(self, person: Person) -> tuple[int, ...]:
        """Row numbers of the warnings that a person does not see."""
        if person.known or not self.sensitive:
            return ()
        with self.store.reading() as session:
            return self.sensitive.warnings(session)

    def keeps_back(self, geometry: BaseGeometry, person: Person) -> bool:
        """Whether a person sees nothing at a place (EPSG:4674)."""
        return not person.known and self.sensitive.touch(geometry)

    def withheld(self, person: Person) -> tuple[str, ...]:
        """Layers that a person does not see."""
        return () if person.known else self.params.sensitive_layers


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


def _person(request: Request) -> Person:
    person: Person = request.state.person
    return person


SiteHere = Annotated[Site, Depends(_site)]
Asking = Annotated[Person, Depends(_person)]
