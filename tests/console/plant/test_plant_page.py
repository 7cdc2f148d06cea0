"""The page of the plant in figures, and the same through the API."""

import re

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.ports import AuditFilter
from alerting.usecases.reports.running import refresh_plant
from tests.builders import at
from tests.helpers.console.two_lines import (
    FIRST,
    NOW,
    TOKENS_FILE,
    in_a_browser,
    plant,
    sender,
)
from tests.in_memory_platform import in_memory_platform

HOT = f"{FIRST}-hot"


@pytest.fixture
def made():
    return plant(FIRST)


@pytest.fixture
def client(made):
    app = create_app(made, TOKENS_FILE, now=lambda: at(NOW))
    return TestClient(app, follow_redirects=False)


def in_browser(client, role):
    who = in_a_browser(sender(role))
    client.headers.update(who.headers)
    return client


def csrf_of(page):
    return re.search(r'name="csrf" value="([^"]+)"', page)[1]


def test_the_page_shows_counts_money_weeks_and_the_proposal_that_can_be_applied_there(client):
    page = in_browser(client, "engineer").get("/plant").text
    for text in ("Plant in figures", "EUR 4 to 94", "Twelve weeks", "Another limit", "Not counted"):
        assert text in page
    assert page.count("<svg viewBox") == 3
    assert f'action="/plant/{HOT}/apply"' in page


def test_a_month_in_which_nothing_was_evaluated_counts_no_alert():
    empty = in_memory_platform()
    empty.clock.instant = at(NOW)
    refresh_plant(empty, at(NOW), lambda _: None)
    app = create_app(empty, TOKENS_FILE, now=lambda: at(NOW))
    page = TestClient(app).get("/plant", headers=sender("viewer").headers)
    assert "no alert had anything to report" in page.text


def test_a_viewer_sees_the_figures_and_cannot_answer_a_proposal(client):
    page = in_browser(client, "viewer").get("/plant").text
    assert "EUR 4 to 94" in page
    assert "/apply" not in page


def test_a_proposal_is_applied_on_the_page_from_the_revision_that_was_seen(client, made):
    browser = in_browser(client, "engineer")
    form = {"csrf": csrf_of(browser.get("/plant").text), "action": "retune", "revision": "7"}
    late = browser.post(f"/plant/{HOT}/apply", data=form)
    assert (late.status_code, 'role="alert"' in late.text) == (409, True)
    done = browser.post(f"/plant/{HOT}/apply", data={**form, "revision": "1", "period": "month"})
    assert (done.status_code, done.headers["location"]) == (303, "/plant?period=month")
    assert made.definitions.newest_revision(HOT).definition.above == 217.0
    assert f'action="/plant/{HOT}/apply"' not in browser.get("/plant").text


def test_a_proposal_is_refused_on_the_page_with_a_reason(client, made):
    browser = in_browser(client, "engineer")
    form = {"csrf": csrf_of(browser.get("/plant").text), "action": "retune"}
    assert browser.post(f"/plant/{HOT}/refuse", data=form).status_code == 422
    done = browser.post(f"/plant/{HOT}/refuse", data={**form, "reason": "a faulty sensor"})
    assert done.status_code == 303
    (entry,) = made.audit.find(AuditFilter(what="proposal refused"), 9)
    assert (entry.subject, entry.why) == (HOT, "a faulty sensor")
    assert f'action="/plant/{HOT}/apply"' not in browser.get("/plant").text


def test_the_api_gives_the_figures_of_the_page_and_takes_answers(client, made):
    headers = sender("engineer").headers
    found = client.get("/api/v1/plant?period=month", headers=headers).json()
    figures = found["period"]["sums"]
    assert (found["period"]["name"], figures["problems"], figures["missed"]) == ("2026-01", 18, 4)
    assert figures["money"][0]["avoided"] == {"low": 4.0, "high": 94.0}
    assert figures["money"][0]["interventions"] == {"low": 3.0, "high": 93.0}
    assert len(found["weeks"]) == 12
    proposal, other = found["proposals"]
    assert (other["definition"], other["action"]) == (f"{FIRST}-moist", "approve")
    answer = {"action": proposal["action"], "revision": proposal["revision"]}
    address = f"/api/v1/plant/proposals/{proposal['definition']}"
    changed = client.post(f"{address}:apply", json={**answer, "revision": 7}, headers=headers)
    assert changed.status_code == 409
    done = client.post(f"{address}:apply", json=answer, headers=headers)
    assert done.json() == {"definition": HOT, "action": "retune", "applied": True}
    late = {"action": "retune", "reason": "r"}
    assert client.post(f"{address}:refuse", json=late, headers=headers).status_code == 409
