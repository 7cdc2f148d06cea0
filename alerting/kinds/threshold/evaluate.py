"""Evaluate a threshold over one interval: from readings to steps of episodes."""

from dataclasses import replace
from datetime import datetime, timedelta

from alerting.definitions.assets import Asset
from alerting.definitions.fields.conditions import Combination, Conditions
from alerting.definitions.limits import severities
from alerting.definitions.model import Condition
from alerting.definitions.wording.language import translatable
from alerting.detection.carried import Carried
from alerting.detection.conditions import (
    all_series,
    combine_carried,
    conditions_that_count,
    evaluate_combination,
    longest_lookback,
    search_from,
    severity_of_missing,
    under_another_revision,
)
from alerting.detection.evaluation import Evaluation
from alerting.detection.learned_limits import LearnedLimits
from alerting.detection.messages.condition_messages import (
    combined_message,
    fact_message,
    limit_message,
    unknown_message,
)
from alerting.detection.threshold import evaluate_series, lookback
from alerting.episodes.lifecycle import Step, advance
from alerting.kinds.protocol.evaluation import (
    EvaluationSources,
    Raise,
    RaiseEvidence,
    TargetEvaluation,
    VersionInterval,
)
from alerting.readings.series import Series, series_of


def evaluate_threshold_interval(
    definition: Condition,
    asset: Asset,
    series: Series,
    result: TargetEvaluation,
    part: VersionInterval,
    learned: LearnedLimits | None = None,
) -> TargetEvaluation:
    """Evaluate one part. `series` begins `lookback(definition)` before it."""
    before = result.state
    carried = before.carried
    if carried is not None and part.is_new:
        [carried] = under_another_revision([definition], carried)
    evaluated = evaluate_series(
        definition,
        asset,
        series.ts,
        series.values,
        carried,
        part.start,
        part.end,
        series.bad,
        learned,
    )
    after, steps = advance(
        before, evaluated.intervals, definition.hold, definition.clear_for, severities(definition)
    )
    result.steps.extend((step, part) for step in steps)
    for step in steps:
        reading = evaluated.reading_at(step.at)
        if step.kind == "raised":
            result.raises[step.at] = Raise(
                reading.evaluated if reading else None, reading, model_version=part.model_version
            )
        elif step.kind == "severity" and reading is not None:
            result.changes[step.at] = limit_message(definition, asset, reading, step.severity)[0]
    last = evaluated.intervals[-1]
    reading = evaluated.reading_at(last.start)
    return replace(
        result,
        state=replace(after, watermark=part.end, carried=evaluated.carried),
        unknown=(
            fact_message(definition, asset, last.fact, reading)
            if last.fact and last.status == "unknown"
            else None
        ),
        learned=learned,
    )


def evaluate_combined_interval(
    definition: Conditions,
    combination: Combination,
    sources: EvaluationSources,
    result: TargetEvaluation,
    part: VersionInterval,
    learned: LearnedLimits | None = None,
) -> TargetEvaluation:
    """Evaluate one part under conditions of several variables, with carried readings."""
    asset = sources.asset
    before = result.state
    history = sources.shared.load(
        asset,
        part.start - longest_lookback(combination),
        part.end,
        {leaf.variable for leaf in combination.leaves()},
    )
    series = all_series(combination, history)
    severity = severity_of_missing(definition)
    evaluated = evaluate_combination(
        combination, asset, series, before.carried, part.start, part.end, severity, learned
    )
    after, steps = advance(
        before, evaluated.intervals, definition.hold, definition.clear_for, severities(definition)
    )
    result.steps.extend((step, part) for step in steps)
    for step in steps:
        if step.kind == "raised":
            found = evaluated.conditions_at(step.at)
            reason = combined_message(
                definition,
                asset,
                conditions_that_count(combination, found),
                evaluated.is_missing(step.at),
            )
            inputs = {
                one.condition.variable: None if one.reading is None else one.reading.value
                for one in found
            }
            content = RaiseEvidence(Evaluation(step.at, "triggered", reason), inputs=inputs)
            result.raises[step.at] = Raise(None, content=content, model_version=part.model_version)
    last = evaluated.intervals[-1]
    unknown = (
        unknown_message(asset, evaluated.conditions_at(last.start))
        if last.status == "unknown"
        else None
    )
    return replace(
        result,
        state=replace(after, watermark=part.end, carried=evaluated.carried),
        unknown=unknown,
        learned=learned,
    )


def readings_carried_into(
    part: VersionInterval,
    combination: Combination,
    sources: EvaluationSources,
    carried: Carried | None,
) -> Carried:
    """Return each condition's last reading before a part, at first the last known values."""
    if carried is not None and carried.parts and not part.is_new:
        return carried
    leaves = list(combination.leaves())
    known = [None] * len(leaves) if carried is None else under_another_revision(leaves, carried)
    return combine_carried(
        (_last_value(*one, sources, part.start) for one in zip(leaves, known, strict=True)),
        part.start,
    )


def _last_value(
    condition: Condition, carried: Carried | None, sources: EvaluationSources, at: datetime
) -> Carried | None:
    """Return the carried value, or a bad one, else the last recent reading before `at`."""
    if carried is not None and (carried.value is not None or carried.bad):
        return carried
    asset = sources.asset
    name = condition.variable
    newest = sources.shared.newest_values(asset, {name: search_from(condition, at)}, at)
    if newest.empty:
        return carried
    before = newest.index[-1].to_pydatetime() - timedelta(milliseconds=1)
    history = sources.platform.readings.load(asset, before - lookback(condition), at, [name])
    series = series_of(condition, history)
    return evaluate_series(
        condition, asset, series.ts, series.values, None, before, at, series.bad
    ).carried


def note_revision(result: TargetEvaluation, part: VersionInterval) -> None:
    """Record on an open episode that a new revision evaluates it from here on."""
    raised = result.state.raised_at
    if raised is not None and part.revision is not None and part.is_new:
        reason = translatable(
            "revision {number} evaluates it from here on ({reason})",
            number=str(part.revision.number),
            reason=part.revision.reason,
        )
        result.steps.append((Step("revised", part.start, raised, reason), part))
