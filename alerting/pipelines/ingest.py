"""Import: readings and events from a source into the stores, checked as a whole before anything is written.

A source is read twice. The survey finds what its columns hold and every bad line; only then are assets declared and rows
written, batch by batch. Every write is idempotent, so a run that was stopped is repeated as it is: nothing is lost or doubled.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar

from alerting.definitions.assets import Asset, EventType, Variable, VariableType
from alerting.definitions.faults import Refused
from alerting.pipelines.ports import Assets, Audit, EventRow, Progress, ReadingRow, Readings, silent
from alerting.pipelines.ports.late import Arrivals
from alerting.readings.inference import BadLine, ColumnSurvey

SHOWN = 5
Duration = Literal["instant", "lasting"]
What = Literal["readings", "events"]
Row = TypeVar("Row")
Reject = Callable[[BadLine], None]


class Plant(Protocol):
    """The part of the platform that the import touches."""

    @property
    def assets(self) -> Assets: ...

    @property
    def readings(self) -> Readings: ...

    @property
    def arrivals(self) -> Arrivals: ...

    @property
    def audit(self) -> Audit: ...


@dataclass
class Survey:
    """What the first pass found. `bad` counts lines that cannot be taken, whatever the types; `first_bad` shows the first few.

    `assets`: names of the columns filled anywhere, by asset. `repeated` lines add nothing to an earlier one, `empty` lines have
    no value. `zoneless` stamps were taken as UTC; `cut` stamps lost parts of a millisecond.
    """

    columns: dict[str, ColumnSurvey] = field(default_factory=dict)
    assets: dict[str, set[str]] = field(default_factory=dict)
    lines: int = 0
    bad: int = 0
    first_bad: list[BadLine] = field(default_factory=list)
    repeated: int = 0
    empty: int = 0
    zoneless: int = 0
    cut: int = 0
    first: datetime | None = None
    last: datetime | None = None


@dataclass
class EventTypeSurvey:
    """What the first pass found of one event type: whether any event has an end after its start, and the first such lines."""

    ends: int = 0
    first_ends: list[BadLine] = field(default_factory=list)


@dataclass
class EventsSurvey(Survey):
    """A survey of events. `end_column`: whether the file has one."""

    types: dict[str, EventTypeSurvey] = field(default_factory=dict)
    end_column: bool = False


class Source(Protocol):
    """A file, as messages speak of it. `unit` is what its lines are called: line, or row."""

    name: str
    unit: str


class ReadingSource(Source, Protocol):
    """Readings in a file, read once to survey and once to take them."""

    def survey(self, progress: Progress) -> Survey: ...

    def read(self, types: Mapping[str, VariableType], reject: Reject, progress: Progress) -> Iterator[Sequence[ReadingRow]]:
        """Batches of rows with the columns of these types; every bad line is handed to `reject`."""
        ...


class EventSource(Source, Protocol):
    """Events in a file, read once to survey and once to take them."""

    def survey(self, progress: Progress) -> EventsSurvey: ...

    def read(
        self, types: Mapping[str, VariableType], durations: Mapping[str, Duration], reject: Reject, progress: Progress
    ) -> Iterator[Sequence[EventRow]]:
        """Batches of events with attributes of these types; every bad line is handed to `reject`."""
        ...


@dataclass(frozen=True)
class ImportResult:
    """What an import did. `new` rows changed something, of `rows` that were good; `late` of them came after their time was
    judged. `bad_quality`, `uncertain`: samples that their source calls so. `notes` are sentences for people.
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

    def to_document(self) -> dict[str, Any]:
        """The result as a JSON document, instants in ISO 8601."""
        document = asdict(self)
        document.update({key: at.isoformat() if at else None for key, at in (("first", self.first), ("last", self.last))})
        return document


def refuse_line(line: BadLine) -> None:
    """The fate of bad lines unless told otherwise; the survey has refused every one that it could see."""
    raise Refused(f"line {line}; it was not bad when the file was checked, so the file is being changed: import it again")


def import_readings(
    source: ReadingSource, plant: Plant, *, now: datetime, actor: str, reject: Reject | None = None, progress: Progress = silent
) -> ImportResult:
    """Import readings; assets and variables that are not known yet are declared.

    A declared variable keeps its type, the type of a new one is inferred over the whole file. Raises Refused, with nothing
    written, when a line is bad and there is no `reject` to take it, or when no line is left.
    """
    survey = source.survey(progress)
    _refuse_empty(source, survey)
    known = {a.name: a for a in plant.assets.all()}
    types = _types(source, survey, known)
    _refuse_bad(source, survey, types, [], reject)
    declared = [
        _with_variables(name, columns, survey.columns, types, known.get(name)) for name, columns in sorted(survey.assets.items())
    ]
    rejected = _Counted(reject or refuse_line)
    changes = [a for a in declared if known.get(a.name) != a]
    plant.assets.put(changes)
    written = _write(source.read(types, rejected, progress), lambda batch: plant.readings.add_readings(batch, now))
    result = replace(
        _result("readings", source, survey, written, rejected.count, plant, now),
        created=tuple(a.name for a in declared if a.name not in known),
        variables={survey.columns[title].name: kind for title, kind in types.items()},
        notes=tuple(_notes(source, survey, types)),
        bad_quality=sum(survey.columns[title].bad_quality for title in types),
        uncertain=sum(survey.columns[title].uncertain for title in types),
    )
    _record(plant, result, changed=bool(result.new or changes), now=now, actor=actor)
    return result


def import_events(
    source: EventSource,
    plant: Plant,
    *,
    now: datetime,
    actor: str,
    duration: Duration | None = None,
    reject: Reject | None = None,
    progress: Progress = silent,
) -> ImportResult:
    """Import events; assets and event types that are not known yet are declared.

    `duration` says what the events are; left out, a stored type stays what it is, and a new one is lasting if the file has a
    column for ends. Raises Refused, with nothing written, as `import_readings` does, and when a stored type is contradicted.
    """
    survey = source.survey(progress)
    _refuse_empty(source, survey)
    known = {a.name for a in plant.assets.all()}
    stored = {t.name: t.duration for t in plant.assets.event_types()}
    durations = _durations(source, survey, stored, duration)
    types = {title: kind for title, column in survey.columns.items() if (kind := column.attribute_type())}
    ends = [survey.types[name] for name, lasts in durations.items() if lasts == "instant"]
    _refuse_bad(source, survey, types, ends, reject)
    rejected = _Counted(reject or refuse_line)
    created = [Asset(name=name) for name in sorted(survey.assets) if name not in known]
    new_types = [EventType(name=name, duration=kind) for name, kind in durations.items() if name not in stored]
    plant.assets.put(created)
    plant.assets.put_event_types(new_types)
    written = _write(source.read(types, durations, rejected, progress), lambda batch: plant.readings.add_events(batch, now))
    result = replace(
        _result("events", source, survey, written, rejected.count, plant, now),
        created=tuple(a.name for a in created),
        event_types=durations,
        notes=tuple(_notes(source, survey, types)),
    )
    _record(plant, result, changed=bool(result.new or created or new_types), now=now, actor=actor)
    return result


def _write(batches: Iterable[Sequence[Row]], add: Callable[[Sequence[Row]], int]) -> tuple[int, int]:
    """Write batch after batch; returns how many rows there were, and how many of them changed anything."""
    rows = new = 0
    for batch in batches:
        new += add(batch)
        rows += len(batch)
    return rows, new


def _result(
    what: What, source: Source, survey: Survey, written: tuple[int, int], rejected: int, plant: Plant, now: datetime
) -> ImportResult:
    """What there is to say of any import, but for notes; nothing is declared yet."""
    rows, new = written
    return ImportResult(
        source=source.name,
        what=what,
        rows=rows,
        new=new,
        rejected=rejected,
        repeated=survey.repeated,
        first=survey.first,
        last=survey.last,
        assets=tuple(sorted(survey.assets)),
        created=(),
        variables={},
        event_types={},
        notes=(),
        late=sum(arrival.rows for arrival in plant.arrivals.of(now)),
    )


class _Counted:
    """Hands bad lines on and counts them."""

    def __init__(self, reject: Reject) -> None:
        self._reject, self.count = reject, 0

    def __call__(self, line: BadLine) -> None:
        self._reject(line)
        self.count += 1


def _refuse_empty(source: Source, survey: Survey) -> None:
    if not survey.lines:
        raise Refused(f"{source.name} has a header but no lines; nothing was written")


def _types(source: Source, survey: Survey, known: Mapping[str, Asset]) -> dict[str, VariableType]:
    """Type by column title: the declared one, else the inferred one; columns without any value are left out."""
    types: dict[str, VariableType] = {}
    for title, column in survey.columns.items():
        declared = _declared(source, column.name, survey.assets, known)
        kind = declared or column.inferred()
        if kind is None or not (column.filled or column.bad_quality):
            continue
        if not declared and column.written_with_decimal_comma():
            raise Refused(f"{source.name}: column {title!r} holds numbers such as 12,5: add --decimal ,")
        types[title] = kind
    if not types and not survey.bad:
        raise Refused(f"{source.name} has no value in any column that could be a variable; nothing was written")
    return types


def _declared(source: Source, variable: str, assets: Mapping[str, set[str]], known: Mapping[str, Asset]) -> VariableType | None:
    by_type: dict[VariableType, str] = {}
    for name in sorted(assets):
        found = known[name].variables.get(variable) if name in known else None
        if found:
            by_type.setdefault(found.type, name)
    if len(by_type) > 1:
        told = " but ".join(f"{kind} on {asset}" for kind, asset in by_type.items())
        raise Refused(f"{source.name}: {variable} is declared as {told}; import these assets from files of their own")
    return next(iter(by_type), None)


def _with_variables(
    name: str, filled: set[str], columns: Mapping[str, ColumnSurvey], types: Mapping[str, VariableType], known: Asset | None
) -> Asset:
    """The asset with a variable for each of its filled columns; what is declared already stays as it is."""
    asset = known or Asset(name=name)
    found = {
        columns[title].name: Variable(title=title if title != columns[title].name else None, type=kind)
        for title, kind in types.items()
        if columns[title].name in filled
    }
    return (
        asset.model_copy(update={"variables": {**found, **asset.variables}}) if found.keys() - asset.variables.keys() else asset
    )


def _durations(
    source: Source, survey: EventsSurvey, stored: Mapping[str, Duration], wanted: Duration | None
) -> dict[str, Duration]:
    durations: dict[str, Duration] = {}
    for name, found in sorted(survey.types.items()):
        durations[name] = wanted or stored.get(name) or ("lasting" if survey.end_column else "instant")
        if name not in stored or (stored[name] == durations[name] and not (stored[name] == "instant" and found.ends)):
            continue
        is_now = "have ends" if stored[name] == durations[name] else f"are to be {durations[name]}"
        raise Refused(
            f"{source.name}: events of type {name!r} {is_now}, but are kept as {stored[name]} already; nothing was written. "
            "Import them under another type (--type, --type-prefix) if they are another thing"
        )
    return durations


def _refuse_bad(
    source: Source, survey: Survey, types: Mapping[str, VariableType], ends: Sequence[EventTypeSurvey], reject: Reject | None
) -> None:
    count, lines = survey.bad, list(survey.first_bad)
    for title, kind in types.items():
        more, first = survey.columns[title].bad(kind)
        count, lines = count + more, lines + first
    for found in ends:
        count, lines = count + found.ends, lines + found.first_ends
    if reject is None and count:
        raise Refused(_refusal(source, count, lines))
    if not survey.assets:
        raise Refused(
            _refusal(source, count, lines) if count else f"{source.name} has a header but no lines; nothing was written"
        )


def _refusal(source: Source, count: int, lines: Sequence[BadLine]) -> str:
    shown = sorted(lines, key=lambda b: b.line)[:SHOWN]
    told = "".join(f"\n  - {source.unit} {line}" for line in shown)
    more = f"\n  - and {count - len(shown):,} more" if count > len(shown) else ""
    way_out = "--skip-bad takes the good lines and keeps the bad ones apart"
    return f"{source.name} is refused, nothing was written ({way_out}):{told}{more}"


def _notes(source: Source, survey: Survey, types: Mapping[str, VariableType]) -> Iterator[str]:
    unit = source.unit + "s"
    empty = [title for title in survey.columns if title not in types]
    if survey.repeated:
        yield f"{survey.repeated:,} {unit} repeat an earlier one and were counted once"
    if survey.empty:
        yield f"{survey.empty:,} {unit} hold no value and were passed over"
    if empty:
        yield f"columns without any value were passed over: {', '.join(empty)}"
    bad, uncertain = (sum(getattr(survey.columns[t], n) for t in types) for n in ("bad_quality", "uncertain"))
    if bad:
        yield f"{bad:,} samples are of bad quality: their values are not kept, and what they would have told is unknown"
    if uncertain:
        yield f"{uncertain:,} samples are of uncertain quality: they are marked as such, and used"
    if survey.zoneless:
        yield f"{survey.zoneless:,} time stamps name no zone and were taken as UTC; --tz says otherwise"
    if survey.cut:
        yield f"{survey.cut:,} time stamps are finer than a millisecond and were cut to it"


def _record(plant: Plant, result: ImportResult, *, changed: bool, now: datetime, actor: str) -> None:
    if changed:
        shortened = replace(result, assets=result.assets[:SHOWN], created=result.created[:SHOWN])
        plant.audit.add(who=actor, what=f"{result.what} imported", subject=result.source, at=now, after=shortened.to_document())
