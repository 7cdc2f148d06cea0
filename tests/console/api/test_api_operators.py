"""Actions of operators, through the REST API and by the buttons of the page."""

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from tests.builders import at
from tests.helpers.console.api import ADMIN, OPERATOR, TOKENS, VIEWER, episode, expect_problem
from tests.helpers.console.pages import csrf_of, log_in

ID = episode(590).id
ENGINEER_TOKENS = {**TOKENS, "engineer-token-0123456789": ("emil", "engineer")}
ENGINEER = {"authorization": "Bearer engineer-token-0123456789"}
SHELF = {"definition": "too-hot", "asset": "oven-1", "for": "2h", "reason": "cleaning"}


@pytest.fixture(autouse=True)
def an_open_episode(platform):
    platform.episodes.insert(episode(590, condition="open"))


def test_acknowledging_is_kept_once_and_shown_by_its_standard_name(client, platform):
    assert (
        client.get(f"/api/v1/episodes/{ID}/state", headers=VIEWER).json()["state"]
        == "unacknowledged"
    )
    first = client.post(
        f"/api/v1/episodes/{ID}/ack", headers=OPERATOR, json={"note": "on my way"}
    ).json()
    again = client.post(f"/api/v1/episodes/{ID}/ack", headers=ADMIN).json()
    assert first == again
    assert (first["state"], first["acknowledged"]["actor"]) == ("acknowledged", "otto")
    assert [
        t.reason for t in platform.episodes.get(ID).transitions if t.kind == "acknowledged"
    ] == ["on my way"]


def test_confirming_counts_as_acted_and_as_seen(client, platform):
    answer = client.post(
        f"/api/v1/episodes/{ID}/confirm", headers=OPERATOR, json={"action": "opened the damper"}
    ).json()
    assert answer["confirmed"]["actor"] == answer["acknowledged"]["actor"] == "otto"
    [kept] = platform.feedback.for_episode(ID)
    assert (kept.acted, kept.action, kept.verdict) == (True, "opened the damper", None)


def test_comments_and_the_person_in_charge_stay_with_the_episode(client, platform):
    client.post(
        f"/api/v1/episodes/{ID}/comment", headers=OPERATOR, json={"comment": "third time today"}
    )
    answer = client.post(
        f"/api/v1/episodes/{ID}/assign", headers=OPERATOR, json={"to": "bob"}
    ).json()
    assert answer["assigned_to"] == "bob"
    assert [(t.kind, t.reason) for t in platform.episodes.get(ID).transitions[1:]] == [
        ("commented", "third time today"),
        ("assigned", "to bob"),
    ]


def test_a_shelf_mutes_is_listed_and_can_be_ended(client, platform):
    made = client.post("/api/v1/shelves", headers=OPERATOR, json=SHELF).json()
    assert (made["until"], made["actor"]) == (at(720).isoformat().replace("+00:00", "Z"), "otto")
    assert client.get("/api/v1/shelves", headers=VIEWER).json() == [made]
    assert client.get(f"/api/v1/episodes/{ID}/state", headers=VIEWER).json()["state"] == "shelved"
    ended = client.post(
        f"/api/v1/shelves/{made['id']}/end", headers=OPERATOR, json={"reason": "done"}
    ).json()
    assert (ended["ended_by"], ended["end_reason"]) == ("otto", "done")
    assert client.get("/api/v1/shelves", headers=VIEWER).json() == []
    because = platform.episodes.get(ID).transitions[-1].reason
    assert because == "its muting has ended: done (otto)"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({**SHELF, "for": "9h"}, 403, "at most 8 h"),
        ({**SHELF, "reason": " "}, 422, "a reason is required"),
        ({k: v for k, v in SHELF.items() if k != "for"}, 422, "an end is required"),
        ({**SHELF, "until": "2026-01-06T00:00:00Z"}, 422, "not both"),
        ({**SHELF, "for": "soon"}, 422, "not a duration"),
        ({**SHELF, "asset": "oven-9"}, 404, "does not apply to"),
        ({**SHELF, "definition": "nothing"}, 404, "nothing"),
        ({**SHELF, "kind": "out_of_service"}, 403, "engineer"),
    ],
)
def test_a_shelf_that_must_not_be_is_refused_with_the_reason(client, platform, body, status, words):
    assert words in expect_problem(
        client.post("/api/v1/shelves", headers=OPERATOR, json=body), status
    )
    assert platform.shelves.in_force() == []


def test_out_of_service_is_for_engineers_both_ways(platform):
    api = TestClient(create_app(platform, ENGINEER_TOKENS), raise_server_exceptions=False)
    body = {**SHELF, "kind": "out_of_service"}
    body.pop("for")
    made = api.post("/api/v1/shelves", headers=ENGINEER, json=body).json()
    assert made["until"] is None
    assert "engineer" in expect_problem(
        api.post(f"/api/v1/shelves/{made['id']}/end", headers=OPERATOR), 403
    )
    assert (
        api.post(f"/api/v1/shelves/{made['id']}/end", headers=ENGINEER).json()["ended_by"] == "emil"
    )


# The page


def test_the_buttons_acknowledge_shelve_and_unshelve(browser, platform):
    log_in(browser)
    path = f"/episodes/{ID}"
    csrf = csrf_of(browser.get(path))
    assert browser.post(f"{path}/ack", data={"csrf": csrf}).status_code == 303
    page = browser.get(path).text
    assert "Acknowledged by otto" in page
    assert "I have seen it" not in page
    assert (
        browser.post(
            f"{path}/shelve", data={"csrf": csrf, "lasting": "2h", "reason": "<b>cleaning"}
        ).status_code
        == 303
    )
    assert "&lt;b&gt;cleaning" in browser.get(path).text
    assert "&lt;b&gt;cleaning" in browser.get("/").text  # what is muted stands on the first screen
    [shelf] = platform.shelves.in_force()
    extend = f"/shelves/{shelf.id}/extend"
    assert extend in browser.get("/").text  # beside what is muted
    assert extend in browser.get(path).text
    later = browser.post(extend, data={"csrf": csrf, "lasting": "1h", "next": path})
    assert later.headers["location"] == path
    [longer] = platform.shelves.in_force()
    assert (longer.until, longer.reason) == (shelf.until + timedelta(hours=1), "<b>cleaning")
    assert browser.post(f"/shelves/{shelf.id}/end", data={"csrf": csrf}).status_code == 303
    assert "Muted" not in browser.get("/").text
    ended = browser.post(extend, data={"csrf": csrf, "lasting": "1h"})
    assert (ended.status_code, "cannot end later" in ended.text) == (422, True)
    assert platform.shelves.in_force() == []


def test_an_operator_extends_a_shelf_by_no_more_than_the_role_may_shelve(browser, platform):
    log_in(browser)
    csrf = csrf_of(browser.get(f"/episodes/{ID}"))
    form = {"csrf": csrf, "lasting": "8h", "reason": "cleaning"}
    assert browser.post(f"/episodes/{ID}/shelve", data=form).status_code == 303
    [shelf] = platform.shelves.in_force()
    extend = f"/shelves/{shelf.id}/extend"
    for lasting, words in (("1h", "at most 8 h"), ("soon", "is not a duration")):
        refused = browser.post(extend, data={"csrf": csrf, "lasting": lasting})
        assert (refused.status_code >= 400, words in refused.text) == (True, True), refused.text
    assert platform.shelves.in_force() == [shelf]


def test_the_first_of_alarms_that_rise_together_is_marked_on_both_pages(browser, platform):
    log_in(browser)
    assert "first-out" not in browser.get("/").text
    platform.episodes.insert(
        episode(590.5, definition="too-moist", condition="open", title="Too moist")
    )
    assert browser.get("/").text.count('first-out">') == 1
    assert "first-out" in browser.get(f"/episodes/{ID}").text
