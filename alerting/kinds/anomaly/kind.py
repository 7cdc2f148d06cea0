"""Kind `anomaly`: something is unlike normal operation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import cast

import numpy as np

from alerting.alarm_kpis.intervals import merge
from alerting.deferred import pd
from alerting.definitions.assets import Asset
from alerting.definitions.durations import format_duration
from alerting.definitions.wording.language import translatable
from alerting.detection.evaluation import Evaluation
from alerting.detection.problems import predicts
from alerting.episodes.episode import Contribution, Episode
from alerting.episodes.lifecycle import Step
from alerting.kinds.anomaly.contributions import contributions, responsible
from alerting.kinds.anomaly.definition import AnomalyDefinition
from alerting.kinds.anomaly.evaluate import THRESHOLD, categories_at, evaluate_part
from alerting.kinds.anomaly.model import AnomalyModel, from_files
from alerting.kinds.anomaly.score_rows import score_rows
from alerting.kinds.anomaly.why import explain_instant
from alerting.kinds.protocol.evaluation import Raise, RaiseEvidence, ScoredRows
from alerting.kinds.protocol.kind import Charted, Gap, Inputs, Statistic, TrainedKind
from alerting.kinds.protocol.scoring import ScoreDetails
from alerting.kinds.protocol.shared_inputs import SharedInputs
from alerting.kinds.protocol.spacing import LEAST, Times, usual_distance
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.models.trained import TrainedModel
from alerting.ports import Files
from alerting.readings.cleaning import has_data
from alerting.readings.history import History, from_millis, millis
from alerting.reporting.figures.episode_chart import ChartLevel

_GAP = 10  # usual intervals of readings
_DRAWN = 3
_MOST_NUMBERS = 20  # whose spacing is looked at


class AnomalyKind:
    """Readings are scored by how unlike normal operation they are together."""

    evaluate = staticmethod(evaluate_part)
    why = staticmethod(explain_instant)
    outcome = staticmethod(predicts)

    def load(self, files: Files) -> TrainedModel:
        return cast("TrainedModel", from_files(files))

    def spacing_variables(self, definition: AnomalyDefinition, asset: Asset) -> Sequence[str]:
        return sorted(definition.numbers_of(asset))[:_MOST_NUMBERS] if definition.windows else []

    def describe_spacing(self, definition: AnomalyDefinition, times: Times) -> Iterator[str]:
        longest = max(definition.windows or (), default=timedelta(0))
        distances = sorted(usual_distance(ts) for ts in times.values() if len(ts) >= LEAST)
        usual = distances[(len(distances) - 1) // 2] if distances else timedelta(0)
        if usual > longest:
            yield translatable(
                "most variables come every {usual} or more seldom, and windows of {duration} hold "
                "no value of them: nothing is ever evaluated; write windows: [{enough}]",
                usual=format_duration(usual),
                duration=format_duration(longest),
                enough=format_duration(_GAP * usual),
            )

    def plan_of(self, model: TrainedModel, asset: str) -> FeaturePlan | None:
        fitted = cast("AnomalyModel", model).by_asset.get(asset)
        return fitted.plan if fitted else None

    def score_rows(self, model: TrainedModel, rows: pd.DataFrame) -> pd.DataFrame:
        """Return how unlike normal each row is; its column `asset` names the detector, where the
        model has several."""
        return pd.DataFrame(
            {"score": score_rows(cast("AnomalyModel", model), rows)}, index=rows.index
        )

    def details(
        self, asset: Asset, history: History, scored: ScoredRows, shared: SharedInputs
    ) -> ScoreDetails:
        fitted = cast("AnomalyModel", scored.model).by_asset[asset.name]
        last = scored.at[-1:]
        matrix = shared.features(fitted.plan, history, last).matrix
        category = fitted.windows(categories_at(shared, fitted, asset, history, last), last).values[
            0
        ]
        return ScoreDetails(
            contributions(asset, responsible(fitted.for_category(category), matrix[0]))
        )

    def inputs(self, definition: AnomalyDefinition, asset: Asset) -> Inputs:
        return Inputs()

    def explain(
        self,
        definition: AnomalyDefinition,
        asset: Asset,
        step: Step,
        at_raise: Raise,
        history: History | None,
    ) -> RaiseEvidence:
        return at_raise.content or RaiseEvidence(Evaluation(step.at, "triggered", step.reason))

    def chart(self, definition: AnomalyDefinition, asset: Asset, episode: Episode) -> Charted:
        """Draw the score with its threshold, and the variables most responsible, each with the
        value that was to be expected."""
        statistic = Statistic(
            translatable("Unlike normal"),
            None,
            (
                ChartLevel(THRESHOLD, translatable("alarm at")),
                ChartLevel(0.0, translatable("usual")),
            ),
        )
        drawn = [Charted(one.variable, _expected(one)) for one in episode.contributions[:_DRAWN]]
        if not drawn:
            return Charted(None, statistic=statistic)
        return drawn[0]._replace(statistic=statistic, others=tuple(drawn[1:]))

    def has_score_each_stride(self, definition: AnomalyDefinition) -> bool:
        """Return that it has strides."""
        return True

    def data_gaps(
        self, definition: AnomalyDefinition, history: History, start: datetime, end: datetime
    ) -> tuple[Gap, ...]:
        """Return the times without any reading for ten usual intervals."""
        names = [str(name) for name in history.readings if definition.may_see(str(name))]
        there = np.zeros(len(history.readings), np.bool_)
        for name in names:
            if np.issubdtype(np.asarray(history.readings[name]).dtype, np.number):
                there |= has_data(history, name)
        at = millis(pd.DatetimeIndex(history.readings.index))[there]
        if not len(at):
            return ((start, end),)
        holds = _GAP * float(np.median(np.diff(at))) if len(at) > 1 else 0.0
        ends = np.append(at[1:], int(end.timestamp() * 1000))
        gaps = [
            (from_millis(int(a + holds)), from_millis(int(b)))
            for a, b in zip(at, ends, strict=True)
            if b - a > holds
        ]
        if from_millis(int(at[0])) > start:
            gaps.insert(0, (start, from_millis(int(at[0]))))
        return tuple(merge(gaps, start, end))


def _expected(one: Contribution) -> tuple[ChartLevel, ...]:
    return (
        (ChartLevel(one.usual, translatable("to be expected"), is_limit=False),)
        if isinstance(one.usual, float)
        else ()
    )


KIND: TrainedKind[AnomalyDefinition] = AnomalyKind()
