"""The chain from points to a judged map, by the command line, on a small simulated landscape."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import onnxruntime
import pytest
import rasterio
import shapely
import torch
from shapely.geometry import Point, box
from typer.testing import CliRunner

from curupira import presets
from curupira.cli.mining import group
from curupira.codes import OrbitState
from curupira.errors import ConfigError, CurupiraError, InputError
from curupira.grid import project
from curupira.mining.classify import MARGIN, by_patch, classify_scene, onnx_engine, plain_engine
from curupira.mining.model import load_model
from curupira.mining.overlap import SharedWindows
from curupira.mining.params import ScoreParams
from curupira.mining.squares import squares_of
from curupira.pipelines.mine_scenes import open_scene
from curupira.pipelines.mine_score import pair_regions, score
from curupira.records import Asset, Scene
from curupira.stac import scene_item

QUICK = """
extends = "unesp_2025"
[network]
norm_momentum = 0.2
[training]
epochs = 12
learning_rate = 0.003
[split]
block_km = 3.0
block_gap_km = 0.0
"""


def call(*words):
    """Run a command; its error if it has one, else what it printed."""
    result = CliRunner().invoke(group, [str(word) for word in words])
    if isinstance(result.exception, CurupiraError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def patches(land, tmp_path_factory):
    out = tmp_path_factory.mktemp("chain") / "patches"
    scenes = [word for scene in land.scenes for word in ("--scene", scene)]
    text = call("patches", *scenes, "--points", land.points, "-o", out)
    assert "26 patches of 13 points and 2 scenes: 14 mines (54%), 12 others (46%)" in text
    assert "dropped 2: 0 outside, 2 at an edge, 0 without data" in text
    return out


@pytest.fixture(scope="module")
def model(patches, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    (folder / "quick.toml").write_text(QUICK)
    out = folder / "model"
    text = call(
        "train", "--patches", patches, "--preset", folder / "quick.toml", "--split", "point",
        "--seed", 1, "-o", out,
    )  # fmt: skip
    assert "held out by point" in text
    return out


@pytest.fixture(scope="module")
def mines(land, model, tmp_path_factory):
    out = tmp_path_factory.mktemp("map") / "mines.geojson"
    call(
        "classify", "--model", model, "--scene", land.scenes[1], "--threshold", 0.5,
        "--probability", out.with_name("p.tif"), "-o", out,
    )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def grid(land, tmp_path_factory):
    out = tmp_path_factory.mktemp("grid") / "grid.geojson"
    call("reference-grid", "--reference", land.mines, "-o", out)
    return out


def test_patches_are_georeferenced_and_indexed(land, patches):
    index = gpd.read_parquet(patches / "patches.parquet")
    assert {"point", "scene", "date", "label", "bounds"} <= set(index.columns)
    assert sorted(index["date"].astype(str).unique()) == ["2023-01-23", "2023-06-16"]
    row = index[(index["point"] == 0) & (index["scene"] == "s1_20230123")].iloc[0]
    assert list(row["bounds"]) == [500_780, 9_298_180, 501_820, 9_299_220]
    with rasterio.open(patches / row["file"]) as dataset, rasterio.open(land.scenes[0]) as scene:
        assert dataset.crs == scene.crs
        assert tuple(dataset.bounds) == tuple(row["bounds"])
        assert dataset.descriptions == ("vv", "vh", "pa")
        vv, vh, pa = dataset.read()
        window = scene.read(window=((78, 182), (78, 182)))
    np.testing.assert_allclose(pa, (vh - vv) / 2, atol=1e-5)
    # Filtered in linear power: less spread, the same power.
    assert vv.std() < window[0].std()
    assert np.mean(10 ** (vh / 10)) == pytest.approx(np.mean(10 ** (window[1] / 10)), rel=0.02)
    assert {p.name for p in patches.glob("*.png")} == {
        "contact_mines.png", "contact_others.png", "study_area.png"
    }  # fmt: skip


def test_a_model_folder_holds_what_it_should(model):
    card = json.loads((model / "model.json").read_text())
    assert card["bands"] == ["vv", "vh", "pa"]
    assert card["parameters"] == {"trainable": 102_082, "running": 448}
    assert card["preset"] == "quick"
    assert len(card["data_hash"]) == 64
    assert set(card["metrics"]["validation"]["f1"]) == {"value", "low", "high", "n"}
    assert len(card["normalisation"]["mean"]) == 3
    names = {p.name for p in model.iterdir()}
    assert names == {
        "model.pt", "model.onnx", "model.json", "curves.png", "confusion.png", "reliability.png",
        "model-card.md",
    }  # fmt: skip
    session = onnxruntime.InferenceSession(str(model / "model.onnx"))
    assert [i.name for i in session.get_inputs()] == ["bands"]


def test_the_card_in_words_says_what_the_model_is_not(model):
    card = json.loads((model / "model.json").read_text())
    text = (model / "model-card.md").read_text()
    assert "Not for field use" in text
    assert "simulated radar" in text
    assert f"{card['patches']['training']} patches" in text
    found = card["metrics"]["validation"]["f1"]
    assert f"| f1 | {found['value']:.2f} [{found['low']:.2f}, {found['high']:.2f}] |" in text


def test_squares_are_rfc_7946_and_metric(mines):
    document = json.loads(mines.read_text())
    assert "crs" not in document
    assert document["features"]
    metric = gpd.read_file(mines.with_suffix(".gpkg"))
    assert metric.crs == "EPSG:32721"
    assert metric.geometry.area.to_numpy() == pytest.approx(270_400)
    assert (metric["probability"] > 0.5).all()
    there = gpd.read_file(mines)
    assert there.crs == "EPSG:4326"
    assert there.geometry.map(lambda g: g.exterior.is_ccw).all()
    back = there.to_crs(metric.crs)
    for ours, theirs in zip(metric.geometry, back.geometry, strict=True):
        assert shapely.hausdorff_distance(ours, theirs) < 0.01
    assert set(there["date"].astype(str).str[:10]) == {"2023-06-16"}


def test_the_probability_map_lies_where_the_mines_are(land, mines):
    with rasterio.open(mines.with_name("p.tif")) as dataset:
        probability = dataset.read(1)
        assert dataset.res == (520, 520)
        on_mine = [v[0] for v in dataset.sample([(501_300, 9_298_700), (505_500, 9_292_700)])]
    assert probability.shape == (16, 16)
    assert on_mine[0] > 0.5
    assert np.nanmean(probability) < np.max(on_mine)


def test_evaluation_by_both_rules(mines, grid, tmp_path):
    for rule in ("paper", "symmetric"):
        out = tmp_path / rule
        text = call(
            "evaluate", "--detections", mines, "--reference", grid, "--rule", rule, "-o", out
        )  # fmt: skip
        assert "precision" in text
        found = json.loads((out / "metrics.json").read_text())
        assert found["rule"] == rule
        assert found["threshold"] == 0.5
        assert isinstance(found["tp"], int)
        assert found["recall"]["value"] > 0.6
        labelled = gpd.read_file(out / "labelled.geojson")
        counts = labelled["outcome"].value_counts()
        assert [counts.get(k, 0) for k in ("TP", "FP", "FN")] == [
            found["tp"], found["fp"], found["fn"]
        ]  # fmt: skip
        assert (out / "map.png").stat().st_size > 5000


def test_table_of_thresholds_and_regions(mines, grid, tmp_path):
    out = tmp_path / "table"
    pair = ("--detections", mines, "--reference", grid)
    call(
        "evaluate", *pair, *pair, "--region", "north", "--region", "south", "--threshold", 0.5,
        "--threshold", 0.9, "-o", out,
    )  # fmt: skip
    rows = json.loads((out / "table.json").read_text())
    assert [(r["region"], r["threshold"]) for r in rows] == [
        ("north", 0.5), ("north", 0.9), ("south", 0.5), ("south", 0.9)
    ]  # fmt: skip
    assert rows[0]["tp"] >= rows[1]["tp"]
    lines = (out / "table.csv").read_text().splitlines()
    assert lines[0].startswith("region,threshold,tp,fp,fn,precision,")
    assert (out / "south_0.9" / "metrics.json").is_file()


def test_thresholds_that_the_squares_cannot_answer(mines, grid, tmp_path):
    words = ("evaluate", "--reference", grid, "-o", tmp_path / "e", "--detections")
    # Made at 0.5: what lies between 0.4 and 0.5 was never written.
    remedy = "classify again with --threshold 0.4 or lower"
    leaves_nothing(tmp_path, ConfigError, remedy, *words, mines, "--threshold", 0.4)
    leaves_nothing(tmp_path, ConfigError, "no probability", *words, mines, "--threshold", "nan")
    unsaid = gpd.read_file(mines).assign(threshold=None)
    unsaid.to_file(tmp_path / "unsaid.gpkg")
    call(*words, tmp_path / "unsaid.gpkg")
    assert json.loads((tmp_path / "e" / "metrics.json").read_text())["threshold"] is None
    none = tmp_path / "none.geojson"
    none.write_text('{"type": "FeatureCollection", "features": []}')
    call(*words, none, "--threshold", 0.9, "--rule", "symmetric", "--force")
    found = json.loads((tmp_path / "e" / "metrics.json").read_text())
    assert (found["threshold"], found["tp"], found["recall"]["value"]) == (0.9, 0, 0.0)


def test_the_grid_file(grid):
    cells = gpd.read_file(grid.with_suffix(".gpkg"))
    assert cells.crs == "EPSG:32721"
    assert cells["area_m2"].min() >= 10_816
    # Seven mines of 600 m: 36 ha each, less what fragments lose.
    assert 0.93 * 7 * 36 < cells["area_m2"].sum() / 1e4 <= 7 * 36 * 1.001
    assert grid.with_suffix(".png").is_file()


def test_a_crs_member_is_read(mines, grid, tmp_path):
    metric = gpd.read_file(mines.with_suffix(".gpkg"))
    metric.to_file(tmp_path / "old.geojson", driver="GeoJSON")
    assert "EPSG::32721" in (tmp_path / "old.geojson").read_text()
    plain, old = (
        score(pair_regions([path], [grid], []), tmp_path / f"{n}", params=ScoreParams())[0][1]
        for n, path in enumerate((mines, tmp_path / "old.geojson"))
    )
    assert (plain.tp, plain.fp, plain.fn) == (old.tp, old.fp, old.fn)


def test_blocks_of_windows_do_not_show(land, model):
    loaded = load_model(model)
    scene = open_scene(str(land.scenes[1]), "db")
    whole = classify_scene(scene, loaded, stride_px=26, threshold=0.8)
    assert whole.probability.shape == (31, 31)
    area = project(box(502_000, 9_295_000, 505_000, 9_297_000), "EPSG:32721", "EPSG:4326")
    part = classify_scene(scene, loaded, stride_px=26, threshold=0.8, area=area)
    some = np.isfinite(part.probability)
    assert 20 < some.sum() < 120
    np.testing.assert_allclose(part.probability[some], whole.probability[some], atol=1e-6)


def test_threads_do_not_show(land, model):
    loaded = load_model(model)
    scene = open_scene(str(land.scenes[0]), "db")
    alone = classify_scene(scene, loaded, stride_px=52, threshold=0.8)
    torch.set_num_threads(2)
    try:
        together = classify_scene(scene, loaded, stride_px=52, threshold=0.8)
    finally:
        torch.set_num_threads(1)
    np.testing.assert_allclose(together.probability, alone.probability, atol=1e-6)


def test_no_decision_hangs_on_the_engine(land, model):
    loaded = load_model(model)
    scene = open_scene(str(land.scenes[1]), "db")
    plain = classify_scene(
        scene,
        loaded,
        stride_px=52,
        threshold=0.5,
        engine=by_patch(plain_engine(loaded), loaded, 52),
    )
    # A threshold that is exactly one window's probability is the hardest there is.
    values = plain.probability[np.isfinite(plain.probability)]
    threshold = float(np.sort(values)[len(values) // 2])
    fast = onnx_engine(loaded)
    rng = np.random.default_rng(0)

    def rough(batch):
        noise = rng.uniform(-0.5 * MARGIN, 0.5 * MARGIN, len(batch))
        return (fast(batch) + noise).astype(np.float32)

    engines = [by_patch(e, loaded, 52) for e in (fast, rough)]
    for engine in (*engines, SharedWindows(loaded, 52)):
        found = classify_scene(scene, loaded, stride_px=52, threshold=threshold, engine=engine)
        assert ((found.probability > threshold) == (plain.probability > threshold)).all()


def test_nan_windows_stay_out(land, model, tmp_path, write_scene):
    with rasterio.open(land.scenes[0]) as dataset:
        bands = dataset.read()
    bands[:, :, 450:] = np.nan
    path = write_scene(tmp_path / "half.tif", bands, land.grid)
    loaded = load_model(model)
    found = classify_scene(open_scene(str(path), "db"), loaded, stride_px=52, threshold=0.5)
    assert np.isfinite(found.probability[:, :6]).all()
    assert np.isnan(found.probability[:, 7:]).all()
    assert squares_of(found, 0.5, 0.9).total_bounds[2] <= 500_000 + 10 * (450 + 3)


@pytest.mark.parametrize("form", ["pair", "folder", "linear", "order"])
def test_other_forms_of_a_scene(form, land, tmp_path, write_scene):
    with rasterio.open(land.scenes[0]) as dataset:
        bands = dataset.read()
    vv, vh, scale = tmp_path / "a_vv.tif", tmp_path / "a_vh.tif", "db"
    text = f"{vv},{vh}" if form == "pair" else str(tmp_path)
    if form in ("linear", "order"):
        scale = "linear" if form == "linear" else "db"
        stored = 10 ** (bands / 10) if form == "linear" else bands[::-1]
        names = ("VV", "VH") if form == "linear" else ("VH", "VV")
        text = str(write_scene(tmp_path / "x.tif", stored.astype(np.float32), land.grid, names))
    else:
        write_scene(vv, bands[:1], land.grid, ("VV",))
        write_scene(vh, bands[1:], land.grid, ("VH",))
    scene = open_scene(text, scale)
    found = scene.read(scene.window)
    np.testing.assert_allclose(found[0], bands[0], atol=1e-4)
    np.testing.assert_allclose(found[1], bands[1], atol=1e-4)


SEVERAL = """
extends = "curupira"
[bands]
dates = 3
[patches]
composites = 2
[training]
epochs = 6
[split]
validation_share = 0.2
"""


def test_several_dates_become_composites_of_as_many(land, dates, model, tmp_path):
    (tmp_path / "several.toml").write_text(SEVERAL)
    preset = ("--preset", tmp_path / "several.toml")
    fourth = shutil.copy(land.scenes[0], tmp_path / "s1_20230701.tif")
    scenes = [word for scene in [*dates, fourth] for word in ("--scene", scene)]
    text = call("patches", *scenes, "--points", land.points, *preset, "-o", tmp_path / "p")
    assert "26 patches of 13 points and 2 scenes" in text
    index = gpd.read_parquet(tmp_path / "p" / "patches.parquet")
    # Named and dated after the last day, whatever the order of the files.
    names = {"s1_20230803_composite_of_3", "s1_20230803_composite_of_3_2"}
    assert set(index["scene"]) == names
    corners = index["bounds"].map(lambda b: tuple(b[:2])).groupby(index["point"]).nunique()
    assert (corners == 2).any(), "composites of a point are not moved"
    with rasterio.open(tmp_path / "p" / index["file"][0]) as dataset:
        seasons = ("vv_spread", "vh_spread", "vv_detail", "vh_detail")
        assert dataset.descriptions == ("vv", "vh", *seasons)
        assert dataset.shape == (52, 52)
        assert dataset.transform.a == 20
        spread = dataset.read(3)
    # 17.6 looks at 20 m: 1.05 dB; of three dates, without Bessel's correction, 0.8 of it.
    assert 0.6 < np.median(spread) < 1.0
    call("train", "--patches", tmp_path / "p", *preset, "--seed", 1, "-o", tmp_path / "m")
    out = tmp_path / "several.geojson"
    call("classify", "--model", tmp_path / "m", *scenes, "--probability", tmp_path / "p.tif",
         "-o", out)  # fmt: skip
    with rasterio.open(tmp_path / "p.tif") as dataset:
        assert np.isfinite(dataset.read()).all()
        assert dataset.tags()["date"] == "2023-08-03"
        assert dataset.tags()["scene"] == "s1_20230803_composite_of_3"
    few = ("patches", *scenes[:4], "--points", land.points, *preset, "-o", tmp_path / "q")
    leaves_nothing(tmp_path, InputError, "2 dates, but the model looks at 3", *few)
    one = ("classify", "--model", tmp_path / "m", "--scene", dates[0], "-o", tmp_path / "o.geojson")
    leaves_nothing(tmp_path, InputError, "1 dates, but the model looks at 3", *one)
    two = ("classify", "--model", model, *scenes[:4], "-o", tmp_path / "o.geojson")
    leaves_nothing(tmp_path, ConfigError, "looks at one image", *two)


def test_the_step_follows_the_size_of_the_patches(land, tmp_path):
    (tmp_path / "one.toml").write_text(QUICK.replace("epochs = 12", "epochs = 1"))
    scenes = [word for scene in land.scenes for word in ("--scene", scene)]
    made = tmp_path / "p"
    said = ("--radiometry", "sigma0")
    call("patches", *scenes, "--points", land.points, "--size", 52, *said, "-o", made)
    words = ("train", "--patches", made, "-o", tmp_path / "m", "--preset")
    leaves_nothing(tmp_path, ConfigError, "that the patches were cut with", *words, "curupira")
    call(*words, tmp_path / "one.toml")
    params = load_model(tmp_path / "m").params
    # Half a window, as the preset has it: the quarters of 520 m are 260 m, and lie side by side.
    assert (params.patches.size_px, params.classify.stride_px) == (52, 26)
    # sigma0 stays sigma0 until it is classified.
    look = ("classify", "--model", tmp_path / "m", "-o", tmp_path / "o.geojson", "--scene")
    message = "is gamma0, but the model was trained on sigma0"
    leaves_nothing(tmp_path, InputError, message, *look, land.scenes[0])
    call(*look, land.scenes[0], *said)


def test_a_stac_item_says_what_its_images_hold(land, tmp_path):
    assets = {b: Asset(str(land.scenes[0]), band=n) for n, b in enumerate(("vv", "vh"), 1)}
    when = datetime(2023, 1, 23, 9, tzinfo=UTC)
    area = project(land.grid.extent.geom, "EPSG:32721", "EPSG:4326")
    passed = OrbitState.DESCENDING
    scene = Scene("sigma", "sentinel-1a", when, when, 83, passed, area, assets)
    item = tmp_path / "sigma.json"
    made = scene_item(scene, land.grid, radiometry="sigma0", scale="db").to_dict()
    item.write_text(json.dumps(made))
    assert open_scene(str(item), "linear").radiometry == "sigma0"
    assert open_scene(str(land.scenes[0]), "db").radiometry == "gamma0"
    words = ("patches", "--points", land.points, "-o", tmp_path / "p", "--scene", item)
    mixed = ("--scene", land.scenes[1])
    leaves_nothing(tmp_path, InputError, "is gamma0, sigma is sigma0", *words, *mixed)
    made["properties"]["curupira:radiometry"] = "beta0"
    item.write_text(json.dumps(made))
    leaves_nothing(tmp_path, InputError, "holds 'beta0'", *words)


def leaves_nothing(folder, error, message, *words):
    before = sorted(p.name for p in folder.iterdir())
    with pytest.raises(error, match=message):
        call(*words)
    assert sorted(p.name for p in folder.iterdir()) == before


def test_patches_from_bad_input(land, tmp_path, write_scene):
    out, scene = tmp_path / "out", land.scenes[0]
    points = {
        "far": gpd.GeoDataFrame({"label": [1, 0]}, geometry=[Point(0, 0), Point(1, 1)], crs=4326),
        "bare": gpd.GeoDataFrame({"name": ["a"]}, geometry=[Point(-57, -6.3)], crs=4326),
        "one": gpd.GeoDataFrame({"label": [1]}, geometry=[Point(-57, -6.3)], crs=4326),
    }
    for name, frame in points.items():
        frame.to_file(tmp_path / f"{name}.gpkg")
    with rasterio.open(scene) as dataset:
        linear = (10 ** (dataset.read() / 10)).astype(np.float32)
        holes = dataset.read()
    holes[:, ::2] = np.nan
    power = write_scene(tmp_path / "power.tif", linear, land.grid)
    holed = write_scene(tmp_path / "holed.tif", holes, land.grid)

    def refused(error, message, scene, points):
        words = ("patches", "--scene", scene, "--points", points, "-o", out)
        leaves_nothing(tmp_path, error, message, *words)

    refused(InputError, "2 outside.*check the points' CRS", scene, tmp_path / "far.gpkg")
    refused(InputError, "without data.*images that have data", holed, land.points)
    refused(InputError, "no column label", scene, tmp_path / "bare.gpkg")
    refused(InputError, "two classes are needed", scene, tmp_path / "one.gpkg")
    refused(InputError, "this is linear power, not dB", power, land.points)
    refused(ConfigError, "no such file", tmp_path / "none.tif", land.points)
    refused(ConfigError, "no such file", scene, tmp_path / "none.gpkg")


def test_training_on_bad_patches(patches, tmp_path):
    def refused(message, change):
        folder = tmp_path / "patches"
        shutil.copytree(patches, folder)
        change(folder)
        leaves_nothing(
            tmp_path, InputError, message, "train", "--patches", folder, "-o", tmp_path / "m"
        )
        shutil.rmtree(folder)

    def rewrite(size=104, names=("vv", "vh", "pa"), fill=-10.0):
        def change(folder):
            path = next(folder.glob("*.tif"))
            with rasterio.open(path) as dataset:
                profile = dataset.profile
            profile.update(width=size, height=size, count=len(names))
            with rasterio.open(path, "w", **profile) as dataset:
                dataset.write(np.full((len(names), size, size), fill, np.float32))
                for number, name in enumerate(names, 1):
                    dataset.set_band_description(number, name)

        return change

    refused("52 x 52 pixels, not 104", rewrite(size=52))
    refused(r"has the bands \['vv', 'vh'\]", rewrite(names=("vv", "vh")))
    refused("100% of the patch is missing", rewrite(fill=np.nan))
    refused("file is missing", lambda f: next(f.glob("*.tif")).unlink())
    refused("no patches can be read", lambda f: (f / "patches.parquet").write_bytes(b"x"))

    def bare(folder):
        path = folder / "patches.parquet"
        gpd.read_parquet(path).drop(columns="label").to_parquet(path)

    def recipe(change):
        def rewritten(folder):
            path = folder / "patches.json"
            path.write_text(json.dumps(change(json.loads(path.read_text()))))

        return rewritten

    refused("no column label", bare)
    refused("does not say bands", recipe(lambda r: {k: v for k, v in r.items() if k != "bands"}))
    refused("does not say patches", recipe(lambda r: r | {"patches": [104]}))
    refused("patches of format None", recipe(lambda r: [r]))


def test_classifying_bad_input(land, model, tmp_path, write_scene):
    out = tmp_path / "o.geojson"
    with rasterio.open(land.scenes[0]) as dataset:
        bands = dataset.read()
    degrees = rasterio.Affine(1e-4, 0, -57, 0, -1e-4, -6)
    there = land.grid.__class__((900, 900), degrees, "EPSG:4326")
    geographic = write_scene(tmp_path / "geo.tif", bands, there)
    small = write_scene(tmp_path / "small.tif", bands[:, :90, :90], land.grid[:90, :90])
    single = write_scene(tmp_path / "single.tif", bands[:1], land.grid, ("VV",))

    def refused(error, message, scene, *more):
        words = ("classify", "--model", model, "--scene", scene, "-o", out, *more)
        leaves_nothing(tmp_path, error, message, *words)

    refused(InputError, "metres are needed", geographic)
    refused(InputError, "smaller than a window", small)
    refused(InputError, "one band, VV and VH are needed", single)
    refused(InputError, "no linear power", land.scenes[0], "--scale", "linear")
    refused(ConfigError, "leaves gaps", land.scenes[0], "--stride", 200)
    far = tmp_path / "far.gpkg"
    gpd.GeoDataFrame(geometry=[box(0, 0, 1, 1)], crs=4326).to_file(far)
    refused(InputError, "holds no window", land.scenes[0], "--aoi", far)
    card = json.loads((model / "model.json").read_text())
    shared = shutil.copytree(model, tmp_path / "shared")
    sections = card["preset_sections"]
    sections["classify"] = sections["classify"] | {"squares": "shared"}
    (shared / "model.json").write_text(json.dumps(card | {"preset_sections": sections}))
    odd = ("--model", shared, "--stride", 40)
    refused(ConfigError, "40 pixels does not divide half the window of 104", land.scenes[0], *odd)
    older = shutil.copytree(model, tmp_path / "older")
    (older / "model.json").write_text(json.dumps(card | {"format": 1}))
    refused(InputError, "a model of format 1", land.scenes[0], "--model", older)


def test_empty_reference_and_existing_output(mines, grid, tmp_path):
    empty = tmp_path / "empty.geojson"
    empty.write_text('{"type": "FeatureCollection", "features": []}')
    words = ("evaluate", "--detections", mines, "--reference")
    leaves_nothing(tmp_path, InputError, "empty", *words, empty, "-o", tmp_path / "e")
    call(*words, grid, "-o", tmp_path / "e")
    leaves_nothing(tmp_path, ConfigError, "is there already", *words, grid, "-o", tmp_path / "e")
    call(*words, grid, "-o", tmp_path / "e", "--force")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    with pytest.raises(ConfigError, match="holds other things"):
        call(*words, grid, "-o", tmp_path / "mine", "--force")
    assert (tmp_path / "mine" / "thesis.txt").is_file()


def test_nothing_found_is_a_result(land, model, grid, tmp_path):
    out = tmp_path / "none.geojson"
    words = ("classify", "--model", model, "--scene", land.scenes[0], "--threshold", 1)
    text = call(*words, "-o", out)
    assert "0 above the threshold, 0 squares" in text
    assert json.loads(out.read_text())["features"] == []
    for path in (out, out.with_suffix(".gpkg")):
        call(
            "evaluate", "--detections", path, "--reference", grid, "-o", tmp_path / path.suffix[1:]
        )
        found = json.loads((tmp_path / path.suffix[1:] / "metrics.json").read_text())
        assert found["tp"] == 0
        assert found["precision"]["value"] is None


def test_without_options_the_preset_decides():
    params = presets.load("unesp_2025", "mining")
    assert params.section("classify")["threshold"] == 0.8
    assert params.section("split")["split"] == "random"


def test_importing_curupira_needs_no_torch():
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import curupira, curupira.cli.mining, curupira.pipelines.mine\n"
        "import curupira.pipelines.mine_score, curupira.pipelines.mine_patches\n"
        "from curupira.errors import ConfigError\n"
        "try:\n    curupira.pipelines.mine.need_torch()\n"
        "except ConfigError as e:\n    print(e)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "pip install 'curupira[mining]'" in result.stdout


def test_paths_of_the_workplace_stay_out(model, patches):
    text = (model / "model.json").read_text() + (patches / "patches.json").read_text()
    assert str(Path(model).parent) not in text
    assert str(Path(patches).parent) not in text
