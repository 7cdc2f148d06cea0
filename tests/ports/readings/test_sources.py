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


@pytest.mark.parametrize("document", STREAMED, ids=[document["kind"] for document in STREAMED])
def test_a_document_of_each_kind_of_stream_is_taken_with_its_revision(stores, document):
    stores.sources.store_document(document)
    assert stores.sources.documents() == [document]
    assert stores.sources.get(document["name"]) == parse_source(document)
    revision = SourceRevision(document["name"], 1, at(0), "ada", document)
    stores.sources.add_revision(revision)
    assert stores.sources.revisions(document["name"]) == [revision]


def test_documents_come_back_by_name_and_are_replaced(stores):
    for document in (SQL, {**HTTP, "title": "Old"}, HTTP):
        stores.sources.store_document(document)
    assert stores.sources.documents() == [HTTP, SQL]
    assert stores.sources.get("quality") == parse_source(SQL)
    assert stores.sources.get("nothing") is None


def test_a_revision_is_stored_once(stores):
    first, second = (SourceRevision("gate", number, at(number), "ada", HTTP) for number in (1, 2))
    assert [stores.sources.add_revision(r) for r in (first, second)] == [True, True]
    assert not stores.sources.add_revision(SourceRevision("gate", 2, at(9), "otto", HTTP))
    assert stores.sources.revisions("gate") == [first, second]
    assert stores.sources.revisions("quality") == []


def test_progress_adds_up_and_keeps_the_newest_stamp(stores):
    assert stores.deliveries.progress("gate") == SourceProgress()
    stores.deliveries.set_fault("gate", "the server does not answer")
    assert stores.deliveries.progress("gate").fault == "the server does not answer"
    stores.deliveries.set_fault("gate", None)
    assert stores.deliveries.progress("gate") == SourceProgress()
    stores.deliveries.record(
        "gate", Delivered(at(1), 3, 1, at(0), {"asset": "oven-1", "values": {"t": 1.5}})
    )
    stores.deliveries.record(
        "gate", Delivered(at(2), 2, 0, at(-5), {"asset": "oven-2", "values": {"t": 2.5}})
    )
    stores.deliveries.record("gate", Delivered(at(3), 0, 4, why="there is no asset"))
    stores.deliveries.record("gate", Delivered(at(4), 0))
    stores.deliveries.set_cursor("gate", "17", "abc")
    assert stores.deliveries.progress("gate") == SourceProgress(
        cursor="17",
        cursor_of="abc",
        rows=5,
        refused=5,
        arrived_at=at(2),
        newest=at(0),
        last={"asset": "oven-2", "values": {"t": 2.5}},
        fault=None,
        last_refused="there is no asset",
        recent=(DeliveryCount(at(1), 3), DeliveryCount(at(2), 2)),
    )


def test_a_polled_source_has_one_reader_at_a_time_who_is_noted_when_done(stores):
    deliveries = stores.deliveries
    deliveries.set_cursor("gate", "17", "abc")
    assert deliveries.claim_poll("gate", "service-1")
    assert not deliveries.claim_poll("gate", "scheduler-1"), "another reader has it"
    assert deliveries.claim_poll("gate", "service-1"), "its reader renews the claim"
    assert deliveries.claim_poll("quality", "scheduler-1"), "another source is free"
    deliveries.end_poll("gate", "scheduler-1", "scheduler", at(1))
    assert not deliveries.claim_poll("gate", "scheduler-1"), "only its reader ends a claim"
    deliveries.end_poll("gate", "service-1", "service", at(2))
    progress = deliveries.progress("gate")
    assert (progress.cursor, progress.polled_by, progress.polled_at) == ("17", "service", at(2))
    assert deliveries.claim_poll("gate", "scheduler-1")
    assert deliveries.progress("quality").polled_at is None


def test_the_claim_of_a_killed_reader_ends_and_the_one_who_comes_first_replaces_it(real):
    deliveries = real.deliveries
    assert deliveries.claim_poll("gate", "killed")
    renewed = datetime.now(UTC) - POLL_ABANDONED + timedelta(seconds=5)
    _renewed_at(real, renewed)
    assert not deliveries.claim_poll("gate", "one"), "it may only be slow"
    _renewed_at(real, renewed - timedelta(seconds=10))
    assert deliveries.claim_poll("gate", "one")
    assert not deliveries.claim_poll("gate", "other")
    assert not deliveries.claim_poll("gate", "killed")


def _renewed_at(real, instant):
    real.database["source_progress"].update_one({"_id": "gate"}, {"$set": {"claimed_at": instant}})


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
    for mark in (
        first,
        refused,
        replace(first, source="other"),
        replace(refused, at=at(1)),
        replace(first, sha256="cc"),
    ):
        stores.deliveries.mark_file(mark)
    assert sorted(
        stores.deliveries.file_marks("lab", ["/in/a.csv", "/in/b.csv"]), key=lambda m: m.sha256
    ) == [
        first,
        replace(refused, at=at(1)),
        replace(first, sha256="cc"),
    ]
    assert stores.deliveries.file_marks("lab", []) == []


def test_old_marks_of_files_that_are_gone_are_forgotten(stores):
    old = FileMark("lab", "/in/a.csv", 10, 5, "aa", at(0))
    for mark in (
        old,
        replace(old, path="/in/there.csv"),
        replace(old, path="/in/new.csv", at=at(2)),
        replace(old, source="other"),
    ):
        stores.deliveries.mark_file(mark)
    assert stores.deliveries.forget_files("lab", at(1), {"/in/there.csv"}) == 1
    paths = [
        mark.path
        for mark in stores.deliveries.file_marks(
            "lab", ["/in/a.csv", "/in/there.csv", "/in/new.csv"]
        )
    ]
    assert sorted(paths) == ["/in/new.csv", "/in/there.csv"]
    assert len(stores.deliveries.file_marks("other", ["/in/a.csv"])) == 1


def test_dead_messages_are_kept_once_until_they_are_removed(stores):
    first, second = (
        DeadMessage(id, source, "a/b", b"{\xff", "is no row", at(0))
        for id, source in (("1", "line"), ("2", "other"))
    )
    stores.dead_messages.add_dead([first, second])
    stores.dead_messages.add_dead([replace(first, reason="again")])
    stores.dead_messages.add_dead([])
    assert stores.dead_messages.dead(None, 10) == [first, second]
    assert stores.dead_messages.dead("line", 10) == [first]
    assert (
        stores.dead_messages.dead(None, 10, first),
        stores.dead_messages.dead(None, 10, second),
    ) == (
        [second],
        [],
    )
    assert [stores.dead_messages.count_dead(name) for name in ("line", "nothing")] == [1, 0]
    assert [stores.dead_messages.dead_bytes(name) for name in ("line", "nothing")] == [2, 0]
    stores.dead_messages.add_dead([replace(first, id="3", payload=b"x" * 1000)])
    assert stores.dead_messages.dead_bytes("line") == 1002
    stores.dead_messages.remove_dead(["3"])
    assert len(stores.dead_messages.dead(None, 1)) == 1
    stores.dead_messages.remove_dead(["1"])
    assert stores.dead_messages.dead("line", 10) == []


def test_the_first_answer_to_a_key_is_kept(stores):
    stores.deliveries.keep_answer("a", {"rows": 1})
    stores.deliveries.keep_answer("a", {"rows": 2})
    assert stores.deliveries.answer("a") == {"rows": 1}
    assert stores.deliveries.answer("b") is None


@pytest.mark.models
def test_the_server_refuses_a_malformed_source(real):
    for document in (
        {"name": "gate"},
        {**HTTP, "surplus": 1},
        {**SQL, "url": "postgresql://me:secret@host/db"},
    ):
        with pytest.raises(UserError, match="the database refuses"):
            real.sources.store_document(document)


def test_processes_that_work_know_each_other_until_they_end(stores):
    assert not stores.stream_processes.has_processes()
    assert stores.stream_processes.note_process("a") == {"a": []}
    assert stores.stream_processes.has_processes()
    assert stores.stream_processes.note_process("b", ["line"]) == {"a": [], "b": ["line"]}
    assert stores.stream_processes.note_process("a", ["oven"]) == {"a": ["oven"], "b": ["line"]}
    assert stores.stream_processes.note_process("a") == {"a": [], "b": ["line"]}
    stores.stream_processes.forget_process("b")
    assert stores.stream_processes.note_process("a") == {"a": []}


def test_faults_of_a_source_come_back_for_readers_of_every_language(real):
    german = language("de")
    deliveries = real.deliveries
    why = translatable("{name}: {text}", name="ts", text=translatable("there is no time"))
    deliveries.record("gate", Delivered(at(1), 0, 1, why=why))
    refused = translatable("the broker refuses: {reason}", reason="x")
    deliveries.record_loss("gate", SourceLoss(refused, 2), at(1))
    deliveries.set_fault("gate", refused)
    found = deliveries.progress("gate")
    assert (found.fault, found.last_refused) == (str(refused), "ts: there is no time")
    assert german.translate(found.fault) == "der Broker lehnt ab: x"
    assert german.translate(found.last_lost) == "der Broker lehnt ab: x"
    assert german.translate(found.last_refused) == "ts: die Zeit fehlt"
    for fault in ("earlier text", None):
        deliveries.set_fault("gate", fault)
        assert german.translate(deliveries.progress("gate").fault or "") == (fault or "")
    mark = FileMark("gate", "/a.csv", 1, 1, "h", at(1), fault=refused)
    deliveries.mark_file(mark)
    (stored,) = deliveries.file_marks("gate", ["/a.csv"])
    assert german.translate(stored.fault) == "der Broker lehnt ab: x"
