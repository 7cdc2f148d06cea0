"""Operations of the API with valid and malformed input."""

import re
from datetime import UTC, datetime, timedelta
from functools import cache

from alerting.console.app import create_app
from alerting.usecases.access.accounts import register_services
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.sink_delivery import SINKS
from alerting.usecases.sources.poll import Readers
from alerting.usecases.sources.status import SOURCES
from tests.builders import at, oven, too_hot, too_moist
from tests.helpers.console.api import TOKENS, episode
from tests.in_memory_platform import in_memory_platform

ADMIN_TOKEN = list(TOKENS)[2]


ADMIN = {"authorization": f"Bearer {ADMIN_TOKEN}"}


BROKER = {"name": "too-hot", "kind": "mqtt", "url": {"env": "BROKER_URL"}, "topic": "line-1/#"}
"""A source, of the same name as a definition, so that one name fits all addresses."""


def no_messages():
    """Return readers of a broker that has none."""
    return Readers(None, None)


class TakesAll:
    """A receiver that takes everything."""

    def probe(self, message):
        return f"{message.key} was taken"

    def close(self):
        """Do nothing."""


def takes_all():
    """Return what connects any sink to a receiver that takes everything."""
    return lambda sink: TakesAll()


SINK = {"name": "too-hot", "kind": "webhook", "url": {"env": "MES_URL"}}


VALID = {
    "FeedbackBody": {
        "verdict": "unsure",
        "acted": True,
        "action": "a",
        "comment": "c",
        "acted_at": "2026-01-05T00:01:00Z",
    },
    "AckBody": {"note": "n"},
    "ReasonBody": {"reason": "r"},
    "ConfirmBody": {"action": "a", "acted_at": "2026-01-05T00:01:00Z"},
    "CommentBody": {"comment": "c"},
    "AssignBody": {"to": "bob"},
    "MuteBody": {
        "kind": "maintenance",
        "part": "oven-1",
        "asset": "oven-1",
        "definition": "too-hot",
        "up_to": "high",
        "for": "1h",
        "reason": "r",
        "notified": [],
    },
    "ProlongBody": {"until": "2026-01-06T03:00:00Z"},
    "RetryBody": {"id": "all"},
    "ReadingBody": {
        "ts": "2026-01-05T02:00:00Z",
        "asset": "oven-1",
        "values": {"temperature": 1.5},
        "quality": "good",
    },
    "EventBody": {
        "ts": "2026-01-05T02:00:00Z",
        "asset": "oven-1",
        "type": "stop",
        "end": "2026-01-05T02:10:00Z",
    },
    "TokenBody": {
        "name": "gateway",
        "owner": "ada",
        "role": "sender",
        "ends_at": (datetime.now(UTC) + timedelta(days=100)).isoformat(),
    },
    "DefinitionBody": too_hot(),
    "AssetBody": {
        "name": "oven-1",
        "variables": {"temperature": {"unit": "°C"}, "moisture": {"unit": "%"}},
    },
    "RouteBody": {"name": "all", "channels": ["log"]},
    "SourceBody": {**BROKER, "stale_after": "5m"},
    "SinkBody": {**SINK, "stale_after": "5m"},
    "ChangeBody": {"reason": "r", "accept_load": "a"},
    "RestoreBody": {"revision": 1, "reason": "r", "accept_load": "a"},
    "ApprovalBody": {},
    "RejectionBody": {"reason": "r"},
    "RollbackBody": {"reason": "r"},
    "StatedReasonBody": {"reason": "r"},
    "ScenariosBody": {
        "definition": too_hot(),
        "scenarios": [{"title": "warm", "readings": {"temperature": [200]}, "expect": []}],
    },
    "PreviewBody": {
        "definition": too_hot(),
        "from": "2026-01-05T00:00:00Z",
        "to": "2026-01-05T02:00:00Z",
    },
    "PredictBatchBody": {"assets": ["oven-1"], "at": "2026-01-05T02:00:00Z"},
    "PredictBody": {"asset": "oven-1", "at": "2026-01-05T02:00:00Z"},
    "LabelBody": {
        "asset": "oven-1",
        "start": "2026-01-05T00:00:00Z",
        "end": "2026-01-05T00:01:00Z",
        "kind": "bad",
        "reason": "r",
    },
    "MissBody": {
        "definition": "too-hot",
        "asset": "oven-1",
        "at": "2026-01-05T02:00:00Z",
        "comment": "c",
    },
}


def filled(platform):
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot(title="Oven too hot"), too_moist()], "engineer", at(0), "first")
    register_services(platform, dict(TOKENS.values()), at(0))
    platform.episodes.insert(episode(1))
    platform.episodes.insert(episode(590, condition="open"))
    platform.routes.store_document({"name": "all", "match": {}, "channels": ["log"]})
    SOURCES.apply(platform, [BROKER], "engineer", at(0))
    SINKS.apply(platform, [SINK], "engineer", at(0))
    platform.clock.instant = at(600)
    return platform


@cache
def description():
    """Return the API's own description, which every application has alike: to make it takes half a
    second."""
    app = create_app(in_memory_platform(), TOKENS)
    return app.openapi()


def operations():
    schema = description()
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation, schema["components"]["schemas"]


def path_of(path, **names):
    known = {"id": episode(1).id, "name": "too-hot", "number": "1", "asset": "oven-1"} | names
    return re.sub(r"\{(\w+)\}", lambda m: known.get(m[1], "x"), path)


def required(operation, beside):
    known = {"definition": "too-hot", "asset": "oven-1", "from": "1", "variable": "moisture"}
    known |= {"start": "2026-01-05T00:00Z", "end": "2026-01-06T00:00Z", "above": "1"}
    return {
        p["name"]: known[p["name"]]
        for p in operation.get("parameters", ())
        if p["in"] == "query" and (p.get("required") or p["name"] == "above")  # one limit at least
    } | beside


def body_of(operation, schemas):
    """Return name and fields of the body of an operation, None without a body."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    shapes = content["schema"].get("anyOf", [content["schema"]])
    name = next(s["$ref"] for s in shapes if "$ref" in s).rpartition("/")[2]
    return name, schemas[name]["properties"]
