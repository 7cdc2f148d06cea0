"""`alerting shelf …` and `alerting suppression …`: targets muted by operators and by design."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from alerting.cli.printing.output import console, print_json, short, show, show_result
from alerting.cli.support import (
    AssetName,
    DefinitionName,
    Json,
    actor,
    command,
    command_group,
    instant,
    platform,
    writes,
)
from alerting.definitions.durations import parse_duration

if TYPE_CHECKING:
    from alerting.operators.shelves import Shelf

shelf_group = command_group("Shelves: mute a definition on an asset, for a time or out of service.")
suppression_group = command_group("Suppression by design: line stopped, calendar.")

Until = Annotated[
    str | None, typer.Option("--until", help="End, ISO 8601 with zone.", metavar="TIME")
]
Reason = Annotated[str, typer.Option("--reason", help="Reason; required.")]


@shelf_group.command("add")
@writes
def add(
    name: DefinitionName,
    asset: AssetName,
    reason: Reason,
    until: Until = None,
    lasting: Annotated[
        str | None, typer.Option("--for", help="Duration, e.g. 2h.", metavar="DURATION")
    ] = None,
    as_json: Json = False,
) -> None:
    """Mute a definition on an asset for a time. Evaluation goes on; the shelf ends by itself."""
    from alerting.usecases.operators import shelving

    with platform() as p:
        now = p.clock.now()
        shelf = shelving.shelve(p, name, asset, actor(), now, _end(now, until, lasting), reason)
    _show_shelf(shelf, as_json)


@shelf_group.command("end")
@writes
def end(
    name: DefinitionName,
    asset: AssetName,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: Json = False,
) -> None:
    """End a shelf before its time; alerts that are still open are announced once."""
    from alerting.usecases.notification.deliver import deliver_due
    from alerting.usecases.operators import shelving

    with platform() as p:
        shelf = shelving.unshelve(p, name, asset, actor(), p.clock.now(), reason)
        deliver_due(p, p.clock.now())
    show_result(shelf, as_json, f"{name} on {asset} is no longer shelved")


@shelf_group.command("list")
@command
def list_shelves(
    name: Annotated[str | None, typer.Argument(help="Definition.")] = None, as_json: Json = False
) -> None:
    """List muted definitions: shelved, or out of service."""
    from alerting.usecases.operators import operate

    with platform() as p:
        now = p.clock.now()
        found = operate.shelves_now(p.shelves, now, name)
    rows = [
        vars(s) | {"kind": s.kind.replace("_", " "), "left": s.until - now if s.until else None}
        for s in found
    ]
    columns = ["definition", "asset", "kind", "since", "until", "left", "actor", "reason"]
    show(found if as_json else rows, columns, as_json, "no definition is muted")


@shelf_group.command("out-of-service")
@writes
def out_of_service(
    name: DefinitionName,
    asset: AssetName,
    reason: Reason,
    until: Until = None,
    back: Annotated[bool, typer.Option("--return", help="Return it to service.")] = False,
    as_json: Json = False,
) -> None:
    """Take a definition on an asset out of service for maintenance, or with --return put it
    back."""
    from alerting.usecases.notification.deliver import deliver_due
    from alerting.usecases.operators import shelving

    ends_at = instant(until, "--until")
    with platform() as p:
        now = p.clock.now()
        if back:
            shelf = shelving.unshelve(p, name, asset, actor(), now, reason, "out_of_service")
            deliver_due(p, now)
        else:
            shelf = shelving.shelve(p, name, asset, actor(), now, ends_at, reason, "out_of_service")
    _show_shelf(shelf, as_json)


def _show_shelf(shelf: "Shelf", as_json: bool) -> None:
    from alerting.usecases.operators.shelving import describe_shelf_end

    show_result(shelf, as_json, describe_shelf_end(shelf))


def _end(now: datetime, until: str | None, lasting: str | None) -> datetime | None:
    if until is not None and lasting is not None:
        raise typer.BadParameter("give --until or --for, not both", param_hint="--until/--for")
    if lasting is None:
        return instant(until, "--until")
    try:
        return now + parse_duration(lasting)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from error


@suppression_group.command("list")
@command
def list_suppressions(
    name: Annotated[
        str | None, typer.Argument(help="Definition; every active one when left out.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            help="List the episodes raised since; a day ago when left out.",
            metavar="TIME",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List targets suppressed by design now, and the episodes without notification because of
    it."""
    from alerting.usecases.episodes.suppression import list_suppressed

    begin = instant(since, "--since")
    with platform() as p:
        now = p.clock.now()
        found = list_suppressed(p, now, begin or now - timedelta(days=1), name)
    if as_json:
        return print_json(found)
    rows = [
        vars(target)
        | {"now": "suppressed" if target.suppressed else "notified"}
        | {
            "why": "; ".join(
                [
                    *([target.reason] if target.reason else []),
                    *(f"unknown: {reason}" for reason in target.unknown),
                ]
            )
        }
        for target in found.targets
    ]
    show(
        rows,
        ["definition", "asset", "now", "why"],
        False,
        "no definition in service has a suppression",
    )
    episodes = [
        vars(e) | {"episode": e.id[:10], "raised": e.raised_at, "closed": e.closed_at}
        for e in found.not_notified
    ]
    console.print(
        f"episodes without notification since {short(found.since)}: {len(episodes)}", style="bold"
    )
    return (
        show(episodes, ["episode", "definition", "asset", "raised", "closed"], False)
        if episodes
        else None
    )
