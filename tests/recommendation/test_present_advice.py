"""Reasons and advice of a prediction are computed again while its problem is expected, the same
however it is evaluated."""

import re
from datetime import timedelta

import pytest

from alerting.learning.models import model_files
from tests import small_models
from tests.helpers.coming_true import CRITICAL, NORMAL, START, Line, at
from tests.helpers.console.episode_page import browser_of

pytestmark = pytest.mark.models

HOT = 225.0
COLD = 205.0
END = 75


@pytest.fixture(scope="module", autouse=True)
def model():
    """A model of the humidity and of the set-point, which operators can change."""
    data = small_models.dataset(hours=60)
    made = small_models.linear_model(
        data.plan,
        data.rows,
        {"humidity.last": 3.0, "setpoint.last": 2.0},
        threshold=0.5,
        training_cutoff=START - timedelta(1),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_files, "model_from_files", lambda files: made)
        yield made


def line(**changes):
    """A line that is too humid from 1 on; the operator lowers the set-point at 25."""
    made = Line(**changes)
    made.feed(range(1, END), humidity=CRITICAL, moisture=4.0)
    made.feed(range(1, 25), setpoint=HOT)
    made.feed(range(25, END), setpoint=COLD)
    return made


def content(episode):
    present = episode.present
    return (
        None
        if present is None
        else (present.at, present.risk, present.contributions, present.recommendation)
    )


def test_the_raise_keeps_its_advice_and_the_present_one_follows_the_readings():
    one = line()
    one.run(10)
    [raised] = one.episodes
    assert raised.present is None
    one.run(20)
    [same] = one.episodes
    assert (same.present.at, same.present.since, same.present.earlier) == (at(20), at(10), ())
    assert same.present.recommendation.changes == raised.recommendation.changes != ()
    one.run(30)
    [after] = one.episodes
    assert (after.present.at, after.present.since, after.present.earlier) == (at(30), at(10), ())
    assert after.recommendation == after.advice == raised.recommendation
    assert (after.present.contributions, after.advised_at) == (raised.contributions, at(10))
    assert after.present.risk < same.present.risk


def test_it_is_not_computed_once_the_variable_is_beyond_its_limit_nor_after_the_end():
    early = line()
    later = line()
    early.feed(range(12, 60), moisture=5.5)
    later.feed(range(26, 60), moisture=5.5)
    for one in (early, later):
        one.run(*range(5, END, 5))
    assert (early.episodes[0].happening_at, early.episodes[0].present) == (at(22), None)
    assert (later.episodes[0].happening_at, later.episodes[0].present.at) == (at(36), at(20))


def test_it_is_computed_again_when_the_variable_is_within_its_limit_before_the_problem():
    one = line()
    one.feed(range(12, 17), moisture=5.5)
    one.run(*range(5, 25, 5))
    assert (one.episodes[0].happening_at, one.episodes[0].present.at) == (None, at(20))


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("end", [35, 74])
def test_one_catch_up_gives_the_advice_of_every_step(end, late):
    step_by_step = line()
    at_once = line()
    step_by_step.run(*range(3, end, 3), end)
    if late:
        for made in (step_by_step, at_once):
            made.feed(range(15, 25), now=end, humidity=NORMAL + 8)
        step_by_step.run(end + 1)
    at_once.run(end + late)
    assert [content(e) for e in step_by_step.episodes] == [content(e) for e in at_once.episodes]
    assert any(e.present for e in at_once.episodes)


ANSWER = r'name="taken" value="(\w+)" checked'


def test_page_says_that_change_took_effect_and_proposes_the_answer_that_only_the_operator_gives():
    one = line()
    one.run(10, 20)
    [raised] = one.episodes
    browser = browser_of(one.platform)
    assert re.findall(ANSWER, browser.get(f"/episodes/{raised.id}").text) == []
    one.run(30)
    page = browser.get(f"/episodes/{raised.id}").text
    assert "The change you made has taken effect: risk" in page
    assert re.findall(ANSWER, page)[0] in ("yes", "partly")
    assert one.platform.feedback.for_episode(raised.id) == []
