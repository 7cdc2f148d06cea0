"""Times that a search uses, as a machine would report them."""

from alerting.learning.experiment.trials import ReadTime, TimeUsed


def time_of_trials(cpu: float, clock: float | None = None) -> ReadTime:
    """Return a clock by which each trial takes as many seconds; by the clock as long as it computes
    when left out."""
    trials = -1

    def read_time() -> TimeUsed:
        nonlocal trials
        trials += 1
        return TimeUsed(trials * cpu, trials * (cpu if clock is None else clock))

    return read_time
