"""Commands on definitions: `check`, `apply`, `list`, `show` and `alerting definition …`."""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerting.cli.printing.output import (
    cell,
    console,
    plain,
    print_json,
    print_text,
    show,
    show_platform_alerts,
    show_result,
    table_lines,
    table_width,
    zone,
)
from alerting.cli.support import (
    DefinitionName,
    DryRun,
    InPlant,
    Json,
    command,
    command_group,
    definition_notes,
    is_served,
    platform,
    read_definitions,
    seen_in,
    show_notes,
    user,
    write_file,
    writes,
)
from alerting.definitions.faults import legible
from alerting.definitions.wording.clean_text import clean_text

if TYPE_CHECKING:
    from alerting.adapters.platform import Platform
    from alerting.definitions.model import Definition
    from alerting.definitions.revisions import Plan
    from alerting.usecases.alarm_load.budget_gate import LoadForecast

definition_group = command_group("Definitions: export them as files, take them out of service.")


Files = Annotated[
    list[Path],
    typer.Argument(
        help="YAML or JSON files, each with one definition, a list, or several documents."
    ),
]
FilesOrNames = Annotated[
    list[Path],
    typer.Argument(metavar="FILES|NAMES", help="YAML or JSON files, or names of stored ones."),
]
Reason = Annotated[str, typer.Option("--reason", help="Reason, recorded with the revision.")]


@command
def check(files: FilesOrNames, as_json: Json = False) -> None:
    """Check definitions against the stored assets: lists every fault without applying them.

    The NAME of a stored definition checks its document, also one that was edited in the database.
    Of a trained definition without stride or windows it says what was derived from the data, or
    would be.
    """
    from alerting.usecases.definitions import checking, lookup

    names = {file for file in files if not (file.exists() or file.suffix or len(file.parts) > 1)}
    documents, origins = read_definitions([file for file in files if file not in names])
    stored = [str(name) for name in sorted(names)]
    with platform() as p:
        good = checking.check(
            p,
            documents + [lookup.require_document(p.definitions, name) for name in stored],
            origins + [""] * len(stored),
        )
        derived = {d.name: _derived(p, d) for d in good}
        notes = definition_notes(p, good)
    rows = [
        {"name": d.name, "kind": d.kind, "assets": ", ".join(d.assets), "state": d.state}
        for d in good
    ]
    shown = [{**r, "derived": derived[r["name"]], **notes[r["name"]]} for r in rows]
    show(
        shown if as_json else rows,
        ["name", "kind", "assets", "state"],
        as_json,
        "no definitions in these files",
    )
    if not as_json:
        for name, message in derived.items():
            if message is not None:
                console.print(f"{name}: {message}", markup=False)
        show_notes(notes)


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
            "--accept-load",
            help="Reason to accept more alarms than the budget allows; recorded in the audit.",
            metavar="REASON",
        ),
    ] = "",
    as_json: Json = False,
) -> bool:
    """Apply definitions: shows the plan and the expected alarm load, then writes all of them, or
    none.

    Definitions that become active are first evaluated over the last days; if that breaks the alarm
    budget of a position, nothing is applied.
    """
    from alerting.usecases.alarm_load.budget_gate import apply_within_budget, forecasts
    from alerting.usecases.definitions import sync
    from alerting.usecases.definitions.next_steps import next_steps

    documents, origins = read_definitions(files)
    with platform() as p:
        plans = sync.plan(p, documents, origins)
        now = p.clock.now()
        rows = [
            {
                "name": i.name,
                "action": i.action,
                "changes": "; ".join(
                    f"{k}: {json.dumps(plain(a))} → {json.dumps(plain(b))}"
                    for k, (a, b) in i.changes.items()
                ),
            }
            for i in plans
        ]
        notes = definition_notes(p, (i.definition for i in plans if i.action != "unchanged"))
        load = forecasts(p, plans, now)
        following = next_steps(
            p.assets, p.definitions, p.decisions, p.trainings, plans, datetime.now(UTC)
        )
        if not as_json:
            show(rows, ["name", "action", "changes"], False, "no definitions in these files")
            show_notes(notes)
            _show_load(load)
        if not dry_run:
            apply_within_budget(p, documents, load, user(), now, reason, accept_load)
        started = {} if dry_run else _start_trainings(p, plans)
    if as_json:
        found = {"plan": rows, "load": load, "notes": notes, "started": started}
        print_json(found | {"applied": not dry_run, "next": [] if dry_run else following})
    elif dry_run:
        console.print("dry run: no definition was changed")
    else:
        _show_applied(plans, following, started)
    return any(plan.action != "unchanged" for plan in plans)


def _show_load(load: "Sequence[LoadForecast]") -> None:
    for forecast in load:
        style = "red" if forecast.breaks else None
        for sentence in forecast.messages:
            console.print(f"{forecast.definition}: {sentence}", style=style)


def _start_trainings(p: "Platform", plans: "Sequence[Plan]") -> dict[str, str]:
    from alerting.definitions.model import ModelDefinition

    if not any(
        plan.action != "unchanged" and isinstance(plan.definition, ModelDefinition)
        for plan in plans
    ):
        return {}
    from alerting.local.airflow_client import start_trainings
    from alerting.settings.environment import read_settings

    return start_trainings(read_settings(os.environ), p)


def _show_applied(
    plans: "Sequence[Plan]", following: Sequence[str], started: dict[str, str]
) -> None:
    from alerting.usecases.definitions.next_steps import one_step

    console.print(f"applied: {sum(i.action != 'unchanged' for i in plans)} of {len(plans)} changed")
    step = one_step(following)
    if step is not None:
        console.print(f"next: {step}")
    for name, page in started.items():
        console.print(f"{name}: training started: {page}; follow it: alerting train {name}")
    if following and not is_served():
        console.print(
            "the platform does not run, so this waits until you start it with `alerting up`"
        )


@command
def list_definitions(in_plant: InPlant = None, as_json: Json = False) -> None:
    """List all definitions with their last evaluation and training; faults, new questions, and
    faults of the platform follow."""
    from alerting.local.processes import may_run
    from alerting.usecases.definitions import lookup, sync
    from alerting.usecases.definitions.training_state import describe_trainings
    from alerting.usecases.platform_health.last_runs import last_runs
    from alerting.usecases.training.due import end_dead_trainings

    with platform() as whole:
        sync.sync(whole, whole.clock.now())
        end_dead_trainings(whole, may_run)
        p = seen_in(whole, in_plant)
        faults = p.definitions.faulty()
        latest = p.definitions.latest_revisions()
        states = describe_trainings(p.definitions, p.decisions, p.trainings, latest, p.zone)
        runs = last_runs(p, latest)
        rows = [
            lookup.summary(r, faults.get(r.name, []))
            | {"training": states.get(r.name)}
            | vars(runs[r.name])
            for r in latest
        ]
        listed = {r["name"] for r in rows}
        rows += [
            {"name": n, "state": "faulty", "faults": f}
            for n, f in sorted(faults.items())
            if n not in listed
        ]
        unmended = p.platform_alerts.open()
    short_names = {"rev": "revision", "evaluated": "evaluated_at", "trained": "trained_at"}
    shown = (
        rows
        if as_json
        else [row | {short: row.get(name) for short, name in short_names.items()} for row in rows]
    )
    columns = ["name", "kind", "state", "rev", "assets", "severity"]
    columns += ["since", "evaluated", "model", "trained"]
    if as_json or not rows or table_width(shown, columns) <= console.width:
        show(shown, columns, as_json, "no definitions yet: alerting apply FILE")
    else:
        _show_in_two_lines(shown)
    if not as_json:
        for row in rows:
            for fault in row.get("faults", []):
                console.print(f"{row['name']}: {fault}", style="red")
            if row.get("training"):
                console.print(f"{row['name']}: {row['training']}", style="yellow")
        show_platform_alerts([a for a in unmended if a.subject not in faults])


def _show_in_two_lines(rows: Sequence[dict[str, Any]]) -> None:
    """Print two lines for each definition, for a narrow screen; long names of assets are cut."""
    for row in rows:
        what = ", ".join(str(row[key]) for key in ("kind", "state") if row.get(key))
        assets = f" on {row['assets']}" if row.get("assets") else ""
        console.print(legible(f"{row['name']}  {what}{assets}", console.width), style="bold")
        model = " ".join(cell(row.get(key)) for key in ("model", "trained") if row.get(key))
        parts = [f"r{row['rev']}"] if row.get("rev") else []
        parts += [row["severity"]] if row.get("severity") else []
        parts += [f"since {cell(row['since'])}"] if row.get("since") else []
        parts += [model] if model else []
        parts += [f"evaluated to {cell(row['evaluated'])}"] if row.get("evaluated") else []
        if parts:
            console.print(f"    {', '.join(parts)}")
    console.print(f"times: {zone()}", style="dim")


@command
def show_definition(
    name: DefinitionName,
    revision: Annotated[int | None, typer.Option(help="An older revision.")] = None,
    as_json: Json = False,
) -> None:
    """Show a definition as YAML, which `apply` reads back unchanged; its revisions follow as
    comments."""
    from alerting.definitions.model import ModelDefinition, TrainedDefinition
    from alerting.definitions.revisions import definition_document
    from alerting.usecases.definitions import lookup, sync
    from alerting.usecases.definitions.derived import stored_features
    from alerting.usecases.definitions.training_state import describe_trainings

    with platform() as p:
        sync.sync(p, p.clock.now())
        chosen = lookup.require_revision(p.definitions, name, revision)
        history = p.definitions.revisions(name)
        faults = p.definitions.faulty().get(name, [])
        training = describe_trainings(
            p.definitions, p.decisions, p.trainings, history[-1:], p.zone
        ).get(name)
        derived = (
            stored_features(p.derived_features, chosen.definition)
            if isinstance(chosen.definition, TrainedDefinition)
            else None
        )
    document = definition_document(chosen.definition)
    if as_json:
        found = {"definition": document, "revision": chosen.number, "revisions": history}
        print_json(found | {"faults": faults, "derived": derived, "training": training})
        return
    print_text(_yaml(document))
    rows = [vars(r) | {"revision": r.number, "hash": r.hash[:12]} for r in history]
    columns = ["revision", "at", "author", "reason", "hash"]
    lines = [line.plain for line in table_lines(rows, columns, console.width - 2)]
    lines += [
        f"the current document is faulty, revision {chosen.number} stays in force: {fault}"
        for fault in faults
    ]
    lines += [] if derived is None else [derived.message]
    if isinstance(chosen.definition, ModelDefinition):
        zone = chosen.definition.schedule.timezone
        lines.append(
            f"trained by the schedule {chosen.definition.retrain_cron or 'null: only by hand'} "
            f"({zone})"
        )
    lines += [] if training is None else [training]
    print_text(
        "".join(
            f"# {line}\n" for text in lines for line in clean_text(text, visible=True).splitlines()
        )
    )


@definition_group.command("export")
@command
def export(
    names: Annotated[
        list[str] | None, typer.Argument(help="Definitions; all of them when left out.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write; standard output when left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write definitions as YAML (with --json: as a JSON list) that `apply` reads back unchanged."""
    from alerting.definitions.revisions import definition_document
    from alerting.usecases.definitions import lookup, sync

    with platform() as p:
        sync.sync(p, p.clock.now())
        chosen = (
            [lookup.require_revision(p.definitions, n) for n in names]
            if names
            else p.definitions.latest_revisions()
        )
    documents = [definition_document(r.definition) for r in chosen]
    text = (
        json.dumps(documents, indent=2) + "\n" if as_json else "---\n".join(map(_yaml, documents))
    )
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

    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1 << 20)


@definition_group.command("retire")
@writes
def retire(name: DefinitionName, reason: Reason = "retired", as_json: Json = False) -> None:
    """Take a definition out of service; its history, models and episodes stay."""
    from alerting.usecases.definitions import sync
    from alerting.usecases.evaluation.orphans import close_orphans

    with platform() as p:
        revision = sync.retire(p, name, user(), p.clock.now(), reason)
        closed = close_orphans(p, p.clock.now())
    result = {"definition": name, "revision": revision.number, "closed": closed}
    text = f"{name} is retired with revision {revision.number}; {closed} open episodes closed"
    show_result(result, as_json, text)
