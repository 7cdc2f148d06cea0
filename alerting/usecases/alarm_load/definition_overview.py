"""Overview of definitions, for lists and the front page: state, faults, last evaluation and
training, model, raises, precision and load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple, TypeVar

from alerting.definitions.alert_definition import AssetIndex, ModelDefinition, Revision
from alerting.definitions.asset_documents import event_titles
from alerting.definitions.faults import NotFound
from alerting.episodes.episode import Alarm
from alerting.episodes.evaluation_plan import TargetKey
from alerting.learning.score_metrics import wilson_interval
from alerting.ports import (
    BacktestPorts,
    DecisionRecord,
    Document,
    EvaluationPorts,
    ModelUnavailable,
    States,
    Training,
    UpkeepPorts,
)
from alerting.readings.history import NO_TIME, from_millis
from alerting.usecases.alarm_load.budget_gate import DAY
from alerting.usecases.definitions.faults_and_platform_alerts import WAITING
from alerting.usecases.definitions.next_steps import trained_in_service, training_sentences
from alerting.usecases.definitions.revisions_and_evaluation_plan import target_keys
from alerting.usecases.definitions.versions import first_instant, present_answer
from alerting.usecases.health.platform_health import is_refused
from alerting.usecases.notification.routing import ROUTES
from alerting.usecases.sources.status import SOURCES
from alerting.usecases.training.due import newest_trainings, unfinished_training

RAISES_DAYS = 28
"""Days whose raises a line counts, each by itself, and over which precision is known."""
STATES = ("active", "draft", "retired", "faulty")
Line = TypeVar("Line")


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
    under way or failed. `champion`: the version of its model in service; `learned_until`: the end
    of the readings that this version learned from. `alarms_per_day`: notified alarms over the days
    of the alarm budget, `notified` of them, since `young_since` if it came into service within
    these days; None if it is not active. `raises`: on each of the last 28 days, oldest first;
    `last_alarm`: the last of them; `found_in_past`: alarms of these days that were found in past
    data, which do not count. `precision`: over these days; None without an alarm with an outcome.
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
    last_alarm: Alarm | None = None
    learned_until: datetime | None = None
    notified: int = 0
    young_since: datetime | None = None

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
        """Return "faulty", or the state in the current document."""
        return state_of(self.document)


@dataclass(frozen=True)
class WantedDefinitions:
    """A filter of definitions: with this text in name, title, tags or owner, in this state
    ("faulty" is one), on this asset. Empty: any."""

    text: str = ""
    state: str = ""
    asset: str = ""


ORDERS: Mapping[str, Callable[[DefinitionLine], Any]] = {
    "title": lambda line: line.title.casefold(),
    "state": lambda line: line.state,
    "asset": lambda line: ", ".join(_patterns(line.document)) or None,
    "last": lambda line: line.last_alarm and line.last_alarm.raised_at,
    "raises": lambda line: sum(line.raises),
    "right": lambda line: line.precision and line.precision.share,
    "load": lambda line: line.alarms_per_day,
    "model": lambda line: line.learned_until and -line.learned_until.timestamp(),
}
"""By which values a list can be sorted, the least first; a minus before the name sorts the greatest
first. Lines without the value come last. `model`: its age."""


def sort_lines(
    lines: Iterable[Line], order: str, orders: Mapping[str, Callable[[Line], Any]]
) -> list[Line]:
    """Return lines in one of the orders; a minus before its name turns it round."""
    value_of = orders[order.removeprefix("-")]
    by_value = [(value_of(line), line) for line in lines]
    sortable = [(value, line) for value, line in by_value if value is not None]
    sortable.sort(key=lambda pair: pair[0], reverse=order.startswith("-"))
    return [line for _, line in sortable] + [line for value, line in by_value if value is None]


@dataclass(frozen=True)
class FoundDefinitions:
    """A page of lines. `number`: of all wanted definitions; `states`: numbers of all definitions by
    state; `assets`: names of the assets in any definition; `next`: the name after which the next
    page begins, None on the last page."""

    lines: tuple[DefinitionLine, ...]
    number: int
    states: Mapping[str, int]
    assets: tuple[str, ...]
    next: str | None


def state_of(document: Document) -> str:
    """Return "faulty", or the state in a stored document."""
    return "faulty" if document.get("_faults") else str(document.get("state", "active"))


def find_definitions(
    platform: BacktestPorts,
    now: datetime,
    filters: WantedDefinitions,
    after: str,
    limit: int,
    order: str = "",
    alarms_on: Collection[str] | None = None,
) -> FoundDefinitions:
    """Return the page of wanted definitions after a name. `order`: one of the `ORDERS`, else by
    name; `alarms_on`: the assets whose alarms are counted (None: all). Writes nothing."""
    documents = platform.definitions.documents()
    matching = [document for document in documents if _is_wanted(document, filters)]
    if order.removeprefix("-") in ORDERS:
        lines = sort_lines(_lines(platform, now, matching, alarms_on=alarms_on), order, ORDERS)
        names = [line.name for line in lines]
        begin = names.index(after) + 1 if after in names else 0
        is_last = len(lines) <= begin + limit
        shown = lines[begin : begin + limit]
    else:
        following = [document for document in matching if str(document.get("name")) > after]
        is_last = len(following) <= limit
        shown = _lines(platform, now, following[:limit], alarms_on=alarms_on)
    patterns = {pattern for document in documents for pattern in _patterns(document)}
    return FoundDefinitions(
        tuple(shown),
        len(matching),
        Counter(map(state_of, documents)),
        tuple(sorted(name for name in patterns if "*" not in name)),
        None if is_last else shown[-1].name,
    )


def definition_lines(platform: BacktestPorts, now: datetime) -> list[DefinitionLine]:
    """Return the lines of all definitions, by name. Writes nothing."""
    documents = platform.definitions.documents()
    return _lines(platform, now, documents, lambda newest: last_runs(platform, newest))


def definition_line(platform: BacktestPorts, now: datetime, name: str) -> DefinitionLine:
    """Return the line of a definition. Raises NotFound without a document of this name."""
    lines = _lines(
        platform,
        now,
        platform.definitions.documents([name]),
        lambda newest: last_runs(platform, newest),
    )
    if not lines:
        raise NotFound(f"there is no definition {name!r}")
    return lines[0]


def _lines(
    platform: BacktestPorts,
    now: datetime,
    documents: Sequence[Document],
    runs_of: Callable[[Sequence[Revision]], Mapping[str, LastRuns]] = lambda _: {},
    alarms_on: Collection[str] | None = None,
) -> list[DefinitionLine]:
    """Return the lines of documents. One query reads the alarms of all of them."""
    names = {str(document.get("name")) for document in documents}
    histories = platform.definitions.histories(sorted(names)) if names else {}
    revisions = {name: history[-1] for name, history in histories.items() if history}
    newest = list(revisions.values())
    trained = trained_in_service(newest)
    trained_names = [revision.name for revision in trained]
    made = platform.decisions.histories(trained_names) if trained else {}
    under_way = platform.trainings.for_definitions(trained_names)
    trainings = training_sentences(trained, histories, made, under_way)
    runs = runs_of(newest)
    champions = {
        name: present_answer(histories[name], made.get(name, [])).version for name in trained_names
    }
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
    lines = []
    for document in documents:
        name = str(document.get("name"))
        latest = revisions.get(name)
        definition_alarms = alarms.get(name, [])
        notified = sum(not a.silent and a.raised_at >= now - days * DAY for a in definition_alarms)
        recent = [a for a in definition_alarms if a.raised_at >= now - RAISES_DAYS * DAY]
        is_active = latest is not None and latest.definition.state == "active"
        targets = assets.find_matching(latest.definition.assets) if latest else []
        lines.append(
            DefinitionLine(
                document,
                latest,
                trainings.get(name),
                runs.get(name, LastRuns()),
                champions.get(name),
                notified / days if is_active else None,
                raises_by_day(definition_alarms, now),
                in_past[name],
                _precision(recent),
                latest.definition.describe(targets[0].variables if targets else {}, events)
                if latest
                else "",
                max(recent, key=lambda alarm: alarm.raised_at, default=None),
                _learned_until(made.get(name, []), champions.get(name)),
                notified,
                began
                if (began := first_instant(histories.get(name, []))) and began > now - days * DAY
                else None,
            )
        )
    return lines


def _learned_until(made: Sequence[DecisionRecord], version: int | None) -> datetime | None:
    """Return the end of the readings from which a version learned, as its first promotion has it: a
    rollback to this version does not make it younger."""
    first = next((d for d in made if d.promoted and d.challenger_version == version), None)
    return (first.as_of or first.acted_at) if first else None


def raises_by_day(alarms: Iterable[Alarm], now: datetime) -> tuple[int, ...]:
    """Return the number of alarms of each of the last days, the oldest day first."""
    by_day = Counter((now - alarm.raised_at) // DAY for alarm in alarms)
    return tuple(by_day[ago] for ago in reversed(range(RAISES_DAYS)))


def _precision(alarms: Sequence[Alarm]) -> AlarmPrecision | None:
    counts = Counter(alarm.outcome for alarm in alarms)
    right = counts["hit"] + counts["avoided"]
    counted = right + counts["false_alarm"]
    return AlarmPrecision(right, counted, *wilson_interval(right, counted)) if counted else None


def _is_wanted(document: Document, filters: WantedDefinitions) -> bool:
    if filters == WantedDefinitions():
        return True
    if filters.state and state_of(document) != filters.state:
        return False
    if filters.asset and not any(
        fnmatchcase(filters.asset, pattern) for pattern in _patterns(document)
    ):
        return False
    tags = document.get("tags")
    texts = [document.get(name) for name in ("name", "title", "owner", "variable")]
    texts += tags if isinstance(tags, list | tuple) else []
    text = filters.text.casefold()
    return not text or any(text in t.casefold() for t in texts if isinstance(t, str))


def _patterns(document: Document) -> list[str]:
    written = document.get("assets")
    return (
        [pattern for pattern in written if isinstance(pattern, str)]
        if isinstance(written, list)
        else []
    )


_ASKED_FOR_DATA = 50  # assets; of an imported plant, one of the first has a reading
ModelState = Literal["not trained", "training", "failed", "waiting", "refused", "trained"]


@dataclass(frozen=True)
class LastRuns:
    """The last runs of a definition.

    `evaluated_at`: the instant up to which all its assets are evaluated; None if one never was.
    `trained_at`: when the last training ended, or the running one began. `model`: the result of
    that training, "refused" only where no model is in service; None without a trained model.
    """

    evaluated_at: datetime | None = None
    trained_at: datetime | None = None
    model: ModelState | None = None


def last_runs(platform: EvaluationPorts, revisions: Sequence[Revision]) -> dict[str, LastRuns]:
    """Return the last runs of these definitions, by name. Writes nothing."""
    in_service = [revision for revision in revisions if revision.definition.state == "active"]
    evaluated = _find_evaluated(platform.states, target_keys(platform, in_service))
    by_model = [
        revision for revision in revisions if isinstance(revision.definition, ModelDefinition)
    ]
    trainings = newest_trainings(platform.trainings, by_model)
    last = (
        platform.decisions.newest_decisions([revision.name for revision in by_model], 1)
        if by_model
        else {}
    )
    waiting = {alert.subject for alert in platform.platform_alerts.open() if alert.kind == WAITING}
    runs = {}
    for revision in revisions:
        name = revision.name
        at = evaluated.get(revision.name)
        if isinstance(revision.definition, ModelDefinition):
            training = trainings.get(name)
            decisions = last.get(name, ())
            runs[name] = LastRuns(
                at, _trained_at(training, decisions), _state(training, decisions, name in waiting)
            )
        else:
            runs[name] = LastRuns(at)
    return runs


@dataclass(frozen=True)
class DefinitionAtWork:
    """A definition in service now. `step` of `steps`: of its training, if known."""

    name: str
    title: str
    assets: tuple[str, ...]
    is_trained: bool
    runs: LastRuns
    step: int | None = None
    steps: int | None = None


class FirstStep(NamedTuple):
    """A step to a first alarm; the first step that is not done has `next`."""

    name: str
    is_done: bool
    is_next: bool


@dataclass(frozen=True)
class AtWork:
    """The work of a platform without alarms. `more`: number of definitions that are not shown;
    `steps`: to a first alarm."""

    definitions: tuple[DefinitionAtWork, ...]
    more: int
    sources: int
    assets: int
    routes: int
    steps: tuple[FirstStep, ...]


def describe_work(platform: UpkeepPorts, shown: int) -> AtWork:
    """Return what the platform does: `shown` definitions, in training first."""
    active = [r for r in platform.definitions.latest_revisions() if r.definition.state == "active"]
    runs = last_runs(platform, active)
    ordered = sorted(active, key=lambda r: (runs[r.name].model != "training", r.name))
    routes = len(ROUTES.read(platform)[0])
    assets = platform.assets.all()
    has_data = bool(active) or any(
        platform.readings.span(asset.name) for asset in assets[:_ASKED_FOR_DATA]
    )
    defined = bool(active or platform.definitions.documents())
    return AtWork(
        tuple(
            _describe_work_of(platform, revision, runs[revision.name])
            for revision in ordered[:shown]
        ),
        max(0, len(active) - shown),
        sum(source.state == "active" for source in SOURCES.read(platform)[0]),
        len(assets),
        routes,
        first_steps(has_data, defined, bool(active), routes > 0),
    )


def first_steps(
    has_data: bool, is_defined: bool, is_active: bool, is_routed: bool
) -> tuple[FirstStep, ...]:
    """Return the steps to a first alarm in their order.

    Looking at data and trying a draft leave no trace: they are done once a definition is stored,
    or in service.
    """
    done = {
        "connect": has_data,
        "look": has_data and is_defined,
        "ask": is_defined,
        "preview": is_active,
        "apply": is_active,
        "notify": is_routed,
    }
    following = next((name for name, is_done in done.items() if not is_done), None)
    return tuple(FirstStep(name, is_done, name == following) for name, is_done in done.items())


def _describe_work_of(
    platform: UpkeepPorts, revision: Revision, runs: LastRuns
) -> DefinitionAtWork:
    definition = revision.definition
    is_trained = isinstance(definition, ModelDefinition)
    work = DefinitionAtWork(
        revision.name, definition.title or revision.name, definition.assets, is_trained, runs
    )
    if runs.model != "training" or not isinstance(definition, ModelDefinition):
        return work
    decided = {decision.run_id for decision in platform.decisions.for_definition(revision.name)}
    try:
        unfinished = unfinished_training(platform, revision.name, decided)
    except ModelUnavailable:
        return work
    return replace(
        work,
        step=unfinished["step_number"] if unfinished else 1,
        steps=len(definition.families) + 2,
    )


def _find_evaluated(states: States, keys: Sequence[TargetKey]) -> Mapping[str, datetime | None]:
    earliest: dict[str, int] = {}
    for (definition, _), watermark in zip(keys, states.watermarks(keys), strict=True):
        earliest[definition] = min(watermark, earliest.get(definition, watermark))
    return {
        name: None if instant == NO_TIME else from_millis(instant)
        for name, instant in earliest.items()
    }


def _trained_at(training: Training | None, decisions: Sequence[DecisionRecord]) -> datetime | None:
    if training is not None:
        return training.ended_at or training.started_at
    return decisions[-1].at if decisions else None


def _state(
    training: Training | None, decisions: Sequence[DecisionRecord], waits: bool
) -> ModelState:
    if training is not None and training.failure is not None:
        return "failed"
    if training is not None and training.ended_at is None:
        return "training"
    if waits:
        return "waiting"
    if not decisions:
        return "not trained"
    last = decisions[-1]
    serves = last.champion_version is not None or last.verdict == "stale"
    return "refused" if is_refused(last) and not serves else "trained"
