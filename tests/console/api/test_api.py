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
from tests.helpers.console.api import OPERATOR, TOKENS, VIEWER, episode, expect_problem
from tests.helpers.notifications import notice
from tests.helpers.reports import store_report
from tests.rubbish import VALUES

# Who may do what


def every_route(client):
    schema = client.get("/api/v1/openapi.json", headers=VIEWER).json()
    names = dict.fromkeys(("id", "name", "table", "number", "asset"), "x")
    return [
        (method.upper(), path.format(**names))
        for path, methods in schema["paths"].items()
        for method in methods
    ]


def test_nobody_gets_in_without_a_token_except_to_the_health_of_the_api(client):
    routes = [
        *every_route(client),
        ("GET", "/api/v1/openapi.json"),
        ("GET", "/api/v1/nothing"),
        ("GET", "/docs"),
    ]
    assert len(routes) > 10
    closed = [
        r
        for r in routes
        if client.request(*r, follow_redirects=False).status_code not in (401, 303)
    ]
    assert closed == [("GET", "/api/v1/health")]


@pytest.mark.parametrize(
    "header",
    [
        "Bearer wrong-token-0123456789",
        "Bearer ",
        "Basic dmVyYTp4",
        "viewer-token-0123456789",
        "Bearer viewer-token-012345678",
    ],
)
def test_a_wrong_token_is_refused(client, header):
    answer = client.get("/api/v1/episodes", headers={"authorization": header})
    assert "Authorization: Bearer" in expect_problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_role_that_is_too_small_is_refused_and_changes_nothing(client, platform):
    platform.episodes.insert(episode(1))
    answer = client.post(
        f"/api/v1/episodes/{episode(1).id}/feedback", json={"verdict": "true_alarm"}, headers=VIEWER
    )
    assert expect_problem(answer, 403) == "this needs the role operator; vera has the role viewer"
    assert platform.feedback.for_episode(episode(1).id) == []


def test_without_tokens_there_is_no_application(platform):
    with pytest.raises(UserError, match="at least one"):
        create_app(platform, {})


def test_every_answer_forbids_scripts_frames_and_caches(client):
    headers = client.get("/api/v1/health").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


# Health


def test_health_says_no_more_than_ok(client):
    assert client.get("/api/v1/health").json() == {"status": "ok"}


def test_without_a_database_health_is_a_problem(platform):
    class Down:
        def faulty(self):
            raise ServerSelectionTimeoutError("mongodb.plant.internal:27017: timed out")

    client = TestClient(
        create_app(replace(platform, definitions=Down()), TOKENS), raise_server_exceptions=False
    )
    detail = expect_problem(client.get("/api/v1/health"), 503)
    assert "database does not answer" in detail
    assert "plant.internal" not in detail


def test_a_fault_of_ours_says_nothing_of_its_inside(platform):
    class Broken:
        def faulty(self):
            raise RuntimeError("secret detail")

    client = TestClient(
        create_app(replace(platform, definitions=Broken()), TOKENS), raise_server_exceptions=False
    )
    assert "secret" not in expect_problem(client.get("/api/v1/health"), 500)


# Episodes


def test_an_episode_is_shown_with_everything(client, platform):
    platform.episodes.insert(episode(1, inputs={"zone_2": 232.0, "share": math.nan}))
    platform.notifications.add([notice("k", 1, status="sent", episode=episode(1).id)])
    shown = client.get(f"/api/v1/episodes/{episode(1).id}", headers=VIEWER).json()
    assert shown["reason"] == "218 °C is above 215 °C"
    assert shown["raised_at"] == "2026-01-05T00:01:00Z"
    assert shown["contributions"][0]["message"] == "zone 2 is 12 °C above its usual"
    change = {"variable": "zone_2", "before": 232.0, "after": 224.0, "unit": "°C", "takes": None}
    assert shown["recommendation"]["changes"][0] == change
    assert shown["transitions"][0]["reason"] == "the condition is met"
    assert shown["notifications"][0]["status"] == "sent"
    assert shown["inputs"] == {"zone_2": 232.0, "share": None}
    assert shown["guidance"] == {"action": "Open the damper."}
    assert shown["outcome"] is None


def test_episodes_are_filtered(client, platform):
    for e in (episode(1), episode(2, "oven-2"), episode(3, condition="open")):
        platform.episodes.insert(e)

    def raised(**query):
        items = client.get("/api/v1/episodes", params=query, headers=VIEWER).json()["items"]
        return [item["raised_at"][14:16] for item in items]

    assert raised() == ["03", "02", "01"]
    assert raised(asset="oven-2") == ["02"]
    assert raised(open="true") == ["03"]
    assert raised(definition="too-moist") == []


def test_episodes_of_an_interval_are_those_open_in_it_whenever_they_were_raised(client, platform):
    for e in (episode(1), episode(2, "oven-2"), episode(3, condition="open"), episode(30)):
        platform.episodes.insert(e)

    def raised(**query):
        items = client.get("/api/v1/episodes", params=query, headers=VIEWER).json()["items"]
        return [item["raised_at"][14:16] for item in items]

    assert raised(to="2026-01-05T00:02:00Z") == ["01"]
    assert raised(**{"from": "2026-01-05T01:06:00+01:00", "to": "2026-01-05T00:08:00Z"}) == [
        "03",
        "02",
    ]
    assert raised(**{"from": "2026-01-05T00:10:00Z", "to": "2026-01-05T00:12:00Z"}) == ["03"]
    assert raised(**{"from": "2026-01-05T00:40:00Z"}) == ["03"], "raised before, and still open"


def test_a_plus_that_became_a_space_on_the_way_is_understood(client, platform):
    platform.episodes.insert(episode(1))
    answer = client.get("/api/v1/episodes?from=2026-01-05T01:01:00+01:00", headers=VIEWER)
    assert len(answer.json()["items"]) == 1


def test_pages_together_hold_every_episode_once_even_those_of_one_instant(client, platform):
    made = [episode(minute, f"oven-{n}") for minute in (1, 2) for n in range(7)]
    for e in made:
        platform.episodes.insert(e)
    seen = []
    query = {"limit": 4}
    while True:
        page = client.get("/api/v1/episodes", params=query, headers=VIEWER).json()
        seen += [item["id"] for item in page["items"]]
        assert len(page["items"]) <= 4
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert len(seen) == 14
    assert set(seen) == {e.id for e in made}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("from=yesterday", "from: "),
        ("from=2026-01-05T00:00:00", "has no time zone"),
        ("limit=0", "limit: "),
        ("limit=9999", "limit: "),
        ("cursor=abc", "cursor: not a cursor of this API"),
        ("cursor=%00", "cursor: not a cursor of this API"),
        ("open=perhaps", "open: "),
    ],
)
def test_a_query_that_makes_no_sense_is_said(client, query, message):
    assert message in expect_problem(client.get(f"/api/v1/episodes?{query}", headers=VIEWER), 422)


# Feedback


def say(client, body, headers=OPERATOR, id=None):
    return client.post(
        f"/api/v1/episodes/{id or episode(1).id}/feedback", json=body, headers=headers
    )


def test_feedback_is_kept_and_settles_the_outcome(client, platform):
    platform.episodes.insert(episode(1))
    answer = say(
        client,
        {
            "verdict": "false_alarm",
            "acted": True,
            "action": " opened the damper ",
            "comment": "sensor",
        },
    )
    assert answer.status_code == 200
    shown = answer.json()
    assert shown["outcome"] == "false_alarm"
    assert shown["feedback"][0] | {"at": None} == {
        "episode": episode(1).id,
        "verdict": "false_alarm",
        "acted": True,
        "action": "opened the damper",
        "comment": "sensor",
        "actor": "otto",
        "at": None,
        "acted_at": None,
        "recommendation_taken": None,
    }
    [kept] = platform.feedback.for_episode(episode(1).id)
    assert kept.at == platform.clock.now()


@pytest.mark.parametrize(
    ("body", "message"),
    [
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
    ],
)
def test_feedback_that_says_nothing_or_nonsense_is_refused_and_not_kept(
    client, platform, body, message
):
    platform.episodes.insert(episode(1))
    assert message in expect_problem(say(client, body), 422)
    assert platform.feedback.for_episode(episode(1).id) == []


def test_a_body_that_is_not_json_is_said(client):
    answer = client.post(
        "/api/v1/episodes/x/feedback",
        content="{",
        headers={**OPERATOR, "content-type": "application/json"},
    )
    assert "not JSON" in expect_problem(answer, 422)


def test_a_body_too_large_is_refused_before_it_is_read(client):
    assert "larger than" in expect_problem(say(client, {"comment": "x" * 70_000}), 413)
    endless = client.post("/api/v1/episodes/x/feedback", content=iter([b"{}"]), headers=OPERATOR)
    assert "content-length" in expect_problem(endless, 411)


# Definitions, models, reports


def test_reports_are_listed_and_their_page_is_html(client, platform):
    id = store_report(platform, trust="yes", sentences=("Trust it: 7 of 9.",))
    [listed] = client.get("/api/v1/reports", headers=VIEWER).json()
    assert (listed["headline"], listed["trust"], listed["start"]) == (
        "Trust it: 7 of 9.",
        "yes",
        "2026-01-05T00:00:00Z",
    )
    page = client.get(listed["url"], headers=VIEWER)
    assert page.headers["content-type"].startswith("text/html")
    assert page.text == "<!DOCTYPE html><p>page</p>"
    assert listed["url"].endswith(id)
    assert client.get("/api/v1/reports?definition=too-moist", headers=VIEWER).json() == []
    assert "there is no report" in expect_problem(
        client.get("/api/v1/reports/nope", headers=VIEWER), 404
    )
    assert client.get("/api/v1/reports?definition=nope", headers=VIEWER).status_code == 404


def test_the_schema_describes_every_route_and_the_token(client):
    schema = client.get("/api/v1/openapi.json", headers=VIEWER).json()
    assert "/api/v1/episodes/{id}/feedback" in schema["paths"]
    assert schema["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    undescribed = [
        p
        for p, methods in schema["paths"].items()
        for m in methods.values()
        if not m.get("description")
    ]
    assert undescribed == []


# Platform alerts


def test_what_is_wrong_with_the_platform_is_listed_while_it_is(client, platform):
    assert client.get("/api/v1/platform-alerts", headers=VIEWER).json() == []
    platform.platform_alerts.report(
        "champion unreadable", "too-moist", "the registry does not answer", at(0)
    )
    (alert,) = client.get("/api/v1/platform-alerts", headers=VIEWER).json()
    assert (alert["subject"], alert["reason"]) == ("too-moist", "the registry does not answer")
    platform.platform_alerts.resolve("champion unreadable", "too-moist", at(1))
    assert client.get("/api/v1/platform-alerts", headers=VIEWER).json() == []


@pytest.mark.parametrize("what", VALUES)
def test_a_definition_that_holds_rubbish_is_listed_and_shown(client, platform, what):
    rubbish = too_hot(name="odd", above=VALUES[what], title=VALUES[what])
    platform.definitions.store_document(rubbish)
    listed = client.get("/api/v1/definitions", headers=VIEWER)
    assert {definition["name"] for definition in listed.json()} == {"odd", "too-hot", "too-moist"}
    shown = client.get("/api/v1/definitions/odd", headers=VIEWER)
    assert shown.status_code == 200, shown.text
    assert shown.json()["document"]["name"] == "odd"
