"""`alerting suppressed`: what nobody is told of, by design."""

from datetime import timedelta
from typing import Annotated

import typer

from alerting.cli.support import Json, command, console, instant, platform, print_json, short, show


@command
def suppressed(
    name: Annotated[str | None, typer.Argument(help="Definition; every active one when left out.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="List what nobody was told of since; a day ago if left out.", metavar="TIME")
    ] = None,
    as_json: Json = False,
) -> None:
    """List what is suppressed by design now (line stopped, calendar), and the episodes that nobody was told of."""
    from alerting.usecases.episodes.suppression import list_suppressed

    begin = instant(since, "--since")
    with platform() as p:
        now = p.clock.now()
        found = list_suppressed(p, now, begin or now - timedelta(days=1), name)
    if as_json:
        return print_json(found)
    rows = [
        {
            "definition": pair.definition,
            "asset": pair.asset,
            "now": "suppressed" if pair.suppressed else "told",
            "why": "; ".join([*([pair.words] if pair.words else []), *(f"unknown: {reason}" for reason in pair.unknown)]),
        }
        for pair in found.pairs
    ]
    show(rows, ["definition", "asset", "now", "why"], False, "no definition in service says when it is suppressed")
    episodes = [
        {
            "episode": e.id[:10],
            "definition": e.definition,
            "asset": e.asset,
            "raised": e.raised_at,
            "closed": e.closed_at,
        }
        for e in found.untold
    ]
    console.print(f"nobody was told of {len(episodes)} since {short(found.since)}", style="bold")
    if episodes:
        show(episodes, ["episode", "definition", "asset", "raised", "closed"], False, "")
    return None
