"""Evaluators that are killed, or frozen while another does a round, between any two of their
database commands."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongo import MongoStores, open_stores
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate, evaluate_past
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at, oven, too_hot
from tests.helpers.killed_processes import (
    Commands,
    copy_of,
    end_transactions,
    process,
    restore,
    short_transactions,
)
from tests.helpers.late_line import LEVELS, Line
from tests.helpers.notifications import notifications_of
from tests.in_memory_platform import HandClock, Mailbox, platform_on

pytestmark = pytest.mark.server
DATABASE = "meeting"
HEAT = {m: 231 if 20 <= m < 26 else 218 if 6 <= m < 34 or m > 44 else 200 for m in range(1, 60)}


@pytest.fixture(scope="module")
def stores(real_mongod) -> Iterator[MongoStores]:
    with (
        short_transactions(real_mongod),
        open_stores(real_mongod.uri, DATABASE, prepare=True) as opened,
    ):
        yield opened


class Meeting:
    """A line that was evaluated up to its tenth minute, and what it needs to be there again."""

    def __init__(
        self,
        server: EmbeddedMongod,
        stores: MongoStores,
        fields: dict[str, Any],
        late: tuple[int, ...],
        later: tuple[int, ...] = (),
    ) -> None:
        self.server = server
        self.late = late
        self.later = later
        self.expected = self._alone(stores, fields)
        restore(stores.database, {})
        self.line = Line(stores=stores, clear_for="2m", **fields)
        self.line.feed({m: value for m, value in HEAT.items() if m not in late + later})
        self.line.run(5)
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
        with process(self.server.uri, DATABASE, commands) as own:
            evaluate(platform_on(own, [self.line.mail], HandClock(at(minute))), None, at(minute))

    def deliver_late(self, minute: int) -> None:
        self._deliver(self.late, minute)

    def deliver_later(self, minute: int) -> None:
        self._deliver(self.later, minute)

    def _deliver(self, minutes: tuple[int, ...], minute: int) -> None:
        if minutes:
            self.line.feed({m: HEAT[m] for m in minutes}, minute)

    def evaluate(self, minute: int) -> None:
        """Rounds of an evaluator that nothing happens to, until no dead transaction is in its way,
        which the server ends."""
        for _ in range(20):
            if not self.line.run(minute).elsewhere:
                return
            end_transactions(self.server)
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
    return line.condition_intervals(), line.state()


@pytest.mark.parametrize(
    ("fields", "late"),
    [({}, ()), (LEVELS, (8, 9, 30, 31, 32, 33))],
    ids=["in-time", "levels-and-late"],
)
def test_killed_before_any_command_of_a_tick_it_leaves_what_the_next_process_finishes(
    real_mongod, stores, fields, late
):
    meeting = Meeting(real_mongod, stores, fields, late)
    meeting.deliver_late(20)
    meeting._documents = copy_of(stores.database)
    for last in count(1):
        meeting.begin_again()
        commands = Commands()
        commands.run_before(last, commands.kill)
        meeting.disturbed(commands, 40)
        if commands.count < last:
            break
        assert meeting.outcome() == meeting.expected, (
            f"killed before {commands.names[-1]}, command {last}"
        )
    assert "commitTransaction" in commands.names


@pytest.mark.parametrize(
    ("fields", "late", "first", "second"),
    [({}, (), 50, 40), (LEVELS, (8, 9, 30, 31, 32, 33), 40, 50)],
    ids=["ahead-in-time", "behind-levels-and-late"],
)
def test_frozen_before_any_command_while_another_does_a_round_it_leaves_what_one_alone_would(
    real_mongod, stores, fields, late, first, second
):
    meeting = Meeting(real_mongod, stores, fields, late)
    for stop in count(1):
        meeting.begin_again()

        def another_round():
            meeting.deliver_late(second)
            meeting.evaluate(second)

        commands = Commands()
        commands.run_before(stop, another_round)
        meeting.disturbed(commands, first)
        if commands.count < stop:
            break
        assert meeting.outcome() == meeting.expected, (
            f"frozen before {commands.names[stop - 1]}, command {stop}"
        )
    assert "commitTransaction" in commands.names


def test_killed_before_any_command_an_evaluation_of_past_times_has_written_all_its_episodes_or_none(
    real_mongod, stores
):
    restore(stores.database, {})
    platform = platform_on(stores, [Mailbox("mail")], HandClock(at(300)))
    platform.assets.store_assets([oven()])
    rows = [
        ReadingRow("oven-1", at(m), {"temperature": 230 if m in (60, 120, 180) else 200})
        for m in range(0, 200, 5)
    ]
    add_readings(platform, rows, at(0))
    apply(platform, [too_hot()], "engineer", at(300), "test")
    before = copy_of(stores.database)
    for last in count(1):
        restore(stores.database, before)
        commands = Commands()
        commands.run_before(last, commands.kill)
        with process(real_mongod.uri, DATABASE, commands) as own:
            evaluate_past(
                platform_on(own, [], HandClock(at(300))),
                "too-hot",
                at(0),
                at(200),
                revision="latest",
            )
        assert len(platform.episodes.find()) in (0, 3), (
            f"killed before {commands.names[-1]}, command {last}"
        )
        if commands.count < last:
            break
        assert evaluate_past(platform, "too-hot", at(0), at(200), revision="latest").found == 3
        assert [e.raised_at for e in platform.episodes.find()] == [at(180), at(120), at(60)]
