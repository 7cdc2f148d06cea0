"""Overview of definitions: state, faults, last evaluation, model and load of each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from alerting.definitions.faults import NotFound
from alerting.definitions.model import Revision
from alerting.ports import BacktestPorts, Document
from alerting.usecases.alarm_load.expected_load import DAY
from alerting.usecases.definitions.training_state import champion_versions, describe_trainings
from alerting.usecases.platform_health.last_runs import LastRuns, last_runs


@dataclass(frozen=True)
class DefinitionLine:
    """One definition: its current document as stored, its last runs, model and load.

    `latest`: its newest valid revision, None without one. `training`: a sentence, if one is due,
    under way or failed. `champion`: the version of its model in service. `alarms_per_day`: notified
    alarms over the days of the alarm budget; None if it is not active.
    """

    document: Document
    latest: Revision | None
    training: str | None
    runs: LastRuns
    champion: int | None
    alarms_per_day: float | None

    @property
    def name(self) -> str:
        return str(self.document.get("name"))

    @property
    def title(self) -> str:
        return str(self.document.get("title") or self.name)

    @property
    def kind(self) -> str:
        return str(self.document.get("kind"))

    @property
    def faults(self) -> tuple[str, ...]:
        """Return the faults of the current document, which keep it out of force."""
        return tuple(self.document.get("_faults", ()))

    @property
    def state(self) -> str:
        """Return faulty, or the state that the current document states."""
        return "faulty" if self.faults else str(self.document.get("state", "active"))


def definition_lines(
    platform: BacktestPorts, now: datetime, names: Sequence[str] | None = None
) -> list[DefinitionLine]:
    """Return the lines of these definitions, by default of all, by name. Writes nothing."""
    documents = [
        document
        for document in platform.definitions.documents()
        if names is None or document.get("name") in names
    ]
    named = {str(document.get("name")) for document in documents}
    revisions = {r.name: r for r in platform.definitions.latest_revisions() if r.name in named}
    newest = list(revisions.values())
    trainings = describe_trainings(
        platform.definitions, platform.decisions, platform.trainings, newest, platform.zone
    )
    runs = last_runs(platform, newest)
    champions = champion_versions(platform.definitions, platform.decisions, newest)
    days = platform.budget.days
    alarms = Counter(
        alarm.definition
        for alarm in platform.episodes.alarms(now - days * DAY, now)
        if not (alarm.backfilled or alarm.withdrawn or alarm.silent)
    )
    found = []
    for document in documents:
        name = str(document.get("name"))
        latest = revisions.get(name)
        is_active = latest is not None and latest.definition.state == "active"
        found.append(
            DefinitionLine(
                document,
                latest,
                trainings.get(name),
                runs.get(name, LastRuns()),
                champions.get(name),
                alarms[name] / days if is_active else None,
            )
        )
    return found


def definition_line(platform: BacktestPorts, now: datetime, name: str) -> DefinitionLine:
    """Return the line of a definition. Raises NotFound without a document of this name."""
    found = definition_lines(platform, now, [name])
    if not found:
        raise NotFound(f"there is no definition {name!r}")
    return found[0]
