"""Reading of a polled source under a claim: one reader at a time, which is the stream service, a
task of Airflow or a command.

Two readers would store nothing twice, but would move the same files. A thread of its own renews a
claim; a claim that is not renewed ends after `LEASE_LASTS`.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from secrets import token_hex
from threading import Event, Thread

from alerting.definitions.sources import LEASE_LASTS
from alerting.ports import Clock, PollReader, SourcePorts
from alerting.stores.database.transactions_and_leases import Leases
from alerting.usecases.sources.poll import Polled, Readers, poll

_RENEW_S = LEASE_LASTS.total_seconds() / 3


def poll_claimed(
    plant: SourcePorts,
    readers: Readers,
    name: str,
    by: PollReader,
    clock: Clock,
    *,
    again: bool = False,
    report: Callable[[int], None] | None = None,
) -> Polled | None:
    """Read a source as `poll` does, and note when and by whom it was read. Return None, without
    reading, while another reader reads the source."""
    with _claim_source(plant, name, by, clock) as is_claimed:
        if not is_claimed:
            return None
        return poll(plant, readers, name, clock.now(), again=again, report=report)


@contextmanager
def _claim_source(plant: SourcePorts, name: str, by: PollReader, clock: Clock) -> Iterator[bool]:
    """Claim a source while the block runs. Yield whether it is claimed."""
    token = f"{by} {socket.gethostname()}-{os.getpid()}-{token_hex(4)}"
    lease = f"source {name}"
    if not plant.leases.claim(lease, token):
        yield False
        return
    ended = Event()
    renewal = Thread(target=_renew, args=(plant.leases, lease, token, ended), daemon=True)
    renewal.start()
    try:
        yield True
    finally:
        ended.set()
        renewal.join()
        with suppress(Exception):  # the database is away: the claim ends by itself
            plant.deliveries.note_polled(name, by, clock.now())
            plant.leases.release(lease, token)


def _renew(leases: Leases, name: str, token: str, ended: Event) -> None:
    while not ended.wait(_RENEW_S):
        with suppress(Exception):  # the database is away: the next renewal tries again
            leases.claim(name, token)
