"""Ports for condition states, evaluation plans, scores and past evaluations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.state_table import ConditionTable, TargetKey
from alerting.episodes.targets import EvaluationPlan
from alerting.ports.documents import Document
from alerting.readings.ragged import Flags


class States(Protocol):
    """Condition states and watermarks of targets."""

    def load(self, definition: str, assets: Sequence[str]) -> dict[str, ConditionState]: ...

    def advance(self, definition: str, asset: str, before: ConditionState | None, after: ConditionState) -> bool:
        """Write `after` by compare-and-set on the watermark; return False if another evaluator has moved it."""
        ...

    def load_many(self, keys: Sequence[TargetKey]) -> ConditionTable:
        """Return the states of these targets, in this order; empty for a target that was never evaluated."""
        ...

    def advance_many(self, before: ConditionTable, after: ConditionTable) -> Flags:
        """Write `after` for each target whose stored watermark is still that of `before`; return a mask of the written targets.

        Both tables hold the same targets in the same order.
        """
        ...


class EvaluationPlans(Protocol):
    """The cached evaluation plan, valid until one of its sources changes."""

    def source_hash(self) -> str:
        """Return an identity of all sources of a plan: it changes with every definition, revision, asset and event type."""
        ...

    def get(self, source_hash: str) -> EvaluationPlan | None:
        """Return the plan made of exactly these sources; None if it is not stored."""
        ...

    def put(self, source_hash: str, evaluation_plan: EvaluationPlan) -> None:
        """Store a plan in place of the previous one."""
        ...


class NoEvaluationPlans:
    """Port `EvaluationPlans` without a cache: the caller makes each plan anew."""

    def source_hash(self) -> str:
        return ""

    def get(self, source_hash: str) -> EvaluationPlan | None:  # noqa: ARG002 - the port's signature
        return None

    def put(self, source_hash: str, evaluation_plan: EvaluationPlan) -> None:
        """Store nothing."""


NO_EVALUATION_PLANS = NoEvaluationPlans()


class Scores(Protocol):
    """Scores of champions, stored for reports and drift."""

    def add(self, definition: str, asset: str, rows: Sequence[tuple[datetime, float, float, int]]) -> None:
        """Store rows of (ts, score, threshold, model version). Idempotent."""
        ...

    def between(self, definition: str, start: datetime, end: datetime, asset: str | None = None) -> Iterator[Document]:
        """Return documents {asset, ts, score, threshold, model_version} with start <= ts < end, of one asset or of all."""
        ...


@dataclass(frozen=True)
class PastEvaluation:
    """A past interval (start, end] of one asset that was evaluated again: its revision, its model, and when."""

    definition: str
    asset: str
    start: datetime
    end: datetime
    revision: int | None
    model_version: int | None
    at: datetime


class PastEvaluations(Protocol):
    """Past evaluations, so that a report knows the evaluated intervals even without an episode."""

    def add(self, evaluation: PastEvaluation) -> None: ...

    def of(self, definition: str) -> list[PastEvaluation]:
        """Return the past evaluations of a definition, oldest first."""
        ...
