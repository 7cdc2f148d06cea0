"""The stream of what changes: in time, once, in scope, resumed, bounded, and at its end."""

import json
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic

import httpx
import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.console.live import changes as live_changes
from alerting.console.live import stream as live_stream
from alerting.episodes.episode import ActorStamp
from alerting.operators.people import hash_secret
from alerting.ports import LiveChange
from alerting.ports.episodes import live_episode
from alerting.usecases.access import people
from tests.builders import at
from tests.helpers.console.api import OPERATOR, TOKENS, VIEWER, episode
from tests.helpers.console.server import serving_thread

HANG_S = 300.0


class Feed:
    """A change feed whose changes a test commits."""

    def __init__(self, *still_open):
        self.still_open = [live_episode(one) for one in still_open]
        self.readers = 0
        self._new = deque()
        self._arrived = threading.Condition()
        self._last = 0

    def commit(self, one=None, thing="episode", asset=None):
        self._last += 1
        shown = None if one is None else live_episode(one)
        asset = asset if one is None else one.asset
        with self._arrived:
            self._new.append(LiveChange(f"{self._last:010d}", thing, asset, shown))
            self._arrived.notify_all()

    def end_access(self, of):
        with self._arrived:
            self._last += 1
            self._new.append(LiveChange(f"{self._last:010d}", "access", access=of))
            self._arrived.notify_all()

    @contextmanager
    def read(self):
        self.readers += 1
        yield self

    def open_episodes(self):
        return self.still_open

    def mark(self):
        return f"{self._last:010d}"

    def next(self):
        with self._arrived:
            if not self._new:
                self._arrived.wait(0.05)
            found = [*self._new]
            self._new.clear()
        return found


class Reader:
    """One open stream."""

    def __init__(self, port, headers, **query):
        address = f"http://127.0.0.1:{port}/api/v1/live"
        self._client = httpx.Client(timeout=HANG_S)
        request = self._client.build_request("GET", address, headers=headers, params=query)
        self.answer = self._client.send(request, stream=True)
        self._lines = self.answer.iter_lines()
        self.mark = ""

    def next(self, named="message"):
        """Return the data of the next event of this name; None if the stream has ended."""
        kind = "message"
        for line in self._lines:
            field, _, value = line.partition(": ")
            if field == "event":
                kind = value
            elif field == "id":
                self.mark = value
            elif field == "data" and kind == named:
                return json.loads(value)
            elif not line:
                kind = "message"
        return None

    def close(self):
        self.answer.close()
        self._client.close()


@contextmanager
def served(platform, tokens=TOKENS, **given):
    """Yield a function that opens streams of an application."""
    app = create_app(platform, tokens, **given)
    readers = []
    with serving_thread(app) as port:

        def read(headers=VIEWER, **query):
            readers.append(Reader(port, headers, **query))
            return readers[-1]

        read.app = app
        try:
            yield read
        finally:
            for reader in readers:
                reader.close()


@pytest.fixture
def feed():
    return Feed(episode(1, condition="open"))


@pytest.fixture
def fed(platform, feed):
    return replace(platform, changes=feed)


def test_a_reader_gets_counts_first_and_then_each_change(fed, feed):
    with served(fed) as read:
        reader = read()
        first = reader.next()
        assert first["all"] is True
        assert first["open"] == {"low": 0, "medium": 0, "high": 1, "critical": 0}
        raised = episode(2, asset="oven-2", condition="open", severity="critical")
        feed.commit(raised)
        told = reader.next()
        assert [(one["id"], one["state"]) for one in told["episodes"]] == [(raised.id, "happening")]
        assert told["unacknowledged"] == {"low": 0, "medium": 0, "high": 1, "critical": 1}
        seen = replace(raised, acknowledged=ActorStamp("otto", at(3)))
        feed.commit(seen)
        told = reader.next()
        assert told["episodes"][0]["acknowledged"] is True
        assert told["open"]["critical"] == 1
        assert told["unacknowledged"]["critical"] == 0
        feed.commit(replace(seen, condition="closed", closed_at=at(4)))
        told = reader.next()
        assert told["episodes"][0]["state"] == "over"
        assert told["open"]["critical"] == 0


def test_no_text_of_an_episode_is_told(fed, feed):
    secret = "of the weld"
    with served(fed) as read:
        reader = read()
        reader.next()
        feed.commit(episode(2, condition="open", title=secret, guidance={"action": secret}))
        assert secret not in json.dumps(reader.next())


def test_changes_are_read_once_for_all_readers(fed, feed):
    with served(fed) as read:
        readers = [read() for _ in range(5)]
        for reader in readers:
            reader.next()
        feed.commit(episode(2, asset="oven-2", condition="open"))
        assert len({json.dumps(reader.next()) for reader in readers}) == 1
        assert feed.readers == 1


def test_a_flood_is_told_as_look_again(fed, feed):
    with served(fed) as read:
        reader = read()
        reader.next()
        for minute in range(3000):  # more than are held
            feed.commit(episode(minute, asset="oven-2"))
        told = reader.next()
        while not told["all"]:
            told = reader.next()
        assert told["episodes"] == []


@pytest.mark.parametrize("way", ["header", "query"])
def test_a_reader_goes_on_after_the_last_event_it_had(fed, feed, way):
    with served(fed) as read:
        first = read()
        first.next()
        feed.commit(episode(2, asset="oven-2", condition="open"))
        first.next()
        mark = first.mark
        first.close()
        watching = read()
        watching.next()
        missed = episode(3, asset="oven-3", condition="open")
        feed.commit(missed)
        watching.next()
        header = {**VIEWER, "last-event-id": mark}
        again = read(header) if way == "header" else read(after=mark)
        told = again.next()
        assert told["all"] is False
        assert missed.id in [one["id"] for one in told["episodes"]]
        assert read(after="0").next()["all"] is True


def test_a_stream_ends_with_its_token(fed, monkeypatch):
    monkeypatch.setattr(live_stream, "ALIVE_S", 0.1)
    with served(fed) as read:
        reader = read()
        reader.next()
        assert reader.next("alive") == {}
        monkeypatch.setattr(read.app.state.entrance.access, "_file", {})
        while reader.next("alive") is not None:
            pass


@pytest.mark.parametrize("changed", ["vera", hash_secret(next(iter(TOKENS)))])
def test_a_stream_ends_at_once_when_its_person_is_disabled(fed, feed, changed):
    with served(fed) as read:
        ended = read()
        other = read(OPERATOR)
        for reader in (ended, other):
            reader.next()
        feed.end_access("somebody")
        people.register_services(fed, dict(TOKENS.values()), datetime.now(UTC))
        people.disable_account(fed, "vera", "ada", datetime.now(UTC))
        begun = monotonic()
        feed.end_access(changed)
        assert ended.next() is None
        assert monotonic() - begun < 5  # of 15 s until it is looked at anyhow
        feed.commit(episode(2, asset="oven-2", condition="open"))
        assert other.next()["episodes"]


def test_a_person_has_so_many_streams_and_no_more(fed, monkeypatch):
    monkeypatch.setattr(live_changes, "MOST_OF_A_PERSON", 2)
    with served(fed) as read:
        readers = [read(), read()]
        for reader in readers:
            reader.next()
        refused = read()
        assert refused.answer.status_code == 429
        assert refused.answer.headers["retry-after"]
        monkeypatch.setattr(live_changes, "MOST_STREAMS", 2)
        assert read().answer.status_code == 503


def test_all_streams_end_when_the_process_does(fed):
    with served(fed) as read:
        reader = read()
        reader.next()
        read.app.state.live.close()
        assert reader.next() is None
        assert read().answer.status_code == 503


def test_without_a_change_feed_the_answer_is_the_present_state(platform):
    platform.episodes.insert(episode(1, condition="open"))
    client = TestClient(create_app(platform, TOKENS))
    answer = client.get("/api/v1/live", headers=VIEWER)
    assert answer.headers["content-type"].startswith("text/event-stream")
    fields = dict(line.split(": ", 1) for line in answer.text.splitlines() if line)
    assert json.loads(fields["data"])["open"]["high"] == 1
    assert fields["retry"] == "1000"

    def again():
        answer = client.get("/api/v1/live", params={"after": fields["id"]}, headers=VIEWER)
        return json.loads(answer.text.split("data: ")[1])["all"]

    assert again() is False
    platform.episodes.insert(episode(2, asset="oven-2", condition="open"))
    assert again() is True
