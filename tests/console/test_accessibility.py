"""What axe-core finds on the pages of the console, by the rules of WCAG 2.2 AA, under the console's
own policy: nothing, on a desk in the light and on a phone in the dark. And nothing on their first
screens lies over what people press."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from alerting.console.app import create_app
from alerting.console.imports.imports import Imports
from tests.builders import at
from tests.helpers.console.chromium import CHROMIUM, open_chromium, wait_until
from tests.helpers.console.full_plant import FIRST, NOW, TOKENS_FILE, plant
from tests.helpers.console.page_paths import pages_of
from tests.helpers.console.server import serving_thread

AXE = find_spec("axe_playwright_python")  # not imported: that would need its dependencies
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
    pytest.mark.skipif(AXE is None, reason="needs axe: make"),
]
SCREENS = ((1280, 800, "light"), (390, 844, "dark"))
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LOOK = """window.found = null;
  axe.run(document, {runOnly: {type: 'tag', values: %s}}).then(all => {
    window.found = JSON.stringify(all.violations.flatMap(v => v.nodes.map(n => [v.id, n.html])));
  });"""
PRESSED = "a, button:not([aria-hidden]), summary, input, select, textarea"
COVERED = """[...document.querySelectorAll('%s')]
  .filter(e => e.checkVisibility() && e.getClientRects().length).flatMap(e => {
    const b = e.getClientRects()[0];
    const top = document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2);
    const labels = [e, ...(e.labels ?? [])];
    if (!top || top.contains(e) || labels.some(one => one.contains(top))) return [];
    return [[e.outerHTML.slice(0, 100), top.outerHTML.slice(0, 100)]];
  })"""
"""Elements to press in sight, each with the other one that is pressed at its middle."""


@pytest.mark.parametrize(("width", "height", "scheme"), SCREENS)
def test_no_page_hinders_a_person(tmp_path, width, height, scheme):
    files = Imports(tmp_path / "imports")
    app = create_app(plant(FIRST), TOKENS_FILE, now=lambda: at(NOW), import_files=files)
    token = next(token for token, (_, role) in TOKENS_FILE.items() if role == "admin")
    axe = Path(AXE.submodule_search_locations[0], "axe.min.js").read_text(encoding="utf-8")
    found = {}
    with serving_thread(app) as port, open_chromium(tmp_path / "profile") as page:
        base = f"http://127.0.0.1:{port}"
        page.resize(width, height)
        page.prefer(scheme)
        page.open(f"{base}/login")
        page.evaluate(f"document.querySelector('input[name=token]').value = {token!r}")
        page.evaluate("document.querySelector('input[name=token]').form.submit()")
        page.wait_for(f"{base}/", "nav form")
        page.switch_scripts_on()
        for path in pages_of(FIRST):
            page.open(base + path)
            assert page.evaluate("document.querySelector('nav form') != null"), path
            page.evaluate(f"(() => {{ {axe} }})()")
            page.evaluate(LOOK % json.dumps(RULES))
            wait_until(lambda: page.evaluate("window.found"), lambda path=path: path)
            if violations := json.loads(page.evaluate("window.found")):
                found[path] = violations
            if covered := page.evaluate(COVERED % PRESSED):
                found[f"{path}, covered"] = covered
        complaints = [one for one in page.complaints if "ContentSecurityPolicy" in json.dumps(one)]
    assert found == {}
    assert complaints == []


def test_an_open_group_of_the_menu_does_not_stay_over_the_page(tmp_path):
    app = create_app(plant(FIRST), TOKENS_FILE, now=lambda: at(NOW))
    token = next(token for token, (_, role) in TOKENS_FILE.items() if role == "admin")
    summary = ".menu-group:last-of-type summary"
    is_open = "document.querySelectorAll('.menu-group[open]').length"
    with serving_thread(app) as port, open_chromium(tmp_path / "profile") as page:
        base = f"http://127.0.0.1:{port}"
        page.resize(1280, 800)
        page.open(f"{base}/login")
        page.evaluate(f"document.querySelector('input[name=token]').value = {token!r}")
        page.evaluate("document.querySelector('input[name=token]').form.submit()")
        page.wait_for(f"{base}/", "nav form")
        page.switch_scripts_on()
        page.open(f"{base}/definitions")

        def enter():
            page.evaluate(f"document.querySelector({summary!r}).focus()")
            page.key("Enter", "\r")
            assert page.evaluate(is_open) == 1

        enter()
        page.key("Tab")
        assert page.evaluate(is_open) == 1
        page.key("Escape")
        assert page.evaluate(is_open) == 0
        assert page.evaluate(f"document.activeElement.matches({summary!r})")
        enter()
        page.press("h1")
        assert page.evaluate(is_open) == 0
        enter()
        for _ in range(12):
            page.key("Tab")
        assert page.evaluate("document.activeElement.closest('main, .who') != null")
        assert page.evaluate(is_open) == 0
