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

import pytest
from argon2 import PasswordHasher
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from alerting.adapters.channels.links import SignedLinks
from alerting.adapters.memory.platform import memory_platform
from alerting.adapters.mongo.mongo import MongoStores, connect
from alerting.adapters.mongo.prepare import prepare_database
from alerting.console.app import create_app
from alerting.console.gate import OPEN
from alerting.console.imports.imports import Imports
from alerting.operators.people import SESSION_LASTS, hash_secret
from alerting.ports import AuditFilter
from alerting.usecases.access import people
from alerting.usecases.access.sign_in import end_session
from alerting.usecases.access.tokens import create_token, revoke_token
from alerting.usecases.definitions.sync import apply
from tests.builders import at, oven, too_hot
from tests.helpers.console.api import TOKENS, episode, expect_problem
from tests.helpers.console.pages import ADMIN_TOKEN, csrf_of, log_in
from tests.helpers.console.people import (
    PASSWORD,
    QUICK,
    app_of,
    browser_of,
    changes_of,
    person_on,
    sign_in,
)
from tests.in_memory_platform import HandClock, MemoryModels

OPEN_BY_ADDRESS = {"/f/{token}", "/password/{code}", "/password/{code}/pin"}


@pytest.fixture
def app(platform, wall, tmp_path):
    person_on(platform, wall())
    return app_of(platform, wall, import_files=Imports(tmp_path / "imports"))


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


@pytest.mark.server
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
        copy = browser_of(there)
        copy.cookies.update(cookies_of(browser))
        assert copy.get("/").status_code == 200
        return browser, copy

    by_password = {"name": "anna", "password": PASSWORD}
    browser, copy = signed_in(**by_password)
    people.change_person(platform, "anna", "ada", wall(), role="operator")
    assert (browser.get("/audit").status_code, copy.get("/audit").status_code) == (403, 403)
    browser.post("/logout", data={"csrf": csrf_of(browser.get("/"))})
    assert copy.get("/").status_code == 303

    _, copy = signed_in(token=secret)
    bearer = {"authorization": f"Bearer {secret}"}
    program = browser_of(there)
    assert program.get("/api/v1/episodes", headers=bearer).status_code == 200
    revoke_token(platform, token.key, "ada", wall())
    assert copy.get("/").status_code == 303
    assert program.get("/api/v1/episodes", headers=bearer).status_code == 401

    for end in (
        lambda hashed: end_session(platform, hashed[:10], "ada", wall()),
        lambda _: people.set_password(
            platform, QUICK, people.make_link(platform, "anna", "ada", wall()), PASSWORD, wall()
        ),
        lambda _: people.disable_account(platform, "anna", "ada", wall()),
    ):
        browser, copy = signed_in(**by_password)
        wall.instant += timedelta(milliseconds=1)
        end(hash_secret(browser.cookies["alerting_session"]))
        assert (browser.get("/").status_code, copy.get("/").status_code) == (303, 303)


def test_a_disabled_service_of_the_tokens_file_is_refused_within_a_second(app, platform, wall):
    people.register_services(platform, dict(TOKENS.values()), wall())
    header = {"authorization": f"Bearer {list(TOKENS)[1]}"}
    client = browser_of(app)
    assert client.get("/api/v1/episodes", headers=header).status_code == 200
    people.disable_account(platform, "otto", "ada", wall())
    wall.instant += timedelta(seconds=1)
    assert client.get("/api/v1/episodes", headers=header).status_code == 401


def test_no_form_of_any_page_takes_the_mark_of_another_session(app, platform, wall):
    person_on(platform, wall(), "boss", "admin")
    boss = browser_of(app)
    mallory = browser_of(app, "10.0.0.8")
    sign_in(boss, "boss")
    sign_in(mallory)
    marks = ("", "ü", "0" * 64, csrf_of(mallory.get("/account")))
    before = changes_of(platform)
    taken = []
    for route in app.routes:
        if not isinstance(route, APIRoute) or route.path in OPEN | OPEN_BY_ADDRESS:
            continue
        for method in route.methods - {"GET", "HEAD"}:
            for mark in marks:
                path = re.sub(r"\{[^}]+\}", "anna", route.path)
                fields = {"csrf": mark, "what": "disable"}
                files = {"file": ("line.csv", b"ts,zone\n")} if path == "/import" else None
                status = boss.request(method, path, data=fields, files=files).status_code
                if status != (401 if path.startswith("/api/") else 403):
                    taken.append((method, route.path, status))
    assert taken == []
    assert changes_of(platform) == before


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


@pytest.mark.parametrize("addresses", [1, 30])
def test_of_passwords_sent_at_once_no_more_are_compared_than_one_after_another(
    platform, wall, addresses
):
    compared = []

    class Slow:
        def make_hash(self, password):
            return QUICK.make_hash(password)

        def matches(self, stored, password):
            compared.append(password)
            time.sleep(0.2)
            return QUICK.matches(stored, password)

    person_on(platform, wall())
    app = create_app(platform, TOKENS, now=wall, passwords=Slow())
    with ThreadPoolExecutor(40) as threads:
        answers = threads.map(
            lambda n: guess(browser_of(app, f"10.0.1.{n % addresses}"), 1)[0], range(40)
        )
        statuses = Counter(answers)
    assert (statuses, len(compared)) == ({401: 5, 429: 35}, 5)
    assert sign_in(browser_of(app, "10.0.1.0")).status_code == 429


def test_right_passwords_are_not_counted(app, wall):
    browser = browser_of(app)
    guess(browser, 4)
    for _ in range(6):
        assert sign_in(browser_of(app)).status_code == 303
    assert guess(browser_of(app), 2) == [401, 429]


def test_a_forged_cookie_of_a_known_browser_is_none(app):
    for i in range(8):
        browser = browser_of(app)
        browser.cookies.set("alerting_browser", f"{i:032x}.{'0' * 64}")
        status = guess(browser, 1)[0]
    assert status == 429


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
    people.add_person(platform, "bob", "viewer", "ada", wall())
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


@pytest.mark.parametrize(
    "target",
    [
        *("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"),
        *(
            "///evil.example",
            "/\t/evil.example",
            "\\\\evil.example",
            "evil.example",
            "/\r\nx: y",
            "",
        ),
    ],
)
def test_no_form_leads_to_another_site(app, platform, target):
    browser = browser_of(app)
    assert sign_in(browser, to=target).headers["location"] == "/"
    chosen = browser.post("/language", data={"language": "de", "next": target})
    assert chosen.headers["location"] == "/"
    platform.episodes.insert(episode(1))
    answered = browser.post(
        f"/episodes/{episode(1).id}/ack",
        data={"csrf": csrf_of(browser.get("/account")), "next": target},
    )
    assert answered.headers["location"] == f"/episodes/{episode(1).id}"
    page = browser_of(app).get("/login", params={"next": target}).text
    assert re.findall(r'name="next" value="([^"]*)"', page)[:1] == ["/"]


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


# Tokens


def plain(app, address="10.0.0.7", headers=()):
    """Return a browser on the HTTP address of the console."""
    return browser_of(app, address, "http://testserver", headers)


@pytest.mark.parametrize(
    ("public_url", "secure"),
    [("https://alerting.plant.example", True), ("http://plant.example", False), (None, False)],
)
def test_the_cookie_is_secure_where_the_public_address_is_https_whatever_the_proxy_says(
    platform, wall, public_url, secure
):
    browser = plain(app_of(platform, wall, public_url=public_url))
    assert ("Secure" in log_in(browser).headers["set-cookie"]) == secure


def test_the_log_out_of_one_browser_leaves_the_other_in(app):
    here = plain(app)
    there = plain(app)
    log_in(here), log_in(there)
    here.post("/logout", data={"csrf": csrf_of(here.get("/"))})
    assert (here.get("/").status_code, there.get("/").status_code) == (303, 200)


# Wrong tokens


def wrong(browser, n=1):
    return [browser.post("/login", data={"token": f"guess-{i:020d}"}).status_code for i in range(n)]


def test_who_tries_tokens_is_slowed_and_soon_waits_a_minute_for_each(app, wall):
    guesser = plain(app)
    assert wrong(guesser, 6) == [401] * 5 + [429]
    counted = 0
    for _ in range(600):  # ten minutes, one try a second
        wall.instant += timedelta(seconds=1)
        counted += wrong(guesser) == [401]
    assert counted <= 15
    answer = log_in(guesser)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert "Wait" in answer.text


def test_guessing_locks_out_no_other_client_and_nobody_who_was_in_from_there_before(app):
    guesser = plain(app)
    same_address = plain(app)
    elsewhere = plain(app, "10.0.0.8")
    log_in(same_address)
    wrong(guesser, 8)
    assert log_in(elsewhere).status_code == 303
    assert log_in(same_address).status_code == 303
    assert log_in(guesser, ADMIN_TOKEN).status_code == 429
    assert guesser.get("/api/v1/health").status_code == 200


def test_tokens_of_programs_are_slowed_in_the_same_way(app):
    guesser = plain(app)
    statuses = [
        guesser.get(
            "/api/v1/episodes", headers={"authorization": f"Bearer guess-{i:020d}"}
        ).status_code
        for i in range(7)
    ]
    assert statuses == [401] * 5 + [429] * 2
    answer = guesser.get("/api/v1/episodes", headers={"authorization": f"Bearer {ADMIN_TOKEN}"})
    assert "too many wrong tokens" in expect_problem(answer, 429)


def test_a_person_who_mistypes_now_and_then_is_never_slowed(app, wall):
    browser = plain(app)
    for _ in range(20):
        wall.instant += timedelta(minutes=20)
        assert wrong(browser, 4) == [401] * 4
        assert log_in(browser).status_code == 303


def test_what_is_remembered_of_wrong_tokens_is_bounded(app, wall):
    remembered = app.state.entrance.wrong_attempts
    for i in range(25_000):
        remembered.record_attempt(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", None, wall())
    assert len(remembered._clients) <= 10_000


def test_the_whole_network_that_one_client_has_in_ipv6_counts_as_one(app):
    statuses = [wrong(plain(app, f"2001:db8:0:1::{i:x}"))[0] for i in range(1, 8)]
    assert statuses == [401] * 5 + [429] * 2


# Behind a proxy


def test_a_client_behind_a_trusted_proxy_cannot_borrow_another_address(app):
    served = ProxyHeadersMiddleware(app, ["10.9.0.1"])
    statuses = [
        wrong(plain(served, "10.9.0.1", {"x-forwarded-for": f"1.2.3.{i}, 192.168.1.1"}))[0]
        for i in range(7)
    ]
    assert statuses == [401] * 5 + [429] * 2


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


@pytest.fixture
def real_platform(real):
    made = real.platform(MemoryModels(), {}, HandClock(), memory_platform)
    made.assets.store_assets([oven()])
    apply(made, [too_hot(title="Oven too hot")], "engineer", at(0), "first")
    made.episodes.insert(episode(1, condition="open"))
    made.clock.instant = at(600)
    return made


@pytest.mark.server
@pytest.mark.parametrize("which", [0, 1, 2, 3])
def test_a_link_that_is_used_eight_times_at_once_gives_one_answer(real_platform, wall, which):
    class Ticking:  # the platform's clock moves on between any two who ask
        def __init__(self):
            self.n = 0

        def now(self):
            self.n += 1
            return at(600) + timedelta(milliseconds=self.n)

    served = replace(linked(real_platform, wall), clock=Ticking())
    url = served.links.answer_links(episode(1).id, "anna", acknowledge=True)[which].url
    app = app_of(served, wall)
    barrier = threading.Barrier(8)
    statuses = []

    def tap():
        browser = TestClient(app)
        browser.get("/api/v1/health")
        barrier.wait()
        statuses.append(browser.post(url, data={"confirm": "yes"}).status_code)

    threads = [threading.Thread(target=tap) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 8
    kept = real_platform.episodes.get(episode(1).id)
    said = [t for t in kept.transitions if t.kind in ("feedback", "acknowledged")]
    audited = list(real_platform.audit._audit.find({"actor": "anna (by link)"}))
    assert len(real_platform.feedback.for_episode(kept.id)) == (0 if which == 0 else 1)
    assert (len(said), len(audited)) == (1, 1)
