"""Definitions: the life of their documents, and revisions of documents edited directly in the
database; and the evaluation plan, which is made from the definitions.

The plan comes from the cache, or is made again from definitions and assets if one of them was
written. After edits of a few definitions the targets of all others stay as they are. Some changes
need all definitions: an alert that suppresses others or is suppressed, a deleted document, and any
change of an asset, event type or source.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar
from zlib import crc32

from alerting.definitions.alert_definition import (
    SHARDS,
    AssetIndex,
    Definition,
    ModelDefinition,
    Revision,
    shard_of,
)
from alerting.definitions.asset_documents import Asset, EventType, types_of
from alerting.definitions.faults import Fault
from alerting.definitions.fields.definition_checks import inhibitors_of
from alerting.definitions.fields.problem import variable_title
from alerting.definitions.revisions import definition_document, in_plant_zone, next_revision
from alerting.definitions.wording.language import template
from alerting.episodes.evaluation_plan import (
    EvaluationPlan,
    EvaluationTarget,
    PlanEdits,
    PlanRevisions,
    SourceHash,
    TargetKey,
)
from alerting.kinds.registry import definition_types, kind_of, parse_definition
from alerting.ports import (
    Decisions,
    DefinitionPorts,
    Definitions,
    Document,
    DocumentRevision,
    FaultyDocument,
    PlanPorts,
)
from alerting.readings.history import duration_millis, to_millis
from alerting.usecases.definitions.faults_and_platform_alerts import (
    all_assets,
    check_each,
    faults_in_force,
    forget_deleted,
    index_assets,
    label_of,
    read_documents,
    record_definition_faults,
    record_document_faults,
)
from alerting.usecases.definitions.versions import present_answer, require_revision
from alerting.usecases.document_life import (
    DocumentKind,
    DocumentReview,
    StateChange,
    StoredDocument,
)

P_contra = TypeVar("P_contra", bound=DefinitionPorts, contravariant=True)


@dataclass(frozen=True)
class Synced:
    """Result of reading the current documents.

    `latest`: the newest revision of every definition that was read, sorted by name; `new`: the
    revisions made now; `faulty`: definitions marked faulty, with their reasons; `assets`: all
    assets beside which they were read; `linked`: names of definitions that inhibit others or are
    inhibited; `has_faulty_revisions`: whether a stored revision cannot be read.
    """

    latest: tuple[Revision, ...]
    new: tuple[Revision, ...]
    faulty: dict[str, list[str]]
    assets: AssetIndex
    linked: frozenset[str] = frozenset()
    has_faulty_revisions: bool = False


class DefinitionDocuments:
    """Port `DocumentStore` of definitions, whose revisions hold every field."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    def documents(self) -> list[Document]:
        return [_without_marks(document) for document in self._definitions.documents()]

    def find(self, name: str) -> Document | None:
        """Return the document of a name; if it was deleted in the database, the revision that stays
        in force."""
        document = next(map(_without_marks, self._definitions.documents([name])), None)
        newest = None if document else self._definitions.newest_revision(name)
        return document if newest is None else definition_document(newest.definition)

    def store_document(self, document: Document) -> None:
        self._definitions.store_document(document)

    def remove(self, name: str) -> bool:
        """Remove nothing: a definition is retired."""
        del name
        return False

    def add_revision(self, revision: DocumentRevision) -> bool:
        definition = parse_definition(revision.document)
        before = self._definitions.newest_revision(revision.name)
        made = next_revision(definition, before, revision.actor, revision.at, revision.reason)
        return self._definitions.add_revision(made.model_copy(update={"number": revision.number}))

    def revisions(self, name: str) -> list[DocumentRevision]:
        return [
            DocumentRevision(
                name, r.number, r.at, r.author, definition_document(r.definition), r.reason
            )
            for r in self._definitions.revisions(name)
        ]

    def last_number(self, name: str) -> int:
        return self._definitions.last_number(name)


class DefinitionKind(DocumentKind[P_contra, Definition]):
    """The life of definitions, which are checked beside each other and the assets. The newest valid
    revision is in force."""

    def review_all(
        self, ports: P_contra, documents: Sequence[Mapping[str, Any]], *, on_host: bool
    ) -> list[DocumentReview[Definition]]:
        """Return the effect of each document as it would be beside the others. Writes nothing."""
        del on_host  # no definition names a path of the host
        return [
            DocumentReview(checked.name, "new", checked.faults)
            if checked.faults or checked.definition is None
            else self.compare(ports, checked.definition)
            for checked in check_each(ports, [dict(document) for document in documents])
        ]

    def get(self, ports: P_contra, name: str) -> Definition | None:
        """Return the definition that is in force."""
        newest = ports.definitions.newest_revision(name)
        return None if newest is None else newest.definition

    def read_stored(self, ports: P_contra, document: Document) -> Definition | None:
        """Return the definition in a stored document; None if it is faulty. Clock times without a
        zone take the zone of the revision in force, so that they keep their meaning."""
        try:
            (checked,) = check_each(ports, [document], "UTC")
        except Exception:  # any content of a document, as in `sync`, which marks it as faulty
            return None
        if checked.definition is None or checked.faults:
            return None
        return in_plant_zone(checked.definition, str(ports.zone), self.get(ports, checked.name))

    def show(self, ports: P_contra, name: str, at: datetime) -> StoredDocument[Definition]:
        """Return a definition, valid or not, with its revisions. Raises NotFound."""
        del at  # an edit in the database gets its revision from `sync`
        return StoredDocument(
            name,
            self._require(ports, name),
            self.get(ports, name),
            tuple(ports.definitions.faulty().get(name, ())),
            tuple(self.store(ports).revisions(name)),
        )

    def _store(
        self,
        ports: P_contra,
        changed: Definition,
        audited: str,
        actor: str,
        at: datetime,
        reason: str,
        read: int | None,
    ) -> None:
        super()._store(ports, changed, audited, actor, at, reason, read)
        record_definition_faults(ports.platform_alerts, changed.name, [], at)
        ports.definitions.mark_faulty(changed.name, [])


def _without_marks(document: Document) -> Document:
    return {key: value for key, value in document.items() if not key.startswith("_")}


DEFINITION_DOCUMENTS: DefinitionKind[DefinitionPorts] = DefinitionKind(
    word="definition",
    store=lambda platform: DefinitionDocuments(platform.definitions),
    models=definition_types,
    parse=parse_definition,
    write=definition_document,
    applied=template("definition applied"),
    acts={
        "activate": StateChange("active", template("definition applied")),
        "retire": StateChange("retired", template("definition applied")),
    },
    columns=("name", "kind", "assets", "state"),
)
"""Definitions without the effects of a change on the alarm load."""
check = DEFINITION_DOCUMENTS.check
plan = DEFINITION_DOCUMENTS.plan
apply = DEFINITION_DOCUMENTS.apply


def sync(platform: DefinitionPorts, at: datetime) -> Synced:
    """Store a revision of every edited document, and mark invalid documents as faulty; their last
    valid revision stays in force.

    A faulty document and the reasons are audited once, when they change. Faulty documents of other
    collections, which are left out, cause platform alerts, too.
    """
    parse_revisions = platform.definitions.load_revisions()
    beside = _read_beside(platform)
    documents = platform.definitions.documents()
    read = read_documents(documents, beside.assets, beside.types)
    latest, faulty_revisions = parse_revisions(
        {name: content for name, content in read.items() if isinstance(content, Definition)}
    )
    record_document_faults(platform.platform_alerts, [*beside.faulty, *faulty_revisions], at)
    synced = _take_documents(platform, documents, read, latest, beside, at)
    forget_deleted(platform.platform_alerts, platform.definitions, read.keys(), at)
    return replace(synced, has_faulty_revisions=bool(faulty_revisions))


def sync_edited(
    platform: DefinitionPorts, names: Collection[str], latest: Sequence[Revision], at: datetime
) -> Synced | None:
    """Sync the documents of these definitions alone, and return the result. `latest`: their newest
    revisions. None, and nothing is written, if another definition suppresses one of them."""
    beside = _read_beside(platform)
    documents = platform.definitions.documents(names)
    read = read_documents(documents, beside.assets, beside.types)
    if any(isinstance(content, Definition) and inhibitors_of(content) for content in read.values()):
        return None
    record_document_faults(platform.platform_alerts, beside.faulty, at)
    synced = _take_documents(platform, documents, read, latest, beside, at)
    forget_deleted(platform.platform_alerts, platform.definitions, None, at)
    return synced


class _Beside(NamedTuple):
    """Assets and event types beside which definitions are read, and the faulty documents of all
    other collections."""

    assets: AssetIndex
    types: Sequence[EventType]
    faulty: Sequence[FaultyDocument]


def _read_beside(platform: DefinitionPorts) -> _Beside:
    valid, faulty = platform.assets.read_all()
    others = platform.documents.faulty(("event_types", "mutes", "routes", "sinks", "sources"))
    return _Beside(index_assets(valid, faulty), platform.assets.event_types(), [*faulty, *others])


def _take_documents(
    platform: DefinitionPorts,
    documents: Sequence[Document],
    read: Mapping[str, Definition | list[Fault]],
    latest_revisions: Sequence[Revision],
    beside: _Beside,
    at: datetime,
) -> Synced:
    """Store a revision of every definition that differs from its latest, and record all faults."""
    latest = {r.name: r for r in latest_revisions}
    in_force = {r.name: r.definition for r in latest_revisions}
    new: list[Revision] = []
    faulty: dict[str, list[str]] = {}
    waiting: dict[str, Definition] = {}

    def take(name: str, definition: Definition) -> None:
        """Store a changed definition, unless it is faulty; a definition that others inhibit waits
        for them."""
        before = latest[name].definition if name in latest else None
        definition = in_plant_zone(definition, str(platform.zone), before)
        faults = faults_in_force(definition, in_force, beside.assets, beside.types)
        faulty[name] = [str(fault) for fault in faults]
        if faulty[name] and inhibitors_of(definition):
            waiting[name] = definition
        # equal ones are mostly one object
        elif not faulty[name] and before is not definition and before != definition:
            DEFINITION_DOCUMENTS.record_edit(platform, definition, at)
            revision = require_revision(platform.definitions, name)
            new.append(revision)
            in_force[revision.name] = revision.definition

    for name, content in read.items():
        if isinstance(content, Definition):
            take(name, content)
        else:
            faulty[name] = [str(fault) for fault in content]
    looked_at = len(waiting) + 1
    while len(waiting) < looked_at:  # what inhibits them may be in force only since this look
        looked_at = len(waiting)
        again = dict(waiting)
        waiting.clear()
        for name, definition in again.items():
            take(name, definition)
    marked = {label_of(d): d["_faults"] for d in documents if "_faults" in d}
    for name, faults in faulty.items():
        _record_faults(platform, name, faults, marked.get(name, []), at)
    latest.update({revision.name: revision for revision in new})
    definitions = [content for content in read.values() if isinstance(content, Definition)]
    return Synced(
        tuple(latest[name] for name in sorted(latest)),
        tuple(new),
        {name: faults for name, faults in faulty.items() if faults},
        beside.assets,
        frozenset(
            name
            for definition in (*definitions, *in_force.values())
            if (inhibitors := inhibitors_of(definition))
            for name in (definition.name, *inhibitors)
        ),
    )


def _record_faults(
    platform: DefinitionPorts, name: str, faults: list[str], earlier: list[str], at: datetime
) -> None:
    if faults == earlier:
        return
    # Before the mark: after an interruption between the two both are done again.
    record_definition_faults(platform.platform_alerts, name, faults, at)
    platform.definitions.mark_faulty(name, faults)
    change = template("definition is valid again")
    if faults:
        change = template("definition is faulty; its last valid revision stays in force")
    platform.audit.add("platform", change, name, at, earlier, faults)


class CurrentPlan(NamedTuple):
    """The evaluation plan, with the hash of its sources, by which other processes find it in the
    cache. `is_new`: whether it was made now, because its sources have changed."""

    plan: EvaluationPlan
    source_hash: str
    is_new: bool = True


def current_plan(platform: PlanPorts) -> EvaluationPlan:
    """Return all targets of definitions in service. Documents that were edited meanwhile get their
    revisions first (`sync`)."""
    return find_current_plan(platform).plan


def find_current_plan(platform: PlanPorts) -> CurrentPlan:
    """Return the plan of `current_plan` with the hash of its sources."""
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
    """Return the stored plan with new targets of edited definitions; None if all targets must be
    made, or if anything was written meanwhile."""
    edited = read_edits(platform, before)
    if edited is None:
        return None
    edits, synced = edited
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
        latest, _ = parse({revision.name: revision.definition for revision in synced.latest})
        synced = replace(synced, latest=tuple(latest), assets=all_assets(platform.assets))
    targets = _targets_in_service(platform, synced.latest, synced.assets)
    names = tuple(r.name for r in synced.latest if r.definition.state == "active")
    return _MadePlan(EvaluationPlan(names, tuple(targets)), read_from, find_plan_revisions(synced))


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
    """Return every revision in service with the revision that evaluates: an older one while its
    question has no champion yet."""
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
    """Return an identity of all sources of a plan, the platform's latency included; empty without a
    cache of plans. `read_plan`: whether the caller asks for the stored plan next."""
    of_documents = platform.evaluation_plans.source_hash(read_plan)
    return of_documents and f"{of_documents}-{duration_millis(platform.latency)}"


def list_targets(
    revisions: Iterable[tuple[Revision, Revision]], assets: AssetIndex, latency: timedelta
) -> list[EvaluationTarget]:
    """Return every target of these revisions, sorted by asset, so that targets of the same asset
    are neighbours.

    `revisions`: the newest revision of each definition with the one that evaluates; only the
    cadence always comes from the newest. If an older revision applies to no asset any more, the
    assets come from the newest one, and the answer on them is unknown. `latency`: the platform's,
    for variables without their own.
    """
    targets = [
        _make_target(newest, answering, asset, assets, latency)
        for newest, answering in revisions
        for asset in _find_assets(newest, answering, assets)
    ]
    return sorted(targets, key=lambda target: target.asset)


def target_keys(platform: PlanPorts, revisions: Sequence[Revision]) -> list[TargetKey]:
    """Return definition and asset of every target of these revisions, without the variables that it
    reads, which would load the methods of all kinds."""
    pairs = answering_revisions(platform.definitions, platform.decisions, revisions)
    patterns = {
        pattern for pair in pairs for revision in pair for pattern in revision.definition.assets
    }
    assets = AssetIndex(platform.assets.find_matching(patterns))
    return [
        (newest.name, asset.name)
        for newest, answering in pairs
        for asset in _find_assets(newest, answering, assets)
    ]


def _find_assets(newest: Revision, answering: Revision, assets: AssetIndex) -> list[Asset]:
    return assets.find_matching(answering.definition.assets) or assets.find_matching(
        newest.definition.assets
    )


def _make_target(
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
    together have successive turns."""
    return (shard_of(definition) * 2**32 + crc32(f"{definition}|{asset}".encode())) // SHARDS


_MOST_EDITS = 1000  # more are not worth a search for what changed


class EditedRevisions(NamedTuple):
    """The definitions that were edited since the stored plan was made, with their revisions."""

    edits: PlanEdits
    synced: Synced


def find_plan_revisions(synced: Synced) -> PlanRevisions | None:
    """Return the revisions from which the plan of all definitions is made; None if one of them
    cannot be read."""
    if synced.has_faulty_revisions:
        return None
    numbers = {revision.name: revision.number for revision in synced.latest}
    return PlanRevisions(numbers, synced.linked)


def read_edits(platform: PlanPorts, source_hash: str) -> EditedRevisions | None:
    """Store a revision of each definition that was edited since the stored plan was made, and
    return these revisions; None if the whole plan must be made. `source_hash`: hash of the present
    sources."""
    edits = platform.evaluation_plans.find_edits(source_hash)
    if edits is None or len(edits.names) > _MOST_EDITS or edits.made_of.linked & set(edits.names):
        return None
    numbers = edits.made_of.numbers
    latest = [history[-1] for history in platform.definitions.histories(edits.names).values()]
    if sum(revision.number - numbers.get(revision.name, 0) for revision in latest) != edits.added:
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
    """Return a plan in which these targets replace the targets of the edited definitions, in the
    order of the plan of all definitions."""
    names = {revision.name for revision in edited}
    in_service = {revision.name for revision in edited if revision.definition.state == "active"}
    unchanged = (target for target in plan.targets if target.definition not in names)
    return EvaluationPlan(
        tuple(sorted({*plan.names} - names | in_service)),
        tuple(sorted([*unchanged, *targets], key=lambda target: (target.asset, target.definition))),
    )


def add_plan_revisions(made_of: PlanRevisions, edited: Sequence[Revision]) -> PlanRevisions:
    """Return the revisions of a plan, with the edited definitions' revisions in place of their old
    ones."""
    numbers = {revision.name: revision.number for revision in edited}
    return PlanRevisions({**made_of.numbers, **numbers}, made_of.linked)
