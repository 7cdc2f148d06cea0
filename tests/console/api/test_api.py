"""The REST API over a platform in memory: who may do what, what is answered, how faults are
said."""

import math
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from pymongo.errors import ServerSelectionTimeoutError

from alerting.console.app import create_app
from alerting.definitions.faults import UserError
from tests.builders import at, too_hot
from tests.helpers.console.api import (
    OPERATOR,
    TOKENS,
    VIEWER,
    Failing,
    episode,
    expect_problem,
    read,
)
from tests.helpers.notifications import notice
from tests.helpers.refusals import lacking
from tests.helpers.reports import store_report
from tests.rubbish import VALUES

FEEDBACK = f"/api/v1/episodes/{episode(1).id}/feedback"

# Who may do what


def test_nobody_gets_in_without_a_token_except_to_the_health_of_the_api(client):
    statuses = {"/health": 200, "/episodes": 401, "/openapi.json": 401, "/nothing": 401}
    assert {path: client.get(f"/api/v1{path}").status_code for path in statuses} == statuses
    assert client.get("/docs", follow_redirects=False).headers["location"].startswith("/login")


def test_a_wrong_token_is_refused(client):
    for header in (
        *("Bearer wrong-token-0123456789", "Bearer ", "Basic dmVyYTp4"),
        *("viewer-token-0123456789", "Bearer viewer-token-012345678"),
    ):
        answer = client.get("/api/v1/episodes", headers={"authorization": header})
        assert "Authorization: Bearer" in expect_problem(answer, 401), header
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_role_that_is_too_small_is_refused_and_changes_nothing(client, platform):
    platform.episodes.insert(episode(1))
    answer = client.post(FEEDBACK, json={"verdict": "true_alarm"}, headers=VIEWER)
    assert expect_problem(answer, 403) == "this needs the role operator; vera has the role viewer"
    assert platform.feedback.for_episode(episode(1).id) == []


def test_without_tokens_there_is_no_application(platform):
    with pytest.raises(UserError, match="at least one"):
        create_app(platform, {})


def test_health_says_no_more_than_ok_and_forbids_scripts_frames_and_caches(client):
    answer = client.get("/api/v1/health")
    assert answer.json() == {"status": "ok"}
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    found = {name: answer.headers[name] for name in ("cache-control", "x-content-type-options")}
    assert found == {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def test_without_a_database_health_is_a_problem(platform):
    down = replace(platform, definitions=Failing(ServerSelectionTimeoutError("plant.internal")))
    client = TestClient(create_app(down, TOKENS), raise_server_exceptions=False)
    detail = expect_problem(client.get("/api/v1/health"), 503)
    assert ("database does not answer" in detail, "plant.internal" in detail) == (True, False)


# Episodes


def test_an_episode_is_shown_with_everything(client, platform):
    platform.episodes.insert(episode(1, inputs={"zone_2": 232.0, "share": math.nan}))
    platform.notifications.add([notice("k", 1, status="sent", episode=episode(1).id)])
    shown = read(client, f"episodes/{episode(1).id}")
    change = {"variable": "zone_2", "before": 232.0, "after": 224.0, "unit": "°C", "takes": None}
    expected = {
        "reason": "218 °C is above 215 °C",
        "raised_at": "2026-01-05T00:01:00Z",
        "inputs": {"zone_2": 232.0, "share": None},
        "guidance": {"action": "Open the damper."},
        "outcome": None,
    }
    assert shown | expected == shown
    assert shown["contributions"][0]["message"] == "zone 2 is 12 °C above its usual"
    assert shown["recommendation"]["changes"] == [change]
    assert shown["transitions"][0]["reason"] == "the condition is met"
    assert shown["notifications"][0]["status"] == "sent"


def raised(client, **query):
    found = read(client, "episodes", **query)
    return [item["raised_at"][14:16] for item in found["items"]]


def test_episodes_are_filtered_and_those_of_an_interval_were_open_in_it(client, platform):
    for one in (episode(1), episode(2, "oven-2"), episode(3, condition="open"), episode(30)):
        platform.episodes.insert(one)
    cases = [
        ({}, ["30", "03", "02", "01"]),
        ({"asset": "oven-2"}, ["02"]),
        ({"open": "true"}, ["03"]),
        ({"definition": "too-moist"}, []),
        ({"to": "2026-01-05T00:02:00Z"}, ["01"]),
        ({"from": "2026-01-05T01:06:00+01:00", "to": "2026-01-05T00:08:00Z"}, ["03", "02"]),
        ({"from": "2026-01-05T00:10:00Z", "to": "2026-01-05T00:12:00Z"}, ["03"]),
        ({"from": "2026-01-05T00:40:00Z"}, ["03"]),  # raised before, and still open
        ({"from": "2026-01-05T01:06:00 01:00", "asset": "oven-2"}, ["02"]),  # a plus on the way
    ]
    assert [(query, raised(client, **query)) for query, _ in cases] == cases


def test_pages_together_hold_every_episode_once_even_those_of_one_instant(client, platform):
    made = [episode(minute, f"oven-{n}") for minute in (1, 2) for n in range(7)]
    for one in made:
        platform.episodes.insert(one)
    page = read(client, "episodes", limit=4)
    pages = [page]
    while page["next"]:
        page = read(client, "episodes", limit=4, cursor=page["next"])
        pages.append(page)
    seen = [item["id"] for page in pages for item in page["items"]]
    assert ([len(page["items"]) for page in pages], len(seen)) == ([4, 4, 4, 2], 14)
    assert set(seen) == {one.id for one in made}


def test_a_query_that_makes_no_sense_is_said(client):
    messages = {
        "from=yesterday": "from: ",
        "from=2026-01-05T00:00:00": "has no time zone",
        "limit=0": "limit: ",
        "limit=9999": "limit: ",
        "cursor=abc": "cursor: not a cursor of this API",
        "cursor=%00": "cursor: not a cursor of this API",
        "open=perhaps": "open: ",
    }
    found = {
        query: expect_problem(client.get(f"/api/v1/episodes?{query}", headers=VIEWER), 422)
        for query in messages
    }
    assert lacking(found, messages) == {}


# Feedback


def test_feedback_is_kept_and_settles_the_outcome(client, platform):
    platform.episodes.insert(episode(1))
    said = {"verdict": "false_alarm", "acted": True, "comment": "sensor"}
    answer = client.post(FEEDBACK, json={**said, "action": " opened the damper "}, headers=OPERATOR)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "false_alarm")
    assert answer.json()["feedback"][0] == said | {
        "episode": episode(1).id,
        "action": "opened the damper",
        "actor": "otto",
        "at": "2026-01-05T10:00:00Z",
        "acted_at": None,
        "recommendation_taken": None,
    }
    [kept] = platform.feedback.for_episode(episode(1).id)
    assert kept.at == platform.clock.now()


def test_feedback_that_says_nothing_or_nonsense_is_refused_and_not_kept(client, platform):
    platform.episodes.insert(episode(1))
    refused = [
        ({}, "the feedback is empty"),
        ({"comment": "   "}, "the feedback is empty"),
        ({"verdict": "maybe"}, "verdict: "),
        ({"verdikt": "true_alarm"}, "verdikt: there is no such field"),
        ({"acted": "yes"}, "acted: "),
        (
            {"verdict": "unsure", "action": "opened the damper"},
            "body: action and acted_at go together with acted: true",
        ),
        ({"acted": True, "recommendation_taken": "perhaps"}, "recommendation_taken: "),
        (
            {"recommendation_taken": "partly"},
            "body: recommendation_taken partly goes together with acted: true",
        ),
        ({"acted": True, "acted_at": "2026-01-05T00:00:00"}, "acted_at: "),
        ({"acted": True, "acted_at": "2031-01-05T00:00:00Z"}, "lies after now"),
        ({"comment": "x" * 2001}, "comment: "),
        ([], "body: "),
    ]
    found = [client.post(FEEDBACK, json=body, headers=OPERATOR) for body, _ in refused]
    details = dict(enumerate(expect_problem(answer, 422) for answer in found))
    assert lacking(details, dict(enumerate(words for _, words in refused))) == {}
    assert platform.feedback.for_episode(episode(1).id) == []


def test_a_body_that_is_not_json_is_said_and_one_too_large_refused_before_it_is_read(client):
    typed = {**OPERATOR, "content-type": "application/json"}
    large = b'{"comment": "' + b"x" * 70_000 + b'"}'
    for content, status, words in (
        (b"{", 422, "not JSON"),
        (large, 413, "larger than"),
        (iter([b"{}"]), 411, "content-length"),
    ):
        answer = client.post(FEEDBACK, content=content, headers=typed)
        assert words in expect_problem(answer, status)


# Definitions, models, reports


def test_reports_are_listed_and_their_page_is_html(client, platform):
    id = store_report(platform, trust="yes", sentences=("Trust it: 7 of 9.",))
    [listed] = read(client, "reports")
    expected = {"headline": "Trust it: 7 of 9.", "trust": "yes", "start": "2026-01-05T00:00:00Z"}
    assert listed | expected | {"url": f"/api/v1/reports/{id}"} == listed
    page = client.get(listed["url"], headers=VIEWER)
    assert page.headers["content-type"].startswith("text/html")
    assert page.text == "<!DOCTYPE html><p>page</p>"
    assert read(client, "reports", definition="too-moist") == []
    missing = expect_problem(client.get("/api/v1/reports/nope", headers=VIEWER), 404)
    assert "there is no report" in missing
    assert read(client, "reports", definition="nope")["status"] == 404


def test_the_schema_describes_every_route_and_the_token(client):
    schema = read(client, "openapi.json")
    assert "/api/v1/episodes/{id}/feedback" in schema["paths"]
    assert schema["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    operations = [(path, one) for path, all in schema["paths"].items() for one in all.values()]
    assert [path for path, operation in operations if not operation.get("description")] == []


# Platform alerts


def test_what_is_wrong_with_the_platform_is_listed_while_it_is(client, platform):
    assert read(client, "platform-alerts") == []
    wrong = ("champion unreadable", "too-moist")
    platform.platform_alerts.report(*wrong, "the registry does not answer", at(0))
    (alert,) = read(client, "platform-alerts")
    assert (alert["subject"], alert["reason"]) == ("too-moist", "the registry does not answer")
    platform.platform_alerts.resolve(*wrong, at(1))
    assert read(client, "platform-alerts") == []


def test_a_definition_that_holds_rubbish_is_listed_and_shown(client, platform):
    names = {f"odd-{number}": what for number, what in enumerate(VALUES)}
    for name, what in names.items():
        rubbish = too_hot(name=name, above=VALUES[what], title=VALUES[what])
        platform.definitions.store_document(rubbish)
    listed = read(client, "definitions")
    assert {definition["name"] for definition in listed} == {*names, "too-hot", "too-moist"}
    shown = {name: read(client, f"definitions/{name}") for name in names}
    assert {name: one["document"]["name"] for name, one in shown.items()} == {n: n for n in names}
