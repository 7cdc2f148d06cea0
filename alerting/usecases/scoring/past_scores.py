"""Scores of the past by one model, as live evaluation gives them; nothing is stored."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from alerting.definitions.assets import Asset
from alerting.definitions.faults import UserError
from alerting.definitions.model import ModelDefinition, Revision, matching_assets
from alerting.definitions.wording.language import latency_note
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.protocol.evaluation import ScoredRows, VersionInterval
from alerting.ports import Clock, Decisions, EvaluationPorts, KindPorts, Progress, Readings, silent
from alerting.usecases.definitions.lookup import require_revision
from alerting.usecases.definitions.versions import serves_twin
from alerting.usecases.evaluation.evaluate import check_unseen, named_version
from alerting.usecases.evaluation.target import evaluate_parts
from alerting.usecases.registry.registration import ModelCache
from alerting.usecases.scoring.predict import scoring_kind

_LEAST_STEP = timedelta(days=1)


@dataclass(frozen=True)
class ScoringPlan:
    """Assets and interval (start, end] to score; `step`: at once, bounds the memory.

    `stride`: the longest time between two scores of an asset. `not_learned`: assets of which the
    version has learned nothing; they have no score. `variables`: those that its features read.
    """

    revision: Revision
    version: int
    by_twin: bool
    assets: Sequence[Asset]
    start: datetime
    end: datetime
    step: timedelta
    stride: timedelta
    models: ModelCache
    not_learned: Sequence[str]
    variables: frozenset[str]


def plan_scoring(
    platform: EvaluationPorts,
    name: str,
    start: datetime | None,
    end: datetime | None,
    model: str | None,
    newest: bool = False,
) -> ScoringPlan:
    """Return what to score. `model`: a version number; the champion when left out.

    `start`: the training cutoff of the model when left out; instants up to it are unknown. `end`:
    the last reading of all assets when left out, at most now less the latency. `newest`: only the
    last stride. Raises UserError for a definition without a model, a model that cannot be read, and
    an empty interval.
    """
    revision = require_revision(platform.definitions, name)
    scoring_kind(revision.definition)
    version = champion(platform, revision, model)
    now = platform.clock.now()
    models = ModelCache(platform)
    assets = matching_assets(revision.definition, platform.assets.all())
    latency = max(
        (revision.definition.latency(asset, platform.latency) for asset in assets),
        default=platform.latency,
    )
    until = min(
        end or (now if newest else _last_reading(platform.readings, assets, now)), now - latency
    )
    check_unseen(models, revision.definition, version, until)
    whole = plan_assets(platform.clock, platform.decisions, revision, version, assets, models)
    begin = (
        until - whole.stride
        if newest
        else start or models.get(revision.definition, version).training_cutoff
    )
    if begin >= until:
        raise UserError(
            f"--from {begin.isoformat()} must lie before --to "
            f"{until.isoformat()}{latency_note(latency)}"
        )
    return replace(whole, start=begin, end=until)


def champion(platform: EvaluationPorts, revision: Revision, model: str | None = None) -> int:
    """Return the version a person names, or the champion. Raises UserError without."""
    version = named_version(platform, revision, model)
    if version is None:
        raise UserError(
            f"{revision.name!r} is a {revision.definition.kind} definition, which has no model"
        )
    return version


def plan_assets(
    clock: Clock,
    decisions: Decisions,
    revision: Revision,
    version: int,
    assets: Sequence[Asset],
    models: ModelCache,
) -> ScoringPlan:
    """Return a plan for the assets a version learned from. Raises UserError without."""
    definition = cast("ModelDefinition", revision.definition)  # a scoring kind has a model
    kind = scoring_kind(definition)
    trained = models.get(definition, version)
    plans = {asset.name: kind.plan_of(trained, asset.name) for asset in assets}
    learned = {name: plan for name, plan in plans.items() if plan is not None}
    if assets and not learned:
        raise UserError(
            f"version {version} of {revision.name!r} has learned nothing of {', '.join(plans)}: "
            "train it again"
        )
    now = clock.now()
    return ScoringPlan(
        revision,
        version,
        serves_twin(decisions.for_definition(revision.name), version, now),
        [asset for asset in assets if asset.name in learned],
        now,
        now,
        max([_LEAST_STEP, *(plan.lookback for plan in learned.values())]),
        timedelta(milliseconds=max((plan.stride_ms for plan in learned.values()), default=1)),
        models,
        sorted(plans.keys() - learned.keys()),
        frozenset(variable for plan in learned.values() for variable in plan.variables).union(
            definition.groups_by
        ),
    )


def _last_reading(readings: Readings, assets: Sequence[Asset], now: datetime) -> datetime:
    spans = (readings.span(asset.name, now) for asset in assets)
    return max((span[1] for span in spans if span is not None), default=now)


def score_past(
    platform: KindPorts, plan: ScoringPlan, progress: Progress = silent
) -> Iterator[tuple[str, ScoredRows]]:
    """Yield asset and scores step by step, as `evaluate_past`. Raises UserError for a model."""
    for number, asset in enumerate(plan.assets):

        def passed(done: int, of: int, name: str = asset.name, number: int = number) -> None:
            progress(f"scoring {name}", number * of + done, len(plan.assets) * of)

        yield from (
            (asset.name, scored)
            for scored in score_asset(platform, plan, asset, plan.start, plan.end, passed)
        )


def score_asset(
    platform: KindPorts,
    plan: ScoringPlan,
    asset: Asset,
    start: datetime,
    end: datetime,
    passed: Callable[[int, int], None],
) -> Iterator[ScoredRows]:
    """Yield an asset's scores. `passed`: steps done, of all. Raises UserError for a model."""
    state = ConditionState(watermark=start)
    steps = -(-(end - start) // plan.step)
    for step in range(steps):
        passed(step, steps)
        until = min(state.watermark + plan.step, end)
        part = VersionInterval(state.watermark, until, plan.revision, plan.version, plan.by_twin)
        evaluated = evaluate_parts(platform, plan.models, asset, state, [part], named=True)
        if evaluated.unreadable:
            raise UserError(evaluated.unreadable)
        state = evaluated.state
        yield from (scored for scored in evaluated.scores if len(scored.at))
