"""The evaluation plan after edits of a few definitions: the targets of all others stay as they are.

What is left out needs all definitions: an alert that suppresses others or is suppressed, a deleted
document, and any change of an asset, event type or source.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from alerting.definitions.model import Revision
from alerting.episodes.targets import (
    EvaluationPlan,
    EvaluationTarget,
    PlanEdits,
    PlanRevisions,
    SourceHash,
)
from alerting.ports import PlanPorts
from alerting.usecases.definitions.sync import Synced, sync_edited

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
