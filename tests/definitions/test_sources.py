"""Source documents: closed, with all faults at once, and never with a secret in them."""

from datetime import timedelta

import pytest

from alerting.definitions.sources.source import SourceRefused, parse_source, source_document

pytestmark = pytest.mark.fast

FILES = {"name": "lab", "kind": "files", "pattern": "/data/lab/*.csv"}
SQL = {
    "name": "quality",
    "kind": "sql",
    "url": {"env": "QUALITY_DB"},
    "table": "results",
    "cursor": "id",
}


@pytest.mark.parametrize("document", [{"name": "gate", "kind": "http"}, FILES, SQL])
def test_a_document_is_written_back_as_it_was_given(document):
    assert source_document(parse_source(document)) == document


def test_all_faults_are_named_at_once_each_with_a_remedy():
    with pytest.raises(SourceRefused) as refusal:
        parse_source({"name": "lab 1", "kind": "files", "patern": "/x/*.csv"})
    faults = {fault.path: str(fault) for fault in refusal.value.faults}
    assert set(faults) == {"name", "pattern", "patern"}
    assert "did you mean pattern" in faults["patern"]
    with pytest.raises(SourceRefused) as refusal:
        parse_source(
            {
                **FILES,
                "done": "done",
                "every": "5s",
                "variables": {"a": {"name": "x"}, "b": {"name": "x"}},
            }
        )
    assert {fault.path for fault in refusal.value.faults} == {"done", "every", "variables"}


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"name": "a"}, "kind"),
        ({"name": "a", "kind": "ftp"}, "kind"),
        ({**SQL, "url": "postgresql://me:secret@host/db"}, "url"),
        ({**SQL, "url": {"env": "A", "file": "/run/secrets/a"}}, "url"),
        ({**SQL, "query": "SELECT 1"}, "table"),
        ({**SQL, "cursor": "id; DROP TABLE results"}, "cursor"),
        ({**FILES, "pattern": "/data/../etc/*"}, "pattern"),
    ],
)
def test_a_fault_is_named_with_its_field(document, path):
    with pytest.raises(SourceRefused) as refusal:
        parse_source(document)
    assert [fault.path for fault in refusal.value.faults] == [path]


def test_a_polled_source_waits_for_its_interval_and_ten_seconds():
    assert parse_source({**SQL, "every": "5m"}).waits == timedelta(minutes=5, seconds=10)
    assert parse_source({**SQL, "every": "5m", "latency": "0s"}).waits == timedelta(0)
    assert parse_source({"name": "gate", "kind": "http"}).waits is None


@pytest.mark.parametrize(
    ("kind", "topic", "named"),
    [
        ("mqtt", "{asset}/{asset}/#", "{asset}"),
        ("amqp", "line.{variable}.{variable}", "{variable}"),
        ("nats", "{asset}.{asset}.{asset}", "{asset}"),
    ],
)
def test_a_topic_that_names_the_same_thing_twice_is_refused(kind, topic, named):
    with pytest.raises(SourceRefused) as refusal:
        parse_source({"name": "line", "kind": kind, "url": {"env": "BROKER_URL"}, "topic": topic})
    [fault] = refusal.value.faults
    assert (fault.path, f"names {named} at" in str(fault)) == ("topic", True)
