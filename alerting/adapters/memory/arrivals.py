"""Arrival records and reprocessing requests in memory."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from alerting.episodes.state_table import TargetKey
from alerting.ports import Arrival, LatePart, ReprocessingRequest, Unfinished, Unit


class MemoryArrivals:
    """Port `Arrivals`."""

    def __init__(self) -> None:
        self._arrivals: dict[str, Arrival] = {}
        self._requests: dict[TargetKey, ReprocessingRequest] = {}
        self._evaluated_until: datetime | None = None
        self._tokens = map(str, itertools.count(1))

    def store_arrival(self, arrival: Arrival) -> None:
        self._arrivals[arrival.id] = arrival

    def remove(self, id: str) -> None:
        del self._arrivals[id]

    def evaluated_until(self) -> datetime | None:
        return self._evaluated_until

    def has_evaluated(self) -> bool:
        return self._evaluated_until is not None

    def extend_evaluated_until(self, up_to: datetime) -> None:
        self._evaluated_until = max(up_to, self._evaluated_until or up_to)

    def unfinished(self) -> Unfinished:
        return Unfinished([a for a in self._sorted() if a.routed_at is None], bool(self._requests))

    def mark_routed(self, routed: Sequence[tuple[Arrival, int]], at: datetime) -> None:
        for arrival, too_late in routed:
            if self._arrivals[arrival.id].written == arrival.written:
                self._arrivals[arrival.id] = replace(arrival, routed_at=at, too_late=too_late)

    def arrived_since(self, arrived_from: datetime) -> list[Arrival]:
        return [arrival for arrival in self._sorted() if arrival.arrived_at >= arrived_from]

    def written_by_others(self, stop: Callable[[], bool]) -> Iterator[tuple[LatePart, ...]]:  # noqa: ARG002
        yield from ()  # no other process writes

    def as_another(self) -> "MemoryArrivals":
        return self

    def _sorted(self) -> list[Arrival]:
        return sorted(self._arrivals.values(), key=lambda arrival: arrival.arrived_at)

    def forget(self, before: datetime) -> int:
        old = [
            a.id
            for a in self._arrivals.values()
            if a.arrived_at < before and a.routed_at is not None
        ]
        for id in old:
            del self._arrivals[id]
        return len(old)

    def request_reprocessing(self, starts: Mapping[TargetKey, datetime]) -> None:
        token = next(self._tokens)
        for key, start in starts.items():
            earlier = self._requests.get(key)
            first = start if earlier is None else min(start, earlier.start)
            self._requests[key] = ReprocessingRequest(*key, first, token)

    def requests(self, definitions: Sequence[str]) -> dict[TargetKey, ReprocessingRequest]:
        return {
            key: request for key, request in self._requests.items() if key[0] in set(definitions)
        }

    def remove_requests(self, requests: Sequence[ReprocessingRequest], unit: Unit) -> None:  # noqa: ARG002
        for done in requests:
            key = done.definition, done.asset
            if key in self._requests and self._requests[key].token == done.token:
                del self._requests[key]
