"""Fixtures that several packages share."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from postgis import postgis  # noqa: F401 (a fixture)
from stac_api import files, stac_api  # noqa: F401 (fixtures)

#: Wall clock of the fixture's run, after the last simulated scene was published.
DISTRICT_CLOCK = datetime(2024, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def district(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished simulated workspace with confirmed warnings.

    Shared by the session: copy it (``shutil.copytree``) before anything is written into it.
    """
    # Here, because the other tests need nothing of the pipelines.
    from curupira.pipelines import daily, workspace
    from curupira.pipelines.status import collect

    folder = tmp_path_factory.mktemp("district") / "w"
    made = workspace.simulate(
        folder,
        size_km=3,
        years=3,
        revisit_days=24,
        seed=12,
        scenario="default",
        preset="deter_r",
    )
    daily.run(made, daily.RunOptions(), now=lambda: DISTRICT_CLOCK)
    found = collect(made)["warnings"]
    if not found["confirmed"]:
        raise AssertionError(f"the district has no confirmed warning ({found}): take another seed")
    return folder
