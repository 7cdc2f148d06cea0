"""How far evaluation is, and what it said, in memory."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import numpy as np

from alerting.episodes.lifecycle import SpellState
from alerting.episodes.spell_table import Pair, SpellTable
from alerting.pipelines.ports import Document
from alerting.readings.packed import Flags


class MemoryStates:
    """Port `States` in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], SpellState] = {}

    def load(self, definition: str, assets: Sequence[str]) -> dict[str, SpellState]:
        return {a: self.kept[definition, a] for a in assets if (definition, a) in self.kept}

    def advance(self, definition: str, asset: str, before: SpellState | None, after: SpellState) -> bool:
        stored = self.kept.get((definition, asset))
        if (stored and stored.watermark) != (before and before.watermark):
            return False
        self.kept[definition, asset] = after
        return True

    def load_many(self, pairs: Sequence[Pair]) -> SpellTable:
        table = SpellTable(pairs)
        for row, pair in enumerate(pairs):
            if pair in self.kept:
                table.put(row, self.kept[pair])
        return table

    def advance_many(self, before: SpellTable, after: SpellTable) -> Flags:
        moved = np.zeros(len(before), np.bool_)
        for row, pair in enumerate(before.pairs):
            state = after.state(row)
            moved[row] = state is not None and self.advance(*pair, before.state(row), state)
        return moved


class MemoryScores:
    """Port `Scores` in memory, of one definition. `fresh`: rows added since it was emptied."""

    def __init__(self) -> None:
        self._rows: dict[tuple[datetime, str, int], Document] = {}
        self.fresh: list[Document] = []

    def restore(self, rows: Iterable[Document]) -> None:
        """Take rows over."""
        self._rows.update({(r["ts"], r["asset"], r["model_version"]): r for r in rows})

    def add(self, definition: str, asset: str, rows: Sequence[tuple[datetime, float, float, int]]) -> None:  # noqa: ARG002
        for ts, score, threshold, version in rows:
            if (ts, asset, version) not in self._rows:
                row = {"asset": asset, "ts": ts, "score": score, "threshold": threshold, "model_version": version}
                self._rows[ts, asset, version] = row
                self.fresh.append(row)

    def between(self, definition: str, start: datetime, end: datetime) -> Iterator[Document]:  # noqa: ARG002
        yield from (self._rows[key] for key in sorted(self._rows) if start <= key[0] < end)
