"""A small OpenID provider in the process of the test, which can be told to lie."""

import hashlib
import json
from base64 import urlsafe_b64encode
from datetime import timedelta
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry

from alerting.adapters.oidc import OidcProvider
from alerting.ports import AuditFilter
from alerting.settings.directory import parse_directory
from tests.helpers.console.people import app_of

ISSUER = "https://login.plant.example"
CLIENT = "alerting"
SECRET = "a secret of the provider and of this client"
PUBLIC = "https://plant.example"
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
GROUPS = [
    {"group": "line-1", "role": "operator", "scope": ["line-1"]},
    {"group": "engineers", "role": "engineer"},
    {"group": "it", "role": "admin"},
]


@cache
def key(kid="one"):
    """Return a private key, made once in a process."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


def document(**changes):
    """Return the document of a directory, valid without changes."""
    return {
        "issuer": ISSUER,
        "title": "Plant login",
        "client_id": CLIENT,
        "client_secret_file": "/run/secrets/oidc",
        "groups": GROUPS,
        **changes,
    }


class FakeProvider:
    """A provider whose answers a test changes before they are sent.

    `claims` and `header` go over those of a right token; `sign` replaces the signature; `answers`
    replaces the answer of a path.
    """

    def __init__(self, now):
        self.now = now
        self.keys = [key()]
        self.signing_key = key()
        self.metadata = {"authorization_response_iss_parameter_supported": True}
        self.claims = {}
        self.header = {}
        self.sign = None
        self.answers = {}
        self.requests = []
        self.codes = {}
        self.people = 0

    def client(self, **options):
        """Return the platform's client of this provider."""
        return OidcProvider(
            parse_directory(document(), "test"),
            SECRET,
            PUBLIC,
            transport=httpx.MockTransport(self.answer),
            **options,
        )

    def authorize(self, address, groups=("engineers",), subject="s-1", **answer):
        """Sign a person in at the address to which the platform sent the browser; return the path
        to which the browser is sent back."""
        asked = {name: value for name, (value,) in parse_qs(urlsplit(address).query).items()}
        code = f"code-{self.people}"
        self.people += 1
        self.codes[code] = (asked, {"groups": list(groups), "sub": subject})
        back = urlsplit(asked["redirect_uri"]).path
        return (
            f"{back}?{urlencode({'code': code, 'state': asked['state'], 'iss': ISSUER} | answer)}"
        )

    def token(self, claims):
        """Return a signed token of these claims, without those that are None."""
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": "RS256", "kid": self.signing_key.kid} | self.header
        if self.sign is not None:
            return self.sign(header, claims)
        registry = JWSRegistry(algorithms=[header["alg"]])
        return jwt.encode(header, claims, self.signing_key, [header["alg"]], registry)

    def id_token(self, code):
        """Return the identity token of a code."""
        asked, person = self.codes[code]
        return self.token(
            self.times()
            | {
                "iss": ISSUER,
                "aud": CLIENT,
                "nonce": asked["nonce"],
                "preferred_username": "Anna.Berg@plant.example",
                "name": "Anna Berg",
            }
            | person
            | self.claims
        )

    def logout_token(self, **changes):
        """Return a token by which the provider signs a person out."""
        event = {"iss": ISSUER, "aud": CLIENT, "sub": "s-1", "events": {LOGOUT_EVENT: {}}}
        return self.token(self.times() | event | {"jti": "1"} | changes)

    def times(self):
        """Return the times of a token that is made now."""
        now = int(self.now().timestamp())
        return {"iat": now, "exp": now + 300}

    def answer(self, request):
        """Answer one request of the platform."""
        path = request.url.path
        self.requests.append(path)
        if path in self.answers:
            given = self.answers[path]
            return given(request) if callable(given) else given
        if path == "/.well-known/openid-configuration":
            return httpx.Response(200, json=self.discovery())
        if path == "/keys":
            return httpx.Response(200, json={"keys": [one.as_dict() for one in self.keys]})
        if path == "/token":
            return self.redeem(dict(parse_qs(request.content.decode())))
        return httpx.Response(404, json={})

    def discovery(self):
        """Return the metadata."""
        return {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
            "end_session_endpoint": f"{ISSUER}/logout",
        } | self.metadata

    def redeem(self, form):
        """Give the token of a code, once, to a client with its verifier."""
        (code,) = form["code"]
        asked, _ = self.codes.get(code, (None, None))
        verifier = form["code_verifier"][0].encode()
        challenge = urlsafe_b64encode(hashlib.sha256(verifier).digest()).decode().rstrip("=")
        if asked is None or challenge != asked["code_challenge"]:
            return httpx.Response(400, json={"error": "invalid_grant"})
        token = self.id_token(code)
        del self.codes[code]
        return httpx.Response(
            200, json={"id_token": token, "access_token": "a", "token_type": "Bearer"}
        )


def write_files(folder: Path, **changes):
    """Write the document of a directory and its secret; return the file."""
    secret = folder / "oidc-secret"
    secret.write_text(f"{SECRET}\n")
    secret.chmod(0o600)
    file = folder / "oidc.yaml"
    file.write_text(json.dumps(document(client_secret_file=str(secret)) | changes))
    return file


@pytest.fixture
def provider(wall):
    return FakeProvider(wall)


@pytest.fixture
def app(platform, wall, provider):
    """Return the application of a platform whose people sign in by the provider."""
    return app_of(platform, wall, directory=provider.client(), public_url=PUBLIC)


def begin(browser, to="/"):
    """Follow the link of the login."""
    return browser.get("/login/directory", params={"next": to})


def come_in(browser, provider, wall, to="/", **person):
    """Go the whole way, some time after the last sign-in."""
    wall.instant += timedelta(minutes=1)
    return browser.get(provider.authorize(begin(browser, to).headers["location"], **person))


def refusals(platform):
    """Return the reasons of refused sign-ins, newest first."""
    return [entry.why for entry in platform.audit.find(AuditFilter(what="sign-in refused"), 9)]
