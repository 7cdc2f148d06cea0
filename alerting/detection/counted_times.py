"""Times that do not count: inside a known problem, its recovery or hold-off, and suppression by
design.

One rule for training, threshold, test, live evaluation, backtest, outcome and report.
"""

from __future__ import annotations

from collections.abc import Iterable

from alerting.deferred import np, npt
from alerting.definitions.wording.language import translatable
from alerting.detection.occurrences import BoolArray, Occurrences
from alerting.readings.history import Millis

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
