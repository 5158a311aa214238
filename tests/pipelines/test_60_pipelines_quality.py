"""The quality gate in the daily routine: displaced, bright, noisy and new satellites' images."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from scipy.ndimage import gaussian_filter

from curupira.config import FILE_NAME, Workspace, parse
from curupira.pipelines import workspace as workspaces
from curupira.pipelines.publish import open_gallery, read_store
from curupira.pipelines.quality import sampled
from curupira.pipelines.seen import Seen
from curupira.pipelines.status import collect
from curupira.store.quality import held
from curupira.store.session import Store
from curupira.units import to_db

SIDE = 192


@pytest.fixture
def b() -> Iterator[ModuleType]:
    """The builder with a larger world, that has relief; shots may be spoilt by their version."""
    spec = importlib.util.spec_from_file_location(
        "curupira_test_builder_relief", Path(__file__).with_name("builder.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.SIDE = SIDE
    module.GRID = GeoBox.from_bbox(
        (500_000, 9_500_000 - SIDE * 20, 500_000 + SIDE * 20, 9_500_000),
        crs=module.CRS,
        resolution=20,
    )
    rough = gaussian_filter(np.random.default_rng(1).normal(size=(SIDE + 40, SIDE + 40)), 1.5)
    relief = 1.2 * rough / rough.std()
    spoilt: dict[Any, tuple[int, int, float, float]] = {}

    def image(shot: Any, squares: Any) -> np.ndarray[Any, Any]:
        rng = np.random.default_rng([shot.day.toordinal(), shot.orbit, shot.version])
        dy, dx, bias, noise = spoilt.get(shot.day, (0, 0, 0.0, 0.15))
        if shot.platform == "sentinel-1c":
            bias += 0.6
        db = 10 * np.log10(module.FOREST) + relief[20:-20, 20:-20]
        for s in squares:
            if s.shows(shot):
                db[s.row : s.row + s.size, s.col : s.col + s.size] -= s.drop_db
        db = np.roll(db, (dy, dx), axis=(0, 1)) + bias + rng.normal(0, noise, (SIDE, SIDE))
        return (10 ** (db / 10)).astype(np.float32)

    module.image = image
    module.spoilt = spoilt
    yield module
    del sys.modules[spec.name]


def shots(b: ModuleType, n: int, **fields: Any) -> list[Any]:
    return b.series(n, rows=(0, SIDE), **fields)


def qualities(b: ModuleType, workspace: Any) -> dict[str, Any]:
    store = Store.open(workspace.monitor.store.url, base=workspace.folder, create=False)
    with store, store.reading() as session:
        return {row.scene.scene_id: row for row in held(session)}


def test_real_images_pass_a_gate_and_simulated_ones_need_none(
    b: ModuleType, tmp_path: Path, district: Path
) -> None:
    area = b.World(tmp_path, []).workspace(tmp_path / "ws").path("area.geojson")
    for name in ("pc-rtc", "opera-rtc", "static"):
        made = workspaces.create(
            tmp_path / name,
            area_file=area,
            today=b.FIRST,
            preset="deter_r",
            source={"profile": name},
        )
        assert made.monitor.quality.gate
        assert "gate = true" in (made.folder / FILE_NAME).read_text(encoding="utf-8")
    assert parse("format = 1\n").quality.gate
    assert not Workspace.open(district).monitor.quality.gate


def test_a_displaced_image_is_put_right_and_warns_of_nothing(b: ModuleType, tmp_path: Path) -> None:
    square = b.Square(60, 60, b.day(8))
    b.spoilt[b.day(9)] = (2, -3, 0.0, 0.15)
    taken = shots(b, 12)
    world = b.World(tmp_path / "images", [square])
    workspace = world.workspace(tmp_path / "ws", taken)
    assert b.play(workspace).exit_code == 0
    row = qualities(b, workspace)[taken[9].scene_id]
    assert row.quality["move"] == [2, -3]
    assert row.quality["shift_y_px"] == pytest.approx(2, abs=0.1)
    assert row.quality["bias_db"] == pytest.approx(0, abs=0.1)
    (warning,) = b.warning_rows(workspace)
    assert warning.first_flag_date == b.day(8)
    found = b.on_grid(warning.geom)
    assert found.intersection(square.geometry).area / found.union(square.geometry).area > 0.85
    # In pictures and reports it lies there, too; half a pixel of relief apart they differ already.
    known = read_store(workspace, None, b.NOW).known
    gallery = open_gallery(workspace, known, b.NOW)
    seen = [gallery.image([known[n]], gallery.whole, SIDE) for n in (8, 9)]
    pair = [to_db(image.vh[90:180, 90:180]).ravel() for image in seen if image is not None]
    assert np.corrcoef(pair)[0, 1] > 0.9

    careless = world.workspace(tmp_path / "careless", taken, quality={"gate": False})
    b.play(careless)
    plain = b.on_grid(b.warning_rows(careless)[0].geom)
    assert plain.difference(square.geometry).area > 2 * found.difference(square.geometry).area


@pytest.mark.parametrize(
    ("spoil", "word"),
    [((8, 4, 0.0, 0.15), "displaced by"), ((0, 0, -4.0, 0.15), "dB from its earlier"),
     ((0, 0, 0.0, 6.0), "looks over forest")],
)  # fmt: skip
def test_a_spoilt_image_is_quarantined(
    b: ModuleType, tmp_path: Path, spoil: tuple[int, int, float, float], word: str
) -> None:
    b.spoilt[b.day(8)] = spoil
    taken = shots(b, 10)
    world = b.World(tmp_path / "images", [])
    workspace = world.workspace(tmp_path / "ws", taken)
    summary = b.play(workspace)
    assert summary.exit_code == 4
    ((name, reason),) = summary.quarantined
    assert name == taken[8].scene_id
    assert word in reason
    assert b.warning_rows(workspace) == []
    listed = collect(workspace)["quarantined"]
    assert [q["scene"] for q in listed] == [name]
    # It stays out, and is news once only.
    assert b.play(workspace).exit_code == 0
    # A newer version is looked at anew.
    b.spoilt.clear()
    world.publish(workspace, [b.reprocessed(taken[8])])
    assert b.play(workspace).exit_code == 0
    assert collect(workspace)["quarantined"] == []


def test_what_learned_from_an_image_refused_later_is_judged_again(
    b: ModuleType, tmp_path: Path
) -> None:
    """Two dark images of history hide a weak clearing, until the gate is switched on."""
    square = b.Square(60, 60, b.day(8), drop_db=3.2)
    for n in (4, 5):
        b.spoilt[b.day(n)] = (0, 0, -4.0, 0.15)
    taken = shots(b, 11)
    world = b.World(tmp_path / "images", [square])
    workspace = world.workspace(tmp_path / "ws", taken, quality={"gate": False})
    assert b.play(workspace).exit_code == 0
    careless = b.state(workspace)
    file = workspace.folder / FILE_NAME
    file.write_text(file.read_text(encoding="utf-8").replace("gate = false", "gate = true"))
    workspace = Workspace.open(workspace.folder)
    summary = b.play(workspace)
    assert [name for name, _ in summary.quarantined] == [taken[n].scene_id for n in (4, 5)]
    assert summary.counts["evaluated"] == 5
    clean = world.workspace(tmp_path / "clean", taken)
    b.play(clean)
    assert b.state(workspace) == b.state(clean) != careless
    assert collect(workspace)["pending_evaluation"] == 0
    assert b.play(workspace).counts["evaluated"] == 0


def test_a_new_satellites_offset_is_taken_off(b: ModuleType, tmp_path: Path) -> None:
    """Sentinel-1C is 0.6 dB brighter: a weak clearing is seen as with one satellite."""
    square = b.Square(60, 60, b.day(9), drop_db=2.7)
    taken = [
        b.replace(s, platform="sentinel-1c") if n > 7 else s for n, s in enumerate(shots(b, 13))
    ]
    world = b.World(tmp_path / "images", [square])
    workspace = world.workspace(tmp_path / "ws", taken)
    b.play(workspace)
    rows = qualities(b, workspace)
    against = [rows[s.scene_id].quality["against"] for s in taken]
    assert against == ["none"] * 3 + ["own"] * 5 + ["other"] * 5
    assert rows[taken[8].scene_id].quality["bias_db"] == pytest.approx(0.6, abs=0.05)
    assert [w.status for w in b.warning_rows(workspace)] == ["confirmed"]
    careless = world.workspace(tmp_path / "off", taken, quality={"platform_offset": False})
    b.play(careless)
    assert b.warning_rows(careless) == []


def test_the_gate_does_not_depend_on_the_order_of_arrival(b: ModuleType, tmp_path: Path) -> None:
    squares = [b.Square(60, 60, b.day(8)), b.Square(20, 120, b.day(9), drop_db=2.8)]
    b.spoilt[b.day(7)] = (2, 1, 0.0, 0.15)
    b.spoilt[b.day(9)] = (0, 0, 3.5, 0.15)
    b.spoilt[b.day(2)] = (0, 0, -3.0, 0.15)
    taken = [
        b.replace(s, platform="sentinel-1c") if n > 7 else s for n, s in enumerate(shots(b, 12))
    ]
    world = b.World(tmp_path / "images", squares)
    whole = world.workspace(tmp_path / "whole", taken)
    b.play(whole)
    expected = b.state(whole)
    assert len(expected) == 2
    for seed in (1, 2):
        mixed = list(taken)
        random.Random(seed).shuffle(mixed)
        workspace = world.workspace(tmp_path / f"ws{seed}")
        for start in range(0, 12, 4):
            world.publish(workspace, mixed[start : start + 4])
            b.play(workspace)
        assert qualities(b, workspace) == qualities(b, whole)
        assert b.state(workspace) == expected


def test_products_say_what_was_seen(b: ModuleType, tmp_path: Path) -> None:
    square = b.Square(60, 60, b.day(7))
    taken = shots(b, 9)
    # The last image shows the upper half only.
    taken[8] = b.replace(taken[8], rows=(0, 96))
    b.write_masks(tmp_path / "water.gpkg", [b.Square(10, 10, b.day(0), size=20)])
    world = b.World(tmp_path / "images", [square])
    whole_image = b.image
    b.image = lambda shot, squares: np.where(
        np.arange(SIDE)[:, None] < shot.rows[1], whole_image(shot, squares), np.nan
    )
    workspace = world.workspace(
        tmp_path / "ws", taken, masks={"non_forest": (str(tmp_path / "water.gpkg"),)}
    )
    b.play(workspace)
    first, second, third = sorted((workspace.folder / "products").glob("*.tif"))

    def read(path: Path, band: str) -> np.ndarray[Any, Any]:
        with rasterio.open(path) as source:
            return source.read(source.descriptions.index(band) + 1)

    assert not (read(first, "alert") > 0).any()
    middle = (66, 66)
    assert read(second, "alert")[middle] == 2
    assert read(second, "alert_date")[middle] == int(f"{b.day(7):%y%j}")
    assert read(third, "alert")[middle] == 3
    assert read(third, "alert_date")[middle] == int(f"{b.day(7):%y%j}")
    seen = read(third, "seen")
    assert seen[15, 15] == Seen.MASKED
    assert seen[80, 150] == Seen.OBSERVED
    last = read(second, "last_seen_days")
    assert last[150, 100] == (b.day(7) - b.date(2020, 1, 1)).days


def test_gaps_of_an_image_are_not_observed_since_the_one_before(
    b: ModuleType, tmp_path: Path
) -> None:
    taken = shots(b, 8)
    whole_image = b.image

    def with_hole(shot: Any, squares: Any) -> np.ndarray[Any, Any]:
        power = whole_image(shot, squares)
        if shot.day == b.day(7):
            power[100:150, 100:150] = np.nan
        return power

    b.image = with_hole
    workspace = b.World(tmp_path / "images", []).workspace(tmp_path / "ws", taken)
    b.play(workspace)
    newest = max((workspace.folder / "products").glob("*.tif"))
    with rasterio.open(newest) as source:
        bands = dict(zip(source.descriptions, source.read(), strict=True))
    assert bands["seen"][120, 120] == Seen.NOT_OBSERVED
    assert bands["seen"][50, 50] == Seen.OBSERVED
    days = (b.day(6) - b.date(2020, 1, 1)).days
    assert bands["last_seen_days"][120, 120] == days
    assert bands["last_seen_days"][50, 50] == days + 12


def test_sensors_have_baselines_of_their_own(b: ModuleType, tmp_path: Path) -> None:
    """An L-band sensor of the same orbit number, 4 dB darker, does not look like a clearing."""
    square = b.Square(60, 60, b.day(8))
    c_band = shots(b, 11)
    l_band = [b.replace(s, platform="nisar", day=s.day + timedelta(days=3)) for s in shots(b, 11)]
    darker = b.image
    b.image = lambda shot, squares: darker(shot, squares) * (0.4 if shot.platform == "nisar" else 1)
    workspace = b.World(tmp_path / "images", [square]).workspace(
        tmp_path / "ws", [*c_band, *l_band]
    )
    assert b.play(workspace).exit_code == 0
    (row,) = b.warning_rows(workspace)
    assert row.status == "confirmed"
    assert b.on_grid(row.geom).intersects(square.geometry)
    assert {r.quality["against"] for r in qualities(b, workspace).values()} == {"none", "own"}


def test_an_hv_stack_of_another_sensor(b: ModuleType, tmp_path: Path) -> None:
    """The band that detects is named in [source]; the images are HV of PALSAR-2."""
    square = b.Square(60, 60, b.day(8))
    taken = shots(b, 11, platform="alos-2")
    world = b.World(tmp_path / "images", [square])
    plain = world.workspace(tmp_path / "plain", taken)
    b.play(plain)
    hv = world.workspace(
        tmp_path / "hv", source={"catalogue": "catalog/catalog.json", "asset_vh": "HV",
                                 "asset_vv": ""}
    )  # fmt: skip
    world.publish(hv, taken)
    for path in (hv.folder / "catalog").rglob("*.json"):
        path.write_text(path.read_text().replace('"vh"', '"HV"'))
    assert b.play(hv).counts["scenes"] == 11
    assert b.state(hv) == b.state(plain)
    assert [row.platform for row in b.warning_rows(hv)] == ["alos-2"]


def test_blocks_are_spread_over_the_window() -> None:
    from curupira.blocks import Window

    assert sampled(Window(0, 0, 0, 0)) == []
    large = sampled(Window(100, 6000, 0, 4000))
    assert len(large) == 25
    assert max(w.y1 for w in large) > 5000
    assert len({w.x0 for w in large}) > 5
    assert len(sampled(Window(0, 192, 0, 192))) == 9
