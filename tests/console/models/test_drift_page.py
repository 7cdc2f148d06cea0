"""What moved under a model, on its page: the picture, the proposal, and the buttons that do it."""

import re
from html import unescape

import pytest

from alerting.usecases.definitions.platform_alerts import UNDERPERFORMS
from alerting.usecases.platform_health.drift import check_drift
from alerting.usecases.upkeep.maintain import maintain
from tests.helpers.console.episode_page import browser_of
from tests.helpers.console.pages import ADMIN_TOKEN, csrf_of, log_in
from tests.helpers.drifting_line import NAME, NOW, drifting_line, readings

PAGE = f"/models/{NAME}"


@pytest.fixture
def platform():
    made, _ = drifting_line(readings(offset=3.0))
    check_drift(made, NOW)
    return made


@pytest.fixture
def engineer(platform):
    browser = browser_of(platform)
    log_in(browser, ADMIN_TOKEN)
    return browser


def text_of(page):
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page.text)))


def links_of(page):
    return {
        unescape(text): unescape(address)
        for address, text in re.findall(r'<a class="go[^"]*" href="([^"]+)">([^<]+)</a>', page.text)
    }


def test_the_page_says_what_moved_since_when_and_offers_what_to_do(engineer):
    page = engineer.get(PAGE)
    text = text_of(page)
    assert "temperature of oven-1 moved beyond chance." in text
    assert "probably its sensor is off" in text
    assert "Proposed: look at the sensor" in text
    assert re.search(r"temperature 20\d(\.\d)? 20\d", text), "its level beside the expected one"
    assert 'class="chart drift"' in page.text
    links = links_of(page)
    assert links["Train now"] == f"{PAGE}/train"
    assert engineer.get(links["See the trend"]).status_code == 200
    form = engineer.get(links["Exclude the time"].partition("#")[0])
    assert 'value="bad" required checked' in form.text
    assert re.search(r"<details open><summary[^>]*>Mark this time", form.text)
    faults = engineer.get("/platform")
    assert "Inputs drifted: oven-1" in text_of(faults)
    assert f'href="{PAGE}#drift"' in faults.text


def test_a_dismissal_needs_a_reason_and_ends_the_alert(engineer, platform):
    form = engineer.get(f"{PAGE}/dismiss")
    assert "temperature" in text_of(form)
    fields = {"csrf": csrf_of(form), "days": "30", "reason": ""}
    assert engineer.post(f"{PAGE}/dismiss", data=fields).status_code == 422
    fields["reason"] = "the sensor is ordered"
    assert engineer.post(f"{PAGE}/dismiss", data=fields).status_code == 303
    text = text_of(engineer.get(PAGE))
    assert "Dismissed until" in text
    assert "the sensor is ordered" in text
    maintain(platform, NOW)
    assert not [a for a in platform.platform_alerts.open() if a.kind == "inputs drifted"]
    assert "Nothing has moved any more" in text_of(engineer.get(f"{PAGE}/dismiss"))


@pytest.mark.parametrize(
    ("language", "said"),
    [("de", "weicht stärker ab, als der Zufall"), ("fr", "plus que par hasard")],
)
def test_it_is_said_in_the_language_of_the_reader(engineer, language, said):
    page = engineer.get(PAGE, headers={"accept-language": language})
    assert said in text_of(page)


def test_an_operator_sees_no_button_and_gets_no_message(platform):
    browser = browser_of(platform)
    assert "Dismiss" not in links_of(browser.get(PAGE))
    assert browser.get(f"{PAGE}/dismiss").status_code == 403


def test_a_model_worse_than_promoted_stands_there_too(engineer, platform):
    platform.platform_alerts.report(UNDERPERFORMS, NAME, "precision 40 % instead of 80 %", NOW)
    text = text_of(engineer.get(PAGE))
    assert "Model worse than promoted" in text
    assert "Precision 40 % instead of 80 %" in text
