"""The refit of the champion: with newer data after a training that leaves it in service, and until
it is worse than its twin."""

from dataclasses import dataclass
from datetime import datetime

from alerting.definitions.model import TrainedDefinition
from alerting.kinds.registry import training_of
from alerting.learning.data.dataset import Dataset
from alerting.learning.models.trained import TrainedModel
from alerting.learning.selection.refit import compare_with_twin
from alerting.ports import DecisionRecord, ModelUnavailable, TrainingPorts
from alerting.ports.logs import id_logger
from alerting.usecases.definitions.lookup import require_revision
from alerting.usecases.definitions.versions import last_promotion, serves_twin
from alerting.usecases.registry.model_cache import ModelCache
from alerting.usecases.registry.onnx_export import log_onnx
from alerting.usecases.registry.registration import register_model, search_run
from alerting.usecases.training.dataset import acted_windows, dataset_at, suppressed_at
from alerting.usecases.training.derived import histories_at
from alerting.usecases.training.promote import PLATFORM, follow
from alerting.usecases.training.run import TrainingRun, column_types

_log = id_logger(__name__)


@dataclass(frozen=True)
class Refreshed:
    """The champion's twin with a newer refit, registered as a version of its own."""

    version: int
    training_cutoff: datetime


def refit_tags(model: TrainedModel) -> dict[str, str]:
    """Return the tags of a registered version on its refit; empty without one."""
    if model.refit is None:
        return {}
    return {"refit_cutoff": model.refit.training_cutoff.isoformat(), "refit_hash": model.refit.hash}


def refresh(
    platform: TrainingPorts,
    run: TrainingRun,
    definition: TrainedDefinition,
    dataset: Dataset,
    version: int,
) -> Refreshed | None:
    """Fit the champion's parameters on all rows that are mature now, and register the result with
    the same twin. Idempotent.

    None if the definition wants no refit, if the champion's refit has given way to its twin, if
    models like the champion are no longer trained, or if there are no newer rows. `dataset`: of the
    run. `version`: of the champion of the run's question.
    """
    name = definition.name
    revision = require_revision(platform.definitions, name, run.revision)
    champion = ModelCache(platform).get(definition, version)
    gave_way = serves_twin(platform.decisions.for_definition(name), version, run.as_of)
    if definition.periods.refit == "none" or gave_way:
        return None
    if dataset.plan != champion.plan:
        dataset = dataset_at(platform, revision, definition, run.as_of, champion.plan)
    training = training_of(definition)
    refreshed = training.refit(dataset, champion, definition)
    if refreshed is None or refreshed.refit is None:
        return None
    of_champion = platform.models.version_tags(name, version)
    searches = platform.runs.searches(run.id)
    child = next((one.id for one in searches if "refreshes" in one.tags), None)
    child = child or platform.runs.start_run(
        name, f"refit of version {version}", {"refreshes": str(version)}, parent=run.id
    )
    made = {
        "training_run": child,
        "search_run": search_run(of_champion),
        "refreshed_by": run.id,
        "dataset_hash": dataset.hash,
    }
    number = register_model(
        platform,
        name,
        child,
        training.save(refreshed),
        of_champion | made | refit_tags(refreshed),
        column_types(refreshed.plan),
    )
    log_onnx(platform.runs, child, refreshed)
    platform.runs.finish(child)
    return Refreshed(number, refreshed.refit.training_cutoff)


def review_refit(
    platform: TrainingPorts, definition: TrainedDefinition, as_of: datetime, question: str | None
) -> DecisionRecord | None:
    """Let the refit of a question's champion give way to its twin if it is worse beyond chance, and
    record that. Idempotent.

    Return the decision; None if the refit stays, or if it is not known whether it is worse.
    """
    name = definition.name
    made = platform.decisions.for_definition(name)
    serving = last_promotion(made, question)
    if (
        serving is None
        or serving.challenger_version is None
        or serving.at > as_of
        or serves_twin(made, serving.challenger_version, as_of)
    ):
        return None
    try:
        champion = ModelCache(platform).get(definition, serving.challenger_version)
    except ModelUnavailable:  # the comparison of the training reports it
        return None
    histories = histories_at(platform, definition, as_of)
    suppressed = suppressed_at(platform, definition, as_of)
    acted = acted_windows(platform.episodes, definition, as_of)
    found = compare_with_twin(definition, champion, histories, acted, as_of, suppressed)
    if found is None:
        return None
    record = DecisionRecord(
        definition=name,
        at=as_of,
        revision=serving.revision,
        challenger_version=serving.challenger_version,
        champion_version=serving.challenger_version,
        promoted=True,
        provisional=serving.provisional,
        verdict="gave_way",
        reason=found.reason,
        evidence=found.evidence,
        run_id=None,
        actor=PLATFORM,
        question=serving.question,
        decided_at=platform.clock.now(),
        as_of=as_of,
    )
    if not platform.decisions.add(record, 1 + sum(d.promoted for d in made)):
        return None  # another promotion came first
    follow(platform, record)
    _log.info(
        "the refit of version %d gives way to its twin", serving.challenger_version, definition=name
    )
    return record
