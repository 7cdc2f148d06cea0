"""Train: dataset, candidates, comparison, promotion. Each step stores its result on the training's
run for the next one.

So a step can run in another process or run again; steps exchange only the id of the run.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from alerting.definitions.alert_definition import ModelDefinition, Revision, TrainedDefinition
from alerting.definitions.faults import UserError
from alerting.kinds.registry import estimation_of, training_of
from alerting.learning.data.dataset import Dataset, dataset_files
from alerting.learning.experiment.trials import SearchFailed
from alerting.learning.features.plan import describe_window
from alerting.learning.selection.candidates import candidate_files, candidate_from_files
from alerting.learning.selection.decision import (
    CandidateSummary,
    DatasetProfile,
    EstimateSummary,
    Proposal,
)
from alerting.ports import Files, ModelUnavailable, Progress, RegistryPorts, TrainingPorts, silent
from alerting.ports.use_cases import id_logger
from alerting.readings.history import duration_millis
from alerting.reporting.definition.decision_text import (
    MAIN_METRICS,
    candidate_metrics,
    describe_experiment,
)
from alerting.usecases.definitions.revisions_and_evaluation_plan import sync
from alerting.usecases.definitions.versions import (
    champion_at,
    require_revision,
    with_stored_features,
)
from alerting.usecases.model_registry import search_run
from alerting.usecases.time_labels import labelled_times, with_labels
from alerting.usecases.training.compare import compare_run
from alerting.usecases.training.definition_dataset import dataset_at, fix_features, require_model
from alerting.usecases.training.due import (
    INTERRUPTED,
    begin_training,
    end_run,
    failure_recorded,
    reason_of,
    require_not_cancelled,
)
from alerting.usecases.training.fitted_candidates import FAILED
from alerting.usecases.training.promote import description, promote_run
from alerting.usecases.training.run_files import (
    ACCOUNT,
    CANDIDATE,
    DATASET,
    PROFILE,
    TrainingRun,
    column_types,
    load_dataset,
    load_learning_data,
    load_model_definition,
    profile,
    read_histories,
    read_run,
)
from alerting.usecases.training.training_requests import same_result_before

_log = id_logger(__name__)


def train(
    platform: TrainingPorts,
    name: str,
    as_of: datetime,
    progress: Progress = silent,
    only_new: bool = False,
    process: str | None = None,
) -> Proposal:
    """Run all steps one after the other. Promotion waits for approval if the definition requires
    it. `only_new`: if the last decision was made on the very same data, its result is returned.
    `process`: the name of this process, by which others can ask whether it still runs."""
    progress("building the dataset", 0, None)
    run_id = prepare(platform, name, as_of, process=process)
    if only_new and (before := same_result_before(platform, run_id)) is not None:
        end_run(platform, name, read_run(platform.runs, run_id).training)
        platform.runs.finish(run_id)
        return promote_run(platform, before)
    try:
        definition = load_model_definition(platform.definitions, read_run(platform.runs, run_id))
        is_trained = isinstance(definition, TrainedDefinition)
        dataset = load_dataset(platform.runs, run_id) if is_trained else None
        families = definition.families
        for done, family in enumerate(families):
            progress(f"searching {family}", done, len(families))
            fit(platform, run_id, family, progress, dataset)
        progress("comparing", len(families), len(families))
        compare_run(platform, run_id, dataset)
    except BaseException as fault:
        reason = reason_of(fault, name) if isinstance(fault, Exception) else INTERRUPTED
        end_run(platform, name, read_run(platform.runs, run_id).training, reason)
        raise
    return promote_run(platform, run_id)


def prepare(
    platform: TrainingPorts,
    name: str,
    as_of: datetime,
    training_run: str | None = None,
    process: str | None = None,
) -> str:
    """Build the dataset of a definition and open its training run.

    `training_run`: the id under which the training was started; None for the next one of its
    question. `process`: the single process that does all steps. Raises NotDue if it was started for
    another question, and UserError if training is not possible.
    """
    sync(platform, platform.clock.now())
    revision = require_revision(platform.definitions, name)
    definition = require_model(revision)
    training = begin_training(platform, revision, training_run, process)
    with failure_recorded(platform, training):
        if isinstance(definition, TrainedDefinition):
            prepared = _prepare_rows(platform, revision, definition, as_of)
        else:
            prepared = _Prepared(*read_histories(platform, definition, as_of))
    labelled = labelled_times(platform, definition, as_of)
    composition = with_labels(prepared.profile, labelled)
    tags = {
        "definition": name,
        "revision": str(revision.number),
        "as_of": as_of.isoformat(),
        "dataset_hash": composition.hash,
    }
    run_id = platform.runs.start_run(
        name,
        f"{name} r{revision.number} {as_of:%Y-%m-%d %H:%M}",
        tags | {"question": training.question, "training": training.run},
    )
    platform.runs.describe(name, describe_experiment(definition), MAIN_METRICS["event_recall"])
    files = {
        **prepared.files,
        **labelled.files(),
        PROFILE: composition.model_dump_json(indent=1).encode(),
    }
    platform.runs.log(run_id, prepared.params, prepared.metrics, prepared.tags, files, DATASET)
    platform.runs.log_dataset(run_id, name, composition.model_dump(mode="json"), prepared.columns)
    rows = sum(part.rows for part in composition.parts.values())
    _log.info("training prepared: %d rows", rows, definition=name, run=run_id)
    return run_id


@dataclass(frozen=True)
class _Prepared:
    """The data of a training as files, with the values for the page of its run. `columns`: type of
    each column."""

    files: Files
    profile: DatasetProfile
    params: Mapping[str, Any] | None = None
    metrics: Mapping[str, float] | None = None
    tags: Mapping[str, str] | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


def _prepare_rows(
    platform: TrainingPorts, revision: Revision, definition: TrainedDefinition, as_of: datetime
) -> _Prepared:
    """Build the dataset with its counts and quality report, and store stride and windows if they
    are derived."""
    dataset = dataset_at(platform, revision, definition, as_of)
    fixed = fix_features(platform, definition, as_of)
    if fixed is not None and duration_millis(fixed.stride) != dataset.plan.stride_ms:
        # another training was first
        dataset = dataset_at(platform, revision, definition, as_of)
    composition = profile(dataset)
    counts = {f"rows_{part}": rows.rows for part, rows in composition.parts.items()}
    counts["rows_purged"] = int((dataset.part == "purged").sum())
    kinds = [finding.kind for finding in dataset.findings]
    return _Prepared(
        {
            **dataset_files(dataset),
            "quality.json": json.dumps(
                [asdict(finding) for finding in dataset.findings], indent=1
            ).encode(),
            "notes.txt": "\n".join(dataset.notes).encode(),
        },
        composition,
        params={
            "horizon": str(definition.horizon),
            "gap": str(definition.gap),
            "stride": describe_window(dataset.plan.stride_ms),
        },
        metrics={
            **counts,
            **{f"dropped_{reason}": count for reason, count in dataset.counts.items()},
            **{f"quality_{kind}": float(kinds.count(kind)) for kind in kinds},
            **{f"answers_{name}": float(count) for name, count in dataset.answers.items()},
            "positive_share": float(dataset.label[dataset.fit | dataset.measured].mean()),
            "problems": len(dataset.problems),
        },
        tags={"answers": dataset.answered} if dataset.answered else None,
        columns=column_types(dataset.plan, dataset.lives.size > 0),
    )


def fit(
    platform: TrainingPorts,
    run_id: str,
    family: str,
    progress: Progress = silent,
    dataset: Dataset | None = None,
    search: Mapping[str, Any] = MappingProxyType({}),
) -> CandidateSummary | EstimateSummary | None:
    """Search one family on the run's dataset, or estimate its model without one, and store the
    candidate on a child run. Return None if every trial failed; the child run says why.

    Raises UserError, between two trials, once a person has cancelled the training. `dataset`: the
    dataset of the run, if it is loaded already. `search`: fields of `learning` that are others in
    this search than in the definition."""
    run = read_run(platform.runs, run_id)
    definition = load_model_definition(platform.definitions, run)

    def report(step: str, done: int, total: int | None) -> None:
        require_not_cancelled(platform.trainings, run.name, run.training)
        progress(step, done, total)

    require_not_cancelled(platform.trainings, run.name, run.training)
    child = platform.runs.start_run(definition.name, family, {"family": family}, parent=run_id)
    try:
        if isinstance(definition, TrainedDefinition):
            definition = with_stored_features(platform.derived_features, definition)
            definition = definition.model_copy(
                update={"learning": definition.learning.model_copy(update=search)}
            )
            rows = load_dataset(platform.runs, run.id) if dataset is None else dataset
            warm_start = _champion_params(platform, run, family)
            candidate = training_of(definition).train(
                rows, definition, family, report, warm_start, platform.limits.read_time
            )
            summary = CandidateSummary.from_candidate(candidate)
            cut = (
                f" Cut short: {candidate.trials} of {candidate.trials_asked} trials."
                if candidate.cut_short
                else ""
            )
            values = candidate_metrics(summary)
            fitted = _Fitted(
                summary,
                "\n\n".join(
                    [
                        f"Best of {candidate.trials} trials, out of fold: {values}.{cut}",
                        *candidate.notes,
                    ]
                ),
                candidate.params,
                {
                    **candidate.metrics,
                    "trials": candidate.trials,
                    "trials_asked": candidate.trials_asked,
                },
                candidate_files(candidate),
            )
        else:
            fitted = _estimate_model(platform, run, definition, family)
    except SearchFailed as fault:
        platform.runs.log(child, tags={FAILED: str(fault), **description(str(fault))})
        platform.runs.finish(child, failed=True)
        _log.warning("no candidate of %s: %s", family, fault, definition=run.name, run=run_id)
        return None
    except BaseException:
        platform.runs.finish(child, failed=True)
        raise
    platform.runs.log(
        child, params=fitted.params, metrics=fitted.metrics, files=fitted.files, folder=CANDIDATE
    )
    platform.runs.log(child, tags={"fitted": "true", **description(fitted.text)})
    platform.runs.finish(child)
    _log.info("candidate fitted: %s", family, definition=definition.name, run=run_id)
    return fitted.summary


@dataclass(frozen=True)
class _Fitted:
    """A candidate as it is stored on its run."""

    summary: CandidateSummary | EstimateSummary
    text: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    files: Files


def _estimate_model(
    platform: TrainingPorts, run: TrainingRun, definition: ModelDefinition, family: str
) -> _Fitted:
    estimation = estimation_of(definition)
    data = load_learning_data(platform, run.id, definition, run.as_of)
    estimated = estimation.estimate(definition, run.revision, family, data)
    account = {
        "notes": estimated.notes,
        "left_out": estimated.left_out,
        "tables": [table._asdict() for table in estimated.tables],
    }
    return _Fitted(
        EstimateSummary(family=family, used=estimated.used, notes=estimated.notes),
        "\n\n".join(estimated.notes),
        estimated.params,
        {**estimated.metrics, "used": float(estimated.used)},
        {**estimation.save(estimated.model), ACCOUNT: json.dumps(account, indent=1).encode()},
    )


def _champion_params(
    platform: RegistryPorts, run: TrainingRun, family: str
) -> dict[str, Any] | None:
    """Return the best parameters for this family from the training of the present champion, of any
    question; None without a champion.

    A champion of the run's own instant does not count, because training again from the same data
    must give the same model.
    """
    before = run.as_of - timedelta(microseconds=1)
    version = champion_at(platform.decisions.for_definition(run.name), before, question=None)
    if version is None:
        return None
    models = platform.models
    try:
        fitted = [
            search.id
            for search in platform.runs.searches(search_run(models.version_tags(run.name, version)))
            if search.tags.get("fitted") == "true" and search.tags.get("family") == family
        ]
        files = platform.runs.files(fitted[0], CANDIDATE) if fitted else None
        return None if files is None else candidate_from_files(files).params
    except (ModelUnavailable, KeyError, UserError):  # its records are lost: search from the default
        return None
