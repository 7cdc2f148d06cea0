"""The console as an application: what browsers need to install it, and the page for a lost
connection, also below a path."""

import json
from urllib.parse import urljoin

import pytest

from alerting.console.app import create_app
from tests.helpers.console.api import TOKENS
from tests.helpers.console.chromium import CHROMIUM, open_chromium, wait_until
from tests.helpers.console.pages import OPERATOR_TOKEN, log_in
from tests.helpers.console.people import app_of, browser_of
from tests.helpers.console.server import serving_thread
from tests.support import free_port

SHELL = ("/manifest.webmanifest", "/worker.js", "/offline", "/icon.svg", "/icon-192.png")


def test_the_shell_is_the_same_for_everyone_and_holds_nothing_of_the_plant(browser):
    before = {path: browser.get(path).text for path in SHELL}
    assert "Here you see no alarms now" in before["/offline"]
    log_in(browser)
    for path in SHELL[:2] + SHELL[3:]:
        assert browser.get(path).text == before[path], path
    assert "Oven" not in "".join(before.values())


def test_addresses_of_the_manifest_are_relative_and_its_icons_are_there(browser):
    manifest = json.loads(browser.get("/manifest.webmanifest").text)
    base = "https://plant.example/alerting/manifest.webmanifest"
    assert urljoin(base, manifest["start_url"]) == urljoin(base, manifest["scope"])
    assert urljoin(base, manifest["start_url"]) == "https://plant.example/alerting/"
    for icon in manifest["icons"]:
        answer = browser.get(f"/{icon['src']}")
        assert answer.headers["content-type"] == icon["type"]


@pytest.mark.parametrize(
    ("url", "possible"),
    [
        ("https://plant.example", True),
        ("http://127.0.0.1:8000", True),
        ("http://plant.example", False),
    ],
)
def test_the_page_says_whether_the_console_can_be_installed_and_why_not(
    platform, wall, url, possible
):
    browser = browser_of(app_of(platform, wall), url=url)
    log_in(browser)
    page = browser.get("/install").text
    assert ("Install this console" in page) == possible
    assert ("Browsers install only what comes over HTTPS" in page) != possible


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("prefix", ["", "/alerting"])
def test_a_browser_installs_it_and_says_without_a_server_that_it_shows_no_alarms(
    tmp_path, platform, prefix
):
    port = free_port()
    base = f"http://127.0.0.1:{port}{prefix}"
    app = create_app(platform, TOKENS, public_url=base if prefix else None)
    with open_chromium(tmp_path / "profile") as page:
        page.resize(390, 844)
        with serving_thread(app, port=port):
            page.open(f"{base}/login")
            page.evaluate(f"document.querySelector('[name=token]').value = {OPERATOR_TOKEN!r}")
            page.evaluate("document.querySelector('[name=token]').form.requestSubmit()")
            page.wait_for(f"{base}/", "nav .who")
            page.switch_scripts_on()
            page.open(f"{base}/install")
            wait_until(
                lambda: page.evaluate("navigator.serviceWorker.controller?.state == 'activated'")
            )
            assert page.installability_errors() == []
            stored = "caches.keys().then(k => caches.open(k[0])).then(c => c.keys())"
            page.evaluate(
                f"{stored}.then(all => {{ window.stored = all.map(r => r.url).sort().join() }})"
            )
            wait_until(lambda: page.evaluate("window.stored"))
            assert page.evaluate("window.stored") == f"{base}/offline,{base}/style.css?offline"
        page.go(f"{base}/")
        page.wait_for(f"{base}/", ".narrow.unmended")
        with serving_thread(app, port=port):  # the page asks again by itself
            page.wait_for(f"{base}/", "#now")
