"""Learned limits over time, as charts draw them, found as evaluation finds them."""

from collections.abc import Iterator, Sequence

import numpy as np

from alerting.definitions.model import Condition, Severity
from alerting.definitions.wording.language import translatable
from alerting.detection.learned_limits import LearnedLimits, Numbers, learned_sides_at
from alerting.kinds.protocol.evaluation import EvaluationSources, VersionInterval
from alerting.kinds.threshold.definition import LearnedThresholdDefinition, ThresholdDefinition
from alerting.kinds.threshold.learned import limits_in_force, split_at_cutoff
from alerting.readings.history import Millis, to_millis
from alerting.reporting.figures.episode_chart import MovingLevel

_QUARTER_MS = (
    900_000  # every zone is a multiple of it away from UTC, so an hour of the day begins with one
)
# A variable, a severity and a side, and the number of the line among those that have these in
# common.
_Line = tuple[str, Severity, str, int]


def moving_levels(
    definition: ThresholdDefinition, sources: EvaluationSources, parts: Sequence[VersionInterval]
) -> dict[str, tuple[MovingLevel, ...]]:
    """Return the learned limits of a definition in parts which follow one another, by variable.

    Each part has those of its own revision and version. Raises ModelUnavailable if an estimate in
    service cannot be read.
    """
    if not isinstance(definition, LearnedThresholdDefinition) or not parts:
        return {}
    found = [_in_part(sources, piece) for part in parts for piece in _pieces(sources, part)]
    several = any(one.levels is not None for one in definition.conditions)
    levels: dict[str, tuple[MovingLevel, ...]] = {}
    for line in dict.fromkeys(line for _, lines in found for line in lines):
        variable, severity, *_ = line
        steps = [lines.get(line, (np.array([start]), np.array([np.nan]))) for start, lines in found]
        at, values = (np.concatenate(column) for column in zip(*steps, strict=True))
        same = (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
        kept = np.append(True, ~same)
        label = severity if several else translatable("limit")
        drawn = MovingLevel(at[kept], values[kept], to_millis(parts[-1].end), label)
        levels[variable] = (*levels.get(variable, ()), drawn)
    return levels


def _pieces(sources: EvaluationSources, part: VersionInterval) -> list[VersionInterval]:
    definition = part.revision.definition if part.revision else None
    if not isinstance(definition, LearnedThresholdDefinition) or definition.state != "active":
        return [part]
    return split_at_cutoff(definition, sources, part, None)


def _in_part(
    sources: EvaluationSources, part: VersionInterval
) -> tuple[int, dict[_Line, tuple[Millis, Numbers]]]:
    """Return a part's first instant and its limits: none before learned ones serve."""
    start = to_millis(part.start) + 1
    found = dict[_Line, tuple[Millis, Numbers]]()
    definition = part.revision.definition if part.revision else None
    if isinstance(definition, LearnedThresholdDefinition) and definition.state == "active":
        learned = limits_in_force(definition, sources, part, None)
        for condition in definition.conditions:
            for severity, side, steps in _of_condition(
                condition, learned, start, to_millis(part.end)
            ):
                same = (condition.variable, severity, side)
                found[*same, sum(line[:3] == same for line in found)] = steps
    return start, found


def _of_condition(
    condition: Condition, learned: LearnedLimits | None, start: int, end: int
) -> Iterator[tuple[Severity, str, tuple[Millis, Numbers]]]:
    if learned is None:
        return
    instants = [
        np.array([start]),
        np.arange(start // _QUARTER_MS + 1, end // _QUARTER_MS + 1) * _QUARTER_MS,
    ]
    for category in learned.categories.values():
        instants += [category.at, category.at + category.longest + 1]
    ts = np.unique(np.concatenate(instants).astype(np.int64))
    ts = ts[(ts >= start) & (ts <= end)]
    for one in learned_sides_at(condition, learned, ts):
        yield one.severity, one.side, (ts, one.moving.values)
