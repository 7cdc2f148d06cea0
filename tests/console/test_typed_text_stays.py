"""Text that was typed into a form stays: with another language, and behind the back button."""

from contextlib import contextmanager

import pytest

from alerting.console.app import create_app
from alerting.console.imports.imports import Imports
from alerting.usecases.definitions.sync import apply
from tests.builders import too_hot
from tests.helpers.console.api import TOKENS
from tests.helpers.console.chromium import CHROMIUM, open_chromium
from tests.helpers.console.often_hot import often_hot
from tests.helpers.console.pages import ADMIN_TOKEN
from tests.helpers.console.server import serving_thread
from tests.helpers.console.shifts import SIX, plant_with_shifts

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]
GERMAN = ".languages button[value=de]"
FILL = """(() => {
  document.querySelector('[name=reason]').value = 'belt change';
  const part = document.querySelector('[name=part]');
  part.value = 'line-1';
})()"""
SHOWN = "['reason', 'part'].map(n => document.querySelector(`main [name=${n}]`).value).join()"


@contextmanager
def signed_in(app, folder):
    """Yield a browser in which an administrator has signed in, and the address of the console."""
    with serving_thread(app) as port, open_chromium(folder) as page:
        base = f"http://127.0.0.1:{port}"
        page.open(f"{base}/login")
        page.evaluate(f"document.querySelector('input[name=token]').value = {ADMIN_TOKEN!r}")
        page.evaluate("document.querySelector('input[name=token]').form.submit()")
        page.wait_for(f"{base}/", "nav .who")
        yield page, base


@pytest.mark.parametrize("is_refused", [False, True])
def test_another_language_keeps_what_was_typed(tmp_path, is_refused):
    app = create_app(plant_with_shifts(), TOKENS, now=lambda: SIX)
    with signed_in(app, tmp_path / "profile") as (page, base):
        page.switch_scripts_on()
        page.open(f"{base}/new-silence")
        page.evaluate(FILL)
        if is_refused:  # its end is past
            page.evaluate("document.querySelector('[name=until]').value = '2020-01-01T00:00'")
            page.follow("main form button.primary", base, "[role=alert]")
        assert page.evaluate(SHOWN) == "belt change,line-1"
        page.follow(GERMAN, f"{base}/new-silence", "html[lang=de] main form")
        assert page.evaluate(SHOWN) == "belt change,line-1"
        page.open(f"{base}/new-silence")
        assert page.evaluate(SHOWN) == ","
        assert [one for one in page.complaints if "SecurityPolicy" in str(one)] == []


FORMS = {
    "/definitions/hot/edit": ("#text", "name: [hot"),
    "/new-source": ("textarea", "name: [plc"),
    "/import": ("input[name=asset]", "oven-9"),
}
"""Pages whose form is sent to their own address, with a field and what is typed into it."""


def test_the_back_button_leads_from_a_refusal_to_what_was_typed(tmp_path):
    platform = often_hot()
    apply(platform, [too_hot(name="hot")], "ben", platform.clock.now(), "first")
    app = create_app(platform, TOKENS, import_files=Imports(tmp_path / "imports"))
    with signed_in(app, tmp_path / "profile") as (page, base):
        for path, (field, typed) in FORMS.items():
            page.open(base + path)
            value = f"document.querySelector({field!r}).value"
            page.evaluate(f"{value} = {typed!r}")
            page.evaluate(f"document.querySelector({field!r}).form.noValidate = true")
            page.evaluate(f"document.querySelector({field!r}).form.requestSubmit()")
            page.wait_for(base + path, "[role=alert]")
            page.evaluate("history.back()")
            page.wait_for(base + path, "main:not(:has([role=alert]))")
            assert page.evaluate(value) == typed, path
