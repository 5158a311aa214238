"""The vote log as rows of a file."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from curupira.codes import VoteKind
from curupira.store import review as reviews
from curupira.store import sample as samples
from curupira.validate import verdicts

#: Columns of the vote log as a file.
LOG_COLUMNS = (
    *("vote_id", "warning_id", "interpreter", "source", "kind", "verdict", "confidence", "reason"),
    *("comment", "seconds_spent", "voted_at", "supersedes", "standing"),
    *("sample_day", "plan", "stratum", "inclusion_probability", "blind"),
)


def entries(session: Session) -> list[dict[str, Any]]:
    """Every entry of the vote log in time order, with the draw of its warning."""
    found = []
    for key, votes in reviews.by_warning(session).items():
        drawn = samples.of_warning(session, key)
        kept = verdicts.standing(votes)
        for vote in votes:
            row: dict[str, Any] = {name: getattr(vote, name) for name in LOG_COLUMNS[:12]}
            row["kind"] = vote.kind or VoteKind.VOTE
            row["voted_at"] = vote.voted_at.isoformat(timespec="milliseconds")
            row["standing"] = vote in kept
            if drawn is not None:
                row |= {
                    "sample_day": drawn.day.isoformat(),
                    "plan": drawn.plan,
                    "stratum": drawn.stratum,
                    "inclusion_probability": drawn.inclusion_probability,
                    "blind": drawn.blind,
                }
            found.append(row)
    return sorted(found, key=lambda row: str(row["voted_at"]))
