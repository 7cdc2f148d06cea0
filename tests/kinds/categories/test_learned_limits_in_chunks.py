"""Live in any chunks gives what one batch gives, for any readings, recipes and hours, and for
conditions of several variables."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.assets import Asset, Variable
from alerting.definitions.limits import key_of
from alerting.detection.learned_limits import GroupLimit, LimitTable
from alerting.kinds.threshold.model import FittedLimits, LearnedLimitsModel, from_files, to_files
from alerting.kinds.validation import parse_definition
from alerting.ports import ReadingRow
from tests.builders import at
from tests.helpers.kind_in_chunks import evaluated_to, sources_of

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
    for minute, (_, force, recipe) in zip(minutes, readings, strict=True):
        values = {
            name: value
            for name, value in (("force", force), ("recipe", recipe))
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


@pytest.mark.parametrize("cuts", [[90], [40, 90], [60, 90]])
def test_a_recipe_exactly_as_old_as_it_may_be_is_in_force_however_the_time_is_cut(cuts):
    recipe = Variable(type="category", carry_forward=timedelta(minutes=30))
    asset = Asset(name="press-1", variables={"force": Variable(), "recipe": recipe})
    definition = parse_definition(
        {**COMMON, "variable": "force", "above": ABOVE, "stale_after": "1h"}
    )
    rows = [
        ReadingRow("press-1", at(10), {"recipe": "A"}),
        ReadingRow("press-1", at(40), {"force": 10.5}),
    ]
    steps, *_ = evaluated_to(definition, sources_of(asset, rows, model_of(definition)), cuts)
    # above 9 of recipe A; of all readings it is 11
    assert [(step.kind, step.at) for step in steps] == [("raised", at(40))]


@pytest.mark.parametrize("cuts", [[9], [4, 9]])
def test_the_last_value_before_the_first_evaluation_belongs_to_the_recipe_in_which_it_was_taken(
    cuts,
):
    both = [
        {"variable": "force", "above": ABOVE, "stale_after": "1h"},
        {"variable": "force", "below": 99, "stale_after": "1h"},
    ]
    definition = parse_definition({**COMMON, "all": both, "for": "1m"})
    rows = [
        ReadingRow("press-1", at(minute), {"recipe": recipe})
        for minute, recipe in ((-30, "A"), (-5, "C"))
    ]
    rows.append(ReadingRow("press-1", at(-10), {"force": 10.5}))
    steps, *_ = evaluated_to(
        definition, sources_of(ASSET, rows, model_of(definition, cutoff=-40)), cuts
    )
    # above 10 of recipe A, not above 11 of all readings
    assert [step.kind for step in steps] == ["raised"]
