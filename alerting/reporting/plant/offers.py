"""Proposals that can be applied or refused: the changes worth most, and when a refused one comes
again."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from alerting.definitions.wording.language import translatable
from alerting.learning.metrics.confidence import poisson_interval, wilson_interval
from alerting.reporting.definition.money import Amount
from alerting.reporting.definition.retune import Retune
from alerting.reporting.plant.proposals import propose
from alerting.reporting.plant.summary import DefinitionNumbers

Action = Literal["approve", "retire", "retune", "retrain"]
MOST_OFFERS = 3


@dataclass(frozen=True)
class OfferBasis:
    """The figures on which a proposal rests. `decided`: alarms with an outcome, `right` of them
    right; `weeks`: evaluated asset-weeks."""

    weeks: float
    false_alarms: int
    right: int
    decided: int
    announced: int
    problems: int


@dataclass(frozen=True)
class Offer:
    """A proposed change of one definition, and its reason in a sentence.

    `worth`: money a period, None without costs in the definition; `alarms`: false alarms and misses
    of the period that it concerns. `retune`: the limit of a `retune`; None: no single one does.
    """

    definition: str
    title: str
    action: Action
    reason: str
    basis: OfferBasis
    worth: Amount | None
    currency: str
    alarms: int
    retune: Retune | None = None

    @property
    def can_be_applied(self) -> bool:
        """Return whether it is a certain change, and not one that a person must think of."""
        return self.action != "retune" or self.retune is not None


def offers(summaries: Sequence[DefinitionNumbers], waiting: Collection[str] = ()) -> list[Offer]:
    """Return all proposals on these numbers, the one worth most first: by money, then by alarms.

    `waiting`: definitions of which a version of the model waits for a person.
    """
    made = [one for s in summaries if (one := _offer(s, s.name in waiting)) is not None]
    return sorted(made, key=lambda o: (-(o.worth.high if o.worth else 0.0), -o.alarms, o.title))


def has_changed(refused: OfferBasis, present: OfferBasis) -> bool:
    """Return whether figures lie beyond the 95 % bounds of those on which a proposal was refused:
    false alarms a week, the share of right alarms, or that of predicted problems."""
    if refused.weeks > 0 and present.weeks > 0:
        low, high = (bound / refused.weeks for bound in poisson_interval(refused.false_alarms))
        if not low <= present.false_alarms / present.weeks <= high:
            return True
    return _is_beyond(
        (refused.right, refused.decided), (present.right, present.decided)
    ) or _is_beyond((refused.announced, refused.problems), (present.announced, present.problems))


def _is_beyond(refused: tuple[int, int], present: tuple[int, int]) -> bool:
    if not refused[1] or not present[1]:
        return False
    low, high = wilson_interval(*refused)
    return not low <= present[0] / present[1] <= high


def _offer(s: DefinitionNumbers, is_waiting: bool) -> Offer | None:
    proposal = propose(s)
    right = s.hits + s.avoided
    basis = OfferBasis(
        s.weeks, s.false_alarms, right, right + s.false_alarms, s.announced, s.problems
    )
    currency = s.money.currency if s.money else ""
    concerned = s.false_alarms + s.problems - s.announced
    reason = proposal.reason
    if is_waiting:
        waits = translatable("A trained version waits for a decision.")
        return Offer(s.name, s.title, "approve", waits, basis, None, currency, concerned)
    if proposal.kind == "retire":
        worth = s.money.false_alarms if s.money else None
        return Offer(s.name, s.title, "retire", reason, basis, worth, currency, s.false_alarms)
    if proposal.kind == "retune":
        limit = s.retune if _halves(s) else None
        saved = _retuned(s)
        return Offer(s.name, s.title, "retune", reason, basis, saved, currency, _fewer(s), limit)
    if proposal.kind == "retrain":
        return Offer(s.name, s.title, "retrain", reason, basis, _at_most(s), currency, concerned)
    return None


def _halves(s: DefinitionNumbers) -> bool:
    """Return whether the limit that was found is the proposal, as `propose` decides it."""
    return s.retune is not None and 2 * s.retune.right_then >= s.retune.right


def _fewer(s: DefinitionNumbers) -> int:
    if s.retune is None or not _halves(s):
        return s.false_alarms
    return s.retune.false_alarms - s.retune.false_alarms_then


def _retuned(s: DefinitionNumbers) -> Amount | None:
    """Return what another limit saves in false alarms, at worst less the problems that it loses."""
    if s.money is None or s.retune is None or not _halves(s) or not s.false_alarms:
        return None
    saved = s.money.false_alarms.low / s.false_alarms * _fewer(s)
    return Amount(saved - (s.retune.right - s.retune.right_then) * s.money.problem, saved)


def _at_most(s: DefinitionNumbers) -> Amount | None:
    return Amount(0.0, s.money.missed.high + s.money.false_alarms.high) if s.money else None
