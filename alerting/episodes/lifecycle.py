"""The life of an episode in event time: pure functions that move a spell on from one evaluation to the next.

Live evaluation, catch-up, replay and training metrics call the same functions, so that they agree to the millisecond.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from alerting.detection.evaluation import Side, Stretch
from alerting.detection.problems import BoolArray
from alerting.readings.history import Millis, from_millis, span_millis, to_millis


@dataclass(frozen=True)
class SpellState:
    """What must be remembered of one definition on one asset from one evaluation to the next.

    `watermark`: evaluated up to and including this instant. `pending_since`: first triggered instant of a spell that is
    not open yet. `raised_at`: of the open episode.
    `clearing_since`: first clear instant while open. `last_raised_at`, `last_closed_at`: of the episode before.
    `carried_at`, `carried_value`, `carried_side`: the last judged reading and the limit it is beyond, if any; it holds until the
    next reading or until it is stale. `unknown_count`: evaluations in a row that ended unknown, `unknown_reason` why.
    """

    watermark: datetime
    pending_since: datetime | None = None
    raised_at: datetime | None = None
    clearing_since: datetime | None = None
    last_raised_at: datetime | None = None
    last_closed_at: datetime | None = None
    carried_at: datetime | None = None
    carried_value: float | None = None
    carried_side: Side | None = None
    unknown_count: int = 0
    unknown_reason: str | None = None


@dataclass(frozen=True)
class Step:
    """What `advance` found: an episode was raised, or the open one closed, at this instant of event time.

    `follows`: when the episode before was raised, if this one goes on where that one ended.
    """

    kind: Literal["raised", "closed"]
    at: datetime
    raised_at: datetime
    reason: str
    follows: datetime | None = None


def advance(
    state: SpellState, stretches: Sequence[Stretch], hold: timedelta, clear_for: timedelta
) -> tuple[SpellState, list[Step]]:
    """Move a condition on through consecutive stretches; unknown resets a pending or clearing spell and changes nothing else.

    Returns the state at the end of the last stretch and the steps in between. Cutting the same stretches at other instants
    gives the same steps.
    """
    steps: list[Step] = []
    for stretch in stretches:
        if stretch.status == "triggered":
            state = _triggered(state, stretch, hold, steps)
        elif stretch.status == "clear":
            state = _clear(state, stretch, clear_for, steps)
        else:
            state = replace(state, pending_since=None, clearing_since=None)
    return state, steps


def _triggered(state: SpellState, stretch: Stretch, hold: timedelta, steps: list[Step]) -> SpellState:
    if state.raised_at is not None:
        return replace(state, clearing_since=None)
    since = state.pending_since or stretch.start
    due = since + hold
    if due >= stretch.end:
        return replace(state, pending_since=since)
    reason = "the condition is met" if not hold else f"the condition has held since {since.isoformat()}"
    steps.append(Step("raised", due, due, reason))
    return replace(state, pending_since=None, raised_at=due, clearing_since=None)


def _clear(state: SpellState, stretch: Stretch, clear_for: timedelta, steps: list[Step]) -> SpellState:
    if state.raised_at is None:
        return replace(state, pending_since=None)
    since = state.clearing_since or stretch.start
    due = since + clear_for
    if due >= stretch.end:
        return replace(state, clearing_since=since)
    steps.append(Step("closed", due, state.raised_at, "the condition is gone"))
    return replace(state, raised_at=None, clearing_since=None, last_raised_at=state.raised_at, last_closed_at=due)


def advance_promises(
    state: SpellState,
    at: Millis,
    triggered: BoolArray,
    problem_known: Millis,
    promise: timedelta,
    stride: timedelta,
    until: datetime,
) -> tuple[SpellState, list[Step]]:
    """Move a model's episodes on through judged instants, each episode bounded by its promise (see `promise_end`).

    `at`: judged instants in ms, increasing, after the watermark. `problem_known`: instants (ms, increasing) at which problems
    became known. `promise`: gap + horizon. `until`: everything up to here is known. An episode raised less than a stride
    after the end of the one before goes on from it.
    """
    steps: list[Step] = []
    limit, span = to_millis(until), span_millis(promise)
    known = problem_known[problem_known <= limit]
    for instant in [*at[triggered].tolist(), limit + 1]:
        if state.raised_at is not None:
            raised = to_millis(state.raised_at)
            end = promise_end(raised, known, span)
            if end > min(instant, limit):
                continue
            steps.append(Step("closed", from_millis(end), state.raised_at, _end_reason(end, raised, span)))
            state = replace(state, raised_at=None, last_raised_at=state.raised_at, last_closed_at=from_millis(end))
        if instant <= limit:
            now = from_millis(instant)
            joined = state.last_closed_at is not None and now - state.last_closed_at < stride
            follows = state.last_raised_at if joined else None
            steps.append(Step("raised", now, now, "the risk is at or above the threshold", follows))
            state = replace(state, raised_at=now)
    return state, steps


def _end_reason(end: int, raised: int, span: int) -> str:
    return "the horizon has passed" if end == raised + span else "the problem has started"


def promised_spells(at: Millis, triggered: BoolArray, problem_known: Millis, promise_ms: int) -> list[tuple[int, int]]:
    """Model episodes of one asset as (raised, end) in ms, as `advance_promises` would give them.

    An episode is raised at a triggered instant and bounded by its promise (`promise_end`). The next one may be raised at the
    first triggered instant from that end on.

    `at`: judged instants, increasing. `problem_known`: instants at which problems became known, increasing.
    """
    spells: list[tuple[int, int]] = []
    free_from = np.iinfo(np.int64).min
    for raised in at[triggered].tolist():
        if raised < free_from:
            continue
        free_from = promise_end(raised, problem_known, promise_ms)
        spells.append((raised, free_from))
    return spells


def promise_end(raised: int, problem_known: Millis, promise_ms: int) -> int:
    """When a model episode raised at `raised` ends, in ms: at the first problem known after it, or else with its promise."""
    after = int(np.searchsorted(problem_known, raised, side="right"))
    known = int(problem_known[after]) if after < len(problem_known) else raised + promise_ms
    return min(known, raised + promise_ms)
