"""`curupira compare` on a simulated district, against files as other systems write them."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.features import rasterize
from typer.testing import CliRunner

from curupira.cli.main import app
from curupira.config import Workspace
from curupira.deliver import export
from curupira.errors import ConfigError, InputError
from curupira.pipelines.compare import Options, OurDay, measure
from curupira.store import Store
from curupira.store import warning as warnings


@pytest.fixture(scope="module")
def workspace(district: Path) -> Workspace:
    return Workspace.open(district)


@pytest.fixture(scope="module")
def ours(workspace: Workspace) -> gpd.GeoDataFrame:
    with (
        Store.open(workspace.monitor.store.url, base=workspace.folder, create=False) as store,
        store.reading() as session,
    ):
        rows = [r for r in warnings.query(session) if r.closed_reason is None]
        return warnings.to_geodataframe(rows)


def later(frame: gpd.GeoDataFrame, days: int) -> gpd.GeoDataFrame:
    moved = frame.copy()
    moved["first_flag_date"] = moved["first_flag_date"] + np.timedelta64(days, "D")
    moved["first_flag_days"] = moved["first_flag_days"] + days
    moved["issued_at"] = moved["issued_at"] + np.timedelta64(days, "D")
    moved["confirmed_at"] = moved["confirmed_at"] + np.timedelta64(days, "D")
    return moved


WIDE = {"since": date(2014, 1, 1), "until": date(2100, 1, 1), "day": OurDay.FIRST_FLAG}


@pytest.mark.parametrize(
    ("name", "suffix"), [("deter", ".zip"), ("deter_r", ".geojson"), ("deter_rt", ".zip")]
)
def test_ourselves_a_week_later_are_matched_and_behind(tmp_path, workspace, ours, name, suffix):
    path = tmp_path / f"theirs{suffix}"
    export(later(ours, 7), path, name)
    found = measure(workspace, path, Options(**WIDE))
    assert found.theirs.total == len(ours)
    assert found.theirs.only == 0
    assert found.lead.first >= len(ours)
    assert found.lead.lead_days.value == 7
    # Each meets itself, in its own class; neighbours of another class may meet as well.
    kinds = {kind for pair in found.classes for kind in pair}
    assert kinds <= {"deforestation", "degradation", "mining"}
    assert all(found.classes.get((kind, kind), 0) >= 1 for kind in kinds)
    assert sum(found.classes.get((kind, kind), 0) for kind in kinds) >= len(ours)


def encoded(ours: gpd.GeoDataFrame, workspace: Workspace, code: str) -> tuple[np.ndarray, object]:
    grid = workspace.grid
    shapes = ours.to_crs(str(grid.crs)).geometry
    days = [(d.date() + timedelta(days=30)) for d in ours["first_flag_date"].dt.to_pydatetime()]
    values = {
        "gfw": [30_000 + (d - date(2014, 12, 31)).days for d in days],
        "radd": [(d.year - 2000) * 1000 + d.timetuple().tm_yday for d in days],
    }[code]
    burnt = rasterize(
        zip(shapes, values, strict=True),
        out_shape=tuple(grid.shape),
        transform=grid.transform,
        dtype="int32",
    )
    return burnt, grid


@pytest.mark.parametrize("code", ["gfw", "radd"])
def test_a_date_coded_raster(tmp_path, workspace, ours, code):
    burnt, grid = encoded(ours, workspace, code)
    bands = [burnt] if code == "gfw" else [np.where(burnt > 0, 3, 0), burnt]
    path = tmp_path / "alerts.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=grid.shape.x,
        height=grid.shape.y,
        count=len(bands),
        dtype="int32",
        crs=str(grid.crs),
        transform=grid.transform,
    ) as sink:
        for n, band in enumerate(bands, start=1):
            sink.write(band.astype("int32"), n)
    found = measure(workspace, path, Options(**WIDE))
    assert found.theirs.only == 0
    assert found.theirs.total_ha == pytest.approx(float((burnt > 0).sum()) * 0.04)
    assert found.lead.first >= 0.9 * len(ours)
    assert 25 <= found.lead.lead_days.value <= 35
    with pytest.raises(InputError, match="is no day in the code"):
        measure(workspace, path, Options(code="yydoy" if code == "gfw" else "gfw", **WIDE))


def test_command_writes_json_and_page(tmp_path, district, ours):
    reference = tmp_path / "theirs.geojson"
    export(later(ours, 3), reference, "deter_r")
    numbers, page = tmp_path / "n.json", tmp_path / "p.html"
    done = CliRunner().invoke(
        app,
        [
            *("compare", "-w", str(district), "--reference", str(reference)),
            *("--day", "first_flag", "--json", str(numbers), "-o", str(page)),
        ],
    )
    assert done.exit_code == 0, done.output
    found = json.loads(numbers.read_text())
    assert {"ours", "theirs", "lead", "lead_november_march", "classes", "months"} <= set(found)
    assert set(found["lead"]["first_or_only"]) == {"value", "low", "high", "n"}
    assert "only ours" in page.read_text()
    assert "first or only ours" in done.output


def test_no_day_in_common_is_said(tmp_path, district, ours):
    reference = tmp_path / "theirs.geojson"
    export(later(ours, -3000), reference, "deter_r")
    call = ["compare", "-w", str(district), "--reference", str(reference)]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    assert done.output.strip() == (
        "ours and theirs share no day: name the days with --since and --until"
    )
    wide = CliRunner().invoke(app, [*call, "--since", "2014-01-01", "--until", "2014-01-02"])
    assert "median lead nothing to count" in wide.output
    wrong = CliRunner().invoke(app, [*call, "--since", "2023-01-02", "--until", "2023-01-01"])
    assert isinstance(wrong.exception, ConfigError)
    assert "--since: 2023-01-02 is after 2023-01-01" in str(wrong.exception)


def test_what_cannot_be_compared_is_named(tmp_path, workspace, ours):
    with pytest.raises(ConfigError, match="no such file"):
        measure(workspace, tmp_path / "none.gpkg")
    path = tmp_path / "bare.gpkg"
    ours[["warning_id", "geometry"]].to_file(path)
    with pytest.raises(ConfigError, match="--date-field"):
        measure(workspace, path)
    path = tmp_path / "empty.geojson"
    path.write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(InputError, match="holds no alert"):
        measure(workspace, path)
