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

from alerting.console.alarms import live_api
from alerting.console.alarms import live_api as live_changes
from alerting.console.app import create_app
from alerting.episodes.episode import ActorStamp
from alerting.operators.account_rules import hash_secret
from alerting.ports import LiveChange
from alerting.usecases.access import accounts
from tests.builders import at
from tests.helpers.console.api import OPERATOR, TOKENS, VIEWER, episode
from tests.helpers.console.server import serving_thread
from tests.helpers.episodes import live_episode

HANG_S = 300.0


class Feed:
    """A change feed whose changes a test commits."""

    def __init__(self, *still_open):
        self.still_open = [live_episode(one) for one in still_open]
        self.readers = 0
        self._new = deque()
        self._arrived = threading.Condition()
        self._last = 0

    def commit(self, one=None, thing="episode", access=None):
        self._last += 1
        told = {"episode": live_episode(one), "asset": one.asset} if one else {}
        with self._arrived:
            self._new.append(LiveChange(self.mark(), thing, access=access, **told))
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


def begun(reader):
    """Return a stream of which the first event has come."""
    assert reader.next() is not None
    return reader


def test_a_reader_gets_counts_first_and_then_each_change_without_texts(fed, feed):
    secret = "of the weld"
    with served(fed) as read:
        reader = read()
        first = reader.next()
        assert first["all"] is True
        assert first["open"] == {"low": 0, "medium": 0, "high": 1, "critical": 0}
        texts = {"title": secret, "guidance": {"action": secret}}
        raised = episode(2, asset="oven-2", condition="open", severity="critical", **texts)
        feed.commit(raised)
        told = reader.next()
        assert secret not in json.dumps(told)
        assert [(one["id"], one["state"]) for one in told["episodes"]] == [(raised.id, "happening")]
        assert told["unacknowledged"] == {"low": 0, "medium": 0, "high": 1, "critical": 1}
        seen = replace(raised, acknowledged=ActorStamp("otto", at(3)))
        feed.commit(seen)
        told = reader.next()
        assert told["episodes"][0]["acknowledged"] is True
        assert (told["open"]["critical"], told["unacknowledged"]["critical"]) == (1, 0)
        feed.commit(replace(seen, condition="closed", closed_at=at(4)))
        told = reader.next()
        assert (told["episodes"][0]["state"], told["open"]["critical"]) == ("over", 0)


def test_changes_are_read_once_for_all_readers_and_a_flood_is_told_as_look_again(fed, feed):
    with served(fed) as read:
        readers = [begun(read()) for _ in range(5)]
        feed.commit(episode(2, asset="oven-2", condition="open"))
        assert len({json.dumps(reader.next()) for reader in readers}) == 1
        assert feed.readers == 1
        for minute in range(3000):  # more than are held
            feed.commit(episode(minute, asset="oven-2"))
        told = readers[0].next()
        while not told["all"]:
            told = readers[0].next()
        assert told["episodes"] == []


def test_a_reader_goes_on_after_the_last_event_it_had(fed, feed):
    with served(fed) as read:
        first = begun(read())
        feed.commit(episode(2, asset="oven-2", condition="open"))
        first.next()
        first.close()
        watching = begun(read())
        missed = episode(3, asset="oven-3", condition="open")
        feed.commit(missed)
        watching.next()
        for again in (read({**VIEWER, "last-event-id": first.mark}), read(after=first.mark)):
            told = again.next()
            assert told["all"] is False
            assert missed.id in [one["id"] for one in told["episodes"]]
        assert read(after="0").next()["all"] is True


def test_a_stream_ends_with_its_token(fed, monkeypatch):
    monkeypatch.setattr(live_api, "ALIVE_S", 0.1)
    with served(fed) as read:
        reader = begun(read())
        assert reader.next("alive") == {}
        monkeypatch.setattr(read.app.state.entrance.access, "_file", {})
        while reader.next("alive") is not None:
            pass


@pytest.mark.parametrize("changed", ["vera", hash_secret(next(iter(TOKENS)))])
def test_a_stream_ends_at_once_when_its_person_is_disabled(fed, feed, changed):
    with served(fed) as read:
        ended = begun(read())
        other = begun(read(OPERATOR))
        feed.commit(thing="access", access="somebody")
        accounts.register_services(fed, dict(TOKENS.values()), datetime.now(UTC))
        accounts.disable_account(fed, "vera", "ada", datetime.now(UTC))
        since = monotonic()
        feed.commit(thing="access", access=changed)
        assert ended.next() is None
        assert monotonic() - since < 5  # of 15 s until it is looked at anyhow
        feed.commit(episode(2, asset="oven-2", condition="open"))
        assert other.next()["episodes"]


def test_a_person_has_so_many_streams_and_all_end_with_the_process(fed, monkeypatch):
    monkeypatch.setattr(live_changes, "MOST_OF_A_PERSON", 2)
    with served(fed) as read:
        readers = [begun(read()) for _ in range(2)]
        refused = read()
        assert refused.answer.status_code == 429
        assert refused.answer.headers["retry-after"]
        monkeypatch.setattr(live_changes, "MOST_STREAMS", 2)
        assert read().answer.status_code == 503
        monkeypatch.undo()
        read.app.state.live.close()
        assert [reader.next() for reader in readers] == [None, None]
        assert read().answer.status_code == 503
