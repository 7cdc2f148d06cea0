"""A preview in a real browser with scripts: a limit is moved on the picture by pointer and by keys,
and the page shows what it would have raised, without loading anew."""

import pytest

from alerting.console.app import create_app
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from tests.builders import at, too_hot
from tests.helpers.console.api import TOKENS
from tests.helpers.console.chromium import (
    CHROMIUM,
    NO_CHROMIUM,
    SIDEWAYS,
    open_chromium,
    wait_until,
)
from tests.helpers.console.often_hot import often_hot
from tests.helpers.console.pages import ADMIN_TOKEN
from tests.helpers.console.server import serving_thread
from tests.helpers.moist_line import END, LINEAR, stored_line

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)]
SCREENS = ((390, 844, "dark"), (800, 1280, "dark"), (1280, 800, "light"))
LIMIT = ".limit[role=slider]"
SMALL = """[...document.querySelectorAll('main button:not(.unseen), main select, main summary')]
  .filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"""  # noqa: E501


def log_in(page, base):
    page.open(f"{base}/login")
    page.evaluate(f"document.querySelector('input[name=token]').value = {ADMIN_TOKEN!r}")
    page.tap("form:has(input[name=token]) button")
    page.switch_scripts_on()


def shows(page, text):
    wait_until(lambda: text in page.text(), page.text)


def drag_to_the_top(page):
    """Drag the limit from where it is to the upper edge of its picture."""
    x, y, width, height = page.box(f"{LIMIT} .level")
    top = page.evaluate("document.querySelector('#drawn svg').getBoundingClientRect().top")
    left = x + width / 2
    page.mouse("mousePressed", left, y + height / 2, button="left", buttons=1, clickCount=1)
    page.mouse("mouseMoved", left, (y + top) / 2, button="left", buttons=1)
    page.mouse("mouseMoved", left, top - 20, button="left", buttons=1)
    page.mouse("mouseReleased", left, top - 20, button="left", clickCount=1)


def press_key(page, key):
    page.evaluate(f"document.querySelector({LIMIT!r}).focus()")
    page.evaluate(
        "document.activeElement.dispatchEvent("
        f"new KeyboardEvent('keydown', {{key: {key!r}, bubbles: true, cancelable: true}}))"
    )


def test_a_limit_is_moved_on_the_picture_and_the_preview_follows(tmp_path):
    platform = often_hot(per_day=100)
    apply(platform, [too_hot(above=205, title="Too hot")], "ben", platform.clock.now(), "first")
    with (
        serving_thread(create_app(platform, TOKENS)) as port,
        open_chromium(tmp_path / "profile") as page,
    ):
        base = f"http://127.0.0.1:{port}"
        log_in(page, base)
        for width, height, scheme in SCREENS:
            page.resize(width, height)
            page.prefer(scheme)
            page.open(f"{base}/definitions/too-hot/edit")
            page.evaluate("(t => { t.value = t.value.replace('205', '225'); })(text)")
            loaded = page.evaluate("performance.timeOrigin")
            page.press("button[value=preview]")
            shows(page, "It would have raised 36 alarms")
            assert "in both: 36" in page.text()

            drag_to_the_top(page)
            shows(page, "It would have raised 0 alarms")
            assert "above: 232.4" in page.evaluate("document.getElementById('text').value")
            assert "only in service: 36" in page.text()
            page.picture(tmp_path / f"dragged-{width}.png")
            for key in ("ArrowUp", "PageDown", "PageDown", "PageDown", "ArrowDown"):
                press_key(page, key)
            shows(page, "It would have raised 36 alarms")
            assert page.evaluate("document.activeElement.getAttribute('role')") == "slider"
            assert page.evaluate("performance.timeOrigin") == loaded  # the same page
            assert "/previews/" in page.evaluate("location.href")
            after_a_language = "document.querySelector('.languages [name=next]').value"
            assert page.evaluate(f"{after_a_language} === location.pathname + location.search")
            page.picture(tmp_path / f"moved-{width}.png")
            assert (page.evaluate(SMALL), page.evaluate(SIDEWAYS)) == ([], False), width

        page.click("button[value=form]")
        page.wait_for(f"{base}/definitions/too-hot/edit", "#field-above")
        page.press("button[value=preview]")
        shows(page, "It would have raised 36 alarms")
        drag_to_the_top(page)
        shows(page, "It would have raised 0 alarms")
        assert page.evaluate("document.getElementById('field-above').value") == "232.4"
        page.evaluate(
            "(f => { f.value = '200.5'; f.dispatchEvent(new Event('change', {bubbles: true})); })"
            "(document.getElementById('field-above'))"
        )
        shows(page, "It would have raised 36 alarms")
        page.picture(tmp_path / "form.png")
        assert page.complaints == []

        type_into(page, "above", "hot")
        shows(page, "As of the text before this change.")
        beside = "document.querySelector('.wrong-field:has(#field-above) small.fault').innerText"
        assert "should be a number, not 'hot'" in page.evaluate(beside)
        assert "It would have raised 36 alarms" in page.text()
        type_into(page, "above", "229,5")
        type_into(page, "for", "12 min")
        shows(page, "It would have raised 0 alarms")
        assert page.evaluate("document.querySelectorAll('.wrong-field').length") == 0
        assert "As of the text before" not in page.text()


def type_into(page, field, text):
    page.evaluate(
        f"(f => {{ f.value = {text!r}; f.dispatchEvent(new Event('input', {{bubbles: true}})); }})"
        f"(document.getElementById('field-{field}'))"
    )


INSIDE = """['#drawn svg', '#preview .headline', 'button[value=apply]', '#text'].map(one => {
  const {top, bottom, left, right} = document.querySelector(one).getBoundingClientRect();
  return [one, top >= 0 && top < innerHeight && left >= 0 && right <= innerWidth
    && (one === '#text' || bottom <= innerHeight)];
}).filter(([, isInside]) => !isInside).map(([one]) => one)"""


def test_text_preview_and_apply_are_in_view_on_a_desk_without_pressing_anything(tmp_path):
    platform = often_hot(per_day=100)
    apply(platform, [too_hot(title="Too hot")], "ben", platform.clock.now(), "first")
    with (
        serving_thread(create_app(platform, TOKENS)) as port,
        open_chromium(tmp_path / "profile") as page,
    ):
        base = f"http://127.0.0.1:{port}"
        log_in(page, base)
        page.resize(1280, 800)
        page.open(f"{base}/definitions/too-hot/edit")
        shows(page, "It would have raised 36 alarms")
        assert page.evaluate(INSIDE) == []
        assert page.evaluate("location.pathname") == "/definitions/too-hot/edit"
        page.resize(800, 1280)
        below = "document.querySelector('#drawn svg').getBoundingClientRect().top > "
        assert page.evaluate(
            below + "document.getElementById('text').getBoundingClientRect().bottom"
        )
        page.evaluate("document.getElementById('text').setSelectionRange(6, 13)")
        page.choose("#adds-variable", "moisture")
        page.evaluate(
            "document.getElementById('adds-variable')"
            ".dispatchEvent(new Event('change', {bubbles: true}))"
        )
        assert "name: moisture\n" in page.evaluate("document.getElementById('text').value")
        assert page.complaints == []


def test_a_draft_is_trained_beside_its_text_and_the_training_can_be_stopped(tmp_path):
    platform = stored_line()
    apply(platform, [LINEAR], "ann", at(END), "first")
    with (
        serving_thread(create_app(platform, TOKENS)) as port,
        open_chromium(tmp_path / "profile") as page,
    ):
        editor = f"http://127.0.0.1:{port}/definitions/too-moist/edit"
        log_in(page, f"http://127.0.0.1:{port}")
        page.open(editor)
        shows(page, "The problem happened")
        page.click("button[value=train]")
        shows(page, "On 2 unseen days (test): 14 of 14 problems announced")
        shows(page, "would be an alarm")
        page.evaluate(
            "document.getElementById('text').value = document.getElementById('text').value"
            ".replace(/trials: \\d+/, 'trials: 500') + '\\ntags: [wet]'"  # which takes its time
        )
        page.click("button[value=train]")
        shows(page, "Training the draft")
        assert page.complaints == []
        page.follow("#progress button[value=stop]", editor, "#plan")
        assert "tags" in page.evaluate("document.getElementById('text').value")
