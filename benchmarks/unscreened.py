"""Land where the screening of preset `curupira` finds too little forest around.

    python benchmarks/unscreened.py where DIR
    python benchmarks/unscreened.py worth DIR --districts default:52 default:337 --json OUT

``where``: of the districts that ``districts.py run`` left in DIR, by scenario, the pixels of such
land and how many warnings of ``curupira`` lie on it (true: on an event, older ones too).
``worth``: whole districts as if no forest were around anywhere, by the roughness that is taken
instead (``evidence_patch_unknown_db``), otherwise as ``ablation.py`` does it; first the districts
as they are.
"""

from __future__ import annotations

import argparse
import json
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

import ablation
from ablation import Stack, observe, score, stack_of, truth
from curupira import presets
from curupira.blocks import Window
from curupira.config import Workspace
from curupira.detect.params import DetectParams
from curupira.detect.screen import screen_images
from curupira.pipelines.images import rasterise
from curupira.validate.matching import match
from districts import MIN_AREA_HA, District

#: Roughness, dB: once, one and a quarter, one and a half times and twice the usual one.
TRIED = (0.34, 0.425, 0.51, 0.68)


def thin(district: District) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Where too little forest is around, and where is monitored."""
    forest = ablation.monitored(district)[1]
    params = DetectParams.from_preset(presets.load("curupira")).screen
    flat = np.ones((1, *forest.shape), dtype=np.float32)
    rough = screen_images(flat, np.ones(1, dtype=np.bool_), params, background=forest).roughness_db
    return forest & np.isnan(rough), forest


def where(folder: Path) -> dict[str, Any]:
    """Monitored land, and warnings most of which lie on such land, by scenario."""
    found: dict[str, Counter[str]] = {}
    for path in sorted(folder.glob("*-12d-*/case_curupira.pickle")):
        district = District(Workspace.open(path.parent), [], None)  # type: ignore[arg-type]
        place, forest = thin(district)
        case = pickle.loads(path.read_bytes())
        kept = [a for a in case.alerts if a.judged and a.area_ha >= MIN_AREA_HA * (1 - 1e-6)]
        events = [e for e in case.events if e.start <= case.watch.end]
        true = match(kept, events).true_alerts(len(kept))
        count = found.setdefault(path.parent.name.split("-")[0], Counter())
        count.update(districts=1, pixels=int(forest.sum()), pixels_there=int(place.sum()))
        whole = Window(0, forest.shape[0], 0, forest.shape[1])
        for alert, right in zip(kept, true, strict=True):
            name = ("confirmed" if alert.confirmed else "preliminary") + f"_{bool(right)}".lower()
            pixels = rasterise([alert.geometry], district.opened.grid, whole)
            count.update({name: 1, f"{name}_there": int(place[pixels].mean() > 0.5)})
    return {name: dict(count) for name, count in found.items()}


def worth(folder: Path, places: list[str]) -> dict[str, Any]:
    """Scores with and without forest around, by the roughness taken without."""
    rows: dict[str, list[pd.DataFrame]] = {}
    events = []
    for place in places:
        scenario, seed = place.split(":")
        asked = {"scenario": scenario, "seed": int(seed), "size_km": 10.0, "revisit_days": 12}
        district = District.of(folder / f"{scenario}-12d-{seed}", keep=True, **asked)
        preset = presets.load("curupira")
        stacks = {"screened": stack_of(district, DetectParams.from_preset(preset))}
        for rough in TRIED:
            params = DetectParams.from_preset(preset.replace(evidence_patch_unknown_db=rough))
            stacks[f"{rough} dB"] = without_forest(district, params)
        for name, stack in stacks.items():
            frame = pd.DataFrame(observe(district, stack, preset))
            frame["warning"] = f"{place}/" + frame.warning.astype(str)
            frame["events"] = [[f"{place}/{j}" for j in one] for one in frame["events"]]
            rows.setdefault(name, []).append(frame)
        events.append(truth(district, place, stacks["screened"]))
        print(f"done {place}", flush=True)
    known = pd.concat(events)
    odds = {level: float(np.log(level / (1 - level))) for level in (0.99, 0.9)}
    return {
        name: {f"from {level}": score(pd.concat(frames), known, o) for level, o in odds.items()}
        for name, frames in rows.items()
    } | {"districts": places, "events": len(known)}


def without_forest(district: District, params: DetectParams) -> Stack:
    """The images of a district in which no forest is looked at to tell the weather."""
    nowhere = np.zeros(ablation.monitored(district)[1].shape, dtype=np.bool_)
    return stack_of(district, params, background=nowhere)


def main() -> None:
    """Print the counts, or write the scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["where", "worth"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--districts", nargs="+", default=[], metavar="SCENARIO:SEED")
    parser.add_argument("--json", type=Path, required=True)
    a = parser.parse_args()
    found = where(a.folder) if a.command == "where" else worth(a.folder, a.districts)
    document = json.loads(a.json.read_text()) if a.json.is_file() else {}
    a.json.write_text(json.dumps(document | {a.command: found}, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
