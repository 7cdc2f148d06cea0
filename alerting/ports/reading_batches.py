"""Rows of readings by column, in the form that files deliver and a store may write."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from alerting.ports.readings import ReadingRow
from alerting.readings.instants import Millis, datetimes
from alerting.readings.sample_quality import Quality


@dataclass(frozen=True)
class SampleColumn:
    """Samples of one variable, one per row: `values` are float64, bool, or str as object; `present` marks rows with a sample."""

    values: npt.NDArray[Any]
    present: npt.NDArray[np.bool_]

    def take(self, rows: npt.NDArray[np.int64]) -> "SampleColumn":
        """Return the samples of these rows."""
        return SampleColumn(self.values[rows], self.present[rows])

    def tolist(self) -> list[Any]:
        """Return the samples as Python values, None where a row has none."""
        if self.present.all():
            return list(self.values.tolist())
        values = self.values.astype(object)
        values[~self.present] = None
        return list(values)


@dataclass(frozen=True, eq=False)
class ReadingBatch(Sequence[ReadingRow]):
    """Rows of readings by column. As a sequence, it holds the rows themselves.

    `assets` and `at` have one entry per row, `columns` one column per variable. `quality`: of the samples that are not good, by
    position of their row and by variable; a bad one has no value.
    """

    assets: npt.NDArray[np.object_]
    at: Millis
    columns: Mapping[str, SampleColumn]
    quality: Mapping[int, Mapping[str, Quality]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.at)

    @overload
    def __getitem__(self, index: int) -> ReadingRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[ReadingRow]: ...
    def __getitem__(self, index: int | slice) -> ReadingRow | list[ReadingRow]:
        return self._rows[index]

    def __iter__(self) -> Iterator[ReadingRow]:
        return iter(self._rows)

    @cached_property
    def _rows(self) -> list[ReadingRow]:
        names = list(self.columns)
        samples = zip(*(column.tolist() for column in self.columns.values()), strict=True)
        values = [{n: v for n, v in zip(names, row, strict=True) if v is not None} for row in samples]
        keyed = zip(self.assets.tolist(), datetimes(self.at), values, strict=True)
        return [ReadingRow(asset, ts, v, self.quality.get(i, {})) for i, (asset, ts, v) in enumerate(keyed)]
