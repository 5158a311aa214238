"""Pages: the bundle's one page on every page route, and the printable dossier."""

from __future__ import annotations

import json
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from curupira import logs
from curupira.errors import CurupiraError
from curupira.pipelines.optical import chip_outline
from curupira.pipelines.review import MissingError
from curupira.serve.filters import fields, years_of
from curupira.serve.routes.auth import told
from curupira.serve.routes.dashboard import config
from curupira.serve.routes.optical import chosen, offered
from curupira.serve.routes.warning import visible
from curupira.serve.site import Asking, Site, SiteHere
from curupira.serve.words import WORDS
from curupira.store import edit as edits
from curupira.store.tables import WarningRow

router = APIRouter(include_in_schema=False)
log = logs.get(__name__)
INDEX = Path(__file__).parent.parent / "static" / "index.html"


@router.get("/")
@router.get("/queue")
@router.get("/dashboard")
@router.get("/login")
@router.get("/w/{warning_id}")
def page(site: SiteHere, person: Asking) -> Response:
    """The application's page; it reads its address itself.

    It brings what anybody's first view asks for; who is logged in asks, and gets no token in it.
    """
    if not INDEX.is_file():
        return HTMLResponse("<h1>Curupira</h1><p>The pages are not built: run make web.</p>")
    text = INDEX.read_text(encoding="utf-8")
    if not person.known:
        start = {"session": told(person, site.params.public)}
        if site.params.public:
            start["config"] = config(site, person)
        # A block of data: no script, and no text in it can end it.
        data = json.dumps(start).replace("<", "\\u003c")
        block = f'<script type="application/json" id="start">{data}</script>'
        text = text.replace("</body>", f"{block}\n</body>")
    return HTMLResponse(text, headers={"Cache-Control": "no-store"})


@lru_cache(maxsize=1)
def templates() -> Environment:
    """Pages that are filled in here."""
    return Environment(
        loader=PackageLoader("curupira.serve"), autoescape=True, undefined=StrictUndefined
    )


@router.get("/w/{warning_id}/dossier")
def dossier(
    site: SiteHere,
    person: Asking,
    warning_id: str,
    lang: Annotated[Literal["pt", "en", "es"] | None, Query()] = None,
) -> Response:
    """One printable page about a warning: pictures, place, overlaps, method."""
    row = visible(site, person, warning_id)
    if row.warning_id != warning_id:
        raise MissingError("no such warning", where=warning_id, remedy="see /api/warnings")
    with site.store.reading() as session:
        edited = warning_id in edits.current(session, [warning_id])
    language = lang or site.params.language
    words = WORDS[language]
    lon, lat = row.geom.representative_point().coords[0]
    seen = fields(row, site, person)
    text = (
        templates()
        .get_template("dossier.html")
        .render(
            lang=language,
            w=words,
            number=partial(_number, language),
            f=seen,
            lon=f"{lon:.5f}",
            lat=f"{lat:.5f}",
            edited=edited,
            verdict=None if seen["verdict"] is None else words[f"verdict.{seen['verdict']}"],
            pictures=site.viewer.closeups(row),
            optical=_optical(site, row),
            attribution=site.workspace.attribution(years_of([row])),
        )
    )
    return HTMLResponse(text)


def _number(language: str, value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text if language == "en" else text.replace(".", ",")


def _optical(site: Site, row: WarningRow) -> dict[str, dict[str, Any]]:
    """Optical images of a dossier by side; a catalogue that does not answer takes none from it."""
    if not site.optical.configured:
        return {}
    try:
        found = chosen(offered(site, row))
    except CurupiraError as error:
        log.warning("dossier without optical images", reason=error.what)
        return {}
    line = {"outline": chip_outline(row.geom)}
    return {side: image | line for side, image in found.items() if image is not None}
