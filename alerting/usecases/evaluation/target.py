"""Evaluation of one target by the kinds in force, from its watermark to steps of episodes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from math import isnan

from alerting.definitions.alert_definition import (
    Definition,
    ModelDefinition,
    Revision,
    names_asset,
)
from alerting.definitions.asset_documents import Asset
from alerting.detection.suppressed_intervals import SuppressedInterval
from alerting.episodes.evaluation_plan import TargetKey
from alerting.episodes.lifecycle import ConditionState, Step, without_episode
from alerting.kinds.protocol import (
    OUT_OF_SERVICE,
    EvaluationSources,
    FindSeries,
    LoadedModels,
    Refresh,
    ScoredRows,
    TargetEvaluation,
    VersionInterval,
)
from alerting.kinds.registry import charting_kind_of, kind_of
from alerting.kinds.shared_inputs import SharedInputs
from alerting.ports import KindPorts, Predicted, Score, TargetScores
from alerting.readings.history import from_millis
from alerting.reporting.variable_charts import Panel
from alerting.usecases.definitions.versions import AnsweringVersion
from alerting.usecases.episodes.mutes_and_suppression import suppressed_between
from alerting.usecases.episodes.stored_episodes import why_not_in_service


@dataclass(frozen=True)
class EvaluatedTarget:
    """Evaluation of one target, reading by reading.

    `state`: the stored state. `reprocessed`: evaluation from `evaluated_from` to the watermark;
    `since`: evaluation from the watermark on, whose state says why its end is unknown, and
    how many evaluations in a row ended so. `is_cut`: there were too many raises for one unit of
    work, and the evaluation ends before the next raise.
    """

    revision: Revision
    asset: Asset
    state: ConditionState
    evaluated_from: ConditionState
    reprocessed: TargetEvaluation
    since: TargetEvaluation
    is_cut: bool

    @property
    def key(self) -> TargetKey:
        return self.revision.name, self.asset.name

    @property
    def is_reprocessed(self) -> bool:
        return self.evaluated_from is not self.state

    @property
    def changes_episodes(self) -> bool:
        """Return whether an episode, or its outcome, may differ from what is stored."""
        return (
            bool(self.since.steps or self.refreshes)
            or self.since.state.last_high_at != self.reprocessed.state.last_high_at
            or self.may_correct
            or self.may_change_outcomes
        )

    @property
    def refreshes(self) -> dict[datetime, Refresh]:
        """Return the instants at which to compute reasons and advice again: in the new time, else,
        after late data, at the old watermark."""
        still_open = self.reprocessed.state.raised_at
        earlier = {
            at: refresh
            for at, refresh in self.reprocessed.refreshes.items()
            if at == still_open and self.is_reprocessed
        }
        return earlier | self.since.refreshes

    @property
    def may_change_outcomes(self) -> bool:
        """Return whether late data may change outcomes that come from data."""
        return self.is_reprocessed and self.revision.definition.problem is not None

    @property
    def may_correct(self) -> bool:
        """Return whether reprocessing may differ from what is stored.

        Every step changes the compared values, except severities and causes that change back.
        """
        if not self.is_reprocessed:
            return False
        if self.reprocessed.steps or _condition_intervals(
            self.evaluated_from
        ) != _condition_intervals(self.state):
            return True
        return self.state.raised_at is not None and bool(self.state.levels or self.state.cause)


def _condition_intervals(state: ConditionState) -> tuple[object, ...]:
    return (
        state.raised_at,
        state.happening_since,
        state.last_raised_at,
        state.last_closed_at,
        state.last_high_at,
        state.severity,
        state.cause,
    )


def scores_of(name: str, asset: Asset, result: TargetEvaluation) -> list[TargetScores]:
    """Return the scores of models that an evaluation of one target has computed, to store."""
    return [TargetScores(name, asset.name, score_rows(scored)) for scored in result.scores]


def _find_sources(
    platform: KindPorts,
    models: LoadedModels,
    asset: Asset,
    fetched: FindSeries | None = None,
    shared: SharedInputs | None = None,
) -> EvaluationSources:
    """Return the sources of an evaluation on one asset; without `fetched` and `shared`, it reads
    and computes alone."""

    def suppressed(
        definition: Definition, start: datetime, end: datetime
    ) -> list[SuppressedInterval]:
        rule = definition.suppression
        return (
            []
            if rule is None
            else suppressed_between(platform, rule.of_plant, asset.name, start, end)
        )

    inputs = shared or SharedInputs(platform.readings)
    return EvaluationSources(platform, models, asset, fetched, inputs, suppressed)


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
    fetched: FindSeries | None = None,
    shared: SharedInputs | None = None,
) -> TargetEvaluation:
    """Evaluate one target by the revision and champion in force in each part; the parts follow one
    another from the watermark on.

    If a model cannot be read, evaluation stops before that part with a reason, and the next
    evaluation catches up. `named`: a person named the model, for past times; then, too, instants up
    to its training cutoff are unknown. `fetched`: readings that were read already. `shared`: inputs
    that models on the same asset share; without it, this evaluation reads and computes alone.
    """
    sources = _find_sources(platform, models, asset, fetched, shared)
    result = TargetEvaluation(state)
    for part in parts:
        definition = part.revision.definition if part.revision else None
        # a revision that answers for a newer one counts, and says what it cannot answer
        if definition is None or not (
            (named and part.model_version is not None)
            or (
                definition.state == "active"
                and (part.awaited is not None or names_asset(definition, asset.name))
            )
        ):
            result = _skip(result, part, asset)
            continue
        gone = None if part.awaited is None else _why_unanswerable(definition, asset, part)
        result = kind_of(definition).evaluate(
            definition, sources, replace(part, model_version=None) if gone else part, result
        )
        result = replace(result, unknown=gone) if gone else result
        if result.unreadable:
            break
    return result


def _why_unanswerable(definition: Definition, asset: Asset, part: VersionInterval) -> str | None:
    """Return why an older revision, whose successor has no champion yet, can no longer answer; None
    if it can."""
    if part.revision is None or not isinstance(definition, ModelDefinition):
        return None
    until = f"until revision {part.awaited} is trained, revision {part.revision.number} answers"
    if not names_asset(definition, asset.name):
        return (
            f"{until}, which does not ask about {asset.name} but about "
            f"{', '.join(definition.assets)}"
        )
    for name in definition.needs:
        if not any(fnmatchcase(v, name) for v in asset.variables):
            return f"{until}, which needs {name}, and {asset.name} has no such variable any more"
    return None


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
    leads = [timedelta(milliseconds=lead) for lead in scored.leads_ms]
    values: list[tuple[Predicted, ...]] = [()] * len(scored.at)
    if scored.values is not None:
        values = [
            ()
            if isnan(row[0][0])
            else tuple(Predicted(lead, *numbers) for lead, numbers in zip(leads, row, strict=True))
            for row in scored.values.tolist()
        ]
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
