"""Requirements of a training on definition and data; each error message says what to do."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.durations import format_duration
from alerting.definitions.faults import TrainingRefused, name_hint, shown
from alerting.definitions.model import TrainedDefinition
from alerting.definitions.wording.language import translatable
from alerting.detection.problems import match_names
from alerting.learning.data.findings import Finding
from alerting.learning.features.planning import event_types
from alerting.readings.history import History, millis


def require_strides(definition: TrainedDefinition) -> None:
    """Raise UserError if the horizon is shorter than one stride."""
    if not definition.is_of_unit and definition.horizon < definition.stride:
        raise TrainingRefused(
            definition.name,
            translatable(
                "the horizon {horizon} is shorter than the stride {stride}, so a problem between "
                "two evaluated instants is never predicted; lengthen horizon or shorten "
                "features.stride",
                horizon=format_duration(definition.horizon),
                stride=format_duration(definition.stride),
            ),
        )


def readings_interval(
    definition: TrainedDefinition, histories: Sequence[History]
) -> tuple[int, int]:
    """Return just before the first and the last reading (ms). Raises UserError without."""
    intervals = [
        millis(pd.DatetimeIndex(h.readings.index[[0, -1]])) for h in histories if len(h.readings)
    ]
    if not intervals:
        names = ", ".join(h.asset.name for h in histories) or translatable(
            "assets that match {patterns}", patterns=", ".join(definition.assets)
        )
        raise TrainingRefused(
            definition.name,
            translatable(
                "no readings of {names} in the period it may learn from; import readings, or check "
                "assets, periods and as_of",
                names=names,
            ),
        )
    return int(min(first for first, _ in intervals)) - 1, int(max(last for _, last in intervals))


def require_problem(definition: TrainedDefinition, histories: Sequence[History]) -> None:
    """Raise UserError if the data have neither the problem's event nor its values."""
    problem = definition.problem
    if problem.event is not None:
        types = event_types(histories)
        if not match_names(types, [problem.event]):
            raise TrainingRefused(
                definition.name,
                translatable(
                    "no event type matches the problem's event {event} ({hint}); import events of "
                    "that type or correct problem.event",
                    event=shown(problem.event),
                    hint=_suggest(problem.event, types),
                ),
            )
        return
    names = {str(v) for h in histories for v in (*h.asset.variables, *h.readings.columns)}
    for name in problem.variables:
        if name not in names:
            raise TrainingRefused(
                definition.name,
                translatable(
                    "no asset has the problem's variable {name} ({hint}); correct the problem",
                    name=shown(name),
                    hint=_suggest(name, names),
                ),
            )
        if not any(name in h.readings and h.readings[name].notna().any() for h in histories):
            raise TrainingRefused(
                definition.name,
                translatable(
                    "the problem's variable {name} has no value at all in the period it may learn "
                    "from; import its values, or name another variable",
                    name=name,
                ),
            )


def _suggest(name: str, names: set[str]) -> str:
    hint = name_hint(name, names, translatable("there is"))
    return hint or translatable("there are none yet")


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
        translatable("no row is followed by the problem")
        if positive == 0
        else translatable("every row is followed by the problem")
    )
    reason = translatable(
        "in the training period {which} ({rows} rows, {problems} problems in all periods "
        "together), so the model has no two classes to separate; check the problem's limit or "
        "event, or use a history with both",
        which=which,
        rows=len(label),
        problems=problems,
    )
    found = [f.message for f in oddities if f.kind != "few_problems"][:3]
    if found:
        reason = translatable(
            "{reason}. Findings on the data: {findings}", reason=reason, findings=" ".join(found)
        )
    raise TrainingRefused(definition.name, reason)
