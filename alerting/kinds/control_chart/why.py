"""Explain a control chart at an instant."""

from dataclasses import replace
from datetime import timedelta
from typing import cast

from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.control_chart.definition import ControlChartDefinition
from alerting.kinds.control_chart.evaluate import usual_gap
from alerting.kinds.control_chart.model import ControlChartModel
from alerting.kinds.protocol.kind import Why, WhyQuestion
from alerting.readings.history import from_millis

_LOOK_BACK = timedelta(days=1)
_LONGEST = timedelta(days=28)
_GAPS = 100  # of ten readings each


def explain_instant(definition: ControlChartDefinition, question: WhyQuestion) -> Why:
    """Explain the newest point of the chart at an instant: its statistic, limits, and the rules
    with their points."""
    evaluated = question.evaluate(_start(definition, question))
    scored = next((rows for rows in reversed(evaluated.scores) if len(rows.at)), None)
    state = evaluated.state
    blank = question.blank
    facts: list[str] = []
    if scored is not None:
        fitted = cast("ControlChartModel", scored.model).by_asset[question.asset.name]
        limits = fitted.chart.limits
        value = float(scored.score[-1])
        facts.append(
            f"{fitted.chart.statistic} was {value:.6g} at "
            f"{from_millis(int(scored.at[-1])).isoformat()}; centre line "
            f"{limits.centre:.6g}, limits {limits.lower:.6g} and {limits.upper:.6g}"
        )
        facts += scored.facts
        facts += fitted.describe(question.asset.name)
        limit = limits.upper if value >= limits.centre else limits.lower
        blank = replace(blank, value=value, limit=limit, model_version=scored.model_version)
    found = replace(blank, unknown=evaluated.unknown, facts=tuple(facts))
    if evaluated.unknown:
        open_text = "; the open episode stays open" if state.raised_at else ""
        return replace(
            found, verdict="unknown", answer=f"cannot tell: {evaluated.unknown}{open_text}"
        )
    if state.raised_at is None:
        return replace(found, verdict="normal", answer="not raised: no rule signals")
    clearing = (
        ""
        if state.clearing_since is None
        else f"; no rule signals since {state.clearing_since.isoformat()}"
    )
    return replace(
        found, verdict="open", answer=f"open since {state.raised_at.isoformat()}{clearing}"
    )


def _start(definition: ControlChartDefinition, question: WhyQuestion) -> ConditionState:
    """Return the stored state if it lies before the instant, else a new one from long enough
    before."""
    at = question.at
    covering = question.covering
    stored = question.platform.states.load_many([(definition.name, question.asset.name)]).state(0)
    if stored is not None and stored.watermark <= at:
        return stored
    history = question.platform.readings.load(
        question.asset, at - _LOOK_BACK, at, [definition.variable]
    )
    before = max(_LOOK_BACK, _GAPS * usual_gap(definition, history))
    begin = at - before if covering is None else min(at, covering.raised_at) - before
    return ConditionState(watermark=max(begin, at - _LONGEST))
