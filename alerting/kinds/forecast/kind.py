"""Kind `forecast`: a value will leave its limits. It is evaluated as any model of a problem; what is predicted is the value."""

from alerting.kinds.forecast.definition import ForecastDefinition
from alerting.kinds.kind import TrainedKind
from alerting.kinds.prediction_kind import PredictionKind
from alerting.learning.models.trained import TrainedModel
from alerting.ports import Files


class ForecastKind(PredictionKind):
    """A value will leave its limits."""

    def load(self, files: Files) -> TrainedModel:
        from alerting.kinds.forecast.families import get_family  # noqa: PLC0415 - loads LightGBM: seconds
        from alerting.learning.models.files import model_from_files  # noqa: PLC0415

        return model_from_files(files, get_family)


KIND: TrainedKind[ForecastDefinition] = ForecastKind()
