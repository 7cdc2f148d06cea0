"""What axe-core finds on the pages of the console, by the rules of WCAG 2.2 AA, under the console's
own policy: nothing, on a desk and a phone, in the light and the dark. And nothing lies over what
people press, once it is scrolled to; no page is wider than its screen, and no word of it broken, in
the language with the longest words, with all parts unfolded. The parts of Swagger UI are its own.
Text that was typed into a form stays: with another language, and behind the back button."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.helpers.console.chromium import CHROMIUM, NO_CHROMIUM, SIDEWAYS, wait_until
from tests.helpers.console.components import COMPONENTS
from tests.helpers.console.full_plant import FIRST
from tests.helpers.console.layout import BEYOND, BROKEN, UNFOLD
from tests.helpers.console.page_paths import pages_of

AXE = find_spec("axe_playwright_python")  # not imported: that would need its dependencies
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM),
]
SCREENS = (
    (1280, 800, ("light", "dark")),
    (390, 844, ("dark", "light")),
)
ALL_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
OF_COLOURS = ["color-contrast", "link-in-text-block"]  # what the other scheme can change
LOOK = """window.found = null;
  axe.run({exclude: [['.swagger-ui']]}, {runOnly: %s}).then(all => {
    window.found = JSON.stringify(all.violations.flatMap(v => v.nodes.map(n => [v.id, n.html])));
  });"""
PRESSED = "a, button:not([aria-hidden]), summary, input, select, textarea"
COVERED = """[...document.querySelectorAll('%s')]
  .filter(e => e.checkVisibility() && e.getClientRects().length).flatMap(e => {
    e.scrollIntoView({block: 'nearest', behavior: 'instant'});
    const b = e.getClientRects()[0];
    const top = document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2);
    const labels = [e, ...(e.labels ?? [])];
    if (!top || top.contains(e) || labels.some(one => one.contains(top))) return [];
    return [[e.outerHTML.slice(0, 100), top.outerHTML.slice(0, 100)]];
  })"""
"""Elements to press, scrolled into view as the tab key does, each with the other one that is
pressed at its middle."""
LAID_IN = """document.querySelectorAll('*').forEach(e => {
  if (['fixed', 'sticky'].includes(getComputedStyle(e).position)) e.style.position = 'static';
})"""
"""Bars and heads that stay in view are laid into the page: axe counts what they happen to lie over
as too small, and COVERED has shown that it can be scrolled free."""


@pytest.mark.skipif(AXE is None, reason="needs axe: make")
@pytest.mark.parametrize(("width", "height", "schemes"), SCREENS)
def test_no_page_hinders_a_person(desk, width, height, schemes):
    page, base = desk
    page.resize(width, height)
    page.prefer(schemes[0])
    page.follow(".languages [value=de]", base, "html[lang=de] nav form")
    axe = Path(AXE.submodule_search_locations[0], "axe.min.js").read_text(encoding="utf-8")
    found = {}
    for path in (*pages_of(FIRST), COMPONENTS):
        page.open(base + path)
        assert page.evaluate("document.querySelector('nav form') != null"), path
        page.evaluate(f"(() => {{ {axe} }})()")
        wrong = page.evaluate(COVERED % PRESSED)
        page.evaluate(LAID_IN)
        for scheme, rules in zip(reversed(schemes), (OF_COLOURS, ALL_RULES), strict=True):
            page.prefer(scheme)
            page.evaluate(LOOK % json.dumps(rules))
            wait_until(lambda: page.evaluate("window.found"), lambda path=path: path)
            wrong += json.loads(page.evaluate("window.found"))
        page.evaluate(UNFOLD)
        wrong += page.evaluate(BEYOND) + page.evaluate(BROKEN)
        if wrong or page.evaluate(SIDEWAYS):
            found[path] = wrong
    complaints = [one for one in page.complaints if "ContentSecurityPolicy" in json.dumps(one)]
    assert (found, complaints) == ({}, [])


MOVES = """[...document.querySelectorAll('*')].filter(e => {
  const {transitionDuration, animationName} = getComputedStyle(e);
  return transitionDuration !== '0s' || animationName !== 'none';
}).map(e => e.outerHTML.slice(0, 90))"""


def test_at_twice_the_size_nothing_lies_beside_the_screen_and_nothing_moves_unasked(desk):
    page, base = desk
    page.resize(640, 512)  # what 200 % leaves of 1280 by 1024
    page.follow(".languages [value=de]", base, "html[lang=de] nav form")
    reduced = {"name": "prefers-reduced-motion", "value": "reduce"}
    page._call("Emulation.setEmulatedMedia", features=[reduced])
    found = {}
    for path in (*pages_of(FIRST), COMPONENTS):
        page.open(base + path)
        page.evaluate(UNFOLD)
        wrong = page.evaluate(BEYOND) + page.evaluate(MOVES)
        has_skip = page.evaluate("document.querySelector('a.skip[href=\"#content\"]') !== null")
        if wrong or page.evaluate(SIDEWAYS) or not has_skip:
            found[path] = wrong, has_skip
    assert found == {}


FOLDED = "document.documentElement.classList.contains('folded')"


def test_the_bar_folds_to_icons_and_stays_folded(desk):
    page, base = desk
    page.open(f"{base}/assets")
    assert page.evaluate(FOLDED) is False
    page.press(".menu-fold")
    page.open(f"{base}/models")
    wait_until(lambda: page.evaluate(FOLDED))
    assert page.evaluate("document.querySelector('.menu-entry[aria-current]').title") == "Models"
    assert page.box(".menu")[2] < 70
    page.press(".menu-fold")
    page.open(f"{base}/assets")
    assert page.evaluate(FOLDED) is False


ROWS = """new Set([...document.querySelectorAll('.menu > :is(a, button)')]
  .filter(e => e.checkVisibility()).map(e => e.getBoundingClientRect().top)).size"""


def test_the_panel_of_the_menu_does_not_stay_over_the_page(desk):
    page, base = desk
    page.resize(900, 1280)
    button = "button[popovertarget]"
    is_open = "document.querySelectorAll(':popover-open').length"
    page.open(f"{base}/definitions")
    assert page.evaluate(ROWS) == 1

    def enter():
        page.evaluate(f"document.querySelector({button!r}).focus()")
        page.key("Enter", "\r")
        assert page.evaluate(is_open) == 1

    enter()
    page.key("Tab")
    assert page.evaluate(is_open) == 1
    page.key("Escape")
    assert page.evaluate(is_open) == 0
    assert page.evaluate(f"document.activeElement.matches({button!r})")
    enter()
    page.press("h1")
    assert page.evaluate(is_open) == 0
    enter()
    for _ in range(24):
        page.key("Tab")
    assert page.evaluate("document.activeElement.closest('main') != null")
    assert page.evaluate(is_open) == 0


CHOSEN = "document.querySelector('dialog li:first-child a')?.getAttribute('href')"


def test_a_key_jumps_to_an_asset_an_alert_or_an_alarm(desk):
    page, base = desk
    oven = f"/assets/{FIRST}-oven"
    page.open(f"{base}/reports")
    page.key("Tab")
    assert page.evaluate("document.activeElement.matches('.skip')")
    page.key("/", "/")
    wait_until(lambda: page.evaluate(CHOSEN), page.text)
    assert page.evaluate(CHOSEN).startswith("/episodes/")  # those that are open come first
    page.key("Escape")
    assert page.evaluate("document.querySelector('dialog').open") is False
    page.key("/", "/")
    wait_until(lambda: page.evaluate("document.activeElement.matches('dialog[open] input')"))
    page._call("Input.insertText", text=f"{FIRST}-oven")
    wait_until(lambda: page.evaluate(CHOSEN) == oven, lambda: page.evaluate(CHOSEN))
    page.key("ArrowDown")
    assert page.evaluate("document.activeElement.getAttribute('href')") == oven
    page.key("Enter", "\r")
    page.wait_for(base + oven)
    page.open(f"{base}/jump?text={FIRST}-hot")  # without its script
    assert f"/definitions/{FIRST}-hot" in page.evaluate(
        "[...document.querySelectorAll('.jump-results a')].map(e => e.getAttribute('href')).join()"
    )


FILL = f"""(() => {{
  document.querySelector('[name=reason]').value = 'belt change';
  document.querySelector('[name=part]').value = '{FIRST}';
}})()"""
SHOWN = "['reason', 'part'].map(n => document.querySelector(`main [name=${n}]`).value).join()"
FORMS = {
    f"/definitions/{FIRST}-hot/edit": ("#text", "name: [hot"),
    "/new-source": ("textarea", "name: [plc"),
    "/import": ("input[name=asset]", "oven-9"),
}
"""Pages whose form is sent to their own address, with a field and what is typed into it."""


@pytest.mark.parametrize("is_refused", [False, True])
def test_another_language_keeps_what_was_typed(desk, is_refused):
    page, base = desk
    page.open(f"{base}/new-mute")
    page.evaluate(FILL)
    if is_refused:  # its end is past
        page.choose("[name=until]", "2020-01-01T00:00")
        page.follow("main form button.primary", base, "[role=alert]")
    assert page.evaluate(SHOWN) == f"belt change,{FIRST}"
    page.follow(".languages button[value=de]", f"{base}/new-mute", "html[lang=de] main form")
    assert page.evaluate(SHOWN) == f"belt change,{FIRST}"
    page.open(f"{base}/new-mute")
    assert page.evaluate(SHOWN) == ","
    assert [one for one in page.complaints if "SecurityPolicy" in str(one)] == []


def test_the_back_button_leads_from_a_refusal_to_what_was_typed(desk):
    page, base = desk
    stayed = {}
    for path, (field, typed) in FORMS.items():
        page.open(base + path)
        page.choose(field, typed)
        page.evaluate(f"document.querySelector({field!r}).form.noValidate = true")
        page.evaluate(f"document.querySelector({field!r}).form.requestSubmit()")
        page.wait_for(base + path, "[role=alert]")
        page.evaluate("history.back()")
        page.wait_for(base + path, "main:not(:has([role=alert]))")
        stayed[path] = (field, page.evaluate(f"document.querySelector({field!r}).value"))
    assert stayed == FORMS
