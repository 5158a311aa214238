"""Mining candidates are delivered by themselves: the whole list, whenever it has changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import geopandas as gpd
import pytest
import shapely
from delivering import NOW, add, make_workspace, open_store, warning_row
from mined import candidate_row

from curupira.codes import Verdict
from curupira.config import Workspace
from curupira.errors import ConfigError, DeliveryError
from curupira.pipelines.delivery import Options, deliver
from curupira.store import candidate
from curupira.store.tables import CandidateRow

LOCAL = (
    '[delivery.mines]\nkind = "folder"\nurl = "outbox"\ncontents = "candidates"\n'
    'formats = ["geojson", "gpkg"]\nmin_confidence = 0.7\n'
)


def at(hours: int, **given) -> Options:
    moment = NOW + timedelta(hours=hours)
    return Options(now=lambda: moment, sleep=lambda _: None, environment={}, **given)


def square(name: str, probability: float, column: int = 0) -> CandidateRow:
    return candidate_row(name, west=-56.0 + 0.01 * column, south=-6.0, probability=probability)


def keep(workspace: Workspace, *rows: CandidateRow) -> None:
    with open_store(workspace) as store, store.transaction() as session:
        session.add_all(rows)


def judge(workspace: Workspace, name: str, verdict: Verdict) -> None:
    with open_store(workspace) as store, store.transaction() as session:
        row = candidate.get(session, name)
        assert row is not None
        candidate.judge(row, verdict, "ana", datetime(2024, 6, 4, tzinfo=UTC), None)


def packages(workspace: Workspace) -> list[Path]:
    return sorted((workspace.folder / "outbox").iterdir())


def names(package: Path) -> set[str]:
    features = json.loads((package / "curupira-candidates.geojson").read_text())["features"]
    return {f["properties"]["candidate_id"] for f in features}


def test_the_list_goes_when_it_has_changed(tmp_path):
    workspace = make_workspace(tmp_path / "w", LOCAL)
    assert deliver(workspace, None, at(0))[0].sent == []
    # A warning is another target's business.
    add(workspace, warning_row(0))
    keep(workspace, square("a", 0.9), square("b", 0.8, 1), square("faint", 0.65, 2))
    dry = deliver(workspace, None, at(0, dry_run=True))[0]
    assert (dry.chosen, dry.left, dry.sent) == ({"new": 2}, [], [])
    assert deliver(workspace, None, at(1))[0].chosen == {"new": 2}
    again = deliver(workspace, None, at(2))[0]
    assert (again.chosen, again.sent) == ({}, [])
    (first,) = packages(workspace)
    assert names(first) == {"a", "b"}
    table = gpd.read_file(first / "curupira-candidates.gpkg")
    assert table.crs.to_epsg() == 4674
    assert "verdict_by" not in table
    # A verdict that passes is an update, one that does not takes the candidate back.
    judge(workspace, "a", Verdict.RECENT_DEFORESTATION)
    assert deliver(workspace, None, at(3))[0].chosen == {"update": 1}
    judge(workspace, "b", Verdict.FALSE_POSITIVE)
    assert deliver(workspace, None, at(4))[0].chosen == {"correction": 1}
    judge(workspace, "a", Verdict.FALSE_POSITIVE)
    assert deliver(workspace, None, at(5))[0].chosen == {"correction": 1}
    assert [names(p) for p in packages(workspace)] == [{"a", "b"}, {"a", "b"}, {"a"}, set()]


def test_only_in_the_area(tmp_path):
    there = gpd.GeoDataFrame(geometry=[shapely.box(-56.001, -6.01, -55.995, -5.99)], crs=4674)
    (tmp_path / "w").mkdir()
    there.to_file(tmp_path / "w" / "ti.gpkg")
    workspace = make_workspace(tmp_path / "w", LOCAL + 'area_file = "ti.gpkg"\n')
    keep(workspace, square("in", 0.9), square("out", 0.9, 5))
    deliver(workspace, None, at(0))
    assert names(packages(workspace)[0]) == {"in"}


def test_what_could_not_be_sent_goes_later(tmp_path):
    workspace = make_workspace(tmp_path / "w", LOCAL)
    keep(workspace, square("a", 0.9))
    # A file where the target's folder should be.
    outbox = workspace.folder / "outbox"
    outbox.write_text("in the way")
    failed = deliver(workspace, None, at(0))[0]
    assert isinstance(failed.error, DeliveryError)
    assert len(failed.left) == 1
    outbox.unlink()
    # What a kill left half written is swept away.
    half = workspace.folder / "deliveries" / "mines" / "candidates" / ".curupira_x.part"
    half.mkdir()
    done = deliver(workspace, None, at(1))[0]
    assert (done.chosen, done.sent, done.left) == ({}, failed.left, [])
    assert [p.name for p in packages(workspace)] == done.sent
    assert not (
        workspace.folder / "deliveries" / "mines" / "candidates" / ".curupira_x.part"
    ).exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('formats = ["deter"]', "candidates go as gpkg and geojson"),
        ('areas = ["PA"]', "take area_file"),
        ('kind = "feed"', "candidates go as files"),
    ],
)
def test_targets_that_candidates_do_not_suit(tmp_path, change, message):
    kept = [line for line in LOCAL.splitlines() if line.split(" ")[0] != change.split(" ")[0]]
    with pytest.raises(ConfigError, match=message):
        make_workspace(tmp_path / "w", "\n".join([*kept, change]))


def test_a_target_may_change_what_it_gets_and_its_prefix(tmp_path):
    folder = tmp_path / "w"
    workspace = make_workspace(folder, LOCAL)
    keep(workspace, square("a", 0.9))
    add(workspace, warning_row(0))
    assert deliver(workspace, None, at(0))[0].chosen == {"new": 1}
    file = folder / "monitor.toml"
    text = file.read_text()
    file.write_text(text.replace('contents = "candidates"\n', 'verdicts = ["not_evaluated"]\n'))
    told = [deliver(Workspace.open(folder), None, at(hours))[0] for hours in (1, 2)]
    assert [len(one.sent) for one in told] == [1, 0]
    # The list that the target has is known by its time, not by a name that sorts last.
    file.write_text(text + 'prefix = "apa"\n')
    assert deliver(Workspace.open(folder), None, at(3))[0].chosen == {}
    judge(workspace, "a", Verdict.RECENT_DEFORESTATION)
    assert [deliver(Workspace.open(folder), None, at(h))[0].chosen for h in (4, 5)] == [
        {"update": 1},
        {},
    ]
