"""Recommendations from little, coarse or contradictory input: no wrong statement, and no crash."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from alerting.definitions.assets import Variable
from alerting.learning.features.plan import CategorySource, NumberSource
from alerting.learning.models.normal import NormalSample
from alerting.recommendation import search
from alerting.recommendation.whatif import recommend
from tests.helpers.advice import AT, history, lever, model_of, plan

pytestmark = pytest.mark.fast


def advise(risk, variables, present, **asset):
    made = model_of(
        risk, plan([name for name, value in present.items() if not isinstance(value, str)])
    )
    return recommend(made, history(variables, present, **asset), AT, 2)


@pytest.mark.parametrize("rate", [None, 1.0])
def test_a_search_that_ran_out_of_scorings_still_gives_the_largest_effect_and_claims_no_more(
    monkeypatch, rate
):
    monkeypatch.setattr(search, "MOST_SCORINGS", 20)
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
    normal = NormalSample(("a.last",), (0.0,), (1.0,), np.zeros((6, 1)), np.zeros(6))
    made = model_of(lambda a: a, plan("a"), normal=normal)
    assert made == replace(made, normal=replace(normal, rows=np.ones((6, 1))))
    assert made != replace(made, horizon=timedelta(1))
