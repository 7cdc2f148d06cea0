"""No page tells a person to run a command, in any language."""

import re
from pathlib import Path

from alerting.console import page_texts
from alerting.console.page_texts import ON_PAGES, without_commands
from alerting.definitions.wording.language import LANGUAGES, language, translatable

COMMAND = re.compile(
    r"\balerting (apply|backtest|backup|check|episodes|evaluate|export|import|list|models?|prepare"
    r"|report|show|source|stream|train|try|up|why)\b"
)
TEMPLATES = Path(page_texts.__file__).parent / "templates"


def test_no_page_text_contains_a_command():
    pages = [*TEMPLATES.rglob("*.html"), *(TEMPLATES.parent / "scripts").glob("*.js")]
    named = {page.name: COMMAND.findall(page.read_text(encoding="utf-8")) for page in pages}
    assert {name: commands for name, commands in named.items() if commands} == {}
    for code in LANGUAGES:
        texts = without_commands(language(code)).texts
        shown = [
            form for text in texts.values() for form in ([text] if text is str(text) else text)
        ]
        assert [form for form in shown if COMMAND.search(form)] == []
    catalogue = language("de").texts
    assert {text for text in catalogue if COMMAND.search(text)} <= set(ON_PAGES)


SENTENCES = {  # of a text with a command: of the page in three languages
    "en": "oven: training starts within two minutes",
    "de": "oven: das Training beginnt innerhalb von zwei Minuten",
    "fr": "oven\u00a0: l\u2019entraînement commence d\u2019ici deux minutes",
}


def test_a_page_says_what_happens_instead_of_the_command():
    due = translatable(
        "its training is due and starts by itself while the platform runs, or at once with "
        "`alerting train {name}`",
        name="oven",
    )
    step = translatable("{name}: {text}", name="oven", text=due)
    assert "`alerting train oven`" in step
    shown = {code: without_commands(language(code)).translate(step) for code in LANGUAGES}
    assert shown == SENTENCES
