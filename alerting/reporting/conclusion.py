"""The conclusion of a report: whether operators can trust the alert, and what to change."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from alerting.definitions.wording.spoken import spoken_false_alarms
from alerting.reporting.definition.retune import Retune
from alerting.reporting.estimates import LEAST_EVENTS, Estimate
from alerting.reporting.messages import number, percent, seconds
from alerting.reporting.metrics import ReportMetrics
from alerting.reporting.scores import RowMetrics

Trust = Literal["yes", "with_care", "no", "cannot_tell"]
GOOD_RECALL = 0.7
GOOD_PRECISION = 0.5
FEW_ANSWERS = 0.5
MANY_UNDETERMINED = 0.3
MUCH_DISAGREEMENT = 0.25
TRUST_MESSAGES: dict[Trust, str] = {
    "yes": "Trust it",
    "with_care": "Use it with care",
    "no": "Do not rely on it",
    "cannot_tell": "Too early for a conclusion",
}


@dataclass(frozen=True)
class Judgement:
    """Conclusion on the alert: trust, the numbers (`sentence`), the decision rule (`rule`), and the actions."""

    trust: Trust
    sentence: str
    rule: str
    actions: tuple[str, ...]


@dataclass(frozen=True)
class _Demand:
    """One demand on the alert. `description`: its description, e.g. "at least 50 % of the episodes with an outcome right"."""

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
    """Decide by fixed demands, all stated in `rule`; with a demand that cannot be checked the conclusion is "cannot tell".

    Only if every demand is met may the list of actions be empty.
    """
    demands = list(_demands(metrics))
    trust = _trust(demands)
    actions = tuple(_actions(metrics)) or tuple(_about_demands(demands))
    return Judgement(trust, f"{TRUST_MESSAGES[trust]}: {_summary(metrics)}.", _rule(demands), actions)


def _demands(f: ReportMetrics) -> Iterator[_Demand]:
    if f.horizon_s is not None:
        description = f"at least {percent(GOOD_RECALL)} of the {_found(f)}"
        yield _Demand(description, f.event_recall, GOOD_RECALL, at_least=True)
    description = f"at least {percent(GOOD_PRECISION)} of the episodes with an outcome right"
    yield _Demand(description, f.precision.with_avoided, GOOD_PRECISION, at_least=True)
    if f.false_alarm_budget is not None:
        description = f"at most {spoken_false_alarms(f.false_alarm_budget, len(f.evaluated))}"
        yield _Demand(description, f.false_alarms, f.false_alarm_budget, at_least=False)


def _about_demands(demands: list[_Demand]) -> Iterator[str]:
    """Describe the demands that are not met, and those that cannot be checked yet."""
    for demand in demands:
        if demand.met is False:
            yield f"Not met: {demand.description} ({demand.estimate.basis})."
        elif demand.met is None:
            why = demand.estimate.doubt or demand.estimate.basis
            yield f"Wait, or choose a longer period. It cannot be checked yet: {demand.description} ({why})."


def _trust(demands: list[_Demand]) -> Trust:
    if any(d.surely_missed for d in demands):
        return "no"
    if any(d.met is False for d in demands):
        return "with_care"
    return "cannot_tell" if any(d.met is None for d in demands) else "yes"


def _rule(demands: list[_Demand]) -> str:
    return (
        f"Trusted means: {', '.join(d.description for d in demands)}. "
        f"Do not rely on it: the whole 95 % interval misses one of these. Cannot tell: too few cases to check one of them."
    )


def _summary(f: ReportMetrics) -> str:
    parts = []
    if f.horizon_s is not None:
        parts.append(_describe_problems(f))
    determined = f.precision.with_avoided
    parts.append(f"{determined.basis} were right" if determined.value is not None else "no episode has an outcome")
    if f.false_alarms.value is not None and not f.false_alarms.doubt:
        parts.append(spoken_false_alarms(f.false_alarms.value, len(f.evaluated)))
    return "; ".join(parts)


def _found(f: ReportMetrics) -> str:
    return "bad units found" if f.horizon_s == 0 else "problems announced in time"


def _describe_problems(f: ReportMetrics) -> str:
    if not f.evaluated:
        return "the alert was not evaluated in this period"
    total, missed = len(f.problems), len(f.missed)
    if not total:
        return "no problem occurred while the alert was evaluated"
    message = f"{total - missed} of {total} {_found(f)}"
    return message + (f", {seconds(f.lead_time.value)} ahead in the median" if f.lead_time.value is not None else "")


def _actions(f: ReportMetrics) -> Iterator[str]:
    """List the actions from the most urgent to the least; each names the number that calls for it."""
    yield from _too_little(f)
    yield from _alarms(f)
    yield from _model(f)
    yield from _people(f)


def _too_little(f: ReportMetrics) -> Iterator[str]:
    if not f.evaluated:
        yield "No instant was evaluated: check that the definition is active, readings arrive, and a model is in service."
    elif f.horizon_s is not None and len(f.problems) < LEAST_EVENTS:
        yield f"Choose a longer period: {_too_few(len(f.problems))} for a conclusion."
    undetermined = f.outcomes["undetermined"] / len(f.episodes) if f.episodes else 0.0
    if f.horizon_s is None and undetermined:
        yield "Give the definition a problem, or ask operators for verdicts: without either no episode gets an outcome."
    elif undetermined > MANY_UNDETERMINED:
        reason = next(iter(f.undetermined))
        yield f"{percent(undetermined)} of the episodes are undetermined, mostly because {reason}: clear these up first."


def _too_few(problems: int) -> str:
    if not problems:
        return "no problem occurred, which is too little"
    return "1 problem is too few" if problems == 1 else f"{problems} problems are too few"


def _alarms(f: ReportMetrics) -> Iterator[str]:
    rate, budget = f.false_alarms, f.false_alarm_budget
    if budget is not None and rate.value is not None and rate.value > budget and not rate.doubt:
        yield (
            f"{spoken_false_alarms(rate.value, len(f.evaluated))}, where {number(budget)} a week and asset are allowed: "
            "check the worst ones below, exclude misleading variables, and retrain."
        )
    right = f.precision.with_avoided
    if right.value is not None and right.value < GOOD_PRECISION and not right.doubt:
        yield f"Only {right.basis} were right: {_instead(f.retune)}."
    if f.missed:
        few = len(f.problems) == 1
        found = "bad unit was not found" if few else "bad units were not found"
        missed = found if f.horizon_s == 0 else f"{'problem' if few else 'problems'} came unannounced"
        yield f"{len(f.missed)} of {len(f.problems)} {missed}: look for common features in the list below."
    late = max(f.too_late, sum(lead <= (f.gap_s or 0) for lead in f.lead_times))
    if late:
        noun = "warning" if late == 1 else "warnings"
        yield f"{late} {noun} came too late to act: lengthen the horizon, or evaluate more often."


def _instead(retune: Retune | None) -> str:
    """Return what would make fewer alerts wrong: the limit that halves the false alarms, if it keeps half of what was right."""
    if retune is None or 2 * retune.right_then < retune.right:
        return "no single limit halves the false alarms without losing what was right; narrow the condition, or add variables"
    return (
        f"with {retune.change} instead of {retune.present:.4g}, {retune.false_alarms_then} of {retune.false_alarms} false alarms "
        f"would have remained, and {retune.right_then} of {retune.right} that were right"
    )


def _model(f: ReportMetrics) -> Iterator[str]:
    if f.rows is not None and _no_better_than_persistence(f.rows):
        yield "The model ranks no better than the last known value alone: give it variables that lead the problem."
    if f.rows is not None and _no_better_than_the_mean(f.rows):
        yield "The probabilities are no better than the mean alone: do not read the score as a risk; retrain."
    if f.models and f.models[-1].provisional:
        yield f"Model version {f.models[-1].version} is provisional: too little evidence to compare it with another so far."


def _no_better_than_persistence(rows: RowMetrics) -> bool:
    model, persistence = rows.ap_beside_persistence, rows.persistence_ap
    return not rows.doubt and model is not None and persistence is not None and model <= persistence


def _no_better_than_the_mean(rows: RowMetrics) -> bool:
    model, mean = rows.brier, rows.brier_of_prevalence
    return not rows.doubt and model is not None and mean is not None and model >= mean


def _people(f: ReportMetrics) -> Iterator[str]:
    response, against = f.verdicts.response, f.verdicts.against_data
    if response.value is not None and response.value < FEW_ANSWERS and not response.doubt:
        yield f"Operators answered only {response.basis}: ask for verdicts, because the next training learns from them."
    if against.value is not None and against.value > MUCH_DISAGREEMENT and not against.doubt:
        yield f"Operators contradict the data ({against.basis}): check that the definition states the problem they mean."
