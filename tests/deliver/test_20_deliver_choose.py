"""Who gets what: the rule of one target, one warning at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from curupira.codes import ClosedReason, IntensityClass, Status, Verdict
from curupira.config import parse, render
from curupira.deliver.choose import Facts, Told, choose
from curupira.deliver.params import DeliveryParams
from curupira.errors import ConfigError

FACTS = Facts(
    warning_id="w",
    status=Status.CONFIRMED,
    closed_reason=None,
    intensity_class=IntensityClass.HIGH,
    verdict=None,
    confidence=0.8,
    area_ha=3.0,
    issued_at=datetime(2024, 6, 1, tzinfo=UTC),
    geometry=shapely.box(-52, -7, -51.99, -6.99),
    names=frozenset({"PA"}),
)


def decide(last=None, params=None, **given):
    return choose(replace(FACTS, **given), last, params or DeliveryParams(), None)


def test_without_validation_only_high_intensity():
    assert decide().told is Told.NEW
    assert decide(intensity_class=IntensityClass.LOW) is None
    passed = decide(intensity_class=IntensityClass.LOW, verdict=Verdict.RECENT_DEGRADATION)
    assert passed.told is Told.NEW
    assert decide(verdict=Verdict.FALSE_POSITIVE) is None


def test_status_confidence_area_and_places():
    assert decide(status=Status.PRELIMINARY) is None
    assert decide(params=DeliveryParams(min_confidence=0.81)) is None
    assert decide(params=DeliveryParams(min_confidence=0.1), confidence=None) is None
    assert decide(params=DeliveryParams(min_area_ha=3.1)) is None
    assert decide(params=DeliveryParams(areas=("AM", "PA"))).told is Told.NEW
    assert decide(params=DeliveryParams(areas=("AM",))) is None
    far = shapely.box(0, 0, 1, 1)
    assert choose(FACTS, None, DeliveryParams(), far) is None


@given(
    status=st.sampled_from(Status),
    reason=st.sampled_from([None, *ClosedReason]),
    kind=st.sampled_from(IntensityClass),
    verdict=st.sampled_from([None, *Verdict]),
    shift=st.floats(-1, 1),
)
@settings(max_examples=60, deadline=None)
def test_what_was_told_is_not_told_again(status, reason, kind, verdict, shift):
    """Telling settles a warning, whatever its state; and any withdrawal is a correction."""
    geometry = shapely.affinity.translate(FACTS.geometry, shift)
    state = {
        "status": status,
        "closed_reason": reason,
        "intensity_class": kind,
        "verdict": verdict,
        "geometry": geometry,
    }
    first = decide(last="something else", **state)
    assert first is not None
    assert decide(last=first.digest, **state) is None
    # The order of the vertices is no change.
    assert decide(last=first.digest, **{**state, "geometry": geometry.reverse()}) is None
    if reason in (ClosedReason.WITHDRAWN, ClosedReason.REJECTED):
        assert first.told is Told.CORRECTION


def test_a_tenth_of_a_millimetre_is_no_change():
    first = decide()
    moved = shapely.affinity.translate(FACTS.geometry, 1e-9)
    assert decide(last=first.digest, geometry=moved) is None
    moved = shapely.affinity.translate(FACTS.geometry, 1e-4)
    assert decide(last=first.digest, geometry=moved).told is Told.UPDATE


def test_a_raise_to_confirmed_is_known():
    both = DeliveryParams(statuses=(Status.PRELIMINARY, Status.CONFIRMED))
    first = decide(params=both, status=Status.PRELIMINARY)
    then = decide(last=first.digest, params=both)
    assert (then.told, then.raised) == (Told.UPDATE, True)
    grown = decide(last=then.digest, params=both, geometry=shapely.box(-52, -7, -51.9, -6.9))
    assert (grown.told, grown.raised) == (Told.UPDATE, False)


SECTION = '[delivery.ibama]\nkind = "sftp"\nurl = "sftp://u@host/in"\nhost_key = "ssh-ed25519 AA"\n'


def test_monitor_file_with_targets_goes_round():
    monitor = parse(SECTION + "[delivery.local]\nrule = 'deter_r'\nmin_area_ha = 5\n")
    assert list(monitor.delivery) == ["ibama", "local"]
    assert monitor.delivery["local"].formats == ("deter_r",)
    assert monitor.delivery["local"].min_area_ha == 5
    assert parse(render(monitor)) == monitor
    assert parse(SECTION).hash == parse("").hash


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[delivery.x]\nkind = "sftp"\nurl = "sftp://u:hunter2@h/"', "password_env"),
        ('[delivery.x]\npassword_env = "hunter2 is it"', "name of an environment variable"),
        ('[delivery.x]\npassword = "hunter2"', "unknown key"),
        ('[delivery.x]\nkind = "sftp"\nurl = "sftp://u@h/"', "host_key"),
        ('[delivery.x]\nkind = "webhook"\nurl = "http://h.org/"\nsecret_env = "S"', "https"),
        ('[delivery.x]\nkind = "webhook"\nurl = "https://h.org/"', "secret_env"),
        ('[delivery.x]\nkind = "email"\nurl = "smtp://h"', "recipients"),
        ('[delivery.x]\nkind = "ftp"\nurl = "outbox"', "ftp://"),
        ('[delivery."../../etc"]\nurl = "x"', "target's name"),
        ('[delivery.x]\nprefix = "../x"', "prefix"),
        ('[delivery.x]\nlock_file = "a/b"', "lock_file"),
        ('[delivery.x]\nrule = "none"', "known: deter_r"),
        ('[delivery.x]\nverdicts = ["sure"]', "no verdict"),
        ('[delivery.x]\nkind = "email"\nsender = "a@b\\nBcc: c@d"', "e-mail"),
    ],
)
def test_what_is_wrong_is_named_and_secrets_are_not_repeated(text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        parse(text)
    assert "hunter2" not in str(caught.value)
