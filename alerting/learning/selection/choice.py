"""The choice among the candidates of a training: the best, if it exceeds chance; persistence if no
candidate is better. And chance: the metrics that scores reach on labels unrelated to them.

Labels are shifted circularly in time within each asset and fold, so their runs and the spacing of
problems stay while their relation to the scores is lost. Every trial is scored on the same shifts:
the maximum over all trials is then what the best of a whole search reaches by chance, and no model
is fitted again (Westfall and Young 1993, on shifts instead of permutations).

The rows after a problem (its recovery) are no rows of a fold. A score that varies slowly, and is
high before a problem by chance, would be high there too. So as many rows after a shifted problem
are left out; otherwise noise exceeds its bound twice as often as stated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil, log, sqrt
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.fields.learning import PERSISTENCE
from alerting.definitions.wording.language import spoken_share
from alerting.detection.problem_occurrences import Occurrences
from alerting.learning.data.dataset import Dataset
from alerting.learning.score_metrics import row_metrics
from alerting.learning.selection.candidates import (
    MOST_SEARCHED,
    Candidate,
    Fold,
    Positions,
    draw_fold,
    evenly,
    is_one_class,
    usable_folds,
)
from alerting.learning.selection.decision import threshold_alert
from alerting.readings.history import BoolArray, Floats

LEAST_PROBLEMS = 3  # in the rows that the folds score
QUANTILE = 0.975
MOST_BY_CHANCE = 1 - QUANTILE  # probability: of the rows, or of them and validation together
# probability: a figure of the rows beyond it is refused at once; the later ones hold a third as
# many problems
MOST_BY_ROWS = 0.2
# problems in validation: finding none of fewer is likely for a model of use; of so many it means
# that less than .28 of all are found (Wilson, 95 %)
ENOUGH_PROBLEMS = 10
_ROUNDING = 1e-9  # equal scores reach the prevalence, but not to the last bit
_ROUNDED_FROM = 20  # problems; a forecast of more is no more exact than tens
# times the known problems; beyond it the figure is hardly above guessing, and no number is honest
_MOST_MORE = 10
# share of the bootstrap samples in which a candidate must be better than persistence
CONFIDENCE = 0.9


@dataclass(frozen=True)
class Choice:
    """The candidate that becomes the challenger if it passes the test against chance (None if it
    cannot), and the test on its rows."""

    candidate: Candidate | None
    chance: ChanceTest


def choose(
    dataset: Dataset, definition: TrainedDefinition, candidates: Sequence[Candidate]
) -> Choice:
    """Choose the candidate with the best out-of-fold average precision; none if chance explains it
    so well that validation cannot confirm it.

    Persistence is chosen, if it exceeds chance too, unless the best is better in nine of ten
    bootstrap samples; a note says so.
    """
    best = max(candidates, key=lambda c: c.ap)
    folds, _ = usable_folds(dataset, definition.learning.folds)
    shifted = ShiftedLabels(dataset, folds, definition.learning.seed)
    test = compare_best(best.ap, candidates, shifted.problems)
    test = replace(test, prevalence=shifted.prevalence)
    if test.may_pass:
        test = replace(test, onset=evaluate_onset(dataset, definition, candidates))
    if not test.may_pass:
        return Choice(None, test)
    simple = next((c for c in candidates if c.family == PERSISTENCE and c.ap > test.bound), best)
    share = 1.0 if simple is best else _share_better(dataset, best, simple, folds)
    if share >= CONFIDENCE:
        return Choice(best, test)
    why = (
        "The last known value was chosen, because no candidate is clearly better.",
        f"Its average precision is {simple.ap:.3f}, that of {best.family} {best.ap:.3f}, better in "
        f"{spoken_share(share)} of the samples ({spoken_share(CONFIDENCE)} needed).",
    )
    return Choice(replace(simple, notes=(*simple.notes, *why)), test)


def compare_best(ap: float, candidates: Sequence[Candidate], problems: int) -> ChanceTest:
    """Return the test of the best average precision of these candidates, without the test before
    the onset."""
    # one bound for all families together: by a bound of its own each would let noise pass in 1 of
    # 40 trainings, and the best of them several times as often
    chance = np.max([c.chance for c in candidates], axis=0)
    return ChanceTest(
        ap=ap,
        bound=float(np.quantile(chance, QUANTILE)),
        trials=sum(c.trials for c in candidates),
        problems=problems,
        share=float((chance >= ap - _ROUNDING).sum() + 1) / (len(chance) + 1),
    )


def _share_better(
    dataset: Dataset, candidate: Candidate, simple: Candidate, folds: Sequence[Fold]
) -> float:
    """Return the share of bootstrap samples (`draw_fold`) in which a candidate's average precision
    is better than another's.

    It is 0 if no fold has enough problems to be resampled, because an unknown lead does not count.
    """
    drawn = [
        [draw_fold(dataset, fold, c.oof[fold.test])["ap"] for fold in folds]
        for c in (candidate, simple)
    ]
    lead = np.mean(drawn[0], axis=0) - np.mean(drawn[1], axis=0)
    leads = lead[~np.isnan(lead)]
    return float(np.mean(leads > 0)) if len(leads) else 0.0


@dataclass(frozen=True)
class ValidationChance:
    """The validation period, which chose no model, beside chance.

    `problems_found`: number of its `problems` that the `alarms` at the threshold found. `share`:
    probability by chance that the rows before its problems score so high (`placed_share`); the
    number found would say little with a few problems.
    """

    problems_found: int
    problems: int
    alarms: int
    share: float

    def to_document(self) -> dict[str, Any]:
        """Return the fields as they are stored; JSON-able."""
        counts = {"found": self.problems_found, "problems": self.problems, "alarms": self.alarms}
        return {**counts, "share": self.share}


def combine_shares(first: float, second: float) -> float:
    """Return the probability that chance makes the product of two independent probabilities so
    small (Fisher 1932): one from the rows that chose a model, one from later rows."""
    product = first * second
    return product * (1 - log(product)) if product else 0.0


@dataclass(frozen=True)
class OnsetTest:
    """Test of the candidates on the rows at which the problem has not begun.

    `ap`: best out-of-fold average precision on these rows; `bound`: quantile of the maximum over
    the candidates on shifted labels; `problems`: number of problems in these rows. `alert`: the
    definition of a threshold, as YAML, for a problem by values; else empty.
    """

    ap: float
    bound: float
    problems: int
    alert: str = ""

    @property
    def passed(self) -> bool:
        """Return whether the candidates can forecast the problem before it begins."""
        return self.ap > self.bound

    @property
    def message(self) -> str:
        """Describe the failed test in a sentence."""
        return (
            "There is nothing to forecast here: on the rows at which the problem is not there yet, "
            f"the best average precision out of fold, {self.ap:.3f}, does not exceed what chance "
            f"reaches in 1 of 40 cases, {self.bound:.3f}."
        )


def find_present(dataset: Dataset) -> BoolArray:
    """Return a mask of the rows at which the variable is beyond its limit or a problem is under
    way."""
    present = np.zeros(len(dataset.at), np.bool_)
    for name, occurrences in dataset.occurrences.groupby("asset", sort=False):
        rows = np.flatnonzero(dataset.asset == name)
        present[rows] = Occurrences.from_columns(occurrences.sort_values("start")).hold_at(
            dataset.at[rows]
        )
    return present


def evaluate_onset(
    dataset: Dataset, definition: TrainedDefinition, candidates: Sequence[Candidate]
) -> OnsetTest | None:
    """Test the candidates on the rows of the folds at which the problem has not begun; None if
    these are all rows or have too few problems, and for the unit just made."""
    folds, _ = usable_folds(dataset, definition.learning.folds)
    present = find_present(dataset)
    if definition.is_of_unit or not any(present[fold.test].any() for fold in folds):
        return None
    ahead = [replace(fold, test=fold.test[~present[fold.test]]) for fold in folds]
    ahead = [fold for fold in ahead if not is_one_class(dataset.label[fold.test])]
    shifted = ShiftedLabels(dataset, ahead, definition.learning.seed)
    if shifted.problems < LEAST_PROBLEMS:
        return None
    chance = [
        shifted.evaluate([candidate.oof[rows] for rows in shifted.rows]) for candidate in candidates
    ]
    return OnsetTest(
        ap=max(_mean_average_precision(dataset, shifted, candidate) for candidate in candidates),
        bound=float(np.quantile(np.max(chance, axis=0), QUANTILE)),
        problems=shifted.problems,
        alert=threshold_alert(definition),
    )


def _mean_average_precision(
    dataset: Dataset, shifted: ShiftedLabels, candidate: Candidate
) -> float:
    precisions = [
        row_metrics(dataset.label[rows], candidate.oof[rows])["ap"] for rows in shifted.rows
    ]
    return float(np.mean([ap or 0.0 for ap in precisions]))


@dataclass(frozen=True)
class ChanceTest:
    """Test of the best out-of-fold average precision against the best that all trials reach by
    chance.

    `ap`: average precision of the best candidate. `bound`: 97.5 % quantile of the maximum over all
    `trials`, on SHIFTS shifts of the labels. `problems`: number of problems in the rows that the
    folds score; `prevalence`: share of these rows with a problem ahead, None if `ap` is no average
    precision of such rows. `onset`: the test on the rows at which the problem has not begun; None
    if these are all rows. `share`: probability of such an `ap` by chance, 1 if it was not measured.
    `validation`: the validation period compared with chance; None before.
    """

    ap: float
    bound: float
    trials: int
    problems: int
    prevalence: float | None = None
    onset: OnsetTest | None = None
    share: float = 1.0
    validation: ValidationChance | None = None

    @property
    def passed(self) -> bool:
        """Return whether `ap` is beyond chance, alone or together with validation, and also before
        the problem begins; False with too few problems."""
        return self.may_pass and (self.is_above or self.is_confirmed)

    @property
    def may_pass(self) -> bool:
        """Return whether the validation period may decide if `ap` alone does not."""
        enough = self.problems >= LEAST_PROBLEMS and self.share <= MOST_BY_ROWS
        return (self.is_above or enough) and (self.onset is None or self.onset.passed)

    @property
    def is_confirmed(self) -> bool:
        """Return whether rows and validation together are beyond chance."""
        return self.together is not None and self.together <= MOST_BY_CHANCE

    @property
    def together(self) -> float | None:
        """Return the probability by chance of `ap` and validation together; None before validation,
        and if that has no problem."""
        if self.validation is None or not self.validation.problems:
            return None
        return combine_shares(self.share, self.validation.share)

    @property
    def missed_only_few_problems(self) -> bool:
        """Return whether it does not count against the model that its threshold finds no problem of
        the validation period: there are few, it raises alarms, and rows and validation together are
        beyond chance."""
        validation = self.validation
        return (
            validation is not None
            and not validation.problems_found
            and validation.problems < ENOUGH_PROBLEMS
            and validation.alarms > 0
            and self.is_confirmed
        )

    @property
    def facts(self) -> dict[str, Any]:
        """Return the values of a sentence on rows and validation."""
        rows = {"rows": self.share, "together": self.together, "most": MOST_BY_CHANCE}
        return rows | (self.validation.to_document() if self.validation else {})

    @property
    def is_above(self) -> bool:
        """Return whether `ap` of all rows is beyond chance."""
        return self.problems >= LEAST_PROBLEMS and self.ap > self.bound + _ROUNDING

    @property
    def message(self) -> str:
        """Describe the result in a sentence."""
        if self.problems < LEAST_PROBLEMS:
            return (
                f"Too few problems to tell a model from chance: {self.problems} in the rows that "
                f"the folds score, {LEAST_PROBLEMS} are needed; use a longer history or fewer "
                "learning.folds."
            )
        if self.onset is not None and not self.onset.passed:
            return self.onset.message
        rows = (
            f"The best average precision out of fold, {self.ap:.3f}, "
            f"{'exceeds' if self.is_above else 'does not exceed'} what the best of {self.trials} "
            f"trials reaches by chance in 1 of 40 cases, {self.bound:.3f} (labels shifted in time "
            f"{SHIFTS} times)."
        )
        if self.is_above or not self.is_confirmed:
            return rows
        return rows + (
            " But with its scores before the {problems} problems of the validation period, it "
            "comes by chance in {together:.1%} of the cases (at most {most:.1%} are allowed)."
        ).format_map(self.facts).replace("%", " %")

    @property
    def more_problems(self) -> int | None:
        """Return about how many more problems would show that `ap`, if it stays, is beyond chance;
        None if that cannot be said.

        The excess of chance over the prevalence falls with the square root of the number of
        problems.
        """
        if (
            self.is_above
            or self.is_confirmed
            or self.prevalence is None
            or self.ap <= self.prevalence
            or self.problems < LEAST_PROBLEMS
        ):
            return None
        needed = self.problems * ((self.bound - self.prevalence) / (self.ap - self.prevalence)) ** 2
        more = max(1, ceil(needed - self.problems))
        return (
            round(more, -1 if more >= _ROUNDED_FROM else 0)
            if more <= _MOST_MORE * self.problems
            else None
        )

    @property
    def remedy(self) -> str:
        """Return what may lead to a model after a training that did not exceed chance."""
        if self.onset is not None and self.onset.alert:
            return (
                "An alert at the limit says as much, without a model; its definition is ready for "
                "`alerting apply`."
            )
        count = self.more_problems
        more = (
            "more problems"
            if count is None
            else f"about {count:,} more problem{'' if count == 1 else 's'} (if its figure stays)"
        )
        return (
            f"What may help: {more}, another horizon, variables that move before the problem, or "
            "`kind: anomaly`, which learns from normal operation alone."
        )

    def to_document(self) -> dict[str, Any]:
        """Return figures, result and sentence; JSON-able."""
        document = asdict(self)
        del document["validation"]
        document["found"] = self.validation and self.validation.to_document()
        return document | {"passed": self.passed, "message": self.message}


SHIFTS = 400
PLACEMENTS = 2_000
NOTHING_TRIED = np.zeros(SHIFTS)  # of nothing tried
_AT_ONCE = 4_000_000  # ranks that are sorted together
Ranks = npt.NDArray[np.int32]


class _AssetRows(NamedTuple):
    """Some rows of a fold: their `position` among the rows of their asset; where these rows `begin`
    in the fold, and their number (`length`); and the number of the `asset`."""

    position: Positions
    begin: Positions
    length: Positions
    asset: Positions

    def shift(self, offsets: npt.NDArray[np.int64]) -> Positions:
        """Return the positions of the rows after shifts (shifts x assets)."""
        moved: Positions = (self.position + offsets[:, self.asset]) % self.length
        return self.begin + moved


@dataclass(frozen=True)
class _ShiftedFold:
    """The scored rows of a fold, and where its positives lie after each shift.

    `after`: the rows after problems, which shifts leave out. `offsets`: shifts x assets.
    """

    rows: Positions
    positive: _AssetRows
    after: _AssetRows
    offsets: npt.NDArray[np.int64]

    @property
    def prevalence(self) -> float:
        return len(self.positive.position) / max(len(self.rows), 1)

    def average_precisions(self, score: Floats) -> Floats:
        """Return the average precision of the scores of the rows on each shift of the labels."""
        if not len(self.positive.position):
            return np.zeros(SHIFTS)
        at_or_above = (len(score) - np.searchsorted(np.sort(score), score, side="left")).astype(
            np.int32
        )
        moved = len(self.positive.position) + len(self.after.position)
        step = max(_AT_ONCE // moved, 1)
        return np.concatenate(
            [self._shift(at_or_above, self.offsets[i : i + step]) for i in range(0, SHIFTS, step)]
        )

    def _shift(self, at_or_above: Ranks, offsets: npt.NDArray[np.int64]) -> Floats:
        """Return the average precision on some shifts. `at_or_above`: rows that score no lower."""
        below = np.sort(at_or_above[self.positive.shift(offsets)], axis=1)
        hits = np.broadcast_to(np.arange(1, below.shape[1] + 1), below.shape)
        ties = below[:, :-1] == below[:, 1:]
        if ties.any():  # rows of one score are found together
            last = np.where(np.pad(ties, ((0, 0), (0, 1))), below.shape[1], hits)
            hits = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
        count = len(self.after.position)
        if count:
            left_out = np.sort(at_or_above[self.after.shift(offsets)], axis=1)
            # all shifts are searched at once, each in a range of its own
            number = np.arange(len(offsets))[:, None]
            start = number * (len(at_or_above) + 1)
            before = np.searchsorted((left_out + start).ravel(), below + start, side="right")
            negative = len(at_or_above) - below.shape[1]
            # the other rows without a problem count for those left out: their share stays
            weight = negative / max(negative - count, 1)
            below = hits + weight * (below - (before - number * count) - hits)
        return np.asarray((hits / below).mean(axis=1), np.float64)


class ShiftedLabels:
    """The labels of the scored rows of all folds, shifted SHIFTS times, each time by the same
    shifts.

    `rows`: by fold, the positions of its scored rows: all test rows; of a large table as many as a
    search uses, evenly in time. `problems`: runs of rows with a problem ahead among them.
    """

    def __init__(self, dataset: Dataset, folds: Sequence[Fold], seed: int) -> None:
        total = sum(len(fold.test) for fold in folds)
        random = np.random.default_rng(seed)
        self._folds = [
            _shift_fold(
                dataset,
                evenly(fold.test, ceil(len(fold.test) * min(1.0, MOST_SEARCHED / total))),
                random,
            )
            for fold in folds
        ]
        self.rows = [fold.rows for fold in self._folds]
        self._problems = [dataset.count_problems(rows) for rows in self.rows]
        self.problems = sum(self._problems)

    @property
    def prevalence(self) -> float:
        """Return the share of rows with a problem ahead, on average over the folds."""
        return float(np.mean([fold.prevalence for fold in self._folds])) if self._folds else 0.0

    def evaluate(self, scores: Sequence[Floats]) -> Floats:
        """Return the mean average precision over the folds on each shift, of scores of `rows`.

        A pruned trial has scored only the first folds, whose few problems scatter more than those
        of all folds. Its excess over their prevalence counts by the square root of their share of
        all problems, so that it scatters as if it had scored all folds.
        """
        above = np.mean(
            [
                fold.average_precisions(score) - fold.prevalence
                for fold, score in zip(self._folds, scores, strict=False)
            ],
            axis=0,
        )
        scored = sum(self._problems[: len(scores)]) / max(self.problems, 1)
        return np.asarray(above * sqrt(scored) + self.prevalence, np.float64)


def _shift_fold(dataset: Dataset, rows: Positions, random: np.random.Generator) -> _ShiftedFold:
    """Draw a fold's shifts, none shorter than a label looks ahead, if rows allow."""
    _, first, number = np.unique(
        dataset.asset[rows].astype(str), return_index=True, return_inverse=True
    )
    counts = np.bincount(number)
    near = _label_length(dataset)
    least = np.minimum(near, counts // 4)
    offsets = random.integers(
        least, np.maximum(counts - least, least + 1), size=(SHIFTS, len(counts))
    )
    positive = np.flatnonzero(dataset.label[rows] == 1)
    after = _rows_after(dataset, rows, near)

    def locate(chosen: Positions) -> _AssetRows:
        asset = number[chosen]
        return _AssetRows(chosen - first[asset], first[asset], counts[asset], asset)

    return _ShiftedFold(rows, locate(positive), locate(after), offsets)


def _label_length(dataset: Dataset) -> int:
    """Return how many rows a label looks ahead."""
    return max(1, ceil((dataset.gap_ms + dataset.horizon_ms) / dataset.plan.stride_ms))


def _rows_after(dataset: Dataset, rows: Positions, most: int) -> Positions:
    """Return the rows (positions among `rows`) that represent the rows without evaluation after a
    problem: after each problem as many rows as are missing, at most `most`, except rows before a
    problem."""
    label = dataset.label[rows]
    at = dataset.at[rows]
    asset = dataset.asset[rows]
    if len(rows) < 2:
        return np.empty(0, np.int64)
    usual = max(dataset.plan.stride_ms, float(np.median(np.abs(np.diff(at)))))
    missing = np.diff(at) / usual - 1
    last = np.flatnonzero((label[:-1] == 1) & (asset[1:] == asset[:-1]) & (missing >= 1))
    count = np.minimum(missing[last], most).astype(np.int64)
    rows_by_distance = [
        last[count > number] + 1 + number for number in range(int(count.max(initial=0)))
    ]
    rows_after = np.unique(np.concatenate([np.empty(0, np.int64), *rows_by_distance]))
    rows_after = rows_after[rows_after < len(rows)]
    return np.asarray(rows_after[label[rows_after] == 0], np.int64)


def placed_share(dataset: Dataset, rows: Positions, score: Floats, seed: int) -> float:
    """Return the probability that chance ranks the rows before problems so high; 1 without any.

    `rows`: rows that chose no model; `score`: of all rows of the dataset. Each problem is placed
    PLACEMENTS times anywhere among the rows of its asset, independently, because few rows allow too
    few different common shifts for a small probability. If problems come independently of each
    other, it is exact for any score, even a slow one; problems at regular intervals are not taken
    for chance. Rows count by Savage's scores (1956), minus the logarithm of the share of rows that
    score as high, because the highest scores raise the alarms; the mean before problems is compared
    with that of the other rows.
    """
    rows = evenly(rows, min(len(rows), MOST_SEARCHED))
    score = score[rows]
    positive = np.flatnonzero(dataset.label[rows] == 1)
    if not len(positive) or len(positive) == len(rows):
        return 1.0
    _, first, number = np.unique(
        dataset.asset[rows].astype(str), return_index=True, return_inverse=True
    )
    counts = np.bincount(number)
    begins = dataset.begin_problems(rows)
    problem = np.cumsum(begins) - 1
    length = counts[number[begins]]
    after = _rows_after(dataset, rows, _label_length(dataset))

    def locate(chosen: Positions) -> _AssetRows:
        begin = first[number[chosen]]
        return _AssetRows(chosen - begin, begin, counts[number[chosen]], problem[chosen])

    as_high = len(score) - np.searchsorted(np.sort(score), score, side="left")
    savage = -np.log(as_high / len(score))
    placed = (locate(positive), locate(after))
    none_after = (placed[0], locate(after[:0]))
    observed = _lead(savage, none_after, np.zeros((1, len(length)), np.int64))[0]
    random = np.random.default_rng(seed)
    step = max(_AT_ONCE // (len(positive) + len(after)), 1)
    reached = 0
    for done in range(0, PLACEMENTS, step):
        size = (min(step, PLACEMENTS - done), len(length))
        leads = _lead(savage, placed, random.integers(0, length, size=size))
        reached += int((leads >= observed - _ROUNDING).sum())
    return (reached + 1) / (PLACEMENTS + 1)


def _lead(value: Floats, placed: tuple[_AssetRows, _AssetRows], offsets: Positions) -> Floats:
    """Return, for some placements, the mean of a value before problems minus its mean over other
    rows. `placed`: the rows before problems, and those after them, which are left out."""
    positive, after = placed
    count = len(positive.position)
    others = max(len(value) - count - len(after.position), 1)
    total_before = value[positive.shift(offsets)].sum(axis=1)
    total_after = value[after.shift(offsets)].sum(axis=1)
    total_others = value.sum() - total_before - total_after
    return np.asarray(total_before / count - total_others / others, np.float64)
