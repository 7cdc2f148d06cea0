"""`alerting demo`: show the simulated line, and change its set-points."""

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from alerting.cli.printing.output import console, note_line_clock, print_json, short, show, show_result
from alerting.cli.support import Json, command, command_group, instant, progress, read_documents, user, write_file, writes
from alerting.definitions.durations import parse_duration
from alerting.definitions.faults import UserError

if TYPE_CHECKING:
    from alerting.definitions.model import TrainedDefinition
    from alerting.demo.line import LineState
    from alerting.demo.trial.result import TrialResult

demo_group = command_group(
    "The simulated biscuit oven line: show it, change its set-points, try whether following advice helps. "
    "Physics: docs/demo-line.md."
)


@demo_group.command("set")
@writes
def set_point(
    variable: Annotated[
        str, typer.Argument(help="A set-point: zone_1_setpoint … zone_3_setpoint (°C), belt_speed_setpoint (m/min).")
    ],
    value: Annotated[float, typer.Argument(help="The value to set, within the limits of the variable.")],
    why: Annotated[str, typer.Option("--why", help="Reason, recorded in the audit.")] = "",
    as_json: Json = False,
) -> None:
    """Change a set-point of the running line, as an operator would at the panel.

    In force from the next simulated minute, for eight hours or until it is set again; then the crew sets its own value again.
    """
    from alerting.adapters.mongo.demo.clock import MongoClock
    from alerting.adapters.mongo.demo.line import MongoLines
    from alerting.demo.advance import stored_line
    from alerting.demo.asset import ASSET, demo_asset
    from alerting.demo.ports import SetPointRequest
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
    text = f"{variable}: {before:g} → {wanted:g}, from {short(start)} on, the next minute that the line computes"
    show_result(result, as_json, text)


@demo_group.command("status")
@command
def status(
    causes: Annotated[
        bool, typer.Option("--causes", help="Show also the true causes of the last day, which the platform does not see.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the line: its clock, its last readings, and its set-points with their actor."""
    from alerting.adapters.mongo.demo.clock import MongoClock
    from alerting.adapters.mongo.demo.line import MongoLines
    from alerting.demo.advance import stored_line
    from alerting.demo.asset import ASSET, demo_asset
    from alerting.settings.environment import read_settings
    from alerting.wiring import open_stores

    asset = demo_asset()
    with open_stores(read_settings(os.environ)) as stores:
        state = stored_line(MongoLines(stores.database)).state
        clock = MongoClock(stores.database)
        now = min(clock.now(), state.until)
        note_line_clock(clock.line_speed())
        readings = stores.readings.load(asset, now - timedelta(minutes=10), now).readings
    last = {name: float(values.dropna().iloc[-1]) for name, values in readings.items() if values.notna().any()}
    rows = [
        {"variable": name, "title": v.title, "value": last.get(name), "unit": v.unit, "set_by": _set_by(state, name)}
        for name, v in asset.variables.items()
    ]
    true_causes = _causes(state) if causes else []
    if as_json:
        print_json({"asset": ASSET, "now": now, "seed": state.seed, "variables": rows, "causes": true_causes if causes else None})
        return
    console.print(f"{asset.title} at {short(now)} (seed {state.seed})")
    show(rows, ["variable", "title", "value", "unit", "set_by"], False, "")
    if causes:
        show(true_causes, ["cause", "start", "end", "peak"], False, "no disturbance in the last day")


def _set_by(state: "LineState", name: str) -> str:
    """Return the actor of a set-point, and until when it is in force."""
    if name not in state.setpoints():
        return ""
    change = state.hand_set(name, state.minute)
    return "the crew" if change is None else f"{change.actor}, until {short(state.instant(change.until))}"


def _causes(state: "LineState") -> list[dict[str, Any]]:
    from alerting.demo.line import causes

    found = causes(state, timedelta(days=1))
    return [{"cause": d.cause, "start": start, "end": end, "peak": d.size} for start, end, d in found]


@demo_group.command("past")
@writes
def past(
    days: Annotated[int, typer.Option(min=1, help="Days of it, up to --to.")] = 30,
    to: Annotated[str | None, typer.Option("--to", help="End, ISO 8601 with zone; now when left out.", metavar="TIME")] = None,
    as_json: Json = False,
) -> None:
    """Fill the database with a past of the line and apply the example definitions, without running the line.

    A line that exists keeps its past. The clock of the platform stands still at its end.
    """
    from alerting.local.demo import fill_up

    filled = fill_up(days, instant(to, "--to"))
    show_result(filled._asdict(), as_json, str(filled))


@demo_group.command("trial")
@command
def trial(
    weeks: Annotated[
        int, typer.Option(help="Weeks of the trial, after 30 days of history on which the first model is trained.")
    ] = 2,
    seed: Annotated[
        list[int] | None,
        typer.Option(min=0, help="Seed of the line; given several times: one trial each, and metrics over all. 1 by default."),
    ] = None,
    follow: Annotated[float, typer.Option(help="Share of the alerts that the operator follows, 0 to 1.")] = 1.0,
    delay: Annotated[str, typer.Option(help="Time from an alert to the change of the set-points.")] = "3m",
    retrain: Annotated[int, typer.Option(help="Train again every so many weeks, with feedback and without; 0: never.")] = 4,
    definition: Annotated[
        Path | None,
        typer.Option(
            help="YAML file of the definition, used as written. Left out: that of the demo, with LightGBM's default only."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="HTML file to write; demo-trial.html when left out. Its weeks are stored in a folder beside it."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Try whether following the advice helps: two simulated lines with the same disturbances, one left alone, one acted upon.

    Everything runs in memory; the running line is not touched. On the second line an automatic operator follows the first
    recommendation of each alert, and takes the change back when its cause has passed. An interrupted trial continues after its
    last finished week when the same command is given again.
    """
    from alerting.adapters.files.trial_folder import TrialFolder
    from alerting.adapters.memory.platform import memory_platform
    from alerting.demo.trial.page import render_trial
    from alerting.demo.trial.records import TrialArguments
    from alerting.demo.trial.result import summarise
    from alerting.demo.trial.run import run_trial

    chosen = _trial_definition(definition)
    minutes = int(_duration(delay, "--delay") / timedelta(minutes=1))
    target = out or Path("demo-trial.html")
    if not target.suffix or target.is_dir():
        raise typer.BadParameter(f"{target} is not a file name with an ending, such as demo-trial.html", param_hint="--out")
    found = []
    with progress() as report_progress:
        for number in dict.fromkeys(seed or [1]):
            arguments = TrialArguments(weeks, number, follow, minutes, retrain)
            store = TrialFolder(target.with_suffix("") / f"seed-{number}")
            found.append(run_trial(arguments, chosen, memory_platform, store, report_progress))
    result = summarise(found, chosen.costs)
    write_file(target, render_trial(result, chosen.title or chosen.name))
    if as_json:
        print_json(result.to_document() | {"page": str(target)})
        return
    _print_trial(result, target)


def _trial_definition(file: Path | None) -> "TrainedDefinition":
    """Return the definition of a trial. That of the demo is searched less, so that a trial takes minutes."""
    from alerting.definitions.model import TrainedDefinition
    from alerting.kinds.validation import parse_definition
    from alerting.local.demo import EXAMPLES

    (document, *more) = read_documents([file or EXAMPLES / "biscuits-too-moist.yaml"])
    parsed = parse_definition(document)
    if more or not isinstance(parsed, TrainedDefinition):
        raise UserError(f"{file}: a trial takes one definition with a trained model")
    if file is not None:
        return parsed
    fewer = {"candidates": parsed.learning.candidates[-1:], "trials": 1}
    return parsed.model_copy(update={"learning": parsed.learning.model_copy(update=fewer)})


def _duration(text: str, option: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _print_trial(result: "TrialResult", target: Path) -> None:
    from alerting.demo.trial.page import TITLES, amount, headline, interval

    rows = [
        {
            "metric": TITLES[name],
            "value": amount(i),
            "unit": "" if i.unit == "%" else i.unit,
            "95 %": interval(i),
            "cases": i.cases,
        }
        for name, i in result.metrics.items()
    ]
    show(rows, ["metric", "value", "unit", "95 %", "cases"], False, "")
    for why, count in result.why_not.items():
        console.print(f"not avoided, {count} times: {why}")
    console.print(f"{headline(result)} Page: {target}")
