"""`alerting up` and `alerting prepare`."""

import os
from typing import Annotated

import typer

from alerting.cli.printing.output import show_result
from alerting.cli.support import Json, command


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
