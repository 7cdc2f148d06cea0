"""What documents hold that cannot be meant is refused: each fault once, with its place and what to
write instead."""

from zoneinfo import ZoneInfo

import pytest

from alerting.adapters.yaml_documents import parse_yaml
from alerting.definitions.asset_documents import parse_asset, parse_event_type
from alerting.definitions.faults import DocumentRefused, Fault
from alerting.definitions.fields.names_and_times import Hours
from alerting.definitions.routes_and_sinks import parse_route, parse_sink
from alerting.definitions.sources import parse_source
from alerting.definitions.wording.language import ENGLISH, in_english
from alerting.kinds.registry import definition_types, parse_definition
from tests.builders import at, too_hot, too_moist
from tests.helpers.refusals import faults_of, not_refused

pytestmark = pytest.mark.fast

ENDLESS = "99999999999999d"
BAND = {"low": 3, "high": 5}
LEVELS = {"medium": {"above": 230}, "critical": {"above": 215}}
WINDOW = {"from": "22:00", "to": "06:00"}
MARCH = "2026-03-01T00:00:00Z"
APRIL = "2026-04-01T00:00:00Z"
FILES = {"name": "lab", "kind": "files", "pattern": "/data/lab/*.csv"}
SQL = {
    "name": "quality",
    "kind": "sql",
    "url": {"env": "QUALITY_DB"},
    "table": "results",
    "cursor": "id",
}
OF_AIRFLOW = {"url": {"airflow_connection": "quality"}}
ZONES = [
    *("Europe", "US", "x" * 5000, "Europe/Berlin\0", "Europe/\ud800", "../../etc/passwd"),
    *("/etc/passwd", "zone.tab", "", " ", "Mars"),
]
NO_ZONE = "is not an IANA time zone (e.g. Europe/Berlin)"


def learned(**fields):
    return {"learned": fields}


COUNTS = {"counts": "units"}
LOTS = {"type": "category", "names": "lots"}
NO_SAMPLE = (
    "blocks_production: no sample shows which production is good (write a problem: a variable and "
    "its limit)"
)


def producing(**variables):
    return {"name": "oven-1", "variables": {"t": {}, **variables}}


def of_float(value):
    return {"name": "oven", "attributes": {"float": value, "model": "m1"}}


DEFINITIONS = [
    (too_moist(problem={"event": "failure"}, blocks_production=True), NO_SAMPLE),
    (too_hot(above=learned(quantile=0.999), blocks_production=True), NO_SAMPLE),
    (too_hot(rate_per="1m", blocks_production=True), NO_SAMPLE),
    (too_hot(above={"attribute": "limit"}, blocks_production=True), NO_SAMPLE),
    (too_hot(abov=215), "abov: is not a field (did you mean above?)"),
    (too_hot(kind="treshold"), "kind: 'treshold' is not a kind (did you mean threshold?)"),
    (
        {"name": "x"},
        f"kind: is missing (write {' or '.join(f'kind: {kind}' for kind in definition_types())})",
    ),
    (too_hot(above=None), "above: a limit is missing (add above: or below:)"),
    (
        too_hot(below=220),
        "below: below 220.0 must be less than above 215.0 (the good range lies between them)",
    ),
    (
        too_hot(clear_above_at=220),
        "clear_above_at: must not be greater than above, which must be given",
    ),
    (too_hot(above=float("nan")), "above: should be a finite number"),
    (
        too_hot(**{"for": "5 minutes"}),
        "for: '5 minutes' is not a duration; write 5m",
    ),
    (too_hot(assets=[]), "assets: is empty (at least 1 is needed)"),
    (
        too_hot(assets=["oven 1"]),  # and not that the list is empty
        "assets.0: 'oven 1' is not a legal name (letters, digits, - and _ only)",
    ),
    (
        too_hot(name="too hot"),
        "name: 'too hot' is not a legal name (letters, digits, - and _ only)",
    ),
    (
        too_hot(schedule={"every": "30s"}),
        "schedule.every: 30s is too short (the shortest is 1m)",
    ),
    (
        too_hot(schedule={"timezone": "Mars/Base"}),
        "schedule.timezone: 'Mars/Base' is not an IANA time zone (e.g. Europe/Berlin)",
    ),
    (
        too_hot(problem={"event": "failure"}, horizon="0s"),
        "horizon: must be longer than 0s (write for example 30m)",
    ),
    (
        too_moist(horizon="0s", problem={"variable": "moisture", "above": 4.5, "predict": "onset"}),
        "problem.predict: with horizon: 0s nothing lies ahead, so no onset can be predicted "
        "(write predict: state, or a horizon such as 30m)",
    ),
    (
        too_moist(horizon="0s", gap="5m"),
        "gap: with horizon: 0s the unit is already made, so there is no time to act before it "
        "(remove gap)",
    ),
    (
        too_moist(horizon="0s", problem={"variable": "moisture", "above": 4.5, "for": "5m"}),
        "problem.for: with horizon: 0s each unit is good or bad by itself, not for a time "
        "(remove for)",
    ),
    (
        too_moist(horizon="0s", problem={"variable": "moisture", "above": 4.5, "recovery": "5m"}),
        "problem.recovery: with horizon: 0s every unit counts (remove recovery)",
    ),
    (
        too_moist(
            horizon="0s", problem={"variable": "moisture", "above": 4.5, "merge_within": "5m"}
        ),
        "problem.merge_within: with horizon: 0s each unit is good or bad by itself (remove "
        "merge_within)",
    ),
    (
        too_moist(problem={"variable": "moisture", "above": 4.5, "clear": 4.6}),
        "problem.clear: 4.6 lies beyond the limit above 4.5 (the good side is below the limit)",
    ),
    (
        too_moist(problem={"variable": "moisture", "below": 4.5, "clear": 4.4}),
        "problem.clear: 4.4 lies beyond the limit below 4.5 (the good side is above the limit)",
    ),
    (
        too_moist(problem={"variable": "moisture", "above": 4.5, "below": 3, "clear": 4}),
        "problem.clear: one value cannot clear both above and below (write the difference to "
        "both, clear: {difference: …})",
    ),
    (
        too_moist(
            problem={
                "variable": "moisture",
                "above": 4.5,
                "below": 3.5,
                "clear": {"difference": 0.6},
            }
        ),
        "problem.clear: no value lies 0.6 within both limits (write less than 0.5)",
    ),
    (
        too_moist(problem={"event": "failure", "clear": 4}),
        "problem.clear: goes with a variable and its limit above or below (remove clear; "
        "problems near each other are one by merge_within)",
    ),
    (
        too_moist(problem={"variable": "moisture", "above": 4.5, "clear": {"difference": 0}}),
        "problem.clear.difference: should be greater than 0.0, not 0",
    ),
    (
        too_moist(problem={"variable": "moisture", "above": 4.5, "clear": "low"}),
        "problem.clear: should be a number, not 'low'",
    ),
    (
        too_moist(features={"stride": "1h"}),
        "horizon: 30m is shorter than the stride 1h (lengthen the horizon or shorten "
        "features.stride)",
    ),
    (
        too_moist(problem={"variable": "moisture"}),
        "problem: has no limit for moisture (add above:, below: or equals:)",
    ),
    (
        too_moist(problem={"variable": "moisture", "above": 3, "equals": 4}),
        "problem.equals: cannot stand beside above or below (keep one of them)",
    ),
    (
        too_moist(problem={"event": "failure", "equals": True}),
        "problem: an event has no limit, no value and no `for` (remove above, below, equals "
        "and for)",
    ),
    (
        too_moist(problem={"above": 3}),
        "problem: needs either a variable with a limit, or an event type",
    ),
    (
        too_moist(periods={"validation": 0.5, "test": 0.5}),
        "periods: validation 0.5 and test 0.5 leave nothing to train on",
    ),
    (
        too_moist(operating_point={"least_precision": 0.5, "false_alarms_per_week": 3}),
        "operating_point: gives more than one way to choose the threshold: "
        "false_alarms_per_week and least_precision "
        "(keep one of them)",
    ),
    (
        too_moist(operating_point={"cost_of_false_alarm": 30}),
        "operating_point.cost_of_miss: is missing (the two costs belong together)",
    ),
    (
        too_moist(schedule={"retrain": "every day"}),
        "schedule.retrain: 'every day' is not a cron expression (e.g. 0 3 * * 0 for Sunday 03:00)",
    ),
    (too_hot(title="x" * 201), "title: has 201 characters; at most 200 are allowed"),
    (too_hot(tags=["x"] * 51), "tags: has 51 entries; at most 50 are allowed"),
    (too_hot(tags=["x" * 101]), "tags.0: has 101 characters"),
    (too_hot(assets=["x"] * 1001), "assets: has"),
    (too_hot(owner="x" * 101), "owner: has 101 characters"),
    (too_hot(guidance={"cause": "x" * 2001}), "guidance.cause: has 2001 characters"),
    (
        too_hot(title="\ud800"),
        "title: is not legible text: it holds half a character",
    ),
    (too_hot(title="a\0b"), "title: holds the control character U+0000"),
    (too_hot(title="a\u202eb"), "title: holds the control character U+202E"),
    (
        too_hot(above=10**100_000),
        "above: should be a number, not a number of too many digits to print",
    ),
    (
        too_moist(learning={"seed": 10**100_000}),
        "learning.seed: should be",
    ),
    (
        too_moist(periods={"start": "0001-01-01T00:00:00+14:00"}),
        "periods.start: must lie between",
    ),
    (too_hot(schedule={"report": "0 0 31 2 *"}), "is not a cron expression"),
    (too_hot(schedule={"report": "* * * * * *"}), "is not a cron expression"),
    (too_hot(**{"x" * 5000: 1}), "is not a field"),
]
THRESHOLDS = [
    ({"above": "hot"}, "above: should be a number, not 'hot'"),
    ({"above": {"atribute": "x"}}, "above.atribute: is not a field"),
    (
        {"equals": 3},
        "equals: cannot stand beside above or below (one condition per definition; see levels)",
    ),
    (
        {"above": None, "inside": {"low": 3, "high": 3}},
        "inside.low: 3.0 must be less than high 3.0",
    ),
    ({"above": None, "inside": {"low": 3}}, "inside.high: is missing"),
    (
        {"clear_inside": BAND},
        "clear_inside: goes with outside (after above and below it is clear_above_at and "
        "clear_below_at)",
    ),
    (
        {"above": None, "outside": BAND, "clear_inside": {"low": 2, "high": 4}},
        "clear_inside: must lie within the band of",
    ),
    (
        {"above": None, "outside": BAND, "clear_inside": BAND, "clear_above_at": 4},
        "clear_inside: repeats clear_above",
    ),
    ({"clear_outside": BAND}, "clear_outside: goes with inside, or with equals and a number"),
    (
        {"above": None, "equals": True, "clear_outside": BAND},
        "clear_outside: goes with inside, or with equals and a number",
    ),
    (
        {"above": None, "equals": 6, "clear_outside": BAND},
        "clear_outside: must contain what triggers",
    ),
    (
        {"above": None, "inside": {"low": 2, "high": 4}, "clear_outside": BAND},
        "clear_outside: must contain what triggers",
    ),
    (
        {"above": None, "inside": BAND, "clear_outside": {"low": 6, "high": 1}},
        "clear_outside.low: 6.0 must be less than high",
    ),
    (
        {"above": None, "levels": LEVELS},
        "levels.critical.above: 215.0 must be greater than that of medium, 230.0",
    ),
    (
        {"above": None, "levels": {"worst": {"above": 1}}},
        "levels.worst: is not a field (fields here: critical, high, low",
    ),
    (
        {"above": None, "levels": {"low": {}}},
        "levels.low: a limit is missing (add above: or below:)",
    ),
    ({"above": None, "levels": {}}, "levels: has no level"),
    (
        {"at_least": {"readings": 5, "of": 3}},
        "at_least.readings: 5 of 3 readings is impossible",
    ),
    (
        {"rate_per": "1m", "no_data": "ignore"},
        "rate_per: needs regular readings (remove no_data: ignore)",
    ),
    ({"counter": True}, "counter: a counter is read as a rate (add rate_per:)"),
    ({"rate_per": "1m", "rolls_over_at": 65536}, "rolls_over_at: goes with counter: true"),
    (
        {"above": None, "equals": 3, "rate_per": "1m"},
        "rate_per: a rate needs limits; equals applies to values",
    ),
    (
        {"frozen_after": "5m", "for": "5m"},
        "frozen_after: must be longer than `for` (a constant value would count as frozen",
    ),
    (
        {"frozen_after": "5m", "no_data": "ignore"},
        "frozen_after: changes nothing with no_data: ignore",
    ),
    ({"no_data": "normal"}, "no_data: should be 'hold', 'alert', 'ignore' or 'clear'"),
    (
        {"assets": "oven-1"},
        "assets: should be a list, not 'oven-1' (write it in brackets: [oven-1])",
    ),
    ({"tags": "hot"}, "tags: should be a list, not 'hot' (write it in brackets: [hot])"),
    ({"guidance": "call me"}, "guidance: should be a group of fields, not 'call me'"),
    ({"owner": True}, "owner: should be text, not true"),
    ({"title": 5}, 'title: should be text, not 5 (put it in quotes: "5")'),
    ({"severity": "hihg"}, "did you mean high?"),
    ({"above": "4,5"}, "write 4.5, with a point and without quotes"),
    (
        {"at_least": {"readings": 1.5, "of": 3}},
        "at_least.readings: should be a whole number, not 1.5",
    ),
    ({"at_least": {"readings": 0, "of": 3}}, "at_least.readings: should be at least 1, not 0"),
    ({"assets": []}, "assets: is empty (at least 1 is needed)"),
    (
        {"notify": {"resolved": "maybe"}},
        "notify.resolved: should be true or false, not 'maybe'",
    ),
    (
        {"above": learned(quantile=0.01)},
        "above.learned.quantile: 0.01 is the share of readings below the limit",
    ),
    ({"below": learned(quantile=0.9)}, "write quantile: 0.1"),
    (
        {"above": learned(quantile=0.9, over="1h")},
        "above.learned.over: is too short (the shortest is 1d)",
    ),
    ({"above": learned(quantile=0.9, by=["a", "a"])}, "above.learned.by: names a group twice"),
    (
        {"above": learned(quantile=0.9, by=["temperature"])},
        "'temperature' is the variable itself",
    ),
    (
        {"above": learned(quantile=0.9), "rate_per": "1m"},
        "rate_per: goes with limits that are numbers",
    ),
    (
        {"promotion": {"mode": "approval"}},
        "promotion: decides on learned limits, and this definition has none",
    ),
    *(
        ({field: text}, f"{field}: ")
        for field in ("stale_after", "for", "allowed_lateness")
        for text in (ENDLESS, "9" * 5000 + "s", "523w", "3661d")
    ),
    *(({"schedule": {"timezone": zone}}, NO_ZONE) for zone in ZONES),
    *(({"suppression": {"windows": [WINDOW], "timezone": zone}}, NO_ZONE) for zone in ZONES),
]
PERIODS = [
    (
        {"train": 0.3},
        "periods.train: 0.3 is not possible here (write a length such as 90d, or {from: …, to: …})",
    ),
    ({"test": "a while"}, "periods.test: 'a while' is not a duration"),
    ({"test": "0s"}, "periods.test: must be longer than 0s"),
    (
        {"test": {"form": MARCH, "from": APRIL}},
        "periods.test.form: is not a field (did you mean from?)",
    ),
    ({"test": {"to": APRIL}}, "periods.test.from: is missing"),
    (
        {"test": {"from": APRIL, "to": MARCH}},
        "periods.test.from: must lie before periods.test.to",
    ),
    (
        {"validation": {"from": MARCH, "to": APRIL}, "test": {"from": MARCH}},
        "periods.validation.to: must lie before",
    ),
    (
        {"validation": {"from": APRIL}, "test": {"from": MARCH}},
        "periods.validation.from: must lie before periods.test.from",
    ),
    (
        {"train": {"from": MARCH}, "start": MARCH},
        "periods.start: says the same as periods.train.from (keep one of them)",
    ),
    (
        {"test": {"from": MARCH, "to": APRIL}, "end": APRIL},
        "periods.end: says the same as periods.test.to",
    ),
]
SUPPRESSIONS = [
    ({}, "suppression: is empty"),
    ({"windows": [{"from": "22:00", "to": "6"}]}, "suppression.windows.0.to"),
    (
        {"windows": [{"from": "22:00", "to": "06:00"}], "timezone": "Berlin"},
        "is not an IANA time zone",
    ),
    ({"when": {"variable": "speed"}}, "has no value for speed"),
    ({"when": {"below": 1}}, "needs either a variable with a value, or an event type"),
    ({"when": {"variable": "speed", "below": 1, "event": "stop"}}, "needs either a variable"),
    ({"when": {"event": "stop", "for": "5m"}}, "an event has no value and no `for`"),
    (
        {"when": {"variable": "speed", "equals": 0, "below": 1}},
        "cannot stand beside above or below",
    ),
    ({"when": {"variable": "speed", "below": 2, "above": 1}}, "must be less than above"),
    (
        {"when": {"variable": "speed", "below": 1, "stale_after": "0s"}},
        "must be longer than 0s",
    ),
    (
        {"when": {"variable": "speed", "equals": {"attribute": "idle"}}},
        "suppression.when.0.equals",
    ),
    ({"when": {"variabel": "speed", "below": 1}}, "did you mean variable?"),
    (
        {"windows": [{"from": "22:00", "to": "06:00"}], "still_notify": ["worst"]},
        "still_notify",
    ),
    ({"when": {"variable": "state", "equals": "off", "for": ENDLESS}}, "is too long"),
    (
        {"when": {"variable": "state", "equals": "off", "recovery": ENDLESS}},
        "is too long; the longest",
    ),
]
FORECASTS = [
    ({"problem": {"event": "failure"}}, "problem: "),
    ({"problem": {"variable": "drop", "equals": 3.0}}, "problem.equals: "),
    ({"problem": {"variable": "drop", "above": 4.0, "for": "5m"}}, "problem.for: "),
    ({"exclude": ["drop"]}, "exclude: "),
    ({"features": {"stride": "1h", "aggregations": ["mean"]}}, "features.aggregations: "),
    ({"feedback": {"avoided": "weight", "weight": 0.5}}, "feedback.avoided: "),
    ({"feedback": {"avoided": "positive"}}, "feedback.avoided: "),
    ({"feedback": {"confirmed": "positive"}}, "feedback.confirmed: "),
    ({"horizon": "0s"}, "horizon: "),
    ({"season": "0s"}, "season: "),
]
YAML_THRESHOLDS = [
    ("above: true", "above: should be a number, not true"),
    ("above: yes", "above: should be a number, not true"),
    (
        "above: '215'",
        "above: should be a number, not '215' (write 215, with a point and without quotes)",
    ),
    ("above: 1:30", "above: should be a number, not '1:30'"),
    ("above: 1:30.5", "above: should be a number, not '1:30.5'"),
    ("levels: {high: {above: true}}", "levels.high.above: should be a number, not true"),
    ("outside: {low: false, high: 3}", "outside.low: should be a number, not false"),
    (
        "above: {learned: {quantile: true}}",
        "above.learned.quantile: should be a number, not true",
    ),
    ("above: 5\nclear_above_at: true", "clear_above_at: should be a number, not true"),
    (
        "above: 5\nfor: 1:30",
        "for: '1:30' is not a duration; write for example 30m, 1h30m or 5d",
    ),
    (
        "above: 5\nsuppression: {when: {variable: mode, above: true}}",
        "above: should be a number, not true",
    ),
    ("above: 5\ncosts: {miss: true}", "costs.miss: should be a number, not true"),
]
YAML_CLASSIFIERS = [
    (
        "schedule: {retrain: R 3 * * 0}",
        "schedule.retrain: 'R 3 * * 0' has a time by chance",
    ),
    ("schedule: {retrain: 0 R(2-5) * * *}", "has a time by chance"),
    ("schedule: {retrain: '0 1,r * * *'}", "has a time by chance"),
    ("schedule: {retrain: H 3 * * 0}", "has a time by chance"),
    ("schedule: {report: R R * * *}", "has a time by chance"),
    (
        "periods: {start: 0.5}",
        "is a number and no instant; write for example 2026-01-31T06:00Z",
    ),
]
SOURCES = [
    ({"name": "a"}, "kind: "),
    ({"name": "a", "kind": "ftp"}, "kind: "),
    ({**SQL, "url": "postgresql://me:secret@host/db"}, "url: "),
    ({**SQL, "url": {"env": "A", "file": "/run/secrets/a"}}, "url: "),
    ({**SQL, "query": "SELECT 1"}, "table: "),
    ({**SQL, "cursor": "id; DROP TABLE results"}, "cursor: "),
    ({**FILES, "pattern": "/data/../etc/*"}, "pattern: "),
]
READ_SOURCES = [
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
]
BROKERS = [
    ({"kind": "mqtt", "topic": "{asset}/{asset}/#"}, "names {asset} at"),
    ({"kind": "amqp", "topic": "line.{variable}.{variable}"}, "names {variable} at"),
    ({"kind": "amqp", "topic": "{asset}.{asset}.{asset}"}, "names {asset} at"),
]
SINKS = [
    ({"topic": "a/{other}"}, "topic: "),
    ({"topic": "a/{asset!r}"}, "topic: "),
    ({"topic": "a/{asset.name}"}, "topic: "),
    ({"topic": "a/{asset:>9}"}, "topic: "),
    ({"topic": "a/{asset"}, "topic: "),
    ({"topic": "a/#"}, "topic: "),
    ({"url": {}}, "url: "),
    ({"url": {"env": "A_URL", "file": "/run/secrets/a"}}, "url: "),
    ({"url": {"airflow_connection": "a"}}, "url: "),
    ({"sends": ["alarms", "alarms"]}, "sends: "),
    ({"sends": []}, "sends: "),
    ({"sends": ["rows"]}, "sends.0: "),
    ({"tls": {"key": "/a"}}, "tls.key: "),
    ({"code": "print()"}, "code: "),
    ({"kind": "sql", "table": "a; DROP TABLE b"}, "table: "),
    ({"kind": "sql", "table": "t_{asset}"}, "table: "),
    ({"kind": "sql", "table": "one", "sends": ["alarms", "scores"]}, "table: "),
    ({"kind": "webhook", "secret": {}}, "secret: "),
]
ASSETS = [
    ({"name": "oven-1", "title": "x" * 201}, "title: has 201 characters"),
    ({"name": "oven-1", "attributes": {"a" * 101: 1}}, "attributes"),
    ({"name": "oven-1", "variables": {"a" * 101: {}}}, "variables"),
    (
        {"name": "oven-1", "variables": {"t": {"latency": "99999999999999d"}}},
        "variables.t.latency: ",
    ),
    ({"name": "oven-1", "abvoe": 1}, "abvoe: is not a field"),
    ({"title": "no name"}, "name: is missing"),
    (of_float("a\x07"), "attributes.float: holds the control character U+0007; remove it"),
    (of_float([1]), "attributes.float: should be text, a number, or true or false, not a list"),
    (of_float(float("nan")), "attributes.float: should be a finite number"),
    (
        {"name": "oven-1", "variables": {"t": {"low": False}}},
        "variables.t.low: should be a number, not false",
    ),
    (producing(n={"type": "category", "counts": "units"}), "counts: is for one variable of type"),
    (producing(n={"names": "lots"}), "names: is for one variable of type: category"),
    (producing(n={"counts": "pieces"}), "variables.n.counts: should be 'units'"),
    (producing(n=COUNTS, m=COUNTS), "counts: is for one variable of type: number"),
    (producing(n=LOTS, m=LOTS), "names: is for one variable of type: category"),
    (producing(n={**COUNTS, "computed": {"kind": "rate", "of": "t"}}), "remove counts"),
]
EVENT_TYPES = [
    ({"name": "stop", "duration": "for ever"}, "duration: should be 'instant' or 'lasting'"),
]
ROUTES = [
    *(({"timezone": zone}, NO_ZONE) for zone in [*ZONES, "Europe/Berlln"]),
    *(({field: ENDLESS}, "is too long; the longest") for field in ("repeat", "heartbeat")),
    ({"repeat": "30s"}, "repeat: "),
    ({"heartbeat": "0s"}, "heartbeat: "),
    ({"escalation": [{"after": "1s", "channels": ["log"]}]}, "escalation.0.after: "),
    ({"channels": []}, "channels: "),
    ({"chanels": ["x"]}, "chanels: "),
    ({"quiet": [{"from": "6", "to": "07:00"}]}, "quiet.0.from: "),
    ({"match": {"severity": ["awful"]}}, "match.severity.0: "),
    ({"match": {"assets": ["north", ""]}}, "match.assets.1: "),
]
FORECAST = {
    "name": "clogs",
    "kind": "forecast",
    "assets": ["f-1"],
    "problem": {"variable": "drop", "above": 4.0},
    "horizon": "2h",
    "features": {"stride": "1h"},
}
BROKER = {"name": "line", "url": {"env": "BROKER_URL"}}
HOT = "name: hot\nkind: threshold\nassets: [oven-1]\nvariable: temperature\n"
MOIST = (
    "name: moist\nkind: classifier\nassets: [oven-1]\n"
    "problem: {variable: moisture, above: 4.5}\nhorizon: 30m\n"
)


def parse_written(text):
    [document] = parse_yaml(text, "a.yaml")
    return parse_definition(document)


REFUSED = {
    "definitions": (parse_definition, DEFINITIONS),
    "thresholds": (lambda changes: parse_definition(too_hot(**changes)), THRESHOLDS),
    "periods": (lambda periods: parse_definition(too_moist(periods=periods)), PERIODS),
    "suppressions": (
        lambda suppression: parse_definition(too_hot(suppression=suppression)),
        SUPPRESSIONS,
    ),
    "forecasts": (lambda changes: parse_definition(FORECAST | changes), FORECASTS),
    "YAML of thresholds": (lambda text: parse_written(HOT + text), YAML_THRESHOLDS),
    "YAML of classifiers": (lambda text: parse_written(MOIST + text), YAML_CLASSIFIERS),
    "sources": (parse_source, SOURCES),
    "polled sources": (lambda changes: parse_source(SQL | changes), READ_SOURCES),
    "sources of brokers": (lambda changes: parse_source(BROKER | changes), BROKERS),
    "sinks": (
        lambda changes: parse_sink({**BROKER, "kind": "mqtt", **changes}),
        SINKS,
    ),
    "assets": (parse_asset, ASSETS),
    "event types": (parse_event_type, EVENT_TYPES),
    "routes": (lambda changes: parse_route({"name": "r", "channels": ["log"]} | changes), ROUTES),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_meant_is_refused_with_its_place_and_a_hint(what):
    assert not_refused(*REFUSED[what]) == []


def test_a_fault_is_said_once_though_a_value_may_have_several_forms():
    parse, table = REFUSED["thresholds"]
    said = [[fault.partition(":")[0] for fault in faults_of(parse, row)] for row, _ in table]
    assert [places for places in said if len({*places}) < len(places)] == []


ALL_AT_ONCE = [
    (
        parse_definition,
        too_hot(kind="treshold", abov=215, **{"for": "5 minutes"}),
        ["kind", "for", "abov"],
    ),
    (parse_definition, too_hot(kind="recipe", abov=215), ["kind"]),  # it resembles none
    (
        parse_definition,
        too_hot(colour="red", above=None, schedule={"every": "10s"}, severity="huge"),
        ["severity", "colour", "schedule.every", "above"],
    ),
    (
        parse_definition,
        too_hot(
            suppression={
                "when": [{"variable": "speed"}, {"event": "stop", "below": 1}],
                "timezone": "Berlin",
            }
        ),
        ["suppression.timezone", "suppression.when.0", "suppression.when.1"],
    ),
    (
        parse_source,
        {"name": "lab 1", "kind": "files", "patern": "/x/*.csv"},
        ["name", "pattern", "patern"],
    ),
    (
        parse_source,
        FILES
        | {"done": "done", "every": "4s", "variables": {"a": {"name": "x"}, "b": {"name": "x"}}},
        ["done", "every", "variables"],
    ),
    (
        parse_sink,
        {**BROKER, "kind": "mqtt", "topic": "{x}", "sends": ["alarms", "alarms"], "more": 1},
        ["topic", "sends", "more"],
    ),
]


def test_all_faults_are_told_at_once():
    said = [
        [fault.partition(":")[0] for fault in faults_of(parse, document)]
        for parse, document, _ in ALL_AT_ONCE
    ]
    assert [sorted(one) for one in said] == [sorted(places) for *_, places in ALL_AT_ONCE]


def test_of_thousands_of_faults_fifty_are_named():
    with pytest.raises(DocumentRefused) as refusal:
        parse_definition(too_hot(**{f"field{number}": 1 for number in range(2000)}))
    assert str(refusal.value).count("\n") == 51
    assert "has 1950 more faults" in str(refusal.value)


MOISTURE = {"variable": "moisture", "above": 4.5}
WRONG = [
    {"variable": "moisture"},
    {"any": [{"variable": "oven", "above": 2, "below": 3}]},
    {"above": 3},
]
VALUE = {"name": "x", "kind": "forecast", "assets": ["oven-1"], "horizon": "1h"}
EXACTLY = [
    (
        too_moist(problem={"variable": "moisture", "all": WRONG}),
        [
            "problem.variable: cannot stand beside all (write it in a condition of all, or remove "
            "all)",
            "problem.all.1.any: needs at least two conditions (write a single one with variable: "
            "and its limit)",
            "problem.all.0.above: a limit is missing (add above: or below:)",
            "problem.all.1.any.0.below: below 3.0 must be less than above 2.0 (the good range lies "
            "between them)",
            "problem.all.2.variable: is missing (write variable: and a limit, or any: or all:)",
        ],
    ),
    (
        VALUE | {"problem": {"any": [MOISTURE, {"variable": "temperature", "below": 180}]}},
        [
            "problem: a forecast needs one variable with limits "
            "(write problem: {variable: …, above: …}, or variable: … for its value alone; for "
            "conditions of several choose kind: classifier)"
        ],
    ),
    (
        VALUE | {"variable": "moisture", "problem": MOISTURE},
        [
            "variable: is given beside a problem, whose variable is predicted (keep one of them: "
            "variable for the value alone, problem for an alarm too)"
        ],
    ),
    (
        VALUE
        | {"variable": "moisture", "operating_point": {"least_precision": 0.8}, "clear_at": 0.3},
        [
            "clear_at: means nothing without an alarm (remove it, or write a problem)",
            "operating_point: means nothing without an alarm (remove it, or write a problem)",
        ],
    ),
    (
        VALUE | {"problem": {"variable": "moisture"}},
        ["problem: has no limit for moisture (add above:, below: or equals:)"],
    ),
    (VALUE | {"variable": "moisture"}, []),
]
CHART = {
    "name": "shifted",
    "kind": "control_chart",
    "assets": ["press-1"],
    "variable": "force",
    "chart": "shewhart",
}
OFTEN = [
    (["western_electric_4"], {}, ["rules: western_electric_4 signals after at most 256 points"]),
    (
        ["nelson_2"],
        {"average_run_length": 1000},
        ["rules: nelson_2 signals after at most 520 points"],
    ),
    (["nelson_2"], {"subgroup": 5}, ["rules: nelson_2 signals after at most 260 points"]),
    (["nelson_2"], {}, []),
    (["western_electric_4"], {"average_run_length": 200}, []),
]


def test_faults_that_depend_on_other_fields_are_said_with_all_that_they_need():
    said = [faults_of(parse_definition, document) for document, _ in EXACTLY]
    assert said == [faults for _, faults in EXACTLY]
    problem = "problem: needs either a variable with a limit, or an event type"
    assert problem in faults_of(parse_definition, VALUE)
    assert parse_definition(VALUE | {"variable": "moisture"}).problem.variable == "moisture"
    charts = [CHART | {"rules": ["nelson_1", *rules]} | more for rules, more, _ in OFTEN]
    said = [faults_of(parse_definition, chart) for chart in charts]
    assert [[fault.split(" on average")[0] for fault in one] for one in said] == [
        faults for *_, faults in OFTEN
    ]


TAKEN = {
    "zones": (
        lambda zone: [
            parse_definition(too_hot(schedule={"timezone": zone})).schedule.timezone,
            parse_definition(
                too_hot(suppression={"windows": [WINDOW], "timezone": zone})
            ).suppression.timezone,
            parse_route({"name": "r", "channels": ["log"], "timezone": zone}).timezone,
        ],
        [
            (zone, [zone] * 3)
            for zone in ("UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "EST5EDT")
        ],
    ),
    "schedules": (
        lambda cron: parse_definition(too_moist(schedule={"retrain": cron})).retrain_cron,
        [
            (cron, cron)
            for cron in (
                "0 3 * * 0",
                "0 3 * mar,apr thu-fri",
                "*/20 3-5 1 * *",
                "@daily",
                "0 3 L * *",
            )
        ],
    ),
    "times of day": (
        lambda written: [Hours.model_validate(written).start, Hours.model_validate(written).to],
        [
            (parse_yaml("{from: 22:00, to: 6:30}", "a.yaml")[0], ["22:00", "06:30"]),
            ({"from": 1320, "to": 390}, ["22:00", "06:30"]),  # as another reader of YAML stored it
        ],
    ),
    "categories": (lambda text: parse_written(text).equals, [(f"{HOT}equals: 1:30", "1:30")]),
}


def test_usual_values_are_taken_as_they_are_written():
    found = {what: [take(row) for row, _ in table] for what, (take, table) in TAKEN.items()}
    assert found == {what: [row for _, row in table] for what, (_, table) in TAKEN.items()}


def test_a_refused_document_keeps_the_instants_of_its_faults():
    order = in_english("{start} must lie before {end}", start=at(60), end=at(0))
    refusal = DocumentRefused("press", [Fault("periods", order, "swap them")])
    assert ENGLISH.with_clock(ZoneInfo("Europe/Berlin")).translate(refusal.message) == (
        "document 'press' has faults:\n  - periods: 2026-01-05 02:00 CET must lie before "
        "2026-01-05 01:00 CET (swap them)"
    )
