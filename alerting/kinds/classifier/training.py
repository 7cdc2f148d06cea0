"""Training of a classifier: families of models searched on one dataset, and compared with
chance."""

from collections.abc import Sequence
from dataclasses import replace

from alerting.definitions.alert_definition import TrainedDefinition
from alerting.kinds.training_protocol import Challenger, KindTraining
from alerting.learning.data.dataset import Dataset
from alerting.learning.models.life_model import with_life
from alerting.learning.models.mode_model import with_modes
from alerting.learning.models.model_files import model_files, requirements_file
from alerting.learning.models.trained import TrainedModel
from alerting.learning.selection.candidates import Candidate, final_fit
from alerting.learning.selection.challenger import finish_challenger, refit, sample_shares
from alerting.learning.selection.choice import ChanceTest, choose
from alerting.learning.selection.classifier_search import search_candidate
from alerting.learning.selection.life_training import refit_life, train_life
from alerting.learning.selection.mode_training import refit_modes, train_modes
from alerting.learning.selection.promotion import compare
from alerting.ports import Files
from alerting.readings.history import to_millis


class ClassifierTraining:
    """Models of the probability of a problem."""

    train = staticmethod(search_candidate)
    compare = staticmethod(compare)

    def choose(
        self, dataset: Dataset, definition: TrainedDefinition, candidates: Sequence[Candidate]
    ) -> tuple[ChanceTest, Challenger | None]:
        choice = choose(dataset, definition, candidates)
        if choice.candidate is None:
            return choice.chance, None
        with final_fit(choice.candidate.family):
            model, evidence = finish_challenger(dataset, choice.candidate, definition)
        chance = replace(choice.chance, validation=evidence.validation)
        if not chance.passed:
            return chance, None
        if (ends := definition.life_ends) is not None:
            cutoff = to_millis(model.training_cutoff)
            life, message = train_life(dataset, ends, definition.learning, cutoff)
            model = model if life is None else with_life(model, life)
            evidence = replace(evidence, notes=(*evidence.notes, message))
        if (sample := sample_shares(model, dataset)) is not None:
            evidence = replace(evidence, importance=sample.importance, shap=sample)
        if definition.mode_problems:
            modes, notes = train_modes(dataset, definition, model)
            model = with_modes(model, modes)
            evidence = replace(evidence, notes=(*evidence.notes, *notes))
        return chance, Challenger(choice.candidate, model, evidence)

    def refit(
        self, dataset: Dataset, twin: TrainedModel, definition: TrainedDefinition
    ) -> TrainedModel | None:
        refitted = refit(dataset, replace(twin, modes=()), definition)
        if refitted is None or refitted.refit is None:
            return refitted
        serving = refitted.refit
        if twin.life is not None:
            serving = with_life(serving, refit_life(dataset, definition.learning.seed, twin.life))
        if definition.mode_problems:
            modes = refit_modes(dataset, definition, twin, serving.training_cutoff)
            serving = with_modes(serving, modes)
        return replace(twin, refit=serving)

    def save(self, model: TrainedModel) -> Files:
        return model_files(model) | requirements_file(model)


TRAINING: KindTraining[TrainedDefinition] = ClassifierTraining()
