"""Import: readings and events from a source into the stores, checked as a whole before anything is
written.

A source is read twice. The profile finds the contents of its columns and every bad line; only then
are assets declared and rows written, batch by batch. Every write is idempotent, so a stopped run
can be repeated unchanged, without loss or duplicates.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, islice
from typing import Generic, Literal, TypeVar

from alerting.definitions.assets import Asset, EventType, VariableType
from alerting.definitions.faults import UserError
from alerting.ports import EventRow, IngestionPorts, Progress, ReadingRow, silent
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
from alerting.usecases.ingestion.declarations import (
    column_types,
    event_durations,
    refuse_other_rows,
    with_variables,
)
from alerting.usecases.ingestion.lateness import late_rows
from alerting.usecases.ingestion.sources import (
    Duration,
    EventSource,
    Profile,
    ReadingSource,
    Reject,
    Source,
    Understood,
)
from alerting.usecases.ingestion.summary import SHOWN, refuse_bad, refuse_doubtful, understand
from alerting.usecases.ingestion.text_names import titles_by_name

NONE = timedelta(0)
What = Literal["readings", "events"]
_IMPORTED: dict[What, str] = {
    "readings": "readings imported",
    "events": "events imported",
}
_REMOVED: dict[What, str] = {
    "readings": "readings removed",
    "events": "events removed",
}
_OPTION = re.compile(r"--[a-z][a-z-]*")
Row = TypeVar("Row", ReadingRow, EventRow)
_ACTS: Mapping[What, tuple[Callable[..., int], Callable[..., int]]] = {
    "readings": (add_readings, remove_readings),
    "events": (add_events, remove_events),
}


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
class Checked(Generic[Row]):
    """A file that was checked as a whole and can be written. `rows`: yields its batches, and passes
    on bad lines; `assets`, `event_types`: those that are new or changed; `durations`: by type.
    `take_back`: what is stored exactly so is removed instead."""

    what: What
    plant: IngestionPorts
    rows: Callable[[Reject, Progress], Iterator[Sequence[Row]]]
    profile: Profile
    types: Mapping[str, VariableType]
    reject: Reject | None
    assets: Sequence[Asset]
    understood: Understood
    take_back: bool = False
    event_types: Sequence[EventType] = ()
    durations: Mapping[str, Duration] = field(default_factory=dict)

    def write(self, *, now: datetime, actor: str, progress: Progress = silent) -> ImportResult:
        """Declare new assets, variables and event types, and write all rows, or remove those that
        are stored exactly so. Idempotent."""
        plant = self.plant
        add, remove = _ACTS[self.what]
        count = rejected = changed = 0

        def reject(line: BadLine) -> None:
            nonlocal rejected
            (self.reject or refuse_line)(line)
            rejected += 1

        if not self.take_back:
            plant.assets.store_assets(self.assets)
            if self.event_types:
                plant.assets.put_event_types(self.event_types)
        for batch in self.rows(reject, progress):
            changed += (remove if self.take_back else add)(plant, batch, now)
            count += len(batch)
        profile = self.profile
        understood = self.understood
        is_kept = self.what == "readings" and not self.take_back
        columns = {title: profile.columns[title] for title in self.types} if is_kept else {}
        result = ImportResult(
            source=understood.source,
            what=self.what,
            rows=count,
            new=0,
            rejected=rejected,
            repeated=profile.repeated,
            first=profile.first,
            last=profile.last,
            assets=understood.assets,
            created=understood.new_assets,
            variables={column.name: self.types[title] for title, column in columns.items()},
            event_types={} if self.take_back else self.durations,
            notes=understood.notes,
            late=late_rows(plant, now),
            bad_quality=sum(column.bad_quality for column in columns.values()),
            uncertain=sum(column.uncertain for column in columns.values()),
            understood=understood,
        )
        if self.take_back:
            result = replace(result, removed=changed, created=())
        else:
            result = replace(result, new=changed)
        if changed or (not self.take_back and (self.assets or self.event_types)):
            what = _REMOVED[self.what] if result.removed else _IMPORTED[self.what]
            shortened = replace(
                result,
                assets=result.assets[:SHOWN],
                created=result.created[:SHOWN],
                understood=None,
            )
            plant.audit.add(actor, what, result.source, now, after=asdict(shortened))
        return result


CheckedFile = Checked[ReadingRow] | Checked[EventRow]


def check_readings(
    source: ReadingSource,
    plant: IngestionPorts,
    *,
    reject: Reject | None = None,
    progress: Progress = silent,
    take_back: bool = False,
    now: datetime | None = None,
) -> Checked[ReadingRow]:
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
    refuse_bad(source, profile, [], reject)
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
    rows = partial(source.read, types)
    if take_back:
        same = (len(same_readings(plant.reading_writes, b)) for b in rows(ignore_line, progress))
        understood = replace(understood, removes=sum(same))
    return Checked("readings", plant, rows, profile, types, reject, changes, understood, take_back)


def check_events(
    source: EventSource,
    plant: IngestionPorts,
    *,
    duration: Duration | None = None,
    delay: timedelta | None = None,
    reject: Reject | None = None,
    progress: Progress = silent,
    take_back: bool = False,
) -> Checked[EventRow]:
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
    refuse_bad(source, profile, ends, reject)
    declared = [
        _declared_type(name, kind, delay, stored.get(name), profile.type_texts.get(name))
        for name, kind in durations.items()
    ]
    new_types = [event_type for event_type in declared if stored.get(event_type.name) != event_type]
    existing = {asset.name: asset for asset in plant.assets.all()}
    understood = understand(source, profile, types, existing, durations)
    rows = partial(source.read, types, durations)
    if take_back:
        same = (len(same_events(plant.reading_writes, b)) for b in rows(ignore_line, progress))
        understood = replace(understood, removes=sum(same))
    texts = profile.asset_texts
    created = [Asset(name=name, title=texts.get(name)) for name in understood.new_assets]
    return Checked(
        "events",
        plant,
        rows,
        profile,
        types,
        reject,
        created,
        understood,
        take_back,
        new_types,
        durations,
    )


def ignore_line(_line: BadLine) -> None:
    """Ignore a bad line, which the check has refused or counted."""


def first_rows(checked: CheckedFile, most: int) -> list[ReadingRow | EventRow]:
    """Return the first rows of a checked file as they will be stored."""
    batches: Iterator[Sequence[ReadingRow | EventRow]] = checked.rows(ignore_line, silent)
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


def _refuse_empty(source: Source, profile: Profile) -> None:
    if not profile.lines:
        raise UserError(f"{source.name} has a header but no lines; nothing was written")
