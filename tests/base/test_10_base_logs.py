"""Log lines: text on stderr, JSON lines in a file."""

import json
import logging

import pytest
import structlog

from curupira import logs
from curupira.errors import ConfigError


@pytest.fixture(autouse=True)
def _as_before():
    logger = logging.getLogger("curupira")
    before = list(logger.handlers), logger.level, logger.propagate
    yield
    for handler in logger.handlers:
        if handler not in before[0]:
            handler.close()
    logger.handlers, logger.level, logger.propagate = before
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


def test_text_goes_to_stderr_from_the_level_on(capsys):
    logs.configure(level="WARNING")
    log = logs.get("curupira.test")
    log.info("too quiet")
    log.warning("scene refused", reason="no CRS")
    out, err = capsys.readouterr()
    assert out == ""
    assert "too quiet" not in err
    assert "scene refused" in err
    assert "no CRS" in err


def test_configuring_twice_writes_each_line_once(capsys):
    logs.configure()
    logs.configure()
    logs.get("curupira.test").warning("once")
    assert capsys.readouterr().err.count("once") == 1


def test_json_lines_carry_what_is_bound(tmp_path):
    logs.configure(level="ERROR")
    path = tmp_path / "logs" / "run.jsonl"
    logs.add_json_file(path)
    log = logs.get("curupira.test")
    with structlog.contextvars.bound_contextvars(run="r1", scene="s1"):
        log.info("ingested", pixels=12)
    log.debug("not written")
    try:
        raise ConfigError("it broke", where="a.toml")
    except ConfigError:
        log.exception("failed")
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert (
        first.items()
        >= {
            "event": "ingested",
            "run": "r1",
            "scene": "s1",
            "pixels": 12,
            "level": "info",
        }.items()
    )
    assert first["timestamp"].endswith("Z")
    assert "a.toml: it broke" in second["exception"]


def test_a_log_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="cannot write the log"):
        logs.add_json_file(tmp_path / "file" / "run.jsonl")
