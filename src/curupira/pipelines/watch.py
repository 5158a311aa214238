"""Watching the watcher: metrics for Prometheus, and an alarm when nothing new comes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from curupira import logs
from curupira.config import AlarmParams, Workspace
from curupira.pipelines.status import collect

log = logs.get(__name__)

#: Seconds that the alarm's command may take.
_PATIENCE = 60
_DAY = 86_400


def metrics(found: Mapping[str, Any]) -> str:
    """What ``status.collect`` found, in the text format of Prometheus.

    Moments are given as Unix time and not as ages: the reader knows what time it is.
    """
    lines: list[str] = []
    for name, text, samples in _families(found):
        known = [(labels, value) for labels, value in samples if value is not None]
        if known:
            lines += [f"# HELP curupira_{name} {text}", f"# TYPE curupira_{name} gauge"]
            lines += [f"curupira_{name}{_labels(labels)} {value:g}" if isinstance(value, float)
                      else f"curupira_{name}{_labels(labels)} {value}"
                      for labels, value in known]  # fmt: skip
    return "\n".join(lines) + "\n"


Samples = list[tuple[dict[str, str], int | float | None]]


def _families(found: Mapping[str, Any]) -> Iterator[tuple[str, str, Samples]]:
    last, run = found["last_scene"] or {}, found["last_run"] or {}
    yield (
        "last_scene_acquired_seconds",
        "Unix time of the newest image",
        [({}, _unix(last.get("acquired")))],
    )
    yield (
        "last_scene_created_seconds",
        "Unix time when the newest image was published",
        [({}, _unix(last.get("created")))],
    )
    yield (
        "last_run_finished_seconds",
        "Unix time when the last run ended",
        [({}, _unix(run.get("finished_at")))],
    )
    yield (
        "last_run_ok",
        "1 if the last run ended well",
        [({}, int(run["state"] == "done") if run else None)],
    )
    timings = run.get("timings") or {}
    yield (
        "last_run_stage_seconds",
        "Seconds that the last run spent in a stage",
        [({"stage": stage}, float(seconds)) for stage, seconds in sorted(timings.items())],
    )
    yield "scenes", "Images by what became of them", _by(found["scenes"], "state")
    yield "warnings", "Warnings by status", _by(found["warnings"], "status")
    yield (
        "observation_gaps",
        "Pauses of an orbit beyond 1.5 times the usual",
        [({}, len(found["gaps"]))],
    )
    yield (
        "pending_evaluations",
        "Acquisitions that wait for their evaluation",
        [({}, found["pending_evaluation"])],
    )
    yield (
        "deliveries",
        "Entries of the delivery ledger",
        [({"target": d["target"], "state": d["state"]}, d["entries"]) for d in found["deliveries"]],
    )
    yield (
        "area_km2",
        "Monitored and masked ground",
        [
            ({"kind": kind}, float(km2))
            for kind, km2 in sorted((found["coverage_km2"] or {}).items())
        ],
    )


def _by(counts: Mapping[str, int], label: str) -> Samples:
    return [({label: name}, n) for name, n in sorted(counts.items())]


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    # JSON escapes quotes, backslashes and line ends as the format wants them.
    inner = ",".join(f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in labels.items())
    return "{" + inner + "}"


def _unix(text: str | None) -> int | None:
    return None if text is None else int(datetime.fromisoformat(text).timestamp())


def stale_days(found: Mapping[str, Any], now: datetime) -> int | None:
    """Whole days since the newest image was published, or None before the first."""
    last = found["last_scene"]
    if last is None:
        return None
    return int((now - datetime.fromisoformat(last["created"])).total_seconds() // _DAY)


def alarm(workspace: Workspace, now: datetime) -> str | None:
    """Ring if nothing new came for too long; returns what was said, None where all is well.

    The command gets the message as JSON on its standard input. If it fails, that is logged: the
    monitor goes on.
    """
    params = workspace.monitor.alarm
    if not params.days:
        return None
    found = collect(workspace)
    days = stale_days(found, now)
    if days is None or days < params.days:
        return None
    message = f"no new image for {days} days; the last is {found['last_scene']['scene']}"
    log.warning("alarm", reason=message)
    if params.command:
        _ring(params, workspace.folder, {"message": message, "days": days, **_brief(found)})
    return message


def _brief(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: found[key] for key in ("last_scene", "last_run", "warnings")}


def _ring(params: AlarmParams, folder: Path, told: Mapping[str, Any]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 (the operator's own command, without a shell)
            params.command,
            input=json.dumps(told, default=str),
            cwd=folder,
            timeout=_PATIENCE,
            capture_output=True,
            text=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.error("the alarm's command failed", command=params.command[0], reason=str(error))
        return
    if done.returncode:
        log.error(
            "the alarm's command failed",
            command=params.command[0],
            code=done.returncode,
            reason=done.stderr.strip()[-500:],
        )
