"""The conclusion of a report: whether operators can trust the alert, and what to change; and the
sentences at its head: problems, false alarms, the model, what is known."""

from collections import Counter
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import Literal

from alerting.definitions.wording.language import (
    ENGLISH,
    Language,
    Styled,
    joined,
    template,
    templates,
    translatable,
    translatable_count,
)
from alerting.learning.predicted_and_measured import LEAST_SAMPLES
from alerting.learning.score_metrics import wilson_interval
from alerting.reporting.definition.decision_reason import DecisionMade
from alerting.reporting.definition.period_data import (
    LEAST_COVERAGE,
    ValueMetrics,
    describe_value,
    value_trust,
)
from alerting.reporting.definition.problem_sentences import describe_problems, found_late
from alerting.reporting.definition.report_metrics import ReportMetrics
from alerting.reporting.estimates import LEAST_EVENTS, Estimate, RowMetrics
from alerting.reporting.phrases import false_alarms, seconds
from alerting.reporting.sentences import sentence

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


_DEMANDED = {
    "unit": template("at least {share} of the bad units found"),
    "found": template("at least {share} of the problems found"),
    "predicted": template("at least {share} of the problems announced in time"),
}
_MISSED = {
    "unit": templates(
        "{missed} of {number} bad unit was not found: look for common features in the list below.",
        "{missed} of {number} bad units were not found: look for common features in the list "
        "below.",
    ),
    "found": templates(
        "{missed} of {number} problem was not found: look for common features in the list below.",
        "{missed} of {number} problems were not found: look for common features in the list below.",
    ),
    "predicted": templates(
        "{missed} of {number} problem came unannounced: look for common features in the list "
        "below.",
        "{missed} of {number} problems came unannounced: look for common features in the list "
        "below.",
    ),
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
        value = self.estimate.certain_value
        if value is None:
            return None
        return value >= self.limit if self.at_least else value <= self.limit

    @property
    def surely_missed(self) -> bool:
        """Return whether the whole interval lies on the wrong side."""
        e = self.estimate
        if e.certain_value is None or e.low is None or e.high is None:
            return False
        return e.high < self.limit if self.at_least else e.low > self.limit


def conclude(metrics: ReportMetrics) -> Judgement:
    """Decide by fixed demands, stated in `rule`. Actions may be empty only if all are met."""
    if not metrics.has_alarm:
        return _conclude_values(metrics.values)
    demands = _demands(metrics)
    trust = _trust(demands)
    tables = (_too_little, _alarms, _model, _people)
    actions = tuple(text for table in tables for holds, text in table(metrics) if holds)
    rule = translatable(
        "Trusted means: {demands}. Do not rely on it: the whole 95 % interval misses one of these. "
        "Cannot tell: too few cases to check one of them.",
        demands=joined(", ", *(d.description for d in demands)),
    )
    return Judgement(
        trust,
        f"{TRUST_MESSAGES[trust]}: {_summary(metrics)}.",
        rule,
        actions or _about_demands(demands),
    )


def _conclude_values(values: ValueMetrics | None) -> Judgement:
    trust = value_trust(values)
    rule = translatable(
        "Trusted means: off by less than the last known value, nearer to the samples than their "
        "mean beyond chance, and at least {share} of the samples in the 90 % interval. Cannot "
        "tell: fewer than {number} samples came.",
        share=Styled(LEAST_COVERAGE, "share"),
        number=LEAST_SAMPLES,
    )
    none = translatable(
        "Check that the definition is active, readings arrive, and a model is in service."
    )
    advice = {
        "cannot_tell": translatable("Wait, or choose a longer period: too few samples came."),
        "no": translatable(
            "The last known value or the mean alone is as good: give the model variables that move "
            "with the value, and train again."
        ),
        "with_care": translatable("The intervals are too narrow: train again."),
        "yes": "",
    }
    action = none if values is None else advice[trust]
    text = f"{TRUST_MESSAGES[trust]}: {describe_value(values)}"
    return Judgement(trust, text, rule, tuple(filter(None, [action])))


def _demands(f: ReportMetrics) -> list[_Demand]:
    recall = translatable(_DEMANDED[_kind_of_problem(f)], share=Styled(GOOD_RECALL, "share"))
    right = translatable(
        "at least {share} of the alarms with an outcome right",
        share=Styled(GOOD_PRECISION, "share"),
    )
    most = f.false_alarm_budget or 0.0
    few = translatable("at most {false_alarms}", false_alarms=false_alarms(most, len(f.evaluated)))
    demands = (
        (f.horizon_s is not None, _Demand(recall, f.event_recall, GOOD_RECALL, at_least=True)),
        (True, _Demand(right, f.precision.with_avoided, GOOD_PRECISION, at_least=True)),
        (f.false_alarm_budget is not None, _Demand(few, f.false_alarms, most, at_least=False)),
    )
    return [demand for is_made, demand in demands if is_made]


def _about_demands(demands: list[_Demand]) -> tuple[str, ...]:
    return tuple(
        translatable(
            template("Not met: {demand} ({cases}).")
            if d.met is False
            else template(
                "Wait, or choose a longer period. It cannot be checked yet: {demand} ({cases})."
            ),
            demand=d.description,
            cases=d.estimate.basis if d.met is False else d.estimate.doubt or d.estimate.basis,
        )
        for d in demands
        if not d.met
    )


def _trust(demands: list[_Demand]) -> Trust:
    if any(d.surely_missed for d in demands):
        return "no"
    if any(d.met is False for d in demands):
        return "with_care"
    return "cannot_tell" if any(d.met is None for d in demands) else "yes"


def _summary(f: ReportMetrics) -> str:
    precision = f.precision.with_avoided
    rate = f.false_alarms.certain_value
    parts = (
        "" if f.horizon_s is None else describe_problems(f, ENGLISH).rstrip("."),
        "no alarm has an outcome" if precision.value is None else f"{precision.basis} were right",
        "" if rate is None else false_alarms(rate, len(f.evaluated)),
    )
    summary = "; ".join(filter(None, parts))
    return summary[:1].lower() + summary[1:]


# The tables of actions, the most urgent first: when each is advised, and its text.
_Actions = tuple[tuple[bool, str], ...]


def _too_little(f: ReportMetrics) -> _Actions:
    undetermined = f.outcomes["undetermined"] / len(f.episodes) if f.episodes else 0.0
    is_checked = f.horizon_s is not None
    is_blind = not f.evaluated and not f.unscored
    problems = len(f.problems)
    return (
        (
            not f.evaluated and f.unscored > 0,
            translatable(
                "Choose a later period: no scores of this one are stored any more, without which "
                "there are no rates."
            ),
        ),
        (
            is_blind and f.trained,
            translatable(
                "No instant was evaluated: check that the definition is active, readings arrive, "
                "and a model is in service."
            ),
        ),
        (
            is_blind and not f.trained,
            translatable(
                "No instant was evaluated: check that the definition is active, and readings "
                "arrive."
            ),
        ),
        (
            bool(f.evaluated) and is_checked and not problems,
            translatable(
                "Choose a longer period: no problem occurred, which is too little for a conclusion."
            ),
        ),
        (
            bool(f.evaluated) and is_checked and 0 < problems < LEAST_EVENTS,
            translatable_count(
                "Choose a longer period: {number} problem is too few for a conclusion.",
                "Choose a longer period: {number} problems are too few for a conclusion.",
                problems,
            ),
        ),
        (
            undetermined > 0 and not is_checked,
            translatable(
                "Give the definition a problem, or ask operators for verdicts: without either no "
                "alarm gets an outcome."
            ),
        ),
        (
            undetermined > MANY_UNDETERMINED and is_checked,
            translatable(
                "{share} of the alarms are undetermined, mostly because {reason}: clear these up "
                "first.",
                share=Styled(undetermined, "share"),
                reason=next(iter(f.undetermined), ""),
            ),
        ),
    )


def _alarms(f: ReportMetrics) -> _Actions:
    rate = f.false_alarms.certain_value or 0.0
    right = f.precision.with_avoided
    late = max(f.too_late, f.announced_late)
    missed = _MISSED[_kind_of_problem(f)]
    return (
        (
            f.false_alarm_budget is not None and rate > f.false_alarm_budget,
            translatable(
                "{false_alarms}, where {allowed} a week and asset are allowed: check the worst "
                "ones below, exclude misleading variables, and retrain.",
                false_alarms=false_alarms(rate, len(f.evaluated)),
                allowed=Styled(f.false_alarm_budget or 0.0, ".3g"),
            ),
        ),
        (
            right.certain_value is not None and right.certain_value < GOOD_PRECISION,
            translatable(
                "Only {cases} were right: try other limits in the preview, narrow the condition, "
                "or add variables.",
                cases=right.basis,
            ),
        ),
        (bool(f.missed), translatable_count(*missed, len(f.problems), missed=len(f.missed))),
        (
            late > 0 and not f.is_detector,
            translatable_count(
                "{number} warning came too late to act: lengthen the horizon, or evaluate more "
                "often.",
                "{number} warnings came too late to act: lengthen the horizon, or evaluate more "
                "often.",
                late,
            ),
        ),
    )


def _kind_of_problem(f: ReportMetrics) -> Literal["unit", "found", "predicted"]:
    return "unit" if f.horizon_s == 0 else "found" if f.is_detector else "predicted"


def _model(f: ReportMetrics) -> _Actions:
    rows = f.rows
    model = f.models[-1] if f.models else None
    return (
        (
            rows is not None
            and _is_at_least(rows.persistence_ap, rows.ap_beside_persistence, rows),
            translatable(
                "The model ranks no better than the last known value alone: give it variables that "
                "lead the problem."
            ),
        ),
        (
            rows is not None and _is_at_least(rows.brier, rows.brier_of_prevalence, rows),
            translatable(
                "The probabilities are no better than the mean alone: do not read the score as a "
                "risk; retrain."
            ),
        ),
        (
            model is not None and model.provisional,
            translatable(
                "Model version {version} is provisional. {why}",
                version=model.version if model else 0,
                why=(model.summary or model.reason) if model else "",
            ),
        ),
    )


def _is_at_least(value: float | None, rival: float | None, rows: RowMetrics) -> bool:
    return rows.is_certain and value is not None and rival is not None and value >= rival


def _people(f: ReportMetrics) -> _Actions:
    response = f.verdicts.response
    against = f.verdicts.against_data
    few = (
        template(
            "Operators answered only {cases}: ask for verdicts, because the next training learns "
            "from them."
        )
        if f.trained
        else template(
            "Operators answered only {cases}: ask for verdicts, because they decide whether an "
            "alarm was right."
        )
    )
    return (
        (
            response.certain_value is not None and response.certain_value < FEW_ANSWERS,
            translatable(few, cases=response.basis),
        ),
        (
            (against.certain_value or 0.0) > MUCH_DISAGREEMENT,
            translatable(
                "Operators contradict the data ({cases}): check that the definition states the "
                "problem they mean.",
                cases=against.basis,
            ),
        ),
    )


KNOWN_WITHIN = 0.1  # half of the interval of a share that counts as known
_BLOCK_HOURS = 4
_DAYS = (
    template("Mondays"),
    template("Tuesdays"),
    template("Wednesdays"),
    template("Thursdays"),
    template("Fridays"),
    template("Saturdays"),
    template("Sundays"),
)
_STATED_WHOLE = ("rollback", "refreshed", "gave_way")  # verdicts that their reason says


def head_sentences(m: ReportMetrics, language: Language = ENGLISH) -> tuple[str, ...]:
    """Return the sentences that matter first, with the reader's clock."""
    if not m.evaluated:
        return (describe_problems(m, language),)
    late = found_late(m)
    more = language.say_count(
        "{number} more was found while it lasted, typically after {after}.",
        "{number} more were found while they lasted, typically after {after}.",
        len(late),
        after=seconds(median(late or [0.0]), language),
    )
    has_value = m.values is not None or not m.has_alarm
    sentences = (
        language.translate(describe_value(m.values)) if has_value else "",
        describe_problems(m, language) if m.horizon_s is not None else "",
        more if late else "",
        _false_alarms(m, language) if m.has_alarm else "",
        _decision(m.model.decisions[-1], language) if m.model and m.model.decisions else "",
        how_much_is_known(m, language),
    )
    return tuple(filter(None, sentences))


def mail_sentences(
    metrics: ReportMetrics, judgement: Judgement, language: Language = ENGLISH
) -> tuple[str, ...]:
    """Return the sentences of a report for a mail: its conclusion, first sentences and first
    advice."""
    steps = (sentence(language.translate(action)) for action in judgement.actions[:1])
    return (
        sentence(language.translate(TRUST_MESSAGES[judgement.trust])),
        *head_sentences(metrics, language)[:3],
        *(language.say("The report advises: {step}", step=step) for step in steps),
    )


def _false_alarms(m: ReportMetrics, language: Language) -> str:
    wrong = m.outcomes["false_alarm"]
    total = len(m.episodes)
    undetermined = m.outcomes["undetermined"]
    if not total:
        return language.say("No alarm was raised.")
    if undetermined == total:
        forms = (
            templates(
                "{number} alarm was raised; no operator has said whether it was right.",
                "{number} alarms were raised; no operator has said whether they were right.",
            )
            if m.horizon_s is None
            else templates(
                "{number} alarm was raised; it has no outcome yet.",
                "{number} alarms were raised; none has an outcome yet.",
            )
        )
        return language.say_count(*forms, total)
    alarms = language.say_count("{number} false alarm", "{number} false alarms", wrong)
    none = language.say_count(
        "No false alarm was found among {number} alarm with an outcome.",
        "No false alarm was found among {number} alarms with an outcome.",
        total - undetermined,
    )
    first = f"{alarms}{_come_together(m, language)}." if wrong else none
    waiting = language.say_count(
        "{number} of {total} alarms has no outcome yet.",
        "{number} of {total} alarms have no outcome yet.",
        undetermined,
        total=total,
    )
    return f"{first} {waiting}" if undetermined else first


def _come_together(m: ReportMetrics, language: Language) -> str:
    """Return the time or asset at which most false alarms come: at least three, and half of all."""
    wrong = [e for e in m.episodes if e.outcome == "false_alarm"]
    local = [e.raised_at.astimezone(language.clock.zone) for e in wrong]
    least = max(3, len(wrong) / 2)
    [((day, block), times)] = Counter(
        (t.weekday(), t.hour // _BLOCK_HOURS) for t in local
    ).most_common(1)
    [(asset, on_asset)] = Counter(e.asset for e in wrong).most_common(1)
    if times >= least:
        return ", " + language.say(
            template("all of them on {day} between {start} and {end}")
            if times == len(wrong)
            else template("{times} of them on {day} between {start} and {end}"),
            times=times,
            day=language.translate(_DAYS[day]),
            start=f"{block * _BLOCK_HOURS:02}:00",
            end=f"{(block + 1) * _BLOCK_HOURS:02}:00",
        )
    if on_asset < least or len(m.evaluated) <= 2:
        return ""
    return ", " + language.say(
        template("all of them on {asset}")
        if on_asset == len(wrong)
        else template("{times} of them on {asset}"),
        times=on_asset,
        asset=m.asset_title(asset),
    )


def _decision(decision: DecisionMade, language: Language) -> str:
    usual = template("The new model was refused: {reason}")
    if decision.promoted:
        usual = (
            template("The first model, version {version}, went into service: {reason}")
            if decision.champion is None
            else template("A new model, version {version}, went into service: {reason}")
        )
    reason = sentence(language.translate(decision.summary or decision.reason))
    if decision.verdict in _STATED_WHOLE:
        return reason
    return language.say(usual, version=decision.version or 0, reason=reason)


def how_much_is_known(m: ReportMetrics, language: Language = ENGLISH) -> str:
    """Describe on how many cases a share rests, and in how many weeks it will be known.

    Empty if the share is known already, or without a case from which a rate follows.
    """
    problems = 0 if m.horizon_s is None else len(m.problems)
    right = m.outcomes["hit"] + m.outcomes["avoided"]
    predicted = (
        template("{count} of {total} found")
        if m.is_detector
        else template("{count} of {total} predicted")
    )
    shares = (
        (predicted, problems and problems - len(m.missed), problems),
        (template("{count} of {total} right"), right, len(m.episodes) - m.outcomes["undetermined"]),
    )
    cases = [language.say(text, count=n, total=total) for text, n, total in shares if total]
    calendar = (m.end - m.start).total_seconds() / (7 * 86_400)
    weeks = max(weeks_until_known(count, total, calendar) or 0 for _, count, total in shares)
    if not weeks or not m.has_alarm:
        return ""
    return language.say_count(
        "{cases}; after about {number} more week of data the shares are known within ten points.",
        "{cases}; after about {number} more weeks of data the shares are known within ten points.",
        weeks,
        cases=", ".join(cases),
    )


def weeks_until_known(count: int, total: int, weeks: float) -> int | None:
    """Return in how many weeks a share is known within ten points; None if never."""
    if total == 0 or weeks <= 0:
        return None
    for needed in range(total, 10_000):
        low, high = wilson_interval(count / total * needed, needed)
        if high - low <= 2 * KNOWN_WITHIN:
            return ceil((needed - total) / (total / weeks) - 1e-9)
    return None
