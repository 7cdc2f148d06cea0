"""Commands on definitions: `check`, `apply`, `list`, `show` and `alerting definition …`."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerting.cli.models import show_platform_alerts
from alerting.cli.printing.output import console, plain, print_json, print_text, show, show_result, table_lines
from alerting.cli.support import (
    DefinitionName,
    DryRun,
    Json,
    command,
    command_group,
    is_served,
    platform,
    read_documents,
    user,
    write_file,
    writes,
)
from alerting.definitions.wording.clean_text import clean_text

if TYPE_CHECKING:
    from alerting.definitions.model import Definition
    from alerting.ports import Platform

definition_group = command_group("Definitions: export them as files, take them out of service.")

_HASH_SHOWN = 12
_STEPS_SHOWN = 6
_WIDEST_LINE = 1 << 20

Files = Annotated[list[Path], typer.Argument(help="YAML or JSON files, each with one definition, a list, or several documents.")]
Reason = Annotated[str, typer.Option("--reason", help="Reason, recorded with the revision.")]


@command
def check(files: Files, as_json: Json = False) -> None:
    """Check definitions against the stored assets: lists every fault without applying them.

    Of a trained definition without stride or windows it says what was derived from the data, or would be.
    """
    from alerting.usecases.definitions import sync

    documents = read_documents(files)
    with platform() as p:
        good = sync.check(p, documents)
        derived = {d.name: _derived(p, d) for d in good}
    rows = [{"name": d.name, "kind": d.kind, "assets": ", ".join(d.assets), "state": d.state} for d in good]
    shown = [{**row, "derived": derived[row["name"]]} for row in rows]
    show(shown if as_json else rows, ["name", "kind", "assets", "state"], as_json, "no definitions in these files")
    for name, message in derived.items():
        if message is not None and not as_json:
            console.print(f"{name}: {message}", markup=False)


def _derived(platform: "Platform", definition: "Definition") -> str | None:
    from alerting.definitions.model import TrainedDefinition

    if not isinstance(definition, TrainedDefinition):
        return None
    from alerting.usecases.training.derived import describe_features

    return describe_features(platform, definition, platform.clock.now())


@writes
def apply(
    files: Files,
    dry_run: DryRun = False,
    reason: Reason = "applied from files",
    accept_load: Annotated[
        str,
        typer.Option(
            "--accept-load", help="Reason to accept more alarms than the budget allows; recorded in the audit.", metavar="REASON"
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Apply definitions: shows the plan and the expected alarm load, then writes all of them, or none.

    Definitions that become active are first evaluated over the last days; if that breaks the alarm budget of a position, nothing
    is applied.
    """
    from alerting.usecases.definitions import sync
    from alerting.usecases.definitions.next_steps import next_steps
    from alerting.usecases.operations.alarm_budget import apply_within_budget, forecasts

    documents = read_documents(files)
    with platform() as p:
        plans = sync.plan(p, documents)
        now = p.clock.now()
        rows = [{"name": i.name, "action": i.action, "changes": _changes(i.changes)} for i in plans]
        load = forecasts(p, plans, now)
        following = next_steps(p.assets, p.decisions, plans, datetime.now(UTC))
        if not as_json:
            show(rows, ["name", "action", "changes"], False, "no definitions in these files")
            for forecast in load:
                for sentence in forecast.messages:
                    console.print(f"{forecast.definition}: {sentence}", style="red" if forecast.breaks else None)
        if not dry_run:
            apply_within_budget(p, documents, load, user(), now, reason, accept_load)
    if as_json:
        print_json({"plan": rows, "load": load, "applied": not dry_run, "next": [] if dry_run else following})
    elif dry_run:
        console.print("dry run: no definition was changed")
    else:
        console.print(f"applied: {sum(i.action != 'unchanged' for i in plans)} of {len(plans)} changed")
        for step in following[:_STEPS_SHOWN]:
            console.print(f"next: {step}")
        if len(following) > _STEPS_SHOWN:
            console.print(f"next: and so on for {len(following) - _STEPS_SHOWN} more: alerting list")
        if following and not is_served():
            console.print("the platform does not run: start it with `alerting up`, and it does the following")


def _changes(changes: dict[str, tuple[Any, Any]]) -> str:
    return "; ".join(f"{k}: {json.dumps(plain(a))} → {json.dumps(plain(b))}" for k, (a, b) in changes.items())


@command
def list_definitions(as_json: Json = False) -> None:
    """List all definitions with kind, state and revision; faulty ones with their faults."""
    from alerting.usecases.definitions import sync

    with platform() as p:
        sync.sync(p, p.clock.now())
        faults = p.definitions.faulty()
        rows = [sync.summary(r, faults.get(r.name, [])) for r in p.definitions.latest()]
        listed = {r["name"] for r in rows}
        rows += [{"name": n, "state": "faulty", "faults": f} for n, f in sorted(faults.items()) if n not in listed]
        unmended = p.platform_alerts.open()
    shown = rows if as_json else [row | {"rev": row.get("revision")} for row in rows]
    columns = ["name", "kind", "state", "rev", "assets", "severity", "since"]
    show(shown, columns, as_json, "no definitions yet: alerting apply FILE")
    if not as_json:
        for row in rows:
            for fault in row.get("faults", []):
                console.print(f"{row['name']}: {fault}", style="red")
        show_platform_alerts([a for a in unmended if a.subject not in faults])


@command
def show_definition(
    name: DefinitionName,
    revision: Annotated[int | None, typer.Option(help="An older revision.")] = None,
    as_json: Json = False,
) -> None:
    """Show a definition as YAML, which `apply` reads back unchanged; its revisions follow as comments."""
    from alerting.definitions.model import TrainedDefinition
    from alerting.definitions.revisions import definition_document
    from alerting.usecases.definitions import sync
    from alerting.usecases.definitions.derived import stored_features

    with platform() as p:
        sync.sync(p, p.clock.now())
        chosen = sync.require_revision(p, name, revision)
        history = p.definitions.revisions(name)
        faults = p.definitions.faulty().get(name, [])
        derived = stored_features(p, chosen.definition) if isinstance(chosen.definition, TrainedDefinition) else None
    document = definition_document(chosen.definition)
    if as_json:
        print_json(
            {"definition": document, "revision": chosen.number, "revisions": history, "faults": faults, "derived": derived}
        )
        return
    print_text(_yaml(document))
    rows = [
        {"revision": r.number, "at": r.at, "author": r.author, "reason": r.reason, "hash": r.hash[:_HASH_SHOWN]} for r in history
    ]
    lines = [line.plain for line in table_lines(rows, ["revision", "at", "author", "reason", "hash"], console.width - 2)]
    lines += [f"the current document is faulty, revision {chosen.number} stays in force: {fault}" for fault in faults]
    lines += [] if derived is None else [derived.message]
    print_text("".join(f"# {line}\n" for text in lines for line in clean_text(text, visible=True).splitlines()))


@definition_group.command("export")
@command
def export(
    names: Annotated[list[str] | None, typer.Argument(help="Definitions; all of them when left out.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="File to write; standard output when left out.")] = None,
    as_json: Json = False,
) -> None:
    """Write definitions as YAML (with --json: as a JSON list) that `apply` reads back unchanged."""
    from alerting.definitions.revisions import definition_document
    from alerting.usecases.definitions import sync

    with platform() as p:
        sync.sync(p, p.clock.now())
        chosen = [sync.require_revision(p, n) for n in names] if names else p.definitions.latest()
    documents = [definition_document(r.definition) for r in chosen]
    text = json.dumps(documents, indent=2) + "\n" if as_json else "---\n".join(map(_yaml, documents))
    if out is not None:
        write_file(out, text)
        result = {"file": out, "definitions": [d["name"] for d in documents]}
        show_result(result, as_json, f"{len(chosen)} definitions written to {out}")
    elif as_json:
        print_json(documents)
    else:
        print_text(text)


def _yaml(document: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=_WIDEST_LINE)


@definition_group.command("retire")
@writes
def retire(name: DefinitionName, reason: Reason = "retired", as_json: Json = False) -> None:
    """Take a definition out of service; its history, models and episodes stay."""
    from alerting.usecases.definitions import sync
    from alerting.usecases.operations import maintain

    with platform() as p:
        revision = sync.retire(p, name, user(), p.clock.now(), reason)
        closed = maintain.close_orphans(p, p.clock.now())
    result = {"definition": name, "revision": revision.number, "closed": closed}
    show_result(result, as_json, f"{name} is retired with revision {revision.number}; {closed} open episodes closed")
