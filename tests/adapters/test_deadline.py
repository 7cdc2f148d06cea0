"""Calls of pages to other processes: in time, a few at once, and soon again."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from time import monotonic, sleep

import pytest

from alerting.adapters import calls_with_deadline
from alerting.adapters.calls_with_deadline import (
    AT_ONCE,
    PAGE,
    OtherProcess,
    Page,
    RegistryOfPages,
    Silent,
    ask_at_once,
)
from alerting.ports import ModelUnavailable

WITHIN_S = 0.4


@contextmanager
def page(within_s=WITHIN_S, turn=None):
    before = PAGE.set(Page(within_s, turn))
    yield
    PAGE.reset(before)


@pytest.fixture
def stopped():
    """A call that is answered when the process goes on."""
    event = Event()
    yield event
    event.set()


def refused(process, work):
    begun = monotonic()
    with page(), pytest.raises(Silent):
        process.call(work)
    return monotonic() - begun


def refuse_many(process, work, count):
    """Return how long each of many pages at once waited until it was refused."""
    with ThreadPoolExecutor(count) as threads:
        return [*threads.map(lambda _: refused(process, work), range(count))]


def test_a_call_ends_by_its_deadline_the_next_ones_at_once_and_later_it_is_asked_again(stopped):
    process = OtherProcess()
    assert process.call(lambda: sleep(WITHIN_S * 1.1) or 7) == 7, "what is no page has no deadline"
    assert WITHIN_S <= refused(process, stopped.wait) < WITHIN_S + 1
    waits = refuse_many(process, stopped.wait, 30)
    assert max(waits) < 1
    assert sum(waits) < 30 * WITHIN_S / 2
    stopped.set()
    sleep(0.1)
    with page():
        answers = [process.call(work) for work in (lambda: 7, lambda: sleep(WITHIN_S / 2) or 8)]
    assert answers == [7, 8]


def test_no_more_threads_wait_for_a_process_than_may(stopped):
    begun = []
    waits = refuse_many(OtherProcess(), lambda: begun.append(1) or stopped.wait(), 40)
    assert len(begun) <= AT_ONCE
    assert max(waits) < WITHIN_S + 1


def test_a_fault_of_the_call_is_that_of_the_page_and_frees_its_place():
    process = OtherProcess()

    def fail(after_s=0.0):
        sleep(after_s)
        raise OSError("broken")

    for _ in range(3 * AT_ONCE):
        with page(), pytest.raises(OSError, match="broken"):
            process.call(fail)
    refused(process, lambda: fail(WITHIN_S * 1.2))
    sleep(0.6)
    assert [process._free.acquire(blocking=False) for _ in range(AT_ONCE)] == [True] * AT_ONCE


def test_the_turn_is_others_while_a_page_waits(stopped):
    told = []

    class Turn:
        @contextmanager
        def given_back(self):
            told.append("given back")
            yield
            told.append("taken")

    process = OtherProcess()
    with page(turn=Turn()):
        process.call(lambda: 7)
        assert told == []
        with pytest.raises(Silent):
            process.call(stopped.wait)
    assert told == ["given back", "taken"]


def test_files_that_come_late_are_there_for_the_next_page(monkeypatch):
    monkeypatch.setattr(calls_with_deadline, "WITHIN_S", WITHIN_S)
    asked = []

    class Registry:
        shown = True

        def model_files(self, definition, version):
            asked.append(version)
            sleep(WITHIN_S * 1.5)
            return {"model.json": b"{}"}

    registry = RegistryOfPages(Registry())
    assert registry.shown is True
    with page():
        with pytest.raises(ModelUnavailable, match="MLflow does not answer within"):
            registry.model_files("too-moist", 1)
        sleep(WITHIN_S)
        assert registry.model_files("too-moist", 1) == {"model.json": b"{}"}
    assert asked == [1]


class Slow:
    """A registry that takes a moment for each answer, and remembers what it was asked."""

    shown = True

    def __init__(self, takes_s):
        self.asked = []
        self._takes_s = takes_s

    def tags(self, run):
        self.asked.append(run)
        sleep(self._takes_s)
        if run == "lost":
            raise ModelUnavailable("lost")
        return {"run": run}


def test_a_page_asks_a_registry_at_once_and_nothing_twice():
    slow = Slow(WITHIN_S / 3)
    with page():
        registry = ask_at_once(RegistryOfPages(slow), *(("tags", run) for run in "abcdef"))
        begun = monotonic()
        answers = [registry.tags(run) for run in "abcdefabcdef"]
        assert monotonic() - begun < WITHIN_S, "one after the other takes twice as long"
        with pytest.raises(ModelUnavailable, match="lost"):
            registry.tags("lost")
    assert answers == 2 * [{"run": run} for run in "abcdef"]
    assert sorted(slow.asked) == [*"abcdef", "lost"]
    assert registry.shown is True


def test_what_cannot_be_asked_at_once_is_asked_in_turn():
    many = [str(run) for run in range(3 * AT_ONCE)]
    slow = Slow(0.02)
    with page():
        registry = ask_at_once(RegistryOfPages(slow), *(("tags", run) for run in many))
        assert [registry.tags(run)["run"] for run in many] == many
    assert sorted(slow.asked) == sorted(many)
    assert ask_at_once(RegistryOfPages(slow), ("tags", "a")).tags("a") == {"run": "a"}, "no page"
    assert ask_at_once(slow, ("tags", "a")) is slow


def test_a_page_that_asks_early_takes_no_room_from_another(monkeypatch):
    monkeypatch.setattr(calls_with_deadline, "_FREE_WITHIN_S", 0.05)
    registry = RegistryOfPages(Slow(WITHIN_S / 2))
    many = [("tags", str(run)) for run in range(AT_ONCE)]
    with page():
        ask_at_once(registry, *many)
        assert [registry.tags(run)["run"] for run in "ab"] == ["a", "b"]


def test_after_an_outage_the_first_page_gets_all_its_answers():
    slow = Slow(2 * WITHIN_S)
    registry = RegistryOfPages(slow)
    with page():
        with pytest.raises(ModelUnavailable):
            registry.tags("a")
        slow._takes_s = 0.03
        registry = ask_at_once(registry, *(("tags", run) for run in "bcd"))
        assert [registry.tags(run)["run"] for run in "dcb"] == ["d", "c", "b"]


def test_a_registry_that_hangs_is_away_by_the_deadline_of_one_call(stopped):
    class Hung:
        def tags(self, run):
            stopped.wait()

    with page():
        begun = monotonic()
        registry = ask_at_once(RegistryOfPages(Hung()), *(("tags", run) for run in "abcd"))
        for run in "abcdef":
            with pytest.raises(ModelUnavailable, match="MLflow does not answer"):
                registry.tags(run)
    assert monotonic() - begun < 2 * WITHIN_S + 1
