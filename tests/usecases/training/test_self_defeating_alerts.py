"""A crew that acts on every alert: by the data alone the next model unlearns what the alerts were
about, with the answers it does not. The same on the demo line, over weeks:
docs/self-defeating-alerts.md."""

from dataclasses import replace

import numpy as np
import pytest

from alerting.detection.problems import find_problems
from alerting.learning.data.dataset import build_dataset
from alerting.learning.data.labels import FeedbackLabel
from alerting.learning.features.build import build_features
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.challenger import finish_challenger
from alerting.ports import silent
from alerting.readings.history import millis
from tests import small_models

pytestmark = pytest.mark.models
MINUTE = 60_000
DAY = 288  # readings
FREE_DAYS = 6
ACTED_DAYS = 18
EVALUATED_DAYS = 8


def line(days, acted_from, seed):
    """Humidity rises every few hours; the moisture leaves its limit 40 minutes later, unless the
    crew opens a flap, which nothing measures, 10 minutes after the rise, as it does from
    `acted_from` (reading) on. Also: the instants of its actions."""
    random = np.random.default_rng(seed)
    n = days * DAY
    humidity = 8 + random.normal(0, 0.3, n)
    moisture = 4 + random.normal(0, 0.1, n)
    acted = []
    start = 60
    while start < n - 60:
        humidity[start : start + 12] += 3
        if start >= acted_from:
            acted.append(start + 2)
        else:
            moisture[start + 8 : start + 16] = 6
        start += int(random.integers(40, 80))
    base = small_models.line(days * 24, seed)
    readings = base.readings.assign(humidity=humidity, moisture=moisture)
    return replace(base, readings=readings), millis(base.readings.index)[acted]


def definition(**feedback):
    return small_models.definition(
        feedback=feedback, learning={"trials": 1, "folds": 2, "candidates": ["lightgbm"]}
    )


def trained(history, said, **feedback):
    wanted = definition(**feedback)
    dataset = build_dataset(wanted, 1, [history], small_models.as_of(history), said)
    candidate = search_candidate(dataset, wanted, "lightgbm", silent)
    model, _ = finish_challenger(dataset, candidate, wanted)
    return dataset, candidate, model


def warned(model, history):
    """Share of the problems before which the model would have raised an alert in time."""
    at = np.arange(*millis(history.readings.index)[[0, -1]], 10 * MINUTE)
    high = at[model.score(build_features(model.plan, history, at)) >= model.threshold]
    starts = millis(find_problems(definition().problem, history)["start"])
    return np.mean([((high < s) & (high >= s - 30 * MINUTE)).any() for s in starts])


@pytest.fixture(scope="module")
def lived():
    history, acted = line(FREE_DAYS + ACTED_DAYS, FREE_DAYS * DAY, seed=5)
    said = [
        FeedbackLabel("oven-1", int(a), int(a) + 30 * MINUTE, int(a), "true_alarm") for a in acted
    ]
    unmanned, _ = line(EVALUATED_DAYS, 10**9, seed=6)
    return history, said, unmanned


def test_by_the_data_alone_the_retrained_model_loses_the_pattern_and_with_the_answers_it_keeps_it(
    lived,
):
    history, said, unmanned = lived
    first = history.readings.iloc[: FREE_DAYS * DAY]
    _, _, before = trained(replace(history, readings=first), [])
    _, _, naive = trained(history, [])
    _, _, ours = trained(history, said)
    _, _, positive = trained(history, said, avoided="positive")
    shares = {"before": warned(before, unmanned), "naive": warned(naive, unmanned)}
    shares |= {"ours": warned(ours, unmanned), "positive": warned(positive, unmanned)}
    assert shares["before"] > 0.9
    assert shares["naive"] < 0.5
    assert shares["ours"] > 0.9
    assert shares["positive"] > 0.9
