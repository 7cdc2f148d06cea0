"""What a run of evaluation is and has: its targets with the states from which they are evaluated,
and the inputs that are read before the first of them is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from alerting.deferred import np
from alerting.definitions.alert_definition import Condition, ModelDefinition, Revision
from alerting.definitions.asset_documents import Asset, VariableType
from alerting.definitions.faults import UserError
from alerting.detection.carried_reading import Carried
from alerting.episodes.evaluation_plan import (
    ConditionTable,
    EvaluationPlan,
    EvaluationTarget,
    TargetKey,
)
from alerting.episodes.lifecycle import ConditionState, forget_after
from alerting.kinds.shared_inputs import ReadSpan, SharedInputs
from alerting.ports import (
    DecisionRecord,
    EvaluationPorts,
    Readings,
    ReprocessingRequest,
    Wanted,
)
from alerting.readings.history import NO_TIME, Millis, from_millis, no_instants, to_millis
from alerting.readings.variable_series import SKEW, Flags, RaggedReadings, Series, pack
from alerting.usecases.definitions.faults_and_platform_alerts import record_future_evaluation
from alerting.usecases.definitions.versions import first_instant
from alerting.usecases.ingestion.arrived_rows import LateCounts
from alerting.usecases.model_registry import ModelCache

_LOOKBACK = timedelta(days=1)
"""Before the instant from which a target is evaluated again: a beginning after that is recent."""
_MOMENT = timedelta(milliseconds=1)


@dataclass
class EvaluationCounts:
    """Counts of one run of evaluation. `unknown` maps `definition on asset` to the reason.

    `unreadable` maps each definition whose champion could not be read to the reason. `late`: rows
    that came after their time was evaluated; `too_late`: late rows that were older than every
    allowed lateness. `latency_s`: the greatest latency of the targets. For a past interval:
    `found`, all its episodes, including episodes that were stored before, and `notes`, sentences on
    the versions that evaluated it.
    """

    targets: int = 0
    raised: int = 0
    closed: int = 0
    elsewhere: int = 0
    determined: int = 0
    unknown: dict[str, str] = field(default_factory=dict)
    withdrawn: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    latency_s: int = 0
    late: int = 0
    too_late: int = 0
    found: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, others: "EvaluationCounts") -> None:
        """Add the counts of another run."""
        for counted in fields(self):
            mine = getattr(self, counted.name)
            more = getattr(others, counted.name)
            if counted.name == "latency_s":
                self.latency_s = max(mine, more)
            elif isinstance(mine, dict):
                mine.update(more)
            else:
                setattr(self, counted.name, mine + more)


@dataclass(frozen=True)
class RoundPlan:
    """A round of one cadence: the numbers of its shards, the hash of the evaluation plan, and late
    readings. `is_small`: its targets are so few that one process evaluates them all."""

    shards: list[int]
    source_hash: str
    late: LateCounts
    is_small: bool = False


@dataclass(frozen=True)
class Batch:
    """Targets to evaluate together. `starts`: per row, the watermark, or when the target was first
    in service (ms).

    `base`: the states to evaluate from: the states of `before`, or earlier states for targets to
    reprocess.
    """

    targets: Sequence[EvaluationTarget]
    before: ConditionTable
    starts: Millis
    base: ConditionTable

    @cached_property
    def evaluated_from(self) -> Millis:
        """Return the instant from which each target is evaluated (ms)."""
        return np.where(self.base.watermark == NO_TIME, self.starts, self.base.watermark)

    @cached_property
    def reprocessed(self) -> Flags:
        """Return which targets are reprocessed."""
        return self.evaluated_from < self.starts

    def take(self, rows: Sequence[int]) -> "Batch":
        """Return the batch of the targets in these rows, which are in order."""
        if len(rows) == len(self.targets):
            return self
        before = self.before.take(rows)
        base = before if self.base is self.before else self.base.take(rows)
        return Batch([self.targets[row] for row in rows], before, self.starts[rows], base)

    def by_shard(self, rows: Iterable[int]) -> dict[tuple[int, int], list[int]]:
        """Return rows by the shard that stores their states."""
        rows_by_shard: dict[tuple[int, int], list[int]] = {}
        for row in rows:
            rows_by_shard.setdefault(self.targets[row].shard, []).append(row)
        return rows_by_shard

    def go_on(self, rows: Sequence[int], after: ConditionTable) -> "Batch":
        """Return the batch of the targets in these rows, evaluated from their states `after` on."""
        states = after.take(rows)
        return Batch([self.targets[row] for row in rows], states, states.watermark.copy(), states)


class BatchReadings:
    """Readings of every asset and variable of a threshold of a batch, from the earliest instant on
    that one of its thresholds needs."""

    def __init__(self, stored: Readings, batch: Batch, until: datetime) -> None:
        types: dict[str, dict[str, VariableType]] = {}
        starts: dict[str, int] = {}
        for target, start in zip(batch.targets, batch.evaluated_from.tolist(), strict=True):
            if target.variable is not None:
                types.setdefault(target.asset, {})[target.variable] = target.type
                starts[target.asset] = min(start - target.lookback, starts.get(target.asset, start))
        self._starts = starts
        self._until = to_millis(until)
        self._fetched = stored.load_many(
            [Wanted(name, types[name], from_millis(starts[name])) for name in types], until
        )

    def pack_series(self) -> tuple[RaggedReadings, dict[tuple[str, str | None], int]]:
        """Return all numeric series side by side, and the index of each series by asset and
        variable. A series with samples of bad quality is left out."""
        numbers = {
            (asset, variable): (fetched.ts, values)
            for asset, fetched in self._fetched.items()
            for variable, values in fetched.values.items()
            if values.dtype == np.float64 and variable not in fetched.doubts.bad
        }
        return pack(list(numbers.values())), {name: index for index, name in enumerate(numbers)}

    def find(
        self, asset: Asset, condition: Condition, start: datetime, end: datetime
    ) -> Series | None:
        """Return the readings of a condition's variable in (start, end]; None if they were not
        fetched.

        Raises UserError for a stored value that is not of its variable's type.
        """
        fetched = self._fetched.get(asset.name)
        name = condition.variable
        begin = to_millis(start)
        until = to_millis(end)
        if fetched is None or begin < self._starts[asset.name] or until > self._until:
            return None
        if name in fetched.faults:
            raise UserError(fetched.faults[name])
        if name not in fetched.values:
            return None
        first, last = np.searchsorted(fetched.ts, [begin, until], side="right")
        bad = fetched.doubts.bad.get(name, no_instants())
        return Series(fetched.ts[first:last], fetched.values[name][first:last], bad)


class Versions(NamedTuple):
    """All revisions of a definition, oldest first, and the decisions on its models without their
    evidence."""

    revisions: list[Revision]
    decisions: list[DecisionRecord]


@dataclass(frozen=True)
class ProcessInputs:
    """Inputs that a process keeps from one run of evaluation to the next: models, and by asset the
    readings that they need."""

    models: ModelCache
    spans: dict[str, ReadSpan] = field(default_factory=dict)


@dataclass(frozen=True)
class TargetInputs:
    """All that is read for the targets of a batch that are evaluated one by one, before the first
    of them is: `readings` of thresholds; `versions` by definition, where a definition without a
    revision is absent; `assets` by name.

    What a model needs depends on the model: `models` and `shared` read it once for all targets of
    an asset.
    """

    platform: EvaluationPorts
    as_of: datetime
    batch: Batch
    readings: BatchReadings
    versions: Mapping[str, Versions]
    assets: Mapping[str, Asset]
    models: ModelCache
    shared: SharedInputs


@dataclass(frozen=True)
class EvaluationRun:
    """One run of evaluation up to `as_of`, with its results so far.

    `requests`: open reprocessing requests. Revisions, decisions and assets are read once a run.
    """

    platform: EvaluationPorts
    as_of: datetime
    process: ProcessInputs
    counts: EvaluationCounts
    requests: dict[TargetKey, ReprocessingRequest]
    _versions: dict[str, Versions] = field(default_factory=dict)
    _assets: dict[str, Asset] = field(default_factory=dict)

    def load_inputs(
        self, batch: Batch, rows: Sequence[int], readings: BatchReadings
    ) -> TargetInputs:
        """Return the inputs with which the targets of these rows are evaluated one by one."""
        targets = [batch.targets[row] for row in rows]
        self._load_versions({target.definition for target in targets})
        names = {target.asset for target in targets if self._versions[target.definition].revisions}
        if missing := names - self._assets.keys():
            self._assets.update(self.platform.assets.get_many(missing))
        shared = SharedInputs(self.platform.readings, self.process.spans)
        if self.process.spans:
            latency = min((target.latency for target in targets), default=0)
            coming = [self._assets[t.asset] for t in targets if t.asset in self._assets]
            shared.expect(coming, self.as_of - timedelta(milliseconds=latency))
        return TargetInputs(
            self.platform,
            self.as_of,
            batch,
            readings,
            {name: history for name, history in self._versions.items() if history.revisions},
            self._assets,
            self.process.models,
            shared,
        )

    def _load_versions(self, names: set[str]) -> None:
        if missing := names - self._versions.keys():
            histories = self.platform.definitions.histories(missing)
            trained = [
                name
                for name in missing
                if any(isinstance(r.definition, ModelDefinition) for r in histories.get(name, []))
            ]
            decisions = self.platform.decisions.histories(trained) if trained else {}
            for name in missing:
                self._versions[name] = Versions(histories.get(name, []), decisions.get(name, []))

    def first_instants(
        self, targets: Sequence[EvaluationTarget], rows: Sequence[int]
    ) -> dict[int, int | None]:
        """Return, by row, when the target's definition was first put in service (ms), None if
        never."""
        changed = {targets[row].definition for row in rows if targets[row].revision > 1}
        self._load_versions(changed)
        first = {name: first_instant(self._versions[name].revisions) for name in changed}
        instants = {name: None if at is None else to_millis(at) for name, at in first.items()}
        return {row: instants.get(targets[row].definition, targets[row].since) for row in rows}


def load_batch(run: EvaluationRun, targets: Sequence[EvaluationTarget]) -> Batch:
    """Return targets with their stored states and the states to evaluate from. Targets that were
    evaluated beyond now get a request in `run`."""
    states = run.platform.states.load_many([target.key for target in targets])
    starts = states.watermark.copy()
    new = np.flatnonzero(starts == NO_TIME).tolist()
    if new:
        for row, first in run.first_instants(targets, new).items():
            starts[row] = to_millis(run.as_of) if first is None else first
    latest = to_millis(run.as_of + SKEW)
    if max(states.watermark.max(initial=NO_TIME), *[t.since for t in targets], NO_TIME) > latest:
        _go_back(run, targets, states, starts)
    base = _base_states(run, targets, states, starts) if run.requests else states
    return Batch(targets, states, starts, base)


def _go_back(
    run: EvaluationRun,
    targets: Sequence[EvaluationTarget],
    states: ConditionTable,
    starts: Millis,
) -> None:
    """Let targets that were evaluated beyond now, under a clock that was ahead, be evaluated again
    from their newest reading on, and raise a fault of the platform.

    Their `starts` (ms, one per target) become the last instant before the end of this evaluation.
    """
    now = max(run.as_of, run.platform.clock.now())
    latest = to_millis(now + SKEW)
    ahead = np.flatnonzero(states.watermark > latest).tolist()
    for row in ahead:
        state = states.state(row)
        starts[row] = to_millis(run.as_of) - targets[row].latency - 1
        seen = [state.carried.at + _MOMENT] if state and state.carried else []
        start = min(from_millis(starts[row]), *seen)
        request = run.requests.get(targets[row].key) or ReprocessingRequest(
            *targets[row].key, start
        )
        run.requests[targets[row].key] = replace(request, start=min(start, request.start))
    instants = [int(states.watermark[row]) for row in ahead]
    instants += [target.since for target in targets if target.since > latest]
    if instants:
        # plans in memory have instants that are brought back
        run.platform.evaluation_plans.store_plan("", EvaluationPlan((), ()))
        record_future_evaluation(run.platform.platform_alerts, from_millis(max(instants)), now)


def _base_states(
    run: EvaluationRun,
    targets: Sequence[EvaluationTarget],
    states: ConditionTable,
    starts: Millis,
) -> ConditionTable:
    """Return the states to evaluate from: present states, or earlier ones for targets to reprocess.
    `states` and `starts` (ms) have one row per target.

    A target whose condition has not changed carries its state of one step earlier; for the other
    targets a checkpoint is looked up. Without a checkpoint that is old enough, a target starts at
    its beginning, if that is recent, or at its earliest checkpoint. Without any, a target that was
    evaluated beyond now starts at the last end of its alarm, at most a day before, at its present
    state without what that has of later instants.
    """
    base = states.take(range(len(states)))
    by_checkpoint = dict[int, datetime]()
    by_earlier = []
    for row, target in enumerate(targets):
        request = run.requests.get(target.key)
        if (
            request is None
            or to_millis(request.start) > states.watermark[row]
            or states.watermark[row] == NO_TIME
        ):
            continue
        if NO_TIME != states.earlier.watermark[row] < to_millis(request.start):
            by_earlier.append(row)
        else:
            by_checkpoint[row] = request.start
    base.restore_earlier(by_earlier)
    for row, state in _past_states(run, targets, states, by_checkpoint).items():
        is_in_future = states.watermark[row] > starts[row]
        before = to_millis(by_checkpoint[row]) if is_in_future else starts[row]
        if to_millis(state.watermark) < before:
            base.write_state(row, state)
    for row in np.flatnonzero(base.watermark > starts).tolist():
        if (state_ahead := states.state(row)) is not None:
            at = _last_known(state_ahead, by_checkpoint[row])
            base.write_state(row, forget_after(state_ahead, at))
    # it counts rounds that ended unknown, and evaluating earlier times again is no further round
    base.unknown_count = states.unknown_count.copy()
    return base


def _last_known(state: ConditionState, before: datetime) -> datetime:
    """Return an instant before another one, at which a state that was evaluated further tells
    whether the condition was met: since its last end, at most a day."""
    closed = state.last_closed_at
    earliest = before - _LOOKBACK
    if closed is None:
        return earliest
    return max(earliest, closed) if closed < before else before - _MOMENT


def _past_states(
    run: EvaluationRun,
    targets: Sequence[EvaluationTarget],
    states: ConditionTable,
    starts: Mapping[int, datetime],
) -> dict[int, ConditionState]:
    """Return, by row, the latest checkpoint before an instant, or else the state nearest to the
    instant."""
    checkpoints = run.platform.checkpoints.states_before(
        {targets[row].key: start for row, start in starts.items()}
    )
    nearest = {row: checkpoints.get(targets[row].key) for row in starts}
    missing = [row for row, state in nearest.items() if state is None]
    for row, first in run.first_instants(targets, missing).items():
        lateness = targets[row].allowed_lateness
        lately = states.watermark[row] - 2 * lateness
        if not lateness or states.watermark[row] > to_millis(run.as_of + SKEW):  # no checkpoints
            lately = to_millis(starts[row] - _LOOKBACK)
        if first is not None and first >= lately:  # it waits for its first reading
            at = from_millis(first)
            variable = targets[row].variable
            nearest[row] = ConditionState(
                at, carried=None if variable is None else Carried(variable, at, None)
            )
        else:
            nearest[row] = run.platform.checkpoints.state_after(*targets[row].key, starts[row])
    return {row: state for row, state in nearest.items() if state is not None}
