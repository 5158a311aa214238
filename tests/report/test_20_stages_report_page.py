"""The page: well formed, self-contained, escaped, and sensible where there is nothing to show."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from collections import Counter
from datetime import date, datetime
from html import unescape
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from odc.geo.geobox import GeoBox
from PIL import Image

from curupira.errors import InputError
from curupira.report import Chip, ReportData, SarImage, Series, ThresholdMap, render
from curupira.report.tables import NONE, warnings_table

VOID = {"meta", "img", "br", "link", "hr", "input"}
SECTIONS = (
    "numbers",
    "map",
    "counts",
    "warnings",
    "chips",
    "series",
    "threshold",
    "images",
    "quarantined",
    "reading",
)


class Page(HTMLParser):
    """Reads a page and remembers its tags; an element closed out of order is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def html(full: ReportData) -> str:
    return render(full)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


@pytest.fixture(scope="module")
def lean(full: ReportData) -> ReportData:
    """The same tables with few figures, for tests about words."""
    return dataclasses.replace(
        full, composite_before=None, composite_after=None, chips=(), series=(), threshold_map=None
    )


def check_structure(page: Page) -> None:
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert max(Counter(ids).values()) == 1
    assert set(SECTIONS) <= set(ids)
    for _, attrs in page.tags:
        if "aria-labelledby" in attrs:
            assert attrs["aria-labelledby"] in ids
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    for image in page.all("img"):
        assert image["alt"]
        assert int(image["width"] or 0) > 100


def test_page_has_its_sections_once_and_every_image_has_words(page: Page) -> None:
    check_structure(page)
    assert len(page.all("img")) == 2 + 1 + 3 + 2 + 1 + 1


def test_tables_tell_headers_from_cells(page: Page) -> None:
    assert len(page.all("table")) == 4
    scopes = Counter(attrs["scope"] for attrs in page.all("th"))
    assert scopes["col"] == 9 + 10 + 8 + 4
    assert scopes["row"] == 3 + 6 + 3 + 1


def test_page_asks_nothing_from_outside(html: str, page: Page) -> None:
    words = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", html)
    assert "//" not in words
    assert "url(" not in words
    assert "@import" not in words
    assert not page.all("script")
    assert not page.all("link")
    assert all(
        (image["src"] or "").startswith("data:image/png;base64,") for image in page.all("img")
    )
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not any("style" in attrs or "onclick" in attrs for _, attrs in page.tags)


def test_policy_admits_the_style_that_is_embedded(html: str) -> None:
    css = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    policy = re.search(r"sha256-([A-Za-z0-9+/=]+)", unescape(html))
    assert css is not None
    assert policy is not None
    digest = hashlib.sha256(css.group(1).encode()).digest()
    assert base64.b64decode(policy.group(1)) == digest


def test_images_are_pictures_and_the_whole_is_small(html: str, page: Page) -> None:
    assert len(html) < 3_000_000
    for image in page.all("img"):
        data = base64.b64decode((image["src"] or "").split(",", 1)[1])
        with Image.open(BytesIO(data)) as picture:
            width, height = picture.size
            colours = len(picture.convert("RGB").getcolors(1 << 20) or [])
        assert colours > 3
        assert width / height == pytest.approx(
            int(image["width"] or 0) / int(image["height"] or 1), rel=0.02
        )


def test_same_data_same_bytes(full: ReportData, lean: ReportData) -> None:
    data = dataclasses.replace(lean, composite_after=full.composite_after)
    assert render(data) == render(data)


def test_headline_numbers(page: Page) -> None:
    # 216 + 126 + 25 + 30 + 500 + 64 pixels of 0.16 ha.
    assert "6 warnings issued in the period 154 ha" in page.text
    assert "2 warnings of these still preliminary (CR1) 25.0 ha" in page.text
    assert "3 warnings of these confirmed (CR2) 119 ha" in page.text
    assert "1 warning of these closed 10.2 ha" in page.text
    assert "12 days median from first flag to confirmation" in page.text
    assert "281 km² monitored 6.2 km² masked, 0.4 km² not observed" in page.text


def test_attribution_reason_and_quarantine(page: Page) -> None:
    assert "contains modified Copernicus Sentinel data 2022–2024." in page.text
    assert "VH band is all NaN" in page.text
    assert "Made 2024-06-01 04:00 UTC · preset deter_r 3f9a1c77b2d0" in page.text


def test_all_text_is_escaped(full: ReportData, lean: ReportData) -> None:
    evil = "<script>alert('x')</script><img src=x onerror=\"y\">"
    warnings, scenes = full.warnings.copy(), full.scenes.copy()
    warnings["municipality"] = evil
    warnings["closed_reason"] = evil
    warnings["warning_id"] = ["<b>" + w for w in warnings["warning_id"]]
    scenes["state"] = "quarantined"
    scenes["platform"] = "<i>"
    for column in ("reason", "scene_id"):
        scenes[column] = evil
    chip = dataclasses.replace(full.chips[0], warning_id=str(warnings["warning_id"].iloc[5]))
    words = dict.fromkeys(("title", "area_name", "preset", "preset_hash"), evil)
    series = (Series(evil, full.series[0].dataset),)
    data = dataclasses.replace(
        lean, warnings=warnings, scenes=scenes, chips=(chip,), series=series, **words
    )
    page = Page(render(data))
    check_structure(page)
    assert not {"script", "b", "i"} & {tag for tag, _ in page.tags}
    assert all((image["src"] or "").startswith("data:") for image in page.all("img"))
    assert not any("onerror" in attrs for _, attrs in page.tags)
    assert page.text.count("alert('x')") > 15


def test_empty_report_says_what_is_missing(empty: ReportData) -> None:
    page = Page(render(empty))
    check_structure(page)
    for words in (
        "0 warnings issued in the period 0.0 ha",
        "No radar image",
        "No warning was issued or confirmed",
        "No warning to show closely",
        "No series to show",
        "No threshold map",
        "No image was used",
        "No scene was quarantined",
        "contains modified Copernicus Sentinel data.",
    ):
        assert words in page.text
    assert "nan" not in page.text.lower().replace("nano", "")


def test_maps_without_warnings_and_without_valid_pixels(full: ReportData) -> None:
    grid = full.threshold_map.grid  # type: ignore[union-attr]
    nothing = np.full(grid.shape, np.nan, dtype=np.float32)
    image = SarImage(nothing, nothing, grid, "2024-05-27")
    series = full.series[0].dataset
    data = dataclasses.replace(
        full,
        warnings=full.warnings.iloc[:0],
        composite_before=None,
        composite_after=image,
        chips=(Chip("gone", image, image),),
        series=(Series("no image", series.isel(time=slice(0, 0))),),
        threshold_map=ThresholdMap(nothing, grid),
    )
    page = Page(render(data))
    check_structure(page)
    assert "no pixel is monitored" in page.text
    assert "not among the warnings of the report" in page.text
    assert "no image: 0 images flagged." in page.text


def test_missing_values_are_dashes(lean: ReportData) -> None:
    warnings = lean.warnings.copy()
    warnings["municipality"] = None
    warnings["uf"] = np.nan
    warnings["confirmed_at"] = pd.NaT
    warnings["delay_from_flag_days"] = None
    warnings["excess_db"] = np.nan
    page = Page(render(dataclasses.replace(lean, warnings=warnings)))
    assert "nan" not in page.text.lower().replace("all nan", "")
    assert "NaT" not in page.text
    assert "None" not in page.text
    assert "– days" in page.text


def test_long_lists_are_cut_and_say_so(lean: ReportData) -> None:
    many = pd.concat([lean.warnings] * 5, ignore_index=True)
    scenes = lean.scenes.assign(state="quarantined")
    page = Page(render(dataclasses.replace(lean, warnings=many, scenes=scenes)))
    assert "5 more not listed here." in page.text
    assert f"{len(scenes) - 25} more not listed here." in page.text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: {"warnings": d.warnings.drop(columns="area_ha")}, "area_ha missing"),
        (lambda d: {"warnings": d.warnings.set_crs(None, allow_override=True)}, "reference system"),
        (lambda d: {"warnings": d.warnings.assign(status="open")}, "unknown status 'open'"),
        (lambda d: {"scenes": d.scenes.drop(columns="reason")}, "reason missing"),
        (lambda d: {"until": date(2024, 4, 1)}, "before it begins"),
        (lambda d: {"generated_at": datetime(2024, 6, 1)}, "no time zone"),
    ],
)
def test_bad_data_is_named(full: ReportData, change, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=words):
        dataclasses.replace(full, **change(full))


def test_bad_arrays_and_series_are_named(full: ReportData) -> None:
    image = full.composite_after
    assert image is not None
    with pytest.raises(InputError, match="its grid"):
        SarImage(image.vh[1:], image.vv, image.grid, "2024-05-27")
    with pytest.raises(InputError, match="not in metres"):
        ThresholdMap(image.vh, GeoBox.from_bbox((-57, -6, -56, -5), shape=image.vh.shape))
    with pytest.raises(InputError, match="limit_db"):
        Series("x", full.series[0].dataset.drop_vars("limit_db"))


def test_the_mining_score_is_listed_where_there_is_one(full: ReportData, page: Page) -> None:
    assert "Mining (%)" not in page.text
    scores = [0.934, *[np.nan] * (len(full.warnings) - 1)]
    data = dataclasses.replace(full, warnings=full.warnings.assign(mining_score=scores))
    table = warnings_table(data)
    at = table.columns.index("Mining (%)")
    assert table.numeric[at]
    shown = {row[0]: row[at] for row in table.rows}
    first = str(full.warnings["warning_id"].iloc[0])[:8]
    assert shown.pop(first) == "93"
    assert set(shown.values()) == {NONE}
    assert "Mining (%)" in Page(render(data)).text
