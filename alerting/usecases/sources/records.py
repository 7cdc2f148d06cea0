"""Rows of a source as readings or events, one by one: each is stored as it stands, or refused with
a reason, for readers of every language, as is a single value that cannot be stored; and the
declarations that rows cause: assets, variables with their types, event types. Values of other types
are refused.

The number of declarations that data may cause is bounded, per delivery, per source and in all.
Existing names stay, and names that an engineer imports are not counted. A row beyond a bound is
refused, with advice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from alerting.definitions.asset_documents import MOST_VARIABLES, Asset, variable_name
from alerting.definitions.faults import UserError, shown
from alerting.definitions.fields.names_and_times import time_zone
from alerting.definitions.platform_limits import DeclarationBounds, DeclarationLimits
from alerting.definitions.source_fields import SourceFields
from alerting.definitions.sources import SqlSource
from alerting.ports import EventRow, ReadingRow, Record
from alerting.readings.foreign_columns import Units, derive_name
from alerting.readings.history import FIRST_INSTANT, LAST_INSTANT, Quality, grade, whole_millis
from alerting.readings.unit_conversion import column_name
from alerting.usecases.ingestion.asset_import import TextNames, Titles
from alerting.usecases.sources.message_parts import (
    MOST_VALUES,
    NO_VALUE,
    VALUES,
    Faults,
    MessageRows,
    RowRefused,
    Scalar,
    find_part,
    flatten,
    is_utf8,
    join_reasons,
    list_hint,
    read_scalar,
    read_stamp,
    refuse_column,
    refuse_number,
    refuse_value,
)

if TYPE_CHECKING:
    from alerting.stores.deliveries_and_changes import SourceDeliveries

_NUMBERS = frozenset([float, int])
Row = TypeVar("Row")


@dataclass(frozen=True)
class RefusedRow:
    """A row that was not stored, or not with all its values: its number, from 1, and the reason."""

    line: int
    reason: str


@dataclass(frozen=True)
class MappedRows(Generic[Row]):
    """Rows of a source that can be stored, each with its number from 1, and rows that cannot.
    `titles`: the first column by variable; `other_titles`: by position of a row, the columns that
    its variables have instead; `asset_texts` and `type_texts`: by asset and event type, its text
    in the rows where that is not the name. `has_ends`: whether any row has the column of ends."""

    rows: Sequence[tuple[int, Row]]
    refused: Sequence[RefusedRow]
    titles: Mapping[str, str]
    asset_texts: Mapping[str, str] = field(default_factory=dict)
    type_texts: Mapping[str, str] = field(default_factory=dict)
    has_ends: bool = False
    other_titles: Mapping[int, Mapping[str, str]] = field(default_factory=dict)


def map_readings(
    source: SourceFields,
    records: Sequence[Record],
    zone: tzinfo,
    units: Callable[[], Units] = dict,
    titles: Callable[[], Titles] = dict,
) -> MappedRows[ReadingRow]:
    """Return the readings of records. `zone`: of the plant, for stamps without one if the source
    names none.

    `units`: returns the units of the variables of the records' assets, to which columns may belong;
    `titles`: returns the titles of all assets. Both functions are called only if needed.
    """
    mapping = RecordMapping(source, zone, units, titles)
    return _map(mapping, records, mapping.reading)


def map_events(
    source: SourceFields,
    records: Sequence[Record],
    zone: tzinfo,
    titles: Callable[[], Titles] = dict,
    types: Callable[[], Titles] = dict,
) -> MappedRows[EventRow]:
    """Return the events of records. `zone`: of the plant, for stamps without one if the source
    names none.

    `titles`: returns the titles of all assets, `types` the titles of event types. Both functions
    are called only if needed.
    """
    mapping = RecordMapping(source, zone, None, titles, types)
    return _map(mapping, records, mapping.event)


def _map(
    mapping: RecordMapping,
    records: Sequence[Record],
    read: Callable[[Record, Faults], Row],
) -> MappedRows[Row]:
    rows: list[tuple[int, Row]] = []
    refused: list[RefusedRow] = []
    others: dict[int, Mapping[str, str]] = {}
    for line, record in enumerate(records, 1):
        faults: Faults = []
        for part in mapping.messages.split(record, faults):
            try:
                rows.append((line, read(part, faults)))
                if mapping.other_titles:
                    others[len(rows) - 1] = mapping.other_titles
            except RowRefused as refusal:
                faults.append(refusal)
            except RecursionError:
                faults.append(RowRefused(TOO_DEEP))
        if faults:
            refused.append(RefusedRow(line, join_reasons(fault.reason for fault in faults)))
    return MappedRows(
        rows,
        refused,
        mapping.titles,
        mapping.assets.texts,
        mapping.types.texts,
        mapping.has_ends,
        others,
    )


class RecordMapping:
    """The mapping of a source, applied to one record after another. `titles`: the first column of
    each variable so far; `other_titles`: those that the last record has instead.

    `units`: returns the units of existing variables; None if the columns are attributes, whose
    names contain the unit.
    """

    def __init__(
        self,
        source: SourceFields,
        zone: tzinfo,
        units: Callable[[], Units] | None = None,
        titles: Callable[[], Titles] = dict,
        types: Callable[[], Titles] = dict,
    ) -> None:
        self._source = source
        self.assets = TextNames("asset", source.asset_prefix, titles)
        self.types = TextNames("event type", source.events.type_prefix, types)
        self._units = None if units is None else cache(units)
        self._zone = time_zone(source.timezone) if source.timezone else zone
        self._names: dict[str, str | None] = {}
        self._layouts: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.titles: dict[str, str] = {}
        self.other_titles: Mapping[str, str] = {}
        self._others: dict[str, str] = {}
        self.has_ends = False
        self.messages = MessageRows(source)
        self._keys = {source.time, source.quality, *self.messages.keys} | (
            {source.asset_column} if source.asset is None else set()
        )
        if isinstance(source, SqlSource) and source.cursor not in source.variables:
            self._keys.add(source.cursor)

    def reading(self, record: Record, faults: Faults) -> ReadingRow:
        """Return the reading of a record; `faults` gets the refusals of single values. Raises
        RowRefused if it has no stamp, asset or value, or a stamp or asset that cannot be read."""
        asset = self._asset(record)
        at = self._instant(record, self._source.time)
        fields = self._fields(record)
        self.other_titles = {}
        if self._source.quality is None and (numbers := self._known_numbers(fields)):
            return ReadingRow(asset, at, numbers)
        before = len(faults)
        mapped = self._values(fields, faults)
        quality = self._quality(record, mapped, faults)
        values = cast(Mapping[str, Scalar], mapped)
        if quality or None in mapped.values():
            values = {
                name: value
                for name, value in mapped.items()
                if value is not None and quality.get(name) != "bad"
            }
        if not values and not quality:
            raise faults.pop() if len(faults) > before else RowRefused(NO_VALUE)
        return ReadingRow(
            asset,
            at,
            values,
            {name: q for name, q in quality.items() if q == "bad" or name in values},
        )

    def event(self, record: Record, faults: Faults) -> EventRow:
        """Return the event of a record; `faults` gets the refusals of single attributes. Raises
        RowRefused if it has no stamp, asset or type, or an end before its start."""
        columns = self._source.events
        written = find_part(record, columns.end_column)
        self.has_ends |= written is not None or columns.end_column in record
        asset = self._asset(record)
        start = self._instant(record, self._source.time)
        type = columns.type or _name(record, columns.type_column, self.types)
        has_end = written not in (None, "")
        end = self._instant(record, columns.end_column) if has_end else None
        if end is not None and end < start:
            raise refuse_value(columns.end_column, END_FIRST)
        keys = (
            self._keys
            | {columns.end_column}
            | ({columns.type_column} if columns.type is None else set())
        )
        attributes = {
            name: value
            for name, value in self._values(self._fields(record, keys), faults).items()
            if value is not None
        }
        return EventRow(asset, type, start, end, self._source.name, attributes)

    def _asset(self, record: Record) -> str:
        return self._source.asset or _name(record, self._source.asset_column, self.assets)

    def _instant(self, record: Record, column: str) -> datetime:
        """Return the instant of a stamp; a stamp without a zone gives an instant without one.
        Raises ValueError for anything else."""
        written = find_part(record, column)
        if written is None or written == "":
            raise refuse_column(column, NO_TIME + list_hint(record))
        try:
            at = read_stamp(written)
            at = (at if at.tzinfo else at.replace(tzinfo=self._zone)).astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            raise refuse_value(column, NOT_A_TIME, written) from None
        if not FIRST_INSTANT <= at < LAST_INSTANT:
            years = {"first": FIRST_INSTANT.year, "last": LAST_INSTANT.year}
            raise refuse_value(column, OUTSIDE, written, **years)
        return whole_millis(at)

    def _known_numbers(self, fields: Mapping[str, Any]) -> dict[str, float] | None:
        """Return the values of known columns by variable if their sum is a finite number, so that
        each value is finite; None for other values."""
        titles = tuple(fields)
        values = fields.values()
        names = self._layouts.get(titles)
        if names is None:
            return None
        types = set(map(type, values))
        if not types <= _NUMBERS:
            return None
        try:
            if not math.isfinite(sum(values)):
                return None
            return (
                dict(fields)
                if names == titles and int not in types
                else dict(zip(names, map(float, values), strict=True))
            )
        except OverflowError:
            return None

    def _fields(self, record: Record, keys: set[str | None] | None = None) -> Mapping[str, Any]:
        """Return the values of a record by title: from its object of values, or from all fields
        except its keys. Raises RowRefused for too many."""
        inner = record.get(VALUES)
        keys = self._keys if keys is None else keys
        fields = (
            inner
            if isinstance(inner, Mapping)
            else {key: value for key, value in record.items() if key not in keys}
        )
        if len(fields) > MOST_VALUES:
            raise refuse_number(len(fields))
        return fields

    def _values(self, fields: Mapping[str, Any], faults: Faults) -> dict[str, Scalar | None]:
        """Return the values by variable; `faults` gets those that cannot be stored."""
        if any(isinstance(value, Mapping) for value in fields.values()):
            fields = flatten(fields, self._keys, faults)
        if (numbers := self._known_numbers(fields)) is not None:
            return dict[str, Scalar | None](numbers)
        values: dict[str, Scalar | None] = {}
        repeated = set[str]()
        for title, value in fields.items():
            try:
                name = self._variable(title)
                if name is None:
                    continue
                if name in values:
                    repeated.add(name)
                    raise refuse_value(title, TWICE, variable=name)
                values[name] = (
                    value
                    if type(value) is float and math.isfinite(value)
                    else read_scalar(title, value)
                )
            except RowRefused as refusal:
                faults.append(refusal)
        for name in repeated:
            del values[name]
        others = self._others.keys() & fields.keys() if self._others else ()
        self.other_titles = {self._others[title]: title for title in others}
        if len(values) == len(fields) and not others and len(self._layouts) < 1000:
            self._layouts[tuple(fields)] = tuple(values)
        return values

    def _variable(self, title: Any) -> str | None:
        """Return the name of the variable of a column; None if the source leaves the column out."""
        if title not in self._names:
            name = self._names[title] = self._new_name(title)
            if name is not None and self.titles.setdefault(name, str(title)) != str(title):
                self._others[title] = name
        return self._names[title]

    def _new_name(self, title: Any) -> str | None:
        mapped = self._source.mapped(title)
        if mapped is None and self._source.others == "ignore":
            return None
        if not is_utf8(str(title)):
            raise refuse_value(shown(title), HALF_TITLE)
        if mapped and mapped.name:
            return mapped.name
        name = variable_name(str(title))
        derived = derive_name(str(title))
        if self._units is None or derived == name:
            return name
        return column_name(
            str(title), self._units(), is_shared=self.titles.get(derived, title) != title
        )

    def _quality(
        self, record: Record, values: dict[str, Scalar | None], faults: Faults
    ) -> dict[str, Quality]:
        """Return the qualities by variable. A value whose quality cannot be read is refused, and
        taken out of `values`."""
        column = self._source.quality
        written = None if column is None else find_part(record, column)
        if isinstance(written, Mapping):
            qualities: dict[str, Quality] = {}
            for title, text in flatten(written, set(), faults).items():
                try:
                    name = self._variable(title)
                    if name and (q := self._grade(title, text)):
                        qualities[name] = q
                except RowRefused as refusal:
                    faults.append(refusal)
                    values.pop(self._names.get(title) or "", None)
            return qualities
        q = None if written in (None, "") else self._grade(str(column), written)
        return (
            {}
            if q is None
            else dict.fromkeys(
                [name for name, value in values.items() if value is not None] or values, q
            )
        )

    def _grade(self, title: str, written: Any) -> Quality | None:
        if isinstance(written, bool):
            return None if written else "bad"
        quality = grade(str(written), self._source.quality_codes)
        if quality is None:
            is_code = isinstance(written, int) and self._source.quality_codes is None
            raise refuse_value(title, DOUBTFUL_CODE if is_code else NO_QUALITY, written)
        return None if quality == "good" else quality


def _name(record: Record, column: str, names: TextNames) -> str:
    written = find_part(record, column)
    if written is None or written == "":
        raise refuse_value(column, MISSING[names.kind])
    if (
        isinstance(written, bool)
        or not isinstance(written, str | int | float | Decimal)
        or written != written  # noqa: PLR0124 - not a number
    ):
        raise refuse_value(column, NO_NAME[names.kind], written)
    try:
        return names.read(str(written))
    except ValueError as reason:
        text = reason.args[0] if reason.args else ""
        raise refuse_column(column, text) from None


TOO_DEEP = "nests too deeply"
NO_TIME = "there is no time"
NOT_A_TIME = (
    "{value} is not a time; write ISO 8601, or seconds, milliseconds, micro- or nanoseconds since "
    "1970"
)
OUTSIDE = "{value} does not lie between the years {first} and {last}"
END_FIRST = "the end lies before the start"
TWICE = "the variable {variable} occurs twice"
HALF_TITLE = "the title holds half a character"
NO_QUALITY = "{value} is not a quality: good, uncertain, bad, or a code of OPC UA or OPC DA"
DOUBTFUL_CODE = (
    "{value} is good in one kind of code and bad in another: state quality_codes in the source: "
    "opc-ua, opc-da, siemens or flag"
)
MISSING = {
    "asset": "there is no asset",
    "event type": "there is no event type",
}
NO_NAME = {
    "asset": "{value} is not a name of an asset, which is text or a number",
    "event type": "{value} is not a name of an event type, which is text or a number",
}
TOO_LARGE = "{value} is too large in {declared}, in which the variable is declared"
OTHER_QUANTITY = "{value} is in {written}, and the variable in {declared}"
OTHER_TYPE = "{value} is not a {kind}, as which the variable is declared"
KINDS = {
    "number": "number",
    "category": "category",
    "boolean": "boolean",
}


class RowBeyondBounds(RowRefused):
    """Error: a row would declare more than its source may; an engineer decides whether it may."""


class BeyondBounds(UserError):
    """Refusal of a whole file that would declare more than its source may."""


@dataclass(frozen=True)
class NewNames:
    """The names that a delivery declares for the first time: assets, variables as `asset.variable`,
    and event types."""

    assets: Sequence[str] = ()
    variables: Sequence[str] = ()
    event_types: Sequence[str] = ()

    @property
    def count(self) -> int:
        """Return the number of all new names."""
        return len(self.assets) + len(self.variables) + len(self.event_types)


def new_names(before: Mapping[str, Asset | None], after: Sequence[Asset]) -> NewNames:
    """Return the names that changed assets declare and stored assets do not."""
    assets = list[str]()
    variables = list[str]()
    for asset in after:
        stored = before.get(asset.name)
        assets += [asset.name] if stored is None else []
        old = stored.variables if stored is not None else {}
        variables += [f"{asset.name}.{name}" for name in asset.variables if name not in old]
    return NewNames(assets, variables)


class Headroom:
    """Number of names that one delivery may still declare. The counts of earlier deliveries are
    read when the first new name comes.

    `declarer`: the source, or the sender of rows without a source. Event types count as variables.
    """

    def __init__(
        self, limits: DeclarationLimits, deliveries: SourceDeliveries, declarer: str
    ) -> None:
        self._limits = limits
        self._deliveries = deliveries
        self._declarer = declarer
        self._assets = self._variables = 0

    @cached_property
    def _declared(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the numbers of assets and variables so far: declared by this declarer, and in
        all."""
        by_declarer = self._deliveries.declarations()
        counts = {
            name: (declared.declared_assets, declared.declared_variables)
            for name, declared in by_declarer.items()
        }
        return counts.get(self._declarer, (0, 0)), (
            sum(n for n, _ in counts.values()),
            sum(n for _, n in counts.values()),
        )

    def take(self, assets: Sequence[str], variables: Sequence[str]) -> None:
        """Count new names. Raises RowBeyondBounds, and counts none of them, if a bound does not
        allow all."""
        if not assets and not variables:
            return
        (own_assets, own_variables), (all_assets, all_variables) = self._declared
        checked = (
            ("asset", assets, self._limits.assets, self._assets, own_assets, all_assets),
            (
                "variable",
                variables,
                self._limits.variables,
                self._variables,
                own_variables,
                all_variables,
            ),
        )
        for noun, names, bounds, taken, of_source, of_all in checked:
            if names:
                self._check(noun, names, bounds, taken, of_source, of_all)
        self._assets += len(assets)
        self._variables += len(variables)

    def _check(
        self,
        noun: str,
        names: Sequence[str],
        bounds: DeclarationBounds,
        taken: int,
        of_source: int,
        of_all: int,
    ) -> None:
        """Raise RowBeyondBounds if the numbers of names, with the new ones, would break a bound."""
        counted = (
            (bounds.in_all, of_all + taken, f"all sources have declared {of_all + taken}"),
            (
                bounds.source,
                of_source + taken,
                f"{spoken(self._declarer)} has declared {of_source + taken}",
            ),
            (bounds.delivery, taken, f"this delivery declares {taken} already"),
        )
        for place, (most, already, words) in enumerate(counted):
            if already + len(names) > most:
                is_for_now = place == 2 and len(names) <= most
                again = "send the row again, " if is_for_now else ""
                more = f" and {len(names) - 1} more" if len(names) > 1 else ""
                raise RowBeyondBounds(
                    f"{shown(names[0])}{more}: would be a new {noun}; {words}, and "
                    f"{most} are allowed: {again}declare it first"
                )


def refuse_full(asset: Asset, count: int) -> None:
    """Raise RowBeyondBounds if an asset with `count` variables more would have more than the
    permitted number."""
    if len(asset.variables) + count > MOST_VARIABLES:
        raise RowBeyondBounds(
            f"{asset.name} has {len(asset.variables)} variables, and an asset has at most "
            f"{MOST_VARIABLES}: "
            "send variables of another asset, or leave columns out (others: ignore in the source)"
        )


def refuse_surplus(headroom: Headroom, names: NewNames, file: str) -> None:
    """Count what a file declares, which is stored whole or not at all. Raises BeyondBounds if a
    bound does not allow it."""
    try:
        headroom.take(names.assets, [*names.variables, *names.event_types])
    except RowBeyondBounds as refusal:
        raise BeyondBounds(f"{file}: {refusal}; nothing of the file is stored") from refusal


def declarer_of(source: str | None, sender: str | None) -> str:
    """Return the name under which declarations are counted: the source, or the sender, whose name
    has a blank."""
    return source if source is not None else f"sender {sender or 'unknown'}"


def spoken(declarer: str) -> str:
    """Return a declarer in words for people."""
    return declarer if " " in declarer else f"source {declarer}"
