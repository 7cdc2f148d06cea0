"""`alerting route …` and `alerting notification …`: routes to channels, and dead letters."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    from alerting.definitions.routes import Route

route_group = command_group("Routes: which channels are notified of which alerts, and when.")
notification_group = command_group(
    "Notifications: list and retry undelivered ones, revoke feedback links."
)

Files = Annotated[
    list[Path],
    typer.Argument(help="YAML or JSON files, each with one route, a list, or several documents."),
]


@route_group.command("check")
@command
def check_routes(files: Files, as_json: Json = False) -> None:
    """Check routes against the configured channels: lists every fault without applying them."""
    from alerting.usecases.notification import routes

    documents = read_documents(files, "route", "`name: …`, `channels: […]`")
    with platform() as p:
        good = routes.check_routes(p, documents)
    show(
        [_row(r) for r in good],
        ["name", "channels", "match", "shifts", "quiet"],
        as_json,
        "no routes in these files",
    )


@route_group.command("apply")
@writes
def apply_routes(
    files: Files,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Apply routes: all of them, or none if one is refused."""
    from alerting.usecases.notification import routes

    documents = read_documents(files, "route", "`name: …`, `channels: […]`")
    with platform() as p:
        plans = (
            routes.plan_routes(p, documents)
            if dry_run
            else routes.apply_routes(p, documents, user(), p.clock.now())
        )
    show(
        [{"name": i.name, "action": i.action} for i in plans],
        ["name", "action"],
        as_json,
        "no routes in these files",
    )
    if dry_run and not as_json:
        console.print("dry run: no route was changed")


@route_group.command("list")
@command
def list_routes(as_json: Json = False) -> None:
    """List all routes, faulty ones with their faults. Alerts that no route matches go to every
    channel."""
    from alerting.definitions.routes import route_document
    from alerting.usecases.notification.routes import find_missing_plants, read_routes

    with platform() as p:
        routes, faults = read_routes(p.routes)
        channels = sorted(p.channels)
        found = {route.name: find_missing_plants(p.assets, route) for route in routes}
    missing = {name: plants for name, plants in found.items() if plants}
    if as_json:
        print_json(
            {
                "routes": [route_document(r) for r in routes],
                "faulty": faults,
                "missing_plants": missing,
                "channels": channels,
            }
        )
        return
    show(
        [_row(r) for r in routes],
        ["name", "channels", "match", "shifts", "quiet"],
        False,
        "no routes: every channel is notified",
    )
    console.print(f"configured channels: {', '.join(channels)}")
    for name, of in faults.items():
        for fault in of:
            console.print(f"route {name} is faulty and not used: {fault}", style="red")
    for name, plants in missing.items():
        for plant in plants:
            console.print(
                f"route {name} is for nothing of {plant}: there is no such plant", style="red"
            )


@route_group.command("remove")
@writes
def remove_route(
    name: Annotated[str, typer.Argument(help="Name of a route.")], as_json: Json = False
) -> None:
    """Remove a route."""
    from alerting.usecases.notification import routes

    with platform() as p:
        routes.remove_route(p, name, user(), p.clock.now())
    show_result({"removed": name}, as_json, f"route {name} removed")


@route_group.command("test")
@command
def test_route(
    name: Annotated[str, typer.Argument(help="A route or a channel.", metavar="ROUTE|CHANNEL")],
    as_json: Json = False,
) -> None:
    """Send a test message to the channels of a route, or to one channel, at once; exit code 1 if a
    channel fails."""
    from alerting.usecases.notification.deliver import send_test

    with platform() as p:
        results = send_test(p, name, user(), p.clock.now())
    show(
        [{"channel": c, "result": r} for c, r in results.items()],
        ["channel", "result"],
        as_json,
        "",
    )
    if any(result != "sent" for result in results.values()):
        raise typer.Exit(1)


@notification_group.command("dead-letters")
@command
def list_dead_letters(as_json: Json = False) -> None:
    """List undelivered notifications with the reason."""
    with platform() as p:
        letters = p.notifications.dead()
    show(
        letters if as_json else [vars(letter) for letter in letters],
        ["key", "channel", "transition", "created_at", "attempts", "error"],
        as_json,
        "no dead letters",
    )


@notification_group.command("retry")
@writes
def retry(
    id: Annotated[str, typer.Argument(metavar="KEY", help="Key of a dead letter, or `all`.")],
    as_json: Json = False,
) -> None:
    """Deliver dead letters again under their old keys."""
    from alerting.usecases.notification import deliver

    with platform() as p:
        count = deliver.retry(p, id, user(), p.clock.now())
        done = deliver.deliver_due(p, p.clock.now())
    result = {"retried": count, "sent": done.sent, "failed": done.failed}
    show_result(
        result, as_json, f"{count} tried again; {done.sent} messages sent, {done.failed} failed"
    )


@notification_group.command("revoke-links")
@writes
def revoke_feedback_links(
    episode: Annotated[
        str | None, typer.Option(help="Links of this episode only.", metavar="ID")
    ] = None,
    recipient: Annotated[
        str | None, typer.Option(help="Links of this channel only.", metavar="CHANNEL")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All links made so far.")] = False,
    as_json: Json = False,
) -> None:
    """Revoke feedback links that were sent; new notifications carry new ones."""
    from datetime import UTC, datetime

    from alerting.usecases.operators.links import revoke_links

    if everything == (episode is not None or recipient is not None):
        raise typer.BadParameter(
            "name --episode, --recipient or both; or --all", param_hint="--all"
        )
    with platform() as p:
        revoke_links(p, episode, recipient, user(), datetime.now(UTC), p.clock.now())
    show_result(
        {"revoked": "all" if everything else {"episode": episode, "recipient": recipient}},
        as_json,
        "revoked",
    )


def _row(route: "Route") -> dict[str, str]:
    from alerting.definitions.wording.weekly_hours import hours_text
    from alerting.reporting.page.route_text import match_text

    times = {
        "shifts": hours_text(route.shifts) or "always",
        "quiet": hours_text(route.quiet) or "never",
    }
    return {
        "name": route.name,
        "channels": ", ".join(route.channels),
        "match": match_text(route.match),
    } | times
