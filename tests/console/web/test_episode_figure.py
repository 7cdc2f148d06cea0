"""The figure of an e-mail: from the episode and its readings to a PNG that says what it shows."""

import io
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import matplotlib.image
import pytest

from alerting.definitions.asset_documents import Variable
from alerting.episodes.episode import Contribution
from alerting.ports import ReadingRow, Score, TargetScores
from alerting.reporting.variable_charts import describe
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.episode_values import chart_of, draw_episode
from tests.builders import at, oven, too_moist
from tests.helpers.console.episode_page import hot_now
from tests.helpers.episodes import full_episode
from tests.in_memory_platform import Mailbox, in_memory_platform


@pytest.fixture
def hot():
    """Return a line that got too hot, its only episode, and the message on it."""
    mail = Mailbox("mail")
    platform = hot_now(mail)
    [one] = platform.episodes.find()
    return platform, one, mail.messages[0]


def each_second(start, seconds, value=lambda _: 230.0):
    """Return readings of an oven at these seconds after a start."""
    return [
        ReadingRow("oven-1", start + timedelta(seconds=s), {"temperature": value(s)})
        for s in seconds
    ]


def risky_line(temperature, moisture):
    """Return an open episode of a model on a line with these values, one each minute for the two
    hours up to its raise and for an hour after."""
    platform = in_memory_platform()
    platform.assets.store_assets([oven()])
    apply(platform, [too_moist()], "engineer", at(0), "test")
    risky = full_episode()
    model = {"definition": "too-moist", "kind": "classifier", "revision": 1, "is_prediction": True}
    present = {"condition": "open", "closed_at": None}
    risky = replace(risky, valid_until=risky.raised_at + timedelta(minutes=30), **present, **model)
    start = risky.raised_at - timedelta(hours=2)
    rows = [
        ReadingRow(
            "oven-1",
            start + timedelta(minutes=minute),
            {"temperature": temperature, "moisture": moisture(minute)},
        )
        for minute in range(180)
    ]
    add_readings(platform, rows, start)
    return platform, risky


def test_a_message_draws_the_hour_before_its_raise_and_says_it_in_words(hot):
    platform, one, message = hot
    picture = message.draw()
    assert matplotlib.image.imread(io.BytesIO(picture.png)).shape[:2] == (364, 840)
    assert len(picture.png) < 60_000
    what = "Zone 2 temperature 205 to 236 °C, last 235 °C, limit 215 °C"
    assert picture.description == f"{what}; from 5 Jan 08:01 to 5 Jan 10:00"
    of_berlin = replace(platform, zone=ZoneInfo("Europe/Berlin"))
    drawn = draw_episode(of_berlin, one, at(600))
    assert drawn.description == f"{what}; from 5 Jan 09:01 to 5 Jan 11:00"


def test_where_readings_are_too_many_the_newest_part_is_drawn_and_said_to_be_a_part(hot):
    platform, one, _ = hot
    now = one.raised_at + timedelta(hours=23)
    rows = each_second(one.raised_at - timedelta(hours=1), range(3600))
    add_readings(platform, [*rows, *each_second(now - timedelta(minutes=30), [0])], now)
    chart = chart_of(platform, one, now)
    assert now - chart.start < timedelta(hours=6)
    assert chart.cut == "only the last 2 h 13 min are drawn"


@pytest.mark.parametrize("values", [None, {}, {"temperature": "a"}])
def test_what_is_gone_missing_or_no_number_is_not_drawn(hot, values):
    platform, one, _ = hot
    platform = replace(platform, readings=in_memory_platform().readings)
    rows = [] if values is None else [ReadingRow("oven-1", at(m), values) for m in range(601)]
    add_readings(platform, rows, at(0))
    assert draw_episode(platform, one, at(600)) is None


def test_of_a_risk_its_scores_with_threshold_and_variable_of_the_problem_with_its_limit_are_drawn():
    platform, risky = risky_line(210.0, lambda m: 3.0 + m / 100)
    raised = risky.raised_at
    rows = [
        Score(raised + timedelta(minutes=m), 0.3 + 0.01 * m, 0.31, risky.model_version)
        for m in range(-30, 41, 5)
    ]
    platform.scores.add_many([TargetScores("too-moist", "oven-1", rows)])
    platform.scores.add_many(
        [TargetScores("too-moist", "oven-2", [Score(raised, 0.99, 0.31, risky.model_version)])]
    )
    chart = chart_of(platform, risky, raised + timedelta(minutes=40))
    assert [(p.name, [level.value for level in p.levels]) for p in chart.panels] == [
        ("Risk", [risky.evaluation.threshold]),
        ("moisture", [4.5]),
        ("Zone 2 temperature", [210.0]),
    ]
    assert chart.panels[0].values.max() < 0.75
    assert chart.window == (raised, risky.valid_until)
    picture = draw_episode(platform, risky, raised + timedelta(minutes=40))
    assert picture.png.startswith(b"\x89PNG")
    assert picture.description.startswith("Risk 0 % to 70 %, last 70 %, alarm at ")


def test_variable_of_the_first_reason_is_drawn_with_its_usual_range_beside_the_advised_one():
    platform, risky = risky_line(210.0, lambda m: 3.0 + m / 100)
    platform.assets.store_assets([oven(humidity=Variable())])
    start = risky.raised_at - timedelta(hours=2)
    rows = [
        ReadingRow("oven-1", start + timedelta(minutes=m), {"humidity": 9.0 + m / 100})
        for m in range(180)
    ]
    add_readings(platform, rows, start)
    because = Contribution("humidity", 0.5, 10.8, 8.0, "", 7.0, 9.0, members=("humidity", "fan"))
    risky = replace(risky, contributions=(because, *risky.contributions))
    chart = chart_of(platform, risky, risky.raised_at + timedelta(minutes=40))
    assert [(p.name, [level.value for level in p.levels]) for p in chart.panels][1:] == [
        ("moisture", [4.5]),
        ("humidity", [7.0, 9.0]),
        ("Zone 2 temperature", [210.0]),
    ]


def test_a_spike_of_one_reading_among_many_is_drawn(hot):
    platform, one, _ = hot
    seconds = (s for s in range(7200) if s % 60)
    rows = each_second(at(480), seconds, lambda s: 300.0 if s == 4321 else 210.0)
    add_readings(platform, rows, at(600))
    [panel] = chart_of(platform, one, at(600)).panels
    assert (len(panel.at) < 1300, panel.values.max()) == (True, 300.0)


def test_chart_of_a_prediction_that_comes_true_goes_on_with_its_problem_and_marks_when_it_came():
    platform, risky = risky_line(205.0, lambda minute: 5.0 if minute >= 130 else 4.0)
    raised = risky.raised_at
    came = raised + timedelta(minutes=15)
    happening = replace(risky, happening_at=came, prediction_ended_at=came)
    now = raised + timedelta(minutes=55)
    chart = chart_of(platform, happening, now)
    assert (chart.happening_at, chart.closed_at, chart.now, chart.end) == (came, None, now, now)
    assert "moisture 4 to 5" in describe(chart)
    closed = raised + timedelta(minutes=40)
    over = replace(happening, condition="closed", closed_at=closed)
    ended = chart_of(platform, over, raised + timedelta(hours=5))
    times = (ended.closed_at, ended.now, ended.end)
    assert times == (closed, None, closed + timedelta(minutes=10))
    assert draw_episode(platform, happening, now).png[:4] == b"\x89PNG"
