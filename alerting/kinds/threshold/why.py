"""Explain a threshold at an instant."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from alerting.definitions.alert_definition import Condition
from alerting.definitions.fields.condition_fields import Combination
from alerting.definitions.fields.problem import count_phrase
from alerting.definitions.revisions import definition_document
from alerting.definitions.threshold_limits import learned_sides, level_delays
from alerting.definitions.wording.language import in_english, joined, spoken_duration, spoken_number
from alerting.detection.carried_reading import Carried
from alerting.detection.combined_conditions import all_series, evaluate_combination
from alerting.detection.evaluation_results_and_texts import (
    ConditionAt,
    fact_message,
    stale_message,
)
from alerting.detection.learned_limits import LearnedLimits
from alerting.detection.threshold import evaluate_values, lookback
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.protocol import Why, WhyQuestion
from alerting.kinds.threshold.definition import ThresholdDefinition
from alerting.ports import WantedHistory
from alerting.readings.history import History, from_millis, no_instants, to_millis

_LOOK_BACK = timedelta(hours=1)
_LONGEST_LOOK_BACK = timedelta(days=2)
_LIMITS = (
    *("above", "below", "clear_above_at", "clear_below_at", "outside", "inside", "equals"),
    *("levels", "rate_per", "counter", "rolls_over_at", "at_least", "clear_inside"),
    *("clear_outside", "event", "count_within", "for", "clear_for"),
)


class _Described(NamedTuple):
    """Facts on the values at an instant, and the name of the condition while it is pending."""

    facts: tuple[str, ...]
    pending: str
    normal: str
    value: float | None = None
    limit: float | None = None


def explain_instant(definition: ThresholdDefinition, question: WhyQuestion) -> Why:
    """Explain the state of the condition at an instant, from the readings up to it."""
    evaluated = question.evaluate(_start(definition, question))
    state = evaluated.state
    combination = definition.combination
    if combination is None:
        described = _describe(definition, question, evaluated.learned)
    else:
        described = _describe_combination(combination, question, state.carried, evaluated.learned)
    why = replace(
        question.blank,
        value=described.value,
        limit=described.limit,
        unknown=evaluated.unknown,
        facts=described.facts,
    )
    if evaluated.unknown:
        return why.answer_unknown(evaluated.unknown, state)
    if state.raised_at is not None:
        why = why.answer_open(state.raised_at, state.clearing_since, "clearing")
        if state.clearing_since is None:
            return why
        clearing = spoken_duration(definition.clear_for)
        return replace(why, answer=joined(", which must hold for ", why.answer, clearing))
    if state.pending_since is not None:
        hold = level_delays(definition).get(definition.severities()[0], definition.hold)
        due = state.pending_since + hold
        answer = in_english(
            "not raised: {pending} since {since}, which must hold for {hold}; due at {due}",
            pending=described.pending,
            since=state.pending_since,
            hold=spoken_duration(hold),
            due=due,
        )
        return replace(
            why, verdict="pending", answer=answer, pending_since=state.pending_since, due_at=due
        )
    return replace(why, verdict="normal", answer=joined("", "not raised: ", described.normal))


def _describe(
    definition: ThresholdDefinition, question: WhyQuestion, learned: LearnedLimits | None
) -> _Described:
    asset = question.asset
    since = question.at - definition.stale_after - _LONGEST_LOOK_BACK - lookback(definition, asset)
    names = definition.variables_evaluated(asset)
    history = question.platform.readings.load(WantedHistory(asset, since, question.at, names))
    last = _last_reading(definition, history)
    silent_at = question.at - definition.stale_after
    subject = definition.variable
    facts = [
        f"limits: {_limits(definition_document(definition))}",
        *_describe_sample(definition.variable, last, history),
    ]
    limits = (
        []
        if learned is None or last is None
        else [*_learned_at(definition, learned, last[0], question)]
    )
    facts[1:1] = [text for text, _ in limits]
    value = last[1] if last is not None and isinstance(last[1], float) else None
    if definition.count_within is not None:
        subject = count_phrase(definition, asset.variables)
        before = question.at - timedelta(milliseconds=1)
        reading = evaluate_values(definition, history, None, before, question.at).reading_at(
            question.at
        )
        value = reading.evaluated if reading else None
        facts += [f"{subject}: {spoken_number(value)}"] if value is not None else []
    normal = f"{subject} is within its limits"
    if definition.no_data == "clear" and (last is None or last[0] <= silent_at):
        stale = stale_message(subject, definition.stale_after)
        normal = joined("", stale, ", which counts as clear")
    numbers = [limit for _, limit in limits if limit is not None]
    nearest = (
        None if value is None else min(numbers, key=lambda limit: abs(limit - value), default=None)
    )
    return _Described(
        tuple(facts),
        "beyond its limit",
        normal,
        value,
        _limit(definition, value) if nearest is None else nearest,
    )


def _learned_at(
    condition: Condition, learned: LearnedLimits, taken_at: datetime, question: WhyQuestion
) -> Iterator[tuple[str, float | None]]:
    """Yield each learned limit for a reading as a sentence and as a number, None if unknown."""
    version = question.blank.model_version
    for _, side, written in learned_sides(condition):
        moving = learned.limit_at(condition.variable, written, np.array([to_millis(taken_at)]))
        described = moving.describe(0)
        if described is None:
            yield (
                joined(
                    ": ",
                    f"the learned limit {side} {condition.variable} is unknown",
                    learned.missing,
                ),
                None,
            )
        else:
            limit = float(moving.values[0])
            learned_by = f"{side} {limit:.6g}, learned by version {version}"
            yield joined(": ", learned_by, described), limit


def _describe_combination(
    combination: Combination,
    question: WhyQuestion,
    carried: Carried | None,
    learned: LearnedLimits | None,
) -> _Described:
    """Describe every condition of several by its last value, without reading again."""
    evaluated = evaluate_combination(
        combination,
        question.asset,
        all_series(combination, History(question.asset)),
        carried,
        question.at - timedelta(milliseconds=1),
        question.at,
        learned=learned,
    )
    how = (
        "one of these conditions must hold"
        if combination.how == "any"
        else "all of these conditions must hold"
    )
    facts = [
        how,
        *(
            _describe_condition(condition, question)
            for condition in evaluated.conditions_at(question.at)
        ),
    ]
    return _Described(
        tuple(facts),
        (
            "one of its conditions has held"
            if combination.how == "any"
            else "all of its conditions have held"
        ),
        "no condition holds" if combination.how == "any" else "not all of its conditions hold",
    )


def _describe_condition(at: ConditionAt, question: WhyQuestion) -> str:
    condition = at.condition
    reading = at.reading
    written = condition.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if at.status == "unknown" and at.fact is not None:
        fact = fact_message(condition, question.asset, at.fact, reading)
        state = joined(": ", f"{condition.variable}, {_limits(written)}", "unknown", fact)
    else:
        holds = "holds" if at.status == "triggered" else "does not hold"
        state = joined(": ", f"{condition.variable}, {_limits(written)}", holds)
    if reading is None or reading.value is None:
        return state
    value = spoken_number(reading.value) if isinstance(reading.value, float) else reading.value
    last = in_english("it was {value} at {at}", value=value, at=reading.at)
    learned = [
        joined(": ", f"{limit.side} {spoken_number(limit.limit)}", limit.description)
        for limit in reading.learned
        if limit.limit is not None
    ]
    return joined("; ", state, last, *learned)


def _start(definition: ThresholdDefinition, question: WhyQuestion) -> ConditionState:
    """Return the stored state if it lies before the instant, else a new state that begins long
    before."""
    if (stored := question.stored_state()) is not None:
        return stored
    at = question.at
    covering = question.covering
    longest = max(level_delays(definition).values(), default=definition.hold)
    before = longest + definition.clear_for + definition.stale_after + _LOOK_BACK
    begin = at - before if covering is None else min(at - before, covering.raised_at - before)
    return ConditionState(watermark=max(begin, at - before - _LONGEST_LOOK_BACK))


def _last_reading(
    definition: ThresholdDefinition, history: History
) -> tuple[datetime, float | str] | None:
    if definition.variable not in history.readings:
        return None
    values = history.readings[definition.variable].dropna()
    if not len(values):
        return None
    value = values.iloc[-1]
    return values.index[-1].to_pydatetime(), value if isinstance(value, str) else float(value)


def _describe_sample(
    variable: str, last: tuple[datetime, float | str] | None, history: History
) -> Iterator[str]:
    """Yield sentences on the last valid value, and on a bad sample after it."""
    bad = history.doubts.bad.get(variable, no_instants())
    if last is not None:
        number = spoken_number(last[1]) if isinstance(last[1], float) else last[1]
        uncertain = to_millis(last[0]) in history.doubts.uncertain.get(variable, no_instants())
        yield in_english(
            "{variable} was {number} at {at}{quality}",
            variable=variable,
            number=number,
            at=last[0],
            quality=", of uncertain quality" if uncertain else "",
        )
    if len(bad) and (last is None or bad[-1] > to_millis(last[0])):
        first = 0 if last is None else np.searchsorted(bad, to_millis(last[0]), side="right")
        yield in_english(
            "{variable} has been of bad quality since {since}; its last sample is of {last}",
            variable=variable,
            since=from_millis(bad[first]),
            last=from_millis(bad[-1]),
        )


def _limit(definition: ThresholdDefinition, value: float | None) -> float | None:
    """Return the limit with which a number is compared: the nearer one of two."""
    above = definition.above if isinstance(definition.above, int | float) else None
    below = definition.below if isinstance(definition.below, int | float) else None
    if above is None or below is None or value is None:
        return below if above is None else above
    return below if value - below < above - value else above


def _limits(document: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_written(document[name])}" for name in document if name in _LIMITS)


def _written(limit: Any) -> str:
    if not isinstance(limit, Mapping) or "learned" not in limit:
        return str(limit)
    fields = (
        f"{name} {' and '.join(value) if isinstance(value, list) else value}"
        for name, value in limit["learned"].items()
    )
    return f"learned ({', '.join(fields)})"
