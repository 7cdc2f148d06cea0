"""Signing in as an attacker tries it: guesses, borrowed cookies and addresses, used links, plain
HTTP."""

import re
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from argon2 import PasswordHasher
from fastapi.testclient import TestClient
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from alerting.adapters.memory.platform import memory_platform
from alerting.adapters.mongo.mongo import MongoStores, connect
from alerting.adapters.mongo.prepare import prepare_database
from alerting.adapters.passwords_and_links import SignedLinks
from alerting.console.app import create_app
from alerting.console.gate import OPEN, WrongAttempts
from alerting.console.plant.import_jobs import Imports
from alerting.operators.account_rules import SESSION_LASTS, hash_secret
from alerting.ports import AuditFilter
from alerting.usecases.access import accounts
from alerting.usecases.access.accounts import end_session
from alerting.usecases.access.devices_and_tokens import create_token, revoke_token
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from tests.builders import at, oven, too_hot
from tests.helpers.console.api import OPERATOR, TOKENS, episode, expect_problem
from tests.helpers.console.pages import ADMIN_TOKEN, csrf_of, lacks, log_in, send_form
from tests.helpers.console.people import (
    PASSWORD,
    QUICK,
    app_of,
    browser_as,
    browser_of,
    changes_of,
    changing_routes,
    person_on,
    sign_in,
)
from tests.in_memory_platform import HandClock, MemoryModels

OPEN_BY_ADDRESS = {"/f/{token}", "/password/{code}", "/password/{code}/pin"}


@pytest.fixture
def app(platform, wall, tmp_path):
    person_on(platform, wall())
    return app_of(platform, wall, import_files=Imports(tmp_path / "imports"))


def copy_of(browser, app):
    """Return a browser with the cookies of another one."""
    copy = browser_of(app)
    copy.cookies.update(dict(browser.cookies))
    return copy


def test_a_person_signs_in_acts_under_their_own_name_and_signs_out(app, platform, wall):
    browser = browser_of(app)
    answer = sign_in(browser, to="/reports")
    assert (answer.status_code, answer.headers["location"]) == (303, "/reports")
    cookie = answer.headers["set-cookie"].lower()
    assert lacks(cookie, "httponly", "secure", "samesite=strict") == []
    assert "anna" in browser.get("/").text
    thief = copy_of(browser, app)
    assert thief.get("/").status_code == 200
    assert send_form(browser, "/logout", "/").status_code == 303
    assert [one.get("/").status_code for one in (browser, thief)] == [303, 303]
    signed = platform.audit.find(AuditFilter(actor="anna", what="signed in"), 1)[0]
    assert (signed.after, signed.origin) == ({"address": "10.0.0.7"}, "console 10.0.0.7")
    sign_in(browser)
    wall.instant += SESSION_LASTS
    assert browser.get("/").status_code == 303


def test_a_cookie_that_the_attacker_chose_is_replaced_at_the_sign_in(app):
    browser = browser_of(app, headers={"cookie": "alerting_session=chosen-by-the-attacker"})
    cookie = sign_in(browser).headers["set-cookie"]
    assert lacks(cookie, "alerting_session=", "=chosen") == ["=chosen"]
    browser.cookies.clear()
    assert browser.get("/").status_code == 303


@pytest.fixture
def replicas(real_server, wall):
    """Two consoles, each with its own connection to one database, and the platform of a third."""
    wall.instant = datetime.now(UTC)  # the server deletes sessions that are over by its clock
    name = f"replicas_{uuid.uuid4().hex[:8]}"
    with connect(real_server) as one, connect(real_server) as two, connect(real_server) as three:
        prepare_database(three[name])
        platforms = [
            MongoStores(client[name]).platform(MemoryModels(), {}, HandClock(), memory_platform)
            for client in (one, two, three)
        ]
        yield [app_of(made, wall) for made in platforms[:2]], platforms[2]
        three.drop_database(name)


def test_replicas_with_connections_of_their_own_refuse_at_once_what_another_has_ended(
    replicas, wall
):
    (here, there), platform = replicas
    person_on(platform, wall(), "anna", "engineer")
    ends = wall() + timedelta(days=1)
    token, secret = create_token(platform, "rows", "anna", "viewer", ends, "ada", wall())

    def signed_in(**data):
        browser = browser_of(here)
        assert browser.post("/login", data=data).status_code == 303
        copy = copy_of(browser, there)
        assert copy.get("/").status_code == 200
        return browser, copy

    by_password = {"name": "anna", "password": PASSWORD}
    browser, copy = signed_in(**by_password)
    accounts.change_person(platform, "anna", "ada", wall(), role="operator")
    assert [one.get("/audit").status_code for one in (browser, copy)] == [403, 403]
    send_form(browser, "/logout", "/")
    assert copy.get("/").status_code == 303

    _, copy = signed_in(token=secret)
    program = browser_of(there, headers={"authorization": f"Bearer {secret}"})
    assert program.get("/api/v1/episodes").status_code == 200
    revoke_token(platform, token.key, "ada", wall())
    assert [copy.get("/").status_code, program.get("/api/v1/episodes").status_code] == [303, 401]

    def set_password(_):
        code = accounts.make_link(platform, "anna", "ada", wall())
        accounts.set_password(platform, QUICK, code, PASSWORD, wall())

    for end in (
        lambda hashed: end_session(platform, hashed[:10], "ada", wall()),
        set_password,
        lambda _: accounts.disable_account(platform, "anna", "ada", wall()),
    ):
        browser, copy = signed_in(**by_password)
        wall.instant += timedelta(milliseconds=1)
        end(hash_secret(browser.cookies["alerting_session"]))
        assert [one.get("/").status_code for one in (browser, copy)] == [303, 303]


def test_a_disabled_service_of_the_tokens_file_is_refused_within_a_second(app, platform, wall):
    accounts.register_services(platform, dict(TOKENS.values()), wall())
    client = browser_of(app, headers=OPERATOR)
    assert client.get("/api/v1/episodes").status_code == 200
    accounts.disable_account(platform, "otto", "ada", wall())
    wall.instant += timedelta(seconds=1)
    assert client.get("/api/v1/episodes").status_code == 401


def test_no_form_of_any_page_takes_the_mark_of_another_session(app, platform, wall):
    person_on(platform, wall(), "boss", "admin")
    boss = browser_as(app, "boss")
    mallory = browser_as(app, address="10.0.0.8")
    marks = ("", "ü", "0" * 64, csrf_of(mallory.get("/account")))
    before = changes_of(platform)
    found = {}
    for method, path in changing_routes(app, OPEN | OPEN_BY_ADDRESS):
        files = {"file": ("line.csv", b"ts,zone\n")} if path == "/import" else None
        where = re.sub(r"\{[^}]+\}", "anna", path)
        for mark in marks:
            fields = {"csrf": mark, "what": "disable"}
            answer = boss.request(method, where, data=fields, files=files)
            found[method, path, mark] = answer.status_code
    assert len(found) > 400
    assert found == {case: 401 if case[1].startswith("/api/") else 403 for case in found}
    assert changes_of(platform) == before


# Guessing


SLOWED = [401] * 5 + [429] * 2


def guess(browser, n, name="anna"):
    return [sign_in(browser, name, f"wrong password {i}").status_code for i in range(n)]


def test_guesses_of_one_address_or_of_one_name_are_slowed(platform, wall, app):
    browser = browser_of(app)
    assert [guess(browser, 1, f"name{i}")[0] for i in range(7)] == SLOWED
    elsewhere = [guess(browser_of(app, f"10.0.1.{i}"), 1)[0] for i in range(7)]
    assert elsewhere == SLOWED


def test_guesses_lock_out_no_person_in_a_browser_that_they_used_before(app):
    browser = browser_as(app)
    send_form(browser, "/logout", "/")
    for i in range(10):
        guess(browser_of(app, f"10.0.1.{i}"), 1)
    assert sign_in(browser_of(app, "10.0.2.1")).status_code == 429
    assert sign_in(browser).status_code == 303


def test_of_passwords_sent_at_once_no_more_are_compared_than_one_after_another(platform, wall):
    compared = []

    class Slow:
        def matches(self, stored, password):
            compared.append(password)
            time.sleep(0.2)
            return QUICK.matches(stored, password)

    person_on(platform, wall())
    app = create_app(platform, TOKENS, now=wall, passwords=Slow())
    with ThreadPoolExecutor(40) as threads:
        browsers = [browser_of(app, f"10.0.1.{n % 30}") for n in range(40)]
        statuses = Counter(threads.map(lambda browser: guess(browser, 1)[0], browsers))
    assert (statuses, len(compared)) == ({401: 5, 429: 35}, 5)
    assert sign_in(browser_of(app, "10.0.1.0")).status_code == 429


def test_right_passwords_are_not_counted_and_a_forged_cookie_is_no_known_browser(app):
    guess(browser_of(app), 4)
    assert [sign_in(browser_of(app)).status_code for _ in range(6)] == [303] * 6
    assert guess(browser_of(app), 2) == [401, 429]
    forged = browser_of(app)
    forged.cookies.set("alerting_browser", f"{1:032x}.{'0' * 64}")
    assert guess(forged, 1) == [429]


def test_an_unknown_name_takes_as_long_as_a_wrong_password(platform, wall, monkeypatch):
    costs = []
    verify = PasswordHasher.verify
    monkeypatch.setattr(
        PasswordHasher,
        "verify",
        lambda hasher, stored, given: (
            costs.append(stored.split("$")[3]) or verify(hasher, stored, given)
        ),
    )
    app = app_of(platform, wall)
    person_on(platform, wall())
    accounts.add_person(platform, "bob", "viewer", "ada", wall())
    for n, name in enumerate(("anna", "bob", "nobody")):
        assert guess(browser_of(app, f"10.0.1.{n}"), 1, name) == [401]
    assert costs == ["m=8,t=1,p=1"] * 3


def test_an_unknown_name_is_answered_and_slowed_as_a_known_one(app):
    pages = {}
    for network, name in enumerate(("anna", "nobody")):
        answers = [
            sign_in(browser_of(app, f"10.0.{network}.{n}"), name, "wrong password")
            for n in range(8)
        ]
        pages[name] = [(a.status_code, a.text.replace(name, ""), a.headers.keys()) for a in answers]
    assert pages["anna"] == pages["nobody"]


TARGETS = (
    *("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"),
    *("///evil.example", "/\t/evil.example", "\\\\evil.example", "evil.example", "/\r\nx: y", ""),
)


def test_no_form_leads_to_another_site(app, platform):
    platform.episodes.insert(episode(1))
    browser = browser_of(app)
    alarm = f"/episodes/{episode(1).id}"
    found = {}
    for target in TARGETS:
        answers = [
            sign_in(browser, to=target),
            browser.post("/language", data={"language": "de", "next": target}),
            send_form(browser, f"{alarm}/ack", next=target),
        ]
        page = browser_of(app).get("/login", params={"next": target}).text
        field = re.search(r'name="next" value="([^"]*)"', page)[1]
        found[target] = [*(answer.headers["location"] for answer in answers), field]
    assert found == {target: ["/", "/", alarm, "/"] for target in TARGETS}


# Plain HTTP

ADDRESSES = [
    ("https://10.0.0.5:8000", {}, None, True),
    ("http://10.0.0.5:8000", {}, None, False),
    ("http://127.0.0.1:8000", {}, None, True),
    ("http://localhost:8000", {}, None, True),
    ("http://[::1]:8000", {}, None, True),
    ("http://localhost:8000", {"x-forwarded-for": "10.0.0.9"}, None, False),
    ("http://plant.example", {}, "https://plant.example", True),
    ("http://10.0.0.5:8000", {}, "https://plant.example", False),
    ("http://localhost.evil.example", {}, None, False),
]


def test_a_password_is_asked_for_and_taken_only_where_no_other_machine_can_read_it(platform, wall):
    person_on(platform, wall())
    given = {"password": PASSWORD, "again": PASSWORD}
    found = []
    for url, headers, public_url, _ in ADDRESSES:
        app = app_of(platform, wall, public_url=public_url)
        browser = browser_of(app, url=url, headers=headers)
        assert sign_in(browser).status_code == (303 if takes_passwords(browser) else 403)
        link = f"/password/{accounts.make_link(platform, 'anna', 'ada', wall())}"
        opened = (browser.get(link).status_code, browser.post(link, data=given).status_code)
        assert opened == ((200, 303) if takes_passwords(browser) else (403, 403))
        found.append((url, headers, public_url, takes_passwords(browser)))
    assert found == ADDRESSES


def takes_passwords(browser):
    return 'name="password"' in browser.get("/login").text


# Links for a password


def test_a_link_sets_a_password_once_and_signs_in(platform, wall):
    app = app_of(platform, wall)
    browser = browser_of(app)
    assert not takes_passwords(browser)  # there are no people
    _, code = accounts.add_person(platform, "bob", "viewer", "ada", wall())
    link = f"/password/{code}"
    assert "For bob" in browser.get(link).text
    given = {"password": PASSWORD, "again": PASSWORD}
    differ = browser.post(link, data=given | {"again": "other"})
    assert (differ.status_code, "differ" in differ.text) == (422, True)
    assert browser.post(link, data=given).status_code == 303
    assert browser.get("/").status_code == 200
    again = browser_of(app)
    answers = [again.get(link), again.post(link, data=given), again.get("/password/guessed")]
    assert [answer.status_code for answer in answers] == [410] * 3
    assert takes_passwords(again)


# Tokens


def plain(app, address="10.0.0.7", headers=()):
    """Return a browser on the HTTP address of the console."""
    return browser_of(app, address, "http://testserver", headers)


def test_the_cookie_is_secure_where_the_public_address_is_https_whatever_the_proxy_says(
    platform, wall
):
    secure = {"https://alerting.plant.example": True, "http://plant.example": False, None: False}
    answers = {url: log_in(plain(app_of(platform, wall, public_url=url))) for url in secure}
    found = {url: "Secure" in answer.headers["set-cookie"] for url, answer in answers.items()}
    assert found == secure


# Wrong tokens


def wrong(browser, n=1):
    return [browser.post("/login", data={"token": f"guess-{i:020d}"}).status_code for i in range(n)]


def test_who_tries_tokens_is_slowed_and_soon_waits_a_minute_for_each(app, wall):
    guesser = plain(app)
    assert wrong(guesser, 6) == [401] * 5 + [429]
    counted = []
    for _ in range(600):  # ten minutes, one try a second
        wall.instant += timedelta(seconds=1)
        counted += wrong(guesser)
    assert counted.count(401) <= 15
    answer = log_in(guesser)
    assert (answer.status_code, "Wait" in answer.text) == (429, True)
    assert 0 < int(answer.headers["retry-after"]) <= 60


def test_guessing_locks_out_no_other_client_and_nobody_who_was_in_from_there_before(app):
    guesser = plain(app)
    same_address = plain(app)
    log_in(same_address)
    wrong(guesser, 8)
    allowed = [log_in(one).status_code for one in (plain(app, "10.0.0.8"), same_address)]
    assert (allowed, log_in(guesser, ADMIN_TOKEN).status_code) == ([303, 303], 429)
    assert guesser.get("/api/v1/health").status_code == 200


def test_tokens_of_programs_are_slowed_in_the_same_way(app):
    guesser = plain(app)
    tokens = [f"guess-{i:020d}" for i in range(7)] + [ADMIN_TOKEN]
    headers = [{"authorization": f"Bearer {token}"} for token in tokens]
    answers = [guesser.get("/api/v1/episodes", headers=one) for one in headers]
    assert [answer.status_code for answer in answers] == [*SLOWED, 429]
    assert "too many wrong tokens" in expect_problem(answers[-1], 429)


def test_a_person_who_mistypes_now_and_then_is_never_slowed(app, wall):
    browser = plain(app)
    for _ in range(20):
        wall.instant += timedelta(minutes=20)
        assert [*wrong(browser, 4), log_in(browser).status_code] == [401] * 4 + [303]


def test_what_one_process_remembers_of_wrong_tokens_is_bounded(wall):
    remembered = WrongAttempts()
    for i in range(25_000):
        remembered.record_attempt(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", None, wall())
    assert len(remembered._clients) <= 10_000


def test_one_network_of_ipv6_and_one_client_behind_a_trusted_proxy_count_as_one(app):
    assert [wrong(plain(app, f"2001:db8:0:1::{i:x}"))[0] for i in range(1, 8)] == SLOWED
    served = ProxyHeadersMiddleware(app, ["10.9.0.1"])
    borrowed = [{"x-forwarded-for": f"1.2.3.{i}, 192.168.1.1"} for i in range(7)]
    assert [wrong(plain(served, "10.9.0.1", headers))[0] for headers in borrowed] == SLOWED


# Feedback links


def linked(platform, now):
    return replace(
        platform, links=SignedLinks(b"k" * 40, "http://testserver", timedelta(hours=1), now)
    )


def test_people_who_share_the_address_of_a_proxy_do_not_share_the_limit_of_links(platform, wall):
    platform.episodes.insert(episode(1))
    served = linked(platform, wall)
    browser = plain(app_of(served, wall))
    anna, bob = (served.links.answer_links(episode(1).id, name)[0].url for name in ("anna", "bob"))
    assert [browser.get(anna).status_code for _ in range(31)] == [200] * 30 + [429]
    assert [browser.get("/f/nonsense").status_code for _ in range(31)] == [410] * 30 + [429]
    assert browser.get(bob).status_code == 200


class Ticking:
    """A clock that moves on between any two who ask."""

    def __init__(self):
        self.ticks = count()

    def now(self):
        return at(600) + timedelta(milliseconds=next(self.ticks))


def test_a_link_that_is_used_eight_times_at_once_gives_one_answer(real, wall):
    made = real.platform(MemoryModels(), {}, Ticking(), memory_platform)
    made.assets.store_assets([oven()])
    apply(made, [too_hot(title="Oven too hot")], "engineer", at(0), "first")
    made.episodes.insert(episode(1, condition="open"))
    served = linked(made, wall)
    links = served.links.answer_links(episode(1).id, "anna", acknowledge=True)
    app = app_of(served, wall)
    barrier = threading.Barrier(8)

    def tap(url):
        browser = TestClient(app)
        browser.get("/api/v1/health")
        barrier.wait()
        return browser.post(url, data={"confirm": "yes"}).status_code

    for number, link in enumerate(links[:2], 1):  # an acknowledgement, and a verdict
        with ThreadPoolExecutor(8) as threads:
            assert [*threads.map(tap, [link.url] * 8)] == [200] * 8
        kept = made.episodes.get(episode(1).id)
        said = [done for done in kept.transitions if done.kind in ("feedback", "acknowledged")]
        audited = made.audit.find(AuditFilter(actor="anna (by link)"), 9)
        assert (len(said), len(audited)) == (number, number)
    assert len(made.feedback.for_episode(kept.id)) == 1
