"""The trials of a search, and its ceiling: CPU time, and time by the clock against a hang.

The ceiling is CPU time because time by the clock includes other programs: a busy machine would
train another model.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from alerting.definitions.faults import format_duration
from alerting.definitions.fields.learning import CLOCK_TO_CPU, Learning

if TYPE_CHECKING:
    import optuna


class TimeUsed(NamedTuple):
    """Seconds since any fixed moment: CPU time, and by the clock."""

    cpu: float
    clock: float


ReadTime = Callable[[], TimeUsed]


def run_trials(
    study: "optuna.Study",
    attempt: "Callable[[optuna.Trial], float]",
    learning: Learning,
    read_time: ReadTime | None = None,
) -> str:
    """Try `learning.trials` sets, one after the other; return the ceiling that ended the search
    early, else "".

    No trial but the first begins beyond the ceiling; a trial that has begun is finished. Without
    `read_time` there is no ceiling. A study of fewer trials is the beginning of one of more.
    """
    began = read_time() if read_time else None
    reason = ""

    def end_at_ceiling(running: "optuna.Study", _: object) -> None:
        nonlocal reason
        if read_time and began:
            reason = _describe(learning, began, read_time())
        if reason:
            running.stop()

    study.optimize(attempt, n_trials=learning.trials, callbacks=[end_at_ceiling])
    done = sum(trial.state.is_finished() for trial in study.trials)
    return reason if done < learning.trials else ""


def _describe(learning: Learning, began: TimeUsed, now: TimeUsed) -> str:
    """Return which ceiling is reached; empty if none is."""
    budget = learning.time_budget
    if timedelta(seconds=now.cpu - began.cpu) >= budget:
        return f"the time budget of {format_duration(budget)} of CPU time"
    if timedelta(seconds=now.clock - began.clock) >= learning.longest_by_clock:
        longest = format_duration(learning.longest_by_clock)
        return f"the limit of {longest} by the clock, {CLOCK_TO_CPU} times the time budget,"
    return ""
