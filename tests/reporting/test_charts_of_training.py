"""Charts of the kit: the same plot for a page and for a mail, and those of a training."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from alerting.reporting.figures.charts import evidence_charts, swarm
from alerting.reporting.figures.kit import Plot, number_ticks, png, svg, time_ticks
from alerting.reporting.page.charts import importance

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
