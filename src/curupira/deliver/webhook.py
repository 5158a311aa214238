"""Signed webhook: JSON by HTTP POST, HMAC-SHA256 over time and body."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from datetime import datetime
from pathlib import Path

import geopandas as gpd
import requests
from shapely.geometry import mapping

from curupira.deliver.channel import CutError, Secrets
from curupira.deliver.choose import Told
from curupira.deliver.frame import checked, lonlat, notice, records
from curupira.deliver.package import Package
from curupira.deliver.params import DeliveryParams
from curupira.deliver.transport import Journal
from curupira.errors import DeliveryError

#: Warnings in one message, so that none grows beyond what receivers take.
BATCH = 200
#: Answers that are worth another try.
_PASSING = (408, 425, 429, 500, 502, 503, 504)


def messages(table: gpd.GeoDataFrame, *, target: str, package: str) -> dict[str, bytes]:
    """Bodies by file name: GeoJSON features with ``delivery`` = new, update or correction."""
    frame = checked(table)
    order = {kind.value: n for n, kind in enumerate(Told)}
    features = [
        {
            "type": "Feature",
            "id": fields["warning_id"],
            "properties": fields,
            "geometry": mapping(shape),
        }
        for fields, shape in zip(records(frame), lonlat(frame), strict=True)
    ]
    features.sort(key=lambda f: (order[f["properties"]["delivery"]], f["id"]))
    found = {}
    for n, start in enumerate(range(0, len(features), BATCH), start=1):
        document = {
            "type": "FeatureCollection",
            "delivery": f"{package}-{n:04d}",
            "target": target,
            "attribution": notice(table),
            "features": features[start : start + BATCH],
        }
        text = json.dumps(document, ensure_ascii=False, allow_nan=False)
        found[f"webhook-{n:04d}.json"] = text.encode()
    return found


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """``sha256=`` and the HMAC-SHA256 of ``<timestamp>.<body>``, hexadecimal."""
    signed = timestamp.encode() + b"." + body
    return f"sha256={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def post(
    package: Package,
    params: DeliveryParams,
    secrets: Secrets,
    *,
    base: Path,
    target: str,
    now: datetime,
    journal: Journal,
) -> None:
    """Post what has not been acknowledged yet.

    The header ``X-Curupira-Delivery`` stays the same when a message is repeated because its answer
    was lost: receivers drop what they have by it. ``X-Curupira-Timestamp`` (seconds since 1970) is
    signed too, so that old messages cannot be played again.

    Raises
    ------
    CutError
        If there is no answer, or one that asks for another try.
    DeliveryError
        If the receiver refuses, redirects, or its certificate is not trusted.
    """
    secret = secrets.get(params.secret_env, f"[delivery.{target}]")
    parts = params.parts
    where = f"{parts.scheme}://{parts.hostname}:{parts.port or 443}"
    verify: bool | str = str(base / params.ca_file) if params.ca_file else True
    with requests.Session() as session:
        # Neither proxies' nor .netrc's passwords: only what the section names.
        session.trust_env = False
        for file in package.files("message"):
            if file.name in journal.done():
                continue
            body, stamp = file.read_bytes(), str(int(now.timestamp()))
            number = re.sub(r"\D", "", file.stem)
            headers = {
                "Content-Type": "application/geo+json",
                "X-Curupira-Delivery": f"{package.name}-{number}",
                "X-Curupira-Timestamp": stamp,
                "X-Curupira-Signature": signature(secret, stamp, body),
            }
            _post(session, params, body, headers, verify, where)
            journal.note(file.name)


def _post(
    session: requests.Session,
    params: DeliveryParams,
    body: bytes,
    headers: dict[str, str],
    verify: bool | str,
    where: str,
) -> None:
    try:
        answer = session.post(
            params.url,
            data=body,
            headers=headers,
            timeout=params.timeout_s,
            allow_redirects=False,
            verify=verify,
        )
    except requests.exceptions.SSLError as error:
        raise DeliveryError(
            "the receiver's certificate is not trusted", where=where, remedy="see ca_file"
        ) from error
    except requests.RequestException as error:
        # The error's text may hold the URL with whatever secret path it has.
        raise CutError(
            f"no answer ({type(error).__name__})",
            where=where,
            remedy="the next `curupira deliver` goes on",
        ) from error
    if answer.status_code in _PASSING:
        raise CutError(f"the receiver answers {answer.status_code}", where=where)
    if not 200 <= answer.status_code < 300:
        raise DeliveryError(
            f"the receiver answers {answer.status_code}",
            where=where,
            remedy="ask its owner; a redirection is not followed",
        )
