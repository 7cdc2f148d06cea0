"""Commands on stored documents and messages: `list` and `show`."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerting.cli.documents import DEFINITION, As, Sort, rows_of, sort_of_name, stored_names
from alerting.cli.output import (
    cell,
    console,
    print_json,
    print_text,
    show,
    show_platform_alerts,
    table_lines,
    table_width,
    zone,
)
from alerting.cli.support import Json, command, platform
from alerting.definitions.faults import UserError, legible, name_hint
from alerting.definitions.wording.clean_text import clean_text

if TYPE_CHECKING:
    from alerting.ports import Platform

_MOST_DEAD = 1000
_LONGEST_PAYLOAD_BYTES = 64 * 1024


@command
def list_documents(
    what: Annotated[
        str,
        typer.Argument(
            help="definitions, sources, sinks, routes, assets, or dead: messages that a source, a "
            "sink or a channel refused."
        ),
    ] = "definitions",
    as_json: Json = False,
) -> None:
    """List definitions with their last evaluation and training, or sources, sinks or routes, each
    with its faults; or dead messages."""
    lists: dict[str, Callable[[Platform, bool], None]] = {
        "definitions": _list_definitions,
        "sources": _list_sources,
        "sinks": _list_sinks,
        "routes": _list_routes,
        "dead": _list_dead,
    }
    with platform() as p:
        if what in lists:
            lists[what](p, as_json)
        else:
            _list_kind(p, what, [*lists], as_json)


def _list_kind(p: "Platform", what: str, others: Sequence[str], as_json: bool) -> None:
    from alerting.usecases.document_kinds import KINDS

    kinds = {f"{word}s": word for word in KINDS}
    if what not in kinds:
        hint = name_hint(what, {*others, *kinds}, "lists")
        raise UserError(f"there is no list {what!r}; {hint}")
    word = kinds[what]
    kind = KINDS[word]
    good, faults = kind.read(p)
    if as_json:
        return print_json({f"{word}s": [kind.write(one) for one in good], "faulty": faults})
    show(rows_of(good, kind.columns), kind.columns, False, f"no {word}s")
    return _show_faulty(word, faults)


def _list_definitions(p: "Platform", as_json: bool) -> None:
    from alerting.local.processes import may_run
    from alerting.usecases.definitions import lookup, sync
    from alerting.usecases.definitions.training_state import describe_trainings
    from alerting.usecases.platform_health.last_runs import last_runs
    from alerting.usecases.training.due import end_dead_trainings

    sync.sync(p, p.clock.now())
    end_dead_trainings(p, may_run)
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
    if as_json:
        return print_json(rows)
    short_names = {"rev": "revision", "evaluated": "evaluated_at", "trained": "trained_at"}
    shown = [row | {short: row.get(name) for short, name in short_names.items()} for row in rows]
    columns = ["name", "kind", "state", "rev", "assets", "severity"]
    columns += ["since", "evaluated", "model", "trained"]
    if not rows or table_width(shown, columns) <= console.width:
        show(shown, columns, False, "no definitions yet: alerting apply FILE")
    else:
        _show_in_two_lines(shown)
    for row in rows:
        for fault in row.get("faults", []):
            console.print(f"{row['name']}: {fault}", style="red")
        if row.get("training"):
            console.print(f"{row['name']}: {row['training']}", style="yellow")
    return show_platform_alerts([a for a in p.platform_alerts.open() if a.subject not in faults])


def _show_in_two_lines(rows: Sequence[dict[str, Any]]) -> None:
    """Print two lines for each definition, for a narrow screen; long names of assets are cut."""
    for row in rows:
        what = ", ".join(str(row[key]) for key in ("kind", "state") if row.get(key))
        assets = f" on {row['assets']}" if row.get("assets") else ""
        console.print(legible(f"{row['name']}  {what}{assets}", console.width), style="bold")
        parts = [
            f"r{row['rev']}" if row.get("rev") else "",
            row.get("severity"),
            f"since {cell(row['since'])}" if row.get("since") else "",
            " ".join(cell(row.get(key)) for key in ("model", "trained") if row.get(key)),
            f"evaluated to {cell(row['evaluated'])}" if row.get("evaluated") else "",
        ]
        if any(parts):
            console.print(f"    {', '.join(filter(None, parts))}")
    console.print(f"times: {zone()}", style="dim")


def _list_sources(p: "Platform", as_json: bool) -> None:
    from alerting.usecases.sources.documents import SOURCES
    from alerting.usecases.sources.status import source_statuses

    statuses = source_statuses(p, p.clock.now())
    faults = SOURCES.read(p)[1]
    if as_json:
        return print_json({"sources": statuses, "faulty": faults})
    columns = ["name", "title", "kind", "state", "rows", "refused", "rate", "lag", "unread", "by"]
    rows = [
        vars(one) | {"rate": f"{one.rate:.1f}/min", "by": one.polled_by or one.read_by}
        for one in statuses
    ]
    show(rows, columns, False, "no sources")
    for one in statuses:
        if one.fault or one.is_stale:
            said = one.fault or f"no row for {cell(one.silent)}"
            console.print(f"source {one.name}: {said}", style="red")
        if one.after_now:
            console.print(f"source {one.name}: {one.after_now}", style="red")
        if one.last_lost and one.lost_at:
            lost = f"{one.lost} values lost so far, the last" if one.lost else "values were lost"
            when = one.lost_at.isoformat(timespec="seconds")
            console.print(f"source {one.name}: {lost} at {when}: {one.last_lost}", style="red")
        if one.last_refused and not one.fault:
            console.print(f"source {one.name}: last refused: {one.last_refused}")
    return _show_faulty("source", faults)


def _show_faulty(sort: str, faults: Mapping[str, Sequence[str]]) -> None:
    for name, of in faults.items():
        for fault in of:
            console.print(f"{sort} {name} is faulty and not used: {fault}", style="red")


def _list_sinks(p: "Platform", as_json: bool) -> None:
    from alerting.usecases.sinks.documents import SINKS, sink_statuses

    statuses = sink_statuses(p, p.clock.now())
    faults = SINKS.read(p)[1]
    if as_json:
        return print_json({"sinks": statuses, "faulty": faults})
    columns = ["name", "kind", "state", "sent", "left_out", "letters", "lag"]
    show([vars(status) for status in statuses], columns, False, "no sinks")
    for status in statuses:
        if status.fault:
            console.print(f"sink {status.name}: {status.fault}", style="red")
    return _show_faulty("sink", faults)


def _list_routes(p: "Platform", as_json: bool) -> None:
    from alerting.definitions.routes import route_document
    from alerting.usecases.notification.routes import ROUTES

    routes, faults = ROUTES.read(p)
    if as_json:
        return print_json(
            {
                "routes": [route_document(route) for route in routes],
                "faulty": faults,
                "channels": sorted(p.channels),
            }
        )
    show(
        rows_of(routes, ROUTES.columns),
        ROUTES.columns,
        False,
        "no routes: every channel is notified",
    )
    console.print(f"configured channels: {', '.join(sorted(p.channels))}")
    return _show_faulty("route", faults)


def _list_dead(p: "Platform", as_json: bool) -> None:
    from itertools import islice

    from alerting.usecases.sources.stream import list_dead

    rows: list[dict[str, Any]] = [
        vars(m)
        | {
            "of": f"source {m.source}",
            "what": m.topic,
            "payload": m.payload[:_LONGEST_PAYLOAD_BYTES].decode("utf-8", "backslashreplace"),
        }
        for m in islice(list_dead(p.dead_messages, None), _MOST_DEAD)
    ]
    for sink in stored_names(p)["sink"]:
        rows += [
            {"id": one.id, "of": f"sink {sink}", "at": one.at, "reason": one.reason}
            | {"what": f"{one.message.sends} of {one.message.definition} on {one.message.asset}"}
            for one in p.sink_deliveries.letters(sink, _MOST_DEAD)
        ]
    rows += [
        vars(letter)
        | {"of": f"channel {letter.channel}", "at": letter.created_at, "reason": letter.error}
        | {"id": letter.key, "what": letter.transition}
        for letter in p.notifications.dead()
    ]
    show(rows, ["of", "at", "id", "what", "payload", "reason"], as_json, "no dead messages")


@command
def show_document(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAMES]", help="Names; all definitions when left out."),
    ] = None,
    revision: Annotated[int | None, typer.Option(help="An older revision of a definition.")] = None,
    sort: As = None,
    as_json: Json = False,
) -> None:
    """Show documents as YAML, which `apply` reads back unchanged; of a single one its revisions
    follow as comments."""
    with platform() as p:
        if not names or len(names) > 1:
            from alerting.definitions.revisions import definition_document
            from alerting.usecases.definitions import lookup, sync

            sync.sync(p, p.clock.now())
            chosen = [lookup.require_revision(p.definitions, name) for name in names or ()]
            documents = [
                definition_document(r.definition)
                for r in chosen or p.definitions.latest_revisions()
            ]
            found: Any = documents
            notes = ""
        else:
            of = sort_of_name(p, names[0], sort, list(stored_names(p)))
            shown = _shown_definition if of == DEFINITION else _shown_other
            documents, found, notes = shown(p, names[0], of, revision)
    if as_json:
        print_json(found)
    else:
        print_text("---\n".join(map(_yaml, documents)) + notes)


def _yaml(document: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1 << 20)


def _comments(lines: Sequence[str]) -> str:
    return "".join(
        f"# {line}\n" for text in lines for line in clean_text(text, visible=True).splitlines()
    )


def _shown_definition(
    p: "Platform", name: str, _: Sort, revision: int | None
) -> tuple[list[dict[str, Any]], Any, str]:
    """Return the document of a definition, what is known of it, and that as comments."""
    from alerting.definitions.model import ModelDefinition, TrainedDefinition
    from alerting.definitions.revisions import definition_document
    from alerting.usecases.definitions import lookup, sync
    from alerting.usecases.definitions.derived import stored_features
    from alerting.usecases.definitions.training_state import describe_trainings

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
    found = {"definition": document, "revision": chosen.number, "revisions": history}
    found |= {"faults": faults, "derived": derived, "training": training}
    rows = [vars(r) | {"revision": r.number, "hash": r.hash[:12]} for r in history]
    columns = ["revision", "at", "author", "reason", "hash"]
    lines = [line.plain for line in table_lines(rows, columns, console.width - 2)]
    lines += [
        f"the current document is faulty, revision {chosen.number} stays in force: {fault}"
        for fault in faults
    ]
    lines += [] if derived is None else [derived.message]
    if isinstance(chosen.definition, ModelDefinition):
        lines.append(
            f"trained by the schedule {chosen.definition.retrain_cron or 'null: only by hand'} "
            f"({chosen.definition.schedule.timezone})"
        )
    lines += [] if training is None else [training]
    return [document], found, _comments(lines)


def _shown_other(
    p: "Platform", name: str, sort: Sort, _: int | None
) -> tuple[list[dict[str, Any]], Any, str]:
    """Return the document of another kind, what is known of it, and its revisions as comments."""
    from alerting.usecases.document_kinds import KINDS
    from alerting.usecases.sinks.status import sink_status
    from alerting.usecases.sources.status import source_status

    now = p.clock.now()
    stored = KINDS[sort].show(p, name, now)
    status: Any = None
    if sort == "source" and stored.read:
        status = source_status(p, stored.read, stored.revisions, now)
    elif sort == "sink" and stored.read:
        status = sink_status(p, stored.read, now)
    lines = [
        f"revision {one.number}, {one.at.isoformat(timespec='seconds')}, {one.actor}"
        for one in stored.revisions
    ]
    refused = getattr(status, "last_refused", None)
    lines += [f"last refused: {refused}"] if refused else []
    found = {sort: stored.document, "revisions": stored.revisions, "status": status}
    return [stored.document], found, _comments(lines)
