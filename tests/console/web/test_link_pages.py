"""The pages behind feedback links: how many a client may open, and what strangers get."""

from dataclasses import replace
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from alerting.adapters.channels.links import SignedLinks
from alerting.console.app import create_app
from alerting.console.attempts import REQUESTS, RateLimit
from tests.builders import at
from tests.helpers.console.api import TOKENS
from tests.helpers.episodes import episode, full_episode
from tests.in_memory_platform import HandClock, in_memory_platform


@pytest.fixture
def served():
    """Return a client, its clock, the platform, and the address of an answer."""
    clock = HandClock(at(10))
    links = SignedLinks(b"k" * 40, "http://testserver", timedelta(hours=1), clock.now)
    platform = replace(in_memory_platform(), links=links)
    platform.episodes.insert(episode(1))
    client = TestClient(create_app(platform, TOKENS, now=clock.now), raise_server_exceptions=False)
    return (
        client,
        clock,
        platform,
        links.answer_links(platform.episodes.find()[0].id, "anna")[0].url,
    )


def test_a_page_leaks_its_address_to_nobody_and_what_is_no_link_or_has_expired_is_gone(served):
    client, clock, _, url = served
    headers = client.get(url).headers
    assert (headers["referrer-policy"], headers["cache-control"]) == ("no-referrer", "no-store")
    assert "noindex" in headers["x-robots-tag"]
    for path in (url[:-3] + "xyz", "/f/nonsense", "/f/a.b"):
        answers = client.get(path), client.post(path, data={"confirm": "yes"})
        assert [answer.status_code for answer in answers] == [410, 410]
    clock.instant = at(71)
    answer = client.get(url)
    assert (answer.status_code, "expired" in answer.text) == (410, True)


def test_a_client_that_tries_too_often_waits_a_minute(served):
    client, clock, _, url = served
    codes = [client.get(url).status_code for _ in range(REQUESTS + 1)]
    assert codes == [200] * REQUESTS + [429]
    clock.instant = at(11)
    assert client.get(url).status_code == 200


def test_the_limit_counts_each_client_by_itself_and_does_not_grow_for_ever():
    limit = RateLimit(requests=1)
    assert [limit.allows(client, at(0)) for client in "aab"] == [True, False, True]
    for i in range(25_000):
        limit.allows(str(i), at(i))
    assert len(limit._times) <= 10_001


def test_the_link_of_an_action_asks_whether_the_recommendation_was_followed(served):
    client, _, platform, _ = served
    full = replace(full_episode(), asset="oven-2", condition="open", closed_at=None)
    platform.episodes.insert(full)
    right, _, acted, *_ = platform.links.answer_links(full.id, "anna")
    asks = ['name="taken"' in client.get(link.url).text for link in (right, acted)]
    assert asks == [False, True]
    answers = [
        client.post(acted.url, data={"confirm": "yes", "taken": taken})
        for taken in ("sometimes", "partly")
    ]
    assert [answer.status_code for answer in answers] == [422, 200]
    assert platform.feedback.for_episode(full.id)[-1].recommendation_taken == "partly"
