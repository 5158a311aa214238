"""SFTP with a pinned host key."""

from __future__ import annotations

import base64
import binascii
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from posixpath import join

import paramiko

from curupira.deliver.channel import CHUNK, PART, CutError, Secrets
from curupira.deliver.params import DeliveryParams
from curupira.errors import ConfigError, DeliveryError


class Sftp:
    """A folder of an SFTP server."""

    def __init__(self, client: paramiko.SFTPClient, root: str, where: str) -> None:
        self.client = client
        self.root = root
        self.where = where

    def _path(self, name: str) -> str:
        return join(self.root, name)

    def size(self, name: str) -> int | None:
        """Bytes of a file; None if there is none."""
        try:
            return self.client.stat(self._path(name)).st_size
        except FileNotFoundError:
            return None

    def read(self, name: str) -> bytes | None:
        """Contents of a small file; None if there is none."""
        try:
            with self.client.open(self._path(name), "rb") as stream:
                return stream.read()
        except FileNotFoundError:
            return None

    def put(self, local: Path, name: str, *, resume: bool) -> None:
        """Upload to ``.part``, going on where it ends, and rename."""
        part, size = self._path(name) + PART, local.stat().st_size
        there = self.size(name + PART) if resume else None
        offset = there if there is not None and there <= size else 0
        with local.open("rb") as source, self.client.open(part, "r+b" if offset else "wb") as sink:
            source.seek(offset)
            sink.seek(offset)
            sink.set_pipelined(True)
            while block := source.read(CHUNK):
                sink.write(block)
        if self.size(name + PART) != size:
            raise CutError("the file did not arrive whole", where=f"{self.where}/{name}")
        self.client.posix_rename(part, self._path(name))

    def remove(self, name: str) -> None:
        """Delete a file, if there is one."""
        if self.size(name) is not None:
            self.client.remove(self._path(name))

    def make_folder(self, name: str) -> None:
        """Make a folder, unless there is one."""
        path = self._path(name)
        try:
            mode = self.client.stat(path).st_mode or 0
        except FileNotFoundError:
            self.client.mkdir(path)
            return
        if not stat.S_ISDIR(mode):
            raise DeliveryError("this is a file", where=f"{self.where}/{name}")


@contextmanager
def open_sftp(params: DeliveryParams, secrets: Secrets, target: str) -> Iterator[Sftp]:
    """Log in with a password or a private key; only the pinned host key is accepted.

    Raises
    ------
    CutError, DeliveryError, ConfigError
        See ``open_channel``.
    """
    parts = params.parts
    host, port = parts.hostname or "", parts.port or 22
    where = f"sftp://{host}:{port}{parts.path}"
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    pinned = _pinned(params.host_key, target)
    known = host if port == 22 else f"[{host}]:{port}"
    client.get_host_keys().add(known, pinned.get_name(), pinned)
    section = f"[delivery.{target}]"
    try:
        client.connect(
            host,
            port,
            username=parts.username,
            password=secrets.get(params.password_env, section) if params.password_env else None,
            key_filename=secrets.get(params.key_file_env, section) if params.key_file_env else None,
            allow_agent=False,
            look_for_keys=False,
            timeout=params.timeout_s,
            banner_timeout=params.timeout_s,
            auth_timeout=params.timeout_s,
        )
        sftp = client.open_sftp()
        if (channel := sftp.get_channel()) is not None:
            channel.settimeout(params.timeout_s)
        yield Sftp(sftp, parts.path or ".", where)
    except paramiko.BadHostKeyException as error:
        raise DeliveryError(
            "the server shows another key than the pinned one",
            where=where,
            remedy=f"ask its owner; if the key was changed on purpose, mend host_key in {section}",
        ) from error
    except paramiko.AuthenticationException as error:
        raise DeliveryError(
            "the server refuses the login", where=where, remedy=f"check user and key of {section}"
        ) from error
    except (paramiko.SSHException, EOFError, ConnectionError, TimeoutError) as error:
        if "not found in known_hosts" in str(error):
            raise DeliveryError(
                f"the server has no key of the pinned kind {pinned.get_name()}",
                where=where,
                remedy="pin the key that `ssh-keyscan` shows, after comparing it with the owner",
            ) from error
        raise CutError(
            f"the connection failed ({error or type(error).__name__})",
            where=where,
            remedy="the next `curupira deliver` goes on",
        ) from error
    except OSError as error:
        raise _explained(error, where) from error
    finally:
        client.close()


def _explained(error: OSError, where: str) -> DeliveryError:
    """SFTP's own answers carry a number; a socket closed under our feet does not."""
    if isinstance(error, PermissionError | FileNotFoundError) or error.errno is None:
        text = error.strerror or str(error)
        if text == "Socket is closed":
            return CutError("the connection was cut", where=where)
        return DeliveryError(f"the server refuses ({text})", where=where, remedy="ask its owner")
    return CutError(
        f"unreachable ({error.strerror})", where=where, remedy="the next `curupira deliver` goes on"
    )


def _pinned(text: str, target: str) -> paramiko.PKey:
    """The host key as ``ssh-keyscan`` prints it, with or without the host's name."""
    words = [w for w in text.split() if w]
    for kind, data in pairwise(words):
        if kind.startswith(("ssh-", "ecdsa-")):
            try:
                return paramiko.PKey.from_type_string(kind, base64.b64decode(data, validate=True))
            except (binascii.Error, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
                raise _no_key(target) from error
    raise _no_key(target)


def _no_key(target: str) -> ConfigError:
    return ConfigError(
        "this is no public key",
        where=f"[delivery.{target}] host_key",
        remedy='write "ssh-ed25519 AAAA..." as `ssh-keyscan` prints it',
    )
