"""`alerting replay`: send the readings of a file to a source, as a line would."""

import json
import os
import time as clock
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerting.cli.ingest import options
from alerting.cli.ingest.commands import file_layout, with_time_columns
from alerting.cli.output import show_result
from alerting.cli.support import Json, command, platform, progress
from alerting.definitions.faults import UserError

if TYPE_CHECKING:
    from alerting.definitions.sources.source import Source
    from alerting.ports import ReadingRow
    from alerting.settings.environment import Settings

_ANSWER_S = 30.0
_SENDING = ("sender", "engineer", "admin")
Message = tuple[str, bytes]
"""A topic, empty for the API, and a payload."""


@command
def replay(
    file: Annotated[Path, typer.Argument(help="A file of readings, in order of time.")],
    to: Annotated[str, typer.Option("--to", help="Source of kind http or mqtt.", metavar="SOURCE")],
    speed: Annotated[
        float, typer.Option(help="How many times as fast as recorded.", min=0.001, max=1e6)
    ] = 1.0,
    time: options.Time = None,
    time_format: options.TimeFormat = None,
    asset: options.AssetName = None,
    asset_column: options.AssetColumn = None,
    tz: options.Zone = None,
    as_json: Json = False,
) -> None:
    """Send the readings of a file to a source, in its own topics and fields, as a line would: each
    row has the time at which it is sent. Ctrl-C ends it."""
    from alerting.adapters.files.readings import ReadingsFile
    from alerting.ports import silent
    from alerting.settings.environment import read_settings
    from alerting.usecases.ingestion.tables import check_readings, refuse_line
    from alerting.usecases.sources.deliver import require_active
    from alerting.usecases.sources.documents import SOURCES

    plain = file_layout(asset, asset_column, "", None, None, None, None, None)
    recording = ReadingsFile(file, with_time_columns(plain, time, time_format, tz))
    sent = 0
    with platform() as p, progress() as report:
        source = SOURCES.find(p, to)
        require_active(source)
        if source.kind not in SENDERS:
            raise UserError(f"source {to!r} is of kind {source.kind}; replay sends to mqtt, http")
        checked = check_readings(recording, p)
        batches = checked.rows(refuse_line, silent)
        with SENDERS[source.kind](source, read_settings(os.environ)) as send:
            begin = datetime.now(UTC)
            first: datetime | None = None
            for ts, rows in groupby((r for batch in batches for r in batch), lambda row: row.ts):
                first = first or ts
                if ts < first:
                    raise UserError(f"{file}: {ts.isoformat()} is before {first}: sort it by time")
                at = begin + (ts - first) / speed
                clock.sleep(max(0.0, (at - datetime.now(UTC)).total_seconds()))
                found = [one for row in rows for one in messages(source, row, at)]
                send(found)
                sent += len(found)
                report("sending", sent, None)
    show_result({"source": to, "messages": sent}, as_json, f"{sent:,} messages sent to {to}")


def messages(source: "Source", row: "ReadingRow", at: datetime) -> list[Message]:
    """Return the messages of a row as the source reads them: its mapping the other way round."""
    from alerting.definitions.sources.streamed import MessageSource
    from alerting.readings.column_titles import derive_name

    titles = {
        mapped.name or derive_name(title): title for title, mapped in source.variables.items()
    }
    values = {
        titles.get(name, name): value
        for name, value in row.values.items()
        if name in titles or source.others != "ignore"
    }
    asset = row.asset.removeprefix(source.asset_prefix)
    record = {source.time: at.isoformat()}
    if source.asset is None:
        record[source.asset_column] = asset
    if not isinstance(source, MessageSource):
        return [("", json.dumps(record | values).encode())]
    form = source.form
    levels = {"{asset}": asset, form.one: "replay", form.rest or "": "replay"}

    def topic(title: str) -> str:
        named = levels | {"{variable}": title}
        plain = source.plain_topic.split(form.separator)
        return form.separator.join(named.get(level, level) for level in plain)

    if source.payload == "value":
        return [(topic(title), json.dumps(value).encode()) for title, value in values.items()]
    return [(topic(""), json.dumps(record | values).encode())]


@contextmanager
def _to_broker(source: Any, _: "Settings") -> Iterator[Callable[[Sequence[Message]], None]]:
    from alerting.adapters.sources.mqtt import new_client
    from alerting.adapters.sources.secrets import allowed_secrets
    from alerting.settings.secrets import read_secret_rules
    from alerting.settings.variables import Variables

    address = allowed_secrets(os.environ, read_secret_rules(Variables(os.environ)))(source.url)
    client, host, port = new_client(source, address, f"alerting-replay-{os.getpid()}")
    connected = Event()
    client.on_connect = lambda *answer: None if answer[3].is_failure else connected.set()
    client.connect_async(host, port, keepalive=30)
    client.loop_start()

    def publish(messages: Sequence[Message]) -> None:
        if not connected.wait(_ANSWER_S):
            raise UserError(f"source {source.name}: the broker {host} does not answer, or refuses")
        for one in [client.publish(topic, payload, qos=1) for topic, payload in messages]:
            one.wait_for_publish(_ANSWER_S)
            if not one.is_published():
                raise UserError(f"source {source.name}: a message was not acknowledged")

    try:
        yield publish
    finally:
        client.disconnect()
        client.loop_stop()


@contextmanager
def _to_console(source: Any, settings: "Settings") -> Iterator[Callable[[Sequence[Message]], None]]:
    import httpx

    from alerting.settings.environment import variable
    from alerting.wiring import console_address

    url = console_address(settings)
    path = settings.home / "secrets" / "api_tokens.json"
    path = Path(os.environ.get(variable("api_tokens_file")) or path)
    try:
        tokens = json.loads(path.read_text(encoding="utf-8"))
        token = next(one for one, of in tokens.items() if of["role"] in _SENDING)
    except (OSError, ValueError, StopIteration) as fault:
        raise UserError(f"{path}: has no token that may send readings") from fault
    headers = {"authorization": f"Bearer {token}", "content-type": "application/x-ndjson"}
    with httpx.Client(base_url=url, headers=headers, timeout=_ANSWER_S, trust_env=False) as client:

        def post(messages: Sequence[Message]) -> None:
            body = b"\n".join(payload for _, payload in messages)
            try:
                answer = client.post(
                    "api/v1/readings", params={"source": source.name}, content=body
                )
                found = answer.json()
            except (httpx.HTTPError, ValueError) as fault:
                raise UserError(f"{url} does not answer as the console: {fault}") from fault
            if not answer.is_success or found["refused"]:
                why = found.get("detail") or found["lines"][0]["reason"]
                raise UserError(f"the console refuses rows ({answer.status_code}): {why}")

        yield post


SENDERS = {"mqtt": _to_broker, "http": _to_console}
"""By kind: yields what sends messages to a source and waits until they are received; it raises
UserError if they are not."""
