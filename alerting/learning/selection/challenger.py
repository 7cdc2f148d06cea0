"""The challenger: fit the chosen candidate once, set calibration and threshold, score the test
period once; and its refit: the same parameters fitted on all mature rows, and whether that is worse
than its twin."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.faults import TrainingRefused
from alerting.definitions.wording.language import (
    count_in_english,
    in_english,
    joined,
    spoken_share,
    translatable,
)
from alerting.detection.suppressed_intervals import IntervalsByAsset
from alerting.episodes.prediction_rule import alarm_end_of
from alerting.learning.data.dataset import Dataset
from alerting.learning.data.dataset_rows import THINNED
from alerting.learning.experiment.chance import placed_share
from alerting.learning.features.plan import Columns, FeaturePlan
from alerting.learning.models.families.contract import LabelledRows, get_family
from alerting.learning.models.trained import (
    AT_ONCE,
    Estimator,
    TrainedModel,
    fit_platt,
    model_hash,
    sample_normal,
)
from alerting.learning.score_metrics import (
    EventMetrics,
    evaluate_rows,
    flatten_metrics,
    merge_metrics,
    reliability_with_intervals,
)
from alerting.learning.selection.candidates import (
    Candidate,
    ColumnLimit,
    margin_out_of_fold,
    rows_out_of_fold,
    take_part,
)
from alerting.learning.selection.choice import ValidationChance
from alerting.learning.selection.decision import PromotionDecision, decide
from alerting.learning.selection.operating_point import (
    OUT_OF_FOLD,
    VALIDATION,
    ObservedRows,
    ThresholdChoice,
    choose_threshold,
    count_at_each,
    evaluate_threshold,
    lower_to_reach,
    observe_rows,
)
from alerting.learning.selection.promotion import ActedWindow, compare
from alerting.readings.history import (
    DAY_MS,
    BoolArray,
    Floats,
    History,
    Positions,
    from_millis,
    millis,
)

ORDINARY = (0.001, 0.999)  # quantiles of the training rows between which a value counts as seen
USUAL = (0.1, 0.9)  # quantiles between which a value counts as usual
_EVERY = slice(None)  # row
MOST_ROWS = 200
_LEVELS = ("last", "mean", "value")
_NO_VALIDATION = translatable(
    "the validation period has no rows; use a longer history or a larger periods.validation"
)


def usual_values(
    plan: FeaturePlan, rows: pd.DataFrame, used: BoolArray | slice = _EVERY
) -> dict[str, float | str | None]:
    """Return, by column, the median of the used rows, or the most frequent level; None if all
    values are missing."""
    return {name: _usual(rows[name], used) for name in plan.columns}


def _usual(values: pd.Series, used: BoolArray | slice) -> float | str | None:
    if isinstance(values.dtype, pd.CategoricalDtype):
        present = values[used].dropna()
        return str(present.value_counts().index[0]) if len(present) else None
    numbers = values.to_numpy(np.float64)[used]  # thousands of columns: no Series of each part
    numbers = numbers[~np.isnan(numbers)]
    return float(np.median(numbers)) if len(numbers) else None


def ordinary_ranges(
    plan: FeaturePlan, rows: pd.DataFrame, used: BoolArray | slice = _EVERY
) -> tuple[dict[str, tuple[float, float]], dict[str, tuple[float, float]]]:
    """Return, by number column, the quantiles ORDINARY, and the quantiles USUAL, of the used rows;
    columns that are always missing are absent."""
    ranges = {}
    usual = {}
    for name in plan.columns:
        if name in plan.levels:
            continue
        values = rows[name].to_numpy(np.float64)[used]
        values = values[np.isfinite(values)]
        if len(values):
            lowest, highest, low, high = np.quantile(values, (*ORDINARY, *USUAL)).tolist()
            ranges[name] = (lowest, highest)
            usual[name] = (low, high)
    return ranges, usual


@dataclass(frozen=True)
class SampledShares:
    """Contributions of a model to the scores of some rows. `shares`, `values`: one row per sampled
    row, one column per variable.

    `shares` are in probability; those of a row add up to its score less the usual score. `values`:
    the variable's level, NaN where it is missing or text.
    """

    variables: tuple[str, ...]
    shares: Floats
    values: Floats

    @property
    def importance(self) -> dict[str, float]:
        """Return the mean size of the share of each variable, the largest first."""
        mean = np.abs(self.shares).mean(axis=0)
        return {
            self.variables[i]: float(mean[i]) for i in np.argsort(-mean, kind="stable").tolist()
        }


def sample_shares(
    model: TrainedModel, dataset: Dataset, most: int = MOST_ROWS
) -> SampledShares | None:
    """Return the contributions of evenly spaced measured rows of the validation part, at most
    `most`; None without such rows.

    They are exact for every family: contributions in `TrainedModel.estimator`, scaled to
    probability like those of a raise.
    """
    rows = np.flatnonzero(dataset.measured_in("validation"))
    if not len(rows):
        return None
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64))]
    matrix = Columns.from_plan(dataset.plan).matrix(dataset.rows.iloc[rows])
    sources = [dataset.plan.source_of(column) for column in dataset.plan.columns]
    variables = tuple(dict.fromkeys(sources))
    of_variable = np.array(
        [[source == name for name in variables] for source in sources], np.float64
    )
    scaled = []  # in probability
    for i in range(len(rows)):
        row, base = model.estimator.contributions(matrix[i : i + 1])
        scaled.append(row * model.calibration.slope_between(base, base + float(row.sum())))
    shares = np.vstack(scaled) @ of_variable
    levels = _levels(dataset.plan, sources, variables)
    values = np.column_stack(
        [np.full(len(rows), np.nan) if i is None else matrix[:, i] for i in levels]
    )
    return SampledShares(variables, shares, values)


def _levels(plan: FeaturePlan, sources: list[str], variables: tuple[str, ...]) -> list[int | None]:
    """Return the column that shows the level of each variable; None for text."""
    by_variable: Mapping[str, dict[str, int]] = {name: {} for name in variables}
    for i, (source, column) in enumerate(zip(sources, plan.layout, strict=True)):
        if plan.columns[i] not in plan.levels:
            by_variable[source].setdefault(column.aggregation, i)
    return [
        next((positions[a] for a in (*_LEVELS, *positions) if a in positions), None)
        for positions in by_variable.values()
    ]


@dataclass(frozen=True)
class ChallengerEvidence:
    """Evidence of a challenger: on validation, which set its threshold, and on the test period,
    scored once.

    `statistics`: figures that only statisticians read. `errors`: of predicted values on the test
    period, how far the median is off on average, and how far the last known value; None without.
    `rows` (as `evaluate_rows` returns them), `events`: by part ("validation", "test"); a part
    without rows is absent. `importance`: by raw variable, the mean size of its share in a
    score (`shap`), or its share of gain, impurity or weight. `problems_in_recovery`: asset and
    start of the problems of the test period that began in the recovery or hold-off after another
    one, so that they are in no metric. `validation`: that period beside chance. `days`: length of
    the test period; `units`: number of its rows where each is a unit, else None. `test_curve`: its
    events at each threshold of the curve, for a person who fixes another one; nothing is chosen by
    them.
    """

    threshold: ThresholdChoice
    rows: Mapping[str, Mapping[str, Any]]
    events: Mapping[str, EventMetrics]
    reliability: Sequence[Mapping[str, float]]
    importance: Mapping[str, float]
    notes: Sequence[str]
    problems_in_recovery: Sequence[tuple[str, str]]
    validation: ValidationChance
    shap: SampledShares | None = None
    days: float | None = None
    units: int | None = None
    test_curve: Sequence[Mapping[str, Any]] = ()
    statistics: Sequence[str] = ()
    errors: tuple[float, float] | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """Return all defined metrics, flat: `test_ap`, `test_event_recall`,
        `test_event_recall_low`, `validation_brier` ..."""
        flat: dict[str, float | None] = {"threshold": self.threshold.threshold}
        for part, metrics in self.rows.items():
            flat |= flatten_metrics(part, metrics)
        for part, events in self.events.items():
            flat |= flatten_metrics(part, events.to_document())
        return {name: float(value) for name, value in flat.items() if value is not None}

    @property
    def summary(self) -> dict[str, Any]:
        """Return the test period's metrics with their intervals, and the choice of the threshold;
        JSON-able."""
        events = self.events.get("test")
        return {
            **merge_metrics(self.rows.get("test", {}), events.to_document() if events else {}),
            "threshold": self.threshold.threshold,
            "threshold_reason": self.threshold.reason,
            "finds_problems_within_budget": self.threshold.finds,
            "found_in_validation": self.validation.to_document(),
            "notes": list(self.notes),
            "statistics": list(self.statistics),
            "days": self.days,
            "units": self.units,
            "problems_in_recovery": [list(problem) for problem in self.problems_in_recovery],
        }

    @property
    def files(self) -> dict[str, bytes]:
        """Return summary and curves as JSON files by name."""
        documents: dict[str, Any] = {
            "summary": self.summary,
            "threshold_curve": list(self.threshold.curve),
            "test_curve": [
                {**counts, "days": self.days, "units": self.units} for counts in self.test_curve
            ],
            "reliability": list(self.reliability),
            "importance": dict(self.importance),
        }
        return {
            f"{name}.json": json.dumps(document, indent=1).encode()
            for name, document in documents.items()
        }


def finish_challenger(
    dataset: Dataset,
    candidate: Candidate,
    definition: TrainedDefinition,
    estimator: Estimator | None = None,
) -> tuple[TrainedModel, ChallengerEvidence]:
    """Fit on the training rows, calibrate and set the threshold on validation, score the test
    period once; its refit serves. Where validation has rows of one class alone, the rows of the
    training period calibrate and choose, by the scores out of fold (`lower_to_reach`).

    `estimator`: the candidate fitted on the training rows by a kind of its own; otherwise it is
    fitted here. Calibration and threshold share the validation rows that live evaluation would
    score. Platt's sigmoid has two numbers and never changes the order of scores, so a threshold
    chosen without it would alarm the same rows, and halving a small number of events has no
    benefit. Raises UserError if the validation period has no rows.
    """
    matrix = dataset.matrix
    train: BoolArray = np.asarray(dataset.part == "train")
    validation = dataset.part == "validation"
    measured = dataset.measured_in("validation")
    if not measured.any():
        raise TrainingRefused(dataset.definition, _NO_VALIDATION)
    if estimator is None:
        estimator = fit_rows(
            dataset,
            candidate.family,
            candidate.params,
            np.flatnonzero(train),
            dataset.label,
            dataset.weight,
            definition.learning.seed,
        )
    margin = _margins(estimator, matrix, validation | (dataset.part == "test"))
    folds = rows_out_of_fold(dataset, candidate, measured)
    labelled = measured if folds is None else folds
    choosing = validation if folds is None else folds
    risk = margin if folds is None else margin_out_of_fold(candidate, estimator)
    calibration = fit_platt(
        risk[labelled], dataset.label[labelled], problems=dataset.count_problems(labelled)
    )
    score = calibration.probability(margin)
    seed = definition.learning.seed
    choice = choose_threshold(
        observe_part(definition, dataset, choosing),
        calibration.probability(risk[choosing]),
        definition.operating_point,
        seed,
        VALIDATION if folds is None else OUT_OF_FOLD,
    )
    if folds is not None and choice.finds and definition.operating_point.alarm_at is None:
        reached = calibration.probability(_margins(estimator, matrix, folds)[folds])
        choice = lower_to_reach(choice, calibration.probability(risk[folds]), reached)
    ranges, usual_ranges = ordinary_ranges(dataset.plan, dataset.rows, train)
    model = TrainedModel(
        definition=definition.name,
        revision=dataset.revision,
        plan=dataset.plan,
        estimator=estimator,
        calibration=calibration,
        threshold=choice.threshold,
        training_cutoff=training_cutoff(dataset, train | validation),
        as_of=dataset.as_of,
        horizon=definition.horizon,
        gap=definition.gap,
        usual=usual_values(dataset.plan, dataset.rows, train),
        ranges=ranges,
        usual_ranges=usual_ranges,
        hash=model_hash(estimator, calibration, choice.threshold, dataset.plan),
        params=candidate.params,
        normal=sample_normal(
            dataset.plan, dataset.rows, train & (dataset.label == 0), dataset.asset, seed
        ),
        effects=dataset.effects,
    )
    return model, _evidence(definition, dataset, candidate, estimator, choice, score)


def _margins(estimator: Estimator, matrix: Floats, scored: BoolArray) -> Floats:
    """Return the margin of the scored rows, NaN of the others."""
    margin = np.full(len(matrix), np.nan)
    rows = np.flatnonzero(scored)
    step = max(1, AT_ONCE // max(1, matrix.shape[1]))
    for first in range(0, len(rows), step):
        some = rows[first : first + step]
        margin[some] = estimator.margin_of(matrix[some])
    return margin


def fit_rows(
    dataset: Dataset,
    family: str,
    params: Mapping[str, Any],
    rows: Positions,
    label: npt.NDArray[np.int8],
    weight: Floats,
    seed: int,
) -> Estimator:
    """Fit a family on some rows of the dataset. `label`, `weight`: of all its rows."""
    limit = ColumnLimit(Columns.from_plan(dataset.plan))
    matrix = dataset.matrix
    chosen = limit.choose(params, len(rows), lambda: limit.rank_all(matrix, rows, label))
    labelled = LabelledRows(
        take_part(matrix, rows, chosen), label[rows], replace(dataset, weight=weight).weights(rows)
    )
    fitted = get_family(family).fit_final(params, limit.take(chosen), labelled, seed)
    return limit.widen(fitted, chosen)


def training_cutoff(dataset: Dataset, used: npt.NDArray[np.bool_]) -> datetime:
    """Return the last instant that a label of the used rows looked at."""
    return from_millis(int(dataset.at[used].max()) + dataset.gap_ms + dataset.horizon_ms)


def observe_part(
    definition: TrainedDefinition, dataset: Dataset, rows: npt.NDArray[np.bool_]
) -> ObservedRows:
    """Return these rows of a part of the history in the form on which thresholds are evaluated."""
    assets, counts = np.unique(dataset.asset[rows].astype(str), return_counts=True)
    stride_s = dataset.plan.stride_ms / 1000
    return observe_rows(
        at=dataset.at[rows],
        asset=dataset.asset[rows],
        measured=dataset.measured[rows],
        problems=dataset.problems,
        occurrences=dataset.occurrences,
        onset=dataset.predicts == "onset",
        observed_s=dict(zip(assets.tolist(), (counts * stride_s).tolist(), strict=True)),
        gap_ms=dataset.gap_ms,
        horizon_ms=dataset.horizon_ms,
        alarm_end=alarm_end_of(definition, timedelta(milliseconds=dataset.plan.stride_ms)),
    )


def _evidence(
    definition: TrainedDefinition,
    dataset: Dataset,
    candidate: Candidate,
    estimator: Estimator,
    choice: ThresholdChoice,
    score: Floats,
) -> ChallengerEvidence:
    seed = definition.learning.seed
    parts = {part: dataset.measured_in(part) for part in ("validation", "test")}
    test = parts["test"]
    used = {part: rows for part, rows in parts.items() if rows.any()}
    scored = {part: dataset.part == part for part in used}
    events = {
        part: evaluate_threshold(
            observe_part(definition, dataset, rows), score[rows], choice.threshold, seed
        )
        for part, rows in scored.items()
    }
    validation = events["validation"]
    share = placed_share(dataset, np.flatnonzero(parts["validation"]), score, seed)
    rows_of_test = scored.get("test")
    observed = None if rows_of_test is None else observe_part(definition, dataset, rows_of_test)
    return ChallengerEvidence(
        threshold=choice,
        rows={
            part: evaluate_rows(dataset.label[rows], score[rows], dataset.time_blocks(rows), seed)
            for part, rows in used.items()
        },
        events=events,
        reliability=reliability_with_intervals(
            dataset.label[test], score[test], dataset.time_blocks(test), seed
        ),
        importance=importance_by_source(dataset.plan, estimator),
        notes=(
            *candidate.notes,
            *(
                ()
                if test.any()
                else ("The test period has no rows: the challenger was not tested.",)
            ),
        ),
        statistics=candidate.statistics,
        problems_in_recovery=find_problems_in_recovery(dataset),
        validation=ValidationChance(
            validation.n_found, validation.n_events, validation.n_episodes, share
        ),
        days=float(np.ptp(dataset.at[test])) / DAY_MS if test.any() else None,
        units=int(test.sum()) if definition.is_of_unit else None,
        test_curve=() if observed is None else count_at_each(observed, score[rows_of_test], choice),
    )


def find_problems_in_recovery(dataset: Dataset) -> list[tuple[str, str]]:
    """Return, in the order of time, asset and begin of the problems of the test part that do not
    count because they began while the asset recovered from an earlier problem."""
    at = dataset.at[dataset.part == "test"]
    if not len(at):
        return []
    start = millis(dataset.problems["start"])
    within = (start > int(at.min()) + dataset.gap_ms) & (
        start <= int(at.max()) + dataset.gap_ms + dataset.horizon_ms
    )
    problems = dataset.problems[
        dataset.problems["uncounted"].to_numpy(np.bool_) & within
    ].sort_values("start")
    return [
        (str(asset), begin.isoformat())
        for asset, begin in zip(problems["asset"], problems["start"], strict=True)
    ]


def importance_by_source(plan: FeaturePlan, estimator: Estimator) -> dict[str, float]:
    """Return the importance of an estimator's columns, summed by raw variable, the largest
    first."""
    by_source: dict[str, float] = {}
    for column, share in zip(plan.columns, estimator.importance().tolist(), strict=True):
        source = plan.source_of(column)
        by_source[source] = by_source.get(source, 0.0) + share
    return dict(sorted(by_source.items(), key=lambda item: -item[1]))


def refit(
    dataset: Dataset,
    twin: TrainedModel,
    definition: TrainedDefinition,
    fit: Callable[[BoolArray], Estimator] | None = None,
) -> TrainedModel | None:
    """Return the twin with a refit: its parameters fitted on all mature rows of the dataset, which
    has the twin's plan.

    `fit`: the kind's fit of rows, if it is not `fit_rows`. Plan, calibration and threshold are the
    twin's. None if the dataset has no rows later than those from which the model has learned.
    """
    every = next(
        (int(finding.value or 1) for finding in dataset.findings if finding.kind == THINNED), 1
    )
    has_result = dataset.has_future & bool(dataset.plan.results_of)
    is_in_turn = dataset.at // dataset.plan.stride_ms % every == 0
    rows = np.asarray(dataset.fit & (has_result | is_in_turn), np.bool_)
    # a problem known at once ends the label of a row early
    cutoff = min(training_cutoff(dataset, rows), dataset.as_of)
    if cutoff <= (twin.refit or twin).training_cutoff:
        return None
    seed = definition.learning.seed
    if fit:
        estimator = fit(rows)
    else:
        estimator = fit_rows(
            dataset,
            twin.family,
            twin.params,
            np.flatnonzero(rows),
            dataset.label,
            dataset.weight,
            seed,
        )
    ranges, usual_ranges = ordinary_ranges(dataset.plan, dataset.rows, rows)
    fitted = replace(
        twin,
        revision=dataset.revision,
        estimator=estimator,
        training_cutoff=cutoff,
        as_of=dataset.as_of,
        usual=usual_values(dataset.plan, dataset.rows, rows),
        ranges=ranges,
        usual_ranges=usual_ranges,
        hash=model_hash(
            estimator, twin.calibration, twin.threshold, twin.plan, has_alarm=twin.has_alarm
        ),
        refit=None,
        normal=sample_normal(
            dataset.plan, dataset.rows, rows & (dataset.label == 0), dataset.asset, seed
        ),
        effects=dataset.effects,
    )
    return replace(twin, refit=fitted)


def compare_with_twin(
    definition: TrainedDefinition,
    twin: TrainedModel,
    histories: Sequence[History],
    excluded: Sequence[ActedWindow],
    as_of: datetime,
    suppressed: IntervalsByAsset,
) -> PromotionDecision | None:
    """Return the decision that a refit gives way to its twin; None if the refit is not worse beyond
    chance, or that is unknown.

    It follows the rules of `compare`, with the twin as the challenger: there are enough problems
    since the refit's training cutoff, and the twin is better in enough samples. `histories`: one
    for each asset.
    """
    if twin.refit is None:
        return None
    decision = compare(
        definition,
        twin,
        twin.refit,
        histories,
        excluded,
        as_of,
        definition.learning.seed,
        suppressed,
    )
    if not decision.promote:
        return None
    counted = decision.evidence["acted_left_out"]
    window = decision.evidence["window"]
    evidence = {
        "window": window,
        "events": decision.evidence["events"],
        "twin_ap": counted["challenger_ap"],
        "refit_ap": counted["champion_ap"],
        "share_better": counted["share_better"],
        "samples": counted["samples"],
    }
    statistics = (
        f"The twin's average precision is {evidence['twin_ap']:.3f}, the refit's "
        f"{evidence['refit_ap']:.3f}; the twin is better in "
        f"{spoken_share(counted['share_better'])} of {counted['samples']} samples "
        f"({spoken_share(definition.promotion.confidence)} needed)."
    )
    details = in_english(
        "Since {start} both were compared on {problems}.",
        start=datetime.fromisoformat(window["start"]),
        problems=count_in_english("{number} problem", "{number} problems", evidence["events"]),
    )
    return decide({}, {}, "gave_way", evidence, joined(" ", details, statistics))
