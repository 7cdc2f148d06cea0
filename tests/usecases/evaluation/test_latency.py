"""Evaluation waits for readings under way, and a reading that arrives within this time is not
late."""

from datetime import timedelta

import pytest

from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.faults import UserError
from alerting.ports import ReadingRow
from alerting.usecases.backtest.backtest import backtest, named_subject
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate, evaluate_past
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at, oven, too_hot
from tests.helpers.late_line import Line
from tests.helpers.stores import states_of

TEN_SECONDS = timedelta(seconds=10)
SECOND = 1 / 60  # of a minute


def watermark(line, definition="too-hot", asset="oven-1"):
    return states_of(line.platform, definition, [asset])[asset].watermark


def with_second(line, minute):
    line.platform.assets.store_assets([Asset(name="oven-2", variables={"temperature": Variable()})])
    second = too_hot(name="second", assets=["oven-2"])
    apply(line.platform, [second], "engineer", at(minute), "test")


def test_a_reading_that_arrives_within_the_latency_is_not_late_and_makes_no_request():
    line = Line(latency=TEN_SECONDS)
    for minute in range(1, 6):
        line.feed({minute - 6 * SECOND: 200}, minute - 6 * SECOND)
        counts = line.run(minute)
        line.feed({minute - 5 * SECOND: 230 if minute == 3 else 200}, minute + SECOND)
        assert (counts.late, counts.latency_s, watermark(line)) == (0, 10, at(minute) - TEN_SECONDS)
        assert line.platform.arrivals.arrived_since(at(0)) == []
    (episode,) = line.episodes()
    assert (episode.raised_at, episode.detected_at) == (at(3 - 5 * SECOND), at(4))
    assert (episode.late_data_status, episode.closed_at) == (None, at(4 - 6 * SECOND))


def test_the_latency_of_a_variable_comes_before_the_platform_s_and_is_not_late_either():
    line = Line(variables={"temperature": Variable(latency="5m")}, latency=TEN_SECONDS)
    with_second(line, 0)
    line.live((10, {1: 200}))
    assert (watermark(line), watermark(line, "second", "oven-2")) == (at(5), at(10) - TEN_SECONDS)
    line.feed({6: 230}, 10)
    counts = line.run(11)
    assert (counts.late, counts.latency_s) == (0, 300)
    assert line.platform.arrivals.requests(["too-hot"]) == {}
    assert [e.raised_at for e in line.episodes()] == [at(6)]


def test_readings_behind_the_watermark_are_late_when_the_latency_is_raised():
    line = Line()
    line.live((10, {1: 200}))
    line.platform.assets.store_assets([oven(temperature=Variable(latency="15m"))])
    with_second(line, 10)
    line.feed({9: 230}, 10)
    assert line.run(11).late == 1
    line.run(26)
    assert [e.raised_at for e in line.episodes()] == [at(9)]


def test_past_times_and_a_backtest_are_evaluated_as_far_as_live():
    line = Line(latency=TEN_SECONDS)
    line.live((20, dict.fromkeys(range(1, 20), 200) | {20 - 5 * SECOND: 230}))
    assert line.episodes() == []
    found = backtest(line.platform, named_subject(line.platform, "too-hot"), at(1), at(20))
    assert found.episodes == ()
    assert evaluate_past(line.platform, "too-hot", at(1), at(20)).raised == 0
    line.platform.clock.instant = at(21)
    assert evaluate_past(line.platform, "too-hot", at(1), at(20)).raised == 1
    with pytest.raises(UserError, match=r"must lie before --to, or before .* \(latency 10 s\)"):
        evaluate_past(line.platform, "too-hot", at(21), at(22))


def test_an_outcome_waits_for_readings_under_way():
    line = Line(latency=TEN_SECONDS, problem={"variable": "moisture", "above": 4.5}, horizon="10m")
    rows = [
        ReadingRow("oven-1", at(m), {"temperature": 230.0 if m == 2 else 200.0, "moisture": 4.0})
        for m in range(1, 20)
    ]
    add_readings(line.platform, rows, at(1))
    line.live((5,), (12,))
    assert line.episodes()[0].outcome_record.outcome == "undetermined"
    evaluate(line.platform, None, at(12) + TEN_SECONDS)
    assert line.episodes()[0].outcome_record.outcome == "false_alarm"
