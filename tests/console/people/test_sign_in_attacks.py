"""Signing in as an attacker tries it: guesses, borrowed cookies, used links, plain HTTP."""

import time
from datetime import timedelta

import pytest

from alerting.adapters.passwords import Argon2Passwords
from alerting.operators.people import SESSION_LASTS
from alerting.ports import AuditFilter
from alerting.usecases.access import people
from alerting.usecases.access.sign_in import check_password
from alerting.usecases.access.tokens import create_token
from tests.builders import at
from tests.helpers.console.api import TOKENS
from tests.helpers.console.pages import csrf_of
from tests.helpers.console.people import PASSWORD, app_of, browser_of, person_on, sign_in


@pytest.fixture
def app(platform, wall):
    person_on(platform, wall())
    return app_of(platform, wall)


def cookies_of(browser):
    return dict(browser.cookies)


def test_a_person_signs_in_acts_under_their_own_name_and_signs_out(app, platform):
    browser = browser_of(app)
    answer = sign_in(browser, to="/reports")
    assert (answer.status_code, answer.headers["location"]) == (303, "/reports")
    assert "anna" in browser.get("/").text
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "Secure" in answer.headers["set-cookie"]
    assert "samesite=strict" in answer.headers["set-cookie"].lower()
    assert browser.post("/logout", data={"csrf": csrf_of(browser.get("/"))}).status_code == 303
    assert browser.get("/").status_code == 303
    signed = platform.audit.find(AuditFilter(actor="anna", what="signed in"), 1)[0]
    assert (signed.after, signed.origin) == ({"address": "10.0.0.7"}, "console 10.0.0.7")


def test_a_cookie_that_the_attacker_chose_is_replaced_at_the_sign_in(app):
    chosen = {"cookie": "alerting_session=chosen-by-the-attacker"}
    answer = sign_in(browser_of(app, headers=chosen))
    assert "alerting_session=chosen" not in answer.headers["set-cookie"]
    assert "alerting_session=" in answer.headers["set-cookie"]
    assert browser_of(app, headers=chosen).get("/").status_code == 303


def test_a_copied_cookie_is_dead_after_the_log_out_and_after_twelve_hours(app, wall):
    browser = browser_of(app)
    sign_in(browser)
    thief = browser_of(app)
    thief.cookies.update(cookies_of(browser))
    assert thief.get("/").status_code == 200
    browser.post("/logout", data={"csrf": csrf_of(browser.get("/"))})
    assert thief.get("/").status_code == 303
    sign_in(browser)
    wall.instant += SESSION_LASTS
    assert browser.get("/").status_code == 303


def test_what_is_revoked_on_one_replica_is_dead_on_the_other_at_once(app, platform, wall):
    other = app_of(platform, wall)
    browser = browser_of(app)
    sign_in(browser)
    elsewhere = browser_of(other)
    elsewhere.cookies.update(cookies_of(browser))
    _, secret = create_token(
        platform, "rows", "anna", "viewer", wall() + timedelta(days=1), "ada", wall()
    )
    header = {"authorization": f"Bearer {secret}"}
    assert elsewhere.get("/").status_code == 200
    assert browser_of(other).get("/api/v1/episodes", headers=header).status_code == 200
    people.disable_account(platform, "anna", "ada", wall())
    assert elsewhere.get("/").status_code == 303
    assert browser_of(other).get("/api/v1/episodes", headers=header).status_code == 401


def test_a_disabled_service_of_the_tokens_file_is_refused_within_a_second(app, platform, wall):
    people.register_services(platform, dict(TOKENS.values()), wall())
    header = {"authorization": f"Bearer {list(TOKENS)[1]}"}
    client = browser_of(app)
    assert client.get("/api/v1/episodes", headers=header).status_code == 200
    people.disable_account(platform, "otto", "ada", wall())
    wall.instant += timedelta(seconds=1)
    assert client.get("/api/v1/episodes", headers=header).status_code == 401


def test_a_form_of_another_site_changes_nothing(app):
    browser = browser_of(app)
    sign_in(browser)
    for path in ("/account/preferences", "/logout", "/access/people"):
        assert browser.post(path, data={"csrf": "0" * 64}).status_code == 403
    assert browser.get("/").status_code == 200


# Guessing


def guess(browser, n, name="anna"):
    return [sign_in(browser, name, f"wrong password {i}").status_code for i in range(n)]


def test_guesses_of_one_address_are_slowed_whatever_the_name(app):
    browser = browser_of(app)
    assert [guess(browser, 1, f"name{i}")[0] for i in range(7)] == [401] * 5 + [429] * 2


def test_guesses_of_one_name_are_slowed_from_whatever_address(app):
    statuses = [guess(browser_of(app, f"10.0.1.{i}"), 1)[0] for i in range(7)]
    assert statuses == [401] * 5 + [429] * 2


def test_guesses_lock_out_no_person_in_a_browser_that_they_used_before(app):
    browser = browser_of(app)
    sign_in(browser)
    browser.post("/logout", data={"csrf": csrf_of(browser.get("/"))})
    for i in range(10):
        guess(browser_of(app, f"10.0.1.{i}"), 1)
    assert sign_in(browser_of(app, "10.0.2.1")).status_code == 429
    assert sign_in(browser).status_code == 303


def test_a_forged_cookie_of_a_known_browser_is_none(app):
    for i in range(8):
        browser = browser_of(app)
        browser.cookies.set("alerting_browser", f"{i:032x}.{'0' * 64}")
        status = guess(browser, 1)[0]
    assert status == 429


def test_a_right_password_is_not_told_from_a_wrong_one_while_it_is_slowed(app):
    browser = browser_of(app)
    guess(browser, 6)
    assert sign_in(browser).status_code == 429


def test_an_unknown_name_takes_as_long_as_a_wrong_password(platform, wall):
    passwords = Argon2Passwords(passes=1, memory_kib=8192)
    _, code = people.add_person(platform, "anna", "operator", "ada", wall())
    people.set_password(platform, passwords, code, PASSWORD, wall())
    check_password(platform, passwords, "nobody", PASSWORD)

    def cpu_seconds(name):
        begun = time.process_time()
        for _ in range(10):
            check_password(platform, passwords, name, "wrong password")
        return time.process_time() - begun

    known = cpu_seconds("anna")
    assert cpu_seconds("nobody") > known / 3


def test_refused_sign_ins_are_in_the_audit_by_address_without_the_password(app, platform):
    guess(browser_of(app), 2)
    found = platform.audit.find(AuditFilter(what="sign-in refused"), 5)
    assert {(e.actor, e.subject) for e in found} == {("unknown at 10.0.0.7", "anna")}
    assert "wrong password 0" not in str(platform.audit.entries)


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_a_sign_in_never_leads_to_another_site(app, target):
    assert sign_in(browser_of(app), to=target).headers["location"] == "/"


# Plain HTTP


@pytest.mark.parametrize(
    ("url", "headers", "public_url", "taken"),
    [
        ("https://10.0.0.5:8000", {}, None, True),
        ("http://10.0.0.5:8000", {}, None, False),
        ("http://127.0.0.1:8000", {}, None, True),
        ("http://localhost:8000", {}, None, True),
        ("http://[::1]:8000", {}, None, True),
        ("http://localhost:8000", {"x-forwarded-for": "10.0.0.9"}, None, False),
        ("http://plant.example", {}, "https://plant.example", True),
        ("http://10.0.0.5:8000", {}, "https://plant.example", False),
        ("http://localhost.evil.example", {}, None, False),
    ],
)
def test_a_password_is_asked_for_and_taken_only_where_no_other_machine_can_read_it(
    platform, wall, url, headers, public_url, taken
):
    person_on(platform, wall())
    browser = browser_of(app_of(platform, wall, public_url=public_url), url=url, headers=headers)
    assert ('name="password"' in browser.get("/login").text) == taken
    assert sign_in(browser).status_code == (303 if taken else 403)
    code = people.make_link(platform, "anna", "ada", wall())
    assert browser.get(f"/password/{code}").status_code == (200 if taken else 403)
    given = {"password": PASSWORD, "again": PASSWORD}
    assert browser.post(f"/password/{code}", data=given).status_code == (303 if taken else 403)


# Links for a password


def test_a_link_sets_a_password_once_and_signs_in(platform, wall):
    app = app_of(platform, wall)
    _, code = people.add_person(platform, "bob", "viewer", "ada", wall())
    browser = browser_of(app)
    assert "For bob" in browser.get(f"/password/{code}").text
    differ = browser.post(f"/password/{code}", data={"password": PASSWORD, "again": "other"})
    assert (differ.status_code, "differ" in differ.text) == (422, True)
    given = {"password": PASSWORD, "again": PASSWORD}
    assert browser.post(f"/password/{code}", data=given).status_code == 303
    assert browser.get("/").status_code == 200
    again = browser_of(app)
    assert again.get(f"/password/{code}").status_code == 410
    assert again.post(f"/password/{code}", data=given).status_code == 410
    assert again.get("/password/guessed").status_code == 410


def test_until_there_are_people_the_login_asks_for_a_token_alone(platform, wall):
    page = browser_of(app_of(platform, wall)).get("/login").text
    assert 'name="password"' not in page
    assert 'name="token"' in page
    person_on(platform, at(0))
    assert 'name="password"' in browser_of(app_of(platform, wall)).get("/login").text
