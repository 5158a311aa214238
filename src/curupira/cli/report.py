"""``curupira export``."""

import typer


def register(app: typer.Typer) -> None: ...
