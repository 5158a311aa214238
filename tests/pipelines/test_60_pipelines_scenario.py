"""A scene-by-scene life of a monitored place: every status, the SAR mask, the clock, the ledger."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import rasterio

from curupira.codes import ClosedReason, IntensityClass, Status
from curupira.config import Workspace
from curupira.errors import BusyError
from curupira.pipelines import masks
from curupira.pipelines.status import collect
from curupira.store import warning as warnings
from curupira.store.session import Store

IMAGES = 18


class Scenario(NamedTuple):
    b: ModuleType
    world: Any
    squares: dict[str, Any]
    workspace: Workspace
    summary: Any
    again: Any


@pytest.fixture(scope="module")
def scenario(builder: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    b = builder
    day, Square = b.day, b.Square
    folder = tmp_path_factory.mktemp("scenario")
    squares = {
        "confirmed": Square(4, 4, day(8)),
        "expired": Square(4, 24, day(7), day(8)),
        "preliminary": Square(4, 44, day(IMAGES - 1)),
        "low": Square(24, 4, day(9), drop_db=2.6),
        "masked": Square(24, 24, day(8)),
        "gone": Square(24, 44, day(9), day(10), version=0),
        # Two squares on one date, a bridge between them on the next.
        "elder": Square(48, 4, day(10), size=10),
        "younger": Square(48, 20, day(10), size=10),
        "bridge": Square(48, 12, day(11), size=10),
        "other orbit": Square(48, 44, day(8), orbit=10),
    }
    world = b.World(folder / "images", list(squares.values()))
    b.write_masks(folder / "nonforest.gpkg", [squares["masked"]])
    shots = b.series(IMAGES) + b.series(14, start=12, orbit=10, at=time(21, 0))
    workspace = world.workspace(
        folder / "ws", shots, masks={"non_forest": (str(folder / "nonforest.gpkg"),)}
    )
    summary = b.play(workspace)
    again = b.play(workspace)
    # A newer version of the tenth image no longer shows the drop.
    world.publish(workspace, [b.reprocessed(shots[9], late_days=200)])
    b.play(workspace)
    return Scenario(b, world, squares, workspace, summary, again)


def only(s: Scenario, name: str) -> Any:
    (row,) = s.b.at(s.workspace, s.squares[name])
    return row


def test_the_run_is_clean_and_a_second_one_issues_nothing(scenario: Scenario) -> None:
    assert scenario.summary.exit_code == 0
    assert scenario.summary.counts["scenes"] == IMAGES + 2
    assert scenario.again.pending == []
    assert {k: v for k, v in scenario.again.counts.items() if v} == {}


def test_confirmed(scenario: Scenario) -> None:
    b, row = scenario.b, only(scenario, "confirmed")
    assert row.status is Status.CONFIRMED
    assert row.intensity_class is IntensityClass.HIGH
    assert row.first_flag_date == b.day(8)
    assert row.n_alerts == 2.0
    assert row.first_scene.startswith("1a_83_")
    # Issued with the first image that shows it, confirmed with the second: the product clock.
    assert row.issued_at == datetime.combine(b.day(8), time(9, 30), UTC) + timedelta(days=1)
    assert row.confirmed_at == datetime.combine(b.day(9), time(9, 30), UTC) + timedelta(days=1)
    assert row.delay_from_flag_days == 13
    assert row.recorded_at == b.NOW
    # 12 x 12 pixels less what the opening takes off the corners.
    true = scenario.squares["confirmed"].geometry
    found = b.on_grid(row.geom)
    assert found.intersection(true).area / found.union(true).area > 0.85
    assert 4.5 < row.area_ha < 6


def test_a_confirmed_warning_is_not_issued_again(scenario: Scenario) -> None:
    home = scenario.b.on_grid(only(scenario, "confirmed").geom).wkt
    at_square = [o for o in scenario.b.observation_places(scenario.workspace) if o[-1] == home]
    # Flagged in two images; from then on it is in the SAR mask.
    assert [o[0][-15:-7] for o in at_square] == [f"{scenario.b.day(k):%Y%m%d}" for k in (8, 9)]


def test_expired(scenario: Scenario) -> None:
    row = only(scenario, "expired")
    assert (row.status, row.closed_reason) == (Status.CLOSED, ClosedReason.EXPIRED)
    assert row.confirmed_at is None
    assert row.last_flag_date == scenario.b.day(7)
    assert row.priority is None


def test_preliminary(scenario: Scenario) -> None:
    row = only(scenario, "preliminary")
    assert row.status is Status.PRELIMINARY
    assert row.confirmed_at is None
    assert row.delay_from_flag_days is None
    assert row.n_alerts == 1.0


def test_low_intensity(scenario: Scenario) -> None:
    row = only(scenario, "low")
    assert row.status is Status.CONFIRMED
    assert row.intensity_class is IntensityClass.LOW
    assert row.intensity <= 7.0
    assert row.excess_db == pytest.approx(row.intensity / 10)


def test_masked_ground_is_never_warned(scenario: Scenario) -> None:
    assert scenario.b.at(scenario.workspace, scenario.squares["masked"]) == []


def test_merged(scenario: Scenario) -> None:
    rows = scenario.b.at(scenario.workspace, scenario.squares["elder"])
    (kept,) = [r for r in rows if r.status is Status.CONFIRMED]
    (merged,) = [
        r
        for r in scenario.b.at(scenario.workspace, scenario.squares["younger"])
        if r.closed_reason is ClosedReason.MERGED
    ]
    assert merged.merged_into == kept.warning_id
    assert merged.status is Status.CLOSED
    bridge = scenario.squares["bridge"].geometry
    assert scenario.b.on_grid(kept.geom).intersection(bridge).area > 0.9 * bridge.area


def test_withdrawn(scenario: Scenario) -> None:
    row = only(scenario, "gone")
    assert (row.status, row.closed_reason) == (Status.CLOSED, ClosedReason.WITHDRAWN)
    assert row.first_flag_date == scenario.b.day(9)


def test_without_enough_learning_images_nothing_is_observed(scenario: Scenario) -> None:
    assert scenario.b.at(scenario.workspace, scenario.squares["other orbit"]) == []
    products = sorted((scenario.workspace.folder / "products").glob("*_010_*.tif"))
    assert len(products) == 2
    with rasterio.open(products[0]) as dataset:
        assert (dataset.read(1) == dataset.nodata).all(), "not observed is not unchanged"
    observed, masked, unobserved = _km2(scenario.workspace)["sentinel-1a_010_"]
    assert observed == 0.0
    assert masked > 144 * 400 / 1e6, "the mask's square, and the warnings confirmed before"
    assert masked + unobserved == pytest.approx(80 * 80 * 400 / 1e6)


def test_the_product_of_an_acquisition(scenario: Scenario) -> None:
    b = scenario.b
    products = scenario.workspace.folder / "products"
    path = products / f"sentinel-1a_083_{b.day(8):%Y%m%d}T093000.tif"
    with rasterio.open(path) as dataset:
        flags, first = dataset.read(1), dataset.read(2)
    s = scenario.squares["confirmed"]
    centre = (s.row + 6, s.col + 6)
    assert flags[centre] == 1
    assert first[centre] == (b.day(8) - datetime(2020, 1, 1).date()).days
    masked = scenario.squares["masked"]
    assert flags[masked.row + 6, masked.col + 6] == -32768
    item = json.loads(path.with_suffix(".json").read_text())
    assert item["assets"]["layers"]["href"] == f"./{path.name}"
    assert not [p for p in products.iterdir() if "raw" in p.name or "part" in p.name]


def test_status_says_so(scenario: Scenario) -> None:
    found = collect(scenario.workspace)
    assert set(found["warnings"]) == {"preliminary", "confirmed", "closed"}
    assert found["warnings"] == {"preliminary": 1, "confirmed": 3, "closed": 3}
    assert found["quarantined"] == []
    assert found["pending_evaluation"] == 0
    assert found["last_run"]["state"] == "done"


def test_a_late_scene_keeps_identity_and_clock(scenario: Scenario, tmp_path: Path) -> None:
    b = scenario.b
    shots = b.series(14)
    late = shots[7]
    workspace = scenario.world.workspace(tmp_path / "ws", [s for s in shots if s is not late])
    b.play(workspace)
    before = {r.warning_id: (r.issued_at, r.confirmed_at) for r in b.warning_rows(workspace)}
    scenario.world.publish(workspace, [b.replace(late, late_days=150)])
    summary = b.play(workspace)
    assert summary.counts["reused"] + summary.counts["evaluated"] == 14 - 7
    after = {r.warning_id: r for r in b.warning_rows(workspace)}
    assert before.keys() <= after.keys(), "never deleted"
    for warning_id, (issued, confirmed) in before.items():
        assert after[warning_id].issued_at == issued
        assert confirmed is None or after[warning_id].confirmed_at == confirmed
    new = [r for i, r in after.items() if i not in before]
    assert [r.first_flag_date for r in new] == [b.day(7)], "what the late scene alone shows"
    assert new[0].issued_at == datetime.combine(b.day(7), time(9, 30), UTC) + timedelta(days=150)


def test_the_sar_mask_holds_by_day_not_by_invocation(builder: ModuleType, tmp_path: Path) -> None:
    """Of one day, only high intensity masks the later pass (method.md 1A step 16)."""
    b = builder
    high, low = b.Square(4, 4, b.day(8)), b.Square(40, 40, b.day(8), drop_db=2.6)
    world = b.World(tmp_path / "images", [high, low])
    # Three passes a day: the second confirms, the third would see it once more.
    shots = b.series(8) + [b.Shot(b.day(8), at=time(h, 0)) for h in (1, 2, 3)]
    workspace = world.workspace(tmp_path / "ws", shots)
    b.play(workspace)
    places = b.observation_places(workspace)
    passes = {
        name: [o[0][-6:-4] for o in places if o[-1] == b.on_grid(b.at(workspace, s)[0].geom).wkt]
        for name, s in (("high", high), ("low", low))
    }
    assert passes == {"high": ["01", "02"], "low": ["01", "02", "03"]}
    world.publish(workspace, [b.Shot(b.day(9), at=time(1, 0))])
    b.play(workspace)
    later = [o for o in b.observation_places(workspace) if f"{b.day(9):%Y%m%d}" in o[0]]
    assert later == [], "the day after, both are masked"


def test_a_low_warning_stays_watched_where_the_mask_clears(
    builder: ModuleType, tmp_path: Path
) -> None:
    b = builder
    weak = b.Square(4, 4, b.day(8), b.day(11), drop_db=2.6)
    strong = b.Square(4, 4, b.day(11))
    world = b.World(tmp_path / "images", [weak, strong])
    override = {"sar_mask_clears": True}
    watched = world.workspace(tmp_path / "watched", b.series(13), override=override)
    b.play(watched)
    (row,) = b.at(watched, weak)
    assert row.intensity_class is IntensityClass.HIGH, "its rise is an update of the same warning"
    assert row.confirmed_at.date() == b.day(9) + timedelta(days=1)
    faithful = world.workspace(tmp_path / "faithful", b.series(13))
    b.play(faithful)
    assert {r.intensity_class for r in b.at(faithful, weak)} == {IntensityClass.LOW}


def test_a_rejected_warning_leaves_the_mask_only_where_it_clears(
    builder: ModuleType, tmp_path: Path
) -> None:
    b = builder
    square = b.Square(4, 4, b.day(8))
    world = b.World(tmp_path / "images", [square])
    found = {}
    for clears in (False, True):
        workspace = world.workspace(
            tmp_path / f"ws{clears}", b.series(10), override={"sar_mask_clears": clears}
        )
        b.play(workspace)
        store = Store.open(workspace.monitor.store.url, base=workspace.folder, create=False)
        with store, store.transaction() as session:
            warnings.close(warnings.query(session)[0], ClosedReason.REJECTED)
        world.publish(workspace, b.series(12, start=10))
        b.play(workspace)
        found[clears] = [str(r.closed_reason or r.status) for r in b.at(workspace, square)]
        # A late scene repeats the fold: the verdict stands.
        world.publish(workspace, [b.Shot(b.day(7) + timedelta(days=1), late_days=90)])
        b.play(workspace)
        assert "rejected" in [str(r.closed_reason) for r in b.at(workspace, square)]
    assert found == {False: ["rejected"], True: ["rejected", "confirmed"]}


def test_dry_run_changes_nothing(builder: ModuleType, tmp_path: Path) -> None:
    b = builder
    world = b.World(tmp_path / "images", [])
    workspace = world.workspace(tmp_path / "ws", b.series(3))
    summary = b.play(workspace, dry_run=True)
    assert len(summary.pending) == 3
    assert not (workspace.folder / "cube").exists()
    assert not (workspace.folder / "products").exists()
    assert collect(workspace)["scenes"] == {"ingested": 0, "quarantined": 0, "superseded": 0}
    assert collect(workspace)["last_run"] is None


def test_force_evaluates_anew_after_the_preset_changed(builder: ModuleType, tmp_path: Path) -> None:
    b = builder
    square = b.Square(4, 4, b.day(8), drop_db=2.6)
    world = b.World(tmp_path / "images", [square])
    workspace = world.workspace(tmp_path / "ws", b.series(11), override={"high_intensity": 0.1})
    b.play(workspace)
    assert {r.intensity_class for r in b.at(workspace, square)} == {IntensityClass.HIGH}
    path = workspace.folder / "monitor.toml"
    path.write_text(path.read_text().replace("high_intensity = 0.1", "high_intensity = 7.0"))
    changed = Workspace.open(workspace.folder)
    assert b.play(changed).counts["evaluated"] == 0
    assert b.play(changed, force=True).counts["evaluated"] == 11 - b.LEARNING
    assert [r.intensity_class for r in b.at(changed, square) if r.closed_reason is None] == [
        IntensityClass.LOW
    ]


def test_quarantine_is_told_once_and_force_tries_again(builder: ModuleType, tmp_path: Path) -> None:
    b = builder
    world = b.World(tmp_path / "images", [])
    shots = b.series(8)
    workspace = world.workspace(tmp_path / "ws", shots)
    path = Path(world.scene(shots[3]).assets["vh"].href)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    first = b.play(workspace)
    assert first.exit_code == 4
    ((scene, reason),) = first.quarantined
    assert scene == shots[3].scene_id
    assert path.name in reason
    assert first.counts["scenes"] == 7
    assert b.play(workspace).exit_code == 0
    assert collect(workspace)["quarantined"] == [{"scene": scene, "reason": reason}]
    assert b.play(workspace, force=True).exit_code == 4, "still broken"
    path.write_bytes(whole)
    mended = b.play(workspace, force=True)
    assert mended.exit_code == 0
    assert mended.counts["scenes"] == 1
    assert collect(workspace)["quarantined"] == []


def test_two_runs_at_once(builder: ModuleType, tmp_path: Path) -> None:
    b = builder
    workspace = b.World(tmp_path / "images", []).workspace(tmp_path / "ws", b.series(2))
    b.play(workspace)
    store = Store.open(workspace.monitor.store.url, base=workspace.folder, create=False)
    record = (workspace.folder / "masks" / masks.RECORD).read_bytes()
    with store, store.lock():
        with pytest.raises(BusyError, match="another run holds") as caught:
            b.play(workspace)
        with pytest.raises(BusyError, match="another run holds"):
            masks.rebuild(workspace, datetime.now(UTC))
    assert caught.value.exit_code == 5
    assert (workspace.folder / "masks" / masks.RECORD).read_bytes() == record
    assert masks.rebuild(workspace, datetime.now(UTC)).hash == json.loads(record)["hash"]
    assert b.play(workspace).exit_code == 0


def _km2(workspace: Workspace) -> dict[str, tuple[float, float, float]]:
    """(observed, masked, unobserved) of the last acquisition of every orbit."""
    with closing(sqlite3.connect(workspace.folder / "warnings.gpkg")) as connection:
        rows = connection.execute(
            "SELECT acquisition_id, observed_km2, masked_km2, unobserved_km2 FROM acquisition"
            " WHERE evaluated_at IS NOT NULL ORDER BY acquired"
        ).fetchall()
    return {name[:16]: tuple(km2) for name, *km2 in rows}


def test_the_rim_of_a_warning_is_masked_where_the_preset_says(
    builder: ModuleType, tmp_path: Path
) -> None:
    """What is felled beside a warning is warned of from the masked rim on."""
    b = builder
    first, beside = b.Square(20, 20, b.day(7)), b.Square(20, 32, b.day(10))
    world = b.World(tmp_path / "images", [first, beside])
    gaps = {}
    for rim in (0, 2):
        override = {"sar_mask_rim_px": rim}
        workspace = world.workspace(tmp_path / f"ws{rim}", b.series(13), override=override)
        b.play(workspace)
        old, new = sorted(b.warning_rows(workspace), key=lambda row: row.first_flag_date)
        gaps[rim] = b.on_grid(old.geom).distance(b.on_grid(new.geom))
    assert gaps == {0: 0, 2: pytest.approx(40)}
