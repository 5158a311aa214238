"""``curupira mining``: from labelled points to a judged map of mines."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from curupira.cli.common import (
    LogJsonOption,
    QuietOption,
    VerboseOption,
    parse_date,
    progress,
    say,
)
from curupira.errors import ConfigError

if TYPE_CHECKING:
    from curupira.presets import Preset

group = typer.Typer(help="Illegal mining: train, classify, evaluate.", no_args_is_help=True)

PresetOption = Annotated[str, typer.Option(help="Preset name, or path of a .toml preset.")]
ScaleOption = Annotated[
    Literal["db", "linear"], typer.Option(help="Scale of the images; STAC items say it.")
]
RadiometryOption = Annotated[
    Literal["gamma0", "sigma0"], typer.Option(help="What the images hold; STAC items say it.")
]
AoiOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Polygons; what lies outside is left out.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
StreamsOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Lines of streams, for a preset with their distance."),
]
DemOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Heights in metres, for a preset with slope or height."),
]
_SCENE = "GeoTIFF of VV and VH, VV.tif,VH.tif, a folder of both, or a STAC item"

ModelOption = Annotated[
    Path | None, typer.Option(metavar="MODELDIR", help="Folder of mining train.")
]
ScenesOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE", help=f"{_SCENE}; repeatable for a model that looks at several dates."
    ),
]
SquaresOption = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="OUT.geojson", help="Squares (and .gpkg).")
]
AreaOption = Annotated[
    Path | None,
    typer.Option(
        "-w",
        "--workspace",
        metavar="DIR",
        help="Instead of model and scene: the area of a workspace, by its [mining] model.",
    ),
]
UntilOption = Annotated[
    str | None, typer.Option(metavar="DAY", help="With -w: newest images up to this UTC day.")
]
ThresholdOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="A mine is above it. If left out: with -w [mining]'s, else the model's preset's.",
    ),
]
StrideOption = Annotated[
    int | None,
    typer.Option(min=1, help="Step, pixels; the model's preset's if left out."),
]
MapOption = Annotated[
    Path | None, typer.Option(metavar="FILE.tif", help="Also write the map of probabilities.")
]
EngineOption = Annotated[
    Literal["auto", "onnx", "torch"], typer.Option(help="What runs the network.")
]


def _preset(name: str, **options: str | int | None) -> Preset:
    from curupira import presets

    given = {key: value for key, value in options.items() if value is not None}
    return presets.load(name, "mining").replace(**given)


@group.command()
def patches(
    scene: Annotated[list[str], typer.Option(metavar="FILE", help=f"{_SCENE}; repeatable.")],
    points: Annotated[Path, typer.Option(metavar="FILE", help="Points with label 1 or 0.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="New folder.")],
    size: Annotated[
        int | None, typer.Option(help="Side, pixels; the preset's if left out (104).")
    ] = None,
    aoi: AoiOption = None,
    preset: PresetOption = "unesp_2025",
    pa: Annotated[
        Literal["half_difference", "half_sum", "ratio", "rvi"] | None,
        typer.Option(help="Third band, instead of the preset's."),
    ] = None,
    lee: Annotated[
        Literal["linear", "db", "none"] | None,
        typer.Option(help="Lee filter, instead of the preset's."),
    ] = None,
    scale: ScaleOption = "db",
    radiometry: RadiometryOption = "gamma0",
    streams: StreamsOption = None,
    dem: DemOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Cut labelled patches out of scenes.

    Example: `curupira mining patches --scene s1_20230123.tif --scene s1_20230616.tif
    --points points.gpkg -o patches`
    """
    from curupira.pipelines.mine_patches import make_patches

    with progress() as report:
        made = make_patches(
            scene,
            points,
            output,
            preset=_preset(preset, size_px=size, pa=pa, lee=lee),
            scale=scale,
            radiometry=radiometry,
            aoi=aoi,
            streams=streams,
            dem=dem,
            force=force,
            report=report,
        )
    total = made.mines + made.others
    say(
        f"{total} patches of {made.points} points and {made.scenes} scenes: {made.mines} mines "
        f"({made.mines / total:.0%}), {made.others} others ({made.others / total:.0%})"
    )
    d = made.dropped
    say(f"dropped {d.total}: {d.outside} outside, {d.edge} at an edge, {d.missing} without data")


@group.command()
def train(
    patches: Annotated[Path, typer.Option(metavar="DIR", help="Folder of mining patches.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="MODELDIR", help="New folder.")],
    preset: PresetOption = "unesp_2025",
    split: Annotated[
        Literal["random", "point", "block"] | None,
        typer.Option(help="What is held out; the preset's if left out (random)."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order and split.")] = 0,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where.")] = "auto",
    force: ForceOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Train a network on patches.

    Example: `curupira mining train --patches patches --split point --seed 1 -o model`
    """
    from curupira.pipelines.mine import train_model

    with progress() as report:
        card = train_model(
            patches,
            output,
            preset=_preset(preset, split=split),
            seed=seed,
            device=device,
            force=force,
            report=report,
        )
    count = card.patches
    say(
        f"trained on {count['training']} patches, {count['validation']} held out by "
        f"{card.metrics['split']}, {count['left_out']} left out; weights of epoch {card.epoch}"
    )
    found = card.metrics["validation"]
    say("validation: " + ", ".join(_words(k, found[k]) for k in ("precision", "recall", "f1")))
    if card.metrics["split"] == "random":
        say("the random split may hold the same place on both sides: these scores flatter")


@group.command()
def classify(
    model: ModelOption = None,
    scene: ScenesOption = None,
    output: SquaresOption = None,
    workspace: AreaOption = None,
    until: UntilOption = None,
    threshold: ThresholdOption = None,
    stride: StrideOption = None,
    aoi: AoiOption = None,
    probability: MapOption = None,
    scale: ScaleOption = "db",
    radiometry: RadiometryOption = "gamma0",
    streams: StreamsOption = None,
    dem: DemOption = None,
    engine: EngineOption = "auto",
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Classify a scene into 520 m squares, or the area of a workspace into candidates.

    Examples: `curupira mining classify --model model --scene s1_20240102.tif --threshold 0.9
    --probability p.tif -o mines.geojson`; `curupira mining classify -w tapajos`
    """
    if workspace is not None:
        given = {"--model": model, "--scene": scene or None, "--output": output, "--stride": stride,
                 "--aoi": aoi, "--probability": probability, "--streams": streams,
                 "--dem": dem}  # fmt: skip
        _candidates(workspace, until, threshold, [k for k, v in given.items() if v is not None])
        return
    if model is None or not scene or output is None or until is not None:
        raise ConfigError(
            "model, scene and output belong together",
            where="mining classify",
            remedy="give --model, --scene and -o; or -w alone",
        )
    from curupira.pipelines.mine import classify as run

    options: dict[str, Any] = {"scale": scale, "radiometry": radiometry, "threshold": threshold,
                               "stride_px": stride, "aoi": aoi, "probability": probability,
                               "engine": engine, "streams": streams, "dem": dem}  # fmt: skip
    with progress() as report:
        found = run(model, scene, output, report=report, **options)
    say(f"{found.windows} windows, {found.hits} above the threshold, {found.squares} squares")


def _candidates(
    workspace: Path, until: str | None, threshold: float | None, others: list[str]
) -> None:
    from curupira.config import Workspace
    from curupira.pipelines.mine_candidates import find_candidates

    if others:
        raise ConfigError(
            "the workspace says this", where=", ".join(others), remedy="leave it out with -w"
        )
    with progress() as report:
        found = find_candidates(
            Workspace.open(workspace),
            until=parse_date(until, "--until"),
            threshold=threshold,
            now=datetime.now(UTC),
            report=report,
        )
    rest = f" ({found.unusable} more could not be used: see the log)" if found.unusable else ""
    say(
        f"{found.acquisitions} images{rest}, {found.squares} squares: {found.at_warnings} at "
        f"warnings, {found.new} new candidates, {found.known} known"
    )


@group.command(name="reference-grid")
def reference_grid(
    reference: Annotated[Path, typer.Option(metavar="FILE", help="Polygons of known mines.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="GRID.geojson", help="Cells (and .gpkg, .png)."),
    ],
    cell_m: Annotated[
        float | None, typer.Option(help="Side of a cell, metres; 520 if left out.")
    ] = None,
    min_fragment_m2: Annotated[
        float | None,
        typer.Option(
            help="Smaller pieces are dropped; 10816 if left out (54080 = 20 % of a cell)."
        ),
    ] = None,
    crs: Annotated[str | None, typer.Option(help="In metres; the UTM zone if left out.")] = None,
    aoi: AoiOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Cut known mines into the cells that detections are judged by.

    Example: `curupira mining reference-grid --reference amw_2023.geojson -o grid.geojson`
    """
    from curupira.pipelines.mine_score import grid_params, make_grid

    params = grid_params(cell_m=cell_m, min_fragment_m2=min_fragment_m2, crs=crs)
    grid = make_grid(reference, output, params=params, aoi=aoi)
    say(f"{len(grid)} cells, {grid['area_m2'].sum() / 1e4:.1f} ha, {grid.crs}")


def _words(name: str, estimate: dict[str, float | None]) -> str:
    value, low, high = (estimate[key] for key in ("value", "low", "high"))
    if value is None:
        return f"{name} undefined"
    interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return f"{name} {value:.3f}{interval}"


@group.command()
def evaluate(
    detections: Annotated[
        list[Path], typer.Option(metavar="FILE", help="Squares; once for each region.")
    ],
    reference: Annotated[
        list[Path], typer.Option(metavar="FILE", help="Reference grid; once for each region.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="New folder.")],
    rule: Annotated[
        Literal["paper", "symmetric"] | None, typer.Option(help="paper if left out.")
    ] = None,
    threshold: Annotated[
        list[float] | None,
        typer.Option(help="Judge squares above it; repeatable. All squares if left out."),
    ] = None,
    region: Annotated[
        list[str] | None, typer.Option(help="Names of the regions, in the order of the files.")
    ] = None,
    min_overlap: Annotated[
        float | None, typer.Option(help="Share of the smaller polygon; 0: touching is enough.")
    ] = None,
    aoi: AoiOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    log_json: LogJsonOption = None,
) -> None:
    """Judge detections against a reference grid.

    Example: `curupira mining evaluate --detections mines.geojson --reference grid.geojson
    --rule symmetric -o evaluation`
    """
    from curupira.pipelines.mine_score import pair_regions, score, score_params

    rows = score(
        pair_regions(detections, reference, region or []),
        output,
        params=score_params(rule=rule, min_overlap=min_overlap),
        thresholds=threshold or (),
        aoi=aoi,
        force=force,
    )
    for name, found in rows:
        say(_line(name, found))


def _line(name: str, found: Any) -> str:
    at = "" if found.threshold is None else f" > {found.threshold:g}"
    scores = ", ".join(
        _words(key, getattr(found, key).as_dict()) for key in ("precision", "recall", "f1")
    )
    return f"{name}{at} ({found.rule}): TP {found.tp}, FP {found.fp}, FN {found.fn}; {scores}"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="mining")
