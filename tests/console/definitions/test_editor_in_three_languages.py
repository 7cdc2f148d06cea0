"""The editor in the language of the engineer: faults in words and with what to write, effects, and
labels and helps of all forms, of which none is left in English."""

from html import unescape
from itertools import product

import pytest

from alerting.console.assets.asset_pages import ASSET_PAGES
from alerting.console.definitions.form import definition_schema, form_texts
from alerting.console.definitions.starts import list_starts
from alerting.console.routes.route_pages import ROUTE_PAGES
from alerting.definitions.assets import Asset
from alerting.definitions.faults import DefinitionRefused
from alerting.definitions.wording.language import Translatable, language
from alerting.kinds.registry import definition_types
from alerting.kinds.validation import parse_definition
from tests.helpers.console.editor import NEW, engineer, send, text_of
from tests.helpers.console.pages import browser, lacks, wall

__all__ = ["browser", "engineer", "wall"]
SCHEMAS = {
    **{kind: definition_schema({"kind": kind}) for kind in definition_types()},
    "asset": ASSET_PAGES.form_schema({}),
    "route": ROUTE_PAGES.form_schema({}),
}
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


def checked(engineer, code, text):
    engineer.headers["accept-language"] = code
    return unescape(send(engineer, NEW, "check", text).text)


def test_every_fault_of_a_text_is_told_in_the_language_of_the_engineer(engineer):
    sentences = {
        "de": [
            "'Ofen zu heiß' ist als Name nicht erlaubt",
            "ist keine Art von Alarm oder Dokument",
            "meinten Sie threshold?",
            "schreiben Sie 215.5, mit Punkt und ohne Anführungszeichen",
            "'5 Minuten' ist keine Dauer",
            "ist kein Feld",
            "meinten Sie severity?",
        ],
        "fr": ["pas un nom permis", "vouliez-vous dire threshold"],
        "en": ["is not a legal name", "did you mean threshold?"],
    }
    found = {code: lacks(checked(engineer, code, TYPED), *told) for code, told in sentences.items()}
    assert found == {"de": [], "fr": [], "en": []}


def faults_of(document):
    with pytest.raises(DefinitionRefused) as refusal:
        parse_definition(document)
    return refusal.value.faults


def test_no_fault_of_a_definition_is_without_a_translation():
    faults = [fault for document in FAULTY for fault in faults_of(document)]
    texts = {text for fault in faults for text in (fault.message, fault.hint) if text}
    assert [text for text in texts if not isinstance(text, Translatable)] == []
    assert untranslated(texts) == []


def untranslated(texts):
    cases = product(("de", "fr"), texts)
    return [(code, text) for code, text in cases if language(code).translate(text) == text]


def test_a_text_that_is_no_yaml_is_told_in_plain_words(engineer):
    told = {
        "a: [": "Zeile 1, Spalte 5: ein Wert oder eine schließende Klammer fehlt",
        "a:\n\tb: 1": "Zeile 2, Spalte 1: hier kann kein Tabulator stehen",
        "a: b: c": "hier kann kein Doppelpunkt stehen",
        "a: 'x": "ein Anführungszeichen wird nicht geschlossen",
        "a: 1\na: 2": "Zeile 2: das Feld 'a' steht zweimal da, zuerst in Zeile 1",
        "": "der Text ist leer",
        "- a": "der Text enthält keine Felder",
        "a: " + "[" * 60 + "]" * 60: (
            "ist zu tief verschachtelt; erlaubt sind höchstens 50 Ebenen"
        ),
        UNFOLDING: "ergibt ausgeschrieben mehr als 20000 Werte",
        'a: "\\ud800"': "Zeile 1: enthält U+D800, das in einem Text nicht erlaubt ist",
    }
    found = {text: lacks(checked(engineer, "de", text), words) for text, words in told.items()}
    assert {text: missing for text, missing in found.items() if missing} == {}


def test_the_effects_of_a_definition_are_told_with_titles_in_the_language_of_the_engineer(
    engineer, platform
):
    variables = {"Temperatur_Zone_1": {"type": "number", "title": "Temperatur Zone 1"}}
    platform.assets.store_assets([Asset.model_validate({"name": "Ofen_9", "variables": variables})])
    what = "kind: threshold\nassets: [Ofen_9]\nvariable: Temperatur_Zone_1\nabove: 216.5\n"
    assert lacks(
        checked(engineer, "de", f"name: hot\n{what}"),
        "Überwacht: Temperatur Zone 1 über 216,5",
        "hot: wird alle 1m an Ofen_9 ausgewertet, zum ersten Mal innerhalb von 1m",
    ) == []  # fmt: skip


# Forms


def test_every_help_of_a_form_is_said_in_the_language_of_the_reader():
    helps = {text for schema in SCHEMAS.values() for text in form_texts(schema) if " " in text}
    assert untranslated(helps) == []


@pytest.mark.parametrize("kind", definition_types())
def test_the_german_editor_has_no_english_help_or_label(engineer, kind):
    engineer.headers["accept-language"] = "de"
    start = next(one["name"] for one in list_starts() if one["kind"] == kind)
    form = send(engineer, NEW, "form", text_of(engineer.get(f"{NEW}?start={start}")))
    shown = unescape(form.text)
    english = {text for text in form_texts(SCHEMAS[kind]) if " " in text}
    german = {language("de").translate(text) for text in english}
    assert [text for text in english - german if f">{text}<" in shown] == []
    assert sum(f">{text}<" in shown for text in german) > 5
