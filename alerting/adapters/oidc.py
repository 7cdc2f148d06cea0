"""Client of an OpenID provider: authorisation code with PKCE, checks of its tokens, log-out.

Steps of the protocol come from Authlib, signatures from joserfc; each request has limits of bytes
and time. Only a token that passed every check is read further.
"""

import asyncio
import json
import secrets
import ssl
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlencode

import httpx
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import BadSignatureError, ClaimError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from alerting.adapters.files.yaml_documents import read_yaml
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable
from alerting.operators.directory import (
    CLOCK_SKEW,
    BegunSignIn,
    DirectoryDown,
    DirectoryPerson,
    DirectoryRefused,
)
from alerting.settings.directory import DirectorySettings, is_safe_address, parse_directory
from alerting.settings.secrets import read_private_file

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Signatures with a public key; never `none`, nor one whose key both sides know (`HS…`)."""
LARGEST_ANSWER = 512 * 1024
ANSWER_SECONDS = 10.0
METADATA_LAST = timedelta(hours=1)
KEYS_LAST = timedelta(minutes=10)
"""A key that the provider has withdrawn signs nothing for longer."""
UNKNOWN_KEY_EVERY = timedelta(seconds=30)
"""An unknown key makes the keys be read again, at most this often."""
LOGOUT_TOKEN_LASTS = timedelta(minutes=10)
LONGEST_SUBJECT = 255
_MOST_KEYS = 50
_LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class OidcProvider:
    """The provider of one settings document. `transport`: of its requests, for tests."""

    def __init__(
        self,
        settings: DirectorySettings,
        secret: str,
        public_url: str,
        trust: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self.settings = settings
        self.secret = secret
        self.redirect_uri = f"{public_url}/login/directory/back"
        self._logged_out_uri = f"{public_url}/login"
        self._trust = trust or httpx.create_ssl_context()
        self._transport = transport
        self._seconds = answer_seconds
        self._metadata: tuple[datetime, Mapping[str, Any]] | None = None
        self._keys: tuple[datetime, KeySet] | None = None
        self._unknown_key_at: datetime | None = None

    async def begin(self, now: datetime) -> BegunSignIn:
        """Return a new sign-in. Raises DirectoryDown if the provider does not answer as one."""
        metadata = await self._read_metadata(now)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        address = prepare_grant_uri(
            metadata["authorization_endpoint"],
            client_id=self.settings.client_id,
            response_type="code",
            redirect_uri=self.redirect_uri,
            scope=" ".join(dict.fromkeys(("openid", *self.settings.oauth_scopes))),
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return BegunSignIn(address, state, nonce, verifier)

    async def finish(
        self, code: str, issuer: str, nonce: str, verifier: str, now: datetime
    ) -> DirectoryPerson:
        """Return the person whom a code stands for. `issuer`: the `iss` that came with it, "" if
        none did.

        Raises DirectoryDown if the provider does not answer as one, DirectoryRefused if the answer
        came from another provider (RFC 9207), the code is refused, or its token fails a check.
        """
        metadata = await self._read_metadata(now)
        announced = metadata.get("authorization_response_iss_parameter_supported") is True
        if (issuer or announced) and issuer != self.settings.issuer:
            _refuse("the answer is of another provider")
        tokens = await self._redeem(metadata, code, verifier)
        claims, header = await self._read_token(tokens.get("id_token"), now)
        identity = CodeIDToken(
            claims,
            header,
            options=self._options(sub={"essential": True}, nonce={"essential": True}),
            params={
                "nonce": nonce,
                "client_id": self.settings.client_id,
                "access_token": tokens.get("access_token"),
            },
        )
        _check(identity, now)
        return self._person(claims)

    async def read_logout(self, token: str, now: datetime) -> str:
        """Return the subject of a back-channel logout token. Raises DirectoryRefused if it fails a
        check or names only a session of the provider, DirectoryDown without keys."""
        claims, header = await self._read_token(token, now)
        found = CodeIDToken(claims, header, options=self._options(sub={"essential": True}))
        _check(found, now)
        events = claims.get("events")
        if "nonce" in claims or not isinstance(events, dict) or _LOGOUT_EVENT not in events:
            _refuse("the token is not one of a log-out")
        if claims["iat"] < (now - LOGOUT_TOKEN_LASTS).timestamp():
            _refuse("the token of the log-out is too old")
        return str(claims["sub"])

    async def logout_address(self, now: datetime) -> str | None:
        """Return where a browser is signed out of the provider; None if it has no such address."""
        address = (await self._read_metadata(now)).get("end_session_endpoint")
        if not isinstance(address, str) or not is_safe_address(address):
            return None
        query = urlencode(
            {
                "client_id": self.settings.client_id,
                "post_logout_redirect_uri": self._logged_out_uri,
            }
        )
        return f"{address}{'&' if '?' in address else '?'}{query}"

    async def _read_metadata(self, now: datetime) -> Mapping[str, Any]:
        if self._metadata is not None and _is_recent(self._metadata[0], METADATA_LAST, now):
            return self._metadata[1]
        address = f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        found = await self._fetch("GET", address)
        if found.get("issuer") != self.settings.issuer:
            _refuse("the provider calls itself by another name than the configured issuer")
        for name in _ENDPOINTS:
            if not isinstance(found.get(name), str) or not is_safe_address(found[name]):
                _refuse("the provider names an address that is missing or not https", name)
        self._metadata = (now, found)
        return found

    async def _redeem(
        self, metadata: Mapping[str, Any], code: str, verifier: str
    ) -> dict[str, Any]:
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        by_post = "client_secret_basic" not in methods and "client_secret_post" in methods
        body = prepare_token_request(
            "authorization_code",
            redirect_uri=self.redirect_uri,
            code=code,
            code_verifier=verifier,
        )
        headers = {"content-type": "application/x-www-form-urlencoded"}
        client = ClientAuth(
            self.settings.client_id,
            self.secret,
            "client_secret_post" if by_post else "client_secret_basic",
        )
        uri, headers, body = client.prepare("POST", metadata["token_endpoint"], headers, body)
        return await self._fetch("POST", uri, headers, body)

    async def _read_token(self, token: Any, now: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return claims and header of a token whose signature is one of the provider's keys."""
        if not isinstance(token, str) or not token.isascii():
            _refuse("the provider gave no identity token")
        try:
            try:
                read = _decode(token, await self._read_keys(now))
            except (InvalidKeyIdError, BadSignatureError):  # perhaps of a new key
                if _is_recent(self._unknown_key_at, UNKNOWN_KEY_EVERY, now):
                    raise
                self._unknown_key_at = now
                self._keys = None
                read = _decode(token, await self._read_keys(now))
        except (JoseError, ValueError) as fault:
            _refuse("the signature of the token is not right", type(fault).__name__)
        return read.claims, dict(read.header)

    async def _read_keys(self, now: datetime) -> KeySet:
        if self._keys is not None and _is_recent(self._keys[0], KEYS_LAST, now):
            return self._keys[1]
        found = await self._fetch("GET", (await self._read_metadata(now))["jwks_uri"])
        documents = found.get("keys")
        keys = []
        for document in documents[:_MOST_KEYS] if isinstance(documents, list) else ():
            try:
                if document.get("use", "sig") == "sig" and document.get("kty") in ("RSA", "EC"):
                    keys += KeySet.import_key_set({"keys": [document]}).keys
            except (JoseError, ValueError, TypeError, AttributeError):
                continue  # a key of another kind does not spoil the others
        self._keys = (now, KeySet(keys))
        return self._keys[1]

    def _options(self, **more: dict[str, Any]) -> dict[str, Any]:
        wanted = {"iss": self.settings.issuer, "aud": self.settings.client_id}
        return {name: {"essential": True, "value": one} for name, one in wanted.items()} | more

    def _person(self, claims: Mapping[str, Any]) -> DirectoryPerson:
        if len(claims["sub"]) > LONGEST_SUBJECT or not claims["sub"].isprintable():
            _refuse("the subject of the token is too long or not printable")
        groups = claims.get(self.settings.groups_claim, [])
        groups = [groups] if isinstance(groups, str) else groups
        if not isinstance(groups, list):
            _refuse("the claim with the groups is not a list", self.settings.groups_claim)
        names = [claims.get(name) for name in ("preferred_username", "email", "name", "sub")]
        usable = [name for name in names if isinstance(name, str) and name]
        shown = claims.get("name")
        return DirectoryPerson(
            self.settings.issuer,
            claims["sub"],
            usable[0],
            shown if isinstance(shown, str) else "",
            tuple(group for group in groups if isinstance(group, str)),
        )

    async def _fetch(
        self, method: str, address: str, headers: Mapping[str, str] | None = None, body: str = ""
    ) -> dict[str, Any]:
        """Return the JSON object at an address. Raises DirectoryDown, or DirectoryRefused for a
        code that is not good."""
        wanted = {"accept": "application/json", "accept-encoding": "identity"}
        try:
            async with (
                asyncio.timeout(self._seconds),
                httpx.AsyncClient(
                    verify=self._trust,
                    transport=self._transport,
                    trust_env=False,
                    follow_redirects=False,
                ) as client,
                client.stream(
                    method, address, headers={**wanted, **(headers or {})}, content=body or None
                ) as answer,
            ):
                content = b""
                if answer.headers.get("content-encoding", "identity") != "identity":
                    raise self._unreachable("its answer is compressed")
                async for part in answer.aiter_bytes():
                    content += part
                    if len(content) > LARGEST_ANSWER:
                        raise self._unreachable("its answer is too large")
        except TimeoutError:
            raise self._unreachable("it did not answer in time") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as fault:
            raise self._unreachable(type(fault).__name__) from None
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            raise self._unreachable(f"status {answer.status_code} without JSON") from None
        if 400 <= answer.status_code < 500 and method == "POST":
            _refuse("the provider refused the code")
        if answer.status_code != 200 or not isinstance(found, dict):
            raise self._unreachable(f"status {answer.status_code}")
        return found

    def _unreachable(self, why: str) -> DirectoryDown:
        message = translatable(
            "{title} cannot be used now: try again later. An administrator of this platform can "
            "sign in with a password.",
            title=self.settings.title,
        )
        return DirectoryDown(f"the provider cannot be used: {why}", message)


def open_directory(file: Path, public_url: str) -> OidcProvider:
    """Return the provider of a settings file. Raises UserError with all faults of the document, or
    for a secret that cannot be read or that others may read."""
    documents = read_yaml(file)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise UserError(f"{file}: holds not one document of the directory")
    settings = parse_directory(documents[0], str(file))
    if not is_safe_address(public_url):
        raise UserError(
            "ALERTING_PUBLIC_URL must start with https:// for sign-in by the directory, except on "
            "this machine"
        )
    secret = read_private_file(
        settings.client_secret_file, f"{file}: client_secret_file {settings.client_secret_file}"
    )
    if not secret.strip():
        raise UserError(f"{file}: client_secret_file {settings.client_secret_file} is empty")
    try:
        trust = (
            None
            if settings.ca_file is None
            else ssl.create_default_context(cafile=settings.ca_file)
        )
    except OSError as fault:
        raise UserError(f"{file}: ca_file {settings.ca_file} cannot be read: {fault}") from fault
    return OidcProvider(settings, secret, public_url, trust)


def _decode(token: str, keys: KeySet) -> jwt.Token:
    registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    return jwt.decode(token, keys, ALGORITHMS, registry)


def _check(token: CodeIDToken, now: datetime) -> None:
    try:
        token.validate(int(now.timestamp()), int(CLOCK_SKEW.total_seconds()))
    except (ClaimError, ValueError, TypeError) as fault:
        claim = getattr(fault, "claim", "")
        _refuse("the token is not valid", f"{type(fault).__name__} {claim}".strip())


def _is_recent(at: datetime | None, lasting: timedelta, now: datetime) -> bool:
    return at is not None and timedelta(0) <= now - at < lasting


def _refuse(reason: str, detail: str = "") -> NoReturn:
    """Raise DirectoryRefused. The detail is a name of the protocol."""
    message = translatable(
        "The sign-in failed a check. Begin again; if it fails again, tell an administrator, who "
        "finds the reason in the audit."
    )
    raise DirectoryRefused(f"{reason} ({detail})" if detail else reason, message)
