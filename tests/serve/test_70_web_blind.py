"""The second blind vote stays blind: nothing that was read can change it; the automatic match."""

from __future__ import annotations

from typing import Any

import geopandas as gpd

from curupira.store import review as reviews
from curupira.store import warning as warnings

NO = {"verdict": "false_positive", "reason": "rain"}


def draw(served: Any) -> None:
    day = served.client().get("/api/config").json()["days"]["last"]
    answer = served.client("chief").post("/api/samples", json={"day": day})
    assert answer.status_code == 201, answer.text


def test_who_has_read_the_other_vote_cannot_change_the_own(serving: Any) -> None:
    served = serving(blind_share=1.0)
    draw(served)
    ana, bia, chief = (served.client(name) for name in ("ana", "bia", "chief"))
    path = f"/api/warnings/{ana.get('/api/queue').json()['items'][0]['warning_id']}"

    # Alone, a slip can be put right: nobody's vote could be read.
    slip = ana.post(f"{path}/review", json={"verdict": "residue"}).json()
    again = {"verdict": "burnt", "supersedes": slip["vote_id"]}
    first = ana.post(f"{path}/review", json=again)
    assert first.status_code == 201
    # A visit does not open the votes of the desk.
    visit = {"verdict": "cloud", "visited_on": "2023-06-01", "method": "overflown"}
    seen = bia.post(f"{path}/field", data=visit)
    assert seen.status_code == 201
    assert [v["verdict"] for v in bia.get(f"{path}/votes").json()["votes"]] == ["cloud"]
    wrong_kind = {"verdict": "burnt", "supersedes": seen.json()["vote_id"]}
    assert bia.post(f"{path}/review", json=wrong_kind).status_code == 422

    second = bia.post(f"{path}/review", json={"verdict": "cloud"})
    assert second.status_code == 201
    assert len(bia.get(f"{path}/votes").json()["votes"]) == 4
    for client, vote in ((ana, first.json()), (bia, second.json())):
        change = {"verdict": "burnt", "supersedes": vote["vote_id"]}
        refused = client.post(f"{path}/review", json=change)
        assert refused.status_code == 409
        assert "operator" in refused.text
        assert client.post(f"/api/votes/{vote['vote_id']}/undo").status_code == 409
    ruling = NO | {"kind": "adjudication"}
    assert chief.post(f"{path}/review", json=ruling).status_code == 201
    assert chief.post(f"/api/votes/{second.json()['vote_id']}/undo").status_code == 201


def test_an_operator_who_sees_the_first_vote_does_not_give_the_second(serving: Any) -> None:
    served = serving(blind_share=1.0)
    draw(served)
    ana, chief = served.client("ana"), served.client("chief")
    one, two = (item["warning_id"] for item in ana.get("/api/queue").json()["items"][:2])
    path = f"/api/warnings/{one}"
    assert ana.post(f"{path}/review", json={"verdict": "burnt"}).status_code == 201
    assert chief.post(f"{path}/review", json={"verdict": "burnt"}).status_code == 409
    assert chief.get(path).json()["review"]["state"] == "pending"
    assert one not in [item["warning_id"] for item in chief.get("/api/queue").json()["items"]]
    # The first of the two is nobody's echo.
    assert chief.post(f"/api/warnings/{two}/review", json={"verdict": "burnt"}).status_code == 201


def test_the_optical_layer_gives_way_to_people(serving: Any) -> None:
    served = serving(blind_share=0.0, optical_alerts="optical.geojson")
    store = served.app.state.site.store
    with store.reading() as session:
        rows = warnings.query(session, ids=served.ids[:2])
    frame = gpd.GeoDataFrame(geometry=[row.geom for row in rows], crs=4674)
    frame.to_file(served.folder / "optical.geojson")
    before, after = (f"/api/warnings/{row.warning_id}" for row in rows)
    ana = served.client("ana")
    cleared = {"verdict": "recent_deforestation"}
    assert ana.post(f"{before}/review", json={"verdict": "automatic"}).status_code == 422
    assert ana.post(f"{before}/review", json=cleared).status_code == 201
    draw(served)
    assert ana.get(after).json()["verdict"] == "automatic"
    assert ana.post(f"{after}/review", json=cleared).status_code == 201
    for path in (before, after):
        review = ana.get(path).json()["review"]
        assert (review["state"], review["verdict"]) == ("agreed", "recent_deforestation")
    assert served.client("chief").get("/api/disputes").json() == []
    with store.reading() as session:
        log = {row.warning_id: reviews.votes(session, row.warning_id) for row in rows}
    assert [[v.interpreter for v in log[row.warning_id]] for row in rows] == [
        ["ana"],
        ["automatic", "ana"],
    ]
