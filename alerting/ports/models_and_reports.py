"""Ports for training runs, registered models and promotion decisions, for performance reports and
backtests."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from alerting.definitions.wording.language import LanguageCode
from alerting.learning.experiment.trials import ReadTime
from alerting.ports.plant import Document, Files

MOST_MODEL_BYTES = 1 << 30  # of all files of one registered version


@dataclass(frozen=True)
class Swept:
    """Documents of one kind that are deleted, or would be. `bytes`: about; None where that is not
    known."""

    kind: str
    documents: int
    bytes: int | None


class ModelUnavailable(Exception):
    """Error: the registry, or a model in it, cannot be read; evaluation then returns unknown
    instead of failing."""


@dataclass(frozen=True)
class RunState:
    """A training run, or the search of one family below it; `ended_at` is None while it runs, or if
    it was killed."""

    id: str
    tags: Mapping[str, str]
    started_at: datetime
    ended_at: datetime | None


class TrainingRuns(Protocol):
    """Training runs, with their parameters, metrics and files."""

    @property
    def shown(self) -> bool:
        """Return whether the registry is permanent and has pages for people: otherwise no charts
        are drawn, and no message names a run to repeat."""

    def start_run(
        self, definition: str, name: str, tags: Mapping[str, str], parent: str | None = None
    ) -> str:
        """Open a run (a child of `parent`) and return its id."""

    def describe(self, definition: str, text: str, main_metric: str) -> None:  # noqa: ARG002 - of those with pages
        """Store a text, and the name of the most important metric (more is better), for the page
        that lists the runs of a definition. Idempotent. A registry without pages stores nothing.

        A text that a person has written instead stays.
        """
        return

    def open_runs(self, definition: str) -> list[RunState]:
        """Return the unfinished trainings of a definition, newest first."""

    def searches(self, run_id: str) -> list[RunState]:
        """Return the children of a training run, oldest first."""

    def tags(self, run_id: str) -> dict[str, str]: ...

    def log(
        self,
        run_id: str,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
        files: Files | None = None,
        folder: str = "",
    ) -> None: ...

    def log_dataset(
        self,
        run_id: str,  # noqa: ARG002 - of those with pages
        name: str,  # noqa: ARG002
        profile: Mapping[str, Any],  # noqa: ARG002
        inputs: Mapping[str, str],  # noqa: ARG002
    ) -> None:
        """Log the dataset of a run for people. `profile`: JSON-able, with its `hash`; `inputs`:
        type of each column, as in `register`."""
        return

    def files(self, run_id: str, folder: str) -> dict[str, bytes]: ...

    def page(self, run_id: str) -> str | None:  # noqa: ARG002
        """Return the address of a run's page; None for a registry without pages."""
        return None

    def runs_page(self, definition: str) -> str | None:  # noqa: ARG002
        """Return the address of the page of a definition's runs; None without pages or runs."""
        return None

    def finish(self, run_id: str, failed: bool = False) -> None: ...


class Models(Protocol):
    """Registered models. Files are bytes by name; loading never runs code from them."""

    def register(
        self,
        definition: str,
        run_id: str,
        files: Files,
        tags: Mapping[str, str],
        inputs: Mapping[str, str] | None = None,
    ) -> int:
        """Register model files as the next version (alias challenger); the same run registers once.

        `inputs`: type of each input column, `double` or `string`, for the signature that people
        see.
        """

    def model_files(self, definition: str, version: int) -> dict[str, bytes]:
        """Return the files of a version by name. Raises ModelUnavailable if the registry or the
        version cannot be read."""

    def version_tags(self, definition: str, version: int) -> dict[str, str]: ...

    def versions(self, definition: str) -> dict[int, dict[str, str]]:
        """Return the tags of all versions by number, oldest first."""

    def aliases(self, definition: str) -> dict[str, int]:
        """Return the version of each alias that is set."""

    def set_alias(self, definition: str, alias: str, version: int | None) -> None: ...

    def forget(
        self, definition: str, keep: Collection[int], before: datetime, *, dry: bool
    ) -> list[Swept]:
        """Delete the versions from before an instant except `keep`, and the trainings from before
        it that no remaining version needs.

        With `dry` nothing is deleted.
        """


class ModelRegistry(TrainingRuns, Models, Protocol):
    """One place for runs and models."""


class ModelFileCache(Protocol):
    """Files of registered models on this machine. The cache may lose or damage any of them: the
    caller checks their hashes."""

    def load(
        self, definition: str, version: int, hashes: Mapping[str, str]
    ) -> dict[str, bytes] | None:
        """Return the files of a version that was registered with these hashes by name; None if they
        are not stored."""

    def store(
        self, definition: str, version: int, hashes: Mapping[str, str], files: Files
    ) -> None: ...

    def drop(self, definition: str, version: int, hashes: Mapping[str, str]) -> None:
        """Remove the files that were stored with these hashes. Idempotent."""


class NoModelFileCache:
    """Port `ModelFileCache` without a cache: every load asks the registry."""

    def load(
        self,
        definition: str,  # noqa: ARG002
        version: int,  # noqa: ARG002
        hashes: Mapping[str, str],  # noqa: ARG002
    ) -> dict[str, bytes] | None:
        return None

    def store(self, definition: str, version: int, hashes: Mapping[str, str], files: Files) -> None:
        """Store nothing."""

    def drop(self, definition: str, version: int, hashes: Mapping[str, str]) -> None:
        """Do nothing."""


NO_MODEL_FILE_CACHE = NoModelFileCache()


@dataclass(frozen=True)
class DecisionRecord:
    """A stored promotion decision. `promoted`: whether `challenger_version` became champion at
    `at`, from which on it evaluates; for a promotion without approval `at` equals `as_of`, the end
    of the readings of its training. `decided_at`: when the decision was made. In decisions of
    0.1.0 `decided_at` and `as_of` are None; `as_of` also is for a rollback.

    `question`: hash of the question that this version answers; None in decisions from before 0.1.0,
    whose models answer any question. `details`: what was counted, behind the reason.
    """

    definition: str
    at: datetime
    revision: int
    challenger_version: int | None
    champion_version: int | None
    promoted: bool
    provisional: bool
    verdict: str
    reason: str
    evidence: Mapping[str, Any]
    run_id: str | None
    actor: str
    question: str | None = None
    decided_at: datetime | None = None
    as_of: datetime | None = None
    details: str = ""

    @property
    def acted_at(self) -> datetime:
        """Return when the decision was made, as far as that is known."""
        return self.decided_at or self.at


WORSE_FORECASTS = "worse_than_last"  # in the evidence of a decision that is read for a list


@dataclass(frozen=True)
class Training:
    """The newest training of a question of a definition.

    `run`: id of its training run. `ended_at`: None while it runs; it has ended when its decision is
    proposed. `failure`: why it ended without a decision. `attempts`: number of trainings of the
    question so far; `failures`: how many of them failed in a row with this revision.
    `requested_by`, `requested_at`: a person's request for another training after this one.
    `cancelled_by`: the person who ended it. `process`: the process that runs all of it, None in
    Airflow.
    """

    definition: str
    question: str
    run: str
    revision: int
    started_at: datetime
    ended_at: datetime | None = None
    failure: str | None = None
    attempts: int = 1
    failures: int = 0
    requested_by: str | None = None
    requested_at: datetime | None = None
    cancelled_by: str | None = None
    process: str | None = None


class Trainings(Protocol):
    """The newest training of every question."""

    def for_definitions(self, definitions: Collection[str]) -> list[Training]:
        """Return the newest training of each question of these definitions, in the order in which
        they began."""

    def begin(self, training: Training) -> None:
        """Store a training that begins, in place of the previous one of its question.
        Idempotent."""

    def end(self, training: Training) -> bool:
        """Store the end of a training, or the decision after it; return False if another training
        of its question has begun since."""


class Decisions(Protocol):
    """Promotion decisions, from which the champion in force at any instant follows."""

    def add(self, decision: DecisionRecord, rank: int | None = None) -> bool:
        """Store a decision; return False if this definition and run_id have one already, or another
        promotion took `rank`.

        `rank`: rank of the promotion among those of its definition, from 1 on: the compare-and-set
        on the champion.
        """

    def for_definition(self, definition: str) -> list[DecisionRecord]:
        """Return the decisions on a definition, oldest first."""

    def histories(self, definitions: Collection[str]) -> dict[str, list[DecisionRecord]]:
        """Return the decisions on each of these definitions, oldest first; a definition without
        decisions is absent. Their evidence has WORSE_FORECASTS alone."""

    def newest_decisions(
        self, definitions: Collection[str], count: int
    ) -> dict[str, list[DecisionRecord]]:
        """Return the last decisions on each of these definitions, in the form of `histories`, with
        one query."""

    def expect_files(self, definition: str, run_id: str, hashes: Mapping[str, str]) -> None:
        """Store the hashes of files that a run is about to register, by name; a run may try more
        than once. Idempotent."""

    def bind_files(self, definition: str, run_id: str, version: int) -> None:
        """Record the version of the registry that holds a run's files. Idempotent."""

    def file_hashes(self, definition: str, version: int) -> list[dict[str, str]]:
        """Return the hashes of a version's files, one set for each attempt of its run, oldest
        first; empty if none were stored."""


@dataclass(frozen=True)
class TrainingLimits:
    """Limits of a training on this machine.

    `max_rows`: the most rows of its dataset; None for the number that fits into half of
    `memory_bytes`, the machine's memory (None: any number). `read_time`: CPU time and clock, for
    the ceiling of a search; None for searches without one.
    """

    max_rows: int | None = None
    memory_bytes: int | None = None
    read_time: ReadTime | None = None


UNLIMITED = TrainingLimits()


@dataclass(frozen=True)
class ReportHead:
    """A stored report without its content. `definition` is None for the report on the whole plant.

    `period`: name of its calendar period, None for an interval that a person chose. `empty`: there
    was nothing to report. `as_of`: the instant of its point-in-time view. `unseen`: it covers the
    test period of a training, which no model had seen. `sentences`: its most important sentences.
    `announced`: its recipients have been notified. `language`: of its page and sentences.
    """

    id: str
    definition: str | None
    start: datetime
    end: datetime
    as_of: datetime
    period: str | None = None
    empty: bool = False
    unseen: bool = False
    trust: str = "cannot_tell"
    sentences: tuple[str, ...] = ()
    key_metrics: Mapping[str, str] = field(default_factory=dict)
    announced: bool = True
    language: LanguageCode = "en"

    @property
    def headline(self) -> str:
        """Return its first sentence."""
        return self.sentences[0] if self.sentences else ""


@dataclass(frozen=True)
class ReportContent:
    """The content of a report: all metrics, the page, its tables {name: {columns, rows}}, and its
    time line as a PNG for mails, empty where nothing happened."""

    metrics: Document
    page: str
    tables: Mapping[str, Document] = field(default_factory=dict)
    picture: bytes = b""
