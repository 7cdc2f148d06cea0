"""Port `Sources`."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alerting.definitions.faults import UserError
from alerting.definitions.sources.source import parse_source
from alerting.definitions.wording.language import language, translatable
from alerting.ports import (
    POLL_ABANDONED,
    DeadMessage,
    Declarations,
    Delivered,
    DeliveryCount,
    FileMark,
    SourceLoss,
    SourceProgress,
    SourceRevision,
)
from tests.builders import at
from tests.helpers.stores import broken_in_memory

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


def test_documents_of_every_kind_come_back_by_name_and_are_replaced(stores):
    for document in (SQL, {**HTTP, "title": "Old"}, HTTP, *STREAMED):
        stores.sources.store_document(document)
    stored = sorted([HTTP, SQL, *STREAMED], key=lambda document: document["name"])
    assert stores.sources.documents() == stored
    found = [stores.sources.get(document["name"]) for document in stored]
    assert found == [parse_source(document) for document in stored]
    assert stores.sources.get("nothing") is None


def test_a_revision_of_every_kind_is_stored_once(stores):
    first = [SourceRevision(one["name"], 1, at(0), "ada", one) for one in (HTTP, *STREAMED)]
    second = SourceRevision("gate", 2, at(2), "ada", HTTP)
    added = [*first, second, replace(second, at=at(9), actor="otto")]
    assert [stores.sources.add_revision(one) for one in added] == [True] * 5 + [False]
    names = ("gate", "amqp", "mqtt", "opcua", "quality")
    found = [stores.sources.revisions(name) for name in names]
    assert found == [[first[0], second], [first[1]], [first[2]], [first[3]], []]


def test_progress_adds_up_and_keeps_the_newest_stamp(stores):
    deliveries = stores.deliveries
    assert deliveries.progress("gate") == SourceProgress()
    for fault in ("the server does not answer", None):
        deliveries.set_fault("gate", fault)
        assert deliveries.progress("gate") == SourceProgress(fault=fault)
    last = {"asset": "oven-2", "values": {"t": 2.5}}
    for delivered in (
        Delivered(at(1), 3, 1, at(0), {"asset": "oven-1", "values": {"t": 1.5}}),
        Delivered(at(2), 2, 0, at(-5), last),
        Delivered(at(3), 0, 4, why="there is no asset"),
        Delivered(at(4), 0),
    ):
        deliveries.record("gate", delivered)
    deliveries.set_cursor("gate", "17", "abc")
    assert deliveries.progress("gate") == SourceProgress(
        cursor="17",
        cursor_of="abc",
        rows=5,
        refused=5,
        arrived_at=at(2),
        newest=at(0),
        last=last,
        fault=None,
        last_refused="there is no asset",
        recent=(DeliveryCount(at(1), 3), DeliveryCount(at(2), 2)),
    )


def test_a_polled_source_has_one_reader_at_a_time_who_is_noted_when_done(stores):
    deliveries = stores.deliveries
    deliveries.set_cursor("gate", "17", "abc")
    claims = [
        ("gate", "service-1"),
        ("gate", "scheduler-1"),  # another reader has it
        ("gate", "service-1"),  # its reader renews the claim
        ("quality", "scheduler-1"),  # another source is free
    ]
    assert [deliveries.claim_poll(*one) for one in claims] == [True, False, True, True]
    deliveries.end_poll("gate", "scheduler-1", "scheduler", at(1))
    assert not deliveries.claim_poll("gate", "scheduler-1"), "only its reader ends a claim"
    deliveries.end_poll("gate", "service-1", "service", at(2))
    progress = deliveries.progress("gate")
    assert (progress.cursor, progress.polled_by, progress.polled_at) == ("17", "service", at(2))
    assert deliveries.claim_poll("gate", "scheduler-1")
    assert deliveries.progress("quality").polled_at is None


def test_the_claim_of_a_killed_reader_ends_and_the_one_who_comes_first_replaces_it(real):
    claim = real.deliveries.claim_poll
    claims = {}
    assert claim("gate", "killed")
    for seconds in (5, -5):
        renewed = {"claimed_at": datetime.now(UTC) - POLL_ABANDONED + timedelta(seconds=seconds)}
        real.database["source_progress"].update_one({"_id": "gate"}, {"$set": renewed})
        claims[seconds] = [claim("gate", reader) for reader in ("one", "other")]
    assert claims == {5: [False, False], -5: [True, False]}, "before, it may only be slow"
    assert not claim("gate", "killed")


def test_losses_add_up_and_a_source_is_read_up_to_the_latest_note(stores):
    stores.deliveries.record_loss("line", SourceLoss("too many values waited", 3), at(1))
    stores.deliveries.record_loss("line", SourceLoss("no process read the source"), at(2))
    stores.deliveries.record("line", Delivered(at(3), 1))
    for minute in (5, 4):
        stores.deliveries.note_read("line", at(minute))
    progress = stores.deliveries.progress("line")
    assert (progress.lost, progress.last_lost, progress.lost_at) == (
        3,
        "no process read the source",
        at(2),
    )
    assert progress.read_until == at(5)
    assert stores.deliveries.progress("gate").read_until is None


def test_declarations_add_up_by_source_and_sender(stores):
    stores.deliveries.record("silent", Delivered(at(1), 1))
    for assets, variables in ((2, 5), (0, 1)):
        stores.deliveries.count_declared("gate", assets, variables)
    stores.deliveries.count_declared("sender anna", 1, 0)
    stores.deliveries.note_surplus("gate", "too many", at(3))
    stores.deliveries.note_surplus("line", "too many", at(4))
    assert stores.deliveries.declarations() == {
        "gate": Declarations(2, 6, "too many", at(3)),
        "line": Declarations(0, 0, "too many", at(4)),
        "sender anna": Declarations(1, 0),
    }
    assert stores.deliveries.progress("gate").rows == 0


def test_the_marks_of_files_are_found_by_path_and_replaced_by_content(stores):
    first = FileMark("lab", "/in/a.csv", 10, 1767614400_123456789, "aa", at(0), 3, 3)
    refused = FileMark("lab", "/in/b.csv", 10, 5, "bb", at(0), fault="line 3 is bad")
    again = replace(refused, at=at(1))
    other = replace(first, sha256="cc")
    for mark in (first, refused, replace(first, source="other"), again, other):
        stores.deliveries.mark_file(mark)
    found = stores.deliveries.file_marks("lab", ["/in/a.csv", "/in/b.csv"])
    assert sorted(found, key=lambda m: m.sha256) == [first, again, other]
    assert stores.deliveries.file_marks("lab", []) == []


def test_old_marks_of_files_that_are_gone_are_forgotten(stores):
    old = FileMark("lab", "/in/a.csv", 10, 5, "aa", at(0))
    there = replace(old, path="/in/there.csv")
    new = replace(old, path="/in/new.csv", at=at(2))
    foreign = replace(old, source="other")
    for mark in (old, there, new, foreign):
        stores.deliveries.mark_file(mark)
    assert stores.deliveries.forget_files("lab", at(1), {there.path}) == 1
    found = stores.deliveries.file_marks("lab", [old.path, there.path, new.path])
    assert sorted(found, key=lambda mark: mark.path) == [new, there]
    assert stores.deliveries.file_marks("other", [old.path]) == [foreign]


def test_dead_messages_are_kept_once_until_they_are_removed(stores):
    first, second = (
        DeadMessage(id, source, "a/b", b"{\xff", "is no row", at(0))
        for id, source in (("1", "line"), ("2", "other"))
    )
    store = stores.dead_messages
    for added in ([first, second], [replace(first, reason="again")], []):
        store.add_dead(added)
    asked = [(None, 10), ("line", 10), (None, 1), (None, 10, first), (None, 10, second)]
    found = [store.dead(*of) for of in asked]
    assert found == [[first, second], [first], [first], [second], []]
    sizes = [(store.count_dead(name), store.dead_bytes(name)) for name in ("line", "nothing")]
    assert sizes == [(1, 2), (0, 0)]
    store.add_dead([replace(first, id="3", payload=b"x" * 1000)])
    assert store.dead_bytes("line") == 1002
    store.remove_dead(["3", "1"])
    assert store.dead(None, 10) == [second]


def test_the_first_answer_to_a_key_is_kept(stores):
    stores.deliveries.keep_answer("a", {"rows": 1})
    stores.deliveries.keep_answer("a", {"rows": 2})
    assert stores.deliveries.answer("a") == {"rows": 1}
    assert stores.deliveries.answer("b") is None


def test_the_server_refuses_a_malformed_source(real):
    secret = {**SQL, "url": "postgresql://me:secret@host/db"}
    for document in ({"name": "gate"}, {**HTTP, "surplus": 1}, secret):
        with pytest.raises(UserError, match="the database refuses"):
            real.sources.store_document(document)


def test_processes_that_work_know_each_other_until_they_end(stores):
    processes = stores.stream_processes
    assert not processes.has_processes()
    notes = [("a",), ("b", ["line"]), ("a", ["oven"]), ("a",)]
    assert [dict(processes.note_process(*note)) for note in notes] == [
        {"a": []},
        {"a": [], "b": ["line"]},
        {"a": ["oven"], "b": ["line"]},
        {"a": [], "b": ["line"]},
    ]
    assert processes.has_processes()
    processes.forget_process("b")
    assert processes.note_process("a") == {"a": []}


def test_faults_of_a_source_come_back_for_readers_of_every_language(real):
    german = language("de")
    deliveries = real.deliveries
    why = translatable("{name}: {text}", name="ts", text=translatable("there is no time"))
    deliveries.record("gate", Delivered(at(1), 0, 1, why=why))
    refused = translatable("the broker refuses: {reason}", reason="x")
    deliveries.record_loss("gate", SourceLoss(refused, 2), at(1))
    deliveries.set_fault("gate", refused)
    deliveries.mark_file(FileMark("gate", "/a.csv", 1, 1, "h", at(1), fault=refused))
    found = deliveries.progress("gate")
    (mark,) = deliveries.file_marks("gate", ["/a.csv"])
    assert (found.fault, found.last_refused) == (str(refused), "ts: there is no time")
    texts = (found.fault, found.last_lost, mark.fault, found.last_refused)
    away = "der Broker lehnt ab: x"
    assert [german.translate(text) for text in texts] == [away, away, away, "ts: die Zeit fehlt"]
    for fault in ("earlier text", None):
        deliveries.set_fault("gate", fault)
        assert german.translate(deliveries.progress("gate").fault or "") == (fault or "")


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
