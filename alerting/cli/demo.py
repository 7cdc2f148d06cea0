"""`alerting demo`: show the simulated line, and change its set-points."""

import os
from datetime import datetime, timedelta
from typing import Annotated
from uuid import uuid4

import typer

from alerting import wiring
from alerting.adapters.mongo.clock import MongoClock
from alerting.cli.help import command_group
from alerting.cli.output import Line, Output, OutputTable, note_line_clock, short
from alerting.cli.support import command, read_instant, user, writes
from alerting.demo.asset import ASSET, demo_asset
from alerting.demo.line import DemoLineState
from alerting.demo.line import causes as find_causes
from alerting.demo.line_store import MongoLines, SetPointRequest
from alerting.demo.run import stored_line
from alerting.demo.set_points import check_set_point, present_setting
from alerting.local.demo import fill_up
from alerting.settings.environment import read_settings

demo_group = command_group(
    "The simulated biscuit oven line: show it, and change its set-points. Physics: "
    "docs/demo-line.md."
)


@demo_group.command("set")
@writes
def set_point(
    variable: Annotated[
        str,
        typer.Argument(
            help="A set-point: zone_1_setpoint … zone_3_setpoint (°C), belt_speed_setpoint (m/min)."
        ),
    ],
    value: Annotated[
        float, typer.Argument(help="The value to set, within the limits of the variable.")
    ],
    why: Annotated[str, typer.Option("--why", help="Reason, recorded in the audit.")] = "",
) -> Output:
    """Change a set-point of the running line, as an operator would at the panel.

    In force from the next simulated minute, for eight hours or until it is set again; then the crew
    sets its own value again.
    """
    with wiring.open_stores(read_settings(os.environ)) as stores:
        lines = MongoLines(stores.database)
        line = stored_line(lines)
        before = present_setting(line, variable) if variable in line.state.setpoints() else 0.0
        wanted = check_set_point(demo_asset(), variable, value, before)
        lines.ask(ASSET, SetPointRequest(uuid4().hex, variable, wanted, user()))
        at = MongoClock(stores.database).now()
        stores.audit.add(user(), "set-point-change", f"{ASSET}/{variable}", at, before, wanted, why)
    start = line.state.until
    result = {"variable": variable, "before": before, "value": wanted, "from": start}
    text = (
        f"{variable}: {before:g} → {wanted:g}, from {short(start)} on, the next minute that the "
        "line computes"
    )
    return Output(result, [text])


@demo_group.command("status")
@command
def status(
    causes: Annotated[
        bool,
        typer.Option(
            "--causes",
            help="Show also the true causes of the last day, which the platform does not see.",
        ),
    ] = False,
) -> Output:
    """Show the line: its clock, its last readings, and its set-points with their actor."""
    asset = demo_asset()
    with wiring.open_stores(read_settings(os.environ)) as stores:
        state = stored_line(MongoLines(stores.database)).state
        clock = MongoClock(stores.database)
        now = min(clock.now(), state.until)
        note_line_clock(clock.line_speed())
        readings = stores.readings.load(asset, now - timedelta(minutes=10), now).readings
    last = {
        name: float(values.dropna().iloc[-1])
        for name, values in readings.items()
        if values.notna().any()
    }
    rows = [
        {
            "variable": name,
            "title": v.title,
            "value": last.get(name),
            "unit": v.unit,
            "set_by": _set_by(state, name),
        }
        for name, v in asset.variables.items()
    ]
    true_causes = [
        {"cause": d.cause, "start": start, "end": end, "peak": d.size}
        for start, end, d in (find_causes(state, timedelta(days=1)) if causes else ())
    ]
    found = {"asset": ASSET, "now": now, "seed": state.seed, "variables": rows}
    lines: list[Line] = [
        f"{asset.title} at {short(now)} (seed {state.seed})",
        OutputTable(rows, ["variable", "title", "value", "unit", "set_by"]),
    ]
    if causes:
        columns = ["cause", "start", "end", "peak"]
        lines.append(OutputTable(true_causes, columns, "no disturbance in the last day"))
    return Output(found | {"causes": true_causes if causes else None}, lines)


def _set_by(state: DemoLineState, name: str) -> str:
    if name not in state.setpoints():
        return ""
    change = state.hand_set(name, state.minute)
    return (
        "the crew"
        if change is None
        else f"{change.actor}, until {short(state.instant(change.until))}"
    )


@demo_group.command("past")
@writes
def past(
    days: Annotated[int, typer.Option(min=1, help="Days of it, up to --to.")] = 30,
    to: Annotated[
        datetime | None,
        typer.Option(
            "--to",
            parser=read_instant,
            help="End, ISO 8601 with zone; now when left out.",
            metavar="TIME",
        ),
    ] = None,
) -> Output:
    """Fill the database with a past of the line and apply the example definitions, without running
    the line.

    A line that exists keeps its past. The clock of the platform stands still at its end.
    """
    filled = fill_up(days, to)
    return Output(filled._asdict(), [str(filled)])
