"""Ports for training runs, registered models, and the decisions about which is in service."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from alerting.ports.documents import Files


class ModelUnavailable(Exception):
    """The registry, or a model in it, cannot be read: evaluation says unknown, nothing crashes."""


@dataclass(frozen=True)
class RunState:
    """A training run, or the search of one family below it; `ended_at` is None while it goes on, or where it was killed."""

    id: str
    tags: Mapping[str, str]
    started_at: datetime
    ended_at: datetime | None


class Models(Protocol):
    """Training runs and registered models. Files are bytes by name; loading never runs code from them."""

    @property
    def shown(self) -> bool:
        """Whether people look at its runs: drawings are made for them alone."""
        ...

    def start_run(self, definition: str, name: str, tags: Mapping[str, str], parent: str | None = None) -> str:
        """Open a run (a child of `parent`) and return its id."""
        ...

    def find_runs(self, parent: str) -> list[tuple[str, dict[str, str]]]:
        """Ids and tags of the children of a run."""
        ...

    def open_runs(self, definition: str) -> list[RunState]:
        """Trainings of a definition that are not finished, newest first."""
        ...

    def searches(self, run_id: str) -> list[RunState]:
        """The children of a training run, oldest first."""
        ...

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

    def log_dataset(self, run_id: str, name: str, profile: Mapping[str, Any], inputs: Mapping[str, str]) -> None:
        """Say what a run learns from. `profile`: JSON-able, with its `hash`; `inputs`: type of each column, as in `register`."""
        ...

    def files(self, run_id: str, folder: str) -> dict[str, bytes]: ...

    def page(self, run_id: str) -> str | None:
        """Where people see a run; None where there is nothing to see."""
        ...

    def finish(self, run_id: str, failed: bool = False) -> None: ...

    def register(
        self, definition: str, run_id: str, files: Files, tags: Mapping[str, str], inputs: Mapping[str, str] | None = None
    ) -> int:
        """Register model files as the next version (alias challenger); the same run registers once.

        `inputs`: type of each input column, `double` or `string`, for the signature that people see.
        """
        ...

    def model_files(self, definition: str, version: int) -> dict[str, bytes]:
        """Raises ModelUnavailable when the registry or the version cannot be read."""
        ...

    def version_tags(self, definition: str, version: int) -> dict[str, str]: ...

    def versions(self, definition: str) -> list[int]: ...

    def alias(self, definition: str, alias: str) -> int | None: ...

    def set_alias(self, definition: str, alias: str, version: int | None) -> None: ...


@dataclass(frozen=True)
class DecisionRecord:
    """A promotion decision as it is kept. `promoted` says whether `challenger_version` went into service at `at`."""

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


class Decisions(Protocol):
    """Promotion decisions, which also tell which champion was in force when."""

    def add(self, decision: DecisionRecord, place: int | None = None) -> bool:
        """Keep it; False if this definition and run_id have one already, or another promotion of this definition took `place`.

        `place`: which promotion of its definition this is, from 1 on: the compare-and-set on the champion.
        """
        ...

    def of(self, definition: str) -> list[DecisionRecord]:
        """Oldest first."""
        ...

    def expect_files(self, definition: str, run_id: str, hashes: Mapping[str, str]) -> None:
        """Keep the hashes of files that a run is about to register, by name; a run may try more than once. Idempotent."""
        ...

    def bind_files(self, definition: str, run_id: str, version: int) -> None:
        """A run's files are this version of the registry from now on. Idempotent."""
        ...

    def file_hashes(self, definition: str, version: int) -> list[dict[str, str]]:
        """The hashes of a version's files, of each try of its run, oldest first; none if it was registered without."""
        ...
