"""The wall without scripts, and the session of the device on which it hangs."""

import re
from datetime import timedelta

import pytest

from alerting.definitions.assets import Asset
from alerting.operators.people import DEVICE_SESSION_LASTS
from tests.helpers.console.api import episode
from tests.helpers.console.pages import VIEWER_TOKEN, log_in
from tests.helpers.console.people import app_of, browser_of, device_on
from tests.helpers.console.two_lines import FIRST, SECOND, plant

CONTROLS = re.compile(r"<(a|button|form|input|select|nav)\b")
IN_SIGHT = re.compile(r'<section class="wall-page"[^>]*>')
NEXT = re.compile(r'<noscript><meta http-equiv="refresh" content="(\d+); url=([^"]*)"')


@pytest.fixture
def screen(platform, wall):
    return device_on(platform, wall(), browser_of(app_of(platform, wall)), "hall-2", "viewer")


def raise_alarms(platform, count):
    platform.assets.store_assets([Asset(name=f"oven-{n}", title=f"Oven {n}") for n in range(count)])
    for n in range(count):
        made = episode(590, f"oven-{n}", "open", title=f"Hot {n}")
        assert platform.episodes.insert(made)


def test_it_shows_an_alarm_and_has_nothing_to_press(platform, screen):
    raise_alarms(platform, 1)
    page = screen.get("/wall")
    assert page.status_code == 200
    assert "Hot 0" in page.text
    assert "1 happening" in page.text
    assert "not acknowledged" in page.text
    assert CONTROLS.search(page.text) is None


def test_without_scripts_the_pages_follow_each_other_and_begin_again(platform, screen):
    raise_alarms(platform, 9)
    address = "/wall"
    seen = set()
    for number in range(3):
        page = screen.get(address).text
        sections = IN_SIGHT.findall(page)
        assert [n for n, one in enumerate(sections) if "hidden" not in one] == [number]
        seen |= set(re.findall(r"Hot \d", page.split(sections[number])[1].split("</section>")[0]))
        seconds, address = NEXT.search(page).groups()
        assert int(seconds) == 15
    assert seen == {f"Hot {n}" for n in range(9)}
    assert address == "/wall?page=1"


def test_a_line_that_does_not_exist_is_named_and_is_not_called_normal(browser):
    log_in(browser, VIEWER_TOKEN)
    page = browser.get("/wall?line=line-9").text
    assert "There is no line line-9." in page
    assert "No alarm is open" not in page


def test_a_line_shows_its_own_alarms_alone(wall):
    browser = browser_of(app_of(plant(FIRST, SECOND), wall))
    log_in(browser, VIEWER_TOKEN)
    page = browser.get(f"/wall?line={FIRST}").text
    assert f"Hot on {FIRST}" in page
    assert f"Hot on {SECOND}" not in page
    assert NEXT.search(page)[2].endswith(f"line={FIRST}")


def test_a_screen_in_use_is_never_logged_out(platform, screen, wall):
    for _ in range(9):
        wall.instant += DEVICE_SESSION_LASTS / 3
        assert screen.get("/wall").status_code == 200
    assert len(platform.sessions.all(wall(), "hall-2")) == 2


def test_an_answer_that_was_lost_logs_no_screen_out(screen, wall):
    first = dict(screen.cookies)
    wall.instant += DEVICE_SESSION_LASTS / 2
    assert "set-cookie" in screen.get("/wall").headers
    screen.cookies.clear()
    screen.cookies.update(first)
    assert screen.get("/wall").status_code == 200


def test_a_disabled_screen_is_logged_out_with_all_its_sessions(platform, screen, wall):
    wall.instant += DEVICE_SESSION_LASTS / 2
    screen.get("/wall")
    account = platform.accounts.get("hall-2")
    platform.accounts.replace(account.next_version(disabled_at=wall()))
    assert screen.get("/wall").status_code == 303


@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_only_a_device_that_only_shows_is_renewed_and_only_while_it_is_used(platform, wall, role):
    browser = device_on(
        platform, wall(), browser_of(app_of(platform, wall)), f"tablet-{role}", role
    )
    wall.instant += DEVICE_SESSION_LASTS - timedelta(hours=1)
    renewed = "set-cookie" in browser.get("/wall").headers
    assert renewed == (role == "viewer")
    wall.instant += DEVICE_SESSION_LASTS + timedelta(hours=1)
    assert browser.get("/wall").status_code == 303


def test_the_session_of_a_person_ends_as_ever(browser, wall):
    log_in(browser, VIEWER_TOKEN)
    wall.instant += timedelta(hours=11)
    assert "set-cookie" not in browser.get("/wall").headers
    wall.instant += timedelta(hours=2)
    assert browser.get("/wall").status_code == 303
