"""Values that serve without an alarm: what a training says of them."""

from alerting.definitions.model import TrainedDefinition
from alerting.kinds.protocol.training import Challenger
from alerting.learning.selection.choice import ChanceTest
from alerting.learning.selection.other_questions import ProblemsSeen
from alerting.learning.selection.values import ValueEvidence, ValueTest


def find_value_test(chosen: Challenger | None) -> ValueTest | None:
    """Return the test of values that would serve without an alarm; None for any other model."""
    if chosen is None or not isinstance(chosen.evidence, ValueEvidence):
        return None
    return chosen.evidence.test


def finds_problems(chosen: Challenger) -> bool:
    """Return whether the threshold of a model finds a problem; yes without an alarm."""
    evidence = chosen.evidence
    return isinstance(evidence, ValueEvidence) or evidence.threshold.finds


def describe_remedy(
    definition: TrainedDefinition,
    chance: ChanceTest | None,
    values: ValueTest | None,
    data: ProblemsSeen,
) -> str:
    """Return what may lead to a model after a training without a challenger. `data`: the problems
    of its data."""
    if chance is not None:
        return chance.remedy(definition, data)
    return "" if values is None else values.remedy


def describe_values(
    definition: TrainedDefinition, chance: ChanceTest | None, values: ValueTest
) -> str:
    """Return how good the values of a model are, and why it has no alarm."""
    if chance is None:
        return values.message
    return f"{values.message} No alarm is raised: {chance.message} {chance.remedy(definition)}"
