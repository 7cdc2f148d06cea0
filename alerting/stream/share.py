"""Which of several processes of the stream service reads a source.

Brokers with consumer groups share the messages themselves, so every process reads them. A session
of MQTT and a subscription of OPC UA belong to one process: the processes that work are in the
database, and each computes the same owner of a source from them.

A server of OPC UA sends a value once. So the process that reads such a source says so beside its
name, and stays its owner for as long as it works.

The shards of the states of evaluation are few, and dealt out in turn, so that each process gets as
many. Two owners do no harm there either: one of two units of work that meet writes nothing.

If two processes read the same source for some seconds, because one has not heard of the other yet,
rows come twice and are stored once.
"""

from collections.abc import Collection, Iterable, Mapping
from hashlib import sha256
from zlib import crc32

from alerting.definitions.sources.streamed import StreamedSource


def owner(source: str, processes: Collection[str]) -> str:
    """Return the process that reads a source (rendezvous hashing): few sources ever move."""
    return max(processes, key=lambda process: sha256(f"{process}\0{source}".encode()).digest())


def owner_of_shard(shard: tuple[int, int], processes: Collection[str]) -> str:
    """Return the process that evaluates a shard of states, given by cadence and number."""
    every, number = shard
    first = crc32(f"{every}\0".encode())
    return sorted(processes)[(first + number) % len(processes)]


def share_of(
    process: str, processes: Mapping[str, Collection[str]], sources: Iterable[StreamedSource]
) -> set[str]:
    """Return the names of the sources that a process reads.

    `processes`: all that work, itself included, each with the sources that it says it reads.
    """

    def candidates(source: StreamedSource) -> Collection[str]:
        readers = [one for one, names in processes.items() if source.name in names]
        return readers if readers and source.is_sent_once else processes

    return {
        source.name
        for source in sources
        if source.has_groups or owner(source.name, candidates(source)) == process
    }
