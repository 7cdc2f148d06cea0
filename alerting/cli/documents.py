"""Commands on documents of all kinds: `check` and `apply`."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerting.cli.output import (
    console,
    plain,
    print_json,
    show,
)
from alerting.cli.support import (
    DryRun,
    Json,
    command,
    definition_notes,
    is_served,
    platform,
    read_documents,
    show_notes,
    user,
    writes,
)
from alerting.definitions.faults import NotFound, UserError, name_hint
from alerting.definitions.left import find_left

if TYPE_CHECKING:
    from alerting.definitions.revisions import Plan
    from alerting.ports import Platform, SourcePorts

Sort = str
"""The word for a document of a kind, such as `source`."""
Files = Annotated[
    list[Path],
    typer.Argument(
        help="YAML or JSON files, each with one document, a list, or several documents."
    ),
]
As = Annotated[
    Sort | None,
    typer.Option(
        "--as",
        help="What the documents are (definition, source, sink, route or asset), where their "
        "fields leave it open.",
        metavar="KIND",
    ),
]
DEFINITION: Sort = "definition"
_SUBSCRIBED_WITHIN_S = 20.0
_SERVICE_WITHIN_S = 5.0
_POLL_S = 0.2


def sort_of(documents: Sequence[Mapping[str, Any]], given: Sort | None = None) -> Sort:
    """Return what documents are, as given, else by their fields. Raises UserError if they are of
    several sorts."""
    if given:
        return require_sort(given)
    sorts = {_sort_of_one(document) for document in documents}
    if len(sorts) > 1:
        raise UserError(
            f"the files hold documents of several sorts: {', '.join(sorted(sorts))}; give those of "
            "one sort at a time"
        )
    return next(iter(sorts), DEFINITION)


def _sort_of_one(document: Mapping[str, Any]) -> Sort:
    from alerting.definitions.sinks.sink import sink_kinds
    from alerting.definitions.sources.source import source_kinds

    kind = document.get("kind")
    if kind is None or not isinstance(kind, str):
        return "route" if "channels" in document else "definition"
    kinds: dict[Sort, Any] = {"source": source_kinds(), "sink": sink_kinds()}
    fits: dict[Sort, tuple[bool, int]] = {}
    for sort, models in kinds.items():
        fields = models[kind].model_fields if kind in models else {}
        if fields or find_left(f"kind of {sort}", kind):
            needed = {name for name, field in fields.items() if field.is_required()}
            fits[sort] = (needed <= document.keys(), len(document.keys() & fields.keys()))
    if len(fits) == 2 and not any(known for _, known in fits.values()):
        return "sink" if "sends" in document else "source"
    return max(fits, key=lambda sort: fits[sort], default="definition")


def stored_names(p: "Platform") -> dict[Sort, list[str]]:
    """Return the names of all stored documents by their sort."""
    from alerting.usecases.document_kinds import KINDS

    return {
        sort: [str(one.get("name")) for one in kind.store(p).documents()]
        for sort, kind in KINDS.items()
    }


def require_sort(given: Sort) -> Sort:
    """Return what was given for `--as`. Raises UserError for no kind of documents."""
    from alerting.usecases.document_kinds import KINDS

    if given not in KINDS:
        hint = name_hint(given, KINDS, "kinds")
        raise UserError(f"--as: {given!r} is no kind of documents; {hint}")
    return given


def sort_of_name(p: "Platform", name: str, given: Sort | None, among: Sequence[Sort]) -> Sort:
    """Return of which sort the stored document of a name is. Raises NotFound, and UserError if
    several bear it."""
    names = {sort: of for sort, of in stored_names(p).items() if sort in among}
    found = [sort for sort, of in names.items() if name in of]
    if given is not None:
        return require_sort(given)
    if not found:
        every = [one for of in names.values() for one in of]
        nouns = ", ".join(among[:-1]) + f" or {among[-1]}" if len(among) > 1 else among[0]
        hint = name_hint(name, every, "names") or "there are none yet"
        raise NotFound(f"there is no {nouns} {name!r}; {hint}")
    if len(found) > 1:
        raise UserError(f"{name} is the name of a {' and a '.join(found)}: say which with --as")
    return found[0]


@command
def check(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILES|NAMES", help="YAML or JSON files, or stored definitions."),
    ],
    sort: As = None,
    as_json: Json = False,
) -> None:
    """Check documents of any kind: lists every fault without applying them.

    The NAME of a stored definition checks its document, also one that was edited in the database.
    Of a trained definition without stride or windows it says what was derived from the data, or
    would be.
    """
    from alerting.usecases.definitions import checking, lookup
    from alerting.usecases.document_kinds import KINDS

    names = {file for file in files if not (file.exists() or file.suffix or len(file.parts) > 1)}
    documents, origins = read_documents([file for file in files if file not in names])
    found = sort_of(documents, sort)
    with platform() as p:
        if found != DEFINITION:
            good: Sequence[Any] = KINDS[found].check(p, documents)
            columns = KINDS[found].columns
            return show(rows_of(good, columns), columns, as_json, "no documents in these files")
        stored = [lookup.require_document(p.definitions, str(name)) for name in sorted(names)]
        good = checking.check(p, documents + stored, origins + [""] * len(stored))
        derived = {d.name: _derived(p, d) for d in good}
        notes = definition_notes(p, good)
    columns = KINDS[found].columns
    rows = rows_of(good, columns)
    if as_json:
        return print_json(
            [{**row, "derived": derived[row["name"]], **notes[row["name"]]} for row in rows]
        )
    show(rows, columns, False, "no documents in these files")
    for name, message in derived.items():
        if message is not None:
            console.print(f"{name}: {message}")
    return show_notes(notes)


def rows_of(documents: Sequence[Any], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return the fields of documents that a table shows."""
    from alerting.reporting.base.messages import match_text

    return [
        {
            name: match_text(one.match) if name == "match" and hasattr(one, "channels") else value
            for name in columns
            if (value := getattr(one, name, None)) is not None
        }
        for one in documents
    ]


def _derived(p: "Platform", definition: Any) -> str | None:
    from alerting.definitions.model import TrainedDefinition

    if not isinstance(definition, TrainedDefinition):
        return None
    from alerting.usecases.training.dataset import describe_features

    return describe_features(p, definition, p.clock.now())


@writes
def apply(
    files: Files,
    dry_run: DryRun = False,
    reason: Annotated[
        str, typer.Option("--reason", help="Reason, recorded with the revision.")
    ] = "applied from files",
    accept_load: Annotated[
        str,
        typer.Option(
            "--accept-load",
            help="Reason to accept more alarms than the budget allows; recorded in the audit.",
            metavar="REASON",
        ),
    ] = "",
    sort: As = None,
    as_json: Json = False,
) -> bool:
    """Apply documents of a kind: shows the plan, then writes all of them, or none. Each change is a
    revision.

    Definitions that become active are first evaluated over the last days; if that breaks the alarm
    budget of a position, nothing is applied. Of new sources it waits until the stream service has
    subscribed at their brokers, 20 seconds at most: many keep nothing until then.
    """
    documents, origins = read_documents(files)
    found = sort_of(documents, sort)
    if found == DEFINITION:
        return _apply_definitions(documents, origins, dry_run, reason, accept_load, as_json)
    from alerting.usecases.document_kinds import KINDS

    kind = KINDS[found]
    with platform() as p:
        now = p.clock.now()
        plans = (
            kind.plan(p, documents) if dry_run else kind.apply(p, documents, user(), now, reason)
        )
        rows = [{"name": plan.name, "action": plan.action} for plan in plans]
        show(rows, ["name", "action"], as_json, "no documents in these files")
        if found == "source" and not (dry_run or as_json):
            from alerting.usecases.sources.documents import subscribed_by_stream

            wait_for_brokers(p, subscribed_by_stream(plans), now)
    if dry_run and not as_json:
        console.print(f"dry run: no {found} was changed")
    return any(plan.action != "unchanged" for plan in plans)


def _apply_definitions(
    documents: list[dict[str, Any]],
    origins: list[str],
    dry_run: bool,
    reason: str,
    accept_load: str,
    as_json: bool,
) -> bool:
    from alerting.usecases.alarm_load.budget_gate import apply_within_budget, forecasts
    from alerting.usecases.definitions import sync
    from alerting.usecases.definitions.next_steps import next_steps

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
            show(rows, ["name", "action", "changes"], False, "no documents in these files")
            show_notes(notes)
            for forecast in load:
                for sentence in forecast.messages:
                    style = "red" if forecast.breaks else None
                    console.print(f"{forecast.definition}: {sentence}", style=style)
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
        console.print(f"{name}: training started: {page}; its result: alerting models {name}")
    if following and not is_served():
        console.print(
            "the platform does not run, so this waits until you start it with `alerting up`"
        )


def wait_for_brokers(p: "SourcePorts", names: Sequence[str], since: datetime) -> None:
    """Wait until the stream service has subscribed for sources, and say so of each."""
    began = time.monotonic()
    waiting = list(names)
    while waiting and (waited := time.monotonic() - began) < _SUBSCRIBED_WITHIN_S:
        if waited >= _SERVICE_WITHIN_S and p.leases.find("stream") is None:
            console.print(
                f"{', '.join(waiting)}: no stream service runs yet; `alerting up` and `alerting "
                "stream` run one"
            )
            return
        time.sleep(_POLL_S)
        for name in list(waiting):
            read = p.deliveries.progress(name).read_until
            if read is not None and read >= since:
                console.print(f"{name}: subscribed, and read from now on")
                waiting.remove(name)
    for name in waiting:
        why = (
            p.deliveries.progress(name).fault
            or f"source {name}: the stream service has not subscribed yet"
        )
        console.print(f"{why}; what the broker does not keep until then is lost", style="red")
