"""The day's draw of warnings to be validated (issue E, point 2)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from shapely.geometry.base import BaseGeometry
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from curupira.codes import Status, Verdict
from curupira.config import Workspace
from curupira.deliver.agency import tile as tile_name
from curupira.errors import ConfigError
from curupira.grid import SIRGAS_2000, project
from curupira.pipelines.review import Ballot, ConflictError, record, refresh
from curupira.sources.vector import read_vector
from curupira.store import review as reviews
from curupira.store import sample as samples
from curupira.store import warning as warnings
from curupira.store.session import Store
from curupira.store.tables import SampleRow, WarningRow
from curupira.validate import sampling, verdicts
from curupira.validate.sampling import Plan
from curupira.validate.verdicts import AUTOMATIC


def draw(
    workspace: Workspace,
    store: Store,
    day: date,
    *,
    by: str,
    now: datetime,
    plan: Plan | None = None,
    size: int | None = None,
    seed: int | None = None,
) -> list[SampleRow]:
    """Draw a day's sample: of the warnings issued up to its end that no draw has seen.

    Warnings more than half covered by an optical alert are validated automatically, by a vote,
    unless a person has voted already.
    The seed follows from the day unless given, so that anybody can repeat the draw.

    Raises
    ------
    ConflictError
        If the day was drawn before.
    ConfigError, InputError
        If the optical layer is missing or unusable.
    """
    params = workspace.monitor.serve
    plan = Plan(params.plan) if plan is None else plan
    seed = _seed_of(day) if seed is None else seed
    alerts = _optical_alerts(workspace)
    with store.transaction(durable=True) as session:
        if samples.of_day(session, day):
            raise ConflictError("the day was drawn already", where=day, remedy="see its sample")
        open_ones = warnings.query(
            session, status=(Status.PRELIMINARY, Status.CONFIRMED), until=day
        )
        fresh = samples.fresh(session, open_ones)
        candidates = _candidates(fresh, alerts, str(workspace.grid.crs))
        drawn = sampling.draw(
            candidates, plan, seed=seed, blind_share=params.blind_share, size=size
        )
        areas = {c.warning_id: c.area_ha for c in candidates}
        rows = [
            _row(
                d,
                areas[d.warning_id],
                day=day,
                plan=plan.value,
                seed=seed,
                drawn_at=now,
                drawn_by=by,
            )
            for d in drawn
        ]
        try:
            samples.add(session, rows)
        except IntegrityError as error:
            raise ConflictError(
                "another draw was quicker", where=day, remedy="see its sample"
            ) from error
        _follow(session, drawn, fresh, now)
    return rows


def _seed_of(day: date) -> int:
    return int.from_bytes(hashlib.sha256(day.isoformat().encode()).digest()[:4]) >> 1


def _row(drawn: sampling.Draw, area_ha: float, **draw: Any) -> SampleRow:
    """What is kept of a warning in a draw; ``draw`` is what all of its warnings have in common."""
    return SampleRow(
        warning_id=drawn.warning_id,
        stratum=drawn.stratum,
        inclusion_probability=drawn.probability,
        area_ha=area_ha,
        drawn=drawn.drawn,
        blind=drawn.blind,
        **draw,
    )


def _follow(
    session: Session,
    drawn: Sequence[sampling.Draw],
    rows: Sequence[WarningRow],
    now: datetime,
) -> None:
    """What a draw changes at once: automatic verdicts, and votes that have become blind ones."""
    touched = {d.warning_id for d in drawn if d.blind or d.automatic}
    warnings.lock(session, [row for row in rows if row.warning_id in touched])
    log = reviews.by_warning(session, touched)
    for d in drawn:
        voted = verdicts.standing(log.get(d.warning_id, []))
        if d.automatic and not voted:
            record(session, d.warning_id, AUTOMATIC, Ballot(Verdict.AUTOMATIC), now)
        elif d.blind and voted:
            # Who voted before the draw now waits for a second vote as well.
            refresh(session, d.warning_id)


def _optical_alerts(workspace: Workspace) -> list[BaseGeometry]:
    path = workspace.monitor.serve.optical_alerts
    if not path:
        return []
    file = workspace.path(path)
    if not file.exists():
        raise ConfigError("no such file", where=file, remedy="mend [serve] optical_alerts")
    return list(read_vector(file).to_crs(str(workspace.grid.crs)).geometry)


def _candidates(
    rows: Sequence[WarningRow], alerts: Sequence[BaseGeometry], crs: str
) -> list[sampling.Candidate]:
    shapes = [project(row.geom, SIRGAS_2000, crs) for row in rows]
    shares = sampling.covered_share(shapes, alerts)
    return [
        sampling.Candidate(
            row.warning_id,
            row.area_ha,
            row.intensity_class,
            tile_name(row.geom.centroid.x, row.geom.centroid.y),
            share,
        )
        for row, share in zip(rows, shares, strict=True)
    ]
