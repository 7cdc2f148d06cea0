"""Explain why an alarm was raised or not: from stored data, and from a new evaluation of the readings around the instant."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from alerting.definitions.assets import Asset
from alerting.definitions.matching import matching_assets
from alerting.definitions.model import Revision
from alerting.definitions.revisions import definition_document, in_force
from alerting.definitions.wording.spoken import spoken_duration, spoken_share
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.reconciliation import LATE_DATA
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.kinds.threshold.definition import ThresholdDefinition
from alerting.learning.features.build import build_features
from alerting.operators.shelves import Shelf, describe_shelf
from alerting.ports import Platform
from alerting.readings.history import History, from_millis, to_millis
from alerting.readings.sample_quality import NO_INSTANTS, Instants
from alerting.recommendation.contributions import contributions
from alerting.usecases.definitions.sync import require_revision
from alerting.usecases.definitions.versions import first_instant, segments
from alerting.usecases.episodes.store import NotFound
from alerting.usecases.episodes.suppression import line_condition
from alerting.usecases.evaluation.evaluate_target import (
    ModelCache,
    TargetEvaluation,
    evaluate_classifier,
    evaluate_threshold,
    stored_series,
)

Verdict = Literal["open", "pending", "normal", "unknown", "not evaluated"]
_LOOK_BACK = timedelta(hours=1)
_LONGEST_LOOK_BACK = timedelta(days=2)
_LIMITS = (
    *("above", "below", "clear_above_at", "clear_below_at", "outside", "inside", "equals", "levels", "rate_per", "at_least"),
    *("clear_inside", "clear_outside", "for", "clear_for"),
)


@dataclass(frozen=True)
class Why:
    """The answer in one sentence, the facts behind it, and the values for programs.

    `verdict`: the evaluation of the readings at that instant. `episode`: the stored one that covers it.
    `pending_since`, `due_at`: for a pending condition, since when it is true, and when it will have been true long enough.
    """

    definition: str
    asset: str
    at: datetime
    verdict: Verdict
    answer: str
    facts: tuple[str, ...] = ()
    value: float | None = None
    limit: float | None = None
    pending_since: datetime | None = None
    due_at: datetime | None = None
    unknown: str | None = None
    score: float | None = None
    threshold: float | None = None
    model_version: int | None = None
    episode: str | None = None
    shelved: bool = False


def why(platform: Platform, name: str, asset_name: str, at: datetime) -> Why:
    """Explain a definition on an asset at an instant. Writes nothing. Raises UserError for an unknown name."""
    latest = require_revision(platform, name)
    asset = platform.assets.get(asset_name)
    if asset is None:
        raise NotFound(f"there is no asset {asset_name!r}")
    found = _evaluated_or_why_not(platform, latest, asset, at)
    covering = _covering(platform, name, asset_name, at)
    models = _shelf_at(platform, name, asset_name, at)
    muted = [f"no notification is sent: {describe_shelf(models)}"] if models else []
    facts = (*found.facts, *_record(platform, found, covering, at), *muted)
    facts += _describe_suppression(platform, latest, asset_name, at)
    return replace(found, facts=facts, episode=covering.id if covering else None, shelved=models is not None)


def _describe_suppression(platform: Platform, latest: Revision, asset: str, at: datetime) -> tuple[str, ...]:
    """Return sentences on the suppression at that instant, and on the states that cannot be known."""
    condition = line_condition(platform, latest.definition, asset, at)
    reasons = [f"no notification is sent: suppressed by design: {condition.reason}"] if condition.suppressed else []
    unknown = () if condition.suppressed else condition.unknown
    return (*reasons, *(f"an unknown state does not suppress it: {reason}" for reason in unknown))


def _evaluated_or_why_not(platform: Platform, latest: Revision, asset: Asset, at: datetime) -> Why:
    revisions = platform.definitions.revisions(latest.name)
    current, started = in_force(revisions, at), first_instant(revisions)
    blank = Why(latest.name, asset.name, at, "not evaluated", "")
    if started is None or at < started or current is None:
        since = "it was never put in service" if started is None else f"it is in service since {started.isoformat()}"
        return replace(blank, answer=f"it was not evaluated at {at.isoformat()}: {since}")
    if current.definition.state != "active":
        return replace(blank, answer=f"it was not evaluated: revision {current.number} is {current.definition.state}")
    if asset not in matching_assets(current.definition, platform.assets.all()):
        patterns = ", ".join(current.definition.assets)
        return replace(blank, answer=f"revision {current.number} does not apply to {asset.name}; it applies to {patterns}")
    if isinstance(current.definition, ThresholdDefinition):
        return _why_threshold(platform, revisions, current.definition, asset, at, blank)
    assert isinstance(current.definition, ClassifierDefinition)  # noqa: S101
    return _why_model(platform, revisions, current.definition, asset, at, blank)


# --- threshold ----------------------------------------------------------------------------------------------------------


def _why_threshold(
    platform: Platform, revisions: Sequence[Revision], definition: ThresholdDefinition, asset: Asset, at: datetime, blank: Why
) -> Why:
    evaluated = _evaluate_threshold(platform, revisions, definition, asset, at)
    history = platform.readings.load(asset, at - definition.stale_after - _LONGEST_LOOK_BACK, at, [definition.variable])
    state, last = evaluated.state, _last_reading(definition, history)
    facts = [f"limits: {_limits(definition)}", *_describe_sample(definition.variable, last, history)]
    value = last[1] if last is not None and isinstance(last[1], float) else None
    found = replace(blank, value=value, limit=_limit(definition, value), unknown=evaluated.unknown, facts=tuple(facts))
    if evaluated.unknown:
        text = f"cannot tell: {evaluated.unknown}"
        return replace(found, verdict="unknown", answer=text + ("; the open episode stays open" if state.raised_at else ""))
    if state.raised_at is not None:
        answer = f"open since {state.raised_at.isoformat()}" + _clearing(definition, state)
        return replace(found, verdict="open", answer=answer)
    if state.pending_since is not None:
        due = state.pending_since + definition.hold
        answer = (
            f"not raised: beyond its limit since {state.pending_since.isoformat()}, which must hold for "
            f"{spoken_duration(definition.hold)}; due at {due.isoformat()}"
        )
        return replace(found, verdict="pending", answer=answer, pending_since=state.pending_since, due_at=due)
    return replace(found, verdict="normal", answer=f"not raised: {definition.variable} is within its limits")


def _evaluate_threshold(
    platform: Platform, revisions: Sequence[Revision], definition: ThresholdDefinition, asset: Asset, at: datetime
) -> TargetEvaluation:
    """Evaluate up to the instant: from the stored state if that lies before it, else from long enough before."""
    stored = platform.states.load(definition.name, [asset.name]).get(asset.name)
    if stored is not None and stored.watermark <= at:
        start = stored
    else:
        before = definition.hold + definition.clear_for + definition.stale_after + _LOOK_BACK
        covering = _covering(platform, definition.name, asset.name, at)
        begin = at - before if covering is None else min(at - before, covering.raised_at - before)
        start = ConditionState(watermark=max(begin, at - before - _LONGEST_LOOK_BACK))
    if start.watermark >= at:
        return TargetEvaluation(start, unknown=start.unknown_reason)
    parts = segments(revisions, platform.decisions.of(definition.name), start.watermark, at)
    return evaluate_threshold(stored_series(platform.readings, asset), asset, start, parts)


def _last_reading(definition: ThresholdDefinition, history: History) -> tuple[datetime, float | str] | None:
    """Return the last value of a history with its instant, None without one."""
    if definition.variable not in history.readings:
        return None
    values = history.readings[definition.variable].dropna()
    if not len(values):
        return None
    value = values.iloc[-1]
    return values.index[-1].to_pydatetime(), value if isinstance(value, str) else float(value)


def _describe_sample(variable: str, last: tuple[datetime, float | str] | None, history: History) -> Iterator[str]:
    """Yield sentences on the last value that counts, and on a sample of bad quality after it."""
    bad = history.doubts.bad.get(variable, NO_INSTANTS)
    if last is not None:
        number = f"{last[1]:g}" if isinstance(last[1], float) else last[1]
        uncertain = to_millis(last[0]) in history.doubts.uncertain.get(variable, NO_INSTANTS)
        yield f"{variable} was {number} at {last[0].isoformat()}" + (", of uncertain quality" if uncertain else "")
    if len(bad) and (last is None or bad[-1] > to_millis(last[0])):
        newest = from_millis(bad[-1]).isoformat()
        yield f"{variable} is of bad quality since {_first_bad(bad, last).isoformat()}; its last sample is of {newest}"


def _first_bad(bad: Instants, last: tuple[datetime, float | str] | None) -> datetime:
    """Return the instant of the first sample of bad quality after the last value."""
    return from_millis(bad[0 if last is None else int(np.searchsorted(bad, to_millis(last[0]), side="right"))])


def _limit(definition: ThresholdDefinition, value: float | None) -> float | None:
    """Return the limit with which a number is compared: of two, the nearer one."""
    above, below = (x if isinstance(x, int | float) else None for x in (definition.above, definition.below))
    if above is None or below is None or value is None:
        return below if above is None else above
    return below if value - below < above - value else above


def _limits(definition: ThresholdDefinition) -> str:
    """Return the limits as the definition writes them."""
    document = definition_document(definition)
    return ", ".join(f"{name} {document[name]}" for name in document if name in _LIMITS)


def _clearing(definition: ThresholdDefinition, state: ConditionState) -> str:
    if state.clearing_since is None:
        return ""
    return f"; clearing since {state.clearing_since.isoformat()}, which must hold for {spoken_duration(definition.clear_for)}"


# --- models -------------------------------------------------------------------------------------------------------------


def _why_model(
    platform: Platform, revisions: Sequence[Revision], definition: ClassifierDefinition, asset: Asset, at: datetime, blank: Why
) -> Why:
    models, decisions = ModelCache(platform), platform.decisions.of(definition.name)
    begin = at - definition.gap - definition.horizon - definition.stride
    parts = segments(revisions, decisions, begin, at)
    evaluated = evaluate_classifier(platform, models, asset, ConditionState(watermark=begin), parts)
    version = parts[-1].model_version
    scored = next((s for s in reversed(evaluated.scores) if len(s.at)), None)
    has_score = scored is not None and scored.score[-1] == scored.score[-1]
    if evaluated.unknown or scored is None or not has_score:
        reason = evaluated.unknown or "no instant of the stride lies in the interval"
        return replace(blank, verdict="unknown", answer=f"cannot tell: {reason}", unknown=reason, model_version=version)
    score, when = float(scored.score[-1]), scored.at[-1:]
    facts = [f"model version {scored.model_version} gives the risk {score:.3f}, its threshold is {scored.threshold:.3f}"]
    if evaluated.history is not None:
        model = models.get(definition.name, scored.model_version)
        row = build_features(model.plan, evaluated.history, when)
        facts += [c.message for c in contributions(model, row, asset)[:3]]
    found = replace(blank, score=score, threshold=scored.threshold, model_version=scored.model_version, facts=tuple(facts))
    risk = f"the risk is {spoken_share(score)} (alarm at {spoken_share(scored.threshold)})"
    if score >= scored.threshold:
        return replace(found, verdict="open", answer=risk)
    answer = f"not raised: {risk}"
    return replace(found, verdict="normal", answer=answer)


# --- stored data --------------------------------------------------------------------------------------------------------


def _covering(platform: Platform, definition: str, asset: str, at: datetime) -> Episode | None:
    """Return the episode that was open at the instant; a live one takes precedence over a backfilled one."""
    until = at + timedelta(milliseconds=1)
    near = platform.episodes.find(definition, asset, end=until, limit=20)
    found = [e for e in near if not e.withdrawn and (e.closed_at is None or at < e.closed_at)]
    return min(found, key=lambda e: e.backfilled, default=None)


def _record(platform: Platform, found: Why, covering: Episode | None, at: datetime) -> list[str]:
    """Return sentences on stored episodes and notifications, and on their differences from the new evaluation."""
    lines = []
    if covering is not None:
        lines.append(f"episode {covering.id} was raised at {covering.raised_at.isoformat()}: {covering.evaluation.reason}")
        sent = platform.notifications.of_episodes([covering.id])[covering.id]
        notified = [f"{n.channel} ({n.status})" for n in sent if n.transition != "closed"]
        lines.append(f"notified: {', '.join(notified)}" if notified else "no notification was sent")
        lines += [t.reason for t in covering.transitions if t.reason.startswith(LATE_DATA)]
        if covering.late_data_status == "found_late":
            lines.append(f"it was found late: late data showed it at {covering.detected_at.isoformat()}")
        if covering.acknowledged:
            lines.append(f"acknowledged by {covering.acknowledged.actor} at {covering.acknowledged.at.isoformat()}")
    elif found.verdict == "open":
        lines.append("no episode covers this instant: the readings came after its evaluation, or it is not evaluated yet")
    if covering is not None and found.verdict == "normal" and covering.valid_until is None:
        lines.append("the readings known now would not have raised it: some of them came later")
    return lines + _progress(platform, found, at)


def _progress(platform: Platform, found: Why, at: datetime) -> list[str]:
    state = platform.states.load(found.definition, [found.asset]).get(found.asset)
    asset = platform.assets.get(found.asset)
    if state is None:
        return ["it is not evaluated yet: run `alerting evaluate`"]
    waits = require_revision(platform, found.definition).definition.latency(asset) if asset else timedelta(0)
    behind = "" if state.watermark >= at else ", which is before this instant"
    lines = [f"evaluated up to {state.watermark.isoformat()}{behind}"]
    if waits:
        lines.append(f"evaluation waits {spoken_duration(waits)} for readings under way (latency)")
    requested = platform.arrivals.requests([found.definition]).get((found.definition, found.asset))
    if requested is not None:
        lines.append(f"the next evaluation evaluates it again with late data, from {requested.start.isoformat()} on")
    if state.unknown_count:
        lines.append(f"the last {state.unknown_count} evaluations ended unknown: {state.unknown_reason}")
    return lines


def _shelf_at(platform: Platform, definition: str, asset: str, at: datetime) -> Shelf | None:
    def ends(models: Shelf) -> datetime | None:
        return min((t for t in (models.ended_at, models.until) if t is not None), default=None)

    shelves = platform.shelves.of(definition, asset)
    return next((s for s in shelves if s.since <= at and ((end := ends(s)) is None or at < end)), None)
