"""Mining candidates over HTTP: GeoJSON, a page with a map, for known people only."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from mined import candidate_row

from curupira.codes import Verdict
from curupira.store import candidate as candidates


@pytest.fixture(scope="module")
def mined(served: Any) -> Any:
    """Three candidates in the area, one of them judged."""
    site = served.app.state.site
    x, y = site.workspace.area.representative_point().coords[0]
    with site.store.transaction() as session:
        for number, probability in enumerate((0.7, 0.95, 0.85)):
            row = candidate_row(
                f"candidate-{number}",
                x + 0.005 * number,
                y,
                probability=probability,
                first_seen=date(2024, 1, 1),
                last_seen=date(2024, 2, 1),
            )
            candidates.put(session, row)
            if number == 2:
                candidates.judge(row, Verdict.FALSE_POSITIVE, "ana", datetime.now(UTC), None)
    return served


def test_candidates_as_geojson_most_probable_first(mined: Any) -> None:
    answer = mined.client("vera").get("/api/candidates")
    assert answer.headers["content-type"].startswith("application/geo+json")
    found = answer.json()
    assert [f["properties"]["probability"] for f in found["features"]] == [0.95, 0.85, 0.7]
    assert found["numberMatched"] == 3
    first = found["features"][0]
    assert first["geometry"]["type"] == "MultiPolygon"
    assert first["properties"]["last_seen"] == "2024-02-01"
    assert "verdict_by" not in first["properties"]


def test_filters_and_pages(mined: Any) -> None:
    client = mined.client("vera")

    def ids(query: str) -> list[str]:
        return [f["id"] for f in client.get(f"/api/candidates?{query}").json()["features"]]

    assert ids("probability=0.8") == ["candidate-1", "candidate-2"]
    assert ids("verdict=none") == ["candidate-1", "candidate-0"]
    assert ids("verdict=false_positive") == ["candidate-2"]
    assert ids("limit=1&offset=1") == ["candidate-2"]
    assert client.get("/api/candidates?probability=2").status_code == 422


@pytest.mark.parametrize(("lang", "word"), [("en", "false positive"), ("pt", "falso positivo")])
def test_the_page_draws_and_lists_them(mined: Any, lang: str, word: str) -> None:
    text = mined.client("vera").get(f"/candidates?lang={lang}").text
    assert text.count("<rect") == 3
    assert text.count("<polygon") == 1
    assert word in text
    assert "<script" not in text


def test_nobody_sees_them_without_a_login(mined: Any) -> None:
    for path in ("/candidates", "/api/candidates"):
        assert mined.client().get(path).status_code == 401


def test_an_interpreter_judges_a_candidate_and_every_vote_stays(mined: Any) -> None:
    path = "/api/candidates/candidate-0/review"
    for name, status in ((None, 401), ("vera", 403)):
        assert mined.client(name).post(path, json={"verdict": "nonsense"}).status_code == status
    ana, bia = mined.client("ana"), mined.client("bia")
    assert ana.post(path, json={"verdict": "nonsense"}).status_code == 422
    other = path.replace("candidate-0", "nothing")
    assert ana.post(other, json={"verdict": "burnt"}).status_code == 404
    answer = ana.post(path, json={"verdict": "water_flooded", "comment": "<b>river</b>"})
    assert (answer.status_code, answer.json()["properties"]["verdict"]) == (201, "water_flooded")
    assert bia.post(path, json={"verdict": "recent_deforestation"}).status_code == 201
    found = ana.get("/api/candidates?verdict=recent_deforestation").json()["features"]
    assert [f["id"] for f in found] == ["candidate-0"]
    with mined.app.state.site.store.reading() as session:
        row = candidates.get(session, "candidate-0")
        assert row is not None
        votes = [(v["interpreter"], v["verdict"], v["comment"]) for v in row.votes["votes"]]
    assert votes == [
        ("ana", "water_flooded", "<b>river</b>"),
        ("bia", "recent_deforestation", None),
    ]
