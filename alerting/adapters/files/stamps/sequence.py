"""Instants of rows without stamps: their order, or a number, counts equal steps from a start."""

from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import NO_INSTANT, Cells, FloatArray, Instants
from alerting.deferred import pd
from alerting.definitions.durations import format_duration
from alerting.readings.instants import LAST_INSTANT, Millis, from_millis, to_millis

DEFAULT_START = "2000-01-01T00:00:00Z"
_LAST = to_millis(LAST_INSTANT) - 1


@dataclass
class SequenceStamps:
    """Reader of instants chunk by chunk, with the methods of `Stamps`. `start`, `step`: ms.

    `title`: of the column whose cells hold the number of the unit, from 1; without it the rows of
    each asset are counted.
    """

    start: int
    step: int
    title: str | None
    clock: None = None
    _counted: dict[str, int] = field(default_factory=dict)

    def read(self, cells: Cells, series: npt.NDArray[np.object_] | None = None) -> Instants:
        """Return the instants of the next rows; `series`: each row's asset, None for one asset."""
        absent = np.zeros(len(cells), np.bool_)
        if self.title is not None:
            absent = ~cell.filled_cells(cells)
            number, _ = cell.numbers(cells)
            position = np.where(number == np.floor(number), number, np.nan) - 1
        else:
            position = self._count(
                np.full(len(cells), "", dtype=object) if series is None else series
            )
        good = (position >= 0) & (position <= (_LAST - self.start) // self.step)
        at = np.full(len(cells), NO_INSTANT)
        at[good] = self.start + position[good].astype(np.int64) * self.step
        return Instants(at, absent, ~good & ~absent, 0, 0, at)

    def _count(self, series: npt.NDArray[np.object_]) -> FloatArray:
        codes, names = pd.factorize(series, use_na_sentinel=False)
        within = pd.Series(codes).groupby(codes).cumcount().to_numpy(np.int64)
        before = np.array([self._counted.get(name, 0) for name in names], np.int64)
        for name, rows in zip(
            names, np.bincount(codes, minlength=len(names)).tolist(), strict=True
        ):
            self._counted[name] = self._counted.get(name, 0) + rows
        return np.asarray(before[codes] + within, np.float64)

    def ends(self, cells: Cells, start: Millis) -> Instants:
        """Return the ends of events, by the number of their last unit."""
        del start
        return self.read(cells)

    def why(self, text: str | None) -> str:
        """Return, as text for people, the reason why this cell holds no number of a unit."""
        if self.title is None:
            return f"the sequence passes the year {LAST_INSTANT.year}; shorten --sequence"
        return f"{text!r} is not the number of a unit: a whole number, counted from 1"

    @property
    def message(self) -> str:
        """Describe the rule in words: `rows in order, 1m apart from 2000-01-01T00:00:00Z`."""
        start = from_millis(self.start).strftime("%Y-%m-%dT%H:%M:%SZ")
        rows = "rows in order" if self.title is None else f"units by their number in {self.title!r}"
        return f"{rows}, {format_duration(timedelta(milliseconds=self.step))} apart from {start}"
