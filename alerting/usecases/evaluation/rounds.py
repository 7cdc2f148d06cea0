"""Evaluate definitions from their watermarks on: raise and close episodes, and advance the
watermarks with them."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from alerting.definitions.alert_definition import (
    Definition,
    ModelDefinition,
    Revision,
    matching_assets,
    task_of,
)
from alerting.definitions.faults import UserError
from alerting.definitions.revisions import question_of
from alerting.definitions.wording.language import in_english, joined, latency_note, with_command
from alerting.episodes.episode import Episode
from alerting.episodes.evaluation_plan import EvaluationPlan, TargetKey, batches
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.protocol import VersionInterval
from alerting.ports import (
    Definitions,
    EvaluationPorts,
    Models,
    ModelUnavailable,
    PastEvaluation,
    Progress,
    Unit,
    silent,
)
from alerting.ports.use_cases import id_logger, log_run
from alerting.readings.history import duration_millis, from_millis, to_millis
from alerting.usecases.definitions.faults_and_platform_alerts import record_model_faults
from alerting.usecases.definitions.next_steps import ChampionPorts, describe_missing_champion
from alerting.usecases.definitions.revisions_and_evaluation_plan import (
    current_plan,
    find_current_plan,
    sync,
)
from alerting.usecases.definitions.versions import last_promotion, require_revision, segments
from alerting.usecases.episodes.outcomes import determine_due_outcomes
from alerting.usecases.episodes.stored_episodes import (
    EpisodeChanges,
    forget_open,
    update,
    why_not_in_service,
    without_asset,
)
from alerting.usecases.evaluation.batch import evaluate_batch
from alerting.usecases.evaluation.inputs import (
    Batch,
    EvaluationCounts,
    EvaluationRun,
    ProcessInputs,
    RoundPlan,
    load_batch,
)
from alerting.usecases.evaluation.past_episodes import persist_past
from alerting.usecases.evaluation.reprocess import begin_round, plan_of_round
from alerting.usecases.evaluation.target import evaluate_parts, scores_of
from alerting.usecases.model_registry import ModelCache
from alerting.usecases.notification.routing import change_notifications, correct_if_known_late

_log = id_logger(__name__)


@log_run()
def evaluate(
    platform: EvaluationPorts,
    names: Sequence[str] | None,
    as_of: datetime,
    progress: Progress = silent,
) -> EvaluationCounts:
    """Evaluate active definitions (all, or these) from their watermark up to as_of, and determine
    outcomes. Idempotent.

    The whole round runs in one process: the work of `plan_round`, `evaluate_shard` and the
    maintenance, which else are separate tasks.
    """
    full_plan, _, is_new = find_current_plan(platform)
    if is_new:
        close_orphans(platform, as_of)
    evaluation_plan = _select_plan(platform.definitions, full_plan, names)
    late = begin_round(platform, full_plan.targets, as_of)
    counts = evaluate_targets(platform, evaluation_plan, as_of, late.has_requests, progress)
    counts.late = late.late
    counts.too_late = late.too_late
    counts.determined = determine_due_outcomes(platform, as_of, correct_if_known_late)
    _log_counts(counts, len(evaluation_plan.targets))
    return counts


def plan_round(
    platform: EvaluationPorts,
    every: timedelta,
    count: int,
    as_of: datetime,
) -> RoundPlan:
    """Begin a round of the definitions evaluated at this cadence. After a change of definitions or
    assets, end episodes that no evaluation will end. Route late readings, and find the shards with
    definitions, at most `count`.

    Definitions whose states are stored together share a shard, so that two shards evaluated at once
    do not wait for each other.
    """
    plan, source_hash, is_new = find_current_plan(platform)
    if is_new:  # where another process made it, the maintenance ends them
        close_orphans(platform, as_of)
    names = plan.definitions_at(duration_millis(every))
    shards = sorted({task_of(name, count) for name in names})
    late = begin_round(platform, plan.targets, as_of)
    return RoundPlan(shards, source_hash, late, plan.select_definitions(names).is_small)


@log_run()
def evaluate_shard(
    platform: EvaluationPorts,
    every: timedelta,
    shard: int,
    count: int,
    as_of: datetime,
    source_hash: str,
    has_requests: bool,
) -> EvaluationCounts:
    """Evaluate the definitions of one of `count` shards up to the instant of its round, which
    `plan_round` has begun. Idempotent.

    `has_requests`: whether the round has reprocessing requests; without any, none is read.
    """
    shard_plan = plan_of_round(
        platform, source_hash, as_of, lambda name: task_of(name, count) == shard
    )
    evaluation_plan = shard_plan.select_definitions(
        shard_plan.definitions_at(duration_millis(every))
    )
    counts = evaluate_targets(platform, evaluation_plan, as_of, has_requests)
    _log_counts(counts, len(evaluation_plan.targets))
    return counts


def evaluate_targets(
    platform: EvaluationPorts,
    evaluation_plan: EvaluationPlan,
    as_of: datetime,
    has_requests: bool,
    progress: Progress = silent,
    process: ProcessInputs | None = None,
) -> EvaluationCounts:
    """Evaluate the targets of a plan, after its round has begun. `process`: inputs
    that the process keeps."""
    targets = evaluation_plan.targets
    run = EvaluationRun(
        platform,
        from_millis(to_millis(as_of)),
        process or ProcessInputs(ModelCache(platform)),
        EvaluationCounts(),
        platform.arrivals.requests(evaluation_plan.names) if has_requests else {},
    )
    full_batch = load_batch(run, targets)
    run.counts.latency_s = max((target.latency for target in targets), default=0) // 1000
    done = 0
    for rows in batches(targets, full_batch.starts, full_batch.evaluated_from, to_millis(as_of)):
        progress("evaluating", done, len(targets))
        part: Batch | None = full_batch.take(rows)
        while part is not None:
            part = evaluate_batch(run, part)
        done += len(rows)
    with_model = sorted({target.definition for target in targets if target.needs_model})
    record_model_faults(platform.platform_alerts, with_model, run.counts.unreadable, as_of)
    progress("evaluated", len(targets), len(targets))
    return run.counts


def _log_counts(counts: EvaluationCounts, targets: int) -> None:
    _log.info(
        "evaluated %d targets: %d raised, %d closed, %d withdrawn, %d unknown, %d late readings",
        targets,
        counts.raised,
        counts.closed,
        counts.withdrawn,
        len(counts.unknown),
        counts.late,
    )
    for definition, reason in counts.unreadable.items():
        _log.warning("the model cannot be read: %s", reason, definition=definition)


def _select_plan(
    definitions: Definitions, evaluation_plan: EvaluationPlan, names: Sequence[str] | None
) -> EvaluationPlan:
    if names is None:
        return evaluation_plan
    idle = sorted(set(names) - set(evaluation_plan.names))
    for name in idle:
        require_revision(definitions, name)
    if idle:
        raise UserError(
            f"not in service: {', '.join(idle)}; only active definitions are evaluated (set state: "
            "active)"
        )
    return evaluation_plan.select_definitions(names)


def evaluate_past(
    platform: EvaluationPorts,
    name: str,
    start: datetime,
    end: datetime,
    model: str | None = None,
    revision: str | None = None,
    progress: Progress = silent,
) -> EvaluationCounts:
    """Evaluate a past interval (start, end] without notifications. The watermark does not change.

    Readings of the last instants may be under way, so `end` is at most now less the latency. By
    default each instant is evaluated by the revision and champion that were in force there, and
    instants before the first revision by the newest one and its champion, as they would have been.
    `model` (a version number, or `champion`) and `revision` (a number, or `latest`) name one for
    the whole interval. No model evaluates instants up to its training cutoff. Raises UserError if
    the interval is empty, or without a champion for it.
    """
    sync(platform, platform.clock.now())
    latest = require_revision(platform.definitions, name)
    models = ModelCache(platform)
    assets = matching_assets(latest.definition, platform.assets.all())
    latency = max(
        (latest.definition.latency(asset, platform.latency) for asset in assets),
        default=platform.latency,
    )
    end = min(end, platform.clock.now() - latency)
    if start >= end:
        raise UserError(
            in_english(
                "--from {start} must lie before --to, or before {end}, up to which targets are "
                "evaluated{latency}",
                start=start,
                end=end,
                latency=latency_note(latency),
            )
        )
    parts, notes = _past_parts(platform, models, latest, start, end, model, revision)
    counts = EvaluationCounts(notes=notes)
    for done, asset in enumerate(assets):
        progress(f"evaluating {name} on {asset.name}", done, len(assets))
        evaluation = evaluate_parts(
            platform, models, asset, ConditionState(watermark=start), parts, named=True
        )
        platform.scores.add_many(scores_of(name, asset, evaluation))
        counts.add(persist_past(platform, latest, asset, evaluation, start, end))
        for part in parts:
            platform.past_evaluations.add(
                PastEvaluation(
                    name,
                    asset.name,
                    part.start,
                    part.end,
                    part.revision.number if part.revision else None,
                    part.model_version,
                    platform.clock.now(),
                )
            )
        counts.targets += 1
        if evaluation.unknown:
            counts.unknown[f"{name} on {asset.name}"] = evaluation.unknown
    counts.determined = determine_due_outcomes(
        platform, max(end, platform.clock.now()), correct_if_known_late
    )
    progress("evaluated", len(assets), len(assets))
    return counts


def _past_parts(
    platform: EvaluationPorts,
    models: ModelCache,
    latest: Revision,
    start: datetime,
    end: datetime,
    model: str | None,
    revision: str | None,
) -> tuple[list[VersionInterval], list[str]]:
    """Return the versions that evaluate a past interval, and a sentence on versions that were not
    in force then."""
    name = latest.name
    if model is None and revision is None:
        parts = segments(
            platform.definitions.revisions(name),
            platform.decisions.for_definition(name),
            start,
            end,
        )
        before = [part for part in parts if part.revision is None]
        if len(before) == len(parts) and latest.definition.state != "active":
            text = in_english(
                "{name} is {state}, and was not in force from {start} to {end}; a backtest shows "
                "the alerts that it would have raised",
                name=repr(name),
                state=latest.definition.state,
                start=start,
                end=end,
            )
            raise UserError(with_command(text, f"alerting backtest {name}"))
        if not before or latest.definition.state != "active":
            return parts, []
        version = _unseen_version(platform, models, latest, None, before[-1].end)
        by_model = "" if version is None else f" with its champion, version {version}"
        note = in_english(
            "{name} was not in force from {start} to {end}: evaluated by its newest revision, "
            "{number}{by_model}, as it would have been",
            name=name,
            start=before[0].start,
            end=before[-1].end,
            number=latest.number,
            by_model=by_model,
        )
        newest = replace(before[0], end=before[-1].end, revision=latest, model_version=version)
        return [newest, *parts[len(before) :]], [note]
    chosen = (
        latest
        if revision in (None, "latest")
        else require_revision(platform.definitions, name, _number("--revision", revision))
    )
    return [
        VersionInterval(start, end, chosen, _unseen_version(platform, models, chosen, model, end))
    ], []


def _unseen_version(
    platform: EvaluationPorts,
    models: ModelCache,
    chosen: Revision,
    model: str | None,
    end: datetime,
) -> int | None:
    """Return the version of `named_version`. Raises UserError if it may not evaluate instants up to
    `end`."""
    version = named_version(platform, chosen, model)
    if version is not None:
        check_unseen(models, chosen.definition, version, end)
    return version


def named_version(platform: ChampionPorts, chosen: Revision, model: str | None) -> int | None:
    """Return the version of a model that a person names: its number, or for None and `champion` the
    champion of the revision's question.

    None for a definition without a model. Raises UserError for other text, an unknown version, and
    if there is no champion.
    """
    number = None if model in (None, "champion") else _number("--model", model)
    if not isinstance(chosen.definition, ModelDefinition):
        if number is not None:
            raise UserError(
                f"{chosen.name!r} is a {chosen.definition.kind} definition, which has no model: "
                "leave --model out"
            )
        return None
    if number is not None:
        _require_version(platform.models, chosen.name, number)
        return number
    serving = last_promotion(platform.decisions.for_definition(chosen.name), question_of(chosen))
    if serving is None:
        which = f"{chosen.name!r} has no champion for the question of revision {chosen.number}"
        raise UserError(joined(": ", which, describe_missing_champion(platform, chosen)))
    return serving.challenger_version


def _require_version(models: Models, name: str, number: int) -> None:
    """Check that a version is registered, if the registry answers. Raises UserError with the
    registered versions."""
    try:
        registered = models.versions(name)
    except ModelUnavailable:
        return
    if number not in registered:
        versions = ", ".join(map(str, registered)) or "none"
        raise UserError(f"there is no version {number} of {name!r} (registered: {versions})")


def check_unseen(models: ModelCache, definition: Definition, version: int, end: datetime) -> None:
    """Check that a model can be read and may evaluate instants up to `end`. Raises UserError
    otherwise."""
    try:
        training_cutoff = models.get(definition, version).training_cutoff
    except ModelUnavailable as unavailable:
        raise UserError(
            f"model {version} of {definition.name!r} cannot be read: {unavailable}"
        ) from unavailable
    if end <= training_cutoff:
        text = in_english(
            "model {version} of {name} has learned from times up to {cutoff}; it cannot evaluate "
            "instants before {end}; a backtest trains on the past of each instant instead",
            version=version,
            name=repr(definition.name),
            cutoff=training_cutoff,
            end=end,
        )
        raise UserError(with_command(text, f"alerting backtest {definition.name}"))


def _number(option: str, text: str | None) -> int:
    if text is None or not text.isdigit():
        raise UserError(f"{option} {text!r}: write a version number, or leave the option out")
    return int(text)


def close_orphans(platform: EvaluationPorts, as_of: datetime) -> int:
    """End every open episode that no evaluation will end, and notify its recipients; return how
    many. Idempotent."""
    still_open = platform.episodes.find(open_only=True)  # before the plan, which is not older
    keys = {(episode.definition, episode.asset) for episode in still_open}
    targets = current_plan(platform).targets if keys else ()
    keys.difference_update([t.key for t in targets if t.key in keys])
    if not keys:
        return 0
    reasons = _find_reasons(platform, keys)
    ending = [e for e in still_open if (e.definition, e.asset) in reasons]
    for episode in ending:
        revision, why = reasons[episode.definition, episode.asset]
        _end_episode(platform, episode, revision, why, as_of)
    return len(ending)


def _find_reasons(
    platform: EvaluationPorts, keys: Collection[TargetKey]
) -> dict[TargetKey, tuple[Revision | None, str]]:
    """Return why each of these targets is no longer evaluated, with the newest revision of its
    definition. Targets whose revision or asset cannot be read now are left out."""
    faulty_assets = {document.name for document in platform.assets.read_all()[1]}
    assets = platform.assets.get_many({asset for _, asset in keys})
    reasons = dict[TargetKey, tuple[Revision | None, str]]()
    for name in {definition for definition, _ in keys}:
        revision = platform.definitions.newest_revision(name)
        if revision is None and any(
            faulty.name.startswith(name) for faulty in platform.definitions.load_revisions()({})[1]
        ):
            continue
        for key in (key for key in keys if key[0] == name):
            asset = key[1]
            why = why_not_in_service(revision, asset)
            if why is None and asset not in assets and asset not in faulty_assets:
                why = without_asset(asset)
            if why is not None:
                reasons[key] = (revision, why)
    return reasons


def _end_episode(
    platform: EvaluationPorts,
    episode: Episode,
    revision: Revision | None,
    why: str,
    as_of: datetime,
) -> None:
    is_out = why_not_in_service(revision, episode.asset) is not None
    at = max(revision.at, episode.raised_at) if revision is not None and is_out else as_of

    def end(stored: Episode, changes: EpisodeChanges) -> Episode:
        if stored.condition == "closed":
            return stored
        ended = stored.with_transition("closed", as_of, why, condition="closed", closed_at=at)
        if revision is not None and not stored.backfilled:
            changes.notify(
                change_notifications(changes, revision.definition, ended, "closed", why, as_of)
            )
        changes.drop_overtaken(ended)
        return ended

    def forget(unit: Unit) -> None:
        forget_open(platform.states, (episode.definition, episode.asset), revision, at, unit)

    # a definition that is evaluated again ends it itself, by the revision that was in force
    update(platform, episode.id, end, None if is_out and revision is not None else forget)
