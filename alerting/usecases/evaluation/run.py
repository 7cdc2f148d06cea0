"""Data of a round of evaluation: the targets of a batch with their states, and the results so
far."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np

from alerting.definitions.assets import Asset
from alerting.definitions.model import ModelDefinition, Revision
from alerting.episodes.state_table import ConditionTable, TargetKey
from alerting.episodes.targets import EvaluationTarget
from alerting.kinds.protocol.shared_inputs import SharedInputs
from alerting.ports import DecisionRecord, EvaluationPorts, ReprocessingRequest, TargetScores
from alerting.readings.history import Millis, to_millis
from alerting.readings.instants import NO_TIME
from alerting.readings.ragged import Flags
from alerting.usecases.definitions.versions import first_instant
from alerting.usecases.registry.model_cache import ModelCache

_SCORES_AT_ONCE = 20_000


@dataclass
class EvaluationCounts:
    """Counts of one run of evaluation. `unknown` maps `definition on asset` to the reason.

    `unreadable` maps each definition whose champion could not be read to the reason. `late`: rows
    that came after their time was evaluated; `too_late`: those of them that were older than every
    allowed lateness. `latency_s`: the greatest latency of their targets. `notes`: sentences on the
    versions that evaluated a past interval.
    """

    targets: int = 0
    raised: int = 0
    closed: int = 0
    elsewhere: int = 0
    determined: int = 0
    unknown: dict[str, str] = field(default_factory=dict)
    withdrawn: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    latency_s: int = 0
    late: int = 0
    too_late: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """One run of evaluation up to `as_of`, with its results so far.

    `shared`: what models on the same asset have in common. `requests`: reprocessing requests that
    are not done. `assets`, by name, and `histories`, all revisions by definition: as needed.
    `scores`: computed, and stored with the next unit of work.
    """

    platform: EvaluationPorts
    as_of: datetime
    models: ModelCache
    shared: SharedInputs
    counts: EvaluationCounts
    requests: dict[TargetKey, ReprocessingRequest]
    assets: dict[str, Asset] = field(default_factory=dict)
    histories: dict[str, list[Revision]] = field(default_factory=dict)
    scores: list[TargetScores] = field(default_factory=list)
    _decisions: dict[str, list[DecisionRecord]] = field(default_factory=dict)

    def decisions(self, name: str) -> list[DecisionRecord]:
        """Return the decisions on a definition without their evidence; none for one that never had
        a model.

        The caller has fetched them with `fetch_revisions`.
        """
        return self._decisions.get(name, [])

    def fetch_revisions(self, names: set[str]) -> None:
        """Load all revisions of these definitions into `histories`, and the decisions on those that
        had a model."""
        missing = names - self.histories.keys()
        if missing:
            found = self.platform.definitions.histories(missing)
            self.histories.update({name: found.get(name, []) for name in missing})
            trained = [
                n
                for n in missing
                if any(isinstance(r.definition, ModelDefinition) for r in self.histories[n])
            ]
            self._decisions.update(self.platform.decisions.histories(trained) if trained else {})

    def fetch_assets(self, names: set[str]) -> None:
        """Load these assets into `assets`."""
        if missing := names - self.assets.keys():
            self.assets.update(self.platform.assets.get_many(missing))

    def add_scores(self, scores: Sequence[TargetScores]) -> None:
        """Take scores to store with the next unit of work, or at once when there are many."""
        self.scores.extend(scores)
        if sum(len(target.rows) for target in self.scores) > _SCORES_AT_ONCE:
            self.store_scores()

    def store_scores(self) -> None:
        """Store the scores computed so far. Idempotent."""
        self.platform.scores.add_many(self.scores)
        self.scores.clear()

    def first_instant(self, target: EvaluationTarget) -> int | None:
        """Return when a definition was first put in service (ms), None if never.

        For a definition with several revisions, the caller has fetched them.
        """
        if target.revision == 1:
            return target.since
        first = first_instant(self.histories[target.definition])
        return None if first is None else to_millis(first)


@dataclass(frozen=True)
class Batch:
    """Targets to evaluate together. `starts`: per row, the watermark, or when the target was first
    in service (ms).

    `base`: the states to evaluate from: those of `before`, or earlier ones for targets to
    reprocess.
    """

    targets: Sequence[EvaluationTarget]
    before: ConditionTable
    starts: Millis
    base: ConditionTable

    @cached_property
    def evaluated_from(self) -> Millis:
        """Return the instant from which each target is evaluated (ms)."""
        return np.where(self.base.watermark == NO_TIME, self.starts, self.base.watermark)

    @cached_property
    def reprocessed(self) -> Flags:
        """Return which targets are reprocessed."""
        return self.evaluated_from < self.starts

    def take(self, rows: Sequence[int]) -> "Batch":
        """Return the batch of the targets in these rows."""
        return Batch(
            [self.targets[row] for row in rows],
            self.before.take(rows),
            self.starts[rows],
            self.base.take(rows),
        )

    def go_on(self, rows: Sequence[int], after: ConditionTable) -> "Batch":
        """Return the batch of the targets in these rows, evaluated from their states `after` on."""
        states = after.take(rows)
        return Batch([self.targets[row] for row in rows], states, states.watermark.copy(), states)

    def until(self, row: int, as_of: datetime) -> datetime:
        """Return the instant up to which a target is evaluated: as_of less its latency."""
        return as_of - timedelta(milliseconds=self.targets[row].latency)


def starts_of(run: Run, targets: Sequence[EvaluationTarget], states: ConditionTable) -> Millis:
    """Return the start of evaluation of each target (ms): its watermark, or when its definition was
    first put in service."""
    new = np.flatnonzero(states.watermark == NO_TIME).tolist()
    run.fetch_revisions({targets[row].definition for row in new if targets[row].revision > 1})
    starts = states.watermark.copy()
    for row in new:
        first = run.first_instant(targets[row])
        starts[row] = to_millis(run.as_of) if first is None else first
    return starts
