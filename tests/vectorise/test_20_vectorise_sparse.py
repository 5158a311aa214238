"""Morphology, components and outlines against dense references."""

import numpy as np
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from curupira.vectorise.components import drop_small, label
from curupira.vectorise.morphology import key_stride, opening_closing
from curupira.vectorise.outlines import outlines

masks = st.tuples(st.integers(1, 14), st.integers(1, 14)).flatmap(
    lambda shape: arrays(bool, shape, elements=st.booleans(), fill=st.just(True))
)
UTM = Affine(20, 0, 500_000, 0, -20, 9_400_000)


def to_keys(mask, stride):
    row, col = np.nonzero(mask)
    return row * stride + col


def to_mask(keys, stride, shape):
    mask = np.zeros(shape, bool)
    mask[keys // stride, keys % stride] = True
    return mask


def disc(radius):
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return y * y + x * x <= radius * radius


def dense_opening_closing(mask, opening, closing):
    # A wide empty frame stands for the unbounded plane.
    frame = 2 * (opening + closing) + 1
    wide = np.pad(mask, frame)
    square = np.ones((2 * opening + 1, 2 * opening + 1), bool)
    wide = ndimage.binary_dilation(ndimage.binary_erosion(wide, square), square)
    wide = ndimage.binary_erosion(ndimage.binary_dilation(wide, disc(closing)), disc(closing))
    inner = wide[frame:-frame, frame:-frame]
    assert inner.sum() == wide.sum()
    return inner


def noisy_blobs(seed, shape=(60, 70), level=0.0):
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.2)
    return field > level


def run(mask, opening, closing):
    stride = key_stride(mask.shape[1], max(opening, closing))
    keys = opening_closing(
        to_keys(mask, stride), stride, opening_radius=opening, closing_radius=closing
    )
    return to_mask(keys, stride, mask.shape)


@settings(max_examples=60, deadline=None)
@given(masks, st.integers(0, 2), st.integers(0, 4))
def test_morphology_equals_dense_reference(mask, opening, closing):
    np.testing.assert_array_equal(
        run(mask, opening, closing), dense_opening_closing(mask, opening, closing)
    )


@pytest.mark.parametrize("level", [-0.3, -0.1, 0.05])
@pytest.mark.parametrize(("opening", "closing"), [(1, 1), (1, 3), (0, 3), (2, 0), (1, 10)])
def test_morphology_equals_dense_reference_on_blobs(opening, closing, level):
    mask = noisy_blobs(7, level=level)
    found = run(mask, opening, closing)
    assert found.any()
    np.testing.assert_array_equal(found, dense_opening_closing(mask, opening, closing))


def test_opening_takes_beyond_the_border_as_not_flagged():
    mask = np.zeros((10, 10), bool)
    mask[0:2, 0:8] = True
    assert not run(mask, 1, 1).any()
    mask[2, 0:8] = True
    np.testing.assert_array_equal(run(mask, 1, 0), mask)


def test_closing_removes_nothing_at_the_border_and_fills_gaps():
    mask = np.zeros((6, 9), bool)
    mask[0:3] = True
    mask[0, 4] = False
    closed = run(mask, 0, 1)
    np.testing.assert_array_equal(closed[0:3], [[1, 1, 1, 1, 0, 1, 1, 1, 1], [1] * 9, [1] * 9])
    # Inside, the same notch of one pixel is filled once it is a hole.
    mask[:] = False
    mask[1:6] = True
    mask[3, 4] = False
    assert run(mask, 0, 1)[3, 4]


def test_closing_with_the_cross_not_the_square():
    mask = np.zeros((7, 7), bool)
    mask[1:6, 1:6] = True
    mask[3:5, 3:5] = False  # the cross cannot bridge a 2 x 2 hole, the 3 x 3 square can
    np.testing.assert_array_equal(run(mask, 0, 1)[3:5, 3:5].sum(), 4)


@settings(max_examples=60, deadline=None)
@given(masks, st.sampled_from([4, 8]))
def test_labels_equal_dense_reference(mask, connectivity):
    stride = key_stride(mask.shape[1], 1)
    found = label(to_keys(mask, stride), stride, connectivity)
    structure = ndimage.generate_binary_structure(2, 1 if connectivity == 4 else 2)
    expected, count = ndimage.label(mask, structure)
    assert found.size == 0 or found.max() + 1 == count
    # Scipy numbers components in raster order, too.
    np.testing.assert_array_equal(found + 1, expected[mask])


def test_25_pixels_dropped_26_kept():
    mask = np.zeros((20, 40), bool)
    mask[2:7, 2:7] = True
    mask[2:7, 12:17] = True
    mask[7, 12] = True
    mask[10, :] = True
    keys = to_keys(mask, 50)
    kept, labels = drop_small(keys, label(keys, 50, 4), 25)
    assert np.bincount(labels).tolist() == [26, 40]
    assert to_mask(kept, 50, mask.shape)[2:7, 2:7].sum() == 0


def reference_outline(component):
    shapes = rasterio.features.shapes(component.astype(np.uint8), component, 4, UTM)
    return shapely.union_all([shapely.geometry.shape(g) for g, _ in shapes])


@settings(max_examples=80, deadline=None)
@given(masks.filter(np.any), st.sampled_from([4, 8]))
def test_outlines_equal_gdal_and_lie_on_the_lattice(mask, connectivity):
    stride = key_stride(mask.shape[1], 1)
    keys = to_keys(mask, stride)
    labels = label(keys, stride, connectivity)
    found = outlines(keys, labels, stride, UTM)
    assert shapely.is_valid(found).all()
    assert len(found) == labels.max() + 1
    for number, geometry in enumerate(found):
        component = to_mask(keys[labels == number], stride, mask.shape)
        assert geometry.equals(reference_outline(component))
        assert geometry.area == 400 * component.sum()
        if connectivity == 4:
            assert geometry.geom_type == "Polygon"
            assert geometry.exterior.is_ccw
            assert not any(hole.is_ccw for hole in geometry.interiors)
        xy = shapely.get_coordinates(geometry)
        np.testing.assert_array_equal((xy - [500_000, 9_400_000]) % 20, 0)


def test_outline_has_no_needless_vertex():
    mask = np.zeros((30, 30), bool)
    mask[5:25, 5:25] = True
    mask[10:15, 10:20] = False
    keys = to_keys(mask, 40)
    (square,) = outlines(keys, label(keys, 40, 4), 40, UTM)
    assert len(square.exterior.coords) == 5
    assert [len(hole.coords) for hole in square.interiors] == [5]


def test_holes_that_meet_in_a_corner_are_two_rings():
    mask = np.ones((4, 4), bool)
    mask[1, 1] = mask[2, 2] = False
    keys = to_keys(mask, 10)
    (found,) = outlines(keys, label(keys, 10, 4), 10, UTM)
    assert found.is_valid
    assert len(found.interiors) == 2


def test_corner_contact_is_one_multipolygon_by_8_and_two_polygons_by_4():
    mask = np.zeros((6, 6), bool)
    mask[0:3, 0:3] = mask[3:6, 3:6] = True
    keys = to_keys(mask, 10)
    (both,) = outlines(keys, label(keys, 10, 8), 10, UTM)
    assert both.geom_type == "MultiPolygon"
    assert both.is_valid
    assert both.area == 18 * 400
    assert len(outlines(keys, label(keys, 10, 4), 10, UTM)) == 2
