"""Pages that show what changes as it happens, in real browsers: a raise, another's acknowledgement,
an API that is killed and started again, several pages of one browser."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alerting.console.app import create_app
from alerting.definitions.wording.language import LANGUAGES
from alerting.episodes.episode import episode_id
from tests.helpers.console.api import TOKENS, episode
from tests.helpers.console.chromium import CHROMIUM, wait_until
from tests.helpers.console.live_console import console_process, reader, shows
from tests.helpers.console.server import serving_thread
from tests.in_memory_platform import HandClock, platform_on
from tests.support import free_port

pytestmark = [
    pytest.mark.browser,
    pytest.mark.server,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]


def alarms_in(document):
    """Return the script that lists the alarms in a document, each as often as it is there."""
    return f"[...{document}.querySelectorAll('#happening a[href^=\"/episodes/\"]')].join()"


SHOWN = alarms_in("document")
STORED = f"""(x => {{ x.open('GET', location.href, false); x.send(); return {
    alarms_in("new DOMParser().parseFromString(x.responseText, 'text/html')")
}; }})(new XMLHttpRequest())"""


def raised(minutes_ago, asset, **changes):
    """Return an open episode of some minutes ago: sessions are of the real time."""
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=minutes_ago)
    made = episode(1, asset=asset, condition="open", title=f"Hot at {asset}", **changes)
    return replace(made, id=episode_id("too-hot", asset, at), raised_at=at, detected_at=at)


def test_a_raise_is_seen_in_two_browsers_and_an_acknowledgement_in_the_other(tmp_path, stores):
    platform = platform_on(stores, [], HandClock(datetime.now(UTC)))
    app = create_app(platform, TOKENS)
    with serving_thread(app) as port:
        base = f"http://127.0.0.1:{port}"
        with reader(tmp_path / "a", base) as one, reader(tmp_path / "b", base) as other:
            one.evaluate("window.isSame = true")
            hot = raised(3, "oven-1")
            platform.episodes.insert(hot)
            for page in (one, other):
                shows(page, "Hot at oven-1")
                wait_until(lambda page=page: page.evaluate("document.title").startswith("(1) "))
                icon = page.evaluate("document.querySelector('link[rel=icon]').href")
                assert icon.startswith("data:image/svg+xml")
            assert one.evaluate("window.isSame")  # the page was not loaded again
            one.open(f"{base}/episodes/{hot.id}")
            one.click("form[action$='/ack'] button")
            wait_until(lambda: not other.evaluate("document.title").startswith("("), other.text)
            complaints = [*one.complaints, *other.complaints]
    assert [c for c in complaints if "ContentSecurityPolicy" in json.dumps(c)] == []


def test_an_episode_page_shows_what_others_do_but_not_while_somebody_types(tmp_path, stores):
    platform = platform_on(stores, [], HandClock(datetime.now(UTC)))
    hot = raised(3, "oven-1")
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
    hot = raised(3, "oven-1")
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
            platform.episodes.insert(raised(3, "oven-1"))
            shows(page, "Hot at oven-1")
            assert app.state.live.readers == 1
            for path in ("/definitions", "/"):  # a stream for each tab would let these wait
                page.open(base + path)
                page.wait_for(base + path, "main")
            shows(page, "Hot at oven-1")


def test_an_api_that_was_killed_is_found_again_and_the_page_shows_the_truth_once(
    tmp_path, real_server, stores
):
    platform = platform_on(stores, [], HandClock(datetime.now(UTC)))
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    given = (real_server, stores.database.name, port, tmp_path)
    with console_process(*given) as first:
        browser = reader(tmp_path / "a", base)
        page = browser.__enter__()
        try:
            page.evaluate("window.isSame = true")
            platform.episodes.insert(raised(4, "oven-1"))
            shows(page, "Hot at oven-1")
            first.kill()
            shows(page, "The connection was lost")
            platform.episodes.insert(raised(2, "oven-2"))
            with console_process(*given) as second:
                shows(page, "Hot at oven-2")
                wait_until(lambda: "The connection was lost" not in page.text(), page.text)
                wait_until(lambda: page.evaluate(SHOWN) == page.evaluate(STORED), page.text)
                assert page.evaluate("window.isSame")
                second.terminate()  # with the page open
                second.communicate(timeout=600)
                assert second.returncode is not None
        finally:
            browser.__exit__(None, None, None)


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
