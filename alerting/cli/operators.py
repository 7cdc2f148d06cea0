"""Commands of operators: acknowledge, confirm, shelve, hand over; and why an alarm was raised or was not."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerting.cli.support import Json, command, console, instant, platform, print_json, short, show, user, writes
from alerting.definitions.durations import parse_duration

if TYPE_CHECKING:
    from alerting.episodes.episode import Episode
    from alerting.ports import Platform
    from alerting.usecases.operators.operate import Actor

Id = Annotated[str, typer.Argument(help="Id of an episode, or its beginning.")]
Definition = Annotated[str, typer.Argument(metavar="NAME", help="Name of a definition.")]
Asset = Annotated[str, typer.Argument(help="Name of an asset that it watches.")]
Until = Annotated[str | None, typer.Option("--until", help="When it ends, ISO 8601 with zone.", metavar="TIME")]


def register(app: typer.Typer) -> None:
    """Put these commands into the `alerting` command."""
    for name, function in _COMMANDS.items():
        app.command(name)(command(function if name in _READING else writes(function)))


def _who() -> "Actor":
    """Whoever has a shell on this machine is an engineer."""
    from alerting.usecases.operators.operate import Actor

    return Actor(user(), "engineer")


def ack(
    episode: Id, note: Annotated[str, typer.Option(help="A word to whoever comes next.")] = "", as_json: Json = False
) -> None:
    """Acknowledge an episode: you have seen it. Doing it again changes nothing."""
    from alerting.usecases.operators import operate

    with platform() as p:
        _done(p, operate.acknowledge(p, episode, _who(), p.clock.now(), note), as_json)


def confirm(
    episode: Id,
    did: Annotated[str, typer.Option("--did", help="What was done.")] = "",
    acted_at: Annotated[str | None, typer.Option("--acted-at", help="When, if not now.", metavar="TIME")] = None,
    as_json: Json = False,
) -> None:
    """Confirm that something was done about an episode; it counts as `acted` when its outcome is settled."""
    from alerting.usecases.operators import operate

    done_at = instant(acted_at, "--acted-at")
    with platform() as p:
        _done(p, operate.confirm(p, episode, _who(), p.clock.now(), did, done_at), as_json)


def comment(episode: Id, words: Annotated[str, typer.Argument(help="What to say.")], as_json: Json = False) -> None:
    """Leave a comment with an episode."""
    from alerting.usecases.operators import operate

    with platform() as p:
        _done(p, operate.comment(p, episode, _who(), p.clock.now(), words), as_json)


def assign(episode: Id, to: Annotated[str, typer.Argument(metavar="PERSON", help="Actor.")], as_json: Json = False) -> None:
    """Say who looks after an episode."""
    from alerting.usecases.operators import operate

    with platform() as p:
        _done(p, operate.assign(p, episode, _who(), p.clock.now(), to), as_json)


def shelve(
    name: Definition,
    asset: Asset,
    reason: Annotated[str, typer.Option("--reason", help="Why; required.")],
    until: Until = None,
    lasting: Annotated[str | None, typer.Option("--for", help="How long, e.g. 2h.", metavar="DURATION")] = None,
    as_json: Json = False,
) -> None:
    """Mute a definition on an asset for a time. It is judged as ever; the shelf ends by itself."""
    from alerting.usecases.operators import operate

    with platform() as p:
        now = p.clock.now()
        shelf = operate.shelve(p, name, asset, _who(), now, _end(now, until, lasting), reason)
    _say(shelf, as_json)


def unshelve(
    name: Definition, asset: Asset, reason: Annotated[str, typer.Option(help="Why.")] = "", as_json: Json = False
) -> None:
    """End a shelf before its time; what is still open is announced once."""
    from alerting.usecases.notification.deliver import deliver_due
    from alerting.usecases.operators import operate

    with platform() as p:
        shelf = operate.unshelve(p, name, asset, _who(), p.clock.now(), reason)
        deliver_due(p, p.clock.now())
    if as_json:
        print_json(shelf)
    else:
        console.print(f"{name} on {asset} is shelved no more", markup=False)


def shelves(name: Annotated[str | None, typer.Argument(help="Definition.")] = None, as_json: Json = False) -> None:
    """List what is muted now: shelved, or out of service."""
    from alerting.definitions.durations import format_duration
    from alerting.usecases.operators import operate

    with platform() as p:
        now = p.clock.now()
        found = operate.shelves_now(p, now, name)
    if as_json:
        print_json(found)
        return
    rows = [
        {
            "definition": s.definition,
            "asset": s.asset,
            "kind": s.kind.replace("_", " "),
            "since": s.since,
            "until": s.until,
            "left": format_duration(s.until - now) if s.until else "",
            "who": s.who,
            "reason": s.reason,
        }
        for s in found
    ]
    show(rows, ["definition", "asset", "kind", "since", "until", "left", "who", "reason"], False, "nothing is muted")


def out_of_service(
    name: Definition,
    asset: Asset,
    reason: Annotated[str, typer.Option("--reason", help="Why; required.")],
    until: Until = None,
    back: Annotated[bool, typer.Option("--return", help="Return it to service.")] = False,
    as_json: Json = False,
) -> None:
    """Take a definition on an asset out of service, for maintenance; with --return it is heard again."""
    from alerting.usecases.notification.deliver import deliver_due
    from alerting.usecases.operators import operate

    end = instant(until, "--until")
    with platform() as p:
        now = p.clock.now()
        if back:
            shelf = operate.return_to_service(p, name, asset, _who(), now, reason)
            deliver_due(p, now)
        else:
            shelf = operate.take_out_of_service(p, name, asset, _who(), now, reason, end)
    _say(shelf, as_json)


def why(
    name: Definition,
    asset: Asset,
    at: Annotated[
        str | None, typer.Option("--at", help="The instant, ISO 8601 with zone; now when left out.", metavar="TIME")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say why an alarm was raised, or why it was not: value and limit, what is missing, score, shelf, and who was told."""
    from alerting.usecases.operations.explain import why as explain

    when = instant(at, "--at")
    with platform() as p:
        found = explain(p, name, asset, when or p.clock.now())
    if as_json:
        print_json(found)
        return
    console.print(f"{name} on {asset} at {short(found.at)}: {found.verdict}", style="bold", markup=False)
    console.print(f"  {found.answer}", markup=False)
    for fact in found.facts:
        console.print(f"  {fact}", markup=False)


def standing_words(p: "Platform", episode: "Episode") -> list[str]:
    """How an episode stands with operators, for people."""
    from alerting.operators.actions import ISA_LETTERS
    from alerting.operators.shelves import describe_shelf
    from alerting.usecases.operators.operate import standing

    stands = standing(p, episode, p.clock.now())
    words = [f"state: {stands.state} (ISA-18.2 {ISA_LETTERS[stands.state]})"]
    for title, mark in (("acknowledged", episode.acknowledged), ("confirmed", episode.confirmed)):
        if mark is not None:
            words.append(f"{title} by {mark.who} at {short(mark.at)}")
    if episode.assigned_to:
        words.append(f"assigned to {episode.assigned_to}")
    if stands.first_out == "first":
        words.append("first-out: it came first of several alarms of this asset")
    words += [describe_shelf(shelf) for shelf in stands.shelves]
    words += [f"suppressed by design: {stands.suppressed}"] if stands.suppressed else []
    unknown = () if stands.suppressed else stands.unknown
    return words + [f"not suppressed, because this is unknown: {reason}" for reason in unknown]


def _done(p: "Platform", episode: "Episode", as_json: bool) -> None:
    if as_json:
        print_json(episode)
        return
    console.print(f"{episode.title} on {episode.asset}", style="bold", markup=False)
    for line in standing_words(p, episode):
        console.print(f"  {line}", markup=False)


def _say(shelf: Any, as_json: bool) -> None:
    from alerting.usecases.operators.operate import shelf_words

    if as_json:
        print_json(shelf)
    else:
        console.print(shelf_words(shelf), markup=False)


def _end(now: datetime, until: str | None, lasting: str | None) -> datetime | None:
    if until is not None and lasting is not None:
        raise typer.BadParameter("give --until or --for, not both", param_hint="--until/--for")
    if lasting is None:
        return instant(until, "--until")
    try:
        return now + parse_duration(lasting)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from error


_READING = ("shelves", "why")
_COMMANDS: dict[str, Callable[..., None]] = {
    "ack": ack,
    "confirm": confirm,
    "comment": comment,
    "assign": assign,
    "shelve": shelve,
    "unshelve": unshelve,
    "shelves": shelves,
    "out-of-service": out_of_service,
    "why": why,
}
