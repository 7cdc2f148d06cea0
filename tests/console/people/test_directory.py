"""Sign-in by the plant's directory: a round in the process, accounts, passwords, log-out."""

from datetime import timedelta

import httpx
import pytest

from alerting.ports import AuditFilter
from alerting.usecases.access import people
from tests.helpers.console.fake_provider import ISSUER, begin, come_in, refusals
from tests.helpers.console.pages import csrf_of
from tests.helpers.console.people import app_of, browser_of, person_on, sign_in


def test_a_person_signs_in_and_has_role_of_their_groups(app, platform, provider, wall):
    browser = browser_of(app)
    assert "Sign in with Plant login" in browser.get("/login").text
    answer = come_in(browser, provider, wall, "/reports", groups=["line-1", "guests"])
    assert answer.status_code == 200
    assert 'content="0; url=/reports"' in answer.text
    session = answer.headers["set-cookie"].lower()
    assert "httponly" in session
    assert "secure" in session
    assert "samesite=strict" in session
    account = platform.accounts.get("anna.berg")
    assert (account.role, account.shown_name) == ("operator", "Anna Berg")
    assert account.identity == f"{ISSUER} s-1"
    assert account.password is None
    assert "Anna Berg" in browser.get("/account").text
    signed = platform.audit.find(AuditFilter(actor="anna.berg", what="signed in"), 1)[0]
    assert signed.why == "by Plant login"


def test_groups_that_change_count_at_the_next_sign_in(app, platform, provider, wall):
    come_in(browser_of(app), provider, wall, groups=["line-1"])
    come_in(browser_of(app), provider, wall, groups=["line-1", "it"])
    account = platform.accounts.get("anna.berg")
    assert account.role == "admin"
    changed = platform.audit.find(AuditFilter(what="person changed"), 1)[0]
    assert (changed.actor, changed.before["role"], changed.after["role"]) == (
        "directory",
        "operator",
        "admin",
    )


def test_who_is_in_no_group_is_refused_and_loses_what_was_open(app, platform, provider, wall):
    before = browser_of(app)
    come_in(before, provider, wall)
    assert before.get("/").status_code == 200
    answer = come_in(browser_of(app), provider, wall, groups=["canteen"])
    assert answer.status_code == 403
    assert "engineers, it, line-1" in answer.text
    assert before.get("/").status_code == 303
    assert "you are in no group" in refusals(platform)[0]
    come_in(browser_of(app), provider, wall, groups=["canteen"], subject="s-2")
    assert [one.identity for one in platform.accounts.all() if one.identity] == [f"{ISSUER} s-1"]


def test_an_account_is_bound_to_the_subject_and_no_name_takes_it_over(
    app, platform, provider, wall
):
    person_on(platform, wall(), "anna.berg", "admin")
    come_in(browser_of(app), provider, wall, groups=["line-1"])
    come_in(browser_of(app), provider, wall, groups=["line-1"], subject="s-2")
    assert platform.accounts.get("anna.berg").identity is None
    assert platform.accounts.get("anna.berg").role == "admin"
    assert platform.accounts.get("anna.berg-2").identity == f"{ISSUER} s-1"
    assert platform.accounts.get("anna.berg-3").identity == f"{ISSUER} s-2"


def test_a_disabled_account_is_out_at_once_and_stays_out(app, platform, provider, wall):
    browser = browser_of(app)
    come_in(browser, provider, wall)
    people.disable_account(platform, "anna.berg", "ada", wall())
    assert browser.get("/").status_code == 303
    answer = come_in(browser, provider, wall)
    assert answer.status_code == 403
    assert "disabled" in answer.text
    assert browser.get("/").status_code == 303


def test_beside_a_directory_only_an_administrator_has_a_password(app, platform, wall):
    person_on(platform, wall(), "otto", "operator")
    person_on(platform, wall(), "adam", "admin")
    assert sign_in(browser_of(app), "otto").status_code == 403
    assert sign_in(browser_of(app), "adam").status_code == 303
    signed = platform.audit.find(AuditFilter(actor="adam", what="signed in"), 1)[0]
    assert signed.why == "with a password, beside the directory"
    assert "with a password, beside the directory" in refusals(platform)
    _, code = people.add_person(platform, "olga", "operator", "adam", wall())
    answer = browser_of(app).post(
        f"/password/{code}", data={"password": "correct horse battery", "again": "x"}
    )
    assert (answer.status_code, "plant&#39;s directory" in answer.text) == (422, True)


def test_an_account_of_the_directory_has_no_password_and_no_role_of_ours(
    app, platform, provider, wall
):
    come_in(browser_of(app), provider, wall)
    for change in (
        lambda: people.make_link(platform, "anna.berg", "ada", wall()),
        lambda: people.change_person(platform, "anna.berg", "ada", wall(), "admin"),
    ):
        with pytest.raises(people.UserError, match="its groups give the role"):
            change()


def test_the_page_of_access_shows_people_of_the_directory(app, platform, provider, wall):
    browser = browser_of(app)
    come_in(browser, provider, wall, groups=["it"])
    come_in(browser_of(app), provider, wall, subject="s-2")
    page = browser.get("/access").text
    assert "directory</span>" in page
    row = page.partition('id="person-anna.berg-2"')[2].partition("</tr>")[0]
    assert 'value="disable"' in row
    assert 'value="link"' not in row


def test_a_provider_that_is_away_leaves_the_administrator_a_way_in(app, platform, provider, wall):
    person_on(platform, wall(), "adam", "admin")
    provider.answers["/.well-known/openid-configuration"] = lambda _: (_ for _ in ()).throw(
        httpx.ConnectError("refused")
    )
    browser = browser_of(app)
    answer = begin(browser)
    assert answer.status_code == 503
    assert "Plant login cannot be used now" in answer.text
    assert refusals(platform) == ["the provider cannot be used: ConnectError"]
    assert sign_in(browser, "adam").status_code == 303


def test_a_log_out_here_leads_to_the_log_out_there(app, provider, wall):
    browser = browser_of(app)
    come_in(browser, provider, wall)
    csrf = csrf_of(browser.get("/account"))
    answer = browser.post("/logout", data={"csrf": csrf})
    assert answer.headers["location"] == "/login/directory/out"
    assert browser.get("/").status_code == 303
    page = browser.get("/login/directory/out").text
    assert (
        f"{ISSUER}/logout?client_id=alerting&amp;post_logout_redirect_uri="
        "https%3A%2F%2Fplant.example%2Flogin" in page
    )
    provider.metadata["end_session_endpoint"] = None
    wall.instant += timedelta(hours=2)
    assert browser.get("/login/directory/out").headers["location"] == "/login"


def test_a_log_out_at_the_directory_ends_every_session_of_the_person(app, platform, provider, wall):
    first, second, other = (browser_of(app) for _ in range(3))
    come_in(first, provider, wall)
    come_in(second, provider, wall)
    come_in(other, provider, wall, subject="s-2")
    token = provider.logout_token()
    answer = browser_of(app).post("/login/directory/logout", data={"logout_token": token})
    assert answer.status_code == 200
    assert [one.get("/").status_code for one in (first, second, other)] == [303, 303, 200]
    assert platform.audit.find(AuditFilter(what="signed out by the directory"), 1)


def test_without_a_directory_there_is_none(platform, wall):
    browser = browser_of(app_of(platform, wall))
    assert "Sign in with" not in browser.get("/login").text
    assert begin(browser).status_code == 404
    assert browser.get("/login/directory/back").status_code == 404


def test_the_page_of_the_login_speaks_the_language_of_the_browser(app):
    for code, text in (("de", "Mit Plant login anmelden"), ("fr", "Se connecter avec Plant login")):
        page = browser_of(app, headers={"accept-language": code}).get("/login").text
        assert text in page
