"""Kind `anomaly`: something is unlike normal operation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from statistics import median_low
from typing import cast

import numpy as np

from alerting.deferred import pd
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import UserError, format_duration
from alerting.definitions.fields.names_and_times import merge
from alerting.definitions.wording.language import in_english, translatable
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.anomaly.definition import AnomalyDefinition
from alerting.kinds.anomaly.model import AnomalyModel, FittedDetector, from_files
from alerting.kinds.anomaly.normal_rows import plan_lengths
from alerting.kinds.anomaly.scored_strides import (
    THRESHOLD,
    categories_at,
    contributions,
    evaluate_part,
    responsible,
)
from alerting.kinds.normal_definition import USUAL_PERIOD
from alerting.kinds.normal_operation import NormalKind
from alerting.kinds.protocol import (
    Charted,
    Gap,
    ScoreDetails,
    ScoredRows,
    Statistic,
    TrainedKind,
    Why,
    WhyQuestion,
)
from alerting.kinds.reading_spacing import (
    LEAST,
    Times,
    describe_seldom,
    seldom_variables,
    usual_distance,
)
from alerting.kinds.shared_inputs import SharedInputs
from alerting.learning.features.plan import Columns, FeaturePlan
from alerting.learning.models.trained import TrainedModel
from alerting.ports import Files
from alerting.readings.history import Floats, History, from_millis, has_data, millis
from alerting.readings.variable_series import Labels, label_of
from alerting.reporting.variable_charts import ChartLevel

_BEFORE = timedelta(hours=1)
_LONGEST = timedelta(days=28)


def explain_instant(definition: AnomalyDefinition, question: WhyQuestion) -> Why:
    """Explain the newest score at an instant: the score, its threshold, and the most responsible
    sensors."""
    begin = (
        question.at if question.covering is None else min(question.at, question.covering.raised_at)
    )
    wait = max(
        definition.hold, definition.clear_for or timedelta(0), definition.stride or timedelta(0)
    )
    start = max(begin - wait - _BEFORE, question.at - _LONGEST)
    evaluated = question.evaluate(ConditionState(watermark=start))
    scored = next((rows for rows in reversed(evaluated.scores) if len(rows.at)), None)
    blank = question.blank
    state = evaluated.state
    facts: list[str] = []
    if scored is not None and not np.isnan(scored.score[-1]):
        fitted = cast("AnomalyModel", scored.model).by_asset[question.asset.name]
        score = float(scored.score[-1])
        facts.append(
            in_english(
                "the score was {score} at {at}; 0 is usual, alarm at 1",
                score=f"{score:.3g}",
                at=from_millis(int(scored.at[-1])),
            )
        )
        facts += [*scored.facts, *fitted.account]
        blank = replace(blank, score=score, threshold=THRESHOLD, model_version=scored.model_version)
    why = replace(blank, unknown=evaluated.unknown, facts=tuple(facts))
    if evaluated.unknown:
        return why.answer_unknown(evaluated.unknown, state)
    if state.pending_since is not None:
        due = state.pending_since + definition.hold
        answer = in_english(
            "not raised yet: unlike normal since {since}", since=state.pending_since
        )
        return replace(
            why, verdict="pending", answer=answer, pending_since=state.pending_since, due_at=due
        )
    if state.raised_at is None:
        return replace(
            why,
            verdict="normal",
            answer="not raised: the readings together are like normal operation",
        )
    return why.answer_open(state.raised_at, state.clearing_since, "usual")


_ASSET = "asset"


def score_rows(model: AnomalyModel, rows: pd.DataFrame) -> Floats:
    """Return how unlike normal each row is: 0 is usual, 1 and more an anomaly, NaN if too little is
    known.

    The column `asset` names the asset of each row; it may be missing if the model has only one
    asset. A model by a category also needs the category's column: the value in force throughout the
    windows of a row; a row with no value, or a value that was never seen, is compared with all
    normal operation. Raises UserError if columns are missing, or the model has no such asset.
    """
    names = sorted(model.by_asset)
    if _ASSET not in rows and len(names) > 1:
        raise UserError(
            f"the rows have no column {_ASSET!r}, and the model has learned of several: "
            f"{', '.join(names)}"
        )
    assets = (
        rows[_ASSET].to_numpy(object)
        if _ASSET in rows
        else np.full(len(rows), names[0], dtype=object)
    )
    if unknown := sorted({str(asset) for asset in assets} - set(names)):
        raise UserError(
            f"the model has learned nothing of {', '.join(unknown)}, only of {', '.join(names)}"
        )
    scores = np.full(len(rows), np.nan)
    for name in dict.fromkeys(assets.tolist()):
        fitted = model.by_asset[name]
        of_asset = assets == name
        matrix = Columns.from_plan(fitted.plan).matrix(rows[of_asset])
        scores[of_asset] = fitted.score(matrix, _categories(fitted, rows[of_asset]))
    return scores


def _categories(fitted: FittedDetector, rows: pd.DataFrame) -> Labels | None:
    if fitted.by is None:
        return None
    name = fitted.by.name
    spaces = fitted.by.spaces
    if name not in rows:
        raise UserError(
            f"the rows have no column {name!r}, by which the model compares them: add it, empty "
            "where it is not known"
        )
    labels = [None if pd.isna(value) else label_of(value) for value in rows[name].astype(object)]
    return np.array([label if label in spaces else None for label in labels], object)


_GAP = 10  # usual intervals of readings
_DRAWN = 3
_MOST_NUMBERS = 60  # whose spacing is looked at


class AnomalyKind(NormalKind):
    """Readings are scored by how unlike normal operation they are together."""

    evaluate = staticmethod(evaluate_part)
    why = staticmethod(explain_instant)

    def load(self, files: Files) -> TrainedModel:
        return cast("TrainedModel", from_files(files))

    def spacing_variables(self, definition: AnomalyDefinition, asset: Asset) -> Sequence[str]:
        return sorted(definition.numbers_of(asset))[:_MOST_NUMBERS]

    def describe_spacing(self, definition: AnomalyDefinition, times: Times) -> Iterator[str]:
        spacings = {name: usual_distance(ts) for name, ts in times.items() if len(ts) >= LEAST}
        if not spacings:
            return
        usual = median_low(spacings.values())
        length = definition.normal if isinstance(definition.normal, timedelta) else USUAL_PERIOD
        rows = length // max(usual, timedelta(milliseconds=1))
        _, windows = plan_lengths(definition, spacings.values(), rows)
        longest = timedelta(milliseconds=windows[-1])
        if usual > longest:
            yield translatable(
                "most variables come every {usual} or more seldom, and windows of {duration} hold "
                "no value of them: nothing is ever evaluated; write windows: [{enough}]",
                usual=format_duration(usual),
                duration=format_duration(longest),
                enough=format_duration(_GAP * usual),
            )
            return
        window = timedelta(milliseconds=windows[0])
        yield from describe_seldom(seldom_variables(spacings, window), window, definition.include)

    def plan_of(self, model: TrainedModel, asset: str) -> FeaturePlan | None:
        fitted = cast("AnomalyModel", model).by_asset.get(asset)
        return fitted.plan if fitted else None

    def score_rows(self, model: TrainedModel, rows: pd.DataFrame) -> pd.DataFrame:
        """Return how unlike normal each row is; the column `asset` names the detector if the model
        has several."""
        return pd.DataFrame(
            {"score": score_rows(cast("AnomalyModel", model), rows)}, index=rows.index
        )

    def graph(self, model: TrainedModel, asset: str | None) -> bytes:
        """Return the ONNX file of the detector of an asset, as `detector_graph`."""
        from alerting.kinds.anomaly.detector_graph import detector_graph  # noqa: PLC0415 - an optional library

        return detector_graph(cast("AnomalyModel", model), asset)

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

    def chart(self, definition: AnomalyDefinition, asset: Asset, episode: Episode) -> Charted:
        """Return the score with its threshold, and the most responsible variables, each with its
        expected value."""
        statistic = Statistic(
            translatable("Unlike normal"),
            None,
            (
                ChartLevel(THRESHOLD, translatable("alarm at")),
                ChartLevel(0.0, translatable("usual")),
            ),
        )
        drawn = [
            Charted(
                contribution.variable,
                (
                    (
                        ChartLevel(
                            contribution.usual, translatable("to be expected"), is_limit=False
                        ),
                    )
                    if isinstance(contribution.usual, float)
                    else ()
                ),
            )
            for contribution in episode.contributions[:_DRAWN]
        ]
        if not drawn:
            return Charted(None, statistic=statistic)
        return drawn[0]._replace(statistic=statistic, others=tuple(drawn[1:]))

    def has_score_each_stride(self, definition: AnomalyDefinition) -> bool:
        """Return True: the model gives a score each stride."""
        return True

    def unevaluated_intervals(
        self, definition: AnomalyDefinition, history: History, start: datetime, end: datetime
    ) -> tuple[Gap, ...]:
        """Return the intervals without a reading for longer than ten usual distances between
        readings."""
        names = [str(name) for name in history.readings if definition.may_see(str(name))]
        present = np.zeros(len(history.readings), np.bool_)
        for name in names:
            if np.issubdtype(np.asarray(history.readings[name]).dtype, np.number):
                present |= has_data(history, name)
        at = millis(pd.DatetimeIndex(history.readings.index))[present]
        if not len(at):
            return ((start, end),)
        holds = _GAP * float(np.median(np.diff(at))) if len(at) > 1 else 0.0
        gaps = [
            (from_millis(int(a + holds)), from_millis(int(b)))
            for a, b in zip(at, np.append(at[1:], int(end.timestamp() * 1000)), strict=True)
            if b - a > holds
        ]
        if from_millis(int(at[0])) > start:
            gaps.insert(0, (start, from_millis(int(at[0]))))
        return tuple(merge(gaps, start, end))


KIND: TrainedKind[AnomalyDefinition] = AnomalyKind()
