"""Two processes of the console on one database, between which a proxy sends requests by turns."""

from datetime import timedelta
from itertools import cycle

import pytest

from alerting.usecases.access.people import make_link
from tests.helpers.console.pages import csrf_of
from tests.helpers.console.people import app_of, browser_of, person_on, sign_in


class ByTurns:
    """Sends each request to the next of several applications."""

    def __init__(self, *apps):
        self._next = cycle(apps)

    async def __call__(self, scope, receive, send):
        await next(self._next)(scope, receive, send)


@pytest.fixture
def proxy(platform, wall):
    person_on(platform, wall())
    return ByTurns(app_of(platform, wall), app_of(platform, wall))


def test_a_form_that_one_made_is_taken_by_the_other(proxy):
    browser = browser_of(proxy)
    sign_in(browser)
    csrf = csrf_of(browser.get("/account"))
    form = {"csrf": csrf, "language": "de", "zone": ""}
    answers = [browser.post("/account/preferences", data=form).status_code for _ in range(2)]
    assert answers == [303, 303]


def test_a_one_time_link_is_good_once_on_either(proxy, platform, wall):
    code = make_link(platform, "anna", "ada", wall())
    browser = browser_of(proxy)
    fields = {"password": "a wholly new password", "again": "a wholly new password"}
    answers = [browser.post(f"/password/{code}", data=fields).status_code for _ in range(2)]
    assert answers == [303, 410]


def test_wrong_passwords_count_on_both_together(proxy, wall):
    browser = browser_of(proxy)
    answers = [sign_in(browser, password="wrong password") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert sign_in(browser).status_code == 429
    wall.instant += timedelta(seconds=int(answers[-1].headers["retry-after"]))
    assert sign_in(browser).status_code == 303


def test_wrong_tokens_count_on_both_together(proxy, wall):
    program = browser_of(proxy, headers={"authorization": "Bearer wrong-token-0123456789"})
    answers = [program.get("/api/v1/episodes").status_code for _ in range(8)]
    assert answers.count(401) <= 6
    assert answers[-2:] == [429, 429]
