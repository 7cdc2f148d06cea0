"""The page of the models of a definition: the facts of `alerting models`, what waits, what trains,
and what was learned."""

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest

from alerting.usecases.definitions.platform_alerts import record_waiting
from alerting.usecases.definitions.sync import apply
from alerting.usecases.training.due import begin_training, find_due_trainings
from alerting.usecases.training.promote import model_history
from alerting.usecases.training.runs import answer_run
from alerting.usecases.training.train import train
from tests.builders import at, too_hot, too_moist
from tests.helpers.console.episode_page import browser_of
from tests.helpers.console.pages import ADMIN_TOKEN, VIEWER_TOKEN, csrf_of, log_in
from tests.helpers.learning.stored_platforms import stored_platform
from tests.helpers.learning.waiting import add_waiting
from tests.helpers.recipe_line import DAY, DOCUMENT, running
from tests.helpers.scored_lines import humid_line
from tests.humid_line import NAME as HUMID

pytestmark = pytest.mark.models


def text_of(page):
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page.text)))


def hidden_in(page):
    """Return the hidden fields of the form of a decision."""
    form = page.text.partition("<main")[2]
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))


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


def test_an_engineer_rejects_approves_rolls_back_and_moves_the_point():
    platform = stored_platform(humid_line)
    files = platform.models.model_files(HUMID, 1)
    engineer = browser_of(platform)
    log_in(engineer, ADMIN_TOKEN)
    page = f"/models/{HUMID}"

    def send(act, **fields):
        asked = engineer.get(f"{page}/{act}", params=fields)
        own = hidden_in(asked) | {"csrf": csrf_of(engineer.get("/account"))}
        answer = engineer.post(f"{page}/{act}", data=own | fields)
        return answer.status_code, text_of(answer if answer.text else engineer.get(page))

    add_waiting(platform, HUMID, files, champion_version=1)
    assert "1 model waits for a decision." in text_of(engineer.get("/models"))
    shown = text_of(engineer.get(page))
    assert "waits for a decision" in shown and "too long in alarm" in shown
    status, said = send("decide", answer="reject")
    assert (status, "a rejection needs a reason" in said) == (422, True)
    assert "ada rejected it: not yet" in send("decide", answer="reject", reason="not yet")[1]
    add_waiting(platform, HUMID, files, champion_version=1)
    assert "Version 3 is in service since" in send("decide", answer="approve")[1]
    said = send("rollback", reason="too many alarms")[1]
    assert "Version 1 is in service since" in said and "Rolled back" in said
    rolled = [e for e in platform.audit.entries if e["what"] == "rolled back"]
    assert [(e["actor"], e["before"], e["after"]) for e in rolled] == [("ada", 3, 1)]
    run = add_waiting(platform, HUMID, files, champion_version=1)
    answer_run(platform, run, "bea")
    status, said = send("decide", answer="approve", run=run)
    assert (status, "bea put version 4 into service" in said) == (409, True)
    send("point", at_most="6.0", train="yes")
    newest = platform.definitions.newest_revision(HUMID)
    assert (newest.definition.operating_point.false_alarms_per_week, newest.author) == (6, "ada")
    assert find_due_trainings(platform, platform.clock.now()) != []
    send("cancel", reason="later")
    assert find_due_trainings(platform, platform.clock.now()) == []


def test_definitions_with_the_same_title_are_listed_with_their_names(browser, platform):
    apply(platform, [too_moist(title="Moisture")], "engineer", at(0), "first")
    log_in(browser)
    assert '<span class="facts">too-moist</span>' not in browser.get("/models").text
    other = too_moist(name="too-moist-2", title="Moisture")
    apply(platform, [other], "engineer", at(1), "the same on another line")
    page = browser.get("/models").text
    assert '<span class="facts">too-moist</span>' in page
    assert '<span class="facts">too-moist-2</span>' in page


def test_the_reports_on_a_definition_name_it(browser, platform):
    apply(platform, [too_moist(title="Moisture")], "engineer", at(0), "first")
    log_in(browser)
    assert (
        "<small>Moisture · too-moist</small>" in browser.get("/reports?definition=too-moist").text
    )
