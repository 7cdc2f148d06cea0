"""What is old is deleted once, and what something in use needs stays although it is old."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.definitions.platform_limits import Retention
from alerting.ports import DecisionRecord, PastEvaluation, ReadingRow, Score, TargetScores
from alerting.usecases.data_upkeep import retain
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at, oven, too_hot, too_moist
from tests.helpers.ovens import ovens
from tests.helpers.reports import store_report
from tests.in_memory_platform import HandClock, Mailbox, platform_on

pytestmark = pytest.mark.models
DAYS = 200
DAY = 24 * 60
NOW = at(DAYS * DAY)


@pytest.fixture
def platform(real):
    made = platform_on(real, [], HandClock(NOW))
    made = replace(made, retention=Retention(readings=timedelta(days=50)))
    made.assets.store_assets([oven()])
    return made


def live(platform, *hot):
    """A reading a day of oven-1, and of these assets, which are hot from day 100 on."""
    for day in range(DAYS):
        values = {"oven-1": 200.0} | dict.fromkeys(hot, 230.0 if day >= 100 else 200.0)
        ts = at(day * DAY)
        rows = [ReadingRow(asset, ts, {"temperature": value}) for asset, value in values.items()]
        add_readings(platform, rows, ts + timedelta(minutes=1))


def oldest(platform, asset="oven-1"):
    return (platform.readings.span(asset)[0] - at(0)) // timedelta(days=1)


def oldest_left(platform):
    retain(platform, NOW)
    return oldest(platform)


def test_old_readings_go_also_those_of_an_asset_that_is_no_longer_defined(platform):
    live(platform)
    assert oldest_left(platform) == DAYS - 50
    # as an engineer does in MongoDB: the platform itself deletes no asset
    platform.assets._documents.delete_many({})
    add_readings(platform, [ReadingRow("oven-1", at(DAY), {"temperature": 200.0})], at(DAY))
    assert platform.assets.all() == []
    assert oldest_left(platform) == DAYS - 50


def test_readings_of_a_training_period_with_a_date_stay_while_its_definition_is_in_service(
    platform,
):
    live(platform)
    dated = too_moist(periods={"start": at(100 * DAY).isoformat()})
    apply(platform, [dated], "engineer", NOW, "test")
    assert oldest_left(platform) == 100
    apply(platform, [dated | {"state": "retired"}], "engineer", NOW, "test")
    assert oldest_left(platform) == DAYS - 50


def test_an_imported_history_stays_as_long_after_its_import(platform):
    rows = [ReadingRow("oven-1", at(day * DAY), {"temperature": 200.0}) for day in range(DAYS)]
    add_readings(platform, rows, at((DAYS - 10) * DAY))
    assert oldest_left(platform) == 0


class Registry:
    """Versions 1 to 3: one serves, one is a challenger. Records which are to be kept."""

    def __init__(self):
        self.kept = []

    def aliases(self, definition):
        return {"champion": 1, "challenger": 3}

    def forget(self, definition, keep, before, *, dry):
        self.kept.append((definition, sorted(keep), before))
        return []


def fill(platform):
    """Of each kind one document of day 10 and one of day 190."""
    for day in (10, 190):
        then = at(day * DAY)
        since = then - timedelta(days=70)
        past = PastEvaluation("too-moist", "oven-1", since, then, 1, 1, then)
        platform.past_evaluations.add(past)
        times = {"start": since, "end": then, "as_of": then}
        store_report(platform, definition="too-moist", period=f"day {day}", **times)
        platform.backtests.begin(f"b{day}", {"definition": "too-moist", "begun_at": then})
        platform.platform_alerts.report("odd", f"day {day}", "it is odd", since)
        platform.platform_alerts.resolve("odd", f"day {day}", then)
        platform.audit.add("ann", "looked", f"day {day}", then)
        promoted = (
            1 if day == 10 else 2,
            None,
            day == 10,
            False,
            "promote",
            "",
            {},
            f"run-{day}",
            "platform",
        )
        platform.decisions.add(DecisionRecord("too-moist", then, 1, *promoted))
    scores = [Score(at(day * DAY), 0.1, 0.5, 1) for day in range(DAYS)]
    platform.scores.add_many([TargetScores("too-moist", "oven-1", scores)])


def test_of_each_kind_what_is_old_goes_once_and_what_is_open_or_served_needs_stays(real):
    models = Registry()
    lasts = Retention(**dict.fromkeys(vars(Retention()), timedelta(days=50)))
    platform = platform_on(real, [Mailbox("mail")], HandClock(at(0)))
    platform = replace(platform, retention=lasts, models=models)
    platform.assets.store_assets(ovens(2))
    documents = [too_hot(assets=["oven-*"], stale_after="5d"), too_moist(state="draft")]
    apply(platform, documents, "engineer", at(95 * DAY), "test")
    live(platform, "oven-2")
    fill(platform)
    platform.clock.instant = NOW
    evaluate(platform, None, NOW)
    [open_since] = [episode.raised_at for episode in platform.episodes.find(open_only=True)]
    planned, done, again = (
        {one.kind: one.documents for one in retain(platform, NOW, dry=dry)}
        for dry in (True, False, False)
    )
    assert open_since == at(100 * DAY)
    assert planned == done
    assert sum(again.values()) == 0
    assert done == {
        "readings": 150 + 70,  # oven-2 is open since 100, and what came 30 days before is read
        "scores": 120,  # the past was evaluated again from there on
        "notifications": 0,
        "audit": 3,  # with the two definitions
        "platform_alerts": 1,
        "reports": 1,
        "backtests": 1,
        "past_evaluations": 1,
    }
    assert (oldest(platform), oldest(platform, "oven-2")) == (DAYS - 50, 70)
    assert set(map(str, models.kept)) == {str(("too-moist", [1, 3], NOW - timedelta(days=50)))}
