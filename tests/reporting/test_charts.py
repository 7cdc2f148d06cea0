"""Charts: the kit, bars of a risk, and those of a training."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from alerting.episodes.episode import Change, Contribution, PresentAdvice, RecommendationResult
from alerting.reporting.figures.bars import SHOWN, risk_steps, waterfall
from alerting.reporting.figures.charts import evidence_charts, swarm
from alerting.reporting.figures.kit import Plot, number_ticks, png, svg, time_ticks
from alerting.reporting.page.charts import importance
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


PNG = b"\x89PNG"


def test_names_with_signs_of_formulas_or_markup_are_drawn_as_they_are_written():
    assert "cost $a{$ &lt;b&gt;" in importance({"x": 0.2}, {"x": "cost $a{$ <b>"})


def test_one_plot_is_an_svg_without_colours_of_its_own_and_the_same_bytes_of_a_png():
    plot = Plot((0, 10), (0, 1), title="Risk", y_ticks=number_ticks(0, 1))
    plot.line([0, 5, 20], [0, 1, 0.5], dashed=True, steps=True)
    plot.bar((2, 3), (0, 1), "false-alarm", 0.2)
    plot.dots([4], [0.5])
    plot.write(10, 0.5, "limit ü →", "end")
    drawn = svg([plot], 'a "label"')
    assert "#" not in drawn
    assert "a &quot;label&quot;" in drawn
    points = [float(x) for x in drawn.split('d="M')[4].split('"')[0].replace("L", " ").split()[::2]]
    assert max(points) <= 760, "what lies outside is drawn at the edge"
    assert png([plot]) == png([plot])
    assert png([plot])[:4] == PNG


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0, 1, ["0", "0.25", "0.5", "0.75", "1"]),
        (3.1, 5.3, ["4", "5"]),
        (-2e6, 1e6, ["-2000000", "-1000000", "0", "1000000"]),
    ],
)
def test_numbers_on_an_axis_are_round_and_written_out(low, high, texts):
    assert [text for _, text in number_ticks(low, high)] == texts


def test_times_on_an_axis_are_round_in_the_zone_of_the_plant():
    start = datetime(2026, 3, 28, 20, tzinfo=UTC)
    hours = time_ticks(start, start + timedelta(hours=8), ZoneInfo("Europe/Berlin"))
    assert [text for _, text in hours][:3] == ["21:00", "22:00", "23:00"]
    days = time_ticks(start, start + timedelta(days=28), UTC)
    assert [text for _, text in days][:2] == ["2 Apr", "7 Apr"]


def test_evidence_of_a_training_is_drawn_as_far_as_there_is_any():
    point = {"intervals": {}, "time_in_alarm": 0.1, "episode_precision": None}
    curve = [
        {**point, "threshold": t, "event_recall": 1 - t, "false_alarms_per_week": 9 - 8 * t}
        | {"chosen": t == 0.5, "within_budget": t > 0.2}
        for t in (0.1, 0.5, 0.9)
    ]
    bins = [{"score": s, "observed": s, "low": s / 2, "high": s, "rows": 9} for s in (0.1, 0.6)]
    evidence = {
        "threshold_curve": curve,
        "reliability": bins,
        "importance": {str(n): 1.0 for n in range(20)},
    }
    found = evidence_charts(evidence, {})
    assert [*found] == [
        "threshold.png",
        "calibration.png",
        "importance.png",
    ]
    assert all(data[:4] == PNG for data in found.values())
    assert evidence_charts({"importance": {}}, {}) == {}
    shares = np.array([[0.1, -0.2], [0.3, 0.0]])
    assert swarm(["a", "b"], shares, np.array([[1, np.nan], [2, np.nan]]), {})[:4] == PNG
