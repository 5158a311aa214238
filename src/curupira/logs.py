"""Logging: structlog, text on a terminal, JSON lines into a file."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import structlog

from curupira.errors import ConfigError

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def get(name: str) -> structlog.stdlib.BoundLogger:
    """Logger of a module; ``run``, ``scene`` and ``tile`` are bound by the pipelines."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger


def configure(*, level: str = "WARNING") -> None:
    """Send log lines to stderr, from ``level`` on."""
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    text = logging.StreamHandler(sys.stderr)
    text.setLevel(level)
    text.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processor=structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        )
    )
    logger = _logger()
    for old in [h for h in logger.handlers if not isinstance(h, logging.FileHandler)]:
        logger.removeHandler(old)
    logger.addHandler(text)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False


def add_json_file(path: Path) -> None:
    """Also write log lines, from INFO on, as JSON lines to a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write the log ({error.strerror})", where=path) from error
    lines.setLevel("INFO")
    lines.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=structlog.processors.JSONRenderer())
    )
    _logger().addHandler(lines)


def _logger() -> logging.Logger:
    return logging.getLogger("curupira")
