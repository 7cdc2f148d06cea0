"""Store the rows that a source delivers: mapped, declared and written between two arrival records,
then counted.

Readings are merged by asset, instant and variable, events by asset, type and start: a row that
comes twice is stored once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from alerting.definitions.faults import UserError
from alerting.definitions.source_fields import SourceFields
from alerting.ports import (
    MOST_IN_FUTURE,
    Audit,
    Delivered,
    EventRow,
    ReadingRow,
    Record,
    SourcePorts,
)
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from alerting.usecases.sources.declaration_bounds import Headroom, NewNames, declarer_of, spoken
from alerting.usecases.sources.records import Declared, RefusedRow, read_events, read_readings

if TYPE_CHECKING:
    from alerting.stores.deliveries_and_changes import SourceDeliveries

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
    read = read_readings if source.delivers == "readings" else read_events
    return read(plant.assets, source, records, plant.zone, by, headroom)


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
