"""Evaluation of one target by the kinds in force: from its watermark to steps of episodes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from math import isnan

from alerting.definitions.assets import Asset
from alerting.definitions.model import Condition, Definition, ModelDefinition, names_asset
from alerting.detection.suppression import SuppressedInterval
from alerting.episodes.lifecycle import ConditionState, Step, without_episode
from alerting.kinds.protocol.evaluation import (
    EvaluationSources,
    LoadedModels,
    Read,
    ScoredRows,
    TargetEvaluation,
    VersionInterval,
)
from alerting.kinds.protocol.shared_inputs import SharedInputs
from alerting.kinds.protocol.unknown_reasons import OUT_OF_SERVICE
from alerting.kinds.registry import kind_of
from alerting.ports import KindPorts, Predicted, Readings, Score, TargetScores
from alerting.readings.history import from_millis
from alerting.readings.series import Series, series_of
from alerting.usecases.episodes.suppression import suppressed_between
from alerting.usecases.episodes.unevaluated import why_not_in_service


def scores_of(name: str, asset: Asset, result: TargetEvaluation) -> list[TargetScores]:
    """Return the scores of models that an evaluation of one target has computed, to store."""
    return [TargetScores(name, asset.name, score_rows(scored)) for scored in result.scores]


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
    """Evaluate one target by the revision and champion in force in each part, which follow one
    another from the watermark on.

    With a model that cannot be read, evaluation stops before that part with a reason. The next
    evaluation catches up. `named`: a person named the model, for past times. Instants up to its
    training cutoff are unknown in that case, too. `shared`: what models on the same asset have in
    common; without it, this evaluation reads and computes alone.
    """
    series = read or stored_series(platform.readings, asset)

    def suppressed(
        definition: Definition, start: datetime, end: datetime
    ) -> list[SuppressedInterval]:
        rule = definition.suppression
        return (
            []
            if rule is None
            else suppressed_between(platform, rule.of_plant, asset.name, start, end)
        )

    sources = EvaluationSources(
        platform, models, asset, series, shared or SharedInputs(platform.readings), suppressed
    )
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
    """Return whether a definition evaluates an asset in a part; one that answers for a newer
    revision does, and says what it cannot answer."""
    if named and part.model_version is not None:
        return True
    return definition.state == "active" and (
        part.awaited is not None or names_asset(definition, asset.name)
    )


def _why_unanswerable(definition: Definition, asset: Asset, part: VersionInterval) -> str | None:
    """Return why an older revision, whose successor has no champion yet, makes no sense any more;
    None if it does."""
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
        history = readings.load(asset, start, end, [definition.variable], with_events=False)
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
        )
        for t, p, twin, predicted in zip(
            scored.at.tolist(), scored.score.tolist(), scored.twin.tolist(), values, strict=True
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
