"""The trend in a real browser under the console's policy, below a path of its public address: read
by pointer and by keys, saved, zoomed by mouse, gone back, in the dark."""

import re
from xml.etree import ElementTree
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
DRAWN = "document.querySelectorAll('#lanes .panel').length"
SMALL = """[...document.querySelectorAll('main button, main select, main input:not([type=hidden], [type=checkbox]), main summary, .moves a, .chips a')]
  .filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"""  # noqa: E501
SHOWN = "[...document.querySelectorAll('#trend-head time')].map(e => e.getAttribute('datetime'))"
PLACE = """(() => { const b = document.querySelector('#lanes .frame').getBoundingClientRect();
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

        read_by_keys(page)
        save(page)
        choose_variables(page)
        zoom_by_mouse(page)
        loaded = page.evaluate("performance.timeOrigin")
        shown = page.evaluate(SHOWN)
        page.click(".moves a[rel=prev]")
        wait_until(lambda: page.evaluate(SHOWN)[1] == shown[0], lambda: page.evaluate(SHOWN))
        assert page.evaluate("performance.timeOrigin") == loaded  # no other page
        next_after_a_choice = "document.querySelector('.languages [name=next]').value"
        at_present = "(location.pathname + location.search).replace('/alerting', '')"
        assert page.evaluate(next_after_a_choice) == page.evaluate(at_present)

        colour = "getComputedStyle(document.querySelector('#lanes .line')).stroke"
        light = page.evaluate(colour)
        page.prefer("dark")
        wait_until(lambda: page.evaluate(colour) != light)
        elsewhere = {address for address in page.requests if not address.startswith(base)}
        assert (page.complaints, {one for one in elsewhere if "//" in one}) == ([], set())


TICK = "document.querySelector('#choice [value=temperature]')"
ROWS = "document.querySelectorAll('.trend-variable:not([hidden])').length"
IS_BUSY = "!!document.querySelector('#lanes[aria-busy]')"


def choose_variables(page):
    """Untick a variable by the keyboard, and tick it again, without another page: the focus stays;
    the search leaves what it is for."""
    loaded = page.evaluate("performance.timeOrigin")
    page.evaluate(f"{TICK}.focus()")
    for number in (1, 2):
        page.key(" ", " ")
        wait_until(lambda number=number: page.evaluate(DRAWN) == number)
        wait_until(lambda: not page.evaluate(IS_BUSY))
        assert page.evaluate(f"document.activeElement === {TICK}")
        if number == 1:
            page.write("#choice [name=text]", "moist")
            assert page.evaluate(ROWS) == 1
            page.evaluate("document.querySelector('#choice [name=text]').value = ''")
            page.evaluate(f"{TICK}.closest('li').hidden = false")
            page.evaluate(f"{TICK}.focus()")
    assert page.evaluate("performance.timeOrigin") == loaded


READ = "document.querySelector('#lanes output').textContent"
OUTPUT = "(o => [o.ariaLive, o.textContent])(document.querySelector('#lanes output'))"
HAIRS = "document.querySelectorAll('#lanes .hair').length"


def read_by_keys(page):
    """Move the cross-hair by keys, and by the pointer to a gap: each value is read out."""
    page.evaluate("document.querySelector('#lanes .drawing').focus()")
    page.key("ArrowRight")
    live, said = page.evaluate(OUTPUT)
    first = r"03:0\d:\d\d; Zone 2 temperature, °C 21\d.* °C; moisture, % 3 %"
    assert (live, bool(re.fullmatch(first, said)), page.evaluate(HAIRS)) == ("polite", True, 2), (
        said
    )
    page.key("ArrowRight")
    assert page.evaluate(READ) > said
    for _ in range(3):
        page.key("PageDown")
    assert "05:" in page.evaluate(READ)
    x, y, width, height = page.box("#lanes .frame")
    page.mouse("mouseMoved", x + width * 2.3 / 8, y + height / 2)
    assert re.match(r"05:1\d.* no value; .* no value", page.evaluate(READ))
    page.mouse("mouseMoved", 0, 0)
    page.key("Escape")
    assert (page.evaluate(READ), page.evaluate(HAIRS)) == ("", 0)


SAVED = """window.saved = []; URL.createObjectURL = blob => {
  blob.text().then(text => window.saved.push([blob.type, text])); return 'blob:0'; };
  HTMLAnchorElement.prototype.click = function () { window.saved.push(this.download); }"""


def save(page):
    """Save the numbers and the picture."""
    page.evaluate(SAVED)
    for kind in ("csv", "svg"):
        page.click(f"#lanes [data-save={kind}]")
    wait_until(lambda: page.evaluate("window.saved.length") == 4)
    saved = page.evaluate("window.saved")
    page.evaluate("delete HTMLAnchorElement.prototype.click")
    assert [name for name in saved if isinstance(name, str)] == ["chart.csv", "chart.svg"]
    files = dict(name for name in saved if not isinstance(name, str))
    head, first, *_ = files["text/csv"].splitlines()
    assert head == '"Zone 2 temperature, °C","moisture, %"'.join(["time,", ""])
    assert re.fullmatch(r"2026-01-05T02:00:\d\d\.\d{3}Z,2\d\d(\.\d+)?,3", first), first
    picture = ElementTree.fromstring(files["image/svg+xml"])  # noqa: S314 - our own
    styled = [one for one in picture.iter() if "rgb(" in one.get("style", "")]
    assert len(styled) > 20, "the picture has its colours in it"


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
    readouts = "[...document.querySelectorAll('#lanes .readout')].map(e => e.textContent)"
    wait_until(lambda: len(page.evaluate(readouts)) == 2)
    temperature, moisture = page.evaluate(readouts)
    assert temperature.startswith(("07:59", "08:0"))  # the plant's zone
    assert temperature.endswith("°C")
    assert moisture == "3 %"
    assert page.evaluate(OUTPUT)[0] == "off"
    page.evaluate("history.back()")
    wait_until(lambda: page.evaluate("location.href") == before)
    wait_until(lambda: "02:00" in page.evaluate(SHOWN)[0])
