"""Explain an anomaly at an instant."""

from dataclasses import replace
from datetime import timedelta
from typing import cast

from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.anomaly.definition import AnomalyDefinition
from alerting.kinds.anomaly.evaluate import THRESHOLD
from alerting.kinds.anomaly.model import AnomalyModel
from alerting.kinds.protocol.kind import Why, WhyQuestion
from alerting.readings.history import from_millis

_BEFORE = timedelta(hours=1)
_LONGEST = timedelta(days=28)


def explain_instant(definition: AnomalyDefinition, question: WhyQuestion) -> Why:
    """Explain the newest score at an instant: the score, its threshold, and the sensors most
    responsible."""
    begin = (
        question.at if question.covering is None else min(question.at, question.covering.raised_at)
    )
    wait = max(
        definition.hold, definition.clear_for or timedelta(0), definition.stride or timedelta(0)
    )
    start = max(begin - wait - _BEFORE, question.at - _LONGEST)
    evaluated = question.evaluate(ConditionState(watermark=start))
    scored = next((rows for rows in reversed(evaluated.scores) if len(rows.at)), None)
    blank = question.blank
    state = evaluated.state
    facts: list[str] = []
    if scored is not None and scored.score[-1] == scored.score[-1]:
        fitted = cast("AnomalyModel", scored.model).by_asset[question.asset.name]
        score = float(scored.score[-1])
        facts.append(
            f"the score was {score:.3g} at {from_millis(int(scored.at[-1])).isoformat()}; 0 is "
            "usual, alarm at 1"
        )
        facts += [*scored.facts, *fitted.account]
        blank = replace(blank, score=score, threshold=THRESHOLD, model_version=scored.model_version)
    found = replace(blank, unknown=evaluated.unknown, facts=tuple(facts))
    if evaluated.unknown:
        open_text = "; the open episode stays open" if state.raised_at else ""
        return replace(
            found, verdict="unknown", answer=f"cannot tell: {evaluated.unknown}{open_text}"
        )
    if state.pending_since is not None:
        due = state.pending_since + definition.hold
        answer = f"not raised yet: unlike normal since {state.pending_since.isoformat()}"
        return replace(
            found, verdict="pending", answer=answer, pending_since=state.pending_since, due_at=due
        )
    if state.raised_at is None:
        return replace(
            found,
            verdict="normal",
            answer="not raised: the readings together are like normal operation",
        )
    clearing = (
        "" if state.clearing_since is None else f"; usual since {state.clearing_since.isoformat()}"
    )
    return replace(
        found, verdict="open", answer=f"open since {state.raised_at.isoformat()}{clearing}"
    )
