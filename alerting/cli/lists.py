"""Commands on stored documents and messages: `list` and `show`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerting.cli.documents import DEFINITION, As, kinds, rows_of, sort_of_name, stored_names
from alerting.cli.output import (
    Line,
    Output,
    OutputTable,
    cell,
    colored,
    console,
    short,
    table_lines,
    table_output,
)
from alerting.cli.support import command, platform
from alerting.definitions.faults import UserError, name_hint
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
        return lists[what](p) if what in lists else _list_kind(p, what, [*lists])


def _list_kind(p: "Platform", what: str, others: Sequence[str]) -> Output:
    words = {f"{word}s": word for word in kinds()}
    if what not in words:
        hint = name_hint(what, {*others, *words}, "lists")
        raise UserError(f"there is no list {what!r}; {hint}")
    kind = kinds()[words[what]]
    good, faults = kind.read(p)
    table = OutputTable(rows_of(good, kind.columns), kind.columns, f"no {what}")
    return _with_faulty(what, [kind.write(one) for one in good], faults, [table])


def _with_faulty(
    what: str, items: Sequence[Any], faults: Mapping[str, Sequence[str]], lines: Sequence[Line]
) -> Output:
    """Return a list of documents, with the faults of those that are not used."""
    faulty = [
        colored(f"{what[:-1]} {name} is faulty and not used: {fault}", "red")
        for name, of in faults.items()
        for fault in of
    ]
    return Output({what: items, "faulty": faults}, [*lines, *faulty])


def _list_definitions(p: "Platform") -> Output:
    from alerting.local.processes import may_run
    from alerting.usecases.definitions import sync
    from alerting.usecases.definitions.training_state import describe_trainings
    from alerting.usecases.platform_health.last_runs import last_runs
    from alerting.usecases.training.due import end_dead_trainings

    sync.sync(p, p.clock.now())
    end_dead_trainings(p, may_run)
    faults = p.definitions.faulty()
    latest = p.definitions.latest_revisions()
    states = describe_trainings(p.definitions, p.decisions, p.trainings, latest, p.zone)
    runs = last_runs(p, latest)
    rows: list[dict[str, Any]] = [
        {
            "name": r.name,
            "kind": r.definition.kind,
            "state": "faulty" if faults.get(r.name) else r.definition.state,
            "revision": r.number,
            "assets": ", ".join(r.definition.assets),
            "severity": r.definition.severity,
            "since": r.at.isoformat(),
            "faults": faults.get(r.name, []),
            "training": states.get(r.name),
        }
        | vars(runs[r.name])
        for r in latest
    ]
    listed = {r["name"] for r in rows}
    rows += [
        {"name": n, "state": "faulty", "faults": f}
        for n, f in sorted(faults.items())
        if n not in listed
    ]
    short_names = {"rev": "revision", "evaluated": "evaluated_at", "trained": "trained_at"}
    shown = [row | {short: row.get(name) for short, name in short_names.items()} for row in rows]
    columns = ["name", "kind", "state", "rev", "assets", "severity"]
    columns += ["since", "evaluated", "model", "trained"]
    lines: list[Line] = [OutputTable(shown, columns, "no definitions yet: alerting apply FILE")]
    for row in rows:
        lines += [colored(f"{row['name']}: {fault}", "red") for fault in row.get("faults", [])]
        if row.get("training"):
            lines.append(colored(f"{row['name']}: {row['training']}", "yellow"))
    lines += [
        colored(
            f"platform alert since {short(alert.opened_at)}: {alert.subject}: {alert.kind}: "
            f"{alert.reason}",
            "red",
        )
        for alert in p.platform_alerts.open()
        if alert.subject not in faults
    ]
    return Output(rows, lines)


def _list_sources(p: "Platform") -> Output:
    from alerting.usecases.sources.documents import SOURCES
    from alerting.usecases.sources.status import source_statuses

    statuses = source_statuses(p, p.clock.now())
    columns = ["name", "title", "kind", "state", "rows", "refused", "rate", "lag", "unread", "by"]
    rows = [
        vars(one) | {"rate": f"{one.rate:.1f}/min", "by": one.polled_by or one.read_by}
        for one in statuses
    ]
    notes = [note for one in statuses for note in _lines_of_source(one)]
    lines: list[Line] = [OutputTable(rows, columns, "no sources"), *notes]
    return _with_faulty("sources", statuses, SOURCES.read(p)[1], lines)


def _lines_of_source(one: Any) -> Iterator[Line]:
    if one.fault or one.is_stale:
        said = one.fault or f"no row for {cell(one.silent)}"
        yield colored(f"source {one.name}: {said}", "red")
    if one.after_now:
        yield colored(f"source {one.name}: {one.after_now}", "red")
    if one.last_lost and one.lost_at:
        lost = f"{one.lost} values lost so far, the last" if one.lost else "values were lost"
        when = one.lost_at.isoformat(timespec="seconds")
        yield colored(f"source {one.name}: {lost} at {when}: {one.last_lost}", "red")
    if one.last_refused and not one.fault:
        yield f"source {one.name}: last refused: {one.last_refused}"


def _list_sinks(p: "Platform") -> Output:
    from alerting.usecases.sinks.documents import SINKS, sink_statuses

    statuses = sink_statuses(p, p.clock.now())
    columns = ["name", "kind", "state", "sent", "left_out", "letters", "lag"]
    notes = [colored(f"sink {one.name}: {one.fault}", "red") for one in statuses if one.fault]
    lines: list[Line] = [OutputTable([vars(one) for one in statuses], columns, "no sinks"), *notes]
    return _with_faulty("sinks", statuses, SINKS.read(p)[1], lines)


def _list_routes(p: "Platform") -> Output:
    from alerting.usecases.notification.routes import ROUTES

    routes, faults = ROUTES.read(p)
    rows = rows_of(routes, ROUTES.columns)
    table = OutputTable(rows, ROUTES.columns, "no routes: every channel is notified")
    channels = f"configured channels: {', '.join(sorted(p.channels))}"
    listed = _with_faulty("routes", [*map(ROUTES.write, routes)], faults, [table, channels])
    return listed._replace(value=listed.value | {"channels": sorted(p.channels)})


def _list_dead(p: "Platform") -> Output:
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
            of = sort_of_name(p, names[0], sort, list(stored_names(p)))
            return _show_one(p, of, names[0], revision)
        from alerting.definitions.revisions import definition_document
        from alerting.usecases.definitions import lookup, sync

        sync.sync(p, p.clock.now())
        chosen = [lookup.require_revision(p.definitions, name) for name in names or ()]
        documents = [
            definition_document(r.definition) for r in chosen or p.definitions.latest_revisions()
        ]
    return Output(documents, text="---\n".join(map(_yaml, documents)))


def _yaml(document: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=1 << 20)


def _show_one(p: "Platform", sort: str, name: str, revision: int | None) -> Output:
    """Return a document, with its revisions and what is known of it as comments."""
    from alerting.usecases.definitions import sync

    now = p.clock.now()
    kind = kinds()[sort]
    if sort == DEFINITION:
        sync.sync(p, now)
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
        lines += [f"the current document is faulty{in_force}: {one}" for one in stored.faults]
    notes = [] if stored.read is None else _notes_of(p, sort, stored.read)
    text = "".join(
        f"# {line}\n"
        for noted in [*lines, *notes]
        for line in clean_text(noted, visible=True).splitlines()
    )
    found = {sort: document, "revisions": stored.revisions, "faults": stored.faults, "notes": notes}
    return Output(found, text=_yaml(document) + text)


def _notes_of(p: "Platform", sort: str, one: Any) -> list[str]:
    """Return what is known of a document in force: what was derived, and when it is trained; what
    was refused last."""
    from alerting.definitions.model import ModelDefinition, TrainedDefinition
    from alerting.usecases.definitions.derived import stored_features
    from alerting.usecases.definitions.training_state import describe_trainings

    if sort == "source":
        refused = p.deliveries.progress(one.name).last_refused
        return [f"last refused: {refused}"] if refused else []
    notes = []
    if isinstance(one, TrainedDefinition):
        derived = stored_features(p.derived_features, one)
        notes += [] if derived is None else [derived.message]
    if isinstance(one, ModelDefinition):
        cron = one.retrain_cron or "null: only by hand"
        notes.append(f"trained by the schedule {cron} ({one.schedule.timezone})")
        newest = p.definitions.revisions(one.name)[-1:]
        states = describe_trainings(p.definitions, p.decisions, p.trainings, newest, p.zone)
        notes += states.values()
    return notes
