"""Import: readings and events from a source into the stores, checked as a whole before anything is
written.

A source is read twice. The first reading, the profile, finds the contents of its columns and every
bad line; only then are assets declared and rows written, batch by batch. Every write is idempotent,
so a stopped run can be repeated unchanged, without loss or duplicates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, groupby, islice
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from alerting.definitions.asset_documents import (
    Asset,
    EventType,
    Variable,
    VariableType,
    is_type_open,
)
from alerting.definitions.faults import UserError, format_duration, shown
from alerting.definitions.form_fields import What
from alerting.definitions.wording.language import ENGLISH, in_english, join_with_and
from alerting.ports import (
    EventRow,
    IngestionPorts,
    Progress,
    ReadingRow,
    Readings,
    WantedHistory,
    silent,
)
from alerting.readings.foreign_columns import (
    BadLine,
    ColumnProfile,
    whole_title,
)
from alerting.readings.history import FIRST_INSTANT, LAST_INSTANT
from alerting.readings.unit_conversion import describe_relations, units_by_name
from alerting.usecases.ingestion.arrived_rows import (
    add_events,
    add_readings,
    late_rows,
    remove_events,
    remove_readings,
    same_events,
    same_readings,
)
from alerting.usecases.ingestion.asset_import import titles_by_name
from alerting.usecases.ingestion.declared_units import (
    Relations,
    read_in_declared_units,
    relate_columns,
    sample_stored,
)
from alerting.usecases.ingestion.imported_files import (
    SHOWN,
    Duration,
    EventSource,
    EventsProfile,
    Profile,
    ReadingSource,
    Reject,
    Understood,
    refuse_bad,
    refuse_doubtful,
    understand,
)


def column_types(
    source: ReadingSource, profile: Profile, existing: Mapping[str, Asset], readings: Readings
) -> dict[str, VariableType]:
    """Return the type by column title: the declared type, else the inferred one; columns without
    any value are left out.

    A variable that was declared without a type has the type of its column until its first reading.
    Raises UserError for a type that differs from the declared one, a column of a computed variable,
    numbers with a decimal comma among texts, and a file without any value.
    """
    types: dict[str, VariableType] = {}
    stored = sorted(profile.assets.keys() & existing.keys())
    for title, column in profile.columns.items():
        declared = _stored_type(source, column, stored, existing, readings) if stored else None
        if declared and column.stated not in (None, declared):
            raise UserError(
                f"{source.name}: {column.name} is declared as {declared}, and a declared variable "
                f"keeps its type; leave out --column-type {shown(f'{title}={column.stated}')}, or "
                "give the column another name with --rename"
            )
        kind = declared or column.inferred()
        if kind is None or not (column.filled or column.bad_quality):
            continue
        is_free = not declared and column.stated != "category"
        if is_free and column.written_with_decimal_comma():
            raise UserError(
                f"{source.name}: column {shown(title)} holds numbers such as 12,5: add --decimal ,"
            )
        types[title] = kind
    if profile.lines and not types and not profile.bad:
        raise UserError(
            f"{source.name} has no value in any column that could be a variable; nothing was "
            "written"
        )
    return types


def _stored_type(
    source: ReadingSource,
    column: ColumnProfile,
    assets: Sequence[str],
    existing: Mapping[str, Asset],
    readings: Readings,
) -> VariableType | None:
    variable = column.name
    by_type: dict[VariableType, str] = {}
    for name in assets:
        stored = existing[name].variables.get(variable)
        if stored and stored.computed is not None:
            raise UserError(
                f"{source.name}: {variable} is computed of "
                f"{join_with_and(*stored.computed.drivers)} on "
                f"{name} and has no readings of its own; leave the column out, or call it otherwise"
            )
        if stored and (
            column.inferred() in (None, stored.type)
            or not has_open_type(existing[name], variable, readings)
        ):
            by_type.setdefault(stored.type, name)
    if len(by_type) > 1:
        conflict = " but ".join(f"{kind} on {asset}" for kind, asset in by_type.items())
        raise UserError(
            f"{source.name}: {variable} is declared as {conflict}; import these assets from "
            "separate files"
        )
    return next(iter(by_type), None)


def has_open_type(asset: Asset, variable: str, readings: Readings) -> bool:
    """Return whether a variable was declared without a type and has no reading yet."""
    if not is_type_open(asset.variables[variable]):
        return False
    return (
        readings.span(asset.name) is None
        or readings.newest_values(asset, {variable: FIRST_INSTANT}, LAST_INSTANT).empty
    )


def with_variables(
    source: ReadingSource,
    asset: Asset,
    filled: set[str],
    columns: Mapping[str, ColumnProfile],
    types: Mapping[str, VariableType],
    units: Mapping[str, str] = MappingProxyType({}),
    by: str | None = None,
) -> Asset:
    """Return the asset with a variable for each of its filled columns. Declared variables do not
    change, except an open type, and no source, in place of which they get `by`. `units`: stated
    ones by title.

    Raises UserError if the asset would not be valid, so that every written asset can be read again.
    """
    variables = dict(asset.variables)
    for title, kind in types.items():
        column = columns[title]
        declared = variables.get(column.name)
        if column.name in filled and declared is not None:
            update = {"type": kind, "source": declared.source or by}
            variables[column.name] = declared.model_copy(update=update)
        elif column.name in filled:
            text, unit = column.split_title()
            text, unit = (text, unit) if kind == "number" else (whole_title(title), None)
            stated = None if column.unit_of_cells else units.get(title)
            variables[column.name] = Variable(
                title=text if text != column.name else None,
                type=kind,
                unit=stated or unit,
                source=by,
            )
    if variables == asset.variables:
        return asset
    try:
        return Asset.model_validate({**dict(asset), "variables": variables})
    except ValidationError as error:
        reasons = "".join(
            f"\n  - {'.'.join(map(str, e['loc']))[:200]}: {e['msg']}"
            for e in error.errors()[:SHOWN]
        )
        raise UserError(
            f"{source.name} was not imported: asset {asset.name} would not be valid:{reasons}"
        ) from error


def event_durations(
    source: ReadingSource,
    profile: EventsProfile,
    stored: Mapping[str, Duration],
    stated: Duration | None,
    has_events: Callable[[str], bool],
) -> dict[str, Duration]:
    """Return the duration by event type: the stated one, the stored one, else lasting if the file
    has a column of ends. A stored type without events (`has_events`) may get another one.

    Raises UserError if a stored type with events is contradicted, or if the ends may have been
    forgotten: another column holds time stamps, and no duration is stated or stored as instant.
    """
    undecided = stated is None and any(stored.get(name) != "instant" for name in profile.types)
    if undecided and not profile.end_column and profile.stamps:
        columns = ", ".join(shown(title) for title in profile.stamps[:SHOWN])
        raise UserError(
            f"{source.name}: other columns than that of the starts hold time stamps: {columns}; "
            "nothing was written. Name with --end-column the one of the ends, or say with "
            "--instant or --lasting that none of them is"
        )
    durations: dict[str, Duration] = {}
    for name, event_type in sorted(profile.types.items()):
        durations[name] = (
            stated or stored.get(name) or ("lasting" if profile.end_column else "instant")
        )
        if name not in stored or (
            stored[name] == durations[name] and not (stored[name] == "instant" and event_type.ends)
        ):
            continue
        if not has_events(name):
            durations[name] = stated or "lasting"
            continue
        is_now = (
            "have ends"
            if stored[name] == durations[name]
            else f"are to be {ENGLISH.say(durations[name])}"
        )
        raise UserError(
            f"{source.name}: events of type {shown(name)} {is_now}, but are stored as "
            f"{ENGLISH.say(stored[name])} already; nothing was written. Import them under "
            "another type (--type, --type-prefix) if they are of another type. If the stored "
            "ones were imported wrongly, import their file once more with --take-back, which "
            "removes them; then their type may change"
        )
    return durations


_MOMENT = timedelta(milliseconds=1)
_MANY = 0.5  # of the rows compared; fewer other values are corrections


def refuse_other_rows(
    source: ReadingSource,
    read: Callable[[Reject, Progress], Iterator[Iterable[ReadingRow]]],
    step: timedelta,
    existing: Mapping[str, Asset],
    readings: Readings,
) -> None:
    """Compare the first rows of a sequence with those stored at the same instants.

    Raises UserError, with the start that continues after the last stored row, if half of the rows
    of an asset, or more, hold other values.
    """
    by_asset = attrgetter("asset")
    first = sorted(next(read(ignore_line, silent), ()), key=by_asset)
    for name, group in groupby((row for row in first if row.asset in existing), by_asset):
        rows = list(group)
        since = min(row.ts for row in rows)
        until = max(row.ts for row in rows)
        frame = readings.load(WantedHistory(existing[name], since - _MOMENT, until)).readings
        stored = {
            at.to_pydatetime(): values.dropna().to_dict()
            for at, (_, values) in zip(frame.index, frame.iterrows(), strict=True)
        }
        others = [
            any(stored[row.ts][variable] != row.values[variable] for variable in common)
            for row in rows
            if (common := row.values.keys() & stored.get(row.ts, {}).keys())
        ]
        if sum(others) >= max(1, _MANY * len(others)):
            _, last = readings.span(name) or (since, until)
            raise UserError(
                in_english(
                    "{file}: {asset} has {number} rows with other values at the same instants (of "
                    "the first {compared}, from {since} on, {step} apart), so this is not the "
                    "file imported before. If it continues that file, add --start {start}; if it "
                    "is of another machine, name another --asset. Nothing was written",
                    file=source.name,
                    asset=name,
                    number=sum(others),
                    compared=len(others),
                    since=since,
                    step=format_duration(step),
                    start=(last + step).isoformat(),  # as the option is written
                )
            )


_OPTION = re.compile(r"--[a-z][a-z-]*")
Row = TypeVar("Row", ReadingRow, EventRow)
_ACTS: Mapping[What, tuple[Callable[..., int], Callable[..., int], Callable[..., Sized]]] = {
    "readings": (add_readings, remove_readings, same_readings),
    "events": (add_events, remove_events, same_events),
}


@dataclass(frozen=True)
class ImportResult:
    """Result of an import. `new` of the good `rows` changed something; `late` of these came after
    their time was evaluated. `removed`: when an import is taken back, the number of rows that were
    stored exactly so.

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
    on bad lines; `assets`, `event_types`: the new or changed ones; `durations`: by type.
    `take_back`: rows that are stored exactly so are removed instead."""

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

    def to_remove(self, progress: Progress) -> Checked[Row]:
        """Return the file whose rows are to be removed where they are stored exactly so; such rows
        are counted."""
        _, _, same = _ACTS[self.what]
        batches = self.rows(ignore_line, progress)
        removes = sum(len(same(self.plant.reading_writes, batch)) for batch in batches)
        return replace(self, take_back=True, understood=replace(self.understood, removes=removes))

    def write(self, *, now: datetime, actor: str, progress: Progress = silent) -> ImportResult:
        """Declare new assets, variables and event types, and write all rows, or remove those that
        are stored exactly so. Idempotent."""
        plant = self.plant
        add, remove, _ = _ACTS[self.what]
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
        is_reused = self.what == "readings" and not self.take_back
        columns = {title: profile.columns[title] for title in self.types} if is_reused else {}
        result = ImportResult(
            source=understood.source,
            what=self.what,
            rows=count,
            new=0 if self.take_back else changed,
            rejected=rejected,
            repeated=profile.repeated,
            first=profile.first,
            last=profile.last,
            assets=understood.assets,
            created=() if self.take_back else understood.new_assets,
            variables={column.name: self.types[title] for title, column in columns.items()},
            event_types={} if self.take_back else self.durations,
            notes=understood.notes,
            late=late_rows(plant, now),
            removed=changed if self.take_back else 0,
            bad_quality=sum(column.bad_quality for column in columns.values()),
            uncertain=sum(column.uncertain for column in columns.values()),
            understood=understood,
        )
        if changed or (not self.take_back and (self.assets or self.event_types)):
            after = asdict(replace(result, understood=None)) | {
                "assets": result.assets[:SHOWN],
                "created": result.created[:SHOWN],
                "form": understood.form.document(),
            }
            action = f"{self.what} {'removed' if self.take_back else 'imported'}"
            plant.audit.add(actor, action, result.source, now, after=after)
        return result


CheckedFile = Checked[ReadingRow] | Checked[EventRow]


def check_rows(
    source: Any,
    rows: What,
    plant: IngestionPorts,
    *,
    duration: Duration | None = None,
    delay: timedelta | None = None,
    now: datetime | None = None,
    units: Mapping[str, str] = MappingProxyType({}),
    by: str | None = None,
    **options: Any,
) -> CheckedFile:
    """Return a checked file of readings or of events: see `check_readings` and `check_events`, of
    which each gets what concerns it."""
    if rows == "events":
        return check_events(source, plant, duration=duration, delay=delay, **options)
    return check_readings(source, plant, now=now, units=units, by=by, **options)


def check_readings(
    source: ReadingSource,
    plant: IngestionPorts,
    *,
    reject: Reject | None = None,
    progress: Progress = silent,
    take_back: bool = False,
    now: datetime | None = None,
    units: Mapping[str, str] = MappingProxyType({}),
    by: str | None = None,
) -> Checked[ReadingRow]:
    """Read a whole file and determine its columns, without a write.

    A column of a declared variable gets its name and type; the type of a new one is inferred over
    the whole file. `take_back`: rows that are stored exactly so will be removed. `now`: the notes
    name readings after it. `units`: stated ones by title; `by`: the source of variables that have
    none. Values are converted into the declared units. Raises UserError for a bad line without a
    `reject`, no good one, and a column in a unit of another quantity.
    """
    existing = {asset.name: asset for asset in plant.assets.all()}
    if existing:
        source.keep_names(titles_by_name(existing.values()), units_by_name(existing.values()))
    profile = source.profile(progress, stop_early=reject is None)
    types = column_types(source, profile, existing, plant.readings)
    refuse_bad(source, profile, reject)
    refuse_doubtful(source, profile, types)
    relations: Relations = {}
    if profile.assets.keys() & existing.keys():
        relations = relate_columns(source, profile, types, existing, units)
        sample_stored(profile, types, existing, plant.readings, relations)
    rows = partial(read_in_declared_units, source, types, relations)
    if source.form.sequence is not None:
        refuse_other_rows(source, rows, source.form.sequence, existing, plant.readings)
    declared = [
        with_variables(
            source,
            existing.get(name) or Asset(name=name, title=profile.asset_texts.get(name)),
            filled,
            profile.columns,
            types,
            units,
            by,
        )
        for name, filled in sorted(profile.assets.items())
    ]
    changes = [a for a in declared if existing.get(a.name) != a]
    by_variable = {name: r for of_asset in relations.values() for name, r in of_asset.items()}
    understood = understand(source, profile, types, existing, {}, now)
    if by_variable:
        notes = (*understood.notes, *describe_relations(by_variable))
        understood = replace(understood, notes=notes)
    checked = Checked("readings", plant, rows, profile, types, reject, changes, understood)
    return checked.to_remove(progress) if take_back else checked


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

    `duration`: of the event types. Without it, a stored type keeps its own, and a new one is
    lasting if the file has a column for ends. `delay`: the time after which events of these types
    are known; without it a stored type keeps its own. `take_back`: stored events that equal events
    of the file will be removed; they are counted. Raises the same UserError as `check_readings`,
    and UserError if a type with stored events is contradicted.
    """
    stored = {t.name: t for t in plant.assets.event_types()}
    existing = {asset.name: asset for asset in plant.assets.all()}
    if existing or stored:
        source.keep_names(titles_by_name(existing.values()), titles_by_name(stored.values()))
    profile = source.profile(progress, stop_early=reject is None)
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
    instant = [profile.types[name] for name, lasts in durations.items() if lasts == "instant"]
    profile.bad += sum(event_type.ends for event_type in instant)
    profile.first_bad += [line for event_type in instant for line in event_type.first_ends]
    refuse_bad(source, profile, reject)
    new_types = []
    for name, lasts in durations.items():
        before = stored.get(name)
        title = profile.type_texts.get(name)
        declared = before or EventType(name=name, title=title, duration=lasts)
        update = {"duration": lasts, "delay": declared.delay if delay is None else delay}
        if before != (event_type := declared.model_copy(update=update)):
            new_types.append(event_type)
    understood = understand(source, profile, types, existing, durations)
    rows = partial(source.read, types, durations)
    texts = profile.asset_texts
    created = [Asset(name=name, title=texts.get(name)) for name in understood.new_assets]
    checked = Checked(
        *("events", plant, rows, profile, types, reject, created, understood),
        event_types=new_types,
        durations=durations,
    )
    return checked.to_remove(progress) if take_back else checked


def ignore_line(_line: BadLine) -> None:
    """Ignore a bad line, which the check has refused or counted."""


def first_rows(checked: CheckedFile, most: int) -> list[ReadingRow | EventRow]:
    """Return the first rows of a checked file as they will be stored."""
    batches: Iterator[Sequence[ReadingRow | EventRow]] = checked.rows(ignore_line, silent)
    return list(islice(chain.from_iterable(batches), most))


def name_options(text: str, names: Mapping[str, str]) -> str:
    """Return a message of the import with other names that replace the options of the command."""
    return _OPTION.sub(lambda option: names.get(option[0], option[0]), text)
