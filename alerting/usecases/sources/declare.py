"""Declare what the rows of a source bring: assets, variables with their types, event types. Rows of
other types are refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from pydantic import ValidationError

from alerting.definitions.assets import Asset, EventType, Variable, VariableType
from alerting.definitions.faults import shown
from alerting.definitions.sources.mapping import SourceFields
from alerting.definitions.wording.fault_messages import message_of
from alerting.definitions.wording.language import join_with_and
from alerting.ports import Assets, EventRow, ReadingRow
from alerting.readings.column_titles import split_title, whole_title
from alerting.usecases.sources import row_refusals
from alerting.usecases.sources.headroom import (
    Headroom,
    NewNames,
    RowBeyondBounds,
    new_names,
    refuse_full,
)
from alerting.usecases.sources.records import MappedRows, RefusedRow, Row, Scalar
from alerting.usecases.sources.row_refusals import RowRefused, refuse_value

_TYPES: Mapping[type, VariableType] = {bool: "boolean", float: "number", str: "category"}


@dataclass(frozen=True)
class Declared:
    """Rows that fit the declarations, with what is to be declared first, and all refused rows in
    their order.

    `new`: the names that are declared for the first time. `surplus`: why the last row that would
    declare too much was refused.
    """

    readings: Sequence[ReadingRow] = ()
    events: Sequence[EventRow] = ()
    assets: Sequence[Asset] = ()
    event_types: Sequence[EventType] = ()
    refused: Sequence[RefusedRow] = ()
    new: NewNames = field(default_factory=NewNames)
    surplus: str | None = None


def fit_readings(
    assets: Assets,
    source: SourceFields,
    mapped: MappedRows[ReadingRow],
    by: str | None,
    headroom: Headroom | None = None,
) -> Declared:
    """Return the readings in the types of their variables. The first value of a new variable
    decides its type.

    `by`: the source as it is noted at variables that have none; None for rows that came without a
    source. `headroom`: what the rows may declare; without it, as much as they want.
    """
    known = _stored_assets(assets, mapped.rows)
    fits = {
        name: _Fit(
            asset or Asset(name=name, title=mapped.asset_texts.get(name)),
            asset is None,
            source,
            mapped.titles,
            by,
            headroom,
        )
        for name, asset in known.items()
    }
    rows: list[ReadingRow] = []
    refused = list(mapped.refused)
    surplus = None
    for line, row in mapped.rows:
        try:
            rows.append(fits[row.asset].read(row))
        except RowRefused as refusal:
            refused.append(RefusedRow(line, refusal.reason))
            surplus = str(refusal) if isinstance(refusal, RowBeyondBounds) else surplus
    given = {row.asset for row in rows}
    changed = [asset for name in sorted(given) if (asset := fits[name].asset()) != known[name]]
    refused.sort(key=lambda one: one.line)
    return Declared(
        readings=rows,
        assets=changed,
        refused=refused,
        new=new_names(known, changed),
        surplus=surplus,
    )


def _stored_assets(assets: Assets, rows: Sequence[tuple[int, Row]]) -> dict[str, Asset | None]:
    names = sorted({row.asset for _, row in rows})  # type: ignore[attr-defined]
    found = assets.get_many(names)
    return {name: found.get(name) for name in names}


class _Fit:
    """The variables of one asset, those that rows add among them."""

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

    def read(self, row: ReadingRow) -> ReadingRow:
        """Return a row in the types of its variables. Raises RowRefused, and declares nothing, if a
        value has another type."""
        if (
            not row.quality
            and row.values.keys() <= self._numbers
            and set(map(type, row.values.values())) == {float}
        ):
            return row
        added = {
            name: variable
            for name in {**row.values, **row.quality}
            if (variable := self._variable(name, row)) is not None
        }
        types = {
            name: (added.get(name) or self._added.get(name) or self._asset.variables[name]).type
            for name in row.values
        }
        values = {name: _convert(name, value, types[name]) for name, value in row.values.items()}
        self._take([name for name in added if name not in self._asset.variables])
        self._added |= added
        return replace(row, values=values)

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
        """Return the variables of numbers that need no declaration any more, of which a row is
        taken as it is."""
        known = self._asset.variables.items()
        return frozenset(
            name
            for name, v in known
            if v.type == "number" and not v.computed and (v.source or self._by is None)
        )

    def _variable(self, name: str, row: ReadingRow) -> Variable | None:
        """Return the variable to declare, or to note the source at; None if it is declared with its
        source."""
        if name in self._added:
            return None
        before = self._asset.variables.get(name)
        if before is not None and before.computed is not None:
            raise RowRefused(
                f"{shown(name)} is computed of {join_with_and(*before.computed.drivers)}; it has "
                "no "
                "readings of its own"
            )
        if before is not None:
            return (
                None
                if before.source or self._by is None
                else before.model_copy(update={"source": self._by})
            )
        kind = _TYPES[type(row.values[name])] if name in row.values else "number"
        written = self._titles.get(name, name)
        title, unit = split_title(written) if kind == "number" else (whole_title(written), None)
        mapped = self._source.variables.get(written)
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
    """Return a value in the type of its variable. Raises RowRefused if it has another one."""
    if kind == "category":
        return (
            value
            if isinstance(value, str)
            else str(value).lower()
            if isinstance(value, bool)
            else _digits(value)
        )
    if isinstance(value, bool):
        if kind == "boolean":
            return value
    elif isinstance(value, float):
        if kind == "number":
            return value
        if value in (0.0, 1.0):
            return bool(value)
    said = row_refusals.KINDS[kind]
    raise refuse_value(name, row_refusals.OTHER_TYPE, value, kind=said)


def _digits(value: float) -> str:
    """Return a number with all its digits, e.g. of a lot; a whole one without a decimal point."""
    return str(int(value)) if value.is_integer() else repr(value)


def fit_events(
    assets: Assets,
    source: SourceFields,
    mapped: MappedRows[EventRow],
    headroom: Headroom | None = None,
    *,
    has_ends: bool,
) -> Declared:
    """Return the events in the durations of their types. `has_ends`: whether any row has the column
    of ends.

    `headroom`: what the rows may declare; without it, as much as they want.
    """
    lasting = source.events.lasting if source.events.lasting is not None else has_ends
    known = _stored_assets(assets, mapped.rows)
    types = {type.name: type for type in assets.event_types()}
    new_assets: dict[str, Asset] = {}
    new_types: dict[str, EventType] = {}
    rows: list[EventRow] = []
    refused = list(mapped.refused)
    surplus = None
    for line, row in mapped.rows:
        type = types.get(row.type) or EventType(
            name=row.type,
            title=mapped.type_texts.get(row.type),
            duration="lasting" if lasting else "instant",
        )
        asset = known[row.asset] or new_assets.get(row.asset)
        try:
            fitting = _event(row, type)
            if headroom is not None:
                headroom.take([] if asset else [row.asset], [] if row.type in types else [row.type])
        except RowRefused as refusal:
            refused.append(RefusedRow(line, refusal.reason))
            surplus = str(refusal) if isinstance(refusal, RowBeyondBounds) else surplus
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
        refused=sorted(refused, key=lambda one: one.line),
        new=NewNames([*new_assets], (), [*new_types]),
        surplus=surplus,
    )


def _event(row: EventRow, type: EventType) -> EventRow:
    """Return an event in the duration of its type. Raises RowRefused if an instant one has an end
    after its start."""
    if type.duration != "instant":
        return row
    if row.end is not None and row.end != row.start:
        raise RowRefused(
            f"events of type {shown(row.type)} are instant, and this one has an end after its start"
        )
    return replace(row, end=row.start)
