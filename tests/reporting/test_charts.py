"""The one component of charts: ticks, limits, legend, gaps and words, and its two drawings."""

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from alerting.definitions.wording.language import ENGLISH, language
from alerting.reporting.charts import (
    LimitLine,
    Plot,
    figure,
    legend,
    number_ticks,
    round_numbers,
    svg,
    time_ticks,
)
from alerting.reporting.model_charts import importance_bars
from alerting.reporting.pictures import png
from alerting.reporting.report_page import bars
from alerting.reporting.variable_charts import (
    ChartLevel,
    EpisodeChart,
    Panel,
    episode_figure,
    panel_plot,
)
from tests.builders import at

pytestmark = pytest.mark.fast
GERMAN = language("de")
BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = 60_000
NUMBERS = {
    (0, 1, ENGLISH): ["0", "0.2", "0.4", "0.6", "0.8", "1"],
    (3.1, 5.3, GERMAN): ["3,5", "4", "4,5", "5"],
    (-2e6, 1e6, ENGLISH): ["-2000000", "-1000000", "0", "1000000"],
    (217.2, 217.9, GERMAN): ["217,2", "217,4", "217,6", "217,8"],
    (5, 5, ENGLISH): [],
}
TIMES = {
    ("2026-03-28T20:00", 3 * 60): [
        "21:00 28 Mar",
        "21:30",
        "22:00",
        "22:30",
        "23:00",
        "23:30",
        "00:00 29 Mar",
    ],
    ("2026-03-28T21:10", 8 * 60): [  # the clock goes forward at 02:00
        *("23:00 28 Mar", "00:00 29 Mar", "01:00", "03:00", "04:00", "05:00", "06:00", "07:00"),
    ],
    ("2026-10-24T22:00", 6 * 60): [  # and back at 03:00
        *("00:00 25 Oct", "01:00", "02:00", "03:00", "04:00", "05:00"),
    ],
    ("2026-01-05T06:00", 0.1): [f"07:00:0{s}{' 5 Jan' * (s == 0)}" for s in range(7)],
    ("2026-01-05T06:00", 2160): ["12:00 5 Jan", "18:00", "00:00 6 Jan", "06:00", "12:00", "18:00"],
    ("2026-01-01T00:00", 366 * 1440): [  # a year by month
        *("Feb 2026", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
        "Jan 2027",
    ],
    ("2025-11-15T00:00", 1000 * 1440): [
        *("Jan 2026", "Apr", "Jul", "Oct", "Jan 2027", "Apr", "Jul", "Oct", "Jan 2028", "Apr"),
        "Jul",
    ],
}


def panel(values, levels=(), **changes):
    stamps = np.arange(len(values), dtype=np.int64) * MINUTE
    return Panel("belt", "m/min", stamps, np.array(values, np.float64), levels, **changes)


def plot_of(made, **changes):
    return panel_plot(made, 0, 9 * MINUTE, (), **changes)


def test_numbers_on_an_axis_are_round_and_in_the_language_of_the_reader():
    assert {k: [text for _, text in number_ticks(*k)] for k in NUMBERS} == NUMBERS
    steps = {
        float(f"{np.diff(round_numbers(0, top))[0]:.1e}"[:3]) for top in np.geomspace(1, 10, 99)
    }
    assert steps == {1.0, 2.0, 5.0}


def test_times_on_an_axis_are_round_by_the_clock_of_the_plant_with_the_date_where_a_day_begins():
    shown = {}
    for start, minutes in TIMES:
        first = datetime.fromisoformat(start).replace(tzinfo=UTC)
        ticks = time_ticks(first, first + timedelta(minutes=minutes), BERLIN)
        assert [t for t, _ in ticks] == sorted({t for t, _ in ticks})
        shown[start, minutes] = [text.replace("\n", " ") for _, text in ticks]
    assert shown == TIMES


def test_every_limit_is_drawn_with_its_text_also_far_outside_of_the_values():
    levels = tuple(ChartLevel(value, "limit") for value in (4.5, 4.6, -900.0, 900.0))
    drawn = str(svg([plot_of(panel([3.0, 4.0], levels))], ""))
    assert re.findall(r">([^<]*limit[^<]*)<", drawn) == [
        *("↑ limit 900 m/min", "limit 4.6 m/min", "limit 4.5 m/min", "↓ limit -900 m/min"),
    ]
    assert drawn.count('class="level"') == 4
    heights = [float(y) for y in re.findall(r'class="level-words"[^>]* y="([\d.]+)"', drawn)]
    assert min(np.diff(heights)) >= 14, "texts lie apart"


def test_texts_of_limits_of_two_variables_in_one_plot_lie_apart():
    left = Plot((0, 100), (0, 10), 120, levels=[LimitLine(5, "left"), LimitLine(9.9, "high")])
    right = Plot((0, 100), (0, 20), 120, levels=[LimitLine(10, "right"), LimitLine(19.9, "top")])
    right.is_right = True
    drawn = svg([left, right], "two")
    heights = sorted(float(y) for y in re.findall(r'class="level-words"[^>]* y="([\d.]+)"', drawn))
    assert len(heights) == 4
    assert min(np.diff(heights)) >= 14
    assert (heights[0] > 0, heights[-1] <= 120) == (True, True)


def test_no_line_leads_across_a_gap_and_no_value_is_read_out_in_it():
    gap = panel([1.0, 2.0, np.nan, np.nan, np.nan, 5.0, 6.0])
    known = ~np.isnan(gap.values)
    made = Panel(gap.name, gap.unit, gap.at[known], gap.values[known], hold=timedelta(minutes=2))
    plot = plot_of(made)
    first, last = [[x / MINUTE for x, _ in s.points] for s in plot.shapes if s.kind == "line"]
    assert (first[-1], last[0]) == (3.0, 5.0)
    read = json.loads(unescape(re.search('data-chart="([^"]+)"', figure([plot], ""))[1]))
    [series] = read["panels"][0]["series"]
    assert (series["t"], series["hold"]) == ([0, 60000, 300000, 360000], 120000)


def test_the_legend_lists_what_is_drawn_and_nothing_else():
    plot = Plot((0, 10), (0, 1))
    assert legend([plot]) == ""
    for x in range(3):
        plot.band((x, x + 0.5), "alarm", "alarm <b>", "false-alarm")
    plot.line([0, 1], [0, 1], name="score")
    plot.line([0], [0], name="never drawn")
    plot.dots([], [], name="no dots")
    plot.dots([1], [1])
    assert re.findall(r"</svg>([^<]*)</span>", legend([plot, plot])) == [
        *("alarm &lt;b&gt;", "score"),
    ]


def test_a_control_chart_marks_its_points_beyond_the_limits_and_its_centre_line_is_no_limit():
    levels = (ChartLevel(2, "LCL"), ChartLevel(5, "CL", is_limit=False), ChartLevel(8, "UCL"))
    plot = plot_of(panel([5, 9, 4, 1, 8], levels, is_control=True))
    beyond = [s.points[0][1] for s in plot.shapes if s.look == "dot beyond"]
    assert beyond == [9.0, 1.0]
    assert "beyond the limits" in legend([plot])
    drawn = str(svg([plot], ""))
    assert (drawn.count('class="level"'), drawn.count('class="usual"')) == (2, 1)


def test_the_chart_of_an_episode_says_in_words_what_it_shows():
    chart = EpisodeChart(
        *(
            (panel([3.0, 4.5], (ChartLevel(4.2, "limit"),)),),
            at(0),
            at(9),
            at(1),
            None,
            at(5),
            None,
        ),
        cut="only a part",
    )
    drawn = episode_figure(chart, BERLIN, GERMAN)
    label = "belt 3 bis 4,5\u202fm/min, zuletzt 4,5\u202fm/min, Grenze 4,2\u202fm/min"
    said = re.search('role="img" aria-label="([^"]+)"', drawn)[1].replace("\xa0", "\u202f")
    assert said.replace(" m/min", "\u202fm/min").startswith(label), said
    assert 'aria-live="off"' in drawn
    assert "only a part" in drawn


def test_one_plot_is_an_svg_in_the_colours_of_the_page_and_the_same_bytes_of_a_png():
    plot = Plot((0, 10), (0, 1), title="Risk", y_ticks=number_ticks(0, 1))
    plot.line([0, 5, 20], [0, 1, 0.5], dashed=True, steps=True)
    plot.bar((2, 3), (0, 1), "false-alarm", 0.2)
    plot.dots([4], [0.5])
    plot.levels.append(LimitLine(0.7, "limit ü →"))
    drawn = str(svg([plot], 'a "label"'))
    assert set(re.findall(r"#[0-9a-f]{6}", drawn)) == set(
        re.findall(r"(?<=,)#[0-9a-f]{6}(?=\))", drawn)
    )
    assert "a &#34;label&#34;" in drawn
    points = [
        float(x)
        for x in drawn.split(' d="M')[1].split('"', maxsplit=1)[0].replace("L", " ").split()[::2]
    ]
    assert max(points) == 1000, "what lies outside is drawn at the edge"
    assert png([plot]) == png([plot])
    plot.title = "Loss of $\\frac$ a week"  # a person's text, and no formula
    plot.write(0.5, 0.5, "from $5_a to $6_b")
    assert png([plot])[:4] == b"\x89PNG"
    assert "cost $a{$ &lt;b&gt;" in bars(
        importance_bars({"x": 0.2}, {"x": "cost $a{$ <b>"}), ENGLISH
    )
