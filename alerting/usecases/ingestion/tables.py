"""Import: readings and events from a source into the stores, checked as a whole before anything is written.

A source is read twice. The profile finds the contents of its columns and every bad line; only then are assets declared and rows
written, batch by batch. Every write is idempotent, so a stopped run can be repeated unchanged, without loss or duplicates.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Literal, Protocol, TypeVar

from alerting.definitions.assets import Asset, EventType, VariableType
from alerting.definitions.faults import UserError
from alerting.ports import Assets, Audit, Definitions, Progress, Readings, silent
from alerting.ports.late import Arrivals
from alerting.readings.inference import BadLine
from alerting.usecases.ingestion.declarations import column_types, event_durations, with_variables
from alerting.usecases.ingestion.late_rows import late_rows
from alerting.usecases.ingestion.sources import Duration, EventSource, EventsProfile, Profile, ReadingSource, Reject, Source
from alerting.usecases.ingestion.summary import SHOWN, refuse_bad, refuse_doubtful, understand
from alerting.usecases.ingestion.understood import Understood

What = Literal["readings", "events"]
Row = TypeVar("Row")


class Plant(Protocol):
    """The part of the platform that the import touches."""

    @property
    def assets(self) -> Assets: ...

    @property
    def definitions(self) -> Definitions: ...

    @property
    def readings(self) -> Readings: ...

    @property
    def arrivals(self) -> Arrivals: ...

    @property
    def audit(self) -> Audit: ...


@dataclass(frozen=True)
class ImportResult:
    """Result of an import. Of the good `rows`, `new` ones changed something; `late` of these came after their time was evaluated.

    `bad_quality`, `uncertain`: samples with this quality in their source. `notes` are sentences for people.
    """

    source: str
    what: What
    rows: int
    new: int
    rejected: int
    repeated: int
    first: datetime | None
    last: datetime | None
    assets: tuple[str, ...]
    created: tuple[str, ...]
    variables: Mapping[str, str]
    event_types: Mapping[str, str]
    notes: tuple[str, ...]
    late: int = 0
    bad_quality: int = 0
    uncertain: int = 0
    understood: Understood | None = None


def refuse_line(line: BadLine) -> None:
    """Refuse a bad line that the check has not found. Raises UserError."""
    raise UserError(f"line {line}; it was not bad when the file was checked, so the file is being changed: import it again")


class CheckedReadings:
    """Readings that were checked as a whole and can be written."""

    def __init__(
        self,
        source: ReadingSource,
        plant: Plant,
        profile: Profile,
        types: Mapping[str, VariableType],
        reject: Reject | None,
    ) -> None:
        self._source, self._plant, self._profile, self._types, self._reject = source, plant, profile, types, reject
        self._existing = {a.name: a for a in plant.assets.all()}
        self._declared = [
            with_variables(source, name, filled, profile.columns, types, self._existing.get(name))
            for name, filled in sorted(profile.assets.items())
        ]
        self.understood = understand(source, profile, types, self._existing, {})

    def write(self, *, now: datetime, actor: str, progress: Progress = silent) -> ImportResult:
        """Declare new assets and variables, and write all rows. Idempotent."""
        profile, types = self._profile, self._types
        rejected = _Counted(self._reject or refuse_line)
        changes = [a for a in self._declared if self._existing.get(a.name) != a]
        self._plant.assets.put(changes)
        batches = self._source.read(types, rejected, progress)
        written = _write(batches, lambda batch: self._plant.readings.add_readings(batch, now))
        result = replace(
            _result("readings", self.understood, profile, written, rejected.count, self._plant, now),
            created=self.understood.new_assets,
            variables={profile.columns[title].name: kind for title, kind in types.items()},
            bad_quality=sum(profile.columns[title].bad_quality for title in types),
            uncertain=sum(profile.columns[title].uncertain for title in types),
        )
        _record(self._plant, result, changed=bool(result.new or changes), now=now, actor=actor)
        return result


def check_readings(
    source: ReadingSource, plant: Plant, *, reject: Reject | None = None, progress: Progress = silent
) -> CheckedReadings:
    """Read a whole file and determine its columns, without a write.

    A declared variable keeps its type, the type of a new one is inferred over the whole file. Raises UserError if a line is bad
    and there is no `reject` for it, if no good line is left, or if the new declarations are not valid.
    """
    profile = source.profile(progress, stop_early=reject is None)
    _refuse_empty(source, profile)
    existing = {a.name: a for a in plant.assets.all()}
    types = column_types(source, profile, existing)
    refuse_bad(source, profile, types, [], reject)
    refuse_doubtful(source, profile, types)
    return CheckedReadings(source, plant, profile, types, reject)


class CheckedEvents:
    """Events that were checked as a whole and can be written."""

    def __init__(
        self,
        source: EventSource,
        plant: Plant,
        profile: EventsProfile,
        types: Mapping[str, VariableType],
        durations: Mapping[str, Duration],
        reject: Reject | None,
    ) -> None:
        self._source, self._plant, self._profile, self._types, self._reject = source, plant, profile, types, reject
        self._durations = durations
        stored = {t.name for t in plant.assets.event_types()}
        self._new_types = [EventType(name=name, duration=kind) for name, kind in durations.items() if name not in stored]
        self.understood = understand(source, profile, types, {a.name: a for a in plant.assets.all()}, durations)

    def write(self, *, now: datetime, actor: str, progress: Progress = silent) -> ImportResult:
        """Declare new assets and event types, and write all events. Idempotent."""
        rejected = _Counted(self._reject or refuse_line)
        created = [Asset(name=name) for name in self.understood.new_assets]
        self._plant.assets.put(created)
        self._plant.assets.put_event_types(self._new_types)
        batches = self._source.read(self._types, self._durations, rejected, progress)
        written = _write(batches, lambda batch: self._plant.readings.add_events(batch, now))
        result = replace(
            _result("events", self.understood, self._profile, written, rejected.count, self._plant, now),
            created=self.understood.new_assets,
            event_types=self._durations,
        )
        _record(self._plant, result, changed=bool(result.new or created or self._new_types), now=now, actor=actor)
        return result


def check_events(
    source: EventSource,
    plant: Plant,
    *,
    duration: Duration | None = None,
    reject: Reject | None = None,
    progress: Progress = silent,
) -> CheckedEvents:
    """Read a whole file of events, without a write.

    `duration` is that of the event types; without it, a stored type keeps its own, and a new one is lasting if the file has a
    column for ends. Raises the same UserError as `check_readings`, and UserError if a stored type is contradicted.
    """
    profile = source.profile(progress, stop_early=reject is None)
    _refuse_empty(source, profile)
    stored = {t.name: t.duration for t in plant.assets.event_types()}
    durations = event_durations(source, profile, stored, duration)
    types = {title: kind for title, column in profile.columns.items() if (kind := column.attribute_type())}
    ends = [profile.types[name] for name, lasts in durations.items() if lasts == "instant"]
    refuse_bad(source, profile, types, ends, reject)
    return CheckedEvents(source, plant, profile, types, durations, reject)


def _write(batches: Iterable[Sequence[Row]], add: Callable[[Sequence[Row]], int]) -> tuple[int, int]:
    """Write batch after batch. Return the number of rows, and how many of them changed anything."""
    rows = new = 0
    for batch in batches:
        new += add(batch)
        rows += len(batch)
    return rows, new


def _result(
    what: What, understood: Understood, profile: Profile, written: tuple[int, int], rejected: int, plant: Plant, now: datetime
) -> ImportResult:
    """Return the part of a result that readings and events have in common."""
    rows, new = written
    return ImportResult(
        source=understood.source,
        what=what,
        rows=rows,
        new=new,
        rejected=rejected,
        repeated=profile.repeated,
        first=profile.first,
        last=profile.last,
        assets=understood.assets,
        created=(),
        variables={},
        event_types={},
        notes=understood.notes,
        late=late_rows(plant, now),
        understood=understood,
    )


class _Counted:
    """Passes bad lines on and counts them."""

    def __init__(self, reject: Reject) -> None:
        self._reject, self.count = reject, 0

    def __call__(self, line: BadLine) -> None:
        self._reject(line)
        self.count += 1


def _refuse_empty(source: Source, profile: Profile) -> None:
    if not profile.lines:
        raise UserError(f"{source.name} has a header but no lines; nothing was written")


def _record(plant: Plant, result: ImportResult, *, changed: bool, now: datetime, actor: str) -> None:
    if changed:
        shortened = replace(result, assets=result.assets[:SHOWN], created=result.created[:SHOWN], understood=None)
        plant.audit.add(actor, f"{result.what} imported", result.source, now, after=asdict(shortened))
