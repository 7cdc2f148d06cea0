"""Scores of the past by one model, as live evaluation gives them; nothing is stored."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.definitions.assets import Asset
from alerting.definitions.faults import UserError
from alerting.definitions.matching import matching_assets
from alerting.definitions.model import Revision, TrainedDefinition
from alerting.definitions.wording.spoken import latency_note
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.evaluation import ScoredRows, VersionInterval
from alerting.ports import EvaluationPorts, Progress, silent
from alerting.usecases.definitions.sync import require_revision
from alerting.usecases.definitions.versions import serves_twin
from alerting.usecases.evaluation.evaluate import check_unseen, named_version
from alerting.usecases.evaluation.target import evaluate_parts
from alerting.usecases.registry.model_cache import ModelCache

_LEAST_STEP = timedelta(days=1)


@dataclass(frozen=True)
class ScoringPlan:
    """Assets and interval (start, end] to score with one version; `step`: scored at once, which bounds the memory."""

    revision: Revision
    version: int
    by_twin: bool
    assets: Sequence[Asset]
    start: datetime
    end: datetime
    step: timedelta
    models: ModelCache


def plan_scoring(
    platform: EvaluationPorts, name: str, start: datetime | None, end: datetime | None, model: str | None, newest: bool = False
) -> ScoringPlan:
    """Return what to score. `model`: a version number; the champion when left out.

    `start`: the training cutoff of the model when left out; instants up to it are unknown. `end`: the last reading of all assets
    when left out, at most now less the latency. `newest`: only the last stride. Raises UserError for a definition without a
    model, a model that cannot be read, and an empty interval.
    """
    revision = require_revision(platform.definitions, name)
    version = named_version(platform.decisions, revision, model)
    if version is None or not isinstance(revision.definition, TrainedDefinition):
        raise UserError(
            f"{name!r} is a {revision.definition.kind} definition; only definitions whose model learns from problems have scores"
        )
    now, models = platform.clock.now(), ModelCache(platform)
    assets = matching_assets(revision.definition, platform.assets.all())
    latency = max((revision.definition.latency(asset, platform.latency) for asset in assets), default=platform.latency)
    until = min(end or (now if newest else _last_reading(platform, assets, now)), now - latency)
    check_unseen(models, revision.definition, version, until)
    trained = models.get(revision.definition, version)
    begin = until - timedelta(milliseconds=trained.plan.stride_ms) if newest else start or trained.training_cutoff
    if begin >= until:
        raise UserError(f"--from {begin.isoformat()} must lie before --to {until.isoformat()}{latency_note(latency)}")
    by_twin = serves_twin(platform.decisions.of(name), version, now)
    return ScoringPlan(revision, version, by_twin, assets, begin, until, max(_LEAST_STEP, trained.plan.lookback), models)


def _last_reading(platform: EvaluationPorts, assets: Sequence[Asset], now: datetime) -> datetime:
    spans = (platform.readings.span(asset.name) for asset in assets)
    return max((span[1] for span in spans if span is not None), default=now)


def score_past(platform: EvaluationPorts, plan: ScoringPlan, progress: Progress = silent) -> Iterator[tuple[str, ScoredRows]]:
    """Yield asset and scores, asset by asset and step by step, evaluated as `evaluate_past` does.

    Raises UserError if the model fails.
    """
    steps = -(-(plan.end - plan.start) // plan.step)
    for number, asset in enumerate(plan.assets):
        state = ConditionState(watermark=plan.start)
        for step in range(steps):
            progress(f"scoring {asset.name}", number * steps + step, len(plan.assets) * steps)
            until = min(state.watermark + plan.step, plan.end)
            part = VersionInterval(state.watermark, until, plan.revision, plan.version, plan.by_twin)
            evaluated = evaluate_parts(platform, plan.models, asset, state, [part], named=True)
            if evaluated.unreadable:
                raise UserError(evaluated.unreadable)
            state = evaluated.state
            yield from ((asset.name, scored) for scored in evaluated.scores)
