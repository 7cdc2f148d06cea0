"""Results that a training stores on its run for the next step: definition, dataset and
candidates."""

from alerting.definitions.faults import UserError
from alerting.definitions.model import ModelDefinition, Revision, TrainedDefinition
from alerting.learning.data.dataset import Dataset
from alerting.learning.data.files import dataset_from_files
from alerting.learning.data.findings import describe_findings
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.selection.proposal import DatasetProfile, PartProfile
from alerting.ports import Models, TrainingPorts
from alerting.readings.history import from_millis
from alerting.usecases.definitions.derived import with_stored_features
from alerting.usecases.definitions.sync import require_revision
from alerting.usecases.training.dataset import require_model, require_trained

# folders of a run, and of the run of a candidate
DATASET = "dataset"
CANDIDATE = "candidate"
PROFILE = "profile.json"
ACCOUNT = "account.json"


def candidate_families(platform: TrainingPorts, run_id: str) -> list[str]:
    """Return the families to try in this run."""
    return list(load_model_definition(platform, run_id).families)


def load_model_definition(platform: TrainingPorts, run_id: str) -> ModelDefinition:
    """Return the definition that the run trains, in the run's revision, as it is written."""
    return require_model(revision_of(platform, run_id))


def load_definition(platform: TrainingPorts, run_id: str) -> TrainedDefinition:
    """Return the same of a definition that learns from problems, with stride and windows as they
    were derived."""
    return with_stored_features(
        platform.derived_features, require_trained(revision_of(platform, run_id))
    )


def revision_of(platform: TrainingPorts, run_id: str) -> Revision:
    """Return the revision that the run trains."""
    tags = platform.models.tags(run_id)
    return require_revision(platform.definitions, tags["definition"], int(tags["revision"]))


def load_dataset(models: Models, run_id: str) -> Dataset:
    """Return the dataset of the run."""
    return dataset_from_files(models.files(run_id, DATASET))


def load_candidates(platform: TrainingPorts, run_id: str) -> dict[str, dict[str, bytes]]:
    """Return the files of the newest fitted candidate of every family. Raises UserError if one is
    missing."""
    fitted = {
        s.tags["family"]: s.id
        for s in platform.models.searches(run_id)
        if s.tags.get("fitted") == "true"
    }
    missing = [f for f in candidate_families(platform, run_id) if f not in fitted]
    if missing:
        raise UserError(
            f"not fitted yet: {', '.join(missing)}; run these candidates of the training again"
        )
    return {family: platform.models.files(run, CANDIDATE) for family, run in fitted.items()}


def load_profile(models: Models, run_id: str) -> DatasetProfile:
    """Return the composition of the run's dataset."""
    return DatasetProfile.model_validate_json(models.files(run_id, DATASET)[PROFILE])


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
