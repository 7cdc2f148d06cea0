"""The pages behind feedback links: how many a client may open, and what strangers get."""

from dataclasses import replace
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from alerting.adapters.channels.links import SignedLinks
from alerting.console.app import create_app
from alerting.console.attempts import REQUESTS, RateLimit
from tests.builders import at
from tests.helpers.episodes import episode, full_episode
from tests.in_memory_platform import HandClock, in_memory_platform

TOKENS = {"admin-token-0123456789": ("ada", "admin")}


@pytest.fixture
def served():
    clock = HandClock(at(10))
    platform = replace(
        in_memory_platform(),
        links=SignedLinks(b"k" * 40, "http://testserver", timedelta(hours=1), clock.now),
    )
    platform.episodes.insert(episode(1))
    client = TestClient(create_app(platform, TOKENS, now=clock.now), raise_server_exceptions=False)
    return client, clock, platform.links.answer_links(platform.episodes.find()[0].id, "anna")[0].url


def test_a_page_leaks_its_address_to_nobody_and_is_not_kept(served):
    client, _, url = served
    answer = client.get(url)
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "noindex" in answer.headers["x-robots-tag"]


@pytest.mark.parametrize("method", ["get", "post"])
def test_what_is_no_link_of_ours_is_gone(served, method):
    client, _, url = served
    for path in (url[:-3] + "xyz", "/f/nonsense", "/f/a.b"):
        body = {} if method == "get" else {"data": {"confirm": "yes"}}
        assert getattr(client, method)(path, **body).status_code == 410


def test_a_link_that_has_expired_is_gone(served):
    client, clock, url = served
    clock.instant = at(71)
    answer = client.get(url)
    assert answer.status_code == 410
    assert "expired" in answer.text


def test_a_client_that_tries_too_often_waits_a_minute(served):
    client, clock, url = served
    codes = [client.get(url).status_code for _ in range(REQUESTS + 1)]
    assert codes == [200] * REQUESTS + [429]
    clock.instant = at(11)
    assert client.get(url).status_code == 200


def test_the_limit_counts_each_client_by_itself_and_does_not_grow_for_ever():
    limit = RateLimit(requests=1)
    assert limit.allows("a", at(0))
    assert not limit.allows("a", at(0))
    assert limit.allows("b", at(0))
    for i in range(25_000):
        limit.allows(str(i), at(i))
    assert len(limit._times) <= 10_001


def test_the_link_of_an_action_asks_whether_the_recommendation_was_followed(served):
    client, _, _ = served
    platform = client.app.state.platform
    platform.episodes.insert(
        full := replace(full_episode(), asset="oven-2", condition="open", closed_at=None)
    )
    right, _, acted, *_ = platform.links.answer_links(full.id, "anna")
    assert 'name="taken"' not in client.get(right.url).text
    assert 'name="taken"' in client.get(acted.url).text
    assert client.post(acted.url, data={"confirm": "yes", "taken": "sometimes"}).status_code == 422
    client.post(acted.url, data={"confirm": "yes", "taken": "partly"})
    assert platform.feedback.for_episode(full.id)[-1].recommendation_taken == "partly"
