"""The committed bundle is the one that the sources of the front end make."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WEBAPP = ROOT / "webapp"
STATIC = ROOT / "src" / "curupira" / "serve" / "static"


def sources() -> list[str]:
    """What webapp/build.mjs hashes, by path."""
    found = ["build.mjs", "package-lock.json", "package.json", "tsconfig.json"]
    for folder in ("src", "public"):
        files = (p for p in (WEBAPP / folder).rglob("*") if p.is_file())
        found += [p.relative_to(WEBAPP).as_posix() for p in files]
    return sorted(found)


def test_bundle_is_of_the_committed_sources() -> None:
    digest = hashlib.sha256()
    for path in sources():
        digest.update(path.encode() + b"\0" + (WEBAPP / path).read_bytes() + b"\0")
    built = json.loads((STATIC / "build.json").read_text(encoding="utf-8"))
    assert built["sources"] == digest.hexdigest(), "the sources changed: run `make web`"


def test_outlines_are_small_and_cover_the_nine_states() -> None:
    path = STATIC / "outlines.json"
    assert path.stat().st_size < 300_000
    features = json.loads(path.read_text(encoding="utf-8"))["features"]
    states = {f["properties"]["uf"] for f in features}
    assert states == {"AC", "AM", "AP", "MA", "MT", "PA", "RO", "RR", "TO"}


def test_languages_have_the_same_words() -> None:
    words = {
        lang: json.loads((WEBAPP / "src" / "i18n" / f"{lang}.json").read_text(encoding="utf-8"))
        for lang in ("pt", "en", "es")
    }
    assert set(words["pt"]) == set(words["en"]) == set(words["es"])
    empty = [key for texts in words.values() for key, text in texts.items() if not text.strip()]
    assert empty == []


def test_page_has_no_inline_script_or_style() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert page.count("<script") == 1
    assert '<script type="module" src="/static/main.js">' in page
    assert "<style" not in page
    assert " style=" not in page
