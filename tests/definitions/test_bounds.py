"""Whatever a definition, a route, an asset holds is bounded: in length, in number, in time, in the
characters of its texts."""

import pytest

from alerting.definitions.assets import Asset, EventType, parse_asset, parse_event_type
from alerting.definitions.durations import format_duration, parse_duration
from alerting.definitions.faults import UserError
from alerting.definitions.model import Revision
from alerting.definitions.routes import Route, parse_route
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.kinds.threshold.definition import ThresholdDefinition
from alerting.kinds.validation import parse_definition
from tests.builders import too_hot, too_moist

pytestmark = pytest.mark.fast

WINDOW = {"from": "22:00", "to": "23:00"}
ZONES = [
    "Europe",
    "US",
    "x" * 5000,
    "Europe/Berlin\0",
    "Europe/\ud800",
    "../../etc/passwd",
    "/etc/passwd",
    "zone.tab",
    "",
    " ",
    "Mars",
]
PLACES = {
    "schedule": lambda zone: parse_definition(too_hot(schedule={"timezone": zone})),
    "suppression": lambda zone: parse_definition(
        too_hot(suppression={"windows": [WINDOW], "timezone": zone})
    ),
    "route": lambda zone: parse_route({"name": "r", "channels": ["log"], "timezone": zone}),
}


@pytest.mark.parametrize("zone", ZONES, ids=range(len(ZONES)))
@pytest.mark.parametrize("place", PLACES)
def test_a_time_zone_that_is_none_is_refused_in_one_sentence(place, zone):
    with pytest.raises(
        UserError, match=r"timezone: .* is not an IANA time zone \(e\.g\. Europe/Berlin\)"
    ) as refusal:
        PLACES[place](zone)
    assert len(str(refusal.value)) < 300
    str(refusal.value).encode()


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+3", "EST5EDT"]
)
@pytest.mark.parametrize("place", PLACES)
def test_every_real_time_zone_is_taken(place, zone):
    assert f'"{zone}"' in PLACES[place](zone).model_dump_json()


@pytest.mark.parametrize("text", ["99999999999999d", "9" * 5000 + "s", "523w", "3661d"])
@pytest.mark.parametrize("field", ["stale_after", "for", "allowed_lateness"])
def test_a_duration_without_end_is_refused_in_one_sentence(field, text):
    with pytest.raises(
        UserError, match=rf"{field}: .*(is too long; the longest duration|is not a duration)"
    ) as refusal:
        parse_definition(too_hot(**{field: text}))
    assert len(str(refusal.value)) < 400


ENDLESS = "99999999999999d"


@pytest.mark.parametrize(
    ("parse", "document"),
    [
        (
            parse_definition,
            too_hot(suppression={"when": {"variable": "state", "equals": "off", "for": ENDLESS}}),
        ),
        (
            parse_definition,
            too_hot(
                suppression={"when": {"variable": "state", "equals": "off", "recovery": ENDLESS}}
            ),
        ),
        (parse_route, {"name": "r", "channels": ["log"], "repeat": ENDLESS}),
        (parse_route, {"name": "r", "channels": ["log"], "heartbeat": ENDLESS}),
    ],
)
def test_a_duration_without_end_is_refused_in_suppressions_and_routes_too(parse, document):
    with pytest.raises(UserError, match="is too long; the longest duration"):
        parse(document)


def test_ten_years_are_a_duration():
    assert format_duration(parse_duration("3650d")) == "3650d"


FAULTY = {
    "title": (too_hot(title="x" * 201), "title: has 201 characters; at most 200 are allowed"),
    "tags": (too_hot(tags=["x"] * 51), "tags: has 51 entries; at most 50 are allowed"),
    "one tag": (too_hot(tags=["x" * 101]), "tags.0: has 101 characters"),
    "assets": (too_hot(assets=["x"] * 1001), "assets: has"),
    "owner": (too_hot(owner="x" * 101), "owner: has 101 characters"),
    "guidance": (too_hot(guidance={"cause": "x" * 2001}), "guidance.cause: has 2001 characters"),
    "half a character": (
        too_hot(title="\ud800"),
        "title: is not legible text: it holds half a character",
    ),
    "a NUL": (too_hot(title="a\0b"), "title: holds the control character U+0000"),
    "reversed text": (too_hot(title="a\u202eb"), "title: holds the control character U+202E"),
    "a number of 100,000 digits": (
        too_hot(above=10**100_000),
        "above: should be a number, not a number of too many digits to print",
    ),
    "a seed of 100,000 digits": (
        too_moist(learning={"seed": 10**100_000}),
        "learning.seed: should be",
    ),
    "a year before all others": (
        too_moist(periods={"start": "0001-01-01T00:00:00+14:00"}),
        "periods.start: must lie between",
    ),
    "31 February": (too_hot(schedule={"report": "0 0 31 2 *"}), "is not a cron expression"),
    "every second": (too_hot(schedule={"report": "* * * * * *"}), "is not a cron expression"),
    "a very long field": (too_hot(**{"x" * 5000: 1}), "is not a field"),
}


@pytest.mark.parametrize("case", FAULTY)
def test_what_is_too_much_is_refused_in_a_message_that_can_be_printed(case):
    document, words = FAULTY[case]
    with pytest.raises(UserError) as refusal:
        parse_definition(document)
    assert words in str(refusal.value)
    assert len(str(refusal.value).encode()) < 3000


def test_of_thousands_of_faults_fifty_are_named():
    with pytest.raises(UserError) as refusal:
        parse_definition(too_hot(**{f"field{number}": 1 for number in range(2000)}))
    assert str(refusal.value).count("\n") == 51
    assert "has 1950 more faults" in str(refusal.value)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"name": "oven-1", "title": "x" * 201}, "title: has 201 characters"),
        ({"name": "oven-1", "attributes": {"a" * 101: 1}}, "attributes"),
        ({"name": "oven-1", "variables": {"a" * 101: {}}}, "variables"),
        (
            {"name": "oven-1", "variables": {"t": {"latency": "99999999999999d"}}},
            "variables.t.latency: ",
        ),
        ({"name": "oven-1", "abvoe": 1}, "abvoe: is not a field"),
        ({"title": "no name"}, "name: is missing"),
    ],
)
def test_an_asset_with_faults_is_refused_with_their_places(document, words):
    with pytest.raises(UserError, match=r"asset .* has faults") as refusal:
        parse_asset(document)
    assert words in str(refusal.value)


def test_an_event_type_with_faults_is_refused_with_their_places():
    with pytest.raises(
        UserError,
        match=r"(?s)event type 'stop' has faults.*duration: should be 'instant' or 'lasting'",
    ):
        parse_event_type({"name": "stop", "duration": "for ever"})


@pytest.mark.parametrize(
    "model", [ThresholdDefinition, ClassifierDefinition, Route, Asset, EventType, Revision]
)
def test_every_text_list_and_map_of_every_model_is_bounded(model):
    schema = model.model_json_schema(by_alias=True, mode="validation")
    nodes = [
        ("", {key: value for key, value in schema.items() if key != "$defs"}),
        *schema.get("$defs", {}).items(),
    ]
    unbounded = [path for name, node in nodes for path in _unbounded(node, name)]
    assert unbounded == []


def _unbounded(node, path):
    kind = node.get("type")
    if (
        kind == "string"
        and not {"maxLength", "enum", "const", "format"} & node.keys()
        and "24:00" not in node.get("pattern", "")
    ):
        yield path
    if kind == "array" and "maxItems" not in node:
        yield path
    if kind == "object" and "properties" not in node and "maxProperties" not in node:
        yield path
    for name, below in node.get("properties", {}).items():
        yield from _unbounded(below, f"{path}.{name}")
    for below in [*node.get("anyOf", ()), *node.get("oneOf", ())]:
        yield from _unbounded(below, path)
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from _unbounded(node[key], path)
    for below in node.get("patternProperties", {}).values():
        yield from _unbounded(below, path)
