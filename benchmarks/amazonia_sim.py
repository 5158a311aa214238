"""amazonia-sim-v1: fixed simulated districts, and a scorer for anybody's warnings.

    python benchmarks/amazonia_sim.py list
    python benchmarks/amazonia_sim.py make DIR [--only NAME ...]
    python benchmarks/amazonia_sim.py run DIR [--only NAME ...] [--preset NAME]
    python benchmarks/amazonia_sim.py score DIR --warnings FILE.geojson [--json OUT]

``make`` writes each district as a workspace with images, masks and truth. Run any system on the
images and give its warnings to ``score``; the columns are in docs/accuracy.md. ``run`` runs our own
and writes its warnings as DIR/warnings_PRESET.geojson.

The districts and their seeds never change: another list is another version. Seeds above 9000 are
left to whoever wants to score in secret: ``make DIR --seeds 9001 9002``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from curupira.config import Workspace
from curupira.errors import ConfigError
from curupira.pipelines import daily, workspace
from curupira.pipelines.score import district_case, read_warnings
from curupira.store import warning as warnings
from curupira.store.session import Store
from curupira.validate.accuracy import Accuracy, assess
from curupira.validate.pool import Case, pool

VERSION = "amazonia-sim-v1"
SIZE_KM, YEARS, MIN_AREA_HA = 20.0, 4.0, 0.4
#: Printed columns: key of the document, heading.
SHOWN = (
    ("ua_count", "UA"),
    ("pa_all_count", "PA all"),
    ("pa_count", "PA visible"),
    ("pa_at_ua98", "PA at UA 98"),
)


@dataclass(frozen=True)
class District:
    """One simulated district; those of one scenario and revisit are scored together."""

    seed: int
    scenario: str = "default"
    revisit_days: int = 12

    @property
    def name(self) -> str:
        """Folder, and value of the column ``district``."""
        return f"{self.scenario}-{self.revisit_days:02d}d-{self.seed}"

    @property
    def group(self) -> str:
        """Districts that are pooled."""
        return f"{self.scenario}-{self.revisit_days:02d}d"


DISTRICTS = (
    *(District(seed) for seed in range(1001, 1006)),
    *(District(seed, revisit_days=6) for seed in range(1006, 1011)),
    *(
        District(seed, scenario)
        for scenario, seeds in (
            ("clean", (1011,)),
            ("rain", (1012, 1013)),
            ("wet", (1014, 1015)),
            ("hilly", (1016,)),
            ("late", (1017,)),
            ("shifted", (1018, 1019, 1020)),
        )
        for seed in seeds
    ),
)


def make(folder: Path, districts: Sequence[District], size_km: float, years: float) -> None:
    """Simulate the districts that are not there yet."""
    for district in districts:
        place = folder / district.name
        if (place / "monitor.toml").is_file():
            continue
        workspace.simulate(
            place,
            size_km=size_km,
            years=years,
            revisit_days=district.revisit_days,
            seed=district.seed,
            scenario=district.scenario,
            preset="deter_r",
        )
        print(f"made {place}", flush=True)


def run(folder: Path, districts: Sequence[District], preset: str) -> Path:
    """Run our own detection; returns the file of its warnings."""
    frames = []
    for district in districts:
        opened = Workspace.open(folder / district.name)
        algorithm = opened.monitor.algorithm.model_copy(update={"preset": preset})
        # Each preset keeps its own database and products beside the images.
        store = opened.monitor.store.model_copy(update={"url": f"sqlite:///{preset}.gpkg"})
        monitor = opened.monitor.model_copy(update={"algorithm": algorithm, "store": store})
        own = Workspace(opened.folder, monitor)
        daily.run(own, daily.RunOptions())
        with (
            Store.open(store.url, base=own.folder, create=False) as kept,
            kept.reading() as session,
        ):
            rows = [r for r in warnings.supported(session) if r.merged_into is None]
            frame = warnings.to_geodataframe(rows)
            frame["last_flag_date"] = [str(r.last_flag_date or r.first_flag_date) for r in rows]
        frames.append(frame.assign(district=district.name))
        print(f"ran {preset} on {district.name}", flush=True)
    path = folder / f"warnings_{preset}.geojson"
    columns = ["district", "confirmed_at", "issued_at", "last_flag_date", "first_flag_date"]
    columns += ["confidence", "intensity_class", "distance_to_deforestation_m", "geometry"]
    joined = gpd.GeoDataFrame(pd.concat(frames, ignore_index=True), crs=frames[0].crs)[columns]
    joined.to_crs("EPSG:4326").to_file(path, driver="GeoJSON")
    return path


def score(
    folder: Path, districts: Sequence[District], path: Path, min_area_ha: float
) -> dict[str, Accuracy]:
    """Scores of the districts, pooled by group; districts that were not made are an error."""
    groups: dict[str, list[Case]] = {}
    for district in districts:
        opened = Workspace.open(folder / district.name)
        case = district_case(
            opened,
            read_warnings(path, name=district.name),
            system=path.stem,
            revisit_days=district.revisit_days,
            now=datetime.now(UTC),
        )
        groups.setdefault(district.group, []).append(case)
    return {name: _assess(pool(cases), min_area_ha) for name, cases in groups.items()}


def _assess(case: Case, min_area_ha: float) -> Accuracy:
    return assess(
        case.alerts,
        case.events,
        case.watch,
        min_area_ha=min_area_ha,
        false_causes=case.false_causes,
    )


def table(found: dict[str, Accuracy]) -> list[str]:
    """The headline scores, one line a group."""
    lines = [f"{'group':14}{'events':>8}{'warnings':>10}" + "".join(f"{h:>20}" for _, h in SHOWN)]
    for name, scores in found.items():
        document = scores.document()
        cells = "".join(f"{_cell(document[key]):>20}" for key, _ in SHOWN)
        lines.append(f"{name:14}{scores.events:>8}{scores.warnings:>10}{cells}")
    return lines


def _cell(estimate: dict[str, Any]) -> str:
    if estimate["value"] is None:
        return "-"
    return "{value:.1%} ({low:.0%}-{high:.0%})".format(**estimate)


def chosen(only: Sequence[str], seeds: Sequence[int]) -> list[District]:
    """Districts by name; other seeds give default districts."""
    if seeds:
        return [District(seed) for seed in seeds]
    known = {d.name: d for d in DISTRICTS}
    for name in only:
        if name not in known:
            raise ConfigError(f"no district {name!r}", where="--only", remedy="see: list")
    return [known[name] for name in only] or list(DISTRICTS)


def parser() -> argparse.ArgumentParser:
    """Arguments of the commands."""
    top = argparse.ArgumentParser(description=VERSION)
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    for name in ("make", "run", "score"):
        one = commands.add_parser(name)
        one.add_argument("folder", type=Path)
        one.add_argument("--only", nargs="+", default=[])
        one.add_argument("--seeds", nargs="+", type=int, default=[])
        if name == "make":
            one.add_argument("--size-km", type=float, default=SIZE_KM, help="for trials only")
            one.add_argument("--years", type=float, default=YEARS, help="for trials only")
        elif name == "run":
            one.add_argument("--preset", default="deter_r")
        else:
            one.add_argument("--warnings", type=Path, required=True)
            one.add_argument("--min-area-ha", type=float, default=MIN_AREA_HA)
            one.add_argument("--json", type=Path)
    return top


def main() -> None:
    """Do what the arguments say."""
    a = parser().parse_args()
    if a.command == "list":
        for district in DISTRICTS:
            print(district.name)
        return
    districts = chosen(a.only, a.seeds)
    if a.command == "make":
        make(a.folder, districts, a.size_km, a.years)
    elif a.command == "run":
        print(run(a.folder, districts, a.preset))
    else:
        found = score(a.folder, districts, a.warnings, a.min_area_ha)
        print("\n".join(table(found)))
        if a.json:
            groups = {name: scores.document() for name, scores in found.items()}
            a.json.write_text(json.dumps({"benchmark": VERSION, "groups": groups}, indent=2))


if __name__ == "__main__":
    main()
