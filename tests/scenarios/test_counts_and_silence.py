"""Numbers in a time, silence that is clear, and severities with times of their own, on a platform:
evaluated every few minutes, with late data, from the first evaluation on, and explained."""

from datetime import timedelta
from time import monotonic

import pytest

from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.definitions.wording.language import ENGLISH
from alerting.kinds.registry import kind_of
from alerting.ports import EventRow, ReadingRow, silent
from alerting.usecases.backtest.backtest import backtest, written_subject
from alerting.usecases.backtest.preview import SeriesCache, preview
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.explain import why as explained
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from alerting.usecases.notification.episode_values import chart_of
from tests.builders import at
from tests.in_memory_platform import in_memory_platform

COMMON = {"kind": "threshold", "assets": ["packer-1"]}
JAMS = {"name": "jams", **COMMON, "event": "jam", "count_within": "10m", "above": 2}
VALVE = {
    "name": "valve",
    **COMMON,
    "variable": "valve",
    "count_within": "10m",
    "above": 2,
    "no_data": "ignore",
}
PULSE = {"name": "pulse", **COMMON, "variable": "animal", "equals": 1, "no_data": "clear"}
WARM = {
    "name": "warm",
    **COMMON,
    "variable": "temp",
    "levels": {"low": {"above": -15}, "critical": {"above": -15, "for": "10m"}},
}
EVENTS = (-4, 21, 25, 28, 60)  # the one at 27 comes late
VALUES = {
    "valve": {-300: 0.0, 31: 1.0, 32: 0.0, 33: 1.0},
    "animal": {5: 1.0, 10: 1.0, 71: 1.0},
    "temp": {m: -10.0 if 40 <= m < 52 else -20.0 for m in range(0, 120, 2)},
}


def packer():
    platform = in_memory_platform()
    names = {name: Variable() for name in VALUES}
    platform.assets.store_assets([Asset(name="packer-1", variables=names)])
    platform.assets.put_event_types([EventType(name="jam", duration="instant")])
    return platform


def jams(platform, minutes, now):
    add_events(platform, [EventRow("packer-1", "jam", at(m), None, "test") for m in minutes], now)


def arrive(platform, start, end):
    rows = [
        ReadingRow("packer-1", at(m), {name: value})
        for name, values in VALUES.items()
        for m, value in values.items()
        if start < m <= end
    ]
    if rows:
        add_readings(platform, rows, at(end))
    jams(platform, [m for m in EVENTS if start < m <= end], at(end))


def told(platform):
    return {
        name: [
            [
                (t.kind, (t.at - at(0)) / timedelta(minutes=1))
                for t in e.transitions
                if t.kind != "reopened"
            ]
            for e in sorted(platform.episodes.find(), key=lambda e: e.raised_at)
            if e.definition == name and not e.withdrawn
        ]
        for name in ("jams", "valve", "pulse", "warm")
    }


@pytest.fixture(scope="module", params=[1, 7, 120])
def platform(request):
    """The platform after two hours, evaluated each so many minutes."""
    platform = packer()
    arrive(platform, -1000, 0)
    platform.clock.instant = at(0)
    apply(platform, [JAMS, VALVE, PULSE, WARM], "engineer", at(0), "test")
    before = 0
    for now in [*range(request.param, 120, request.param), 120]:
        arrive(platform, before, now)
        platform.clock.instant = at(now) + timedelta(seconds=20)  # longer than the latency
        evaluate(platform, None, platform.clock.instant)
        before = now
    return platform


def test_episodes_are_those_of_the_readings_however_often_it_is_evaluated(platform):
    found = told(platform)
    assert found["jams"] == [[("raised", 28), ("closed", 31)]]
    # three changes within ten minutes of a valve that had been quiet for five hours
    assert found["valve"] == [[("raised", 33), ("closed", 41)]]
    assert found["pulse"] == [[("raised", 5), ("closed", 20)], [("raised", 71), ("closed", 81)]]
    assert found["warm"] == [[("raised", 40), ("severity", 50), ("closed", 52)]]


def test_reasons_say_what_was_counted_and_how_long_it_lasted(platform):
    reasons = {e.definition: e.evaluation.reason for e in platform.episodes.find()}
    assert reasons["jams"] == "number of jam in 10 min: 3, above 2"
    assert reasons["valve"] == "changes of valve in 10 min: 3, above 2"
    (warm,) = [e for e in platform.episodes.find() if e.definition == "warm"]
    (worse,) = [t for t in warm.transitions if t.kind == "severity"]
    assert "above -15 for 10 min" in worse.reason
    assert warm.severity_peak == "critical"


def test_why_explains_them(platform):
    def why(name, minute):
        answer = explained(platform, name, "packer-1", at(minute))
        return answer.answer, answer.facts

    answer, facts = why("jams", 29)
    assert answer.startswith("open since")
    assert "number of jam in 10 min: 3" in facts
    answer, facts = why("jams", 45)
    assert answer == "not raised: number of jam in 10 min is within its limits"
    answer, _ = why("pulse", 50)
    assert "no reading of animal within 10 min, which counts as clear" in answer


def test_a_late_event_is_counted_in_its_time():
    platform = packer()
    arrive(platform, -1000, 0)
    platform.clock.instant = at(0)
    apply(platform, [JAMS], "engineer", at(0), "test")
    for now, arrived in ((26, (21, 25)), (40, ()), (50, (28,)), (90, ())):
        jams(platform, arrived, at(now))
        platform.clock.instant = at(now) + timedelta(seconds=20)
        evaluate(platform, None, platform.clock.instant)
    assert told(platform)["jams"] == [[("raised", 28), ("closed", 31)]]


def test_pages_of_an_alarm_draw_what_there_is(platform):
    """An alarm of events has no variable to draw, one of changes has no limit on its values."""
    for episode in platform.episodes.find():
        (revision,) = platform.definitions.revisions(episode.definition)
        charted = kind_of(revision.definition).chart(
            revision.definition, platform.assets.get("packer-1"), episode
        )
        drawn = (charted.variable, len(charted.levels))
        assert (
            drawn
            == {
                "jams": (None, 0),
                "valve": ("valve", 0),
                "pulse": ("animal", 1),
                "warm": ("temp", 2),
            }[episode.definition]
        )
        chart = chart_of(platform, episode, at(120), ENGLISH)
        assert chart is None or not drawn[0] or drawn[0] in str(chart)


def test_a_backtest_finds_the_same():
    platform = packer()
    arrive(platform, -1000, 120)
    platform.clock.instant = at(120)
    for document, raised in ((JAMS, [28]), (VALVE, [33]), (PULSE, [5, 71]), (WARM, [40])):
        subject = written_subject(platform, document)
        result = backtest(platform, subject, at(0), at(120))
        made = preview(
            platform, subject, at(0), at(120), silent, lambda: None, SeriesCache(monotonic)
        )
        assert made.episodes == len(result.episodes)
        minutes = sorted((e.raised_at - at(0)) / timedelta(minutes=1) for e in result.episodes)
        assert minutes == raised, document["name"]
