"""A fitted forecaster: the quantiles of values ahead, their score (CRPS) and calibration, and the
risk that a value leaves its limits.

It has the interface of any fitted model (`FittedModel`), so that evaluation, explanation, advice,
backtest and promotion treat it as a model of the problem. Its margin is the largest log-odds over
the leads; calibration then makes it the probability that some sample of the window lies outside.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from alerting.learning.features.plan import Dense, Stored
from alerting.learning.models.trained import sigmoid
from alerting.readings.history import Positions

Floats = npt.NDArray[np.float64]

QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
MEDIAN = QUANTILES.index(0.5)
# Positions of the ends of the 90 % interval among the quantiles.
LOWEST = 0
HIGHEST = len(QUANTILES) - 1
_LEVELS = np.array(QUANTILES)
_LOG_ODDS = np.log(_LEVELS / (1 - _LEVELS))
_FARTHEST = 12.0  # log-odds beyond which a probability is not told apart
_APART = 1e-9  # least distance of neighbouring quantiles, relative to their size


def in_order(quantiles: Floats) -> Floats:
    """Return quantiles (... x QUANTILES) in increasing order, each at least a little above the
    previous one."""
    risen = np.maximum.accumulate(quantiles, axis=-1)
    size = np.maximum(np.abs(risen).max(axis=-1, keepdims=True), 1.0)
    return np.asarray(risen + _APART * size * np.arange(len(QUANTILES)))


def crps(quantiles: Floats, values: Floats) -> Floats:
    """Return twice the mean pinball loss of each row's quantiles, over known values.

    It approximates the continuous ranked probability score (Gneiting and Raftery 2007) in the unit
    of the values; NaN for a row without any value.
    """
    off = values[..., None] - quantiles
    loss = 2 * np.maximum(_LEVELS * off, (_LEVELS - 1) * off).mean(axis=-1)
    has_loss = ~np.isnan(loss)
    count = has_loss.sum(axis=1)
    total = np.where(has_loss, loss, 0.0).sum(axis=1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def covered(quantiles: Floats, values: Floats) -> Floats:
    """Return 1.0 for each value in the 90 % interval of its row of quantiles, 0.0 for one outside,
    NaN without a value."""
    inside = (values >= quantiles[..., LOWEST]) & (values <= quantiles[..., HIGHEST])
    return np.where(np.isnan(values), np.nan, inside)


def conformal_shifts(quantiles: Floats, values: Floats) -> Floats:
    """Return the shift of each quantile with which it is right on unseen rows.

    Conformalized quantile regression (Romano, Patterson and Candès 2019, theorem 2: each side by
    itself): the quantile of the differences between values and the predicted quantile, with the
    correction for a finite sample. The median is not shifted, nor are the quantiles of a lead with
    too few values.
    """
    shifts = np.zeros(quantiles.shape[1:])
    for lead in range(quantiles.shape[1]):
        has_value = ~np.isnan(values[:, lead])
        off = np.sort(values[has_value, lead][:, None] - quantiles[has_value, lead], axis=0)
        for number, level in enumerate(QUANTILES):
            rank = (
                np.ceil((len(off) + 1) * level) if level > 0.5 else np.floor((len(off) + 1) * level)
            )
            if number != MEDIAN and 1 <= rank <= len(off):
                shifts[lead, number] = off[int(rank) - 1, number]
    return shifts


def log_odds_outside(quantiles: Floats, above: float | None, below: float | None) -> Floats:
    """Return, for each row of quantiles, the log-odds that a value lies outside of the limits.

    Between quantiles, and beyond the outermost ones, the log-odds of the distribution function run
    linearly. Without a limit no value lies outside.
    """
    if above is None and below is None:
        return np.full(quantiles.shape[:-1], -_FARTHEST)
    sides = [] if above is None else [-_log_odds_below(quantiles, above)]
    sides += [] if below is None else [_log_odds_below(quantiles, below)]
    if len(sides) == 1:
        return np.asarray(np.clip(sides[0], -_FARTHEST, _FARTHEST))
    outside = np.clip(sigmoid(sides[0]) + sigmoid(sides[1]), 1e-12, 1 - 1e-12)
    return np.asarray(np.clip(np.log(outside / (1 - outside)), -_FARTHEST, _FARTHEST))


def _log_odds_below(quantiles: Floats, limit: float) -> Floats:
    upper = np.clip((quantiles <= limit).sum(axis=-1), 1, len(QUANTILES) - 1)
    low = np.take_along_axis(quantiles, (upper - 1)[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(quantiles, upper[..., None], axis=-1)[..., 0]
    share = (limit - low) / (high - low)
    return np.asarray(_LOG_ODDS[upper - 1] + share * (_LOG_ODDS[upper] - _LOG_ODDS[upper - 1]))


FILE = "forecast.json"
MOST_LEADS = 16
_FEW_ROWS = 16  # of a tick
_MOST_CELLS = 8_000_000  # of rows that are predicted together at all leads: 61 MiB
Row = Annotated[tuple[float, ...], Field(max_length=1_000_000)]
Rows = Annotated[tuple[Row, ...], Field(min_length=1, max_length=MOST_LEADS)]
Column = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Naive(Stored):
    """The naive forecast: a known value comes again. `columns`: by lead, the column of that value;
    `missing`: replaces a missing one; `spread`: quantiles of the residuals."""

    columns: Annotated[tuple[Column, ...], Field(min_length=1, max_length=MOST_LEADS)]
    missing: float
    spread: Rows

    def quantiles(self, matrix: Floats) -> Floats:
        return np.asarray(self.centre(matrix)[..., None] + np.asarray(self.spread))

    def centre(self, matrix: Floats) -> Floats:
        """Return the forecast of each row at each lead."""
        return _filled(matrix[:, self.columns], self.missing)

    def contributions(self, row: Floats, lead: int) -> tuple[Floats, float]:
        shares = np.zeros(row.shape[1])
        shares[self.columns[lead]] = float(self.centre(row)[0, lead]) - self.missing
        return shares, self.missing

    def importance(self, width: int) -> Floats:
        return np.bincount(self.columns, minlength=width).astype(np.float64)


@dataclass(frozen=True)
class Smoothing(Stored):
    """Exponential smoothing with a damped trend (Gardner and McKenzie 1985) over lags.

    `columns`: positions of the lagged values, the oldest first and the last known value at the end.
    `steps`: each lead in units of their distance. `level`, `trend`, `damping`: the three parameters
    (alpha, beta, phi).
    """

    columns: Annotated[tuple[Column, ...], Field(min_length=1, max_length=200)]
    steps: Row
    level: Annotated[float, Field(gt=0, le=1)]
    trend: Annotated[float, Field(ge=0, le=1)]
    damping: Annotated[float, Field(gt=0, lt=1)]
    missing: float
    spread: Rows

    def quantiles(self, matrix: Floats) -> Floats:
        return np.asarray(self.centre(matrix)[..., None] + np.asarray(self.spread))

    def centre(self, matrix: Floats) -> Floats:
        """Return the forecast of each row at each lead."""
        level = np.full(len(matrix), np.nan)
        trend = np.zeros(len(matrix))
        for value in matrix[:, self.columns].T:
            expected = level + self.damping * trend
            seen = np.where(
                np.isnan(expected), value, self.level * value + (1 - self.level) * expected
            )
            new = np.where(np.isnan(seen), expected, seen)
            step = np.where(np.isnan(level), 0.0, new - level)
            trend = np.where(
                np.isnan(value),
                self.damping * trend,
                self.trend * step + (1 - self.trend) * self.damping * trend,
            )
            level = new
        phi = self.damping
        damped = phi * (1 - phi ** np.asarray(self.steps)) / (1 - phi)
        return np.asarray(
            np.where(np.isnan(level), self.missing, level)[:, None] + trend[:, None] * damped
        )

    def contributions(self, row: Floats, lead: int) -> tuple[Floats, float]:
        shares = np.zeros(row.shape[1])
        shares[self.columns[-1]] = float(self.centre(row)[0, lead]) - self.missing
        return shares, self.missing

    def importance(self, width: int) -> Floats:
        return np.bincount(self.columns[-1:], minlength=width).astype(np.float64)


Pairs = Annotated[tuple[tuple[Column, Column], ...], Field(max_length=200_000)]


def moved(matrix: Floats, pairs: tuple[tuple[int, int], ...]) -> Floats:
    """Return a matrix with the first column of each pair minus the second, and these at 0."""
    if not pairs:
        return matrix
    columns, bases = np.array(pairs).T
    out = matrix.copy()
    out[:, columns] -= matrix[:, bases]
    out[:, bases] = 0.0
    return out


@dataclass(frozen=True)
class LinearForecaster(Stored):
    """Ridge regression of the value, or, if `last` is a column, of its difference from that
    column. `moved`: pairs of columns of which the difference counts."""

    dense: Dense
    weights: Rows
    intercepts: Row
    last: Column | None
    missing: float
    spread: Rows
    moved: Pairs = ()

    def quantiles(self, matrix: Floats) -> Floats:
        return np.asarray(self.centre(matrix)[..., None] + np.asarray(self.spread))

    def centre(self, matrix: Floats) -> Floats:
        """Return the forecast of each row at each lead."""
        encoded = np.ascontiguousarray(self.dense.encode(moved(matrix, self.moved)))
        weighted = np.empty_like(encoded)
        # row by row, never a matrix product: the last bits of a product depend on the number of
        # rows predicted together
        parts = [np.multiply(encoded, row, out=weighted).sum(axis=1) for row in self.weights]
        anchor = _anchor(matrix, self.last, self.missing)
        return np.asarray(np.column_stack(parts) + np.asarray(self.intercepts) + anchor[:, None])

    def contributions(self, row: Floats, lead: int) -> tuple[Floats, float]:
        shares = self.dense.by_column(
            self.dense.encode(moved(row, self.moved))[0] * np.asarray(self.weights[lead]),
            row.shape[1],
        )
        return _with_anchor(shares, self.intercepts[lead], row, self.last, self.missing)

    def importance(self, width: int) -> Floats:
        shares = self.dense.by_column(np.abs(np.asarray(self.weights)).mean(axis=0), width)
        if self.last is not None and not shares.any():
            shares[self.last] = 1.0
        return shares


@dataclass(frozen=True)
class Boosted(Stored):
    """Quantile regression by boosted trees, each in a file; the lead is the last column of their
    rows."""

    leads: Row
    last: Column | None
    missing: float
    trees: Any = None
    moved: Pairs = ()

    def quantiles(self, matrix: Floats) -> Floats:
        anchor = _anchor(matrix, self.last, self.missing)
        return np.asarray(self._predict_leads(moved(matrix, self.moved)) + anchor[:, None, None])

    def contributions(self, row: Floats, lead: int) -> tuple[Floats, float]:
        at_lead = np.column_stack([moved(row, self.moved), [self.leads[lead]]])
        shares, base = self.trees.contributions(at_lead, MEDIAN)
        return _with_anchor(shares[:-1], base + float(shares[-1]), row, self.last, self.missing)

    def importance(self, width: int) -> Floats:
        gains: Floats = self.trees.importance(MEDIAN)[:width]
        if self.last is not None and not gains.any():
            gains[self.last] = 1.0
        return gains

    def _predict_leads(self, matrix: Floats) -> Floats:
        """Return the predicted differences from the anchor, for all leads in one call of each
        booster.

        If there are many rows, only the columns that the trees use are passed: with 64 of 1,000
        columns used, the same bits take half the time.
        """
        count, width = matrix.shape
        is_many = count > _FEW_ROWS
        used = self.trees.columns if is_many else np.arange(width)
        columns = np.append(used[used < width], width).astype(np.int32)
        rows = np.empty((len(self.leads), count, len(columns)))
        rows[..., :-1] = matrix[:, columns[:-1]] if is_many else matrix
        rows[..., -1] = np.asarray(self.leads)[:, None]
        flat: Any = rows.reshape(-1, len(columns))
        if is_many:
            from scipy.sparse import csr_matrix  # noqa: PLC0415 - LightGBM has imported it

            ends = np.arange(0, rows.size + 1, len(columns))
            flat = csr_matrix(
                (rows.ravel(), np.tile(columns, len(flat)), ends), (len(flat), width + 1)
            )
        predicted = np.asarray(self.trees.predict(flat), np.float64)
        return predicted.reshape(len(self.leads), count, -1).swapaxes(0, 1)


def _filled(values: Floats, missing: float) -> Floats:
    return np.where(np.isnan(values), missing, values)


def _anchor(matrix: Floats, last: int | None, missing: float) -> Floats:
    """Return the anchor to which differences are added: the last value, or 0."""
    return np.zeros(len(matrix)) if last is None else _filled(matrix[:, last], missing)


def _with_anchor(
    shares: Floats, base: float, row: Floats, last: int | None, missing: float
) -> tuple[Floats, float]:
    """Return the shares and the base with the last value added: its distance from usual to its
    share, the usual value to the base."""
    if last is None:
        return shares, base
    shares = shares.copy()
    shares[last] += float(_anchor(row, last, missing)[0]) - missing
    return shares, base + missing


@dataclass(frozen=True)
class FittedForecast(Stored):
    """A forecaster with the limits of its value. `leads_ms`: times ahead; `width`: number of
    columns of a row."""

    core: Naive | Smoothing | LinearForecaster | Boosted
    leads_ms: tuple[int, ...]
    above: float | None
    below: float | None
    width: int
    shifts: tuple[tuple[float, ...], ...] = ()
    margin_is_probability: ClassVar[bool] = False

    def quantiles(self, matrix: Floats, rows: "Positions | None" = None) -> Floats:
        """Return the value's quantiles (rows x leads x QUANTILES), in the variable's unit.

        `rows`: positions of the rows that are predicted; all by default.
        """
        count = len(matrix if rows is None else rows)
        if not count:
            return np.empty((0, len(self.leads_ms), len(QUANTILES)))
        step = max(1, _MOST_CELLS // (len(self.leads_ms) * self.width))
        parts = [slice(first, first + step) for first in range(0, count, step)]
        predicted = np.concatenate(
            [self.core.quantiles(matrix[part if rows is None else rows[part]]) for part in parts]
        )
        return in_order(predicted + np.asarray(self.shifts) if self.shifts else predicted)

    def margin(self, encoded: Floats, rounds: int | None = None) -> Floats:
        """Return the log-odds that the value of the worst lead lies outside of the limits."""
        return self.margin_of(self.quantiles(encoded))

    def margin_of(self, quantiles: Floats) -> Floats:
        """Return the margin of rows with these quantiles."""
        return np.asarray(self._log_odds(quantiles).max(axis=1))

    def contributions(self, encoded: Floats) -> tuple[Floats, float]:
        """Return the share of each column in the predicted median at the worst lead, scaled to the
        margin.

        The expected margin is that of the same distribution around the median without these shares.
        """
        quantiles = self.quantiles(encoded)
        log_odds = self._log_odds(quantiles)
        lead = int(np.argmax(log_odds[0]))
        shares, _ = self.core.contributions(encoded, lead)
        moved = float(shares.sum())
        margin = float(log_odds[0, lead])
        usual = float(self._log_odds(quantiles[:, lead] - moved)[0])
        return shares * ((margin - usual) / moved if moved else 0.0), usual if moved else margin

    def importance(self) -> Floats:
        """Return the contribution of each column to the median."""
        return self.core.importance(self.width)

    def as_read(self, document: bytes) -> Self:
        """Return this model with the bytes of the file that it was read from: a field that came
        later would give another hash."""
        model = replace(self)
        object.__setattr__(model, "_document", document)
        return model

    def fitted_bytes(self) -> Iterable[bytes]:
        """Return all fitted values as bytes."""
        return self.files().values()

    def files(self) -> dict[str, bytes]:
        """Return one JSON file, and the text of each booster."""
        texts: dict[str, bytes] = self.core.trees.files() if isinstance(self.core, Boosted) else {}
        core = replace(self.core, trees=None) if isinstance(self.core, Boosted) else self.core
        document = asdict(replace(self, core=core))
        written = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
        return {FILE: self.__dict__.get("_document", written), **texts}

    def _log_odds(self, quantiles: Floats) -> Floats:
        return log_odds_outside(quantiles, self.above, self.below)
