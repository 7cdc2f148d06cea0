"""The conclusion of a report: whether operators can trust the alert, and what to change."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from alerting.definitions.wording.language import (
    Styled,
    joined,
    template,
    translatable,
    translatable_count,
)
from alerting.reporting.base.estimates import LEAST_EVENTS, Estimate, RowMetrics
from alerting.reporting.base.messages import false_alarms, seconds
from alerting.reporting.definition.material import (
    ValueMetrics,
    advise_value,
    describe_value,
    value_rule,
    value_trust,
)
from alerting.reporting.definition.metrics import ReportMetrics

Trust = Literal["yes", "with_care", "no", "cannot_tell"]
GOOD_RECALL = 0.7
GOOD_PRECISION = 0.5
FEW_ANSWERS = 0.5
MANY_UNDETERMINED = 0.3
MUCH_DISAGREEMENT = 0.25
TRUST_MESSAGES: dict[Trust, str] = {
    "yes": translatable("Trust it"),
    "with_care": translatable("Use it with care"),
    "no": translatable("Do not rely on it"),
    "cannot_tell": translatable("Too early for a conclusion"),
}


@dataclass(frozen=True)
class Judgement:
    """Conclusion on the alert: trust, the numbers in a sentence, the rule, and the actions."""

    trust: Trust
    sentence: str
    rule: str
    actions: tuple[str, ...]


@dataclass(frozen=True)
class _Demand:
    """One demand on the alert, e.g. "at least 50 % of the episodes with an outcome right"."""

    description: str
    estimate: Estimate
    limit: float
    at_least: bool

    @property
    def met(self) -> bool | None:
        """Return whether the demand is met; None while that is unknown."""
        e = self.estimate
        if e.value is None or e.doubt:
            return None
        return e.value >= self.limit if self.at_least else e.value <= self.limit

    @property
    def surely_missed(self) -> bool:
        """Return whether the whole interval lies on the wrong side."""
        e = self.estimate
        if e.doubt or e.low is None or e.high is None:
            return False
        return e.high < self.limit if self.at_least else e.low > self.limit


def conclude(metrics: ReportMetrics) -> Judgement:
    """Decide by fixed demands, stated in `rule`. Actions may be empty only if all are met."""
    if not metrics.has_alarm:
        return _conclude_values(metrics.values)
    demands = list(_demands(metrics))
    trust = _trust(demands)
    actions = tuple(_actions(metrics)) or tuple(_about_demands(demands))
    return Judgement(
        trust, f"{TRUST_MESSAGES[trust]}: {_summary(metrics)}.", _rule(demands), actions
    )


def _conclude_values(values: ValueMetrics | None) -> Judgement:
    trust = value_trust(values)
    sentence = f"{TRUST_MESSAGES[trust]}: {describe_value(values)}"
    return Judgement(trust, sentence, value_rule(), advise_value(values))


def _demands(f: ReportMetrics) -> Iterator[_Demand]:
    if f.horizon_s is not None:
        least = Styled(GOOD_RECALL, "share")
        if f.horizon_s == 0:
            description = translatable("at least {share} of the bad units found", share=least)
        else:
            description = translatable(
                "at least {share} of the problems announced in time", share=least
            )
        yield _Demand(description, f.event_recall, GOOD_RECALL, at_least=True)
    least = Styled(GOOD_PRECISION, "share")
    description = translatable("at least {share} of the alarms with an outcome right", share=least)
    yield _Demand(description, f.precision.with_avoided, GOOD_PRECISION, at_least=True)
    if f.false_alarm_budget is not None:
        allowed = false_alarms(f.false_alarm_budget, len(f.evaluated))
        description = translatable("at most {false_alarms}", false_alarms=allowed)
        yield _Demand(description, f.false_alarms, f.false_alarm_budget, at_least=False)


def _about_demands(demands: list[_Demand]) -> Iterator[str]:
    for demand in demands:
        if demand.met is False:
            yield translatable(
                "Not met: {demand} ({cases}).",
                demand=demand.description,
                cases=demand.estimate.basis,
            )
        elif demand.met is None:
            yield translatable(
                "Wait, or choose a longer period. It cannot be checked yet: {demand} ({cases}).",
                demand=demand.description,
                cases=demand.estimate.doubt or demand.estimate.basis,
            )


def _trust(demands: list[_Demand]) -> Trust:
    if any(d.surely_missed for d in demands):
        return "no"
    if any(d.met is False for d in demands):
        return "with_care"
    return "cannot_tell" if any(d.met is None for d in demands) else "yes"


def _rule(demands: list[_Demand]) -> str:
    return translatable(
        "Trusted means: {demands}. Do not rely on it: the whole 95 % interval misses one of these. "
        "Cannot tell: too few cases to check one of them.",
        demands=joined(", ", *(d.description for d in demands)),
    )


def _summary(f: ReportMetrics) -> str:
    parts = []
    if f.horizon_s is not None:
        parts.append(_describe_problems(f))
    determined = f.precision.with_avoided
    parts.append(
        f"{determined.basis} were right"
        if determined.value is not None
        else "no alarm has an outcome"
    )
    if f.false_alarms.value is not None and not f.false_alarms.doubt:
        parts.append(false_alarms(f.false_alarms.value, len(f.evaluated)))
    return "; ".join(parts)


def _found(f: ReportMetrics) -> str:
    return "bad units found" if f.horizon_s == 0 else "problems announced in time"


def _describe_problems(f: ReportMetrics) -> str:
    if not f.evaluated and f.unscored:
        return "no scores of this period are stored any more"
    if not f.evaluated:
        return "the alert was not evaluated in this period"
    total = len(f.problems)
    missed = len(f.missed)
    if not total:
        return "no problem occurred while the alert was evaluated"
    return f"{total - missed} of {total} {_found(f)}" + (
        f", typically {seconds(f.lead_time.value)} ahead" if f.lead_time.value is not None else ""
    )


def _actions(f: ReportMetrics) -> Iterator[str]:
    """List the actions, the most urgent first; each names the number that calls for it."""
    yield from _too_little(f)
    yield from _alarms(f)
    yield from _model(f)
    yield from _people(f)


def _too_little(f: ReportMetrics) -> Iterator[str]:
    if not f.evaluated and f.unscored:
        yield translatable(
            "Choose a later period: no scores of this one are stored any more, without which there "
            "are no rates."
        )
    elif not f.evaluated and f.trained:
        yield translatable(
            "No instant was evaluated: check that the definition is active, readings arrive, and a "
            "model is in service."
        )
    elif not f.evaluated:
        yield translatable(
            "No instant was evaluated: check that the definition is active, and readings arrive."
        )
    elif f.horizon_s is not None and not f.problems:
        yield translatable(
            "Choose a longer period: no problem occurred, which is too little for a conclusion."
        )
    elif f.horizon_s is not None and len(f.problems) < LEAST_EVENTS:
        yield translatable_count(
            "Choose a longer period: {number} problem is too few for a conclusion.",
            "Choose a longer period: {number} problems are too few for a conclusion.",
            len(f.problems),
        )
    undetermined = f.outcomes["undetermined"] / len(f.episodes) if f.episodes else 0.0
    if f.horizon_s is None and undetermined:
        yield translatable(
            "Give the definition a problem, or ask operators for verdicts: without either no alarm "
            "gets an outcome."
        )
    elif undetermined > MANY_UNDETERMINED:
        yield translatable(
            "{share} of the alarms are undetermined, mostly because {reason}: clear these up "
            "first.",
            share=Styled(undetermined, "share"),
            reason=next(iter(f.undetermined)),
        )


def _alarms(f: ReportMetrics) -> Iterator[str]:
    rate = f.false_alarms
    budget = f.false_alarm_budget
    if budget is not None and rate.value is not None and rate.value > budget and not rate.doubt:
        yield translatable(
            "{false_alarms}, where {allowed} a week and asset are allowed: check the worst ones "
            "below, exclude misleading variables, and retrain.",
            false_alarms=false_alarms(rate.value, len(f.evaluated)),
            allowed=Styled(budget, ".3g"),
        )
    right = f.precision.with_avoided
    if right.value is not None and right.value < GOOD_PRECISION and not right.doubt:
        yield translatable(
            "Only {cases} were right: try other limits in the preview, narrow the condition, or "
            "add variables.",
            cases=right.basis,
        )
    if f.missed and f.horizon_s == 0:
        yield translatable_count(
            "{missed} of {number} bad unit was not found: look for common features in the list "
            "below.",
            "{missed} of {number} bad units were not found: look for common features in the list "
            "below.",
            len(f.problems),
            missed=len(f.missed),
        )
    elif f.missed:
        yield translatable_count(
            "{missed} of {number} problem came unannounced: look for common features in the list "
            "below.",
            "{missed} of {number} problems came unannounced: look for common features in the list "
            "below.",
            len(f.problems),
            missed=len(f.missed),
        )
    late = max(f.too_late, f.announced_late)
    if late:
        yield translatable_count(
            "{number} warning came too late to act: lengthen the horizon, or evaluate more often.",
            "{number} warnings came too late to act: lengthen the horizon, or evaluate more often.",
            late,
        )


def _model(f: ReportMetrics) -> Iterator[str]:
    rows = f.rows
    if rows is not None and _is_at_least(rows.persistence_ap, rows.ap_beside_persistence, rows):
        yield translatable(
            "The model ranks no better than the last known value alone: give it variables that "
            "lead the problem."
        )
    if rows is not None and _is_at_least(rows.brier, rows.brier_of_prevalence, rows):
        yield translatable(
            "The probabilities are no better than the mean alone: do not read the score as a risk; "
            "retrain."
        )
    if f.models and f.models[-1].provisional:
        yield translatable(
            "Model version {version} is provisional. {why}",
            version=f.models[-1].version,
            why=f.models[-1].summary or f.models[-1].reason,
        )


def _is_at_least(value: float | None, other: float | None, rows: RowMetrics) -> bool:
    return not rows.doubt and value is not None and other is not None and value >= other


def _people(f: ReportMetrics) -> Iterator[str]:
    response = f.verdicts.response
    against = f.verdicts.against_data
    if response.value is not None and response.value < FEW_ANSWERS and not response.doubt:
        few = (
            template(
                "Operators answered only {cases}: ask for verdicts, because the next training "
                "learns from them."
            )
            if f.trained
            else template(
                "Operators answered only {cases}: ask for verdicts, because they decide whether an "
                "alarm was right."
            )
        )
        yield translatable(few, cases=response.basis)
    if against.value is not None and against.value > MUCH_DISAGREEMENT and not against.doubt:
        yield translatable(
            "Operators contradict the data ({cases}): check that the definition states the "
            "problem they mean.",
            cases=against.basis,
        )
