"""The score of one asset at one instant, as live evaluation, from stored readings or from readings
that were sent with the question, checked as a whole against their asset. Nothing is stored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from alerting.deferred import pd
from alerting.definitions.alert_definition import Definition, ModelDefinition, matching_assets
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import NotFound, UserError, name_hint, shown, unknown_definition
from alerting.definitions.sources import HttpSource
from alerting.definitions.wording.language import with_command
from alerting.episodes.episode import Contribution
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.remaining_life import RemainingLife
from alerting.kinds.protocol import (
    LoadedModels,
    ScoreDetails,
    ScoredRows,
    ScoringKind,
    TargetEvaluation,
    VersionInterval,
)
from alerting.kinds.registry import kind_of
from alerting.kinds.shared_inputs import ReadSpan, SharedInputs
from alerting.ports import (
    BacktestPorts,
    EvaluationPorts,
    ModelUnavailable,
    NewestReading,
    ReadingColumns,
    Readings,
    Record,
    Wanted,
    WantedHistory,
)
from alerting.readings.history import History, from_millis
from alerting.usecases.definitions.versions import present_answer, segments, serves_twin
from alerting.usecases.episodes.stored_episodes import require_asset
from alerting.usecases.evaluation.target import evaluate_parts
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.sources.records import read_readings


class PredictQuestion(NamedTuple):
    """A question about the score of an asset at the last evaluated instant up to `at`: by default,
    and at most, now less the latency."""

    asset: str
    at: datetime | None = None


@dataclass(frozen=True)
class PredictedValue:
    """A value predicted at a time ahead; 90 % of its distribution lie between `low` and `high`."""

    lead: timedelta
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Prediction:
    """The answer about one asset. `at`: the instant that was scored, None without one.

    `score` is None if it is `unknown`, which then gives the reason, and for a model whose values
    serve without an alarm. `would_raise`: whether the score is at or above the threshold.
    `revision`, `model_version`: the versions that answer; None where there is none.
    """

    definition: str
    asset: str
    at: datetime | None
    score: float | None
    threshold: float | None
    would_raise: bool | None
    unknown: str | None
    revision: int | None
    model_version: int | None
    contributions: tuple[Contribution, ...] = ()
    forecast: tuple[PredictedValue, ...] = ()
    remaining_life: RemainingLife | None = None


_MOMENT = timedelta(milliseconds=1)


@dataclass(frozen=True)
class _Question:
    """A question with the platform that has its readings, and the versions that answer."""

    platform: EvaluationPorts
    models: LoadedModels
    asset: Asset
    until: datetime
    versions: Callable[[datetime, datetime], Sequence[VersionInterval]]
    named: bool

    def evaluate(self, start: datetime, end: datetime, shared: SharedInputs) -> TargetEvaluation:
        """Evaluate (start, end] as the next live evaluation would. Writes nothing."""
        state = ConditionState(watermark=start)
        parts = self.versions(start, end)
        return evaluate_parts(
            self.platform, self.models, self.asset, state, parts, named=self.named, shared=shared
        )


class PredictionBatch:
    """Questions about one definition that are answered together, so that shared data are read once.

    Each answer is, bit for bit, the answer to the question alone, as of the instant of the batch.
    Assets of the same instant probably need the same readings as the first of them, so their
    readings are read at once.
    """

    def __init__(
        self,
        platform: EvaluationPorts,
        models: LoadedModels,
        name: str,
        questions: Collection[PredictQuestion],
    ) -> None:
        """Read the data that the questions share. Raises NotFound for an unknown definition, and
        UserError if its model gives no score to a single instant."""
        revisions = platform.definitions.revisions(name)
        if not revisions:
            names = [revision.name for revision in platform.definitions.latest_revisions()]
            raise NotFound(unknown_definition(name, names))
        self._kind = scoring_kind(revisions[-1].definition)
        self._platform = platform
        self._models = models
        self._revisions = revisions
        self._questions = questions
        self._assets = platform.assets.get_many({question.asset for question in questions})
        self._decisions = platform.decisions.histories([name]).get(name, [])
        self._now = platform.clock.now()
        self._spans: dict[str, ReadSpan] = {}
        self._shared = SharedInputs(platform.readings, self._spans, with_twins=False)
        self._expected: set[datetime] = set()
        self._latencies: dict[str, timedelta] = {}

    def answer(self, question: PredictQuestion) -> Prediction:
        """Return the score of an asset from the stored readings: see `predict`."""
        asset = self._require_match(question.asset)
        until = self._until(asset, question.at)
        versions = partial(segments, self._revisions, self._decisions)
        prediction = self._predict(
            _Question(self._platform, self._models, asset, until, versions, named=False),
            self._shared,
        )
        self._expect_others(asset.name, until)
        return prediction

    def answer_sent(self, question: PredictQuestion, sent: Readings) -> Prediction:
        """Return the score of an asset from readings that were sent: see `predict`."""
        asset = self._require_match(question.asset)
        answer = present_answer(self._revisions, self._decisions)
        span = sent.span(asset.name)
        by_twin = serves_twin(self._decisions, answer.version, self._now)

        def present(start: datetime, end: datetime) -> Sequence[VersionInterval]:
            return [
                VersionInterval(
                    start, end, answer.revision, answer.version, by_twin, awaited=answer.awaited
                )
            ]

        readings = SentReadings(sent, [asset.name], self._platform.readings)
        return self._predict(
            _Question(
                replace(self._platform, readings=readings),
                self._models,
                asset,
                question.at or (span[1] if span else self._now),
                present,
                named=True,
            ),
            SharedInputs(readings, with_twins=False),
        )

    def _until(self, asset: Asset, at: datetime | None) -> datetime:
        latency = self._latencies.get(asset.name)
        if latency is None:
            latency = self._revisions[-1].definition.latency(asset, self._platform.latency)
            self._latencies[asset.name] = latency
        newest = self._now - latency
        return newest if at is None else min(at, newest)

    def _expect_others(self, answered: str, until: datetime) -> None:
        """Expect that the other assets of an instant need the same readings as the first one."""
        span = self._spans.get(answered)
        if span is None or until in self._expected:
            return
        self._expected.add(until)
        asked_about = ((self._assets.get(q.asset), q.at) for q in self._questions)
        others = [
            asset
            for asset, at in asked_about
            if asset and asset.name not in self._spans and self._until(asset, at) == until
        ]
        self._spans.update(dict.fromkeys((asset.name for asset in others), span))
        self._shared.expect(others, until, are_alike=True)

    def _require_match(self, name: str) -> Asset:
        asset = self._assets.get(name) or require_asset(self._platform.assets, name)
        latest = self._revisions[-1]
        if not matching_assets(latest.definition, [asset]):
            raise UserError(
                f"{latest.name!r} does not apply to {name}; it applies to "
                f"{', '.join(latest.definition.assets)}"
            )
        return asset

    def _predict(self, question: _Question, shared: SharedInputs) -> Prediction:
        asset = question.asset
        [*_, in_force] = question.versions(question.until - _MOMENT, question.until)
        number = in_force.revision.number if in_force.revision else None
        name = self._revisions[-1].name
        blank = Prediction(
            name, asset.name, None, None, None, None, None, number, in_force.model_version
        )
        start = question.until - _stride(self._kind, self._models, in_force, asset)
        evaluated = question.evaluate(start, question.until, shared)
        scored = _last_scored(evaluated)
        if scored is not None and len(question.versions(start, question.until)) > 1:
            # the result has the last version's readings
            instant = from_millis(int(scored.at[-1]))
            evaluated = question.evaluate(instant - _MOMENT, instant, shared)
            scored = _last_scored(evaluated)
        if scored is None:
            return replace(
                blank, unknown=evaluated.unknown or "no instant of the last stride is evaluated"
            )
        prediction = replace(
            blank,
            at=from_millis(int(scored.at[-1])),
            threshold=scored.threshold if scored.has_alarm else None,
            model_version=scored.model_version,
        )
        if scored.unknown[-1]:
            return replace(prediction, unknown=scored.unknown[-1])
        score = float(scored.score[-1])
        details = (
            ScoreDetails()
            if evaluated.history is None
            else self._kind.details(asset, evaluated.history, scored, shared)
        )
        prediction = replace(
            prediction,
            contributions=details.contributions,
            forecast=tuple(PredictedValue(*value) for value in details.forecast),
            remaining_life=scored.lives[-1] if scored.lives else None,
        )
        if not scored.has_alarm:
            return prediction
        return replace(prediction, score=score, would_raise=score >= scored.threshold)


def predict(
    platform: EvaluationPorts,
    models: LoadedModels,
    name: str,
    asset_name: str,
    at: datetime | None = None,
    sent: Readings | None = None,
) -> Prediction:
    """Return an asset's score at the last evaluated instant up to `at`.

    Without `sent` the stored readings are scored, by the revision and champion in force at `at`,
    which is now less the latency by default, and at most that. With `sent` these readings are
    scored instead, by the present champion, by default up to the last one. Events and times of
    suppression are the stored ones in both cases. Raises NotFound for an unknown name, and
    UserError for a definition whose model gives no score to a single instant, and for an asset to
    which it does not apply.
    """
    question = PredictQuestion(asset_name, at)
    batch = PredictionBatch(platform, models, name, [question])
    return batch.answer(question) if sent is None else batch.answer_sent(question, sent)


def _last_scored(evaluated: TargetEvaluation) -> ScoredRows | None:
    return next((rows for rows in reversed(evaluated.scores) if len(rows.at)), None)


def scoring_kind(definition: Definition) -> ScoringKind:
    """Return a definition's kind. Raises UserError if scores need more than a window."""
    kind = kind_of(definition)
    if isinstance(kind, ScoringKind):
        return kind
    why = (
        "has no model"
        if not isinstance(definition, ModelDefinition)
        else "follows the whole course of its variable"
    )
    text = (
        f"{definition.name!r} is of kind {definition.kind}, which {why}, so a single instant has "
        "no score"
    )
    raise UserError(with_command(text, f"alerting why {definition.name} ASSET"))


def _stride(
    kind: ScoringKind, models: LoadedModels, part: VersionInterval, asset: Asset
) -> timedelta:
    """Return the time between two evaluated instants; a moment where no model can say."""
    if part.model_version is None or part.revision is None:
        return _MOMENT
    try:
        plan = kind.plan_of(models.get(part.revision.definition, part.model_version), asset.name)
    except ModelUnavailable:
        return _MOMENT
    return _MOMENT if plan is None else timedelta(milliseconds=plan.stride_ms)


class SentReadings(Readings):
    """Port `Readings`: sent readings for these assets, stored readings for others; events are
    stored ones."""

    def __init__(self, sent: Readings, assets: Collection[str], stored: Readings) -> None:
        self._sent = sent
        self._assets = frozenset(assets)
        self._stored = stored

    def _readings_for(self, asset: str) -> Readings:
        return self._sent if asset in self._assets else self._stored

    def load(self, request: WantedHistory) -> History:
        if request.asset.name not in self._assets:
            return self._stored.load(request)
        history = self._sent.load(replace(request, with_events=False))
        if not request.with_events:
            return history
        # of no reading, but of the events up to the end
        stored = self._stored.load(replace(request, start=request.end, variables=()))
        return replace(history, events=stored.events, event_types=stored.event_types)

    def load_many(self, requests: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        by_given = [request for request in requests if request.asset in self._assets]
        others = [request for request in requests if request.asset not in self._assets]
        return {**self._sent.load_many(by_given, end), **self._stored.load_many(others, end)}

    def newest_values(
        self, asset: Asset, since: Mapping[str, datetime], until: datetime
    ) -> pd.DataFrame:
        return self._readings_for(asset.name).newest_values(asset, since, until)

    def newest_readings(
        self, until: datetime | None = None, assets: Collection[str] | None = None
    ) -> dict[str, NewestReading]:
        stored = self._stored.newest_readings(until, assets)
        sent = self._sent.newest_readings(until, assets)
        return {name: newest for name, newest in stored.items() if name not in self._assets} | sent

    def span(self, asset: str, until: datetime | None = None) -> tuple[datetime, datetime] | None:
        return self._readings_for(asset).span(asset, until)


_FAULTS_SHOWN = 20


def sent_readings(platform: BacktestPorts, asset_name: str, records: Sequence[Record]) -> Readings:
    """Return rows of `ts`, `values` and perhaps `quality` as readings of an asset, in memory.

    Raises UserError that names every fault: a row that cannot be read, and a variable that the
    asset does not have.
    """
    asset = require_asset(platform.assets, asset_name)
    source = HttpSource(name="sent", kind="http", asset=asset.name, quality="quality")
    fitted = read_readings(platform.assets, source, records, platform.zone)
    faults = [f"row {refused.line}: {refused.reason}" for refused in fitted.refused]
    faults += [f for changed in fitted.assets for f in _unknown(asset, changed)]
    if faults:
        more = [f"and {len(faults) - _FAULTS_SHOWN} more"] if len(faults) > _FAULTS_SHOWN else []
        raise UserError("; ".join([*faults[:_FAULTS_SHOWN], *more]))
    memory = platform.in_memory()
    add_readings(memory, fitted.readings, platform.clock.now())
    return memory.readings


def _unknown(asset: Asset, changed: Asset) -> Iterator[str]:
    for name in sorted(changed.variables.keys() - asset.variables.keys()):
        yield (
            f"{asset.name} has no variable {shown(name)}; "
            f"{name_hint(name, asset.variables, 'its variables')}"
        )
