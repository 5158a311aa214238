"""A package onto a channel: files beside and renamed, the manifest last; and the hand-overs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from curupira.deliver.channel import Channel, WaitError
from curupira.deliver.package import MANIFEST, Package
from curupira.deliver.params import DeliveryParams

TRIGGER = "trigger.txt"


@dataclass(frozen=True)
class Journal:
    """What of a package has arrived, a name a line, beside the package; survives a power cut."""

    path: Path

    def done(self) -> set[str]:
        """Names that were noted."""
        if not self.path.exists():
            return set()
        text = self.path.read_text(encoding="utf-8")
        # A line without its end was being written when the power went.
        return set(text[: text.rfind("\n") + 1].splitlines())

    def note(self, name: str) -> None:
        """Add a name."""
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(f"{name}\n")
            stream.flush()
            os.fsync(stream.fileno())


def upload(
    channel: Channel,
    package: Package,
    params: DeliveryParams,
    *,
    target: str,
    now: datetime,
    journal: Journal,
) -> None:
    """Bring a package to its place; may be repeated after a cut at any point.

    Ordinary files go into a folder of the package's name, its manifest last: a folder with a
    manifest is complete. Feeds and hand-overs go into the target folder itself.

    Raises
    ------
    WaitError
        If the other end's lock file lies there, or it has not taken the last hand-over yet.
    DeliveryError
        From the channel.
    """
    ordinary = package.files("data")
    if ordinary:
        channel.make_folder(package.name)
        for file in [*ordinary, package.folder / MANIFEST]:
            _once(channel, file, f"{package.name}/{file.name}")
    for file in package.files("message"):
        # Feeds keep their names: always whole, never continued.
        channel.put(file, file.name, resume=False)
    lists = package.files("changes")
    if package.files("deter_rt"):
        _hand_over_rt(channel, package, params, target, now, journal)
    for file in package.files("deter_r"):
        if file.name not in journal.done():
            _hand_over_r(channel, file, params, now, package.folder)
            journal.note(file.name)
    for file in lists:
        _once(channel, file, file.name)


def _once(channel: Channel, file: Path, name: str) -> None:
    """Upload unless it is there; names are never used twice, so the size tells."""
    if channel.size(name) != file.stat().st_size:
        channel.put(file, name, resume=True)


def _hand_over_r(
    channel: Channel, file: Path, params: DeliveryParams, now: datetime, folder: Path
) -> None:
    """DETER-R: the data, then ``trigger.txt`` with its name; their lock file is respected."""
    lock = now.strftime(params.lock_file)
    if channel.size(lock) is not None:
        raise WaitError(
            "the importer is at work",
            where=f"{channel.where}/{lock}",
            remedy="the next `curupira deliver` goes on",
        )
    waiting = _read_text(channel, TRIGGER)
    if waiting == file.name:
        return  # put before a cut; the importer has not come by yet
    if waiting is not None:
        raise WaitError(
            f"the importer has not taken {waiting[:80]} yet",
            where=f"{channel.where}/{TRIGGER}",
            remedy="the next `curupira deliver` goes on",
        )
    _once(channel, file, file.name)
    _put_text(channel, TRIGGER, file.name, folder)


def _hand_over_rt(
    channel: Channel,
    package: Package,
    params: DeliveryParams,
    target: str,
    now: datetime,
    journal: Journal,
) -> None:
    """DETER-RT: files of tiles, while our lock file says that the folder is being written.

    The importer takes the tiles away: those that were handed over are known from the journal.
    """
    lock, ours = now.strftime(params.lock_file), f"curupira {target}"
    held = _read_text(channel, lock)
    held_by_us = held == ours
    waiting = [f for f in package.files("deter_rt") if f.name not in journal.done()]
    if waiting and held is not None and not held_by_us:
        raise WaitError(
            "the folder is locked by somebody else",
            where=f"{channel.where}/{lock}",
            remedy="the next `curupira deliver` goes on",
        )
    if waiting and not held_by_us:
        _put_text(channel, lock, ours, package.folder)
    for file in waiting:
        _once(channel, file, file.name)
        journal.note(file.name)
    if waiting or held_by_us:
        channel.remove(lock)


def _read_text(channel: Channel, name: str) -> str | None:
    found = channel.read(name)
    return None if found is None else found.decode("utf-8", "replace").strip()


def _put_text(channel: Channel, name: str, text: str, folder: Path) -> None:
    beside = folder.with_name(f".{folder.name}.{name}")
    beside.write_text(text, encoding="utf-8")
    try:
        channel.put(beside, name, resume=False)
    finally:
        beside.unlink()
