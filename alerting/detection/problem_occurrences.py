"""Find the occurrences of a definition's problem; describe one; and find the times that do not
count: in a known problem, its recovery or hold-off, and suppression by design.

The times at which the condition was true are a pure function of samples or events, the same in
training, live evaluation, backtest, outcome and report.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Literal, NamedTuple, TypeAlias

from alerting.deferred import np, npt, pd
from alerting.definitions.alert_definition import Definition, Problem, TrainedDefinition
from alerting.definitions.asset_documents import Asset, EventType
from alerting.definitions.wording.language import translatable
from alerting.detection.combined_conditions import (
    conditions_at,
    conditions_that_count,
    known_truths,
)
from alerting.detection.evaluation_results_and_texts import (
    combined_happening_message,
    happening_message,
    instant_event_message,
)
from alerting.readings.history import (
    FAR_FUTURE,
    BoolArray,
    History,
    Millis,
    duration_millis,
    from_millis,
    millis,
    to_millis,
)

Scores: TypeAlias = "npt.NDArray[np.float64]"


def predicts(definition: Definition, asset: Asset) -> Literal["onset", "state"]:
    """Return what the model predicts: as written; by default the state for the unit just made and
    for a variable with a delay, else the onset."""
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
    """Return how far before an instant readings may decide whether a problem is going on: values of
    several variables, and earlier problems that are merged with it."""
    leaves = problem.combination.leaves() if problem.combination else ()
    return max((leaf.stale_after for leaf in leaves), default=timedelta(0)) + problem.merge


def first_lookback(problem: Problem) -> timedelta:
    """Return how much further back readings are needed before the first instant, because a value
    between the limit and `problem.clear` keeps the state of the last value beyond either."""
    return timedelta(0) if problem.clear is None else timedelta(days=7)


def _longest_delay(problem: Problem, asset: Asset) -> timedelta:
    return max(map(asset.delay, problem.variables), default=timedelta(0))


def match_names(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """Return the names that match one of the patterns (`*` stands for any text), sorted."""
    globs = list(patterns)
    return sorted(n for n in set(names) if any(fnmatchcase(n, p) for p in globs))


def problem_samples(problem: Problem, history: History) -> tuple[Millis, BoolArray]:
    """Return the instants (ms) of all samples of the problem's variable, and whether the condition
    holds at each: it is met, or it was met and no value has reached `problem.clear` since.

    Of several variables, every reading at which the truth is known is a sample; events have none.
    """
    samples = _condition_samples(problem, history)
    return samples.ts, samples.is_present


def _condition_samples(problem: Problem, history: History) -> ConditionSamples:
    """Return the samples of a problem's condition; none for a problem by events."""
    combination = problem.combination
    if combination is not None:
        ts, is_met = known_truths(combination, history)
        count = len(ts)
        if history.known_until is not None:
            delay = duration_millis(_longest_delay(problem, history.asset))
            count = int(np.searchsorted(ts, history.known_until - delay, side="right"))
        return ConditionSamples(ts[:count], is_met[:count])
    if problem.variable is None or problem.variable not in history.readings:
        return ConditionSamples(np.empty(0, np.int64), np.empty(0, np.bool_))
    values = history.readings[problem.variable].to_numpy()
    # of numbers pandas takes ten times as long
    present = ~np.isnan(values) if values.dtype == np.float64 else pd.notna(values)
    ts = millis(history.readings.index)[present]
    if problem.equals is not None:
        return ConditionSamples(ts, np.asarray(values[present] == problem.equals, np.bool_))
    numbers = values[present].astype(np.float64, copy=False)
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


def risk_of(
    values: npt.NDArray[np.float64],
    above: float | None,
    below: float | None,
    equals: float | None = None,
) -> npt.NDArray[np.float64]:
    """Return the risk of each value: the value with a sign so that higher is riskier; with limits
    on both sides, its distance outside of the limits.

    For a problem that is one value, the risk is 1 at this value and 0 at any other.
    """
    if equals is not None:
        return np.where(np.isnan(values), np.nan, values == equals)
    if below is None:
        return values
    return -values if above is None else np.maximum(values - above, below - values)


def find_problems(problem: Problem, history: History, of_units: bool = False) -> pd.DataFrame:
    """Return every occurrence with `start`, `last`, `end` (NaT while ongoing) and `known_at`,
    sorted by start.

    `last`: the last sample that meets the condition; for an event, its end. A condition must be met
    for `problem.for`; the occurrence is known after this time and its delay. Occurrences nearer
    than `problem.merge_within` are one. `of_units`: each sample that meets the condition is one
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
    lasted = runs.lasted
    return _frame(
        runs.start[lasted], runs.last[lasted], runs.end[lasted], runs.start[lasted] + hold + delay
    )


def problem_intervals(problem: Problem, history: History) -> list[tuple[int, int]]:
    """Return start and end (ms) of every occurrence in a history; an ongoing occurrence ends with
    the last sample that shows it."""
    problems = find_problems(problem, history)
    columns = (millis(problems[name]).tolist() for name in ("start", "end", "last"))
    return [(start, max(end, last, start)) for start, end, last in zip(*columns, strict=True)]


def find_occurrences(
    definition: TrainedDefinition, history: History, earlier: KnownProblem | None = None
) -> Occurrences:
    """Return all times at which the condition of a problem was true, including those shorter than
    `problem.for`.

    `earlier`: the result of an earlier evaluation; occurrences that were over by then are left out.
    None for the unit just made, which ends no episode and stops no other unit from counting.
    """
    problem = definition.problem
    if definition.is_of_unit:
        return no_occurrences()
    delay = duration_millis(problem_delay(problem, history.asset, history.event_types))
    recovery = None if problem.recovery is None else duration_millis(problem.recovery)
    merge = duration_millis(problem.merge)
    if problem.event is not None:
        events = _problem_events(problem.event, history, delay, merge)
        hold_off = duration_millis(definition.horizon)
        return occurrences_of_events(
            millis(events["start"]),
            millis(events["end"]),
            recovery,
            hold_off,
            earlier,
            delay,
            merge,
        )
    hold = duration_millis(problem.hold)
    samples = _condition_samples(problem, history)
    return occurrences_of_samples(samples, hold, delay, earlier, recovery or 0, merge)


def counted_problems(frame: pd.DataFrame, problems: Occurrences, is_onset: bool) -> pd.DataFrame:
    """Return the result of `find_problems` with a column `uncounted` by `starts_uncounted`, which
    is False for a state."""
    return frame.assign(
        uncounted=starts_uncounted(millis(frame["start"]), problems) if is_onset else False
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


def describe_happening(
    problem: Problem, history: History, occurrences: Occurrences, at: datetime
) -> str:
    """Describe the problem that has come, as known at an instant: the value, its limit, and since
    when. `occurrences`: those in the history, sorted by start."""
    now = to_millis(at)
    begun = np.flatnonzero((occurrences.known_at <= now) & (occurrences.over_at >= now))
    latest = begun[-1]
    since = from_millis(int(occurrences.start[latest]))
    delay = problem_delay(problem, history.asset, history.event_types)
    if problem.event is not None and occurrences.over_at[latest] == occurrences.true_at[latest]:
        return instant_event_message(problem, history.event_types, since)
    if (combination := problem.combination) is not None:
        conditions = conditions_at(combination, history, at - delay)
        return combined_happening_message(
            combination, history.asset, conditions_that_count(combination, conditions), since
        )
    ts, _ = problem_samples(problem, history)
    count = int(np.searchsorted(ts + duration_millis(delay), now, side="right"))
    value = (
        history.readings[problem.variable].dropna().iloc[count - 1]
        if problem.variable and count
        else None
    )
    return happening_message(problem, history.asset, history.event_types, value, since)


NOT_YET = -(2**63)


@dataclass(frozen=True)
class Occurrences:
    """Times (ms, increasing) at which a problem's condition was true on one asset: one entry for
    each run of samples that meet it, or for each event; problems nearer than `problem.merge_within`
    are one entry.

    Of each entry, `start`: its first sample. `true_at`: from when on the condition is known to be
    true. `known_at`: when it is known to have lasted for `problem.for`; FAR_FUTURE if it did not.
    `over_at`: when it is known to be over; FAR_FUTURE while it is ongoing. `recovered_at`: the end
    of the recovery or hold-off, never before `over_at`. `is_carried`: whether the next evaluation
    needs the start of an ongoing entry.
    """

    start: Millis
    true_at: Millis
    known_at: Millis
    over_at: Millis
    recovered_at: Millis
    is_carried: bool = True

    def columns(self, asset: str) -> dict[str, Any]:
        """Return these occurrences as columns of a frame, with this asset in each row."""
        return {
            "asset": np.full(len(self.start), asset, dtype=object),
            **{
                name: getattr(self, name)
                for name in ("start", "true_at", "known_at", "over_at", "recovered_at")
            },
        }

    @classmethod
    def from_columns(cls, columns: Any) -> Occurrences:
        """Return the occurrences in such columns of a mapping or frame, all of one asset."""
        return cls(
            np.asarray(columns["start"], np.int64),
            np.asarray(columns["true_at"], np.int64),
            np.asarray(columns["known_at"], np.int64),
            np.asarray(columns["over_at"], np.int64),
            np.asarray(columns["recovered_at"], np.int64),
        )

    @property
    def lasted(self) -> BoolArray:
        """Return a mask of the occurrences that lasted for `problem.for`, and so are problems."""
        return self.known_at < FAR_FUTURE

    def ended_at(self, instant: datetime) -> Occurrences:
        """Return the occurrences with the one ongoing at an instant ended there by hand, without
        recovery."""
        at = to_millis(instant)
        ended = (self.known_at <= at) & (at < self.over_at)
        return replace(
            self,
            over_at=np.where(ended, at, self.over_at),
            recovered_at=np.where(ended, 0, self.recovered_at),
        )

    def hold_at(self, at: Millis) -> BoolArray:
        """Return a mask of the instants (ms) at which the condition is known to be true, however
        long."""
        which = np.searchsorted(self.true_at, at, side="right") - 1
        over_at = np.append(self.over_at, 0)  # the last one answers for -1: no occurrence yet
        return np.asarray(at < over_at[which], np.bool_)

    def start_at(self, instant: datetime) -> datetime | None:
        """Return the start of the occurrence known to be ongoing at an instant, None without
        one."""
        at = to_millis(instant)
        which = np.flatnonzero((self.true_at <= at) & (at < self.over_at))
        return from_millis(int(self.start[which[0]])) if len(which) else None


@cache
def no_occurrences() -> Occurrences:
    """Return no occurrences."""
    none: Millis = np.empty(0, np.int64)
    return Occurrences(none, none, none, none, none)


@dataclass(frozen=True)
class KnownProblem:
    """State of a problem's condition as known at an instant. `since`: start of the current run of
    samples, None without one.

    `is_first`: whether it has not been evaluated before; the samples alone then show the past.
    """

    at: datetime
    since: datetime | None = None
    is_first: bool = True


def occurrences_of_events(
    start: Millis,
    end: Millis,
    recovery: int | None,
    hold_off: int,
    earlier: KnownProblem | None = None,
    delay: int = 0,
    merge_within: int = 0,
) -> Occurrences:
    """Return the occurrences of events that do not overlap and lie `merge_within` (ms) or more
    apart. `end`: NOT_YET for an ongoing event.

    `recovery`: ms after the end; None if it is not stated: then `hold_off` (ms) applies after an
    instant event, and none after a lasting one. The instant of an event never counts. `earlier`:
    the result of an earlier evaluation; events over by then are left out. `delay`: ms after which
    start and end are known.
    """
    if earlier is not None and not earlier.is_first:
        goes_on = (end == NOT_YET) | (end + merge_within + delay > to_millis(earlier.at))
        start = start[goes_on]
        end = end[goes_on]
        if merge_within and earlier.since is not None and len(start):
            start = np.append(min(to_millis(earlier.since), int(start[0])), start[1:])
    after = np.where(end == start, hold_off, 0) if recovery is None else recovery
    over_at = np.where(end == NOT_YET, FAR_FUTURE, end + merge_within + delay)
    recovered_at = np.where(end == NOT_YET, FAR_FUTURE, np.maximum(end + after, start + 1))
    return Occurrences(
        start,
        start + delay,
        start + delay,
        over_at,
        np.maximum(recovered_at, over_at),
        is_carried=merge_within > 0,
    )


class ConditionSamples(NamedTuple):
    """Samples of a problem's condition on one asset: their instants (ms), which of them meet it,
    and which of them end it.

    `is_back`: samples up to which the condition, once met, holds; None: it holds until the first
    sample that does not meet it.
    """

    ts: Millis
    is_met: BoolArray
    is_back: BoolArray | None = None

    @property
    def is_present(self) -> BoolArray:
        """Return a mask of the samples at which the condition holds: it was met, and no sample has
        ended it since."""
        if self.is_back is None:
            return self.is_met
        changes = np.where(self.is_met | self.is_back, np.arange(len(self.ts)), -1)
        latest = np.maximum.accumulate(changes) if len(changes) else changes
        return np.append(self.is_met, False)[latest]


class ConditionRuns(NamedTuple):
    """Runs of samples at which a condition holds (ms): the first sample of the run, the first one
    after it (NOT_YET for an ongoing run), the last sample of the run, whether the run lasted for
    `problem.for`, and from when on it is over."""

    start: Millis
    end: Millis
    last: Millis
    lasted: BoolArray
    over: Millis


def occurrences_of_samples(
    samples: ConditionSamples,
    hold: int,
    delay: int,
    earlier: KnownProblem | None = None,
    recovery: int = 0,
    merge_within: int = 0,
) -> Occurrences:
    """Return an occurrence for every run of samples at which the condition holds. A value is
    carried forward until the next sample.

    `hold`, `delay`, `recovery`: `problem.for`, the delay of the variable, and the recovery after a
    run (ms). `earlier`: the result of an earlier evaluation; runs that were over by then are left
    out. `merge_within`: see `merge_runs`.
    """
    if earlier is not None and not earlier.is_first:
        after = to_millis(earlier.at) - delay
        if merge_within and earlier.since is not None:
            # runs since then decide when the problem that goes on is over
            after = max(after - merge_within - hold, to_millis(earlier.since))
        samples = _samples_after(samples, after, earlier)
    start, end, last = condition_intervals(samples.ts, samples.is_present)
    lasted = (end == NOT_YET) | (end - start >= hold)
    runs = merge_runs(start, end, last, lasted, merge_within)
    known_at = np.where(runs.lasted, runs.start + hold + delay, FAR_FUTURE)
    goes_on = runs.end == NOT_YET
    over_at = np.where(goes_on, FAR_FUTURE, runs.over + delay)
    recovered_at = np.where(goes_on, FAR_FUTURE, np.maximum(runs.end + recovery, over_at))
    return Occurrences(runs.start, runs.start + delay, known_at, over_at, recovered_at)


def merge_runs(
    start: Millis, end: Millis, last: Millis, lasted: BoolArray, merge_within: int
) -> ConditionRuns:
    """Join the runs that lasted for `problem.for` and lie less than `merge_within` (ms) apart:
    together they are one problem.

    The problem is over `merge_within` after its last run, or when a shorter run in this time ends.
    A run that did not last joins nothing.
    """
    if not merge_within:
        return ConditionRuns(start, end, last, lasted, end)
    merged: list[list[int]] = []
    for begin, stop, final, counts in zip(
        start.tolist(), end.tolist(), last.tolist(), lasted.tolist(), strict=True
    ):
        over = FAR_FUTURE if stop == NOT_YET else stop + merge_within * counts
        joins = bool(merged) and bool(merged[-1][3]) and begin < merged[-1][1] + merge_within
        if joins and counts:
            merged[-1][1:] = [stop, final, counts, over]
        elif joins:
            merged[-1][4] = max(merged[-1][4], over)
        else:
            merged.append([begin, stop, final, counts, over])
    columns = np.array(merged, np.int64).reshape(-1, 5).T
    return ConditionRuns(columns[0], columns[1], columns[2], columns[3].astype(bool), columns[4])


def _samples_after(
    samples: ConditionSamples, after: int, earlier: KnownProblem
) -> ConditionSamples:
    """Return the samples after an instant, and before them the first one of the run ongoing
    there."""
    ts, is_met, is_back = samples
    new = int(np.searchsorted(ts, after, side="right"))
    start = ts[:0] if earlier.since is None else np.array([to_millis(earlier.since)], np.int64)
    is_met = np.append(np.ones(len(start), np.bool_), is_met[new:])
    if is_back is not None:
        is_back = np.append(np.zeros(len(start), np.bool_), is_back[new:])
    return ConditionSamples(np.append(start, ts[new:]), is_met, is_back)


def condition_intervals(ts: Millis, bad: BoolArray) -> tuple[Millis, Millis, Millis]:
    """Return, for every run of bad samples, its first instant, the first good instant after it (or
    NOT_YET), and its last instant."""
    edges = np.diff(np.concatenate(([0], bad.astype(np.int8), [0])))
    first = np.flatnonzero(edges == 1)
    after = np.flatnonzero(edges == -1)
    end = (
        np.where(after < len(ts), ts[np.minimum(after, len(ts) - 1)], NOT_YET) if len(ts) else after
    )
    return ts[first], end.astype(np.int64), ts[after - 1] if len(ts) else after


INSIDE_PROBLEM = "inside_problem"
RECOVERY = "recovery"
SUPPRESSED = "suppressed"
REASONS = {
    INSIDE_PROBLEM: translatable("the problem has already started"),
    RECOVERY: translatable("recovery after the problem"),
}


def why_not_counted(
    at: Millis,
    problems: Occurrences,
    is_onset: bool,
    recovered_at: int | None = None,
    is_suppressed: BoolArray | None = None,
) -> npt.NDArray[np.object_]:
    """Return, for each instant (ms, increasing), the reason why it does not count, "" if it counts.

    For an onset, the instants from the moment at which a problem is known to the end of its
    recovery do not count; a model of the state can warn at any instant. `recovered_at`: end (ms) of
    the recovery from problems that were over before these occurrences. `is_suppressed`: which
    instants are suppressed by design.
    """
    reason = np.full(len(at), "", dtype=object)
    if is_suppressed is not None:
        reason[is_suppressed] = SUPPRESSED
    if not is_onset:
        return reason
    if recovered_at is not None:
        reason[at < recovered_at] = RECOVERY
    for ends, why in ((problems.recovered_at, RECOVERY), (problems.over_at, INSIDE_PROBLEM)):
        for first, after in _ranges(at, problems.known_at[problems.lasted], ends[problems.lasted]):
            reason[first:after] = why
    return reason


def is_unknown_start(at: Millis, problems: Occurrences) -> BoolArray:
    """Return a mask of the instants (ms, increasing) at which a problem has started but is not
    known yet.

    A model is evaluated at these instants but does not learn from them.
    """
    unknown = np.zeros(len(at), np.bool_)
    lasted = problems.lasted
    for first, after in _ranges(at, problems.start[lasted], problems.known_at[lasted]):
        unknown[first:after] = True
    return unknown


def starts_uncounted(start: Millis, problems: Occurrences) -> BoolArray:
    """Return a mask of the problems that begin (start in ms) inside an earlier known problem, or in
    its recovery or hold-off.

    No warning of them was possible, so they are listed and are outside recall.
    """
    uncounted = np.zeros(len(start), np.bool_)
    lasted = problems.lasted
    for begin, known_at, recovered in zip(
        problems.start[lasted],
        problems.known_at[lasted],
        problems.recovered_at[lasted],
        strict=True,
    ):
        uncounted |= (start > begin) & (start >= known_at) & (start < recovered)
    return uncounted


def _ranges(at: Millis, since: Millis, until: Millis) -> Iterable[tuple[int, int]]:
    """Return the positions in `at` of each interval [since, until)."""
    first = np.searchsorted(at, since)
    return zip(first.tolist(), np.searchsorted(at, until).tolist(), strict=True)
