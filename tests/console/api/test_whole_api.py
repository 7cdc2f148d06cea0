"""All operations and pages at once: statuses and problems that are declared, methods of every
address, instants in requests, times in sentences, and examples of bodies."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from itertools import product
from zoneinfo import ZoneInfo

import jsonschema
import pytest
from fastapi.testclient import TestClient
from pymongo.errors import ServerSelectionTimeoutError

from alerting.adapters.passwords_and_links import SignedLinks
from alerting.adapters.receivers.log import LogChannel
from alerting.adapters.scored_files import PredictFolder
from alerting.console.api.predict_api import PARQUET
from alerting.console.app import create_app
from alerting.console.gate import largest_body
from alerting.console.plant.import_jobs import Imports
from alerting.definitions.wording.language import translatable
from alerting.local.prepare import make_link
from tests.builders import at
from tests.helpers.console.api import (
    OPERATOR,
    SENDER,
    TOKENS,
    VIEWER,
    Failing,
    episode,
    expect_problem,
    read,
)
from tests.helpers.console.rubbish import (
    ADMIN,
    VALID,
    body_of,
    description,
    filled,
    no_messages,
    operations,
    path_of,
    required,
    takes_all,
)
from tests.helpers.reports import store_report
from tests.in_memory_platform import HandClock, in_memory_platform

pytestmark = pytest.mark.usefixtures("streams_end")
PROBLEM = "application/problem+json"
STORES = (
    *("definitions", "assets", "episodes", "mutes", "reports", "platform_alerts", "routes"),
    *("notifications", "feedback", "misses", "access_tokens", "audit", "sources", "sinks"),
    "labels",
)


@pytest.fixture
def platform():
    made = filled(in_memory_platform(LogChannel(lambda line: None)))
    links = SignedLinks(b"k" * 40, "http://testserver", timedelta(hours=9), HandClock(at(600)).now)
    store_report(made, trust="yes", tables={"episodes": {"columns": ["id"], "rows": [["a"]]}})
    return replace(made, links=links, zone=ZoneInfo("Europe/Berlin"))


def client_of(platform, **options):
    app = create_app(platform, TOKENS, now=lambda: at(600), **options)
    return TestClient(app, raise_server_exceptions=False, follow_redirects=False)


@pytest.fixture
def client(platform, tmp_path):
    return client_of(
        platform,
        sign_in=tmp_path,
        predict_files=PredictFolder(tmp_path / "predictions"),
        source_readers=no_messages,
        sink_opener=takes_all,
        import_files=Imports(tmp_path / "imports"),
    )


def failing(platform, fault):
    """Return a client of an application none of whose stores answers."""
    stub = Failing(fault)
    broken = replace(platform, **dict.fromkeys(STORES, stub))
    client = client_of(broken, predict_files=stub, import_files=stub)
    client.app.state.previews = stub
    return client


def bodied(operation, schemas):
    if operation.get("requestBody", {}).get("content", {}).keys() & {PARQUET}:
        return {"content": b"PAR1 readings PAR1"}
    body = body_of(operation, schemas)
    return {"json": VALID[body[0]]} if body is not None else {}


def provoke(clients, path, method, operation, schemas):
    """Yield answers to what is known to go wrong with every operation."""
    given = {"params": required(operation, {}), "headers": ADMIN}
    given |= bodied(operation, schemas)
    where = path_of(path)
    for client in clients:
        yield client.request(method, where, **given)
    healthy, *_ = clients
    for headers in ({}, VIEWER, OPERATOR, SENDER, {**ADMIN, "x-large": "x" * 40_000}):
        yield healthy.request(method, where, **given | {"headers": headers})
    unknown = path_of(path, id="0" * 12, name="nothing-of-this-name")
    for other in (unknown, path_of(path, id="x" * 300, name="x" * 300)):
        yield healthy.request(method, other, **given)
    if method != "GET":
        size = {**ADMIN, "content-length": str(largest_body(where) + 1)}
        yield healthy.request(method, where, headers=size, content=b"")
        yield healthy.request(method, where, headers=ADMIN, content=iter([b"{}"]))


def test_every_status_that_is_seen_is_declared_and_every_refusal_is_a_problem_document(
    client, platform
):
    away = failing(platform, ServerSelectionTimeoutError("no servers at db.plant.internal"))
    broken = failing(platform, RuntimeError("a fault of db.plant.internal"))
    wrong = []
    for path, method, operation, schemas in operations():
        for answer in provoke((client, away, broken), path, method, operation, schemas):
            is_declared = str(answer.status_code) in operation["responses"]
            if not is_declared or (answer.status_code >= 400 and not is_problem(answer)):
                wrong.append((method, path, answer.status_code, answer.text[:200]))
    assert wrong == []


def is_problem(answer):
    """Return whether an answer is a problem document, which tells no secret."""
    told = answer.json() if answer.headers["content-type"] == PROBLEM else {}
    faults = told.pop("faults", [])
    return (
        set(told) == {"type", "title", "status", "detail", "instance"}
        and all(fault["message"] in told["detail"] for fault in faults)
        and (not faults or answer.status_code == 422)
        and "plant.internal" not in answer.text
    )


def test_every_problem_is_declared_as_a_problem_document():
    problem = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    declared = {
        (method, path, status): answer["content"] if answer["description"] else None
        for path, method, operation, _ in operations()
        for status, answer in operation["responses"].items()
        if int(status) >= 400
    }
    assert declared == dict.fromkeys(declared, problem)
    schema = json.dumps(description())
    assert [word for word in ("HTTPValidationError", "x-names") if word in schema] == []


# Methods, instants and times


def test_head_answers_as_get_does_without_a_body_on_every_page_and_in_the_whole_api(
    client, platform
):
    report = platform.reports.for_definition("too-hot")[0].id
    named = {"id": episode(1).id, "name": "too-hot", "token": "x", "table": "episodes"}
    wrong = []
    for route, headers in product(client.app.routes, (ADMIN, {})):
        if "GET" not in (getattr(route, "methods", None) or ()) or "/sign-in/" in route.path:
            continue
        own = named | ({"id": report} if "/reports/" in route.path else {})
        address = f"{path_of(route.path, **own)}?definition=too-hot&asset=oven-1"
        shown = client.get(address, headers=headers)
        head = client.head(address, headers=headers)
        expected = (shown.status_code, b"", shown.headers)
        if (head.status_code, head.content, head.headers) != expected or head.is_server_error:
            wrong.append((address, shown, head))
    assert wrong == []


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
    possible = {"mutes": "GET, HEAD, POST", "kpi": "GET, HEAD", "readings": "POST"}
    for path, method in product(possible, ("DELETE", "PUT", "PATCH", "OPTIONS", "TRACE")):
        answer = client.request(method, f"/api/v1/{path}", headers=ADMIN)
        told = f"{method} is not possible here; possible: {possible[path]}"
        found = (expect_problem(answer, 405), answer.headers["allow"])
        assert found == (told, possible[path]), path
    assert client.head("/api/v1/readings", headers=ADMIN).headers["allow"] == "POST"


def test_a_number_is_no_instant_in_any_parameter(client):
    instants = [
        (path, method, operation, parameter["name"])
        for path, method, operation, _ in operations()
        for parameter in operation.get("parameters", ())
        if '"date-time"' in json.dumps(parameter["schema"])
    ]
    assert len(instants) >= 8
    numbers = ["0.5", "0", "-1", "1767571200", "1e9", "nan", "true"]
    wrong = []
    for (path, method, operation, name), given in product(instants, numbers):
        query = required(operation, {name: given})
        answer = client.request(method, path_of(path), params=query, headers=ADMIN)
        detail = expect_problem(answer, 422)
        hint = f"'{given}' is a number and no instant; write for example 2026-01-31T06:00Z"
        if given != "true" and detail != f"{name}: {hint}":
            wrong.append((path, name, given, detail))
    assert wrong == []


def test_sentences_have_the_times_of_the_plant_and_fields_are_utc(client, platform):
    late = translatable("late data showed it at {when}", when=at(30))
    evaluation = replace(episode(3).evaluation, reason=late)
    platform.episodes.insert(episode(3, evaluation=evaluation))
    since = translatable("no reading since {when}", when=at(5))
    platform.platform_alerts.report("stale", "line 1", since, at(6))
    found = read(client, "episodes")["items"]
    shown = {one["id"]: (one["reason"], one["raised_at"]) for one in found}
    told = "late data showed it at 2026-01-05 01:30 CET"
    assert shown[episode(3).id] == (told, "2026-01-05T00:03:00Z")
    detail = read(client, f"episodes/{episode(3).id}")
    assert "Late data showed it at 2026-01-05 01:30 CET" in detail["message"]
    assert detail["transitions"][0]["at"] == "2026-01-05T00:03:00Z"
    [alert] = read(client, "platform-alerts")
    assert (alert["reason"], alert["opened_at"]) == (
        "no reading since 2026-01-05 01:05 CET",
        "2026-01-05T00:06:00Z",
    )
    facts = read(client, "why", definition="too-hot", asset="oven-1")["facts"]
    assert [fact for fact in facts if "was raised at 2026-01-05 10:50 CET" in fact]
    acted = {"acted_at": "2026-01-06T00:00:00.5Z"}
    answer = client.post(f"/api/v1/episodes/{episode(3).id}/confirm", json=acted, headers=OPERATOR)
    told = "acted at 2026-01-06 01:00 CET lies after now, 2026-01-05 11:00 CET"
    assert expect_problem(answer, 422) == told
    asked = {"from": "2026-01-04T00:00Z", "to": "2026-01-03T00:00:07Z"}
    told = "from 2026-01-04 01:00 CET must lie before to 2026-01-03 01:00:07 CET"
    assert read(client, "kpi", **asked)["detail"] == told


# The page of the API, and the examples of its bodies


def test_the_page_shows_the_description_by_scripts_that_are_served_here(client):
    page = client.get("/api", headers=VIEWER).text
    own = re.findall(r'(?:src|href)="(/scripts/[^"]+)"', page)
    assert {"/scripts/swagger-ui-bundle.js", "/scripts/swagger-ui.css"} <= set(own)
    assert {client.get(address, headers=VIEWER).status_code for address in own} == {200}
    assert "<script>" not in page


def test_every_body_that_people_write_has_an_example_of_its_schema():
    bodies = {
        body[0]: schemas
        for _, _, operation, schemas in operations()
        if (body := body_of(operation, schemas)) is not None
    }
    for name, schemas in bodies.items():
        (example,) = schemas[name]["examples"]
        whole = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
        jsonschema.validate(example, whole, cls=jsonschema.Draft202012Validator)
        assert example, name
