"""Last evaluation and last training of each definition, for lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from alerting.definitions.model import ModelDefinition, Revision
from alerting.ports import DecisionRecord, Training, UpkeepPorts
from alerting.readings.history import from_millis
from alerting.readings.instants import NO_TIME
from alerting.usecases.definitions.platform_alerts import WAITING
from alerting.usecases.operations.platform_conditions import is_refused
from alerting.usecases.operations.platform_metrics import Inventory, read_inventory
from alerting.usecases.training.due import newest_trainings

ModelState = Literal["not trained", "training", "failed", "waiting", "refused", "trained"]


@dataclass(frozen=True)
class LastRuns:
    """The last runs of a definition.

    `evaluated_at`: up to when all its assets are evaluated; None if one never was. `trained_at`: when the last training ended, or
    the running one began. `model`: what came of it; None without a trained model.
    """

    evaluated_at: datetime | None = None
    trained_at: datetime | None = None
    model: ModelState | None = None


def last_runs(platform: UpkeepPorts, revisions: Sequence[Revision]) -> dict[str, LastRuns]:
    """Return the last runs of these definitions, by name. Writes nothing."""
    evaluated = _evaluated(platform, read_inventory(platform))
    by_model = [revision for revision in revisions if isinstance(revision.definition, ModelDefinition)]
    trainings = newest_trainings(platform.trainings, by_model)
    last = platform.decisions.newest([revision.name for revision in by_model], 1) if by_model else {}
    waiting = {alert.subject for alert in platform.platform_alerts.open() if alert.kind == WAITING}
    found = {}
    for revision in revisions:
        name, at = revision.name, evaluated.get(revision.name)
        if isinstance(revision.definition, ModelDefinition):
            training, decisions = trainings.get(name), last.get(name, ())
            found[name] = LastRuns(at, _trained_at(training, decisions), _state(training, decisions, name in waiting))
        else:
            found[name] = LastRuns(at)
    return found


def _evaluated(platform: UpkeepPorts, inventory: Inventory) -> Mapping[str, datetime | None]:
    watermarks = platform.states.load_many([target.key for target in inventory.targets]).watermark.tolist()
    earliest: dict[str, int] = {}
    for target, watermark in zip(inventory.targets, watermarks, strict=True):
        earliest[target.definition] = min(watermark, earliest.get(target.definition, watermark))
    return {name: None if instant == NO_TIME else from_millis(instant) for name, instant in earliest.items()}


def _trained_at(training: Training | None, decisions: Sequence[DecisionRecord]) -> datetime | None:
    if training is not None:
        return training.ended_at or training.started_at
    return decisions[-1].at if decisions else None


def _state(training: Training | None, decisions: Sequence[DecisionRecord], waits: bool) -> ModelState:
    if training is not None and training.failure is not None:
        return "failed"
    if training is not None and training.ended_at is None:
        return "training"
    if waits:
        return "waiting"
    if not decisions:
        return "not trained"
    return "refused" if is_refused(decisions[-1]) else "trained"
