"""Verdict rules: who outranks whom, and what counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from curupira.codes import Verdict, VerdictSource, VoteKind
from curupira.validate.verdicts import (
    AUTOMATIC,
    REJECTING,
    UNASSESSED,
    ReviewState,
    decide,
    judged_confidence,
    standing,
)

START = datetime(2024, 6, 1, tzinfo=UTC)


@dataclass(frozen=True)
class V:
    vote_id: str
    interpreter: str
    verdict: Verdict
    source: VerdictSource = VerdictSource.DESK
    supersedes: str | None = None
    kind: VoteKind | None = VoteKind.VOTE
    hour: int = 0
    context: dict[str, str] | None = None

    @property
    def voted_at(self) -> datetime:
        return START + timedelta(hours=self.hour)


def test_no_votes_leave_a_warning_open() -> None:
    assert decide([]).state is ReviewState.OPEN


def test_agreeing_votes_are_the_verdict_of_the_first_moment() -> None:
    found = decide([V("1", "bia", Verdict.BURNT), V("2", "ana", Verdict.BURNT, hour=3)])
    assert (found.state, found.verdict, found.by) == (ReviewState.AGREED, Verdict.BURNT, "ana, bia")
    assert found.at == START
    assert found.n_votes == 2


def test_votes_that_differ_decide_nothing_until_somebody_rules() -> None:
    log = [V("1", "ana", Verdict.BURNT), V("2", "bia", Verdict.RESIDUE)]
    assert decide(log).state is ReviewState.DISPUTED
    assert decide(log).verdict is None
    ruled = [*log, V("3", "chief", Verdict.RESIDUE, kind=VoteKind.ADJUDICATION, hour=2)]
    found = decide(ruled)
    assert (found.state, found.verdict, found.by) == (
        ReviewState.ADJUDICATED,
        Verdict.RESIDUE,
        "chief",
    )


def test_who_cannot_tell_does_not_contradict_who_can() -> None:
    log = [V("1", "ana", Verdict.CLOUD), V("2", "bia", Verdict.NON_FOREST)]
    assert decide(log).verdict is Verdict.NON_FOREST
    assert decide(log).rejects
    # Two kinds of not knowing are no verdict either way, and stay a dispute of classes.
    unsure = [V("1", "ana", Verdict.CLOUD), V("2", "bia", Verdict.NO_REFERENCE)]
    assert decide(unsure).verdict is None


def test_the_field_outranks_the_desk_and_an_undone_vote_does_not_count() -> None:
    desk = V("1", "ana", Verdict.FALSE_POSITIVE)
    field = V("2", "guard", Verdict.RECENT_DEFORESTATION, source=VerdictSource.FIELD, hour=5)
    found = decide([desk, field])
    assert (found.state, found.verdict) == (ReviewState.FIELD, Verdict.RECENT_DEFORESTATION)
    undone = V("3", "guard", field.verdict, supersedes="2", kind=VoteKind.UNDO, hour=6)
    assert decide([desk, field, undone]).verdict is Verdict.FALSE_POSITIVE
    changed = V("4", "ana", Verdict.BURNT, supersedes="1", hour=7)
    assert [v.vote_id for v in standing([desk, field, undone, changed])] == ["4"]


FIELD = VerdictSource.FIELD
CLEARED = Verdict.RECENT_DEFORESTATION


def test_a_visit_that_could_not_tell_contradicts_nobody() -> None:
    desk = [V("1", "ana", CLEARED), V("2", "bia", CLEARED)]
    for unsure in UNASSESSED:
        blurred = V("9", "eva", unsure, FIELD, hour=9)
        found = decide([*desk, blurred])
        assert (found.state, found.verdict) == (ReviewState.AGREED, CLEARED)
        visit = V("3", "guard", Verdict.BURNT, FIELD, hour=1)
        found = decide([*desk, visit, blurred])
        assert (found.state, found.verdict, found.by) == (ReviewState.FIELD, Verdict.BURNT, "guard")
        ruled = V("4", "olga", Verdict.RESIDUE, kind=VoteKind.ADJUDICATION, hour=2)
        assert decide([*desk, visit, ruled, blurred]).verdict is Verdict.RESIDUE
        for alone in ([blurred], [V("1", "ana", Verdict.CLOUD), blurred]):
            assert (decide(alone).state, decide(alone).verdict) == (ReviewState.FIELD, unsure)
        # It is no second vote at the desk.
        assert decide([desk[0], blurred], blind=True).state is ReviewState.PENDING


def test_an_adjudication_overrules_only_the_field_verdicts_that_it_knew() -> None:
    visit = V("1", "guard", CLEARED, FIELD)
    ruled = V("2", "olga", Verdict.FALSE_POSITIVE, kind=VoteKind.ADJUDICATION, hour=1)
    later = V("3", "eva", CLEARED, FIELD, hour=500)
    found = decide([visit, ruled])
    assert (found.state, found.verdict) == (ReviewState.ADJUDICATED, Verdict.FALSE_POSITIVE)
    found = decide([visit, ruled, later])
    assert (found.state, found.verdict, found.by) == (ReviewState.FIELD, CLEARED, "eva")
    assert found.at == later.voted_at


def test_of_two_visits_the_latest_counts_not_the_latest_upload() -> None:
    def visit(key: str, day: str | None, verdict: Verdict, hour: int) -> V:
        context = None if day is None else {"visited_on": day}
        return V(key, "eva", verdict, FIELD, hour=hour, context=context)

    june, may = (
        visit("1", "2024-06-02", Verdict.BURNT, 1),
        visit("2", "2024-05-02", Verdict.RESIDUE, 7),
    )
    assert decide([june, may]).verdict is Verdict.BURNT
    assert decide([june, may, visit("3", None, CLEARED, 8)]).verdict is Verdict.BURNT
    assert decide([june, visit("4", "2024-06-02", CLEARED, 9)]).verdict is CLEARED


def test_the_optical_layer_counts_until_a_person_has_told() -> None:
    layer = V("1", AUTOMATIC, Verdict.AUTOMATIC)
    for verdict in set(Verdict) - UNASSESSED - {Verdict.AUTOMATIC}:
        found = decide([layer, V("2", "ana", verdict, hour=1)])
        assert (found.state, found.verdict, found.by) == (ReviewState.AGREED, verdict, "ana")
    for unsure in UNASSESSED:
        found = decide([layer, V("2", "ana", unsure, hour=1)])
        assert (found.verdict, found.by) == (Verdict.AUTOMATIC, AUTOMATIC)


def test_a_blind_first_vote_decides_nothing_and_the_second_settles_it() -> None:
    first = V("1", "ana", Verdict.FALSE_POSITIVE)
    alone = decide([first], blind=True)
    assert (alone.state, alone.verdict, alone.at) == (ReviewState.PENDING, None, None)
    again = V("2", "ana", Verdict.BURNT, supersedes="1", hour=1)
    assert decide([first, again], blind=True).state is ReviewState.PENDING
    same = V("3", "bia", Verdict.FALSE_POSITIVE, hour=5)
    settled = decide([first, same], blind=True)
    assert (settled.verdict, settled.by) == (Verdict.FALSE_POSITIVE, "ana, bia")
    assert settled.at == same.voted_at, "not before the second vote"
    unsure = V("3", "bia", Verdict.CLOUD, hour=6)
    assert decide([first, unsure], blind=True).at == unsure.voted_at
    assert decide([first, V("3", "bia", Verdict.BURNT)], blind=True).state is ReviewState.DISPUTED
    visited = V("4", "eva", Verdict.BURNT, VerdictSource.FIELD, hour=2)
    assert decide([first, visited], blind=True).verdict is Verdict.BURNT
    ruled = V("5", "olga", Verdict.RESIDUE, kind=VoteKind.ADJUDICATION)
    assert decide([first, ruled], blind=True).state is ReviewState.ADJUDICATED


def test_confidence_follows_only_what_was_assessed() -> None:
    for verdict in Verdict:
        found = judged_confidence(verdict)
        assert (found is None) == (verdict in UNASSESSED)
        assert (found == 0.0) == (verdict in REJECTING)


@settings(max_examples=60)
@given(st.lists(st.sampled_from(list(Verdict)), min_size=1, max_size=4))
def test_the_verdict_is_always_one_that_somebody_gave(words: list[Verdict]) -> None:
    found = decide([V(str(i), f"p{i}", word, hour=i) for i, word in enumerate(words)])
    told = {w for w in words if w not in UNASSESSED} or set(words)
    assert found.verdict is None or found.verdict in words
    assert (found.verdict is None) == (len(told) > 1)
