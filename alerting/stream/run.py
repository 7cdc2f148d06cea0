"""The work of `alerting stream`: storing and evaluating until it is stopped."""

import gc
import logging
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from threading import Event

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.ports import Platform
from alerting.settings.environment import Settings, read_settings
from alerting.stream.evaluator import Evaluator
from alerting.stream.lease import await_lease
from alerting.stream.polls import PollService
from alerting.stream.service import LeaseLost, StreamService
from alerting.stream.sinks import SinkService
from alerting.wiring import sink_surroundings, source_readers

Opened = Callable[[], AbstractContextManager[Platform]]
_SWITCH_S = 0.0005


def run(
    opened: Opened,
    environ: Mapping[str, str],
    alive: Path | None,
    stopped: Event,
    process: str,
    say: Callable[[str], None],
) -> None:
    """Store messages and evaluate them until `stopped` is set, or another process has taken over.
    `opened`: opens the platform.

    `alive`: a file that is touched every few seconds while the service works. `process`:
    the name by which it has the lease of the service.
    """
    with ExitStack() as stack:
        settings = read_settings(environ)
        p = await_platform(stack, opened, settings, alive, stopped)
        if p is None or not await_lease(p.leases, process, alive, stopped):
            return
        stack.enter_context(interpreter_for_messages())
        say(
            "storing messages of brokers and rows of polled sources, evaluating them, delivering "
            "sinks; stop with Ctrl-C"
        )
        evaluator = Evaluator(p)
        polls = PollService(p, source_readers(settings, environ))
        sinks = SinkService(p, sink_surroundings(settings, environ))

        def look() -> Collection[str]:
            polls.look()
            sinks.look()
            return polls.reads()

        service = StreamService(p, environ, evaluator.add, process, look)
        evaluator.start()
        try:
            while not stopped.is_set():
                service.turn()
                polls.start_due()
                evaluator.stored_until = service.stored_until
                if alive is not None and evaluator.is_alive:
                    alive.touch()
        except LeaseLost as lost:
            logging.getLogger(__name__).warning("%s", lost)
        finally:
            polls.close()
            service.close()
            evaluator.close()
            sinks.close()


def await_platform(
    stack: ExitStack, opened: Opened, settings: Settings, alive: Path | None, stopped: Event
) -> Platform | None:
    """Open the platform once its database answers; return None if the service is stopped before.

    Raises DatabaseDown for a database of its own that cannot be started.
    """
    is_said = False
    while not stopped.is_set():
        try:
            return stack.enter_context(opened())
        except DatabaseDown as fault:
            if settings.mongodb_uri is None:
                raise
            if not is_said:
                logging.getLogger(__name__).warning("waiting for the database: %s", fault)
            is_said = True
        if alive is not None:
            alive.touch()
        stopped.wait(1.0)
    return None


@contextmanager
def interpreter_for_messages() -> Iterator[None]:
    """Let a thread that got a packet run after half a millisecond instead of five, and look for
    garbage rarely, among new objects alone.

    A client of a broker reads a message by several calls of the system, and after each it waits for
    its turn while another thread computes.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    gc.freeze()
    gc.set_threshold(100_000)  # messages make many objects, and little garbage
    try:
        yield
    finally:
        sys.setswitchinterval(before)
