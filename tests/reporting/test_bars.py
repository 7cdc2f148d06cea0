"""Bars of a risk: they add up from the usual score to the risk, and say so in words."""

from dataclasses import replace

import pytest

from alerting.episodes.episode import Change, Contribution, PresentAdvice, RecommendationResult
from alerting.reporting.figures.bars import SHOWN, risk_steps, waterfall
from tests.builders import at
from tests.helpers.episodes import episode

pytestmark = pytest.mark.fast


def share(name, value):
    return Contribution(name, value, 1.0, 0.0, name)


def test_steps_lead_from_the_usual_score_to_the_risk():
    chart = waterfall([share("belt", -0.1), share("oven", 0.5)], 0.6, 0.4, {"oven": "Oven"})
    assert [(b.label, round(b.start, 6), round(b.end, 6), b.kind) for b in chart.bars] == [
        ("Usual score", 0.0, 0.2, "usual"),
        ("Oven", 0.2, 0.7, "up"),
        ("belt", 0.6, 0.7, "down"),
        ("Risk", 0.0, 0.6, "risk"),
    ]
    assert chart.description == (
        "How the risk rose from 20 % to 60 %: Usual score 20 %, Oven +50 points, belt -10 points, "
        "Risk 60 %; alarm at 40 %"
    )
    assert (chart.low, chart.percent_at(0.0)) == (0.0, 0.0)
    assert chart.percent_at(0.7) < 100


def test_the_smallest_shares_are_one_bar_and_still_add_up():
    chart = waterfall([share(str(i), 0.05) for i in range(10)], 0.9, None, {})
    assert len(chart.bars) == SHOWN + 3
    assert chart.bars[-2].label == f"{10 - SHOWN} others"
    assert chart.bars[-2].end == pytest.approx(0.9)


def test_without_a_score_or_reasons_there_are_no_bars():
    assert waterfall([], 0.9, 0.5, {}) is None
    assert waterfall([share("belt", 0.1)], None, 0.5, {}) is None


def test_the_risk_before_now_and_after_the_change():
    advice = RecommendationResult((Change("belt", 8.0, 7.4, None),), 0.7, 0.2, True, "Set it")
    raised = episode(is_prediction=True, recommendation=advice)
    raised = replace(raised, evaluation=replace(raised.evaluation, value=0.62, threshold=0.31))
    assert [(b.label, b.end) for b in risk_steps(raised).bars] == [
        ("When the alarm came", 0.62),
        ("With this change", 0.2),
    ]
    now = replace(raised, present=PresentAdvice(at(5), at(0), 0.7, 0.31, 1, (), advice))
    assert [b.label for b in risk_steps(now).bars] == [
        "When the alarm came",
        "Now",
        "With this change",
    ]
    come = replace(now, happening_at=at(6))
    assert [b.label for b in risk_steps(come).bars] == ["When the alarm came", "With this change"]
    assert risk_steps(replace(raised, recommendation=None)) is None
