"""Pages that show what changes as it happens, in a real browser: while somebody types or presses,
in several tabs of one browser, with a sound."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alerting.console.app import create_app
from tests.helpers.console.api import TOKENS
from tests.helpers.console.chromium import CHROMIUM, NO_CHROMIUM, wait_until
from tests.helpers.console.live_console import reader, shows
from tests.helpers.console.operators_plant import raised
from tests.helpers.console.server import serving_thread
from tests.in_memory_platform import HandClock, platform_on

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM),
]


@pytest.fixture
def hot(stores):
    """Return a platform with an open alarm, and the alarm."""
    platform = platform_on(stores, [], HandClock(datetime.now(UTC)))
    alarm = raised("oven-1", timedelta(minutes=3), title="Hot at oven-1")
    platform.episodes.insert(alarm)
    return platform, alarm


def test_a_page_shows_what_others_do_but_not_while_somebody_types_or_presses(tmp_path, hot):
    platform, alarm = hot
    mark = "sessionStorage.getItem('alerting-live-mark')"
    comment = "document.querySelector('[name=comment]')"
    show = "import('/scripts/refresh.js').then(m => m.showAnew()).then(x => { window.isShown = x })"
    with serving_thread(create_app(platform, TOKENS)) as port:
        base = f"http://127.0.0.1:{port}"
        with reader(tmp_path / "a", base, f"/episodes/{alarm.id}") as page:
            page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
            page.evaluate(f"{comment}.focus()")
            page.evaluate(f"{comment}.value = 'belt to'")
            stored = platform.episodes.get(alarm.id)
            seen = stored.with_transition("commented", datetime.now(UTC), "belt is torn", "anna")
            before = page.evaluate(mark)
            with platform.unit_of_work.begin() as unit:
                platform.episodes.write([replace(seen, version=stored.version + 1)], unit)
            wait_until(lambda: page.evaluate(mark) != before)
            assert page.evaluate(f"{comment}.value") == "belt to"
            assert "Belt is torn" not in page.text()
            page.evaluate(f"{comment}.value = ''")
            page.evaluate(f"{comment}.blur()")
            shows(page, "Belt is torn")
            assert page.evaluate("document.querySelectorAll('details[open]').length") > 0
            page.open(f"{base}/")
            shows(page, "Hot at oven-1")
            left, top, width, height = page.box(f"a[href='/episodes/{alarm.id}']")
            place = (left + width / 2, top + height / 2)
            page.mouse("mousePressed", *place, button="left", clickCount=1)
            page.evaluate(f"{show} && 1")
            wait_until(lambda: page.evaluate("'isShown' in window"))
            assert page.evaluate("window.isShown") is False
            page.mouse("mouseReleased", *place, button="left", clickCount=1)
            page.wait_for(f"{base}/episodes/{alarm.id}")


def test_tabs_of_one_browser_share_one_stream_and_the_sound_is_remembered(tmp_path, hot):
    platform, _ = hot
    app = create_app(platform, TOKENS)
    with serving_thread(app) as port:
        base = f"http://127.0.0.1:{port}"
        with reader(tmp_path / "a", base) as page:
            for _ in range(7):
                page.evaluate("window.open(location.href) && 1")
            platform.episodes.insert(raised("oven-2", timedelta(minutes=1), title="Hot at oven-2"))
            shows(page, "Hot at oven-2")
            assert app.state.live.readers == 1
            page.evaluate(
                "(s => { s.value = 'high'; s.dispatchEvent(new Event('change')); })"
                "(document.querySelector('#live-sound'))"
            )
            for path in ("/definitions", "/"):  # a stream for each tab would let these wait
                page.open(base + path)
                page.wait_for(base + path, "main")
            sound = "document.querySelector('#live-sound').value"
            wait_until(lambda: page.evaluate(sound) == "high")
            button = "document.querySelector('#live-tap').checkVisibility()"
            wait_until(lambda: page.evaluate(button))
            page.press("#live-tap")  # browsers want a tap before they sound
            wait_until(lambda: not page.evaluate(button))
            assert page.evaluate(sound) == "high"
