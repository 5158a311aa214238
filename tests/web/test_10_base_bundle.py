"""The committed bundle is the one that the sources of the front end make."""

from __future__ import annotations

import ast
import hashlib
import json
import re
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


def test_translated_refusals_are_those_of_the_server() -> None:
    """The page looks refusals up by their English text: it must not drift from the server's."""
    patterns = []
    for part in ("serve", "pipelines", "validate"):
        for path in (ROOT / "src" / "curupira" / part).rglob("*.py"):
            patterns += said(ast.parse(path.read_text(encoding="utf-8")))
    words = json.loads((WEBAPP / "src" / "i18n" / "pt.json").read_text(encoding="utf-8"))
    keys = [key.removeprefix("error.") for key in words if key.startswith("error.")]
    assert len(keys) > 30
    strange = [k for k in keys if not any(p.fullmatch(k.replace("#", "8")) for p in patterns)]
    assert strange == []


def said(module: ast.Module) -> list[re.Pattern[str]]:
    """Texts of a module; what is filled in may be anything."""
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.JoinedStr):
            pieces = [
                re.escape(v.value) if isinstance(v, ast.Constant) else "[a-z0-9]+"
                for v in node.values
            ]
            found.append(re.compile("".join(map(str, pieces))))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(re.compile(re.escape(node.value)))
    return found
