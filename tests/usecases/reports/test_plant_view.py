"""The page of the plant: its figures are those of the reports, its proposals are answered."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.definitions.faults import Conflicting, NotFound, UserError
from alerting.episodes.episode import Feedback
from alerting.ports import AuditFilter, ReadingRow, ReportContent
from alerting.reporting.base.periods import PlantReportSettings, read_period
from alerting.reporting.plant.summary import summary_from_document
from alerting.usecases.definitions.sync import ChangedSince, apply
from alerting.usecases.evaluation.evaluate import evaluate, evaluate_past
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.routes import apply_routes
from alerting.usecases.operators.feedback import give_feedback
from alerting.usecases.reports.issue import compose, make_due_plant_reports, make_due_reports
from alerting.usecases.reports.offered import apply_offer, open_offers, refuse_offer
from alerting.usecases.reports.plant_view import read_plant
from alerting.usecases.reports.running import refresh_plant
from tests.builders import at, oven, too_hot
from tests.in_memory_platform import Mailbox, in_memory_platform

DAY = 24 * 60
WEEK = 7 * DAY
COSTS = {"currency": "EUR", "miss": 100, "false_alarm": 40}


def run(platform, start, end):
    """Store a reading each hour and evaluate; each day at noon it is too hot for an hour."""
    for minute in range(start, end, 60):
        temperature = 230.0 if minute % DAY == 720 else 200.0
        row = ReadingRow("oven-1", at(minute), {"temperature": temperature})
        add_readings(platform, [row], at(minute))
    platform.clock.instant = at(end)
    evaluate(platform, None, at(end))


@pytest.fixture
def platform():
    """Two weeks and three days of readings each hour, with an alarm a day."""
    made = in_memory_platform(Mailbox("mail"))
    made.assets.store_assets([oven()])
    document = too_hot(
        schedule={"every": "1h", "report": "week"},
        stale_after="3h",
        notify={"channels": []},
        costs=COSTS,
    )
    apply(made, [document], "engineer", at(0), "test")
    run(made, 0, 2 * WEEK + 3 * DAY)
    return made


def look(platform, when=None, at_once=False):
    """Do what the DAG does, and return the periods whose figures were computed."""
    told = []
    now = when or platform.clock.now()
    platform.clock.instant = now
    refresh_plant(platform, now, told.append, at_once=at_once)
    return [line.removeprefix("figures of the plant, ") for line in told]


def test_the_figures_of_a_running_week_are_those_that_its_report_will_have(platform):
    answers = (("false_alarm", False), ("false_alarm", False), ("true_alarm", True))
    of_week = platform.episodes.find("too-hot", start=at(WEEK), end=at(2 * WEEK))
    for episode, (verdict, acted) in zip(of_week, answers, strict=False):
        platform.clock.instant = episode.raised_at + timedelta(hours=3)
        answer = Feedback(episode.id, verdict, acted, None, None, "ann", platform.clock.now())
        give_feedback(platform, answer)
    look(platform, at(2 * WEEK - 1))
    running = read_plant(platform, "week", None).sums
    later = at(2 * WEEK + 60)
    platform.clock.instant = later
    for shard in range(16):
        make_due_reports(platform, shard, later, print)
    composed = compose(
        platform, None, read_period("2026-W03", platform.zone), later
    ).content.metrics
    totals = composed["totals"]
    assert running.alarms == totals["episodes"] == 7
    assert running.false_alarms == 2
    assert (running.problems, running.predicted, running.false_alarms, running.undetermined) == (
        totals["problems"],
        totals["announced"],
        totals["false_alarms"],
        totals["undetermined"],
    )
    (money,) = running.money
    (reported,) = composed["money"]
    assert vars(money.avoided) == reported["avoided"]
    assert vars(money.false_alarms) == reported["false_alarms"]
    assert vars(money.interventions) == reported["interventions"]


def test_figures_are_computed_again_at_the_same_instant_after_past_days_were_evaluated(platform):
    now = platform.clock.now()
    present = look(platform, now)[:3]
    assert look(platform, now, at_once=True) == present
    assert present[0] == "shift so far"


def test_the_evaluated_past_of_a_definition_stored_at_this_very_instant_counts():
    made = in_memory_platform(Mailbox("mail"))
    made.assets.store_assets([oven()])
    run(made, 0, 2 * DAY)
    now = made.clock.now()
    apply(made, [too_hot(stale_after="3h", notify={"channels": []})], "engineer", now, "test")
    evaluate_past(made, "too-hot", at(0), now, revision="latest")
    look(made, now, at_once=True)
    assert read_plant(made, "week", None).sums.alarms == 2


def test_a_closed_week_shows_the_figures_of_its_report(platform):
    now = platform.clock.now()
    for shard in range(16):
        make_due_reports(platform, shard, now, print)
    make_due_plant_reports(platform, now, print)
    view = read_plant(platform, "week", None)
    assert [week.period.name for week in view.weeks][-3:] == ["2026-W02", "2026-W03", "2026-W04"]
    reported = platform.reports.content("2026-W03").metrics
    shown = view.weeks[-2].sums
    assert (shown.alarms, shown.false_alarms) == (
        reported["totals"]["episodes"],
        reported["totals"]["false_alarms"],
    )
    assert view.weeks[-1].sums is None, "of the running week no figures are computed yet"
    assert len(view.weeks) == 12
    assert {*view.reports} == {None, "too-hot"}


def test_figures_are_computed_again_when_they_are_old_and_weeks_without_reports_once(platform):
    assert look(platform) == ["shift so far", "2026-W04 so far", "2026-01 so far"]
    now = platform.clock.now()
    assert look(platform) == []
    assert look(platform, now + timedelta(hours=3)) == ["shift so far", "2026-W04 so far"]
    assert look(platform, now + timedelta(hours=13)) == [
        "shift so far",
        "2026-W04 so far",
        "2026-01 so far",
    ]
    monthly = replace(platform, plant_report=PlantReportSettings("month"))
    assert look(monthly, now + timedelta(hours=14)) == [
        "shift so far",
        "2026-W03 so far",
        "2026-W02 so far",
    ]
    assert look(monthly, now + timedelta(hours=16)) == ["shift so far", "2026-W04 so far"]


def test_a_new_plant_is_looked_at_again_after_as_long_as_it_existed():
    new = in_memory_platform()
    new.assets.store_assets([oven()])
    apply(new, [too_hot()], "engineer", at(0), "test")
    week = "2026-W02 so far"
    seen = [minute for minute in range(10, 24 * 60, 10) if week in look(new, at(minute))]
    assert seen == [10, 30, 70, 150, 280, 410, 540, 670, 800, 930, 1060, 1190, 1320]


def test_the_shift_is_that_of_a_route_and_the_day_without_any(platform):
    look(platform)
    day = read_plant(platform, "shift", None)
    assert (day.sums.start, day.is_shift) == (at(2 * WEEK + 3 * DAY), False)
    hours = [{"from": "22:00", "to": "06:00"}, {"from": "06:00", "to": "22:00"}]
    apply_routes(platform, [{"name": "night", "channels": ["mail"], "shifts": hours}], "ann", at(0))
    assert read_plant(platform, "shift", None).sums is None, "of this shift none are computed"
    look(platform)
    shift = read_plant(platform, "shift", None)
    assert (shift.sums.start, shift.is_shift) == (at(2 * WEEK + 3 * DAY - 120), True)


def test_a_part_counts_the_definitions_of_which_every_asset_lies_in_it(platform):
    platform.assets.store_assets([oven().model_copy(update={"name": "oven-2"})])
    look(platform)
    assert read_plant(platform, "week", "oven-1").sums.alarms == 3
    other = read_plant(platform, "week", "oven-2")
    assert (other.sums.alarms, other.definitions) == (0, ())
    with pytest.raises(NotFound):
        read_plant(platform, "week", "oven-9")


def offer_limit(platform, false_alarms=9, weeks=4.0):
    """Store figures of January on which another limit is proposed."""
    (found,) = [r for r in platform.reports.for_definition(None) if r.period == "2026-01 so far"]
    stored = platform.reports.content(found.id).metrics
    numbers = stored["ranked"][0]["summary"]
    numbers |= {
        "hits": 1, "avoided": 0, "false_alarms": false_alarms, "weeks": weeks,
        "retune": {"field": "above", "present": 215.0, "value": 240.0, "false_alarms": false_alarms,
                   "false_alarms_then": 4, "right": 1, "right_then": 1, "total": 1},
    }  # fmt: skip
    assert summary_from_document(numbers)
    platform.reports.store_report(found, ReportContent(stored, ""))


@pytest.fixture
def offered(platform):
    look(platform)
    offer_limit(platform)
    return platform


def test_a_proposal_is_applied_as_a_change_of_its_definition(offered):
    (one,) = open_offers(offered, offered.clock.now()).items
    assert (one.offer.action, one.revision, one.offer.retune.value) == ("retune", 1, 240.0)
    with pytest.raises(ChangedSince):
        apply_offer(offered, "too-hot", "retune", 7, "ann", at(0), "")
    apply_offer(offered, "too-hot", "retune", 1, "ann", at(0), "too many")
    newest = offered.definitions.newest_revision("too-hot")
    assert (newest.number, newest.author, newest.reason) == (2, "ann", "too many")
    assert newest.definition.above == 240.0
    (entry,) = offered.audit.find(AuditFilter(what="proposal applied"), 9)
    assert (entry.actor, entry.subject, entry.why) == ("ann", "too-hot", "too many")
    assert open_offers(offered, offered.clock.now()).items == ()
    with pytest.raises(Conflicting):
        apply_offer(offered, "too-hot", "retune", 2, "ann", at(0), "")


def test_a_refused_proposal_comes_again_only_when_its_figures_have_changed(offered):
    with pytest.raises(UserError, match="say why"):
        refuse_offer(offered, "too-hot", "retune", "ann", "  ")
    refuse_offer(offered, "too-hot", "retune", "ann", "the sensor was faulty")
    now = offered.clock.now()
    assert open_offers(offered, now).items == ()
    offer_limit(offered, false_alarms=12)
    assert open_offers(offered, now).items == ()
    offer_limit(offered, false_alarms=40)
    assert len(open_offers(offered, now).items) == 1


def test_a_definition_that_was_changed_in_the_month_waits_for_the_next(offered):
    apply(offered, [too_hot(above=216)], "ann", at(WEEK), "changed by hand")
    assert open_offers(offered, offered.clock.now()).items == ()
