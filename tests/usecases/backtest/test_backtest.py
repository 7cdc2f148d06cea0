"""Backtests: their periods, segments and sandbox; a threshold definition over its past: what is
raised, kept, gone on with, and left alone."""

from dataclasses import fields, replace
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from alerting.adapters.mlflow.file_cache import FolderFileCache
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import language
from alerting.learning.score_metrics import EventMetrics
from alerting.ports import NoDocuments, ReadingRow, SandboxPorts, WantedHistory
from alerting.readings.history import to_millis
from alerting.reporting.episode_details import Cost
from alerting.usecases.backtest.backtest import (
    backtest,
    cost_of,
    find_period,
    named_subject,
    run_id,
    segment_starts,
    written_subject,
)
from alerting.usecases.backtest.sandbox import Sandbox, restore
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at, classifier, history, oven, revision, threshold, too_hot, too_moist
from tests.frame_readings import FrameReadings
from tests.helpers.episodes import closed, episode
from tests.helpers.stores import contents, real  # noqa: F401 - a fixture
from tests.in_memory_platform import HandClock, Mailbox, in_memory_platform, platform_on

DAY = 24 * 60
DAYS = 16
DOCUMENT = too_hot(
    **{"for": "7m"},
    clear_for="3m",
    stale_after="20m",
    problem={"variable": "moisture", "above": 4.5},
    horizon="2h",
)


def plant(minutes=(0, 60, 12 * DAY), now=DAYS * DAY, readings=None):
    frame = readings or history(list(minutes), temperature=[200.0, 230.0, 200.0])
    platform = replace(in_memory_platform(Mailbox("mail")), readings=FrameReadings(frame))
    platform.assets.store_assets([oven()])
    platform.clock.instant = at(now)
    return platform


def test_another_definition_stretch_or_cadence_is_another_run():
    platform = plant()
    subject = written_subject(platform, too_hot())
    other = written_subject(platform, too_hot(above=216))
    none = timedelta(0)
    ids = {
        run_id(subject, at(0), at(DAY), "scheduled", none),
        run_id(other, at(0), at(DAY), "scheduled", none),
        run_id(subject, at(1), at(DAY), "scheduled", none),
        run_id(subject, at(0), at(DAY + 1), "scheduled", none),
        run_id(subject, at(0), at(DAY), "never", none),
        run_id(subject, at(0), at(DAY), timedelta(days=7), none),
        run_id(subject, at(0), at(DAY), "scheduled", timedelta(seconds=10)),
    }
    assert len(ids) == 7


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (3, 2, "must lie before"),
        (3, 17, "lies after now"),
        (-9, -8, "has readings from .*they reach from"),
    ],
)
def test_a_stretch_that_cannot_be_tested_is_refused(start, end, words):
    platform = plant()
    with pytest.raises(UserError, match=words):
        backtest(platform, written_subject(platform, too_hot()), at(start * DAY), at(end * DAY))
    with pytest.raises(UserError, match="temprature"):
        written_subject(platform, too_hot(variable="temprature"))


PERIODS = [
    ((20, 60, 12 * DAY), (None, None), (0, 12 * DAY)),
    ((20, 60, 12 * DAY), (30, None), (30, 12 * DAY)),
    ((20, 60, 12 * DAY), (None, 5 * DAY), (0, 5 * DAY)),
    ((20, 60, 50 * DAY + 30), (None, None), (22 * DAY, 50 * DAY)),
    ((20, 60, 40 * DAY), (None, None), (12 * DAY, 40 * DAY)),
    ((50 * DAY + 20, 50 * DAY + 25, 50 * DAY + 30), (None, None), (22 * DAY, 50 * DAY)),
]


def test_the_period_of_a_backtest_is_that_of_the_readings():
    found = []
    for minutes, asked, _ in PERIODS:
        platform = plant(minutes, 50 * DAY + 60)
        times = (None if one is None else at(one) for one in asked)
        found.append(find_period(platform, written_subject(platform, too_hot()), *times))
    assert found == [(at(start), at(end)) for _, _, (start, end) in PERIODS]


def test_training_comes_at_the_start_and_then_at_every_tick():
    weekly = classifier(schedule={"retrain": "0 3 * * 0"})
    berlin = classifier(schedule={"retrain": "0 3 * * 0", "timezone": "Europe/Berlin"})
    by_hand = classifier(schedule={"retrain": None})
    sundays = [d * DAY + 180 for d in (6, 13, 20, 27)]
    cases = [
        ((weekly, at(0), at(30 * DAY), "never"), [0]),
        ((weekly, at(60), at(15 * DAY), timedelta(days=7)), [60, 7 * DAY + 60, 14 * DAY + 60]),
        ((weekly, at(0), at(30 * DAY), "scheduled"), [0, *sundays]),
        ((weekly, at(0), at(sundays[-1]), "scheduled"), [0, *sundays[:-1]]),
        ((berlin, at(0), at(7 * DAY), "scheduled"), [0, 6 * DAY + 120]),
        ((by_hand, at(0), at(30 * DAY), "scheduled"), [0]),
        ((threshold(), at(0), at(8 * DAY), "never"), [0, 7 * DAY]),
    ]
    found = [segment_starts(*given) for given, _ in cases]
    assert found == [[at(minute) for minute in starts] for _, starts in cases]
    assert len(segment_starts(classifier(), at(0), at(28 * DAY), "scheduled")) == 5, (
        "a night of each week"
    )


def test_a_sandbox_reads_nothing_after_its_instant_and_writes_nothing_live():
    platform = plant()
    sandbox = Sandbox(platform, revision(classifier())).training(at(100))
    readings = sandbox.readings.load(WantedHistory(oven(), None, at(500))).readings
    assert readings.index[-1] <= at(100)
    assert platform.readings.asked_until == at(100)
    assert sandbox.readings.span("oven-1")[1] == readings.index[-1]
    add_readings(sandbox, [ReadingRow("oven-1", at(50), {"temperature": 999.0})], at(0))
    assert platform.reading_writes.stored([("oven-1", to_millis(at(50)))]) == {}
    sandbox.assets.store_assets([Asset(name="oven-9")])
    assert [a.name for a in platform.assets.all()] == ["oven-1"]
    sandbox.definitions.store_document(too_moist())
    sandbox.episodes.insert(episode())
    assert (platform.definitions.documents(), platform.episodes.find()) == ([], [])


def test_a_training_in_a_sandbox_knows_the_live_episodes_before_its_instant():
    platform = plant()
    before = closed(episode(10))
    after = closed(episode(90))
    for one in (before, after, closed(episode(20, definition="other"))):
        platform.episodes.insert(one)
    sandbox = Sandbox(platform, revision(threshold()))
    assert sandbox.training(at(60)).episodes.find() == [before]
    assert sandbox.live_view(at(60)).episodes.find() == []


def test_no_port_of_a_sandbox_is_a_live_one(tmp_path):
    """A port that is added to the platform must be thought of here, too."""
    platform = replace(
        plant(),
        documents=NoDocuments(),
        model_file_cache=FolderFileCache(tmp_path),
        disks=list,
    )
    sandbox = Sandbox(platform, revision(classifier()))
    shared = {f.name for view in (sandbox.training(at(0)),
    sandbox.live_view(at(0))) for f in fields(SandboxPorts)
              if getattr(view, f.name) is getattr(platform, f.name) is not None}  # fmt: skip
    assert shared == {"limits", "budget", "zone", "model_key", "latency", "language"}


def test_what_a_sandbox_writes_reaches_no_live_store(real):  # noqa: F811 - a fixture
    live = platform_on(real, [], HandClock())
    live.assets.store_assets([oven()])
    before = contents(live)
    view = Sandbox(live, revision(threshold())).live_view(at(0))
    view.definitions.store_document(DOCUMENT)
    view.assets.store_assets([oven().model_copy(update={"name": "oven-9"})])
    view.episodes.insert(episode(10))
    view.platform_alerts.report("disk", "home", "full", at(0))
    view.audit.add("ann", "applied", "too-hot", at(0))
    assert contents(live) == before
    for store in ("reports", "deliveries", "accounts", "backtests", "feedback"):
        assert not hasattr(view, store)


def test_costs_are_those_of_misses_and_false_alarms_where_the_definition_names_them():
    met = EventMetrics(
        0.8,
        1.0,
        0.5,
        0.1,
        60.0,
        n_events=10,
        n_found=8,
        n_episodes=12,
        n_false_alarms=3,
        n_too_late=0,
        n_assets=1,
        intervals={},
    )
    priced = classifier(operating_point={"cost_of_miss": 500, "cost_of_false_alarm": 20})
    assert cost_of(priced, met, weeks=2) == Cost(
        misses=1000, false_alarms=60, total=1060, per_week=530
    )
    cases = ((classifier(), met), (priced, None), (threshold(), met))
    assert [cost_of(*given, weeks=2) for given in cases] == [None] * 3


def line():
    """Sixteen days of a reading about every five minutes: it runs hot now and then, and is moist a
    while after."""
    random = np.random.default_rng(3)
    minutes = np.cumsum(random.choice([2, 5, 7, 40], DAYS * DAY // 5, p=[0.2, 0.6, 0.19, 0.01]))
    minutes = minutes[minutes < DAYS * DAY]
    hot = np.sin(minutes / 37.0) + 0.4 * random.normal(size=len(minutes)) > 0.7
    moist = np.sin((minutes - 60) / 37.0) > 0.8
    return history(
        minutes.tolist(),
        temperature=np.where(hot, 220.0, 200.0),
        moisture=np.where(moist, 5.0, 3.0),
    )


HISTORY = line()


def lived():
    return plant(readings=HISTORY)


def run(platform, document=DOCUMENT, start=1.5, end=14.25, **options):
    return backtest(
        platform, written_subject(platform, document), at(start * DAY), at(end * DAY), **options
    )


@pytest.fixture(scope="module")
def made():
    return run(lived())


def test_it_raises_what_live_evaluation_tick_by_tick_would_have_raised_to_the_millisecond(made):
    live = lived()
    apply(live, [DOCUMENT], "engineer", at(1.5 * DAY), "test")
    for minute in np.arange(1.5 * DAY, 14.25 * DAY + 1, 13 * 60 + 4):
        evaluate(live, None, at(float(minute)))
    evaluate(live, None, at(14.25 * DAY))
    assert len(made.episodes) > 20
    raised = [
        sorted((e.id, e.raised_at, e.closed_at, e.evaluation, e.condition) for e in episodes)
        for episodes in (made.episodes, live.episodes.find())
    ]
    assert raised[0] == raised[1]


def test_it_runs_on_a_draft_and_changes_nothing_live_and_tells_nobody():
    platform = lived()
    apply(
        platform,
        [{**DOCUMENT, "state": "draft"}, too_hot(name="live", above=210)],
        "engineer",
        at(0),
        "test",
    )
    evaluate(platform, None, at(DAY))
    mails = platform.channels["mail"].messages
    before = contents(platform), len(mails)
    result = backtest(platform, named_subject(platform, "too-hot"), at(1.5 * DAY), at(14.25 * DAY))
    assert (contents(platform), len(mails)) == before
    assert platform.backtests.get(result.id)["metrics"]["outcomes"] == result.metrics["outcomes"]
    assert len(platform.backtests.episodes(result.id)) == len(result.episodes) > 20


class Impatient:
    """Progress that is interrupted when the words come up."""

    def __init__(self, words):
        self.words = words
        self.steps = []

    def __call__(self, step, done, total):
        self.steps.append(step)
        if self.words in step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("words", ["segment 2 of 2: evaluating 3/6", "counting"])
def test_an_interrupted_run_goes_on_after_the_last_finished_segment_with_the_same_result(
    made, words
):
    platform = lived()
    with pytest.raises(KeyboardInterrupt):
        run(platform, progress=Impatient(words))
    again = Impatient("never")
    result = run(platform, progress=again)
    assert result.resumed == (1 if "2 of 2" in words else 2)
    assert not any("segment 1 of 2" in step for step in again.steps)
    for part in ("episodes", "metrics", "events", "load", "segments"):
        assert getattr(result, part) == getattr(made, part), part
    texts = [
        [language("de").translate(t.reason) for e in one.episodes for t in e.transitions]
        for one in (result, made)
    ]
    assert texts[0] == texts[1]


def test_segments_that_an_earlier_version_stored_are_walked_again():
    sandbox = Sandbox(plant(), revision(threshold()))
    stored = SimpleNamespace(segment_files=lambda *_: {"checkpoint.json": b"{}"})
    run = {"id": "run", "definition": "too-hot", "segments": [{"end": at(DAY)}]}
    assert restore(stored, sandbox, run) == 0


def test_the_same_arguments_find_what_is_kept_and_fresh_computes_it_anew(made):
    platform = lived()
    first = run(platform)
    assert first.id == made.id
    again = Impatient("segment")
    kept = run(platform, progress=again)
    assert kept.is_stored
    assert (kept.episodes, kept.page) == (first.episodes, first.page)
    with pytest.raises(KeyboardInterrupt):
        run(platform, progress=again, fresh=True)
    assert platform.backtests.get(first.id)["segments"] == []


def test_figures_hold_the_load_the_events_and_the_outcomes(made):
    assert made.load["episodes"] == len(made.episodes) == sum(made.metrics["outcomes"].values())
    assert made.load["per_day"] == pytest.approx(len(made.episodes) / 12.75)
    recall = made.events["event_recall"]
    low, high = made.events["intervals"]["event_recall"]
    assert 0 < low <= recall <= high <= 1
    assert recall == pytest.approx(made.metrics["event_recall"]["value"])
    without_problem = run(lived(), too_hot(**{"for": "7m"}))
    assert without_problem.events is None
    assert without_problem.load["episodes"] > 0


def test_the_page_says_that_nothing_of_it_happened(made):
    told = (
        "Backtest: no alarm here is live",
        "No notification was sent and no live data changed",
        "too-hot from its file, without applying it,",
        f"Backtest {made.id}",
    )
    assert [words for words in told if words not in made.page] == []
    assert "backfilled" not in made.page
