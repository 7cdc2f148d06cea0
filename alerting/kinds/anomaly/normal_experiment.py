"""The experiment of a detector: fits to normal operation whose scores of rows that they have not
seen set its threshold, and the choice of its family, at equal false alarms, by the problems of the
history or by injected faults."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from alerting.kinds.anomaly.definition import AnomalyDefinition
from alerting.kinds.anomaly.detectors import (
    COMPONENTS,
    Autoencoder,
    Detector,
    IsolationTrees,
    Threshold,
    fit_components,
    fit_detector,
    threshold_for_rate,
    threshold_for_share,
)
from alerting.kinds.anomaly.injected_faults import inject_in_turn
from alerting.kinds.anomaly.model import spread_columns, usual_clear_for
from alerting.kinds.anomaly.normal_rows import LEAST_ROWS as LEAST_OF_CATEGORY
from alerting.kinds.anomaly.normal_rows import Spaces, encode, fit_spaces, squared_length
from alerting.learning.experiment.experiment import Experiment
from alerting.learning.experiment.folds import Fold, Positions, cut_by_interval, evenly
from alerting.learning.features.plan import FeaturePlan
from alerting.readings.history import BoolArray, Floats, Millis, duration_millis
from alerting.readings.variable_series import Labels

_FEW_FOLDS = 4
_FOLDS = 10
_MANY_WINDOWS = 40  # of normal time, from which each of ten folds has several
_MOST_COMPARED = 4_000  # normal rows on which families are compared
_MOST_FAULTS = 600
_LEAST_PROBLEMS = 5  # with fewer no difference is beyond chance, and injected faults decide
_DRAWS = 1_000
_CHANCE = 0.025  # on either side of an interval
_LEAST_LEVELS = 2  # columns of levels, between which there are relations
_MOST_SQUARED = 10  # components
_LEFT_BY_CURVES = 0.8
_KURTOSIS = 0.8  # times that of a normal distribution
_SCREENED = 0.99  # quantile of normal scores of one fold, beyond which faults count first
NAMES: Mapping[str, str] = {
    COMPONENTS: "principal components",
    Autoencoder.family: "an autoencoder",
    IsolationTrees.family: "isolation trees",
}


class UsedRows(NamedTuple):
    """Rows to learn from: instants (ms), features, and the category of each (None: compared with
    all others)."""

    at: Millis
    matrix: Floats
    categories: Labels

    def select(self, rows: Any) -> "UsedRows":
        """Return some of the rows."""
        return UsedRows(self.at[rows], self.matrix[rows], self.categories[rows])


class _Normal(NamedTuple):
    """A detector, and the space of each category in which it scores rows."""

    spaces: Spaces
    detector: Detector


class NormalExperiment(Experiment[_Normal]):
    """Rows of normal operation of one asset at increasing instants, each in the space of its
    category.

    Folds get short intervals in turn. The null of their scores is a rate of false alarms, for
    which a threshold is chosen (`find_threshold`). A set of parameters names the `family`.
    """

    def __init__(self, plan: FeaturePlan, used: UsedRows, number: int | None = None) -> None:
        self.rows = len(used.at)
        number = number or count_folds(self.rows, plan)
        self.folds = [*cut_by_interval(used.at, plan.longest_window_ms, number)]
        self.used = used
        self._spreads = spread_columns(plan)

    def fit(self, params: Mapping[str, Any], fold: Fold) -> _Normal:
        part = self.used.select(fold.train)
        spaces = fit_spaces(part.matrix, part.categories, self._spreads)
        rows = encode(spaces, part.matrix, part.categories)
        return _Normal(spaces, fit_detector(rows, self._spreads, params["family"]))

    def predict(self, fitted: _Normal, params: Mapping[str, Any], rows: Positions) -> Floats:
        """Return the raw score of each of these rows."""
        part = self.used.select(rows)
        return fitted.detector.score(encode(fitted.spaces, part.matrix, part.categories))


def count_folds(rows: int, plan: FeaturePlan) -> int:
    """Return how many folds normal rows, one each stride of the plan, are cut into: with windows
    enough each fit has seen nearly all of them, as the detector in service has."""
    windows = rows * plan.stride_ms / plan.longest_window_ms
    return _FOLDS if windows >= _MANY_WINDOWS else _FEW_FOLDS


def find_threshold(
    definition: AnomalyDefinition, plan: FeaturePlan, at: Millis, scores: Floats
) -> Threshold:
    """Return the threshold of raw scores, chosen in the way that the definition states."""
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


def known_categories(
    used: UsedRows, plan: FeaturePlan, number: int | None = None
) -> frozenset[str]:
    """Return the categories with at least `LEAST_OF_CATEGORY` fitted rows in every fold, although a
    fold lacks its unseen time. `plan`: with the stride of the rows; `number`: of folds, if it is
    not that of `count_folds`."""
    learned = frozenset(name for name in used.categories.tolist() if name is not None)
    while learned:
        inside = used.select(are_in(used.categories, learned))
        folds = NormalExperiment(plan, inside, number).folds
        fits = [Counter(inside.categories[fold.train].tolist()) for fold in folds]
        few = {name for name in learned if any(fit[name] < LEAST_OF_CATEGORY for fit in fits)}
        if not few:
            break
        learned -= few
    return learned


def are_in(categories: Labels, names: Collection[str | None]) -> BoolArray:
    """Return a mask of the rows that are of one of these categories."""
    return np.array([category in names for category in categories.tolist()], np.bool_)


class FamilyChoice(NamedTuple):
    """The family of a detector, and a sentence on why; empty where there was no choice."""

    family: str
    reason: str


class _Comparison(NormalExperiment):
    """Rows of faults stand behind `normal` rows, and are scored by a fit that has not seen them:
    `injected` faults of one row each, and then the rows of each problem. `fault`: number of the
    fault of each of these rows."""

    def __init__(
        self, plan: FeaturePlan, used: UsedRows, problems: UsedRows, number: Positions
    ) -> None:
        super().__init__(plan, used, _FEW_FOLDS)
        self._plan = plan
        self.normal = self.rows
        chosen = evenly(np.arange(self.rows), _MOST_FAULTS)
        groups = [range(block.start, block.stop) for block in plan.number_blocks.values()]
        normal = used.select(chosen)
        injected = inject_in_turn(plan, groups, normal.matrix, normal.categories)
        self.injected = len(chosen)
        self.fault = np.concatenate([np.arange(self.injected), self.injected + number])
        in_fold = np.zeros(self.rows, np.int64)
        for place, fold in enumerate(self.folds):
            in_fold[fold.test] = place
        of_fault = np.concatenate([in_fold[chosen], number % len(self.folds)])
        self.folds = [
            replace(
                fold,
                test=np.concatenate([fold.test, self.rows + np.flatnonzero(of_fault == place)]),
            )
            for place, fold in enumerate(self.folds)
        ]
        self.used = UsedRows(
            np.concatenate([used.at, normal.at, problems.at]),
            np.concatenate([used.matrix, injected, problems.matrix]),
            np.concatenate([used.categories, normal.categories, problems.categories]),
        )
        self.rows = len(self.used.at)

    def screen(self, family: str) -> bool:
        """Return whether a family can find more than principal components, by the first fold: a
        network where levels lie on a curve, trees where they lie in states apart and trees find
        more of the injected faults where one normal row in a hundred is found."""
        fold = self.folds[0]
        is_normal = fold.test < self.normal
        components = self.fit({"family": COMPONENTS}, fold)
        rows, unseen = (
            encode(components.spaces, side.matrix, side.categories)[:, ~self._spreads]
            for side in map(self.used.select, (fold.train, fold.test[is_normal]))
        )
        if family == Autoencoder.family:
            return is_curved(rows, unseen)
        if not are_states_apart(rows):
            return False
        is_injected = ~is_normal & (fold.test < self.normal + self.injected)
        hits = []
        for fitted in (components, self.fit({"family": family}, fold)):
            scores = self.predict(fitted, {}, fold.test)
            limit = np.quantile(scores[is_normal], _SCREENED)
            hits.append(int((scores[is_injected] > limit).sum()))
        return hits[1] > hits[0]

    def find_faults(self, definition: AnomalyDefinition, family: str) -> BoolArray:
        """Return which faults are found at the false alarms that the definition allows."""
        scores = self.out_of_fold({"family": family})
        normal = scores[: self.normal]
        limit = find_threshold(definition, self._plan, self.used.at[: self.normal], normal).value
        highest = np.full(int(self.fault.max()) + 1, -np.inf)
        np.maximum.at(highest, self.fault, scores[self.normal :])
        return np.asarray(highest >= limit)


def choose_family(
    definition: AnomalyDefinition,
    plan: FeaturePlan,
    used: UsedRows,
    problems: UsedRows,
    number: Positions,
) -> FamilyChoice:
    """Return the family of the detector: principal components, unless another one finds more at
    equal false alarms, beyond the interval of the difference.

    `plan`: with the stride of the rows; `problems`: rows of problems, which are no normal rows,
    with the `number` of the problem of each. With fewer than five problems injected faults decide,
    and another family must find no fewer of the problems. Rows of a category with too few of them
    are left out.
    """
    if int((~spread_columns(plan)).sum()) < _LEAST_LEVELS:
        return FamilyChoice(COMPONENTS, "")
    if count_folds(len(used.at), plan) == _FEW_FOLDS:
        return FamilyChoice(
            COMPONENTS,
            f"principal components, because normal time is shorter than {_MANY_WINDOWS} windows, "
            "which is too short to compare them with other families",
        )
    every = -(-len(used.at) // _MOST_COMPARED)
    compared = used.select(used.at // plan.stride_ms % every == 0)
    thinned = replace(plan, stride_ms=every * plan.stride_ms)
    sorted_rows = None not in compared.categories
    learned = known_categories(compared, thinned, _FEW_FOLDS) if sorted_rows else {None}
    if not learned:
        return FamilyChoice(
            COMPONENTS,
            "principal components, because too few rows of each category are there to compare "
            "them with other families",
        )
    is_known = are_in(problems.categories, learned)
    numbers, number = np.unique(number[is_known], return_inverse=True)
    comparison = _Comparison(
        thinned,
        compared.select(are_in(compared.categories, learned)),
        problems.select(is_known),
        number,
    )
    by_problems = len(numbers) >= _LEAST_PROBLEMS
    rivals = [
        family
        for family in NAMES
        if family != COMPONENTS and (by_problems or comparison.screen(family))
    ]
    if not rivals:
        return FamilyChoice(
            COMPONENTS,
            "principal components, because relations are straight, and no states lie so far apart "
            "that isolation trees find more",
        )
    hits_of = {COMPONENTS: comparison.find_faults(definition, COMPONENTS)}
    count = comparison.injected
    decisive = slice(count, None) if by_problems else slice(0, count)
    if not hits_of[COMPONENTS][decisive].all():  # else none can find more
        hits_of |= {family: comparison.find_faults(definition, family) for family in rivals}
    best = COMPONENTS
    gains = ""
    for family in [*hits_of][1:]:
        low, high = _gain_interval(hits_of[family][decisive], hits_of[COMPONENTS][decisive])
        fewer = hits_of[family][count:].sum() < hits_of[COMPONENTS][count:].sum()
        more = hits_of[family][decisive].sum() > hits_of[best][decisive].sum()
        if low > 0 and not fewer and more:
            best = family
        gains += f", {NAMES[family]} {low:+.0%} to {high:+.0%}"
    faults = "problems" if by_problems else "faults injected into unseen rows"
    shares = ", ".join(
        f"{NAMES[family]} {hits[decisive].mean():.0%}" for family, hits in hits_of.items()
    )
    return FamilyChoice(
        best,
        f"{NAMES[best]} chosen by {len(hits_of[best][decisive])} {faults} at equal false alarms, "
        f"of which are found {shares}"
        + (f" (95 % interval of the difference{gains})" if gains else ""),
    )


def is_curved(rows: Floats, unseen: Floats) -> bool:
    """Return whether encoded levels (n x k) lie on a curve: in unseen rows (m x k) squares and
    products of their principal components explain a fifth of what is left of one of them beside a
    straight relation to the components."""
    components = fit_components(rows).components[:, :_MOST_SQUARED]
    pairs = np.triu_indices(components.shape[1])
    beside = []
    terms = []
    for side in (rows, unseen):
        inside = side @ components
        beside.append(side - inside @ components.T)
        squares = inside[:, pairs[0]] * inside[:, pairs[1]]
        terms.append(np.column_stack([np.ones(len(side)), inside, squares]))
    weights = np.linalg.lstsq(terms[0], beside[0], rcond=None)[0]
    unexplained = ((beside[1] - terms[1] @ weights) ** 2).sum(axis=0)
    return bool((unexplained < _LEFT_BY_CURVES * (beside[1] ** 2).sum(axis=0)).any())


def are_states_apart(rows: Floats) -> bool:
    """Return whether encoded levels (n x k) lie in states apart: within their principal components
    the lengths of rows vary less than in one normal distribution (kurtosis, Mardia 1970)."""
    fitted = fit_components(rows)
    length = squared_length(rows @ fitted.components * np.sqrt(fitted.inverse))
    count = len(fitted.inverse)
    return bool((length**2).mean() < _KURTOSIS * count * (count + 2))


def _gain_interval(hits: BoolArray, beside: BoolArray) -> tuple[float, float]:
    """Return the 95 % interval of how much more of the faults is found, by paired bootstrap."""
    gain = hits.astype(np.float64) - beside
    draws = np.random.default_rng(0).integers(0, len(gain), (_DRAWS, len(gain)))
    low, high = np.quantile(gain[draws].mean(axis=1), [_CHANCE, 1 - _CHANCE])
    return float(low), float(high)
