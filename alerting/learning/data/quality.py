"""The data quality report of a training: oddities of the data, their numbers, and their
consequences.

One oddity is problems in bursts: one disturbance that counts many times because its values are
noisy around the limit. The report says what to write into the definition so that it counts as one
problem.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.alert_definition import Problem, TrainedDefinition
from alerting.definitions.faults import TrainingRefused, format_duration
from alerting.definitions.fields.problem import describe_problem
from alerting.definitions.wording.language import (
    count_in_english,
    joined,
    spoken_about,
    spoken_share,
    template,
    translatable,
)
from alerting.detection.problem_occurrences import find_problems, match_names
from alerting.learning.data.findings import Finding, impossible_values
from alerting.learning.features.plan import FeaturePlan, NumberSource
from alerting.learning.features.planning import MOST_LEVELS, candidate_variables, event_types
from alerting.readings.history import (
    MOST_MEASURED,
    History,
    Millis,
    duration_millis,
    find_members,
    is_outside_range,
    millis,
    no_instants,
)
from alerting.readings.variable_series import describe_strays, usual_instants

# A sensor with at least LIVELY different values is stuck where FLAT_SAMPLES of them, and FLAT_TIMES
# its usual run, are equal.
FLAT_SAMPLES = 30
FLAT_TIMES = 10
LIVELY = 10
# STEPS plateaus or more that fill half of the time, or return to the same values, are those of a
# set-point. A variable is slow where its values lie SLOW times as far apart as the readings of its
# asset, as those of a laboratory do.
STEPS = 3
SLOW = 5
# A gap is longer than GAP_SAMPLES usual distances; reported where gaps take GAP_SHARE of the time.
GAP_SAMPLES = 10
GAP_SHARE = 0.01


def find_oddities(
    definition: TrainedDefinition,
    plan: FeaturePlan,
    histories: Sequence[History],
    problems: dict[str, int],
) -> list[Finding]:
    """Find every oddity of readings and events.

    `histories`: of the training period; `problems`: number of problems that began in each part.
    """
    return [
        *_silent_assets(histories),
        *_left_out(definition, plan, histories),
        *_constant(plan, histories),
        *_flat(plan, histories),
        *_asset_gaps(histories),
        *_gaps(plan, histories),
        *_duplicates(plan, histories),
        *_out_of_range(definition, plan, histories),
        *_bad_quality(definition, histories),
        *_unmatched_events(definition, histories),
        *_few_problems(definition, problems),
        *_carried_forward(plan, histories),
    ]


def find_strays(histories: Sequence[History]) -> Iterator[Finding]:
    """Yield a finding on each asset with a few readings that lie far from all others."""
    for history in histories:
        times = _index(history)
        for description, count in describe_strays(times, usual_instants(times)):
            name = history.asset.name
            yield Finding(
                "strays",
                name,
                count,
                "left out",
                f"{name}: {description}, as of a clock that was not set: left out of the training.",
            )


def _silent_assets(histories: Sequence[History]) -> Iterator[Finding]:
    for history in histories:
        if history.readings.empty:
            name = history.asset.name
            yield Finding(
                "silent_asset",
                name,
                0,
                "left out",
                f"{name} has no readings in the training period: the model cannot use it.",
            )


def _left_out(
    definition: TrainedDefinition, plan: FeaturePlan, histories: Sequence[History]
) -> Iterator[Finding]:
    for name in candidate_variables(definition, histories):
        if name in plan.variables:
            continue
        different = len(pd.unique(np.concatenate([_values(h, name) for h in histories])))
        if different > MOST_LEVELS:
            yield Finding(
                "too_many_levels",
                name,
                different,
                "left out",
                f"{name} is a category with {different} values in training, more than "
                f"{MOST_LEVELS}: it is left out.",
            )
        else:
            within = " within its engineering range" if different else ""
            yield Finding(
                "no_value",
                name,
                0,
                "left out",
                f"{name} has no value{within} in the training period: it is left out, and no "
                "recommendation can change it.",
            )


def _constant(plan: FeaturePlan, histories: Sequence[History]) -> Iterator[Finding]:
    for name in plan.variables:
        values = pd.unique(np.concatenate([_values(h, name) for h in histories]))
        if len(values) == 1:
            yield Finding(
                "constant",
                name,
                1,
                "kept",
                f"{name} is always {values[0]} in the training period: the model cannot use it; "
                "if it should vary, its sensor or its import is faulty.",
            )


def _flat(plan: FeaturePlan, histories: Sequence[History]) -> Iterator[Finding]:
    for number in plan.numbers:
        flat = 0
        total = 0
        longest = 0
        for history in histories:
            values = _values(history, number.name)
            total += len(values)
            if not _is_set_or_slow(history, number) and len(pd.unique(values)) >= LIVELY:
                stuck = _stuck_runs(values)
                flat = flat + int(stuck.sum())
                longest = max(longest, int(stuck.max(initial=0)))
        if flat:
            yield Finding(
                "flat",
                number.name,
                flat / total,
                "kept",
                f"{number.name} repeats one value {longest:,} times in a row, and {flat:,} of its "
                f"{total:,} values are in such runs, although it varies otherwise: its sensor was "
                "probably stuck; the values are kept.",
            )


def _is_set_or_slow(history: History, number: NumberSource) -> bool:
    """Return whether equal values are usual: set by an operator, or by a laboratory."""
    variable = history.asset.variables.get(number.name)
    line = np.diff(_index(history))
    if variable is not None and (variable.controllable or history.delay(number.name)):
        return True
    declared = variable.sampling if variable is not None else None
    sampling = (number.sampling_ms or 0) if declared is None else duration_millis(declared)
    return len(line) > 0 and sampling >= SLOW * float(np.median(line))


def _stuck_runs(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return runs of equal values far longer than usual for a sensor; none for steps."""
    first = np.append(0, np.flatnonzero(values[1:] != values[:-1]) + 1)
    lengths = np.diff(np.append(first, len(values)))
    long = lengths >= max(FLAT_SAMPLES, FLAT_TIMES * float(np.quantile(lengths, 0.95)))
    plateaus = lengths[long].astype(np.int64)
    levels = len(pd.unique(values[first[long]]))
    if len(plateaus) >= STEPS and (
        2 * plateaus.sum() >= len(values) or 2 * levels <= len(plateaus)
    ):
        return plateaus[:0]
    return plateaus


def _asset_gaps(histories: Sequence[History]) -> Iterator[Finding]:
    for history in histories:
        gaps = _gaps_of(_index(history), None)
        if gaps is not None and gaps.share >= GAP_SHARE:
            name = history.asset.name
            yield Finding(
                "gaps",
                name,
                gaps.share,
                "left out",
                f"{name} has {gaps.message}: windows that lie in them have no value; rows without "
                "any are left out.",
            )


def _gaps(plan: FeaturePlan, histories: Sequence[History]) -> Iterator[Finding]:
    """Yield gaps of single variables, apart from gaps in which the whole asset is silent."""
    for number in plan.numbers:
        for history in histories:
            gaps = _gaps_of(_times(history, number.name), number.sampling_ms)
            whole = _gaps_of(_index(history), None)
            if gaps is not None and gaps.share >= GAP_SHARE + 2 * (whole.share if whole else 0.0):
                yield Finding(
                    "gaps",
                    number.name,
                    gaps.share,
                    "kept",
                    f"{number.name} of {history.asset.name} has {gaps.message}: it is missing "
                    "there, the rows are kept.",
                )


@dataclass(frozen=True)
class _Gaps:
    number: int
    longest: int
    share: float

    @property
    def message(self) -> str:
        gaps = "a gap" if self.number == 1 else f"{self.number} gaps"
        share = spoken_share(self.share)
        return f"{gaps} of up to {_about(self.longest)}, {share} of the training period"


def _gaps_of(times: Millis, sampling: int | None) -> _Gaps | None:
    distances = np.diff(times)
    if not len(distances):
        return None
    # where two clocks alternate, the median is the short distance
    usual = max(sampling or 1, float(np.quantile(distances, 0.9)))
    gaps = distances[distances > GAP_SAMPLES * usual]
    return (
        _Gaps(len(gaps), int(gaps.max()), float(gaps.sum() / distances.sum()))
        if len(gaps)
        else None
    )


def _duplicates(plan: FeaturePlan, histories: Sequence[History]) -> Iterator[Finding]:
    first: dict[int, NumberSource] = {}
    for number in plan.numbers:
        columns = [
            h.readings[number.name].to_numpy(np.float64)
            for h in histories
            if number.name in h.readings
        ]
        if len(pd.unique(np.concatenate(columns))) < LIVELY:
            continue
        twin = first.setdefault(hash(b"".join((c + 0.0).tobytes() for c in columns)), number)
        if twin is not number:
            yield Finding(
                "duplicate",
                number.name,
                1,
                "kept",
                f"{number.name} has the same values as {twin.name} throughout: both are kept and "
                "share their importance; exclude one of them.",
            )


def _out_of_range(
    definition: TrainedDefinition, plan: FeaturePlan, histories: Sequence[History]
) -> Iterator[Finding]:
    for number in plan.numbers:
        name = number.name
        values = [_values(h, name).astype(np.float64) for h in histories]
        outside = [
            of_asset[is_outside_range(h.asset, name, of_asset)]
            for h, of_asset in zip(histories, values, strict=True)
        ]
        wrong = np.concatenate(outside)
        impossible = wrong[np.abs(wrong) > MOST_MEASURED]
        exception = (
            "; the problem itself is determined with them"
            if name == definition.problem.variable
            else ""
        )
        if len(impossible):
            yield impossible_values(name, len(impossible), impossible[0], exception)
        if count := len(wrong) - len(impossible):
            yield Finding(
                "out_of_range",
                name,
                count,
                "left out",
                count_in_english(
                    "{name} has {number} value outside its engineering range in the training "
                    "period: it is left out of every feature{exception}; correct it or the range.",
                    "{name} has {number} values outside its engineering range in the training "
                    "period: they are left out of every feature{exception}; correct them or the "
                    "range.",
                    count,
                    name=name,
                    exception=exception,
                ),
            )


def _bad_quality(definition: TrainedDefinition, histories: Sequence[History]) -> Iterator[Finding]:
    for name in sorted(
        {*definition.problem.variables, *candidate_variables(definition, histories)}
    ):
        bad = sum(
            int(find_members(_index(h), h.doubts.bad.get(name, no_instants())).sum())
            for h in histories
        )
        if bad:
            share = bad / (bad + sum(len(_values(h, name)) for h in histories))
            yield Finding(
                "bad_quality",
                name,
                share,
                "left out",
                count_in_english(
                    "{name} has {number} sample of bad quality in the training period, {share} of "
                    "all: it has no value, and counts as missing in every feature and label.",
                    "{name} has {number} samples of bad quality in the training period, {share} of "
                    "all: they have no value, and count as missing in every feature and label.",
                    bad,
                    name=name,
                    share=spoken_share(share),
                ),
            )


def _unmatched_events(
    definition: TrainedDefinition, histories: Sequence[History]
) -> Iterator[Finding]:
    types = event_types(histories)
    for pattern in definition.features.events:
        if not match_names(types, [pattern]):
            yield Finding(
                "unmatched_events",
                pattern,
                0,
                "left out",
                f"No event type matches {pattern!r} of features.events: it gives no features; the "
                f"types are {sorted(types)}.",
            )


def _few_problems(definition: TrainedDefinition, problems: dict[str, int]) -> Iterator[Finding]:
    if not definition.has_alarm:
        return
    least = definition.promotion.least_events
    for part, enough, name, consequence in (
        ("train", 10, "training", "the model may learn coincidences instead of causes"),
        ("validation", least, "validation", "the threshold rests on few cases"),
        ("test", least, "test", "its figures are uncertain"),
    ):
        if problems[part] < enough:
            yield Finding(
                "few_problems",
                part,
                problems[part],
                "kept",
                count_in_english(
                    "Only {number} problem began in the {name} period: {consequence}.",
                    "Only {number} problems began in the {name} period: {consequence}.",
                    problems[part],
                    name=name,
                    consequence=consequence,
                ),
            )


def _carried_forward(plan: FeaturePlan, histories: Sequence[History]) -> Iterator[Finding]:
    for carried in plan.carried_forward:
        longest = int(
            max((np.diff(_times(h, carried.name)).max(initial=0) for h in histories), default=0)
        )
        yield Finding(
            "carried_forward",
            carried.name,
            carried.span_ms / 1000,
            "kept",
            f"{carried.name} comes up to {_about(longest)} apart: its last value holds until the "
            f"next one, for at most {_about(carried.span_ms)}; set carry_forward of the variable "
            "if that is wrong.",
        )


def _values(history: History, name: str) -> npt.NDArray[Any]:
    return (
        history.readings[name].dropna().to_numpy()
        if name in history.readings
        else np.empty(0, dtype=object)
    )


def _times(history: History, name: str) -> Millis:
    if name not in history.readings:
        return np.empty(0, np.int64)
    return _index(history)[history.readings[name].notna().to_numpy()]


def _index(history: History) -> Millis:
    return millis(pd.DatetimeIndex(history.readings.index))


def _about(span_ms: int) -> str:
    return spoken_about(timedelta(milliseconds=span_ms))


# Problems come in bursts if, of at least LEAST problems, half of the times between them or more lie
# below a tenfold step (STEP), and at least two above it. Of 4,000 series of times by chance
# (exponential, 10 to 100 problems) fewer than 1 in 1,000 have such a step.
LEAST = 10
STEP = 10
_DAY = timedelta(days=1)
# usual durations
_ROUND = (
    *(timedelta(minutes=n) for n in (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240)),
    *(timedelta(hours=n) for n in (6, 8, 12, 24)),
)


@dataclass(frozen=True)
class Bursts:
    """Problems that come in bursts. `problems`: their number with the definition as written;
    `merged`: their number with this `merge_within`."""

    name: str
    problems: int
    merged: int
    merge_within: timedelta

    @property
    def message(self) -> str:
        """Describe the bursts in a sentence, with what to write."""
        return (
            "The problems come in bursts, as noise about a limit makes them: "
            f"{self.problems} as written, {self.merged} with {self.remedy}."
        )

    @property
    def remedy(self) -> str:
        """Return the field that makes each burst one problem, as it is written."""
        return f"problem.merge_within: {format_duration(self.merge_within)}"


def find_bursts(
    problem: Problem, histories: Sequence[History], near: timedelta = timedelta(0)
) -> Bursts | None:
    """Return the bursts in which problems come on these assets, with the `merge_within` that makes
    each burst one problem; None if they do not come in bursts.

    `near`: problems also come in bursts if most of them begin within this time of another.
    """
    by_asset = [find_problems(problem, history) for history in histories]
    starts = [millis(problems["start"]) for problems in by_asset]
    ends = [millis(problems["end"]) for problems in by_asset]
    gaps = [start[1:] - end[:-1] for start, end in zip(starts, ends, strict=True)]
    between = np.concatenate(gaps) if gaps else np.empty(0, np.int64)
    longest = longest_in_burst(between) or _longest_near(between, duration_millis(near))
    if longest is None:
        return None
    least = timedelta(milliseconds=2 * longest)
    merge_within = next((usual for usual in _ROUND if usual >= least), ceil(least / _DAY) * _DAY)
    as_one = problem.model_copy(update={"merge_within": merge_within})
    return Bursts(
        problem.variable or problem.event or "problem",
        sum(len(start) for start in starts),
        sum(len(find_problems(as_one, history)) for history in histories),
        merge_within,
    )


def longest_in_burst(gaps: Millis) -> int | None:
    """Return the longest of the short times (ms) between problems, if they come in bursts."""
    gaps = np.sort(gaps)
    if len(gaps) + 1 < LEAST:
        return None
    short = np.arange(ceil(len(gaps) / 2) - 1, len(gaps) - 2)
    steps = gaps[short + 1] / np.maximum(gaps[short], 1)
    return int(gaps[short[np.argmax(steps)]]) if steps.max() >= STEP else None


def _longest_near(gaps: Millis, near: int) -> int | None:
    """Return the longest time (ms) between problems that is at most `near`, if most times are that
    short and some are not."""
    short = gaps[gaps <= near]
    is_most = 2 * len(short) > len(gaps) + 1 and len(short) < len(gaps)
    return int(short.max()) if is_most else None


def require_both_classes(
    definition: TrainedDefinition,
    label: npt.NDArray[np.int8],
    begun: int,
    problems: int,
    histories: Sequence[History],
    oddities: Sequence[Finding],
) -> None:
    """Raise UserError, with the cause and the first oddities, if all training labels are alike.

    `begun`: number of the `problems` that begin in the training period. `histories`: of all
    periods. `label`: 0 or 1 for each row.
    """
    if 0 < label.sum() < len(label):
        return
    if label.any():
        cause = template(
            "every row is followed by the problem ({problem}; begun in it: {begun}; {seen}): "
            "choose a shorter horizon than {horizon}, or correct the problem"
        )
    elif begun:
        cause = template(
            "no row is followed by the problem: of the problems that begin in it ({begun}) none "
            "comes within {horizon} after one of its rows; choose a longer horizon, or import the "
            "readings before them"
        )
    elif problems:
        cause = template(
            "no row is followed by the problem: none of the problems ({problems}) begins in it; "
            "use a longer history, or shorter periods.validation and periods.test"
        )
    else:
        cause = template(
            "no row is followed by the problem, which never comes ({problem}; {seen}): correct it, "
            "or use a history in which it comes"
        )
    reason = translatable(
        "the training period ({rows} rows) has no two classes to separate: {cause}",
        rows=len(label),
        cause=translatable(
            cause,
            problem=describe_problem(definition.problem),
            begun=begun,
            problems=problems,
            horizon=format_duration(definition.gap + definition.horizon),
            seen=joined("; ", *_describe_seen(definition.problem, histories)),
        ),
    )
    messages = [f.message for f in oddities if f.kind != "few_problems"][:3]
    if messages:
        reason = translatable(
            "{reason}. Findings on the data: {findings}", reason=reason, findings=" ".join(messages)
        )
    raise TrainingRefused(definition.name, reason)


def _describe_seen(problem: Problem, histories: Sequence[History]) -> Iterator[str]:
    """Yield the number of events of a problem, or the lowest and highest value of its variables; of
    texts the first three."""
    if problem.event:
        events = pd.concat([history.events["type"] for history in histories])
        number = events.isin(match_names(events, [problem.event])).sum()
        yield translatable("events: {number}", number=int(number))
    for name in problem.variables:
        values = pd.concat([h.readings[name] for h in histories if name in h.readings]).dropna()
        if values.dtype == object:
            yield translatable("{name}: {text}", name=name, text=", ".join(sorted({*values})[:3]))
        elif len(values):
            low = f"{values.min():.6g}"
            high = f"{values.max():.6g}"
            yield translatable("{name} from {low} to {high}", name=name, low=low, high=high)
