"""A line on which nothing tells more than the last known value: that value serves, live, with its
reasons and its advice."""

import numpy as np
import pytest

from alerting.definitions.assets import Variable
from alerting.learning.features.build import build_features
from alerting.learning.selection.proposal import CandidateSummary
from alerting.ports import ReadingRow
from alerting.readings.history import to_millis
from alerting.recommendation.contributions import explain
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.registry.registration import load_model
from alerting.usecases.training.train import train
from tests.builders import at, classifier, oven, too_moist
from tests.in_memory_platform import Mailbox, in_memory_platform

pytestmark = pytest.mark.models
EVERY = 5
DAY = 1440
TRAINED = 10 * DAY
UNTIL = 11 * DAY


def readings(seed=0):
    """Return minutes and rows of two variables: moisture wanders slowly around 3.5, humidity tells
    nothing of it."""
    random = np.random.default_rng(seed)
    minutes = np.arange(0, UNTIL, EVERY)
    moisture = np.zeros(len(minutes))
    for i, step in enumerate(random.normal(0, 1, len(minutes) - 1)):
        moisture[i + 1] = 0.93 * moisture[i] + np.sqrt(1 - 0.93**2) * step
    return minutes, 3.5 + 0.6 * moisture, random.normal(45, 3, len(minutes))


@pytest.fixture(scope="module")
def trained():
    platform = in_memory_platform(Mailbox("mail"))
    controllable = Variable(unit="%", controllable=True, min=2, max=6, step=0.05)
    platform.assets.store_assets([oven(moisture=controllable)])
    rows = [
        ReadingRow("oven-1", at(int(m)), {"humidity": float(h), "moisture": float(w)})
        for m, w, h in zip(*readings(), strict=True)
    ]
    add_readings(platform, rows, at(0))
    learning = {"trials": 2, "folds": 3, "candidates": ["random_forest"]}
    changes = {
        "problem": {"variable": "moisture", "above": 4.2, "predict": "state"},
        "learning": learning,
    }
    apply(platform, [too_moist(**changes, features={"stride": "5m"})], "engineer", at(0), "test")
    platform.clock.instant = at(TRAINED)
    return platform, train(platform, "too-moist", at(TRAINED))


def test_it_is_promoted_calibrated_and_judged_like_any_other_model(trained):
    platform, result = trained
    assert (result.verdict, result.promote, result.waiting) == ("provisional", True, False)
    assert platform.models.version_tags("too-moist", 1)["family"] == "persistence"
    by_family = {c.family: c for c in result.leaderboard}
    assert isinstance(by_family["persistence"], CandidateSummary)
    assert by_family["persistence"].trials == 1
    assert result.test["brier"] < 0.1
    assert 0 < result.test["threshold"] < 1
    assert {name for name, share in result.importance.items() if share} == {"moisture"}


def test_its_episodes_are_explained_by_the_last_value_alone_and_the_advice_agrees_with_the_score(
    trained,
):
    platform, _ = trained
    platform.clock.instant = at(UNTIL - EVERY)
    counts = evaluate(platform, None, at(UNTIL - EVERY))
    assert (counts.unknown, counts.unreadable) == ({}, {})
    episodes = platform.episodes.find("too-moist")
    assert episodes
    registered = load_model(platform, classifier(), 1)
    history = platform.readings.load(platform.assets.all()[0], None, at(UNTIL))
    for episode in episodes:
        model = registered.serving(episode.raised_at)
        row = build_features(model.plan, history, np.array([to_millis(episode.raised_at)]))
        assert episode.evaluation.value == pytest.approx(model.score(row)[0])
        assert {c.variable for c in episode.contributions if abs(c.share) > 1e-9} == {"moisture"}
        explained = explain(model, row)
        assert explained.shares.sum() == pytest.approx(model.score(row)[0] - explained.usual_score)
        advice = episode.recommendation
        assert advice.risk_before == pytest.approx(episode.evaluation.value)
        (change,) = advice.changes
        lower = row.assign(**{"moisture.last": change.after})
        assert advice.risk_after == pytest.approx(model.score(lower)[0], abs=1e-6)
