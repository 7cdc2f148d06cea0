"""Shards of definitions by hash of the name: sixteen of DAG files and reports, as many or a
multiple of states, and the tasks of a tick."""

from functools import cache
from zlib import crc32

SHARDS = 16
EVALUATION_PREFIX = "evaluate__"


@cache
def shard_of(definition: str, parts: int = 1) -> int:
    """Return the number of a definition's shard: always the same of sixteen, or of sixteen times
    `parts`."""
    return crc32(definition.encode()) % (SHARDS * parts)


def state_parts(tasks: int) -> int:
    """Return into how many parts each sixteenth of the states is divided, so that each of so many
    tasks writes documents of its own."""
    return -(-tasks // SHARDS)


def task_of(definition: str, slots: int) -> int:
    """Return the number of the task that evaluates a definition, below `slots`. Definitions whose
    states are stored together share one."""
    return shard_of(definition, state_parts(slots)) % slots


def evaluation_dag(every: str) -> str:
    """Return the name of the DAG that evaluates at a cadence."""
    return f"{EVALUATION_PREFIX}{every}"
