"""Stride and windows that a definition leaves open, from sampling, history and columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from statistics import median_low

from alerting.definitions.durations import format_duration
from alerting.definitions.model import TrainedDefinition

LONGEST_WINDOW = timedelta(hours=72)
WINDOWS = 3  # derived at most
MOST_ROWS = 20_000  # of a training period; more cost time in proportion, and hardly improve a model
MOST_CELLS = 10_000_000  # of a training period: rows times columns
MOST_IN_A_HORIZON = 60  # rows before one problem; closer ones are nearly the same
NEARLY = 0.9  # of a sampling that is not quite regular
_MINUTE = timedelta(minutes=1)
_STEPS = (1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1440)  # minutes


@dataclass(frozen=True)
class DerivedFeatures:
    """Stride and windows derived at the first training, and the reason in a clause."""

    stride: timedelta
    windows: tuple[timedelta, ...]
    reason: str

    @property
    def message(self) -> str:
        """Describe the derived values in a sentence."""
        windows = ", ".join(map(format_duration, self.windows))
        return (
            f"Stride {format_duration(self.stride)} and windows {windows} were derived from the "
            f"data: {self.reason}. They stay "
            "as they are for this question; features.stride and features.windows set others."
        )

    def fill(self, definition: TrainedDefinition) -> TrainedDefinition:
        """Return the definition with these values where it states none."""
        stated = definition.features
        changes = {
            "stride": stated.stride or self.stride,
            "windows": stated.windows or self.windows,
        }
        return definition.model_copy(update={"features": stated.model_copy(update=changes)})


def derive(
    definition: TrainedDefinition,
    sampling: Sequence[timedelta],
    observed: timedelta,
    columns: int,
    units: timedelta | None = None,
) -> DerivedFeatures | None:
    """Derive what the definition does not state; None where it states both.

    `sampling`: of each number that the model may see. `observed`: length of the training period, of
    all assets together. `columns`: of one row. `units`: the distance between neighbouring rows,
    each of one unit.
    """
    stated = definition.features
    if stated.stride and stated.windows:
        return None
    if definition.is_of_unit:
        stride = max(
            timedelta(seconds=int((units or _MINUTE).total_seconds())), timedelta(seconds=1)
        )
        reason = "each row is one unit"
    else:
        stride, reason = derive_stride(definition.horizon, sampling, observed, columns)
    stride = stated.stride or stride
    if stated.stride:
        reason = (
            f"for the stated stride, the horizon {format_duration(definition.horizon)} and the "
            "usual sampling"
        )
    windows = stated.windows or default_windows(definition.horizon, stride, sampling)
    return DerivedFeatures(stride, tuple(windows), reason)


def derive_stride(
    horizon: timedelta, sampling: Sequence[timedelta], observed: timedelta, columns: int
) -> tuple[timedelta, str]:
    """Return the stride, and why: as fine as rows, problems and sampling allow.

    It is coarser than a sixth of the horizon only where the sampling is, and never longer than the
    horizon.
    """
    usual = _usual(sampling)
    finest = max(min(usual, default=_MINUTE), _MINUTE)
    rows = max(1, min(MOST_ROWS, MOST_CELLS // max(columns, 1)))
    limits = {
        f"the finest sampling is {format_duration(max(timedelta(seconds=round(min(usual, default=_MINUTE).total_seconds())), timedelta(seconds=1)))}": finest,  # noqa: E501
        f"{MOST_IN_A_HORIZON} rows before a problem are enough": horizon / MOST_IN_A_HORIZON,
        f"the training period then has at most {rows} rows of {columns} columns": observed / rows,
    }
    reason, needed = max(limits.items(), key=lambda item: item[1])
    most = max(horizon / 6, finest)
    if needed > most:
        reason = f"a sixth of the horizon {format_duration(horizon)} is the coarsest"
        needed = most
    stride = next(
        (step for minutes in _STEPS if (step := minutes * _MINUTE) >= NEARLY * needed),
        max(_MINUTE, timedelta(minutes=int(needed.total_seconds() // 60))),
    )
    if NEARLY * stride > most:
        stride = max(_MINUTE, timedelta(minutes=int(most.total_seconds() // 60)))
    return min(stride, max(horizon, timedelta(seconds=1))), reason


def default_windows(
    horizon: timedelta, stride: timedelta, sampling: Sequence[timedelta]
) -> tuple[timedelta, ...]:
    """Return three windows: about half, twice and six times the horizon, within limits.

    Each is lengthened to contain 3, 6 and 24 samples of the usual variable, the longest also 3
    samples of the slowest one, and to whole strides, so that no reading falls between two evaluated
    instants. Variables with fewer than 3 samples in 72 h, such as set-points changed every other
    day, are ignored where there are others. For example 15m, 1h, 3h for minutes and a horizon of
    30m; 3h, 24h, 72h for hours and a horizon of a day; 3h, 6h, 24h for hours and one hour.
    """
    sampling = _usual(sampling)
    usual = median_low(sampling) if sampling else timedelta(0)
    slowest = min(3 * max(sampling), LONGEST_WINDOW) if sampling else timedelta(0)
    wanted = (
        max(min(horizon / 2, timedelta(hours=3)), 3 * usual),
        max(min(2 * horizon, timedelta(hours=24)), 6 * usual),
        max(min(6 * horizon, LONGEST_WINDOW), 24 * usual, slowest),
    )
    return tuple(sorted({ceil(window / stride) * stride for window in wanted}))


def _usual(sampling: Sequence[timedelta]) -> Sequence[timedelta]:
    """Return the sampling of the variables with 3 samples in the longest window, or of all."""
    return [s for s in sampling if 3 * s <= LONGEST_WINDOW] or sampling
