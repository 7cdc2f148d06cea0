"""Kind `control_chart`: the process has shifted."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import cast

from alerting.alarm_kpis.intervals import merge
from alerting.definitions.assets import Asset
from alerting.definitions.model import Condition
from alerting.definitions.wording.language import joined
from alerting.detection.evaluation import Evaluation
from alerting.detection.problems import predicts
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import Step
from alerting.kinds.control_chart.definition import ControlChartDefinition
from alerting.kinds.control_chart.evaluate import evaluate_part, find_samples, usual_gap
from alerting.kinds.control_chart.messages import statistic_text
from alerting.kinds.control_chart.model import from_files
from alerting.kinds.control_chart.why import explain_instant
from alerting.kinds.protocol.evaluation import Raise, RaiseEvidence
from alerting.kinds.protocol.kind import Charted, Gap, Inputs, Statistic, TrainedKind
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

_POINTS = 10  # usual distances of the usual off-delay


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
