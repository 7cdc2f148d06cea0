"""One proposal for each definition: retire, retune, retrain or keep, with the figures that led to it."""

from dataclasses import dataclass
from typing import Literal

from alerting.reporting.messages import METRIC_TITLES, percent
from alerting.reporting.plant.summary import DefinitionSummary

Kind = Literal["retire", "retune", "retrain", "keep", "wait"]
LEAST_WEEKS = 4.0
LEAST_OUTCOMES = 5
RIGHT = 0.5  # share of right episodes under which an alert is a nuisance


@dataclass(frozen=True)
class Proposal:
    """A proposal for a definition: an action, and its reason in one sentence."""

    kind: Kind
    reason: str


def propose(summary: DefinitionSummary) -> Proposal:
    """Return the proposal for a definition. The first rule that holds decides.

    retire: at least five episodes with an outcome in at least four evaluated asset-weeks, none of them right, and no problem
    announced. retune: at least five outcomes, fewer than half of them right, and a limit that halves the false alarms without
    losing half of the announced problems. retrain: the model is clearly below its promotion, or an input clearly drifted while
    fewer than half of the problems were announced or of the episodes were right. wait: fewer than five outcomes and problems.
    keep: else.
    """
    s = summary
    right, known = s.hits + s.avoided, s.hits + s.avoided + s.false_alarms
    if known >= LEAST_OUTCOMES and right == 0 and s.announced == 0 and s.weeks >= LEAST_WEEKS:
        missed = f", and it announced none of {s.problems} problems" if s.problems else ""
        return Proposal("retire", f"None of {known} alerts was right{missed}.")
    is_nuisance = known >= LEAST_OUTCOMES and right < RIGHT * known
    if is_nuisance and s.retune is not None and 2 * s.retune.right_then >= s.retune.right:
        r = s.retune
        return Proposal(
            "retune",
            f"With {r.change} instead of {r.present:.4g}, {r.false_alarms_then} of the {r.false_alarms} false alarms would have "
            f"remained, and {r.right_then} of the {r.right} {'announced problems' if s.trained else 'right alerts'}.",
        )
    if s.trained and (s.worse_than_promotion or (s.drifted and (is_nuisance or _misses_most(s)))):
        return Proposal("retrain", _why_retrain(s))
    if known < LEAST_OUTCOMES and s.problems < LEAST_OUTCOMES:
        return Proposal("wait", f"Too few cases for a proposal: alerts with an outcome {known}, problems {s.problems}.")
    if is_nuisance:
        return Proposal(
            "retune",
            f"Only {right} of {known} alerts were right ({percent(right / known)}); no single limit halves the false alarms "
            "without losing the problems: narrow the condition, or add variables.",
        )
    return Proposal(
        "keep",
        f"{right} of {known} alerts were right" + (f"; {s.announced} of {s.problems} problems announced." if s.problems else "."),
    )


def _misses_most(s: DefinitionSummary) -> bool:
    return s.problems >= LEAST_OUTCOMES and 2 * s.announced < s.problems


def _why_retrain(s: DefinitionSummary) -> str:
    if s.worse_than_promotion:
        title = METRIC_TITLES.get(s.worse_than_promotion, s.worse_than_promotion.replace("_", " "))
        return f"The model does clearly worse than at its promotion: {title}."
    named = ", ".join(s.drifted[:3])
    return f"Its inputs are clearly not those of the training ({named}), and most of its problems or alarms are wrong."
