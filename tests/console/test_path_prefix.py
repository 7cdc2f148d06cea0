"""The console below a path of its public address: every page is reached by the links and forms
of the others, with and without such a path."""

import re
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest
from fastapi.testclient import TestClient
from starlette.routing import Match

from alerting.console.app import create_app
from alerting.console.plant.import_jobs import Imports
from alerting.definitions.faults import UserError
from alerting.settings.environment import _public_url
from tests.builders import at
from tests.helpers.console.full_plant import FIRST, NOW, plant

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


def is_page(answer):
    return answer.headers.get("content-type", "").startswith("text/html")


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
        for link in sorted(Addresses(answer.text).links) if is_page(answer) else ():
            target = urljoin(HOST + address, link).partition("#")[0].removeprefix(HOST)
            if not target.startswith("/"):
                continue
            # one page of each form of an address: other names of it are the same page
            shape = re.sub(r"=[^&]*", "=", re.sub(r"(?<=/)[^/?]*[0-9:-][^/?]*", "*", target))
            if shape not in seen:
                seen.add(shape)
                waiting.append(target)


@pytest.mark.parametrize("prefix", ["", "/alerting"])
def test_every_address_on_every_page_has_the_prefix_and_answers(platform, tmp_path, prefix):
    app = console(platform, tmp_path, prefix)
    pages = {}
    wrong = []
    for address, answer in walk(app, prefix):
        pages[address] = answer.status_code
        location = answer.headers.get("location", f"{prefix}/")
        found = Addresses(answer.text if is_page(answer) else "")
        for link in {location} | found.links | found.forms:
            own = not urlsplit(link).scheme and not link.startswith(("#", "?"))
            if own and not link.startswith(f"{prefix}/"):
                wrong.append((address, link))
        for form in found.forms:
            path = unescape(urlsplit(form).path).removeprefix(prefix)
            scope = {"type": "http", "method": "POST", "path": path}
            if not any(route.matches(scope)[0] is Match.FULL for route in app.routes):
                wrong.append((address, form))
    assert wrong == []
    assert {*pages.values()} <= {200, 303}, pages
    assert len(pages) > 40
    assert {f"{prefix}/{name}" for name in ("models", "trends", "style.css")} <= pages.keys()


@pytest.fixture
def below(platform, tmp_path):
    """Return a browser on the console below a path."""
    app = console(platform, tmp_path, "/alerting")
    return TestClient(app, base_url=HOST, follow_redirects=False)


def test_a_proxy_may_remove_the_prefix_or_leave_it(below):
    for path in ("/alerting/api/v1/health", "/api/v1/health"):
        assert below.get(path).json() == {"status": "ok"}
    # another application beside it, whose name begins alike
    beside = below.get("/alerting-2/models").headers["location"]
    assert beside == "/alerting/login?next=/alerting-2/models"


def test_a_session_is_sent_to_this_console_alone_and_a_form_leads_back_to_its_page(below):
    asked = below.get("/alerting/models?x=1")
    assert asked.headers["location"] == "/alerting/login?next=/models%3Fx%3D1"
    entered = below.post("/alerting/login", data={"token": TOKEN, "next": "/models"})
    assert entered.headers["location"] == "/alerting/models"
    assert below.get("/alerting/models").status_code == 200
    assert [cookie.path for cookie in below.cookies.jar] == ["/alerting"]
    page = below.post(
        "/alerting/definitions/new",
        data={"csrf": "of another session", "text": "name: x"},
        headers={"referer": f"{HOST}/alerting/definitions/new"},
    )
    (back,) = re.findall(r'name="next" value="([^"]*)"', page.text)
    assert back == "/definitions/new"
    chosen = below.post("/alerting/language", data={"language": "de", "next": back})
    assert chosen.headers["location"] == "/alerting/definitions/new"


def test_an_odd_path_or_one_of_the_console_itself_is_no_prefix(platform, tmp_path):
    with pytest.raises(UserError, match="addresses that begin with /models"):
        console(platform, tmp_path, "/models/of-line-3")
    for path in ("/a b", "/a;b", "//a", '/a"b'):
        with pytest.raises(ValueError, match="not an address"):
            _public_url(HOST + path)
