"""Recorded readings as the messages of a line: a source's mapping the other way round."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from alerting.deferred import pd
from alerting.definitions.assets import Asset, variable_name
from alerting.definitions.faults import UserError
from alerting.definitions.sources.mapping import SourceFields
from alerting.definitions.sources.streamed import MessageSource
from alerting.ports import ReadingRow, Readings
from alerting.readings.column_titles import derive_name
from alerting.readings.history import History, from_millis, to_millis
from alerting.readings.sample_quality import Quality

_ANY_LEVEL = "replay"


class Outgoing(NamedTuple):
    """A message to send: its topic, empty where the kind of source has none, and its payload."""

    topic: str
    payload: bytes


class Sender(Protocol):
    """A connection to where a source reads."""

    def send(self, messages: Sequence[Outgoing]) -> None:
        """Send messages and wait until they are received. Raises UserError if not."""

    def close(self) -> None:
        """Disconnect."""


@dataclass(frozen=True)
class DueRow:
    """A row and when it is sent. Its stamp is the recording's, or that instant."""

    due_at: datetime
    row: ReadingRow


def recorded_rows(
    readings: Readings, assets: Sequence[Asset], start: datetime, end: datetime
) -> Iterator[ReadingRow]:
    """Yield readings with start < ts <= end in time order, an hour in memory."""
    after = start
    while after < end:
        until = min(after + timedelta(hours=1), end)
        found = [
            row
            for asset in assets
            for row in _rows(
                readings.load(
                    asset,
                    after,
                    until,
                    [name for name in asset.variables if not asset.is_computed(name)],
                    events_since=until,
                )
            )
        ]
        yield from sorted(found, key=lambda row: (row.ts, row.asset))
        after = until


def _rows(history: History) -> Iterator[ReadingRow]:
    types = {name: variable.type for name, variable in history.asset.variables.items()}
    columns = [(str(name), column.tolist()) for name, column in history.readings.items()]
    bad, uncertain = (
        {name: frozenset(at.tolist()) for name, at in of.items()}
        for of in (history.doubts.bad, history.doubts.uncertain)
    )
    for i, ts in enumerate(history.readings.index):
        at = ts.to_pydatetime()
        values = {
            name: bool(column[i]) if types[name] == "boolean" else column[i]
            for name, column in columns
            if not pd.isna(column[i])
        }
        quality: dict[str, Quality] = {
            name: "bad" for name, instants in bad.items() if to_millis(at) in instants
        }
        quality |= {
            name: "uncertain"
            for name, instants in uncertain.items()
            if to_millis(at) in instants and name in values
        }
        if values or quality:
            yield ReadingRow(history.asset.name, at, values, quality)


def schedule(
    rows: Iterable[ReadingRow], speed: float, begin: datetime, *, shift: bool
) -> Iterator[DueRow]:
    """Yield rows with when they are sent, `speed` times as fast; `shift`: so stamped."""
    first: datetime | None = None
    for row in rows:
        first = first or row.ts
        due_at = from_millis(to_millis(begin + (row.ts - first) / speed))
        yield DueRow(
            due_at, ReadingRow(row.asset, due_at, row.values, row.quality) if shift else row
        )


class ReplayMapping:
    """A source's mapping the other way round. `left_out`: variables it does not read."""

    def __init__(self, source: SourceFields) -> None:
        """Raises UserError if the source takes no readings."""
        if source.delivers != "readings":
            raise UserError(
                f"source {source.name!r} delivers {source.delivers}; only readings are replayed"
            )
        self._source = source
        named = source.variables.items()
        self._titles = {derive_name(title): title for title, mapped in named if not mapped.name}
        self._titles |= {mapped.name or variable_name(title): title for title, mapped in named}
        self.left_out: set[str] = set()

    def messages(self, row: ReadingRow) -> list[Outgoing]:
        """Return a row's messages, if the source reads any. Raises UserError for other assets."""
        values = {
            title: value
            for name, value in row.values.items()
            if (title := self._title(name)) is not None
        }
        asset = self._asset(row.asset)
        source = self._source
        of_broker = source if isinstance(source, MessageSource) else None
        if of_broker and of_broker.payload == "value":
            return [
                Outgoing(_topic(of_broker, asset, title), _json(value))
                for title, value in values.items()
            ]
        quality = {
            title: grade
            for name, grade in row.quality.items()
            if (title := self._title(name)) is not None
        }
        if not values and not quality:
            return []
        record: dict[str, Any] = (
            {} if of_broker and of_broker.stamp == "receipt" else {source.time: row.ts.isoformat()}
        )
        if source.asset is None and not (of_broker and "{asset}" in of_broker.topic):
            record[source.asset_column] = asset
        if quality and source.quality is not None:
            record[source.quality] = quality
        return [Outgoing(_topic(of_broker, asset, "") if of_broker else "", _json(record | values))]

    def _title(self, name: str) -> str | None:
        title = self._titles.get(name)
        if title is None and self._source.others == "ignore":
            self.left_out.add(name)
        return title if title is not None or self._source.others == "ignore" else name

    def _asset(self, name: str) -> str:
        source = self._source
        if source.asset not in (None, name):
            raise UserError(
                f"source {source.name!r} is of {source.asset}: choose its readings only, not those "
                f"of {name}"
            )
        if source.asset is None and not name.startswith(source.asset_prefix):
            raise UserError(
                f"source {source.name!r} puts {source.asset_prefix!r} before each name, so {name} "
                "cannot come from it"
            )
        return name.removeprefix(source.asset_prefix)


def _topic(source: MessageSource, asset: str, variable: str) -> str:
    """Return a topic that the source's matches, `replay` for levels that may be any."""
    form = source.form
    named: Mapping[str, str] = {
        "{asset}": asset,
        "{variable}": variable,
        form.one: _ANY_LEVEL,
        form.rest or "": _ANY_LEVEL,
    }
    return form.separator.join(
        named.get(level, level) for level in source.plain_topic.split(form.separator)
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
