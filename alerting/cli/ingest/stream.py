"""`alerting stream`: the service that stores the messages of brokers and evaluates them at once."""

import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from alerting.cli.printing.output import console
from alerting.cli.support import command, platform
from alerting.usecases.evaluation.gc_tuning import collect_garbage_rarely

if TYPE_CHECKING:
    from alerting.adapters.platform import Platform
    from alerting.ports import Sources
    from alerting.settings.environment import Settings

READ_AGAIN_S = 5.0
_PROCESSES = (
    "stream_processes"  # the module with the names of collections loads much more than the driver
)

_SWITCH_S = 0.0005
_log = logging.getLogger(__name__)


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

    Definitions of kind threshold are evaluated as soon as the latency of their readings is over,
    and notifications are sent. Airflow evaluates them too, and all others.
    """
    from alerting.settings.environment import read_settings

    stopped = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    present = f"{socket.gethostname()}-{os.getpid()}"
    await_source(read_settings(os.environ), alive, stopped, present)
    if stopped.is_set():
        return
    from alerting.cli.ingest.evaluator import Evaluator
    from alerting.cli.ingest.stream_service import StreamService

    with ExitStack() as stack:
        p = await_platform(stack, read_settings(os.environ), alive, stopped)
        if p is None:
            return
        stack.callback(_forget, p.sources, present)
        stack.enter_context(interpreter_for_messages())
        console.print("storing messages of brokers, and evaluating them; stop with Ctrl-C")
        evaluator = Evaluator(p)
        service = StreamService(p, os.environ, evaluator.add)
        evaluator.start()
        try:
            while not stopped.is_set():
                service.turn()
                evaluator.stored_until = service.stored_until
                if alive is not None and evaluator.is_alive:
                    alive.touch()
        finally:
            service.leave()
            evaluator.close()


def await_source(settings: "Settings", alive: Path | None, stopped: Event, present: str) -> None:
    """Return once there is a source of a broker. Until then the process holds little more than the
    driver of the database.

    Meanwhile it is noted under the id `present` as a process that runs and reads no source yet:
    `source apply` then waits for it. Return at once without a database server of its own, which
    only an opened platform starts.
    """
    if settings.mongodb_uri is None:
        return
    import pymongo
    from pymongo.errors import PyMongoError

    from alerting.definitions.sources.source import STREAMED

    with pymongo.MongoClient[dict[str, object]](
        settings.mongodb_uri, serverSelectionTimeoutMS=5000
    ) as client:
        database = client[settings.database]
        fault = None
        while not stopped.is_set():
            try:
                noted = {"$set": {"waiting": True}, "$currentDate": {"at": True}}
                database[_PROCESSES].update_one({"_id": present}, noted, upsert=True)
                if database["sources"].find_one(
                    {"kind": {"$in": STREAMED}, "state": {"$nin": ["paused", "retired"]}},
                    {"_id": True},
                ):
                    return
                fault = None
            except PyMongoError as error:
                if fault is not type(error):
                    _log.warning(
                        "the database does not answer, so the sources are not known: %s",
                        str(error)[:200],
                    )
                fault = type(error)
            if alive is not None:
                alive.touch()
            stopped.wait(READ_AGAIN_S)
        with suppress(PyMongoError):  # of a database that is away: it deletes the note a day later
            database[_PROCESSES].delete_one({"_id": present})


def _forget(sources: "Sources", present: str) -> None:
    with suppress(Exception):  # of a database that is away: it deletes the note a day later
        sources.forget_process(present)


def await_platform(
    stack: ExitStack, settings: "Settings", alive: Path | None, stopped: Event
) -> "Platform | None":
    """Open the platform once its database answers; return None if the service is stopped before.

    Raises DatabaseDown for a database of its own that cannot be started.
    """
    from alerting.adapters.mongo.mongo import DatabaseDown

    is_said = False
    while not stopped.is_set():
        try:
            return stack.enter_context(platform())
        except DatabaseDown as fault:
            if settings.mongodb_uri is None:
                raise
            if not is_said:
                _log.warning("waiting for the database: %s", fault)
            is_said = True
        if alive is not None:
            alive.touch()
        stopped.wait(1.0)
    return None


@contextmanager
def interpreter_for_messages() -> Iterator[None]:
    """Let a thread that got a packet run after half a millisecond instead of five, and look for
    garbage rarely among new objects.

    A client of a broker reads a message by several calls of the system, and after each it waits for
    its turn while another thread computes. Messages make many objects and no cycles of references.
    Looking for such cycles among the objects of the libraries, which stay, took a tenth of a second
    about once a second.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    gc.freeze()
    try:
        with collect_garbage_rarely():
            yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(before)
