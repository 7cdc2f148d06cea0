"""Pages that show what changes as it happens, in a real browser: while somebody types or presses,
in several tabs of one browser, with a sound."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alerting.console.app import create_app
from alerting.definitions.wording.language import LANGUAGES
from tests.helpers.console.api import TOKENS
from tests.helpers.console.chromium import CHROMIUM, wait_until
from tests.helpers.console.live_console import reader, shows
from tests.helpers.console.operators_plant import raised
from tests.helpers.console.server import serving_thread
from tests.in_memory_platform import HandClock, platform_on

pytestmark = [
    pytest.mark.browser,
    pytest.mark.server,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]


def test_an_episode_page_shows_what_others_do_but_not_while_somebody_types(tmp_path, stores):
    platform = platform_on(stores, [], HandClock(datetime.now(UTC)))
    hot = raised("oven-1", timedelta(minutes=3), title="Hot at oven-1")
    platform.episodes.insert(hot)
    with serving_thread(create_app(platform, TOKENS)) as port:
        base = f"http://127.0.0.1:{port}"
        with reader(tmp_path / "a", base, f"/episodes/{hot.id}") as page:
            page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
            page.evaluate("document.querySelector('[name=comment]').focus()")
            page.evaluate("document.querySelector('[name=comment]').value = 'belt to'")
            stored = platform.episodes.get(hot.id)
            now = datetime.now(UTC)
            seen = stored.with_transition("commented", now, "belt is torn", "anna")
            with platform.unit_of_work.begin() as unit:
                platform.episodes.write([replace(seen, version=stored.version + 1)], unit)
            mark = page.evaluate("sessionStorage.getItem('alerting-live-mark')")
            wait_until(
                lambda: page.evaluate("sessionStorage.getItem('alerting-live-mark')") != mark
            )
            assert page.evaluate("document.querySelector('[name=comment]').value") == "belt to"
            assert "Belt is torn" not in page.text()
            page.evaluate("document.querySelector('[name=comment]').value = ''")
            page.evaluate("document.querySelector('[name=comment]').blur()")
            shows(page, "Belt is torn")
            assert page.evaluate("document.querySelectorAll('details[open]').length") > 0


def test_a_press_while_something_changes_is_not_lost(tmp_path, stores):
    platform = platform_on(stores, [], HandClock(datetime.now(UTC)))
    hot = raised("oven-1", timedelta(minutes=3), title="Hot at oven-1")
    platform.episodes.insert(hot)
    show = "import('/scripts/refresh.js').then(m => m.showAnew()).then(x => { window.isShown = x })"
    with serving_thread(create_app(platform, TOKENS)) as port:
        base = f"http://127.0.0.1:{port}"
        with reader(tmp_path / "a", base) as page:
            shows(page, "Hot at oven-1")
            link = f"a[href='/episodes/{hot.id}']"
            left, top, width, height = page.box(link)
            finger = {"button": "left", "clickCount": 1}
            page.mouse("mousePressed", left + width / 2, top + height / 2, **finger)
            page.evaluate(f"{show} && 1")
            wait_until(lambda: page.evaluate("'isShown' in window"))
            assert page.evaluate("window.isShown") is False
            page.mouse("mouseReleased", left + width / 2, top + height / 2, **finger)
            page.wait_for(f"{base}/episodes/{hot.id}")


def test_eight_tabs_of_one_browser_share_one_stream_and_stay_usable(tmp_path, stores):
    platform = platform_on(stores, [], HandClock(datetime.now(UTC)))
    app = create_app(platform, TOKENS)
    with serving_thread(app) as port:
        base = f"http://127.0.0.1:{port}"
        with reader(tmp_path / "a", base) as page:
            for _ in range(7):
                page.evaluate("window.open(location.href) && 1")
            platform.episodes.insert(raised("oven-1", timedelta(minutes=3), title="Hot at oven-1"))
            shows(page, "Hot at oven-1")
            assert app.state.live.readers == 1
            for path in ("/definitions", "/"):  # a stream for each tab would let these wait
                page.open(base + path)
                page.wait_for(base + path, "main")
            shows(page, "Hot at oven-1")


@pytest.mark.parametrize("language", LANGUAGES)
def test_sound_is_chosen_by_severity_and_remembered(tmp_path, stores, language):
    platform = platform_on(stores, [], HandClock(datetime.now(UTC)))
    app = create_app(platform, TOKENS, language=language)
    with (
        serving_thread(app) as port,
        reader(tmp_path / "a", f"http://127.0.0.1:{port}") as page,
    ):
        page.evaluate(
            "(s => { s.value = 'high'; s.dispatchEvent(new Event('change')); })"
            "(document.querySelector('#live-sound'))"
        )
        page.open(f"http://127.0.0.1:{port}/")
        wait_until(lambda: page.evaluate("document.querySelector('#live-sound').value") == "high")
        button = "document.querySelector('#live-tap')"
        wait_until(lambda: page.evaluate(f"{button}.checkVisibility()"))
        page.picture(tmp_path / f"sound-{language}.png")
        page.press("#live-tap")  # browsers want a tap before they sound
        wait_until(lambda: not page.evaluate(f"{button}.checkVisibility()"))
        assert page.evaluate("document.querySelector('#live-sound').value") == "high"
