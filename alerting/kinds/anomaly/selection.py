"""AutoML without labels: every setting is fitted on parts of the normal rows, measured on the
others, and the best is chosen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from alerting.detection.anomalies.category_space import Spaces, encode, fit_spaces
from alerting.detection.anomalies.choice import (
    Surrogates,
    centralities,
    f1_at,
    mean_ranks,
    originals,
)
from alerting.detection.anomalies.detectors import Detector
from alerting.detection.anomalies.fitting import TRIED, Setting, fit_detector
from alerting.detection.anomalies.injection import TYPES, NormalColumns, inject
from alerting.detection.anomalies.normal_space import Floats
from alerting.detection.anomalies.threshold import (
    Threshold,
    threshold_for_rate,
    threshold_for_share,
)
from alerting.detection.categories import CategoryValues, Labels
from alerting.kinds.anomaly.definition import AnomalyDefinition
from alerting.kinds.anomaly.model import usual_clear_for
from alerting.learning.features.build import build_features
from alerting.learning.features.plan import FeaturePlan
from alerting.readings.history import Millis, duration_millis
from alerting.readings.long_history import LongHistory

Positions = npt.NDArray[np.int64]
_FOLDS = 4
_INTERVALS = 40
_ANOMALIES = 24  # of each type
_COMPARED = 2_000  # rows on which agreement is measured


@dataclass(frozen=True)
class NormalFold:
    """Rows that fit, and later unseen ones of the same normal history; the fit has none whose
    windows reach into the others."""

    spaces: Spaces
    fit: Positions
    unseen: Positions
    categories: Labels

    def encode(self, matrix: Floats, rows: Positions) -> Floats:
        """Return some of all rows, encoded."""
        return encode(self.spaces, matrix[rows], self.categories[rows])


@dataclass(frozen=True)
class Injected:
    """Rows with synthetic anomalies, and their categories, by fold."""

    by_fold: tuple[Floats, ...]
    categories: tuple[Labels, ...]


@dataclass(frozen=True)
class Categories:
    """Categories of rows, None of rows that are compared with all others, and their `values` over
    time."""

    of_rows: Labels
    values: CategoryValues | None = None


@dataclass(frozen=True)
class Tried:
    """A setting that was tried: raw scores of normal rows that its fits had not seen, threshold,
    measures."""

    setting: Setting
    scores: Floats
    threshold: Threshold
    surrogates: Surrogates

    def describe(self) -> str:
        """Describe its measures in a sentence."""
        found = ", ".join(f"{type} {value:.2f}" for type, value in self.surrogates.found.items())
        error = "none" if self.surrogates.error is None else f"{self.surrogates.error:.2f}"
        return (
            f"{self.setting.describe()}: mean rank {self.surrogates.rank:.2f}; F1 of synthetic "
            f"anomalies {found}; error of "
            f"prediction {error}; agreement {self.surrogates.centrality:.2f}"
        )


def choose_setting(
    definition: AnomalyDefinition,
    plan: FeaturePlan,
    history: LongHistory,
    at: Millis,
    matrix: Floats,
    categories: Categories | None = None,
) -> list[Tried]:
    """Return every tried setting, the best first. `at`, `matrix`: instants (ms) and rows of normal
    operation.

    A setting with the scores of another one takes no part in the ranks; it has those of the other
    one.
    """
    categories = categories or without_categories(at)
    folds = make_folds(at, matrix, plan.longest_window_ms, categories.of_rows)
    injected = inject_types(definition, plan, history, at, folds, categories)
    found = [
        try_setting(definition, plan, setting, at, matrix, folds, injected)
        for setting in TRIED
        if setting.family in definition.candidates
    ]
    step = max(1, len(at) // _COMPARED)
    scores = [np.concatenate([one.scores[::step], *one.of_injected]) for one in found]
    first = originals(scores)
    counted = sorted(set(first))
    central = centralities(
        [scores[i] for i in counted], [found[i].tried.setting.family for i in counted]
    )
    measured = [
        replace(found[i].tried.surrogates, centrality=c)
        for i, c in zip(counted, central, strict=True)
    ]
    ranks = mean_ranks(measured)
    ranked = {i: replace(m, rank=rank) for i, m, rank in zip(counted, measured, ranks, strict=True)}
    tried = [replace(one.tried, surrogates=ranked[i]) for one, i in zip(found, first, strict=True)]
    return sorted(tried, key=lambda one: one.surrogates.rank)


@dataclass(frozen=True)
class _ScoredDetector:
    tried: Tried
    of_injected: list[Floats]

    @property
    def scores(self) -> Floats:
        return self.tried.scores


def without_categories(at: Millis) -> Categories:
    """Return the categories of rows that are all compared with each other."""
    return Categories(np.full(len(at), None, object))


def try_alone(
    definition: AnomalyDefinition, plan: FeaturePlan, setting: Setting, at: Millis, matrix: Floats
) -> Tried:
    """Return a setting with its scores and threshold on rows of all categories together, without
    synthetic anomalies."""
    folds = make_folds(at, matrix, plan.longest_window_ms, without_categories(at).of_rows)
    return try_setting(definition, plan, setting, at, matrix, folds, {}).tried


def make_folds(at: Millis, matrix: Floats, window_ms: int, categories: Labels) -> list[NormalFold]:
    """Return the folds, each with the normal space of its fit."""
    return [
        NormalFold(fit_spaces(matrix[fit], categories[fit]), fit, unseen, categories)
        for fit, unseen in split_rows(at, window_ms)
    ]


def split_rows(at: Millis, window_ms: int) -> Iterator[tuple[Positions, Positions]]:
    """Split rows into short intervals, dealt to the folds in turn; rows within a window of an
    unseen interval do not fit.

    So every fold has fitted on all regimes of the history, and its unseen rows share no reading
    with those of its fit.
    """
    length = max(window_ms, (int(at[-1]) - int(at[0])) // _INTERVALS + 1)
    of = ((at - at[0]) // length) % _FOLDS
    for number in range(_FOLDS):
        unseen = np.flatnonzero(of == number)
        if not len(unseen):
            continue
        nearest = at[unseen][np.clip(np.searchsorted(at[unseen], at), 0, len(unseen) - 1)]
        before = at[unseen][
            np.clip(np.searchsorted(at[unseen], at, side="right") - 1, 0, len(unseen) - 1)
        ]
        fit = np.flatnonzero(
            (np.abs(nearest - at) >= window_ms) & (np.abs(at - before) >= window_ms)
        )
        if len(fit) < len(at) // 4:  # a history of few windows
            fit = np.flatnonzero(of != number)
        yield fit, unseen


def inject_types(
    definition: AnomalyDefinition,
    plan: FeaturePlan,
    history: LongHistory,
    at: Millis,
    folds: Sequence[NormalFold],
    categories: Categories,
) -> dict[str, Injected]:
    """Return rows with synthetic anomalies of each type, in intervals of the unseen rows of each
    fold."""
    found = dict[str, Injected]()
    columns = NormalColumns(history, plan.variables, categories.values)
    length = max(plan.longest_window_ms, 5 * plan.stride_ms)
    back = duration_millis(plan.lookback)
    for type in TYPES:
        chance = np.random.default_rng([definition.seed, *type.encode()])
        rows = list[Floats]()
        labels = list[Labels]()
        for fold in folds:
            count = min(
                _ANOMALIES // len(folds),
                max(1, (len(fold.unseen) * plan.stride_ms) // (2 * length)),
            )
            starts = np.sort(at[chance.choice(fold.unseen, size=count, replace=False)])
            starts = starts[np.concatenate([[True], np.diff(starts) >= length])]
            changed, put = inject(columns, type, starts, length, back, definition.seed)
            inside = np.zeros(len(at), np.bool_)
            for one in put:
                inside |= (at > one.start) & (at <= one.end)
            rows.append(build_features(plan, changed, at[inside]).to_numpy(np.float64))
            labels.append(categories.of_rows[inside])
        found[type] = Injected(tuple(rows), tuple(labels))
    return found


def try_setting(
    definition: AnomalyDefinition,
    plan: FeaturePlan,
    setting: Setting,
    at: Millis,
    matrix: Floats,
    folds: Sequence[NormalFold],
    injected: dict[str, Injected],
) -> _ScoredDetector:
    """Fit a setting on every fold, and measure it on what its fits had not seen."""
    scores = np.empty(len(at))
    errors = list[float]()
    of = dict[str, list[Floats]]({type: [] for type in injected})
    for number, fold in enumerate(folds):
        detector = fit_detector(setting, fold.encode(matrix, fold.fit), definition.seed)
        unseen = fold.encode(matrix, fold.unseen)
        scores[fold.unseen] = detector.score(unseen)
        errors += _error(detector, unseen)
        for type, rows in injected.items():
            of[type].append(
                detector.score(encode(fold.spaces, rows.by_fold[number], rows.categories[number]))
            )
    threshold = find_threshold(definition, plan, at, scores)
    anomalies = {type: np.concatenate(parts) for type, parts in of.items()}
    found = {
        type: f1_at(scores, one, threshold.value) for type, one in anomalies.items() if len(one)
    }
    measured = Surrogates(found, float(np.mean(errors)) if errors else None, 0.0)
    return _ScoredDetector(Tried(setting, scores, threshold, measured), list(anomalies.values()))


def find_threshold(
    definition: AnomalyDefinition, plan: FeaturePlan, at: Millis, scores: Floats
) -> Threshold:
    """Return the threshold of raw scores by the way that the definition states."""
    if definition.threshold.time_in_alarm is not None:
        return threshold_for_share(at, scores, plan.stride_ms, definition.threshold.time_in_alarm)
    apart = (
        usual_clear_for(plan)
        if definition.clear_for is None
        else duration_millis(definition.clear_for)
    )
    hold = duration_millis(definition.hold)
    per_week = definition.false_alarms_per_week
    return threshold_for_rate(
        at, scores, plan.stride_ms, max(apart, plan.stride_ms), hold, per_week
    )


def _error(detector: Detector, rows: Floats) -> list[float]:
    restored = detector.restore(rows)
    return (
        []
        if restored is None
        else [float(np.median(np.sqrt(((rows - restored) ** 2).mean(axis=1))))]
    )
