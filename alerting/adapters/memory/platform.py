"""Stores in memory for the sandbox of a backtest: the platform of all of them, and the stores of
the evaluation plan, condition states, checkpoints, late data, scores and past evaluations, training
runs, registered models and decisions about them. Writes take effect one by one."""

from __future__ import annotations

import hashlib
import itertools
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from alerting.adapters.memory.episodes import (
    MemoryAudit,
    MemoryEpisodes,
    MemoryMisses,
    MemoryMutes,
    MemoryNotifications,
    MemoryPlatformAlerts,
)
from alerting.adapters.memory.plant import (
    MemoryAssets,
    MemoryDefinitions,
    MemoryDerivedFeatures,
    MemoryDocumentStore,
    MemoryLabels,
    MemoryReadings,
    plain,
)
from alerting.adapters.memory.table import MemoryTable
from alerting.episodes.evaluation_plan import (
    ConditionTable,
    EvaluationPlan,
    PlanEdits,
    PlanRevisions,
    TargetKey,
    hash_to_store,
    valid_sources,
)
from alerting.episodes.lifecycle import ConditionState
from alerting.ports import (
    WORSE_FORECASTS,
    Arrival,
    Checkpoint,
    Conflict,
    DecisionRecord,
    Document,
    Files,
    FixedClock,
    ModelRegistry,
    ModelUnavailable,
    PastEvaluation,
    ReprocessingRequest,
    RunState,
    SandboxPorts,
    Score,
    Swept,
    TargetScores,
    Training,
    Unfinished,
    Unit,
)
from alerting.readings.history import NO_TIME


def memory_platform(*, backfilled: bool = False) -> SandboxPorts:
    """Return a platform with empty stores. `backfilled`: episodes are of past times."""
    definitions = MemoryDefinitions()
    assets = MemoryAssets()
    readings = MemoryReadings(assets)
    decisions = MemoryDecisions()
    models = MemoryModels()
    return SandboxPorts(
        definitions=definitions,
        derived_features=MemoryDerivedFeatures(),
        assets=assets,
        readings=readings,
        reading_writes=readings,
        labels=MemoryLabels(),
        episodes=MemoryEpisodes(backfilled),
        states=MemoryStates(),
        unit_of_work=MemoryUnitOfWork(),
        arrivals=MemoryArrivals(),
        checkpoints=MemoryCheckpoints(),
        evaluation_plans=MemoryEvaluationPlans(definitions, assets, decisions),
        mutes=MemoryMutes(),
        misses=MemoryMisses(),
        decisions=decisions,
        trainings=MemoryTrainings(),
        models=models,
        runs=models,
        scores=MemoryScores(),
        past_evaluations=MemoryPastEvaluations(),
        audit=MemoryAudit(),
        routes=MemoryDocumentStore(),
        notifications=MemoryNotifications(),
        platform_alerts=MemoryPlatformAlerts(),
        channels={},
        clock=FixedClock(datetime.now(UTC)),
    )


class MemoryUnitOfWork:
    """Port `UnitOfWork` of stores that only one evaluator uses: each write takes effect at once."""

    def begin(self, attempt: int = 0) -> AbstractContextManager[Unit]:  # noqa: ARG002 - the port's signature
        return nullcontext(Unit())


class MemoryStates:
    """Port `States`."""

    def __init__(self) -> None:
        self._rows: dict[TargetKey, ConditionTable] = {}
        self._writes = 0

    def load_many(self, keys: Sequence[TargetKey]) -> ConditionTable:
        table = ConditionTable(keys)
        for row, key in enumerate(keys):
            if key in self._rows:
                table.put_rows([row], self._rows[key])
        return table

    def watermarks(self, keys: Sequence[TargetKey]) -> list[int]:
        return [
            NO_TIME if (row := self._rows.get(key)) is None else int(row.watermark[0])
            for key in keys
        ]

    def versions(self) -> str:
        return str(self._writes)

    def moves(self, keys: Sequence[TargetKey], every: int) -> bool:  # noqa: ARG002 - the port's signature
        return False

    def advance(
        self,
        before: ConditionTable,
        after: ConditionTable,
        unit: Unit | None = None,  # noqa: ARG002
        every: int = 0,  # noqa: ARG002
    ) -> None:
        if (self.load_many(before.keys).watermark != before.watermark).any():
            raise Conflict("another evaluator has advanced some of these targets")
        self._rows |= {key: after.take([row]) for row, key in enumerate(after.keys)}
        self._writes += 1


class MemoryEvaluationPlans:
    """Port `EvaluationPlans`: one plan at a time, each made of all definitions."""

    def __init__(
        self, definitions: MemoryDefinitions, assets: MemoryAssets, decisions: MemoryDecisions
    ) -> None:
        self._definitions = definitions
        self._assets = assets
        self._decisions = decisions
        self._plan: tuple[str, EvaluationPlan] | None = None

    def source_hash(self, read_plan: bool = False) -> str:  # noqa: ARG002 - the port has it
        revisions = sum(r.number for r in self._definitions.latest_revisions())
        definitions = _hash_of(
            {key: value for key, value in document.items() if key != "_faults"}
            for document in self._definitions.documents()
        )
        others = _hash_of([self._assets.all(), self._assets.event_types()])
        return f"{definitions}/{others}/{revisions}.{self._decisions.promotions}"

    def get(
        self,
        source_hash: str,
        is_wanted: Callable[[str], bool] | None = None,
    ) -> EvaluationPlan | None:
        if self._plan is None or self._plan[0] not in valid_sources(source_hash):
            return None
        plan = self._plan[1]
        return plan if is_wanted is None else plan.select(is_wanted)

    def store_plan(
        self,
        source_hash: str,
        evaluation_plan: EvaluationPlan,
        made_of: PlanRevisions | None = None,  # noqa: ARG002
    ) -> None:
        self._plan = hash_to_store(source_hash, evaluation_plan), evaluation_plan

    def find_edits(self, source_hash: str) -> PlanEdits | None:  # noqa: ARG002 - the port has it
        return None


def _hash_of(sources: Iterable[object]) -> str:
    return hashlib.sha256(repr(list(sources)).encode()).hexdigest()


class MemoryCheckpoints:
    """Port `Checkpoints`."""

    def __init__(self) -> None:
        self._states: dict[TargetKey, list[ConditionState]] = {}

    def write(
        self,
        refuted: Mapping[TargetKey, datetime],
        checkpoints: Sequence[Checkpoint],
        unit: Unit,  # noqa: ARG002
    ) -> None:
        for key, start in refuted.items():
            self._states[key] = self._before(key, start)
        for checkpoint in checkpoints:
            key = (checkpoint.definition, checkpoint.asset)
            by_watermark = {state.watermark: state for state in self._states.get(key, ())}
            by_watermark[checkpoint.state.watermark] = checkpoint.state
            instants = sorted(by_watermark)
            first = max(bisect_left(instants, checkpoint.needed_from) - 1, 0)
            self._states[key] = [by_watermark[instant] for instant in instants[first:]]

    def states_before(
        self, instants: Mapping[TargetKey, datetime]
    ) -> dict[TargetKey, ConditionState]:
        before = {key: self._before(key, instant) for key, instant in instants.items()}
        return {key: states[-1] for key, states in before.items() if states}

    def state_after(self, definition: str, asset: str, instant: datetime) -> ConditionState | None:
        states = self._states.get((definition, asset), ())
        return next((state for state in states if state.watermark >= instant), None)

    def _before(self, key: TargetKey, instant: datetime) -> list[ConditionState]:
        return [state for state in self._states.get(key, ()) if state.watermark < instant]


class MemoryArrivals(MemoryTable[Arrival]):
    """Port `Arrivals`."""

    def __init__(self) -> None:
        super().__init__(attrgetter("id"), attrgetter("arrived_at"))
        self._requests: dict[TargetKey, dict[int, datetime]] = {}
        self._evaluated_until: datetime | None = None
        self._numbers = itertools.count()

    def store_arrival(self, arrival: Arrival) -> None:
        self.store_row(arrival)

    def remove(self, id: str) -> None:
        del self.rows[id]

    def evaluated_until(self) -> datetime | None:
        return self._evaluated_until

    def has_evaluated(self) -> bool:
        return self._evaluated_until is not None

    def extend_evaluated_until(self, up_to: datetime) -> datetime:
        self._evaluated_until = max(up_to, self._evaluated_until or up_to)
        return self._evaluated_until

    def lower_evaluated_until(self, recorded: datetime, up_to: datetime) -> None:
        if self._evaluated_until == recorded:
            self._evaluated_until = up_to

    def unfinished(self) -> Unfinished:
        return Unfinished(self.select(lambda a: a.routed_at is None), bool(self._requests))

    def mark_routed(self, routed: Sequence[tuple[Arrival, int]], at: datetime) -> None:
        for arrival, too_late in routed:
            if self.rows[arrival.id].written == arrival.written:
                self.store_row(replace(arrival, routed_at=at, too_late=too_late))

    def arrived_since(self, arrived_from: datetime) -> list[Arrival]:
        return self.select(lambda arrival: arrival.arrived_at >= arrived_from)

    def request_reprocessing(
        self,
        shards: Iterable[Mapping[TargetKey, datetime]],
        instead_of: Sequence[ReprocessingRequest] = (),
    ) -> None:
        for starts in shards:
            for key, start in starts.items():
                self._requests.setdefault(key, {})[next(self._numbers)] = start
        self.remove_requests(instead_of, Unit())

    def requests(self, definitions: Sequence[str]) -> dict[TargetKey, ReprocessingRequest]:
        chosen = set(definitions)
        return {
            key: ReprocessingRequest(*key, min(starts.values()), tuple(starts))
            for key, starts in self._requests.items()
            if key[0] in chosen
        }

    def remove_requests(self, requests: Sequence[ReprocessingRequest], unit: Unit) -> None:  # noqa: ARG002
        for done in requests:
            key = done.definition, done.asset
            starts = self._requests.pop(key, {})
            remaining = {n: start for n, start in starts.items() if n not in done.keys}
            if remaining:
                self._requests[key] = remaining


class MemoryScores:
    """Port `Scores`: scores by definition, instant, asset and version of the model."""

    def __init__(self) -> None:
        self._scores: dict[tuple[str, datetime, str, int], Score] = {}

    def add_many(self, targets: Sequence[TargetScores]) -> None:
        for definition, asset, scores in targets:
            for score in scores:
                self._scores.setdefault((definition, score.ts, asset, score.model_version), score)

    def for_interval(
        self, definition: str, start: datetime, end: datetime, asset: str | None = None
    ) -> Iterator[Document]:
        yield from (
            {"asset": key[2], **self._scores[key].document}
            for key in sorted(key for key in self._scores if key[0] == definition)
            if start <= key[1] < end and asset in (None, key[2])
        )


class MemoryPastEvaluations:
    """Port `PastEvaluations`."""

    def __init__(self) -> None:
        self._evaluations: list[PastEvaluation] = []

    def add(self, evaluation: PastEvaluation) -> None:
        self._evaluations = sorted([*self._evaluations, evaluation], key=lambda e: e.at)

    def for_definition(self, definition: str) -> list[PastEvaluation]:
        return [e for e in self._evaluations if e.definition == definition]

    def for_interval(self, start: datetime, end: datetime) -> list[PastEvaluation]:
        return [e for e in self._evaluations if e.start < end and e.end > start]


class MemoryDecisions:
    """Port `Decisions`."""

    def __init__(self) -> None:
        self._decisions: list[DecisionRecord] = []
        self._ranks: set[tuple[str, int]] = set()
        self._tries: dict[tuple[str, str], list[dict[str, str]]] = {}
        self._run_of: dict[tuple[str, int], str] = {}

    def add(self, decision: DecisionRecord, rank: int | None = None) -> bool:
        is_made = decision.run_id is not None and any(
            d.run_id == decision.run_id for d in self.for_definition(decision.definition)
        )
        if is_made or (rank is not None and (decision.definition, rank) in self._ranks):
            return False
        self._ranks |= set() if rank is None else {(decision.definition, rank)}
        self._decisions = sorted(
            [*self._decisions, replace(decision, evidence=plain(decision.evidence))],
            key=lambda d: d.at,
        )
        return True

    @property
    def promotions(self) -> int:
        """Return the number of promotions of all definitions."""
        return sum(d.promoted for d in self._decisions)

    def for_definition(self, definition: str) -> list[DecisionRecord]:
        return [d for d in self._decisions if d.definition == definition]

    def histories(self, definitions: Collection[str]) -> dict[str, list[DecisionRecord]]:
        return {
            name: [
                replace(d, evidence={k: v for k, v in d.evidence.items() if k == WORSE_FORECASTS})
                for d in made
            ]
            for name in definitions
            if (made := self.for_definition(name))
        }

    def newest_decisions(
        self, definitions: Collection[str], count: int
    ) -> dict[str, list[DecisionRecord]]:
        return {name: made[-count:] for name, made in self.histories(definitions).items()}

    def expect_files(self, definition: str, run_id: str, hashes: Mapping[str, str]) -> None:
        tries = self._tries.setdefault((definition, run_id), [])
        if dict(hashes) not in tries:
            tries.append(dict(hashes))

    def bind_files(self, definition: str, run_id: str, version: int) -> None:
        self._run_of[definition, version] = run_id

    def file_hashes(self, definition: str, version: int) -> list[dict[str, str]]:
        return list(self._tries.get((definition, self._run_of.get((definition, version), "")), ()))


class MemoryTrainings(MemoryTable[Training]):
    """Port `Trainings`."""

    def __init__(self) -> None:
        super().__init__(attrgetter("definition", "question"), attrgetter("started_at"))

    def for_definitions(self, definitions: Collection[str]) -> list[Training]:
        return self.select(lambda training: training.definition in definitions)

    def begin(self, training: Training) -> None:
        self.store_row(training)

    def end(self, training: Training) -> bool:
        return self.exchange(training, lambda begun: begun.run == training.run)


@dataclass
class MemoryRun:
    """A training run, or the search of one family below it."""

    definition: str
    parent: str | None
    tags: dict[str, str]
    started_at: datetime
    ended_at: datetime | None = None
    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)


@dataclass(frozen=True)
class Version:
    """A registered model of a run."""

    run_id: str
    files: dict[str, bytes]
    tags: dict[str, str]


class MemoryModels(ModelRegistry):
    """Ports `TrainingRuns` and `Models`, without pages for people. A run's id is its name below its
    parent's."""

    shown = False

    def __init__(self) -> None:
        self.runs: dict[str, MemoryRun] = {}
        self.registered: dict[str, list[Version]] = {}
        self.named: dict[str, dict[str, int | None]] = {}

    def start_run(
        self, definition: str, name: str, tags: Mapping[str, str], parent: str | None = None
    ) -> str:
        run_name = "-".join(name.split())
        id = run_name if parent is None else f"{parent}.{run_name}"
        before = sum(run.partition("~")[0] == id for run in self.runs)
        id = f"{id}~{before + 1}" if before else id
        self.runs[id] = MemoryRun(definition, parent, dict(tags), datetime.now(UTC))
        return id

    def open_runs(self, definition: str) -> list[RunState]:
        trainings = [
            (id, run)
            for id, run in self.runs.items()
            if run.definition == definition and run.parent is None
        ]
        return [_state(id, run) for id, run in reversed(trainings) if run.ended_at is None]

    def searches(self, run_id: str) -> list[RunState]:
        return [_state(id, run) for id, run in self.runs.items() if run.parent == run_id]

    def tags(self, run_id: str) -> dict[str, str]:
        return dict(self.runs[run_id].tags)

    def log(
        self,
        run_id: str,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
        files: Files | None = None,
        folder: str = "",
    ) -> None:
        run = self.runs[run_id]
        run.params.update(params or {})
        run.metrics.update(metrics or {})
        run.tags.update(tags or {})
        run.files.setdefault(folder, {}).update(files or {})

    def files(self, run_id: str, folder: str) -> dict[str, bytes]:
        return dict(self.runs[run_id].files.get(folder, {})) if run_id in self.runs else {}

    def finish(self, run_id: str, failed: bool = False) -> None:  # noqa: ARG002
        self.runs[run_id].ended_at = datetime.now(UTC)

    def register(
        self,
        definition: str,
        run_id: str,
        files: Files,
        tags: Mapping[str, str],
        inputs: Mapping[str, str] | None = None,  # noqa: ARG002 - for people
    ) -> int:
        versions = self.registered.setdefault(definition, [])
        for number, version in enumerate(versions, 1):
            if version.run_id == run_id:
                return number
        versions.append(Version(run_id, dict(files), dict(tags)))
        self.set_alias(definition, "challenger", len(versions))
        return len(versions)

    def model_files(self, definition: str, version: int) -> dict[str, bytes]:
        return dict(self._version(definition, version).files)

    def version_tags(self, definition: str, version: int) -> dict[str, str]:
        return dict(self._version(definition, version).tags)

    def _version(self, definition: str, version: int) -> Version:
        if version not in self.versions(definition):
            raise ModelUnavailable(f"there is no version {version} of {definition!r}")
        return self.registered[definition][version - 1]

    def versions(self, definition: str) -> dict[int, dict[str, str]]:
        registered = self.registered.get(definition, ())
        return {number: dict(version.tags) for number, version in enumerate(registered, 1)}

    def aliases(self, definition: str) -> dict[str, int]:
        named = self.named.get(definition, {})
        return {alias: number for alias, number in named.items() if number is not None}

    def set_alias(self, definition: str, alias: str, version: int | None) -> None:
        self.named.setdefault(definition, {})[alias] = version

    def forget(
        self,
        definition: str,  # noqa: ARG002
        keep: Collection[int],  # noqa: ARG002
        before: datetime,  # noqa: ARG002
        *,
        dry: bool,  # noqa: ARG002
    ) -> list[Swept]:
        return []


def _state(id: str, run: MemoryRun) -> RunState:
    return RunState(id, dict(run.tags), run.started_at, run.ended_at)
