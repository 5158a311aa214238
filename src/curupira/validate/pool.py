"""Several districts as one, for scores on more events than one district has. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from shapely import affinity
from shapely.geometry.base import BaseGeometry

from curupira.errors import InputError
from curupira.validate.found import Watch
from curupira.validate.matching import Alert, Event, Sighting

#: Districts are set so far apart that none touches another, metres.
APART_M = 1e6
#: Monitored times of one pool may differ by so many days.
MAXIMUM_SHIFT_DAYS = 31


@dataclass(frozen=True)
class Case:
    """One district: its warnings, truth, what was watched, and causes by ``warning_id``."""

    alerts: Sequence[Alert]
    events: Sequence[Event]
    watch: Watch
    false_causes: Mapping[str, str] = field(default_factory=dict)


def pool(cases: Sequence[Case]) -> Case:
    """Join districts; each one's events are those of its own monitored time.

    Raises
    ------
    InputError
        If there is none, or their monitored times differ by more than a month.
    """
    if not cases:
        raise InputError("no district to score", remedy="make one first")
    watches = [case.watch for case in cases]
    for days in ([w.since for w in watches], [w.end for w in watches]):
        if (max(days) - min(days)).days > MAXIMUM_SHIFT_DAYS:
            raise InputError(
                "the districts were not watched at the same time", remedy="score them apart"
            )
    alerts: list[Alert] = []
    events: list[Event] = []
    causes: dict[str, str] = {}
    for k, case in enumerate(cases):
        alerts += [_moved_alert(a, k) for a in case.alerts]
        own = (e for e in case.events if case.watch.since < e.start <= case.watch.end)
        events += [replace(e, geometry=_moved(e.geometry, k)) for e in own]
        causes |= {_name(name, k): cause for name, cause in case.false_causes.items()}
    watch = Watch(
        preset=", ".join(dict.fromkeys(w.preset for w in watches)),
        since=min(w.since for w in watches),
        end=max(w.end for w in watches),
        known=max(w.known for w in watches),
        revisit_days=max(w.revisit_days for w in watches),
        monitored_km2=sum(w.monitored_km2 for w in watches),
    )
    return Case(alerts, events, watch, causes)


def _name(warning_id: str, k: int) -> str:
    return f"{k}:{warning_id}"


def _moved(geometry: BaseGeometry, k: int) -> BaseGeometry:
    return affinity.translate(geometry, xoff=k * APART_M)


def _moved_alert(alert: Alert, k: int) -> Alert:
    return replace(
        alert,
        warning_id=_name(alert.warning_id, k),
        geometry=_moved(alert.geometry, k),
        sightings=tuple(Sighting(s.day, _moved(s.geometry, k)) for s in alert.sightings),
    )
