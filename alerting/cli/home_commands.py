"""Commands on the home of a platform: `up`, `prepare`, `access person add`, `backup`, `restore` and
`export`; and `alerting demo …`, on its simulated line."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from alerting import wiring
from alerting.adapters.mongo.mongo import MongoClock
from alerting.cli.command import (
    Line,
    Output,
    OutputTable,
    command,
    note_line_clock,
    platform,
    progress,
    require_file,
    short,
    user,
    writes,
)
from alerting.cli.main import command_group
from alerting.cli.options import End, Start, read_instant
from alerting.deferred import pa, pd, pq
from alerting.definitions.asset_documents import types_of
from alerting.definitions.faults import UserError
from alerting.demo.line import ASSET, DemoLineState, demo_asset
from alerting.demo.line import causes as find_causes
from alerting.demo.stored_line import (
    MongoLines,
    SetPointRequest,
    check_set_point,
    present_setting,
    stored_line,
)
from alerting.local.backup import SECRETS, disk_errors, restore_backup, save_backup
from alerting.local.demo import fill_up
from alerting.local.prepare import prepare as prepare_home
from alerting.local.up import up as run
from alerting.operators.actions_and_mutes import ROLES
from alerting.ports import WantedHistory
from alerting.settings.environment import read_settings
from alerting.usecases.access import accounts

access_group = command_group("Access: the first administrator, and a new link for a lost one.")
_person_group = command_group("People: all else about them is done in the console.")
access_group.add_typer(_person_group, name="person")
_AT_ONCE = timedelta(days=7)
_ARROW = {"number": "double", "boolean": "bool", "category": "string"}


@command
def up(
    demo: Annotated[
        bool,
        typer.Option(
            "--demo/--no-demo",
            help=(
                "With the simulated biscuit oven line: 30 days of readings, then faster than real "
                "time."
            ),
        ),
    ] = True,
) -> None:
    """Start the whole platform on this machine, and restart parts that stop, until Ctrl-C.

    Starts MongoDB (unless ALERTING_MONGODB_URI names one), MLflow (unless ALERTING_MLFLOW_URI
    does), Airflow, the API with its pages, the service that stores and evaluates messages of
    brokers, and the demo line. All listen on this machine alone. Data, logs and generated secrets
    are kept in ALERTING_HOME, else in the nearest .alerting at or above this folder, which is made
    here if there is none; a second start finds everything as it was. Commands find it from there,
    and from anywhere else as the last one started. A part that stops is started again, with a
    growing delay.

    Ports: ALERTING_MONGODB_PORT (27027), ALERTING_MLFLOW_PORT (5050), ALERTING_AIRFLOW_PORT (8080),
    ALERTING_API_PORT (8000).
    """
    raise typer.Exit(run(read_settings(os.environ, last=False), os.environ, demo))


@command
def prepare(
    new_keys: Annotated[
        bool,
        typer.Option("--new-keys", help="Accept keys that were replaced on all hosts."),
    ] = False,
) -> Output:
    """Create the home of a platform with its secrets, and what its database needs, without starting
    it. Idempotent.

    In the database: collections, validators and indexes. Other commands create none; after an
    update of the program they refuse a database that was not prepared by it. `alerting up` and
    Docker Compose run this first. Commands need no running platform, but they need a home: only
    this command and `alerting up` create one.
    """
    settings = read_settings(os.environ, last=False)
    prepare_home(settings, new_keys=new_keys)
    warning = wiring.database_warning(settings)
    lines = [f"prepared: {settings.location}", *([warning] if warning else [])]
    return Output({"prepared": settings.location, "warning": warning}, lines)


@_person_group.command("add")
@writes
def add_person(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name to sign in with.")],
    role: Annotated[
        str, typer.Option(help="viewer, operator, engineer or admin; of a new person.")
    ] = "operator",
    shown: Annotated[str, typer.Option(help="Name that others see.", metavar="TEXT")] = "",
) -> Output:
    """Add a person, or give one who exists a new link, and print the one-time link that sets the
    password or the PIN.

    All else about people, devices and tokens is done in the console, under Access.
    """
    chosen = next((known_role for known_role in ROLES if known_role == role), None)
    if chosen is None:
        raise UserError(f"there is no role {role!r}: {', '.join(ROLES)}")
    name = name.lower()
    now = datetime.now(UTC)  # by which links end
    with platform() as p:
        if p.accounts.get(name) is not None:
            code = accounts.make_link(p, name, user(), now)
        else:
            code = accounts.add_person(p, name, chosen, user(), now, shown.strip())[1]
    address = f"{wiring.console_address(read_settings(os.environ))}password/{code}"
    text = f"{name} sets the password or a PIN with this link, once, within three days:"
    return Output({"name": name, "link": address}, [text, address])


@command
def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New folder for the backup.")],
) -> Output:
    """Back up the platform, running or not: database, models, secrets.

    The database is read as of one instant while the platform goes on. The folder holds secrets; it
    is readable by its owner alone. Not included: Airflow's history, a registry of your own
    (ALERTING_MLFLOW_URI), and the settings in the environment.
    """
    unfinished = f"the backup in {folder} is not complete"
    with (
        progress() as report,
        disk_errors(unfinished, "delete it, and name a new folder with room that you may write"),
    ):
        settings = read_settings(os.environ)
        made = save_backup(settings, folder, progress=report, actor=user())
    documents = sum(made.database.values())
    size = sum(file.bytes for file in made.files.values())
    without_models = (
        "no models: the registry is a server of your own, back it up with its own tools"
    )
    return Output(
        {
            "folder": folder,
            "documents": documents,
            "files": len(made.files),
            "bytes": size,
            "models": settings.mlflow_uri is None,
        },
        [
            f"backup in {folder}: {documents} documents, {len(made.files)} files, "
            f"{size / (1 << 20):.1f} MiB",
            *([without_models] if settings.mlflow_uri else []),
        ],
    )


@command
def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a backup.")],
) -> Output:
    """Restore a backup into an empty home (ALERTING_HOME, else .alerting here) and an empty
    database.

    Every hash is compared before anything is read. Then start the platform: evaluation goes on from
    its watermarks, and nothing that was sent is sent again.
    """
    settings = read_settings(os.environ, last=False)
    unfinished = f"{settings.location} is not restored"
    with (
        progress() as report,
        disk_errors(unfinished, "delete it, and restore into a home with room"),
    ):
        made = restore_backup(settings, folder, report, user())
    missing = [name for name in made.variables if name not in os.environ]
    notes = [f"set again what was set then: {', '.join(missing)}"] if missing else []
    if not any(name.startswith(f"{SECRETS}/") for name in made.files):
        notes.append(
            "no secrets were restored: copy those that you saved into secrets/ of the home before "
            "the start, or new ones are made"
        )
    done = (
        f"restored the backup of {short(datetime.fromisoformat(made.at))} to {settings.location}: "
        f"{sum(made.database.values())} documents"
    )
    value = {"restored": settings.location, "made_at": made.at, "missing": missing}
    return Output(value, [done, *notes])


@command
def export(
    name: Annotated[str, typer.Argument(metavar="ASSET", help="Name of an asset.")],
    out: Annotated[Path, typer.Option("--out", help="File to write.", metavar="FILE.parquet")],
    start: Start = None,
    end: End = None,
) -> Output:
    """Write the measured readings of an asset to a Parquet file, which `alerting import readings`
    reads again. Samples of bad quality are left out."""
    require_file(out, f"{name}.parquet")
    rows = 0
    with platform() as p, progress() as report, disk_errors(f"{out} is not complete", "delete it"):
        asset = p.assets.get(name)
        span = p.readings.span(name)
        if asset is None or span is None:
            raise UserError(f"there is no asset {name!r} with readings: see /assets")
        names = [variable for variable in asset.variables if not asset.is_computed(variable)]
        arrow = {
            variable: pa.type_for_alias(_ARROW[t]) for variable, t in types_of(asset, names).items()
        }
        key_types = {"time": pa.timestamp("ms", "UTC"), "asset": pa.string()}
        at = max(start or span[0], span[0]) - timedelta(milliseconds=1)
        last = min(end or span[1], span[1])
        with pq.ParquetWriter(out, pa.schema(key_types | arrow), compression="zstd") as file:
            while at < last:
                to = min(at + _AT_ONCE, last)
                readings = p.readings.load(
                    WantedHistory(asset, at, to, names, with_events=False)
                ).readings
                values = [
                    pa.array(readings[variable]).cast(kind) for variable, kind in arrow.items()
                ]
                keys = [
                    pa.array(pd.DatetimeIndex(readings.index).tz_convert(None)).cast(
                        key_types["time"]
                    ),
                    pa.array([name] * len(readings)),
                ]
                file.write_table(pa.table([*keys, *values], schema=file.schema))
                rows += len(readings)
                report("readings", rows, None)
                at = to
    return Output({"file": out, "rows": rows}, [f"{rows} readings of {name} in {out}"])


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
        checked = check_set_point(demo_asset(), variable, value, before)
        lines.ask(ASSET, SetPointRequest(uuid4().hex, variable, checked, user()))
        at = MongoClock(stores.database).now()
        stores.audit.add(
            user(), "set-point-change", f"{ASSET}/{variable}", at, before, checked, why
        )
    start = line.state.until
    text = (
        f"{variable}: {before:g} → {checked:g}, from {short(start)} on, the next minute that the "
        "line computes"
    )
    return Output({"variable": variable, "before": before, "value": checked, "from": start}, [text])


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
        readings = stores.readings.load(
            WantedHistory(asset, now - timedelta(minutes=10), now)
        ).readings
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
    value = {"asset": ASSET, "now": now, "seed": state.seed, "variables": rows}
    lines: list[Line] = [
        f"{asset.title} at {short(now)} (seed {state.seed})",
        OutputTable(rows, ["variable", "title", "value", "unit", "set_by"]),
    ]
    if causes:
        columns = ["cause", "start", "end", "peak"]
        lines.append(OutputTable(true_causes, columns, "no disturbance in the last day"))
    return Output(value | {"causes": true_causes if causes else None}, lines)


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
