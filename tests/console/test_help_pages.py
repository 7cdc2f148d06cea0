"""The documents are pages of the console, for every person who may read: linked, searched, and with
a paragraph on each page of the console."""

import re

import pytest
from fastapi.responses import HTMLResponse
from fastapi.testclient import TestClient

from alerting.console import help_pages, rendering
from alerting.console.app import create_app
from alerting.console.help_pages import find_documents, read_page, search_help
from tests.helpers.console.api import TOKENS
from tests.helpers.console.pages import VIEWER_TOKEN, lacks, log_in, text_of
from tests.helpers.console.route_table import permission_of, routes_of
from tests.in_memory_platform import in_memory_platform

GERMAN = {"accept-language": "de"}


@pytest.fixture(scope="module")
def app():
    return create_app(in_memory_platform(), TOKENS)


@pytest.fixture(scope="module")
def browser(app):
    client = TestClient(app, follow_redirects=False)
    log_in(client, VIEWER_TOKEN)
    return client


def test_each_page_leads_to_its_paragraph(app, browser):
    shown = {
        route.path
        for route in routes_of(app)
        if "GET" in route.methods
        and isinstance(getattr(route, "response_class", None), type)
        and issubclass(route.response_class, HTMLResponse)
        and permission_of(route)
        and not route.path.startswith("/api/")
    }
    leads = rendering.help_leads()
    assert shown - {"/help", "/help/{name:path}"} == leads.keys()
    known = {part.address for page in pages() for part in read_page(page)[1]} | {*pages()}
    assert [lead for lead in leads.values() if f"/help/{lead}" not in known] == []
    assert 'href="/help/suppression#mutes"' in browser.get("/mutes").text
    assert 'href="/help"' in browser.get("/nowhere").text


def pages():
    return [address for address, file in find_documents().items() if file.suffix == ".md"]


def test_every_link_of_every_page_leads_somewhere_in_the_console(browser):
    documents = find_documents()
    dead = []
    for page, file in documents.items():
        if file.suffix in help_pages._IMAGES:
            continue
        content, sections = read_page(page)
        assert len({section.address for section in sections}) == len(sections), page
        for target in re.findall(r'(?:href|src)="([^"]*)"', content):
            address, _, anchor = target.partition("#")
            to = address or page
            anchors = () if target.startswith("https://") else read_anchors(to, documents)
            if anchors is None or (anchor and f"{to}#{anchor}" not in anchors):
                dead.append((page, target))
        assert not re.search(r'src="(?!/help/)', content), page
    assert dead == []
    asked = {page: browser.get(page).status_code for page in documents}
    assert {page: code for page, code in asked.items() if code != 200} == {}


def read_anchors(address, documents):
    """The addresses of the sections of a page, none of a picture; None if there is no such page."""
    if address not in documents:
        return None
    is_picture = documents[address].suffix in help_pages._IMAGES
    return () if is_picture else {part.address for part in read_page(address)[1]}


def test_a_viewer_reads_the_index_pages_pictures_and_examples(browser):
    index = browser.get("/help").text
    assert (
        lacks(index, 'href="/help/tutorial"', 'href="/help/README#your-own-data-and-alerts"') == []
    )
    page = browser.get("/help/data-model")
    assert 'id="data-model"' in page.text
    assert "(validator)" in text_of(page) and "<br>" in page.text and "&lt;br&gt;" not in page.text
    picture = browser.get("/help/images/page-now.webp")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/webp")
    seen = browser.get(
        "/help/images/page-now.webp", headers={"if-none-match": picture.headers["etag"]}
    )
    assert seen.status_code == 304
    assert "ALERTING_EMAIL_" in text_of(browser.get("/help/config/examples/routes/engineers.yaml"))
    folder = browser.get("/help/config/examples/gateways").text
    assert 'href="/help/config/examples/gateways/kepware.yaml"' in folder
    assert browser.get("/docs").headers["location"] == "/help"
    assert "Der Hilfetext ist auf Englisch" in browser.get("/help/trends", headers=GERMAN).text


def test_a_stranger_reads_nothing_and_no_other_file_is_served(app, browser):
    stranger = TestClient(app, follow_redirects=False)
    assert stranger.get("/help").headers["location"] == "/login?next=/help"
    for path in (
        *("..%2fpyproject.toml", "../alerting/client.py", "config/budget.toml", "nowhere"),
        *("%2e%2e/%2e%2e/etc/passwd", "/etc/passwd", "images", "config/examples/../../LICENSE"),
    ):
        assert browser.get(f"/help/{path}").status_code == 404, path


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("how do I mute an alarm", "/help/first-shift#mute"),
        ("Backups", "/help/day-to-day#back-up-and-restore"),
        ("reset PIN", "/help/people#shared-devices"),
        ("decimal comma", "/help/import#detection-and-options-that-replace-it"),
    ],
)
def test_the_best_paragraph_of_a_search_comes_first(browser, text, first):
    found = search_help(text)
    assert 0 < len(found) <= help_pages.MOST_FOUND
    page = browser.get("/help", params={"q": text}).text
    shown = re.findall(r'href="(/help[^"]*)"', page.partition("help-found")[2])
    assert shown == [section.address for section in found]
    assert shown[0] == first
    assert all(len(section.text) <= 202 for section in found)


@pytest.mark.parametrize("text", ["zzzz", "((", "<script>alert(1)</script>", "\\b", "%%"])
def test_a_search_of_what_is_nowhere_says_so(browser, text):
    page = browser.get("/help", params={"q": text})
    assert (page.status_code, "<script>alert" in page.text) == (200, False)
    assert ("None matches." in page.text) == (not search_help(text))


def test_html_and_scripts_of_a_document_are_text(browser, monkeypatch, tmp_path):
    (tmp_path / "docs").mkdir()
    written = "# A <b>\n<script>alert(1)</script>\n\n[x](javascript:alert(1)) [y](../up.md)\n"
    (tmp_path / "docs" / "README.md").write_text(written, encoding="utf-8")
    monkeypatch.setattr(help_pages, "shipped", lambda name: tmp_path / name)
    for cached in (find_documents, read_page):
        cached.cache_clear()
    try:
        page = browser.get("/help").text
        assert lacks(page, "&lt;script&gt;alert(1)", "A &lt;b&gt;", "<span>y</span>") == []
        assert 'href="javascript' not in page
        assert "Alerting" in read_page("/help/README")[1][0].title  # from the description
    finally:
        for cached in (find_documents, read_page):
            cached.cache_clear()
