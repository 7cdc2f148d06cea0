"""Sources in memory: documents, revisions and progress."""

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from alerting.adapters.memory.tables import plain
from alerting.definitions.faults import DocumentRefused
from alerting.definitions.sources.source import Source, parse_source
from alerting.ports import Document
from alerting.ports.sources import (
    DeadMessage,
    Declarations,
    Delivered,
    DeliveryCount,
    FileMark,
    SourceLoss,
    SourceProgress,
    SourceRevision,
    StreamProcess,
)

_RECENT = 20


class MemorySources:
    """Ports `Sources`, `SourceDeliveries`, `DeadMessages` and `StreamProcesses`."""

    def __init__(self) -> None:
        self._sources: dict[str, Document] = {}
        self._revisions: dict[str, dict[int, SourceRevision]] = {}
        self._progress: dict[str, SourceProgress] = {}
        self._declared: dict[str, Declarations] = {}
        self._answers: dict[str, Document] = {}
        self._dead: dict[str, DeadMessage] = {}
        self._processes: dict[str, StreamProcess] = {}
        self._files: dict[tuple[str, str, int, str], FileMark] = {}

    def documents(self) -> list[Document]:
        return deepcopy([self._sources[name] for name in sorted(self._sources)])

    def get(self, name: str) -> Source | None:
        try:
            return parse_source(self._sources[name]) if name in self._sources else None
        except DocumentRefused:
            return None

    def store_document(self, document: Document) -> None:
        self._sources[document["name"]] = deepcopy(document)

    def add_revision(self, revision: SourceRevision) -> bool:
        return (
            self._revisions.setdefault(revision.name, {}).setdefault(revision.number, revision)
            is revision
        )

    def revisions(self, name: str) -> list[SourceRevision]:
        return [revision for _, revision in sorted(self._revisions.get(name, {}).items())]

    def progress(self, name: str) -> SourceProgress:
        return self._progress.get(name, SourceProgress())

    def record(self, name: str, delivered: Delivered) -> None:
        before = self.progress(name)
        newest = max(
            (at for at in (before.newest, delivered.newest) if at is not None), default=None
        )
        counted = replace(
            before,
            rows=before.rows + delivered.rows,
            refused=before.refused + delivered.refused,
            newest=newest,
            fault=None,
        )
        if delivered.why is not None:
            counted = replace(counted, last_refused=delivered.why)
        if delivered.rows:
            recent = (*before.recent, DeliveryCount(delivered.at, delivered.rows))[-_RECENT:]
            counted = replace(
                counted, arrived_at=delivered.at, last=plain(delivered.last), recent=recent
            )
        self._progress[name] = counted

    def record_loss(self, name: str, loss: SourceLoss, at: datetime) -> None:
        before = self.progress(name)
        self._progress[name] = replace(
            before, lost=before.lost + loss.count, last_lost=loss.reason, lost_at=at
        )

    def declarations(self) -> Mapping[str, Declarations]:
        return dict(sorted(self._declared.items()))

    def count_declared(self, name: str, assets: int, variables: int) -> None:
        before = self._declared.get(name, Declarations())
        more = before.declared_variables + variables
        self._declared[name] = replace(
            before, declared_assets=before.declared_assets + assets, declared_variables=more
        )

    def note_surplus(self, name: str, why: str, at: datetime) -> None:
        self._declared[name] = replace(
            self._declared.get(name, Declarations()), surplus=why, surplus_at=at
        )

    def note_read(self, name: str, at: datetime) -> None:
        before = self.progress(name)
        self._progress[name] = replace(before, read_until=max(at, before.read_until or at))

    def set_cursor(self, name: str, cursor: str, of: str) -> None:
        self._progress[name] = replace(self.progress(name), cursor=cursor, cursor_of=of)

    def set_fault(self, name: str, fault: str | None) -> None:
        self._progress[name] = replace(self.progress(name), fault=fault)

    def file_marks(self, name: str, paths: Sequence[str]) -> list[FileMark]:
        return [mark for mark in self._files.values() if mark.source == name and mark.path in paths]

    def mark_file(self, mark: FileMark) -> None:
        self._files[mark.source, mark.path, mark.size, mark.sha256] = mark

    def forget_files(self, name: str, before: datetime, there: Collection[str]) -> int:
        gone = [
            key
            for key, mark in self._files.items()
            if mark.source == name and mark.at < before and mark.path not in there
        ]
        for key in gone:
            del self._files[key]
        return len(gone)

    def add_dead(self, messages: Sequence[DeadMessage]) -> None:
        for message in messages:
            self._dead.setdefault(message.id, message)

    def dead(
        self, name: str | None, limit: int, after: DeadMessage | None = None
    ) -> list[DeadMessage]:
        chosen = {
            (message.at, message.id): message
            for message in self._dead.values()
            if name in (None, message.source)
        }
        return [
            chosen[key] for key in sorted(chosen) if after is None or key > (after.at, after.id)
        ][:limit]

    def dead_bytes(self, name: str) -> int:
        return sum(
            len(message.payload) for message in self._dead.values() if message.source == name
        )

    def count_dead(self, name: str) -> int:
        return sum(message.source == name for message in self._dead.values())

    def remove_dead(self, ids: Sequence[str]) -> None:
        for id in ids:
            self._dead.pop(id, None)

    def note_process(
        self, process: str, reads: Collection[str] = ()
    ) -> Mapping[str, Collection[str]]:
        """Return all that did not end: memory has no process that is killed."""
        self._processes[process] = StreamProcess(process, list(reads), datetime.now(UTC))
        return {one.name: one.reads for one in self.processes()}

    def forget_process(self, process: str) -> None:
        self._processes.pop(process, None)

    def processes(self) -> list[StreamProcess]:
        return [self._processes[name] for name in sorted(self._processes)]

    def has_processes(self) -> bool:
        return bool(self._processes)

    def answer(self, key: str) -> Document | None:
        return deepcopy(self._answers.get(key))

    def keep_answer(self, key: str, answer: Document) -> None:
        self._answers.setdefault(key, deepcopy(answer))

    def latencies(self) -> Mapping[str, timedelta]:
        """Return how long evaluation waits for values of each source that states it."""
        found = [source for name in self._sources if (source := self.get(name)) is not None]
        return {source.name: source.waits for source in found if source.waits is not None}
