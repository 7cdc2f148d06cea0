"""The wall on screens of several shapes: what it says of its alarms is whole, one alarm or four."""

import pytest

from alerting.definitions.assets import Asset, Variable
from alerting.operators.silences import SilenceScope, new_silence
from alerting.usecases.definitions.sync import apply
from tests.builders import at, too_hot
from tests.helpers.console.api import episode
from tests.helpers.console.chromium import CHROMIUM, open_chromium, wait_until
from tests.helpers.console.pages import VIEWER_TOKEN
from tests.helpers.console.people import app_of
from tests.helpers.console.server import serving_thread

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]
SCREENS = [(1280, 800), (1920, 1080), (1080, 1920)]
LANGUAGES = ["en", "de", "fr"]
TITLE = "Biscuits are getting too moist behind the second oven"
ACTION = (
    "Slow the belt by up to 0.8 m/min and raise zone 3 by up to 10 °C; then look for the cause."
)
CUT = """(() => {
  const shows = e => e.checkVisibility() && e.getClientRects().length && e.innerText.trim();
  const found = [];
  for (const card of document.querySelectorAll('.wall-card')) {
    const frame = card.getBoundingClientRect();
    for (const e of card.children) {
      const b = e.getBoundingClientRect();
      if (shows(e) && (b.top < frame.top || b.bottom > frame.bottom)) found.push(e.outerHTML);
    }
  }
  for (const e of document.querySelectorAll('.wall-kind span, .wall-tile > span'))
    if (shows(e) && e.scrollWidth > e.clientWidth) found.push(e.outerHTML);
  for (const e of document.querySelectorAll('.wall-gaps p, .wall-foot span')) {
    const b = e.getBoundingClientRect();
    const isOut = b.right > innerWidth || b.bottom > innerHeight;
    if (shows(e) && (isOut || e.scrollHeight > b.height + 1)) found.push(e.outerHTML);
  }
  return found;
})()"""
"""Texts that stick out of their card or the screen, and states that end in dots."""


def raise_alarms(platform, count):
    known = {"temperature": Variable(title="Temperature", unit="°C")}
    platform.assets.store_assets(
        [
            Asset(name=f"oven-{n}", title=f"Supply air filter of oven {n}", variables=known)
            for n in range(1, 5)
        ]
    )
    document = too_hot(title="Temperature of zone 2 is too high", assets=["oven-*"])
    apply(platform, [document], "ada", at(1), "wall")
    for n in range(1, count + 1):
        said = {"title": TITLE, "guidance": {"action": ACTION}, "recommendation": None}
        raised = episode(590 + 2 * n, f"oven-{n}", "open", **said)
        assert platform.episodes.insert(raised)
    scope = SilenceScope(part="oven-1", definition="another")
    by = {"notified": (), "author": "otto", "role": "operator", "now": at(590)}
    made = new_silence("maintenance", scope, None, at(700), None, "belt", **by)
    assert platform.silences.insert(made)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_what_the_wall_says_of_alarms_is_whole(tmp_path, platform, wall, count):
    raise_alarms(platform, count)
    found = {}
    with serving_thread(app_of(platform, wall)) as port, open_chromium(tmp_path) as page:
        base = f"http://127.0.0.1:{port}"
        page.open(f"{base}/login")
        page.choose("[name=token]", VIEWER_TOKEN)
        page.evaluate("document.querySelector('[name=token]').form.submit()")
        page.wait_for(f"{base}/", "nav .who")
        for language in LANGUAGES:
            page.open(f"{base}/")
            page.click(f".languages [value={language}]")
            page.wait_for(f"{base}/", f"html[lang={language}] nav .who")
            for screen in SCREENS:
                page.resize(*screen)
                page.open(f"{base}/wall")
                wait_until(
                    lambda size=screen: page.evaluate("[innerWidth, innerHeight]") == [*size]
                )
                assert (ACTION in page.text()) >= (count == 1)
                assert page.evaluate("document.querySelectorAll('.wall-card').length") >= count
                if cut := page.evaluate(CUT):
                    found[language, *screen] = cut
    assert found == {}
