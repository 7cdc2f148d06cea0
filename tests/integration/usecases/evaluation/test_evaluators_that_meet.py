"""Evaluators that are killed, or frozen while another does a round, between any two of their database commands."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from alerting.adapters.mongo.mongo import MongoStores, open_stores
from alerting.usecases.evaluation.evaluate import evaluate
from tests.builders import at
from tests.helpers.killed_processes import Commands, copy_of, process, restore, short_transactions
from tests.helpers.late_line import LEVELS, Line
from tests.helpers.notifications import notifications_of
from tests.pretended import HandClock, platform_on

pytestmark = pytest.mark.slow
DATABASE = "meeting"
HEAT = {m: 231 if 20 <= m < 26 else 218 if 6 <= m < 34 or m > 44 else 200 for m in range(1, 60)}


@pytest.fixture(scope="module")
def stores(real_mongod) -> Iterator[MongoStores]:
    with short_transactions(real_mongod), open_stores(real_mongod.uri, DATABASE, prepare=True) as opened:
        yield opened


class Meeting:
    """A line that was evaluated up to its tenth minute, and what it needs to be there again."""

    def __init__(self, uri: str, stores: MongoStores, fields: dict[str, Any], late: tuple[int, ...]) -> None:
        self.uri, self.late = uri, late
        self.expected = self._alone(stores, fields)
        restore(stores.database, {})
        self.line = Line(stores=stores, clear_for="2m", **fields)
        self.line.feed({m: value for m, value in HEAT.items() if m not in late})
        self.line.run(10)
        self._documents = copy_of(stores.database)

    @staticmethod
    def _alone(stores: MongoStores, fields: dict[str, Any]) -> tuple[Any, ...]:
        """Return the result if all readings arrive in time and one evaluator does every round."""
        restore(stores.database, {})
        line = Line(stores=stores, clear_for="2m", **fields)
        line.feed(HEAT)
        for minute in (10, 25, 40, 58, 59):
            line.run(minute)
        return outcome(line)

    def begin_again(self) -> None:
        restore(self.line.platform.states._shards.database, self._documents)

    def disturbed(self, commands: Commands, minute: int) -> None:
        """One round of an evaluator in a process of its own."""
        with process(self.uri, DATABASE, commands) as own:
            evaluate(platform_on(own, [self.line.mail], HandClock(at(minute))), None, at(minute))

    def deliver_late(self, minute: int) -> None:
        if self.late:
            self.line.feed({m: HEAT[m] for m in self.late}, minute)

    def evaluate(self, minute: int) -> None:
        """Rounds of an evaluator that nothing happens to, until no dead transaction is in its way."""
        for _ in range(20):
            if not self.line.run(minute).elsewhere:
                return
        raise AssertionError("the shard is blocked for ever")

    def outcome(self) -> tuple[Any, ...]:
        for minute in (58, 59):
            self.evaluate(minute)
        return outcome(self.line)


def outcome(line: Line) -> tuple[Any, ...]:
    sent = notifications_of(line.platform)
    keys = [n.key for n in sent]
    assert len(keys) == len(set(keys))
    assert {n.status for n in sent} <= {"sent", "dropped"}
    return line.spells(), line.state()


@pytest.mark.parametrize(("fields", "late"), [({}, ()), (LEVELS, (8, 9, 30, 31, 32, 33))], ids=["in-time", "levels-and-late"])
def test_killed_before_any_command_of_a_tick_it_leaves_what_the_next_process_finishes(real_mongod, stores, fields, late):
    meeting = Meeting(real_mongod.uri, stores, fields, late)
    meeting.deliver_late(20)
    meeting._documents = copy_of(stores.database)
    for last in count(1):
        meeting.begin_again()
        commands = Commands()
        commands.before(last, commands.kill)
        meeting.disturbed(commands, 40)
        if commands.count < last:
            break
        assert meeting.outcome() == meeting.expected, f"killed before {commands.names[-1]}, command {last}"
    assert "commitTransaction" in commands.names


@pytest.mark.parametrize(
    ("fields", "late", "first", "second"),
    [({}, (), 50, 40), (LEVELS, (8, 9, 30, 31, 32, 33), 40, 50)],
    ids=["ahead-in-time", "behind-levels-and-late"],
)
def test_frozen_before_any_command_while_another_does_a_round_it_leaves_what_one_alone_would(
    real_mongod, stores, fields, late, first, second
):
    meeting = Meeting(real_mongod.uri, stores, fields, late)
    for stop in count(1):
        meeting.begin_again()

        def another_round():
            meeting.deliver_late(second)
            meeting.evaluate(second)

        commands = Commands()
        commands.before(stop, another_round)
        meeting.disturbed(commands, first)
        if commands.count < stop:
            break
        assert meeting.outcome() == meeting.expected, f"frozen before {commands.names[stop - 1]}, command {stop}"
    assert "commitTransaction" in commands.names


def test_a_tick_that_raises_is_one_transaction_without_reads_and_a_quiet_one_is_none(real_mongod, stores):
    meeting = Meeting(real_mongod.uri, stores, {}, ())
    raises, quiet = Commands(), Commands()
    meeting.disturbed(raises, 40)
    meeting.disturbed(quiet, 41)
    assert raises.in_transactions == ["update", "update", "findAndModify", "commitTransaction"]
    assert quiet.in_transactions == []
    assert quiet.names.count("findAndModify") == 1
    assert quiet.names.count("update") == 1  # how far it is going to read
