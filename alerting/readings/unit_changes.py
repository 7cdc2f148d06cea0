"""Find from when on a variable is a multiple of what it was, as after a change of its unit: on
medians of blocks of a sample, so that it costs little. A process may do the same, so people are
asked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from alerting.deferred import np, npt, pd
from alerting.readings.history import Floats, Millis, Positions, from_millis
from alerting.readings.variable_series import Flags

_FACTORS = (3.6, 60.0, 3600.0, *(10.0**power for power in range(1, 7)))
_LEAST_JUMP = 0.25  # of logarithms of neighbouring medians, less than half of the smallest factor
_NEAR = math.log10(1.1)  # by which a factor may differ from one of a unit
# By such factors quantiles and spread may differ from the change: another unit multiplies all
# alike, while another level of the process leaves the spread, and a ramp what lies beside it.
_ALIKE = math.log10(1.5)
_SPREAD = math.log10(2.0)
_MOST = 4096  # values that are looked at, evenly
_MOST_CELLS = 1_000_000
_WHOLE = 1 << 32
_GOLDEN = 2_654_435_769
_BLOCKS = 32
_BESIDE = 8  # blocks on either side of a change that are compared
_LEAST = 10  # values of a block


class UnitChange(NamedTuple):
    """From when on (ms) values are `factor` times what they were; below 1 if they are lower."""

    since: int
    factor: float

    def describe(self, name: str) -> str:
        """Return a sentence on a variable or column, which ends with a question."""
        times = f"{max(self.factor, 1 / self.factor):,.6g}"
        much = f"{times} times as high" if self.factor > 1 else f"1/{times} of what it was"
        return f"{name} is {much} from {from_millis(self.since):%Y-%m-%d} on (another unit?)"


class ThinnedRows:
    """An even sample of the rows of a table that comes in pieces: asset, instant (ms), numbers."""

    def __init__(self) -> None:
        self._limit = _WHOLE
        self._seen = 0
        self._numbers: list[Positions] = []
        self._pieces: list[tuple[npt.NDArray[np.object_], Millis, Floats]] = []

    def choose(self, rows: int, columns: int) -> Positions:
        """Return the positions in the sample of the next rows, which `add` then adds."""
        most = 2 * min(_MOST, _MOST_CELLS // max(1, columns))
        while sum(map(len, self._numbers)) > most:
            self._limit //= 2
            keep = [self._is_chosen(numbers) for numbers in self._numbers]
            self._numbers = [n[k] for n, k in zip(self._numbers, keep, strict=True)]
            self._pieces = [
                (assets[k], at[k], values[k])
                for (assets, at, values), k in zip(self._pieces, keep, strict=True)
            ]
        numbers = np.arange(self._seen, self._seen + rows)
        chosen = np.flatnonzero(self._is_chosen(numbers))
        self._numbers.append(numbers[chosen])
        self._seen += rows
        return chosen

    def _is_chosen(self, numbers: Positions) -> Flags:
        # golden ratio: even, and of no period that rows of several assets may have
        return np.asarray(numbers * _GOLDEN % _WHOLE < self._limit)

    def add(self, assets: npt.NDArray[np.object_], at: Millis, values: Floats) -> None:
        """Add the rows that `choose` has chosen. `values`: a column for each number, NaN where it
        has no usable value."""
        self._pieces.append((assets, at, values))

    def find_changes(self) -> Iterator[tuple[str, int, UnitChange]]:
        """Yield the changes of units, with the asset and the position of the column."""
        if not self._pieces:
            return
        names, at, values = map(np.concatenate, zip(*self._pieces, strict=True))
        codes, assets = pd.factorize(names)
        for code, asset in enumerate(assets):
            rows = np.flatnonzero(codes == code)
            if len(rows) < 4 * _LEAST:
                continue
            for column in range(values.shape[1]):
                change = find_unit_change(at[rows], values[rows, column])
                if change is not None:
                    yield str(asset), column, change


def find_unit_change(at: Millis, values: Floats) -> UnitChange | None:
    """Return since when and by which factor values are another multiple of those before, in all
    quantiles and in their spread, at once and up to the end; None where they are not.

    Only factors of units count: powers of ten, 3.6, 60 and 3,600. `at`: ms, in any order.
    """
    rows = np.flatnonzero(np.isfinite(values) & (values != 0))
    rows = rows[np.argsort(at[rows], kind="stable")]
    rows = rows[:: max(1, len(rows) // _MOST)]
    level = np.log10(np.abs(values[rows]))
    size = max(_LEAST, len(level) // _BLOCKS)
    blocks = len(level) // size
    medians = np.median(level[: blocks * size].reshape(blocks, size), axis=1)
    jumps = np.abs(np.diff(medians))
    for block in np.argsort(-jumps, kind="stable")[:3].tolist():
        if jumps[block] < _LEAST_JUMP:
            break
        before = medians[: block + 1][-_BESIDE:]
        after = medians[block + 1 :]
        middle = (np.median(before) + np.median(after[:_BESIDE])) / 2
        rises = bool(after[0] > middle)
        if min(len(before), len(after)) < 2 or not ((after > middle) == rises).all():
            continue
        first = block * size
        later = (level[first : first + 3 * size] > middle) == rises
        # the row from which on most lie on the later side
        change = first + int(np.argmin(np.append(0, np.cumsum(np.where(later, 1, -1)))))
        factor = _factor(level, change, _BESIDE * size)
        if factor is not None:
            return UnitChange(int(at[rows[change]]), factor)
    return None


def _factor(level: Floats, change: int, rows: int) -> float | None:
    """Return the factor of a unit between so many values before a position and after it; None
    where it is none."""
    before = level[max(0, change - rows) : change]
    after = level[change : change + rows]
    if min(len(before), len(after)) < _LEAST:
        return None
    of_before, of_after = (
        np.quantile(part, (0.1, 0.25, 0.5, 0.75, 0.9)) for part in (before, after)
    )
    shifts = of_after - of_before
    factor = min(_FACTORS, key=lambda f: abs(np.log10(f) - abs(shifts[2])))
    shift = np.sign(shifts[2]) * np.log10(factor)
    spreads = [10 ** part[-1] - 10 ** part[0] for part in (of_before, of_after)]
    beside = rows // _BESIDE
    at_once = np.median(after[:beside]) - np.median(before[-beside:])
    is_unit = (
        abs(shifts[2] - shift) <= _NEAR
        and np.abs(shifts - shift).max() <= _ALIKE
        and min(spreads) > 0
        and abs(np.log10(spreads[1] / spreads[0]) - shift) <= _SPREAD
        and abs(at_once - shift) <= _SPREAD
    )
    return float(10**shift) if is_unit else None
