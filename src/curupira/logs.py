"""Logging: structlog, text on a terminal, JSON lines into a file."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import structlog

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


def configure(*, level: str = "WARNING", json_file: Path | None = None) -> None:
    """Send log lines to stderr and, with ``json_file``, as JSON lines to that file as well."""
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
    handlers: list[logging.Handler] = [text]
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        lines = logging.FileHandler(json_file, encoding="utf-8")
        lines.setLevel("INFO")
        lines.setFormatter(
            structlog.stdlib.ProcessorFormatter(processor=structlog.processors.JSONRenderer())
        )
        handlers.append(lines)
    logger = logging.getLogger("curupira")
    for old in list(logger.handlers):
        logger.removeHandler(old)
        old.close()
    logger.handlers = handlers
    logger.setLevel(min(logging.getLevelName(level), logging.INFO))
    logger.propagate = False
