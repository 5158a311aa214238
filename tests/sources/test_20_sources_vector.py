"""Vector files with one layer, with several, and with none to draw."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio
import pytest
import shapely

from curupira.errors import ConfigError, InputError
from curupira.sources.alerts import read_alerts
from curupira.sources.vector import read_area, read_vector

BOX = shapely.box(-55.0, -4.0, -54.9, -3.9)


def layered(path: Path, *names: str) -> Path:
    """A GeoPackage with layers of one box each, named in ``name``, and a table without geometry."""
    for name in names:
        frame = gpd.GeoDataFrame(
            {"name": [name], "view_date": ["2024-06-01"]}, geometry=[BOX], crs="EPSG:4326"
        )
        frame.to_file(path, layer=name, driver="GPKG")
    table = pd.DataFrame({"name": ["none"]})
    pyogrio.write_dataframe(table, path, layer="table", driver="GPKG", append=True)
    return path


def test_a_table_beside_the_only_layer_with_geometries_is_passed_over(tmp_path: Path) -> None:
    path = layered(tmp_path / "one.gpkg", "farms")
    assert list(read_vector(path)["name"]) == ["farms"]
    assert list(read_alerts(path, "EPSG:32721", BOX)["kind"]) == ["unknown"]
    with pytest.raises(InputError, match="no geometry"):
        read_vector(tmp_path / "one.gpkg|table")


def test_of_several_layers_one_is_named(tmp_path: Path) -> None:
    path = layered(tmp_path / "two.gpkg", "farms", "rivers")
    with pytest.raises(ConfigError, match=r"several layers .there are: farms, rivers.*LAYER"):
        read_vector(path)
    with pytest.raises(ConfigError, match="no layer 'roads'"):
        read_vector(tmp_path / "two.gpkg|roads")
    assert list(read_vector(tmp_path / "two.gpkg|rivers")["name"]) == ["rivers"]
    assert len(read_area(tmp_path / "two.gpkg|rivers")) == 1
    assert len(read_alerts(tmp_path / "two.gpkg|rivers", "EPSG:32721", BOX)) == 1
