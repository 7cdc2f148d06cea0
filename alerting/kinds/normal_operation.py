"""What kinds share whose model learns normal operation: a model with one fitted part for each
asset, its evaluation over one interval, the times that a training reads, and the test for too many
false alarms."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar, cast

from alerting.deferred import np
from alerting.definitions.alert_definition import Definition, ModelDefinition, Severity
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import TrainingRefused
from alerting.definitions.fields.learning import Dates
from alerting.definitions.wording.language import Interval, in_english, translatable
from alerting.detection.evaluation_results_and_texts import (
    UNKNOWN,
    Evaluation,
    StatusInterval,
)
from alerting.detection.problem_occurrences import (
    first_lookback,
    predicts,
    problem_intervals,
    problem_lookback,
)
from alerting.episodes.lifecycle import Step, advance
from alerting.kinds.normal_definition import LONGEST_MEASURED, NormalDefinition
from alerting.kinds.protocol import (
    EvaluationSources,
    Inputs,
    Raise,
    RaiseEvidence,
    TargetEvaluation,
    VersionInterval,
    state_for,
)
from alerting.kinds.training_protocol import LearningData, NormalTime, TrainingSource
from alerting.ports import ModelUnavailable, WantedHistory
from alerting.readings.history import (
    History,
    Millis,
    duration_millis,
    from_millis,
    millis,
    to_millis,
)
from alerting.readings.variable_series import UsualDistance, declared_ms

FittedT = TypeVar("FittedT")
ModelT = TypeVar("ModelT", bound="NormalModel[Any]")
NormalT = TypeVar("NormalT", bound=NormalDefinition)


@dataclass(frozen=True)
class NormalModel(Generic[FittedT]):
    """A model: the fitted parts by asset. `training_cutoff`: last instant that it learned from; no
    instant up to it is evaluated. `spacing_ms`: by asset, the usual time between values of the
    problem's variables."""

    family: str
    revision: int
    training_cutoff: datetime
    by_asset: Mapping[str, FittedT]
    spacing_ms: Mapping[str, int] = field(default_factory=dict)

    refit: ClassVar[None] = None

    def select_assets(self, names: Collection[str]) -> Self:
        """Return the model of these assets alone."""
        return replace(
            self, by_asset={name: fitted for name, fitted in self.by_asset.items() if name in names}
        )

    @property
    def header(self) -> dict[str, Any]:
        """Return all fields but the fitted parts as plain values."""
        return {
            "family": self.family,
            "revision": self.revision,
            "training_cutoff": self.training_cutoff.isoformat(),
            **({"spacing_ms": dict(self.spacing_ms)} if self.spacing_ms else {}),
        }

    def with_measured_horizon(self, definition: NormalT, assets: Sequence[Asset]) -> NormalT:
        """Return the definition with the horizon by which alarms on these assets are right: as
        written; left out, at least the spacing that the training measured."""
        longest = max((self.spacing_ms.get(asset.name, 0) for asset in assets), default=0)
        return definition.for_assets(assets).with_spacing(timedelta(milliseconds=longest))

    @property
    def spacing_text(self) -> str:
        """Return the spacing for a hash of the model; empty without any."""
        return " ".join(f"{name}:{ms}" for name, ms in sorted(self.spacing_ms.items()))


def measure_spacing(definition: NormalDefinition, data: LearningData) -> dict[str, int]:
    """Return, by asset, the longest usual time (ms) between values of the problem's variables up to
    the cutoff: declared, or measured where they come regularly, at most `LONGEST_MEASURED`; of a
    problem by events, between any readings."""
    if definition.problem is None:
        return {}
    cutoff = to_millis(data.period.cutoff)
    named = definition.problem.variables
    spacing = {}
    for history in data.histories:
        names = [name for name in named if name in history.variables]
        groups = [[name] for name in names] if named else [[*history.variables]]
        distances = [UsualDistance() for _ in groups]
        for piece in history.pieces(names if named else None):
            ts = millis(piece.readings.index)
            for group, distance in zip(groups, distances, strict=True):
                present = piece.readings[group].notna().any(axis=1).to_numpy()
                distance.add(ts[present & (ts <= cutoff)])
        most = duration_millis(LONGEST_MEASURED)
        usual = [
            (declared_ms(group[0], history.asset) if named else None)
            or min(distance.regular() or 0, most)
            for group, distance in zip(groups, distances, strict=True)
        ]
        spacing[history.asset.name] = max(usual, default=0)
    return {name: usual for name, usual in spacing.items() if usual}


def read_header(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a model that a header states. Raises KeyError or ValueError for any
    other document."""
    return {
        "family": document["family"],
        "revision": document["revision"],
        "training_cutoff": datetime.fromisoformat(document["training_cutoff"]),
        "spacing_ms": document.get("spacing_ms", {}),
    }


class EpisodeRule(NamedTuple):
    """Time that a state must last before an episode opens and closes, and the severities of the
    definition."""

    hold: timedelta
    clear_for: timedelta
    severities: Sequence[Severity]


def evaluate_fitted(
    definition: Definition,
    sources: EvaluationSources,
    part: VersionInterval,
    before: TargetEvaluation,
    evaluate: Callable[[Any, Any, int], TargetEvaluation],
    no_model: str,
    too_little: str,
) -> TargetEvaluation:
    """Evaluate a part by the model in force there. `evaluate` takes the model, its fitted part for
    the asset, and its version.

    Without a model the state is unknown for the reason `no_model`; for an asset without a fitted
    part, for the reason `too_little`. An open episode stays open. A model that cannot be read, or
    fails (`confine_fault`), stops only the evaluation of its target.
    """
    version = part.model_version
    try:
        model = (
            None
            if version is None
            else cast("NormalModel[Any]", sources.models.get(definition, version))
        )
    except ModelUnavailable as unavailable:
        return before.stop(f"the model cannot be read: {unavailable}")
    if to_millis(part.start) >= to_millis(part.end):
        return replace(before, state=replace(before.state, watermark=part.end))
    fitted = None if model is None else model.by_asset.get(sources.asset.name)
    if version is None or fitted is None:
        unknown = StatusInterval(part.start + _MOMENT, part.end + _MOMENT, "unknown")
        rule = EpisodeRule(timedelta(0), timedelta(0), definition.severities())
        nothing = advance_part(before, part, [unknown], rule, None)
        why = no_model if model is None else f"{too_little}; train again"
        return replace(nothing, unknown=why, has_model=False)
    try:
        after = evaluate(model, fitted, version)
    except ModelUnavailable as unavailable:
        return before.stop(str(unavailable))
    if model is None or not isinstance(definition, NormalDefinition) or definition.problem is None:
        return after
    window = model.with_measured_horizon(definition, [sources.asset]).window
    announces = {at: at + window.until for at in after.raises}
    return replace(after, valid_until=announces | dict(after.valid_until))


class NormalKind:
    """Methods of a kind whose model learns normal operation."""

    outcome = staticmethod(predicts)

    def inputs(self, definition: NormalDefinition, asset: Asset) -> Inputs:
        return Inputs()

    def explain(
        self,
        definition: NormalDefinition,
        asset: Asset,
        step: Step,
        at_raise: Raise,
        history: History | None,
    ) -> RaiseEvidence:
        return at_raise.content or RaiseEvidence(Evaluation(step.at, "triggered", step.reason))


def advance_part(
    before: TargetEvaluation,
    part: VersionInterval,
    intervals: Sequence[StatusInterval],
    rule: EpisodeRule,
    evidence_at: Callable[[datetime], RaiseEvidence] | None,
) -> TargetEvaluation:
    """Return the state after the intervals of a part, the steps in them, and the evidence of each
    raise and change, None if all is unknown; nothing else is carried."""
    state = state_for(before, part)
    state, steps = advance(state, intervals, rule.hold, rule.clear_for, rule.severities)
    after = replace(before, steps=[*before.steps], raises=dict(before.raises))
    for step in steps:
        if evidence_at is None or step.kind == "closed" or step.cause == UNKNOWN:
            after.add_step(step, part, _NO_VALUE)
            continue
        evidence = evidence_at(step.at)
        made = evidence.evaluation
        after.add_step(step, part, made.reason, made.value, made.threshold)
        if step.kind == "raised":
            after.raises[step.at] = Raise(
                made.value, model_version=part.model_version, content=evidence
            )
    return replace(after, state=replace(state, watermark=part.end, carried=None))


# false alarms: with fewer allowed in the unseen time, even a useless model mostly raises none
LEAST_ALLOWED = 0.5
_SEEN = 0.8  # of a normal period without dates; the rest counts false alarms
_ENOUGH = 1.1  # of the least unseen time, because some of it is not normal
_LIKELY_ENOUGH = 1.05  # the same after fixed dates: a proposed end must reach it
_NO_VALUE = translatable("the model gives no value")
_UNSEEN = timedelta(days=28)  # after a period with dates: the longest unseen time
_AT_ONCE = timedelta(days=1)
_GAP = 10  # times the distance that nearly all values of a variable do not exceed
_NEARLY_ALL = 0.9
_MOMENT = timedelta(milliseconds=1)
_EVER = datetime.min.replace(tzinfo=UTC)


AllowedIn = Callable[[timedelta, timedelta], float]
"""The number of false alarms that one asset may raise in a time, by the usual time between its
readings."""


def normal_time(
    definition: NormalDefinition,
    source: TrainingSource,
    first: datetime,
    last: datetime,
    allowed: AllowedIn,
) -> NormalTime:
    """Return the times to read if readings go from `first` to `last`: the period as written, and
    unseen time.

    Of a moving period the newest fifth is unseen. After fixed dates the time up to the first gap or
    problem is; where that is too short to count false alarms, the newest fifth of the dates.
    """
    if not isinstance(definition.normal, Dates):
        start = max(first - _MOMENT, last - definition.normal)
        return NormalTime(start, _learned_until(start, last), last)
    start = definition.normal.start.astimezone(UTC)
    cutoff = min(definition.normal.end or last, last).astimezone(UTC)
    end = min(last, cutoff + _UNSEEN)
    quiet = [_quiet_after(definition, source, asset, cutoff, end) for asset in source.assets]
    until = min((time.until for time in quiet), default=cutoff)
    count = sum(allowed(until - cutoff, time.distance) for time in quiet)
    if count >= _LIKELY_ENOUGH * LEAST_ALLOWED:
        return NormalTime(start, cutoff, end, normal_end=until)
    return NormalTime(start, _learned_until(start, cutoff), end, normal_end=cutoff)


def _learned_until(start: datetime, end: datetime) -> datetime:
    return from_millis(round(to_millis(start) + _SEEN * duration_millis(end - start)))


class ReadingTimes:
    """The instants of all readings of an asset, from `start` (ms) on, and the times between those
    of each variable, from which a gap in all of its readings is known, though its variables come at
    different instants."""

    def __init__(self, *start: int) -> None:
        self._pieces = [np.array(start, np.int64)]
        self._by_variable = defaultdict[str, UsualDistance](UsualDistance)

    def add(self, piece: History) -> None:
        """Add the next readings, which are later than those before."""
        ts = millis(piece.readings.index)
        self._pieces.append(ts)
        for name in piece.readings:
            self._by_variable[str(name)].add(ts[piece.readings[name].notna().to_numpy()])

    @property
    def at(self) -> Millis:
        """Return the instants (ms)."""
        return np.concatenate(self._pieces)

    @property
    def distances(self) -> UsualDistance:
        """Return the times between neighbouring values of one variable, of all variables."""
        return UsualDistance.merge(self._by_variable.values())

    @property
    def least_gap(self) -> int:
        """Return the time (ms) above which there is a gap without any reading."""
        return _GAP * self.distances.longest(_NEARLY_ALL)


class _QuietTime(NamedTuple):
    """Up to when an asset has neither a gap nor a problem, and the usual time between its
    readings."""

    until: datetime
    distance: timedelta


def _quiet_after(
    definition: NormalDefinition,
    source: TrainingSource,
    asset: Asset,
    start: datetime,
    end: datetime,
) -> _QuietTime:
    names = sorted(definition.variables_evaluated(asset) & asset.variables.keys())
    times = ReadingTimes(to_millis(start))
    since = start
    while since < end:
        until = min(since + _AT_ONCE, end)
        times.add(
            source.readings.load(WantedHistory(asset, since, until, names, with_events=False))
        )
        since = until
    at = times.at
    gaps = np.flatnonzero(np.diff(at) > times.least_gap)
    ends = [int(at[gaps[0]] if len(gaps) else at[-1])]
    if definition.problem is not None:
        problem = definition.problem
        before = problem_lookback(problem) + first_lookback(problem) + problem.hold
        history = source.readings.load(WantedHistory(asset, start - before, end, problem.variables))
        ends += [max(a, int(at[0])) for a, b in problem_intervals(problem, history) if b >= at[0]]
    return _QuietTime(from_millis(min(ends)), timedelta(milliseconds=times.distances.median() or 0))


def describe_unseen(definition: NormalDefinition, period: NormalTime) -> list[str]:
    """Return a sentence on the time after fixed dates that counts false alarms; empty for a moving
    period."""
    if not isinstance(definition.normal, Dates) or period.normal_end is None:
        return []
    times = Interval(period.cutoff, period.normal_end)
    if definition.normal.end is not None and period.cutoff < min(definition.normal.end, period.end):
        return [
            in_english(
                "after `normal` there is too little time up to the first gap or problem: its "
                "newest fifth, {times}, was not learned from and counts false alarms",
                times=times,
            )
        ]
    return [
        in_english(
            "false alarms are counted after `normal`, up to the first gap or problem: {times}",
            times=times,
        )
    ]


def times_of_readings(
    definition: ModelDefinition, source: TrainingSource, *variables: str
) -> tuple[datetime, datetime]:
    """Return the instants of the first reading and of the newest known reading of these variables.

    Raises UserError if these variables have no readings.
    """
    newest = [
        at.to_pydatetime()
        for name in variables
        for asset in source.assets
        if name in asset.variables
        for at in source.readings.newest_values(
            asset, {name: _EVER}, source.as_of - definition.delay(asset)
        ).index
    ]
    if not newest:
        raise no_readings(definition, source, ", ".join(variables))
    spans = (source.readings.span(asset.name, source.as_of) for asset in source.assets)
    return min(span[0] for span in spans if span is not None), max(newest)


def no_readings(
    definition: ModelDefinition, source: TrainingSource, variable: str = "", fields: str = "assets"
) -> TrainingRefused:
    """Return the refusal of a training because these variables have no readings."""
    names = ", ".join(asset.name for asset in source.assets) or translatable(
        "assets that match {patterns}", patterns=", ".join(definition.assets)
    )
    text = (
        translatable("{variable} on {names}", variable=variable, names=names) if variable else names
    )
    return TrainingRefused(
        definition.name,
        translatable(
            "no readings of {names}; import readings, or check {fields}", names=text, fields=fields
        ),
    )


def last_break(definition: NormalDefinition, data: LearningData) -> datetime:
    """Return the end of the last gap or problem in the readings of a training up to the end of
    normal operation; without any, their beginning."""
    ends = [to_millis(data.period.start)]
    normal_end = to_millis(data.period.normal_end or data.period.end)
    for history in data.histories:
        times = ReadingTimes()
        for piece in history.pieces():
            times.add(piece)
        at = times.at[times.at <= normal_end]
        ends += at[1:][np.diff(at) > times.least_gap].tolist()[-1:]
        if definition.problem is not None:
            of_problem = history.load_all(definition.problem.variables)
            problems = problem_intervals(definition.problem, of_problem)
            ends += [end for begin, end in problems if begin < normal_end]
    return from_millis(max(ends))


def propose_end(
    period: NormalTime,
    allowed: float,
    champion_cutoff: datetime | None = None,
    quiet_from: datetime | None = None,
) -> str:
    """Return a sentence on what would let the platform decide by itself if the unseen time is too
    short: an earlier end of the normal period, otherwise more readings.

    `allowed`: number of allowed false alarms in the unseen time. `champion_cutoff`: the model in
    service has learned from readings up to here. `quiet_from`: end of the last gap or problem,
    after which the time behind the normal period counts. Empty if the allowed rate of false alarms
    is not known.
    """
    begin = max(period.cutoff, champion_cutoff or period.cutoff)
    last = period.normal_end or period.end
    unseen = last - begin
    if allowed <= 0 or unseen <= timedelta(0):
        return ""
    needed = unseen * (_ENOUGH * LEAST_ALLOWED / allowed)
    end = last - needed
    learned = end - period.start
    seen_before = champion_cutoff is None or champion_cutoff <= end
    is_quiet = quiet_from is None or quiet_from <= end
    if (
        needed <= _UNSEEN
        and seen_before
        and is_quiet
        and 2 * learned >= period.cutoff - period.start
    ):
        written = f"{{from: {_written(period.start)}, to: {_written(end)}}}"
        return f"With `normal: {written}` there is enough of it, and the platform decides."
    days = ceil((needed - unseen) / timedelta(days=1))
    more = f"About {days} more {'day' if days == 1 else 'days'}"
    if last < period.end:
        return f"{more} of normal operation are needed: write a longer or another `normal`."
    return f"{more} of readings {'is' if days == 1 else 'are'} needed."


def _written(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def compared_rows(
    titles: Sequence[str], challenger: Sequence[str], champion: Sequence[str] | None = None
) -> Iterator[dict[str, str]]:
    """Yield the rows of the comparison table for people; a dash if there is no champion."""
    for title, old, new in zip(titles, champion or ("-",) * len(titles), challenger, strict=True):
        yield {"title": title, "champion": old, "challenger": new}
