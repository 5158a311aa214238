"""Profiles: data that every key of [source] overrides, and what may not be mixed."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from curupira.config import Monitor, parse, render
from curupira.errors import ConfigError
from curupira.sources.profiles import PROFILES, SourceParams

APIS = [name for name in PROFILES if name != "static"]


@pytest.mark.parametrize("name", APIS)
def test_a_profile_fills_what_is_not_written(name: str) -> None:
    params = SourceParams(profile=name)
    for key, value in PROFILES[name].items():
        assert getattr(params, key) == value
    assert params.is_api
    assert urlsplit(params.catalogue).scheme == "https"


@pytest.mark.parametrize("name", APIS)
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("catalogue", "http://127.0.0.1:1/stac"),
        ("collection", "mine"),
        ("asset_vh", "cross"),
        ("access", "none"),
        ("token_hosts", ("x.org",)),
        ("read", "download"),
        ("clock_delay_hours", 3.0),
    ],
)
def test_a_key_that_is_written_wins(name: str, key: str, value: object) -> None:
    assert getattr(SourceParams.model_validate({"profile": name, key: value}), key) == value


def test_static_is_as_it_was() -> None:
    params = SourceParams()
    assert params.profile == "static"
    assert params.catalogue == "catalogue/catalog.json"
    assert params.assets == {"vh": "vh", "vv": "vv"}
    assert not params.is_api
    assert not SourceParams(catalogue="https://example.org/catalog").is_api


@pytest.mark.parametrize("name", APIS)
def test_a_rendered_profile_reads_back_the_same(name: str) -> None:
    monitor = Monitor(source=SourceParams(profile=name))
    assert parse(render(monitor)) == monitor


def test_a_copy_on_disk_is_read_with_a_profiles_meaning() -> None:
    params = SourceParams(profile="pc-rtc", catalogue="mirror/catalog.json")
    assert not params.is_api
    assert params.product == "rtc-planetary"


def test_urls_rates_and_access_stay_out_of_the_hash() -> None:
    first = Monitor(source=SourceParams(profile="pc-rtc"))
    other = Monitor(
        source=SourceParams(
            profile="pc-rtc", catalogue="https://mirror.org/stac", attempts=9, read="download"
        )
    )
    assert first.hash == other.hash
    assert first.hash != Monitor(source=SourceParams(profile="pc-rtc", product="own")).hash


def test_the_second_provider_has_the_same_product() -> None:
    params = SourceParams(
        profile="pc-grd", fallback="cdse-grd", orbit_state="descending", attempts=2
    )
    other = params.second()
    assert other is not None
    assert (other.provider, other.access) == ("cdse-grd", "s3")
    assert (other.orbit_state, other.attempts) == ("descending", 2)
    mirror = SourceParams(profile="pc-rtc", fallback="https://mirror.org/stac").second()
    assert mirror is not None
    assert (mirror.catalogue, mirror.fallback) == ("https://mirror.org/stac", "")


@pytest.mark.parametrize("pair", [("pc-rtc", "opera-rtc"), ("opera-rtc", "pc-rtc")])
def test_planetary_and_opera_rtc_are_not_mixed(pair: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match="must not share a baseline"):
        SourceParams(profile=pair[0], fallback=pair[1])


@pytest.mark.parametrize("name", ["nowhere", "static", "pc-rtc"])
def test_a_fallback_that_is_none(name: str) -> None:
    with pytest.raises(ConfigError, match="no other provider"):
        SourceParams(profile="pc-rtc", fallback=name)


def test_an_api_needs_a_collection() -> None:
    with pytest.raises(ConfigError, match="collection"):
        SourceParams(profile="pc-rtc", collection="")
