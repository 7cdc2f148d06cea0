"""The trend in a real browser under the console's policy, below a path of its public address:
zoomed by mouse, gone back, in the dark."""

import re
from zoneinfo import ZoneInfo

import pytest

from alerting.console.app import create_app
from tests.builders import at
from tests.helpers.console.api import TOKENS
from tests.helpers.console.chromium import CHROMIUM, NO_CHROMIUM, SIDEWAYS, wait_until
from tests.helpers.console.pages import ADMIN_TOKEN
from tests.helpers.console.server import serving_thread
from tests.helpers.console.trends import TREND, swinging  # noqa: F401 - a fixture
from tests.support import free_port

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)]
SCREENS = ((390, 844), (1280, 800))
DRAWN = "document.querySelectorAll('#lanes.drawn canvas').length"
SMALL = """[...document.querySelectorAll('main button, main select, main input:not([type=hidden], [type=checkbox]), main summary, .moves a, .chips a')]
  .filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"""  # noqa: E501
SHOWN = "[...document.querySelectorAll('#trend-head time')].map(e => e.getAttribute('datetime'))"
PLACE = """(() => { const b = document.querySelector('#lanes .u-over').getBoundingClientRect();
  return [b.x, b.y, b.width, b.height]; })()"""


def test_a_person_looks_closer_at_a_trend_of_a_console_below_a_path(chromium, swinging):  # noqa: F811
    page = chromium
    port = free_port()
    base = f"http://127.0.0.1:{port}/alerting"
    zone = ZoneInfo("Europe/Berlin")
    app = create_app(swinging, TOKENS, now=lambda: at(600), zone=zone, public_url=base)
    page.prefer("light")
    with serving_thread(app, port=port):
        page.sign_in(base, ADMIN_TOKEN)
        page.complaints.clear()
        page.requests.clear()
        for width, height in SCREENS:
            page.resize(width, height)
            page.open(base + TREND)
            wait_until(lambda: page.evaluate(DRAWN) == 2, page.text)
            assert (page.evaluate(SMALL), page.evaluate(SIDEWAYS)) == ([], False), width

        zoom_by_mouse(page)
        loaded = page.evaluate("performance.timeOrigin")
        shown = page.evaluate(SHOWN)
        page.click(".moves a[rel=prev]")
        wait_until(lambda: page.evaluate(SHOWN)[1] == shown[0], lambda: page.evaluate(SHOWN))
        assert page.evaluate("performance.timeOrigin") == loaded  # no other page
        next_after_a_choice = "document.querySelector('.languages [name=next]').value"
        at_present = "(location.pathname + location.search).replace('/alerting', '')"
        assert page.evaluate(next_after_a_choice) == page.evaluate(at_present)

        drawn = "document.querySelector('#lanes canvas').toDataURL()"
        light = page.evaluate(drawn)
        page.prefer("dark")
        wait_until(lambda: page.evaluate(drawn) != light)
        elsewhere = {address for address in page.requests if not address.startswith(base)}
        assert (page.complaints, {one for one in elsewhere if "//" in one}) == ([], set())


def zoom_by_mouse(page):
    """Drag over the third quarter of the picture, read the values there, and go back."""
    before = page.evaluate("location.href")
    page.evaluate("scrollTo(0, 0)")
    x, y, width, height = page.evaluate(PLACE)
    middle = y + height / 2
    start = x + width / 2
    end = x + 3 * width / 4
    page.mouse("mouseMoved", start, middle)
    page.mouse("mousePressed", start, middle, button="left", clickCount=1)
    page.mouse("mouseMoved", end, middle, button="left", buttons=1)
    page.mouse("mouseReleased", end, middle, button="left", clickCount=1)
    wait_until(lambda: page.evaluate("location.href") != before)
    address = page.evaluate("decodeURIComponent(location.href)")
    chosen = r"&start=2026-01-05T0(5:59|6:00):\d\dZ&end=2026-01-05T0(7:59|8:00):\d\dZ$"
    assert re.search(chosen, address), address
    wait_until(lambda: "T02:00" not in page.evaluate(SHOWN)[0])
    wait_until(lambda: page.evaluate("!document.querySelector('#lanes[aria-busy]')"))
    page.mouse("mouseMoved", x + width / 2, middle)
    outputs = "[...document.querySelectorAll('#lanes output')].map(e => e.textContent)"
    wait_until(lambda: all(page.evaluate(outputs)))
    temperature, moisture = page.evaluate(outputs)
    assert temperature.startswith(("07:59", "08:0"))  # the plant's zone
    assert temperature.endswith("°C")
    assert moisture.endswith("3 %")
    page.evaluate("history.back()")
    wait_until(lambda: page.evaluate("location.href") == before)
    wait_until(lambda: "02:00" in page.evaluate(SHOWN)[0])
