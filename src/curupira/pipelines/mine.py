"""The mining chain with its network: train, and classify a scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np

from curupira.cog import write_atomic, write_cog
from curupira.errors import ConfigError
from curupira.mining import figures
from curupira.mining.card import WORDS, in_words
from curupira.mining.params import BandParams, MiningParams, PatchParams
from curupira.mining.scene import RadarScene, Radiometry, Scale
from curupira.mining.splits import split_patches
from curupira.mining.squares import drop_lone, squares_of
from curupira.mining.windows import WindowMap
from curupira.pipelines.mine_patches import read_aoi
from curupira.pipelines.mine_read import read_patches
from curupira.pipelines.mine_scenes import open_images
from curupira.pipelines.outputs import fresh_folder, write_geojson, write_gpkg
from curupira.presets import Preset
from curupira.progress import Report, silent

if TYPE_CHECKING:
    from curupira.mining.classify import EngineName
    from curupira.mining.dataset import PatchSet
    from curupira.mining.model import ModelCard
    from curupira.mining.train import Trained

CARD = "model.json"


def need_torch() -> None:
    """Refuse where PyTorch is not installed.

    Raises
    ------
    ConfigError
        With the command that installs it.
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "PyTorch is not installed", where="mining", remedy="pip install 'curupira[mining]'"
        ) from error


def train_model(
    patches: Path,
    out: Path,
    *,
    preset: Preset,
    seed: int = 0,
    device: str = "auto",
    force: bool = False,
    report: Report = silent,
) -> ModelCard:
    """Train on a folder of patches and write a model folder; all or nothing.

    Formulas, filter and size are those of the patches, and the step keeps its share of the window;
    everything else is the preset's.

    Raises
    ------
    ConfigError
        If a folder is missing or in the way, or the preset is wrong, or not that of the patches.
    InputError
        If the patches cannot be used or split.
    """
    need_torch()
    from curupira.mining import model, train

    data, bands, sizes = read_patches(patches)
    chosen = _for_patches(preset, bands, sizes)
    params = MiningParams.from_preset(chosen)
    params.check_step(params.classify.stride_px, where=f"preset {preset.name}, stride_px")
    learn, check = split_patches(data.index, params.split, size_m=params.patches.reach_m, seed=seed)
    with fresh_folder(out, CARD, force=force) as folder:
        trained = train.fit(
            data,
            learn,
            check,
            params,
            seed=seed,
            device=train.pick_device(device),
            report=report,
        )
        labels = data.labels[check]
        metrics = train.validation_metrics(
            labels, trained.probability, data.index["point"].to_numpy()[check]
        )
        record = {
            "data_hash": data.hash,
            "radiometry": data.radiometry,
            "seed": seed,
            "epoch": trained.epoch,
            "patches": _counts(data, learn, check),
            "metrics": {"split": params.split.split, "validation": metrics},
            "history": vars(trained.history),
            "software": {name: version(name) for name in ("curupira", "torch")},
        }
        scaling = model.Normalisation(kind=params.training.zscore, mean=trained.mean, sd=trained.sd)
        card = model.save_model(folder, trained.network, scaling, chosen, record)
        write_atomic(folder / WORDS, in_words(card).encode())
        _draw(folder, trained, metrics, labels)
    return card


def _for_patches(preset: Preset, bands: BandParams, sizes: PatchParams) -> Preset:
    own = MiningParams.from_preset(preset)
    # No option of ``mining patches`` changes these: another preset cut them.
    if bands.bands != own.bands.bands or sizes.pixel_m != own.patches.pixel_m:
        raise ConfigError(
            f"the patches hold {', '.join(bands.bands)} at {sizes.pixel_m:g} m, the preset "
            f"{preset.name} wants {', '.join(own.bands.bands)} at {own.patches.pixel_m:g} m",
            where="--preset",
            remedy="name the preset that the patches were cut with",
        )
    stride_px = max(1, round(own.classify.stride_px * sizes.size_px / own.patches.size_px))
    return preset.replace(**bands.model_dump(), **sizes.model_dump(), stride_px=stride_px)


def _counts(data: PatchSet, learn: Any, check: Any) -> dict[str, int]:
    return {
        "training": int(learn.sum()),
        "validation": int(check.sum()),
        "left_out": int((~learn & ~check).sum()),
        "points": int(data.index["point"].nunique()),
        "scenes": int(data.index["scene"].nunique()),
    }


def _draw(folder: Path, trained: Trained, metrics: dict[str, Any], labels: Any) -> None:
    drawn = {
        "curves.png": figures.learning_curves(vars(trained.history), trained.epoch),
        "confusion.png": figures.confusion_matrix(metrics["confusion"]),
        "reliability.png": figures.reliability(labels, trained.probability),
    }
    for name, figure in drawn.items():
        write_atomic(folder / name, figures.png(figure))


@dataclass(frozen=True)
class ClassifySummary:
    """Windows looked at, windows above the threshold, and squares written."""

    windows: int
    hits: int
    squares: int


def classify(
    model_folder: Path,
    scenes: Sequence[str],
    out: Path,
    *,
    scale: Scale = "db",
    radiometry: Radiometry = "gamma0",
    threshold: float | None = None,
    stride_px: int | None = None,
    aoi: Path | None = None,
    probability: Path | None = None,
    engine: EngineName = "auto",
    streams: Path | None = None,
    dem: Path | None = None,
    report: Report = silent,
) -> ClassifySummary:
    """Classify an image: GeoJSON of squares, a GeoPackage in metres beside it, and the map.

    ``scenes`` is one image, or the dates of a model that looks at several; ``streams`` and ``dem``
    are for a model with bands of the land. ``threshold`` and ``stride_px`` are the model's preset's
    if None.

    Raises
    ------
    ConfigError
        If a file is missing, a name does not end as it should, or an option is out of range.
    InputError
        If model or scene cannot be used.
    """
    need_torch()
    from curupira.mining.classify import block_engine, classify_scene
    from curupira.mining.model import load_model

    if out.suffix.lower() not in (".geojson", ".json"):
        raise ConfigError("squares are written as GeoJSON", where=out, remedy="name it .geojson")
    model = load_model(model_folder)
    rules = model.params.classify
    threshold = rules.threshold if threshold is None else threshold
    stride_px = rules.stride_px if stride_px is None else stride_px
    kind: dict[str, Any] = {"radiometry": radiometry, "streams": streams, "dem": dem}
    scene = _one_image(open_images(scenes, scale, model.params, **kind))
    found = classify_scene(
        scene,
        model,
        stride_px=stride_px,
        threshold=threshold,
        area=read_aoi(aoi),
        engine=block_engine(model, engine, stride_px),
        report=report,
    )
    squares = drop_lone(squares_of(found, threshold, rules.merge_overlap, rules.squares), rules)
    tags = _tags(scene, model.card)
    if probability is not None:
        _write_map(found, probability, tags)
    write_squares(squares, out, threshold, tags)
    return ClassifySummary(
        windows=int(np.isfinite(found.probability).sum()),
        hits=int((found.probability > threshold).sum()),
        squares=len(squares),
    )


def _tags(scene: RadarScene, card: ModelCard) -> dict[str, str]:
    return {
        "scene": scene.name,
        "date": scene.day.isoformat() if scene.day else "",
        "model": f"{card.preset} {card.weights_sha256[:12]}",
    }


def _one_image(images: list[RadarScene]) -> RadarScene:
    if len(images) > 1:
        raise ConfigError(
            f"{len(images)} scenes, but the model looks at one image",
            where="--scene",
            remedy="classify one scene at a time",
        )
    return images[0]


def _write_map(found: WindowMap, out: Path, tags: dict[str, str]) -> None:
    write_cog(
        out,
        found.probability[None],
        found.grid,
        nodata=float("nan"),
        descriptions=["probability of a mine"],
        tags=tags,
    )


def write_squares(
    squares: gpd.GeoDataFrame, out: Path, threshold: float, tags: dict[str, str]
) -> None:
    """Write candidates as GeoJSON, and in their own CRS as a GeoPackage of the same name."""
    frame = squares.assign(candidate=np.arange(1, len(squares) + 1), threshold=threshold, **tags)
    write_gpkg(frame, out.with_suffix(".gpkg"), "candidate")
    write_geojson(frame, out)
