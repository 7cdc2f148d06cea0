"""The statuses that the API declares, compared with those that it answers, operation by
operation."""

import json
import re
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from pymongo.errors import ServerSelectionTimeoutError

from alerting.adapters.channels.log import LogChannel
from alerting.adapters.predictions import PredictFolder, PredictJob, ScoredFile
from alerting.console.api.predict_jobs_api import PARQUET
from alerting.console.app import create_app
from alerting.console.gate import largest_body
from alerting.console.imports.imports import Imports
from alerting.episodes.episode import episode_id
from alerting.operators.silences import MOST_SILENCES, SilenceScope, new_silence
from alerting.ports import DecisionRecord
from alerting.readings.interval_labels import IntervalLabel
from alerting.usecases.labels.marking import MOST_LABELS
from alerting.usecases.training.due import begin_training
from alerting.usecases.training.overview import model_line
from alerting.usecases.training.runs import answer_run
from tests.builders import at
from tests.helpers.console.api import OPERATOR, SENDER, TOKENS, VIEWER, episode
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
from tests.helpers.learning.stored_platforms import stored_platform
from tests.helpers.learning.waiting import add_waiting
from tests.helpers.reports import store_report
from tests.helpers.scored_lines import humid_line
from tests.humid_line import NAME
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models
PROBLEM = "application/problem+json"


class Down:
    def __getattr__(self, name):
        raise ServerSelectionTimeoutError("no servers")


class Broken:
    def __getattr__(self, name):
        raise RuntimeError("a fault")


def client_of(platform, **options):
    app = create_app(platform, TOKENS, now=lambda: datetime(2026, 1, 6, tzinfo=UTC), **options)
    return TestClient(app, raise_server_exceptions=False, follow_redirects=False)


def everywhere(stub):
    made = filled(in_memory_platform(LogChannel(lambda line: None)))
    stores = (
        "definitions",
        "assets",
        "episodes",
        "shelves",
        "reports",
        "platform_alerts",
        "routes",
        "notifications",
        "feedback",
        "misses",
        "access_tokens",
        "audit",
        "sources",
        "sinks",
        "labels",
        "silences",
    )
    client = client_of(
        replace(made, **dict.fromkeys(stores, stub)), predict_files=stub, import_files=stub
    )
    client.app.state.previews = stub
    return client


def come_true():
    """A prediction whose problem has come, and of which no reading tells anything since."""
    moist = {
        "definition": "too-moist",
        "kind": "classifier",
        "happening_at": at(30),
        "valid_until": at(50),
    }
    return episode(20, condition="open", id=episode_id("too-moist", "oven-1", at(20)), **moist)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    made = filled(in_memory_platform())
    made.episodes.insert(come_true())
    made.decisions.add(
        DecisionRecord(
            "too-moist", at(0), 1, 1, None, True, True, "promote", "first", {}, "run-1", "platform"
        )
    )
    store_report(made, trust="yes", tables={"episodes": {"columns": ["id"], "rows": [["a"]]}})
    files = PredictFolder(tmp_path_factory.mktemp("predictions"))
    return client_of(
        replace(made, channels={"log": LogChannel(lambda line: None)}),
        predict_files=files,
        source_readers=no_messages,
        sink_opener=takes_all,
        import_files=Imports(tmp_path_factory.mktemp("imports")),
    )


@pytest.fixture(scope="module")
def clients(client):
    """A healthy one, one whose database is away, one with a fault."""
    return client, everywhere(Down()), everywhere(Broken())


def bodied(operation, schemas):
    if operation.get("requestBody", {}).get("content", {}).keys() & {PARQUET}:
        return {"content": b"PAR1 readings PAR1"}
    body = body_of(operation, schemas)
    return {"json": VALID[body[0]]} if body is not None else {}


def wrong_path(path):
    is_hash = any(folder in path for folder in ("/predict-jobs/", "/previews/"))
    id = "0" * 12 if is_hash else "nothing-of-this-id"
    return (
        path.replace("{id}", id).replace("{name}", "nothing-of-this-name").replace("{number}", "1")
    )


def named(client, path):
    """Names of things that exist, for the path of an operation."""
    if path.startswith("/api/v1/reports/"):
        return {
            "id": client.get("/api/v1/reports", headers=ADMIN).json()[0]["id"],
            "table": "episodes",
        }
    if "/predict-jobs/" in path:
        state = client.app.state
        id = uuid.uuid4().hex[:12]
        job = PredictJob(id, "too-moist", "ada", at(0), 10, state="waiting")
        if path.endswith("/scores"):
            job = replace(job, state="done", result=ScoredFile(1, 1, 1, {}))
        state.predict_files.store(job)
        state.predict_files.file(id, "scores.parquet").write_bytes(b"scores")
        return {"id": id}
    for folder, made_at, body, key in (
        ("/api/v1/shelves/", "/api/v1/shelves", "ShelfBody", "id"),
        ("/api/v1/silences/", "/api/v1/silences", "SilenceBody", "id"),
        ("/api/v1/tokens/", "/api/v1/tokens", "TokenBody", "key"),
        ("/api/v1/labels/", "/api/v1/labels", "LabelBody", "id"),
        ("/api/v1/previews/", "/api/v1/definitions:preview", "PreviewBody", "id"),
    ):
        if path.startswith(folder):
            return {"id": client.post(made_at, json=VALID[body], headers=ADMIN).json()[key]}
    if path.endswith("{name}:activate"):
        client.post("/api/v1/definitions/too-hot:retire", headers=ADMIN)
    if re.match(r"/api/v1/definitions/\{name\}/(models|trainings|predict)", path):
        prepare_models(client.app.state.platform, path.rpartition(":")[2])
        return {"name": NAME}
    own = {"id": come_true().id} if path.endswith("/close") else {}
    by_folder = {
        "/api/v1/routes/": {"name": "all"},
        "/api/v1/assets/{name}": {"name": "oven-1"},
    }
    return next((name for folder, name in by_folder.items() if path.startswith(folder)), own)


def store_route(client):
    """Store the route of every operation, also after one has removed it."""
    client.app.state.platform.routes.store_document({"name": "all", "channels": ["log"]})


def prepare_models(platform, act):
    """Let a version wait, an earlier one be there to go back to, or a training be under way."""
    files = stored_platform(humid_line).models.model_files(NAME, 1)
    if act in ("approve", "reject"):
        add_waiting(platform, NAME)
    elif act == "rollback":
        for _ in range(2):
            line = model_line(platform, NAME)
            answer_run(
                platform, add_waiting(platform, NAME, files, champion_version=line.version), "ann"
            )
            platform.clock.instant += timedelta(minutes=1)
    elif act == "cancel":
        begin_training(platform, platform.definitions.newest_revision(NAME), None)


def provoke_conflict(send, path, operation, platform, body):
    """Status of a request that another one has answered before."""
    if "409" not in operation["responses"]:
        return
    if path.endswith("/trainings"):
        begin_training(platform, platform.definitions.newest_revision(NAME), None)
    if path.endswith("/labels"):
        for number in range(MOST_LABELS):
            platform.labels.insert(mark(number))
        body = {"json": {**body["json"], "end": "2026-01-05T00:02:00Z"}}
    if path.endswith("/silences"):
        scope = SilenceScope(part="oven-1")
        for number in range(MOST_SILENCES):
            reason = ("maintenance", scope, None, at(9_000), None, str(number))
            platform.silences.insert(new_silence(*reason, (), str(number), "admin", at(0)))
    yield send(headers=ADMIN, **body)
    platform.silences.rows.clear()


def mark(number):
    begin = at(-number - 1)
    return IntervalLabel(
        f"{number:016x}", "oven-1", (), begin, at(-number), "bad", "r", "ann", at(0)
    )


def provoke_preconditions(send, operation, where, body):
    """Statuses of a change of another revision than the newest, of none, and of a new object."""
    names = {parameter["name"] for parameter in operation.get("parameters", ())}
    if "if-match" in names:
        is_content = where.startswith(("/api/v1/assets/", "/api/v1/routes/"))
        stale = "0" * 16 if is_content else "99"
        yield send(headers={**ADMIN, "if-match": f'"{stale}"'}, **body)
        yield send(headers=ADMIN, **body)
    if "if-none-match" in names:
        new = {**body["json"], "name": "too-new"}
        folder = where.rpartition("/")[0]
        yield send(at=f"{folder}/too-new", headers={**ADMIN, "if-none-match": "*"}, json=new)
        yield send(at=f"{folder}/too:new", **body)  # a name that none can have


def provoke(clients, path, method, operation, schemas):
    """Statuses of everything that is known to go wrong with an operation."""
    client, down, broken = clients
    store_route(client)
    query = required(operation, {})
    body = bodied(operation, schemas)
    where = path_of(path, **named(client, path))

    tag = client.get(where, headers=ADMIN).headers.get("etag", '"1"') if method == "PUT" else ""
    own = {**ADMIN, "if-match": tag} if tag else ADMIN

    def send(to=client, at=where, headers=own, **request):
        return to.request(method, at, headers=headers, **({"params": query} | request))

    yield send(**body)
    yield send(headers={}, **body)
    yield send(headers=VIEWER, **body)
    yield send(headers=OPERATOR, **body)
    yield send(headers=SENDER, **body)
    yield send(down, **body)
    yield send(broken, **body)
    yield send(headers={**ADMIN, "x-large": "x" * 40_000}, **body)
    yield send(at=wrong_path(path), **body)
    yield send(at=path_of(path, id="x" * 300, name="x" * 300), **body)
    store_route(client)
    yield from provoke_preconditions(send, operation, where, body)
    yield from provoke_conflict(send, path, operation, client.app.state.platform, body)
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "query":
            yield send(params=query | {parameter["name"]: "0001-01-01T00:00:00Z" + "x" * 300})
            yield send(params=query | {parameter["name"]: "nothing-of-this-name"})
    if method != "GET":
        kind = {**ADMIN, "content-type": "application/json"}
        for content in (b"{", b"[" * 50_000, b"9" * 60_000, b"[]"):
            yield send(headers=kind, content=content)
        yield send(headers={**kind, "content-length": str(largest_body(where) + 1)}, content=b"")
        yield send(headers=kind, content=iter([b"{}"]))
        if path.endswith("/dead-letters/retry"):
            yield send(json={"id": "nothing-of-this-id"})
        if {"definition", "kind"} & {*body.get("json", ())}:
            for field in {"definition", "asset"} & {*body["json"]}:
                yield send(json={**body["json"], field: "nothing-of-this-name"})
        for field in {"owner", "line"} & {*body.get("json", ())}:
            yield send(json={**body["json"], field: "nothing-of-this-name"})


def not_provoked_here(status):
    # need time: tests/console/api/test_api_limits.py and test_api_sessions.py
    return status in {
        "408",
        "429",
    }


def test_every_status_that_is_seen_is_declared_and_every_one_that_is_declared_is_seen(
    client, clients
):
    undeclared = []
    unseen = []
    for path, method, operation, schemas in operations():
        declared = set(operation["responses"])
        seen = set()
        for answer in provoke(clients, path, method, operation, schemas):
            seen.add(str(answer.status_code))
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == PROBLEM, (path, answer.status_code)
                told = answer.json()
                faults = told.pop("faults", [])
                assert set(told) == {"type", "title", "status", "detail", "instance"}
                assert all(fault["message"] in told["detail"] for fault in faults)
                assert not faults or answer.status_code == 422
        undeclared += [(method, path, status) for status in sorted(seen - declared)]
        unseen += [
            (method, path, status)
            for status in sorted(declared - seen)
            if not not_provoked_here(status)
        ]
    assert undeclared == []
    assert sorted(unseen) == []


def test_every_problem_is_declared_as_a_problem_document(client):
    schema = client.get("/api/v1/openapi.json", headers=ADMIN).json()
    assert set(schema["components"]["schemas"]["Problem"]["properties"]) == {
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "faults",
    }
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
