"""Effects of set-points on the problem variable, told apart from what moved the set-points."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.asset_documents import Asset, Variable
from alerting.learning.data.dataset import build_dataset, dataset_files, dataset_from_files
from alerting.learning.features.set_point_effects import SetPointEffects, estimate_effects
from alerting.learning.models.model_files import model_files, model_from_files
from alerting.learning.selection.challenger import finish_challenger
from alerting.readings.history import History
from tests import small_models
from tests.helpers.learning.trained import chosen

pytestmark = pytest.mark.models

HOURS = 500
LEVER = Variable(controllable=True, min=0, max=100, step=1)


def confounded(direction=1.0, hours=HOURS, answered=True):
    """A line whose crew answers most wet times with a lower belt speed, so that slow belts and
    moisture go together.

    Moisture rises by 0.3 with each unit of the belt and by 0.5 with each of the humidity. The fan
    moves at random without effect, the damper only once.
    """
    random = np.random.default_rng(3)
    n = hours * 12
    wet = np.repeat(random.random(n // 48 + 1) < 0.25, 48)[:n]
    humidity = 8 + 6 * wet + random.normal(0, 0.3, n)
    answers = np.repeat(random.random(n // 48 + 1) < 0.8, 48)[:n] & wet & answered
    belt = 20 + np.repeat(random.choice([-1.0, 0.0, 1.0], n // 30 + 1), 30)[:n] - 6 * answers
    fan = 50 + np.repeat(random.choice([-2.0, 0.0, 2.0], n // 30 + 1), 30)[:n]
    damper = np.where(np.arange(n) < n // 2, 10.0, 12.0)
    moisture = 0.3 * belt + 0.5 * humidity + random.normal(0, 0.05, n)
    index = pd.date_range(small_models.START, periods=n, freq="5min", tz="UTC", name="ts").as_unit(
        "ms"
    )
    values = {
        "belt": belt,
        "fan": fan,
        "damper": damper,
        "humidity": humidity,
        "moisture": direction * moisture,
    }
    variables = {
        "belt": LEVER,
        "fan": LEVER,
        "damper": LEVER,
        "humidity": Variable(),
        "moisture": Variable(),
    }
    return History(Asset(name="oven-1", variables=variables), pd.DataFrame(values, index=index))


def definition(**problem):
    return small_models.definition(problem={"variable": "moisture", **problem}, gap="0m")


def built(line, **limit):
    return build_dataset(definition(**limit), 1, [line], small_models.as_of(line))


@pytest.fixture(scope="module")
def data():
    return built(confounded(), above=12.0)


def test_an_effect_is_told_apart_from_what_crews_answered(data):
    readings = confounded().readings
    together = np.polyfit(readings["belt"], readings["moisture"], 1)[0]
    assert together < 0.1, "slow belts go together with moisture"
    effect, error = data.effects.effects["belt"]
    assert (effect, error < 0.03) == (pytest.approx(0.3, abs=0.05), True)
    assert 0.2 < -data.effects.relief("belt") < 0.3, "at least, with the confidence of 95 %"
    peak = np.quantile(readings["moisture"], 0.99) - 12.0
    assert 0.3 * peak < data.effects.needed < 1.5 * peak, "as far as four of five problems went"


def test_a_set_point_without_effect_or_hardly_moved_relieves_nothing(data):
    effect, error = data.effects.effects["fan"]
    assert abs(effect) < 3 * error < 0.1
    assert "damper" not in data.effects.effects
    assert data.effects.relief("damper") == 0.0
    unsure = SetPointEffects("moisture", 1, 1.0, {"fan": (0.02, 0.011), "belt": (-0.02, 0.01)}, 5.0)
    assert (unsure.relief("fan"), unsure.relief("belt")) == (0.0, pytest.approx(0.0004))


def test_below_a_limit_the_sign_turns():
    found = built(confounded(direction=-1.0), below=-12.0).effects
    assert found.limit_side == -1
    assert found.relief("belt") == pytest.approx(-0.28, abs=0.05)


def test_too_little_history_or_another_problem_gives_no_effects(data):
    problems = {"short": {"above": 12.0}, "two": {"above": 12.0, "below": 1.0}, "no": {"above": 99}}
    lines = {name: confounded(hours=20 if name == "short" else HOURS) for name in problems}
    found = {
        name: estimate_effects(definition(**limits), data.plan, [lines[name]])
        for name, limits in problems.items()
    }
    assert found == dict.fromkeys(problems)


def test_files_keep_them_and_old_files_have_none(data):
    assert dataset_from_files(dataset_files(data)).effects == data.effects
    found = chosen("logistic_regression")
    model = finish_challenger(data, found, definition(above=12.0))[0]
    assert model_from_files(model_files(model)).effects == model.effects == data.effects
    without = model_from_files(model_files(replace(model, effects=None)))
    assert (without.effects, without.hash) == (None, model.hash), "they decide no score"
