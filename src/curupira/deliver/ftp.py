"""FTP, and FTPS by explicit TLS (RFC 4217) with data connections protected."""

from __future__ import annotations

import ftplib
import io
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from posixpath import join

from curupira.deliver.channel import CHUNK, PART, CutError, Secrets
from curupira.deliver.params import DeliveryParams
from curupira.errors import DeliveryError


class _Tls(ftplib.FTP_TLS):
    """Data connections go on with the control connection's session, as careful servers demand."""

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[ssl.SSLSocket, int]:
        plain, size = ftplib.FTP.ntransfercmd(self, cmd, rest)  # noqa: S321 (over TLS)
        session = self.sock.session if isinstance(self.sock, ssl.SSLSocket) else None
        wrapped = self.context.wrap_socket(plain, server_hostname=self.host, session=session)
        return wrapped, size or 0


class Ftp:
    """A folder of an FTP server."""

    def __init__(self, client: ftplib.FTP, root: str, where: str) -> None:
        self.client = client
        self.root = root
        self.where = where

    def _path(self, name: str) -> str:
        return join(self.root, name)

    def size(self, name: str) -> int | None:
        """Bytes of a file; None if there is none."""
        self.client.voidcmd("TYPE I")  # SIZE is of the binary form
        try:
            return self.client.size(self._path(name))
        except ftplib.error_perm as error:
            if str(error).startswith("550"):
                return None
            raise

    def read(self, name: str) -> bytes | None:
        """Contents of a small file; None if there is none."""
        if self.size(name) is None:
            return None
        held = io.BytesIO()
        self.client.retrbinary(f"RETR {self._path(name)}", held.write)
        return held.getvalue()

    def put(self, local: Path, name: str, *, resume: bool) -> None:
        """Upload to ``.part``, going on where it ends, and rename."""
        part, size = self._path(name) + PART, local.stat().st_size
        there = self.size(name + PART) if resume else None
        offset = there if there is not None and there <= size else 0
        with local.open("rb") as source:
            source.seek(offset)
            self.client.storbinary(f"STOR {part}", source, CHUNK, rest=offset or None)
        if self.size(name + PART) != size:
            raise CutError("the file did not arrive whole", where=f"{self.where}/{name}")
        try:
            self.client.rename(part, self._path(name))
        except ftplib.error_perm:
            # Some servers do not rename onto a file.
            self.remove(name)
            self.client.rename(part, self._path(name))

    def remove(self, name: str) -> None:
        """Delete a file, if there is one."""
        if self.size(name) is not None:
            self.client.delete(self._path(name))

    def make_folder(self, name: str) -> None:
        """Make a folder, unless there is one."""
        here = self.client.pwd()
        try:
            self.client.cwd(self._path(name))
        except ftplib.error_perm:
            self.client.mkd(self._path(name))
        finally:
            self.client.cwd(here)


@contextmanager
def open_ftp(params: DeliveryParams, base: Path, secrets: Secrets, target: str) -> Iterator[Ftp]:
    """Log in; with ``ftps`` the certificate and the host's name are checked before the password.

    Raises
    ------
    CutError, DeliveryError, ConfigError
        See ``open_channel``.
    """
    parts = params.parts
    host, port = parts.hostname or "", parts.port or 21
    where = f"{parts.scheme}://{host}:{port}{parts.path}"
    section = f"[delivery.{target}]"
    password = secrets.get(params.password_env, section) if params.password_env else ""
    client: ftplib.FTP | None = None
    try:
        if parts.scheme == "ftps":
            context = tls_context(params, base)
            client = _Tls(context=context, timeout=params.timeout_s, encoding="utf-8")
        else:
            # Some agencies take nothing else; the manifest's hashes show what was changed.
            client = ftplib.FTP(  # noqa: S321
                timeout=params.timeout_s, encoding="utf-8"
            )
        client.connect(host, port)
        client.login(parts.username or "anonymous", password)
        if isinstance(client, ftplib.FTP_TLS):
            client.prot_p()
        # Relative to where the login leads, unless the URL says //path.
        root = parts.path.removeprefix("/")
        yield Ftp(client, root, where)
        client.quit()
    except ssl.SSLCertVerificationError as error:
        raise DeliveryError(
            f"the server's certificate is not trusted ({error.verify_message})",
            where=where,
            remedy=f"if it is the owner's own, name it as ca_file in {section}",
        ) from error
    except ftplib.error_perm as error:
        raise DeliveryError(
            f"the server refuses ({_plain(error, password)})",
            where=where,
            remedy=f"check user, password and folder of {section}",
        ) from error
    except (ftplib.Error, EOFError, OSError) as error:
        raise CutError(
            f"the connection failed ({_plain(error, password) or type(error).__name__})",
            where=where,
            remedy="the next `curupira deliver` goes on",
        ) from error
    finally:
        if client is not None:
            client.close()


def _plain(error: Exception, password: str) -> str:
    """An error's text; a server that repeats the password does not get it into our logs."""
    return str(error).replace(password, "***") if password else str(error)


def tls_context(params: DeliveryParams, base: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer that verifies certificate and host name.

    Raises
    ------
    DeliveryError
        If ``ca_file`` cannot be read.
    """
    path = base / params.ca_file if params.ca_file else None
    try:
        context = ssl.create_default_context(cafile=path)
    except OSError as error:
        raise DeliveryError(
            f"cannot be read as certificates ({error.strerror})", where=path, remedy="mend ca_file"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
