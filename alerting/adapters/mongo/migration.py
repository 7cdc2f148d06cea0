"""Rewriting of documents that earlier code stored, in the form of today: done once, when a database
is prepared.

Each step finds only documents of the earlier form, so a stopped one goes on when it is run again,
and one after the end finds nothing. Nothing else reads an earlier form. A document that has another
fault keeps it, and stops no other.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from functools import partial, reduce
from itertools import islice
from typing import Any

from pymongo import UpdateOne

from alerting.definitions.faults import DocumentRefused
from alerting.definitions.revisions import definition_hash
from alerting.definitions.wording.language import ENGLISH, read_template
from alerting.kinds.registry import parse_revision
from alerting.notifications.notification import WAITING
from alerting.stores.database.documents import (
    ACCESS_TOKENS,
    ACCOUNTS,
    ASSETS,
    BACKTEST_EPISODES,
    DEFINITIONS,
    EPISODES,
    NOTIFICATIONS,
    PLATFORM_ALERTS,
    REPORTS,
    REVISIONS,
    STATES,
    TRAININGS,
    Document,
    MongoDatabase,
    label,
    stored_text,
    to_bson,
)
from alerting.stores.definitions import is_as_written, note_written

_WITHOUT_EFFECT = ("candidates", "seed")
"""Fields of the kind `anomaly` that left."""
_RETIRED_INDEX = "status_1_delivered_at_1"
_STATES_OF_PLANT = re.compile(r"(\d\d)@[A-Za-z0-9_.-]+/(\d+)(-\d+\.\d+)?")
_STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)"
_IN_TEXT = re.compile(rf"(?<![\w'\"“=/]){_STAMP}(?!\w)")
"""An instant in a sentence. Quoted ones, and those of links, stay."""
_SEARCHED: Document = {"$regex": _IN_TEXT.pattern}
_KNOWN_AT = "the outcome is known at {when}"
_REASON = "outcome_record.reason_template"
_OUTCOMES_WITH_STAMP: Document = {f"{_REASON}.values.when": {"$regex": f"^{_STAMP}$"}}
_TEXTS_WITH_STAMPS: tuple[tuple[str, Document, list[str]], ...] = (
    (
        NOTIFICATIONS,
        {
            "status": {"$in": [*WAITING, "dead"]},
            "$or": [{"content.subject": _SEARCHED}, {"content.text": _SEARCHED}],
        },
        ["content.subject", "content.text"],
    ),
    # one with a template has its instants as values
    (
        PLATFORM_ALERTS,
        {"open_key": {"$exists": True}, "reason_template": None, "reason": _SEARCHED},
        ["reason"],
    ),
)
"""Finished texts that are still to be read: a collection, the query, and the fields."""
_BATCH = 1000
_log = logging.getLogger(__name__)


def migrate(database: MongoDatabase, zone: tzinfo = UTC) -> None:
    """Rewrite what schemas 9, 10 and 14 stored or read, and drop the index that another one
    replaces. `zone`: of the plant, for instants in finished texts. Idempotent."""
    _rewrite(database, DEFINITIONS, _with_left_fields(""), _WITHOUT_EFFECT)
    _rewrite(database, ASSETS, {"plant": {"$exists": True}}, ["plant"])
    for document in database[REVISIONS].find(_with_left_fields("definition.")):
        database[REVISIONS].replace_one(
            {"_id": document["_id"]}, revision_of_today(document), bypass_document_validation=True
        )
    undated = {"status": {"$in": ["dead", "failed"]}, "failed_at": None}
    failed = {"failed_at": "$created_at", "failing_since": "$created_at"}
    dated = database[NOTIFICATIONS].update_many(undated, [{"$set": failed}])
    database[TRAININGS].update_many({}, {"$unset": {"alarm_rule": True}})
    if dated.modified_count:
        _log.info("%d undelivered notifications have an instant now", dated.modified_count)
    _end_limited_access(database)
    _complete_reports(database)
    _complete_transitions(database)
    _rename_states(database)
    for name in (EPISODES, BACKTEST_EPISODES):
        _set_fields(database, name, _OUTCOMES_WITH_STAMP, [_REASON], outcome_of_today)
    for name, query, texts in _TEXTS_WITH_STAMPS:
        _set_fields(database, name, query, texts, partial(texts_of_today, zone))
    if _RETIRED_INDEX in database[NOTIFICATIONS].index_information():
        database[NOTIFICATIONS].drop_index(_RETIRED_INDEX)


def _rewrite(
    database: MongoDatabase, collection: str, query: Document, removed: Collection[str]
) -> None:
    """Remove fields that left from documents that people write. The copy of what the platform wrote
    follows, except for a document that was edited in the database, which stays an edit."""
    for document in database[collection].find(query):
        written = _without(document, removed)
        name = label(document)
        if is_as_written(database, collection, document):
            note_written(database, collection, {name: _without(written, ["_id"])})
        database[collection].replace_one(
            {"_id": document["_id"]}, written, bypass_document_validation=True
        )
        _log.info("%s: rewritten without fields that left", name)


def _without(document: Document, fields: Collection[str]) -> Document:
    return {name: value for name, value in document.items() if name not in fields}


def _with_left_fields(path: str) -> Document:
    """Return the query for documents with a field that left. `path`: of the definition in them."""
    present: list[Document] = [{path + name: {"$exists": True}} for name in _WITHOUT_EFFECT]
    return {f"{path}kind": "anomaly", "$or": present}


def revision_of_today(document: Document) -> Document:
    """Return a revision of an anomaly definition without the fields that left, with the hash of
    what remains; its question stays, so that its champion goes on. The hash of a revision that
    cannot be read stays as it is."""
    after = document | {"definition": _without(document["definition"], _WITHOUT_EFFECT)}
    with suppress(DocumentRefused):
        after["hash"] = definition_hash(parse_revision(_without(after, ["_id"])).definition)
    return after


def _end_limited_access(database: MongoDatabase) -> None:
    """Disable accounts, and end tokens, that were limited to some assets, so that they do not gain
    the whole plant."""
    limited: Document = {"scope": {"$ne": None}}
    for name, end, instant in (
        (ACCOUNTS, "disabled_at", {"$ifNull": ["$disabled_at", "$sessions_from"]}),
        (ACCESS_TOKENS, "ends_at", "$made_at"),
    ):
        ended = database[name].update_many(limited, [{"$set": {end: instant}}, {"$unset": "scope"}])
        if ended.modified_count:
            _log.info("%s: %d that were limited have ended", name, ended.modified_count)


def _complete_reports(database: MongoDatabase) -> None:
    """Store whether a report is empty, and its picture. Those of 0.1.0 have a number instead, 0
    where there was nothing to report."""
    usual = {"empty": {"$eq": ["$revision", 0]}, "picture": b""}
    database[REPORTS].update_many(
        {"$or": [{name: None} for name in usual]},
        [{"$set": {name: {"$ifNull": [f"${name}", value]} for name, value in usual.items()}}],
    )


def _complete_transitions(database: MongoDatabase) -> None:
    query = {"transitions": {"$elemMatch": {"outcome": {"$exists": False}}}}
    for name in (EPISODES, BACKTEST_EPISODES):
        for document in database[name].find(query, {"transitions": True}):
            transitions = [*map(transition_of_today, document["transitions"])]
            database[name].update_one(
                {"_id": document["_id"]}, {"$set": {"transitions": transitions}}
            )


def transition_of_today(stored: Any) -> Any:
    """Return a transition whose severity or outcome stood only in its sentence with these as
    fields, and with the verdict in words. One that cannot be read stays as it is."""
    with suppress(LookupError, TypeError, AttributeError):
        if "outcome" in stored:
            return stored
        kind = stored["kind"]
        reason = stored["reason"]
        after: Document = {"severity": None, "outcome": None} | stored
        if kind == "feedback":
            words = reason.replace("true_alarm", "right").replace("false_alarm", "wrong")
            return after | {"reason": words}
        if kind in ("severity", "outcome"):
            change, _, cause = reason.partition(": ")
            values = {"change": change, "reason": cause}
            template = {"reason_template": {"template": "{change}: {reason}", "values": values}}
            return template | after | {kind: change.rpartition("→ ")[2]}
        return after
    return stored


def _rename_states(database: MongoDatabase) -> None:
    """Give documents of states that a plant had for itself a name without it; each state moves on
    from there when it is next advanced. The number of parts is never 0 in another name."""
    for document in database[STATES].find({"_id": {"$regex": "@"}}):
        if named := _STATES_OF_PLANT.fullmatch(document["_id"]):
            part = int(hashlib.blake2b(document["_id"].encode(), digest_size=4).hexdigest(), 16)
            after = document | {"_id": f"{named[1]}-{named[2]}-{part}.0"}
            database[STATES].replace_one({"_id": after["_id"]}, after, upsert=True)
            database[STATES].delete_one({"_id": document["_id"]})


def _set_fields(
    database: MongoDatabase,
    name: str,
    query: Document,
    read: Sequence[str],
    of_today: Callable[[Document], Document],
) -> None:
    """Set in the documents of a query the fields that a function gives for the values of those that
    it reads, unless one of these has changed meanwhile."""

    def updates() -> Iterator[UpdateOne]:
        for document in database[name].find(query, dict.fromkeys(read, True)):
            values = {path: reduce(_inside, path.split("."), document) for path in read}
            if after := of_today(values):
                yield UpdateOne({"_id": document["_id"]} | values, {"$set": after})

    remaining = updates()
    while batch := [*islice(remaining, _BATCH)]:
        written = database[name].bulk_write(batch, ordered=False).modified_count
        _log.info("%s: %d with their instants in the form of today", name, written)


def _inside(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, dict) else None


def outcome_of_today(values: Document) -> Document:
    """Return the fields of an outcome record with the instant of its reason as a value, so that
    determining it again is no change, and when the data will show an outcome that waits for them.
    Empty if the reason cannot be read."""
    with suppress(LookupError, TypeError, ValueError, AttributeError, OverflowError):
        reason = read_template(values[_REASON])
        if isinstance(when := reason.values["when"], datetime):
            known_at = {"outcome_record.known_at": to_bson(when)}
            waits = known_at if reason.template == _KNOWN_AT else {}
            return stored_text("outcome_record.reason", reason) | waits
    return {}


def texts_of_today(zone: tzinfo, values: Document) -> Document:
    """Return the finished texts with an instant, which a clock of the zone shows: `2026-01-05 07:00
    CET`. What only looks like an instant stays."""
    clock = ENGLISH.with_clock(zone)

    def show(stamp: re.Match[str]) -> str:
        with suppress(ValueError):
            return clock.instant(datetime.fromisoformat(stamp[0]))
        return stamp[0]

    texts = {path: text for path, text in values.items() if isinstance(text, str)}
    return {
        path: after for path, text in texts.items() if (after := _IN_TEXT.sub(show, text)) != text
    }
