"""A training says where its time budget ended a search."""

from dataclasses import replace

import pytest

from alerting.ports import ReadingRow, TrainingLimits
from alerting.reporting.page.decision_text import cut_short_lines, decision_markdown
from alerting.usecases.definitions.sync import apply
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.training.train import train
from tests.builders import at, oven, too_moist
from tests.helpers.console.episode_page import browser_of
from tests.helpers.learning.machine_time import time_of_trials
from tests.helpers.learning.training import MINUTES, moisture_after_humidity
from tests.in_memory_platform import Mailbox, in_memory_platform

pytestmark = [pytest.mark.models, pytest.mark.server]

NAME = "too-moist"


@pytest.fixture(scope="module")
def line():
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets([oven()])
    rows = [
        ReadingRow("oven-1", at(int(m)), {"humidity": float(h), "moisture": float(w)})
        for m, h, w in zip(*moisture_after_humidity(), strict=True)
    ]
    add_readings(platform, rows, at(0))
    platform.clock.instant = at(MINUTES)
    return platform


def trained(platform, name, measured, **learning):
    document = too_moist(
        name=name,
        learning={"folds": 2, "candidates": ["logistic_regression", "lightgbm"]} | learning,
        features={"stride": "5m"},
    )
    apply(platform, [document], "engineer", at(MINUTES), "test")
    limits = TrainingLimits(read_time=measured)
    return train(replace(platform, limits=limits), name, at(MINUTES))


def test_whoever_sees_a_model_sees_that_its_time_budget_cut_the_search_short(line, monkeypatch):
    monkeypatch.setattr(line.runs, "shown", True)
    result = trained(line, NAME, time_of_trials(1), trials=5, time_budget="2s")
    done = {one.family: (one.trials, one.trials_asked) for one in result.leaderboard}
    assert done == {
        "persistence": (1, 1),
        "logistic_regression": (2, 5),
        "lightgbm": (2, 5),
    }
    (said,) = cut_short_lines(result.leaderboard)
    assert "logistic regression after 2 of 5, lightgbm after 2 of 5" in said
    assert said[1:] in decision_markdown(result)
    shown = browser_of(line).get(f"/models/{NAME}").text
    assert said in shown
    assert "cut short by the time budget (trials: logistic regression 2/5, lightgbm 2/5)" in shown
