"""Periods in which something is missing: data, events, answers, a champion. Each gives a short
report that is correct."""

import re

import pytest

from alerting.definitions.assets import EventType
from alerting.ports import ReadingRow
from alerting.reporting.base.periods import read_period
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.reports.issue import announce_reports, compose, make_due_reports
from tests.builders import at, oven, too_hot, too_moist
from tests.humid_line import DAY
from tests.in_memory_platform import Mailbox, in_memory_platform

WEEK = 7 * DAY
CLOSED = at(WEEK + 6 * 60)
EVERY_HOUR = {"every": "1h", "report": "week", "report_recipients": ["mail"]}


@pytest.fixture
def platform():
    made = in_memory_platform(Mailbox("mail"))
    made.assets.store_assets([oven()])
    made.assets.put_event_types([EventType(name="stop", duration="lasting")])
    made.clock.instant = CLOSED
    return made


def define(platform, document):
    apply(
        platform,
        [document | {"schedule": EVERY_HOUR, "notify": {"channels": []}}],
        "engineer",
        at(0),
        "test",
    )


def week_of_readings(platform, hot=()):
    rows = [
        ReadingRow("oven-1", at(m), {"temperature": 230.0 if m in hot else 200.0})
        for m in range(30, WEEK + 60, 60)
    ]
    add_readings(platform, rows, at(WEEK))
    evaluate(platform, None, CLOSED)


def issued(platform):
    """Return the stored reports of the week, after the work of the DAG."""
    for shard in range(16):
        make_due_reports(platform, shard, CLOSED, lambda _: None)
    announce_reports(platform, CLOSED)
    return platform.reports.of_period("2026-W02")


def report(platform, name):
    """Return the report on the week as it would be issued, also where there is nothing to say."""
    made = compose(platform, name, read_period("2026-W02", platform.zone), CLOSED)
    text = re.sub(
        r"\s+", " ", re.sub(r"<style.*?</style>|<[^>]+>", " ", made.content.page, flags=re.DOTALL)
    )
    assert not re.search(r"\b(nan|inf|None(?![.:]))\b", text), (
        "every figure that is not known has words"
    )
    assert len(made.content.page) < 60_000, "a short report"
    return made, text


def test_without_data_the_report_says_that_nothing_was_evaluated_and_what_to_check(platform):
    define(platform, too_hot())
    evaluate(platform, None, CLOSED)
    heads = issued(platform)
    assert heads["too-hot"].sentences[:2] == (
        "Too early for a conclusion.",
        "The alert was not evaluated in this period.",
    )
    assert heads["too-hot"].sentences[2].startswith("The report advises: No instant was evaluated")
    made, text = report(platform, "too-hot")
    assert (
        "No instant was evaluated: check that the definition is active, and readings arrive" in text
    )
    assert made.content.metrics["evaluated_s"] == 0
    assert made.content.metrics["false_alarms"]["value"] is None, "no rate without time"
    assert len(platform.notifications.due(CLOSED, 9)) == 1


def test_without_events_no_problem_occurred_and_nothing_is_announced_for_a_definition_without_anything_to_say(  # noqa: E501
    platform,
):
    define(platform, too_hot(problem={"event": "stop"}, horizon="1h"))
    week_of_readings(platform)
    heads = issued(platform)
    assert heads["too-hot"].empty, "looked at, and nothing to say"
    made, _ = report(platform, "too-hot")
    assert made.sentences[:-1] == (
        "Too early for a conclusion.",
        "No problem occurred while the alert was evaluated.",
        "No alarm was raised.",
    )
    assert made.content.metrics["event_recall"]["value"] is None
    assert made.content.metrics["false_alarms"]["value"] == 0
    assert made.trust == "cannot_tell"


def test_without_answers_alerts_are_counted_but_neither_right_nor_wrong(platform):
    define(platform, too_hot())
    week_of_readings(platform, hot=range(DAY + 600, DAY + 720))
    heads = issued(platform)
    assert heads["too-hot"].sentences[1:-1] == (
        "1 alarm was raised; no operator has said whether it was right.",
    )
    made, text = report(platform, "too-hot")
    assert "ask operators for verdicts: without either no alarm gets an outcome" in text
    outcomes = {"hit": 0, "avoided": 0, "false_alarm": 0, "undetermined": 1}
    assert made.content.metrics["outcomes"] == outcomes
    assert (
        made.content.metrics["verdicts"]["response"]["basis"] == "0 of 1 alarm with a notification"
    )


def test_without_a_champion_the_report_says_so_and_estimates_nothing(platform):
    define(platform, too_moist())
    rows = [
        ReadingRow("oven-1", at(m), {"temperature": 200.0, "moisture": 3.5})
        for m in range(30, WEEK + 60, 60)
    ]
    add_readings(platform, rows, at(WEEK))
    evaluate(platform, None, CLOSED)
    heads = issued(platform)
    assert heads["too-moist"].sentences[1] == "The alert was not evaluated in this period."
    made, text = report(platform, "too-moist")
    assert "No model was in service, so no instant was evaluated." in text
    model = made.content.metrics["model"]
    assert model["came_true"] == []
    assert made.content.metrics["money"] is None
    assert not issued(platform)["too-moist"].empty


def test_a_week_without_definitions_has_no_report(platform):
    assert issued(platform) == {}
