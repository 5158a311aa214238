"""The command line in this process, and the builder of hand-made workspaces."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from curupira import logs
from curupira.cli import common, main


class Answer(NamedTuple):
    """What a command said and how it ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def curupira(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Answer]]:
    """Run ``curupira ARGUMENT...`` and return its answer."""

    def command(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["curupira", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main.run()
        said = capsys.readouterr()
        code = stop.value.code
        assert isinstance(code, int)
        return Answer(code, said.out, said.err)

    yield command
    common.Verbosity.quiet = False
    logs.configure()


@pytest.fixture(scope="session")
def builder() -> ModuleType:
    """``tests/pipelines/builder.py``."""
    name = "curupira_test_builder"
    if name not in sys.modules:
        path = Path(__file__).parents[1] / "pipelines" / "builder.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]
