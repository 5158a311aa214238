"""Status of the raster products: that of the polygons, by every preset's own rule."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import rasterio

from curupira.codes import Status
from curupira.pipelines.products import CONFIRMED, NODATA, UNCONFIRMED


def bands(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    with rasterio.open(path) as source:
        return dict(zip(source.descriptions, source.read(), strict=True))


@pytest.mark.parametrize(
    ("preset", "override", "square"),
    [
        # Two images confirm; in the paper's rule their mean over the polygon.
        ("deter_r", {}, {"since": 7}),
        ("deter_r_paper", {}, {"since": 7}),
        # Evidence confirms, also of one image.
        ("curupira", {"verify": "none", "confidence_confirm": 0.96}, {"since": 8, "drop_db": 8}),
    ],
)
def test_alerts_have_the_status_of_their_warnings(
    builder: ModuleType,
    tmp_path: Path,
    preset: str,
    override: dict[str, Any],
    square: dict[str, Any],
) -> None:
    b = builder
    confirmed = b.Square(10, 10, b.day(square.pop("since")), **square)
    preliminary = b.Square(40, 40, b.day(8), drop_db=3.2)
    # Too small for a polygon.
    speck = b.Square(70, 10, b.day(8), size=4)
    world = b.World(tmp_path / "images", [confirmed, preliminary, speck])
    workspace = world.workspace(
        tmp_path / "ws", b.series(9), algorithm={"preset": preset}, override=override
    )
    b.play(workspace)
    assert len(b.warning_rows(workspace)) == 2
    newest = bands(max((workspace.folder / "products").glob("*.tif")))
    alert, dates, flags = newest["alert"], newest["alert_date"], newest["n_alerts"]
    for place, status, code in (
        (confirmed, Status.CONFIRMED, CONFIRMED),
        (preliminary, Status.PRELIMINARY, UNCONFIRMED),
    ):
        (row,) = b.at(workspace, place)
        assert row.status is status
        inside = (slice(place.row + 2, place.row + 10), slice(place.col + 2, place.col + 10))
        assert (alert[inside] == code).all()
        assert (dates[inside] == int(f"{place.since:%y%j}")).all()
    small = (slice(70, 74), slice(10, 14))
    assert (flags[small] > 0).any()
    assert not alert[small].any()
    assert ((alert > 0) == (dates > 0)).all()
    assert ((alert == NODATA) == (flags == NODATA)).all()
    assert (flags[alert > 0] > 0).all()
