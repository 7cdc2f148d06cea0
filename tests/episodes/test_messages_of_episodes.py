"""All messages of ten episodes, one after another, in every language: what they may say when, and
that they are written down."""

from functools import cache
from html import unescape

import pytest

from alerting.definitions.wording.language import LANGUAGES
from tests.helpers.console.episode_page import browser_of
from tests.helpers.episode_messages import EPISODES, GUIDANCE, comes_true

pytestmark = pytest.mark.models


NO_NEED = ("no change is needed", "keine änderung nötig", "aucun changement nécessaire")
ADVICE = {
    "en": "Set Belt speed from 2.1",
    "de": "Einstellen: Belt speed von 2,1",
    "fr": "Réglez\u00a0: Belt speed de 2,1",
}
BACKGROUND = {
    "en": "within normal operation",
    "de": "im Normalbetrieb",
    "fr": "fonctionnement normal",
}
PREDICTIONS = [name for name in EPISODES if name.startswith(("classifier", "forecast"))]


@cache
def told(name):
    return EPISODES[name]()


@cache
def begun(until):
    return comes_true(until)


@pytest.mark.parametrize("name", EPISODES)
def test_each_language_is_told_the_same_from_the_raise_to_the_end(name):
    found = told(name)
    subjects = {code: [m.subject for m in found.messages(code)] for code in LANGUAGES}
    assert len({len(one) for one in subjects.values()}) == 1
    assert len(subjects["en"]) >= 3
    assert found.phases[-1][1] == found.episode.phase == "over"
    assert {phase for _, phase in found.phases} >= {
        "expected" if name in PREDICTIONS else "happening"
    }
    spoken = [
        found.episode.title,
        found.episode.asset,
        *GUIDANCE.values(),
        *found.episode.guidance.values(),
    ]
    for english, *others in zip(*(found.messages(code) for code in LANGUAGES), strict=True):
        lines = english.text.splitlines()
        for other in others:
            assert len(other.text.splitlines()) == len(lines)
            same = {*lines} & {*other.text.splitlines()}
            assert [line for line in same if not any(text in line for text in spoken)] == []
    texts = [message.text for code in LANGUAGES for message in found.messages(code)]
    assert [text for text in texts if any(words in text.lower() for words in NO_NEED)] == []


def test_no_reason_within_its_usual_range_raises_the_risk_by_itself():
    reasons = [
        one
        for name in EPISODES
        for advised in (told(name).episode, told(name).episode.present)
        for one in (advised.contributions if advised else ())
    ]
    usual = [one for one in reasons if one.share > 0 and not one.quantity.is_unusual]
    assert {one.message.endswith("but only together with other values") for one in usual} == {True}
    lines = [
        line
        for name in EPISODES
        for message in told(name).messages()
        for line in message.text.splitlines()
    ]
    assert [line for line in lines if "within its usual" in line and "raises" in line] == []


def test_from_the_first_sample_beyond_the_limit_the_advice_of_before_stays_with_its_time():
    found = told("classifier, onset, the problem comes")
    beyond = [n for n, (m, phase) in enumerate(found.phases) if phase != "over" and m >= 25]
    assert len(beyond) >= 5
    for code, advice in ADVICE.items():
        texts = [found.messages(code)[number].text for number in beyond]
        steps = [
            [line for line in text.splitlines() if advice in line and "00:20)" in line]
            for text in texts
        ]
        assert [len(one) for one in steps] == [1] * len(beyond)
        assert all(GUIDANCE["action"] in text for text in texts)
        assert "96 %" not in texts[-1]
    present = found.episode.present
    assert (present.at, present.advised_at) == (found.at(20), None)
    assert present.risk > 0.9
    assert found.episode.happening_at == found.at(35)


BEFORE = {
    "en": "Before (advice of today 00:20): ",
    "de": "Vorher (Empfehlung, Stand heute 00:20): ",
    "fr": "Avant (conseil calculé aujourd\u2019hui 00:20)\u00a0: ",
}


@pytest.mark.parametrize(("until", "phase"), [(32, "expected"), (50, "happening")])
def test_pages_show_advice_and_reasons_of_before_with_their_time_and_fold_what_stands_behind_them(
    until, phase
):
    found = begun(until)
    browser = browser_of(found.platform)
    assert (found.episode.condition, found.episode.phase) == ("open", phase)
    for code, advice in ADVICE.items():
        headers = {"accept-language": code}
        first, page = (
            unescape(browser.get(path, headers=headers).text)
            for path in ("/", f"/episodes/{found.episode.id}")
        )
        for shown in (first, page):
            assert not [words for words in NO_NEED if words in shown.lower()]
            assert advice in shown
            assert "00:20" in shown
            assert (f"{BEFORE[code]}{advice}" in shown) == (phase == "happening")
        lines, _, folded = page.partition("<details>")
        assert BACKGROUND[code] not in lines
        assert BACKGROUND[code] in folded
        assert GUIDANCE["action"] in lines


def test_a_lower_risk_is_told_and_takes_no_advice_away():
    found = told("classifier, onset, the problem does not come")
    present = found.episode.present
    assert (found.episode.advised_at, present.at) == (found.at(5), found.at(20))
    assert present.risk < present.threshold
    last = [
        m.text
        for (_, phase), m in zip(found.phases, found.messages(), strict=True)
        if phase == "expected"
    ][-1]
    assert "What to do: The risk is 0.0 %, below the alarm at 50 %." in last
    assert "Before (advice of Thu 1 Jan 00:05): Set Belt speed from 2.1" in last
    assert "Since the alarm came: risk 85 % → 0.0 % (Thu 1 Jan 00:1" in last


def test_a_forecast_is_kept_within_its_limit_by_what_can_be_set():
    advice = told("forecast").episode.recommendation
    (change,) = advice.changes
    assert (change.variable, change.before) == ("belt", 2.4)
    assert change.after < change.before
    assert advice.risk_after < told("forecast").episode.evaluation.threshold <= advice.risk_before


def test_without_advice_and_without_an_instruction_no_step_is_invented():
    for message in told("classifier, onset, nothing can be set and no instruction").messages():
        assert "What to do" not in message.text


def test_an_excursion_shorter_than_for_holds_the_advice_back_only_while_it_lasts():
    found = comes_true(problem={"variable": "moisture", "above": 5.0, "for": "1h"})
    episode = found.episode
    assert episode.happening_at is None
    assert episode.present.at == found.at(20)
    assert episode.valid_until == found.at(50)  # half an hour after its last high score
