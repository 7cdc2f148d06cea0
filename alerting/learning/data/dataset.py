"""The dataset of one training: rows, labels and parts from the point-in-time view at as_of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import product
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.alert_definition import TrainedDefinition
from alerting.detection.problems import BoolArray, predicts
from alerting.detection.suppressed_intervals import SuppressedInterval
from alerting.learning.data.findings import Consequence, Finding
from alerting.learning.data.labels import (
    EFFECTS,
    Effects,
    FeedbackLabel,
    describe_feedback,
)
from alerting.learning.data.point_in_time import point_in_time_view, without_strays
from alerting.learning.data.quality import burst_findings, find_oddities, find_strays
from alerting.learning.data.rows import (
    PARTS,
    THINNED,
    AssetRows,
    Borders,
    JoinedRows,
    Parts,
    join_assets,
    label_asset,
    limit_rows,
    purge_length,
    readings_interval,
    require_all_parts,
    require_both_classes,
    require_problem,
    require_strides,
    split_borders,
)
from alerting.learning.features.build import build_features
from alerting.learning.features.moments import Floats
from alerting.learning.features.plan import Columns, FeaturePlan
from alerting.learning.features.planning import DerivedFeatures, derive_features, plan_features
from alerting.learning.features.set_point_effects import SetPointEffects, estimate_effects
from alerting.readings.history import History, Millis, duration_millis, millis, to_millis

KNOWS = 0.95  # average precision of a single column, from which on its variable is suspect
# And at least this share of the way from prevalence to perfection, so that frequent problems make
# no suspects.
LIFT = 0.5
ROWS_AT_MOST = 20_000
LEAST_POSITIVES = 10
# Rank correlation with the problem's variable at the same time stamps, from which on a variable is
# its copy.
COPIES = 0.99
LEAST_VALUES = 30
D = TypeVar("D", bound=TrainedDefinition)
HASHED = (
    "label",
    "asset",
    "at",
    "part",
    "fit",
    "measured",
    "persistence",
    "weight",
    "label_by_data",
    "part_by_data",
    "future",
)


def dataset_hash(plan: FeaturePlan, rows: pd.DataFrame, *beside: npt.NDArray[Any]) -> str:
    """Return the SHA-256 over names and values, little-endian, with one NaN."""
    digest = hashlib.sha256(json.dumps(plan.to_document(), sort_keys=True).encode())
    for name in plan.columns:
        values = rows[name].cat.codes.to_numpy() if name in plan.levels else rows[name].to_numpy()
        digest.update(name.encode() + b"\0")
        digest.update(_bytes(values))
    for column in beside:
        digest.update(_bytes(column))
    return digest.hexdigest()


def _bytes(values: npt.NDArray[Any]) -> bytes | memoryview:
    if values.dtype == object:
        return "\0".join(values.tolist()).encode()
    if values.dtype == np.float64:
        one_nan = np.where(np.isnan(values), np.nan, values).astype("<f8", copy=False)
        return np.ascontiguousarray(one_nan).data
    return values.astype("<i8").tobytes()


def leak_suspects(
    definition: TrainedDefinition,
    plan: FeaturePlan,
    histories: Sequence[History],
    rows: pd.DataFrame,
    label: npt.NDArray[np.int8],
    train: BoolArray,
) -> list[Finding]:
    """Find leak suspects of a plan, and a problem variable that a model may not see.

    `train`: which of the `rows` are the training part; `histories`: its readings. A suspect stays
    in the dataset: a strong cause looks the same as a leak, and only a person can tell them apart.
    """
    suspects = [
        *_early_copies(definition, plan, histories),
        *_knowing_alone(definition, plan, rows, label, np.flatnonzero(train)),
    ]
    return [*suspects, *_unseen_problem(definition, histories)]


def _unseen_problem(
    definition: TrainedDefinition, histories: Sequence[History]
) -> Iterator[Finding]:
    """Find that the problem's last values are no rival: several, or not to be seen."""
    if definition.problem.combination is not None and definition.sees_problem:
        message = (
            "The problem has several variables: what they showed last, persistence, is no "
            "candidate; the chosen model is compared with it."
        )
        yield Finding("unseen_problem", None, None, "kept", message)
        return
    unseen = [
        v
        for v in definition.problem.variables
        if definition.is_of_unit or not definition.may_see(v)
    ]
    if not any(variable in h.readings for h in histories for variable in unseen):
        return
    why = (
        "with horizon: 0s no feature comes from it"
        if definition.is_of_unit
        else "exclude or include leave it out"
    )
    message = (
        f"The model may not see {', '.join(unseen)} ({why}): its last known value, persistence, is "
        "no candidate, and the model is not compared with it."
    )
    yield Finding("unseen_problem", None, None, "kept", message)


def _knowing_alone(
    definition: TrainedDefinition,
    plan: FeaturePlan,
    rows: pd.DataFrame,
    label: npt.NDArray[np.int8],
    train: npt.NDArray[np.int64],
) -> Iterator[Finding]:
    """Find sources of which one column predicts the label; its own past is no leak."""
    of_train, weight = _sample(label[train])
    chosen = train[of_train]
    if label[chosen].sum() < LEAST_POSITIVES:
        return
    prevalence = float(np.average(label[chosen], weights=weight))
    best: dict[str, tuple[float, str]] = {}
    for column in plan.layout:
        if column.name in plan.levels or column.source in definition.problem.variables:
            continue
        values = rows[column.name].to_numpy(np.float64)[chosen]
        if np.isnan(values).all():
            continue
        ap = max(_precision(sign * values, label[chosen], weight) for sign in (1.0, -1.0))
        best[column.source] = max(best.get(column.source, (0.0, "")), (ap, column.name))
    for source, (ap, name) in best.items():
        if ap >= KNOWS and ap - prevalence >= LIFT * (1 - prevalence):
            message = (
                f"{source} alone nearly knows the label (column {name}: average precision "
                f"{ap:.2f}): it is kept; make sure that "
                "its values are known before the problem, set its delay, or exclude it."
            )
            yield Finding("leak_suspect", source, ap, "kept", message)


def _sample(label: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int64], Floats]:
    """Draw evenly spaced rows of each class, each with the rows that it stands for."""
    chosen = []
    weight = []
    for value in (0, 1):
        of_class = np.flatnonzero(label == value)
        chosen.append(of_class[:: max(1, -(-2 * len(of_class) // ROWS_AT_MOST))])
        weight.append(np.full(len(chosen[-1]), len(of_class) / max(len(chosen[-1]), 1)))
    return np.concatenate(chosen), np.concatenate(weight)


def _precision(score: Floats, label: npt.NDArray[np.int8], weight: Floats) -> float:
    """Compute the weighted average precision; missing is lowest, equals are one step."""
    order = np.argsort(-np.where(np.isnan(score), -np.inf, score), kind="stable")
    ranked = np.where(np.isnan(score), -np.inf, score)[order]
    hits = np.cumsum(label[order] * weight[order])
    all_ = np.cumsum(weight[order])
    steps = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    return float((np.diff(hits[steps], prepend=0.0) / hits[-1] * hits[steps] / all_[steps]).sum())


def _early_copies(
    definition: TrainedDefinition, plan: FeaturePlan, histories: Sequence[History]
) -> Iterator[Finding]:
    """Find variables that show at once what the problem shows after its delay."""
    for problem, number in product(definition.problem.variables, plan.numbers):
        early = [h for h in histories if h.delay(number.name) < h.delay(problem)]
        likeness = [_likeness(h, number.name, problem) for h in early if number.name != problem]
        strongest = max(likeness, default=0.0)
        if strongest >= COPIES:
            message = (
                f"{number.name} moves with {problem} at the same time stamps (rank correlation "
                f"{strongest:.2f}) but is taken as known earlier: it is kept; if both come from "
                f"one measurement, give it the delay of {problem}, or exclude it."
            )
            yield Finding("leak_suspect", number.name, strongest, "kept", message)


def _likeness(history: History, name: str, problem: str) -> float:
    """Return two variables' absolute rank correlation; 0 for too few, and a category."""
    if name not in history.readings or problem not in history.readings:
        return 0.0
    if history.readings[problem].dtype == object:
        return 0.0
    both = history.readings[[name, problem]].astype(np.float64).dropna()
    if len(both) < LEAST_VALUES or (both.nunique() < 2).any():
        return 0.0
    first, second = (both[column].rank().to_numpy(np.float64) for column in (name, problem))
    return abs(float(np.corrcoef(first, second)[0, 1]))


@dataclass(frozen=True)
class Dataset:
    """All rows of one training, by asset and then by time.

    `definition`, `revision`: name and number. `rows`: columns as `plan.columns`. Each row has a
    `label` (1: the problem follows), an `asset`, an instant `at` (ms), a `part` (train, validation,
    test, purged: only for a refit, or excluded: feedback puts its label in doubt). `fit`: a model
    may learn from the row, in any part; all rows of train are. `measured`: its label counts in
    metrics. Rows of validation and test that are neither only show what live evaluation would have
    raised; their label is not known. Each row has a `weight` (1, or less where the definition sets
    it) and a `persistence` (the problem variable's last known value, higher is riskier, NaN
    without). `label_by_data`, `part_by_data`: label and part without any feedback; only rows of
    train ever have another label. `answers`: counts of feedback received and used, and of rows that
    it excluded, made positive or weighted, or confirmed. `problems`: asset, start, last, end,
    known_at, uncounted (see `counted_problems`) of every problem known at as_of; `occurrences`:
    asset and the fields of `Occurrences`; `predicts`: what the label asks of them. `observed`:
    seconds of scored rows by part and asset. `counts`: instants without a label by reason.
    `findings`: the data quality report. `effects`: of set-points on the problem variable, None
    where they are not known. `future`: values of the problem's variable at the leads of the
    definition (rows x leads), NaN where there is none. `purge_ms`: length purged before every
    border. `hash`: over the content of rows, labels and parts; the same in every process.
    """

    definition: str
    revision: int
    as_of: datetime
    plan: FeaturePlan
    rows: pd.DataFrame
    label: npt.NDArray[np.int8]
    asset: npt.NDArray[np.object_]
    at: Millis
    part: Parts
    fit: BoolArray
    measured: BoolArray
    problems: pd.DataFrame
    occurrences: pd.DataFrame
    predicts: Literal["onset", "state"]
    persistence: Floats
    weight: Floats
    label_by_data: npt.NDArray[np.int8]
    part_by_data: Parts
    observed: dict[str, dict[str, float]]
    counts: dict[str, int]
    answers: dict[str, int]
    findings: tuple[Finding, ...]
    horizon_ms: int
    gap_ms: int
    purge_ms: int
    hash: str
    future: Floats
    effects: SetPointEffects | None = None

    @cached_property
    def matrix(self) -> Floats:
        """Return all rows as `Columns` reads them; every family learns from the same ones. Where
        there is no category it is `rows` itself, by column; some of its rows are a copy by row."""
        return Columns.from_plan(self.plan).view(self.rows)

    def measured_in(self, part: str) -> BoolArray:
        """Select the rows of a part by which a model is measured."""
        return np.asarray(self.measured & (self.part == part))

    def weights(self, rows: npt.NDArray[Any]) -> Floats | None:
        """Return weights of some rows (positions or a mask); None where all are 1."""
        weight = self.weight[rows]
        return None if (weight == 1.0).all() else weight

    @property
    def notes(self) -> list[str]:
        """Return the data quality report in sentences."""
        return [finding.message for finding in self.findings]

    @property
    def answered(self) -> str:
        """Return a sentence on what operators' feedback changed; empty without feedback."""
        return describe_feedback(self.answers)


def build_dataset(
    definition: TrainedDefinition,
    revision_number: int,
    histories: Sequence[History],
    as_of: datetime,
    answers: Sequence[FeedbackLabel] = (),
    suppressed: Mapping[str, Sequence[SuppressedInterval]] = MappingProxyType({}),
    max_rows: int | None = None,
    memory_bytes: int | None = None,
    plan: FeaturePlan | None = None,
    derived: DerivedFeatures | None = None,
) -> Dataset:
    """Build the dataset: rows on the stride grid of every asset, labelled, split and counted.

    `answers`: feedback that operators had given by as_of. `suppressed`: intervals by asset in which
    the definition is suppressed by design; their rows are in no part. `max_rows`, `memory_bytes`:
    as for `limit_rows`. `plan`: that of a model which is fitted again. `derived`: stride and
    windows where the definition states none. By default both come from the training period. Nothing
    is used that became known after as_of, or after the end of the periods. Raises UserError if
    `requirements` rejects the definition or the data, if a part has no rows, or if there are too
    many rows.
    """
    require_strides(definition)
    until, views, borders = _views(definition, histories, as_of)
    require_problem(definition, views)
    training = [point_in_time_view(h, borders.train_end) for h in views]
    learned = training if plan is None else views  # with a plan all mature rows are fitted
    plan, derived = _plan(definition, training, plan, derived)
    definition = at_stride(definition, plan)
    question: Literal["onset", "state"] = (
        "state" if any(predicts(definition, h.asset) == "state" for h in views) else "onset"
    )
    assets = [
        label_asset(definition, question, plan, h, borders, until, answers, suppressed)
        for h in views
    ]
    purge = purge_length(definition, plan)
    rows = join_assets(definition, assets, borders, purge)
    require_all_parts(
        definition,
        rows.part[np.where(rows.part == "train", rows.fit, rows.measured)],
        borders,
        purge,
    )
    problems = pd.concat([a.problems for a in assets], ignore_index=True)
    oddities = find_oddities(definition, plan, training, _problems_by_part(problems, borders))
    if definition.must_know is None:
        require_both_classes(definition, rows.label[rows.part == "train"], len(problems), oddities)
    rows, limits, left_out = _limit(definition, plan, views, rows, max_rows, memory_bytes)
    parts = [
        build_features(plan, history, rows.at[rows.asset == history.asset.name])
        for history in views
    ]
    features = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
    counts = _count_answers(assets, rows.effect)
    train = rows.part == "train"
    leaks = leak_suspects(definition, plan, training, features, rows.label, train)
    beside = {name: getattr(rows, name) for name in HASHED}
    return Dataset(
        definition=definition.name,
        revision=revision_number,
        as_of=as_of,
        plan=plan,
        rows=features,
        **beside,
        problems=problems,
        occurrences=pd.concat([a.occurrences for a in assets], ignore_index=True),
        predicts=question,
        observed=_observed_seconds(rows.part, rows.asset, plan.stride_ms / 1000),
        counts=_count_dropped(assets) | left_out,
        answers=counts,
        findings=(
            *_derived_finding(derived),
            *find_strays([point_in_time_view(h, until) for h in histories]),
            *(() if definition.is_of_unit else burst_findings(definition.problem, views)),
            *oddities,
            *limits,
            *leaks,
            *_answer_finding(counts),
        ),
        horizon_ms=duration_millis(definition.window.length),
        gap_ms=duration_millis(definition.window.after),
        purge_ms=purge,
        hash=dataset_hash(plan, features, *beside.values()),
        effects=estimate_effects(definition, plan, learned),
    )


def _plan(
    definition: TrainedDefinition,
    training: Sequence[History],
    plan: FeaturePlan | None,
    derived: DerivedFeatures | None,
) -> tuple[FeaturePlan, DerivedFeatures | None]:
    """Choose the plan, if none is given, from the training period."""
    if plan is not None:
        return plan, derived
    derived = derived or derive_features(definition, training)
    return plan_features(
        definition if derived is None else derived.fill(definition), training
    ), derived


def _limit(
    definition: TrainedDefinition,
    plan: FeaturePlan,
    views: Sequence[History],
    rows: JoinedRows,
    max_rows: int | None,
    memory_bytes: int | None,
) -> tuple[JoinedRows, list[Finding], dict[str, int]]:
    """Thin the rows to the limits; return them, the finding, and how many are left out."""
    readings = sum(h.readings.size for h in views)
    selected, thinned = limit_rows(
        definition, plan, readings, rows.at, rows.part, rows.label, max_rows, memory_bytes
    )
    if thinned is None:
        return rows, [], {}
    return rows.select(selected), [thinned], {THINNED: int((~selected).sum())}


def at_stride(definition: D, plan: FeaturePlan) -> D:
    """Return the definition with the stride of a plan."""
    features = definition.features.model_copy(
        update={"stride": timedelta(milliseconds=plan.stride_ms)}
    )
    return definition.model_copy(update={"features": features})


def derive_at(
    definition: TrainedDefinition, histories: Sequence[History], as_of: datetime
) -> DerivedFeatures | None:
    """Derive what `build_dataset` would; None where the definition states all."""
    _, views, borders = _views(definition, histories, as_of)
    return derive_features(definition, [point_in_time_view(h, borders.train_end) for h in views])


def _views(
    definition: TrainedDefinition, histories: Sequence[History], as_of: datetime
) -> tuple[int, list[History], Borders]:
    """Return the end (ms), the point-in-time views by asset, and the parts' borders."""
    until = min(to_millis(as_of), to_millis(definition.periods.last or as_of))
    start = None if definition.periods.start is None else to_millis(definition.periods.start)
    views = sorted(
        (without_strays(point_in_time_view(h, until, start)) for h in histories),
        key=lambda h: h.asset.name,
    )
    return until, views, split_borders(definition, *readings_interval(definition, views))


def _answer_finding(answers: dict[str, int]) -> list[Finding]:
    message = describe_feedback(answers)
    consequence: Consequence = "left out" if answers["left_out"] else "kept"
    return [Finding("answers", None, answers["used"], consequence, message)] if message else []


def _derived_finding(derived: DerivedFeatures | None) -> list[Finding]:
    if derived is None:
        return []
    return [Finding("derived", None, derived.stride.total_seconds(), "kept", derived.message)]


def _count_dropped(assets: Sequence[AssetRows]) -> dict[str, int]:
    reasons, counts = np.unique(
        np.concatenate([a.dropped for a in assets]).astype(str), return_counts=True
    )
    return dict(zip(reasons.tolist(), counts.tolist(), strict=True))


def _count_answers(assets: Sequence[AssetRows], effect: Effects) -> dict[str, int]:
    rows: dict[str, int] = {
        name: int((effect == number).sum()) for number, name in enumerate(EFFECTS, start=1)
    }
    return {
        "answers": sum(a.answers for a in assets),
        "used": sum(a.answers_used for a in assets),
        **rows,
    }


def _observed_seconds(
    part: Parts, asset: npt.NDArray[np.object_], stride_s: float
) -> dict[str, dict[str, float]]:
    observed: dict[str, dict[str, float]] = {}
    for name in PARTS:
        assets, rows = np.unique(asset[part == name].astype(str), return_counts=True)
        observed[name] = dict(zip(assets.tolist(), (rows * stride_s).tolist(), strict=True))
    return observed


def _problems_by_part(problems: pd.DataFrame, borders: Borders) -> dict[str, int]:
    start = millis(problems["start"])
    edges = [
        (borders.start, borders.train_end),
        (borders.validation, borders.validation_end),
        (borders.test, borders.end),
    ]
    counts = np.diff(np.searchsorted(np.sort(start), edges, side="right"))
    return dict(zip(PARTS, counts[:, 0].tolist(), strict=True))
