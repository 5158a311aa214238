"""How long work tells where it stands."""

from __future__ import annotations

from collections.abc import Callable

#: ``report(done, total, text)``.
Report = Callable[[int, int, str], None]


def silent(done: int, total: int, text: str) -> None:
    """Tell nobody."""
