"""Learned limits of a threshold: estimated by a training, in force from then on, left out times, later versions, backtest."""

import pytest

from alerting.definitions.assets import Asset, EventType, Variable
from alerting.definitions.faults import UserError
from alerting.definitions.limits import key_of
from alerting.detection.learned_limits import GroupLimit, LimitTable
from alerting.kinds.registry import kind_of
from alerting.kinds.threshold.model import FittedLimits, LearnedLimitsModel
from alerting.kinds.threshold.training import TRAINING
from alerting.kinds.training import LearningData, NormalTime
from alerting.kinds.validation import parse_definition
from alerting.ports import EventRow, ReadingRow
from alerting.usecases.backtest.backtest import backtest, named_subject
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_events, add_readings
from alerting.usecases.operations.explain import why
from alerting.usecases.training.train import train
from tests.builders import at
from tests.pretended import pretended_platform

DAY = 24 * 60
ASSET = Asset(name="press-1", variables={"force": Variable(unit="kN", low=0, high=100), "recipe": Variable(type="category")})
DOCUMENT = {
    "name": "force-too-high",
    "kind": "threshold",
    "assets": ["press-1"],
    "variable": "force",
    "above": {"learned": {"quantile": 0.99, "over": "2d", "by": ["recipe"]}},
    "stale_after": "30m",
}


def force(minute, level=10.0):
    """Return a force that swings by 1 around a level, 10 higher with recipe B, which runs every second half day."""
    return level + 10 * (minute // 720 % 2) + (minute % 20) / 10 - 1


def running(days=2, extra=(), **changes):
    """Return a platform with readings every two minutes, after which a definition was applied."""
    platform = pretended_platform()
    platform.assets.put([ASSET])
    platform.assets.put_event_types([EventType(name="jam", duration="lasting")])
    rows = [
        ReadingRow("press-1", at(m), {"force": force(m), **({"recipe": "AB"[m // 720 % 2]} if m % 720 == 0 else {})})
        for m in range(0, days * DAY, 2)
    ]
    add_readings(platform, [*rows, *(ReadingRow("press-1", at(m), values) for m, values in extra)], at(0))
    apply(platform, [{**DOCUMENT, **changes}], "engineer", at(0), "test")
    return platform


def learned(platform, days):
    platform.clock.instant = at(days * DAY)
    return train(platform, DOCUMENT["name"], at(days * DAY))


def limits(platform, version):
    files = platform.models.model_files(DOCUMENT["name"], version)
    definition = platform.definitions.newest_revision(DOCUMENT["name"]).definition
    [table] = kind_of(definition).load(files).by_asset["press-1"].tables.values()
    return {group: (one.readings, one.limit) for group, one in table.groups.items()}


def raised(platform, until):
    platform.clock.instant = at(until)
    counts = evaluate(platform, None, at(until))
    return [episode for episode in platform.episodes.find() if episode.raised_at > at(0)], counts.unknown


def test_each_recipe_gets_its_own_limit_in_force_from_the_estimate_on():
    platform = running(extra=[(2 * DAY + 10, {"force": 11.5, "recipe": "A"}), (2 * DAY + 20, {"force": 11.5, "recipe": "B"})])
    _, unknown = raised(platform, 2 * DAY - 1)
    assert unknown == {"force-too-high on press-1": "no learned limits are in service yet; train it"}
    decided = learned(platform, 2)
    assert (decided.verdict, decided.promote) == ("promote", True)
    assert {group: count for group, (count, _) in limits(platform, 1).items()} == {(): 1440, ("A",): 720, ("B",): 720}
    assert limits(platform, 1)["A",][1] == pytest.approx(10.8)
    assert any("force, quantile 0.99 of 1440 readings" in note for note in decided.dataset.notes)
    [episode], unknown = raised(platform, 2 * DAY + 30)
    assert (episode.raised_at, episode.closed_at) == (at(2 * DAY + 10), at(2 * DAY + 20))  # 11.5 is much for A, not for B
    assert episode.model_version == 1
    assert episode.evaluation.threshold == pytest.approx(10.8)
    assert episode.evaluation.reason == "force is 11.5 kN, above 10.8 kN (quantile 0.99 of 720 readings, recipe A)"
    answer = why(platform, DOCUMENT["name"], "press-1", at(2 * DAY + 12))
    assert answer.verdict == "open"
    assert "above 10.8, learned by version 1: quantile 0.99 of 720 readings, recipe A" in answer.facts
    assert answer.limit == pytest.approx(10.8)


def test_readings_after_the_start_of_the_period_belong_to_the_recipe_that_was_reported_before_it():
    platform = running(above={"learned": {"quantile": 0.99, "over": "1d", "by": ["recipe"]}})
    learned(platform, 1.75)  # of (18:00, 18:00]: recipe B since noon, A from midnight on, B from noon on
    assert {group: count for group, (count, _) in limits(platform, 1).items()} == {(): 720, ("A",): 360, ("B",): 360}


def test_a_recipe_never_seen_takes_the_limit_of_all_readings():
    platform = running(extra=[(2 * DAY + 10, {"force": 20.7, "recipe": "new"}), (2 * DAY + 20, {"force": 20.9, "recipe": "new"})])
    learned(platform, 2)
    [episode], _ = raised(platform, 2 * DAY + 30)
    assert episode.raised_at == at(2 * DAY + 20)
    assert "quantile 0.99 of 1440 readings)" in episode.evaluation.reason


def test_problems_with_the_time_before_them_and_suppressed_times_are_left_out():
    stopped = {"when": [{"variable": "force", "above": 19.95}]}
    platform = running(problem={"event": "jam"}, horizon="1h", suppression=stopped)
    add_events(platform, [EventRow("press-1", "jam", at(700), at(720), "test")], at(0))
    decided = learned(platform, 2)
    left_out = decided.dataset.dropped
    assert left_out["force, in problems and the time before them"] == 41  # an hour and 20 minutes, both ends included
    assert left_out["force, in suppressed times"] > 100
    assert sum(count for count, _ in limits(platform, 1).values()) < 2 * 1440


def test_too_few_readings_are_refused_with_the_number_that_is_needed():
    platform = running(days=1, above={"learned": {"quantile": 0.999}})
    with pytest.raises(UserError, match=r"at most 720 on one asset .* 2995 are needed"):
        learned(platform, 1)


def test_a_new_estimate_changes_the_future_only():
    platform = running(days=4, extra=[(3 * DAY + 11, {"force": 11.5})])
    learned(platform, 2)
    learned(platform, 4)
    assert [d.challenger_version for d in platform.decisions.of(DOCUMENT["name"])] == [1, 2]
    episodes, _ = raised(platform, 4 * DAY - 1)
    assert {episode.model_version for episode in episodes} == {1}
    late = ReadingRow("press-1", at(3 * DAY + 13), {"force": 11.6})
    add_readings(platform, [late], platform.clock.now())
    again, _ = raised(platform, 4 * DAY)
    assert {episode.model_version for episode in again} == {1}


def test_a_level_that_moved_waits_for_a_person():
    platform = running()
    learned(platform, 2)
    rows = [ReadingRow("press-1", at(m), {"force": force(m, level=13)}) for m in range(2 * DAY, 4 * DAY, 2)]
    add_readings(platform, rows, at(4 * DAY))
    decided = learned(platform, 4)
    assert decided.waiting
    assert "since the last estimate lie beyond the limit of all readings in service" in decided.reason


def test_a_limit_with_too_few_new_readings_stays_in_service_beside_new_limits_of_the_same_asset():
    conditions = [{"variable": name, "above": {"learned": {"quantile": 0.6}}} for name in ("force", "heat")]
    common = {field: DOCUMENT[field] for field in ("name", "kind", "assets")}
    definition = parse_definition({**common, "any": conditions})
    force, heat = (key_of(name, one) for name, one in definition.learned)

    def model(**limits):
        tables = {
            key: LimitTable(0.6, (), at(0), at(1), {(): GroupLimit(9, limits[name])})
            for name, key in (("force", force), ("heat", heat))
        }
        return LearnedLimitsModel("quantiles", 1, at(1), {"press-1": FittedLimits(tables, {})})

    data = LearningData([], {}, NormalTime(at(0), at(1), at(1)))
    found = TRAINING.compare(definition, data, {"quantiles": model(force=12.0, heat=None)}, model(force=11.0, heat=80.0))
    assert {key: one.groups[()].limit for key, one in found.model.by_asset["press-1"].tables.items()} == {force: 12.0, heat: 80.0}
    assert "press-1: too few readings for new limits, so those in service stay" in found.decision.reason


def test_a_backtest_estimates_walk_forward_what_live_would_have_known():
    platform = running(days=4, extra=[(3 * DAY + 11, {"force": 11.5})], state="draft")
    platform.clock.instant = at(5 * DAY)
    found = backtest(platform, named_subject(platform, DOCUMENT["name"]), at(2 * DAY), at(4 * DAY), retrain=at(DAY) - at(0))
    assert [segment["version"] for segment in found.segments] == [1, 2]
    assert [segment["training_cutoff"] for segment in found.segments] == [at(2 * DAY), at(3 * DAY)]
