"""Kind `control_chart`: the process has shifted."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

from alerting.alarm_kpis.intervals import merge
from alerting.definitions.assets import Asset
from alerting.definitions.model import Condition
from alerting.definitions.wording.language import joined
from alerting.detection.evaluation import Evaluation
from alerting.detection.problems import predicts
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import ConditionState, Step
from alerting.kinds.control_chart.definition import ControlChartDefinition
from alerting.kinds.control_chart.evaluate import evaluate_part, find_samples, usual_gap
from alerting.kinds.control_chart.messages import statistic_text
from alerting.kinds.control_chart.model import ControlChartModel, from_files
from alerting.kinds.protocol.evaluation import Raise, RaiseEvidence
from alerting.kinds.protocol.kind import (
    Charted,
    Gap,
    Inputs,
    Statistic,
    TrainedKind,
    Why,
    WhyQuestion,
)
from alerting.kinds.protocol.spacing import (
    Lasting,
    Times,
    describe_unfulfillable,
    usual_distance,
)
from alerting.learning.models.trained import TrainedModel
from alerting.ports import Files
from alerting.readings.history import History, from_millis
from alerting.reporting.figures.episode_chart import ChartLevel

_LOOK_BACK = timedelta(days=1)
_LONGEST = timedelta(days=28)
_GAPS = 100  # of ten readings each
_POINTS = 10  # usual distances of the usual off-delay


def explain_instant(definition: ControlChartDefinition, question: WhyQuestion) -> Why:
    """Explain the newest point of the chart at an instant: its statistic, limits, and the rules
    with their points."""
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
            f"{fitted.chart.statistic} was {value:.6g} at "
            f"{from_millis(int(scored.at[-1])).isoformat()}; centre line "
            f"{limits.centre:.6g}, limits {limits.lower:.6g} and {limits.upper:.6g}"
        )
        facts += scored.facts
        facts += fitted.describe(question.asset.name)
        limit = limits.upper if value >= limits.centre else limits.lower
        blank = replace(blank, value=value, limit=limit, model_version=scored.model_version)
    found = replace(blank, unknown=evaluated.unknown, facts=tuple(facts))
    if evaluated.unknown:
        open_text = "; the open episode stays open" if state.raised_at else ""
        return replace(
            found, verdict="unknown", answer=f"cannot tell: {evaluated.unknown}{open_text}"
        )
    if state.raised_at is None:
        return replace(found, verdict="normal", answer="not raised: no rule signals")
    clearing = (
        ""
        if state.clearing_since is None
        else f"; no rule signals since {state.clearing_since.isoformat()}"
    )
    return replace(
        found, verdict="open", answer=f"open since {state.raised_at.isoformat()}{clearing}"
    )


def _start(definition: ControlChartDefinition, question: WhyQuestion) -> ConditionState:
    """Return the stored state if it lies before the instant, else a new one from long enough
    before."""
    at = question.at
    covering = question.covering
    stored = question.platform.states.load_many([(definition.name, question.asset.name)]).state(0)
    if stored is not None and stored.watermark <= at:
        return stored
    history = question.platform.readings.load(
        question.asset, at - _LOOK_BACK, at, [definition.variable]
    )
    before = max(_LOOK_BACK, _GAPS * usual_gap(definition, history))
    begin = at - before if covering is None else min(at, covering.raised_at) - before
    return ConditionState(watermark=max(begin, at - _LONGEST))


class ControlChartKind:
    """Readings are charted against limits that were estimated from a normal period."""

    evaluate = staticmethod(evaluate_part)
    why = staticmethod(explain_instant)
    outcome = staticmethod(predicts)

    def load(self, files: Files) -> TrainedModel:
        return cast("TrainedModel", from_files(files))

    def inputs(self, definition: ControlChartDefinition, asset: Asset) -> Inputs:
        return Inputs()

    def spacing_variables(self, definition: ControlChartDefinition, asset: Asset) -> Sequence[str]:
        return [] if definition.stale_after is None else [definition.variable]

    def describe_spacing(self, definition: ControlChartDefinition, times: Times) -> Iterator[str]:
        if definition.stale_after is None:
            return
        usual = usual_distance(times.get(definition.variable, ()))
        of = Condition.model_construct(
            variable=definition.variable, stale_after=definition.stale_after
        )
        delay = definition.off_delay(_POINTS * usual)
        yield from describe_unfulfillable(Lasting(of, timedelta(0), delay), times)

    def explain(
        self,
        definition: ControlChartDefinition,
        asset: Asset,
        step: Step,
        at_raise: Raise,
        history: History | None,
    ) -> RaiseEvidence:
        return at_raise.content or RaiseEvidence(Evaluation(step.at, "triggered", step.reason))

    def chart(self, definition: ControlChartDefinition, asset: Asset, episode: Episode) -> Charted:
        """Draw the charted statistic with its limits, as they were at the raise, and the
        readings."""
        numbers = {
            name: value for name, value in episode.inputs.items() if isinstance(value, int | float)
        }
        name = next(iter(numbers), "")
        if not {"LCL", "CL", "UCL"} <= numbers.keys():
            return Charted(definition.variable)
        lower, centre, upper = (float(numbers[limit]) for limit in ("LCL", "CL", "UCL"))
        levels = [ChartLevel(lower, "LCL"), ChartLevel(centre, "CL"), ChartLevel(upper, "UCL")]
        if definition.chart == "shewhart":
            third = (upper - centre) / 3
            levels += [
                ChartLevel(centre + side * n * third, zone)
                for side in (-1, 1)
                for n, zone in ((2, "A"), (1, "B"))
            ]
        variable = asset.variables.get(definition.variable)
        unit = variable.unit if variable and definition.chart != "cusum" else None
        title = (variable and variable.title) or definition.variable.replace("_", " ")
        return Charted(
            definition.variable,
            statistic=Statistic(joined(": ", statistic_text(name), title), unit, tuple(levels)),
        )

    def data_gaps(
        self, definition: ControlChartDefinition, history: History, start: datetime, end: datetime
    ) -> tuple[Gap, ...]:
        """Return the times after a reading that was followed by none in time, and those of readings
        without a value."""
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
