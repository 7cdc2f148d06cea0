"""Training runs, registered models, and decisions about them, in memory."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from alerting.adapters.memory.episodes import plain
from alerting.ports import DecisionRecord, Files, ModelUnavailable, RunState, Swept, Training


class MemoryDecisions:
    """Port `Decisions`."""

    def __init__(self) -> None:
        self._decisions: list[DecisionRecord] = []
        self._ranks: set[tuple[str, int]] = set()
        self._tries: dict[tuple[str, str], list[dict[str, str]]] = {}
        self._run_of: dict[tuple[str, int], str] = {}

    def add(self, decision: DecisionRecord, rank: int | None = None) -> bool:
        is_made = decision.run_id is not None and any(
            d.run_id == decision.run_id for d in self.for_definition(decision.definition)
        )
        if is_made or (rank is not None and (decision.definition, rank) in self._ranks):
            return False
        self._ranks |= set() if rank is None else {(decision.definition, rank)}
        self._decisions = sorted(
            [*self._decisions, replace(decision, evidence=plain(decision.evidence))],
            key=lambda d: d.at,
        )
        return True

    @property
    def promotions(self) -> int:
        """Return the number of promotions of all definitions."""
        return sum(d.promoted for d in self._decisions)

    def for_definition(self, definition: str) -> list[DecisionRecord]:
        return [d for d in self._decisions if d.definition == definition]

    def histories(self, definitions: Collection[str]) -> dict[str, list[DecisionRecord]]:
        return {
            name: [replace(d, evidence={}) for d in made]
            for name in definitions
            if (made := self.for_definition(name))
        }

    def newest_decisions(
        self, definitions: Collection[str], count: int
    ) -> dict[str, list[DecisionRecord]]:
        return {name: made[-count:] for name, made in self.histories(definitions).items()}

    def expect_files(self, definition: str, run_id: str, hashes: Mapping[str, str]) -> None:
        tries = self._tries.setdefault((definition, run_id), [])
        if dict(hashes) not in tries:
            tries.append(dict(hashes))

    def bind_files(self, definition: str, run_id: str, version: int) -> None:
        self._run_of[definition, version] = run_id

    def file_hashes(self, definition: str, version: int) -> list[dict[str, str]]:
        return list(self._tries.get((definition, self._run_of.get((definition, version), "")), ()))


class MemoryTrainings:
    """Port `Trainings`."""

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str], Training] = {}

    def for_definitions(self, definitions: Collection[str]) -> list[Training]:
        return sorted(
            (t for t in self._newest.values() if t.definition in definitions),
            key=lambda t: t.started_at,
        )

    def begin(self, training: Training) -> None:
        self._newest[training.definition, training.question] = training

    def end(self, training: Training) -> bool:
        key = training.definition, training.question
        if self._newest[key].run != training.run:
            return False
        self._newest[key] = training
        return True


@dataclass
class MemoryRun:
    """A training run, or the search of one family below it."""

    definition: str
    parent: str | None
    tags: dict[str, str]
    started_at: datetime
    ended_at: datetime | None = None
    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)


@dataclass(frozen=True)
class Version:
    """A registered model of a run."""

    run_id: str
    files: dict[str, bytes]
    tags: dict[str, str]


class MemoryModels:
    """Ports `TrainingRuns` and `Models`. A run's id is its name below its parent's."""

    shown = False

    def __init__(self) -> None:
        self.runs: dict[str, MemoryRun] = {}
        self.registered: dict[str, list[Version]] = {}
        self.aliases: dict[tuple[str, str], int | None] = {}
        self.descriptions: dict[str, str] = {}

    def start_run(
        self, definition: str, name: str, tags: Mapping[str, str], parent: str | None = None
    ) -> str:
        own = "-".join(name.split())
        id = own if parent is None else f"{parent}.{own}"
        before = sum(run.partition("~")[0] == id for run in self.runs)
        id = f"{id}~{before + 1}" if before else id
        self.runs[id] = MemoryRun(definition, parent, dict(tags), datetime.now(UTC))
        return id

    def describe(self, definition: str, text: str, main_metric: str) -> None:  # noqa: ARG002 - no page shows it
        self.descriptions[definition] = text

    def open_runs(self, definition: str) -> list[RunState]:
        trainings = [
            (id, run)
            for id, run in self.runs.items()
            if run.definition == definition and run.parent is None
        ]
        return [_state(id, run) for id, run in reversed(trainings) if run.ended_at is None]

    def searches(self, run_id: str) -> list[RunState]:
        return [_state(id, run) for id, run in self.runs.items() if run.parent == run_id]

    def tags(self, run_id: str) -> dict[str, str]:
        return dict(self.runs[run_id].tags)

    def log(
        self,
        run_id: str,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
        files: Files | None = None,
        folder: str = "",
    ) -> None:
        run = self.runs[run_id]
        run.params.update(params or {})
        run.metrics.update(metrics or {})
        run.tags.update(tags or {})
        run.files.setdefault(folder, {}).update(files or {})

    def log_dataset(
        self, run_id: str, name: str, profile: Mapping[str, Any], inputs: Mapping[str, str]
    ) -> None:
        """Write nothing: the dataset of a run is for people."""

    def files(self, run_id: str, folder: str) -> dict[str, bytes]:
        return dict(self.runs[run_id].files.get(folder, {})) if run_id in self.runs else {}

    def page(self, run_id: str) -> str | None:  # noqa: ARG002
        return None

    def finish(self, run_id: str, failed: bool = False) -> None:  # noqa: ARG002
        self.runs[run_id].ended_at = datetime.now(UTC)

    def register(
        self,
        definition: str,
        run_id: str,
        files: Files,
        tags: Mapping[str, str],
        inputs: Mapping[str, str] | None = None,  # noqa: ARG002 - for people
    ) -> int:
        versions = self.registered.setdefault(definition, [])
        for number, version in enumerate(versions, 1):
            if version.run_id == run_id:
                return number
        versions.append(Version(run_id, dict(files), dict(tags)))
        self.aliases[definition, "challenger"] = len(versions)
        return len(versions)

    def model_files(self, definition: str, version: int) -> dict[str, bytes]:
        return dict(self._version(definition, version).files)

    def version_tags(self, definition: str, version: int) -> dict[str, str]:
        return dict(self._version(definition, version).tags)

    def _version(self, definition: str, version: int) -> Version:
        if version not in self.versions(definition):
            raise ModelUnavailable(f"there is no version {version} of {definition!r}")
        return self.registered[definition][version - 1]

    def versions(self, definition: str) -> list[int]:
        return list(range(1, len(self.registered.get(definition, ())) + 1))

    def alias(self, definition: str, alias: str) -> int | None:
        return self.aliases.get((definition, alias))

    def set_alias(self, definition: str, alias: str, version: int | None) -> None:
        self.aliases[definition, alias] = version

    def forget(
        self,
        definition: str,  # noqa: ARG002
        keep: Collection[int],  # noqa: ARG002
        before: datetime,  # noqa: ARG002
        *,
        dry: bool,  # noqa: ARG002
    ) -> list[Swept]:
        return []


def _state(id: str, run: MemoryRun) -> RunState:
    return RunState(id, dict(run.tags), run.started_at, run.ended_at)
