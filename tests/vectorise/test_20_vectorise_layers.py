"""The notebook call: layers to warning polygons."""

from datetime import date

import numpy as np
import odc.geo.xr
import pytest
import xarray as xr
from odc.geo.geobox import GeoBox

import curupira as cp
from curupira import presets
from curupira.errors import InputError
from curupira.units import geodesic_area_ha
from curupira.vectorise.params import VectoriseParams

GRID = GeoBox.from_bbox((300_000, 9_400_000, 301_000, 9_401_200), crs="EPSG:32721", resolution=20)


def layers(*, distance=True):
    n_alerts = np.zeros(GRID.shape, np.uint8)
    n_alerts[5:12, 5:15] = 3
    n_alerts[30:40, 20:30] = 1
    n_alerts[50:] = 255
    first = np.full(GRID.shape, "NaT", "datetime64[ns]")
    first[5:12, 5:15] = np.datetime64("2024-05-20", "ns")
    first[30:40, 20:30] = np.datetime64("2024-06-01", "ns")
    excess = np.where(n_alerts == 3, 1.5, 0.3).astype(np.float32)
    planes = {
        "n_alerts": n_alerts,
        "first_flag": first,
        "excess_db": excess,
        "threshold_db": np.full(GRID.shape, 2.5, np.float32),
        "confidence": np.where(n_alerts == 3, 0.9, 0.4).astype(np.float32),
    }
    if distance:
        planes["distance_m"] = np.full(GRID.shape, 140, np.float32)
    return xr.Dataset(
        {name: (("y", "x"), plane) for name, plane in planes.items()},
        coords=odc.geo.xr.xr_coords(GRID),
    )


def as_rioxarray(ds):
    bare = ds.drop_vars("spatial_ref")
    return bare.assign_coords(spatial_ref=xr.DataArray(0, attrs={"crs_wkt": GRID.crs.to_wkt()}))


def as_attrs(ds):
    bare = ds.drop_vars("spatial_ref")
    for name in ("x", "y"):
        bare[name].attrs.clear()
    return bare.assign_attrs(crs="EPSG:32721")


@pytest.mark.parametrize("form", [lambda ds: ds, as_rioxarray, as_attrs])
def test_polygons_carry_the_contract(form):
    found = cp.vectorise.polygons(form(layers()), preset="deter_r")
    assert found.crs == "EPSG:4674"
    assert found.geometry.geom_type.tolist() == ["MultiPolygon"] * 2
    assert found["status"].tolist() == ["confirmed", "preliminary"]
    assert found["intensity_class"].tolist() == ["high_intensity", "low_intensity"]
    assert found["first_flag_date"].tolist() == [date(2024, 5, 20), date(2024, 6, 1)]
    assert found["first_flag_days"].tolist() == [1601, 1613]
    assert found["n_alerts"].tolist() == [3, 1]
    assert found["intensity"].tolist() == pytest.approx([15, 3], abs=1e-5)
    assert found["distance_to_deforestation_m"].tolist() == [140, 140]
    assert found["confidence"].tolist() == pytest.approx([0.9, 0.4])
    np.testing.assert_allclose(
        [geodesic_area_ha(g) for g in found.geometry], found["area_geodesic_ha"], rtol=1e-9
    )
    # 70 and 100 pixels of 400 m2, within the scale of UTM and the polyconic bias.
    np.testing.assert_allclose(found["area_ha"], [2.8, 4.0], rtol=0.01)
    centre = found.to_crs(32721).geometry[0].centroid
    assert (centre.x, centre.y) == (pytest.approx(300_200, abs=1e-3), pytest.approx(9_401_030))


def test_without_distance_there_is_no_such_field():
    found = cp.vectorise.polygons(layers(distance=False))
    assert "distance_to_deforestation_m" not in found
    assert len(found) == 2


def test_nothing_flagged_gives_the_same_columns():
    empty = layers()
    empty["n_alerts"][:] = 0
    found = cp.vectorise.polygons(empty)
    assert len(found) == 0
    assert found.crs == "EPSG:4674"
    assert list(found.columns) == list(cp.vectorise.polygons(layers()).columns)


def test_preset_object_changes_the_minimum_area():
    strict = presets.load("deter_r").replace(minimum_area_ha=3.5)
    assert len(cp.vectorise.polygons(layers(), preset=strict)) == 1


@pytest.mark.parametrize("name", presets.names())
def test_shipped_presets_are_valid(name):
    params = VectoriseParams.from_preset(presets.load(name))
    assert params.polygon.minimum_area_ha > 0


def test_bad_layers_are_refused():
    bare = as_attrs(layers())
    del bare.attrs["crs"]
    with pytest.raises(InputError, match="no coordinate reference system"):
        cp.vectorise.polygons(bare)
    with pytest.raises(InputError, match="'confidence' is missing"):
        cp.vectorise.polygons(layers().drop_vars("confidence"))
    undated = layers()
    undated["first_flag"][6, 6] = np.datetime64("NaT", "ns")
    with pytest.raises(InputError, match="no first flagged date"):
        cp.vectorise.polygons(undated)
    uneven = layers()
    uneven = uneven.assign_coords(x=np.append(uneven["x"].to_numpy()[:-1], 400_000.0))
    with pytest.raises(InputError, match="evenly spaced"):
        cp.vectorise.polygons(as_attrs(uneven))
    with pytest.raises(InputError, match="dimensions"):
        cp.vectorise.polygons(layers().expand_dims("time"))
