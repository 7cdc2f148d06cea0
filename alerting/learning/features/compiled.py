"""Statistics of sliding windows, compiled by numba.

The windows of a thousand instants are merged and written while their statistics are in the cache of
a core. Compiling takes seconds, once on a machine: numba stores the result beside this module, or
in the user's cache folder if that is read-only. Importing this module compiles what is not stored.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit, types

Floats = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Function = TypeVar("Function", bound=Callable[..., object])
TILE = 1024  # buckets that are worked on at once
# The statistics that `write_windows` knows by their positions.
STATISTICS = ("mean", "std", "min", "max", "slope", "missing")
_N, _MEAN, _M2, _LOW, _HIGH, _T, _TT, _TV = range(8)  # rows of moments
_INDEX = types.Array(types.int64, 1, "C", readonly=True)
_TABLE = types.Array(types.int64, 2, "C", readonly=True)
_FLOATS = types.Array(types.float64, 1, "C", readonly=True)
_ROWS = types.Array(types.float64, 2, "C", readonly=True)
_OUT = types.Array(types.float64, 2, "C")
_ANY_INDEX = types.Array(types.int64, 1, "A", readonly=True)  # also every other value of an array
_ANY_FLOATS = types.Array(types.float64, 1, "A", readonly=True)


def _compile(signature: object) -> Callable[[Function], Function]:
    """Return a decorator that compiles a function, or loads what was compiled before.

    Without "fastmath", each operation is rounded as it is written.
    """

    def compiled(function: Function) -> Function:
        try:
            stored = njit(signature, nogil=True, error_model="numpy", cache=True)
            return cast(Function, stored(function))
        except (RuntimeError, OSError):  # there is no folder, or no space, to store it in
            return cast(Function, njit(signature, nogil=True, error_model="numpy")(function))

    return compiled


@njit(error_model="numpy")
def _clear(window: Floats, start: int, end: int) -> None:
    for i in range(8):
        window[i][start:end] = 0.0
    window[_LOW][start:end] = np.inf
    window[_HIGH][start:end] = -np.inf


@njit(error_model="numpy")
def _merge(
    older: Floats,
    newer: Floats,
    shift: float,
    into: Floats,
    weight: Floats,
    start: int,
    behind: int,
) -> None:
    """Merge the moments of neighbouring intervals, in loops that the compiler vectorises.

    `shift`: seconds of the newer. Chan, Golub, LeVeque (1979), "Updating formulae and a pairwise
    algorithm for computing sample variances".
    """
    end = start + len(weight)
    n = into[_N][start:end]
    mean = into[_MEAN][start:end]
    t = into[_T][start:end]
    a_n = older[_N][start - behind : end - behind]
    a_mean = older[_MEAN][start - behind : end - behind]
    a_t = older[_T][start - behind : end - behind]
    b_n = newer[_N][start:end]
    b_mean = newer[_MEAN][start:end]
    b_t = newer[_T][start:end]
    for i in range(len(n)):
        n[i] = a_n[i] + b_n[i]
    for i in range(len(n)):
        weight[i] = b_n[i] / max(n[i], 1.0)
    for i in range(len(n)):
        mean[i] = (b_mean[i] - a_mean[i]) * weight[i] + a_mean[i]
    for i in range(len(n)):
        t[i] = ((b_t[i] - a_t[i] + shift) * weight[i] + a_t[i]) - shift
    for i in range(len(n)):
        weight[i] = weight[i] * a_n[i]
    a = older[_M2][start - behind : end - behind]
    b = newer[_M2][start:end]
    sum_of = into[_M2][start:end]
    for i in range(len(n)):
        difference = b_mean[i] - a_mean[i]
        sum_of[i] = difference * (difference * weight[i]) + a[i] + b[i]
    a = older[_TV][start - behind : end - behind]
    b = newer[_TV][start:end]
    sum_of = into[_TV][start:end]
    for i in range(len(n)):
        sum_of[i] = (b_mean[i] - a_mean[i]) * weight[i] * (b_t[i] - a_t[i] + shift) + a[i] + b[i]
    a = older[_TT][start - behind : end - behind]
    b = newer[_TT][start:end]
    sum_of = into[_TT][start:end]
    for i in range(len(n)):
        apart = b_t[i] - a_t[i] + shift
        sum_of[i] = weight[i] * apart * apart + a[i] + b[i]
    a = older[_LOW][start - behind : end - behind]
    b = newer[_LOW][start:end]
    least = into[_LOW][start:end]
    for i in range(len(n)):
        least[i] = a[i] if a[i] < b[i] else b[i]
    a = older[_HIGH][start - behind : end - behind]
    b = newer[_HIGH][start:end]
    most = into[_HIGH][start:end]
    for i in range(len(n)):
        most[i] = a[i] if a[i] > b[i] else b[i]


@njit(error_model="numpy")
def _write(statistic: int, window: Floats, start: int, expected: float, out: Floats) -> None:
    """Write one statistic of the windows from `start` on.

    Mean (within the extremes), min, max: NaN without samples. Sample standard deviation, slope per
    hour: NaN below two samples, 0 for a constant. Missing: the share of the `expected` samples.
    """
    end = start + len(out)
    n = window[_N][start:end]
    low = window[_LOW][start:end]
    high = window[_HIGH][start:end]
    if statistic == 0:
        mean = window[_MEAN][start:end]
        for i in range(len(out)):
            value = max(min(mean[i], high[i]), low[i])
            out[i] = value if n[i] >= 1.0 else np.nan
    elif statistic == 1:
        m2 = window[_M2][start:end]
        for i in range(len(out)):
            value = np.sqrt(m2[i] / max(n[i] - 1.0, 1.0))
            value = 0.0 if low[i] == high[i] else value
            out[i] = value if n[i] >= 2.0 else np.nan
    elif statistic == 2:
        for i in range(len(out)):
            out[i] = low[i] if n[i] >= 1.0 else np.nan
    elif statistic == 3:
        for i in range(len(out)):
            out[i] = high[i] if n[i] >= 1.0 else np.nan
    elif statistic == 4:
        tt = window[_TT][start:end]
        tv = window[_TV][start:end]
        for i in range(len(out)):
            value = tv[i] / tt[i] * 3600.0
            value = 0.0 if low[i] == high[i] else value
            out[i] = value if n[i] >= 2.0 else np.nan
    else:
        for i in range(len(out)):
            out[i] = min(max(1.0 - n[i] / expected, 0.0), 1.0)


@njit(error_model="numpy")
def _scatter(
    where: Index, runs: Floats, run: int, stop: int, window: Floats, start: int, offset: int
) -> int:
    """Put the moments of buckets in place, but those before `start`; return the first run after
    the window."""
    alone = runs.shape[1] == 2
    while run < stop and offset + where[run] < window.shape[1]:
        at = offset + where[run]
        if at >= start and alone:
            if np.isfinite(runs[run, 0]):
                window[_N, at] = 1.0
                window[_MEAN, at] = window[_LOW, at] = window[_HIGH, at] = runs[run, 0] + 0.0
                window[_T, at] = runs[run, 1]
        elif at >= start:
            for i in range(8):
                window[i, at] = runs[run, i]
        run += 1
    return run


@njit(error_model="numpy")
def _move_down(parts: Floats, size: int, count: int) -> None:
    """Move `count` buckets of all windows from `size` on to the beginning."""
    for k in range(len(parts)):
        for i in range(8):
            row = parts[k, i]
            for j in range(count):  # upwards: the ranges may overlap
                row[j] = row[size + j]


@_compile(
    types.void(
        _INDEX, _ROWS, _INDEX, _INDEX, _TABLE, _FLOATS, _TABLE, _ROWS, _INDEX, _OUT, types.int64
    )
)
def write_windows(
    where: Index,
    runs: Floats,
    begins: Index,
    last: Index,
    steps: Index,
    shifts: Floats,
    columns: Index,
    expected: Floats,
    rows: Index,
    out: Floats,
    first: int,
) -> None:
    """Write statistics of the windows that end with the buckets `last`, which increase.

    `where`, `runs`: of each number in turn, the buckets with samples, in order, and their moments
    (buckets x 8); if every bucket has one row, its value, if finite, and its seconds from the end
    (buckets x 2). `begins`: where those of each number begin, and the end (numbers + 1). `steps`:
    how windows are merged (steps x 3): older window, newer window, length of the newer in buckets;
    window 0 is the bucket itself, window k + 1 the result of step k. `shifts`: these lengths in
    seconds. `columns`: window, statistic, position among the number's columns (columns x 3).
    `expected`: the number of samples in the window if none is missing (numbers x columns). `rows`:
    of each number, its first row of `out` (columns x instants), written from the instant `first`
    on.
    """
    longest = 1
    behind = 0
    lengths = np.ones(len(steps) + 1, np.int64)
    for k in range(len(steps)):
        lengths[k + 1] = lengths[steps[k, 0]] + steps[k, 2]
        longest = max(longest, lengths[k + 1])
        behind = max(behind, steps[k, 2])
    behind += -behind % 8  # rows of whole cache lines
    tile = max(min(TILE, last[-1] - last[0] + longest), behind)
    weight = np.empty(tile)
    chosen = np.empty((8, tile))
    parts = np.empty((len(steps) + 1, 8, behind + tile))
    for number in range(len(rows)):
        run = begins[number]
        done = 0
        end = last[0] - longest - 1
        while done < len(last):
            if last[done] - longest > end:  # the begin, or a gap: no window has what lies before it
                end = last[done] - longest
                for k in range(len(parts)):
                    _clear(parts[k], 0, behind)
            size = min(tile, last[-1] - end)
            offset = behind - end - 1
            _clear(parts[0], behind, behind + size)
            bucket = parts[0, :, : behind + size]
            run = _scatter(where, runs, run, begins[number + 1], bucket, behind, offset)
            for k in range(len(steps)):
                _merge(
                    parts[steps[k, 0]],
                    parts[steps[k, 1]],
                    shifts[k],
                    parts[k + 1],
                    weight[:size],
                    behind,
                    steps[k, 2],
                )
            until = done
            while until < len(last) and last[until] <= end + size:
                until += 1
            for k in range(len(columns) if until > done else 0):
                window = parts[columns[k, 0]]
                start = offset + last[done]
                if last[until - 1] - last[done] >= until - done:  # not neighbours
                    for i in range(8):
                        for j in range(until - done):
                            chosen[i, j] = window[i, offset + last[done + j]]
                    window = chosen
                    start = 0
                into = out[rows[number] + columns[k, 2]][first + done : first + until]
                _write(columns[k, 1], window, start, expected[number, k], into)
            done = until
            end = end + size
            _move_down(parts, size, behind)


@_compile(
    types.void(
        *(_ANY_INDEX, _ANY_FLOATS, _ANY_INDEX, _ANY_INDEX),
        *(types.int64, types.boolean, _OUT, types.int64, types.int64),
    )
)
def write_newest(
    times: Index,
    values: Floats,
    until: Index,
    at: Index,
    carry: int,
    is_age: bool,
    out: Floats,
    row: int,
    first: int,
) -> None:
    """Write the newest value known in (t - carry, t], or its age in seconds; NaN without one.

    `until`: how many of the samples are known at each instant. A sample without a finite value is
    missing. Written into a row of `out` (columns x instants) from the instant `first` on.
    """
    newest = -1
    seen = 0
    for i in range(len(at)):
        sample = until[i] - 1
        while sample >= seen and not np.isfinite(values[sample]):
            sample -= 1
        if sample >= seen:
            newest = sample
        seen = until[i]
        if newest < 0 or times[newest] <= at[i] - carry:
            out[row, first + i] = np.nan
        elif is_age:
            out[row, first + i] = (float(at[i]) - float(times[newest])) / 1000.0
        else:
            out[row, first + i] = values[newest] + 0.0
