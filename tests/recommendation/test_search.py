"""The search for the answer of least effort: what it may answer, and that no cheaper answer
exists; from little, coarse or contradictory input no wrong statement, and no crash."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from alerting.definitions.asset_documents import Relation, Variable
from alerting.definitions.fields.learning import LeverLimits
from alerting.learning.features.plan import CategorySource, NumberSource
from alerting.learning.features.set_point_effects import SetPointEffects
from alerting.learning.models.trained import NormalSample
from alerting.recommendation import settings_search
from alerting.recommendation.explanation import recommend
from alerting.recommendation.levers import ANY_CHANGE
from tests.helpers.advice import (
    AT,
    Formula,
    assert_no_cheaper_answer,
    history,
    lever,
    model_of,
    plan,
)


def changes(found):
    return {change.variable: change.after for change in found.changes}


def advise(risk, variables, present, threshold=0.5, limits=None, max_changes=2, **asset):
    made = model_of(risk, plan(list(present)), threshold)
    return recommend(made, history(variables, present, **asset), AT, max_changes, limits or {})


def test_two_levers_that_help_only_together_are_found():
    found, alone = (
        advise(
            lambda a, b: 0.1 if a >= 7 and b <= 2 else 0.9,
            dict.fromkeys("ab", lever()),
            dict.fromkeys("ab", 5.0),
            max_changes=most,
        )
        for most in (2, 1)
    )
    assert (changes(found), found.search) == ({"a": 7.0, "b": 2.0}, "least")
    assert found.effort == pytest.approx(0.5 + 2 * ANY_CHANGE)
    assert not alone.helps
    fixed = advise(lambda a: 0.9, {"a": lever(controllable=False)}, {"a": 5.0})
    assert (fixed.helps, fixed.changes, fixed.alternatives, fixed.levers) == (False, (), (), ())
    assert "no variable that operators can set" in fixed.message


def test_a_relation_of_a_category_moves_nothing_and_stops_no_advice():
    follows = Relation(variable="recipe", kind="equal", of="a")
    variables = {"a": lever(), "recipe": Variable(type="category")}
    made = model_of(lambda a: 0.1 if a >= 7 else 0.9, plan(["a"]))
    line = history(variables, {"a": 5.0, "recipe": "crisp"}, relations=(follows,))
    assert changes(recommend(made, line, AT, 2)) == {"a": 7.0}


def test_an_answer_holds_when_each_lever_is_missed_by_its_tolerance():
    def risk(a):
        return 0.1 if a == 6 or a >= 8 else 0.9  # 6 is an island of one setting

    found = {t: advise(risk, {"a": lever(tolerance=t)}, {"a": 5.0}) for t in (None, 0.0, 2.0)}
    assert {t: f.changes[0].after for t, f in found.items()} == {None: 9.0, 0.0: 6.0, 2.0: 10.0}
    assert found[2.0].safety == "aim", "a limit of the machine cannot be passed"


def test_what_cannot_be_reached_safely_falls_back_and_says_so():
    island = advise(lambda a: 0.1 if a == 6 else 0.9, {"a": lever(tolerance=1.0)}, {"a": 5.0})
    assert (island.helps, island.safety, changes(island)) == (True, "nominal", {"a": 6.0})
    assert "Only just enough: if a setting is missed, the alarm may stay." in island.message
    half = advise(lambda a: 0.4 if a >= 7 else 0.9, {"a": lever(tolerance=1.0)}, {"a": 5.0})
    assert (half.safety, changes(half)) == ("threshold", {"a": 8.0})
    assert "Set these values exactly; small deviations may not be enough." in half.message


def test_no_answer_leaves_the_limits_of_asset_and_definition():
    rows = [
        # facts of the asset, limits of the definition, the setting that is advised
        ({}, {}, 3.0),
        ({"direction": "up"}, {}, 8.0),
        ({}, {"direction": "up"}, 8.0),
        ({"max": 7.0, "direction": "up"}, {}, None),
        ({"direction": "up"}, {"max": 7.0}, None),
        ({"max_change": 1.0}, {}, None),
        ({}, {"max_change": 1.0}, None),
        ({"min": 4.0}, {}, 8.0),
        ({}, {"min": 4.0}, 8.0),
        ({"step": 4.0}, {}, 8.0),
        ({}, {"step": 4.0}, 8.0),
        ({"direction": "up"}, {"direction": "down"}, None),
        ({}, {"controllable": False}, None),
        ({"tolerance": 1.0}, {}, 2.0),
        ({}, {"tolerance": 1.0}, 2.0),
    ]
    wrong = []
    for facts, limits, after in rows:
        found = advise(
            lambda a: 0.1 if a <= 3 or a >= 8 else 0.9,
            {"a": lever(**facts)},
            {"a": 5.0},
            limits={"a": LeverLimits(**limits)} if limits else {},
        )
        if (changes(found).get("a") if found.helps else None) != after:
            wrong.append((facts, limits, changes(found)))
    assert wrong == []


def test_costs_of_asset_and_definition_choose_the_lever():
    def chosen(cost=1.0, **limits):
        return advise(
            lambda a, b: 0.1 if a >= 6 or b >= 7 else 0.9,
            {"a": lever(cost=cost), "b": lever()},
            {"a": 5.0, "b": 5.0},
            limits=limits,
        )

    assert changes(chosen()) == {"a": 6.0}
    assert changes(chosen(3.0)) == changes(chosen(a=LeverLimits(cost=3.0))) == {"b": 7.0}
    (other,) = chosen().alternatives
    assert [c.variable for c in other.changes] == ["b"]
    assert other.effort == pytest.approx(0.2 + ANY_CHANGE)


def test_a_rate_makes_a_ramp_from_now_whose_end_is_scored():
    made = model_of(lambda last, mean: 0.1 if mean >= 7 else 0.9, plan("a", ("last", "mean")))
    line = history({"a": lever(rate=0.5)}, {"a": 5.0})
    ramped = recommend(made, line, AT, 1)
    (change,) = ramped.changes
    assert (change.after, change.takes) == (10.0, timedelta(minutes=10)), (
        "the first setting whose ramp lasts long enough"
    )
    assert "over 10 min." in ramped.message
    slower = recommend(made, line, AT, 1, {"a": LeverLimits(rate=0.25)})
    assert not slower.helps or slower.changes[0].takes > change.takes
    at_once = recommend(made, history({"a": lever()}, {"a": 5.0}), AT, 1)
    assert changes(at_once) == {"a": 7.0}, "the whole window"
    both = model_of(lambda a, b: 0.1 if a >= 8 and b == 3 else 0.9, plan("ab"))
    beside = {"a": lever(rate=0.1), "b": lever(controllable=False)}
    found = recommend(both, history(beside, {"a": 5.0, "b": 3.0}), AT, 1)
    assert (changes(found), found.changes[0].takes) == ({"a": 8.0}, timedelta(minutes=30))


def test_a_category_may_become_another_of_its_allowed_values():
    made = model_of(
        lambda code: 0.9 if code == 0 else 0.1,
        plan([], categories=[CategorySource("recipe", ("A", "B", "C"))]),
    )
    recipe = {"type": "category", "controllable": True}

    def found(limits=None, **values):
        return recommend(
            made,
            history({"recipe": lever(**recipe | values)}, {"recipe": "A"}),
            AT,
            1,
            limits or {},
        )

    assert changes(found(values=("A", "C", "unknown"))) == {"recipe": "C"}
    assert found(values=("A", "C")).message.startswith("Set recipe from A to C.")
    assert not found().helps
    assert not found({"recipe": LeverLimits(values=("B",))}, values=("C",)).helps


@pytest.mark.parametrize(
    ("relation", "last"),
    [
        ({"kind": "equal"}, 3.0),
        ({"kind": "equal", "gain": 2.0}, 5.0),
        ({"kind": "lag", "time_constant": "5m"}, 1 + 2 * (1 - np.exp(-9 / 5))),
        ({"kind": "difference", "minus": "other"}, 3.0),
    ],
)
def test_a_variable_that_follows_moves_with_its_driver(relation, last):
    variables = {
        "set": lever(max=3.0, max_change=2.0),
        "zone": lever(controllable=False),
        "other": lever(controllable=False),
    }
    seen = []
    made = model_of(lambda zone: seen.append(zone) or 0.9 - zone / 100, plan(["zone"]))
    line = history(
        variables,
        {"set": 1.0, "zone": 1.0, "other": 7.0},
        relations=[{"variable": "zone", "of": "set"} | relation],
    )
    found = recommend(made, line, AT, 1)
    assert max(seen) == pytest.approx(last)
    assert [(m.variable, m.after) for m in found.moves] == [("zone", pytest.approx(last))]
    assert not recommend(
        made, replace(line, asset=line.asset.model_copy(update={"relations": ()})), AT, 1
    ).changes


def test_levers_that_move_the_same_variable_are_computed_together():
    variables = {"a": lever(), "b": lever(), "gap": lever(controllable=False)}
    relations = [{"variable": "gap", "kind": "difference", "of": "a", "minus": "b"}]
    line = history(variables, {"a": 5.0, "b": 5.0, "gap": 0.0}, relations=relations)
    found = recommend(model_of(lambda gap: 0.1 if gap >= 6 else 0.9, plan(["gap"])), line, AT, 2)
    after = changes(found)
    assert (found.helps, after["a"] - after["b"], set(after)) == (True, 6.0, {"a", "b"})


def test_no_answer_is_more_unusual_than_normal_operation_or_the_line_as_it_is():
    diagonal = np.repeat(np.arange(0.0, 10.5, 0.5), 2)[:, None].repeat(2, 1)
    distances = np.full(len(diagonal), 1.5)
    of_one = np.zeros(len(diagonal), int)
    normal = NormalSample(("a.last", "b.last"), (0.0, 0.0), (1.0, 1.0), diagonal, distances, of_one)
    made = model_of(lambda a, b: 0.1 if a >= 8 else 0.9, plan("ab"))
    line = history({"a": lever(), "b": lever()}, {"a": 5.0, "b": 5.0})
    assert changes(recommend(made, line, AT, 2)) == {"a": 8.0}
    together = recommend(replace(made, normal=normal), line, AT, 2)
    assert together.changes[0].after >= 8
    assert together.changes[1].after >= 7
    assert together.unusual is not None
    assert (
        "not known whether these settings are within normal operation"
        in recommend(made, line, AT, 2).background
    )


def test_an_answer_has_the_effect_that_past_problems_needed():
    def advised(needed, a=(0.5, 0.0), b=(-0.25, 0.0), **of_a):
        made = model_of(lambda a, b: 0.1 if a <= 4 else 0.9, plan("ab"))
        effects = SetPointEffects("moisture", 1, needed, {"a": a, "b": b}, 4.5)
        line = history({"a": lever(**of_a), "b": lever(cost=0.1)}, {"a": 5.0, "b": 5.0})
        return recommend(replace(made, effects=effects), line, AT, 2, answers=1)

    assert changes(advised(0.5)) == {"a": 4.0}
    assert changes(advised(1.5)) == {"a": 4.0, "b": 9.0}, "0.5 by a, and by b 0.25 a unit"
    assert changes(advised(1.5, b=(-0.25, 0.2))) == {"a": 2.0}, (
        "an effect in either direction counts as none"
    )
    assert changes(advised(9.0, min=3.0)) == {"a": 3.0, "b": 10.0}, "as much as the levers can have"
    assert changes(advised(9.0, a=(-0.5, 0.0), b=(0.0, 0.1))) == {"a": 4.0}, (
        "the model needs the other direction"
    )


def test_the_answer_says_its_effect_and_which_levers_have_none_that_is_known():
    made = model_of(lambda a, b: 0.1 if a <= 4 else 0.9, plan("ab"))
    line = history(
        {"a": lever(), "b": lever(), "moisture": lever(controllable=False, unit="%")},
        {"a": 5.0, "b": 5.0},
    )
    effects = SetPointEffects("moisture", 1, 8.0, {"a": (0.5, 0.0)}, 4.5)
    found = recommend(replace(made, effects=effects), line, AT, 1)
    assert found.message.endswith("Past data: moisture falls by at least 2.5 %.")
    assert found.background.startswith("In 1 of 5 past cases moisture went above 12.5 %.")
    assert [r.reason for r in found.levers if r.variable == "b"] == [
        "the history does not tell its effect on moisture"
    ]
    below = replace(effects, limit_side=-1, needed=0.4, effects={"a": (-0.5, 0.0)})
    assert (
        "moisture rises by at least 0.5 %."
        in recommend(replace(made, effects=below), line, AT, 1).message
    )


def test_a_present_setting_beyond_a_limit_is_not_advised_to_stay_beyond_it():
    found = advise(lambda a: 0.1 if a <= 11 else 0.9, {"a": lever(direction="down")}, {"a": 14.0})
    assert changes(found) == {"a": 10.0}


def stepped(a, b, c):
    """A risk of three columns with interactions, which may be missing."""
    return 0.05 + 0.04 * np.nan_to_num(a) + 0.35 * (a > 6 and b > 4) + 0.15 * (c * a > 50)


@pytest.mark.parametrize("share", [0.9, 0.5, 0.25])
def test_no_cheaper_answer_exists_than_the_least_one(share):
    for present in ((9.0, 9.0, 9.0), (8.0, 5.0, 2.0), (7.0, 10.0, np.nan), (10.0, 1.0, 6.0)):
        assert_no_cheaper_answer(Formula(stepped), present, share, again=share == 0.5)


@pytest.mark.parametrize("rate", [None, 1.0])
def test_a_search_that_ran_out_of_scorings_still_gives_the_largest_effect_and_claims_no_more(
    monkeypatch, rate
):
    monkeypatch.setattr(settings_search, "MOST_SCORINGS", 20)
    found = advise(
        lambda a, b: 1.1 - 0.02 * (a + b),
        dict.fromkeys("ab", lever(rate=rate)),
        {"a": 5.0, "b": 5.0},
    )
    assert not found.helps
    assert found.message.startswith(
        "No change that was tried is enough (alarm at 50 %). The largest effect: Set a from 5 to 10"
    )


def test_a_set_point_of_32_bits_reads_as_it_was_entered_and_is_not_advised_again():
    present = float(np.float32(7.4))
    found = advise(lambda a: 0.9 if a > 7.2 else 0.1, {"a": lever(step=0.1)}, {"a": present})
    assert found.message.startswith("Set a from 7.4 to 7.2.")
    assert [report.settings for report in found.levers] == [100], (
        "the 101 steps from 0 to 10 without the present one"
    )


def test_a_ramp_too_long_for_the_windows_of_the_model_is_not_advised():
    def risk(a):
        return 0.9 if a > 7.2 else 0.1  # also 0.1 for a missing value

    made = model_of(risk, plan("a"))
    found = recommend(made, history({"a": lever(step=0.1, rate=0.0001)}, {"a": 7.4}), AT, 1)
    assert (found.changes, found.message) == (
        (),
        "No advice: limits, steps and directions leave no setting but the present one.",
    )


def test_a_ramp_changes_no_share_of_missing_values():
    # once a second, in fact once a minute
    often = replace(plan("a", ("last", "missing")), numbers=(NumberSource("a", 1_000),))
    made = model_of(lambda last, missing: 0.9 if missing > 0.5 else 0.1, often)
    assert not recommend(made, history({"a": lever(rate=1.0)}, {"a": 5.0}), AT, 1).helps


def test_a_ramp_holds_a_text_at_its_last_value():
    made = model_of(
        lambda a, code: 0.1 if a >= 7 and code == 1 else 0.9,
        plan("a", categories=[CategorySource("recipe", ("soft", "crisp"))]),
    )
    line = history(
        {"a": lever(rate=1.0), "recipe": Variable(type="category")}, {"a": 5.0, "recipe": "crisp"}
    )
    assert recommend(made, line, AT, 1).changes[0].after == 7.0


def test_a_present_setting_outside_the_engineering_range_is_not_known():
    found = advise(lambda a: 0.9, {"a": lever(low=0.0, high=10.0)}, {"a": 50.0})
    assert found.message.endswith("whose present setting is known.")


def test_models_are_compared_without_their_normal_rows():
    normal = NormalSample(
        ("a.last",), (0.0,), (1.0,), np.zeros((6, 1)), np.zeros(6), np.zeros(6, int)
    )
    made = model_of(lambda a: a, plan("a"), normal=normal)
    assert made == replace(made, normal=replace(normal, rows=np.ones((6, 1))))
    assert made != replace(made, horizon=timedelta(1))
