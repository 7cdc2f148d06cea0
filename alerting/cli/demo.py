"""`alerting demo`: show the simulated line, and change its set-points."""

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from alerting.cli.output import (
    console,
    note_line_clock,
    print_json,
    short,
    show,
    show_result,
)
from alerting.cli.support import Json, command, command_group, instant, user, writes

if TYPE_CHECKING:
    from alerting.demo.line import DemoLineState

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
    as_json: Json = False,
) -> None:
    """Change a set-point of the running line, as an operator would at the panel.

    In force from the next simulated minute, for eight hours or until it is set again; then the crew
    sets its own value again.
    """
    from alerting.adapters.mongo.clock import MongoClock
    from alerting.demo.asset import ASSET, demo_asset
    from alerting.demo.line_store import MongoLines, SetPointRequest
    from alerting.demo.run import stored_line
    from alerting.demo.set_points import check_set_point, present_setting
    from alerting.settings.environment import read_settings
    from alerting.wiring import open_stores

    with open_stores(read_settings(os.environ)) as stores:
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
    show_result(result, as_json, text)


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
    as_json: Json = False,
) -> None:
    """Show the line: its clock, its last readings, and its set-points with their actor."""
    from alerting.adapters.mongo.clock import MongoClock
    from alerting.demo.asset import ASSET, demo_asset
    from alerting.demo.line_store import MongoLines
    from alerting.demo.run import stored_line
    from alerting.settings.environment import read_settings
    from alerting.wiring import open_stores

    asset = demo_asset()
    with open_stores(read_settings(os.environ)) as stores:
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
    true_causes = _causes(state) if causes else []
    if as_json:
        print_json(
            {
                "asset": ASSET,
                "now": now,
                "seed": state.seed,
                "variables": rows,
                "causes": true_causes if causes else None,
            }
        )
        return
    console.print(f"{asset.title} at {short(now)} (seed {state.seed})")
    show(rows, ["variable", "title", "value", "unit", "set_by"], False, "")
    if causes:
        show(
            true_causes, ["cause", "start", "end", "peak"], False, "no disturbance in the last day"
        )


def _set_by(state: "DemoLineState", name: str) -> str:
    if name not in state.setpoints():
        return ""
    change = state.hand_set(name, state.minute)
    return (
        "the crew"
        if change is None
        else f"{change.actor}, until {short(state.instant(change.until))}"
    )


def _causes(state: "DemoLineState") -> list[dict[str, Any]]:
    from alerting.demo.line import causes

    found = causes(state, timedelta(days=1))
    return [
        {"cause": d.cause, "start": start, "end": end, "peak": d.size} for start, end, d in found
    ]


@demo_group.command("past")
@writes
def past(
    days: Annotated[int, typer.Option(min=1, help="Days of it, up to --to.")] = 30,
    to: Annotated[
        str | None,
        typer.Option("--to", help="End, ISO 8601 with zone; now when left out.", metavar="TIME"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Fill the database with a past of the line and apply the example definitions, without running
    the line.

    A line that exists keeps its past. The clock of the platform stands still at its end.
    """
    from alerting.local.demo import fill_up

    filled = fill_up(days, instant(to, "--to"))
    show_result(filled._asdict(), as_json, str(filled))
