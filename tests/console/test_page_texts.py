"""No page but the documents tells a person to run a command, in any language: a text carries its
command beside its words, and only the command line prints it."""

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from alerting.cli.command import commands_below
from alerting.console import rendering
from alerting.console.app import create_app
from alerting.console.plant.import_jobs import Imports
from alerting.definitions.wording.language import LANGUAGES, language, translatable, with_command
from tests.builders import at
from tests.helpers.console.full_plant import (
    FIRST,
    NOW,
    TOKENS_FILE,
    in_a_browser,
    plant,
    sender,
)
from tests.helpers.console.page_paths import pages_of

COMMAND = re.compile(
    r"\balerting (apply|backtest|backup|check|episodes|evaluate|export|import|list|models?|prepare"
    r"|report|retry|show|source|train|try|up|why)\b"
)
PACKAGE = Path(rendering.__file__).parents[1]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    files = Imports(tmp_path_factory.mktemp("uploads"))
    app = create_app(plant(FIRST), TOKENS_FILE, now=lambda: at(NOW), import_files=files)
    return TestClient(app)


def test_no_template_and_no_translated_text_names_a_command():
    pages = [*PACKAGE.rglob("*.html"), *PACKAGE.rglob("*.js")]
    named = {page.name: COMMAND.findall(page.read_text(encoding="utf-8")) for page in pages}
    assert {name: commands for name, commands in named.items() if commands} == {}
    for code in LANGUAGES:
        texts = language(code).texts.values()
        shown = [form for text in texts for form in ([text] if text is str(text) else text)]
        assert [form for form in shown if COMMAND.search(form)] == []


@pytest.mark.parametrize("code", LANGUAGES)
def test_no_page_shows_a_command(client, code):
    cookies = f"{in_a_browser(sender('admin')).headers['cookie']}; {rendering.COOKIE}={code}"

    def read(path):
        answer = client.get(path, headers={"cookie": cookies})
        assert answer.status_code in (200, 404), path  # a faulty definition has no models
        return answer.text

    shown = [path for path in pages_of(FIRST) if not path.startswith("/help")]
    named = {path: COMMAND.findall(read(path)) for path in shown}
    assert {path: commands for path, commands in named.items() if commands} == {}


def test_the_command_line_prints_the_command_of_a_text_below_it():
    due = with_command(translatable("training starts within two minutes"), "alerting train oven")
    step = translatable("{name}: {text}", name="oven", text=due)
    shown = {code: language(code).translate(step) for code in LANGUAGES}
    assert shown == {
        "en": "oven: training starts within two minutes",
        "de": "oven: das Training beginnt innerhalb von zwei Minuten",
        "fr": "oven\u00a0: l\u2019entraînement commence d\u2019ici deux minutes",
        "es": "oven: el entrenamiento comienza en menos de dos minutos",
    }
    assert commands_below(step) == ["  `alerting train oven`"]
