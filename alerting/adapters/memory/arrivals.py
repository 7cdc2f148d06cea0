"""Arrival records and reprocessing requests in memory."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from alerting.episodes.state_table import TargetKey
from alerting.ports import Arrival, LatePart, ReprocessingRequest, Unfinished, Unit


class MemoryArrivals:
    """Port `Arrivals`. A write is over at once, so that every arrival is written."""

    def __init__(self) -> None:
        self._arrivals: dict[str, Arrival] = {}
        self._requests: dict[TargetKey, ReprocessingRequest] = {}
        self._evaluated_until: datetime | None = None
        self._numbers = map("{:06d}".format, itertools.count(1))

    def record(self, parts: Callable[[datetime | None], tuple[LatePart, ...]], arrived_at: datetime) -> None:
        """Store the late rows of a write. `parts(limit)`: the rows at or before an instant."""
        late = () if self._evaluated_until is None else parts(self._evaluated_until)
        if late:
            arrival = Arrival(next(self._numbers), arrived_at, True, late)
            self._arrivals[arrival.id] = arrival

    def evaluated_until(self) -> datetime | None:
        return self._evaluated_until

    def extend_evaluated_until(self, up_to: datetime) -> None:
        self._evaluated_until = max(up_to, self._evaluated_until or up_to)

    def unfinished(self) -> Unfinished:
        return Unfinished(self._chosen(lambda arrival: arrival.routed_at is None), bool(self._requests))

    def mark_seen(self, arrival: Arrival, at: datetime) -> None:
        """Record nothing: every arrival is written."""

    def mark_routed(self, routed: Sequence[tuple[Arrival, int]], at: datetime) -> None:
        for arrival, too_late in routed:
            self._arrivals[arrival.id] = replace(self._arrivals[arrival.id], routed_at=at, too_late=too_late)

    def of(self, arrived_at: datetime) -> list[Arrival]:
        return self._chosen(lambda arrival: arrival.arrived_at == arrived_at)

    def since(self, arrived_from: datetime) -> list[Arrival]:
        return self._chosen(lambda arrival: arrival.arrived_at >= arrived_from)

    def _chosen(self, fits: Callable[[Arrival], bool]) -> list[Arrival]:
        return sorted(filter(fits, self._arrivals.values()), key=lambda arrival: (arrival.arrived_at, arrival.id))

    def forget(self, before: datetime) -> int:
        old = self._chosen(lambda arrival: arrival.arrived_at < before and arrival.routed_at is not None)
        for arrival in old:
            del self._arrivals[arrival.id]
        return len(old)

    def request_reprocessing(self, starts: Mapping[TargetKey, datetime]) -> None:
        token = next(self._numbers)
        for key, start in starts.items():
            earlier = self._requests.get(key)
            first = start if earlier is None else min(start, earlier.start)
            self._requests[key] = ReprocessingRequest(*key, first, token)

    def requests(self, definitions: Sequence[str]) -> dict[TargetKey, ReprocessingRequest]:
        return {key: request for key, request in self._requests.items() if key[0] in set(definitions)}

    def remove_requests(self, requests: Sequence[ReprocessingRequest], unit: Unit) -> None:  # noqa: ARG002
        for done in requests:
            key = done.definition, done.asset
            if key in self._requests and self._requests[key].token == done.token:
                del self._requests[key]
