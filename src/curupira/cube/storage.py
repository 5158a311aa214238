"""Where a cube lies: a local folder or an object store, and its failures in our words."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import icechunk

from curupira.errors import BusyError, ConfigError, StoreError


def is_url(path: str | Path) -> bool:
    """Whether a cube's path is an object-store URL."""
    return "://" in str(path)


def storage(path: str | Path) -> icechunk.Storage:
    """Icechunk storage of a local folder or ``s3://bucket/prefix``.

    Credentials and region of an object store come from the environment as for any AWS client
    (``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_REGION``, ...); ``AWS_ENDPOINT_URL``
    names another server, reached by paths instead of host names.

    Raises
    ------
    ConfigError
        If the URL has another scheme or no bucket.
    """
    # Icechunk warns at each opening that a local folder has one writer; the run's lock sees to it.
    icechunk.set_logs_filter("error")
    if not is_url(path):
        return icechunk.local_filesystem_storage(str(path))
    url = urlsplit(str(path))
    if url.scheme != "s3" or not url.netloc:
        raise ConfigError(
            "no usable object store", where=path, remedy="write a folder, or s3://bucket/prefix"
        )
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    return icechunk.s3_storage(
        bucket=url.netloc,
        prefix=url.path.strip("/") or None,
        region=os.environ.get("AWS_REGION", os.environ.get("AWS_DEFAULT_REGION")),
        endpoint_url=endpoint,
        allow_http=endpoint is not None and endpoint.startswith("http://"),
        force_path_style=endpoint is not None,
        from_env=True,
    )


def check_folder(path: str | Path) -> None:
    """Refuse a local path that is no folder.

    Asked before Icechunk is: it would make a missing folder, and abort on a file.

    Raises
    ------
    StoreError
        If there is nothing at the path, or it is no folder.
    """
    if is_url(path) or Path(path).is_dir():
        return
    found = "is no folder" if Path(path).exists() else "does not exist"
    raise StoreError(
        f"the cube {found}", where=path, remedy="check [cube] path, or run an ingest to make it"
    )


@contextmanager
def translated(path: str | Path) -> Iterator[None]:
    """Turn failures of Icechunk and of the file system into errors of ours.

    Raises
    ------
    BusyError
        If another writer committed meanwhile.
    StoreError
        If the cube cannot be read or written.
    """
    try:
        yield
    except icechunk.ConflictError as error:
        raise BusyError(
            "another process wrote to the cube meanwhile",
            where=path,
            remedy="let it end, then run again",
        ) from error
    except icechunk.IcechunkError as error:
        raise StoreError(
            f"the cube cannot be read or written ({_reason(error)})",
            where=path,
            remedy="check that the place is reachable, writable and not full",
        ) from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise StoreError(
            f"the cube cannot be read or written ({error.strerror or error})",
            where=path,
            remedy="free some space" if full else "check that the place is readable and writable",
        ) from error


def _reason(error: icechunk.IcechunkError) -> str:
    # The message ends in a trace of contexts; the cause stands in the first and the last line.
    lines = [line.strip(" |`->x") for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith("context")]
    return told[0] if told else type(error).__name__
