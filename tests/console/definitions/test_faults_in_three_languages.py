"""The editor names faults in the language of the engineer, in words and with what to write."""

from html import unescape

import pytest

from alerting.definitions.assets import Asset
from alerting.definitions.faults import DefinitionRefused
from alerting.definitions.wording.language import Translatable, language
from alerting.kinds.validation import parse_definition
from tests.helpers.console.pages import ADMIN_TOKEN, browser, csrf_of, log_in, wall

__all__ = ["browser", "wall"]
NEW = "/definitions/new"
TYPED = """name: Ofen zu heiß
kind: treshold
assets: [oven-1]
variable: temprature
above: 215,5
for: 5 Minuten
severty: hoch
"""
FAULTY = (
    {"name": "a b", "kind": "treshold", "assets": "oven-1", "above": "4,5"},
    {"name": "a", "kind": "threshold", "assets": ["b"], "variable": "c", "for": "x", "o": 1},
    {"name": "a", "kind": "threshold", "assets": ["b"], "variable": "c", "severity": "hoch"},
    {"name": "a", "kind": "threshold", "assets": ["b"], "variable": "c", "above": 1, "below": 2},
    {"name": "a", "kind": "threshold", "assets": ["b"], "variable": "c", "above": 1, "equals": 2},
    {"name": "a", "kind": "classifier", "assets": [], "problem": {"variable": "c"}},
    {"name": "a", "kind": "forecast", "assets": ["b"], "horizon": "0s", "problem": {}},
    {"name": "a", "kind": "control_chart", "assets": ["b"], "variable": "c", "normal": "1h"},
    {"name": "a", "kind": "anomaly", "assets": ["b"], "windows": ["0s"], "normal": {"from": 1}},
    {"name": "a"},
)

UNFOLDING = "a0: &a0 [1]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)


@pytest.fixture
def engineer(browser):
    log_in(browser, ADMIN_TOKEN)
    return browser


def send(browser, address, do, text):
    token = csrf_of(browser.get("/account"))
    return browser.post(address, data={"csrf": token, "do": do, "text": text})


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "de",
            [
                "'Ofen zu heiß' ist als Name nicht erlaubt",
                "ist keine Art von Alarm oder Dokument",
                "meinten Sie threshold?",
                "schreiben Sie 215.5, mit Punkt und ohne Anführungszeichen",
                "'5 Minuten' ist keine Dauer",
                "ist kein Feld",
                "meinten Sie severity?",
            ],
        ),
        ("fr", ["pas un nom permis", "vouliez-vous dire threshold"]),
        ("en", ["is not a legal name", "did you mean threshold?"]),
    ],
)
def test_every_fault_of_a_text_is_told_in_the_language_of_the_engineer(engineer, code, expected):
    engineer.headers["accept-language"] = code
    page = unescape(send(engineer, NEW, "check", TYPED).text)
    for sentence in expected:
        assert sentence in page


@pytest.mark.parametrize("code", ["de", "fr"])
@pytest.mark.parametrize("document", FAULTY, ids=str)
def test_no_fault_of_a_definition_is_without_a_translation(document, code):
    with pytest.raises(DefinitionRefused) as refusal:
        parse_definition(document)
    other = language(code)
    for fault in refusal.value.faults:
        for text in filter(None, (fault.message, fault.hint)):
            assert isinstance(text, Translatable), text
            assert other.translate(text) != text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", "Zeile 1, Spalte 5: ein Wert oder eine schließende Klammer fehlt"),
        ("a:\n\tb: 1", "Zeile 2, Spalte 1: hier kann kein Tabulator stehen"),
        ("a: b: c", "hier kann kein Doppelpunkt stehen"),
        ("a: 'x", "ein Anführungszeichen wird nicht geschlossen"),
        ("a: 1\na: 2", "Zeile 2: das Feld 'a' steht zweimal da, zuerst in Zeile 1"),
        ("", "der Text ist leer"),
        ("- a", "der Text enthält keine Felder"),
        (
            "a: " + "[" * 60 + "]" * 60,
            "ist zu tief verschachtelt; erlaubt sind höchstens 50 Ebenen",
        ),
        (UNFOLDING, "ergibt ausgeschrieben mehr als 20000 Werte"),
        ('a: "\\ud800"', "Zeile 1: enthält U+D800, das in einem Text nicht erlaubt ist"),
    ],
)
def test_a_text_that_is_no_yaml_is_told_in_plain_words(engineer, text, expected):
    engineer.headers["accept-language"] = "de"
    assert expected in unescape(send(engineer, NEW, "check", text).text)


@pytest.fixture
def platform_with_title(platform):
    variables = {"Temperatur_Zone_1": {"type": "number", "title": "Temperatur Zone 1"}}
    platform.assets.store_assets([Asset.model_validate({"name": "Ofen_9", "variables": variables})])


def test_the_effects_of_a_definition_are_told_with_titles_in_the_language_of_the_engineer(
    engineer, platform_with_title
):
    engineer.headers["accept-language"] = "de"
    text = (
        "name: hot\nkind: threshold\nassets: [Ofen_9]\nvariable: Temperatur_Zone_1\nabove: 216.5\n"
    )
    page = unescape(send(engineer, NEW, "check", text).text)
    assert "Überwacht: Temperatur Zone 1 über 216,5" in page
    assert "hot: wird alle 1m an Ofen_9 ausgewertet, zum ersten Mal innerhalb von 1m" in page
