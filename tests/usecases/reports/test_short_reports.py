"""Periods in which something is missing: data, events, answers, a champion. Each gives a short
report that is correct."""

import re

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


def reported(document=None, temperature=lambda minute: 200.0):
    """Return a platform after a week and the work of the DAG: the stored report, and that on the
    week also where there is nothing to say. Without a temperature there are no readings."""
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets([oven()])
    platform.assets.put_event_types([EventType(name="stop", duration="lasting")])
    platform.clock.instant = CLOSED
    given = {"schedule": EVERY_HOUR, "notify": {"channels": []}}
    apply(platform, [document | given], "engineer", at(0), "test")
    minutes = range(30, WEEK + 60, 60) if temperature else ()
    rows = [
        ReadingRow("oven-1", at(m), {"temperature": temperature(m), "moisture": 3.5})
        for m in minutes
    ]
    add_readings(platform, rows, at(WEEK))
    evaluate(platform, None, CLOSED)
    for shard in range(16):
        make_due_reports(platform, shard, CLOSED, lambda _: None)
    announce_reports(platform, CLOSED)
    (head,) = platform.reports.of_period("2026-W02").values()
    made = compose(platform, head.definition, read_period("2026-W02", platform.zone), CLOSED)
    assert len(made.content.page) < 60_000, "a short report"
    plain = re.sub(r"<style.*?</style>|<[^>]+>", " ", made.content.page, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", plain)
    assert not re.search(r"\b(nan|inf|None(?![.:]))\b", text), (
        "every figure that is not known has words"
    )
    return platform, head, made, text


def test_without_data_the_report_says_that_nothing_was_evaluated_and_what_to_check():
    platform, head, made, text = reported(too_hot(), temperature=None)
    assert head.sentences[:2] == (
        "Too early for a conclusion.",
        "The alert was not evaluated in this period.",
    )
    assert head.sentences[2].startswith("The report advises: No instant was evaluated")
    assert (
        "No instant was evaluated: check that the definition is active, and readings arrive" in text
    )
    metrics = made.content.metrics
    no_rate = (metrics["evaluated_s"], metrics["false_alarms"]["value"])
    assert no_rate == (0, None), "no rate without time"
    assert len(platform.notifications.due(CLOSED, 9)) == 1


def test_without_events_no_problem_occurred_and_nothing_is_announced():
    _, head, made, _ = reported(too_hot(problem={"event": "stop"}, horizon="1h"))
    assert head.empty, "looked at, and nothing to say"
    assert (made.trust, *made.sentences[:-1]) == (
        "cannot_tell",
        "Too early for a conclusion.",
        "No problem occurred while the alert was evaluated.",
        "No alarm was raised.",
    )
    metrics = made.content.metrics
    assert (metrics["event_recall"]["value"], metrics["false_alarms"]["value"]) == (None, 0)


def test_without_answers_alerts_are_counted_but_neither_right_nor_wrong():
    hot = range(DAY + 600, DAY + 720)
    _, head, made, text = reported(too_hot(), lambda minute: 230.0 if minute in hot else 200.0)
    assert head.sentences[1:-1] == (
        "1 alarm was raised; no operator has said whether it was right.",
    )
    assert "ask operators for verdicts: without either no alarm gets an outcome" in text
    metrics = made.content.metrics
    outcomes = {"hit": 0, "avoided": 0, "false_alarm": 0, "undetermined": 1}
    basis = metrics["verdicts"]["response"]["basis"]
    assert (metrics["outcomes"], basis) == (outcomes, "0 of 1 alarm with a notification")


def test_without_a_champion_the_report_says_so_and_estimates_nothing():
    _, head, made, text = reported(too_moist())
    assert head.sentences[1] == "The alert was not evaluated in this period."
    assert "No model was in service, so no instant was evaluated." in text
    metrics = made.content.metrics
    assert (metrics["model"]["came_true"], metrics["money"], head.empty) == ([], None, False)
