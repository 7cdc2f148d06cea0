"""A shift is handed over in a real browser, with scripts, under the console's own
policy, on a phone in the dark and on a desk in the light."""

import os
from pathlib import Path

import pytest

from alerting.console.app import create_app
from tests.helpers.console.api import TOKENS
from tests.helpers.console.chromium import CHROMIUM, SIDEWAYS, open_chromium
from tests.helpers.console.pages import OPERATOR_TOKEN
from tests.helpers.console.server import serving_thread
from tests.helpers.console.shifts import SIX, plant_with_shifts

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]
PICTURES = os.environ.get("ALERTING_PICTURES")
SCREENS = ((390, 844, "dark"), (1280, 800, "light"))
SMALL = """[...document.querySelectorAll('main button, main summary, main a, main textarea')]
  .filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44)
  .map(e => e.outerHTML)"""
ON_FIRST_SCREEN = """(text => {
  const walk = document.createTreeWalker(document.querySelector('main'), 4);
  while (walk.nextNode()) {
    if (!walk.currentNode.data.includes(text)) continue;
    const range = document.createRange();
    range.selectNode(walk.currentNode);
    const box = range.getBoundingClientRect();
    return box.height > 0 && box.bottom + scrollY <= innerHeight;
  }
  return null; })(%r)"""


class ShiftWalk:
    """A person in a browser, who looks at every page."""

    def __init__(self, page, base, width):
        self.page = page
        self.base = base
        self._width = width

    def sign_in(self, token):
        self.page.open(f"{self.base}/login")
        self.page.evaluate(f"document.querySelector('input[name=token]').value = {token!r}")
        self.page.evaluate("document.querySelector('input[name=token]').form.submit()")
        self.page.wait_for(f"{self.base}/", "#now")

    def press(self, selector, there, path="/handover"):
        """Click, and wait for an element of the page that follows."""
        self.page.follow(selector, f"{self.base}{path}", there)

    def look(self, name):
        """Check that nothing is cut off or too small to be touched; take a picture if asked."""
        if PICTURES:
            self.page.picture(Path(PICTURES) / f"{name}-{self._width}.png")
        assert (self.page.evaluate(SMALL), self.page.evaluate(SIDEWAYS)) == ([], False), name

    def answers(self, *texts):
        """Check that texts stand on the first screen."""
        self.page.evaluate("scrollTo(0, 0)")
        found = {text: self.page.evaluate(ON_FIRST_SCREEN % text) for text in texts}
        assert found == dict.fromkeys(texts, True), self.page.text()

    def text(self, *expected):
        shown = self.page.text()
        assert [text for text in expected if text not in shown] == [], shown


@pytest.mark.parametrize(("width", "height", "scheme"), SCREENS)
def test_a_shift_is_handed_over(tmp_path, width, height, scheme):
    platform = plant_with_shifts()
    app = create_app(platform, TOKENS, now=lambda: SIX)
    with serving_thread(app) as port, open_chromium(tmp_path / "profile") as page:
        page.resize(width, height)
        page.prefer(scheme)
        walk = ShiftWalk(page, f"http://127.0.0.1:{port}", width)
        walk.sign_in(OPERATOR_TOKEN)
        page.switch_scripts_on()
        hand_over(walk)
        platform.clock.instant = SIX
        send(walk)
        assert [one for one in page.complaints if "SecurityPolicy" in str(one)] == []
    sent = platform.channels["mail"].messages[-1]
    assert sent.subject == "Hand-over night"
    assert "otto: Zone 2 drifts: look at it every hour" in sent.text
    assert "nina acted: belt slowed; Too hot, oven-1 (avoided)" in sent.text


def hand_over(walk):
    """From the front page, a note in two taps."""
    walk.press("a[href^='/handover?']", "#notes")
    walk.look("handover-night")
    walk.answers("belt slowed", "taken over by nina", "2 raised, 1 open, 2 not answered, 1 done")
    walk.page.write("textarea[name=text]", "Zone 2 drifts: look at it every hour")
    walk.press(".handover-note button", "#notes li")
    walk.text("Zone 2 drifts: look at it every hour")


def send(walk):
    """Send the night as a message, and find its open questions in the new shift."""
    walk.page.press(".handover-more summary")
    walk.press(".handover-more button", "[role=status]")
    walk.text("Sent to 1 recipient of early")
    walk.press("nav.handover-chips a:last-child", ".handover-more")
    walk.text("early · today 06:00", "Unanswered, of earlier shifts")
    walk.look("handover-early")
