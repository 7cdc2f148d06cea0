"""An engineer at the editor of definitions."""

import re
from html import unescape

import pytest

from tests.helpers.console.pages import ADMIN_TOKEN, log_in, send_form

NEW = "/definitions/new"
EDIT = "/definitions/too-hot/edit"


@pytest.fixture
def engineer(browser):
    log_in(browser, ADMIN_TOKEN)
    return browser


def send(browser, address, do, text="", **fields):
    """Send the form of the editor."""
    return send_form(browser, address, do=do, text=text, **fields)


def text_of(page):
    """Return the document that stands in the editor."""
    return unescape(re.search(r"<textarea id=\"text\"[^>]*>\n(.*?)</textarea>", page.text, re.S)[1])
