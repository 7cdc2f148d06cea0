"""A simulated year of a small plant, on a real database and a real registry: what is deleted by age
stays bounded."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alerting.adapters.mlflow.mlflow_registry import MlflowModels
from alerting.definitions.upkeep import Retention
from alerting.ports import DecisionRecord, PastEvaluation, ReadingRow, Score
from alerting.readings.instants import whole_millis
from alerting.settings.environment import Settings
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.registry.registration import register_model
from alerting.usecases.upkeep.maintain import maintain
from alerting.usecases.upkeep.retention import retain
from tests.builders import oven, too_hot, too_moist
from tests.helpers.reports import store_report
from tests.in_memory_platform import HandClock, Mailbox, platform_on

pytestmark = pytest.mark.models
WEEKS = 52
HALF = 26
WEEK = timedelta(days=7)
HOUR = timedelta(hours=1)
SHORT = Retention(**dict.fromkeys(vars(Retention()), timedelta(days=60)))
BOUNDED = (
    "readings",
    "scores",
    "notifications",
    "audit",
    "platform_alerts",
    "reports",
    "backtests",
    "past_evaluations",
)
STUCK = 20  # week from which oven-2 stays too hot
NAME = "too-moist"


@pytest.fixture
def year(real, tmp_path):
    """The plant, a platform on it, and the instant at which its year begins. The registry uses real
    time: the year begins now."""
    home = Settings(home=tmp_path)
    home.mlflow_artifacts.mkdir(parents=True)
    start = whole_millis(datetime.now(UTC))
    clock = HandClock()
    clock.instant = start
    platform = platform_on(real, [Mailbox("mail")], clock)
    models = MlflowModels(home.mlflow_database, home.mlflow_artifacts)
    platform = replace(platform, runs=models, models=models, retention=SHORT)
    platform.assets.store_assets([oven(), oven().model_copy(update={"name": "oven-2"})])
    documents = [too_hot(assets=["oven-*"], stale_after="5h"), too_moist(state="draft")]
    apply(platform, documents, "engineer", start, "test")
    return platform, start


def temperature(asset, week, hour):
    return 230.0 if hour % 42 == 9 or (asset == "oven-2" and week >= STUCK) else 200.0


def live_a_week(platform, start, week):
    since = start + week * WEEK
    now = start + (week + 1) * WEEK
    for half in range(2):
        hours = range(84 * half, 84 * (half + 1), 3)
        rows = [
            ReadingRow(asset, since + hour * HOUR, {"temperature": temperature(asset, week, hour)})
            for hour in hours
            for asset in ("oven-1", "oven-2")
        ]
        platform.clock.instant = since + 84 * (half + 1) * HOUR
        add_readings(platform, rows, platform.clock.instant)
        evaluate(platform, None, platform.clock.instant)
        deliver_due(platform, platform.clock.instant)
    platform.scores.add(
        NAME, "oven-1", [Score(since + hour * HOUR, 0.1, 0.5, 1) for hour in range(168)]
    )
    platform.past_evaluations.add(PastEvaluation(NAME, "oven-1", since, now, 1, 1, now))
    store_report(
        platform,
        "<p>page</p>" * 1_000,
        definition=NAME,
        period=f"week {week}",
        start=since,
        end=now,
        as_of=now,
    )
    platform.backtests.begin(f"b{week}", {"definition": NAME, "begun_at": now})
    platform.platform_alerts.report("odd", f"week {week}", "it is odd", since)
    platform.platform_alerts.resolve("odd", f"week {week}", now)
    platform.audit.add("ann", "looked", f"week {week}", now)
    if week % 2 == 0:
        train_in_vain(platform, week, now)
    maintain(platform, now)


def train_in_vain(platform, week, now):
    """Register a challenger; every tenth one is promoted."""
    run = platform.runs.start_run(NAME, f"week {week}", {"definition": NAME})
    search = platform.runs.start_run(NAME, "persistence", {"family": "persistence"}, parent=run)
    for one in (run, search):
        platform.runs.log(one, files={"rows.bin": bytes(20_000)}, folder="dataset")
        platform.runs.finish(one)
    version = register_model(
        platform, NAME, run, {"model.txt": bytes(5_000)}, {"training_run": run}, {}
    )
    promoted = week % 10 == 0
    verdict = "promote" if promoted else "keep"
    made = DecisionRecord(
        NAME, now, 1, version, None, promoted, False, verdict, "because", {}, run, "platform"
    )
    platform.decisions.add(made, week // 10 + 1 if promoted else None)
    platform.models.set_alias(
        NAME, "champion", version if promoted else platform.models.alias(NAME, "champion")
    )


def counts(stores):
    return {name: stores.database[name].count_documents({}) for name in BOUNDED}


@pytest.mark.night
def test_after_half_a_year_nothing_that_has_a_retention_grows(year, real):
    platform, start = year
    for week in range(WEEKS):
        live_a_week(platform, start, week)
        now = start + (week + 1) * WEEK
        if week in (HALF, WEEKS - 1):
            planned = {s.what: s.documents for s in retain(platform, now, dry=True)}
        done = {s.what: s.documents for s in retain(platform, now)}
        if week in (HALF, WEEKS - 1):
            assert planned == done
            assert planned["readings"] > 0
            assert sum(s.documents for s in retain(platform, now)) == 0  # nothing is left to delete
        if week == HALF:
            halfway = counts(real)
            versions = platform.models.versions(NAME)
            held = of_oven_2(platform)
    grown = {
        name: count - halfway[name] for name, count in counts(real).items() if count > halfway[name]
    }
    assert set(grown) <= {"readings"}  # of oven-2, whose alert is open
    assert grown["readings"] == of_oven_2(platform) - held
    [stuck] = platform.episodes.find(open_only=True)
    first = platform.readings.span("oven-2")[0]
    # some came half a week later
    assert stuck.raised_at - timedelta(days=34) <= first <= stuck.raised_at - timedelta(days=30)
    assert now - platform.readings.span("oven-1")[0] <= timedelta(days=64)
    served = [d.challenger_version for d in platform.decisions.for_definition(NAME) if d.promoted]
    # for rollback, and for the evaluation of the past
    assert set(served) <= set(platform.models.versions(NAME))
    # those that were promoted meanwhile
    assert len(platform.models.versions(NAME)) <= len(versions) + 3
    assert all(platform.models.model_files(NAME, version) for version in served)
    assert len(platform.episodes.find()) > 100  # the record of what was raised stays
    was_sent = {message.key for message in platform.channels["mail"].messages}
    deliver_due(platform, now)
    assert {message.key for message in platform.channels["mail"].messages} == was_sent
    assert len(platform.channels["mail"].messages) == len(was_sent)


def of_oven_2(platform):
    return len(platform.readings.load(platform.assets.get("oven-2"), None, None).readings)
