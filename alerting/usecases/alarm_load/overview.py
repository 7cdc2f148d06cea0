"""Overview of definitions: state, faults, last evaluation, model, raises, precision and load."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from alerting.definitions.assets import event_titles
from alerting.definitions.faults import NotFound
from alerting.definitions.model import AssetIndex, Revision
from alerting.episodes.extract import Alarm
from alerting.learning.metrics.confidence import wilson_interval
from alerting.ports import BacktestPorts, Document
from alerting.usecases.alarm_load.budget_gate import DAY
from alerting.usecases.definitions.training_state import champion_versions, describe_trainings
from alerting.usecases.platform_health.last_runs import LastRuns, last_runs

RAISES_DAYS = 28
"""Days whose raises a line counts, each by itself, and over which precision is known."""
STATES = ("active", "draft", "retired", "faulty")


@dataclass(frozen=True)
class AlarmPrecision:
    """Share of right alarms among those with an outcome, with its 95 % interval (Wilson)."""

    right: int
    counted: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """Return the share of right alarms."""
        return self.right / self.counted


@dataclass(frozen=True)
class DefinitionLine:
    """One definition: its current document as stored, its last runs, model and load.

    `latest`: its newest valid revision, None without one. `training`: a sentence, if one is due,
    under way or failed. `champion`: the version of its model in service. `alarms_per_day`: notified
    alarms over the days of the alarm budget; None if it is not active. `raises`: on each of the
    last 28 days, oldest first; `found_in_past`: alarms of these days that were found in past data,
    which do not count. `precision`: over them; None without an alarm with an outcome.
    `phrase`: what its newest valid revision watches; empty without one.
    """

    document: Document
    latest: Revision | None
    training: str | None
    runs: LastRuns
    champion: int | None
    alarms_per_day: float | None
    raises: tuple[int, ...] = (0,) * RAISES_DAYS
    found_in_past: int = 0
    precision: AlarmPrecision | None = None
    phrase: str = ""

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
        return state_of(self.document)


@dataclass(frozen=True)
class WantedDefinitions:
    """Which definitions are wanted: with this text in name, title, tags or owner, in this state
    (faulty is one), on this asset. Empty: any."""

    text: str = ""
    state: str = ""
    asset: str = ""


_ANY = WantedDefinitions()


@dataclass(frozen=True)
class FoundDefinitions:
    """A page of lines. `number`: of all that are wanted; `states`: numbers of all definitions, by
    state; `assets`: names of assets in any; `next`: the name to go on after, None on the last page.
    """

    lines: tuple[DefinitionLine, ...]
    number: int
    states: Mapping[str, int]
    assets: tuple[str, ...]
    next: str | None


def state_of(document: Document) -> str:
    """Return faulty, or the state that a stored document states."""
    return "faulty" if document.get("_faults") else str(document.get("state", "active"))


def find_definitions(
    platform: BacktestPorts,
    now: datetime,
    wanted: WantedDefinitions,
    after: str,
    limit: int,
    alarms_on: Collection[str] | None = None,
) -> FoundDefinitions:
    """Return the page of wanted definitions behind a name, by name. `alarms_on`: the assets whose
    alarms are counted (None: all). Writes nothing."""
    documents = platform.definitions.documents()
    matching = [document for document in documents if _is_wanted(document, wanted)]
    rest = [document for document in matching if str(document.get("name")) > after]
    shown = rest[:limit]
    return FoundDefinitions(
        tuple(_lines(platform, now, shown, alarms_on=alarms_on)),
        len(matching),
        Counter(map(state_of, documents)),
        tuple(sorted(p for p in {p for one in documents for p in _patterns(one)} if "*" not in p)),
        str(shown[-1].get("name")) if len(rest) > limit else None,
    )


def definition_lines(platform: BacktestPorts, now: datetime) -> list[DefinitionLine]:
    """Return the lines of all definitions, by name. Writes nothing."""
    documents = platform.definitions.documents()
    return _lines(platform, now, documents, lambda newest: last_runs(platform, newest))


def definition_line(platform: BacktestPorts, now: datetime, name: str) -> DefinitionLine:
    """Return the line of a definition. Raises NotFound without a document of this name."""
    documents = platform.definitions.documents([name])
    found = _lines(
        platform,
        now,
        documents,
        lambda newest: last_runs(platform, newest),
    )
    if not found:
        raise NotFound(f"there is no definition {name!r}")
    return found[0]


def _lines(
    platform: BacktestPorts,
    now: datetime,
    documents: Sequence[Document],
    runs_of: Callable[[Sequence[Revision]], Mapping[str, LastRuns]] = lambda _: {},
    alarms_on: Collection[str] | None = None,
) -> list[DefinitionLine]:
    """Return the lines of documents, by one query of the alarms of all of them."""
    names = {str(document.get("name")) for document in documents}
    histories = platform.definitions.histories(sorted(names)) if names else {}
    revisions = {name: history[-1] for name, history in histories.items() if history}
    newest = list(revisions.values())
    trainings = describe_trainings(
        platform.definitions, platform.decisions, platform.trainings, newest, platform.zone
    )
    runs = runs_of(newest)
    champions = champion_versions(platform.definitions, platform.decisions, newest)
    assets = AssetIndex(
        platform.assets.find_matching({p for r in newest for p in r.definition.assets})
    )
    events = event_titles(platform.assets.event_types())
    days = platform.budget.days
    since = now - max(days, RAISES_DAYS) * DAY
    alarms: dict[str, list[Alarm]] = {}
    in_past = Counter[str]()
    counted = (
        platform.episodes.alarms(since, now, assets=alarms_on, definitions=names) if names else ()
    )
    for alarm in counted:
        if alarm.backfilled and not alarm.withdrawn:
            in_past[alarm.definition] += alarm.raised_at >= now - RAISES_DAYS * DAY
        elif not alarm.withdrawn:
            alarms.setdefault(alarm.definition, []).append(alarm)
    found = []
    for document in documents:
        name = str(document.get("name"))
        latest = revisions.get(name)
        own = alarms.get(name, [])
        notified = sum(not one.silent and one.raised_at >= now - days * DAY for one in own)
        is_active = latest is not None and latest.definition.state == "active"
        targets = assets.find_matching(latest.definition.assets) if latest else []
        found.append(
            DefinitionLine(
                document,
                latest,
                trainings.get(name),
                runs.get(name, LastRuns()),
                champions.get(name),
                notified / days if is_active else None,
                _raises(own, now),
                in_past[name],
                _precision([one for one in own if one.raised_at >= now - RAISES_DAYS * DAY]),
                latest.definition.describe(targets[0].variables if targets else {}, events)
                if latest
                else "",
            )
        )
    return found


def _raises(alarms: Sequence[Alarm], now: datetime) -> tuple[int, ...]:
    by_day = Counter((now - alarm.raised_at) // DAY for alarm in alarms)
    return tuple(by_day[ago] for ago in reversed(range(RAISES_DAYS)))


def _precision(alarms: Sequence[Alarm]) -> AlarmPrecision | None:
    counts = Counter(alarm.outcome for alarm in alarms)
    right = counts["hit"] + counts["avoided"]
    counted = right + counts["false_alarm"]
    return AlarmPrecision(right, counted, *wilson_interval(right, counted)) if counted else None


def _is_wanted(document: Document, wanted: WantedDefinitions) -> bool:
    if wanted == _ANY:
        return True
    if wanted.state and state_of(document) != wanted.state:
        return False
    if wanted.asset and not any(
        fnmatchcase(wanted.asset, pattern) for pattern in _patterns(document)
    ):
        return False
    tags = document.get("tags")
    texts = [document.get(name) for name in ("name", "title", "owner", "variable")]
    texts += tags if isinstance(tags, list | tuple) else []
    text = wanted.text.casefold()
    return not text or any(text in one.casefold() for one in texts if isinstance(one, str))


def _patterns(document: Document) -> list[str]:
    """Return the names or patterns of assets in a document as people wrote it."""
    written = document.get("assets")
    return [one for one in written if isinstance(one, str)] if isinstance(written, list) else []
