"""Evaluators that are killed, or frozen while another does a round, between any two of their
database commands."""

from functools import partial

import pytest

from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate, evaluate_past
from tests.builders import at, too_hot
from tests.helpers.killed_processes import (
    before_each_command,
    copy_of,
    end_transactions,
    killing,
    prepared_stores,
    process,
    restore,
)
from tests.helpers.late_line import LEVELS, Line
from tests.helpers.notifications import notifications_of
from tests.in_memory_platform import HandClock, platform_on

DATABASE = "meeting"
HEAT = {m: 231 if 20 <= m < 26 else 218 if 6 <= m < 34 or m > 44 else 200 for m in range(1, 60)}
LATE = {m: HEAT[m] for m in (8, 9, 30, 31, 32, 33)}


@pytest.fixture(scope="module")
def stores(real_mongod):
    with prepared_stores(real_mongod, DATABASE) as opened:
        yield opened


class Meeting:
    """A line that was evaluated up to its tenth minute, what it needs to be there again, and the
    result if all readings arrive in time and one evaluator does every round."""

    def __init__(self, server, stores, fields, late):
        self.server = server
        self.late = late
        restore(stores.database, {})
        alone = Line(stores=stores, clear_for="2m", **fields)
        alone.feed(HEAT)
        for minute in (10, 25, 40, 58, 59):
            alone.run(minute)
        self.expected = outcome(alone)
        restore(stores.database, {})
        self.line = Line(stores=stores, clear_for="2m", **fields)
        self.line.feed({m: value for m, value in HEAT.items() if m not in late})
        self.line.live((5,), (10,))
        self.documents = copy_of(stores.database)

    def begin_again(self):
        restore(self.line.platform.states._shards.database, self.documents)

    def disturbed(self, minute, commands):
        """One round of an evaluator in a process of its own."""
        with process(self.server.uri, DATABASE, commands) as own:
            evaluate(platform_on(own, [self.line.mail], HandClock(at(minute))), None, at(minute))

    def evaluate(self, minute):
        """Rounds of an evaluator that nothing happens to, until no dead transaction is in its way,
        which the server ends."""
        for _ in range(20):
            if not self.line.run(minute).elsewhere:
                return
            end_transactions(self.server)
        raise AssertionError("the shard is blocked for ever")

    def another_round(self, minute):
        if self.late:
            self.line.feed(self.late, minute)
        self.evaluate(minute)

    def outcome(self):
        for minute in (58, 59):
            self.evaluate(minute)
        return outcome(self.line)


def outcome(line):
    sent = notifications_of(line.platform)
    assert len({n.key for n in sent}) == len(sent)
    assert {n.status for n in sent} <= {"sent", "dropped"}
    return line.condition_intervals(), line.state()


def test_killed_before_any_command_of_a_tick_it_leaves_what_the_next_process_finishes(
    real_mongod, stores
):
    meeting = Meeting(real_mongod, stores, LEVELS, LATE)
    meeting.line.feed(LATE, 20)
    meeting.documents = copy_of(stores.database)
    disturbed = partial(meeting.disturbed, 40)
    for command in before_each_command(meeting.begin_again, disturbed, killing):
        assert meeting.outcome() == meeting.expected, f"killed before {command}"


@pytest.mark.parametrize(
    ("fields", "late", "first", "second"),
    [({}, {}, 50, 40), (LEVELS, LATE, 40, 50)],
    ids=["ahead-in-time", "behind-levels-and-late"],
)
def test_frozen_before_any_command_while_another_does_a_round_it_leaves_what_one_alone_would(
    real_mongod, stores, fields, late, first, second
):
    meeting = Meeting(real_mongod, stores, fields, late)
    disturbed = partial(meeting.disturbed, first)
    another = partial(meeting.another_round, second)
    for command in before_each_command(meeting.begin_again, disturbed, lambda _: another):
        assert meeting.outcome() == meeting.expected, f"frozen before {command}"


def test_killed_before_any_command_an_evaluation_of_past_times_has_written_all_its_episodes_or_none(
    real_mongod, stores
):
    restore(stores.database, {})
    line = Line(stores=stores, state="draft")
    line.feed({m: 230 if m in (60, 120, 180) else 200 for m in range(0, 200, 5)})
    platform = line.platform
    platform.clock.instant = at(300)
    apply(platform, [too_hot()], "engineer", at(300), "test")
    before = copy_of(stores.database)
    past = ("too-hot", at(0), at(200))

    def disturbed(commands):
        with process(real_mongod.uri, DATABASE, commands) as own:
            evaluate_past(platform_on(own, [], HandClock(at(300))), *past, revision="latest")

    begin_again = partial(restore, stores.database, before)
    for command in before_each_command(begin_again, disturbed, killing):
        assert len(platform.episodes.find()) in (0, 3), f"killed before {command}"
        assert evaluate_past(platform, *past, revision="latest").found == 3
        assert [e.raised_at for e in platform.episodes.find()] == [at(180), at(120), at(60)]
