"""A classifier over its past, trained again on the way: models and episodes as live, and nothing
live touched."""

from datetime import timedelta
from operator import attrgetter

import pytest

from alerting.definitions.faults import UserError
from alerting.usecases.backtest.backtest import backtest, written_subject
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.training.training_steps import train
from tests.builders import at
from tests.helpers.moist_line import DAY, DOCUMENT, END, LINEAR, START, plant

pytestmark = pytest.mark.models
RETRAIN = timedelta(days=4)
TRAININGS = (START, START + 4 * DAY, START + 8 * DAY)


def run(platform, document=DOCUMENT, start=START, retrain=RETRAIN, **options):
    return backtest(
        platform, written_subject(platform, document), at(start), at(END), retrain, **options
    )


SAID = ("id", "raised_at", "closed_at", "evaluation", "contributions", "recommendation")


def said(episodes):
    """Return all that an episode says, but of notifications and outcomes."""
    return sorted(map(attrgetter(*SAID, "continues"), episodes))


@pytest.fixture(scope="module")
def made():
    return run(plant())


@pytest.fixture(scope="module")
def live():
    """A plant that lived through the same days: trained as scheduled, evaluated every two
    and a half hours. Its own: it is trained again and again."""
    platform = plant()
    apply(platform, [DOCUMENT], "engineer", at(START), "test")
    for minute in sorted({*range(START, END + 1, 155), *TRAININGS, END}):
        platform.clock.instant = at(minute)
        if minute in TRAININGS:
            evaluate(platform, None, at(minute))
            train(platform, "too-moist", at(minute))
        evaluate(platform, None, at(minute))
    return platform


def test_it_trains_the_same_models_and_raises_the_same_episodes_as_live(made, live):
    assert [(s["verdict"], s["reason"]) for s in made.segments] == [
        (d.verdict, " ".join(filter(None, (d.reason, d.details))))
        for d in live.decisions.for_definition("too-moist")
    ]
    hashes = [live.models.version_tags("too-moist", s["version"]) for s in made.segments]
    assert [s["model_hash"] for s in made.segments] == [tags["model_hash"] for tags in hashes]
    assert len({s["model_hash"] for s in made.segments}) > 1
    raised = [e for e in live.episodes.find("too-moist") if e.raised_at < at(END)]
    assert len(raised) > 10
    assert said(made.episodes) == said(raised), "to the millisecond"


def test_no_model_has_seen_anything_of_the_segment_that_it_judges(made):
    """The cutoff is that of the refit, which has learned from all that was known and serves."""
    ages = [s["start"] - s["training_cutoff"] for s in made.segments]
    assert timedelta(0) < min(ages) <= max(ages) < timedelta(hours=6)
    assert all(e.raised_at > made.segments[0]["start"] for e in made.episodes)


def test_figures_events_and_page_tell_how_it_would_have_done(made):
    assert made.metrics["rows"]["ap"] > 0.5
    assert made.events["event_recall"] == pytest.approx(made.metrics["event_recall"]["value"])
    assert "It was trained every 4d: 3 times" in made.page
    assert all(s["model_hash"][:12] in made.page for s in made.segments)
    assert [m["version"] for m in made.metrics["models"]] == sorted(
        {s["version"] for s in made.segments}
    )


def test_too_little_history_at_the_start_leaves_that_segment_unjudged_and_says_so():
    short = run(plant(), LINEAR, start=60, retrain=timedelta(days=7))
    assert [s["verdict"] for s in short.segments] == ["not_trained", "provisional"]
    assert short.segments[0]["model_hash"] is None
    assert short.segments[0]["unknown"] == ["too-moist on oven-1: no model is in service yet"]
    assert all(e.raised_at > short.segments[1]["start"] for e in short.episodes)
    assert "1 training was not possible" in short.page


def test_without_any_model_it_is_refused_with_the_reason_of_the_training():
    with pytest.raises(
        UserError, match="no model could be trained, so no instant was evaluated: too-moist"
    ):
        backtest(plant(), written_subject(plant(), DOCUMENT), at(30), at(90), "never")
