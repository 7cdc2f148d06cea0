"""The run of a training, and what it stores for the next step: dataset and candidates."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from alerting.definitions.faults import UserError
from alerting.definitions.model import ModelDefinition
from alerting.definitions.wording.language import translatable
from alerting.learning.data.dataset import Dataset
from alerting.learning.data.files import dataset_from_files
from alerting.learning.data.findings import describe_findings
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.selection.proposal import DatasetProfile, PartProfile
from alerting.ports import Definitions, TrainingPorts, TrainingRuns
from alerting.readings.history import from_millis
from alerting.usecases.definitions.lookup import require_revision
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
