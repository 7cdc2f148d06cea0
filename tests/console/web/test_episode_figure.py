"""The figure of an e-mail: from the episode and its readings to a PNG that says what it shows."""

import io
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import matplotlib.image
import pytest

from alerting.ports import ReadingRow, Score
from alerting.reporting.figures.episode_chart import describe
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.chart import chart_of, draw_episode
from alerting.usecases.notification.deliver import deliver_due
from tests.builders import at, oven, too_hot, too_moist
from tests.helpers.episodes import full_episode
from tests.in_memory_platform import Mailbox, in_memory_platform


def hot_line(every=1, **changes):
    mail = Mailbox("mail")
    platform = in_memory_platform(mail)
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot(stale_after="1d", **changes)], "engineer", at(0), "test")
    minutes = range(0, 601, every)
    values = {m: 205.0 + (m % 7) + (25.0 if m >= 540 else 0.0) for m in minutes}
    add_readings(
        platform,
        [ReadingRow("oven-1", at(m), {"temperature": v}) for m, v in values.items()],
        at(0),
    )
    platform.clock.instant = at(600)
    evaluate(platform, None, at(600))
    deliver_due(platform, at(600))
    return platform, mail


def risky_line(temperature, moisture=None):
    """An open episode of a model on a line with these temperatures, one each minute up to its raise
    and for an hour after."""
    platform = in_memory_platform()
    platform.assets.store_assets([oven()])
    apply(platform, [too_moist()], "engineer", at(0), "test")
    risky = full_episode()
    risky = replace(
        risky,
        revision=1,
        condition="open",
        closed_at=None,
        valid_until=risky.raised_at + timedelta(minutes=30),
    )
    start = risky.raised_at - timedelta(hours=2)
    rows = []
    for minute in range(180):
        values = {"temperature": temperature, "moisture": moisture}
        given = {name: value(minute) for name, value in values.items() if value is not None}
        rows.append(ReadingRow("oven-1", start + timedelta(minutes=minute), given))
    add_readings(platform, rows, start)
    return platform, risky


def test_a_message_draws_the_hour_before_its_raise_and_says_it_in_words():
    _, mail = hot_line()
    picture = mail.messages[0].draw()
    assert matplotlib.image.imread(io.BytesIO(picture.png)).shape[:2] == (364, 840)
    assert len(picture.png) < 60_000
    assert picture.description == (
        "Zone 2 temperature 205 to 236 °C, last 235 °C, limit 215 °C; from 5 Jan 08:01 to 5 "
        "Jan 10:00"
    )


def test_the_times_of_a_figure_are_those_of_the_plant():
    platform, _ = hot_line()
    [one] = platform.episodes.find()
    assert (
        "from 5 Jan 09:01 to 5 Jan 11:00"
        in draw_episode(replace(platform, zone=ZoneInfo("Europe/Berlin")), one, at(600)).description
    )


def test_where_readings_are_too_many_the_newest_part_is_drawn_and_said_to_be_a_part():
    platform, _ = hot_line()
    [one] = platform.episodes.find()
    start = one.raised_at
    now = one.raised_at + timedelta(hours=23)
    rows = [
        ReadingRow(
            "oven-1", start - timedelta(hours=1) + timedelta(seconds=s), {"temperature": 230.0}
        )
        for s in range(3600)
    ]
    add_readings(
        platform,
        [*rows, ReadingRow("oven-1", now - timedelta(minutes=30), {"temperature": 231.0})],
        now,
    )
    chart = chart_of(platform, one, now)
    assert now - chart.start < timedelta(hours=6)
    assert chart.cut == "only the last 2 h 13 min are drawn"


def test_the_figure_is_of_the_revision_that_raised_it_and_of_nothing_where_the_readings_are_gone():
    platform, _ = hot_line()
    [one] = platform.episodes.find()
    platform = replace(platform, readings=in_memory_platform().readings)
    assert draw_episode(platform, one, at(600)) is None


@pytest.mark.parametrize("value", [None, "a"], ids=["missing", "categories"])
def test_what_is_no_number_is_not_drawn(value):
    platform, _ = hot_line()
    [one] = platform.episodes.find()
    platform = replace(platform, readings=in_memory_platform().readings)
    values = {} if value is None else {"temperature": value}
    add_readings(platform, [ReadingRow("oven-1", at(m), values) for m in range(601)], at(0))
    assert draw_episode(platform, one, at(600)) is None


def test_of_a_risk_its_scores_with_threshold_and_variable_of_the_problem_with_its_limit_are_drawn():
    platform, risky = risky_line(lambda m: 210.0, lambda m: 3.0 + m / 100)
    rows = [
        Score(risky.raised_at + timedelta(minutes=m), 0.3 + 0.01 * m, 0.31, risky.model_version)
        for m in range(-30, 41, 5)
    ]
    platform.scores.add("too-moist", "oven-1", rows)
    platform.scores.add(
        "too-moist", "oven-2", [Score(risky.raised_at, 0.99, 0.31, risky.model_version)]
    )
    risky = replace(risky, definition="too-moist", kind="classifier", is_prediction=True)
    chart = chart_of(platform, risky, risky.raised_at + timedelta(minutes=40))
    assert [(p.name, [level.value for level in p.levels]) for p in chart.panels] == [
        ("Risk", [risky.evaluation.threshold]),
        ("moisture", [4.5]),
        ("Zone 2 temperature", [210.0]),
    ]
    assert chart.panels[0].values.max() < 0.75
    assert chart.window == (risky.raised_at, risky.valid_until)
    picture = draw_episode(platform, risky, risky.raised_at + timedelta(minutes=40))
    assert picture.png.startswith(b"\x89PNG")
    assert picture.description.startswith("Risk 0 % to 70 %, last 70 %, alarm at ")


def test_a_spike_of_one_reading_among_many_is_drawn():
    platform, _ = hot_line()
    [one] = platform.episodes.find()
    rows = [
        ReadingRow(
            "oven-1", at(480) + timedelta(seconds=s), {"temperature": 300.0 if s == 4321 else 210.0}
        )
        for s in range(7200)
        if s % 60
    ]
    add_readings(platform, rows, at(600))
    [panel] = chart_of(platform, one, at(600)).panels
    assert len(panel.at) < 1300
    assert panel.values.max() == 300.0


def test_chart_of_a_prediction_that_comes_true_goes_on_with_its_problem_and_marks_when_it_came():
    platform, risky = risky_line(lambda _: 205.0, lambda minute: 5.0 if minute >= 130 else 4.0)
    raised = risky.raised_at
    came = raised + timedelta(minutes=15)
    happening = replace(
        risky,
        definition="too-moist",
        kind="classifier",
        happening_at=came,
        prediction_ended_at=came,
    )
    now = raised + timedelta(minutes=55)
    chart = chart_of(platform, happening, now)
    assert (chart.happening_at, chart.closed_at, chart.now, chart.end) == (came, None, now, now)
    assert "moisture 4 to 5" in describe(chart)
    over = replace(happening, condition="closed", closed_at=raised + timedelta(minutes=40))
    ended = chart_of(platform, over, raised + timedelta(hours=5))
    assert (ended.closed_at, ended.now, ended.end) == (
        over.closed_at,
        None,
        over.closed_at + timedelta(minutes=10),
    )
    assert draw_episode(platform, happening, now).png[:4] == b"\x89PNG"
