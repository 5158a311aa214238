"""The report of a finished workspace, of poor ones, and the pictures against slow references."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from curupira import presets
from curupira.blocks import Window
from curupira.codes import OrbitState, Status
from curupira.config import Workspace
from curupira.cube.archive import Cube
from curupira.grid import LONLAT, project
from curupira.pipelines import daily
from curupira.pipelines.images import Detector
from curupira.pipelines.masks import MaskSet
from curupira.pipelines.pictures import PICTURE_PX, Gallery, reduced
from curupira.pipelines.products import NODATA
from curupira.pipelines.publish import (
    Period,
    collect,
    first_day,
    open_gallery,
    publish,
    read_store,
)
from curupira.pipelines.seen import Seen
from curupira.records import Acquisition, Asset, Scene
from curupira.report import ReportData, render

NOW = datetime(2024, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def whole(district: Path) -> ReportData:
    return collect(Workspace.open(district), period=Period.ALL, now=NOW)


def part_of(district: Path, folder: Path, scenes: int, *changes: tuple[str, str]) -> Workspace:
    """A workspace on the district's images that has run on the first ``scenes`` of them only."""
    shutil.copytree(
        district, folder, ignore=shutil.ignore_patterns("warnings*", "cube", "products", "truth*")
    )
    path = folder / "monitor.toml"
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    workspace = Workspace.open(folder)
    pending = daily.run(workspace, daily.RunOptions(dry_run=True), now=lambda: NOW).pending
    if scenes:
        until = pending[scenes - 1].acquired.date()
        daily.run(workspace, daily.RunOptions(until=until), now=lambda: NOW)
    return workspace


def test_a_whole_report_is_complete(whole: ReportData, district: Path) -> None:
    assert whole.since == Workspace.open(district).monitor.algorithm.monitor_since
    confirmed = whole.warnings[whole.warnings["status"] == Status.CONFIRMED]
    assert len(confirmed) >= 1
    assert {chip.warning_id for chip in whole.chips} <= set(whole.warnings["warning_id"])
    assert 1 <= len(whole.chips) <= 6
    assert 1 <= len(whole.series) <= 4
    # The images learned from count as used data.
    assert min(whole.data_years) < whole.since.year
    before, after = whole.composite_before, whole.composite_after
    assert before is not None
    assert after is not None
    assert before.date_text < str(whole.since) <= after.date_text
    assert np.isfinite(before.vv).all()
    # Linear power of forest, not dB.
    assert 0.02 < float(np.nanmedian(after.vh)) < 0.1
    assert float(np.nanmedian(after.vv)) > float(np.nanmedian(after.vh))


def test_chips_are_led_by_excess_times_area(whole: ReportData) -> None:
    table = whole.warnings.set_index("warning_id")
    strength = [
        table.loc[chip.warning_id, "excess_db"] * table.loc[chip.warning_id, "area_ha"]
        for chip in whole.chips
    ]
    assert strength == sorted(strength, reverse=True)
    for chip in whole.chips:
        outline = table.loc[[chip.warning_id]].geometry.to_crs(str(chip.after.grid.crs)).iloc[0]
        box = chip.after.grid.boundingbox
        assert box.left <= outline.bounds[0]
        assert box.top >= outline.bounds[3]
        # Before is before the first flag.
        assert chip.before.date_text < str(table.loc[chip.warning_id, "first_flag_date"].date())


def test_a_series_explains_why_its_warning_was_issued(whole: ReportData) -> None:
    for series in whole.series:
        assert int(series.dataset["flag"].sum()) >= 1
        assert set(np.unique(series.dataset["period"])) == {"learning", "detection"}
        named = re.search(r"Warning (\w{8})", series.label)
        assert named is not None
        row = whole.warnings[whole.warnings["warning_id"].str.startswith(named[1])].iloc[0]
        last = series.dataset["time"].to_numpy()[-1].astype("datetime64[D]").astype(date)
        if row["status"] == Status.CONFIRMED:  # as of the image that confirmed it
            assert last == row["confirmed_at"].date() - timedelta(days=1)


def test_the_strongest_pixel_is_flagged_and_within(district: Path, whole: ReportData) -> None:
    workspace, gallery = Workspace.open(district), gallery_of(district)
    grid = workspace.grid
    confirmed = whole.warnings[whole.warnings["status"] == Status.CONFIRMED]
    for _, row in confirmed.iterrows():
        acquisition = next(
            a for a in gallery.known if any(s.scene_id == row["confirming_scene"] for s in a.scenes)
        )
        outline = project(row.geometry, "EPSG:4674", str(grid.crs))
        pixel = gallery.strongest_pixel(acquisition, outline)
        assert pixel.shape == (1, 1)
        assert outline.buffer(1).covers(grid[pixel.slices].extent.geom)
        product = district / "products" / f"{acquisition.acquisition_id}.tif"
        with rasterio.open(product) as source:
            counts, excess = source.read(1), source.read(3)
        assert counts[pixel.y0, pixel.x0] > 0
        inside = ~rasterio.features.geometry_mask([outline], counts.shape, grid.affine)
        assert excess[pixel.y0, pixel.x0] == excess[inside & (counts > 0)].max()


def test_the_summary_is_of_the_warnings_of_the_period(whole: ReportData) -> None:
    assert whole.summary is not None
    issued = whole.issued[whole.issued["closed_reason"] != "merged"]
    assert sum(row["n"] for row in whole.summary["counts"]) == len(issued) > 0
    hectares = sum(day["area_ha"] for day in whole.summary["timeline_flagged"])
    assert hectares == pytest.approx(issued["area_ha"].sum(), abs=1e-3)
    assert whole.summary["interpreters"] is None
    assert whole.optical is None


def gallery_of(folder: Path) -> Gallery:
    workspace = Workspace.open(folder)
    return open_gallery(workspace, read_store(workspace, None, NOW).known, NOW)


def test_areas_add_up_and_blind_ground_is_counted(
    district: Path, whole: ReportData, tmp_path: Path
) -> None:
    assert whole.coverage is not None
    assert whole.coverage.unobserved_km2 == 0
    grid = Workspace.open(district).grid
    total = grid.shape.x * grid.shape.y * 0.0004
    assert whole.coverage.monitored_km2 + whole.coverage.masked_km2 == pytest.approx(
        total, rel=0.01
    )
    folder = tmp_path / "w"
    shutil.copytree(district, folder)
    newest = max((folder / "products").glob("*.tif"))
    with rasterio.open(newest) as source:
        profile, bands = source.profile, source.read()
    bands[:, :40, :50] = NODATA
    newest.unlink()
    with rasterio.open(newest, "w", **profile | {"driver": "GTiff"}) as target:
        target.write(bands)
    gallery = gallery_of(folder)
    window = Window(0, 40, 0, 50)
    watched = gallery.detector.masks.read_zones(window) == 1
    assert gallery.unobserved_km2() == pytest.approx(watched.sum() * 0.0004)


def test_the_rim_of_what_was_warned_of_is_not_blind(builder: ModuleType, tmp_path: Path) -> None:
    """Nor is the backlog: later products leave both out, as they do the warnings."""
    b = builder
    world = b.World(tmp_path, [b.Square(20, 20, b.day(7)), b.Square(50, 50, b.day(4))])
    override = {"sar_mask_rim_px": 2, "backlog": "masked"}
    workspace = world.workspace(tmp_path / "ws", b.series(11), override=override)
    b.play(workspace)
    (rim,) = [row for row in b.warning_rows(workspace) if row.status is Status.CONFIRMED]
    newest = max((workspace.folder / "products").glob("*.tif"))
    with rasterio.open(newest) as source:
        masked = source.read(source.descriptions.index("seen") + 1) == Seen.MASKED
    assert masked.sum() * 400 > 1.5 * b.on_grid(rim.geom).area
    coverage = collect(workspace, period=Period.ALL, now=NOW).coverage
    assert coverage is not None
    assert coverage.unobserved_km2 == 0


def test_the_threshold_map_covers_the_monitored_ground(district: Path, whole: ReportData) -> None:
    assert whole.threshold_map is not None
    values, gallery = whole.threshold_map.threshold_db, gallery_of(district)
    watched = gallery.detector.masks.read_zones(gallery.whole) == 1
    assert (np.isfinite(values) == watched).all()
    # Clutter 1.31 dB and 2.5 to 3.94 times 0.35 dB (method.md 1A).
    assert np.nanmin(values) >= 1.31 + 2.5 * 0.35 - 1e-4
    assert np.nanmax(values) <= 1.31 + 3.94 * 0.35 + 1e-4


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        (Period.DAY, date(2023, 3, 31)),
        (Period.MONTH, date(2023, 3, 1)),
        (Period.YEAR, date(2022, 4, 1)),
        (Period.ALL, date(2021, 1, 5)),
    ],
)
def test_periods_end_on_their_last_day(period: Period, expected: date) -> None:
    assert first_day(period, date(2023, 3, 31), date(2021, 1, 5)) == expected
    assert first_day(Period.ALL, date(2020, 1, 1), date(2021, 1, 5)) == date(2020, 1, 1)


def test_a_period_shows_its_own_warnings_and_the_open_ones(
    district: Path, whole: ReportData
) -> None:
    workspace = Workspace.open(district)
    last = collect(workspace, now=NOW)
    assert last.until == whole.until
    assert (last.until - last.since).days in range(27, 31)
    assert len(last.issued) <= len(whole.issued)
    first = whole.warnings["issued_at"].min().date()
    early = collect(workspace, period=Period.DAY, on=first, now=NOW)
    assert (early.warnings["issued_at"].dt.date == first).all()
    assert len(early.issued) >= 1
    assert early.composite_after is not None
    assert early.composite_after.date_text < str(first)
    # Nothing of the future: neither scenes nor warnings published after that day.
    assert (early.scenes["acquired"].dt.date <= first).all()
    before = collect(workspace, period=Period.DAY, on=first - timedelta(days=400), now=NOW)
    assert before.warnings.empty
    assert before.chips == before.series == ()


def test_a_workspace_that_never_ran(district: Path, tmp_path: Path) -> None:
    html = publish(part_of(district, tmp_path / "w", 0), now=NOW)
    assert "No radar image to draw the map on." in html
    assert "No threshold map." in html
    assert "2024-01-01" in html  # without images, a period ends today


def test_one_scene(district: Path, tmp_path: Path) -> None:
    data = collect(part_of(district, tmp_path / "w", 1), period=Period.ALL, now=NOW)
    assert data.composite_before is None or data.composite_before.date_text < str(data.since)
    assert data.composite_after is not None
    assert data.warnings.empty
    assert data.chips == data.series == ()
    assert data.coverage is not None
    # No product was made yet: all that is monitored is unobserved.
    assert data.coverage.unobserved_km2 == pytest.approx(data.coverage.monitored_km2, rel=1e-6)


def test_without_vv_the_map_is_of_vh(district: Path, tmp_path: Path) -> None:
    workspace = part_of(district, tmp_path / "w", 2, ('asset_vv = "vv"', 'asset_vv = ""'))
    data = collect(workspace, now=NOW)
    assert data.composite_after is not None
    assert np.isnan(data.composite_after.vv).all()
    assert np.isfinite(data.composite_after.vh).all()
    assert "There is no VV" in render(data)


def small_gallery(folder: Path) -> Gallery:
    """Orbit 1 west, orbit 2 east (both with a gap), orbit 3 everywhere but a year ago."""
    grid = GeoBox.from_bbox((0, 0, 400, 200), crs="EPSG:32721", resolution=20, tight=True)
    cube = Cube.open(folder / "cube", grid, create=True)
    known = []
    for orbit, day, value, columns in (
        (3, date(2022, 6, 1), 9.0, slice(0, 20)),
        (1, date(2023, 5, 20), 0.5, slice(0, 12)),
        (1, date(2023, 6, 1), 1.0, slice(0, 12)),
        (2, date(2023, 6, 5), 4.0, slice(8, 19)),
    ):
        moment = datetime(day.year, day.month, day.day, 10, tzinfo=UTC)
        image = np.full((10, 20), np.nan, dtype=np.float32)
        image[:, columns] = value
        scene = Scene(
            scene_id=f"{orbit}_{day}",
            platform="sentinel-1a",
            acquired=moment,
            created=moment,
            relative_orbit=orbit,
            orbit_state=OrbitState.DESCENDING,
            footprint=project(grid.extent.geom, "EPSG:32721", LONLAT),
            assets={"vh": Asset("nowhere.tif")},
        )
        with cube.scene_writer(orbit, scene.scene_id, moment) as writer:
            writer.write("vh", Window(0, 10, 0, 20), image)
        known.append(Acquisition((scene,)))
    detector = Detector(
        grid=grid,
        preset=presets.load("deter_r"),
        reader=cube.reader(),
        masks=MaskSet(folder, {}),
        config_hash="",
        tile_px=512,
        memory=10**9,
        threads=1,
    )
    return Gallery(folder, detector, known)


def test_a_composite_fills_gaps_from_other_orbits_but_not_from_old_images(tmp_path: Path) -> None:
    gallery = small_gallery(tmp_path)
    image = gallery.composite()
    assert image is not None
    expected = np.concatenate([np.full(12, 1.0), np.full(7, 4.0), [np.nan]])
    np.testing.assert_allclose(image.vh, np.broadcast_to(expected, (10, 20)), rtol=2e-3)
    assert image.date_text == "2023-06-01 to 2023-06-05"
    before = gallery.composite(date(2023, 6, 1))
    assert before is not None
    assert before.date_text == "2023-05-20"
    assert np.isnan(before.vh[:, 12:]).all()
    assert gallery.composite(date(2022, 6, 1)) is None


def test_pictures_are_reduced_to_their_limit(tmp_path: Path) -> None:
    gallery = small_gallery(tmp_path)
    image = gallery.image(gallery.known[2:], gallery.whole, 8)
    assert image is not None
    assert image.vh.shape == tuple(image.grid.shape) == (4, 7)
    assert float(image.grid.resolution.x) == 60
    # 12 columns of 1, 7 of 4 (gaps filled), by threes; the last two hold one 4 and one NaN.
    expected = [1, 1, 1, 1, 4, 4, 4]
    np.testing.assert_allclose(image.vh, np.broadcast_to(expected, (4, 7)), rtol=2e-3)
    assert max(gallery.whole.shape) <= PICTURE_PX


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    step=st.integers(1, 7),
    corner=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    seed=st.integers(0, 2**31),
)
def test_reduction_is_the_mean_of_what_is_known(rows, columns, step, corner, seed) -> None:
    rng = np.random.default_rng(seed)
    image = rng.gamma(4, 0.02, (rows + 5, columns + 5)).astype(np.float32)
    image[rng.random(image.shape) < 0.3] = np.nan
    window = Window(corner[0], corner[0] + rows, corner[1], corner[1] + columns)
    found = reduced(lambda block: image[block.slices], window, step)
    part = image[window.slices]
    for y in range(found.shape[0]):
        for x in range(found.shape[1]):
            cell = part[y * step : (y + 1) * step, x * step : (x + 1) * step]
            known = cell[np.isfinite(cell)]
            if known.size:
                assert found[y, x] == pytest.approx(known.mean(dtype=np.float64), rel=1e-5)
            else:
                assert np.isnan(found[y, x])
    assert found.shape == (-(-rows // step), -(-columns // step))
