"""The life of a report: closed periods, corrections by hand, announcements; periods in which
something is missing, of which each gives a short report that is correct."""

import re
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from alerting.definitions.asset_documents import EventType, Variable
from alerting.definitions.faults import UserError
from alerting.episodes.episode import Feedback
from alerting.ports import PastEvaluation, ReadingRow
from alerting.reporting.periods import read_period
from alerting.usecases import make_reports
from alerting.usecases.definitions.faults_and_platform_alerts import UNREPORTED
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.issue_reports import (
    announce_reports,
    compose,
    due_reports,
    issue_by_hand,
    make_due_reports,
    make_unseen_reports,
    waits_for_retry,
)
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.operators.operate import give_feedback
from tests.builders import at, oven, too_hot, too_moist
from tests.helpers.refusals import assert_refused
from tests.in_memory_platform import Mailbox, in_memory_platform

DAY = 24 * 60
WEEK = 7 * DAY
CLOSED = at(WEEK + 60)  # of 2026-W02, from Monday, 5 January


@pytest.fixture
def platform():
    """A week of readings each hour; on Tuesday it is too hot for two hours."""
    made = in_memory_platform(Mailbox("mail"))
    made.assets.store_assets([oven()])
    schedule = {"every": "1h", "report": "week", "report_recipients": ["mail"]}
    document = too_hot(schedule=schedule, stale_after="3h", notify={"channels": []})
    apply(
        made, [document, document | {"name": "never-hot", "above": 500}], "engineer", at(0), "test"
    )
    live(made, 0, WEEK)
    return made


def live(platform, start, end):
    for minute in range(start + 30, end + 30, 60):
        temperature = 230.0 if DAY + 600 <= minute < DAY + 720 else 200.0
        add_readings(
            platform, [ReadingRow("oven-1", at(minute), {"temperature": temperature})], at(minute)
        )
    platform.clock.instant = at(end)
    evaluate(platform, None, at(end))


def issue_all(platform, when):
    """Do what the DAG does; return what it says."""
    said = []
    platform.clock.instant = when
    for shard in range(16):
        make_due_reports(platform, shard, when, said.append)
    announce_reports(platform, when)
    return said


def answer(platform, verdict, when):
    (episode,) = platform.episodes.find("too-hot")
    platform.clock.instant = when
    return give_feedback(platform, Feedback(episode.id, verdict, False, None, None, "ann", when))


def test_a_period_is_reported_once_it_is_closed_and_only_where_there_is_something_to_say(platform):
    assert issue_all(platform, at(WEEK - 1)) == []
    assert issue_all(platform, CLOSED) == ["report on too-hot, 2026-W02: /reports/too-hot:2026-W02"]
    (head,) = platform.reports.for_definition("too-hot")
    assert (head.start, head.end, head.key_metrics["episodes"]) == (at(0), at(WEEK), "1")
    assert [h.empty for h in platform.reports.for_definition("never-hot")] == [True]
    assert [h.definition for h in platform.reports.newest_reports(9)] == ["too-hot"]
    assert [issue_all(platform, when) for when in (CLOSED, at(WEEK + 3 * DAY))] == [[], []], (
        "nothing has changed"
    )
    assert len(platform.reports.for_definition("too-hot")) == 1


def test_a_period_waits_for_its_last_prediction_window_and_the_laboratory(platform):
    platform.assets.store_assets([oven(moisture=Variable(delay=timedelta(hours=6)))])
    predicted = {
        "problem": {"variable": "moisture", "above": 4.5, "for": "10m"},
        "horizon": "2h",
        "gap": "1h",
    }
    document = too_hot(name="lab", **predicted, schedule={"every": "1h"}, stale_after="3h")
    apply(platform, [document], "engineer", at(1), "test")
    # the end of the week, gap 1 h + horizon 2 h, held for 10 min, delay 6 h
    closes = WEEK + 9 * 60 + 10
    due = [due_reports(platform, at(closes + minute)) for minute in (-1, 1)]
    assert ["lab" in [one.definition for one in found] for found in due] == [False, True]


def test_recipients_get_each_report_once_with_a_picture(platform):
    issue_all(platform, CLOSED)
    announce_reports(platform, CLOSED)
    for minutes in (0, 5):
        deliver_due(platform, CLOSED + timedelta(minutes=minutes))
    (message,) = platform.channels["mail"].messages
    assert (message.key, message.subject, message.text.splitlines()[0]) == (
        "report:too-hot:2026-W02:mail",
        "Report 2026-W02: too-hot",
        platform.reports.get("too-hot:2026-W02").headline,
    )
    assert message.draw().png.startswith(b"\x89PNG")


def test_a_crash_after_the_notifications_announces_nothing_twice(platform, monkeypatch):
    issue_all(platform, at(WEEK - 1))
    for shard in range(16):
        make_due_reports(platform, shard, CLOSED, lambda _: None)
    monkeypatch.setattr(
        platform.reports, "mark_announced", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        announce_reports(platform, CLOSED)
    monkeypatch.undo()
    assert announce_reports(platform, CLOSED) == 0
    deliver_due(platform, CLOSED)
    assert len(platform.channels["mail"].messages) == 1


def test_a_report_that_fails_does_not_stop_the_others(platform, monkeypatch):
    document = too_hot(name="broken", schedule={"every": "1h"}, stale_after="3h")
    apply(platform, [document], "engineer", at(1), "test")
    gathered = make_reports.gather_material

    def gather(p, revision, *rest):
        if revision.name == "broken":
            raise ValueError("cannot be read")
        return gathered(p, revision, *rest)

    monkeypatch.setattr(make_reports, "gather_material", gather)
    failures = []
    for shard in range(16):
        try:
            make_due_reports(platform, shard, CLOSED, lambda _: None)
        except UserError as failure:
            failures.append(str(failure))
    (failure,) = failures
    assert "broken, 2026-W02: ValueError: cannot be read" in failure
    assert [head.id for head in platform.reports.for_definition("too-hot")] == ["too-hot:2026-W02"]
    monkeypatch.undo()
    assert [d.definition for d in due_reports(platform, CLOSED)] == ["broken"], (
        "it is tried again, the others are not"
    )
    (alert,) = platform.platform_alerts.open()
    assert (alert.kind, alert.subject) == ("report failed", "broken, 2026-W02")
    assert any("broken" in line for line in issue_all(platform, CLOSED + timedelta(minutes=10)))
    assert platform.platform_alerts.open() == []


def test_a_failed_report_is_tried_again_for_an_hour_and_then_once_a_day():
    runs = (timedelta(minutes=10 * n) for n in range(1, 3 * 144))
    tried = [run for run in runs if not waits_for_retry(CLOSED, CLOSED + run)]
    assert tried[:5] == [timedelta(minutes=10 * n) for n in range(1, 6)]
    assert tried[5:] == [timedelta(days=1), timedelta(days=2)]
    assert not waits_for_retry(None, CLOSED)


def test_a_correction_is_a_new_report_by_hand_beside_the_first_and_ends_a_failure(platform):
    week = read_period("2026-W02", platform.zone)
    assert_refused(
        "2026-W02 is closed at 2026-01-12", issue_by_hand, platform, "too-hot", week, at(WEEK - 60)
    )
    platform.platform_alerts.report(UNREPORTED, "too-hot, 2026-W02", "no such column", CLOSED)
    first = issue_by_hand(platform, "too-hot", week, CLOSED)
    assert (first.id, platform.platform_alerts.open()) == ("too-hot:2026-W02", [])
    page = platform.reports.page(first.id)
    answer(platform, "false_alarm", at(WEEK + 70))
    assert issue_all(platform, at(WEEK + 3 * DAY)) == [], "the report stays as it is"
    corrected = issue_by_hand(platform, "too-hot", week, at(WEEK + 71))
    assert corrected.id == "too-hot:2026-W02:20260112T011100Z"
    assert (first.key_metrics["false alarms"], corrected.key_metrics["false alarms"]) == ("0", "1")
    assert platform.reports.page(first.id) == page
    assert platform.reports.of_period("2026-W02")["too-hot"] == corrected
    assert [head.id for head in platform.reports.unannounced(9)] == [corrected.id]


def due_periods(platform, when, definition):
    return [one.period.name for one in due_reports(platform, when) if one.definition == definition]


def test_weeks_missed_while_nothing_ran_are_made_up_oldest_first(platform):
    live(platform, WEEK, 3 * WEEK)
    assert due_periods(platform, at(3 * WEEK + 60), "too-hot") == [
        "2026-W02",
        "2026-W03",
        "2026-W04",
    ]


def test_a_week_of_the_plants_zone_is_reported(platform):
    berlin = replace(platform, zone=ZoneInfo("Europe/Berlin"))
    issue_all(berlin, CLOSED)
    assert berlin.reports.get("too-hot:2026-W02").end == at(WEEK - 60)


def test_a_definition_retired_in_the_period_is_reported_and_a_draft_is_not(platform):
    retired = too_hot(state="retired", schedule={"every": "1h"})
    apply(platform, [retired], "engineer", at(5 * DAY), "no longer needed")
    apply(platform, [too_hot(name="draft", state="draft")], "engineer", at(0), "test")
    issue_all(platform, CLOSED)
    assert [len(platform.reports.for_definition(name)) for name in ("too-hot", "draft")] == [1, 0]
    due = [due_periods(platform, at(2 * WEEK + 60), name) for name in ("never-hot", "too-hot")]
    assert due == [["2026-W03"], []]


def test_the_test_period_that_the_newest_model_evaluated_is_reported_once_and_marked():
    platform = in_memory_platform()
    platform.assets.store_assets([oven()])
    apply(platform, [too_moist()], "engineer", at(9 * DAY), "test")
    said = []
    assert make_unseen_reports(platform, at(10 * DAY), said.append) == 0
    for version, day in ((1, 1), (2, 3), (2, 4)):
        past = PastEvaluation(
            "too-moist", "oven-1", at(day * DAY), at((day + 1) * DAY), 1, version, at(9 * DAY + day)
        )
        platform.past_evaluations.add(past)
    assert make_unseen_reports(platform, at(10 * DAY), said.append) == 1
    (head,) = platform.reports.for_definition("too-moist")
    about = head.start, head.end, head.unseen, head.period
    assert about == (at(3 * DAY), at(5 * DAY), True, None)
    assert "Test period of the training." in platform.reports.page(head.id)
    assert said == [f"report on too-moist, test period of its training: /reports/{head.id}"]
    assert make_unseen_reports(platform, at(11 * DAY), said.append) == 0


ALL_CLOSED = at(WEEK + 6 * 60)
EVERY_HOUR = {"every": "1h", "report": "week", "report_recipients": ["mail"]}


def reported(document=None, temperature=lambda minute: 200.0):
    """Return a platform after a week and the work of the DAG: the stored report, and that on the
    week also where there is nothing to say. Without a temperature there are no readings."""
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets([oven()])
    platform.assets.put_event_types([EventType(name="stop", duration="lasting")])
    platform.clock.instant = ALL_CLOSED
    apply(
        platform,
        [document | {"schedule": EVERY_HOUR, "notify": {"channels": []}}],
        "engineer",
        at(0),
        "test",
    )
    minutes = range(30, WEEK + 60, 60) if temperature else ()
    rows = [
        ReadingRow("oven-1", at(m), {"temperature": temperature(m), "moisture": 3.5})
        for m in minutes
    ]
    add_readings(platform, rows, at(WEEK))
    evaluate(platform, None, ALL_CLOSED)
    for shard in range(16):
        make_due_reports(platform, shard, ALL_CLOSED, lambda _: None)
    announce_reports(platform, ALL_CLOSED)
    (head,) = platform.reports.of_period("2026-W02").values()
    made = compose(platform, head.definition, read_period("2026-W02", platform.zone), ALL_CLOSED)
    assert len(made.content.page) < 60_000, "a short report"
    text = re.sub(
        r"\s+", " ", re.sub(r"<style.*?</style>|<[^>]+>", " ", made.content.page, flags=re.DOTALL)
    )
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
    assert len(platform.notifications.due(ALL_CLOSED, 9)) == 1


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
