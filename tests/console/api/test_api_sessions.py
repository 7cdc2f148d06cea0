"""Ways in and out as an attacker tries them: copied cookies, guessed tokens, borrowed addresses,
one link used many times."""

import re
import threading
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from alerting.adapters.channels.links import SignedLinks
from alerting.adapters.memory.platform import memory_platform
from alerting.adapters.mongo.mongo import MongoStores, connect
from alerting.adapters.mongo.prepare import prepare_database
from alerting.console.app import create_app
from tests.builders import at, oven, too_hot
from tests.helpers.console.api import TOKENS, episode, expect_problem
from tests.in_memory_platform import HandClock, MemoryModels

VIEWER_TOKEN, OPERATOR_TOKEN, ADMIN_TOKEN, _ = TOKENS


class WallClock:
    def __init__(self):
        self.instant = datetime(2026, 1, 6, tzinfo=UTC)

    def __call__(self):
        return self.instant


@pytest.fixture
def wall():
    return WallClock()


@pytest.fixture
def app(platform, wall):
    return create_app(platform, TOKENS, now=wall)


def browser_at(app, address="10.0.0.7", headers=()):
    return TestClient(app, client=(address, 50_000), headers=dict(headers), follow_redirects=False)


def log_in(browser, token=OPERATOR_TOKEN):
    return browser.post("/login", data={"token": token})


def csrf_of(browser):
    return re.search(r'name="csrf" value="([0-9a-f]+)"', browser.get("/").text)[1]


# Cookies and log-out


@pytest.mark.parametrize(
    ("public_url", "secure"),
    [("https://alerting.plant.example", True), ("http://plant.example", False), (None, False)],
)
def test_the_cookie_is_secure_where_the_public_address_is_https_whatever_the_proxy_says(
    platform, public_url, secure
):
    browser = browser_at(create_app(platform, TOKENS, public_url=public_url))
    assert ("Secure" in log_in(browser).headers["set-cookie"]) == secure


def test_after_the_log_out_a_copied_cookie_is_dead_also_after_a_restart(app, platform, wall):
    browser = browser_at(app)
    log_in(browser)
    copy = dict(browser.cookies)
    assert browser.post("/logout", data={"csrf": csrf_of(browser)}).status_code == 303
    for served in (app, create_app(platform, TOKENS, now=wall)):
        thief = TestClient(served, cookies=copy, follow_redirects=False)
        assert thief.get("/").status_code == 303
        assert thief.get("/api/v1/episodes").status_code == 401


def test_the_log_out_of_one_browser_leaves_the_other_in(app):
    here = browser_at(app)
    there = browser_at(app)
    log_in(here), log_in(there)
    here.post("/logout", data={"csrf": csrf_of(here)})
    assert (here.get("/").status_code, there.get("/").status_code) == (303, 200)


# Wrong tokens


def wrong(browser, n=1):
    return [browser.post("/login", data={"token": f"guess-{i:020d}"}).status_code for i in range(n)]


def test_who_tries_tokens_is_slowed_and_soon_waits_a_minute_for_each(app, wall):
    guesser = browser_at(app)
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
    guesser = browser_at(app)
    same_address = browser_at(app)
    elsewhere = browser_at(app, "10.0.0.8")
    log_in(same_address)
    wrong(guesser, 8)
    assert log_in(elsewhere).status_code == 303
    assert log_in(same_address).status_code == 303
    assert log_in(guesser, ADMIN_TOKEN).status_code == 429
    assert guesser.get("/api/v1/health").status_code == 200


def test_tokens_of_programs_are_slowed_in_the_same_way(app):
    guesser = browser_at(app)
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
    browser = browser_at(app)
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
    statuses = [wrong(browser_at(app, f"2001:db8:0:1::{i:x}"))[0] for i in range(1, 8)]
    assert statuses == [401] * 5 + [429] * 2


# Behind a proxy


def behind_proxy(app, trusted):
    return ProxyHeadersMiddleware(app, trusted) if trusted else app


@pytest.mark.parametrize(
    ("trusted", "shared"),
    [(["10.9.0.0/16"], False), (["10.8.0.1"], True), ([], True)],
    ids=["trusted", "another", "none"],
)
def test_behind_a_trusted_proxy_each_client_has_limits_of_its_own(app, trusted, shared):
    served = behind_proxy(app, trusted)
    guesser = browser_at(served, "10.9.0.1", {"x-forwarded-for": "192.168.1.1"})
    other = browser_at(served, "10.9.0.1", {"x-forwarded-for": "192.168.1.2"})
    wrong(guesser, 6)
    assert wrong(other) == [429 if shared else 401]


def test_a_client_behind_a_trusted_proxy_cannot_borrow_another_address(app):
    served = behind_proxy(app, ["10.9.0.1"])
    statuses = [
        wrong(browser_at(served, "10.9.0.1", {"x-forwarded-for": f"1.2.3.{i}, 192.168.1.1"}))[0]
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
    browser = browser_at(create_app(served, TOKENS, now=wall))
    anna, bob = (served.links.answer_links(episode(1).id, name)[0].url for name in ("anna", "bob"))
    assert [browser.get(anna).status_code for _ in range(31)] == [200] * 30 + [429]
    assert [browser.get("/f/nonsense").status_code for _ in range(31)] == [410] * 30 + [429]
    assert browser.get(bob).status_code == 200


@pytest.fixture
def real_platform(real_server):
    name = f"links_{uuid.uuid4().hex[:8]}"
    with connect(real_server) as client:
        stores = MongoStores(client[name])
        prepare_database(stores.database)
        made = stores.platform(MemoryModels(), {}, HandClock(), memory_platform)
        made.assets.store_assets([oven()])
        from alerting.usecases.definitions.sync import apply

        apply(made, [too_hot(title="Oven too hot")], "engineer", at(0), "first")
        made.episodes.insert(episode(1, condition="open"))
        made.clock.instant = at(600)
        yield made
        client.drop_database(name)


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
    app = create_app(served, TOKENS, now=wall)
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


def test_who_changes_their_mind_and_back_has_said_so(platform, wall):
    platform.episodes.insert(episode(1))
    served = linked(platform, wall)
    browser = browser_at(create_app(served, TOKENS, now=wall))
    right, wrong_, *_ = (link.url for link in served.links.answer_links(episode(1).id, "anna"))
    for minute, url in enumerate((right, right, wrong_, right), 601):
        platform.clock.instant = at(minute)
        assert browser.post(url, data={"confirm": "yes"}).status_code == 200
    assert [f.verdict for f in platform.feedback.for_episode(episode(1).id)] == [
        "true_alarm",
        "false_alarm",
        "true_alarm",
    ]
