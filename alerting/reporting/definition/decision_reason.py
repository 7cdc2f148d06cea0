"""Why a model is in service, waits for a person or is not used, for the console and reports: the
reason of its decision, and what stands beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from alerting.definitions.wording.language import Translatable, joined, translatable
from alerting.learning.selection.decision import Proposal
from alerting.reporting.definition.unseen_text import describe_test

# objections that stand in the evidence with a ready alert
COUNTED = ("finds_few", "last_value_serves")
_PLATFORM = "platform"
_APPROVED = ("promote", "provisional", "refreshed")


def explain_waiting(proposal: Proposal) -> Translatable:
    """Say why a proposal waits for a person: for an objection, or because its definition wants
    it."""
    usual = translatable("It goes into service only if a person approves.")
    return joined(" ", proposal.reason, usual if proposal.objection is None else "")


@dataclass(frozen=True)
class DecisionMade:
    """A promotion decision of the period.

    `expected`: metrics at the decision by name, on data that the model had not seen;
    `expected_intervals`: of 95 %, where they were recorded. `reason`: as it was recorded, in
    English; `summary`: for people, in every language. `alert`: the definition that was proposed
    instead of a model, as YAML.
    """

    at: datetime
    verdict: str
    promoted: bool
    version: int | None
    champion: int | None
    reason: str
    actor: str
    run_id: str | None
    expected: Mapping[str, float] = field(default_factory=dict)
    summary: str = ""
    expected_intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    alert: str = ""


class Decided(Protocol):
    """What a summary needs of a recorded decision; `DecisionRecord` has it."""

    @property
    def verdict(self) -> str:
        """Return the verdict."""

    @property
    def reason(self) -> str:
        """Return the reason, with its template unless an earlier version recorded it."""

    @property
    def actor(self) -> str:
        """Return who decided."""

    @property
    def promoted(self) -> bool:
        """Return whether another model went into service."""

    @property
    def champion_version(self) -> int | None:
        """Return the version that was in service."""

    @property
    def evidence(self) -> Mapping[str, Any]:
        """Return what the decision rests on."""


def summarise_decision(decision: Decided) -> Translatable:
    """Say why a decision was made: its reason, what a first model found on unseen data, who
    approved it, and whether its search was cut short."""
    is_first = decision.verdict == "provisional" and decision.champion_version is None
    by_person = decision.verdict in _APPROVED and decision.actor != _PLATFORM
    is_recorded = by_person and decision.promoted and isinstance(decision.reason, Translatable)
    return joined(
        " ",
        decision.reason,
        *(_describe_first(decision.evidence.get("test") or {}) if is_first else ()),
        translatable("{actor} approved it.", actor=decision.actor) if is_recorded else "",
        _describe_cut(decision.evidence),
    )


def _describe_first(test: Mapping[str, Any]) -> tuple[str, ...]:
    is_blind = test.get("n_events") and not test["n_found"]
    blind = translatable("Do not rely on it yet.")
    usual = translatable("It is used until a better one comes.")
    return describe_test(test) or "", blind if is_blind else usual


def _describe_cut(evidence: Mapping[str, Any]) -> str:
    """Say that a search was cut short; empty if none was."""
    cut_short = evidence.get("cut_short")
    if cut_short is None:
        return ""
    return translatable(
        "Its search was cut short by the time budget (trials: {families}).",
        families=", ".join(
            f"{family.replace('_', ' ')} {done}/{trials}"
            for family, (done, trials) in cut_short["trials"].items()
        ),
    )
