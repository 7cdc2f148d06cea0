"""The page of the models of a definition: what waits for a person, and what was learned from readings alone."""

from alerting.usecases.definitions.platform_alerts import record_waiting
from alerting.usecases.definitions.sync import apply
from alerting.usecases.training.train import train
from tests.builders import at, too_hot
from tests.helpers.console.episode_page import browser_of
from tests.helpers.console.pages import VIEWER_TOKEN, log_in
from tests.helpers.recipe_line import DAY, DOCUMENT, running


def test_learned_limits_are_listed_by_group_with_their_unit():
    platform = running()
    platform.clock.instant = at(2 * DAY)
    train(platform, DOCUMENT["name"], at(2 * DAY))
    page = browser_of(platform).get(f"/models/{DOCUMENT['name']}").text
    assert "press-1: force, quantile 0.99" in page
    assert "<tr><td>recipe B</td><td>720</td><td>20.8 kN</td></tr>" in page


def test_a_model_that_waits_for_approval_is_shown_with_the_reason(browser, platform):
    log_in(browser, VIEWER_TOKEN)
    apply(platform, [{**too_hot(), "name": "other"}], "ann", at(0), "test")
    page = browser.get("/models/other").text
    assert "No decision yet: train it with" in page
    record_waiting(platform.platform_alerts, "other", "Its threshold finds no problem.", at(0))
    page = browser.get("/models/other").text
    assert "A model waits for approval since" in page
    assert "Its threshold finds no problem." in page
    assert "train it with" not in page
