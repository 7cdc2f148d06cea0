"""The stream service and the scheduler evaluate the same targets in turn, and give what one
evaluation of all gives."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.definitions.alert_definition import SHARDS
from alerting.definitions.asset_documents import Asset, Variable
from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.arrived import (
    ArrivedRows,
    PromptEvaluation,
    evaluate_arrived,
    plan_arrived,
)
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.delivery import deliver_now
from alerting.usecases.sources.status import SOURCES
from tests.builders import at, oven, too_hot, too_moist
from tests.helpers.late_line import FIELDS, Line
from tests.helpers.stores import states_of
from tests.in_memory_platform import HandClock, memory_platform, platform_on

SECOND = 1 / 60


class Streamed(Line):
    """A line whose readings a stream service stores and evaluates, besides the scheduler."""

    def __init__(self, **fields):
        super().__init__(**fields)
        self.prompt = PromptEvaluation(self.platform)

        self.arrived = ArrivedRows()

    def stream(self, minute):
        self.platform.clock.instant = at(minute)
        arrived = self.arrived
        self.arrived = ArrivedRows()
        counts = self.prompt.evaluate(arrived, at(minute))
        deliver_now(self.platform, at(minute))
        return counts

    def feed(self, values, minute=0):
        super().feed(values, minute)
        self.arrived.add([ReadingRow("oven-1", at(m), {"temperature": 0.0}) for m in values])


@given(
    values=st.lists(st.sampled_from([200, 212, 230, 240]), min_size=5, max_size=20),
    lags=st.lists(st.integers(0, 200), min_size=20, max_size=20),
    turns=st.lists(st.sampled_from(["stream", "tick", "both", "none"]), min_size=24, max_size=24),
    fields=FIELDS,
)
def test_two_evaluators_in_turn_give_what_one_evaluation_of_all_gives(values, lags, turns, fields):
    """Readings a minute apart, each up to 200 s under way, some of them behind the latency of 90
    s."""
    latency = timedelta(seconds=90)
    live = Streamed(latency=latency, **fields)
    batch = Line(latency=latency, **fields)
    end = len(values) + 4
    arrivals = sorted(
        (minute + lag * SECOND, minute)
        for minute, lag in zip(range(1, len(values) + 1), lags, strict=False)
    )
    for minute, turn in zip(range(1, end + 1), turns, strict=False):
        for arrived, stamp in arrivals:
            if minute - 1 < arrived <= minute:
                live.feed({stamp: values[stamp - 1]}, arrived)
        if turn in ("stream", "both"):
            live.stream(minute)
        if turn in ("tick", "both"):
            live.run(minute)
    live.run(end)
    batch.feed({stamp: values[stamp - 1] for _, stamp in arrivals}, end)
    batch.run(end)
    assert (live.condition_intervals(), live.state()) == (
        batch.condition_intervals(),
        batch.state(),
    )
    keys = [message.key for message in live.mail.messages]
    assert len(keys) == len(set(keys))


def watermark(line):
    return states_of(line.platform, "too-hot", ["oven-1"])["oven-1"].watermark


def test_a_reading_is_evaluated_as_soon_as_its_latency_is_over_and_then_no_more():
    line = Streamed(latency=timedelta(seconds=10))
    line.feed({1: 230}, 1)
    assert (line.stream(1 + 9 * SECOND).targets, line.mail.messages) == (0, [])
    assert (line.stream(1 + 10 * SECOND).raised, len(line.mail.messages), watermark(line)) == (
        1,
        1,
        at(1),
    )
    assert not line.prompt.waits
    assert line.stream(2).targets == 0
    assert watermark(line) == at(1)


def test_readings_are_not_lost_when_an_evaluation_fails(monkeypatch):
    line = Streamed()
    line.feed({1: 230}, 1)
    arrived = line.arrived
    with monkeypatch.context() as failing, pytest.raises(TypeError):
        failing.setattr(line.platform.states, "load_many", None)
        line.stream(1)
    line.arrived.join(arrived)
    assert line.stream(2).raised == 1


def test_readings_are_not_lost_when_another_process_evaluates_only_a_part_of_them(monkeypatch):
    line = Streamed()
    line.feed({0: 200}, 0)
    line.stream(0)
    line.feed({1: 200, 2: 230}, 2)
    advance = line.platform.states.advance

    def scheduler_is_faster(*arguments):
        monkeypatch.setattr(line.platform.states, "advance", advance)
        evaluate(line.platform, None, at(1.5))
        return advance(*arguments)

    monkeypatch.setattr(line.platform.states, "advance", scheduler_is_faster)
    assert (line.stream(2).elsewhere, watermark(line)) == (1, at(1.5))
    line.stream(2)
    assert (watermark(line), line.prompt.waits) == (at(2), False)


def test_only_targets_that_read_what_arrived_are_evaluated_those_of_a_model_too():
    platform = platform_on(memory_platform(), [], HandClock())
    platform.assets.store_assets(
        [oven(), Asset(name="oven-2", variables={"temperature": Variable(), "speed": Variable()})]
    )
    documents = [
        too_hot(),
        too_hot(name="other", assets=["oven-2"]),
        too_hot(name="fast", assets=["oven-2"], variable="speed"),
    ]
    apply(platform, [*documents, too_moist()], "engineer", at(0), "test")
    rows = [ReadingRow("oven-2", at(1), {"temperature": 230.0})]
    add_readings(platform, rows, at(1))
    arrived = ArrivedRows()
    arrived.add([*rows, ReadingRow("oven-1", at(1), {"moisture": 1.0})])
    counts = PromptEvaluation(platform).evaluate(arrived, at(1))
    assert (counts.targets, counts.raised) == (2, 1)
    assert counts.unknown == {"too-moist on oven-1": "no model is in service yet"}


SOURCE = {"kind": "sql", "url": {"env": "DB"}, "table": "t", "cursor": "id"}


def test_the_targets_of_a_source_are_evaluated_when_it_has_delivered_in_a_file_of_a_night_too():
    platform = platform_on(memory_platform(), [], HandClock())
    lab = {**SOURCE, "name": "lab", "latency": "0s"}
    stops = {**SOURCE, "name": "stops", "delivers": "events"}
    SOURCES.apply(platform, [lab, stops], "ada", at(0))
    platform.assets.store_assets(
        [
            oven(temperature=Variable(source="lab")),
            Asset(name="oven-2", variables={"temperature": Variable()}),
        ]
    )
    hourly = {"schedule": {"every": "1h"}}
    apply(
        platform,
        [too_hot(**hourly), too_hot(name="other", assets=["oven-2"], **hourly)],
        "engineer",
        at(0),
        "test",
    )
    evaluate(platform, None, at(600))
    add_readings(
        platform,
        [ReadingRow(f"oven-{i}", at(m), {"temperature": 230.0}) for i in (1, 2) for m in (60, 61)],
        at(605),
    )
    planned = plan_arrived(platform, ["lab"], SHARDS, at(605))
    assert (planned.late.late, planned.late.has_requests, len(planned.shards)) == (4, True, 1)
    (shard,) = planned.shards
    counts = evaluate_arrived(
        platform, ["lab"], shard, SHARDS, at(605), planned.source_hash, planned.late.has_requests
    )
    assert (counts.targets, counts.raised) == (1, 1)
    assert [(e.definition, e.late_data_status) for e in platform.episodes.find()] == [
        ("too-hot", "found_late")
    ]
    assert plan_arrived(platform, ["stops"], SHARDS, at(606)).shards == []
