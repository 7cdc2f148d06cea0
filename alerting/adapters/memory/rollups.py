"""Rollups in memory."""

from collections.abc import Collection

from alerting.ports.readings import HourlyParts
from alerting.readings.buckets import HOUR, Buckets
from alerting.readings.rollups import RollupSize, RollupState, unpack


class MemoryRollups:
    """Port `Rollups`."""

    def __init__(self) -> None:
        self._states: dict[str, RollupState] = {}
        self._parts: dict[tuple[str, str, RollupSize], dict[int, bytes]] = {}

    def state(self, asset: str) -> RollupState | None:
        return self._states.get(asset)

    def states(self) -> dict[str, RollupState]:
        return dict(self._states)

    def store_state(self, state: RollupState) -> None:
        self._states[state.asset] = state

    def store(self, asset: str, size: RollupSize, parts: HourlyParts) -> None:
        for variable, of in parts.items():
            self._parts.setdefault((asset, variable, size), {}).update(of)

    def load(
        self, asset: str, variables: Collection[str], size: RollupSize, start: int, end: int
    ) -> dict[str, Buckets]:
        return {
            name: unpack(self._parts.get((asset, name, size), {}), size).select(start, end)
            for name in variables
        }

    def forget(self, asset: str, before: int, variables: Collection[str] | None = None) -> int:
        deleted = 0
        for (of, name, _), parts in self._parts.items():
            if of == asset and (variables is None or name in variables):
                for at in [at for at in parts if at + HOUR <= before]:
                    del parts[at]
                    deleted = deleted + 1
        return deleted
