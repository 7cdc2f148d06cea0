import numpy as np

from alerting.kinds.training_protocol import Challenger
from alerting.learning.experiment.experiment import Found
from alerting.learning.experiment.trials import Trial
from alerting.learning.selection.candidates import assemble, usable_folds
from alerting.learning.selection.challenger import ChallengerEvidence, training_cutoff
from alerting.learning.selection.choice import ChanceTest, ValidationChance
from alerting.learning.selection.decision import PromotionDecision
from alerting.learning.selection.operating_point import ThresholdChoice

from .model import UsualValues, to_files


class UnlikeTraining:
    save = staticmethod(to_files)

    def train(self, dataset, definition, family, progress, warm_start, read_time=None):
        folds, notes = usable_folds(dataset, definition.learning.folds)
        scores = [
            fitted(dataset, definition, fold.train).score(dataset.rows.iloc[fold.test])
            for fold in folds
        ]
        scores = [np.nan_to_num(score) for score in scores]
        model = fitted(dataset, definition, dataset.part == "train")
        trial = Trial({"mean": model.mean, "deviation": model.deviation}, 0.0, ())
        result = Found(trial, 0.0, scores, scores, tried=[trial])
        return assemble(family, dataset, folds, result, 1, notes, {})

    def choose(self, dataset, definition, candidates):
        (candidate,) = candidates
        model = fitted(dataset, definition, dataset.part == "train")
        threshold = ThresholdChoice(model.threshold, True, "as written", ())
        found = ValidationChance(len(dataset.problems), len(dataset.problems), 1, 0.0)
        shares = {definition.watched: 1.0}
        evidence = ChallengerEvidence(threshold, {}, {}, [], shares, [], [], found)
        return ChanceTest(candidate.ap, 0.0, 1, len(dataset.problems)), Challenger(
            candidate, model, evidence
        )

    def compare(
        self, definition, challenger, champion, histories, excluded, as_of, seed, suppressed
    ):
        same = champion is not None and champion.hash == challenger.hash
        reason = "The values are as usual as before." if same else "The usual values are newer."
        return PromotionDecision(verdict="keep" if same else "promote", reason=reason)

    def refit(self, dataset, twin, definition):
        return None


def fitted(dataset, definition, rows):
    column = f"{definition.watched}.last"
    cutoff = training_cutoff(dataset, dataset.part == "train")
    values = dataset.rows[column].to_numpy()[rows]
    mean = float(np.nanmean(values))
    deviation = float(np.nanstd(values))
    return UsualValues(
        dataset.revision, dataset.plan, column, mean, deviation, definition.deviations, cutoff
    )


TRAINING = UnlikeTraining()
