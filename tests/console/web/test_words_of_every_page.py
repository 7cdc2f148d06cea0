"""Every page of every kind: no word stands on it that is in no file of a language."""

import re

import pytest

from alerting.definitions.wording.language import NATIVE_NAMES, language
from alerting.episodes.episode import Feedback
from alerting.usecases.operators.operate import give_feedback
from alerting.usecases.reports.make import make_report
from tests.builders import at
from tests.helpers.console.episode_page import browser_of, hot_now
from tests.helpers.kind_life import evaluated, platform_with, trained_at
from tests.helpers.marked_language import marked_language, words_left
from tests.helpers.press_line import ASSET, END, TRAINED, press, rows
from tests.helpers.scored_lines import ANOMALY, CLASSIFIER, FORECAST, MAKE

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
    monkeypatch.setattr("alerting.console.language.language", lambda _: marked_language())
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
