"""Commands on what comes in and goes out: `try`, `read`, `retry`, `replay`, and the service
`stream`."""

import json
import os
import signal
import time as clock
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import typer

from alerting import wiring
from alerting.adapters.mongo.mongo import is_outage
from alerting.adapters.sources.addresses_and_secrets import allowed_secrets
from alerting.adapters.sources.claims import poll_claimed
from alerting.cli import options
from alerting.cli.command import (
    Output,
    OutputTable,
    colored,
    command,
    console,
    platform,
    progress,
    say,
    table_output,
    user,
    writes,
)
from alerting.cli.document_commands import As, sort_of_name, stored_names
from alerting.cli.document_files import Sort, read_document, sort_of
from alerting.definitions.faults import UserError
from alerting.definitions.file_form import Stated
from alerting.definitions.source_fields import MessageSource
from alerting.definitions.sources import Source
from alerting.definitions.wording.language import in_english, joined
from alerting.ports import Platform, ReadingRow, silent
from alerting.readings.foreign_columns import derive_name
from alerting.settings.environment import read_settings
from alerting.settings.environment_variables import Variables, read_secret_rules
from alerting.stream.service import new_process, run
from alerting.usecases.ingestion.tables import check_readings, refuse_line
from alerting.usecases.notification import delivery
from alerting.usecases.sink_delivery import SINKS, retry_letters, try_sink
from alerting.usecases.sources.poll import Readers, try_source
from alerting.usecases.sources.status import SOURCES, try_records
from alerting.usecases.sources.store_rows import deliver as deliver_rows
from alerting.usecases.sources.store_rows import require_active
from alerting.usecases.sources.stream import read_json, read_lines, retry_dead

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a source.")]


@command
def try_connection(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE",
            help="A source, sink, route or channel; or the file of a source or sink that is not "
            "applied yet.",
        ),
    ],
    rows: Annotated[
        Path | None,
        typer.Option(
            help="Of a source of kind http: file of rows to look at, JSON or NDJSON.",
            metavar="FILE",
        ),
    ] = None,
    wait: Annotated[
        float,
        typer.Option(
            min=1.0,
            max=300.0,
            help="Seconds to wait for messages of MQTT and AMQP, and for a broker to answer.",
        ),
    ] = 10.0,
    sort: As = None,
) -> Output:
    """Try a connection: show ten rows of a source as they would be stored and what is refused, or
    send a message that is marked as a test. Exit code 1 if a channel fails.

    Nothing is stored. Messages of brokers are copied: none is taken from `alerting stream`, and
    none is acknowledged. A database is looked at, and gets no row.
    """
    file = Path(name)
    documents = [read_document(file)] if file.is_file() else []
    with platform() as p:
        if documents:
            kind = sort_of(documents[0], sort)
        elif sort is None and name in p.channels:
            kind = "route"
        else:
            kind = sort_of_name(p, name, sort, ["source", "sink", "route"])
        if kind in ("route", "definition"):
            results = delivery.send_test(p, name, user(), p.clock.now())
            sent = [{"channel": channel, "result": result} for channel, result in results.items()]
            failed = any(result != "sent" for result in results.values())
            return table_output(sent, ["channel", "result"], is_failure=failed)
        if kind == "sink":
            sink = SINKS.check(p, documents)[0] if documents else SINKS.find(p, name)
            opener = wiring.sink_opener(read_settings(os.environ))
            done = try_sink(opener, sink, user(), p.clock.now())
            return Output({"sink": sink.name, "result": done}, [f"sink {sink.name}: {say(done)}"])
        source = SOURCES.check(p, documents)[0] if documents else SOURCES.find(p, name)
        trial = (
            try_source(p, _readers(), source, wait, p.clock.now())
            if rows is None
            else try_records(p, source, _read_rows(rows), p.clock.now())
        )
    columns = [*dict.fromkeys(key for row in trial.rows for key in row)]
    refused = [
        colored(f"refused: row {row.line}: {say(row.reason)}", "red") for row in trial.refused
    ]
    return Output(
        trial, [OutputTable([*trial.rows], columns, "no row can be stored"), *trial.notes, *refused]
    )


def _read_rows(file: Path) -> list[Any]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from error
    parsed = read_lines(text) if file.suffix in (".ndjson", ".jsonl") else read_json(text)
    return [*parsed.rows.values()]


def _readers() -> Readers:
    return wiring.source_readers(read_settings(os.environ))


@writes
def read(
    name: Name,
    again: Annotated[
        bool,
        typer.Option("--again", help="From its beginning; rows that are stored stay as they are."),
    ] = False,
) -> Output:
    """Read a source of files or a database now, on from where it was read last."""
    with platform() as p, progress() as report:
        counts = poll_claimed(
            p,
            _readers(),
            name,
            "command",
            p.clock,
            again=again,
            report=lambda rows: report("reading", rows, None),
        )
        if counts is None:
            raise UserError(
                f"source {name} is being read at this moment, by the stream service or Airflow; "
                "try again once it is read"
            )
        act = "source read again" if again else "source read"
        p.audit.add(user(), act, name, p.clock.now(), after=asdict(counts))
    text = f"{counts.rows} rows, {counts.new} of them new; {counts.refused} refused"
    return Output(counts, [text])


@writes
def retry(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A source, a sink, or `notifications`. See: alerting list dead."
        ),
    ],
    sort: As = None,
) -> Output:
    """Try dead messages once more: store the messages of a source, e.g. after its mapping was
    corrected, let the stream service send the messages of a sink, or deliver notifications; all
    under their old keys."""
    with platform() as p:
        among: list[Sort] = ["source", "sink"]
        is_stored = any(name in stored_names(p)[kind] for kind in among)
        now = p.clock.now()
        if name == "notifications" and sort is None and not is_stored:
            count = delivery.retry(p, "all", user(), now)
            done = delivery.deliver_due(p, p.clock.now())
            text = f"{count} tried again; {done.sent} messages sent, {done.failed} failed"
            return Output({"retried": count, "sent": done.sent, "failed": done.failed}, [text])
        if sort_of_name(p, name, sort, among) == "source":
            counts = retry_dead(p, name, user(), now, is_outage)
            text = f"{counts.new} of {counts.messages} dead messages are stored; {counts.dead} stay"
            return Output(counts, [text])
        count = retry_letters(p, name, user(), now)
        text = f"{count} dead letters of sink {name} are sent once more"
        return Output({"sink": name, "letters": count}, [text])


@command
def stream(
    alive: Annotated[
        Path | None,
        typer.Option(
            help=(
                "File to touch every few seconds while the service works, for checks of its health."
            )
        ),
    ] = None,
) -> None:
    """Store the messages of brokers and evaluate them at once, until it is stopped. Of several
    processes one works, and another goes on when it has stopped.

    Definitions of every kind are evaluated as soon as the latency of their readings is over, also
    with readings that other processes store, and notifications are sent. Airflow evaluates them
    too.
    """
    stopped = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    process = new_process()
    settings = read_settings(os.environ)
    if settings.mongodb_uri is not None:  # refused at once, not with the first source
        settings.read_link_key()
        settings.read_model_key()
    while not stopped.is_set():
        run(partial(platform, service=True), os.environ, alive, stopped, process, console.print)


_ANSWER_S = 30.0
Message = tuple[str, bytes]
"""A topic, empty for the API, and a payload."""


@command
@options.states_form("time", "time_format", "asset", "asset_column", "zone")
def replay(
    file: Annotated[Path, typer.Argument(help="A file of readings, in order of time.")],
    to: Annotated[str, typer.Option("--to", help="Source of kind http or mqtt.", metavar="SOURCE")],
    speed: Annotated[
        float, typer.Option(help="How many times as fast as recorded.", min=0.001, max=1e6)
    ] = 1.0,
    *,
    stated: Stated,
) -> Output:
    """Send the readings of a file to a source, in its own topics and fields, as a line would: each
    row has the time at which it is sent. Ctrl-C ends it."""
    from alerting.adapters.files.readings_and_events import ReadingsFile

    recording = ReadingsFile(file, options.file_form(stated))
    sent = 0
    with platform() as p, progress() as report:
        source = SOURCES.find(p, to)
        require_active(source)
        if source.kind not in ("mqtt", "http"):
            raise UserError(f"source {to!r} is of kind {source.kind}; replay sends to mqtt, http")
        batches = check_readings(recording, p).rows(refuse_line, silent)
        sender = (
            _open_publisher(source) if source.kind == "mqtt" else nullcontext(partial(_store, p))
        )
        with sender as send:
            begin = datetime.now(UTC)
            first: datetime | None = None
            for ts, rows in groupby((r for batch in batches for r in batch), lambda row: row.ts):
                first = first or ts
                if ts < first:
                    raise UserError(
                        in_english(
                            "{file}: {time} is before {first}: sort it by time",
                            file=str(file),
                            time=ts,
                            first=first,
                        )
                    )
                at = begin + (ts - first) / speed
                clock.sleep(max(0.0, (at - datetime.now(UTC)).total_seconds()))
                made = [message for row in rows for message in messages(source, row, at)]
                send(source, made)
                sent += len(made)
                report("sending", sent, None)
    return Output({"source": to, "messages": sent}, [f"{sent:,} messages sent to {to}"])


def messages(source: "Source", row: "ReadingRow", at: datetime) -> list[Message]:
    """Return the messages of a row in the form that the source reads: the reverse of its mapping.
    Raises UserError for a source of nested messages, or of an asset that several levels name."""
    levels_of_asset = source.levels_of_asset if isinstance(source, MessageSource) else ()
    if source.value or source.parts or {*levels_of_asset} - {"asset"}:
        raise UserError(
            f"source {source.name}: replay cannot write the messages that it reads; replay to a "
            "source of kind http, or of a topic {asset} and rows of time and values"
        )
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
    levels = {"{asset}": asset, form.any_level: "replay", form.all_below or "": "replay"}

    def topic(title: str) -> str:
        named = levels | {"{variable}": title}
        plain = source.plain_topic.split(form.separator)
        return form.separator.join(named.get(level, level) for level in plain)

    if source.payload == "value":
        return [(topic(title), json.dumps(value).encode()) for title, value in values.items()]
    return [(topic(""), json.dumps(record | values).encode())]


def _store(p: Platform, source: Source, messages: Sequence[Message]) -> None:
    """Store messages as the API does."""
    records = [json.loads(payload) for _, payload in messages]
    counts = deliver_rows(p, source, records, p.clock.now(), by=source.name, sender=user())
    if counts.refused:
        raise UserError(
            joined(": ", f"source {source.name}", "a row is refused", counts.refused[0].reason)
        )


@contextmanager
def _open_publisher(source: Any) -> Iterator[Callable[[Any, Sequence[Message]], None]]:
    from alerting.adapters.sources.mqtt import new_client

    address = allowed_secrets(os.environ, read_secret_rules(Variables(os.environ)))(source.url)
    client, host, port = new_client(source, address, f"alerting-replay-{os.getpid()}")
    connected = Event()
    client.on_connect = lambda *answer: None if answer[3].is_failure else connected.set()
    client.connect_async(host, port, keepalive=30)
    client.loop_start()

    def publish(_: Any, messages: Sequence[Message]) -> None:
        if not connected.wait(_ANSWER_S):
            raise UserError(f"source {source.name}: the broker {host} does not answer, or refuses")
        for message in [client.publish(topic, payload, qos=1) for topic, payload in messages]:
            message.wait_for_publish(_ANSWER_S)
            if not message.is_published():
                raise UserError(f"source {source.name}: a message was not acknowledged")

    try:
        yield publish
    finally:
        client.disconnect()
        client.loop_stop()
