"""Browsers on the pages of the console, logged in, and what people read there."""

import re
from datetime import UTC, datetime
from html import unescape

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from tests.helpers.console.api import TOKENS

VIEWER_TOKEN, OPERATOR_TOKEN, ADMIN_TOKEN, *_ = TOKENS


class WallClock:
    instant = datetime(2026, 1, 6, tzinfo=UTC)

    def __call__(self):
        return self.instant


@pytest.fixture
def wall():
    return WallClock()


@pytest.fixture
def browser(platform, wall):
    return TestClient(create_app(platform, TOKENS, now=wall), follow_redirects=False)


def log_in(browser, token=OPERATOR_TOKEN, to="/"):
    return browser.post("/login", data={"token": token, "next": to})


def csrf_of(page):
    return re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)[1]


def send_form(browser, path, page="/account", **data):
    """Send a form with the mark of the session, which stands on a page."""
    return browser.post(path, data={"csrf": csrf_of(browser.get(page)), **data})


def lacks(page, *texts):
    """Return which of these texts a page does not show."""
    return [text for text in texts if text not in page]


def text_of(page):
    """Return the text of an answer, or of a part of a page, in one line, without tags."""
    shown = re.split("<body[^>]*>", getattr(page, "text", page))[-1]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", shown)).split())
