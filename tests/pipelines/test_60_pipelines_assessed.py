"""Accuracy from a sample that is reviewed bit by bit, of days and of what a search finds."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import shapely
from drawn import sample_row
from postgis import PostGis

from curupira.codes import IntensityClass, Status, Verdict
from curupira.pipelines import assessed
from curupira.store import WarningRow
from curupira.store import sample as samples
from curupira.store import warning as warnings
from curupira.store.search import Search
from curupira.store.session import Store

DAYS = date(2024, 6, 1), date(2024, 6, 2)
RIGHT, WRONG = Verdict.RECENT_DEFORESTATION, Verdict.NON_FOREST


@pytest.fixture(params=("sqlite", "postgis"))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "sqlite":
        with Store.open("sqlite:///w.gpkg", base=tmp_path, create=True) as opened:
            yield opened
        return
    server: PostGis = request.getfixturevalue("postgis")
    with (
        server.database() as name,
        Store.open(server.url(name), base=tmp_path, create=True) as opened,
    ):
        yield opened


def drawn(store: Store, day: date, stratum: str, population: int, n: int) -> list[str]:
    """Put a day's stratum into the store; the ids of the drawn."""
    moment = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
    keys = [str(uuid.uuid4()) for _ in range(population)]
    with store.transaction() as session:
        for key in keys:
            row = WarningRow(
                geom=shapely.MultiPolygon([shapely.box(-52, -7, -51.99, -6.99)]),
                warning_id=key,
                status=Status.CONFIRMED,
                intensity_class=IntensityClass.HIGH,
                first_flag_date=day,
                first_flag_days=1613,
                issued_at=moment,
                recorded_at=moment,
                updated_at=moment,
                area_ha=1.0,
                area_geodesic_ha=1.0,
                preset="deter_r",
                preset_hash="abc",
                run_id="run",
            )
            session.add(row)
        session.flush()
        rows = [
            sample_row(
                key,
                day,
                stratum=stratum,
                inclusion_probability=n / population,
                drawn=i < n and stratum != "automatic",
            )
            for i, key in enumerate(keys)
        ]
        samples.add(session, rows)
    return keys[:n]


def judge(store: Store, keys: list[str], verdict: Verdict) -> None:
    with store.transaction() as session:
        for key in keys:
            warnings.get(session, key).verdict = verdict


def accuracy(store: Store, search: Search | None = None) -> tuple[Any, dict[str, Any]]:
    with store.reading() as session:
        judged = [one.judged for one in assessed.assessed(session, search)]
        progress = assessed.progress_json(session, search)
    return assessed.accuracy_json(judged)["ua_count"]["excluded"]["value"], progress


def known(drawn: int, judged: int, *silent: str, assessed: int | None = None) -> dict[str, Any]:
    """What ``progress_json`` says."""
    seen = judged if assessed is None else assessed
    return {"drawn": drawn, "judged": judged, "assessed": seen, "silent": list(silent)}


def test_weights_follow_what_is_judged(store: Store) -> None:
    largest = drawn(store, DAYS[0], "largest", 4, 4)
    random = drawn(store, DAYS[0], "random", 36, 6)
    judge(store, drawn(store, DAYS[0], "automatic", 2, 2), Verdict.AUTOMATIC)
    judge(store, largest, RIGHT)
    assert accuracy(store) == (None, known(10, 4, "deter_r random")), "no random one yet"
    judge(store, random[:1], RIGHT)
    judge(store, random[1:3], WRONG)
    value = (2 + 4 + 36 / 3) / 42
    assert accuracy(store) == (pytest.approx(value), known(10, 7))

    # The next day begins: its largest are known, its random ones are like those of the day before.
    judge(store, drawn(store, DAYS[1], "largest", 4, 4), WRONG)
    drawn(store, DAYS[1], "random", 36, 6)
    value = (2 + 4 + 72 / 3) / 82
    assert accuracy(store) == (pytest.approx(value), known(20, 11))
    # Of that day alone nothing can be said; of the one before what could be said then.
    assert accuracy(store, Search(since=DAYS[1])) == (None, known(10, 4, "deter_r random"))
    value = (2 + 4 + 36 / 3) / 42
    assert accuracy(store, Search(until=DAYS[0]))[0] == pytest.approx(value)
    assert accuracy(store, Search(status=(Status.CLOSED,))) == accuracy(store)


def test_a_stratum_under_clouds_is_not_judged(store: Store) -> None:
    judge(store, drawn(store, DAYS[0], "largest", 4, 4), RIGHT)
    random = drawn(store, DAYS[0], "random", 36, 6)
    judge(store, random[:5], Verdict.CLOUD)
    silent = known(10, 9, "deter_r random", assessed=4)
    assert accuracy(store) == (None, silent)
    with store.reading() as session:
        judged = [one.judged for one in assessed.assessed(session)]
    ways = assessed.accuracy_json(judged)["ua_count"]
    assert ways["counted_false"]["value"] == pytest.approx(4 / 40), "bounds can be told"
    assert ways["counted_true"]["value"] == pytest.approx(1)
    # One clear view stands for the stratum, as it would without the clouded ones.
    judge(store, random[5:], WRONG)
    assert accuracy(store) == (pytest.approx(4 / 40), known(10, 10, assessed=5))
