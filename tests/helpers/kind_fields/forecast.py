"""A forecast's fields: what is searched and chosen; its dataset is built by the code of
classifiers."""

from datetime import timedelta

from alerting.definitions.fields.shared_fields import CommonFields
from alerting.kinds.forecast.training import TRAINING
from alerting.kinds.registry import parse_definition
from alerting.learning.data.dataset import build_dataset
from alerting.ports import silent
from tests import small_models
from tests.helpers.fields import leaves, once_per_change
from tests.helpers.kind_fields import classifier
from tests.helpers.learning.machine_time import time_of_trials


def forecast(**changes):
    document = small_models.definition().model_dump(mode="json", by_alias=True, exclude_unset=True)
    learning = {"trials": 3, "folds": 2, "candidates": ["ridge"]}
    return parse_definition({**document, "kind": "forecast", "learning": learning, **changes})


@once_per_change
def learned(**changes):
    """Return what the forecasters learn from: rows, the values ahead, and the forecasters."""
    definition = forecast(**changes)
    line = small_models.line(120)
    data = build_dataset(definition, 1, [line], small_models.as_of(line))
    return data.hash, data.future.tobytes(), definition.leads(None), definition.families


@once_per_change
def searched(budget=timedelta(minutes=5), point=None, **learning):
    """Return the search of one forecaster, and the threshold that is chosen."""
    wanted = {"trials": 3, "folds": 2, "candidates": ["ridge"], **learning}
    definition = forecast(learning=wanted, operating_point=point or {})
    search = definition.learning.model_copy(update={"time_budget": budget})
    definition = definition.model_copy(update={"learning": search})
    line = small_models.line(120)
    data = build_dataset(definition, 1, [line], small_models.as_of(line))
    persistence, found = (
        TRAINING.train(data, definition, family, silent, None, time_of_trials(1))
        for family in ("persistence", "ridge")
    )
    threshold = TRAINING.choose(data, definition, [persistence, found])[1].model.threshold
    return found.params, found.trials, found.metrics, found.chance.tolist(), threshold


PROOFS = {
    "horizon": (learned, {}, {"horizon": "40m"}),
    "gap": (learned, {}, {"gap": "10m"}),
    "season": (learned, {}, {"season": "6h"}),
    "learning.candidates": (learned, {}, {"learning": {"candidates": ["smoothing"]}}),
    "learning.trials": (searched, {}, {"trials": 1}),
    "learning.folds": (searched, {}, {"folds": 3}),
    "learning.seed": (searched, {"trials": 6}, {"trials": 6, "seed": 1}),
    "learning.time_budget": (searched, {}, {"budget": timedelta(milliseconds=1)}),
    "operating_point.max_time_in_alarm": (searched, {}, {"point": {"max_time_in_alarm": 0.001}}),
}
ELSEWHERE = {
    *classifier.PROOFS,
    *classifier.ELSEWHERE,
    *leaves(CommonFields),  # the same code as for thresholds
    "variable",  # a value without an alarm: tests/scenarios/values/test_value_between_samples.py
}
