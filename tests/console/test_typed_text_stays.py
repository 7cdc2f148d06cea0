"""Text that was typed into a form stays: with another language, and behind the back button."""

import pytest

from tests.helpers.console.chromium import CHROMIUM
from tests.helpers.console.full_plant import FIRST

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]
FILL = f"""(() => {{
  document.querySelector('[name=reason]').value = 'belt change';
  document.querySelector('[name=part]').value = '{FIRST}';
}})()"""
SHOWN = "['reason', 'part'].map(n => document.querySelector(`main [name=${n}]`).value).join()"
FORMS = {
    f"/definitions/{FIRST}-hot/edit": ("#text", "name: [hot"),
    "/new-source": ("textarea", "name: [plc"),
    "/import": ("input[name=asset]", "oven-9"),
}
"""Pages whose form is sent to their own address, with a field and what is typed into it."""


@pytest.mark.parametrize("is_refused", [False, True])
def test_another_language_keeps_what_was_typed(desk, is_refused):
    page, base = desk
    page.open(f"{base}/new-silence")
    page.evaluate(FILL)
    if is_refused:  # its end is past
        page.choose("[name=until]", "2020-01-01T00:00")
        page.follow("main form button.primary", base, "[role=alert]")
    assert page.evaluate(SHOWN) == f"belt change,{FIRST}"
    page.follow(".languages button[value=de]", f"{base}/new-silence", "html[lang=de] main form")
    assert page.evaluate(SHOWN) == f"belt change,{FIRST}"
    page.open(f"{base}/new-silence")
    assert page.evaluate(SHOWN) == ","
    assert [one for one in page.complaints if "SecurityPolicy" in str(one)] == []


def test_the_back_button_leads_from_a_refusal_to_what_was_typed(desk):
    page, base = desk
    stayed = {}
    for path, (field, typed) in FORMS.items():
        page.open(base + path)
        page.choose(field, typed)
        page.evaluate(f"document.querySelector({field!r}).form.noValidate = true")
        page.evaluate(f"document.querySelector({field!r}).form.requestSubmit()")
        page.wait_for(base + path, "[role=alert]")
        page.evaluate("history.back()")
        page.wait_for(base + path, "main:not(:has([role=alert]))")
        stayed[path] = (field, page.evaluate(f"document.querySelector({field!r}).value"))
    assert stayed == FORMS
