"""Commands on documents of all kinds: `check` and `apply`."""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerting.cli.output import (
    Line,
    Output,
    OutputTable,
    colored,
    console,
    plain,
    print_lines,
    prints_json,
)
from alerting.cli.support import (
    DryRun,
    command,
    definition_notes,
    is_served,
    lines_of_notes,
    platform,
    read_documents,
    user,
    writes,
)
from alerting.definitions.faults import NotFound, UserError, name_hint
from alerting.definitions.left import find_left
from alerting.settings.environment import read_settings

if TYPE_CHECKING:
    from alerting.ports import Platform, SourcePorts
    from alerting.usecases.documents import DocumentKind, DocumentReview

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


def kinds() -> "Mapping[str, DocumentKind[Any, Any]]":
    """Return the kinds of documents, which a list of definitions does without: they load numpy."""
    from alerting.usecases.document_kinds import KINDS

    return KINDS


def stored_names(p: "Platform") -> dict[Sort, list[str]]:
    """Return the names of all stored documents by their sort."""
    return {
        sort: [str(one.get("name")) for one in kind.store(p).documents()]
        for sort, kind in kinds().items()
    }


def require_sort(given: Sort) -> Sort:
    """Return what was given for `--as`. Raises UserError for no kind of documents."""
    if given not in kinds():
        hint = name_hint(given, kinds(), "kinds")
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
) -> Output:
    """Check documents of any kind: lists every fault without applying them.

    The NAME of a stored definition checks its document, also one that was edited in the database.
    Of a trained definition without stride or windows it says what was derived from the data, or
    would be.
    """
    from alerting.usecases.definitions import lookup, sync

    names = {file for file in files if not (file.exists() or file.suffix or len(file.parts) > 1)}
    documents, origins = read_documents([file for file in files if file not in names])
    found = sort_of(documents, sort)
    notes: dict[str, dict[str, Any]] = {}
    with platform() as p:
        if found == DEFINITION:
            stored = [lookup.require_document(p.definitions, str(name)) for name in sorted(names)]
            good = sync.check(p, documents + stored, origins + [""] * len(stored))
            derived = {d.name: {"derived": _derived(p, d)} for d in good}
            notes = {name: derived[name] | of for name, of in definition_notes(p, good).items()}
        else:
            good = kinds()[found].check(p, documents, origins)
    columns = kinds()[found].columns
    rows = rows_of(good, columns)
    table = OutputTable(rows, columns, "no documents in these files")
    value = [row | notes.get(row["name"], {}) for row in rows]
    return Output(value, [table, *lines_of_notes(notes)])


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


def _derived(p: "Platform", definition: Any) -> list[str]:
    from alerting.definitions.model import TrainedDefinition
    from alerting.usecases.training.dataset import describe_features

    if not isinstance(definition, TrainedDefinition):
        return []
    return [*filter(None, [describe_features(p, definition, p.clock.now())])]


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
) -> Output:
    """Apply documents of a kind: shows the plan, then writes all of them, or none. Each change is a
    revision.

    Definitions that become active are first evaluated over the last days; if that breaks the alarm
    budget of a position, nothing is applied. Of new sources it waits until the stream service has
    subscribed at their brokers, 20 seconds at most: many keep nothing until then.
    """
    from alerting.usecases.definitions import next_steps
    from alerting.usecases.sources.documents import subscribed_by_stream

    documents, origins = read_documents(files)
    found = sort_of(documents, sort)
    kind = kinds()[found]
    with platform() as p:
        now = p.clock.now()
        reviews = kind.plan(p, documents, origins)
        rows = [_planned(review) for review in reviews]
        print_lines(_lines_of_plan(rows))
        if not dry_run:
            kind.apply_plan(p, reviews, user(), now, reason, accepted=accept_load)
        if found == "source" and not (dry_run or prints_json()):
            wait_for_brokers(p, subscribed_by_stream(reviews), now)
        pages = {} if dry_run else _start_trainings(p, reviews)
    changed = [row for row in rows if row["action"] != "unchanged"]
    value = {"plan": rows, "applied": not dry_run, "started": pages}
    if dry_run:
        return Output(value, [f"dry run: no {found} was changed"])
    steps = [row["next"] for row in changed if row.get("next")]
    lines = [f"applied: {len(changed)} of {len(rows)} changed"]
    lines += [f"next: {step}" for step in [next_steps.one_step(steps)] if step]
    lines += [
        f"{name}: training started: {page}; its result: alerting models {name}"
        for name, page in pages.items()
    ]
    if steps and not is_served():
        lines.append(
            "the platform does not run, so this waits until you start it with `alerting up`"
        )
    return Output(value, lines, has_written=bool(changed))


def _planned(review: "DocumentReview[Any]") -> dict[str, Any]:
    """Return what a change does: its fields, and its further effects."""
    changes = "; ".join(
        f"{field}: {json.dumps(plain(before))} → {json.dumps(plain(after))}"
        for field, (before, after) in review.changes.items()
    )
    row = {"name": review.name, "action": review.action, "changes": changes}
    return row if review.effects is None else row | vars(review.effects)


def _lines_of_plan(rows: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    yield OutputTable(rows, ["name", "action", "changes"], "no documents in these files")
    changed = [row for row in rows if row["action"] != "unchanged"]
    yield from lines_of_notes({row["name"]: row for row in changed})
    for load in filter(None, (row.get("load") for row in rows)):
        style = "red" if load.breaks else ""
        yield from (colored(f"{load.definition}: {text}", style) for text in load.messages)


def _start_trainings(p: "Platform", reviews: "Sequence[DocumentReview[Any]]") -> dict[str, str]:
    """Start the trainings that follow; return their pages by definition."""
    from alerting.definitions.model import ModelDefinition

    if not any(
        review.action != "unchanged" and isinstance(review.read, ModelDefinition)
        for review in reviews
    ):
        return {}
    from alerting.local.airflow_client import start_trainings

    return start_trainings(read_settings(os.environ), p)


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
