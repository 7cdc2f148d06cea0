"""A model whose scores lead to expect less than its promotion measured: it alerts the engineer."""

from datetime import timedelta

import numpy as np

from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import language
from alerting.ports import ReadingRow, Score
from alerting.usecases.definitions.platform_alerts import UNDERPERFORMS
from alerting.usecases.platform_health import estimated_performance
from alerting.usecases.platform_health.estimated_performance import check_performance
from tests.builders import T0, at
from tests.helpers.drifting_line import NAME, drifting_line, promote

HOUR = 60
DAYS = 50
SERVED = 21  # day of the promotion
NOW = at(DAYS * 24 * HOUR)
MEASURED = {
    "precision": 0.8,
    "recall": 0.7,
    "precision_interval": [0.7, 0.9],
    "recall_interval": [0.2, 0.9],
}


def line(high, measured=MEASURED):
    """Return a platform whose champion scores two hours a day 0.8, in the last week `high`: so
    often the problem follows."""
    random = np.random.default_rng(5)
    rows = []
    scores = []
    for hour in range(DAYS * 24):
        recent = hour >= (DAYS - 7) * 24
        score = (high if recent else 0.8) if hour % 24 in (3, 15) else 0.02
        problem = random.random() < score
        rows += [
            ReadingRow("oven-1", at(hour * HOUR + minute), {"moisture": value})
            for minute, value in ((0, 3.0), (5, 5.0 if problem else 3.0), (30, 3.0))
        ]
        scores.append((hour, score))
    platform, _ = drifting_line(rows)
    platform.clock.instant = NOW
    evidence = {"operating_rows": measured} if measured else {}
    promote(platform, NAME, 2, T0, at(SERVED * 24 * HOUR), **evidence)
    for hour, score in scores:
        if hour >= SERVED * 24:
            platform.scores.add(NAME, "oven-1", [Score(at(hour * HOUR), score, 0.5, 2)])
    return platform


def alerts(platform):
    return [a for a in platform.platform_alerts.open() if a.kind == UNDERPERFORMS]


def test_a_model_that_is_clearly_worse_than_at_its_promotion_raises_an_alert_until_it_is_not():
    platform = line(0.55)
    said = check_performance(platform, NOW)
    assert "precision 55 % instead of 80 %" in said[NAME]
    assert "Präzision 55\u00a0% statt 80\u00a0%, " in language("de").translate(said[NAME])
    (alert,) = alerts(platform)
    assert (alert.subject, alert.reason) == (NAME, said[NAME])
    assert check_performance(platform, NOW) == said
    assert alerts(platform) == [alert]
    promote(platform, NAME, 3, T0, NOW + timedelta(hours=1))
    check_performance(platform, NOW + timedelta(hours=2))
    assert alerts(platform) == [], "another model serves"


def test_a_model_that_does_as_measured_raises_none():
    platform = line(0.8)
    assert "precision 80 % instead of 80 %" in check_performance(platform, NOW)[NAME]
    assert alerts(platform) == []


def test_without_a_measured_performance_nothing_is_compared():
    platform = line(0.55, measured=None)
    assert check_performance(platform, NOW) == {}
    assert alerts(platform) == []


def test_a_model_that_cannot_be_checked_stops_no_other_and_keeps_its_alert(monkeypatch):
    platform = line(0.55)
    check_performance(platform, NOW)

    def failing(*_):
        raise UserError("a value is no number")

    monkeypatch.setattr(estimated_performance, "gather_material", failing)
    assert check_performance(platform, NOW) == {}
    assert len(alerts(platform)) == 1
