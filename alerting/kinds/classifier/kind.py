"""Kind `classifier`: a trained model predicts the problem."""

from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.kinds.prediction_kind import PredictionKind
from alerting.kinds.protocol import TrainedKind
from alerting.learning.models.trained import TrainedModel
from alerting.ports import Files


class ClassifierKind(PredictionKind):
    """A trained model that predicts whether the problem occurs within the horizon."""

    def load(self, files: Files) -> TrainedModel:
        from alerting.learning.models.model_files import model_from_files  # noqa: PLC0415 - loads LightGBM and scikit-learn: seconds

        return model_from_files(files)


KIND: TrainedKind[ClassifierDefinition] = ClassifierKind()
