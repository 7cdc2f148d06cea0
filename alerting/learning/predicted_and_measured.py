"""Predicted values compared with the samples that came: each sample with the value that was
predicted before it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Self

import numpy as np

from alerting.deferred import pd
from alerting.readings.history import (
    Floats,
    History,
    Millis,
    duration_millis,
    has_data,
    millis,
    to_millis,
)

LEAST_SAMPLES = 30  # below which nothing is concluded
_CONSTANT = 0.02  # of the deviation of measured values, below which predicted ones are a constant
_BEYOND_CHANCE = 1.28  # standard errors: in 9 of 10 samples


def explained_share(values: Floats, predicted: Floats, mean: "Floats | float") -> float:
    """Return the share of the variance of values around a mean that predicted ones explain (R2);
    NaN where values have no variance. `mean`: one for each value, or one for all."""
    variance = float(((values - mean) ** 2).sum())
    return 1 - float(((values - predicted) ** 2).sum()) / variance if variance > 0 else float("nan")


def is_constant(values: Floats, predicted: Floats) -> bool:
    """Return whether predicted values, one for each that was measured, hardly vary beside these;
    false for too few of them."""
    return bool(len(values) >= LEAST_SAMPLES and predicted.std() < _CONSTANT * values.std())


@dataclass(frozen=True)
class PredictedValues:
    """Predicted values by the instant `at` (ms, increasing) of the prediction.

    Each predicts the last value up to `lead` (ms) after `at`; 90 % of its distribution lie between
    `low` and `high`.
    """

    at: Millis
    lead: Millis
    low: Floats
    median: Floats
    high: Floats


@dataclass(frozen=True)
class TakenSamples:
    """Measured values: when each was taken (ms, increasing), and when it was known."""

    at: Millis
    known_at: Millis
    value: Floats


@dataclass(frozen=True)
class GradedValues:
    """Samples by the instant `at` (ms) at which each was taken, with the value that was predicted
    last before it.

    `predicted_at`: instant of that prediction; `last`: the last known value at that instant, NaN
    without one.
    """

    at: Millis
    value: Floats
    predicted_at: Millis
    low: Floats
    median: Floats
    high: Floats
    last: Floats

    @property
    def is_inside(self) -> Floats:
        """Return 1.0 for samples in the 90 % interval, 0.0 outside."""
        return np.asarray((self.value >= self.low) & (self.value <= self.high), np.float64)

    @property
    def coverage(self) -> float:
        """Return the share of samples in the 90 % interval; NaN without samples."""
        return float(self.is_inside.mean()) if len(self.at) else float("nan")

    @property
    def error(self) -> float:
        """Return the mean absolute error of the median; NaN without samples."""
        off = np.abs(self.value - self.median)
        return float(off.mean()) if len(off) else float("nan")

    @property
    def width(self) -> float:
        """Return the mean width of the 90 % interval; NaN without samples."""
        return float((self.high - self.low).mean()) if len(self.at) else float("nan")

    @property
    def explained(self) -> float:
        """Return the share of the variance of the samples that the median explains (R2)."""
        return explained_share(self.value, self.median, self.value.mean() if len(self.at) else 0.0)

    @property
    def is_constant(self) -> bool:
        """Return whether the median hardly varies beside the samples."""
        return is_constant(self.value, self.median)

    @property
    def is_no_better_than_mean(self) -> bool:
        """Return whether the median is no nearer to the samples than their own mean, beyond chance;
        false for too few samples."""
        if len(self.at) < LEAST_SAMPLES:
            return False
        gain = (self.value - self.value.mean()) ** 2 - (self.value - self.median) ** 2
        return bool(gain.mean() <= _BEYOND_CHANCE * gain.std() / np.sqrt(len(gain)))

    @property
    def last_error(self) -> float:
        """Return the mean absolute error of the last known value; NaN without one."""
        off = np.abs(self.value - self.last)
        off = off[~np.isnan(off)]
        return float(off.mean()) if len(off) else float("nan")

    @property
    def is_worse_than_last(self) -> bool:
        """Return whether the error of the median is greater than that of the last known value, over
        samples with a last known value."""
        off = np.abs(self.value - self.median)[~np.isnan(self.last)]
        return bool(len(off) and off.mean() > self.last_error)

    @classmethod
    def join(cls, parts: "list[GradedValues]") -> Self:
        """Return the samples of several assets joined."""
        names = [field.name for field in fields(cls)]
        columns = ([getattr(part, name) for part in parts] or [np.empty(0)] for name in names)
        return cls(*(np.concatenate(column) for column in columns))


@dataclass(frozen=True)
class ServedValues:
    """Predicted values of one asset, the samples of the same time, and their comparison.

    `is_late`: samples are known only after a delay, so that a predicted value is about the present.
    """

    variable: str
    unit: str | None
    predicted: PredictedValues
    samples: TakenSamples
    graded: GradedValues
    is_late: bool

    @property
    def drawn_at(self) -> Millis:
        """Return the instant (ms) at which each predicted value is drawn: that of its prediction if
        samples are known late, else the end of the time that it is about."""
        return self.predicted.at if self.is_late else self.predicted.at + self.predicted.lead


def compare_values(
    rows: Iterable[Mapping[str, Any]], history: History, name: str, gap: timedelta, until: datetime
) -> ServedValues | None:
    """Return the predicted values in the rows of stored scores of one asset, with the samples of a
    variable that are known at `until`; None without a predicted value."""
    predicted = collect_values(rows)
    if not len(predicted.at):
        return None
    samples = find_samples(history, name)
    graded = grade_values(predicted, samples, duration_millis(gap), to_millis(until))
    unit = history.asset.variables[name].unit if name in history.asset.variables else None
    return ServedValues(name, unit, predicted, samples, graded, bool(history.delay(name)))


def grade_values(
    predicted: PredictedValues, samples: TakenSamples, gap_ms: int, until: int
) -> GradedValues:
    """Compare the samples of one asset that are known at `until` (ms) with the values predicted
    before them.

    A predicted value is compared with the last sample in (at + gap, at + lead]; of several values
    with the same sample, the one predicted last counts. A value waits as long as a later sample may
    still come into that time.
    """
    is_known = samples.known_at <= until
    at = samples.at[is_known]
    value = samples.value[is_known]
    usual = int(np.median(np.diff(at))) if len(at) > 1 else 0
    ends = predicted.at + predicted.lead
    sample = np.searchsorted(at, ends, side="right") - 1
    begins = np.append(at, 0)[sample]
    over = int(at[-1]) + max(usual - 1, 0) if len(at) else 0
    predictions = np.flatnonzero((sample >= 0) & (begins > predicted.at + gap_ms) & (ends <= over))
    of_sample, place = np.unique(sample[predictions][::-1], return_index=True)
    chosen = predictions[::-1][place]
    newest = np.searchsorted(samples.known_at, predicted.at[chosen], side="right") - 1
    return GradedValues(
        at=at[of_sample],
        value=value[of_sample],
        predicted_at=predicted.at[chosen],
        low=predicted.low[chosen],
        median=predicted.median[chosen],
        high=predicted.high[chosen],
        last=np.append(samples.value, np.nan)[newest],
    )


def collect_values(rows: Iterable[Mapping[str, Any]]) -> PredictedValues:
    """Return the nearest predicted value of each stored row that has any; of rows of one instant,
    that of the newest model. Rows are in the order of time."""
    nearest: dict[int, Sequence[float]] = {}
    versions: dict[int, int] = {}
    for row in rows:
        at = to_millis(row["ts"])
        if row.get("values") and row["model_version"] >= versions.get(at, 0):
            nearest[at] = row["values"][0]
            versions[at] = row["model_version"]
    lead, low, median, high = np.array(list(nearest.values()), np.float64).reshape(-1, 4).T
    return PredictedValues(np.array([*nearest], np.int64), lead.astype(np.int64), low, median, high)


def find_samples(history: History, name: str) -> TakenSamples:
    """Return the samples of a variable: of each its instant (ms), from when on it is known (ms),
    and its value."""
    if name not in history.readings:
        return TakenSamples(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    has_value = has_data(history, name)
    at = millis(pd.DatetimeIndex(history.readings.index))[has_value]
    value = history.readings[name].to_numpy(np.float64)[has_value]
    return TakenSamples(at, at + duration_millis(history.delay(name)), value)
