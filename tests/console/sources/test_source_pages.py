"""Sources at the console: made, looked at, changed, paused and retried, by page and REST API."""

import re
from html import unescape
from pathlib import Path

import pytest
import yaml
from fastapi.testclient import TestClient

from alerting.adapters.sources.folder import FolderDrop
from alerting.console.app import create_app
from alerting.console.sources.starts import STARTS
from alerting.definitions.sources.source import KINDS, parse_source
from alerting.usecases.sources.documents import apply_sources
from alerting.usecases.sources.poll import Readers
from alerting.usecases.sources.stream import BrokerMessage, store_messages
from alerting.usecases.sources.trial import Look
from tests.builders import at
from tests.helpers.console.api import ADMIN, OPERATOR, TOKENS, expect_problem
from tests.helpers.console.pages import ADMIN_TOKEN, csrf_of, log_in
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
    csrf = csrf_of(browser.get(page))
    return browser.post(page, data={"csrf": csrf, **fields})


def revision_of(page):
    return re.search(r'name="revision" value="(\d+)"', page)[1]


def test_every_kind_begins_with_a_document_that_is_read(browser):
    assert set(STARTS) == set(KINDS)
    for kind, text in STARTS.items():
        assert parse_source(yaml.safe_load(text)).kind == kind
        assert unescape(browser.get(f"/new-source?kind={kind}").text).count(text.strip()) == 1


def test_a_source_is_checked_looked_at_and_applied_in_the_browser(browser, platform):
    faulty = send(browser, "/new-source", document="name: press\nkind: mqtt\n", act="check")
    assert faulty.status_code == 422
    assert "name: press\nkind: mqtt" in faulty.text
    assert "url: is missing" in faulty.text
    text = yaml.safe_dump(BROKER)
    assert (
        "The document has no fault."
        in send(browser, "/new-source", document=text, act="check").text
    )
    rows = send(browser, "/new-source", document=text, act="look").text
    for shown in ("press-1", "<dt>force</dt><dd>41.5</dd>", "Row 2:", "2 messages came"):
        assert shown in rows
    assert platform.sources.documents() == []
    made = send(browser, "/new-source", document=text, act="apply")
    assert (made.status_code, made.headers["location"]) == (303, "/sources/press")
    assert platform.sources.get("press").topic == "press/{asset}"
    (entry,) = [one for one in audit_entries(platform) if one["what"] == "source applied"]
    assert (entry["actor"], entry["subject"]) == (TOKENS[ADMIN_TOKEN][0], "press")
    again = send(browser, "/new-source", document=text, act="apply")
    assert again.status_code == 412
    assert "was changed by" in unescape(again.text)


def test_the_second_of_two_engineers_is_told_and_loses_nothing(browser, platform):
    apply_sources(platform, [BROKER], "ada", at(0))
    page = browser.get("/sources/press").text
    apply_sources(platform, [{**BROKER, "stale_after": "5m"}], "bea", at(1))
    typed = yaml.safe_dump({**BROKER, "title": "Press"})
    fields = {"csrf": csrf_of(browser.get("/new-source")), "document": typed, "act": "apply"}
    told = browser.post("/sources/press", data=fields | {"revision": revision_of(page)})
    assert told.status_code == 412
    assert "was changed by bea" in unescape(told.text)
    assert "title: Press" in told.text
    assert platform.sources.get("press").title is None
    newest = revision_of(browser.get("/sources/press").text)
    done = browser.post("/sources/press", data=fields | {"revision": newest})
    assert done.status_code == 303
    assert platform.sources.get("press").title == "Press"


def test_a_source_is_paused_resumed_and_retired(browser, client, platform):
    apply_sources(platform, [GATE], "ada", at(0))
    for act, state in (("pause", "paused"), ("resume", "active"), ("retire", "retired")):
        page = browser.get("/sources/gate").text
        fields = {
            "csrf": csrf_of(browser.get("/new-source")),
            "revision": revision_of(page),
            "act": act,
        }
        assert browser.post("/sources/gate/state", data=fields).status_code == 303
        assert platform.sources.get("gate").state == state
    late = browser.post("/sources/gate/state", data=fields)
    assert late.status_code == 412
    for odd in ("", "²", "1" * 400):
        refused = browser.post("/sources/gate/state", data=fields | {"revision": odd})
        assert refused.status_code == 422
        assert "does not name a revision" in refused.text
    answer = client.post("/api/v1/sources/gate:resume", headers={"if-match": '"4"'})
    assert answer.json() == {"name": "gate", "state": "active", "revision": 5}
    assert answer.headers["etag"] == '"5"'
    expect_problem(client.post("/api/v1/sources/gate:pause", headers={"if-match": '"4"'}), 412)
    expect_problem(client.post("/api/v1/sources/gate:pause", headers=OPERATOR), 403)


def test_dead_messages_are_shown_with_their_reason_and_stored_once_more(browser, client, platform):
    apply_sources(platform, [BROKER], "ada", at(0))
    source = platform.sources.get("press")
    store_messages(platform, source, [message(b'{"force": "<1>"}'), message(ROW)], at(2))
    page = browser.get("/sources/press").text
    assert "&#34;&lt;1&gt;&#34;" in page
    assert "ts: there is no time" in page
    listed = client.get("/api/v1/sources/press/dead-messages").json()
    assert [one["payload"] for one in listed["items"]] == ['{"force": "<1>"}']
    apply_sources(platform, [{**BROKER, "stamp": "receipt"}], "ada", at(3))
    done = browser.post("/sources/press/retry", data={"csrf": csrf_of(browser.get("/new-source"))})
    assert done.status_code == 303
    left = client.get("/api/v1/sources/press/dead-messages").json()
    assert left["more"] is False
    assert "dead messages tried again" in {entry["what"] for entry in audit_entries(platform)}


def test_a_source_of_files_reads_no_new_path_of_the_host_from_the_console(
    client, platform, tmp_path
):
    (tmp_path / "secret.csv").write_text("ts,asset,password\n2026-01-05T00:00:00Z,a,hunter2\n")
    document = {"name": "drop", "kind": "files", "pattern": f"{tmp_path}/*.csv"}
    for answer in (
        client.post("/api/v1/sources:test", json=document),
        client.post("/api/v1/sources:check", json=document),
        client.put("/api/v1/sources/drop", json=document, headers={"if-none-match": "*"}),
    ):
        expect_problem(answer, 422)
        assert "on the host" in answer.json()["detail"]
        assert "hunter2" not in answer.text
    used = {**document, "unchanged_for": "0s", "pattern": f"{Path(tmp_path)}/*.csv"}
    apply_sources(platform, [used], "host", at(0))
    shown = client.post("/api/v1/sources/drop:test").json()
    assert shown["rows"][0]["asset"] == "a"
    changed = client.put(
        "/api/v1/sources/drop", json={**used, "title": "Drop"}, headers={"if-match": '"1"'}
    )
    assert changed.json() == {"name": "drop", "action": "changed", "revision": 2}
    done = {**used, "done": "/etc"}
    expect_problem(client.put("/api/v1/sources/drop", json=done, headers={"if-match": '"2"'}), 422)
