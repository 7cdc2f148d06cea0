"""`alerting sink …`: where values and alarms go out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerting.cli.printing.output import console, print_json, show, show_result
from alerting.cli.support import (
    DryRun,
    Json,
    command,
    command_group,
    platform,
    read_documents,
    user,
    writes,
)

if TYPE_CHECKING:
    from alerting.definitions.sources.mapping import SourceState
    from alerting.usecases.sinks.status import SinkStatus

sink_group = command_group(
    "Sinks: send values and alarms to brokers, servers, databases and folders."
)
Files = Annotated[
    list[Path],
    typer.Argument(help="YAML or JSON files, each with one sink, a list, or several documents."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a sink.")]
_EXAMPLE = "`name: …`, `kind: …`"
_MOST_LETTERS = 1000


@sink_group.command("check")
@command
def check_sinks(files: Files, as_json: Json = False) -> None:
    """Check sinks: lists every fault without applying or connecting them."""
    from alerting.usecases.sinks.documents import SINK_FORM

    good = SINK_FORM.check(read_documents(files, "sink", _EXAMPLE))
    rows = [
        {"name": s.name, "kind": s.kind, "sends": ", ".join(s.sends), "state": s.state}
        for s in good
    ]
    show(rows, ["name", "kind", "sends", "state"], as_json, "no sinks in these files")


@sink_group.command("apply")
@writes
def apply_sinks(files: Files, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Apply sinks: all of them, or none if one is refused. Each change is a revision.

    The stream service begins to deliver within ten seconds, first the alarms that are open.
    """
    from alerting.usecases.sinks import documents

    given = read_documents(files, "sink", _EXAMPLE)
    with platform() as p:
        plans = (
            documents.plan_sinks(p.sinks, given)
            if dry_run
            else documents.apply_sinks(p, given, user(), p.clock.now())
        )
    show(
        [{"name": i.name, "action": i.action} for i in plans],
        ["name", "action"],
        as_json,
        "no sinks in these files",
    )
    if dry_run and not as_json:
        console.print("dry run: no sink was changed")


@sink_group.command("list")
@command
def list_sinks(as_json: Json = False) -> None:
    """List all sinks with what went out, lag and dead letters, and faulty ones with their
    faults."""
    from alerting.usecases.sinks.documents import SINK_FORM, sink_statuses

    with platform() as p:
        statuses = sink_statuses(p, p.clock.now())
        faults = SINK_FORM.read(p.sinks)[1]
    if as_json:
        print_json({"sinks": statuses, "faulty": faults})
        return
    columns = ["name", "kind", "state", "sent", "left out", "dead letters", "lag"]
    show([_row(status) for status in statuses], columns, False, "no sinks")
    for status in statuses:
        if status.fault:
            console.print(f"sink {status.name}: {status.fault}", style="red", markup=False)
    for name, of in faults.items():
        for fault in of:
            console.print(f"sink {name} is faulty and not used: {fault}", style="red", markup=False)


@sink_group.command("show")
@command
def show_sink(name: Name, as_json: Json = False) -> None:
    """Show a sink as YAML, with its revisions."""
    import yaml

    from alerting.usecases.sinks.documents import sink_detail

    with platform() as p:
        found = sink_detail(p, name, p.clock.now())
    if as_json:
        print_json({"sink": found.document, "revisions": found.revisions, "status": found.status})
        return
    text = yaml.safe_dump(dict(found.document), sort_keys=False, allow_unicode=True)
    console.print(text, markup=False, end="")
    for revision in found.revisions:
        console.print(
            f"# revision {revision.number}, {revision.at.isoformat(timespec='seconds')}, "
            f"{revision.actor}"
        )


@sink_group.command("test")
@command
def test_sink(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE", help="Name of a sink, or the file of one that is not applied yet."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Connect the receiver of a sink and send it a message that is marked as a test.

    A database and a folder are looked at, and get no row.
    """
    import os

    from alerting.settings.environment import read_settings
    from alerting.usecases.sinks.documents import SINK_FORM
    from alerting.usecases.sinks.trial import try_sink
    from alerting.wiring import sink_opener

    file = Path(name)
    given = SINK_FORM.check(read_documents([file], "sink", _EXAMPLE)) if file.is_file() else []
    with platform() as p:
        sink = given[0] if given else SINK_FORM.find(p.sinks, name)
        opened = sink_opener(read_settings(os.environ))
        done = try_sink(opened, sink, user(), p.clock.now())
    show_result({"sink": sink.name, "result": done}, as_json, f"sink {sink.name}: {done}")


@sink_group.command("pause")
@writes
def pause(name: Name, as_json: Json = False) -> None:
    """Pause a sink: alarms wait until it is resumed, values within `values_wait`."""
    _set_state(name, "paused", as_json)


@sink_group.command("resume")
@writes
def resume(name: Name, as_json: Json = False) -> None:
    """Resume a sink that is paused or retired."""
    _set_state(name, "active", as_json)


@sink_group.command("retire")
@writes
def retire(name: Name, as_json: Json = False) -> None:
    """Retire a sink: its document, revisions and dead letters stay."""
    _set_state(name, "retired", as_json)


def _set_state(name: str, state: "SourceState", as_json: bool) -> None:
    from alerting.usecases.sinks.documents import change_sink_state

    with platform() as p:
        change_sink_state(p, name, state, None, user(), p.clock.now())
    show_result({"sink": name, "state": state}, as_json, f"sink {name} is {state}")


@sink_group.command("dead-letters")
@command
def list_letters(name: Name, as_json: Json = False) -> None:
    """List messages that the receiver of a sink refused, with the reason."""
    from alerting.usecases.sinks.documents import SINK_FORM

    with platform() as p:
        SINK_FORM.find(p.sinks, name)
        letters = p.sink_deliveries.letters(name, _MOST_LETTERS)
    rows = [
        {
            "id": one.id,
            "at": one.at,
            "sends": one.message.sends,
            "definition": one.message.definition,
            "asset": one.message.asset,
            "reason": one.reason,
        }
        for one in letters
    ]
    columns = ["id", "at", "sends", "definition", "asset", "reason"]
    show(rows, columns, as_json, "no dead letters")


@sink_group.command("retry")
@writes
def retry(name: Name, as_json: Json = False) -> None:
    """Let the stream service send the dead letters of a sink once more, under the same keys."""
    from alerting.usecases.sinks.documents import retry_letters

    with platform() as p:
        count = retry_letters(p, name, user(), p.clock.now())
    text = f"{count} dead letters of sink {name} are sent once more"
    show_result({"sink": name, "letters": count}, as_json, text)


def _row(status: "SinkStatus") -> dict[str, Any]:
    from alerting.definitions.durations import format_duration

    return {
        **{name: getattr(status, name) for name in ("name", "kind", "state", "sent")},
        "left out": status.left_out,
        "dead letters": status.letters,
        "lag": format_duration(status.lag),
    }
