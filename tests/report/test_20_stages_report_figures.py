"""What the figures show: lengths, positions, colours and marks, read back from the figures."""

from __future__ import annotations

import base64
import threading
from datetime import date
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image
from pyproj import Transformer
from shapely.geometry import box

from curupira.report import ReportData, SarImage, Series, ThresholdMap, cadence, figures, maps
from curupira.report.mapparts import (
    NO_DATA_RGB,
    STRETCH_DB,
    length_text,
    lonlat_ticks,
    nice_length_m,
    north_direction,
    rgb,
)
from curupira.report.style import STATUS_STYLE, encode


def by_gid(figure: Figure, gid: str) -> list:  # type: ignore[type-arg]
    return [line for axes in figure.axes for line in axes.get_children() if line.get_gid() == gid]


@pytest.fixture(scope="module")
def after_map(full: ReportData) -> Figure:
    assert full.composite_after is not None
    return maps.warnings_map(full.composite_after, full.warnings, full.area, "After")


def test_scale_bar_is_as_long_as_it_says(after_map: Figure) -> None:
    bars, (text,) = by_gid(after_map, "scale-bar"), by_gid(after_map, "scale-text")
    xs = np.concatenate([bar.get_xdata() for bar in bars])
    assert text.get_text().strip() == "5 km"
    assert xs.max() - xs.min() == pytest.approx(5000)
    # Drawn, it covers that part of the map: 5 km of 20 km.
    after_map.canvas.draw()
    axes = after_map.axes[0]
    drawn = [bar.get_window_extent() for bar in bars]
    width = max(b.x1 for b in drawn) - min(b.x0 for b in drawn)
    assert width == pytest.approx(axes.get_window_extent().width * 5 / 20, rel=0.03)


@given(st.floats(1, 5e6))
@settings(max_examples=50)
def test_scale_bar_is_round_and_fits(width_m: float) -> None:
    length = nice_length_m(width_m)
    assert 0.1 * width_m < length <= 0.3 * width_m
    assert f"{length:e}"[0] in "125"


def test_length_text_has_its_unit() -> None:
    assert (length_text(500), length_text(2000), length_text(50_000)) == ("500 m", "2 km", "50 km")


def test_ticks_stand_where_proj_puts_them(full: ReportData) -> None:
    assert full.composite_after is not None
    grid = full.composite_after.grid
    lons, lats = lonlat_ticks(grid)
    assert list(lons.values()) == ["56.05°W", "56.00°W", "55.95°W"]
    assert list(lats.values()) == ["5.55°S", "5.50°S", "5.45°S"]
    back = Transformer.from_crs(grid.crs.to_wkt(), 4326, always_xy=True)  # type: ignore[union-attr]
    lon, _ = back.transform(next(iter(lons)), grid.boundingbox.bottom)
    _, lat = back.transform(grid.boundingbox.left, list(lats)[1])
    assert (lon, lat) == pytest.approx((-56.05, -5.5), abs=1e-6)


def test_north_leans_with_the_meridian(full: ReportData) -> None:
    # East of the zone's meridian in the south, true north leans to the right of grid north:
    # convergence = (lon - lon0) sin(lat), here 0.99 degrees times -0.096.
    assert full.composite_after is not None
    east, north = north_direction(full.composite_after.grid)
    assert np.degrees(np.arctan2(east, north)) == pytest.approx(
        -(-56.005 + 57) * np.sin(np.radians(-5.51)), abs=0.005
    )


def test_radar_colours_by_hand(full: ReportData) -> None:
    assert full.threshold_map is not None
    grid = full.threshold_map.grid[:1, :4]
    vv_db, vh_db = np.array([[-8, -20, 5, -8]]), np.array([[-15.25, -25, -5, np.nan]])
    image = SarImage(
        (10 ** (vh_db / 10)).astype(np.float32), (10 ** (vv_db / 10)).astype(np.float32), grid, ""
    )
    picture = rgb(image)[0]
    assert STRETCH_DB == {"VV": (-16.0, 0.0), "VH": (-20.0, -10.5), "VV-VH": (3.0, 13.0)}
    # 8/16, 4.75/9.5, (7.25 - 3)/10 of 255; clipped below and above; missing is grey.
    np.testing.assert_allclose(picture[0], [127.5, 127.5, 108.4], atol=1)
    np.testing.assert_array_equal(picture[1], [0, 0, 51])
    np.testing.assert_array_equal(picture[2], [255, 255, 178])
    np.testing.assert_array_equal(picture[3], [NO_DATA_RGB] * 3)


def test_zero_and_negative_power_are_missing(full: ReportData) -> None:
    assert full.threshold_map is not None
    grid = full.threshold_map.grid[:1, :2]
    power = np.array([[0, -1]], dtype=np.float32)
    assert (rgb(SarImage(power, np.ones_like(power), grid, "")) == NO_DATA_RGB).all()


def test_warnings_are_outlined_where_they_lie(after_map: Figure) -> None:
    # The largest warning: columns 60..85, rows 380..400 of 40 m from (600 000, 9 400 000).
    rings = [
        path.vertices
        for lines in after_map.axes[0].collections
        if isinstance(lines, LineCollection)
        and to_hex(lines.get_colors()[0]).upper() == STATUS_STYLE["confirmed"].colour
        for path in lines.get_paths()
    ]
    assert len(rings) == 2
    largest = max(rings, key=lambda ring: np.ptp(ring[:, 0]))
    np.testing.assert_allclose(largest.min(axis=0), [602_400, 9_384_000], atol=0.5)
    np.testing.assert_allclose(largest.max(axis=0), [603_400, 9_384_800], atol=0.5)


def test_small_warnings_get_symbols_and_every_kind_a_legend(after_map: Figure) -> None:
    symbols = {
        line.get_marker(): len(line.get_xdata())
        for line in after_map.axes[0].lines
        if line.get_linestyle() == "None" and len(line.get_xdata())
    }
    assert symbols == {"^": 1, "o": 1, "X": 1}
    words = [text.get_text() for text in after_map.legends[0].get_texts()]
    assert sorted(words) == [
        "Closed, low intensity",
        "Confirmed (CR2), high intensity",
        "Confirmed (CR2), low intensity",
        "Monitored area",
        "Preliminary (CR1), high intensity",
        "Preliminary (CR1), low intensity",
    ]


def test_kinds_differ_without_colour(after_map: Figure) -> None:
    entries = after_map.legends[0].legend_handles
    looks = {
        (line.get_marker(), line.get_linestyle(), to_hex(line.get_markerfacecolor()) == "#555555")
        for line in entries
    }
    assert len(looks) == len(entries)


def test_holes_are_outlined(full: ReportData) -> None:
    assert full.composite_after is not None
    ring = full.warnings.iloc[[4]].copy()
    west, south, east, north = ring.geometry.iloc[0].bounds
    hole = box(west + 0.002, south + 0.002, east - 0.002, north - 0.002)
    ring.geometry = ring.geometry.difference(hole)
    figure = maps.warnings_map(full.composite_after, ring, full.area, "")
    drawn = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    assert [len(lines.get_paths()) for lines in drawn] == [2, 2]


def test_chip_shows_both_dates_and_its_warning(full: ReportData) -> None:
    figure = maps.chip_figure(full.chips[0], full.warnings)
    before, after = figure.axes
    assert before.get_title(loc="left") == "Before: 2024-04-21"
    assert after.get_title(loc="left") == "After: 2024-05-27"
    for axes in (before, after):
        paths = [path for lines in axes.collections for path in lines.get_paths()]
        assert len(paths) == 2  # the dark line beneath and the coloured one
    # The clearing is darker afterwards: the green (VH) of the middle falls.
    first, second = (axes.images[0].get_array() for axes in figure.axes)
    middle = np.s_[25:35, 25:40, 1]
    assert second[middle].mean() < 0.4 * first[middle].mean()


def test_threshold_colours_span_the_values(full: ReportData) -> None:
    assert full.threshold_map is not None
    figure = maps.threshold_figure(full.threshold_map, full.area)
    values = full.threshold_map.threshold_db
    assert figure.axes[0].images[0].get_clim() == (np.nanmin(values), np.nanmax(values))
    assert "(dB)" in figure.axes[1].get_xlabel()
    flat = ThresholdMap(np.full_like(values, 2.5), full.threshold_map.grid)
    picture = maps.threshold_figure(flat, full.area).axes[0].images[0]
    assert picture.get_clim() == pytest.approx((2.4, 2.6))
    red, green, blue, _ = picture.cmap(0.5)
    assert max(red, green, blue) - min(red, green, blue) > 0.3, "grey is for what is not monitored"


def test_series_marks_the_flagged_images(full: ReportData) -> None:
    series = full.series[0]
    figure = figures.series_figure(series)
    (marks,) = by_gid(figure, "flagged")
    flag = series.dataset["flag"].to_numpy()
    np.testing.assert_array_equal(
        np.asarray(marks.get_xdata()), series.dataset["time"].to_numpy()[flag]
    )
    np.testing.assert_allclose(marks.get_ydata(), series.dataset["stabilised_db"].to_numpy()[flag])
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    assert set(lines["Reference level"]) == {-13.2}
    assert set(lines["Threshold"]) == {-15.5}
    shaded = {p.get_label() for p in figure.axes[0].patches}
    assert shaded == {"Learning period", "Detection period"}
    assert "(dB)" in figure.axes[0].get_ylabel()


def test_season_is_drawn_about_the_reference_whatever_its_level(full: ReportData) -> None:
    data = full.series[0].dataset
    drawn = []
    for level in (0.0, -20.0):
        figure = figures.series_figure(
            Series("x", data.assign(season_db=data["season_db"] + level))
        )
        (line,) = (ln for ln in figure.axes[0].lines if str(ln.get_label()).startswith("Season, "))
        drawn.append(np.asarray(line.get_ydata()))
    np.testing.assert_allclose(drawn[0], drawn[1], atol=1e-9)
    assert np.median(drawn[0]) == pytest.approx(-13.2)


def test_scalar_levels_are_drawn_along_time(full: ReportData) -> None:
    data = full.series[0].dataset.assign(reference_db=-13.0, threshold_db=2.0, limit_db=-15.0)
    figure = figures.series_figure(Series("x", data))
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    np.testing.assert_array_equal(lines["Threshold"], np.full(63, -15.0))


def test_gap_is_a_pause_over_one_and_a_half_times_the_median() -> None:
    days = np.array([0, 12, 24, 42, 54, 66, 85])
    times = np.datetime64("2024-01-01") + days
    (gap,) = cadence.find_gaps(times[::-1])  # 18 days is not over 18; 19 is
    assert (gap.start, gap.end) == (times[5], times[6])
    assert gap.days == 19
    assert cadence.find_gaps(times[:2]) == []
    assert cadence.find_gaps(times[:0]) == []


@given(st.lists(st.integers(0, 400), min_size=1, max_size=20, unique=True), st.integers(1, 4))
@settings(max_examples=30)
def test_slices_of_one_pass_count_once(days: list[int], slices: int) -> None:
    whole = np.datetime64("2024-01-01T09:20:00") + np.array(sorted(days)) * np.timedelta64(1, "D")
    parts = np.concatenate([whole + np.timedelta64(25 * i, "s") for i in range(slices)])
    np.testing.assert_array_equal(cadence.acquisition_times(parts), whole)


def test_cadence_has_a_row_for_each_satellite_and_orbit(full: ReportData) -> None:
    figure = cadence.cadence_figure(full.scenes)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "sentinel-1a\norbit 39, desc.",
        "sentinel-1a\norbit 112, asc.",
        "sentinel-1c\norbit 39, desc.",
    ]
    (gap,) = by_gid(figure, "gap")
    assert np.ptp(np.asarray(gap.get_xdata())) / np.timedelta64(1, "D") == 36
    assert [text.get_text() for text in axes.texts] == ["36 d"]
    used = [ln for ln in axes.lines if ln.get_marker() == "|" and ln.get_linestyle() == "None"]
    assert [len(line.get_xdata()) for line in used[:3]] == [11, 12, 9]
    refused = [ln for ln in axes.lines if ln.get_marker() == "x"]
    assert sum(len(line.get_xdata()) for line in refused) == 1


def test_superseded_scenes_are_left_out(full: ReportData) -> None:
    figure = cadence.cadence_figure(full.scenes.assign(state="superseded"))
    assert figure.axes[0].texts[0].get_text() == "No image in the period"


def test_timeline_bars_hold_all_warnings_and_hectares(full: ReportData) -> None:
    figure = figures.timeline_figure(full.warnings, full.since, full.until)
    upper, lower = figure.axes
    assert sum(bar.get_height() for bar in upper.patches) == 6
    assert sum(bar.get_height() for bar in lower.patches) == pytest.approx(
        full.warnings["area_ha"].sum()
    )
    tall = max(lower.patches, key=lambda bar: bar.get_height())
    assert tall.get_x() == (np.datetime64("2024-05-20") - np.datetime64("1970-01-01")).astype(int)
    assert tall.get_width() == pytest.approx(0.9)


@given(st.dates(date(2016, 1, 1), date(2026, 1, 1)), st.integers(0, 3000))
@settings(max_examples=60)
def test_bins_cover_the_period_without_overlap(since: date, days: int) -> None:
    until = (pd.Timestamp(since) + pd.Timedelta(days=days)).date()
    edges = figures.bin_edges(since, until).astype("datetime64[D]")
    assert edges[0] <= np.datetime64(since)
    assert edges[-1] > np.datetime64(until)
    assert (np.diff(edges) > np.timedelta64(0, "D")).all()
    assert 1 <= edges.size - 1 <= 101


def test_encoding_keeps_the_status_colours(after_map: Figure) -> None:
    data = base64.b64decode(encode(after_map, 132).uri.split(",", 1)[1])
    with Image.open(BytesIO(data)) as picture:
        pixels = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24) or []}
    present = {f"#{r:02X}{g:02X}{b:02X}" for r, g, b in pixels}
    assert {style.colour.upper() for style in STATUS_STYLE.values()} <= present
    assert "#FFFFFF" in present


def test_threads_draw_the_same_figures(full: ReportData) -> None:
    alone = encode(figures.series_figure(full.series[0]), 60).uri
    drawn: list[str] = []
    threads = [
        threading.Thread(
            target=lambda: drawn.append(encode(figures.series_figure(full.series[0]), 60).uri)
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drawn == [alone] * 4
