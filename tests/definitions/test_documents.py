"""Documents of definitions, sources, sinks and routes: written back as they were given, bounded,
and told apart by their hashes."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.definitions.alert_definition import Revision
from alerting.definitions.asset_documents import Asset, EventType
from alerting.definitions.faults import format_duration, parse_duration
from alerting.definitions.fields.definition_checks import training_warnings
from alerting.definitions.fields.learning import longest_first
from alerting.definitions.revisions import (
    definition_document,
    definition_hash,
    flat_changes,
    in_force,
    question_hash,
)
from alerting.definitions.routes_and_sinks import (
    SINK_KINDS,
    Route,
    fill_pattern,
    parse_route,
    parse_sink,
    route_document,
)
from alerting.definitions.sources import kind_document, parse_source
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.kinds.registry import parse_definition
from alerting.kinds.threshold.definition import ThresholdDefinition
from tests.builders import at, classifier, revision, threshold, too_hot, too_moist

pytestmark = pytest.mark.fast

MARCH = "2026-03-01T00:00:00Z"
APRIL = "2026-04-01T00:00:00Z"
DATES = {"validation": {"from": MARCH, "to": APRIL}, "test": {"from": APRIL}}
URL = {"env": "A_URL"}
SQL = {"name": "quality", "kind": "sql", "url": URL, "table": "results", "cursor": "id"}
NIGHT = {"days": ["sat"], "from": "22:00", "to": "06:00"}
UTC = {"schedule": {"timezone": "UTC"}}  # the zone of clock times is always there
SUPPRESSION = {
    "when": [
        {"variable": "speed", "below": 0.1, "for": "5m"},
        {"event": "maintenance", "recovery": "10m"},
    ],
    "windows": [NIGHT],
    "timezone": "Europe/Berlin",
    "still_notify": ["critical"],
}
WRITTEN = [
    (parse_definition, definition_document, too_hot()),
    (parse_definition, definition_document, too_hot(suppression=SUPPRESSION)),
    (
        parse_definition,
        definition_document,
        too_moist(features={"windows": ["15m", "1h30m"]}, guidance={"action": "slower"}, **UTC),
    ),
    *(
        (parse_definition, definition_document, too_moist(periods=periods, **UTC))
        for periods in (
            {"test": 0.3},
            {"train": "30d", "validation": "1w", "test": "2w"},
            DATES,
        )
    ),
    (parse_source, kind_document, {"name": "gate", "kind": "http"}),
    (parse_source, kind_document, {"name": "lab", "kind": "files", "pattern": "/data/*.csv"}),
    (parse_source, kind_document, SQL),
    *((parse_sink, kind_document, {"name": "o", "kind": kind, "url": URL}) for kind in SINK_KINDS),
    (parse_route, route_document, {"name": "all", "channels": ["log"]}),
    (
        parse_route,
        route_document,
        {
            "name": "night",
            "match": {"severity": ["high"], "assets": ["oven-*"]},
            "channels": ["pager"],
            "timezone": "Europe/Berlin",
            "quiet": [NIGHT],
            "repeat": "30m",
            "escalation": [{"after": "15m", "channels": ["chief"]}],
        },
    ),
]


def test_a_document_is_written_back_as_it_was_given():
    written = [write(parse(document)) for parse, write, document in WRITTEN]
    assert written == [document for *_, document in WRITTEN]
    assert [write(parse(one)) for one, (parse, write, _) in zip(written, WRITTEN, strict=True)] == (
        written
    )


@given(st.integers(min_value=0, max_value=10**8))
def test_a_duration_reads_back_as_it_was_written(seconds):
    assert parse_duration(format_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


def test_durations_are_at_most_ten_years_and_anything_else_is_refused_with_an_example():
    assert format_duration(parse_duration("3650d")) == "3650d"
    for text in ("", "5", "m", "-5m", "1.5h", "5m1h", "90 minutes"):
        with pytest.raises(ValueError, match="is not a duration; write "):
            parse_duration(text)


def test_a_source_is_read_by_who_knows_its_secret_and_waits_for_its_interval():
    of_airflow = {"url": {"airflow_connection": "quality"}}
    table = [
        ({}, "service"),
        ({"every": "5s"}, "service"),
        ({"every": "59m"}, "service"),
        ({"every": "1h"}, "scheduler"),
        ({"every": "1h", "read_by": "service"}, "service"),
        ({"read_by": "scheduler"}, "scheduler"),
        (of_airflow, "scheduler"),
    ]
    assert [(changes, parse_source(SQL | changes).reader) for changes, _ in table] == table
    waits = [
        parse_source({**SQL, "every": "5m"}).waits,
        parse_source({**SQL, "every": "5m", "latency": "0s"}).waits,
        parse_source({"name": "gate", "kind": "http"}).waits,
    ]
    assert waits == [timedelta(minutes=5, seconds=10), timedelta(0), None]


def test_a_name_stays_one_level_of_a_topic():
    values = {"asset": "line/3", "definition": "too-hot", "severity": "high", "sends": "alarms"}
    assert fill_pattern("a.{asset}.{definition}", values) == "a.line_3.too-hot"


def test_dates_with_a_schedule_of_trainings_are_warned_about():
    table = [
        (DATES, "0 3 * * 0", True),
        ({"end": APRIL}, "0 3 * * 0", True),
        (DATES, None, False),
        ({"test": "14d"}, "0 3 * * 0", False),
        ({"train": {"from": MARCH}}, "0 3 * * 0", False),
    ]
    said = [
        str(training_warnings(classifier(periods=periods, schedule={"retrain": retrain}), []))
        for periods, retrain, _ in table
    ]
    found = ["validates and tests on the same days" in one for one in said]
    assert found == [warned for *_, warned in table]


def test_every_text_list_and_map_of_every_model_is_bounded():
    models = (ThresholdDefinition, ClassifierDefinition, Route, Asset, EventType, Revision)
    schemas = [model.model_json_schema(by_alias=True, mode="validation") for model in models]
    parts = [
        part for one in schemas for part in ({**one, "$defs": {}}, *one.get("$defs", {}).values())
    ]
    assert [path for part in parts for path in _unbounded(part, part["title"])] == []


def _unbounded(node, path):
    kind = node.get("type")
    bounds = {
        "string": {"maxLength", "enum", "const", "format"},
        "array": {"maxItems"},
        "object": {"properties", "maxProperties"},
    }
    is_clock_time = "24:00" in node.get("pattern", "")
    if kind in bounds and not bounds[kind] & node.keys() and not is_clock_time:
        yield path
    below = [
        *node.get("properties", {}).values(),
        *node.get("patternProperties", {}).values(),
        *node.get("anyOf", ()),
        *node.get("oneOf", ()),
        *(
            node[key]
            for key in ("items", "additionalProperties")
            if isinstance(node.get(key), dict)
        ),
    ]
    for one in below:
        yield from _unbounded(one, f"{path}.{one.get('title', '')}")


OTHER = [
    {"problem": {"variable": "moisture", "above": 5.0, "for": "5m"}},
    {"problem": {"variable": "moisture", "above": 4.5, "for": "5m", "predict": "state"}},
    {"problem": {"variable": "moisture", "above": 4.5, "for": "5m", "clear": 4.2}},
    {"problem": {"variable": "moisture", "above": 4.5, "for": "5m", "merge_within": "1h"}},
    {"horizon": "1h"},
    {"gap": "5m"},
    {"assets": ["oven-*"]},
    {"include": ["zone_*"]},
    {"exclude": ["moisture"]},
    {"features": {"stride": "10m"}},
]
SAME = [
    {"title": "Moist"},
    {"severity": "low"},
    {"learning": {"trials": 3}},
    {"features": {"windows": ["1h"]}},
]


def test_only_another_question_has_another_hash():
    """The hashes are those of before `clear` and `merge_within`."""
    hashes = {"9f4b0cfb72e43c56"}
    assert {question_hash(classifier(**changes)) for changes in ({}, *SAME)} == hashes
    assert [change for change in OTHER if question_hash(classifier(**change)) in hashes] == []
    assert revision(classifier()).hash == "ea7c983a742e6fc1"
    limited = threshold(problem={"variable": "moisture", "above": 4.5})
    assert revision(limited).hash == "4509480bb816451b"
    others = [{}, {"horizon": "31m"}, {"costs": {"miss": 900}}, *SAME]
    assert len({definition_hash(classifier(**changes)) for changes in others}) == len(others)


def test_a_change_is_found_field_by_field_and_defaults_written_out_are_none():
    def changes(**written):
        before, after = (definition_document(one) for one in (classifier(), classifier(**written)))
        return flat_changes(before, after)

    assert changes(horizon="1h", guidance={"action": "slow down"}) == {
        "horizon": ("30m", "1h"),
        "guidance.action": (None, "slow down"),
    }
    assert changes(severity="medium", gap="0s") == {}


def test_the_past_is_judged_by_the_revision_in_force_there():
    first = revision(classifier(), at(0))
    second = revision(classifier(horizon="1h"), at(60), before=first)
    found = [in_force([first, second], at(minute)) for minute in (-1, 59, 60)]
    assert found == [None, first, second]


def test_searches_that_take_longest_are_begun_first():
    table = [
        ["random_forest", "lightgbm", "logistic_regression", "persistence"],
        ["boosted_trees", "ridge", "seasonal_naive", "smoothing", "persistence"],
        ["random_forest", "added", "later"],
    ]
    assert [longest_first(tuple(reversed(order))) for order in table] == table
