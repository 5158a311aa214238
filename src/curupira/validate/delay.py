"""Delays with events that were never found: Kaplan and Meier 1958, Greenwood 1926. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curupira.validate.scores import Z95, Estimate, undefined

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DelayCurve:
    """Share not yet warned after ``days``: a step function, 95 % bounds by log(-log) Greenwood.

    ``days`` are the distinct delays at which an event was found; before the first the share is 1.
    """

    days: Floats
    waiting: Floats
    low: Floats
    high: Floats
    n: int


def kaplan_meier(days: npt.ArrayLike, found: npt.ArrayLike) -> DelayCurve:
    """Estimate the share of events still waiting for their warning.

    Parameters
    ----------
    days
        ``(events,)`` days until the warning, or until observation ended.
    found
        ``(events,)`` whether it was warned; the others are censored.

    Notes
    -----
    Events censored on the day of a warning are still at risk on that day.
    """
    t = np.asarray(days, dtype=np.float64)
    seen = np.asarray(found, dtype=np.bool_)
    steps = np.unique(t[seen])
    at_risk = np.array([(t >= step).sum() for step in steps], dtype=np.float64)
    events = np.array([(seen & (t == step)).sum() for step in steps], dtype=np.float64)
    waiting: Floats = np.asarray(np.cumprod(1 - events / at_risk), dtype=np.float64)
    left = at_risk - events
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.cumsum(np.where(left > 0, events / (at_risk * left), np.inf))
        spread = Z95 * np.sqrt(variance) / np.abs(np.log(waiting))
        low, high = waiting ** np.exp(spread), waiting ** np.exp(-spread)
    # Where nobody waits any more the variance has no value: the last bound above it stands.
    low = np.where(waiting > 0, low, 0.0)
    for k in np.flatnonzero(waiting <= 0):
        high[k] = high[k - 1] if k else 1.0
    return DelayCurve(steps, waiting, low, high, int(t.size))


def quantile(curve: DelayCurve, share: float) -> Estimate:
    """Days after which a share of the events is warned; None where that is never reached.

    The interval inverts the curve's bounds (Brookmeyer and Crowley 1982).
    """
    if curve.n == 0:
        return undefined()
    return Estimate(
        _first(curve.days, curve.waiting, 1 - share),
        _first(curve.days, curve.low, 1 - share),
        _first(curve.days, curve.high, 1 - share),
        curve.n,
    )


def _first(days: Floats, waiting: Floats, limit: float) -> float | None:
    reached = np.flatnonzero(waiting <= limit + 1e-12)
    return float(days[reached[0]]) if reached.size else None
