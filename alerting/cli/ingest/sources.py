"""`alerting source …`: where readings and events come from."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerting.cli.ingest.source_rows import COLUMNS, read_last, row_of, written
from alerting.cli.printing.output import console, print_json, show, show_result
from alerting.cli.support import (
    DryRun,
    Json,
    command,
    command_group,
    platform,
    progress,
    read_documents,
    user,
    writes,
)

if TYPE_CHECKING:
    from alerting.definitions.sources.mapping import SourceState
    from alerting.ports import SourcePorts
    from alerting.usecases.sources.poll import Readers

source_group = command_group(
    "Sources: connect servers, files and programs that deliver readings and events."
)
Files = Annotated[
    list[Path],
    typer.Argument(help="YAML or JSON files, each with one source, a list, or several documents."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a source.")]
_SUBSCRIBED_WITHIN_S = 20.0
_SERVICE_WITHIN_S = 5.0
_POLL_S = 0.2
_EXAMPLE = "`name: …`, `kind: …`"
_MOST_DEAD = 1000
_LONGEST_PAYLOAD_BYTES = 64 * 1024


@source_group.command("check")
@command
def check_sources(files: Files, as_json: Json = False) -> None:
    """Check sources: lists every fault without applying or connecting them."""
    from alerting.usecases.sources import documents

    good = documents.check_sources(read_documents(files, "source", _EXAMPLE))
    rows = [
        {"name": s.name, "kind": s.kind, "delivers": s.delivers, "state": s.state} for s in good
    ]
    show(rows, ["name", "kind", "delivers", "state"], as_json, "no sources in these files")


@source_group.command("apply")
@writes
def apply_sources(files: Files, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Apply sources: all of them, or none if one is refused. Each change is a revision.

    Without --json it waits until the stream service has subscribed at brokers, 20 seconds at most:
    many keep nothing until then.
    """
    from alerting.usecases.sources import documents

    given = read_documents(files, "source", _EXAMPLE)
    with platform() as p:
        plans = (
            documents.plan_sources(p.sources, given)
            if dry_run
            else documents.apply_sources(p, given, user(), p.clock.now())
        )
        applied_at = p.clock.now()
        show(
            [{"name": i.name, "action": i.action} for i in plans],
            ["name", "action"],
            as_json,
            "no sources in these files",
        )
        if not (dry_run or as_json):
            _wait_for_brokers(p, documents.subscribed_by_stream(plans), applied_at)
    if dry_run and not as_json:
        console.print("dry run: no source was changed")


def _wait_for_brokers(platform: "SourcePorts", names: Sequence[str], since: datetime) -> None:
    began = time.monotonic()
    waiting = list(names)
    while waiting and (waited := time.monotonic() - began) < _SUBSCRIBED_WITHIN_S:
        if waited >= _SERVICE_WITHIN_S and not platform.stream_processes.has_processes():
            console.print(
                f"{', '.join(waiting)}: no stream service runs yet; `alerting up` and `alerting "
                "stream` run one"
            )
            return
        time.sleep(_POLL_S)
        for name in list(waiting):
            read = platform.deliveries.progress(name).read_until
            if read is not None and read >= since:
                console.print(f"{name}: subscribed, and read from now on", markup=False)
                waiting.remove(name)
    for name in waiting:
        why = (
            platform.deliveries.progress(name).fault
            or f"source {name}: the stream service has not subscribed yet"
        )
        console.print(
            f"{why}; what the broker does not keep until then is lost", style="red", markup=False
        )


@source_group.command("list")
@command
def list_sources(as_json: Json = False) -> None:
    """List all sources with rows, rate, lag and last value, and faulty ones with their faults."""
    from alerting.usecases.sources.documents import read_sources
    from alerting.usecases.sources.status import source_statuses

    with platform() as p:
        statuses = source_statuses(p.sources, p.deliveries, p.clock.now())
        faults = read_sources(p.sources)[1]
    if as_json:
        print_json({"sources": statuses, "faulty": faults})
        return
    show(
        [row_of(status) for status in statuses],
        ["name", *(["title"] if any(status.title for status in statuses) else []), *COLUMNS],
        False,
        "no sources",
    )
    for status in statuses:
        if status.fault or status.is_stale:
            since = f"no row for {written(status.silent)}"
            console.print(f"source {status.name}: {status.fault or since}", style="red")
        if status.after_now:
            console.print(f"source {status.name}: {status.after_now}", style="red")
        if status.last_lost and status.lost_at:
            lost = (
                f"{status.lost} values lost so far, the last" if status.lost else "values were lost"
            )
            when = status.lost_at.isoformat(timespec="seconds")
            console.print(
                f"source {status.name}: {lost} at {when}: {status.last_lost}",
                style="red",
                markup=False,
            )
        if status.last_refused and not status.fault:
            console.print(
                f"source {status.name}: last refused: {status.last_refused}", markup=False
            )
    for name, of in faults.items():
        for fault in of:
            console.print(f"source {name} is faulty and not used: {fault}", style="red")


@source_group.command("show")
@command
def show_source(name: Name, as_json: Json = False) -> None:
    """Show a source as YAML, with its revisions."""
    import yaml

    from alerting.definitions.sources.source import source_document
    from alerting.usecases.sources.documents import find_source
    from alerting.usecases.sources.status import source_status

    with platform() as p:
        source = find_source(p.sources, name)
        revisions = p.sources.revisions(name)
        status = source_status(source, p.deliveries.progress(name), revisions, p.clock.now())
    document = source_document(source)
    if as_json:
        shown = ("last_refused", "read_by", "polled_by", "polled_at")
        print_json(
            {"source": document, "revisions": revisions, **{k: getattr(status, k) for k in shown}}
        )
        return
    console.print(
        yaml.safe_dump(document, sort_keys=False, allow_unicode=True), markup=False, end=""
    )
    for revision in revisions:
        console.print(
            f"# revision {revision.number}, {revision.at.isoformat(timespec='seconds')}, "
            f"{revision.actor}"
        )
    if status.read_by:
        console.print(f"# read {read_last(status)}", markup=False)
    if status.last_refused:
        console.print(f"# last refused: {status.last_refused.replace(chr(10), ' ')}", markup=False)


@source_group.command("pause")
@writes
def pause(name: Name, as_json: Json = False) -> None:
    """Pause a source: its rows are neither read nor accepted, and it is not stale."""
    _set_state(name, "paused", as_json)


@source_group.command("resume")
@writes
def resume(name: Name, as_json: Json = False) -> None:
    """Resume a source that is paused or retired."""
    _set_state(name, "active", as_json)


@source_group.command("retire")
@writes
def retire(name: Name, as_json: Json = False) -> None:
    """Retire a source: its document, revisions and readings stay."""
    _set_state(name, "retired", as_json)


def _set_state(name: str, state: "SourceState", as_json: bool) -> None:
    from alerting.usecases.sources.documents import set_state

    with platform() as p:
        set_state(p, name, state, user(), p.clock.now())
    show_result({"source": name, "state": state}, as_json, f"source {name} is {state}")


@source_group.command("read")
@writes
def read_source(name: Name, as_json: Json = False) -> None:
    """Read a source of files or a database now, on from where it was read last."""
    _read(name, again=False, as_json=as_json)


@source_group.command("backfill")
@writes
def backfill(name: Name, as_json: Json = False) -> None:
    """Read everything that a source of files or a database has, from its beginning; rows that are
    stored stay as they are."""
    _read(name, again=True, as_json=as_json)


def _read(name: str, *, again: bool, as_json: bool) -> None:
    from alerting.adapters.sources.claims import poll_claimed
    from alerting.definitions.faults import UserError

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
    show_result(
        found, as_json, f"{found.rows} rows, {found.new} of them new; {found.refused} refused"
    )


def _readers() -> "Readers":
    import os

    from alerting.settings.environment import read_settings
    from alerting.wiring import source_readers

    return source_readers(read_settings(os.environ))


@source_group.command("dead")
@command
def list_dead(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Name of a source; all when left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List messages of brokers that could not be stored, with the reason."""
    from itertools import islice

    from alerting.usecases.sources.documents import find_source
    from alerting.usecases.sources.stream import list_dead

    with platform() as p:
        if name is not None:
            find_source(p.sources, name)
        found = islice(list_dead(p.dead_messages, name), _MOST_DEAD)
        rows = [
            {
                **vars(m),
                "payload": m.payload[:_LONGEST_PAYLOAD_BYTES].decode("utf-8", "backslashreplace"),
            }
            for m in found
        ]
    show(rows, ["source", "at", "topic", "payload", "reason"], as_json, "no dead messages")


@source_group.command("retry")
@writes
def retry(name: Name, as_json: Json = False) -> None:
    """Store the dead messages of a source once more, e.g. after its mapping was corrected."""
    from alerting.adapters.mongo.mongo import is_outage
    from alerting.usecases.sources.stream import retry_dead

    with platform() as p:
        found = retry_dead(p, name, user(), p.clock.now(), is_outage)
    show_result(
        found,
        as_json,
        f"{found.new} of {found.messages} dead messages are stored; {found.dead} stay",
    )


@source_group.command("test")
@command
def test_source(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE",
            help="Name of a source, or the file of one that is not applied yet.",
        ),
    ],
    rows: Annotated[
        Path | None,
        typer.Option(help="Of kind http: file of rows to look at, JSON or NDJSON.", metavar="FILE"),
    ] = None,
    wait: Annotated[
        float,
        typer.Option(
            min=1.0,
            max=300.0,
            help="Seconds to wait for messages of MQTT and AMQP, and for a broker to answer.",
        ),
    ] = 10.0,
    as_json: Json = False,
) -> None:
    """Connect a source and show ten rows as they would be stored, and what is refused and why.
    Stores nothing.

    Messages of brokers are copied: none is taken from `alerting stream`, and none is acknowledged.
    """
    from alerting.usecases.sources import documents
    from alerting.usecases.sources.poll import try_source
    from alerting.usecases.sources.trial import try_records

    file = Path(name)
    given = (
        documents.check_sources(read_documents([file], "source", _EXAMPLE))
        if file.is_file()
        else []
    )
    with platform() as p:
        source = given[0] if given else documents.find_source(p.sources, name)
        trial = (
            try_source(p, _readers(), source, wait, p.clock.now())
            if rows is None
            else try_records(p, source, _read_rows(rows), p.clock.now())
        )
    if as_json:
        print_json(trial)
        return
    show(
        [*trial.rows],
        [*dict.fromkeys(key for row in trial.rows for key in row)],
        False,
        "no row can be stored",
    )
    for note in trial.notes:
        console.print(note)
    for row in trial.refused:
        console.print(f"refused: row {row.line}: {row.reason}", style="red", markup=False)


def _read_rows(file: Path) -> list[Any]:
    from alerting.definitions.faults import UserError
    from alerting.usecases.sources.json_rows import read_json, read_lines

    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from error
    given = read_lines(text) if file.suffix in (".ndjson", ".jsonl") else read_json(text)
    return [*given.rows.values()]
