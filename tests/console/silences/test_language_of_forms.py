"""Another language on a form that was refused, or that is half filled in, keeps what was typed."""

import pytest

from alerting.console.app import create_app
from tests.helpers.console.api import TOKENS
from tests.helpers.console.chromium import CHROMIUM, open_chromium
from tests.helpers.console.pages import OPERATOR_TOKEN
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


@pytest.mark.parametrize("is_refused", [False, True])
def test_another_language_keeps_what_was_typed(tmp_path, is_refused):
    platform = plant_with_shifts()
    app = create_app(platform, TOKENS, now=lambda: SIX)
    with serving_thread(app) as port, open_chromium(tmp_path / "profile") as page:
        base = f"http://127.0.0.1:{port}"
        page.resize(390, 844)
        page.open(f"{base}/login")
        page.evaluate(f"document.querySelector('input[name=token]').value = {OPERATOR_TOKEN!r}")
        page.evaluate("document.querySelector('input[name=token]').form.submit()")
        page.wait_for(f"{base}/", "#now")
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
