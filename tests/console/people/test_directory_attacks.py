"""Sign-in by the plant's directory as an attacker tries it: every check of ours must hold alone."""

import asyncio
import base64
import hmac
import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from joserfc.jws import JWSRegistry

from alerting.adapters.oidc import LARGEST_ANSWER, LONGEST_SUBJECT
from alerting.ports import AuditFilter
from tests.helpers.console.fake_provider import (
    CLIENT,
    ISSUER,
    PUBLIC,
    begin,
    come_in,
    key,
    refusals,
)
from tests.helpers.console.people import app_of, browser_of

OTHER = "https://login.attacker.example"


def expect_refused(answer, platform, why):
    assert answer.status_code == 403, answer.text
    assert "alerting_session" not in answer.headers.get("set-cookie", "")
    assert why in refusals(platform)[0]
    assert not [one for one in platform.accounts.all() if one.identity]


# The token


def seconds(wall, after):
    return int((wall() + timedelta(seconds=after)).timestamp())


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": OTHER}, "InvalidClaimError iss"),
        ({"iss": [ISSUER, OTHER]}, "InvalidClaimError iss"),
        ({"iss": None}, "MissingClaimError iss"),
        ({"aud": "another-client"}, "InvalidClaimError aud"),
        ({"aud": ["another-client"]}, "InvalidClaimError aud"),
        ({"aud": [CLIENT, "another-client"]}, "MissingClaimError azp"),
        ({"aud": [CLIENT, "another-client"], "azp": "another-client"}, "InvalidClaimError azp"),
        ({"azp": "another-client"}, "InvalidClaimError azp"),
        ({"aud": None}, "MissingClaimError aud"),
        ({"nonce": "of another sign-in"}, "InvalidClaimError nonce"),
        ({"nonce": None}, "MissingClaimError nonce"),
        ({"sub": None}, "MissingClaimError sub"),
        ({"sub": ""}, "InvalidClaimError sub"),
        ({"sub": "s" * (LONGEST_SUBJECT + 1)}, "the subject"),
        ({"exp": None}, "MissingClaimError exp"),
        ({"exp": float("inf")}, "InvalidClaimError exp"),
        ({"at_hash": "of another token"}, "InvalidClaimError at_hash"),
        ({"groups": {"it": True}}, "the claim with the groups"),
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(app, platform, provider, wall, claims, why):
    provider.claims = claims
    expect_refused(come_in(browser_of(app), provider, wall), platform, why)


@pytest.mark.parametrize(
    ("claim", "after", "good"),
    [
        ("exp", -59, True),
        ("exp", -61, False),
        ("iat", 59, True),
        ("iat", 61, False),
        ("nbf", 59, True),
        ("nbf", 61, False),
    ],
)
def test_the_clocks_may_differ_by_a_minute(app, platform, provider, wall, claim, after, good):
    provider.claims = {claim: seconds(wall, 60 + after)}
    answer = come_in(browser_of(app), provider, wall)
    assert answer.status_code == (200 if good else 403)


def unsigned(header, claims, algorithm="none"):
    parts = ({**header, "alg": algorithm}, claims)
    text = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts]
    return ".".join([*text, ""])


def with_public_key(header, claims):
    """Sign with HS256 and the public key of the provider as the common secret."""
    unsigned_part = unsigned(header, claims, "HS256")[:-1]
    made = hmac.digest(key().as_pem(private=False), unsigned_part.encode(), "sha256")
    return f"{unsigned_part}.{base64.urlsafe_b64encode(made).decode().rstrip('=')}"


def with_client_secret(header, claims):
    secret = OctKey.import_key("a secret of the provider and of this client")
    return jwt.encode({**header, "alg": "HS256"}, claims, secret, ["HS256"])


def with_embedded_key(header, claims):
    own = key("attacker")
    header = {**header, "jwk": own.as_dict(private=False)}
    registry = JWSRegistry(algorithms=["RS256"], strict_check_header=False)
    registry.max_header_length = 4000
    return jwt.encode(header, claims, own, ["RS256"], registry)


def with_own_key(header, claims):
    return jwt.encode(header, claims, key("attacker"), ["RS256"])


@pytest.mark.parametrize(
    "sign",
    [
        unsigned,
        with_public_key,
        with_client_secret,
        with_embedded_key,
        with_own_key,
        lambda *_: "",
        lambda *_: "a.b.c",
        lambda *_: None,
        lambda *_: {"a": 1},
    ],
)
def test_a_token_without_a_signature_of_the_provider_is_refused(
    app,
    platform,
    provider,
    wall,
    sign,
):
    provider.sign = sign
    expect_refused(come_in(browser_of(app), provider, wall), platform, "token")


@pytest.mark.parametrize("algorithm", ["PS256", "ES256"])
def test_other_signatures_with_public_keys_are_taken(app, provider, wall, algorithm):
    if algorithm == "ES256":
        provider.signing_key = ECKey.generate_key("P-256", {"kid": "curve"})
        provider.keys.append(provider.signing_key)
    provider.header = {"alg": algorithm}
    assert come_in(browser_of(app), provider, wall).status_code == 200


# The keys


def test_a_new_key_is_found_and_a_withdrawn_one_is_refused(app, provider, wall):
    browser = browser_of(app)
    assert come_in(browser, provider, wall).status_code == 200
    provider.keys.append(key("two"))
    provider.signing_key = key("two")
    assert come_in(browser, provider, wall).status_code == 200
    provider.keys.remove(key())
    provider.signing_key = key()
    wall.instant += timedelta(minutes=10)
    assert come_in(browser, provider, wall).status_code == 403


def test_unknown_keys_do_not_make_the_platform_ask_without_end(app, platform, provider, wall):
    browser = browser_of(app)
    come_in(browser, provider, wall)
    provider.signing_key = key("attacker")
    provider.requests.clear()
    for _ in range(5):
        browser.get(provider.authorize(begin(browser).headers["location"]))
    assert provider.requests.count("/keys") == 1
    wall.instant += timedelta(seconds=30)
    for _ in range(5):
        browser.get(provider.authorize(begin(browser).headers["location"]))
    assert provider.requests.count("/keys") == 2


# The way of the browser


def test_an_answer_to_no_sign_in_of_this_browser_is_refused(app, platform, provider, wall):
    victim = browser_of(app)
    attacker = browser_of(app)
    path = provider.authorize(begin(attacker).headers["location"])
    expect_refused(victim.get(path), platform, "belongs to no sign-in")
    begin(victim)
    expect_refused(victim.get(path), platform, "belongs to no sign-in")
    assert "/token" not in provider.requests


def test_a_cookie_that_the_platform_did_not_make_is_refused(app, platform, provider):
    browser = browser_of(app)
    path = provider.authorize(begin(browser).headers["location"])
    for forged in ("x", "W10.x", ""):
        other = browser_of(app, headers={"cookie": f"alerting_directory={forged}"})
        expect_refused(other.get(path), platform, "belongs to no sign-in")


def test_an_answer_is_good_once_also_beside_a_provider_that_does_not_count(
    app,
    platform,
    provider,
    wall,
):
    browser = browser_of(app)
    address = begin(browser).headers["location"]
    path = provider.authorize(address)
    copied = dict(browser.cookies)
    assert browser.get(path).status_code == 200
    assert browser.get(path).status_code == 403  # the cookie is gone
    thief = browser_of(app)
    thief.cookies.update(copied)
    assert thief.get(path).status_code == 403
    assert "the provider refused the code" in refusals(platform)[0]
    provider.codes["code-0"] = (
        {name: value for name, (value,) in parse_qs(urlsplit(address).query).items()},
        {"sub": "s-1", "groups": ["engineers"]},
    )
    thief = browser_of(app, "10.0.0.9")  # refusals of one address are joined
    thief.cookies.update(copied)
    assert thief.get(path).status_code == 403
    assert "finished before" in refusals(platform)[0]
    assert thief.get("/").status_code == 303


def test_a_sign_in_that_takes_too_long_is_refused(app, platform, provider, wall):
    browser = browser_of(app)
    path = provider.authorize(begin(browser).headers["location"])
    wall.instant += timedelta(minutes=10)
    expect_refused(browser.get(path), platform, "begun too long ago")


def test_a_code_of_another_sign_in_is_refused(app, platform, provider):
    stolen = provider.authorize(begin(browser_of(app)).headers["location"])
    browser = browser_of(app)
    own = provider.authorize(begin(browser).headers["location"])
    mixed = own.replace("code-1", parse_qs(urlsplit(stolen).query)["code"][0])
    expect_refused(browser.get(mixed), platform, "the provider refused the code")


@pytest.mark.parametrize("issuer", [OTHER, ""])
def test_an_answer_of_another_provider_is_refused_before_its_code_is_sent(
    app,
    platform,
    provider,
    wall,
    issuer,
):
    answer = come_in(browser_of(app), provider, wall, iss=issuer)
    expect_refused(answer, platform, "of another provider")
    assert "/token" not in provider.requests


def test_a_provider_that_announces_no_issuer_need_not_send_one(app, provider, wall):
    provider.metadata = {}
    assert come_in(browser_of(app), provider, wall, iss="").status_code == 200
    assert come_in(browser_of(app), provider, wall, iss=OTHER).status_code == 403


@pytest.mark.parametrize(
    "target", ["https://attacker.example/", "//attacker.example", "/\\attacker.example", "x"]
)
def test_the_way_after_the_sign_in_stays_here(app, provider, wall, target):
    answer = come_in(browser_of(app), provider, wall, target)
    assert answer.status_code == 200
    assert 'content="0; url=/"' in answer.text
    assert "attacker" not in answer.text


def test_a_refusal_of_the_provider_is_shown_without_its_text(app, platform, wall, provider):
    browser = browser_of(app)
    path = provider.authorize(begin(browser).headers["location"], error="<b>access_denied</b>")
    answer = browser.get(path)
    expect_refused(answer, platform, "access_denied")
    assert "access_denied" not in answer.text


def test_neither_code_nor_token_nor_secret_is_in_the_audit(app, platform, provider, wall):
    browser = browser_of(app)
    come_in(browser, provider, wall)
    provider.claims = {"aud": "another-client"}
    come_in(browser, provider, wall)
    text = repr(platform.audit.find(AuditFilter(), 100))
    assert "another-client" not in text
    assert "code-" not in text
    assert "eyJ" not in text


def test_one_address_cannot_begin_without_end(app, provider, wall):
    browser = browser_of(app)
    assert [begin(browser).status_code for _ in range(121)] == [303] * 120 + [429]


@pytest.mark.parametrize("client", ["127.0.0.1", "10.0.0.7"])
def test_no_header_of_a_proxy_names_a_person(app, platform, provider, wall, client):
    come_in(browser_of(app), provider, wall, groups=["it"])
    names = ("x-forwarded-user", "x-auth-request-user", "x-remote-user", "remote-user")
    browser = browser_of(app, client, headers=dict.fromkeys(names, "anna.berg"))
    assert browser.get("/").status_code == 303
    assert browser.get("/api/v1/episodes").status_code == 401


# The provider


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"issuer": OTHER}, "another name"),
        ({"token_endpoint": "http://login.plant.example/token"}, "token_endpoint"),
        ({"jwks_uri": "file:///etc/passwd"}, "jwks_uri"),
        ({"authorization_endpoint": None}, "authorization_endpoint"),
    ],
)
def test_metadata_that_lead_astray_are_refused(app, platform, provider, metadata, why):
    provider.metadata = metadata
    expect_refused(begin(browser_of(app)), platform, why)


def many_bytes():
    for _ in range(LARGEST_ANSWER // 1000 + 2):
        yield b" " * 1000
    raise AssertionError("read on behind the limit")


class Endless(httpx.AsyncByteStream):
    async def __aiter__(self):
        for part in many_bytes():
            yield part


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/keys"])
@pytest.mark.parametrize(
    "answer",
    [
        lambda _: httpx.Response(200, stream=Endless()),
        lambda _: httpx.Response(200, text="<html>"),
        lambda _: httpx.Response(200, json=["a list"]),
        lambda _: httpx.Response(500, json={}),
        lambda _: httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Endless()),
        lambda _: httpx.Response(302, headers={"location": "http://169.254.169.254/"}),
        lambda _: httpx.Response(200, text="[" * 100_000),
    ],
)
def test_a_provider_that_answers_anything_is_said_to_be_away(
    app,
    platform,
    provider,
    wall,
    path,
    answer,
):
    provider.answers[path] = answer
    browser = browser_of(app)
    begun = begin(browser)
    if path.startswith("/.well"):
        assert begun.status_code == 503
    else:
        assert browser.get(provider.authorize(begun.headers["location"])).status_code == 503
    assert "cannot be used" in refusals(platform)[0]


def test_a_provider_that_hangs_holds_nothing_up(platform, provider, wall):
    async def hang(_):
        await asyncio.Event().wait()

    client = provider.client(answer_seconds=0.05)
    client._transport = httpx.MockTransport(hang)
    browser = browser_of(app_of(platform, wall, directory=client, public_url=PUBLIC))
    assert begin(browser).status_code == 503
    assert refusals(platform) == ["the provider cannot be used: it did not answer in time"]


# The log-out from there


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": OTHER},
        {"aud": "another-client"},
        {"sub": None, "sid": "1"},
        {"events": None},
        {"events": {"http://schemas.openid.net/event/other": {}}},
        {"nonce": "n"},
        {"exp": 1},
        {"iat": 1},
    ],
)
def test_a_forged_log_out_ends_no_session(app, provider, wall, changes):
    browser = browser_of(app)
    come_in(browser, provider, wall)
    token = provider.logout_token(**changes)
    answer = browser_of(app).post("/login/directory/logout", data={"logout_token": token})
    assert answer.status_code == 400
    assert browser.get("/").status_code == 200


def test_a_provider_may_log_out_all_at_once_and_a_stranger_may_not_fill_the_audit(
    app, platform, provider
):
    def statuses(token):
        data = {"logout_token": token}
        answers = [browser_of(app).post("/login/directory/logout", data=data) for _ in range(121)]
        return [answer.status_code for answer in answers]

    assert statuses(provider.logout_token()) == [200] * 121
    assert statuses("a.b.c") == [400] * 120 + [429]


def test_an_identity_token_is_no_log_out(app, provider, wall):
    browser = browser_of(app)
    come_in(browser, provider, wall)
    address = begin(browser).headers["location"]
    provider.authorize(address)
    token = provider.id_token("code-1")
    answer = browser_of(app).post("/login/directory/logout", data={"logout_token": token})
    assert answer.status_code == 400
    assert browser.get("/").status_code == 200
