"""Evaluate a threshold over one interval of event time: from readings to steps of episodes, and what stands on a raise."""

from dataclasses import replace

from alerting.definitions.assets import Asset
from alerting.definitions.limits import severities
from alerting.definitions.model import Condition
from alerting.detection.messages import fact_message, limit_message
from alerting.detection.threshold import Series, evaluate_series
from alerting.episodes.lifecycle import Step, advance
from alerting.kinds.evaluation import Raise, TargetEvaluation, VersionInterval


def evaluate_threshold_interval(
    definition: Condition, asset: Asset, series: Series, result: TargetEvaluation, part: VersionInterval
) -> TargetEvaluation:
    """Evaluate one part under one definition. `series` begins `lookback(definition)` before the part."""
    before = result.state
    carried = before.carried
    if carried is not None and part.is_new:
        carried = carried.under_another_revision()
    evaluated = evaluate_series(definition, asset, series.ts, series.values, carried, part.start, part.end, series.bad)
    after, steps = advance(before, evaluated.intervals, definition.hold, definition.clear_for, severities(definition))
    result.steps.extend((step, part) for step in steps)
    for step in steps:
        reading = evaluated.reading_at(step.at)
        if step.kind == "raised":
            result.raises[step.at] = Raise(reading.evaluated if reading else None, reading=reading)
        elif step.kind == "severity" and reading is not None:
            result.changes[step.at] = limit_message(definition, asset, reading, step.severity)[0]
    last = evaluated.intervals[-1]
    reading = evaluated.reading_at(last.start)
    unknown = fact_message(definition, asset, last.fact, reading) if last.fact and last.status == "unknown" else None
    return replace(result, state=replace(after, watermark=part.end, carried=evaluated.carried), unknown=unknown)


def note_revision(result: TargetEvaluation, part: VersionInterval) -> None:
    """Record on an open episode that a new revision evaluates it from here on. The episode stays open."""
    raised = result.state.raised_at
    if raised is not None and part.revision is not None and part.is_new:
        reason = f"revision {part.revision.number} evaluates it from here on ({part.revision.reason})"
        result.steps.append((Step("revised", part.start, raised, reason), part))
