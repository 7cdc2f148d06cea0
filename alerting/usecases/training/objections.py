"""Objections to a challenger, why only its values serve, and what would help."""

from collections.abc import Mapping
from typing import Any

from alerting.definitions.fields.learning import PERSISTENCE, SEASONAL
from alerting.definitions.wording.language import (
    Styled,
    Value,
    in_english,
    joined,
    translatable,
)
from alerting.kinds.training_protocol import Challenger
from alerting.learning.selection.choice import ChanceTest, name_family
from alerting.learning.selection.decision import PromotionDecision, add_objection, decide
from alerting.learning.selection.decision_rules import Objection
from alerting.learning.selection.operating_point import VALIDATION
from alerting.learning.selection.value_test import ValueEvidence, ValueTest

# whether an objection holds, the values of its text, what would help, and its evidence
_Objection = tuple[Objection, bool, Mapping[str, Value], str, Mapping[str, Any]]


def object_to_threshold(
    decision: PromotionDecision,
    chance: ChanceTest | None,
    chosen: Challenger,
    is_first: bool,
    alert: str,
) -> PromotionDecision:
    """Return a promotion with the objections to its threshold, and with details for a person on it
    and its forecasts; unchanged for a model without an alarm. `is_first`: whether nothing was in
    service. `alert`: the definition that is ready instead, as YAML."""
    if isinstance(chosen.evidence, ValueEvidence):
        return decision
    error, last_error = chosen.evidence.errors or (0.0, 0.0)
    if error > last_error:
        off = in_english(
            "Their median is off by {error} on average, the last known value by {last}.",
            error=Styled(error, ".4g"),
            last=Styled(last_error, ".4g"),
        )
        of_errors = {"error": error, "last_error": last_error}
        decision = add_objection(decision, "worse_than_last", {}, off, of_errors)
    choice = chosen.evidence.threshold
    validation = chosen.evidence.validation
    family = chosen.candidate.family
    few = {**validation.to_document(), "alert": alert, "family": family}
    instead = translatable("An alert at the limit would show each as it begins.") if alert else ""
    of_rows = {"period": translatable(choice.period)}
    first = chance if is_first else None
    unconfirmed = first is not None and first.together is not None and not first.is_confirmed
    counts = validation.values
    objections: tuple[_Objection, ...] = (
        (
            "last_value_serves",
            family in (PERSISTENCE, SEASONAL),
            {"repeated": translatable(name_family(family))},
            joined(" ", validation.message, instead),
            few,
        ),
        ("finds_few", validation.finds_few, counts, instead, few),
        ("nothing_to_find", not (validation.problems or choice.finds), {}, "", {}),
        ("fixed_finds_nothing", choice.is_fixed and not choice.finds, of_rows, "", {}),
        ("finds_nothing", not choice.finds, of_rows, "", {}),
        ("found_by_chance", unconfirmed, counts, "", {} if first is None else first.facts),
        ("none_of_few_found", validation.finds_none, counts, "", {}),
    )
    objection = next((row for row in objections if row[1]), None)
    if objection is None and choice.period != VALIDATION and not choice.is_fixed:
        return decision.add_details(
            in_english(
                "The validation period has no rows both with and without a problem ahead, so its "
                "threshold was chosen on {period}.",
                **of_rows,
            )
        )
    if objection is None:
        return decision
    name, _, values, remedy, evidence = objection
    return add_objection(decision, name, values, evidence=evidence, remedy=remedy)


def refuse(chance: ChanceTest | None, values: ValueTest | None) -> PromotionDecision:
    """Return the decision of a training without a challenger: by its warnings, or by its values if
    the warnings are better than chance. It never puts a model into service."""
    ground = None if chance is None else chance.objection
    remedy = "" if chance is None or ground is None else chance.remedy
    texts: Mapping[str, Value] = {} if chance is None else chance.values
    why = "" if chance is None else chance.reason or ""
    measured = "" if values is None else values.message
    by_warnings = ground == "nothing_to_forecast" or (chance and chance.ap <= chance.bound)
    if values is not None and (values.passed or not by_warnings):
        ground = values.objection or "values_without_alarm"
        texts = {"variable": values.variable, "number": values.values}
        measured = values.comparison
        remedy = remedy or ("" if values.passed else values.remedy)
    else:
        why = ""
    details = joined(" ", measured, why, remedy)
    return decide({ground or "not_above_chance": True}, texts, details=details)


def describe_values(chance: ChanceTest | None, values: ValueTest) -> str:
    """Return how good the values of a model are, and why it has no alarm."""
    if chance is None:
        return values.message
    why = (
        "the candidate with the best warnings estimates no better than the last known value or the "
        "mean."
        if chance.reason is None
        else f"{chance.reason} {chance.remedy}"
    )
    return f"{values.message} No alarm is raised: {why}"
