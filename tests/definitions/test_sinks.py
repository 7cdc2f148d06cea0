"""Documents of sinks: what is refused, with every fault at once, and what they say without it."""

import pytest

from alerting.definitions.sinks.fields import fill_pattern
from alerting.definitions.sinks.sink import SINK_KINDS, SinkRefused, parse_sink, sink_document

pytestmark = pytest.mark.fast

URL = {"env": "RECEIVER_URL"}


def faults(**fields):
    with pytest.raises(SinkRefused) as refusal:
        parse_sink({"name": "out", "kind": "mqtt", "url": URL, **fields})
    return {fault.path for fault in refusal.value.faults}


def test_a_document_stays_as_it_was_written():
    for kind in SINK_KINDS:
        document = {"name": "out", "kind": kind, "url": URL}
        assert sink_document(parse_sink(document)) == document


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"topic": "a/{other}"}, "topic"),
        ({"topic": "a/{asset!r}"}, "topic"),
        ({"topic": "a/{asset.name}"}, "topic"),
        ({"topic": "a/{asset:>9}"}, "topic"),
        ({"topic": "a/{asset"}, "topic"),
        ({"topic": "a/#"}, "topic"),
        ({"url": {}}, "url"),
        ({"url": {"env": "A_URL", "file": "/run/secrets/a"}}, "url"),
        ({"url": {"airflow_connection": "a"}}, "url"),
        ({"sends": ["alarms", "alarms"]}, "sends"),
        ({"sends": []}, "sends"),
        ({"sends": ["readings"]}, "sends.0"),
        ({"tls": {"key": "/a"}}, "tls.key"),
        ({"code": "print()"}, "code"),
        ({"kind": "sql", "table": "a; DROP TABLE b"}, "table"),
        ({"kind": "sql", "table": "t_{asset}"}, "table"),
        ({"kind": "sql", "table": "one", "sends": ["alarms", "scores"]}, "table"),
        ({"kind": "webhook", "secret": {}}, "secret"),
    ],
)
def test_what_cannot_be_is_a_fault_of_its_field(fields, path):
    assert path in faults(**fields)


def test_all_faults_are_named_at_once():
    assert faults(topic="{x}", sends=["alarms", "alarms"], more=1) == {"topic", "sends", "more"}


def test_a_name_stays_one_level_of_a_topic():
    values = {"asset": "line/3", "definition": "too-hot", "severity": "high", "sends": "alarms"}
    assert fill_pattern("a.{asset}.{definition}", values) == "a.line_3.too-hot"
