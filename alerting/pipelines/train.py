"""Train: dataset, candidates, comparison, promotion. Each step leaves its result on the training's run, the next reads it there.

So a step can run in another process or be run again, and passes on nothing but the id of the run.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from alerting.definitions.faults import Refused
from alerting.definitions.model import FAMILIES, ClassifierDefinition
from alerting.episodes.episode import Episode
from alerting.learning.candidates import Candidate, baseline_candidate, candidate_files, candidate_from_files
from alerting.learning.comparison import PromotionDecision, compare
from alerting.learning.dataset import Dataset, dataset_files, dataset_from_files
from alerting.learning.search import search_candidate
from alerting.learning.selection import Evidence, choose, finish_challenger, why_none
from alerting.learning.trained import TrainedModel, model_files, model_from_files
from alerting.learning.unanswered import without_answers
from alerting.pipelines.dataset import dataset_at, histories_at, require_classifier
from alerting.pipelines.definitions import require_revision, sync
from alerting.pipelines.in_force import champion_at
from alerting.pipelines.ports import DecisionRecord, ModelUnavailable, Platform, Progress, silent

BASELINE = "baseline"


def train(platform: Platform, name: str, as_of: datetime, progress: Progress = silent) -> dict[str, Any]:
    """All steps one after the other; promotion waits for approval where the definition says so."""
    progress("building the dataset", 0, None)
    run_id = prepare(platform, name, as_of)
    families = candidate_families(platform, run_id)
    for done, family in enumerate(families):
        progress(f"searching {family}", done, len(families))
        fit(platform, run_id, family, progress)
    progress("comparing", len(families), len(families))
    proposal = compare_run(platform, run_id)
    if proposal["mode"] == "approval" and proposal["promote"]:
        return proposal
    return promote_run(platform, run_id)


def prepare(platform: Platform, name: str, as_of: datetime) -> str:
    """Build the dataset of a definition and open its training run. Raises Refused when it cannot be learned from."""
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
        files={**dataset_files(dataset), "quality.json": _quality_file(dataset), "notes.txt": "\n".join(dataset.notes).encode()},
        folder="dataset",
    )
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
        raise Refused(f"{family!r} is not a family of models; there are {BASELINE}, {', '.join(FAMILIES)}")
    child = platform.models.start_run(definition.name, family, {"family": family}, parent=run_id)
    try:
        candidate = search_candidate(dataset, definition, named, progress) if named else baseline_candidate(dataset, definition)
    except BaseException:
        platform.models.finish(child, failed=True)
        raise
    platform.models.log(
        child, params=candidate.params, metrics=candidate.metrics, files=candidate_files(candidate), folder="candidate"
    )
    platform.models.log(child, tags={"fitted": "true"})
    platform.models.finish(child)
    return {"family": family, "trials": candidate.trials, "cut_short": candidate.cut_short, **candidate.metrics}


def compare_run(platform: Platform, run_id: str) -> dict[str, Any]:
    """Choose among the candidates, finish and register the challenger, and hold it against the champion.

    The proposal is left on the run; `promote_run` carries it out.
    """
    tags = platform.models.tags(run_id)
    as_of, name = datetime.fromisoformat(tags["as_of"]), tags["definition"]
    definition, dataset = _definition_of(platform, run_id), _dataset(platform, run_id)
    candidates = _candidates(platform, run_id)
    chosen = choose(candidates)
    champion_version = champion_at(platform.decisions.of(name), as_of)
    if chosen is None:
        proposal = _no_challenger(candidates, champion_version)
    else:
        challenger, evidence = finish_challenger(dataset, chosen, definition)
        version = platform.models.register(
            name, run_id, model_files(challenger), _version_tags(challenger, run_id, tags), _inputs(challenger)
        )
        champion = _champion(platform, name, champion_version)
        decision = compare(
            definition=definition,
            challenger=challenger,
            champion=champion,
            histories=histories_at(platform, definition, as_of),
            excluded=_acted_windows(platform, definition),
            as_of=as_of,
            seed=definition.learning.seed,
        )
        proposal = _proposal(decision, evidence, version, champion_version)
        difference = without_answers(dataset, chosen, definition, challenger)
        proposal["answers_difference"] = difference.words if difference else ""
        compared = difference.metrics if difference else {}
        platform.models.log(run_id, metrics=evidence.metrics | compared, files=evidence.files, folder="evidence")
    proposal |= {"definition": name, "run_id": run_id, "mode": definition.promotion.mode, "as_of": as_of.isoformat()}
    proposal |= {"answers": dataset.answered, "findings": [asdict(finding) for finding in dataset.findings]}
    proposal["leaderboard"] = [_leaderboard_line(c) for c in candidates]
    platform.models.log(run_id, files={"proposal.json": json.dumps(proposal, indent=1).encode()}, folder="decision")
    return proposal


def promote_run(
    platform: Platform, run_id: str, approved_by: str | None = None, rejected_reason: str | None = None
) -> dict[str, Any]:
    """Carry out a run's proposal: record the decision, then move the aliases. Doing it again changes nothing."""
    proposal: dict[str, Any] = json.loads(platform.models.files(run_id, "decision")["proposal.json"])
    revision = int(platform.models.tags(run_id)["revision"])
    if rejected_reason is not None:
        reason = f"rejected by {approved_by}: {rejected_reason}"
        proposal |= {"promote": False, "verdict": "rejected", "reason": reason}
    elif approved_by is not None and proposal["promote"]:
        proposal["reason"] += f" Approved by {approved_by}."
    at = platform.clock.now() if approved_by else datetime.fromisoformat(proposal["as_of"])
    record = DecisionRecord(
        definition=proposal["definition"],
        at=at,
        revision=revision,
        challenger_version=proposal["challenger_version"],
        champion_version=proposal["champion_version"],
        promoted=proposal["promote"],
        provisional=proposal["provisional"],
        verdict=proposal["verdict"],
        reason=proposal["reason"],
        evidence=proposal["evidence"],
        run_id=run_id,
        actor=approved_by or "platform",
    )
    if platform.decisions.add(record):
        platform.audit.add(
            who=record.actor,
            what="promotion decided",
            subject=record.definition,
            at=at,
            before=record.champion_version,
            after=record.challenger_version if record.promoted else record.champion_version,
            why=record.reason,
        )
    _move_aliases(platform, record.definition)
    platform.models.log(run_id, tags={"decision": record.verdict, "reason": record.reason[:4000]})
    platform.models.finish(run_id)
    return proposal


def _move_aliases(platform: Platform, name: str) -> None:
    """Aliases follow the decisions, which are the truth."""
    promoted = [d.challenger_version for d in platform.decisions.of(name) if d.promoted]
    if promoted:
        platform.models.set_alias(name, "champion", promoted[-1])
        platform.models.set_alias(name, "previous", promoted[-2] if len(promoted) > 1 else None)


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
        raise Refused(f"not fitted yet: {', '.join(missing)}; run these candidates of the training again")
    return [candidate_from_files(platform.models.files(run, "candidate")) for run in fitted.values()]


def _champion(platform: Platform, name: str, version: int | None) -> TrainedModel | None:
    """The champion's model. Raises ModelUnavailable: without it no fair comparison is possible, and nothing is promoted."""
    return None if version is None else model_from_files(platform.models.model_files(name, version))


def _version_tags(model: TrainedModel, run_id: str, tags: Mapping[str, str]) -> dict[str, str]:
    return {
        "family": model.family,
        "revision": tags["revision"],
        "seen_until": model.seen_until.isoformat(),
        "threshold": repr(model.threshold),
        "model_hash": model.hash,
        "dataset_hash": tags["dataset_hash"],
        "training_run": run_id,
    }


def _inputs(model: TrainedModel) -> dict[str, str]:
    """The model's columns and their types, as its signature tells them."""
    return {name: "string" if name in model.plan.levels else "double" for name in model.plan.columns}


def _acted_windows(platform: Platform, definition: ClassifierDefinition) -> list[tuple[str, datetime, datetime]]:
    """Asset, start and end of the outcome windows of episodes that were acted upon."""
    window = definition.gap + definition.horizon

    def acted(episode: Episode) -> bool:
        return episode.settlement is not None and episode.settlement.acted

    return [(e.asset, e.raised_at, e.raised_at + window) for e in platform.episodes.find(definition.name) if acted(e)]


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
    }


def _no_challenger(candidates: list[Candidate], champion_version: int | None) -> dict[str, Any]:
    return {
        "verdict": "no_challenger",
        "promote": False,
        "provisional": False,
        "reason": f"{why_none(candidates)} The champion, if any, stays.",
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


def model_history(platform: Platform, name: str) -> dict[str, Any]:
    """Registered versions with their aliases, and every decision with its reason."""
    require_revision(platform, name)
    decisions = platform.decisions.of(name)
    try:
        aliases = {platform.models.alias(name, a): a for a in ("challenger", "previous", "champion")}
        versions = [
            {"version": v, "alias": aliases.get(v, ""), **platform.models.version_tags(name, v)}
            for v in platform.models.versions(name)
        ]
    except ModelUnavailable as unavailable:
        raise Refused(f"the model registry cannot be read: {unavailable}") from unavailable
    return {
        "definition": name,
        "versions": versions,
        "decisions": [
            {
                "at": d.at.isoformat(),
                "verdict": d.verdict,
                "promoted": d.promoted,
                "provisional": d.provisional,
                "challenger": d.challenger_version,
                "champion": d.champion_version,
                "reason": d.reason,
                "run_id": d.run_id,
            }
            for d in decisions
        ],
    }
