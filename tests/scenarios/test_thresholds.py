"""Mistakes of other alarm systems with thresholds. What one says of a single reading is in
tests/detection, and what it says of any readings is held against an oracle."""

from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from tests.builders import at, oven, too_hot
from tests.helpers.late_line import LEVELS, Line
from tests.helpers.stores import states_of

SILENT = "no reading of Zone 2 temperature within 5 min"


def define(line, minute, reason="test", **changes):
    apply(line.platform, [too_hot(**changes)], "engineer", at(minute), reason)


def transitions(episode):
    return [(t.kind, t.at) for t in episode.transitions]


def test_a_new_revision_leaves_an_open_episode_open_and_says_who_judges_it(stores):
    line = Line(stores=stores, stale_after="1h")
    line.feed({1: 220})
    line.run(5)
    define(line, 6, reason="a higher limit", stale_after="1h", above=218)
    line.feed({8: 221})
    line.run(10)
    (episode,) = line.episodes()
    assert (episode.condition, episode.revision) == ("open", 1)
    assert transitions(episode) == [("raised", at(1)), ("revised", at(6))]
    assert episode.transitions[1].reason == "revision 2 evaluates it from here on (a higher limit)"
    define(line, 12, reason="higher still", stale_after="1h", above=240)
    line.run(14)
    (episode,) = line.episodes()
    assert (episode.condition, episode.revision, episode.closed_at) == (
        "closed",
        1,
        at(12).replace(microsecond=1000),
    )
    assert episode.transitions[-1].reason == "the condition is gone (evaluated by revision 3)"
    assert len(line.mail.messages) == 2


def test_a_new_revision_may_change_the_severity_of_an_open_episode():
    line = Line()
    line.feed({1: 220})
    line.run(5)
    define(line, 6, stale_after="1h", severity="critical")
    line.run(10)
    (episode,) = line.episodes()
    assert (episode.severity, episode.severity_peak, episode.condition) == (
        "critical",
        "critical",
        "open",
    )
    assert episode.transitions[-1].reason.startswith(
        "medium → critical: Zone 2 temperature is 220 °C"
    )


def test_a_sensor_that_disappears_is_never_normal(stores):
    line = Line(stores=stores, stale_after="5m", clear_for="2m")
    line.feed(dict.fromkeys(range(1, 11), 230))
    line.run(10)
    for minute in range(11, 600, 20):
        counts = line.run(minute)
    assert counts.unknown == {"too-hot on oven-1": SILENT}
    assert [episode.condition for episode in line.episodes()] == ["open"]
    state = states_of(line.platform, "too-hot", ["oven-1"])["oven-1"]
    assert (state.unknown_reason, state.unknown_count) == (SILENT, 29)


def test_a_limit_that_its_asset_states_no_longer_is_unknown_not_normal():
    line = Line()
    stated = oven().model_copy(update={"attributes": {"max": 215.0}})
    line.platform.assets.store_assets([stated])
    define(line, 1, above={"attribute": "max"})
    line.feed({2: 230, 12: 200})
    line.run(5)
    line.platform.assets.store_assets([oven()])
    assert line.run(15).unknown == {"too-hot on oven-1": "asset 'oven-1' has no attribute 'max'"}
    assert line.episodes()[0].condition == "open"


def test_severity_rises_and_falls_within_one_episode_and_the_rise_is_told():
    line = Line(**LEVELS, clear_for="1m")
    for minute, value in enumerate([200, 220, 220, 235, 235, 220, 220, 220, 205, 205, 205], 1):
        line.feed({minute: value})
        line.run(minute)
    (episode,) = line.episodes()
    assert transitions(episode) == [
        ("raised", at(2)),
        ("severity", at(4)),
        ("severity", at(7)),
        ("closed", at(10)),
    ]
    worse = "medium → critical: Zone 2 temperature is 235 °C, above 230 °C"
    assert episode.transitions[1].reason == worse
    assert (episode.severity, episode.severity_peak) == ("medium", "critical")
    assert [m.subject for m in line.mail.messages] == [
        "MEDIUM: too-hot on oven-1",
        "Worse: CRITICAL: too-hot on oven-1",
        "Over: too-hot on oven-1",
    ]
