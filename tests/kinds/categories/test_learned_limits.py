"""Learned limits of a threshold: estimated by a training, in force from then on, drawn; live in any
chunks gives what one batch gives."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.faults import UserError
from alerting.definitions.threshold_limits import key_of
from alerting.detection.learned_limits import GroupLimit, LimitTable
from alerting.kinds.registry import kind_of, parse_definition
from alerting.kinds.threshold.training import (
    TRAINING,
    FittedLimits,
    LearnedLimitsModel,
    from_files,
    to_files,
)
from alerting.kinds.training_protocol import LearningData, NormalTime
from alerting.ports import EventRow, ModelUnavailable, ReadingRow
from alerting.readings.history import from_millis, to_millis
from alerting.reporting.variable_charts import describe, episode_plots
from alerting.usecases.backtest.backtest import backtest, named_subject
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate, evaluate_past
from alerting.usecases.explain import why
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from alerting.usecases.make_reports import make_report
from alerting.usecases.notification.episode_values import chart_of, draw_episode
from alerting.usecases.report_material import gather_material
from alerting.usecases.training.training_steps import train
from tests.builders import at, history
from tests.helpers.kind_in_chunks import evaluated_to, sources_of
from tests.helpers.long_history import in_memory
from tests.helpers.recipe_line import DAY, DOCUMENT, force, running
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models


def learned(platform, days):
    platform.clock.instant = at(days * DAY)
    return train(platform, DOCUMENT["name"], at(days * DAY))


def limits(platform, version):
    files = platform.models.model_files(DOCUMENT["name"], version)
    definition = platform.definitions.newest_revision(DOCUMENT["name"]).definition
    [table] = kind_of(definition).load(files).by_asset["press-1"].tables.values()
    return {group: (one.readings, one.limit) for group, one in table.groups.items()}


def readings_of_groups(platform):
    return {group: count for group, (count, _) in limits(platform, 1).items()}


def raised(platform, until):
    platform.clock.instant = at(until)
    counts = evaluate(platform, None, at(until))
    return [
        episode for episode in platform.episodes.find() if episode.raised_at > at(0)
    ], counts.unknown


def test_each_recipe_gets_its_own_limit_in_force_from_the_estimate_on():
    platform = running(
        extra=[
            (2 * DAY + 10, {"force": 11.5, "recipe": "A"}),
            (2 * DAY + 20, {"force": 11.5, "recipe": "B"}),
        ]
    )
    _, unknown = raised(platform, 2 * DAY - 1)
    assert unknown == {"force-too-high on press-1": "no learned limits are in service yet"}
    decided = learned(platform, 2)
    assert (decided.verdict, decided.promote) == ("promote", True)
    assert readings_of_groups(platform) == {(): 1440, ("A",): 720, ("B",): 720}
    assert limits(platform, 1)["A",][1] == pytest.approx(10.8)
    assert any("force, quantile 0.99 of 1,440 readings" in note for note in decided.dataset.notes)
    [episode], unknown = raised(platform, 2 * DAY + 30)
    # 11.5 is much for A, not for B
    assert (episode.raised_at, episode.closed_at) == (
        at(2 * DAY + 10),
        at(2 * DAY + 20),
    )
    assert episode.model_version == 1
    assert episode.evaluation.threshold == pytest.approx(10.8)
    assert (
        episode.evaluation.reason
        == "force is 11.5 kN, above 10.8 kN (quantile 0.99 of 720 readings, recipe A)"
    )
    answer = why(platform, DOCUMENT["name"], "press-1", at(2 * DAY + 12))
    assert answer.verdict == "open"
    assert (
        "above 10.8, learned by version 1: quantile 0.99 of 720 readings, recipe A" in answer.facts
    )
    assert answer.limit == pytest.approx(10.8)


def test_readings_after_the_start_of_the_period_belong_to_the_recipe_that_was_reported_before_it(
    monkeypatch,
):
    platform = running(above={"learned": {"quantile": 0.99, "over": "1d", "by": ["recipe"]}})
    indexed = []
    monkeypatch.setattr(platform.readings, "index_newest", indexed.extend)
    # of (18:00, 18:00]: recipe B since noon, A from midnight on, B from noon on
    learned(platform, 1.75)
    assert readings_of_groups(platform) == {(): 720, ("A",): 360, ("B",): 360}
    assert indexed == ["recipe"]  # the search for the recipe in force, with the first limits


def test_problems_with_the_time_before_them_and_suppressed_times_are_left_out():
    stopped = {"when": [{"variable": "force", "above": 19.95}]}
    platform = running(problem={"event": "jam"}, horizon="1h", suppression=stopped)
    add_events(platform, [EventRow("press-1", "jam", at(700), at(720), "test")], at(0))
    decided = learned(platform, 2)
    left_out = decided.dataset.dropped
    # an hour and 20 minutes, both ends included
    assert left_out["force, in problems and the time before them"] == 41
    assert left_out["force, in suppressed times"] > 100
    assert sum(readings_of_groups(platform).values()) < 2 * 1440


def test_too_few_readings_are_refused_with_the_number_that_is_needed():
    platform = running(days=1, above={"learned": {"quantile": 0.999}})
    with pytest.raises(UserError, match=r"at most 720 on one asset .* 2995 are needed"):
        learned(platform, 1)


def test_a_new_estimate_changes_the_future_only():
    platform = running(days=4, extra=[(3 * DAY + 11, {"force": 11.5})])
    learned(platform, 2)
    learned(platform, 4)
    assert [d.challenger_version for d in platform.decisions.for_definition(DOCUMENT["name"])] == [
        1,
        2,
    ]
    episodes, _ = raised(platform, 4 * DAY - 1)
    assert {episode.model_version for episode in episodes} == {1}
    late = ReadingRow("press-1", at(3 * DAY + 13), {"force": 11.6})
    add_readings(platform, [late], platform.clock.now())
    again, _ = raised(platform, 4 * DAY)
    assert {episode.model_version for episode in again} == {1}


def at_another_level(platform):
    """Add two days at another level of the force, and return the platform."""
    moved = {m: {"force": force(m, level=13)} for m in range(2 * DAY, 4 * DAY, 2)}
    rows = [ReadingRow("press-1", at(minute), values) for minute, values in moved.items()]
    add_readings(platform, rows, at(4 * DAY))
    return platform


def test_a_level_that_moved_waits_for_a_person():
    platform = running()
    learned(platform, 2)
    decided = learned(at_another_level(platform), 4)
    assert decided.waiting
    assert "since the last estimate lie beyond the limits of their groups" in decided.details


PRESS = Asset(name="press-1", variables={"force": Variable(), "recipe": Variable(type="category")})


def compared(history, limits, by=()):
    """Return the comparison of new limits with those in service by group, which were learned up to
    minute 0."""
    learned = {"learned": {"quantile": 0.99, "by": list(by)}}
    definition = parse_definition(
        {
            **{name: DOCUMENT[name] for name in ("name", "kind", "assets", "variable")},
            "above": learned,
        }
    )
    [(name, one)] = definition.learned
    groups = {group: GroupLimit(999, limit) for group, limit in limits.items()}
    fitted = FittedLimits(
        {key_of(name, one): LimitTable(0.99, tuple(by), at(-99), at(0), groups)}, {}
    )
    model = LearnedLimitsModel("quantiles", 1, at(0), {"press-1": fitted})
    data = LearningData([in_memory(history)], {}, NormalTime(at(-99), at(999), at(999)))
    return TRAINING.compare(
        definition, data, {"quantiles": replace(model, training_cutoff=at(999))}, model
    )


def test_a_level_that_moved_waits_for_a_person_also_of_few_readings_or_of_one_group():
    """Fewer readings than the quantile needs; and values within the range of all readings."""

    def rare(beyond):
        values = [15.0] * beyond + [10.0] * (20 - beyond)
        data = history([60 * n for n in range(1, 21)], PRESS, force=values)
        return compared(data, {(): 11.0}).decision.by_person

    def of_recipe(recipe):
        data = history(
            range(1, 21), PRESS, force=[15.0] * 19 + [14.0], recipe=[recipe, *[None] * 19]
        )
        limits = {(): 21.0, ("A",): 11.0, ("B",): 21.0}
        return compared(data, limits, by=["recipe"]).decision.by_person

    assert [rare(beyond) for beyond in (20, 3, 2)] == [True, True, False]
    assert [of_recipe(recipe) for recipe in "AB"] == [True, False]


def test_an_asset_without_one_of_the_variables_has_the_limits_of_the_others():
    conditions = [
        {"variable": name, "above": {"learned": {"quantile": 0.6, "by": ["recipe"]}}}
        for name in ("force", "heat")
    ]
    definition = parse_definition(
        {"name": "x", "kind": "threshold", "assets": ["press-*"], "any": conditions}
    )
    data = LearningData(
        [in_memory(history(range(1, 21), PRESS, force=range(20)))],
        {},
        NormalTime(at(0), at(20), at(20)),
    )
    found = TRAINING.estimate(definition, 1, "quantiles", data)
    assert {
        json.loads(key)[0]: table.groups[()].limit
        for key, table in found.model.by_asset["press-1"].tables.items()
    } == {
        "force": 11.0,
        "heat": None,
    }


def test_a_problem_that_is_known_later_than_the_readings_leaves_out_none_before_it_is_known():
    platform = in_memory_platform()
    moisture = Variable(delay=timedelta(hours=2))
    platform.assets.store_assets(
        [PRESS.model_copy(update={"variables": {**PRESS.variables, "moisture": moisture}})]
    )
    rows = [
        ReadingRow("press-1", at(m), {"force": 10.0 + m % 7, "moisture": 9.0 if m == 1380 else 1.0})
        for m in range(0, 1500, 4)
    ]
    add_readings(platform, rows, at(0))
    document = {
        **DOCUMENT,
        "above": {"learned": {"quantile": 0.9}},
        "problem": {"variable": "moisture", "above": 5},
    }
    apply(platform, [document], "engineer", at(0), "test")
    found = [
        learned(platform, days).dataset.dropped["force, in problems and the time before them"]
        for days in (1, 1500 / DAY)
    ]
    # the sample of 23:00 is known at 01:00; the problem and half an hour before it
    assert found == [
        0,
        8,
    ]


def test_a_limit_with_too_few_new_readings_stays_in_service_beside_new_limits_of_the_same_asset():
    conditions = [
        {"variable": name, "above": {"learned": {"quantile": 0.6}}} for name in ("force", "heat")
    ]
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
    found = TRAINING.compare(
        definition, data, {"quantiles": model(force=12.0, heat=None)}, model(force=11.0, heat=80.0)
    )
    assert {
        key: one.groups[()].limit for key, one in found.model.by_asset["press-1"].tables.items()
    } == {force: 12.0, heat: 80.0}
    assert "press-1: no new limits, so those in service stay" in found.decision.details


def backtested(platform, **changes):
    """Return the backtest of days 2 and 3 that estimates each day."""
    platform.clock.instant = at(5 * DAY)
    subject = named_subject(platform, DOCUMENT["name"])
    made = replace(platform, **changes)
    return backtest(made, subject, at(2 * DAY), at(4 * DAY), retrain=timedelta(days=1))


def test_a_backtest_estimates_walk_forward_what_live_would_have_known():
    """With latency: the last readings before an estimate belong to the one that it replaces, and
    every episode is counted once, also those that the latency keeps back."""
    extra = [(3 * DAY - 31, {"force": 50}), (3 * DAY + 11, {"force": 11.5})]
    platform = running(days=4, extra=extra, state="draft")
    for latency in (timedelta(seconds=10), timedelta(hours=1)):
        found = backtested(platform, latency=latency)
        assert [(one["version"], one["training_cutoff"]) for one in found.segments] == [
            (1, at(2 * DAY)),
            (2, at(3 * DAY)),
        ]
        assert [segment["unknown"] for segment in found.segments] == [[], []]
        raised_at = {episode.raised_at for episode in found.episodes}
        assert {at(minute) for minute, _ in extra} <= raised_at
        assert sum(segment["episodes"] for segment in found.segments) == len(found.episodes)
    assert "limit 10.8 to 20.8 kN" in found.page  # of every version that it estimated


def test_a_backtest_takes_limits_that_wait_for_a_person_as_approved_and_says_so():
    found = backtested(at_another_level(running(state="draft")))
    assert [(one["version"], one["promoted"], one["approved"]) for one in found.segments] == [
        (1, True, False),
        (2, True, True),
    ]
    assert "Promotions that need approval were taken as approved at once." in found.page


def test_time_without_a_limit_for_an_asset_is_no_evaluated_time_of_a_report():
    """Neither of an asset without limits, nor before the first ones."""
    platform = running(days=4)
    platform.assets.store_assets([PRESS.model_copy(update={"name": "press-2"})])
    apply(platform, [{**DOCUMENT, "assets": ["press-*"]}], "engineer", at(1), "test")
    rows = [
        ReadingRow("press-2", at(m), {"force": 10.0}) for m in range(2 * DAY - 100, 4 * DAY, 10)
    ]
    add_readings(platform, rows, at(2))
    learned(platform, 2)
    platform.clock.instant = at(3 * DAY)
    evaluate_past(platform, DOCUMENT["name"], at(0), at(3 * DAY))
    raised(platform, 3 * DAY)
    revision = platform.definitions.newest_revision(DOCUMENT["name"])
    material = gather_material(platform, revision, at(0), at(3 * DAY), at(3 * DAY))
    assert {asset: spans[0] for asset, spans in material.evaluated.items()} == {
        "press-1": at(2 * DAY)
    }


def test_a_backtest_whose_limits_cannot_be_read_has_no_figures(monkeypatch):
    def unavailable(*_):
        raise ModelUnavailable("no limits")

    platform = running(days=3, state="draft")
    platform.clock.instant = at(4 * DAY)
    subject = named_subject(platform, DOCUMENT["name"])
    monkeypatch.setattr("alerting.usecases.model_registry.parse_model", unavailable)
    with pytest.raises(
        UserError, match=r"the backtest stopped at 2026-.*: the limits cannot be read: .*no limits"
    ):
        backtest(platform, subject, at(2 * DAY), at(3 * DAY), retrain="never")


ASSET = Asset(
    name="press-1",
    variables={"force": Variable(low=0, high=100), "recipe": Variable(type="category")},
)
ABOVE = {"learned": {"quantile": 0.9, "by": ["recipe", "hour_of_day"]}}
BELOW = {"learned": {"quantile": 0.1}}
COMMON = {
    "name": "x",
    "kind": "threshold",
    "assets": ["press-1"],
    "schedule": {"timezone": "Europe/Berlin"},
}
DEFINITIONS = {
    "one variable": {
        "variable": "force",
        "above": ABOVE,
        "below": BELOW,
        "clear_above_at": 9,
        "stale_after": "5m",
    },
    "values until the next one": {"variable": "force", "above": ABOVE, "no_data": "ignore"},
    "counted": {"variable": "force", "above": ABOVE, "at_least": {"readings": 2, "of": 3}},
    "several": {
        "all": [{"variable": "force", "above": ABOVE}, {"variable": "force", "below": 99}],
        "for": "1m",
    },
}
GROUPS = {(): 11.0, ("A",): 10.0, ("A", "1"): 9.0, ("A", "2"): 12.0, ("B",): None}
READINGS = st.lists(
    st.tuples(
        st.sampled_from([1, 1, 1, 7, 30]),
        st.one_of(st.none(), st.floats(7, 13), st.just(999.0)),
        st.sampled_from([None, *"ABC"]),
    ),
    min_size=3,
    max_size=40,
)


def model_of(definition, cutoff=3):
    groups = {group: GroupLimit(100, limit) for group, limit in GROUPS.items()}
    limits = {(): GroupLimit(100, 8.0)}
    tables = {
        key_of(variable, one): LimitTable(
            one.quantile, one.by, at(-99), at(3), groups if one.by else limits
        )
        for variable, one in definition.learned
    }
    return from_files(
        to_files(
            LearnedLimitsModel("quantiles", 1, at(cutoff), {"press-1": FittedLimits(tables, {})})
        )
    )


def evaluated(definition, readings, cuts):
    minutes = np.cumsum([gap for gap, *_ in readings]).tolist()
    rows = []
    for minute, (_, number, recipe) in zip(minutes, readings, strict=True):
        values = {
            name: value
            for name, value in (("force", number), ("recipe", recipe))
            if value is not None
        }
        rows += [ReadingRow("press-1", at(minute), values)] if values else []
    return evaluated_to(definition, sources_of(ASSET, rows, model_of(definition)), cuts)


@pytest.mark.parametrize("name", DEFINITIONS)
@settings(max_examples=40, deadline=timedelta(seconds=5))
@given(readings=READINGS, cuts=st.lists(st.floats(0.5, 200), max_size=8))
def test_live_in_any_chunks_gives_what_one_batch_gives(name, readings, cuts):
    definition = parse_definition({**COMMON, **DEFINITIONS[name]})
    end = sum(gap for gap, *_ in readings) + 10.0
    chunks = evaluated(definition, readings, [*sorted(c for c in cuts if c < end), end])
    assert chunks == evaluated(definition, readings, [end])


def test_the_recipe_in_force_is_that_of_the_reading_however_the_time_is_cut():
    """A recipe exactly as old as it may be is in force; the last value before the first evaluation
    belongs to the recipe in which it was taken."""
    recipe = Variable(type="category", carry_forward=timedelta(minutes=30))
    asset = Asset(name="press-1", variables={"force": Variable(), "recipe": recipe})
    alone = {"variable": "force", "above": ABOVE, "stale_after": "1h"}
    old = [(10, {"recipe": "A"}), (40, {"force": 10.5})]
    both = {"all": [alone, alone | {"above": None, "below": 99}], "for": "1m"}
    before = [(-30, {"recipe": "A"}), (-10, {"force": 10.5}), (-5, {"recipe": "C"})]

    def steps(asset, fields, values, cuts, cutoff=3):
        document = COMMON | fields
        if "all" in fields:
            document["all"] = [
                {k: v for k, v in one.items() if v is not None} for one in fields["all"]
            ]
        definition = parse_definition(document)
        rows = [ReadingRow("press-1", at(minute), row) for minute, row in values]
        sources = sources_of(asset, rows, model_of(definition, cutoff))
        return [(step.kind, step.at) for step in evaluated_to(definition, sources, cuts)[0]]

    # above 9 of recipe A; of all readings it is 11
    for cuts in ([90], [40, 90], [60, 90]):
        assert steps(asset, alone, old, cuts) == [("raised", at(40))]
    # above 10 of recipe A, not above 11 of all readings
    for cuts in ([9], [4, 9]):
        assert [kind for kind, _ in steps(ASSET, both, before, cuts, -40)] == ["raised"]


A_BEGINS = 2 * DAY + 2
B_BEGINS = 2 * DAY + 30
NOW = 2 * DAY + 80
INSTANT = timedelta(milliseconds=1)


@pytest.fixture(scope="module")
def line():
    """A platform and an episode: the force leaves the limit of recipe A, before the next recipe
    with a higher one begins. Its own: no other plant learns limits by recipe."""
    extra = [
        (A_BEGINS, {"force": 10.0, "recipe": "A"}),
        *((2 * DAY + m, {"force": 11.5}) for m in range(4, 30, 2)),
    ]
    extra += [
        (B_BEGINS, {"force": 20.5, "recipe": "B"}),
        *((B_BEGINS + m, {"force": 20.5}) for m in range(2, 60, 2)),
    ]
    platform = running(extra=extra, clear_for="1h")
    train(platform, DOCUMENT["name"], at(2 * DAY))
    platform.clock.instant = at(NOW)
    evaluate(platform, None, at(NOW))
    [episode] = platform.episodes.find()
    return platform, episode


def test_a_learned_limit_is_drawn_in_steps_by_recipe_with_a_gap_before_the_first_estimate(line):
    platform, episode = line
    chart = chart_of(platform, episode, at(NOW))
    [panel] = chart.panels
    [limit] = panel.moving
    assert panel.levels == ()
    assert [from_millis(t) for t in limit.at.tolist()] == [
        chart.start,
        at(2 * DAY) + INSTANT,
        at(A_BEGINS),
        at(B_BEGINS),
    ]
    assert limit.values == pytest.approx([np.nan, 20.8, 10.8, 20.8], nan_ok=True)
    for minute in (2 * DAY + 1, 2 * DAY + 12, B_BEGINS + 2):
        step = int(np.searchsorted(limit.at, to_millis(at(minute)), side="right")) - 1
        assert why(platform, DOCUMENT["name"], "press-1", at(minute)).limit == limit.values[step]


def test_chart_and_report_say_the_lowest_and_highest_limit_and_for_how_long_there_was_none(line):
    platform, episode = line
    chart = chart_of(platform, episode, at(NOW))
    assert "limit 10.8 to 20.8 kN, not known for 54 min;" in describe(chart)
    [plot] = episode_plots(chart, platform.zone)
    [moving] = [shape for shape in plot.shapes if shape.look == "moving"]
    assert len({y for _, y in moving.points}) == 2
    assert moving.name == "limit 10.8 to 20.8 kN, not known for 54 min"
    assert "limit 10.8 to 20.8 kN" in draw_episode(platform, episode, at(NOW)).description
    page = make_report(platform, DOCUMENT["name"], at(2 * DAY), at(NOW), at(NOW)).page
    assert "limit 10.8 to 20.8 kN" in page


def test_a_model_that_cannot_be_read_is_said_and_the_limit_of_the_raise_is_drawn(line, monkeypatch):
    def unavailable(*_):
        raise ModelUnavailable("no limits")

    platform, episode = line
    monkeypatch.setattr("alerting.usecases.model_registry.parse_model", unavailable)
    chart = chart_of(platform, episode, at(NOW))
    assert [level.label for level in chart.panels[0].levels] == ["limit at the raise"]
    assert chart.cut == "the limits in force are not drawn, for they cannot be read: no limits"
