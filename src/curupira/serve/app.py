"""The web application, put together: ``create_app(settings)``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

from anyio import to_thread
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException as StarletteHTTPException

from curupira import __version__, logs
from curupira.config import Workspace
from curupira.errors import CurupiraError
from curupira.pipelines.optical import Optical
from curupira.pipelines.sensitive import SensitivePlaces
from curupira.pipelines.viewing import Viewer
from curupira.serve.filters import usual
from curupira.serve.guard import Guard, problem
from curupira.serve.routes import (
    auth,
    candidates,
    dashboard,
    features,
    health,
    operate,
    optical,
    pages,
    review,
    tiles,
)
from curupira.serve.routes import warning as warning_routes
from curupira.serve.sessions import Limiter, Sessions
from curupira.serve.site import Person, Site
from curupira.store.session import Store

#: Modules of routes, in the order of the API's description; pages last.
PARTS = (
    *(auth, warning_routes, review, operate, tiles, optical),
    *(features, dashboard, candidates, health, pages),
)
#: Zoom of the map that is read at the start: a state.
WARM_ZOOM = 6
STATIC = Path(__file__).parent / "static"
log = logs.get(__name__)


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def create_app(
    settings: Workspace,
    *,
    now: Callable[[], datetime] = utc_now,
    secret: str | None = None,
) -> FastAPI:
    """The application of a workspace; its schema is made where the database is empty.

    Parameters
    ----------
    settings
        The workspace, with its section [serve].
    secret
        Key that signs sessions; None takes CURUPIRA_SECRET, or a new one for this process.

    Raises
    ------
    StoreError
        If the database is unreachable or of another version.
    ConfigError
        If a sensitive place is in no layer.
    """
    params = settings.monitor.serve
    store = Store.open(settings.monitor.store.url, base=settings.folder, create=True)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Beside the first requests: the server is there at once, whatever is to be read.
        warming = Thread(target=warm, args=(app.state.site,), daemon=True)
        warming.start()
        yield
        await to_thread.run_sync(warming.join)
        store.close()

    app = FastAPI(
        title="Curupira",
        version=__version__,
        description="Forest-disturbance warnings from Sentinel-1: map, validation, features.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.site = Site(
        workspace=settings,
        store=store,
        viewer=Viewer(settings, store),
        optical=Optical(settings),
        sensitive=SensitivePlaces(settings),
        sessions=Sessions(params.session_hours, secret),
        limiter=Limiter(params.login_tries),
        now=now,
    )
    _equip(app)
    return app


def _equip(app: FastAPI) -> None:
    """Routes, files, the guard before them, and what errors are answered with."""
    for part in PARTS:
        app.include_router(part.router)
    if STATIC.is_dir():
        app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(Guard, site=app.state.site)
    app.add_exception_handler(CurupiraError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(StarletteHTTPException, _refused)


def warm(site: Site) -> None:
    """Answer once what a first visitor asks: files are opened, and caches filled."""
    nobody = Person()
    try:
        dashboard.config(site, nobody)
        search = usual(site, nobody)
        warning_routes.listed(site, nobody, search, 50)
        warning_routes.mapped(site, search, WARM_ZOOM)
        site.viewer.warm()
    except CurupiraError as error:
        # A workspace without images yet: the first run brings them.
        log.info("nothing to show yet", reason=str(error))


def _ours(request: Request, error: Exception) -> Response:
    if not isinstance(error, CurupiraError):
        raise error
    if error.http_status >= 500:
        log.error("failed", path=request.url.path, reason=str(error))
    return JSONResponse(
        problem(error.what, error.where, error.remedy), status_code=error.http_status
    )


def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    # OGC API - Features wants 400 of a wrong parameter.
    status = 400 if request.url.path.startswith("/ogc") else 422
    return JSONResponse(problem(first["msg"], where, "see /openapi.json"), status_code=status)


def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException | StarletteHTTPException):
        raise error
    return JSONResponse(
        problem(str(error.detail)), status_code=error.status_code, headers=error.headers
    )
