"""The experiment of a detector: fits to normal operation whose scores of rows that they have not
seen set its threshold, and the choice of its family, at equal false alarms, by the problems of the
history or by injected faults."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from math import comb
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.definitions.wording.language import ENGLISH, spoken_share
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
from alerting.learning.experiment.folds import Fold, cut_by_interval, evenly
from alerting.learning.features.plan import FeaturePlan
from alerting.readings.history import WEEK_MS, BoolArray, Floats, Millis, Positions, duration_millis
from alerting.readings.variable_series import Labels

_FEW_FOLDS = 4
_FOLDS = 10
_MANY_WINDOWS = 40  # of normal time, from which each of ten folds has several
_MOST_COMPARED = 4_000  # normal rows on which families are compared
_MOST_FAULTS = 600
_LEAST_EXCEEDING = 10  # windows, at most one in ten: of fewer a threshold would be chance
_BLOCKS = 40  # of normal time, drawn with their faults
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
    """Return the threshold of raw scores, chosen in the way that the definition states. `at`: the
    instant (ms) of each score."""
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


class FaultScores(NamedTuple):
    """Scores by one family, out of fold: the highest of each window of `normal` time (n), and of
    each of `faults` (m): of those injected, then of problems."""

    normal: Floats
    faults: Floats

    def find(self, exceeding: int, counts: npt.NDArray[np.int64]) -> BoolArray:
        """Return which faults (d x m) score above all but `exceeding` windows of normal time, each
        of which counts so often (`counts`, d x n)."""
        order = np.argsort(-self.normal)
        place = (np.cumsum(counts[:, order], axis=1) <= exceeding).sum(axis=1)
        limits = self.normal[order[np.minimum(place, len(order) - 1)]]
        return np.asarray(self.faults > limits[:, None])


class FamilyComparison(NormalExperiment):
    """Rows of faults stand behind `normal` rows, and are scored by a fit that has not seen them:
    injected faults of one row each, and then the rows of each problem, of this rising `number`.

    Normal rows and faults of the first fold screen families (`screen`); the others decide.
    `windows`: how many windows of normal time decide; `origin`: the window of each injected fault
    that decides.
    """

    def __init__(
        self, plan: FeaturePlan, used: UsedRows, problems: UsedRows, number: Positions
    ) -> None:
        super().__init__(plan, used, _FEW_FOLDS)
        self.normal = self.rows
        in_fold = np.zeros(self.rows, np.int64)
        for place, fold in enumerate(self.folds):
            in_fold[fold.test] = place
        self._decisive = np.flatnonzero(in_fold > 0)
        _, self._begins, window = np.unique(
            used.at[self._decisive] // plan.longest_window_ms,
            return_index=True,
            return_inverse=True,
        )
        self.windows = len(self._begins)
        chosen = evenly(self._decisive, _MOST_FAULTS)
        self.origin = window[np.searchsorted(self._decisive, chosen)]
        screened = evenly(np.flatnonzero(in_fold == 0), _MOST_FAULTS // (_FEW_FOLDS - 1))
        chosen = np.sort(np.concatenate([chosen, screened]))
        groups = [range(block.start, block.stop) for block in plan.number_blocks.values()]
        normal = used.select(chosen)
        injected = inject_in_turn(plan, groups, normal.matrix, normal.categories)
        of_fault = np.concatenate([in_fold[chosen], number % (len(self.folds) - 1) + 1])
        self._decides = of_fault > 0
        fault = np.concatenate([np.arange(len(chosen)), len(chosen) + number])
        self._first = np.unique(fault[self._decides], return_index=True)[1]
        self._screening, *self.folds = [
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
        fold = self._screening
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
        hits = []
        for fitted in (components, self.fit({"family": family}, fold)):
            scores = self.predict(fitted, {}, fold.test)
            limit = np.quantile(scores[is_normal], _SCREENED)
            hits.append(int((scores[~is_normal] > limit).sum()))
        return hits[1] > hits[0]

    def score_faults(self, family: str) -> FaultScores:
        """Return the scores that a family gives to what decides."""
        scores = self.out_of_fold({"family": family})
        return FaultScores(
            np.maximum.reduceat(scores[self._decisive], self._begins),
            np.maximum.reduceat(scores[self.normal :][self._decides], self._first),
        )


def count_exceeding(definition: AnomalyDefinition, window_ms: int, windows: int) -> int:
    """Return in how many of these windows of normal time a score may be above the threshold at
    which families are compared: as many as the definition allows, but at least ten, or one in ten
    of fewer than a hundred."""
    share = definition.threshold.time_in_alarm
    if share is None:
        share = definition.false_alarms_per_week * window_ms / WEEK_MS
    least = max(min(_LEAST_EXCEEDING, windows // 10), 1)
    return min(max(round(windows * share), least), windows - 1)


def choose_family(
    definition: AnomalyDefinition,
    plan: FeaturePlan,
    used: UsedRows,
    problems: UsedRows,
    number: Positions,
) -> FamilyChoice:
    """Return the family of the detector: principal components, unless another one finds more where
    as many windows of normal time exceed its threshold, beyond chance.

    `plan`: with the stride of the rows; `problems`: rows of problems, which are no normal rows,
    with the `number` of the problem of each. With too few problems to be beyond chance injected
    faults decide, and another family must find no fewer of the problems. Rows of a category with
    too few of them are left out.
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
    number = np.unique(number[is_known], return_inverse=True)[1]
    comparison = FamilyComparison(
        thinned,
        compared.select(are_in(compared.categories, learned)),
        problems.select(is_known),
        number,
    )
    if 2 * comparison.windows < _BLOCKS:
        return FamilyChoice(
            COMPONENTS,
            "principal components, because nearly all normal time lies together, and the rest is "
            "too short to compare them with other families",
        )
    rivals = [family for family in NAMES if family != COMPONENTS and comparison.screen(family)]
    if not rivals:
        return FamilyChoice(
            COMPONENTS,
            "principal components, because relations are straight, and no states lie so far apart "
            "that isolation trees find more",
        )
    exceeding = count_exceeding(definition, plan.longest_window_ms, comparison.windows)
    return _decide(comparison, exceeding, rivals)


def _decide(comparison: FamilyComparison, exceeding: int, rivals: Collection[str]) -> FamilyChoice:
    """Return the family that finds most where so many normal windows exceed its threshold."""
    scores_of = {family: comparison.score_faults(family) for family in (COMPONENTS, *rivals)}
    once = np.ones((1, comparison.windows), np.int64)
    hits_of = {name: scores.find(exceeding, once)[0] for name, scores in scores_of.items()}
    count = len(comparison.origin)
    least_chance = _CHANCE / len(rivals)
    by_problems = _chance(len(hits_of[COMPONENTS]) - count, 0) <= least_chance
    decisive = slice(count, None) if by_problems else slice(0, count)
    best = COMPONENTS
    gains = ""
    for family in rivals:
        sides = hits_of[family], hits_of[COMPONENTS]
        gained, lost = (int((a & ~b)[decisive].sum()) for a, b in (sides, sides[::-1]))
        if by_problems:
            chance = _chance(gained, lost)
            is_beyond = chance <= least_chance
            gains += f", {NAMES[family]} {gained} more and {lost} fewer, p = {chance:.2g}"
        else:
            beside = scores_of[family], scores_of[COMPONENTS]
            low, high = _gain_interval(beside, exceeding, comparison.origin, least_chance)
            is_beyond = low > 0
            gains += f", {NAMES[family]} {ENGLISH.points(low)} to {ENGLISH.points(high)}"
        fewer = hits_of[family][count:].sum() < hits_of[COMPONENTS][count:].sum()
        more = hits_of[family][decisive].sum() > hits_of[best][decisive].sum()
        if is_beyond and not fewer and more:
            best = family
    faults = "problems" if by_problems else "faults injected into unseen rows"
    interval = f"{100 * (1 - 2 * least_chance):g} % interval of the difference"
    shares = ", ".join(
        f"{NAMES[family]} {spoken_share(hits[decisive].mean())}" for family, hits in hits_of.items()
    )
    return FamilyChoice(
        best,
        f"{NAMES[best]} chosen by {len(hits_of[best][decisive])} {faults} at equal false alarms, "
        f"of which are found {shares} "
        f"({'sign test' if by_problems else interval}{gains})",
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


def _chance(gained: int, lost: int) -> float:
    """Return the probability that of problems of which only one family finds each, at least
    `gained` are those of one family (exact sign test, one side)."""
    number = gained + lost
    return float(sum(comb(number, k) for k in range(gained, number + 1)) / 2**number)


def _gain_interval(
    sides: tuple[FaultScores, FaultScores], exceeding: int, origin: Positions, chance: float
) -> tuple[float, float]:
    """Return the interval, with this `chance` on either side, of how much more of the injected
    faults the first of two families finds. Blocks of normal time are drawn with the faults that
    were injected into them (`origin`), so that both thresholds vary as they would on other normal
    time."""
    windows = len(sides[0].normal)
    blocks = min(_BLOCKS, windows)
    block = np.arange(windows) * blocks // windows
    shares = np.full(blocks, 1 / blocks)
    drawn = np.random.default_rng(0).multinomial(blocks, shares, _DRAWS)[:, block]
    new, old = (side.find(exceeding, drawn)[:, : len(origin)] for side in sides)
    weights = drawn[:, origin]
    gains = (weights * (new.astype(np.float64) - old)).sum(axis=1) / weights.sum(axis=1)
    return float(np.quantile(gains, chance)), float(np.quantile(gains, 1 - chance))
