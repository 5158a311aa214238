"""Precipitation through the daily routine: ``[rain] folder``."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from curupira.cog import write_cog
from curupira.errors import InputError

IMAGES, CLEARED, RAINY = 12, 8, 9
#: Rain falls on the eastern half of one image, heavy enough to darken it in a spot.
WET_COLUMNS = slice(40, 80)


@pytest.fixture(scope="module")
def world(builder: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    b = builder
    clearing = b.Square(10, 8, b.day(CLEARED))
    shower = b.Square(50, 56, b.day(RAINY), b.day(RAINY + 1))
    return b.World(tmp_path_factory.mktemp("rain"), [clearing, shower])


def write_rain(b: ModuleType, folder: Path, images: range) -> None:
    folder.mkdir(exist_ok=True)
    for k in images:
        millimetres = np.zeros((1, b.SIDE, b.SIDE), dtype=np.float32)
        if k == RAINY:
            millimetres[0, :, WET_COLUMNS] = 60
        write_cog(folder / f"imerg_{b.day(k):%Y%m%d}.tif", millimetres, b.GRID, nodata=None)


def test_a_shower_is_no_warning_where_the_rain_is_known(
    builder: ModuleType, world: Any, tmp_path: Path
) -> None:
    b = builder
    clearing, shower = world.squares
    blind = world.workspace(tmp_path / "blind", b.series(IMAGES))
    write_rain(b, tmp_path / "mm", range(b.LEARNING - 3, IMAGES))
    knowing = world.workspace(
        tmp_path / "knowing", b.series(IMAGES), rain={"folder": "../mm", "limit_mm": 25.0}
    )
    b.play(blind)
    b.play(knowing)
    assert len(b.at(blind, shower)) == 1
    assert b.at(knowing, shower) == []
    # The rest of that image is used as before.
    (one,), (other,) = b.at(blind, clearing), b.at(knowing, clearing)
    assert (one.confirmed_at, one.first_flag_date) == (other.confirmed_at, other.first_flag_date)
    assert one.confirmed_at is not None
    # Rain within the limit changes nothing at all.
    tolerant = world.workspace(
        tmp_path / "tolerant", b.series(IMAGES), rain={"folder": "../mm", "limit_mm": 60.0}
    )
    b.play(tolerant)
    assert b.state(tolerant) == b.state(blind)


def test_a_run_stops_at_a_missing_day_and_goes_on_when_it_is_there(
    builder: ModuleType, world: Any, tmp_path: Path
) -> None:
    b = builder
    write_rain(b, tmp_path / "mm", range(b.LEARNING - 3, IMAGES - 1))
    late = world.workspace(tmp_path / "late", b.series(IMAGES), rain={"folder": "../mm"})
    with pytest.raises(InputError, match=f"no raster of {b.day(IMAGES - 1)}"):
        b.play(late)
    write_rain(b, tmp_path / "mm", range(IMAGES - 1, IMAGES))
    b.play(late)
    prompt = world.workspace(tmp_path / "prompt", b.series(IMAGES), rain={"folder": "../mm"})
    b.play(prompt)
    assert b.state(late) == b.state(prompt) != []


def test_the_states_of_the_frozen_mode_do_not_depend_on_rain_that_they_leave_unread(
    builder: ModuleType, world: Any, tmp_path: Path
) -> None:
    b = builder
    write_rain(b, tmp_path / "mm", range(b.LEARNING - 3, IMAGES))
    frozen = {"frozen_days": 30}
    found = []
    for name, rain in (("dry", {}), ("rainy", {"folder": "../mm"})):
        one = world.workspace(tmp_path / name, b.series(IMAGES), algorithm=frozen, rain=rain)
        b.play(one)
        found.append(sorted(path.name for path in (one.folder / "frozen").iterdir()))
    assert found[0] == found[1] != []
