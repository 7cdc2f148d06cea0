"""Declare what the rows of a source bring: assets, variables with their types, event types. Rows of other types are refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from pydantic import ValidationError

from alerting.definitions.assets import Asset, EventType, Variable, VariableType
from alerting.definitions.faults import shown
from alerting.definitions.sources.mapping import SourceFields
from alerting.ports import Assets, EventRow, ReadingRow
from alerting.readings.column_titles import split_title, whole_title
from alerting.usecases.ingestion.sources import Duration
from alerting.usecases.sources.records import MappedRows, RefusedRow, Row, RowRefused, Scalar

_TYPES: Mapping[type, VariableType] = {bool: "boolean", float: "number", str: "category"}


@dataclass(frozen=True)
class Declared:
    """Rows that fit the declarations, with what is to be declared first, and all refused rows in their order."""

    readings: Sequence[ReadingRow] = ()
    events: Sequence[EventRow] = ()
    assets: Sequence[Asset] = ()
    event_types: Sequence[EventType] = ()
    refused: Sequence[RefusedRow] = ()


def fit_readings(assets: Assets, source: SourceFields, mapped: MappedRows[ReadingRow], by: str | None) -> Declared:
    """Return the readings in the types of their variables. The first value of a new variable decides its type.

    `by`: the source as it is noted at variables that have none; None for rows that came without a source.
    """
    known = _stored_assets(assets, mapped.rows)
    fits = {name: _Fit(asset or Asset(name=name), source, mapped.titles, by) for name, asset in known.items()}
    rows: list[ReadingRow] = []
    refused = list(mapped.refused)
    for line, row in mapped.rows:
        try:
            rows.append(fits[row.asset].read(row))
        except RowRefused as refusal:
            refused.append(RefusedRow(line, str(refusal)))
    given = {row.asset for row in rows}
    changed = [asset for name in sorted(given) if (asset := fits[name].asset()) != known[name]]
    return Declared(readings=rows, assets=changed, refused=sorted(refused, key=lambda one: one.line))


def _stored_assets(assets: Assets, rows: Sequence[tuple[int, Row]]) -> dict[str, Asset | None]:
    names = sorted({row.asset for _, row in rows})  # type: ignore[attr-defined]
    found = assets.get_many(names)
    return {name: found.get(name) for name in names}


class _Fit:
    """The variables of one asset, those that rows add among them."""

    def __init__(self, asset: Asset, source: SourceFields, titles: Mapping[str, str], by: str | None) -> None:
        self._asset, self._source, self._titles, self._by = asset, source, titles, by
        self._added: dict[str, Variable] = {}

    def asset(self) -> Asset:
        return (
            self._asset.model_copy(update={"variables": {**self._asset.variables, **self._added}}) if self._added else self._asset
        )

    def read(self, row: ReadingRow) -> ReadingRow:
        """Return a row in the types of its variables. Raises RowRefused, and declares nothing, if a value has another type."""
        if not row.quality and row.values.keys() <= self._numbers and set(map(type, row.values.values())) == {float}:
            return row
        added = {name: variable for name in {**row.values, **row.quality} if (variable := self._variable(name, row)) is not None}
        types = {name: (added.get(name) or self._declared(name)).type for name in row.values}
        values = {name: _convert(name, value, types[name]) for name, value in row.values.items()}
        self._added |= added
        return replace(row, values=values)

    @cached_property
    def _numbers(self) -> frozenset[str]:
        """Return the variables of numbers that need no declaration any more, of which a row is taken as it is."""
        known = self._asset.variables.items()
        return frozenset(name for name, v in known if v.type == "number" and not v.computed and (v.source or self._by is None))

    def _declared(self, name: str) -> Variable:
        return self._added.get(name) or self._asset.variables[name]

    def _variable(self, name: str, row: ReadingRow) -> Variable | None:
        """Return the variable to declare, or to note the source at; None if it is declared with its source."""
        if name in self._added:
            return None
        before = self._asset.variables.get(name)
        if before is not None and before.computed is not None:
            raise RowRefused(
                f"{shown(name)} is computed of {' and '.join(before.computed.drivers)}; it has no readings of its own"
            )
        if before is not None:
            return None if before.source or self._by is None else before.model_copy(update={"source": self._by})
        kind = _TYPES[type(row.values[name])] if name in row.values else "number"
        written = self._titles.get(name, name)
        title, unit = split_title(written) if kind == "number" else (whole_title(written), None)
        mapped = self._source.variables.get(written)
        try:
            return Variable(
                title=title if title != name else None, type=kind, unit=(mapped and mapped.unit) or unit, source=self._by
            )
        except ValidationError as error:
            raise RowRefused(f"{shown(written)}: cannot be declared as a variable: {error.errors()[0]['msg']}") from error


def _convert(name: str, value: Scalar, kind: VariableType) -> Scalar:
    """Return a value in the type of its variable. Raises RowRefused if it has another one."""
    if kind == "category":
        return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else _digits(value)
    if isinstance(value, bool):
        if kind == "boolean":
            return value
    elif isinstance(value, float):
        if kind == "number":
            return value
        if value in (0.0, 1.0):
            return bool(value)
    raise RowRefused(f"{name}: {shown(value)} is not a {kind}, as which the variable is declared")


def _digits(value: float) -> str:
    """Return a number with all its digits, e.g. of a lot; a whole one without a decimal point."""
    return str(int(value)) if value.is_integer() else repr(value)


def fit_events(assets: Assets, source: SourceFields, mapped: MappedRows[EventRow], *, has_ends: bool) -> Declared:
    """Return the events in the durations of their types. `has_ends`: whether any row has the column of ends."""
    stored = {type.name: type for type in assets.event_types()}
    lasting = source.events.lasting if source.events.lasting is not None else has_ends
    new: dict[str, EventType] = {}
    rows: list[EventRow] = []
    refused = list(mapped.refused)
    for line, row in mapped.rows:
        type = stored.get(row.type) or new.setdefault(row.type, EventType(name=row.type, duration=_duration(lasting)))
        if type.duration == "instant" and row.end is not None and row.end != row.start:
            refused.append(RefusedRow(line, f"events of type {row.type!r} are instant, and this one has an end after its start"))
        else:
            rows.append(replace(row, end=row.start) if type.duration == "instant" else row)
    known = _stored_assets(assets, mapped.rows)
    used = {row.asset for row in rows}, {row.type for row in rows}
    return Declared(
        events=rows,
        assets=[Asset(name=name) for name, asset in known.items() if asset is None and name in used[0]],
        event_types=[type for name, type in new.items() if name in used[1]],
        refused=sorted(refused, key=lambda one: one.line),
    )


def _duration(lasting: bool) -> Duration:
    return "lasting" if lasting else "instant"
