"""What a training says of the threshold of a model, and of values that serve without an alarm."""

from alerting.kinds.protocol.training import Challenger
from alerting.learning.selection.choice import ChanceTest
from alerting.learning.selection.decision_table import PromotionDecision, add_objection
from alerting.learning.selection.operating_point import VALIDATION
from alerting.learning.selection.values import WORSE, ValueEvidence, ValueTest


def find_value_test(chosen: Challenger | None) -> ValueTest | None:
    """Return the test of values that would serve without an alarm; None for any other model."""
    if chosen is None or not isinstance(chosen.evidence, ValueEvidence):
        return None
    return chosen.evidence.test


def object_to_threshold(
    decision: PromotionDecision, chance: ChanceTest | None, chosen: Challenger, is_first: bool
) -> PromotionDecision:
    """Return a promotion with what speaks against its threshold, and what a person must know of it
    and of its forecasts; as it is without an alarm. `is_first`: nothing was in service."""
    if isinstance(chosen.evidence, ValueEvidence):
        return decision
    for worse in (note for note in chosen.evidence.notes if WORSE in note):
        decision = add_objection(decision, "worse_than_last", {"worse": worse})
    choice = chosen.evidence.threshold
    of_rows = {"period": choice.period}
    if choice.period != VALIDATION and choice.finds:
        return add_objection(decision, "chosen_out_of_fold", of_rows)
    if is_first and chance is not None and chance.none_of_few:
        return add_objection(decision, "none_of_few_found", chance.facts)
    if not choice.finds:
        return add_objection(decision, "finds_nothing", of_rows)
    if is_first and chance is not None and chance.together is not None and not chance.is_confirmed:
        return add_objection(decision, "found_by_chance", chance.facts)
    return decision


def describe_remedy(chance: ChanceTest | None, values: ValueTest | None) -> str:
    """Return what may lead to a model after a training without a challenger."""
    if chance is not None:
        return chance.remedy
    return "" if values is None else values.remedy


def describe_values(chance: ChanceTest | None, values: ValueTest) -> str:
    """Return how good the values of a model are, and why it has no alarm."""
    if chance is None:
        return values.message
    return f"{values.message} No alarm is raised: {chance.message} {chance.remedy}"
