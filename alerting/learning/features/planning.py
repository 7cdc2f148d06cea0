"""Choice of a definition's feature plan from its training histories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil, log
from statistics import median_low

from alerting.deferred import np, pd
from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.faults import TooFewResults, TrainingRefused, format_duration, shown
from alerting.definitions.fields.learning import Aggregation
from alerting.definitions.wording.language import translatable
from alerting.detection.problem_occurrences import match_names
from alerting.learning.features.lives import life_windows
from alerting.learning.features.plan import (
    LAST_RESULTS,
    CarryForward,
    CategorySource,
    FeaturePlan,
    Lagged,
    NumberSource,
)
from alerting.learning.features.reading_counts import with_usual_counts
from alerting.readings.history import DAY_MS, History, duration_millis, has_data, millis
from alerting.readings.variable_series import distances, sampling_ms

LONGEST_WINDOW = timedelta(hours=72)
WINDOWS = 3  # derived at most
MOST_BETWEEN_RESULTS = 6  # windows
MOST_ROWS = 20_000  # of a training period; more cost time in proportion, and hardly improve a model
MOST_CELLS = 10_000_000  # of a training period: rows times columns
MOST_IN_A_HORIZON = 60  # rows before one problem; closer ones are nearly the same
ROWS_IN_SHORTEST = 10  # times the shortest window give the horizon for which a stride is derived
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
    process: Sequence[timedelta] = (),
    spacing: timedelta = timedelta(0),
) -> DerivedFeatures | None:
    """Derive what the definition does not state; None where it states both.

    `sampling`: of each number that the model may see. `observed`: length of the training period,
    all assets together. `columns`: number of columns of a row. `units`: for rows of one unit each,
    the distance between neighbouring rows. `process`: for a value estimated between results, the
    sampling of the other variables, and `spacing` the distance of the results.
    """
    stated = definition.features
    if stated.stride and stated.windows:
        return None
    if definition.is_of_unit:
        stride = max(
            timedelta(seconds=int((units or _MINUTE).total_seconds())), timedelta(seconds=1)
        )
        reason = "each row is one unit"
    elif process:
        # for values alone rows without a result are thinned, so they set no limit
        limiting = observed if definition.has_alarm else timedelta(0)
        shortest = max(timedelta(minutes=30), median_low(process))
        stride, _ = derive_stride(ROWS_IN_SHORTEST * shortest, process, limiting, columns)
        stride = min(stride, definition.horizon)
        reason = (
            f"{definition.problem.variable} is measured seldom, so its value is estimated at each "
            f"stride from the variables that come every {format_duration(median_low(process))}"
        )
    else:
        stride, reason = derive_stride(definition.horizon, sampling, observed, columns)
    stride = stated.stride or stride
    if stated.stride:
        reason = (
            f"for the stated stride, the horizon {format_duration(definition.horizon)} and the "
            "usual sampling"
        )
    windows = stated.windows or (
        windows_between_results(process, spacing)
        if process
        else default_windows(definition.horizon, stride, sampling)
    )
    return DerivedFeatures(stride, tuple(windows), reason)


def windows_between_results(
    process: Sequence[timedelta], spacing: timedelta
) -> tuple[timedelta, ...]:
    """Return windows for an estimate between results: from five samplings (fewer if results are
    near) to about the spacing of the results, each about three times the one before."""
    sampling = median_low(process)
    first = min(max(2, ceil(spacing / 8 / sampling)), 5) * sampling
    first = max(ceil(first / _MINUTE), 1) * _MINUTE
    ratio = max(min(spacing, LONGEST_WINDOW) / first, 1.0)
    steps = min(ceil(log(ratio, 3)), MOST_BETWEEN_RESULTS - 1)
    return tuple(sorted({round(ratio ** (i / max(steps, 1))) * first for i in range(steps + 1)}))


def derive_stride(
    horizon: timedelta, sampling: Sequence[timedelta], observed: timedelta, columns: int
) -> tuple[timedelta, str]:
    """Return the stride, and the reason for it: as fine as rows, problems and sampling allow.

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
        (minutes * _MINUTE for minutes in _STEPS if minutes * _MINUTE >= NEARLY * needed),
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
    windows = (
        max(min(horizon / 2, timedelta(hours=3)), 3 * usual),
        max(min(2 * horizon, timedelta(hours=24)), 6 * usual),
        max(min(6 * horizon, LONGEST_WINDOW), 24 * usual, slowest),
    )
    return tuple(sorted({ceil(window / stride) * stride for window in windows}))


def _usual(sampling: Sequence[timedelta]) -> Sequence[timedelta]:
    """Return the sampling of the variables with at least 3 samples in the longest window, or of all
    variables if there are none."""
    return [s for s in sampling if 3 * s <= LONGEST_WINDOW] or sampling


TIMES = 3  # a value is carried forward for TIMES the distance at which the next one is due
LONGEST_MS = 90 * 24 * 3_600_000  # but never longer, unless the asset's document says so
LEAST_DISTANCES = 3  # least number of distances between values from which their spacing is known
# The next value of a slow measurement is due after the distance that this share of its distances
# does not exceed; that of something that stands until it is changed, after the longest one.
DUE = 0.9
# A variable is reported when it changes if at least this share of its values differ from the one
# before.
CHANGES = 0.9
_MINUTE_MS = 60_000
_QUARTER_MS = 15 * _MINUTE_MS
NEARLY_NONE = 0.01  # of the rows are nearer to the one before than the stride of units
# a category with more is an identity, such as a batch number, that no model can learn from
MOST_LEVELS = 100


def carried_forward_variables(
    names: Sequence[str], histories: Sequence[History], longest_window_ms: int
) -> tuple[CarryForward, ...]:
    """Return the variables that are carried forward for another time than the longest window.
    `histories`: one for each asset."""
    carried = []
    for name in names:
        declared = [
            h.asset.variables[name].carry_forward for h in histories if name in h.asset.variables
        ]
        stated = max((duration_millis(span) for span in declared if span is not None), default=None)
        if stated is None:
            span_ms = _suggested_ms(name, histories, longest_window_ms)
            if span_ms > longest_window_ms:
                carried.append(CarryForward(name, span_ms))
        elif stated != longest_window_ms:
            carried.append(CarryForward(name, stated))
    return tuple(carried)


def _suggested_ms(name: str, histories: Sequence[History], longest_window_ms: int) -> int:
    """Return the time for which readings suggest to carry a value forward; 0 if the windows
    suffice."""
    apart = distances(name, histories)
    if len(apart) < LEAST_DISTANCES:
        return 0
    declared = [h.asset.variables[name] for h in histories if name in h.asset.variables]
    has_texts = any(h.readings[name].dtype == object for h in histories if name in h.readings)
    stays = has_texts or any(v.controllable or v.type != "number" for v in declared)
    # values may come in bursts
    slow = max(sampling_ms(name, histories) or 0, float(apart.mean())) > longest_window_ms
    if not slow and not (stays and _is_reported_on_change(name, histories)):
        return 0
    due = float(apart.max()) if stays else float(np.quantile(apart, DUE))
    return min(-(-int(TIMES * due) // _MINUTE_MS) * _MINUTE_MS, LONGEST_MS)


def _is_reported_on_change(name: str, histories: Sequence[History]) -> bool:
    columns = [
        h.readings[name][has_data(h, name)].to_numpy() for h in histories if name in h.readings
    ]
    return bool(np.concatenate([c[1:] != c[:-1] for c in columns]).mean() >= CHANGES)


def plan_features(definition: TrainedDefinition, histories: Sequence[History]) -> FeaturePlan:
    """Choose the columns for a definition from the content of its training histories.

    Stride and windows that the definition does not state are derived from these histories.
    Variables are those that match `include` and not `exclude` and have at least one value,
    including the problem's variable, whose known past is legitimate. Raises UserError if no
    variable is left to learn from.
    """
    numbers, categories = find_variables(definition, histories)
    attributes = _attributes(definition, histories)
    derived = derive_features(definition, histories, numbers)
    definition = definition if derived is None else derived.fill(definition)
    features = definition.features
    windows = tuple(sorted({duration_millis(window) for window in features.windows or ()}))
    is_present = bool(present_spacings(definition, numbers))
    aggregations = features.aggregations
    if is_present and aggregations == type(features).model_fields["aggregations"].default:
        aggregations = OF_FEW_RESULTS
    has_last = features.lags or not {"last", "age"}.isdisjoint(features.aggregations)
    if features.lags and min(features.lags) <= timedelta(0):
        raise TrainingRefused(
            definition.name,
            translatable("features.lags must be longer than 0s; write for example [1h, 24h]"),
        )
    plan = FeaturePlan(
        stride_ms=duration_millis(definition.stride),
        windows_ms=windows,
        aggregations=aggregations,
        numbers=tuple(numbers),
        categories=tuple(categories),
        events=tuple(match_names(event_types(histories), definition.features.events)),
        number_attributes=tuple(name for name, levels in attributes if levels is None),
        category_attributes=tuple(
            CategorySource(name, levels) for name, levels in attributes if levels is not None
        ),
        lags_ms=tuple(sorted({duration_millis(lag) for lag in features.lags})),
        carried_forward=carried_forward_variables(
            [n.name for n in numbers if has_last] + [c.name for c in categories],
            histories,
            windows[-1],
        ),
        lagged=_own_lags(definition, numbers),
        delay_ms=max(
            (duration_millis(h.delay(str(v))) for h in histories for v in h.readings), default=0
        ),
        results_of=str(definition.problem.variable) if is_present else "",
        results_over=ANCHORS if is_present else (LAST_RESULTS,),
        # the predicted variable, and what comes less than once in the longest window
        only_last=tuple(
            n.name
            for n in numbers
            if is_present
            and (n.name == definition.problem.variable or (n.sampling_ms or 0) > windows[-1])
        ),
        life_windows_ms=life_windows(
            definition.life_ends,
            histories,
            duration_millis(definition.stride),
            min((n.sampling_ms for n in numbers if n.sampling_ms), default=0),
            len(numbers),
        ),
    )
    if not plan.columns:
        raise TrainingRefused(
            definition.name,
            translatable(
                "no variable with values matches include {include} without exclude {exclude}, so "
                "there is nothing to learn from; import readings or widen include",
                include=str(list(definition.include)),
                exclude=str(list(definition.exclude)),
            ),
        )
    return plan if definition.is_of_unit else with_usual_counts(plan, histories)


SELDOM = 10  # times the usual spacing of the other numbers
_LEAST_SPACING_MS = 3_600_000
LEAST_RESULTS = 40  # of a value that is estimated between its results
OF_FEW_RESULTS: tuple[Aggregation, ...] = (
    "mean",
    "last",
)  # more columns than results would follow chance
LAGS_OF_RESULTS = 3  # earlier results beside the last one
ANCHORS = (1, 2, LAST_RESULTS)  # results whose mean an estimate may begin from


def present_spacings(
    definition: TrainedDefinition, numbers: Sequence[NumberSource]
) -> list[timedelta]:
    """Return the sampling of the process variables if a definition predicts one value of a variable
    that is measured seldom beside them, as a laboratory value is: then its present value is
    estimated at each stride. Empty otherwise."""
    name = definition.problem.variable
    spacing = spacing_of(definition, numbers)
    if not spacing or len(definition.leads(timedelta(milliseconds=spacing))) != 1:
        return []
    others = [n.sampling_ms for n in numbers if n.name != name and n.sampling_ms]
    process = [sampling for sampling in others if sampling * SELDOM <= spacing]
    is_seldom = spacing >= _LEAST_SPACING_MS and 2 * len(process) > len(others)
    return [timedelta(milliseconds=sampling) for sampling in process] if is_seldom else []


def spacing_of(definition: TrainedDefinition, numbers: Sequence[NumberSource]) -> int:
    """Return the distance (ms) of the values of the problem's variable; 0 when unknown."""
    name = definition.problem.variable
    return next((n.sampling_ms or 0 for n in numbers if n.name == name), 0)


def count_results(definition: TrainedDefinition, histories: Sequence[History]) -> int:
    """Count the rows of the histories in which the problem's variable has a value."""
    name = str(definition.problem.variable)
    return sum(int(has_data(h, name).sum()) for h in histories if name in h.readings)


def describe_results(
    definition: TrainedDefinition, numbers: Sequence[NumberSource], histories: Sequence[History]
) -> str:
    """Describe how many results a value that is estimated between them has, and, if they are too
    few, how many are missing and in what time they come; empty for any other definition.
    `histories`: one for each asset."""
    if not present_spacings(definition, numbers):
        return ""
    spacing = max(round(spacing_of(definition, numbers) / _QUARTER_MS), 1) * _QUARTER_MS
    facts: dict[str, str | int] = {
        "variable": str(definition.problem.variable),
        "results": count_results(definition, histories),
        "spacing": format_duration(timedelta(milliseconds=spacing)),
        "least": LEAST_RESULTS,
    }
    missing = LEAST_RESULTS - count_results(definition, histories)
    if missing <= 0:
        return "{variable} has {results} results, one every {spacing}; {least} are needed.".format(
            **facts
        )
    return translatable(
        "{variable} has {results} results, one every {spacing}, and {least} are needed to estimate "
        "it between them: {missing} are missing, about {wait} more",
        **facts,
        missing=missing,
        wait=format_duration(timedelta(days=-(-missing * spacing // DAY_MS))),
    )


def require_results(
    definition: TrainedDefinition, plan: FeaturePlan, histories: Sequence[History]
) -> None:
    """Raise TooFewResults if a value that is estimated between its results has too few.
    `histories`: one for each asset."""
    if plan.results_of and count_results(definition, histories) < LEAST_RESULTS:
        raise TooFewResults(definition.name, describe_results(definition, plan.numbers, histories))


def candidate_variables(definition: TrainedDefinition, histories: Sequence[History]) -> list[str]:
    """Return the assets' variables that the model may see, sorted."""
    names = {str(name) for h in histories for name in (*h.asset.variables, *h.readings.columns)}
    unseen = set(match_names(names, definition.exclude))
    unseen = unseen.union(*(definition.never_seen(h.asset) for h in histories))
    return match_names(names - unseen, definition.include)


def event_types(histories: Sequence[History]) -> set[str]:
    """Return the event types that are declared or occur in each of these histories."""
    return {t.name for h in histories for t in h.event_types} | {
        str(t) for h in histories for t in h.events["type"].unique()
    }


def derive_features(
    definition: TrainedDefinition,
    histories: Sequence[History],
    numbers: Sequence[NumberSource] | None = None,
) -> DerivedFeatures | None:
    """Derive stride and windows if the definition states none; None if it states both. `numbers`:
    those that the model may see, found in the histories by default. Raises TrainingRefused if a
    window is not longer than 0 s."""
    numbers = find_variables(definition, histories)[0] if numbers is None else numbers
    features = definition.features
    if any(window <= timedelta(0) for window in features.windows or ()):
        raise TrainingRefused(
            definition.name,
            translatable(
                "features.windows must be longer than 0s; write for example [15m, 1h, 3h]"
            ),
        )
    indices = [history.readings.index for history in histories if len(history.readings)]
    observed = sum((index[-1] - index[0] for index in indices), timedelta(0))
    windows = len(features.windows) if features.windows else WINDOWS
    of_each = sum(
        1 if name in ("last", "age") else windows for name in features.aggregations
    ) + len(features.lags)
    sampling = [timedelta(milliseconds=n.sampling_ms) for n in numbers if n.sampling_ms]
    between = np.concatenate(
        [np.empty(0, np.int64), *(np.diff(millis(pd.DatetimeIndex(index))) for index in indices)]
    )
    units = (
        timedelta(milliseconds=float(np.quantile(between, NEARLY_NONE))) if len(between) else None
    )
    process = present_spacings(definition, numbers)
    spacing = timedelta(milliseconds=spacing_of(definition, numbers))
    return derive(definition, sampling, observed, of_each * len(numbers), units, process, spacing)


def _own_lags(definition: TrainedDefinition, numbers: Sequence[NumberSource]) -> tuple[Lagged, ...]:
    number = next((n for n in numbers if n.name == definition.problem.variable), None)
    if number is None:
        return ()
    spans = definition.own_lags(
        None if number.sampling_ms is None else timedelta(milliseconds=number.sampling_ms)
    )
    if present_spacings(definition, numbers):
        spans = spans[:LAGS_OF_RESULTS]
    return (
        (Lagged(number.name, tuple(sorted({duration_millis(span) for span in spans}))),)
        if spans
        else ()
    )


def find_variables(
    definition: TrainedDefinition, histories: Sequence[History]
) -> tuple[list[NumberSource], list[CategorySource]]:
    """Return the numbers and the categories that a model of these histories, one for each asset,
    may see. Raises TrainingRefused if a variable is a number on one asset and a category on
    another."""
    numbers = []
    categories = []
    for name in candidate_variables(definition, histories):
        having = [h for h in histories if has_data(h, name).any()]
        kinds = {_is_category(h, name): h.asset.name for h in having}
        if len(kinds) > 1:
            raise TrainingRefused(
                definition.name,
                translatable(
                    "variable {name} is a category on {one} and a number on {other}; correct its "
                    "type in one of the assets, or exclude it",
                    name=name,
                    one=kinds[True],
                    other=kinds[False],
                ),
            )
        if kinds.get(False):
            numbers.append(NumberSource(name, sampling_ms(name, having)))
        elif kinds:
            levels = sorted({str(v) for h in having for v in h.readings[name].dropna().unique()})
            if len(levels) <= MOST_LEVELS:
                categories.append(CategorySource(name, tuple(levels)))
    return numbers, categories


def _is_category(history: History, name: str) -> bool:
    declared = history.asset.variables.get(name)
    return (
        declared.type == "category"
        if declared
        else not np.issubdtype(np.asarray(history.readings[name]).dtype, np.number)
    )


def _attributes(
    definition: TrainedDefinition, histories: Sequence[History]
) -> list[tuple[str, tuple[str, ...] | None]]:
    attributes: list[tuple[str, tuple[str, ...] | None]] = []
    for name in dict.fromkeys(definition.features.attributes):
        values = [h.asset.attributes[name] for h in histories if name in h.asset.attributes]
        if not values:
            raise TrainingRefused(
                definition.name,
                translatable(
                    "no asset has the attribute {name} of features.attributes; they have {names}",
                    name=shown(name),
                    names=str(sorted({a for h in histories for a in h.asset.attributes})),
                ),
            )
        is_category = any(isinstance(v, str) for v in values)
        attributes.append((name, tuple(sorted({str(v) for v in values})) if is_category else None))
    return attributes
