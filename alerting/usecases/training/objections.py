"""Objections to a challenger, why only its values serve, and what would help."""

from collections.abc import Mapping
from typing import Any

from alerting.definitions.fields.learning import PERSISTENCE, SEASONAL
from alerting.kinds.training_protocol import Challenger
from alerting.learning.selection.choice import ChanceTest, describe_chance, name_family
from alerting.learning.selection.decision import (
    Objection,
    PromotionDecision,
    add_objection,
    decide,
    describe_ready_alert,
)
from alerting.learning.selection.operating_point import VALIDATION
from alerting.learning.selection.value_test import WORSE, ValueEvidence, ValueTest


def object_to_threshold(
    decision: PromotionDecision,
    chance: ChanceTest | None,
    chosen: Challenger,
    is_first: bool,
    alert: str,
) -> PromotionDecision:
    """Return a promotion with the objections to its threshold, and with notes for a person on it
    and its forecasts; unchanged for a model without an alarm. `is_first`: whether nothing was in
    service. `alert`: the definition that is ready instead, as YAML."""
    if isinstance(chosen.evidence, ValueEvidence):
        return decision
    for worse in (note for note in chosen.evidence.notes if WORSE in note):
        decision = add_objection(decision, "worse_than_last", {"worse": worse})
    choice = chosen.evidence.threshold
    validation = chosen.evidence.validation
    few = {
        **({} if validation is None else validation.to_document()),
        "announced": "" if validation is None else validation.message,
        "instead": describe_ready_alert(alert),
        "alert": alert,
        "family": chosen.candidate.family,
        "repeated": name_family(chosen.candidate.family),
    }
    of_rows = {"period": choice.period}
    is_out_of_fold = choice.period != VALIDATION
    is_untested = validation is not None and not validation.problems
    first = chance if is_first else None
    finds_none = bool(validation and validation.problems and not validation.problems_found)
    unconfirmed = first is not None and first.together is not None and not first.is_confirmed
    objections: tuple[tuple[Objection, bool, Mapping[str, Any]], ...] = (
        ("last_value_serves", chosen.candidate.family in (PERSISTENCE, SEASONAL), few),
        ("finds_few", validation is not None and validation.finds_few, few),
        ("nothing_to_find", is_untested and not choice.finds, {}),
        ("fixed_finds_nothing", choice.is_fixed and not choice.finds, of_rows),
        ("finds_nothing", not choice.finds, of_rows),
        ("found_by_chance", unconfirmed, {} if first is None else first.facts),
        ("none_of_few_found", finds_none, few),
        ("chosen_out_of_fold", is_out_of_fold and not choice.is_fixed, of_rows),
    )
    objection = next(((name, facts) for name, holds, facts in objections if holds), None)
    return decision if objection is None else add_objection(decision, *objection)


def refuse(chance: ChanceTest | None, values: ValueTest | None, stays: str) -> PromotionDecision:
    """Return the decision of a training without a challenger. `stays`: on the champion."""
    tests = (describe_chance(chance), "" if values is None else values.message)
    reasons = " ".join(filter(None, tests))
    remedy = "" if values is None else values.remedy
    if chance is not None and not chance.passed:
        remedy = chance.remedy
    facts = {"chance": reasons, "stays": stays, "remedy": remedy}
    return decide({"not_above_chance": True}, facts)


def describe_values(chance: ChanceTest | None, values: ValueTest) -> str:
    """Return how good the values of a model are, and why it has no alarm."""
    if chance is None:
        return values.message
    why = f"{describe_chance(chance)} {chance.remedy}"
    if chance.passed:
        why = (
            "the candidate with the best warnings estimates no better than the last known value "
            "or the mean."
        )
    return f"{values.message} No alarm is raised: {why}"
