"""Sinks at the console: made, tested, changed, paused and retried, by page and REST API."""

from html import unescape

import pytest
import yaml
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.console.documents.sources_sinks_routes import SINK_STARTS
from alerting.definitions.routes_and_sinks import SINK_KINDS, parse_sink
from alerting.ports import ReceiverAway, SinkLetter, SinkMessage, SinkStep
from alerting.usecases.health.platform_health import check_platform
from alerting.usecases.sink_delivery import SINKS
from tests.builders import at
from tests.helpers.console.api import ADMIN, TOKENS, expect_problem
from tests.helpers.console.pages import ADMIN_TOKEN, lacks, log_in, send_form
from tests.helpers.stores import audit_entries
from tests.in_memory_platform import in_memory_platform

SCADA = {"name": "scada", "kind": "mqtt", "url": {"env": "BROKER_URL"}}


class Receiver:
    """A receiver that answers a test."""

    fault = None

    def probe(self, message):
        if self.fault:
            raise ReceiverAway(self.fault)
        return f"accepted {message.content['test']} of {message.content['actor']}"

    def close(self):
        """Do nothing."""


@pytest.fixture
def platform():
    made = in_memory_platform()
    made.clock.instant = at(600)
    return made


@pytest.fixture
def receiver():
    return Receiver()


@pytest.fixture
def app(platform, receiver):
    return create_app(platform, TOKENS, sink_opener=lambda: lambda _: receiver)


@pytest.fixture
def browser(app):
    made = TestClient(app, follow_redirects=False)
    log_in(made, ADMIN_TOKEN)
    return made


@pytest.fixture
def client(app):
    return TestClient(app, headers=ADMIN)


def send(browser, path, **fields):
    return send_form(browser, path, "/new-sink", **fields)


def refuse(platform, number):
    """Let a message of the sink be refused."""
    content = {"title": "<b>too hot</b>"}
    message = SinkMessage(f"scada:e:{number}", "alarms", "too-hot", "oven-1", at(1), content)
    letter = SinkLetter(message.key, "scada", message, "no such machine", at(1))
    position = platform.sink_deliveries.progress("scada").position
    step = SinkStep(f"p{number}", at(599), 7, 2, at(599), {}, [letter])
    assert platform.sink_deliveries.advance("scada", position, step)


def test_every_kind_begins_with_a_document_that_is_read(browser):
    assert {kind: parse_sink(yaml.safe_load(text)).kind for kind, text in SINK_STARTS.items()} == {
        kind: kind for kind in SINK_KINDS
    }
    pages = {kind: unescape(browser.get(f"/new-sink?kind={kind}").text) for kind in SINK_KINDS}
    shown = {kind: page.count(SINK_STARTS[kind].strip()) for kind, page in pages.items()}
    assert shown == dict.fromkeys(SINK_KINDS, 1)


def test_a_test_says_what_was_done_or_why_it_could_not_be(browser, platform, receiver, client):
    SINKS.apply(platform, [SCADA], "ada", at(0))
    assert "accepted True of" in send(browser, "/sinks/scada/test").text
    receiver.fault = "the broker cannot be reached"
    failed = send(browser, "/sinks/scada/test")
    assert (failed.status_code, receiver.fault in failed.text) == (422, True)
    assert receiver.fault in expect_problem(client.post("/api/v1/sinks/scada:test"), 422)


def test_dead_letters_are_shown_and_sent_again(browser, platform, client):
    SINKS.apply(platform, [SCADA], "ada", at(0))
    refuse(platform, 1)
    refuse(platform, 2)
    line = client.get("/api/v1/sinks").json()["items"][0]
    assert (line["sent"], line["left_out"], line["letters"]) == (14, 4, 2)
    page = browser.get("/sinks/scada").text
    assert (page.count("no such machine"), page.count("<b>too hot</b>")) == (2, 0)
    letters = client.get("/api/v1/sinks/scada/dead-letters").json()
    assert (letters["all"], letters["items"][0]["id"]) == (2, "scada:e:1")
    assert client.post("/api/v1/sinks/scada/dead-letters:retry").json() == {"letters": 2}
    assert browser.get("/sinks/scada").text.count("It is sent once more.") == 2
    assert "dead letters of a sink sent again" in {e["what"] for e in audit_entries(platform)}


def test_a_sink_that_stands_still_is_a_fault_of_the_platform_until_it_goes_on(platform, browser):
    SINKS.apply(platform, [SCADA], "ada", at(0))
    platform.sink_deliveries.set_fault("scada", "the broker is away", at(1))

    def faults(minute):
        platform.clock.instant = at(minute)
        found = check_platform(platform, at(minute))
        return [f.reason for f in found if f.subject == "sink scada"]

    assert faults(9) == []
    assert "the broker is away" in faults(11)[0]
    assert lacks(browser.get("/sinks").text, "the broker is away", "stale") == []
    begin = platform.sink_deliveries.progress("scada").position
    platform.sink_deliveries.advance("scada", begin, SinkStep("p", at(12), 1, 0, at(12), {}))
    assert faults(13) == []
    refuse(platform, 1)
    assert faults(600) == ["its receiver refused 1 message"]
