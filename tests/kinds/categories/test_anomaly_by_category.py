"""One detector over several recipes: each row is compared with normal operation of its own
recipe."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.faults import UserError
from alerting.kinds.anomaly.kind import score_rows
from alerting.kinds.anomaly.model import from_files, to_files
from alerting.kinds.anomaly.normal_rows import plan_of, rows_of
from alerting.kinds.anomaly.training import TRAINING
from alerting.kinds.registry import parse_definition
from alerting.kinds.training_protocol import LearningData, NormalTime
from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.training.run_files import load_learning_data
from alerting.usecases.training.training_steps import prepare
from tests.builders import at, history
from tests.helpers.kind_in_chunks import evaluated_to, sources_of
from tests.helpers.long_history import in_memory
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models

NAMES = ("heat", "force")
ASSET = Asset(
    name="press-1",
    variables={name: Variable(low=-100, high=200) for name in NAMES}
    | {"recipe": Variable(type="category")},
)
DOCUMENT = {
    "name": "x",
    "kind": "anomaly",
    "assets": ["press-1"],
    "windows": ["5m"],
    "aggregations": ["mean"],
    "stride": "1m",
    "threshold": {"false_alarms_per_week": 2},
}
PLAIN, DEFINITION = (parse_definition(DOCUMENT | more) for more in ({}, {"by": "recipe"}))
LEVELS = {"A": (10.0, 20.0), "B": (40.0, 20.0), "C": (10.0, 60.0), "D": (40.0, 60.0)}
LEARNED = 6000
NOISE = np.random.default_rng(1).normal(0, 0.5, (LEARNED + 2000, 2))


def line(minutes, recipes="ABCD", more_heat_from=10**6, more=4.0, turn=120):
    """Return recipe, heat and force of each minute, recipes by turns; from some minute on the heat
    is `more`."""
    found = []
    for minute in minutes:
        recipe = recipes[minute // turn % len(recipes)]
        heat, force = LEVELS.get(recipe, (25.0, 40.0)) + NOISE[minute]
        found.append((minute, recipe, heat + more * (minute >= more_heat_from), force))
    return found


def estimated(definition, readings, asset=ASSET):
    minutes, recipes, heat, force = zip(*readings, strict=True)
    data = history(minutes, asset, heat=list(heat), force=list(force), recipe=list(recipes))
    learned = LearningData([in_memory(data)], {}, NormalTime(at(-LEARNED - 1), at(0), at(0)))
    return from_files(to_files(TRAINING.estimate(definition, 1, "detector", learned).model))


@cache
def model(definition=DEFINITION):
    return estimated(definition, [*line(range(-LEARNED, -60)), *line(range(-60, 0), "E")])


def scored(definition, readings, cuts, by_model=None):
    """Evaluate to each cut; a recipe is reported only when it changes."""
    rows = []
    before = None
    for minute, recipe, heat, force in readings:
        values = {"heat": heat, "force": force, **({"recipe": recipe} if recipe != before else {})}
        rows.append(ReadingRow("press-1", at(minute), values))
        before = recipe
    return evaluated_to(definition, sources_of(ASSET, rows, by_model or model(definition)), cuts)


def raised(steps):
    return [step.at for step in steps if step.kind == "raised"]


def test_an_abnormality_within_the_values_of_other_recipes_is_found_that_one_model_for_all_misses():
    readings = line(range(1, 590), more_heat_from=500)  # of recipe A then, heat 14 instead of 10
    by_recipe, together = (raised(scored(d, readings, [590])[0]) for d in (DEFINITION, PLAIN))
    assert together == []
    assert [at(500) < instant <= at(510) for instant in by_recipe] == [True]


def test_a_raise_names_recipe_and_the_value_that_is_usual_for_it():
    (evidence,) = scored(DEFINITION, line(range(1, 60), more_heat_from=30), [60])[2].values()
    assert evidence.inputs["recipe"] == "A"
    assert evidence.evaluation.reason.endswith("(normal operation of recipe A)")
    (heat,) = [one for one in evidence.contributions if one.variable == "heat"]
    assert heat.usual == pytest.approx(LEVELS["A"][0], abs=1.5)


def test_a_window_over_a_change_of_recipe_is_unknown_and_says_so():
    _, scores, *_, unknown = scored(DEFINITION, line(range(1, 123)), [122])
    assert [score == "nan" for _, score in scores[-4:]] == [False, True, True, True]
    assert unknown == "the recipe changed within the last 5m"
    assert scored(DEFINITION, line(range(1, 130)), [125])[-1] is None


def test_a_recipe_with_too_little_normal_time_or_never_seen_is_compared_with_all_together():
    for recipe in "EF":
        steps, scores, *_, unknown = scored(DEFINITION, line(range(1, 60), recipe), [59])
        assert (raised(steps), unknown) == ([], None)
        assert all(float.fromhex(score) < 1 for _, score in scores[-50:])
        far = scored(DEFINITION, line(range(1, 60), recipe, 30, 90), [59])[2]
        assert [evidence.evaluation.reason.split(" (")[-1] for evidence in far.values()] == [
            f"recipe {recipe}: no or too little normal operation of its own, compared with all "
            "normal operation together)"
        ]
    account = model().by_asset["press-1"].account
    own, fallback, changes = account[-3:]
    assert own.startswith("rows are compared with those of their own recipe: A (")
    assert fallback.startswith("a recipe with too little normal time (E: ")
    assert ") or never seen is compared with all rows together: threshold by " in fallback
    assert changes == "unknown in 4.2 % of normal time: the recipe changed within the last 5m"
    assert "over a change of recipe" in account[0]


def test_recipes_that_change_faster_than_a_window_are_compared_together_and_said():
    fitted = estimated(DEFINITION, line(range(-LEARNED, 0), turn=3)).by_asset["press-1"]
    assert fitted.by is None
    assert fitted.account[-1].startswith(
        "all rows are compared with each other: no recipe is in force throughout windows of 5m"
    )
    assert "shorter windows" in fitted.account[-1]


def test_its_files_hold_the_levels_and_those_without_a_category_are_as_before():
    assert model().hash == from_files(to_files(model())).hash != model(PLAIN).hash
    assert b'"by"' not in to_files(model(PLAIN))["anomaly.json"]
    fitted = model().by_asset["press-1"]
    spaces = fitted.by.spaces | {"A": replace(fitted.by.spaces["A"], centre=np.zeros(2))}
    assert (
        replace(
            model(), by_asset={"press-1": replace(fitted, by=replace(fitted.by, spaces=spaces))}
        ).hash
        != model().hash
    )


def test_rows_of_features_are_scored_by_the_column_of_the_category():
    columns = model().by_asset["press-1"].plan.columns
    values = {name: 34.0 if name.startswith("heat") else 20.0 for name in columns}
    own, other, new = score_rows(
        model(), pd.DataFrame([values | {"recipe": name} for name in ("B", "D", None)])
    )
    assert own > 1
    assert other > own
    assert new < 1
    with pytest.raises(UserError, match="the rows have no column 'recipe'"):
        score_rows(model(), pd.DataFrame([values]))


def test_rows_of_a_flag_are_scored_by_it_in_every_form():
    variables = ASSET.variables | {"recipe": Variable(type="boolean")}
    readings = line(range(-LEARNED, 0), "AC")
    flagged = [(m, float(recipe == "A"), *values) for m, recipe, *values in readings]
    fitted = estimated(DEFINITION, flagged, ASSET.model_copy(update={"variables": variables}))
    of_press = fitted.by_asset["press-1"]
    assert {*of_press.by.spaces} == {"true", "false"}
    values = {name: 10.0 if name.startswith("heat") else 20.0 for name in of_press.plan.columns}

    def score(flag):
        (found,) = score_rows(fitted, pd.DataFrame([values | {"recipe": flag}]))
        return found

    assert score("true") == score(True) == score(1.0) == score(1)
    assert score("false") == score(False) == score(0.0)
    assert len({score(True), score(False), score(None)}) == 3


def test_a_recipe_that_was_reported_once_counts_in_the_unseen_time_after_fixed_dates():
    platform = in_memory_platform()
    day = 24 * 60
    platform.assets.store_assets([ASSET])
    changes = {0: {"recipe": "A"}, 40 * day: {"recipe": "B"}}
    rows = [
        ReadingRow("press-1", at(m), {"heat": NOISE[m % 97, 0], **changes.get(m, {})})
        for m in range(0, 100 * day, 60)
    ]
    add_readings(platform, rows, at(0))
    normal = {"from": at(-1).isoformat(), "to": at(30 * day).isoformat()}
    apply(
        platform,
        [{**DOCUMENT, "by": "recipe", "normal": normal, "stride": "1h", "windows": ["3h"]}],
        "engineer",
        at(0),
        "test",
    )
    platform.clock.instant = at(100 * day)
    definition = platform.definitions.newest_revision("x").definition
    learned = load_learning_data(
        platform, prepare(platform, "x", at(100 * day)), definition, at(100 * day)
    )
    (pieces,) = learned.histories
    period = learned.period
    assert (period.cutoff, period.end) == (at(30 * day), at(58 * day))
    plan = plan_of(definition, pieces, period.start, period.cutoff).features
    unseen = rows_of(definition, plan, pieces, learned, period.cutoff, period.end)
    assert len(unseen.at) > 100
    in_force = unseen.categories.in_force(unseen.at).tolist()
    assert (in_force[0], in_force[-1]) == ("A", "B")


def test_a_definition_without_a_category_is_as_before():
    assert "by" not in PLAIN.question_fields()
    assert "by" not in PLAIN.model_dump(mode="json", by_alias=True)


READINGS = st.lists(
    st.tuples(
        st.sampled_from([1, 1, 1, 2, 9]), st.sampled_from([*"AAABBE", None]), st.floats(-5, 5)
    ),
    max_size=40,
)


@settings(max_examples=12, deadline=None)
@given(readings=READINGS, cuts=st.lists(st.floats(1, 150), max_size=5))
def test_live_in_any_chunks_gives_the_same_bits_as_one_batch(readings, cuts):
    minute = 0
    rows = []
    for gap, recipe, more in readings:
        minute += gap
        heat, force = LEVELS.get(recipe, (25.0, 40.0))
        values = {
            "heat": heat + more,
            "force": force,
            **({} if recipe is None else {"recipe": recipe}),
        }
        rows.append(ReadingRow("press-1", at(minute), values))
    sources = sources_of(ASSET, rows, model())
    assert evaluated_to(DEFINITION, sources, [*sorted(cuts), 160]) == evaluated_to(
        DEFINITION, sources, [160]
    )


def test_no_later_recipe_changes_what_was_evaluated():
    usual, other = (line(range(1, 60), "A" + recipe, turn=30) for recipe in "AE")
    assert scored(DEFINITION, usual, [29])[:3] == scored(DEFINITION, other, [29])[:3]
