"""The console below a path of its public address: every page is reached by the links, forms and
scripts of the others, with and without such a path."""

import re
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest
from fastapi.testclient import TestClient
from starlette.routing import Match

from alerting.console.app import create_app
from alerting.console.imports.imports import Imports
from alerting.definitions.faults import UserError
from alerting.settings.delivery import _public_url
from tests.builders import at
from tests.helpers.console.api import TOKENS
from tests.helpers.console.chromium import CHROMIUM, open_chromium, wait_until
from tests.helpers.console.full_plant import FIRST, NOW, plant
from tests.helpers.console.server import serving_thread
from tests.helpers.console.trends import TREND, swinging  # noqa: F401 - a fixture
from tests.support import free_port

HOST = "https://plant.example"
TOKEN = "admin-token-0123456789"
LINKS = {"href", "src", "action", "formaction"}
MOST_PAGES = 400


class Addresses(HTMLParser):
    """The addresses that a page names: links and scripts, and forms with their method."""

    def __init__(self, page):
        super().__init__()
        self.links = set()
        self.forms = set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        for name in LINKS & given.keys():
            is_posted = name == "formaction" or given.get("method") == "post"
            (self.forms if "action" in name and is_posted else self.links).add(given[name])
        if given.get("http-equiv") == "refresh" and "url=" in given["content"]:
            self.links.add(given["content"].partition("url=")[2])


@pytest.fixture(scope="module")
def platform():
    return plant(FIRST)


def console(platform, folder, prefix):
    return create_app(
        platform,
        {TOKEN: ("ada", "admin")},
        now=lambda: at(NOW),
        public_url=HOST + prefix,
        import_files=Imports(folder),
    )


def walk(app, prefix):
    """Yield the address and answer of every page that links lead to, from the login on."""
    browser = TestClient(app, base_url=HOST, follow_redirects=False)
    entered = browser.post(f"{prefix}/login", data={"token": TOKEN})
    assert entered.headers["location"] == f"{prefix}/"
    waiting = [f"{prefix}/"]
    seen = set(waiting)
    while waiting and len(seen) < MOST_PAGES:
        address = waiting.pop(0)
        answer = browser.get(address)
        yield address, answer
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        for link in sorted(Addresses(answer.text).links):
            target = urljoin(HOST + address, link).partition("#")[0]
            if not target.startswith(f"{HOST}/"):
                continue
            target = target.removeprefix(HOST)
            # one page of each form of an address: other names of it are the same page
            shape = re.sub(r"=[^&]*", "=", re.sub(r"(?<=/)[^/?]*[0-9:-][^/?]*", "*", target))
            if shape not in seen:
                seen.add(shape)
                waiting.append(target)


@pytest.mark.parametrize("prefix", ["", "/alerting"])
def test_every_address_on_every_page_has_the_prefix_and_answers(platform, tmp_path, prefix):
    app = console(platform, tmp_path, prefix)
    pages = set()
    for address, answer in walk(app, prefix):
        assert answer.status_code in {200, 303}, (address, answer.status_code)
        pages.add(address)
        if answer.status_code == 303:
            assert answer.headers["location"].startswith(f"{prefix}/"), address
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        found = Addresses(answer.text)
        for link in found.links | found.forms:
            own = not urlsplit(link).scheme and not link.startswith(("#", "?"))
            assert not own or link.startswith(f"{prefix}/"), (address, link)
        for form in found.forms:
            path = unescape(urlsplit(form).path).removeprefix(prefix)
            scope = {"type": "http", "method": "POST", "path": path}
            assert any(route.matches(scope)[0] is Match.FULL for route in app.routes), form
    assert len(pages) > 40
    assert {f"{prefix}/{name}" for name in ("models", "trends", "style.css")} <= pages


def test_a_proxy_may_remove_the_prefix_or_leave_it(platform, tmp_path):
    app = console(platform, tmp_path, "/alerting")
    browser = TestClient(app, base_url=HOST, follow_redirects=False)
    for path in ("/alerting/api/v1/health", "/api/v1/health"):
        assert browser.get(path).json() == {"status": "ok"}
    # another application beside it, whose name begins alike
    assert browser.get("/alerting-2/models").headers["location"] == (
        "/alerting/login?next=/alerting-2/models"
    )


def test_a_session_is_sent_to_this_console_alone(platform, tmp_path):
    browser = TestClient(
        console(platform, tmp_path, "/alerting"), base_url=HOST, follow_redirects=False
    )
    asked = browser.get("/alerting/models?x=1")
    assert asked.headers["location"] == "/alerting/login?next=/models%3Fx%3D1"
    entered = browser.post("/alerting/login", data={"token": TOKEN, "next": "/models"})
    assert entered.headers["location"] == "/alerting/models"
    assert "path=/alerting;" in f"{entered.headers['set-cookie'].lower()};"
    assert browser.get("/alerting/models").status_code == 200
    assert [cookie.path for cookie in browser.cookies.jar] == ["/alerting"]


def test_a_form_leads_back_to_the_page_it_was_sent_from(platform, tmp_path):
    browser = TestClient(
        console(platform, tmp_path, "/alerting"), base_url=HOST, follow_redirects=False
    )
    browser.post("/alerting/login", data={"token": TOKEN})
    page = browser.post(
        "/alerting/definitions/new",
        data={"csrf": "of another session", "text": "name: x"},
        headers={"referer": f"{HOST}/alerting/definitions/new"},
    )
    (back,) = re.findall(r'name="next" value="([^"]*)"', page.text)
    assert back == "/definitions/new"
    chosen = browser.post("/alerting/language", data={"language": "de", "next": back})
    assert chosen.headers["location"] == "/alerting/definitions/new"


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_scripts_reach_the_api_below_a_path(tmp_path, swinging):  # noqa: F811
    port = free_port()
    base = f"http://127.0.0.1:{port}/alerting"
    app = create_app(swinging, TOKENS, now=lambda: at(600), public_url=base)
    with serving_thread(app, port=port), open_chromium(tmp_path / "profile") as page:
        page.open(f"{base}/login")
        page.evaluate(f"document.querySelector('input[name=token]').value = {TOKEN!r}")
        page.tap("form:has(input[name=token]) button")
        page.switch_scripts_on()
        page.open(base + TREND)
        drawn = "document.querySelectorAll('#lanes.drawn canvas').length"
        wait_until(lambda: page.evaluate(drawn) == 2, page.text)
        assert page.complaints == []
        own = {address for address in page.requests if str(port) in address}
        assert {address for address in own if not address.startswith(base)} == set()


def test_a_path_of_the_console_itself_is_no_prefix(platform, tmp_path):
    with pytest.raises(UserError, match="addresses that begin with /models"):
        console(platform, tmp_path, "/models/of-line-3")


@pytest.mark.parametrize("path", ["/a b", "/a;b", "//a", '/a"b'])
def test_an_address_with_an_odd_path_is_refused(path):
    with pytest.raises(ValueError, match="not an address"):
        _public_url(HOST + path)
