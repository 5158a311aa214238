"""What ``curupira init`` writes and checks."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curupira.config import Monitor, parse, render

Curupira = Callable[..., Any]
SQUARE = [[-55, -5], [-54.9, -5], [-54.9, -4.9], [-55, -4.9], [-55, -5]]
#: A key that is left out stands as a comment; other comments are words.
LEFT_OUT = re.compile(r"^# ([a-z_]+ = .*)$", re.MULTILINE)


@pytest.fixture
def outline(tmp_path: Path) -> Path:
    path = tmp_path / "outline.geojson"
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [SQUARE]}))
    return path


def test_every_line_that_is_left_out_is_valid_once_it_is_not(
    tmp_path: Path, outline: Path, curupira: Curupira
) -> None:
    assert curupira("init", tmp_path / "w", "--area", outline).code == 0
    text = (tmp_path / "w" / "monitor.toml").read_text(encoding="utf-8")
    left_out = LEFT_OUT.findall(text)
    assert left_out == ["threshold = 0.82"]
    for line in left_out:
        changed = parse(text.replace(f"# {line}", line))
        assert changed != parse(text)
        assert parse(render(changed)) == changed
    # Nothing else is commented away: every key of every section is there.
    document = tomllib.loads(text)
    for name, section in document.items():
        if isinstance(section, dict):
            missing = set(getattr(Monitor(), name).model_dump()) - set(section)
            assert missing == ({"threshold"} if name == "mining" else set())


def test_a_catalogue_is_relative_to_the_workspace(
    tmp_path: Path, outline: Path, curupira: Curupira, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "catalog.json").write_text("{}")
    answer = curupira("init", "w", "--area", outline, "--catalogue", "images/catalog.json")
    assert answer.code == 2
    assert "write ../images/catalog.json" in " ".join(answer.err.split())
    assert not (tmp_path / "w").exists()
    answer = curupira("init", "w", "--area", outline, "--catalogue", "../images/catalog.json")
    assert answer.code == 0
    assert "no catalogue" not in answer.out


@pytest.mark.parametrize(
    ("href", "told"),
    [("later/catalog.json", True), ("https://example.org/catalog.json", False)],
)
def test_a_catalogue_may_come_later(
    tmp_path: Path, outline: Path, curupira: Curupira, href: str, told: bool
) -> None:
    answer = curupira("init", tmp_path / "w", "--area", outline, "--catalogue", href)
    assert answer.code == 0
    assert (f"no catalogue {href}" in " ".join(answer.out.split())) == told
