"""A plain self-contained HTML page: headings, words, tables, figures. Pure."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from curupira.report.style import LINE_DPI, Encoded, encode
from curupira.report.tables import Table

_ENVIRONMENT = Environment(
    loader=PackageLoader("curupira.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class SheetFigure:
    """A figure, the words that stand for it, and its caption."""

    figure: Figure
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class SheetSection:
    """A heading with what follows it, in this order: words, links, tables, figures.

    ``links``: pairs of a file beside the page and its words.
    """

    heading: str
    words: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[SheetFigure, ...] = ()
    links: tuple[tuple[str, str], ...] = ()


def drawn(
    sections: Sequence[SheetSection],
) -> list[tuple[SheetSection, list[tuple[Encoded, SheetFigure]]]]:
    """Sections with their figures encoded, as the templates take them."""
    return [
        (section, [(encode(part.figure, LINE_DPI), part) for part in section.figures])
        for section in sections
    ]


def render_sheet(title: str, subtitle: str, sections: Sequence[SheetSection], credit: str) -> str:
    """Render sections as one HTML document.

    Returns
    -------
    str
        HTML with embedded style and PNG images. All text is escaped; a content security policy
        forbids anything from outside.
    """
    css = resources.files("curupira.report").joinpath("templates/report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return _ENVIRONMENT.get_template("sheet.html").render(
        title=title,
        subtitle=subtitle,
        sections=drawn(sections),
        credit=credit,
        css=css,
        policy=f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'",
    )
