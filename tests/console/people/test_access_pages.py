"""Administrators add people and tokens in the browser; everyone has a page of their own account."""

import csv
import io
import re

import pytest

from alerting.ports import AuditFilter
from alerting.usecases.access.accounts import register_services
from tests.builders import at
from tests.helpers.console.api import TOKENS
from tests.helpers.console.pages import lacks, send_form
from tests.helpers.console.people import (
    PASSWORD,
    app_of,
    browser_as,
    browser_of,
    person_on,
    sign_in,
)


@pytest.fixture
def app(platform, wall):
    register_services(platform, dict(TOKENS.values()), wall())
    for name, role in (("boss", "admin"), ("anna", "operator")):
        person_on(platform, wall(), name, role)
    return app_of(platform, wall)


@pytest.fixture
def boss(app):
    return browser_as(app, "boss")


@pytest.fixture
def anna(app):
    return browser_as(app, address="10.0.0.8")


def post(browser, path, **data):
    return send_form(browser, path, "/access", **data)


def test_a_person_is_added_sets_the_password_and_signs_in(app, boss):
    answer = post(boss, "/access/people", name="Carl", display_name="Carl Bauer", role="operator")
    link = re.search(r"https://plant\.example(/password/[\w-]+)", answer.text)[1]
    assert "waits for the password" in boss.get("/access").text
    browser = browser_of(app, "10.0.0.9")
    browser.post(link, data={"password": PASSWORD, "again": PASSWORD})
    assert "Carl Bauer" in browser.get("/").text
    page = boss.get("/access").text
    assert (link in page, "10.0.0.9" in page) == (False, True)


def test_role_disable_enable_and_remove_work_by_the_page_and_are_audited(boss, anna, platform):
    assert post(boss, "/access/people/anna", what="role", role="viewer").status_code == 303
    assert "anna (viewer)" in re.sub(r"<[^>]+>", "", anna.get("/").text)
    post(boss, "/access/people/anna", what="disable")
    assert anna.get("/").status_code == 303
    post(boss, "/access/people/anna", what="enable")
    assert sign_in(anna).status_code == 303
    post(boss, "/access/people/anna", what="remove")
    assert anna.get("/").status_code == 303
    done = [e.what for e in platform.audit.find(AuditFilter(actor="boss", subject="anna"), 9)]
    assert done == ["person removed", "account enabled", "account disabled", "person changed"]


def test_a_refusal_stands_on_the_page_with_what_was_typed_in_its_form(boss):
    answer = post(boss, "/access/people/boss", what="disable")
    assert (answer.status_code, "your own account" in answer.text) == (422, True)

    wrong = {"name": 'with "blank', "display_name": "Anna <b>", "role": "engineer"}
    answer = post(boss, "/access/people", **wrong)
    assert (answer.status_code, "is not possible" in answer.text) == (422, True)
    person, device, token = re.findall(r'<form class="card".*?</form>', answer.text, re.DOTALL)
    typed = ('value="with &#34;blank"', 'value="Anna &lt;b&gt;"', "selected>engineer<")
    assert lacks(person, *typed) == []
    assert [form for form in (device, token) if 'name="name" value=""' not in form] == []

    wrong = {"name": "rows", "owner": "boss", "role": "engineer", "days": "2000"}
    page = post(boss, "/access/tokens", **wrong).text
    token = re.findall(r'<form class="card".*?</form>', page, re.DOTALL)[-1]
    typed = ('value="rows"', 'value="2000"', "selected>boss<", "selected>engineer<")
    assert lacks(token, *typed) == []


def test_a_token_is_shown_once_works_and_is_revoked(app, boss):
    given = {"name": "gateway", "owner": "boss", "role": "sender", "days": "30"}
    secret = re.search(r"al_[\w-]+", post(boss, "/access/tokens", **given).text)[0]
    page = boss.get("/access").text
    assert secret not in page
    sender = browser_of(app, headers={"authorization": f"Bearer {secret}"})
    assert sender.get("/api/v1/episodes").status_code == 403
    row = {"ts": "2026-01-05T02:00:00Z", "asset": "oven-1", "values": {"temperature": 1.5}}
    assert sender.post("/api/v1/readings", json=row).status_code == 200
    path = re.search(r"/access/tokens/\w+/revoke", page)[0]
    assert post(boss, path).status_code == 303
    assert sender.post("/api/v1/readings", json=row).status_code == 401


# One's own account


def test_a_person_changes_the_password_and_stays_signed_in_here_alone(app, boss):
    elsewhere = browser_as(app, "boss", "10.0.0.9")
    new = {"password": "another long password", "again": "another long password"}
    wrong = send_form(boss, "/account/password", old="not it", **new)
    assert (wrong.status_code, "wrong" in wrong.text) == (422, True)
    assert send_form(boss, "/account/password", old=PASSWORD, **new).status_code == 303
    assert (boss.get("/").status_code, elsewhere.get("/").status_code) == (200, 303)
    assert sign_in(elsewhere, "boss").status_code == 401


def test_language_and_time_zone_of_a_person_go_with_them_to_any_browser(app, boss):
    send_form(boss, "/account/preferences", language="de", zone="Asia/Tokyo")
    page = browser_as(app, "boss", "10.0.0.9").get("/").text
    assert lacks(page, '<html lang="de">', "Asia/Tokyo") == []
    bad = send_form(boss, "/account/preferences", language="fr", zone="Mars/Base")
    assert bad.status_code == 422
    typed = ('value="Mars/Base"', '<option value="fr" lang="fr" selected>')
    assert lacks(bad.text, *typed) == []


def test_one_s_own_session_elsewhere_is_ended_but_not_another_s(app, boss, anna):
    key = re.search(r"/access/sessions/(\w+)/end", boss.get("/access").text)[1]
    send_form(boss, f"/account/sessions/{key}/end")
    assert anna.get("/").status_code == 200
    send_form(anna, f"/account/sessions/{key}/end")
    assert anna.get("/").status_code == 303


# The audit


def test_the_audit_is_read_page_by_page_and_by_filter(boss, platform):
    for n in range(70):
        platform.audit.add("carl", "acknowledge", f"oven-{n:03}", at(n))
    first = boss.get("/audit?actor=carl").text
    assert lacks(first, "oven-069", "oven-000") == ["oven-000"]
    older = re.search(r'href="(/audit\?[^"]*cursor[^"]*)"', first)[1].replace("&amp;", "&")
    assert "oven-000" in boss.get(older).text
    assert "oven-069" not in boss.get("/audit?actor=carl&to=2026-01-05T01:00").text
    too_early = boss.get("/audit?from=0001-01-01T00:00:00%2B14:00")  # no MongoDB holds it
    assert "lies not between 1900 and 2200" in too_early.text
    statuses = [too_early.status_code, boss.get("/audit?from=yesterday").status_code]
    assert statuses == [422, 422]


def test_the_audit_is_exported_whole_and_no_cell_is_a_formula(boss, platform):
    for n in range(2_500):
        platform.audit.add("carl", "comment", f"e{n}", at(n), why="=HYPERLINK(1)")
    rows = [*csv.DictReader(io.StringIO(boss.get("/audit.csv?actor=carl").text))]
    assert [row["why"] for row in rows] == ["'=HYPERLINK(1)"] * 2_500
