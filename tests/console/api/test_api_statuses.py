"""Statuses and problems that the API declares, compared with what each operation answers."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient
from pymongo.errors import ServerSelectionTimeoutError

from alerting.adapters.channels.log import LogChannel
from alerting.adapters.predictions import PredictFolder
from alerting.console.api.predict_jobs_api import PARQUET
from alerting.console.app import create_app
from alerting.console.gate import largest_body
from alerting.console.imports.imports import Imports
from tests.helpers.console.api import OPERATOR, SENDER, TOKENS, VIEWER
from tests.helpers.console.rubbish import (
    ADMIN,
    VALID,
    body_of,
    filled,
    no_messages,
    operations,
    path_of,
    required,
    takes_all,
)
from tests.in_memory_platform import in_memory_platform

PROBLEM = "application/problem+json"
STORES = (
    *("definitions", "assets", "episodes", "shelves", "reports", "platform_alerts", "routes"),
    *("notifications", "feedback", "misses", "access_tokens", "audit", "sources", "sinks"),
    *("labels", "silences"),
)


class Failing:
    def __init__(self, fault):
        self._fault = fault

    def __getattr__(self, name):
        raise self._fault


def client_of(platform, **options):
    app = create_app(platform, TOKENS, now=lambda: datetime(2026, 1, 6, tzinfo=UTC), **options)
    return TestClient(app, raise_server_exceptions=False, follow_redirects=False)


def failing(fault):
    """Return a client of an application none of whose stores answers."""
    stub = Failing(fault)
    made = filled(in_memory_platform(LogChannel(lambda line: None)))
    made = replace(made, **dict.fromkeys(STORES, stub))
    client = client_of(made, predict_files=stub, import_files=stub)
    client.app.state.previews = stub
    return client


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    """Return a healthy one, one whose database is away, one with a fault of ours."""
    healthy = client_of(
        filled(in_memory_platform(LogChannel(lambda line: None))),
        predict_files=PredictFolder(tmp_path_factory.mktemp("predictions")),
        source_readers=no_messages,
        sink_opener=takes_all,
        import_files=Imports(tmp_path_factory.mktemp("imports")),
    )
    away = failing(ServerSelectionTimeoutError("no servers at db.plant.internal"))
    return healthy, away, failing(RuntimeError("a fault of db.plant.internal"))


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


def test_every_status_that_is_seen_is_declared_and_every_refusal_is_a_problem_document(clients):
    undeclared = []
    for path, method, operation, schemas in operations():
        for answer in provoke(clients, path, method, operation, schemas):
            if str(answer.status_code) not in operation["responses"]:
                undeclared.append((method, path, answer.status_code, answer.text[:200]))
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == PROBLEM, (path, answer.status_code)
                told = answer.json()
                faults = told.pop("faults", [])
                assert set(told) == {"type", "title", "status", "detail", "instance"}
                assert all(fault["message"] in told["detail"] for fault in faults)
                assert not faults or answer.status_code == 422
                assert "plant.internal" not in answer.text
    assert undeclared == []


def test_every_problem_is_declared_as_a_problem_document(clients):
    schema = clients[0].get("/api/v1/openapi.json", headers=ADMIN).json()
    for path, method, operation, _ in operations():
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == [PROBLEM], (method, path, status)
                assert answer["content"][PROBLEM]["schema"] == {
                    "$ref": "#/components/schemas/Problem"
                }
                assert answer["description"]
    assert "HTTPValidationError" not in json.dumps(schema)
    assert "x-names" not in json.dumps(schema)
