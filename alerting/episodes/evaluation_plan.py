"""The evaluation plan: every target with the parameters of its evaluation; and the condition states
of many targets as columns, to advance all unchanged targets in one vectorised step."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import NamedTuple, TypeAlias

from alerting.deferred import np, npt
from alerting.definitions.alert_definition import Severity, shard_of
from alerting.definitions.asset_documents import VariableType
from alerting.detection.carried_reading import Carried
from alerting.detection.evaluation_results_and_texts import (
    INSIDE,
    UNKNOWN,
)
from alerting.detection.threshold_batch import (
    ABOVE,
    BELOW,
    CLEAR,
    MEETS,
    NO_DATA_ALERT,
    NO_VALUE,
    BatchLimits,
    CarriedColumns,
    Unchanged,
)
from alerting.episodes.lifecycle import ConditionState, LastingState, SeverityState
from alerting.readings.history import NO_TIME, Millis, Positions, from_millis, to_millis
from alerting.readings.variable_series import Flags, Numbers

_SOURCE_HASH = re.compile(r"(\w*)/(\w*)/(\d++)(\.\d++)?(.*)")
_USUAL_SAMPLING = 1000  # ms
_VALUES_AT_ONCE = 5_000_000
_TARGETS_OF_ONE_TASK = 1_000
_TARGETS_OF_A_MODEL = 19  # that are evaluated in the time of one of a model, beside itself


class EvaluationTarget(NamedTuple):
    """One definition on one asset.

    `since`: when its newest revision came into force (ms). `every`: time between evaluations (ms).
    `variable`: the variable of a threshold, with its `type` and `title`; None for models. `limits`:
    None if each reading must be evaluated by itself. `lookback`: ms before the watermark from which
    readings are needed. `latency`: ms that evaluation waits. `allowed_lateness`: ms, how far back
    late data are evaluated again, with the delay of its variables. `turn`: a number below 2**32 by
    which targets take turns. `revision`: number of the newest revision. `has_outcome`: whether
    outcomes come from data. `also_reads`: further variables that change an evaluation; `events`:
    event types that do. `above`: the ancestors of the asset, if their readings change an
    evaluation. `needs_model`: whether a trained model evaluates it.
    """

    definition: str
    asset: str
    since: int
    every: int
    variable: str | None = None
    limits: BatchLimits | None = None
    severities: tuple[Severity, ...] = ()
    lookback: int = 0
    latency: int = 0
    allowed_lateness: int = 0
    turn: int = 0
    revision: int = 1
    has_outcome: bool = False
    also_reads: tuple[str, ...] = ()
    above: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    type: VariableType = "number"
    needs_model: bool = False
    title: str | None = None

    @property
    def key(self) -> TargetKey:
        return self.definition, self.asset

    @property
    def shard(self) -> tuple[int, int]:
        """Return the cadence and the number of the shard that stores its state."""
        return self.every, shard_of(self.definition)

    @property
    def series(self) -> tuple[str, str | None]:
        return self.asset, self.variable


@dataclass(frozen=True)
class EvaluationPlan:
    """All targets, those of one asset next to each other, and the names of the definitions in
    service."""

    names: tuple[str, ...]
    targets: tuple[EvaluationTarget, ...]

    @property
    def is_small(self) -> bool:
        """Return whether evaluating all targets takes less time than starting further tasks."""
        models = sum(target.needs_model for target in self.targets)
        return len(self.targets) + _TARGETS_OF_A_MODEL * models <= _TARGETS_OF_ONE_TASK

    @property
    def depends_on_promotions(self) -> bool:
        """Return whether a promotion may change which revision of a definition is in force: only if
        a definition with a model was edited."""
        return any(target.needs_model and target.revision > 1 for target in self.targets)

    def select_definitions(self, names: Collection[str]) -> EvaluationPlan:
        """Return the plan of these definitions."""
        chosen = set(names)
        return EvaluationPlan(
            tuple(name for name in self.names if name in chosen),
            tuple(w for w in self.targets if w.definition in chosen),
        )

    def select(self, is_wanted: Callable[[str], bool]) -> EvaluationPlan:
        """Return the plan of the definitions whose names a function accepts."""
        return self.select_definitions([name for name in self.names if is_wanted(name)])

    def definitions_at(self, every: int) -> set[str]:
        """Return the definitions that are evaluated at a cadence (ms)."""
        return {target.definition for target in self.targets if target.every == every}


class PlanRevisions(NamedTuple):
    """The revisions that a plan was made of.

    `numbers`: number of the newest revision of each definition, by name. `linked`: names of
    definitions that suppress others or are suppressed by others, so that an edit of one may make
    another faulty.
    """

    numbers: Mapping[str, int]
    linked: frozenset[str] = frozenset()


class PlanEdits(NamedTuple):
    """The stored plan, and the edits since it was made.

    `names`: new or changed definitions; `added`: number of revisions that were added.
    """

    plan: EvaluationPlan
    made_of: PlanRevisions
    names: tuple[str, ...]
    added: int


class SourceHash(NamedTuple):
    """A hash of all sources of a plan, in parts: definition documents, other documents, numbers of
    revisions and promotions, and settings. Its text is
    `definitions/others/revisions.promotions-settings`; without promotions it is
    `definitions/others/revisions-settings`."""

    definitions: str
    others: str
    revisions: int
    promotions: str
    settings: str

    @classmethod
    def read(cls, text: str) -> SourceHash | None:
        """Return the parts of a text; None if it has another form."""
        parts = _SOURCE_HASH.fullmatch(text)
        return parts and cls(parts[1], parts[2], int(parts[3]), parts[4] or "", parts[5])

    def added_revisions(self, since: SourceHash) -> int | None:
        """Return how many revisions were added since an earlier hash; None if anything but
        definitions and their revisions has changed."""
        is_same = (self.others, self.settings) == (since.others, since.settings)
        if not is_same or since.promotions not in ("", self.promotions):
            return None
        return self.revisions - since.revisions


def valid_sources(source_hash: str) -> tuple[str, str]:
    """Return the hashes under which a plan of these sources may be stored: their hash itself, and
    their hash without promotions."""
    return source_hash, re.sub(r"\.\d+", "", source_hash, count=1)


def hash_to_store(source_hash: str, plan: EvaluationPlan) -> str:
    """Return the hash under which a plan is stored: without promotions if the plan does not depend
    on them."""
    whole, documents = valid_sources(source_hash)
    return whole if plan.depends_on_promotions else documents


def smallest_latency(targets: Iterable[EvaluationTarget]) -> int:
    """Return the smallest latency of targets (ms), 0 without targets."""
    return min((target.latency for target in targets), default=0)


def batches(
    targets: Sequence[EvaluationTarget], starts: Millis, evaluated_from: Millis, until: int
) -> Iterator[list[int]]:
    """Yield rows to evaluate together: all rows of an asset, and as many assets as fit into memory
    with their readings.

    `targets` is sorted by asset. `starts`: for each row, up to when (ms) its target was evaluated;
    rows evaluated up to `until` are left out. `evaluated_from`: start of the readings to evaluate,
    which is earlier for targets to reprocess.
    """
    due = [row for row, start in enumerate(starts.tolist()) if start < until - targets[row].latency]
    lengths = ((until - evaluated_from) / _USUAL_SAMPLING).tolist()
    batch: list[int] = []
    size = 0.0
    for _, of_asset in groupby(due, key=lambda row: targets[row].asset):
        rows = list(of_asset)
        values = sum(lengths[row] for row in rows if targets[row].variable is not None)
        if batch and size + values > _VALUES_AT_ONCE:
            yield batch
            batch = []
            size = 0.0
        batch += rows
        size += values
    if batch:
        yield batch


Objects: TypeAlias = "npt.NDArray[np.object_]"
TargetKey = tuple[str, str]  # a definition and an asset, by name


@dataclass(frozen=True)
class LastingCondition(LastingState):
    """Part of a `ConditionState` that new readings leave unchanged while the condition is
    unchanged.

    `rate`, `beyond`, `recent`, `bad`, `memory`, `parts`, `ended`: fields of the carried reading
    (see `Carried`). `text`: its value if that is a text.
    """

    rate: float | None = None
    beyond: tuple[str, ...] = ()
    recent: tuple[int, ...] = ()
    text: Carried | None = None
    bad: bool = False
    memory: tuple[float, ...] = ()
    parts: tuple[Carried | None, ...] = ()
    ended: bool = False


NORMAL = LastingCondition()
_CARRIED = ("watermark", "at", "value", "since")
_COLUMNS = (
    *_CARRIED,
    "variable",
    "unknown_count",
    "unknown_reason",
    "conditions",
    "earlier_conditions",
)
_OF_NUMBER = ("rate", "beyond", "recent", "bad", "memory", "parts", "ended")
_LASTING = tuple(field.name for field in fields(LastingState))


@dataclass(frozen=True)
class CarriedState:
    """Watermark (ms; NO_TIME: not known) and carried reading of many targets at some time."""

    watermark: Millis
    at: Millis
    value: Numbers
    since: Millis

    @staticmethod
    def empty(rows: int) -> CarriedState:
        """Return this for a number of targets of which nothing is known."""
        return CarriedState(
            np.full(rows, NO_TIME),
            np.full(rows, NO_TIME),
            np.full(rows, np.nan),
            np.full(rows, NO_TIME),
        )

    def take(self, rows: Sequence[int]) -> CarriedState:
        """Return a copy of these rows, in this order."""
        at = np.asarray(rows, np.int64)
        return CarriedState(self.watermark[at], self.at[at], self.value[at], self.since[at])

    def write_rows(self, rows: Sequence[int], others: CarriedState) -> None:
        """Write all rows of another `CarriedState` at these indices."""
        at = np.asarray(rows, np.int64)
        for name in _CARRIED:
            getattr(self, name)[at] = getattr(others, name)


class ConditionTable:
    """`ConditionState` of many targets, one row each.

    Columns store the parts that every reading may change, `conditions` all other parts.
    `watermark`: ms, NO_TIME for a target without a state. `variable`, `at`, `value`, `since`:
    variable of the carried reading, when it was taken (NO_TIME if none is carried), its number (NaN
    for none yet), and since when that has been the same. `earlier`: watermark and carried reading
    one step before, NO_TIME if they are not known, with `earlier_conditions` (None: the same as
    now).
    """

    def __init__(self, keys: Sequence[TargetKey]) -> None:
        rows = len(keys)
        self.keys = list(keys)
        self.watermark: Millis = np.full(rows, NO_TIME)
        self.variable: Objects = np.full(rows, None)
        self.at: Millis = np.full(rows, NO_TIME)
        self.value: Numbers = np.full(rows, np.nan)
        self.since: Millis = np.full(rows, NO_TIME)
        self.earlier = CarriedState.empty(rows)
        self.unknown_count: Positions = np.zeros(rows, np.int64)
        self.unknown_reason: Objects = np.full(rows, None)
        self.conditions: Objects = np.full(rows, NORMAL)
        self.earlier_conditions: Objects = np.full(rows, None)

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: Sequence[int]) -> ConditionTable:
        """Return a separate table with these rows, in this order."""
        selected = ConditionTable([self.keys[i] for i in rows])
        at = np.asarray(rows, np.int64)
        for name in _COLUMNS:
            setattr(selected, name, getattr(self, name)[at])
        selected.earlier = self.earlier.take(rows)
        return selected

    def put_rows(self, rows: Sequence[int], others: ConditionTable) -> None:
        """Write all rows of another table at these indices."""
        at = np.asarray(rows, np.int64)
        for name in _COLUMNS:
            getattr(self, name)[at] = getattr(others, name)
        self.earlier.write_rows(rows, others.earlier)

    def special_rows(self) -> list[int]:
        """Return the rows whose condition is not `NORMAL`."""
        return [
            row for row, condition in enumerate(self.conditions.tolist()) if condition is not NORMAL
        ]

    def carried_state(self) -> CarriedState:
        """Return watermark and carried reading of each target."""
        return CarriedState(self.watermark, self.at, self.value, self.since).take(range(len(self)))

    def restore_earlier(self, rows: Sequence[int]) -> None:
        """Restore watermark and carried reading of these targets from one step before."""
        at = np.asarray(rows, np.int64)
        for name in _CARRIED:
            getattr(self, name)[at] = getattr(self.earlier, name)[at]
        for row in rows:
            self.conditions[row] = self.earlier_conditions[row] or self.conditions[row]

    def state(self, row: int) -> ConditionState | None:
        """Return the whole state of one target, None if it has none."""
        if self.watermark[row] == NO_TIME:
            return None
        condition = self.conditions[row]
        return ConditionState(
            watermark=from_millis(self.watermark[row]),
            carried=self._carried_reading(row, condition),
            unknown_count=int(self.unknown_count[row]),
            unknown_reason=self.unknown_reason[row],
            **{name: getattr(condition, name) for name in _LASTING},
        )

    def _carried_reading(self, row: int, condition: LastingCondition) -> Carried | None:
        variable = self.variable[row]
        if variable is None or self.at[row] == NO_TIME:
            return condition.text
        value = None if np.isnan(self.value[row]) else float(self.value[row])
        since = None if self.since[row] == NO_TIME else from_millis(self.since[row])
        of_number = {name: getattr(condition, name) for name in _OF_NUMBER}
        return Carried(variable, from_millis(self.at[row]), value, same_since=since, **of_number)

    def write_state(
        self, row: int, state: ConditionState, earlier: ConditionState | None = None
    ) -> None:
        """Write the whole state of one target, and the state one step before it if that is
        known."""
        carried_columns = state.carried
        text = (
            carried_columns
            if carried_columns is not None and isinstance(carried_columns.value, str)
            else None
        )
        self.watermark[row] = to_millis(state.watermark)
        self.unknown_count[row] = state.unknown_count
        self.unknown_reason[row] = state.unknown_reason
        self.variable[row] = None
        self.at[row] = NO_TIME
        self.value[row] = np.nan
        self.since[row] = NO_TIME
        self.earlier.write_rows([row], CarriedState.empty(1))
        self.earlier_conditions[row] = None
        if carried_columns is not None and not isinstance(carried_columns.value, str):
            self.variable[row] = carried_columns.variable
            self.at[row] = to_millis(carried_columns.at)
            self.value[row] = np.nan if carried_columns.value is None else carried_columns.value
            self.since[row] = (
                NO_TIME
                if carried_columns.same_since is None
                else to_millis(carried_columns.same_since)
            )
        number = carried_columns if text is None else None
        of_number = {name: getattr(number, name) for name in _OF_NUMBER} if number else {}
        condition = LastingCondition(
            text=text, **of_number, **{name: getattr(state, name) for name in _LASTING}
        )
        self.conditions[row] = NORMAL if condition == NORMAL else condition
        if earlier is not None:
            single = ConditionTable([self.keys[row]])
            single.write_state(0, earlier)
            # else another revision evaluates another variable
            if single.variable[0] == self.variable[row]:
                self.earlier.write_rows([row], single.carried_state())
                self.earlier_conditions[row] = (
                    None if single.conditions[0] == self.conditions[row] else single.conditions[0]
                )

    def carried_columns(self, severities: Sequence[Sequence[Severity]]) -> CarriedColumns:
        """Return the carried readings as columns. `severities`: for each row, the severities of its
        definition, the least severe first."""
        since = np.where(self.since == NO_TIME, self.at, self.since)
        sides = np.zeros((3, len(self)), np.bool_)
        for row in self.special_rows():
            sides[:, row] = _sides(self.conditions[row], severities[row])
        return CarriedColumns(self.at, self.value, since, *sides)


def _sides(condition: LastingCondition, severities: Sequence[Severity]) -> tuple[bool, bool, bool]:
    if not condition.beyond:
        return False, False, False
    least = severities[0]
    return (
        f"{least}.above" in condition.beyond,
        f"{least}.below" in condition.beyond,
        f"{least}.{INSIDE}" in condition.beyond,
    )


_CAUSES = {
    ABOVE: "{}.above", BELOW: "{}.below", MEETS: f"{{}}.{INSIDE}",
    NO_DATA_ALERT: "stale", NO_VALUE: UNKNOWN,
}  # fmt: skip


def find_unchanged(
    table: ConditionTable, severities: Sequence[Sequence[Severity]], batch: Unchanged
) -> Flags:
    """Return which targets stay unchanged: evaluation neither raises nor closes an episode, nor
    begins to."""
    without_transition = np.array([len(of_row) == 1 for of_row in severities], np.bool_)
    normal = np.ones(len(table), np.bool_)
    stays_open = np.zeros(len(table), np.bool_)
    for row in table.special_rows():
        without_transition[row] = _is_in_no_transition(table.conditions[row], severities[row])
        normal[row] = table.conditions[row].raised_at is None
        cause = _CAUSES.get(int(batch.status[row]), "").format(table.variable[row])
        stays_open[row] = batch.keeps_arriving[row] and table.conditions[row].cause == cause
    stays_normal = normal & np.isin(batch.status, (CLEAR, NO_VALUE))
    unchanged: Flags = without_transition & (stays_normal | ~normal & stays_open)
    return unchanged


def _is_in_no_transition(condition: LastingCondition, severities: Sequence[Severity]) -> bool:
    """Return whether nothing is pending or clearing, and only the side of the limits is stored of
    the readings."""
    in_transition = (
        condition.pending_since
        or condition.clearing_since
        or condition.next_since
        or condition.recent
        or condition.text
        or condition.bad
        or condition.ended
    )
    if in_transition or condition.rate is not None:
        return False
    if condition.raised_at is None:
        return not condition.beyond and condition.levels == tuple(
            SeverityState(s) for s in severities[1:]
        )
    return (
        not condition.levels
        and len(severities) == 1
        and condition.severity == severities[0]
        # the sides may still be those of a severity of an earlier revision
        and all(side.startswith(f"{condition.severity}.") for side in condition.beyond)
    )


def advance_states(
    table: ConditionTable, batch: Unchanged, unknown: Sequence[str | None], until: Millis
) -> ConditionTable:
    """Return the states of targets that stay unchanged up to `until` (ms).

    `unknown`: why the status at `until` is unknown, None where it is known.
    """
    after = table.take(range(len(table)))
    after.watermark = until
    after.at = batch.carried.at
    after.value = batch.carried.value
    after.since = batch.carried.since
    after.unknown_count = np.where(
        [reason is not None for reason in unknown], table.unknown_count + 1, 0
    )
    after.unknown_reason = np.array(unknown, object)
    after.earlier = table.carried_state()
    after.earlier_conditions = np.full(len(table), None)
    return after
