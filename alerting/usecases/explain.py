"""Explain why an alarm was raised, or not: from stored data, and by evaluating again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerting.deferred import np, pd
from alerting.definitions.alert_definition import (
    ModelDefinition,
    Problem,
    Revision,
    matching_assets,
)
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import NotFound, UserError, require_order
from alerting.definitions.revisions import question_of
from alerting.definitions.wording.language import (
    Styled,
    in_english,
    joined,
    latency_note,
    measured,
    translatable,
    with_command,
)
from alerting.detection.problem_occurrences import problem_intervals
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.reconciliation import is_of_late_data
from alerting.kinds.protocol import TargetEvaluation, Why, WhyQuestion
from alerting.kinds.registry import kind_of
from alerting.operators.actions_and_mutes import describe_mute
from alerting.ports import EvaluationPorts, Readings, WantedHistory
from alerting.readings.history import History, from_millis, has_data, millis
from alerting.readings.variable_series import SKEW, Statistics, describe_doubtful, statistics_of
from alerting.usecases.definitions.next_steps import describe_missing_champion
from alerting.usecases.definitions.versions import (
    answer_at,
    first_instant,
    last_promotion,
    newest_of_target,
    require_revision,
    segments,
)
from alerting.usecases.episodes.mutes_and_suppression import line_condition, mutes_at
from alerting.usecases.episodes.outcomes import touched_by
from alerting.usecases.episodes.stored_episodes import require_asset
from alerting.usecases.evaluation.target import evaluate_parts
from alerting.usecases.model_registry import ModelCache
from alerting.usecases.scoring.remaining_lives import newest_lives
from alerting.usecases.training.due import describe_step

MOST_SELECTED = 3_000_000
"""Readings of a selected time at most: four weeks at one a second are 2.4 million."""
LONGEST_SELECTED = timedelta(days=366)
_NOT_SENT = "no notification is sent"


def why(platform: EvaluationPorts, name: str, asset_name: str, at: datetime) -> Why:
    """Explain the state of a definition on an asset at an instant. Raises UserError for an unknown
    name."""
    latest = require_revision(platform.definitions, name)
    asset = require_asset(platform.assets, asset_name)
    # a live episode rather than a backfilled one
    near = platform.episodes.find(name, asset_name, end=at + timedelta(milliseconds=1), limit=20)
    open_then = [e for e in near if not e.withdrawn and (e.closed_at is None or at < e.closed_at)]
    covering = min(open_then, key=lambda e: e.backfilled, default=None)
    explanation = _evaluate_or_explain(platform, latest, asset, at, covering)
    severity = covering.severity if covering else latest.definition.severity
    mutes = mutes_at(platform, at).find(name, asset_name, severity, at)[:1]
    muted = [joined(": ", _NOT_SENT, describe_mute(mute)) for mute in mutes]
    later = _readings_after_now(platform, latest, asset, at)
    record = _record(platform, explanation, covering, at)
    life = newest_lives(platform, latest.definition, at).get(asset_name)
    stored = [life.message] if life and life.message not in explanation.facts else []
    facts = (*explanation.facts, *stored, *record, *muted, *later)
    condition = line_condition(platform, latest.definition, asset_name, at)
    reasons = (
        [joined(": ", _NOT_SENT, "suppressed by design", condition.reason)]
        if condition.suppressed
        else []
    )
    unknown = () if condition.suppressed else condition.unknown
    block = None if covering is None else touched_by(platform, covering, at)
    facts += () if block is None else (block.message,)
    facts += tuple(reasons)
    facts += tuple(joined(": ", "an unknown state does not suppress it", why) for why in unknown)
    return replace(
        explanation,
        facts=facts,
        episode=covering.id if covering else None,
        muted=bool(mutes),
    )


def _readings_after_now(
    platform: EvaluationPorts, latest: Revision, asset: Asset, at: datetime
) -> list[str]:
    """Say how many readings of a definition's variables lie after now, for example because a clock
    is fast: no evaluation uses them yet. Say nothing if the explained instant is long ago."""
    now = platform.clock.now()
    newest = platform.readings.newest_readings(None, [asset.name]).get(asset.name)
    if newest is None or newest.ts <= now or at < now - timedelta(days=1):
        return []
    names = sorted(latest.definition.variables_read(asset) & asset.variables.keys())
    ahead = platform.readings.load(
        WantedHistory(asset, now, newest.ts, names, with_events=False)
    ).readings
    times = millis(pd.DatetimeIndex(ahead.dropna(how="all").index))
    return [
        in_english(
            "{doubt}: its clock may be fast; no evaluation uses them before their time", doubt=doubt
        )
        for doubt in describe_doubtful(times, now)
    ]


def _evaluate_or_explain(
    platform: EvaluationPorts,
    latest: Revision,
    asset: Asset,
    at: datetime,
    covering: Episode | None,
) -> Why:
    """Return the evaluation of a target at an instant, or the reason why it was not evaluated."""
    revisions = platform.definitions.revisions(latest.name)
    decisions = platform.decisions.for_definition(latest.name)
    answer = answer_at(revisions, decisions, at)
    started = first_instant(revisions)
    current = answer.revision
    blank = Why(latest.name, asset.name, at, "not evaluated", "")
    if started is None or at < started or current is None:
        since = (
            "it was never put in service"
            if started is None
            else in_english("it is in service since {started}", started=started)
        )
        why_not = in_english("it was not evaluated at {at}: {since}", at=at, since=since)
        return replace(blank, answer=why_not)
    if current.definition.state != "active":
        return replace(
            blank,
            answer=f"it was not evaluated: revision {current.number} is {current.definition.state}",
        )
    if asset not in matching_assets(current.definition, platform.assets.all()):
        patterns = ", ".join(current.definition.assets)
        return replace(
            blank,
            answer=(
                f"revision {current.number} does not apply to {asset.name}; it applies to "
                f"{patterns}"
            ),
        )
    models = ModelCache(platform)

    def evaluate(state: ConditionState) -> TargetEvaluation:
        if state.watermark >= at:
            return TargetEvaluation(state, unknown=state.unknown_reason)
        return evaluate_parts(
            platform, models, asset, state, segments(revisions, decisions, state.watermark, at)
        )

    blank = replace(blank, model_version=answer.version)
    question = WhyQuestion(platform, asset, at, covering, blank, evaluate)
    explanation = kind_of(current.definition).why(current.definition, question)
    if (
        explanation.verdict == "unknown"
        and answer.version is None
        and (
            isinstance(current.definition, ModelDefinition)
            and last_promotion(decisions, question_of(current)) is None
        )
    ):
        missing = describe_missing_champion(platform, current, describe_step(platform, current))
        explanation = replace(
            explanation, answer=joined(": ", "cannot tell", explanation.unknown or "", missing)
        )
    return (
        replace(explanation, facts=(*explanation.facts, answer.message))
        if answer.message
        else explanation
    )


def _record(
    platform: EvaluationPorts, explanation: Why, covering: Episode | None, at: datetime
) -> list[str]:
    """Return sentences on stored episodes, and how they differ from the evaluation."""
    lines: list[str] = []
    if covering is not None:
        lines.append(
            in_english(
                "episode {id} was raised at {at}: {reason}",
                id=covering.id,
                at=covering.raised_at,
                reason=covering.evaluation.reason,
            )
        )
        if covering.renewals:
            present = covering.current
            lines.append(
                in_english(
                    "why it is open since {at}: {reason}", at=present.at, reason=present.reason
                )
            )
        sent = platform.notifications.of_episodes([covering.id])[covering.id]
        notified = [f"{n.channel} ({n.status})" for n in sent if n.transition != "closed"]
        lines.append(f"notified: {', '.join(notified)}" if notified else "no notification was sent")
        lines += [t.reason for t in covering.transitions if is_of_late_data(t)]
        if covering.late_data_status == "found_late":
            lines.append(in_english("it came with late readings, at {at}", at=covering.detected_at))
        if covering.acknowledged:
            stamp = covering.acknowledged
            lines.append(
                in_english("acknowledged by {actor} at {at}", actor=stamp.actor, at=stamp.at)
            )
    elif explanation.verdict == "open":
        lines.append(
            "no episode covers this instant: the readings came after its evaluation, or it is not "
            "evaluated yet"
        )
    if covering is not None and explanation.verdict == "normal" and covering.valid_until is None:
        lines.append("the readings known now would not have raised it: some of them came later")
    return lines + _describe_progress(platform, explanation, at)


def _describe_progress(platform: EvaluationPorts, explanation: Why, at: datetime) -> list[str]:
    state = platform.states.load_many([(explanation.definition, explanation.asset)]).state(0)
    if state is None:
        return (
            []
            if explanation.verdict == "not evaluated" or explanation.unknown
            else [with_command("it is not evaluated yet", "alerting evaluate")]
        )
    latency = _latency(platform, explanation.definition, explanation.asset)
    behind = "" if state.watermark >= at else ", which is before this instant"
    lines: list[str] = [
        in_english(
            "evaluated to {until}{latency}{behind}",
            until=state.watermark,
            latency=latency_note(latency),
            behind=behind,
        )
    ]
    if state.watermark > platform.clock.now() + SKEW:
        return [
            in_english(
                "the clock was ahead: it was evaluated to {until}, which is after now; the next "
                "evaluation goes on from its newest reading",
                until=state.watermark,
            )
        ]
    requested = platform.arrivals.requests([explanation.definition]).get(
        (explanation.definition, explanation.asset)
    )
    if requested is not None:
        lines.append(
            in_english(
                "the next evaluation evaluates it again with late data, from {start} on",
                start=requested.start,
            )
        )
    if state.unknown_count:
        lines.append(
            in_english(
                "the last {number} evaluations ended unknown: {reason}",
                number=state.unknown_count,
                reason=state.unknown_reason or "",
            )
        )
    return lines


def _latency(platform: EvaluationPorts, name: str, asset_name: str) -> timedelta:
    asset = platform.assets.get(asset_name)
    latest = newest_of_target(platform.definitions, name)
    if asset is None or latest is None:
        return platform.latency
    return latest.definition.latency(asset, platform.latency)


def watermark_of(platform: EvaluationPorts, episode: Episode) -> tuple[datetime, timedelta] | None:
    """Return watermark and latency of an open episode's target, if it has a state."""
    if episode.condition != "open":
        return None
    state = platform.states.load_many([(episode.definition, episode.asset)]).state(0)
    if state is None:
        return None
    return state.watermark, _latency(platform, episode.definition, episode.asset)


@dataclass(frozen=True)
class FoundTime:
    """A time at which a condition held."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class FoundTimes:
    """The times at which a condition held: how many, their total length, and at most 200 of them,
    newest first."""

    number: int
    together: timedelta
    newest: tuple[FoundTime, ...]


@dataclass(frozen=True)
class LimitCondition:
    """A condition of a variable: above a value, below one, or outside of both, for at least a
    time."""

    variable: str
    above: float | None = None
    below: float | None = None
    lasting: timedelta = timedelta(0)

    def problem(self) -> Problem:
        """Return the condition as the problem of a definition. Raises UserError without a limit,
        and for limits that every value breaks."""
        if self.above is None and self.below is None:
            raise UserError(translatable("give above, below or both"))
        if self.above is not None and self.below is not None and self.below > self.above:
            raise UserError(
                translatable(
                    "below {low} must not exceed above {high}",
                    low=measured(self.below, "g", None),
                    high=measured(self.above, "g", None),
                )
            )
        limits = {"above": self.above, "below": self.below}
        stated = {name: value for name, value in limits.items() if value is not None}
        return Problem.model_validate({"variable": self.variable, "for": self.lasting, **stated})


def numeric_variables(asset: Asset | None, variables: Sequence[str]) -> Asset:
    """Return the asset. Raises NotFound if it or one of the variables does not exist, UserError if
    a variable is no number."""
    if asset is None:
        raise NotFound("there is no such asset")
    for name in variables:
        declared = asset.variables.get(name)
        if declared is None:
            raise NotFound(f"{asset.name} has no variable {name!r}")
        if declared.type != "number":
            raise UserError(f"{name} of {asset.name} is no number but a {declared.type}")
    return asset


def selected_statistics(
    readings: Readings,
    asset: Asset,
    variables: Sequence[str],
    start: datetime,
    end: datetime,
    most: int = MOST_SELECTED,
) -> dict[str, Statistics | None]:
    """Return the statistics of numeric variables over (start, end]; None for a variable without a
    value.

    Values outside a variable's engineering range count as missing. Raises UserError for more than
    `most` readings, and for a time that is empty or longer than a year.
    """
    history = load_selected(readings, asset, variables, start, end, most)
    return {
        name: statistics_of(history.readings[name].to_numpy(np.float64)[has_data(history, name)])
        if name in history.readings
        else None
        for name in variables
    }


def find_times(
    readings: Readings,
    asset: Asset,
    condition: LimitCondition,
    start: datetime,
    end: datetime,
    most: int = MOST_SELECTED,
) -> FoundTimes:
    """Return the times in (start, end] at which a condition held, by the code that finds problems.
    Raises UserError as `selected_statistics`."""
    problem = condition.problem()
    history = load_selected(readings, asset, [condition.variable], start, end, most)
    has_value = has_data(history, condition.variable)
    intervals = problem_intervals(problem, replace(history, readings=history.readings[has_value]))
    return FoundTimes(
        len(intervals),
        timedelta(milliseconds=sum(last - first for first, last in intervals)),
        tuple(
            FoundTime(from_millis(first), from_millis(last))
            for first, last in reversed(intervals[-200:])
        ),
    )


def load_selected(
    readings: Readings,
    asset: Asset,
    variables: Sequence[str],
    start: datetime,
    end: datetime,
    most: int,
) -> History:
    """Return the readings of a selected time, one row per instant. Raises UserError as
    `selected_statistics`."""
    require_order(start, end, "start", "end")
    if end - start > LONGEST_SELECTED:
        raise UserError(f"a selected time has at most {LONGEST_SELECTED.days} days")
    parts = []
    count = 0
    for part in _parts(readings, asset, variables, start, end):
        parts.append(part)
        count += len(part.readings) * len(variables)
        if count > most:
            raise UserError(
                translatable(
                    "these are more than {number} readings; choose a shorter time",
                    number=Styled(most, ",.0f"),
                )
            )
    frames = [part.readings for part in parts if len(part.readings)]
    return replace(parts[-1], readings=pd.concat(frames)) if frames else parts[-1]


def _parts(
    readings: Readings, asset: Asset, variables: Sequence[str], start: datetime, end: datetime
) -> Iterator[History]:
    """Yield the readings in parts, so that the limit stops the reading early."""
    first, last = readings.span(asset.name) or (end, end)
    begin = start
    until = max(start, first)
    length = timedelta(hours=6)
    while True:
        until = min(until + length, end)
        length = min(2 * length, timedelta(days=4))
        is_last = until >= min(last, end)
        stop = end if is_last else until
        yield readings.load(WantedHistory(asset, begin, stop, variables, events_since=stop))
        if is_last:
            return
        begin = stop
