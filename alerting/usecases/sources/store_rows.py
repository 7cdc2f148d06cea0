"""Store the rows that a source delivers: mapped, declared and written between two arrival records,
then counted.

Readings are merged by asset, instant and variable, events by asset, type and start: a row that
comes twice is stored once.
"""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from alerting.definitions.asset_documents import Asset, EventType, Variable, VariableType
from alerting.definitions.faults import UserError, shown
from alerting.definitions.source_fields import SourceFields
from alerting.definitions.wording.fault_messages import message_of
from alerting.definitions.wording.language import join_with_and
from alerting.ports import (
    MOST_IN_FUTURE,
    Assets,
    Audit,
    Delivered,
    EventRow,
    ReadingRow,
    Record,
    SourcePorts,
)
from alerting.readings.foreign_columns import Units, split_title, whole_title
from alerting.readings.history import Quality
from alerting.readings.unit_conversion import (
    Conversion,
    OtherQuantity,
    UnitRelation,
    relations_of,
    title_unit,
    units_by_name,
)
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from alerting.usecases.ingestion.asset_import import Titles, titles_by_name
from alerting.usecases.sources import records
from alerting.usecases.sources.message_parts import (
    Faults,
    RowRefused,
    Scalar,
    find_part,
    join_reasons,
    refuse_value,
)
from alerting.usecases.sources.records import (
    Headroom,
    MappedRows,
    NewNames,
    RefusedRow,
    Row,
    RowBeyondBounds,
    declarer_of,
    map_events,
    map_readings,
    new_names,
    refuse_full,
    spoken,
)

if TYPE_CHECKING:
    from alerting.stores.deliveries_and_changes import SourceDeliveries

_NUMBER = re.compile(r"[+-]?(\d++\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_TYPES: Mapping[type, VariableType] = {bool: "boolean", float: "number", str: "category"}


@dataclass(frozen=True)
class Declared:
    """Rows that fit the declarations, the declarations to write first, and all refused rows in
    their order.

    `new`: the names that are declared for the first time. `surplus`: why the last row that would
    declare too much was refused; `relations`: by variable, how the stated unit relates to the
    declared one.
    """

    readings: Sequence[ReadingRow] = ()
    events: Sequence[EventRow] = ()
    assets: Sequence[Asset] = ()
    event_types: Sequence[EventType] = ()
    refused: Sequence[RefusedRow] = ()
    new: NewNames = field(default_factory=NewNames)
    surplus: str | None = None
    relations: Mapping[str, UnitRelation] = field(default_factory=dict)


def fit_readings(
    assets: Assets,
    source: SourceFields,
    mapped: MappedRows[ReadingRow],
    by: str | None,
    headroom: Headroom | None = None,
) -> Declared:
    """Return the readings in the types of their variables. The first value of a new variable
    decides its type.

    `by`: the source that is noted at variables without one; None for rows without a source.
    `headroom`: the number of names that the rows may declare; None for no bound.
    """
    stored = _stored_assets(assets, mapped.rows)
    fits = {
        name: _Fit(
            asset or Asset(name=name, title=mapped.asset_texts.get(name)),
            asset is None,
            source,
            mapped.titles,
            by,
            headroom,
        )
        for name, asset in stored.items()
    }
    rows: list[ReadingRow] = []
    faults: list[tuple[int, RowRefused]] = []
    for number, (line, row) in enumerate(mapped.rows):
        bad: Faults = []
        try:
            rows.append(fits[row.asset].read(row, bad, mapped.other_titles.get(number, {})))
        except RowRefused as refusal:
            bad.append(refusal)
        faults += [(line, fault) for fault in bad]
    names = {row.asset for row in rows}
    changed = [asset for name in sorted(names) if (asset := fits[name].asset()) != stored[name]]
    return Declared(
        readings=rows,
        assets=changed,
        refused=_refused_rows(mapped.refused, faults),
        new=new_names(stored, changed),
        surplus=_last_surplus(faults),
        relations={name: r for of_asset in fits.values() for name, r in of_asset.relations.items()},
    )


def _refused_rows(
    refused: Sequence[RefusedRow], faults: Sequence[tuple[int, RowRefused]]
) -> list[RefusedRow]:
    """Return the refused rows with further refusals by line, one for each line."""
    reasons = defaultdict[int, list[str]](list)
    for row in refused:
        reasons[row.line].append(row.reason)
    for line, fault in faults:
        reasons[line].append(fault.reason)
    return [RefusedRow(line, join_reasons(reasons[line])) for line in sorted(reasons)]


def _last_surplus(faults: Sequence[tuple[int, RowRefused]]) -> str | None:
    beyond = [str(fault) for _, fault in faults if isinstance(fault, RowBeyondBounds)]
    return beyond[-1] if beyond else None


def _stored_assets(assets: Assets, rows: Sequence[tuple[int, Row]]) -> dict[str, Asset | None]:
    names = sorted({row.asset for _, row in rows})  # type: ignore[attr-defined]
    stored = assets.get_many(names)
    return {name: stored.get(name) for name in names}


class _Fit:
    """The variables of one asset, including variables that rows add."""

    def __init__(
        self,
        asset: Asset,
        is_new: bool,
        source: SourceFields,
        titles: Mapping[str, str],
        by: str | None,
        headroom: Headroom | None,
    ) -> None:
        self._asset = asset
        self._is_new = is_new
        self._source = source
        self._titles = titles
        self._by = by
        self._headroom = headroom
        self._added: dict[str, Variable] = {}
        self._new = 0

    def asset(self) -> Asset:
        return (
            self._asset.model_copy(update={"variables": {**self._asset.variables, **self._added}})
            if self._added
            else self._asset
        )

    def read(self, row: ReadingRow, faults: Faults, titles: Mapping[str, str]) -> ReadingRow:
        """Return a row in the types and units of its variables; `faults` gets the refusals of
        single values, `titles` are its columns that are not the first of their variables. Raises
        RowRefused, and declares nothing, if no value is left."""
        if (
            not row.quality
            and not titles
            and row.values.keys() <= self._numbers
            and set(map(type, row.values.values())) == {float}
        ):
            return row
        added: dict[str, Variable] = {}
        values: dict[str, Scalar] = {}
        quality: dict[str, Quality] = {}
        for name in {**row.values, **row.quality}:
            try:
                variable = self._variable(name, row)
                if name in row.values:
                    declared = variable or self._added.get(name) or self._asset.variables[name]
                    value = _convert(name, row.values[name], declared.type)
                    values[name] = self._in_declared_unit(name, value, titles)
            except RowRefused as refusal:
                faults.append(refusal)
                continue
            if variable is not None:
                added[name] = variable
            if name in row.quality:
                quality[name] = row.quality[name]
        new = [name for name in added if name not in self._asset.variables]
        try:
            self._take(new)
        except RowBeyondBounds as refusal:
            if self._is_new or values.keys() | quality.keys() <= {*new}:
                raise
            faults.append(refusal)
            for fields in (added, values, quality):
                for name in new:
                    fields.pop(name, None)
        if not values and not quality:
            raise faults.pop()
        self._added |= added
        return replace(row, values=values, quality=quality)

    def _take(self, new: Sequence[str]) -> None:
        """Count the new variables of a row, and the asset if it is new. Raises RowBeyondBounds if a
        bound does not allow them."""
        name = self._asset.name
        if new:
            refuse_full(self._asset, self._new + len(new))
        if self._headroom is not None and (new or self._is_new):
            self._headroom.take(
                [name] if self._is_new else [], [f"{name}.{variable}" for variable in new]
            )
        self._is_new = False
        self._new += len(new)

    @cached_property
    def _numbers(self) -> frozenset[str]:
        """Return the numeric variables that need no further declaration; a row with only these is
        taken as it is."""
        return frozenset(
            name
            for name, v in self._asset.variables.items()
            if v.type == "number"
            and not v.computed
            and (v.source or self._by is None)
            and name not in self.relations
        )

    @cached_property
    def relations(self) -> Mapping[str, UnitRelation]:
        """Return how the units that the source or its columns state relate to the declared ones."""
        variables = self._asset.variables
        return self._relate({n: self._titles[n] for n in variables if n in self._titles})

    def _relate(self, titles: Mapping[str, str]) -> Mapping[str, UnitRelation]:
        units = {
            name: (mapped and mapped.unit) or title_unit(title)
            for name, title in titles.items()
            for mapped in [self._source.mapped(title)]
        }
        return relations_of(units, self.asset().variables)

    def _in_declared_unit(self, name: str, value: Scalar, titles: Mapping[str, str]) -> Scalar:
        """Return a value in the unit of its variable. Raises RowRefused for another quantity, and
        a value that is too large in the other unit."""
        relations = self._relate({name: titles[name]}) if name in titles else self.relations
        match relations.get(name):
            case Conversion() as conversion:
                converted = float(conversion.convert(value))
                if not math.isfinite(converted):
                    raise refuse_value(name, records.TOO_LARGE, value, declared=conversion.declared)
                return converted
            case OtherQuantity(written, declared):
                raise refuse_value(
                    name, records.OTHER_QUANTITY, value, written=written, declared=declared
                )
        return value

    def _variable(self, name: str, row: ReadingRow) -> Variable | None:
        """Return the variable to declare, or to store with its source; None if it is declared with
        a source already."""
        if name in self._added:
            return None
        before = self._asset.variables.get(name)
        if before is not None and before.computed is not None:
            raise RowRefused(
                f"{shown(name)} is computed of {join_with_and(*before.computed.drivers)}; it has "
                "no readings of its own"
            )
        if before is not None:
            return (
                None
                if before.source or self._by is None
                else before.model_copy(update={"source": self._by})
            )
        written = self._titles.get(name, name)
        mapped = self._source.mapped(written)
        has_unit = mapped is not None and mapped.unit is not None
        is_number = has_unit or name not in row.values
        kind = "number" if is_number else _TYPES[type(row.values[name])]
        title, unit = split_title(written) if kind == "number" else (whole_title(written), None)
        try:
            return Variable(
                title=title if title != name else None,
                type=kind,
                unit=(mapped and mapped.unit) or unit,
                source=self._by,
            )
        except ValidationError as error:
            raise RowRefused(
                f"{shown(written)}: cannot be declared as a variable: "
                f"{message_of(error.errors()[0])[0]}"
            ) from error


def _convert(name: str, value: Scalar, kind: VariableType) -> Scalar:
    """Return a value in the type of its variable; a text that is a number is one. Raises RowRefused
    if it has another type."""
    if kind == "category":
        return _as_category(value)
    if isinstance(value, str):
        if kind == "number" and _NUMBER.fullmatch(value) and math.isfinite(float(value)):
            return float(value)
    elif isinstance(value, bool):
        if kind == "boolean":
            return value
    elif isinstance(value, float):
        if kind == "number":
            return value
        if value in (0.0, 1.0):
            return bool(value)
    raise refuse_value(name, records.OTHER_TYPE, value, kind=records.KINDS[kind])


def _as_category(value: Scalar) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    # all digits, e.g. of a lot; a whole number has no decimal point
    return str(int(value)) if value.is_integer() else repr(value)


def fit_events(
    assets: Assets,
    source: SourceFields,
    mapped: MappedRows[EventRow],
    headroom: Headroom | None = None,
) -> Declared:
    """Return the events in the durations of their types.

    `headroom`: the number of names that the rows may declare; None for no bound.
    """
    lasting = source.events.lasting if source.events.lasting is not None else mapped.has_ends
    stored = _stored_assets(assets, mapped.rows)
    types = {type.name: type for type in assets.event_types()}
    new_assets: dict[str, Asset] = {}
    new_types: dict[str, EventType] = {}
    rows: list[EventRow] = []
    faults: list[tuple[int, RowRefused]] = []
    for line, row in mapped.rows:
        type = types.get(row.type) or EventType(
            name=row.type,
            title=mapped.type_texts.get(row.type),
            duration="lasting" if lasting else "instant",
        )
        asset = stored[row.asset] or new_assets.get(row.asset)
        try:
            fitting = _event(row, type)
            if headroom is not None:
                headroom.take([] if asset else [row.asset], [] if row.type in types else [row.type])
        except RowRefused as refusal:
            faults.append((line, refusal))
            continue
        rows.append(fitting)
        if asset is None:
            new_assets[row.asset] = Asset(name=row.asset, title=mapped.asset_texts.get(row.asset))
        if row.type not in types:
            types[row.type] = new_types[row.type] = type
    return Declared(
        events=rows,
        assets=[*new_assets.values()],
        event_types=[*new_types.values()],
        refused=_refused_rows(mapped.refused, faults),
        new=NewNames([*new_assets], (), [*new_types]),
        surplus=_last_surplus(faults),
    )


def _event(row: EventRow, type: EventType) -> EventRow:
    """Return an event in the duration of its type. Raises RowRefused if an event of an instant type
    has an end after its start."""
    if type.duration != "instant":
        return row
    if row.end is not None and row.end != row.start:
        raise RowRefused(
            f"events of type {shown(row.type)} are instant, and this one has an end after its start"
        )
    return replace(row, end=row.start)


# characters of names
_SHOWN_IN_LINE = 300
_SHOWN_IN_ENTRY = 32_000


@dataclass(frozen=True)
class DeliveryResult:
    """Result of a delivery: rows that could be stored, how many of them changed anything, and the
    refused ones."""

    rows: int
    new: int
    refused: Sequence[RefusedRow]


def fit(
    plant: SourcePorts,
    source: SourceFields,
    records: Sequence[Record],
    by: str | None,
    sender: str | None = None,
) -> Declared:
    """Return the rows of records as they would be stored, and the refused ones. Writes nothing."""
    headroom = Headroom(plant.declaration_limits, plant.deliveries, declarer_of(by, sender))
    if source.delivers == "readings":
        mapped = map_readings(
            source,
            records,
            plant.zone,
            partial(_units, plant.assets, source, records),
            partial(stored_titles, plant.assets),
        )
        return fit_readings(plant.assets, source, mapped, by, headroom)
    mapped_events = map_events(
        source,
        records,
        plant.zone,
        partial(stored_titles, plant.assets),
        lambda: titles_by_name(plant.assets.event_types()),
    )
    return fit_events(plant.assets, source, mapped_events, headroom)


def stored_titles(assets: Assets) -> Titles:
    """Return the titles of all stored assets by name."""
    return titles_by_name(assets.all())


def _units(assets: Assets, source: SourceFields, records: Sequence[Record]) -> Units:
    """Return the units of the variables of the records' assets. If one of the assets is new, return
    the units of all assets, whose names its columns may have."""
    column = source.asset_column
    prefix = source.asset_prefix
    written = [source.asset] if source.asset else [find_part(row, column) for row in records]
    names = {
        str(name) if source.asset else f"{prefix}{name}"
        for name in written
        if isinstance(name, str | int)
    }
    stored = assets.get_many(names)
    is_known = names and len(stored) == len(names)
    return units_by_name(stored.values() if is_known else assets.all())


def deliver(
    plant: SourcePorts,
    source: SourceFields,
    records: Sequence[Record],
    now: datetime,
    *,
    by: str | None,
    sender: str | None = None,
) -> DeliveryResult:
    """Store the rows of records, except the refused ones. Idempotent.

    `by`: the name under which the delivery is counted; None for rows without a source. `sender`:
    the person or program that sent them with a token, if any.
    """
    return store(plant, fit(plant, source, records, by, sender), now, by=by, sender=sender)


def store(
    plant: SourcePorts,
    declared: Declared,
    now: datetime,
    *,
    by: str | None,
    sender: str | None = None,
) -> DeliveryResult:
    """Declare and write rows that fit, and count them. Idempotent."""
    rows: Sequence[ReadingRow | EventRow] = [*declared.readings, *declared.events]
    if declared.assets:
        plant.assets.store_assets(declared.assets)
    if declared.event_types:
        plant.assets.put_event_types(declared.event_types)
    declarer = declarer_of(by, sender)
    if declared.new.count:
        record_declared(
            plant.audit, plant.deliveries, declared.new, declarer, sender or spoken(declarer), now
        )
    if declared.surplus is not None:
        plant.deliveries.note_surplus(declarer, declared.surplus, now)
    new = add_readings(plant, declared.readings, now) if declared.readings else 0
    new += add_events(plant, declared.events, now) if declared.events else 0
    if by is not None:
        plant.deliveries.record(by, _summarise_delivery(rows, new, declared.refused, now))
    return DeliveryResult(len(rows), new, declared.refused)


def record_declared(
    audit: Audit,
    deliveries: "SourceDeliveries",
    new: NewNames,
    declarer: str,
    actor: str,
    now: datetime,
) -> None:
    """Count the declarations that data caused, and write them to the audit: one entry, however many
    names there are."""
    deliveries.count_declared(declarer, len(new.assets), len(new.variables) + len(new.event_types))
    groups = (("asset", new.assets), ("variable", new.variables), ("event type", new.event_types))
    why = "; ".join(
        f"{len(names)} new {noun}{'s' if len(names) > 1 else ''}: "
        f"{shortened(names, _SHOWN_IN_LINE)}"
        for noun, names in groups
        if names
    )
    after = {
        f"{noun}s".replace(" ", "_"): shortened(names, _SHOWN_IN_ENTRY)
        for noun, names in groups
        if names
    }
    audit.add(actor, "declared by data", spoken(declarer), now, after=after, why=why)


def shortened(names: Sequence[str], most: int) -> str:
    """Return as many names as fit into `most` characters, and the number of the others."""
    text = ", ".join(names)
    if len(text) <= most:
        return text
    shown = text[:most].rpartition(", ")[0]
    return f"{shown} and {len(names) - shown.count(', ') - 1} more"


def _summarise_delivery(
    rows: Sequence[ReadingRow | EventRow], new: int, refused: Sequence[RefusedRow], now: datetime
) -> Delivered:
    instants = [row.ts if isinstance(row, ReadingRow) else row.start for row in rows]
    newest = max((at for at in instants if at <= now + MOST_IN_FUTURE), default=None)
    why = refused[-1].reason if refused else None
    return Delivered(now, new, len(refused), newest, _describe_row(rows[-1]) if rows else None, why)


def _describe_row(row: ReadingRow | EventRow) -> Mapping[str, Any]:
    """Return a short description of a row for people: its asset and instant, and its type or first
    values."""
    if isinstance(row, EventRow):
        return {"asset": row.asset, "ts": row.start, "type": row.type}
    return {"asset": row.asset, "ts": row.ts, "values": dict([*row.values.items()][:5])}


def require_active(source: SourceFields) -> None:
    """Raise UserError if a source is paused or retired."""
    if source.state != "active":
        raise UserError(
            f"source {source.name!r} is {source.state}; resume it on its page to accept its rows "
            "again"
        )
