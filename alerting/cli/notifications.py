"""`alerting routes …` and `alerting notify …`: who is told, whether it arrives, and what did not."""

from pathlib import Path
from typing import Annotated, Any

import typer

from alerting.cli.support import Json, command, console, platform, print_json, show, user, writes
from alerting.definitions.faults import UserError

_HELP = {"help_option_names": ["-h", "--help"]}
routes_app = typer.Typer(help="Routes: who is told of which alerts, and when.", no_args_is_help=True, context_settings=_HELP)
notify_app = typer.Typer(help="Messages: try them, and see what did not arrive.", no_args_is_help=True, context_settings=_HELP)

Files = Annotated[list[Path], typer.Argument(help="YAML or JSON files, each with one route, a list, or several documents.")]


@routes_app.command("check")
@command
def check_routes(files: Files, as_json: Json = False) -> None:
    """Read routes and hold them against the configured channels; every fault is listed, nothing is changed."""
    from alerting.usecases.notification import routes

    documents = _read(files)
    with platform() as p:
        good = routes.check_routes(p, documents)
    show([_row(r) for r in good], ["name", "channels", "match", "shifts", "quiet"], as_json, "no routes in these files")


@routes_app.command("apply")
@command
@writes
def apply_routes(
    files: Files,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Make routes current: all of them, or none if one is refused."""
    from alerting.usecases.notification import routes

    documents = _read(files)
    with platform() as p:
        plans = routes.plan_routes(p, documents) if dry_run else routes.apply_routes(p, documents, user(), p.clock.now())
    show([{"name": i.name, "action": i.action} for i in plans], ["name", "action"], as_json, "no routes in these files")
    if dry_run and not as_json:
        console.print("dry run: nothing was changed")


@routes_app.command("list")
@command
def list_routes(as_json: Json = False) -> None:
    """List all routes, faulty ones with their faults. Alerts that no route matches are told to every channel."""
    from alerting.definitions.routes import route_document
    from alerting.usecases.notification.routes import read_routes

    with platform() as p:
        routes, faults = read_routes(p)
        channels = sorted(p.channels)
    if as_json:
        print_json({"routes": [route_document(r) for r in routes], "faulty": faults, "channels": channels})
        return
    show([_row(r) for r in routes], ["name", "channels", "match", "shifts", "quiet"], False, "no routes: every channel is told")
    console.print(f"configured channels: {', '.join(channels)}", markup=False)
    for name, of in faults.items():
        for fault in of:
            console.print(f"route {name} is faulty and not used: {fault}", style="red", markup=False)


@routes_app.command("remove")
@command
@writes
def remove_route(name: Annotated[str, typer.Argument(help="Name of a route.")], as_json: Json = False) -> None:
    """Take a route away."""
    from alerting.usecases.notification import routes

    with platform() as p:
        routes.remove_route(p, name, user(), p.clock.now())
    if as_json:
        print_json({"removed": name})
    else:
        console.print(f"route {name} removed")


@notify_app.command("test")
@command
def test(
    name: Annotated[str, typer.Argument(help="A route or a channel.", metavar="ROUTE|CHANNEL")], as_json: Json = False
) -> None:
    """Send a test message at once; exit code 1 if one channel fails."""
    from alerting.usecases.notification.deliver import send_test

    with platform() as p:
        results = send_test(p, name, user(), p.clock.now())
    show([{"channel": c, "result": r} for c, r in results.items()], ["channel", "result"], as_json, "")
    if any(result != "sent" for result in results.values()):
        raise typer.Exit(1)


@notify_app.command("dead")
@command
def dead(as_json: Json = False) -> None:
    """List the messages that were given up, and why."""
    from alerting.usecases.notification.dead_letters import dead_letters

    with platform() as p:
        letters = dead_letters(p)
    rows = letters if as_json else [vars(letter) for letter in letters]
    show(rows, ["id", "channel", "of", "created_at", "attempts", "error"], as_json, "no dead letters")


@notify_app.command("retry")
@command
@writes
def retry(id: Annotated[str, typer.Argument(help="Id of a dead letter, or `all`.")], as_json: Json = False) -> None:
    """Make dead letters due again, with the keys they had, and deliver."""
    from alerting.usecases.notification import deliver

    with platform() as p:
        count = deliver.retry(p, id, user(), p.clock.now())
        done = deliver.deliver_due(p, p.clock.now())
    if as_json:
        print_json({"retried": count, "sent": done.sent, "failed": done.failed})
    else:
        console.print(f"{count} tried again; {done.sent} messages sent, {done.failed} failed")


@notify_app.command("revoke")
@command
@writes
def revoke(
    episode: Annotated[str | None, typer.Option(help="Links of this episode only.", metavar="ID")] = None,
    recipient: Annotated[str | None, typer.Option(help="Links of this channel only.", metavar="CHANNEL")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All links made so far.")] = False,
    as_json: Json = False,
) -> None:
    """Make feedback links that are out worthless; new messages carry new ones."""
    from datetime import UTC, datetime

    from alerting.usecases.operators.links import revoke_links

    if everything == (episode is not None or recipient is not None):
        raise typer.BadParameter("name --episode, --recipient or both; or --all", param_hint="--all")
    with platform() as p:
        revoke_links(p, episode, recipient, user(), datetime.now(UTC), p.clock.now())
    if as_json:
        print_json({"revoked": "all" if everything else {"episode": episode, "recipient": recipient}})
    else:
        console.print("revoked")


def _row(route: Any) -> dict[str, str]:
    match = route.match.model_dump(mode="json", exclude_defaults=True)
    return {
        "name": route.name,
        "channels": ", ".join(route.channels),
        "match": "; ".join(f"{k}: {', '.join(v)}" for k, v in match.items()) or "all",
        "shifts": _hours(route.shifts) or "always",
        "quiet": _hours(route.quiet) or "never",
    }


def _hours(stretches: Any) -> str:
    return "; ".join(f"{'' if len(h.days) == 7 else ','.join(h.days) + ' '}{h.start}-{h.to}" for h in stretches)


def _read(files: list[Path]) -> list[dict[str, Any]]:
    from alerting.adapters.files.yaml_documents import read_yaml

    documents: list[dict[str, Any]] = []
    for file in files:
        documents += [d for part in read_yaml(file) for d in (part if isinstance(part, list) else [part])]
    if not all(isinstance(d, dict) for d in documents):
        raise UserError("a file holds something that is not a route; write `name: …`, `channels: […]`")
    return documents
