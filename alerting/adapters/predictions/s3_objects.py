"""Single objects of an S3 store: their state, a download that is bounded, an upload.

Arrow's client, which reads archive and sources, follows redirects to any host and asks the machine
for credentials. Addresses that come with a request need neither: here one server is called, that of
the environment, and a redirect is an error.
"""

from __future__ import annotations

import configparser
import hashlib
import hmac
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from alerting.adapters.sources.secrets import require_private
from alerting.deferred import httpx
from alerting.definitions.faults import Unreachable, UserError
from alerting.settings.buckets import Parts

_REASONS = {
    403: (
        "the store refuses access: its credentials are those of the environment "
        "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)"
    ),
    404: "there is no such object, or no such bucket",
    412: "the object was replaced since it was ordered; order it again",
}
_CONNECT_S = 5.0
_SILENCE_S = 30.0


@dataclass(frozen=True)
class Credentials:
    """Key, secret and, of temporary ones, the token of a session."""

    key: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ObjectState:
    """Size of an object in bytes, and the tag of its content, which no other content has."""

    size: int
    etag: str


class S3Objects:
    """The store at `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`, else Amazon's in `AWS_REGION`.

    Raises UserError without credentials. They are `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and
    `AWS_SESSION_TOKEN`, or those of the file that `AWS_SHARED_CREDENTIALS_FILE` names (profile
    `AWS_PROFILE`, else `default`). The connection is encrypted and the certificate checked
    (`AWS_CA_BUNDLE`), except where the endpoint is written with http://.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        given = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
        self._server, self._host = _read_endpoint(
            given or f"https://s3.{self._region}.amazonaws.com"
        )
        self._credentials = read_credentials(environ)
        try:
            self._trusted = ssl.create_default_context(cafile=environ.get("AWS_CA_BUNDLE") or None)
        except OSError as error:  # SSLError is one
            raise UserError(
                f"AWS_CA_BUNDLE is no readable file with certificates: {error.strerror or error}"
            ) from None

    def state(self, parts: Parts) -> ObjectState:
        """Return an object's state. Raises UserError if there is none, Unreachable."""
        with self._answer("HEAD", parts) as answer:
            return ObjectState(
                int(answer.headers.get("content-length", "0")), answer.headers.get("etag", "")
            )

    def read(self, parts: Parts, etag: str) -> Iterator[bytes]:
        """Yield the bytes of an object that still has this tag. Raises as `state` does."""
        with self._answer(
            "GET", parts, {"if-match": etag, "accept-encoding": "identity"}
        ) as answer:
            # what has come: the limits of its reader are checked also while little comes
            yield from answer.iter_raw()

    def write(self, parts: Parts, file: Path) -> None:
        """Store a file as an object, which appears whole. Raises as `state` does."""
        with file.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
            content.seek(0)
            length = {"content-length": str(file.stat().st_size)}
            with self._answer(
                "PUT", parts, length, sha256, iter(lambda: content.read(1 << 20), b"")
            ):
                pass

    @contextmanager
    def _answer(
        self,
        method: str,
        parts: Parts,
        headers: Mapping[str, str] | None = None,
        sha256: str = hashlib.sha256(b"").hexdigest(),
        content: Iterator[bytes] | None = None,
    ) -> Iterator[httpx.Response]:
        path = object_path(parts)
        signed = sign(
            method, self._host, path, sha256, self._credentials, self._region, datetime.now(UTC)
        )
        limits = httpx.Timeout(_SILENCE_S, connect=_CONNECT_S)
        try:
            with (
                httpx.Client(
                    verify=self._trusted, trust_env=False, follow_redirects=False, timeout=limits
                ) as client,
                client.stream(
                    method,
                    self._server + path,
                    headers={**(headers or {}), **signed},
                    content=content,
                ) as answer,
            ):
                _require_success(answer.status_code)
                yield answer
        except httpx.TransportError as error:
            raise Unreachable(
                f"the object store at {self._server} does not answer ({type(error).__name__}); try "
                "again"
            ) from error


def _read_endpoint(written: str) -> tuple[str, str]:
    try:
        endpoint = urlsplit(written)
        is_server = (
            endpoint.scheme in ("http", "https") and bool(endpoint.hostname) and endpoint.port != 0
        )
    except ValueError:  # of brackets without an end, or a port that is no number
        is_server = False
    if not is_server or "@" in endpoint.netloc or endpoint.path.strip("/"):
        raise UserError(
            "AWS_ENDPOINT_URL is no address of a server: write for example https://minio.plant:9000"
        )
    return f"{endpoint.scheme}://{endpoint.netloc}", endpoint.netloc


def _require_success(status: int) -> None:
    if status >= 500 or status == 429:
        raise Unreachable(f"the object store answers {status}; try again")
    if 300 <= status < 400:
        raise UserError(
            "the object store answers with a redirect, which is not followed: correct AWS_REGION "
            "or AWS_ENDPOINT_URL"
        )
    if status >= 400:
        raise UserError(_REASONS.get(status, f"the object store refuses the request ({status})"))


def read_credentials(environ: Mapping[str, str]) -> Credentials:
    """Return the credentials of the environment, or of its file.

    Raises UserError if both lack a key, or the file cannot be read.
    """
    found: Mapping[str, str] = {name: environ.get(name.upper(), "") for name in _NAMES}
    if not found["aws_access_key_id"] and (path := environ.get("AWS_SHARED_CREDENTIALS_FILE")):
        found = _from_file(Path(path), environ.get("AWS_PROFILE") or "default")
    key, secret, token = (found.get(name, "") for name in _NAMES)
    if not key or not secret:
        raise UserError(
            "the object store needs credentials in the environment of this process: "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or AWS_SHARED_CREDENTIALS_FILE"
        )
    return Credentials(key, secret, token or None)


_NAMES = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")


def _from_file(path: Path, profile: str) -> Mapping[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        require_private(path)
        parser.read_string(path.read_text(encoding="utf-8"))
        return parser[profile]
    except (OSError, UnicodeDecodeError, configparser.Error, KeyError):
        raise UserError(
            f"AWS_SHARED_CREDENTIALS_FILE: {path} is no readable file with credentials of "
            f"[{profile}]"
        ) from None


def object_path(parts: Parts) -> str:
    """Return the path of an object at its server, percent-encoded as S3 signs it."""
    return "/" + "/".join(quote(part, safe="-_.~") for part in parts)


def sign(
    method: str,
    host: str,
    path: str,
    sha256: str,
    credentials: Credentials,
    region: str,
    at: datetime,
) -> dict[str, str]:
    """Return headers that authorize a request (AWS Signature 4). `sha256`: of its body."""
    stamp = f"{at:%Y%m%dT%H%M%SZ}"
    day = f"{at:%Y%m%d}"
    headers = {"host": host, "x-amz-content-sha256": sha256, "x-amz-date": stamp}
    headers |= {"x-amz-security-token": credentials.token} if credentials.token else {}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = hashlib.sha256(f"{method}\n{path}\n\n{lines}\n{names}\n{sha256}".encode()).hexdigest()
    scope = f"{day}/{region}/s3/aws4_request"
    key = f"AWS4{credentials.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(
        key, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{request}".encode(), "sha256"
    ).hex()
    credential = f"Credential={credentials.key}/{scope}"
    return {
        **headers,
        "authorization": (
            f"AWS4-HMAC-SHA256 {credential},SignedHeaders={names},Signature={signature}"
        ),
    }
