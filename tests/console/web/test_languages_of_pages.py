"""The language of pages and messages: the choice of a person, the browser's, the plant's, and that
of a route."""

from dataclasses import replace
from datetime import timedelta
from html import escape

import pytest

from alerting.adapters.mongo.documents import from_document, to_document
from alerting.episodes.episode import Episode
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.notification.routes import apply_routes
from tests.builders import at
from tests.helpers.console.episode_page import browser_of, hot_now, read, tick
from tests.helpers.suppression import feed, plant, run
from tests.in_memory_platform import Mailbox

GERMAN = {"accept-language": "de-AT,de;q=0.9,en;q=0.8"}
FRENCH = {"accept-language": "fr"}


@pytest.fixture(scope="module")
def platform():
    return hot_now()


def test_the_browser_chooses_among_the_languages_and_the_plant_decides_for_others(platform):
    browser = browser_of(platform, language="fr")
    assert '<html lang="de">' in browser.get("/", headers=GERMAN).text
    assert '<html lang="en">' in browser.get("/", headers={"accept-language": "en-US"}).text
    assert '<html lang="fr">' in browser.get("/", headers={"accept-language": "it"}).text


def test_a_choice_is_remembered_and_stronger_than_the_browser(platform):
    browser = browser_of(platform)
    answer = browser.post("/language", data={"language": "de", "next": "/suppressed"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/suppressed")
    assert "Automatisch unterdrückt" in browser.get("/suppressed", headers=FRENCH).text


def test_another_language_or_a_login_leads_to_the_same_page_with_what_it_shows(platform):
    browser = browser_of(platform)
    shown = "/trends?asset=oven-1&span=28d"
    for leading in (browser.get(shown), browser.get(shown, headers=GERMAN)):
        assert f'name="next" value="{escape(shown)}"' in leading.text
    answer = browser.post("/language", data={"language": "de", "next": shown})
    assert answer.headers["location"] == shown
    browser.cookies.clear()
    login = browser.get(browser.get(shown).headers["location"])
    assert f'name="next" value="{escape(shown)}"' in login.text
    long = browser.get(f"{shown}&{'x' * 2000}")
    assert long.headers["location"] == "/login?next=/trends"


def test_one_stored_episode_is_read_in_three_languages(platform):
    [found] = platform.episodes.find()
    assert from_document(Episode, to_document(found)) == found
    browser = browser_of(platform)
    pages = [browser.get(f"/episodes/{found.id}", headers=h).text for h in ({}, GERMAN, FRENCH)]
    limits = ("above 215 °C", "über 215\u00a0°C", "au-dessus de 215\u00a0°C")
    for page, limit, state in zip(
        pages, limits, ("not acknowledged", "nicht quittiert", "non acquittée"), strict=True
    ):
        assert limit in page
        assert state in page


def test_the_states_that_suppress_an_alarm_are_said_in_the_language_of_the_page():
    nights = {"days": ["mon", "tue"], "from": "00:00", "to": "12:00"}
    when = [
        {"variable": "line_state", "equals": "stopped", "for": "1m"},
        {"variable": "temperature", "above": 220.5},
    ]
    suppression = {"when": when, "windows": [nights], "timezone": "UTC"}
    platform = plant(suppression=suppression)
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
        assert words in browser.get("/suppressed", headers=headers).text
        assert words in browser.get(f"/episodes/{found.id}", headers=headers).text


def test_a_refusal_is_said_in_the_language_of_the_page(platform):
    [found] = platform.episodes.find()
    browser = browser_of(platform)
    csrf = browser.get("/").text.partition('name="csrf" value="')[2].partition('"')[0]
    sent_from = {"referer": f"http://testserver/episodes/{found.id}"}
    answer = browser.post(
        f"/episodes/{found.id}/shelve",
        data={"csrf": csrf, "lasting": "2h"},
        headers=GERMAN | sent_from,
    )
    assert answer.status_code == 422
    assert "ein Grund ist nötig" in answer.text
    assert f'name="next" value="/episodes/{found.id}"' in answer.text, (
        "another language leads to the page of the form"
    )


def test_a_route_has_its_language_and_the_others_that_of_the_plant():
    mail = Mailbox("mail")
    pager = Mailbox("pager")
    platform = replace(hot_now(mail), channels={"mail": mail, "pager": pager}, language="fr")
    apply_routes(
        platform,
        [
            {"name": "a", "channels": ["mail"], "language": "de"},
            {"name": "b", "channels": ["pager"]},
        ],
        "engineer",
        at(600),
    )
    mail.messages.clear()
    read(platform, dict.fromkeys(range(601, 620), 200.0) | {620: 240.0, 621: 240.0})
    tick(platform, 615)
    mail.messages.clear()
    tick(platform, 621)
    deliver_due(platform, at(621) + timedelta(minutes=1))
    [german] = mail.messages
    [french] = pager.messages
    assert german.subject == "MITTEL: Oven too hot an oven-1"
    assert french.subject == "MOYENNE : Oven too hot sur oven-1"
    assert (german.language, french.language) == ("de", "fr")
    assert "limite" in french.draw().description
