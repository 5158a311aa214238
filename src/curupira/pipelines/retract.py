"""Take back what a bad run issued: `curupira retract`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from curupira import logs
from curupira.codes import ClosedReason, RunState
from curupira.config import Workspace
from curupira.errors import ConfigError
from curupira.pipelines.daily import utc_now
from curupira.pipelines.delivery import Options, Outcome, deliver
from curupira.pipelines.entries import withdraw
from curupira.store import acquisition as acquisitions
from curupira.store import delivery as ledger
from curupira.store import run as runs
from curupira.store import warning as warnings
from curupira.store.session import Store

log = logs.get(__name__)

#: Closed for good, also where the run is taken back.
_FINAL = (ClosedReason.WITHDRAWN, ClosedReason.REJECTED)


@dataclass
class Retraction:
    """What was taken back, who had got it, and what came of telling them."""

    withdrawn: int
    acquisitions: int
    told: list[str]
    outcomes: list[Outcome] = field(default_factory=list)


def retract(
    workspace: Workspace,
    run_id: str,
    why: str,
    *,
    options: Options | None = None,
    now: Callable[[], datetime] = utc_now,
) -> Retraction:
    """Withdraw the warnings that a run issued, and correct every target that had got one.

    Those that expired or were merged since are withdrawn as well; a rejection stands. The
    acquisitions that the run evaluated count as not evaluated from then on, so that a late scene
    does not bring its warnings back; ``run --force`` evaluates them again. Warnings of earlier runs
    that it changed stay as they are until then.

    Raises
    ------
    ConfigError
        If there is no such run, no reason is given, or the run is retracted already.
    BusyError
        If a run holds the workspace.
    """
    if not why.strip():
        raise ConfigError("no reason", where="--why", remedy="say what was wrong with the run")
    with (
        Store.open(workspace.monitor.store.url, base=workspace.folder, create=False) as store,
        store.lock(),
        store.transaction(durable=True) as session,
    ):
        run = runs.get(session, run_id)
        if run.state is RunState.RETRACTED:
            raise ConfigError(
                f"the run is retracted already ({run.message})",
                where=run_id,
                remedy="its corrections go out with `curupira deliver`",
            )
        rows = warnings.of_run(session, run_id)
        # What stayed beside its own copy after `run --force` would be counted twice.
        standing = [row for row in rows if row.closed_reason not in _FINAL]
        for row in standing:
            withdraw(row, now())
        evaluated = acquisitions.forget_evaluation(session, run_id)
        run.state, run.message = RunState.RETRACTED, why.strip()
        told = ledger.targets_told(session, [row.warning_id for row in rows])
    log.warning("run retracted", run=run_id, withdrawn=len(standing), why=why.strip())
    known = [name for name in told if name in workspace.monitor.delivery]
    done = Retraction(len(standing), evaluated, told)
    if known:
        done.outcomes = deliver(workspace, known, options)
    return done
