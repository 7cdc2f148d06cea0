"""Mistakes of other alarm systems with thresholds."""

from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.detection.threshold import evaluate_values
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.deliver import deliver_due
from tests.builders import at, history, oven, threshold, too_hot
from tests.helpers.stores import states_of
from tests.in_memory_platform import HandClock, Mailbox, platform_on

LEVELS = {"medium": {"above": 215, "clear_above_at": 210}, "critical": {"above": 230}}


class Plant:
    """A platform with one oven, one definition and one mailbox, from midnight on."""

    def __init__(self, on, **changes):
        self.mailbox = Mailbox("mail")
        self.platform = platform_on(on, [self.mailbox], HandClock())
        self.platform.assets.store_assets([oven()])
        self.define(0, **changes)

    def define(self, minute, reason="test", **changes):
        apply(self.platform, [too_hot(**changes)], "engineer", at(minute), reason)

    def feed(self, values):
        rows = [
            ReadingRow("oven-1", at(minute), {"temperature": float(v)})
            for minute, v in values.items()
        ]
        add_readings(self.platform, rows, at(0))

    def run(self, minute):
        self.platform.clock.instant = at(minute)
        counts = evaluate(self.platform, None, at(minute))
        deliver_due(self.platform, at(minute))
        return counts

    def episodes(self):
        return sorted(self.platform.episodes.find(), key=lambda e: e.raised_at)

    def steps(self):
        return [(t.kind, t.at) for e in self.episodes() for t in e.transitions]


def test_nobody_is_told_before_the_on_delay_has_passed(stores):
    plant = Plant(stores, **{"for": "10m"})
    for minute in range(1, 13):
        plant.feed({minute: 230})
        plant.run(minute)
        assert bool(plant.mailbox.messages) == (minute >= 11), minute
    (message,) = plant.mailbox.messages
    assert message.payload["raised_at"] == at(11).isoformat()


def test_a_new_revision_leaves_an_open_episode_open_and_says_who_judges_it(stores):
    plant = Plant(stores, stale_after="1h")
    plant.feed({1: 220})
    plant.run(5)
    plant.define(6, reason="a higher limit", stale_after="1h", above=218)
    plant.feed({8: 221})
    plant.run(10)
    (episode,) = plant.episodes()
    assert (episode.condition, episode.revision) == ("open", 1)
    assert [(t.kind, t.at) for t in episode.transitions] == [("raised", at(1)), ("revised", at(6))]
    assert episode.transitions[1].reason == "revision 2 evaluates it from here on (a higher limit)"
    plant.define(12, reason="higher still", stale_after="1h", above=240)
    plant.run(14)
    (episode,) = plant.episodes()
    assert (episode.condition, episode.revision, episode.closed_at) == (
        "closed",
        1,
        at(12).replace(microsecond=1000),
    )
    assert episode.transitions[-1].reason == "the condition is gone (evaluated by revision 3)"
    assert len(plant.mailbox.messages) == 2


def test_a_new_revision_may_change_the_severity_of_an_open_episode(stores):
    plant = Plant(stores, stale_after="1h")
    plant.feed({1: 220})
    plant.run(5)
    plant.define(6, stale_after="1h", severity="critical")
    plant.run(10)
    (episode,) = plant.episodes()
    assert (episode.severity, episode.severity_peak, episode.condition) == (
        "critical",
        "critical",
        "open",
    )
    assert episode.transitions[-1].reason.startswith(
        "medium → critical: Zone 2 temperature is 220 °C"
    )


def test_a_sensor_that_disappears_is_never_normal(stores):
    plant = Plant(stores, stale_after="5m", clear_for="2m")
    plant.feed(dict.fromkeys(range(1, 11), 230))
    plant.run(10)
    for minute in range(11, 600, 20):
        counts = plant.run(minute)
    assert counts.unknown == {"too-hot on oven-1": "no reading of Zone 2 temperature within 5 min"}
    (episode,) = plant.episodes()
    assert episode.condition == "open"
    state = states_of(plant.platform, "too-hot", ["oven-1"])["oven-1"]
    assert (state.unknown_reason, state.unknown_count) == (
        "no reading of Zone 2 temperature within 5 min",
        29,
    )


def test_missing_data_are_themselves_an_alert_where_the_definition_says_so(stores):
    plant = Plant(stores, stale_after="5m", no_data="alert", severity="high")
    plant.feed(dict.fromkeys(range(1, 11), 200))
    plant.run(30)
    (episode,) = plant.episodes()
    assert (episode.raised_at, episode.severity) == (at(15), "high")
    assert episode.evaluation.reason == "no reading of Zone 2 temperature within 5 min"
    plant.feed({35: 200})
    plant.run(36)
    (episode,) = plant.episodes()
    assert episode.closed_at == at(35)


def test_a_limit_that_its_asset_states_no_longer_is_unknown_not_normal(stores):
    plant = Plant(stores)
    stated = oven().model_copy(update={"attributes": {"max": 215.0}})
    plant.platform.assets.store_assets([stated])
    plant.define(1, above={"attribute": "max"})
    plant.feed({2: 230, 12: 200})
    plant.run(5)
    plant.platform.assets.store_assets([oven()])
    assert plant.run(15).unknown == {"too-hot on oven-1": "asset 'oven-1' has no attribute 'max'"}
    assert plant.episodes()[0].condition == "open"


NUMBERS = [0.0, -0.0, 1e-300, -1e-300, 5.0, -5.0, float("nan"), float("inf"), float("-inf"), None]


@given(
    st.sampled_from([0, -0.0, 5, -5]),
    st.sampled_from(["above", "below", "equals"]),
    st.sampled_from(NUMBERS),
)
def test_zero_is_a_number_and_what_is_no_number_is_no_reading(limit, side, value):
    definition = threshold(**{"above": None, side: limit})
    judged = evaluate_values(definition, history([1], temperature=[value]), None, at(0), at(1))
    met = {
        "above": lambda v: v > limit,
        "below": lambda v: v < limit,
        "equals": lambda v: v == limit,
    }[side]
    wanted = "unknown" if value is None or isnan(value) else "triggered" if met(value) else "clear"
    assert judged.intervals[-1].status == wanted


@pytest.mark.parametrize(("side", "sign"), [("above", 1), ("below", -1)])
def test_the_deadband_is_on_the_clear_side_only(side, sign):
    definition = threshold(**{"above": None, side: sign * 90, f"clear_{side}_at": sign * 85})
    values = [sign * v for v in (89, 90, 90.1, 90, 88, 85.1, 85, 89)]
    judged = evaluate_values(
        definition, history(range(1, 9), temperature=values), None, at(0), at(8)
    )
    found = [(s.status, s.start) for s in judged.intervals][1:]
    assert found == [("clear", at(1)), ("triggered", at(3)), ("clear", at(7))]


def test_severity_rises_and_falls_within_one_episode_and_the_rise_is_told(stores):
    plant = Plant(stores, above=None, levels=LEVELS, clear_for="1m", notify={"resolved": True})
    for minute, value in enumerate([200, 220, 220, 235, 235, 220, 220, 220, 205, 205, 205], 1):
        plant.feed({minute: value})
        plant.run(minute)
    (episode,) = plant.episodes()
    assert [(t.kind, t.at) for t in episode.transitions] == [
        ("raised", at(2)),
        ("severity", at(4)),
        ("severity", at(7)),
        ("closed", at(10)),
    ]
    assert (
        episode.transitions[1].reason
        == "medium → critical: Zone 2 temperature is 235 °C, above 230 °C"
    )
    assert (episode.severity, episode.severity_peak) == ("medium", "critical")
    subjects = [m.subject for m in plant.mailbox.messages]
    assert subjects == [
        "MEDIUM: too-hot on oven-1",
        "Worse: CRITICAL: too-hot on oven-1",
        "Over: too-hot on oven-1",
    ]
