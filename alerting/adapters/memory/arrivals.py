"""Arrival records and reprocessing requests in memory."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from alerting.episodes.state_table import TargetKey
from alerting.ports import Arrival, LatePart, ReprocessingRequest, Unfinished, Unit


class MemoryArrivals:
    """Port `Arrivals`."""

    def __init__(self) -> None:
        self._arrivals: dict[str, Arrival] = {}
        self._requests: dict[TargetKey, dict[int, datetime]] = {}
        self._evaluated_until: datetime | None = None
        self._numbers = itertools.count()

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

    def request_reprocessing(
        self,
        shards: Iterable[Mapping[TargetKey, datetime]],
        instead_of: Sequence[ReprocessingRequest] = (),
    ) -> None:
        for starts in shards:
            for key, start in starts.items():
                self._requests.setdefault(key, {})[next(self._numbers)] = start
        self._remove(instead_of)

    def requests(self, definitions: Sequence[str]) -> dict[TargetKey, ReprocessingRequest]:
        wanted = set(definitions)
        return {
            key: ReprocessingRequest(*key, min(starts.values()), tuple(starts))
            for key, starts in self._requests.items()
            if key[0] in wanted
        }

    def remove_requests(self, requests: Sequence[ReprocessingRequest], unit: Unit) -> None:  # noqa: ARG002
        self._remove(requests)

    def _remove(self, requests: Sequence[ReprocessingRequest]) -> None:
        for done in requests:
            key = done.definition, done.asset
            starts = self._requests.pop(key, {})
            left = {n: start for n, start in starts.items() if n not in done.stored}
            if left:
                self._requests[key] = left
