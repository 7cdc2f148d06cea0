"""Commands on documents of all kinds: `check`, `apply`, `list` and `show`."""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from alerting.cli.command import (
    Line,
    Output,
    OutputTable,
    cell,
    colored,
    command,
    console,
    definition_notes,
    is_served,
    lines_of_notes,
    plain,
    platform,
    print_lines,
    prints_json,
    readable,
    say,
    short,
    table_lines,
    table_output,
    user,
    writes,
)
from alerting.cli.document_files import Sort, kinds, read_by_sort, require_sort
from alerting.cli.options import DryRun
from alerting.definitions.faults import NotFound, UserError, name_hint
from alerting.definitions.sources import LEASE_LASTS
from alerting.definitions.wording.language import in_english, joined
from alerting.settings.environment import read_settings

if TYPE_CHECKING:
    from alerting.ports import Platform, SourcePorts
    from alerting.usecases.document_life import DocumentReview

Files = Annotated[
    list[Path],
    typer.Argument(
        help="YAML or JSON files, each with one document, a list, or several documents; or folders "
        "of them."
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


def stored_names(p: "Platform") -> dict[Sort, list[str]]:
    """Return the names of all stored documents by their sort."""
    return {
        sort: [str(document.get("name")) for document in kind.store(p).documents()]
        for sort, kind in kinds().items()
    }


def sort_of_name(p: "Platform", name: str, chosen: Sort | None, among: Sequence[Sort]) -> Sort:
    """Return the sort of the stored document with a name. Raises NotFound without one, and
    UserError if several have the name."""
    names = {sort: sort_names for sort, sort_names in stored_names(p).items() if sort in among}
    bearing = [sort for sort, sort_names in names.items() if name in sort_names]
    if chosen is not None:
        return require_sort(chosen)
    if not bearing:
        every = [candidate for sort_names in names.values() for candidate in sort_names]
        nouns = ", ".join(among[:-1]) + f" or {among[-1]}" if len(among) > 1 else among[0]
        hint = name_hint(name, every, "names") or "there are none yet"
        raise NotFound(f"there is no {nouns} {name!r}; {hint}")
    if len(bearing) > 1:
        raise UserError(f"{name} is the name of a {' and a '.join(bearing)}: say which with --as")
    return bearing[0]


@command
def check(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILES|NAMES",
            help="YAML or JSON files, folders of them, or stored definitions.",
        ),
    ],
    sort: As = None,
) -> Output:
    """Check documents of any kind: lists every fault without applying them.

    The NAME of a stored definition checks its document, also one that was edited in the database.
    Of a trained definition without stride or windows it says what was derived from the data, or
    would be.
    """
    from alerting.usecases.definitions import revisions_and_evaluation_plan, versions
    from alerting.usecases.document_kinds import plan_together, with_given_assets

    names = {file for file in files if not (file.exists() or file.suffix or len(file.parts) > 1)}
    cheap = {**kinds(), DEFINITION: revisions_and_evaluation_plan.DEFINITION_DOCUMENTS}
    value: list[dict[str, Any]] = []
    lines: list[Line] = []
    with platform() as p:
        documents = read_by_sort(p, [file for file in files if file not in names], sort)
        for name in sorted(names):
            stored = versions.require_document(p.definitions, str(name))
            documents.setdefault(DEFINITION, []).append((stored, ""))
        beside = with_given_assets(p, documents)
        for word, reviews in plan_together(p, documents, cheap).items():
            good = [review.read for review in reviews if review.read is not None]
            notes = definition_notes(beside, good) if word == DEFINITION else {}
            for definition in good if notes else ():
                notes[definition.name]["derived"] = _describe_derived(beside, definition)
            rows = rows_of(good, kinds()[word].columns)
            value += [row | notes.get(row["name"], {}) for row in rows]
            lines += [OutputTable(rows, kinds()[word].columns, ""), *lines_of_notes(notes)]
    return Output(value, lines or ["no documents in these files"])


def rows_of(documents: Sequence[Any], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return the fields of documents that a table shows."""
    from alerting.reporting.phrases import match_text

    return [
        {
            name: match_text(document.match)
            if name == "match" and hasattr(document, "channels")
            else value
            for name in columns
            if (value := getattr(document, name, None)) is not None
        }
        for document in documents
    ]


def _describe_derived(p: "Platform", definition: Any) -> list[str]:
    from alerting.definitions.alert_definition import TrainedDefinition
    from alerting.usecases.training.definition_dataset import describe_features

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
    """Apply documents: shows the plan, then writes all of them, or none. Each change is a
    revision.

    Documents of several kinds, as of a folder, are applied in the order in which they need each
    other. Definitions that become active are first evaluated over the last days; if that breaks the
    alarm budget of a position, nothing is applied. Of new sources it waits until the stream service
    has subscribed at their brokers, 20 seconds at most: many keep nothing until then.
    """
    from alerting.usecases.definitions import next_steps
    from alerting.usecases.document_kinds import apply_together, plan_together
    from alerting.usecases.sources.status import subscribed_by_stream

    with platform() as p:
        now = p.clock.now()
        plan = plan_together(p, read_by_sort(p, files, sort))
        rows = [
            {"kind": word} | _describe_change(review)
            for word, reviews in plan.items()
            for review in reviews
        ]
        print_lines(_lines_of_plan(rows, len(plan) > 1))
        if not dry_run:
            apply_together(p, plan, user(), now, reason, accept_load)
        if not (dry_run or prints_json()):
            wait_for_brokers(p, subscribed_by_stream(plan.get("source", ())), now)
        pages = {} if dry_run else _start_trainings(p, plan.get(DEFINITION, ()))
        stream = p.leases.find("stream")
        is_streamed = stream is not None and datetime.now(UTC) - stream.seen_at < LEASE_LASTS
    changed = [row for row in rows if row["action"] != "unchanged"]
    value = {"plan": rows, "applied": not dry_run, "started": pages}
    if dry_run:
        return Output(value, [f"dry run: no {' and no '.join(plan) or 'document'} was changed"])
    steps = [row["next"] for row in changed if row.get("next")]
    lines = [f"applied: {len(changed)} of {len(rows)} changed"]
    lines += [joined("", "next: ", step) for step in [next_steps.one_step(steps)] if step]
    lines += [
        f"{name}: training started: {page}; its result: alerting models {name}"
        for name, page in pages.items()
    ]
    if steps and not (is_streamed or is_served()):
        lines.append(
            "the platform does not run, so this waits until you start it with `alerting up`"
        )
    return Output(value, lines, has_written=bool(changed))


def _describe_change(review: "DocumentReview[Any]") -> dict[str, Any]:
    """Return the description of a change: its fields, and its further effects."""
    changes = "; ".join(
        f"{field}: {json.dumps(plain(before))} → {json.dumps(plain(after))}"
        for field, (before, after) in review.changes.items()
    )
    row = {"name": review.name, "action": review.action, "changes": changes}
    return row if review.effects is None else row | vars(review.effects)


def _lines_of_plan(rows: Sequence[Mapping[str, Any]], has_kinds: bool) -> Iterator[Line]:
    columns = [*(["kind"] if has_kinds else []), "name", "action", "changes"]
    yield OutputTable(rows, columns, "no documents in these files")
    for row in rows:
        if row["action"] != "unchanged":
            yield from lines_of_notes({row["name"]: row})
    for load in filter(None, (row.get("load") for row in rows)):
        style = "red" if load.breaks else ""
        yield from (colored(f"{load.definition}: {say(text)}", style) for text in load.messages)


def _start_trainings(p: "Platform", reviews: "Sequence[DocumentReview[Any]]") -> dict[str, str]:
    """Start the trainings that follow; return their pages by definition."""
    from alerting.definitions.alert_definition import ModelDefinition

    if not any(
        review.action != "unchanged" and isinstance(review.read, ModelDefinition)
        for review in reviews
    ):
        return {}
    from alerting.local.airflow_client import start_trainings

    return start_trainings(read_settings(os.environ), p)


def wait_for_brokers(p: "SourcePorts", names: Sequence[str], since: datetime) -> None:
    """Wait until the stream service has subscribed for sources, and print that for each source."""
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
        console.print(f"{say(why)}; what the broker does not keep until then is lost", style="red")


_MOST_DEAD = 1000


@command
def list_documents(
    list_name: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="definitions, sources, sinks, routes, assets, or dead: messages that a source, a "
            "sink or a channel refused.",
        ),
    ] = "definitions",
) -> Output:
    """List definitions with their last evaluation and training, or sources, sinks or routes, each
    with its faults; or dead messages."""
    lists = {
        "definitions": _list_definitions,
        "sources": _list_sources,
        "sinks": _list_sinks,
        "routes": _list_routes,
        "dead": _list_dead,
    }
    with platform() as p:
        return lists[list_name](p) if list_name in lists else _list_kind(p, list_name, [*lists])


def _list_kind(p: "Platform", listed: str, others: Sequence[str]) -> Output:
    words = {f"{word}s": word for word in kinds()}
    if listed not in words:
        hint = name_hint(listed, {*others, *words}, "lists")
        raise UserError(f"there is no list {listed!r}; {hint}")
    kind = kinds()[words[listed]]
    good, faults = kind.read(p)
    table = OutputTable(rows_of(good, kind.columns), kind.columns, f"no {listed}")
    return _list_with_faults(listed, [kind.write(document) for document in good], faults, [table])


def _list_with_faults(
    listed: str, items: Sequence[Any], faults: Mapping[str, Sequence[str]], lines: Sequence[Line]
) -> Output:
    """Return a list of documents, with the faults of the documents that are not used."""
    faulty = [
        colored(f"{listed[:-1]} {name} is faulty and not used: {say(fault)}", "red")
        for name, texts in faults.items()
        for fault in texts
    ]
    return Output({listed: items, "faulty": faults}, [*lines, *faulty])


def _list_definitions(p: "Platform") -> Output:
    from alerting.local.supervisor import may_run
    from alerting.usecases.alarm_load.definition_overview import last_runs
    from alerting.usecases.definitions import revisions_and_evaluation_plan
    from alerting.usecases.definitions.next_steps import describe_trainings
    from alerting.usecases.health.open_faults import open_faults
    from alerting.usecases.training.due import end_dead_trainings

    revisions_and_evaluation_plan.sync(p, p.clock.now())
    end_dead_trainings(p, may_run)
    faults = p.definitions.faulty()
    latest = p.definitions.latest_revisions()
    states = describe_trainings(p.definitions, p.decisions, p.trainings, latest)
    runs = last_runs(p, latest)
    rows: list[dict[str, Any]] = [
        {
            "name": r.name,
            "kind": r.definition.kind,
            "state": "faulty" if faults.get(r.name) else r.definition.state,
            "revision": r.number,
            "assets": ", ".join(r.definition.assets),
            "severity": r.definition.severity,
            "since": r.at,
            "faults": faults.get(r.name, []),
            "training": states.get(r.name),
        }
        | vars(runs[r.name])
        for r in latest
    ]
    rows += [
        {"name": n, "state": "faulty", "faults": f}
        for n, f in sorted(faults.items())
        if n not in {r["name"] for r in rows}
    ]
    short_names = {"rev": "revision", "evaluated": "evaluated_at", "trained": "trained_at"}
    shown = [row | {short: row.get(name) for short, name in short_names.items()} for row in rows]
    columns = ["name", "kind", "state", "rev", "assets", "severity"]
    columns += ["since", "evaluated", "model", "trained"]
    lines: list[Line] = [OutputTable(shown, columns, "no definitions yet: alerting apply FILE")]
    for row in rows:
        lines += [colored(f"{row['name']}: {say(fault)}", "red") for fault in row.get("faults", [])]
        if row.get("training"):
            lines.append(colored(f"{row['name']}: {say(row['training'])}", "yellow"))
    lines += [
        colored(
            f"platform alert since {short(alert.opened_at)}: {alert.subject}: {alert.kind}: "
            f"{say(alert.reason)}",
            color,
        )
        for color, alerts in zip(("red", "yellow"), open_faults(p)[:2], strict=True)
        for alert in alerts
        if alert.subject not in faults
    ]
    return Output(rows, lines)


def _list_sources(p: "Platform") -> Output:
    from alerting.usecases.sources.status import SOURCES, source_statuses

    statuses = source_statuses(p, p.clock.now())
    columns = ["name", "title", "kind", "state", "rows", "refused", "rate", "lag", "unread", "by"]
    rows = [
        vars(status) | {"rate": f"{status.rate:.1f}/min", "by": status.polled_by or status.read_by}
        for status in statuses
    ]
    notes = [note for status in statuses for note in _lines_of_source(status)]
    lines: list[Line] = [OutputTable(rows, columns, "no sources"), *notes]
    return _list_with_faults("sources", statuses, SOURCES.read(p)[1], lines)


def _lines_of_source(status: Any) -> Iterator[Line]:
    if status.fault or status.is_stale:
        fault = status.fault or f"no row for {cell(status.silent)}"
        yield colored(f"source {status.name}: {say(fault)}", "red")
    if status.after_now:
        yield colored(f"source {status.name}: {say(status.after_now)}", "red")
    if status.last_lost and status.lost_at:
        lost = f"{status.lost} values lost so far, the last" if status.lost else "values were lost"
        text = in_english(
            "source {name}: {lost} at {when}: {why}",
            name=status.name,
            lost=lost,
            when=status.lost_at,
            why=status.last_lost,
        )
        yield colored(text, "red")
    if status.last_refused and not status.fault:
        yield f"source {status.name}: last refused: {say(status.last_refused)}"


def _list_sinks(p: "Platform") -> Output:
    from alerting.usecases.sink_delivery import SINKS, sink_statuses

    statuses = sink_statuses(p, p.clock.now())
    columns = ["name", "kind", "state", "sent", "left_out", "letters", "lag"]
    notes = [
        colored(f"sink {status.name}: {say(status.fault)}", "red")
        for status in statuses
        if status.fault
    ]
    lines: list[Line] = [
        OutputTable([vars(status) for status in statuses], columns, "no sinks"),
        *notes,
    ]
    return _list_with_faults("sinks", statuses, SINKS.read(p)[1], lines)


def _list_routes(p: "Platform") -> Output:
    from alerting.usecases.notification.routing import ROUTES

    routes, faults = ROUTES.read(p)
    rows = rows_of(routes, ROUTES.columns)
    table = OutputTable(rows, ROUTES.columns, "no routes: every channel is notified")
    channels = f"configured channels: {', '.join(sorted(p.channels))}"
    listed = _list_with_faults("routes", [*map(ROUTES.write, routes)], faults, [table, channels])
    return listed._replace(value=listed.value | {"channels": sorted(p.channels)})


def _list_dead(p: "Platform") -> Output:
    from alerting.usecases.sources.stream import list_dead

    rows: list[dict[str, Any]] = [
        vars(m)
        | {
            "of": f"source {m.source}",
            "what": m.topic,
            "payload": m.payload[: 64 * 1024].decode("utf-8", "backslashreplace"),
        }
        for m in islice(list_dead(p.dead_messages, None), _MOST_DEAD)
    ]
    for sink in stored_names(p)["sink"]:
        rows += [
            {"id": dead.id, "of": f"sink {sink}", "at": dead.at, "reason": dead.reason}
            | {"what": f"{dead.message.sends} of {dead.message.definition} on {dead.message.asset}"}
            for dead in p.sink_deliveries.letters(sink, _MOST_DEAD)
        ]
    rows += [
        vars(letter)
        | {"of": f"channel {letter.channel}", "at": letter.created_at, "reason": letter.error}
        | {"id": letter.key, "what": letter.transition}
        for letter in p.notifications.dead()
    ]
    columns = ["of", "at", "id", "what", "payload", "reason"]
    return table_output(rows, columns, "no dead messages")


@command
def show_document(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAMES]", help="Names; all definitions when left out."),
    ] = None,
    revision: Annotated[int | None, typer.Option(help="An older revision.")] = None,
    sort: As = None,
) -> Output:
    """Show documents as YAML, which `apply` reads back unchanged; of a single one its revisions
    follow as comments."""
    with platform() as p:
        if names and len(names) == 1:
            kind = sort_of_name(p, names[0], sort, list(stored_names(p)))
            return _show_one(p, kind, names[0], revision)
        from alerting.definitions.revisions import definition_document
        from alerting.usecases.definitions import revisions_and_evaluation_plan, versions

        revisions_and_evaluation_plan.sync(p, p.clock.now())
        chosen = [versions.require_revision(p.definitions, name) for name in names or ()]
        documents = [
            definition_document(r.definition) for r in chosen or p.definitions.latest_revisions()
        ]
    return Output(documents, text="---\n".join(map(_yaml, documents)))


def _yaml(document: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=1 << 20)


def _show_one(p: "Platform", sort: str, name: str, revision: int | None) -> Output:
    """Return a document, with its revisions and further notes on it as comments."""
    from alerting.usecases.definitions import revisions_and_evaluation_plan

    now = p.clock.now()
    kind = kinds()[sort]
    if sort == DEFINITION:
        revisions_and_evaluation_plan.sync(p, now)
    stored = kind.show(p, name, now)
    document: Mapping[str, Any] = (
        stored.document if stored.read is None else kind.write(stored.read)
    )
    if revision is not None:
        document = kind.find_revision(p, name, revision).document
    rows = [
        {"revision": r.number, "at": r.at, "author": r.actor, "reason": r.reason}
        for r in stored.revisions
    ]
    lines = []
    if rows:
        columns = ["revision", "at", "author", "reason"]
        lines += [line.plain for line in table_lines(rows, columns, console.width - 2)]
        in_force = f", revision {stored.number} stays in force" if stored.read else ""
        faulty = f"the current document is faulty{in_force}"
        lines += [joined(": ", faulty, fault) for fault in stored.faults]
    notes = [] if stored.read is None else _notes_of(p, sort, stored.read)
    text = "".join(
        f"# {line}\n" for noted in [*lines, *notes] for line in readable(noted).splitlines()
    )
    value = {sort: document, "revisions": stored.revisions, "faults": stored.faults, "notes": notes}
    return Output(value, text=_yaml(document) + text)


def _notes_of(p: "Platform", sort: str, document: Any) -> list[str]:
    """Return notes on a document in force: derived values, when it is trained, and rows that were
    refused last."""
    from alerting.definitions.alert_definition import ModelDefinition, TrainedDefinition
    from alerting.usecases.definitions.next_steps import describe_trainings
    from alerting.usecases.definitions.versions import stored_features

    if sort == "source":
        refused = p.deliveries.progress(document.name).last_refused
        return [f"last refused: {say(refused)}"] if refused else []
    notes = []
    if isinstance(document, TrainedDefinition):
        derived = stored_features(p.derived_features, document)
        notes += [] if derived is None else [derived.message]
    if isinstance(document, ModelDefinition):
        cron = document.retrain_cron or "null: only by hand"
        notes.append(f"trained by the schedule {cron} ({document.schedule.timezone})")
        newest = p.definitions.revisions(document.name)[-1:]
        states = describe_trainings(p.definitions, p.decisions, p.trainings, newest)
        notes += states.values()
    return notes
