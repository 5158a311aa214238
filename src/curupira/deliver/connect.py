"""The channel that a target's URL asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from curupira.deliver.channel import Channel, Folder, Secrets
from curupira.deliver.ftp import open_ftp
from curupira.deliver.params import DeliveryParams
from curupira.deliver.sftp import open_sftp
from curupira.errors import DeliveryError


@contextmanager
def open_channel(
    params: DeliveryParams, base: Path, secrets: Secrets, target: str
) -> Iterator[Channel]:
    """Connect to where a target's files go.

    Raises
    ------
    CutError
        If the connection cannot be made, or is cut.
    DeliveryError
        If the server refuses: another host key, a wrong password, no permission.
    ConfigError
        If a variable that should hold a secret is not set.
    """
    scheme = params.parts.scheme
    if not scheme:
        root = base / params.url
        try:
            root.mkdir(parents=True, exist_ok=True)
            yield Folder(root)
        except OSError as error:
            raise DeliveryError(
                f"cannot be written ({error.strerror})", where=root, remedy="mend the folder"
            ) from error
    elif scheme == "sftp":
        with open_sftp(params, secrets, target) as channel:
            yield channel
    else:
        with open_ftp(params, base, secrets, target) as channel:
            yield channel
