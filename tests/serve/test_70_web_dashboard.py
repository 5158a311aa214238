"""The dashboard: beside optical alerts, verdicts of the field, what the public may not see."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from curupira.codes import ClosedReason, Status
from curupira.store import warning as warnings
from curupira.units import NO_SATELLITE

ALERTS = "optical.geojson"


@pytest.fixture
def beside(serving: Callable[..., Any]) -> Any:
    """Two warnings; an optical alert met the first, a secret one, ten days after its issue."""
    served = serving(optical_alerts=ALERTS)
    store = served.app.state.site.store
    first, second, *others = served.ids
    with store.transaction() as session:
        # However many the simulated district has, two are compared.
        for row in warnings.query(session, ids=others) if others else ():
            row.status, row.closed_reason = Status.CLOSED, ClosedReason.WITHDRAWN
    with store.reading() as session:
        row = warnings.query(session, ids=[first])[0]
        shape, day = row.geom, row.issued_at.date() + timedelta(days=10)
        other = warnings.query(session, ids=[second])[0].issued_at.date()
    write_alerts(served.folder, [(shape, day), (translate(shape, 0.02), other)])
    served.hide(first)
    return served, first, second


def write_alerts(folder: Path, alerts: list[tuple[BaseGeometry, Any]]) -> None:
    frame = gpd.GeoDataFrame(
        {"view_date": [str(day) for _, day in alerts]},
        geometry=[shape for shape, _ in alerts],
        crs=4674,
    )
    frame.to_file(folder / ALERTS)


def test_beside_optical_alerts(beside: Any) -> None:
    served, first, second = beside
    known, nobody = served.client("vera"), served.client()
    assert known.get("/api/config").json()["optical"] is True
    issued = {
        key: known.get(f"/api/warnings/{key}").json()["issued_at"][:10] for key in (first, second)
    }
    days = f"since={min(issued.values())}&until={max(issued.values())}"
    found = known.get(f"/api/dashboard/optical?{days}").json()
    lead = found["lead"]
    assert (lead["warnings"], lead["first"] + lead["same_day"] + lead["later"]) == (2, 1)
    assert lead["only"] == found["ours"]["only"] == 1
    assert sum(month["ours"] for month in found["months"]) == 2
    assert sum(month["only_ours"] for month in found["months"]) == 1
    # Without the secret one, nothing of ours meets an alert.
    open_to_all = nobody.get(f"/api/dashboard/optical?{days}").json()
    assert (open_to_all["ours"]["total"], open_to_all["ours"]["matched"]) == (1, 0)


def test_a_changed_store_is_compared_anew(beside: Any) -> None:
    served, first, _ = beside
    known = served.client("vera")
    path = "/api/dashboard/optical?since=2022-01-01&until=2024-01-01"
    before = known.get(path).json()
    store = served.app.state.site.store
    ana = served.client("ana")
    vote = {"verdict": "false_positive", "reason": "no_change"}
    assert ana.post(f"/api/warnings/{first}/review", json=vote).status_code == 201
    with store.transaction() as session:
        row = warnings.query(session, ids=[first])[0]
        row.issued_at += timedelta(days=30)
    after = known.get(path).json()
    assert before["lead"]["first"] - after["lead"]["first"] == 1
    assert after["lead"]["later"] - before["lead"]["later"] == 1


def test_a_replaced_file_of_alerts_is_compared_anew(beside: Any) -> None:
    served, *keys = beside
    known = served.client("vera")
    path = "/api/dashboard/optical?since=2022-01-01&until=2024-01-01"
    before = known.get(path).json()["ours"]["matched"]
    with served.app.state.site.store.reading() as session:
        rows = warnings.query(session, ids=keys)
    write_alerts(served.folder, [(row.geom, row.issued_at.date()) for row in rows])
    assert known.get(path).json()["ours"]["matched"] == before + 1
    (served.folder / ALERTS).unlink()
    assert known.get(path).status_code == 400


def test_without_optical_alerts_there_is_nothing_to_compare(served: Any) -> None:
    answer = served.client().get("/api/dashboard/optical")
    assert answer.status_code == 404
    assert answer.json()["error"]["where"] == "[serve] optical_alerts"
    assert served.client().get("/api/config").json()["optical"] is False


def test_field_verdicts_and_residue_of_hidden_places_are_not_shown(beside: Any) -> None:
    served, first, second = beside
    ana = served.client("ana")
    for key, verdict in ((first, "residue"), (second, "recent_deforestation")):
        form = {"verdict": verdict, "visited_on": "2023-06-01", "method": "overflown"}
        answer = ana.post(f"/api/warnings/{key}/field", data=form | {"finding": "seen"})
        assert answer.status_code == 201, answer.text
    known, public = (c.get("/api/dashboard").json() for c in (ana, served.client()))
    assert {p["warning_id"] for p in known["field"]["points"]} == {first, second}
    assert [p["warning_id"] for p in public["field"]["points"]] == [second]
    assert public["field"]["n"] == 1
    assert first not in str(public)
    box = ana.get(f"/api/warnings/{second}").json()["bbox"]
    point = public["field"]["points"][0]
    assert box[0] <= point["lon"] <= box[2]
    assert box[1] <= point["lat"] <= box[3]

    rows = {key: ana.get(f"/api/warnings/{key}").json() for key in (first, second)}
    residue = sum(year["residue_ha"] for year in known["years"])
    assert residue == pytest.approx(rows[first]["area_ha"], abs=1e-3)
    assert sum(year["n"] for year in known["years"]) == 2
    assert sum(year["residue_n"] for year in public["years"]) == 0
    flags = [rows[key]["first_flag_date"] for key in (first, second)]
    expected = {int(day[:4]) + (int(day[5:7]) >= 8) for day in flags}
    assert {year["prodes_year"] for year in known["years"]} == expected
    assert sum(c["n"] for c in known["counts"]) == 1 + sum(c["n"] for c in public["counts"])
    assert sum(d["n"] for d in public["timeline_issued"]) == 1
    # One warning's map of density holds its area less than both's: nothing is cut at the edges.
    total = [sum(c["m2_per_ha"] for c in found["heat"]["cells"]) for found in (known, public)]
    areas = [row["area_ha"] for row in rows.values()]
    assert total[1] / total[0] == pytest.approx(areas[1] / sum(areas), rel=2e-4)


def test_simulated_images_are_nobodys(served: Any) -> None:
    client = served.client()
    assert client.get("/api/config").json()["attribution"] == NO_SATELLITE
    pages = [
        client.get("/api/feed.atom").text,
        client.get(f"/w/{served.ids[0]}/dossier?lang=en").text,
    ]
    for page in (*pages, *(client.get(path).text for path in ogc(served))):
        assert NO_SATELLITE in page
        assert "Copernicus" not in page


def ogc(served: Any) -> list[str]:
    """What the OGC API publishes: landing page, collections, features, one feature."""
    one = "/ogc/collections/warning"
    items = (f"{one}/items", f"{one}/items?bbox=0,0,1,1", f"{one}/items/{served.ids[0]}")
    return ["/ogc", "/ogc/collections", one, *items]


def test_real_images_are_named_with_their_years(serving: Callable[..., Any]) -> None:
    served = serving()
    catalogue = served.folder / "catalog" / "catalog.json"
    document = json.loads(catalogue.read_text()) | {"id": "radar-of-a-provider"}
    catalogue.write_text(json.dumps(document))
    key, client = served.ids[0], served.client()
    with served.app.state.site.store.transaction() as session:
        for row in warnings.query(session, ids=served.ids):
            row.first_flag_date = date(2022, 12, 28)
            row.issued_at = datetime(2023, 1, 9, tzinfo=UTC)
            row.confirmed_at = datetime(2024, 1, 5, tzinfo=UTC)
    both = "contains modified Copernicus Sentinel data 2022-2024"
    for path in ogc(served):
        # Nothing lies in the box, so that there is no year.
        assert (both[:-10] if "bbox" in path else both) in client.get(path).text
    assert client.get(ogc(served)[-1]).json()["attribution"] == both
    assert both in client.get(f"/w/{key}/dossier?lang=en").text
