"""Evaluation plan: every target with the parameters that its evaluation needs."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from alerting.definitions.assets import VariableType
from alerting.definitions.model import Severity
from alerting.definitions.shards import shard_of
from alerting.detection.threshold_batch import BatchLimits
from alerting.episodes.state_table import TargetKey
from alerting.readings.history import Millis

_SOURCE_HASH = re.compile(r"(\w*)/(\w*)/(\d+)(\.\d+)?(.*)")
_USUAL_SAMPLING = 1000  # ms
_VALUES_AT_ONCE = 5_000_000
_TARGETS_OF_ONE_TASK = 1_000
_TARGETS_OF_A_MODEL = 19  # that are evaluated in the time of one of a model, beside itself


class EvaluationTarget(NamedTuple):
    """One definition on one asset.

    `since`: ms, when its newest revision came into force. `every`: ms, how often it is evaluated.
    `variable`: the variable of a threshold, with its `type` and `title`, None for models. `limits`:
    None where each reading must be evaluated by itself. `lookback`: ms before the watermark from
    which readings are needed. `latency`: ms that evaluation waits. `allowed_lateness`: ms, how far
    back late data are evaluated again, with the delay of its variables. `turn`: a number of the
    target, out of 2**32, by which targets take turns. `revision`: number of the newest.
    `has_outcome`: whether outcomes come from data. `also_reads`: variables that count beside
    `variable`; `events`: types. `above`: the ancestors of the asset, where their readings change an
    evaluation. `needs_model`: whether a trained model evaluates it.
    """

    definition: str
    asset: str
    since: int
    every: int
    variable: str | None = None
    limits: BatchLimits | None = None
    severities: tuple[Severity, ...] = ()
    lookback: int = 0
    latency: int = 0
    allowed_lateness: int = 0
    turn: int = 0
    revision: int = 1
    has_outcome: bool = False
    also_reads: tuple[str, ...] = ()
    above: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    type: VariableType = "number"
    needs_model: bool = False
    title: str | None = None

    @property
    def key(self) -> TargetKey:
        return self.definition, self.asset

    @property
    def shard(self) -> tuple[int, int]:
        """Return the cadence and the number of the shard that stores its state."""
        return self.every, shard_of(self.definition)

    @property
    def series(self) -> tuple[str, str | None]:
        return self.asset, self.variable


@dataclass(frozen=True)
class EvaluationPlan:
    """All targets, those of one asset next to each other, and the names of the definitions in
    service."""

    names: tuple[str, ...]
    targets: tuple[EvaluationTarget, ...]

    @property
    def is_small(self) -> bool:
        """Return whether evaluating all of them takes less than the start of further tasks."""
        models = sum(target.needs_model for target in self.targets)
        return len(self.targets) + _TARGETS_OF_A_MODEL * models <= _TARGETS_OF_ONE_TASK

    @property
    def depends_on_promotions(self) -> bool:
        """Return whether a promotion may change which revision of a definition answers: only where
        one with a model was edited."""
        return any(target.needs_model and target.revision > 1 for target in self.targets)

    def select_definitions(self, names: Collection[str]) -> "EvaluationPlan":
        """Return the plan of these definitions."""
        chosen = set(names)
        return EvaluationPlan(
            tuple(name for name in self.names if name in chosen),
            tuple(w for w in self.targets if w.definition in chosen),
        )

    def select(self, is_wanted: Callable[[str], bool]) -> "EvaluationPlan":
        """Return the plan of the definitions whose name is wanted."""
        return self.select_definitions([name for name in self.names if is_wanted(name)])

    def definitions_at(self, every: int) -> set[str]:
        """Return the definitions that are evaluated at a cadence (ms)."""
        return {target.definition for target in self.targets if target.every == every}


class PlanRevisions(NamedTuple):
    """The revisions that a plan was made of.

    `numbers`: that of the newest revision of each definition, by its name. `linked`: names of
    definitions that suppress or are suppressed by others: an edit of one may make another faulty.
    """

    numbers: Mapping[str, int]
    linked: frozenset[str] = frozenset()


class PlanEdits(NamedTuple):
    """The stored plan, and what was edited since it was made.

    `names`: of documents that are new or have changed; `added`: how many revisions were added.
    """

    plan: EvaluationPlan
    made_of: PlanRevisions
    names: tuple[str, ...]
    added: int


class SourceHash(NamedTuple):
    """A hash of all sources of a plan, in parts: definition documents and other documents, the
    numbers of revisions and promotions, and what else counts. Its text is
    `definitions/others/revisions.promotions-rest`; without promotions the full stop is missing,
    too."""

    definitions: str
    others: str
    revisions: int
    promotions: str
    rest: str

    @classmethod
    def read(cls, text: str) -> "SourceHash | None":
        """Return the parts of a text; None if it has another form."""
        found = _SOURCE_HASH.fullmatch(text)
        return found and cls(found[1], found[2], int(found[3]), found[4] or "", found[5])

    def added_revisions(self, since: "SourceHash") -> int | None:
        """Return how many revisions were added since an earlier hash; None if more than definitions
        and their revisions has changed."""
        is_same = (self.others, self.rest) == (since.others, since.rest)
        if not is_same or since.promotions not in ("", self.promotions):
            return None
        return self.revisions - since.revisions


def valid_sources(source_hash: str) -> tuple[str, str]:
    """Return the hashes by which a stored plan is found for the hash of its sources: itself, and
    the one without promotions."""
    return source_hash, re.sub(r"\.\d+", "", source_hash, count=1)


def hash_to_store(source_hash: str, plan: EvaluationPlan) -> str:
    """Return the hash of the sources that a plan depends on."""
    whole, documents = valid_sources(source_hash)
    return whole if plan.depends_on_promotions else documents


def smallest_latency(targets: Iterable[EvaluationTarget]) -> int:
    """Return the smallest latency of targets (ms), 0 without targets."""
    return min((target.latency for target in targets), default=0)


def batches(
    targets: Sequence[EvaluationTarget], starts: Millis, evaluated_from: Millis, until: int
) -> Iterator[list[int]]:
    """Return rows to evaluate together: all of one asset, and as many assets as fit with their
    readings in memory.

    `targets` is sorted by asset. `starts`: per row, up to when (ms) it was evaluated; rows
    evaluated up to `until` are left out. `evaluated_from`: start of the readings to evaluate, which
    is earlier for targets to reprocess.
    """
    due = [row for row, start in enumerate(starts.tolist()) if start < until - targets[row].latency]
    lengths = ((until - evaluated_from) / _USUAL_SAMPLING).tolist()
    batch: list[int] = []
    size = 0.0
    for _, of_asset in groupby(due, key=lambda row: targets[row].asset):
        rows = list(of_asset)
        values = sum(lengths[row] for row in rows if targets[row].variable is not None)
        if batch and size + values > _VALUES_AT_ONCE:
            yield batch
            batch = []
            size = 0.0
        batch += rows
        size += values
    if batch:
        yield batch
