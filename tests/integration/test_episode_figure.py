"""The figure of an e-mail: from the episode and its readings to a PNG that says what it shows."""

import io

import matplotlib.image
import pytest

from alerting.pipelines.definitions import apply
from alerting.pipelines.episode_figure import episode_figure
from alerting.pipelines.evaluate import evaluate
from alerting.pipelines.notify import deliver_due
from alerting.pipelines.ports import ReadingRow
from alerting.reporting.episode_drawing import drawn_variable, episode_drawing
from tests.builders import at, history, oven, too_hot
from tests.contracts.test_episodes import episode, full_episode
from tests.pretended import Mailbox, pretended_platform


def hot_line(every=1, **changes):
    mail = Mailbox("mail")
    platform = pretended_platform(mail)
    platform.assets.put([oven()])
    apply(platform, [too_hot(stale_after="1d", **changes)], "engineer", at(0), "test")
    minutes = range(0, 601, every)
    values = {m: 205.0 + (m % 7) + (25.0 if m >= 540 else 0.0) for m in minutes}
    platform.readings.add_readings([ReadingRow("oven-1", at(m), {"temperature": v}) for m, v in values.items()], at(0))
    platform.clock.instant = at(600)
    evaluate(platform, None, at(600))
    deliver_due(platform, at(600))
    return platform, mail


def test_a_message_draws_the_hour_before_its_raise_and_says_it_in_words():
    _, mail = hot_line()
    picture = mail.messages[0].draw()
    assert matplotlib.image.imread(io.BytesIO(picture.png)).shape[:2] == (320, 640)
    assert len(picture.png) < 60_000
    assert (
        picture.words == "Zone 2 temperature, °C; dashed: limit 215; 205 to 236 from 05 Jan 08:01 to 05 Jan 10:00 UTC, last 235"
    )


def test_where_readings_are_rare_more_of_the_past_is_drawn():
    _, mail = hot_line(every=60)
    assert "from 05 Jan 00:00" in mail.messages[0].draw().words


def test_the_figure_is_of_the_revision_that_raised_it_and_of_nothing_where_the_readings_are_gone():
    platform, _ = hot_line()
    [one] = platform.episodes.find()
    platform.readings._readings.delete_many({})
    assert episode_figure(platform, one, at(600)) is None


@pytest.mark.parametrize("values", [[None] * 20, ["a"] * 20], ids=["missing", "categories"])
def test_what_is_no_number_is_not_drawn(values):
    assert episode_drawing(episode(), history(range(20), temperature=values), "temperature") is None


def test_of_a_risk_its_strongest_contribution_is_drawn_with_its_usual_value():
    risky = full_episode()
    assert drawn_variable(risky) == "temperature"
    assert drawn_variable(episode()) is None
    png, words = episode_drawing(risky, history(range(60), temperature=[210.0 + m / 10 for m in range(60)]), "temperature")
    assert png.startswith(b"\x89PNG")
    assert words.startswith("Zone 2 temperature, °C; dashed: usual 208; 210 to 215.9")
