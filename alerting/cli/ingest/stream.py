"""`alerting stream`: the service that stores the messages of brokers, and evaluates at once."""

import os
import signal
from functools import partial
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from alerting.cli.printing.output import console
from alerting.cli.support import command, platform


@command
def stream(
    alive: Annotated[
        Path | None,
        typer.Option(
            help=(
                "File to touch every few seconds while the service works, for checks of its health."
            )
        ),
    ] = None,
) -> None:
    """Store the messages of brokers and evaluate them at once, until it is stopped. Several
    processes share the work.

    Definitions of every kind are evaluated as soon as the latency of their readings is over, also
    with readings that other processes store, and notifications are sent. Airflow evaluates them
    too.
    """
    from alerting.settings.environment import read_settings
    from alerting.stream.wait import await_source, new_process

    stopped = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    process = new_process()
    settings = read_settings(os.environ)
    if settings.mongodb_uri is not None:  # refused at once, not with the first source
        settings.read_link_key()
        settings.read_model_key()
    await_source(settings, alive, stopped, process)
    if stopped.is_set():
        return
    from alerting.stream.run import run

    run(partial(platform, service=True), os.environ, alive, stopped, process, console.print)
