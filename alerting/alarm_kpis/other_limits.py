"""Propose another limit or an on-delay, tried on the condition's own history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from alerting.alarm_kpis.load import replay
from alerting.deferred import np
from alerting.definitions.faults import format_duration
from alerting.definitions.model import Condition
from alerting.episodes.lifecycle import Step
from alerting.readings.history import History

_DELAYS = tuple(timedelta(seconds=s) for s in (5, 10, 15, 30, 60, 120, 300, 600, 1800))
Fields = dict[str, float | str]


class LimitChange(NamedTuple):
    """Fields of a definition as an engineer would write them, and the condition with them."""

    fields: Fields
    condition: Condition


@dataclass(frozen=True)
class LimitProposal:
    """A change that makes alarms rare enough, with the number of raises before and after."""

    change: Fields
    raises_before: int
    raises_after: int
    message: str


def quieten(
    definition: Condition,
    history: History,
    start: datetime,
    end: datetime,
    quiet: Callable[[list[Step]], bool],
) -> tuple[LimitProposal, ...]:
    """Return the least clear limit and on-delay with `quiet` steps; none if quiet already."""
    before = replay(definition, history, start, end)
    if quiet(before):
        return ()
    proposals = []
    for changes, advice in (
        (_clear_limits(definition, history), "it clears further inside its limits"),
        (_delays(definition), "only where an alarm that clears at once needs no action"),
    ):
        for change in changes:
            after = replay(change.condition, history, start, end)
            if quiet(after):
                proposals.append(_proposal(change.fields, _raises(before), _raises(after), advice))
                break
    return tuple(proposals)


def noise(values: np.ndarray) -> float:
    """Return the noise: 1.4826 times the median distance of neighbours, over √2.

    Differences remove the trend, the median removes the jumps; for the factor see Rousseeuw and
    Croux, 1993. Where more than half of the neighbours are equal: the smallest difference that
    occurs.
    """
    differences = np.abs(np.diff(values[np.isfinite(values)]))
    changes = differences[differences > 0]
    if not len(changes):
        return 0.0
    return float(1.4826 * np.median(differences) / np.sqrt(2)) or float(changes.min())


def _clear_limits(condition: Condition, history: History) -> Iterator[LimitChange]:
    above = condition.above
    below = condition.below
    if condition.variable not in history.readings or not _plain(above, below):
        return
    sigma = noise(history.readings[condition.variable].to_numpy(np.float64))
    for step in (1, 2, 3, 4, 6, 8) if sigma else ():
        fields: Fields = {}
        if isinstance(above, int | float):
            fields["clear_above_at"] = _round_to_noise(above - step * sigma, sigma)
        if isinstance(below, int | float):
            fields["clear_below_at"] = _round_to_noise(below + step * sigma, sigma)
        if _further_inside(condition, fields) and _apart(fields):
            yield LimitChange(fields, condition.model_copy(update=fields))


def _plain(*limits: object) -> bool:
    """Return whether limits are written as numbers, at least one of them."""
    given = [limit for limit in limits if limit is not None]
    return bool(given) and all(isinstance(limit, int | float) for limit in given)


def _further_inside(definition: Condition, change: Fields) -> bool:
    high = definition.clear_above_at
    low = definition.clear_below_at
    above = not isinstance(high, int | float) or float(change.get("clear_above_at", high)) <= high
    below = not isinstance(low, int | float) or float(change.get("clear_below_at", low)) >= low
    return above and below


def _apart(change: Fields) -> bool:
    return (
        "clear_above_at" not in change
        or "clear_below_at" not in change
        or float(change["clear_below_at"]) < float(change["clear_above_at"])
    )


def _round_to_noise(value: float, sigma: float) -> float:
    """Return the value with no more digits than the noise allows: one of the noise itself."""
    return round(value, -int(np.floor(np.log10(sigma))))


def _delays(condition: Condition) -> Iterator[LimitChange]:
    for delay in _DELAYS:
        if delay > condition.hold:
            fields: Fields = {"for": format_duration(delay)}
            yield LimitChange(fields, condition.model_copy(update={"hold": delay}))


def _raises(steps: list[Step]) -> int:
    return sum(step.kind == "raised" for step in steps)


def _proposal(change: Fields, before: int, after: int, advice: str) -> LimitProposal:
    what = ", ".join(
        f"{name}: {value if isinstance(value, str) else format(value, 'g')}"
        for name, value in change.items()
    )
    return LimitProposal(
        change,
        before,
        after,
        f"{what} ({advice}): raised {after} times instead of {before} on these readings",
    )
