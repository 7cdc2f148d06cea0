"""An engineer's day by the keyboard alone, in Chromium: tab, enter, arrows and Ctrl-K lead to an
alert, through its editor, and to an alarm that is answered, muted, and not muted after all. What
has the focus is in sight and framed at each step, and keeps it when the page is shown anew."""

from datetime import UTC, datetime

import pytest

from alerting.console.app import create_app
from alerting.usecases.operators.operate import Actor, acknowledge
from tests.helpers.console.api import TOKENS
from tests.helpers.console.chromium import CHROMIUM, NO_CHROMIUM, wait_until
from tests.helpers.console.live_console import reader, shows
from tests.helpers.console.operators_plant import get_hot, operators_plant
from tests.helpers.console.pages import ADMIN_TOKEN
from tests.helpers.console.server import serving_thread

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM),
]
FOCUS = """(() => {
  const e = document.activeElement;
  if (e === document.body) return null;
  const seen = e.matches('.preset input') ? e.nextElementSibling : e;
  const b = seen.getBoundingClientRect();
  const inSight = b.width > 0 && b.bottom > 0 && b.top < innerHeight && b.right > 0;
  const level = e.querySelector('.level'); // a limit of a chart is drawn through
  const framed = getComputedStyle(seen).outlineStyle !== 'none'
    || level && getComputedStyle(level).strokeWidth === '3px';
  return [inSight && framed, e.outerHTML.slice(0, 120)];
})()"""
"""Whether what has the focus is in sight and framed, and what it is."""
CARD = "#happening [data-asset=press-3]"


class Keyboard:
    """An engineer without a mouse."""

    def __init__(self, page, base):
        self.page = page
        self.base = base
        self.keys = 0

    def key(self, name, text="", modifiers=0):
        self.page.key(name, text, modifiers)
        self.keys += 1

    def has(self, selector):
        return self.page.evaluate(f"document.activeElement.matches({selector!r})")

    def tab_to(self, selector, most=60):
        """Go on by the tab key, to what is asked for; all on the way can be seen."""
        for _ in range(most):
            self.key("Tab")
            focus = self.page.evaluate(FOCUS)
            assert focus is None or focus[0], focus
            if self.has(selector):
                return
        raise AssertionError((selector, self.page.evaluate(FOCUS), self.page.text()[:2000]))

    def enter(self, address=None, there="main"):
        """Press the enter key; wait for the page that follows, if one does."""
        self.page.evaluate("window.isLeft = true")
        self.key("Enter", "\r")
        if address is not None:
            wait_until(lambda: self.has_come(address, there), self.page.text)

    def has_come(self, address, there):
        return self.page.evaluate(
            "!window.isLeft && document.readyState === 'complete'"
            f" && location.pathname === {address!r} && document.querySelector({there!r}) !== null"
        )

    def jump(self, text, address):
        self.key("k", modifiers=2)
        wait_until(lambda: self.has("dialog[open] input"))
        self.page._call("Input.insertText", text=text)
        found = f"dialog li a[href={address!r}]"
        wait_until(lambda: self.page.evaluate(f"!!document.querySelector({found!r})"))
        for _ in range(20):
            self.key("ArrowDown")
            if self.has(f"[href={address!r}]"):
                break
        assert self.page.evaluate(FOCUS)[0]
        self.enter(address)


def change_a_limit(one, platform):
    one.jump("press", "/definitions/too-hot")
    shows(one.page, "Press too hot")
    one.tab_to("a[href='/definitions/too-hot/edit']")
    one.enter("/definitions/too-hot/edit", "#text")
    one.tab_to("button[value=form]")
    one.enter("/definitions/too-hot/edit", "#field-above")
    one.tab_to("#field-above")
    one.key("a", modifiers=2)
    one.page._call("Input.insertText", text="226")
    shows(one.page, "limit 226")
    assert one.has("#field-above"), "the preview leaves the cursor where it is"
    one.tab_to("[name=reason]")
    one.page._call("Input.insertText", text="fewer alarms")
    one.tab_to("button[value=apply]")
    one.enter("/definitions/too-hot", ".tabs")
    assert platform.definitions.newest_revision("too-hot").definition.above == 226


def answer_an_alarm(one, platform, hot):
    one.jump("press 3", f"/episodes/{hot.id}")
    shows(one.page, "Press too hot")
    one.jump("press 3", "/assets/press-3")
    one.page.open(one.base + "/")
    one.tab_to(f"{CARD} .title")
    one.page.evaluate("document.querySelector('main').dataset.before = 1")
    acknowledge(platform, hot.id, Actor("otto", "operator"), datetime.now(UTC))
    wait_until(lambda: not one.page.evaluate("document.querySelector('main').dataset.before"))
    assert one.has(f"{CARD} .title"), "a page that is shown anew keeps the focus"
    one.tab_to(f"{CARD} summary")
    one.enter()
    one.tab_to(f"{CARD} button.right")
    one.enter("/", ".toast")
    shows(one.page, "Your answer: right")
    hot = platform.episodes.get(hot.id)
    assert [answer.verdict for answer in hot.feedback] == ["true_alarm"]


def mute_and_undo(one, platform):
    one.tab_to(f"{CARD} details:has(.presets) > summary")
    one.enter()
    one.tab_to(f"{CARD} .presets input")
    one.key("ArrowRight")
    assert one.page.evaluate(FOCUS)[0]
    one.tab_to(f"{CARD} button[name=preset]")
    one.enter("/", ".toast")
    (muted,) = platform.mutes.not_ended()
    one.tab_to(".toast button", most=1)
    one.enter("/")
    wait_until(lambda: platform.mutes.get(muted.id).ended_at is not None, one.page.text)


def test_from_a_limit_to_an_alarm_without_a_mouse(tmp_path, stores):
    platform = operators_plant(stores)
    get_hot(platform, "press-3")
    (hot,) = platform.episodes.find(open_only=True)
    with (
        serving_thread(create_app(platform, TOKENS)) as port,
        reader(tmp_path / "a", f"http://127.0.0.1:{port}", token=ADMIN_TOKEN) as page,
    ):
        one = Keyboard(page, f"http://127.0.0.1:{port}")
        change_a_limit(one, platform)
        answer_an_alarm(one, platform, hot)
        mute_and_undo(one, platform)
    assert not platform.mutes.not_ended()
