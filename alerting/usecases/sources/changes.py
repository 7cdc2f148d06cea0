"""Changes of sources by people at the console, from the revision that they have read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerting.definitions.sources.mapping import SourceState
from alerting.definitions.sources.source import FilesSource, Source, SqlSource, source_document
from alerting.definitions.sources.streamed import StreamedSource
from alerting.ports import DeadMessage, SourcePorts, SourceRevision, Sources
from alerting.usecases.sources.documents import (
    SOURCE_FORM,
    SourcePlan,
    apply_sources,
    find_source,
    set_state,
)
from alerting.usecases.sources.revised import Expected
from alerting.usecases.sources.status import SourceStatus, source_status

ExpectedSource = Expected
DEAD_SHOWN = 20


@dataclass(frozen=True)
class SourceDetail:
    """A source with its state, its revisions, oldest first, and the first dead messages of it.

    `dead_more`: there are more of them than these.
    """

    source: Source
    document: Mapping[str, Any]
    status: SourceStatus
    revisions: tuple[SourceRevision, ...]
    dead: tuple[DeadMessage, ...]
    dead_more: bool

    @property
    def number(self) -> int:
        """Return the number of the newest revision, 0 without one."""
        return self.revisions[-1].number if self.revisions else 0

    @property
    def can_be_looked_at(self) -> bool:
        """Return whether the platform connects to it, so that some of its rows can be shown."""
        return isinstance(self.source, FilesSource | SqlSource | StreamedSource)


def source_detail(plant: SourcePorts, name: str, now: datetime) -> SourceDetail:
    """Return a source with all that is known of it. Raises NotFound, and UserError if its document
    is faulty."""
    source = find_source(plant.sources, name)
    revisions = plant.sources.revisions(name)
    dead = plant.dead_messages.dead(name, DEAD_SHOWN + 1)
    return SourceDetail(
        source,
        source_document(source),
        source_status(source, plant.deliveries.progress(name), revisions, now),
        tuple(revisions),
        tuple(dead[:DEAD_SHOWN]),
        len(dead) > DEAD_SHOWN,
    )


def apply_source(
    plant: SourcePorts,
    document: Mapping[str, Any],
    expected: ExpectedSource | None,
    actor: str,
    now: datetime,
) -> SourcePlan:
    """Apply a source that was made from the expected revision. Raises ChangedMeanwhile for another
    newest one, and UserError for a faulty document and for paths that are not in use yet."""
    plan = plan_source(plant.sources, document)
    if expected is not None:
        require_source_revision(plant, plan.name, expected, now)
    return apply_sources(plant, [document], actor, now)[0]


def change_state(
    plant: SourcePorts,
    name: str,
    state: SourceState,
    expected: ExpectedSource | None,
    actor: str,
    now: datetime,
) -> Source:
    """Pause, resume or retire a source, from the expected revision. Raises ChangedMeanwhile."""
    find_source(plant.sources, name)
    if expected is not None:
        require_source_revision(plant, name, expected, now)
    return set_state(plant, name, state, actor, now)


def plan_source(sources: Sources, document: Mapping[str, Any]) -> SourcePlan:
    """Return the change that a document makes at the console. Raises UserError for a faulty one,
    and for one that names paths of the host which its source does not use yet."""
    return SOURCE_FORM.plan_from_console(sources, document)


def require_known_paths(sources: Sources, source: Source) -> None:
    """Raise UserError for a document at the console with paths of the host that its source does not
    use yet."""
    SOURCE_FORM.require_known_paths(sources, source)


def require_source_revision(
    plant: SourcePorts, name: str, expected: ExpectedSource, now: datetime
) -> None:
    """Raise ChangedMeanwhile if the newest revision of a source is not the expected one. An edit of
    the document in the database gets its revision first."""
    SOURCE_FORM.require_revision(plant.sources, name, expected, now)
