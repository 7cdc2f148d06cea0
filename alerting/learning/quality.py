"""Notes on the data a model was trained on: what is odd, and what follows from it."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from alerting.definitions.model import ClassifierDefinition
from alerting.detection.problems import matching
from alerting.learning.plan import FeaturePlan
from alerting.learning.planning import MOST_LEVELS, candidate_variables, event_types
from alerting.readings.history import History

FEW_PROBLEMS = 10


def quality_notes(
    definition: ClassifierDefinition, plan: FeaturePlan, histories: Sequence[History], problems: dict[str, int]
) -> list[str]:
    """One sentence per finding, each with its consequence. `histories`: those of the training period;
    `problems`: how many began in each part."""
    return [
        *_silent_assets(histories),
        *_left_out(definition, plan, histories),
        *_constant(plan, histories),
        *_out_of_range(plan, histories),
        *_unmatched_events(definition, histories),
        *_few_problems(definition, problems),
    ]


def _silent_assets(histories: Sequence[History]) -> Iterator[str]:
    for history in histories:
        if history.readings.empty:
            yield f"{history.asset.name} has no readings in the training period: the model learns nothing from it."


def _left_out(definition: ClassifierDefinition, plan: FeaturePlan, histories: Sequence[History]) -> Iterator[str]:
    for name in candidate_variables(definition, histories):
        if name in plan.variables:
            continue
        different = len(pd.unique(np.concatenate([_values(h, name) for h in histories])))
        if different:
            yield f"{name} is a category with {different} values in training, more than {MOST_LEVELS}: it is left out."
        else:
            yield f"{name} has no value in the training period: it is left out, and no recommendation can change it."


def _constant(plan: FeaturePlan, histories: Sequence[History]) -> Iterator[str]:
    for name in plan.variables:
        values = pd.unique(np.concatenate([_values(h, name) for h in histories]))
        if len(values) == 1:
            yield (
                f"{name} is always {values[0]} in the training period: nothing can be learned from it; "
                "if it should vary, its sensor or its import is faulty."
            )


def _out_of_range(plan: FeaturePlan, histories: Sequence[History]) -> Iterator[str]:
    for number in plan.numbers:
        outside = 0
        for history in histories:
            variable = history.asset.variables.get(number.name)
            if variable is not None and (variable.low is not None or variable.high is not None):
                values = _values(history, number.name).astype(np.float64)
                low = -np.inf if variable.low is None else variable.low
                high = np.inf if variable.high is None else variable.high
                outside += int(((values < low) | (values > high)).sum())
        if outside:
            yield (
                f"{number.name} has {outside} values outside its engineering range in the training period: "
                "they are used as they are, and distort what is learned from it; correct them or the range."
            )


def _unmatched_events(definition: ClassifierDefinition, histories: Sequence[History]) -> Iterator[str]:
    types = event_types(histories)
    for pattern in definition.features.events:
        if not matching(types, [pattern]):
            yield f"No event type matches {pattern!r} of features.events: it gives no features; the types are {sorted(types)}."


def _few_problems(definition: ClassifierDefinition, problems: dict[str, int]) -> Iterator[str]:
    if problems["train"] < FEW_PROBLEMS:
        yield f"Only {problems['train']} problems began in the training period: the model may learn accidents, not causes."
    for part, consequence in (("validation", "the threshold rests on few cases"), ("test", "its figures are uncertain")):
        if problems[part] < definition.promotion.least_events:
            yield f"Only {problems[part]} problems began in the {part} period: {consequence}."


def _values(history: History, name: str) -> np.ndarray:
    """Values of a variable that are there."""
    return history.readings[name].dropna().to_numpy() if name in history.readings else np.empty(0, dtype=object)
