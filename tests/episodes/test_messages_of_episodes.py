"""All messages of ten episodes, one after another, in three languages: what they may say when, and
that they are written down."""

from functools import cache
from html import unescape

import pytest

from alerting.definitions.wording.language import LANGUAGES
from tests.helpers.console.episode_page import browser_of
from tests.helpers.episode_messages import EPISODES, GUIDANCE, comes_true

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
    for english, german, french in zip(
        *(found.messages(code) for code in ("en", "de", "fr")), strict=True
    ):
        for other in (german, french):
            assert len(other.text.splitlines()) == len(english.text.splitlines())
            same = set(english.text.splitlines()) & set(other.text.splitlines())
            assert not [line for line in same if not any(text in line for text in spoken)]


@pytest.mark.parametrize("name", EPISODES)
def test_no_message_says_that_no_change_is_needed(name):
    for code in LANGUAGES:
        for message in told(name).messages(code):
            assert not [words for words in NO_NEED if words in message.text.lower()]


@pytest.mark.parametrize("name", EPISODES)
def test_no_reason_within_its_usual_range_raises_the_risk_by_itself(name):
    episode = told(name).episode
    for one in (
        *episode.contributions,
        *(episode.present.contributions if episode.present else ()),
    ):
        assert one.quantity is not None
        if one.share > 0 and not one.quantity.is_unusual:
            assert one.message.endswith("but only together with other values")
    for message in told(name).messages():
        assert not [
            line
            for line in message.text.splitlines()
            if "within its usual" in line and "raises" in line
        ]


@pytest.mark.parametrize("code", LANGUAGES)
def test_from_the_first_sample_beyond_the_limit_the_advice_of_before_stays_with_its_time(code):
    found = told("classifier, onset, the problem comes")
    beyond = [
        m.text
        for (minute, phase), m in zip(found.phases, found.messages(code), strict=True)
        if phase != "over" and minute >= 25
    ]
    assert len(beyond) >= 5
    for text in beyond:
        [step] = [line for line in text.splitlines() if ADVICE[code] in line]
        assert "00:20)" in step
        assert GUIDANCE["action"] in text
    assert "96 %" not in beyond[-1]


def test_a_reminder_between_the_limit_and_the_problem_names_the_last_risk_that_meant_something():
    found = comes_true()
    present = found.episode.present
    assert (present.at, present.advised_at) == (found.at(20), None)
    assert present.risk > 0.9
    assert found.episode.happening_at == found.at(35)


@pytest.mark.parametrize(("until", "phase"), [(32, "expected"), (50, "happening")])
@pytest.mark.parametrize("code", LANGUAGES)
def test_pages_show_advice_and_reasons_of_before_with_their_time_and_fold_what_stands_behind_them(
    until, phase, code
):
    found = begun(until)
    browser = browser_of(found.platform)
    headers = {"accept-language": code}
    first, page = (
        browser.get(path, headers=headers).text for path in ("/", f"/episodes/{found.episode.id}")
    )
    assert (found.episode.condition, found.episode.phase) == ("open", phase)
    for shown in (unescape(first), unescape(page)):
        assert not [words for words in NO_NEED if words in shown.lower()]
        assert ADVICE[code] in shown
        assert "00:20" in shown
    lines, _, folded = unescape(page).partition("<details>")
    assert BACKGROUND[code] not in lines
    assert BACKGROUND[code] in folded
    assert GUIDANCE["action"] in lines


@pytest.mark.parametrize(
    ("code", "before"),
    [
        ("en", "Before (advice of today 00:20): "),
        ("de", "Vorher (Empfehlung, Stand heute 00:20): "),
        ("fr", "Avant (conseil calculé aujourd\u2019hui 00:20)\u00a0: "),
    ],
)
def test_once_the_problem_is_there_the_advice_of_before_says_so_on_each_page(code, before):
    browser = browser_of(begun(50).platform)
    headers = {"accept-language": code}
    for path in ("/", f"/episodes/{begun(50).episode.id}"):
        page = unescape(browser.get(path, headers=headers).text)
        assert f"{before}{ADVICE[code]}" in page, path
    page = unescape(browser_of(begun(32).platform).get("/", headers=headers).text)
    assert before not in page, "the problem has not come yet"


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


def test_without_advice_and_without_an_instruction_no_step_is_invented():
    for message in told("classifier, onset, nothing can be set and no instruction").messages():
        assert "What to do" not in message.text


def test_an_excursion_shorter_than_for_holds_the_advice_back_only_while_it_lasts():
    found = comes_true(problem={"variable": "moisture", "above": 5.0, "for": "1h"})
    episode = found.episode
    assert episode.happening_at is None
    assert episode.present.at == found.at(20)
    assert episode.valid_until == found.at(50)  # half an hour after its last high score
