"""Train: dataset, candidates, comparison, promotion. Each step leaves its result on the training's run, the next reads it there.

So a step can run in another process or be run again, and passes on nothing but the id of the run.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from alerting.definitions.faults import UserError
from alerting.definitions.matching import matching_assets
from alerting.definitions.model import FAMILIES, ClassifierDefinition, Family
from alerting.learning.data.dataset import Dataset
from alerting.learning.data.feedback_labels import answers_of
from alerting.learning.data.files import dataset_files, dataset_from_files
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.metrics.metrics import precision_recall_points
from alerting.learning.models.files import model_files
from alerting.learning.models.trained import TrainedModel
from alerting.learning.search.candidates import Candidate, baseline_candidate, candidate_files, candidate_from_files
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.blending import with_blend
from alerting.learning.selection.challenger import Evidence, finish_challenger, select
from alerting.learning.selection.feedback_ablation import without_answers
from alerting.learning.selection.promotion import PromotionDecision, compare
from alerting.ports import ModelUnavailable, Platform, Progress, silent
from alerting.ports.logs import id_logger
from alerting.readings.history import from_millis
from alerting.reporting import training_charts
from alerting.reporting.decision_text import (
    CANDIDATE_FIGURES,
    candidate_figures,
    dataset_lines,
    decision_markdown,
    figures_text,
    first_figures,
    measured,
)
from alerting.usecases.definitions.platform_alerts import tell_of_models
from alerting.usecases.definitions.sync import require_revision, sync
from alerting.usecases.definitions.versions import champion_at
from alerting.usecases.evaluation.evaluate_target import ModelCache
from alerting.usecases.registry.registration import register_model
from alerting.usecases.training.dataset import dataset_at, histories_at, require_classifier, suppressed_at
from alerting.usecases.training.promote import description, promote_run

_log = id_logger(__name__)
BASELINE = "baseline"
PROFILE = "profile.json"


def _nothing(line: str) -> None:
    """The story of a training that nobody reads."""


def train(platform: Platform, name: str, as_of: datetime, progress: Progress = silent) -> dict[str, Any]:
    """All steps one after the other; promotion waits for approval where the definition says so."""
    progress("building the dataset", 0, None)
    run_id = prepare(platform, name, as_of)
    families = candidate_families(platform, run_id)
    for done, family in enumerate(families):
        progress(f"searching {family}", done, len(families))
        fit(platform, run_id, family, progress)
    progress("comparing", len(families), len(families))
    compare_run(platform, run_id)
    return promote_run(platform, run_id)


def prepare(platform: Platform, name: str, as_of: datetime, tell: Callable[[str], None] = _nothing) -> str:
    """Build the dataset of a definition and open its training run; `tell` gets each sentence on it.

    Raises UserError when it cannot be learned from.
    """
    sync(platform, platform.clock.now())
    revision = require_revision(platform, name)
    definition = require_classifier(revision)
    dataset = dataset_at(platform, revision, definition, as_of)
    run_id = platform.models.start_run(
        name,
        f"{name} r{revision.number} {as_of:%Y-%m-%d %H:%M}",
        {"definition": name, "revision": str(revision.number), "as_of": as_of.isoformat(), "dataset_hash": dataset.hash},
    )
    counts = {f"rows_{part}": int((dataset.part == part).sum()) for part in ("train", "validation", "test", "purged")}
    dropped = {f"dropped_{reason}": count for reason, count in dataset.counts.items()}
    platform.models.log(
        run_id,
        params={"horizon": str(definition.horizon), "gap": str(definition.gap), "stride": str(definition.stride)},
        metrics={
            **counts,
            **dropped,
            **_quality_metrics(dataset),
            "positive_share": float(dataset.label.mean()),
            "problems": len(dataset.problems),
        },
        tags={"answers": dataset.answered} if dataset.answered else None,
        files={
            **dataset_files(dataset),
            "quality.json": _quality_file(dataset),
            "notes.txt": "\n".join(dataset.notes).encode(),
            PROFILE: json.dumps(profile(dataset), indent=1).encode(),
        },
        folder="dataset",
    )
    platform.models.log_dataset(run_id, name, profile(dataset), _inputs(dataset.plan))
    for line in dataset_lines(profile(dataset)):
        tell(line)
    _log.info("training prepared: %d rows", len(dataset.rows), definition=name, run=run_id)
    return run_id


def _quality_metrics(dataset: Dataset) -> dict[str, float]:
    """Oddities by kind, and what the answers changed, as figures of the run."""
    kinds = [finding.kind for finding in dataset.findings]
    oddities = {f"quality_{kind}": float(kinds.count(kind)) for kind in kinds}
    return oddities | {f"answers_{name}": float(count) for name, count in dataset.answers.items()}


def _quality_file(dataset: Dataset) -> bytes:
    return json.dumps([asdict(finding) for finding in dataset.findings], indent=1).encode()


def candidate_families(platform: Platform, run_id: str) -> list[str]:
    """Families to try in this run, the baseline first."""
    return [BASELINE, *_definition_of(platform, run_id).learning.candidates]


def fit(platform: Platform, run_id: str, family: str, progress: Progress = silent) -> dict[str, Any]:
    """Search one family on the run's dataset and leave the candidate on a child run."""
    dataset, definition = _dataset(platform, run_id), _definition_of(platform, run_id)
    named = next((f for f in FAMILIES if f == family), None)
    if named is None and family != BASELINE:
        raise UserError(f"{family!r} is not a family of models; there are {BASELINE}, {', '.join(FAMILIES)}")
    child = platform.models.start_run(definition.name, family, {"family": family}, parent=run_id)
    try:
        if named is None:
            candidate = baseline_candidate(dataset, definition)
        else:
            warm_start = _champion_params(platform, run_id, named)
            candidate = search_candidate(dataset, definition, named, progress, warm_start, platform.limits.stopwatch)
    except BaseException:
        platform.models.finish(child, failed=True)
        raise
    platform.models.log(
        child, params=candidate.params, metrics=candidate.metrics, files=candidate_files(candidate), folder="candidate"
    )
    if platform.models.shown:
        platform.models.log(child, files=_candidate_drawings(candidate, dataset), folder="drawings")
    platform.models.log(child, tags={"fitted": "true", **description(_told(candidate))})
    platform.models.finish(child)
    _log.info("candidate fitted: %s, %d trials", family, candidate.trials, definition=definition.name, run=run_id)
    return {"family": family, "trials": candidate.trials, "cut_short": candidate.cut_short, **candidate.metrics}


def _champion_params(platform: Platform, run_id: str, family: Family) -> dict[str, Any] | None:
    """What the reigning champion's training found best for this family; None without a champion.

    A champion of the run's own instant does not count: training again from the same data must give the same model.
    """
    tags = platform.models.tags(run_id)
    before = datetime.fromisoformat(tags["as_of"]) - timedelta(microseconds=1)
    version = champion_at(platform.decisions.of(tags["definition"]), before)
    if version is None:
        return None
    try:
        trained_by = platform.models.version_tags(tags["definition"], version)["training_run"]
        searches = platform.models.find_runs(trained_by)
        child = next((run for run, t in searches if t.get("family") == family and t.get("fitted") == "true"), None)
        return None if child is None else candidate_from_files(platform.models.files(child, "candidate")).params
    except (ModelUnavailable, KeyError, UserError):  # its records are lost: the search starts from the default alone, and says so
        return None


def compare_run(platform: Platform, run_id: str) -> dict[str, Any]:
    """Choose among the candidates, finish and register the challenger, and hold it against the champion.

    The proposal is left on the run; `promote_run` carries it out.
    """
    tags = platform.models.tags(run_id)
    as_of, name = datetime.fromisoformat(tags["as_of"]), tags["definition"]
    definition, dataset = _definition_of(platform, run_id), _dataset(platform, run_id)
    candidates = _candidates(platform, run_id)
    chosen, why_not = select(dataset, definition, candidates)
    champion_version = champion_at(platform.decisions.of(name), as_of)
    if chosen is None:
        proposal = _no_challenger(why_not, champion_version)
    else:
        taken = with_blend(dataset, candidates, chosen, definition)
        chosen = taken.candidate
        challenger, evidence = finish_challenger(dataset, chosen, definition, taken.estimator)
        version = register_model(
            platform,
            name,
            run_id,
            model_files(challenger),
            {**_version_tags(challenger, run_id, tags), "figures": figures_text(evidence.summary)},
            _inputs(challenger.plan),
        )
        decision = _decide(platform, definition, challenger, champion_version, as_of)
        proposal = _proposal(decision, evidence, version, champion_version)
        difference = without_answers(dataset, chosen, definition, challenger)
        proposal["answers_difference"] = difference.words if difference else ""
        metrics = first_figures(evidence.summary) | evidence.metrics | (difference.metrics if difference else {})
        drawn = _drawings(platform, definition, evidence, decision) if platform.models.shown else {}
        platform.models.log(run_id, metrics=metrics, files={**evidence.files, **drawn}, folder="evidence")
    unseen = proposal["promote"] and champion_version is not None and proposal["provisional"]
    mode = "approval" if unseen else definition.promotion.mode  # in place of a lost champion: not without a person
    proposal |= {"definition": name, "run_id": run_id, "mode": mode, "as_of": as_of.isoformat()}
    proposal |= {"answers": dataset.answered, "findings": [asdict(finding) for finding in dataset.findings]}
    shown = [*candidates, chosen] if chosen is not None and chosen.family == "blend" else candidates
    proposal["leaderboard"] = [_leaderboard_line(c) for c in shown]
    proposal |= {"revision": int(tags["revision"]), "dataset": profile(dataset)}
    text = decision_markdown(proposal | {"waiting": mode == "approval" and proposal["promote"]})
    files = {"proposal.json": json.dumps(proposal, indent=1).encode(), "decision.md": text.encode()}
    platform.models.log(run_id, params=_chosen_params(chosen), tags=description(text), files=files, folder="decision")
    _log.info("compared: %s", proposal["verdict"], definition=name, run=run_id)
    return proposal


def _chosen_params(chosen: Candidate | None) -> dict[str, Any]:
    """Family and parameters of the challenger on the parent run, where people look first."""
    return {} if chosen is None else {"family": chosen.family, **chosen.params}


def profile(dataset: Dataset) -> dict[str, Any]:
    """What the dataset is made of, in figures a person can check; JSON-able."""
    parts = {}
    for part in ("train", "validation", "test"):
        at, label = dataset.at[dataset.part == part], dataset.label[dataset.part == part]
        if len(at):
            start, end = (from_millis(int(t)).isoformat() for t in (at.min(), at.max()))
            parts[part] = {"rows": len(at), "positives": int(label.sum()), "start": start, "end": end}
    return {
        "hash": dataset.hash,
        "parts": parts,
        "assets": len(set(dataset.asset.tolist())),
        "problems": len(dataset.problems),
        "variables": len({dataset.plan.source_of(column) for column in dataset.plan.columns}),
        "columns": len(dataset.plan.columns),
        "dropped": dict(dataset.counts),
        "notes": list(dataset.notes),
    }


def _told(candidate: Candidate) -> str:
    """The search in two sentences, as the description of its run."""
    figures = ", ".join(
        f"{title} {measured(candidate_figures(candidate.metrics), key)}" for key, title in CANDIDATE_FIGURES.items()
    )
    cut = f" Cut short by the time budget: {candidate.trials} of {candidate.trials_asked}." if candidate.cut_short else ""
    return "\n\n".join([f"Best of {candidate.trials} trials, out of fold: {figures}.{cut}", *candidate.notes])


def _candidate_drawings(candidate: Candidate, dataset: Dataset) -> dict[str, bytes]:
    scored = ~np.isnan(candidate.oof)
    points = precision_recall_points(dataset.label[scored], candidate.oof[scored])
    title = f"{candidate.family.replace('_', ' ')}: precision and recall out of fold"
    prevalence = {"prevalence": float(dataset.label[scored].mean())} if points else {}
    drawn = {"trials.png": training_charts.trials([t.ap for t in candidate.tried], candidate.family)}
    return drawn | ({"precision_recall.png": training_charts.precision_recall(points, prevalence, title)} if points else {})


def _drawings(
    platform: Platform, definition: ClassifierDefinition, evidence: Evidence, decision: PromotionDecision
) -> dict[str, bytes]:
    """The challenger's curves, and champion and challenger side by side where they were compared."""
    assets = matching_assets(definition, platform.assets.all())
    names = {name: variable.title for asset in assets for name, variable in asset.variables.items() if variable.title}
    documents = {name.removesuffix(".json"): json.loads(data) for name, data in evidence.files.items()}
    drawn = training_charts.evidence_drawings(documents, names)
    compared = training_charts.comparison(decision.evidence)
    return drawn | ({"comparison.png": compared} if compared else {})


def _definition_of(platform: Platform, run_id: str) -> ClassifierDefinition:
    tags = platform.models.tags(run_id)
    return require_classifier(require_revision(platform, tags["definition"], int(tags["revision"])))


def _dataset(platform: Platform, run_id: str) -> Dataset:
    return dataset_from_files(platform.models.files(run_id, "dataset"))


def _candidates(platform: Platform, run_id: str) -> list[Candidate]:
    """The newest fitted candidate of every family."""
    fitted = {tags["family"]: run for run, tags in platform.models.find_runs(run_id) if tags.get("fitted") == "true"}
    missing = [f for f in candidate_families(platform, run_id) if f not in fitted]
    if missing:
        raise UserError(f"not fitted yet: {', '.join(missing)}; run these candidates of the training again")
    return [candidate_from_files(platform.models.files(run, "candidate")) for run in fitted.values()]


def _decide(
    platform: Platform, definition: ClassifierDefinition, challenger: TrainedModel, champion_version: int | None, as_of: datetime
) -> PromotionDecision:
    """Compare with the champion; in place of one that cannot be read the challenger is proposed to a person."""
    try:
        champion = None if champion_version is None else ModelCache(platform).get(definition.name, champion_version)
    except ModelUnavailable as unavailable:
        tell_of_models(platform, [definition.name], {definition.name: f"the model cannot be read: {unavailable}"}, as_of)
        return PromotionDecision(
            "provisional",
            promote=True,
            provisional=True,
            reason=f"The champion, version {champion_version}, cannot be read, so nothing can be compared ({unavailable}). "
            "The challenger beats the baseline out of fold; it takes over only if a person approves.",
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


def _inputs(plan: FeaturePlan) -> dict[str, str]:
    """Columns and their types, as MLflow shows them for the dataset and in the model's signature."""
    return {name: "string" if name in plan.levels else "double" for name in plan.columns}


def _acted_windows(platform: Platform, definition: ClassifierDefinition, as_of: datetime) -> list[tuple[str, datetime, datetime]]:
    """Asset, start and end of the outcome windows of episodes that were acted upon, as far as people had said so by as_of."""
    answers = answers_of(platform.episodes.find(definition.name), definition, as_of)
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
