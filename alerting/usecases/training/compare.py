"""Compare: choose among the candidates of a training, register the challenger, and compare it with the champion."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from alerting.definitions.matching import matching_assets
from alerting.definitions.model import TrainedDefinition
from alerting.learning.data.feedback_labels import collect_feedback_labels
from alerting.learning.models.estimator import BLEND
from alerting.learning.models.files import model_files, requirements_file
from alerting.learning.models.trained import TrainedModel
from alerting.learning.search.candidates import Candidate
from alerting.learning.selection.blending import choose_blend
from alerting.learning.selection.challenger import Evidence, finish_challenger, select
from alerting.learning.selection.feedback_ablation import compare_without_feedback
from alerting.learning.selection.promotion import PromotionDecision, compare
from alerting.ports import ModelUnavailable, Platform
from alerting.ports.logs import id_logger
from alerting.readings.history import from_millis
from alerting.reporting import training_charts
from alerting.reporting.decision_text import decision_markdown, headline_metrics, metrics_text
from alerting.usecases.definitions.platform_alerts import record_model_faults
from alerting.usecases.definitions.versions import champion_at
from alerting.usecases.evaluation.target import ModelCache
from alerting.usecases.registry.registration import register_model
from alerting.usecases.training.dataset import histories_at, suppressed_at
from alerting.usecases.training.promote import description
from alerting.usecases.training.run import column_types, load_candidates, load_dataset, load_definition, profile

_log = id_logger(__name__)


def compare_run(platform: Platform, run_id: str) -> dict[str, Any]:
    """Choose among the candidates, finish and register the challenger, and compare it with the champion.

    The proposal is stored on the run; `promote_run` carries it out.
    """
    tags = platform.models.tags(run_id)
    as_of, name = datetime.fromisoformat(tags["as_of"]), tags["definition"]
    definition, dataset = load_definition(platform, run_id), load_dataset(platform, run_id)
    candidates = load_candidates(platform, run_id)
    chosen, why_not = select(dataset, definition, candidates)
    champion_version = champion_at(platform.decisions.of(name), as_of)
    if chosen is None:
        proposal = _no_challenger(why_not, champion_version)
    else:
        choice = choose_blend(dataset, candidates, chosen, definition)
        chosen = choice.candidate
        challenger, evidence = finish_challenger(dataset, chosen, definition, choice.estimator)
        version = register_model(
            platform,
            name,
            run_id,
            model_files(challenger) | requirements_file(challenger),
            {**_version_tags(challenger, run_id, tags), "metrics_text": metrics_text(evidence.summary)},
            column_types(challenger.plan),
        )
        decision = _decide(platform, definition, challenger, champion_version, as_of)
        proposal = _proposal(decision, evidence, version, champion_version)
        difference = compare_without_feedback(dataset, chosen, definition, challenger)
        proposal["answers_difference"] = difference.message if difference else ""
        metrics = headline_metrics(evidence.summary) | evidence.metrics | (difference.metrics if difference else {})
        charts = _charts(platform, definition, evidence, decision) if platform.models.shown else {}
        platform.models.log(run_id, metrics=metrics, files={**evidence.files, **charts}, folder="evidence")
    unseen = proposal["promote"] and champion_version is not None and proposal["provisional"]
    mode = "approval" if unseen else definition.promotion.mode  # in place of a lost champion: only with a person's approval
    proposal |= {"definition": name, "run_id": run_id, "mode": mode, "as_of": as_of.isoformat()}
    proposal |= {"answers": dataset.answered, "findings": [asdict(finding) for finding in dataset.findings]}
    shown = [*candidates, chosen] if chosen is not None and chosen.family == BLEND else candidates
    proposal["leaderboard"] = [_leaderboard_line(c) for c in shown]
    proposal |= {"revision": int(tags["revision"]), "dataset": profile(dataset)}
    text = decision_markdown(proposal | {"waiting": mode == "approval" and proposal["promote"]})
    files = {"proposal.json": json.dumps(proposal, indent=1).encode(), "decision.md": text.encode()}
    platform.models.log(run_id, params=_chosen_params(chosen), tags=description(text), files=files, folder="decision")
    _log.info("compared: %s", proposal["verdict"], definition=name, run=run_id)
    return proposal


def _chosen_params(chosen: Candidate | None) -> dict[str, Any]:
    """Return family and parameters of the challenger for the parent run, where people look first."""
    return {} if chosen is None else {"family": chosen.family, **chosen.params}


def _charts(
    platform: Platform, definition: TrainedDefinition, evidence: Evidence, decision: PromotionDecision
) -> dict[str, bytes]:
    """Return the charts of the challenger's curves, and of champion and challenger side by side if they were compared."""
    assets = matching_assets(definition, platform.assets.all())
    names = {name: variable.title for asset in assets for name, variable in asset.variables.items() if variable.title}
    documents = {name.removesuffix(".json"): json.loads(data) for name, data in evidence.files.items()}
    charts = training_charts.evidence_charts(documents, names)
    compared = training_charts.comparison(decision.evidence)
    return charts | ({"comparison.png": compared} if compared else {})


def _decide(
    platform: Platform, definition: TrainedDefinition, challenger: TrainedModel, champion_version: int | None, as_of: datetime
) -> PromotionDecision:
    """Compare with the champion. If the champion cannot be read, the challenger is proposed to a person."""
    try:
        champion = None if champion_version is None else ModelCache(platform).get(definition.name, champion_version)
    except ModelUnavailable as unavailable:
        record_model_faults(platform, [definition.name], {definition.name: f"the model cannot be read: {unavailable}"}, as_of)
        return PromotionDecision(
            "provisional",
            promote=True,
            provisional=True,
            reason=f"The champion, version {champion_version}, cannot be read, so the comparison is impossible ({unavailable}). "
            "The challenger beats the baseline out of fold; it goes into service only if a person approves.",
        )
    return compare(
        definition=definition,
        challenger=challenger,
        champion=champion,
        histories=histories_at(platform, definition, as_of),
        excluded=_acted_windows(platform, definition, as_of),
        as_of=as_of,
        seed=definition.learning.seed,
        suppressed=suppressed_at(platform, definition, as_of),
    )


def _version_tags(model: TrainedModel, run_id: str, tags: Mapping[str, str]) -> dict[str, str]:
    return {
        "family": model.family,
        "revision": tags["revision"],
        "training_cutoff": model.training_cutoff.isoformat(),
        "threshold": repr(model.threshold),
        "model_hash": model.hash,
        "dataset_hash": tags["dataset_hash"],
        "training_run": run_id,
    }


def _acted_windows(platform: Platform, definition: TrainedDefinition, as_of: datetime) -> list[tuple[str, datetime, datetime]]:
    """Return asset, start and end of the outcome windows of episodes with feedback `acted` by as_of."""
    answers = collect_feedback_labels(platform.episodes.find(definition.name), definition, as_of)
    return [(a.asset, from_millis(a.raised), from_millis(a.ends)) for a in answers if a.acted is not None]


def _proposal(decision: PromotionDecision, evidence: Evidence, version: int, champion_version: int | None) -> dict[str, Any]:
    return {
        "verdict": decision.verdict,
        "promote": decision.promote,
        "provisional": decision.provisional,
        "reason": decision.reason,
        "evidence": decision.evidence,
        "challenger_version": version,
        "champion_version": champion_version,
        "test": evidence.summary,
        "importance": dict(evidence.importance),
    }


def _no_challenger(reason: str, champion_version: int | None) -> dict[str, Any]:
    return {
        "verdict": "no_challenger",
        "promote": False,
        "provisional": False,
        "reason": f"{reason} The champion, if any, stays.",
        "evidence": {},
        "challenger_version": None,
        "champion_version": champion_version,
        "test": {},
    }


def _leaderboard_line(candidate: Candidate) -> dict[str, Any]:
    return {
        "family": candidate.family,
        "trials": candidate.trials,
        "cut_short": candidate.cut_short,
        **{k: round(v, 4) for k, v in candidate.metrics.items()},
    }
