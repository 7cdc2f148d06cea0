"""Import: readings and events from a source into the stores, checked as a whole before anything is
written.

A source is read twice. The profile finds the contents of its columns and every bad line; only then
are assets declared and rows written, batch by batch. Every write is idempotent, so a stopped run
can be repeated unchanged, without loss or duplicates.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Literal, TypeVar

from alerting.definitions.assets import Asset, EventType, VariableType
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import template, translatable
from alerting.ports import Audit, EventRow, IngestionPorts, Progress, ReadingRow, silent
from alerting.readings.column_titles import units_by_name
from alerting.readings.inference import BadLine
from alerting.usecases.ingestion.arrivals import (
    add_events,
    add_readings,
    remove_events,
    remove_readings,
    same_events,
    same_readings,
)
from alerting.usecases.ingestion.declarations import column_types, event_durations, with_variables
from alerting.usecases.ingestion.lateness import late_rows
from alerting.usecases.ingestion.sequence import refuse_other_rows
from alerting.usecases.ingestion.sources import (
    Duration,
    EventSource,
    EventsProfile,
    Profile,
    ReadingSource,
    Reject,
    Source,
)
from alerting.usecases.ingestion.summary import SHOWN, refuse_bad, refuse_doubtful, understand
from alerting.usecases.ingestion.text_names import titles_by_name
from alerting.usecases.ingestion.understood import Understood

NONE = timedelta(0)
What = Literal["readings", "events"]
_IMPORTED: dict[What, str] = {
    "readings": template("readings imported"),
    "events": template("events imported"),
}
_REMOVED: dict[What, str] = {
    "readings": template("readings removed"),
    "events": template("events removed"),
}
_OPTION = re.compile(r"--[a-z][a-z-]*")
Row = TypeVar("Row")


@dataclass(frozen=True)
class ImportResult:
    """Result of an import. Of the good `rows`, `new` ones changed something; `late` of these came
    after their time was evaluated. Of an import that is taken back: rows that were stored exactly
    so and were `removed`.

    `bad_quality`, `uncertain`: samples with this quality in their source. `notes` are sentences for
    people.
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
    removed: int = 0
    bad_quality: int = 0
    uncertain: int = 0
    understood: Understood | None = None


def refuse_line(line: BadLine) -> None:
    """Raise UserError for a bad line that the check has not found."""
    raise UserError(
        f"line {line}; it was not bad when the file was checked, so the file is being changed: "
        "import it again"
    )


@dataclass(frozen=True)
class CheckedReadings:
    """Readings that were checked as a whole and can be written. `changes`: assets that are new or
    get new variables. `take_back`: what is stored exactly so is removed instead."""

    source: ReadingSource
    plant: IngestionPorts
    profile: Profile
    types: Mapping[str, VariableType]
    reject: Reject | None
    changes: Sequence[Asset]
    understood: Understood
    take_back: bool = False

    def write(self, *, now: datetime, actor: str, progress: Progress = silent) -> ImportResult:
        """Declare new assets and variables, and write all rows, or remove those that are stored
        exactly so. Idempotent."""
        profile = self.profile
        types = self.types
        rejected = _Counted(self.reject or refuse_line)
        if self.take_back:
            batches = self.source.read(types, rejected, progress)
            counts = _write(batches, lambda batch: remove_readings(self.plant, batch, now))
            return _removed("readings", self, *counts, rejected, now, actor)
        self.plant.assets.store_assets(self.changes)
        batches = self.source.read(types, rejected, progress)
        written = _write(batches, lambda batch: add_readings(self.plant, batch, now))
        result = replace(
            _result("readings", self.understood, profile, written, rejected.count, self.plant, now),
            variables={profile.columns[title].name: kind for title, kind in types.items()},
            bad_quality=sum(profile.columns[title].bad_quality for title in types),
            uncertain=sum(profile.columns[title].uncertain for title in types),
        )
        _record(
            self.plant.audit, result, changed=bool(result.new or self.changes), now=now, actor=actor
        )
        return result


def check_readings(
    source: ReadingSource,
    plant: IngestionPorts,
    *,
    reject: Reject | None = None,
    progress: Progress = silent,
    take_back: bool = False,
    now: datetime | None = None,
) -> CheckedReadings:
    """Read a whole file and determine its columns, without a write.

    A column of a declared variable gets its name and type; the type of a new one is inferred over
    the whole file. `take_back`: rows that are stored exactly so will be removed. `now`: readings
    after it are told of. Raises UserError for a bad line without a `reject`, or no good one.
    """
    stored = plant.assets.all()
    source.keep_names(titles_by_name(stored), units_by_name(stored))
    profile = source.profile(progress, stop_early=reject is None)
    _refuse_empty(source, profile)
    existing = {asset.name: asset for asset in plant.assets.all()}
    types = column_types(source, profile, existing, plant.readings)
    refuse_bad(source, profile, types, [], reject)
    refuse_doubtful(source, profile, types)
    if source.form.sequence is not None:
        refuse_other_rows(source, types, source.form.sequence, existing, plant.readings)
    declared = [
        with_variables(
            source,
            existing.get(name) or Asset(name=name, title=profile.asset_texts.get(name)),
            filled,
            profile.columns,
            types,
        )
        for name, filled in sorted(profile.assets.items())
    ]
    changes = [a for a in declared if existing.get(a.name) != a]
    understood = understand(source, profile, types, existing, {}, now)
    if take_back:
        rows = source.read(types, ignore_line, progress)
        same = (len(same_readings(plant.reading_writes, batch)) for batch in rows)
        understood = replace(understood, removes=sum(same))
    return CheckedReadings(source, plant, profile, types, reject, changes, understood, take_back)


@dataclass(frozen=True)
class CheckedEvents:
    """Events that were checked as a whole and can be written.

    `durations`: by event type; `new_types`: those that are new or changed. `take_back`: the stored
    events that equal those of the file are removed instead.
    """

    source: EventSource
    plant: IngestionPorts
    profile: EventsProfile
    types: Mapping[str, VariableType]
    durations: Mapping[str, Duration]
    new_types: Sequence[EventType]
    reject: Reject | None
    understood: Understood
    take_back: bool = False

    def write(self, *, now: datetime, actor: str, progress: Progress = silent) -> ImportResult:
        """Declare new assets and event types, and write all events, or remove those that equal
        them. Idempotent."""
        rejected = _Counted(self.reject or refuse_line)
        if self.take_back:
            events = self.source.read(self.types, self.durations, rejected, progress)
            counts = _write(events, lambda batch: remove_events(self.plant, batch, now))
            return _removed("events", self, *counts, rejected, now, actor)
        texts = self.profile.asset_texts
        created = [Asset(name=name, title=texts.get(name)) for name in self.understood.new_assets]
        self.plant.assets.store_assets(created)
        self.plant.assets.put_event_types(self.new_types)
        batches = self.source.read(self.types, self.durations, rejected, progress)
        written = _write(batches, lambda batch: add_events(self.plant, batch, now))
        result = replace(
            _result(
                "events", self.understood, self.profile, written, rejected.count, self.plant, now
            ),
            event_types=self.durations,
        )
        _record(
            self.plant.audit,
            result,
            changed=bool(result.new or created or self.new_types),
            now=now,
            actor=actor,
        )
        return result


def check_events(
    source: EventSource,
    plant: IngestionPorts,
    *,
    duration: Duration | None = None,
    delay: timedelta | None = None,
    reject: Reject | None = None,
    progress: Progress = silent,
    take_back: bool = False,
) -> CheckedEvents:
    """Read a whole file of events, without a write.

    `duration` is that of the event types; without it, a stored type keeps its own, and a new one is
    lasting if the file has a column for ends. `delay`: after which time events of these types are
    known; without it a stored type keeps its own. `take_back`: the stored events that equal those
    of the file will be removed; they are counted. Raises the same UserError as `check_readings`,
    and UserError if a type with stored events is contradicted.
    """
    stored = {t.name: t for t in plant.assets.event_types()}
    source.keep_names(titles_by_name(plant.assets.all()), titles_by_name(stored.values()))
    profile = source.profile(progress, stop_early=reject is None)
    _refuse_empty(source, profile)
    durations = event_durations(
        source,
        profile,
        {name: t.duration for name, t in stored.items()},
        duration,
        plant.reading_writes.has_events,
    )
    types = {
        title: kind
        for title, column in profile.columns.items()
        if (kind := column.attribute_type())
    }
    ends = [profile.types[name] for name, lasts in durations.items() if lasts == "instant"]
    refuse_bad(source, profile, types, ends, reject)
    declared = [
        _declared_type(name, kind, delay, stored.get(name), profile.type_texts.get(name))
        for name, kind in durations.items()
    ]
    new_types = [event_type for event_type in declared if stored.get(event_type.name) != event_type]
    understood = understand(
        source, profile, types, {a.name: a for a in plant.assets.all()}, durations
    )
    if take_back:
        batches = source.read(types, durations, ignore_line, progress)
        same = (len(same_events(plant.reading_writes, batch)) for batch in batches)
        understood = replace(understood, removes=sum(same))
    return CheckedEvents(
        source, plant, profile, types, durations, new_types, reject, understood, take_back
    )


def ignore_line(_line: BadLine) -> None:
    """Ignore a bad line, which the check has refused or counted."""


def first_rows(checked: CheckedReadings | CheckedEvents, most: int) -> list[ReadingRow | EventRow]:
    """Return the first rows of a checked file as they will be stored."""
    batches: Iterator[Sequence[ReadingRow | EventRow]]
    if isinstance(checked, CheckedEvents):
        batches = checked.source.read(checked.types, checked.durations, ignore_line, silent)
    else:
        batches = checked.source.read(checked.types, ignore_line, silent)
    try:
        return list(islice(chain.from_iterable(batches), most))
    finally:
        getattr(batches, "close", lambda: None)()


def name_options(text: str, names: Mapping[str, str]) -> str:
    """Return a message of the import with other names in place of the options of the command."""
    return _OPTION.sub(lambda option: names.get(option[0], option[0]), text)


def _declared_type(
    name: str,
    duration: Duration,
    delay: timedelta | None,
    stored: EventType | None,
    text: str | None,
) -> EventType:
    """Return the type of a file's events; a stored one keeps its title, and its delay if no other
    is given. `text`: from which the name was derived."""
    before = stored or EventType(name=name, title=text, duration=duration)
    known_after = before.delay if delay is None else delay
    return before.model_copy(update={"duration": duration, "delay": known_after})


def _write(
    batches: Iterable[Sequence[Row]], add: Callable[[Sequence[Row]], int]
) -> tuple[int, int]:
    """Write or remove batch after batch. Return the number of rows, and how many of them changed
    anything."""
    rows = new = 0
    for batch in batches:
        new += add(batch)
        rows += len(batch)
    return rows, new


def _result(
    what: What,
    understood: Understood,
    profile: Profile,
    written: tuple[int, int],
    rejected: int,
    plant: IngestionPorts,
    now: datetime,
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
        created=understood.new_assets,
        variables={},
        event_types={},
        notes=understood.notes,
        late=late_rows(plant, now),
        understood=understood,
    )


def _removed(
    what: What,
    checked: CheckedReadings | CheckedEvents,
    rows: int,
    removed: int,
    rejected: "_Counted",
    now: datetime,
    actor: str,
) -> ImportResult:
    """Return and record the result of an import that was taken back."""
    understood = replace(checked.understood, new_assets=())
    count = rejected.count
    result = replace(
        _result(what, understood, checked.profile, (rows, 0), count, checked.plant, now),
        removed=removed,
    )
    _record(checked.plant.audit, result, changed=bool(removed), now=now, actor=actor)
    return result


class _Counted:
    """Passes bad lines on and counts them."""

    def __init__(self, reject: Reject) -> None:
        self._reject = reject
        self.count = 0

    def __call__(self, line: BadLine) -> None:
        self._reject(line)
        self.count += 1


def _refuse_empty(source: Source, profile: Profile) -> None:
    if not profile.lines:
        raise UserError(
            translatable("{file} has a header but no lines; nothing was written", file=source.name)
        )


def _record(
    audit: Audit, result: ImportResult, *, changed: bool, now: datetime, actor: str
) -> None:
    if changed:
        what = _REMOVED[result.what] if result.removed else _IMPORTED[result.what]
        shortened = replace(
            result, assets=result.assets[:SHOWN], created=result.created[:SHOWN], understood=None
        )
        audit.add(actor, what, result.source, now, after=asdict(shortened))
