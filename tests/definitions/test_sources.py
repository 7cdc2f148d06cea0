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
                "every": "4s",
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


OF_AIRFLOW = {"url": {"airflow_connection": "quality"}}


@pytest.mark.parametrize(
    ("changes", "reader"),
    [
        ({}, "service"),
        ({"every": "5s"}, "service"),
        ({"every": "59m"}, "service"),
        ({"every": "1h"}, "scheduler"),
        ({"every": "1h", "read_by": "service"}, "service"),
        ({"read_by": "scheduler"}, "scheduler"),
        (OF_AIRFLOW, "scheduler"),
    ],
)
def test_the_service_reads_a_source_of_less_than_an_hour_whose_secret_it_knows(changes, reader):
    assert parse_source({**SQL, **changes}).reader == reader


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"every": "4s"}, "every: 4s is too short (the shortest is 5s, read by the service)"),
        (
            {"every": "30s", "read_by": "scheduler"},
            "every: 30s is too short for the scheduler (the shortest is 1m; less needs read_by: "
            "service)",
        ),
        (
            {"every": "30s", **OF_AIRFLOW},
            "every: 30s is too short for the scheduler (the shortest is 1m; less needs read_by: "
            "service)",
        ),
        (
            {"read_by": "service", **OF_AIRFLOW},
            "read_by: the service cannot read a secret of Airflow (url: {env: QUALITY_DB_URL}, or "
            "read_by: scheduler)",
        ),
    ],
)
def test_a_reader_that_cannot_read_at_the_interval_is_refused_with_the_remedy(changes, fault):
    with pytest.raises(SourceRefused) as refusal:
        parse_source({**SQL, **changes})
    assert list(map(str, refusal.value.faults)) == [fault]


def test_a_polled_source_waits_for_its_interval_and_ten_seconds():
    assert parse_source({**SQL, "every": "5m"}).waits == timedelta(minutes=5, seconds=10)
    assert parse_source({**SQL, "every": "5m", "latency": "0s"}).waits == timedelta(0)
    assert parse_source({"name": "gate", "kind": "http"}).waits is None


@pytest.mark.parametrize(
    ("kind", "topic", "named"),
    [
        ("mqtt", "{asset}/{asset}/#", "{asset}"),
        ("amqp", "line.{variable}.{variable}", "{variable}"),
        ("amqp", "{asset}.{asset}.{asset}", "{asset}"),
    ],
)
def test_a_topic_that_names_the_same_thing_twice_is_refused(kind, topic, named):
    with pytest.raises(SourceRefused) as refusal:
        parse_source({"name": "line", "kind": kind, "url": {"env": "BROKER_URL"}, "topic": topic})
    [fault] = refusal.value.faults
    assert (fault.path, f"names {named} at" in str(fault)) == ("topic", True)
