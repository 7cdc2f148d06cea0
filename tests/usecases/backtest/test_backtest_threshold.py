"""A threshold definition over its past: what is raised, kept, gone on with, and left alone."""

from dataclasses import replace

import numpy as np
import pytest

from alerting.usecases.backtest.backtest import backtest, named_subject, written_subject
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from tests.builders import at, history, oven, too_hot
from tests.frame_readings import FrameReadings
from tests.helpers.stores import contents
from tests.in_memory_platform import Mailbox, in_memory_platform

pytestmark = pytest.mark.server
DAY = 24 * 60
DAYS = 16
DOCUMENT = too_hot(
    **{"for": "7m"},
    clear_for="3m",
    stale_after="20m",
    problem={"variable": "moisture", "above": 4.5},
    horizon="2h",
)


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


def plant(mailbox=None):
    platform = replace(
        in_memory_platform(*([mailbox] if mailbox else [])), readings=FrameReadings(HISTORY)
    )
    platform.assets.store_assets([oven()])
    platform.clock.instant = at(DAYS * DAY)
    return platform


def run(platform, document=DOCUMENT, start=1.5, end=14.25, **options):
    return backtest(
        platform, written_subject(platform, document), at(start * DAY), at(end * DAY), **options
    )


@pytest.fixture(scope="module")
def made():
    return run(plant())


def test_it_raises_what_live_evaluation_tick_by_tick_would_have_raised_to_the_millisecond(made):
    live = plant()
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
    mailbox = Mailbox("mail")
    platform = plant(mailbox)
    documents = [{**DOCUMENT, "state": "draft"}, too_hot(name="live", above=210)]
    apply(platform, documents, "engineer", at(0), "test")
    evaluate(platform, None, at(DAY))
    before = contents(platform), len(mailbox.messages)
    result = backtest(platform, named_subject(platform, "too-hot"), at(1.5 * DAY), at(14.25 * DAY))
    assert (contents(platform), len(mailbox.messages)) == before
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
    platform = plant()
    with pytest.raises(KeyboardInterrupt):
        run(platform, progress=Impatient(words))
    again = Impatient("never")
    result = run(platform, progress=again)
    assert result.resumed == (1 if "2 of 2" in words else 2)
    assert not any("segment 1 of 2" in step for step in again.steps)
    for part in ("episodes", "metrics", "events", "load", "segments"):
        assert getattr(result, part) == getattr(made, part), part


def test_the_same_arguments_find_what_is_kept_and_fresh_computes_it_anew(made):
    platform = plant()
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
    without_problem = run(plant(), too_hot(**{"for": "7m"}))
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
