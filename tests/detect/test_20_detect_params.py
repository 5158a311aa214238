"""Parameters of detection, and a pixel's confidence."""

import tomllib
from importlib import resources

import numpy as np
import pytest

from curupira import presets
from curupira.detect.confirm import confidence
from curupira.detect.params import DetectParams
from curupira.errors import ConfigError


def _load(name: str, **values: object) -> DetectParams:
    return DetectParams.from_preset(presets.load(name).replace(**values))


@pytest.mark.parametrize("name", presets.names("detect"))
def test_every_shipped_preset_is_valid(name: str) -> None:
    params = _load(name)
    assert params.geometry.angle_min_deg == 30.63993
    assert params.geometry.angle_max_deg == 45.23993


def test_no_model_has_a_default_and_all_have_bounds_and_a_source() -> None:
    for section, field in DetectParams.model_fields.items():
        for name, option in field.annotation.model_fields.items():  # type: ignore[union-attr]
            assert option.is_required(), f"{section}.{name}"
            assert option.description


def test_the_models_hold_exactly_the_options_of_the_file() -> None:
    text = (resources.files("curupira") / "presets/detect/deter_r.toml").read_text()
    document = tomllib.loads(text)
    for section, field in DetectParams.model_fields.items():
        assert set(document[section]) == set(field.annotation.model_fields)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_months": 0}, r"\[period\]: learning_months: .*got 0"),
        ({"learning_months": 24.5}, "learning_months"),
        ({"threshold_min": "2.5"}, "threshold_min.*got '2.5'"),
        ({"threshold_min": float("nan")}, "threshold_min"),
        ({"threshold_min": 5.0}, "threshold_min must not exceed threshold_max"),
        ({"threshold_law": "logistic"}, "threshold_law.*cdf"),
        ({"expectation_window": 4}, "odd"),
        ({"lia_min_deg": 60.0}, "lia_min_deg must be below"),
        ({"angle_min_deg": 50.0}, "angle_min_deg must be below"),
        ({"quegan_yu": 1}, "quegan_yu"),
        ({"orbits": "both"}, "orbits"),
    ],
)
def test_a_bad_value_is_named_with_its_section(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _load("deter_r", **values)


def test_parameters_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        _load("deter_r").period.learning_months = 12  # type: ignore[misc]


@pytest.mark.parametrize(("name", "halo"), [("deter_r", 5), ("deter_r_paper", 5), ("sensitive", 1)])
def test_halo_is_the_reach_of_the_filters(name: str, halo: int) -> None:
    assert _load(name).halo == halo


def test_without_filters_there_is_no_halo() -> None:
    assert _load("deter_r", quegan_yu=False, refined_lee="none").halo == 0
    assert _load("deter_r", quegan_yu=False).halo == 3


def test_confidence_starts_at_the_published_share_and_grows() -> None:
    values = confidence(np.array([0, 1, 2, 3, 254, 255], dtype=np.uint8))
    np.testing.assert_allclose(values, [0, 0.7, 0.91, 0.973, 1, 0], atol=1e-6)
    assert values.dtype == np.float32
