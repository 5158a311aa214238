"""The life of a disturbance as the radar sees it: slash, fire, regrowth, wet soil. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from curupira.simulate.params import District, SequenceWorld

Series = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sequence:
    """How one clearing behaves: what its series is computed from.

    ``slash_days`` after its start it burns (or what machines left is cleared away) and is dark;
    patches of ``second_share`` of its area stay slash and burn ``second_days`` later.
    """

    slash_days: float
    slash_drop_db: float
    dark_drop_db: float
    vv_ratio: float
    regrowth_days: float
    regrowth_shape: float
    regrowth_floor: float
    wet_gain: float
    second_share: float = 0.0
    second_days: float = 0.0

    @property
    def darkens(self) -> bool:
        """Whether it ever becomes dark."""
        return bool(np.isfinite(self.slash_days))


@dataclass(frozen=True, slots=True)
class SequenceNumbers:
    """What a district has drawn for all of its clearings."""

    slash_drop_db: float
    never_dark_share: float
    dark_drop_db: float
    vv_ratio: float
    regrowth_days: float
    date_sd_db: float
    wet_vh_db: float
    wet_vv_db: float

    @classmethod
    def of(cls, p: SequenceWorld, district: District) -> SequenceNumbers:
        """Draw them."""
        return cls(
            slash_drop_db=district.draw("slash drop", p.slash_drop_db),
            never_dark_share=max(0.0, district.draw("never dark", p.never_dark_share)),
            dark_drop_db=district.draw("dark drop", p.dark_drop_db),
            vv_ratio=district.draw("vv ratio", p.vv_ratio),
            regrowth_days=max(20.0, district.draw("regrowth", p.regrowth_days_median)),
            date_sd_db=max(0.0, district.draw("clearing date sd", p.date_sd_db)),
            wet_vh_db=max(0.0, district.draw("wet vh", p.wet_vh_db)),
            wet_vv_db=max(0.0, district.draw("wet vv", p.wet_vv_db)),
        )


@dataclass(frozen=True, slots=True)
class Surface:
    """One kind of ground within a clearing: share of its area, drops of VH and VV ``(time,)``."""

    share: float
    vh_drop_db: Series
    vv_drop_db: Series


def days_until_fire(p: SequenceWorld, start: date, dry_days: float) -> float:
    """Days from felling to fire for slash that would take ``dry_days`` in July.

    Each day counts by its month's ``burning_pace``: what is felled in April waits for August.
    """
    left, days = dry_days, 0
    while True:
        pace = p.burning_pace[(start + timedelta(days=days)).month - 1]
        if left <= pace:
            return days + left / pace
        left -= pace
        days += 1


def draw_sequence(
    p: SequenceWorld,
    numbers: SequenceNumbers,
    rank: float,
    start: date,
    rng: np.random.Generator,
) -> Sequence:
    """Draw how one clearing behaves.

    Parameters
    ----------
    p, numbers
        The world's and the district's numbers.
    rank
        In [0, 1): the clearing's place in the distribution of the days until it is dark. Evenly
        spread ranks keep small districts close to the shares that are asked for.
    start
        Day of felling: when slash burns depends on the season.
    rng
        Source of all else.
    """
    dark_share = 1 - numbers.never_dark_share
    if rank >= dark_share:
        slash_days = np.inf
    elif rank < p.prompt_share * dark_share:
        slash_days = float(rng.uniform(*p.prompt_days))
    else:
        dry_days = p.slash_days_median * float(np.exp(rng.normal(0, p.slash_days_sd_ln)))
        slash_days = days_until_fire(p, start, dry_days)
    slash = float(np.clip(rng.normal(numbers.slash_drop_db, p.slash_between_db), -0.5, 1.8))
    regrowth = numbers.regrowth_days * float(np.exp(rng.normal(0, p.regrowth_days_sd_ln)))
    return Sequence(
        slash_days=slash_days,
        slash_drop_db=slash,
        dark_drop_db=max(1.0, numbers.dark_drop_db * float(np.exp(rng.normal(0, p.dark_sd_ln)))),
        vv_ratio=max(0.3, float(rng.normal(numbers.vv_ratio, 0.15))),
        regrowth_days=regrowth,
        regrowth_shape=p.regrowth_shape,
        regrowth_floor=float(np.clip(rng.normal(p.regrowth_floor, p.regrowth_floor_sd), -0.3, 0.8)),
        wet_gain=float(rng.uniform(0.4, 1.4)),
        second_share=float(rng.uniform(*p.second_share)),
        second_days=float(rng.exponential(p.second_days)),
    )


def partial(drop_db: float) -> Sequence:
    """Degradation: a small drop from the start, that lasts."""
    return Sequence(np.inf, drop_db, drop_db, 0.6, np.inf, 1.0, 1.0, 0.0)


def bare_share(sequence: Sequence, age_days: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Share of the burnt ground that nothing has grown over yet; 1 before it burns."""
    if not sequence.darkens:
        return np.ones_like(age_days)
    dark_age = np.maximum(age_days - sequence.slash_days, 0)
    with np.errstate(over="ignore"):
        return np.exp(-((dark_age / sequence.regrowth_days) ** sequence.regrowth_shape))


def nominal_drop(
    sequence: Sequence, age_days: npt.NDArray[np.float64], later_days: float = 0.0
) -> Series:
    """Drop of VH below forest (dB, positive is darker) on dry soil, without the dates' noise.

    NaN before the start (negative age). ``later_days``: for patches that burn after the rest.
    """
    burnt = age_days >= sequence.slash_days + later_days
    floor = sequence.regrowth_floor
    left = floor + (1 - floor) * bare_share(sequence, age_days)
    drop = np.where(burnt, sequence.dark_drop_db * left, sequence.slash_drop_db)
    return np.where(age_days >= 0, drop, np.nan).astype(np.float32)


def grounds(sequence: Sequence) -> list[tuple[float, float]]:
    """Share of the area, and days after the first fire on which it burns, of each ground."""
    first = (1 - sequence.second_share, 0.0)
    second = (sequence.second_share, sequence.second_days)
    return [one for one in (first, second) if one[0] > 0]


def settled_drop(sequence: Sequence, p: SequenceWorld) -> float:
    """Drop of the mean power over the settled time after darkening (after the start if never)."""
    begin = sequence.slash_days if sequence.darkens else 0.0
    age = begin + np.linspace(0, p.settled_days, 13)
    power = [
        share * np.power(10, -nominal_drop(sequence, age, later) / 10)
        for share, later in grounds(sequence)
    ]
    return float(np.mean(-10 * np.log10(np.sum(power, axis=0))))


def drop_series(
    sequence: Sequence,
    age_days: npt.NDArray[np.float64],
    wetness: npt.NDArray[np.float64],
    p: SequenceWorld,
    numbers: SequenceNumbers,
    rng: np.random.Generator,
) -> list[Surface]:
    """Drops of VH and of VV below forest at each date (dB), for each ground; NaN before the start.

    Parameters
    ----------
    sequence
        How the clearing behaves.
    age_days
        ``(time,)`` days since its start, negative before it.
    wetness
        ``(time,)`` 0 (dry) to 1 (soaked soil) of the district.
    p, numbers
        The world's and the district's numbers.
    rng
        Source of the dates' noise, which the grounds of a clearing share.
    """
    noise = correlated(age_days, p.correlation_days, rng)
    own = 0.4 * rng.standard_normal(age_days.size)
    bare = bare_share(sequence, age_days)
    found = []
    for share, later in grounds(sequence):
        nominal = nominal_drop(sequence, age_days, later).astype(np.float64)
        # Slash and regrowth are nearly as steady as forest and shield the soil: only bare soil
        # shows that it is wet.
        bare_here = np.where(age_days >= sequence.slash_days + later, bare, 0.0)
        sd = p.slash_date_sd_db + (numbers.date_sd_db - p.slash_date_sd_db) * bare_here
        exposed = (0.2 + (sequence.wet_gain - 0.2) * bare_here) * wetness
        vh = nominal + sd * noise - numbers.wet_vh_db * exposed
        vv = nominal * sequence.vv_ratio + sd * (noise + own) - numbers.wet_vv_db * exposed
        found.append(Surface(share, vh.astype(np.float32), vv.astype(np.float32)))
    return found


def correlated(
    days: npt.NDArray[np.float64], scale_days: float, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """First-order autoregressive noise of unit variance at uneven dates."""
    draws = rng.standard_normal(days.size)
    out = np.empty(days.size)
    for i in range(days.size):
        keep = np.exp(-(days[i] - days[i - 1]) / scale_days) if i else 0.0
        out[i] = (out[i - 1] * keep if i else 0.0) + np.sqrt(1 - keep**2) * draws[i]
    return out


def soil_wetness(
    p: SequenceWorld, district: District, months: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Wetness of the soil at each date: 0, or 0.3 to 1 where it rained in the days before."""
    rng = district.rng("wetness")
    share = np.where(np.isin(months, p.rainy_months), p.wet_share_rainy, p.wet_share_dry)
    wet = rng.random(months.size) < share
    return np.where(wet, rng.uniform(0.3, 1.0, months.size), 0.0)
