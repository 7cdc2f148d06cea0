"""The choice among the candidates of a training: the best, if it exceeds chance; persistence where
nothing is better than it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil, log
from typing import Any

import numpy as np
import yaml

from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.faults import format_duration
from alerting.definitions.fields.learning import PERSISTENCE
from alerting.definitions.fields.names_and_times import NAME_LENGTH
from alerting.detection.occurrences import Occurrences
from alerting.detection.problems import BoolArray
from alerting.learning.data.dataset import Dataset
from alerting.learning.metrics.metrics import row_metrics
from alerting.learning.search.candidates import Candidate, Fold, draw_fold, usable_folds
from alerting.learning.search.chance import SHIFTS, ShiftedLabels

_SUFFIX = "-at-limit"
_SAME_FIELDS = ("assets", "severity", "owner", "tags", "guidance", "suppression", "notify")
_OF_CONDITION = ("variable", "above", "below", "equals", "any", "all")
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
CONFIDENCE = (
    0.9  # share of the bootstrap samples in which a candidate must be better than persistence
)


@dataclass(frozen=True)
class ValidationChance:
    """The validation period, which chose no model, beside chance.

    `found`: of its `problems`, by the `alarms` of the threshold. `share`: probability by chance
    that the rows before its problems score so high (`placed_share`): not of the number found, which
    tells little of a few problems.
    """

    found: int
    problems: int
    alarms: int
    share: float


def combine_shares(first: float, second: float) -> float:
    """Return the probability that chance makes the product of two independent probabilities so
    small (Fisher 1932): of rows that chose a model, and of later ones."""
    product = first * second
    return product * (1 - log(product)) if product else 0.0


@dataclass(frozen=True)
class OnsetTest:
    """Test of the candidates on the rows at which the problem is not there yet.

    `ap`: the best average precision out of fold there; `bound`: the quantile of the maximum over
    the candidates on shifted labels; `problems`: in these rows. `alert`: the definition of a
    threshold, as YAML, for a problem by values; else empty.
    """

    ap: float
    bound: float
    problems: int
    alert: str = ""

    @property
    def passed(self) -> bool:
        """Return whether something can be forecast."""
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
    """Return at which rows the problem's condition is known to hold: its variable is beyond its
    limit, or a problem is under way."""
    present = np.zeros(len(dataset.at), np.bool_)
    for name, own in dataset.occurrences.groupby("asset", sort=False):
        rows = np.flatnonzero(dataset.asset == name)
        present[rows] = Occurrences.from_columns(own.sort_values("start")).hold_at(dataset.at[rows])
    return present


def evaluate_onset(
    dataset: Dataset,
    definition: TrainedDefinition,
    candidates: Sequence[Candidate],
    least_problems: int,
    quantile: float,
) -> OnsetTest | None:
    """Test the candidates on the rows of the folds at which the problem is not there yet; None
    where these are all rows, or hold too few problems to tell, and of the unit just made."""
    folds, _ = usable_folds(dataset, definition.learning.folds)
    present = find_present(dataset)
    if definition.is_of_unit or not any(present[fold.test].any() for fold in folds):
        return None
    ahead = [replace(fold, test=fold.test[~present[fold.test]]) for fold in folds]
    ahead = [fold for fold in ahead if _has_both_classes(dataset, fold)]
    shifted = ShiftedLabels(dataset, ahead, definition.learning.seed)
    if shifted.problems < least_problems:
        return None
    chance = [shifted.evaluate([one.oof[rows] for rows in shifted.rows]) for one in candidates]
    return OnsetTest(
        ap=max(_mean_average_precision(dataset, shifted, one) for one in candidates),
        bound=float(np.quantile(np.max(chance, axis=0), quantile)),
        problems=shifted.problems,
        alert=threshold_alert(definition),
    )


def _has_both_classes(dataset: Dataset, fold: Fold) -> bool:
    label = dataset.label[fold.test]
    return bool(0 < label.sum() < len(label))


def _mean_average_precision(dataset: Dataset, shifted: ShiftedLabels, one: Candidate) -> float:
    found = [row_metrics(dataset.label[rows], one.oof[rows])["ap"] for rows in shifted.rows]
    return float(np.mean([ap or 0.0 for ap in found]))


def threshold_alert(definition: TrainedDefinition) -> str:
    """Return the definition of a threshold that raises where the problem of a trained definition
    begins, as YAML; empty for a problem by events."""
    problem = definition.problem
    if problem.event is not None:
        return ""
    written = definition.model_dump(
        mode="json", by_alias=True, exclude_defaults=True, include=set(_SAME_FIELDS)
    )
    of_problem = problem.model_dump(mode="json", by_alias=True, exclude_none=True)
    document: dict[str, Any] = {
        "name": definition.name[: NAME_LENGTH - len(_SUFFIX)] + _SUFFIX,
        "kind": "threshold",
        **written,
        **{name: of_problem[name] for name in _OF_CONDITION if name in of_problem},
    }
    if problem.clear is not None and problem.above is not None:
        document["clear_above_at"] = problem.clear_limits.above
    if problem.clear is not None and problem.below is not None:
        document["clear_below_at"] = problem.clear_limits.below
    if problem.hold:
        document["for"] = format_duration(problem.hold)
    if problem.merge_within:
        document["clear_for"] = format_duration(problem.merge_within)
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1 << 20))


@dataclass(frozen=True)
class ChanceTest:
    """Test of the best average precision out of fold against what the best of everything tried
    reaches by chance.

    `ap`: of the best candidate. `bound`: the 97.5 % quantile of the maximum over all `trials`, on
    SHIFTS shifts of the labels. `problems`: in the rows that the folds score; `prevalence`: share
    of these rows with a problem ahead, None if `ap` is no average precision of such rows. `onset`:
    the same on the rows at which the problem is not there yet; None where these are all rows.
    `share`: probability of such a figure by chance, 1 where it was not measured. `found`: the
    validation period, which chose nothing, beside chance; None before.
    """

    ap: float
    bound: float
    trials: int
    problems: int
    prevalence: float | None = None
    onset: OnsetTest | None = None
    share: float = 1.0
    found: ValidationChance | None = None

    @property
    def passed(self) -> bool:
        """Return whether the figure is beyond chance, alone or with the later problems, also
        before the problem is there; no where there are too few problems to tell."""
        return self.may_pass and (self.is_above or self.is_confirmed)

    @property
    def may_pass(self) -> bool:
        """Return whether the validation period decides if the figure alone does not."""
        enough = self.problems >= LEAST_PROBLEMS and self.share <= MOST_BY_ROWS
        return (self.is_above or enough) and (self.onset is None or self.onset.passed)

    @property
    def is_confirmed(self) -> bool:
        """Return whether rows and validation together are beyond chance."""
        return self.together is not None and self.together <= MOST_BY_CHANCE

    @property
    def together(self) -> float | None:
        """Return the probability of both by chance; None before validation, and without a problem
        there."""
        if self.found is None or not self.found.problems:
            return None
        return combine_shares(self.share, self.found.share)

    @property
    def none_of_few(self) -> bool:
        """Return whether a threshold that finds no problem of the validation period says nothing
        against the model: they are few, it raises alarms there, and rows and validation together
        are beyond chance."""
        found = self.found
        return (
            found is not None
            and not found.found
            and found.problems < ENOUGH_PROBLEMS
            and found.alarms > 0
            and self.is_confirmed
        )

    @property
    def facts(self) -> dict[str, Any]:
        """Return what a sentence on rows and validation names."""
        rows = {"rows": self.share, "together": self.together, "most": MOST_BY_CHANCE}
        return rows | (asdict(self.found) if self.found else {})

    @property
    def is_above(self) -> bool:
        """Return whether the figure of all rows is beyond chance."""
        return self.problems >= LEAST_PROBLEMS and self.ap > self.bound + _ROUNDING

    @property
    def message(self) -> str:
        """Describe the result in a sentence."""
        if self.problems < LEAST_PROBLEMS:
            return (
                f"Too few problems to tell a model from chance: {self.problems} in the rows that "
                "the folds score, "
                f"{LEAST_PROBLEMS} are needed; use a longer history or fewer learning.folds."
            )
        if self.onset is not None and not self.onset.passed:
            return self.onset.message
        rows = (
            f"The best average precision out of fold, {self.ap:.3f}, "
            f"{'exceeds' if self.is_above else 'does not exceed'} what "
            f"the best of {self.trials} trials reaches by chance in 1 of 40 cases, "
            f"{self.bound:.3f} "
            f"(labels shifted in time {SHIFTS} times)."
        )
        if self.is_above or not self.is_confirmed:
            return rows
        return rows + (
            " But with its scores before the {problems} problems of the validation period, it "
            "comes by chance in {together:.1%} of the cases (at most {most:.1%} are allowed)."
        ).format_map(self.facts)

    @property
    def more_problems(self) -> int | None:
        """Return about how many more problems would show the figure beyond chance if it stays; None
        if that cannot be said.

        What chance reaches above the prevalence falls with the square root of the number of
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
            else f"about {count} more problems (if its figure stays; what chance reaches falls "
            "with the square root of their number)"
        )
        return (
            f"What may help: {more}, another horizon, variables that move before the problem, or "
            "`kind: anomaly`, which learns from normal operation alone."
        )

    def to_document(self) -> dict[str, Any]:
        """Return figures, result and sentence; JSON-able."""
        return {**asdict(self), "passed": self.passed, "message": self.message}


@dataclass(frozen=True)
class Choice:
    """The candidate that becomes the challenger if it passes the test against chance, or None if it
    cannot; and the test of its rows."""

    candidate: Candidate | None
    chance: ChanceTest


def choose(
    dataset: Dataset, definition: TrainedDefinition, candidates: Sequence[Candidate]
) -> Choice:
    """Choose the candidate with the best average precision out of fold; none if chance explains
    the best too well for its validation to be asked.

    Persistence is chosen, if it exceeds chance too, unless the best is better in nine of ten
    bootstrap samples; a note says so.
    """
    best = max(candidates, key=lambda c: c.ap)
    folds, _ = usable_folds(dataset, definition.learning.folds)
    shifted = ShiftedLabels(dataset, folds, definition.learning.seed)
    test = compare_best(best.ap, candidates, shifted.problems)
    test = replace(test, prevalence=shifted.prevalence)
    if test.may_pass:
        onset = evaluate_onset(dataset, definition, candidates, LEAST_PROBLEMS, QUANTILE)
        test = replace(test, onset=onset)
    if not test.may_pass:
        return Choice(None, test)
    simple = next((c for c in candidates if c.family == PERSISTENCE and c.ap > test.bound), best)
    share = (
        1.0 if simple is best else _share_better(dataset, best, simple, definition.learning.folds)
    )
    if share >= CONFIDENCE:
        return Choice(best, test)
    note = (
        "The last known value was chosen, because no candidate is better beyond chance: the best, "
        f"{best.family}, has an average "
        f"precision of {best.ap:.3f} out of fold, the last known value {simple.ap:.3f}; it is "
        f"better in {share:.0%} of the "
        f"samples ({CONFIDENCE:.0%} needed)."
    )
    return Choice(replace(simple, notes=(*simple.notes, note)), test)


def compare_best(ap: float, candidates: Sequence[Candidate], problems: int) -> ChanceTest:
    """Return the test of the best figure of these candidates; without that before the onset."""
    chance = np.max([c.chance for c in candidates], axis=0)
    return ChanceTest(
        ap=ap,
        bound=float(np.quantile(chance, QUANTILE)),
        trials=sum(c.trials for c in candidates),
        problems=problems,
        share=float((chance >= ap - _ROUNDING).sum() + 1) / (len(chance) + 1),
    )


def _share_better(dataset: Dataset, candidate: Candidate, other: Candidate, folds: int) -> float:
    """Return the share of bootstrap samples in which a candidate's average precision is the better
    one (`draw_fold`).

    0 where no fold has enough problems to be drawn again: an unknown lead does not count.
    """
    usable, _ = usable_folds(dataset, folds)
    drawn = [
        [draw_fold(dataset, fold, c.oof[fold.test])["ap"] for fold in usable]
        for c in (candidate, other)
    ]
    lead = np.mean(drawn[0], axis=0) - np.mean(drawn[1], axis=0)
    known = lead[~np.isnan(lead)]
    return float(np.mean(known > 0)) if len(known) else 0.0
