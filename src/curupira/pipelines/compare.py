"""Shadow running: a workspace's warnings beside another system's alerts, `curupira compare`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from curupira.codes import ClosedReason, IntensityClass
from curupira.config import Workspace
from curupira.deliver.agency import MINING_SCORE
from curupira.report.sheet import SheetSection, render_sheet
from curupira.report.tables import Table, number
from curupira.sources.alerts import DateCode, read_alerts
from curupira.store import warning as warnings
from curupira.store.session import Store
from curupira.store.tables import WarningRow
from curupira.validate.compare import Comparison, Lead, Notice, Side, compare
from curupira.validate.scores import Estimate


class OurDay(StrEnum):
    """Which day of a warning counts: publication, confirmation, or the first flagged image."""

    ISSUED = "issued"
    CONFIRMED = "confirmed"
    FIRST_FLAG = "first_flag"


@dataclass(frozen=True)
class Options:
    """What is compared, and how: see ``validate.compare`` and ``sources.alerts``."""

    day: OurDay = OurDay.ISSUED
    since: date | None = None
    until: date | None = None
    window_days: int = 365
    date_field: str = ""
    code: DateCode = "auto"


#: Codes of rasters, by name.
CODES: dict[str, DateCode] = {word: word for word in get_args(DateCode)}
#: What lives on in another warning, or was taken back, is not compared.
_LEFT_OUT = (ClosedReason.MERGED, ClosedReason.WITHDRAWN, ClosedReason.REJECTED)


def measure(
    workspace: Workspace,
    reference: Path,
    options: Options | None = None,
    *,
    hidden: Collection[int] = (),
) -> Comparison:
    """Compare the store's warnings with a file of alerts; nothing is changed.

    ``hidden``: row numbers of warnings that are left out.

    Raises
    ------
    ConfigError, InputError
        From reading the reference.
    StoreError
        If there is no store.
    """
    chosen = options or Options()
    crs = str(workspace.grid.crs)
    alerts = read_alerts(
        reference, crs, workspace.area, date_field=chosen.date_field, code=chosen.code
    )
    theirs = [
        Notice(str(n), shape, day, kind)
        for n, (shape, day, kind) in enumerate(
            zip(alerts.geometry, alerts["day"], alerts["kind"], strict=True)
        )
    ]
    with (
        Store.open(workspace.monitor.store.url, base=workspace.folder, create=False) as store,
        store.reading() as session,
    ):
        gone = frozenset(hidden)
        rows = [
            row
            for row in warnings.query(session)
            if row.closed_reason not in _LEFT_OUT and row.id not in gone
        ]
    shapes = warnings.to_geodataframe(rows).to_crs(crs).geometry
    ours = [
        Notice(row.warning_id, shape, day, _kind(row))
        for row, shape in zip(rows, shapes, strict=True)
        if (day := _day(row, chosen.day)) is not None
    ]
    return compare(
        ours,
        theirs,
        since=chosen.since,
        until=chosen.until,
        window_days=chosen.window_days,
    )


def _day(row: WarningRow, which: OurDay) -> date | None:
    if which is OurDay.FIRST_FLAG:
        return row.first_flag_date
    moment = row.issued_at if which is OurDay.ISSUED else row.confirmed_at
    return None if moment is None else moment.astimezone(UTC).date()


def _kind(row: WarningRow) -> str:
    if (row.mining_score or 0.0) >= MINING_SCORE:
        return "mining"
    return "deforestation" if row.intensity_class is IntensityClass.HIGH else "degradation"


def document(found: Comparison) -> dict[str, Any]:
    """The comparison as plain values for programs; estimates as in product.md section 8."""
    return {
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
        "window_days": found.window_days,
        "ours": asdict(found.ours),
        "theirs": asdict(found.theirs),
        "overlap_ha": found.overlap_ha,
        "lead": _lead_document(found.lead),
        "lead_november_march": _lead_document(found.lead_cloudy),
        "classes": [
            {"ours": a, "theirs": b, "pairs": n} for (a, b), n in sorted(found.classes.items())
        ],
        "months": found.months,
    }


def _lead_document(lead: Lead) -> dict[str, Any]:
    return {
        "warnings": lead.warnings,
        "first": lead.first,
        "same_day": lead.same_day,
        "later": lead.later,
        "only": lead.only,
        "first_or_only": lead.first_or_only.document(),
        "first_or_only_area": lead.first_or_only_area.document(),
        "lead_days": lead.lead_days.document(),
    }


def in_words(found: Comparison) -> list[str]:
    """The comparison in a few lines."""
    if found.since > found.until:
        return ["ours and theirs share no day: name the days with --since and --until"]
    return [
        f"{found.since} to {found.until}, matches within {found.window_days} days",
        f"ours:   {_side_words(found.ours)}",
        f"theirs: {_side_words(found.theirs)}",
        f"we were first {found.lead.first}, on the same day {found.lead.same_day}, "
        f"later {found.lead.later}; median lead {_estimate(found.lead.lead_days, unit=' days')}",
        f"first or only ours: of our warnings {_estimate(found.lead.first_or_only, 100, ' %')}, "
        f"of their area {_estimate(found.lead.first_or_only_area, 100, ' %')}",
        f"November to March: of {found.lead_cloudy.warnings} warnings "
        f"{_estimate(found.lead_cloudy.first_or_only, 100, ' %')}",
    ]


def _side_words(side: Side) -> str:
    return (
        f"{side.total} ({side.total_ha:.0f} ha), {side.matched} matched ({side.matched_ha:.0f} ha),"
        f" {side.only} alone ({side.only_ha:.0f} ha)"
    )


def _estimate(e: Estimate, factor: float = 1.0, unit: str = "") -> str:
    if e.value is None:
        return "nothing to count"
    if e.low is None or e.high is None:
        return f"{e.value * factor:.1f}{unit}"
    return f"{e.value * factor:.1f}{unit} [{e.low * factor:.1f}, {e.high * factor:.1f}]"


def page(found: Comparison, reference: str, opened: Workspace) -> str:
    """The comparison of a workspace as one self-contained HTML page."""
    sides = Table(
        "Warnings and alerts, by number and area",
        ("", "all", "matched", "alone", "all, ha", "matched, ha", "alone, ha"),
        tuple(_side_row(name, s) for name, s in (("ours", found.ours), ("theirs", found.theirs))),
        (False, *([True] * 6)),
    )
    lead = Table(
        "Who was first, of our warnings",
        ("", "all", "first", "same day", "later", "only ours", "first or only, %", "lead, days"),
        tuple(
            _lead_row(name, value)
            for name, value in (
                ("all months", found.lead),
                ("November to March", found.lead_cloudy),
            )
        ),
        (False, *([True] * 7)),
    )
    classes = Table(
        "Matched pairs by class",
        ("ours", "theirs", "pairs"),
        tuple((a, b, number(n)) for (a, b), n in sorted(found.classes.items())),
        (False, False, True),
    )
    months = _months_table(found.months)
    sections = [
        SheetSection("Beside the reference", tuple(in_words(found)), (sides, lead)),
        SheetSection("Classes and months", (), (classes, months)),
    ]
    years = range(found.since.year, min(found.until.year, found.since.year + 50) + 1)
    return render_sheet(
        "Shadow running", f"Compared with {reference}", sections, opened.attribution(years)
    )


def _side_row(name: str, side: Side) -> tuple[str, ...]:
    counts = (side.total, side.matched, side.only, side.total_ha, side.matched_ha, side.only_ha)
    return (name, *(number(value) for value in counts))


def _lead_row(name: str, lead: Lead) -> tuple[str, ...]:
    counts = (lead.warnings, lead.first, lead.same_day, lead.later, lead.only)
    return (
        name,
        *(number(value) for value in counts),
        _estimate(lead.first_or_only, 100),
        _estimate(lead.lead_days),
    )


def _months_table(months: Sequence[dict[str, Any]]) -> Table:
    frame = pd.DataFrame(months, columns=["month", "ours", "only_ours", "theirs", "only_theirs"])
    rows = tuple(
        (str(row[0]), *(number(float(value)) for value in row[1:]))
        for row in frame.itertuples(index=False)
    )
    heads = ("month", "ours", "only ours", "theirs", "only theirs")
    return Table("By month", heads, rows, (False, True, True, True, True))
