"""Requirements of a training on definition and data; each error message says what to do."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.durations import format_duration
from alerting.definitions.faults import UserError, name_hint
from alerting.definitions.model import TrainedDefinition
from alerting.detection.problems import match_names
from alerting.learning.data.findings import Finding
from alerting.learning.features.planning import event_types
from alerting.readings.history import History, millis


def require_strides(definition: TrainedDefinition) -> None:
    """Raise UserError if the horizon is shorter than one stride."""
    if not definition.is_of_unit and definition.horizon < definition.stride:
        raise UserError(
            f"{definition.name}: the horizon {format_duration(definition.horizon)} is shorter than "
            f"the stride {format_duration(definition.stride)}, so a problem between two evaluated "
            "instants is never predicted; lengthen horizon or shorten features.stride"
        )


def readings_interval(
    definition: TrainedDefinition, histories: Sequence[History]
) -> tuple[int, int]:
    """Return just before the first and the last reading (ms). Raises UserError without."""
    intervals = [
        millis(pd.DatetimeIndex(h.readings.index[[0, -1]])) for h in histories if len(h.readings)
    ]
    if not intervals:
        names = (
            ", ".join(h.asset.name for h in histories)
            or f"assets that match {', '.join(definition.assets)}"
        )
        raise UserError(
            f"{definition.name}: no readings of {names} in the period it may learn from; import "
            "readings, or check assets, periods and as_of"
        )
    return int(min(first for first, _ in intervals)) - 1, int(max(last for _, last in intervals))


def require_problem(definition: TrainedDefinition, histories: Sequence[History]) -> None:
    """Raise UserError if the data have neither the problem's event nor its values."""
    problem = definition.problem
    if problem.event is not None:
        types = event_types(histories)
        if not match_names(types, [problem.event]):
            raise UserError(
                f"{definition.name}: no event type matches the problem's event {problem.event!r}"
                f"{_suggest(problem.event, types)}; import events of that type or correct "
                "problem.event"
            )
        return
    names = {str(v) for h in histories for v in (*h.asset.variables, *h.readings.columns)}
    for name in problem.variables:
        if name not in names:
            raise UserError(
                f"{definition.name}: no asset has the problem's variable "
                f"{name!r}{_suggest(name, names)}; correct the problem"
            )
        if not any(name in h.readings and h.readings[name].notna().any() for h in histories):
            raise UserError(
                f"{definition.name}: the problem's variable {name} has no value at all in the "
                "period it may learn from; import its values, or name another variable"
            )


def _suggest(name: str, names: set[str]) -> str:
    return f" ({name_hint(name, names, 'there is') or 'there are none yet'})"


def require_both_classes(
    definition: TrainedDefinition,
    label: npt.NDArray[np.int8],
    problems: int,
    oddities: Sequence[Finding],
) -> None:
    """Raise UserError, with the first oddities, if all training labels are alike."""
    positive = int(label.sum())
    if 0 < positive < len(label):
        return
    which = (
        "no row is followed by the problem"
        if positive == 0
        else "every row is followed by the problem"
    )
    raise UserError(
        f"{definition.name}: in the training period {which} ({len(label)} rows, {problems} "
        "problems in all periods together), so the model has no two classes to separate; check the "
        "problem's limit or event, or use a history with both"
        f"{_describe_oddities([f for f in oddities if f.kind != 'few_problems'])}"
    )


def _describe_oddities(findings: Sequence[Finding]) -> str:
    return (
        ". Findings on the data: " + " ".join(f.message for f in findings[:3]) if findings else ""
    )
