"""Credentials of image providers: from the environment only, for the hosts named only."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

from requests import PreparedRequest
from requests.auth import AuthBase
from requests.utils import get_netrc_auth

from curupira.errors import ConfigError, SourceError
from curupira.sources.http import Http
from curupira.sources.profiles import SourceParams

#: Tokens are renewed this long before they end.
_MARGIN = timedelta(minutes=2)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_OIDC_CLIENT = "cdse-public"
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Wall clock."""
    return datetime.now(UTC)


class Access:
    """Images that anyone may read; the other kinds build on it."""

    def __init__(self, params: SourceParams, http: Http, now: Clock = utc_now) -> None:
        self.params, self.http, self.now = params, http, now

    def url(self, href: str) -> str:
        """URL to ask for an image, signed where signatures are part of it."""
        return self.place(href)

    def place(self, href: str) -> str:
        """URL of an image without any secret; ``s3://`` becomes the service's URL."""
        parts = urlsplit(href)
        if parts.scheme != "s3":
            return href
        bucket, key = parts.netloc, quote(parts.path.lstrip("/"))
        endpoint = self.params.s3_endpoint.rstrip("/")
        if endpoint:
            return f"{endpoint}/{bucket}/{key}"
        return f"https://{bucket}.s3.{self.params.s3_region}.amazonaws.com/{key}"

    def auth(self, href: str) -> AuthBase | None:
        """What to add to a request for it."""
        return None

    def gdal(self, href: str) -> dict[str, str]:
        """GDAL options that do the same."""
        return {}

    def refresh(self) -> None:
        """Forget a token that was refused."""

    def trusts(self, href: str) -> bool:
        """Whether the credentials may be sent there: a host named, over TLS or on this machine."""
        parts = urlsplit(self.place(href))
        host = (parts.hostname or "").lower()
        if parts.scheme != "https" and host not in _LOOPBACK:
            return False
        return any(
            host == name.lstrip(".") or (name.startswith(".") and host.endswith(name))
            for name in self.params.token_hosts
        )

    def missing(self, what: str, remedy: str) -> SourceError:
        """Error for credentials that are not there."""
        return self.http.error(what, f"access {self.params.access}", remedy)


class SasAccess(Access):
    """Planetary Computer: a signature for each storage container, cached until it ends."""

    def __init__(self, params: SourceParams, http: Http, now: Clock = utc_now) -> None:
        super().__init__(params, http, now)
        self._tokens: dict[str, tuple[str, datetime]] = {}

    def url(self, href: str) -> str:
        """URL with the signature of its container."""
        if not self.trusts(href):
            return href
        parts = urlsplit(href)
        account = (parts.hostname or "").split(".")[0]
        container = parts.path.lstrip("/").split("/")[0]
        return f"{href}{'&' if parts.query else '?'}{self._token(f'{account}/{container}')}"

    def refresh(self) -> None:
        """Forget all signatures."""
        self._tokens.clear()

    def _token(self, container: str) -> str:
        token, until = self._tokens.get(container, ("", datetime.min.replace(tzinfo=UTC)))
        if self.now() + _MARGIN < until:
            return token
        key = os.environ.get("PC_SDK_SUBSCRIPTION_KEY", "")
        place = f"{self.params.token_url.rstrip('/')}/{container}"
        response = self.http.request(
            "GET",
            place,
            where="signing",
            headers={"Ocp-Apim-Subscription-Key": key} if key else None,
        )
        try:
            if response.status_code != 200:
                raise ValueError(f"HTTP {response.status_code}")
            document = response.json()
            token = str(document["token"])
            until = datetime.fromisoformat(str(document["msft:expiry"]))
        except (ValueError, KeyError, TypeError) as error:
            raise self.http.error(
                f"gives no signature ({error})",
                place,
                "check [source] token_url; PC_SDK_SUBSCRIPTION_KEY may be needed",
            ) from None
        self._tokens[container] = (token, until if until.tzinfo else until.replace(tzinfo=UTC))
        return token


class _Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        r.headers["Authorization"] = f"Bearer {self.token}"
        return r


class BearerAccess(Access):
    """A token of the environment or of a file that it names; without one, netrc."""

    def auth(self, href: str) -> AuthBase | None:
        """The token; None where netrc is to speak."""
        if not self.trusts(href):
            return None
        token = self._token()
        if token:
            return _Bearer(token)
        if get_netrc_auth(self.place(href)) is None and not _has_netrc():
            raise self.missing(
                "no token and no netrc",
                "set CURUPIRA_SOURCE_TOKEN or CURUPIRA_SOURCE_TOKEN_FILE, or write ~/.netrc",
            )
        return None

    def gdal(self, href: str) -> dict[str, str]:
        """The same for GDAL, which forwards it to no other host."""
        if not self.trusts(href):
            return {}
        token = self._token()
        if token:
            return {"GDAL_HTTP_AUTH": "BEARER", "GDAL_HTTP_BEARER": token}
        return {"GDAL_HTTP_NETRC": "YES"}

    def _token(self) -> str:
        # Read each time: another program may have renewed the file.
        place = os.environ.get("CURUPIRA_SOURCE_TOKEN_FILE", "")
        if not place:
            return os.environ.get("CURUPIRA_SOURCE_TOKEN", "").strip()
        try:
            return Path(place).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError(
                f"cannot be read ({error.strerror})",
                where=f"CURUPIRA_SOURCE_TOKEN_FILE={place}",
                remedy="correct the variable or the file's permissions",
            ) from error


def _has_netrc() -> bool:
    # Earthdata asks for the login at another host, to which it redirects.
    place = os.environ.get("NETRC") or Path.home() / ".netrc"
    return Path(place).is_file()


class OidcAccess(BearerAccess):
    """A token of some minutes for user and password (Copernicus Data Space)."""

    def __init__(self, params: SourceParams, http: Http, now: Clock = utc_now) -> None:
        super().__init__(params, http, now)
        self._cached, self._until = "", datetime.min.replace(tzinfo=UTC)

    def refresh(self) -> None:
        """Forget the token."""
        self._cached = ""

    def _token(self) -> str:
        if self._cached and self.now() + _MARGIN < self._until:
            return self._cached
        user = os.environ.get("CURUPIRA_SOURCE_USER", "")
        password = os.environ.get("CURUPIRA_SOURCE_PASSWORD", "")
        if not (user and password):
            raise self.missing(
                "no user or no password", "set CURUPIRA_SOURCE_USER and CURUPIRA_SOURCE_PASSWORD"
            )
        form = {
            "grant_type": "password",
            "client_id": _OIDC_CLIENT,
            "username": user,
            "password": password,
        }
        response = self.http.request("POST", self.params.token_url, where="login", data=form)
        try:
            if response.status_code != 200:
                raise ValueError(f"HTTP {response.status_code}")
            document = response.json()
            self._cached = str(document["access_token"])
            self._until = self.now() + timedelta(seconds=float(document["expires_in"]))
        except (ValueError, KeyError, TypeError) as error:
            raise self.http.error(
                f"refuses the login ({error})",
                self.params.token_url,
                "check CURUPIRA_SOURCE_USER and CURUPIRA_SOURCE_PASSWORD",
            ) from None
        return self._cached


class S3Access(Access):
    """Keys of an S3 service; requests are signed (AWS Signature Version 4)."""

    def auth(self, href: str) -> AuthBase | None:
        """Signature of one request."""
        if not self.trusts(href):
            return None
        key, secret = self._keys()
        return S3Signature(
            key,
            secret,
            self.params.s3_region,
            session_token=os.environ.get("AWS_SESSION_TOKEN", ""),
            requester_pays=self.params.requester_pays,
            now=self.now,
        )

    def gdal(self, href: str) -> dict[str, str]:
        """GDAL takes the keys from the environment itself; this is the rest."""
        self._keys()
        options = {"AWS_REGION": self.params.s3_region}
        if self.params.s3_endpoint:
            parts = urlsplit(self.params.s3_endpoint)
            options |= {
                "AWS_S3_ENDPOINT": parts.netloc,
                "AWS_HTTPS": "YES" if parts.scheme == "https" else "NO",
                "AWS_VIRTUAL_HOSTING": "FALSE",
            }
        return options | ({"AWS_REQUEST_PAYER": "requester"} if self.params.requester_pays else {})

    def _keys(self) -> tuple[str, str]:
        key = os.environ.get("AWS_ACCESS_KEY_ID", "")
        secret = os.environ.get("AWS_SECRET_ACCESS_KEY", "")
        if not (key and secret):
            raise self.missing("no keys", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        return key, secret


class S3Signature(AuthBase):
    """AWS Signature Version 4 of a request without a body."""

    def __init__(
        self,
        key: str,
        secret: str,
        region: str,
        *,
        session_token: str = "",
        requester_pays: bool = False,
        now: Clock = utc_now,
    ) -> None:
        self.key, self.secret, self.region = key, secret, region
        self.session_token, self.requester_pays, self.now = session_token, requester_pays, now

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Add the headers of the signature."""
        stamp = self.now().strftime("%Y%m%dT%H%M%SZ")
        parts = urlsplit(r.url or "")
        extra = {"x-amz-date": stamp, "x-amz-content-sha256": hashlib.sha256(b"").hexdigest()}
        if self.session_token:
            extra["x-amz-security-token"] = self.session_token
        if self.requester_pays:
            extra["x-amz-request-payer"] = "requester"
        r.headers.update(extra)
        signed = {"host": parts.netloc, **extra}
        if "Range" in r.headers:
            signed["range"] = str(r.headers["Range"])
        names = ";".join(sorted(signed))
        query = "&".join(
            f"{quote(k, safe='')}={quote(v, safe='')}"
            for k, v in sorted(parse_qsl(parts.query, keep_blank_values=True))
        )
        canonical = "\n".join(
            [
                str(r.method),
                parts.path or "/",
                query,
                *(f"{name}:{signed[name]}" for name in sorted(signed)),
                "",
                names,
                extra["x-amz-content-sha256"],
            ]
        )
        scope = f"{stamp[:8]}/{self.region}/s3/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        secret = f"AWS4{self.secret}".encode()
        for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"):
            secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
        r.headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.key}/{scope}, SignedHeaders={names}, "
            f"Signature={secret.hex()}"
        )
        return r


def access_for(params: SourceParams, http: Http, now: Clock = utc_now) -> Access:
    """Credentials of the kind that ``[source] access`` names."""
    kinds = {
        "none": Access,
        "sas": SasAccess,
        "bearer": BearerAccess,
        "oidc": OidcAccess,
        "s3": S3Access,
    }
    return kinds[params.access](params, http, now)
