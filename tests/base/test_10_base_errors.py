"""The error tree: what a user reads, what a program gets, and survival across processes."""

import pickle

import pytest

from curupira import errors
from curupira.codes import TRANSITIONS, ClosedReason, IntensityClass, Status, Verdict

EXIT_CODES = {
    errors.CurupiraError: 1,
    errors.ConfigError: 2,
    errors.SourceError: 3,
    errors.StoreError: 5,
    errors.BusyError: 5,
    errors.DeliveryError: 6,
    errors.InputError: 7,
}


def tree(cls):
    return {cls}.union(*(tree(child) for child in cls.__subclasses__()))


def test_every_class_has_the_exit_code_of_the_contract():
    own = {cls for cls in tree(errors.CurupiraError) if cls.__module__ == "curupira.errors"}
    assert {cls: cls.exit_code for cls in own} == EXIT_CODES
    assert all(400 <= cls.http_status < 600 for cls in own)


@pytest.mark.parametrize(
    ("where", "remedy", "text"),
    [
        (None, None, "it broke."),
        ("a.tif", None, "a.tif: it broke."),
        (None, "mend it", "it broke. mend it."),
        ("a.tif", "mend it.", "a.tif: it broke. mend it."),
    ],
)
def test_message(where, remedy, text):
    assert str(errors.InputError("it broke", where=where, remedy=remedy)) == text


@pytest.mark.parametrize("cls", EXIT_CODES)
def test_errors_cross_process_borders(cls, tmp_path):
    error = pickle.loads(pickle.dumps(cls("it broke", where=tmp_path, remedy="mend it")))
    assert type(error) is cls
    assert (error.what, error.where, error.remedy) == ("it broke", str(tmp_path), "mend it")
    assert str(error) == f"{tmp_path}: it broke. mend it."


def test_status_never_goes_back():
    assert set(TRANSITIONS) == set(Status)
    assert TRANSITIONS[Status.CLOSED] == frozenset()
    assert Status.PRELIMINARY not in set().union(*TRANSITIONS.values())
    assert all(state not in following for state, following in TRANSITIONS.items())


def test_published_words():
    # product.md sections 3, 5 and 8: other programs read these.
    assert {s.value for s in Status} == {"preliminary", "confirmed", "closed"}
    assert {"expired", "merged_into", "withdrawn", "rejected"} == {r.value for r in ClosedReason}
    assert {i.value for i in IntensityClass} == {"low_intensity", "high_intensity"}
    assert len(Verdict) == 10
