"""Messages of many variables that wait at a broker, and consumers that store them."""

import json
import time
from collections.abc import Callable, Generator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from alerting.ports import Platform
from alerting.stream.service import StreamService, interpreter_for_messages
from alerting.usecases.sources.status import SOURCES

MESSAGES = 6_000
VARIABLES = 52
ASSETS = 10
LONGEST_S = 60.0  # in which a consumer must empty the queue
GOAL = 0.8
LEAST_VALUES = 31_400
START = datetime(2026, 1, 5, tzinfo=UTC)
Rows = Callable[[], Generator[int, None, None]]
"""Starts a consumer that yields 0 before it connects, then the number of rows that each of its
batches stored."""


def wide(number: int) -> bytes:
    """Return a message of many variables."""
    values = {
        f"variable_{i}": round(20 + (number * 7 + i) % 100 * 0.37, 2) for i in range(VARIABLES)
    }
    return json.dumps(
        {"ts": (START + timedelta(seconds=number // ASSETS)).isoformat(), "values": values}
    ).encode()


def document(
    asset: str, payload: bytes, parse: Callable[[bytes], Any] = json.loads
) -> dict[str, Any]:
    """Return what a bare consumer inserts for a message."""
    row = parse(payload)
    return {
        "asset": asset,
        "ts": datetime.fromisoformat(row["ts"]),
        "v": row["values"],
        "arrived_at": datetime.now(UTC),
    }


def time_to_empty(consumer: Rows) -> tuple[float, float]:
    """Let a consumer empty a queue of MESSAGES. Return messages a second, and CPU each (ms)."""
    rows = consumer()
    next(rows)  # it is connected, or about to be
    stored = 0
    began = time.perf_counter()
    cpu = time.process_time()
    while stored < MESSAGES:
        stored += next(rows)
        assert time.perf_counter() - began < LONGEST_S, (
            f"{stored} of {MESSAGES} messages were stored after {LONGEST_S} s"
        )
    elapsed = time.perf_counter() - began
    used = time.process_time() - cpu
    rows.close()
    assert stored == MESSAGES, f"{stored} rows of {MESSAGES} messages were stored"
    return MESSAGES / elapsed, used / MESSAGES * 1000


def service_rows(
    platform: Platform, source: Mapping[str, Any], address: str
) -> Generator[int, None, None]:
    """Yield 0 before it connects, then the rows of each batch that the stream service stores."""
    SOURCES.apply(platform, [source], "benchmark", datetime.now(UTC))
    rows: list[int] = []
    service = StreamService(
        platform, {"BROKER_URL": address}, lambda batch: rows.append(len(batch))
    )
    yield 0
    try:
        with interpreter_for_messages():
            while True:
                service.turn()
                yield sum(rows)
                rows.clear()
    finally:
        service.close()
