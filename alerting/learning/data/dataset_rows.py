"""Rows of a dataset apart from their features: labelled for each asset and joined, split by time
into train, validation and test with a purge between them, and limited in number.

Above the limit rows are thinned evenly, with a finding, before any feature is computed. Without a
setting the limit follows from the machine's memory: the cells of readings and rows, with
BYTES_PER_CELL each at the peak of a training, must fit into half of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.faults import TrainingRefused, format_duration, name_hint, shown
from alerting.definitions.fields.learning import Dates
from alerting.definitions.wording.language import translatable
from alerting.detection.problem_occurrences import match_names, problem_samples
from alerting.detection.suppressed_intervals import IntervalsByAsset
from alerting.learning.data.findings import Finding
from alerting.learning.data.row_labels import (
    LEFT_OUT,
    POSITIVE,
    WEIGHTED,
    Effects,
    FeedbackLabel,
    Labels,
    label_instants,
    label_modes,
    persistence,
    relabel,
)
from alerting.learning.features.plan import FeaturePlan, describe_window
from alerting.learning.features.planning import event_types
from alerting.learning.features.point_in_time import evaluated_instants, is_known
from alerting.readings.history import (
    BoolArray,
    Floats,
    History,
    Millis,
    duration_millis,
    from_millis,
    has_data,
    millis,
    to_millis,
)

PARTS = ("train", "validation", "test")
_PERIODS = {
    "train": translatable("training"),
    "validation": translatable("validation"),
    "test": translatable("test"),
}
Parts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Borders:
    """The parts in ms: (start, train_end], (validation, validation_end], (test, end]."""

    start: int
    train_end: int
    validation: int
    validation_end: int
    test: int
    end: int


def split_borders(definition: TrainedDefinition, start: int, end: int) -> Borders:
    """Cut one common interval: the newest part is test, the part before it validation, and all
    before that train.

    Shares are of the interval; a length ends where the next part begins; dates are as given. All
    are in ms. Raises TrainingRefused if the shares leave nothing to train on.
    """
    periods = definition.periods
    span = end - start
    validation = periods.validation
    test = periods.test
    if isinstance(validation, float) and isinstance(test, float) and validation + test >= 1:
        raise TrainingRefused(
            definition.name,
            translatable(
                "periods.validation {validation} and periods.test {test} leave nothing to train "
                "on; they must add up to less than 1, for example 0.2 and 0.2",
                validation=str(validation),
                test=str(test),
            ),
        )
    test_start = _start_of(test, end, span)
    validation_start = _start_of(validation, test_start, span)
    if isinstance(validation, float) and isinstance(test, float):
        validation_start = end - round(span * (validation + test))
    train = periods.train
    return Borders(
        start if train is None else max(start, _start_of(train, validation_start, span)),
        _end_of(train, validation_start),
        validation_start,
        _end_of(validation, test_start),
        test_start,
        end,
    )


def _start_of(period: timedelta | Dates | float, end: int, span: int) -> int:
    if isinstance(period, Dates):
        return to_millis(period.start)
    return end - (
        duration_millis(period) if isinstance(period, timedelta) else round(span * period)
    )


def _end_of(period: timedelta | Dates | float | None, following: int) -> int:
    return (
        to_millis(period.end) if isinstance(period, Dates) and period.end is not None else following
    )


def purge_length(definition: TrainedDefinition, plan: FeaturePlan) -> int:
    """Return how far before a border (ms) rows are purged.

    The label of a row reaches gap + horizon + `for` ahead, and features after the border look back
    as far as the plan reaches. The recency of events is exempt, and so are earlier results of a
    value that is estimated between them.
    """
    label = definition.gap + definition.horizon + definition.problem.hold
    if not definition.has_alarm and plan.results_of:
        label = max(leads_of(definition, plan))
    return duration_millis(label) + (plan.longest_window_ms if plan.results_of else plan.reach_ms)


def assign_parts(at: Millis, borders: Borders, purge_ms: int) -> Parts:
    """Assign a part to each instant; the purge shortens the earlier one."""
    part = np.full(len(at), "purged", dtype=object)
    train_end = min(borders.train_end, borders.validation - purge_ms)
    ends = (train_end, min(borders.validation_end, borders.test - purge_ms), borders.end)
    starts = (borders.start, borders.validation, borders.test)
    for name, first, last in zip(PARTS, starts, ends, strict=True):
        part[(at > first) & (at <= last)] = name
    return part


def require_all_parts(
    definition: TrainedDefinition, part: Parts, borders: Borders, purge_ms: int
) -> None:
    """Raise UserError, with the numbers and what to change, if a part has no row."""
    spans = (
        borders.train_end - borders.start,
        borders.validation_end - borders.validation,
        borders.end - borders.test,
    )
    label = min(
        duration_millis(definition.gap + definition.horizon + definition.problem.hold), purge_ms
    )
    for name, span in zip(PARTS, spans, strict=True):
        if not (part == name).any():
            raise TrainingRefused(
                definition.name,
                translatable(
                    "the {period} period has no usable row. The readings from {start} to {end} "
                    "leave it {length}; of that the purge takes {purge} before a border (gap + "
                    "horizon + for: {label}, longest window: {window}), and the newest labels "
                    "are not known yet. Import a longer history, shorten features.windows or the "
                    "horizon, or change periods",
                    period=_PERIODS[name],
                    start=from_millis(borders.start + 1),
                    end=from_millis(borders.end),
                    length=describe_window(max(0, span) // 60_000 * 60_000),
                    purge=describe_window(purge_ms),
                    label=describe_window(label),
                    window=describe_window(purge_ms - label),
                ),
            )


PROBLEM_COLUMNS = ("asset", "start", "last", "end", "known_at", "uncounted")


def leads_of(definition: TrainedDefinition, plan: FeaturePlan) -> tuple[timedelta, ...]:
    """Return the times ahead for which a model of this plan predicts values, if any: the next
    stride for a value that is estimated between its results."""
    if plan.results_of:
        return (definition.gap + timedelta(milliseconds=plan.stride_ms),)
    sampling = next(
        (n.sampling_ms for n in plan.numbers if n.name == definition.problem.variable), None
    )
    return definition.leads(None if sampling is None else timedelta(milliseconds=sampling))


def future_values(
    definition: TrainedDefinition, plan: FeaturePlan, history: History, at: Millis
) -> Floats:
    """Return, for each row and lead, the last value of the problem's variable up to the lead, or
    NaN.

    The first lead begins after the gap. NaN also if the history ends before the lead, because a
    later value may follow.
    """
    leads = leads_of(definition, plan)
    name = definition.problem.variable
    future = np.full((len(at), len(leads)), np.nan)
    if not leads or name is None or name not in history.readings:
        return future
    has_value = has_data(history, name)
    if not has_value.any():
        return future
    ts = millis(pd.DatetimeIndex(history.readings.index))[has_value]
    values = history.readings[name].to_numpy(np.float64)[has_value]
    usual = int(np.median(np.diff(ts))) if len(ts) > 1 else 0
    last = int(ts[-1]) + max(usual - 1, 0)
    after = at + duration_millis(definition.gap)
    for number, lead in enumerate(leads):
        until = at + duration_millis(lead)
        newest = np.searchsorted(ts, until, side="right") - 1
        is_known = (newest >= 0) & (ts[newest] > after) & (until <= last)
        future[is_known, number] = values[newest[is_known]]
        after = until
    return future


@dataclass(frozen=True, kw_only=True)
class LabelledInstants:
    """What is known of each row by itself. `at` (ms); `fit`, `measured`: as in `Labels`;
    `persistence`: the problem variable's last known value, higher is riskier, NaN without;
    `future`: values of the problem's variable at the leads of the definition (rows x leads), NaN
    where there is none; `modes`: which modes follow (rows x modes)."""

    at: Millis
    label: npt.NDArray[np.int8]
    fit: BoolArray
    measured: BoolArray
    persistence: Floats
    future: Floats
    modes: BoolArray


@dataclass(frozen=True, kw_only=True)
class DatasetRows(LabelledInstants):
    """The rows of all assets, by asset and then by time; every field has one value for each row.

    `part`: train, validation, test, purged (only for a refit), or excluded (feedback puts its label
    in doubt). `weight`: 1, or less where the definition sets it. `label`, `part`, `weight` include
    the effect of operators' feedback; `label_by_data`, `part_by_data` exclude it: only rows of
    train ever have another label.
    """

    asset: npt.NDArray[np.object_]
    part: Parts
    weight: Floats
    label_by_data: npt.NDArray[np.int8]
    part_by_data: Parts


@dataclass(frozen=True, kw_only=True)
class AssetRows(LabelledInstants):
    """The rows of an asset. `dropped`: for each instant without a label the reason."""

    asset: str
    effect: Effects
    answers: int
    answers_used: int
    dropped: npt.NDArray[np.object_]
    problems: pd.DataFrame
    occurrences: pd.DataFrame


def label_asset(
    definition: TrainedDefinition,
    question: Literal["onset", "state"],
    plan: FeaturePlan,
    history: History,
    borders: Borders,
    until: int,
    answers: Sequence[FeedbackLabel],
    suppressed: IntervalsByAsset,
) -> AssetRows:
    """Label an asset's scored instants: one row for each. `until`: what was known then (ms) counts.
    `answers`, `suppressed`: of all assets."""
    name = history.asset.name
    asset_answers = [answer for answer in answers if answer.asset == name]
    at = evaluated_instants(definition, plan, history, borders.start, borders.end)
    labels: Labels = label_instants(
        definition, question, history, at, until, suppressed.get(name, ())
    )
    has_value = is_known(definition, plan, history, at)
    reason = np.where(labels.counted & ~has_value, "no_reading", labels.reason)
    in_use = labels.counted & has_value
    ts, bad = problem_samples(definition.problem, history)
    occurred = millis(labels.problems["start"]) if question == "onset" else ts[bad]
    negative = (reason == "") & (labels.label == 0)
    changed = relabel(definition, asset_answers, at[in_use], negative[in_use], occurred)
    return AssetRows(
        asset=name,
        at=at[in_use],
        label=labels.label[in_use],
        fit=labels.fit[in_use],
        measured=labels.measured[in_use],
        persistence=persistence(definition, history, at[in_use]),
        future=future_values(definition, plan, history, at[in_use]),
        modes=label_modes(
            definition.mode_problems,
            definition.is_of_unit,
            question,
            history,
            at[in_use] + duration_millis(definition.window.after),
            at[in_use] + duration_millis(definition.window.until),
        ),
        effect=changed.effect,
        answers=len(asset_answers),
        answers_used=changed.used,
        dropped=reason[reason != ""],
        problems=labels.problems.assign(asset=name)[list(PROBLEM_COLUMNS)],
        occurrences=pd.DataFrame(labels.occurrences.columns(name)),
    )


@dataclass(frozen=True, kw_only=True)
class JoinedRows(DatasetRows):
    """Rows before their features are computed, with the effect of feedback on each."""

    effect: Effects

    def select(self, mask: BoolArray) -> JoinedRows:
        """Return the rows that a mask selects."""
        return JoinedRows(**{field.name: getattr(self, field.name)[mask] for field in fields(self)})


def join_assets(
    definition: TrainedDefinition, assets: Sequence[AssetRows], borders: Borders, purge: int
) -> JoinedRows:
    """Join the rows of all assets, assign their parts, and apply operators' feedback.

    Rows from which no model learns are retained only in validation and test, where live evaluation
    is repeated.
    """
    of_all: dict[str, npt.NDArray[Any]] = {
        name: np.concatenate([getattr(rows, name) for rows in assets])
        for name in (*(field.name for field in fields(LabelledInstants)), "effect")
    }
    part = assign_parts(of_all["at"], borders, purge)
    # A reported problem that the data do not show counts only in training. Metrics of validation
    # and test rest on data, so its rows are excluded there, and also among the purged rows, which
    # only a refit uses.
    positive = np.isin(of_all["effect"], (POSITIVE, WEIGHTED))
    effect = np.where(positive & (part != "train"), LEFT_OUT, of_all["effect"]).astype(np.int8)
    changed: dict[str, npt.NDArray[Any]] = {
        "label": np.where(positive & (part == "train"), 1, of_all["label"]).astype(np.int8),
        "fit": of_all["fit"] & (effect != LEFT_OUT),
        "part": np.where(effect == LEFT_OUT, "excluded", part).astype(object),
        "weight": np.where(effect == WEIGHTED, definition.feedback.weight, 1.0),
        "effect": effect,
    }
    return JoinedRows(
        asset=np.repeat(
            np.array([rows.asset for rows in assets], dtype=object),
            [len(rows.at) for rows in assets],
        ),
        label_by_data=of_all["label"],
        part_by_data=part,
        **of_all | changed,
    ).select(of_all["fit"] | (part == "validation") | (part == "test"))


# measured: 51 to 80 at the peak of single families, for 30 columns and for 12,000
BYTES_PER_CELL = 100
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
    """Return the instant (ms) just before the first reading, and that of the last reading. Raises
    UserError without readings."""
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
    """Raise TrainingRefused if the histories, one for each asset, have no event of the problem and
    no values of its variables."""
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
    return name_hint(name, names, translatable("there is")) or translatable("there are none yet")


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
    """Return a mask of the rows to retain, and a finding that describes the selection.

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
        thinned = label[train & selected]
        if not 0 < thinned.sum() < len(thinned) and definition.must_know is None:
            break
        if selected.sum() <= max_rows:
            message = (
                f"Only every {every}. instant of the training period was kept ({len(thinned):,} of "
                f"{int(train.sum()):,} rows): "
                f"the dataset has {len(at):,} rows, and {max_rows:,} are allowed ({reason})."
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
