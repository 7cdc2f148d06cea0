"""Learned limits on charts: as they were in force, by recipe and version, with a gap where there
was none."""

from datetime import timedelta

import numpy as np
import pytest

from alerting.console.web.chart import chart_shape
from alerting.ports import ModelUnavailable
from alerting.readings.history import from_millis, to_millis
from alerting.reporting.figures.episode_chart import describe
from alerting.usecases.backtest.backtest import backtest, named_subject
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.explain.explain import why
from alerting.usecases.notification.chart import chart_of, draw_episode
from alerting.usecases.reports.make import make_report
from alerting.usecases.training.train import train
from tests.builders import at
from tests.helpers.recipe_line import DAY, DOCUMENT, running

pytestmark = pytest.mark.models

A_BEGINS = 2 * DAY + 2
B_BEGINS = 2 * DAY + 30
NOW = 2 * DAY + 80
INSTANT = timedelta(milliseconds=1)


@pytest.fixture(scope="module")
def line():
    """A platform and an episode: the force leaves the limit of recipe A, before the next recipe
    with a higher one begins."""
    extra = [
        (A_BEGINS, {"force": 10.0, "recipe": "A"}),
        *((2 * DAY + m, {"force": 11.5}) for m in range(4, 30, 2)),
    ]
    extra += [
        (B_BEGINS, {"force": 20.5, "recipe": "B"}),
        *((B_BEGINS + m, {"force": 20.5}) for m in range(2, 60, 2)),
    ]
    platform = running(extra=extra, clear_for="1h")
    train(platform, DOCUMENT["name"], at(2 * DAY))
    platform.clock.instant = at(NOW)
    evaluate(platform, None, at(NOW))
    [episode] = platform.episodes.find()
    return platform, episode


def test_a_learned_limit_is_drawn_in_steps_by_recipe_with_a_gap_before_the_first_estimate(line):
    platform, episode = line
    chart = chart_of(platform, episode, at(NOW))
    [panel] = chart.panels
    [limit] = panel.moving
    assert panel.levels == ()
    assert [from_millis(t) for t in limit.at.tolist()] == [
        chart.start,
        at(2 * DAY) + INSTANT,
        at(A_BEGINS),
        at(B_BEGINS),
    ]
    assert limit.values == pytest.approx([np.nan, 20.8, 10.8, 20.8], nan_ok=True)
    for minute in (2 * DAY + 1, 2 * DAY + 12, B_BEGINS + 2):
        step = int(np.searchsorted(limit.at, to_millis(at(minute)), side="right")) - 1
        assert why(platform, DOCUMENT["name"], "press-1", at(minute)).limit == limit.values[step]


def test_the_chart_says_the_lowest_and_highest_limit_and_for_how_long_there_was_none(line):
    platform, episode = line
    chart = chart_of(platform, episode, at(NOW))
    assert "limit 10.8 to 20.8 kN, not known for 54 min;" in describe(chart)
    [(path, label)] = chart_shape(chart, platform.zone)["panels"][0]["moving"]
    assert path.count("M") == 1
    assert path.count("V") == 3
    assert label.label == "limit 10.8 to 20.8 kN, not known for 54 min"
    assert "limit 10.8 to 20.8 kN" in draw_episode(platform, episode, at(NOW)).description


def test_a_report_draws_and_says_the_same(line):
    platform, _ = line
    page = make_report(platform, DOCUMENT["name"], at(2 * DAY), at(NOW), at(NOW)).page
    assert "limit 10.8 to 20.8 kN" in page


def test_a_model_that_cannot_be_read_is_said_and_the_limit_of_the_raise_is_drawn(line, monkeypatch):
    def unavailable(*_):
        raise ModelUnavailable("no limits")

    platform, episode = line
    monkeypatch.setattr("alerting.usecases.registry.model_cache.parse_model", unavailable)
    chart = chart_of(platform, episode, at(NOW))
    assert [level.label for level in chart.panels[0].levels] == ["limit at the raise"]
    assert chart.cut == "the limits in force are not drawn, for they cannot be read: no limits"


def test_a_backtest_draws_the_limits_of_every_version_that_it_estimated():
    platform = running(days=4, state="draft")
    platform.clock.instant = at(5 * DAY)
    subject = named_subject(platform, DOCUMENT["name"])
    page = backtest(platform, subject, at(2 * DAY), at(4 * DAY), retrain=timedelta(days=1)).page
    assert "limit 10.8 to 20.8 kN" in page
