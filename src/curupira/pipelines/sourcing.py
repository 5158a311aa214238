"""Where scenes come from: a catalogue that is read, or a STAC API that is searched."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from curupira import logs
from curupira.config import Workspace
from curupira.detect.params import DetectParams
from curupira.errors import ConfigError, InputError, SourceError
from curupira.records import Scene
from curupira.sources import catalogue
from curupira.sources.images import Images, Prepare, Provider
from curupira.sources.profiles import SourceParams
from curupira.sources.search import adapt, find_scene, search_scenes
from curupira.store import meta
from curupira.units import add_months

log = logs.get(__name__)
_MARK, _PRODUCT = "source_mark", "source_product"
OnBad = Callable[[str, InputError], None]


@dataclass(frozen=True)
class Mark:
    """What a finished run has found: everything of a question, up to a day of acquisition."""

    question: str
    since: date
    newest: date


@lru_cache(maxsize=4)
def _images(params: SourceParams, folder: Path, prepare: Prepare | None) -> Images:
    # Kept for the process: the request rate and the tokens are the provider's, not a scene's.
    return Images(params, folder, find_scene, prepare)


def images(workspace: Workspace) -> Images:
    """The workspace's providers of images."""
    params = workspace.monitor.source
    return _images(params, workspace.path(params.downloads), _prepare(workspace))


def _prepare(workspace: Workspace) -> Prepare | None:
    params = workspace.monitor.source
    if params.product != "grd":
        return None
    # Imported here: its kernels are of no use to other sources.
    from curupira.pipelines.grd_source import GrdImages

    return GrdImages(
        workspace.grid,
        workspace.href(params.dem),
        params.geoid,
        params.grd_radiometry,
        workspace.path(params.orbit_folder),
        params.orbit_url or None,
        workspace.monitor.compute.threads,
    )


def history_start(workspace: Workspace) -> date:
    """First day whose images a detection of the first monitored day can use."""
    period = DetectParams.from_preset(workspace.preset).period
    months = period.learning_months + period.detection_months
    return add_months(workspace.monitor.algorithm.monitor_since, -months)


def check_dem(workspace: Workspace) -> None:
    """Refuse a source of GRD products without a height model.

    Raises
    ------
    ConfigError
        If there is none, or it cannot be opened.
    """
    from curupira.pipelines import grd_source

    params = workspace.monitor.source
    grd_source.check_dem(params, workspace.href(params.dem))


def offered(
    workspace: Workspace, now: datetime, on_bad: OnBad, mark: Mark | None = None
) -> list[Scene]:
    """Every scene that the source offers and that can matter, before any selection.

    Parameters
    ----------
    mark
        What an earlier run has found: a STAC API is then asked for ``lookback_days`` before only.

    Raises
    ------
    ConfigError
        If a local catalogue does not exist, or the source offers GRD products and there is no
        height model.
    SourceError
        If it cannot be reached, nor the second provider.
    """
    params = workspace.monitor.source
    if params.product == "grd":
        check_dem(workspace)
    if not params.is_api:
        return read(workspace, now, on_bad)
    return search(workspace, search_start(workspace, mark), now, on_bad)


def read(workspace: Workspace, now: datetime, on_bad: OnBad) -> list[Scene]:
    """Read a static catalogue: ours, or a copy of a provider's."""
    params = workspace.monitor.source
    return catalogue.read_catalogue(
        workspace.href(params.catalogue),
        params.assets,
        required=params.required,
        on_bad=on_bad,
        now=now,
        adapt=None if params.profile == "static" else lambda item: adapt(item, params),
        http=catalogue.connection(params),
    )


def search_start(workspace: Workspace, mark: Mark | None) -> date:
    """First day of acquisition to search from."""
    start = history_start(workspace)
    if mark is None or mark.question != question(workspace) or mark.since > start:
        return start
    lookback = timedelta(days=workspace.monitor.source.lookback_days)
    return max(start, mark.newest - lookback)


def search(workspace: Workspace, since: date, now: datetime, on_bad: OnBad) -> list[Scene]:
    """Search the first provider, or the second where the first does not answer."""
    both = images(workspace)
    try:
        return ask(both.first, workspace, since, now, on_bad)
    except SourceError as error:
        if both.second is None:
            raise
        log.warning("second provider", step="search", reason=str(error))
        return ask(both.second, workspace, since, now, on_bad)


def ask(
    provider: Provider, workspace: Workspace, since: date, now: datetime, on_bad: OnBad
) -> list[Scene]:
    """Search one provider over the workspace's area."""
    return search_scenes(
        provider, area=workspace.area, since=since, until=None, on_bad=on_bad, now=now
    )


def question(workspace: Workspace) -> str:
    """Identity of what is asked of a source: its section of the monitor file, and the area."""
    params = workspace.monitor.source
    asked: dict[str, Any] = params.model_dump(mode="json", exclude={"downloads", "fallback"})
    asked["area"] = workspace.area.wkb_hex
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def read_mark(session: Session) -> Mark | None:
    """What the last run that finished has found."""
    text = meta.get(session, _MARK)
    if text is None:
        return None
    stored = json.loads(text)
    return Mark(
        stored["question"],
        date.fromisoformat(stored["since"]),
        date.fromisoformat(stored["newest"]),
    )


def write_mark(session: Session, workspace: Workspace, scenes: list[Scene]) -> None:
    """Note that every scene found has been dealt with; call at the end of a run without an end."""
    if not scenes or not workspace.monitor.source.is_api:
        return
    stored = {
        "question": question(workspace),
        "since": history_start(workspace).isoformat(),
        "newest": max(scene.acquired for scene in scenes).date().isoformat(),
    }
    meta.put(session, _MARK, json.dumps(stored))


def keep_product(session: Session, params: SourceParams) -> None:
    """Refuse images of another processing chain than the workspace's baseline is made of.

    Raises
    ------
    ConfigError
        If the workspace has taken images of another product.
    """
    first = meta.get(session, _PRODUCT)
    if first is None:
        meta.put(session, _PRODUCT, params.product)
    elif first != params.product:
        raise ConfigError(
            f"the workspace's images are {first}, those of {params.provider} are {params.product}: "
            "they are processed differently and must not share a baseline",
            where="[source] product",
            remedy="make a new workspace for the new source, or restore the old [source]",
        )
