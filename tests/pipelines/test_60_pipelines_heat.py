"""The heat map: what its cells hold together is the area that was disturbed."""

from __future__ import annotations

import numpy as np
import pytest

from curupira.pipelines.heat import KERNEL_KM, heat


@pytest.mark.parametrize("hectares", [[0.004], [0.7], [0.7, 1.3], [300.0, 0.7, 12_000.0]])
def test_the_map_holds_the_area_however_small(hectares: list[float]) -> None:
    places = [[-55.0 + 0.4 * n, -5.0 - 0.3 * n, 1.0, ha] for n, ha in enumerate(hectares)]
    found = heat(np.array(places))
    cell_ha = found["side_km"] ** 2 * 100
    m2 = sum(cell["m2_per_ha"] for cell in found["cells"]) * cell_ha
    assert m2 == pytest.approx(sum(hectares) * 1e4, rel=1e-4)


def test_a_place_spreads_evenly_over_the_kernel() -> None:
    found = heat(np.array([[-55.0, -5.0, 1.0, 2.0]]))
    values = {cell["m2_per_ha"] for cell in found["cells"]}
    (value,) = values
    assert value == pytest.approx(2e4 / (np.pi * KERNEL_KM**2 * 100), rel=0.05)


def test_nothing_disturbed_is_an_empty_map() -> None:
    assert heat(np.empty((0, 4)))["cells"] == []
