"""What a model of the remaining life sees of a part beside the columns of the plan: its age, means
of windows that fit the length of lives, and how far they are from that of the part when new."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from alerting.deferred import np, npt
from alerting.definitions.alert_definition import LifeEnds
from alerting.learning.features.lives import ages, find_lives, row_lives
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.features.point_in_time import build_features
from alerting.readings.history import Floats, History, Millis

LoadReadings = Callable[[int, int], History]  # of the plan's numbers, in (start, end] (ms)

LIFE_AGE = "life/age"


def life_plan(plan: FeaturePlan) -> FeaturePlan | None:
    """Return the plan of the means that a model of the remaining life sees beside the columns of a
    plan; None if it sees none."""
    windows = plan.life_windows_ms
    numbers = plan.of_process.numbers
    if not windows or not numbers:
        return None
    return FeaturePlan(plan.stride_ms, windows, ("mean",), numbers, delay_ms=plan.delay_ms)


def life_columns(plan: FeaturePlan) -> tuple[str, ...]:
    """Return the names of what a model of the remaining life sees beside the columns of a plan: the
    age of the part (ms), means, and how far each is from that of the first one of the longest
    windows of the life."""
    of_life = life_plan(plan)
    means = tuple(f"life/{name}" for name in of_life.columns) if of_life else ()
    return (LIFE_AGE, *means, *(f"{name}.from_new" for name in means))


def lives_of_rows(
    ends: LifeEnds | None,
    plan: FeaturePlan,
    histories: Sequence[History],
    at: Millis,
    asset: npt.NDArray[np.object_],
) -> Floats:
    """Return of each row the columns of `row_lives` and those of `build_life_features`; the rows
    are sorted by asset as the histories. Without columns if no remaining life is asked for."""
    if ends is None:
        return np.empty((len(at), 0))
    parts = []
    for history in histories:
        rows = at[asset == history.asset.name]
        features = build_life_features(plan, ends, history, rows, lambda *_, whole=history: whole)
        parts.append(np.column_stack([row_lives(ends, history, rows), features[:, 1:]]))
    return np.concatenate(parts)


def build_life_features(
    plan: FeaturePlan, ends: LifeEnds, history: History, at: Millis, load: LoadReadings
) -> Floats:
    """Return a row per instant (ms, increasing), columns as `life_columns`; missing is NaN.

    `history`: with the events, each used from when it is known, and the readings of all windows up
    to these instants. `load`: reads those of the first window of a life: the first one whose values
    were all measured in it, on the grid of the stride. It is known when it is over.
    """
    age = ages(find_lives(ends, history), at)
    of_life = life_plan(plan)
    if of_life is None or not len(at):
        return np.column_stack([age, np.empty((len(at), len(life_columns(plan)) - 1))])

    means = build_features(of_life, history, at).to_numpy(np.float64)
    windows = len(of_life.windows_ms)
    from_new = np.full(means.shape, np.nan)
    reach = of_life.delay_ms + of_life.longest_window_ms
    first = np.ceil((at - age + reach) / of_life.stride_ms) * of_life.stride_ms
    for instant in np.unique(first[first <= at]).astype(np.int64):
        readings = load(instant - reach, instant)
        new = build_features(of_life, readings, np.array([instant])).to_numpy(np.float64)
        rows = (first == instant) & (first <= at)
        from_new[rows] = means[rows] - np.repeat(new[0, windows - 1 :: windows], windows)
    return np.column_stack([age, means, from_new])
