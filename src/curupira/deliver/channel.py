"""What a place for files can do, whatever the protocol; and the local folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from curupira import logs
from curupira.errors import ConfigError, DeliveryError

log = logs.get(__name__)

PART = ".part"
CHUNK = 32 * 1024


class CutError(DeliveryError):
    """The connection was cut or the server did not answer: worth another try."""


class WaitError(DeliveryError):
    """The other end is at work, or has not taken the last hand-over yet: for the next time."""


class RefusedError(DeliveryError):
    """Some of the recipients refuse, the others have it: no reason to hold back what follows."""


class Channel(Protocol):
    """A folder somewhere; names are relative to it, with ``/`` between."""

    where: str

    def size(self, name: str) -> int | None:
        """Bytes of a file; None if there is none."""

    def read(self, name: str) -> bytes | None:
        """Contents of a small file; None if there is none."""

    def put(self, local: Path, name: str, *, resume: bool) -> None:
        """Upload to ``<name>.part`` and rename, replacing what was there.

        ``resume``: an unfinished ``.part`` holds the beginning of this very file, go on from it.
        """

    def remove(self, name: str) -> None:
        """Delete a file, if there is one."""

    def make_folder(self, name: str) -> None:
        """Make a folder, unless there is one."""


@dataclass(frozen=True)
class Secrets:
    """Passwords and keys from the environment; never shown."""

    environment: Mapping[str, str]

    def __repr__(self) -> str:
        return "Secrets(...)"

    def get(self, variable: str, what: str) -> str:
        """Value of an environment variable that the configuration names.

        Raises
        ------
        ConfigError
            If it is not set.
        """
        value = self.environment.get(variable, "")
        if not value:
            raise ConfigError(
                f"the environment variable {variable} is not set",
                where=what,
                remedy="set it for the user that runs curupira",
            )
        return value


class Folder:
    """A folder on this machine, or mounted; also what a web server hands out."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.where = str(root)

    def size(self, name: str) -> int | None:
        """Bytes of a file; None if there is none."""
        path = self.root / name
        return path.stat().st_size if path.is_file() else None

    def read(self, name: str) -> bytes | None:
        """Contents of a file; None if there is none."""
        path = self.root / name
        return path.read_bytes() if path.is_file() else None

    def put(self, local: Path, name: str, *, resume: bool) -> None:
        """Copy beside, flush to the disk, rename."""
        target = self.root / name
        part = target.with_name(target.name + PART)
        with local.open("rb") as source, part.open("wb") as sink:
            shutil.copyfileobj(source, sink)
            sink.flush()
            os.fsync(sink.fileno())
        part.replace(target)

    def remove(self, name: str) -> None:
        """Delete a file, if there is one."""
        (self.root / name).unlink(missing_ok=True)

    def make_folder(self, name: str) -> None:
        """Make a folder, unless there is one."""
        (self.root / name).mkdir(parents=True, exist_ok=True)


def persistently(
    attempt: Callable[[], None], tries: int, sleep: Callable[[float], None], target: str
) -> None:
    """Try again after an interruption, waiting 1, 2, 4... seconds; the last error is raised."""
    for n in range(tries):
        try:
            attempt()
            return
        except CutError as error:
            log.warning("delivery interrupted", target=target, attempt=n + 1, reason=str(error))
            if n + 1 == tries:
                raise
            sleep(float(2**n))
