"""Store the rows that a source delivers: mapped, declared and written between two arrival records,
then counted.

Readings are merged by asset, instant and variable, events by asset, type and start: a row that
comes twice is stored once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from alerting.definitions.faults import UserError
from alerting.definitions.sources.mapping import SourceFields
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
from alerting.readings.column_titles import Units, units_by_name
from alerting.stores.sources import SourceDeliveries
from alerting.usecases.ingestion.arrivals import add_events, add_readings
from alerting.usecases.ingestion.text_names import Titles, titles_by_name
from alerting.usecases.sources.declare import Declared, fit_events, fit_readings
from alerting.usecases.sources.headroom import Headroom, NewNames, declarer_of, spoken
from alerting.usecases.sources.records import RefusedRow, map_events, map_readings

_LAST_VALUES = 5
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
    has_ends = any(source.events.end_column in record for record in records)
    mapped_events = map_events(
        source,
        records,
        plant.zone,
        partial(stored_titles, plant.assets),
        lambda: titles_by_name(plant.assets.event_types()),
    )
    return fit_events(plant.assets, source, mapped_events, headroom, has_ends=has_ends)


def stored_titles(assets: Assets) -> Titles:
    """Return the titles of all stored assets by name."""
    return titles_by_name(assets.all())


def _units(assets: Assets, source: SourceFields, records: Sequence[Record]) -> Units:
    """Return the units of the variables of the records' assets; of all assets, if one of these is
    new: it has their names."""
    column = source.asset_column
    prefix = source.asset_prefix
    given = [source.asset] if source.asset else [record.get(column) for record in records]
    names = {
        str(name) if source.asset else f"{prefix}{name}"
        for name in given
        if isinstance(name, str | int)
    }
    found = assets.get_many(names)
    return units_by_name(found.values() if len(found) == len(names) else assets.all())


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

    `by`: the name under which the delivery is counted; None for rows that came without a source.
    `sender`: who sent them, if a person or program with a token did.
    """
    return store(plant, fit(plant, source, records, by, sender), now, by=by, sender=sender)


def store(
    plant: SourcePorts, found: Declared, now: datetime, *, by: str | None, sender: str | None = None
) -> DeliveryResult:
    """Declare and write rows that fit, and count them. Idempotent."""
    rows: Sequence[ReadingRow | EventRow] = [*found.readings, *found.events]
    if found.assets:
        plant.assets.store_assets(found.assets)
    if found.event_types:
        plant.assets.put_event_types(found.event_types)
    declarer = declarer_of(by, sender)
    if found.new.count:
        record_declared(
            plant.audit, plant.deliveries, found.new, declarer, sender or spoken(declarer), now
        )
    if found.surplus is not None:
        plant.deliveries.note_surplus(declarer, found.surplus, now)
    new = add_readings(plant, found.readings, now) if found.readings else 0
    new += add_events(plant, found.events, now) if found.events else 0
    if by is not None:
        plant.deliveries.record(by, _delivered(rows, new, found.refused, now))
    return DeliveryResult(len(rows), new, found.refused)


def record_declared(
    audit: Audit,
    deliveries: SourceDeliveries,
    new: NewNames,
    declarer: str,
    actor: str,
    now: datetime,
) -> None:
    """Count what data have declared, and write it to the audit: one entry, however many names there
    are."""
    deliveries.count_declared(declarer, len(new.assets), len(new.variables) + len(new.event_types))
    groups = (("asset", new.assets), ("variable", new.variables), ("event type", new.event_types))
    why = "; ".join(
        f"{len(names)} new {what}{'s' if len(names) > 1 else ''}: "
        f"{shortened(names, _SHOWN_IN_LINE)}"
        for what, names in groups
        if names
    )
    after = {
        f"{what}s".replace(" ", "_"): shortened(names, _SHOWN_IN_ENTRY)
        for what, names in groups
        if names
    }
    audit.add(actor, "declared by data", spoken(declarer), now, after=after, why=why)


def shortened(names: Sequence[str], most: int) -> str:
    """Return names one after another, as many as fit into `most` characters, and the number of the
    others."""
    text = ", ".join(names)
    if len(text) <= most:
        return text
    shown = text[:most].rpartition(", ")[0]
    return f"{shown} and {len(names) - shown.count(', ') - 1} more"


def _delivered(
    rows: Sequence[ReadingRow | EventRow], new: int, refused: Sequence[RefusedRow], now: datetime
) -> Delivered:
    newest = max((at for row in rows if (at := _at(row)) <= now + MOST_IN_FUTURE), default=None)
    why = refused[-1].reason if refused else None
    return Delivered(now, new, len(refused), newest, _last(rows[-1]) if rows else None, why)


def _at(row: ReadingRow | EventRow) -> datetime:
    return row.ts if isinstance(row, ReadingRow) else row.start


def _last(row: ReadingRow | EventRow) -> Mapping[str, Any]:
    """Return a row for people: its asset and instant, and its type or first values."""
    if isinstance(row, EventRow):
        return {"asset": row.asset, "ts": row.start, "type": row.type}
    return {"asset": row.asset, "ts": row.ts, "values": dict([*row.values.items()][:_LAST_VALUES])}


def require_active(source: SourceFields) -> None:
    """Raise UserError if a source is paused or retired."""
    if source.state != "active":
        raise UserError(
            f"source {source.name!r} is {source.state}; resume it on its page to accept its rows "
            "again"
        )
