"""One control chart over several recipes: each reading by its distance from the level of its own
recipe."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.assets import Asset, Variable
from alerting.detection.control_charts.short_runs import (
    CategoryLevel,
    ShortRuns,
    estimate_short_runs,
)
from alerting.kinds.control_chart.model import from_files, to_files
from alerting.kinds.control_chart.training import TRAINING
from alerting.kinds.protocol.training import LearningData, NormalTime
from alerting.kinds.validation import parse_definition
from alerting.ports import ReadingRow
from alerting.readings.long_history import in_memory
from tests.builders import at, history
from tests.helpers.kind_in_chunks import evaluated_to, sources_of

ASSET = Asset(
    name="press-1",
    variables={"force": Variable(low=0, high=100), "recipe": Variable(type="category")},
)
DOCUMENT = {
    "name": "x",
    "kind": "control_chart",
    "assets": ["press-1"],
    "variable": "force",
    "stale_after": "5m",
    "clear_for": "2m",
}
PLAIN, DEFINITION = (
    parse_definition({**DOCUMENT, **more, "autocorrelation": "ignore"})
    for more in ({}, {"by": "recipe"})
)
NOISE = np.random.default_rng(1).normal(0, 0.5, 2000)


def line(minutes, shift_from=10_000, recipes="AB"):
    """Return recipe and force of each minute: recipe A at 10, B at 40, by turns of an hour; from
    some minute on 2 more."""
    found = []
    for minute in minutes:
        recipe = recipes[minute // 60 % len(recipes)]
        found.append(
            (
                minute,
                recipe,
                {"A": 10.0, "B": 40.0}.get(recipe, 25.0)
                + NOISE[minute]
                + 2 * (minute >= shift_from),
            )
        )
    return found


def estimated(definition, readings):
    minutes, recipes, forces = zip(*readings, strict=True)
    data = history(minutes, ASSET, force=list(forces), recipe=list(recipes))
    learned = LearningData([in_memory(data)], {}, NormalTime(at(-1), at(1000), at(1000)))
    return from_files(to_files(TRAINING.estimate(definition, 1, "ewma", learned).model))


MODEL = estimated(DEFINITION, line(range(1000)))


def charted(definition, model, readings, cuts):
    """Evaluate from minute 0 on; a recipe is reported only when it changes."""
    rows = []
    before = None
    for minute, recipe, force in readings:
        rows.append(
            ReadingRow(
                "press-1",
                at(minute),
                {"force": force, **({"recipe": recipe} if recipe != before else {})},
            )
        )
        before = recipe
    return evaluated_to(definition, sources_of(ASSET, rows, model), cuts)


def test_levels_and_deviations_of_each_recipe_by_hand():
    values = np.array([*([9.0, 10.0, 11.0] * 10), *([35.0, 40.0, 45.0] * 10), 7.0])
    runs = estimate_short_runs("recipe", values, [*"A" * 30, *"B" * 30, "C"])
    assert runs.levels["A"] == (10.0, pytest.approx(1.4826), 30)
    assert runs.levels["B"] == (40.0, pytest.approx(5 * 1.4826), 30)
    assert "C" not in runs.levels  # one reading is too few
    assert runs.centre == 25.0
    # 5 of 7.413 above its level, times the mean deviation of 4.4478
    assert runs.charted(45, "B") == pytest.approx(28)
    assert runs.charted(11, "A") == pytest.approx(28)  # as 1 of 1.4826 above that of recipe A


def test_a_recipe_never_seen_takes_level_and_deviation_of_all_readings():
    runs = ShortRuns("recipe", 25, 1, CategoryLevel(20, 10, 100), {"A": CategoryLevel(10, 2, 50)})
    assert [runs.charted(30, "A"), runs.charted(30, "new"), runs.charted(30, None)] == [
        35.0,
        26.0,
        26.0,
    ]


def test_a_change_of_recipe_is_no_shift_and_a_shift_within_the_recipes_is_one():
    first, *_ = charted(DEFINITION, MODEL, line(range(1001, 1400), shift_from=1300), [1400])[0]
    assert first.kind == "raised"
    assert at(1300) < first.at < at(1310)
    plain = estimated(PLAIN, line(range(1000)))  # to it one of the recipes is out of control
    assert charted(PLAIN, plain, line(range(1001, 1300)), [1300])[0][0].kind == "raised"


def test_the_notes_name_the_level_of_each_recipe():
    notes = [*MODEL.by_asset["press-1"].describe("press-1")]
    assert any("recipe A: level " in note and "readings" in note for note in notes)
    assert any("one that was never seen takes that of all readings" in note for note in notes)


def test_the_level_of_one_recipe_that_moved_is_noticed_whatever_the_share_of_the_recipes():
    later = estimated(DEFINITION, [(m, r, f + 3 * (r == "B")) for m, r, f in line(range(1000))])
    data = LearningData([in_memory(history([], ASSET))], {}, NormalTime(at(-1), at(1000), at(1000)))
    compared = TRAINING.compare(DEFINITION, data, {"ewma": later}, MODEL)
    assert "the level of recipe B has moved from " in compared.decision.reason
    fewer = estimated(DEFINITION, line(range(1000), recipes="AAAB"))
    assert (
        "has moved"
        not in TRAINING.compare(DEFINITION, data, {"ewma": fewer}, MODEL).decision.reason
    )


def test_without_a_category_that_is_known_nothing_can_be_estimated():
    with pytest.raises(Exception, match="usable readings of force"):
        estimated(DEFINITION, [(m, None, f) for m, _, f in line(range(1000))])


def test_the_category_is_checked_beside_the_assets():
    faults = [*map(str, parse_definition({**DOCUMENT, "by": "force"}).faults_on([ASSET], []))]
    assert faults == ["by: 'force' is a number; a group needs a category (name a category)"]


@settings(max_examples=25, deadline=timedelta(seconds=5))
@given(
    recipes=st.lists(st.sampled_from([*"ABC"]), min_size=1, max_size=4).map("".join),
    cuts=st.lists(st.floats(1002, 1300), max_size=6),
    shift=st.integers(1001, 1400),
)
def test_live_in_any_chunks_gives_the_same_bits_as_one_batch(recipes, cuts, shift):
    readings = line(range(1001, 1250), shift, recipes)
    assert charted(DEFINITION, MODEL, readings, [1000.5, *sorted(cuts), 1310]) == charted(
        DEFINITION, MODEL, readings, [1000.5, 1310]
    )
