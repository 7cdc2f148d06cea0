"""On a tablet that people share everyone reads, and answers only with a name and a PIN."""

import re
from datetime import timedelta
from html import unescape

import pytest
from fastapi.routing import APIRoute

from alerting.console.gate import OPEN
from alerting.operators.people import DEVICE_SESSION_LASTS
from alerting.ports import AuditFilter
from alerting.usecases.access import people
from alerting.usecases.access.tokens import create_token
from alerting.usecases.operators.operate import shelves_now
from tests.builders import at
from tests.helpers.console.api import episode
from tests.helpers.console.pages import csrf_of
from tests.helpers.console.people import (
    PASSWORD,
    app_of,
    browser_of,
    changes_of,
    device_on,
    person_on,
    pin_of,
    sign_in,
)

E = episode(590, condition="open")


@pytest.fixture
def app(platform, wall):
    platform.episodes.insert(E)
    pin_of(platform, wall())
    return app_of(platform, wall)


@pytest.fixture
def tablet(app, platform, wall):
    return device_on(platform, wall(), browser_of(app))


def send(browser, path=f"/episodes/{E.id}/ack", **data):
    return browser.post(path, data={"csrf": csrf_of(browser.get(f"/episodes/{E.id}")), **data})


def sign(browser, path=f"/episodes/{E.id}/ack", signer="anna", pin="4827", **data):
    return send(browser, path, signer=signer, pin=pin, **data)


def hidden_in(page):
    """Return the fields that a page sends again."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text)
    return {name: unescape(value) for name, value in found}


def acknowledged(platform):
    return platform.episodes.get(E.id).acknowledged


# A tablet from its link to an answer


def test_an_administrator_makes_a_tablet_and_people_answer_on_it_by_name(app, platform, wall):
    boss = browser_of(app, "10.0.0.1")
    person_on(platform, wall(), "boss", "admin")
    sign_in(boss, "boss")
    given = {"csrf": csrf_of(boss.get("/access")), "name": "Tablet-Line-1", "kind": "device"}
    page = boss.post("/access/people", data={**given, "role": "operator"})
    link = re.search(r"https://plant\.example(/password/[\w-]+)", page.text)[1]
    assert "waits for its link" in boss.get("/access").text
    tablet = browser_of(app)
    assert "Start on this device" in tablet.get(link).text
    started = tablet.post(link)
    assert (started.status_code, started.headers["location"]) == (303, "/")
    for attribute in ("HttpOnly", "Secure", "SameSite=strict", f"Max-Age={90 * 86_400}"):
        assert attribute in started.headers["set-cookie"]
    assert browser_of(app).post(link).status_code == 410
    assert "Oven too hot" in tablet.get("/").text
    assert "started, until" in boss.get("/access").text
    asked = send(tablet)
    assert (asked.status_code, acknowledged(platform)) == (200, None)
    fields = {**hidden_in(asked), "signer": "anna", "pin": "4827"}
    answer = tablet.post(f"/episodes/{E.id}/ack", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert acknowledged(platform).actor == "anna"
    entry = platform.audit.find(AuditFilter(actor="anna", what="acknowledge"), 1)[0]
    assert entry.origin == "console 10.0.0.7, tablet-line-1"


FORMS = {
    f"/episodes/{E.id}/ack": {"next": ""},
    f"/episodes/{E.id}/feedback": {"verdict": "true_alarm", "comment": "belt <torn>", "acted": ""},
    f"/episodes/{E.id}/shelve": {"lasting": "30m", "preset": "cleaning", "reason": "till noon"},
    f"/episodes/{E.id}/close": {"reason": "seen to be over"},
    "/acknowledge": {"episode": [E.id, "another"]},
    "/misses": {"definition": "too-hot", "asset": "oven-1", "at": "2026-01-05T02:00"},
}


@pytest.mark.parametrize("path", FORMS)
def test_each_form_asks_for_name_and_pin_and_loses_nothing_that_was_typed(tablet, platform, path):
    before = len(platform.audit.entries)
    for given in ({}, {"signer": "anna", "pin": "9999"}, {"signer": "anna"}, {"pin": "4827"}):
        page = send(tablet, path, **FORMS[path], **given)
        assert page.status_code == (401 if len(given) == 2 else 200)
        assert f'action="{path}"' in page.text
        assert 'inputmode="numeric"' in page.text
        assert 'autocomplete="off"' in page.text
        text = re.sub(r"[0-9a-f]{64}", "", page.text)  # without the mark of the session
        assert "9999" not in text
        assert "4827" not in text
        for name, value in FORMS[path].items():
            for one in [value] if isinstance(value, str) else value:
                assert (name, one) in [
                    (n, unescape(v))
                    for n, v in re.findall(r'name="(\w+)" value="([^"]*)">', page.text)
                ]
    changed = [e.what for e in platform.audit.find(AuditFilter(), 10)][: -before or None]
    assert changed == ["sign-in refused"]


def test_an_engineer_has_on_a_tablet_the_rights_of_an_operator(tablet, platform, wall):
    pin_of(platform, wall(), "emil", "engineer", "7315")
    path = f"/episodes/{E.id}/shelve"
    long = sign(tablet, path, "emil", "7315", lasting="3d", reason="new belt")
    assert (long.status_code, shelves_now(platform.shelves, at(600))) == (422, [])
    assert sign(tablet, path, "emil", "7315", lasting="2h", reason="new belt").status_code == 303


def test_after_too_many_wrong_pins_the_page_says_how_long_to_wait_and_holds_the_comment(
    tablet, platform, wall
):
    path = f"/episodes/{E.id}/feedback"
    statuses = [sign(tablet, path, pin=f"99{n}8").status_code for n in range(10)]
    page = sign(tablet, path, **FORMS[path])
    assert (statuses, page.status_code) == ([401] * 10, 429)
    assert page.headers["retry-after"] == "3600"
    assert "Too many wrong PINs of anna. The next one is taken in 60 min." in page.text
    assert hidden_in(page)["comment"] == "belt <torn>"
    pin_of(platform, wall(), "bob", pin="7315")
    assert sign(tablet, path, "bob", "7315", **FORMS[path]).status_code == 303


def test_wrong_pins_leave_the_person_s_sign_in_by_password_as_it_is(tablet, app, platform, wall):
    code = people.make_link(platform, "anna", "ada", wall())
    at_home = browser_of(app, "10.0.0.9")
    given = {"password": PASSWORD, "again": PASSWORD}
    assert at_home.post(f"/password/{code}", data=given).status_code == 303
    for _ in range(15):
        sign(tablet, pin="9998")
    assert sign_in(browser_of(app, "10.0.0.10")).status_code == 303
    assert at_home.get("/").status_code == 200


def test_the_name_is_proposed_for_ten_minutes_and_the_pin_never(tablet, wall):
    chosen = '<option value="anna" selected>'
    assert chosen not in send(tablet).text
    sign(tablet)
    assert chosen in send(tablet).text
    wall.instant += timedelta(minutes=10)
    assert chosen not in send(tablet).text


# What a tablet may not


def test_a_tablet_changes_nothing_by_any_route_without_a_pin(app, tablet, platform):
    csrf = csrf_of(tablet.get(f"/episodes/{E.id}"))
    before = changes_of(platform)
    accounts = platform.accounts.all()
    wrong = []
    for route in app.routes:
        if not isinstance(route, APIRoute) or route.path in OPEN | {"/f/{token}"}:
            continue
        for method in route.methods - {"GET", "HEAD"}:
            answer = tablet.request(
                method, re.sub(r"\{[^}]+\}", E.id, route.path), data={"csrf": csrf}
            )
            asks = answer.status_code == 200 and 'name="pin"' in answer.text
            if not asks and answer.status_code not in (401, 403, 410):
                wrong.append((method, route.path, answer.status_code))
    assert wrong == []
    assert (changes_of(platform), platform.accounts.all()) == (before, accounts)


def test_a_tablet_reads_as_a_viewer_does(tablet):
    assert tablet.get("/reports").status_code == 200
    assert tablet.get("/api/v1/episodes").status_code == 200
    for path in ("/audit", "/access", "/api/v1/audit", "/api/v1/tokens"):
        assert tablet.get(path).status_code == 403
    page = tablet.get("/account").text
    assert "/logout" not in page
    assert "/account/p" not in page


def test_a_tablet_that_only_shows_offers_no_form_and_takes_no_pin(app, platform, wall):
    browser = device_on(platform, wall(), browser_of(app), "wall-1", "viewer")
    page = browser.get(f"/episodes/{E.id}").text
    assert "/ack" not in page
    path = f"/episodes/{E.id}/ack"
    csrf = csrf_of(device_on(platform, wall(), browser_of(app)).get(f"/episodes/{E.id}"))
    given = {"csrf": csrf, "signer": "anna", "pin": "4827"}
    assert browser.post(path, data=given).status_code == 403
    assert acknowledged(platform) is None


def test_a_pin_counts_nowhere_but_on_a_tablet(app, platform, wall):
    person_on(platform, wall(), "vera", "viewer")
    vera = browser_of(app)
    sign_in(vera, "vera")
    path = f"/episodes/{E.id}/ack"
    given = {"csrf": csrf_of(vera.get("/account")), "signer": "anna", "pin": "4827"}
    assert vera.post(path, data=given).status_code == 403
    assert browser_of(app).post(path, data=given).status_code == 303
    assert sign_in(browser_of(app, "10.0.0.8"), "anna", "4827").status_code == 401
    assert acknowledged(platform) is None


def test_a_form_of_another_site_is_refused_before_its_pin_is_looked_at(tablet, platform):
    for csrf in ("", "0" * 64):
        given = {"csrf": csrf, "signer": "anna", "pin": "9999"}
        assert tablet.post(f"/episodes/{E.id}/ack", data=given).status_code == 403
    assert platform.accounts.get("anna").wrong_pins_until is None


@pytest.mark.parametrize(
    ("url", "headers", "public_url", "taken"),
    [
        ("http://10.0.0.5:8000", {}, None, False),
        ("http://127.0.0.1:8000", {}, None, True),
        ("http://localhost:8000", {"x-forwarded-for": "10.0.0.9"}, None, False),
        ("http://plant.example", {}, "https://plant.example", True),
        ("http://10.0.0.5:8000", {}, "https://plant.example", False),
    ],
)
def test_a_pin_is_taken_only_where_no_other_machine_can_read_it(
    app, tablet, platform, wall, url, headers, public_url, taken
):
    cookie = {"cookie": f"alerting_device={tablet.cookies['alerting_device']}"}
    served = app_of(platform, wall, public_url=public_url)
    browser = browser_of(served, url=url, headers={**headers, **cookie})
    assert ('name="pin"' in send(browser).text) == taken
    assert sign(browser).status_code == (303 if taken else 403)
    code = people.make_link(platform, "tablet-1", "ada", wall())
    assert browser.post(f"/password/{code}").status_code == (303 if taken else 403)
    code = people.make_link(platform, "anna", "ada", wall())
    pins = {"pin": "0394", "again": "0394"}
    assert browser.post(f"/password/{code}/pin", data=pins).status_code == (200 if taken else 403)


# The end of a tablet's session


def test_a_tablet_ends_from_the_page_access_at_once_on_every_replica(tablet, app, platform, wall):
    replica = browser_of(app_of(platform, wall))
    replica.cookies.update(dict(tablet.cookies))
    boss = browser_of(app, "10.0.0.1")
    person_on(platform, wall(), "boss", "admin")
    sign_in(boss, "boss")
    csrf = csrf_of(boss.get("/access"))
    key = platform.sessions.all(wall(), "tablet-1")[0].key
    assert replica.get("/").status_code == 200
    assert boss.post(f"/access/sessions/{key}/end", data={"csrf": csrf}).status_code == 303
    assert (tablet.get("/").status_code, replica.get("/").status_code) == (303, 303)
    device_on(platform, wall(), tablet)
    assert tablet.get("/").status_code == 200
    boss.post("/access/people/tablet-1", data={"csrf": csrf, "what": "disable"})
    assert tablet.get("/").status_code == 303


def test_a_person_logs_in_on_a_tablet_and_leaves_it_as_it_was(tablet, platform, wall):
    person_on(platform, wall(), "emil", "engineer")
    sign_in(tablet, "emil")
    assert tablet.get("/audit").status_code == 200
    assert send(tablet).status_code == 303
    assert acknowledged(platform).actor == "emil"
    tablet.post("/logout", data={"csrf": csrf_of(tablet.get("/"))})
    assert tablet.get("/audit").status_code == 403
    assert tablet.get("/").status_code == 200


def test_a_link_of_a_tablet_is_not_used_up_in_the_browser_of_a_person(app, platform, wall):
    person_on(platform, wall(), "boss", "admin")
    boss = browser_of(app)
    sign_in(boss, "boss")
    _, code = people.add_person(platform, "tablet-1", "operator", "ada", wall(), kind="device")
    assert "Open this link on the device itself" in boss.post(f"/password/{code}").text
    assert browser_of(app).post(f"/password/{code}").status_code == 303


# One's own PIN


def test_a_person_without_a_password_sets_a_pin_by_the_link_and_no_session_begins(
    tablet, app, platform, wall
):
    _, code = people.add_person(platform, "otto", "operator", "ada", wall())
    phone = browser_of(app, "10.0.0.8")
    path = f"/password/{code}/pin"
    weak = phone.post(path, data={"pin": "1234", "again": "1234"})
    assert (weak.status_code, "guessed first" in weak.text) == (422, True)
    assert phone.post(path, data={"pin": "0394", "again": "0395"}).status_code == 422
    done = phone.post(path, data={"pin": "0394", "again": "0394"})
    assert (done.status_code, "set-cookie" in done.headers) == (200, False)
    assert phone.post(path, data={"pin": "0394", "again": "0394"}).status_code == 410
    assert phone.get("/").status_code == 303
    assert sign(tablet, signer="otto", pin="0394").status_code == 303


def test_a_person_sets_and_removes_the_pin_on_the_page_of_the_account(app, platform, wall):
    person_on(platform, wall(), "emil", "engineer")
    browser = browser_of(app, "10.0.0.8")
    sign_in(browser, "emil")
    given = {"csrf": csrf_of(browser.get("/account")), "pin": "0394", "again": "0394"}
    assert browser.post("/account/pin", data={**given, "old": "not it"}).status_code == 422
    assert browser.post("/account/pin", data={**given, "old": PASSWORD}).status_code == 303
    tablet = device_on(platform, wall(), browser_of(app))
    assert sign(tablet, signer="emil", pin="0394").status_code == 303
    assert browser.post("/account/pin/remove", data=given).status_code == 303
    assert sign(tablet, signer="emil", pin="0394").status_code == 401


def test_the_holder_of_a_token_sets_no_pin_of_its_owner(tablet, app, platform, wall):
    ends = wall() + timedelta(days=1)
    _, secret = create_token(platform, "screen", "anna", "viewer", ends, "ada", wall())
    holder = browser_of(app, "10.0.0.8")
    holder.post("/login", data={"token": secret})
    given = {"csrf": csrf_of(holder.get("/account")), "pin": "0394", "again": "0394"}
    assert holder.post("/account/pin", data=given).status_code == 403
    assert sign(tablet).status_code == 303


@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_a_screen_that_only_shows_is_not_signed_out_while_it_shows(app, platform, wall, role):
    screen = device_on(platform, wall(), browser_of(app), f"hall-{role}", role)
    for _ in range(4):
        wall.instant += DEVICE_SESSION_LASTS / 3
        screen.get("/now")
    assert (screen.get("/").status_code == 200) == (role == "viewer")
    account = platform.accounts.get(f"hall-{role}")
    platform.accounts.replace(account.next_version(disabled_at=wall()))
    assert screen.get("/").status_code == 303
