"""Who may do what: every route of the application, without a login and with each role."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import shapely

from curupira.codes import Role
from curupira.errors import ConfigError
from curupira.serve.guard import needed
from curupira.store import account as accounts
from curupira.store import warning as warnings

PASSWORD = "correct horse battery"
#: Every route that is not for reading by anybody in public mode, with the role it needs.
PROTECTED = {
    ("GET", "/api/queue"): Role.INTERPRETER,
    ("GET", "/api/warnings/{warning_id}/votes"): Role.INTERPRETER,
    ("GET", "/api/photos/{vote_id}"): Role.INTERPRETER,
    ("POST", "/api/warnings/{warning_id}/review"): Role.INTERPRETER,
    ("POST", "/api/warnings/{warning_id}/field"): Role.INTERPRETER,
    ("POST", "/api/votes/{vote_id}/undo"): Role.INTERPRETER,
    ("POST", "/api/field"): Role.INTERPRETER,
    ("POST", "/api/candidates/{candidate_id}/review"): Role.INTERPRETER,
    ("GET", "/api/candidates"): Role.VIEWER,
    ("GET", "/api/samples"): Role.OPERATOR,
    ("POST", "/api/samples"): Role.OPERATOR,
    ("GET", "/api/disputes"): Role.OPERATOR,
    ("POST", "/api/warnings/{warning_id}/edit"): Role.OPERATOR,
    ("GET", "/api/warnings/{warning_id}/edits"): Role.OPERATOR,
}
OPEN = {
    ("GET", "/api/session"),
    ("POST", "/api/login"),
    ("POST", "/api/logout"),
    ("GET", "/health"),
    ("GET", "/metrics"),
}


def routes(served: Any) -> list[tuple[str, str]]:
    paths = served.app.openapi()["paths"]
    return [(m.upper(), path) for path, methods in paths.items() for m in methods]


def filled(path: str) -> str:
    numbers = {"z": "3", "x": "2", "y": "4", "which": "after", "band": "n_alerts"}
    return re.sub(r"\{(\w+)\}", lambda m: numbers.get(m.group(1), "nothing"), path)


def test_every_protected_route_refuses_before_it_looks(served: Any) -> None:
    known = routes(served)
    assert set(PROTECTED) | OPEN <= set(known)
    people = {None: None, "vera": Role.VIEWER, "ana": Role.INTERPRETER, "chief": Role.OPERATOR}
    for name, role in people.items():
        client = served.client(name)
        for method, path in known:
            wanted = PROTECTED.get((method, path))
            # Neither the thing nor the body is any good: it must not matter.
            body = {"content": b"{no json"} if method == "POST" else {}
            headers = {"content-type": "application/json"}
            if path in ("/api/logout", "/api/login"):
                continue
            answer = client.request(method, filled(path), headers=headers, **body)
            if wanted is None:
                assert answer.status_code not in (401, 403), (name, method, path)
            elif role is None:
                assert answer.status_code == 401, (name, method, path)
            elif not role.may(wanted):
                assert answer.status_code == 403, (name, method, path)
            else:
                assert answer.status_code not in (401, 403), (name, method, path)
                assert answer.status_code < 500, (name, method, path, answer.text)


def test_only_known_routes_write(served: Any) -> None:
    writing = {r for r in routes(served) if r[0] != "GET"}
    assert writing == {r for r in PROTECTED if r[0] != "GET"} | {
        ("POST", "/api/login"),
        ("POST", "/api/logout"),
    }
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert needed(method, "/api/something/new", public=True) is Role.OPERATOR
        assert served.client().request(method, "/api/warnings").status_code == 401


def test_a_private_server_shows_nothing_but_health_and_login(serving: Any) -> None:
    served = serving(public=False)
    nobody, viewer = served.client(), served.client("vera")
    for method, path in routes(served):
        if method != "GET" or (method, path) in PROTECTED:
            continue
        status = nobody.get(filled(path)).status_code
        assert (status == 401) == ((method, path) not in OPEN), path
        assert viewer.get(filled(path)).status_code != 401, path
    assert nobody.get("/openapi.json").status_code == 401
    assert nobody.get("/api/session").json()["public"] is False
    assert nobody.get(f"/w/{served.ids[0]}/dossier").status_code == 401
    for path in ("/", "/login", "/queue", "/dashboard", f"/w/{served.ids[0]}"):
        answer = nobody.get(path)
        assert answer.status_code == 200, "the page, which then asks for a login"
        assert start_of(answer.text) == {"session": nobody.get("/api/session").json()}


def start_of(page: str) -> Any:
    block = re.search(r'<script type="application/json" id="start">(.*?)</script>', page)
    return None if block is None else json.loads(block[1])


def test_the_page_brings_a_first_answer_but_no_token(served: Any) -> None:
    nobody = served.client()
    start = start_of(nobody.get("/").text)
    assert start == {
        "session": nobody.get("/api/session").json(),
        "config": nobody.get("/api/config").json(),
    }
    ana = served.client("ana")
    page = ana.get("/").text
    assert start_of(page) is None
    assert ana.headers["X-CSRF-Token"] not in page


def test_a_name_cannot_end_the_data_in_the_page(serving: Any) -> None:
    served = serving(layers={"</script><script>alert(1)</script>": "https://x/{z}/{x}/{y}"})
    page = served.client().get("/").text
    assert page.count("<script") == 2
    assert start_of(page)["config"]["layers"][-1]["name"].startswith("</script>")


def test_a_vote_is_authorised_before_it_is_validated(served: Any) -> None:
    path = "/api/warnings/none/review"
    assert served.client().post(path, json={"verdict": "nonsense"}).status_code == 401
    assert served.client("vera").post(path, json={"verdict": "nonsense"}).status_code == 403
    ana = served.client("ana")
    assert ana.post(path, json={"verdict": "nonsense"}).status_code == 422
    assert ana.post(path, json={"verdict": "burnt"}).status_code == 404


def test_csrf(served: Any) -> None:
    client = served.client("ana")
    path, body = f"/api/warnings/{served.ids[0]}/review", {"verdict": "burnt"}
    good = client.headers["X-CSRF-Token"]
    for token in ("", "0" * 64, good[:-1], served.client("bia").headers["X-CSRF-Token"]):
        assert client.post(path, json=body, headers={"X-CSRF-Token": token}).status_code == 403
    headers = {"Origin": "https://elsewhere.example"}
    assert client.post(path, json=body, headers=headers).status_code == 403
    del client.headers["X-CSRF-Token"]
    assert client.post(path, json=body).status_code == 403


def test_the_cookie_is_kept_from_scripts_and_other_sites(served: Any) -> None:
    answer = served.client().post("/api/login", json={"name": "ana", "password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    for forged in ("", "x", "a.b", cookie.split("=", 1)[1].split(";")[0][:-2] + "00"):
        client = served.client()
        client.cookies.set("curupira_session", forged)
        assert client.get("/api/session").json()["name"] is None


def test_wrong_passwords_are_limited_and_a_disabled_account_is_out(serving: Any) -> None:
    served = serving(login_tries=3)
    inside = served.client("ana")
    client = served.client()
    wrong = {"name": "bia", "password": "wrong wrong wrong"}
    assert [client.post("/api/login", json=wrong).status_code for _ in range(4)] == [401] * 3 + [
        429
    ]
    right = {"name": "bia", "password": PASSWORD}
    answer = client.post("/api/login", json=right)
    assert answer.status_code == 429, "also the right one has to wait now"
    assert 0 < int(answer.headers["Retry-After"]) <= 901
    site = served.app.state.site
    with site.store.transaction() as session:
        accounts.disable(session, "ana")
    assert inside.get("/api/session").json()["name"] is None
    assert inside.get("/api/queue").status_code == 401


def test_an_unknown_name_is_told_nothing(served: Any) -> None:
    client = served.client()
    answers = [
        client.post("/api/login", json={"name": name, "password": "no such password"})
        for name in ("nobody at all", "vera")
    ]
    assert answers[0].json() == answers[1].json()
    assert {a.status_code for a in answers} == {401}


def test_security_headers_stand_on_every_answer(served: Any) -> None:
    client = served.client()
    for path in ("/", "/api/config", "/api/queue", "/nothing", "/static/main.js", "/health"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'self'")
        assert "unsafe-eval" not in policy
        assert "script-src" not in policy, "scripts come from this server only"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"


def test_a_body_without_end_is_refused(served: Any) -> None:
    client = served.client("ana")
    path = f"/api/warnings/{served.ids[0]}/review"

    def chunks() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * 65536

    headers = {"content-type": "application/json"}
    assert client.post(path, content=chunks(), headers=headers).status_code == 413
    headers |= {"content-length": str(10**9)}
    assert client.post(path, content=b"{}", headers=headers).status_code == 413


def test_sensitive_places_and_names_of_people_are_kept_from_the_public(serving: Any) -> None:
    served = serving()
    secret, shown = served.ids[:2]
    store = served.app.state.site.store
    with store.transaction() as session:
        row = warnings.query(session, ids=[secret])[0]
        row.overlays = {"camps": "Camp 1", "roads": 12.0}
        other = warnings.query(session, ids=[shown])[0]
        other.overlays, other.verdict_by = {"camps": "Camp 2"}, "ana"
    # The place covers a corner of the warning, whose own columns name another one.
    place = served.hide(secret, sensitive_layers=("camps",))
    nobody, viewer = served.client(), served.client("vera")
    open_paths = [
        *("/api/warnings", "/api/warnings.geojson", "/ogc/collections/warning/items"),
        *("/api/export?format=geojson", "/api/export?format=csv", "/api/feed.atom"),
        *(f"/api/warnings/{shown}", f"/ogc/collections/warning/items/{shown}", "/api/dashboard"),
    ]
    for path in open_paths:
        text = nobody.get(path).text
        assert secret not in text, path
        assert "Secreta" not in text
        assert "Camp " not in text, path
        assert '"ana"' not in text, path
        assert ",ana," not in text, path
    for path in (f"/api/warnings/{secret}", f"/ogc/collections/warning/items/{secret}"):
        assert nobody.get(path).status_code == 404
        assert viewer.get(path).status_code == 200
    for path in (f"/w/{secret}/dossier", f"/api/warnings/{secret}/evidence"):
        assert nobody.get(path).status_code == 404
    assert "Camp 1" in viewer.get(f"/api/warnings/{secret}").text
    # The place itself is no part of the layer that anybody may draw.
    layer = next(
        name
        for name in (one["name"] for one in viewer.get("/api/config").json()["layers"])
        if "TI Secreta" in viewer.get(f"/api/layers/{name}.geojson").text
    )
    drawn = nobody.get(f"/api/layers/{layer}.geojson")
    assert drawn.status_code == 200
    assert "Secreta" not in drawn.text
    point = place.representative_point()
    series = f"/api/series?lon={point.x}&lat={point.y}"
    assert (nobody.get(series).status_code, viewer.get(series).status_code) == (404, 200)
    assert nobody.get(f"/api/series?lon={point.x + 0.01}&lat={point.y}").status_code == 200


def test_a_polygon_drawn_into_a_sensitive_place_is_not_for_the_public(serving: Any) -> None:
    served = serving()
    secret, moved = served.ids[:2]
    place = served.hide(secret)
    with served.app.state.site.store.reading() as session:
        shape = warnings.query(session, ids=[moved])[0].geom
    reaching = shapely.box(*shapely.union(shape, place.representative_point()).bounds)
    body = {"geometry": shapely.geometry.mapping(reaching), "reason": "it goes on"}
    assert served.client().get(f"/api/warnings/{moved}").status_code == 200
    assert served.client("chief").post(f"/api/warnings/{moved}/edit", json=body).status_code == 201
    for path in (f"/api/warnings/{moved}", f"/ogc/collections/warning/items/{moved}"):
        assert served.client().get(path).status_code == 404
        assert served.client("vera").get(path).status_code == 200
    assert moved not in served.client().get("/api/export?format=geojson").text


def test_layers_of_warnings_show_the_public_nothing_over_a_sensitive_place(serving: Any) -> None:
    served = serving()
    viewer = served.client("vera")
    newest = next(a for a in viewer.get("/api/acquisitions").json() if a["product"])
    point = served.hide(served.ids[0]).representative_point()
    n = 2**14
    x = int((point.x + 180) / 360 * n)
    y = int((1 - np.arcsinh(np.tan(np.radians(point.y))) / np.pi) / 2 * n)
    path = f"/api/tiles/product/{newest['acquisition_id']}/confidence/14/{x}/{y}.png"
    found = [served.client(name).get(path).status_code for name in (None, "vera")]
    assert found == [404, 200]


def test_a_sensitive_place_that_no_layer_has_is_refused_at_the_start(serving: Any) -> None:
    served = serving()
    with pytest.raises(ConfigError, match="TI Scereta"):
        served.reopen(sensitive_places=("TI Scereta",))


def test_the_public_cannot_search_by_places_of_a_sensitive_layer(serving: Any) -> None:
    served = serving()
    store = served.app.state.site.store
    with store.transaction() as session:
        row = warnings.query(session, ids=[served.ids[0]])[0]
        row.indigenous_territory, row.municipality = "TI Quieta", "Novo Progresso"
    served.reopen(sensitive_layers=("indigenous_territories",))

    def found(client: Any, text: str) -> list[str]:
        items = client.get("/api/warnings", params={"territory": text}).json()["items"]
        return [item["warning_id"] for item in items]

    nobody, viewer = served.client(), served.client("vera")
    assert found(nobody, "quieta") == []
    assert found(nobody, "progresso") == [served.ids[0]]
    assert found(viewer, "quieta") == [served.ids[0]]
