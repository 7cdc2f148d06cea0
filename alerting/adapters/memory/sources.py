"""How far sources and sinks have delivered, in memory."""

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime

from alerting.adapters.memory.tables import plain
from alerting.ports import Document
from alerting.ports.sinks import SinkLetter, SinkProgress, SinkStep
from alerting.ports.sources import (
    DeadMessage,
    Declarations,
    Delivered,
    DeliveryCount,
    FileMark,
    PollReader,
    SourceLoss,
    SourceProgress,
    StreamProcess,
)

_RECENT = 20


class MemorySourceDeliveries:
    """Ports `SourceDeliveries`, `DeadMessages` and `StreamProcesses`."""

    def __init__(self) -> None:
        self._progress: dict[str, SourceProgress] = {}
        self._declared: dict[str, Declarations] = {}
        self._answers: dict[str, Document] = {}
        self._dead: dict[str, DeadMessage] = {}
        self._processes: dict[str, StreamProcess] = {}
        self._claims: dict[str, str] = {}
        self._files: dict[tuple[str, str, int, str], FileMark] = {}

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

    def claim_poll(self, name: str, token: str) -> bool:
        return self._claims.setdefault(name, token) == token

    def end_poll(self, name: str, token: str, by: PollReader, at: datetime) -> None:
        if self._claims.get(name) == token:
            del self._claims[name]
            self._progress[name] = replace(self.progress(name), polled_at=at, polled_by=by)

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


class MemorySinkDeliveries:
    """Port `SinkDeliveries`."""

    def __init__(self) -> None:
        self._progress: dict[str, SinkProgress] = {}
        self._alarms: dict[tuple[str, str], int] = {}
        self._letters: dict[str, SinkLetter] = {}

    def progress(self, name: str) -> SinkProgress:
        return self._progress.get(name, SinkProgress())

    def begin(self, name: str, position: str | None, at: datetime) -> None:
        stored = self.progress(name)
        if stored.until is None:
            self._progress[name] = replace(stored, position=position, until=at)

    def sent_alarms(self, name: str, episodes: Collection[str]) -> Mapping[str, int]:
        return {e: n for (sink, e), n in self._alarms.items() if sink == name and e in episodes}

    def advance(self, name: str, before: str | None, step: SinkStep) -> bool:
        stored = self.progress(name)
        if stored.position != before:
            return False
        for episode, count in step.alarms.items():
            self._alarms[name, episode] = max(count, self._alarms.get((name, episode), 0))
        for letter in step.letters:
            self._letters.setdefault(letter.id, letter)
        self._progress[name] = SinkProgress(
            step.position,
            step.until,
            stored.sent + step.sent,
            stored.left_out + step.left_out,
            step.at if step.sent else stored.sent_at,
            selected=step.selected or stored.selected,
        )
        return True

    def set_fault(self, name: str, fault: str, at: datetime) -> None:
        stored = self.progress(name)
        since = stored.fault_at if stored.fault is not None else at
        self._progress[name] = replace(stored, fault=fault, fault_at=since)

    def letters(self, name: str, limit: int, *, again: bool = False) -> list[SinkLetter]:
        found = [one for one in self._letters.values() if one.sink == name]
        chosen = [one for one in found if one.again or not again]
        return sorted(chosen, key=lambda one: (one.at, one.id))[:limit]

    def count_letters(self, name: str) -> int:
        return sum(one.sink == name for one in self._letters.values())

    def replace_letter(self, letter: SinkLetter) -> None:
        self._letters[letter.id] = letter

    def remove_letters(self, ids: Collection[str]) -> None:
        for id in ids:
            self._letters.pop(id, None)

    def retry_letters(self, name: str) -> int:
        found = [one for one in self._letters.values() if one.sink == name]
        for one in found:
            self._letters[one.id] = replace(one, again=True)
        return len(found)
