"""No page is wider than a phone, in the languages with the longest words, with all its parts
unfolded; of a plant with everything, and of an empty one."""

import pytest

from alerting.console.app import create_app
from alerting.console.imports.imports import Imports
from alerting.detection.evaluation import Evaluation
from alerting.episodes.episode import OutcomeRecord
from tests.builders import at
from tests.helpers.console.api import episode
from tests.helpers.console.chromium import CHROMIUM, SIDEWAYS, open_chromium
from tests.helpers.console.full_plant import FIRST, NOW, TOKENS_FILE, plant
from tests.helpers.console.page_paths import pages_of
from tests.helpers.console.server import serving_thread
from tests.in_memory_platform import in_memory_platform

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]
PHONE = (390, 844)
MAIN_PAGES = [path for path in pages_of(FIRST) if FIRST not in path and "/episodes/" not in path]
UNFOLD = "document.querySelectorAll('main details').forEach(one => { one.open = true; })"
BEYOND = """(() => {
  const {clientWidth} = document.documentElement;
  const found = [];
  const texts = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    const isShown = texts.currentNode.data.trim() && e.checkVisibility({visibilityProperty: true});
    if (!isShown || e.closest('.wide, pre, svg, .unseen, select')) continue;
    const range = document.createRange();
    range.selectNodeContents(texts.currentNode);
    if (range.getBoundingClientRect().right > clientWidth + 1) found.push(e.outerHTML.slice(0, 90));
  }
  for (const e of document.querySelectorAll('main button:not(.unseen)'))
    if (e.scrollWidth > e.clientWidth + 1) found.push(e.outerHTML.slice(0, 90));
  return found;
})()"""
"""The elements whose text ends beyond the right edge of the screen, and cannot be scrolled to, and
buttons with more text than room."""
BROKEN = """(() => {
  const found = [];
  const texts = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  while (texts.nextNode()) {
    const node = texts.currentNode;
    const e = node.parentElement;
    const isShown = e.checkVisibility({visibilityProperty: true});
    if (!isShown || e.closest('pre, svg, .unseen, select')) continue;
    for (const word of node.data.matchAll(/(?<![^\\s(])\\p{L}{2,24}(?![^\\s.,:;)])/gu)) {
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const parts = [...range.getClientRects()].filter(b => b.width > 0);
      if (new Set(parts.map(b => Math.round(b.top))).size > 1)
        found.push(word[0] + ' in ' + e.outerHTML.slice(0, 90));
    }
  }
  return found;
})()"""
"""The words that are broken because their column is too narrow."""


def sign_in(page, base, language):
    """Sign in as the administrator of the plant, and choose a language."""
    token = next(token for token, (_, role) in TOKENS_FILE.items() if role == "admin")
    page.open(f"{base}/login")
    page.choose("[name=token]", token)
    page.evaluate("document.querySelector('[name=token]').form.submit()")
    page.wait_for(f"{base}/", "nav form")
    page.click(f".languages [value={language}]")
    page.wait_for(f"{base}/", f"html[lang={language}] nav form")


def empty(_):
    made = in_memory_platform()
    made.clock.instant = at(NOW)
    return made


@pytest.mark.parametrize("language", ["de", "fr"])
@pytest.mark.parametrize(("make", "paths"), [(plant, pages_of(FIRST)), (empty, MAIN_PAGES)])
def test_no_page_is_wider_than_a_phone(tmp_path, make, paths, language):
    files = Imports(tmp_path / "imports")
    app = create_app(make(FIRST), TOKENS_FILE, now=lambda: at(NOW), import_files=files)
    found = {}
    with serving_thread(app) as port, open_chromium(tmp_path / "profile") as page:
        base = f"http://127.0.0.1:{port}"
        page.resize(*PHONE)
        sign_in(page, base, language)
        for path in paths:
            page.open(base + path)
            page.evaluate(UNFOLD)
            if page.evaluate(SIDEWAYS) or page.evaluate(BEYOND) or page.evaluate(BROKEN):
                found[path] = page.evaluate(BEYOND) + page.evaluate(BROKEN)
    assert found == {}


def test_no_column_of_a_larger_screen_is_so_narrow_that_words_break(tmp_path):
    made = plant(FIRST)
    for number in range(2):  # more than one on a day are folded
        begin = at(NOW - 1440 * (number + 3))
        reason = "voraussichtlich über 4,5 % innerhalb von 30 min (77 %; Alarm ab 66 %)"
        past = episode(
            NOW - 1440 * (number + 3),
            f"{FIRST}-oven",
            definition=f"{FIRST}-hot",
            title="Zu feuchtes Gebäck",
            backfilled=True,
            evaluation=Evaluation(begin, "triggered", reason),
            outcome_record=OutcomeRecord("hit", "it came", True, None, False, True, 1),
        )
        assert made.episodes.insert(past)
    files = Imports(tmp_path / "imports")
    app = create_app(made, TOKENS_FILE, now=lambda: at(NOW), import_files=files)
    found = {}
    with serving_thread(app) as port, open_chromium(tmp_path / "profile") as page:
        base = f"http://127.0.0.1:{port}"
        sign_in(page, base, "de")
        for width in (800, 1280):
            page.resize(width, 900)
            for path in pages_of(FIRST):
                page.open(base + path)
                page.evaluate(UNFOLD)
                if broken := page.evaluate(BROKEN):
                    found[width, path] = broken
    assert found == {}
