"""``model.json``: what a model's files hold. Read without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curupira.errors import InputError

FORMAT = 2
WEIGHTS, EXPORT, CARD = "model.pt", "model.onnx", "model.json"
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
