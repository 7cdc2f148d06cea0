"""Forms of the editor of documents, as a browser sends them."""

import re
from html import unescape

from tests.helpers.console.api import expect_problem


def expect_detail(answer, status, text=""):
    """Expect a problem document whose detail holds a text."""
    expect_problem(answer, status)
    assert text in answer.json()["detail"]


def fields_of(page):
    """Return the fields of the editor on a page, as a browser sends them."""
    form = page.partition('id="editor">')[2].partition("</form>")[0]
    found = {}
    for tag in re.findall(r"<input [^>]*>", form):
        name = re.search(r'name="([^"]*)"', tag)
        value = re.search(r'value="([^"]*)"', tag)
        if name and 'type="checkbox"' not in tag:
            found[unescape(name[1])] = unescape(value[1]) if value else ""
    for name, value in re.findall(
        r'<textarea[^>]* name="([^"]*)"[^>]*>\n(.*?)</textarea>', form, re.S
    ):
        found[unescape(name)] = unescape(value)
    for name, below in re.findall(r'<select[^>]* name="([^"]*)">(.*?)</select>', form, re.S):
        chosen = re.search(r"<option selected>([^<]*)", below)
        found[unescape(name)] = unescape(chosen[1]) if chosen else ""
    found.pop("part", None)
    return found
