"""A tablet in a real browser without scripts, from its link to an answer signed with a PIN."""

import pytest

from alerting.console.app import create_app
from alerting.usecases.access import people
from tests.helpers.console.api import TOKENS, episode
from tests.helpers.console.chromium import CHROMIUM, SIDEWAYS, open_chromium
from tests.helpers.console.people import QUICK, pin_of
from tests.helpers.console.server import serving_thread

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]
SCREENS = ((800, 1280), (390, 844))
E = episode(590, condition="open")
SMALL = """[...document.querySelectorAll('main button:not(.unseen), main select, main a.more, main summary, main input:not([type=hidden])')]
  .map(e => e.closest('label') || e).filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"""  # noqa: E501


@pytest.mark.parametrize(("width", "height"), SCREENS)
def test_an_operator_with_gloves_answers_an_alarm_on_a_tablet(
    tmp_path, platform, wall, width, height
):
    platform.episodes.insert(E)
    pin_of(platform, wall())
    _, code = people.add_person(platform, "tablet-1", "operator", "ada", wall(), kind="device")
    app = create_app(platform, TOKENS, now=wall, passwords=QUICK)
    with serving_thread(app) as port, open_chromium(tmp_path / "profile") as page:
        page.resize(width, height)

        def look(name):
            page.picture(tmp_path / f"{name}-{width}.png")
            assert (page.evaluate(SMALL), page.evaluate(SIDEWAYS)) == ([], False), name

        page.open(f"http://127.0.0.1:{port}/password/{code}")
        look("link")
        page.tap("form button.large")
        look("alarms")
        page.tap(".card.episode a.title")
        page.press("details:has(input[name=comment]) > summary")
        page.write("input[name=comment]", "belt torn")
        look("alarm")
        page.tap("button[value=true_alarm]")
        look("name and PIN")
        assert "belt torn" in page.text()
        assert page.evaluate("document.querySelector('#pin').inputMode") == "numeric"
        page.choose("#signer", "anna")
        page.write("#pin", "9998")
        look("typed")
        page.tap(".signing button")
        assert "The PIN is wrong." in page.text()
        assert page.evaluate("document.querySelector('#pin').value") == ""
        look("wrong")
        page.write("#pin", "4827")
        page.tap(".signing button")
        assert "anna: right" in page.text()
        look("answered")
        page.tap("form[action$='/ack'] button")
        assert page.evaluate("document.querySelector('#signer').value") == "anna"
        page.write("#pin", "4827")
        page.tap(".signing button")
        assert "Acknowledged by anna" in page.text()
    said = platform.feedback.for_episode(E.id)[0]
    assert (said.actor, said.verdict, said.comment) == ("anna", "true_alarm", "belt torn")
