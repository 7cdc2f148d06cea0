"""Rows of a source as readings or events: a delivery is a small table, whose columns are typed as
those of a file, in the types and units of their variables. Each row, and each value of it, is
stored as it stands, or refused with a reason, for readers of every language. The declarations that
rows cause: assets, variables with their types, event types.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import ValidationError

from alerting.definitions.asset_documents import (
    MOST_VARIABLES,
    Asset,
    EventType,
    Variable,
    VariableType,
    variable_name,
)
from alerting.definitions.faults import shown
from alerting.definitions.fields.names_and_times import time_zone
from alerting.definitions.source_fields import SourceFields
from alerting.definitions.sources import SqlSource
from alerting.definitions.wording.fault_messages import message_of
from alerting.definitions.wording.language import join_with_and
from alerting.ports import Assets, EventRow, ReadingRow, Record
from alerting.readings.foreign_columns import Units, derive_name, split_title, whole_title
from alerting.readings.history import Grade, Quality, grade, why_no_quality
from alerting.readings.unit_conversion import (
    Conversion,
    OtherQuantity,
    UnitRelation,
    column_name,
    relate_units,
    title_unit,
    units_by_name,
)
from alerting.readings.written_values import (
    MISSING,
    Scalar,
    as_type,
    finite_numbers,
    is_utf8,
    read_instant,
    read_scalar,
    show,
)
from alerting.usecases.ingestion.asset_import import TextNames, titles_by_name
from alerting.usecases.sources.declaration_bounds import (
    Headroom,
    NewNames,
    RowBeyondBounds,
    new_names,
)
from alerting.usecases.sources.message_parts import (
    VALUES,
    Faults,
    MessageRows,
    RowRefused,
    find_part,
    flatten,
    list_hint,
    refuse_many,
    suggest_paths,
)

_TYPES: Mapping[type, VariableType] = {bool: "boolean", float: "number", str: "category"}
_MOST_REASONS = 3
_Row = TypeVar("_Row")
_Read = TypeVar("_Read")


@dataclass(frozen=True)
class RefusedRow:
    """A row that was not stored, or not with all its values: its number, from 1, and the reason."""

    line: int
    reason: str


@dataclass(frozen=True)
class Declared:
    """Rows that fit the declarations, the declarations to write first, and all refused rows in
    their order.

    `new`: the names that are declared for the first time. `surplus`: why the last row that would
    declare too much was refused; `relations`: by variable, how the stated unit relates to the
    declared one.
    """

    refused: Sequence[RefusedRow]
    surplus: str | None
    readings: Sequence[ReadingRow] = ()
    events: Sequence[EventRow] = ()
    assets: Sequence[Asset] = ()
    event_types: Sequence[EventType] = ()
    new: NewNames = field(default_factory=NewNames)
    relations: Mapping[str, UnitRelation] = field(default_factory=dict)


class _Column(NamedTuple):
    """The meaning of a column for one asset."""

    variable: Variable
    relation: UnitRelation | None

    @property
    def is_plain(self) -> bool:
        """Return whether its numbers are stored as they come."""
        return self.variable.type == "number" and self.relation is None

    def read(self, value: Scalar) -> Scalar:
        """Return a value in the type and unit of the variable. Raises ValueError with the reason if
        it is of another type or quantity, or too large in the other unit."""
        read = as_type(value, self.variable.type)
        match self.relation:
            case Conversion() as conversion:
                converted = float(conversion.convert(read))
                if not math.isfinite(converted):
                    raise ValueError(
                        f"{show(value)} is too large in {conversion.declared}, in which the "
                        "variable is declared"
                    )
                return converted
            case OtherQuantity(written, declared):
                raise ValueError(f"{show(value)} is in {written}, and the variable in {declared}")
        return read


@dataclass
class _Columns:
    """The variables of one asset, with those that rows add, and the meaning of its columns so far.

    `layouts`: by titles of rows, the variables if all are numbers that are stored as they come.
    """

    asset: Asset
    is_new: bool
    count: int
    added: dict[str, Variable] = field(default_factory=dict)
    by_title: dict[str, _Column] = field(default_factory=dict)
    layouts: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)

    def get(self, name: str) -> Variable | None:
        return self.added.get(name) or self.asset.variables.get(name)

    def is_category(self, name: str) -> bool:
        """Return whether a variable is declared as a category."""
        variable = self.get(name)
        return variable is not None and variable.type == "category"

    def changed(self) -> Asset:
        """Return the asset with the variables that rows add."""
        return self.asset.model_copy(update={"variables": {**self.asset.variables, **self.added}})


class _RowHead(NamedTuple):
    """A row, its asset and its instant."""

    record: Record
    asset: str
    at: datetime


class _Delivery:
    """The rows of one delivery while they are read: where each has its parts, what its columns mean
    for each asset, and what is refused. The arguments are those of `read_readings`."""

    def __init__(
        self,
        assets: Assets,
        source: SourceFields,
        zone: tzinfo,
        by: str | None,
        headroom: Headroom | None,
    ) -> None:
        self._assets = assets
        self.source = source
        self._zone = time_zone(source.timezone) if source.timezone else zone
        self._by = by
        self._headroom = headroom
        self._asset_names = TextNames(
            "asset", source.asset_prefix, lambda: titles_by_name(assets.all())
        )
        self._messages = MessageRows(source)
        self.keys = {source.time, source.quality, *self._messages.keys}
        if source.asset is None:
            self.keys.add(source.asset_column)
        if isinstance(source, SqlSource) and source.cursor not in source.variables:
            self.keys.add(source.cursor)
        self._faults = defaultdict[int, Faults](list)
        self._names: dict[str, str | None] = {}
        self._titles: dict[str, str] = {}  # the first column of each variable
        self.by_asset: dict[str, _Columns] = {}
        self.relations: dict[str, UnitRelation] = {}

    def heads(self, records: Sequence[Record]) -> list[tuple[int, _RowHead]]:
        """Return the rows of records with their asset and instant, each with the number of its
        record, from 1. Loads their assets."""
        self.rows = [*enumerate(records, 1)]
        if not self._messages.is_plain:
            split = self.each(self.rows, self._messages.split)
            self.rows = [(line, row) for line, parts in split for row in parts]
        heads = [*self.each(self.rows, self._head)]
        names = sorted({head.asset for _, head in heads})
        self.stored = self._assets.get_many(names)
        for name in names:
            title = self._asset_names.texts.get(name)
            asset = self.stored.get(name) or Asset(name=name, title=title)
            self.by_asset[name] = _Columns(asset, name not in self.stored, len(asset.variables))
        return heads

    def _head(self, record: Record, _: Faults) -> _RowHead:
        source = self.source
        asset = source.asset or self.name(record, source.asset_column, self._asset_names)
        return _RowHead(record, asset, self.instant(record, source.time))

    def each(
        self, rows: Iterable[tuple[int, _Row]], read: Callable[[_Row, Faults], _Read]
    ) -> Iterator[tuple[int, _Read]]:
        """Yield what is read of each row, with its number. Rows that `read` refuses are left out;
        it adds the refusals of single columns to its list."""
        faults: Faults = []
        for line, row in rows:
            try:
                yield line, read(row, faults)
            except RowRefused as refusal:
                faults.append(refusal)
            except RecursionError:
                faults.append(RowRefused("nests too deeply"))
            if faults:
                self._faults[line] += faults
                faults.clear()

    def refusals(self) -> tuple[list[RefusedRow], str | None]:
        """Return the refused rows with their first different reasons, and the last one of a row
        that would declare too much."""
        refused: list[RefusedRow] = []
        by_line = sorted(self._faults.items())
        for line, faults in by_line:
            reasons = [*dict.fromkeys(map(str, faults))]
            more = len(reasons) - _MOST_REASONS
            further = [f"and {more} more"] if more > 0 else []
            refused.append(RefusedRow(line, "; ".join([*reasons[:_MOST_REASONS], *further])))
        beyond = [
            fault for _, faults in by_line for fault in faults if isinstance(fault, RowBeyondBounds)
        ]
        return refused, str(beyond[-1]) if beyond else None

    def name(self, record: Record, column: str, names: TextNames) -> str:
        """Return the name in a column. Raises RowRefused if there is none."""
        written = find_part(record, column)
        if written is None or written == "":
            raise RowRefused(names.missing, column)
        if (
            isinstance(written, bool)
            or not isinstance(written, str | int | float | Decimal)
            or written != written  # noqa: PLR0124 - not a number
        ):
            reason = f"{show(written)} is not a name of an {names.kind}, which is text or a number"
            raise RowRefused(reason, column)
        try:
            return names.read(str(written))
        except ValueError as reason:
            raise RowRefused(reason, column) from None

    def instant(self, record: Record, column: str) -> datetime:
        """Return the instant in a column. Raises RowRefused if there is none."""
        written = find_part(record, column)
        if written is None or written == "":
            raise RowRefused(f"there is no time{list_hint(record)}", column)
        try:
            return read_instant(written, self._zone)
        except ValueError as reason:
            raise RowRefused(reason, column) from None

    def fields(self, record: Record, faults: Faults) -> Mapping[str, Any]:
        """Return the values of a record by title, nested ones by their paths: from its object of
        values, or from all fields except its keys. Raises RowRefused for too many."""
        inner = record.get(VALUES)
        fields = (
            inner
            if isinstance(inner, Mapping)
            else {key: value for key, value in record.items() if key not in self.keys}
        )
        refuse_many(fields)
        is_nested = any(issubclass(kind, Mapping) for kind in set(map(type, fields.values())))
        return flatten(fields, self.keys, faults) if is_nested else fields

    def samples(
        self, fields: Mapping[str, Any], faults: Faults, columns: _Columns | None = None
    ) -> dict[str, tuple[str, Scalar | None]]:
        """Return each variable's title and value; `faults` gets those that cannot be stored. A word
        for no value is a value of what `columns` have as a category."""
        samples: dict[str, tuple[str, Scalar | None]] = {}
        repeated = set[str]()
        for title, value in fields.items():
            try:
                name = self.variable(title)
                if name in samples:
                    repeated.add(name)
                    raise ValueError(f"the variable {name} occurs twice")
                if name is not None:
                    scalar = read_scalar(value)
                    if scalar in MISSING and not (columns and columns.is_category(name)):
                        scalar = None
                    samples[name] = title, scalar
            except ValueError as reason:
                faults.append(RowRefused(suggest_paths(title, value) or reason, title))
        for name in repeated:
            del samples[name]
        return samples

    def variable(self, title: str) -> str | None:
        """Return the name of the variable of a column; None if the source leaves the column out.
        Raises ValueError with the reason for a title that cannot be stored."""
        if title not in self._names:
            mapped = self.source.mapped(title)
            if mapped is None and self.source.others == "ignore":
                self._names[title] = None
                return None
            if not is_utf8(title):
                raise ValueError("the title holds half a character")
            name = (mapped and mapped.name) or self._derive(title)
            self._names[title] = name
            self._titles.setdefault(name, title)
        return self._names[title]

    def _derive(self, title: str) -> str:
        """Return the name of a column by its title; the names of attributes contain the unit."""
        name = variable_name(title)
        if self.source.delivers == "events" or (derived := derive_name(title)) == name:
            return name
        return column_name(title, self._units, is_shared=self._titles.get(derived, title) != title)

    @cached_property
    def _units(self) -> Units:
        """Return the units of the variables of the assets; of all assets if one is new, as its
        columns may have their names."""
        is_known = self.by_asset and len(self.stored) == len(self.by_asset)
        return units_by_name(self.stored.values() if is_known else self._assets.all())

    def reading(self, head: _RowHead, faults: Faults) -> ReadingRow:
        """Return the reading of a row; `faults` gets the refusals of single values. Raises
        RowRefused, and declares nothing, if no value is left."""
        record, asset, at = head
        columns = self.by_asset[asset]
        fields = self.fields(record, faults)
        numbers = finite_numbers(fields, columns.layouts.get(tuple(fields)))
        # titles of values come before those of qualities
        samples = {} if numbers is not None else self.samples(fields, faults, columns)
        grades = self._grades(record, faults) if self.source.quality is not None else {}
        if numbers is not None:
            if not grades:
                return ReadingRow(asset, at, numbers)
            samples = self.samples(fields, faults, columns)
        values: dict[str, Scalar] = {}
        quality: dict[str, Quality] = {}
        declared = self._fill(columns, samples, grades, values, quality, faults)
        if declared:
            self._declare(columns, declared, values, quality, faults)
        elif len(values) == len(fields) and all(
            title in columns.by_title and columns.by_title[title].is_plain for title in fields
        ):
            columns.layouts[tuple(fields)] = tuple(values)
        if not values and not quality:
            raise faults.pop() if faults else RowRefused("has no value")
        return ReadingRow(asset, at, values, quality)

    def _fill(
        self,
        columns: _Columns,
        samples: Mapping[str, tuple[str, Scalar | None]],
        grades: Mapping[str, Grade | None],
        values: dict[str, Scalar],
        quality: dict[str, Quality],
        faults: Faults,
    ) -> dict[str, Variable]:
        """Add the values of a row, in the types and units of their variables, and their qualities.
        Return the variables that are still to be declared."""
        declared: dict[str, Variable] = {}
        if "" in grades:
            filled = [name for name, (_, value) in samples.items() if value is not None]
            grades = dict.fromkeys(filled or samples, grades[""])
        for name in dict.fromkeys([*samples, *grades]):
            title, value = samples.get(name, (self._titles.get(name, name), None))
            graded = grades.get(name, "good")
            value = None if graded == "bad" else value
            if graded is None or (value is None and graded != "bad"):
                continue
            try:
                column = columns.by_title.get(title) or self._column(columns, title, name, value)
                typed = None if value is None else column.read(value)
            except ValueError as reason:
                faults.append(RowRefused(reason, title))
                continue
            if typed is not None:
                values[name] = typed
            if column.variable is not columns.get(name):
                declared[name] = column.variable
            if graded != "good":
                quality[name] = graded
        return declared

    def _column(self, columns: _Columns, title: str, name: str, value: Scalar | None) -> _Column:
        """Return the meaning of a column, whose variable is perhaps still to be declared, or to be
        stored with its source. Raises ValueError with the reason if it can have no readings."""
        mapped = self.source.mapped(title)
        stated = mapped.unit if mapped else None
        stored = columns.get(name)
        if stored is None:
            variable = self._new_variable(name, value, stated)
        elif stored.computed is not None:
            drivers = join_with_and(*stored.computed.drivers)
            raise ValueError(f"is computed of {drivers} and has no readings of its own")
        elif stored.source is None and self._by is not None:
            variable = stored.model_copy(update={"source": self._by})
        else:
            variable = stored
        unit = stated or title_unit(title)
        relation = relate_units(unit, variable.unit) if variable.type == "number" else None
        column = _Column(variable, relation)
        if variable is stored:
            columns.by_title[title] = column
        if relation is not None:
            self.relations.setdefault(name, relation)
        return column

    def _new_variable(self, name: str, value: Scalar | None, stated: str | None) -> Variable:
        written = self._titles.get(name, name)
        kind = "number" if stated or value is None else _TYPES[type(value)]
        title, unit = split_title(written) if kind == "number" else (whole_title(written), None)
        try:
            return Variable(
                title=title if title != name else None,
                type=kind,
                unit=stated or unit,
                source=self._by,
            )
        except ValidationError as error:
            reason = message_of(error.errors()[0])[0]
            raise ValueError(f"cannot be declared as a variable: {reason}") from error

    def _declare(
        self,
        columns: _Columns,
        declared: dict[str, Variable],
        values: dict[str, Scalar],
        quality: dict[str, Quality],
        faults: Faults,
    ) -> None:
        """Count and add the variables that a row declares, or take them and their values out of it
        where a bound does not allow them. Raises RowBeyondBounds if nothing else is left."""
        name = columns.asset.name
        new = [n for n in declared if n not in columns.asset.variables]
        try:
            if new and columns.count + len(new) > MOST_VARIABLES:
                raise RowBeyondBounds(
                    f"{name} has {columns.count} variables, and an asset has at most "
                    f"{MOST_VARIABLES}: send variables of another asset, or leave columns out "
                    "(others: ignore in the source)"
                )
            if self._headroom is not None:
                self._headroom.take([name] if columns.is_new else [], [f"{name}.{n}" for n in new])
            columns.is_new = False
            columns.count += len(new)
        except RowBeyondBounds as refusal:
            if columns.is_new or values.keys() | quality.keys() <= {*new}:
                raise
            faults.append(refusal)
            for row in (declared, values, quality):
                for n in new:
                    row.pop(n, None)
        columns.added |= declared

    def _grades(self, record: Record, faults: Faults) -> dict[str, Grade | None]:
        """Return the qualities that are not good, by variable, or of the whole row by no name. A
        value whose quality is None is not stored: it cannot be read."""
        column = str(self.source.quality)
        written = find_part(record, column)
        is_of_row = not isinstance(written, Mapping)
        whole = {} if written in (None, "") else {column: written}
        parts = whole if is_of_row else flatten(written, set(), faults)
        codes = self.source.quality_codes
        grades: dict[str, Grade | None] = {}
        for title, text in parts.items():
            word = text if isinstance(text, str) else show(text)
            word = ("good" if text else "bad") if isinstance(text, bool) else word
            try:
                name = "" if is_of_row else self.variable(title)
                quality = "good" if name is None else grade(word, codes)
                if quality is None:
                    option = "quality_codes in the source"
                    raise ValueError(why_no_quality(word, codes, show(text), option))
                if name is not None and quality != "good":
                    grades[name] = quality
            except ValueError as reason:
                faults.append(RowRefused(reason, title))
                grades["" if is_of_row else self._names.get(title) or title] = None
        return grades


def read_readings(
    assets: Assets,
    source: SourceFields,
    records: Sequence[Record],
    zone: tzinfo,
    by: str | None = None,
    headroom: Headroom | None = None,
) -> Declared:
    """Return the readings of records in the types and units of their variables. The first value of
    a new variable decides its type.

    `zone`: of the plant, for stamps without one if the source names none. `by`: the source that is
    noted at variables without one; None for rows without a source. `headroom`: the number of names
    that the rows may declare; None for no bound.
    """
    delivery = _Delivery(assets, source, zone, by, headroom)
    readings = [row for _, row in delivery.each(delivery.heads(records), delivery.reading)]
    changed = [columns.changed() for columns in delivery.by_asset.values() if columns.added]
    return Declared(
        *delivery.refusals(),
        readings=readings,
        assets=changed,
        new=new_names(delivery.stored, changed),
        relations=delivery.relations,
    )


def read_events(
    assets: Assets,
    source: SourceFields,
    records: Sequence[Record],
    zone: tzinfo,
    by: str | None = None,
    headroom: Headroom | None = None,
) -> Declared:
    """Return the events of records in the durations of their types. The arguments are those of
    `read_readings`."""
    delivery = _Delivery(assets, source, zone, by, headroom)
    heads = delivery.heads(records)
    columns = source.events
    delivery.keys |= {columns.end_column} | ({columns.type_column} if not columns.type else set())
    stored = {type.name: type for type in assets.event_types()}
    types = dict(stored)
    names = TextNames("event type", columns.type_prefix, lambda: titles_by_name(stored.values()))
    new: list[Asset] = []
    lasting = columns.lasting
    if lasting is None:
        lasting = any(
            columns.end_column in row or find_part(row, columns.end_column) is not None
            for _, row in delivery.rows
        )

    def read(head: _RowHead, faults: Faults) -> EventRow:
        record, asset, start = head
        name = columns.type or delivery.name(record, columns.type_column, names)
        has_end = find_part(record, columns.end_column) not in (None, "")
        end = delivery.instant(record, columns.end_column) if has_end else None
        if end is not None and end < start:
            raise RowRefused("the end lies before the start", columns.end_column)
        duration: Literal["lasting", "instant"] = "lasting" if lasting else "instant"
        title = names.texts.get(name)
        type = types.get(name) or EventType(name=name, title=title, duration=duration)
        if type.duration == "instant" and end not in (None, start):
            raise RowRefused(
                f"events of type {shown(name)} are instant, and this one has an end after its start"
            )
        samples = delivery.samples(delivery.fields(record, faults), faults)
        of_asset = delivery.by_asset[asset]
        if headroom is not None:
            headroom.take([asset] if of_asset.is_new else [], [] if name in types else [name])
        if of_asset.is_new:
            new.append(of_asset.asset)
        of_asset.is_new = False
        types[name] = type
        attributes = {name: value for name, (_, value) in samples.items() if value is not None}
        end = start if type.duration == "instant" else end
        return EventRow(asset, name, start, end, source.name, attributes)

    events = [event for _, event in delivery.each(heads, read)]
    new_types = [type for name, type in types.items() if name not in stored]
    return Declared(
        *delivery.refusals(),
        events=events,
        assets=new,
        event_types=new_types,
        new=NewNames([asset.name for asset in new], (), [type.name for type in new_types]),
    )
