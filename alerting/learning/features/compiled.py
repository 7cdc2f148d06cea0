"""Columns of large tables, compiled by numba: bit for bit as `moments` and `build`.

numpy works on whole arrays, and most of its time goes into memory. Here the windows of a few
hundred instants are merged and written while their statistics are in the cache of a core. Compiling
takes seconds, once on a machine: numba stores the result beside this module, or in the user's cache
folder if that is read-only. `build` imports this module for large tables only.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Function = TypeVar("Function", bound=Callable[..., object])
TILE = 1024  # buckets that are worked on at once
# The statistics that `write_windows` knows by their positions.
STATISTICS = ("mean", "std", "min", "max", "slope", "missing")
_ZEROS = (-0.0,) * 8  # which a sum begins with in numpy
_N, _MEAN, _M2, _LOW, _HIGH, _T, _TT, _TV = range(8)  # rows of moments, as `moments.Moments`


def _compile(function: Function) -> Function:
    """Compile a function at its first call. Without "fastmath", each operation is rounded as in
    numpy."""
    try:
        return cast(Function, njit(nogil=True, error_model="numpy", cache=True)(function))
    except RuntimeError:  # there is no folder to store it in
        return cast(Function, njit(nogil=True, error_model="numpy")(function))


def _inline(function: Function) -> Function:
    """Compile a function into each caller, because a separate call would count references to its
    arrays."""
    return cast(Function, njit(error_model="numpy", inline="always")(function))


@_compile
def _clear(window: Floats, start: int, end: int) -> None:
    for i in range(8):
        window[i][start:end] = 0.0
    window[_LOW][start:end] = np.inf
    window[_HIGH][start:end] = -np.inf


@_compile
def _merge(
    older: Floats,
    newer: Floats,
    shift: float,
    into: Floats,
    weight: Floats,
    start: int,
    behind: int,
) -> None:
    """Merge moments like `moments.merge`, in loops that the compiler vectorises."""
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


@_compile
def _write(statistic: int, window: Floats, start: int, expected: float, out: Floats) -> None:
    """Write one statistic of windows from `start` on, like its function in `moments`."""
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


@_inline
def _sum_block(first: Floats, second: Floats, start: int, count: int) -> float:
    """Return the sum of up to 128 products in the order of `np.add.reduce`: in eight parts."""
    a, b, c, d, e, f, g, h = _ZEROS
    end = start + count
    whole = end - count % 8
    for i in range(start, whole, 8):
        a += first[i] * second[i]
        b += first[i + 1] * second[i + 1]
        c += first[i + 2] * second[i + 2]
        d += first[i + 3] * second[i + 3]
        e += first[i + 4] * second[i + 4]
        f += first[i + 5] * second[i + 5]
        g += first[i + 6] * second[i + 6]
        h += first[i + 7] * second[i + 7]
    total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for i in range(whole, end):
        total += first[i] * second[i]
    return total


@_inline
def _sum_products(factors: Floats, others: Floats, count: int) -> float:
    """Return the sum of the first products in the order of `np.add.reduceat`: the first product,
    plus the others halved down to 128.

    Without recursion: numba stores no recursive function that it can load again.
    """
    first: float = factors[0] * others[0]
    if count == 1:
        return first
    if count <= 129:
        return first + _sum_block(factors, others, 1, count - 1)
    halves = np.empty((128, 2), np.int64)
    totals = np.empty(64)
    halves[0] = 1, count - 1
    waiting = 1
    done = 0
    while waiting:
        waiting -= 1
        start, size = halves[waiting]
        if size == 0:  # both halves are summed up
            done -= 1
            totals[done - 1] += totals[done]
        elif size <= 128:
            totals[done] = _sum_block(factors, others, start, size)
            done += 1
        else:
            half = size // 2
            half -= half % 8
            halves[waiting] = start, 0
            halves[waiting + 1] = start + half, size - half
            halves[waiting + 2] = start, half
            waiting += 3
    total: float = first + totals[0]
    return total


@_inline
def _sum_up(seconds: Floats, values: Floats, ones: Floats, count: int, into: Floats) -> None:
    """Write the moments of one bucket's rows; leave their differences from the means."""
    t = _sum_products(seconds, ones, count) / count
    mean = _sum_products(values, ones, count) / count
    low = values[0]
    high = values[0]
    for i in range(count):
        low = min(low, values[i])
        high = max(high, values[i])
        seconds[i] -= t
        values[i] -= mean
    drift = _sum_products(values, ones, count)
    squares = _sum_products(values, values, count)
    into[_N] = count
    into[_MEAN] = mean + drift / count
    into[_M2] = np.maximum(squares - drift * drift / count, 0.0)
    into[_LOW] = low
    into[_HIGH] = high
    into[_T] = t
    into[_TT] = _sum_products(seconds, seconds, count)
    into[_TV] = _sum_products(values, seconds, count)


@_compile
def run_moments(bucket: Index, seconds: Floats, values: Floats) -> tuple[Index, Floats]:
    """Sum up the finite values of each bucket, bit for bit as `moments.run_moments`.

    The buckets (one for each row) do not decrease. Return those with a finite value, and their
    moments (buckets x 8).
    """
    distinct = 0
    longest = 0
    start = 0
    for i in range(1, len(bucket) + 1):
        if i == len(bucket) or bucket[i] != bucket[start]:
            distinct += 1
            longest = max(longest, i - start)
            start = i
    where = np.empty(distinct, np.int64)
    moments = np.empty((distinct, 8))
    seconds_of_run = np.empty(longest)
    values_of_run = np.empty(longest)
    ones = np.ones(longest)
    runs = 0
    row = 0
    while row < len(bucket):
        at = bucket[row]
        count = 0
        while row < len(bucket) and bucket[row] == at:
            if np.isfinite(values[row]):
                seconds_of_run[count] = seconds[row]
                values_of_run[count] = values[row] + 0.0
                count += 1
            row += 1
        if count:
            _sum_up(seconds_of_run, values_of_run, ones, count, moments[runs])
            where[runs] = at
            runs += 1
    return where[:runs], moments[:runs]


@_compile
def _scatter(where: Index, runs: Floats, run: int, end: int, window: Floats, offset: int) -> int:
    """Put the moments of buckets up to `end` in place; return the first run after them."""
    alone = runs.shape[1] == 2
    while run < len(where) and where[run] <= end:
        at = offset + where[run]
        if alone:
            if np.isfinite(runs[run, 0]):
                window[_N, at] = 1.0
                window[_MEAN, at] = window[_LOW, at] = window[_HIGH, at] = runs[run, 0] + 0.0
                window[_T, at] = runs[run, 1]
        else:
            for i in range(8):
                window[i, at] = runs[run, i]
        run += 1
    return run


@_compile
def _move_down(parts: Floats, size: int, count: int) -> None:
    """Move `count` buckets of all windows from `size` on to the beginning."""
    for k in range(len(parts)):
        for i in range(8):
            row = parts[k, i]
            for j in range(count):  # upwards: the ranges may overlap
                row[j] = row[size + j]


@_compile
def write_windows(
    where: Index,
    runs: Floats,
    last: Index,
    steps: Index,
    shifts: Floats,
    columns: Index,
    expected: Floats,
    out: Floats,
    first: int,
) -> None:
    """Write statistics of the windows that end with the buckets `last`, which increase.

    `where`, `runs`: the buckets with samples, in order, and their moments (buckets x 8); if every
    bucket has one row, its value, if finite, and its seconds from the end (buckets x 2). `steps`:
    how windows are merged (steps x 3): older window, newer window, length of the newer in buckets;
    window 0 is the bucket itself, window k + 1 the result of step k. `shifts`: these lengths in
    seconds. `columns`: window, statistic, row of `out` (columns x 3). `out`: (columns x instants),
    written from the instant `first` on. `expected`: for each column, the number of samples in its
    window if none is missing.
    """
    longest = 1
    behind = 0
    lengths = np.ones(len(steps) + 1, np.int64)
    for k in range(len(steps)):
        lengths[k + 1] = lengths[steps[k, 0]] + steps[k, 2]
        longest = max(longest, lengths[k + 1])
        behind = max(behind, steps[k, 2])
    behind += -behind % 8  # rows of whole cache lines
    tile = max(TILE, behind)
    weight = np.empty(tile)
    chosen = np.empty((8, tile))
    parts = np.empty((len(steps) + 1, 8, behind + tile))
    run = 0
    done = 0
    end = last[0] - longest - 1
    while done < len(last):
        if last[done] - longest > end:  # the begin, or a gap: nothing before it lies in a window
            end = last[done] - longest
            run += np.searchsorted(where[run:], end + 1)
            for k in range(len(parts)):
                _clear(parts[k], 0, behind)
        size = min(tile, last[-1] - end)
        offset = behind - end - 1
        _clear(parts[0], behind, behind + size)
        run = _scatter(where, runs, run, end + size, parts[0], offset)
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
        until = done + np.searchsorted(last[done:], end + size, side="right")
        dense = until > done and last[until - 1] - last[done] == until - 1 - done
        for k in range(len(columns) if until > done else 0):
            window = parts[columns[k, 0]]
            into = out[columns[k, 2]][first + done : first + until]
            if dense:
                _write(columns[k, 1], window, offset + last[done], expected[k], into)
            else:
                for i in range(8):
                    for j in range(until - done):
                        chosen[i, j] = window[i, offset + last[done + j]]
                _write(columns[k, 1], chosen, 0, expected[k], into)
        done = until
        end = end + size
        _move_down(parts, size, behind)


@_compile
def write_newest(
    times: Index, values: Floats, until: Index, at: Index, carry: int, is_age: bool, out: Floats
) -> None:
    """Write the newest value known in (t - carry, t], or its age in seconds; NaN without one.

    `until`: how many of the rows are known at each instant. A row without a finite value is
    missing.
    """
    newest = -1
    seen = 0
    for i in range(len(at)):
        row = until[i] - 1
        while row >= seen and not np.isfinite(values[row]):
            row -= 1
        if row >= seen:
            newest = row
        seen = until[i]
        if newest < 0 or times[newest] <= at[i] - carry:
            out[i] = np.nan
        elif is_age:
            out[i] = (float(at[i]) - float(times[newest])) / 1000.0
        else:
            out[i] = values[newest] + 0.0
