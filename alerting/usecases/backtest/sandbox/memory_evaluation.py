"""Condition states and scores in memory."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime

import numpy as np

from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.state_table import ConditionTable, TargetKey
from alerting.ports import Conflict, Document, Unit
from alerting.readings.instants import NO_TIME, to_millis
from alerting.readings.ragged import Flags


class MemoryStates:
    """Port `States` in memory."""

    def __init__(self) -> None:
        self.states: dict[tuple[str, str], ConditionState] = {}

    def load(self, definition: str, assets: Sequence[str]) -> dict[str, ConditionState]:
        return {a: self.states[definition, a] for a in assets if (definition, a) in self.states}

    def load_many(self, keys: Sequence[TargetKey]) -> ConditionTable:
        table = ConditionTable(keys)
        for row, key in enumerate(keys):
            if key in self.states:
                table.put(row, self.states[key])
        return table

    def advance(self, before: ConditionTable, after: ConditionTable, unit: Unit | None = None) -> None:  # noqa: ARG002
        if not self.find_unmoved(before).all():
            raise Conflict("another evaluator has advanced some of these targets")
        for row, key in enumerate(after.keys):
            state = after.state(row)
            if state is not None:
                self.states[key] = state

    def find_unmoved(self, before: ConditionTable) -> Flags:
        stored = (self.states.get(key) for key in before.keys)
        watermarks = [NO_TIME if state is None else to_millis(state.watermark) for state in stored]
        unmoved: Flags = np.array(watermarks, np.int64) == before.watermark
        return unmoved


class NoTransactions:
    """Port `UnitOfWork` of an in-memory platform, which only one evaluator uses."""

    def begin(self, attempt: int = 0) -> AbstractContextManager[Unit]:  # noqa: ARG002
        return nullcontext(Unit())


class MemoryScores:
    """Port `Scores` in memory, of one definition. `added`: rows added since it was emptied."""

    def __init__(self) -> None:
        self._rows: dict[tuple[datetime, str, int], Document] = {}
        self.added: list[Document] = []

    def restore(self, rows: Iterable[Document]) -> None:
        """Restore rows of scores."""
        self._rows.update({(r["ts"], r["asset"], r["model_version"]): r for r in rows})

    def add(self, definition: str, asset: str, rows: Sequence[tuple[datetime, float, float, int]]) -> None:  # noqa: ARG002
        for ts, score, threshold, version in rows:
            if (ts, asset, version) not in self._rows:
                row = {"asset": asset, "ts": ts, "score": score, "threshold": threshold, "model_version": version}
                self._rows[ts, asset, version] = row
                self.added.append(row)

    def between(
        self,
        definition: str,  # noqa: ARG002
        start: datetime,
        end: datetime,
        asset: str | None = None,
    ) -> Iterator[Document]:
        yield from (self._rows[key] for key in sorted(self._rows) if start <= key[0] < end and asset in (None, key[1]))
