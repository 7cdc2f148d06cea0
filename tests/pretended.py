"""A whole platform in memory: the real stores on an in-memory database, an in-memory registry, a manual clock."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from alerting.ports import DeliveryFailed, ModelUnavailable, RunState
from tests.builders import at
from tests.support import ensured_pretence


@dataclass
class HandClock:
    """Clock that only the test moves."""

    instant: datetime = field(default_factory=lambda: at(0))

    def now(self):
        return self.instant


class MemoryModels:
    """In-memory adapter of the port `Models`."""

    def __init__(self):
        self.runs, self.registered, self.aliases = {}, {}, {}
        self.reachable, self.shown = True, False

    def start_run(self, definition, name, tags, parent=None):
        run_id = f"run-{len(self.runs) + 1}"
        self.runs[run_id] = {
            "definition": definition,
            "tags": dict(tags),
            "parent": parent,
            "files": {},
            "metrics": {},
            "params": {},
        }
        return run_id

    def find_runs(self, parent):
        return [(i, dict(r["tags"])) for i, r in self.runs.items() if r["parent"] == parent]

    def open_runs(self, definition):
        found = [i for i, r in self.runs.items() if r["definition"] == definition and not r["parent"] and "status" not in r]
        return [self._state(i) for i in reversed(found)]

    def searches(self, run_id):
        return [self._state(i) for i, r in self.runs.items() if r["parent"] == run_id]

    def _state(self, run_id):
        run = self.runs[run_id]
        began = datetime.now(UTC)
        return RunState(run_id, run["tags"], began, began if "status" in run else None)

    def tags(self, run_id):
        return dict(self.runs[run_id]["tags"])

    def log_dataset(self, run_id, name, profile, inputs):
        self.runs[run_id]["dataset"] = {"name": name, "hash": profile["hash"], "inputs": dict(inputs)}

    def log(self, run_id, params=None, metrics=None, tags=None, files=None, folder=""):
        run = self.runs[run_id]
        run["params"].update(params or {})
        run["metrics"].update(metrics or {})
        run["tags"].update(tags or {})
        run["files"].setdefault(folder, {}).update(files or {})

    def files(self, run_id, folder):
        return dict(self.runs[run_id]["files"].get(folder, {}))

    def page(self, run_id):
        return None

    def finish(self, run_id, failed=False):
        self.runs[run_id]["status"] = "failed" if failed else "finished"

    def register(self, definition, run_id, files, tags, inputs=None):
        versions = self.registered.setdefault(definition, [])
        for number, (known, _, _) in enumerate(versions, 1):
            if known == run_id:
                return number
        versions.append((run_id, dict(files), dict(tags)))
        self.aliases[definition, "challenger"] = len(versions)
        return len(versions)

    def model_files(self, definition, version):
        if not self.reachable:
            raise ModelUnavailable("the registry does not answer")
        return self.registered[definition][version - 1][1]

    def version_tags(self, definition, version):
        return self.registered[definition][version - 1][2]

    def versions(self, definition):
        return list(range(1, len(self.registered.get(definition, [])) + 1))

    def alias(self, definition, alias):
        return self.aliases.get((definition, alias))

    def set_alias(self, definition, alias, version):
        self.aliases[definition, alias] = version


class Mailbox:
    """A channel that stores its deliveries, and fails while `broken`."""

    def __init__(self, name):
        self.name, self.messages, self.broken = name, [], False

    def deliver(self, message):
        if self.broken:
            raise DeliveryFailed("the receiver does not answer")
        self.messages.append(message)


def platform_on(stores, channels, clock):
    """Return a platform on these stores, with an in-memory registry."""
    return stores.platform(MemoryModels(), {c.name: c for c in channels}, clock)


def pretended_platform(*channels):
    """Return an empty platform. Its clock is a HandClock, its models MemoryModels."""
    return platform_on(ensured_pretence(), channels, HandClock())
