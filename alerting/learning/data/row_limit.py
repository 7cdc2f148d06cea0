"""The limit on a training's rows: above it they are thinned evenly, with a finding.

It applies before any feature is computed. Without a setting the limit follows from the machine's
memory: half of it fits the cells of the readings and of the rows, each with BYTES_PER_CELL at the
peak of a training.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.faults import TrainingRefused, format_duration, name_hint, shown
from alerting.definitions.model import TrainedDefinition
from alerting.definitions.wording.language import translatable
from alerting.detection.problems import BoolArray, match_names
from alerting.learning.data.findings import Finding
from alerting.learning.data.split import Parts
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.features.planning import event_types
from alerting.readings.history import History, Millis, millis

BYTES_PER_CELL = (
    100  # measured: 51 to 80 at the peak of single families, for 30 columns and for 12,000
)
MOST_THINNING = 50  # fewer training rows than one in fifty: the stride is too fine for the limit
THINNED: Final = "row_limit"


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


def count_cells(plan: FeaturePlan) -> int:
    """Count the cells of one row: one for each column, and one for each level of a category."""
    return len(plan.columns) + sum(len(levels) for levels in plan.levels.values())


def default_max_rows(memory_bytes: int, cells: int, readings: int) -> int:
    """Return how many rows of `cells` cells fit into half of a machine's memory."""
    return max(0, (memory_bytes // 2 // BYTES_PER_CELL - readings) // cells)


def limit_rows(
    definition: TrainedDefinition,
    plan: FeaturePlan,
    readings: int,
    at: Millis,
    part: Parts,
    label: npt.NDArray[np.int8],
    max_rows: int | None,
    memory_bytes: int | None,
) -> tuple[BoolArray, Finding | None]:
    """Select the rows to retain, and describe the selection as a finding.

    All rows are retained, or of training only every k-th instant, so that at most `max_rows`
    remain. `max_rows`: None for the number that `memory_bytes` allow (None: any number).
    `readings`: values of the readings. Both classes are thinned alike, on the same instants of all
    assets; validation and test stay whole, because episodes are evaluated on them. Raises
    UserError, with the numbers, if even one in fifty training rows is too many, or leaves one
    class.
    """
    everything = np.ones(len(at), np.bool_)
    reason = "set by ALERTING_MAX_TRAINING_ROWS"
    if max_rows is None:
        if memory_bytes is None:
            return everything, None
        max_rows = default_max_rows(memory_bytes, count_cells(plan), readings)
        reason = translatable(
            "half of {memory} MiB of memory, for {columns} columns and {values} values of readings",
            memory=memory_bytes >> 20,
            columns=len(plan.columns),
            values=readings,
        )
    if len(at) <= max_rows:
        return everything, None
    train = part == "train"
    turn = at // plan.stride_ms
    for every in range(2, MOST_THINNING + 1):
        selected = ~train | (turn % every == 0)
        left = label[train & selected]
        if not 0 < left.sum() < len(left) and definition.must_know is None:
            break
        if selected.sum() <= max_rows:
            message = (
                f"Only every {every}. instant of the training period was kept ({len(left)} of "
                f"{int(train.sum())} rows): "
                f"the dataset has {len(at)} rows, and {max_rows} are allowed ({reason})."
            )
            return selected, Finding(THINNED, None, float(every), "left out", message)
    raise TrainingRefused(
        definition.name,
        translatable(
            "the dataset has {rows} rows, {outside} of them outside of the training period, and "
            "{most} are allowed ({reason}); even a small part of the training rows beside the "
            "others is too much. Lengthen features.stride, use fewer variables or windows, or "
            "allow more with ALERTING_MAX_TRAINING_ROWS",
            rows=len(at),
            outside=int((~train).sum()),
            most=max_rows,
            reason=reason,
        ),
    )
