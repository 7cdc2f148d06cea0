"""Sources at the console: made, looked at, changed, paused and retried, by page and REST API."""

import re
from html import unescape

import pytest
import yaml
from fastapi.testclient import TestClient

from alerting.adapters.sources.file_drops import FolderDrop
from alerting.console.app import create_app
from alerting.console.documents.sources_sinks_routes import STARTS
from alerting.definitions.sources import KINDS, parse_source
from alerting.usecases.sources.poll import Readers
from alerting.usecases.sources.status import SOURCES
from alerting.usecases.sources.store_rows import deliver
from alerting.usecases.sources.stream import BrokerMessage, Look, store_messages
from tests.builders import at
from tests.helpers.console.api import ADMIN, TOKENS, expect_problem
from tests.helpers.console.pages import ADMIN_TOKEN, lacks, log_in, send_form
from tests.helpers.stores import audit_entries
from tests.in_memory_platform import in_memory_platform

GATE = {"name": "gate", "kind": "http"}
BROKER = {
    "name": "press",
    "kind": "mqtt",
    "url": {"env": "BROKER_URL"},
    "topic": "press/{asset}",
}
ROW = b'{"ts": "2026-01-05T00:01:00Z", "force": 41.5}'


def message(payload, topic="press/press-1"):
    return BrokerMessage(topic, payload, at(1), lambda: None)


@pytest.fixture
def platform():
    made = in_memory_platform()
    made.clock.instant = at(600)
    return made


@pytest.fixture
def app(platform):
    looks = Look((message(ROW), message(b"{")), ("2 messages came within 8 s",))
    readers = Readers(FolderDrop(), None, lambda *_: looks)
    return create_app(platform, TOKENS, source_readers=lambda: readers)


@pytest.fixture
def browser(app):
    made = TestClient(app, follow_redirects=False)
    log_in(made, ADMIN_TOKEN)
    return made


@pytest.fixture
def client(app):
    return TestClient(app, headers=ADMIN)


def send(browser, page, **fields):
    return send_form(browser, page, "/new-source", **fields)


def revision_of(page):
    return re.search(r'name="revision" value="(\d+)"', page)[1]


def test_every_kind_begins_with_a_document_that_is_read(browser):
    assert {kind: parse_source(yaml.safe_load(text)).kind for kind, text in STARTS.items()} == {
        kind: kind for kind in KINDS
    }
    pages = {kind: unescape(browser.get(f"/new-source?kind={kind}").text) for kind in KINDS}
    shown = {kind: page.count(STARTS[kind].strip()) for kind, page in pages.items()}
    assert shown == dict.fromkeys(KINDS, 1)


def test_a_source_is_checked_looked_at_and_applied_in_the_browser(browser, platform):
    def asked(text, act):
        return send(browser, "/new-source", text=text, do=act)

    faulty = asked("name: press\nkind: mqtt\n", "check")
    assert faulty.status_code == 422
    shown = ("name: press\nkind: mqtt", "<code>url</code> is missing")
    assert lacks(faulty.text, *shown) == []
    text = yaml.safe_dump(BROKER)
    assert "No faults." in asked(text, "check").text
    shown = ("press-1", "<dt>force</dt><dd>41.5</dd>", "Row 2:", "2 messages came")
    assert lacks(asked(text, "look").text, *shown) == []
    assert platform.sources.documents() == []
    made = asked(text, "apply")
    assert (made.status_code, made.headers["location"]) == (303, "/sources/press")
    assert SOURCES.get(platform, "press").topic == "press/{asset}"
    (entry,) = [one for one in audit_entries(platform) if one["what"] == "source applied"]
    assert (entry["actor"], entry["subject"]) == (TOKENS[ADMIN_TOKEN][0], "press")
    again = asked(text, "apply")
    assert (again.status_code, "already one of this name" in unescape(again.text)) == (412, True)


def test_the_second_of_two_engineers_is_told_and_loses_nothing(browser, platform):
    SOURCES.apply(platform, [BROKER], "ada", at(0))
    page = browser.get("/sources/press/edit").text
    SOURCES.apply(platform, [{**BROKER, "stale_after": "5m"}], "bea", at(1))
    form = {"text": yaml.safe_dump({**BROKER, "title": "Press"}), "do": "apply"}
    told = send(browser, "/sources/press/edit", **form, revision=revision_of(page))
    assert told.status_code == 412
    assert lacks(unescape(told.text), "was changed by bea", "title: Press") == []
    assert SOURCES.get(platform, "press").title is None
    newest = revision_of(browser.get("/sources/press/edit").text)
    assert send(browser, "/sources/press/edit", **form, revision=newest).status_code == 303
    assert SOURCES.get(platform, "press").title == "Press"


def test_a_source_is_paused_resumed_and_retired(browser, client, platform):
    SOURCES.apply(platform, [GATE], "ada", at(0))
    for act, state in (("pause", "paused"), ("resume", "active"), ("retire", "retired")):
        form = {"revision": revision_of(browser.get("/sources/gate").text), "act": act}
        assert send(browser, "/sources/gate/state", **form).status_code == 303
        assert SOURCES.get(platform, "gate").state == state
    assert send(browser, "/sources/gate/state", **form).status_code == 412
    for odd in ("", "²", "1" * 400):
        refused = send(browser, "/sources/gate/state", **form | {"revision": odd})
        assert (refused.status_code, "does not name a revision" in refused.text) == (422, True)
    answer = client.post("/api/v1/sources/gate:resume", headers={"if-match": '"4"'})
    assert answer.json() == {"name": "gate", "state": "active", "revision": 5}
    assert answer.headers["etag"] == '"5"'
    expect_problem(client.post("/api/v1/sources/gate:pause", headers={"if-match": '"4"'}), 412)


def test_dead_messages_are_shown_with_their_reason_and_stored_once_more(browser, client, platform):
    SOURCES.apply(platform, [BROKER], "ada", at(0))
    source = SOURCES.get(platform, "press")
    store_messages(platform, source, [message(b'{"force": "<1>"}'), message(ROW)], at(2))
    page = browser.get("/sources/press").text
    assert lacks(page, "&#34;&lt;1&gt;&#34;", "ts: there is no time") == []
    listed = client.get("/api/v1/sources/press/dead-messages").json()
    assert [one["payload"] for one in listed["items"]] == ['{"force": "<1>"}']
    SOURCES.apply(platform, [{**BROKER, "stamp": "receipt"}], "ada", at(3))
    assert send(browser, "/sources/press/retry").status_code == 303
    assert client.get("/api/v1/sources/press/dead-messages").json()["more"] is False
    assert "dead messages tried again" in {entry["what"] for entry in audit_entries(platform)}


# The list


def test_the_page_shows_the_last_row_of_each_source_and_why_one_is_faulty(browser, platform):
    assert "There is none yet." in browser.get("/sources").text
    gate = {**GATE, "title": "Gate <1>"}
    SOURCES.apply(platform, [gate, {**GATE, "name": "idle"}], "ada", at(0))
    row = {"ts": at(0).isoformat(), "asset": "oven-1", "values": {"zone_2": 201.5}}
    rows = [row, {"asset": "oven-1"}]
    deliver(platform, parse_source(gate), rows, platform.clock.now(), by="gate")
    platform.sources.store_document({"name": "odd", "kind": "http", "stale_after": "soon"})
    shown = ("oven-1: zone_2 201.5", "1 refused", "ts: there is no time", "Gate &lt;1&gt;")
    assert lacks(browser.get("/sources").text, *shown, "odd is faulty and not used") == []
    assert 'href="/sources"' in browser.get("/").text


def test_faults_of_sources_are_told_in_english(browser, platform):
    SOURCES.apply(platform, [GATE], "ada", at(0))
    rows = [{"ts": "gestern", "asset": "oven-1", "values": {"zone_2": 1}}]
    deliver(platform, parse_source(GATE), rows, platform.clock.now(), by="gate")
    browser.headers["accept-language"] = "de"
    row = "ts: 'gestern' is not a time; write ISO 8601"
    assert [lacks(page, row) for page in told(browser)] == [[], []]
    platform.deliveries.set_fault("gate", "a text without a template")
    assert "a text without a template" in told(browser)[1]


def told(browser):
    return [unescape(browser.get(address).text) for address in ("/sources", "/sources/gate")]
