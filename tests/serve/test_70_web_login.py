"""The limit of failed logins holds when many come at once, and never counts who got in."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from curupira.serve.sessions import WINDOW_S, Limiter

RIGHT = "correct horse battery"


def logins(served: Any, names: list[str], password: str) -> Counter[int]:
    def attempt(name: str) -> int:
        answer = served.client().post("/api/login", json={"name": name, "password": password})
        return int(answer.status_code)

    with ThreadPoolExecutor(len(names)) as pool:
        return Counter(pool.map(attempt, names))


def test_wrong_logins_at_once_are_as_limited_as_one_after_another(serving: Any) -> None:
    served = serving(login_tries=5)
    assert logins(served, ["ana"] * 12, "wrong wrong wrong") == {401: 5, 429: 7}
    assert logins(served, ["ana", "bia"], RIGHT) == {429: 2}, "the address is one"


def test_people_of_one_address_log_in_at_once(serving: Any) -> None:
    served = serving(login_tries=3)
    assert logins(served, ["ana", "bia", "vera", "chief"] * 3, RIGHT) == {200: 12}
    assert logins(served, ["ana", "bia"], "wrong wrong wrong") == {401: 2}
    assert logins(served, ["vera"], RIGHT) == {200: 1}
    assert logins(served, ["vera", "chief"], "wrong wrong wrong") == {401: 1, 429: 1}


def test_a_success_takes_back_its_own_try_alone() -> None:
    now = 0.0
    limiter = Limiter(2, clock=lambda: now)
    assert limiter.admit("name:ana", "address:a") == 0
    assert limiter.admit("name:bia", "address:a") == 0
    limiter.succeeded("name:bia", "address:a")
    assert limiter.admit("name:ana", "address:b") == 0
    assert limiter.admit("name:ana", "address:c") > 0, "the name has two"
    assert limiter.admit("name:eva", "address:a") == 0, "the address had one"
    assert limiter.admit("name:eva", "address:a") > 0
    now = WINDOW_S + 1
    assert limiter.admit("name:ana", "address:a") == 0
