"""Names of files that no file system takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Curupira = Callable[..., Any]
LONG = 300 * "x"


@pytest.mark.parametrize(
    "words",
    [
        ("export", "-o", f"{LONG}.geojson"),
        # Short enough for the file, too long for what is written beside it.
        ("export", "-o", f"{240 * 'x'}.geojson"),
        ("export", "-o", f"{LONG}/warnings.geojson"),
        ("report", "-o", f"{LONG}.html"),
        ("status", "-w", LONG),
        ("init", "new", "--area", f"{LONG}.gpkg"),
        ("db", "snapshot", f"{LONG}.gpkg"),
    ],
)
def test_a_name_that_is_too_long(
    district: Path,
    tmp_path: Path,
    curupira: Curupira,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    here = () if "-w" in words or "init" in words else ("-w", district)
    answer = curupira(*words, *here)
    flat = " ".join(answer.err.split())
    assert answer.code == 2, flat
    assert "too long" in flat
    assert "unforeseen" not in flat
    assert list(tmp_path.iterdir()) == []
