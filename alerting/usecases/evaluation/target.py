"""Evaluation of targets by the kinds in force, from the watermark to steps of episodes: of one
target, and the data of a run of many, with their inputs and the results so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from math import isnan
from typing import NamedTuple

from alerting.deferred import np
from alerting.definitions.alert_definition import (
    Condition,
    Definition,
    ModelDefinition,
    Revision,
    names_asset,
)
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import UserError
from alerting.detection.suppressed_intervals import SuppressedInterval
from alerting.episodes.evaluation_plan import ConditionTable, EvaluationTarget, TargetKey
from alerting.episodes.lifecycle import ConditionState, Step, without_episode
from alerting.kinds.protocol import (
    OUT_OF_SERVICE,
    EvaluationSources,
    LoadedModels,
    Read,
    ScoredRows,
    TargetEvaluation,
    VersionInterval,
)
from alerting.kinds.registry import charting_kind_of, kind_of
from alerting.kinds.shared_inputs import ReadSpan, SharedInputs
from alerting.ports import (
    DecisionRecord,
    EvaluationPorts,
    KindPorts,
    Predicted,
    Readings,
    ReprocessingRequest,
    Score,
    TargetScores,
    Wanted,
    WantedHistory,
)
from alerting.readings.history import NO_TIME, Millis, from_millis, no_instants, to_millis
from alerting.readings.variable_series import Flags, RaggedReadings, Series, pack, series_of
from alerting.reporting.variable_charts import Panel
from alerting.usecases.definitions.versions import AnsweringVersion, first_instant
from alerting.usecases.episodes.mutes_and_suppression import suppressed_between
from alerting.usecases.episodes.stored_episodes import why_not_in_service
from alerting.usecases.ingestion.arrived_rows import LateCounts
from alerting.usecases.model_registry import ModelCache


def scores_of(name: str, asset: Asset, result: TargetEvaluation) -> list[TargetScores]:
    """Return the scores of models that an evaluation of one target has computed, to store."""
    return [TargetScores(name, asset.name, score_rows(scored)) for scored in result.scores]


def _find_sources(
    platform: KindPorts,
    models: LoadedModels,
    asset: Asset,
    read: Read | None = None,
    shared: SharedInputs | None = None,
) -> EvaluationSources:
    """Return the sources of an evaluation on one asset; without `read` and `shared`, it reads and
    computes alone."""

    def suppressed(
        definition: Definition, start: datetime, end: datetime
    ) -> list[SuppressedInterval]:
        rule = definition.suppression
        return (
            []
            if rule is None
            else suppressed_between(platform, rule.of_plant, asset.name, start, end)
        )

    series = read or stored_series(platform.readings, asset)
    inputs = shared or SharedInputs(platform.readings)
    return EvaluationSources(platform, models, asset, series, inputs, suppressed)


def chart_last_days(
    platform: KindPorts,
    models: LoadedModels,
    answering: AnsweringVersion,
    asset: Asset,
    end: datetime,
) -> Panel | None:
    """Return the chart of the last days with the limits in service; None for a kind without one,
    or without limits. Raises ModelUnavailable."""
    if answering.revision is None or answering.version is None:
        return None
    definition = answering.revision.definition
    kind = charting_kind_of(definition)
    sources = _find_sources(platform, models, asset)
    return kind.chart_last_days(definition, sources, answering.version, end) if kind else None


def evaluate_parts(
    platform: KindPorts,
    models: LoadedModels,
    asset: Asset,
    state: ConditionState,
    parts: Sequence[VersionInterval],
    named: bool = False,
    read: Read | None = None,
    shared: SharedInputs | None = None,
) -> TargetEvaluation:
    """Evaluate one target by the revision and champion in force in each part; the parts follow one
    another from the watermark on.

    If a model cannot be read, evaluation stops before that part with a reason, and the next
    evaluation catches up. `named`: a person named the model, for past times; then, too, instants up
    to its training cutoff are unknown. `shared`: inputs that models on the same asset share;
    without it, this evaluation reads and computes alone.
    """
    sources = _find_sources(platform, models, asset, read, shared)
    result = TargetEvaluation(state)
    for part in parts:
        definition = part.revision.definition if part.revision else None
        if definition is None or not _is_in_service(definition, asset, part, named):
            result = _skip(result, part, asset)
            continue
        gone = _why_unanswerable(definition, asset, part)
        result = kind_of(definition).evaluate(
            definition, sources, replace(part, model_version=None) if gone else part, result
        )
        result = replace(result, unknown=gone) if gone else result
        if result.unreadable:
            break
    return result


def _is_in_service(
    definition: Definition, asset: Asset, part: VersionInterval, named: bool
) -> bool:
    """Return whether a definition evaluates an asset in a part. A revision that answers for a newer
    one counts, and says what it cannot answer."""
    if named and part.model_version is not None:
        return True
    return definition.state == "active" and (
        part.awaited is not None or names_asset(definition, asset.name)
    )


def _why_unanswerable(definition: Definition, asset: Asset, part: VersionInterval) -> str | None:
    """Return why an older revision, whose successor has no champion yet, can no longer answer; None
    if it can."""
    if part.awaited is None or part.revision is None or not isinstance(definition, ModelDefinition):
        return None
    until = f"until revision {part.awaited} is trained, revision {part.revision.number} answers"
    if not names_asset(definition, asset.name):
        return (
            f"{until}, which does not ask about {asset.name} but about "
            f"{', '.join(definition.assets)}"
        )
    gone = next(
        (
            name
            for name in definition.needs
            if not any(fnmatchcase(v, name) for v in asset.variables)
        ),
        None,
    )
    return (
        f"{until}, which needs {gone}, and {asset.name} has no such variable any more"
        if gone
        else None
    )


def stored_series(readings: Readings, asset: Asset) -> Read:
    """Return the function that reads readings of an asset from the store."""

    def read(definition: Condition, start: datetime, end: datetime) -> Series:
        history = readings.load(
            WantedHistory(asset, start, end, [definition.variable], with_events=False)
        )
        return series_of(definition, history)

    return read


def _skip(result: TargetEvaluation, part: VersionInterval, asset: Asset) -> TargetEvaluation:
    """Return the result after a part without a definition in service on the asset, which ends an
    open episode."""
    state = result.state
    steps = result.steps
    if state.raised_at is not None and part.revision is not None:
        why = why_not_in_service(part.revision, asset.name) or OUT_OF_SERVICE
        steps = [*steps, (Step("closed", part.start, state.raised_at, why), part)]
        state = without_episode(state, part.start)
    state = replace(
        state,
        watermark=part.end,
        pending_since=None,
        clearing_since=None,
        carried=None,
        rearm_at=None,
    )
    return replace(result, state=state, steps=steps, unknown=OUT_OF_SERVICE, has_model=False)


def score_rows(scored: ScoredRows) -> list[Score]:
    """Return the known scores to store, with the values that a forecast predicted."""
    values = _values_of(scored)
    return [
        Score(
            from_millis(t),
            None if isnan(p) else p,
            None if isnan(p) else scored.threshold,
            scored.model_version,
            None if isnan(twin) else twin,
            predicted,
            life,
        )
        for t, p, twin, predicted, life in zip(
            scored.at.tolist(),
            scored.score.tolist(),
            scored.twin.tolist(),
            values,
            scored.lives or [None] * len(values),
            strict=True,
        )
        if predicted or not isnan(p)
    ]


def _values_of(scored: ScoredRows) -> list[tuple[Predicted, ...]]:
    if scored.values is None:
        return [()] * len(scored.at)
    leads = [timedelta(milliseconds=lead) for lead in scored.leads_ms]
    return [
        ()
        if isnan(row[0][0])
        else tuple(Predicted(lead, *numbers) for lead, numbers in zip(leads, row, strict=True))
        for row in scored.values.tolist()
    ]


Name = tuple[str, str | None]  # an asset and a variable


class BatchReadings:
    """Readings fetched for a batch. A request beyond the fetched interval is answered from the
    store."""

    def __init__(self, stored: Readings, series: Sequence[Wanted], until: datetime) -> None:
        self._stored = stored
        self._until = until
        self._starts = {w.asset: w.start for w in series}
        self._fetched = stored.load_many(series, until)

    def pack_series(self) -> tuple[RaggedReadings, dict[Name, int]]:
        """Return all numeric series side by side, and the index of each series. A series with
        samples of bad quality is left out."""
        numbers = {
            (asset, variable): (fetched.ts, values)
            for asset, fetched in self._fetched.items()
            for variable, values in fetched.values.items()
            if values.dtype == np.float64 and variable not in fetched.doubts.bad
        }
        return pack(list(numbers.values())), {name: index for index, name in enumerate(numbers)}

    def reader_for(self, asset: Asset) -> Read:
        """Return the function that reads readings of an asset.

        The function raises UserError for a stored value that is not of its variable's type.
        """
        stored = stored_series(self._stored, asset)
        fetched = self._fetched.get(asset.name)

        def read(definition: Condition, start: datetime, end: datetime) -> Series:
            if fetched is None or start < self._starts[asset.name] or end > self._until:
                return stored(definition, start, end)
            if definition.variable in fetched.faults:
                raise UserError(fetched.faults[definition.variable])
            if definition.variable not in fetched.values:
                return stored(definition, start, end)
            first, last = np.searchsorted(
                fetched.ts, [to_millis(start), to_millis(end)], side="right"
            )
            bad = fetched.doubts.bad.get(definition.variable, no_instants())
            return Series(
                fetched.ts[first:last], fetched.values[definition.variable][first:last], bad
            )

        return read


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


class Versions(NamedTuple):
    """All revisions of a definition, oldest first, and the decisions on its models without their
    evidence."""

    revisions: list[Revision]
    decisions: list[DecisionRecord]


@dataclass(frozen=True)
class BatchInputs:
    """Inputs of the targets of a batch that are evaluated one by one.

    `versions`: by definition; a definition without a revision is absent. `assets`: by name.
    `shared`: inputs that models on the same asset share.
    """

    readings: BatchReadings
    shared: SharedInputs
    versions: Mapping[str, Versions]
    assets: Mapping[str, Asset]


@dataclass(frozen=True)
class ProcessInputs:
    """Inputs that a process keeps from one run of evaluation to the next: models, and by asset the
    readings that they need."""

    models: ModelCache
    spans: dict[str, ReadSpan] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationRun:
    """One run of evaluation up to `as_of`, with its results so far.

    `requests`: open reprocessing requests. `scores`: computed scores, which are stored with the
    next unit of work. `spans`: by asset, the readings that models have read; the process may keep
    them for its next runs. Revisions, decisions and assets are read once a run.
    """

    platform: EvaluationPorts
    as_of: datetime
    models: ModelCache
    counts: EvaluationCounts
    requests: dict[TargetKey, ReprocessingRequest]
    spans: dict[str, ReadSpan] = field(default_factory=dict)
    scores: list[TargetScores] = field(default_factory=list)
    _versions: dict[str, Versions] = field(default_factory=dict)
    _assets: dict[str, Asset] = field(default_factory=dict)

    def load_inputs(
        self, targets: Sequence[EvaluationTarget], readings: BatchReadings
    ) -> BatchInputs:
        """Return the inputs with which these targets are evaluated one by one."""
        versions = self.load_versions({target.definition for target in targets})
        valid = {name: history for name, history in versions.items() if history.revisions}
        names = {target.asset for target in targets if target.definition in valid}
        if missing := names - self._assets.keys():
            self._assets.update(self.platform.assets.get_many(missing))
        assets = {name: self._assets[name] for name in names if name in self._assets}
        shared = SharedInputs(self.platform.readings, self.spans)
        if self.spans:
            latency = min((target.latency for target in targets), default=0)
            coming = [assets[target.asset] for target in targets if target.asset in assets]
            shared.expect(coming, self.as_of - timedelta(milliseconds=latency))
        return BatchInputs(readings, shared, valid, assets)

    def load_versions(self, names: set[str]) -> dict[str, Versions]:
        """Return the versions of these definitions."""
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
        return {name: self._versions[name] for name in names}

    def first_instants(
        self, targets: Sequence[EvaluationTarget], rows: Sequence[int]
    ) -> dict[int, int | None]:
        """Return, by row, when the target's definition was first put in service (ms), None if
        never."""
        changed = {targets[row].definition for row in rows if targets[row].revision > 1}
        versions = self.load_versions(changed)
        first = {name: first_instant(history.revisions) for name, history in versions.items()}
        instants = {name: None if at is None else to_millis(at) for name, at in first.items()}
        return {row: instants.get(targets[row].definition, targets[row].since) for row in rows}

    def add_scores(self, scores: Sequence[TargetScores]) -> None:
        """Take scores to store with the next unit of work, or at once when there are many."""
        self.scores.extend(scores)
        if sum(len(target.rows) for target in self.scores) > 20_000:
            self.store_scores()

    def store_scores(self) -> None:
        """Store the scores computed so far. Idempotent."""
        self.platform.scores.add_many(self.scores)
        self.scores.clear()


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
        """Return the batch of the targets in these rows."""
        return Batch(
            [self.targets[row] for row in rows],
            self.before.take(rows),
            self.starts[rows],
            self.base.take(rows),
        )

    def go_on(self, rows: Sequence[int], after: ConditionTable) -> "Batch":
        """Return the batch of the targets in these rows, evaluated from their states `after` on."""
        states = after.take(rows)
        return Batch([self.targets[row] for row in rows], states, states.watermark.copy(), states)

    def evaluation_end(self, row: int, as_of: datetime) -> datetime:
        """Return the instant up to which a target is evaluated: as_of less its latency."""
        return as_of - timedelta(milliseconds=self.targets[row].latency)


def starts_of(
    run: EvaluationRun, targets: Sequence[EvaluationTarget], states: ConditionTable
) -> Millis:
    """Return the start of evaluation of each target (ms): its watermark, or when its definition was
    first put in service."""
    starts = states.watermark.copy()
    new = np.flatnonzero(states.watermark == NO_TIME).tolist()
    for row, first in run.first_instants(targets, new).items():
        starts[row] = to_millis(run.as_of) if first is None else first
    return starts
