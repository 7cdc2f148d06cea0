"""The whole round with real providers: django-oauth-toolkit in a real browser, and a provider that
checks nothing."""

import re
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import uvicorn
from oidc_provider_mock import User, run_server_in_thread

from alerting.adapters.oidc import OidcProvider, open_directory
from alerting.console.server import server_options
from alerting.settings.directory import parse_directory
from tests.helpers.console.chromium import CHROMIUM, open_chromium, wait_until
from tests.helpers.console.django_provider import PASSWORD, running_provider
from tests.helpers.console.fake_provider import PUBLIC, begin, document, refusals, write_files
from tests.helpers.console.people import app_of, browser_of, person_on
from tests.support import free_port

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]


def now():
    return datetime.now(UTC)


@contextmanager
def served(app, port):
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, **server_options(())))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    yield
    server.should_exit = True
    thread.join(30)


@pytest.fixture
def console(tmp_path, platform):
    """Yield the address of a console beside a real provider, and that of the provider."""
    port, other = free_port(), free_port()
    public = f"http://127.0.0.1:{port}"
    with running_provider(tmp_path, other, public) as issuer:
        directory = open_directory(write_files(tmp_path, issuer=issuer), public)
        app = app_of(platform, now, directory=directory, public_url=public)
        with served(app, port):
            yield public, f"http://localhost:{other}"


def sign_in_by_hand(page, console, provider):
    """Click, and fill in the form of the provider if it asks."""
    page.go(f"{console}/login?next=/reports")
    page.wait_for(f"{console}/login", "a.button")
    page.click("a.button")
    page.wait_for(f"{provider}/accounts/login/", "#enter")
    page.choose("[name=username]", "anna")
    page.choose("[name=password]", PASSWORD)
    page.click("#enter")
    page.wait_for(f"{console}/reports")


def test_a_person_signs_in_and_out_in_a_browser_also_after_a_change_of_keys(
    console, platform, tmp_path
):
    console, provider = console
    with open_chromium(tmp_path / "profile") as page:
        page.resize(390, 800)
        sign_in_by_hand(page, console, provider)
        account = platform.accounts.get("anna")
        assert (account.role, account.shown_name) == ("engineer", "Anna Berg")
        page.go(f"{console}/account")
        page.wait_for(f"{console}/account", "form[action='/logout'] button")
        assert "Anna Berg" in page.evaluate("document.body.innerText")
        page.click("form[action='/logout'] button")
        page.wait_for(f"{provider}/o/logout/", "[name=allow]")  # it asks whether it shall, too
        page.click("[name=allow]")
        page.wait_for(f"{console}/login", "a.button")
        assert platform.sessions.all(now(), "anna") == []
        httpx.post(f"{provider}/rotate").raise_for_status()
        sign_in_by_hand(page, console, provider)  # it asks again: it is logged out there as well
        httpx.post(f"{provider}/withdraw").raise_for_status()
        for session in platform.sessions.all(now(), "anna"):
            platform.sessions.end(session.id)
        page.go(f"{console}/login")
        page.wait_for(f"{console}/login", "a.button")
        page.click("a.button")  # still signed in there: no form
        page.wait_for(f"{console}/", "nav")


def test_the_page_of_the_login_fits_a_phone_without_scripts(console, platform, tmp_path):
    person_on(platform, now(), "adam", "admin")
    with open_chromium(tmp_path / "profile") as page:
        page.resize(390, 800)
        page.go(f"{console[0]}/login")
        page.wait_for(f"{console[0]}/login", "a.button")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert (
            page.evaluate("document.querySelector('a.button').getBoundingClientRect().height") >= 44
        )
        assert page.evaluate("document.querySelector('[name=password]').checkVisibility()") is False


# A provider that checks nothing


@pytest.fixture
def lax(platform):
    """Yield a provider that takes any client, verifier and nonce, and the application beside it."""
    anna = User(sub="s-1", claims={"groups": ["engineers"], "name": "Anna"})
    with run_server_in_thread(user_claims=[anna]) as server:
        issuer = f"http://localhost:{server.server_port}"
        settings = parse_directory(document(issuer=issuer), "test")
        provider = OidcProvider(settings, "any secret", PUBLIC)
        yield issuer, app_of(platform, now, directory=provider, public_url=PUBLIC)


def authorize(address):
    """Return the path to which the provider sends the browser of anna back."""
    answer = httpx.post(address, data={"sub": "s-1"})
    parts = urlsplit(answer.headers["location"])
    return f"{parts.path}?{parts.query}"


def test_a_provider_that_checks_nothing_signs_its_people_in(lax, platform):
    browser = browser_of(lax[1])
    assert browser.get(authorize(begin(browser).headers["location"])).status_code == 200
    assert platform.accounts.get("anna").role == "engineer"


def test_beside_a_provider_that_checks_nothing_no_foreign_code_signs_in(lax, platform):
    _, app = lax
    victim, attacker = browser_of(app), browser_of(app)
    of_victim = authorize(begin(victim).headers["location"])
    of_attacker = authorize(begin(attacker).headers["location"])
    (code,) = parse_qs(urlsplit(of_victim).query)["code"]
    # the victim's code in the attacker's own answer: the verifier is wrong, and nothing says so
    mixed = re.sub("code=[^&]+", f"code={code}", of_attacker)
    assert attacker.get(mixed).status_code == 403
    assert "InvalidClaimError nonce" in refusals(platform)[0]
    # the attacker's whole answer in the browser of the victim
    assert victim.get(of_attacker).status_code == 403
    assert platform.accounts.get("anna") is None
