"""Training runs, models, and decisions about them, in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from alerting.ports import DecisionRecord, Files, ModelUnavailable, RunState


class MemoryDecisions:
    """Port `Decisions` in memory."""

    def __init__(self) -> None:
        self.records: list[DecisionRecord] = []
        self._tries: dict[tuple[str, str], list[dict[str, str]]] = {}
        self._run_of: dict[tuple[str, int], str] = {}

    def add(self, decision: DecisionRecord, rank: int | None = None) -> bool:
        made = self.of(decision.definition)
        is_taken = rank is not None and rank <= sum(d.promoted for d in made)
        if is_taken or any(d.run_id == decision.run_id for d in made):
            return False
        self.records.append(decision)
        return True

    def of(self, definition: str) -> list[DecisionRecord]:
        return [d for d in self.records if d.definition == definition]

    def expect_files(self, definition: str, run_id: str, hashes: Mapping[str, str]) -> None:
        tries = self._tries.setdefault((definition, run_id), [])
        if dict(hashes) not in tries:
            tries.append(dict(hashes))

    def bind_files(self, definition: str, run_id: str, version: int) -> None:
        self._run_of[definition, version] = run_id

    def file_hashes(self, definition: str, version: int) -> list[dict[str, str]]:
        return list(self._tries.get((definition, self._run_of.get((definition, version), "")), ()))


@dataclass
class _Run:
    """One training run, or one candidate of it."""

    tags: dict[str, str]
    parent: str | None
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)


class MemoryModels:
    """Port `Models` in memory. `prefix` begins the ids of runs; `registered` counts versions, of which some may be forgotten."""

    shown = False

    def __init__(self) -> None:
        self.prefix = ""
        self.registered = 0
        self._runs: dict[str, _Run] = {}
        self._by_run: dict[str, int] = {}
        self._files: dict[int, dict[str, bytes]] = {}
        self._tags: dict[int, dict[str, str]] = {}
        self._aliases: dict[str, int | None] = {}

    def retain_only(self, version: int | None) -> None:
        """Drop all versions except this one, which is in service, and all runs except the candidates of its training."""
        self._files = {v: f for v, f in self._files.items() if v == version}
        trained_by = self._tags[version].get("training_run") if version is not None else None
        self._runs = {i: r for i, r in self._runs.items() if trained_by is not None and r.parent == trained_by}

    def restore(self, version: int, files: Files, tags: Mapping[str, str]) -> None:
        """Restore a registered version."""
        self._files[version], self._tags[version] = dict(files), dict(tags)

    def candidates(self, run_id: str) -> dict[str, dict[str, bytes]]:
        """Return the files of the fitted candidates of a training, by family."""
        children = [r for r in self._runs.values() if r.parent == run_id and r.tags.get("fitted") == "true"]
        return {r.tags["family"]: dict(r.files.get("candidate", {})) for r in children}

    def restore_candidate(self, run_id: str, family: str, files: Files) -> None:
        """Restore the fitted candidate of a training. The next search may begin with its parameters."""
        tags = {"family": family, "fitted": "true"}
        self._runs[f"{run_id}.{family}"] = _Run(tags, run_id, {"candidate": dict(files)})

    def start_run(self, definition: str, name: str, tags: Mapping[str, str], parent: str | None = None) -> str:  # noqa: ARG002
        run_id = self.prefix if parent is None else f"{parent}.{name}"
        self._runs[run_id] = _Run(dict(tags), parent)
        return run_id

    def find_runs(self, parent: str) -> list[tuple[str, dict[str, str]]]:
        return [(id, dict(run.tags)) for id, run in self._runs.items() if run.parent == parent]

    def open_runs(self, definition: str) -> list[RunState]:  # noqa: ARG002 - a training in memory is not displayed
        return []

    def searches(self, run_id: str) -> list[RunState]:  # noqa: ARG002
        return []

    def tags(self, run_id: str) -> dict[str, str]:
        return dict(self._runs[run_id].tags)

    def log(
        self,
        run_id: str,
        params: Mapping[str, Any] | None = None,  # noqa: ARG002
        metrics: Mapping[str, float] | None = None,  # noqa: ARG002
        tags: Mapping[str, str] | None = None,
        files: Files | None = None,
        folder: str = "",
    ) -> None:
        run = self._runs[run_id]
        run.tags.update(tags or {})
        run.files.setdefault(folder, {}).update(files or {})

    def log_dataset(self, run_id: str, name: str, profile: Mapping[str, Any], inputs: Mapping[str, str]) -> None:
        """Write nothing. Runs of a training in memory are not displayed."""

    def files(self, run_id: str, folder: str) -> dict[str, bytes]:
        return dict(self._runs[run_id].files.get(folder, {}))

    def page(self, run_id: str) -> str | None:  # noqa: ARG002
        return None

    def finish(self, run_id: str, failed: bool = False) -> None:
        """Write nothing. Runs of a training in memory are not displayed."""

    def register(
        self,
        definition: str,  # noqa: ARG002
        run_id: str,
        files: Files,
        tags: Mapping[str, str],
        inputs: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> int:
        if run_id not in self._by_run:
            self.registered += 1
            self._by_run[run_id] = self.registered
            self.restore(self.registered, files, tags)
        return self._by_run[run_id]

    def model_files(self, definition: str, version: int) -> dict[str, bytes]:
        if version not in self._files:
            raise ModelUnavailable(f"version {version} of {definition!r} is not kept by this backtest")
        return self._files[version]

    def version_tags(self, definition: str, version: int) -> dict[str, str]:  # noqa: ARG002
        return self._tags[version]

    def versions(self, definition: str) -> list[int]:  # noqa: ARG002
        return sorted(self._tags)

    def alias(self, definition: str, alias: str) -> int | None:  # noqa: ARG002
        return self._aliases.get(alias)

    def set_alias(self, definition: str, alias: str, version: int | None) -> None:  # noqa: ARG002
        self._aliases[alias] = version
