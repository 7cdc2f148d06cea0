"""Labels and helps of all forms are texts of the catalogue: no English is left on the pages."""

import re
from html import unescape

import pytest

from alerting.console.assets.asset_pages import asset_schema
from alerting.console.definitions.form import definition_schema, form_texts
from alerting.console.definitions.starts import list_starts
from alerting.console.routes.route_pages import route_schema
from alerting.definitions.wording.language import language
from alerting.kinds.registry import definition_types
from tests.helpers.console.pages import ADMIN_TOKEN, browser, csrf_of, log_in, wall

__all__ = ["browser", "wall"]
SCHEMAS = {
    **{kind: definition_schema({"kind": kind}) for kind in definition_types()},
    "asset": asset_schema(),
    "route": route_schema(),
}


def helps_of(schema):
    return {text for text in form_texts(schema) if " " in text}


@pytest.mark.parametrize("code", ["de", "fr"])
@pytest.mark.parametrize("name", SCHEMAS)
def test_every_help_of_a_form_is_said_in_the_language_of_the_reader(name, code):
    found = language(code)
    same = [text for text in helps_of(SCHEMAS[name]) if found.translate(text) == text]
    assert same == []


@pytest.mark.parametrize("kind", definition_types())
def test_the_german_editor_has_no_english_help_or_label(browser, kind):
    log_in(browser, ADMIN_TOKEN)
    start = next(one["name"] for one in list_starts() if one["kind"] == kind)
    page = browser.get(f"/definitions/new?start={start}", headers={"accept-language": "de"})
    text = unescape(re.search(r"<textarea id=\"text\"[^>]*>\n(.*?)</textarea>", page.text, re.S)[1])
    sent = {"csrf": csrf_of(page), "do": "form", "text": text}
    form = browser.post("/definitions/new", data=sent, headers={"accept-language": "de"})
    assert form.status_code == 200
    shown = unescape(form.text)
    english = {t for t in form_texts(SCHEMAS[kind]) if " " in t}
    german = {language("de").translate(t) for t in english}
    assert [t for t in english - german if f">{t}<" in shown] == []
    assert sum(f">{t}<" in shown for t in german) > 5
