"""GRD products in an S3 bucket: the environment's keys and endpoint, as the AWS tools name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from curupira.pipelines.grd import GrdInput
from curupira.sources.images import Provider
from curupira.sources.profiles import SourceParams


def with_keys(source: GrdInput, environment: Mapping[str, str]) -> GrdInput:
    """The input with what an ``s3://`` address needs; others as they are.

    ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY`` are needed; ``AWS_ENDPOINT_URL`` (else
    Amazon's), ``AWS_REGION`` and ``AWS_REQUEST_PAYER=requester`` are heeded.

    Raises
    ------
    SourceError
        If there are no keys.
    """
    href = str(source.href)
    if not href.startswith("s3://"):
        return source
    endpoint = environment.get("AWS_ENDPOINT_URL", "")
    host = urlsplit(endpoint).hostname or ".amazonaws.com"
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
    params = SourceParams(
        access="s3",
        s3_endpoint=endpoint,
        s3_region=region,
        token_hosts=(host,),
        requester_pays=environment.get("AWS_REQUEST_PAYER") == "requester",
    )
    provider = Provider(params)
    # No listing of the folder: a bucket may not allow it.
    options = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", **provider.access.gdal(href)}
    return replace(source, fetch=provider.fetch, span=provider.span, gdal=options)
