"""Kind `control_chart`: the process has shifted."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.alert_definition import Condition
from alerting.definitions.asset_documents import Asset
from alerting.definitions.fields.names_and_times import merge
from alerting.definitions.fields.problem import variable_title
from alerting.definitions.wording.language import in_english, joined, translatable
from alerting.detection.carried_reading import Carried
from alerting.detection.evaluation_results_and_texts import (
    Evaluation,
    Status,
    StatusInterval,
    bad_quality_message,
    stale_message,
    waiting_message,
)
from alerting.detection.suppressed_intervals import is_covered
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.control_chart.definition import RULES, ControlChartDefinition, RuleName
from alerting.kinds.control_chart.model import (
    LIMIT,
    SPREAD,
    Chart,
    ChartState,
    ControlChartModel,
    ControlLimits,
    FittedChart,
    Point,
    from_files,
)
from alerting.kinds.control_chart.point_texts import (
    describe_points,
    describe_signal,
    shift_message,
    statistic_text,
)
from alerting.kinds.normal_operation import EpisodeRule, NormalKind, advance_part, evaluate_fitted
from alerting.kinds.protocol import (
    NO_LIMITS,
    Charted,
    EvaluationSources,
    Gap,
    RaiseEvidence,
    ScoredRows,
    Statistic,
    TargetEvaluation,
    TrainedKind,
    VersionInterval,
    Why,
    WhyQuestion,
    confine_fault,
)
from alerting.kinds.reading_spacing import Lasting, Times, describe_unfulfillable, usual_distance
from alerting.learning.models.trained import TrainedModel
from alerting.ports import Files, WantedHistory
from alerting.readings.history import (
    NO_TIME,
    History,
    Millis,
    duration_millis,
    from_millis,
    has_data,
    millis,
    no_instants,
    to_millis,
)
from alerting.reporting.variable_charts import ChartLevel, Panel

_STATUSES: tuple[Status, ...] = ("clear", "triggered", "unknown")
_CLEAR, _TRIGGERED, _UNKNOWN = range(3)
# a triggered status is _TRIGGERED + _SIGNALS * (a bit for each signal, the last one for its side)
_SIGNALS = len(_STATUSES)
_NAMES = (*RULES, LIMIT, SPREAD)
_NONE = timedelta(0)
_WARMING_UP = translatable("too few readings in a row since the last gap")


class Sample(NamedTuple):
    """A reading at an instant (ms); without a value it is of bad quality, or impossible."""

    at: int
    value: float | None


def find_samples(definition: ControlChartDefinition, history: History) -> list[Sample]:
    """Return the readings of the variable, sorted by time. A value that is not finite, or outside
    the engineering range, counts as missing."""
    bad: Millis = history.doubts.bad.get(definition.variable, no_instants())
    samples = [Sample(at, None) for at in bad.tolist()]
    if definition.variable in history.readings:
        values = history.readings[definition.variable].to_numpy(np.float64)
        ts = millis(pd.DatetimeIndex(history.readings.index))
        possible = has_data(history, definition.variable)
        samples += [
            Sample(t, v)
            for t, v in zip(ts[possible].tolist(), values[possible].tolist(), strict=True)
        ]
        samples += [Sample(t, None) for t in ts[~possible & ~np.isnan(values)].tolist()]
    return sorted(set(samples), key=lambda sample: sample.at)


def evaluate_part(
    definition: ControlChartDefinition,
    sources: EvaluationSources,
    part: VersionInterval,
    before: TargetEvaluation,
) -> TargetEvaluation:
    """Chart every reading of a part with the model in force there; a model that cannot be read ends
    the evaluation."""

    def evaluate(model: ControlChartModel, fitted: FittedChart, version: int) -> TargetEvaluation:
        samples = _samples_between(definition, sources, part.start, part.end)
        earlier = list[Sample]()
        carried = before.state.carried
        if not _is_of(carried, definition, version):
            earlier = _samples_between(definition, sources, part.start - fitted.warm_up, part.start)
        with confine_fault(f"{definition.variable} cannot be charted"):
            title = variable_title(definition.variable, sources.asset.variables)
            run = ChartRun(
                definition, title, fitted, version, to_millis(model.training_cutoff), carried
            )
            if earlier:
                run.warm_up(earlier)
            intervals = run.intervals(samples, to_millis(part.start) + 1, to_millis(part.end) + 1)
        after = advance_part(
            before,
            part,
            intervals,
            EpisodeRule(_NONE, definition.off_delay(fitted.clear_for), definition.severities()),
            lambda at: _evidence(
                definition,
                sources.asset,
                fitted.chart,
                next((point for point in reversed(run.points) if point.at <= to_millis(at)), None),
                at,
                version,
            ),
        )
        return replace(
            after,
            state=replace(after.state, carried=run.carried()),
            scores=[*before.scores, _scored(run.points, fitted.chart, model, version)],
            unknown=run.reason if intervals[-1].status == "unknown" else None,
        )

    too_little = translatable(
        "no limits for {asset}: it had too few readings in phase I", asset=sources.asset.name
    )
    return evaluate_fitted(definition, sources, part, before, evaluate, NO_LIMITS, too_little)


def _samples_between(
    definition: ControlChartDefinition,
    sources: EvaluationSources,
    start: datetime,
    end: datetime,
) -> list[Sample]:
    """Return the readings in (start, end] to chart: without suppressed times, from which no limits
    are learned either."""
    history = sources.platform.readings.load(
        WantedHistory(sources.asset, start, end, list(definition.needs))
    )
    samples = find_samples(definition, history)
    covered = is_covered(
        sources.suppressed(definition, start, end),
        np.array([sample.at for sample in samples], np.int64),
    )
    return [sample for sample, is_left_out in zip(samples, covered, strict=True) if not is_left_out]


def _evidence(
    definition: ControlChartDefinition,
    asset: Asset,
    chart: Chart,
    point: Point | None,
    at: datetime,
    version: int,
) -> RaiseEvidence:
    """Return the content of an episode that is raised at an instant, from the point there."""
    limits = chart.limits
    if point is None:
        return RaiseEvidence(
            Evaluation(at, "triggered", "the process has shifted", model_version=version)
        )
    nearest = limits.upper if point.statistic >= limits.centre else limits.lower
    reason = shift_message(definition, asset, chart, point)
    inputs: dict[str, float | str | None] = {
        chart.statistic: point.statistic,
        "LCL": limits.lower,
        "CL": limits.centre,
        "UCL": limits.upper,
    }
    if point.spread is not None:
        inputs["standard deviation in the subgroup"] = point.spread
    return RaiseEvidence(
        Evaluation(at, "triggered", reason, point.statistic, nearest, version), inputs=inputs
    )


def _scored(
    points: Sequence[Point], chart: Chart, model: ControlChartModel, version: int
) -> ScoredRows:
    """Return the points of a part as scored rows."""
    at, values = _columns(points)
    return ScoredRows(
        at,
        values,
        np.full(len(at), np.nan),
        np.full(len(at), "", object),
        cast("TrainedModel", model),
        version,
        chart.limits.upper,
        tuple(describe_points(points[-1])) if points else (),
    )


def _is_of(carried: Carried | None, definition: ControlChartDefinition, version: int) -> bool:
    """Return whether a carried state belongs to the chart of this model version."""
    return (
        carried is not None
        and carried.variable == definition.variable
        and carried.memory[:1] == (float(version),)
    )


class ChartRun:
    """The charting of the readings of one part. `points`: points charted in it; `reason`: why the
    state at its end is unknown."""

    def __init__(
        self,
        definition: ControlChartDefinition,
        title: str,
        fitted: FittedChart,
        version: int,
        cutoff: int,
        carried: Carried | None,
    ) -> None:
        self._variable = definition.variable
        self._title = title
        self._chart = fitted.chart
        self._version = version
        self._cutoff = cutoff
        self._stale = duration_millis(definition.stale_time(fitted.stale_after))
        self.points: list[Point] = []
        self._state = ChartState()
        self._status = _UNKNOWN
        self.reason = waiting_message(title)
        self._at: int | None = None
        self._value: float | None = None
        if carried is not None and _is_of(carried, definition, version):
            self._at = to_millis(carried.at)
            self._value = cast("float | None", carried.value)
            self._status = int(carried.memory[1])
            self._state = ChartState.from_numbers(carried.memory[2:])
            if self._status == _UNKNOWN:
                self.reason = bad_quality_message(title) if carried.bad else _WARMING_UP

    def warm_up(self, samples: Sequence[Sample]) -> None:
        """Chart readings from before the part without evaluating them, so that a new version begins
        with their state."""
        for sample in samples:
            self._take(sample)
        self.points = []
        self._status = _UNKNOWN
        self.reason = _WARMING_UP

    def intervals(self, samples: Sequence[Sample], begin: int, end: int) -> list[StatusInterval]:
        """Return the status intervals from `begin` to `end` (ms) without a hole: the status of a
        reading lasts until the next reading, or until it is stale."""
        pieces: list[tuple[int, int, int]] = []
        since = begin
        for sample in samples:
            if sample.at <= self._cutoff:
                self.warm_up([sample])
                self.reason = translatable(
                    "the limits were estimated from times up to {until}",
                    until=from_millis(self._cutoff),
                )
                continue
            pieces += self._in_force(since, sample.at)
            since = max(sample.at, begin)
            self._take(sample)
        pieces += self._in_force(since, end)
        return [
            StatusInterval(
                from_millis(a),
                from_millis(b),
                _STATUSES[status % _SIGNALS],
                cause=_cause_of(status),
            )
            for a, b, status in _joined(pieces)
        ]

    def _in_force(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield the status intervals between two instants, by the last reading before them."""
        if start >= end:
            return
        valid_until = start if self._at is None else min(max(self._at + self._stale, start), end)
        if start < valid_until:
            yield start, valid_until, self._status
        if valid_until < end:
            if self._at is not None:
                self.reason = stale_message(self._title, timedelta(milliseconds=self._stale))
            yield valid_until, end, _UNKNOWN

    def _take(self, sample: Sample) -> None:
        if self._at is not None and sample.at - self._at > self._stale:
            self._state.break_off()
            self._status = _UNKNOWN
        self._at = sample.at
        self._value = sample.value
        if sample.value is None:
            self._state.break_off()
            self._status = _UNKNOWN
            self.reason = bad_quality_message(self._title)
            return
        point = self._state.add(self._chart, sample.at, sample.value)
        if point is not None:
            self.points.append(point)
            self._status = _status_of(point, self._chart.limits.centre)
        elif self._status == _UNKNOWN:
            self.reason = _WARMING_UP

    def carried(self) -> Carried | None:
        """Return the carried reading from which the next part goes on."""
        if self._at is None:
            return None
        return Carried(
            self._variable,
            from_millis(self._at),
            self._value,
            bad=self._value is None,
            memory=(float(self._version), float(self._status), *self._state.to_numbers()),
        )


def _status_of(point: Point, centre: float) -> int:
    if not point.signals:
        return _CLEAR
    bits = [name in point.signals for name in _NAMES] + [point.statistic < centre]
    return _TRIGGERED + _SIGNALS * sum(1 << i for i, bit in enumerate(bits) if bit)


def _cause_of(status: int) -> str:
    """Return the signals of a status, with the side of the centre line."""
    bits = status // _SIGNALS
    side = "low" if bits >> len(_NAMES) else "high"
    return "+".join(f"{name}.{side}" for i, name in enumerate(_NAMES) if bits >> i & 1)


def _joined(pieces: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Return the intervals with equal neighbours joined."""
    joined: list[tuple[int, int, int]] = []
    for start, end, status in pieces:
        if joined and joined[-1][2] == status and joined[-1][1] == start:
            joined[-1] = joined[-1][0], end, status
        else:
            joined.append((start, end, status))
    return joined


def usual_gap(definition: ControlChartDefinition, history: History) -> timedelta:
    """Return the time after which a reading is stale: as written, or ten times the median distance
    of the samples, which are the rows of this history."""
    if definition.stale_after is not None:
        return definition.stale_after
    at = [sample.at for sample in find_samples(definition, history)]
    return (
        timedelta(milliseconds=10 * float(np.median(np.diff(at)))) if len(at) > 1 else timedelta(0)
    )


_LOOK_BACK = timedelta(days=1)
_LONGEST = timedelta(days=28)
_GAPS = 100  # of ten readings each
_DAYS_CHARTED = timedelta(days=7)
_MOST_CHARTED = 5_000  # usual distances
_BEYOND_LIMIT = RULES["nelson_1"]  # its points are marked as those beyond a limit
_POINTS = 10  # usual distances of the usual off-delay


def explain_instant(definition: ControlChartDefinition, question: WhyQuestion) -> Why:
    """Explain the newest point of the chart at an instant: its statistic, the limits, and the
    violated rules with their points."""
    evaluated = question.evaluate(_start(definition, question))
    scored = next((rows for rows in reversed(evaluated.scores) if len(rows.at)), None)
    state = evaluated.state
    blank = question.blank
    facts: list[str] = []
    if scored is not None:
        fitted = cast("ControlChartModel", scored.model).by_asset[question.asset.name]
        limits = fitted.chart.limits
        value = float(scored.score[-1])
        facts.append(
            in_english(
                "{statistic} was {value} at {at}; centre line {centre}, limits {lower} and {upper}",
                statistic=fitted.chart.statistic,
                value=f"{value:.6g}",
                at=from_millis(int(scored.at[-1])),
                centre=f"{limits.centre:.6g}",
                lower=f"{limits.lower:.6g}",
                upper=f"{limits.upper:.6g}",
            )
        )
        facts += scored.facts
        facts += fitted.describe(question.asset.name)
        limit = limits.upper if value >= limits.centre else limits.lower
        blank = replace(blank, value=value, limit=limit, model_version=scored.model_version)
    why = replace(blank, unknown=evaluated.unknown, facts=tuple(facts))
    if evaluated.unknown:
        return why.answer_unknown(evaluated.unknown, state)
    if state.raised_at is None:
        return replace(why, verdict="normal", answer="not raised: no rule signals")
    return why.answer_open(state.raised_at, state.clearing_since, "no rule signals")


def _start(definition: ControlChartDefinition, question: WhyQuestion) -> ConditionState:
    """Return the stored state if it lies before the instant, else a new state that begins long
    enough before."""
    if (stored := question.stored_state()) is not None:
        return stored
    at = question.at
    covering = question.covering
    history = question.platform.readings.load(
        WantedHistory(question.asset, at - _LOOK_BACK, at, [definition.variable])
    )
    before = max(_LOOK_BACK, _GAPS * usual_gap(definition, history))
    begin = at - before if covering is None else min(at, covering.raised_at) - before
    return ConditionState(watermark=max(begin, at - _LONGEST))


def _columns(points: Sequence[Point]) -> tuple[Millis, npt.NDArray[np.float64]]:
    """Return the instants (ms) and statistics of points."""
    return (
        np.array([point.at for point in points], np.int64),
        np.array([point.statistic for point in points], np.float64),
    )


def _statistic(
    definition: ControlChartDefinition, asset: Asset, name: str, limits: ControlLimits
) -> Statistic:
    """Return the charted statistic of a name with its limits; of a Shewhart chart with the
    zones."""
    named = (("LCL", limits.lower), ("CL", limits.centre), ("UCL", limits.upper))
    levels = [ChartLevel(value, label, label != "CL") for label, value in named]
    if definition.chart == "shewhart":
        third = (limits.upper - limits.centre) / 3
        levels += [
            ChartLevel(limits.centre + side * n * third, zone, is_limit=False)
            for side in (-1, 1)
            for n, zone in ((2, "A"), (1, "B"))
        ]
    variable = asset.variables.get(definition.variable)
    unit = variable.unit if variable and definition.chart != "cusum" else None
    title = (variable and variable.title) or definition.variable.replace("_", " ")
    return Statistic(joined(": ", statistic_text(name), title), unit, tuple(levels))


class ControlChartKind(NormalKind):
    """Readings are charted against limits that were estimated from a normal period."""

    evaluate = staticmethod(evaluate_part)
    why = staticmethod(explain_instant)

    def load(self, files: Files) -> TrainedModel:
        return cast("TrainedModel", from_files(files))

    def spacing_variables(self, definition: ControlChartDefinition, asset: Asset) -> Sequence[str]:
        return [] if definition.stale_after is None else [definition.variable]

    def describe_spacing(self, definition: ControlChartDefinition, times: Times) -> Iterator[str]:
        if definition.stale_after is None:
            return
        usual = usual_distance(times.get(definition.variable, ()))
        condition = Condition.model_construct(
            variable=definition.variable, stale_after=definition.stale_after
        )
        delay = definition.off_delay(_POINTS * usual)
        yield from describe_unfulfillable(Lasting(condition, timedelta(0), delay), times)

    def chart(self, definition: ControlChartDefinition, asset: Asset, episode: Episode) -> Charted:
        """Return the charted statistic with its limits, as they were at the raise, and the
        readings."""
        numbers = {
            name: value for name, value in episode.inputs.items() if isinstance(value, int | float)
        }
        if not {"LCL", "CL", "UCL"} <= numbers.keys():
            return Charted(definition.variable)
        limits = ControlLimits(*(float(numbers[name]) for name in ("LCL", "CL", "UCL")))
        statistic = _statistic(definition, asset, next(iter(numbers)), limits)
        return Charted(definition.variable, statistic=statistic)

    def chart_last_days(
        self,
        definition: ControlChartDefinition,
        sources: EvaluationSources,
        version: int,
        end: datetime,
    ) -> Panel | None:
        """Return the points of the last days with the limits of a version and the points at which
        rules signal; None without limits for the asset. Raises ModelUnavailable."""
        model = cast("ControlChartModel", sources.models.get(definition, version))
        fitted = model.by_asset.get(sources.asset.name)
        if fitted is None:
            return None
        start = end - min(_DAYS_CHARTED, _MOST_CHARTED * timedelta(milliseconds=fitted.interval_ms))
        run = ChartRun(definition, definition.variable, fitted, version, NO_TIME, None)
        samples = _samples_between(definition, sources, start - fitted.warm_up, end)
        newest = samples[-_MOST_CHARTED:]
        begin = max([to_millis(start), *(sample.at - 1 for sample in newest[:1])])
        run.warm_up([sample for sample in samples if sample.at <= begin][-_MOST_CHARTED:])
        charted = [sample for sample in samples if sample.at > begin]
        run.intervals(charted, begin + 1, to_millis(end) + 1)
        shown = _statistic(definition, sources.asset, fitted.chart.statistic, fitted.chart.limits)
        signalled: dict[str, list[Point]] = {}
        for point in run.points:
            for signal in point.signals:
                signalled.setdefault(signal, []).append(point)
        return Panel(
            shown.name,
            shown.unit,
            *_columns(run.points),
            shown.levels,
            hold=fitted.chart.subgroup * definition.stale_time(fitted.stale_after),
            is_control=True,
            signals={
                describe_signal(signal): _columns(points)
                for signal, points in signalled.items()
                if signal != LIMIT and RULES.get(cast("RuleName", signal)) is not _BEYOND_LIMIT
            },
        )

    def unevaluated_intervals(
        self, definition: ControlChartDefinition, history: History, start: datetime, end: datetime
    ) -> tuple[Gap, ...]:
        """Return the intervals after a reading that no other followed in time, and those of
        readings without a value."""
        stale = usual_gap(definition, history)
        gaps = list[Gap]()
        known_until = start
        for sample in find_samples(definition, history):
            at = from_millis(sample.at)
            if at > end:
                break
            if at > known_until:
                gaps.append((known_until, at))
            known_until = at + stale if sample.value is not None else at
        return tuple(
            merge([*gaps, *([(known_until, end)] if known_until < end else [])], start, end)
        )


KIND: TrainedKind[ControlChartDefinition] = ControlChartKind()
