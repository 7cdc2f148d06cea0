"""The life of a report: closed periods, revisions after late answers and data, announcements."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from alerting.definitions.faults import UserError
from alerting.episodes.episode import Feedback
from alerting.ports import ReadingRow
from alerting.reporting.life.page import ReportLife
from alerting.reporting.life.periods import read_period
from alerting.reporting.life.settings import PlantReportSettings
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.operators.feedback import give_feedback
from alerting.usecases.operators.misses import report_miss
from alerting.usecases.operators.operate import Actor
from alerting.usecases.reports import plant
from alerting.usecases.reports.announce import announce_reports
from alerting.usecases.reports.attempts import Attempts
from alerting.usecases.reports.due import DueReport, due_reports
from alerting.usecases.reports.issue import (
    compose,
    create_again,
    issue_by_hand,
    make_due_plant_reports,
    make_due_reports,
)
from alerting.usecases.upkeep.maintain import maintain
from tests.builders import at, oven, too_hot
from tests.in_memory_platform import Mailbox, in_memory_platform

DAY = 24 * 60
WEEK = 7 * DAY
CLOSED = at(WEEK + 60)  # of 2026-W02, from Monday, 5 January
ANN = Actor("ann", "operator")


@pytest.fixture
def mail():
    return Mailbox("mail")


@pytest.fixture
def platform(mail):
    """A week of readings each hour; on Tuesday it is too hot for two hours."""
    made = replace(
        in_memory_platform(mail, Mailbox("boss")),
        plant_report=PlantReportSettings("week", ("boss",)),
    )
    made.assets.store_assets([oven()])
    schedule = {"every": "1h", "report": "week", "report_recipients": ["mail"]}
    documents = [
        too_hot(schedule=schedule, stale_after="3h", notify={"channels": []}),
        too_hot(
            name="never-hot",
            above=500,
            schedule=schedule,
            stale_after="3h",
            notify={"channels": []},
        ),
    ]
    apply(made, documents, "engineer", at(0), "test")
    live(made, 0, WEEK)
    return made


def live(platform, start, end, late=()):
    for hour in range(start, end, 60):
        minute = hour + 30
        temperature = 230.0 if DAY + 600 <= minute < DAY + 720 else 200.0
        if minute not in late:
            add_readings(
                platform,
                [ReadingRow("oven-1", at(minute), {"temperature": temperature})],
                at(minute),
            )
    platform.clock.instant = at(end)
    evaluate(platform, None, at(end))


def issue_all(platform, when):
    """Do what the DAG does; return what it says."""
    said = []
    platform.clock.instant = when
    for shard in range(16):
        make_due_reports(platform, shard, when, said.append)
    make_due_plant_reports(platform, when, said.append)
    announce_reports(platform, when)
    return said


def answer(platform, verdict, when):
    (episode,) = platform.episodes.find("too-hot")
    platform.clock.instant = when
    return give_feedback(platform, Feedback(episode.id, verdict, False, None, None, "ann", when))


def ids(platform, definition="too-hot"):
    return [head.id for head in platform.reports.for_definition(definition)]


def test_a_period_is_reported_once_it_is_closed_and_only_where_there_is_something_to_say(platform):
    assert issue_all(platform, at(WEEK - 1)) == []
    said = issue_all(platform, CLOSED)
    assert said == [
        "report on too-hot, 2026-W02, revision 1: /reports/too-hot:2026-W02:1",
        "report on the plant, 2026-W02, revision 1: /reports/2026-W02:1",
    ]
    (head,) = platform.reports.for_definition("too-hot")
    assert (head.start, head.end, head.key_metrics["episodes"]) == (at(0), at(WEEK), "1")
    assert [h.revision for h in platform.reports.for_definition("never-hot")] == [0]
    assert [h.definition for h in platform.reports.newest_reports(9)] == ["too-hot", None]
    assert issue_all(platform, CLOSED) == []
    assert issue_all(platform, at(WEEK + 3 * DAY)) == [], "nothing has changed"
    assert len(platform.reports.for_definition("too-hot")) == 1


def test_a_period_waits_for_its_last_prediction_window_and_the_laboratory(platform):
    moist = oven().model_copy(update={"name": "oven-1"})
    variables = {
        **moist.variables,
        "moisture": moist.variables["temperature"].model_copy(update={"delay": timedelta(hours=6)}),
    }
    platform.assets.store_assets([moist.model_copy(update={"variables": variables})])
    problem = {"variable": "moisture", "above": 4.5, "for": "10m"}
    document = too_hot(
        name="lab",
        problem=problem,
        horizon="2h",
        gap="1h",
        schedule={"every": "1h"},
        stale_after="3h",
    )
    apply(platform, [document], "engineer", at(1), "test")
    # the end of the week, gap 1 h + horizon 2 h, held for 10 min, delay 6 h
    closes = WEEK + 9 * 60 + 10
    assert "lab" not in [d.definition for d in due_reports(platform, at(closes - 1))]
    assert "lab" in [d.definition for d in due_reports(platform, at(closes + 1))]


def test_laboratory_takes_two_months_delays_its_reports_and_plant_reports_them_in_later_revision(
    platform,
):
    slow = oven()
    variables = {
        **slow.variables,
        "moisture": slow.variables["temperature"].model_copy(update={"delay": timedelta(days=60)}),
    }
    platform.assets.store_assets([slow.model_copy(update={"variables": variables})])
    problem = {"variable": "moisture", "above": 4.5}
    apply(
        platform,
        [too_hot(name="lab", problem=problem, schedule={"every": "1h"})],
        "engineer",
        at(0),
        "test",
    )
    said = issue_all(platform, at(WEEK + 8 * DAY))
    assert "report on the plant, 2026-W02, revision 1: /reports/2026-W02:1" in said
    assert platform.reports.for_definition("lab") == []
    said = issue_all(platform, at(WEEK + 61 * DAY))
    assert "report on lab, 2026-W02, revision 1: /reports/lab:2026-W02:1" in said
    assert "report on the plant, 2026-W02, revision 2: /reports/2026-W02:2" in said


def test_late_answers_of_a_day_make_one_revision_with_the_differences_and_earlier_ones_stay(
    platform,
):
    issue_all(platform, CLOSED)
    first = platform.reports.page("too-hot:2026-W02:1")
    answer(platform, "false_alarm", at(WEEK + 300))
    assert issue_all(platform, at(WEEK + 310)) == [], "the answers of a day make one revision"
    said = issue_all(platform, at(WEEK + 60 + DAY))
    assert [line.split(":")[0] for line in said] == [
        "report on too-hot, 2026-W02, revision 2",
        "report on the plant, 2026-W02, revision 2",
    ]
    second = platform.reports.get("too-hot:2026-W02:2")
    changed = {d.metric: (d.before, d.after, d.why) for d in second.differences}
    why = "1 answer late; 1 outcome became known"
    assert changed["false alarms"] == ("0", "1", why)
    assert changed["undetermined"] == ("1", "0", why)
    assert "Revision 2: what changed" in platform.reports.page(second.id)
    assert platform.reports.page("too-hot:2026-W02:1") == first
    assert issue_all(platform, at(WEEK + 60 + 3 * DAY)) == []


def test_a_change_that_changes_no_figure_makes_no_revision_and_is_not_looked_at_again(platform):
    issue_all(platform, CLOSED)
    (episode,) = platform.episodes.find("too-hot")
    platform.episodes.replace(replace(episode, version=episode.version + 1))
    later = at(WEEK + 60 + DAY)
    assert [d.definition for d in due_reports(platform, later)] == ["too-hot"]
    assert issue_all(platform, later) == []
    assert due_reports(platform, later + timedelta(days=2)) == []
    assert ids(platform) == ["too-hot:2026-W02:1"]


def test_late_data_make_a_revision(platform):
    issue_all(platform, CLOSED)
    late = [ReadingRow("oven-1", at(WEEK - 75), {"temperature": 240.0})]
    platform.clock.instant = at(WEEK + 90)
    add_readings(platform, late, at(WEEK + 90))
    evaluate(platform, None, at(WEEK + 100))
    said = issue_all(platform, at(WEEK + 120 + DAY))
    assert said[0].startswith("report on too-hot, 2026-W02, revision 2")
    second = platform.reports.get("too-hot:2026-W02:2")
    assert {d.metric: d.after for d in second.differences}["episodes"] == "2"
    assert "1 episode found in late data" in second.differences[0].why


def test_a_reported_miss_makes_a_revision_and_gives_a_silent_definition_a_report(platform):
    issue_all(platform, CLOSED)
    report_miss(platform, "never-hot", "oven-1", at(3 * DAY), "smoke", ANN, at(WEEK + 200))
    said = issue_all(platform, at(WEEK + 60 + DAY))
    assert said[0] == "report on never-hot, 2026-W02, revision 1: /reports/never-hot:2026-W02:1"
    metrics = platform.reports.content("never-hot:2026-W02:1").metrics
    assert [(p["asset"], p["episode"]) for p in metrics["problems"]] == [("oven-1", None)]
    assert metrics["reported_misses"][0]["comment"] == "smoke"


def test_after_the_look_back_a_report_stays_as_it_is(platform):
    issue_all(platform, CLOSED)
    answer(platform, "false_alarm", at(WEEK + 40 * DAY))
    assert not any("2026-W02" in line for line in issue_all(platform, at(WEEK + 41 * DAY)))


def test_recipients_get_each_revision_once_with_the_differences_and_a_picture(platform, mail):
    issue_all(platform, CLOSED)
    announce_reports(platform, CLOSED)
    deliver_due(platform, CLOSED)
    deliver_due(platform, CLOSED + timedelta(minutes=5))
    (message,) = mail.messages
    assert (message.key, message.subject) == (
        "report:too-hot:2026-W02:1:mail",
        "Report 2026-W02: too-hot",
    )
    assert message.text.splitlines()[0] == platform.reports.get("too-hot:2026-W02:1").headline
    assert message.draw().png.startswith(b"\x89PNG")
    assert [m.key for m in platform.channels["boss"].messages] == ["report:2026-W02:1:boss"]
    assert platform.channels["boss"].messages[0].subject == "Report 2026-W02: The plant"
    answer(platform, "true_alarm", at(WEEK + 300))
    issue_all(platform, at(WEEK + 60 + DAY))
    deliver_due(platform, at(WEEK + 61 + DAY))
    assert mail.messages[1].subject == "Report 2026-W02: too-hot, revision 2"
    assert "- right: 0 → 1 (1 answer late; 1 outcome became known)" in mail.messages[1].text


def test_a_report_whose_definition_cannot_be_read_now_is_told_when_it_can_again(
    platform, mail, monkeypatch
):
    for shard in range(16):
        make_due_reports(platform, shard, CLOSED, lambda _: None)
    with monkeypatch.context() as faulty:
        faulty.setattr(platform.definitions, "latest_revisions", lambda *_: [])
        assert announce_reports(platform, CLOSED) == 0
    announce_reports(platform, CLOSED)
    deliver_due(platform, CLOSED)
    assert [m.subject for m in mail.messages] == ["Report 2026-W02: too-hot"]


def test_a_report_whose_definition_is_gone_waits_no_longer_than_it_could_be_made_again(
    platform, monkeypatch
):
    for shard in range(16):
        make_due_reports(platform, shard, CLOSED, lambda _: None)
    monkeypatch.setattr(platform.definitions, "latest_revisions", lambda *_: [])
    announce_reports(platform, CLOSED + timedelta(days=36))
    assert platform.reports.unannounced(9) == []


def test_a_crash_after_the_notifications_announces_nothing_twice(platform, mail, monkeypatch):
    issue_all(platform, at(WEEK - 1))
    for shard in range(16):
        make_due_reports(platform, shard, CLOSED, lambda _: None)
    monkeypatch.setattr(
        platform.reports, "record", lambda *args, **given: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        announce_reports(platform, CLOSED)
    monkeypatch.undo()
    assert announce_reports(platform, CLOSED) == 0
    deliver_due(platform, CLOSED)
    assert len(mail.messages) == 1


def test_a_report_that_fails_does_not_stop_the_others(platform, monkeypatch):
    apply(
        platform,
        [too_hot(name="broken", schedule={"every": "1h"}, stale_after="3h")],
        "engineer",
        at(1),
        "test",
    )
    from alerting.usecases.reports import make

    def gather(p, revision, *rest):
        if revision.name == "broken":
            raise ValueError("cannot be read")
        return gathered(p, revision, *rest)

    gathered = make.gather_material
    monkeypatch.setattr(make, "gather_material", gather)
    failures = []
    for shard in range(16):
        try:
            make_due_reports(platform, shard, CLOSED, lambda _: None)
        except UserError as failure:
            failures.append(str(failure))
    assert len(failures) == 1
    assert "broken, 2026-W02: ValueError: cannot be read" in failures[0]
    assert ids(platform) == ["too-hot:2026-W02:1"]
    monkeypatch.undo()
    assert [d.definition for d in due_reports(platform, CLOSED)] == ["broken"], (
        "it is tried again, the others are not"
    )
    (alert,) = platform.platform_alerts.open()
    assert (alert.kind, alert.subject) == ("report failed", "broken, 2026-W02")
    assert not any(
        "broken" in line for line in issue_all(platform, CLOSED + timedelta(minutes=5))
    ), "not in the next run"
    assert any("broken" in line for line in issue_all(platform, CLOSED + timedelta(minutes=10)))
    assert platform.platform_alerts.open() == []


def test_a_report_is_created_again_by_its_id_byte_for_byte_also_after_a_later_answer(platform):
    answer(platform, "true_alarm", at(WEEK + 1))
    issue_all(platform, CLOSED)
    answer(platform, "false_alarm", at(WEEK + 300))
    for id in ("too-hot:2026-W02:1", "2026-W02:1"):
        head, made = create_again(platform, id)
        assert made.content.page == platform.reports.page(head.id)
    with pytest.raises(UserError, match="there is no report 'nope'"):
        create_again(platform, "nope")


def test_an_open_period_is_not_issued_by_hand_and_a_closed_one_at_once(platform):
    week = read_period("2026-W02", platform.zone)
    with pytest.raises(UserError, match="2026-W02 is closed at 2026-01-12"):
        issue_by_hand(platform, "too-hot", week, at(WEEK - 60))
    assert issue_by_hand(platform, "too-hot", week, CLOSED).id == "too-hot:2026-W02:1"
    answer(platform, "false_alarm", at(WEEK + 70))
    assert issue_by_hand(platform, "too-hot", week, at(WEEK + 71)).id == "too-hot:2026-W02:2"
    assert issue_by_hand(platform, "too-hot", week, at(WEEK + 72)).id == "too-hot:2026-W02:2"
    assert issue_by_hand(platform, None, week, at(WEEK + 73)).id == "2026-W02:1"


def test_a_report_that_failed_and_is_issued_by_hand_is_no_platform_alert_any_more(platform):
    week = read_period("2026-W02", platform.zone)
    for name in ("too-hot", None):
        Attempts(platform, CLOSED).failed(
            DueReport(name, week, None, ""), ValueError("no such column")
        )
    issue_by_hand(platform, "too-hot", week, at(WEEK + 70))
    assert [alert.subject for alert in platform.platform_alerts.open()] == ["the plant, 2026-W02"]
    issue_by_hand(platform, None, week, at(WEEK + 71))
    assert platform.platform_alerts.open() == []


def test_weeks_missed_while_nothing_ran_are_made_up_oldest_first(platform):
    live(platform, WEEK, 3 * WEEK)
    said = issue_all(platform, at(3 * WEEK + 60))
    assert [line.split(",")[1] for line in said if "plant" in line] == [
        " 2026-W02",
        " 2026-W03",
        " 2026-W04",
    ]


def test_plants_report_counts_definition_once_whose_period_has_changed_compares_all_definitions(
    platform,
):
    issue_all(platform, CLOSED)
    changed = too_hot(
        schedule={"every": "1h", "report": "month"}, stale_after="3h", notify={"channels": []}
    )
    apply(platform, [changed], "engineer", at(WEEK + 90), "test")
    answer(platform, "false_alarm", at(WEEK + 95))
    issue_all(platform, at(WEEK + 60 + DAY))
    week = compose(
        platform, None, read_period("2026-W02", platform.zone), at(WEEK + 2 * DAY), ReportLife()
    )
    assert week.content.metrics["totals"]["episodes"] == 1
    live(platform, WEEK, 2 * WEEK)
    following = compose(
        platform, None, read_period("2026-W03", platform.zone), at(2 * WEEK + 60), ReportLife()
    )
    assert following.content.metrics["previous"]["episodes"] == 1


def test_a_definition_whose_figures_cannot_be_computed_does_not_stop_the_plants_report(
    platform, monkeypatch
):
    for name in ("monthly", "broken"):
        schedule = {"every": "1h", "report": "month"}
        apply(
            platform,
            [too_hot(name=name, schedule=schedule, notify={"channels": []})],
            "engineer",
            at(0),
            "test",
        )
    find_summary = plant.find_summary

    def fails_for_one(platform, revision, *others):
        if revision.name == "broken":
            raise ValueError("no such column")
        return find_summary(platform, revision, *others)

    monkeypatch.setattr(plant, "find_summary", fails_for_one)
    assert any("the plant, 2026-W02, revision 1" in line for line in issue_all(platform, CLOSED))
    page = platform.reports.page("2026-W02:1")
    assert "Not counted, because their figures could not be computed: broken." in page


def test_a_week_of_the_plants_zone_is_reported(platform):
    berlin = replace(platform, zone=ZoneInfo("Europe/Berlin"))
    issue_all(berlin, CLOSED)
    assert berlin.reports.get("too-hot:2026-W02:1").end == at(WEEK - 60)


def test_a_definition_retired_in_the_period_is_reported_and_a_draft_is_not(platform):
    apply(
        platform,
        [too_hot(state="retired", schedule={"every": "1h"})],
        "engineer",
        at(5 * DAY),
        "no longer needed",
    )
    apply(platform, [too_hot(name="draft", state="draft")], "engineer", at(0), "test")
    issue_all(platform, CLOSED)
    assert len(platform.reports.for_definition("too-hot")) == 1
    assert platform.reports.for_definition("draft") == []
    assert [
        d.definition
        for d in due_reports(platform, at(2 * WEEK + 60))
        if d.period.name == "2026-W03"
    ] == ["never-hot"]


def test_a_period_without_data_gives_a_short_report_that_says_so(mail):
    empty = in_memory_platform(mail)
    empty.assets.store_assets([oven()])
    apply(empty, [too_hot(schedule={"every": "1h"})], "engineer", at(0), "test")
    said = issue_all(empty, CLOSED)
    assert len(said) == 2
    assert "the alert was not evaluated" in empty.reports.page(
        "too-hot:2026-W02:1"
    ) or "No instant was evaluated" in (empty.reports.page("too-hot:2026-W02:1"))
    maintain(empty, CLOSED)


def test_a_plant_without_definitions_has_no_report(mail):
    assert issue_all(in_memory_platform(mail), CLOSED) == []
