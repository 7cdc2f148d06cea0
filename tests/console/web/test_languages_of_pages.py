"""The language of pages: the choice of a person, the browser's and the plant's; and on every page
of every kind no word stands that is in no file of a language."""

import re
from html import escape

import pytest

from alerting.definitions.wording.language import NATIVE_NAMES, language
from alerting.episodes.episode import Episode, Feedback
from alerting.stores.database.documents import from_document, to_document
from alerting.usecases.make_reports import make_report
from alerting.usecases.operators.operate import give_feedback
from tests.builders import at
from tests.helpers.console.episode_page import browser_of, hot_now
from tests.helpers.console.pages import lacks, send_form
from tests.helpers.kind_life import evaluated, platform_with, trained_at
from tests.helpers.press_line import ASSET, END, TRAINED, press, rows
from tests.helpers.pseudo_language import pseudo_language, words_left
from tests.helpers.scored_lines import ANOMALY, CLASSIFIER, FORECAST, MAKE
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
        assert lacks(browser.get(f"/episodes/{found.id}", headers=headers).text, *words) == []


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
    answer = send_form(browser, f"{page}/mute", lasting="2h")
    back = f'name="next" value="{page}"'  # another language leads to the page of the form
    assert (answer.status_code, lacks(answer.text, "ein Grund ist nötig", back)) == (422, [])


CONTROL_CHART = {
    "name": "press-shifted",
    "kind": "control_chart",
    "assets": [ASSET],
    "variable": "force",
}


def press_line():
    made = platform_with(press(), rows(), CONTROL_CHART)
    trained_at(made, CONTROL_CHART["name"], TRAINED)
    evaluated(made, (*range(TRAINED, END, 95), END))
    return made


def hot_line():
    return hot_now()


KINDS = {
    "threshold": hot_line,
    "control_chart": press_line,
    **{kind: MAKE[kind][0] for kind in (CLASSIFIER, FORECAST, ANOMALY)},
}


@pytest.fixture(scope="module", params=KINDS)
def line(request):
    """Return the kind and a platform with answered episodes of it and a report."""
    made = KINDS[request.param]()
    for episode in made.episodes.find():
        give_feedback(
            made, Feedback(episode.id, "true_alarm", False, None, None, "otto", made.clock.now())
        )
    [revision] = made.definitions.latest_revisions()
    now = made.clock.now()
    report = make_report(made, revision.name, at(0), now, now)
    return request.param, made, revision.name, report.id


def pages_of(platform, name, report):
    episodes = [f"/episodes/{e.id}" for e in platform.episodes.find(limit=6)]
    assert episodes
    paths = [
        "/",
        *episodes,
        "/models",
        f"/models/{name}",
        "/definitions",
        f"/definitions/{name}",
        "/kpi",
        "/suppressed",
        "/reports",
        f"/reports?definition={name}",
    ]
    return [*paths, f"/reports/{report}", "/sources", "/platform", "/routes"]


def _without_other_languages(page, code):
    """Return a page without what it marks as another language: texts of engineers, and names of
    languages."""
    return re.sub(rf'<(\w+)[^>]*\blang="(?!{code})\w+"[^>]*>.*?</\1>', "", page, flags=re.S)


NAMES = {
    *NATIVE_NAMES.values(),
    "Alerting",
    "UTC",
    "min",
    "Pa",
    "m³",
    "kN",
    "LCL",
    "CL",
    "UCL",
    "SHAP",
    "CSV",
    "JSON",
    "ISA",
    "EEMUA",
    "EWMA",
}


def by_engineers(platform, revision):
    """Return what engineers wrote, the longest texts first: names, titles, guidance."""
    definition = revision.definition
    assets = platform.assets.all()
    texts = {
        revision.name,
        definition.title,
        *definition.guidance.model_dump().values(),
        *(text for asset in assets for text in (asset.name, asset.title)),
    }
    for asset in assets:
        texts |= {
            text
            for name, v in asset.variables.items()
            for text in (name.replace("_", " "), v.title)
        }
    texts |= {"otto", revision.author, revision.reason}
    return sorted(filter(None, texts), key=lambda text: -len(text))


def test_no_page_has_a_word_outside_the_language_files(line, monkeypatch):
    _, platform, name, report = line
    monkeypatch.setattr("alerting.console.rendering.language", pseudo_language)
    formats = (language("de").locale.months["format"], language("de").locale.days["format"])
    dates = {one.strip(".") for names in formats for one in names["abbreviated"].values()}
    ids = {word for e in platform.episodes.find() for word in re.findall(r"[^\W\d_]{2,}", e.id)}
    written = by_engineers(platform, platform.definitions.newest_revision(name))
    browser = browser_of(platform)
    for path in pages_of(platform, name, report):
        if path.startswith("/reports/"):
            continue  # a report is issued in one language, and its own test looks at its words
        page = _without_other_languages(browser.get(path).text, "de")
        for text in written:
            page = re.sub(re.escape(text), "", page, flags=re.I)
        assert words_left(page, NAMES | dates | ids) == [], path
