"""`alerting late`: what came after its time was judged."""

from datetime import timedelta
from typing import Annotated

import typer

from alerting.cli.support import Json, command, console, instant, platform, print_json, show


@command
def late(
    start: Annotated[
        str | None,
        typer.Option("--from", help="Arrivals since; the last day if left out.", metavar="TIME"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show which readings and events came after their time was judged, how late, and which latency would have waited for them.

    A latency is set on the variable of the asset (alerting import assets); alerts then come that much later.
    """
    from alerting.definitions.durations import format_duration
    from alerting.usecases.operations.lateness import lateness

    begin = instant(start, "--from")
    with platform() as p:
        found = lateness(p, begin or p.clock.now() - timedelta(days=1))
    if as_json:
        print_json(found)
        return
    rows = [
        {
            "asset": line.asset,
            "what": line.what,
            "deliveries": line.deliveries,
            "rows": line.rows,
            "longest": _span(line.longest),
            "newest": line.newest,
            "latency": format_duration(line.latency) if line.latency else "",
        }
        for line in found
    ]
    show(rows, ["asset", "what", "deliveries", "rows", "longest", "newest", "latency"], False, "nothing came late")
    if found:
        console.print("latency: enough for nineteen of twenty deliveries; without it they are judged again", style="dim")


def _span(value: timedelta) -> str:
    return str(value).split(".")[0]
