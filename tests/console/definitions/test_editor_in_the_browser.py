"""Two engineers in a real browser without scripts: faults, mended, preview, applied, conflict,
difference, restored."""

import pytest

from alerting.console.app import create_app
from alerting.console.imports.imports import Imports
from alerting.usecases.definitions.sync import apply
from tests.builders import too_hot
from tests.helpers.console.api import TOKENS
from tests.helpers.console.chromium import CHROMIUM, SIDEWAYS, open_chromium, wait_until
from tests.helpers.console.often_hot import often_hot
from tests.helpers.console.server import serving_thread

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]
SCREENS = ((1280, 800), (390, 844))
SMALL = """[...document.querySelectorAll('main button:not(.unseen), main select, main a.more, main a.go, main summary, main input:not([type=hidden]), .chips a')]
  .map(e => e.closest('label') || e).filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"""  # noqa: E501


class Walk:
    """An engineer in a browser, who looks at every page."""

    def __init__(self, page, base, folder, width):
        self.page = page
        self.base = base
        self._folder = folder
        self._width = width

    def log_in(self):
        self.page.open(f"{self.base}/login")
        token = "admin-token-0123456789"
        self.page.evaluate(f"document.querySelector('[name=token]').value = {token!r}")
        self.page.evaluate("document.querySelector('[name=token]').form.requestSubmit()")
        self.page.wait_for(f"{self.base}/", "nav .who")

    def press(self, selector, address, there):
        """Click, wait for an element of the page that follows, and look at that page."""
        self.page.click(selector)
        self.page.wait_for(self.base + address, there)
        self.page.picture(self._folder / f"{there.strip('.#')}-{self._width}.png")
        assert (self.page.evaluate(SMALL), self.page.evaluate(SIDEWAYS)) == ([], False), selector

    def type_text(self, text):
        self.page.evaluate(f"document.querySelector('#text').value = {text!r}")

    def text(self):
        return self.page.evaluate("document.querySelector('#text').value")


def mend_and_apply(walk):
    walk.press("nav a[href='/definitions']", "/definitions", ".empty")
    walk.press("main a.go", "/definitions/new", ".starts")
    walk.press("a[href$='threshold-1']", "/definitions/new", "#text")
    walk.type_text("name: hot\nkind: threshold\nassets: [oven-1]\nvariable: temprature\n")
    walk.press("button[value=check]", "/definitions/new", "#faults")
    assert "did you mean temperature?" in walk.page.text()
    walk.type_text(
        "{name: hot, kind: threshold, assets: [oven-1], variable: temperature, above: 215}"
    )
    walk.press("button[value=form]", "/definitions/new", ".form")
    walk.press("button[value=yaml]", "/definitions/new", "#text")
    walk.press("button[value=preview]", "/previews/", "#chart")
    assert "It would have raised 36 alarms" in walk.page.text()
    walk.page.write("[name=reason]", "too hot lately")
    walk.press("button[value=apply]", "/definitions/hot", "#revisions")


def edit_beside_another(walk, change):
    walk.press("main a.go", "/definitions/hot/edit", "#text")
    change()
    walk.type_text(walk.text().replace("215", "210"))
    walk.press("button[value=apply]", "/definitions/hot/edit", ".unmended")
    assert "Changed by ben" in walk.page.text()
    assert "above: 210" in walk.text()
    walk.press("button[value=apply]", "/definitions/hot", "#revisions")


def compare_and_restore(walk):
    walk.press("a[href*='from=1&to=2']", "/definitions/hot?from=1&to=2", "#difference")
    assert "225" in walk.page.text()
    walk.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    restore = "form[action$='/restore']:has([name=number][value='1'])"
    walk.page.write(f"{restore} [name=reason]", "215 was right")
    walk.page.click(f"{restore} button")


@pytest.mark.parametrize(("width", "height"), SCREENS)
def test_a_definition_is_mended_tried_applied_edited_by_two_and_restored(tmp_path, width, height):
    platform = often_hot(per_day=100)
    changed = too_hot(name="hot", above=225)
    with (
        serving_thread(create_app(platform, TOKENS)) as port,
        open_chromium(tmp_path / "profile") as page,
    ):
        page.resize(width, height)
        walk = Walk(page, f"http://127.0.0.1:{port}", tmp_path, width)
        walk.log_in()
        mend_and_apply(walk)
        assert platform.definitions.newest_revision("hot").reason == "too hot lately"
        edit_beside_another(
            walk, lambda: apply(platform, [changed], "ben", platform.clock.now(), "fewer alarms")
        )
        compare_and_restore(walk)
        wait_until(lambda: platform.definitions.newest_revision("hot").number == 4)
    newest = platform.definitions.newest_revision("hot")
    assert (newest.definition.above, newest.reason, newest.author) == (215, "215 was right", "ada")


FORMS = {
    "/definitions/hot/edit": ("#text", "name: [hot"),
    "/new-source": ("textarea", "name: [plc"),
    "/import": ("input[name=asset]", "oven-9"),
}
"""Pages whose form is sent to their own address, with a field and what is typed into it."""


def test_the_back_button_leads_from_a_refusal_to_what_was_typed(tmp_path):
    platform = often_hot()
    apply(platform, [too_hot(name="hot")], "ben", platform.clock.now(), "first")
    files = Imports(tmp_path / "imports")
    app = create_app(platform, TOKENS, import_files=files)
    with serving_thread(app) as port, open_chromium(tmp_path / "profile") as page:
        walk = Walk(page, f"http://127.0.0.1:{port}", tmp_path, 1280)
        walk.log_in()
        for path, (field, typed) in FORMS.items():
            page.open(walk.base + path)
            value = f"document.querySelector({field!r}).value"
            page.evaluate(f"{value} = {typed!r}")
            page.evaluate(f"document.querySelector({field!r}).form.noValidate = true")
            page.evaluate(f"document.querySelector({field!r}).form.requestSubmit()")
            page.wait_for(walk.base + path, "[role=alert]")
            page.evaluate("history.back()")
            page.wait_for(walk.base + path, "main:not(:has([role=alert]))")
            assert page.evaluate(value) == typed, path
