"""The pages of operators and managers in a language whose words are a third longer and all of them
marks, on a desk and a phone: no English word, no text cut off, none beyond the screen."""

import re
from unittest.mock import patch

import pytest

from alerting.console import rendering
from tests.helpers.console.chromium import CHROMIUM, NO_CHROMIUM, SIDEWAYS
from tests.helpers.console.full_plant import FIRST, names_of
from tests.helpers.console.layout import BEYOND, BROKEN, CUT, UNFOLD
from tests.helpers.pseudo_language import dates_and_units, pseudo_language, words_of_text

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM),
]
SCREENS = ((1280, 800), (390, 844))
OTHER_LANGUAGES = "document.querySelectorAll('body [lang]').forEach(one => one.remove())"
BEYOND_ENTRY = """(() => {
  const texts = [...document.querySelectorAll('.menu span')].filter(e => e.checkVisibility());
  for (const e of texts) e.textContent = 'Betriebs'.repeat(5);
  const right = e => e.getBoundingClientRect().right;
  const beyond = texts.filter(e => right(e) > right(e.parentElement) + 1);
  return [texts.length, beyond.map(e => e.parentElement.outerHTML.slice(0, 90))];
})()"""
"""The number of texts of the menu, each made one long word, and those that end beyond their
entry."""
READ = """(() => {
  const read = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const unread = 'script, style, svg title, code, pre';
  while (texts.nextNode())
    if (!texts.currentNode.parentElement.closest(unread)) read.push(texts.currentNode.data);
  for (const one of document.body.querySelectorAll('[aria-label], [title]'))
    read.push(one.getAttribute('aria-label') ?? '', one.getAttribute('title') ?? '');
  return read.join('\\n');
})()"""
"""The text of a page, read and read aloud, without code."""
OF_PEOPLE = re.compile(
    r"(hot|too hot|temperature|moisture|pressure|cause|action|do this|because|belt|test|over|note"
    r"|report|trust|missed|label|speed|better|for|line)?( of| on)? ?line-1(-\w+)*"
    r"|the plant|crew|hall|218 °C is above 215 °C|zone 2 is|above its usual|lower zone 2 to"
    r"|press too hot|disk full: data|little space|waits|source silent|above: should be .*"
    r"|there is no time",
    re.I,
)
"""What the people of the plant have written, its fixed messages, and faults of documents and rows,
which are in English."""
NAMES = {
    *("mail", "http", "ISA", "Std"),
    *("temperature", "moisture", "pressure", "speed", "ts"),
}


AS_WRITTEN = re.compile(r"\b(stop|zone(_2)?|all|plant|platform)\b")
"""Names of an event, a variable, a route, an asset and an actor, without a capital letter."""


def operators_pages():
    episode, *_, last = names_of(FIRST).episodes
    line, oven, *_ = names_of(FIRST).assets
    hot, *others = names_of(FIRST).definitions
    mute = names_of(FIRST).mutes[0]
    return (
        *(
            "/",
            f"/?asset={oven}",
            f"/episodes/{episode}",
            f"/episodes/{last}",
            f"/miss?asset={oven}",
        ),
        *("/handover", f"/handover?line={line}", "/suppressed"),
        *("/mutes", f"/mutes/{mute}", f"/new-mute?part={oven}"),
        *("/plant", "/kpi", "/reports", "/assets", f"/assets/{oven}"),
        *("/definitions", f"/definitions/{hot}", "/models", *(f"/models/{n}" for n in others[:4])),
        f"/trends?asset={oven}&variable=temperature&span=28d",
        *("/routes", "/sources", "/platform"),
    )


@pytest.mark.parametrize(("width", "height"), SCREENS)
def test_no_page_has_a_bare_word_or_a_text_that_is_cut_off(desk, width, height):
    page, base = desk
    page.resize(width, height)
    page.follow(".languages [value=de]", base, "html[lang=de] nav form")
    wrong = {}
    with patch.object(rendering, "language", pseudo_language):
        for path in operators_pages():
            page.open(base + path)
            page.evaluate(OTHER_LANGUAGES)
            page.evaluate(UNFOLD)
            cut = page.evaluate(BEYOND) + page.evaluate(BROKEN) + page.evaluate(CUT)
            read = AS_WRITTEN.sub("", OF_PEOPLE.sub("", page.evaluate(READ)))
            words = words_of_text(read, NAMES | dates_and_units())
            if cut or words or page.evaluate(SIDEWAYS):
                wrong[path] = (words, cut)
    assert wrong == {}


@pytest.mark.parametrize(("width", "height"), SCREENS)
def test_a_long_word_of_the_menu_breaks_within_its_entry(desk, width, height):
    page, base = desk
    page.resize(width, height)
    page.open(f"{base}/")
    texts, beyond = page.evaluate(BEYOND_ENTRY)
    assert texts >= 4
    assert beyond == []
    assert not page.evaluate(SIDEWAYS)
