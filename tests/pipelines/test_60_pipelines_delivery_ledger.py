"""What a target is told, and when: new, updates, corrections, hand-overs, crashes, retraction."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as Xml

import geopandas as gpd
import pytest
import shapely
from delivering import NOW, add, make_workspace, open_store, warning_row
from sqlalchemy import select

from curupira.codes import ClosedReason, IntensityClass, RunState, Status, Verdict
from curupira.deliver.channel import WaitError
from curupira.errors import ConfigError, DeliveryError
from curupira.pipelines.delivery import Options, deliver
from curupira.pipelines.retract import retract
from curupira.pipelines.review import redraw
from curupira.store import DeliveryRow, WarningRow, run
from curupira.units import geodesic_area_ha

PASSING = '["not_evaluated", "recent_deforestation"]'
LOCAL = '[delivery.local]\nkind = "folder"\nurl = "outbox"\nformats = ["geojson"]\n'


def at(hours: int = 0) -> Options:
    moment = NOW + timedelta(hours=hours)
    return Options(now=lambda: moment, sleep=lambda _: None, environment={})


def change(workspace, warning_id: str, **values) -> None:
    with open_store(workspace) as store, store.transaction() as session:
        row = session.scalar(select(WarningRow).where(WarningRow.warning_id == warning_id))
        for name, value in values.items():
            setattr(row, name, value)


def told(root: Path) -> list[tuple[str, str]]:
    """(warning, kind) of everything in a folder of packages, in order of time."""
    found = []
    for path in sorted(root.glob("*/*.geojson")):
        features = json.loads(path.read_text())["features"]
        found += [(f["id"], f["properties"]["delivery"]) for f in features]
    return found


def test_once_then_updates_then_a_correction(tmp_path):
    workspace = make_workspace(tmp_path / "w", LOCAL)
    one, two = add(workspace, warning_row(0), warning_row(1))
    outbox = workspace.folder / "outbox"
    assert deliver(workspace, None, at(0))[0].chosen == {"new": 2}
    assert deliver(workspace, None, at(1))[0].chosen == {}
    # What is not worth telling: rank, recording time.
    change(workspace, one, priority=7, updated_at=NOW + timedelta(days=1))
    assert deliver(workspace, None, at(2))[0].chosen == {}
    change(workspace, one, geom=shapely.MultiPolygon([shapely.box(-52, -7, -51.9, -6.9)]))
    assert deliver(workspace, None, at(3))[0].chosen == {"update": 1}
    change(workspace, two, intensity_class=IntensityClass.LOW)
    assert deliver(workspace, None, at(4))[0].chosen == {"update": 1}
    change(workspace, one, status=Status.CLOSED, closed_reason=ClosedReason.WITHDRAWN)
    change(workspace, two, verdict=Verdict.FALSE_POSITIVE)
    assert deliver(workspace, None, at(5))[0].chosen == {"correction": 2}
    assert deliver(workspace, None, at(6))[0].chosen == {}
    assert sorted(told(outbox)) == sorted(
        [
            *((one, kind) for kind in ("new", "update", "correction")),
            *((two, kind) for kind in ("new", "update", "correction")),
        ]
    )
    with open_store(workspace) as store, store.reading() as session:
        rows = list(session.scalars(select(DeliveryRow).order_by(DeliveryRow.id)))
    assert {row.state for row in rows} == {"sent"}
    assert all(row.sent_at and row.attempts == 1 and row.run_id == "run-1" for row in rows)


def test_an_edited_polygon_is_told_and_the_original_stays(tmp_path):
    workspace = make_workspace(tmp_path / "w", LOCAL)
    (one,) = add(workspace, warning_row(0))
    assert deliver(workspace, None, at(0))[0].chosen == {"new": 1}
    with open_store(workspace) as store:
        with store.reading() as session:
            original = session.scalar(select(WarningRow)).geom
        drawn = shapely.box(*original.bounds).buffer(0.001, join_style="mitre")
        redraw(store, one, drawn, by="olga", reason="the edge", now=NOW)
    assert deliver(workspace, None, at(1))[0].chosen == {"update": 1}
    assert deliver(workspace, None, at(2))[0].chosen == {}
    features = [
        json.loads(path.read_text())["features"][0]
        for path in sorted((workspace.folder / "outbox").glob("*/*.geojson"))
    ]
    shapes = [shapely.geometry.shape(feature["geometry"]) for feature in features]
    differing = [shape.symmetric_difference(drawn).area for shape in shapes]
    assert differing[1] < 1e-9 < differing[0]
    areas = [feature["properties"]["area_geodesic_ha"] for feature in features]
    assert areas[1] == pytest.approx(geodesic_area_ha(shapely.MultiPolygon([drawn])), rel=1e-6)
    with open_store(workspace) as store, store.reading() as session:
        assert session.scalar(select(WarningRow)).geom.equals(original)


def test_packages_hold_no_names_of_persons(tmp_path):
    workspace = make_workspace(
        tmp_path / "w", LOCAL.replace('["geojson"]', '["geojson", "gpkg", "csv", "shp", "deter"]')
    )
    add(workspace, warning_row(verdict=Verdict.RECENT_DEFORESTATION, verdict_by="Iracema Souza"))
    deliver(workspace, None, at())
    files = [p for p in (workspace.folder / "outbox").rglob("*") if p.is_file()]
    assert len(files) == 7
    assert not any(b"Iracema" in path.read_bytes() for path in files)
    page = next(p for p in files if p.name == "summary.html").read_text()
    assert "São Félix do Xingu" in page
    assert "contains modified Copernicus Sentinel data 2024" in page


def test_dry_run_writes_nothing(tmp_path):
    workspace = make_workspace(tmp_path / "w", LOCAL)
    add(workspace, warning_row())
    before = sorted(p.name for p in workspace.folder.iterdir())
    (outcome,) = deliver(workspace, ["local"], Options(dry_run=True))
    assert outcome.chosen == {"new": 1}
    assert sorted(p.name for p in workspace.folder.iterdir()) == before


def test_unknown_target_and_no_target(tmp_path):
    with pytest.raises(ConfigError, match="known: local"):
        deliver(make_workspace(tmp_path / "a", LOCAL), ["ibama"])
    with pytest.raises(ConfigError, match="no target"):
        deliver(make_workspace(tmp_path / "b"))


class Killed(BaseException):
    pass


@pytest.mark.parametrize("section", [LOCAL, LOCAL.replace('"geojson"', '"geojson", "deter_rt"')])
def test_killed_at_every_step_nothing_is_lost_or_doubled(tmp_path, section):
    """The clock is looked at between all steps: here it kills, once at each of them."""
    workspace = make_workspace(tmp_path / "w", section)
    ids = add(workspace, *(warning_row(n) for n in range(3)))
    calls, limit, killed = 0, 0, 0

    def clock() -> datetime:
        nonlocal calls
        calls += 1
        if calls > limit:
            raise Killed
        return NOW

    while True:
        calls = 0
        try:
            deliver(workspace, None, Options(now=clock, sleep=lambda _: None, environment={}))
            break
        except Killed:
            killed, limit = killed + 1, limit + 1
    assert killed >= 2
    assert sorted(told(workspace.folder / "outbox")) == sorted((i, "new") for i in ids)
    with open_store(workspace) as store, store.reading() as session:
        rows = list(session.scalars(select(DeliveryRow)))
    assert sorted((r.warning_id, r.state) for r in rows) == sorted((i, "sent") for i in ids)
    assert not list((workspace.folder / "outbox").glob("lock*"))


def test_sigkill_at_random_moments(tmp_path):
    """Real processes, killed after ever longer times until one comes through."""
    workspace = make_workspace(tmp_path / "w", LOCAL.replace('"geojson"', '"geojson", "gpkg"'))
    ids = add(workspace, *(warning_row(n, corners=400) for n in range(30)))
    for n in range(200):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = 0 if deliver(workspace, None, at(n))[0].error is None else 6
            finally:
                os._exit(code)
        time.sleep(0.03 * n)
        os.kill(pid, signal.SIGKILL)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0:
            break
        # Whatever stands in the outbox under its own name is whole.
        for path in (workspace.folder / "outbox").glob("*/*.geojson"):
            json.loads(path.read_text())
    assert n > 3
    deliver(workspace, None, at(201))
    assert sorted(told(workspace.folder / "outbox")) == sorted((i, "new") for i in ids)
    assert not list((workspace.folder / "outbox").rglob("*.part"))


def test_a_package_without_ledger_goes_and_a_lost_one_is_packed_again(tmp_path):
    workspace = make_workspace(tmp_path / "w", LOCAL)
    (one,) = add(workspace, warning_row())
    mine = workspace.folder / "deliveries" / "local"
    orphan = mine / "curupira_20240603T030000000000Z_00000000"
    orphan.mkdir(parents=True)
    half = mine / ".curupira_20240603T030000000000Z_00000001.part"
    half.mkdir()
    blocked = workspace.folder / "outbox"
    blocked.write_text("a file where the folder should be")
    (outcome,) = deliver(workspace, None, at(0))
    assert isinstance(outcome.error, DeliveryError)
    assert not orphan.exists()
    assert not half.exists()
    (package,) = [p for p in mine.iterdir() if p.is_dir()]
    shutil.rmtree(package)
    blocked.unlink()
    (outcome,) = deliver(workspace, None, at(1))
    assert outcome.error is None
    assert told(blocked) == [(one, "new")]


def test_a_changed_package_is_not_sent(tmp_path):
    workspace = make_workspace(tmp_path / "w", LOCAL)
    add(workspace, warning_row())
    outbox = workspace.folder / "outbox"
    outbox.write_text("")
    deliver(workspace, None, at(0))
    outbox.unlink()
    (file,) = (workspace.folder / "deliveries" / "local").glob("*/*.geojson")
    file.write_text("{}")
    (outcome,) = deliver(workspace, None, at(1))
    assert "was changed" in str(outcome.error)
    assert not list(outbox.glob("*"))


DETER_R = """
[delivery.inpe]
rule = "deter_r"
url = "inbox"
statuses = ["preliminary", "confirmed"]
"""


def test_hand_over_of_deter_r(tmp_path):
    """Data first, trigger last; one file at a time; lock respected; CR1 raised to CR2 once."""
    workspace = make_workspace(tmp_path / "w", DETER_R)
    inbox = workspace.folder / "inbox"
    inbox.mkdir()
    confirmed, preliminary = add(
        workspace,
        warning_row(0),
        warning_row(1, status=Status.PRELIMINARY, confirmed_at=None),
    )
    lock = inbox / "lock_2024-06-03"
    lock.write_text("importer")
    (outcome,) = deliver(workspace, None, at(0))
    assert isinstance(outcome.error, WaitError)
    assert list(inbox.iterdir()) == [lock]
    lock.unlink()
    # Two levels are two files: the second waits until the importer has removed the trigger.
    taken: list[str] = []
    while True:
        (outcome,) = deliver(workspace, None, at(1))
        trigger = inbox / "trigger.txt"
        name = trigger.read_text()
        assert name not in taken
        assert (inbox / name).is_file()
        taken.append(name)
        trigger.unlink()
        if outcome.error is None:
            break
        assert isinstance(outcome.error, WaitError)
    assert [name.split("_")[:2] for name in taken] == [["DETER-R", "CR1"], ["DETER-R", "CR2"]]
    assert deliver(workspace, None, at(2))[0].sent == []
    assert not (inbox / "trigger.txt").exists()
    change(workspace, preliminary, status=Status.CONFIRMED, confirmed_at=NOW)
    change(workspace, confirmed, status=Status.CLOSED, closed_reason=ClosedReason.WITHDRAWN)
    (outcome,) = deliver(workspace, None, at(3))
    assert outcome.error is None
    frame = gpd.read_file(inbox / (inbox / "trigger.txt").read_text())
    assert list(frame.columns) == [
        *("area_ha", "n_alerts", "intensity", "label", "daydetec", "class", "geometry")
    ]
    assert list(frame["area_ha"]) == [3.5]
    (changes,) = inbox.glob("*_changes_*.csv")
    (row,) = csv.DictReader(changes.read_text().splitlines())
    assert (row["warning_id"], row["kind"], row["closed_reason"]) == (
        confirmed,
        "correction",
        "withdrawn",
    )
    assert not list(inbox.glob("*.part"))


def test_the_shipped_rule_delivers_four_verdicts_and_unjudged_high_intensity(tmp_path):
    workspace = make_workspace(tmp_path / "w", '[delivery.inpe]\nrule = "deter_r"\nurl = "inbox"\n')
    low = IntensityClass.LOW
    rows = [warning_row(n, verdict=v, intensity_class=low) for n, v in enumerate(Verdict)]
    unjudged = [warning_row(20), warning_row(21, intensity_class=low)]
    preliminary = [warning_row(22, status=Status.PRELIMINARY)]
    ids = add(workspace, *rows, *unjudged, *preliminary)
    deliver(workspace, None, at())
    with open_store(workspace) as store, store.reading() as session:
        got = set(session.scalars(select(DeliveryRow.warning_id)))
    wanted = {ids[list(Verdict).index(v)] for v in ("recent_deforestation", "residue", "cloud")}
    assert got == {*wanted, ids[len(rows)]}


def test_hand_over_of_deter_rt_under_lock(tmp_path):
    section = '[delivery.rt]\nkind = "folder"\nurl = "inbox"\nformats = ["deter_rt"]\n'
    workspace = make_workspace(tmp_path / "w", section)
    inbox = workspace.folder / "inbox"
    inbox.mkdir()
    add(workspace, *(warning_row(10 * n) for n in range(5)))  # two degrees of longitude
    (inbox / "lock_2024-06-03").write_text("somebody else")
    assert isinstance(deliver(workspace, None, at(0))[0].error, WaitError)
    (inbox / "lock_2024-06-03").unlink()
    assert deliver(workspace, None, at(1))[0].error is None
    names = sorted(p.name for p in inbox.iterdir())
    parts = [name.split("_") for name in names]
    assert [(p[1], p[2]) for p in parts] == [
        ("20240602", "S07W050"),
        ("20240602", "S07W051"),
        ("20240602", "S07W052"),
    ]
    frames = [gpd.read_file(inbox / name) for name in names]
    assert sum(len(frame) for frame in frames) == 5
    assert all("Date_dt" in frame.columns and frame.crs.to_epsg() == 4674 for frame in frames)


def test_tiles_that_the_importer_took_are_not_handed_over_again(tmp_path):
    formats = '["deter_r", "deter_rt"]'
    section = f'[delivery.both]\nkind = "folder"\nurl = "inbox"\nformats = {formats}\n'
    workspace = make_workspace(tmp_path / "w", section)
    inbox = workspace.folder / "inbox"
    inbox.mkdir()
    add(workspace, *(warning_row(10 * n) for n in range(5)))
    (inbox / "trigger.txt").write_text("an earlier file")
    assert isinstance(deliver(workspace, None, at(0))[0].error, WaitError)
    tiles = list(inbox.glob("*_S07W05*"))
    assert len(tiles) == 3
    for tile in tiles:
        tile.unlink()
    # Somebody else's lock is no reason to wait: no tile is left to write.
    (inbox / "lock_2024-06-03").write_text("somebody else")
    assert isinstance(deliver(workspace, None, at(1))[0].error, WaitError)
    assert not list(inbox.glob("*_S07W05*"))
    # Killed after the last tile: the lock is still ours, and goes.
    (inbox / "lock_2024-06-03").write_text("curupira both")
    (inbox / "trigger.txt").unlink()
    assert deliver(workspace, None, at(2))[0].error is None
    assert not list(inbox.glob("*_S07W05*"))
    assert not list(inbox.glob("lock_*"))
    assert (inbox / "trigger.txt").exists()


ATOM = {"a": "http://www.w3.org/2005/Atom", "g": "http://www.georss.org/georss"}


def test_feeds_by_state_keep_ids_and_tell_withdrawals(tmp_path):
    section = '[delivery.feed]\nkind = "feed"\nurl = "www"\nsplit = "uf"\nmax_entries = 2\n'
    workspace = make_workspace(tmp_path / "w", section)
    ids = add(
        workspace,
        *(warning_row(n, issued_at=NOW - timedelta(days=9 - n)) for n in range(3)),
        warning_row(3, uf="AM"),
        warning_row(4, uf=None),
    )
    deliver(workspace, None, at(0))
    www = workspace.folder / "www"
    names = {"am", "pa", "elsewhere"}
    assert {p.name for p in www.iterdir()} == {f"curupira-warnings-{n}.atom" for n in names}
    feed = Xml.parse(www / "curupira-warnings-pa.atom").getroot()
    entries = feed.findall("a:entry", ATOM)
    assert [e.findtext("a:id", None, ATOM) for e in entries] == [
        f"urn:uuid:{ids[2]}",
        f"urn:uuid:{ids[1]}",
    ]
    ring = entries[0].findtext("g:polygon", None, ATOM).split()
    assert ring[:2] == ring[-2:]
    assert -7.1 < float(ring[0]) < -6.9  # latitude first
    change(workspace, ids[0], status=Status.CLOSED, closed_reason=ClosedReason.WITHDRAWN)
    deliver(workspace, None, at(25))
    again = Xml.parse(www / "curupira-warnings-pa.atom").getroot()
    first = again.find("a:entry", ATOM)
    assert first.findtext("a:id", None, ATOM) == f"urn:uuid:{ids[0]}"
    assert "withdrawn" in first.findtext("a:title", None, ATOM)
    assert again.findtext("a:id", None, ATOM) == feed.findtext("a:id", None, ATOM)


def test_a_verdict_corrects_a_feed(tmp_path):
    section = f'[delivery.feed]\nkind = "feed"\nurl = "www"\nverdicts = {PASSING}\n'
    workspace = make_workspace(tmp_path / "w", section)
    ids = add(workspace, *(warning_row(n) for n in range(3)))

    def entries(hours: int) -> list[tuple[str, str, str]]:
        deliver(workspace, None, at(hours))
        root = Xml.parse(workspace.folder / "www" / "curupira-warnings.atom").getroot()
        tags = ("a:id", "a:updated", "a:title")
        found = [[e.findtext(t, "", ATOM) for t in tags] for e in root.findall("a:entry", ATOM)]
        assert root.findtext("a:updated", None, ATOM) == found[0][1]
        return [(name[9:], when, words.partition(" ha")[2]) for name, when, words in found]

    first, later = "2024-06-03T04:00:00Z", "2024-06-03T06:00:00Z"
    assert entries(0) == [(name, first, "") for name in ids]
    # Not worth telling: nothing moves.
    change(workspace, ids[0], priority=9, updated_at=NOW + timedelta(hours=1))
    assert entries(1) == [(name, first, "") for name in ids]
    change(workspace, ids[1], verdict=Verdict.FALSE_POSITIVE)
    assert entries(2) == [
        (ids[1], later, " (withdrawn by verdict)"),
        (ids[0], first, ""),
        (ids[2], first, ""),
    ]


def test_feeds_tell_nothing_of_sensitive_places(tmp_path):
    sections = (
        'indigenous_territories = "ti.geojson"\nprotected_areas = "uc.geojson"',
        '[serve]\nsensitive_places = ["TI Secreta"]\nsensitive_layers = ["protected_areas"]',
        '[delivery.feed]\nkind = "feed"\nurl = "www"\nsplit = "protected_area"',
        LOCAL,
    )
    workspace = make_workspace(tmp_path / "w", *sections)
    inside, corner, outside = (warning_row(n, protected_area="Flona Oculta") for n in range(3))
    inside.indigenous_territory = "TI Secreta"
    west, _, _, north = corner.geom.bounds
    # All of the first, and a corner of the second, which is named after another territory.
    secret = shapely.box(*inside.geom.bounds).union(
        shapely.box(west - 0.01, north - 0.011, west + 0.01, north)
    )
    frame = gpd.GeoDataFrame({"name": ["TI Secreta"]}, geometry=[secret], crs=4674)
    for name in ("ti.geojson", "uc.geojson"):
        frame.to_file(workspace.folder / name)
    ids = add(workspace, inside, corner, outside)
    feed, local = deliver(workspace, None, at())
    assert (feed.error, dict(feed.chosen), dict(local.chosen)) == (None, {"new": 1}, {"new": 3})
    (path,) = (workspace.folder / "www").iterdir()
    text = path.read_text(encoding="utf-8")
    assert path.name == "curupira-warnings-elsewhere.atom"
    assert ids[2] in text
    for hidden in (ids[0], ids[1], "Secreta", "Oculta"):
        assert hidden not in text


def test_retract_withdraws_and_corrects_every_target_that_had_got_it(tmp_path):
    other = (
        '[delivery.other]\nkind = "folder"\nurl = "other"\nformats = ["geojson"]\nmin_area_ha = 4\n'
    )
    workspace = make_workspace(tmp_path / "w", LOCAL, other)
    bad, good = add(workspace, warning_row(0), warning_row(1, run_id="run-2"))
    with open_store(workspace) as store, store.transaction() as session:
        for name in ("run-1", "run-2"):
            run.start(session, run_id=name, command="run", version="0", started_at=NOW)
            run.finish(session, name, state=RunState.DONE, finished_at=NOW)
    deliver(workspace, None, at(0))
    with pytest.raises(ConfigError, match="reason"):
        retract(workspace, "run-1", " ", options=at(1))
    with pytest.raises(ConfigError, match="no such run"):
        retract(workspace, "run-9", "why", options=at(1))
    done = retract(workspace, "run-1", "scene was shifted", options=at(1), now=lambda: NOW)
    assert (done.withdrawn, done.told) == (1, ["local"])
    assert [(o.target, dict(o.chosen)) for o in done.outcomes] == [("local", {"correction": 1})]
    assert told(workspace.folder / "outbox")[-1] == (bad, "correction")
    with open_store(workspace) as store, store.reading() as session:
        row = run.get(session, "run-1")
        assert (row.state, row.message) == (RunState.RETRACTED, "scene was shifted")
        states = {w.warning_id: w.status for w in session.scalars(select(WarningRow))}
    assert states == {bad: Status.CLOSED, good: Status.CONFIRMED}
    with pytest.raises(ConfigError, match="already"):
        retract(workspace, "run-1", "again", options=at(2))


def test_since_area_and_names_limit_what_is_new(tmp_path):
    box = {"type": "Polygon", "coordinates": [[[-52.1, -7.1], [-51.9, -7.1], [-51.9, -6.9]]]}
    box["coordinates"][0].append(box["coordinates"][0][0])
    keys = {
        "since": 'since = "2024-06-01"',
        "area": 'area_file = "fiscal.geojson"',
        "names": 'areas = ["1507300", "TI Apyterewa"]',
        "confidence": "min_confidence = 0.95",
    }
    sections = [
        f'[delivery.{n}]\nurl = "{n}"\nformats = ["geojson"]\n{key}\n'.replace(
            '"2024', "2024"
        ).replace('-01"', "-01")
        for n, key in keys.items()
    ]
    workspace = make_workspace(tmp_path / "w", *sections)
    (workspace.folder / "fiscal.geojson").write_text(json.dumps(box))
    ids = add(
        workspace,
        warning_row(0, issued_at=datetime(2024, 5, 31, 23, tzinfo=UTC), geocode="1"),
        warning_row(10, confidence=0.99, geocode=None, indigenous_territory="TI Apyterewa"),
    )
    deliver(workspace, None, at())
    got = {name: [i for i, _ in told(workspace.folder / name)] for name in keys}
    assert got == {"since": [ids[1]], "area": [ids[0]], "names": [ids[1]], "confidence": [ids[1]]}
