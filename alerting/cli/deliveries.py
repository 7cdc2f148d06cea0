"""Commands on what comes in and goes out: `try`, `read`, `retry`, and the service `stream`."""

import os
import signal
from dataclasses import asdict
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerting.cli.documents import As, Sort, sort_of, sort_of_name, stored_names
from alerting.cli.output import console, print_json, show, show_result
from alerting.cli.support import (
    Json,
    command,
    platform,
    progress,
    read_documents,
    user,
    writes,
)
from alerting.definitions.faults import UserError

if TYPE_CHECKING:
    from alerting.adapters.platform import Platform
    from alerting.usecases.sources.poll import Readers

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
    as_json: Json = False,
) -> None:
    """Try a connection: show ten rows of a source as they would be stored and what is refused, or
    send a message that is marked as a test. Exit code 1 if a channel fails.

    Nothing is stored. Messages of brokers are copied: none is taken from `alerting stream`, and
    none is acknowledged. A database is looked at, and gets no row.
    """
    file = Path(name)
    documents = read_documents([file])[0] if file.is_file() else []
    if len(documents) > 1:
        raise UserError(f"{file}: holds {len(documents)} documents; write one")
    with platform() as p:
        if documents:
            found = sort_of(documents, sort)
        elif sort is None and name in p.channels:
            found = "route"
        else:
            found = sort_of_name(p, name, sort, ["source", "sink", "route"])
        if found in ("route", "definition"):
            _try_route(p, name, as_json)
        elif found == "sink":
            _try_sink(p, name, documents, as_json)
        else:
            _try_source(p, name, documents, rows, wait, as_json)


def _try_route(p: "Platform", name: str, as_json: bool) -> None:
    from alerting.usecases.notification.deliver import send_test

    results = send_test(p, name, user(), p.clock.now())
    sent = [{"channel": channel, "result": result} for channel, result in results.items()]
    show(sent, ["channel", "result"], as_json)
    if any(result != "sent" for result in results.values()):
        raise typer.Exit(1)


def _try_sink(p: "Platform", name: str, documents: list[dict[str, Any]], as_json: bool) -> None:
    from alerting.settings.environment import read_settings
    from alerting.usecases.sinks.documents import SINKS
    from alerting.usecases.sinks.trial import try_sink
    from alerting.wiring import sink_opener

    sink = SINKS.check(p, documents)[0] if documents else SINKS.find(p, name)
    done = try_sink(sink_opener(read_settings(os.environ)), sink, user(), p.clock.now())
    show_result({"sink": sink.name, "result": done}, as_json, f"sink {sink.name}: {done}")


def _try_source(
    p: "Platform",
    name: str,
    documents: list[dict[str, Any]],
    rows: Path | None,
    wait: float,
    as_json: bool,
) -> None:
    from alerting.usecases.sources.documents import SOURCES
    from alerting.usecases.sources.poll import try_source
    from alerting.usecases.sources.trial import try_records

    source = SOURCES.check(p, documents)[0] if documents else SOURCES.find(p, name)
    trial = (
        try_source(p, _readers(), source, wait, p.clock.now())
        if rows is None
        else try_records(p, source, _read_rows(rows), p.clock.now())
    )
    if as_json:
        return print_json(trial)
    columns = [*dict.fromkeys(key for row in trial.rows for key in row)]
    show([*trial.rows], columns, False, "no row can be stored")
    for note in trial.notes:
        console.print(note)
    for row in trial.refused:
        console.print(f"refused: row {row.line}: {row.reason}", style="red")
    return None


def _read_rows(file: Path) -> list[Any]:
    from alerting.usecases.sources.json_rows import read_json, read_lines

    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from error
    given = read_lines(text) if file.suffix in (".ndjson", ".jsonl") else read_json(text)
    return [*given.rows.values()]


def _readers() -> "Readers":
    from alerting.settings.environment import read_settings
    from alerting.wiring import source_readers

    return source_readers(read_settings(os.environ))


@writes
def read(
    name: Name,
    again: Annotated[
        bool,
        typer.Option("--again", help="From its beginning; rows that are stored stay as they are."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Read a source of files or a database now, on from where it was read last."""
    from alerting.adapters.sources.claims import poll_claimed

    with platform() as p, progress() as report:
        found = poll_claimed(
            p,
            _readers(),
            name,
            "command",
            p.clock,
            again=again,
            report=lambda rows: report("reading", rows, None),
        )
        if found is None:
            raise UserError(
                f"source {name} is being read at this moment, by the stream service or Airflow; "
                "try again once it is read"
            )
        what = "source read again" if again else "source read"
        p.audit.add(user(), what, name, p.clock.now(), after=asdict(found))
    text = f"{found.rows} rows, {found.new} of them new; {found.refused} refused"
    show_result(found, as_json, text)


@writes
def retry(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A source, a sink, or `notifications`. See: alerting list dead."
        ),
    ],
    sort: As = None,
    as_json: Json = False,
) -> None:
    """Try dead messages once more: store those of a source, e.g. after its mapping was corrected,
    let the stream service send those of a sink, or deliver notifications; all under their old
    keys."""
    with platform() as p:
        among: list[Sort] = ["source", "sink"]
        is_stored = any(name in stored_names(p)[one] for one in among)
        if name == "notifications" and sort is None and not is_stored:
            result, text = _retry_notifications(p)
        elif sort_of_name(p, name, sort, among) == "source":
            result, text = _retry_source(p, name)
        else:
            from alerting.usecases.sinks.documents import retry_letters

            count = retry_letters(p, name, user(), p.clock.now())
            result = {"sink": name, "letters": count}
            text = f"{count} dead letters of sink {name} are sent once more"
    show_result(result, as_json, text)


def _retry_source(p: "Platform", name: str) -> tuple[Any, str]:
    from alerting.adapters.mongo.mongo import is_outage
    from alerting.usecases.sources.stream import retry_dead

    found = retry_dead(p, name, user(), p.clock.now(), is_outage)
    return found, f"{found.new} of {found.messages} dead messages are stored; {found.dead} stay"


def _retry_notifications(p: "Platform") -> tuple[Any, str]:
    from alerting.usecases.notification import deliver

    count = deliver.retry(p, "all", user(), p.clock.now())
    done = deliver.deliver_due(p, p.clock.now())
    text = f"{count} tried again; {done.sent} messages sent, {done.failed} failed"
    return {"retried": count, "sent": done.sent, "failed": done.failed}, text


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
    from alerting.settings.environment import read_settings
    from alerting.stream.wait import await_source, new_process

    stopped = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    process = new_process()
    settings = read_settings(os.environ)
    if settings.mongodb_uri is not None:  # refused at once, not with the first source
        settings.read_link_key()
        settings.read_model_key()
    while not stopped.is_set():
        await_source(settings, alive, stopped, process)
        if stopped.is_set():
            return
        from alerting.stream.run import run

        run(partial(platform, service=True), os.environ, alive, stopped, process, console.print)
