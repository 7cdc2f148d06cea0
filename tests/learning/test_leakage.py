"""Nothing of the future reaches a model: the suite that a leak of any kind would have to pass.

Beside these: `test_quality.py` flags a planted variable that knows the future, `test_answers.py`
keeps answers out that had not been given yet, `test_features.py` and `test_dataset.py` compare rows
with and without what came later.
"""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerting.definitions.assets import Variable
from alerting.definitions.faults import UserError
from alerting.learning.data.dataset import build_dataset
from alerting.learning.features.build import build_features
from alerting.learning.search.candidates import usable_folds
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.challenger import finish_challenger
from alerting.learning.selection.choice import choose
from alerting.ports import silent
from alerting.readings.history import millis
from tests import small_models

pytestmark = pytest.mark.models
MINUTE = 60_000
ORDER = ("train", "validation", "test")
HELD = ("crew", "setpoint")


@pytest.mark.parametrize(
    "family",
    [
        "lightgbm",
        "logistic_regression",
        pytest.param("random_forest", marks=pytest.mark.night),
    ],
)
def test_shuffled_labels_give_chance_out_of_fold_and_on_the_test_period(family):
    dataset = small_models.dataset(600)
    areas = []
    taken = 0
    for seed in range(4):
        label = np.random.default_rng(seed).permutation(dataset.label)
        shuffled = replace(dataset, label=label, label_by_data=label)
        definition = small_models.definition(learning={"trials": 2, "folds": 2})
        candidate = search_candidate(shuffled, definition, family, silent)
        taken += choose(shuffled, definition, [candidate]).candidate is not None
        _, evidence = finish_challenger(shuffled, candidate, definition)
        prevalence = label[dataset.part == "test"].mean()
        assert evidence.rows["test"]["ap"] < 1.5 * prevalence
        areas += [candidate.metrics["roc_auc"], evidence.rows["test"]["roc_auc"]]
    assert abs(np.mean(areas) - 0.5) < 0.04
    assert taken <= 1, "what is good by chance is no challenger"
    real = search_candidate(dataset, small_models.definition(), family, silent)
    assert real.metrics["roc_auc"] > 0.9, "while the real labels are learned"


SPANS = {
    "gap": st.sampled_from([0, 10, 35]),
    "horizon": st.sampled_from([10, 30, 75]),
    "hold": st.sampled_from([0, 5, 20]),
    "window": st.sampled_from([20, 60, 180]),
    "lag": st.sampled_from([None, 30, 240]),
    "delay": st.sampled_from([0, 15, 90]),
    "validation": st.sampled_from([0.1, 0.25]),
}


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(**SPANS)
def test_no_part_and_no_fold_overlaps_the_next_within_horizon_and_window(
    gap, horizon, hold, window, lag, delay, validation
):
    definition = small_models.definition(
        problem={"variable": "moisture", "above": 5.0, "for": f"{hold}m", "predict": "onset"},
        gap=f"{gap}m",
        horizon=f"{horizon}m",
        features={"stride": "10m", "windows": [f"{window}m"], "lags": [f"{lag}m"] if lag else []},
        periods={"validation": validation, "test": 0.2},
    )
    line = small_models.line(120)
    variables = line.asset.variables | {"moisture": Variable(delay=timedelta(minutes=delay))}
    line = replace(line, asset=line.asset.model_copy(update={"variables": variables}))
    try:
        dataset = build_dataset(definition, 1, [line], small_models.as_of(line))
        folds, _ = usable_folds(dataset, 2)
    except UserError:
        return  # too little is left after the purge: refused, not bent
    looks_ahead = (gap + horizon + hold) * MINUTE
    looks_back = (window + (lag or 0)) * MINUTE
    pairs = [
        (dataset.at[dataset.part == a], dataset.at[dataset.part == b]) for a, b in pairwise(ORDER)
    ]
    pairs += [(dataset.at[f.train], dataset.at[f.test]) for f in folds]
    for earlier, later in pairs:
        assert earlier.max() + looks_ahead <= later.min() - looks_back


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    cut=st.integers(300, 1300),
    noise=st.integers(0, 5),
    delay=st.sampled_from([0, 20]),
    lag=st.sampled_from([30, 90]),
    held=st.booleans(),
)
def test_whatever_comes_later_changes_no_feature_of_an_earlier_instant(
    cut, noise, delay, lag, held
):
    line = small_models.line(120)
    known_later = {"delay": timedelta(minutes=delay)}
    variables = {
        "humidity": Variable(**known_later),
        "crew": Variable(type="category", **known_later),
    }
    if held:  # set-point and crew are reported when they change
        variables["setpoint"] = Variable(controllable=True, **known_later)
        changes = {
            name: line.readings[name].where(line.readings[name] != line.readings[name].shift())
            for name in HELD
        }
        line = replace(line, readings=line.readings.assign(**changes))
    line = replace(
        line, asset=line.asset.model_copy(update={"variables": line.asset.variables | variables})
    )
    definition = small_models.definition(
        features={"stride": "10m", "windows": ["15m", "1h"], "lags": [f"{lag}m"]}
    )
    plan = build_dataset(definition, 1, [line], small_models.as_of(line)).plan
    assert sorted(plan.carried_longer) == (sorted(HELD) if held else [])
    ts = millis(line.readings.index)
    at = np.arange(ts[0] + 600 * MINUTE, ts[cut] + 1, 10 * MINUTE)
    at = at[at % (10 * MINUTE) == 0]
    changed = line.readings.copy()
    numbers = ["setpoint", "belt", "humidity", "moisture"]
    changed.loc[changed.index[cut + 1 :], numbers] = np.random.default_rng(noise).normal(
        0, 1000, (len(ts) - cut - 1, 4)
    )
    changed.loc[changed.index[cut + 1 :], "crew"] = "late"
    without = build_features(plan, replace(line, readings=line.readings.iloc[: cut + 1]), at)
    pd.testing.assert_frame_equal(
        without, build_features(plan, replace(line, readings=changed), at), check_exact=True
    )
