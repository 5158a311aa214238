"""Estimates with 95 % intervals: shares, rates, ratios restated, the frontier. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

#: Two-sided 95 % quantile of the normal law.
Z95 = 1.959963984540054
#: With fewer blocks than this a bootstrap over blocks says little, and is left out.
MINIMUM_BLOCKS = 10
#: Bootstrap samples, and the seed that makes a result repeatable.
REPLICATES, SEED = 2000, 20220731

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval and what it rests on; None where undefined."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    def document(self) -> dict[str, Any]:
        """Plain values, as product.md section 8 writes them."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


def undefined(n: int = 0) -> Estimate:
    """An estimate of nothing."""
    return Estimate(None, None, None, n)


def wilson(share: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share seen in ``n`` independent trials (``n`` may be broken)."""
    centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * np.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def share(hits: Bools, blocks: Ints, weights: Floats | None = None) -> Estimate:
    """Share of hits, by number or by weight (area), ``(items,)`` each.

    The interval is Wilson's; with weights for Kish's effective number, (sum w)^2 / sum w^2. Items
    of one block (10 km) resemble each other: with ``MINIMUM_BLOCKS`` or more the interval is also
    bootstrapped over whole blocks, and the wider bound of the two stands.
    """
    n = int(hits.size)
    w = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    total = float(w.sum())
    if total <= 0:
        return undefined(n)
    value = min(1.0, float(w[hits].sum() / total))
    low, high = wilson(value, total**2 / float((w**2).sum()))
    sums = _by_block(blocks, np.stack([w * hits, w]))
    if sums.shape[1] >= MINIMUM_BLOCKS:
        drawn = _resample(sums)
        ratio = drawn[0] / drawn[1]
        low = min(low, float(np.quantile(ratio, 0.025)))
        high = max(high, float(np.quantile(ratio, 0.975)))
    return Estimate(value, min(low, value), max(high, value), n)


def _by_block(blocks: Ints, columns: Floats) -> Floats:
    """Sums ``(column, block)`` of ``(column, items)``."""
    _, index = np.unique(blocks, return_inverse=True)
    size = int(index.max()) + 1 if index.size else 0
    return np.stack([np.bincount(index, weights=c, minlength=size) for c in columns])


def _resample(sums: Floats) -> Floats:
    """Sums ``(column, replicate)`` over blocks drawn with replacement."""
    rng = np.random.default_rng(SEED)
    n = sums.shape[1]
    times = rng.multinomial(n, np.full(n, 1 / n), size=REPLICATES)
    return np.asarray(sums @ times.T, dtype=np.float64)


def median_of(values: Floats, blocks: Ints) -> Estimate:
    """Median with a bootstrap interval, over blocks where there are enough, else over items."""
    n = int(values.size)
    if n == 0:
        return undefined()
    value = float(np.median(values))
    if n == 1:
        return Estimate(value, None, None, 1)
    names, index = np.unique(blocks, return_inverse=True)
    groups = [values[index == k] for k in range(names.size)]
    if names.size < MINIMUM_BLOCKS:
        groups = [values[k : k + 1] for k in range(n)]
    rng = np.random.default_rng(SEED)
    drawn = [
        np.median(np.concatenate([groups[k] for k in rng.integers(0, len(groups), len(groups))]))
        for _ in range(REPLICATES // 4)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(value, float(low), float(high), n)


def rate(count: int, exposure: float) -> Estimate:
    """Events per unit of exposure with Garwood's exact Poisson interval; ``n`` is the count.

    Undefined without exposure.
    """
    if exposure <= 0:
        return undefined(count)
    low = float(special.gammaincinv(count, 0.025)) if count else 0.0
    high = float(special.gammaincinv(count + 1, 0.975))
    return Estimate(count / exposure, low / exposure, high / exposure, count)


def at_prevalence(accuracy: Estimate, seen: float, wanted: float) -> Estimate:
    """User's accuracy restated at another prevalence.

    True warnings are as many as there is loss, false ones as there is forest: with T and F per
    area and time at the loss rate ``seen``, at ``wanted`` they are k T and F, k = wanted / seen,
    so that UA' = UA / (UA + (1 - UA) / k). The bounds are carried over in the same way (the map is
    monotone); the loss rate itself counts as known.
    """
    if seen <= 0 or accuracy.value is None or accuracy.low is None or accuracy.high is None:
        return undefined(accuracy.n)
    k = wanted / seen

    def restate(ua: float) -> float:
        return ua / (ua + (1 - ua) / k) if ua > 0 else 0.0

    return Estimate(
        restate(accuracy.value), restate(accuracy.low), restate(accuracy.high), accuracy.n
    )


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """Warnings of a confidence or more: user's accuracy of them, and events they find in time."""

    confidence: float
    warnings: int
    ua: float
    pa_all: float


def frontier(
    confidence: Floats, true: Bools, best_of_event: Floats, events: int
) -> list[FrontierPoint]:
    """User's and producer's accuracy along the confidence, highest first.

    Parameters
    ----------
    confidence, true
        ``(warnings,)``; a warning without a confidence (NaN) is left out.
    best_of_event
        Highest confidence among the warnings that find an event in time, ``(found events,)``.
    events
        Events in all.
    """
    known = np.isfinite(confidence)
    confidence, true = confidence[known], true[known]
    points = []
    for level in np.unique(confidence)[::-1]:
        kept = confidence >= level
        found = int((best_of_event >= level).sum())
        points.append(
            FrontierPoint(
                float(level),
                int(kept.sum()),
                float(true[kept].mean()),
                found / events if events else float("nan"),
            )
        )
    return points
