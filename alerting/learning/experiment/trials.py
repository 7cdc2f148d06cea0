"""The trials of a search, and its ceiling: CPU time, and time by the clock against a hang. A trial
that raises an exception ends no search.

The ceiling is CPU time because time by the clock includes other programs: a busy machine would
train another model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import nan
from typing import TYPE_CHECKING, Any, NamedTuple

from alerting.definitions.faults import UserError, format_duration, name_fault
from alerting.definitions.fields.learning import CLOCK_TO_CPU, Learning

if TYPE_CHECKING:
    import optuna

_FAULT = "fault"
_FAILED = "failed: "


@dataclass(frozen=True)
class Trial:
    """One parameter set, and its mean average precision over the completed folds.

    `state`: complete; or pruned (stopped after some folds, worse than the median of the trials
    before it); or failed, with the exception.
    """

    params: dict[str, Any]
    ap: float
    folds: tuple[float, ...]
    state: str = "complete"

    @property
    def fault(self) -> str:
        """Return the exception of a failed trial; empty for another one."""
        return self.state.removeprefix(_FAILED) if self.state.startswith(_FAILED) else ""


def describe_failed(tried: Sequence[Trial]) -> str:
    """Return how many trials failed, and why the first did; empty without one."""
    faults = [trial.state for trial in tried if trial.fault]
    noun = "trial" if len(tried) == 1 else "trials"
    return f"{len(faults)} of {len(tried)} {noun} {faults[0]}" if faults else ""


class TimeUsed(NamedTuple):
    """Seconds since any fixed moment: CPU time, and by the clock."""

    cpu: float
    clock: float


ReadTime = Callable[[], TimeUsed]


class SearchFailed(UserError):
    """Every one of these trials raised an exception."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self.trials = trials
        super().__init__(describe_failed(trials))


class SearchEnd(NamedTuple):
    """How a search ended after `done` trials. `ceiling`: that ended it early, else empty. `failed`:
    the trials that raised an exception, which is their state."""

    done: int
    ceiling: str
    failed: tuple[Trial, ...]

    def describe(self, family: str, trials: int) -> list[str]:
        """Return a sentence on a search that ended early."""
        if not self.ceiling:
            return []
        return [f"{self.ceiling} ended the search of {family} after {self.done} of {trials} trials"]


def run_trials(
    study: "optuna.Study",
    attempt: "Callable[[optuna.Trial], float]",
    learning: Learning,
    report: Callable[[int], None],
    read_time: ReadTime | None = None,
) -> SearchEnd:
    """Try `learning.trials` sets, one after the other. `report`: called after each trial with their
    number. Raises SearchFailed if each raised an exception.

    No trial but the first begins beyond the ceiling; a trial that has begun is finished. Without
    `read_time` there is no ceiling. A study of fewer trials is the beginning of one of more.
    """
    began = read_time() if read_time else None
    reason = ""

    def attempt_recorded(trial: "optuna.Trial") -> float:
        try:
            return attempt(trial)
        except Exception as fault:
            trial.set_user_attr(_FAULT, name_fault(fault))
            raise

    def end_at_ceiling(running: "optuna.Study", trial: "optuna.trial.FrozenTrial") -> None:
        nonlocal reason
        report(trial.number + 1)
        if read_time and began:
            reason = _describe(learning, began, read_time())
        if reason:
            running.stop()

    study.optimize(
        attempt_recorded, learning.trials, callbacks=[end_at_ceiling], catch=(Exception,)
    )
    done = [trial for trial in study.trials if trial.state.is_finished()]
    failed = tuple(
        Trial(trial.params, nan, (), f"{_FAILED}{trial.user_attrs[_FAULT]}")
        for trial in done
        if trial.state.name == "FAIL"
    )
    if len(failed) == len(done):
        raise SearchFailed(failed)
    return SearchEnd(len(done), reason if len(done) < learning.trials else "", failed)


def _describe(learning: Learning, began: TimeUsed, now: TimeUsed) -> str:
    """Return which ceiling is reached; empty if none is."""
    budget = learning.time_budget
    if timedelta(seconds=now.cpu - began.cpu) >= budget:
        return f"the time budget of {format_duration(budget)} of CPU time"
    if timedelta(seconds=now.clock - began.clock) >= learning.longest_by_clock:
        longest = format_duration(learning.longest_by_clock)
        return f"the limit of {longest} by the clock, {CLOCK_TO_CPU} times the time budget,"
    return ""
