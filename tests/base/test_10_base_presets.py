"""Presets: TOML documents that extend each other."""

import pickle
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from curupira import presets
from curupira.errors import ConfigError

SHIPPED = ["curupira", "deter_r", "deter_r_c2", "deter_r_paper", "sensitive"]


def _options(preset: presets.Preset) -> dict[str, object]:
    return {key: value for section in preset.sections.values() for key, value in section.items()}


def test_the_published_presets_and_our_own_are_shipped() -> None:
    assert presets.names("detect") == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_every_preset_has_every_option_of_deter_r(name: str) -> None:
    base = presets.load("deter_r")
    other = presets.load(name)
    assert {s: set(o) for s, o in other.sections.items()} == {
        s: set(o) for s, o in base.sections.items()
    }
    assert other.name == name


@pytest.mark.parametrize("name", SHIPPED)
def test_option_names_are_unique_and_each_has_a_comment_above(name: str) -> None:
    text = (resources.files("curupira") / "presets/detect" / f"{name}.toml").read_text()
    document = tomllib.loads(text)
    keys = [k for section in document.values() if isinstance(section, dict) for k in section]
    assert len(keys) == len(set(keys))
    lines = text.splitlines()
    for key in keys:
        (at,) = [i for i, line in enumerate(lines) if line.startswith(f"{key} = ")]
        assert lines[at - 1].startswith("# "), key


@pytest.mark.parametrize("name", ["deter_r_paper", "deter_r_c2", "sensitive"])
def test_an_extending_preset_states_only_what_differs(name: str) -> None:
    text = (resources.files("curupira") / "presets/detect" / f"{name}.toml").read_text()
    document = tomllib.loads(text)
    assert document.pop("extends") == "deter_r"
    base = _options(presets.load("deter_r"))
    stated = {k: v for section in document.values() for k, v in section.items()}
    assert stated
    assert all(base[key] != value for key, value in stated.items())


def test_values_of_the_presets() -> None:
    paper = _options(presets.load("deter_r_paper"))
    assert (paper["learning_months"], paper["expectation"], paper["threshold_law"]) == (
        36,
        "box",
        "cdf",
    )
    assert (paper["confirm_statistic"], paper["confirm_n_alerts"]) == ("mean", 1.0)
    assert (paper["season_order"], paper["max_distance_m"]) == ("after", 10_000.0)
    c2 = _options(presets.load("deter_r_c2"))
    assert (c2["minimum_area_ha"], c2["area_crs"]) == (0.4, "EPSG:5880")
    sensitive = _options(presets.load("sensitive"))
    assert (sensitive["expectation"], sensitive["expectation_window"]) == ("box", 3)
    assert (sensitive["refined_lee"], sensitive["minimum_area_ha"]) == ("none", 0.2)
    assert sensitive["area_crs"] == "geodesic"


def test_replace_changes_a_copy_and_the_hash() -> None:
    base = presets.load("deter_r")
    other = base.replace(minimum_area_ha=0.2)
    assert other.section("polygon")["minimum_area_ha"] == 0.2
    assert base.section("polygon")["minimum_area_ha"] == 1.0
    assert other.hash != base.hash
    assert base.replace(minimum_area_ha=1.0).hash == base.hash
    with pytest.raises(TypeError):
        base.section("polygon")["minimum_area_ha"] = 3.0  # type: ignore[index]


def test_replace_refuses_an_unknown_option() -> None:
    with pytest.raises(ConfigError, match=r"no option 'mmu'.*minimum_area_ha"):
        presets.load("deter_r").replace(mmu=0.2)


def test_a_missing_section_is_named() -> None:
    with pytest.raises(ConfigError, match=r"section \[weather\] is missing"):
        presets.load("deter_r").section("weather")


def test_a_preset_survives_pickling() -> None:
    base = presets.load("sensitive")
    again = pickle.loads(pickle.dumps(base))
    assert (again.name, again.hash, again.sections) == (base.name, base.hash, base.sections)


def test_a_file_of_the_users(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('extends = "sensitive"\n[polygon]\nminimum_area_ha = 0.3\n')
    mine = presets.load(file)
    assert mine.name == "mine"
    assert mine.section("polygon")["minimum_area_ha"] == 0.3
    assert mine.section("speckle")["refined_lee"] == "none"
    assert presets.load(mine) is mine


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('extends = "deter_r"\n[polygon]\nmmu = 1\n', r"unknown option 'mmu' in \[polygon\]"),
        ('extends = "deter_r"\n[weather]\nrain = 1\n', r"unknown option 'rain' in \[weather\]"),
        ("minimum_area_ha = 1\n", "stands outside any section"),
        ("[polygon\n", "not valid TOML"),
        ('extends = "deter_q"\n', "no preset 'deter_q'.*deter_r_c2"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        presets.load(file)


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="deter_r, deter_r_c2, deter_r_paper, sensitive"):
        presets.load("nothing")
