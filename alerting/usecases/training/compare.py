"""Compare: choose among the candidates of a training, register the challenger, and compare it with
the champion."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from alerting.definitions.alert_definition import (
    ModelDefinition,
    TrainedDefinition,
    matching_assets,
)
from alerting.definitions.wording.language import in_english, joined, translatable
from alerting.kinds.normal_operation import NormalModel
from alerting.kinds.registry import estimation_of, trained_kind_of, training_of
from alerting.kinds.training_protocol import Challenger
from alerting.learning.data.dataset import Dataset
from alerting.learning.models.model_files import estimates_life, example_files
from alerting.learning.models.trained import TrainedModel
from alerting.learning.selection.candidates import (
    Candidate,
    FitFailed,
    candidate_from_files,
    final_fit,
)
from alerting.learning.selection.challenger import ChallengerEvidence, compare_with_twin
from alerting.learning.selection.choice import ChanceTest
from alerting.learning.selection.decision import (
    PROPOSAL,
    CandidateSummary,
    DatasetProfile,
    PromotionDecision,
    Proposal,
    decide,
    threshold_alert,
)
from alerting.learning.selection.decision_rules import Objection, explain
from alerting.learning.selection.value_test import ValueEvidence
from alerting.ports import DecisionRecord, Decisions, ModelUnavailable, PlantPorts, TrainingPorts
from alerting.ports.use_cases import id_logger
from alerting.reporting import model_charts as charts_of
from alerting.reporting.definition.decision_text import (
    decision_markdown,
    headline_metrics,
    metrics_text,
)
from alerting.usecases.definitions.faults_and_platform_alerts import record_model_faults
from alerting.usecases.definitions.versions import (
    champion_at,
    last_promotion,
    require_revision,
    serves_twin,
    with_stored_features,
)
from alerting.usecases.model_registry import (
    EVIDENCE,
    ModelCache,
    effects_file,
    log_onnx,
    register_model,
    search_run,
)
from alerting.usecases.time_labels import record_labels
from alerting.usecases.training.definition_dataset import (
    acted_windows,
    dataset_at,
    histories_at,
    suppressed_at,
)
from alerting.usecases.training.due import end_run, require_not_cancelled
from alerting.usecases.training.fitted_candidates import load_candidates, require_comparable
from alerting.usecases.training.objections import (
    describe_values,
    object_to_threshold,
    refuse,
)
from alerting.usecases.training.promote import PLATFORM, description, follow
from alerting.usecases.training.run_files import (
    ACCOUNT,
    DATASET,
    PROFILE,
    TrainingRun,
    column_types,
    load_dataset,
    load_learning_data,
    load_model_definition,
    profile,
    read_run,
    refit_tags,
    report_waiting,
    version_tags,
)

_log = id_logger(__name__)
_MOST_IMPORTANT = 20


@dataclass(frozen=True)
class Refreshed:
    """The champion's twin with a newer refit, registered as a version of its own."""

    version: int
    training_cutoff: datetime


def refresh(
    platform: TrainingPorts,
    run: TrainingRun,
    definition: TrainedDefinition,
    dataset: Dataset,
    version: int,
) -> Refreshed | None:
    """Fit the champion's parameters on all rows that are mature now, and register the result with
    the same twin. Idempotent.

    None if the definition wants no refit, if the champion's refit has given way to its twin, or if
    there are no newer rows. `dataset`: of the run. `version`: the champion of the run's question.
    """
    name = definition.name
    revision = require_revision(platform.definitions, name, run.revision)
    champion = ModelCache(platform).as_trained(definition, version)
    gave_way = serves_twin(platform.decisions.for_definition(name), version, run.as_of)
    if definition.periods.refit == "none" or gave_way:
        return None
    if dataset.plan != champion.plan:
        dataset = dataset_at(platform, revision, definition, run.as_of, champion.plan)
    training = training_of(definition)
    with final_fit(champion.family):
        refreshed = training.refit(dataset, champion, definition)
    if refreshed is None or refreshed.refit is None:
        return None
    of_champion = platform.models.version_tags(name, version)
    searches = platform.runs.searches(run.id)
    child = next((search.id for search in searches if "refreshes" in search.tags), None)
    child = child or platform.runs.start_run(
        name, f"refit of version {version}", {"refreshes": str(version)}, parent=run.id
    )
    made = {
        "training_run": child,
        "search_run": search_run(of_champion),
        "refreshed_by": run.id,
        "dataset_hash": dataset.hash,
    }
    files = dict(training.save(refreshed))
    tags = of_champion | made | refit_tags(refreshed)
    columns = column_types(refreshed.plan, estimates_life(files))
    files |= example_files(dataset.rows, columns)
    number = register_model(platform, name, child, files, tags, columns)
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
    comparison = compare_with_twin(definition, champion, histories, acted, as_of, suppressed)
    if comparison is None:
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
        reason=comparison.reason,
        details=comparison.details,
        evidence=comparison.evidence,
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


def compare_run(
    platform: TrainingPorts,
    run_id: str,
    dataset: Dataset | None = None,
    families: Collection[str] | None = None,
) -> Proposal:
    """Choose among the candidates, finish and register the challenger, and compare it with the
    champion.

    The proposal is stored on the run; `promote_run` carries it out. `dataset`: its own, if loaded.
    `families`: those that the run has searched; all of its definition when left out.
    """
    run = read_run(platform.runs, run_id)
    require_not_cancelled(platform.trainings, run.name, run.training)
    definition = load_model_definition(platform.definitions, run)
    if isinstance(definition, TrainedDefinition):
        definition = with_stored_features(platform.derived_features, definition)
        rows = load_dataset(platform.runs, run.id) if dataset is None else dataset
        return _compare_trained(platform, run, definition, rows, families)
    return _compare_estimated(platform, run, definition)


def _compare_trained(
    platform: TrainingPorts,
    run: TrainingRun,
    definition: TrainedDefinition,
    dataset: Dataset,
    families: Collection[str] | None,
) -> Proposal:
    """Compare the candidates of a kind that learns from problems, and refit a champion that
    stays."""
    searched = [f for f in definition.families if families is None or f in families]
    files, failed = load_candidates(platform.runs, run.id, searched)
    candidates = [candidate_from_files(stored) for stored in files.values()]
    review_refit(platform, definition, run.as_of, run.question)
    chance, chosen = _choose(dataset, definition, candidates, failed)
    champion_version = _champion_of(platform.decisions, run)
    version = None
    refreshed_version = None
    values = None
    if chosen is not None and isinstance(chosen.evidence, ValueEvidence):
        values = chosen.evidence.test
        serves = values.passed and not _ends_alarm(platform, definition, champion_version, run)
        chosen = chosen if serves else None
    if chosen is None:
        decision = refuse(chance, values)
    else:
        version, decision = _register(platform, run, definition, dataset, chosen, champion_version)
        if decision.promote:
            decision = object_to_threshold(
                decision, chance, chosen, champion_version is None, threshold_alert(definition)
            )
        elif champion_version is not None:
            decision, refreshed_version = _refresh(
                platform, run, definition, dataset, champion_version, decision
            )
        if values is not None:
            decision = decision.add_details(describe_values(chance, values))
    ended = {c.family: [c.trials, c.trials_asked] for c in candidates if c.cut_short}
    proposal = Proposal(
        definition=run.name,
        revision=run.revision,
        question=run.question,
        run_id=run.id,
        as_of=run.as_of,
        verdict=decision.verdict,
        promote=decision.promote,
        waiting=decision.waits(definition),
        objection=decision.objection,
        provisional=decision.provisional,
        reason=decision.reason,
        details=decision.details,
        challenger_version=version,
        champion_version=champion_version,
        refreshed_version=refreshed_version,
        leaderboard=tuple(CandidateSummary.from_candidate(candidate) for candidate in candidates),
        test=chosen.evidence.summary if chosen else {},
        evidence={
            **({} if chance is None else {"chance": chance.to_document()}),
            **({} if values is None else {"values": values.to_document()}),
            **_importance(chosen, decision),
            **({"cut_short": {"trials": ended}} if ended and platform.runs.shown else {}),
            **decision.evidence,
        },
        importance=chosen.evidence.importance if chosen else {},
        dataset=profile(dataset),
        findings=tuple(dataset.findings),
        answers=dataset.answered,
        failures=(
            *(f"{c.family}: {failure}" for c in candidates if (failure := c.failure)),
            *(f"{family} is left out: {fault}" for family, fault in failed.items()),
        ),
    )
    params = {"family": chosen.candidate.family, **chosen.candidate.params} if chosen else {}
    names = ("ap", "bound", "trials", "problems") if chance is not None else ()
    metrics = {f"chance_{name}": float(getattr(chance, name)) for name in names}
    return _store(platform, run, definition, proposal, params, metrics)


def _choose(
    dataset: Dataset,
    definition: TrainedDefinition,
    candidates: Sequence[Candidate],
    failed: dict[str, str],
) -> tuple[ChanceTest | None, Challenger | None]:
    """Choose and finish the challenger among the candidates that have not failed. One whose final
    fit fails joins them, with its reason; refused if no other one can serve."""
    try:
        remaining = [candidate for candidate in candidates if candidate.family not in failed]
        return training_of(definition).choose(dataset, definition, remaining)
    except FitFailed as fault:
        failed[fault.name] = str(fault)
        families = [candidate.family for candidate in remaining]
        require_comparable(definition.name, families, failed)
        chance, chosen = _choose(dataset, definition, candidates, failed)
        require_comparable(definition.name, families if chosen else (), failed)
        return chance, chosen


def _ends_alarm(
    platform: TrainingPorts, definition: TrainedDefinition, version: int | None, run: TrainingRun
) -> bool:
    """Return whether an alarm is in service, which a model without one must not end."""
    champion, lost = _read_champion(platform, definition, version, run.as_of)
    return lost is not None or (champion is not None and champion.has_alarm)


def _compare_estimated(
    platform: TrainingPorts, run: TrainingRun, definition: ModelDefinition
) -> Proposal:
    """Compare the candidates of a kind that learns from readings alone."""
    candidates, _ = load_candidates(platform.runs, run.id, definition.families)
    accounts = {family: json.loads(files.pop(ACCOUNT)) for family, files in candidates.items()}
    models = {
        family: trained_kind_of(definition).load(files) for family, files in candidates.items()
    }
    champion_version = _champion_of(platform.decisions, run)
    champion, lost = _read_champion(platform, definition, champion_version, run.as_of)
    data = load_learning_data(platform, run.id, definition, run.as_of)
    estimation = estimation_of(definition)
    compared = estimation.compare(definition, data, models, champion)
    decision = lost or compared.decision
    model = compared.model or models[compared.family]
    account = accounts[compared.family]
    composition = DatasetProfile.model_validate_json(platform.runs.files(run.id, DATASET)[PROFILE])
    noted = {"notes": (*composition.notes, *account["notes"])}
    files = estimation.save(model) if compared.model else candidates[compared.family]
    counted = {"metrics_text": str(joined(" ", decision.reason, decision.details))}
    tags = version_tags(definition.kind, model, run) | counted
    version = register_model(platform, definition.name, run.id, files, tags, {})
    fitted = {"fitted_on": sorted(model.by_asset)} if isinstance(model, NormalModel) else {}
    proposal = Proposal(
        definition=run.name,
        revision=run.revision,
        question=run.question,
        run_id=run.id,
        as_of=run.as_of,
        verdict=decision.verdict,
        promote=decision.promote,
        waiting=decision.waits(definition),
        objection=decision.objection,
        provisional=decision.provisional,
        reason=decision.reason,
        details=decision.details,
        challenger_version=version,
        champion_version=champion_version,
        evidence={**decision.evidence, **noted, "tables": account.get("tables", []), **fitted},
        dataset=composition.model_copy(update={**noted, "dropped": account["left_out"]}),
    )
    return _store(
        platform, run, definition, proposal, {"family": compared.family}, compared.metrics
    )


def _store(
    platform: TrainingPorts,
    run: TrainingRun,
    definition: ModelDefinition,
    proposal: Proposal,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
) -> Proposal:
    """Store the proposal of a training, which ends it. Raises UserError if it was cancelled."""
    require_not_cancelled(platform.trainings, run.name, run.training)
    proposal = record_labels(platform, definition, proposal)
    text = decision_markdown(proposal)
    platform.runs.log(
        run.id,
        params=params,
        metrics=metrics,
        tags=description(text),
        files={PROPOSAL: proposal.to_json(), "decision.md": text.encode()},
        folder="decision",
    )
    end_run(platform, run.name, run.training)
    report_waiting(platform, proposal)
    _log.info("compared: %s", proposal.verdict, definition=run.name, run=run.id)
    return proposal


def _champion_of(decisions: Decisions, run: TrainingRun) -> int | None:
    """Return the version in service for the question of a run, at its instant."""
    return champion_at(decisions.for_definition(run.name), run.as_of, run.question)


def _read_champion(
    platform: TrainingPorts, definition: ModelDefinition, version: int | None, as_of: datetime
) -> tuple[TrainedModel | None, PromotionDecision | None]:
    """Return the champion. If it cannot be read, report that, and return a decision by which the
    challenger waits for a person."""
    try:
        return None if version is None else ModelCache(platform).get(definition, version), None
    except ModelUnavailable as unavailable:
        faults = {definition.name: f"the model cannot be read: {unavailable}"}
        record_model_faults(platform.platform_alerts, [definition.name], faults, as_of)
        lost: dict[Objection, bool] = {"unreadable_champion": True}
        fault = in_english("It cannot be read: {fault}.", fault=str(unavailable).rstrip("."))
        return None, decide(lost, {"version": version or 0}, details=fault)


def _importance(challenger: Challenger | None, decision: PromotionDecision) -> dict[str, Any]:
    """Return the importance of the challenger's most important variables, for the record; nothing
    if it was not measured, or if the refitted champion goes into service instead."""
    if challenger is None or challenger.evidence.shap is None or decision.verdict == "refreshed":
        return {}
    ranked = dict(list(challenger.evidence.importance.items())[:_MOST_IMPORTANT])
    return {"importance": {"rows": len(challenger.evidence.shap.shares), "variables": ranked}}


def _register(
    platform: TrainingPorts,
    run: TrainingRun,
    definition: TrainedDefinition,
    dataset: Dataset,
    chosen: Challenger,
    champion_version: int | None,
) -> tuple[int, PromotionDecision]:
    """Compare the challenger with the champion, register it, and store its evidence on the run.
    Return version and decision.

    It is registered with its refit if the decision puts it into service.
    """
    training = training_of(definition)
    model = chosen.model
    evidence = chosen.evidence
    decision = _decide(platform, definition, model, champion_version, run.as_of)
    if decision.promote and definition.periods.refit == "all":
        try:
            with final_fit(model.family):
                model = training.refit(dataset, model, definition) or model
        except FitFailed as fault:
            decision = decision.add_details(_without_refit(fault))
    tags = {
        **version_tags(definition.kind, model, run),
        **({} if isinstance(evidence, ValueEvidence) else {"threshold": repr(model.threshold)}),
        "metrics_text": (
            evidence.test.message
            if isinstance(evidence, ValueEvidence)
            else metrics_text(evidence.summary)
        ),
    }
    files = dict(training.save(model))
    columns = column_types(model.plan, estimates_life(files))
    files |= example_files(dataset.rows, columns)
    version = register_model(platform, run.name, run.id, files, tags, columns)
    charts = _charts(platform, definition, evidence) if platform.runs.shown else {}
    platform.runs.log(
        run.id,
        metrics=headline_metrics(evidence.summary) | evidence.metrics,
        files={**evidence.files, **effects_file(getattr(model, "effects", None)), **charts},
        folder=EVIDENCE,
    )
    log_onnx(platform.runs, run.id, model)
    return version, decision


def _refresh(
    platform: TrainingPorts,
    run: TrainingRun,
    definition: TrainedDefinition,
    dataset: Dataset,
    champion_version: int,
    compared: PromotionDecision,
) -> tuple[PromotionDecision, int | None]:
    """Refit the champion, which stays; return the decision, and the new version if a refit was
    registered."""
    try:
        refreshed = refresh(platform, run, definition, dataset, champion_version)
    except FitFailed as fault:
        return compared.add_details(_without_refit(fault)), None
    if refreshed is None:
        return compared, None
    serving = last_promotion(platform.decisions.for_definition(run.name), run.question)
    reason = explain(
        "refreshed",
        until=refreshed.training_cutoff,
        version=refreshed.version,
    )
    of_challenger = translatable(
        "The challenger did not replace it: {reason}", reason=compared.reason
    )
    decision = replace(
        compared,
        verdict="refreshed",
        reason=reason,
        details=joined(" ", of_challenger, compared.details),
        provisional=serving is not None and serving.provisional,
    )
    return decision, refreshed.version


def _without_refit(fault: FitFailed) -> str:
    return f"It is not fitted again on all rows: {fault}."


def _charts(
    platform: PlantPorts,
    definition: TrainedDefinition,
    evidence: ChallengerEvidence | ValueEvidence,
) -> dict[str, bytes]:
    """Return the charts of the challenger's curves and of its shares (SHAP)."""
    names = {
        name: variable.title
        for asset in matching_assets(definition, platform.assets.all())
        for name, variable in asset.variables.items()
        if variable.title
    }
    documents = {
        name.removesuffix(".json"): json.loads(data) for name, data in evidence.files.items()
    }
    charts = charts_of.evidence_charts(documents, names)
    if evidence.shap is not None:
        shap = evidence.shap
        charts["shap_beeswarm.png"] = charts_of.swarm(
            shap.variables, shap.shares, shap.values, names
        )
    return charts


def _decide(
    platform: TrainingPorts,
    definition: TrainedDefinition,
    challenger: TrainedModel,
    champion_version: int | None,
    as_of: datetime,
) -> PromotionDecision:
    """Compare with the champion. If the champion cannot be read, the challenger is proposed to a
    person."""
    champion, lost = _read_champion(platform, definition, champion_version, as_of)
    if lost is not None:
        return lost
    return training_of(definition).compare(
        definition=definition,
        challenger=challenger,
        champion=champion,
        histories=histories_at(platform, definition, as_of),
        excluded=acted_windows(platform.episodes, definition, as_of),
        as_of=as_of,
        seed=definition.learning.seed,
        suppressed=suppressed_at(platform, definition, as_of),
    )
