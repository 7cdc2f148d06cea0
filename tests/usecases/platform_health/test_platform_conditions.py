"""Faults of the platform itself, decided from facts."""

from datetime import timedelta

from alerting.definitions.asset_documents import Asset, EventType
from alerting.definitions.platform_limits import HealthLimits
from alerting.definitions.wording.language import language
from alerting.ports import (
    DecisionRecord,
    Delivered,
    Disk,
    EventRow,
    NewestReading,
    ReadingRow,
    Training,
)
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.health.platform_health import (
    DefinitionLag,
    PlatformFacts,
    platform_conditions,
    read_facts,
)
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from alerting.usecases.sources.status import SOURCES, AssetFreshness
from tests.builders import at, oven, too_hot
from tests.in_memory_platform import memory_platform

GIB = 1 << 30
LIMITS = HealthLimits()
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOW = at(10_000)


def found_in(facts, now=NOW):
    return [(fault.kind, fault.subject) for fault in platform_conditions(facts, LIMITS, now)]


def read(asset, ago, line="line-1", arrived_late=timedelta(0), sampling=None):
    ts = NOW - ago
    return AssetFreshness(asset, line, NewestReading(ts, ts + arrived_late), sampling)


def decided(verdict, minute):
    return DecisionRecord(
        "moist",
        at(minute),
        1,
        2,
        1,
        verdict == "promote",
        False,
        verdict,
        f"because {verdict}",
        {},
        None,
        "p",
    )


def test_a_platform_without_targets_has_no_faults():
    assert found_in(PlatformFacts({})) == []


def test_late_definitions_of_one_cadence_are_one_fault_that_names_the_most_overdue():
    lags = {
        name: DefinitionLag(lag * MINUTE, MINUTE)
        for name, lag in {"a": 16, "b": 17, "c": 90, "d": 20, "e": 60}.items()
    }
    lags["hourly"] = DefinitionLag(70 * MINUTE, 60 * MINUTE)
    [fault] = platform_conditions(PlatformFacts(lags), LIMITS, NOW)
    assert (fault.kind, fault.subject) == ("evaluation late", "evaluate__1m")
    assert fault.reason.startswith("c, e, d and 1 more not evaluated since ")
    assert "none of these alarms can come meanwhile" in fault.reason
    assert found_in(PlatformFacts(lags | {"hourly": DefinitionLag(76 * MINUTE, 60 * MINUTE)}))[
        -1
    ] == (
        "evaluation late",
        "evaluate__1h",
    )


LONG_AGO = 3650 * DAY
READINGS = [
    (read("oven", 59 * MINUTE), False),
    (read("oven", 61 * MINUTE), True),
    (read("oven", 61 * MINUTE, sampling=30 * MINUTE), False),
    (read("oven", 160 * MINUTE, sampling=30 * MINUTE), True),
    (read("oven", LONG_AGO, arrived_late=LONG_AGO), False),  # an imported history
]


def test_a_source_is_stale_if_it_was_live_and_stopped():
    found = [(one, found_in(PlatformFacts({}, readings=[one]))) for one, _ in READINGS]
    stale = [("source stale", "line-1")]
    assert found == [(one, stale if is_stale else []) for one, is_stale in READINGS]


WEEKEND = {"suppression": {"windows": [{"days": ["sat", "sun"], "from": "00:00", "to": "24:00"}]}}
NIGHT = {"suppression": {"windows": [{"from": "22:00", "to": "06:00"}]}}
HOLIDAY = {"suppression": {"when": {"event": "holiday"}}}
MIDNIGHT = at(0).replace(hour=0, minute=0)  # of a Monday


SUPPRESSED = [
    ((WEEKEND, WEEKEND), -2 * DAY - HOUR, -HOUR, False),  # Friday 23:00 to Sunday 23:00
    ((WEEKEND,), -2 * DAY - HOUR, 2 * HOUR, True),  # Monday 02:00: an hour of Friday and two
    ((WEEKEND, {}), -2 * DAY - HOUR, -HOUR, True),  # one is evaluated and notified at all times
    ((WEEKEND, NIGHT), -DAY, -DAY + 6 * HOUR, False),  # Sunday until 06:00: both
    ((WEEKEND, NIGHT), -DAY, -DAY + 8 * HOUR, True),  # afterwards one of them is notified
    ((WEEKEND,), -7 * DAY, -6 * DAY, True),  # a Monday
    ((HOLIDAY,), 2 * DAY - HOUR, 3 * DAY, False),  # Tuesday 23:00 to the end of the holiday
    ((HOLIDAY,), 2 * DAY - HOUR, 3 * DAY + 3 * HOUR, True),
    ((HOLIDAY, WEEKEND), 2 * DAY - HOUR, 3 * DAY, True),
]


def test_times_in_which_all_definitions_of_an_asset_are_suppressed_do_not_make_its_source_stale():
    counts = []
    for definitions, last, now, _ in SUPPRESSED:
        platform = memory_platform()
        below = oven().model_copy(update={"parent": "line-1"})
        platform.assets.store_assets([Asset(name="line-1"), below])
        platform.assets.put_event_types([EventType(name="holiday", duration="lasting")])
        days = (MIDNIGHT + 2 * DAY, MIDNIGHT + 3 * DAY)
        add_events(platform, [EventRow("line-1", "holiday", *days, "calendar")], MIDNIGHT)
        row = ReadingRow("oven-1", MIDNIGHT + last, {"temperature": 200.0})
        add_readings(platform, [row], row.ts)
        documents = [too_hot(name=f"hot-{n}", **fields) for n, fields in enumerate(definitions)]
        apply(platform, documents, "engineer", MIDNIGHT - 9 * DAY, "test")
        found = found_in(read_facts(platform, MIDNIGHT + now), MIDNIGHT + now)
        counts.append(found.count(("source stale", "line-1")))
    assert counts == [int(is_stale) for *_, is_stale in SUPPRESSED]


def test_a_reading_stamped_in_the_future_does_not_hide_a_stopped_source():
    platform = memory_platform()
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot()], "engineer", at(0), "test")
    add_readings(platform, [ReadingRow("oven-1", at(0), {"temperature": 200.0})], at(0))
    add_readings(platform, [ReadingRow("oven-1", at(10**6), {"temperature": 200.0})], at(0))
    assert ("source stale", "oven-1") in found_in(read_facts(platform, at(600)), at(600))


def test_the_stopped_assets_of_a_line_are_one_fault():
    readings = [read(f"oven-{n}", 2 * 60 * MINUTE + n * MINUTE) for n in range(5)]
    readings += [read("mill", 3 * 60 * MINUTE, "mill"), read("oven-9", MINUTE)]
    faults = platform_conditions(PlatformFacts({}, readings=readings), LIMITS, NOW)
    assert [f.subject for f in faults] == ["mill", "line-1"]
    assert "oven-4, oven-3, oven-2 and 2 more" in faults[1].reason


def test_three_refusals_in_a_row_are_a_fault_until_the_next_promotion():
    refused = [decided(v, n) for n, v in enumerate(("keep", "cannot_tell", "rejected"))]
    [fault] = platform_conditions(PlatformFacts({}, decisions={"moist": refused}), LIMITS, NOW)
    assert (fault.kind, fault.subject) == ("promotion refused", "moist")
    assert "because rejected" in fault.reason
    assert found_in(PlatformFacts({}, decisions={"moist": refused[:2]})) == []
    for better in ("promote", "refreshed", "provisional"):
        assert (
            found_in(PlatformFacts({}, decisions={"moist": [*refused[1:], decided(better, 9)]}))
            == []
        )


def test_a_training_that_failed_or_never_ended_is_a_fault():
    fault = [("training failed", "moist")]
    found = {}
    for name, ended, failure in (
        ("ended", at(9_000), None),
        ("failed", at(9_000), "too few problems"),
        ("not ended", None, None),
    ):
        training = Training("moist", "q", "run", 1, at(8_000), ended, failure)
        facts = PlatformFacts({}, trainings=[training])
        found[name] = (found_in(facts), found_in(facts, at(8_100)))
    assert found == {"ended": ([], []), "failed": (fault, fault), "not ended": (fault, [])}


def test_a_disk_at_its_limit_raises_one_fault_and_does_not_flicker():
    fault = ("disk filling", "home")
    found = {
        (free - 5 * GIB, is_open): found_in(
            PlatformFacts(
                {},
                disks=[Disk("home", free), Disk("database", 50 * GIB)],
                is_open=frozenset({fault} if is_open else ()),
            )
        )
        for free, is_open in (
            (5 * GIB, False),
            (5 * GIB - 1, False),
            (5 * GIB + 1, True),
            (6 * GIB, True),
        )
    }
    assert found == {(0, False): [], (-1, False): [fault], (1, True): [fault], (GIB, True): []}


def test_a_registry_that_does_not_answer_is_a_fault_with_its_reason():
    facts = PlatformFacts({}, registry_fault="MLflow does not answer")
    [fault] = platform_conditions(facts, LIMITS, NOW)
    assert fault == ("registry away", "MLflow", "MLflow does not answer")


def test_a_source_that_delivers_nothing_is_a_fault_with_its_reason_until_a_row_comes():
    platform = memory_platform()
    SOURCES.apply(platform, [{"name": "lab", "kind": "http", "stale_after": "10m"}], "ada", at(0))
    subject = ("source stale", "source lab")
    assert subject not in found_in(read_facts(platform, at(10)), at(10))
    platform.deliveries.set_fault("lab", "the folder /data does not exist")
    [fault] = [
        f
        for f in platform_conditions(read_facts(platform, at(11)), LIMITS, at(11))
        if f.subject == "source lab"
    ]
    assert (
        fault.reason
        == "no row of this source since 2026-01-05 00:00 UTC: the folder /data does not exist"
    )
    platform.deliveries.record("lab", Delivered(at(12), 1))
    assert subject not in found_in(read_facts(platform, at(20)), at(20))


def test_faults_are_said_in_the_language_of_the_plant():
    lags = {name: DefinitionLag(60 * MINUTE, MINUTE) for name in "abcd"}
    facts = PlatformFacts(
        lags,
        readings=[read("oven", 2 * HOUR)],
        trainings=[Training("moist", "q", "run", 1, at(8_000), None, None)],
        decisions={"moist": [decided("keep", m) for m in (1, 2, 3)]},
        disks=[Disk("home", GIB)],
    )
    german = language("de")
    assert [german.translate(one.reason) for one in platform_conditions(facts, LIMITS, NOW)] == [
        "a, b, c und 1 weitere seit 2026-01-11 21:40 UTC nicht ausgewertet; keiner dieser "
        "Alarme kann inzwischen kommen; siehe diesen DAG in Airflow",
        "kein Messwert von oven seit 2026-01-11 20:40 UTC, deshalb kann kein Alarm kommen; "
        "prüfen Sie die Quelle",
        "das Training, das 2026-01-10 13:20 UTC begann, ist nicht beendet",
        "die letzten 3 Trainings haben kein Modell eingesetzt: because keep",
        "weniger als 5,0\u00a0GiB frei: schaffen Sie Platz, oder verkürzen Sie die Aufbewahrung "
        "(ALERTING_READINGS_LAST)",
    ]
