"""One proposal for each definition: retire, retune, retrain or keep, and why."""

from dataclasses import dataclass
from typing import Literal

from alerting.definitions.wording.language import Styled, Translatable, Value, translatable
from alerting.reporting.base.messages import metric_title
from alerting.reporting.definition.retune import Retune
from alerting.reporting.plant.summary import DefinitionNumbers

Kind = Literal["retire", "retune", "retrain", "keep", "wait"]
LEAST_OUTCOMES = 5
RIGHT = 0.5  # share of right episodes under which an alert is a nuisance

KIND_NAMES: dict[Kind, Translatable] = {
    "retire": translatable("retire"),
    "retune": translatable("retune"),
    "retrain": translatable("retrain"),
    "keep": translatable("keep"),
    "wait": translatable("wait"),
}
LEAST_WEEKS = 4.0


@dataclass(frozen=True)
class PlantProposal:
    """A proposal for a definition: an action, and its reason in one sentence."""

    kind: Kind
    reason: str


def propose(summary: DefinitionNumbers) -> PlantProposal:
    """Return the proposal for a definition. The first rule that holds decides.

    retire: at least five episodes with an outcome in at least four evaluated asset-weeks, none of
    them right, and no problem announced. retune: at least five outcomes, fewer than half of them
    right, and a limit that halves the false alarms without losing half of the announced problems.
    retrain: the model is clearly below its promotion. wait: fewer than five
    outcomes and problems. keep: else.
    """
    s = summary
    right = s.hits + s.avoided
    known = s.hits + s.avoided + s.false_alarms
    if known >= LEAST_OUTCOMES and right == 0 and s.announced == 0 and s.weeks >= LEAST_WEEKS:
        return PlantProposal("retire", _why_retire(s, known))
    is_nuisance = known >= LEAST_OUTCOMES and right < RIGHT * known
    if is_nuisance and s.retune is not None and 2 * s.retune.right_then >= s.retune.right:
        return PlantProposal("retune", describe_retune(s.retune, s.trained))
    if s.trained and s.worse_than_promotion:
        return PlantProposal("retrain", _why_retrain(s))
    if known < LEAST_OUTCOMES and s.problems < LEAST_OUTCOMES:
        few = translatable(
            "Too few cases for a proposal: alarms with an outcome {known}, problems {problems}.",
            known=known,
            problems=s.problems,
        )
        return PlantProposal("wait", few)
    counts: dict[str, Value] = {
        "right": right,
        "known": known,
        "announced": s.announced,
        "problems": s.problems,
    }
    if is_nuisance:
        narrow = translatable(
            "Only {right} of {known} alarms were right ({share}); no single limit halves the false "
            "alarms without losing the problems: narrow the condition, or add variables.",
            share=Styled(right / known, "share"),
            **counts,
        )
        return PlantProposal("retune", narrow)
    return PlantProposal("keep", _why_keep(s, counts))


def describe_retune(retune: Retune, trained: bool) -> Translatable:
    """Say what another limit would have done. `trained`: by a model, which announces problems."""
    if trained:
        return translatable(
            "With {change} instead of {present}, {false_then} of the {false_alarms} false alarms "
            "would have remained, and {right_then} of the {right} announced problems.",
            **retune.values,
        )
    return translatable(
        "With {change} instead of {present}, {false_then} of the {false_alarms} false alarms would "
        "have remained, and {right_then} of the {right} right alarms.",
        **retune.values,
    )


def _why_retire(s: DefinitionNumbers, outcomes: int) -> Translatable:
    if not s.problems:
        return translatable("None of {known} alarms was right.", known=outcomes)
    return translatable(
        "None of {known} alarms was right, and it announced none of {problems} problems.",
        known=outcomes,
        problems=s.problems,
    )


def _why_keep(s: DefinitionNumbers, counts: dict[str, Value]) -> Translatable:
    if s.problems:
        return translatable(
            "{right} of {known} alarms were right; {announced} of {problems} problems announced.",
            **counts,
        )
    return translatable("{right} of {known} alarms were right.", **counts)


def _why_retrain(s: DefinitionNumbers) -> str:
    return translatable(
        "The model does clearly worse than at its promotion: {metric}.",
        metric=translatable(metric_title(s.worse_than_promotion)),
    )
