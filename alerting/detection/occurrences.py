"""Find when the condition of a problem was true, as a pure function of samples or events, and which
times do not count: inside a known problem, its recovery or hold-off, and suppression by design.
Loads only numpy.

One rule for training, threshold, test, live evaluation, backtest, outcome and report.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from alerting.deferred import np, npt
from alerting.definitions.wording.language import translatable
from alerting.readings.history import FAR_FUTURE, Millis, from_millis, to_millis

BoolArray: TypeAlias = "npt.NDArray[np.bool_]"
NOT_YET = -(2**63)
_TIMES = ("start", "true_at", "known_at", "over_at", "recovered_at")


@dataclass(frozen=True)
class Occurrences:
    """Times (ms, increasing) of a problem's condition on one asset, one entry for each run of
    samples that meet it, or event; problems nearer than `problem.merge_within` are one entry.

    `start`: its first sample. `true_at`: from when it is known to be true. `known_at`: when it is
    known to have lasted for `problem.for`; FAR_FUTURE if it did not. `over_at`: when it is known to
    be over; FAR_FUTURE while it goes on. `recovered_at`: the end of its recovery or hold-off, never
    before it is known to be over. `is_carried`: the next evaluation needs the start of the one that
    goes on.
    """

    start: Millis
    true_at: Millis
    known_at: Millis
    over_at: Millis
    recovered_at: Millis
    is_carried: bool = True

    def columns(self, asset: str) -> dict[str, Any]:
        """Return the columns of a frame with one row for each occurrence on this asset."""
        return {
            "asset": np.full(len(self.start), asset, dtype=object),
            **{name: getattr(self, name) for name in _TIMES},
        }

    @classmethod
    def from_columns(cls, columns: Any) -> Occurrences:
        """Return the occurrences in such columns of a mapping or frame, all of one asset."""
        start, true_at, known_at, over_at, recovered_at = (
            np.asarray(columns[name], np.int64) for name in _TIMES
        )
        return cls(start, true_at, known_at, over_at, recovered_at)

    @property
    def lasted(self) -> BoolArray:
        """Return which of them lasted for `problem.for`, so that they are problems."""
        return self.known_at < FAR_FUTURE

    def ended_at(self, instant: datetime) -> Occurrences:
        """Return the occurrences with the one that goes on at an instant ended there, by hand,
        without any recovery."""
        at = to_millis(instant)
        ended = (self.known_at <= at) & (at < self.over_at)
        return replace(
            self,
            over_at=np.where(ended, at, self.over_at),
            recovered_at=np.where(ended, 0, self.recovered_at),
        )

    def hold_at(self, at: Millis) -> BoolArray:
        """Return at which instants (ms) the condition is known to be true, also before it has
        lasted for `problem.for`."""
        which = np.searchsorted(self.true_at, at, side="right") - 1
        over_at = np.append(self.over_at, 0)  # the last one answers for -1: no occurrence yet
        return np.asarray(at < over_at[which], np.bool_)

    def start_at(self, instant: datetime) -> datetime | None:
        """Return the start of the occurrence that is known to be true at an instant, None without
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

    `is_first`: it was not evaluated before; what has been is then what the samples show.
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
    """Return the occurrences of events that lie `merge_within` or more apart (ms) and do not
    overlap. `end`: NOT_YET while one goes on.

    `recovery`: ms after the end; None if it is not stated: then `hold_off` (ms) after an instant
    event, nothing after a lasting one. The instant of an event never counts. `earlier`: what an
    earlier evaluation has found; events over by then are left out. `delay`: ms after which start
    and end are known.
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
    """Samples of a problem's condition on one asset: instants (ms), where it is met, and where it
    is back.

    `is_back`: the condition, once met, holds until there; None: until the first sample that does
    not meet it.
    """

    ts: Millis
    is_met: BoolArray
    is_back: BoolArray | None = None

    @property
    def is_present(self) -> BoolArray:
        """Return at which samples the condition holds: it was met, and has not been back since."""
        if self.is_back is None:
            return self.is_met
        changes = np.where(self.is_met | self.is_back, np.arange(len(self.ts)), -1)
        latest = np.maximum.accumulate(changes) if len(changes) else changes
        return np.append(self.is_met, False)[latest]


class ConditionRuns(NamedTuple):
    """Runs of samples at which a condition holds (ms): first sample, first one after it (NOT_YET
    while it goes on), last one of the run, whether it lasted, and from when it is over."""

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
    """Return every run of samples at which the condition holds. A value holds until the next
    sample.

    `hold`, `delay`, `recovery`: `problem.for`, the delay of the variable and the recovery after the
    last run (ms). `earlier`: what an earlier evaluation has found; runs that were over by then are
    left out. `merge_within`: as for `merge_runs`.
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
    """Join the runs that lasted and lie less than `merge_within` (ms) apart: they are one problem.

    It is over `merge_within` after its end, when no other one can join it. A run that did not last
    is no problem: within this time it joins nothing, and what is over waits for its end.
    """
    if not merge_within:
        return ConditionRuns(start, end, last, lasted, end)
    found: list[list[int]] = []
    for begin, stop, final, counts in zip(
        start.tolist(), end.tolist(), last.tolist(), lasted.tolist(), strict=True
    ):
        over = FAR_FUTURE if stop == NOT_YET else stop + merge_within * counts
        joins = bool(found) and bool(found[-1][3]) and begin < found[-1][1] + merge_within
        if joins and counts:
            found[-1][1:] = [stop, final, counts, over]
        elif joins:
            found[-1][4] = max(found[-1][4], over)
        else:
            found.append([begin, stop, final, counts, over])
    columns = np.array(found, np.int64).reshape(-1, 5).T
    return ConditionRuns(columns[0], columns[1], columns[2], columns[3].astype(bool), columns[4])


def _samples_after(
    samples: ConditionSamples, after: int, earlier: KnownProblem
) -> ConditionSamples:
    """Return the samples after an instant, and before them the first one of the run that goes on
    there."""
    ts, is_met, is_back = samples
    new = int(np.searchsorted(ts, after, side="right"))
    start = ts[:0] if earlier.since is None else np.array([to_millis(earlier.since)], np.int64)
    is_met = np.append(np.ones(len(start), np.bool_), is_met[new:])
    if is_back is not None:
        is_back = np.append(np.zeros(len(start), np.bool_), is_back[new:])
    return ConditionSamples(np.append(start, ts[new:]), is_met, is_back)


def ends_of_runs(values: npt.NDArray[Any]) -> BoolArray:
    """Return the first and the last one of each run of equal values."""
    if not len(values):
        return np.zeros(0, np.bool_)
    is_other = values[1:] != values[:-1]
    return np.asarray(np.r_[True, is_other] | np.r_[is_other, True])


def condition_intervals(ts: Millis, bad: BoolArray) -> tuple[Millis, Millis, Millis]:
    """Return first instant, first good instant after (or NOT_YET) and last bad instant of every run
    of bad samples."""
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
    """Return why each instant (ms, increasing) does not count, "" where it does.

    Of an onset the instants from the moment at which the problem is known to the end of its
    recovery do not count; a model of the state can warn at any. `recovered_at`: end (ms) of the
    recovery from problems that were over before these. `is_suppressed`: by design.
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
    """Return whether a problem has started at each instant (ms, increasing) and is not known yet.

    A model is asked there, but learns nothing from it: the answer is neither "it will start" nor
    "it will not".
    """
    found = np.zeros(len(at), np.bool_)
    for first, after in _ranges(
        at, problems.start[problems.lasted], problems.known_at[problems.lasted]
    ):
        found[first:after] = True
    return found


def starts_uncounted(start: Millis, problems: Occurrences) -> BoolArray:
    """Return which problems, by their start (ms), begin inside an earlier known one, or in its
    recovery or hold-off.

    No warning of them was possible, so they are listed and are outside recall.
    """
    found = np.zeros(len(start), np.bool_)
    of = problems.lasted
    for begin, known, recovered in zip(
        problems.start[of], problems.known_at[of], problems.recovered_at[of], strict=True
    ):
        found |= (start > begin) & (start >= known) & (start < recovered)
    return found


def _ranges(at: Millis, since: Millis, until: Millis) -> Iterable[tuple[int, int]]:
    """Return the positions in `at` of each interval [since, until)."""
    first = np.searchsorted(at, since)
    after = np.searchsorted(at, until)
    return zip(first.tolist(), after.tolist(), strict=True)
