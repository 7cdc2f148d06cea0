"""Previews of drafts over the REST API: jobs of one person, in memory, bounded."""

from dataclasses import replace
from threading import Event
from time import monotonic

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.console.documents.definition_api import PreviewJob, Previews, PreviewsFull
from alerting.definitions.faults import NotFound, UserError
from alerting.ports import silent
from alerting.usecases.backtest.backtest import written_subject
from alerting.usecases.backtest.preview import SeriesCache, preview
from tests.builders import at, too_hot
from tests.helpers.console.api import ADMIN, TOKENS, expect_problem
from tests.helpers.console.often_hot import DAYS, often_hot

URL = "/api/v1/definitions:preview"
DAY = 24 * 60
UNLIKE = {"name": "unlike", "kind": "anomaly", "assets": ["oven-1"]}
PERIOD = {"from": at(DAY).isoformat(), "to": at(2 * DAY).isoformat()}
OTHERS = {**TOKENS, "engineer-token-0123456789": ("emil", "engineer")}
EMIL = {"authorization": "Bearer engineer-token-0123456789"}
A_HANG_S = 60


@pytest.fixture
def platform():
    return often_hot()


@pytest.fixture
def client(platform):
    return TestClient(create_app(platform, OTHERS), raise_server_exceptions=False)


def started(client, document, **period):
    return client.post(URL, json={"definition": document, **(period or PERIOD)}, headers=ADMIN)


def ended(client, id):
    for _ in range(A_HANG_S // 10):
        found = client.get(f"/api/v1/previews/{id}?wait=10", headers=ADMIN).json()
        if found["ended_at"]:
            return found
    raise AssertionError(found)


def test_a_preview_shows_the_alarms_a_draft_would_have_raised_and_stores_nothing(client, platform):
    answer = started(client, too_hot(stale_after="1d"))
    assert answer.status_code == 202
    found = ended(client, answer.json()["id"])
    assert (found["state"], found["progress"], found["fault"]) == ("done", 1.0, None)
    result = found["result"]
    shown = result["shown"]
    assert (result["episodes"], shown[0]["value"]) == (12, 230.0)
    assert result["alarms_per_day"] == pytest.approx(12, rel=0.1)
    assert shown[0]["raised_at"] > shown[-1]["raised_at"]
    stored = (platform.episodes.find(), platform.definitions.documents())
    assert (*stored, platform.backtests.for_definition("too-hot")) == ([], [], [])


def test_the_same_draft_is_the_same_preview_and_another_takes_its_place(client):
    drafts = [too_hot(stale_after="1d"), too_hot(stale_after="1d"), too_hot(above=240)]
    first, same, second = (started(client, draft).json()["id"] for draft in drafts)
    assert first == same
    expect_problem(client.get(f"/api/v1/previews/{first}", headers=ADMIN), 404)
    assert ended(client, second)["result"]["episodes"] == 0


def test_a_preview_belongs_to_the_person_who_began_it(client):
    id = started(client, too_hot(stale_after="1d")).json()["id"]
    address = f"/api/v1/previews/{id}"
    expect_problem(client.get(address, headers=EMIL), 404)
    expect_problem(client.delete(address, headers=EMIL), 404)
    assert ended(client, id)["state"] == "done"
    assert client.delete(address, headers=ADMIN).status_code == 204
    expect_problem(client.get(address, headers=ADMIN), 404)


def test_a_draft_with_faults_or_a_model_and_a_wrong_period_are_refused_at_once(client):
    for document, period, why in (
        (too_hot(above="much"), PERIOD, "above"),
        (UNLIKE, PERIOD, "needs a model"),
        (too_hot(), {"from": PERIOD["to"], "to": PERIOD["from"]}, "must lie before"),
        (too_hot(), {"to": at(DAYS * DAY + 1).isoformat()}, "lies after now"),
        (too_hot(), {"from": at(-100 * DAY).isoformat()}, "at most 92d"),
    ):
        assert why in expect_problem(started(client, document, **period), 422)


def test_a_period_without_readings_fails_with_the_reason(client):
    before = {"from": at(-9 * DAY).isoformat(), "to": at(-8 * DAY).isoformat()}
    found = ended(client, started(client, too_hot(), **before).json()["id"])
    assert (found["state"], found["result"]) == ("failed", None)
    assert "has readings from" in found["fault"]


def test_a_preview_ends_where_it_needs_more_readings_than_allowed(platform):
    subject = written_subject(platform, too_hot())
    period = (at(0), at(DAY), silent, lambda: None, SeriesCache(monotonic))
    with pytest.raises(UserError, match="needs more than 50 readings; choose a shorter period"):
        preview(platform, subject, *period, most_readings=50)


def job(owner, text="draft"):
    return PreviewJob(owner, "too-hot", (text, at(0), at(1)))


class Waiting:
    """A computation that goes on until it is released or ended."""

    def __init__(self):
        self.go_on = Event()

    def __call__(self, progress, require_time):
        assert self.go_on.wait(A_HANG_S)
        require_time()


def over(*jobs):
    """Wait for the end of previews; return their states."""
    assert [one.ended.wait(A_HANG_S) for one in jobs] == [True] * len(jobs)
    return [one.state for one in jobs]


def test_a_new_preview_cancels_the_one_before_of_the_same_person():
    previews = Previews()
    working = Waiting()
    first = previews.run(job("ann"), working)
    second = previews.run(job("ann", "another draft"), lambda *_: None)
    working.go_on.set()
    assert over(first, second) == ["cancelled", "done"]


def test_a_training_that_waits_for_another_ends_at_once_when_it_is_no_longer_wanted():
    previews = Previews(most=3)
    working = Waiting()
    first = previews.run(replace(job("ann"), is_training=True), working)
    pressed = [
        previews.run(replace(job("ben", text), is_training=True), lambda *_: None)
        for text in ("a", "b")
    ]
    assert over(pressed[0]) == ["cancelled"], "it takes none of the places of others"
    assert over(previews.run(job("cleo"), lambda *_: None)) == ["done"]
    working.go_on.set()
    assert over(first, pressed[1]) == ["done", "done"]


def test_beyond_its_time_a_preview_ends_and_says_what_to_do():
    late = Previews(longest_s=-1).run(job("ann"), lambda *_: None)
    assert over(late) == ["failed"]
    assert "choose a shorter period" in late.fault


def test_when_too_many_are_under_way_another_is_refused_and_old_results_give_way():
    previews = Previews(most=2)
    working = {"ann": Waiting(), "ben": Waiting()}
    begun = [previews.run(job(name), waiting) for name, waiting in working.items()]
    with pytest.raises(PreviewsFull):
        previews.run(job("cleo"), lambda *_: None)
    for waiting, one in zip(working.values(), begun, strict=True):
        waiting.go_on.set()
        over(one)
    assert over(previews.run(job("cleo"), lambda *_: None)) == ["done"]
    with pytest.raises(NotFound):
        previews.find("ann", begun[0].id)
    assert previews.find("ben", begun[1].id) is begun[1]


def test_a_fault_of_the_computation_is_no_result_and_no_secret():
    def broken(progress, require_time):
        raise RuntimeError("mongodb://user:secret@host")

    failed = Previews().run(job("ann"), broken)
    assert (over(failed), failed.made, "secret" in failed.fault) == (["failed"], None, False)
