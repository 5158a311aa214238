"""``model.json``: what a model's files hold. Read without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curupira.errors import InputError

FORMAT = 5
WEIGHTS, EXPORT, CARD = "model.pt", "model.onnx", "model.json"
#: The card in words.
WORDS = "model-card.md"
AGAIN = "train the model again with this version"


class Normalisation(BaseModel):
    """z-score per band; ``mean`` and ``sd`` are None where every patch uses its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    mean: list[float] | None
    sd: list[float] | None


class ModelCard(BaseModel):
    """``model.json``: all that is needed to use the weights, and where they come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(FORMAT, description="Version of this layout")
    bands: list[str]
    units: dict[str, str]
    size_px: int
    pixel_m: float
    radiometry: Literal["gamma0", "sigma0"] = Field(
        "gamma0", description="What the images of its patches held"
    )
    parameters: dict[str, int]
    normalisation: Normalisation
    preset: str
    preset_hash: str
    preset_sections: dict[str, dict[str, Any]]
    data_hash: str
    weights_sha256: str
    seed: int
    epoch: int
    patches: dict[str, int]
    metrics: dict[str, Any]
    history: dict[str, list[float]]
    software: dict[str, str]


def read_card(path: Path) -> ModelCard:
    """Read a model's card.

    Raises
    ------
    InputError
        If it is missing, damaged, or of another version.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError("cannot be read", where=path, remedy="name a model folder") from error
    except ValueError as error:
        raise InputError("is no JSON", where=path, remedy=AGAIN) from error
    version = document.get("format") if isinstance(document, dict) else None
    if version != FORMAT:
        raise InputError(
            f"is a model of format {version}, this program reads {FORMAT}",
            where=path,
            remedy=AGAIN,
        )
    try:
        return ModelCard.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{key}: {first['msg']}", where=path, remedy=AGAIN) from error


def in_words(card: ModelCard) -> str:
    """The card as Markdown, for people: what the model is, what it was trained on, what it is not.

    Intervals resample places (95 %).
    """
    count, validation = card.patches, card.metrics["validation"]
    scores = [
        f"| {name} | {_estimate(validation[name])} |" for name in ("precision", "recall", "f1")
    ]
    size_m = card.size_px * card.pixel_m
    lines = [
        f"# Mining model of preset {card.preset}",
        "",
        f"Weights {card.weights_sha256[:12]}, seed {card.seed}, epoch {card.epoch}; a network of "
        f"convolutions with {card.parameters['trainable']:,} trainable parameters.",
        "",
        "**Use.** Windows of Sentinel-1 images that look like illegal gold mines, for people to "
        "look at. **Not for field use, and no ground for action, before it was judged on real "
        "images of the region:** the options of the shipped presets were chosen on simulated "
        "radar, and what this model is worth is its training patches' worth.",
        "",
        f"**Sees.** {', '.join(f'{b} ({card.units[b]})' for b in card.bands)} of "
        f"{card.radiometry}; windows of "
        f"{card.size_px} px at {card.pixel_m:g} m ({size_m:g} m).",
        "",
        f"**Trained on** {count['training']} patches of {count['points']} places and "
        f"{count['scenes']} scenes (data {card.data_hash[:12]}); {count['validation']} held out by "
        f'split "{card.metrics["split"]}", {count["left_out"]} left out.',
        "",
        "**Held out, at probability 0.5**",
        "",
        "| score | value and 95 % interval |",
        "|---|---|",
        *scores,
        "",
        "The split `random` may hold one place on both sides: its scores flatter. The shares of "
        "mines among patches are not those of a map: precision there is lower.",
        "",
        "**Known limits.** Sandbars, ponds, burnt pasture and bare fields look alike; small and "
        "overgrown mines are missed; other regions, seasons and processors are not covered.",
    ]
    return "\n".join(lines) + "\n"


def _estimate(found: dict[str, float | None]) -> str:
    value, low, high = (found[key] for key in ("value", "low", "high"))
    if value is None:
        return "undefined"
    interval = "" if low is None or high is None else f" [{low:.2f}, {high:.2f}]"
    return f"{value:.2f}{interval}"
