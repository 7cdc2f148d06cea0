"""Problems in bursts: one disturbance counted many times, because its values are noisy about the
limit. What to write into the definition so that it is one problem."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

import numpy as np

from alerting.definitions.faults import format_duration
from alerting.definitions.model import Problem
from alerting.detection.problems import find_problems
from alerting.learning.data.findings import Finding
from alerting.readings.history import History, Millis, duration_millis, millis

# Problems come in bursts if, of at least LEAST problems, half of the times between them or more lie
# below a tenfold step (STEP), and at least two above it. Of 4,000 series of times by chance
# (exponential, 10 to 100 problems) fewer than 1 in 1,000 have such a step.
LEAST = 10
STEP = 10
_ROUND = tuple(timedelta(minutes=n) for n in (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240))
_ROUND += tuple(timedelta(hours=n) for n in (6, 8, 12, 24))


@dataclass(frozen=True)
class Bursts:
    """Problems that come in bursts. `problems`: as written; `merged`: with this `merge_within`."""

    name: str
    problems: int
    merged: int
    merge_within: timedelta

    @property
    def message(self) -> str:
        """Describe them in a sentence, with what to write."""
        return (
            "The problems come in bursts, as noise about a limit makes them: "
            f"{self.problems} as written, {self.merged} with {self.remedy}."
        )

    @property
    def remedy(self) -> str:
        """Return the field that makes each burst one problem, as it is written."""
        return f"problem.merge_within: {format_duration(self.merge_within)}"


def find_bursts(
    problem: Problem, histories: Sequence[History], near: timedelta = timedelta(0)
) -> Bursts | None:
    """Return the bursts in which problems come on these assets, and what makes each burst one
    problem; None where they do not.

    `near`: most of them beginning within this time of another one is a burst, too.
    """
    found = [find_problems(problem, history) for history in histories]
    starts = [millis(one["start"]) for one in found]
    ends = [millis(one["end"]) for one in found]
    gaps = [start[1:] - end[:-1] for start, end in zip(starts, ends, strict=True)]
    between = np.concatenate(gaps) if gaps else np.empty(0, np.int64)
    longest = longest_in_burst(between) or _longest_near(between, duration_millis(near))
    if longest is None:
        return None
    merge_within = _round_up(timedelta(milliseconds=2 * longest))
    as_one = problem.model_copy(update={"merge_within": merge_within})
    return Bursts(
        problem.variable or problem.event or "problem",
        sum(len(start) for start in starts),
        sum(len(find_problems(as_one, history)) for history in histories),
        merge_within,
    )


def longest_in_burst(gaps: Millis) -> int | None:
    """Return the longest of the short times (ms) between problems, if they come in bursts."""
    gaps = np.sort(gaps)
    if len(gaps) + 1 < LEAST:
        return None
    short = np.arange(ceil(len(gaps) / 2) - 1, len(gaps) - 2)
    steps = gaps[short + 1] / np.maximum(gaps[short], 1)
    return int(gaps[short[np.argmax(steps)]]) if steps.max() >= STEP else None


def _longest_near(gaps: Millis, near: int) -> int | None:
    """Return the longest of the times (ms) between problems up to `near`, if most are that short
    and some are not."""
    short = gaps[gaps <= near]
    is_most = 2 * len(short) > len(gaps) + 1 and len(short) < len(gaps)
    return int(short.max()) if is_most else None


def burst_findings(problem: Problem, histories: Sequence[History]) -> Iterator[Finding]:
    """Yield the finding that problems come in bursts."""
    bursts = find_bursts(problem, histories)
    if bursts is not None:
        yield Finding("bursts", bursts.name, bursts.problems, "kept", bursts.message)


def _round_up(duration: timedelta) -> timedelta:
    """Return a usual duration that is not shorter."""
    day = timedelta(days=1)
    return next((one for one in _ROUND if one >= duration), ceil(duration / day) * day)
