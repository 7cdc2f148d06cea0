"""The current evaluation plan: from the cache, or read again from definitions and assets if one of
them was written.

After edits of a few definitions the targets of all others stay as they are. What is left out needs
all definitions: an alert that suppresses others or is suppressed, a deleted document, and any
change of an asset, event type or source.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple
from zlib import crc32

from alerting.definitions.alert_definition import (
    SHARDS,
    AssetIndex,
    ModelDefinition,
    Revision,
    shard_of,
)
from alerting.definitions.asset_documents import Asset, types_of
from alerting.definitions.fields.problem import variable_title
from alerting.episodes.evaluation_plan import (
    EvaluationPlan,
    EvaluationTarget,
    PlanEdits,
    PlanRevisions,
    SourceHash,
    TargetKey,
)
from alerting.kinds.registry import kind_of
from alerting.ports import Decisions, Definitions, PlanPorts
from alerting.readings.history import duration_millis, to_millis
from alerting.usecases.definitions.checking import all_assets
from alerting.usecases.definitions.sync import Synced, sync, sync_edited
from alerting.usecases.definitions.versions import present_answer


class CurrentPlan(NamedTuple):
    """The evaluation plan, with the hash of its sources, by which other processes find it in the
    cache. `is_new`: it was made now, of sources that have changed."""

    plan: EvaluationPlan
    source_hash: str
    is_new: bool = True


def current_plan(platform: PlanPorts) -> EvaluationPlan:
    """Return all targets of definitions in service. Documents edited since the last time get their
    revisions first (`sync`)."""
    return find_current_plan(platform).plan


def find_current_plan(platform: PlanPorts) -> CurrentPlan:
    """Return the same plan with the hash of its sources."""
    before = source_hash_of(platform, read_plan=True)
    if (cached := platform.evaluation_plans.get(before)) is not None:
        return CurrentPlan(cached, before, is_new=False)
    made = _plan_after_edits(platform, before)
    if made is None:
        made = _plan_of_all(platform, before)
        if source_hash_of(platform) != made.source_hash:  # a document was written meanwhile
            return CurrentPlan(made.plan, made.source_hash)
    platform.evaluation_plans.store_plan(made.source_hash, made.plan, made.made_of)
    return CurrentPlan(made.plan, made.source_hash)


class _MadePlan(NamedTuple):
    plan: EvaluationPlan
    source_hash: str
    made_of: PlanRevisions | None


def _plan_after_edits(platform: PlanPorts, before: str) -> _MadePlan | None:
    """Return the stored plan with the targets of edited definitions made again; None if all must be
    made, or if anything was written meanwhile."""
    found = read_edits(platform, before)
    if found is None:
        return None
    edits, synced = found
    targets = _targets_in_service(platform, synced.latest, synced.assets)
    read_from = source_hash_of(platform)
    if not is_all_that_changed(before, read_from, len(synced.new)):
        return None
    return _MadePlan(
        merge_plan(edits.plan, synced.latest, targets),
        read_from,
        add_plan_revisions(edits.made_of, synced.latest),
    )


def _plan_of_all(platform: PlanPorts, before: str) -> _MadePlan:
    synced = sync(platform, platform.clock.now())
    read_from = before
    if synced.new:  # which change the hash, and another process may have written meanwhile
        read_from = source_hash_of(platform)
        parse = platform.definitions.load_revisions()
        latest, _ = parse({one.name: one.definition for one in synced.latest})
        synced = replace(synced, latest=tuple(latest), assets=all_assets(platform.assets))
    targets = _targets_in_service(platform, synced.latest, synced.assets)
    names = tuple(one.name for one in synced.latest if one.definition.state == "active")
    plan = EvaluationPlan(names, tuple(targets))
    return _MadePlan(plan, read_from, find_plan_revisions(synced))


def _targets_in_service(
    platform: PlanPorts, latest: Sequence[Revision], assets: AssetIndex
) -> list[EvaluationTarget]:
    revisions = [r for r in latest if r.definition.state == "active"]
    return list_targets(
        answering_revisions(platform.definitions, platform.decisions, revisions),
        assets,
        platform.latency,
    )


def answering_revisions(
    definitions: Definitions, decisions: Decisions, revisions: Sequence[Revision]
) -> list[tuple[Revision, Revision]]:
    """Return every revision in service with the one that evaluates: another one while its question
    has no champion yet."""
    edited = [
        r.name for r in revisions if r.number > 1 and isinstance(r.definition, ModelDefinition)
    ]
    histories = definitions.histories(edited) if edited else {}
    made = decisions.histories(edited) if edited else {}
    answers = {
        name: present_answer(of_name, made.get(name, [])).revision
        for name, of_name in histories.items()
    }
    return [(revision, answers.get(revision.name) or revision) for revision in revisions]


def source_hash_of(platform: PlanPorts, read_plan: bool = False) -> str:
    """Return an identity of all sources of a plan, the platform's latency among them; empty without
    a cache of plans. `read_plan`: the stored plan is asked for next."""
    of_documents = platform.evaluation_plans.source_hash(read_plan)
    return of_documents and f"{of_documents}-{duration_millis(platform.latency)}"


def list_targets(
    revisions: Iterable[tuple[Revision, Revision]], assets: AssetIndex, latency: timedelta
) -> list[EvaluationTarget]:
    """Return every target of these revisions, sorted by asset, so that those of one asset are
    neighbours.

    `revisions`: the newest of each definition with the one that evaluates; only the cadence is
    always that of the newest. If an older one applies to no asset any more, the assets are those of
    the newest, on which the answer is unknown. `latency`: the platform's, for variables without
    their own.
    """
    found = [
        _target(newest, answering, asset, assets, latency)
        for newest, answering in revisions
        for asset in _matched(newest, answering, assets)
    ]
    return sorted(found, key=lambda target: target.asset)


def target_keys(platform: PlanPorts, revisions: Sequence[Revision]) -> list[TargetKey]:
    """Return definition and asset of every target of these revisions. What a target reads is left
    out: that loads the methods of all kinds."""
    pairs = answering_revisions(platform.definitions, platform.decisions, revisions)
    patterns = {pattern for pair in pairs for one in pair for pattern in one.definition.assets}
    assets = AssetIndex(platform.assets.find_matching(patterns))
    return [
        (newest.name, asset.name)
        for newest, answering in pairs
        for asset in _matched(newest, answering, assets)
    ]


def _matched(newest: Revision, answering: Revision, assets: AssetIndex) -> list[Asset]:
    return assets.find_matching(answering.definition.assets) or assets.find_matching(
        newest.definition.assets
    )


def _target(
    newest: Revision,
    answering: Revision,
    asset: Asset,
    assets: AssetIndex,
    latency: timedelta,
) -> EvaluationTarget:
    definition = answering.definition
    inputs = kind_of(definition).inputs(definition, asset)
    return EvaluationTarget(
        newest.name,
        asset.name,
        to_millis(newest.at),
        duration_millis(newest.definition.schedule.every),
        latency=duration_millis(definition.latency(asset, latency)),
        allowed_lateness=duration_millis(definition.allowed_lateness + definition.delay(asset)),
        turn=_turn(newest.name, asset.name),
        revision=newest.number,
        has_outcome=definition.problem is not None,
        events=definition.events_read(),
        also_reads=tuple(
            sorted({*asset.with_parts(definition.variables_read(asset))} - {inputs.variable})
        ),
        above=assets.ancestors(asset)
        if definition.suppression and not definition.evaluates_suppressed
        else (),
        variable=inputs.variable,
        limits=inputs.limits,
        severities=definition.severities(),
        needs_model=isinstance(definition, ModelDefinition),
        lookback=duration_millis(inputs.lookback),
        type=types_of(asset, [inputs.variable])[inputs.variable] if inputs.variable else "number",
        title=variable_title(inputs.variable, asset.variables) if inputs.variable else None,
    )


def _turn(definition: str, asset: str) -> int:
    """Return the turn of a target (see `EvaluationTarget`). Targets whose states are stored
    together follow one another."""
    return (shard_of(definition) * 2**32 + crc32(f"{definition}|{asset}".encode())) // SHARDS


_MOST_EDITS = 1000  # more are not worth a search for what changed


class EditedRevisions(NamedTuple):
    """The definitions that were edited since the stored plan was made, with their revisions."""

    edits: PlanEdits
    synced: Synced


def find_plan_revisions(synced: Synced) -> PlanRevisions | None:
    """Return the revisions that the plan of all definitions is made of; None where one cannot be
    read."""
    if synced.has_faulty_revisions:
        return None
    numbers = {revision.name: revision.number for revision in synced.latest}
    return PlanRevisions(numbers, synced.linked)


def read_edits(platform: PlanPorts, source_hash: str) -> EditedRevisions | None:
    """Store a revision of each definition that was edited since the stored plan was made, and
    return them; None if the whole plan must be made. `source_hash`: of now."""
    edits = platform.evaluation_plans.find_edits(source_hash)
    if edits is None or len(edits.names) > _MOST_EDITS or edits.made_of.linked & set(edits.names):
        return None
    numbers = edits.made_of.numbers
    histories = platform.definitions.histories(edits.names)
    latest = [history[-1] for history in histories.values()]
    if sum(one.number - numbers.get(one.name, 0) for one in latest) != edits.added:
        return None
    synced = sync_edited(platform, edits.names, latest, platform.clock.now())
    return None if synced is None else EditedRevisions(edits, synced)


def is_all_that_changed(before: str, after: str, new: int) -> bool:
    """Return whether nothing but `new` revisions was written between two hashes of the sources."""
    was = SourceHash.read(before)
    now = SourceHash.read(after)
    return (
        was is not None and now is not None and now._replace(revisions=now.revisions - new) == was
    )


def merge_plan(
    plan: EvaluationPlan, edited: Sequence[Revision], targets: Iterable[EvaluationTarget]
) -> EvaluationPlan:
    """Return a plan with these targets in place of those of the edited definitions, in the order of
    the plan of all definitions."""
    names = {revision.name for revision in edited}
    in_service = {revision.name for revision in edited if revision.definition.state == "active"}
    kept = (target for target in plan.targets if target.definition not in names)
    return EvaluationPlan(
        tuple(sorted({*plan.names} - names | in_service)),
        tuple(sorted([*kept, *targets], key=lambda target: (target.asset, target.definition))),
    )


def add_plan_revisions(made_of: PlanRevisions, edited: Sequence[Revision]) -> PlanRevisions:
    """Return the revisions of a plan with those of the edited definitions."""
    numbers = {revision.name: revision.number for revision in edited}
    return PlanRevisions({**made_of.numbers, **numbers}, made_of.linked)
