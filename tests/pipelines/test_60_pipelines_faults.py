"""A short fault campaign; ``benchmarks/faults.py`` is the long one."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SEED = 12


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A campaign with its images, which are taken once."""
    with pytest.MonkeyPatch.context() as patch:
        # The runs' processes import the campaign by its name.
        patch.syspath_prepend(str(ROOT))
        faults = importlib.import_module("benchmarks.faults")
        yield faults.Campaign(tmp_path_factory.mktemp("faults"), seed=SEED)


@pytest.fixture
def campaign(made: Any) -> Any:
    """The campaign, with nothing counted yet."""
    fresh = copy.copy(made)
    fresh.tally = type(made.tally)()
    return fresh


def test_a_disturbed_life(campaign: Any) -> None:
    faults = importlib.import_module("benchmarks.faults")
    campaign.calm()
    tally = campaign.play(1)
    assert sum(tally.runs.values()) >= 4
    assert len(tally.runs) >= 3, "the seed should bring several kinds of faults"
    assert {what: n for what, n in tally.wrong.items() if n} == {}
    assert tally.warnings == len(campaign.expected) > 0
    assert tally.deliveries > 0
    page = faults.table(tally)
    assert "warning lost: 0" in page


def test_the_campaign_notices_losses(campaign: Any, tmp_path: Path) -> None:
    """A check that cannot fail proves nothing: here a warning is missing, and a file cut."""
    faults = importlib.import_module("benchmarks.faults")
    world = campaign.world
    shots = [*campaign.batches[0], *campaign.batches[1]]
    workspace = world.workspace(tmp_path / "ws", shots, delivery=faults.DELIVERY)
    campaign.b.play(workspace)
    campaign.expected = [*campaign.b.state(workspace), {"geometry": "another"}]
    product = next((workspace.folder / "products").glob("*.tif"))
    product.write_bytes(product.read_bytes()[:2000])
    campaign._check_whole(workspace)
    campaign._check_end(workspace)
    assert campaign.tally.wrong["half-written file"] == 1
    assert campaign.tally.wrong["warning lost"] == 1
    assert campaign.tally.wrong["delivery lost"] >= 1
