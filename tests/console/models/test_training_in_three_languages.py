"""Why a training failed, and its state, in the language of the engineer on every page that says
so."""

from html import unescape

import pytest

from alerting.definitions.faults import UserError
from alerting.usecases.training.due import begin_training
from alerting.usecases.training.runs import cancel_training
from alerting.usecases.training.train import prepare
from tests.builders import at
from tests.helpers.console.pages import ADMIN_TOKEN, browser, log_in, wall
from tests.helpers.learning.waiting import add_waiting

__all__ = ["browser", "wall"]
NAME = "too-moist"
PAGES = ("/models", f"/models/{NAME}", "/definitions", f"/definitions/{NAME}")


@pytest.fixture
def engineer(browser):
    log_in(browser, ADMIN_TOKEN)
    return browser


def seen(engineer, address, code):
    return unescape(engineer.get(address, headers={"accept-language": code}).text)


@pytest.mark.parametrize("address", PAGES)
def test_why_a_training_failed_is_told_in_the_language_of_the_engineer(engineer, platform, address):
    with pytest.raises(UserError, match="too-moist: no readings of oven-1"):
        prepare(platform, NAME, at(0))
    (training,) = platform.trainings.for_definitions([NAME])
    assert training.failure.startswith("no readings of oven-1 in the period it may learn from")
    assert "o readings of oven-1" in seen(engineer, address, "en")
    for code, sentence in (
        ("de", "eine Messwerte von oven-1 in dem Zeitraum, aus dem gelernt werden darf"),
        ("fr", "ucune mesure de oven-1 dans la période dont il peut apprendre"),
    ):
        page = seen(engineer, address, code)
        assert sentence in page
        assert "o readings of" not in page


def test_the_state_of_a_training_is_told_in_the_language_of_the_engineer(engineer, platform):
    address = f"/definitions/{NAME}"
    assert "Das Training steht an" in seen(engineer, address, "de")
    begin_training(platform, platform.definitions.newest_revision(NAME), None)
    assert "Wird seit" in seen(engineer, address, "de")
    cancel_training(platform, NAME, "ada", "falscher Zeitraum")
    page = seen(engineer, address, "de")
    assert "Das Training ist am" in page
    assert "abgebrochen von ada: falscher Zeitraum" in page


@pytest.mark.parametrize(
    ("code", "sentence", "answer"),
    [
        ("en", "It finds fewer of the problems than the one in service.", "Answer: alerting"),
        ("de", "Es findet weniger der Probleme als das im Einsatz.", "Antworten: alerting"),
        ("fr", "Il trouve moins de problèmes que celui en service.", "Répondre\u00a0: alerting"),
    ],
)
def test_why_a_model_waits_is_told_in_the_list_and_on_the_page_of_the_platform(
    engineer, platform, code, sentence, answer
):
    add_waiting(platform, NAME, objection="fewer_problems")
    models = seen(engineer, "/models", code)
    assert sentence in models
    assert answer not in models
    of_platform = seen(engineer, "/platform", code)
    assert sentence in of_platform
    assert answer in of_platform
    assert f'href="/models/{NAME}/decide"' in of_platform


@pytest.mark.parametrize(
    ("code", "sentence", "rows_that_chose"),
    [
        ("en", "version 1 announced 9 of 26 problems; false alarms: 12.", "rows that chose"),
        (
            "de",
            "Version 1 hat auf Daten, die ihr Training nicht gesehen hatte, 9 von 26 Problemen",
            "Zeilen, nach denen",
        ),
        ("fr", "la version 1 a annoncé 9 des 26 problèmes", "lignes selon lesquelles"),
    ],
)
def test_what_was_found_on_unseen_data_comes_before_all_figures_of_the_rows_that_chose(
    engineer, platform, code, sentence, rows_that_chose
):
    test = {"event_recall": 9 / 26, "n_events": 26, "n_found": 9, "n_false_alarms": 12}
    add_waiting(platform, NAME, test=test)
    before, _, after = seen(engineer, f"/models/{NAME}", code).partition(sentence)
    assert rows_that_chose in after
    assert rows_that_chose not in before
