"""Repeat a training: the same dataset, seed and number of trials by family give the same model.

Nothing is registered or decided.
"""

from dataclasses import dataclass

from alerting.definitions.faults import UserError
from alerting.definitions.model import TrainedDefinition
from alerting.kinds.registry import training_of
from alerting.learning.data.dataset import Dataset
from alerting.learning.search.candidates import Candidate, candidate_from_files
from alerting.ports import Progress, TrainingPorts, silent
from alerting.usecases.definitions.derived import with_stored_features
from alerting.usecases.training.run import (
    load_candidates,
    load_dataset,
    load_model_definition,
    read_proposal,
    read_run,
)
from alerting.usecases.training.runs import known_run


@dataclass(frozen=True)
class Repetition:
    """A training that was repeated, with the same result.

    `trials`: done by family. `version`: that it registered; None, as `model_hash`, where nothing
    exceeded chance.
    """

    definition: str
    run_id: str
    dataset_hash: str
    trials: dict[str, int]
    version: int | None
    model_hash: str | None

    @property
    def sentence(self) -> str:
        """Return what was repeated, and that the result is the same."""
        done = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in self.trials.items())
        found = (
            "again nothing exceeds chance"
            if self.version is None
            else f"the same model, version {self.version}, hash {self.model_hash}"
        )
        return (
            f"{self.definition}: {found} (data {self.dataset_hash[:12]}; trials: {done}). Nothing "
            "was registered or put into service."
        )


def repeat_run(platform: TrainingPorts, text: str, progress: Progress = silent) -> Repetition:
    """Search the families of a training again, each for as many trials as were done, and choose.

    `text`: the id of the run or its beginning, or a definition, for its last training. Raises
    UserError if another model is found, if the training has no result, or if its kind searches
    nothing.
    """
    run = read_run(platform.runs, known_run(platform, text))
    definition = load_model_definition(platform.definitions, run)
    if not isinstance(definition, TrainedDefinition):
        raise UserError(
            f"a training of {run.name!r} has no search that could end early; "
            f"`alerting train {run.name} --as-of {run.as_of.isoformat()}` gives the same model"
        )
    proposal = read_proposal(platform.runs, run.id)
    if proposal is None:
        raise UserError(f"run {run.id} has not reached its comparison, so nothing can be compared")
    definition = with_stored_features(platform.derived_features, definition)
    dataset = load_dataset(platform.runs, run.id)
    files = load_candidates(platform.runs, run.id, definition.families)
    before = [candidate_from_files(one) for one in files.values()]
    again = []
    for done, candidate in enumerate(before):
        progress(f"searching {candidate.family}", done, len(before))
        again.append(search_again(dataset, definition, candidate, progress))
    _, chosen = training_of(definition).choose(dataset, definition, again)
    found = chosen.model.hash if chosen else None
    expected = None
    version = proposal.challenger_version
    if version is not None:
        expected = platform.models.version_tags(run.name, version)["model_hash"]
    if found != expected or [one.tried for one in again] != [one.tried for one in before]:
        raise UserError(
            f"run {run.id} gives another model now: {found or 'none'}, and was {expected or 'none'}"
            "; the platform or a library (requirements.txt of the model) is of another version"
        )
    trials = {one.family: one.trials for one in again}
    return Repetition(run.name, run.id, dataset.hash, trials, version, found)


def search_again(
    dataset: Dataset, definition: TrainedDefinition, before: Candidate, progress: Progress
) -> Candidate:
    """Return the search of a family with the trials that were done, from the same warm start and
    without a ceiling."""
    learning = definition.learning.model_copy(update={"trials": before.trials})
    repeated = definition.model_copy(update={"learning": learning})
    warm_start = before.warm_start or None
    return training_of(repeated).train(dataset, repeated, before.family, progress, warm_start)
