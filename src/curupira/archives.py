"""Archives from outside: looked at before anything is read from them."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from curupira.errors import InputError

#: More than this, or than this many times the archive's own size, is taken for a bomb.
MAX_BYTES, MAX_RATIO, MAX_FILES = 8 * 2**30, 500, 10_000


def check_zip(path: Path, *, max_bytes: int = MAX_BYTES, max_ratio: float = MAX_RATIO) -> list[str]:
    """Names of the files in a zip archive that is safe to read or extract.

    Raises
    ------
    InputError
        If it is no zip archive, names a place outside itself, holds links, or would unpack to more
        than ``max_bytes`` or ``max_ratio`` times its size.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise InputError(
            f"not a readable zip archive ({error})", where=path, remedy="get the file again"
        ) from error
    return check_members(
        members, path.stat().st_size, path, max_bytes=max_bytes, max_ratio=max_ratio
    )


def check_members(
    members: Sequence[zipfile.ZipInfo],
    size: int,
    path: Path | str,
    *,
    max_bytes: int = MAX_BYTES,
    max_ratio: float = MAX_RATIO,
) -> list[str]:
    """As ``check_zip``, of the members of an archive of ``size`` bytes that has been opened."""
    for member in members:
        parts = PurePosixPath(member.filename.replace("\\", "/"))
        outside = parts.is_absolute() or ".." in parts.parts or ":" in member.filename[:3]
        if outside or stat.S_ISLNK(member.external_attr >> 16):
            raise InputError(
                f"the archive points outside itself ({member.filename!r})",
                where=path,
                remedy="do not use it; ask where it comes from",
            )
    total = sum(m.file_size for m in members)
    if len(members) > MAX_FILES or total > max_bytes or total > max_ratio * max(size, 1024):
        raise InputError(
            f"the archive would unpack to {total / 1e6:.0f} MB in {len(members)} files",
            where=path,
            remedy="unpack it yourself if you trust it, and give the file within",
        )
    return [m.filename for m in members if not m.is_dir()]
