"""The trend in a real browser under the console's policy: zoomed by mouse, gone back, in the
dark, and without a script."""

import re
from zoneinfo import ZoneInfo

import pytest

from alerting.console.app import create_app
from tests.builders import at
from tests.helpers.console.api import TOKENS
from tests.helpers.console.chromium import CHROMIUM, SIDEWAYS, open_chromium, wait_until
from tests.helpers.console.pages import ADMIN_TOKEN
from tests.helpers.console.server import serving_thread
from tests.helpers.console.trends import TREND, swinging  # noqa: F401 - a fixture

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]
SCREENS = ((390, 844), (800, 1280), (1280, 800), (1920, 1080))
DRAWN = "document.querySelectorAll('#lanes.drawn canvas').length"
SMALL = """[...document.querySelectorAll('main button, main select, main input:not([type=hidden], [type=checkbox]), main summary, .moves a, .chips a')]
  .filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"""  # noqa: E501
SHOWN = "[...document.querySelectorAll('#trend-head time')].map(e => e.getAttribute('datetime'))"
PLACE = """(() => { const b = document.querySelector('#lanes .u-over').getBoundingClientRect();
  return [b.x, b.y, b.width, b.height]; })()"""


def test_a_person_looks_closer_at_a_trend(tmp_path, swinging):  # noqa: F811
    app = create_app(swinging, TOKENS, now=lambda: at(600), zone=ZoneInfo("Europe/Berlin"))
    with serving_thread(app) as port, open_chromium(tmp_path / "profile") as page:
        base = f"http://127.0.0.1:{port}"
        page.resize(1280, 800)
        page.open(f"{base}/login")
        page.evaluate(f"document.querySelector('input[name=token]').value = {ADMIN_TOKEN!r}")
        page.tap("form:has(input[name=token]) button")

        page.open(base + TREND)
        assert page.evaluate("document.querySelectorAll('#lanes svg.plot').length") == 2
        assert page.evaluate("document.querySelector('.line').getAttribute('d').length") > 1000
        assert page.evaluate(DRAWN) == 0

        page.switch_scripts_on()
        for width, height in SCREENS:
            page.resize(width, height)
            page.open(base + TREND)
            wait_until(lambda: page.evaluate(DRAWN) == 2, page.text)
            page.picture(tmp_path / f"trend-{width}.png")
            assert (page.evaluate(SMALL), page.evaluate(SIDEWAYS)) == ([], False), width

        zoom_by_mouse(page)
        loaded = page.evaluate("performance.timeOrigin")
        shown = page.evaluate(SHOWN)
        page.click(".moves a[rel=prev]")
        wait_until(lambda: page.evaluate(SHOWN)[1] == shown[0], lambda: page.evaluate(SHOWN))
        assert page.evaluate("performance.timeOrigin") == loaded  # no other page

        assert page.evaluate(
            "document.querySelector('.languages [name=next]').value === "
            "location.pathname + location.search"
        )
        light = page.evaluate("document.querySelector('#lanes canvas').toDataURL()")
        page.prefer("dark")
        drawn = "document.querySelector('#lanes canvas').toDataURL()"
        wait_until(lambda: page.evaluate(drawn) != light)
        page.picture(tmp_path / "trend-dark.png")
        assert page.complaints == []
        assert {address.split("/")[2] for address in page.requests if "//" in address} == {
            f"127.0.0.1:{port}"
        }


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
