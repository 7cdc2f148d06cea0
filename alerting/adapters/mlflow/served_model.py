"""Loader of a registered model for MLflow itself: `mlflow.pyfunc.load_model` and `mlflow models serve`.

The registry names this module as the loader of every model, so that no pickled file is needed: it reads the same files as the
platform, with the same checks. It cannot compare their hashes with those in the platform's database.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from alerting.learning.models.files import model_from_files
from alerting.learning.models.trained import TrainedModel


class ServedModel:
    """A registered model as MLflow serves it: its refit where it has one.

    `model`: the whole model, with its threshold and feature plan.
    """

    def __init__(self, model: TrainedModel) -> None:
        self.model = model

    def predict(self, data: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Return the probability of the problem for each row of features; an unknown feature is empty.

        Raises UserError if columns are missing.
        """
        return pd.DataFrame({"probability": (self.model.refit or self.model).score(data)}, index=data.index)


def _load_pyfunc(data_path: str) -> ServedModel:
    """Return the model in a folder, under the name that MLflow requires. Raises ModelRefused if files are damaged."""
    return ServedModel(model_from_files({path.name: path.read_bytes() for path in Path(data_path).iterdir() if path.is_file()}))
