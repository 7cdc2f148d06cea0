"""Administrators add people and tokens in the browser; everyone has a page of their own account."""

import csv
import io
import re

import pytest

from alerting.ports import AuditFilter
from alerting.usecases.access.people import register_services
from tests.builders import at
from tests.helpers.console.api import TOKENS
from tests.helpers.console.pages import ADMIN_TOKEN, OPERATOR_TOKEN, csrf_of, log_in
from tests.helpers.console.people import PASSWORD, app_of, browser_of, person_on, sign_in


@pytest.fixture
def app(platform, wall):
    register_services(platform, dict(TOKENS.values()), wall())
    person_on(platform, wall(), "boss", "admin")
    return app_of(platform, wall)


@pytest.fixture
def boss(app):
    browser = browser_of(app)
    sign_in(browser, "boss")
    return browser


def post(browser, path, page="/access", **data):
    return browser.post(path, data={"csrf": csrf_of(browser.get(page)), **data})


def test_a_person_is_added_sets_the_password_and_signs_in(app, boss):
    answer = post(boss, "/access/people", name="Anna", display_name="Anna Bauer", role="operator")
    link = re.search(r"https://plant\.example(/password/[\w-]+)", answer.text)[1]
    assert "waits for the password" in boss.get("/access").text
    browser = browser_of(app, "10.0.0.8")
    browser.post(link, data={"password": PASSWORD, "again": PASSWORD})
    assert "Anna Bauer" in browser.get("/").text
    assert link not in boss.get("/access").text
    page = boss.get("/access").text
    assert "10.0.0.8" in page


def test_role_disable_enable_and_remove_work_by_the_page_and_are_audited(app, boss, platform, wall):
    person_on(platform, wall(), "anna")
    browser = browser_of(app)
    sign_in(browser)
    assert post(boss, "/access/people/anna", what="role", role="viewer").status_code == 303
    assert "anna (viewer)" in re.sub(r"<[^>]+>", "", browser.get("/").text)
    post(boss, "/access/people/anna", what="disable")
    assert browser.get("/").status_code == 303
    post(boss, "/access/people/anna", what="enable")
    assert sign_in(browser).status_code == 303
    post(boss, "/access/people/anna", what="remove")
    assert browser.get("/").status_code == 303
    done = [e.what for e in platform.audit.find(AuditFilter(actor="boss", subject="anna"), 9)]
    assert done == ["person removed", "account enabled", "account disabled", "person changed"]


def test_a_refusal_stands_on_the_page(boss):
    answer = post(boss, "/access/people", name="with blank", role="operator")
    assert (answer.status_code, "is not possible" in answer.text) == (422, True)
    answer = post(boss, "/access/people/boss", what="disable")
    assert (answer.status_code, "your own account" in answer.text) == (422, True)


def chosen_in(form):
    return re.findall(r'<option(?: value="([^"]*)")? selected>([^<]*)', form)


def test_what_was_typed_stands_in_its_form_after_a_refusal(boss, platform):
    wrong = {"name": 'with "blank', "display_name": "Anna <b>", "role": "engineer"}
    page = post(boss, "/access/people", **wrong).text
    person, device, token = re.findall(r'<form class="card".*?</form>', page, re.DOTALL)
    assert 'value="with &#34;blank"' in person
    assert 'value="Anna &lt;b&gt;"' in person
    assert [value or text for value, text in chosen_in(person)] == ["engineer"]
    for other in (device, token):
        assert 'name="name" value=""' in other

    wrong = {"name": "rows", "owner": "boss", "role": "engineer", "days": "2000"}
    page = post(boss, "/access/tokens", **wrong).text
    token = re.findall(r'<form class="card".*?</form>', page, re.DOTALL)[-1]
    assert 'value="rows"' in token
    assert 'value="2000"' in token
    assert [value or text for value, text in chosen_in(token)] == ["boss", "engineer"]


def test_a_token_is_shown_once_works_and_is_revoked(app, boss):
    given = {"name": "gateway", "owner": "boss", "role": "sender", "days": "30"}
    secret = re.search(r"al_[\w-]+", post(boss, "/access/tokens", **given).text)[0]
    assert secret not in boss.get("/access").text
    sender = browser_of(app)
    header = {"authorization": f"Bearer {secret}"}
    assert sender.get("/api/v1/episodes", headers=header).status_code == 403
    row = {"ts": "2026-01-05T02:00:00Z", "asset": "oven-1", "values": {"temperature": 1.5}}
    assert sender.post("/api/v1/readings", json=row, headers=header).status_code == 200
    path = re.search(r"/access/tokens/\w+/revoke", boss.get("/access").text)[0]
    assert post(boss, path).status_code == 303
    assert sender.post("/api/v1/readings", json=row, headers=header).status_code == 401


# One's own account


def test_a_person_changes_the_password_and_stays_signed_in_here_alone(app, boss):
    elsewhere = browser_of(app, "10.0.0.9")
    sign_in(elsewhere, "boss")
    new = {"password": "another long password", "again": "another long password"}
    wrong = post(boss, "/account/password", "/account", old="not it", **new)
    assert (wrong.status_code, "wrong" in wrong.text) == (422, True)
    assert post(boss, "/account/password", "/account", old=PASSWORD, **new).status_code == 303
    assert (boss.get("/").status_code, elsewhere.get("/").status_code) == (200, 303)
    assert sign_in(elsewhere, "boss").status_code == 401


def test_language_and_time_zone_of_a_person_go_with_them_to_any_browser(app, boss):
    post(boss, "/account/preferences", "/account", language="de", zone="Asia/Tokyo")
    other = browser_of(app, "10.0.0.9")
    sign_in(other, "boss")
    page = other.get("/").text
    assert '<html lang="de">' in page
    assert "Asia/Tokyo" in page
    bad = post(boss, "/account/preferences", "/account", language="fr", zone="Mars/Base")
    assert bad.status_code == 422
    assert 'value="Mars/Base"' in bad.text
    assert '<option value="fr" lang="fr" selected>' in bad.text


def test_one_s_own_session_elsewhere_is_ended_but_not_another_s(app, boss, platform, wall):
    person_on(platform, wall(), "anna")
    anna = browser_of(app)
    sign_in(anna)
    path = re.search(r"/access/sessions/(\w+)/end", boss.get("/access").text)[1]
    bob = browser_of(app)
    person_on(platform, wall(), "bob", "viewer")
    sign_in(bob, "bob")
    post(bob, f"/account/sessions/{path}/end", "/account")
    assert anna.get("/").status_code == 200
    post(anna, f"/account/sessions/{path}/end", "/account")
    assert anna.get("/").status_code == 303


def test_the_account_of_a_token_of_the_tokens_file_says_why_it_has_no_password(app, boss):
    said = "You signed in with a token of the tokens file. It has no password"
    for token, hint in ((ADMIN_TOKEN, 'href="/access">Add a person'), (OPERATOR_TOKEN, "adds it")):
        browser = browser_of(app)
        log_in(browser, token)
        page = browser.get("/account").text
        assert said in page and hint in page
    assert said not in boss.get("/account").text


# The audit


def test_the_audit_is_read_page_by_page_and_by_filter(boss, platform):
    for n in range(70):
        platform.audit.add("anna", "acknowledge", f"oven-{n:03}", at(n))
    first = boss.get("/audit?actor=anna")
    assert "oven-069" in first.text
    assert "oven-000" not in first.text
    older = re.search(r'href="(/audit\?[^"]*cursor[^"]*)"', first.text)[1].replace("&amp;", "&")
    assert "oven-000" in boss.get(older).text
    assert "oven-069" not in boss.get("/audit?actor=anna&to=2026-01-05T01:00").text
    assert boss.get("/audit?from=yesterday").status_code == 422
    too_early = boss.get("/audit?from=0001-01-01T00:00:00%2B14:00")  # no MongoDB holds it
    assert too_early.status_code == 422
    assert "lies not between 1900 and 2200" in too_early.text


def test_the_audit_is_exported_whole_and_no_cell_is_a_formula(boss, platform):
    for n in range(2_500):
        platform.audit.add("anna", "comment", f"e{n}", at(n), why="=HYPERLINK(1)")
    rows = [*csv.DictReader(io.StringIO(boss.get("/audit.csv?actor=anna").text))]
    assert len(rows) == 2_500
    assert {row["why"] for row in rows} == {"'=HYPERLINK(1)"}
