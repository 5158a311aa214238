"""`curupira calibrate` on the simulated district, and its distance law on dated layers."""

import json
from datetime import UTC, datetime

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from shapely.geometry import box
from typer.testing import CliRunner

from curupira.cli.main import app
from curupira.config import Workspace
from curupira.errors import ConfigError, InputError
from curupira.pipelines.calibrate import CalibrateOptions, calibrate, write_picture
from curupira.sources.history import distances_to_earlier, read_dated

NOW = datetime(2024, 1, 1, tzinfo=UTC)
OPTIONS = CalibrateOptions(far_m=200.0, sample=60)


@pytest.fixture(scope="module")
def found(district):
    return calibrate(Workspace.open(district), OPTIONS, now=NOW)


def test_clutter_is_physical(found):
    # Filtered forest: its minimum lies below its mean by more than speckle's leftover of about a
    # tenth of a dB and, rain included, by less than the fall of a clearing to bare ground.
    assert 0.3 < found.clutter.mean_db < 6
    assert 0 < found.clutter.sd_db < found.clutter.mean_db
    assert 10 < found.pixels <= 60
    assert found.images > 30


def test_observed_rate_falls_with_t(found):
    observed = [rate.observed for rate in found.rates]
    assert observed == sorted(observed, reverse=True)
    assert found.rates[3].t == 2.5
    assert found.rates[3].nominal == pytest.approx(0.0062, abs=1e-4)


def test_shorter_runs_have_smaller_clutter(district, found):
    short = calibrate(
        Workspace.open(district), CalibrateOptions(images=5, far_m=200.0, sample=60), now=NOW
    )
    assert short.clutter.images == 5
    assert short.clutter.mean_db < found.clutter.mean_db
    assert short.clutter.n > found.clutter.n


def test_nothing_far_enough_is_an_error(district):
    with pytest.raises(InputError, match="far-m"):
        calibrate(Workspace.open(district), CalibrateOptions(far_m=1e6), now=NOW)


def test_command_writes_numbers_and_figure_and_changes_nothing(district, tmp_path):
    watched = (district / "monitor.toml", district / "masks" / "masks.json")
    before = {path: path.stat().st_mtime_ns for path in watched}
    numbers, page = tmp_path / "c.json", tmp_path / "c.html"
    result = CliRunner().invoke(
        app,
        ["calibrate", "-w", str(district), "--far-m", "200", "--sample", "30", "--json",
         str(numbers), "-o", str(page)],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "override = { clutter_mean_db" in result.output
    document = json.loads(numbers.read_text())
    assert document["override"]["clutter_mean_db"] == round(document["clutter"]["mean_db"], 3)
    assert "data:image/png" in page.read_text()
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_figure_is_png_or_html(found, tmp_path):
    write_picture(found, tmp_path / "new" / "f.png")
    assert (tmp_path / "new" / "f.png").read_bytes().startswith(b"\x89PNG")
    write_picture(found, tmp_path / "newer" / "f.html")
    assert [p.name for p in (tmp_path / "newer").iterdir()] == ["f.html"]
    assert "simulated images, no satellite data" in (tmp_path / "newer" / "f.html").read_text()
    with pytest.raises(ConfigError, match="neither"):
        write_picture(found, tmp_path / "f.pdf")
    # Before anything is measured: there is no such workspace.
    words = ["calibrate", "-w", str(tmp_path / "none"), "-o", str(tmp_path / "f.pdf")]
    refused = CliRunner().invoke(app, words).exception
    assert isinstance(refused, ConfigError)
    assert "neither" in str(refused)


def test_sensors_are_never_mixed_in_one_series(builder, tmp_path):
    """The number of a relative orbit is a sensor's own."""
    other = builder.series(11, platform="nisar", at=builder.time(21, 0))
    world = builder.World(tmp_path / "images", [])
    workspace = world.workspace(tmp_path / "ws", builder.series(12) + other)
    builder.play(workspace)
    assert calibrate(workspace, OPTIONS, now=NOW).images == 12


def squares(corners, years):
    return gpd.GeoDataFrame(
        {"year": years}, geometry=[box(x, 0, x + 100, 100) for x in corners], crs="EPSG:32721"
    )


def test_distances_look_only_at_earlier_years(tmp_path):
    # 2019 at 0..100; 2020 at 300..400 and, nearer but of the same year, 1000..1100; 2021 at 1200.
    squares([0, 300, 1000, 1200], [2019, 2020, 2020, 2021]).to_file(tmp_path / "d.gpkg")
    shapes, years = read_dated(["d.gpkg"], "year", base=tmp_path, crs="EPSG:32721")
    # From the middle of a square: 250 and 950 to the square of 2019, 150 to that of 2020.
    np.testing.assert_allclose(distances_to_earlier(shapes, years), [250, 950, 150])


def test_one_year_has_no_earlier_one():
    frame = squares([0, 300], [2020, 2020])
    assert distances_to_earlier(frame.geometry.to_numpy(), frame["year"].to_numpy()).size == 0


def test_dated_layers_by_text_dates_and_errors(tmp_path):
    frame = squares([0, 300], [2019, 2020])
    frame["date"], frame["odd"] = ["2019-12-31", "2020-01-01"], ["2019-12-31", "soon"]
    frame.to_file(tmp_path / "d.gpkg")
    _, years = read_dated(["d.gpkg"], "date", base=tmp_path, crs="EPSG:32721")
    assert years.tolist() == [2019, 2020]
    with pytest.raises(InputError, match="soon"):
        read_dated(["d.gpkg"], "odd", base=tmp_path, crs="EPSG:32721")
    with pytest.raises(ConfigError, match="no column"):
        read_dated(["d.gpkg"], "none", base=tmp_path, crs="EPSG:32721")


def test_dated_layer_gives_the_law(district, tmp_path):
    rng = np.random.default_rng(3)
    old = squares([0], [2015])
    far = 10 ** rng.logistic(2.4, 0.3, 400).clip(1, 5)
    new = gpd.GeoDataFrame(
        {"year": 2016},
        geometry=[box(-d - 2, 50, -d, 52) for d in far],
        index=range(1, 401),
        crs="EPSG:32721",
    )
    gpd.GeoDataFrame(pd.concat([old, new]), crs="EPSG:32721").to_file(tmp_path / "d.gpkg")
    opened = Workspace.open(district)
    masks = opened.monitor.masks.model_copy(
        update={"deforestation": (str(tmp_path / "d.gpkg"),), "deforestation_date_field": "year"}
    )
    dated = Workspace(district, opened.monitor.model_copy(update={"masks": masks}))
    law = calibrate(dated, OPTIONS, now=NOW).law
    assert law is not None
    assert law.mu == pytest.approx(2.4, abs=0.06)
    assert law.s == pytest.approx(0.3, abs=0.04)
