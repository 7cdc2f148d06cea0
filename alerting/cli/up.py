"""`alerting up`, `alerting prepare` and `alerting access person add`."""

import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from alerting.cli.output import show_result
from alerting.cli.support import Json, command, platform, user, writes
from alerting.definitions.faults import UserError


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
    from alerting.local.up import up as run
    from alerting.settings.environment import read_settings

    raise typer.Exit(run(read_settings(os.environ, last=False), os.environ, demo))


@command
def prepare(
    new_keys: Annotated[
        bool,
        typer.Option("--new-keys", help="Accept keys that were replaced on all hosts."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Create the home of a platform with its secrets, and what its database needs, without starting
    it. Idempotent.

    In the database: collections, validators and indexes. Other commands create none; after an
    update of the program they refuse a database that was not prepared by it. `alerting up` and
    Docker Compose run this first. Commands need no running platform, but they need a home: only
    this command and `alerting up` create one.
    """
    from alerting.local.prepare import prepare as run
    from alerting.settings.environment import read_settings
    from alerting.wiring import database_warning

    settings = read_settings(os.environ, last=False)
    left = run(settings, new_keys=new_keys)
    warning = database_warning(settings)
    lines = [f"prepared: {settings.location}", *([warning] if warning else []), *left]
    show_result({"prepared": settings.location, "warning": warning, "left": left}, as_json, *lines)


@writes
def add_person(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name to sign in with.")],
    role: Annotated[
        str, typer.Option(help="viewer, operator, engineer or admin; of a new person.")
    ] = "operator",
    shown: Annotated[str, typer.Option(help="Name that others see.", metavar="TEXT")] = "",
    as_json: Json = False,
) -> None:
    """Add a person, or give one who exists a new link, and print the one-time link that sets the
    password or the PIN.

    All else about people, devices and tokens is done in the console, under Access.
    """
    from alerting.operators.actions import ROLES
    from alerting.settings.environment import read_settings
    from alerting.usecases.access import people
    from alerting.wiring import console_address

    chosen = next((one for one in ROLES if one == role), None)
    if chosen is None:
        raise UserError(f"there is no role {role!r}: {', '.join(ROLES)}")
    name = name.lower()
    now = datetime.now(UTC)  # by which links end
    with platform() as p:
        if p.accounts.get(name) is not None:
            code = people.make_link(p, name, user(), now)
        else:
            code = people.add_person(p, name, chosen, user(), now, shown.strip())[1]
    address = f"{console_address(read_settings(os.environ))}password/{code}"
    said = f"{name} sets the password or a PIN with this link, once, within three days:"
    show_result({"name": name, "link": address}, as_json, said, address)
