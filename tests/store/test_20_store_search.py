"""Searching: pages and cells that the database makes are those that a slow loop makes."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import shapely

from curupira.codes import Status
from curupira.store import Store, WarningRow
from curupira.store import search as searches
from curupira.store.search import Search

BOXES = [(-52.3, -7.2, -51.9, -6.9), (-52.2, -7.2, -52.0, -7.0), (10.0, 10.0, 11.0, 11.0)]
#: From the meridian of 52.05 W eastward around the world to 52.3 W.
ACROSS = (-52.05, -7.2, -52.3, -6.9)


@pytest.fixture
def filled(store: Store, make_warning: Callable[..., WarningRow]) -> tuple[Store, list[WarningRow]]:
    """Triangles, whose bounds meet boxes that they do not, with times and areas of their own."""
    rng = random.Random(5)
    rows = []
    places = [(rng.uniform(-52.5, -51.8), rng.uniform(-7.4, -6.8)) for _ in range(119)]
    # One whose bounds alone meet the second box.
    for x, y in [(-52.21, -7.21), *places]:
        d = 0.015
        rows.append(
            make_warning(
                geom=shapely.MultiPolygon(
                    [shapely.Polygon([(x, y), (x + d, y), (x, y + d), (x, y)])]
                ),
                status=rng.choice([Status.PRELIMINARY, Status.CONFIRMED]),
                issued_at=datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=rng.randrange(5000)),
                area_ha=rng.uniform(1, 30),
                priority=rng.choice([None, rng.randrange(1, 99)]),
            )
        )
    with store.transaction() as session:
        session.add_all(rows)
    return store, rows


def test_some_meet_a_box_by_their_bounds_alone(
    filled: tuple[Store, list[WarningRow]],
) -> None:
    """Else the test below would show nothing."""
    box = shapely.box(*BOXES[1])
    by_bounds = [r for r in filled[1] if shapely.box(*r.geom.bounds).intersects(box)]
    assert any(not r.geom.intersects(box) for r in by_bounds)


def order_key(row: WarningRow) -> tuple[bool, float, int]:
    return (row.priority is None, -(row.priority or 0), row.id)


@pytest.mark.parametrize("box", [*BOXES, ACROSS])
def test_pages_together_are_what_meets_the_box(
    filled: tuple[Store, list[WarningRow]], box: tuple[float, float, float, float]
) -> None:
    store, rows = filled
    west, south, east, north = box
    halves = [box] if west <= east else [(west, south, 180, north), (-180, south, east, north)]
    wanted = [r for r in rows if any(r.geom.intersects(shapely.box(*half)) for half in halves)]
    assert box[0] > 0 or 5 < len(wanted) < 115
    expected = [r.warning_id for r in sorted(wanted, key=order_key)]
    search = Search(bbox=box)
    with store.reading() as session:
        got: list[str] = []
        while True:
            total, keys = searches.page(session, search, "-priority", 7, len(got))
            assert total == len(expected)
            got += keys
            if not keys:
                break
        assert got == expected == searches.ids(session, search, "-priority")
        assert searches.more_than(session, Search(), len(rows) - 1)
        assert not searches.more_than(session, Search(), len(rows))


def test_cells_are_the_sums_of_their_members(filled: tuple[Store, list[WarningRow]]) -> None:
    store, rows = filled
    side = 0.1
    members: dict[tuple[int, int], list[WarningRow]] = defaultdict(list)
    for row in rows:
        west, south, east, north = row.geom.bounds
        middle = ((west + east) / 2, (south + north) / 2)
        key = (math.floor((middle[0] + 360) / side), math.floor((middle[1] + 360) / side))
        members[key].append(row)
    with store.reading() as session:
        cells = searches.cells(session, Search(), side)
        empty = searches.cells(session, Search(min_area_ha=1e6), side)
        sure = searches.cells(session, Search(status=(Status.CONFIRMED,)), side)
    assert empty.shape == (0, 5)
    assert cells[:, 2].sum() == len(rows)
    assert cells[:, 4].sum() == sure[:, 2].sum() == sum(r.status == "confirmed" for r in rows)
    np.testing.assert_allclose(
        sorted(cells[:, 3]), sorted(sum(r.area_ha for r in m) for m in members.values()), rtol=1e-9
    )


def test_version_follows_changes_and_span_the_times(
    filled: tuple[Store, list[WarningRow]], make_warning: Callable[..., WarningRow]
) -> None:
    store, rows = filled
    with store.reading() as session:
        before = searches.version(session)
        times = [r.issued_at for r in rows]
        assert searches.span(session, Search()) == (min(times), max(times))
        assert searches.span(session, Search(min_area_ha=1e6)) is None
        assert searches.version(session) == before
    with store.transaction() as session:
        session.add(make_warning())
    with store.reading() as session:
        assert searches.version(session) != before
