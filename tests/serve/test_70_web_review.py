"""Reviewing through the web: draws, queues, votes, disputes, the field, edits; text stays text."""

from __future__ import annotations

import io
from datetime import date, timedelta
from typing import Any

import pytest
import shapely
from drawn import sample_row
from PIL import Image

from curupira.codes import ClosedReason, Status, Verdict
from curupira.pipelines import assessed
from curupira.store import sample as samples
from curupira.store import warning as warnings

EVIL = "<img src=x onerror=alert(1)><script>alert('x')</script>"


def draw(served: Any, **order: Any) -> Any:
    day = served.client().get("/api/config").json()["days"]["last"]
    return served.client("chief").post("/api/samples", json={"day": day} | order)


def test_a_day_of_two_interpreters_and_an_operator(serving: Any) -> None:
    served = serving(blind_share=1.0)
    ana, bia, chief = (served.client(name) for name in ("ana", "bia", "chief"))
    drawn = draw(served, plan="stratified")
    assert drawn.status_code == 201, drawn.text
    assert drawn.json()["drawn"] == drawn.json()["population"] == len(served.ids) > 1
    assert draw(served).status_code == 409
    queue = ana.get("/api/queue").json()
    assert (queue["done"], queue["total"]) == (0, len(served.ids))
    first, second = (item["warning_id"] for item in queue["items"][:2])

    path = f"/api/warnings/{first}/review"
    assert ana.post(path, json={"verdict": "false_positive"}).status_code == 422, "needs a reason"
    body = {"verdict": "recent_deforestation", "comment": EVIL, "seconds_spent": 12.5}
    vote = ana.post(path, json=body | {"context": {"layer": "sar", "z": 14}})
    assert vote.status_code == 201, vote.text
    assert ana.post(path, json=body).status_code == 409, "a second vote supersedes the first"

    seen = bia.get(f"/api/warnings/{first}/votes").json()
    assert seen == {"votes": [], "blind": True}
    item = next(i for i in bia.get("/api/queue").json()["items"] if i["warning_id"] == first)
    assert item["blind"]
    assert bia.post(path, json={"verdict": "non_forest", "reason": "savanna"}).status_code == 201
    seen = bia.get(f"/api/warnings/{first}/votes").json()
    assert [v["comment"] for v in seen["votes"]] == [EVIL, None], "text comes back as it was sent"
    assert served.client().get(f"/api/warnings/{first}").json()["review"]["state"] == "disputed"

    disputes = chief.get("/api/disputes").json()
    assert [d["warning_id"] for d in disputes] == [first]
    ruling = {"verdict": "recent_deforestation", "kind": "adjudication"}
    assert bia.post(path, json=ruling).status_code == 403
    assert chief.post(path, json=ruling).status_code == 201
    shown = served.client().get(f"/api/warnings/{first}").json()
    assert shown["review"]["state"] == "adjudicated"
    assert (shown["review"]["category"], shown["verdict_by"]) == ("agreement", None)
    assert shown["verdict"] == "recent_deforestation"
    assert chief.get("/api/disputes").json() == []

    other = ana.post(f"/api/warnings/{second}/review", json={"verdict": "cloud"}).json()
    undo = f"/api/votes/{other['vote_id']}/undo"
    assert bia.post(undo).status_code == 403
    assert ana.post(undo).json()["kind"] == "undo"
    assert ana.post(undo).status_code == 409
    assert served.client().get(f"/api/warnings/{second}").json()["verdict"] is None
    queue = ana.get("/api/queue").json()
    assert (queue["done"], queue["streak_seconds_median"]) == (1, 12.5)
    progress = chief.get("/api/samples").json()
    assert [(p["plan"], p["done"]) for p in progress] == [("stratified", 1)]

    board = served.client().get("/api/dashboard").json()
    assert board["agreement"]["n"] == 1
    sample = board["accuracy"]
    assert (sample["drawn"], sample["judged"]) == (len(served.ids), 1)
    assert sample["ua_area"]["excluded"]["value"] is None, "classes of size are not judged yet"
    assert board["interpreters"] is None
    work = ana.get("/api/dashboard").json()["interpreters"]
    assert {w["name"] for w in work} == {"ana", "bia", "chief"}
    with served.app.state.site.store.reading() as session:
        assert [a.judged.verdict for a in assessed.assessed(session)] == [
            Verdict.RECENT_DEFORESTATION
        ]


def test_a_rejected_warning_still_counts_when_it_is_closed(serving: Any) -> None:
    served = serving(blind_share=0.0)
    assert draw(served, plan="stratified").status_code == 201
    ana = served.client("ana")
    wrong, *right = (item["warning_id"] for item in ana.get("/api/queue").json()["items"])
    no = {"verdict": "false_positive", "reason": "flood"}
    for key, body in ((wrong, no), *((k, {"verdict": "recent_deforestation"}) for k in right)):
        assert ana.post(f"/api/warnings/{key}/review", json=body).status_code == 201
    before = ana.get("/api/dashboard").json()
    value = before["accuracy"]["ua_count"]["excluded"]["value"]
    assert value == pytest.approx(len(right) / (len(right) + 1))
    with served.app.state.site.store.transaction() as session:  # as the next run does
        row = warnings.get(session, wrong)
        row.status, row.closed_reason = Status.CLOSED, ClosedReason.REJECTED
        row.closed_at = row.issued_at
    after = ana.get("/api/dashboard").json()
    for table in ("accuracy", "agreement", "years"):
        assert after[table] == before[table]


def test_the_queue_goes_back_to_days_with_something_open(serving: Any) -> None:
    served = serving(blind_share=0.0)
    keys = served.ids
    newest = date.fromisoformat(served.client().get("/api/config").json()["days"]["last"])
    with served.app.state.site.store.transaction() as session:
        for age, key in enumerate(keys):
            samples.add(session, [sample_row(key, newest - timedelta(days=age))])
    ana = served.client("ana")

    def queued() -> list[str]:
        return [item["warning_id"] for item in ana.get("/api/queue").json()["items"]]

    assert queued() == keys[::-1]
    for key in (keys[0], keys[-1]):
        body = {"verdict": "recent_deforestation"}
        assert ana.post(f"/api/warnings/{key}/review", json=body).status_code == 201
    assert queued() == keys[-2::-1], "judged: the oldest day is over, the newest stays"
    day = (newest - timedelta(days=len(keys) - 1)).isoformat()
    found = ana.get(f"/api/queue?day={day}").json()
    assert [(i["warning_id"], i["state"]) for i in found["items"]] == [(keys[-1], "done")]


def test_more_than_four_interpreters_are_too_many(served: Any) -> None:
    from curupira.errors import CurupiraError
    from curupira.pipelines import review

    site, key = served.app.state.site, served.ids[0]
    outcomes = []
    for name in ("i1", "i2", "i3", "i4", "i5"):
        try:
            review.cast(site.store, key, name, review.Ballot(Verdict.BURNT), site.now())
            outcomes.append(201)
        except CurupiraError as error:
            outcomes.append(error.http_status)
    assert outcomes == [201] * 4 + [409]


def test_verdicts_from_the_field_by_form_and_by_file(serving: Any) -> None:
    served = serving()
    ana, first, second = served.client("ana"), *served.ids[:2]
    desk = {"verdict": "false_positive", "reason": "no_change"}
    assert ana.post(f"/api/warnings/{first}/review", json=desk).status_code == 201
    photo = io.BytesIO()
    picture = Image.new("RGB", (40, 30), "green")
    exif = picture.getexif()
    exif[0x010E] = "who took it and where"
    picture.save(photo, "JPEG", exif=exif)
    form = {
        "verdict": "recent_deforestation",
        "visited_on": "2023-06-01",
        "method": "visited",
        "finding": EVIL,
    }
    files = {"photo": ("../../evil.jpg", photo.getvalue(), "image/jpeg")}
    vote = ana.post(f"/api/warnings/{first}/field", data=form, files=files)
    assert vote.status_code == 201, vote.text
    assert vote.json()["field"]["finding"] == EVIL
    shown = served.client().get(f"/api/warnings/{first}").json()
    assert (shown["verdict"], shown["verdict_source"]) == ("recent_deforestation", "field")
    kept = ana.get(f"/api/photos/{vote.json()['vote_id']}")
    assert kept.headers["content-type"] == "image/jpeg"
    assert b"who took it" not in kept.content
    assert served.client().get(f"/api/photos/{vote.json()['vote_id']}").status_code == 401
    assert [p.name for p in served.folder.glob("**/evil*")] == []
    bad = {"photo": ("x.jpg", b"GIF89a nothing", "image/jpeg")}
    assert ana.post(f"/api/warnings/{first}/field", data=form, files=bad).status_code == 422

    lon, lat = (
        ana.get(f"/api/warnings/{second}/evidence").json()["point"][k] for k in ("lon", "lat")
    )
    rows = (
        "warning_id,lon,lat,verdict,visited_on,method,finding\n"
        f",{lon},{lat},burnt,2023-06-02,overflown,smoke\n"
        f"{second},,,no such class,2023-06-02,visited,\n"
        ",0,0,burnt,2023-06-02,visited,\n"
    )
    found = ana.post("/api/field", files={"file": ("a.csv", rows.encode(), "text/csv")}).json()
    assert found["accepted"] == 1
    assert [r["row"] for r in found["refused"]] == [2, 3]
    gpx = (
        '<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1" creator="t">'
        f'<wpt lat="{lat}" lon="{lon}"><time>2023-06-03T10:00:00Z</time><cmt>visited</cmt>'
        "<desc>stumps</desc><type>recent_degradation</type></wpt></gpx>"
    )
    found = ana.post("/api/field", files={"file": ("a.gpx", gpx.encode(), "text/xml")}).json()
    assert found == {"accepted": 1, "refused": []}
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><gpx>&a;</gpx>'
    assert ana.post("/api/field", files={"file": ("b.gpx", bomb, "text/xml")}).status_code == 422
    board = served.client().get("/api/dashboard").json()
    assert board["field"]["n"] == 2


def test_a_blind_second_vote_learns_nothing_of_the_first(serving: Any) -> None:
    served = serving(blind_share=1.0)
    chief = served.client("chief")
    assert draw(served).status_code == 201
    key = served.client("ana").get("/api/queue").json()["items"][0]["warning_id"]
    ballot = {"verdict": "burnt", "comment": "SEEN"}
    features = "/ogc/collections/warning/items"
    path = f"/api/warnings/{key}"
    ana, bia = served.client("ana"), served.client("bia")
    assert ana.post(f"{path}/review", json=ballot).status_code == 201

    def answers(client: Any) -> list[str]:
        routes = (path, f"/ogc/collections/warning/items/{key}", f"/w/{key}/dossier?lang=en")
        lists = ("/api/warnings", "/api/warnings.geojson", "/ogc/collections/warning/items")
        files = ("/api/export?format=csv", "/api/feed.atom", "/api/warnings?verdict=burnt")
        return [client.get(route).text for route in (*routes, *lists, *files)]

    # It is the verdict of nobody yet: neither of who gave it nor of who operates.
    for client in (ana, chief, bia, served.client("vera"), served.client()):
        assert not any("burnt" in text or "SEEN" in text for text in answers(client))
        review = client.get(path).json()["review"]
        assert (review["state"], review["verdict"], review["n_votes"]) == ("pending", None, 1)
        assert client.get("/api/warnings?verdict=burnt").json()["total"] == 0
        assert client.get(f"{features}?verdict=burnt").json()["numberMatched"] == 0
        assert client.get("/api/dashboard").json()["agreement"]["n"] == 0
    assert [v["verdict"] for v in ana.get(f"{path}/votes").json()["votes"]] == ["burnt"]
    assert bia.get(f"{path}/votes").json()["votes"] == []
    assert bia.post(f"{path}/review", json={"verdict": "burnt"}).status_code == 201
    for client in (bia, served.client("vera")):
        assert client.get(path).json()["review"]["verdict"] == "burnt"


def test_a_vote_given_before_the_blind_draw_waits_too(serving: Any) -> None:
    served = serving(blind_share=1.0)
    ana, key = served.client("ana"), served.ids[0]
    path = f"/api/warnings/{key}"
    assert ana.post(f"{path}/review", json={"verdict": "burnt"}).status_code == 201
    assert ana.get(path).json()["verdict"] == "burnt"
    assert draw(served).status_code == 201
    assert ana.get(path).json()["verdict"] is None
    assert ana.get(path).json()["review"]["state"] == "pending"


def test_an_edited_polygon_is_shown_and_the_original_stays(serving: Any) -> None:
    served = serving()
    chief, key = served.client("chief"), served.ids[0]
    before = chief.get(f"/api/warnings/{key}").json()
    west, south, east, north = before["bbox"]
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    box = {"type": "Polygon", "coordinates": [ring]}
    path = f"/api/warnings/{key}/edit"
    far = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    for wrong in (far, box | {"coordinates": [[[0, 0]]]}, box | {"coordinates": ["x"]}):
        body = {"geometry": wrong, "reason": "r"}
        assert chief.post(path, json=body).status_code == 422, wrong
    answer = chief.post(path, json={"geometry": box, "reason": EVIL})
    assert answer.status_code == 201, answer.text
    after = served.client().get(f"/api/warnings/{key}").json()
    assert after["edited"]
    share = shapely.box(west, south, east, north).area
    share /= shapely.geometry.shape(before["geometry"]).area
    assert after["area_ha"] == pytest.approx(before["area_ha"] * share, rel=1e-4)
    site = served.app.state.site
    with site.store.reading() as session:
        (row,) = warnings.query(session, ids=[key])
    assert row.area_ha == before["area_ha"], "the measured warning itself is as it was"
    shown = shapely.geometry.shape(before["geometry"])
    assert row.geom.normalize().equals_exact(shown.normalize(), 1e-6)
    feature = served.client().get(f"/ogc/collections/warning/items/{key}").json()
    assert feature["geometry"] == after["geometry"] != before["geometry"]
    file = served.client().get("/api/export?format=geojson").json()
    (told,) = [f for f in file["features"] if f["properties"]["warning_id"] == key]
    drawn = shapely.geometry.shape(after["geometry"])
    assert shapely.geometry.shape(told["geometry"]).equals_exact(drawn, 1e-6)
    trail = chief.get(f"/api/warnings/{key}/edits").json()
    assert len(trail) == 1
    assert trail[0]["original"]["type"] == "MultiPolygon"
    assert (trail[0]["editor"], trail[0]["reason"]) == ("chief", EVIL)


def test_the_dossier_shows_injected_text_as_text(serving: Any) -> None:
    served = serving()
    with served.app.state.site.store.transaction() as session:
        warnings.query(session, ids=[served.ids[0]])[0].municipality = EVIL
    for lang, title in (("pt", "Laudo"), ("en", "dossier"), ("es", "Informe")):
        page = served.client().get(f"/w/{served.ids[0]}/dossier?lang={lang}")
        assert page.status_code == 200
        assert "<script>" not in page.text
        assert "&lt;script&gt;" in page.text
        assert title in page.text
        assert "simulated images, no satellite data" in page.text
    assert served.client().get("/w/none/dossier").status_code == 404
