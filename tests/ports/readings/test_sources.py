"""Port `Sources`."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest.mock import ANY

import pytest

from alerting.definitions.faults import UserError
from alerting.definitions.sources import LEASE_LASTS
from alerting.ports import (
    DeadMessage,
    Declarations,
    Delivered,
    DeliveryCount,
    DocumentRevision,
    FileMark,
    SourceLoss,
    SourceProgress,
)
from tests.builders import at
from tests.helpers.contracts import having, step

HTTP = {"name": "gate", "kind": "http"}
SQL = {
    "name": "quality",
    "kind": "sql",
    "url": {"env": "QUALITY_DB"},
    "table": "results",
    "cursor": "id",
    "every": "5m",
}


URL = {"env": "BROKER_URL"}
TLS = {"ca": "/etc/ssl/plant.pem", "certificate": "/etc/ssl/own.pem", "key": "/run/secrets/own.key"}
STREAMED = [
    {"name": "amqp", "kind": "amqp", "url": URL, "tls": TLS, "topic": "line.{asset}",
    "exchange": "plant"},
    {"name": "mqtt", "kind": "mqtt", "url": URL, "topic": "line/{asset}/#"},
    {"name": "opcua", "kind": "opcua", "url": URL,
    "nodes": {"ns=2;s=A.$B": {"variable": "z", "asset": "o"}}, "history": "8h"},
]  # fmt: skip
BY_NAME = sorted([HTTP, SQL, *STREAMED], key=lambda document: document["name"])
REVISIONS = [DocumentRevision(one["name"], 1, at(0), "ada", one) for one in (HTTP, *STREAMED)]
SECOND = DocumentRevision("gate", 2, at(2), "ada", HTTP)
LAST = {"asset": "oven-2", "values": {"t": 2.5}}
MARK = FileMark("lab", "/in/a.csv", 10, 1767614400_123456789, "aa", at(0), 3, 3)
REFUSED = FileMark("lab", "/in/b.csv", 10, 5, "bb", at(0), fault="line 3 is bad")
THERE = replace(MARK, path="/in/there.csv")
NEW = replace(MARK, path="/in/new.csv", at=at(2))
DEAD = DeadMessage("1", "line", "a/b", b"{\xff", "is no row", at(0))
OTHER_DEAD = replace(DEAD, id="2", source="other")


def on_deliveries(method, *given, **named):
    return step(f"deliveries.{method}", *given, **named)


def record(source, *given, **named):
    return on_deliveries("record", source, Delivered(*given, **named))


CLAIMS = {
    "documents of every kind come back by name and are replaced": [
        *(
            step("sources.store_document", one)
            for one in (SQL, {**HTTP, "title": "Old"}, HTTP, *STREAMED)
        ),
        step("sources.documents", gives=BY_NAME),
        *(step("sources.find", one["name"], gives=one) for one in BY_NAME),
        step("sources.find", "nothing", gives=None),
        step("sources.remove", "gate", gives=True),
        step("sources.remove", "gate", gives=False),
        step("sources.find", "gate", gives=None),
    ],
    "a revision of every kind is stored once": [
        *(step("sources.add_revision", one, gives=True) for one in (*REVISIONS, SECOND)),
        step("sources.add_revision", replace(SECOND, at=at(9), actor="otto"), gives=False),
        step("sources.revisions", "gate", gives=[REVISIONS[0], SECOND]),
        *(step("sources.revisions", one.name, gives=[one]) for one in REVISIONS[1:]),
        step("sources.revisions", "quality", gives=[]),
    ],
    "progress adds up and keeps the newest stamp": [
        on_deliveries("progress", "gate", gives=SourceProgress()),
        on_deliveries("set_fault", "gate", "the server does not answer"),
        on_deliveries("progress", "gate", gives=having(fault="the server does not answer")),
        on_deliveries("set_fault", "gate", None),
        on_deliveries("progress", "gate", gives=SourceProgress()),
        record("gate", at(1), 3, 1, at(0), {"asset": "oven-1", "values": {"t": 1.5}}),
        record("gate", at(2), 2, 0, at(-5), LAST),
        record("gate", at(3), 0, 4, why="there is no asset"),
        record("gate", at(4), 0),
        on_deliveries("set_cursor", "gate", "17", "abc"),
        on_deliveries(
            "progress",
            "gate",
            gives=SourceProgress(
                cursor="17",
                cursor_of="abc",
                rows=5,
                refused=5,
                arrived_at=at(2),
                newest=at(0),
                last=LAST,
                fault=None,
                last_refused="there is no asset",
                recent=(DeliveryCount(at(1), 3), DeliveryCount(at(2), 2)),
            ),
        ),
    ],
    "when and by whom a polled source was read is noted": [
        on_deliveries("set_cursor", "gate", "17", "abc"),
        on_deliveries("note_polled", "gate", "service", at(2)),
        on_deliveries(
            "progress", "gate", gives=having(cursor="17", polled_by="service", polled_at=at(2))
        ),
        on_deliveries("progress", "quality", gives=having(polled_at=None)),
    ],
    "losses add up, and a source is read up to the latest note": [
        on_deliveries("record_loss", "line", SourceLoss("too many values waited", 3), at(1)),
        on_deliveries("record_loss", "line", SourceLoss("no process read the source"), at(2)),
        record("line", at(3), 1),
        *(on_deliveries("note_read", "line", at(minute)) for minute in (5, 4)),
        on_deliveries(
            "progress",
            "line",
            gives=having(
                lost=3, last_lost="no process read the source", lost_at=at(2), read_until=at(5)
            ),
        ),
        on_deliveries("progress", "gate", gives=having(read_until=None)),
    ],
    "declarations add up by source and sender": [
        record("silent", at(1), 1),
        on_deliveries("count_declared", "gate", 2, 5),
        on_deliveries("count_declared", "gate", 0, 1),
        on_deliveries("count_declared", "sender anna", 1, 0),
        on_deliveries("note_surplus", "gate", "too many", at(3)),
        on_deliveries("note_surplus", "line", "too many", at(4)),
        on_deliveries(
            "declarations",
            gives={
                "gate": Declarations(2, 6, "too many", at(3)),
                "line": Declarations(0, 0, "too many", at(4)),
                "sender anna": Declarations(1, 0),
            },
        ),
        on_deliveries("progress", "gate", gives=having(rows=0)),
    ],
    "the marks of files are found by path and replaced by content": [
        on_deliveries("mark_file", MARK),
        on_deliveries("mark_file", REFUSED),
        on_deliveries("mark_file", replace(MARK, source="other")),
        on_deliveries("mark_file", replace(REFUSED, at=at(1))),
        on_deliveries("file_marks", "lab", ["/in/a.csv"], gives=[MARK]),
        on_deliveries("file_marks", "lab", ["/in/b.csv"], gives=[replace(REFUSED, at=at(1))]),
        on_deliveries("mark_file", replace(MARK, sha256="cc")),
        on_deliveries("file_marks", "lab", ["/in/a.csv"], gives=[ANY, ANY]),
        on_deliveries("file_marks", "lab", [], gives=[]),
    ],
    "old marks of files that are gone are forgotten": [
        *(
            on_deliveries("mark_file", mark)
            for mark in (MARK, THERE, NEW, replace(MARK, source="other"))
        ),
        on_deliveries("forget_files", "lab", at(1), {THERE.path}, gives=1),
        on_deliveries("file_marks", "lab", [MARK.path], gives=[]),
        on_deliveries("file_marks", "lab", [THERE.path], gives=[THERE]),
        on_deliveries("file_marks", "lab", [NEW.path], gives=[NEW]),
        on_deliveries("file_marks", "other", [MARK.path], gives=[replace(MARK, source="other")]),
    ],
    "dead messages are kept once until they are removed": [
        step("dead_messages.add_dead", [DEAD, OTHER_DEAD]),
        step("dead_messages.add_dead", [replace(DEAD, reason="again")]),
        step("dead_messages.add_dead", []),
        step("dead_messages.dead", None, 10, gives=[DEAD, OTHER_DEAD]),
        step("dead_messages.dead", "line", 10, gives=[DEAD]),
        step("dead_messages.dead", None, 1, gives=[DEAD]),
        step("dead_messages.dead", None, 10, DEAD, gives=[OTHER_DEAD]),
        step("dead_messages.dead", None, 10, OTHER_DEAD, gives=[]),
        step("dead_messages.count_dead", "line", gives=1),
        step("dead_messages.count_dead", "nothing", gives=0),
        step("dead_messages.dead_bytes", "nothing", gives=0),
        step("dead_messages.add_dead", [replace(DEAD, id="3", payload=b"x" * 1000)]),
        step("dead_messages.dead_bytes", "line", gives=1002),
        step("dead_messages.remove_dead", ["3", "1"]),
        step("dead_messages.dead", None, 10, gives=[OTHER_DEAD]),
    ],
    "the first answer to a key is kept": [
        on_deliveries("keep_answer", "a", {"rows": 1}),
        on_deliveries("keep_answer", "a", {"rows": 2}),
        on_deliveries("answer", "a", gives={"rows": 1}),
        on_deliveries("answer", "b", gives=None),
    ],
    "a lease has one holder, who renews and ends it": [
        step("leases.find", "gate", gives=None),
        step("leases.claim", "gate", "one", ["line"], gives=True),
        step("leases.claim", "gate", "other", gives=False),
        step("leases.find", "gate", gives=having(holder="one", reads=["line"])),
        step("leases.claim", "gate", "one", gives=True),
        step("leases.find", "gate", gives=having(holder="one", reads=[])),
        step("leases.claim", "quality", "other", gives=True),
        step("leases.release", "gate", "other"),
        step("leases.claim", "gate", "other", gives=False),
        step("leases.release", "gate", "one"),
        step("leases.claim", "gate", "other", gives=True),
    ],
}


def test_the_stores_of_sources_keep_every_claim(broken):
    assert broken(CLAIMS) == {}


def test_the_lease_of_a_killed_holder_ends_and_the_one_who_comes_first_takes_it(real):
    claim = real.leases.claim
    claims = {}
    assert claim("gate", "killed")
    for seconds in (5, -5):
        renewed = {"at": datetime.now(UTC) - LEASE_LASTS + timedelta(seconds=seconds)}
        real.database["leases"].update_one({"_id": "gate"}, {"$set": renewed})
        claims[seconds] = [claim("gate", holder) for holder in ("one", "other")]
    assert claims == {5: [False, False], -5: [True, False]}, "before, it may only be slow"
    assert not claim("gate", "killed")


def test_the_server_refuses_a_malformed_source(real):
    secret = {**SQL, "url": "postgresql://me:secret@host/db"}
    for document in ({"name": "gate"}, {**HTTP, "surplus": 1}, secret):
        with pytest.raises(UserError, match="the database refuses"):
            real.sources.store_document(document)
