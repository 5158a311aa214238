"""The demonstration's parts on the real sample images: planting, truth, and what is found."""

import json
import re
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from shapely.geometry import shape

import curupira
from curupira import config
from curupira.cli import demo as words
from curupira.errors import ConfigError, InputError
from curupira.grid import LONLAT, project
from curupira.pipelines import daily, demo, findings
from curupira.pipelines.planting import plant_files, write_truth
from curupira.pipelines.workspace import beside as make_beside
from curupira.simulate.plant import Clearing, lot, plant

ROOT = Path(curupira.__file__).resolve().parents[2]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
GRID = GeoBox.from_bbox((300_000, 3_800_000, 300_600, 3_800_900), crs="EPSG:32611", resolution=30)
TIMES = np.array(["2023-10-04T01:59", "2023-10-20T00:00", "2023-11-01T12:00"], "datetime64[ns]")


def clearing(day=date(2023, 10, 20), drop=4.0, x=300_300, y=3_800_450, area=3.0, angle=20.0):
    return Clearing("c", lot(x, y, area, angle_deg=angle), day, drop, drop / 2)


def stack_on(grid, seed=1):
    rng = np.random.default_rng(seed)
    stack = rng.gamma(4.0, 0.01, (3, *grid.shape)).astype(np.float32)
    stack[:, 2, 3] = np.nan
    return stack


@pytest.mark.parametrize(("band", "share"), [("vh", 1.0), ("vv", 0.5)])
def test_planting_multiplies_exactly_the_pixels_whose_centres_lie_inside_from_the_day_on(
    band, share
):
    stack, made = stack_on(GRID), clearing()
    planted = plant(stack, TIMES, GRID, [made], band)
    x = GRID.coordinates["x"].values
    y = GRID.coordinates["y"].values
    centres = shapely.points(*np.meshgrid(x, y))
    inside = shapely.contains(made.geometry, centres)
    assert 28 <= inside.sum() <= 38  # 3 ha are 33 pixels of 30 m
    factor = np.float32(10 ** (-made.drop_vh_db * share / 10))
    for n, later in enumerate([False, True, True]):
        expected = np.where(inside & later, stack[n] * factor, stack[n])
        np.testing.assert_array_equal(planted[n], expected)


@settings(max_examples=25, deadline=None)
@given(
    drops=st.lists(st.floats(0, 12), min_size=1, max_size=3),
    area=st.floats(1, 20),
    angle=st.floats(0, 180),
)
def test_clearings_multiply_and_their_order_does_not_matter(drops, area, angle):
    stack = stack_on(GRID)
    made = [
        clearing(drop=d, area=area, angle=angle, x=300_250 + 40 * n) for n, d in enumerate(drops)
    ]
    forth = plant(stack, TIMES, GRID, made, "vh")
    back = plant(stack, TIMES, GRID, made[::-1], "vh")
    np.testing.assert_allclose(forth, back, rtol=1e-5)
    assert np.array_equal(np.isnan(forth), np.isnan(stack))
    ratio = 10 * np.log10(stack / forth)
    assert np.nanmax(ratio) <= sum(drops) + 1e-4
    assert np.nanmin(ratio) >= -1e-4


@given(area=st.floats(0.1, 100), aspect=st.floats(1, 5), angle=st.floats(-90, 90))
def test_a_lot_has_the_stated_area_around_the_stated_point(area, aspect, angle):
    made = lot(5000, -7000, area, aspect=aspect, angle_deg=angle)
    assert made.area == pytest.approx(area * 10_000, rel=1e-9)
    assert made.centroid.distance(shapely.Point(5000, -7000)) < 1e-6


@pytest.mark.parametrize(
    ("wrong", "says"),
    [(clearing(drop=-1.0), "is a rise"), (clearing(x=400_000), "holds no pixel")],
)
def test_a_clearing_that_cannot_be_planted_is_refused(wrong, says):
    with pytest.raises(InputError, match=says):
        plant(stack_on(GRID), TIMES, GRID, [wrong], "vh")


def test_a_stack_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="does not fit"):
        plant(stack_on(GRID)[:2], TIMES, GRID, [clearing()], "vh")


def event(name, geometry, day=date(2023, 10, 20)):
    return findings.Event(name, geometry, day, geometry.area / 1e4)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Two neighbours of the sample's four bursts: less than half the time."""
    found = demo.find_samples()
    folder = tmp_path_factory.mktemp("samples") / "rtc"
    bursts = sorted(p.name for p in found.images.glob("T137-*"))
    for burst in bursts[2:]:
        shutil.copytree(found.images / burst, folder / burst)
    document = json.loads((found.images / "area.geojson").read_text())
    document["features"] = [
        f for f in document["features"] if f["properties"]["burst"] in bursts[2:]
    ]
    (folder / "area.geojson").write_text(json.dumps(document))
    return demo.Samples(folder, found.monitor)


@pytest.fixture(scope="module")
def real(samples, tmp_path_factory):
    workspace = demo.real_workspace(tmp_path_factory.mktemp("demo") / "real", samples, NOW)
    demo.run_with_history(workspace, now=lambda: NOW)
    return workspace


@pytest.fixture(scope="module")
def planted(samples, real):
    workspace, clearings = demo.planted_workspace(
        real.folder.parent / "planted", real, samples, NOW
    )
    demo.run_with_history(workspace, now=lambda: NOW)
    return workspace, clearings


def test_every_sample_image_is_read_and_the_third_winter_on_is_watched(real):
    found = findings.collect(real, [])
    assert found.evaluated == 10
    products = sorted(path.stem for path in (real.folder / "products").glob("*.tif"))
    assert len(products) == 10
    assert "20231004T0159" in products[0]
    with rasterio.open(next((real.folder / "products").glob("*20231227*.tif"))) as product:
        n_alerts = product.read(1, masked=True)
    # Two pieces of 100 x 100 pixels less their rims of three metres.
    assert 19_000 < n_alerts.count() <= 20_000


def test_the_grid_is_the_images_own_pixels(real):
    with rasterio.open(sorted(real.path("images").glob("T137*/VH.tif"))[0]) as source:
        offset = (source.bounds.left - real.grid.boundingbox.left) / 30
        assert source.res == (30, 30)
        assert str(source.crs) == str(real.grid.crs)
    assert offset == pytest.approx(round(offset), abs=1e-9)


def test_planted_files_differ_from_the_real_ones_by_the_stated_drops_only(real, planted):
    workspace, clearings = planted
    for path in sorted(real.path("images").glob("T137*/V?.tif")):
        band = path.stem.lower()
        with (
            rasterio.open(path) as a,
            rasterio.open(workspace.path("images") / path.relative_to(real.path("images"))) as b,
        ):
            before, after = a.read(), b.read()
            assert a.descriptions == b.descriptions
            assert [a.tags(n) for n in a.indexes] == [b.tags(n) for n in b.indexes]
            assert (a.crs, a.transform, a.dtypes, a.tags()) == (
                b.crs,
                b.transform,
                b.dtypes,
                b.tags(),
            )
            days = np.array([text[:10] for text in a.descriptions], "datetime64[D]")
            outline = shapely.box(*a.bounds)
        here = [c for c in clearings if c.geometry.intersects(outline)]
        assert len(here) == 4
        changed = ~((before == after) | np.isnan(before))
        assert not changed[days < np.datetime64(here[0].day)].any()
        drop = here[0].drop_vh_db if band == "vh" else here[0].drop_vv_db
        ratio = 10 * np.log10(before[changed] / after[changed])
        np.testing.assert_allclose(ratio, drop, atol=1e-4)
        pixels = changed[-1].sum() * 0.09
        assert pixels == pytest.approx(sum(c.area_ha for c in here), rel=0.05)


def test_the_truth_file_tells_what_was_planted(real, planted):
    workspace, clearings = planted
    document = json.loads((workspace.folder / "truth.geojson").read_text())
    assert len(document["features"]) == len(clearings) == 8
    for feature, made in zip(document["features"], clearings, strict=True):
        assert feature["properties"] == made.truth()
        back = project(shape(feature["geometry"]), LONLAT, str(real.grid.crs))
        assert back.symmetric_difference(made.geometry).area < 1e-3 * made.geometry.area


def test_large_planted_clearings_are_confirmed_and_the_untouched_images_stay_quiet(real, planted):
    workspace, clearings = planted
    found = findings.collect(workspace, demo.planted_events(workspace))
    by_name = {met.event.name: met for met in found.met}
    large = [c for c in clearings if c.area_ha > 5]
    assert len(large) == 4
    for made in large:
        met = by_name[made.name]
        assert met.warning is not None
        assert met.warning.confirmed
        # Two images of every 12 days, the first at most 12 days after the clearing.
        assert 12 <= met.days <= 36
        # What is confirmed is masked from then on, so a weak one stays a part of its clearing.
        inside = shapely.intersection(met.warning.geometry, made.geometry).area
        assert inside > 0.25 * made.geometry.area
        assert inside > 0.7 * met.warning.geometry.area
    # Hardly any change is known here.
    assert sum(w.confirmed for w in found.other) <= 1
    assert len(findings.collect(real, []).warned) <= 2
    assert findings.collect(real, []).met == []


def test_warnings_are_matched_with_events_by_a_quarter_of_either(real, planted):
    workspace, _ = planted
    warned = [w for w in findings.collect(workspace, []).warned if w.confirmed]
    first = max(warned, key=lambda w: w.area_ha).geometry
    west, _, east, _ = first.bounds
    far = shapely.affinity.translate(first, 10 * (east - west))
    around = first.buffer(2000)
    speck = first.representative_point().buffer(10)
    named = [event("same", first), event("around", around), event("far", far)]
    found = findings.collect(workspace, [*named, event("later", first, date(2025, 6, 1))])
    met = {m.event.name: m for m in found.met}
    assert met["same"].warning.confirmed
    assert met["around"].warning.confirmed
    assert met["far"].warning is None
    assert met["far"].days is None
    assert met["later"].warning is None  # it was warned before it began
    assert findings.collect(workspace, [event("speck", speck)]).met[0].warning is not None
    shifted = shapely.affinity.translate(first, 0.9 * (east - west))
    assert findings.collect(workspace, [event("shifted", shifted)]).met[0].warning is None


def test_the_samples_and_an_empty_folder_are_asked_for(tmp_path, monkeypatch):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(ConfigError, match="not an empty folder"):
        demo.demo(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "precious"
    elsewhere = tmp_path / "site-packages" / "x" / "curupira" / "__init__.py"
    monkeypatch.setattr(curupira, "__file__", str(elsewhere))
    with pytest.raises(ConfigError, match="source checkout"):
        demo.find_samples()


@pytest.fixture(scope="module")
def beside(district, tmp_path_factory):
    """The shared district, and a second workspace on its images with the same preset."""
    out = tmp_path_factory.mktemp("out")
    shutil.copytree(district, out / "simulated")
    made = config.Workspace.open(out / "simulated")
    second = make_beside(made, out / "simulated-again", "deter_r")
    daily.run(second, daily.RunOptions(), now=lambda: NOW)
    return {"simulated": made, "again": second}


def test_a_workspace_beside_another_finds_the_same_on_its_images(beside):
    first, second = (findings.collect(w, []) for w in beside.values())
    assert len(first.warned) == len(second.warned) > 0
    pairs = (sorted(f.warned, key=lambda w: w.geometry.wkb) for f in (first, second))
    for a, b in zip(*pairs, strict=True):
        assert (a.area_ha, a.confirmed, a.confirming) == (b.area_ha, b.confirmed, b.confirming)
        assert a.geometry.equals(b.geometry)
    assert not (beside["again"].folder / "cube").exists()


def test_a_workspace_beside_another_may_be_moved_with_it(beside, tmp_path):
    parent = beside["again"].folder.parent
    shutil.copytree(parent, tmp_path / "moved")
    moved = config.Workspace.open(tmp_path / "moved" / "simulated-again")
    assert str(tmp_path) in str(Path(moved.cube_path).resolve())
    assert moved.area.equals(beside["simulated"].area)
    assert moved.monitor.hash == beside["again"].monitor.hash


def test_a_workspace_beside_another_has_a_store_and_targets_of_its_own(district, tmp_path):
    shutil.copytree(district, tmp_path / "first")
    first = config.Workspace.open(tmp_path / "first")
    document = first.monitor.model_dump()
    document["store"]["url"] = f"sqlite:///{tmp_path}/first/warnings.gpkg"
    document["delivery"] = {"agency": {"url": f"{tmp_path}/out"}}
    document["source"]["catalogue"] = "https://stac.example/v1"
    full = config.Workspace(first.folder, config.Monitor.model_validate(document))
    made = make_beside(full, tmp_path / "second", "deter_r").monitor
    assert (made.store.url, made.delivery) == ("sqlite:///warnings.gpkg", {})
    assert made.source.catalogue == "https://stac.example/v1"


@pytest.fixture(scope="module")
def scores(beside):
    return {name: demo.score(of) for name, of in beside.items()}


def shown(real, planted, beside, scores):
    opened, clearings = planted

    def part(of, truth=()):
        page = of.folder / demo.PAGE
        page.parent.mkdir(exist_ok=True)
        page.write_text("a report")
        return demo.Part(of, findings.collect(of, truth), page)

    root = real.folder.parent
    simulated = {name: part(of) for name, of in beside.items()}
    return demo.Shown(
        part(real),
        part(opened, demo.planted_events(opened)),
        clearings,
        simulated,
        scores,
        root / "index.html",
    )


def test_the_page_of_the_demonstration_leads_to_every_report(
    real, planted, beside, scores, tmp_path
):
    root = tmp_path / "demo"
    root.mkdir()
    for source in (real.folder.parent, beside["again"].folder.parent):
        for folder in source.iterdir():
            (root / folder.name).symlink_to(folder)
    here = {n: config.Workspace.open(root / w.folder.name) for n, w in beside.items()}
    found = shown(
        config.Workspace.open(root / "real"),
        (config.Workspace.open(root / "planted"), planted[1]),
        here,
        scores,
    )
    text = demo.index_page(found)
    links = re.findall('href="([^"]+)"', text)
    assert len(links) == len(set(links)) == 6
    for link in links:
        assert (root / link).is_file()
    assert text.count('<th scope="col" class="number">deter_r</th>') == 2
    assert text.count("<tr>") == 7  # a head and six scores
    assert "http" not in text.replace("http-equiv", "")


def test_the_summary_tells_sizes_drops_and_answers(real, planted, beside, scores):
    found = shown(real, planted, beside, scores)
    lines = words.in_words(found)
    scores = found.scores["again"]
    row = next(line for line in lines if line.lstrip().startswith("User's accuracy, by number"))
    ua = scores.estimates["ua_count"]
    assert row.count(f"{100 * ua.value:.0f} ({100 * ua.low:.0f} to {100 * ua.high:.0f}") == 2
    assert row.count(f"n = {scores.warnings}") == 2
    text = "\n".join(lines)
    assert "Real images as they are" in text
    assert "8 planted clearings" in text
    head = next(line for line in lines if line.endswith(" dB") and "VH" not in line)
    assert head.split() == ["3", "dB", "4", "dB"]
    row = next(line for line in lines if line.lstrip().startswith("12 ha"))
    assert row.count("confirmed") == 2
    assert len(row) == len(head)


def test_every_monitor_file_in_configs_is_read():
    paths = sorted((ROOT / "configs").glob("*.toml"))
    assert ROOT / "configs" / "sample.toml" in paths
    for path in paths:
        monitor = config.parse(path.read_text(encoding="utf-8"), where=path)
        assert config.parse(config.render(monitor)) == monitor
        assert path.name == "sample.toml"  # a further file needs a test that runs it


def test_planting_needs_a_catalogue(tmp_path):
    with pytest.raises(ConfigError):
        plant_files(tmp_path / "catalog.json", tmp_path / "out", [], now=NOW)


def test_the_truth_of_nothing_is_an_empty_collection(tmp_path):
    write_truth(tmp_path / "truth.geojson", [], "EPSG:32611")
    assert json.loads((tmp_path / "truth.geojson").read_text())["features"] == []
