"""A backtest whose readings end, or pause, while an episode is open: what is drawn, counted and
summed up is the same time."""

import re

import pytest

from alerting.ports import ReadingRow
from alerting.usecases.backtest.backtest import backtest, written_subject
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at, oven, too_hot
from tests.in_memory_platform import in_memory_platform

HOUR = 60
DAY = 24 * 60


def made(minutes, end=20 * DAY, **changes):
    """A backtest of twenty days over readings every ten minutes at these minutes: hot in the last
    two hours of each stretch."""
    platform = in_memory_platform()
    platform.assets.store_assets([oven()])
    rows = [
        ReadingRow("oven-1", at(m), {"temperature": 230.0 if is_hot else 200.0})
        for m, is_hot in minutes
    ]
    add_readings(platform, rows, at(0))
    platform.clock.instant = at(end)
    subject = written_subject(platform, too_hot(**{"stale_after": "20m", **changes}))
    return backtest(platform, subject, at(0), at(end))


def stretch(start, end):
    """Readings of a stretch, hot in its last two hours; the last one holds for twenty minutes."""
    return [(m, m >= end - 2 * HOUR) for m in range(start + 10, end + 1, 10)]


def bars(page):
    """Widths and heights of the bars of the timeline: thick ones in which the alert was in alarm,
    thin ones while it was open."""
    drawing = page[page.index("Time line:") :].split('class="legend"')[0].split("</figure>")[0]
    pattern = (
        r'<rect class="block"[^>]* width="([.\d]+)%"[^>]* height="([.\d]+)" fill="var\(--undet'
    )
    return [(float(width), float(height)) for width, height in re.findall(pattern, drawing)][:2]


ENDS = stretch(0, 12 * DAY)
PAUSES = [*stretch(0, 4 * DAY), *stretch(12 * DAY, 20 * DAY - 20)]


@pytest.mark.parametrize(
    ("minutes", "episodes", "known", "alarm"), [(ENDS, 1, 288.2, 2.3), (PAUSES, 2, 287.8, 4.7)]
)
def test_a_stretch_without_data_is_neither_watched_nor_in_alarm_nor_the_longest_episode(
    minutes, episodes, known, alarm
):
    result = made(minutes)
    assert len(result.episodes) == episodes
    hours = [float(n) for n in re.findall(r"[\d.]+", result.metrics["time_in_alarm"]["basis"])]
    assert hours == [pytest.approx(alarm, abs=0.11), pytest.approx(known, abs=0.2)]
    assert result.load["longest_s"] == pytest.approx(2 * 3600 + 20 * 60, abs=1)
    assert "8 d" not in result.page.partition("<h2>Data and evaluation")[0], "said of the gap alone"


def test_the_drawing_shows_no_alarm_where_there_are_no_data():
    thin, thick = sorted(bars(made(ENDS).page), key=lambda bar: bar[1])
    assert thin[1] < thick[1] / 4
    assert thin[0] > 20 * thick[0]  # open for eight days, in alarm for two hours and a third


def test_missing_data_that_are_the_alarm_are_time_in_alarm():
    result = made(ENDS, no_data="alert")
    assert result.load["longest_s"] == pytest.approx(8 * 86_400 + 2 * 3600, abs=1)
    assert result.metrics["time_in_alarm"]["basis"] == "194.0 of 479.8 asset-hours"
