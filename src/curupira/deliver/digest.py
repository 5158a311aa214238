"""Daily digest by e-mail: the ten most important warnings of an area, for phones without signal."""

from __future__ import annotations

import smtplib
import ssl
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import geopandas as gpd

from curupira.deliver.channel import CutError, RefusedError, Secrets
from curupira.deliver.export import export
from curupira.deliver.feed import by_area, file_names
from curupira.deliver.frame import notice
from curupira.deliver.ftp import tls_context
from curupira.deliver.package import Package
from curupira.deliver.params import LOOPBACK, DeliveryParams
from curupira.deliver.summary import Line, counted, html_page, html_table, lines
from curupira.deliver.transport import Journal
from curupira.errors import DeliveryError

#: Warnings that a digest shows.
TOP = 10
#: Largest message, bytes: a phone at the edge of the network gets no more through.
LIMIT = 200_000
#: Warnings whose positions are attached for receivers and map programs.
_ATTACHED = 100


def digests(
    table: gpd.GeoDataFrame,
    params: DeliveryParams,
    *,
    package: str,
    created: datetime,
    area_name: str,
) -> dict[str, bytes]:
    """Messages by file name, one for each area of ``split``: text, HTML, and a GPX file.

    Nothing in them is loaded from outside. Each is below 200 kB: the GPX file, which shows the
    most important only, is left out before anything else.
    """
    parts = by_area(table, params)
    names = file_names(list(parts), "digest", ".eml")
    return {
        names[area]: _message(rows, area or area_name, params, package=package, created=created)
        for area, rows in parts.items()
    }


def _message(
    table: gpd.GeoDataFrame,
    area: str,
    params: DeliveryParams,
    *,
    package: str,
    created: datetime,
) -> bytes:
    found, credit = lines(table), notice(table)
    title = f"{area}: {counted(found).rstrip('.')}"
    message = EmailMessage(policy=policy.SMTP)
    message["Subject"] = " ".join(title.split())[:150]
    message["From"] = params.sender
    message["To"] = ", ".join(params.recipients)
    message["Date"] = format_datetime(created)
    domain = params.sender.rpartition("@")[2]
    # The same message has the same id when it is repeated after a cut.
    message["Message-ID"] = f"<{uuid.uuid5(uuid.NAMESPACE_URL, f'{package}/{area}')}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_text(found, area, credit))
    message.add_alternative(_html(found, area, credit), subtype="html")
    small = message.as_bytes()
    message.add_attachment(
        _gpx(table, found[:_ATTACHED]),
        maintype="application",
        subtype="gpx+xml",
        filename=f"{params.prefix}_{created:%Y%m%d}.gpx",
    )
    whole = message.as_bytes()
    return whole if len(whole) < LIMIT else small


def _text(found: Sequence[Line], area: str, credit: str) -> str:
    """Plain text in short lines."""
    rows = [f"Warnings, {area}", counted(found), ""]
    for n, x in enumerate(found[:TOP], start=1):
        rows += [
            f"{n}. {x.told.upper()}: {x.area_ha:.1f} ha, {x.kind}",
            f"   {x.status}; first flag {x.first_flag}",
            f"   {x.position}",
            *([f"   {x.place[:120]}"] if x.place else []),
            f"   warning {x.warning_id[:8]}",
            "",
        ]
    if len(found) > TOP:
        rows += [f"{len(found) - TOP} more are not shown.", ""]
    return "\n".join([*rows, credit, ""])


def _html(found: Sequence[Line], area: str, credit: str) -> str:
    more = f"<p>{len(found) - TOP} more are not shown.</p>" if len(found) > TOP else ""
    body = f"<p>{counted(found)}</p>{html_table(found[:TOP])}{more}"
    return html_page(f"Warnings, {area}", body, credit)


def _gpx(table: gpd.GeoDataFrame, shown: Sequence[Line]) -> bytes:
    ids = {line.warning_id for line in shown}
    held = BytesIO()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "warnings.gpx"
        export(table[table["warning_id"].isin(ids)], path)
        held.write(path.read_bytes())
    return held.getvalue()


def send(
    package: Package,
    params: DeliveryParams,
    secrets: Secrets,
    *,
    base: Path,
    target: str,
    journal: Journal,
) -> None:
    """Hand the messages to the mail server, for those recipients who have not got them yet.

    Beyond this machine only over TLS with a verified certificate (``smtps``, or ``smtp`` with
    STARTTLS).

    Raises
    ------
    CutError
        If the server cannot be reached or asks for another try.
    DeliveryError
        If it refuses, or offers no TLS.
    RefusedError
        If it refuses recipients; the others have theirs.
    """
    done = journal.done()
    waiting = {
        file: left
        for file in package.files("message")
        if (left := [to for to in params.recipients if f"{file.name} {to}" not in done])
    }
    if not waiting:
        return
    parts = params.parts
    where = f"{parts.scheme}://{parts.hostname}:{parts.port or ''}".rstrip(":")
    section = f"[delivery.{target}]"
    with _explained(where, section), _connect(params, base) as server:
        if params.password_env:
            server.login(parts.username or "", secrets.get(params.password_env, section))
        refused = [
            name
            for file, to in waiting.items()
            for name in _send_one(server, params.sender, to, file, journal)
        ]
    if refused:
        raise RefusedError(
            f"the server refuses {', '.join(sorted(set(refused)))}",
            where=where,
            remedy=f"check the recipients of {section}; those named are tried again",
        )


@contextmanager
def _explained(where: str, section: str) -> Iterator[None]:
    """What goes wrong with a mail server, as errors of ours."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise DeliveryError(
            f"the server's certificate is not trusted ({error.verify_message})",
            where=where,
            remedy=f"see ca_file in {section}",
        ) from error
    except smtplib.SMTPNotSupportedError as error:
        raise DeliveryError(
            "the server offers no TLS, or no login", where=where, remedy="take another server"
        ) from error
    except smtplib.SMTPAuthenticationError as error:
        raise DeliveryError(
            "the server refuses the login", where=where, remedy=f"check {section}"
        ) from error
    except (smtplib.SMTPException, OSError) as error:
        ours = isinstance(error, smtplib.SMTPSenderRefused)
        kind = DeliveryError if ours else CutError
        raise kind(
            f"the message did not go ({type(error).__name__})",
            where=where,
            remedy=f"check the sender of {section}" if ours else "it is tried again",
        ) from error


def _send_one(
    server: smtplib.SMTP, sender: str, recipients: list[str], file: Path, journal: Journal
) -> list[str]:
    """Hand over a message and note who has it; returns who was refused."""
    try:
        refused = set(server.sendmail(sender, recipients, file.read_bytes()))
    except smtplib.SMTPRecipientsRefused as error:
        # Nobody has it. With 421 the server hung up before it had asked about all of them.
        if len(error.recipients) < len(recipients):
            raise
        refused = set(recipients)
    for to in recipients:
        if to not in refused:
            journal.note(f"{file.name} {to}")
    return [to for to in recipients if to in refused]


def _connect(params: DeliveryParams, base: Path) -> smtplib.SMTP:
    parts = params.parts
    host = parts.hostname or ""
    context = tls_context(params, base)
    if parts.scheme == "smtps":
        return smtplib.SMTP_SSL(host, parts.port or 465, timeout=params.timeout_s, context=context)
    server = smtplib.SMTP(host, parts.port or 587, timeout=params.timeout_s)
    try:
        server.ehlo()
        if host not in LOOPBACK or server.has_extn("starttls"):
            server.starttls(context=context)
    except BaseException:
        server.close()
        raise
    return server
