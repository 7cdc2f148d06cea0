"""A database with at least one valid document in each collection, and six kinds of junk made of
each of them."""

import dataclasses
import types
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from alerting.demo.line import DemoLineState
from alerting.episodes.episode import Episode, Feedback
from alerting.episodes.lifecycle import ConditionState
from alerting.learning.features.planning import DerivedFeatures
from alerting.operators.account_rules import AccessToken, Account, Session
from alerting.operators.actions_and_mutes import Mute
from alerting.ports import (
    Arrival,
    DeadMessage,
    DecisionRecord,
    FileMark,
    PastEvaluation,
    PlatformAlert,
    ReportHead,
    SinkLetter,
    SinkProgress,
    SourceProgress,
    StoredForm,
    Training,
)
from alerting.readings.buckets import RollupState
from alerting.readings.interval_labels import IntervalLabel
from alerting.stores.database import documents as c
from alerting.stores.database.documents import Document, to_document
from alerting.stores.database.indexes import INDEXES
from alerting.stores.database.transactions_and_leases import LEASES
from tests.builders import at

NAMES = {
    "definition": "too-hot",
    "asset": "oven-1",
    "source": "gateway",
    "name": "gateway",
    "month": "2026-01",
    "kind": "plain",
}
SIMPLE = {
    str: "x",
    int: 1,
    float: 1.5,
    bool: False,
    bytes: b"x",
    datetime: at(0),
    timedelta: timedelta(minutes=1),
}
REQUESTS = {
    "definitions": ["too-hot"],
    "assets": ["oven-1"],
    "starts": [at(0)],
    "waiting": [0],
}
HOURS = {"asset": "oven-1", "variable": "moisture", "size": "hours", "start": at(0), "parts": {}}
MEGABYTE = "x" * 1_000_000


def example(hint: Any, name: str = "", depth: int = 0) -> Any:
    """Return a value of a type, with every field of a dataclass given, down to a depth at which
    optional ones are None."""
    origin = get_origin(hint) or hint
    if dataclasses.is_dataclass(hint):
        hints = get_type_hints(hint)
        return hint(
            **{
                field.name: example(hints[field.name], field.name, depth + 1)
                for field in dataclasses.fields(hint)
            }
        )
    if origin in (Union, types.UnionType):
        members = get_args(hint)
        return None if depth > 2 and type(None) in members else example(members[0], name, depth)
    if origin is Literal:
        return get_args(hint)[0]
    if origin is tuple:
        return (
            ()
            if depth > 2
            else tuple(
                example(member, name, depth) for member in get_args(hint) if member is not Ellipsis
            )
        )
    others = {} if isinstance(origin, type) and issubclass(origin, Mapping) else []
    return NAMES.get(name, SIMPLE[origin]) if origin in SIMPLE else others


def _without_id(document: Document) -> Document:
    return {name: value for name, value in document.items() if name != "id"}


def _with_id(cls: type, id: str) -> Document:
    document = to_document(example(cls))
    return {**document, "_id": id}


def _of_sinks() -> dict[str, Document]:
    return {
        c.SINK_PROGRESS: {**to_document(example(SinkProgress)), "_id": "scada"},
        c.SINK_ALARMS: {"sink": "scada", "episode": "e", "sent": 1, "at": at(0)},
        c.SINK_LETTERS: _with_id(SinkLetter, "scada:e:1"),
    }


def valid_documents() -> dict[str, Document]:
    """Return a valid document for each collection that a young platform leaves empty."""
    mute = dataclasses.replace(example(Mute), until=at(60_000), ended_at=None, asset="oven-2")
    state = {"definition": "too-hot", "asset": "oven-1", **to_document(example(ConditionState))}
    return {
        c.FAULTS: {"_id": "too-moist", "faults": ["horizon: is missing"]},
        c.DERIVED_FEATURES: _with_id(DerivedFeatures, "too-moist|q"),
        c.SOURCE_PROGRESS: {**to_document(example(SourceProgress)), "_id": "gateway"},
        **_of_sinks(),
        c.SOURCE_FILES: to_document(example(FileMark)),
        c.FILE_FORMS: _with_id(StoredForm, "form"),
        c.DEAD_MESSAGES: _with_id(DeadMessage, "dead"),
        c.DELIVERY_ANSWERS: {"_id": "key", "answer": {"rows": 1}, "at": at(0)},
        LEASES: {"_id": "stream", "holder": "host-1", "reads": ["line"], "at": at(0)},
        c.LABELS: _without_id(_with_id(IntervalLabel, "0123456789abcdef")),
        c.ROLLUPS: HOURS,
        c.ROLLUP_STATES: to_document(example(RollupState)),
        c.CHECKPOINTS: state,
        c.ARRIVALS: {**_with_id(Arrival, "arrival"), "waits": True, "written": True},
        c.REPROCESSING_REQUESTS: REQUESTS,
        c.MUTES: {**to_document(mute), "_id": "mute", "end": mute.end},
        c.FEEDBACK: {**to_document(example(Feedback)), "episode": "e", "key": "feedback"},
        c.DECISIONS: {
            **to_document(example(DecisionRecord)),
            "definition": "too-moist",
            "rank_key": "too-moist|1",
        },
        c.TRAININGS: {**_with_id(Training, "too-moist|q"), "definition": "too-moist"},
        c.SCORES: {
            "definition": "too-hot",
            "asset": "oven-1",
            "ts": at(1),
            "score": 0.5,
            "threshold": 0.7,
            "model_version": 1,
        },
        c.PAST_EVALUATIONS: to_document(example(PastEvaluation)),
        c.REPORTS: {
            **_with_id(ReportHead, "report"),
            "at": at(0),
            "content": b"x",
            "page": b"x",
            "period": "2026-W01",
        },
        c.ACCOUNTS: _with_id(Account, "anna"),
        c.ACCESS_TOKENS: _with_id(AccessToken, "0" * 64),
        c.SESSIONS: {**_with_id(Session, "1" * 64), "ends_at": at(60_000_000)},
        c.WRONG_ATTEMPTS: {"_id": "2" * 64, "wrong": 1, "last": at(60_000_000)},
        c.PLATFORM_ALERTS: {
            **to_document(example(PlatformAlert)),
            "resolved_at": None,
            "open_key": "x|x",
        },
        c.BACKTESTS: {
            "_id": "run",
            "definition": "too-hot",
            "begun_at": at(0),
            "start": at(0),
            "end": at(60),
            "segments": {},
        },
        c.BACKTEST_EPISODES: {**to_document(example(Episode)), "backtest": "run"},
        c.BACKTEST_FILES: {"backtest": "run", "segment": 1, "name": "a", "piece": 0, "data": b"x"},
        c.CLOCK: {"_id": "other", "base": at(0), "speed": 1.0, "anchored": at(0), "until": at(0)},
        c.LINES: {
            "_id": "oven-9",
            "version": 1,
            "state": to_document(example(DemoLineState)),
            "requests": [],
        },
    }


def junk(collection: str, valid: Document) -> Iterator[tuple[str, Document]]:
    """Yield six kinds of junk made of a valid document, each with a name: every field of it is
    spoilt in each way once."""
    made = 0
    for field, value in valid.items():
        if field == "_id":
            continue
        spoilt = {
            "missing": None,
            "wrong type": {"junk": [1]} if not isinstance(value, dict) else "junk",
            "NaN": float("nan"),
            "unknown": "no-such-thing",
            "nothing": None,
        }
        for kind, new in spoilt.items():
            document = {**valid, field: new}
            if kind == "missing":
                del document[field]
            made += 1
            yield f"{collection}.{field}: {kind}", _distinct(collection, document, field, made)
    texts = [field for field, value in valid.items() if isinstance(value, str) and field != "_id"]
    for field in texts[:2]:
        made += 1
        yield (
            f"{collection}.{field}: 1 MB",
            _distinct(collection, {**valid, field: MEGABYTE}, field, made),
        )
    for field in [
        field
        for field in ("definition", "asset", "episode", "source", "name", "backtest")
        if field in valid
    ]:
        made += 1
        yield (
            f"{collection}.{field}: a key to nothing",
            _distinct(collection, {**valid, field: f"nowhere-{made}"}, field, made),
        )


def _distinct(collection: str, document: Document, spoilt: str, number: int) -> Document:
    """Return a document that no unique index refuses: the last field of each is another, unless it
    is the spoilt one."""
    document = dict(document)
    if isinstance(document.get("_id"), str):
        document["_id"] += f"-junk-{number}"
    elif isinstance(document.get("_id"), int):
        document["_id"] += number
    else:
        document.pop("_id", None)
    for index in INDEXES[collection]:
        if index.document.get("unique"):
            last = next(
                (field for field in reversed(list(index.document["key"])) if field != spoilt), None
            )
            if last in document:
                document[last] = _another(document[last], number)
            elif last is None and spoilt not in document:
                document[spoilt] = None
    return document


def _another(value: Any, number: int) -> Any:
    if isinstance(value, datetime):
        return value + timedelta(milliseconds=number)
    return value + number if isinstance(value, int | float) else f"{value}-junk-{number}"
