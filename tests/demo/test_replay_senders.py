"""Recorded readings that are sent to a real Mosquitto and to the API arrive; what is not received
is an error."""

import json
import time
from contextlib import suppress
from datetime import UTC, datetime

import httpx
import pytest

from alerting.definitions.faults import UserError
from alerting.definitions.sources.source import parse_source
from alerting.demo.replay import senders
from alerting.demo.replay.messages import Outgoing
from alerting.demo.replay.senders import HttpSender, open_sender
from tests.helpers.mosquitto import Broker
from tests.support import free_port

SOURCE = {
    "name": "line",
    "kind": "mqtt",
    "url": {"env": "BROKER_URL"},
    "topic": "line-3/{asset}/readings",
}
TOPIC = "line-3/oven-1/readings"


def test_messages_arrive_at_a_real_broker(tmp_path):
    pytest.importorskip("paho.mqtt.client", reason="pip install paho-mqtt")
    from alerting.adapters.sources.mqtt import open_stream

    broker = Broker(tmp_path)
    source = parse_source(SOURCE)
    broker.start()
    stream = open_stream(source, broker.address, lambda: datetime.now(UTC))
    sender = open_sender(source, lambda: broker.address, lambda: ("", ""))
    sent = {json.dumps({"ts": n, "t": n}).encode() for n in range(700)}
    arrived = set()
    try:
        for _ in range(12_000):  # the subscription may come after the first messages
            sender.send([Outgoing(TOPIC, b"{}")])
            with suppress(UserError):  # it connects in a thread
                if stream.batch():
                    break
            time.sleep(0.05)
        sender.send([Outgoing(TOPIC, payload) for payload in sorted(sent)])
        until = time.monotonic() + 600
        while not sent <= arrived and time.monotonic() < until:
            for message in stream.batch():
                arrived.add(message.payload)
                message.acknowledge()
        assert sent <= arrived
    finally:
        sender.close()
        stream.close()
        broker.stop()


def test_a_broker_that_is_away_is_an_error(monkeypatch):
    sender = pytest.importorskip("alerting.demo.replay.mqtt_sender", reason="pip install paho-mqtt")
    monkeypatch.setattr(sender, "_SENT_S", 0.2)
    with pytest.raises(UserError, match="the broker cannot be reached: it does not answer"):
        open_sender(
            parse_source(SOURCE), lambda: f"mqtt://127.0.0.1:{free_port()}", lambda: ("", "")
        )


def test_rows_go_to_the_api_of_the_source_and_a_refused_one_is_an_error():
    seen = []

    def answer(request):
        seen.append(
            (request.url.params["source"], request.headers["authorization"], request.content)
        )
        refused = [{"line": 2, "reason": "ts: there is no time"}] if len(seen) > 1 else []
        return httpx.Response(
            200, json={"rows": 2, "new": 2, "refused": len(refused), "lines": refused}
        )

    sender = HttpSender("gate", "http://127.0.0.1:1", "token", httpx.MockTransport(answer))
    sender.send([Outgoing("", b'{"a": 1}'), Outgoing("", b'{"a": 2}')])
    assert seen == [("gate", "Bearer token", b'{"a": 1}\n{"a": 2}')]
    with pytest.raises(UserError, match="refused 1 of 1 rows: row 2: ts: there is no time"):
        sender.send([Outgoing("", b"{}")])


def test_rows_are_sent_again_while_the_api_has_too_much_to_do_and_another_server_is_an_error(
    monkeypatch,
):
    monkeypatch.setattr(senders, "sleep", lambda _: None)
    accepted = httpx.Response(200, json={"rows": 1, "new": 1, "refused": 0, "lines": []})
    answers = [
        httpx.Response(429, json={"detail": "later"}),
        accepted,
        httpx.Response(502, text="<html>bad gateway"),
    ]
    sender = HttpSender(
        "gate", "http://proxy", "token", httpx.MockTransport(lambda _: answers.pop(0))
    )
    sender.send([Outgoing("", b"{}")])
    with pytest.raises(UserError, match="http://proxy answers with 502 and no JSON"):
        sender.send([Outgoing("", b"{}")])
    assert answers == []


def test_a_kind_to_which_nothing_can_be_sent_is_named():
    files = parse_source({"name": "drop", "kind": "files", "pattern": "/data/*.csv"})
    with pytest.raises(UserError, match="kind files; recorded readings are sent to kinds mqtt"):
        open_sender(files, str, lambda: ("", ""))
