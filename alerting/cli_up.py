"""`alerting up`."""

from typing import Annotated

import typer

from alerting.cli_support import command


@command
def up(
    demo: Annotated[
        bool,
        typer.Option(
            "--demo/--no-demo", help="With the simulated biscuit oven line: 30 days of its past, then faster than real time."
        ),
    ] = True,
) -> None:
    """Start the whole platform on this machine and watch over it until Ctrl-C.

    Starts MongoDB (unless ALERTING_MONGODB_URI names one), MLflow (unless ALERTING_MLFLOW_URI does), Airflow, the API with its
    pages, and the demo line. All listen on this machine alone. Data, logs and generated secrets are kept in ALERTING_HOME
    (./.alerting); a second start finds everything as it was. A part that stops is started again, with a growing delay.

    Ports: ALERTING_MONGODB_PORT (27027), ALERTING_MLFLOW_PORT (5050), ALERTING_AIRFLOW_PORT (8080), ALERTING_API_PORT (8000).
    """
    import os

    from alerting.local.up import up as run
    from alerting.settings import read_settings

    raise typer.Exit(run(read_settings(os.environ), os.environ, demo))
