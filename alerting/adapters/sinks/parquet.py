"""Sink of a folder of Parquet files: by content and day, for Power BI, a historian or a
notebook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alerting.adapters.sinks.sql import COLUMNS, rows_of
from alerting.deferred import pa, pq
from alerting.definitions.wording.language import translatable
from alerting.ports import ACCEPTED, Answer, ReceiverAway, SinkMessage

if TYPE_CHECKING:
    from datetime import timedelta

    from alerting.adapters.sinks.receivers import Surroundings
    from alerting.definitions.sinks.fields import SinkContent
    from alerting.definitions.sinks.sink import ParquetSink


class ParquetReceiver:
    """Port `SinkClient`: a file is written beside its name and then gets it, so that no reader sees
    half a file."""

    repeat_every: timedelta | None = None

    def __init__(self, sink: ParquetSink, _: Surroundings) -> None:
        """Make the folder. Raises ReceiverAway if that cannot be."""
        self._folder = Path(sink.folder)
        self.gather = sink.every
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ReceiverAway(
                translatable(
                    "{folder} cannot be made: {reason}",
                    folder=str(sink.folder),
                    reason=str(error.strerror),
                )
            ) from error

    def send(self, messages: Sequence[SinkMessage]) -> Iterator[Answer]:
        files: dict[tuple[SinkContent, str], list[SinkMessage]] = {}
        for one in messages:
            files.setdefault((one.sends, one.at.strftime("%Y-%m-%d")), []).append(one)
        for (content, day), found in files.items():
            self._write(content, day, found)
        yield from [ACCEPTED] * len(messages)

    def keep_alive(self) -> None:
        """Do nothing: a folder has no connection."""

    def probe(self, message: SinkMessage) -> str:
        path = self._folder / ".alerting-test"
        try:
            path.write_text(message.key, encoding="utf-8")
            path.unlink()
        except OSError as error:
            raise ReceiverAway(
                translatable(
                    "{folder} cannot be written: {reason}",
                    folder=str(self._folder),
                    reason=str(error.strerror),
                )
            ) from error
        return f"{self._folder} can be written; no file was left"

    def close(self) -> None:
        """A folder has no connection."""

    def _write(self, content: SinkContent, day: str, messages: Sequence[SinkMessage]) -> None:
        names = sha256("\n".join(one.key for one in messages).encode()).hexdigest()[:12]
        path = self._folder / content / day / f"{messages[0].at:%H%M%S}-{names}.parquet"
        rows = [row for one in messages for row in rows_of(one)]
        table = pa.Table.from_pylist(rows, schema=_schema(content))
        beside = path.with_suffix(".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, beside)
            beside.replace(path)
        except OSError as error:
            raise ReceiverAway(
                translatable(
                    "{folder} cannot be written: {reason}",
                    folder=str(path),
                    reason=str(error.strerror or error),
                )
            ) from error


def _schema(content: SinkContent) -> Any:
    types = {
        "key": pa.string(),
        "name": pa.string(),
        "text": pa.string(),
        "instant": pa.timestamp("ms", tz="UTC"),
        "number": pa.float64(),
        "whole": pa.int64(),
        "flag": pa.bool_(),
    }
    return pa.schema([(name, types[kind]) for name, kind in COLUMNS[content]])
