"""Pages while the database is away."""

from dataclasses import replace

import pytest
from pymongo.errors import ServerSelectionTimeoutError

from tests.helpers.console.pages import csrf_of, log_in


class Away:
    def __getattr__(self, name):
        raise ServerSelectionTimeoutError("timed out")


@pytest.fixture
def away(browser):
    """Takes the definitions away below an open browser; returns the hidden value of its forms."""
    log_in(browser)
    csrf = csrf_of(browser.get("/account"))
    app = browser.app
    app.state.platform = replace(app.state.platform, definitions=Away(), misses=Away())
    return csrf


def test_a_page_that_cannot_be_read_tries_again_by_itself(browser, away):
    answer = browser.get("/reports")
    assert answer.status_code == 503
    assert '<meta http-equiv="refresh" content="10">' in answer.text
    assert "This page tries again every 10 seconds." in answer.text


def test_what_cannot_be_sent_is_not_lost(browser, away):
    answer = browser.post("/misses", data={"csrf": away, "definition": "too-hot", "at": ""})
    assert answer.status_code == 503
    assert "reload this page, and it is sent again" in answer.text
    assert 'http-equiv="refresh"' not in answer.text
