"""Condition states and scores in memory."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import numpy as np

from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.state_table import ConditionTable, TargetKey
from alerting.ports import Document
from alerting.readings.ragged import Flags


class MemoryStates:
    """Port `States` in memory."""

    def __init__(self) -> None:
        self.states: dict[tuple[str, str], ConditionState] = {}

    def load(self, definition: str, assets: Sequence[str]) -> dict[str, ConditionState]:
        return {a: self.states[definition, a] for a in assets if (definition, a) in self.states}

    def advance(self, definition: str, asset: str, before: ConditionState | None, after: ConditionState) -> bool:
        stored = self.states.get((definition, asset))
        if (stored and stored.watermark) != (before and before.watermark):
            return False
        self.states[definition, asset] = after
        return True

    def load_many(self, keys: Sequence[TargetKey]) -> ConditionTable:
        table = ConditionTable(keys)
        for row, key in enumerate(keys):
            if key in self.states:
                table.put(row, self.states[key])
        return table

    def advance_many(self, before: ConditionTable, after: ConditionTable) -> Flags:
        advanced = np.zeros(len(before), np.bool_)
        for row, key in enumerate(before.keys):
            state = after.state(row)
            advanced[row] = state is not None and self.advance(*key, before.state(row), state)
        return advanced


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
