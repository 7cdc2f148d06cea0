"""The page of the models of a definition: the facts of `alerting models`, what waits, what trains,
and what was learned."""

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest

from alerting.usecases.definitions.platform_alerts import record_waiting
from alerting.usecases.definitions.sync import apply
from alerting.usecases.training.due import begin_training
from alerting.usecases.training.promote import model_history
from alerting.usecases.training.train import train
from tests.builders import at, too_hot
from tests.helpers.console.episode_page import browser_of
from tests.helpers.console.pages import ADMIN_TOKEN, VIEWER_TOKEN, log_in
from tests.helpers.recipe_line import DAY, DOCUMENT, running

pytestmark = pytest.mark.models


def text_of(page):
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page.text)))


@pytest.fixture(scope="module")
def trained():
    platform = running()
    platform.clock.instant = at(2 * DAY)
    train(platform, DOCUMENT["name"], at(2 * DAY))
    return platform


def test_learned_limits_are_listed_by_group_with_their_unit(trained):
    page = browser_of(trained).get(f"/models/{DOCUMENT['name']}").text
    assert "press-1: force, quantile 0.99" in page
    assert "<tr><td>recipe B</td><td>720</td><td>20.8 kN</td></tr>" in page


def test_the_page_has_the_facts_of_the_command(trained):
    name = DOCUMENT["name"]
    history = model_history(trained, name)
    page = text_of(browser_of(trained).get(f"/models/{name}"))
    assert f"Version {history['champion']} is in service since" in page
    assert history["decisions"][0]["reason"] in page
    assert history["training"]["run_id"] in page
    assert f"{len(history['versions'])} version" in page


def test_a_training_under_way_is_shown_with_its_step_and_nobody_is_asked_to_train():
    platform = running()
    name = DOCUMENT["name"]
    platform.clock.instant = at(2 * DAY)
    browser = browser_of(platform)
    assert "It begins by itself within a minute or two" in text_of(browser.get(f"/models/{name}"))
    begin_training(platform, platform.definitions.newest_revision(name), None)
    platform.clock.instant += timedelta(minutes=4)
    page = text_of(browser.get(f"/models/{name}"))
    assert "A training is under way since today 00:00." in page
    assert "Building the dataset" in page
    assert "last progress 4 min ago" in page
    assert "It begins by itself" not in page
    assert model_history(platform, name)["unfinished"]["step"] == "building the dataset"
    platform.clock.instant += timedelta(hours=1)
    assert "It was probably interrupted" in text_of(browser.get(f"/models/{name}"))
    [training] = platform.trainings.for_definitions([name])
    platform.trainings.end(replace(training, ended_at=platform.clock.now()))
    assert "under way" not in text_of(browser.get(f"/models/{name}"))


def test_a_model_that_waits_for_approval_is_shown_with_the_reason(browser, platform):
    log_in(browser, VIEWER_TOKEN)
    apply(platform, [{**too_hot(), "name": "other"}], "ann", at(0), "test")
    assert "This alert has fixed limits and needs no model." in browser.get("/models/other").text
    page = browser.get("/models/too-moist").text
    assert "No model is in service yet." in page
    assert "not trained yet" in page
    record_waiting(platform.platform_alerts, "too-moist", "Its threshold finds no problem.", at(0))
    page = browser.get("/models/too-moist").text
    assert "A model waits for approval." in page
    assert "Its threshold finds no problem." in page
    assert "not trained yet" not in page
    assert "/decide" not in page  # a viewer decides nothing


def test_why_a_model_waits_is_told_in_the_language_of_the_reader_with_what_was_recorded():
    platform = running()
    name = DOCUMENT["name"]
    apply(platform, [{**DOCUMENT, "promotion": {"mode": "approval"}}], "ann", at(1), "test")
    platform.clock.instant = at(2 * DAY)
    reason = train(platform, name, at(2 * DAY)).reason
    engineer = browser_of(platform)
    log_in(engineer, ADMIN_TOKEN)
    for address in (f"/models/{name}", f"/models/{name}/decide"):
        page = text_of(engineer.get(address, headers={"accept-language": "de"}))
        assert "Es kommt nur in den Einsatz, wenn jemand zustimmt." in page
        assert reason in page
