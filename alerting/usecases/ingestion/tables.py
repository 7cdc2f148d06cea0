"""Import: readings and events from a source into the stores, checked as a whole before anything is written.

A source is read twice. The survey finds what its columns hold and every bad line; only then are assets declared and rows
written, batch by batch. Every write is idempotent, so a run that was stopped is repeated as it is: nothing is lost or doubled.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar

from pydantic import ValidationError

from alerting.definitions.assets import Asset, EventType, Variable, VariableType
from alerting.definitions.faults import UserError
from alerting.ports import Assets, Audit, Definitions, Progress, Readings, silent
from alerting.ports.late import Arrivals
from alerting.readings.column_titles import split_title, whole_title
from alerting.readings.inference import BadLine, ColumnSurvey
from alerting.usecases.ingestion.late_rows import late_rows
from alerting.usecases.ingestion.sources import Duration, EventSource, EventsSurvey, ReadingSource, Reject, Source, Survey
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
    understood: Understood | None = None

    def to_document(self) -> dict[str, Any]:
        """The result as a JSON document, instants in ISO 8601."""
        document = asdict(self)
        told = [document, *([document["understood"]] if self.understood else [])]
        for part in told:
            part.update({key: part[key].isoformat() if part[key] else None for key in ("first", "last")})
        return document


def refuse_line(line: BadLine) -> None:
    """The fate of bad lines unless told otherwise; the survey has refused every one that it could see."""
    raise UserError(f"line {line}; it was not bad when the file was checked, so the file is being changed: import it again")


class CheckedReadings:
    """Readings that were checked as a whole, and can be written."""

    def __init__(
        self,
        source: ReadingSource,
        plant: Plant,
        survey: Survey,
        types: Mapping[str, VariableType],
        reject: Reject | None,
    ) -> None:
        self._source, self._plant, self._survey, self._types, self._reject = source, plant, survey, types, reject
        self._known = {a.name: a for a in plant.assets.all()}
        self._declared = [
            _with_variables(source, name, filled, survey.columns, types, self._known.get(name))
            for name, filled in sorted(survey.assets.items())
        ]
        self.understood = understand(source, survey, types, self._known, {})

    def write(self, *, now: datetime, actor: str, progress: Progress = silent) -> ImportResult:
        """Declare assets and variables that are new, and write all rows. Idempotent."""
        survey, types = self._survey, self._types
        rejected = _Counted(self._reject or refuse_line)
        changes = [a for a in self._declared if self._known.get(a.name) != a]
        self._plant.assets.put(changes)
        batches = self._source.read(types, rejected, progress)
        written = _write(batches, lambda batch: self._plant.readings.add_readings(batch, now))
        result = replace(
            _result("readings", self.understood, survey, written, rejected.count, self._plant, now),
            created=self.understood.new_assets,
            variables={survey.columns[title].name: kind for title, kind in types.items()},
            bad_quality=sum(survey.columns[title].bad_quality for title in types),
            uncertain=sum(survey.columns[title].uncertain for title in types),
        )
        _record(self._plant, result, changed=bool(result.new or changes), now=now, actor=actor)
        return result


def check_readings(
    source: ReadingSource, plant: Plant, *, reject: Reject | None = None, progress: Progress = silent
) -> CheckedReadings:
    """Read a file as a whole, and find out what its columns are; nothing is written.

    A declared variable keeps its type, the type of a new one is inferred over the whole file. Raises UserError when a line is bad
    and there is no `reject` to take it, when no line is left, or when what would be declared is not valid.
    """
    survey = source.survey(progress, hasty=reject is None)
    _refuse_empty(source, survey)
    known = {a.name: a for a in plant.assets.all()}
    types = _types(source, survey, known)
    refuse_bad(source, survey, types, [], reject)
    refuse_doubtful(source, survey, types)
    return CheckedReadings(source, plant, survey, types, reject)


def import_readings(
    source: ReadingSource, plant: Plant, *, now: datetime, actor: str, reject: Reject | None = None, progress: Progress = silent
) -> ImportResult:
    """Check and write readings; assets and variables that are not known yet are declared.

    Raises UserError, with nothing written, as `check_readings` does.
    """
    checked = check_readings(source, plant, reject=reject, progress=progress)
    return checked.write(now=now, actor=actor, progress=progress)


class CheckedEvents:
    """Events that were checked as a whole, and can be written."""

    def __init__(
        self,
        source: EventSource,
        plant: Plant,
        survey: EventsSurvey,
        types: Mapping[str, VariableType],
        durations: Mapping[str, Duration],
        reject: Reject | None,
    ) -> None:
        self._source, self._plant, self._survey, self._types, self._reject = source, plant, survey, types, reject
        self._durations = durations
        stored = {t.name for t in plant.assets.event_types()}
        self._new_types = [EventType(name=name, duration=kind) for name, kind in durations.items() if name not in stored]
        self.understood = understand(source, survey, types, {a.name: a for a in plant.assets.all()}, durations)

    def write(self, *, now: datetime, actor: str, progress: Progress = silent) -> ImportResult:
        """Declare assets and event types that are new, and write all events. Idempotent."""
        rejected = _Counted(self._reject or refuse_line)
        created = [Asset(name=name) for name in self.understood.new_assets]
        self._plant.assets.put(created)
        self._plant.assets.put_event_types(self._new_types)
        batches = self._source.read(self._types, self._durations, rejected, progress)
        written = _write(batches, lambda batch: self._plant.readings.add_events(batch, now))
        result = replace(
            _result("events", self.understood, self._survey, written, rejected.count, self._plant, now),
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
    """Read a file of events as a whole; nothing is written.

    `duration` says what the events are; left out, a stored type stays what it is, and a new one is lasting if the file has a
    column for ends. Raises UserError as `check_readings` does, and when a stored type is contradicted.
    """
    survey = source.survey(progress, hasty=reject is None)
    _refuse_empty(source, survey)
    stored = {t.name: t.duration for t in plant.assets.event_types()}
    durations = _durations(source, survey, stored, duration)
    types = {title: kind for title, column in survey.columns.items() if (kind := column.attribute_type())}
    ends = [survey.types[name] for name, lasts in durations.items() if lasts == "instant"]
    refuse_bad(source, survey, types, ends, reject)
    return CheckedEvents(source, plant, survey, types, durations, reject)


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
    """Check and write events; assets and event types that are not known yet are declared.

    Raises UserError, with nothing written, as `check_events` does.
    """
    checked = check_events(source, plant, duration=duration, reject=reject, progress=progress)
    return checked.write(now=now, actor=actor, progress=progress)


def _write(batches: Iterable[Sequence[Row]], add: Callable[[Sequence[Row]], int]) -> tuple[int, int]:
    """Write batch after batch; returns how many rows there were, and how many of them changed anything."""
    rows = new = 0
    for batch in batches:
        new += add(batch)
        rows += len(batch)
    return rows, new


def _result(
    what: What, understood: Understood, survey: Survey, written: tuple[int, int], rejected: int, plant: Plant, now: datetime
) -> ImportResult:
    """What there is to say of any import."""
    rows, new = written
    return ImportResult(
        source=understood.source,
        what=what,
        rows=rows,
        new=new,
        rejected=rejected,
        repeated=survey.repeated,
        first=survey.first,
        last=survey.last,
        assets=understood.assets,
        created=(),
        variables={},
        event_types={},
        notes=understood.notes,
        late=late_rows(plant, now),
        understood=understood,
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
        raise UserError(f"{source.name} has a header but no lines; nothing was written")


def _types(source: Source, survey: Survey, known: Mapping[str, Asset]) -> dict[str, VariableType]:
    """Type by column title: the declared one, else the inferred one; columns without any value are left out."""
    types: dict[str, VariableType] = {}
    for title, column in survey.columns.items():
        declared = _declared(source, column.name, survey.assets, known)
        kind = declared or column.inferred()
        if kind is None or not (column.filled or column.bad_quality):
            continue
        if not declared and column.written_with_decimal_comma():
            raise UserError(f"{source.name}: column {title!r} holds numbers such as 12,5: add --decimal ,")
        types[title] = kind
    if not types and not survey.bad:
        raise UserError(f"{source.name} has no value in any column that could be a variable; nothing was written")
    return types


def _declared(source: Source, variable: str, assets: Mapping[str, set[str]], known: Mapping[str, Asset]) -> VariableType | None:
    by_type: dict[VariableType, str] = {}
    for name in sorted(assets):
        found = known[name].variables.get(variable) if name in known else None
        if found:
            by_type.setdefault(found.type, name)
    if len(by_type) > 1:
        told = " but ".join(f"{kind} on {asset}" for kind, asset in by_type.items())
        raise UserError(f"{source.name}: {variable} is declared as {told}; import these assets from files of their own")
    return next(iter(by_type), None)


def _with_variables(
    source: Source,
    name: str,
    filled: set[str],
    columns: Mapping[str, ColumnSurvey],
    types: Mapping[str, VariableType],
    known: Asset | None,
) -> Asset:
    """The asset with a variable for each of its filled columns; what is declared already stays as it is.

    Raises UserError when the asset would not be valid: nothing is written that cannot be read again.
    """
    asset = known or Asset(name=name)
    found = {
        columns[title].name: _variable(columns[title], kind) for title, kind in types.items() if columns[title].name in filled
    }
    if not found.keys() - asset.variables.keys():
        return asset
    try:
        return Asset.model_validate({**dict(asset), "variables": {**found, **asset.variables}})
    except ValidationError as error:
        told = "".join(f"\n  - {'.'.join(map(str, e['loc']))[:200]}: {e['msg']}" for e in error.errors()[:SHOWN])
        raise UserError(f"{source.name} is refused, nothing was written: asset {name} would not be valid:{told}") from error


def _variable(column: ColumnSurvey, kind: VariableType) -> Variable:
    """A variable of this column: a number with the unit that its title names; the title is kept without it."""
    title, unit = split_title(column.title) if kind == "number" else (whole_title(column.title), None)
    return Variable(title=title if title != column.name else None, type=kind, unit=unit)


def _durations(
    source: Source, survey: EventsSurvey, stored: Mapping[str, Duration], wanted: Duration | None
) -> dict[str, Duration]:
    durations: dict[str, Duration] = {}
    for name, found in sorted(survey.types.items()):
        durations[name] = wanted or stored.get(name) or ("lasting" if survey.end_column else "instant")
        if name not in stored or (stored[name] == durations[name] and not (stored[name] == "instant" and found.ends)):
            continue
        is_now = "have ends" if stored[name] == durations[name] else f"are to be {durations[name]}"
        raise UserError(
            f"{source.name}: events of type {name!r} {is_now}, but are kept as {stored[name]} already; nothing was written. "
            "Import them under another type (--type, --type-prefix) if they are another thing"
        )
    return durations


def _record(plant: Plant, result: ImportResult, *, changed: bool, now: datetime, actor: str) -> None:
    if changed:
        shortened = replace(result, assets=result.assets[:SHOWN], created=result.created[:SHOWN], understood=None)
        plant.audit.add(who=actor, what=f"{result.what} imported", subject=result.source, at=now, after=shortened.to_document())
