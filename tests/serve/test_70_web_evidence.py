"""What people look at is of the time when the warning was seen, and shows where it lies."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pytest
import shapely
from PIL import Image

from curupira.store import warning as warnings


def rows(served: Any) -> list[Any]:
    with served.app.state.site.store.reading() as session:
        found = warnings.query(session)
        session.expunge_all()
    return found


def test_evidence_is_of_the_day_that_confirmed_the_warning(served: Any) -> None:
    client = served.client()
    known = client.get("/api/acquisitions").json()
    for row in rows(served):
        found = client.get(f"/api/warnings/{row.warning_id}/evidence").json()
        days = [image["day"] for image in found["after"]]
        passes = [a["day"] for a in known if a["relative_orbit"] == row.relative_orbit]
        newest = [day for day in passes if day >= str(row.first_flag_date)]
        assert days == sorted(set(days), reverse=True)
        assert days[:3] == newest[:3], "what the ground looks like today is offered as well"
        assert len(days) <= 6
        assert found["on"] in days
        assert str(row.first_flag_date) <= found["on"]
        if row.confirming_scene:
            assert found["on"].replace("-", "") in row.confirming_scene
        place = {"lon": found["point"]["lon"], "lat": found["point"]["lat"]}
        assert row.geom.contains(shapely.Point(place["lon"], place["lat"]))
        asked = place | {"orbit": row.relative_orbit, "on": found["on"]}
        series = client.get("/api/series", params=asked).json()
        flagged = [point["time"][:10] for point in series["points"] if point["flag"]]
        assert flagged, "the first series shown is of a pixel that was flagged"
        assert series["on"] == found["on"] >= flagged[-1]


def test_pictures_carry_the_outline_of_the_warning(served: Any) -> None:
    client, viewer = served.client(), served.app.state.site.viewer
    for row in rows(served):
        pair = viewer.closeups(row)
        assert list(pair) == ["before", "after"]
        assert pair["before"].days[:10] < str(row.first_flag_date) <= pair["after"].days[:10]
        page = client.get(f"/w/{row.warning_id}/dossier?lang=en").text
        for side, one in pair.items():
            assert page.count(f'<path d="{one.outline}"/>') >= 2
            assert f"{one.days}</figcaption>" in page
            pixels = np.asarray(Image.open(io.BytesIO(one.png)))
            answer = client.get(f"/api/warnings/{row.warning_id}/chip/{side}.png")
            assert np.array_equal(pixels, np.asarray(Image.open(io.BytesIO(answer.content))))
            rings = [
                shapely.Polygon([[float(v) for v in pair.split(",")] for pair in ring.split()])
                for ring in re.findall("M([^MZ]+)Z", one.outline)
            ]
            whole = shapely.box(0, 0, 100, 100)
            assert all(whole.contains(ring) for ring in rings)
            # Percent of the picture, back to hectares.
            height_m = one.side_m * pixels.shape[0] / pixels.shape[1]
            area = shapely.unary_union(rings).area * one.side_m * height_m / 1e4 / 1e4
            assert area == pytest.approx(row.area_geodesic_ha, rel=0.02)


@pytest.mark.parametrize(("lang", "area"), [("en", r"\d\.\d\d ha"), ("pt", r"\d,\d\d ha")])
def test_the_dossier_writes_numbers_as_its_language_does(served: Any, lang: str, area: str) -> None:
    page = served.client().get(f"/w/{served.ids[0]}/dossier?lang={lang}").text
    assert re.search(area, page)
    assert re.search(r"<td>\d+ %</td>", page)
    assert "T0" not in page.split("<h2>")[1], "days, not times"
