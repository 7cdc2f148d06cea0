"""The choice among the candidates of a training: the best, if it exceeds chance; persistence if no
candidate is better. And the tests of candidates and of the validation period against chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil, log
from typing import Any

import numpy as np

from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.fields.learning import MEAN, PERSISTENCE, SEASONAL
from alerting.definitions.wording.language import (
    Translatable,
    spoken_share,
    template,
    translatable,
    translatable_count,
)
from alerting.detection.problem_occurrences import Occurrences
from alerting.learning.data.dataset import Dataset
from alerting.learning.experiment.chance import ROUNDING, SHIFTS, ShiftedLabels
from alerting.learning.experiment.folds import Fold
from alerting.learning.score_metrics import row_metrics
from alerting.learning.selection.candidates import (
    Candidate,
    draw_fold,
    is_one_class,
    usable_folds,
)
from alerting.learning.selection.decision import threshold_alert
from alerting.learning.selection.decision_rules import Objection, explain
from alerting.readings.history import BoolArray

LEAST_PROBLEMS = 3  # in the rows that the folds score
QUANTILE = 0.975
MOST_BY_CHANCE = 1 - QUANTILE  # probability: of the rows, or of them and validation together
# probability: a figure of the rows beyond it is refused at once; the later ones hold a third as
# many problems
MOST_BY_ROWS = 0.2
# problems in validation: finding none of fewer is likely for a model of use; of so many it means
# that less than .28 of all are found (Wilson, 95 %)
ENOUGH_PROBLEMS = 10
LEAST_FOUND = 0.2  # share of them; a person decides on a model that finds less
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
    bootstrap samples. The chosen one must also pass the test before the onset; if it does not,
    the next one that does is chosen. A note says so. The returned test is that of the chosen one.
    """
    best = max(candidates, key=lambda c: c.ap)
    folds, _ = usable_folds(dataset, definition.learning.folds)
    shifted = ShiftedLabels(dataset, folds, definition.learning.seed)
    test = compare_best(best.ap, candidates, shifted.problems, shifted.prevalence)
    if not test.may_pass:
        return Choice(None, test)
    simple = next((c for c in candidates if c.family == PERSISTENCE and c.ap > test.bound), best)
    share = 1.0 if simple is best else _share_better(dataset, best, simple, folds)
    first = best if share >= CONFIDENCE else simple
    after = sorted((c for c in candidates if c is not first and c.ap > test.bound), key=_rank)
    chosen, onset = evaluate_onset(dataset, definition, candidates, [first, *after])
    # only the best may be below the bound, so any other one may pass, too
    test = compare_best(chosen.ap, candidates, shifted.problems, shifted.prevalence, onset)
    if not test.may_pass:
        return Choice(None, test)
    if chosen is best:
        return Choice(best, test)
    if chosen is first:
        why = "The last known value was chosen, because no candidate is clearly better."
        statistics = (
            f"Its average precision is {simple.ap:.3f}, that of {best.family} {best.ap:.3f}, "
            f"better in {spoken_share(share)} of the samples ({spoken_share(CONFIDENCE)} needed)."
        )
    else:
        why = (
            f"Not {name_family(first.family)} but {name_family(chosen.family)} was chosen, because "
            "it alone can forecast the problem before it is there."
        )
        statistics = f"Their average precision out of fold: {first.ap:.3f} and {chosen.ap:.3f}."
    return Choice(
        replace(chosen, notes=(*chosen.notes, why), statistics=(*chosen.statistics, statistics)),
        test,
    )


def _rank(candidate: Candidate) -> float:
    return -candidate.ap


_REPEATED = {
    PERSISTENCE: template("the last known value"),
    MEAN: template("the mean of all values"),
    SEASONAL: template("the value one season before"),
}


def name_family(family: str) -> str:
    """Return a family in words."""
    return _REPEATED.get(family, family.replace("_", " "))


def compare_best(
    ap: float,
    candidates: Sequence[Candidate],
    problems: int,
    prevalence: float | None = None,
    onset: OnsetTest | None = None,
) -> ChanceTest:
    """Return the test of an average precision against the best that these candidates reach by
    chance. The other values are those of `ChanceTest`."""
    # one bound for all families together: by a bound of its own each would let noise pass in 1 of
    # 40 trainings, and the best of them several times as often
    chance = np.max([c.chance for c in candidates], axis=0)
    return ChanceTest(
        ap=ap,
        bound=float(np.quantile(chance, QUANTILE)),
        trials=sum(c.trials for c in candidates),
        problems=problems,
        prevalence=prevalence,
        onset=onset,
        share=float((chance >= ap - ROUNDING).sum() + 1) / (len(chance) + 1),
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

    @property
    def finds_few(self) -> bool:
        """Return whether less than a fifth of many problems is found."""
        many = self.problems >= ENOUGH_PROBLEMS
        return many and self.problems_found / self.problems < LEAST_FOUND

    @property
    def finds_none(self) -> bool:
        """Return whether none of its problems is found."""
        return self.problems > 0 and not self.problems_found

    @property
    def values(self) -> dict[str, int]:
        """Return the values of the texts of objections."""
        return {"number": self.problems, "problems_found": self.problems_found}

    @property
    def message(self) -> Translatable:
        """Say how many problems are announced before they begin."""
        if not self.problems:
            return translatable("No problem occurs in the validation period.")
        return translatable_count(
            "It announces {found} of {number} problem of the validation period.",
            "It announces {found} of {number} problems of the validation period.",
            self.problems,
            found=self.problems_found,
        )

    def to_document(self) -> dict[str, Any]:
        """Return the fields as they are stored; JSON-able."""
        return {
            "found": self.problems_found,
            "problems": self.problems,
            "alarms": self.alarms,
            "share": self.share,
        }


def combine_shares(first: float, second: float) -> float:
    """Return the probability that chance makes the product of two independent probabilities so
    small (Fisher 1932): one from the rows that chose a model, one from later rows."""
    product = first * second
    return product * (1 - log(product)) if product else 0.0


@dataclass(frozen=True)
class OnsetTest:
    """Test of the candidate that would serve on the rows at which the problem has not begun.

    `ap`: its out-of-fold average precision on these rows; `bound`: quantile of the maximum over
    all candidates on shifted labels; `problems`: number of problems in these rows. `alert`: the
    definition of a threshold, as YAML, for a problem by values; else empty. `family`: that would
    serve.
    """

    ap: float
    bound: float
    problems: int
    alert: str = ""
    family: str = ""

    @property
    def passed(self) -> bool:
        """Return whether the candidate can forecast the problem before it begins."""
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
    dataset: Dataset,
    definition: TrainedDefinition,
    candidates: Sequence[Candidate],
    ranked: Sequence[Candidate],
) -> tuple[Candidate, OnsetTest | None]:
    """Return the first of the `ranked` candidates that passes the test on the rows of the folds at
    which the problem has not begun, and its test; if none passes, the one with the highest figure.

    The test is None, and the first candidate is returned, if these are all rows or have too few
    problems, and for the unit just made.
    """
    folds, _ = usable_folds(dataset, definition.learning.folds)
    present = find_present(dataset)
    if definition.is_of_unit or not any(present[fold.test].any() for fold in folds):
        return ranked[0], None
    ahead = [replace(fold, test=fold.test[~present[fold.test]]) for fold in folds]
    ahead = [fold for fold in ahead if not is_one_class(dataset.label[fold.test])]
    shifted = ShiftedLabels(dataset, ahead, definition.learning.seed)
    if shifted.problems < LEAST_PROBLEMS:
        return ranked[0], None
    chance = [
        shifted.evaluate([candidate.oof[rows] for rows in shifted.rows]) for candidate in candidates
    ]
    bound = float(np.quantile(np.max(chance, axis=0), QUANTILE))
    figures = [_mean_average_precision(dataset, shifted, candidate) for candidate in ranked]
    place = next((i for i, ap in enumerate(figures) if ap > bound), int(np.argmax(figures)))
    return ranked[place], OnsetTest(
        figures[place], bound, shifted.problems, threshold_alert(definition), ranked[place].family
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
    """Test of an out-of-fold average precision against the best that all trials reach by chance.

    `ap`: average precision of the candidate that would serve, else of the best. `bound`: 97.5 %
    quantile of the maximum over all `trials`, on SHIFTS shifts of the labels. `problems`: number of
    problems in the rows that the folds score; `prevalence`: share of these rows with a problem
    ahead, None if `ap` is no average precision of such rows. `onset`: the test on the rows at which
    the problem has not begun; None if these are all rows. `share`: probability of such an `ap` by
    chance, 1 if it was not measured. `validation`: the validation period compared with chance; None
    before.
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
    def facts(self) -> dict[str, Any]:
        """Return the values of a sentence on rows and validation."""
        rows = {"rows": self.share, "together": self.together, "most": MOST_BY_CHANCE}
        return rows | (self.validation.to_document() if self.validation else {})

    @property
    def is_above(self) -> bool:
        """Return whether `ap` of all rows is beyond chance."""
        return self.problems >= LEAST_PROBLEMS and self.ap > self.bound + ROUNDING

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
            f"{'Its' if self.is_above else 'The best'} average precision out of fold, "
            f"{self.ap:.3f}, "
            f"{'exceeds' if self.is_above else 'does not exceed'} what "
            f"{'one trial' if self.trials == 1 else f'the best of {self.trials:,} trials'} reaches "
            f"by chance in 1 of 40 cases, {self.bound:.3f} (labels shifted in time {SHIFTS} times)."
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
        longer = ""
        if self.objection == "too_few_to_tell":
            longer = "Use a longer history or fewer learning.folds. "
        elif self.onset is not None and self.onset.alert:
            return "The definition of that alert is ready to be applied."
        count = self.more_problems
        more = (
            "more problems"
            if count is None
            else f"about {count:,} more problem{'' if count == 1 else 's'} (if its figure stays)"
        )
        return (
            f"{longer}What may help: {more}, another horizon, variables that move before the "
            "problem, or `kind: anomaly`, which learns from normal operation alone."
        )

    @property
    def objection(self) -> Objection | None:
        """Return why scores are not beyond chance; None if they are."""
        if self.passed:
            return None
        if self.problems < LEAST_PROBLEMS:
            return "too_few_to_tell"
        is_present = self.onset is not None and not self.onset.passed
        return "nothing_to_forecast" if is_present else "not_above_chance"

    @property
    def values(self) -> dict[str, int]:
        """Return the values of the text of its objection."""
        return {"number": self.problems, "least": LEAST_PROBLEMS}

    @property
    def reason(self) -> Translatable | None:
        """Return in words why scores are not beyond chance; None if they are."""
        return None if self.objection is None else explain(self.objection, **self.values)

    def to_document(self) -> dict[str, Any]:
        """Return figures, result and sentence; JSON-able."""
        document = asdict(self)
        del document["validation"]
        document["found"] = self.validation and self.validation.to_document()
        return document | {"passed": self.passed, "message": str(self.message)}
