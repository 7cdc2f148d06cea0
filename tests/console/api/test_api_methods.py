"""Methods of every address, instants in requests, and times in sentences."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import jsonschema
import pytest
from fastapi.testclient import TestClient

from alerting.adapters.channels.links import SignedLinks
from alerting.adapters.predictions import PredictFolder
from alerting.console.app import create_app
from alerting.console.imports.imports import Imports
from alerting.local.sign_in import make_link
from tests.builders import at
from tests.helpers.console.api import ADMIN, OPERATOR, TOKENS, VIEWER, episode, expect_problem
from tests.helpers.console.rubbish import filled, operations, path_of, required
from tests.helpers.reports import store_report
from tests.in_memory_platform import HandClock, in_memory_platform


@pytest.fixture
def platform():
    clock = HandClock(at(600))
    made = replace(
        in_memory_platform(),
        links=SignedLinks(b"k" * 40, "http://testserver", timedelta(hours=9), clock.now),
    )
    store_report(
        filled(made), trust="yes", tables={"episodes": {"columns": ["id"], "rows": [["a"]]}}
    )
    return replace(made, zone=ZoneInfo("Europe/Berlin"))


@pytest.fixture
def client(platform, tmp_path):
    app = create_app(
        platform,
        TOKENS,
        now=lambda: at(600),
        sign_in=tmp_path,
        predict_files=PredictFolder(tmp_path / "predictions"),
        import_files=Imports(tmp_path / "imports"),
    )
    return TestClient(app, raise_server_exceptions=False, follow_redirects=False)


def routes_with_get(client):
    for route in client.app.routes:
        if "GET" in (getattr(route, "methods", None) or ()) and not route.path.startswith(
            "/sign-in/"
        ):
            yield route.path


def test_head_answers_as_get_does_without_a_body_on_every_page_and_in_the_whole_api(
    client, platform
):
    report = platform.reports.for_definition("too-hot")[0].id
    named = {"id": episode(1).id, "name": "too-hot", "token": "x", "table": "episodes"}
    for path in routes_with_get(client):
        own = named | ({"id": report} if "/reports/" in path else {})
        for headers in (ADMIN, {}):
            address = f"{path_of(path, **own)}?definition=too-hot&asset=oven-1"
            shown, head = (
                client.request(method, address, headers=headers) for method in ("GET", "HEAD")
            )
            assert (head.status_code, head.content) == (shown.status_code, b""), address
            assert dict(head.headers) == dict(shown.headers), address
            assert shown.status_code < 500, address


def test_head_on_a_link_of_a_message_and_on_the_one_time_link_changes_nothing(
    client, platform, tmp_path
):
    url = platform.links.answer_links(episode(1).id, "anna")[0].url
    for _ in range(2):
        assert client.head(url).status_code == 200
        assert client.get(url).status_code == 200
    assert platform.feedback.for_episode(episode(1).id) == []
    link = make_link(tmp_path, "http://127.0.0.1:8000", at(600))
    browser = TestClient(
        client.app,
        base_url="http://127.0.0.1:8000",
        client=("127.0.0.1", 50000),
        follow_redirects=False,
    )
    head = browser.head(link)
    assert (head.status_code, head.content, "set-cookie" in head.headers) == (200, b"", False)
    assert "set-cookie" in browser.get(link).headers


def test_a_method_that_an_address_lacks_is_refused_with_those_of_all_its_operations(client):
    for path, allowed in (
        ("/api/v1/shelves", "GET, HEAD, POST"),
        ("/api/v1/kpi", "GET, HEAD"),
        ("/api/v1/readings", "POST"),
    ):
        for method in ("DELETE", "PUT", "PATCH", "OPTIONS", "TRACE"):
            answer = client.request(method, path, headers=ADMIN)
            assert (
                expect_problem(answer, 405) == f"{method} is not possible here; possible: {allowed}"
            )
            assert answer.headers["allow"] == allowed
    assert client.head("/api/v1/readings", headers=ADMIN).headers["allow"] == "POST"


@pytest.mark.parametrize("given", ["0.5", "0", "-1", "1767571200", "1e9", "nan", "true"])
def test_a_number_is_no_instant_in_any_parameter(client, given):
    asked = 0
    for path, method, operation, _ in operations():
        for parameter in operation.get("parameters", ()):
            shapes = parameter["schema"].get("anyOf", [parameter["schema"]])
            if "date-time" in [shape.get("format") for shape in shapes]:
                query = required(operation, {parameter["name"]: given})
                detail = expect_problem(
                    client.request(method, path_of(path), params=query, headers=ADMIN), 422
                )
                if given != "true":
                    hint = (
                        f"'{given}' is a number and no instant; write for example 2026-01-31T06:00Z"
                    )
                    assert detail == f"{parameter['name']}: {hint}"
                asked += 1
    assert asked >= 8


def test_sentences_have_the_times_of_the_plant_and_fields_are_utc(client, platform):
    evaluation = replace(
        episode(3).evaluation, reason=f"late data showed it at {at(30).isoformat()}"
    )
    platform.episodes.insert(episode(3, evaluation=evaluation))
    platform.platform_alerts.report(
        "stale", "line 1", f"no reading since {at(5).isoformat()}", at(6)
    )
    [shown] = [
        e
        for e in client.get("/api/v1/episodes", headers=VIEWER).json()["items"]
        if e["id"] == episode(3).id
    ]
    assert shown["reason"] == "late data showed it at 2026-01-05 01:30 CET"
    assert shown["raised_at"] == "2026-01-05T00:03:00Z"
    detail = client.get(f"/api/v1/episodes/{episode(3).id}", headers=VIEWER).json()
    assert "Late data showed it at 2026-01-05 01:30 CET" in detail["message"]
    assert detail["transitions"][0]["at"] == "2026-01-05T00:03:00Z"
    [alert] = client.get("/api/v1/platform-alerts", headers=VIEWER).json()
    assert (alert["reason"], alert["opened_at"]) == (
        "no reading since 2026-01-05 01:05 CET",
        "2026-01-05T00:06:00Z",
    )
    why = client.get("/api/v1/why?definition=too-hot&asset=oven-1", headers=VIEWER).json()
    assert any("was raised at 2026-01-05 10:50 CET" in fact for fact in why["facts"])
    answer = client.post(
        f"/api/v1/episodes/{episode(3).id}/confirm",
        json={"acted_at": "2026-01-06T00:00:00.5Z"},
        headers=OPERATOR,
    )
    assert (
        expect_problem(answer, 422)
        == "acted at 2026-01-06 01:00 CET lies after now, 2026-01-05 11:00 CET"
    )
    asked = "from=2026-01-04T00:00Z&to=2026-01-03T00:00:07Z"
    detail = expect_problem(client.get(f"/api/v1/kpi?{asked}", headers=VIEWER), 422)
    assert detail == "from 2026-01-04 01:00 CET must lie before to 2026-01-03 01:00:07 CET"


# The page of the API, and the examples of its bodies


def test_the_page_shows_the_description_by_scripts_that_are_served_here(client):
    page = client.get("/api", headers=VIEWER).text
    own = re.findall(r'(?:src|href)="(/scripts/[^"]+)"', page)
    assert {"/scripts/swagger-ui-bundle.js", "/scripts/swagger-ui.css"} <= set(own)
    for address in own:
        assert client.get(address, headers=VIEWER).status_code == 200, address
    assert "<script>" not in page


def test_every_body_that_people_write_has_an_example_of_its_schema(client):
    description = client.get("/api/v1/openapi.json", headers=ADMIN).json()
    schemas = description["components"]["schemas"]
    operations = [one for path in description["paths"].values() for one in path.values()]
    for operation in operations:
        part = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if part is None:
            continue
        name = re.search(r"schemas/(\w+)", json.dumps(part["schema"]))[1]
        (example,) = schemas[name]["examples"]
        whole = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
        jsonschema.validate(example, whole, cls=jsonschema.Draft202012Validator)
        assert example, operation["operationId"]
