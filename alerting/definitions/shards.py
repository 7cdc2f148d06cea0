"""Sixteen shards of definitions by hash of the name: of states, DAG files and reports."""

from functools import cache
from zlib import crc32

SHARDS = 16


@cache
def shard_of(definition: str) -> int:
    """Return the number of a definition's shard: always the same of sixteen."""
    return crc32(definition.encode()) % SHARDS
