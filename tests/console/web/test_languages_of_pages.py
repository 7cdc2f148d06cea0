"""The language of pages and messages: the choice of a person, the browser's, the plant's, and that
of a route."""

from html import escape

import pytest

from alerting.adapters.mongo.documents import from_document, to_document
from alerting.episodes.episode import Episode
from tests.helpers.console.episode_page import browser_of, hot_now
from tests.helpers.console.pages import missing, send
from tests.helpers.suppression import feed, plant, run

GERMAN = {"accept-language": "de-AT,de;q=0.9,en;q=0.8"}
FRENCH = {"accept-language": "fr"}


@pytest.fixture(scope="module")
def platform():
    return hot_now()


@pytest.fixture
def browser(platform):
    return browser_of(platform)


def test_a_choice_is_stronger_than_the_browser_and_the_plant_decides_for_others(platform):
    browser = browser_of(platform, language="fr")
    asked = ("de-AT,de;q=0.9,en;q=0.8", "en-US", "it")
    pages = [browser.get("/", headers={"accept-language": code}).text for code in asked]
    langs = ("de", "en", "fr")
    assert [f'<html lang="{lang}">' in page for lang, page in zip(langs, pages, strict=True)] == [
        True
    ] * 3
    answer = browser.post("/language", data={"language": "de", "next": "/suppressed"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/suppressed")
    assert "Automatisch unterdrückt" in browser.get("/suppressed", headers=FRENCH).text


def test_another_language_or_a_login_leads_to_the_same_page_with_what_it_shows(browser):
    shown = "/trends?asset=oven-1&span=28d"
    back = f'name="next" value="{escape(shown)}"'
    for headers in ({}, GERMAN):
        assert back in browser.get(shown, headers=headers).text
    answer = browser.post("/language", data={"language": "de", "next": shown})
    assert answer.headers["location"] == shown
    browser.cookies.clear()
    assert back in browser.get(browser.get(shown).headers["location"]).text
    long = browser.get(f"{shown}&{'x' * 2000}")
    assert long.headers["location"] == "/login?next=/trends"


def test_one_stored_episode_is_read_in_three_languages(platform, browser):
    [found] = platform.episodes.find()
    assert from_document(Episode, to_document(found)) == found
    for headers, *words in (
        ({}, "above 215 °C", "not acknowledged"),
        (GERMAN, "über 215\u00a0°C", "nicht quittiert"),
        (FRENCH, "au-dessus de 215\u00a0°C", "non acquittée"),
    ):
        assert missing(browser.get(f"/episodes/{found.id}", headers=headers).text, *words) == []


def test_the_states_that_suppress_an_alarm_are_said_in_the_language_of_the_page():
    nights = {"days": ["mon", "tue"], "from": "00:00", "to": "12:00"}
    when = [
        {"variable": "line_state", "equals": "stopped", "for": "1m"},
        {"variable": "temperature", "above": 220.5},
    ]
    platform = plant(suppression={"when": when, "windows": [nights], "timezone": "UTC"})
    feed(platform, 0, 230, "stopped")
    run(platform, 4)
    [found] = platform.episodes.find()
    browser = browser_of(platform)
    reasons = (
        "Zone 2 temperature über 220,5\u00a0°C an oven-1; Kalender: Mo, Di 00:00 bis 12:00 (UTC); "
        "line_state ist stopped für 1 min an line-1",
        "Zone 2 temperature au-dessus de 220,5\u00a0°C sur oven-1; calendrier\u00a0: lun, mar "
        "de 00:00 à 12:00 (UTC); line_state vaut stopped pendant 1 min sur line-1",
    )
    for headers, words in zip((GERMAN, FRENCH), reasons, strict=True):
        for path in ("/suppressed", f"/episodes/{found.id}"):
            assert words in browser.get(path, headers=headers).text


def test_a_refusal_is_said_in_the_language_of_the_page(platform, browser):
    [found] = platform.episodes.find()
    page = f"/episodes/{found.id}"
    browser.headers.update(GERMAN | {"referer": f"http://testserver{page}"})
    answer = send(browser, f"{page}/shelve", lasting="2h")
    back = f'name="next" value="{page}"'  # another language leads to the page of the form
    assert (answer.status_code, missing(answer.text, "ein Grund ist nötig", back)) == (422, [])
