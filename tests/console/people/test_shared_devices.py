"""On a tablet that people share everyone reads, and answers only with a name and a PIN."""

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest

from alerting.console.gate import OPEN
from alerting.definitions.asset_documents import Asset
from alerting.operators.account_rules import DEVICE_SESSION_LASTS
from alerting.ports import AuditFilter
from alerting.usecases.access import accounts
from alerting.usecases.access.devices_and_tokens import create_token
from tests.helpers.console.api import episode
from tests.helpers.console.pages import csrf_of, lacks, send_form, text_of
from tests.helpers.console.people import (
    PASSWORD,
    app_of,
    browser_as,
    browser_of,
    changes_of,
    changing_routes,
    device_on,
    person_on,
    pin_of,
    sign_in,
)

E = episode(590, condition="open")
PAGE = f"/episodes/{E.id}"
ANNA = {"signer": "anna", "pin": "4827"}


@pytest.fixture
def app(platform, wall):
    platform.episodes.insert(E)
    pin_of(platform, wall())
    person_on(platform, wall(), "boss", "admin")
    return app_of(platform, wall)


@pytest.fixture
def tablet(app, platform, wall):
    return device_on(platform, wall(), browser_of(app))


@pytest.fixture
def boss(app):
    return browser_as(app, "boss", "10.0.0.1")


def send(browser, path=f"{PAGE}/ack", **data):
    return send_form(browser, path, PAGE, **data)


def hidden_in(page):
    """Return the fields that a page sends again."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text)
    return [(name, unescape(value)) for name, value in found]


def acknowledged(platform):
    return platform.episodes.get(E.id).acknowledged


# A tablet from its link to an answer


def test_an_administrator_makes_a_tablet_and_people_answer_on_it_by_name(app, boss, platform):
    given = {"name": "Tablet-Line-1", "kind": "device", "role": "operator"}
    page = send_form(boss, "/access/people", "/access", **given)
    link = re.search(r"https://plant\.example(/password/[\w-]+)", page.text)[1]
    assert "waits for its link" in boss.get("/access").text
    # not used up in the browser of a person
    assert "Open this link on the device itself" in boss.post(link).text
    tablet = browser_of(app)
    assert "Start on this device" in tablet.get(link).text
    started = tablet.post(link)
    assert (started.status_code, started.headers["location"]) == (303, "/")
    cookie = ("HttpOnly", "Secure", "SameSite=strict", f"Max-Age={90 * 86_400}")
    assert lacks(started.headers["set-cookie"], *cookie) == []
    assert browser_of(app).post(link).status_code == 410
    assert "started, until" in boss.get("/access").text
    asked = send(tablet)
    assert (asked.status_code, acknowledged(platform)) == (200, None)
    answer = tablet.post(f"{PAGE}/ack", data=dict(hidden_in(asked)) | ANNA)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert acknowledged(platform).actor == "anna"
    entry = platform.audit.find(AuditFilter(actor="anna", what="acknowledge"), 1)[0]
    assert entry.origin == "console 10.0.0.7, tablet-line-1"


FORMS = {
    f"{PAGE}/ack": {"next": [""]},
    f"{PAGE}/feedback": {"verdict": ["true_alarm"], "comment": ["belt <torn>"], "acted": [""]},
    f"{PAGE}/mute": {"lasting": ["30m"], "preset": ["cleaning"], "reason": ["till noon"]},
    f"{PAGE}/close": {"reason": ["seen to be over"]},
    "/acknowledge": {"episode": [E.id, "another"]},
    "/misses": {"definition": ["too-hot"], "asset": ["oven-1"], "at": ["2026-01-05T02:00"]},
}
ASKED_AGAIN = ({}, {"signer": "anna"}, {"pin": "4827"}, ANNA | {"pin": "9999"})


@pytest.mark.parametrize("path", FORMS)
def test_each_form_asks_for_name_and_pin_and_loses_nothing_that_was_typed(tablet, platform, path):
    pairs = [(name, one) for name, given in FORMS[path].items() for one in given]
    before = changes_of(platform)
    pages = [send(tablet, path, **FORMS[path], **given) for given in ASKED_AGAIN]
    assert [page.status_code for page in pages] == [200, 200, 200, 401]
    asks = (f'action="{path}"', 'inputmode="numeric"', 'autocomplete="off"')
    for page in pages:
        assert lacks(page.text, *asks) == []
        assert [pair for pair in pairs if pair not in hidden_in(page)] == []
        text = re.sub(r"[0-9a-f]{64}", "", page.text)  # without the mark of the session
        assert lacks(text, "9999", "4827") == ["9999", "4827"]
    assert changes_of(platform) == before


def test_the_page_says_which_alarm_is_signed_and_nothing_of_another_form(tablet, platform):
    platform.assets.store_assets([Asset(name="oven-1", title="Oven one")])
    presets = {"lasting": "30m", "preset": "cleaning"}  # in the form of the card, which mutes too
    named = f"{E.title} Oven one,"
    seven = [replace(E, id=f"{n:024x}", definition=f"d-{n}") for n in range(7)]
    for one in seven:
        platform.episodes.insert(one)
    several = {"episode": [one.id for one in seven]}
    said = {
        f"{PAGE}/ack": ({}, ["Seen", named], ["30m", "cleaning"]),
        f"{PAGE}/feedback": ({"verdict": "false_alarm"}, [named, "wrong"], ["30m", "cleaning"]),
        f"{PAGE}/mute": ({}, ["Mute", named, "30 minutes", "cleaning"], []),
        "/acknowledge": (several, ["Seen", named, "and 2 more"], []),
    }
    for path, (given, shown, unsaid) in said.items():
        card = text_of(send(tablet, path, **given, **presets).text.split('class="card narrow"')[1])
        assert lacks(card.split("Your name")[0], *shown, *unsaid) == unsaid, path


def test_an_engineer_has_on_a_tablet_the_rights_of_an_operator(tablet, platform, wall):
    pin_of(platform, wall(), "emil", "engineer", "7315")
    form = {"signer": "emil", "pin": "7315", "reason": "new belt"}
    long = send(tablet, f"{PAGE}/mute", lasting="3d", **form)
    assert (long.status_code, platform.mutes.not_ended()) == (422, [])
    assert send(tablet, f"{PAGE}/mute", lasting="2h", **form).status_code == 303


def test_after_too_many_wrong_pins_the_page_says_how_long_to_wait_and_holds_the_comment(
    app, tablet, platform, wall
):
    code = accounts.make_link(platform, "anna", "ada", wall())
    given = {"password": PASSWORD, "again": PASSWORD}
    assert browser_of(app, "10.0.0.9").post(f"/password/{code}", data=given).status_code == 303
    path = f"{PAGE}/feedback"
    wrong = [send(tablet, path, signer="anna", pin=f"99{n}8") for n in range(10)]
    page = send(tablet, path, **FORMS[path] | ANNA)
    assert [one.status_code for one in (*wrong, page)] == [401] * 10 + [429]
    assert page.headers["retry-after"] == "3600"
    assert "Too many wrong PINs of anna. The next one is taken in 60 min." in page.text
    assert ("comment", "belt <torn>") in hidden_in(page)
    pin_of(platform, wall(), "bob", pin="7315")
    bob = {"signer": "bob", "pin": "7315"}
    assert send(tablet, path, **FORMS[path] | bob).status_code == 303
    assert sign_in(browser_of(app, "10.0.0.10")).status_code == 303  # with the password


def test_the_name_is_proposed_for_ten_minutes_and_the_pin_never(tablet, wall):
    chosen = '<option value="anna" selected>'
    assert chosen not in send(tablet).text
    send(tablet, **ANNA)
    assert chosen in send(tablet).text
    wall.instant += timedelta(minutes=10)
    assert chosen not in send(tablet).text


# What a tablet may not


def test_a_tablet_changes_nothing_by_any_route_without_a_pin(app, tablet, platform):
    data = {"csrf": csrf_of(tablet.get(PAGE))}
    before = (changes_of(platform), platform.accounts.all())
    wrong = []
    for method, path in changing_routes(app, OPEN | {"/f/{token}"}):
        answer = tablet.request(method, re.sub(r"\{[^}]+\}", E.id, path), data=data)
        asks = answer.status_code == 200 and 'name="pin"' in answer.text
        if not asks and answer.status_code not in (401, 403, 410):
            wrong.append((method, path, answer.status_code))
    assert wrong == []
    assert (changes_of(platform), platform.accounts.all()) == before


def test_a_tablet_reads_as_a_viewer_does(tablet):
    allowed = dict.fromkeys(("/reports", "/api/v1/episodes"), 200)
    refused = dict.fromkeys(("/audit", "/access", "/api/v1/audit", "/api/v1/tokens"), 403)
    statuses = allowed | refused
    assert {path: tablet.get(path).status_code for path in statuses} == statuses
    links = ("/logout", "/account/p")
    assert lacks(tablet.get("/account").text, *links) == [*links]


def test_a_pin_counts_nowhere_but_on_a_tablet_for_operators(app, platform, wall):
    path = f"{PAGE}/ack"
    wall_screen = device_on(platform, wall(), browser_of(app), "wall-1", "viewer")
    assert "/ack" not in wall_screen.get(PAGE).text
    person_on(platform, wall(), "vera", "viewer")
    vera = browser_as(app, "vera")
    tablet = device_on(platform, wall(), browser_of(app))
    marks = {wall_screen: tablet, vera: vera}
    answers = [
        browser.post(path, data={"csrf": csrf_of(of.get(PAGE)), **ANNA})
        for browser, of in marks.items()
    ]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert browser_of(app).post(path, data=ANNA).status_code == 303
    assert sign_in(browser_of(app, "10.0.0.8"), "anna", "4827").status_code == 401
    assert acknowledged(platform) is None


def test_a_form_of_another_site_is_refused_before_its_pin_is_looked_at(tablet, platform):
    for csrf in ("", "0" * 64):
        given = {"csrf": csrf, "signer": "anna", "pin": "9999"}
        assert tablet.post(f"{PAGE}/ack", data=given).status_code == 403
    assert platform.accounts.get("anna").wrong_pins_until is None


def test_a_pin_is_taken_only_where_no_other_machine_can_read_it(app, tablet, platform, wall):
    """Every kind of address is in `test_sign_in_attacks.py`."""
    cookie = {"cookie": f"alerting_device={tablet.cookies['alerting_device']}"}
    pins = {"pin": "0394", "again": "0394"}
    found = {}
    for url in ("http://10.0.0.5:8000", "http://127.0.0.1:8000"):
        browser = browser_of(app, url=url, headers=cookie)
        asks = 'name="pin"' in send(browser).text
        answers = [send(browser, **ANNA)]
        for name, end in (("tablet-1", ""), ("anna", "/pin")):
            code = accounts.make_link(platform, name, "ada", wall())
            answers.append(browser.post(f"/password/{code}{end}", data=pins))
        found[url] = (asks, *(answer.status_code for answer in answers))
    assert [*found.values()] == [(False, 403, 403, 403), (True, 303, 303, 200)]


# The end of a tablet's session


def test_a_tablet_ends_from_the_page_access_at_once(tablet, boss, platform, wall):
    key = platform.sessions.all(wall(), "tablet-1")[0].key
    assert tablet.get("/").status_code == 200
    assert send_form(boss, f"/access/sessions/{key}/end", "/access").status_code == 303
    assert tablet.get("/").status_code == 303
    device_on(platform, wall(), tablet)
    assert tablet.get("/").status_code == 200
    send_form(boss, "/access/people/tablet-1", "/access", what="disable")
    assert tablet.get("/").status_code == 303


def test_a_person_logs_in_on_a_tablet_and_leaves_it_as_it_was(tablet, platform):
    sign_in(tablet, "boss")
    assert tablet.get("/audit").status_code == 200
    assert send(tablet).status_code == 303
    assert acknowledged(platform).actor == "boss"
    send_form(tablet, "/logout", "/")
    assert [tablet.get(path).status_code for path in ("/audit", "/")] == [403, 200]


# One's own PIN


def test_a_person_without_a_password_sets_a_pin_by_the_link_and_no_session_begins(
    tablet, app, platform, wall
):
    _, code = accounts.add_person(platform, "otto", "operator", "ada", wall())
    phone = browser_of(app, "10.0.0.8")
    tried = [("1234", "1234"), ("0394", "0395"), ("0394", "0394"), ("0394", "0394")]
    answers = [
        phone.post(f"/password/{code}/pin", data={"pin": pin, "again": again})
        for pin, again in tried
    ]
    assert [answer.status_code for answer in answers] == [422, 422, 200, 410]
    assert "guessed first" in answers[0].text
    assert ("set-cookie" in answers[2].headers, phone.get("/").status_code) == (False, 303)
    assert send(tablet, signer="otto", pin="0394").status_code == 303


def test_a_person_sets_and_removes_the_pin_on_the_page_of_the_account(boss, tablet):
    given = {"pin": "0394", "again": "0394"}
    signed = {"signer": "boss", "pin": "0394"}
    answers = [
        send_form(boss, "/account/pin", old="not it", **given),
        send_form(boss, "/account/pin", old=PASSWORD, **given),
        send(tablet, **signed),
        send_form(boss, "/account/pin/remove"),
        send(tablet, **signed),
    ]
    assert [answer.status_code for answer in answers] == [422, 303, 303, 303, 401]


def test_the_holder_of_a_token_sets_no_pin_of_its_owner(tablet, app, platform, wall):
    ends = wall() + timedelta(days=1)
    _, secret = create_token(platform, "screen", "anna", "viewer", ends, "ada", wall())
    holder = browser_of(app, "10.0.0.8")
    holder.post("/login", data={"token": secret})
    assert send_form(holder, "/account/pin", pin="0394", again="0394").status_code == 403
    assert send(tablet, **ANNA).status_code == 303


def test_a_screen_that_only_shows_is_not_signed_out_while_it_shows(app, platform, wall):
    screens = {
        role: device_on(platform, wall(), browser_of(app), f"hall-{role}", role)
        for role in ("operator", "viewer")
    }
    for _ in range(4):
        wall.instant += DEVICE_SESSION_LASTS / 3
        for screen in screens.values():
            screen.get("/now")
    statuses = {role: screen.get("/").status_code for role, screen in screens.items()}
    assert statuses == {"operator": 303, "viewer": 200}
    account = platform.accounts.get("hall-viewer")
    platform.accounts.replace(account.next_version(disabled_at=wall()))
    assert screens["viewer"].get("/").status_code == 303
