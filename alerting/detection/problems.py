"""Find the occurrences of a definition's problem: by a condition on a variable, by conditions of
several, or by events; and describe one that has come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from alerting.deferred import np, npt, pd
from alerting.definitions.alert_definition import Definition, Problem, TrainedDefinition
from alerting.definitions.asset_documents import Asset, EventType
from alerting.detection.combined_conditions import (
    changes_of_conditions,
    conditions_at,
    conditions_that_count,
    known_truths,
)
from alerting.detection.evaluation_result import (
    combined_happening_message,
    happening_message,
    instant_event_message,
)
from alerting.detection.occurrences import (
    NOT_YET,
    BoolArray,
    ConditionSamples,
    KnownProblem,
    Occurrences,
    condition_intervals,
    ends_of_runs,
    merge_runs,
    no_occurrences,
    occurrences_of_events,
    occurrences_of_samples,
    starts_uncounted,
)
from alerting.readings.history import (
    FAR_FUTURE,
    History,
    Millis,
    duration_millis,
    from_millis,
    millis,
    to_millis,
)

LOOKBACK_FOR_CLEAR = timedelta(days=7)

__all__ = [
    "NOT_YET",
    "BoolArray",
    "KnownProblem",
    "Occurrences",
    "counted_problems",
    "find_occurrences",
    "find_problems",
    "first_lookback",
    "match_names",
    "needed_samples",
    "predicts",
    "problem_delay",
    "problem_intervals",
    "problem_lookback",
    "problem_samples",
    "risk_of",
]


def predicts(definition: Definition, asset: Asset) -> Literal["onset", "state"]:
    """Return what the model predicts: as written, else state of the unit just made or of a variable
    with a delay, else onset."""
    problem = definition.problem
    if problem is None or definition.is_of_unit:
        return "onset" if problem is None else "state"
    if problem.predict:
        return problem.predict
    return "state" if _longest_delay(problem, asset) else "onset"


def problem_delay(problem: Problem, asset: Asset, event_types: Sequence[EventType]) -> timedelta:
    """Return how long after its instant a problem is known: the longest delay of its variables, or
    of its event types."""
    if problem.event is not None:
        return max(
            (t.delay for t in event_types if fnmatchcase(t.name, problem.event)),
            default=timedelta(0),
        )
    return _longest_delay(problem, asset)


def problem_lookback(problem: Problem) -> timedelta:
    """Return how far before an instant the readings lie that decide whether a problem goes on
    there: values of several variables, and problems that are one with it."""
    combination = problem.combination
    carried = (
        timedelta(0)
        if combination is None
        else max(leaf.stale_after for leaf in combination.leaves())
    )
    return carried + problem.merge


def first_lookback(problem: Problem) -> timedelta:
    """Return how far before the first instant of interest readings are taken besides, for values
    between the limit and `problem.clear`: the state there is that of the last value beyond one."""
    return timedelta(0) if problem.clear is None else LOOKBACK_FOR_CLEAR


def _longest_delay(problem: Problem, asset: Asset) -> timedelta:
    return max(map(asset.delay, problem.variables), default=timedelta(0))


def match_names(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """Return the names that match one of the patterns (`*` stands for any text), sorted."""
    wanted = list(patterns)
    return sorted(n for n in set(names) if any(fnmatchcase(n, p) for p in wanted))


def problem_samples(problem: Problem, history: History) -> tuple[Millis, BoolArray]:
    """Return the instants (ms) of all samples of the problem's variable, and whether the condition
    holds there: it is met, or was met and has not been back at `problem.clear` since.

    Of conditions of several variables, a sample is a reading of any of them at which the truth is
    known; in a point-in-time view no later one than the slowest of them is known. A problem by
    events has no samples.
    """
    samples = _condition_samples(problem, history)
    return samples.ts, samples.is_present


def _condition_samples(problem: Problem, history: History) -> ConditionSamples:
    """Return the samples of a problem's condition; none of a problem by events."""
    combination = problem.combination
    if combination is not None:
        ts, is_met = known_truths(combination, history)
        known = len(ts)
        if history.known_until is not None:
            delay = duration_millis(_longest_delay(problem, history.asset))
            known = int(np.searchsorted(ts, history.known_until - delay, side="right"))
        return ConditionSamples(ts[:known], is_met[:known])
    if problem.variable is None or problem.variable not in history.readings:
        return ConditionSamples(np.empty(0, np.int64), np.empty(0, np.bool_))
    values = history.readings[problem.variable].to_numpy()
    # of numbers pandas takes ten times as long
    there = ~np.isnan(values) if values.dtype == np.float64 else pd.notna(values)
    ts = millis(history.readings.index)[there]
    if problem.equals is not None:
        return ConditionSamples(ts, np.asarray(values[there] == problem.equals, np.bool_))
    numbers = values[there].astype(np.float64, copy=False)
    bad = np.zeros(len(numbers), np.bool_)
    back = np.ones(len(numbers), np.bool_)
    clear = problem.clear_limits
    if problem.above is not None:
        bad |= numbers > problem.above
        back &= numbers <= clear.above
    if problem.below is not None:
        bad |= numbers < problem.below
        back &= numbers >= clear.below
    return ConditionSamples(ts, bad, None if problem.clear is None else back & ~bad)


def needed_samples(problem: Problem, history: History) -> Millis:
    """Return the instants (ms) of the readings that decide when a problem by values begins and
    ends: at changes, whatever held before the history."""
    if (combination := problem.combination) is not None:
        return changes_of_conditions(combination, history)
    ts, is_met, is_back = _condition_samples(problem, history)
    return ts[ends_of_runs(is_met) | (False if is_back is None else ends_of_runs(is_back))]


def risk_of(
    values: npt.NDArray[np.float64],
    above: float | None,
    below: float | None,
    equals: float | None = None,
) -> npt.NDArray[np.float64]:
    """Return values, signed so that higher is riskier; with limits on both sides, their distance
    outside of them.

    Of a problem that is one value, 1 at this value and 0 at others.
    """
    if equals is not None:
        return np.where(np.isnan(values), np.nan, values == equals)
    if below is None:
        return values
    return -values if above is None else np.maximum(values - above, below - values)


def find_problems(problem: Problem, history: History, of_units: bool = False) -> pd.DataFrame:
    """Return every occurrence with `start`, `last`, `end` (NaT while ongoing) and `known_at`,
    sorted by start.

    `last`: the last sample that meets the condition; of an event, its end. A condition must be met
    for `problem.for`. The occurrence is known after this time and its delay. Those nearer than
    `problem.merge_within` are one. `of_units`: each sample that meets the condition is one
    occurrence.
    """
    delay = duration_millis(problem_delay(problem, history.asset, history.event_types))
    if problem.event is not None:
        return _problem_events(problem.event, history, delay, duration_millis(problem.merge))
    ts, bad = problem_samples(problem, history)
    if of_units:
        return _frame(ts[bad], ts[bad], ts[bad], ts[bad] + delay)
    start, end, last_bad = condition_intervals(ts, bad)
    hold = duration_millis(problem.hold)
    long_enough = np.where(end == NOT_YET, last_bad, end) - start >= hold
    runs = merge_runs(start, end, last_bad, long_enough, duration_millis(problem.merge))
    of = runs.lasted
    return _frame(runs.start[of], runs.last[of], runs.end[of], runs.start[of] + hold + delay)


def problem_intervals(problem: Problem, history: History) -> list[tuple[int, int]]:
    """Return start and end (ms) of every occurrence in a history; one that goes on ends with the
    last sample that shows it."""
    found = find_problems(problem, history)
    columns = (millis(found[name]).tolist() for name in ("start", "end", "last"))
    return [(start, max(end, last, start)) for start, end, last in zip(*columns, strict=True)]


def find_occurrences(
    definition: TrainedDefinition, history: History, earlier: KnownProblem | None = None
) -> Occurrences:
    """Return all times at which the condition of a problem was true, also those that were over
    before `problem.for`.

    `earlier`: what an earlier evaluation has found; what was over by then is left out. None of the
    unit just made: whether it is bad changes neither the life of an episode nor which other units
    count.
    """
    problem = definition.problem
    if definition.is_of_unit:
        return no_occurrences()
    delay = duration_millis(problem_delay(problem, history.asset, history.event_types))
    recovery = None if problem.recovery is None else duration_millis(problem.recovery)
    merge = duration_millis(problem.merge)
    if problem.event is not None:
        found = _problem_events(problem.event, history, delay, merge)
        hold_off = duration_millis(definition.horizon)
        return occurrences_of_events(
            millis(found["start"]), millis(found["end"]), recovery, hold_off, earlier, delay, merge
        )
    hold = duration_millis(problem.hold)
    samples = _condition_samples(problem, history)
    return occurrences_of_samples(samples, hold, delay, earlier, recovery or 0, merge)


def counted_problems(found: pd.DataFrame, problems: Occurrences, is_onset: bool) -> pd.DataFrame:
    """Return the result of `find_problems` with a column `uncounted`, as `starts_uncounted`: never
    for a state."""
    return found.assign(
        uncounted=starts_uncounted(millis(found["start"]), problems) if is_onset else False
    )


def _problem_events(pattern: str, history: History, delay: int, merge: int) -> pd.DataFrame:
    """Return the occurrences of a problem by events. Events that coincide, overlap, or lie less
    than `merge` (ms) apart are one occurrence.

    Example: two parts that break at the same instant stop the machine once.
    """
    events = history.events[
        np.array([fnmatchcase(t, pattern) for t in history.events["type"]], np.bool_)
    ]
    start = millis(events["start"])
    end = millis(events["end"])
    order = np.argsort(start, kind="stable")
    start = start[order]
    end = end[order]
    over = np.maximum.accumulate(np.where(end == NOT_YET, FAR_FUTURE, end)) if len(end) else end
    first = np.flatnonzero(
        np.append(True, (start[1:] != start[:-1]) & (start[1:] >= over[:-1] + merge))[: len(start)]
    )
    last = over[np.append(first[1:] - 1, len(start) - 1)[: len(first)]]
    end = np.where(last == FAR_FUTURE, NOT_YET, last)
    return _frame(start[first], end, end, start[first] + delay)


def _frame(start: Millis, last: Millis, end: Millis, known_at: Millis) -> pd.DataFrame:
    columns = {"start": start, "last": last, "end": end, "known_at": known_at}
    return pd.DataFrame(
        {n: pd.Series(v.astype("datetime64[ms]")).dt.tz_localize("UTC") for n, v in columns.items()}
    )


Scores: TypeAlias = "npt.NDArray[np.float64]"


def describe_happening(
    problem: Problem, history: History, occurrences: Occurrences, at: datetime
) -> str:
    """Return what has come, as known at an instant: the value, its limit, and since when."""
    now = to_millis(at)
    begun = np.flatnonzero((occurrences.known_at <= now) & (occurrences.over_at >= now))
    since = from_millis(int(occurrences.start[begun[-1]]))
    delay = problem_delay(problem, history.asset, history.event_types)
    if (
        problem.event is not None
        and occurrences.over_at[begun[-1]] == occurrences.true_at[begun[-1]]
    ):
        return instant_event_message(problem, history.event_types, since)
    if (combination := problem.combination) is not None:
        found = conditions_at(combination, history, at - delay)
        return combined_happening_message(
            combination, history.asset, conditions_that_count(combination, found), since
        )
    ts, _ = problem_samples(problem, history)
    known = int(np.searchsorted(ts + duration_millis(delay), now, side="right"))
    value = (
        history.readings[problem.variable].dropna().iloc[known - 1]
        if problem.variable and known
        else None
    )
    return happening_message(problem, history.asset, history.event_types, value, since)
