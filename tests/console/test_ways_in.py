"""Ways in: the link that `alerting up` prints, which signs in once, for ten minutes, from this
machine alone; two processes of the console on one database; HTTPS with a certificate of its own;
and the pages behind feedback links."""

import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle

import httpx
import pytest
from fastapi.testclient import TestClient

from alerting.adapters.passwords_and_links import SignedLinks
from alerting.console.app import create_app
from alerting.console.gate import REQUESTS, RateLimit
from alerting.console.serve import tls_options
from alerting.definitions.faults import UserError
from alerting.local.parts import answers
from alerting.local.prepare import LINK_VALID, ROLES, make_link, take_link
from alerting.settings.environment import SettingsRefused, read_settings
from alerting.usecases.access import accounts
from tests.builders import at
from tests.helpers.console.api import TOKENS
from tests.helpers.console.pages import csrf_of
from tests.helpers.console.people import PASSWORD, app_of, browser_of, person_on, sign_in
from tests.helpers.console.server import serving_thread
from tests.helpers.episodes import episode, full_episode
from tests.in_memory_platform import HandClock, in_memory_platform

NOW = datetime(2026, 1, 6, tzinfo=UTC)
HERE = "http://127.0.0.1:8000"
OF_ROLES = {f"{role}-token-0123456789": (role, role) for role in ROLES}


@pytest.fixture
def open_browser(tmp_path, wall):
    def opened(base=HERE, client="127.0.0.1", tokens=OF_ROLES):
        app = create_app(in_memory_platform(), tokens, now=wall, sign_in=tmp_path)
        return TestClient(app, base_url=base, client=(client, 50000), follow_redirects=False)

    return opened


@pytest.fixture
def link(tmp_path):
    return make_link(tmp_path, HERE, NOW)


def test_the_link_signs_in_once(open_browser, link):
    first = open_browser()
    second = open_browser()
    answer = first.get(link)
    assert answer.status_code == 200
    assert 'content="0; url=/"' in answer.text  # the console opens by itself
    cookie = answer.headers["set-cookie"]
    assert ("HttpOnly" in cookie, "SameSite=strict" in cookie) == (True, True)
    assert 'action="/logout"' in first.get("/").text
    refused = second.get(link)
    assert (refused.status_code, "set-cookie" in refused.headers) == (410, False)
    assert "/login" in refused.text
    assert second.get("/").status_code == 303


def test_the_link_signs_no_one_in_where_only_a_program_has_a_token(open_browser, link):
    answer = open_browser(tokens={"sender-token-0123456789": ("gateway", "sender")}).get(link)
    assert (answer.status_code, "set-cookie" in answer.headers) == (410, False)


def test_the_link_expires_and_a_new_one_makes_the_one_before_worthless(
    open_browser, link, tmp_path, wall
):
    newer = make_link(tmp_path, HERE, NOW + timedelta(minutes=1))
    assert open_browser().get(link).status_code == 410
    wall.instant = NOW + timedelta(minutes=1) + LINK_VALID
    assert open_browser().get(newer).status_code == 410
    wall.instant -= timedelta(seconds=1)
    assert open_browser().get(newer).status_code == 200


def test_from_elsewhere_or_ahead_or_with_a_wrong_code_it_lets_nobody_in_and_is_not_used_up(
    open_browser, link
):
    path = link.removeprefix(HERE)
    asked = [
        (HERE, "192.0.2.7", path, {}),
        ("http://plant.example", "127.0.0.1", path, {}),
        ("http://127.0.0.1.example:8000", "127.0.0.1", path, {}),
        (HERE, "127.0.0.1", path, {"x-forwarded-for": "192.0.2.7"}),
        (HERE, "127.0.0.1", path, {"forwarded": "for=192.0.2.7"}),
        (HERE, "127.0.0.1", path, {"sec-purpose": "prefetch;prerender"}),
        *(
            (HERE, "127.0.0.1", f"/sign-in/{code}", {})
            for code in ("", "wrong", "a" * 5000, "..%2f..%2fapi_tokens.json", "%ff")
        ),
    ]
    statuses = [
        open_browser(base, at).get(to, headers=more).status_code for base, at, to, more in asked
    ]
    assert statuses[:6] == [410] * 5 + [503]
    assert {*statuses[6:]} <= {303, 404, 410}
    assert open_browser().get(link).status_code == 200


def test_of_many_at_once_one_is_let_in_and_the_code_stands_in_no_file(tmp_path, link):
    code = link.rpartition("/")[2]
    files = [(code in file.read_text(), file.stat().st_mode & 0o077) for file in tmp_path.iterdir()]
    assert {*files} == {(False, 0)}
    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(lambda _: take_link(tmp_path, code, NOW), range(64))) == 1


class ByTurns:
    """Sends each request to the next of several applications."""

    def __init__(self, *apps):
        self._next = cycle(apps)

    async def __call__(self, scope, receive, send):
        await next(self._next)(scope, receive, send)


@pytest.fixture
def proxy(platform, wall):
    person_on(platform, wall())
    return ByTurns(app_of(platform, wall), app_of(platform, wall))


def test_a_form_that_one_made_is_taken_by_the_other(proxy):
    browser = browser_of(proxy)
    sign_in(browser)
    csrf = csrf_of(browser.get("/account"))
    form = {"csrf": csrf, "language": "de", "zone": ""}
    answers = [browser.post("/account/preferences", data=form).status_code for _ in range(2)]
    assert answers == [303, 303]


def test_a_one_time_link_is_good_once_on_either(proxy, platform, wall):
    code = accounts.make_link(platform, "anna", "ada", wall())
    browser = browser_of(proxy)
    fields = {"password": "a wholly new password", "again": "a wholly new password"}
    answers = [browser.post(f"/password/{code}", data=fields).status_code for _ in range(2)]
    assert answers == [303, 410]


def test_wrong_passwords_count_on_both_together(proxy, wall):
    browser = browser_of(proxy)
    answers = [sign_in(browser, password="wrong password") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert sign_in(browser).status_code == 429
    wall.instant += timedelta(seconds=int(answers[-1].headers["retry-after"]))
    assert sign_in(browser).status_code == 303


def test_wrong_tokens_count_on_both_together(proxy, wall):
    program = browser_of(proxy, headers={"authorization": "Bearer wrong-token-0123456789"})
    answers = [program.get("/api/v1/episodes").status_code for _ in range(8)]
    assert answers.count(401) <= 6
    assert answers[-2:] == [429, 429]


def make_certificate(name, folder):
    """Write a certificate for a name of this machine, and its key; return both."""
    folder.mkdir(exist_ok=True)
    cert = folder / "cert.pem"
    key = folder / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    words += ["-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", key, "-out", cert]
    words += ["-addext", f"subjectAltName=DNS:{name},DNS:localhost"]
    subprocess.run(words, check=True, capture_output=True)
    return cert, key


@pytest.fixture
def pair(tmp_path):
    return make_certificate("plant-7.example", tmp_path)


@pytest.fixture
def address(platform, pair):
    def now():
        return datetime.now(UTC)

    person_on(platform, now())
    with serving_thread(app_of(platform, now), **tls_options(*pair)) as port:
        yield f"https://localhost:{port}"


def test_a_person_signs_in_over_https_and_another_certificate_is_not_trusted(
    address, pair, tmp_path
):
    trust = ssl.create_default_context(cafile=str(pair[0]))
    named = {"host": "plant-7.example"}
    with httpx.Client(base_url=address, verify=trust, headers=named, trust_env=False) as browser:
        assert 'name="password"' in browser.get("/login").text
        answer = browser.post("/login", data={"name": "anna", "password": PASSWORD})
        assert (answer.status_code, "Secure" in answer.headers["set-cookie"]) == (303, True)
    with pytest.raises(httpx.ConnectError), httpx.Client(trust_env=False) as stranger:
        stranger.get(f"{address}/login")
    other, key = make_certificate("plant-7.example", tmp_path / "other")
    health = f"{address}/api/v1/health"  # the check of the start trusts this certificate alone
    assert [answers(health, tls_cert=cert)() for cert in (pair[0], other)] == [True, False]
    with pytest.raises(UserError, match="cannot be used for HTTPS"):
        tls_options(pair[0], key)
    assert tls_options(None, None) == {}


def test_certificate_and_key_are_set_together(tmp_path):
    pair = make_certificate("plant-7.example", tmp_path)
    home = {"ALERTING_HOME": str(tmp_path / "home")}
    both = {"ALERTING_TLS_CERT": str(pair[0]), "ALERTING_TLS_KEY": str(pair[1])}
    assert read_settings(home | both).api_address == "https://127.0.0.1:8000"
    for given in ({"ALERTING_TLS_CERT": str(pair[0])}, {"ALERTING_TLS_KEY": "/no/such/file"}):
        with pytest.raises(SettingsRefused, match="TLS"):
            read_settings(home | given)


@pytest.fixture
def served():
    """Return a client, its clock, the platform, and the address of an answer."""
    clock = HandClock(at(10))
    links = SignedLinks(b"k" * 40, "http://testserver", timedelta(hours=1), clock.now)
    platform = replace(in_memory_platform(), links=links)
    platform.episodes.insert(episode(1))
    client = TestClient(create_app(platform, TOKENS, now=clock.now), raise_server_exceptions=False)
    return (
        client,
        clock,
        platform,
        links.answer_links(platform.episodes.find()[0].id, "anna")[0].url,
    )


def test_a_page_leaks_its_address_to_nobody_and_what_is_no_link_or_has_expired_is_gone(served):
    client, clock, _, url = served
    headers = client.get(url).headers
    assert (headers["referrer-policy"], headers["cache-control"]) == ("no-referrer", "no-store")
    assert "noindex" in headers["x-robots-tag"]
    for path in (url[:-3] + "xyz", "/f/nonsense", "/f/a.b"):
        answers = client.get(path), client.post(path, data={"confirm": "yes"})
        assert [answer.status_code for answer in answers] == [410, 410]
    clock.instant = at(71)
    answer = client.get(url)
    assert (answer.status_code, "expired" in answer.text) == (410, True)


def test_a_client_that_tries_too_often_waits_a_minute(served):
    client, clock, _, url = served
    codes = [client.get(url).status_code for _ in range(REQUESTS + 1)]
    assert codes == [200] * REQUESTS + [429]
    clock.instant = at(11)
    assert client.get(url).status_code == 200


def test_the_limit_counts_each_client_by_itself_and_does_not_grow_for_ever():
    limit = RateLimit(requests=1)
    assert [limit.allows(client, at(0)) for client in "aab"] == [True, False, True]
    for i in range(25_000):
        limit.allows(str(i), at(i))
    assert len(limit._times) <= 10_001


def test_the_link_of_an_action_asks_whether_the_recommendation_was_followed(served):
    client, _, platform, _ = served
    full = replace(full_episode(), asset="oven-2", condition="open", closed_at=None)
    platform.episodes.insert(full)
    right, _, acted, *_ = platform.links.answer_links(full.id, "anna")
    asks = ['name="taken"' in client.get(link.url).text for link in (right, acted)]
    assert asks == [False, True]
    answers = [
        client.post(acted.url, data={"confirm": "yes", "taken": taken})
        for taken in ("sometimes", "partly")
    ]
    assert [answer.status_code for answer in answers] == [422, 200]
    assert platform.feedback.for_episode(full.id)[-1].recommendation_taken == "partly"
