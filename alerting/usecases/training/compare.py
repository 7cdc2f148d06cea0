"""Compare: choose among the candidates of a training, register the challenger, and compare it with
the champion."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from alerting.definitions.matching import matching_assets
from alerting.definitions.model import ModelDefinition, TrainedDefinition
from alerting.kinds.normal.model import NormalModel
from alerting.kinds.protocol.training import Challenger
from alerting.kinds.registry import estimation_of, trained_kind_of, training_of
from alerting.learning.data.dataset import Dataset
from alerting.learning.models.trained import TrainedModel
from alerting.learning.search.candidates import candidate_from_files
from alerting.learning.selection.challenger import Evidence
from alerting.learning.selection.promotion import PromotionDecision
from alerting.learning.selection.proposal import PROPOSAL, CandidateSummary, Proposal
from alerting.ports import ModelUnavailable, PlantPorts, TrainingPorts
from alerting.ports.logs import id_logger
from alerting.reporting.page.decision_text import decision_markdown, headline_metrics, metrics_text
from alerting.usecases.definitions.platform_alerts import record_model_faults, record_waiting
from alerting.usecases.definitions.versions import champion_at, last_promotion
from alerting.usecases.registry.model_cache import ModelCache
from alerting.usecases.registry.onnx_export import log_onnx
from alerting.usecases.registry.registration import register_model
from alerting.usecases.training.dataset import acted_windows, suppressed_at
from alerting.usecases.training.derived import histories_at
from alerting.usecases.training.due import end_run
from alerting.usecases.training.promote import description
from alerting.usecases.training.readings import load_learning_data
from alerting.usecases.training.refit import refit_tags, refresh, review_refit
from alerting.usecases.training.run import (
    ACCOUNT,
    column_types,
    load_candidates,
    load_dataset,
    load_definition,
    load_model_definition,
    load_profile,
    profile,
)

_log = id_logger(__name__)
_MOST_IMPORTANT = 20
_FINDS_NOTHING = (
    " Its threshold finds no problem in the validation period, so it goes into service only if a "
    "person approves: "
    "`alerting model approve`."
)


def compare_run(platform: TrainingPorts, run_id: str) -> Proposal:
    """Choose among the candidates, finish and register the challenger, and compare it with the
    champion.

    The proposal is stored on the run; `promote_run` carries it out.
    """
    definition = load_model_definition(platform, run_id)
    if isinstance(definition, TrainedDefinition):
        return _compare_trained(platform, run_id, load_definition(platform, run_id))
    return _compare_estimated(platform, run_id, definition)


def _compare_trained(
    platform: TrainingPorts, run_id: str, definition: TrainedDefinition
) -> Proposal:
    """Compare the candidates of a kind that learns from problems, and refit a champion that
    stays."""
    tags = platform.models.tags(run_id)
    dataset = load_dataset(platform.models, run_id)
    candidates = [
        candidate_from_files(files) for files in load_candidates(platform, run_id).values()
    ]
    review_refit(platform, definition, datetime.fromisoformat(tags["as_of"]), tags.get("question"))
    chance, chosen = training_of(definition).choose(dataset, definition, candidates)
    champion_version = _champion_of(platform, tags)
    version = None
    refreshed_version = None
    if chosen is None:
        stays = (
            "" if champion_version is None else f" The champion, version {champion_version}, stays."
        )
        reason = f"{chance.message}{stays} {chance.remedy(definition)}"
        decision = PromotionDecision(
            "no_challenger", promote=False, provisional=False, reason=reason
        )
    else:
        version, decision = _register(
            platform, run_id, definition, dataset, chosen, champion_version
        )
        if champion_version is not None and not decision.promote:
            decision, refreshed_version = _refresh(
                platform, run_id, definition, dataset, champion_version, decision
            )
    blind = (
        chosen is not None
        and not chosen.evidence.threshold.finds
        and decision.verdict in ("promote", "provisional")
    )
    replaces_lost = decision.verdict == "provisional" and champion_version is not None
    metrics = {
        f"chance_{key}": float(getattr(chance, key))
        for key in ("ap", "bound", "trials", "problems")
    }
    return _propose(
        platform,
        run_id,
        definition,
        replace(decision, reason=decision.reason + (_FINDS_NOTHING if blind else "")),
        by_person=blind or replaces_lost,
        params={"family": chosen.candidate.family, **chosen.candidate.params} if chosen else {},
        metrics=metrics,
        challenger_version=version,
        champion_version=champion_version,
        refreshed_version=refreshed_version,
        leaderboard=tuple(CandidateSummary.from_candidate(candidate) for candidate in candidates),
        test=chosen.evidence.summary if chosen else {},
        evidence={
            "chance": chance.to_document(),
            **_importance(chosen, decision),
            **decision.evidence,
        },
        importance=chosen.evidence.importance if chosen else {},
        dataset=profile(dataset),
        findings=dataset.findings,
        answers=dataset.answered,
    )


def _compare_estimated(
    platform: TrainingPorts, run_id: str, definition: ModelDefinition
) -> Proposal:
    """Compare the candidates of a kind that learns from readings alone."""
    tags = platform.models.tags(run_id)
    candidates = load_candidates(platform, run_id)
    accounts = {family: json.loads(files.pop(ACCOUNT)) for family, files in candidates.items()}
    models = {
        family: trained_kind_of(definition).load(files) for family, files in candidates.items()
    }
    champion_version = _champion_of(platform, tags)
    as_of = datetime.fromisoformat(tags["as_of"])
    champion, lost = _read_champion(platform, definition, champion_version, as_of)
    data = load_learning_data(platform, run_id, definition, as_of)
    estimation = estimation_of(definition)
    compared = estimation.compare(definition, data, models, champion)
    decision = lost or compared.decision
    model = compared.model or models[compared.family]
    account = accounts[compared.family]
    files = estimation.save(model) if compared.model else candidates[compared.family]
    version_tags = {
        **_version_tags(definition.kind, model, run_id, tags),
        "metrics_text": decision.reason,
    }
    version = register_model(platform, definition.name, run_id, files, version_tags, {})
    composition = load_profile(platform.models, run_id)
    fitted = {"fitted_on": sorted(model.by_asset)} if isinstance(model, NormalModel) else {}
    return _propose(
        platform,
        run_id,
        definition,
        decision,
        by_person=lost is not None or compared.by_person,
        params={"family": compared.family},
        metrics=compared.metrics,
        challenger_version=version,
        champion_version=champion_version,
        evidence=decision.evidence
        | {"notes": account["notes"], "tables": account.get("tables", []), **fitted},
        dataset=composition.model_copy(
            update={"notes": tuple(account["notes"]), "dropped": account["left_out"]}
        ),
    )


def _propose(
    platform: TrainingPorts,
    run_id: str,
    definition: ModelDefinition,
    decision: PromotionDecision,
    *,
    by_person: bool,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    **found: Any,
) -> Proposal:
    """Store the proposal of a training on its run, and record that the training has ended. `found`:
    its other fields."""
    tags = platform.models.tags(run_id)
    name = definition.name
    proposal = Proposal(
        definition=name,
        revision=int(tags["revision"]),
        question=tags.get("question"),
        run_id=run_id,
        as_of=datetime.fromisoformat(tags["as_of"]),
        verdict=decision.verdict,
        promote=decision.promote,
        waiting=decision.promote and (by_person or definition.promotion.mode == "approval"),
        provisional=decision.provisional,
        reason=decision.reason,
        **found,
    )
    text = decision_markdown(proposal)
    files = {PROPOSAL: proposal.to_json(), "decision.md": text.encode()}
    platform.models.log(
        run_id,
        params=params,
        metrics=metrics,
        tags=description(text),
        files=files,
        folder="decision",
    )
    end_run(platform, name, tags.get("training"))
    record_waiting(
        platform.platform_alerts,
        name,
        proposal.reason if proposal.waiting else None,
        platform.clock.now(),
    )
    _log.info("compared: %s", proposal.verdict, definition=name, run=run_id)
    return proposal


def _champion_of(platform: TrainingPorts, tags: Mapping[str, str]) -> int | None:
    """Return the version in service for the question of a run, at its instant."""
    return champion_at(
        platform.decisions.of(tags["definition"]),
        datetime.fromisoformat(tags["as_of"]),
        tags.get("question"),
    )


def _read_champion(
    platform: TrainingPorts, definition: ModelDefinition, version: int | None, as_of: datetime
) -> tuple[TrainedModel | None, PromotionDecision | None]:
    """Return the champion. If it cannot be read, report that, and return the decision: the
    challenger waits for a person."""
    try:
        return None if version is None else ModelCache(platform).get(definition, version), None
    except ModelUnavailable as unavailable:
        faults = {definition.name: f"the model cannot be read: {unavailable}"}
        record_model_faults(platform.platform_alerts, [definition.name], faults, as_of)
        reason = (
            f"The champion, version {version}, cannot be read, so the comparison is impossible "
            f"({unavailable}). "
            "The challenger goes into service only if a person approves."
        )
        return None, PromotionDecision("provisional", promote=True, provisional=True, reason=reason)


def _importance(challenger: Challenger | None, decision: PromotionDecision) -> dict[str, Any]:
    """Return the importance of the challenger's most important variables for the record of the
    decision.

    Nothing if it was not measured, or if the refitted champion goes into service instead.
    """
    if challenger is None or challenger.evidence.shap is None or decision.verdict == "refreshed":
        return {}
    rows = len(challenger.evidence.shap.shares)
    ranked = list(challenger.evidence.importance.items())[:_MOST_IMPORTANT]
    return {"importance": {"rows": rows, "variables": dict(ranked)}}


def _register(
    platform: TrainingPorts,
    run_id: str,
    definition: TrainedDefinition,
    dataset: Dataset,
    chosen: Challenger,
    champion_version: int | None,
) -> tuple[int, PromotionDecision]:
    """Compare the challenger with the champion, register it, and store its evidence on the run.
    Return version and decision.

    It is registered with its refit if it is to go into service.
    """
    tags = platform.models.tags(run_id)
    training = training_of(definition)
    model = chosen.model
    evidence = chosen.evidence
    decision = _decide(
        platform, definition, model, champion_version, datetime.fromisoformat(tags["as_of"])
    )
    if decision.promote and definition.periods.refit == "all":
        model = training.refit(dataset, model, definition) or model
    version = register_model(
        platform,
        definition.name,
        run_id,
        training.save(model),
        {
            **_version_tags(definition.kind, model, run_id, tags),
            "threshold": repr(model.threshold),
            "metrics_text": metrics_text(evidence.summary),
        },
        column_types(model.plan),
    )
    metrics = headline_metrics(evidence.summary) | evidence.metrics
    charts = _charts(platform, definition, evidence, decision) if platform.models.shown else {}
    platform.models.log(
        run_id, metrics=metrics, files={**evidence.files, **charts}, folder="evidence"
    )
    log_onnx(platform.models, run_id, model)
    return version, decision


def _refresh(
    platform: TrainingPorts,
    run_id: str,
    definition: TrainedDefinition,
    dataset: Dataset,
    champion_version: int,
    compared: PromotionDecision,
) -> tuple[PromotionDecision, int | None]:
    """Refit the champion, which stays, and return the decision and the new version; the decision as
    it is without a refit."""
    refreshed = refresh(platform, run_id, definition, dataset, champion_version)
    if refreshed is None:
        return compared, None
    question = platform.models.tags(run_id).get("question")
    serving = last_promotion(platform.decisions.of(definition.name), question)
    reason = (
        f"{compared.reason} It is refitted on all rows up to "
        f"{refreshed.training_cutoff:%Y-%m-%d %H:%M} UTC: version "
        f"{refreshed.version} replaces version {champion_version}, with the same twin."
    )
    provisional = serving is not None and serving.provisional
    return PromotionDecision(
        "refreshed", True, provisional, reason, compared.evidence
    ), refreshed.version


def _charts(
    platform: PlantPorts,
    definition: TrainedDefinition,
    evidence: Evidence,
    decision: PromotionDecision,
) -> dict[str, bytes]:
    """Return the charts of the challenger's curves, and of champion and challenger side by side if
    they were compared."""
    from alerting.reporting.figures import training_charts  # noqa: PLC0415 - loads a library of drawings

    assets = matching_assets(definition, platform.assets.all())
    names = {
        name: variable.title
        for asset in assets
        for name, variable in asset.variables.items()
        if variable.title
    }
    documents = {
        name.removesuffix(".json"): json.loads(data) for name, data in evidence.files.items()
    }
    charts = training_charts.evidence_charts(documents, names)
    if evidence.shap is not None:
        try:
            charts |= training_charts.shap_plots(
                evidence.shap.variables, evidence.shap.shares, evidence.shap.values, names
            )
        except Exception as fault:  # a plot of another library must not stop a training
            _log.warning("no plots by SHAP: %s", fault, definition=definition.name)
    compared = training_charts.comparison(decision.evidence)
    return charts | ({"comparison.png": compared} if compared else {})


def _decide(
    platform: TrainingPorts,
    definition: TrainedDefinition,
    challenger: TrainedModel,
    champion_version: int | None,
    as_of: datetime,
) -> PromotionDecision:
    """Compare with the champion. If that cannot be read, the challenger is proposed to a person."""
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


def _version_tags(
    kind: str, model: TrainedModel, run_id: str, tags: Mapping[str, str]
) -> dict[str, str]:
    return {
        "kind": kind,
        "family": model.family,
        "revision": tags["revision"],
        "training_cutoff": model.training_cutoff.isoformat(),
        "model_hash": model.hash,
        "dataset_hash": tags["dataset_hash"],
        "training_run": run_id,
        **({"question": tags["question"]} if "question" in tags else {}),
        **refit_tags(model),
    }
