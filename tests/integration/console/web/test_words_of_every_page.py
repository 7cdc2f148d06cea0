"""Every page of every kind in three languages: no sentence of another language stands on it."""

import re
from functools import cache

import pytest

from alerting.definitions.wording.language import LANGUAGES, language
from alerting.episodes.episode import Feedback
from alerting.usecases.operators.operate import give_feedback
from alerting.usecases.reports.make import make_report
from tests.builders import at
from tests.helpers.console.episode_page import browser_of, hot_now
from tests.helpers.kind_life import evaluated, platform_with, trained_at
from tests.helpers.marked_language import texts_of
from tests.helpers.press_line import ASSET, END, TRAINED, press, rows
from tests.helpers.scored_lines import ANOMALY, CLASSIFIER, FORECAST, MAKE
from tools.languages import all_texts

CONTROL_CHART = {"name": "press-shifted", "kind": "control_chart", "assets": [ASSET], "variable": "force"}
_BETWEEN_VALUES = re.compile(r"\{\w+\}|<[^>]*>|[“”\"]")


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
        give_feedback(made, Feedback(episode.id, "true_alarm", False, None, None, "otto", made.clock.now()))
    [revision] = made.definitions.latest()
    now = made.clock.now()
    report = make_report(made, revision.name, at(0), now, now)
    return request.param, made, revision.name, report.id


def pages_of(platform, name, report):
    episodes = [f"/episodes/{e.id}" for e in platform.episodes.find(limit=6)]
    assert episodes
    return ["/", *episodes, f"/models/{name}", "/kpi", "/suppressed", "/reports", f"/reports?definition={name}"]


@cache
def sentences_of_others(code):
    """Return literal parts of texts in the other languages that no text of this one contains."""
    found = {one: set() for one in LANGUAGES}
    for entry in all_texts():
        forms = [entry.id] if isinstance(entry.id, str) else list(entry.id)
        for form in forms:
            found["en"].update(_parts(form))
            for other in ("de", "fr"):
                said = language(other).texts.get(form, ())
                found[other].update(part for text in ([said] if isinstance(said, str) else said) for part in _parts(text))
    own = "\n".join(found[code]).casefold()
    others = {part for other in LANGUAGES if other != code for part in found[other]}
    return sorted(part for part in others if part.casefold() not in own)


def _parts(text):
    parts = (part.strip(" .,:;()…→") for part in _BETWEEN_VALUES.split(text))
    return [part for part in parts if len(re.findall(r"[^\W\d_]+", part)) > 1]


@pytest.mark.parametrize("code", LANGUAGES)
def test_no_page_says_a_sentence_of_another_language(line, code):
    kind, platform, name, report = line
    browser = browser_of(platform)
    found = {}
    for path in pages_of(platform, name, report):
        page = browser.get(path, headers={"accept-language": code})
        assert page.status_code == 200
        said = "\n".join(texts_of(page.text)).casefold()
        if wrong := [one for one in sentences_of_others(code) if one.casefold() in said]:
            found[path] = wrong
    assert found == {}
