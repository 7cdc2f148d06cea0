"""The run of a training, and what it stores for the next step: dataset and candidates."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerting.definitions.faults import UserError
from alerting.definitions.model import ModelDefinition
from alerting.definitions.wording.language import translatable
from alerting.learning.data.dataset import Dataset
from alerting.learning.data.files import dataset_from_files
from alerting.learning.data.findings import describe_findings
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.selection.proposal import PROPOSAL, DatasetProfile, PartProfile, Proposal
from alerting.ports import DecisionRecord, Definitions, Models, TrainingPorts, TrainingRuns
from alerting.readings.history import from_millis
from alerting.reporting.definition.decisions import explain_waiting, summarise_decision
from alerting.reporting.page.decision_text import chance_lines
from alerting.usecases.definitions.lookup import require_revision
from alerting.usecases.definitions.platform_alerts import record_waiting
from alerting.usecases.training.dataset import require_model

# folders of a run, and of the run of a candidate
DATASET = "dataset"
CANDIDATE = "candidate"
PROFILE = "profile.json"
ACCOUNT = "account.json"


@dataclass(frozen=True)
class TrainingRun:
    """A training run, as its tags state it. `training`: the id under which it was started."""

    id: str
    name: str
    revision: int
    as_of: datetime
    dataset_hash: str
    question: str | None
    training: str | None


def read_run(runs: TrainingRuns, run_id: str) -> TrainingRun:
    """Return a training run. Runs of earlier versions have no question and no training."""
    tags = runs.tags(run_id)
    return TrainingRun(
        id=run_id,
        name=tags["definition"],
        revision=int(tags["revision"]),
        as_of=datetime.fromisoformat(tags["as_of"]),
        dataset_hash=tags["dataset_hash"],
        question=tags.get("question"),
        training=tags.get("training"),
    )


def candidate_families(platform: TrainingPorts, run_id: str) -> list[str]:
    """Return the families to try in this run."""
    run = read_run(platform.runs, run_id)
    return list(load_model_definition(platform.definitions, run).families)


def load_model_definition(definitions: Definitions, run: TrainingRun) -> ModelDefinition:
    """Return the definition that the run trains, in the run's revision, as it is written."""
    return require_model(require_revision(definitions, run.name, run.revision))


def load_dataset(runs: TrainingRuns, run_id: str) -> Dataset:
    """Return the dataset of the run. Raises UserError if its files are lost."""
    files = runs.files(run_id, DATASET)
    if not files:
        raise UserError(
            translatable(
                "the dataset of run {run} is no longer in the registry; train again", run=run_id
            )
        )
    return dataset_from_files(files)


def load_candidates(
    runs: TrainingRuns, run_id: str, families: Sequence[str]
) -> dict[str, dict[str, bytes]]:
    """Return the files of the newest fitted candidate of every family. Raises UserError if one is
    missing."""
    fitted = {
        s.tags["family"]: s.id for s in runs.searches(run_id) if s.tags.get("fitted") == "true"
    }
    missing = [f for f in families if f not in fitted]
    if missing:
        raise UserError(
            translatable(
                "not fitted yet: {names}; run these candidates of the training again",
                names=", ".join(missing),
            )
        )
    return {family: runs.files(run, CANDIDATE) for family, run in fitted.items()}


def load_profile(runs: TrainingRuns, run_id: str) -> DatasetProfile:
    """Return the composition of the run's dataset."""
    return DatasetProfile.model_validate_json(runs.files(run_id, DATASET)[PROFILE])


def profile(dataset: Dataset) -> DatasetProfile:
    """Return the composition of the dataset."""
    parts = {}
    for part in ("train", "validation", "test"):
        rows = dataset.part == "train" if part == "train" else dataset.measured_in(part)
        at = dataset.at[rows]
        label = dataset.label[rows]
        if len(at):
            start, end = (from_millis(int(t)) for t in (at.min(), at.max()))
            parts[part] = PartProfile(
                rows=len(at), positives=int(label.sum()), start=start, end=end
            )
    return DatasetProfile(
        hash=dataset.hash,
        parts=parts,
        assets=len(set(dataset.asset.tolist())),
        problems=len(dataset.problems),
        variables=len({dataset.plan.source_of(column) for column in dataset.plan.columns}),
        columns=len(dataset.plan.columns),
        dropped=dict(dataset.counts),
        notes=tuple(describe_findings(dataset.findings)),
    )


def column_types(plan: FeaturePlan) -> dict[str, str]:
    """Return columns and their types, as MLflow shows them for the dataset and in the model's
    signature."""
    return {name: "string" if name in plan.levels else "double" for name in plan.columns}


def read_proposal(runs: TrainingRuns, run_id: str) -> Proposal | None:
    """Return the proposal of a training; None before it has one. Raises UserError for a damaged
    one."""
    data = runs.files(run_id, "decision").get(PROPOSAL)
    return None if data is None else Proposal.from_json(data, run_id)


def decision_line(decision: DecisionRecord) -> dict[str, Any]:
    """Return a decision for people, without its evidence; JSON-able."""
    same = ("verdict", "promoted", "provisional", "revision", "actor", "reason", "run_id")
    return {
        "at": decision.acted_at.isoformat(),
        "as_of": decision.as_of and decision.as_of.isoformat(),
        "challenger": decision.challenger_version,
        "champion": decision.champion_version,
        "summary": summarise_decision(
            decision.verdict,
            decision.champion_version,
            decision.actor,
            decision.reason,
            decision.evidence,
        ),
        **{key: getattr(decision, key) for key in same},
    }


def registered_versions(models: Models, name: str) -> list[dict[str, Any]]:
    """Return the registered versions with their aliases and tags."""
    aliases: dict[int, list[str]] = {}
    for alias in ("champion", "previous", "challenger"):
        version = models.alias(name, alias)
        if version is not None:
            aliases.setdefault(version, []).append(alias)
    return [
        {"version": v, "alias": ", ".join(aliases.get(v, [])), **models.version_tags(name, v)}
        for v in models.versions(name)
    ]


def last_training(
    runs: TrainingRuns, models: Models, name: str, made: Sequence[DecisionRecord]
) -> dict[str, Any] | None:
    """Return the newest training with a proposal: by its registered challenger, or by its decision
    if it has no challenger."""
    decided = [d.run_id for d in made if d.run_id is not None]
    versions = models.versions(name)
    newest_tags = models.version_tags(name, versions[-1]) if versions else {}
    newest = newest_tags.get("refreshed_by", newest_tags.get("training_run"))
    latest = decided[-1] if decided else None
    run_id = newest if newest is not None and newest not in decided else latest
    if run_id is None:
        return None
    proposal = read_proposal(runs, run_id)
    if proposal is None:
        return None
    waiting = run_id not in decided and proposal.promote
    return {
        "run_id": run_id,
        "as_of": proposal.as_of,
        "leaderboard": proposal.leaderboard,
        "chance": chance_lines(proposal.evidence),
        "test": proposal.test,
        "waiting": waiting,
        "labels": proposal.evidence.get("labels"),
    }


def report_waiting(platform: TrainingPorts, proposal: Proposal) -> None:
    """Open an alert on a proposal that waits for a person, and say why; resolve that of another."""
    why = explain_waiting(proposal.objection) if proposal.waiting else None
    record_waiting(platform.platform_alerts, proposal.definition, why, platform.clock.now())


def newest_estimate(decisions: Sequence[DecisionRecord]) -> dict[str, Any] | None:
    """Return what the newest promoted model learned from readings alone; None without."""
    found = next(
        (d.evidence for d in reversed(decisions) if d.promoted and "notes" in d.evidence), None
    )
    return None if found is None else {"notes": found["notes"], "tables": found.get("tables", [])}
