"""Last evaluation and training of each definition, for lists and the first page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple

from alerting.definitions.model import ModelDefinition, Revision
from alerting.episodes.state_table import TargetKey
from alerting.ports import (
    DecisionRecord,
    EvaluationPorts,
    ModelUnavailable,
    States,
    Training,
    UpkeepPorts,
)
from alerting.readings.history import NO_TIME, from_millis
from alerting.usecases.definitions.platform_alerts import WAITING
from alerting.usecases.definitions.targets import target_keys
from alerting.usecases.notification.routes import ROUTES
from alerting.usecases.platform_health.check import is_refused
from alerting.usecases.sources.status import SOURCES
from alerting.usecases.training.due import newest_trainings
from alerting.usecases.training.progress import unfinished_training

_ASKED_FOR_DATA = 50  # assets; of an imported plant, one of the first has a reading
ModelState = Literal["not trained", "training", "failed", "waiting", "refused", "trained"]


@dataclass(frozen=True)
class LastRuns:
    """The last runs of a definition.

    `evaluated_at`: up to when all its assets are evaluated; None if one never was. `trained_at`:
    when the last training ended, or the running one began. `model`: what came of it, "refused" only
    where no model is in service; None without a trained model.
    """

    evaluated_at: datetime | None = None
    trained_at: datetime | None = None
    model: ModelState | None = None


def last_runs(platform: EvaluationPorts, revisions: Sequence[Revision]) -> dict[str, LastRuns]:
    """Return the last runs of these definitions, by name. Writes nothing."""
    in_service = [revision for revision in revisions if revision.definition.state == "active"]
    evaluated = _evaluated(platform.states, target_keys(platform, in_service))
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
    found = {}
    for revision in revisions:
        name = revision.name
        at = evaluated.get(revision.name)
        if isinstance(revision.definition, ModelDefinition):
            training = trainings.get(name)
            decisions = last.get(name, ())
            found[name] = LastRuns(
                at, _trained_at(training, decisions), _state(training, decisions, name in waiting)
            )
        else:
            found[name] = LastRuns(at)
    return found


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
    """A step to a first alarm; one of those that are not done is `next`."""

    name: str
    is_done: bool
    is_next: bool


@dataclass(frozen=True)
class AtWork:
    """A platform's work without alarms. `more`: hidden definitions; numbers of the rest.

    `steps`: to a first alarm.
    """

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
        tuple(_at_work(platform, revision, runs[revision.name]) for revision in ordered[:shown]),
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


def _at_work(platform: UpkeepPorts, revision: Revision, runs: LastRuns) -> DefinitionAtWork:
    definition = revision.definition
    is_trained = isinstance(definition, ModelDefinition)
    found = DefinitionAtWork(
        revision.name, definition.title or revision.name, definition.assets, is_trained, runs
    )
    if runs.model != "training" or not isinstance(definition, ModelDefinition):
        return found
    decided = {decision.run_id for decision in platform.decisions.for_definition(revision.name)}
    try:
        unfinished = unfinished_training(platform, revision.name, decided)
    except ModelUnavailable:
        return found
    return replace(
        found,
        step=unfinished["step_number"] if unfinished else 1,
        steps=len(definition.families) + 2,
    )


def _evaluated(states: States, keys: Sequence[TargetKey]) -> Mapping[str, datetime | None]:
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
