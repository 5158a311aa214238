"""A written district holds what ``method.md`` 4A promises: read back from its files."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pystac
import pytest
import rasterio

from curupira.errors import ConfigError
from curupira.grid import make_grid
from curupira.pipelines.simulate import SimulatedWorkspace, simulate_workspace
from curupira.stac import item_scene


@dataclass
class Written:
    workspace: SimulatedWorkspace
    events: gpd.GeoDataFrame
    acquisitions: pd.DataFrame
    event_raster: np.ndarray
    cover: np.ndarray

    def monitored(self) -> gpd.GeoDataFrame:
        since = self.workspace.monitor_since.isoformat()
        return self.events[(self.events.start_date >= since) & (self.events.kind != "mine")]

    def scene(self, scene_id: str, band: str = "vh") -> np.ndarray:
        folder = self.workspace.folder / "catalog" / "scenes" / scene_id
        with rasterio.open(folder / f"{band}.tif") as source:
            return source.read(1)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("district") / "w"
    workspace = simulate_workspace(folder, size_km=5, years=4, seed=11)
    with rasterio.open(folder / "truth" / "event.tif") as source:
        raster = source.read(1)
    with rasterio.open(folder / "truth" / "cover.tif") as source:
        cover = source.read(1)
        names = dict(pair.split("=") for pair in source.tags()["classes"].split(","))
    forest = next(int(code) for code, name in names.items() if name == "forest")
    return Written(
        workspace,
        gpd.read_file(folder / "truth.gpkg", layer="event"),
        gpd.read_file(folder / "truth.gpkg", layer="acquisition"),
        raster,
        cover == forest,
    )


def test_dates_follow_the_rules(written: Written) -> None:
    w = written.workspace
    assert str(w.first) == "2020-01-05"
    assert w.monitor_since == pd.Timestamp(w.last).replace(year=w.last.year - 1).date()
    assert 110 <= w.scenes <= 122
    first, last = written.events.start_date.min(), written.events.start_date.max()
    assert w.first.isoformat() <= first < w.monitor_since.isoformat() < last <= w.last.isoformat()


def test_events_keep_to_the_default_world(written: Written) -> None:
    w = written.workspace
    events = written.monitored()
    assert len(events) == pytest.approx(1.6 * 25, abs=2)
    assert (events.area_ha < 0.5).mean() == pytest.approx(0.43, abs=0.05)
    assert events.distance_m.median() == pytest.approx(255, rel=0.15)
    assert (events.stays_bright_days >= 30).mean() >= 0.25
    assert 3 <= events.drop_vh_db.median() <= 5
    limit = (pd.Timestamp(w.last) - pd.Timedelta(days=24)).date().isoformat()
    early = events.visible_date.notna() & (events.visible_date.fillna("9") <= limit)
    assert (early & (events.area_ha >= 1.5)).sum() >= 10


def test_truth_geometry_agrees_with_its_attributes(written: Written) -> None:
    events = written.events.to_crs(written.workspace.crs)
    np.testing.assert_allclose(events.area / 1e4, events.area_ha, rtol=1e-3)
    pixels = np.bincount(written.event_raster.ravel(), minlength=len(events) + 1)[1:]
    large = (events.area_ha > 1).to_numpy()
    np.testing.assert_allclose(pixels[large] / 100, events.area_ha[large], rtol=0.08)
    sparse = events.geometry.sindex.query(events.geometry, predicate="overlaps")
    assert sparse.shape[1] == 0
    visible = events.dropna(subset="visible_date")
    assert (visible.visible_date >= visible.start_date).all()
    assert (events.dark_date.isna() | (events.dark_date >= events.start_date)).all()
    assert events[events.kind == "degradation"].dark_date.isna().all()
    clearings = events[(events.kind == "clearing") & ~events.outside_mask]
    assert 0.7 < clearings.dark_date.notna().mean() < 1


def test_rain_reaches_enough_images_and_darkens_them(written: Written) -> None:
    acquisitions = written.acquisitions
    assert (acquisitions.rain_share > 0).mean() >= 0.05
    partly = acquisitions.rain_share.where(acquisitions.rain_share < 0.7)
    wettest = acquisitions.loc[partly.idxmax()]
    mask_path = written.workspace.folder / "truth" / f"rain_{wettest.scene_id}.tif"
    with rasterio.open(mask_path) as source:
        mask = np.kron(source.read(1) > 0, np.ones((5, 5), dtype=bool))
    dry = acquisitions.scene_id[acquisitions.rain_share == 0].tolist()[:12]

    def contrast(scene_id: str) -> float:
        image = written.scene(scene_id)
        return image[mask & written.cover].mean() / image[~mask & written.cover].mean()

    # More than half a dB lost under the cell, against the other forest of the same image.
    assert contrast(wettest.scene_id) < 0.92 * np.mean([contrast(s) for s in dry])


def test_images_show_forest_and_its_clearing(written: Written) -> None:
    events = written.events
    dry = written.acquisitions[written.acquisitions.rain_share == 0]
    forest = written.cover & (written.event_raster == 0)
    seen = events[events.visible_date.notna() & (events.area_ha > 1) & ~events.outside_mask]
    drops = []
    for row in seen.itertuples():
        at = dry[dry.date == row.visible_date]
        if at.empty:
            continue
        image = written.scene(at.scene_id.iloc[0])
        inside = image[written.event_raster == row.event_id]
        drops.append(-10 * np.log10(inside.mean() / image[forest].mean()))
    assert len(drops) >= 5
    # By definition 2 dB or more, but for forest types (0.3 dB), moisture and speckle.
    assert min(drops) > 1.0
    assert 2 < np.median(drops) < 6
    levels = [10 * np.log10(written.scene(s)[forest].mean()) for s in dry.scene_id[:20]]
    assert -14.5 < np.mean(levels) < -11
    assert 0.1 < np.std(levels) < 1.0


def test_vv_exceeds_vh_over_forest(written: Written) -> None:
    scene_id = written.acquisitions.scene_id[3]
    ratio = (
        written.scene(scene_id, "vv")[written.cover].mean()
        / written.scene(scene_id)[written.cover].mean()
    )
    assert 5 < 10 * np.log10(ratio) < 8


def test_catalogue_reads_back_as_scenes(written: Written) -> None:
    w = written.workspace
    catalogue = pystac.Catalog.from_file(str(w.folder / w.catalogue))
    scenes = [item_scene(i, {"vh": "vh", "vv": "vv"}) for i in catalogue.get_items()]
    assert len(scenes) == w.scenes
    assert {(s.created - s.acquired).days for s in scenes} == {1}
    assert {s.relative_orbit for s in scenes} == set(w.relative_orbits)


def test_area_gives_exactly_the_district_at_20_m(written: Written) -> None:
    area = gpd.read_file(written.workspace.folder / "area.geojson").union_all()
    grid = make_grid(area, 20)
    with rasterio.open(written.workspace.folder / "truth" / "event.tif") as source:
        assert tuple(grid.extent.boundingbox) == pytest.approx(tuple(source.bounds))
        assert str(grid.crs) == written.workspace.crs == source.crs.to_string()


def test_masks_cover_old_clearings(written: Written) -> None:
    w = written.workspace
    lots = gpd.read_file(w.folder / w.masks["deforestation"])
    assert lots.crs.to_epsg() == 4674
    assert (lots.date < w.monitor_since.isoformat()).all()
    share = lots.to_crs(w.crs).area.sum() / 25e6
    assert 0.05 < share < 0.3
    # What was cleared before the map's last update is in it, what came later is not.
    past = written.events[written.events.start_date < w.monitor_since.isoformat()]
    assert set(past.start_date[past.in_map]) <= set(lots.date)
    assert past.start_date[past.in_map].max() < "2022-08-01"
    assert past.start_date[~past.in_map].min() >= "2022-08-01"


def fingerprint(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.tif"))
    }


def test_same_seed_gives_same_files_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        simulate_workspace(tmp_path / name, size_km=1.5, years=2.5, revisit_days=24, seed=seed)
    a, b, c = (fingerprint(tmp_path / name) for name in "abc")
    assert a == b
    same = [path for path in set(a) & set(c) if a[path] == c[path]]
    assert same == []


def test_sigma0_is_gamma0_by_the_cosine_of_the_local_incidence(tmp_path: Path) -> None:
    options = {"size_km": 1.5, "years": 2.5, "revisit_days": 24, "seed": 3}
    simulate_workspace(tmp_path / "gamma0", **options)
    simulate_workspace(tmp_path / "sigma0", **options, radiometry="sigma0")
    names = {p.name: p for p in (tmp_path / "sigma0").rglob("*_R*.tif") if "rain" not in p.name}
    angles = {}
    for name, path in names.items():
        with rasterio.open(path) as source:
            angles[name.split("_")[0]] = source.read(1)
    assert set(angles) == {"lia", "angle"}
    assert np.ptp(angles["angle"]) == 0
    assert np.abs(angles["lia"] - angles["angle"]).mean() < 5
    for path in sorted((tmp_path / "gamma0" / "catalog").rglob("v?.tif"))[:4]:
        with (
            rasterio.open(path) as a,
            rasterio.open(tmp_path / "sigma0" / path.relative_to(tmp_path / "gamma0")) as b,
        ):
            expected = a.read(1) * np.cos(np.radians(angles["lia"]))
            np.testing.assert_allclose(b.read(1), expected, rtol=3e-4)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"years": 2}, "--years"),
        ({"size_km": 0.2}, "--size-km"),
        ({"revisit_days": 0}, "--revisit-days"),
        ({"seed": -1}, "--seed"),
        ({"scenario": "sunny"}, "sunny"),
    ],
)
def test_bad_arguments_are_named(tmp_path: Path, options: dict, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        simulate_workspace(tmp_path / "w", **({"size_km": 1.5} | options))
    assert not (tmp_path / "w").exists()


def test_a_used_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(ConfigError, match="not an empty folder"):
        simulate_workspace(tmp_path, size_km=1.5)
    assert (tmp_path / "mine.txt").read_text() == "kept"
