"""People with passwords on a platform, and browsers in which they sign in."""

from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from alerting.adapters.passwords_and_links import Argon2Passwords
from alerting.console.app import create_app
from alerting.ports import AuditFilter
from alerting.usecases.access.accounts import add_person, make_link, set_password
from alerting.usecases.access.devices_and_tokens import set_pin
from tests.helpers.console.api import TOKENS

PASSWORD = "correct horse battery"
QUICK = Argon2Passwords(passes=1, memory_kib=8)


def person_on(platform, now, name="anna", role="operator"):
    """Add a person with a password."""
    _, code = add_person(platform, name, role, "ada", now)
    return set_password(platform, QUICK, code, PASSWORD, now)


def pin_of(platform, now, name="anna", role="operator", pin="4827"):
    """Add a person without a password, with a PIN; return the account."""
    _, code = add_person(platform, name, role, "ada", now)
    return set_pin(platform, QUICK, code, pin, now)


def device_on(platform, now, browser, name="tablet-1", role="operator"):
    """Add a shared device, and start it in a browser."""
    if platform.accounts.get(name) is None:
        add_person(platform, name, role, "ada", now, kind="device")
    code = make_link(platform, name, "ada", now)
    assert browser.post(f"/password/{code}").status_code == 303
    return browser


def app_of(platform, wall, **options):
    """Return the application of a platform, with quick hashes."""
    return create_app(platform, TOKENS, now=wall, passwords=QUICK, **options)


def browser_of(app, address="10.0.0.7", url="https://plant.example", headers=()):
    """Return a browser at an address, on the HTTPS address of the console."""
    return TestClient(
        app,
        base_url=url,
        client=(address, 50_000),
        headers=dict(headers),
        follow_redirects=False,
    )


def sign_in(browser, name="anna", password=PASSWORD, to="/"):
    """Send the form of the login."""
    return browser.post("/login", data={"name": name, "password": password, "next": to})


def browser_as(app, name="anna", address="10.0.0.7"):
    """Return a browser in which a person has signed in."""
    browser = browser_of(app, address)
    assert sign_in(browser, name).status_code == 303
    return browser


def changing_routes(app, without):
    """Yield method and path of each route that is not only read, but for some paths."""
    for route in app.routes:
        if isinstance(route, APIRoute) and route.path not in without:
            yield from ((method, route.path) for method in route.methods - {"GET", "HEAD"})


def changes_of(platform):
    """Return the audit without refusals."""
    entries = platform.audit.find(AuditFilter(), 1000)
    return [entry for entry in entries if "refused" not in entry.what]
